//! Numbers that a seed decides.

use std::ops::Range;
use std::time::Duration;

/// `SplitMix64`: small, and good enough to choose by.
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The numbers of one run of a soak: they depend on nothing that another run does.
    #[must_use]
    pub fn of_run(seed: u64, number: usize) -> Self {
        let mut random = Self(seed);
        let start = random.next() ^ u64::try_from(number).unwrap_or(u64::MAX);
        Self(start)
    }

    /// The next number. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would be endless, and takes `choose` for its own"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a usize has at most 64 bits");
        usize::try_from(self.next() % limit).expect("it is below a usize")
    }

    /// One of several.
    ///
    /// # Panics
    /// There is none.
    pub fn choose<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A time of whole milliseconds.
    pub fn time(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.next() % (range.end - range.start))
    }
}
