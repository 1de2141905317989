//! Sound of one streaming client: assignment of pitches to voices, mixing, and scheduled updates.
//!
//! - **Identity.** A list of pitches does not name voices. Each pitch goes to the nearest sounding voice, so a chord
//!   that moves, loses a note or changes its order keeps its voices; unmatched voices end, unmatched pitches begin.
//! - **Mix.** n sounding voices are mixed at 1/√n each, the law for uncorrelated sounds; a single voice has its full
//!   loudness. The gain moves within 30 ms and never steps.
//! - **Capacity.** Pitches and notes without a voice are counted and reported; pitches get a voice as soon as one is
//!   free.
//! - **Time.** Updates may be scheduled; each is applied at its sample and takes effect with the next hop.

use std::collections::VecDeque;

use super::instrument::Instrument;
use super::performer::{midi_of, weakest};
use super::sound::{MOST_GAIN, Tone};
use super::voice::Voice;

/// Time constant of the mix gain, in seconds.
const MIX_S: f64 = 0.01;
/// Maximum number of scheduled updates.
pub const MOST_AHEAD: usize = 4_096;
/// Furthest time at which an update can be scheduled, in seconds from now.
pub const FARTHEST_S: f64 = 600.0;
/// Maximum number of fading voices of previous instruments; beyond it, the oldest are cut off.
const MOST_LEAVING: usize = 64;

/// A change of the stream; fields that are `None` keep their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Pitches in Hz; those of 0 or less are silent but keep their place in the list.
    pub f0s: Option<Vec<f64>>,
    /// Loudness of all pitches, or one per pitch, 0 to 1; the last value applies to the rest.
    pub loudness: Option<Vec<f64>>,
    /// Linear gain of the stream, 0 to 2.
    pub gain: Option<f64>,
    /// Transposition in semitones.
    pub pitch_shift: Option<f64>,
    /// Linear gain of the partials.
    pub harmonic_gain: Option<f64>,
    /// Linear gain of the noise.
    pub noise_gain: Option<f64>,
    /// Starts a note: MIDI number, loudness 0 to 1.
    pub note_on: Option<(f64, f64)>,
    /// Ends a note, by its MIDI number.
    pub note_off: Option<f64>,
    /// Silences everything, restores the defaults and drops scheduled updates.
    pub reset: bool,
}

/// Use of a voice.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Free,
    /// Plays a pitch of the list (MIDI number).
    Listed(f64),
    /// Plays a note: MIDI number, loudness, and its number in the order of notes.
    Note(f64, f64, u64),
}

/// The voices of one streaming client. Used by one worker at a time. Realtime: no.
pub struct Stream {
    voices: Vec<(Voice, Role)>,
    /// Fading voices of previous instruments.
    leaving: Vec<Voice>,
    rate: f64,
    loudness: Vec<f64>,
    /// Pitches of the current list, in Hz, as received.
    listed: Vec<f64>,
    /// Pitches and notes without a voice since the last query.
    unplayed: u64,
    /// Notes begun so far.
    notes: u64,
    /// Whether a pitch of the list waits for a voice.
    waiting: bool,
    gain: (f64, f64),
    mix: f64,
    now: u64,
    ahead: VecDeque<(u64, Update)>,
    block: Vec<f32>,
}

impl Stream {
    /// Creates a stream of at most `voices` voices at `sample_rate`.
    ///
    /// # Errors
    /// The error from tract, if the model cannot be set up.
    pub fn new(instrument: impl Into<Instrument>, voices: usize, sample_rate: u32) -> Result<Stream, String> {
        Ok(Stream {
            voices: self::voices(instrument, voices, sample_rate)?
                .into_iter()
                .map(|voice| (voice, Role::Free))
                .collect(),
            leaving: Vec::new(),
            rate: f64::from(sample_rate),
            loudness: vec![0.7],
            listed: Vec::new(),
            unplayed: 0,
            notes: 0,
            waiting: false,
            gain: (1.0, 1.0),
            mix: 1.0,
            now: 0,
            ahead: VecDeque::new(),
            block: Vec::new(),
        })
    }

