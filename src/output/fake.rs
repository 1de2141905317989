//! A card that follows a script, on a clock of its own: every recovery path runs in every test.
//!
//! It has a clock, a buffer that drains at its rate, and a list of faults with their times. Everything written is kept,
//! so a test can inspect what would have been heard, frame by frame.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use super::convert::SampleFormat;
use super::pcm::{Fault, Pcm, PcmSetup, Timer};

/// A scripted fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mishap {
    /// The next wait fails with this fault.
    Wait(Fault),
    /// The next wait ends without room.
    WaitForNothing,
    /// The next write fails with this fault.
    Write(Fault),
    /// The next write accepts only this many frames.
    ShortWrite(usize),
    /// The next resume fails with this fault.
    Resume(Fault),
    /// From now on every call fails with this errno: the card is unplugged.
    Unplug(i32),
}

/// The state shared by a test and its cards: time, and what the cards played.
#[derive(Debug, Default)]
pub struct World {
    /// Current time in nanoseconds.
    pub now_ns: u64,
    /// Faults, with the time from which they apply.
    pub script: VecDeque<(u64, Mishap)>,
    /// Frames that left the converter: (frame of the world's clock since zero, left sample).
    pub heard: Vec<(u64, f32)>,
    /// Thread stalls: (time from which the next sleep or wait is prolonged, by how much), both in nanoseconds.
    pub stalls: VecDeque<(u64, u64)>,
}

/// A shared handle to a [`World`].
#[derive(Clone, Debug, Default)]
pub struct FakeWorld(Arc<Mutex<World>>);

impl FakeWorld {
    /// Locks and returns the world.
    pub fn look(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn pass(&self, ns: u64) {
        let mut world = self.look();
        world.now_ns += ns;
        if let Some((at, more)) = world.stalls.front().copied()
            && world.now_ns >= at
        {
            world.stalls.pop_front();
            world.now_ns += more;
        }
    }
}

/// The world's clock.
#[derive(Clone, Debug)]
pub struct FakeTimer(pub FakeWorld);

impl Timer for FakeTimer {
    fn now_ns(&self) -> u64 {
        self.0.look().now_ns
    }

    fn sleep_until(&self, deadline_ns: u64) {
        let now = self.now_ns();
        self.0.pass(deadline_ns.saturating_sub(now));
    }
}

/// A card that follows its world's script. Float samples, two channels.
#[derive(Debug)]
pub struct FakePcm {
    world: FakeWorld,
    setup: PcmSetup,
    /// Rate of its clock: played frames per true frame.
    speed: f64,
    /// Start time in nanoseconds.
    started_ns: Option<u64>,
    /// Frames written since it was prepared.
    written: u64,
    samples: VecDeque<f32>,
    /// Frames that left the converter since the start.
    played: u64,
    dead: Option<i32>,
    stopped: bool,
    /// Whether it accepts everything at once, like ALSA's `null`.
    swallows: bool,
}

impl FakePcm {
    /// Creates a card of `rate` frames per second.
    pub fn new(world: &FakeWorld, rate: u32, period: usize, periods: usize, free_running: bool) -> FakePcm {
        FakePcm {
            world: world.clone(),
            setup: PcmSetup {
                device: "fake".into(),
                rate,
                channels: 2,
                format: SampleFormat::Float,
                period,
                buffer: period * periods,
                free_running,
            },
            speed: 1.0,
            started_ns: None,
            written: 0,
            samples: VecDeque::new(),
            played: 0,
            dead: None,
            stopped: false,
            swallows: false,
        }
    }

    /// Makes its clock deviate by `ppm`.
    pub fn drifting(mut self, ppm: f64) -> FakePcm {
        self.speed = 1.0 + ppm * 1e-6;
        self
    }

    /// Makes it accept everything at once.
    pub fn swallowing(mut self) -> FakePcm {
        self.swallows = true;
        self
    }

    fn due(&mut self, wanted: fn(&Mishap) -> bool) -> Option<Mishap> {
        let mut world = self.world.look();
        let now = world.now_ns;
        let found = world.script.iter().position(|(at, m)| *at <= now && (wanted(m) || matches!(m, Mishap::Unplug(_))));
        let (_, mishap) = world.script.remove(found?)?;
        if let Mishap::Unplug(errno) = mishap {
            self.dead = Some(errno);
        }
        Some(mishap)
    }

