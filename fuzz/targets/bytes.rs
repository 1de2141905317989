//! Bytes as a source of choices, for targets whose input is a sequence of actions. After the end, zeros follow.

/// The remaining bytes.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    /// Returns true while unused bytes remain.
    pub fn more(&self) -> bool {
        !self.0.is_empty()
    }

    /// Takes the next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Takes the next `N` bytes as a number.
    pub fn number<const N: usize>(&mut self) -> u64 {
        (0..N).fold(0, |sum, _| sum << 8 | u64::from(self.byte()))
    }

    /// Takes a number below `count`, which is at most 65 536; 0 if `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        let number = if count > 256 { self.number::<2>() } else { self.number::<1>() };
        number as usize % count.max(1)
    }

    /// Takes one of the choices.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
