//! The scratch vault: a real vault, made and opened in one go, for tests of what talks to a vault.
//!
//! Its passphrases are in this file and cost nothing to guess: it protects nothing, and is founded as a rehearsal, so that
//! nothing that it makes passes for real. Only tests depend on this crate. It is not the rehearsal installation (which a
//! person founds with the programs) nor a drill (which a running vault is put through).

use std::path::Path;
use std::sync::Arc;

use keyvault::custody::ceremony::{self, Custodian, Plan};
use keyvault::custody::share_envelope::{Cost, ShareEnvelope};
use keyvault::serve::Server;
use keyvault::{Error, Random, Vault};
use keyvault_protocol::sealed::{self, Purpose};
use keyvault_protocol::{
    Attempt, ChannelKey, Client, Error as WireError, Identity, SealedShare, Share, UnsealProgress,
};
use program_contract::{Clock, Founded};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// Work per guess at a passphrase: next to none.
pub const COST: Cost = Cost {
    memory_kib: 64,
    passes: 1,
};

/// The custodians of a scratch vault; any two open it.
pub const CUSTODIANS: [&str; 3] = ["li", "wang", "zhang"];

/// The passphrase of a scratch vault's custodian.
#[must_use]
pub fn passphrase(custodian: &str) -> String {
    format!("scratch vault of {custodian}")
}

/// Makes a scratch vault in `folder/vault` with its share envelopes in `folder/envelopes`; gives the envelopes.
///
/// # Errors
/// As [`ceremony::create`].
pub async fn create(folder: &Path, clock: &Clock, rng: Random) -> Result<Vec<ShareEnvelope>, Error> {
    let custodians = CUSTODIANS
        .iter()
        .map(|name| Custodian {
            name: (*name).to_owned(),
            passphrase: Zeroizing::new(passphrase(name).into_bytes()),
        })
        .collect();
    let plan = Plan {
        folder: folder.join("vault"),
        out: folder.join("envelopes"),
        threshold: 2,
        custodians,
        cost: COST,
        founded: Founded::Rehearsal,
    };
    let made = ceremony::create(&plan, clock.now(), rng).await?;
    made.envelopes
        .iter()
        .map(|path| {
            let text = std::fs::read(path).map_err(|error| Error::File {
                what: "a share envelope",
                path: path.display().to_string(),
                kind: error.kind(),
            })?;
            ShareEnvelope::parse(&text)
        })
        .collect()
}

/// Connects to a vault in this process, as whoever has this key. Of a sealed vault no more than the status can be asked.
///
/// # Errors
/// As [`Client::connect`].
pub async fn connect(vault: &Arc<Vault>, key: ChannelKey) -> Result<Client<DuplexStream>, WireError> {
    let identity = match vault.anchors().await {
        Some(anchors) => Identity::of(key, anchors, Clock::fixed(vault.status().await.high_water)),
        None => Identity::nobody(),
    };
    Ok(dial(vault, &identity).await?.0)
}

/// Connects as the custodian of this share.
///
/// # Errors
/// As [`Client::connect`].
pub async fn connect_custodian(vault: &Arc<Vault>, share: &Share) -> Result<Client<DuplexStream>, WireError> {
    let pinned = Share::new(share.vault, share.epoch, share.index, *share.value());
    let identity = Identity::custodian(&pinned.pinned_to(vault.transport_key()))?;
    Ok(dial(vault, &identity).await?.0)
}

/// Connects as this identity; gives the vault's end too, which is over when the client has gone.
///
/// # Errors
/// As [`Client::connect`].
pub async fn dial(
    vault: &Arc<Vault>,
    identity: &Identity,
) -> Result<(Client<DuplexStream>, JoinHandle<Result<(), WireError>>), WireError> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let served = Server::new(Arc::clone(vault))
        .map_err(|_| WireError::KeyFile)?
        .serve(far);
    Ok((Client::connect(near, identity).await?, served))
}

/// Begins an unseal attempt of a vault in this process, as the custodian of this share.
///
/// # Errors
/// As [`Vault::begin_unseal`].
pub async fn begin(vault: &Vault, share: &Share) -> Result<Attempt, Error> {
    // As a client does.
    if share.vault != vault.id() {
        return Err(Error::WrongVault);
    }
    vault.begin_unseal(Some(share.index)).await
}

/// Gives one opened share to a vault in this process.
///
/// # Errors
/// As [`Vault::give_share`].
pub async fn give(vault: &Vault, share: &Share, rng: &mut Random) -> Result<UnsealProgress, Error> {
    let attempt = begin(vault, share).await?;
    let context = SealedShare::context(&attempt.id, &share.vault, share.epoch, share.index, 0, None);
    let sealed = sealed::seal(&attempt.key, Purpose::Share, &context, share.value(), rng)
        .map_err(|_| Error::NotOpened)?;
    let (vault_id, epoch, index) = (share.vault, share.epoch, share.index);
    let envelope = SealedShare {
        attempt: attempt.id,
        vault: vault_id,
        epoch,
        index,
        sealed,
        seen: 0,
        day: None,
    };
    vault.give_share(&envelope).await
}

/// Makes a scratch vault in `folder` and opens it. `rng` is asked for a random source three times.
///
/// # Errors
/// As [`ceremony::create`] and [`Vault::load`].
pub async fn open(folder: &Path, clock: Clock, mut rng: impl FnMut() -> Random) -> Result<Arc<Vault>, Error> {
    let envelopes = create(folder, &clock, rng()).await?;
    reopen(folder, &envelopes, clock, rng).await
}

/// Opens a scratch vault that was made before.
///
/// # Errors
/// As [`Vault::load`] and [`Vault::give_share`].
pub async fn reopen(
    folder: &Path,
    envelopes: &[ShareEnvelope],
    clock: Clock,
    mut rng: impl FnMut() -> Random,
) -> Result<Arc<Vault>, Error> {
    let vault = Vault::load(&folder.join("vault"), clock, rng()).await?;
    let mut seal_rng = rng();
    for envelope in envelopes.iter().take(2) {
        let share = envelope.open(passphrase(&envelope.custodian).as_bytes())?;
        give(&vault, &share, &mut seal_rng).await?;
    }
    Ok(vault)
}
