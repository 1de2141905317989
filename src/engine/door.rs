//! The narrow door between the realtime world and everything else.
//!
//! Commands go in through one ring; events and retired objects come out through two others; what is only of interest
//! as it is *now* (positions, meters, counters) lies in [`Telemetry`], written with plain stores. Nobody ever waits
//! for the other side.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use super::DECKS;
use super::command::{Command, Event, Retired};
use super::meter::MeterCell;

/// Stands for the first frame of a period while that is being written.
pub(super) const NO_FRAME: u64 = u64::MAX;

/// Room for commands between two blocks.
pub const COMMANDS: usize = 4096;
const EVENTS: usize = 8192;

/// The engine's side of the door.
pub struct EngineDoor {
    pub(super) commands: HeapCons<Command>,
    pub(super) events: HeapProd<Event>,
    pub(super) retired: HeapProd<Retired>,
    pub(super) telemetry: Arc<Telemetry>,
}

/// The other side: owned by whoever talks to the engine.
pub struct ControlDoor {
    commands: HeapProd<Command>,
    events: HeapCons<Event>,
    retired: HeapCons<Retired>,
    /// What the engine shows of itself.
    pub telemetry: Arc<Telemetry>,
}

/// Makes a door for an engine with `slots` stem slots and `channels` output channels.
pub fn door(slots: usize, channels: usize) -> (EngineDoor, ControlDoor) {
    let (command_tx, command_rx) = ring(COMMANDS).split();
    let (event_tx, event_rx) = ring(EVENTS).split();
    // Every stem there can be, and as many refused ones.
    let (retired_tx, retired_rx) = ring(2 * slots + 16).split();
    let telemetry = Arc::new(Telemetry::new(slots, channels));
    (
        EngineDoor { commands: command_rx, events: event_tx, retired: retired_tx, telemetry: telemetry.clone() },
        ControlDoor { commands: command_tx, events: event_rx, retired: retired_rx, telemetry },
    )
}

/// A ring all of whose pages exist: otherwise the audio thread would fault them in, one by one, as it first gets to
/// them.
pub(super) fn ring<T>(capacity: usize) -> HeapRb<T> {
    let mut ring = HeapRb::new(capacity);
    let (first, second) = ring.vacant_slices_mut();
    for place in first.iter_mut().chain(second) {
        *place = std::hint::black_box(MaybeUninit::zeroed());
    }
    ring
}

impl ControlDoor {
    /// Sends commands; all that fit arrive together, in one block. Returns those that did not fit.
    pub fn send(&mut self, commands: Vec<Command>) -> Vec<Command> {
        let mut rest = commands.into_iter();
        self.commands.push_iter(&mut rest);
        rest.collect()
    }

    /// Room for commands.
    pub fn room(&self) -> usize {
        self.commands.vacant_len()
    }

    /// The next event.
    pub fn event(&mut self) -> Option<Event> {
        self.events.try_pop()
    }

    /// The next object to be freed.
    pub fn retired(&mut self) -> Option<Retired> {
        self.retired.try_pop()
    }
}

/// A stem as it is now.
#[derive(Debug, Default)]
pub struct StemCell {
    pub(super) playing: AtomicBool,
    pub(super) position: AtomicU64,
}

impl StemCell {
    /// Whether it sounds, or will as soon as it can.
    pub fn is_playing(&self) -> bool {
        self.playing.load(Relaxed)
    }

    /// The frame of the file that is being rendered.
    pub fn position_frames(&self) -> f64 {
        f64::from_bits(self.position.load(Relaxed))
    }
}

/// The engine as it is now: written by the audio thread once per block, read by anyone.
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
    /// By slot.
    pub stems: Box<[StemCell]>,
    /// By deck, both channels together.
    pub decks: [MeterCell; DECKS],
    /// By output channel.
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

    /// Sample time: frames rendered, and frames lost, since the start.
    pub fn time(&self) -> u64 {
        self.time.load(Relaxed)
    }

    /// The first frame of the latest period, and when its rendering began, on the clock of whoever renders. Realtime:
    /// no; it waits for the audio thread if that is just writing.
    pub fn period(&self) -> (u64, u64) {
        loop {
            let from = self.period_from.load(Acquire);
            let ns = self.period_ns.load(Acquire);
            // Both of one period: it is being written while `from` is none. That takes no time worth speaking of.
            if from != NO_FRAME && from == self.period_from.load(Acquire) {
                return (from, ns);
            }
            std::hint::spin_loop();
        }
    }

    /// Tempo in beats per minute.
    pub fn bpm(&self) -> f64 {
        f64::from_bits(self.bpm.load(Relaxed))
    }

    /// How fast the tempo changes, in beats per minute and frame, and for how many frames yet.
    pub fn bpm_slope(&self) -> (f64, u64) {
        (f64::from_bits(self.bpm_slope.load(Relaxed)), self.glide_left.load(Relaxed))
    }

    /// Beats since the last reset.
    pub fn beat(&self) -> f64 {
        f64::from_bits(self.beat.load(Relaxed))
    }

    /// Events that found no room.
    pub fn lost_events(&self) -> u64 {
        self.lost_events.load(Relaxed)
    }

    /// How often a stem's ring ran dry.
    pub fn starved(&self) -> u64 {
        self.starved.load(Relaxed)
    }
}
