//! Offline rendering: a score of notes, or a curve of pitch and loudness, piece by piece and as fast as possible.

use super::band::{Band, MOST_VOICES};
use super::model::Model;
use super::score::{Action, Event, Score};
use super::voice::Voice;

/// Sample rates in Hz that can be rendered.
pub const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Maximum tail after the last event, in seconds.
const MOST_TAIL_S: f64 = 10.0;
/// Vibrato depth at full modulation wheel, in semitones.
const WHEEL_SEMITONES: f64 = 0.5;
/// Time constant of pan changes, in seconds.
const PAN_S: f64 = 0.01;
/// Loudness of the softest note relative to the loudest.
const SOFTEST: f64 = 0.25;

/// Rendering state of a part of the score.
struct Seat {
    band: Band,
    /// Current and target pan, 0 (left) to 1 (right).
    pan: (f64, f64),
    sound: Vec<f32>,
}

impl Seat {
    fn obey(&mut self, action: Action) {
        let band = &mut self.band;
        match action {
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
                    10 => self.pan.1 = share,
                    11 => band.manner(|m| m.expression = share),
                    64 => band.sustain(value >= 64),
                    120 | 123 => band.all_off(),
                    _ => {}
                }
            }
        }
    }
}

/// Renders a score in stereo. The same score, instruments and settings give the same samples. Realtime: no.
pub struct ScoreRenderer {
    seats: Vec<Seat>,
    events: std::iter::Peekable<std::vec::IntoIter<Event>>,
    rate: f64,
    pan_step: f64,
    gain: f32,
    /// Frames rendered so far.
    now: u64,
    /// Frame of the last event.
    last: u64,
}

impl ScoreRenderer {
    /// Prepares a score: one model for each of its parts, 1 to [`MOST_VOICES`] voices per part, a sample rate in
    /// [`RATES`], and a linear gain.
    ///
    /// # Errors
    /// A message, if an argument is out of range, if the models are not as many as the parts, or if one of them cannot be
    /// set up.
    pub fn new(
        score: &Score,
        models: &[Model],
        voices: usize,
        sample_rate: u32,
        gain: f32,
    ) -> Result<ScoreRenderer, String> {
        if models.len() != score.parts.len() {
            return Err(format!("{} instruments for {} parts", models.len(), score.parts.len()));
        }
        let seat = |(index, model): (usize, &Model)| {
            let band = Band::new(model, voices, sample_rate, 1 + 100 * index as u64)?;
            Ok(Seat { band, pan: (0.5, 0.5), sound: Vec::new() })
        };
        let rate = f64::from(sample_rate);
        Ok(ScoreRenderer {
            seats: models.iter().enumerate().map(seat).collect::<Result<_, String>>()?,
            events: score.events.clone().into_iter().peekable(),
            rate,
            pan_step: 1.0 - (-1.0 / (PAN_S * rate)).exp(),
            gain,
            now: 0,
            last: (score.seconds * rate).round() as u64,
        })
    }

    /// Renders the next piece, at most a tenth of a second, and replaces the contents of `stereo` (interleaved) with it.
    /// Returns false at the end, when the last notes have faded.
    pub fn next(&mut self, stereo: &mut Vec<f32>) -> bool {
        stereo.clear();
        let most = self.last + (MOST_TAIL_S * self.rate) as u64;
        if self.now >= most || (self.now > self.last && self.seats.iter().all(|s| s.band.resting())) {
            return false;
        }
        let frame_of = |event: &Event| (event.at * self.rate).round() as u64;
        while let Some(event) = self.events.next_if(|e| frame_of(e) <= self.now) {
            self.seats[event.part].obey(event.action);
        }
        let next = self.events.peek().map_or(u64::MAX, frame_of);
        let count = next.min(self.now + self.rate as u64 / 10) - self.now;
        stereo.resize(2 * count as usize, 0.0);
        for seat in &mut self.seats {
            seat.sound.clear();
            seat.sound.resize(count as usize, 0.0);
            seat.band.add(&mut seat.sound);
            for (frame, sample) in stereo.chunks_exact_mut(2).zip(&seat.sound) {
                seat.pan.0 += (seat.pan.1 - seat.pan.0) * self.pan_step;
                // Constant power, with unity gain in the centre.
                let (right, left) = (seat.pan.0 * std::f64::consts::FRAC_PI_2).sin_cos();
                let root = std::f64::consts::SQRT_2;
                frame[0] += sample * (left * root) as f32;
                frame[1] += sample * (right * root) as f32;
            }
        }
        stereo.iter_mut().for_each(|sample| *sample *= self.gain);
        self.now += count;
        true
    }

    /// Returns the rendered share of the score, 0 to 1.
    pub fn share(&self) -> f64 {
        self.now.min(self.last) as f64 / self.last.max(1) as f64
    }

    /// Returns the number of sounding notes that were cut off by new ones.
    pub fn stolen(&self) -> u64 {
        self.seats.iter().map(|s| s.band.stolen()).sum()
    }
}

/// Renders one voice along a curve of pitch (Hz) and loudness (0 to 1), hop by hop; a pitch or a loudness of 0 or less is
/// silence. Realtime: no.
pub struct CurveRenderer {
    /// The voice; its tone may be changed between hops.
    pub voice: Voice,
    /// True once it has sounded.
    sounded: bool,
    /// Hops that may still follow the curve.
    tail: u64,
}

impl CurveRenderer {
    /// Starts with a voice at rest, at a sample rate in Hz.
    pub fn new(voice: Voice, sample_rate: u32) -> CurveRenderer {
        let tail = (MOST_TAIL_S * f64::from(sample_rate) / voice.hop() as f64).ceil() as u64;
        CurveRenderer { voice, sounded: false, tail }
    }

    /// Renders the hop that ends with these values into `block`, which is one hop long.
    pub fn hop(&mut self, hz: f64, loudness: f64, block: &mut [f32]) {
        self.voice.performer.direct(hz, loudness);
        self.sounded |= !self.voice.performer.silent();
        block.fill(0.0);
        self.voice.add(block);
    }

    /// Renders a hop of what follows the curve, the release of its last sound. Returns false when the voice is at rest.
    pub fn tail(&mut self, block: &mut [f32]) -> bool {
        let goes_on = self.tail > 0 && self.sounded && !self.voice.resting();
        if goes_on {
            self.tail -= 1;
            self.hop(0.0, 0.0, block);
        }
        goes_on
    }
}

/// Checks the settings of a render.
///
/// # Errors
/// The name of the setting, and what is expected.
pub fn check(sample_rate: u32, voices: usize, gain_db: f64) -> Result<(), (&'static str, String)> {
    if !RATES.contains(&sample_rate) {
        return Err(("rate", format!("must be between {} and {} Hz", RATES.start(), RATES.end())));
    }
    if !(1..=MOST_VOICES).contains(&voices) {
        return Err(("voices", format!("must be between 1 and {MOST_VOICES}")));
    }
    if !(-60.0..=20.0).contains(&gain_db) {
        return Err(("gain", "must be between -60 and 20 dB".into()));
    }
    Ok(())
}

/// Returns the linear gain of a level in dB.
pub fn linear(gain_db: f64) -> f32 {
    10f64.powf(gain_db / 20.0) as f32
}
