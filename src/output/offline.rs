//! Rendering as fast as it goes: the same engine, with nobody waiting for it.

use std::io;

use crate::engine::{Block, Engine, GRID};
use crate::media::wav::WavWriter;

/// Renders frames one quantum at a time. Before each, `pump` lets everything that would have its own thread live
/// (the disk, the conductor) do its work, so that the result depends on nothing but the input.
pub fn render(
    engine: &mut Engine,
    frames: u64,
    mut pump: impl FnMut(u64),
    mut sink: impl FnMut(&Block) -> io::Result<()>,
) -> io::Result<()> {
    let mut block = Block::new(engine.channels(), GRID);
    let mut done = 0;
    while done < frames {
        pump(engine.time());
        block.set_frames((frames - done).min(GRID as u64) as usize);
        engine.render(&mut block);
        sink(&block)?;
        done += block.frames() as u64;
    }
    Ok(())
}

/// A sink that writes the first pair to a WAV file.
pub fn to_wav(writer: &mut WavWriter) -> impl FnMut(&Block) -> io::Result<()> {
    let mut frame = Vec::with_capacity(2 * GRID);
    move |block| {
        frame.clear();
        frame.extend(block.channel(0).iter().zip(block.channel(1)).flat_map(|(l, r)| [*l, *r]));
        writer.write(&frame)
    }
}
