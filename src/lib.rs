//! grooved: a sound appliance's firmware as a library. This is the map of the house.
//!
//! There are two worlds. [`engine`] is the realtime one: a pure machine that turns commands and samples into the next
//! block, without I/O, locks or allocation. Everything else may block and fail: files ([`media`]), cards
//! ([`output`]), sockets ([`control`]), the operating system ([`system`]). Between them is one narrow door,
//! [`engine::door`]. [`daemon`] is the only place where all parts meet.
//!
//! [`remote`] is the other end of the wire: what the client program is made of.
//!
//! Imports point down: `daemon` → `control`, `output`, `media`, `system` → `stretch`, `ddsp` → `engine` → `dsp`. A test keeps them so.
//!
//! | thread | made in | runs |
//! |---|---|---|
//! | `audio`, SCHED_FIFO 70 | [`daemon::live`] | [`output::player::Player::run`], and through it the engine |
//! | `disk` | [`media::disk`] | fills the stems' rings |
//! | `loader` × 2 | [`media::loader`] | opens files, decodes heads |
//! | `device` | [`output::supervisor`] | opens, closes, looks for cards |
//! | `control` × 2 | [`daemon::live`] | the conductor, sockets, signals, the watchdog; frees what the engine retired |
//! | `voices`, SCHED_FIFO 45 | [`ddsp::worker`] | renders the instruments of the speakers |
//! | `luthier` | [`daemon::instruments`] | opens instruments |
//! | `midi` | [`control::midi`] | reads the ALSA sequencer |
//! | `dashboard` | [`control::dashboard`] | resolves a dashboard's name and tells it the tempo |
//! | `ports` | [`control::ports`] | looks whether another program has taken over an OSC port |
//! | `stream`, one per client | [`control::stream`] | renders what a client of the DDSP stream hears |
//! | `wav` | [`output::tap`] | writes what is tapped |
//!
//! Functions of the realtime world say `Realtime: yes` in their documentation: they may be called on the audio
//! thread. Everything else may not.

pub mod config;
pub mod control;
pub mod daemon;
pub mod ddsp;
pub mod demo;
pub mod dsp;
pub mod engine;
pub mod media;
pub mod movement;
pub mod output;
pub mod remote;
pub mod stretch;
pub mod system;

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: system::guard::GuardedAllocator = system::guard::GuardedAllocator;
