//! Each primitive reports itself once, with its length and its key, and no primitive reports what belongs to another.
use std::cell::RefCell;

use card_applet_spec::crypto::{Hash, Key16, Key32, PrivateKey, PublicKey, sha256};
use card_applet_spec::meter::{self, KeyTag, KeyUsage, Observer, Operation};
use rand::SeedableRng;
use rand::rngs::StdRng;

thread_local!(static SEEN: RefCell<Vec<Operation>> = const { RefCell::new(Vec::new()) });

static OBSERVER: Observer = |operation| SEEN.with_borrow_mut(|seen| seen.push(operation));
static OTHER: Observer = |_| ();

fn seen(work: impl FnOnce()) -> Vec<Operation> {
    assert!(meter::install(&OBSERVER));
    SEEN.take();
    work();
    SEEN.take()
}

#[test]
fn the_first_observer_stays() {
    assert!(meter::install(&OBSERVER));
    assert!(!meter::install(&OTHER));
    assert!(meter::install(&OBSERVER));
}

#[test]
fn symmetric_operations_name_key_use_and_length() {
    let key = Key16::new([1; 16]);
    let setup = |usage| Operation::KeySetup {
        key: KeyTag::of(&[1; 16]),
        usage,
    };
    let operations = seen(|| {
        let _ = key.cmac(&[b"abc", b"de"]);
        let _ = key.encrypt_block([0; 16]);
        let _ = key.decrypt_block([0; 16]);
        key.cbc_encrypt(&[0; 16], &mut [0; 32]).unwrap();
        key.cbc_decrypt(&[0; 16], &mut [0; 48]).unwrap();
        // Refused before anything is done.
        key.cbc_encrypt(&[0; 16], &mut [0; 17]).unwrap_err();
    });
    assert_eq!(
        operations,
        [
            setup(KeyUsage::Mac),
            Operation::Cmac { bytes: 5 },
            setup(KeyUsage::Encrypt),
            Operation::AesBlock,
            setup(KeyUsage::Decrypt),
            Operation::AesBlock,
            setup(KeyUsage::Encrypt),
            Operation::AesCbc { bytes: 32 },
            setup(KeyUsage::Decrypt),
            Operation::AesCbc { bytes: 48 },
        ]
    );
    assert_eq!(
        seen(|| {
            let _ = Key32::new([2; 32]).cmac(&[]);
        })[0],
        Operation::KeySetup {
            key: KeyTag::of(&[2; 32]),
            usage: KeyUsage::Mac
        }
    );
    assert_ne!(KeyTag::of(&[1; 16]), KeyTag::of(&[2; 16]));
}

#[test]
fn hashes_count_when_they_are_finished_and_not_inside_signatures() {
    let mut rng = StdRng::from_seed([3; 32]);
    let mut key = None;
    assert_eq!(
        seen(|| key = Some(PrivateKey::generate(&mut rng))),
        [Operation::EcKeyGeneration]
    );
    let key = key.unwrap();
    let point = key.public().to_point65();
    let operations = seen(|| {
        let _ = sha256(&[b"abc", b"d"]);
        let mut hash = Hash::new();
        hash.update(&[0; 100]);
        let _ = hash.clone().finish();
        hash.update(&[0; 50]);
        let _ = hash.finish();
        let public = PublicKey::from_public64(&key.public().to_public64()).unwrap();
        let _ = key.agree(&public);
        let signature = key.sign(&[b"signed"], &mut rng).unwrap();
        public.verify(&[b"sig", b"ned"], &signature).unwrap();
        PublicKey::from_point65(&[4; 65]).unwrap_err();
    });
    assert_eq!(
        operations,
        [
            Operation::Sha256 { bytes: 4 },
            Operation::Sha256 { bytes: 100 },
            Operation::Sha256 { bytes: 150 },
            Operation::SetPublicKey {
                key: KeyTag::of(&point)
            },
            Operation::Ecdh,
            Operation::EcdsaSign { bytes: 6 },
            Operation::EcdsaVerify { bytes: 6 },
            Operation::SetPublicKey {
                key: KeyTag::of(&[4; 65])
            },
        ]
    );
}
