//! The sounds that were exported: cuts bit for bit, parts by length and clicks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::clicks::{self, Layout};
use super::oracle::{Work, files};
use super::sound::{Spec, Wav, sha256};
use super::table::{Row, hundredths};

/// By how many milliseconds a click may be off.
const CLICK_TOLERANCE_MS: f64 = 0.3;

/// Frames 109 368 to 197 567 of `tone.flac` at 16 bits, as decoded by flac 1.4.2, whose MD5 of all frames is that in
/// the file.
const FLAC_CUT_SHA256: &str = "92fa4b7c495b294120fef2612a03d36d30b9a09904937532515d601af2eb11a0";

/// Returns a name with its one accent in composed form: parts may be named after the structure file or the sound.
pub fn composed(name: &str) -> String {
    name.replace("e\u{301}", "é")
}

/// The sound a row is made from: its name in the library, and its description. Sounds beside others, in `audio`, come
/// first, as `--audio-dir` says.
fn source<'a>(work: &'a Work, row: &Row) -> Result<(&'a str, &'a Spec), String> {
    let base = row.path.rsplit('/').next().unwrap_or_default();
    let own = row.path.strip_prefix(&format!("lib/{}/", work.case.library));
    let wanted = [Some(format!("audio/{base}")), own.map(str::to_string)];
    let sounds = work.shelf.sounds(&work.case.library).ok_or("a library without sounds")?;
    let find = |name: &String| {
        sounds.get_key_value(name).or_else(|| sounds.iter().find(|(other, _)| composed(other) == composed(name)))
    };
    let found = wanted.iter().flatten().find_map(find);
    found.map(|(name, spec)| (name.as_str(), spec)).ok_or_else(|| format!("a row for {}, which has no sound", row.path))
}

/// The frame nearest to a time, within a file.
fn frame(seconds: f64, rate: u32, frames: usize) -> usize {
    ((seconds * f64::from(rate)).round_ties_even().max(0.0) as usize).min(frames)
}

fn rms(samples: &[f64]) -> f64 {
    (samples.iter().map(|s| s * s).sum::<f64>() / samples.len().max(1) as f64).sqrt()
}

/// Compares the levels of sounds without clicks.
fn check_levels(cut: &Wav, part: &Wav) -> Result<(), String> {
    let cut = cut.to_16_bits();
    let levels = |wav: &Wav| (0..usize::from(wav.channels)).map(|c| rms(&wav.channel(c))).collect::<Vec<_>>();
    let (before, after) = (levels(&cut), levels(part));
    let near = before.iter().zip(&after).all(|(b, a)| (0.3..2.0).contains(&(a / b)));
    ensure!(near, "the levels of its channels are {after:.0?}, those of the cut {before:.0?}");
    // Channels after the first hold half of it.
    let half = after[1..].iter().all(|a| (0.4..0.6).contains(&(a / after[0])));
    ensure!(half, "its channels are not those of the source: {after:.0?}");
    Ok(())
}