    /// Continues with voices of another instrument, at the same pitches and notes. The previous one ends within a hop.
    pub fn swap(&mut self, fresh: Vec<Voice>) {
        for ((voice, role), mut new) in self.voices.iter_mut().zip(fresh) {
            new.tone = voice.tone;
            if let Role::Note(midi, loudness, _) = *role {
                new.performer.note_on(midi, loudness);
            }
            let mut old = std::mem::replace(voice, new);
            if !old.unheard() {
                old.performer.hush();
                self.leaving.push(old);
            }
            if matches!(role, Role::Listed(_)) {
                *role = Role::Free;
            }
        }
        let over = self.leaving.len().saturating_sub(MOST_LEAVING);
        self.leaving.drain(..over);
        self.list();
    }

    /// Creates a copy at another sample rate with the same state; its voices start anew.
    ///
    /// # Errors
    /// The error from tract, if the model cannot be set up.
    pub fn resample(&self, instrument: impl Into<Instrument>, sample_rate: u32) -> Result<Stream, String> {
        let mut other = Stream::new(instrument, self.voices.len(), sample_rate)?;
        let wider = f64::from(sample_rate) / self.rate;
        other.loudness.clone_from(&self.loudness);
        (other.gain, other.mix, other.notes) = (self.gain, self.mix, self.notes);
        let later = |(at, update): &(u64, Update)| ((((at - self.now) as f64) * wider) as u64, update.clone());
        other.ahead = self.ahead.iter().map(later).collect();
        for ((voice, role), (old, was)) in other.voices.iter_mut().zip(&self.voices) {
            voice.tone = old.tone;
            if let Role::Note(midi, loudness, _) = *was {
                voice.performer.note_on(midi, loudness);
                *role = *was;
            }
        }
        other.listed.clone_from(&self.listed);
        other.list();
        Ok(other)
    }

    /// Returns the number of pitches and notes that found no voice since the last call.
    pub fn unplayed(&mut self) -> u64 {
        std::mem::take(&mut self.unplayed)
    }

    /// Applies an update `after` seconds from now, limited to [`FARTHEST_S`].
    ///
    /// # Errors
    /// If [`MOST_AHEAD`] updates are already scheduled.
    pub fn update(&mut self, update: Update, after: f64) -> Result<(), String> {
        if after <= 0.0 {
            self.obey(&update);
            return Ok(());
        }
        if self.ahead.len() >= MOST_AHEAD {
            return Err(format!("{MOST_AHEAD} updates are already scheduled; send fewer, or send them later"));
        }
        let at = self.now + (after.min(FARTHEST_S) * self.rate).round() as u64;
        let place = self.ahead.partition_point(|(t, _)| *t <= at);
        self.ahead.insert(place, (at, update));
        Ok(())
    }

    /// Number of voices that sound or are about to.
    pub fn sounding(&self) -> usize {
        self.voices.iter().filter(|(voice, _)| !voice.performer.silent()).count()
    }

