//! A playback PCM on ALSA's own C functions.
//!
//! The `alsa` crate wraps nearly all of them, but not `silence_size`, without which a card that runs on through an
//! underrun would repeat its old buffer instead of playing silence; and it does not expose its handle. So the handle is
//! owned here, together with every unsafe call of the output. Errors are positive errno values.

use std::ffi::{CStr, CString, c_int, c_uint};
use std::ptr;

use alsa_sys as c;

/// errno of a failed call.
pub type Errno = i32;

/// An open playback PCM, non-blocking.
pub struct RawPcm(*mut c::snd_pcm_t);

// SAFETY: ALSA allows a PCM to be used from any one thread at a time; `&mut self` everywhere guarantees that.
unsafe impl Send for RawPcm {}

/// Hardware parameters, requested or granted.
#[derive(Clone, Copy, Debug)]
pub struct Hardware {
    /// ALSA's format number.
    pub format: c_int,
    /// Number of channels.
    pub channels: u32,
    /// Frames per second.
    pub rate: u32,
    /// Frames per period.
    pub period: usize,
    /// Number of periods.
    pub periods: u32,
    /// Frames in the buffer; only granted, never requested.
    pub buffer: usize,
}

/// The step at which a configuration failed, and its errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub Step, pub Errno);

/// Steps of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Setting interleaved read/write access.
    Access,
    /// Setting the sample format.
    Format,
    /// Setting the number of channels.
    Channels,
    /// Setting the sample rate.
    Rate,
    /// Setting the period and buffer size.
    Buffer,
    /// Installing the configuration.
    Install,
}

struct HardwareParams(*mut c::snd_pcm_hw_params_t);

impl HardwareParams {
    fn any(pcm: &mut RawPcm) -> Result<HardwareParams, Errno> {
        let mut params = ptr::null_mut();
        // SAFETY: writes a pointer to fresh memory into `params`, which `Drop` frees.
        check(unsafe { c::snd_pcm_hw_params_malloc(&raw mut params) })?;
        let params = HardwareParams(params);
        // SAFETY: both pointers are live.
        check(unsafe { c::snd_pcm_hw_params_any(pcm.0, params.0) })?;
        Ok(params)
    }
}

impl Drop for HardwareParams {
    fn drop(&mut self) {
        // SAFETY: allocated by `snd_pcm_hw_params_malloc`, freed once.
        unsafe { c::snd_pcm_hw_params_free(self.0) }
    }
}

struct SoftwareParams(*mut c::snd_pcm_sw_params_t);

impl Drop for SoftwareParams {
    fn drop(&mut self) {
        // SAFETY: allocated by `snd_pcm_sw_params_malloc`, freed once.
        unsafe { c::snd_pcm_sw_params_free(self.0) }
    }
}

fn check(result: c_int) -> Result<c_int, Errno> {
    if result < 0 { Err(-result) } else { Ok(result) }
}

/// Returns ALSA's description of an error.
pub fn describe(errno: Errno) -> String {
    // SAFETY: returns a pointer to a static, terminated string for every number.
    let text = unsafe { CStr::from_ptr(c::snd_strerror(-errno)) };
    text.to_string_lossy().into_owned()
}

impl RawPcm {
    /// Opens a device.
    pub fn open(name: &CStr) -> Result<RawPcm, Errno> {
        let mut pcm = ptr::null_mut();
        // SAFETY: `name` is terminated; a handle is written to `pcm` on success only.
        check(unsafe {
            c::snd_pcm_open(&raw mut pcm, name.as_ptr(), c::SND_PCM_STREAM_PLAYBACK, c::SND_PCM_NONBLOCK as c_int)
        })?;
        Ok(RawPcm(pcm))
    }

    /// Returns whether the device supports a format.
    pub fn takes(&mut self, format: c_int) -> bool {
        let Ok(params) = HardwareParams::any(self) else { return false };
        // SAFETY: both pointers are live.
        unsafe { c::snd_pcm_hw_params_test_format(self.0, params.0, format) == 0 }
    }

    /// Returns those of the given sample rates that the device supports.
    pub fn rates(&mut self, candidates: &[u32]) -> Vec<u32> {
        let Ok(params) = HardwareParams::any(self) else { return Vec::new() };
        // SAFETY: both pointers are live.
        let does = |rate: &&u32| unsafe { c::snd_pcm_hw_params_test_rate(self.0, params.0, **rate, 0) == 0 };
        candidates.iter().filter(does).copied().collect()
    }

