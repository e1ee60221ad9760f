//! A terminal's own keys (chapter 08): two P-256 key pairs that never leave it, the authority that it trusts, its name.
//!
//! The key file is that of chapter 08, "Terminal key"; its check finds a damaged disk, not an enemy. Left out: a pass phrase (a gate starts by itself), and
//! keys in a SAM or TPM (an operator who has one keeps the two keys there and needs only `Bundle`).

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use card_applet_spec::bytes::Reader;
use card_applet_spec::codes::{SUITE, VERSION};
use card_applet_spec::crypto::{PrivateKey, PublicKey, sha256};
use program_contract::{Founded, file};
use rand_core::CryptoRng;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::MaterialError;

const MAGIC: [u8; 4] = *b"YZTK";
/// Longest name of a terminal, bytes (chapter 08, tag 82).
const NAME_MAX: usize = 64;
/// Longest key file: everything fixed, and the longest name, bytes.
const FILE_MAX: u64 = 4 + 2 + 16 + 64 + 32 + 32 + 1 + NAME_MAX as u64 + 8;

/// A terminal's name: 1 to 64 bytes of text without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalName(String);

impl TerminalName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for TerminalName {
    type Err = MaterialError;

    fn from_str(text: &str) -> Result<Self, MaterialError> {
        if text.is_empty() || text.len() > NAME_MAX || text.chars().any(char::is_control) {
            return Err(MaterialError::TerminalName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for TerminalName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a terminal pins when it is enrolled: which vault, and the terminal CA root that signs its bundles.
///
/// Every other key arrives in a bundle under that root, so that signers can change without a visit to each terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The vault's id.
    pub vault: [u8; 16],
    /// The terminal CA root.
    pub root: PublicKey,
}

/// The anchors file as the vault hands it out: hex, points in the long form `04 || X || Y`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnchorsFile {
    schema: String,
    #[serde(default, rename = "ok")]
    _ok: bool,
    vault: String,
    card_ca: String,
    terminal_ca: String,
    document_signer: String,
    entitlement_signer: String,
    deny_list_signer: String,
    #[serde(default)]
    audit_signer: Option<String>,
    /// Programs that speak to the vault know it by this one.
    #[serde(default)]
    operating_key: Option<String>,
    /// For people to read; the vault's number says it.
    #[serde(default)]
    rehearsal: Option<bool>,
}

impl Pinned {
    /// What the installation around the pinned vault was founded as.
    #[must_use]
    pub fn founded(&self) -> Founded {
        Founded::around(&self.vault)
    }

    /// Reads the vault's anchors: `{"schema": "yzt.anchors/1", "vault", "card_ca", "terminal_ca", "document_signer",
    /// "entitlement_signer", "deny_list_signer", "audit_signer"?, "rehearsal"?}`, the vault's id as 32 hex digits and every key
    /// as 130 (`04 || X || Y`).
    ///
    /// # Errors
    ///
    /// [`MaterialError::AnchorsFile`]: another schema, an unknown or a missing key, a point off the curve, or a `rehearsal`
    /// that the vault's id denies.
    pub fn from_anchors_json(json: &[u8]) -> Result<Self, MaterialError> {
        Ok(Self::with_document_signer(json)?.0)
    }

    /// The same, and the document signer of the file, whose signature the back of a card carries too.
    ///
    /// # Errors
    ///
    /// As [`Self::from_anchors_json`].
    pub fn with_document_signer(json: &[u8]) -> Result<(Self, PublicKey), MaterialError> {
        let file: AnchorsFile = serde_json::from_slice(json).map_err(|_| MaterialError::AnchorsFile)?;
        if file.schema != "yzt.anchors/1" {
            return Err(MaterialError::AnchorsFile);
        }
        let others = [&file.card_ca, &file.entitlement_signer, &file.deny_list_signer];
        for other in others
            .into_iter()
            .chain(&file.audit_signer)
            .chain(&file.operating_key)
        {
            point(other)?;
        }
        let pinned = Self {
            vault: unhex(&file.vault)?,
            root: point(&file.terminal_ca)?,
        };
        let document_signer = point(&file.document_signer)?;
        match file.rehearsal {
            Some(said) if said != pinned.founded().is_rehearsal() => Err(MaterialError::AnchorsFile),
            _ => Ok((pinned, document_signer)),
        }
    }
}

fn unhex<const N: usize>(text: &str) -> Result<[u8; N], MaterialError> {
    let mut out = [0; N];
    hex::decode_to_slice(text, &mut out).map_err(|_| MaterialError::AnchorsFile)?;
    Ok(out)
}

fn point(text: &str) -> Result<PublicKey, MaterialError> {
    PublicKey::from_point65(&unhex::<65>(text)?).map_err(|_| MaterialError::AnchorsFile)
}

/// A terminal's two key pairs, its name and what it pins. Erased on drop; never printed.
pub struct TerminalKey {
    name: TerminalName,
    pinned: Pinned,
    sealing: PrivateKey,
    authentication: PrivateKey,
}

impl std::fmt::Debug for TerminalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TerminalKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The public half of an enrolment, for the vault's bundle request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolRequest {
    /// The terminal's name.
    pub terminal: TerminalName,
    /// The key that bundles are sealed to, `04 || X || Y`.
    pub sealing_key: [u8; 65],
    /// The key of the leaf certificate, `04 || X || Y`.
    pub authentication_key: [u8; 65],
}

impl EnrolRequest {
    /// The request as `yzt.terminal-request/1`, which two officers enrol.
    #[must_use]
    pub fn to_json(&self, vault: &[u8; 16]) -> serde_json::Value {
        serde_json::json!({
            "schema": "yzt.terminal-request/1",
            "ok": true,
            "terminal": self.terminal.as_str(),
            "vault": hex::encode(vault),
            "sealing_key": hex::encode(self.sealing_key),
            "authentication_key": hex::encode(self.authentication_key),
        })
    }
}

impl TerminalKey {
    /// Makes the two key pairs.
    pub fn generate(name: TerminalName, pinned: Pinned, rng: &mut impl CryptoRng) -> Self {
        Self {
            name,
            pinned,
            sealing: PrivateKey::generate(rng),
            authentication: PrivateKey::generate(rng),
        }
    }

