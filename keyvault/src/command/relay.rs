//! `keyvault relay`: connections from TCP to a Unix socket, or from a Unix socket to TCP. A dumb pipe: TLS goes through it and ends
//! inside the vault, so it has no key, reads nothing of what it carries and decides about nobody.
//!
//! What it does see to is that no client of its stops another: places for each source and for all, an end for who connects and says
//! nothing, for who takes nothing and for who falls silent, and memory for two buffers a connection. The far side is called when a
//! client has said something, as every client of the vault does first. Left out: whose connection it is for the far side (the
//! PROXY protocol), because the vault knows its callers by their keys.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyvault::serve::isolation;
use program_contract::language::Words;
use program_contract::{Failure, Outcome};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::{Instant, timeout};

use crate::command::arguments;
use crate::command::place::{runtime, usage};
use crate::command::serve::{PRIVATE, announce, bind, stop_signal};

/// Connections at one time: as many as the vault takes.
const CONNECTIONS: usize = 256;
/// Of them, of one source: an address (of IPv6 its first 64 bits), or a user of this machine.
const CONNECTIONS_OF_ONE: usize = 64;
/// How long a client may take for its first byte; the far side is not called before.
const FIRST: Duration = Duration::from_secs(5);
/// How long the far side may take to accept.
const CONNECT: Duration = Duration::from_secs(5);
/// How long either side may take for the bytes that it is given.
const STALL: Duration = Duration::from_mins(1);
/// A connection over which nothing went for so long is ended, at the latest after twice the time. The vault's own is the same.
const IDLE: Duration = Duration::from_mins(10);
/// Bytes on the way in each direction.
const BUFFER: usize = 16 * 1024;
/// At most one line of the log in this time about connections that were turned away.
const TELL: Duration = Duration::from_secs(1);

program_contract::failures! {
    fn cannot_listen(address, error) = Damaged "LISTEN" {
        "无法监听 {address}：{error}", "cannot listen on {address}: {error}";
        "可能已有一个 `keyvault relay` 在此运行：请先查明；确需另一个的，用 `--listen` 另选空闲地址。",
        "A `keyvault relay` may run there already: look first; for another one choose a free address with `--listen`.";
    }
    fn unknown_host(host, error) = Absent "FAR_SIDE_UNKNOWN" {
        "找不到主机 {host}：{error}", "the host {host} is not found: {error}";
        "请核对 --to 所写的主机和端口，以及本机的域名解析，再启动。", "Check the host and port of --to, and how this machine looks names up, then start it again.";
    }
}

program_contract::sentences! {
    fn relays(from, to) = "{from} 的连接转至 {to}", "connections at {from} go on to {to}";
}

/// Relays until a signal ends it.
pub(crate) fn relay(command: arguments::Relay, schema: Option<&'static str>) -> Result<Outcome, Failure> {
    let arguments::Relay {
        listen,
        listen_socket,
        to,
        group_may_connect,
    } = command;
    let (gate, far, socket) = match (listen, listen_socket) {
        (Some(address), _) => {
            let unusable = |error| cannot_listen(address.to_string(), error);
            let listener = std::net::TcpListener::bind(address).map_err(unusable)?;
            listener.set_nonblocking(true).map_err(unusable)?;
            let socket = PathBuf::from(to);
            keyvault_protocol::check_path(&socket)?;
            (Gate::Tcp(listener), Far::Socket(socket), None)
        }
        (None, Some(socket)) => {
            let far = Far::Host(host(&to)?);
            keyvault_protocol::check_path(&socket)?;
            let listener = bind(&socket, if group_may_connect { 0o660 } else { PRIVATE })?;
            (Gate::Socket(listener), far, Some(socket))
        }
        // Refused with the arguments.
        (None, None) => return Err(usage(Words("缺少 --listen", "--listen is missing"))),
    };
    let isolated = isolation::confine_relay(socket.as_deref(), far.port())?;
    if !isolated.landlock {
        tracing::warn!("this kernel has no landlock: files and ports are not confined");
    }
    let outcome = runtime()?.block_on(async {
        let (listener, at) = gate.open(socket.as_deref())?;
        let stop = stop_signal()?;
        if schema.is_some() {
            announce(&json!({
                "schema": schema,
                "ok": true,
                "listens": &at,
                "to": far.to_string(),
                "landlock": isolated.landlock,
            }))?;
        }
        program_contract::tell!("keyvault: ", relays(&at, far.to_string()));
        listener.relay(far, stop).await;
        Ok::<(), Failure>(())
    });
    if let Some(socket) = socket {
        let _ = std::fs::remove_file(socket);
    }
    outcome?;
    // Its one object was printed when it began; connections end with the process.
    std::process::exit(0)
}

