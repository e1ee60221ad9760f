//! Sealed boxes to receivers outside (card specification, chapter 08).

use card_applet_spec::crypto::PublicKey;
use card_applet_spec::sealed_box;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::error::{Error, fault};

/// Seals the first `used` bytes to the receiver.
pub(crate) fn boxed(
    magic: [u8; 4],
    receiver: &PublicKey,
    mut plain: Zeroizing<Vec<u8>>,
    used: usize,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, Error> {
    let message = plain.get_mut(..used).ok_or(Error::SelfTestFailed {
        what: "a box of its own length",
    })?;
    let (head, tag) = sealed_box::seal(magic, receiver, message, rng).map_err(fault)?;
    Ok([&head[..], message, &tag].concat())
}
