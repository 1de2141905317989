//! A sliding stretch of a two-channel timeline.

/// Frames `origin..filled` of a timeline that only ever grows at its end. Realtime: yes, but for [`Window::new`].
///
/// The frames lie together in memory; when the buffer is full, what is no longer needed is dropped from its front.
#[derive(Debug)]
pub struct Window {
    origin: i64,
    filled: i64,
    left: Box<[f32]>,
    right: Box<[f32]>,
}

impl Window {
    /// A window with room for `capacity` frames, empty. Realtime: no (allocates and touches every page).
    pub fn new(capacity: usize) -> Window {
        let mut window = Window {
            origin: 0,
            filled: 0,
            left: vec![0.0; capacity].into_boxed_slice(),
            right: vec![0.0; capacity].into_boxed_slice(),
        };
        // An allocator may hand out zeroed pages that do not exist yet; the audio thread must not be the one to
        // fault them in.
        window.left.fill(std::hint::black_box(f32::MIN_POSITIVE));
        window.right.fill(std::hint::black_box(f32::MIN_POSITIVE));
        window
    }

    /// Starts over, empty, at frame `at`.
    pub fn restart(&mut self, at: i64) {
        self.origin = at;
        self.filled = at;
    }

    /// The first frame that is still there.
    pub fn origin(&self) -> i64 {
        self.origin
    }

    /// The frame after the last one.
    pub fn filled(&self) -> i64 {
        self.filled
    }

    /// Frames it can hold.
    pub fn capacity(&self) -> usize {
        self.left.len()
    }

    /// Room for the next `frames` frames (silent at first), which count as filled from now on; frames before `keep`
    /// may be dropped for it. Should even that not suffice, more is dropped: the newest frames are the ones kept.
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

    /// Frames `from..from + frames` of both channels, or as many of them as are there.
    pub fn get(&self, from: i64, frames: usize) -> (&[f32], &[f32]) {
        let from = from.clamp(self.origin, self.filled);
        let start = (from - self.origin) as usize;
        let end = (start + frames).min((self.filled - self.origin) as usize);
        (&self.left[start..end], &self.right[start..end])
    }

    /// One frame; silence where there is none.
    #[inline]
    pub fn frame(&self, at: i64) -> (f32, f32) {
        if at < self.origin || at >= self.filled {
            return (0.0, 0.0);
        }
        let at = (at - self.origin) as usize;
        (self.left[at], self.right[at])
    }

    /// Both channels' memory.
    pub fn planes(&self) -> [&[f32]; 2] {
        [&self.left, &self.right]
    }

    /// Whether all of `from..from + frames` is there.
    pub fn holds(&self, from: i64, frames: usize) -> bool {
        from >= self.origin && from + frames as i64 <= self.filled
    }

    /// Frames from `from` on to the window's end, to be written.
    pub fn tail_mut(&mut self, from: i64) -> (&mut [f32], &mut [f32]) {
        let start = (from.clamp(self.origin, self.filled) - self.origin) as usize;
        let end = (self.filled - self.origin) as usize;
        (&mut self.left[start..end], &mut self.right[start..end])
    }
}
