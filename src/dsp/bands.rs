//! Low, mid and high as weights on one set of fixed resonators: a three-band equaliser whose gains can move freely.
//!
//! The response is that of two steep shelves in series. Each is of eighth order: the poles are those of a Butterworth
//! filter at its crossover, and the zeros follow the two gains (after Holters & Zölzer, "Parametric higher-order
//! shelving filters", EUSIPCO 2006). The first shelf has the low gain below the lower crossover and the mid gain above
//! it; the second has unity below the upper crossover and `high / mid` above it.
//!
//! The shelves are not computed in series, because then a killed mid is an attenuation by 72 dB in one filter and an
//! amplification by 72 dB in the next, which cancel only while neither moves. Instead the product of both is expanded
//! into partial fractions, in closed form in the Laplace plane, and each fraction is transformed by the bilinear
//! transform:
//!
//! ```text
//! y[n] = high · x[n] + Σₛ (cₛ₀ · wₛ[n] + cₛ₁ · wₛ[n−1])      wₛ = resonator s of x[n] + x[n−1]
//! ```
//!
//! The eight resonators depend only on the crossovers; the gains affect only the weights `high` and `cₛ`. The output is
//! linear in the weights. Weights that move linearly from one set to another therefore produce exactly the crossfade
//! between the two settled outputs: it has no transient of its own, whatever moves, and never exceeds the louder of the
//! two.
//!
//! A shelf whose two gains are equal has no weights; its resonators are skipped. To make them behave as if they had
//! always run when they are needed again, the part of the input that they would still remember is kept, and they catch
//! up with it.

use wide::f64x2;

/// Second-order sections in one shelf.
const SECTIONS: usize = 4;
/// Order of one shelf; a gain `g` is spread over this many zeros.
const ORDER: f64 = 2.0 * SECTIONS as f64;
/// Maximum number of frames filtered at a time.
pub const SPAN: usize = 32;

/// Gain at which a killed mid band is held (−72 dB): the response is a product, and the high band's factor in it is
/// relative to the mid band's.
pub const MID_FLOOR: f64 = 2.5e-4;

/// A complex number: (real, imaginary).
type Complex = (f64, f64);

fn times(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn inverse(a: Complex) -> Complex {
    let square = a.0 * a.0 + a.1 * a.1;
    (a.0 / square, -a.1 / square)
}

/// Returns `Re(a · conj(b))`.
fn dot(a: Complex, b: Complex) -> f64 {
    a.0 * b.0 + a.1 * b.1
}

/// Returns `a·s² + b·s + c`.
fn quadratic(s: Complex, a: f64, b: f64, c: f64) -> Complex {
    let square = times(s, s);
    (a * square.0 + b * s.0 + c, a * square.1 + b * s.1)
}

/// Returns the dampings of the sections of an eighth-order Butterworth filter.
fn dampings() -> [f64; SECTIONS] {
    std::array::from_fn(|s| ((2 * s + 1) as f64 * std::f64::consts::PI / (2.0 * ORDER)).sin())
}

/// Returns a shelf's numerator at `s`, for the eighth roots `a` and `b` of its gains below and above the crossover `k`.
fn numerator(s: Complex, k: f64, dampings: &[f64; SECTIONS], a: f64, b: f64) -> Complex {
    let factor = |zeta: &f64| quadratic(s, b * b, 2.0 * zeta * a * b * k, a * a * k * k);
    dampings.iter().map(factor).fold((1.0, 0.0), times)
}

/// Weights of one shelf's resonators, for their current and previous values.
type Taps = [[f64; 2]; SECTIONS];

const NONE: Taps = [[0.0; 2]; SECTIONS];

/// The weights for one setting of the gains (see [`Bands::mix`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Weight of the input itself.
    direct: f64,
    /// Weights by shelf.
    taps: [Taps; 2],
    /// Whether each shelf's resonators must process the input. In silence both must: nothing would mask it if they had
    /// to catch up afterwards.
    hears: [bool; 2],
}

impl Mix {
    /// The unchanged input.
    pub const FLAT: Mix = Mix { direct: 1.0, taps: [NONE; 2], hears: [false; 2] };
    /// Silence.
    pub const SILENT: Mix = Mix { direct: 0.0, taps: [NONE; 2], hears: [true; 2] };

    /// Returns whether this mix leaves the input unchanged.
    fn is_flat(&self) -> bool {
        self.direct == 1.0 && self.hears == [false; 2]
    }

