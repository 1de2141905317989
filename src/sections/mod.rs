//! Cuts mixable sections out of analysed tracks and brings them to one tempo.
//!
//! - [`structure`]: analyses of tracks (JSON); [`rekordbox`]: a collection's tempos, grids, keys and cue points
//! - [`key`]: musical keys in every notation; [`source`]: tags of sounds
//! - [`cues`]: choice of the part of a track; [`select`]: choice of the tracks
//! - [`lookup`]: where the sound of a track lies
//! - [`export`]: exports the parts on several threads; [`part`]: makes one of them; [`tags`], [`flac`]: what is written
//! - [`record`]: the file beside a part; [`table`]: the table of all parts; [`csv`]: records of tables; [`number`]: numbers as text

pub mod csv;
pub mod cues;
pub mod export;
pub mod flac;
pub mod key;
pub mod lookup;
pub mod number;
pub mod part;
pub mod record;
pub mod rekordbox;
pub mod select;
pub mod source;
pub mod structure;
pub mod table;
pub mod tags;