    /// Configures the device and returns the granted parameters. Rate and format are as requested, or the call fails.
    pub fn configure(&mut self, wish: &Hardware) -> Result<Hardware, Refusal> {
        let params = HardwareParams::any(self).map_err(|e| Refusal(Step::Install, e))?;
        let (pcm, p) = (self.0, params.0);
        let step = |step: Step| move |errno: Errno| Refusal(step, errno);
        let mut channels = wish.channels as c_uint;
        let mut rate = wish.rate as c_uint;
        let mut period = wish.period as c::snd_pcm_uframes_t;
        let mut periods = wish.periods as c_uint;
        let mut buffer: c::snd_pcm_uframes_t = 0;
        // SAFETY: all pointers are live, and every out-parameter is a local of the type asked for.
        unsafe {
            // Stems are resampled by the engine's interpolation; a plugin may resample only if there is no other way.
            c::snd_pcm_hw_params_set_rate_resample(pcm, p, 0);
            check(c::snd_pcm_hw_params_set_access(pcm, p, c::SND_PCM_ACCESS_RW_INTERLEAVED))
                .map_err(step(Step::Access))?;
            check(c::snd_pcm_hw_params_set_format(pcm, p, wish.format)).map_err(step(Step::Format))?;
            check(c::snd_pcm_hw_params_set_channels_near(pcm, p, &raw mut channels)).map_err(step(Step::Channels))?;
            if c::snd_pcm_hw_params_test_rate(pcm, p, rate, 0) < 0 {
                c::snd_pcm_hw_params_set_rate_resample(pcm, p, 1);
            }
            check(c::snd_pcm_hw_params_set_rate(pcm, p, rate, 0)).map_err(step(Step::Rate))?;
            check(c::snd_pcm_hw_params_set_period_size_near(pcm, p, &raw mut period, ptr::null_mut()))
                .map_err(step(Step::Buffer))?;
            check(c::snd_pcm_hw_params_set_periods_near(pcm, p, &raw mut periods, ptr::null_mut()))
                .map_err(step(Step::Buffer))?;
            check(c::snd_pcm_hw_params(pcm, p)).map_err(step(Step::Install))?;
            check(c::snd_pcm_hw_params_get_rate(p, &raw mut rate, ptr::null_mut())).map_err(step(Step::Install))?;
            check(c::snd_pcm_hw_params_get_period_size(p, &raw mut period, ptr::null_mut()))
                .map_err(step(Step::Install))?;
            check(c::snd_pcm_hw_params_get_buffer_size(p, &raw mut buffer)).map_err(step(Step::Install))?;
        }
        Ok(Hardware {
            format: wish.format,
            channels,
            rate,
            period: period as usize,
            periods: (buffer / period.max(1)) as u32,
            buffer: buffer as usize,
        })
    }

    /// Sets when the device wakes the thread and how it handles an underrun: running on over silence (`free`), or
    /// stopping.
    pub fn configure_underruns(&mut self, hardware: &Hardware, free: bool) -> Result<(), Errno> {
        let mut params = ptr::null_mut();
        // SAFETY: writes a pointer to fresh memory into `params`, which `Drop` frees.
        check(unsafe { c::snd_pcm_sw_params_malloc(&raw mut params) })?;
        let params = SoftwareParams(params);
        let (pcm, p) = (self.0, params.0);
        let mut boundary: c::snd_pcm_uframes_t = 0;
        // SAFETY: all pointers are live, and `boundary` is of the type asked for.
        unsafe {
            check(c::snd_pcm_sw_params_current(pcm, p))?;
            check(c::snd_pcm_sw_params_get_boundary(p, &raw mut boundary))?;
            check(c::snd_pcm_sw_params_set_avail_min(pcm, p, hardware.period as c::snd_pcm_uframes_t))?;
            // The player starts the device itself.
            check(c::snd_pcm_sw_params_set_start_threshold(pcm, p, boundary))?;
            let stop = if free { boundary } else { hardware.buffer as c::snd_pcm_uframes_t };
            check(c::snd_pcm_sw_params_set_stop_threshold(pcm, p, stop))?;
            check(c::snd_pcm_sw_params_set_silence_threshold(pcm, p, 0))?;
            check(c::snd_pcm_sw_params_set_silence_size(pcm, p, if free { boundary } else { 0 }))?;
            check(c::snd_pcm_sw_params(pcm, p))?;
        }
        Ok(())
    }

    /// Waits until a period fits. Realtime: yes (this is the audio thread's wait).
    pub fn wait(&mut self, timeout_ms: u32) -> Result<bool, Errno> {
        // SAFETY: the handle is live.
        check(unsafe { c::snd_pcm_wait(self.0, timeout_ms as c_int) }).map(|ready| ready == 1)
    }

    /// Returns the frames that can be written. Realtime: yes.
    pub fn available(&mut self) -> Result<i64, Errno> {
        // SAFETY: the handle is live.
        let frames = unsafe { c::snd_pcm_avail(self.0) };
        if frames < 0 { Err(-frames as Errno) } else { Ok(frames as i64) }
    }

    /// Returns the frames until a frame written now is heard. Realtime: yes.
    pub fn delay(&mut self) -> Result<i64, Errno> {
        let mut frames: c::snd_pcm_sframes_t = 0;
        // SAFETY: the handle is live, `frames` of the type asked for.
        check(unsafe { c::snd_pcm_delay(self.0, &raw mut frames) })?;
        Ok(frames as i64)
    }

    /// Writes interleaved frames of `stride` bytes; returns how many were accepted. Realtime: yes.
    pub fn write(&mut self, bytes: &[u8], stride: usize) -> Result<usize, Errno> {
        let frames = (bytes.len() / stride.max(1)) as c::snd_pcm_uframes_t;
        // SAFETY: the handle is live, and `bytes` holds at least `frames` frames.
        let written = unsafe { c::snd_pcm_writei(self.0, bytes.as_ptr().cast(), frames) };
        if written < 0 { Err(-written as Errno) } else { Ok(written as usize) }
    }

    /// Starts the converter. Realtime: yes.
    pub fn start(&mut self) -> Result<(), Errno> {
        // SAFETY: the handle is live.
        check(unsafe { c::snd_pcm_start(self.0) }).map(drop)
    }

    /// Makes the device ready after an underrun. Realtime: yes.
    pub fn prepare(&mut self) -> Result<(), Errno> {
        // SAFETY: the handle is live.
        check(unsafe { c::snd_pcm_prepare(self.0) }).map(drop)
    }

    /// Resumes the device after a suspend. Realtime: yes.
    pub fn resume(&mut self) -> Result<(), Errno> {
        // SAFETY: the handle is live.
        check(unsafe { c::snd_pcm_resume(self.0) }).map(drop)
    }
}

impl Drop for RawPcm {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once.
        unsafe { c::snd_pcm_close(self.0) };
    }
}

/// Returns a device name as a C string; `None` if it contains a zero byte.
pub fn c_name(device: &str) -> Option<CString> {
    CString::new(device).ok()
}
