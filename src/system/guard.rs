//! The mark of a thread that may not block.
//!
//! A realtime thread marks itself with [`mark`]. From then on every allocation and every call of a helper that may
//! block ([`may_block`]) made on it is a fault: counted in production, where a glitch beats an outage, and an abort
//! where [`be_strict`] was called, as the tests do.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

thread_local! {
    // `const` and without a destructor: reading it never allocates.
    static MARKED: Cell<bool> = const { Cell::new(false) };
}

static STRICT: AtomicBool = AtomicBool::new(false);
static FAULTS: AtomicU64 = AtomicU64::new(0);

/// Marks the calling thread as one that may not block; `false` takes the mark away.
pub fn mark(realtime: bool) {
    MARKED.with(|m| m.set(realtime));
}

/// Whether the calling thread is marked.
pub fn is_marked() -> bool {
    MARKED.with(Cell::get)
}

/// From now on a fault ends the process.
pub fn be_strict() {
    STRICT.store(true, Relaxed);
}

/// How often a marked thread did what it may not do.
pub fn faults() -> u64 {
    FAULTS.load(Relaxed)
}

/// To be called by everything that may block.
pub fn may_block() {
    check();
}

#[inline]
fn check() {
    if is_marked() {
        FAULTS.fetch_add(1, Relaxed);
        if STRICT.load(Relaxed) {
            // Unmark first: the way out allocates.
            mark(false);
            eprintln!("a realtime thread blocked:\n{}", std::backtrace::Backtrace::force_capture());
            std::process::abort();
        }
    }
}

/// The system's allocator, watched. Costs a thread-local read per call.
#[derive(Debug)]
pub struct GuardedAllocator;

// SAFETY: every call is handed on unchanged to the system's allocator, whose contract is thereby ours.
unsafe impl GlobalAlloc for GuardedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller's promises are those `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        check();
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        check();
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_on_a_marked_thread_is_a_fault() {
        // On a thread of its own, so that the mark does not outlive the test.
        std::thread::spawn(|| {
            let before = faults();
            drop(std::hint::black_box(vec![1u8; 100]));
            let free = faults();
            mark(true);
            let data = std::hint::black_box(vec![1u8; 100]);
            mark(false);
            drop(data);
            assert!(faults() > free, "seen");
            let _ = before;
        })
        .join()
        .unwrap();
    }
}
