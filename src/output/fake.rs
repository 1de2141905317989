//! A card that follows a script, in a time of its own: every recovery path runs in every test.
//!
//! It has a clock, a buffer that empties at its rate, and a list of what is to go wrong and when. Everything written
//! is kept, so a test can look at what would have been heard, frame by frame.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use super::convert::SampleFormat;
use super::pcm::{Fault, Pcm, PcmSetup, Timer};

/// What goes wrong, and at which call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mishap {
    /// The next wait fails like this.
    Wait(Fault),
    /// The next wait ends without room.
    WaitForNothing,
    /// The next write fails like this.
    Write(Fault),
    /// The next write takes only so many frames.
    ShortWrite(usize),
    /// The next resume fails like this.
    Resume(Fault),
    /// From now on everything fails: the plug is pulled.
    Unplug(i32),
}

/// The world of a test: time, and what its cards played.
#[derive(Debug, Default)]
pub struct World {
    /// Nanoseconds.
    pub now_ns: u64,
    /// Things that go wrong once the clock has reached them.
    pub script: VecDeque<(u64, Mishap)>,
    /// What left the converter: (frame of the world's clock since zero, left sample).
    pub heard: Vec<(u64, f32)>,
    /// Thread stalls: at this time, the next sleep or wait lasts this much longer.
    pub stalls: VecDeque<(u64, u64)>,
}

/// A handle to a world.
#[derive(Clone, Debug, Default)]
pub struct FakeWorld(Arc<Mutex<World>>);

impl FakeWorld {
    /// Looks into the world.
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

/// See the module's text. Float samples, two channels.
#[derive(Debug)]
pub struct FakePcm {
    world: FakeWorld,
    setup: PcmSetup,
    /// How its clock deviates: played frames per true frame.
    speed: f64,
    /// When it was started.
    started_ns: Option<u64>,
    /// Frames written since it was prepared.
    written: u64,
    samples: VecDeque<f32>,
    /// Frames that left the converter since the start.
    played: u64,
    dead: Option<i32>,
    stopped: bool,
    /// Takes everything at once, like ALSA's `null`.
    swallows: bool,
}

impl FakePcm {
    /// A card of `rate` frames per second.
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

    /// Lets its clock deviate by `ppm`.
    pub fn drifting(mut self, ppm: f64) -> FakePcm {
        self.speed = 1.0 + ppm * 1e-6;
        self
    }

    /// Lets it take everything at once.
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

    /// Lets the converter play up to now.
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