    /// Returns whether updates are scheduled.
    pub fn awaits(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Returns whether all voices are at rest.
    pub fn silent(&self) -> bool {
        self.voices.iter().all(|(voice, _)| voice.resting())
    }

    /// Renders the next `out.len()` samples.
    pub fn fill(&mut self, out: &mut [f32]) {
        let mut done = 0;
        while done < out.len() {
            while self.ahead.front().is_some_and(|(at, _)| *at <= self.now) {
                let Some((_, update)) = self.ahead.pop_front() else { break };
                self.obey(&update);
            }
            let next = self.ahead.front().map_or(u64::MAX, |(at, _)| *at);
            let count = (next - self.now).min((out.len() - done) as u64) as usize;
            self.sound(&mut out[done..done + count]);
            self.now += count as u64;
            done += count;
        }
    }

    fn sound(&mut self, out: &mut [f32]) {
        self.block.clear();
        self.block.resize(out.len(), 0.0);
        for (voice, role) in &mut self.voices {
            voice.add(&mut self.block);
            if matches!(role, Role::Note(..)) && voice.performer.silent() {
                *role = Role::Free;
            }
        }
        if self.waiting && self.voices.iter().any(|(_, role)| *role == Role::Free) {
            self.list();
        }
        self.leaving.retain_mut(|voice| {
            voice.add(&mut self.block);
            !voice.resting()
        });
        let law = 1.0 / (self.sounding().max(1) as f64).sqrt();
        let step = 1.0 - (-1.0 / (MIX_S * self.rate)).exp();
        for (sample, made) in out.iter_mut().zip(&self.block) {
            self.mix += (law - self.mix) * step;
            self.gain.0 += (self.gain.1 - self.gain.0) * step;
            *sample = made * (self.mix * self.gain.0) as f32;
        }
    }

    fn obey(&mut self, update: &Update) {
        if update.reset {
            self.forget();
        }
        for (voice, _) in &mut self.voices {
            let tone = &mut voice.tone;
            tone.pitch_shift = update.pitch_shift.map_or(tone.pitch_shift, |v| v.clamp(-48.0, 48.0));
            tone.harmonic_gain = update.harmonic_gain.map_or(tone.harmonic_gain, |v| v.clamp(0.0, MOST_GAIN));
            tone.noise_gain = update.noise_gain.map_or(tone.noise_gain, |v| v.clamp(0.0, MOST_GAIN));
        }
        self.gain.1 = update.gain.map_or(self.gain.1, |g| g.clamp(0.0, 2.0));
        if let Some(loudness) = &update.loudness {
            self.loudness.clone_from(loudness);
        }
        if let Some(f0s) = &update.f0s {
            self.listed.clone_from(f0s);
        }
        if update.f0s.is_some() || update.loudness.is_some() {
            let before = self.waiting;
            self.list();
            if self.waiting && (!before || update.f0s.is_some()) {
                self.unplayed += 1;
            }
        }
        if let Some((midi, loudness)) = update.note_on {
            self.note_on(midi, loudness);
        }
        if let Some(midi) = update.note_off {
            for (voice, role) in &mut self.voices {
                if matches!(role, Role::Note(key, ..) if *key == midi) {
                    voice.performer.note_off();
                }
            }
        }
    }

    fn loudness_of(&self, index: usize) -> f64 {
        self.loudness.get(index).or(self.loudness.last()).copied().unwrap_or(0.7).clamp(0.0, 1.0)
    }

    /// Restores the defaults; sounding voices fade within a hop.
    fn forget(&mut self) {
        self.listed.clear();
        self.ahead.clear();
        self.loudness = vec![0.7];
        self.gain.1 = 1.0;
        self.waiting = false;
        for (voice, role) in &mut self.voices {
            voice.performer.hush();
            voice.tone = Tone::default();
            *role = Role::Free;
        }
    }

    /// Assigns a voice to every pitch of the list: nearest pairs first, then free voices.
    fn list(&mut self) {
        let pitched = self.listed.iter().enumerate().filter(|(_, hz)| **hz > 0.0);
        let wanted: Vec<(f64, f64)> = pitched.map(|(i, hz)| (midi_of(*hz), self.loudness_of(i))).collect();
        let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
        for (v, (_, role)) in self.voices.iter().enumerate() {
            if let Role::Listed(midi) = role {
                pairs.extend(wanted.iter().enumerate().map(|(w, (pitch, _))| ((pitch - midi).abs(), v, w)));
            }
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut voice_of, mut taken) = (vec![None; wanted.len()], vec![false; self.voices.len()]);
        for (_, v, w) in pairs {
            if voice_of[w].is_none() && !taken[v] {
                (voice_of[w], taken[v]) = (Some(v), true);
            }
        }
        for ((voice, role), taken) in self.voices.iter_mut().zip(&taken) {
            if matches!(role, Role::Listed(_)) && !taken {
                voice.performer.hush();
                *role = Role::Free;
            }
        }
        self.waiting = false;
        for ((midi, loudness), own) in wanted.into_iter().zip(voice_of) {
            // Prefer a voice at rest: taking one that has just been silenced would cut off its fade.
            let rank = |v: &usize| !self.voices[*v].0.resting();
            let free = || (0..self.voices.len()).filter(|v| self.voices[*v].1 == Role::Free).min_by_key(rank);
            let Some(v) = own.or_else(free) else {
                self.waiting = true;
                continue;
            };
            let (voice, role) = &mut self.voices[v];
            voice.performer.hold(440.0 * ((midi - 69.0) / 12.0).exp2(), loudness);
            *role = Role::Listed(midi);
        }
    }

    fn note_on(&mut self, midi: f64, loudness: f64) {
        let again = self.voices.iter().position(|(_, role)| matches!(role, Role::Note(key, ..) if *key == midi));
        let free = self.voices.iter().position(|(v, role)| *role == Role::Free && v.performer.silent());
        let stolen = || {
            let since = |role: &Role| match role {
                Role::Listed(_) => None,
                Role::Free => Some(0),
                Role::Note(.., number) => Some(*number),
            };
            let notes = self.voices.iter().enumerate();
            weakest(notes.filter_map(|(k, (voice, role))| Some((k, Some(&voice.performer), since(role)?))))
        };
        let Some(index) = again.or(free).or_else(stolen) else {
            self.unplayed += 1;
            return;
        };
        self.notes += 1;
        let (voice, role) = &mut self.voices[index];
        voice.performer.note_on(midi, loudness.clamp(0.0, 1.0));
        *role = Role::Note(midi, loudness, self.notes);
    }
}

/// Creates `count` voices of an instrument, each with its own noise. Called outside the realtime path.
///
/// # Errors
/// The error from tract, if the model cannot be set up.
pub fn voices(instrument: impl Into<Instrument>, count: usize, sample_rate: u32) -> Result<Vec<Voice>, String> {
    let instrument = instrument.into();
    (0..count).map(|n| Voice::new(&instrument, sample_rate, 1 + n as u64)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::model::Model;
    use super::*;
    use std::path::Path;

    fn stream() -> Stream {
        let model = Model::open(Path::new("models/flute.onnx")).unwrap();
        Stream::new(&model, 4, 48_000).unwrap()
    }

    fn chord(f0s: &[f64]) -> Update {
        Update { f0s: Some(f0s.to_vec()), loudness: Some(vec![0.8]), ..Update::default() }
    }

    fn roles(stream: &Stream) -> Vec<Option<i64>> {
        let midi = |role: &Role| if let Role::Listed(midi) = role { Some(midi.round() as i64) } else { None };
        stream.voices.iter().map(|(_, role)| midi(role)).collect()
    }

    fn level_db(sound: &[f32]) -> f64 {
        10.0 * (sound.iter().map(|s| f64::from(s * s)).sum::<f64>() / sound.len() as f64 + 1e-20).log10()
    }

    #[test]
    fn voices_keep_their_identity_when_the_list_changes() {
        let mut s = stream();
        let mut out = [0.0; 960];
        s.update(chord(&[523.25, 659.26, 783.99]), 0.0).unwrap();
        s.fill(&mut out);
        assert_eq!(roles(&s), [Some(72), Some(76), Some(79), None]);
        // Another order, one pitch a little higher, one missing.
        s.update(chord(&[830.6, 523.25]), 0.0).unwrap();
        assert_eq!(roles(&s), [Some(72), None, Some(80), None]);
        s.update(chord(&[523.25, 622.25, 830.6, 1046.5]), 0.0).unwrap();
        let mut all = roles(&s);
        assert_eq!((all[0], all[2]), (Some(72), Some(80)));
        all.sort();
        assert_eq!(all, [Some(72), Some(75), Some(80), Some(84)]);
    }

    #[test]
    fn one_voice_is_all_of_its_loudness_and_more_share_by_the_root() {
        let mut alone = stream();
        let mut out = vec![0.0; 48_000];
        alone.update(chord(&[523.25]), 0.0).unwrap();
        alone.fill(&mut out);
        let single = level_db(&out[24_000..]);
        let model = Model::open(Path::new("models/flute.onnx")).unwrap();
        let mut voice = Voice::new(&model, 48_000, 1).unwrap();
        voice.performer.hold(523.25, 0.8);
        let mut bare = vec![0.0; 48_000];
        voice.add(&mut bare);
        assert!((single - level_db(&bare[24_000..])).abs() < 0.01);
        let mut both = stream();
        both.update(chord(&[523.25, 698.46]), 0.0).unwrap();
        both.fill(&mut out);
        assert!((level_db(&out[24_000..]) - single).abs() < 1.5);
    }

    #[test]
    fn nothing_listed_is_exact_silence_soon() {
        let mut s = stream();
        let mut out = vec![0.0; 9_600];
        s.update(chord(&[440.0, 0.0, -3.0]), 0.0).unwrap();
        s.fill(&mut out);
        assert!(level_db(&out) > -60.0);
        s.update(chord(&[]), 0.0).unwrap();
        s.fill(&mut out);
        assert!(out[2 * 960..].iter().all(|s| *s == 0.0));
        s.fill(&mut vec![0.0; 48_000]);
        assert!(s.silent());
    }

    #[test]
    fn chords_that_come_go_and_move_do_not_click() {
        let mut s = stream();
        let mut sound = Vec::new();
        for list in [&[440.0][..], &[440.0, 554.4], &[554.4, 659.3, 440.0], &[], &[659.3], &[329.6, 659.3]] {
            s.update(chord(list), 0.0).unwrap();
            let mut out = vec![0.0; 12_000];
            s.fill(&mut out);
            sound.extend(out);
        }
        // A step of the gain shows in the third difference, to which a flute's partials contribute little.
        let rough = |w: &[f32]| (w[3] - 3.0 * w[2] + 3.0 * w[1] - w[0]).abs();
        let steady = sound[6_000..12_000].windows(4).map(rough).fold(0.0, f32::max);
        let worst = sound.windows(4).map(rough).fold(0.0, f32::max);
        assert!(worst < 4.0 * steady, "{worst} beside {steady}");
    }

    #[test]
    fn another_instrument_takes_over_without_a_gap_or_a_click() {
        let mut s = stream();
        let mut sound = vec![0.0; 24_000];
        s.update(chord(&[440.0]), 0.0).unwrap();
        s.fill(&mut sound);
        let clarinet = Model::open(Path::new("models/clarinet.onnx")).unwrap();
        s.swap(voices(&clarinet, 4, 48_000).unwrap());
        let mut after = vec![0.0; 24_000];
        s.fill(&mut after);
        let seam: Vec<f32> = sound[23_000..].iter().chain(&after[..1_500]).copied().collect();
        let step = |w: &[f32]| (w[1] - w[0]).abs();
        let steady = sound[12_000..].windows(2).chain(after[12_000..].windows(2)).map(step).fold(0.0, f32::max);
        assert!(seam.windows(2).map(step).fold(0.0, f32::max) < 1.6 * steady);
        assert!(seam.chunks(480).all(|part| level_db(part) > level_db(&sound) - 15.0), "there is a gap");
    }

    #[test]
    fn updates_ahead_are_obeyed_at_their_sample() {
        let mut s = stream();
        s.update(chord(&[440.0]), 0.5).unwrap();
        s.update(chord(&[]), 0.75).unwrap();
        let mut out = vec![0.0; 48_000];
        s.fill(&mut out);
        assert!(out[..24_000].iter().all(|s| *s == 0.0));
        assert!(level_db(&out[24_500..36_000]) > -60.0);
        assert!(out[36_000 + 1_500..].iter().all(|s| *s == 0.0));
        for _ in 0..MOST_AHEAD {
            s.update(Update::default(), 1.0).unwrap();
        }
        assert!(s.update(Update::default(), 1.0).unwrap_err().contains("already scheduled"));
    }

    #[test]
    fn a_silent_place_in_the_list_keeps_the_others_loudness() {
        let mut s = stream();
        s.update(Update { f0s: Some(vec![0.0, 440.0]), loudness: Some(vec![0.1, 0.9]), ..Update::default() }, 0.0)
            .unwrap();
        s.fill(&mut [0.0; 960]);
        assert!((s.voices[0].0.performer.present() - 0.9).abs() < 1e-9);
    }

    #[test]
    fn what_finds_no_voice_is_told_and_pitches_wait_for_one() {
        let mut s = stream();
        for midi in [60.0, 64.0, 67.0] {
            s.update(Update { note_on: Some((midi, 0.8)), ..Update::default() }, 0.0).unwrap();
        }
        s.update(chord(&[440.0, 550.0]), 0.0).unwrap();
        s.fill(&mut [0.0; 960]);
        assert_eq!((s.unplayed(), s.unplayed()), (1, 0));
        assert_eq!(roles(&s).iter().flatten().count(), 1);
        s.update(Update { note_off: Some(64.0), ..Update::default() }, 0.0).unwrap();
        s.fill(&mut [0.0; 48_000]);
        assert_eq!(roles(&s).iter().flatten().count(), 2);
        let mut full = stream();
        full.update(chord(&[220.0, 330.0, 440.0, 550.0]), 0.0).unwrap();
        full.update(Update { note_on: Some((60.0, 0.8)), ..Update::default() }, 0.0).unwrap();
        assert_eq!(full.unplayed(), 1);
    }

    #[test]
    fn a_reset_fades_and_forgets() {
        let mut s = stream();
        let mut sound = vec![0.0; 24_000];
        s.update(Update { gain: Some(0.5), pitch_shift: Some(12.0), ..chord(&[440.0]) }, 0.0).unwrap();
        s.update(chord(&[660.0]), 1.0).unwrap();
        s.fill(&mut sound);
        s.update(Update { reset: true, ..Update::default() }, 0.0).unwrap();
        let mut after = vec![0.0; 96_000];
        s.fill(&mut after);
        let step = |w: &[f32]| (w[1] - w[0]).abs();
        let steady = sound[12_000..].windows(2).map(step).fold(0.0, f32::max);
        let seam = [sound[23_990], *sound.last().unwrap()];
        assert!((after[0] - seam[1]).abs() <= steady);
        assert!(after[..2_000].windows(2).map(step).fold(0.0, f32::max) <= steady);
        assert!(after[2_000..].iter().all(|s| *s == 0.0), "scheduled updates are dropped");
        assert_eq!(s.voices[0].0.tone, Tone::default());
    }

    #[test]
    fn another_rate_and_another_instrument_keep_what_is_played() {
        let mut s = stream();
        s.update(chord(&[440.0]), 0.0).unwrap();
        s.update(Update { note_on: Some((72.0, 0.8)), ..Update::default() }, 0.0).unwrap();
        s.update(chord(&[]), 0.5).unwrap();
        s.fill(&mut [0.0; 4_800]);
        let model = Model::open(Path::new("models/cello.onnx")).unwrap();
        for _ in 0..40 {
            s.swap(voices(&model, 4, 48_000).unwrap());
        }
        assert!(s.leaving.len() <= 4, "voices that never sounded are not kept");
        let mut other = s.resample(&model, 44_100).unwrap();
        assert_eq!(roles(&other).iter().flatten().collect::<Vec<_>>(), [&69]);
        let mut out = vec![0.0; 44_100];
        other.fill(&mut out);
        assert!(level_db(&out[4_410..15_000]) > -50.0);
        assert_eq!(roles(&other).iter().flatten().count(), 0, "scheduled updates are applied on time");
        assert!(other.voices.iter().any(|(_, role)| matches!(role, Role::Note(..))));
    }

    #[test]
    fn notes_by_number_begin_and_end() {
        let mut s = stream();
        let mut out = vec![0.0; 24_000];
        for midi in [60.0, 64.0, 67.0, 72.0, 76.0] {
            s.update(Update { note_on: Some((midi, 0.8)), ..Update::default() }, 0.0).unwrap();
            s.fill(&mut out);
        }
        // Five notes on four voices: one was stolen.
        assert_eq!(s.voices.iter().filter(|(_, role)| matches!(role, Role::Note(..))).count(), 4);
        for midi in [60.0, 64.0, 67.0, 72.0, 76.0] {
            s.update(Update { note_off: Some(midi), ..Update::default() }, 0.0).unwrap();
        }
        s.fill(&mut vec![0.0; 48_000]);
        assert!(s.silent());
    }
}
