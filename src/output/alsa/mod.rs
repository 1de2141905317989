//! The real card: ALSA's read/write transfer, non-blocking.
//!
//! Memory-mapped transfer was left out on purpose: at one write per period a copy of a few kilobytes is not what
//! costs, and plugins and some USB drivers take no other access.

mod quiet;
mod raw;

pub use quiet::quieten;

use super::convert::SampleFormat;
use super::pcm::{Fault, Pcm, PcmSetup};
use crate::system::guard;
use raw::{Hardware, RawPcm, Refusal, Step};

/// Why a device could not be used. Each says what would be right.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not there, or someone else has it.
    #[error("device '{device}': {why}")]
    Open {
        /// As asked for.
        device: String,
        /// The reason, and a remedy where there is one.
        why: String,
    },
    /// It does not do what was asked.
    #[error("device '{device}' does not do {what}: {instead}")]
    Unsuitable {
        /// As asked for.
        device: String,
        /// What it refuses.
        what: String,
        /// What it would take.
        instead: String,
    },
}

/// What a device is to be opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Frames per second.
    pub rate: u32,
    /// Frames per period.
    pub period: usize,
    /// Periods the card holds.
    pub periods: usize,
    /// Channels; the nearest number is taken.
    pub channels: usize,
}

/// An open, configured card.
pub struct AlsaPcm {
    raw: RawPcm,
    setup: PcmSetup,
    stride: usize,
}

/// Rates an appliance would use.
pub const RATES: [u32; 6] = [44_100, 48_000, 88_200, 96_000, 176_400, 192_000];

/// ALSA's name for a format.
pub fn alsa_format(format: SampleFormat) -> alsa::pcm::Format {
    match format {
        SampleFormat::S32 => alsa::pcm::Format::s32(),
        SampleFormat::S24 => alsa::pcm::Format::s24(),
        SampleFormat::S24Packed => alsa::pcm::Format::s24_3(),
        SampleFormat::Float => alsa::pcm::Format::float(),
        SampleFormat::S16 => alsa::pcm::Format::s16(),
    }
}

/// What to tell about a device that could not be opened.
pub fn explain(errno: i32) -> String {
    match errno {
        libc::EBUSY => "it is in use by another program ('fuser -v /dev/snd/*' tells which; a desktop's sound server \
                        lets go with 'systemctl --user stop pipewire.socket pipewire pulseaudio.socket')"
            .into(),
        libc::ENOENT | libc::ENODEV | libc::ENXIO => "there is no such device ('grooved devices' lists them)".into(),
        libc::EACCES | libc::EPERM => "permission denied (add the user to the group 'audio')".into(),
        _ => format!("{} ({errno})", raw::describe(errno)),
    }
}

/// Whether the card that a name like `hw:CARD=id,DEV=0` or `plughw:id` speaks of is there; names that speak of none
/// get the benefit of the doubt.
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
    /// Opens and configures `device`; not for the audio thread.
    pub fn open(device: &str, wish: &Wish) -> Result<AlsaPcm, OpenError> {
        guard::may_block();
        let failed = |errno: i32| OpenError::Open { device: device.into(), why: explain(errno) };
        let name = raw::c_name(device).ok_or_else(|| OpenError::Open {
            device: device.escape_default().to_string(),
            why: "a device name cannot contain a zero byte".into(),
        })?;
        if !card_exists(device) {
            // alsa-lib would say so on stderr, at every attempt.
            return Err(failed(libc::ENODEV));
        }
        let mut raw = RawPcm::open(&name).map_err(failed)?;
        let unsuitable = |what: String, instead: String| OpenError::Unsuitable { device: device.into(), what, instead };
        let format = SampleFormat::ALL.into_iter().find(|f| raw.takes(alsa_format(*f) as i32)).ok_or_else(|| {
            unsuitable("any linear sample format".into(), "an HDMI output of a Pi needs its hdmi: name".into())
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
            Step::Access => unsuitable("interleaved read/write access".into(), "use its plughw: name".into()),
            Step::Rate => {
                let rates: Vec<String> = raw.rates(&RATES).iter().map(u32::to_string).collect();
                unsuitable(format!("{} Hz", wish.rate), format!("set --sample-rate to one of {}", rates.join(", ")))
            }
            _ => failed(errno),
        })?;
        if granted.buffer < 2 * granted.period {
            return Err(unsuitable(
                format!("two periods of {} frames", granted.period),
                format!("its buffer holds {}: lower --buffer-size", granted.buffer),
            ));
        }
        // Free running: the card plays on through an underrun and its counters tell exactly how many frames were
        // missed. Where a driver or plugin refuses, it stops instead, and the clock tells.
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
        // Not every driver can (ENOSYS): it is prepared anew instead.
        self.raw.resume().map_err(|errno| if errno == libc::ENOSYS { Fault::Xrun } else { fault(errno) })
    }
}

impl Drop for AlsaPcm {
    fn drop(&mut self) {
        // Closing a USB card that has gone can take seconds.
        guard::may_block();
    }
}
