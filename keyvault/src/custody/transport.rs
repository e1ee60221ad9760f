//! The transport key: by it the vault is known, sealed or open, to whoever pinned its public half. Share envelopes pin it.
//!
//! A P-256 key in a file of the vault's own user, PKCS #8 in DER (RFC 5958 around RFC 5915), as OpenSSL and TLS libraries read it. It is
//! made at the founding and stays over restarts and restores. It proves little: who reads this file, the vault's own user and
//! root, can pose as the vault. Left out: a key in a TPM, and TLS with this key as its raw public key (RFC 7250).

use std::path::Path;

use keyvault_protocol::sealed::{fresh_key, point_of};
use keyvault_protocol::{Attempt, PointBytes, ProvedAttempt, SignatureBytes};
use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use program_contract::file;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::error::Error;

/// Name of the file in the vault's folder.
const FILE: &str = "transport.key";
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

const DAMAGED: Error = Error::Damaged {
    what: "the transport key",
};

/// The key, in memory while the process runs.
pub(crate) struct TransportKey {
    key: SigningKey,
    public: PointBytes,
}

impl std::fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TransportKey(..)")
    }
}

impl TransportKey {
    /// The key in `folder`; made where there is none, as in a vault that was founded before there were any.
    pub(crate) fn of(folder: &Path, rng: &mut impl CryptoRng) -> Result<Self, Error> {
        let path = folder.join(FILE);
        match file::read(&path, LEN as u64) {
            Ok(bytes) => Self::from_der(&Zeroizing::new(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = fresh_key(rng);
                let unavailable = |_| Error::StoreUnavailable {
                    what: "the transport key cannot be written",
                };
                file::create(&path, &to_der(&key), file::PRIVATE).map_err(unavailable)?;
                Ok(Self::new(&key))
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(Error::File {
                what: "the transport key",
                path: path.display().to_string(),
                kind: error.kind(),
            }),
            Err(_) => Err(DAMAGED),
        }
    }

    fn new(key: &SecretKey) -> Self {
        Self {
            public: point_of(&key.public_key()),
            key: SigningKey::from(key),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, Error> {
        let secret = der.get(HEAD.len()..HEAD.len() + 32).ok_or(DAMAGED)?;
        let key = SecretKey::from_slice(secret).map_err(|_| DAMAGED)?;
        // All of it is fixed by the secret: a changed byte anywhere is found.
        if *to_der(&key) == der {
            Ok(Self::new(&key))
        } else {
            Err(DAMAGED)
        }
    }

    /// The public half, which envelopes pin.
    pub(crate) fn public(&self) -> PointBytes {
        self.public
    }

    /// The attempt as the client on a connection gets it: with the proof that this vault began it.
    pub(crate) fn prove(&self, attempt: Attempt, vault: &[u8; 16], client_key: &PointBytes) -> ProvedAttempt {
        let signature: Signature = self.key.sign(&attempt.proved_bytes(vault, client_key));
        let proof: SignatureBytes = signature.to_bytes().into();
        ProvedAttempt { attempt, proof }
    }
}

fn to_der(key: &SecretKey) -> Zeroizing<Vec<u8>> {
    let mut der = Zeroizing::new(Vec::with_capacity(LEN));
    der.extend_from_slice(&HEAD);
    der.extend_from_slice(Zeroizing::new(key.to_bytes()).as_slice());
    der.extend_from_slice(&MIDDLE);
    der.extend_from_slice(&point_of(&key.public_key()));
    der
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_transport_key_is_made_once_and_stays_and_a_changed_one_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        let made = TransportKey::of(folder.path(), &mut rng).unwrap().public();
        assert_eq!(TransportKey::of(folder.path(), &mut rng).unwrap().public(), made);
        let path = folder.path().join(FILE);
        let good = std::fs::read(&path).unwrap();
        assert_eq!(good.len(), LEN);
        for at in 0..LEN {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert_eq!(
                TransportKey::from_der(&changed).unwrap_err(),
                DAMAGED,
                "byte {at}"
            );
        }
        for length in [0, 40, LEN - 1] {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(
                TransportKey::of(folder.path(), &mut rng).unwrap_err(),
                DAMAGED,
                "{length} bytes"
            );
        }
        std::fs::write(&path, [&good[..], b"more"].concat()).unwrap();
        assert_eq!(TransportKey::of(folder.path(), &mut rng).unwrap_err(), DAMAGED);
    }

    #[test]
    fn openssl_reads_the_file_as_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = TransportKey::of(folder.path(), &mut StdRng::seed_from_u64(2)).unwrap();
        let output = Command::new("openssl")
            .args(["pkey", "-inform", "DER", "-pubout", "-outform", "DER", "-in"])
            .arg(folder.path().join(FILE))
            .output()
            .unwrap();
        assert!(output.stdout.ends_with(&key.public()), "{output:?}");
    }
}
