//! Orders: what an issuer may have done to how many cards until when, signed by the issuer's service key.

use jiff::Timestamp;
use minicbor::{Decode, Encode};
use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use service_contract::{Caller, Journal, Kind, Operation, Policy};

use crate::card::TaskKind;
use crate::ceiling::Counted;
use crate::error::Error;
use crate::frame;
use crate::wire::{PointBytes, SignatureBytes};

/// First bytes of what is signed, so that an order's signature serves for nothing else.
const DOMAIN: &[u8] = b"YZT-ORDER-1";

/// An order. What is signed is its CBOR in this field order, which is deterministic (RFC 8949, 4.2).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Order {
    /// Number of the order: 16 bytes of a UUID, never used again.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub order: [u8; 16],
    /// Name of the issuer on the vault's access list, whose key signed.
    #[n(1)]
    pub issuer: String,
    /// Card profile, such as `resident-1`.
    #[n(2)]
    pub profile: String,
    /// Count of cards; indexes run from 0 to one less.
    #[n(3)]
    pub cards: u32,
    /// What may be done to each card.
    #[n(4)]
    pub tasks: Vec<TaskKind>,
    /// The station (counter and reader) that writes.
    #[n(5)]
    pub station: String,
    /// From when the order holds.
    #[cbor(n(6), with = "crate::wire::instant")]
    pub from: Timestamp,
    /// Until when, at most 30 days later.
    #[cbor(n(7), with = "crate::wire::instant")]
    pub until: Timestamp,
}

impl Order {
    /// Signs the order with the issuer's service key.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the order cannot be encoded.
    pub fn sign(&self, key: &SigningKey) -> Result<SignedOrder, Error> {
        let order =
            minicbor::to_vec(self).map_err(|_| Error::Malformed("an order that cannot be encoded"))?;
        let signature: Signature = key.sign(&signed_bytes(&order));
        Ok(SignedOrder {
            order,
            signature: signature.to_bytes().into(),
        })
    }
}

/// An order with its signature, as it is stored and sent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedOrder {
    #[cbor(n(0), with = "minicbor::bytes")]
    order: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    signature: SignatureBytes,
}

impl SignedOrder {
    /// The order as it claims to be, not verified.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the bytes are no order.
    pub fn claimed(&self) -> Result<Order, Error> {
        frame::decode(&self.order)
    }

    /// The order, if `key` signed it.
    ///
    /// # Errors
    /// [`Error::NotOpened`] when the signature does not fit, [`Error::Malformed`] when the bytes are no order.
    pub fn verify(&self, key: &PointBytes) -> Result<Order, Error> {
        let key = VerifyingKey::from_sec1_bytes(key).map_err(|_| Error::NotOpened)?;
        let signature = Signature::from_slice(&self.signature).map_err(|_| Error::NotOpened)?;
        key.verify(&signed_bytes(&self.order), &signature)
            .map_err(|_| Error::NotOpened)?;
        let order = self.claimed()?;
        // One encoding per order: else the same order could be presented twice with two hashes.
        let again =
            minicbor::to_vec(&order).map_err(|_| Error::Malformed("an order that cannot be encoded"))?;
        if again == self.order {
            Ok(order)
        } else {
            Err(Error::Malformed("an order that is not in its one encoding"))
        }
    }

    /// The encoded order, for hashing.
    #[must_use]
    pub fn order_bytes(&self) -> &[u8] {
        &self.order
    }

    /// The whole signed order as bytes, to store.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        minicbor::to_vec(self).map_err(|_| Error::Malformed("an order that cannot be encoded"))
    }

    /// Takes stored bytes back.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the bytes are no signed order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        frame::decode(bytes)
    }
}

fn signed_bytes(order: &[u8]) -> Vec<u8> {
    [DOMAIN, order].concat()
}

/// An order that the vault accepted on this connection.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OrderSession {
    /// Number of the order.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub order: [u8; 16],
    /// Count of cards.
    #[n(1)]
    pub cards: u32,
    /// When the order ends.
    #[cbor(n(2), with = "crate::wire::instant")]
    pub until: Timestamp,
}

/// Presents a signed order; it may be presented again, with the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OpenOrder(#[n(0)] pub SignedOrder);

impl Operation for OpenOrder {
    type Answer = OrderSession;
    const POLICY: Policy = Policy::of(&[Caller::Issuer], Journal::Before)
        .only(Kind::Service)
        .ceiling(Counted::Orders.name(), Some(Counted::Orders.per_day()))
        .idempotent();
    const DOORS: &'static [&'static str] = &["issuer worker", "issuer hand-over", "issuer change write"];
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::sealed;

    fn order() -> Order {
        Order {
            order: [7; 16],
            issuer: "shenzhen".into(),
            profile: "resident-1".into(),
            cards: 1,
            tasks: vec![TaskKind::Personalise, TaskKind::Activate],
            station: "counter 1".into(),
            from: "2026-11-21T00:00:00Z".parse().unwrap(),
            until: "2026-11-22T00:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn an_order_verifies_only_under_its_key_and_unchanged() {
        let mut rng = StdRng::seed_from_u64(2);
        let secret = sealed::fresh_key(&mut rng);
        let point = sealed::point_of(&secret.public_key());
        let other = sealed::point_of(&sealed::fresh_key(&mut rng).public_key());
        let signed = order().sign(&SigningKey::from(&secret)).unwrap();
        assert_eq!(signed.verify(&point).unwrap(), order());
        assert!(signed.verify(&other).is_err());
        let bytes = signed.to_bytes().unwrap();
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            if let Ok(changed) = SignedOrder::from_bytes(&changed) {
                assert!(changed.verify(&point).is_err(), "byte {position}");
            }
        }
    }
}
