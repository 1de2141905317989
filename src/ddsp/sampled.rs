//! Plays a note of a genome: the render at the note's pitch, bent by its speed.

use std::sync::Arc;
use std::time::Duration;

use super::notes::{GenomeInstrument, Note};
use super::performer::{Adsr, Intent, Performer};
use super::sound::{Playable, Sound, Tone};
use crate::genome::{SAMPLE_RATE, Take};

/// Samples per hop.
const HOP: usize = 128;
/// Frames that must be rendered before a note begins or goes on after a gap.
const START: usize = 2_048;
/// Frames over which the end of a sound is faded out; genomes often end abruptly.
const FADE: f64 = 240.0;
/// The highest speed: two octaves above the rendered pitch.
const MOST_SPEED: f64 = 4.0;

/// The sound of a voice whose instrument is a genome.
struct GenomeSound {
    instrument: GenomeInstrument,
    /// Rendered frames per sample at the rendered pitch.
    step: f64,
    playing: Option<Playing>,
    /// Number of the performer's note that is played; notes are counted from 1.
    begun: u64,
    /// Gain at the end of the last hop.
    gain: f32,
    window: Vec<f32>,
}

struct Playing {
    note: Arc<Note>,
    /// MIDI number at which it was rendered.
    midi: f64,
    /// Position in rendered frames.
    at: f64,
    flows: bool,
    /// Whether the hop after the next one is not rendered yet, so that the next one must fade out.
    runs_dry: bool,
}

/// State of a note's render, for the voice that plays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    /// The next hop can be played.
    Ready,
    /// The note's render is not far enough: its time must not advance.
    Waits,
    /// The sound has ended, or could not be rendered.
    Over,
}

impl GenomeSound {
    /// Creates the sound of a voice at rest.
    fn new(instrument: GenomeInstrument, sample_rate: u32) -> GenomeSound {
        GenomeSound {
            instrument,
            step: f64::from(SAMPLE_RATE) / f64::from(sample_rate),
            playing: None,
            begun: 0,
            gain: 0.0,
            window: Vec::new(),
        }
    }

    /// Takes up what the performer has begun, `shift` semitones higher, and looks whether it can be played. The
    /// envelope of a genome is its own: the performer keeps only its release.
    fn prepare(&mut self, performer: &mut Performer, shift: f64) -> Readiness {
        performer.manner.adsr = Adsr { attack: 0.0, decay: 0.0, sustain: 1.0, ..performer.manner.adsr };
        if performer.begun() != self.begun {
            self.begun = performer.begun();
            let (midi, loudness) = performer.target();
            let (note, rendered) = self.instrument.note(midi + shift, loudness);
            self.playing = Some(Playing { note, midi: rendered, at: 0.0, flows: false, runs_dry: false });
        }
        let Some(playing) = &mut self.playing else { return Readiness::Over };
        let note = playing.note.clone();
        while self.instrument.is_steady() && note.take().is_none() {
            // The dispatcher is about to start it.
            std::thread::sleep(Duration::from_micros(200));
        }
        let take = match note.take() {
            Some(Ok(take)) => take,
            Some(Err(_)) => return Readiness::Over,
            None => return Readiness::Waits,
        };
        let hop = (HOP as f64 * self.step * MOST_SPEED) as usize + 4;
        let at = playing.at as usize;
        let wanted = at + if playing.flows { hop } else { START.max(2 * hop) };
        if self.instrument.is_steady() {
            // Why a render ended early shows below.
            let _ = take.wait(wanted.max(at + 2 * hop), Duration::MAX);
        }
        let end = end(take);
        if at >= end {
            return Readiness::Over;
        }
        let rendered = take.rendered();
        playing.flows = rendered >= wanted.min(end);
        playing.runs_dry = rendered < (at + 2 * hop).min(end);
        if playing.flows {
            return Readiness::Ready;
        }
        self.gain = 0.0;
        Readiness::Waits
    }

