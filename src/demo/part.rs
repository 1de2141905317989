//! Playing of patterns and lines, common to the parts of both pieces.

use super::grid::{BARS, Chord, Figure, Grid, Note, velocity};
use super::rng::Rng;
use super::synth::{Key, Patch, play};
use super::tape::Tape;

/// The chords of a piece, two per bar.
pub(super) type Song = [[Chord; 2]; BARS];

/// The chord at a step of a bar; bars past the last wrap around.
pub(super) fn chord(song: &Song, bar: usize, step: usize) -> Chord {
    song[bar % BARS][step / 8 % 2]
}

/// A player: a time grid, with random deviations in timing and velocity.
pub(super) struct Player {
    /// The time grid of the piece.
    pub(super) grid: Grid,
    /// Source of the deviations.
    pub(super) rng: Rng,
    /// Maximum deviation in time, in frames.
    pub(super) loose: f32,
}

impl Player {
    /// The frame at which this player plays a step, with its deviation.
    pub(super) fn at(&mut self, bar: usize, step: usize) -> usize {
        let off = self.rng.bipolar() * self.loose;
        // A stroke before the first frame wraps to the end of the loop.
        let frame = self.grid.at(bar, step) + self.grid.frames();
        frame.saturating_add_signed(off as isize) % self.grid.frames()
    }

    /// A velocity with its deviation.
    pub(super) fn touch(&mut self, velocity: f32) -> f32 {
        (velocity * (1.0 + 0.07 * self.rng.bipolar())).min(1.0)
    }

    /// Plays one bar of a drum pattern, one letter per step (see [`velocity`]). `sound` renders a stroke from a
    /// velocity and a seed.
    pub(super) fn strike(
        &mut self,
        tape: &mut Tape,
        (bar, pattern): (usize, &str),
        (gain, pan): (f32, f32),
        sound: impl Fn(f32, u32) -> Vec<f32>,
    ) {
        for (step, letter) in pattern.bytes().enumerate() {
            if let Some(velocity) = velocity(letter) {
                let at = self.at(bar, step);
                let velocity = self.touch(velocity);
                // Sixteen seeds, so that the noise differs from stroke to stroke.
                let seed = 40 + (step * 7 + bar * 3) as u32 % 16;
                tape.add(at, &sound(velocity, seed), gain, pan);
            }
        }
    }

    /// Plays a line of notes, each gliding from the previous one if it begins where that one ends. `pan` as in
    /// [`Tape::add`].
    pub(super) fn line(&mut self, tape: &mut Tape, patch: &Patch, notes: &[Note], (gain, pan): (f32, f32)) {
        let mut last: Option<&Note> = None;
        for note in notes {
            let key = Key {
                midi: note.midi,
                from: from(last, note),
                gate: self.grid.long(note.long),
                velocity: self.touch(note.velocity),
            };
            let at = self.at(note.bar, note.step);
            tape.add(at, &play(patch, key, &mut self.rng), gain, pan);
            last = Some(note);
        }
    }
}

/// The pitch from which a note glides: that of the previous note if the two touch, else its own.
pub(super) fn from(last: Option<&Note>, note: &Note) -> u8 {
    let start = |n: &Note| (n.bar * 16 + n.step) as f32;
    last.filter(|last| (start(last) + last.long - start(note)).abs() < 0.6).map_or(note.midi, |last| last.midi)
}

/// Writes out a bass line: each bar plays its figure over its chords.
pub(super) fn bass_line(song: &Song, figures: &[&[Figure]; BARS]) -> Vec<Note> {
    let mut notes = Vec::new();
    for (bar, figure) in figures.iter().enumerate() {
        for &(step, tone, long, velocity) in *figure {
            let here = chord(song, bar, step).root;
            let next = chord(song, bar + 1, 0).root;
            notes.push(Note { bar, step, midi: tone.midi(here, next), long, velocity });
        }
    }
    notes
}
