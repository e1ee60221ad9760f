//! The gate: every request passes it, and here alone stands who may ask for what.

use std::sync::Arc;

use keyvault_protocol::{Asked, Request, Response};
use service_contract::{Caller, Journal};
use tokio::net::UnixStream;

use crate::authority::asker::Asker;
use crate::custody::unsealing::Vault;
use crate::error::Error;
use crate::keys::arena::heap;
use crate::open::group::Member;
use crate::serve::answers::Known;
use crate::serve::operations::{self, At, On};
use crate::serve::socket::Server;

/// Whether the process at the other end is one of the users whom the vault serves: its own, root, and those that were named. The
/// second lock; the first is the key that the channel proves.
pub(crate) fn may_connect(stream: &UnixStream, own: u32, users: &[u32]) -> bool {
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0 || users.contains(&peer.uid()))
}

/// Lets a request through to its operation, or refuses it. What is answered is durable, with all that the request may have seen.
pub(crate) async fn pass(server: &Server, on: &On, Asked { id, request }: Asked) -> Result<Response, Error> {
    let vault = &server.vault;
    let policy = request.listed().policy;
    let _expected = (!policy.while_sealed).then(|| vault.ask());
    let mut inner = vault.in_time(vault.lock()).await?;
    let asker = inner.asker(&on.key)?;
    let is_open = inner.open().is_ok();
    if !policy.while_sealed {
        // A stranger learns no more than anybody: that it is sealed.
        inner.open()?;
    }
    permit(&asker, &request, is_open, inner.has_custodians())?;
    if policy.while_sealed {
        drop(inner);
        let seals = matches!(request, Request::Seal(_));
        let response = operations::answer(vault, on, &asker, None, request).await?;
        if seals {
            server.answers().clear();
        }
        return Ok(response);
    }
    let place = match policy.journal {
        Journal::None => None,
        // Many in the end, and sealed where they hold a secret.
        Journal::Before | Journal::Grouped => {
            match heap::unsheltered(|| server.answers().begin(&on.key, id, &request))? {
                Known::Answered(response) => return Ok(*response),
                Known::New(place) => Some(place),
            }
        }
    };
    let (core, open, sessions) = inner.open()?;
    let now = open.time.now();
    let at = At {
        core,
        open,
        sessions,
        now,
    };
    let mut outcome = operations::answer(vault, on, &asker, Some(at), request).await;
    if let Err(error @ Error::Damaged { .. }) = &outcome {
        inner.give_up(error);
    }
    let member = inner.join();
    drop(inner);
    if let Some(member) = member
        && let Err(error) = durable(vault, member).await
    {
        outcome = Err(error);
    }
    if let Some(place) = place {
        heap::unsheltered(|| server.answers().end(&place, outcome.as_ref().ok()));
    }
    outcome
}

/// Whether this caller may ask for this at all.
fn permit(asker: &Asker, request: &Request, is_open: bool, has_custodians: bool) -> Result<(), Error> {
    let policy = request.listed().policy;
    let may = |kind| policy.who.contains(&kind);
    match asker.kind {
        _ if may(Caller::Anyone) || may(Caller::SocketUser) => Ok(()),
        // Founded before custodians had keys: whoever has a share opens it, and they are made then.
        Caller::Anyone if may(Caller::Custodian) && !has_custodians && !is_open => Ok(()),
        Caller::Anyone if may(Caller::Custodian) => Err(Error::NotACustodian),
        Caller::Anyone => Err(Error::UnknownCaller),
        kind if may(kind) => Ok(()),
        kind => Err(Error::NotPermitted {
            kind: kind.as_str(),
            operation: request.listed().name,
        }),
    }
}

/// Waits until the group is durable. The first of a group sees to it, in a task of its own: whoever hangs up stops nobody.
async fn durable(vault: &Arc<Vault>, member: Member) -> Result<(), Error> {
    if member.is_first {
        let (vault, full) = (Arc::clone(vault), Arc::clone(&member.full));
        heap::spawn(async move { vault.commit(&full).await });
    }
    vault.in_time(member.outcome()).await?
}
