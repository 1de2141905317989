//! The level that no limiter exceeds.

/// Ceiling of all outputs: −0.3 dBFS, as a linear value.
pub const CEILING: f32 = 0.966_050_9;
