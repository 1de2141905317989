//! The score of deck B: chords, bass figures, guitar picking and the melody.

use super::grid::Tone::{Approach, Fifth, Octave, Root, Seventh};
use super::grid::{Chord, Figure, Note, note, over};
use super::part::Song;

const FMAJ9: Chord = over(41, [57, 60, 64, 67]);
const AM7: Chord = over(33, [55, 60, 64, 67]);
const DM9: Chord = over(38, [57, 60, 64, 65]);
const BBMAJ9: Chord = over(34, [57, 60, 62, 65]);
const C69: Chord = over(36, [55, 57, 62, 64]);
const GM9: Chord = over(31, [57, 58, 62, 65]);
const C9SUS: Chord = over(36, [55, 58, 62, 65]);
const C9: Chord = over(36, [55, 58, 62, 64]);
const C_BB: Chord = over(34, [55, 60, 62, 64]);

/// The chords of the sixteen bars.
pub(super) const SONG: Song = [
    [FMAJ9, FMAJ9],
    [AM7, AM7],
    [DM9, DM9],
    [BBMAJ9, C69],
    [FMAJ9, FMAJ9],
    [AM7, AM7],
    [GM9, GM9],
    [C9SUS, C9],
    [BBMAJ9, BBMAJ9],
    [C_BB, C_BB],
    [AM7, AM7],
    [DM9, DM9],
    [GM9, GM9],
    [AM7, AM7],
    [BBMAJ9, BBMAJ9],
    [C9SUS, C9],
];

/// The main bass figure.
pub(super) const STROLL: &[Figure] = &[
    (0, Root, 3.0, 0.94),
    (3, Octave, 0.7, 0.4),
    (7, Root, 2.4, 0.74),
    (10, Root, 1.6, 0.86),
    (12, Fifth, 1.0, 0.56),
    (13, Seventh, 0.9, 0.5),
    (14, Approach, 1.8, 0.68),
];

/// The reply to the main figure.
pub(super) const REPLY: &[Figure] = &[
    (0, Root, 2.4, 0.92),
    (4, Fifth, 0.7, 0.4),
    (6, Octave, 0.9, 0.64),
    (7, Seventh, 2.0, 0.62),
    (10, Root, 2.4, 0.86),
    (13, Octave, 0.8, 0.54),
    (15, Approach, 1.0, 0.6),
];

/// The bass of bars with two chords.
pub(super) const TWO: &[Figure] = &[
    (0, Root, 3.0, 0.92),
    (3, Fifth, 0.9, 0.5),
    (6, Octave, 1.4, 0.62),
    (8, Root, 2.0, 0.86),
    (10, Root, 1.6, 0.74),
    (13, Fifth, 0.9, 0.52),
    (14, Octave, 0.9, 0.62),
    (15, Approach, 0.9, 0.56),
];

/// The bass of the half-time middle.
pub(super) const FLOAT: &[Figure] = &[(0, Root, 8.5, 0.84), (10, Octave, 2.6, 0.5), (13, Fifth, 2.6, 0.52)];

/// A picked note: step, index of the voice of the chord (4 is the lowest, an octave higher), velocity.
pub(super) type Pick = (usize, usize, f32);

/// Two alternating bars of picking.
pub(super) const PICKING: [&[Pick]; 2] = [
    &[
        (0, 0, 0.8),
        (2, 2, 0.5),
        (3, 3, 0.66),
        (6, 1, 0.56),
        (7, 4, 0.7),
        (9, 3, 0.44),
        (10, 2, 0.62),
        (12, 0, 0.6),
        (13, 3, 0.5),
        (15, 1, 0.46),
    ],
    &[
        (0, 1, 0.76),
        (3, 3, 0.62),
        (4, 2, 0.44),
        (6, 4, 0.7),
        (9, 3, 0.5),
        (10, 0, 0.66),
        (11, 2, 0.42),
        (13, 3, 0.6),
        (14, 4, 0.54),
    ],
];

/// The picking of the half-time middle.
pub(super) const SLOW_PICKING: &[Pick] = &[(0, 0, 0.66), (3, 1, 0.5), (6, 2, 0.56), (9, 3, 0.6), (12, 4, 0.62)];

/// The first voice.
pub(super) const VERSES: [Note; 39] = [
    note(1, 4, 69, 4.0, 0.7),
    note(1, 8, 72, 6.0, 0.8),
    note(1, 14, 74, 2.0, 0.7),
    note(2, 0, 76, 7.0, 0.86),
    note(2, 8, 72, 6.0, 0.74),
    note(3, 0, 69, 4.0, 0.7),
    note(3, 4, 72, 4.0, 0.74),
    note(3, 8, 76, 6.0, 0.84),
    note(3, 14, 77, 2.0, 0.74),
    note(4, 0, 74, 8.0, 0.82),
    note(4, 8, 76, 4.0, 0.76),
    note(4, 12, 74, 4.0, 0.72),
    note(5, 0, 72, 10.0, 0.8),
    note(5, 12, 69, 4.0, 0.68),
    note(6, 0, 67, 7.0, 0.7),
    note(6, 8, 69, 4.0, 0.68),
    note(6, 12, 72, 4.0, 0.74),
    note(7, 0, 74, 8.0, 0.82),
    note(7, 8, 70, 4.0, 0.7),
    note(7, 12, 69, 4.0, 0.68),
    note(8, 0, 67, 12.0, 0.72),
    note(9, 0, 74, 15.5, 0.74),
    note(10, 0, 76, 15.5, 0.78),
    note(11, 0, 72, 15.5, 0.72),
    note(12, 0, 77, 8.0, 0.82),
    note(12, 8, 76, 7.5, 0.78),
    note(13, 0, 74, 6.0, 0.82),
    note(13, 6, 72, 2.0, 0.68),
    note(13, 8, 70, 7.0, 0.74),
    note(14, 0, 72, 6.0, 0.76),
    note(14, 6, 74, 2.0, 0.7),
    note(14, 8, 76, 7.0, 0.84),
    note(15, 0, 77, 8.0, 0.88),
    note(15, 8, 74, 6.0, 0.76),
    note(15, 14, 72, 2.0, 0.66),
    note(16, 0, 74, 7.0, 0.8),
    note(16, 8, 72, 4.0, 0.72),
    note(16, 12, 70, 2.0, 0.64),
    note(16, 14, 67, 4.0, 0.64),
];

/// The second voice, below the first in thirds, fourths and sixths.
pub(super) const SECONDS: [Note; 14] = [
    note(7, 0, 70, 8.0, 0.6),
    note(7, 8, 65, 8.0, 0.56),
    note(8, 0, 62, 12.0, 0.58),
    note(9, 0, 65, 15.5, 0.64),
    note(10, 0, 67, 15.5, 0.66),
    note(11, 0, 64, 15.5, 0.64),
    note(12, 0, 69, 15.5, 0.66),
    note(13, 0, 70, 8.0, 0.6),
    note(13, 8, 65, 7.0, 0.58),
    note(14, 0, 67, 15.0, 0.6),
    note(15, 0, 69, 8.0, 0.64),
    note(15, 8, 65, 7.0, 0.6),
    note(16, 0, 65, 7.0, 0.6),
    note(16, 8, 64, 7.0, 0.58),
];
