//! The voices on the speakers: allocation of notes to voices and instruments, panning, and the shared reverb.
//!
//! - **Voices and parts.** Each voice has its own pan, level, tone and playing parameters, and can be played directly
//!   by pitch and loudness. Notes belong to one of 16 parts, like MIDI channels; each part has its own instrument and
//!   pedals, and a note takes any free voice, with its part's instrument.
//! - **Stealing.** Without a free voice, a released note is stolen first, then the quietest, then the oldest; it fades
//!   within a hop. A voice that is played directly is never stolen.
//! - **Swapping.** A new instrument takes over at the same pitch, loudness and envelope while the previous one fades
//!   over a hop, so there is no gap.
//!
//! All voices are created when an instrument is loaded, so that starting a note creates nothing.

use super::guest::MonitorCommand;
use super::library::InstrumentCache;
use super::order::{BusParam, Card, MOST_VOICES, PARTS, PartParam, Setting, VoiceCommand};
use super::performer::{self, Adsr, NoteParams};
use super::room::Room;
use super::sound::{MOST_GAIN, Tone};
use super::stream::Stream;
use super::voice::Voice;
use crate::engine::ramp::{self, Ramp};

/// Voices of an instrument beyond one per place, for voices that are still fading.
const SPARE: usize = 2;
/// Vibrato depth in semitones with the modulation wheel fully up.
const MODULATION_SEMITONES: f64 = 0.5;
/// Length in frames of a ramp of pan, master level or monitor gain.
const RAMP_FRAMES: u32 = 480;

/// An instrument with all its voices. Built outside the realtime path, used by the ensemble.
pub struct InstrumentVoices {
    name: String,
    idle: Vec<Voice>,
}

