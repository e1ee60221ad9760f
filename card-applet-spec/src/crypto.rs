//! The two primitives of the card, AES and P-256, as types that hold secrets well (RFC 4493, SP 800-38A, FIPS 186-5).
//! Records are AES-256-GCM and live in [`crate::record`]: the card itself never does GCM.

use core::fmt;

use aes::{Aes128, Aes256};
use cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit,
};
use cmac::{Cmac, Mac};
use ecdsa::hazmat::sign_prehashed_rfc6979;

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{FieldBytes, NistP256, SecretKey};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::bytes::Reader;
use crate::error::Error;

/// Tells the meter of an operation; without the feature there is nothing.
macro_rules! meter {
    ($($operation:tt)+) => {
        #[cfg(feature = "meter")]
        crate::meter::report(crate::meter::Operation::$($operation)+);
    };
}

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $len:literal, $aes:ty) => {
        $(#[$doc])*
        #[derive(Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Takes the bytes over; the caller's copy is the caller's to erase.
            #[must_use]
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The next bytes of `reader`, without a copy elsewhere.
            ///
            /// # Errors
            /// [`Error::Malformed`] when there are too few.
            pub fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
                let mut key = Self([0; $len]);
                key.0.copy_from_slice(reader.slice($len)?);
                Ok(key)
            }

            /// The bytes, for the one place that stores or wraps them.
            #[must_use]
            pub const fn expose(&self) -> &[u8; $len] {
                &self.0
            }

            /// A second owner of the same key. Named, not `Clone`, so that copies are seen in review.
            #[must_use]
            pub const fn duplicate(&self) -> Self {
                Self(self.0)
            }

            /// Tells the meter that this key is about to be used.
            #[cfg(feature = "meter")]
            fn metered(&self, usage: crate::meter::KeyUsage) {
                let key = crate::meter::KeyTag::of(&self.0);
                meter!(KeySetup { key, usage });
            }

            /// AES-CMAC over the concatenation of `parts`, 16 bytes.
            #[must_use]
            pub fn cmac(&self, parts: &[&[u8]]) -> [u8; 16] {
                #[cfg(feature = "meter")]
                self.metered(crate::meter::KeyUsage::Mac);
                meter!(Cmac { bytes: total(parts) });
                let mut mac = <Cmac<$aes> as KeyInit>::new(&Array(self.0));
                for part in parts {
                    mac.update(part);
                }
                mac.finalize().into_bytes().into()
            }

            /// One block through AES.
            #[must_use]
            pub fn encrypt_block(&self, block: [u8; 16]) -> [u8; 16] {
                #[cfg(feature = "meter")]
                self.metered(crate::meter::KeyUsage::Encrypt);
                meter!(AesBlock);
                let mut block = Array(block);
                <$aes>::new(&Array(self.0)).encrypt_block(&mut block);
                block.into()
            }

            /// One block back through AES.
            #[must_use]
            pub fn decrypt_block(&self, block: [u8; 16]) -> [u8; 16] {
                #[cfg(feature = "meter")]
                self.metered(crate::meter::KeyUsage::Decrypt);
                meter!(AesBlock);
                let mut block = Array(block);
                <$aes>::new(&Array(self.0)).decrypt_block(&mut block);
                block.into()
            }

            /// AES-CBC in place, no padding.
            ///
            /// # Errors
            /// [`Error::Malformed`] when `data` is not whole blocks.
            pub fn cbc_encrypt(&self, iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
                let (blocks, rest) = Array::slice_as_chunks_mut(data);
                if !rest.is_empty() {
                    return Err(Error::Malformed { what: "cipher text" });
                }
                #[cfg(feature = "meter")]
                self.metered(crate::meter::KeyUsage::Encrypt);
                meter!(AesCbc { bytes: blocks.len().saturating_mul(16) });
                cbc::Encryptor::<$aes>::new(&Array(self.0), &Array(*iv)).encrypt_blocks(blocks);
                Ok(())
            }

            /// AES-CBC back, in place, no padding.
            ///
            /// # Errors
            /// [`Error::Malformed`] when `data` is not whole blocks.
            pub fn cbc_decrypt(&self, iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
                let (blocks, rest) = Array::slice_as_chunks_mut(data);
                if !rest.is_empty() {
                    return Err(Error::Malformed { what: "cipher text" });
                }
                #[cfg(feature = "meter")]
                self.metered(crate::meter::KeyUsage::Decrypt);
                meter!(AesCbc { bytes: blocks.len().saturating_mul(16) });
                cbc::Decryptor::<$aes>::new(&Array(self.0), &Array(*iv)).decrypt_blocks(blocks);
                Ok(())
            }

            /// Key check value: the first 3 bytes of AES over sixteen bytes 01.
            #[must_use]
            pub fn kcv(&self) -> [u8; 3] {
                let [a, b, c, ..] = self.encrypt_block([0x01; 16]);
                [a, b, c]
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(secret)"))
            }
        }
    };
}

