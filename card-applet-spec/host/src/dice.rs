//! The card's random source: repeats itself, and tells the meter how much is drawn.

use std::convert::Infallible;

#[cfg(feature = "meter")]
use card_applet_spec::meter::{Operation, report};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_core::{Rng, TryCryptoRng, TryRng};

/// The card's random source: repeats itself, and tells the meter how much is drawn.
#[derive(Debug)]
pub struct Dice(StdRng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        drawn(4);
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        drawn(8);
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        drawn(out.len());
        self.0.fill_bytes(out);
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

#[cfg(feature = "meter")]
fn drawn(bytes: usize) {
    report(Operation::Random { bytes });
}

#[cfg(not(feature = "meter"))]
const fn drawn(_bytes: usize) {}
