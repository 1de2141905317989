//! The path of the instruments' sound into the mix: rendered by a worker, tagged with its sample time.
//!
//! The worker writes ahead of the engine, in pieces of one quantum. A piece that arrives after its time is dropped; the
//! following ones fade in at their own time. The last 128 frames are held back: if nothing more has arrived by then,
//! and the worker has not declared a rest, they fade out, and that counts as an underrun. Frames of lost output time
//! are skipped here, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd};

use super::GRID;
use super::ramp::{self, Ramp};
use super::ring::ring;
use super::source::HOLD_BACK;

/// Capacity in pieces: a third of a second at 96 kHz, two thirds at 48.
const PIECES: usize = 1_024;

/// A quantum of stereo sound and the sample time of its first frame.
#[derive(Clone, Copy, Debug)]
pub struct VoiceBlock {
    /// Sample time of the first frame.
    pub at: u64,
    /// Left channel.
    pub left: [f32; GRID],
    /// Right channel.
    pub right: [f32; GRID],
}

/// State shared between the worker, the engine and observers.
#[derive(Debug)]
pub struct VoiceCell {
    /// The worker has written everything there is for now.
    resting: AtomicBool,
    /// The worker has ended.
    broken: AtomicBool,
    /// Number of times the worker's sound arrived too late.
    pub underruns: AtomicU64,
    /// Number of voices faded out because the worker could not keep up.
    pub shed: AtomicU64,
    /// Number of voices sounding now.
    pub sounding: AtomicU32,
    /// Number of sounding notes cut off to free a voice for a new one.
    pub stolen: AtomicU64,
    /// Number of notes for which no voice was free.
    pub unplayed: AtomicU64,
    /// The worker's share of real time, in millionths.
    pub cost: AtomicU32,
}

/// The worker's end.
pub struct VoiceWriter {
    pieces: HeapProd<VoiceBlock>,
    /// Shared state.
    pub cell: Arc<VoiceCell>,
}

/// The engine's end.
pub struct VoiceReader {
    pieces: HeapCons<VoiceBlock>,
    cell: Arc<VoiceCell>,
    /// Index of the output pair it is mixed into.
    pub(super) pair: usize,
    piece: Option<VoiceBlock>,
    /// The frame that would continue the sound heard last.
    next: u64,
    gain: Ramp,
    /// Whether the next sound is an onset, which needs no fade.
    fresh: bool,
    /// Whether the ring has run dry and the next sound must fade in.
    dry: bool,
}

/// Creates both ends; the sound goes to output pair `pair`. Realtime: no.
pub fn line(pair: usize) -> (VoiceWriter, VoiceReader) {
    let (writer, reader) = ring(PIECES).split();
    let cell = Arc::new(VoiceCell {
        resting: AtomicBool::new(true),
        broken: AtomicBool::new(false),
        underruns: AtomicU64::new(0),
        shed: AtomicU64::new(0),
        sounding: AtomicU32::new(0),
        stolen: AtomicU64::new(0),
        unplayed: AtomicU64::new(0),
        cost: AtomicU32::new(0),
    });
    let reader = VoiceReader {
        pieces: reader,
        cell: cell.clone(),
        pair,
        piece: None,
        next: 0,
        gain: Ramp::new(1.0),
        fresh: true,
        dry: false,
    };
    (VoiceWriter { pieces: writer, cell }, reader)
}

impl VoiceCell {
    /// Returns whether the worker has ended.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// Declares that the worker has ended: nothing more will arrive.
    pub fn give_up(&self) {
        self.broken.store(true, Relaxed);
        self.resting.store(true, Release);
    }
}

impl VoiceWriter {
    /// Writes a piece and ends a rest; returns `false` if there is no room.
    pub fn write(&mut self, piece: VoiceBlock) -> bool {
        self.cell.resting.store(false, Release);
        self.pieces.try_push(piece).is_ok()
    }

    /// Declares that everything has been written and nothing more will arrive for a while.
    pub fn rest(&mut self) {
        self.cell.resting.store(true, Release);
    }

    /// Returns the number of pieces that can be written.
    pub fn room(&self) -> usize {
        self.pieces.vacant_len()
    }
}

impl VoiceReader {
    /// Adds the frames available from `now` on to both channels. Realtime: yes.
    pub fn add(&mut self, now: u64, left: &mut [f32], right: &mut [f32]) {
        let (mut done, all) = (0, left.len().min(right.len()));
        while done < all {
            let t = now + done as u64;
            let Some(piece) = self.piece_for(t) else {
                self.run_dry();
                return;
            };
            if piece.at > t {
                // The sound for now never arrived; the next piece is for a later time.
                self.run_dry();
                let wait = (piece.at - t).min((all - done) as u64) as usize;
                done += wait;
                continue;
            }
            let offset = (t - piece.at) as usize;
            let n = (GRID - offset).min(all - done);
            self.steer(t, GRID - offset);
            let (from, to) = self.gain.advance(n as u32);
            ramp::mix(&mut left[done..done + n], &piece.left[offset..offset + n], from, to);
            ramp::mix(&mut right[done..done + n], &piece.right[offset..offset + n], from, to);
            done += n;
            self.next = t + n as u64;
        }
    }

