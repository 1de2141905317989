//! Files: finding them, decoding them, and feeding them to the engine.
//!
//! - [`library`]: what a client means by a path; [`root`]: opening files in a media root, and nowhere else
//! - [`decode`]: any supported file as stereo frames, from any frame on
//! - [`mod@file`]: an open file, shared by everything that reads it
//! - [`grid`]: where a track's beats are
//! - [`loader`]: turns a file into a stem the engine can play; [`pool`]: on threads that may hang with their disks
//! - [`feed`]: a stem's streams and their decoders; [`disk`]: keeps those of all stems filled
//! - [`stems`]: the tracks of a file that holds several
//! - [`recorder`]: writes recordings, and repairs those a crash cut off
//! - [`wav`]: the files it writes

pub mod decode;
pub mod disk;
pub mod feed;
pub mod file;
pub mod grid;
pub mod library;
pub mod loader;
pub mod pool;
pub mod recorder;
pub mod root;
pub mod stems;
pub mod wav;
