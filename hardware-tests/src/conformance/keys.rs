//! The test keys of a conformance run: every secret of an issuing office, made for one test lot and for nothing else.
//!
//! A card vendor makes them (`conformance make-test-keys`), loads the transport keys of the test lot onto some blanks, and
//! hands the file to the suite. They come from the vendor's own random source, so no real card knows them; and the suite
//! writes no card whose serial is outside the test lot of the file.
//!
//! Left out on purpose: any way to import keys of a vault. A vault does not give them out.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use card_applet_spec::certificate::CertificateName;
use card_applet_spec::codes::{Region, Role, Serial};
use card_applet_spec::crypto::{Key16, Key32, PrivateKey, PublicKey};
use card_applet_spec::kdf::{self, KeySet};
use card_applet_spec::{Error as FormError, lot, sealed_box};
use program_contract::language::Said as _;
use program_contract::{Exit, Failing, file};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Longest file of test keys, bytes.
const MAX_FILE: u64 = 1 << 16;
/// Schema of the file.
const SCHEMA: &str = "yzt.conformance_keys/1";
/// What stands in the file for whoever opens it.
const NOTICE: &str =
    "Test keys: they open cards of this test lot and no others. Never load them onto a card for a person.";
/// Issuer number in the serials of test cards, chapter 02: no office has it.
pub const TEST_ISSUER: [u8; 2] = [0xFF, 0xFE];
/// Name of the test terminal CA's root.
const ROOT_NAME: &str = "YZTTESTCA";
/// Region of every record of the suite, GB/T 2260.
const REGION: &str = "440300";

/// Epoch that TRUST sets.
pub(crate) const EPOCH: u16 = 3;

/// What can be wrong with a file of test keys.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeysError {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no file of test keys.
    #[error("{path} is no file of test keys: {why}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never a value.
        why: &'static str,
    },
    /// Too many blanks for one lot file.
    #[error("a lot file holds 1 to 10000 blanks")]
    Count,
    /// A fault of the machine.
    #[error(transparent)]
    Machine(#[from] FormError),
}

impl Failing for KeysError {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::File { .. } => "FILE",
            Self::Form { .. } => "TEST_KEYS",
            Self::Count | Self::Machine(_) => "USAGE",
        }
        .into()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::File { .. } => Exit::Damaged,
            Self::Form { .. } | Self::Count | Self::Machine(_) => Exit::Usage,
        }
    }

    fn action(&self) -> Cow<'static, str> {
        match self {
            Self::File { .. } => {
                "Check the path and its rights. A file of keys is never written over: name a new one."
            }
            Self::Form { .. } => "Make test keys with `conformance make-test-keys`.",
            Self::Count | Self::Machine(_) => "See `conformance make-test-keys --help`.",
        }
        .into()
    }

    fn chinese(&self) -> (String, String) {
        let (message, action) = match self {
            Self::File { path, source } => (
                format!("{}：{}", path.display(), source.zh()),
                "请检查路径及其权限。密钥文件从不覆盖：请另取文件名。",
            ),
            Self::Form { path, .. } => (
                format!("{} 不是测试密钥文件", path.display()),
                "请用 `conformance make-test-keys` 生成测试密钥。",
            ),
            Self::Count => (
                "一个批次文件含 1 至 10000 张空白卡".to_owned(),
                "用法见 `conformance make-test-keys --help`。",
            ),
            Self::Machine(error) => (
                format!("本机出错：{error}"),
                "用法见 `conformance make-test-keys --help`。",
            ),
        };
        (message, action.to_owned())
    }
}

/// The file as text: secrets as hex. It is erased when dropped.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Form {
    schema: String,
    notice: String,
    lot: String,
    transport_master: String,
    issuance_master: String,
    group_master: String,
    tap_master: String,
    record_master: String,
    tac_master: String,
    card_ca: String,
    document_signer: String,
    entitlement_signer: String,
    terminal_root: String,
}

/// Test keys, ready for use.
#[derive(Debug)]
pub struct TestKeys {
    lot: [u8; 4],
    transport: Key32,
    issuance: Key32,
    group: Key32,
    tap: Key32,
    record: Key32,
    tac: Key32,
    /// The test card CA.
    pub card_ca: PrivateKey,
    /// The test document signer.
    pub document_signer: PrivateKey,
    /// The test entitlement signer.
    pub entitlement_signer: PrivateKey,
    /// The root of the test terminal CA.
    pub terminal_root: PrivateKey,
}

