//! Keys of photos: made and wrapped by the vault, used by the photo store, bound to one photo, profile and version.

use std::fmt;

use minicbor::{Decode, Encode};
use service_contract::{Caller, Journal, Kind, Operation, Policy};

use crate::ceiling::Counted;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What a photo's data key is for; it is authenticated in the wrapping, so a wrapped key opens for this photo only.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PhotoKeyContext {
    /// The photo, as 16 bytes of its UUID.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub photo_id: [u8; 16],
    /// The person, as 16 bytes of an opaque number; never a citizen number.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub person: [u8; 16],
    /// The profile: `original`, `ga461`, `print`, `chip` or `thumb`. At most 32 bytes.
    #[n(2)]
    pub profile: String,
    /// Version of the photo, from 1.
    #[n(3)]
    pub version: u32,
}

/// A data key of 32 bytes (AES-256), wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DataKey([u8; 32]);

impl DataKey {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key itself, for a cipher.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for DataKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for DataKey {}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// A data key under the vault's photo key-encryption key; store it beside the photo.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WrappedKey {
    #[cbor(n(0), with = "minicbor::bytes")]
    bytes: Vec<u8>,
}

impl WrappedKey {
    /// Takes stored bytes back.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The bytes to store. Version byte first.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Makes a data key for one photo: the key to use now, and its wrapping to store.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PhotoKeyNew(#[n(0)] pub PhotoKeyContext);

impl Operation for PhotoKeyNew {
    type Answer = SealedPhotoKey;
    const POLICY: Policy = Policy::of(&[Caller::PhotoStore], Journal::Before)
        .only(Kind::Service)
        .ceiling(
            Counted::NewPhotoKeys.name(),
            Some(Counted::NewPhotoKeys.per_day()),
        );
    const DOORS: &'static [&'static str] = &["photo-store serve"];
}

/// Opens a wrapped data key under the context that it was made for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PhotoKeyOpen {
    /// What the key is for.
    #[n(0)]
    pub context: PhotoKeyContext,
    /// The wrapped key.
    #[n(1)]
    pub wrapped: WrappedKey,
}

impl Operation for PhotoKeyOpen {
    type Answer = SealedPhotoKey;
    const POLICY: Policy = Policy::of(&[Caller::PhotoStore], Journal::Before)
        .only(Kind::Service)
        .ceiling(
            Counted::OpenedPhotoKeys.name(),
            Some(Counted::OpenedPhotoKeys.per_day()),
        )
        .idempotent();
    const DOORS: &'static [&'static str] = &["photo-store serve"];
}

/// A data key on its way: sealed to the client's key, with its wrapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPhotoKey {
    /// The key, sealed.
    pub sealed: Vec<u8>,
    /// The wrapping to store.
    pub wrapped: WrappedKey,
}
