//! Detection of blocking on realtime threads.
//!
//! A realtime thread marks itself with [`mark`]. From then on every allocation on it, and every call of a function that
//! may block ([`may_block`]), is a fault: it is counted in production, where a glitch is better than an outage, and
//! aborts the process after [`be_strict`], which the tests use.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::spent;

thread_local! {
    // `const` and without a destructor: reading it never allocates.
    static MARKED: Cell<bool> = const { Cell::new(false) };
}

static STRICT: AtomicBool = AtomicBool::new(false);
static FAULTS: AtomicU64 = AtomicU64::new(0);

/// Marks the calling thread as one that must not block; `false` removes the mark.
pub fn mark(realtime: bool) {
    MARKED.with(|m| m.set(realtime));
}

/// Returns whether the calling thread is marked.
pub fn is_marked() -> bool {
    MARKED.with(Cell::get)
}

/// Makes every fault from now on abort the process.
pub fn be_strict() {
    STRICT.store(true, Relaxed);
}

/// Number of faults so far.
pub fn faults() -> u64 {
    FAULTS.load(Relaxed)
}

/// Records a fault if the calling thread is marked; called by every function that may block.
pub fn may_block() {
    check();
}

#[inline]
fn check() {
    if is_marked() {
        FAULTS.fetch_add(1, Relaxed);
        if STRICT.load(Relaxed) {
            // Unmark first: reporting allocates.
            mark(false);
            eprintln!("a realtime thread blocked:\n{}", std::backtrace::Backtrace::force_capture());
            std::process::abort();
        }
    }
}

/// The system allocator with fault detection. Costs a thread-local read per call.
#[derive(Debug)]
pub struct GuardedAllocator;

// SAFETY: every call is passed unchanged to the system allocator, whose contract therefore holds.
unsafe impl GlobalAlloc for GuardedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller upholds the contract of `System`.
        let memory = unsafe { System.alloc(layout) };
        spent::note(layout.size(), memory as usize);
        memory
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        check();
        spent::forget(layout.size(), ptr as usize);
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
        spent::forget(layout.size(), ptr as usize);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_on_a_marked_thread_is_a_fault() {
        // On its own thread, so that the mark does not outlive the test.
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
