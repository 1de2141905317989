//! Onset detection: finds sounds whose beginning must not be repeated, skipped or moved.
//!
//! The sound is analysed in hops of a little over a millisecond, as it is and twice differentiated (which makes a quiet
//! hi-hat visible above a loud pad). A hop that is much louder than all of the last few hundredths of a second is an
//! onset; its beginning is traced back to where the sound was still unchanged. Comparing with the loudest of the recent
//! past, and not with its mean, avoids false onsets in steady tones, however low they are or beat.

/// Number of past hops a new one is compared with.
const PAST: usize = 24;
/// Ratio of a hop's energy to the loudest past hop's that makes it an onset: 6 dB.
const RISE: f32 = 4.0;
/// Energy ratio below which the sound counts as unchanged when an onset is traced back: 1 dB.
const CALM: f32 = 1.26;
/// Maximum number of hops an onset is traced back.
const BACK: usize = 6;
/// Share of the attack's energy at which it strikes.
const STRIKE: f32 = 0.2;
/// Energy ratio to an onset that makes another sound right after it an onset of its own: 20 dB.
const DWARFS: f32 = 100.0;
/// Number of onsets remembered.
const MARKS: usize = 64;
/// Energy per frame below which nothing is an onset: −84 dBFS.
const FLOOR: f32 = 4e-9;

/// Slices per hop: the resolution at which an attack is located.
const SLICES: usize = 8;

/// An onset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Onset {
    /// Frame before which nothing of it is heard.
    pub start: i64,
    /// Frame at which it strikes, which has to be on time.
    pub strike: i64,
}

/// An onset as found in one feature of the sound.
#[derive(Clone, Copy, Debug)]
struct Rise {
    /// Hops before the latest one's end at which it starts.
    back: usize,
    /// Slices before that end at which it strikes.
    strike: usize,
    /// Energy of the latest hop.
    energy: f32,
}

/// One feature of the sound: its loudness or its edges.
#[derive(Clone, Copy, Debug)]
struct Feature {
    past: [f32; PAST + BACK],
    /// The latest hops, sliced, ending with the one being collected.
    slices: [f32; (BACK + 1) * SLICES],
    slice: usize,
}

impl Feature {
    const NEW: Feature = Feature { past: [0.0; PAST + BACK], slices: [0.0; (BACK + 1) * SLICES], slice: 0 };

    fn add(&mut self, slice: f32) {
        self.slices[BACK * SLICES + self.slice] = slice;
        self.slice = (self.slice + 1) % SLICES;
    }

    /// Takes in the finished hop; returns an onset if there is one.
    fn finish(&mut self, floor: f32) -> Option<Rise> {
        let energy = self.slices[BACK * SLICES..].iter().sum();
        let loudest = |past: &[f32]| past.iter().fold(floor, |a, b| a.max(*b));
        let before = loudest(&self.past[BACK..]);
        let rises = energy > RISE * before;
        let mut began = None;
        if rises {
            // The latest hop is at the end.
            let mut back = 0;
            while back < BACK {
                let at = PAST + BACK - 1 - back;
                if self.past[at] <= CALM * loudest(&self.past[at.saturating_sub(PAST)..at]) {
                    break;
                }
                back += 1;
            }
            let rising = &self.slices[(BACK - back) * SLICES..];
            let peak = rising.iter().fold(0.0f32, |a, b| a.max(*b));
            let strike = strike(rising, STRIKE * peak);
            began = Some(Rise { back: back + 1, strike: rising.len() - strike, energy });
        }
        self.past.copy_within(1.., 0);
        self.past[PAST + BACK - 1] = energy;
        self.slices.copy_within(SLICES.., 0);
        began
    }
}

/// Returns the first slice at which the energy reaches `threshold`: alone, or together with the next one, since a click
/// may lie on the border between two.
fn strike(slices: &[f32], threshold: f32) -> usize {
    let energy = |k: usize| slices.get(k).copied().unwrap_or(0.0);
    let first = (0..slices.len()).find(|k| energy(*k) + energy(k + 1) >= threshold).unwrap_or(0);
    if energy(first) >= 0.5 * threshold { first } else { first + 1 }
}

