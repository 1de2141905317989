//! The last stage of the mix: keeps a pair of outputs under its ceiling.
//!
//! - [`look_ahead`]: turns the gain down before a peak is there, and so late that nothing else is touched; the default
//! - [`soft`]: bends peaks; without delay, but not without distortion

pub mod look_ahead;
pub mod soft;

use super::GRID;
use look_ahead::LookAhead;

/// −0.3 dBFS: nothing gets past this.
pub const CEILING: f32 = 0.966_050_9;

/// Which limiter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Looks 1.5 ms ahead, and delays the output by as much.
    LookAhead,
    /// Without delay.
    #[default]
    Soft,
}

/// The limiter of a pair of outputs. Realtime: yes, but for [`Limiter::new`].
#[derive(Debug)]
pub enum Limiter {
    /// See [`look_ahead`].
    LookAhead(Box<LookAhead>),
    /// See [`soft`].
    Soft,
}

impl Limiter {
    /// A limiter that has heard nothing yet.
    pub fn new(kind: Kind, sample_rate: u32) -> Limiter {
        match kind {
            Kind::LookAhead => Limiter::LookAhead(Box::new(LookAhead::new(sample_rate))),
            Kind::Soft => Limiter::Soft,
        }
    }

    /// Frames by which the output is behind the input.
    pub fn latency(&self) -> usize {
        match self {
            Limiter::LookAhead(limiter) => limiter.latency(),
            Limiter::Soft => 0,
        }
    }

    /// Limits a quantum of both channels in place. Returns, for each, how many frames would have gone past the limit.
    pub fn process(&mut self, left: &mut [f32; GRID], right: &mut [f32; GRID]) -> [u32; 2] {
        match self {
            Limiter::LookAhead(limiter) => limiter.process(left, right),
            Limiter::Soft => [soft::limit(left), soft::limit(right)],
        }
    }

    /// The output lost time: what is held back is not to be heard any more.
    pub fn lose(&mut self) {
        if let Limiter::LookAhead(limiter) = self {
            limiter.forget();
        }
    }
}
