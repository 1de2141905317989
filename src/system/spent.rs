//! Gives back the memory of a buffer of a library that is written once, from its beginning on, and never read.
//!
//! The crate that renders the audio graphs of genomes keeps the whole sound, which nobody reads: it was taken out of
//! the graph before. [`Spent::expect`] notes where the calling thread's next allocation of a given size lies, and
//! [`Spent::release`] returns its written pages to the kernel. This needs the program's allocator
//! ([`super::guard::GuardedAllocator`]); with another one, nothing is released.

use std::cell::Cell;

/// Smaller buffers are left alone: they may share pages with others.
const LEAST: usize = 1 << 20;

thread_local! {
    /// Size that is waited for, and where the allocation lies once it was made.
    static EXPECTED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Called by the allocator after every allocation.
#[inline]
pub fn note(size: usize, address: usize) {
    if size >= LEAST {
        EXPECTED.with(|e| {
            if e.get() == (size, 0) {
                e.set((size, address));
            }
        });
    }
}

/// Called by the allocator before an allocation is freed or moved: it is no longer released.
#[inline]
pub fn forget(size: usize, address: usize) {
    if size >= LEAST {
        EXPECTED.with(|e| {
            if e.get() == (size, address) {
                e.set((0, 0));
            }
        });
    }
}

/// A buffer of samples of the calling thread whose pages are given back.
pub struct Spent {
    size: usize,
    /// Bytes given back so far.
    released: usize,
}

impl Spent {
    /// Waits for the calling thread's next allocation of `samples` 32-bit floats. Their thread must be the one that frees
    /// it.
    pub fn expect(samples: usize) -> Spent {
        let size = samples * size_of::<f32>();
        EXPECTED.with(|e| e.set((size, 0)));
        Spent { size, released: 0 }
    }

    /// Gives back the first `written` samples of the buffer, in steps of a quarter of a MiB. They are zeros from then on.
    pub fn release(&mut self, written: usize) {
        let written = written * size_of::<f32>();
        let (size, address) = EXPECTED.with(Cell::get);
        if address == 0 || size != self.size || written > size || written - self.released < LEAST / 4 {
            return;
        }
        // Only whole pages that lie in the buffer; the last ones are written to soon.
        // SAFETY: a query without preconditions.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(LEAST).max(1);
        let from = (address + self.released).next_multiple_of(page);
        let to = (address + written) / page * page;
        if to > from {
            // SAFETY: the pages lie in an allocation of this thread that has not been freed: `forget` would have been
            // called. Its samples become zeros, which are valid samples.
            unsafe { libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_DONTNEED) };
            self.released = written;
        }
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        EXPECTED.with(|e| e.set((0, 0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_part_is_given_back_until_the_buffer_is_freed() {
        let samples = 4 << 20;
        let mut spent = Spent::expect(samples);
        let mut buffer: Vec<f32> = Vec::with_capacity(samples);
        note(samples * 4, buffer.as_ptr() as usize);
        buffer.resize(samples / 2, 1.0);
        spent.release(samples / 4);
        assert_eq!((buffer[samples / 8], buffer[samples / 3]), (0.0, 1.0));
        forget(samples * 4, buffer.as_ptr() as usize);
        spent.release(samples / 2);
        assert!(buffer[samples / 3] == 1.0, "the buffer counts as freed");
        buffer.push(2.0);
    }
}
