//! The real card: ALSA's read/write transfer, non-blocking.
//!
//! Memory-mapped transfer was left out on purpose: the crate's direct mmap does not work on ARM, and at one write per
//! period a copy of a few kilobytes is not what costs.

use std::ffi::CString;

use alsa::pcm::{Access, Format, HwParams, PCM};
use alsa::{Direction, ValueOr};

use super::convert::SampleFormat;
use super::pcm::{Fault, Pcm, PcmSetup};
use crate::system::guard;

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
    pcm: PCM,
    setup: PcmSetup,
}

/// ALSA's name for a format.
pub fn alsa_format(format: SampleFormat) -> Format {
    match format {
        SampleFormat::S32 => Format::s32(),
        SampleFormat::S24 => Format::s24(),
        SampleFormat::S24Packed => Format::s24_3(),
        SampleFormat::Float => Format::float(),
        SampleFormat::S16 => Format::s16(),
    }
}

fn open_error(device: &str, error: alsa::Error) -> OpenError {
    let why = match error.errno() {
        libc::EBUSY => "it is in use by another program (fuser -v /dev/snd/* tells which; a desktop's sound server \
                        lets go with: systemctl --user stop pipewire.socket pipewire pulseaudio.socket)"
            .to_string(),
        libc::ENOENT | libc::ENODEV | libc::ENXIO => "there is no such device ('grooved devices' lists them)".into(),
        libc::EACCES | libc::EPERM => "permission denied (add the user to the group 'audio')".into(),
        _ => error.to_string(),
    };
    OpenError::Open { device: device.into(), why }
}

/// Opens a device for playback without configuring it.
pub fn open_raw(device: &str) -> Result<PCM, OpenError> {
    guard::may_block();
    let name = CString::new(device).map_err(|_| OpenError::Open {
        device: device.escape_default().to_string(),
        why: "a device name cannot contain a zero byte".into(),
    })?;
    PCM::open(&name, Direction::Playback, true).map_err(|e| open_error(device, e))
}

impl AlsaPcm {
    /// Opens and configures `device`; not for the audio thread.
    pub fn open(device: &str, wish: &Wish) -> Result<AlsaPcm, OpenError> {
        let pcm = open_raw(device)?;
        let setup = configure(&pcm, device, wish)?;
        Ok(AlsaPcm { pcm, setup })
    }
}

/// The rates, of those an appliance would use, that a device does.
pub fn rates_of(params: &HwParams<'_>) -> Vec<u32> {
    [44_100, 48_000, 88_200, 96_000, 176_400, 192_000].into_iter().filter(|r| params.test_rate(*r).is_ok()).collect()
}

fn configure(pcm: &PCM, device: &str, wish: &Wish) -> Result<PcmSetup, OpenError> {
    let unsuitable = |what: String, instead: String| OpenError::Unsuitable { device: device.into(), what, instead };
    let failed = |error: alsa::Error| OpenError::Open { device: device.into(), why: error.to_string() };
    let (format, channels, rate, period, buffer);
    {
        let params = HwParams::any(pcm).map_err(failed)?;
        // Conversions of rate belong to the stems' interpolation, not to a plugin's.
        let _ = params.set_rate_resample(false);
        params
            .set_access(Access::RWInterleaved)
            .map_err(|_| unsuitable("interleaved read/write access".into(), "use its plughw: name".into()))?;
        format = SampleFormat::ALL.into_iter().find(|f| params.test_format(alsa_format(*f)).is_ok()).ok_or_else(
            || unsuitable("any linear sample format".into(), "an HDMI output of a Pi needs its hdmi: name".into()),
        )?;
        params.set_format(alsa_format(format)).map_err(failed)?;
        channels = params.set_channels_near(wish.channels as u32).map_err(failed)?;
        if params.test_rate(wish.rate).is_err() {
            // A plug device offers other rates only by resampling; that is better than no sound.
            let _ = params.set_rate_resample(true);
        }
        params.set_rate(wish.rate, ValueOr::Nearest).map_err(|_| {
            let rates: Vec<String> = rates_of(&params).iter().map(u32::to_string).collect();
            unsuitable(format!("{} Hz", wish.rate), format!("set --sample-rate to one of {}", rates.join(", ")))
        })?;
        rate = params.get_rate().map_err(failed)?;
        params.set_period_size_near(wish.period as i64, ValueOr::Nearest).map_err(failed)?;
        params.set_periods_near(wish.periods as u32, ValueOr::Nearest).map_err(failed)?;
        pcm.hw_params(&params).map_err(failed)?;
        period = params.get_period_size().map_err(failed)? as usize;
        buffer = params.get_buffer_size().map_err(failed)? as usize;
    }
    if rate != wish.rate {
        return Err(unsuitable(format!("{} Hz", wish.rate), format!("set --sample-rate to {rate}")));
    }
    if buffer < 2 * period {
        return Err(unsuitable(
            format!("two periods of {period} frames"),
            format!("its buffer holds {buffer}: lower --buffer-size"),
        ));
    }
    let software = |stop: i64, silence: i64| -> Result<(), alsa::Error> {
        let params = pcm.sw_params_current()?;
        let boundary = params.get_boundary()?;
        params.set_avail_min(period as i64)?;
        // The player starts the card itself.
        params.set_start_threshold(boundary)?;
        params.set_stop_threshold(if stop == 0 { boundary } else { stop })?;
        params.set_tstamp_mode(true)?;
        pcm.sw_params(&params)?;
        let _ = silence;
        Ok(())
    };
    // Free running: the card plays on through an underrun and its counters tell exactly how many frames were missed.
    // Where a driver or plugin refuses, it stops instead, and the clock tells.
    let free_running = software(0, 0).is_ok();
    if !free_running {
        software(buffer as i64, 0).map_err(failed)?;
    }
    Ok(PcmSetup { device: device.into(), rate, channels: channels as usize, format, period, buffer, free_running })
}

fn fault(error: alsa::Error) -> Fault {
    match error.errno() {
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
        self.pcm.wait(Some(timeout_ms)).map_err(fault)
    }

    fn available(&mut self) -> Result<usize, Fault> {
        self.pcm.avail().map(|frames| frames.max(0) as usize).map_err(fault)
    }

    fn delay(&mut self) -> Result<i64, Fault> {
        self.pcm.delay().map_err(fault)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.pcm.io_bytes().writei(bytes).map_err(fault)
    }

    fn start(&mut self) -> Result<(), Fault> {
        self.pcm.start().map_err(fault)
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        self.pcm.prepare().map_err(fault)
    }

    fn resume(&mut self) -> Result<(), Fault> {
        match self.pcm.resume() {
            // Not every driver can: it is prepared anew instead.
            Err(error) if error.errno() == libc::ENOSYS => Err(Fault::Xrun),
            other => other.map_err(fault),
        }
    }
}

impl Drop for AlsaPcm {
    fn drop(&mut self) {
        // Closing a USB card that has gone can take seconds.
        guard::may_block();
    }
}
