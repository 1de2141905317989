//! Deck A: deep house in D minor at 120 beats per minute.
//!
//! Bars 1 to 4 set the groove, 5 to 8 add congas and answer the melody higher, 9 to 12 thin out (bells replace the
//! lead), 13 to 16 bring everything back and turn around.

use super::drum;
use super::envelope::Shape;
use super::fx;
use super::grid::{BARS, Grid};
use super::keys::{bell, piano};
use super::metal::Cymbals;
use super::part::{Player, bass_line, chord};
use super::rng::Rng;
use super::score_a::{ANSWER, CALM, COMP, GROOVE, HELD, MELODY, PEAL, RUNS, SONG, TURN};
use super::synth::{Key, Patch, play};
use super::tape::Tape;

/// Tempo in beats per minute.
pub(super) const BPM: f32 = 120.0;

fn grid() -> Grid {
    Grid::new(BPM, 0.16)
}

fn player(seed: u32, loose: f32) -> Player {
    Player { grid: grid(), rng: Rng::new(seed), loose }
}

/// The pattern of the bass drum in a bar, counted from zero.
fn kick(bar: usize) -> &'static str {
    match bar {
        7 => "X---X---X---X-o-",
        11 => "X---X---X-------",
        15 => "X---X---X-----o-",
        _ => "X---X---X---X---",
    }
}

/// Ducks a loop under each stroke of the bass drum.
fn duck(tape: &mut Tape, depth: f32) {
    let grid = grid();
    for bar in 0..BARS {
        for (step, _) in kick(bar).bytes().enumerate().filter(|(_, l)| *l != b'-') {
            tape.duck(grid.at(bar, step), depth, 0.21);
        }
    }
}

/// Bass drum, clap, hats, shaker, rim and congas.
pub(super) fn drums() -> Tape {
    let mut tape = Tape::new(grid().frames());
    let mut room = Tape::new(grid().frames());
    let mut p = player(101, 60.0);
    let metal = Cymbals::new();
    let mut steady = player(102, 0.0);
    for bar in 0..BARS {
        let sparse = (8..12).contains(&bar);
        let full = bar >= 12;
        steady.strike(&mut tape, (bar, kick(bar)), (0.95, 0.0), |v, _| drum::kick(v, 51.0, 0.098));
        if !sparse {
            let clap = if bar % 8 == 7 { "----X-------X--o" } else { "----X-------X---" };
            p.strike(&mut room, (bar, clap), (0.84, 0.04), drum::clap);
            p.strike(&mut room, (bar, "----x-------x---"), (0.16, -0.03), drum::snare);
        }
        let open = if sparse { "----------------" } else { "--x---x---x---x-" };
        p.strike(&mut tape, (bar, open), (0.27, 0.25), |v, s| metal.open_hat(v, s));
        let closed = match bar {
            0..4 => "o--go--go--go-gg",
            8..12 => "o---o-g-o---o-g-",
            _ => "og-oog-gog-oogog",
        };
        p.strike(&mut tape, (bar, closed), (0.42, 0.3), |v, s| metal.hat(v, s));
        p.strike(&mut tape, (bar, "gogxgogxgogxgogx"), (0.27, -0.5), drum::shaker);
        let rim = if sparse { "---x--x---o-x--g" } else { "---o--------g-o-" };
        p.strike(&mut room, (bar, rim), (0.24, -0.28), |v, _| drum::rim(v));
        if bar >= 4 {
            let low = if bar % 2 == 0 { "--------------o-" } else { "------o-------xo" };
            let high = if bar % 2 == 0 { "---g--o-g--o---g" } else { "--g-----o-go----" };
            p.strike(&mut room, (bar, low), (0.32, 0.42), |v, _| drum::conga(v, 196.0, 0.14));
            p.strike(&mut room, (bar, high), (0.26, 0.52), |v, _| drum::conga(v, 294.0, 0.09));
        }
        if full {
            p.strike(&mut tape, (bar, "x---o---x---o---"), (0.10, -0.3), |v, s| metal.cymbal(v, 0.35, s));
        }
    }
    // Fills: soft snares towards bar 13, congas and toms towards the start of the loop.
    p.strike(&mut room, (11, "--------g-g-ggox"), (0.34, 0.0), drum::snare);
    p.strike(&mut room, (15, "----------o-x---"), (0.42, -0.25), |v, _| drum::conga(v, 132.0, 0.2));
    p.strike(&mut room, (15, "-------------o-x"), (0.42, 0.15), |v, _| drum::conga(v, 98.0, 0.24));
    for bar in [0, 12] {
        p.strike(&mut room, (bar, "x---------------"), (0.17, 0.3), |v, s| metal.cymbal(v, 0.75, s));
    }
    fx::reverb(&mut room, 0.75, 0.45, 5_200.0, 0.34);
    tape.mix(&room, 1.0);
    fx::drive(&mut tape, 1.15);
    fx::trim(&mut tape, 30.0, 17_000.0);
    tape.level(-17.8);
    tape
}

const ROUND: Patch = Patch {
    saws: &[-4.0, 4.0],
    pulse: (0.5, 0.42),
    body: 0.62,
    cutoff: 1.4,
    sweep: 2.1,
    quality: 1.1,
    level: Shape { attack: 0.004, decay: 0.5, sustain: 0.72, release: 0.09 },
    filter: Shape { attack: 0.002, decay: 0.11, sustain: 0.15, release: 0.1 },
    vibrato: 0.0,
    glide: 0.05,
    drive: 1.5,
};

