//! Suppresses libasound's own messages.
//!
//! The library writes a line to standard error for every step of a failed attempt to open a device: five lines a second
//! while a card is missing. The same failures are returned as error codes, which the supervisor reports once, in words.

use std::ffi::{c_char, c_int};

/// libasound's handler without the trailing variable arguments, which are not read. Named arguments are passed the same
/// way with and without them on all of Linux's ABIs.
type Handler = unsafe extern "C" fn(*const c_char, c_int, *const c_char, c_int, *const c_char);
type Variadic = unsafe extern "C" fn(*const c_char, c_int, *const c_char, c_int, *const c_char, ...);

/// Ignores a message. May be called on any thread, including the audio thread.
unsafe extern "C" fn ignore(_: *const c_char, _: c_int, _: *const c_char, _: c_int, _: *const c_char) {}

/// Prevents libasound from writing to standard error.
pub fn quieten() {
    // SAFETY: both are pointers to functions of the same calling convention; see `Handler`.
    let handler = unsafe { std::mem::transmute::<Handler, Variadic>(ignore) };
    // SAFETY: stores the pointer, nothing else; the function lives as long as the program.
    let _ = unsafe { alsa_sys::snd_lib_error_set_handler(Some(handler)) };
}
