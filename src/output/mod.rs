//! Where blocks go: a sound card, the silent clock, a file; and what keeps them going when the hardware does not.
//!
//! - [`pcm`]: what the player needs from a card, as a trait, and the kinds of trouble a card can be in
//! - [`alsa`]: the real one
//! - [`fake`]: a scripted one, on which every recovery path runs in every test
//! - [`player`]: the audio thread's loop
//! - [`report`]: what it counts and shows
//! - [`convert`]: from planes of floats to what a card eats
//! - [`supervisor`]: opens, closes, and looks for cards, so that the audio thread never has to
//! - [`devices`]: which cards there are
//! - [`tap`]: writes what is heard to a WAV file
//! - [`offline`]: rendering as fast as it goes

pub mod alsa;
pub mod convert;
pub mod devices;
pub mod fake;
pub mod offline;
pub mod pcm;
pub mod player;
#[cfg(test)]
mod player_tests;
pub mod report;
pub mod supervisor;
pub mod tap;
