//! Renders instruments into files: `grooved render-midi` and `grooved render-controls`. The same input gives the same
//! bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::ddsp::band::{Band, MOST_VOICES};
use crate::ddsp::library::{Library, LibraryError};
use crate::ddsp::model::Model;
use crate::ddsp::order::instrument_for;
use crate::ddsp::score::{Action, Event, Score, Table};
use crate::ddsp::voice::Voice;
use crate::media::wav::{Depth, WavWriter};

/// Maximum tail after the last event, in seconds.
const MOST_TAIL_S: f64 = 10.0;
/// Vibrato depth at full modulation wheel, in semitones.
const WHEEL_SEMITONES: f64 = 0.5;
/// Time constant of pan changes, in seconds.
const PAN_S: f64 = 0.01;
/// Loudness of the softest note relative to the loudest.
const SOFTEST: f64 = 0.25;

/// Options of a render.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Instruments: for all tracks (`flute`), or for one track, counted from 1 (`2=cello`).
    pub instruments: Vec<String>,
    /// Folder of instruments; `None` uses the default folders.
    pub models: Option<PathBuf>,
    /// Sample rate in Hz, 8000 to 192000.
    pub sample_rate: u32,
    /// Voices per part, 1 to [`MOST_VOICES`].
    pub voices: usize,
    /// Output gain in dB, -60 to 20.
    pub gain_db: f64,
}

