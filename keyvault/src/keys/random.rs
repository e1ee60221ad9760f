//! The random source of the programs: the operating system's, watched while it runs; and what is drawn for one value ([`Hedged`]), which
//! differs where the value does, whatever a copied machine's source repeats (claim K7).
//!
//! A draw of at least 16 bytes that begins as the one before did ends the process (the continuous test of FIPS 140-2, 4.9.2,
//! over 128 bits: chance does that once in 2^128 draws). Only a digest of the last draw is kept, because draws are keys. Left out:
//! health tests on raw noise (SP 800-90B), which the kernel's source does not show.

use std::convert::Infallible;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand_core::{CryptoRng, TryCryptoRng, TryRng, UnwrapErr};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::Error;
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

/// A source for one value, which a receiver's box is made with: HKDF-Expand (RFC 5869) of `HMAC-SHA-256(key, fresh random ||
/// SHA-256 of each part)`. It repeats itself where the source does, and key and parts are the same.
pub(crate) struct Hedged {
    key: Hmac<Sha256>,
    block: Zeroizing<[u8; 32]>,
    used: usize,
    count: u32,
}

impl Hedged {
    /// For the value of these parts, under a key that nobody else has.
    pub(crate) fn of(
        key: &[u8; 32],
        parts: &[&[u8]],
        source: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, Error> {
        let mut fresh = Zeroizing::new([0; 32]);
        source.fill_bytes(&mut *fresh);
        let mut extracted = keyed(key)?;
        extracted.update(&*fresh);
        for part in parts {
            extracted.update(&Sha256::digest(part));
        }
        Ok(Self {
            key: keyed(&extracted.finalize().into_bytes().into())?,
            block: Zeroizing::new([0; 32]),
            used: 32,
            count: 0,
        })
    }

    fn next(&mut self) -> u8 {
        if self.used == self.block.len() {
            let mut block = self.key.clone();
            block.update(&self.count.to_be_bytes());
            *self.block = block.finalize().into_bytes().into();
            (self.used, self.count) = (0, self.count.wrapping_add(1));
        }
        let byte = self.block.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        byte
    }
}

fn keyed(key: &[u8; 32]) -> Result<Hmac<Sha256>, Error> {
    Hmac::new_from_slice(key).map_err(|_| Error::SelfTestFailed {
        what: "HMAC takes a key of 32 bytes",
    })
}

impl TryRng for Hedged {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(std::array::from_fn(|_| self.next())))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(std::array::from_fn(|_| self.next())))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill_with(|| self.next());
        Ok(())
    }
}

impl TryCryptoRng for Hedged {}

#[cfg(test)]
pub(crate) mod tests {
    use rand_core::Rng as _;

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

    #[test]
    fn what_is_drawn_for_a_value_is_another_for_another_value_key_or_draw() {
        let drawn = |key: u8, parts: &[&[u8]], byte: u8| {
            let mut source = Standing { byte, step: 1 };
            let mut hedged = Hedged::of(&[key; 32], parts, &mut source).unwrap();
            let mut out = [0; 100];
            hedged.fill_bytes(&mut out[..7]);
            hedged.fill_bytes(&mut out[7..]);
            out
        };
        let parts: &[&[u8]] = &[b"receiver", b"value"];
        let one = drawn(1, parts, 9);
        assert_eq!(one, drawn(1, parts, 9));
        for (a, b) in one.chunks(32).zip(one[32..].chunks(32)) {
            assert_ne!(a, b);
        }
        for other in [
            drawn(2, parts, 9),
            drawn(1, parts, 10),
            drawn(1, &[b"receiver", b"valuf"], 9),
            drawn(1, &[b"receives", b"value"], 9),
            drawn(1, &[b"receiver"], 9),
        ] {
            for (a, b) in one.chunks(12).zip(other.chunks(12)) {
                assert_ne!(a, b);
            }
        }
    }
}
