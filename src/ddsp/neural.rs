//! The sound of a voice whose instrument is a neural model.

use super::model::{Model, ModelRunner};
use super::performer::{Intent, Performer};
use super::sound::{Playable, Sound, Tone};
use super::synth::{Frame, Synth, hop_of};

/// A model and its synthesiser.
struct NeuralSound {
    model: Model,
    player: ModelRunner,
    synth: Synth,
    frame: Frame,
    distribution: Vec<f32>,
}

impl NeuralSound {
    fn new(model: Model, sample_rate: u32, seed: u64) -> Result<NeuralSound, String> {
        let contract = model.contract();
        Ok(NeuralSound {
            player: model.player().map_err(|e| format!("{e:#}"))?,
            synth: Synth::new(contract, sample_rate, seed),
            frame: Frame::silent(contract),
            distribution: vec![0.0; contract.harmonics],
            model,
        })
    }

    /// Runs the model for a target and writes the result to `frame`.
    fn step(&mut self, intent: Intent, tone: &Tone) {
        let midi = intent.midi + tone.pitch_shift;
        self.frame.hz = 440.0 * ((midi - 69.0) / 12.0).exp2();
        let loudness = self.model.contract().loudness(intent.loudness);
        let told = if loudness > 0.0 { loudness + tone.timbre_loudness_db / 80.0 } else { 0.0 };
        // The loudness offset given to the model is compensated in its output.
        let back = if loudness > 0.0 { 10f64.powf(-tone.timbre_loudness_db / 20.0) } else { 1.0 };
        let pitch = (midi + tone.timbre_pitch) / 127.0;
        let made = self.player.step(pitch as f32, told as f32, &mut self.distribution, &mut self.frame.noise);
        // Silence is exact, whatever the model returns.
        let level = if intent.loudness > 0.0 { intent.level } else { 0.0 };
        match made {
            Ok(amplitude) => {
                let scale = amplitude * (tone.harmonic_gain * back * level) as f32;
                for (partial, share) in self.frame.partials.iter_mut().zip(&self.distribution) {
                    *partial = share * scale;
                }
                let scale = (tone.noise_gain * back * level) as f32;
                for magnitude in &mut self.frame.noise {
                    *magnitude *= scale;
                }
            }
            Err(_) => {
                self.frame.partials.fill(0.0);
                self.frame.noise.fill(0.0);
            }
        }
        if !self.frame.partials.iter().chain(&self.frame.noise).all(|v| v.is_finite()) {
            self.frame.partials.fill(0.0);
            self.frame.noise.fill(0.0);
            self.rest();
        }
    }
}

impl Sound for NeuralSound {
    fn add(&mut self, performer: &mut Performer, tone: &Tone, block: &mut [f32]) -> bool {
        let intent = performer.hop();
        self.step(intent, tone);
        self.synth.add(&self.frame, block);
        intent.loudness <= 0.0
    }

    fn rest(&mut self) {
        // If the reset fails, so does the next step, and the voice is silent.
        let _ = self.player.reset();
    }

    fn reset(&mut self) {
        self.synth.reset();
        self.rest();
    }
}

impl Playable for Model {
    fn sound(&self, sample_rate: u32, seed: u64) -> Result<(Box<dyn Sound>, usize), String> {
        let sound = NeuralSound::new(self.clone(), sample_rate, seed)?;
        Ok((Box::new(sound), hop_of(self.contract(), sample_rate)))
    }
}
