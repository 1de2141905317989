//! Operating system services: scheduling, memory, clocks, service notification, logging.
//!
//! - [`guard`]: marks threads that must not block, and detects when they do
//! - [`overseer`]: watches realtime workers, and abandons one that stops responding
//! - [`reach`]: the code that the audio thread can reach
//! - [`realtime`]: scheduling class, memory locks, denormals, with a report of what was refused
//! - [`seccomp`]: restricts the audio thread to its own system calls
//! - [`time`][]: clocks
//! - [`notify`]: notifications to systemd, and a watchdog fed by rendered frames only
//! - [`port`]: UDP ports shared with other programs
//! - [`keeper`]: small files that survive a power failure
//! - [`log`]: one line per event, with repeated lines counted
//! - `rubberband`: a GPL library, optional at build time
//! - [`net`]: errors and queues of UDP sockets
//! - [`spent`]: gives back memory that a library keeps and nobody reads
//! - [`usage`]: resources used by the process; [`sensors`]: state of the machine
//!
//! Apart from `output::alsa`, this is the only module that may contain unsafe code.

pub mod guard;
pub mod keeper;
pub mod log;
pub mod net;
pub mod notify;
pub mod overseer;
pub mod port;
pub mod reach;
pub mod realtime;
#[cfg(feature = "rubberband")]
pub mod rubberband;
pub mod seccomp;
pub mod sensors;
pub mod spent;
pub mod time;
pub mod usage;
