//! The real card: ALSA's non-blocking read/write transfer.
//!
//! Memory-mapped transfer is deliberately not used: at one write per period, copying a few kilobytes is negligible, and
//! plugins and some USB drivers offer no other access.

mod quiet;
mod raw;

pub use quiet::quieten;

use super::convert::SampleFormat;
use super::pcm::{Fault, Pcm, PcmSetup};
use crate::system::guard;
use raw::{Hardware, RawPcm, Refusal, Step};

/// Why a device could not be used. Each message names a remedy where there is one.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The device does not exist, or another program uses it.
    #[error("device '{device}': {why}")]
    Open {
        /// Device name as given.
        device: String,
        /// The reason, and a remedy where there is one.
        why: String,
    },
    /// The device does not support the requested configuration.
    #[error("device '{device}' does not support {what}: {instead}")]
    Unsuitable {
        /// Device name as given.
        device: String,
        /// The unsupported setting.
        what: String,
        /// The remedy.
        instead: String,
    },
}

/// The requested configuration of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardRequest {
    /// Frames per second.
    pub rate: u32,
    /// Frames per period.
    pub period: usize,
    /// Periods in the card's buffer.
    pub periods: usize,
    /// Number of channels; the nearest supported number is used.
    pub channels: usize,
}

/// An open, configured card.
pub struct AlsaPcm {
    raw: RawPcm,
    setup: PcmSetup,
    stride: usize,
}

/// Sample rates tested and offered, in Hz.
pub const RATES: [u32; 6] = [44_100, 48_000, 88_200, 96_000, 176_400, 192_000];

/// Returns ALSA's constant for a format.
pub fn alsa_format(format: SampleFormat) -> alsa::pcm::Format {
    match format {
        SampleFormat::S32 => alsa::pcm::Format::s32(),
        SampleFormat::S24 => alsa::pcm::Format::s24(),
        SampleFormat::S24Packed => alsa::pcm::Format::s24_3(),
        SampleFormat::Float => alsa::pcm::Format::float(),
        SampleFormat::S16 => alsa::pcm::Format::s16(),
    }
}

/// Returns the message, with a remedy where there is one, for a device that could not be opened.
pub fn explain(errno: i32) -> String {
    match errno {
        libc::EBUSY => "it is in use by another program ('fuser -v /dev/snd/*' shows which; stop a desktop's \
                        sound server with 'systemctl --user stop pipewire.socket pipewire pulseaudio.socket')"
            .into(),
        libc::ENOENT | libc::ENODEV | libc::ENXIO => "no such device (list them with 'grooved devices')".into(),
        libc::EACCES | libc::EPERM => "permission denied (add the user to the group 'audio')".into(),
        _ => format!("{} ({errno})", raw::describe(errno)),
    }
}

/// Returns whether the card in a name like `hw:CARD=id,DEV=0` or `plughw:id` exists; `true` for names that refer to no
/// card.
fn card_exists(device: &str) -> bool {
    let Some((kind, arguments)) = device.split_once(':') else { return true };
    if !matches!(kind, "hw" | "plughw" | "hdmi") {
        return true;
    }
    let first = arguments.split(',').next().unwrap_or_default();
    let id = first.strip_prefix("CARD=").unwrap_or(first);
    let folder = if id.bytes().all(|b| b.is_ascii_digit()) { format!("card{id}") } else { id.to_string() };
    !folder.contains('/') && std::path::Path::new("/proc/asound").join(folder).exists()
}

impl AlsaPcm {
    /// Opens and configures `device`. Realtime: no (may block).
    pub fn open(device: &str, wish: &CardRequest) -> Result<AlsaPcm, OpenError> {
        guard::may_block();
        let failed = |errno: i32| OpenError::Open { device: device.into(), why: explain(errno) };
        let name = raw::c_name(device).ok_or_else(|| OpenError::Open {
            device: device.escape_default().to_string(),
            why: "a device name cannot contain a zero byte".into(),
        })?;
        if !card_exists(device) {
            // alsa-lib would write a message to stderr at every attempt.
            return Err(failed(libc::ENODEV));
        }
        let mut raw = RawPcm::open(&name).map_err(failed)?;
        let unsuitable = |what: String, instead: String| OpenError::Unsuitable { device: device.into(), what, instead };
        let format = SampleFormat::ALL.into_iter().find(|f| raw.takes(alsa_format(*f) as i32)).ok_or_else(|| {
            unsuitable("any linear sample format".into(), "use the hdmi: name for a Pi's HDMI output".into())
        })?;
        let hardware = Hardware {
            format: alsa_format(format) as i32,
            channels: wish.channels as u32,
            rate: wish.rate,
            period: wish.period,
            periods: wish.periods as u32,
            buffer: 0,
        };
        let granted = raw.configure(&hardware).map_err(|Refusal(step, errno)| match step {
            Step::Access => unsuitable("interleaved read/write access".into(), "use the device's plughw: name".into()),
            Step::Rate => {
                let rates: Vec<String> = raw.rates(&RATES).iter().map(u32::to_string).collect();
                unsuitable(format!("{} Hz", wish.rate), format!("set --sample-rate to one of {}", rates.join(", ")))
            }
            _ => failed(errno),
        })?;
        if granted.buffer < 2 * granted.period {
            return Err(unsuitable(
                format!("two periods of {} frames", granted.period),
                format!("its buffer holds {} frames: lower --buffer-size", granted.buffer),
            ));
        }
        // Free running: the card plays on through an underrun and its counters show exactly how many frames were
        // missed. If a driver or plugin does not support this, the card stops instead, and the loss is estimated from
        // the clock.
        let free_running = raw.configure_underruns(&granted, true).is_ok();
        if !free_running {
            raw.configure_underruns(&granted, false).map_err(failed)?;
        }
        let stride = granted.channels as usize * format.bytes();
        let setup = PcmSetup {
            device: device.into(),
            rate: granted.rate,
            channels: granted.channels as usize,
            format,
            period: granted.period,
            buffer: granted.buffer,
            free_running,
        };
        Ok(AlsaPcm { raw, setup, stride })
    }
}

fn fault(errno: i32) -> Fault {
    match errno {
        libc::EPIPE => Fault::Xrun,
        libc::ESTRPIPE => Fault::Suspended,
        libc::EAGAIN => Fault::Again,
        libc::EINTR => Fault::Interrupted,
        errno => Fault::Gone(errno),
    }
}

impl Pcm for AlsaPcm {
    fn setup(&self) -> &PcmSetup {
        &self.setup
    }

    fn wait(&mut self, timeout_ms: u32) -> Result<bool, Fault> {
        self.raw.wait(timeout_ms).map_err(fault)
    }

    fn available(&mut self) -> Result<usize, Fault> {
        self.raw.available().map(|frames| frames.max(0) as usize).map_err(fault)
    }

    fn delay(&mut self) -> Result<i64, Fault> {
        self.raw.delay().map_err(fault)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.raw.write(bytes, self.stride).map_err(fault)
    }

    fn start(&mut self) -> Result<(), Fault> {
        self.raw.start().map_err(fault)
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        self.raw.prepare().map_err(fault)
    }

    fn resume(&mut self) -> Result<(), Fault> {
        // Not every driver supports resume (ENOSYS): the card is prepared again instead.
        self.raw.resume().map_err(|errno| if errno == libc::ENOSYS { Fault::Xrun } else { fault(errno) })
    }
}

impl Drop for AlsaPcm {
    fn drop(&mut self) {
        // Closing a USB card that is gone can take seconds.
        guard::may_block();
    }
}
