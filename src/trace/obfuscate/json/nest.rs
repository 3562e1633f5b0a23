//! The open objects and arrays, a bit for each: a body may be nesting alone.

/// A stack of bits.
#[derive(Debug, Default)]
pub(super) struct Nest {
    words: Vec<u64>,
    depth: usize,
}

impl Nest {
    /// Closes everything.
    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.depth = 0;
    }

    /// How many are open.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Whether the innermost one is an object; nothing where none is open.
    pub(super) fn is_object(&self) -> Option<bool> {
        let top = self.depth.checked_sub(1)?;
        let word = self.words.get(top / 64)?;
        Some(word >> (top % 64) & 1 == 1)
    }

    /// Opens an object or an array.
    pub(super) fn open(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if bit == 0 {
            self.words.truncate(word);
            self.words.push(0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word = *word & !(1 << bit) | u64::from(is_object) << bit;
        }
        self.depth += 1;
    }

    /// Closes the innermost one.
    pub(super) fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::Nest;

    #[test]
    fn what_was_opened_last_is_innermost() {
        let mut nest = Nest::default();
        assert_eq!((nest.depth(), nest.is_object()), (0, None));
        let is_object = |level: usize| level.is_multiple_of(3) || level % 64 == 63;
        (0..200).for_each(|level| nest.open(is_object(level)));
        for level in (70..200).rev() {
            assert_eq!((nest.depth(), nest.is_object()), (level + 1, Some(is_object(level))));
            nest.close();
        }
        (70..300).for_each(|level| nest.open(!is_object(level)));
        for level in (0..300).rev() {
            assert_eq!(nest.is_object(), Some(is_object(level) == (level < 70)), "{level}");
            nest.close();
        }
        nest.close();
        assert_eq!((nest.depth(), nest.is_object()), (0, None));
    }
}
