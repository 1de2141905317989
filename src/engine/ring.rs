//! Rings between the audio thread and others, resident in memory from the start.

use std::mem::MaybeUninit;

use ringbuf::HeapRb;

/// Creates a ring whose pages are all resident; otherwise the audio thread would fault them in, one by one, on first
/// use.
pub(super) fn ring<T>(capacity: usize) -> HeapRb<T> {
    let mut ring = HeapRb::new(capacity);
    let (first, second) = ring.vacant_slices_mut();
    for place in first.iter_mut().chain(second) {
        *place = std::hint::black_box(MaybeUninit::zeroed());
    }
    ring
}
