//! Serving: one connection, one request at a time, over any byte stream; and the Unix socket with peer credentials.
//!
//! Left out: TLS (the vault is reached on its own machine only) and limits per client: only how many there are at once and how long they may be silent.

use std::sync::Arc;
use std::time::Duration;

use keyvault_protocol::{
    Connection, Error as WireError, Hello, PROTOCOL_VERSION, Refusal, Request, Response, Welcome, frame,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use crate::custody::unsealing::Vault;
use crate::error::Error;
use crate::keys::arena::heap::sheltered;
use crate::serve::gate;

/// How long a connection may take to introduce itself.
const HELLO: Duration = Duration::from_secs(10);
/// How long it may be silent between two requests.
const IDLE: Duration = Duration::from_mins(10);
/// How long a peer may take to accept an answer.
const ACCEPT: Duration = Duration::from_secs(30);
/// Connections at one time; more wait in the socket's queue.
const CONNECTIONS: usize = 256;
/// How often old attempts and sessions are looked for.
const EXPIRY: Duration = Duration::from_secs(15);

/// Serves one connection until the other side closes it, or is silent for ten minutes.
///
/// # Errors
/// The stream's error, or that the bytes were no message of the protocol.
pub async fn connection<S>(mut stream: S, vault: Arc<Vault>) -> Result<(), WireError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Some(on) = within(HELLO, greet(&mut stream, &vault)).await? else {
        return Ok(());
    };
    loop {
        let request: Request = match within(IDLE, frame::read(&mut stream)).await {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error @ WireError::Malformed(_)) => {
                frame::write(
                    &mut stream,
                    &Response::Refused(Refusal::from(&Error::MalformedRequest)),
                )
                .await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let response = match sheltered(gate::pass(&vault, &on, request)).await {
            Ok(response) => response,
            Err(error) => {
                // Code only: texts may name a custodian, and the log is not the place for that.
                tracing::warn!(code = error.code(), "refused");
                Response::Refused(Refusal::from(&error))
            }
        };
        within(ACCEPT, frame::write(&mut stream, &response)).await?;
    }
}

/// What the other side does, or the end of our patience with it.
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, WireError>>,
) -> Result<T, WireError> {
    let silent = |_| WireError::ConnectionLost(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(patience, work).await.map_err(silent)?
}

async fn greet<S>(stream: &mut S, vault: &Vault) -> Result<Option<Connection>, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    match frame::read(stream).await? {
        Some(Request::Hello(Hello(greeting))) => {
            let on = Connection {
                vault: vault.id(),
                challenge: vault.challenge(),
                client_key: greeting.client_key,
            };
            let welcome = Welcome {
                version: PROTOCOL_VERSION,
                vault: on.vault,
                transport: vault.transport_key(),
                challenge: on.challenge,
            };
            frame::write(stream, &Response::Welcome(welcome)).await?;
            // Another version was told ours, and hangs up.
            Ok((greeting.version == PROTOCOL_VERSION).then_some(on))
        }
        Some(_) => {
            frame::write(
                stream,
                &Response::Refused(Refusal::from(&Error::MalformedRequest)),
            )
            .await?;
            Ok(None)
        }
        None => Ok(None),
    }
}

/// Accepts connections until `stop` is done. Only the vault's own user and root are served.
///
/// # Errors
/// [`Error::StoreUnavailable`] when the socket fails.
pub async fn listen(
    listener: UnixListener,
    vault: Arc<Vault>,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let own = rustix::process::geteuid().as_raw();
    let mut stop = std::pin::pin!(stop);
    let mut expiry = tokio::time::interval(EXPIRY);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // A place is taken before a connection is accepted: a full house is no reason to miss the end.
    let mut free = None;
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return Ok(()),
            _ = expiry.tick() => {
                let vault = Arc::clone(&vault);
                tokio::spawn(sheltered(async move {
                    vault.expire().await;
                    vault.look_through_once().await;
                }));
                continue;
            }
            Ok(place) = Arc::clone(&places).acquire_owned(), if free.is_none() => {
                free = Some(place);
                continue;
            }
            accepted = listener.accept(), if free.is_some() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, or the caller has gone again: the next one may fare better.
                tracing::warn!(kind = %error.kind(), "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if !gate::may_connect(&stream, own) {
            tracing::warn!("a connection by another user was refused");
            continue;
        }
        let vault = Arc::clone(&vault);
        let place = free.take();
        tokio::spawn(async move {
            if let Err(error) = connection(stream, vault).await {
                tracing::debug!(code = error.code(), "a connection ended");
            }
            drop(place);
        });
    }
}
