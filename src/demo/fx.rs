//! Effects: chorus, echo, reverb, and the final clean-up of a stem.

use super::RATE;
use super::filter::{OnePole, Svf, saturate};
use super::oscillator::sine;
use super::tape::Tape;

/// A delay line of fixed length.
struct Line {
    held: Vec<f32>,
    frame: usize,
}

impl Line {
    /// Creates a line of `frames` samples, at least one.
    fn new(frames: usize) -> Self {
        Self { held: vec![0.0; frames.max(1)], frame: 0 }
    }

    /// The sample that was pushed a line's length ago.
    #[inline]
    fn oldest(&self) -> f32 {
        self.held[self.frame]
    }

    /// Pushes a sample.
    #[inline]
    fn push(&mut self, sample: f32) {
        self.held[self.frame] = sample;
        self.frame += 1;
        if self.frame == self.held.len() {
            self.frame = 0;
        }
    }

    /// The sample pushed `delay` samples ago (1.0 up to the length less one), interpolated linearly.
    #[inline]
    fn tap(&self, delay: f32) -> f32 {
        let whole = delay as usize;
        let part = delay - whole as f32;
        let newer = self.back(whole);
        let older = self.back(whole + 1);
        newer + part * (older - newer)
    }

    /// The sample pushed `delay` samples ago, 1 up to the length.
    #[inline]
    fn back(&self, delay: usize) -> f32 {
        if delay <= self.frame {
            self.held[self.frame - delay]
        } else {
            self.held[self.frame + self.held.len() - delay]
        }
    }

    /// Uses the line as a Schroeder all-pass (Schroeder 1962): diffuses without colouring.
    #[inline]
    fn all_pass(&mut self, input: f32, gain: f32) -> f32 {
        let out = self.oldest() - gain * input;
        self.push(input + gain * out);
        out
    }
}

/// The nearest rate to `rate` (hertz) that fits the loop a whole number of times, in cycles per loop, so that a
/// modulation continues seamlessly.
fn cycles(tape: &Tape, rate: f32) -> f32 {
    (rate * tape.frames() as f32 / RATE).round().max(1.0)
}

/// Chorus: adds to each side two slowly modulated delays. `rate` in hertz, `depth` in milliseconds (under 6), `mix`
/// 0.0..1.0.
pub(super) fn chorus(tape: &mut Tape, rate: f32, depth: f32, mix: f32) {
    const BASE: f32 = 0.012;
    let turns = cycles(tape, rate);
    let mut lines = [Line::new(1024), Line::new(1024)];
    let mut delays = [[BASE * RATE; 2]; 2];
    let mut countdown = 0_u32;
    let swing = depth * 0.001 * RATE;
    tape.through(0.1, |place, input| {
        if countdown == 0 {
            countdown = 8;
            for (side, pair) in delays.iter_mut().enumerate() {
                for (tap, delay) in pair.iter_mut().enumerate() {
                    // A quarter turn apart, so that the sides never move together.
                    let offset = side as f32 * 0.25 + tap as f32 * 0.5;
                    *delay = BASE * RATE * (1.0 + 0.37 * tap as f32) + swing * sine((place * turns + offset).fract());
                }
            }
        }
        countdown -= 1;
        let mut out = input;
        for side in 0..2 {
            let wet = lines[side].tap(delays[side][0]) - lines[side].tap(delays[side][1]);
            lines[side].push(input[side]);
            out[side] = input[side] * (1.0 - 0.3 * mix) + wet * mix * 0.6;
        }
        out
    });
}

/// Pans the sound gently from side to side, like a suitcase electric piano. `rate` in hertz, `depth` 0.0..1.0.
pub(super) fn auto_pan(tape: &mut Tape, rate: f32, depth: f32) {
    let turns = cycles(tape, rate);
    tape.through(0.0, |place, [left, right]| {
        let swing = 0.5 * depth * sine((place * turns).fract());
        [left * (1.0 - swing), right * (1.0 + swing)]
    });
}

/// Ping-pong echo. `frames` between repeats, `feedback` 0.0..0.7, `mix` the level of the first echo.
pub(super) fn echo(tape: &mut Tape, frames: usize, feedback: f32, mix: f32) {
    let mut lines = [Line::new(frames), Line::new(frames)];
    // Each repeat is a little duller and thinner, as from tape.
    let mut dull = [OnePole::new(3_200.0), OnePole::new(3_200.0)];
    let mut thin = [OnePole::new(220.0), OnePole::new(220.0)];
    tape.through(8.0, |_, [left, right]| {
        let mut back = [lines[0].oldest(), lines[1].oldest()];
        for side in 0..2 {
            let soft = dull[side].next(back[side]);
            back[side] = soft - thin[side].next(soft);
        }
        lines[0].push(0.7 * (left + right) + feedback * back[1]);
        lines[1].push(feedback.sqrt() * back[0]);
        [left + mix * back[0], right + mix * back[1]]
    });
}

