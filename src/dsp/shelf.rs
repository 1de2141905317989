//! A steep shelf: one gain below a crossover frequency, another above it, eighth order.
//!
//! The poles are those of an eighth-order Butterworth filter at the crossover and never move; only the zeros follow
//! the two gains (after Holters & Zölzer, "Parametric higher-order shelving filters", EUSIPCO 2006). That has three
//! consequences which make it a DJ's kill filter:
//!
//! - With both gains at one the zeros sit on the poles and the output *is* the input: no phase shift, no delay, so
//!   entering and leaving the equaliser needs no crossfade between two differently delayed copies, hence no comb.
//! - With one gain at zero it is a plain eighth-order Butterworth high- or low-pass (48 dB per octave: 72 dB one and
//!   a half octaves beyond the crossover).
//! - The recursive part does not depend on the gains, so they may move with every sample without a transient.

use wide::f64x2;

/// Second-order sections in a shelf.
const SECTIONS: usize = 4;
/// Filter order; a gain `g` is spread over this many zeros.
const ORDER: f64 = 2.0 * SECTIONS as f64;

/// What a shelf does to a stereo signal; see the module's text.
#[derive(Clone, Debug)]
pub struct Shelf {
    k: f64,
    damping: [f64; SECTIONS],
    recursive: [[f64; 2]; SECTIONS],
    norm: [f64; SECTIONS],
    /// By section: the last two values of the recursion, both channels each.
    state: [[f64x2; 2]; SECTIONS],
    below: f64,
    above: f64,
    /// The zeros of these gains.
    zeros: Zeros,
}

/// The part that follows the gains: the numerators.
///
/// While gains move, the numerators themselves are interpolated: every value in between is a mix of two sound filters.
/// While they rest, each is used with its leading factor taken out, which saves a multiplication per section; those
/// must not be interpolated (on the way from one set to another they can be anything).
#[derive(Clone, Copy, Debug)]
struct Zeros {
    /// By section: all three coefficients.
    whole: [[f64; 3]; SECTIONS],
    /// By section: the last two, over the first.
    scaled: [[f64; 2]; SECTIONS],
    /// The product of the first ones.
    gain: f64,
}

impl Shelf {
    /// A transparent shelf with its crossover at `crossover_hz`.
    ///
    /// The frequency is clamped to 10 Hz … 45 % of the sample rate, where the bilinear transform is well behaved.
    pub fn new(crossover_hz: f64, sample_rate_hz: f64) -> Shelf {
        let hz = crossover_hz.clamp(10.0, 0.45 * sample_rate_hz);
        let k = (std::f64::consts::PI * hz / sample_rate_hz).tan();
        let mut shelf = Shelf {
            k,
            damping: [0.0; SECTIONS],
            recursive: [[0.0; 2]; SECTIONS],
            norm: [0.0; SECTIONS],
            state: [[f64x2::ZERO; 2]; SECTIONS],
            below: 1.0,
            above: 1.0,
            zeros: Zeros { whole: [[0.0; 3]; SECTIONS], scaled: [[0.0; 2]; SECTIONS], gain: 1.0 },
        };
        for s in 0..SECTIONS {
            let zeta = ((2 * s + 1) as f64 * std::f64::consts::PI / (2.0 * ORDER)).sin();
            let d0 = 1.0 + 2.0 * zeta * k + k * k;
            shelf.damping[s] = zeta;
            shelf.norm[s] = 1.0 / d0;
            shelf.recursive[s] = [(2.0 * k * k - 2.0) / d0, (1.0 - 2.0 * zeta * k + k * k) / d0];
        }
        shelf.zeros = shelf.zeros_of(1.0, 1.0);
        shelf
    }

    fn zeros_of(&self, below: f64, above: f64) -> Zeros {
        // The eighth root, by three square roots: the same bits on every machine.
        let a = below.max(0.0).sqrt().sqrt().sqrt();
        let b = above.max(0.0).sqrt().sqrt().sqrt();
        let (aa, bb) = (a * a * self.k * self.k, b * b);
        let mut zeros = Zeros { whole: [[0.0; 3]; SECTIONS], scaled: [[0.0; 2]; SECTIONS], gain: 1.0 };
        for s in 0..SECTIONS {
            let middle = 2.0 * self.damping[s] * a * b * self.k;
            let (first, second, third) = (bb + middle + aa, 2.0 * (aa - bb), bb - middle + aa);
            zeros.whole[s] = [first, second, third].map(|c| c * self.norm[s]);
            zeros.gain *= first * self.norm[s];
            if first > 0.0 {
                zeros.scaled[s] = [second / first, third / first];
            }
        }
        zeros
    }

    /// Whether the shelf passes its input unchanged and can be left out.
    pub fn is_transparent(&self) -> bool {
        self.below == 1.0 && self.above == 1.0
    }

    /// Forgets the past. Only sensible while the shelf is transparent: its output does not depend on it then.
    pub fn forget(&mut self) {
        self.state = [[f64x2::ZERO; 2]; SECTIONS];
    }

    /// Filters stereo frames in place while the gains move linearly from where they were to `below` and `above`.
    ///
    /// Realtime: yes.
    pub fn process(&mut self, rows: &mut [f64x2], below: f64, above: f64) {
        let n = rows.len();
        if n == 0 {
            return;
        }
        let moving = below != self.below || above != self.above;
        let from = self.zeros;
        let to = if moving { self.zeros_of(below, above) } else { from };
        self.below = below;
        self.above = above;
        self.zeros = to;
        if moving {
            self.glide(rows, &from, &to);
            return;
        }
        for s in (0..SECTIONS).step_by(2) {
            let poles = [self.recursive[s], self.recursive[s + 1]].map(|p| p.map(f64x2::splat));
            let zeros = [to.scaled[s], to.scaled[s + 1]].map(|z| z.map(f64x2::splat));
            let (first, second) = self.state.split_at_mut(s + 1);
            still(rows, poles, zeros, [&mut first[s], &mut second[0]]);
        }
        let gain = f64x2::splat(to.gain);
        rows.iter_mut().for_each(|row| *row *= gain);
    }

