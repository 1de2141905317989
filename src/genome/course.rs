//! Whether a render goes on, and why not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::fault::Fault;

/// What the nodes of one render share: whether it goes on, and why not.
pub struct Course {
    /// Set from outside when nobody wants the sound any more.
    stop: Arc<AtomicBool>,
    ended: AtomicBool,
    fault: Mutex<Option<Fault>>,
}

impl Course {
    pub fn new(stop: Arc<AtomicBool>) -> Self {
        Self { stop, ended: AtomicBool::new(false), fault: Mutex::new(None) }
    }

    /// Whether nobody wants the sound any more.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Ends the render; the first reason counts.
    pub fn end(&self, fault: Fault) {
        let mut slot = self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        slot.get_or_insert(fault);
        self.ended.store(true, Ordering::Release);
    }

    /// Marks the render as done, so that its workers end.
    pub fn close(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether the render has ended or is to end.
    pub fn is_over(&self) -> bool {
        self.is_stopped() || self.has_ended()
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Why the render ended early.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
