//! Tests before service: every primitive that the vault uses gives what its standard prints, and the random source does not
//! stand still.
//!
//! Run by `serve` before its socket answers, and by the commands that handle shares. Left out: signers, which are tried when
//! the vault opens ([`Keys`](crate::keys::material::Keys)), and TLS, whose library is its own.

use aes_gcm::Aes256Gcm;
use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use card_applet_spec::crypto::{Key16, Key32, PrivateKey, PublicKey, sha256};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use xaes_256_gcm::aead::{Aead, KeyInit};

use crate::error::Error;
use crate::store::sealing;

/// A primitive, what it computes of its standard's input, and what the standard prints.
struct Known {
    what: &'static str,
    computed: fn() -> Option<Vec<u8>>,
    /// In hex.
    printed: &'static str,
}

const KNOWN: &[Known] = &[
    // RFC 4493, example 2.
    Known {
        what: "AES-128-CMAC",
        computed: || Some(key16()?.cmac(&[&block()?]).to_vec()),
        printed: "070a16b46b4d4144f79bdd9dd04a287c",
    },
    // SP 800-38B, D.3, example 9.
    Known {
        what: "AES-256-CMAC",
        computed: || Some(Key32::new(bytes(KEY32)?).cmac(&[]).to_vec()),
        printed: "028962f61b7bf89efc6b551f4667d983",
    },
    // SP 800-38A, F.2.1, and back.
    Known {
        what: "AES-CBC",
        computed: || {
            let (key, iv) = (key16()?, bytes("000102030405060708090a0b0c0d0e0f")?);
            let mut data = block()?;
            key.cbc_encrypt(&iv, &mut data).ok()?;
            let sealed = data;
            key.cbc_decrypt(&iv, &mut data).ok()?;
            (data == block()?).then(|| sealed.to_vec())
        },
        printed: "7649abac8119b246cee98e9b12e9197d",
    },
    // The GCM specification, test case 14.
    Known {
        what: "AES-256-GCM",
        computed: || {
            let cipher = Aes256Gcm::new(&[0; 32].into());
            let sealed = cipher.encrypt(&[0; 12].into(), &[0; 16][..]).ok()?;
            let opened = cipher.decrypt(&[0; 12].into(), sealed.as_slice()).ok()?;
            (opened == [0; 16]).then_some(sealed)
        },
        printed: "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    },
    // C2SP xaes-256-gcm.
    Known {
        what: "XAES-256-GCM",
        computed: || {
            let (nonce, text) = (b"ABCDEFGHIJKLMNOPQRSTUVWX", b"XAES-256-GCM");
            let sealed = sealing::encrypt(&[1; 32], nonce, b"", text).ok()?;
            let opened = sealing::decrypt(&[1; 32], nonce, b"", &sealed)?;
            (*opened == text).then_some(sealed)
        },
        printed: "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
    },
    // FIPS 180-2, B.1.
    Known {
        what: "SHA-256",
        computed: || Some(sha256(&[b"abc"]).to_vec()),
        printed: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    },
    // RFC 4231, case 1.
    Known {
        what: "HMAC-SHA-256",
        computed: || {
            let mut mac = Hmac::<Sha256>::new_from_slice(&[0x0b; 20]).ok()?;
            mac.update(b"Hi There");
            Some(mac.finalize().into_bytes().to_vec())
        },
        printed: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    },
    // RFC 5869, A.1.
    Known {
        what: "HKDF-SHA-256",
        computed: || {
            let salt: [u8; 13] = bytes("000102030405060708090a0b0c")?;
            let info: [u8; 10] = bytes("f0f1f2f3f4f5f6f7f8f9")?;
            let mut out = vec![0; 42];
            Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22])
                .expand(&info, &mut out)
                .ok()?;
            Some(out)
        },
        printed: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    },
    // RFC 5903, 8.1.
    Known {
        what: "ECDH P-256",
        computed: || {
            let own = bytes("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433")?;
            let other = PublicKey::from_public64(&bytes(
                "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
            )?);
            let shared = PrivateKey::from_bytes(&own).ok()?.agree(&other.ok()?);
            Some(shared.to_vec())
        },
        printed: "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
    },
    // RFC 6979, A.2.5, SHA-256: the key's public half; its signature holds for its own text and for no other.
    Known {
        what: "ECDSA P-256",
        computed: || {
            let key = bytes("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")?;
            let public = PrivateKey::from_bytes(&key).ok()?.public();
            let signature = bytes(
                "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
            )?;
            let holds = public.verify(&[b"sample"], &signature).is_ok();
            let too_much = public.verify(&[b"simple"], &signature).is_ok();
            (holds && !too_much).then(|| public.to_public64().to_vec())
        },
        printed: "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    },
    // RFC 9106, 5.3.
    Known {
        what: "Argon2id",
        computed: || {
            let params = ParamsBuilder::new()
                .m_cost(32)
                .t_cost(3)
                .p_cost(4)
                .data(AssociatedData::new(&[4; 12]).ok()?)
                .build()
                .ok()?;
            let mut out = vec![0; 32];
            Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params)
                .ok()?
                .hash_password_into(&[1; 32], &[2; 16], &mut out)
                .ok()?;
            Some(out)
        },
        printed: "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659",
    },
];