    /// Adds a hop for a target of the performer, `shift` semitones higher.
    fn play(&mut self, intent: Intent, shift: f64, block: &mut [f32]) {
        let Some(playing) = &mut self.playing else { return };
        let note = playing.note.clone();
        let Some(Ok(take)) = note.take() else { return };
        let speed = ((intent.midi + shift - playing.midi) / 12.0).exp2().clamp(1.0 / 64.0, MOST_SPEED) * self.step;
        let target = (intent.loudness * intent.level) as f32 * self.instrument.gain();
        let target = if playing.runs_dry { 0.0 } else { target };
        playing.flows = !playing.runs_dry;
        // A note begins as the genome does; everything later is smooth.
        let from = if playing.at == 0.0 { target } else { self.gain };
        let first = playing.at.floor();
        let length = (playing.at + speed * block.len() as f64 - first).ceil() as usize + 4;
        self.window.clear();
        self.window.resize(length, 0.0);
        // One frame before the position, for the interpolation.
        let before = usize::from(first >= 1.0);
        let read = take.read(first as usize - before, &mut self.window[1 - before..]);
        let end = end(take) as f64;
        let count = block.len() as f32;
        for (k, sample) in block.iter_mut().enumerate() {
            let at = playing.at + speed * k as f64;
            let place = at - first;
            let base = place as usize;
            let value = match self.window.get(base..base + 4) {
                Some(&[a, b, c, d]) => cubic([a, b, c, d], (place - base as f64) as f32),
                _ => 0.0,
            };
            let fade = ((end - at) / FADE).clamp(0.0, 1.0) as f32;
            *sample += value * fade * (from + (target - from) * (k + 1) as f32 / count);
        }
        debug_assert!(read > 0 || playing.at >= end, "a hop is only played if it is rendered");
        self.gain = target;
        playing.at += speed * block.len() as f64;
    }
}

impl Sound for GenomeSound {
    fn add(&mut self, performer: &mut Performer, tone: &Tone, block: &mut [f32]) -> bool {
        let shift = tone.pitch_shift;
        if !performer.silent() {
            match self.prepare(performer, shift) {
                Readiness::Ready => {}
                Readiness::Over => performer.hush(),
                Readiness::Waits => {
                    // A released note that has not begun will not; one that is replaced gives way.
                    if performer.free() {
                        performer.hush();
                    } else if performer.is_replaced() {
                        performer.hop();
                    }
                    return false;
                }
            }
        }
        let intent = performer.hop();
        self.play(intent, shift, block);
        intent.loudness <= 0.0
    }

    fn rest(&mut self) {
        (self.playing, self.begun, self.gain) = (None, 0, 0.0);
    }

    fn reset(&mut self) {
        self.rest();
    }
}

impl Playable for GenomeInstrument {
    fn sound(&self, sample_rate: u32, _seed: u64) -> Result<(Box<dyn Sound>, usize), String> {
        Ok((Box::new(GenomeSound::new(self.clone(), sample_rate)), HOP))
    }
}

/// Frames of the sound: fewer than announced if the render failed.
fn end(take: &Take) -> usize {
    if take.rendered() < take.frames() && take.has_ended() { take.rendered() } else { take.frames() }
}

/// Interpolates between the second and the third of four frames (Catmull-Rom); exact at their places.
fn cubic([a, b, c, d]: [f32; 4], t: f32) -> f32 {
    let (first, second, third) = (0.5 * (c - a), a - 2.5 * b + 2.0 * c - 0.5 * d, 0.5 * (d - a) + 1.5 * (b - c));
    ((third * t + second) * t + first) * t + b
}

#[cfg(test)]
mod tests {
    use super::super::notes::tests::{DELTA, GENOME, cache, raw};
    use super::super::voice::Voice;
    use super::*;

    fn next(voice: &mut Voice, samples: usize) -> Vec<f32> {
        let mut out = vec![0.0; samples];
        voice.add(&mut out);
        out
    }

