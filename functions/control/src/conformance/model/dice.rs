//! Choices from bytes: fewer and smaller bytes are simpler choices, which is what a failing case is shrunk to.

use proptest::prelude::*;

/// Bytes that one call is made of at most; where they end, every choice is the first one.
const BYTES: usize = 40;

/// A source of choices.
#[derive(Debug)]
pub(super) struct Dice(std::vec::IntoIter<u8>);

impl Dice {
    /// Something that is built from dice.
    pub(super) fn build<T: std::fmt::Debug + 'static>(build: impl Fn(&mut Self) -> T + 'static) -> BoxedStrategy<T> {
        let bytes = prop::collection::vec(any::<u8>(), BYTES);
        bytes.prop_map(move |bytes| build(&mut Self(bytes.into_iter()))).boxed()
    }

    /// A number below `bound`, at most 256.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.0.next().unwrap_or_default()) % bound.max(1)
    }

    /// Whether one of `of` turns up that is not the first.
    pub(super) fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == of.saturating_sub(1)
    }

    /// One of `all`, which is not empty.
    pub(super) fn one<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// Up to `most` of `all`.
    pub(super) fn some<T: Clone>(&mut self, all: &[T], most: usize) -> Vec<T> {
        let count = if all.is_empty() { 0 } else { self.below(most + 1) };
        (0..count).map(|_| self.one(all)).collect()
    }
}
