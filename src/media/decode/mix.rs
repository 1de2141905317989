//! Downmix of any number of channels to stereo, after ITU-R BS.775: centre and surrounds at −3 dB, LFE omitted.

use symphonia::core::audio::{Channels, Position};

/// Maximum number of channels for a downmix.
pub const MAX_CHANNELS: usize = 8;
/// Maximum number of channels of a file from which one pair is played.
pub const MAX_PAIRED: usize = 64;

/// Weights of each channel in the stereo mix: (left, right).
pub(super) type Mix = Vec<(f32, f32)>;

const MINUS_3_DB: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// The channels of a file that are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// All channels, mixed down.
    All,
    /// Channels 2n and 2n + 1, as left and right.
    Pair(usize),
}

impl View {
    /// Returns the weights of `count` channels; `channels` are their positions, if known.
    pub fn mix(self, channels: Option<&Channels>, count: usize) -> Mix {
        match self {
            View::All => down(channels, count),
            View::Pair(n) => {
                let last_alone = 2 * n + 1 == count;
                let weight = |channel: usize| match channel {
                    c if c == 2 * n && last_alone => (1.0, 1.0),
                    c if c == 2 * n => (1.0, 0.0),
                    c if c == 2 * n + 1 => (0.0, 1.0),
                    _ => (0.0, 0.0),
                };
                (0..count).map(weight).collect()
            }
        }
    }
}

fn weight(position: Position) -> (f32, f32) {
    let half = MINUS_3_DB;
    if position.intersects(Position::LFE1) {
        (0.0, 0.0)
    } else if position.intersects(Position::FRONT_LEFT | Position::FRONT_LEFT_CENTER) {
        (1.0, 0.0)
    } else if position.intersects(Position::FRONT_RIGHT | Position::FRONT_RIGHT_CENTER) {
        (0.0, 1.0)
    } else if position.intersects(Position::REAR_LEFT | Position::SIDE_LEFT) {
        (half, 0.0)
    } else if position.intersects(Position::REAR_RIGHT | Position::SIDE_RIGHT) {
        (0.0, half)
    } else {
        (half, half)
    }
}

/// Returns the downmix of all channels. One channel goes to both sides, and two are left and right, whatever the file
/// calls them; more are weighted by their positions if the file gives as many as there are channels, else by the usual
/// order for their number.
fn down(channels: Option<&Channels>, count: usize) -> Mix {
    match count {
        1 => return vec![(1.0, 1.0)],
        2 => return vec![(1.0, 0.0), (0.0, 1.0)],
        _ => {}
    }
    if let Some(Channels::Positioned(positions)) = channels {
        let mix: Mix = positions.iter().map(weight).collect();
        if mix.len() == count {
            return mix;
        }
    }
    use Position as P;
    let order: &[P] = match count {
        3 => &[P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER],
        4 => &[P::FRONT_LEFT, P::FRONT_RIGHT, P::REAR_LEFT, P::REAR_RIGHT],
        5 => &[P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER, P::REAR_LEFT, P::REAR_RIGHT],
        6 => &[P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER, P::LFE1, P::REAR_LEFT, P::REAR_RIGHT],
        7 => &[P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER, P::LFE1, P::REAR_CENTER, P::SIDE_LEFT, P::SIDE_RIGHT],
        _ => &[
            P::FRONT_LEFT,
            P::FRONT_RIGHT,
            P::FRONT_CENTER,
            P::LFE1,
            P::REAR_LEFT,
            P::REAR_RIGHT,
            P::SIDE_LEFT,
            P::SIDE_RIGHT,
        ],
    };
    order.iter().map(|p| weight(*p)).collect()
}

/// Adds the mix of `planes` (all of `left`'s length) to silence in `left` and `right`.
pub(super) fn apply(mix: &Mix, planes: &[&[f32]], left: &mut [f32], right: &mut [f32]) {
    if let ([mono], [(1.0, 1.0)]) = (planes, mix.as_slice()) {
        left.copy_from_slice(mono);
        right.copy_from_slice(mono);
        return;
    }
    if let ([l, r], [(1.0, 0.0), (0.0, 1.0)]) = (planes, mix.as_slice()) {
        left.copy_from_slice(l);
        right.copy_from_slice(r);
        return;
    }
    left.fill(0.0);
    right.fill(0.0);
    for (plane, (a, b)) in planes.iter().zip(mix) {
        if (*a, *b) == (0.0, 0.0) {
            continue;
        }
        for ((l, r), s) in left.iter_mut().zip(right.iter_mut()).zip(*plane) {
            *l += a * s;
            *r += b * s;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_channels_are_left_and_right_whatever_they_are_called() {
        let plain = vec![(1.0, 0.0), (0.0, 1.0)];
        for positions in [Position::FRONT_CENTER, Position::SIDE_LEFT | Position::SIDE_RIGHT, Position::all()] {
            assert_eq!(View::All.mix(Some(&Channels::Positioned(positions)), 2), plain);
        }
        assert_eq!(View::All.mix(None, 1), [(1.0, 1.0)]);
    }

    #[test]
    fn a_pair_is_heard_alone() {
        assert_eq!(View::Pair(1).mix(None, 4), [(0.0, 0.0), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]);
        // The last channel of an odd number has no partner.
        assert_eq!(View::Pair(1).mix(None, 3), [(0.0, 0.0), (0.0, 0.0), (1.0, 1.0)]);
    }
}
