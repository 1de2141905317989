//! What the parts of both pieces have in common: playing patterns and lines.

use super::grid::{BARS, Chord, Figure, Grid, Note, velocity};
use super::rng::Rng;
use super::synth::{Key, Patch, play};
use super::tape::Tape;

/// A piece's chords: two to a bar.
pub(super) type Song = [[Chord; 2]; BARS];

/// The chord of a bar (wrapping past the last) at a step.
pub(super) fn chord(song: &Song, bar: usize, step: usize) -> Chord {
    song[bar % BARS][step / 8 % 2]
}

/// A player: a place in time and on the stage, and human unevenness.
pub(super) struct Player {
    /// The piece's time.
    pub(super) grid: Grid,
    /// The player's unevenness.
    pub(super) rng: Rng,
    /// Most frames by which a stroke may come early or late.
    pub(super) loose: f32,
}

impl Player {
    /// The frame at which this player really meets a step.
    pub(super) fn at(&mut self, bar: usize, step: usize) -> usize {
        let off = self.rng.bipolar() * self.loose;
        // A stroke before the first frame belongs to the loop's end.
        let frame = self.grid.at(bar, step) + self.grid.frames();
        frame.saturating_add_signed(off as isize) % self.grid.frames()
    }

    /// A velocity as really played.
    pub(super) fn touch(&mut self, velocity: f32) -> f32 {
        (velocity * (1.0 + 0.07 * self.rng.bipolar())).min(1.0)
    }

    /// Plays one bar of a drum pattern, a letter per step (see [`velocity`]).
    /// The sound is made from a velocity and a seed.
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
                // Sixteen seeds: noise differs from stroke to stroke.
                let seed = 40 + (step * 7 + bar * 3) as u32 % 16;
                tape.add(at, &sound(velocity, seed), gain, pan);
            }
        }
    }

    /// Plays a line of notes one after another, each gliding from the last if
    /// it begins where that one ends. `pan` as on [`Tape::add`].
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

/// The pitch a note glides from: the note before where the two touch, else
/// its own.
pub(super) fn from(last: Option<&Note>, note: &Note) -> u8 {
    let start = |n: &Note| (n.bar * 16 + n.step) as f32;
    last.filter(|last| (start(last) + last.long - start(note)).abs() < 0.6).map_or(note.midi, |last| last.midi)
}

/// Writes a bass line out: each bar plays its figure over its chords.
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