/// Checks both files of a row; `known` is what the oracle says of them, if anything.
fn check_row(work: &Work, row: &Row, files: [&Path; 2], known: [Option<&Value>; 2]) -> Result<(), String> {
    let (name, spec) = source(work, row)?;
    let (orig, part) = (Wav::read(files[0])?, Wav::read(files[1])?);
    let cut = match &spec.copy {
        None => {
            let mut whole = Wav::parse(&spec.file())?;
            let (from, to) = (row.cues[0], row.cues[2]);
            let [first, last] = [from, to].map(|seconds| frame(seconds, spec.rate, spec.frames));
            let block = whole.block();
            whole.data = whole.data[first * block..last * block].to_vec();
            if let Some(known) = known[0] {
                ensure!(known["cut"] == serde_json::json!([first, last]), "the test expects the cut {first}..{last}");
                ensure!(known["data_sha256"] == sha256(&whole.data), "the test expects a wrong cut of {name}");
            }
            whole
        }
        Some(_) => {
            ensure!(orig.channels == 1 && sha256(&orig.data) == FLAC_CUT_SHA256, "the cut of {name} is not exact");
            Wav { format: 1, channels: 1, rate: 44_100, bits: 16, data: orig.data.clone() }
        }
    };
    let shape = |wav: &Wav| (wav.format, wav.channels, wav.rate, wav.bits, wav.frames());
    ensure!(shape(&orig) == shape(&cut), "the cut of {name} is {:?}, not {:?}", shape(&orig), shape(&cut));
    let differs = orig.data.iter().zip(&cut.data).position(|(a, b)| a != b);
    ensure!(differs.is_none(), "the cut of {name} differs from frame {} on", differs.unwrap_or(0) / cut.block());

    let ideal = cut.frames() as f64 / row.speed;
    if let Some(known) = known[1] {
        let known = known["ideal_frames"].as_f64().unwrap_or_default();
        ensure!((known - ideal).abs() < 1.0, "the test expects {ideal} frames, the oracle {known}");
    }
    let wanted = (1, cut.channels, cut.rate, 16);
    let shape = (part.format, part.channels, part.rate, part.bits);
    ensure!(shape == wanted, "the part of {name} is {shape:?}, not {wanted:?} (format, channels, rate, bits)");
    let off = part.frames() as f64 - ideal.floor();
    ensure!(off.abs() <= 1.0, "the part of {name} has {} frames, not {ideal:.2}", part.frames());
    let told = hundredths(&row.duration_sectioned).ok_or("no duration_sectioned")?;
    let length = part.frames() as f64 / f64::from(part.rate) * 100.0;
    ensure!((told as f64 - length).abs() <= 0.51, "duration_sectioned {told}, not {length:.2} hundredths");
    if row.speed == 1.0 {
        let plain = cut.to_16_bits();
        let same = if cut.bits == 16 {
            part.data == plain.data
        } else {
            // Rounding or dither may change the last bit.
            let channels = 0..usize::from(part.channels);
            channels
                .into_iter()
                .all(|c| part.channel(c).iter().zip(plain.channel(c)).all(|(a, b)| (a - b).abs() <= 1.0))
        };
        ensure!(same, "the part of {name} is not the cut, at speed 1");
    }
    let first = frame(row.cues[0], spec.rate, spec.frames);
    match Layout::new(spec, first, first + cut.frames(), row.speed) {
        Some(layout) => {
            if let Some(ticks) = known[1].and_then(|known| known["ticks"]["expected"].as_u64()) {
                ensure!(ticks == layout.clicks.len() as u64, "the test expects {} clicks", layout.clicks.len());
            }
            clicks::check(&layout, &part.channel(0), CLICK_TOLERANCE_MS).map_err(|e| format!("the part of {name}: {e}"))
        }
        None => check_levels(&cut, &part).map_err(|e| format!("the part of {name}: {e}")),
    }
}

/// Checks the files of all rows: those at `place(text)`, for what the table says. Every WAV file in the folder `parts`
/// must belong to one row.
pub fn check(work: &Work, rows: &[Row], parts: &str, place: impl Fn(&str) -> PathBuf) -> Result<(), String> {
    let known: BTreeMap<String, Value> = if work.case.same { work.case.wavs() } else { BTreeMap::new() };
    let mut named = BTreeSet::new();
    let mut faults = Vec::new();
    for row in rows {
        let paths = [&row.part_orig, &row.part].map(|text| place(text));
        let known = [known.get(&row.part_orig), known.get(&row.part)];
        if let Err(fault) = check_row(work, row, [&paths[0], &paths[1]], known) {
            faults.push(format!("{}: {fault}", row.path));
        }
        for path in paths {
            ensure!(named.insert(path.clone()), "{} belongs to more than one row", path.display());
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n  "));
    let lying = files(&work.folder.join(parts)).into_iter().filter(|name| name.to_lowercase().ends_with(".wav"));
    let strays: Vec<_> = lying.filter(|name| !named.contains(&work.folder.join(parts).join(name))).collect();
    ensure!(strays.is_empty(), "these sounds belong to no row: {strays:?}");
    Ok(())
}
