//! Rendering as fast as it goes: the same engine, with nobody waiting for it.

use std::io;

use crate::engine::{Block, Engine, GRID};
use crate::media::wav::WavWriter;

/// Renders frames one quantum at a time, from sample time 0 on: what the limiter hands out before that is left out.
/// Before each quantum, `pump` lets everything that would have its own thread live (the disk, the conductor) do its
/// work, so that the result depends on nothing but the input. `sink` gets each quantum, and its first frame that counts.
pub fn render(
    engine: &mut Engine,
    frames: u64,
    mut pump: impl FnMut(u64),
    mut sink: impl FnMut(&Block, usize) -> io::Result<()>,
) -> io::Result<()> {
    let mut block = Block::new(engine.channels(), GRID);
    let early = engine.latency() as u64;
    let mut done = 0;
    while done < early + frames {
        pump(engine.time());
        block.set_frames((early + frames - done).min(GRID as u64) as usize);
        engine.render(&mut block);
        let first = early.saturating_sub(done).min(block.frames() as u64) as usize;
        sink(&block, first)?;
        done += block.frames() as u64;
    }
    Ok(())
}

/// A sink that writes the first pair to a WAV file.
pub fn to_wav(writer: &mut WavWriter) -> impl FnMut(&Block, usize) -> io::Result<()> {
    let mut frame = Vec::with_capacity(2 * GRID);
    move |block, first| {
        frame.clear();
        let planes = block.channel(0).iter().zip(block.channel(1));
        frame.extend(planes.skip(first).flat_map(|(l, r)| [*l, *r]));
        writer.write(&frame)
    }
}
