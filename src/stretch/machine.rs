//! The interface of stretchers.

/// A stretcher that is fed input and rendered step by step.
pub trait Machine: Send {
    /// Returns the input frame up to which (exclusive) it must be fed before [`Machine::render`].
    fn wants(&self, ideal: f64, speed: f64) -> i64;
    /// Returns the input frame up to which it has been fed.
    fn fed(&self) -> i64;
    /// Feeds the next frames.
    fn feed(&mut self, left: &[f32], right: &[f32]);
    /// Renders the next `left.len()` output frames (a few dozen: the speed is the same for all of them), given the
    /// input position (frames) and speed for the first of them.
    fn render(&mut self, ideal: f64, speed: f64, left: &mut [f32], right: &mut [f32]);
    /// Restarts: the input that comes next begins at frame `at`, the output at frame `now`, with input frame `play`.
    /// Earlier input is never heard, but shows whether the sound at `play` is an onset or continues.
    fn restart(&mut self, at: i64, play: i64, now: i64);
    /// Preserves formants although the result will be played `factor` times as fast; not all stretchers can.
    fn keep_formants(&mut self, factor: Option<f64>);
}
