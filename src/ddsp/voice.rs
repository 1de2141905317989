//! A voice: the sound of one instrument, driven hop by hop, with tone and playing parameters.

use super::performer::Performer;
use super::sound::{Playable, Sound, Tone};

/// Seconds of silence after which a voice rests and its model's state is reset.
const REST_S: f64 = 0.3;
/// One voice of an instrument. A hop allocates within the model, so it belongs on a worker. Realtime: no.
pub struct Voice {
    sound: Box<dyn Sound>,
    /// Tone parameters; may be changed at any time.
    pub tone: Tone,
    /// Source of pitch, loudness and level.
    pub performer: Performer,
    hop: usize,
    hop_s: f64,
    silent_hops: usize,
    /// The current hop of sound; `taken` samples of it have been output.
    block: Vec<f32>,
    taken: usize,
}

impl Voice {
    /// Creates a voice at rest. The same seed and controls give the same samples.
    ///
    /// # Errors
    /// Why the instrument cannot be set up.
    pub fn new(instrument: &impl Playable, sample_rate: u32, seed: u64) -> Result<Voice, String> {
        let (sound, hop) = instrument.sound(sample_rate, seed)?;
        Ok(Voice {
            sound,
            tone: Tone::default(),
            performer: Performer::new(hop as f64 / f64::from(sample_rate)),
            hop,
            hop_s: hop as f64 / f64::from(sample_rate),
            silent_hops: usize::MAX,
            block: vec![0.0; hop],
            taken: hop,
        })
    }

    /// Samples per hop.
    pub fn hop(&self) -> usize {
        self.hop
    }

    /// Returns whether nothing sounds and nothing is about to.
    pub fn resting(&self) -> bool {
        self.silent_hops as f64 * self.hop_s >= REST_S && self.performer.silent()
    }

    /// Returns whether it has made no sound since it was created or reset.
    pub fn unheard(&self) -> bool {
        self.silent_hops == usize::MAX
    }

    /// Returns whether it has been silenced and has faded out completely.
    pub fn faded(&self) -> bool {
        self.performer.silent() && self.silent_hops >= 3
    }

    /// Continues what another voice was playing, from the next hop on.
    pub fn take_over(&mut self, performer: Performer) {
        self.performer = performer.at_hops_of(self.hop_s);
    }

    /// Resets to the state of a new voice, cutting off its sound. The tone and the playing parameters stay.
    pub fn reset(&mut self) {
        self.performer.reset();
        self.sound.reset();
        self.silent_hops = usize::MAX;
        self.taken = self.hop;
    }

    /// Adds the next samples to `out`, of any length; controls are read once per hop. The first hop of a resting voice
    /// begins with the first sample after it was started. Every pass of the loop returns or outputs at least one
    /// sample.
    pub fn add(&mut self, mut out: &mut [f32]) {
        while !out.is_empty() {
            if self.taken == self.hop {
                if self.resting() {
                    self.performer.skip();
                    return;
                }
                self.next_hop();
                if self.taken == self.hop {
                    // Now at rest: the remainder of the hop is silent, and a new sound need not wait for its end.
                    return;
                }
            }
            let count = out.len().min(self.hop - self.taken);
            let (now, later) = out.split_at_mut(count);
            for (sample, value) in now.iter_mut().zip(&self.block[self.taken..]) {
                *sample += value;
            }
            self.taken += count;
            out = later;
        }
    }

