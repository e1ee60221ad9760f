//! A scratch vault: a real one, founded and opened in one go, for rehearsing a ceremony and for tests of the programs
//! that talk to a vault. Its passphrases are in this file and cost nothing to guess: it protects nothing.

use std::path::Path;
use std::sync::Arc;

use keyvault_protocol::sealed::{self, Purpose};
use keyvault_protocol::{Share, ShareEnvelope, UnsealProgress};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::custody::ceremony::{self, Custodian, Plan};
use crate::custody::share_envelope::{Cost, Package};
use crate::custody::unsealing::Vault;
use crate::error::Error;
use crate::open::transaction::Random;

/// The custodians of a scratch vault; any two open it.
pub const CUSTODIANS: [&str; 3] = ["li", "wang", "zhang"];

/// The passphrase of a scratch vault's custodian.
#[must_use]
pub fn passphrase(custodian: &str) -> String {
    format!("rehearsal of {custodian}")
}

/// Founds a scratch vault in `folder/vault` with its packages in `folder/packages`; gives the packages.
///
/// # Errors
/// As [`ceremony::init`].
pub async fn found(folder: &Path, clock: &dyn Clock, rng: Random) -> Result<Vec<Package>, Error> {
    let custodians = CUSTODIANS
        .iter()
        .map(|name| Custodian {
            name: (*name).to_owned(),
            passphrase: Zeroizing::new(passphrase(name).into_bytes()),
        })
        .collect();
    let plan = Plan {
        folder: folder.join("vault"),
        out: folder.join("packages"),
        threshold: 2,
        custodians,
        cost: Cost::REHEARSAL,
    };
    let founded = ceremony::init(&plan, clock.now(), rng).await?;
    founded
        .packages
        .iter()
        .map(|path| {
            let text = std::fs::read(path).map_err(|_| Error::File {
                what: "a share package",
            })?;
            Package::parse(&text)
        })
        .collect()
}

/// Gives one opened share to a vault in this process.
///
/// # Errors
/// As [`Vault::give_share`].
pub async fn give(vault: &Vault, share: &Share, rng: &mut Random) -> Result<UnsealProgress, Error> {
    let attempt = vault.begin_unseal().await?;
    let context = ShareEnvelope::context(&attempt.id, &share.vault, share.epoch, share.index);
    let sealed = sealed::seal(&attempt.key, Purpose::Share, &context, share.value(), rng)
        .map_err(|_| Error::NotOpened)?;
    let (vault_id, epoch, index) = (share.vault, share.epoch, share.index);
    let envelope = ShareEnvelope {
        attempt: attempt.id,
        vault: vault_id,
        epoch,
        index,
        sealed,
    };
    vault.give_share(&envelope).await
}

/// Founds a scratch vault in `folder` and opens it. `rng` is asked for a random source three times.
///
/// # Errors
/// As [`ceremony::init`] and [`Vault::load`].
pub async fn open(
    folder: &Path,
    clock: Arc<dyn Clock>,
    mut rng: impl FnMut() -> Random,
) -> Result<Arc<Vault>, Error> {
    let packages = found(folder, &*clock, rng()).await?;
    reopen(folder, &packages, clock, rng).await
}

/// Opens a scratch vault that was founded before.
///
/// # Errors
/// As [`Vault::load`] and [`Vault::give_share`].
pub async fn reopen(
    folder: &Path,
    packages: &[Package],
    clock: Arc<dyn Clock>,
    mut rng: impl FnMut() -> Random,
) -> Result<Arc<Vault>, Error> {
    let vault = Vault::load(&folder.join("vault"), clock, rng()).await?;
    let mut seal_rng = rng();
    for package in packages.iter().take(2) {
        let share = package.open(passphrase(&package.custodian).as_bytes())?;
        give(&vault, &share, &mut seal_rng).await?;
    }
    Ok(vault)
}
