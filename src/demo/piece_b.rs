//! Deck B: a slower, broken groove in F major at 112.5 beats per minute.
//!
//! F major shares its scale with deck A's D minor, so the two may overlap. Bars 1 to 8 are two verses, 9 to 12 are in
//! half time, 13 to 16 build up and lead back.

use super::drum;
use super::envelope::Shape;
use super::fx;
use super::grid::{BARS, Grid, Note};
use super::metal::Cymbals;
use super::part::{Player, bass_line, chord, from};
use super::pluck::pluck;
use super::rng::Rng;
use super::score_b::{FLOAT, PICKING, REPLY, SECONDS, SLOW_PICKING, SONG, STROLL, TWO, VERSES};
use super::synth::{Key, Patch, play};
use super::tape::Tape;
use super::voice::{AH, OH, OO, Vowel, sing};

/// Tempo in beats per minute: fifteen sixteenths of deck A's, and a whole number of frames per beat.
pub(super) const BPM: f32 = 112.5;

fn grid() -> Grid {
    Grid::new(BPM, 0.22)
}

fn player(seed: u32, loose: f32) -> Player {
    Player { grid: grid(), rng: Rng::new(seed), loose }
}

/// The pattern of the bass drum in a bar, counted from zero.
fn kick(bar: usize) -> &'static str {
    match bar {
        3 | 14 => "X--o---o--X---x-",
        7 => "X------o--X---xo",
        8..12 => "X---------o-----",
        15 => "X--o---x--X-----",
        _ if bar % 2 == 1 => "X------o--X--o--",
        _ => "X------o--X-----",
    }
}

/// Ducks a loop under each strong stroke of the bass drum.
fn duck(tape: &mut Tape, depth: f32) {
    let grid = grid();
    for bar in 0..BARS {
        for (step, _) in kick(bar).bytes().enumerate().filter(|(_, l)| *l == b'X') {
            tape.duck(grid.at(bar, step), depth, 0.24);
        }
    }
}

/// Bass drum, snare with ghost notes, swung hats, shaker, rim and toms.
pub(super) fn drums() -> Tape {
    let mut tape = Tape::new(grid().frames());
    let mut room = Tape::new(grid().frames());
    let mut p = player(111, 90.0);
    let metal = Cymbals::new();
    let mut steady = player(112, 20.0);
    for bar in 0..BARS {
        let floating = (8..12).contains(&bar);
        let full = bar >= 12;
        steady.strike(&mut tape, (bar, kick(bar)), (0.92, 0.0), |v, _| drum::kick(v, 54.0, 0.092));
        if floating {
            p.strike(&mut room, (bar, "--------X-----g-"), (0.34, -0.2), |v, _| drum::rim(v));
            p.strike(&mut room, (bar, "--------o-------"), (0.3, 0.0), drum::snare);
        } else {
            let snare = match bar {
                7 => "----X--g-g--X-go",
                15 => "----X--g-g--XgoX",
                _ if bar % 2 == 1 => "----X--g-g--X--g",
                _ => "----X----g--X---",
            };
            p.strike(&mut room, (bar, snare), (0.62, 0.0), drum::snare);
            p.strike(&mut room, (bar, "---g------o----g"), (0.2, -0.35), |v, _| drum::rim(v));
        }
        if full {
            p.strike(&mut room, (bar, "----x-------x---"), (0.3, 0.06), drum::clap);
        }
        let closed = match bar {
            8..12 => "o---g---o---g-g-",
            12.. => "xgogxgogxgogxg-o",
            _ => "x-o-xgo-x-ogx-o-",
        };
        p.strike(&mut tape, (bar, closed), (0.4, 0.32), |v, s| metal.hat(v, s));
        if bar % 2 == 1 && !floating {
            p.strike(&mut tape, (bar, "--------------x-"), (0.2, 0.28), |v, s| metal.open_hat(v, s));
        }
        p.strike(&mut tape, (bar, "g-oxg-oxg-oxg-ox"), (0.26, -0.48), drum::shaker);
        if bar >= 4 && !floating {
            p.strike(&mut room, (bar, "------g----o-g--"), (0.24, 0.5), |v, _| drum::conga(v, 262.0, 0.1));
        }
        if floating {
            p.strike(&mut tape, (bar, "o-----g-o---g---"), (0.13, -0.3), |v, s| metal.cymbal(v, 0.4, s));
        }
    }
    p.strike(&mut room, (11, "----------o--x--"), (0.4, -0.3), |v, _| drum::conga(v, 138.0, 0.2));
    p.strike(&mut room, (11, "--------------ox"), (0.42, 0.25), |v, _| drum::conga(v, 104.0, 0.24));
    for bar in [0, 8, 12] {
        p.strike(&mut room, (bar, "x---------------"), (0.16, -0.25), |v, s| metal.cymbal(v, 0.8, s));
    }
    fx::reverb(&mut room, 0.6, 0.4, 4_600.0, 0.32);
    tape.mix(&room, 1.0);
    fx::drive(&mut tape, 1.2);
    fx::trim(&mut tape, 30.0, 16_000.0);
    tape.level(-18.5);
    tape
}

