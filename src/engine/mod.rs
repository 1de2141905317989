//! The realtime world: a pure machine that turns commands and samples into sound.
//!
//! [`Engine::render`] runs on the audio thread (live) or wherever an offline renderer likes. It does no I/O, starts
//! no thread, takes no lock, makes no system call, and neither allocates nor frees after construction. It knows no
//! file, socket, device or configuration. Everything it needs is built elsewhere and moved in through
//! [`door`]; everything it is done with moves out the same way and is freed elsewhere.
//!
//! Whatever the caller's block size, the engine works in quanta of [`GRID`] frames of its own sample time and keeps
//! what is left over, so the output is the same to the bit for every period size.
//!
//! - [`door`]: the way in and out: commands, events, retired objects, telemetry
//! - [`command`]: what can be asked of the engine, and what it reports
//! - [`schedule`]: commands that wait for their sample
//! - [`clock`]: the music clock (tempo, beats) and the time base that ties samples to seconds
//! - [`source`]: where samples come from: resident heads and streamed rings
//! - [`stem`]: one loaded stem being played: two heads that fade into each other
//! - [`group`]: stems of a deck at one rate: one position, one interpolation
//! - [`plan`]: the same for stems that keep their pitch at any tempo; [`method`]: which ways there are
//! - [`cover`]: better sound from a worker, laid over it
//! - [`deck`]: groups, equaliser, level
//! - [`voices`]: the instruments' sound, made by a worker
//! - [`tape`]: what is rendered, on its way to a recording
//! - [`outlet`]: pairs of outputs; [`limiter`]: what keeps them under their ceiling
//! - [`eq`], [`meter`], [`ramp`], [`tone`]: the small parts

pub mod clock;
pub mod command;
mod config;
pub mod cover;
pub mod deck;
pub mod door;
pub mod eq;
pub mod group;
pub mod limiter;
mod machine;
pub mod meter;
pub mod method;
pub mod outlet;
pub mod plan;
pub mod ramp;
pub mod schedule;
pub mod source;
pub mod stem;
pub mod tape;
#[cfg(test)]
mod tests;
pub mod timebase;
pub mod tone;
pub mod voices;

pub use config::EngineConfig;
pub use machine::Engine;

/// Frames between two evaluations of anything that changes with time (ramps, tempo, commands without a time).
///
/// 32 frames are 0.67 ms at 48 kHz: finer than a control needs, coarse enough to be cheap.
pub const GRID: usize = 32;

/// Decks, A to D.
pub const DECKS: usize = 4;

/// Length of an ordinary ramp: starts, stops, levels, gains.
pub const RAMP_MS: f64 = 5.0;

/// A block of output: one plane of samples per channel.
#[derive(Debug)]
pub struct Block {
    planes: Box<[Box<[f32]>]>,
    frames: usize,
}

impl Block {
    /// A silent block of up to `capacity` frames. Realtime: no (allocates).
    pub fn new(channels: usize, capacity: usize) -> Block {
        Block { planes: (0..channels).map(|_| vec![0.0; capacity].into_boxed_slice()).collect(), frames: capacity }
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.planes.len()
    }

    /// Frames in use.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Uses the first `frames` frames, at most the capacity.
    pub fn set_frames(&mut self, frames: usize) {
        self.frames = frames.min(self.planes.first().map_or(0, |p| p.len()));
    }

    /// The samples of one channel; empty for a channel that is not there.
    pub fn channel(&self, index: usize) -> &[f32] {
        self.planes.get(index).map_or(&[], |p| &p[..self.frames])
    }

    /// The samples of one channel, to be written.
    pub fn channel_mut(&mut self, index: usize) -> &mut [f32] {
        let frames = self.frames;
        self.planes.get_mut(index).map_or(&mut [], |p| &mut p[..frames])
    }

    /// Silence everywhere.
    pub fn clear(&mut self) {
        for plane in &mut self.planes {
            plane.fill(0.0);
        }
    }
}
