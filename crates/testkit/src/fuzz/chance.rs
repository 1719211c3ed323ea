//! Where choices come from: a splitmix64 stream, so that one seed is one run.

/// A stream of pseudo-random numbers.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// The stream of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if there is none.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.bits() % bound.max(1) as u64).unwrap_or(0)
    }

    /// True once in `times` on average.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One byte.
    pub(super) fn byte(&mut self) -> u8 {
        self.bits().to_le_bytes()[0]
    }

    /// A small number, the smaller the likelier: 0 to `max`.
    pub(super) fn small(&mut self, max: usize) -> usize {
        let bound = self.below(max + 1) + 1;
        self.below(bound)
    }

    /// One of the elements, if there are any.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// A range within `len` bytes, short ones likelier.
    pub(super) fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        let longest = if self.once_in(4) { len } else { 16 };
        let end = (start + self.below(longest + 1)).min(len);
        start..end
    }
}
