//! Movement: a dancing crowd sets the tempo, or any other control.
//!
//! Nothing here knows a socket, a clock or the engine: values and times (in seconds) go in, wishes come out.
//!
//! - [`value`]: what a sensor's number means, and which ones are nonsense
//! - [`curve`]: from movement to tempo, or to anything
//! - [`window`]: many messages, or few, made one value
//! - [`glide`]: from one tempo to another in the time that was asked for
//! - [`crowd`]: all of that together

pub mod crowd;
pub mod curve;
pub mod glide;
pub mod value;
pub mod window;