impl TestKeys {
    /// Fresh keys for a test lot of a random number.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut master = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            let key = Key32::new(bytes);
            bytes.zeroize();
            key
        };
        let (transport, issuance) = (master(), master());
        let (group, tap, record, tac) = (master(), master(), master(), master());
        let mut lot = [0; 4];
        rng.fill_bytes(&mut lot);
        Self {
            lot,
            transport,
            issuance,
            group,
            tap,
            record,
            tac,
            card_ca: PrivateKey::generate(rng),
            document_signer: PrivateKey::generate(rng),
            entitlement_signer: PrivateKey::generate(rng),
            terminal_root: PrivateKey::generate(rng),
        }
    }

    /// Reads a file of test keys.
    ///
    /// # Errors
    ///
    /// [`KeysError::File`], [`KeysError::Form`].
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        let file = |source| KeysError::File {
            path: path.to_owned(),
            source,
        };
        let wrong = |why| KeysError::Form {
            path: path.to_owned(),
            why,
        };
        let text = Zeroizing::new(program_contract::file::read_text(path, MAX_FILE).map_err(file)?);
        let form: Form = serde_json::from_str(&text).map_err(|_| wrong("it has other fields"))?;
        if form.schema != SCHEMA {
            return Err(wrong("it has another schema"));
        }
        let master = |text: &str| {
            let bytes = Zeroizing::new(bytes_of::<32>(text).ok_or(wrong("a key is not 64 hex digits"))?);
            Ok::<_, KeysError>(Key32::new(*bytes))
        };
        let private = |text: &str| {
            let bytes = Zeroizing::new(bytes_of::<32>(text).ok_or(wrong("a key is not 64 hex digits"))?);
            PrivateKey::from_bytes(&bytes).map_err(|_| wrong("a private key is no scalar of P-256"))
        };
        Ok(Self {
            lot: bytes_of(&form.lot).ok_or(wrong("the lot is not 8 hex digits"))?,
            transport: master(&form.transport_master)?,
            issuance: master(&form.issuance_master)?,
            group: master(&form.group_master)?,
            tap: master(&form.tap_master)?,
            record: master(&form.record_master)?,
            tac: master(&form.tac_master)?,
            card_ca: private(&form.card_ca)?,
            document_signer: private(&form.document_signer)?,
            entitlement_signer: private(&form.entitlement_signer)?,
            terminal_root: private(&form.terminal_root)?,
        })
    }

    /// Writes the keys into a new file of mode 0600.
    ///
    /// # Errors
    ///
    /// [`KeysError::File`]: among others when the file exists.
    pub fn write_new(&self, path: &Path) -> Result<(), KeysError> {
        let master = |key: &Key32| hex::encode(key.expose());
        let private = |key: &PrivateKey| hex::encode(key.expose().as_slice());
        let form = Form {
            schema: SCHEMA.to_owned(),
            notice: NOTICE.to_owned(),
            lot: hex::encode(self.lot),
            transport_master: master(&self.transport),
            issuance_master: master(&self.issuance),
            group_master: master(&self.group),
            tap_master: master(&self.tap),
            record_master: master(&self.record),
            tac_master: master(&self.tac),
            card_ca: private(&self.card_ca),
            document_signer: private(&self.document_signer),
            entitlement_signer: private(&self.entitlement_signer),
            terminal_root: private(&self.terminal_root),
        };
        let mut text = Zeroizing::new(serde_json::to_string_pretty(&form).unwrap_or_default());
        text.push('\n');
        new_file(path, text.as_bytes())
    }

    /// The public key of the test card CA, 130 hex digits: whoever opens the lot file needs it.
    #[must_use]
    pub fn card_ca_public(&self) -> String {
        hex::encode(self.card_ca.public().to_point65())
    }

    /// Serial of blank `number` of the test lot.
    #[must_use]
    pub fn serial(&self, number: u32) -> Serial {
        let mut serial = [0; 10];
        serial[..2].copy_from_slice(&TEST_ISSUER);
        serial[2..6].copy_from_slice(&self.lot);
        serial[6..].copy_from_slice(&number.to_be_bytes());
        Serial(serial)
    }

    /// True when the serial belongs to the test lot of these keys.
    #[must_use]
    pub(crate) fn is_of_test_lot(&self, serial: &Serial) -> bool {
        serial.0[..2] == TEST_ISSUER && serial.0[2..6] == self.lot
    }

    /// Writes the lot file of chapter 08 with blanks 1 to `count`, sealed to the maker's key, into a new file.
    ///
    /// # Errors
    ///
    /// [`KeysError::Count`], [`KeysError::File`].
    pub fn write_lot(
        &self,
        count: u32,
        maker: &PublicKey,
        path: &Path,
        rng: &mut impl CryptoRng,
    ) -> Result<(), KeysError> {
        if !(1..=10_000).contains(&count) {
            return Err(KeysError::Count);
        }
        let blanks = (1..=count)
            .map(|number| {
                let serial = self.serial(number);
                Ok((serial, self.transport_keys(&serial)?))
            })
            .collect::<Result<Vec<_>, FormError>>()?;
        let mut plain = Zeroizing::new(vec![0; lot::encoded_len(blanks.len())]);
        let used = lot::encode(self.lot, &blanks, &self.card_ca, rng, &mut plain)?;
        plain.truncate(used);
        let (head, tag) = sealed_box::seal(sealed_box::LOT, maker, &mut plain, rng)?;
        new_file(path, &[&head[..], &plain, &tag].concat())
    }

    /// Transport keys of a blank.
    ///
    /// # Errors
    ///
    /// Never for these sizes.
    pub fn transport_keys(&self, serial: &Serial) -> Result<KeySet, FormError> {
        kdf::transport_keys(&self.transport, serial)
    }

    /// Issuance keys of a card.
    ///
    /// # Errors
    ///
    /// Never for these sizes.
    pub fn issuance_keys(&self, serial: &Serial) -> Result<KeySet, FormError> {
        kdf::issuance_keys(&self.issuance, serial)
    }

    /// U-ENC, U-MAC, U-RCPT of a card.
    ///
    /// # Errors
    ///
    /// Never for these sizes.
    pub fn update_keys(&self, serial: &Serial) -> Result<KeySet, FormError> {
        kdf::update_keys(&self.issuance, serial)
    }

    /// G of a cohort.
    ///
    /// # Errors
    ///
    /// Never for these sizes.
    pub fn group_key(&self, role: Role, kv: u8, cohort: u8) -> Result<Key16, FormError> {
        kdf::group_key(&self.group, role, region()?, kv, cohort)
    }

    /// M of a card.
    ///
    /// # Errors
    ///
    /// Never for these sizes.
    pub fn tap_key(&self, role: Role, kv: u8, pid: &[u8; 16]) -> Result<Key16, FormError> {
        kdf::tap_key(&self.tap, role, region()?, kv, pid)
    }

    /// The key of a record.
    ///
    /// # Errors
    ///
    /// Never for these sizes.
    pub fn record_key(&self, role: Role, kv: u8, pid: &[u8; 16]) -> Result<Key32, FormError> {
        kdf::record_key(&self.record, role, region()?, kv, pid)
    }

    /// Ktac as a script brings it.
    ///
    /// # Errors
    ///
    /// Never for these sizes.
    pub fn tac_key(&self, kv: u8, pid: &[u8; 16]) -> Result<Key16, FormError> {
        kdf::tac_key(&self.tac, Role::SmallPayment, kv, pid)
    }

    /// Name of the terminal CA's root on test cards.
    #[must_use]
    pub fn root_name(&self) -> CertificateName {
        CertificateName::new(ROOT_NAME, 1, 1)
    }
}