    /// The terminal's name.
    #[must_use]
    pub fn name(&self) -> &TerminalName {
        &self.name
    }

    /// What the terminal pins.
    #[must_use]
    pub fn pinned(&self) -> &Pinned {
        &self.pinned
    }

    /// The key that opens bundles.
    pub(crate) fn sealing(&self) -> &PrivateKey {
        &self.sealing
    }

    /// The key of the leaf certificate.
    pub(crate) fn authentication(&self) -> &PrivateKey {
        &self.authentication
    }

    /// What the vault needs to make a bundle.
    #[must_use]
    pub fn request(&self) -> EnrolRequest {
        EnrolRequest {
            terminal: self.name.clone(),
            sealing_key: self.sealing.public().to_point65(),
            authentication_key: self.authentication.public().to_point65(),
        }
    }

    /// The bytes of the key file. They are secret.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let name = self.name.as_str().as_bytes();
        // Room for all of it at once: a vector that grows leaves copies of the keys behind.
        let mut out = Zeroizing::new(Vec::with_capacity(256));
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, SUITE]);
        out.extend_from_slice(&self.pinned.vault);
        out.extend_from_slice(&self.pinned.root.to_public64());
        out.extend_from_slice(self.sealing.expose().as_slice());
        out.extend_from_slice(self.authentication.expose().as_slice());
        out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(name);
        let check = check(&out);
        out.extend_from_slice(&check);
        out
    }

    /// Reads the bytes of a key file.
    ///
    /// # Errors
    ///
    /// [`MaterialError::KeyFile`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MaterialError> {
        let damaged = MaterialError::KeyFile;
        let (body, found) = bytes.split_last_chunk::<8>().ok_or(damaged.clone())?;
        if check(body) != *found {
            return Err(damaged);
        }
        Self::fields(body).map_err(|_| damaged)
    }

    fn fields(body: &[u8]) -> Result<Self, card_applet_spec::Error> {
        let mut reader = Reader::new(body, "terminal key");
        if reader.array()? != MAGIC || reader.array()? != [VERSION, SUITE] {
            return Err(reader.malformed());
        }
        let vault = reader.array()?;
        let root = PublicKey::from_public64(&reader.array()?)?;
        let sealing = PrivateKey::from_bytes(&Zeroizing::new(reader.array()?))?;
        let authentication = PrivateKey::from_bytes(&Zeroizing::new(reader.array()?))?;
        let length = usize::from(reader.u8()?);
        let name = std::str::from_utf8(reader.slice(length)?).map_err(|_| reader.malformed())?;
        let name = name.parse().map_err(|_| reader.malformed())?;
        reader.end()?;
        Ok(Self {
            name,
            pinned: Pinned { vault, root },
            sealing,
            authentication,
        })
    }

    /// Writes a new key file that only its owner can read (mode 0600). An existing file is never replaced: it may hold
    /// the only copy of a key.
    ///
    /// # Errors
    ///
    /// The operating system's; nothing is left behind then.
    pub fn save_new(&self, path: &Path) -> std::io::Result<()> {
        file::create(path, &self.to_bytes(), file::PRIVATE)
    }

    /// Reads a key file.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let mut file = File::open(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            return Err(MaterialError::KeyFileExposed.into());
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(512));
        (&mut file)
            .take(FILE_MAX.saturating_add(1))
            .read_to_end(&mut bytes)?;
        Ok(Self::from_bytes(&bytes)?)
    }
}