    /// Returns the mix at `share` (0 to 1) of the way to `to`; exactly `to` at 1.
    pub fn towards(&self, to: &Mix, share: f64) -> Mix {
        if share >= 1.0 {
            return *to;
        }
        let between = |a: f64, b: f64| a + (b - a) * share;
        let mut mix = *self;
        mix.direct = between(self.direct, to.direct);
        for (tap, to) in mix.taps.as_flattened_mut().iter_mut().zip(to.taps.as_flattened()) {
            *tap = [between(tap[0], to[0]), between(tap[1], to[1])];
        }
        mix.hears = [0, 1].map(|b| self.hears[b] | to.hears[b]);
        mix
    }
}

/// The resonators of one shelf.
#[derive(Clone, Debug)]
struct Bank {
    /// The crossover in the bilinear transform's Laplace plane: `tan(π · crossover / rate)`.
    k: f64,
    dampings: [f64; SECTIONS],
    /// Poles (of each conjugate pair, the upper one).
    poles: [Complex; SECTIONS],
    /// Factors that turn a numerator into the residue at a pole.
    residues: [Complex; SECTIONS],
    /// Recursive coefficients.
    recursive: [[f64; 2]; SECTIONS],
    /// Last two values, both channels each, the latest first.
    state: [[f64x2; 2]; SECTIONS],
    /// The last input processed.
    last: f64x2,
    /// Frames after which the resonators' memory has decayed by 61 dB.
    memory: usize,
    /// Frames skipped since the last one processed.
    missed: usize,
}

impl Bank {
    fn new(k: f64) -> Bank {
        let dampings = dampings();
        let slowest = dampings.into_iter().fold(1.0, f64::min);
        let mut bank = Bank {
            k,
            dampings,
            poles: [(0.0, 0.0); SECTIONS],
            residues: [(0.0, 0.0); SECTIONS],
            recursive: [[0.0; 2]; SECTIONS],
            state: [[f64x2::ZERO; 2]; SECTIONS],
            last: f64x2::ZERO,
            // The slowest pole decays by 1/e within 1 / (ζ·ω).
            memory: (7.0 / (slowest * 2.0 * k)).ceil() as usize,
            missed: 0,
        };
        for (s, zeta) in dampings.into_iter().enumerate() {
            let d0 = 1.0 + 2.0 * zeta * k + k * k;
            bank.poles[s] = (-zeta * k, (1.0 - zeta * zeta).sqrt() * k);
            bank.recursive[s] = [(2.0 * k * k - 2.0) / d0, (1.0 - 2.0 * zeta * k + k * k) / d0];
        }
        bank
    }

    /// Computes the residues, in product with the other shelf with its crossover at `other`.
    fn beside(mut self, other: f64) -> Bank {
        let (dampings, k) = (self.dampings, self.k);
        for (s, pole) in self.poles.iter().enumerate() {
            // The derivative of the own denominator: its other factors differ from the one that is zero here by their
            // damping only. Then the other shelf's denominator.
            let own = dampings.iter().enumerate().filter(|(n, _)| *n != s).map(|(_, zeta)| {
                let factor = 2.0 * k * (zeta - dampings[s]);
                (factor * pole.0, factor * pole.1)
            });
            let derivative = own.fold((0.0, 2.0 * pole.1), times);
            self.residues[s] = inverse(times(derivative, numerator(*pole, other, &dampings, 1.0, 1.0)));
        }
        self
    }

    /// Processes frames without output.
    fn listen(&mut self, sums: &[f64x2]) {
        let poles = self.recursive.map(|p| p.map(f64x2::splat));
        let mut states = self.state;
        for sum in sums {
            for (state, poles) in states.iter_mut().zip(&poles) {
                *state = [*sum - poles[0] * state[0] - poles[1] * state[1], state[0]];
            }
        }
        self.state = states;
    }

    /// Adds the resonators' response (to the input `sums`) to `rows`, which are first scaled by `direct`.
    fn rest(&mut self, rows: &mut [f64x2], sums: &[f64x2], direct: f64, taps: &Taps) {
        let direct = f64x2::splat(direct);
        rest_two(rows, sums, Some(direct), self.pair(0, taps), &mut self.state, 0);
        rest_two(rows, sums, None, self.pair(2, taps), &mut self.state, 2);
    }

    fn pair(&self, s: usize, taps: &Taps) -> [[f64x2; 4]; 2] {
        [s, s + 1].map(|s| {
            let ([a, b], [c, d]) = (self.recursive[s], taps[s]);
            [a, b, c, d].map(f64x2::splat)
        })
    }

