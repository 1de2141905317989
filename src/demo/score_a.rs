//! The score of deck A: chords, bass figures, piano rhythms and the melody.

use super::grid::Tone::{Approach, Fifth, Octave, Root, Seventh};
use super::grid::{Chord, Figure, Note, note, over};
use super::part::Song;

// Close voicings, so that from chord to chord each voice moves by step or stays.
const DM9: Chord = over(38, [53, 57, 60, 64]);
const AM7: Chord = over(33, [52, 55, 60, 64]);
const BB9: Chord = over(34, [53, 57, 60, 62]);
const GM9: Chord = over(31, [53, 57, 58, 62]);
const C9SUS: Chord = over(36, [53, 55, 58, 62]);
const C69: Chord = over(36, [52, 55, 57, 62]);
const A7SUS: Chord = over(33, [52, 55, 57, 62]);

/// The chords of the sixteen bars.
pub(super) const SONG: Song = [
    [DM9, DM9],
    [AM7, AM7],
    [BB9, BB9],
    [C9SUS, C69],
    [DM9, DM9],
    [AM7, AM7],
    [GM9, GM9],
    [C9SUS, C69],
    [BB9, BB9],
    [AM7, AM7],
    [GM9, GM9],
    [A7SUS, AM7],
    [BB9, BB9],
    [C69, C69],
    [DM9, DM9],
    [GM9, A7SUS],
];

/// The main bass figure.
pub(super) const GROOVE: &[Figure] = &[
    (0, Root, 2.4, 0.95),
    (3, Root, 0.8, 0.5),
    (6, Root, 2.0, 0.82),
    (9, Octave, 0.7, 0.45),
    (10, Seventh, 1.6, 0.74),
    (13, Fifth, 0.8, 0.5),
    (14, Approach, 1.7, 0.72),
];

/// The answer to the main figure, with an octave leap.
pub(super) const ANSWER: &[Figure] = &[
    (0, Root, 2.8, 0.92),
    (6, Root, 1.4, 0.8),
    (8, Octave, 0.8, 0.62),
    (10, Fifth, 1.2, 0.72),
    (11, Seventh, 0.7, 0.46),
    (14, Octave, 0.8, 0.66),
    (15, Approach, 0.9, 0.55),
];

/// The bass of the quiet middle.
pub(super) const CALM: &[Figure] = &[(0, Root, 6.5, 0.86), (10, Fifth, 2.5, 0.62), (14, Approach, 1.8, 0.6)];

/// The bass at the end of four bars.
pub(super) const TURN: &[Figure] = &[
    (0, Root, 2.4, 0.92),
    (3, Octave, 0.8, 0.55),
    (6, Fifth, 1.5, 0.72),
    (8, Root, 2.2, 0.88),
    (11, Root, 0.8, 0.55),
    (12, Fifth, 1.4, 0.7),
    (14, Octave, 0.9, 0.7),
    (15, Approach, 0.9, 0.62),
];

/// A hit of the electric piano: step, length in steps, velocity.
pub(super) type Hit = (usize, f32, f32);

/// The rhythm of the piano over four bars.
pub(super) const COMP: [&[Hit]; 4] = [
    &[(0, 4.5, 0.74), (7, 1.2, 0.5), (10, 3.6, 0.66)],
    &[(0, 2.6, 0.7), (6, 1.4, 0.56), (11, 1.0, 0.42), (14, 1.8, 0.64)],
    &[(2, 4.0, 0.68), (7, 1.0, 0.45), (10, 2.6, 0.66), (15, 0.8, 0.36)],
    &[(0, 2.6, 0.72), (3, 1.0, 0.44), (8, 3.0, 0.68), (14, 1.8, 0.6)],
];

/// Longer piano chords for the quiet middle.
pub(super) const HELD: &[Hit] = &[(0, 9.0, 0.62), (11, 4.0, 0.46)];

/// Small right-hand runs at the ends of phrases.
pub(super) const RUNS: [Note; 16] = [
    note(4, 11, 74, 0.9, 0.46),
    note(4, 12, 72, 1.0, 0.5),
    note(4, 13, 69, 1.0, 0.44),
    note(4, 15, 67, 1.2, 0.48),
    note(8, 10, 69, 1.0, 0.44),
    note(8, 11, 72, 1.0, 0.46),
    note(8, 13, 74, 1.0, 0.5),
    note(8, 14, 76, 2.0, 0.54),
    note(12, 6, 76, 1.0, 0.46),
    note(12, 7, 74, 1.0, 0.42),
    note(12, 9, 72, 1.0, 0.46),
    note(12, 10, 69, 3.0, 0.5),
    note(16, 4, 74, 1.0, 0.42),
    note(16, 5, 70, 1.0, 0.42),
    note(16, 12, 69, 1.0, 0.46),
    note(16, 13, 67, 1.5, 0.46),
];

/// The melody of the lead.
pub(super) const MELODY: [Note; 43] = [
    note(1, 4, 69, 2.0, 0.62),
    note(1, 6, 72, 2.0, 0.7),
    note(1, 8, 74, 6.0, 0.84),
    note(2, 0, 76, 3.0, 0.82),
    note(2, 3, 74, 1.0, 0.6),
    note(2, 4, 72, 4.0, 0.72),
    note(2, 10, 69, 2.0, 0.6),
    note(2, 12, 72, 4.0, 0.7),
    note(3, 0, 74, 6.0, 0.82),
    note(3, 8, 77, 3.0, 0.86),
    note(3, 11, 76, 1.0, 0.64),
    note(3, 12, 74, 4.0, 0.74),
    note(4, 0, 72, 4.0, 0.72),
    note(4, 4, 74, 2.0, 0.68),
    note(4, 6, 67, 6.0, 0.7),
    note(5, 4, 69, 2.0, 0.64),
    note(5, 6, 72, 2.0, 0.72),
    note(5, 8, 77, 6.0, 0.88),
    note(5, 14, 79, 2.0, 0.76),
    note(6, 0, 76, 6.0, 0.84),
    note(6, 8, 79, 3.0, 0.86),
    note(6, 11, 76, 1.0, 0.66),
    note(6, 12, 72, 4.0, 0.74),
    note(7, 0, 74, 4.0, 0.8),
    note(7, 4, 70, 4.0, 0.7),
    note(7, 8, 69, 3.0, 0.68),
    note(7, 11, 70, 1.0, 0.6),
    note(7, 12, 72, 4.0, 0.72),
    note(8, 0, 74, 6.0, 0.76),
    note(8, 6, 72, 2.0, 0.62),
    note(8, 8, 76, 7.0, 0.72),
    note(13, 0, 77, 6.0, 0.86),
    note(13, 6, 76, 2.0, 0.7),
    note(13, 8, 74, 4.0, 0.76),
    note(13, 12, 72, 4.0, 0.7),
    note(14, 0, 74, 6.0, 0.78),
    note(14, 6, 72, 2.0, 0.64),
    note(14, 8, 69, 7.0, 0.72),
    note(15, 4, 69, 2.0, 0.64),
    note(15, 6, 72, 2.0, 0.72),
    note(15, 8, 76, 7.0, 0.84),
    note(16, 0, 74, 6.0, 0.76),
    note(16, 8, 69, 6.0, 0.66),
];

/// The bells: step, and index of the voice of the chord, played an octave higher.
pub(super) const PEAL: [&[(usize, usize)]; 2] =
    [&[(0, 3), (3, 2), (6, 1), (8, 3), (11, 2), (14, 0)], &[(2, 1), (5, 2), (8, 3), (11, 1), (14, 2)]];
