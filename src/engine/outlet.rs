//! The way out of the engine: pairs of output channels, each with its limiter and its meters.

use super::GRID;
use super::deck::Deck;
use super::limiter::{Kind, Limiter};
use super::meter::{Meter, MeterCell};

/// A pair of output channels. Realtime: yes, but for [`Outlet::new`].
#[derive(Debug)]
pub struct Outlet {
    /// The quantum at hand, left channel.
    pub left: [f32; GRID],
    /// The right channel of it.
    pub right: [f32; GRID],
    limiter: Limiter,
    meters: [Meter; 2],
}

impl Outlet {
    /// A silent pair.
    pub fn new(sample_rate: u32, limiter: Kind) -> Outlet {
        Outlet {
            left: [0.0; GRID],
            right: [0.0; GRID],
            limiter: Limiter::new(limiter, sample_rate),
            meters: [Meter::new(sample_rate), Meter::new(sample_rate)],
        }
    }

    /// Frames by which what comes out is behind what was mixed.
    pub fn latency(&self) -> usize {
        self.limiter.latency()
    }

    /// Makes the quantum silent, to be mixed into.
    pub fn clear(&mut self) {
        self.left = [0.0; GRID];
        self.right = [0.0; GRID];
    }

    /// Limits and measures the mixed quantum: from here on it is what comes out.
    pub fn finish(&mut self, cells: &[MeterCell; 2]) {
        let over = self.limiter.process(&mut self.left, &mut self.right);
        let planes = [&self.left, &self.right];
        for (((plane, meter), cell), over) in planes.into_iter().zip(&mut self.meters).zip(cells).zip(over) {
            cell.add_clips(over);
            meter.measure(plane, cell);
        }
    }

    /// The output lost time: what is held back is not to be heard any more.
    pub fn lose(&mut self) {
        self.limiter.lose();
    }
}

/// Holds the decks back as long as the limiters hold the outputs back, for a recording of both. Realtime: yes, but for
/// [`Delay::new`].
#[derive(Debug)]
pub struct Delay {
    /// By deck, both channels: what is held back, then room for a quantum.
    planes: Box<[[Box<[f32]>; 2]]>,
    latency: usize,
}

impl Delay {
    /// Holds `decks` decks back by `latency` frames.
    pub fn new(decks: usize, latency: usize) -> Delay {
        let plane = || vec![0.0; latency + GRID].into_boxed_slice();
        Delay { planes: (0..decks).map(|_| [plane(), plane()]).collect(), latency }
    }

    /// Forgets what is held back.
    pub fn forget(&mut self) {
        self.planes.iter_mut().flatten().for_each(|plane| plane.fill(0.0));
    }

    /// Takes the decks' quantum.
    pub fn take(&mut self, decks: &[Deck]) {
        for (planes, deck) in self.planes.iter_mut().zip(decks) {
            for (plane, new) in planes.iter_mut().zip([&deck.left, &deck.right]) {
                plane.copy_within(GRID.., 0);
                plane[self.latency..].copy_from_slice(new);
            }
        }
    }

    /// What comes out of it now: of each deck, left and right.
    pub fn out(&self) -> impl Iterator<Item = &[f32; GRID]> {
        self.planes.iter().flatten().filter_map(|plane| plane.first_chunk())
    }
}
