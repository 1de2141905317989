//! Bindings to the system's Rubber Band library (`librubberband`, GPL), through its C interface.
//!
//! Built only with the feature `rubberband`: a program linked with the library falls under the GPL as a whole.

use std::ffi::{c_double, c_int, c_uint};
use std::ptr::NonNull;

/// Opaque state of the library.
#[repr(C)]
struct State {
    _hidden: [u8; 0],
}

#[link(name = "rubberband")]
unsafe extern "C" {
    fn rubberband_new(
        sample_rate: c_uint,
        channels: c_uint,
        options: c_int,
        time_ratio: c_double,
        pitch_scale: c_double,
    ) -> *mut State;
    fn rubberband_delete(state: *mut State);
    fn rubberband_reset(state: *mut State);
    fn rubberband_set_time_ratio(state: *mut State, ratio: c_double);
    fn rubberband_set_formant_scale(state: *mut State, scale: c_double);
    fn rubberband_get_preferred_start_pad(state: *const State) -> c_uint;
    fn rubberband_get_start_delay(state: *const State) -> c_uint;
    fn rubberband_set_max_process_size(state: *mut State, samples: c_uint);
    fn rubberband_process(state: *mut State, input: *const *const f32, samples: c_uint, last: c_int);
    fn rubberband_available(state: *const State) -> c_int;
    fn rubberband_retrieve(state: *const State, output: *const *mut f32, samples: c_uint) -> c_uint;
}

/// Realtime processing, no threads, both channels together, the finer engine (R3).
const OPTIONS: c_int = 0x0000_0001 | 0x0001_0000 | 0x1000_0000 | 0x2000_0000;

/// Maximum number of frames per call of [`Stretcher::process`].
pub const MOST: usize = 256;

/// A stereo stretcher in realtime mode. Realtime: no (the library allocates when ratios change).
#[derive(Debug)]
pub struct Stretcher(NonNull<State>);

// SAFETY: the library keeps nothing per thread and only forbids concurrent calls, which `&mut` ensures.
unsafe impl Send for Stretcher {}

impl Stretcher {
    /// Creates a stretcher with ratio 1; `None` if the library cannot create one.
    pub fn new(sample_rate: u32) -> Option<Stretcher> {
        // SAFETY: plain numbers; a null pointer becomes `None`.
        let state = NonNull::new(unsafe { rubberband_new(sample_rate, 2, OPTIONS, 1.0, 1.0) })?;
        // SAFETY: the state was just created.
        unsafe { rubberband_set_max_process_size(state.as_ptr(), MOST as c_uint) };
        Some(Stretcher(state))
    }

    /// Clears everything except the settings.
    pub fn reset(&mut self) {
        // SAFETY: the state lives as long as `self`.
        unsafe { rubberband_reset(self.0.as_ptr()) };
    }

    /// Sets the number of output frames per input frame.
    pub fn set_ratio(&mut self, ratio: f64) {
        // SAFETY: as above.
        unsafe { rubberband_set_time_ratio(self.0.as_ptr(), ratio) };
    }

    /// Scales formants by a factor; 0 leaves them unchanged.
    pub fn set_formants(&mut self, scale: f64) {
        // SAFETY: as above.
        unsafe { rubberband_set_formant_scale(self.0.as_ptr(), scale) };
    }

    /// Frames of padding to be input first after a reset.
    pub fn pad(&self) -> usize {
        // SAFETY: as above.
        unsafe { rubberband_get_preferred_start_pad(self.0.as_ptr()) as usize }
    }

    /// Output frames to be discarded first, if the padding was input.
    pub fn delay(&self) -> usize {
        // SAFETY: as above.
        unsafe { rubberband_get_start_delay(self.0.as_ptr()) as usize }
    }

    /// Inputs the next frames, at most [`MOST`].
    pub fn process(&mut self, left: &[f32], right: &[f32]) {
        let frames = left.len().min(right.len()).min(MOST);
        let planes = [left.as_ptr(), right.as_ptr()];
        // SAFETY: both planes have `frames` frames; the library copies them and keeps no pointer.
        unsafe { rubberband_process(self.0.as_ptr(), planes.as_ptr(), frames as c_uint, 0) };
    }

    /// Number of output frames available.
    pub fn available(&self) -> usize {
        // SAFETY: as above.
        usize::try_from(unsafe { rubberband_available(self.0.as_ptr()) }).unwrap_or(0)
    }

    /// Takes available output frames, as many as fit; returns their number.
    pub fn retrieve(&mut self, left: &mut [f32], right: &mut [f32]) -> usize {
        let frames = left.len().min(right.len());
        let planes = [left.as_mut_ptr(), right.as_mut_ptr()];
        // SAFETY: both planes have room for `frames` frames.
        unsafe { rubberband_retrieve(self.0.as_ptr(), planes.as_ptr(), frames as c_uint) as usize }
    }
}

impl Drop for Stretcher {
    fn drop(&mut self) {
        // SAFETY: created by `rubberband_new`, and dropped once.
        unsafe { rubberband_delete(self.0.as_ptr()) };
    }
}
