//! The demonstration set: two short synthesised pieces, so that there is something to play before any recordings have
//! been added.
//!
//! Each piece is sixteen bars long, in four stems that loop without a seam. Deck A is in D minor, deck B in F major:
//! they share one scale, so both may sound together. Everything is computed, so the stems are identical on every run.
//! An instrument can play [`solo`] over deck A.

mod drum;
mod envelope;
mod filter;
mod fx;
mod grid;
mod keys;
mod metal;
mod oscillator;
mod part;
mod piece_a;
mod piece_b;
mod pluck;
mod rng;
mod score_a;
mod score_b;
pub mod solo;
mod synth;
mod tape;
mod voice;

/// Sample rate of all sounds in this module, in Hz.
const RATE: f32 = 48_000.0;

/// One stem of the demonstration set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stem {
    /// The deck it belongs to, `'a'` or `'b'`.
    pub deck: char,
    /// Name of the instrument group; lower-case letters, unique within its deck.
    pub name: &'static str,
    /// Tempo in beats per minute, with four beats to the bar; the same for all stems of a deck.
    pub bpm: f32,
}

/// All stems: the four of deck A, then the four of deck B.
pub const STEMS: [Stem; 8] = [
    stem('a', "drums", piece_a::BPM),
    stem('a', "bass", piece_a::BPM),
    stem('a', "keys", piece_a::BPM),
    stem('a', "lead", piece_a::BPM),
    stem('b', "drums", piece_b::BPM),
    stem('b', "bass", piece_b::BPM),
    stem('b', "strings", piece_b::BPM),
    stem('b', "voice", piece_b::BPM),
];

const fn stem(deck: char, name: &'static str, bpm: f32) -> Stem {
    Stem { deck, name, bpm }
}

/// Renders a stem as interleaved stereo (left, right) at 48 kHz: sixteen bars that loop without a seam, with peaks at
/// -3 dBFS or below.
///
/// For a stem that is not one of [`STEMS`], the result is empty.
pub fn render(stem: &Stem) -> Vec<f32> {
    let tape = match (stem.deck, stem.name) {
        ('a', "drums") => piece_a::drums(),
        ('a', "bass") => piece_a::bass(),
        ('a', "keys") => piece_a::keys(),
        ('a', "lead") => piece_a::lead(),
        ('b', "drums") => piece_b::drums(),
        ('b', "bass") => piece_b::bass(),
        ('b', "strings") => piece_b::strings(),
        ('b', "voice") => piece_b::voice(),
        _ => return Vec::new(),
    };
    tape.interleaved()
}

#[cfg(test)]
mod tests;
