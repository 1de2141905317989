//! What the daemon needs from the operating system: scheduling, memory, clocks, notification, logs.
//!
//! - [`guard`]: the mark of a thread that may not block, and what happens when it does
//! - [`overseer`]: watches realtime workers, and abandons one that stops responding
//! - [`reach`]: which code the audio thread can reach
//! - [`realtime`]: scheduling class, memory locks, denormals, and what was refused
//! - [`seccomp`]: a filter that lets the audio thread make no other system calls than its own
//! - [`time`][]: clocks
//! - [`notify`]: systemd, and the watchdog that is fed by sound alone
//! - [`port`]: UDP ports that other programs keep, or get
//! - [`keeper`]: small files that survive a pulled plug
//! - [`log`]: one line per event, repeated ones counted
//! - `rubberband`: a GPL library, for those who build it in
//! - [`net`]: what a UDP socket tells about its peers
//! - [`usage`]: what the process uses; [`sensors`]: how the machine is
//!
//! Together with `output::alsa` this is the only room that may hold unsafe code.

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
pub mod time;
pub mod usage;
