//! Where a splice is heard least: comparing a timeline with itself.

use super::window::Window;
use wide::f32x4;

/// Sample rate of the coarse look, in Hz: what is compared first is the sound below 3 kHz.
const COARSE_RATE: usize = 6_000;
/// Most coarse samples of a look: 160 ms.
const COARSE: usize = 960;
/// Distance between two places tried for the outgoing end, in coarse samples: 4 ms.
const PLACE_STEP: usize = 24;
/// Coarse candidates that get a fine look.
const CANDIDATES: usize = 2;

/// A splice: the outgoing sound is left at frame `leave`, the incoming one entered at frame `enter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Splice {
    /// First frame of the outgoing sound's fade.
    pub leave: i64,
    /// First frame of the incoming sound's fade.
    pub enter: i64,
    /// Length of the fade.
    pub len: usize,
    /// How alike the two are over the fade, from −1 to 1.
    pub likeness: f32,
}

/// What a free splice may be.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The outgoing end lies within these frames.
    pub leave: (i64, i64),
    /// Frame that would be ideal at the first of them.
    pub ideal: f64,
    /// How fast the ideal goes on, frames per frame.
    pub speed: f64,
    /// The incoming beginning lies within these frames.
    pub enter: (i64, i64),
    /// How far it may be from the ideal.
    pub drift: f64,
    /// Least distance of a jump.
    pub jump: i64,
    /// Length of the fade.
    pub len: usize,
}

/// Room for comparisons. Realtime: yes, but for [`Search::new`].
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

/// Energy of both channels of a stretch, at full rate.
fn energy(window: &Window, at: i64, len: usize) -> f32 {
    let (left, right) = window.get(at, len);
    dot(left, left) + dot(right, right)
}

/// Correlation coefficient of two stretches of both channels, at full rate; `energy_a` is that of the first. What
/// cannot be compared is unlike.
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
    /// For sound at `sample_rate`.
    pub fn new(sample_rate: u32) -> Search {
        Search {
            decimation: (sample_rate as usize / COARSE_RATE).max(1),
            out: Box::new([0.0; COARSE]),
            into: Box::new([0.0; COARSE]),
        }
    }

    /// For sound at another rate.
    pub fn retune(&mut self, sample_rate: u32) {
        self.decimation = (sample_rate as usize / COARSE_RATE).max(1);
    }

    /// Both channels, summed or subtracted, at the coarse rate; returns how many samples there are.
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

    /// Whether the difference of the channels says more than their sum.
    fn is_side(window: &Window, from: i64, frames: usize) -> bool {
        let (left, right) = window.get(from, frames);
        dot(left, right) < 0.0
    }

    /// The best splice that fulfils a wish: alike at both ends, and leading far away from the next one.
    pub fn free(&mut self, window: &Window, wish: &Wish) -> Option<Splice> {
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
        // (cost, place, lag), best first.
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
            // Around the coarse place in steps, then between them: what is compared is smooth at this scale.
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

    /// The place for a splice whose jump is given: where the difference of the two is least loud.
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
                // Of places that are alike, the latest: the rounding of sums must not decide.
                if sum <= best.0 + 1e-9 {
                    best = (sum, leave + (k * step) as i64);
                }
            }
        }
        let leave = best.1;
        Splice { leave, enter: leave + jump, len, likeness: likeness(window, leave, leave + jump, len) }
    }
}
