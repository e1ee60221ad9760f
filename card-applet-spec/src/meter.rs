//! Counting of cryptographic operations, for the tap-time model and for tests that two cards do the same work.
//!
//! Compiled only with the feature `meter`, which no program of the office or of a terminal may turn on (a test over
//! `cargo tree` holds that). Without it the hooks in [`crate::crypto`] are not there. Left out on purpose: time. What an
//! operation costs on a chip is the model's business (`virtual-card taptime`).
//!
//! There is one observer a process, and it is a plain function. Where several cards run at once it keeps its counts in a
//! thread-local of its own.
//!
//! ```
//! use std::cell::Cell;
//!
//! use card_applet_spec::crypto::sha256;
//! use card_applet_spec::meter::{self, Observer, Operation};
//!
//! thread_local!(static HASHED: Cell<usize> = const { Cell::new(0) });
//! static OBSERVER: Observer = |operation| {
//!     if let Operation::Sha256 { bytes } = operation {
//!         HASHED.set(HASHED.get() + bytes);
//!     }
//! };
//!
//! assert!(meter::install(&OBSERVER));
//! let _ = sha256(&[b"abc"]);
//! assert_eq!(HASHED.get(), 3);
//! ```

use once_cell::race::OnceRef;
use sha2::{Digest, Sha256};

/// One use of a primitive. Lengths are bytes of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A key is about to be used. Reported before *each* use: a card that keeps a key set up pays for the first one only,
    /// so an observer counts different keys where it wants set-ups.
    KeySetup {
        /// Which key.
        key: KeyTag,
        /// For what.
        usage: KeyUsage,
    },
    /// One AES block by itself, either way.
    AesBlock,
    /// AES-CBC, either way.
    AesCbc {
        /// Whole blocks.
        bytes: usize,
    },
    /// AES-CMAC.
    Cmac {
        /// Of the message.
        bytes: usize,
    },
    /// SHA-256, when it is finished.
    Sha256 {
        /// Of the message.
        bytes: usize,
    },
    /// A check value in the card's own memory.
    MemoryCheck {
        /// Of what is checked.
        bytes: usize,
    },
    /// The card's random source gave bytes. Reported by whoever wraps the source; none of our primitives does.
    Random {
        /// Given.
        bytes: usize,
    },
    /// A public key is taken in, with the check that it is on the curve.
    SetPublicKey {
        /// Which key.
        key: KeyTag,
    },
    /// A P-256 key pair is made. Its draws of the random source come before it.
    EcKeyGeneration,
    /// P-256 ECDH, X coordinate.
    Ecdh,
    /// ECDSA, hashing included.
    EcdsaSign {
        /// Of the message.
        bytes: usize,
    },
    /// ECDSA, hashing included.
    EcdsaVerify {
        /// Of the message.
        bytes: usize,
    },
}

/// What a symmetric key is used for. On a Java Card the first two need a cipher object each; a MAC is made with that for
/// encryption, and with sub-keys that are made once for each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyUsage {
    /// Encrypting.
    Encrypt,
    /// Decrypting.
    Decrypt,
    /// AES-CMAC.
    Mac,
}

/// Tells keys apart without showing them: half of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyTag([u8; 16]);

impl KeyTag {
    /// The tag of a key.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(b"YZT-METER-1")
            .chain_update(key)
            .finalize();
        Self(digest.first_chunk().copied().unwrap_or_default())
    }
}

/// What is told of every operation, on the thread that does it.
pub type Observer = fn(Operation);

static OBSERVER: OnceRef<'static, Observer> = OnceRef::new();

/// Installs the observer of this process. False when another one is there already, which stays.
pub fn install(observer: &'static Observer) -> bool {
    OBSERVER.set(observer).is_ok() || OBSERVER.get().is_some_and(|there| core::ptr::eq(there, observer))
}

/// Tells the observer, if there is one. The primitives do it themselves; others do it for what they wrap.
pub fn report(operation: Operation) {
    if let Some(observer) = OBSERVER.get() {
        observer(operation);
    }
}