impl Orders {
    fn check(&self) -> Result<(), Failure> {
        let wrong = |text: String| Err(Failure::Usage(text));
        if !(8_000..=192_000).contains(&self.sample_rate) {
            return wrong("--rate: must be between 8000 and 192000 Hz".into());
        }
        if !(1..=MOST_VOICES).contains(&self.voices) {
            return wrong(format!("--voices: must be between 1 and {MOST_VOICES}"));
        }
        if !(-60.0..=20.0).contains(&self.gain_db) {
            return wrong("--gain: must be between -60 and 20 dB".into());
        }
        Ok(())
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

/// Rendering state of a part of the score.
struct Seat {
    band: Band,
    /// Current and target pan, 0 (left) to 1 (right).
    pan: (f64, f64),
    sound: Vec<f32>,
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
    let mut seats = Vec::new();
    for (index, part) in score.parts.iter().enumerate() {
        let none = || Failure::Usage("--instrument: none found; set the folder with --models FOLDER".into());
        let name = orders.named(part.track).or(instrument_for(part.program, &there)).ok_or_else(none)?;
        let model = match models.get(name) {
            Some(model) => model.clone(),
            None => models.entry(name.into()).or_insert(library.open(name)?).clone(),
        };
        let band = Band::new(&model, orders.voices, orders.sample_rate, 1 + 100 * index as u64);
        players.push(format!("track {} {}: {}", part.track, part.name, model.contract().instrument).replace(" :", ":"));
        seats.push(Seat { band: band.map_err(Failure::Io)?, pan: (0.5, 0.5), sound: Vec::new() });
    }
    let mut events = score.events.iter().peekable();
    let rate = f64::from(orders.sample_rate);
    let last = (score.seconds * rate).round() as u64;
    let most = last + (MOST_TAIL_S * rate) as u64;
    let mut sink = Sink::create(to, orders)?;
    let mut now = 0u64;
    while now < most && (now <= last || seats.iter().any(|s| !s.band.resting())) {
        while let Some(event) = events.next_if(|e| (e.at * rate).round() as u64 <= now) {
            obey(&mut seats[event.part], event);
        }
        let next = events.peek().map_or(u64::MAX, |e| (e.at * rate).round() as u64);
        let count = next.min(now + u64::from(orders.sample_rate) / 10) - now;
        sink.mix(&mut seats, count as usize)?;
        now += count;
        progress(now.min(last) as f64 / last.max(1) as f64);
    }
    let stolen = seats.iter().map(|s| s.band.stolen()).sum();
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

/// Applies an event to its part.
fn obey(seat: &mut Seat, event: &Event) {
    let band = &mut seat.band;
    match event.action {
        Action::On(key, velocity) => {
            let loudness = SOFTEST + (1.0 - SOFTEST) * f64::from(velocity) / 127.0;
            band.note_on(u32::from(key), f64::from(key), loudness);
        }
        Action::Off(key) => band.note_off(u32::from(key)),
        Action::Bend(semitones) => band.manner(|m| m.bend = semitones),
        Action::Control(number, value) => {
            let share = f64::from(value) / 127.0;
            match number {
                1 => band.manner(|m| m.vibrato_semitones = WHEEL_SEMITONES * share),
                // Squared, as General MIDI recommends.
                7 => band.manner(|m| m.level = share * share / (100.0f64 / 127.0).powi(2)),
                10 => seat.pan.1 = share,
                11 => band.manner(|m| m.expression = share),
                64 => band.sustain(value >= 64),
                120 | 123 => band.all_off(),
                _ => {}
            }
        }
    }
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
    let mut voice = Voice::new(&model, orders.sample_rate, 1).map_err(Failure::Io)?;
    let mut sink = Sink::create(to, orders)?;
    let rate = f64::from(orders.sample_rate);
    let last = (table.seconds() * rate) as u64;
    let mut block = vec![0.0; voice.hop()];
    let mut now = 0u64;
    let mut sounded = false;
    while now < last || (now < last + (MOST_TAIL_S * rate) as u64 && sounded && !voice.resting()) {
        // A hop ends at the values that hold at its end.
        let at = (now + block.len() as u64) as f64 / rate;
        let (hz, loudness) = if now < last { table.at(at) } else { (0.0, 0.0) };
        if hz > 0.0 && loudness > 0.0 {
            voice.performer.hold(hz, loudness);
            sounded = true;
        } else {
            voice.performer.hush();
        }
        block.fill(0.0);
        voice.add(&mut block);
        sink.write_mono(&block)?;
        now += block.len() as u64;
        progress(now.min(last) as f64 / last.max(1) as f64);
    }
    let (seconds, peak) = sink.finish()?;
    Ok(Rendered { seconds, peak, players: vec![model.contract().instrument.clone()], stolen: 0, remarks: Vec::new() })
}

/// Stereo WAV output with gain and peak measurement.
struct Sink {
    writer: WavWriter,
    path: PathBuf,
    gain: f32,
    rate: u32,
    frames: u64,
    peak: f32,
    stereo: Vec<f32>,
}

impl Sink {
    fn create(path: &Path, orders: &Orders) -> Result<Sink, Failure> {
        let writer = WavWriter::create(path, 2, orders.sample_rate, Depth::Float)
            .map_err(|e| Failure::Io(format!("{}: {e}", path.display())))?;
        let gain = 10f64.powf(orders.gain_db / 20.0) as f32;
        Ok(Sink { writer, path: path.into(), gain, rate: orders.sample_rate, frames: 0, peak: 0.0, stereo: Vec::new() })
    }

    fn mix(&mut self, seats: &mut [Seat], count: usize) -> Result<(), Failure> {
        self.stereo.clear();
        self.stereo.resize(2 * count, 0.0);
        for seat in seats {
            seat.sound.clear();
            seat.sound.resize(count, 0.0);
            seat.band.add(&mut seat.sound);
            let step = 1.0 - (-1.0 / (PAN_S * f64::from(self.rate))).exp();
            for (frame, sample) in self.stereo.chunks_exact_mut(2).zip(&seat.sound) {
                seat.pan.0 += (seat.pan.1 - seat.pan.0) * step;
                // Constant power, with unity gain in the centre.
                let (right, left) = (seat.pan.0 * std::f64::consts::FRAC_PI_2).sin_cos();
                let root = std::f64::consts::SQRT_2;
                frame[0] += sample * (left * root) as f32;
                frame[1] += sample * (right * root) as f32;
            }
        }
        self.write()
    }

    fn write_mono(&mut self, block: &[f32]) -> Result<(), Failure> {
        self.stereo.clear();
        self.stereo.extend(block.iter().flat_map(|s| [*s, *s]));
        self.write()
    }

    fn write(&mut self) -> Result<(), Failure> {
        for sample in &mut self.stereo {
            *sample *= self.gain;
            self.peak = self.peak.max(sample.abs());
        }
        self.frames += self.stereo.len() as u64 / 2;
        self.writer.write(&self.stereo).map_err(|e| Failure::Io(format!("{}: {e}", self.path.display())))
    }

    fn finish(self) -> Result<(f64, f32), Failure> {
        let seconds = self.frames as f64 / f64::from(self.rate);
        self.writer.finish().map_err(|e| Failure::Io(format!("{}: {e}", self.path.display())))?;
        Ok((seconds, self.peak))
    }
}
