//! The tempo: beats, bars, and how decks follow them.

use super::context::Context;
use super::pace::{Pace, Sync};
use super::settings::TempoSettings;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::deck_name;
use crate::engine::DECKS;
use crate::engine::clock::Shape;
use crate::engine::command::Action;
use crate::media::grid::Grid;

/// The tempo that was asked for, and how each deck follows it.
#[derive(Debug)]
pub struct Tempo {
    bpm: f64,
    base_bpm: f64,
    beats_per_bar: i64,
    /// Whether every beat is logged.
    pub print_beats: bool,
    last_beat: i64,
    /// By deck.
    pub paces: [Pace; DECKS],
}

/// A position in the music.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Beats since the last reset.
    pub beat: f64,
    /// The bar, counted from 1.
    pub bar: i64,
    /// The beat within the bar, counted from 1.
    pub in_bar: i64,
}

impl Tempo {
    /// The tempo at the start.
    pub fn new(settings: &TempoSettings) -> Tempo {
        Tempo {
            bpm: settings.bpm,
            base_bpm: settings.bpm,
            beats_per_bar: settings.beats_per_bar,
            print_beats: false,
            last_beat: -1,
            paces: std::array::from_fn(|_| Pace { method: settings.method, sync: settings.sync, ..Pace::default() }),
        }
    }

    /// The tempo asked for, in BPM.
    pub fn bpm(&self) -> f64 {
        self.bpm
    }

    /// Moves the tempo to `bpm` within `seconds`.
    pub fn glide(&mut self, cx: &mut Context, at: Option<u64>, bpm: f64, seconds: f64, shape: Shape) {
        self.bpm = bpm;
        let frames = cx.ramp(seconds);
        cx.push(at, Action::Tempo { bpm, frames, shape });
    }

    /// The tempo in BPM at which stems play at their own speed, on decks without a tempo of their own.
    pub fn base_bpm(&self) -> f64 {
        self.base_bpm
    }

    /// Sets the base tempo.
    pub fn set_base_bpm(&mut self, cx: &mut Context, at: Option<u64>, bpm: f64) {
        self.base_bpm = bpm;
        for deck in 0..DECKS {
            self.push_base(cx, deck, at);
        }
    }

    /// Beats per bar.
    pub fn beats_per_bar(&self) -> i64 {
        self.beats_per_bar
    }

    /// Sets the beats per bar.
    pub fn set_beats_per_bar(&mut self, beats: i64) {
        self.beats_per_bar = beats;
    }

    /// Sets how far a deck follows the clock.
    pub fn set_sync(&mut self, cx: &mut Context, deck: usize, sync: Sync, at: Option<u64>) {
        self.paces[deck].sync = sync;
        self.push_base(cx, deck, at);
    }

    /// Sets a deck's own tempo in BPM; `None`: that of the file beside its track, or the base tempo.
    pub fn set_deck_bpm(&mut self, cx: &mut Context, deck: usize, bpm: Option<f64>, at: Option<u64>) {
        self.paces[deck].set_bpm = bpm;
        self.push_base(cx, deck, at);
    }

    /// The tempo in BPM at which a deck's stems play at their own speed.
    pub fn deck_bpm(&self, deck: usize) -> f64 {
        self.paces[deck].bpm().unwrap_or(self.base_bpm)
    }

    /// How fast a deck's stems play now, on top of their own rates.
    pub fn deck_speed(&self, cx: &Context, deck: usize) -> f64 {
        match self.paces[deck].sync {
            Sync::Off => 1.0,
            _ => cx.engine.telemetry().bpm() / self.deck_bpm(deck),
        }
    }

    /// Sends the engine the tempo at which a deck plays at its own speed.
    pub fn push_base(&self, cx: &mut Context, deck: usize, at: Option<u64>) {
        let base = (self.paces[deck].sync != Sync::Off).then(|| self.deck_bpm(deck));
        cx.push(at, Action::Sync { deck, base });
    }

    /// Takes over the grid, or the lack of one, of a track that has come to a deck.
    pub fn take_grid(&mut self, cx: &mut Context, deck: usize, id: i64, grid: Option<Grid>) {
        let pace = &mut self.paces[deck];
        // A stem without a grid leaves that of another stem in place.
        if grid.is_none() && pace.grid.as_ref().is_none_or(|(of, _)| *of != id) {
            return;
        }
        pace.grid = grid.map(|g| (id, g));
        if pace.set_bpm.is_none() {
            if let Some(bpm) = pace.bpm() {
                tracing::info!("deck {}: {bpm:.2} BPM, from the file beside its track", deck_name(deck));
            }
            self.push_base(cx, deck, None);
        }
    }

