//! Playing gestures, hop by hop: pitch with glide, bend and vibrato; loudness with an envelope.

/// Target of a voice for one hop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intent {
    /// Pitch as a MIDI number, may be fractional.
    pub midi: f64,
    /// Loudness, 0 to 1, over the instrument's trained range.
    pub loudness: f64,
    /// Linear level of the output.
    pub level: f64,
}

/// An attack, decay, sustain and release envelope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adsr {
    /// Time from silence to full loudness, in seconds.
    pub attack: f64,
    /// Time from full loudness to the sustain level, in seconds.
    pub decay: f64,
    /// Sustain level, as a share of the loudness, 0 to 1.
    pub sustain: f64,
    /// Time from the current level to silence, in seconds.
    pub release: f64,
}

impl Default for Adsr {
    /// Returns a wind player's envelope; the instrument's model adds its own attack.
    fn default() -> Self {
        Self { attack: 0.03, decay: 0.2, sustain: 0.9, release: 0.12 }
    }
}

/// Playing parameters of a voice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoteParams {
    /// Envelope of notes; not used by [`Performer::hold`].
    pub adsr: Adsr,
    /// Vibrato rate in Hz.
    pub vibrato_hz: f64,
    /// Vibrato depth to each side, in semitones.
    pub vibrato_semitones: f64,
    /// Glide time from one pitch to the next, in seconds.
    pub glide_s: f64,
    /// Pitch bend in semitones.
    pub bend: f64,
    /// Factor of the loudness, as of an expression pedal, 0 to 1.
    pub expression: f64,
    /// Linear level.
    pub level: f64,
}

impl Default for NoteParams {
    fn default() -> Self {
        Self {
            adsr: Adsr::default(),
            vibrato_hz: 5.5,
            vibrato_semitones: 0.0,
            glide_s: 0.0,
            bend: 0.0,
            expression: 1.0,
            level: 1.0,
        }
    }
}

/// Stage of the envelope.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Silent,
    Attack,
    Decay,
    Sustain,
    Release,
    /// Silent for one hop, then the note that took over (MIDI number, loudness).
    Stolen(f64, f64),
    /// Direct playing, without an envelope.
    Held,
}

/// Chooses the note to be stolen: a released one first, then the quietest, then the oldest. Each item is an index to
/// return, the performer of the note (`None` counts as released), and a number that increases with every note.
pub fn weakest<'a>(notes: impl Iterator<Item = (usize, Option<&'a Performer>, u64)>) -> Option<usize> {
    let rank = |(_, performer, since): &(usize, Option<&Performer>, u64)| {
        (performer.is_some_and(|p| !p.free()), performer.map_or(0.0, |p| p.present()), *since)
    };
    let notes = notes.min_by(|a, b| {
        let ((sounds_a, loud_a, since_a), (sounds_b, loud_b, since_b)) = (rank(a), rank(b));
        sounds_a.cmp(&sounds_b).then(loud_a.total_cmp(&loud_b)).then(since_a.cmp(&since_b))
    });
    notes.map(|(number, ..)| number)
}

/// Turns notes and controls into an [`Intent`] per hop, for one voice. Realtime: yes, allocates nothing.
#[derive(Clone, Debug)]
pub struct Performer {
    /// Playing parameters; may be changed at any time.
    pub manner: NoteParams,
    hop_s: f64,
    stage: Stage,
    envelope: f64,
    /// Envelope value at which the current stage began.
    leg: f64,
    midi: f64,
    wanted: f64,
    glide_left: f64,
    loudness: f64,
    vibrato: f64,
    /// Number of notes begun, and of times that direct playing began out of silence.
    begun: u64,
}

impl Performer {
    /// Creates a performer at rest, for hops of `hop_s` seconds.
    pub fn new(hop_s: f64) -> Performer {
        Performer {
            manner: NoteParams::default(),
            hop_s,
            stage: Stage::Silent,
            envelope: 0.0,
            leg: 0.0,
            midi: 69.0,
            wanted: 69.0,
            glide_left: 0.0,
            loudness: 0.0,
            vibrato: 0.0,
            begun: 0,
        }
    }

    /// Resets everything but the playing parameters.
    pub fn reset(&mut self) {
        *self = Performer { manner: self.manner, begun: self.begun, ..Performer::new(self.hop_s) };
    }

    /// Returns the same performer for hops of another length, in seconds.
    pub fn at_hops_of(self, hop_s: f64) -> Performer {
        Performer { hop_s, ..self }
    }

    /// Returns whether the target is silence.
    pub fn silent(&self) -> bool {
        match self.stage {
            Stage::Silent => true,
            Stage::Held => self.loudness <= 0.0,
            _ => false,
        }
    }