    /// Does the same as [`Bank::rest`] while all weights move linearly.
    fn glide(&mut self, rows: &mut [f64x2], sums: &[f64x2], direct: (f64, f64), taps: (&Taps, &Taps)) {
        let share = 1.0 / rows.len().max(1) as f64;
        let poles = self.recursive.map(|p| p.map(f64x2::splat));
        let step = |from: f64, to: f64| f64x2::splat((to - from) * share);
        let steps: [[f64x2; 2]; SECTIONS] =
            std::array::from_fn(|s| std::array::from_fn(|k| step(taps.0[s][k], taps.1[s][k])));
        let mut weights = taps.0.map(|t| t.map(f64x2::splat));
        let (mut through, through_step) = (f64x2::splat(direct.0), step(direct.0, direct.1));
        let mut states = self.state;
        for (row, sum) in rows.iter_mut().zip(sums) {
            through += through_step;
            let mut out = *row * through;
            for s in 0..SECTIONS {
                weights[s] = [weights[s][0] + steps[s][0], weights[s][1] + steps[s][1]];
                let (more, next) = resonate(*sum, poles[s], weights[s], states[s]);
                out += more;
                states[s] = [next, states[s][0]];
            }
            *row = out;
        }
        self.state = states;
    }
}

/// Advances one resonator, both channels at once; returns its contribution to the output and its new value.
#[inline(always)]
fn resonate(x: f64x2, poles: [f64x2; 2], taps: [f64x2; 2], [new, old]: [f64x2; 2]) -> (f64x2, f64x2) {
    let w = x - poles[0] * new - poles[1] * old;
    (taps[0] * w + taps[1] * new, w)
}

/// Adds the response of two resonators (poles and taps of each, with the input `sums`) to `rows`. Two at a time,
/// because the processor has no registers for more, and two frames at a time, so that the states need not be moved.
#[inline(always)]
fn rest_two(
    rows: &mut [f64x2],
    sums: &[f64x2],
    direct: Option<f64x2>,
    [p, q]: [[f64x2; 4]; 2],
    states: &mut [[f64x2; 2]; SECTIONS],
    s: usize,
) {
    let [mut a, mut b] = [states[s], states[s + 1]];
    let scaled = |row: f64x2| direct.map_or(row, |direct| row * direct);
    let (pairs, last) = rows.as_chunks_mut::<2>();
    let (pair_sums, last_sum) = sums.as_chunks::<2>();
    for ([first, second], [x, y]) in pairs.iter_mut().zip(pair_sums) {
        a[1] = *x - p[0] * a[0] - p[1] * a[1];
        b[1] = *x - q[0] * b[0] - q[1] * b[1];
        *first = scaled(*first) + p[2] * a[1] + p[3] * a[0] + q[2] * b[1] + q[3] * b[0];
        a[0] = *y - p[0] * a[1] - p[1] * a[0];
        b[0] = *y - q[0] * b[1] - q[1] * b[0];
        *second = scaled(*second) + p[2] * a[0] + p[3] * a[1] + q[2] * b[0] + q[3] * b[1];
    }
    for (row, x) in last.iter_mut().zip(last_sum) {
        a = [*x - p[0] * a[0] - p[1] * a[1], a[0]];
        b = [*x - q[0] * b[0] - q[1] * b[1], b[0]];
        *row = scaled(*row) + p[2] * a[0] + p[3] * a[1] + q[2] * b[0] + q[3] * b[1];
    }
    [states[s], states[s + 1]] = [a, b];
}

/// The resonators of both shelves, and the latest input. Realtime: yes, except [`Bands::new`].
#[derive(Clone, Debug)]
pub struct Bands {
    banks: [Bank; 2],
    /// A ring of the latest input that a bank has not processed, as much of it as the slower one remembers.
    past: [Box<[f32]>; 2],
    /// Position of the ring's next frame.
    at: usize,
    /// Buffers for the current frames, and for the sums of each with the one before it.
    rows: [f64x2; SPAN],
    sums: [f64x2; SPAN],
}

