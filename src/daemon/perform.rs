//! Renders instruments into files: `grooved render-midi` and `grooved render-controls`. The same input gives the same
//! bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::ddsp::library::{Library, LibraryError};
use crate::ddsp::model::Model;
use crate::ddsp::programs::instrument_for;
use crate::ddsp::render::{self, CurveRenderer, ScoreRenderer};
use crate::ddsp::score::{Score, Table};
use crate::ddsp::voice::Voice;
use crate::media::wav::{Depth, WavWriter};

/// Options of a render.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Instruments: for all tracks (`flute`), or for one track, counted from 1 (`2=cello`).
    pub instruments: Vec<String>,
    /// Folder of instruments; `None` uses the default folders.
    pub models: Option<PathBuf>,
    /// Sample rate in Hz, 8000 to 192000.
    pub sample_rate: u32,
    /// Voices per part, 1 to [`MOST_VOICES`](crate::ddsp::band::MOST_VOICES).
    pub voices: usize,
    /// Output gain in dB, -60 to 20.
    pub gain_db: f64,
}

impl Orders {
    fn check(&self) -> Result<(), Failure> {
        render::check(self.sample_rate, self.voices, self.gain_db)
            .map_err(|(name, expected)| Failure::Usage(format!("--{name}: {expected}")))
    }

    /// Returns the instrument requested for a track, if any. A track's own setting wins over the general one.
    fn named(&self, track: usize) -> Option<&str> {
        let own = self.instruments.iter().rev().find_map(|order| {
            let (number, name) = order.split_once('=')?;
            (number.parse() == Ok(track)).then_some(name)
        });
        own.or(self.instruments.iter().rev().find(|o| !o.contains('=')).map(String::as_str))
    }
}

impl From<LibraryError> for Failure {
    fn from(why: LibraryError) -> Failure {
        match why {
            LibraryError::Unknown { .. } => Failure::Usage(format!("--instrument: {why}")),
            LibraryError::Model(why) => Failure::Data(why.to_string()),
        }
    }
}

/// Result of a render.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Length in seconds.
    pub seconds: f64,
    /// Peak sample, linear.
    pub peak: f32,
    /// One line per part with its track and instrument.
    pub players: Vec<String>,
    /// Notes that cut off a sounding voice.
    pub stolen: u64,
    /// Oddities of the input file.
    pub remarks: Vec<String>,
}

/// Renders a MIDI file into a stereo WAV file. Calls `progress` with the completed share, 0 to 1.
///
/// # Errors
/// If an option is out of range, if the input is invalid or ends too early, or if the output cannot be written.
pub fn midi(from: &Path, to: &Path, orders: &Orders, mut progress: impl FnMut(f64)) -> Result<Rendered, Failure> {
    orders.check()?;
    let bytes =
        std::fs::read(from).map_err(|e| Failure::Usage(format!("cannot read file '{}': {e}", from.display())))?;
    let score = Score::parse(&bytes).map_err(|e| Failure::Data(format!("file '{}' {e}", from.display())))?;
    let library = Library::new(orders.models.as_deref());
    let there = library.names();
    let tracks = score.parts.iter().map(|p| p.track).max().unwrap_or(0);
    if let Some(order) = orders.instruments.iter().find(|order| {
        order.split_once('=').is_some_and(|(n, _)| !n.parse().is_ok_and(|n: usize| (1..=tracks).contains(&n)))
    }) {
        return Err(Failure::Usage(format!(
            "--instrument: '{order}' names a track that does not exist; must be between 1 and {tracks}"
        )));
    }
    let mut players = Vec::new();
    let mut models: HashMap<String, Model> = HashMap::new();
    let mut parts = Vec::new();
    for part in &score.parts {
        let none = || Failure::Usage("--instrument: none found; set the folder with --models FOLDER".into());
        let name = orders.named(part.track).or(instrument_for(part.program, &there)).ok_or_else(none)?;
        let model = match models.get(name) {
            Some(model) => model.clone(),
            None => models.entry(name.into()).or_insert(library.open(name)?).clone(),
        };
        players.push(format!("track {} {}: {}", part.track, part.name, model.contract().instrument).replace(" :", ":"));
        parts.push(model);
    }
    let gain = render::linear(orders.gain_db);
    let renderer = ScoreRenderer::new(&score, &parts, orders.voices, orders.sample_rate, gain);
    let mut renderer = renderer.map_err(Failure::Io)?;
    let mut sink = Sink::create(to, orders.sample_rate)?;
    while renderer.next(&mut sink.stereo) {
        sink.write()?;
        progress(renderer.share());
    }
    let stolen = renderer.stolen();
    let (seconds, peak) = sink.finish()?;
    if score.cut {
        return Err(Failure::Data(format!(
            "file '{}' ends too early; the part before that is in {}; copy it again",
            from.display(),
            to.display()
        )));
    }
    Ok(Rendered { seconds, peak, players, stolen, remarks: score.remarks })
}