fn host(to: &OsStr) -> Result<Vec<SocketAddr>, Failure> {
    let text = to.to_str().unwrap_or_default();
    if !text.contains(':') {
        return Err(usage(Words(
            "与 --listen-socket 一起的 --to 写作 主机:端口",
            "--to with --listen-socket has the form HOST:PORT",
        )));
    }
    let found: Vec<_> = text
        .to_socket_addrs()
        .map_err(|error| unknown_host(text, error))?
        .collect();
    // One port: that is what the process may connect to.
    match found.first() {
        Some(_) => Ok(found),
        None => Err(unknown_host(text, std::io::ErrorKind::NotFound)),
    }
}

/// What a client comes to, before there is a runtime.
enum Gate {
    Tcp(std::net::TcpListener),
    Socket(std::os::unix::net::UnixListener),
}

impl Gate {
    /// Takes it into the runtime; with where it is.
    fn open(self, socket: Option<&Path>) -> Result<(Listener, String), Failure> {
        let unusable = |error| cannot_listen("--listen", error);
        match self {
            Self::Tcp(listener) => {
                let at = listener.local_addr().map_err(unusable)?;
                Ok((
                    Listener::Tcp(TcpListener::from_std(listener).map_err(unusable)?),
                    at.to_string(),
                ))
            }
            Self::Socket(listener) => {
                let at = socket.unwrap_or(Path::new("")).display().to_string();
                Ok((
                    Listener::Socket(UnixListener::from_std(listener).map_err(unusable)?),
                    at,
                ))
            }
        }
    }
}

/// Where connections go.
#[derive(Clone)]
enum Far {
    Socket(PathBuf),
    Host(Vec<SocketAddr>),
}

impl Far {
    fn port(&self) -> Option<u16> {
        match self {
            Self::Socket(_) => None,
            Self::Host(addresses) => addresses.first().map(SocketAddr::port),
        }
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Wire>> {
        match self {
            Self::Socket(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Host(addresses) => {
                let stream = TcpStream::connect(&addresses[..]).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}

impl fmt::Display for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Host(addresses) => match addresses.first() {
                Some(address) => address.fmt(f),
                None => Ok(()),
            },
        }
    }
}

/// Either kind of stream.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

/// Whose connections are counted together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Source {
    Address(IpAddr),
    User(u32),
}

impl Source {
    /// Who has one IPv6 address has 2^64 of them.
    fn of(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// How many connections each source has.
#[derive(Default)]
struct Places(Mutex<HashMap<Source, usize>>);

/// A place, until it is dropped.
struct Place {
    of: Source,
    places: Arc<Places>,
}

impl Places {
    fn take(self: &Arc<Self>, of: Source) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= CONNECTIONS || taken.get(&of) >= Some(&CONNECTIONS_OF_ONE) {
            return None;
        }
        *taken.entry(of).or_default() += 1;
        let places = Arc::clone(self);
        Some(Place { of, places })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    Socket(UnixListener),
}

impl Listener {
    /// The next client: its stream, whose it is, and who it is for the log.
    async fn accept(&self) -> std::io::Result<(Box<dyn Wire>, Source, String)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Source::of(peer.ip()), peer.to_string()))
            }
            Self::Socket(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = stream.peer_cred()?;
                let who = format!("uid {} pid {}", peer.uid(), peer.pid().unwrap_or_default());
                Ok((Box::new(stream), Source::User(peer.uid()), who))
            }
        }
    }

    async fn relay(self, far: Far, stop: impl Future<Output = ()>) {
        let far = Arc::new(far);
        let places = Arc::new(Places::default());
        let (mut turned_away, mut told) = (0_u64, None::<Instant>);
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return,
                accepted = self.accept() => accepted,
            };
            let (near, source, who) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or the caller has gone again: the next one may fare better.
                    tracing::warn!(kind = %error.kind(), "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Some(place) = places.take(source) else {
                turned_away += 1;
                if told.is_none_or(|told| told.elapsed() >= TELL) {
                    tracing::warn!(%who, turned_away, "no place for a connection");
                    told = Some(Instant::now());
                }
                continue;
            };
            let far = Arc::clone(&far);
            tokio::spawn(async move {
                tracing::info!(%who, "connected");
                let carried = Carried::default();
                let end = carried.carry(near, &far).await;
                let (sent, answered) = carried.bytes();
                if end == End::FarSideAway {
                    tracing::warn!(%who, to = %far, code = "FAR_SIDE_AWAY", "the far side does not accept: is it running?");
                } else {
                    tracing::info!(%who, ?end, sent, answered, "ended");
                }
                drop(place);
            });
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// Both sides had said everything.
    Whole,
    /// The client connected and said nothing.
    SaidNothing,
    FarSideAway,
    /// One side broke off.
    Broken,
    /// One side took nothing of what it was given.
    Stalled,
    /// Nothing went for a long time.
    Idle,
}