    /// Returns whether the note is released, or none has been played.
    pub fn free(&self) -> bool {
        matches!(self.stage, Stage::Silent | Stage::Release)
    }

    /// Returns whether another note follows with the next hop.
    pub fn is_replaced(&self) -> bool {
        matches!(self.stage, Stage::Stolen(..))
    }

    /// Increases with every note, and whenever direct playing begins out of silence.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Pitch that the voice goes to (MIDI number) and its loudness before envelope and expression, 0 to 1.
    pub fn target(&self) -> (f64, f64) {
        (self.wanted, self.loudness)
    }

    /// Current loudness, 0 to 1, before expression; the quietest voice is stolen first.
    pub fn present(&self) -> f64 {
        if self.stage == Stage::Held { self.loudness } else { self.envelope * self.loudness }
    }

    /// Plays directly from now on, without an envelope: pitch in Hz, loudness 0 to 1.
    pub fn hold(&mut self, hz: f64, loudness: f64) {
        let silent = self.silent();
        self.stage = Stage::Held;
        self.loudness = loudness.clamp(0.0, 1.0);
        self.begun += u64::from(silent && self.loudness > 0.0);
        self.go_to(midi_of(hz), silent);
    }

    /// Silences the voice without an envelope; the pitch is kept.
    pub fn hush(&mut self) {
        self.stage = Stage::Held;
        self.loudness = 0.0;
    }

    /// Plays directly, as [`Performer::hold`] does; a pitch or a loudness of 0 or less silences the voice.
    pub fn direct(&mut self, hz: f64, loudness: f64) {
        if hz > 0.0 && loudness > 0.0 {
            self.hold(hz, loudness);
        } else {
            self.hush();
        }
    }

    /// Starts a note: MIDI number, loudness 0 to 1. A sounding voice is silenced for one hop first.
    pub fn note_on(&mut self, midi: f64, loudness: f64) {
        if self.silent() {
            self.begin(midi, loudness);
        } else {
            self.stage = Stage::Stolen(midi, loudness);
        }
    }

    /// Releases the note.
    pub fn note_off(&mut self) {
        self.stage = match self.stage {
            Stage::Silent => Stage::Silent,
            // The old note has been replaced, and the new one has ended before it began.
            Stage::Stolen(..) => {
                self.envelope = 0.0;
                Stage::Silent
            }
            Stage::Attack | Stage::Decay | Stage::Sustain | Stage::Held => {
                if self.stage == Stage::Held {
                    self.envelope = 1.0;
                }
                self.leg = self.envelope;
                Stage::Release
            }
            Stage::Release => Stage::Release,
        };
    }

    fn begin(&mut self, midi: f64, loudness: f64) {
        self.loudness = loudness.clamp(0.0, 1.0);
        self.envelope = 0.0;
        self.leg = 0.0;
        self.stage = Stage::Attack;
        self.vibrato = 0.0;
        self.begun += 1;
        let first = self.manner.glide_s <= 0.0;
        self.go_to(midi, first);
    }

    fn go_to(&mut self, midi: f64, at_once: bool) {
        self.wanted = if midi.is_finite() { midi.clamp(0.0, 140.0) } else { self.wanted };
        if at_once || self.manner.glide_s <= 0.0 {
            self.midi = self.wanted;
            self.glide_left = 0.0;
        } else {
            self.glide_left = self.manner.glide_s;
        }
    }

    /// Finishes a glide at once, when time passes while the voice rests.
    pub fn skip(&mut self) {
        self.midi = self.wanted;
        self.glide_left = 0.0;
    }

    /// Advances by one hop and returns its target.
    pub fn hop(&mut self) -> Intent {
        if let Stage::Stolen(midi, loudness) = self.stage {
            // One silent hop at the old pitch; the note begins with the next hop.
            let hush = Intent { midi: self.midi + self.manner.bend, loudness: 0.0, level: self.manner.level };
            self.begin(midi, loudness);
            return hush;
        }
        self.follow_pitch();
        self.follow_envelope();
        let m = &self.manner;
        self.vibrato = (self.vibrato + m.vibrato_hz * self.hop_s).fract();
        let sway = m.vibrato_semitones * (std::f64::consts::TAU * self.vibrato).sin();
        let envelope = if self.stage == Stage::Held { 1.0 } else { self.envelope };
        Intent {
            midi: self.midi + m.bend + sway,
            loudness: self.loudness * envelope * m.expression.clamp(0.0, 1.0),
            level: m.level,
        }
    }

    fn follow_pitch(&mut self) {
        if self.glide_left <= self.hop_s {
            self.midi = self.wanted;
            self.glide_left = 0.0;
        } else {
            self.midi += (self.wanted - self.midi) * self.hop_s / self.glide_left;
            self.glide_left -= self.hop_s;
        }
    }

