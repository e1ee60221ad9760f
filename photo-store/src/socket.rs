//! The store on a stream: one task a connection, one request at a time, every failure answered by its code.
//!
//! The socket has mode 0600, or 0660 for a group, and appears only when requests are answered. Left out: TLS and users; across
//! machines the stream is mutual TLS, and who may do what is the issuer's decision.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use photo_store_protocol::operation::{
    BeginCase, CloseCase, ConfirmPhoto, EndPages, ErasePhoto, Hello, JudgeFrame, KeepPage, ListPageLooks,
    ListPages, ListPhotos, ListReads, LookAtPage, ReadPhoto, RedeemRelease, ReleasePhoto, RemovePage,
    ShowPhoto, ShowReceipt, ShowStatus, SubmitPhoto, TakeBackPhoto, UseReceipt,
};
use photo_store_protocol::{
    Error as CallError, FailureCode, MAX_FRAME_BYTES, PROTOCOL_VERSION, Request, Response,
};
use service_contract::{answered, frame};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::error::Error;
use crate::service::Service;

/// The largest first message of a connection, in bytes.
const HELLO_BYTES: usize = 64;
/// How long a connection may take to introduce itself.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
/// How long a peer may take to accept an answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may be silent between two requests.
const IDLE: Duration = Duration::from_mins(10);
/// Connections at one time; more wait in the socket's queue.
const CONNECTIONS: usize = 64;
/// How often leftovers are cleared.
const HOUSEKEEPING: Duration = Duration::from_hours(1);
/// How long running requests may take to end when the store is stopped.
const FAREWELL: Duration = Duration::from_secs(5);

