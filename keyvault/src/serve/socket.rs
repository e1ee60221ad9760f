//! Serving: connections over any byte stream, each in a channel of its own, one request at a time; and the Unix socket with peer
//! credentials.
//!
//! Bounded are handshakes (64, five seconds each), connections of those whose key nobody knows (32, half a minute of silence, 64 KiB a
//! message), and of each caller (64, ten minutes). Left out: limits on how fast one caller asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use keyvault_protocol::channel::{self, Acceptor, TURNED_AWAY};
use keyvault_protocol::frame::{self, MAX_FRAME, MAX_STRANGERS_FRAME};
use keyvault_protocol::{
    Asked, Error as WireError, Hello, PROTOCOL_VERSION, PointBytes, Refusal, Request, Response, Series,
    Welcome,
};
use service_contract::Caller;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};

use crate::authority::asker::Asker;
use crate::custody::unsealing::Vault;
use crate::error::Error;
use crate::keys::arena::heap::{self, kept};
use crate::serve::answers::Answers;
use crate::serve::gate;
use crate::serve::operations::On;
use crate::serve::pool::{Pool, Taken};

/// How long a handshake may take, and the introduction behind it.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes at one time.
const HANDSHAKES: usize = 64;
/// How long a caller may be silent between two requests.
const IDLE: Duration = Duration::from_mins(10);
/// How long somebody may whose key nobody knows.
const STRANGER_IDLE: Duration = Duration::from_secs(30);
/// How many of them there may be at one time.
const STRANGERS: usize = 32;
/// Connections of one caller at one time.
const OF_ONE_CALLER: usize = 64;
/// How long a peer may take to accept an answer.
const ACCEPT: Duration = Duration::from_secs(30);
/// How often old attempts and sessions are looked for.
const EXPIRY: Duration = Duration::from_secs(15);

/// A vault that is served.
pub struct Server {
    pub(crate) vault: Arc<Vault>,
    acceptor: Acceptor,
    handshakes: Pool,
    strangers: Pool,
    callers: Mutex<BTreeMap<PointBytes, Pool>>,
    numbers: AtomicU64,
    /// Changes when somebody's rights were taken away: every connection looks again whose it is.
    standing: watch::Sender<()>,
    answers: Mutex<Answers>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server(..)")
    }
}

impl Server {
    /// Serves this vault.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a transport key that TLS cannot use, which does not happen.
    pub fn new(vault: Arc<Vault>) -> Result<Arc<Self>, Error> {
        let acceptor = Acceptor::new(vault.channel_key()).map_err(|_| Error::Damaged {
            what: "the transport key",
        })?;
        Ok(Arc::new(Self {
            vault,
            acceptor,
            handshakes: Pool::new(HANDSHAKES),
            strangers: Pool::new(STRANGERS),
            callers: Mutex::default(),
            numbers: AtomicU64::new(0),
            standing: watch::channel(()).0,
            answers: Mutex::default(),
        }))
    }

