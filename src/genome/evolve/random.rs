//! Random numbers that are the same on every machine for the same seed.

/// A generator of pseudo-random numbers: xoshiro256** (Blackman and Vigna 2018), whose state is filled by splitmix64.
///
/// Transcendental functions come from `libm`, so that all numbers are equal on all machines.
#[derive(Clone, Debug)]
pub struct Random([u64; 4]);

impl Random {
    /// A generator for a seed; every seed is good, 0 too.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// At least 0 and less than 1, in steps of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// At least 0 and less than `n`; 0 if `n` is 0. The bias is below 2⁻³² for every list that fits into memory here.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// At least `low` and less than `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// At least `low` and less than `high`, both positive, with equal shares for equal ratios.
    pub fn ratio_between(&mut self, low: f64, high: f64) -> f64 {
        low * libm::exp(self.unit() * libm::log(high / low))
    }

    /// Normal distribution with mean 0 and standard deviation 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// One of the items, each with the same probability.
    pub fn pick<'t, T>(&mut self, items: &'t [T]) -> Option<&'t T> {
        items.get(self.below(items.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_from_the_seed() {
        // The published splitmix64 gives these for seed 0; the first is also the first word of the state.
        assert_eq!(Random::new(0).0[0], 0xe220_a839_7b1d_cdaf);
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        assert!((0..1000).all(|_| a.next_u64() == b.next_u64()));
        assert_ne!(Random::new(7).next_u64(), Random::new(8).next_u64());
        // The published xoshiro256** from the state 1, 2, 3, 4.
        let mut known = Random([1, 2, 3, 4]);
        assert_eq!([known.next_u64(), known.next_u64(), known.next_u64()], [11520, 0, 1_509_978_240]);
    }

    #[test]
    fn distributions_have_their_mean_and_width() {
        let mut random = Random::new(3);
        let draws: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let width = (draws.iter().map(|x| x * x).sum::<f64>() / 20_000.0).sqrt();
        assert!(mean.abs() < 0.03 && (width - 1.0).abs() < 0.03, "{mean} {width}");
        let mut counts = [0; 5];
        (0..5000).for_each(|_| counts[random.below(5)] += 1);
        assert!(counts.iter().all(|c| (900..1100).contains(c)), "{counts:?}");
        assert_eq!((random.below(0), random.pick::<u8>(&[])), (0, None));
        assert!((0..1000).all(|_| (20.0..80.0).contains(&random.ratio_between(20.0, 80.0))));
        assert!(!random.chance(0.0) && random.chance(1.0));
    }
}
