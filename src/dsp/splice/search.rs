//! Finds the least audible position for a splice by comparing a timeline with itself.

use super::window::Window;
use wide::f32x4;

/// Sample rate of the coarse search, in Hz: it compares the sound below 3 kHz.
const COARSE_RATE: usize = 6_000;
/// Maximum number of coarse samples in a search: 160 ms.
const COARSE: usize = 960;
/// Distance between two positions tried for the outgoing end, in coarse samples: 4 ms.
const PLACE_STEP: usize = 24;
/// Number of coarse candidates that are refined.
const CANDIDATES: usize = 2;

/// A splice: the outgoing sound is left at frame `leave`, the incoming one entered at frame `enter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Splice {
    /// First frame of the outgoing sound's fade.
    pub leave: i64,
    /// First frame of the incoming sound's fade.
    pub enter: i64,
    /// Length of the fade in frames.
    pub len: usize,
    /// Similarity of the two over the fade, from −1 to 1.
    pub likeness: f32,
}

/// Constraints of a free splice.
#[derive(Clone, Copy, Debug)]
pub struct SpliceBounds {
    /// Range of frames for the outgoing end.
    pub leave: (i64, i64),
    /// Ideal position at the first of them.
    pub ideal: f64,
    /// Speed of the ideal position, in frames per frame.
    pub speed: f64,
    /// Range of frames for the incoming beginning.
    pub enter: (i64, i64),
    /// Maximum distance from the ideal position.
    pub drift: f64,
    /// Minimum distance of a jump.
    pub jump: i64,
    /// Length of the fade in frames.
    pub len: usize,
}

/// Buffers for comparisons. Realtime: yes, except [`Search::new`].
#[derive(Debug)]
pub struct Search {
    decimation: usize,
    out: Box<[f32; COARSE]>,
    into: Box<[f32; COARSE]>,
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a4, a1), (b4, b1)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [f32x4::ZERO; 2];
    for (k, (x, y)) in a4.iter().zip(b4).enumerate() {
        sums[k & 1] += f32x4::from(*x) * f32x4::from(*y);
    }
    let mut sum = (sums[0] + sums[1]).reduce_add();
    for (x, y) in a1.iter().zip(b1) {
        sum += x * y;
    }
    sum
}

/// Returns the energy of both channels of a section, at full rate.
fn energy(window: &Window, at: i64, len: usize) -> f32 {
    let (left, right) = window.get(at, len);
    dot(left, left) + dot(right, right)
}

/// Returns the correlation coefficient of two sections of both channels, at full rate; `energy_a` is the energy of the
/// first. Sections that cannot be compared count as dissimilar.
fn likeness_to(window: &Window, a: i64, energy_a: f32, b: i64, len: usize) -> f32 {
    if !window.holds(a, len) || !window.holds(b, len) {
        return -1.0;
    }
    let ((al, ar), (bl, br)) = (window.get(a, len), window.get(b, len));
    let energy = energy_a * energy(window, b, len);
    if energy < 1e-18 { 1.0 } else { (dot(al, bl) + dot(ar, br)) / energy.sqrt() }
}

fn likeness(window: &Window, a: i64, b: i64, len: usize) -> f32 {
    likeness_to(window, a, energy(window, a, len), b, len)
}

impl Search {
    /// Creates a search for sound at `sample_rate`.
    pub fn new(sample_rate: u32) -> Search {
        Search {
            decimation: (sample_rate as usize / COARSE_RATE).max(1),
            out: Box::new([0.0; COARSE]),
            into: Box::new([0.0; COARSE]),
        }
    }

    /// Adapts to sound at another rate.
    pub fn retune(&mut self, sample_rate: u32) {
        self.decimation = (sample_rate as usize / COARSE_RATE).max(1);
    }

    /// Computes the sum or difference of both channels at the coarse rate; returns the number of samples.
    fn coarse(window: &Window, from: i64, frames: usize, decimation: usize, side: bool, to: &mut [f32]) -> usize {
        let (left, right) = window.get(from, frames);
        let sign = if side { -1.0 } else { 1.0 };
        let pieces = left.chunks_exact(decimation).zip(right.chunks_exact(decimation));
        let mut count = 0;
        for (to, (l, r)) in to.iter_mut().zip(pieces) {
            *to = l.iter().sum::<f32>() + sign * r.iter().sum::<f32>();
            count += 1;
        }
        count
    }

    /// Returns whether the difference of the channels has more energy than their sum.
    fn is_side(window: &Window, from: i64, frames: usize) -> bool {
        let (left, right) = window.get(from, frames);
        dot(left, right) < 0.0
    }

