//! Gains of crossfades.

/// Returns a smooth curve from 0 to 1 as `t` goes from 0 to 1: a cubic, with the ends and slopes of a raised cosine but
/// without a function call.
#[inline]
pub fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Returns the gains of the outgoing and the incoming sound when the incoming one's share is `into`, for constant
/// loudness.
///
/// For identical sounds (`likeness` 1) the gains add up to one; for uncorrelated ones (0) their squares do.
#[inline]
pub fn even(into: f32, likeness: f32) -> (f32, f32) {
    let out = 1.0 - into;
    let norm = (into * into + out * out + 2.0 * likeness * into * out).max(0.25).sqrt().recip();
    (out * norm, into * norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loudness_stays_even() {
        for k in 0..=20 {
            let into = smooth(k as f32 / 20.0);
            let (out, own) = even(into, 1.0);
            assert!((out + own - 1.0).abs() < 1e-6);
            let (out, own) = even(into, 0.0);
            assert!((out * out + own * own - 1.0).abs() < 1e-6);
        }
        assert_eq!((smooth(-1.0), smooth(0.5), smooth(2.0)), (0.0, 0.5, 1.0));
    }
}
