//! The interface between the realtime world and everything else.
//!
//! Commands go in through one ring; events and retired objects come out through two others; values of which only the
//! current one matters (positions, meters, counters) are in [`Telemetry`], written with plain stores. Neither side ever
//! waits for the other.

use super::ring::ring;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd};

use super::DECKS;
use super::command::{Command, Event, Retired};
use super::meter::MeterCell;

/// Placeholder for the first frame of a period while the period is being written.
pub(super) const NO_FRAME: u64 = u64::MAX;

/// Capacity for commands between two blocks.
pub const COMMANDS: usize = 4096;
const EVENTS: usize = 8192;

/// The engine's side of the door.
pub struct EngineDoor {
    pub(super) commands: HeapCons<Command>,
    pub(super) events: HeapProd<Event>,
    pub(super) retired: HeapProd<Retired>,
    pub(super) telemetry: Arc<Telemetry>,
}

/// The control side of the door, owned by the thread that controls the engine.
pub struct ControlDoor {
    commands: HeapProd<Command>,
    events: HeapCons<Event>,
    retired: HeapCons<Retired>,
    /// The engine's published state.
    pub telemetry: Arc<Telemetry>,
}

/// Creates a door for an engine with `slots` stem slots and `channels` output channels.
pub fn door(slots: usize, channels: usize) -> (EngineDoor, ControlDoor) {
    let (command_tx, command_rx) = ring(COMMANDS).split();
    let (event_tx, event_rx) = ring(EVENTS).split();
    // All stems, and as many refused ones.
    let (retired_tx, retired_rx) = ring(2 * slots + 16).split();
    let telemetry = Arc::new(Telemetry::new(slots, channels));
    (
        EngineDoor { commands: command_rx, events: event_tx, retired: retired_tx, telemetry: telemetry.clone() },
        ControlDoor { commands: command_tx, events: event_rx, retired: retired_rx, telemetry },
    )
}

impl ControlDoor {
    /// Sends commands; all that fit arrive together, in one block. Returns those that did not fit.
    pub fn send(&mut self, commands: Vec<Command>) -> Vec<Command> {
        let mut rest = commands.into_iter();
        self.commands.push_iter(&mut rest);
        rest.collect()
    }

    /// Returns the number of commands that can be sent.
    pub fn room(&self) -> usize {
        self.commands.vacant_len()
    }

    /// Returns the next event.
    pub fn event(&mut self) -> Option<Event> {
        self.events.try_pop()
    }

    /// Returns the next object to be freed.
    pub fn retired(&mut self) -> Option<Retired> {
        self.retired.try_pop()
    }
}

/// The current state of a stem.
#[derive(Debug, Default)]
pub struct StemCell {
    pub(super) playing: AtomicBool,
    pub(super) position: AtomicU64,
}

impl StemCell {
    /// Returns whether the stem sounds, or will as soon as it can.
    pub fn is_playing(&self) -> bool {
        self.playing.load(Relaxed)
    }

    /// Returns the position being rendered, in frames of the file.
    pub fn position_frames(&self) -> f64 {
        f64::from_bits(self.position.load(Relaxed))
    }
}

/// The engine's current state: written by the audio thread once per block, readable from any thread.
#[derive(Debug)]
pub struct Telemetry {
    pub(super) time: AtomicU64,
    pub(super) bpm: AtomicU64,
    pub(super) beat: AtomicU64,
    pub(super) bpm_slope: AtomicU64,
    pub(super) glide_left: AtomicU64,
    pub(super) lost_events: AtomicU64,
    pub(super) starved: AtomicU64,
    pub(super) period_from: AtomicU64,
    pub(super) period_ns: AtomicU64,
    /// Stems, by slot.
    pub stems: Box<[StemCell]>,
    /// Meters by deck, both channels together.
    pub decks: [MeterCell; DECKS],
    /// Meters by output channel.
    pub outputs: Box<[MeterCell]>,
}

impl Telemetry {
    fn new(slots: usize, channels: usize) -> Telemetry {
        Telemetry {
            time: AtomicU64::new(0),
            bpm: AtomicU64::new(0),
            beat: AtomicU64::new(0),
            bpm_slope: AtomicU64::new(0),
            glide_left: AtomicU64::new(0),
            lost_events: AtomicU64::new(0),
            starved: AtomicU64::new(0),
            period_from: AtomicU64::new(0),
            period_ns: AtomicU64::new(0),
            stems: (0..slots).map(|_| StemCell::default()).collect(),
            decks: Default::default(),
            outputs: (0..channels).map(|_| MeterCell::default()).collect(),
        }
    }

    /// Returns the sample time: frames rendered and frames lost since the start.
    pub fn time(&self) -> u64 {
        self.time.load(Relaxed)
    }

    /// Returns the first frame of the latest period and the time its rendering began, in nanoseconds on the renderer's
    /// clock. Realtime: no; it waits if the audio thread is just writing.
    pub fn period(&self) -> (u64, u64) {
        loop {
            let from = self.period_from.load(Acquire);
            let ns = self.period_ns.load(Acquire);
            // Both values belong to one period: `from` is [`NO_FRAME`] while they are written, which takes nanoseconds.
            if from != NO_FRAME && from == self.period_from.load(Acquire) {
                return (from, ns);
            }
            std::hint::spin_loop();
        }
    }

    /// Returns the tempo in beats per minute.
    pub fn bpm(&self) -> f64 {
        f64::from_bits(self.bpm.load(Relaxed))
    }

    /// Returns the tempo's rate of change in BPM per frame, and the number of frames for which it still applies.
    pub fn bpm_slope(&self) -> (f64, u64) {
        (f64::from_bits(self.bpm_slope.load(Relaxed)), self.glide_left.load(Relaxed))
    }

    /// Returns the beats since the last reset.
    pub fn beat(&self) -> f64 {
        f64::from_bits(self.beat.load(Relaxed))
    }

    /// Returns the number of events dropped because the ring was full.
    pub fn lost_events(&self) -> u64 {
        self.lost_events.load(Relaxed)
    }

    /// Returns the number of times a stem's ring ran dry.
    pub fn starved(&self) -> u64 {
        self.starved.load(Relaxed)
    }
}