/// A round synthesiser bass that answers the bass drum off the beat.
pub(super) fn bass() -> Tape {
    let mut tape = Tape::new(grid().frames());
    let notes = bass_line(
        &SONG,
        &[
            GROOVE, ANSWER, GROOVE, TURN, GROOVE, ANSWER, GROOVE, TURN, CALM, CALM, CALM, TURN, GROOVE, ANSWER, GROOVE,
            TURN,
        ],
    );
    player(201, 40.0).line(&mut tape, &ROUND, &notes, (0.6, 0.0));
    duck(&mut tape, 0.35);
    fx::trim(&mut tape, 32.0, 5_500.0);
    tape.level(-19.0);
    tape
}

const WARM_PAD: Patch = Patch {
    saws: &[-8.0, 7.0],
    pulse: (0.0, 0.5),
    body: 0.0,
    cutoff: 1.3,
    sweep: 0.9,
    quality: 0.7,
    level: Shape { attack: 0.35, decay: 1.5, sustain: 0.85, release: 1.1 },
    filter: Shape { attack: 0.9, decay: 1.2, sustain: 0.5, release: 1.0 },
    vibrato: 4.0,
    glide: 0.0,
    drive: 1.0,
};

/// Electric piano over a quiet pad.
pub(super) fn keys() -> Tape {
    let grid = grid();
    let mut tape = Tape::new(grid.frames());
    let mut p = player(301, 110.0);
    for bar in 0..BARS {
        let hits = if (8..11).contains(&bar) { HELD } else { COMP[bar % 4] };
        for &(step, long, velocity) in hits {
            // A hit on the last eighth already belongs to the next chord.
            let chord = if step >= 14 { chord(&SONG, bar + 1, 0) } else { chord(&SONG, bar, step) };
            let at = p.at(bar, step);
            for (voice, &midi) in chord.voices.iter().enumerate() {
                // Arpeggiated slightly from below; the top voice is the loudest.
                let roll = voice * (90 + (p.rng.unipolar() * 120.0) as usize);
                let weight = [0.86, 0.8, 0.86, 1.0][voice];
                let touch = p.touch(velocity * weight);
                let sound = piano(midi, grid.long(long), touch);
                tape.add(at + roll, &sound, 0.3, voice as f32 * 0.2 - 0.3);
            }
        }
    }
    for run in &RUNS {
        let at = p.at(run.bar, run.step);
        let sound = piano(run.midi, grid.long(run.long), p.touch(run.velocity));
        tape.add(at, &sound, 0.3, 0.25);
    }
    fx::auto_pan(&mut tape, 2.0, 0.32);
    fx::chorus(&mut tape, 0.6, 2.2, 0.5);

    let mut pad = Tape::new(grid.frames());
    for half in 0..BARS * 2 {
        let (bar, step) = (half / 2, half % 2 * 8);
        let here = SONG[bar][half % 2];
        // Where both halves have the same chord, it is sustained.
        if half % 2 == 1 && here.voices == SONG[bar][0].voices {
            continue;
        }
        let through = half % 2 == 0 && here.voices == SONG[bar][1].voices;
        let key = Key {
            midi: 0,
            from: 0,
            gate: grid.long(if through { 15.5 } else { 7.5 }),
            // The pad opens over the quiet middle.
            velocity: if (8..12).contains(&bar) { 0.95 } else { 0.7 },
        };
        for midi in here.voices {
            for side in [-0.8, 0.8] {
                let key = Key { midi, from: midi, ..key };
                pad.add(grid.at(bar, step), &play(&WARM_PAD, key, &mut p.rng), 0.066, side);
            }
        }
    }
    duck(&mut pad, 0.45);
    tape.mix(&pad, 1.0);
    duck(&mut tape, 0.16);
    fx::reverb(&mut tape, 1.7, 0.9, 4_200.0, 0.26);
    fx::trim(&mut tape, 120.0, 13_000.0);
    tape.level(-21.8);
    tape
}

const SINGING: Patch = Patch {
    saws: &[-6.0, 5.0],
    pulse: (0.5, 0.3),
    body: 0.22,
    cutoff: 1.35,
    sweep: 1.5,
    quality: 0.9,
    level: Shape { attack: 0.018, decay: 0.7, sustain: 0.75, release: 0.22 },
    filter: Shape { attack: 0.04, decay: 0.35, sustain: 0.4, release: 0.2 },
    vibrato: 16.0,
    glide: 0.06,
    drive: 1.2,
};

/// A gliding lead; bells replace it in the middle and accompany it at the end.
pub(super) fn lead() -> Tape {
    let grid = grid();
    let mut tape = Tape::new(grid.frames());
    let mut p = player(401, 90.0);
    for side in [-0.35, 0.35] {
        p.line(&mut tape, &SINGING, &MELODY, (0.3, side));
    }
    for bar in 8..BARS {
        for (turn, &(step, voice)) in PEAL[bar % 2].iter().enumerate() {
            // Beside the lead, only every other bell, and softly.
            let beside = bar >= 12;
            if beside && turn % 2 == 0 {
                continue;
            }
            let midi = chord(&SONG, bar, step).voices[voice] + 24;
            let velocity = p.touch(if beside { 0.42 } else { 0.78 - 0.06 * (turn % 3) as f32 });
            let at = p.at(bar, step);
            let pan = if turn % 2 == 0 { -0.4 } else { 0.4 };
            tape.add(at, &bell(midi, velocity), 0.26, pan);
        }
    }
    fx::echo(&mut tape, grid.long(3.0), 0.42, 0.3);
    duck(&mut tape, 0.1);
    fx::reverb(&mut tape, 2.1, 1.0, 4_800.0, 0.36);
    fx::trim(&mut tape, 150.0, 13_000.0);
    tape.level(-23.0);
    tape
}
