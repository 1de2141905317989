//! The reverb shared by all voices: Jezar's Freeverb, from the crate `freeverb`.

use freeverb::Freeverb;

use crate::engine::ramp::Ramp;

/// Length in frames of a ramp of the reverb level.
const WET_FRAMES: u32 = 960;
/// Level below which the tail counts as silent (−110 dB).
const GONE: f32 = 3e-6;
/// Seconds below [`GONE`] after which the reverb is quiet.
const GONE_S: f64 = 0.1;
/// Share of the distance to a new size or damping covered per block; the voices' worker uses blocks of 32 frames.
const APPROACH: f64 = 0.02;

/// Reverb with smoothed parameters. Allocates when its level leaves or reaches zero, so it belongs on a worker.
/// Realtime: no.
pub struct Room {
    sample_rate: u32,
    /// Present only while the level is above zero.
    reverb: Option<Box<Freeverb<f32>>>,
    wet: Ramp,
    /// Current and target value.
    size: (f64, f64),
    damping: (f64, f64),
    gone: usize,
}

impl Room {
    /// Creates a reverb at level 0.
    pub fn new(sample_rate: u32) -> Room {
        Room { sample_rate, reverb: None, wet: Ramp::new(0.0), size: (0.4, 0.4), damping: (0.3, 0.3), gone: 0 }
    }

    /// Sets the level, clamped to 0 … 1.
    pub fn set_wet(&mut self, wet: f64) {
        self.wet.to(wet.clamp(0.0, 1.0) as f32, WET_FRAMES);
    }

    /// Sets the room size, clamped to 0 … 1; a larger room has a longer tail.
    pub fn set_size(&mut self, size: f64) {
        self.size.1 = size.clamp(0.0, 1.0);
    }

    /// Sets the damping of high frequencies, clamped to 0 … 1.
    pub fn set_damping(&mut self, damping: f64) {
        self.damping.1 = damping.clamp(0.0, 1.0);
    }

    /// Returns whether the tail has decayed.
    pub fn is_quiet(&self) -> bool {
        self.reverb.is_none() || self.gone as f64 > GONE_S * f64::from(self.sample_rate)
    }

    /// Adds the reverb of both channels to them.
    pub fn add(&mut self, left: &mut [f32], right: &mut [f32]) {
        if self.wet.is_silent() {
            // Dropped, so that a later opening does not replay an old tail.
            self.reverb = None;
            return;
        }
        let reverb = self.reverb.get_or_insert_with(|| {
            (self.size.0, self.damping.0) = (self.size.1, self.damping.1);
            let mut reverb = Box::new(Freeverb::new(self.sample_rate as usize));
            reverb.set_dry(0.0);
            reverb.set_wet(1.0);
            reverb.set_room_size(self.size.0 as f32);
            reverb.set_dampening(self.damping.0 as f32);
            reverb
        });
        if self.size.0 != self.size.1 {
            approach(&mut self.size);
            reverb.set_room_size(self.size.0 as f32);
        }
        if self.damping.0 != self.damping.1 {
            approach(&mut self.damping);
            reverb.set_dampening(self.damping.0 as f32);
        }
        let (from, to) = self.wet.advance(left.len() as u32);
        let step = (to - from) / left.len().max(1) as f32;
        let mut loudest = 0f32;
        for (k, (l, r)) in left.iter_mut().zip(right).enumerate() {
            let (wet_left, wet_right) = reverb.tick((*l, *r));
            let gain = from + step * (k + 1) as f32;
            loudest = loudest.max(wet_left.abs()).max(wet_right.abs());
            *l += wet_left * gain;
            *r += wet_right * gain;
        }
        self.gone = if loudest < GONE { self.gone + left.len() } else { 0 };
    }
}

fn approach(value: &mut (f64, f64)) {
    value.0 += (value.1 - value.0) * APPROACH;
    if (value.1 - value.0).abs() < 1e-4 {
        value.0 = value.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until the tail of a click has fallen by 60 dB.
    fn tail(size: f64) -> f64 {
        let mut room = Room::new(48_000);
        room.set_wet(1.0);
        room.set_size(size);
        let mut sound = Vec::new();
        for block in 0..12_000 {
            let mut l = [0.0f32; 32];
            if block == 100 {
                l[0] = 1.0;
            }
            let mut r = l;
            room.add(&mut l, &mut r);
            sound.extend(l);
        }
        sound[3_200] = 0.0;
        let energy: Vec<f64> = sound.chunks(480).map(|c| c.iter().map(|s| f64::from(s * s)).sum()).collect();
        let most = energy.iter().copied().fold(0.0, f64::max);
        energy.iter().rposition(|e| *e > most * 1e-6).unwrap() as f64 * 0.01 - 3_200.0 / 48_000.0
    }

    #[test]
    fn a_larger_room_sounds_longer() {
        let (small, large) = (tail(0.1), tail(0.8));
        assert!((0.3..2.0).contains(&small) && large > 1.5 * small, "{small} {large}");
    }

    #[test]
    fn a_closed_room_changes_nothing_and_an_open_one_falls_quiet() {
        let mut room = Room::new(48_000);
        let (mut l, mut r) = ([0.5f32; 32], [0.25f32; 32]);
        room.add(&mut l, &mut r);
        assert!(room.is_quiet() && l == [0.5; 32] && r == [0.25; 32]);
        room.set_wet(0.5);
        room.add(&mut l, &mut r);
        assert!(!room.is_quiet());
        let blocks = (0..48_000).take_while(|_| {
            room.add(&mut [0.0; 32], &mut [0.0; 32]);
            !room.is_quiet()
        });
        assert!((500..10_000).contains(&blocks.count()));
    }
}