    /// Filters while the numerators move in a straight line.
    fn glide(&mut self, rows: &mut [f64x2], from: &Zeros, to: &Zeros) {
        let scale = 1.0 / rows.len() as f64;
        for s in 0..SECTIONS {
            let poles = self.recursive[s].map(f64x2::splat);
            let state = &mut self.state[s];
            let mut zeros = from.whole[s].map(f64x2::splat);
            let step: [f64x2; 3] = std::array::from_fn(|k| f64x2::splat((to.whole[s][k] - from.whole[s][k]) * scale));
            for row in rows.iter_mut() {
                for k in 0..3 {
                    zeros[k] += step[k];
                }
                let w = *row - poles[0] * state[0] - poles[1] * state[1];
                *row = zeros[0] * w + zeros[1] * state[0] + zeros[2] * state[1];
                *state = [w, state[0]];
            }
        }
    }
}

/// One second-order section in direct form II, both channels at once: in this form the recursion is the same
/// whatever the zeros are. Returns what comes out and the new state.
#[inline(always)]
fn section(x: f64x2, poles: [f64x2; 2], zeros: [f64x2; 2], [new, old]: [f64x2; 2]) -> (f64x2, f64x2) {
    let w = x - poles[0] * new - poles[1] * old;
    (w + zeros[0] * new + zeros[1] * old, w)
}

/// Two sections whose zeros rest, one behind the other, over a row of frames. Two at a time, so that what is between
/// them stays in registers; and two frames at a time, so that the states need not be moved about.
#[inline]
fn still(rows: &mut [f64x2], poles: [[f64x2; 2]; 2], zeros: [[f64x2; 2]; 2], states: [&mut [f64x2; 2]; 2]) {
    let [mut a, mut b] = [*states[0], *states[1]];
    let (pairs, rest) = rows.as_chunks_mut::<2>();
    for [first, second] in pairs {
        let (x, w) = section(*first, poles[0], zeros[0], a);
        a[1] = w;
        let (y, w) = section(x, poles[1], zeros[1], b);
        b[1] = w;
        *first = y;
        let (x, w) = section(*second, poles[0], zeros[0], [a[1], a[0]]);
        a[0] = w;
        let (y, w) = section(x, poles[1], zeros[1], [b[1], b[0]]);
        b[0] = w;
        *second = y;
    }
    for row in rest {
        let (x, w) = section(*row, poles[0], zeros[0], a);
        a = [w, a[0]];
        let (y, w) = section(x, poles[1], zeros[1], b);
        b = [w, b[0]];
        *row = y;
    }
    *states[0] = a;
    *states[1] = b;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gain_db(shelf: &mut Shelf, hz: f64, below: f64, above: f64) -> f64 {
        let n = 48_000;
        let mut rows: Vec<f64x2> =
            (0..n).map(|i| f64x2::splat((2.0 * std::f64::consts::PI * hz * i as f64 / 48_000.0).sin())).collect();
        shelf.process(&mut rows[..32], below, above);
        shelf.process(&mut rows[32..], below, above);
        let tail = &rows[n / 2..];
        let rms = (tail.iter().map(|x| x.to_array()[0].powi(2)).sum::<f64>() / tail.len() as f64).sqrt();
        20.0 * (rms * std::f64::consts::SQRT_2).log10()
    }

    #[test]
    fn a_killed_side_is_gone_one_and_a_half_octaves_away_and_the_other_untouched() {
        for crossover in [200.0, 2_000.0] {
            let far = 2f64.powf(1.5);
            let mut shelf = Shelf::new(crossover, 48_000.0);
            assert!(gain_db(&mut shelf, crossover / far, 0.0, 1.0) < -66.0);
            assert!(gain_db(&mut shelf, crossover * far, 0.0, 1.0).abs() < 0.05);
            let mut shelf = Shelf::new(crossover, 48_000.0);
            assert!(gain_db(&mut shelf, crossover * far, 1.0, 0.0) < -66.0);
            assert!(gain_db(&mut shelf, crossover / far, 1.0, 0.0).abs() < 0.05);
            assert!((gain_db(&mut Shelf::new(crossover, 48_000.0), crossover, 0.0, 1.0) + 3.0).abs() < 0.1);
        }
    }

    #[test]
    fn at_unity_the_output_is_the_input_whatever_came_before() {
        let mut shelf = Shelf::new(200.0, 48_000.0);
        let noise: Vec<f64x2> =
            (0..4096u32).map(|i| f64x2::splat(f64::from(i.wrapping_mul(2_654_435_761) as i32) / 2.2e9)).collect();
        let mut rows = noise.clone();
        shelf.process(&mut rows, 0.1, 0.9);
        let mut rows = noise.clone();
        shelf.process(&mut rows[..32], 1.0, 1.0);
        shelf.process(&mut rows[32..], 1.0, 1.0);
        assert!(shelf.is_transparent());
        for (a, b) in noise[32..].iter().zip(&rows[32..]) {
            let (a, b) = (a.to_array()[0], b.to_array()[0]);
            assert!((a - b).abs() <= a.abs() * 1e-9 + 1e-12);
        }
    }
}