    /// The position in the music now.
    pub fn position(&self, cx: &Context) -> Position {
        let beat = cx.engine.telemetry().beat();
        let whole = beat.floor() as i64;
        let beats = self.beats_per_bar.max(1);
        Position { beat, bar: whole.div_euclid(beats) + 1, in_bar: whole.rem_euclid(beats) + 1 }
    }

    /// Logs and publishes beats as they pass.
    pub fn watch_beats(&mut self, cx: &mut Context) {
        let Position { beat, bar, in_bar } = self.position(cx);
        let whole = beat.floor() as i64;
        if whole == self.last_beat {
            return;
        }
        let bpm = cx.engine.telemetry().bpm();
        if bpm <= 0.0 {
            // The engine has rendered nothing yet.
            return;
        }
        self.last_beat = whole;
        if self.print_beats {
            tracing::info!("beat {whole} (bar {bar}, {in_bar}/{}) at {bpm:.2} BPM", self.beats_per_bar);
        }
        let values = vec![Value::Int(whole), Value::Int(bar), Value::Int(in_bar), Value::Float(bpm)];
        cx.events.post("/beat", values.clone());
        for recipient in cx.replies.subscriptions.recipients("beats") {
            cx.push_to(recipient, vec![Message::new("/beat", values.clone())]);
        }
    }

    /// The sample at which a start on a deck is heard, so that its beats, or bars, fall on the clock's; `earliest` is the
    /// first one possible, and the answer on decks that do not wait. The track starts `into` seconds after its beginning
    /// and plays at `rate`.
    pub fn quantised(&self, cx: &Context, deck: usize, (into, rate): (f64, f64), earliest: u64) -> u64 {
        let pace = &self.paces[deck];
        let Some(unit) = pace.unit(self.beats_per_bar) else { return earliest };
        // The first beat, or bar, of the track after its start; a track without a grid starts on one.
        let lead = pace.grid().map_or(0.0, |g| g.next(into, unit) - into);
        let (speed, unit) = (self.deck_speed(cx, deck) * rate, unit.beats());
        let frames_per_s = cx.rate();
        let course = Course::now(cx);
        // The clock's beat at the earliest moment at which the track's could fall.
        let first = earliest.saturating_sub(course.time) as f64 + lead / speed.max(1e-3) * frames_per_s;
        let wanted = (course.beat(first) / unit - 1e-6).ceil() * unit;
        // The solution is never more than two units away.
        let farthest = first + 2.0 * unit / course.slowest();
        let frames = course.frames_to(wanted, first, farthest);
        course.time + (frames - lead / speed.max(1e-3) * frames_per_s).round().max(0.0) as u64
    }

    /// Moves a start within a file of `seconds` to the nearest beat, or bar, of its track, on decks that wait for those.
    /// Both `from` and the answer are fractions of the file.
    pub fn snapped(&self, deck: usize, from: f64, seconds: f64) -> f64 {
        let pace = &self.paces[deck];
        match (pace.grid(), pace.unit(self.beats_per_bar)) {
            (Some(grid), Some(unit)) if from > 0.0 && seconds > 0.0 => {
                (grid.nearest(from * seconds, unit) / seconds).clamp(0.0, 1.0)
            }
            _ => from,
        }
    }
}

/// The course of the clock from now on, if the tempo is not changed: a glide ends, and the tempo stays from there on.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// The sample at which it begins.
    pub time: u64,
    beat: f64,
    /// Beats per frame at first, and their growth per frame for the next `left` frames.
    per_frame: f64,
    growth: f64,
    left: f64,
}

impl Course {
    /// The course as the engine shows it.
    pub fn now(cx: &Context) -> Course {
        let clock = cx.engine.telemetry();
        let (slope, left) = clock.bpm_slope();
        let per_s = 60.0 * cx.rate();
        Course {
            time: clock.time(),
            beat: clock.beat(),
            per_frame: clock.bpm() / per_s,
            growth: slope / per_s,
            left: left as f64,
        }
    }

    /// Returns the course of a clock that keeps its tempo.
    #[cfg(test)]
    pub fn steady(time: u64, beat: f64, per_frame: f64) -> Course {
        Course { time, beat, per_frame, growth: 0.0, left: 0.0 }
    }

