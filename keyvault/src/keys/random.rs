//! The random source of the programs: the operating system's, watched while it runs.
//!
//! A draw of at least 16 bytes that begins as the one before did ends the process (the continuous test of FIPS 140-2, 4.9.2,
//! over 128 bits: chance does that once in 2^128 draws). Only a digest of the last draw is kept, because draws are keys. Left out:
//! health tests on raw noise (SP 800-90B), which the kernel's source does not show.

use rand_core::{TryCryptoRng, TryRng, UnwrapErr};
use sha2::{Digest, Sha256};

use crate::open::transaction::Random;

/// The operating system's source, watched.
#[must_use]
pub fn source() -> Random {
    Box::new(UnwrapErr(Watched {
        source: getrandom::SysRng,
        last: None,
    }))
}

/// Fewer bytes may be the same by chance.
const COMPARED: usize = 16;

struct Watched<R> {
    source: R,
    last: Option<[u8; 32]>,
}

/// The source gave nothing, or the same twice.
#[derive(Debug, thiserror::Error)]
enum Fault<E> {
    #[error("the random source fails")]
    Source(E),
    #[error("the random source stands still")]
    StandsStill,
}

impl<R: TryRng> TryRng for Watched<R>
where
    R::Error: std::error::Error + 'static,
{
    type Error = Fault<R::Error>;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.source.try_next_u32().map_err(Fault::Source)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.source.try_next_u64().map_err(Fault::Source)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        self.source.try_fill_bytes(out).map_err(Fault::Source)?;
        if let Some((first, _)) = out.split_at_checked(COMPARED) {
            let digest = Sha256::digest(first).into();
            if self.last.replace(digest) == Some(digest) {
                out.fill(0);
                return Err(Fault::StandsStill);
            }
        }
        Ok(())
    }
}

impl<R: TryCryptoRng> TryCryptoRng for Watched<R> where R::Error: std::error::Error + 'static {}

#[cfg(test)]
pub(crate) mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A source whose bytes are all the same; the next draw's are `step` more.
    pub(crate) struct Standing {
        pub(crate) byte: u8,
        pub(crate) step: u8,
    }

    impl TryRng for Standing {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(self.byte.into())
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(self.byte.into())
        }

        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
            out.fill(self.byte);
            self.byte = self.byte.wrapping_add(self.step);
            Ok(())
        }
    }

    impl TryCryptoRng for Standing {}

    #[test]
    fn a_draw_that_begins_as_the_last_one_did_is_not_given() {
        let mut good = Watched {
            source: getrandom::SysRng,
            last: None,
        };
        let mut out = [0; 40];
        for _ in 0..100 {
            good.try_fill_bytes(&mut out).unwrap();
        }
        for (length, is_found) in [(8, false), (16, true), (32, true)] {
            let mut stuck = Watched {
                source: Standing { byte: 9, step: 0 },
                last: None,
            };
            let mut out = vec![0; length];
            stuck.try_fill_bytes(&mut out).unwrap();
            assert_eq!(stuck.try_fill_bytes(&mut out).is_err(), is_found, "{length}");
            assert!(!is_found || out.iter().all(|byte| *byte == 0));
        }
    }
}
