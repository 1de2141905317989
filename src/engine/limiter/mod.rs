//! The last stage of the mix: keeps a pair of outputs below its ceiling.
//!
//! - [`look_ahead`]: lowers the gain before a peak arrives, and leaves everything else untouched; 1.5 ms of delay
//! - [`soft`]: bends peaks; no delay, but some distortion

pub mod ceiling;
pub mod look_ahead;
pub mod soft;

use super::GRID;
use look_ahead::LookAhead;

/// The kind of limiter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Looks 1.5 ms ahead and delays the output by as much.
    LookAhead,
    /// Bends peaks without any delay.
    #[default]
    Soft,
}

/// The limiter of a pair of outputs. Realtime: yes, except [`Limiter::new`].
#[derive(Debug)]
pub enum Limiter {
    /// A limiter with look-ahead (see [`look_ahead`]).
    LookAhead(Box<LookAhead>),
    /// A limiter without delay or state (see [`soft`]).
    Soft,
}

impl Limiter {
    /// Creates a limiter in its initial state. Realtime: no (allocates).
    pub fn new(kind: Kind, sample_rate: u32) -> Limiter {
        match kind {
            Kind::LookAhead => Limiter::LookAhead(Box::new(LookAhead::new(sample_rate))),
            Kind::Soft => Limiter::Soft,
        }
    }

    /// Returns the delay between input and output, in frames.
    pub fn latency(&self) -> usize {
        match self {
            Limiter::LookAhead(limiter) => limiter.latency(),
            Limiter::Soft => 0,
        }
    }

    /// Limits a quantum of both channels in place. Returns, for each, the number of frames that exceeded the limit.
    pub fn process(&mut self, left: &mut [f32; GRID], right: &mut [f32; GRID]) -> [u32; 2] {
        match self {
            Limiter::LookAhead(limiter) => limiter.process(left, right),
            Limiter::Soft => [soft::limit(left), soft::limit(right)],
        }
    }

    /// Handles lost output time: discards the delayed samples.
    pub fn lose(&mut self) {
        if let Limiter::LookAhead(limiter) = self {
            limiter.forget();
        }
    }
}