    /// Returns the clock's beat at `time`.
    pub fn beat_now(&self) -> f64 {
        self.beat
    }

    /// Returns the beats that pass between `time` and another sample, before it or after.
    pub fn beats_until(&self, sample: u64) -> f64 {
        self.beat(sample as f64 - self.time as f64) - self.beat
    }

    /// The clock's beat after some frames.
    fn beat(&self, frames: f64) -> f64 {
        let gliding = frames.clamp(0.0, self.left);
        self.beat + self.per_frame * frames + self.growth * gliding * (frames - 0.5 * gliding)
    }

    /// Beats per frame after some frames.
    fn pace(&self, frames: f64) -> f64 {
        (self.per_frame + self.growth * frames.clamp(0.0, self.left)).max(1e-9)
    }

    fn slowest(&self) -> f64 {
        self.pace(0.0).min(self.pace(self.left))
    }

    /// Frames until the clock is at a beat that lies between two numbers of frames from now.
    fn frames_to(&self, beat: f64, first: f64, farthest: f64) -> f64 {
        // Newton's method: the tempo hardly changes within a bar.
        let mut frames = first;
        for _ in 0..8 {
            frames = (frames + (beat - self.beat(frames)) / self.pace(frames)).clamp(first, farthest);
        }
        frames
    }

    /// Returns the sample at which `beats` beats have passed since `time`; `time` itself if `beats` is 0 or less.
    pub fn sample_in(&self, beats: f64) -> u64 {
        let beats = beats.max(0.0);
        let frames = self.frames_to(self.beat + beats, 0.0, beats / self.slowest());
        self.time + frames.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::rig::context;
    use super::*;

    #[test]
    fn a_grid_sets_the_decks_tempo_until_its_own_track_goes() {
        let (_engine, mut cx) = context();
        let mut tempo = Tempo::new(&cx.settings.tempo.clone());
        let base = tempo.base_bpm();
        let grid = Grid::parse(br#"{"bpm": 90.0}"#).unwrap();
        tempo.take_grid(&mut cx, 1, 1_100, grid);
        assert_eq!((tempo.deck_bpm(1), tempo.deck_bpm(0)), (90.0, base));
        tempo.take_grid(&mut cx, 1, 1_101, None);
        assert_eq!(tempo.deck_bpm(1), 90.0, "another stem without a grid changes nothing");
        tempo.set_deck_bpm(&mut cx, 1, Some(100.0), None);
        assert_eq!(tempo.deck_bpm(1), 100.0);
        tempo.set_deck_bpm(&mut cx, 1, None, None);
        tempo.take_grid(&mut cx, 1, 1_100, None);
        assert_eq!(tempo.deck_bpm(1), base);
    }

    #[test]
    fn beats_to_come_follow_a_glide() {
        // From 120 to 60 BPM in 96 000 frames at 48 kHz: two seconds, three beats; then one beat per second.
        let per_frame = 2.0 / 48_000.0;
        let course = Course { time: 1_000, beat: 7.3, per_frame, growth: -per_frame / 2.0 / 96_000.0, left: 96_000.0 };
        assert_eq!(course.sample_in(0.0), 1_000);
        assert_eq!(course.sample_in(-1.0), 1_000);
        assert_eq!(course.sample_in(3.0), 97_000);
        assert_eq!(course.sample_in(5.0), 97_000 + 96_000);
        // After 4/3 s, 2 1/3 beats have passed: 2 t - t² / 4 …
        let at = 64_000.0 / 48_000.0;
        assert!((course.sample_in(2.0 * at - at * at / 4.0) as f64 - 65_000.0).abs() <= 1.0);
    }

    #[test]
    fn a_start_is_moved_to_a_beat_only_on_decks_that_wait() {
        let (_engine, mut cx) = context();
        let mut tempo = Tempo::new(&cx.settings.tempo.clone());
        let grid = Grid::parse(br#"{"bpm": 120.0, "beats": [0, 0.5, 1.0, 1.5, 2.0]}"#).unwrap();
        tempo.take_grid(&mut cx, 0, 100, grid);
        assert_eq!(tempo.snapped(0, 0.123, 10.0), 0.123);
        assert_eq!(tempo.quantised(&cx, 0, (0.0, 1.0), 5_000), 5_000);
        tempo.set_sync(&mut cx, 0, Sync::Beat, None);
        // 1.23 s: the nearest beat at 120 BPM is at 1 s.
        assert!((tempo.snapped(0, 0.123, 10.0) - 0.1).abs() < 1e-9);
    }
}
