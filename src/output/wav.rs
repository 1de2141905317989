//! WAV files of 32-bit floats or 16-bit integers, and the tap that writes what is heard to one.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use ringbuf::traits::{Consumer, Split};
use ringbuf::{HeapProd, HeapRb};

/// Seconds the tap's ring holds: as long may the disk take for a nap.
const RING_SECONDS: usize = 4;
const HEADER: u64 = 58;

/// How samples are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// 32-bit floats: what was rendered, bit for bit.
    Float,
    /// 16-bit integers.
    Sixteen,
}

impl Depth {
    fn bytes(self) -> u16 {
        match self {
            Depth::Float => 4,
            Depth::Sixteen => 2,
        }
    }
}

/// Writes interleaved samples to a WAV file, true header last.
pub struct WavWriter {
    file: BufWriter<File>,
    channels: u16,
    rate: u32,
    depth: Depth,
    samples: u64,
}

impl WavWriter {
    /// Creates the file.
    pub fn create(path: &Path, channels: u16, rate: u32, depth: Depth) -> io::Result<WavWriter> {
        let file = BufWriter::new(File::create(path)?);
        let mut writer = WavWriter { file, channels, rate, depth, samples: 0 };
        writer.header()?;
        Ok(writer)
    }

    fn header(&mut self) -> io::Result<()> {
        // Sizes beyond 4 GiB do not fit this format; such a file is still readable to its end by most programs.
        let data = u32::try_from(self.samples * u64::from(self.depth.bytes())).unwrap_or(u32::MAX - HEADER as u32);
        let frames = u32::try_from(self.samples / u64::from(self.channels.max(1))).unwrap_or(u32::MAX);
        let align = self.channels * self.depth.bytes();
        let mut h = Vec::with_capacity(HEADER as usize);
        h.extend(b"RIFF");
        h.extend((data + HEADER as u32 - 8).to_le_bytes());
        h.extend(b"WAVEfmt ");
        h.extend(18u32.to_le_bytes());
        h.extend(if self.depth == Depth::Float { 3u16 } else { 1 }.to_le_bytes());
        h.extend(self.channels.to_le_bytes());
        h.extend(self.rate.to_le_bytes());
        h.extend((self.rate * u32::from(align)).to_le_bytes());
        h.extend(align.to_le_bytes());
        h.extend((8 * self.depth.bytes()).to_le_bytes());
        h.extend(0u16.to_le_bytes());
        h.extend(b"fact");
        h.extend(4u32.to_le_bytes());
        h.extend(frames.to_le_bytes());
        h.extend(b"data");
        h.extend(data.to_le_bytes());
        self.file.write_all(&h)
    }

    /// Appends interleaved samples.
    pub fn write(&mut self, samples: &[f32]) -> io::Result<()> {
        for sample in samples {
            match self.depth {
                Depth::Float => self.file.write_all(&sample.to_le_bytes())?,
                Depth::Sixteen => {
                    let word = (sample * 32_768.0).round() as i16;
                    self.file.write_all(&word.to_le_bytes())?;
                }
            }
        }
        self.samples += samples.len() as u64;
        Ok(())
    }

    /// Writes the true lengths into the header.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.header()?;
        self.file.flush()?;
        self.file.get_ref().sync_data()
    }
}

/// A thread that writes what the player taps into a file.
pub struct WavTap {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl WavTap {
    /// Creates the file and starts the thread; the producer is for the player.
    pub fn start(path: &Path, rate: u32) -> io::Result<(WavTap, HeapProd<f32>)> {
        let mut writer = WavWriter::create(path, 2, rate, Depth::Float)?;
        let (producer, mut consumer) = HeapRb::new(2 * RING_SECONDS * rate as usize).split();
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::Builder::new().name("wav".into()).spawn(move || {
            let mut buffer = vec![0.0f32; 1 << 14];
            loop {
                let last = told.load(Relaxed);
                loop {
                    let n = consumer.pop_slice(&mut buffer);
                    if n == 0 {
                        break;
                    }
                    writer.write(&buffer[..n])?;
                }
                if last {
                    return writer.finish();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        })?;
        Ok((WavTap { stop, thread: Some(thread) }, producer))
    }

    /// Writes what is left and completes the file.
    pub fn finish(mut self) -> io::Result<()> {
        self.stop.store(true, Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the writing thread panicked")),
            None => Ok(()),
        }
    }
}
