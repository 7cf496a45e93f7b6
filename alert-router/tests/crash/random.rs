//! Random numbers that a seed repeats.

use std::hash::{BuildHasher, Hasher, RandomState};

/// splitmix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed in a variable of the environment, else another one each time.
    pub(crate) fn seed() -> u64 {
        super::number("CRASH_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish())
    }

    /// Another stream of numbers, for a thread of its own.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    /// Of `from..to`.
    pub(crate) const fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    /// Once in so many times.
    pub(crate) const fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    pub(crate) fn one_of<'a, T>(&mut self, values: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(values.len()).ok().filter(|it| *it > 0)?;
        values.get(usize::try_from(self.next() % count).ok()?)
    }
}
