//! Pitch offset of a MIDI channel: the bend wheel, its range, and tuning (registered parameters 0, 1 and 2).
//!
//! Follows the MIDI 1.0 detailed specification, "Registered Parameter Numbers", and RP-018: controllers 101 and 100
//! select a registered parameter (127 and 127: none), 98 and 99 a manufacturer's own; 6 and 38 set its value.

/// Default range of the bend wheel, in semitones.
const BEND_SEMITONES: f64 = 2.0;

/// The selected parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Chosen {
    /// No supported parameter.
    None,
    /// 0: range of the bend wheel.
    Range,
    /// 1: fine tuning, up to a semitone to either side.
    Fine,
    /// 2: coarse tuning, in semitones.
    Coarse,
}

/// Pitch state of one channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Both halves of the parameter number; 127 and 127 select none.
    number: (u8, u8),
    /// Whether the last number selected was a manufacturer's own.
    own: bool,
    /// Bend range in semitones and cents.
    range: (u8, u8),
    /// Fine tuning as two 7-bit halves; 8192 is the centre.
    fine: (u8, u8),
    /// Coarse tuning; 64 is the centre.
    coarse: u8,
    /// Position of the wheel, −1 to 1.
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

    /// Applies a control change (value 0 to 127); returns whether the pitch has changed.
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
            // "Reset all controllers" centres the wheel and deselects the parameter, but keeps the parameters' values
            // (RP-015).
            (121, _) => (self.number, self.own, self.wheel) = ((127, 127), false, 0.0),
            _ => {}
        }
        before != self.semitones()
    }

    /// Returns whether a controller only serves parameter selection and entry, and need not be passed on.
    pub fn is_own(controller: u8) -> bool {
        matches!(controller, 6 | 38 | 96..=101)
    }

    /// Moves the wheel, −1 to 1.
    pub fn bend(&mut self, wheel: f64) {
        self.wheel = wheel.clamp(-1.0, 1.0);
    }

    /// Offset to be added to every key, in semitones.
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
        // None selected, and then a manufacturer's own.
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
