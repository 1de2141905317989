//! Onsets: where something begins that must not be repeated, skipped or moved.
//!
//! The sound is looked at in hops of a little over a millisecond, as it is and twice differentiated (which makes
//! a quiet hi-hat visible above a loud pad). A hop that is much louder than all of the last few hundredths of a second
//! is an onset; its beginning is traced back to where the sound still was what it had been. Comparing with the loudest of
//! the recent past, and not with its mean, keeps steady tones quiet, however low they are or beat.

/// Hops of the past that a new one is compared with.
const PAST: usize = 24;
/// How much louder a hop must be than the loudest of the past (energy): 6 dB.
const RISE: f32 = 4.0;
/// Where the sound still counts as unchanged when tracing an onset back: 1 dB.
const CALM: f32 = 1.26;
/// Most hops an onset is traced back.
const BACK: usize = 6;
/// Share of the attack's energy at which it strikes.
const STRIKE: f32 = 0.2;
/// Onsets remembered.
const MARKS: usize = 64;
/// Energy per frame below which nothing is an onset: −84 dBFS.
const FLOOR: f32 = 4e-9;

/// Slices of a hop: how precisely an attack is located.
const SLICES: usize = 8;

/// An onset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Onset {
    /// Frame before which nothing of it is heard.
    pub start: i64,
    /// Frame at which it strikes: what has to be on time.
    pub strike: i64,
}

/// One way to look at the sound.
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

    /// Takes the finished hop in; if it is an onset's, tells how many hops before its end that one starts, and how
    /// many slices before its end it strikes.
    fn finish(&mut self, floor: f32) -> Option<(usize, usize)> {
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
            let strike = rising.iter().position(|s| *s >= STRIKE * peak).unwrap_or(0);
            began = Some((back + 1, rising.len() - strike));
        }
        self.past.copy_within(1.., 0);
        self.past[PAST + BACK - 1] = energy;
        self.slices.copy_within(SLICES.., 0);
        began
    }
}

/// Finds onsets in a timeline as it is fed. Realtime: yes.
#[derive(Debug)]
pub struct Onsets {
    /// Frames per slice.
    slice: usize,
    collected: usize,
    slices: usize,
    /// Frame after the last one fed.
    at: i64,
    last: [[f32; 2]; 2],
    /// Energies of the slice being collected.
    sums: [f32; 2],
    loudness: Feature,
    edge: Feature,
    /// A ring of positions, in order.
    marks: [Onset; MARKS],
    first: usize,
    count: usize,
}

impl Onsets {
    /// For sound at `sample_rate`.
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
            marks: [Onset::default(); MARKS],
            first: 0,
            count: 0,
        }
    }

    /// For sound at another rate.
    pub fn retune(&mut self, sample_rate: u32) {
        self.slice = (sample_rate as usize / (750 * SLICES)).max(1);
    }

    /// Starts over at frame `at`.
    pub fn restart(&mut self, at: i64) {
        (self.at, self.collected, self.slices, self.count) = (at, 0, 0, 0);
        self.sums = [0.0; 2];
        self.last = [[0.0; 2]; 2];
        (self.loudness, self.edge) = (Feature::NEW, Feature::NEW);
    }

    /// Frames per hop.
    fn hop(&self) -> usize {
        self.slice * SLICES
    }

    /// How many frames beyond an onset must be fed before it is surely known.
    pub fn latency(&self) -> usize {
        2 * self.hop()
    }

    /// Takes the next frames in.
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
        // The edge is the sharper witness of when; either may be the first to see that.
        let (loudness, edge) = (self.loudness.finish(floor), self.edge.finish(floor));
        let Some((_, strike)) = edge.or(loudness) else { return };
        let back = loudness.map_or(0, |l| l.0).max(edge.map_or(0, |e| e.0));
        let start = self.at - (back * self.hop()) as i64;
        let strike = self.at - (strike * self.slice) as i64;
        // Two features, or two hops, that see the same rise make one onset.
        if self.count > 0 && start <= self.newest().strike + (BACK * self.hop()) as i64 {
            return;
        }
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

    fn newest(&self) -> Onset {
        self.marks[(self.first + self.count - 1) % MARKS]
    }

    /// Adds an onset that is known by other means: something starts there. Those of later sound are known already.
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
    }

    /// The first onset that strikes at or after frame `at`.
    pub fn next_from(&self, at: i64) -> Option<Onset> {
        (0..self.count).map(|k| self.marks[(self.first + k) % MARKS]).find(|m| m.strike >= at)
    }

    /// The last onset that struck before frame `at`.
    pub fn last_before(&self, at: i64) -> Option<Onset> {
        (0..self.count).rev().map(|k| self.marks[(self.first + k) % MARKS]).find(|m| m.strike < at)
    }
}
