//! Files: finding them, decoding them, and feeding them to the engine.
//!
//! - [`library`]: which files may be reached, and what a client meant by a path
//! - [`decode`]: any supported file as stereo frames, from any frame on
//! - [`file`]: an open file, shared by everything that reads it
//! - [`grid`]: where a track's beats are
//! - [`loader`]: turns a file into a stem the engine can play
//! - [`disk`]: keeps the streams of all loaded stems filled
//! - [`stems`]: the tracks of a file that holds several
//! - [`recorder`]: writes recordings, and repairs those a crash cut off
//! - [`wav`]: the files it writes

pub mod decode;
pub mod disk;
pub mod file;
pub mod grid;
pub mod library;
pub mod loader;
pub mod recorder;
pub mod stems;
pub mod wav;
