//! Where blocks go (a sound card, the silent clock, a file) and how output continues when the hardware fails.
//!
//! - [`pcm`]: the card as the player sees it, as a trait, and the faults a card can have
//! - [`alsa`]: the real card
//! - [`fake`]: a scripted card, on which every recovery path runs in every test
//! - [`player`]: the audio thread's loop
//! - [`report`]: its counters and state
//! - [`convert`]: from planes of floats to a card's sample format
//! - [`supervisor`]: opens, closes and searches for cards, so that the audio thread never has to
//! - [`devices`]: lists and selects cards
//! - [`tap`]: writes the output to a WAV file
//! - [`offline`]: rendering faster than real time

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