impl InstrumentVoices {
    /// Opens an instrument for an ensemble of `voices` voices; also returns its description.
    ///
    /// # Errors
    /// A message that says why the instrument cannot be used.
    pub fn open(
        shelf: &InstrumentCache,
        name: &str,
        voices: usize,
        sample_rate: u32,
    ) -> Result<(InstrumentVoices, Card), String> {
        let instrument = shelf.instrument(name)?;
        let voice = |n: usize| Voice::new(&instrument, sample_rate, 1 + n as u64);
        let idle = (0..voices.clamp(1, MOST_VOICES) + SPARE).map(voice).collect::<Result<_, _>>()?;
        let card = instrument.card(name);
        Ok((InstrumentVoices { name: name.into(), idle }, card))
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Part {
    instrument: String,
    pedals: [f64; PartParam::ALL.len()],
}

impl Part {
    fn get(&self, pedal: PartParam) -> f64 {
        self.pedals[pedal as usize]
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Note {
    part: usize,
    key: f64,
    /// Increasing note number: the older note is stolen first.
    since: u64,
    /// Whether its key is down.
    held: bool,
}

/// A voice slot of the ensemble.
struct VoiceSlot {
    settings: [f64; Setting::ALL.len()],
    /// Instrument for direct playing; if empty, that of the first part is used.
    instrument: String,
    voice: Option<(Voice, String)>,
    note: Option<Note>,
    left: Ramp,
    right: Ramp,
}

impl VoiceSlot {
    fn get(&self, setting: Setting) -> f64 {
        self.settings[setting as usize]
    }

    /// Returns whether the slot is played directly.
    fn is_held(&self) -> bool {
        self.get(Setting::Loudness) > 0.0
    }

    fn is_silent(&self) -> bool {
        self.voice.as_ref().is_none_or(|(voice, _)| voice.performer.silent())
    }

    /// Passes the settings of the slot and of its note's part to the voice.
    fn apply(&mut self, part: Option<&Part>) {
        let pedal = |pedal| part.map_or(PartParam::ALL[pedal as usize].2, |p| p.get(pedal));
        let get = |setting: Setting| self.settings[setting as usize];
        let manner = NoteParams {
            adsr: Adsr {
                attack: get(Setting::Attack),
                decay: get(Setting::Decay),
                sustain: get(Setting::Sustain),
                release: get(Setting::Release),
            },
            vibrato_hz: get(Setting::VibratoRate),
            vibrato_semitones: get(Setting::VibratoDepth) + MODULATION_SEMITONES * pedal(PartParam::Modulation),
            glide_s: get(Setting::Glide),
            bend: pedal(PartParam::Bend),
            expression: pedal(PartParam::Expression),
            level: get(Setting::Level) * pedal(PartParam::Volume),
        };
        let tone = Tone {
            pitch_shift: get(Setting::PitchShift),
            harmonic_gain: get(Setting::HarmonicGain).clamp(0.0, MOST_GAIN),
            noise_gain: get(Setting::NoiseGain).clamp(0.0, MOST_GAIN),
            timbre_pitch: get(Setting::TimbrePitch),
            timbre_loudness_db: get(Setting::TimbreLoudness),
        };
        if let Some((voice, _)) = &mut self.voice {
            voice.performer.manner = manner;
            voice.tone = tone;
        }
    }

    /// Starts the pan ramp, with an equal-power law: 0.71 on each side in the centre.
    fn aim(&mut self, frames: u32) {
        let angle = (self.get(Setting::Pan).clamp(-1.0, 1.0) + 1.0) * std::f64::consts::FRAC_PI_4;
        self.left.to(angle.cos() as f32, frames);
        self.right.to(angle.sin() as f32, frames);
    }
}

/// A voice that is fading out, the slot it came from, and the name of its instrument.
struct Leaving {
    voice: Voice,
    chair: usize,
    instrument: String,
}

/// A streaming client that is also heard on the speakers.
struct Visitor {
    number: u64,
    stream: Box<Stream>,
    gain: Ramp,
}

/// Counters of the ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Voices sounding now.
    pub sounding: usize,
    /// Sounding notes that were stolen for new ones.
    pub stolen: u64,
    /// Notes for which there was no voice.
    pub unplayed: u64,
}

/// All voices on the speakers, with parts, instruments, monitored clients and reverb.
///
/// Rendering allocates within the models, so it belongs on a worker. Realtime: no.
pub struct Ensemble {
    chairs: Vec<VoiceSlot>,
    parts: Vec<Part>,
    sections: Vec<InstrumentVoices>,
    leaving: Vec<Leaving>,
    visitors: Vec<Visitor>,
    room: Room,
    level: Ramp,
    notes: u64,
    stolen: u64,
    unplayed: u64,
    block: Vec<f32>,
}

impl Ensemble {
    /// Creates an ensemble of 1 to [`MOST_VOICES`] voices (clamped), without instruments.
    pub fn new(voices: usize, sample_rate: u32) -> Ensemble {
        let chair = |_| {
            let mut chair = VoiceSlot {
                settings: Setting::ALL.map(|(_, _, value)| value),
                instrument: String::new(),
                voice: None,
                note: None,
                left: Ramp::new(0.0),
                right: Ramp::new(0.0),
            };
            chair.aim(0);
            chair
        };
        let part = Part { instrument: String::new(), pedals: PartParam::ALL.map(|(_, _, value)| value) };
        Ensemble {
            chairs: (0..voices.clamp(1, MOST_VOICES)).map(chair).collect(),
            parts: vec![part; PARTS],
            sections: Vec::new(),
            leaving: Vec::new(),
            visitors: Vec::new(),
            room: Room::new(sample_rate),
            level: Ramp::new(1.0),
            notes: 0,
            stolen: 0,
            unplayed: 0,
            block: Vec::new(),
        }
    }

    /// Adds an instrument, or replaces the one of the same name.
    pub fn seat(&mut self, section: InstrumentVoices) {
        self.sections.retain(|s| s.name != section.name);
        self.sections.push(section);
        // A voice that was to sound directly may have been waiting for its instrument.
        (0..self.chairs.len()).for_each(|k| self.play_directly(k));
    }

    /// Returns the counters; `sounding` includes the voices of monitored clients.
    pub fn counts(&self) -> Counts {
        let guests: usize = self.visitors.iter().map(|v| v.stream.sounding()).sum();
        let sounding = self.chairs.iter().filter(|c| !c.is_silent()).count() + guests;
        Counts { sounding, stolen: self.stolen, unplayed: self.unplayed }
    }

    /// Returns whether nothing sounds and nothing is scheduled.
    pub fn is_resting(&self) -> bool {
        let rests = |chair: &VoiceSlot| chair.voice.as_ref().is_none_or(|(voice, _)| voice.resting());
        let heard = |v: &Visitor| !v.stream.silent() || v.stream.awaits();
        self.leaving.is_empty()
            && self.chairs.iter().all(rests)
            && !self.visitors.iter().any(heard)
            && self.room.is_quiet()
    }

    /// Executes a command; it takes effect from the next frame on.
    pub fn obey(&mut self, order: VoiceCommand) {
        match order {
            VoiceCommand::Set(which, setting, value) => self.each(which, |e, k| e.set(k, setting, value)),
            VoiceCommand::Reset(which) => self.each(which, Ensemble::reset),
            VoiceCommand::Voice(which, name) => self.each(which, |e, k| {
                e.chairs[k].instrument.clone_from(&name);
                if e.chairs[k].is_held() {
                    e.exchange(k);
                }
            }),
            VoiceCommand::NoteOn(part, key, loudness) if loudness > 0.0 => self.note_on(part, key, loudness),
            VoiceCommand::NoteOn(part, key, _) | VoiceCommand::NoteOff(part, key) => self.note_off(part, key),
            VoiceCommand::AllOff(which) => self.end_notes(|note| which.is_none_or(|part| note.part == part)),
            VoiceCommand::Part(which, pedal, value) => self.set_pedal(which, pedal, value),
            VoiceCommand::Swap(which, name) => {
                for (k, part) in self.parts.iter_mut().enumerate() {
                    if which.is_none_or(|w| w == k) {
                        part.instrument.clone_from(&name);
                    }
                }
                (0..self.chairs.len()).for_each(|k| self.exchange(k));
            }
            VoiceCommand::Unload(name) => self.unload(&name),
            VoiceCommand::BusParam(hall, value) => match hall {
                BusParam::Level => self.level.to(value as f32, RAMP_FRAMES),
                BusParam::Wet => self.room.set_wet(value),
                BusParam::Size => self.room.set_size(value),
                BusParam::Damping => self.room.set_damping(value),
            },
        }
    }

    fn each(&mut self, which: Option<usize>, act: impl Fn(&mut Ensemble, usize)) {
        for k in 0..self.chairs.len() {
            if which.is_none_or(|w| w == k) {
                act(self, k);
            }
        }
    }

    fn set(&mut self, k: usize, setting: Setting, value: f64) {
        self.chairs[k].settings[setting as usize] = value;
        match setting {
            Setting::F0 | Setting::Loudness => self.play_directly(k),
            Setting::Pan => self.chairs[k].aim(RAMP_FRAMES),
            _ => self.apply(k),
        }
    }

    fn apply(&mut self, k: usize) {
        let part = self.chairs[k].note.map(|note| &self.parts[note.part]);
        self.chairs[k].apply(part);
    }

    /// Name of the instrument that a slot should play.
    fn instrument_of(&self, k: usize) -> &str {
        let chair = &self.chairs[k];
        match chair.note {
            Some(note) => &self.parts[note.part].instrument,
            None if chair.instrument.is_empty() => &self.parts[0].instrument,
            None => &chair.instrument,
        }
    }

    /// Plays a slot at its own pitch and loudness; at loudness 0 it is silenced, unless a note is playing.
    fn play_directly(&mut self, k: usize) {
        let (hz, loudness) = (self.chairs[k].get(Setting::F0), self.chairs[k].get(Setting::Loudness));
        if loudness <= 0.0 {
            if self.chairs[k].note.is_none()
                && let Some((voice, _)) = &mut self.chairs[k].voice
                && !voice.performer.silent()
            {
                voice.performer.hush();
            }
            return;
        }
        self.chairs[k].note = None;
        let name = self.instrument_of(k).to_string();
        if self.take_up(k, &name) {
            self.apply(k);
            if let Some((voice, _)) = &mut self.chairs[k].voice {
                voice.performer.hold(hz, loudness);
            }
        }
    }

    fn reset(&mut self, k: usize) {
        self.chairs[k].note = None;
        self.chairs[k].settings[Setting::Loudness as usize] = 0.0;
        self.stand_up(k);
    }

    /// Releases the voice of a slot; it is returned to its instrument once it has faded.
    fn stand_up(&mut self, k: usize) {
        if let Some((mut voice, instrument)) = self.chairs[k].voice.take() {
            if voice.resting() {
                self.give_back(voice, &instrument);
            } else {
                voice.performer.hush();
                self.leaving.push(Leaving { voice, chair: k, instrument });
            }
        }
    }

    fn give_back(&mut self, mut voice: Voice, instrument: &str) {
        // If the instrument has been unloaded, the voice is dropped here.
        if let Some(section) = self.sections.iter_mut().find(|s| s.name == instrument) {
            voice.reset();
            section.idle.push(voice);
        }
    }

    /// Takes an unused voice of an instrument.
    fn idle(&mut self, name: &str) -> Option<Voice> {
        let section = self.sections.iter_mut().find(|s| s.name == name)?;
        if let Some(voice) = section.idle.pop() {
            return Some(voice);
        }
        // All are in use: cut the oldest fading one.
        let k = self.leaving.iter().position(|l| l.instrument == name)?;
        let mut voice = self.leaving.remove(k).voice;
        voice.reset();
        Some(voice)
    }

    /// Assigns a voice of an instrument to a slot, unless it has one; returns `false` if none is available.
    fn take_up(&mut self, k: usize, name: &str) -> bool {
        if self.chairs[k].voice.as_ref().is_some_and(|(_, has)| has == name) {
            return true;
        }
        let Some(voice) = self.idle(name) else { return false };
        self.stand_up(k);
        self.chairs[k].voice = Some((voice, name.into()));
        true
    }

    /// Moves the sound of a slot to the instrument it should have now.
    fn exchange(&mut self, k: usize) {
        let name = self.instrument_of(k).to_string();
        let Some((old, has)) = &self.chairs[k].voice else {
            return self.play_directly(k);
        };
        if *has == name {
            return;
        }
        let performer = (!old.performer.silent()).then(|| old.performer.clone());
        if self.take_up(k, &name)
            && let Some((voice, _)) = &mut self.chairs[k].voice
            && let Some(performer) = performer
        {
            voice.take_over(performer);
            self.apply(k);
        }
    }

    fn note_on(&mut self, part: usize, key: f64, loudness: f64) {
        let Some(name) = self.parts.get(part).map(|p| p.instrument.clone()) else { return };
        let again = self.chairs.iter().position(|c| c.note.is_some_and(|n| n.part == part && n.key == key));
        let Some(k) = again.or_else(|| self.free_chair(&name)).or_else(|| self.weakest(|chair| !chair.is_held()))
        else {
            self.unplayed += 1;
            return;
        };
        let stolen = again.is_none() && !self.chairs[k].is_silent();
        if !self.take_up(k, &name) {
            self.unplayed += 1;
            return;
        }
        self.stolen += u64::from(stolen);
        self.notes += 1;
        self.chairs[k].note = Some(Note { part, key, since: self.notes, held: true });
        self.apply(k);
        if let Some((voice, _)) = &mut self.chairs[k].voice {
            voice.performer.note_on(key, loudness);
        }
    }

    /// A silent slot for an instrument; prefers one that is at rest, then one that already has the instrument.
    fn free_chair(&self, name: &str) -> Option<usize> {
        let rank = |k: &usize| {
            let voice = self.chairs[*k].voice.as_ref();
            (voice.is_some_and(|(v, _)| !v.resting()), voice.is_some_and(|(_, has)| has != name))
        };
        let free = |k: &usize| self.chairs[*k].is_silent() && !self.chairs[*k].is_held();
        (0..self.chairs.len()).filter(free).min_by_key(rank)
    }

    /// The slot whose note is to be stolen, of those that `may` give way; `None` if there are none.
    fn weakest(&self, may: impl Fn(&VoiceSlot) -> bool) -> Option<usize> {
        let notes = self.chairs.iter().enumerate().filter(|(_, chair)| may(chair)).map(|(k, chair)| {
            (k, chair.voice.as_ref().map(|(voice, _)| &voice.performer), chair.note.map_or(0, |n| n.since))
        });
        performer::weakest(notes)
    }

    fn note_off(&mut self, part: usize, key: f64) {
        let sustained = self.parts.get(part).is_some_and(|p| p.get(PartParam::Sustain) > 0.0);
        for chair in &mut self.chairs {
            if let Some(note) = chair.note.as_mut().filter(|n| n.part == part && n.key == key) {
                note.held = false;
                if !sustained && let Some((voice, _)) = &mut chair.voice {
                    voice.performer.note_off();
                }
            }
        }
    }

    fn end_notes(&mut self, which: impl Fn(&Note) -> bool) {
        for chair in &mut self.chairs {
            if let Some(note) = chair.note.as_mut().filter(|n| which(n)) {
                note.held = false;
                if let Some((voice, _)) = &mut chair.voice {
                    voice.performer.note_off();
                }
            }
        }
    }

    fn set_pedal(&mut self, which: Option<usize>, pedal: PartParam, value: f64) {
        for (k, part) in self.parts.iter_mut().enumerate() {
            if which.is_none_or(|w| w == k) {
                part.pedals[pedal as usize] = value;
            }
        }
        let concerns = |note: &Note| which.is_none_or(|w| w == note.part);
        if pedal == PartParam::Sustain && value <= 0.0 {
            self.end_notes(|note| concerns(note) && !note.held);
        }
        for k in 0..self.chairs.len() {
            if self.chairs[k].note.as_ref().is_some_and(concerns) {
                self.apply(k);
            }
        }
    }

    fn unload(&mut self, name: &str) {
        self.sections.retain(|s| s.name != name);
        for k in 0..self.chairs.len() {
            if self.chairs[k].voice.as_ref().is_some_and(|(_, has)| has == name) {
                self.chairs[k].note = None;
                self.stand_up(k);
            }
            if self.chairs[k].instrument == name {
                self.chairs[k].instrument.clear();
            }
        }
        self.parts.iter_mut().filter(|p| p.instrument == name).for_each(|p| p.instrument.clear());
        // Slots that had it as their own instrument continue with that of the first part.
        (0..self.chairs.len()).for_each(|k| self.play_directly(k));
    }

    /// Applies a message from a monitored streaming client.
    pub fn entertain(&mut self, number: u64, guest: MonitorCommand) {
        let visitor = self.visitors.iter_mut().find(|v| v.number == number);
        match (guest, visitor) {
            (MonitorCommand::Start(stream), _) => {
                self.visitors.push(Visitor { number, stream, gain: Ramp::new(std::f32::consts::FRAC_1_SQRT_2) });
            }
            (MonitorCommand::Update(update, after), Some(visitor)) => drop(visitor.stream.update(update, after)),
            (MonitorCommand::SetVoices(voices), Some(visitor)) => visitor.stream.swap(voices),
            (MonitorCommand::Stop, Some(visitor)) if visitor.stream.silent() => {
                self.visitors.retain(|v| v.number != number)
            }
            (MonitorCommand::Stop, Some(visitor)) => visitor.gain.to(0.0, RAMP_FRAMES),
            _ => {}
        }
    }

    /// Reduces the load by one step: fades out the monitored client with the most voices, otherwise silences the
    /// weakest voice. Returns `false` if nothing sounds.
    pub fn shed(&mut self) -> bool {
        let heard = |v: &&mut Visitor| v.stream.sounding() > 0 && v.gain.target() > 0.0;
        if let Some(visitor) = self.visitors.iter_mut().filter(heard).max_by_key(|v| v.stream.sounding()) {
            visitor.gain.to(0.0, RAMP_FRAMES);
            return true;
        }
        // A voice that is played directly gives way last.
        let note = self.weakest(|chair| !chair.is_silent() && !chair.is_held());
        let Some(k) = note.or_else(|| self.weakest(|chair| !chair.is_silent())) else { return false };
        self.chairs[k].note = None;
        if let Some((voice, _)) = &mut self.chairs[k].voice {
            voice.performer.hush();
        }
        true
    }

    /// Adds the next frames to both channels; `left` and `right` have the same length.
    pub fn add(&mut self, left: &mut [f32], right: &mut [f32]) {
        let frames = left.len() as u32;
        for (k, chair) in self.chairs.iter_mut().enumerate() {
            let (l, r) = (chair.left.advance(frames), chair.right.advance(frames));
            let fading = self.leaving.iter_mut().filter(|l| l.chair == k).map(|l| &mut l.voice);
            for voice in chair.voice.iter_mut().map(|(voice, _)| voice).filter(|v| !v.resting()).chain(fading) {
                self.block.clear();
                self.block.resize(left.len(), 0.0);
                voice.add(&mut self.block);
                ramp::mix(left, &self.block, l.0, l.1);
                ramp::mix(right, &self.block, r.0, r.1);
            }
            if chair.note.is_some() && chair.is_silent() {
                chair.note = None;
            }
        }
        let mut k = 0;
        while k < self.leaving.len() {
            if self.leaving[k].voice.faded() {
                let gone = self.leaving.remove(k);
                self.give_back(gone.voice, &gone.instrument);
            } else {
                k += 1;
            }
        }
        for visitor in &mut self.visitors {
            self.block.clear();
            self.block.resize(left.len(), 0.0);
            visitor.stream.fill(&mut self.block);
            let (from, to) = visitor.gain.advance(frames);
            ramp::mix(left, &self.block, from, to);
            ramp::mix(right, &self.block, from, to);
        }
        self.visitors.retain(|v| !v.gain.is_silent());
        self.room.add(left, right);
        let (from, to) = self.level.advance(frames);
        ramp::scale(left, from, to);
        ramp::scale(right, from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::super::library::Library;
    use super::*;

    const RATE: usize = 48_000;

    fn ensemble(voices: usize, instruments: &[&str]) -> Ensemble {
        let shelf = InstrumentCache::new(Library::new(Some("models".as_ref())), None);
        let mut ensemble = Ensemble::new(voices, RATE as u32);
        for name in instruments {
            ensemble.seat(InstrumentVoices::open(&shelf, name, voices, RATE as u32).unwrap().0);
        }
        ensemble.obey(VoiceCommand::Swap(None, instruments[0].into()));
        ensemble
    }

    fn play(ensemble: &mut Ensemble, seconds: f64) -> [Vec<f32>; 2] {
        let frames = (seconds * RATE as f64) as usize;
        let (mut left, mut right) = (vec![0.0; frames], vec![0.0; frames]);
        for (l, r) in left.chunks_mut(32).zip(right.chunks_mut(32)) {
            ensemble.add(l, r);
        }
        [left, right]
    }

    /// Roughness of a sound: its largest absolute third difference.
    fn roughness(sound: &[f32]) -> f32 {
        sound.windows(4).map(|w| (w[3] - 3.0 * w[2] + 3.0 * w[1] - w[0]).abs()).fold(0.0, f32::max)
    }

    fn power(sound: &[f32]) -> f64 {
        sound.iter().map(|s| f64::from(s * s)).sum::<f64>() / sound.len() as f64
    }

    fn decibels(of: f64, beside: f64) -> f64 {
        10.0 * (of / beside).log10()
    }

    #[test]
    fn settings_stand_where_their_numbers_say() {
        assert!(Setting::ALL.iter().enumerate().all(|(k, (setting, ..))| *setting as usize == k));
        assert!(PartParam::ALL.iter().enumerate().all(|(k, (pedal, ..))| *pedal as usize == k));
        assert!(BusParam::ALL.iter().enumerate().all(|(k, (hall, ..))| *hall as usize == k));
    }

    #[test]
    fn more_notes_than_voices_steal_without_a_click() {
        let mut e = ensemble(4, &["flute"]);
        for k in 0..4 {
            e.obey(VoiceCommand::NoteOn(0, 72.0 + 4.0 * f64::from(k), 0.7));
        }
        play(&mut e, 1.0);
        let steady = roughness(&play(&mut e, 1.0)[0]);
        let mut found = 0f32;
        for k in 0..12 {
            e.obey(VoiceCommand::NoteOn(0, 66.0 + f64::from(k), 0.7));
            found = found.max(roughness(&play(&mut e, 0.13)[0]));
        }
        assert!(found < 2.0 * steady, "{found} beside {steady}");
        let counts = e.counts();
        // Two of the twelve keys were sounding already and restarted on their own voices.
        assert!(counts.sounding == 4 && counts.unplayed == 0 && counts.stolen >= 8, "{counts:?}");
        e.obey(VoiceCommand::AllOff(None));
        play(&mut e, 1.0);
        assert!(e.is_resting() && e.counts().sounding == 0);
    }

    #[test]
    fn another_instrument_takes_over_without_a_gap() {
        let mut e = ensemble(2, &["cello", "clarinet", "flute"]);
        e.obey(VoiceCommand::NoteOn(0, 67.0, 0.8));
        play(&mut e, 1.0);
        for name in ["clarinet", "flute", "cello"] {
            let before = play(&mut e, 0.2)[0].clone();
            e.obey(VoiceCommand::Swap(Some(0), name.into()));
            let [after, _] = play(&mut e, 0.5);
            let (old, new) = (power(&before), power(&after[12_000..]));
            let least = after[..9_600].chunks(720).map(power).fold(f64::MAX, f64::min);
            assert!(decibels(least, old.min(new)) > -9.0, "{name}: {:.1} dB", decibels(least, old.min(new)));
            let steady = roughness(&before).max(roughness(&after[12_000..]));
            assert!(roughness(&after[..12_000]) < 3.0 * steady, "{name}");
        }
        assert_eq!(e.counts().sounding, 1);
        assert!(e.leaving.is_empty(), "faded voices are returned");
        assert!(e.sections.iter().all(|s| s.idle.len() + usize::from(s.name == "cello") == 4));
    }

    #[test]
    fn a_voice_is_played_directly_and_notes_leave_it_alone() {
        let mut e = ensemble(2, &["clarinet"]);
        e.obey(VoiceCommand::Set(Some(1), Setting::F0, 220.0));
        e.obey(VoiceCommand::Set(Some(1), Setting::Loudness, 0.8));
        e.obey(VoiceCommand::Set(Some(1), Setting::Pan, -1.0));
        play(&mut e, 0.5);
        let [left, right] = play(&mut e, 0.5);
        assert!(power(&left) > 1e-5 && power(&right) < 1e-9 * power(&left), "all on the left");
        for k in 0..6 {
            e.obey(VoiceCommand::NoteOn(0, 60.0 + f64::from(k), 0.5));
            play(&mut e, 0.1);
        }
        assert_eq!(e.counts().sounding, 2);
        assert!(e.chairs[1].note.is_none() && e.chairs[1].is_held());
        e.obey(VoiceCommand::Reset(Some(1)));
        e.obey(VoiceCommand::AllOff(None));
        play(&mut e, 1.0);
        assert!(e.is_resting());
    }

    #[test]
    fn pedals_concern_their_part_alone() {
        let mut e = ensemble(4, &["clarinet", "flute"]);
        e.obey(VoiceCommand::Swap(Some(1), "flute".into()));
        e.obey(VoiceCommand::Part(Some(0), PartParam::Sustain, 1.0));
        e.obey(VoiceCommand::NoteOn(0, 60.0, 0.8));
        e.obey(VoiceCommand::NoteOn(1, 72.0, 0.8));
        play(&mut e, 0.2);
        e.obey(VoiceCommand::NoteOff(0, 60.0));
        e.obey(VoiceCommand::NoteOff(1, 72.0));
        play(&mut e, 0.5);
        assert_eq!(e.counts().sounding, 1, "the sustained one");
        e.obey(VoiceCommand::Part(Some(0), PartParam::Bend, 2.0));
        e.obey(VoiceCommand::Part(Some(0), PartParam::Modulation, 1.0));
        e.obey(VoiceCommand::Part(Some(0), PartParam::Expression, 0.5));
        let manner = e.chairs.iter().find(|c| c.note.is_some()).unwrap().voice.as_ref().unwrap().0.performer.manner;
        assert_eq!((manner.bend, manner.vibrato_semitones, manner.expression), (2.0, 0.5, 0.5));
        e.obey(VoiceCommand::Part(Some(0), PartParam::Sustain, 0.0));
        play(&mut e, 0.5);
        assert_eq!(e.counts().sounding, 0);
    }

    #[test]
    fn an_instrument_that_is_forgotten_fades_and_its_notes_are_counted_then() {
        let mut e = ensemble(2, &["clarinet"]);
        e.obey(VoiceCommand::NoteOn(0, 60.0, 0.8));
        let steady = roughness(&play(&mut e, 0.5)[0][12_000..]);
        e.obey(VoiceCommand::Unload("clarinet".into()));
        let [sound, _] = play(&mut e, 0.5);
        assert!(roughness(&sound) < 2.0 * steady && sound[6_000..].iter().all(|s| *s == 0.0));
        e.obey(VoiceCommand::NoteOn(0, 60.0, 0.8));
        assert_eq!((e.counts().unplayed, e.is_resting()), (1, true));
    }

    #[test]
    fn a_voice_whose_own_instrument_is_forgotten_plays_on_with_the_first_part_s() {
        let mut e = ensemble(2, &["clarinet", "flute"]);
        e.obey(VoiceCommand::Voice(Some(0), "flute".into()));
        e.obey(VoiceCommand::Set(Some(0), Setting::Loudness, 0.6));
        play(&mut e, 0.3);
        assert_eq!(e.chairs[0].voice.as_ref().unwrap().1, "flute");
        e.obey(VoiceCommand::Unload("flute".into()));
        let [sound, _] = play(&mut e, 0.5);
        assert_eq!(e.chairs[0].voice.as_ref().unwrap().1, "clarinet");
        assert!(power(&sound[12_000..]) > 1e-6);
    }

    #[test]
    fn what_is_shed_is_the_quietest_note() {
        // A voice that is played directly, two notes, and an idle voice.
        let mut e = ensemble(4, &["clarinet"]);
        e.obey(VoiceCommand::Set(Some(0), Setting::Loudness, 0.2));
        e.obey(VoiceCommand::NoteOn(0, 60.0, 0.9));
        e.obey(VoiceCommand::NoteOn(0, 64.0, 0.4));
        play(&mut e, 0.5);
        assert!(e.shed());
        let left: Vec<f64> = e.chairs.iter().filter_map(|c| c.note.map(|n| n.key)).collect();
        assert_eq!(left, [60.0]);
        assert!(e.shed() && e.shed() && !e.shed());
    }
}