impl Bands {
    /// Creates silent resonators for crossovers at `low_hz` and `high_hz`. Realtime: no (allocates).
    ///
    /// The frequencies are clamped to 10 Hz … 45 % of the sample rate, where the bilinear transform is well behaved.
    /// They must differ; less than an octave between them makes no sense.
    pub fn new(low_hz: f64, high_hz: f64, sample_rate_hz: f64) -> Bands {
        let [low, high] = [low_hz, high_hz].map(|hz| {
            let hz = hz.clamp(10.0, 0.45 * sample_rate_hz);
            (std::f64::consts::PI * hz / sample_rate_hz).tan()
        });
        let banks = [Bank::new(low).beside(high), Bank::new(high).beside(low)];
        // One more: the first sum takes the frame before it.
        let room = (banks[0].memory.max(banks[1].memory) + 1).next_multiple_of(SPAN);
        let plane = || vec![0.0; room].into_boxed_slice();
        let (rows, sums) = ([f64x2::ZERO; SPAN], [f64x2::ZERO; SPAN]);
        Bands { banks, past: [plane(), plane()], at: 0, rows, sums }
    }

    /// Returns the weights for linear gains of low, mid and high (0 kills, 1 is flat). Realtime: yes; about 2000
    /// instructions.
    pub fn mix(&self, gains: [f64; 3]) -> Mix {
        let [low, mid, high] = gains.map(|gain| gain.max(0.0));
        if low == 0.0 && mid == 0.0 && high == 0.0 {
            return Mix::SILENT;
        }
        let mid = mid.max(MID_FLOOR);
        // Eighth roots, by three square roots: bit-identical on every machine.
        let root = |gain: f64| gain.sqrt().sqrt().sqrt();
        let shelves = [(root(low), root(mid)), (1.0, root(high / mid))];
        let mut mix = Mix { direct: high, ..Mix::FLAT };
        for (b, bank) in self.banks.iter().enumerate() {
            let (below, above) = shelves[b];
            mix.hears[b] = below != above;
            if below == above {
                continue;
            }
            let taps = &mut mix.taps[b];
            for (s, pole) in bank.poles.iter().enumerate() {
                let values = self.banks.iter().zip(shelves);
                let values = values.map(|(b, (below, above))| numerator(*pole, b.k, &b.dampings, below, above));
                let residue = values.fold(bank.residues[s], times);
                let (minus, plus) = ((1.0 - pole.0, -pole.1), (1.0 + pole.0, pole.1));
                let d0 = dot(minus, minus);
                taps[s] = [2.0 * dot(residue, minus) / d0, -2.0 * dot(residue, plus) / d0];
            }
        }
        mix
    }

    /// Filters at most [`SPAN`] frames in place. Realtime: yes; a shelf that comes into use catches up with the input
    /// it skipped.
    pub fn process(&mut self, left: &mut [f32], right: &mut [f32], mix: &Mix) {
        self.run(left, right, mix, mix, false);
    }

    /// Filters at most [`SPAN`] frames in place while the weights move linearly from `from` (before the first frame) to
    /// `to` (at the last). Realtime: yes.
    pub fn glide(&mut self, left: &mut [f32], right: &mut [f32], from: &Mix, to: &Mix) {
        self.run(left, right, from, to, true);
    }

    fn run(&mut self, left: &mut [f32], right: &mut [f32], from: &Mix, to: &Mix, glides: bool) {
        let frames = left.len().min(right.len()).min(SPAN);
        let (left, right) = (&mut left[..frames], &mut right[..frames]);
        let hears = [0, 1].map(|b| from.hears[b] | to.hears[b]);
        for (b, _) in hears.iter().enumerate().filter(|(_, hears)| **hears) {
            self.catch_up(b);
        }
        if hears != [true; 2] {
            self.keep(left, right, hears);
            if !glides && to.is_flat() {
                return;
            }
        }
        let (rows, sums) = (&mut self.rows[..frames], &mut self.sums[..frames]);
        let mut last = if hears[0] { self.banks[0].last } else { self.banks[1].last };
        for (((row, sum), l), r) in rows.iter_mut().zip(sums.iter_mut()).zip(left.iter()).zip(right.iter()) {
            *row = f64x2::new([f64::from(*l), f64::from(*r)]);
            *sum = last + *row;
            last = *row;
        }
        let silent = !glides && *to == Mix::SILENT;
        // The first bank scales the input.
        let mut direct = Some((from.direct, to.direct));
        for (b, bank) in self.banks.iter_mut().enumerate().filter(|(b, _)| hears[*b]) {
            bank.last = last;
            if silent {
                bank.listen(sums);
                continue;
            }
            let direct = direct.take().unwrap_or((1.0, 1.0));
            if glides {
                bank.glide(rows, sums, direct, (&from.taps[b], &to.taps[b]));
            } else {
                bank.rest(rows, sums, direct.1, &to.taps[b]);
            }
        }
        if silent {
            left.fill(0.0);
            right.fill(0.0);
            return;
        }
        if let Some((first, last)) = direct {
            let step = f64x2::splat((last - first) / frames.max(1) as f64);
            let mut through = f64x2::splat(first);
            for row in rows.iter_mut() {
                through += step;
                *row *= through;
            }
        }
        for (row, (l, r)) in rows.iter().zip(left.iter_mut().zip(right.iter_mut())) {
            let [a, b] = row.to_array();
            (*l, *r) = (a as f32, b as f32);
        }
    }