/// Finds onsets in a timeline as it is fed. Realtime: yes.
#[derive(Debug)]
pub struct Onsets {
    /// Frames per slice.
    slice: usize,
    collected: usize,
    slices: usize,
    /// One past the last frame fed.
    at: i64,
    last: [[f32; 2]; 2],
    /// Energies of the slice being collected.
    sums: [f32; 2],
    loudness: Feature,
    edge: Feature,
    /// Energy of the newest onset in each feature.
    loudest: [f32; 2],
    /// A ring of positions, in order.
    marks: [Onset; MARKS],
    first: usize,
    count: usize,
}

impl Onsets {
    /// Creates a detector for sound at `sample_rate`.
    pub fn new(sample_rate: u32) -> Onsets {
        Onsets {
            slice: (sample_rate as usize / (750 * SLICES)).max(1),
            collected: 0,
            slices: 0,
            at: 0,
            last: [[0.0; 2]; 2],
            sums: [0.0; 2],
            loudness: Feature::NEW,
            edge: Feature::NEW,
            loudest: [0.0; 2],
            marks: [Onset::default(); MARKS],
            first: 0,
            count: 0,
        }
    }

    /// Adapts to sound at another rate.
    pub fn retune(&mut self, sample_rate: u32) {
        self.slice = (sample_rate as usize / (750 * SLICES)).max(1);
    }

    /// Restarts at frame `at`.
    pub fn restart(&mut self, at: i64) {
        (self.at, self.collected, self.slices, self.count) = (at, 0, 0, 0);
        (self.sums, self.loudest) = ([0.0; 2], [0.0; 2]);
        self.last = [[0.0; 2]; 2];
        (self.loudness, self.edge) = (Feature::NEW, Feature::NEW);
    }

    /// Returns the number of frames per hop.
    fn hop(&self) -> usize {
        self.slice * SLICES
    }

    /// Returns how many frames after an onset must be fed before it is certain to be known.
    pub fn latency(&self) -> usize {
        2 * self.hop()
    }

    /// Takes in the next frames.
    pub fn feed(&mut self, left: &[f32], right: &[f32]) {
        let frames = left.len().min(right.len());
        let mut done = 0;
        while done < frames {
            let n = (self.slice - self.collected).min(frames - done);
            let (mut plain, mut edge) = (0.0f32, 0.0f32);
            let [mut l, mut r] = self.last;
            for (a, b) in left[done..done + n].iter().zip(&right[done..done + n]) {
                let (da, db) = (a - 2.0 * l[0] + l[1], b - 2.0 * r[0] + r[1]);
                plain += a * a + b * b;
                edge += da * da + db * db;
                l = [*a, l[0]];
                r = [*b, r[0]];
            }
            self.last = [l, r];
            self.sums[0] += plain;
            self.sums[1] += edge;
            self.collected += n;
            self.at += n as i64;
            done += n;
            if self.collected == self.slice {
                self.collected = 0;
                self.loudness.add(self.sums[0]);
                self.edge.add(self.sums[1]);
                self.sums = [0.0; 2];
                self.slices += 1;
                if self.slices == SLICES {
                    self.slices = 0;
                    self.hop_done();
                }
            }
        }
    }

    fn hop_done(&mut self) {
        let floor = FLOOR * self.hop() as f32;
        // The edge locates an onset more precisely; either may be the first to find it.
        let (loudness, edge) = (self.loudness.finish(floor), self.edge.finish(floor));
        let Some(Rise { strike, .. }) = edge.or(loudness) else { return };
        let back = loudness.map_or(0, |l| l.back).max(edge.map_or(0, |e| e.back));
        let start = self.at - (back * self.hop()) as i64;
        let strike = self.at - (strike * self.slice) as i64;
        let energy = [loudness, edge].map(|r| r.map_or(0.0, |r| r.energy));
        // Two features, or two hops, that find the same rise make one onset; a much louder one (a drum right after the
        // faint noise at a sound's beginning) is an onset of its own.
        if let Some(newest) = self.newest()
            && start <= newest.strike + (BACK * self.hop()) as i64
        {
            let dwarfs = energy.iter().zip(&self.loudest).all(|(e, l)| *e > DWARFS * l);
            if !dwarfs || start <= newest.strike {
                for (loudest, energy) in self.loudest.iter_mut().zip(energy) {
                    *loudest = loudest.max(energy);
                }
                return;
            }
        }
        self.loudest = energy;
        self.push(Onset { start, strike });
    }

