//! Media files: finding them, decoding them, and feeding them to the engine.
//!
//! - [`library`]: resolves the paths that clients send; [`root`]: opens files in a media root, and nowhere else
//! - [`decode`]: decodes any supported file to stereo frames, from any frame on
//! - [`mod@file`]: an open file, shared by all its readers
//! - [`rendered`]: sounds of genomes, played while they are rendered
//! - [`grid`]: the beat grid of a track
//! - [`loader`]: turns a file into a stem the engine can play; [`pool`]: does so on threads that may hang with their
//!   disks
//! - [`feed`]: the streams of a stem and their decoders; [`disk`]: keeps those of all stems filled
//! - [`stems`]: the tracks of a multi-track file
//! - [`recorder`]: writes recordings, and repairs those that a crash interrupted
//! - [`wav`]: writes WAV files

pub mod decode;
pub mod disk;
pub mod feed;
pub mod file;
pub mod grid;
pub mod library;
pub mod loader;
pub mod pool;
pub mod recorder;
pub mod rendered;
pub mod root;
pub mod stems;
pub mod wav;
