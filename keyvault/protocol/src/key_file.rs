//! Keys by which the ends of a channel are known, and their files: PKCS #8 in DER (RFC 5958 around RFC 5915), as OpenSSL and TLS
//! libraries read it, for the eyes of its user alone.
//!
//! The vault's transport key, the keys of services and of auditors. Left out: a key in a TPM; a passphrase, which officers' keys
//! have and a service that starts by itself cannot type.

use std::path::Path;

use getrandom::SysRng;
use p256::SecretKey;
use p256::ecdsa::SigningKey;
use program_contract::file;
use rand_core::{CryptoRng, UnwrapErr};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::sealed::{fresh_key, point_of};
use crate::wire::PointBytes;

/// Before the secret: a private key of id-ecPublicKey on prime256v1.
const HEAD: [u8; 36] = [
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
    0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x04, 0x6D, 0x30, 0x6B, 0x02, 0x01, 0x01,
    0x04, 0x20,
];
/// Between the secret and the public point.
const MIDDLE: [u8; 5] = [0xA1, 0x44, 0x03, 0x42, 0x00];
/// Length of the file.
const LEN: usize = HEAD.len() + 32 + MIDDLE.len() + 65;

/// A P-256 key by which one end of a channel is known. Wiped on drop, never printed.
#[derive(Clone)]
pub struct ChannelKey {
    der: Zeroizing<Vec<u8>>,
    public: PointBytes,
}

impl std::fmt::Debug for ChannelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChannelKey(..)")
    }
}

impl From<&SecretKey> for ChannelKey {
    fn from(key: &SecretKey) -> Self {
        let public = point_of(&key.public_key());
        let mut der = Zeroizing::new(Vec::with_capacity(LEN));
        der.extend_from_slice(&HEAD);
        der.extend_from_slice(Zeroizing::new(key.to_bytes()).as_slice());
        der.extend_from_slice(&MIDDLE);
        der.extend_from_slice(&public);
        Self { der, public }
    }
}

impl ChannelKey {
    /// A key that nobody knows, for whoever only reads the status.
    #[must_use]
    pub fn fresh() -> Self {
        Self::generate(&mut UnwrapErr(SysRng))
    }

    /// A new key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::from(&fresh_key(rng))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PointBytes {
        self.public
    }

    /// The key for what is signed outside of a channel: orders, requests.
    ///
    /// # Errors
    /// [`Error::KeyFile`], which does not happen for a key that was made or read.
    pub fn signer(&self) -> Result<SigningKey, Error> {
        SigningKey::from_slice(&self.der[HEAD.len()..HEAD.len() + 32]).map_err(|_| Error::KeyFile)
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Takes the bytes of a file. All of it is fixed by the secret: a changed byte anywhere is found.
    ///
    /// # Errors
    /// [`Error::KeyFile`].
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, Error> {
        let secret = der.get(HEAD.len()..HEAD.len() + 32).ok_or(Error::KeyFile)?;
        let key = SecretKey::from_slice(secret).map_err(|_| Error::KeyFile)?;
        let key = Self::from(&key);
        if *key.der == der {
            Ok(key)
        } else {
            Err(Error::KeyFile)
        }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// That of the file system; `InvalidData` for a file that is no key, or was changed.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let bytes = Zeroizing::new(file::read(path, LEN as u64)?);
        Self::from_der(&bytes).map_err(|_| std::io::ErrorKind::InvalidData.into())
    }

    /// Writes a new key file, mode 0600; one that is there is never replaced.
    ///
    /// # Errors
    /// That of the file system.
    pub fn save_new(&self, path: &Path) -> std::io::Result<()> {
        file::create(path, &self.der, file::PRIVATE)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_key_file_is_the_same_key_again_and_a_changed_one_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.key");
        let key = ChannelKey::generate(&mut StdRng::seed_from_u64(1));
        key.save_new(&path).unwrap();
        assert!(key.save_new(&path).is_err());
        assert_eq!(ChannelKey::read(&path).unwrap().public(), key.public());
        let good = std::fs::read(&path).unwrap();
        assert_eq!(good.len(), LEN);
        for at in 0..LEN {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(ChannelKey::from_der(&changed).is_err(), "byte {at}");
        }
        for length in 0..LEN {
            assert!(ChannelKey::from_der(&good[..length]).is_err(), "{length} bytes");
        }
        std::fs::write(&path, [&good[..], b"more"].concat()).unwrap();
        assert!(ChannelKey::read(&path).is_err());
    }

    #[test]
    fn openssl_reads_the_file_as_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.key");
        let key = ChannelKey::generate(&mut StdRng::seed_from_u64(2));
        key.save_new(&path).unwrap();
        let output = Command::new("openssl")
            .args(["pkey", "-inform", "DER", "-pubout", "-outform", "DER", "-in"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(output.stdout.ends_with(&key.public()), "{output:?}");
    }
}
