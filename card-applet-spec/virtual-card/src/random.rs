//! The card's random source: the system's, stretched; or a given seed, so that two runs of one card answer alike.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_core::{Rng, TryCryptoRng, TryRng};

/// A card's random source. Clones are the same source.
#[derive(Clone)]
pub struct CardRandom {
    source: Arc<Mutex<StdRng>>,
    seed: Option<[u8; 32]>,
}

impl fmt::Debug for CardRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardRandom")
            .field("seeded", &self.seed.is_some())
            .finish_non_exhaustive()
    }
}

impl CardRandom {
    /// A source that starts from 32 bytes of the given one.
    pub fn from_source(source: &mut impl rand_core::CryptoRng) -> Self {
        let mut seed = [0; 32];
        source.fill_bytes(&mut seed);
        Self {
            source: Arc::new(Mutex::new(StdRng::from_seed(seed))),
            seed: None,
        }
    }

    /// A source that repeats itself from each power-on: only for comparing what two cards answer.
    #[must_use]
    pub fn repeating(seed: [u8; 32]) -> Self {
        Self {
            source: Arc::new(Mutex::new(StdRng::from_seed(seed))),
            seed: Some(seed),
        }
    }

    /// The card was powered.
    pub(crate) fn powered(&self) {
        if let Some(seed) = self.seed {
            *self.source.lock().unwrap_or_else(PoisonError::into_inner) = StdRng::from_seed(seed);
        }
    }
}

impl TryRng for CardRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self
            .source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self
            .source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next_u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill_bytes(out);
        Ok(())
    }
}

impl TryCryptoRng for CardRandom {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_source_repeats_from_each_power_on_and_no_other_does() {
        let draw = |mut random: CardRandom| {
            random.powered();
            random.next_u64()
        };
        let seeded = CardRandom::repeating([7; 32]);
        assert_eq!(draw(seeded.clone()), draw(seeded));
        let free = CardRandom::from_source(&mut StdRng::from_seed([7; 32]));
        assert_ne!(draw(free.clone()), draw(free));
    }
}