secret!(
    /// An AES-128 key.
    Key16, 16, Aes128
);
secret!(
    /// An AES-256 key: masters and record keys.
    Key32, 32, Aes256
);

/// SHA-256 over the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    meter!(Sha256 { bytes: total(parts) });
    digest(parts)
}

/// First 8 bytes of SHA-256 over the concatenation of `parts`: tells memory that was written whole from a torn write. It
/// keeps nobody out; a card whose platform has transactions needs none.
#[must_use]
pub fn memory_check(parts: &[&[u8]]) -> [u8; 8] {
    meter!(MemoryCheck { bytes: total(parts) });
    digest(parts).first_chunk().copied().unwrap_or_default()
}

/// SHA-256 as a part of another operation, which reports itself.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(feature = "meter")]
fn total(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

/// SHA-256 over bytes that come in parts, over several commands.
#[derive(Clone, Debug, Default)]
pub struct Hash {
    state: Sha256,
    #[cfg(feature = "meter")]
    bytes: usize,
}

impl Hash {
    /// Over nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, part: &[u8]) {
        self.state.update(part);
        #[cfg(feature = "meter")]
        {
            self.bytes = self.bytes.saturating_add(part.len());
        }
    }

    /// The digest.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        meter!(Sha256 { bytes: self.bytes });
        self.state.finalize().into()
    }
}

/// True when both are equal, in time that depends on their lengths only.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A P-256 public key that is on the curve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(p256::PublicKey);

impl PublicKey {
    /// From `X || Y`.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the point is not on the curve.
    pub fn from_public64(bytes: &[u8; 64]) -> Result<Self, Error> {
        let mut point = [0x04_u8; 65];
        let (_, xy) = point.split_at_mut(1);
        xy.copy_from_slice(bytes);
        Self::from_point65(&point)
    }

    /// From `04 || X || Y`.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the point is not on the curve or in another form.
    pub fn from_point65(bytes: &[u8; 65]) -> Result<Self, Error> {
        if bytes.first() != Some(&0x04) {
            return Err(Error::Crypto);
        }
        #[cfg(feature = "meter")]
        let key = crate::meter::KeyTag::of(bytes);
        meter!(SetPublicKey { key });
        p256::PublicKey::from_sec1_bytes(bytes)
            .map(Self)
            .map_err(|_| Error::Crypto)
    }

    /// `04 || X || Y`.
    #[must_use]
    pub fn to_point65(&self) -> [u8; 65] {
        let mut out = [0; 65];
        let point = self.0.to_sec1_point(false);
        // An uncompressed P-256 point has 65 bytes; zip cannot run over either.
        for (to, from) in out.iter_mut().zip(point.as_bytes()) {
            *to = *from;
        }
        out
    }

    /// `X || Y`.
    #[must_use]
    pub fn to_public64(&self) -> [u8; 64] {
        let point = self.to_point65();
        let mut out = [0; 64];
        for (to, from) in out.iter_mut().zip(point.iter().skip(1)) {
            *to = *from;
        }
        out
    }

    /// Checks an ECDSA signature `r || s` over SHA-256 of the concatenation of `parts`.
    ///
    /// # Errors
    /// [`Error::Crypto`] when it does not hold.
    pub fn verify(&self, parts: &[&[u8]], signature: &[u8; 64]) -> Result<(), Error> {
        meter!(EcdsaVerify { bytes: total(parts) });
        if self.holds(&digest(parts), signature) {
            Ok(())
        } else {
            Err(Error::Crypto)
        }
    }

