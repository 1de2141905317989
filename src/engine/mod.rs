//! The realtime core: turns commands and samples into blocks of sound.
//!
//! [`Engine::render`] runs on the audio thread (live) or on any thread of an offline renderer. It does no I/O, starts
//! no threads, takes no locks, makes no system calls, and neither allocates nor frees after construction. It knows no
//! files, sockets, devices or configuration. Everything it needs is built elsewhere and moved in through [`door`];
//! everything it no longer needs moves out the same way and is freed elsewhere.
//!
//! Whatever the caller's block size, the engine works in quanta of [`GRID`] frames of its own sample time and keeps the
//! remainder, so the output is bit-identical for every period size.
//!
//! - [`door`]: the interface to other threads: commands, events, retired objects, telemetry
//! - [`command`]: commands the engine accepts and events it emits
//! - [`schedule`]: commands waiting for their sample time
//! - [`clock`]: the music clock (tempo, beats); [`timebase`]: maps sample time to seconds
//! - [`source`]: where samples come from: resident heads and streamed rings
//! - [`stem`]: playback of one loaded stem by two heads that crossfade into each other
//! - [`group`]: stems of a deck at one rate: one position, one interpolation
//! - [`plan`]: groups that keep their pitch at any tempo; [`method`]: the methods of changing tempo
//! - [`cover`]: higher-quality sound from a worker that replaces the group's own when it is ready
//! - [`deck`]: groups, equaliser, level
//! - [`voices`]: the instruments' sound, rendered by a worker
//! - [`tape`]: rendered audio on its way to a recording
//! - [`outlet`]: pairs of output channels; [`limiter`]: keeps them below their ceiling
//! - [`eq`], [`meter`], [`ramp`], [`tone`]: smaller building blocks

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
mod ring;
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

/// Number of decks (A to D).
pub const DECKS: usize = 4;

/// Length of an ordinary ramp (starts, stops, levels, gains), in milliseconds.
pub const RAMP_MS: f64 = 5.0;

/// A block of output: one plane of samples per channel.
#[derive(Debug)]
pub struct Block {
    planes: Box<[Box<[f32]>]>,
    frames: usize,
}

impl Block {
    /// Creates a silent block with a capacity of `capacity` frames. Realtime: no (allocates).
    pub fn new(channels: usize, capacity: usize) -> Block {
        Block { planes: (0..channels).map(|_| vec![0.0; capacity].into_boxed_slice()).collect(), frames: capacity }
    }

    /// Returns the number of channels.
    pub fn channels(&self) -> usize {
        self.planes.len()
    }

    /// Returns the number of frames in use.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Sets the number of frames in use, at most the capacity.
    pub fn set_frames(&mut self, frames: usize) {
        self.frames = frames.min(self.planes.first().map_or(0, |p| p.len()));
    }

    /// Returns the samples of one channel; empty if there is no such channel.
    pub fn channel(&self, index: usize) -> &[f32] {
        self.planes.get(index).map_or(&[], |p| &p[..self.frames])
    }

    /// Returns the samples of one channel for writing; empty if there is no such channel.
    pub fn channel_mut(&mut self, index: usize) -> &mut [f32] {
        let frames = self.frames;
        self.planes.get_mut(index).map_or(&mut [], |p| &mut p[..frames])
    }

    /// Fills all channels with silence.
    pub fn clear(&mut self) {
        for plane in &mut self.planes {
            plane.fill(0.0);
        }
    }
}
