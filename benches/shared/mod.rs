//! The measured graphs, shared by the benches.

#![allow(dead_code)]

use grooved::dsp::sinc::Quality;
use grooved::engine::command::{Action, Command};
use grooved::engine::door::{ControlDoor, door};
use grooved::engine::eq::Band;
use grooved::engine::limiter::Kind;
use grooved::engine::source::Play;
use grooved::engine::source::{StemSource, stream};
use grooved::engine::{Block, Engine, EngineConfig};

/// Frames per block.
pub const BLOCK: usize = 256;
/// Output sample rate in Hz.
pub const RATE: u32 = 48_000;
const SOURCE_RATE: u32 = 44_100;

/// An engine with a graph to render.
pub struct Rig {
    pub engine: Engine,
    pub block: Block,
    _door: ControlDoor,
}

/// Names of the graphs (see [`Rig::new`]).
pub const GRAPHS: [&str; 8] = ["graph", "rates", "pair", "flat", "soft", "loud", "fine", "fine-pair"];

impl Rig {
    /// Creates a rig for a graph:
    ///
    /// - `graph`: 20 stereo stems at 44.1 kHz on four decks, one rate per deck, equalised, crossfaded, limited
    /// - `rates`: the same with 20 different rates
    /// - `pair`: one stem, interpolated, nothing else
    /// - `flat`: `graph` with flat equalisers
    /// - `soft`: `graph` with the soft limiter instead of the look-ahead limiter
    /// - `loud`: `graph`, 12 dB louder: limited all the time
    /// - `fine`, `fine-pair`: `graph` and `pair` with fine interpolation
    pub fn new(graph: &str) -> Rig {
        let fine = graph.starts_with("fine");
        let pair = graph.ends_with("pair");
        let config = EngineConfig {
            sample_rate: RATE,
            limiter: if graph == "soft" { Kind::Soft } else { Kind::LookAhead },
            interpolation: if fine { Quality::Fine } else { Quality::Standard },
            ..EngineConfig::default()
        };
        let (inner, mut outer) = door(config.slots, 2);
        let engine = Engine::new(&config, inner);
        let count = if pair { 1 } else { 20 };
        let mut actions = Vec::new();
        for k in 0..count {
            let deck = k % 4;
            let frames = if pair { 2 * SOURCE_RATE as usize } else { 10 * SOURCE_RATE as usize };
            let wave = |offset: u32| -> Box<[f32]> {
                (0..frames as u32)
                    .map(|i| {
                        let noise = (i.wrapping_mul(2_654_435_761).wrapping_add(offset * 77) as i32) as f32 / 2.2e9;
                        let tone = (f64::from(i) * 0.01 * f64::from(k as u32 + 1 + offset)).sin() as f32;
                        0.12 * tone + 0.1 * noise
                    })
                    .collect()
            };
            // Nothing is streamed: the work of the reader threads is measured elsewhere.
            let ((a, _), (b, _)) = (stream(1), stream(1));
            let source = Box::new(StemSource {
                frames: frames as u64,
                sample_rate: SOURCE_RATE,
                head_left: wave(0),
                head_right: wave(1),
                streams: [a, b],
            });
            let rate = match graph {
                "rates" => 0.9 + 0.01 * k as f64,
                _ => [0.95, 1.0, 1.03, 1.08][deck],
            };
            let play = Play { from: 0, start: 0, end: frames as u64, looped: true };
            let slot = k as u16;
            actions.push(Action::Install { slot, deck, source });
            actions.push(Action::Start { slot, play, rate, gain: [1.0, 0.9, 0.8, 0.7, 0.6][k / 4], exact: false });
        }
        if !pair && graph != "flat" {
            for deck in 0..4 {
                for (band, gain) in [(Band::Low, 1.25), (Band::Mid, 0.7), (Band::High, 1.5)] {
                    actions.push(Action::Eq { deck, band, gain });
                }
            }
        }
        for (deck, gain) in [(0, 0.707), (1, 0.707)] {
            actions.push(Action::Fader { deck, gain, frames: None });
        }
        actions.push(Action::Master { gain: if graph == "loud" { 3.2 } else { 0.8 }, frames: None });
        outer.send(actions.into_iter().map(|action| Command { at: None, ticket: 0, action }).collect());
        let mut rig = Rig { engine, block: Block::new(2, BLOCK), _door: outer };
        // One-time work is done.
        for _ in 0..64 {
            rig.engine.render(&mut rig.block);
        }
        rig
    }

    /// Renders `seconds` of sound, block by block.
    pub fn run(&mut self, seconds: f64) {
        for _ in 0..(seconds * f64::from(RATE) / BLOCK as f64).round() as usize {
            self.engine.render(&mut self.block);
            std::hint::black_box(self.block.channel(0));
        }
    }
}
