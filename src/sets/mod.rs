//! Sets: tables of parts (CSV) that are played one after another, each mixed into the next.
//!
//! - [`track`]: the set, and the tracks it consists of
//! - [`mix`]: how they are mixed
//! - [`order`]: the order in which the tracks are played
//! - [`timetable`]: when each of them is loaded, begins and ends, and the playlist that says so
//!
//! Nothing here reads files, sends messages or knows the engine.

pub mod arrangement;
pub mod mix;
pub mod order;
pub mod timetable;
pub mod track;

#[cfg(test)]
mod runs;