    /// Returns the piece that holds frame `t`, or the next one after it; drops late ones, at most a ring of them.
    fn piece_for(&mut self, t: u64) -> Option<VoiceBlock> {
        for _ in 0..=PIECES {
            match self.piece {
                Some(piece) if piece.at + GRID as u64 > t => return Some(piece),
                _ => self.piece = Some(self.pieces.try_pop()?),
            }
        }
        None
    }

    /// Fades in after a gap, and out before one; `left` frames of the current piece are left.
    fn steer(&mut self, t: u64, left: usize) {
        let follows = t == self.next && !self.dry;
        if !follows {
            self.gain = Ramp::new(if self.fresh { 1.0 } else { 0.0 });
            self.gain.to(1.0, HOLD_BACK as u32);
        }
        (self.fresh, self.dry) = (false, false);
        let ahead = left + GRID * self.pieces.occupied_len();
        let falling = self.gain.target() == 0.0;
        if ahead > HOLD_BACK || self.cell.resting.load(Acquire) {
            if falling {
                self.gain.to(1.0, HOLD_BACK as u32);
            }
        } else if !falling {
            self.gain.to(0.0, ahead as u32);
            self.cell.underruns.fetch_add(1, Relaxed);
        }
    }

    /// Handles a lack of pieces: either everything has been said, or the ring ran dry.
    fn run_dry(&mut self) {
        if self.cell.resting.load(Acquire) && self.piece.is_none_or(|p| p.at < self.next) {
            (self.fresh, self.dry) = (true, false);
        } else {
            self.dry = !self.fresh;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(at: u64, value: f32) -> VoiceBlock {
        VoiceBlock { at, left: [value; GRID], right: [-value; GRID] }
    }

    fn heard(reader: &mut VoiceReader, now: u64, frames: usize) -> Vec<f32> {
        let mut out = Vec::new();
        let mut t = now;
        while out.len() < frames {
            let n = (frames - out.len()).min(17);
            let (mut left, mut right) = (vec![0.0; n], vec![0.0; n]);
            reader.add(t, &mut left, &mut right);
            assert!(left.iter().zip(&right).all(|(l, r)| *l == -*r));
            out.extend(left);
            t += n as u64;
        }
        out
    }

    #[test]
    fn a_flow_is_heard_at_its_time_from_its_first_frame_on() {
        let (mut writer, mut reader) = line(0);
        assert_eq!(heard(&mut reader, 0, 100), vec![0.0; 100]);
        // It starts at 150, not on a quantum's boundary.
        for k in 0..20 {
            assert!(writer.write(piece(150 + 32 * k, 0.5)));
        }
        writer.rest();
        let sound = heard(&mut reader, 100, 1_000);
        assert!(sound[..50].iter().all(|s| *s == 0.0) && sound[50..690].iter().all(|s| *s == 0.5));
        assert!(sound[690..].iter().all(|s| *s == 0.0));
        assert_eq!(writer.cell.underruns.load(Relaxed), 0);
    }

    #[test]
    fn a_flow_that_runs_dry_fades_out_is_counted_once_and_fades_in_again_at_its_time() {
        let (mut writer, mut reader) = line(0);
        for k in 0..20 {
            writer.write(piece(32 * k, 0.5));
        }
        let sound = heard(&mut reader, 0, 1_000);
        assert!(sound[..500].iter().all(|s| *s == 0.5));
        let steps = |s: &[f32]| s.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        assert!(steps(&sound) < 0.01 && sound[640..].iter().all(|s| *s == 0.0), "{}", steps(&sound));
        assert_eq!(writer.cell.underruns.load(Relaxed), 1);
        // The first of these are late, the rest are in time.
        for k in 20..60 {
            writer.write(piece(32 * k, 0.5));
        }
        writer.rest();
        let sound = heard(&mut reader, 1_000, 600);
        assert!(sound[0] < 0.01 && steps(&sound) < 0.01 && sound[150] == 0.5 && sound[599] == 0.5);
        assert_eq!(writer.cell.underruns.load(Relaxed), 1);
    }

    #[test]
    fn lost_time_is_lost_here_too() {
        let (mut writer, mut reader) = line(0);
        for k in 0..200u64 {
            let mut p = piece(32 * k, 0.0);
            for (i, s) in p.left.iter_mut().enumerate() {
                *s = (32 * k + i as u64) as f32;
            }
            p.right = p.left.map(|s| -s);
            writer.write(p);
        }
        heard(&mut reader, 0, 320);
        let sound = heard(&mut reader, 1_777, 400);
        assert!(sound[0].abs() < 20.0, "it fades in");
        assert_eq!(sound[200], 1_977.0);
        assert_eq!(writer.cell.underruns.load(Relaxed), 0);
    }

    #[test]
    fn a_pause_needs_no_fade() {
        let (mut writer, mut reader) = line(0);
        for k in 0..10 {
            writer.write(piece(32 * k, 0.5));
        }
        writer.rest();
        heard(&mut reader, 0, 2_000);
        for k in 0..10 {
            writer.write(piece(2_000 + 32 * k, 0.5));
        }
        writer.rest();
        assert_eq!(heard(&mut reader, 2_000, 320), vec![0.5; 320]);
    }
}
