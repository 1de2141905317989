//! Writes the output to a WAV file: the output of `--output wav:…`.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use ringbuf::traits::{Consumer, Split};
use ringbuf::{HeapProd, HeapRb};

use crate::media::wav::{Depth, WavWriter};

/// Capacity of the tap's ring in seconds: the disk may stall for this long.
const RING_SECONDS: usize = 4;

/// A thread that writes the player's output to a file.
pub struct WavTap {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl WavTap {
    /// Creates the file and starts the thread; returns the producer for the player.
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

    /// Writes the remaining samples and completes the file.
    pub fn finish(mut self) -> io::Result<()> {
        self.stop.store(true, Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the writing thread panicked")),
            None => Ok(()),
        }
    }
}
