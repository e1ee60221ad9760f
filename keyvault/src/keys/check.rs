//! The second look at a signature: by another implementation than the one that signs, and quicker than it (aws-lc-rs beside
//! RustCrypto). Public values only; no secret goes there, because its keys lie on its own heap.

use std::cell::RefCell;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use card_applet_spec::crypto::PublicKey;

thread_local! {
    /// The key that this thread looked with last: a vault signs much with one signer.
    static LAST: RefCell<Option<(PublicKey, ParsedPublicKey)>> = const { RefCell::new(None) };
}

/// Whether a signature over a digest holds under `public`.
#[must_use]
pub fn holds(public: &PublicKey, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    LAST.with_borrow_mut(|last| {
        if last.as_ref().is_none_or(|(known, _)| known != public) {
            let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public.to_point65());
            *last = parsed.ok().map(|parsed| (*public, parsed));
        }
        last.as_ref().is_some_and(|(_, key)| {
            Digest::import_less_safe(digest, &SHA256)
                .is_ok_and(|digest| key.verify_digest_sig(&digest, signature).is_ok())
        })
    })
}

#[cfg(test)]
mod tests {
    use card_applet_spec::crypto::{PrivateKey, sha256};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_signature_holds_for_its_key_and_digest_and_with_no_other_bit() {
        let mut rng = StdRng::seed_from_u64(1);
        let (key, other) = (PrivateKey::generate(&mut rng), PrivateKey::generate(&mut rng));
        let signature = key.sign(&[b"what", b" is said"], &mut rng).unwrap();
        let digest = sha256(&[b"what is said"]);
        assert!(holds(&key.public(), &digest, &signature));
        assert!(!holds(&other.public(), &digest, &signature));
        assert!(!holds(&key.public(), &sha256(&[b"what is not"]), &signature));
        for bit in 0..512 {
            let mut changed = signature;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!holds(&key.public(), &digest, &changed), "bit {bit}");
        }
        assert!(!holds(&key.public(), &digest, &[0; 64]));
    }
}
