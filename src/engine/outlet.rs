//! The engine's outputs: pairs of channels, each with its limiter and meters.

use super::GRID;
use super::deck::Deck;
use super::limiter::{Kind, Limiter};
use super::meter::{Meter, MeterCell};

/// A pair of output channels. Realtime: yes, except [`Outlet::new`].
#[derive(Debug)]
pub struct Outlet {
    /// Left channel of the current quantum.
    pub left: [f32; GRID],
    /// Right channel of the current quantum.
    pub right: [f32; GRID],
    limiter: Limiter,
    meters: [Meter; 2],
}

impl Outlet {
    /// Creates a silent pair. Realtime: no (allocates).
    pub fn new(sample_rate: u32, limiter: Kind) -> Outlet {
        Outlet {
            left: [0.0; GRID],
            right: [0.0; GRID],
            limiter: Limiter::new(limiter, sample_rate),
            meters: [Meter::new(sample_rate), Meter::new(sample_rate)],
        }
    }

    /// Returns the limiter's delay, in frames.
    pub fn latency(&self) -> usize {
        self.limiter.latency()
    }

    /// Clears the quantum before mixing.
    pub fn clear(&mut self) {
        self.left = [0.0; GRID];
        self.right = [0.0; GRID];
    }

    /// Limits and measures the mixed quantum, which then holds the output samples.
    pub fn finish(&mut self, cells: &[MeterCell; 2]) {
        let over = self.limiter.process(&mut self.left, &mut self.right);
        let planes = [&self.left, &self.right];
        for (((plane, meter), cell), over) in planes.into_iter().zip(&mut self.meters).zip(cells).zip(over) {
            cell.add_clips(over);
            meter.measure(plane, cell);
        }
    }

    /// Handles lost output time: discards the limiter's delayed samples.
    pub fn lose(&mut self) {
        self.limiter.lose();
    }
}

/// A delay line for the decks that matches the limiters' delay, for recordings of both. Realtime: yes, except
/// [`Delay::new`].
#[derive(Debug)]
pub struct Delay {
    /// By deck, both channels: the delayed samples, then space for one quantum.
    planes: Box<[[Box<[f32]>; 2]]>,
    latency: usize,
}

impl Delay {
    /// Creates a delay of `latency` frames for `decks` decks. Realtime: no (allocates).
    pub fn new(decks: usize, latency: usize) -> Delay {
        let plane = || vec![0.0; latency + GRID].into_boxed_slice();
        Delay { planes: (0..decks).map(|_| [plane(), plane()]).collect(), latency }
    }

    /// Clears the delay lines.
    pub fn forget(&mut self) {
        self.planes.iter_mut().flatten().for_each(|plane| plane.fill(0.0));
    }

    /// Takes in the decks' current quantum.
    pub fn take(&mut self, decks: &[Deck]) {
        for (planes, deck) in self.planes.iter_mut().zip(decks) {
            for (plane, new) in planes.iter_mut().zip([&deck.left, &deck.right]) {
                plane.copy_within(GRID.., 0);
                plane[self.latency..].copy_from_slice(new);
            }
        }
    }

    /// Returns the delayed quantum: for each deck, left and right.
    pub fn out(&self) -> impl Iterator<Item = &[f32; GRID]> {
        self.planes.iter().flatten().filter_map(|plane| plane.first_chunk())
    }
}
