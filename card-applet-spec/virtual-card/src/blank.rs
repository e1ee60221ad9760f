//! The card maker's part (specification, chapter 08, lot file): opening a lot that the vault sealed to this maker's key,
//! and making blanks of it. In production this happens in a controlled room; here the card is a file.
//!
//! Key files are text: a private key 64 hex digits, a public key the 130 hex digits of its point (`04`, X, Y); a newline
//! may follow. Left out on purpose: any way to make a blank with keys that no vault knows.

use std::fs;
use std::path::Path;

use card_applet_spec::codes::Serial;
use card_applet_spec::crypto::{PrivateKey, PublicKey};
use card_applet_spec::kdf::KeySet;
use card_applet_spec::lot::Lot;
use card_applet_spec::sealed_box;
use program_contract::file as whole;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::control::file;
use crate::error::Error;
use crate::java_card::JavaCard;
use crate::memory::CardMemory;
use crate::model::Model;

/// The form of a private key file, for messages.
const PRIVATE_FORM: &str = "64 hex digits";
/// The form of a public key file, for messages.
const PUBLIC_FORM: &str = "130 hex digits, starting with 04";

/// Makes the maker's key pair: the private half into a new file with mode 0600; the public point goes to the vault.
///
/// # Errors
///
/// [`Error::File`]: among others when the file exists.
pub fn make_maker_key(path: &Path, rng: &mut impl CryptoRng) -> Result<PublicKey, Error> {
    let key = PrivateKey::generate(rng);
    let text = Zeroizing::new(hex::encode(key.expose().as_slice()));
    whole::create(path, text.as_bytes(), whole::PRIVATE).map_err(|source| file("create", path, source))?;
    Ok(key.public())
}

/// Reads a private key file.
///
/// # Errors
///
/// [`Error::File`], [`Error::KeyForm`].
pub fn read_private_key(path: &Path) -> Result<PrivateKey, Error> {
    let bytes = Zeroizing::new(read_hex::<32>(path, PRIVATE_FORM)?);
    PrivateKey::from_bytes(&bytes).map_err(|_| Error::KeyForm {
        path: path.to_owned(),
        form: PRIVATE_FORM,
    })
}

/// Reads a public key file.
///
/// # Errors
///
/// [`Error::File`], [`Error::KeyForm`].
pub fn read_public_key(path: &Path) -> Result<PublicKey, Error> {
    let bytes = read_hex::<65>(path, PUBLIC_FORM)?;
    PublicKey::from_point65(&bytes).map_err(|_| Error::KeyForm {
        path: path.to_owned(),
        form: PUBLIC_FORM,
    })
}

/// One blank of a lot: its serial and its transport keys.
#[derive(Debug)]
pub struct Blank {
    /// Serial of the card.
    pub serial: Serial,
    /// Transport keys, for this card alone.
    pub keys: KeySet,
}

/// Opens a sealed lot and takes out blank `number`, counted from 1.
///
/// # Errors
///
/// [`Error::LotRefused`] names `path`; [`Error::NoSuchBlank`].
pub fn from_lot(
    path: &Path,
    sealed: &[u8],
    maker: &PrivateKey,
    card_ca: &PublicKey,
    number: u32,
) -> Result<Blank, Error> {
    let refused = |_| Error::LotRefused {
        path: path.to_owned(),
    };
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let plain = sealed_box::open(sealed_box::LOT, maker, &mut sealed).map_err(refused)?;
    let mut lot = Lot::parse_and_verify(plain, card_ca).map_err(refused)?;
    let mut there = 0;
    while let Some((serial, keys)) = lot.next_blank().map_err(refused)? {
        there += 1;
        if there == number {
            return Ok(Blank { serial, keys });
        }
    }
    Err(Error::NoSuchBlank {
        wanted: number,
        there,
    })
}

/// Makes a blank card of a memory that holds none yet.
///
/// # Errors
///
/// [`Error::BlankFailed`].
pub fn manufacture(memory: &CardMemory, blank: &Blank, rng: &mut impl CryptoRng) -> Result<(), Error> {
    let content = card_applet::Blank {
        serial: blank.serial,
        transport: &blank.keys,
    };
    card_applet::manufacture(&mut memory.clone(), &content, rng).map_err(|_| Error::BlankFailed)
}

