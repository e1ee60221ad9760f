//! Key files of sample staff, with which a rehearsal signs in place of authenticators. Offices that are no rehearsal take none.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use issuer_mandate::{Assertion, Given, Mandate, MandateError, Relying, Signature, SignerRole, client_data};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature as Ecdsa, SigningKey};
use program_contract::file;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Origin of what is signed by a key file: no page is there, so that it is never taken for that of an authenticator.
pub const REHEARSAL_ORIGIN: &str = "http://rehearsal.localhost";

/// Present and verified: whoever plays the person pressed the button.
const FLAGS: u8 = 0x05;
/// A key file does not count.
const COUNTER: [u8; 4] = [0; 4];

/// A key of a rehearsal. Wiped on drop, never printed.
pub struct RehearsalKey(SigningKey);

impl RehearsalKey {
    /// The key of these 32 bytes; none where they are no scalar of the curve, once in 2^32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self)
    }

    /// Its public half, `04 || X || Y`.
    #[must_use]
    pub fn public_key(&self) -> [u8; 65] {
        let mut point = [0; 65];
        point.copy_from_slice(self.0.verifying_key().to_sec1_point(false).as_bytes());
        point
    }

    /// The id under which it is enrolled: SHA-256 of its public half.
    #[must_use]
    pub fn credential(&self) -> [u8; 32] {
        Sha256::digest(self.public_key()).into()
    }

    /// Signs a mandate.
    ///
    /// # Errors
    /// [`MandateError::Form`] for bytes that are none.
    pub fn sign(&self, mandate: &[u8]) -> Result<Given, MandateError> {
        Mandate::decode(mandate)?;
        self.assert(&Mandate::digest(mandate))
    }

    fn assert(&self, challenge: &[u8; 32]) -> Result<Given, MandateError> {
        let page = Relying::at(REHEARSAL_ORIGIN)?;
        let client_data = format!("{}}}", client_data(challenge, &page)).into_bytes();
        let mut authenticator_data = page.party_hash().to_vec();
        authenticator_data.push(FLAGS);
        authenticator_data.extend_from_slice(&COUNTER);
        let hash = Sha256::digest(&client_data);
        let signature: Ecdsa = self.0.sign(&[&authenticator_data[..], &hash[..]].concat());
        Ok(Given {
            credential: self.credential().to_vec(),
            signature: Signature {
                assertion: Assertion {
                    client_data,
                    authenticator_data,
                    signature: signature.to_der().as_bytes().to_vec(),
                },
                proof: None,
            },
        })
    }
}

impl fmt::Debug for RehearsalKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RehearsalKey(..)")
    }
}

/// The folder of a rehearsal's key files: one for each person and role, 64 hexadecimal digits, mode 0600.
#[derive(Debug, Clone)]
pub struct RehearsalKeys(PathBuf);

impl RehearsalKeys {
    /// Those in this folder.
    #[must_use]
    pub const fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The key of a person in a role.
    ///
    /// # Errors
    /// The file; [`io::ErrorKind::InvalidData`] for one that holds no key.
    pub fn of(&self, account: &str, role: SignerRole) -> io::Result<RehearsalKey> {
        let text = Zeroizing::new(file::read_text(&self.path(account, role)?, 128)?);
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), &mut *bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        RehearsalKey::from_bytes(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The same, made of these bytes where there is none. The folder is there.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_or_new(&self, account: &str, role: SignerRole, drawn: &[u8; 32]) -> io::Result<RehearsalKey> {
        match self.of(account, role) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = RehearsalKey::from_bytes(drawn).ok_or(io::ErrorKind::InvalidData)?;
                let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(hex::encode(drawn))));
                file::create(&self.path(account, role)?, text.as_bytes(), file::PRIVATE)?;
                Ok(key)
            }
            found => found,
        }
    }

    /// Accounts have letters of the alphabet, digits, dots and dashes, and begin with a letter: none leads out of the folder.
    fn path(&self, account: &str, role: SignerRole) -> io::Result<PathBuf> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if !account.starts_with(|first: char| first.is_ascii_lowercase()) || !account.bytes().all(plain) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let role = match role {
            SignerRole::Approver => "approver",
            _ => "reviewer",
        };
        Ok(Path::new(&self.0).join(format!("{account}.{role}.key")))
    }
}
