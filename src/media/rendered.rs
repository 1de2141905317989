//! A genome's sound as a media file: it is decoded and played like a file while it is being rendered.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::file::{MediaFile, RenderedContent};
use crate::genome::{Address, Collection, Fault, SAMPLE_RATE, Take};

/// Length of the header in bytes.
const HEADER: usize = 44;

/// The bytes of a WAV file (mono, 32-bit float) whose samples are rendered while they are read.
#[derive(Debug)]
struct RenderedWav {
    header: [u8; HEADER],
    take: Take,
}

impl RenderedContent for RenderedWav {
    fn size(&self) -> u64 {
        (HEADER + self.take.bytes()) as u64
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let length = self.size();
        let end = offset.saturating_add(into.len() as u64).min(length);
        if offset >= end {
            return Ok(0);
        }
        let (offset, end) = (offset as usize, end as usize);
        let mut at = offset;
        if at < HEADER {
            let to = end.min(HEADER);
            into[..to - at].copy_from_slice(&self.header[at..to]);
            at = to;
        }
        if at < end {
            let (first, last) = ((at - HEADER) / 4, (end - HEADER).div_ceil(4));
            self.take.wait(last).map_err(|fault| io::Error::other(fault.to_string()))?;
            let mut samples = vec![0.0; last - first];
            self.take.read(first, &mut samples);
            let bytes = samples.iter().flat_map(|s| s.to_le_bytes()).skip((at - HEADER) % 4);
            into[at - offset..end - offset].iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
        Ok(end - offset)
    }
}

fn header(frames: usize) -> [u8; HEADER] {
    let data = frames as u32 * 4;
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &(data + HEADER as u32 - 8).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &3u16.to_le_bytes(),
        &1u16.to_le_bytes(),
        &SAMPLE_RATE.to_le_bytes(),
        &(SAMPLE_RATE * 4).to_le_bytes(),
        &4u16.to_le_bytes(),
        &32u16.to_le_bytes(),
        b"data",
        &data.to_le_bytes(),
    ];
    let mut header = [0; HEADER];
    let bytes = fields.iter().flat_map(|field| field.iter());
    header.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    header
}

/// Starts the render that a name such as `genome:ID?duration=8` stands for. The sound stays in memory as long as the
/// file is open; closing it stops the render.
///
/// # Errors
/// If the name is not valid, the sound is too long, no database is configured, or the render cannot begin.
pub fn open(name: &str, genomes: Option<&Arc<Collection>>) -> Result<Arc<MediaFile>, Fault> {
    let address = Address::parse(name)?;
    let genomes =
        genomes.ok_or_else(|| Fault::Request("no database of genomes is configured (genomes.database)".into()))?;
    let take = genomes.take(&address)?;
    // What is wrong with the genome is known before its first frame.
    take.wait(1)?;
    let header = header(take.frames());
    Ok(MediaFile::rendered(Box::new(RenderedWav { header, take }), Path::new(name)))
}