const FINGERED: Patch = Patch {
    saws: &[0.0],
    pulse: (0.25, 0.3),
    body: 0.8,
    cutoff: 1.2,
    sweep: 2.6,
    quality: 0.9,
    level: Shape { attack: 0.005, decay: 0.7, sustain: 0.6, release: 0.11 },
    filter: Shape { attack: 0.002, decay: 0.07, sustain: 0.12, release: 0.1 },
    vibrato: 5.0,
    glide: 0.07,
    drive: 1.4,
};

/// A fingered bass between the strokes of the bass drum.
pub(super) fn bass() -> Tape {
    let mut tape = Tape::new(grid().frames());
    let notes = bass_line(
        &SONG,
        &[
            STROLL, REPLY, STROLL, TWO, STROLL, REPLY, STROLL, TWO, FLOAT, FLOAT, FLOAT, REPLY, STROLL, REPLY, STROLL,
            TWO,
        ],
    );
    player(211, 60.0).line(&mut tape, &FINGERED, &notes, (0.6, 0.0));
    duck(&mut tape, 0.3);
    fx::trim(&mut tape, 32.0, 5_000.0);
    tape.level(-19.2);
    tape
}

const STRINGS: Patch = Patch {
    saws: &[-11.0, -3.0, 9.0],
    pulse: (0.0, 0.5),
    body: 0.0,
    cutoff: 1.6,
    sweep: 1.0,
    quality: 0.65,
    level: Shape { attack: 0.28, decay: 1.2, sustain: 0.8, release: 0.9 },
    filter: Shape { attack: 0.7, decay: 1.4, sustain: 0.5, release: 0.8 },
    vibrato: 7.0,
    glide: 0.0,
    drive: 1.0,
};

/// A picked guitar over a string section.
pub(super) fn strings() -> Tape {
    let grid = grid();
    let mut guitar = Tape::new(grid.frames());
    let mut p = player(311, 100.0);
    for bar in 0..BARS {
        let floating = (8..12).contains(&bar);
        let picks = if floating { SLOW_PICKING } else { PICKING[bar % 2] };
        for &(step, voice, velocity) in picks {
            let voices = chord(&SONG, bar, step).voices;
            let midi = if voice == 4 { voices[0] + 12 } else { voices[voice] };
            let at = p.at(bar, step);
            let velocity = p.touch(velocity);
            let gate = grid.long(if floating { 8.0 } else { 3.4 });
            let pan = voice as f32 * 0.16 - 0.34;
            guitar.add(at, &pluck(midi, gate, velocity, &mut p.rng), 0.6, pan);
        }
    }
    fx::chorus(&mut guitar, 0.4, 1.6, 0.35);
    fx::echo(&mut guitar, grid.long(3.0), 0.3, 0.2);

    let mut tape = Tape::new(grid.frames());
    for half in 0..BARS * 2 {
        let (bar, step) = (half / 2, half % 2 * 8);
        let here = SONG[bar][half % 2].voices;
        if half % 2 == 1 && here == SONG[bar][0].voices {
            continue;
        }
        let through = half % 2 == 0 && here == SONG[bar][1].voices;
        // The section swells in the middle and stays for the last bars.
        let velocity = match bar {
            0..4 => 0.6,
            4..8 => 0.72,
            8..12 => 0.95,
            _ => 0.82,
        };
        for midi in here {
            for side in [-0.85, 0.85] {
                let key = Key { midi, from: midi, gate: grid.long(if through { 15.6 } else { 7.6 }), velocity };
                tape.add(grid.at(bar, step), &play(&STRINGS, key, &mut p.rng), 0.14, side);
            }
        }
    }
    duck(&mut tape, 0.3);
    tape.mix(&guitar, 1.0);
    fx::reverb(&mut tape, 1.8, 0.95, 4_400.0, 0.28);
    fx::trim(&mut tape, 120.0, 13_000.0);
    tape.level(-22.0);
    tape
}

/// The vowels of a note: closed for short and soft notes, open for long ones.
fn vowels(note: &Note) -> [Vowel; 2] {
    if note.bar >= 8 && note.bar < 12 {
        [OO, AH]
    } else if note.long >= 6.0 {
        [OH, AH]
    } else {
        [OO, OH]
    }
}

/// A small wordless choir in one and two voices.
pub(super) fn voice() -> Tape {
    let grid = grid();
    let mut tape = Tape::new(grid.frames());
    let mut p = player(411, 140.0);
    for (notes, gain) in [(&VERSES[..], 0.3), (&SECONDS[..], 0.26)] {
        let mut last = None;
        for note in notes {
            let at = p.at(note.bar, note.step);
            let velocity = p.touch(note.velocity);
            let gate = grid.long(note.long);
            for side in [-0.6, 0.6] {
                let sound = sing((note.midi, from(last, note)), gate, velocity, vowels(note), &mut p.rng);
                tape.add(at, &sound, gain, side);
            }
            last = Some(note);
        }
    }
    fx::chorus(&mut tape, 0.5, 1.8, 0.4);
    fx::echo(&mut tape, grid.long(6.0), 0.28, 0.16);
    duck(&mut tape, 0.08);
    fx::reverb(&mut tape, 2.3, 1.1, 4_600.0, 0.42);
    fx::trim(&mut tape, 150.0, 13_000.0);
    tape.level(-22.5);
    tape
}
