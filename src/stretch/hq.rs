//! High quality: a phase vocoder for steady sound, the onset-locked splicer for attacks.
//!
//! A vocoder keeps tones pure but smears attacks over a tenth of a second; a splicer keeps attacks to the sample but
//! leaves artefacts in tones. Here both process the same input and only one is heard at a time:
//!
//! - An attack and what closely follows it come from the [`Splicer`], verbatim and on time.
//! - When the attack is over the [`Vocoder`] takes over. Its first block is *anchored*: rotated in phase to match the
//!   splicer's output, so that the crossfade between them is one of a sound with itself.
//! - Blocks never span an onset: shortly before one the vocoder prolongs what came before it, so that nothing of an
//!   attack is heard early, and hands over to the splicer within the last milliseconds.
//! - Onsets too close together for a block to fit between them are left to the splicer alone. So is speed 1, where the
//!   input is passed on unchanged.

use super::machine::Machine;
use crate::dsp::crossfade::{even, smooth};
use crate::dsp::splice::{self, Splicer};
use crate::dsp::vocoder::{Take, Vocoder};

/// Durations in frames.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    /// Minimum time for which the splicer is heard after an onset.
    attack: i64,
    /// Gap between an attack and the first block taken after it.
    clear: i64,
    /// Time before an onset for which the splicer must be heard alone.
    before: i64,
    /// Length of the fade to the splicer before an onset.
    out: i64,
    /// Length of the fade to the vocoder.
    into: i64,
    /// Minimum time to the next onset for which a handover is worthwhile.
    worth: i64,
}

/// Which of the two is heard.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Audible {
    Splicer,
    /// Fading in, heard or fading out: when it began to fade in; when it began to fade out, and for how long.
    Vocoder {
        began: i64,
        leaving: Option<(i64, i64)>,
    },
}

/// A stretcher of high quality: vocoder for steady sound, splicer for attacks. Realtime: allocates nothing after
/// [`Hq::new`], but belongs on a worker.
pub struct Hq {
    splicer: Splicer,
    vocoder: Vocoder,
    lengths: Lengths,
    /// Output frames so far.
    now: i64,
    heard: Audible,
    /// Output frame at the centre of the vocoder's next block.
    next_centre: i64,
    /// The vocoder's latest finished hop, and its first output frame.
    hop: [Box<[f32]>; 2],
    hop_at: i64,
    /// Input frame of the last onset that was heard.
    struck: i64,
}

impl Hq {
    /// Creates a stretcher at the beginning of sound at `sample_rate`.
    pub fn new(sample_rate: u32) -> Hq {
        Hq::with_room(sample_rate, 0)
    }

    /// Creates a stretcher with room to be fed `more` frames beyond what it wants.
    pub fn with_room(sample_rate: u32, more: usize) -> Hq {
        let ms = |ms: f64| (ms * f64::from(sample_rate) / 1000.0).round() as i64;
        let vocoder = Vocoder::new(sample_rate);
        let hop = vocoder.hop();
        let mut splicer = Splicer::with_room(sample_rate, more);
        // The splicer must be in place before the handover to it begins.
        splicer.be_early(ms(6.5));
        Hq {
            splicer,
            vocoder,
            lengths: Lengths {
                attack: ms(80.0),
                clear: ms(30.0),
                before: ms(2.5),
                out: ms(6.0),
                into: ms(20.0),
                worth: ms(100.0),
            },
            now: 0,
            heard: Audible::Splicer,
            next_centre: 0,
            hop: [vec![0.0; hop].into_boxed_slice(), vec![0.0; hop].into_boxed_slice()],
            hop_at: 0,
            struck: 0,
        }
    }

    /// Returns the bounds for a block's centre at which it contains no onset: after the last, before the next.
    fn clear_of_onsets(&self, ideal: f64) -> (i64, i64) {
        let half = self.vocoder.size() as i64 / 2;
        let onsets = self.splicer.onsets();
        let next = onsets.next_from((ideal as i64).max(self.struck + 1)).map_or(i64::MAX / 2, |o| o.start);
        (self.struck + self.lengths.clear + half, next - self.lengths.before - half)
    }