/// Bytes of one connection: from the client, and back.
#[derive(Default)]
struct Carried {
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Carried {
    fn bytes(&self) -> (u64, u64) {
        (
            self.sent.load(Ordering::Relaxed),
            self.answered.load(Ordering::Relaxed),
        )
    }

    async fn carry(&self, mut near: Box<dyn Wire>, far: &Far) -> End {
        let mut first = vec![0; BUFFER];
        let length = match timeout(FIRST, near.read(&mut first)).await {
            Ok(Ok(0)) | Err(_) => return End::SaidNothing,
            Ok(Err(_)) => return End::Broken,
            Ok(Ok(length)) => length,
        };
        let Ok(Ok(mut far)) = timeout(CONNECT, far.connect()).await else {
            return End::FarSideAway;
        };
        if let Err(end) = give(&mut far, &first[..length], &self.sent).await {
            return end;
        }
        drop(first);
        self.both_ways(near, far).await
    }

    async fn both_ways(&self, near: Box<dyn Wire>, far: Box<dyn Wire>) -> End {
        let (from_near, to_near) = tokio::io::split(near);
        let (from_far, to_far) = tokio::io::split(far);
        let idle = async {
            let mut before = self.bytes();
            loop {
                tokio::time::sleep(IDLE).await;
                let now = self.bytes();
                if now == before {
                    return;
                }
                before = now;
            }
        };
        tokio::select! {
            both = async { tokio::try_join!(one_way(from_near, to_far, &self.sent), one_way(from_far, to_near, &self.answered)) } =>
                both.map_or_else(|end| end, |_| End::Whole),
            () = idle => End::Idle,
        }
    }
}

/// One direction, to its end, which is passed on. No more is read while the other side has not taken what was read.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    carried: &AtomicU64,
) -> Result<(), End> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => return to.shutdown().await.map_err(|_| End::Broken),
            Ok(length) => give(&mut to, &buffer[..length], carried).await?,
            Err(_) => return Err(End::Broken),
        }
    }
}

async fn give(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8], carried: &AtomicU64) -> Result<(), End> {
    match timeout(STALL, to.write_all(bytes)).await {
        Ok(Ok(())) => {
            carried.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            Ok(())
        }
        Ok(Err(_)) => Err(End::Broken),
        Err(_) => Err(End::Stalled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_its_neighbours_of_ipv6_are_one_source() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn one_source_has_some_of_the_places_and_all_together_have_all() {
        let places = Arc::new(Places::default());
        let mut taken: Vec<_> = std::iter::from_fn(|| places.take(Source::User(1))).collect();
        assert_eq!(taken.len(), CONNECTIONS_OF_ONE);
        for user in 2.. {
            let more: Vec<_> = std::iter::from_fn(|| places.take(Source::User(user))).collect();
            if more.is_empty() {
                break;
            }
            taken.extend(more);
        }
        assert_eq!(taken.len(), CONNECTIONS);
        drop(taken);
        assert!(places.take(Source::User(1)).is_some());
        assert!(places.0.lock().unwrap().is_empty());
    }
}
