//! A wordless choir.

use super::RATE;
use super::envelope::{Envelope, Shape};
use super::filter::{OnePole, Svf};
use super::oscillator::{Phase, hertz, increment};
use super::rng::Rng;

/// A vowel: four formants by frequency in hertz and level in dB. The values are those of the alto in the formant table
/// of the Csound manual, rounded.
#[derive(Clone, Copy)]
pub(super) struct Vowel([(f32, f32); 4]);

/// As in "moon".
pub(super) const OO: Vowel = Vowel([(330.0, 0.0), (700.0, -10.0), (2_530.0, -30.0), (3_500.0, -38.0)]);
/// As in "law".
pub(super) const OH: Vowel = Vowel([(450.0, 0.0), (800.0, -7.0), (2_830.0, -20.0), (3_500.0, -28.0)]);
/// As in "father".
pub(super) const AH: Vowel = Vowel([(800.0, 0.0), (1_150.0, -3.0), (2_800.0, -19.0), (3_500.0, -26.0)]);

/// Number of singers on each side of the choir.
const SINGERS: usize = 3;
/// Frames between two updates of pitch and vowel.
const CONTROL: usize = 32;

/// State of one singer, with individual deviations.
struct Singer {
    phase: Phase,
    vibrato: Phase,
    rate: f32,
    cents: f32,
    step: f32,
}

/// Renders a note of one side of the choir, held for `gate` frames while its vowel moves from the first to the second;
/// mono. The other side is a separate call. The pair of MIDI notes is the note to be sung and the one before it.
pub(super) fn sing((midi, from): (u8, u8), gate: usize, velocity: f32, vowels: [Vowel; 2], rng: &mut Rng) -> Vec<f32> {
    let shape = Shape { attack: 0.09, decay: 0.5, sustain: 0.86, release: 0.55 };
    let note = f32::from(midi);
    let mut level = Envelope::new(&shape, gate);
    let mut singers: [Singer; SINGERS] = std::array::from_fn(|_| Singer {
        phase: Phase::new(rng.unipolar()),
        vibrato: Phase::new(rng.unipolar()),
        rate: (5.1 + 0.5 * rng.bipolar()) * CONTROL as f32 / RATE,
        cents: 7.0 * rng.bipolar(),
        step: 0.0,
    });
    let mut formants = vowels[0].0.map(|(centre, _)| Svf::new(centre, 4.0));
    let mut gains = [0.0; 4];
    let mut chest = OnePole::new(380.0);
    let mut breath = OnePole::new(2_600.0);
    let frames = shape.frames(gate);
    let gain = velocity.powf(1.3);
    let mut sound = Vec::with_capacity(frames);
    for frame in 0..frames {
        if frame % CONTROL == 0 {
            let age = frame as f32 / RATE;
            // Scoop into the note, then fade in the vibrato.
            let scoop = (f32::from(from) - note).clamp(-3.0, 3.0) * (-age / 0.035).exp();
            let late = ((age - 0.25) * 2.2).clamp(0.0, 1.0);
            for singer in &mut singers {
                let wave = singer.vibrato.sine(singer.rate) * 0.16 * late;
                singer.step = increment(hertz(note + scoop + wave + singer.cents * 0.01));
            }
            let open = (age * 2.5).min(1.0) * (frame as f32 / gate as f32).min(1.0);
            let fundamental = hertz(note);
            for (n, formant) in formants.iter_mut().enumerate() {
                let (start, end) = (vowels[0].0[n], vowels[1].0[n]);
                let mut centre = start.0 + open * (end.0 - start.0);
                if n == 0 {
                    // Singers raise the first formant to their note.
                    centre = centre.max(fundamental * 1.02);
                }
                // Wider than for a single voice: many singers blur the formants.
                formant.tune(centre, [3.0, 5.0, 9.0, 10.0][n]);
                gains[n] = 10.0_f32.powf((start.1 + open * (end.1 - start.1)) / 20.0);
            }
        }
        let mut source = 0.0;
        for singer in &mut singers {
            source += singer.phase.saw(singer.step);
        }
        source *= 0.33;
        let air = rng.bipolar();
        source += 0.05 * (air - breath.next(air));
        let mut out = 0.35 * chest.next(source);
        for (formant, gain) in formants.iter_mut().zip(&gains) {
            out += gain * formant.next(source).band;
        }
        sound.push(out * level.next() * gain);
    }
    sound
}
