//! What a MIDI channel's pitch is: the bend wheel, how far it goes, and tuning (registered parameters 0, 1 and 2).
//!
//! MIDI 1.0 detailed specification, "Registered Parameter Numbers", and RP-018: controllers 101 and 100 choose a
//! parameter, 6 and 38 set it, 98 and 99 choose one that is the maker's own, 127 and 127 none.

/// Semitones that a full bend is worth until something else is said.
const BEND_SEMITONES: f64 = 2.0;

/// A parameter that is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Chosen {
    /// None that is known here.
    None,
    /// 0: how far a full bend goes.
    Range,
    /// 1: up to a semitone to either side.
    Fine,
    /// 2: whole semitones.
    Coarse,
}

/// Pitch of one channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// The two halves of the parameter's number; 127 and 127 are none.
    number: (u8, u8),
    /// Whether the last number was a maker's own.
    own: bool,
    /// Semitones and cents of a full bend.
    range: (u8, u8),
    /// Fine tuning, 14 bits, 8192 in the middle.
    fine: (u8, u8),
    /// Coarse tuning, 64 in the middle.
    coarse: u8,
    /// The wheel, −1 to 1.
    wheel: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            number: (127, 127),
            own: false,
            range: (BEND_SEMITONES as u8, 0),
            fine: (64, 0),
            coarse: 64,
            wheel: 0.0,
        }
    }
}

impl Tuning {
    fn chosen(&self) -> Chosen {
        match self.number {
            (0, 0) if !self.own => Chosen::Range,
            (0, 1) if !self.own => Chosen::Fine,
            (0, 2) if !self.own => Chosen::Coarse,
            _ => Chosen::None,
        }
    }

    /// Takes a controller and its value, 0 to 127; returns whether the pitch is another now.
    pub fn control(&mut self, controller: u8, value: u8) -> bool {
        let before = self.semitones();
        let value = value & 127;
        match (controller, self.chosen()) {
            (101, _) => (self.number.0, self.own) = (value, false),
            (100, _) => (self.number.1, self.own) = (value, false),
            (98 | 99, _) => self.own = true,
            (6, Chosen::Range) => self.range = (value, 0),
            (38, Chosen::Range) => self.range.1 = value.min(99),
            (6, Chosen::Fine) => self.fine = (value, 0),
            (38, Chosen::Fine) => self.fine.1 = value,
            (6, Chosen::Coarse) => self.coarse = value,
            // "Reset all controllers" puts the wheel in the middle and chooses no parameter, but keeps what was set
            // (RP-015).
            (121, _) => (self.number, self.own, self.wheel) = ((127, 127), false, 0.0),
            _ => {}
        }
        before != self.semitones()
    }

    /// Whether a controller has its meaning here and nowhere else.
    pub fn is_own(controller: u8) -> bool {
        matches!(controller, 6 | 38 | 96..=101)
    }

    /// Moves the wheel: −1 to 1.
    pub fn bend(&mut self, wheel: f64) {
        self.wheel = wheel.clamp(-1.0, 1.0);
    }

    /// What is to be added to every key, in semitones.
    pub fn semitones(&self) -> f64 {
        let range = f64::from(self.range.0) + f64::from(self.range.1) / 100.0;
        let fine = f64::from((u16::from(self.fine.0) << 7) + u16::from(self.fine.1)) - 8_192.0;
        self.wheel * range + f64::from(self.coarse) - 64.0 + fine / 8_192.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(tuning: &mut Tuning, steps: &[(u8, u8)]) {
        for (controller, value) in steps {
            tuning.control(*controller, *value);
        }
    }

    #[test]
    fn a_bend_goes_as_far_as_it_was_told() {
        let mut tuning = Tuning::default();
        tuning.bend(-1.0);
        assert_eq!(tuning.semitones(), -2.0);
        set(&mut tuning, &[(101, 0), (100, 0), (6, 12)]);
        assert_eq!(tuning.semitones(), -12.0);
        set(&mut tuning, &[(38, 50)]);
        assert_eq!(tuning.semitones(), -12.5);
        // Nothing is chosen any more, and then a maker's own.
        set(&mut tuning, &[(101, 127), (100, 127), (6, 3), (101, 0), (100, 0), (99, 1), (98, 8), (6, 3)]);
        assert_eq!(tuning.semitones(), -12.5);
        set(&mut tuning, &[(121, 0)]);
        assert_eq!(tuning.semitones(), 0.0);
        tuning.bend(1.0);
        assert_eq!(tuning.semitones(), 12.5);
    }

    #[test]
    fn tuning_adds_to_the_bend() {
        let mut tuning = Tuning::default();
        assert!(!tuning.control(101, 0) && !tuning.control(100, 2));
        assert!(tuning.control(6, 64 - 12));
        set(&mut tuning, &[(100, 1), (6, 96), (38, 0)]);
        tuning.bend(0.5);
        assert_eq!(tuning.semitones(), 1.0 - 12.0 + 0.5);
    }
}
