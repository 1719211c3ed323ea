//! The walker's chance: one generator, so that a seed is a walk.

/// `SplitMix64`; the same everywhere and for ever.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give neighbouring walks.
        let mut dice = Self(seed ^ 0x6a09_e667_f3bc_c908);
        dice.roll();
        dice
    }

    #[inline]
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `[0, bound)`, by multiplication: a division would cost more than all the rest.
    #[inline]
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        debug_assert!(bound > 0, "an empty range has no numbers");
        let high = self.roll() >> 32;
        usize::try_from((high * bound as u64) >> 32).unwrap_or(0)
    }

    /// True once in `times` on average.
    #[inline]
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// An index with these weights; at least one must not be 0.
    pub(crate) fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (at, weight) in weights.iter().enumerate() {
            if left < *weight {
                return at;
            }
            left -= weight;
        }
        weights.len() - 1
    }
}
