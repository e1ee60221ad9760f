//! Sealed boxes to receivers outside (card specification, chapter 08). Ephemeral key and nonce are drawn for the value, so that two
//! copies of a vault whose sources repeat one another make no two boxes of a receiver with the same (claim K7).

use card_applet_spec::crypto::PublicKey;
use card_applet_spec::sealed_box;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::error::{Error, fault};
use crate::keys::arena::OpenKey;
use crate::keys::random::Hedged;

/// Seals the first `used` bytes to the receiver.
pub(crate) fn boxed(
    magic: [u8; 4],
    receiver: &PublicKey,
    mut plain: Zeroizing<Vec<u8>>,
    used: usize,
    (nonce_key, rng): (&OpenKey, &mut impl CryptoRng),
) -> Result<Vec<u8>, Error> {
    let message = plain.get_mut(..used).ok_or(Error::SelfTestFailed {
        what: "a box of its own length",
    })?;
    let parts: [&[u8]; 3] = [&magic, &receiver.to_point65(), message];
    let mut hedged = Hedged::of(nonce_key.expose(), &parts, rng)?;
    let (head, tag) = sealed_box::seal(magic, receiver, message, &mut hedged).map_err(fault)?;
    Ok([&head[..], message, &tag].concat())
}
