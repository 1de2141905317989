//! `grooved stretch`: a file at another tempo or in another key.

use std::path::Path;

use super::Failure;
use crate::media::decode::Decoder;
use crate::media::wav::{Depth, WavWriter};
use crate::stretch::offline::{self, Order};

/// Stretches the file `from` into the WAV file `to`. `progress` is told the share that is done, now and then.
pub fn stretch(from: &Path, to: &Path, order: &Order, mut progress: impl FnMut(f64)) -> Result<(), Failure> {
    let mut decoder = Decoder::open(from).map_err(|e| Failure::Usage(format!("file '{}' {e}", from.display())))?;
    let (rate, frames) = (decoder.info().sample_rate, decoder.info().frames);
    let io = |e: std::io::Error| Failure::Io(format!("{}: {e}", to.display()));
    let mut writer = WavWriter::create(to, 2, rate, Depth::Float).map_err(io)?;
    let mut interleaved = Vec::new();
    let mut source = |l: &mut [f32], r: &mut [f32]| {
        decoder.read(l, r).map_err(|e| Failure::Io(format!("file '{}' {e}", from.display())))
    };
    let mut sink = |l: &[f32], r: &[f32]| {
        interleaved.clear();
        interleaved.extend(l.iter().zip(r).flat_map(|(l, r)| [*l, *r]));
        writer.write(&interleaved).map_err(io)
    };
    let mut told = 0;
    let mut tell = |done: u64| {
        if done >= told + u64::from(rate) {
            told = done;
            progress(done as f64 / frames.max(1) as f64);
        }
    };
    offline::stretch(order, rate, &mut source, &mut sink, &mut tell)?;
    writer.finish().map_err(io)
}
