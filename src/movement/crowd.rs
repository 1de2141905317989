//! The tempo of a crowd: turns raw movement into tempo commands for the clock.

use super::curve::{Curve, CurvePosition};
use super::glide::{Glide, Shape, TempoGlide};
use super::value;
use super::window::{Kind, Window};

/// CrowdSettings of the tempo control by movement.
#[derive(Clone, Debug, PartialEq)]
pub struct CrowdSettings {
    /// Whether movement controls the tempo.
    pub enabled: bool,
    /// The body part whose movement controls the tempo.
    pub source: String,
    /// Curve from movement to tempo.
    pub curve: Curve,
    /// How far below a threshold movement must fall to count as below it.
    pub hysteresis: f64,
    /// Length in seconds of the window over which messages are combined.
    pub window_s: f64,
    /// How the messages in the window are combined.
    pub window: Kind,
    /// Duration of a glide in seconds.
    pub glide_s: f64,
    /// Shape of a glide.
    pub glide: Shape,
    /// Seconds without a message after which the tempo drifts back.
    pub hold_s: f64,
    /// Duration of the drift in seconds.
    pub drift_s: f64,
    /// Seconds for which a tempo set manually overrides movement.
    pub manual_s: f64,
    /// The same for a tempo set by a client of the older servers.
    pub older_manual_s: f64,
}

impl Default for CrowdSettings {
    fn default() -> Self {
        CrowdSettings {
            enabled: true,
            source: "total_movement".into(),
            curve: Curve::crowd(),
            hysteresis: 0.005,
            window_s: 3.0,
            window: Kind::Mean,
            glide_s: 30.0,
            glide: Shape::Linear,
            hold_s: 60.0,
            drift_s: 60.0,
            manual_s: 60.0,
            older_manual_s: 0.0,
        }
    }
}

/// Origin of the current tempo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The base tempo; nothing has changed it yet.
    Base,
    /// Movement of the crowd.
    Movement,
    /// Movement, held at its last value while the sensor is silent.
    Holding,
    /// Drifting back to the base tempo, after the sensor has been silent for too long.
    Drifting,
    /// Set manually.
    Manual,
}

impl Reason {
    /// Name used in status messages.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Base => "base",
            Reason::Movement => "movement",
            Reason::Holding => "holding",
            Reason::Drifting => "drifting",
            Reason::Manual => "manual",
        }
    }
}

/// Tempo control by movement. All times are in seconds on a clock of the caller.
#[derive(Clone, Debug)]
pub struct Crowd {
    settings: CrowdSettings,
    window: Window,
    place: Option<CurvePosition>,
    glide: Glide,
    reason: Reason,
    raw: f64,
    smoothed: f64,
    heard: Option<f64>,
    manual_until: f64,
    /// Number of invalid values received.
    refused: u64,
}

impl Crowd {
    /// Creates a control at rest, with the tempo `bpm`.
    pub fn new(settings: CrowdSettings, bpm: f64) -> Crowd {
        Crowd {
            window: Window::new(settings.window_s, settings.window),
            settings,
            place: None,
            glide: Glide::resting(bpm),
            reason: Reason::Base,
            raw: 0.0,
            smoothed: 0.0,
            heard: None,
            manual_until: f64::NEG_INFINITY,
            refused: 0,
        }
    }

    /// Replaces the settings; the current tempo and glide continue.
    pub fn set(&mut self, settings: CrowdSettings) {
        if settings != self.settings {
            self.window = Window::new(settings.window_s, settings.window);
            self.place = None;
            self.settings = settings;
        }
    }

    /// Processes a sensor value for a body part; returns a command if the tempo is to change.
    pub fn hear(&mut self, now: f64, part: &str, number: f64) -> Option<TempoGlide> {
        let Some(movement) = value::read(number) else {
            self.refused += 1;
            return None;
        };
        if value::part(part) != self.settings.source {
            return None;
        }
        // Values from before a long silence are obsolete.
        if self.heard.is_some_and(|h| now - h > self.settings.hold_s) {
            self.window.clear();
            self.place = None;
        }
        self.heard = Some(now);
        self.raw = movement;
        self.smoothed = self.window.push(now, movement);
        let place = self.settings.curve.place(self.smoothed, self.place, self.settings.hysteresis);
        self.place = Some(place);
        if now < self.manual_until || !self.settings.enabled {
            return None;
        }
        self.reason = Reason::Movement;
        let target = self.settings.curve.result(self.smoothed, place);
        self.glide.aim(now, target, self.settings.glide_s, self.settings.window_s, self.settings.glide)
    }

    /// Advances time; returns a command if the sensor has been silent for too long.
    pub fn pass(&mut self, now: f64, base: f64) -> Option<TempoGlide> {
        if now < self.manual_until || !self.settings.enabled {
            return None;
        }
        if self.reason == Reason::Manual && self.heard.is_none_or(|h| now - h > self.settings.hold_s) {
            // No movement to take over again: the tempo stays as set.
            return None;
        }
        let silent = now - self.heard?;
        if silent > self.settings.hold_s {
            if self.reason != Reason::Drifting {
                self.reason = Reason::Drifting;
                return self.glide.aim(now, base, self.settings.drift_s, 0.0, self.settings.glide);
            }
        } else if silent > 15.0f64.min(0.5 * self.settings.hold_s) && self.reason == Reason::Movement {
            self.reason = Reason::Holding;
        }
        None
    }

