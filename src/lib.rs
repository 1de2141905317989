//! grooved: a sound appliance's firmware as a library.

pub mod control;
pub mod dsp;
pub mod engine;
pub mod media;
pub mod output;
pub mod system;

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: system::guard::GuardedAllocator = system::guard::GuardedAllocator;