    /// Serves one connection in a task of its own, until the other side closes it, is silent for too long, or has no right any more.
    pub fn serve<S>(self: &Arc<Self>, stream: S) -> JoinHandle<Result<(), WireError>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let server = Arc::clone(self);
        let (give, given) = oneshot::channel();
        let task = tokio::spawn(kept(async move {
            let Ok(end) = given.await else { return Ok(()) };
            server.connection(stream, end).await
        }));
        // It waits for nothing else.
        let _ = give.send(task.abort_handle());
        task
    }

    /// Somebody's rights were taken away: their connections end.
    pub(crate) fn look_again(&self) {
        self.standing.send_modify(|()| {});
    }

    /// Tells one who is no user of this vault that they are not served, and hangs up. Nothing of what they say is looked at.
    fn turn_away<S>(self: &Arc<Self>, mut stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let server = Arc::clone(self);
        let (give, given) = oneshot::channel();
        let task = tokio::spawn(async move {
            let Ok(end) = given.await else { return };
            let _place = server
                .handshakes
                .take(server.numbers.fetch_add(1, Ordering::Relaxed), end);
            // When they have spoken: before that they would not hear it.
            let told = async {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(&TURNED_AWAY).await;
                let _ = stream.shutdown().await;
            };
            let _ = tokio::time::timeout(HANDSHAKE, told).await;
        });
        let _ = give.send(task.abort_handle());
    }

    async fn connection<S>(self: Arc<Self>, stream: S, end: AbortHandle) -> Result<(), WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let handshake = self.handshakes.take(number, end.clone());
        let mut standing = self.standing.subscribe();
        let (mut stream, key) = within(HANDSHAKE, self.acceptor.accept(stream)).await?;
        let series = channel::series(stream.get_ref().1)?;
        let Some(on) = within(HANDSHAKE, self.greet(&mut stream, key, series)).await? else {
            return Ok(());
        };
        let _numbered = Numbered {
            server: &self,
            key,
            series,
        };
        let (_place, idle, longest) = self.place(&on, number, end).await;
        drop(handshake);
        let was_known = longest == MAX_FRAME;
        let on = Arc::new(on);
        loop {
            let read = {
                let reading = frame::read_at_most(&mut stream, longest);
                let mut reading = std::pin::pin!(within(idle, reading));
                loop {
                    tokio::select! {
                        read = &mut reading => break read,
                        _ = standing.changed() => if !self.stands(&on, was_known).await {
                            return Ok(());
                        },
                    }
                }
            };
            let request: Asked = match read {
                Ok(Some(asked)) => asked,
                Ok(None) => return Ok(()),
                Err(error @ WireError::Malformed(_)) => {
                    refuse(&mut stream, &Error::MalformedRequest).await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            let takes_away = matches!(
                request.request,
                Request::SuspendCaller(_) | Request::SubmitRequest(_)
            );
            // In a task of its own: what was begun is finished, whatever becomes of the connection.
            let (server, from) = (Arc::clone(&self), Arc::clone(&on));
            let passed =
                heap::spawn(async move { gate::pass(&server.vault, &server.answers, &from, request).await });
            let response = match passed.await.map_err(|_| WireError::Malformed("a request"))? {
                Ok(response) => response,
                Err(error) => {
                    // Code only: texts may name a custodian, and the log is not the place for that.
                    tracing::warn!(code = error.code(), "refused");
                    Response::Refused(Refusal::from(&error))
                }
            };
            // Before it is answered: whoever lost rights is hung up on.
            if takes_away && !matches!(response, Response::Refused(_)) {
                self.look_again();
            }
            within(ACCEPT, frame::write(&mut stream, &response)).await?;
            if !self.stands(&on, was_known).await {
                return Ok(());
            }
        }
    }

    async fn greet<S>(&self, stream: &mut S, key: PointBytes, series: Series) -> Result<Option<On>, WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        match frame::read_at_most(stream, MAX_STRANGERS_FRAME).await? {
            Some(Asked {
                request: Request::Hello(Hello(greeting)),
                ..
            }) => {
                let shown = self.vault.shown_now().await;
                let welcome = Welcome {
                    version: PROTOCOL_VERSION,
                    vault: self.vault.id(),
                    statement: shown.statement,
                    generation: shown.generation,
                };
                frame::write(stream, &Response::Welcome(welcome)).await?;
                // Another version was told ours, and hangs up.
                Ok((greeting.version == PROTOCOL_VERSION).then_some(On {
                    key,
                    series,
                    client_key: greeting.client_key,
                    agreed: OnceLock::new(),
                }))
            }
            Some(_) => {
                refuse(stream, &Error::MalformedRequest).await?;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// The place of a connection whose client is known, how long it may be silent, and how much it may say at once. One of a caller who was suspended is answered
    /// so, and ends then.
    async fn place(&self, on: &On, number: u64, end: AbortHandle) -> (Taken, Duration, usize) {
        let asker = self.vault.lock().await.asker(&on.key);
        if let Ok(Asker {
            kind: Caller::Anyone, ..
        }) = asker
        {
            let place = self.strangers.take(number, end);
            return (place, STRANGER_IDLE, MAX_STRANGERS_FRAME);
        }
        heap::unsheltered(|| self.answers().open(&on.key, on.series));
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = callers.entry(on.key).or_insert_with(|| Pool::new(OF_ONE_CALLER));
        (pool.take(number, end), IDLE, MAX_FRAME)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a connection goes on: not of who is suspended, nor of a key in whose place another came. A sealed vault knows no entry.
    async fn stands(&self, on: &On, was_known: bool) -> bool {
        let mut inner = self.vault.lock().await;
        let is_open = inner.open().is_ok();
        let asker = inner.asker(&on.key);
        asker.is_ok_and(|asker| asker.kind != Caller::Anyone || !was_known || !is_open)
    }
}

/// A connection whose requests are numbered, until it ends in whatever way.
struct Numbered<'a> {
    server: &'a Server,
    key: PointBytes,
    series: Series,
}

impl Drop for Numbered<'_> {
    fn drop(&mut self) {
        heap::unsheltered(|| self.server.answers().close(&self.key, self.series));
    }
}

async fn refuse<S>(stream: &mut S, error: &Error) -> Result<(), WireError>
where
    S: AsyncWrite + Unpin,
{
    within(
        ACCEPT,
        frame::write(stream, &Response::Refused(Refusal::from(error))),
    )
    .await
}

/// What the other side does, or the end of our patience with it.
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, WireError>>,
) -> Result<T, WireError> {
    let silent = |_| WireError::ConnectionLost(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(patience, work).await.map_err(silent)?
}

/// Accepts connections until `stop` is done, from the vault's own user, root and `users`.
///
/// # Errors
/// [`Error::StoreUnavailable`] when the socket fails.
pub async fn listen(
    listener: UnixListener,
    server: Arc<Server>,
    users: &[u32],
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let own = rustix::process::geteuid().as_raw();
    let mut stop = std::pin::pin!(stop);
    let mut expiry = tokio::time::interval(EXPIRY);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return Ok(()),
            _ = expiry.tick() => {
                let vault = Arc::clone(&server.vault);
                heap::spawn(async move {
                    vault.expire().await;
                    vault.look_through_once().await;
                });
                continue;
            }
            accepted = listener.accept() => accepted,
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
        if !gate::may_connect(&stream, own, users) {
            tracing::warn!("a connection by another user was refused");
            server.turn_away(stream);
            continue;
        }
        drop(server.serve(stream));
    }
}