/// Makes the socket, mode 0600, or 0660 where the process's group may connect. A dead socket of a store that crashed is replaced.
///
/// # Errors
/// `SOCKET_IN_USE` when a store answers there, `SOCKET_UNUSABLE` when it cannot be made.
pub(crate) async fn listen(path: &Path, group_may_connect: bool) -> Result<UnixListener, Error> {
    let unusable = |_| Error::Refused(FailureCode::SocketUnusable);
    match UnixStream::connect(path).await {
        Ok(_) => return Err(Error::Refused(FailureCode::SocketInUse)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        // Only a socket is replaced: a file that somebody put there is left alone.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused && is_socket(path) => {
            std::fs::remove_file(path).map_err(unusable)?;
        }
        Err(_) => return Err(Error::Refused(FailureCode::SocketUnusable)),
    }
    // Bound under another name and renamed, so that nobody connects before the mode is set.
    // A short name: a socket's path has at most 107 bytes.
    let draft = path.with_file_name(format!(".{}", std::process::id()));
    let _ = std::fs::remove_file(&draft);
    let listener = UnixListener::bind(&draft).map_err(unusable)?;
    let mode = if group_may_connect { 0o660 } else { 0o600 };
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(mode)).map_err(unusable)?;
    std::fs::rename(&draft, path).map_err(unusable)?;
    Ok(listener)
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// Serves until `stop` resolves; running requests get five seconds to end.
pub(crate) async fn run(listener: UnixListener, service: Arc<Service>, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // A place is taken before a connection is accepted, and waited for beside everything else: a full house is no
    // reason to miss the end.
    let mut free = None;
    let mut connections = JoinSet::new();
    let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = housekeeping.tick() => {
                match service.housekeep().await {
                    Ok(0) => {}
                    Ok(cleared) => tracing::info!(cleared, "leftovers cleared"),
                    Err(error) => tracing::warn!(%error, "housekeeping failed"),
                }
            }
            Ok(place) = Arc::clone(&places).acquire_owned(), if free.is_none() => free = Some(place),
            accepted = listener.accept(), if free.is_some() => {
                let Ok((stream, _)) = accepted else {
                    // Out of file descriptors: wait for connections to end instead of spinning.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let place = free.take();
                let service = Arc::clone(&service);
                connections.spawn(async move {
                    connection(stream, &service).await;
                    drop(place);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    // A silent connection is cut; a repeated request is harmless.
    let _ = tokio::time::timeout(FAREWELL, ended).await;
}

/// Answers one connection until it ends, falls silent or breaks the protocol.
pub async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send>(mut stream: S, service: &Service) {
    let hello = tokio::time::timeout(HELLO_PATIENCE, frame::read(&mut stream, HELLO_BYTES)).await;
    match hello {
        Ok(Ok(Some(Request::Hello(Hello {
            version: PROTOCOL_VERSION,
        })))) => {
            if !sent(&mut stream, &answered::<Hello, Response>(PROTOCOL_VERSION)).await {
                return;
            }
        }
        Ok(Ok(Some(Request::Hello(_)))) => {
            sent(&mut stream, &Response::Failed(FailureCode::Version)).await;
            return;
        }
        Ok(Ok(Some(_)) | Err(_)) => {
            sent(&mut stream, &Response::Failed(FailureCode::Protocol)).await;
            return;
        }
        Ok(Ok(None)) | Err(_) => return,
    }
    loop {
        let request = tokio::time::timeout(IDLE, frame::read(&mut stream, MAX_FRAME_BYTES)).await;
        let (response, last) = match request {
            Ok(Ok(Some(request))) => (answer(request, service).await, false),
            Ok(Err(error)) => match CallError::from(error) {
                // The rest of the stream cannot be trusted to begin with a frame.
                CallError::Failed(code) => (Response::Failed(code), true),
                _ => return,
            },
            Ok(Ok(None)) | Err(_) => return,
        };
        if !sent(&mut stream, &response).await || last {
            return;
        }
    }
}

/// Sends an answer; `false` when the peer is gone or does not accept it in time.
async fn sent<S: AsyncWrite + Unpin>(stream: &mut S, response: &Response) -> bool {
    let written =
        tokio::time::timeout(ANSWER_PATIENCE, frame::write(stream, response, MAX_FRAME_BYTES)).await;
    matches!(written, Ok(Ok(())))
}

async fn answer(request: Request, service: &Service) -> Response {
    let answered = match request {
        Request::Hello(_) => Err(Error::Refused(FailureCode::Protocol)),
        Request::ShowStatus(ShowStatus) => service.status().await.map(answered::<ShowStatus, _>),
        Request::SubmitPhoto(SubmitPhoto(submit)) => {
            service.submit(submit).await.map(answered::<SubmitPhoto, _>)
        }
        Request::ConfirmPhoto(ConfirmPhoto(confirm)) => {
            service.confirm(&confirm).await.map(answered::<ConfirmPhoto, _>)
        }
        Request::ShowPhoto(ShowPhoto(photo)) => service.photo(photo).await.map(answered::<ShowPhoto, _>),
        Request::ShowReceipt(ShowReceipt(number)) => {
            service.receipt(number).await.map(answered::<ShowReceipt, _>)
        }
        Request::UseReceipt(UseReceipt(take)) => {
            service.take_receipt(&take).await.map(answered::<UseReceipt, _>)
        }
        Request::BeginCase(BeginCase(open)) => service.open_case(&open).await.map(answered::<BeginCase, _>),
        Request::CloseCase(CloseCase(case, by)) => {
            service.close_case(&case, &by).await.map(answered::<CloseCase, _>)
        }
        Request::ReadPhoto(ReadPhoto(read)) => service.read(read).await.map(answered::<ReadPhoto, _>),
        Request::ReleasePhoto(ReleasePhoto(release)) => {
            service.release(&release).await.map(answered::<ReleasePhoto, _>)
        }
        Request::RedeemRelease(RedeemRelease(token, reader)) => service
            .redeem(&token, &reader)
            .await
            .map(answered::<RedeemRelease, _>),
        Request::ListReads(ListReads(person)) => service.reads(person).await.map(answered::<ListReads, _>),
        Request::ErasePhoto(ErasePhoto(erase)) => service.erase(&erase).await.map(answered::<ErasePhoto, _>),
        Request::ListPhotos(ListPhotos(person)) => {
            service.photos(person).await.map(answered::<ListPhotos, _>)
        }
        Request::TakeBackPhoto(TakeBackPhoto(take)) => {
            service.take_back(&take).await.map(answered::<TakeBackPhoto, _>)
        }
        Request::JudgeFrame(JudgeFrame(seen)) => {
            service.judge_frame(seen).await.map(answered::<JudgeFrame, _>)
        }
        Request::KeepPage(KeepPage(page)) => service.keep_page(page).await.map(answered::<KeepPage, _>),
        Request::ListPages(ListPages(case)) => service.pages(&case).await.map(answered::<ListPages, _>),
        Request::LookAtPage(LookAtPage(look)) => {
            service.look_at_page(&look).await.map(answered::<LookAtPage, _>)
        }
        Request::RemovePage(RemovePage(page, case, by)) => service
            .remove_page(page, &case, &by)
            .await
            .map(answered::<RemovePage, _>),
        Request::EndPages(EndPages(case, by)) => {
            service.end_pages(&case, &by).await.map(answered::<EndPages, _>)
        }
        Request::ListPageLooks(ListPageLooks(person)) => {
            service.page_looks(person).await.map(answered::<ListPageLooks, _>)
        }
    };
    answered.unwrap_or_else(|error| {
        // The code and our own words; never what was submitted.
        tracing::warn!(code = error.code().as_str(), %error, "a request failed");
        Response::Failed(error.code())
    })
}