/// Number of delay lines in the reverb.
const LINES: usize = 8;

/// A feedback delay network (Jot and Chaigne 1991, "Digital delay networks for designing artificial reverberators")
/// with a Householder feedback matrix.
struct Reverb {
    lead: [Line; 2],
    smear: [[Line; 2]; 2],
    lines: [Line; LINES],
    damp: [OnePole; LINES],
    fade: [f32; LINES],
    thin: [OnePole; 2],
}

impl Reverb {
    /// Creates a room that decays by 60 dB in `seconds`, with its delays scaled by `size` (1.0 is a hall) and its high
    /// frequencies damped above `damping` hertz.
    fn new(seconds: f32, size: f32, damping: f32) -> Self {
        // Mutually prime at size 1, between 32 and 67 ms, so that there is no common period.
        const LENGTHS: [f32; LINES] = [1_559.0, 1_787.0, 1_979.0, 2_221.0, 2_441.0, 2_687.0, 2_939.0, 3_191.0];
        let line = |frames: f32| Line::new((frames * size) as usize);
        Self {
            lead: [line(720.0), line(816.0)],
            smear: [[line(229.0), line(613.0)], [line(241.0), line(587.0)]],
            lines: LENGTHS.map(line),
            damp: LENGTHS.map(|_| OnePole::new(damping)),
            fade: LENGTHS.map(|frames| 10.0_f32.powf(-3.0 * frames * size / (seconds * RATE))),
            thin: [OnePole::new(180.0), OnePole::new(180.0)],
        }
    }

    /// Returns the wet signal for a frame.
    #[inline]
    fn next(&mut self, input: [f32; 2]) -> [f32; 2] {
        let mut feed = [0.0; 2];
        for side in 0..2 {
            let early = self.lead[side].oldest();
            // Bass is kept out of the reverb, so that it stays dry and clear.
            let trimmed = input[side] - self.thin[side].next(input[side]);
            self.lead[side].push(trimmed);
            let [first, second] = &mut self.smear[side];
            feed[side] = second.all_pass(first.all_pass(early, 0.6), 0.6);
        }
        let mut out = [0.0; LINES];
        for (n, value) in out.iter_mut().enumerate() {
            *value = self.damp[n].next(self.lines[n].oldest()) * self.fade[n];
        }
        let shared = out.iter().sum::<f32>() * (2.0 / LINES as f32);
        let mut wet = [0.0; 2];
        for (n, &value) in out.iter().enumerate() {
            self.lines[n].push(feed[n % 2] + value - shared);
            let sign = if n % 4 < 2 { 1.0 } else { -1.0 };
            wet[n % 2] += sign * value;
        }
        [wet[0] * 0.4, wet[1] * 0.4]
    }
}

/// Adds reverb: see [`Reverb::new`] for `seconds`, `size` and `damping`; `mix` is the level of the wet signal.
pub(super) fn reverb(tape: &mut Tape, seconds: f32, size: f32, damping: f32, mix: f32) {
    let mut room = Reverb::new(seconds, size, damping);
    tape.through(seconds * 1.8, |_, input| {
        let wet = room.next(input);
        [input[0] + mix * wet[0], input[1] + mix * wet[1]]
    });
}

/// Gentle tape-like saturation with a drive of at least 1.0; the level of quiet sounds is preserved.
pub(super) fn drive(tape: &mut Tape, drive: f32) {
    tape.through(0.0, |_, [left, right]| [saturate(left * drive) / drive, saturate(right * drive) / drive]);
}

/// Removes what lies below `low` and attenuates what lies above `high`, in hertz: no DC, no rumble, no hiss.
pub(super) fn trim(tape: &mut Tape, low: f32, high: f32) {
    let mut cuts = [low; 2].map(|cutoff| Svf::new(cutoff, 0.707));
    let mut rounds = [high; 2].map(|cutoff| Svf::new(cutoff, 0.6));
    tape.through(0.5, |_, input| {
        let mut out = [0.0; 2];
        for side in 0..2 {
            let kept = cuts[side].next(input[side]).high;
            out[side] = rounds[side].next(kept).low;
        }
        out
    });
}
