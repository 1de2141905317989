//! The time grid of a piece: bars of sixteen steps, with swing.

use super::RATE;

/// Number of bars in each piece.
pub(super) const BARS: usize = 16;
/// Sixteenth notes in a bar.
pub(super) const STEPS: usize = 16;

/// Converts musical time to frames.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    step: f32,
    swing: f32,
}

impl Grid {
    /// Creates a grid at a tempo in beats per minute; `swing` is the delay of every second sixteenth in steps (0.0
    /// straight, 0.33 full triplets).
    pub(super) fn new(bpm: f32, swing: f32) -> Self {
        Self { step: RATE * 60.0 / bpm / 4.0, swing }
    }

    /// The frame of a step in a bar, both counted from zero.
    pub(super) fn at(&self, bar: usize, step: usize) -> usize {
        let late = if step % 2 == 1 { self.swing } else { 0.0 };
        (((bar * STEPS + step) as f32 + late) * self.step) as usize
    }

    /// Converts a length in steps to frames.
    pub(super) fn long(&self, steps: f32) -> usize {
        (steps * self.step) as usize
    }

    /// Length of the whole loop in frames.
    pub(super) fn frames(&self) -> usize {
        // The tempos of this set divide the sample rate: a step is a whole number of frames.
        (self.step * (BARS * STEPS) as f32).round() as usize
    }
}

/// A note of a written-out line.
#[derive(Clone, Copy)]
pub(super) struct Note {
    /// Bar, from zero.
    pub(super) bar: usize,
    /// Step in the bar, 0..16.
    pub(super) step: usize,
    /// MIDI note number.
    pub(super) midi: u8,
    /// Length in steps.
    pub(super) long: f32,
    /// Velocity, 0.0..1.0.
    pub(super) velocity: f32,
}

/// Shorthand for a [`Note`], so that a melody reads as a table; `bar` counts from one here, as on paper.
pub(super) const fn note(bar: usize, step: usize, midi: u8, long: f32, velocity: f32) -> Note {
    Note { bar: bar - 1, step, midi, long, velocity }
}

/// A chord: the bass note and four voices above it, MIDI note numbers.
#[derive(Clone, Copy)]
pub(super) struct Chord {
    /// Bass note.
    pub(super) root: u8,
    /// Upper voices, from low to high.
    pub(super) voices: [u8; 4],
}

/// Shorthand for a [`Chord`]: four voices over a bass note.
pub(super) const fn over(root: u8, voices: [u8; 4]) -> Chord {
    Chord { root, voices }
}

/// A bass note relative to the current chord.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    /// The chord's bass note.
    Root,
    /// A fifth above it.
    Fifth,
    /// A minor seventh above it, or the sixth where that fits the scale better.
    Seventh,
    /// An octave above it.
    Octave,
    /// A neighbour in the scale of the next bar's bass note, leading into it.
    Approach,
}

/// A note of a bass figure: step, tone, length in steps, velocity.
pub(super) type Figure = (usize, Tone, f32, f32);

/// Returns whether a MIDI note belongs to D minor and F major, which share one scale.
fn in_scale(midi: u8) -> bool {
    matches!(midi % 12, 0 | 2 | 4 | 5 | 7 | 9 | 10)
}

impl Tone {
    /// The MIDI note, given the current chord root and the next one.
    pub(super) fn midi(self, root: u8, next: u8) -> u8 {
        match self {
            Self::Root => root,
            Self::Fifth => root + 7,
            Self::Seventh if in_scale(root + 10) => root + 10,
            Self::Seventh => root + 9,
            Self::Octave => root + 12,
            // Approach from the side on which the line already is.
            Self::Approach if root > next => (next + 1..).find(|&n| in_scale(n)).unwrap_or(next),
            Self::Approach => (0..next).rev().find(|&n| in_scale(n)).unwrap_or(next),
        }
    }
}

/// The velocity for a letter of a drum pattern; `None` for a rest.
pub(super) fn velocity(letter: u8) -> Option<f32> {
    match letter {
        b'X' => Some(1.0),
        b'x' => Some(0.78),
        b'o' => Some(0.55),
        b'g' => Some(0.3),
        _ => None,
    }
}