    /// Processes the block around output frame `next_centre`.
    fn block(&mut self, ideal: f64, speed: f64, anchor: Option<i64>) {
        let (low, high) = self.clear_of_onsets(ideal);
        let centre = (ideal + speed * (self.next_centre - self.now) as f64).round() as i64;
        let take = Take { centre: centre.max(low).min(high), anchor };
        let [left, right] = &mut self.hop;
        self.vocoder.block(self.splicer.window(), take, [left, right]);
        self.hop_at = self.next_centre - self.vocoder.size() as i64 / 2;
        self.next_centre += self.vocoder.hop() as i64;
    }

    /// Decides which of the two is heard during the next `frames` frames.
    fn decide(&mut self, ideal: f64, speed: f64, frames: i64) {
        let lengths = self.lengths;
        if let Some(onset) = self.splicer.onsets().last_before(ideal as i64 + 1) {
            self.struck = self.struck.max(onset.strike);
        }
        let next = self.splicer.onsets().next_from((ideal as i64).max(self.struck + 1));
        let due = next.map_or(i64::MAX / 2, |o| ((o.start as f64 - ideal) / speed) as i64);
        match self.heard {
            Audible::Splicer => {
                let since = ((ideal - self.struck as f64) / speed) as i64;
                let (low, high) = self.clear_of_onsets(ideal);
                let steady = (speed - 1.0).abs() > 1e-5;
                if steady
                    && since >= lengths.attack
                    && due >= lengths.worth
                    && low <= high
                    && !self.splicer.is_splicing()
                {
                    let (size, hop) = (self.vocoder.size() as i64, self.vocoder.hop() as i64);
                    self.vocoder.restart();
                    self.next_centre = self.now + size / 2 - (size - hop);
                    let anchor = self.splicer.position() + self.next_centre - self.now;
                    self.block(ideal, speed, Some(anchor));
                    self.heard = Audible::Vocoder { began: self.now, leaving: None };
                }
            }
            Audible::Vocoder { began, leaving: None } if due - frames <= lengths.before + lengths.out => {
                let len = (due - lengths.before).clamp(1, lengths.out);
                self.heard = Audible::Vocoder { began, leaving: Some((self.now, len)) };
            }
            Audible::Vocoder { leaving: Some((from, len)), .. } if self.now >= from + len => {
                self.heard = Audible::Splicer;
            }
            Audible::Vocoder { .. } => {}
        }
    }
}

impl Machine for Hq {
    fn wants(&self, ideal: f64, speed: f64) -> i64 {
        let size = self.vocoder.size() as i64;
        let blocks = (ideal + speed * (size / 2 + self.vocoder.hop() as i64) as f64) as i64 + size / 2;
        self.splicer.wants().max(blocks + self.splicer.onsets().latency() as i64)
    }

    fn fed(&self) -> i64 {
        self.splicer.fed()
    }

    fn feed(&mut self, left: &[f32], right: &[f32]) {
        self.splicer.feed(left, right);
    }

    fn render(&mut self, ideal: f64, speed: f64, left: &mut [f32], right: &mut [f32]) {
        let frames = left.len().min(right.len());
        self.decide(ideal, speed, frames as i64);
        splice::render(&mut self.splicer, ideal, speed, left, right);
        if let Audible::Vocoder { began, leaving } = self.heard {
            let mut done = 0;
            while done < frames {
                let now = self.now + done as i64;
                while now >= self.hop_at + self.vocoder.hop() as i64 {
                    self.block(ideal, speed, None);
                }
                let at = (now - self.hop_at) as usize;
                let n = (frames - done).min(self.vocoder.hop() - at);
                for k in 0..n {
                    let t = now + k as i64;
                    let into = smooth((t - began) as f32 / self.lengths.into as f32);
                    let (other, own) = match leaving {
                        // Nearly identical when the vocoder enters …
                        None => even(into, 1.0),
                        // … and nearly uncorrelated when it leaves.
                        Some((from, len)) => even(into * (1.0 - smooth((t - from) as f32 / len as f32)), 0.3),
                    };
                    for (to, hop) in [&mut *left, &mut *right].into_iter().zip(&self.hop) {
                        to[done + k] = other * to[done + k] + own * hop[at + k];
                    }
                }
                done += n;
            }
        }
        self.now += frames as i64;
    }

    fn restart(&mut self, at: i64, play: i64, now: i64) {
        self.splicer.restart(at);
        self.splicer.jump(play);
        self.vocoder.restart();
        (self.now, self.heard, self.struck) = (now, Audible::Splicer, at);
    }

    fn keep_formants(&mut self, factor: Option<f64>) {
        self.vocoder.keep_formants(factor);
    }
}
