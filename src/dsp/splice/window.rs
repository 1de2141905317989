//! A sliding window on a two-channel timeline.

/// Frames `origin..filled` of a timeline that only ever grows at its end. Realtime: yes, except [`Window::new`].
///
/// The frames are contiguous in memory; when the buffer is full, frames no longer needed are dropped from its front.
#[derive(Debug)]
pub struct Window {
    origin: i64,
    filled: i64,
    left: Box<[f32]>,
    right: Box<[f32]>,
}

impl Window {
    /// Creates an empty window with room for `capacity` frames. Realtime: no (allocates and touches every page).
    pub fn new(capacity: usize) -> Window {
        let mut window = Window {
            origin: 0,
            filled: 0,
            left: vec![0.0; capacity].into_boxed_slice(),
            right: vec![0.0; capacity].into_boxed_slice(),
        };
        // An allocator may return zeroed pages that are not mapped yet; the audio thread must not be the one to fault
        // them in.
        window.left.fill(std::hint::black_box(f32::MIN_POSITIVE));
        window.right.fill(std::hint::black_box(f32::MIN_POSITIVE));
        window
    }

    /// Restarts, empty, at frame `at`.
    pub fn restart(&mut self, at: i64) {
        self.origin = at;
        self.filled = at;
    }

    /// Returns the first frame held.
    pub fn origin(&self) -> i64 {
        self.origin
    }

    /// Returns one past the last frame held.
    pub fn filled(&self) -> i64 {
        self.filled
    }

    /// Returns the number of frames it can hold.
    pub fn capacity(&self) -> usize {
        self.left.len()
    }

    /// Appends `frames` silent frames and returns them for writing; frames before `keep` may be dropped to make room.
    /// If even that does not suffice, more is dropped: the newest frames are kept.
    pub fn extend(&mut self, frames: usize, keep: i64) -> (&mut [f32], &mut [f32]) {
        let capacity = self.left.len();
        let frames = frames.min(capacity);
        let mut used = (self.filled - self.origin) as usize;
        if used + frames > capacity {
            let least = self.origin + (used + frames - capacity) as i64;
            let from = keep.clamp(least, self.filled.max(least));
            let drop = ((from - self.origin) as usize).min(used);
            self.left.copy_within(drop..used, 0);
            self.right.copy_within(drop..used, 0);
            self.origin += drop as i64;
            used -= drop;
        }
        self.filled += frames as i64;
        let range = used..used + frames;
        let (left, right) = (&mut self.left[range.clone()], &mut self.right[range]);
        left.fill(0.0);
        right.fill(0.0);
        (left, right)
    }

    /// Returns frames `from..from + frames` of both channels, or those of them that are held.
    pub fn get(&self, from: i64, frames: usize) -> (&[f32], &[f32]) {
        let from = from.clamp(self.origin, self.filled);
        let start = (from - self.origin) as usize;
        let end = (start + frames).min((self.filled - self.origin) as usize);
        (&self.left[start..end], &self.right[start..end])
    }

    /// Returns one frame; silence if it is not held.
    #[inline]
    pub fn frame(&self, at: i64) -> (f32, f32) {
        if at < self.origin || at >= self.filled {
            return (0.0, 0.0);
        }
        let at = (at - self.origin) as usize;
        (self.left[at], self.right[at])
    }

    /// Returns both channels' memory.
    pub fn planes(&self) -> [&[f32]; 2] {
        [&self.left, &self.right]
    }

    /// Returns whether all of `from..from + frames` is held.
    pub fn holds(&self, from: i64, frames: usize) -> bool {
        from >= self.origin && from + frames as i64 <= self.filled
    }

    /// Returns the frames from `from` to the window's end, for writing.
    pub fn tail_mut(&mut self, from: i64) -> (&mut [f32], &mut [f32]) {
        let start = (from.clamp(self.origin, self.filled) - self.origin) as usize;
        let end = (self.filled - self.origin) as usize;
        (&mut self.left[start..end], &mut self.right[start..end])
    }
}