/// Renders a table of controls into a WAV file with the same sound on both channels. Calls `progress` with the
/// completed share, 0 to 1.
///
/// # Errors
/// If an option is out of range, if the input is invalid, or if the output cannot be written.
pub fn controls(from: &Path, to: &Path, orders: &Orders, mut progress: impl FnMut(f64)) -> Result<Rendered, Failure> {
    orders.check()?;
    let text = std::fs::read_to_string(from)
        .map_err(|e| Failure::Usage(format!("cannot read file '{}': {e}", from.display())))?;
    let table = Table::parse(&text).map_err(|e| Failure::Data(format!("file '{}': {e}", from.display())))?;
    let library = Library::new(orders.models.as_deref());
    let model: Model = library.open(orders.named(1).unwrap_or("flute"))?;
    let voice = Voice::new(&model, orders.sample_rate, 1).map_err(Failure::Io)?;
    let mut block = vec![0.0; voice.hop()];
    let mut renderer = CurveRenderer::new(voice, orders.sample_rate);
    let gain = render::linear(orders.gain_db);
    let mut sink = Sink::create(to, orders.sample_rate)?;
    for (hz, loudness, share) in table.hops(block.len(), orders.sample_rate) {
        renderer.hop(hz, loudness, &mut block);
        sink.write_mono(&block, gain)?;
        progress(share);
    }
    while renderer.tail(&mut block) {
        sink.write_mono(&block, gain)?;
    }
    let (seconds, peak) = sink.finish()?;
    Ok(Rendered { seconds, peak, players: vec![model.contract().instrument.clone()], stolen: 0, remarks: Vec::new() })
}

/// Stereo WAV output with peak measurement.
struct Sink {
    writer: WavWriter,
    path: PathBuf,
    rate: u32,
    frames: u64,
    peak: f32,
    /// The frames to be written next, interleaved.
    stereo: Vec<f32>,
}

impl Sink {
    fn create(path: &Path, rate: u32) -> Result<Sink, Failure> {
        let writer = WavWriter::create(path, 2, rate, Depth::Float)
            .map_err(|e| Failure::Io(format!("{}: {e}", path.display())))?;
        Ok(Sink { writer, path: path.into(), rate, frames: 0, peak: 0.0, stereo: Vec::new() })
    }

    /// Writes samples to both channels.
    fn write_mono(&mut self, block: &[f32], gain: f32) -> Result<(), Failure> {
        self.stereo.clear();
        self.stereo.extend(block.iter().flat_map(|s| [*s * gain; 2]));
        self.write()
    }

    fn write(&mut self) -> Result<(), Failure> {
        self.peak = self.stereo.iter().fold(self.peak, |peak, sample| peak.max(sample.abs()));
        self.frames += self.stereo.len() as u64 / 2;
        self.writer.write(&self.stereo).map_err(|e| Failure::Io(format!("{}: {e}", self.path.display())))
    }

    fn finish(self) -> Result<(f64, f32), Failure> {
        let seconds = self.frames as f64 / f64::from(self.rate);
        self.writer.finish().map_err(|e| Failure::Io(format!("{}: {e}", self.path.display())))?;
        Ok((seconds, self.peak))
    }
}
