//! The demonstration set: two short pieces made by calculation, so that there
//! is something to play before anybody has brought a recording.
//!
//! Each piece is sixteen bars in four stems that loop without a seam. Deck A
//! is in D minor, deck B in F major: one scale, so the two may sound together.
//! Every number comes from here, so the stems are the same on every run. Over
//! deck A an instrument can play [`solo`].

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

/// Frames per second of everything here.
const RATE: f32 = 48_000.0;

/// One stem of the demonstration set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stem {
    /// The deck it belongs to, `'a'` or `'b'`.
    pub deck: char,
    /// What it holds; lower-case letters, unique within its deck.
    pub name: &'static str,
    /// Tempo in beats per minute, four beats to the bar; the deck's stems agree.
    pub bpm: f32,
}

/// All stems, deck A's four and then deck B's four.
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

/// Renders a stem as interleaved stereo (left, right) at 48 kHz, sixteen bars
/// that loop without a seam, peaks at -3 dBFS or below.
///
/// A stem that is not one of [`STEMS`] has no frames.
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
