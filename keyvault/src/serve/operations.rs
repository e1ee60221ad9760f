//! The operations: an arm for each, without a wildcard, from the request to the wing of the vault that does it.

use std::sync::OnceLock;

use jiff::Timestamp;
use keyvault_protocol::sealed::{self, Purpose};
use keyvault_protocol::{
    AcceptReceipts, AllowCard, BeginUnseal, Callers, CardVersions, Ceilings, CheckLines, CompromiseRole,
    ContinueCard, DenyCard, DenyChain, EndCard, ExportBundle, ExportDenyList, ExportUpdates, GiveShare,
    Hello, MAX_ANSWERS, OpenOrder, PhotoKeyContext, PhotoKeyNew, PhotoKeyOpen, PointBytes, ReadAnchors,
    ReadJournal, ReadPending, ReadStatus, Request, Response, RevokeTerminal, RoleKeys, Seal, SealUpdate,
    SealedPhotoKey, Series, SignCardBack, StartCard, SubmitRequest, SuspendCaller, Terminals, WrappedKey,
};
use service_contract::answered;
use zeroize::Zeroizing;

use crate::audit::reading;
use crate::authority::asker::Asker;
use crate::authority::{callers, certificates, requests, role_keys};
use crate::card::session::Sessions;
use crate::card::{denial, number, order, receipts, scripts, settlement, slot, update};
use crate::custody::unsealing::Vault;
use crate::error::Error;
use crate::keys::arena::OpenKey;
use crate::keys::photo;
use crate::open::transaction::{Core, Open};
use crate::terminal::{batch, bundle, deny_list, registry};

/// What is known of who is at the other end of a connection.
pub(crate) struct On {
    /// The key that the channel proved.
    pub(crate) key: PointBytes,
    /// Under what this connection's requests are numbered.
    pub(crate) series: Series,
    /// The client's ephemeral key: secrets for this client travel sealed to it.
    pub(crate) client_key: PointBytes,
    /// The ephemeral key of ours by which they do, and what it has in common with the client's: made for the first of them.
    pub(crate) agreed: OnceLock<(PointBytes, OpenKey)>,
}

/// The open vault, and the instant that it works with.
pub(crate) struct At<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) open: &'a mut Open,
    pub(crate) sessions: &'a mut Sessions,
    pub(crate) now: Timestamp,
}

