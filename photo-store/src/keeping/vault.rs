//! The store's side of the key vault: keys are made and opened there, one short session per operation.
//!
//! A session is opened when it is needed and dropped afterwards, so that a vault that was sealed or restarted in between
//! is noticed at once and nothing outlives it. Left out: any fallback. Without the vault there is no photo.

use std::path::PathBuf;
use std::time::Duration;

use keyvault_protocol::{DataKey, Identity, PhotoKeyContext, RefusalCode, WrappedKey};
use photo_store_protocol::{FailureCode, PageId, PersonId, PhotoId, Profile, VaultState};
use tokio::net::UnixStream;

use crate::error::Error;

/// How long the vault may take for an answer; making a key takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the vault listens, who we are to it, and by what we know it.
#[derive(Debug, Clone)]
pub struct Vault {
    socket: PathBuf,
    identity: Identity,
}

/// A session with an open vault.
#[derive(Debug)]
pub(crate) struct Session {
    client: keyvault_protocol::Client<UnixStream>,
}

impl Vault {
    /// The vault of this identity, at a Unix socket; nothing is contacted yet.
    #[must_use]
    pub const fn at(socket: PathBuf, identity: Identity) -> Self {
        Self { socket, identity }
    }

    /// Connects. Who answers and is not the vault of our anchors is told nothing.
    ///
    /// # Errors
    /// `VAULT_UNREACHABLE`, `OTHER_VAULT`, `VAULT_REFUSED`.
    pub(crate) async fn session(&self) -> Result<Session, Error> {
        let connecting = keyvault_protocol::Client::connect_unix(&self.socket, &self.identity);
        Ok(Session {
            client: patient(connecting).await?,
        })
    }

    /// Whether the vault can be used now, with our key.
    pub(crate) async fn state(&self) -> VaultState {
        match self.is_served().await {
            Ok(()) => VaultState::Open,
            Err(Error::Vault(FailureCode::VaultSealed)) => VaultState::Sealed,
            Err(Error::Vault(FailureCode::VaultRefused)) => VaultState::Refused,
            Err(_) => VaultState::Unreachable,
        }
    }

    /// Asks what leaves no line in the vault's journal and is answered by an open one, to those alone whom it knows.
    async fn is_served(&self) -> Result<(), Error> {
        let mut session = self.session().await?;
        patient(session.client.anchors()).await.map(drop)
    }
}

impl Session {
    /// A fresh data key for one rendition, open and wrapped.
    ///
    /// # Errors
    /// `VAULT_SEALED`, `VAULT_UNREACHABLE` or `VAULT_REFUSED`.
    pub(crate) async fn new_key(
        &mut self,
        context: &PhotoKeyContext,
    ) -> Result<(DataKey, WrappedKey), Error> {
        patient(self.client.photo_key_new(context)).await
    }

    /// The data key of a stored rendition.
    ///
    /// # Errors
    /// As [`Session::new_key`]; `OBJECT_DAMAGED` when the wrapped key is not this rendition's.
    pub(crate) async fn open_key(
        &mut self,
        context: &PhotoKeyContext,
        wrapped: &WrappedKey,
    ) -> Result<DataKey, Error> {
        patient(self.client.photo_key_open(context, wrapped)).await
    }
}

/// What the vault binds a rendition's data key to.
pub(crate) fn key_context(
    photo: PhotoId,
    person: PersonId,
    profile: Profile,
    version: u32,
) -> PhotoKeyContext {
    PhotoKeyContext {
        photo_id: *photo.as_bytes(),
        person: *person.as_bytes(),
        profile: profile.as_str().to_owned(),
        version,
    }
}

/// What the vault binds a page's data key to.
pub(crate) fn page_context(page: PageId, person: PersonId, version: u32) -> PhotoKeyContext {
    PhotoKeyContext {
        photo_id: *page.as_bytes(),
        person: *person.as_bytes(),
        profile: "page".to_owned(),
        version,
    }
}

async fn patient<T>(call: impl Future<Output = Result<T, keyvault_protocol::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(refusal(&error)),
        Err(_) => Err(Error::Vault(FailureCode::VaultUnreachable)),
    }
}

fn refusal(error: &keyvault_protocol::Error) -> Error {
    tracing::warn!(code = error.code(), "the vault did not serve");
    if error.is(RefusalCode::Sealed) {
        return Error::Vault(FailureCode::VaultSealed);
    }
    if error.is(RefusalCode::NotWrappedHere) {
        return Error::Seal;
    }
    match error {
        keyvault_protocol::Error::ConnectionLost(_)
        | keyvault_protocol::Error::NoAnswer
        | keyvault_protocol::Error::HungUp
        | keyvault_protocol::Error::NotRunning => Error::Vault(FailureCode::VaultUnreachable),
        keyvault_protocol::Error::VaultNotOurs => Error::Vault(FailureCode::OtherVault),
        // The log has the vault's own code: our key is not enrolled or was suspended, the day's ceiling is reached, its disk is full.
        _ => Error::Vault(FailureCode::VaultRefused),
    }
}