    /// Stores frames for the banks that skip them.
    fn keep(&mut self, left: &[f32], right: &[f32], hears: [bool; 2]) {
        let (at, room) = (self.at, self.past[0].len());
        for (past, new) in self.past.iter_mut().zip([left, right]) {
            match (past[at..].first_chunk_mut::<SPAN>(), <&[f32; SPAN]>::try_from(new)) {
                // Nearly always.
                (Some(past), Ok(new)) => *past = *new,
                _ => {
                    let first = new.len().min(room - at);
                    past[at..at + first].copy_from_slice(&new[..first]);
                    past[..new.len() - first].copy_from_slice(&new[first..]);
                }
            }
        }
        self.at = if at + left.len() < room { at + left.len() } else { at + left.len() - room };
        for (bank, _) in self.banks.iter_mut().zip(hears).filter(|(_, hears)| !hears) {
            bank.missed = bank.missed.saturating_add(left.len());
        }
    }

    /// Makes a bank process the input it skipped, as far as it would remember it.
    fn catch_up(&mut self, bank: usize) {
        let bank = &mut self.banks[bank];
        let missed = std::mem::take(&mut bank.missed);
        if missed == 0 {
            return;
        }
        let room = self.past[0].len();
        let frame = |back: usize| {
            let at = (self.at + room - back) % room;
            f64x2::new([f64::from(self.past[0][at]), f64::from(self.past[1][at])])
        };
        let mut back = missed.min(bank.memory);
        if missed > bank.memory {
            bank.state = [[f64x2::ZERO; 2]; SECTIONS];
            bank.last = frame(back + 1);
        }
        while back > 0 {
            let mut sums = [f64x2::ZERO; SPAN];
            let n = back.min(SPAN);
            for sum in &mut sums[..n] {
                let next = frame(back);
                *sum = bank.last + next;
                bank.last = next;
                back -= 1;
            }
            bank.listen(&sums[..n]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 48_000.0;

    /// Returns the response as defined: two shelves in series, at `hz`.
    fn defined(crossovers: [f64; 2], rate: f64, [low, mid, high]: [f64; 3], hz: f64) -> Complex {
        let mid = mid.max(MID_FLOOR);
        let s = (0.0, (std::f64::consts::PI * hz / rate).tan());
        let dampings = dampings();
        let shelf = |hz: f64, below: f64, above: f64| {
            let k = (std::f64::consts::PI * hz / rate).tan();
            let zeros = numerator(s, k, &dampings, below.powf(0.125), above.powf(0.125));
            times(zeros, inverse(numerator(s, k, &dampings, 1.0, 1.0)))
        };
        times(shelf(crossovers[0], low, mid), shelf(crossovers[1], 1.0, high / mid))
    }

    /// Returns the measured response, by the transform of an impulse response.
    fn measured(crossovers: [f64; 2], rate: f64, gains: [f64; 3], hz: &[f64]) -> Vec<Complex> {
        let mut bands = Bands::new(crossovers[0], crossovers[1], rate);
        let mix = bands.mix(gains);
        // Long enough for the slowest resonator to fall below every level that is checked.
        let frames = 4 * bands.banks[0].memory;
        let (mut left, mut right) = (vec![0.0; frames], vec![0.0; frames]);
        (left[0], right[0]) = (1.0, -1.0);
        for (left, right) in left.chunks_mut(32).zip(right.chunks_mut(32)) {
            bands.process(left, right, &mix);
        }
        let value = |hz: f64| {
            left.iter().zip(&right).enumerate().fold((0.0, 0.0), |sum: Complex, (n, (l, r))| {
                assert_eq!(*l, -r);
                let (sin, cos) = (-std::f64::consts::TAU * hz / rate * n as f64).sin_cos();
                (sum.0 + f64::from(*l) * cos, sum.1 + f64::from(*l) * sin)
            })
        };
        hz.iter().map(|hz| value(*hz)).collect()
    }

    #[test]
    fn the_fractions_are_the_two_shelves() {
        for (crossovers, rate) in [([200.0, 2_000.0], RATE), ([40.0, 80.0], 96_000.0), ([1_000.0, 15_000.0], 44_100.0)]
        {
            for gains in [
                [0.0, 1.0, 1.0],
                [1.0, 0.0, 1.0],
                [1.0, 1.0, 0.0],
                [0.0, 0.0, 1.0],
                [1.0, 0.0, 0.0],
                [0.5, 0.063, 0.9],
                [8.0, 1e-3, 16.0],
                [1.25, 0.7, 1.5],
            ] {
                let hz = [10.0, 60.0, 150.0, 200.0, 632.0, 1_900.0, 2_500.0, 9_000.0, 20_000.0];
                for (hz, found) in hz.iter().zip(measured(crossovers, rate, gains, &hz)) {
                    let wanted = defined(crossovers, rate, gains, *hz);
                    let error = (found.0 - wanted.0).hypot(found.1 - wanted.1);
                    // Far below the floor of a killed band, relative to the loudest one: the error of rounding the
                    // output.
                    let loudest = gains.iter().fold(0.0, |m: f64, g| m.max(*g));
                    assert!(error < 1e-6 * loudest, "{gains:?} at {hz} Hz: {found:?} instead of {wanted:?}");
                }
            }
        }
    }

    fn noise(n: usize) -> f32 {
        (n as u32).wrapping_mul(2_654_435_761) as i32 as f32 / 2.2e9
    }

    /// Returns the output while the mix glides through `course`: to each mix within the given number of frames.
    fn run(bands: &mut Bands, course: &[(usize, Mix)]) -> Vec<f32> {
        let mut out = Vec::new();
        let mut from = course[0].1;
        for (frames, to) in course {
            let mut left: Vec<f32> = (out.len()..out.len() + frames).map(noise).collect();
            let mut right = left.clone();
            for (k, (left, right)) in left.chunks_mut(32).zip(right.chunks_mut(32)).enumerate() {
                let at = |k: usize| from.towards(to, (32 * k) as f64 / *frames as f64);
                match from == *to {
                    true => bands.process(left, right, to),
                    false => bands.glide(left, right, &at(k), &at(k + 1)),
                }
            }
            out.extend(left);
            from = *to;
        }
        out
    }

    #[test]
    fn a_glide_is_the_crossfade_of_what_it_leads_from_and_to() {
        let bands = Bands::new(200.0, 2_000.0, RATE);
        let mixes = [[1.0, 0.0, 1.0], [0.06, 1.0, 0.0], [1.0; 3], [0.0; 3], [0.5; 3]].map(|gains| bands.mix(gains));
        for a in mixes {
            for b in mixes {
                let [first, second, glide] = [[a, a], [b, b], [a, b]]
                    .map(|[before, after]| run(&mut bands.clone(), &[(4_800, before), (480, after)]));
                for n in 4_800..5_280 {
                    let share = (n - 4_799) as f32 / 480.0;
                    let faded = first[n] + (second[n] - first[n]) * share;
                    assert!((glide[n] - faded).abs() < 1e-3, "frame {n}: {} instead of {faded}", glide[n]);
                }
            }
        }
    }

    #[test]
    fn what_is_left_out_catches_up_as_if_it_had_always_run() {
        let bands = Bands::new(200.0, 2_000.0, RATE);
        let [flat, low, mid, high] =
            [[1.0; 3], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]].map(|gains| bands.mix(gains));
        for (mix, idle) in [(mid, flat), (low, high), (high, low), (low, flat), (high, flat)] {
            // For less than the resonators remember, for longer, and again and again.
            for frames in [96, 640, 6_400] {
                let course: Vec<_> = [(3_200, mix), (320, idle), (frames, idle), (320, mix)]
                    .into_iter()
                    .cycle()
                    .take(12)
                    .chain([(320, mix)])
                    .collect();
                let out = run(&mut bands.clone(), &course);
                let settled = run(&mut bands.clone(), &[(out.len(), mix)]);
                for (n, (a, b)) in out.iter().zip(settled).enumerate().skip(out.len() - 320) {
                    assert!((a - b).abs() < 2e-3, "{frames} frames idle, frame {n}: {a} instead of {b}");
                }
            }
        }
    }
}