/// Does what is asked. The gate gives the open vault to every operation whose policy does not answer while it is sealed.
#[expect(clippy::too_many_lines, reason = "an arm for each operation, read as a table")]
pub(crate) async fn answer(
    vault: &Vault,
    on: &On,
    asker: &Asker,
    at: Option<At<'_>>,
    request: Request,
) -> Result<Response, Error> {
    match request {
        // Once, before everything else.
        Request::Hello(Hello(_)) => Err(Error::MalformedRequest),
        Request::ReadStatus(ReadStatus) => vault.in_time(vault.status()).await.map(answered::<ReadStatus, _>),
        Request::BeginUnseal(BeginUnseal) => vault
            .begin_unseal(asker.share)
            .await
            .map(answered::<BeginUnseal, _>),
        Request::GiveShare(GiveShare(envelope, request)) => vault
            .give_share(asker.share, &envelope, request.as_ref())
            .await
            .map(answered::<GiveShare, _>),
        Request::Seal(Seal) => vault.seal_for(asker).await.map(answered::<Seal, _>),
        Request::PhotoKeyNew(PhotoKeyNew(context)) => {
            let at = at.ok_or(Error::Sealed)?;
            let (key, wrapped) = photo::new_key(at.core, at.open, at.now, &context).await?;
            photo_key(at.core, on, &context, &key, wrapped).map(answered::<PhotoKeyNew, _>)
        }
        Request::PhotoKeyOpen(PhotoKeyOpen { context, wrapped }) => {
            let at = at.ok_or(Error::Sealed)?;
            let key = photo::open_key(at.core, at.open, at.now, &context, &wrapped).await?;
            photo_key(at.core, on, &context, &key, wrapped).map(answered::<PhotoKeyOpen, _>)
        }
        Request::ContinueCard(ContinueCard {
            order,
            index,
            answers,
        }) => {
            let at = at.ok_or(Error::Sealed)?;
            if answers.len() > MAX_ANSWERS {
                return Err(Error::LimitExceeded {
                    what: "the number of answers",
                    limit: 512,
                });
            }
            let card = (order, index);
            scripts::proceed(at.core, at.open, at.sessions, at.now, card, &answers)
                .await
                .map(answered::<ContinueCard, _>)
        }
        Request::OpenOrder(OpenOrder(order)) => {
            let at = at.ok_or(Error::Sealed)?;
            order::accept(at.core, at.open, at.now, asker, &order)
                .await
                .map(answered::<OpenOrder, _>)
        }
        Request::ExportBundle(ExportBundle(request)) => {
            let at = at.ok_or(Error::Sealed)?;
            bundle::export_bundle(at.core, at.open, at.now, &request)
                .await
                .map(answered::<ExportBundle, _>)
        }
        Request::SignCardBack(SignCardBack(back)) => {
            let at = at.ok_or(Error::Sealed)?;
            number::sign_back(at.core, at.open, at.now, &back)
                .await
                .map(answered::<SignCardBack, _>)
        }
        Request::ReadAnchors(ReadAnchors) => {
            let at = at.ok_or(Error::Sealed)?;
            certificates::public_keys(at.core, at.open).map(answered::<ReadAnchors, _>)
        }
        Request::DenyCard(DenyCard { serial }) => {
            let at = at.ok_or(Error::Sealed)?;
            denial::deny(at.core, at.open, at.now, &serial)
                .await
                .map(answered::<DenyCard, _>)
        }
        Request::AllowCard(AllowCard { serial }) => {
            let at = at.ok_or(Error::Sealed)?;
            denial::allow(at.core, at.open, at.now, &serial)
                .await
                .map(answered::<AllowCard, _>)
        }
        Request::EndCard(EndCard { serial }) => {
            let at = at.ok_or(Error::Sealed)?;
            denial::end(at.core, at.open, at.now, &serial)
                .await
                .map(answered::<EndCard, _>)
        }
        Request::DenyChain(DenyChain { chain }) => {
            let at = at.ok_or(Error::Sealed)?;
            denial::deny_by_pseudonym(at.core, at.open, at.now, &chain)
                .await
                .map(answered::<DenyChain, _>)
        }
        Request::ExportDenyList(ExportDenyList(request)) => {
            let at = at.ok_or(Error::Sealed)?;
            deny_list::export(at.core, at.open, at.now, &request)
                .await
                .map(answered::<ExportDenyList, _>)
        }
        Request::CompromiseRole(CompromiseRole {
            role,
            region,
            version,
        }) => {
            let at = at.ok_or(Error::Sealed)?;
            role_keys::compromise(at.core, at.open, at.now, role, region, version)
                .await
                .map(answered::<CompromiseRole, _>)
        }
        Request::RoleKeys(RoleKeys) => {
            let at = at.ok_or(Error::Sealed)?;
            role_keys::list(at.open).map(answered::<RoleKeys, _>)
        }
        Request::CardVersions(CardVersions { serial }) => {
            let at = at.ok_or(Error::Sealed)?;
            slot::versions(at.core, at.open, &serial)
                .await
                .map(answered::<CardVersions, _>)
        }
        Request::ExportUpdates(ExportUpdates(request)) => {
            let at = at.ok_or(Error::Sealed)?;
            batch::export(at.core, at.open, at.now, &request)
                .await
                .map(answered::<ExportUpdates, _>)
        }
        Request::AcceptReceipts(AcceptReceipts { receipts }) => {
            let at = at.ok_or(Error::Sealed)?;
            receipts::accept(at.core, at.open, at.now, &receipts)
                .await
                .map(answered::<AcceptReceipts, _>)
        }
        Request::ReadPending(ReadPending { serial }) => {
            let at = at.ok_or(Error::Sealed)?;
            receipts::pending(at.core, at.open, &serial)
                .await
                .map(answered::<ReadPending, _>)
        }
        Request::ReadJournal(ask) => {
            let at = at.ok_or(Error::Sealed)?;
            reading::read(at.core, at.open, &ask)
                .await
                .map(answered::<ReadJournal, _>)
        }
        Request::RevokeTerminal(RevokeTerminal { name }) => {
            let at = at.ok_or(Error::Sealed)?;
            registry::revoke(at.core, at.open, at.now, &name)
                .await
                .map(answered::<RevokeTerminal, _>)
        }
        Request::Terminals(Terminals) => {
            let at = at.ok_or(Error::Sealed)?;
            registry::list(at.core, at.open)
                .await
                .map(answered::<Terminals, _>)
        }
        Request::SubmitRequest(SubmitRequest(request)) => {
            let at = at.ok_or(Error::Sealed)?;
            requests::submit(at.core, at.open, at.now, &request)
                .await
                .map(answered::<SubmitRequest, _>)
        }
        Request::SuspendCaller(SuspendCaller { name }) => {
            let at = at.ok_or(Error::Sealed)?;
            callers::suspend(at.core, at.open, at.now, &name)
                .await
                .map(answered::<SuspendCaller, _>)
        }
        Request::Callers(Callers) => {
            let at = at.ok_or(Error::Sealed)?;
            Ok(answered::<Callers, _>(callers::list(at.open)))
        }
        Request::Ceilings(Ceilings) => {
            let at = at.ok_or(Error::Sealed)?;
            let used = at.open.counts.used(&at.open.callers, at.now);
            Ok(answered::<Ceilings, _>(used))
        }
        Request::CheckLines(CheckLines { lines }) => {
            let at = at.ok_or(Error::Sealed)?;
            settlement::check(at.core, at.open, at.now, &lines)
                .await
                .map(answered::<CheckLines, _>)
        }
        Request::SealUpdate(SealUpdate {
            order,
            index,
            serial,
            task,
        }) => {
            let at = at.ok_or(Error::Sealed)?;
            update::seal(at.core, at.open, at.now, (order, index), serial, &task)
                .await
                .map(answered::<SealUpdate, _>)
        }
        Request::StartCard(StartCard {
            order,
            index,
            serial,
            task,
        }) => {
            let at = at.ok_or(Error::Sealed)?;
            scripts::start(
                at.core,
                at.open,
                at.sessions,
                at.now,
                (order, index),
                serial,
                task,
            )
            .await
            .map(answered::<StartCard, _>)
        }
    }
}

fn photo_key(
    core: &mut Core,
    on: &On,
    context: &PhotoKeyContext,
    key: &Zeroizing<[u8; 32]>,
    wrapped: WrappedKey,
) -> Result<SealedPhotoKey, Error> {
    if on.agreed.get().is_none() {
        let (ephemeral, mut common) =
            sealed::agree(&on.client_key, &mut core.rng).map_err(|_| Error::NotOpened)?;
        let common = OpenKey::store(&core.arena, &mut common)?;
        on.agreed.get_or_init(|| (ephemeral, common));
    }
    let (ephemeral, common) = on.agreed.get().ok_or(Error::NotOpened)?;
    let by = (ephemeral, common.expose());
    let sealed = sealed::seal_under(by, Purpose::PhotoKey, &context.photo_id, &**key, &mut core.rng)
        .map_err(|_| Error::NotOpened)?;
    Ok(SealedPhotoKey { sealed, wrapped })
}
