//! A plucked string.

use super::RATE;
use super::envelope::{Envelope, Shape};
use super::filter::OnePole;
use super::oscillator::hertz;
use super::rng::Rng;

/// Renders a string that is plucked, rings for `gate` frames and is then damped; mono.
///
/// Karplus and Strong 1983 ("Digital Synthesis of Plucked-String and Drum Timbres"), with the all-pass tuning and the
/// pick position of Jaffe and Smith 1983 ("Extensions of the Karplus-Strong Plucked-String Algorithm").
pub(super) fn pluck(midi: u8, gate: usize, velocity: f32, rng: &mut Rng) -> Vec<f32> {
    let period = RATE / hertz(f32::from(midi));
    // The weight of the older of two neighbouring samples; 0.5 is darkest.
    let soft = 0.38 - 0.16 * velocity;
    let ring = 2.6 * ((60.0 - f32::from(midi)) / 20.0).exp2();
    let loss = 10.0_f32.powf(-3.0 * period / (ring * RATE));
    // The all-pass is well behaved for delays between 0.3 and 1.3 samples.
    let whole = (period - soft - 0.3) as usize;
    let part = period - soft - whole as f32;
    let tuning = (1.0 - part) / (1.0 + part);

    let mut string = excite(whole, velocity, rng);
    let shape = Shape { attack: 0.001, decay: 60.0, sustain: 1.0, release: 0.3 };
    let mut level = Envelope::new(&shape, gate);
    let (mut place, mut last, mut passed_in, mut passed_out) = (0, 0.0, 0.0, 0.0);
    let gain = velocity.powf(1.2);
    (0..shape.frames(gate))
        .map(|_| {
            let now = string[place];
            let blurred = loss * ((1.0 - soft) * now + soft * last);
            last = now;
            let tuned = tuning * (blurred - passed_out) + passed_in;
            passed_in = blurred;
            passed_out = tuned;
            string[place] = tuned;
            place += 1;
            if place == string.len() {
                place = 0;
            }
            now * level.next() * gain
        })
        .collect()
}

/// Initial state of the string: noise, softer for soft strokes, without the harmonics that have a node at the pick
/// position.
fn excite(frames: usize, velocity: f32, rng: &mut Rng) -> Vec<f32> {
    let mut finger = OnePole::new(1_200.0 + 3_600.0 * velocity * velocity);
    let noise: Vec<f32> = (0..frames).map(|_| finger.next(rng.bipolar())).collect();
    let pick = (frames as f32 * 0.23) as usize;
    let mut string: Vec<f32> = (0..frames).map(|n| noise[n] - noise[(n + frames - pick) % frames]).collect();
    // Remove the offset, and let every pluck start at the same level.
    let mean = string.iter().sum::<f32>() / frames as f32;
    let peak = string.iter().fold(1e-6_f32, |peak, s| peak.max((s - mean).abs()));
    for sample in &mut string {
        *sample = (*sample - mean) / peak;
    }
    string
}