    /// Plays up to the current time.
    fn advance(&mut self) {
        let Some(started) = self.started_ns else { return };
        let mut world = self.world.look();
        let rate = f64::from(self.setup.rate) * self.speed;
        let target = ((world.now_ns.saturating_sub(started)) as f64 * 1e-9 * rate) as u64;
        while self.played < target {
            if self.played >= self.written && !self.setup.free_running && !self.swallows {
                self.stopped = true;
                self.started_ns = None;
                return;
            }
            let at = ((started as f64 + self.played as f64 / rate * 1e9) * 1e-9 * f64::from(self.setup.rate)).round();
            if let Some(sample) = self.samples.pop_front() {
                world.heard.push((at as u64, sample));
            }
            self.played += 1;
        }
    }

    fn room(&self) -> usize {
        if self.swallows {
            return self.setup.buffer;
        }
        let used = self.written as i64 - self.played as i64;
        (self.setup.buffer as i64 - used).max(0) as usize
    }

    fn alive(&self) -> Result<(), Fault> {
        match self.dead {
            Some(errno) => Err(Fault::Gone(errno)),
            None if self.stopped => Err(Fault::Xrun),
            None => Ok(()),
        }
    }
}

impl Pcm for FakePcm {
    fn setup(&self) -> &PcmSetup {
        &self.setup
    }

    fn wait(&mut self, timeout_ms: u32) -> Result<bool, Fault> {
        match self.due(|m| matches!(m, Mishap::Wait(_) | Mishap::WaitForNothing)) {
            Some(Mishap::Wait(fault)) => return Err(fault),
            Some(Mishap::WaitForNothing) => {
                self.world.pass(1_000_000);
                return Ok(false);
            }
            _ => {}
        }
        self.advance();
        self.alive()?;
        let missing = self.setup.period.saturating_sub(self.room());
        if missing > 0 {
            let ns = (missing as f64 / f64::from(self.setup.rate) / self.speed * 1e9) as u64 + 1000;
            if ns > u64::from(timeout_ms) * 1_000_000 {
                self.world.pass(u64::from(timeout_ms) * 1_000_000);
                return Ok(false);
            }
            self.world.pass(ns);
            self.advance();
        }
        self.alive()?;
        Ok(true)
    }

    fn available(&mut self) -> Result<usize, Fault> {
        self.advance();
        self.alive()?;
        Ok(self.room())
    }

    fn delay(&mut self) -> Result<i64, Fault> {
        self.advance();
        self.alive()?;
        Ok(self.written as i64 - self.played as i64)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut most = usize::MAX;
        match self.due(|m| matches!(m, Mishap::Write(_) | Mishap::ShortWrite(_))) {
            Some(Mishap::Write(fault)) => return Err(fault),
            Some(Mishap::ShortWrite(frames)) => most = frames,
            _ => {}
        }
        self.advance();
        self.alive()?;
        let frames = (bytes.len() / 8).min(self.room()).min(most);
        if frames == 0 {
            return Err(Fault::Again);
        }
        for frame in bytes.as_chunks::<8>().0.iter().take(frames) {
            self.written += 1;
            let [a, b, c, d, ..] = *frame;
            // A frame written into the past is not heard.
            if self.written > self.played {
                self.samples.push_back(f32::from_le_bytes([a, b, c, d]));
            }
        }
        Ok(frames)
    }

    fn start(&mut self) -> Result<(), Fault> {
        self.alive()?;
        self.started_ns = Some(self.world.look().now_ns);
        self.played = 0;
        Ok(())
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        if let Some(errno) = self.dead {
            return Err(Fault::Gone(errno));
        }
        self.stopped = false;
        self.started_ns = None;
        self.written = 0;
        self.played = 0;
        self.samples.clear();
        Ok(())
    }

    fn resume(&mut self) -> Result<(), Fault> {
        match self.due(|m| matches!(m, Mishap::Resume(_))) {
            Some(Mishap::Resume(fault)) => Err(fault),
            _ => Ok(()),
        }
    }
}
