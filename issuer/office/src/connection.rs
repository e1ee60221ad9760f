//! How the issuer reaches the vault and the photo store: a dialer per service, one connection per piece of work.
//!
//! Left out: pools. A connection to a Unix socket costs microseconds, and a fresh one has no half-read answer in it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncWrite};

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
    /// Connects to a Unix socket.
    #[must_use]
    pub fn unix(path: &Path) -> Self {
        let name = path.display().to_string();
        let path: PathBuf = path.to_owned();
        Self::new(&name, move || {
            let path = path.clone();
            async move { Ok(Box::new(tokio::net::UnixStream::connect(path).await?) as Stream) }
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

impl fmt::Debug for Dialer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Dialer({})", self.name)
    }
}
