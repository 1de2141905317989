//! `grooved check-media`: checks whether files can be played to their end.

use std::path::Path;

use super::Failure;
use crate::media::decode::{Decoder, Remark};

/// Number of frames decoded at a time.
const PART: usize = 16_384;

/// Decodes a file to its end, or reads the notes of a MIDI file, and returns a report of one line.
///
/// # Errors
/// If the file cannot be played, or parts of it would be lost.
pub fn check(path: &Path) -> Result<String, Failure> {
    if let Some(report) = midi(path) {
        return report;
    }
    let wrong = |why: String| Failure::Data(format!("{}: {why}", path.display()));
    let mut decoder = Decoder::open(path).map_err(|e| wrong(e.to_string()))?;
    let (info, mut frames) = (decoder.info().clone(), 0u64);
    let rate = f64::from(info.sample_rate);
    let (mut left, mut right) = (vec![0.0; PART], vec![0.0; PART]);
    loop {
        match decoder.read(&mut left, &mut right) {
            Ok(0) => break,
            Ok(n) => frames += n as u64,
            Err(e) => return Err(wrong(format!("{e}, at {:.1} s", frames as f64 / rate))),
        }
    }
    let texts = |loss: bool| info.remarks().iter().filter(move |r| r.loss == loss).map(|r: &Remark| r.text.clone());
    let mut losses: Vec<String> = texts(true).collect();
    if let (Some(lacking), Some((first, _))) = (decoder.lacking(), decoder.gaps().first()) {
        let (all, first) = (frames as f64 / rate, *first as f64 / rate);
        losses.push(format!("{lacking:.2} of its {all:.2} s are missing or corrupt, first at {first:.2} s"));
    }
    if !losses.is_empty() {
        return Err(wrong(format!("{}; copy it again", losses.join("; "))));
    }
    let mut report = format!("{}: ok, {:.1} s at {rate} Hz", path.display(), frames as f64 / rate);
    texts(false).for_each(|text| report += &format!("; {text}"));
    Ok(report)
}

/// Returns the report on a MIDI file, or `None` if the file is not MIDI.
#[cfg(feature = "ddsp")]
fn midi(path: &Path) -> Option<Result<String, Failure>> {
    use std::io::Read;

    use crate::ddsp::score::Score;

    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(4096).read_to_end(&mut head).ok()?;
    if !crate::ddsp::score::is_midi(&head) {
        return None;
    }
    let wrong = |why: String| Failure::Data(format!("{}: {why}", path.display()));
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) => return Some(Err(wrong(format!("cannot be read: {e}")))),
    };
    Some(match Score::parse(&bytes) {
        Err(why) => Err(wrong(why)),
        Ok(score) if score.cut => Err(wrong("ends too early; copy it again".into())),
        Ok(score) => {
            let notes = score.notes();
            let mut report = format!("{}: ok, {notes} notes in {:.1} s", path.display(), score.seconds);
            score.remarks.iter().for_each(|text| report += &format!("; {text}"));
            Ok(report)
        }
    })
}

#[cfg(not(feature = "ddsp"))]
fn midi(_: &Path) -> Option<Result<String, Failure>> {
    None
}