    /// Returns the best splice within the constraints: similar at both ends, and leading far away from the next one.
    pub fn free(&mut self, window: &Window, wish: &SpliceBounds) -> Option<Splice> {
        let d = self.decimation;
        let reach = wish.len + (wish.leave.1 - wish.leave.0).max(0) as usize;
        let side = Self::is_side(window, wish.leave.0, reach);
        let outs = Self::coarse(window, wish.leave.0, reach, d, side, &mut self.out[..]);
        let enter_from = wish.enter.0.max(window.origin());
        let reach = (wish.enter.1 - enter_from).max(0) as usize + wish.len;
        let ins = Self::coarse(window, enter_from, reach, d, side, &mut self.into[..]);
        let len = wish.len / d;
        if outs < len || ins < len || len == 0 {
            return None;
        }
        // (cost, position, lag), best first.
        let mut found = [(f32::INFINITY, 0usize, 0usize); CANDIDATES];
        let direction = if wish.speed >= 1.0 { 1.0 } else { -1.0 };
        for place in (0..=outs - len).step_by(PLACE_STEP) {
            let template = &self.out[place..place + len];
            let own = dot(template, template);
            let leave = wish.leave.0 + (place * d) as i64;
            let ideal = wish.ideal + wish.speed * (place * d) as f64;
            let mut energy = dot(&self.into[..len], &self.into[..len]);
            let mut last = f32::INFINITY;
            let mut falling = false;
            for lag in 0..=ins - len {
                if lag > 0 {
                    let (old, new) = (self.into[lag - 1], self.into[lag + len - 1]);
                    energy = (energy - old * old + new * new).max(0.0);
                }
                let enter = enter_from + (lag * d) as i64;
                let drift = enter as f64 - ideal;
                if (enter - leave).abs() < wish.jump || drift.abs() > wish.drift {
                    (last, falling) = (f32::INFINITY, false);
                    continue;
                }
                let norm = (own * energy).sqrt();
                let alike = if norm < 1e-9 { 1.0 } else { dot(template, &self.into[lag..lag + len]) / norm };
                let room = 1.0 + direction * drift / wish.drift;
                let cost = (1.03 - alike) / (0.3 + room as f32);
                // Only the bottom of each valley is a candidate.
                if cost > last && falling {
                    Self::keep(&mut found, (last, place, lag - 1));
                }
                falling = cost < last;
                last = cost;
            }
            if falling {
                Self::keep(&mut found, (last, place, ins - len));
            }
        }
        let mut best: Option<(f32, Splice)> = None;
        for (_, place, lag) in found.into_iter().filter(|f| f.0.is_finite()) {
            let leave = wish.leave.0 + (place * d) as i64;
            let ideal = wish.ideal + wish.speed * (place * d) as f64;
            let own = energy(window, leave, wish.len);
            let mut look = |enter: i64| {
                let alike = likeness_to(window, leave, own, enter, wish.len);
                let room = 1.0 + direction * (enter as f64 - ideal) / wish.drift;
                let cost = (1.03 - alike) / (0.3 + room.max(0.0) as f32);
                if enter >= wish.enter.0 && enter <= wish.enter.1 && best.is_none_or(|(c, _)| cost < c) {
                    best = Some((cost, Splice { leave, enter, len: wish.len, likeness: alike }));
                }
                cost
            };
            // Around the coarse position in steps, then between them: the similarity is smooth at this scale.
            let middle = enter_from + (lag * d) as i64;
            let step = (d as i64 / 2).max(1);
            let mut around = (f32::INFINITY, middle);
            for fine in -2..=2 {
                let cost = look(middle + fine * step);
                if cost < around.0 {
                    around = (cost, middle + fine * step);
                }
            }
            let middle = around.1;
            for fine in (1 - step..step).filter(|f| *f != 0) {
                look(middle + fine);
            }
        }
        best.map(|(_, splice)| splice)
    }

    fn keep(found: &mut [(f32, usize, usize); CANDIDATES], new: (f32, usize, usize)) {
        let mut new = new;
        for old in found {
            if new.0 < old.0 {
                std::mem::swap(old, &mut new);
            }
        }
    }

    /// Returns the splice with a given jump where the difference of both ends is quietest.
    ///
    /// The fade begins between `leave` and `leave + places`, and jumps by `jump`.
    pub fn fixed(&mut self, window: &Window, leave: i64, places: usize, jump: i64, len: usize) -> Splice {
        let step = self.decimation;
        let mut best = (f32::INFINITY, leave);
        let count = places / step;
        let reach = len + count * step;
        if window.holds(leave, reach) && window.holds(leave + jump, reach) && count * step < COARSE * step {
            // Energy of the difference in steps, then in fades.
            let pieces = (reach / step).min(COARSE);
            let ((al, ar), (bl, br)) = (window.get(leave, reach), window.get(leave + jump, reach));
            for (k, sum) in self.out[..pieces].iter_mut().enumerate() {
                let range = k * step..(k + 1) * step;
                let mut energy = 0.0;
                for (a, b) in [(al, bl), (ar, br)] {
                    for (x, y) in a[range.clone()].iter().zip(&b[range.clone()]) {
                        energy += (x - y) * (x - y);
                    }
                }
                *sum = energy;
            }
            let fade = (len / step).max(1).min(pieces);
            let mut sum: f32 = self.out[..fade].iter().sum();
            for k in 0..=pieces - fade {
                if k > 0 {
                    sum += self.out[k + fade - 1] - self.out[k - 1];
                }
                // Of equally good positions, the latest: the rounding of sums must not decide.
                if sum <= best.0 + 1e-9 {
                    best = (sum, leave + (k * step) as i64);
                }
            }
        }
        let leave = best.1;
        Splice { leave, enter: leave + jump, len, likeness: likeness(window, leave, leave + jump, len) }
    }
}