/// The 256-bit key of SP 800-38A and SP 800-38B.
const KEY32: &str = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";

fn key16() -> Option<Key16> {
    Some(Key16::new(bytes("2b7e151628aed2a6abf7158809cf4f3c")?))
}

fn block() -> Option<[u8; 16]> {
    bytes("6bc1bee22e409f96e93d7e117393172a")
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}

/// Tries every primitive, a signature by a fresh key, and the random source.
///
/// # Errors
/// [`Error::SelfTestFailed`] with what failed: nothing may be done with this machine or build.
pub fn run(rng: &mut impl CryptoRng) -> Result<(), Error> {
    hold(KNOWN)?;
    let mut draws = [[0u8; 32]; 2];
    for draw in &mut draws {
        rng.fill_bytes(draw);
    }
    let stands_still =
        draws[0] == draws[1] || draws.iter().any(|draw| draw.iter().all(|byte| *byte == draw[0]));
    if stands_still {
        return Err(Error::SelfTestFailed {
            what: "the random source stands still",
        });
    }
    let key = PrivateKey::generate(rng);
    key.sign(&[b"YZT-SELF-TEST-1"], rng)
        .ok()
        .filter(|signature| key.public().verify(&[b"YZT-SELF-TEST-1"], signature).is_ok())
        .map(|_| ())
        .ok_or(Error::SelfTestFailed { what: "ECDSA P-256" })
}

fn hold(known: &[Known]) -> Result<(), Error> {
    for Known {
        what,
        computed,
        printed,
    } in known
    {
        if computed().map(hex::encode).as_deref() != Some(printed) {
            return Err(Error::SelfTestFailed { what });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::keys::random::tests::Standing;

    #[test]
    fn every_primitive_gives_what_its_standard_prints_and_one_that_does_not_is_named() {
        run(&mut StdRng::seed_from_u64(1)).unwrap();
        for known in KNOWN {
            // As a primitive that computes something else, or nothing, looks from here.
            let other = Known {
                what: known.what,
                computed: known.computed,
                printed: "00",
            };
            let silent = Known {
                computed: || None,
                ..*known
            };
            for broken in [other, silent] {
                let failed = Error::SelfTestFailed { what: known.what };
                assert_eq!(failed.code(), "SELF_TEST_FAILED");
                assert_eq!(hold(&[broken]), Err(failed));
            }
            // A single bit of what is expected.
            let mut last = hex::decode(known.printed).unwrap();
            *last.last_mut().unwrap() ^= 1;
            assert_ne!((known.computed)().unwrap(), last, "{}", known.what);
        }
    }

    #[test]
    fn a_random_source_that_stands_still_is_found() {
        for step in [0, 1] {
            let outcome = run(&mut Standing { byte: 7, step });
            let stands = Error::SelfTestFailed {
                what: "the random source stands still",
            };
            assert_eq!(outcome, Err(stands), "{step}");
        }
    }
}
