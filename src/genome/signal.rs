//! What a network output feeds into one parameter or buffer of the audio graph, evaluated anywhere on demand.

use std::sync::Arc;

use crate::system::realtime;

use super::fault::Fault;
use super::network::{Place, Program, Scratch};
use super::patch::Noise;

/// Frames that are evaluated between two looks at whether to go on.
const PIECE: usize = 512;

/// The gain of one wave of a wavetable, from the position of the mix: 1 in the middle of its span.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Wave {
    start: f64,
    middle: f64,
    end: f64,
    width: f64,
}

#[derive(Debug)]
enum Origin {
    Program(Program),
    Noise(Noise, u64),
}

/// One signal: origin, mapping and place. A pure function of the frame, except for brown and pink noise.
#[derive(Clone, Debug)]
pub struct Signal {
    origin: Arc<Origin>,
    place: Place,
    range: Option<(f64, f64)>,
    wave: Option<Wave>,
}

impl Signal {
    pub fn new(program: Program, place: Place, range: Option<(f64, f64)>) -> Self {
        Self { origin: Arc::new(Origin::Program(program)), place, range, wave: None }
    }

    /// Noise, the same for the same seed. The older service's noise differed from run to run.
    pub fn noise(noise: Noise, seed: u64, place: Place, range: Option<(f64, f64)>) -> Self {
        Self { origin: Arc::new(Origin::Noise(noise, seed)), place, range, wave: None }
    }

    /// Turns the signal into the gain of wave `number` of a wavetable with `count` waves.
    pub fn wave(mut self, number: usize, count: usize) -> Self {
        let width = 2.0 / count as f64;
        let base = number as f64 * width - 1.0;
        let middle = base + width / 2.0;
        let start = if number > 0 { base - width / 2.0 } else { base };
        let end = if number + 1 < count { base + width + width / 2.0 } else { base + width };
        self.wave = Some(Wave { start, middle, end, width });
        self
    }

    /// Frames of the whole signal.
    pub fn frames(&self) -> usize {
        self.place.frames
    }

    /// Whether a later block can be evaluated without the earlier ones.
    pub fn is_lazy(&self) -> bool {
        matches!(*self.origin, Origin::Program(_))
    }

    /// How much work a frame is.
    pub fn cost(&self) -> usize {
        if let Origin::Program(program) = &*self.origin { program.cost() } else { 8 }
    }

    /// Writes the frames from `start` on.
    pub fn fill(&self, start: usize, out: &mut [f32], scratch: &mut Scratch) {
        match &*self.origin {
            Origin::Program(program) => program.evaluate(self.place, start, out, scratch),
            Origin::Noise(noise, seed) => fill_noise(*noise, *seed, start, out),
        }
        if let Some((low, high)) = self.range {
            out.iter_mut().for_each(|s| *s = ((f64::from(*s) + 1.0) / 2.0 * (high - low) + low) as f32);
        }
        if let Some(Wave { start, middle, end, width }) = self.wave {
            for sample in out.iter_mut() {
                let mix = f64::from(*sample);
                let gain = if start < mix && mix < end { 1.0 - (middle - mix).abs() / width } else { 0.0 };
                *sample = ((f64::from(gain as f32) + 1.0) / 2.0) as f32;
            }
        }
    }

    /// The whole signal, evaluated on all processors; `None` if `stopped` said so before its end.
    pub fn whole(&self, stopped: &(dyn Fn() -> bool + Sync)) -> Option<Vec<f32>> {
        let mut out = vec![0.0; self.place.frames];
        let threads =
            if self.is_lazy() { std::thread::available_parallelism().map_or(1, usize::from).min(4) } else { 1 };
        let share = self.place.frames.div_ceil(threads).max(PIECE);
        std::thread::scope(|scope| {
            for (number, share_of_it) in out.chunks_mut(share).enumerate() {
                scope.spawn(move || {
                    // As in the audio graph, so that lazy and eager evaluation agree.
                    realtime::flush_denormals();
                    let mut scratch = Scratch::default();
                    let pieces = if self.is_lazy() { PIECE } else { share_of_it.len() };
                    for (piece, out) in share_of_it.chunks_mut(pieces).enumerate() {
                        if stopped() {
                            return;
                        }
                        self.fill(number * share + piece * pieces, out, &mut scratch);
                    }
                });
            }
        });
        (!stopped()).then_some(out)
    }
}

/// A signal for a parameter or buffer of a node.
pub struct Feed {
    pub connection: String,
    pub parameter: String,
    pub weight: f64,
    pub signal: Signal,
}

/// Checks that samples, of which the first is frame `start`, are finite; `connection` is named if they are not.
pub fn check_finite(samples: &[f32], start: usize, connection: &str) -> Result<(), Fault> {
    let Some(at) = samples.iter().position(|s| !s.is_finite()) else { return Ok(()) };
    let problem = format!("the network's output is not finite in frame {}", start + at);
    Err(Fault::Connection { connection: connection.into(), problem })
}

/// A number from 0 to 1 for each frame (splitmix64).
fn random(seed: u64, frame: u64) -> f64 {
    let mut z = seed.wrapping_add(frame.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// Pink noise is Paul Kellet's filter; brown noise is integrated white noise that leaks.
fn fill_noise(noise: Noise, seed: u64, start: usize, out: &mut [f32]) {
    let mut poles = [0.0f64; 7];
    let mut brown = 0.0f64;
    let end = start + out.len();
    let first = if noise == Noise::White { start } else { 0 };
    for frame in first..end {
        let white = random(seed, frame as u64) * 2.0 - 1.0;
        let value = match noise {
            Noise::White => white,
            Noise::Pink => {
                let p = &mut poles;
                p[0] = 0.99886 * p[0] + white * 0.055_517_9;
                p[1] = 0.99332 * p[1] + white * 0.075_075_9;
                p[2] = 0.96900 * p[2] + white * 0.153_852_0;
                p[3] = 0.86650 * p[3] + white * 0.310_485_6;
                p[4] = 0.55000 * p[4] + white * 0.532_952_2;
                p[5] = -0.7616 * p[5] - white * 0.016_898_0;
                let sum = p.iter().sum::<f64>() + white * 0.5362;
                p[6] = white * 0.115_926;
                sum * 0.11
            }
            Noise::Brown => {
                brown = (brown + 0.02 * white) / 1.02;
                brown * 3.5
            }
        };
        if frame >= start {
            out[frame - start] = value as f32;
        }
    }
}
