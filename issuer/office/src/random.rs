//! The random source as an argument: `main` gives the operating system's, tests a seeded one.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand_core::{CryptoRng, SeedableRng as _};

/// A shared random source.
#[derive(Clone)]
pub struct Random(Arc<Mutex<dyn CryptoRng + Send>>);

impl Random {
    /// Shares `source`.
    #[must_use]
    pub fn new(source: impl CryptoRng + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(source)))
    }

    /// Random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // A thread that panicked while it drew bytes left the source usable.
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill_bytes(&mut bytes);
        bytes
    }

    /// A generator of its own for one session with a card, seeded from this source.
    #[must_use]
    pub fn session(&self) -> StdRng {
        StdRng::from_seed(self.bytes())
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Random(..)")
    }
}
