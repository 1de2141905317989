//! Rendering faster than real time, with the same engine.

use std::io;

use crate::engine::{Block, Engine, GRID};
use crate::media::wav::WavWriter;

/// Renders frames one quantum at a time, starting at sample time 0: what the limiter outputs before that is left out.
///
/// `frames` returns their number, which may shrink while they are rendered. Before each quantum, `pump` is called with
/// the engine's time and does the work of everything that otherwise has its own thread (the disk, the conductor), so
/// that the result depends only on the input. `sink` receives each quantum and the index of its first valid frame.
pub fn render(
    engine: &mut Engine,
    frames: impl Fn() -> u64,
    mut pump: impl FnMut(u64),
    mut sink: impl FnMut(&Block, usize) -> io::Result<()>,
) -> io::Result<()> {
    let mut block = Block::new(engine.channels(), GRID);
    let early = engine.latency() as u64;
    let mut done = 0;
    while done < early + frames() {
        pump(engine.time());
        block.set_frames((early + frames()).saturating_sub(done).clamp(1, GRID as u64) as usize);
        engine.render(&mut block);
        let first = early.saturating_sub(done).min(block.frames() as u64) as usize;
        sink(&block, first)?;
        done += block.frames() as u64;
    }
    Ok(())
}

/// Returns a sink that writes the first output pair to a WAV file.
pub fn to_wav(writer: &mut WavWriter) -> impl FnMut(&Block, usize) -> io::Result<()> {
    let mut frame = Vec::with_capacity(2 * GRID);
    move |block, first| {
        frame.clear();
        let planes = block.channel(0).iter().zip(block.channel(1));
        frame.extend(planes.skip(first).flat_map(|(l, r)| [*l, *r]));
        writer.write(&frame)
    }
}
