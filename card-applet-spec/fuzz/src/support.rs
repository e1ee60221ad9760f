//! The host of the card's own tests, for cards that a fuzzer plays with: nothing is watched, the random source is plain.

use rand::SeedableRng;
use rand::rngs::StdRng;

#[path = "../../applet/tests/support/host.rs"]
mod host;
pub(crate) use host::*;

/// The cards' random source.
pub(crate) type Dice = StdRng;

fn dice(seed: u64) -> Dice {
    StdRng::seed_from_u64(seed)
}

const fn has_read(_bytes: usize) {}

const fn has_written(_bytes: usize) {}
