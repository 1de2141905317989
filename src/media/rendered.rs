//! A genome's sound as a media file: it is decoded and played like a file while it is being rendered.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::file::{MediaFile, RenderedContent};
use crate::genome::{Address, Collection, Fault, NO_DATABASE, SAMPLE_RATE, Take};

/// How long the first frame may take: convolvers and wave shapers are evaluated before.
const FIRST_FRAME: Duration = Duration::from_secs(30);
/// Length of the header in bytes.
const HEADER: usize = 44;

/// The bytes of a WAV file (mono, 32-bit float) whose samples are rendered while they are read.
#[derive(Debug)]
struct RenderedWav {
    header: [u8; HEADER],
    take: Take,
    /// How long a read waits, in milliseconds.
    patience_ms: AtomicU64,
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
            let patience = Duration::from_millis(self.patience_ms.load(Relaxed));
            match self.take.wait(last, patience) {
                Ok(true) => {}
                Ok(false) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(fault) => return Err(io::Error::other(fault.to_string())),
            }
            let mut samples = vec![0.0; last - first];
            self.take.read(first, &mut samples);
            let bytes = samples.iter().flat_map(|s| s.to_le_bytes()).skip((at - HEADER) % 4);
            into[at - offset..end - offset].iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
        Ok(end - offset)
    }

    fn be_patient_for(&self, time: Duration) {
        self.patience_ms.store(time.as_millis() as u64, Relaxed);
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
    let genomes = genomes.ok_or_else(|| Fault::Request(NO_DATABASE.into()))?;
    let take = genomes.take(&address)?;
    // What is wrong with the genome is known before its first frame.
    if !take.wait(1, FIRST_FRAME)? {
        let seconds = FIRST_FRAME.as_secs();
        return Err(Fault::Request(format!("nothing of it was rendered within {seconds} s, or the database hangs")));
    }
    let (header, patience_ms) = (header(take.frames()), AtomicU64::new(u64::MAX));
    Ok(MediaFile::rendered(Box::new(RenderedWav { header, take, patience_ms }), Path::new(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::{Evaluation, Genome, Sound, render_whole};

    #[test]
    fn the_bytes_are_those_of_a_wav_file_and_a_hasty_reader_is_told_to_come_again() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/genomes/01KSFIX000.json.gz");
        let genome = Arc::new(Genome::from_bytes(&std::fs::read(path).unwrap()).unwrap());
        let sound = Sound { duration: 0.5, ..Sound::default() };
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let own = genome.clone();
        let find = move || {
            let _ = wait.recv();
            Ok(own)
        };
        let take = Take::start(find, sound, None).unwrap();
        let wav = RenderedWav { header: header(take.frames()), take, patience_ms: AtomicU64::new(u64::MAX) };
        let mut bytes = vec![0; wav.size() as usize];
        wav.be_patient_for(Duration::from_millis(1));
        assert_eq!(wav.read_at(&mut bytes[..HEADER], 0).unwrap(), HEADER, "the header is there at once");
        assert_eq!(wav.read_at(&mut bytes, 50).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(go);
        wav.be_patient_for(Duration::MAX);
        // In uneven pieces, and beyond the end.
        let mut at = 0;
        for size in [1, 45, 3, 70_001, 1 << 20].into_iter().cycle() {
            let end = (at + size).min(bytes.len());
            let read = wav.read_at(&mut bytes[at..end], at as u64).unwrap();
            at += read;
            if read == 0 {
                break;
            }
        }
        let whole = render_whole(&genome, sound, Evaluation::Lazy).unwrap();
        let (samples, _) = bytes[HEADER..].as_chunks::<4>();
        assert!(samples.iter().map(|b| f32::from_le_bytes(*b)).eq(whole));
        assert_eq!((&bytes[..4], u32::from_le_bytes(bytes[40..44].try_into().unwrap())), (&b"RIFF"[..], 24_000 * 4));
    }
}