    fn follow_envelope(&mut self) {
        let adsr = self.manner.adsr;
        let steps = |seconds: f64| self.hop_s / seconds.max(self.hop_s);
        match self.stage {
            Stage::Silent | Stage::Held | Stage::Stolen(..) => {}
            Stage::Attack => {
                self.envelope += (1.0 - self.leg) * steps(adsr.attack);
                if self.envelope >= 1.0 - 1e-9 {
                    self.envelope = 1.0;
                    self.stage = Stage::Decay;
                }
            }
            Stage::Decay => {
                self.envelope -= (1.0 - adsr.sustain) * steps(adsr.decay);
                if self.envelope <= adsr.sustain + 1e-9 {
                    self.envelope = adsr.sustain;
                    self.stage = Stage::Sustain;
                }
            }
            Stage::Sustain => self.envelope = adsr.sustain,
            Stage::Release => {
                self.envelope -= self.leg * steps(adsr.release);
                if self.envelope <= 1e-9 {
                    self.envelope = 0.0;
                    self.stage = Stage::Silent;
                }
            }
        }
    }
}

/// Converts Hz to a MIDI number; non-positive and non-finite values give 69 (440 Hz).
pub fn midi_of(hz: f64) -> f64 {
    if hz.is_finite() && hz > 0.0 { 69.0 + 12.0 * (hz / 440.0).log2() } else { 69.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn performer() -> Performer {
        Performer::new(0.01)
    }

    #[test]
    fn a_note_rises_falls_to_its_share_and_fades_when_it_is_let_go() {
        let mut p = performer();
        p.manner.adsr = Adsr { attack: 0.05, decay: 0.1, sustain: 0.5, release: 0.04 };
        p.note_on(60.0, 0.8);
        let rising: Vec<f64> = (0..5).map(|_| p.hop().loudness).collect();
        assert!(rising.windows(2).all(|w| w[1] > w[0]) && (rising[4] - 0.8).abs() < 1e-9, "{rising:?}");
        let held = (0..20).map(|_| p.hop().loudness).last().unwrap();
        assert!((held - 0.4).abs() < 1e-9);
        p.note_off();
        let fading: Vec<f64> = (0..4).map(|_| p.hop().loudness).collect();
        assert!(fading.windows(2).all(|w| w[1] < w[0]) && fading[3] == 0.0, "{fading:?}");
        assert!(p.silent());
    }

    #[test]
    fn a_stolen_voice_is_hushed_for_a_hop_and_then_begins_the_note() {
        let mut p = performer();
        p.note_on(60.0, 0.8);
        (0..30).for_each(|_| {
            p.hop();
        });
        p.note_on(72.0, 0.5);
        let hush = p.hop();
        assert_eq!((hush.loudness, hush.midi), (0.0, 60.0));
        let next = p.hop();
        assert!(next.loudness > 0.0 && next.midi == 72.0);
    }

    #[test]
    fn a_stolen_voice_whose_new_note_ends_at_once_is_silent() {
        let mut p = performer();
        p.note_on(60.0, 0.8);
        p.hop();
        p.note_on(72.0, 0.5);
        p.note_off();
        assert!(p.silent() && p.hop().loudness == 0.0);
        p.hold(440.0, 0.8);
        p.note_on(72.0, 0.5);
        let hush = p.hop();
        assert_eq!((hush.loudness, hush.midi), (0.0, 69.0), "a held pitch is hushed as a note is");
    }

    #[test]
    fn a_glide_takes_its_time_and_arrives() {
        let mut p = performer();
        p.manner.glide_s = 0.1;
        p.hold(440.0, 0.5);
        p.hop();
        p.hold(880.0, 0.5);
        let way: Vec<f64> = (0..12).map(|_| p.hop().midi).collect();
        assert!((way[4] - 75.0).abs() < 0.01 && way[9] == 81.0 && way[11] == 81.0, "{way:?}");
    }

    #[test]
    fn vibrato_bend_and_expression_change_what_they_are_named_for() {
        let mut p = performer();
        p.hold(440.0, 0.8);
        p.manner.vibrato_semitones = 0.5;
        p.manner.bend = 2.0;
        p.manner.expression = 0.5;
        let way: Vec<Intent> = (0..200).map(|_| p.hop()).collect();
        let highest = way.iter().map(|i| i.midi).fold(0.0, f64::max);
        let lowest = way.iter().map(|i| i.midi).fold(200.0, f64::min);
        assert!((highest - 71.5).abs() < 0.02 && (lowest - 70.5).abs() < 0.02);
        assert!(way.iter().all(|i| (i.loudness - 0.4).abs() < 1e-9));
    }
}
