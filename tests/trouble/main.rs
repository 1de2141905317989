//! Files that real encoders, recorders, taggers and disks leave behind: counted to the frame, in their place, or refused
//! by name.
//!
//! `song.flac` is 1.2 s of music; the other songs are the same sound by LAME, twolame, oggenc and ffmpeg. What is wrong
//! with a file is done to one of them in the test itself, so that the truth is known.

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
