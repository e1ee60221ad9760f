//! The issuer's service key: P-256 (FIPS 186-5), signs the orders that the vault takes. Its public half is enrolled in
//! the vault under the issuer's name.
//!
//! File: `"YZTI" || version 01 || suite 01 || scalar 32 || check 8`, mode 0600; check is the start of SHA-256 over all
//! before it and finds a damaged disk, not an enemy. Left out: a pass phrase (a service starts by itself); where there is
//! an HSM the key lives there.

use std::borrow::Cow;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use issuer_office::random::Random;
use keyvault_protocol::ChannelKey;
use p256::SecretKey;
use p256::ecdsa::SigningKey;
use p256::elliptic_curve::Generate as _;
use program_contract::language::Said as _;
use program_contract::{Exit, Failing, file};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const HEAD: [u8; 6] = *b"YZTI\x01\x01";
/// Head, scalar, check.
const FILE_BYTES: usize = 6 + 32 + 8;

/// Why a service key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceKeyError {
    /// The file is not there.
    #[error("there is no service key at {}", .0.display())]
    Absent(PathBuf),
    /// Others than its owner can read it.
    #[error("the service key {} can be read by others than its owner", .0.display())]
    Exposed(PathBuf),
    /// It is damaged or something else.
    #[error("{} is no service key, or was damaged", .0.display())]
    Damaged(PathBuf),
    /// The file system failed.
    #[error("the service key {} cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ServiceKeyError {
    /// The code for programs, from a closed list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Absent(_) => "SERVICE_KEY_ABSENT",
            Self::Exposed(_) => "SERVICE_KEY_EXPOSED",
            Self::Damaged(_) => "SERVICE_KEY_DAMAGED",
            Self::File { .. } => "SERVICE_KEY_FILE",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Absent(_) => "Make one with `issuer migrate`, and enrol its public half in the vault.",
            Self::Exposed(_) => {
                "Take the rights of others away (`chmod 600`); if others may have read it, make a new key and enrol it."
            }
            Self::Damaged(_) => {
                "Restore it from where it was made, or make a new key and enrol it in the vault."
            }
            Self::File { .. } => "Check the path, its rights and the disk.",
        }
    }
}

impl Failing for ServiceKeyError {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    fn exit(&self) -> Exit {
        Exit::Damaged
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }

    fn chinese(&self) -> (String, String) {
        let (message, action) = match self {
            Self::Absent(path) => (
                format!("{} 处没有服务密钥", path.display()),
                "请用 `issuer migrate` 生成，并把公钥登记到密钥库。",
            ),
            Self::Exposed(path) => (
                format!("服务密钥 {} 可被属主以外的人读取", path.display()),
                "请收回他人的权限（`chmod 600`）；可能已被他人读过的，生成新密钥并登记。",
            ),
            Self::Damaged(path) => (
                format!("{} 不是服务密钥，或已损坏", path.display()),
                "请用制作时的备份恢复，或生成新密钥并登记到密钥库。",
            ),
            Self::File { path, source } => (
                format!("服务密钥 {} 无法使用：{}", path.display(), source.zh()),
                "请检查路径、权限和磁盘。",
            ),
        };
        (message, action.to_owned())
    }
}

/// The key. Wiped on drop, never printed.
pub struct ServiceKey(SigningKey);

impl ServiceKey {
    /// A new key.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(SigningKey::from(SecretKey::generate_from_rng(
            &mut random.session(),
        )))
    }

    /// The public half, `04 || X || Y`, as the vault enrols it.
    #[must_use]
    pub fn public(&self) -> [u8; 65] {
        let mut point = [0; 65];
        point.copy_from_slice(self.0.verifying_key().to_sec1_point(false).as_bytes());
        point
    }

    /// The same key, as the vault's channel knows it.
    #[must_use]
    pub fn channel_key(&self) -> ChannelKey {
        ChannelKey::from(&SecretKey::from(self.0.as_nonzero_scalar()))
    }

    pub(crate) const fn signer(&self) -> &SigningKey {
        &self.0
    }

    /// Writes a new key file, mode 0600; an existing one is never replaced.
    ///
    /// # Errors
    /// [`ServiceKeyError::File`].
    pub fn save_new(&self, path: &Path) -> Result<(), ServiceKeyError> {
        let failed = |source| ServiceKeyError::File {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES));
        bytes.extend_from_slice(&HEAD);
        bytes.extend_from_slice(&Zeroizing::new(self.0.to_bytes()));
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        file::create(path, &bytes, file::PRIVATE).map_err(failed)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// Every [`ServiceKeyError`].
    pub fn load(path: &Path) -> Result<Self, ServiceKeyError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => ServiceKeyError::Absent(path.to_owned()),
            _ => ServiceKeyError::File {
                path: path.to_owned(),
                source: error,
            },
        };
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(ServiceKeyError::Exposed(path.to_owned()));
        }
        let damaged = || ServiceKeyError::Damaged(path.to_owned());
        if metadata.len() != FILE_BYTES as u64 {
            return Err(damaged());
        }
        let bytes = Zeroizing::new(std::fs::read(path).map_err(failed)?);
        let (body, found) = bytes.split_last_chunk::<8>().ok_or_else(damaged)?;
        let scalar = body
            .strip_prefix(&HEAD)
            .filter(|_| check(body) == *found)
            .ok_or_else(damaged)?;
        SigningKey::from_slice(scalar).map(Self).map_err(|_| damaged())
    }
}

fn check(bytes: &[u8]) -> [u8; 8] {
    let mut check = [0; 8];
    check.copy_from_slice(&Sha256::digest(bytes)[..8]);
    check
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServiceKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn random() -> Random {
        Random::new(rand::rngs::StdRng::seed_from_u64(11))
    }

    #[test]
    fn a_key_file_reads_back_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.key");
        assert_eq!(ServiceKey::load(&path).unwrap_err().code(), "SERVICE_KEY_ABSENT");
        let key = ServiceKey::generate(&random());
        key.save_new(&path).unwrap();
        assert_eq!(ServiceKey::load(&path).unwrap().public(), key.public());
        assert_eq!(
            key.save_new(&path).unwrap_err().code(),
            "SERVICE_KEY_FILE",
            "an existing key is never replaced"
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(ServiceKey::load(&path).unwrap_err().code(), "SERVICE_KEY_EXPOSED");
    }

    #[test]
    fn any_bit_flipped_in_a_key_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.key");
        ServiceKey::generate(&random()).save_new(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(ServiceKey::load(&path).unwrap_err().code(), "SERVICE_KEY_DAMAGED");
        }
    }

    #[test]
    fn a_debug_line_shows_no_key() {
        assert_eq!(format!("{:?}", ServiceKey::generate(&random())), "ServiceKey(..)");
    }
}