    fn next_hop(&mut self) {
        self.block.fill(0.0);
        self.taken = 0;
        let silent = self.sound.add(&mut self.performer, &self.tone, &mut self.block);
        self.silent_hops = if silent { self.silent_hops.saturating_add(1) } else { 0 };
        // A note held at loudness 0 may become audible at any time, so it keeps running silently.
        if self.resting() {
            self.sound.rest();
            self.silent_hops = usize::MAX;
            self.taken = self.hop;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Model;
    use super::super::performer::NoteParams;
    use super::*;
    use std::path::Path;

    fn voice(name: &str) -> Voice {
        let model = Model::open(Path::new(&format!("models/{name}.onnx"))).unwrap();
        Voice::new(&model, 48_000, 3).unwrap()
    }

    fn next(voice: &mut Voice, samples: usize) -> Vec<f32> {
        let mut out = vec![0.0; samples];
        voice.add(&mut out);
        out
    }

    /// Roughness of a sound: its largest absolute third difference.
    fn roughness(sound: &[f32]) -> f32 {
        sound.windows(4).map(|w| (w[3] - 3.0 * w[2] + 3.0 * w[1] - w[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn steps_of_loudness_and_pitch_make_no_click() {
        for name in ["flute", "clarinet"] {
            let mut v = voice(name);
            v.performer.hold(523.25, 1.0);
            let steady = roughness(&next(&mut v, 48_000)[24_000..]);
            for (hz, loudness) in
                [(523.25, 0.0), (523.25, 1.0), (784.0, 1.0), (784.0, 0.3), (523.25, 1.0), (523.25, 0.0)]
            {
                v.performer.hold(hz, loudness);
                let found = roughness(&next(&mut v, 9_600));
                assert!(found < 3.0 * steady, "{name} to {hz} Hz, {loudness}: {found} beside {steady}");
            }
        }
    }

    #[test]
    fn a_voice_rests_after_silence_and_begins_anew_as_at_first() {
        let mut v = voice("clarinet");
        assert!(v.resting() && v.unheard());
        v.performer.hold(220.0, 0.8);
        let first = next(&mut v, 20_000);
        assert!(!v.resting());
        v.performer.hush();
        let ending = next(&mut v, 40_000);
        assert!(v.resting() && ending[30_000..].iter().all(|s| *s == 0.0));
        v.reset();
        v.performer.hold(220.0, 0.8);
        assert_eq!(next(&mut v, 20_000), first, "the same controls give the same samples");
    }

    #[test]
    fn a_note_held_in_silence_plays_on_and_is_heard_again() {
        type Quieten = fn(&mut Performer);
        let held: [(&str, Quieten); 4] = [
            ("sustain 0", |p| p.manner.adsr.sustain = 0.0),
            ("expression 0", |p| p.manner.expression = 0.0),
            ("loudness 0", |p| p.note_on(60.0, 0.0)),
            ("denormal loudness", |p| p.note_on(60.0, 1e-310)),
        ];
        for (name, quieten) in held {
            let mut v = voice("flute");
            v.performer.note_on(60.0, 0.8);
            quieten(&mut v.performer);
            // Must terminate: it once did not.
            next(&mut v, 96_000);
            assert!(!v.resting() && !v.performer.free(), "{name}: the key is still held");
            assert!(next(&mut v, 4_800).iter().all(|s| s.abs() < 1e-6), "{name}");
            v.performer.manner = NoteParams::default();
            v.performer.note_on(60.0, 0.8);
            let again = next(&mut v, 24_000);
            assert!(again.iter().any(|s| s.abs() > 0.01), "{name}: it is heard again");
            v.performer.note_off();
            next(&mut v, 48_000);
            assert!(v.resting(), "{name}: it rests when the key is released");
        }
    }

    #[test]
    fn controls_are_heard_within_two_hops() {
        let mut v = voice("flute");
        v.performer.hold(440.0, 0.8);
        next(&mut v, 48_000);
        let mut w = voice("flute");
        w.performer.hold(440.0, 0.8);
        next(&mut w, 48_000);
        w.performer.hold(880.0, 0.8);
        let (a, b) = (next(&mut v, 4_800), next(&mut w, 4_800));
        let changed = a.iter().zip(&b).position(|(a, b)| a != b).unwrap();
        assert!(changed < 2 * v.hop(), "{changed} samples");
    }

    #[test]
    fn tone_does_what_it_is_named_for() {
        let level = |change: fn(&mut Tone)| {
            let mut v = voice("flute");
            change(&mut v.tone);
            v.performer.hold(440.0, 0.8);
            let sound = next(&mut v, 48_000);
            10.0 * (sound[24_000..].iter().map(|s| f64::from(s * s)).sum::<f64>() / 24_000.0 + 1e-20).log10()
        };
        let plain = level(|_| {});
        assert!((level(|t| t.harmonic_gain = 0.5) - plain + 6.0).abs() < 0.5);
        assert!(level(|t| t.harmonic_gain = 0.0) < plain - 10.0, "breath alone is soft");
        assert!((level(|t| t.noise_gain = 0.0) - plain).abs() < 1.0);
        // Another timbre at nearly the same level.
        assert!((level(|t| t.timbre_loudness_db = -12.0) - plain).abs() < 4.0);
        assert_eq!(level(|t| (t.harmonic_gain, t.noise_gain) = (0.0, 0.0)), -200.0);
    }
}
