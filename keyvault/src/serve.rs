//! Serving: one connection, one request at a time, over any byte stream; and the Unix socket with peer credentials.
//!
//! Left out: TLS (the vault is reached on its own machine only) and limits per client.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyvault_protocol::sealed::{self, Purpose};
use keyvault_protocol::{
    Error as WireError, MAX_ANSWERS, PROTOCOL_VERSION, PhotoKeyContext, PointBytes, Refusal, Request,
    Response, Welcome, WrappedKey, frame,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use zeroize::Zeroizing;

use crate::authority::{certificates, role_keys};
use crate::card::{denial, order, receipts, scripts, settlement, slot, update};
use crate::custody::unsealing::{Inner, Vault};
use crate::error::Error;
use crate::keys::photo;
use crate::open::transaction::{Core, Open};
use crate::terminal::{batch, bundle, deny_list, lot, registry};

/// How often old attempts and sessions are looked for.
const TIDY: Duration = Duration::from_secs(15);

/// Serves one connection until the other side closes it.
///
/// # Errors
/// The stream's error, or that the bytes were no message of the protocol.
pub async fn connection<S>(mut stream: S, vault: Arc<Vault>) -> Result<(), WireError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Some(client_key) = greet(&mut stream, &vault).await? else {
        return Ok(());
    };
    loop {
        let request: Request = match frame::read(&mut stream).await {
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
        let response = match answer(&vault, &client_key, request).await {
            Ok(response) => response,
            Err(error) => {
                // Code only: texts may name a custodian, and the log is not the place for that.
                tracing::warn!(code = error.code(), "refused");
                Response::Refused(Refusal::from(&error))
            }
        };
        frame::write(&mut stream, &response).await?;
    }
}

async fn greet<S>(stream: &mut S, vault: &Vault) -> Result<Option<PointBytes>, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    match frame::read(stream).await? {
        Some(Request::Hello(hello)) => {
            let welcome = Welcome {
                version: PROTOCOL_VERSION,
                vault: vault.id(),
            };
            frame::write(stream, &Response::Welcome(welcome)).await?;
            // Another version was told ours, and hangs up.
            Ok((hello.version == PROTOCOL_VERSION).then_some(hello.client_key))
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

async fn answer(vault: &Vault, client_key: &PointBytes, request: Request) -> Result<Response, Error> {
    match request {
        Request::Hello(_) => Err(Error::MalformedRequest),
        Request::Status => Ok(Response::Status(vault.status().await)),
        Request::BeginUnseal => vault.begin_unseal().await.map(Response::Attempt),
        Request::GiveShare(envelope) => vault.give_share(&envelope).await.map(Response::Progress),
        Request::Seal(request) => vault.seal(&request.by).await.map(|()| Response::Done),
        other => {
            let mut inner = vault.lock().await;
            let outcome = opened(vault, &mut inner, client_key, other).await;
            if let Err(error @ Error::Damaged { .. }) = &outcome {
                inner.give_up(error);
            }
            outcome
        }
    }
}

/// Requests that only an open vault answers.
async fn opened(
    vault: &Vault,
    inner: &mut Inner,
    client_key: &PointBytes,
    request: Request,
) -> Result<Response, Error> {
    let (core, open, sessions) = inner.open()?;
    let now = vault.now(core)?;
    match request {
        Request::EnrolIssuer(request) => order::enrol(core, open, now, &request)
            .await
            .map(|()| Response::Done),
        Request::PhotoKeyNew(context) => {
            let (key, wrapped) = photo::new_key(core, open, now, &context).await?;
            photo_key(core, client_key, &context, &key, wrapped)
        }
        Request::PhotoKeyOpen { context, wrapped } => {
            let key = photo::open_key(core, open, now, &context, &wrapped).await?;
            photo_key(core, client_key, &context, &key, wrapped)
        }
        Request::OpenOrder(order) => order::accept(core, open, now, &order).await.map(Response::Order),
        Request::StartCard {
            order,
            index,
            serial,
            task,
        } => scripts::start(core, open, sessions, now, (order, index), serial, task)
            .await
            .map(Response::Script),
        Request::ContinueCard {
            order,
            index,
            answers,
        } => {
            if answers.len() > MAX_ANSWERS {
                return Err(Error::LimitExceeded {
                    what: "the number of answers",
                    limit: 512,
                });
            }
            scripts::proceed(core, open, sessions, now, (order, index), &answers)
                .await
                .map(Response::Script)
        }
        Request::ExportBundle(request) => {
            let bytes = bundle::export_bundle(core, open, now, &request).await?;
            Ok(Response::Export { bytes })
        }
        Request::ExportLot(request) => {
            let bytes = lot::export_lot(core, open, now, &request).await?;
            Ok(Response::Export { bytes })
        }
        Request::SignCardBack(back) => {
            let signature = certificates::sign_card_back(core, open, now, &back).await?;
            Ok(Response::Signature { signature })
        }
        Request::Anchors => certificates::public_keys(core, open).map(Response::Anchors),
        Request::DenyCard { serial } => done(denial::deny(core, open, now, &serial).await),
        Request::AllowCard { serial } => done(denial::allow(core, open, now, &serial).await),
        Request::DenyChain { chain } => done(denial::deny_chain(core, open, now, &chain).await),
        Request::ExportDenyList(request) => {
            let bytes = deny_list::export(core, open, now, &request).await?;
            Ok(Response::Export { bytes })
        }
        Request::RevokeTerminal { name } => done(registry::revoke(core, open, now, &name).await),
        Request::Terminals => registry::list(core, open).await.map(Response::Terminals),
        Request::CheckLines { lines } => settlement::check(core, open, &lines).await.map(Response::Lines),
        request => of_versions(core, open, now, request).await,
    }
}

/// Requests that speak of key versions and sealed updates.
async fn of_versions(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    request: Request,
) -> Result<Response, Error> {
    match request {
        Request::RotateRole {
            role,
            region,
            drain_until,
        } => role_keys::rotate(core, open, now, role, region, drain_until)
            .await
            .map(Response::RoleKey),
        Request::CompromiseRole {
            role,
            region,
            version,
        } => role_keys::compromise(core, open, now, role, region, version)
            .await
            .map(Response::RoleKey),
        Request::RetireRole {
            role,
            region,
            version,
        } => role_keys::retire(core, open, now, role, region, version)
            .await
            .map(Response::RoleKey),
        Request::RoleKeys => role_keys::list(open).map(Response::RoleKeys),
        Request::CardVersions { serial } => slot::versions(core, open, &serial)
            .await
            .map(Response::CardVersions),
        Request::SealUpdate {
            order,
            index,
            serial,
            task,
        } => update::seal(core, open, now, (order, index), serial, &task)
            .await
            .map(Response::Queued),
        Request::ExportUpdates(request) => {
            let bytes = batch::export(core, open, now, &request).await?;
            Ok(Response::Export { bytes })
        }
        Request::AcceptReceipts { receipts } => receipts::accept(core, open, now, &receipts)
            .await
            .map(Response::Receipts),
        Request::PendingUpdates { serial } => receipts::pending(core, open, &serial)
            .await
            .map(Response::Pending),
        // The others were answered before.
        _ => Err(Error::MalformedRequest),
    }
}

fn done(outcome: Result<(), Error>) -> Result<Response, Error> {
    outcome.map(|()| Response::Done)
}

fn photo_key(
    core: &mut Core,
    client_key: &PointBytes,
    context: &PhotoKeyContext,
    key: &Zeroizing<[u8; 32]>,
    wrapped: WrappedKey,
) -> Result<Response, Error> {
    let sealed = sealed::seal(
        client_key,
        Purpose::PhotoKey,
        &context.photo_id,
        &**key,
        &mut core.rng,
    )
    .map_err(|_| Error::NotOpened)?;
    Ok(Response::PhotoKey { sealed, wrapped })
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
    let mut tidy = tokio::time::interval(TIDY);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return Ok(()),
            _ = tidy.tick() => {
                let vault = Arc::clone(&vault);
                tokio::spawn(async move { vault.tidy().await });
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
        if !may_connect(&stream, own) {
            tracing::warn!("a connection by another user was refused");
            continue;
        }
        let vault = Arc::clone(&vault);
        tokio::spawn(async move {
            if let Err(error) = connection(stream, vault).await {
                tracing::debug!(code = error.code(), "a connection ended");
            }
        });
    }
}

fn may_connect(stream: &UnixStream, own: u32) -> bool {
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}
