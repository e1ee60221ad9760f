//! Connections of the API: HTTP/1.1, each cut off when the head of a request takes too long, so that nobody holds the server by
//! sending nothing, or a byte now and then. RFC 9112.
//!
//! The time of a whole request is another one (the router's). Left out: HTTP/2 and TLS, which a proxy ends in front of us.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

/// How long to wait when the machine has no descriptor or memory left for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Serves until `stopped` is done; requests that run then are finished.
///
/// # Errors
/// The operating system's, when the listener itself is gone.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    head: Duration,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let mut builder = Builder::new(hyper_util::rt::TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head);
    let running = GracefulShutdown::new();
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The one connection, not the listener.
            Err(error) if is_of_the_other_side(&error) => continue,
            Err(error) if is_lack_of_room(&error) => {
                tokio::time::sleep(NO_ROOM).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let service = router
            .clone()
            .map_request(move |request| from_peer(request, peer));
        let service = TowerToHyperService::new(service);
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = running.watch(connection);
        tokio::spawn(async move {
            // A client that broke off, or was cut off, is told nothing.
            let _ = connection.await;
        });
    }
    drop(listener);
    running.shutdown().await;
    Ok(())
}

/// The request, which knows who connected.
fn from_peer<B>(mut request: Request<B>, peer: SocketAddr) -> Request<B> {
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

fn is_of_the_other_side(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused | Kind::Interrupted
    )
}

/// ENFILE, EMFILE, ENOBUFS, ENOMEM.
fn is_lack_of_room(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24 | 105 | 12))
}
