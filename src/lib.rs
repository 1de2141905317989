//! grooved: the firmware of a sound appliance, as a library.
//!
//! There are two worlds. [`engine`] is the realtime core: it turns commands and samples into the next block of sound,
//! without I/O, locks or allocation. Everything else may block and fail: files ([`media`]), cards ([`output`]), sockets
//! ([`control`]), the operating system ([`system`]). Between them there is a single interface, [`engine::door`].
//! [`daemon`] is the only module that connects all parts.
//!
//! With the feature `ddsp` alone (without `daemon`), the crate consists of the instruments in [`ddsp`].
//!
//! [`remote`] contains the parts of the client program, which controls a running daemon.
//!
//! [`sections`] cuts tracks into parts ahead of time; [`sets`] are tables of such parts, and [`plans`] remixes in sections,
//! which the daemon plays.
//!
//! Imports point down: `daemon` → `control`, `output`, `plans`, `sets`, `sections`, `media`, `system` → `stretch`,
//! `ddsp` → `engine` → `dsp`. A test
//! (`tests/house.rs`) enforces this.
//!
//! | thread | started in | task |
//! |---|---|---|
//! | `audio`, SCHED_FIFO 70 | [`daemon::live`] | [`output::player::Player::run`], and through it the engine |
//! | `overseer`, SCHED_FIFO 48 | [`system::overseer`] | demotes or abandons realtime workers that stop responding |
//! | `voices`, SCHED_FIFO 45 | [`ddsp::worker`] | renders the voices of the instruments |
//! | `stretch`, SCHED_FIFO 40 | [`stretch::worker`] | stretches ahead of time with high quality |
//! | `disk` | [`media::disk`] | schedules the readers |
//! | `reader`, one per stem | [`media::disk`] | fills a stem's rings |
//! | `loads` | [`media::pool`] | supervises the loaders |
//! | `loader`, one per load | [`media::pool`] | opens a file and decodes its head |
//! | `lookup`, one per media root | [`media::pool`] | resolves paths in a media root |
//! | `recorder` | [`media::recorder`] | writes recordings |
//! | `device` | [`output::supervisor`] | opens, closes and searches for cards |
//! | `wav` | [`output::tap`] | writes the output to a WAV file |
//! | `control` × 2 | [`daemon::live`] | the conductor, sockets, signals; frees what the engine retired |
//! | `watchdog` | [`daemon::live`] | notifies the service manager's watchdog |
//! | `reload`, temporary | [`daemon::live`] | reads the configuration again |
//! | `instruments` | [`daemon::instruments`] | opens instruments |
//! | `midi` | [`control::faces::midi`] | reads the ALSA sequencer |
//! | `dashboard` | [`control::faces::dashboard`] | resolves a dashboard's name and sends it the tempo |
//! | `ports` | [`control::faces::osc::ports`] | detects when another program takes over an OSC port |
//! | `stream`, one per client | [`control::faces::ddsp`] | renders the sound of a client of the DDSP stream |
//! | `genome`, one per render | [`control::faces::renders`], [`genome`] | renders a genome for a client of the render socket, as a stem, or as a note |
//! | `notes` | [`ddsp`] | starts the renders of genomes' notes |
//! | `evolution` | [`daemon`] | chooses, breeds and renders the genomes that are presented |
//! | `genome-ahead`, up to 3 per render | [`genome`] | evaluates a genome's network ahead of the render |
//! | `keeper` | [`system::keeper`] | reads and writes the files of the saved state |
//! | `interrupt` | [`daemon`] | waits for Ctrl-C in commands that end in an orderly way |
//! | `set`, `plan`, one per file | [`daemon::reader`] | reads the table of a set, or a plan |
//! | `run-plan`, `plan link`, `console`, `screen` | [`daemon::run_plan`] | drives the engine, receives its answers, reads commands |
//!
//! Functions of the realtime world are marked `Realtime: yes` in their documentation: they may be called on the audio
//! thread. All others may not.

#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod control;
#[cfg(feature = "daemon")]
pub mod daemon;
pub mod ddsp;
#[cfg(feature = "daemon")]
pub mod demo;
#[cfg(feature = "daemon")]
pub mod dsp;
#[cfg(feature = "daemon")]
pub mod engine;
#[cfg(feature = "daemon")]
pub mod genome;
#[cfg(feature = "daemon")]
pub mod media;
#[cfg(feature = "daemon")]
pub mod movement;
#[cfg(feature = "daemon")]
pub mod output;
#[cfg(feature = "daemon")]
pub mod plans;
#[cfg(feature = "daemon")]
pub mod remote;
#[cfg(feature = "daemon")]
pub mod sections;
#[cfg(feature = "daemon")]
pub mod sets;
#[cfg(feature = "daemon")]
pub mod stretch;
#[cfg(feature = "daemon")]
pub mod system;

#[cfg(all(test, feature = "daemon"))]
#[global_allocator]
static ALLOCATOR: system::guard::GuardedAllocator = system::guard::GuardedAllocator;