    #[test]
    fn a_note_is_the_render_at_its_pitch_and_velocity_whatever_the_sizes_of_blocks() {
        let scratch = cache("exact", true, 64 << 20);
        let instrument =
            GenomeInstrument::open(&scratch.1, &format!("{GENOME}?duration=1.5&noteDelta={DELTA}")).unwrap();
        let mut voice = Voice::new(&instrument, 48_000, 1).unwrap();
        for (midi, loudness, velocity) in [(69.0, 1.0, 1.0), (57.0, 0.5, 0.5), (70.25, 0.7, 0.75)] {
            let raw = raw(1.5, midi - 69.0 + DELTA, velocity);
            voice.performer.note_on(midi, loudness);
            let mut sound = next(&mut voice, 37);
            sound.extend(next(&mut voice, 70_000));
            let gain = instrument.gain() * loudness as f32;
            let off = raw.iter().zip(&sound).take(71_000).map(|(r, s)| (r * gain - s).abs()).fold(0.0, f32::max);
            assert!(off < 1e-6, "{midi}: {off}");
            let after = next(&mut voice, 20_000);
            assert!(voice.performer.silent() && voice.resting(), "the sound has ended");
            assert!(after[3_000..].iter().all(|s| *s == 0.0));
            voice.reset();
        }
        // At the tested velocity, the tested note has a peak of 0.5 at full loudness.
        let peak = raw(1.5, DELTA, 0.75).iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
        assert!((peak * instrument.gain() - 0.5).abs() < 1e-3 || instrument.gain() == 8.0);
    }

    #[test]
    fn bending_plays_the_render_faster_and_release_fades_it() {
        let scratch = cache("bend", true, 64 << 20);
        let instrument = GenomeInstrument::open(&scratch.1, &format!("{GENOME}?duration=2&noteDelta={DELTA}")).unwrap();
        let gain = instrument.gain();
        let mut voice = Voice::new(&instrument, 48_000, 1).unwrap();
        voice.performer.manner.bend = 12.0;
        voice.performer.note_on(69.0, 1.0);
        let sound = next(&mut voice, 20_000);
        let raw = raw(2.0, DELTA, 1.0);
        let off = (0..20_000).map(|k| (sound[k] - gain * raw[2 * k]).abs()).fold(0.0, f32::max);
        assert!(off < 1e-6, "{off}");
        voice.performer.note_off();
        let end = next(&mut voice, 12_000);
        assert!(end[..2_000].iter().any(|s| s.abs() > 1e-3) && end[8_000..].iter().all(|s| *s == 0.0));
    }

    #[test]
    fn a_note_that_is_not_rendered_yet_begins_late_and_complete() {
        let scratch = cache("live", false, 64 << 20);
        let instrument = GenomeInstrument::open(&scratch.1, &format!("{GENOME}?duration=2&noteDelta={DELTA}")).unwrap();
        let gain = instrument.gain();
        let mut voice = Voice::new(&instrument, 48_000, 1).unwrap();
        voice.performer.note_on(64.0, 1.0);
        let mut sound = Vec::new();
        let begun = std::time::Instant::now();
        while sound.len() < 40_000 && begun.elapsed().as_secs() < 20 {
            sound.extend(next(&mut voice, HOP));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let raw = raw(2.0, -5.0 + DELTA, 1.0);
        let late = sound.iter().position(|s| *s != 0.0).unwrap() - raw.iter().position(|s| *s != 0.0).unwrap();
        let off = raw.iter().zip(&sound[late..]).map(|(r, s)| (r * gain - s).abs()).fold(0.0, f32::max);
        assert!(off < 1e-6, "{off}");
        // The second time it is there.
        voice.reset();
        voice.performer.note_on(64.0, 1.0);
        assert_eq!(next(&mut voice, 5_000), sound[late..late + 5_000]);
    }
}
