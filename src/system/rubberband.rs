//! The Rubber Band library of the system (`librubberband`, GPL), by its C interface.
//!
//! Built in only with the feature `rubberband`: a program that is linked with it falls under the GPL as a whole.

use std::ffi::{c_double, c_int, c_uint};
use std::ptr::NonNull;

/// The library's state; only ever seen through its functions.
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

/// Process in real time, no threads of its own, both channels together, the finer engine (R3).
const OPTIONS: c_int = 0x0000_0001 | 0x0001_0000 | 0x1000_0000 | 0x2000_0000;

/// Most frames [`Stretcher::process`] takes at once.
pub const MOST: usize = 256;

/// A stereo stretcher in real time mode. Realtime: no (the library allocates when ratios change).
#[derive(Debug)]
pub struct Stretcher(NonNull<State>);

// SAFETY: the library keeps nothing per thread; it only asks not to be called from two at a time, which `&mut` sees to.
unsafe impl Send for Stretcher {}

impl Stretcher {
    /// At a ratio of 1.
    pub fn new(sample_rate: u32) -> Option<Stretcher> {
        // SAFETY: plain numbers; a null pointer is turned into `None`.
        let state = NonNull::new(unsafe { rubberband_new(sample_rate, 2, OPTIONS, 1.0, 1.0) })?;
        // SAFETY: the state was just made.
        unsafe { rubberband_set_max_process_size(state.as_ptr(), MOST as c_uint) };
        Some(Stretcher(state))
    }

    /// Forgets everything but its settings.
    pub fn reset(&mut self) {
        // SAFETY: the state lives as long as `self`.
        unsafe { rubberband_reset(self.0.as_ptr()) };
    }

    /// Output frames per input frame from now on.
    pub fn set_ratio(&mut self, ratio: f64) {
        // SAFETY: as above.
        unsafe { rubberband_set_time_ratio(self.0.as_ptr(), ratio) };
    }

    /// Moves formants by a factor; 0: leaves them.
    pub fn set_formants(&mut self, scale: f64) {
        // SAFETY: as above.
        unsafe { rubberband_set_formant_scale(self.0.as_ptr(), scale) };
    }

    /// Frames that should be given before what is wanted, after a reset.
    pub fn pad(&self) -> usize {
        // SAFETY: as above.
        unsafe { rubberband_get_preferred_start_pad(self.0.as_ptr()) as usize }
    }

    /// Output frames to be thrown away first, if so much was given.
    pub fn delay(&self) -> usize {
        // SAFETY: as above.
        unsafe { rubberband_get_start_delay(self.0.as_ptr()) as usize }
    }

    /// Gives the next frames, at most [`MOST`].
    pub fn process(&mut self, left: &[f32], right: &[f32]) {
        let frames = left.len().min(right.len()).min(MOST);
        let planes = [left.as_ptr(), right.as_ptr()];
        // SAFETY: both planes hold `frames` frames; the library copies them and keeps no pointer.
        unsafe { rubberband_process(self.0.as_ptr(), planes.as_ptr(), frames as c_uint, 0) };
    }

    /// Frames that are ready.
    pub fn available(&self) -> usize {
        // SAFETY: as above.
        usize::try_from(unsafe { rubberband_available(self.0.as_ptr()) }).unwrap_or(0)
    }

    /// Takes frames that are ready, as many as there is room for; returns how many those were.
    pub fn retrieve(&mut self, left: &mut [f32], right: &mut [f32]) -> usize {
        let frames = left.len().min(right.len());
        let planes = [left.as_mut_ptr(), right.as_mut_ptr()];
        // SAFETY: both planes have room for `frames` frames.
        unsafe { rubberband_retrieve(self.0.as_ptr(), planes.as_ptr(), frames as c_uint) as usize }
    }
}

impl Drop for Stretcher {
    fn drop(&mut self) {
        // SAFETY: made by `rubberband_new`, and dropped once.
        unsafe { rubberband_delete(self.0.as_ptr()) };
    }
}