    fn push(&mut self, onset: Onset) {
        self.marks[(self.first + self.count) % MARKS] = onset;
        if self.count < MARKS {
            self.count += 1;
        } else {
            self.first = (self.first + 1) % MARKS;
        }
    }

    fn newest(&self) -> Option<Onset> {
        self.count.checked_sub(1).map(|last| self.marks[(self.first + last) % MARKS])
    }

    /// Adds an onset known by other means: a sound starts there. Later onsets are already known.
    pub fn mark(&mut self, at: i64) {
        self.push(Onset { start: at, strike: at });
        let mut k = self.count - 1;
        while k > 0 {
            let (a, b) = ((self.first + k - 1) % MARKS, (self.first + k) % MARKS);
            if self.marks[a].strike <= self.marks[b].strike {
                break;
            }
            self.marks.swap(a, b);
            k -= 1;
        }
        if k == self.count - 1 {
            // Its loudness is unknown: nothing right after it counts as louder.
            self.loudest = [f32::INFINITY; 2];
        }
    }

    /// Returns the first onset that strikes at or after frame `at`.
    pub fn next_from(&self, at: i64) -> Option<Onset> {
        (0..self.count).map(|k| self.marks[(self.first + k) % MARKS]).find(|m| m.strike >= at)
    }

    /// Returns the last onset that struck before frame `at`.
    pub fn last_before(&self, at: i64) -> Option<Onset> {
        (0..self.count).rev().map(|k| self.marks[(self.first + k) % MARKS]).find(|m| m.strike < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the strikes found in a click at `click` over noise 60 dB below it, fed from frame 0 on.
    fn strikes(click: usize) -> Vec<i64> {
        let mut sound = vec![0.0f32; 4_800];
        let mut dice = 1u32;
        for v in &mut sound {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *v = (dice as f32 / u32::MAX as f32 - 0.5) * 1e-3;
        }
        for (k, v) in sound[click..click + 200].iter_mut().enumerate() {
            *v += 0.5 * (k as f32 * 0.24).sin() * (1.0 - k as f32 / 200.0);
        }
        let mut onsets = Onsets::new(48_000);
        onsets.feed(&sound, &sound);
        let mut found = Vec::new();
        while let Some(onset) = onsets.next_from(found.last().map_or(0, |last| last + 1)) {
            found.push(onset.strike);
        }
        found
    }

    #[test]
    fn what_dwarfs_a_beginning_is_an_onset_however_close_behind() {
        for click in (150..2_400).step_by(37) {
            let found = strikes(click);
            assert!(found.len() <= 2, "{click}: {found:?}");
            let off = found.last().map_or(i64::MAX, |f| f - click as i64);
            assert!((-8..=16).contains(&off), "{click}: {found:?}");
        }
    }

    #[test]
    fn a_click_on_the_border_of_two_slices_strikes_at_its_beginning() {
        // A burst of 1 kHz, whose first edge is the smallest, over a steady tone.
        for click in 2_000..2_007 {
            let mut onsets = Onsets::new(44_100);
            let sound: Vec<f32> = (0..6_000usize)
                .map(|k| {
                    let tone = 0.06 * (k as f32 * 0.031).sin();
                    let Some(j) = k.checked_sub(click).filter(|j| *j < 220) else { return tone };
                    let level = 0.37 * (220 - j) as f32 / 220.0;
                    tone + if j * 2_000 / 44_100 % 2 == 0 { level } else { -level }
                })
                .collect();
            onsets.feed(&sound, &sound);
            let found = onsets.next_from(1_500).unwrap();
            assert!((found.strike - click as i64).abs() <= 7, "{} for {click}", found.strike);
        }
    }
}
