//! The gate: every request passes it, and here alone stands who may ask for what.

use std::sync::{Arc, Mutex, PoisonError};

use keyvault_protocol::{Asked, CallerEntry, DenyChain, Request, Response};
use service_contract::{Caller, Journal};
use tokio::net::UnixStream;

use crate::authority::asker::Asker;
use crate::authority::callers;
use crate::authority::ceilings::Spender;
use crate::custody::unsealing::Vault;
use crate::error::Error;
use crate::keys::arena::heap;
use crate::open::callers::ForWhom;
use crate::open::group::Member;
use crate::open::transaction::{Core, Open};
use crate::serve::answers::{Answers, Known};
use crate::serve::operations::{self, At, On};

/// Whether the process at the other end is one of the users whom the vault serves: its own, root, and those that were named. The
/// second lock; the first is the key that the channel proves.
pub(crate) fn may_connect(stream: &UnixStream, own: u32, users: &[u32]) -> bool {
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0 || users.contains(&peer.uid()))
}

/// Lets a request through to its operation, or refuses it. What is answered is durable, with all that the request may have seen.
pub(crate) async fn pass(
    vault: &Arc<Vault>,
    kept: &Mutex<Answers>,
    on: &On,
    Asked { id, request }: Asked,
) -> Result<Response, Error> {
    let kept = || kept.lock().unwrap_or_else(PoisonError::into_inner);
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
    if let Ok((core, open, _)) = inner.open() {
        let entry = open.caller(&on.key).cloned();
        if let Some(entry) = &entry {
            narrowed(core, open, entry, &request).await?;
        }
        // What it uses is counted for it from here on.
        let other = || Spender {
            name: asker.name.clone(),
            lowered: Vec::new(),
        };
        open.counts.spender = entry.as_ref().map_or_else(other, Spender::of);
    }
    let place = match policy.journal {
        Journal::None => None,
        // Many in the end, and sealed where they hold a secret.
        Journal::Before | Journal::Grouped => {
            match heap::unsheltered(|| kept().begin(&on.key, on.series, id, &request))? {
                Known::Answered(response) => return Ok(*response),
                Known::New(place) => Some(place),
            }
        }
    };
    let keep = |outcome: &Result<Response, Error>| {
        if let Some(place) = &place {
            heap::unsheltered(|| kept().end(place, outcome.as_ref()));
        }
    };
    if policy.while_sealed {
        drop(inner);
        let seals = matches!(request, Request::Seal(_));
        let outcome = operations::answer(vault, on, &asker, None, request).await;
        keep(&outcome);
        if seals && outcome.is_ok() {
            kept().forget();
        }
        return outcome;
    }
    let (core, open, sessions) = inner.open()?;
    open.asked = ForWhom::by(&asker, &request.listed(), id);
    let now = open.time.now();
    let at = At {
        core,
        open,
        sessions,
        now,
    };
    let mut outcome = operations::answer(vault, on, &asker, Some(at), request).await;
    if let Ok((_, open, _)) = inner.open() {
        open.asked = ForWhom::default();
        open.counts.spender = Spender::default();
    }
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
    keep(&outcome);
    outcome
}

/// Whether this caller may ask for this at all.
fn permit(asker: &Asker, request: &Request, is_open: bool, has_custodians: bool) -> Result<(), Error> {
    let policy = request.listed().policy;
    let may = |kind| policy.who.contains(&kind);
    match asker.kind {
        _ if may(Caller::Anyone) => Ok(()),
        // Founded before custodians had keys: whoever has a share opens it, and they are made then.
        Caller::Anyone if may(Caller::Custodian) && !has_custodians && !is_open => Ok(()),
        Caller::Anyone if policy.who == [Caller::Custodian] => Err(Error::NotACustodian),
        Caller::Anyone if matches!(request, Request::Seal(_)) => Err(Error::NotACustodian),
        Caller::Anyone => Err(Error::UnknownCaller),
        kind if may(kind) => Ok(()),
        kind => Err(Error::NotPermitted {
            kind: kind.as_str(),
            operation: request.listed().name,
        }),
    }
}

/// Refuses what the caller's own entry takes from what its kind may do.
async fn narrowed(core: &mut Core, open: &Open, entry: &CallerEntry, request: &Request) -> Result<(), Error> {
    if !entry.may_ask(&request.listed()) && !request.listed().policy.who.contains(&Caller::Anyone) {
        return Err(Error::NotPermitted {
            kind: entry.enrolment.kind.as_str(),
            operation: request.listed().name,
        });
    }
    let mut about = request.about();
    if let Request::DenyChain(DenyChain { chain }) = request {
        // The vault alone knows which card it is.
        about.card = open.keys.serial_of(chain).ok();
    }
    callers::within_regions(core, open, entry, &about).await
}

/// Waits until the group is durable. The first of a group sees to it, in a task of its own: whoever hangs up stops nobody.
async fn durable(vault: &Arc<Vault>, member: Member) -> Result<(), Error> {
    if member.is_first {
        let (vault, full) = (Arc::clone(vault), Arc::clone(&member.full));
        heap::spawn(async move { vault.commit(&full).await });
    }
    vault.in_time(member.outcome()).await?
}

#[cfg(test)]
mod tests {
    use keyvault_protocol::OPERATIONS;
    use service_contract::{Caller, Hands};

    #[test]
    fn every_operation_is_for_callers_with_keys_and_only_hello_and_status_for_anyone() {
        for operation in OPERATIONS {
            let policy = operation.policy;
            let is_for_anyone = ["Hello", "ReadStatus"].contains(&operation.name);
            assert_eq!(
                policy.who == [Caller::Anyone],
                is_for_anyone,
                "{}",
                operation.name
            );
            assert!(!policy.who.is_empty(), "{}", operation.name);
            assert!(!policy.who.contains(&Caller::SocketUser), "{}", operation.name);
            let by_two = policy.hands == Hands::Two;
            assert_eq!(by_two, operation.name == "SubmitRequest", "{}", operation.name);
            assert!(!operation.doors.is_empty(), "{}", operation.name);
        }
    }
}