/// Makes a blank card in a new file out of a lot file.
///
/// # Errors
///
/// As [`from_lot`] and [`manufacture`]; [`Error::File`]. A failed blank leaves no file.
pub fn make_file(
    lot_file: &Path,
    maker: &PrivateKey,
    card_ca: &PublicKey,
    number: u32,
    model: Model,
    out: &Path,
    rng: &mut impl CryptoRng,
) -> Result<Serial, Error> {
    let sealed = whole::read(lot_file, MAX_LOT).map_err(|source| file("read", lot_file, source))?;
    let blank = from_lot(lot_file, &sealed, maker, card_ca, number)?;
    if model == Model::Javacard {
        JavaCard::create(out, blank.serial, &blank.keys)?;
        return Ok(blank.serial);
    }
    let memory = CardMemory::create(out, card_applet::MEMORY_LEN)?;
    if let Err(error) = manufacture(&memory, &blank, rng) {
        // It was made a moment ago by us and is no card.
        let _ = fs::remove_file(out);
        return Err(error);
    }
    Ok(blank.serial)
}

/// Longest lot file, bytes: the largest lot.
const MAX_LOT: u64 = 16 << 20;
/// Longest key file, bytes.
const MAX_KEY: u64 = 4096;

fn read_hex<const N: usize>(path: &Path, form: &'static str) -> Result<[u8; N], Error> {
    let text = Zeroizing::new(whole::read_text(path, MAX_KEY).map_err(|source| file("read", path, source))?);
    let mut bytes = [0; N];
    hex::decode_to_slice(text.trim_end(), &mut bytes).map_err(|_| Error::KeyForm {
        path: path.to_owned(),
        form,
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    struct Vault {
        card_ca: PrivateKey,
        rng: StdRng,
    }

    impl Vault {
        fn new() -> Self {
            let mut rng = StdRng::from_seed([1; 32]);
            Self {
                card_ca: PrivateKey::generate(&mut rng),
                rng,
            }
        }

        /// A lot of two blanks for this maker.
        fn export(&mut self, maker: &PublicKey) -> Vec<u8> {
            let blanks = [1_u8, 2].map(|n| (Serial([n; 10]), KeySet::from_bytes(&[n; 48])));
            let mut plain = vec![0; card_applet_spec::lot::encoded_len(2)];
            let used = card_applet_spec::lot::encode(
                [0, 0, 0, 7],
                &blanks,
                &self.card_ca,
                &mut self.rng,
                &mut plain,
            )
            .unwrap();
            plain.truncate(used);
            let (head, tag) = sealed_box::seal(sealed_box::LOT, maker, &mut plain, &mut self.rng).unwrap();
            [&head[..], &plain, &tag].concat()
        }
    }

    #[test]
    fn a_blank_comes_out_of_a_lot_that_the_vault_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut vault = Vault::new();
        let public = make_maker_key(&path("maker.key"), &mut vault.rng).unwrap();
        let maker = read_private_key(&path("maker.key")).unwrap();
        fs::write(path("lot"), vault.export(&public)).unwrap();
        let serial = make_file(
            &path("lot"),
            &maker,
            &vault.card_ca.public(),
            2,
            Model::Reference,
            &path("2.card"),
            &mut vault.rng,
        )
        .unwrap();
        assert_eq!(serial, Serial([2; 10]));
        assert_eq!(
            CardMemory::open(&path("2.card")).unwrap().image().len(),
            card_applet::MEMORY_LEN
        );
    }

    #[test]
    fn a_lot_of_another_maker_or_vault_a_changed_lot_and_a_missing_number_are_refused() {
        let mut vault = Vault::new();
        let maker = PrivateKey::generate(&mut vault.rng);
        let other = PrivateKey::generate(&mut vault.rng);
        let sealed = vault.export(&maker.public());
        let open = |sealed: &[u8], maker, ca: &PublicKey, number| {
            from_lot(Path::new("lot"), sealed, maker, ca, number)
                .map(|blank| blank.serial)
                .unwrap_err()
                .code()
                .to_owned()
        };
        let ca = vault.card_ca.public();
        assert_eq!(open(&sealed, &other, &ca, 1), "LOT_REFUSED");
        assert_eq!(open(&sealed, &maker, &other.public(), 1), "LOT_REFUSED");
        assert_eq!(open(&sealed, &maker, &ca, 0), "NO_SUCH_BLANK");
        assert_eq!(open(&sealed, &maker, &ca, 3), "NO_SUCH_BLANK");
        for at in [0, sealed.len() / 2, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&changed, &maker, &ca, 1), "LOT_REFUSED", "byte {at}");
        }
    }

    #[test]
    fn a_key_file_of_another_form_is_refused_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        for text in ["", "00", &"zz".repeat(32), &"é".repeat(32), &"ff".repeat(32)] {
            fs::write(&path, text).unwrap();
            let error = read_private_key(&path).unwrap_err();
            assert_eq!(error.code(), "KEY_FORM");
            assert!(text.is_empty() || !error.to_string().contains(&text[..2.min(text.len())].repeat(2)));
        }
        fs::write(&path, "04".repeat(65)).unwrap();
        assert_eq!(read_public_key(&path).unwrap_err().code(), "KEY_FORM");
    }
}
