//! Control of the tempo, or of any other parameter, by the movement of a dancing crowd.
//!
//! This module is independent of sockets, clocks and the engine: values and times (in seconds) go in, commands come
//! out.
//!
//! - [`value`]: interpretation and validation of sensor values
//! - [`curve`]: transfer curves from movement to tempo, or to any other parameter
//! - [`window`]: combines the messages of a time window into one value
//! - [`glide`]: glides from one tempo to another in a given time
//! - [`crowd`]: combines all of these

pub mod crowd;
pub mod curve;
pub mod glide;
pub mod value;
pub mod window;
