//! Rubber Band's finer engine, kept on an exact course.
//!
//! The library is given a ratio and reports how many frames that yields; the input position of its output follows only
//! from counting both: it holds back half a block of input, and about as much output. The ratio is corrected by the
//! deviation of the count, so that hours of output stay on the beat.

use super::machine::Machine;
use crate::dsp::splice::window::Window;
use crate::system::rubberband::{MOST, Stretcher};

/// Fraction of its reported delay by which the library holds back less: measured from half to double speed, ±0.015.
const LESS: f64 = 1.0 / 16.0;
/// Time constant for smoothing the counts, which advance in hops, in seconds.
const SMOOTH_S: f64 = 0.1;
/// Time in which an error is corrected, in seconds.
const MEND_S: f64 = 0.3;
/// Maximum correction, as a share of the speed.
const MOST_MEND: f64 = 0.03;
/// Output frames the library may have ready beyond the requested ones.
const READY: f64 = 1024.0;
/// Maximum speed requested from the library: double speed, an octave down.
const FASTEST: f64 = 4.0;

/// A stretcher that uses the Rubber Band library. Realtime: no.
pub struct RubberBand {
    library: Stretcher,
    window: Window,
    rate: f64,
    /// The next input frame to be given to the library.
    next: i64,
    /// Output frames still to be discarded; `None` until the first ratio is known.
    discard: Option<usize>,
    /// Smoothed error, in output frames: what the library holds back besides half a block of input, beyond its delay.
    off: f64,
}

impl RubberBand {
    /// Creates a stretcher with room to be fed `more` frames ahead; `None` if the library does not support the sample
    /// rate.
    pub fn new(sample_rate: u32, more: usize) -> Option<RubberBand> {
        let rate = f64::from(sample_rate);
        let library = Stretcher::new(sample_rate)?;
        let mut band = RubberBand {
            window: Window::new(2 * ahead(&library, FASTEST) as usize + more),
            library,
            rate,
            next: 0,
            discard: None,
            off: 0.0,
        };
        band.begin(0, 0);
        Some(band)
    }

    fn begin(&mut self, at: i64, play: i64) {
        self.window.restart(at);
        self.library.reset();
        self.next = play - self.library.pad() as i64;
        (self.discard, self.off) = (None, 0.0);
    }

    /// Gives the library its next frames, if they have been fed.
    fn give(&mut self) {
        if self.next + MOST as i64 > self.window.filled() {
            return;
        }
        let (mut left, mut right) = ([0.0; MOST], [0.0; MOST]);
        for (k, (l, r)) in left.iter_mut().zip(&mut right).enumerate() {
            (*l, *r) = self.window.frame(self.next + k as i64);
        }
        self.library.process(&left, &right);
        self.next += MOST as i64;
    }

    /// Returns the corrected speed that brings the output to its ideal position.
    fn mended(&mut self, ideal: f64, speed: f64, frames: usize) -> f64 {
        let ready = self.library.available() as f64;
        let held = (self.next as f64 - ideal - self.library.pad() as f64) / speed - ready;
        let off = held - self.library.delay() as f64 * (1.0 - LESS);
        self.off += (frames as f64 / (SMOOTH_S * self.rate)).min(1.0) * (off - self.off);
        speed * (1.0 - (self.off / (MEND_S * self.rate)).clamp(-MOST_MEND, MOST_MEND))
    }
}

/// Returns the input frames needed beyond the playhead.
fn ahead(library: &Stretcher, speed: f64) -> i64 {
    let held = library.pad() as f64 + speed * (library.delay() as f64 + READY);
    held as i64 + MOST as i64
}

impl Machine for RubberBand {
    fn wants(&self, ideal: f64, speed: f64) -> i64 {
        ideal as i64 + ahead(&self.library, speed)
    }

    fn fed(&self) -> i64 {
        self.window.filled()
    }

    fn feed(&mut self, left: &[f32], right: &[f32]) {
        let frames = left.len().min(right.len());
        let (l, r) = self.window.extend(frames, self.next);
        l.copy_from_slice(&left[..frames]);
        r.copy_from_slice(&right[..frames]);
    }

    fn render(&mut self, ideal: f64, speed: f64, left: &mut [f32], right: &mut [f32]) {
        let frames = left.len().min(right.len());
        let mut discard = match self.discard {
            Some(discard) => discard,
            None => {
                self.library.set_ratio(1.0 / speed);
                self.library.delay()
            }
        };
        // The library yields output every few pieces; if it does not, the rest is silence.
        let most = 64 + discard / 16;
        for _ in 0..most {
            if self.library.available() >= discard + frames {
                break;
            }
            self.give();
        }
        while discard > 0 {
            let n = discard.min(frames);
            match self.library.retrieve(&mut left[..n], &mut right[..n]) {
                0 => break,
                got => discard -= got,
            }
        }
        self.discard = Some(discard);
        let got = self.library.retrieve(left, right);
        left[got..].fill(0.0);
        right[got..].fill(0.0);
        let mended = self.mended(ideal + speed * frames as f64, speed, frames);
        self.library.set_ratio(1.0 / mended);
    }

    fn restart(&mut self, at: i64, play: i64, _: i64) {
        self.begin(at, play);
    }

    fn keep_formants(&mut self, factor: Option<f64>) {
        self.library.set_formants(factor.map_or(0.0, f64::recip));
    }
}
