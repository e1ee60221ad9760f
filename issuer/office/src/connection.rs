//! How the issuer reaches the vault and the photo store: a dialer per service, one connection per piece of work.
//!
//! Left out: pools. A connection to a Unix socket costs microseconds, and a fresh one has no half-read answer in it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use keyvault_protocol::{Client, Error, Identity};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// Longest wait for a service's socket to accept, seconds: a Unix socket answers at once or not at all.
const DIAL_SECONDS: u64 = 5;

/// A byte stream both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A connected stream.
pub type Stream = Box<dyn Duplex>;

type Dialing = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

/// Opens connections to one service.
#[derive(Clone)]
pub struct Dialer {
    dial: Arc<dyn Fn() -> Dialing + Send + Sync>,
    name: Arc<str>,
}

impl Dialer {
    /// Connects to a Unix socket, where the service's user listens and nobody else.
    #[must_use]
    pub fn unix(path: &Path) -> Self {
        let name = path.display().to_string();
        let path: PathBuf = path.to_owned();
        Self::new(&name, move || {
            let path = path.clone();
            async move { Ok(Box::new(service_contract::socket::connect(&path).await?) as Stream) }
        })
    }

    /// Connects to the vault's Unix socket: who listens there is known by the key that they prove, not by their user.
    #[must_use]
    pub fn to_vault(path: &Path) -> Self {
        let name = path.display().to_string();
        let path: PathBuf = path.to_owned();
        Self::new(&name, move || {
            let path = path.clone();
            async move {
                if path.as_os_str().len() > service_contract::socket::MAX_PATH {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                Ok(Box::new(UnixStream::connect(&path).await?) as Stream)
            }
        })
    }

    /// Connects as `dial` does; `name` is for messages.
    pub fn new<F>(name: &str, dial: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Stream>> + Send + 'static,
    {
        Self {
            dial: Arc::new(move || Box::pin(dial())),
            name: name.into(),
        }
    }

    /// A new connection.
    ///
    /// # Errors
    /// The operating system's, or `TimedOut`.
    pub async fn connect(&self) -> io::Result<Stream> {
        tokio::time::timeout(Duration::from_secs(DIAL_SECONDS), (self.dial)())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// What is dialed, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The way to the vault, and who the office is on it.
#[derive(Debug, Clone)]
pub struct VaultDoor {
    /// The way.
    pub way: Dialer,
    /// The issuer's service; none in an office that has no anchors yet, which is told so when it needs the vault.
    pub issuer: Option<Identity>,
    /// The settlement.
    pub settlement: Option<Identity>,
}

impl VaultDoor {
    /// A connection as one of them.
    ///
    /// # Errors
    /// [`Error::VaultUnknown`] without an identity; the vault is away, or is not the one of the anchors.
    pub(crate) async fn open(&self, identity: Option<&Identity>) -> Result<Client<Stream>, Error> {
        let identity = identity.ok_or(Error::VaultUnknown)?;
        let stream = self.way.connect().await;
        let stream = stream.map_err(|error| Error::from_connecting(error, Path::new(self.way.name())))?;
        Client::connect(stream, identity).await
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Dialer({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_vault_that_cannot_be_reached_says_why() {
        let nobody = Identity::nobody();
        let code = async |way: Dialer| {
            let door = VaultDoor {
                way,
                issuer: None,
                settlement: None,
            };
            assert_eq!(door.open(None).await.unwrap_err().code(), "VAULT_UNKNOWN");
            door.open(Some(&nobody)).await.unwrap_err().code()
        };
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        assert_eq!(code(Dialer::to_vault(&none)).await, "VAULT_NOT_RUNNING");
        let long = folder.path().join("s".repeat(120));
        assert_eq!(code(Dialer::to_vault(&long)).await, "SOCKET_PATH");
        let strangers = Dialer::new("strange", async || {
            Err::<Stream, _>(io::ErrorKind::PermissionDenied.into())
        });
        assert_eq!(code(strangers.clone()).await, "VAULT_OTHER_USER");
        let stream = strangers.connect().await.err().unwrap();
        let error = photo_store_protocol::Error::from_connecting(stream);
        assert_eq!(error.code().as_str(), "STORE_OTHER_USER");
    }
}
