//! Evolved sounds: genomes, each a pattern-producing network and an audio graph, rendered while they are listened to.
//!
//! - `read`: from bytes to a [`Genome`]; `patch`: its audio graph; `network`: its networks, compiled
//! - `sound`: what of a genome is rendered; `signal`: what an output of the network feeds into a place of the graph
//! - `graph`: builds the audio graph; `worklet`: nodes that evaluate signals while it plays; `render`: runs it
//! - `ahead`: evaluates signals ahead of the graph, on other threads
//! - `course`: whether a render goes on; `take`: a sound that is played while it is rendered
//! - `store`: the database; `collection`: that of the configuration; `address`: names of sounds
//! - `fault`: what is wrong with a genome
//! - `evolve`: mutation, crossover, selection; `population`: generations, with their ancestry in the database
//! - `trig`: sine and cosine that round as in the older service

mod address;
mod ahead;
mod collection;
mod course;
pub mod evolve;
mod fault;
mod graph;
mod network;
mod patch;
pub mod population;
mod read;
mod render;
mod signal;
mod sound;
mod store;
mod take;
mod trig;
mod worklet;

pub use address::{Address, SCHEME, is_address};
pub use collection::{Collection, NO_DATABASE};
pub use fault::Fault;
pub use patch::{Noise, Yield};
pub use read::Genome;
pub use render::{STACK, normalise, render, render_unless, render_whole};
pub use sound::{Evaluation, MAX_DURATION, Pitch, SAMPLE_RATE, Sound};
pub use store::{Entry, Store, import};
pub use take::{Pace, Take};