    fn holds(&self, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| {
            VerifyingKey::from(&self.0)
                .verify_prehash(digest, &signature)
                .is_ok()
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.to_public64()
            .iter()
            .take(8)
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// Whether a signature `r || s` over a digest holds under a key.
pub type Check = fn(&PublicKey, &[u8; 32], &[u8; 64]) -> bool;

/// A P-256 private key, with its public half, which every use but bare ECDH needs. Erased on drop; never printed.
pub struct PrivateKey {
    secret: SecretKey,
    public: PublicKey,
    /// Who looks at a signature before it leaves.
    check: Check,
}

impl PrivateKey {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        // Rejection sampling: a uniform scalar below the group order, at most a handful of draws.
        loop {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            let key = SecretKey::from_slice(&bytes);
            bytes.zeroize();
            if let Ok(key) = key {
                meter!(EcKeyGeneration);
                return Self::of(key);
            }
        }
    }

    /// From 32 bytes, big endian.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the scalar is zero or not below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        SecretKey::from_slice(bytes)
            .map(Self::of)
            .map_err(|_| Error::Crypto)
    }

    /// From 32 bytes, big endian, with the public half that belongs to them, and with another implementation that looks at each
    /// signature before it leaves. A public half that does not belong to them signs nothing.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the scalar is zero or not below the group order.
    pub fn checked(bytes: &[u8; 32], public: PublicKey, check: Check) -> Result<Self, Error> {
        let secret = SecretKey::from_slice(bytes).map_err(|_| Error::Crypto)?;
        Ok(Self {
            secret,
            public,
            check,
        })
    }

    fn of(secret: SecretKey) -> Self {
        Self {
            public: PublicKey(secret.public_key()),
            secret,
            check: |public, digest, signature| public.holds(digest, signature),
        }
    }

    /// The 32 bytes, for the one place that stores them.
    #[must_use]
    pub fn expose(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.secret.to_bytes().into())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// ECDH: the X coordinate, 32 bytes.
    #[must_use]
    pub fn agree(&self, other: &PublicKey) -> zeroize::Zeroizing<[u8; 32]> {
        meter!(Ecdh);
        let scalar = zeroize::Zeroizing::new(self.secret.to_nonzero_scalar());
        let shared = p256::ecdh::diffie_hellman(*scalar, other.0.as_affine());
        zeroize::Zeroizing::new((*shared.raw_secret_bytes()).into())
    }

    /// Signs SHA-256 of the concatenation of `parts`: RFC 6979 hedged with fresh randomness; checked before it leaves.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the signature does not verify (a fault of the machine).
    pub fn sign(&self, parts: &[&[u8]], rng: &mut impl CryptoRng) -> Result<[u8; 64], Error> {
        meter!(EcdsaSign { bytes: total(parts) });
        let digest = digest(parts);
        let mut fresh = FieldBytes::default();
        rng.fill_bytes(&mut fresh);
        let scalar = zeroize::Zeroizing::new(self.secret.to_nonzero_scalar());
        let (signature, _) = sign_prehashed_rfc6979::<NistP256, Sha256>(&scalar, &digest, &fresh);
        let signature = signature.to_bytes().into();
        if (self.check)(&self.public, &digest, &signature) {
            Ok(signature)
        } else {
            Err(Error::Crypto)
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn rfc_4493_examples() {
        let key = Key16::new(hex!("2b7e151628aed2a6abf7158809cf4f3c"));
        assert_eq!(key.cmac(&[]), hex!("bb1d6929e95937287fa37d129b756746"));
        assert_eq!(
            key.cmac(&[&hex!("6bc1bee22e409f96e93d7e117393172a")]),
            hex!("070a16b46b4d4144f79bdd9dd04a287c")
        );
        let forty = hex!("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411");
        assert_eq!(
            key.cmac(&[&forty[..16], &forty[16..]]),
            hex!("dfa66747de9ae63030ca32611497c827")
        );
    }

    #[test]
    fn sp_800_38a_cbc_aes128() {
        let key = Key16::new(hex!("2b7e151628aed2a6abf7158809cf4f3c"));
        let iv = hex!("000102030405060708090a0b0c0d0e0f");
        let mut data = hex!("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        key.cbc_encrypt(&iv, &mut data).unwrap();
        assert_eq!(
            data,
            hex!("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2")
        );
        key.cbc_decrypt(&iv, &mut data).unwrap();
        assert_eq!(data[..16], hex!("6bc1bee22e409f96e93d7e117393172a"));
        assert!(key.cbc_encrypt(&iv, &mut [0; 17]).is_err());
    }

    #[test]
    fn a_hash_in_parts_is_the_hash_of_the_whole() {
        let mut hash = Hash::new();
        hash.update(b"ab");
        hash.update(b"c");
        assert_eq!(
            hash.clone().finish(),
            hex!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        hash.update(b"d");
        assert_eq!(hash.finish(), sha256(&[b"abcd"]));
    }

    /// RFC 6979 A.2.5: the scalar and its public key.
    #[test]
    fn a_signature_leaves_only_when_whoever_checks_it_says_that_it_holds() {
        let scalar = hex!("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
        let key = PrivateKey::from_bytes(&scalar).unwrap();
        let signed = |public, check: Check| {
            let mut rng = StdRng::seed_from_u64(1);
            PrivateKey::checked(&scalar, public, check)
                .unwrap()
                .sign(&[b"sample"], &mut rng)
        };
        let signature = signed(key.public(), |key, digest, signature| {
            key.holds(digest, signature)
        })
        .unwrap();
        key.public().verify(&[b"sample"], &signature).unwrap();
        assert_eq!(signed(key.public(), |_, _, _| true).unwrap(), signature);
        assert_eq!(signed(key.public(), |_, _, _| false), Err(Error::Crypto));
        let other = PrivateKey::from_bytes(&[1; 32]).unwrap().public();
        let own: Check = |key, digest, signature| key.holds(digest, signature);
        assert_eq!(signed(other, own), Err(Error::Crypto));
        assert!(PrivateKey::checked(&[0; 32], other, own).is_err());
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let mut point = [0x04; 65];
        assert_eq!(PublicKey::from_point65(&point), Err(Error::Crypto));
        point[0] = 0x02;
        assert_eq!(PublicKey::from_point65(&point), Err(Error::Crypto));
        assert_eq!(PublicKey::from_public64(&[0; 64]), Err(Error::Crypto));
    }
}