    /// Records a manual change of tempo, reached within `seconds`; movement has no effect for another `hold` seconds.
    pub fn manual(&mut self, now: f64, bpm: f64, seconds: f64, hold: f64) {
        self.glide = Glide::resting(self.glide.at(now));
        self.glide.aim(now, bpm, seconds, 0.0, Shape::Linear);
        self.manual_until = now + hold;
        self.reason = Reason::Manual;
    }

    /// The current settings.
    pub fn settings(&self) -> &CrowdSettings {
        &self.settings
    }

    /// The last sensor value, as a share of full movement, 0 to 1.
    pub fn raw(&self) -> f64 {
        self.raw
    }

    /// The combined value of the window, 0 to 1.
    pub fn smoothed(&self) -> f64 {
        self.smoothed
    }

    /// The tempo being approached, in BPM.
    pub fn target(&self) -> f64 {
        self.glide.target()
    }

    /// Origin of the current tempo.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Number of invalid values received.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a script of (second, value); returns the tempo every tenth of a second, as an obedient clock would have
    /// it.
    fn play(script: &[(f64, f64)], seconds: f64) -> (Vec<f64>, Crowd) {
        let mut crowd = Crowd::new(CrowdSettings::default(), 120.0);
        let (mut next, mut tempo) = (0, Vec::new());
        for tick in 0..(seconds * 10.0) as usize {
            let now = tick as f64 * 0.1;
            while script.get(next).is_some_and(|s| s.0 <= now) {
                crowd.hear(now, "total_movement", script[next].1);
                next += 1;
            }
            crowd.pass(now, 120.0);
            tempo.push(crowd.glide.at(now));
        }
        (tempo, crowd)
    }

    #[test]
    fn a_step_arrives_in_thirty_seconds_however_often_it_is_told() {
        for every in [0.1, 1.0, 10.0] {
            let script: Vec<(f64, f64)> =
                (0..).map(|k| (f64::from(k) * every, 0.6)).take_while(|s| s.0 < 50.0).collect();
            let (tempo, _) = play(&script, 50.0);
            assert!((tempo[150] - 125.0).abs() < 0.1, "every {every} s: {}", tempo[150]);
            assert!(tempo[290] < 130.0 && (tempo[301] - 130.0).abs() < 1e-9, "every {every} s");
        }
    }

    #[test]
    fn silence_holds_then_drifts_back() {
        let script: Vec<(f64, f64)> = (0..40).map(|k| (f64::from(k), 0.6)).collect();
        let (tempo, crowd) = play(&script, 200.0);
        assert_eq!((tempo[390], tempo[900]), (130.0, 130.0));
        assert!((tempo[1_290] - 125.0).abs() < 0.2, "{}", tempo[1_290]);
        assert_eq!(tempo[1_700], 120.0);
        assert_eq!(crowd.reason(), Reason::Drifting);
    }

    #[test]
    fn nonsense_changes_nothing() {
        let script: Vec<(f64, f64)> = (0..400)
            .map(|k| (f64::from(k) * 0.1, [0.6, f64::NAN, f64::INFINITY, 1e30, -1e30][k as usize % 5]))
            .collect();
        let (tempo, crowd) = play(&script, 40.0);
        assert!((tempo[301] - 130.0).abs() < 1e-9);
        assert_eq!(crowd.refused(), 320);
    }

    #[test]
    fn a_hand_wins_for_a_minute() {
        let mut crowd = Crowd::new(CrowdSettings::default(), 120.0);
        assert!(crowd.hear(0.0, "total_movement", 0.6).is_some());
        crowd.manual(1.0, 90.0, 0.05, 60.0);
        assert_eq!(crowd.hear(30.0, "total_movement", 0.01), None);
        assert_eq!(crowd.reason(), Reason::Manual);
        let order = crowd.hear(61.5, "total_movement", 0.6).unwrap();
        assert_eq!((order.bpm, order.seconds), (130.0, 30.0));
        assert!((crowd.glide.at(61.5) - 90.0).abs() < 1e-9);
    }

    #[test]
    fn without_a_hold_the_next_message_takes_over() {
        let mut crowd = Crowd::new(CrowdSettings::default(), 120.0);
        crowd.hear(0.0, "total_movement", 0.6);
        crowd.manual(1.0, 90.0, 0.05, 0.0);
        assert_eq!((crowd.pass(1.9, 120.0), crowd.reason()), (None, Reason::Manual));
        let order = crowd.hear(2.0, "total_movement", 0.6).unwrap();
        assert_eq!((order.bpm, order.seconds, crowd.reason()), (130.0, 30.0, Reason::Movement));
        // Without a message it stays indefinitely.
        crowd.manual(3.0, 90.0, 0.05, 0.0);
        assert!((4..400).all(|s| crowd.pass(f64::from(s), 120.0).is_none()));
        assert!((crowd.glide.at(400.0) - 90.0).abs() < 1e-9);
    }
}
