//! Files as left by real encoders, recorders, taggers and disks: decoded with exact length and timing, or rejected
//! with a reason.
//!
//! `song.flac` is 1.2 s of music; the other songs are the same sound encoded by LAME, twolame, oggenc and ffmpeg. Each
//! test damages one of them itself, so that the expected result is known.

mod bytes;
mod check;
mod flac;
mod hostile;
mod kinds;
mod long;
mod loops;
mod mp3;
mod mp4;
mod ogg;
mod sound;
mod wav;