/// Why a file of the terminal could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The operating system could not read it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Its content cannot be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
}

fn check(body: &[u8]) -> [u8; 8] {
    let mut out = [0; 8];
    for (to, from) in out.iter_mut().zip(sha256(&[b"YZT-TERMINAL-KEY-1", body])) {
        *to = from;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn key(seed: u64, name: &str) -> TerminalKey {
        let mut rng = StdRng::seed_from_u64(seed);
        let root = PrivateKey::generate(&mut rng).public();
        TerminalKey::generate(name.parse().unwrap(), Pinned { vault: [7; 16], root }, &mut rng)
    }

    #[test]
    fn a_key_file_is_private_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.key");
        let made = key(1, "gate 1");
        made.save_new(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(TerminalKey::load(&path).unwrap().request(), made.request());

        let before = std::fs::read(&path).unwrap();
        assert!(key(2, "gate 2").save_new(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.key");
        key(1, "gate 1").save_new(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            TerminalKey::load(&path),
            Err(LoadError::Material(MaterialError::KeyFileExposed))
        ));
    }

    #[test]
    fn any_bit_flipped_in_a_key_file_is_found() {
        let bytes = key(3, "door 3").to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                TerminalKey::from_bytes(&damaged).unwrap_err(),
                MaterialError::KeyFile
            );
        }
    }

    #[test]
    fn anchors_with_an_unknown_key_or_a_point_off_the_curve_are_refused() {
        let point = hex::encode(key(4, "x").pinned.root.to_point65());
        let json = |extra: &str, terminal_ca: &str| {
            format!(
                r#"{{"schema":"yzt.anchors/1","vault":"{}","card_ca":"{point}","terminal_ca":"{terminal_ca}","document_signer":"{point}","entitlement_signer":"{point}","deny_list_signer":"{point}"{extra}}}"#,
                "07".repeat(16)
            )
        };
        assert_eq!(
            Pinned::from_anchors_json(json("", &point).as_bytes()).unwrap(),
            key(4, "x").pinned
        );
        assert!(Pinned::from_anchors_json(json(r#","more":1"#, &point).as_bytes()).is_err());
        // The number says that it is real, and nothing beside it says otherwise.
        assert!(Pinned::from_anchors_json(json(r#","rehearsal":true"#, &point).as_bytes()).is_err());
        assert!(Pinned::from_anchors_json(json(r#","rehearsal":false"#, &point).as_bytes()).is_ok());
        assert!(Pinned::from_anchors_json(json("", &"04".repeat(65)).as_bytes()).is_err());
        assert!(Pinned::from_anchors_json(b"{}").is_err());
    }

    proptest! {
        #[test]
        fn key_files_round_trip(seed: u64, name in "[^\\p{Cc}]{1,16}") {
            let made = key(seed, &name);
            let read = TerminalKey::from_bytes(&made.to_bytes()).unwrap();
            prop_assert_eq!(read.request(), made.request());
            prop_assert_eq!(read.pinned, made.pinned);
        }

        #[test]
        fn no_bytes_make_the_key_file_parser_panic(bytes: Vec<u8>) {
            let _ = TerminalKey::from_bytes(&bytes);
            let _ = TerminalKey::fields(&bytes);
            let _ = Pinned::from_anchors_json(&bytes);
        }
    }
}