/// Region of every record of the suite.
fn region() -> Result<Region, FormError> {
    REGION.parse()
}

fn new_file(path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
    file::create(path, bytes, file::PRIVATE).map_err(|source| KeysError::File {
        path: path.to_owned(),
        source,
    })
}

/// Exactly `N` bytes in hex.
fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_file_of_test_keys_is_read_again_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.keys");
        let keys = TestKeys::generate(&mut StdRng::from_seed([1; 32]));
        keys.write_new(&path).unwrap();
        let again = TestKeys::read(&path).unwrap();
        let serial = keys.serial(7);
        assert!(again.is_of_test_lot(&serial));
        assert_eq!(
            again.issuance_keys(&serial).unwrap().enc.expose(),
            keys.issuance_keys(&serial).unwrap().enc.expose()
        );
        assert!(matches!(keys.write_new(&path), Err(KeysError::File { .. })));
    }

    #[test]
    fn a_file_of_another_form_is_refused_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.keys");
        let keys = TestKeys::generate(&mut StdRng::from_seed([1; 32]));
        keys.write_new(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let secret = hex::encode(keys.transport.expose());
        for changed in [
            text.replace("keys/1", "keys/2"),
            text.replace(&secret, &secret[1..]),
            text.replacen("\"lot\"", "\"lots\"", 1),
            String::new(),
        ] {
            fs::write(&path, changed).unwrap();
            let said = TestKeys::read(&path).unwrap_err().to_string();
            assert!(
                said.contains("no file of test keys") && !said.contains(&secret[1..]),
                "{said}"
            );
        }
    }

    #[test]
    fn a_serial_outside_the_test_lot_is_not_ours() {
        let keys = TestKeys::generate(&mut StdRng::from_seed([1; 32]));
        let mut office = keys.serial(1);
        office.0[..2].copy_from_slice(&[0, 1]);
        assert!(!keys.is_of_test_lot(&office));
        let other = TestKeys::generate(&mut StdRng::from_seed([2; 32]));
        assert!(!keys.is_of_test_lot(&other.serial(1)));
    }
}
