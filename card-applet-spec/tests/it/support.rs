//! What the tests share: hex texts, and a random source that repeats itself.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// Bytes of a hex text. Panics on anything else: the texts are part of the tests.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// A random source that gives the same bytes in every run.
pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}
