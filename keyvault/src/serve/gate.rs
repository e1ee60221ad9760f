//! The gate: the one place that every connection and every request passes. What it lets through is said by the policy
//! beside each operation.
//!
//! Left out, with their words in the policy: callers with keys of their own (but custodians), two people, ceilings. Today only the vault's
//! own user and root connect, and each operation writes its own line of the journal.

use std::sync::Arc;

use keyvault_protocol::{Connection, Request, Response};
use tokio::net::UnixStream;

use crate::custody::unsealing::Vault;
use crate::error::Error;
use crate::keys::arena::heap::sheltered;
use crate::open::group::Member;
use crate::serve::operations::{self, At};

/// Whether the process at the other end is the vault's own user, or root.
pub(crate) fn may_connect(stream: &UnixStream, own: u32) -> bool {
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

/// Lets a request through to its operation, or refuses it. What is answered is durable, with all that the request may have seen.
pub(crate) async fn pass(vault: &Arc<Vault>, on: &Connection, request: Request) -> Result<Response, Error> {
    if request.listed().policy.while_sealed {
        return operations::answer(vault, on, None, request).await;
    }
    let _asked = vault.ask();
    let mut inner = vault.in_time(vault.lock()).await?;
    let (core, open, sessions) = inner.open()?;
    let now = open.time.now();
    let at = At {
        core,
        open,
        sessions,
        now,
    };
    let outcome = operations::answer(vault, on, Some(at), request).await;
    if let Err(error @ Error::Damaged { .. }) = &outcome {
        inner.give_up(error);
    }
    let member = inner.join();
    drop(inner);
    if let Some(member) = member {
        durable(vault, member).await?;
    }
    outcome
}

/// Waits until the group is durable. The first of a group sees to it, in a task of its own: whoever hangs up stops nobody.
async fn durable(vault: &Arc<Vault>, member: Member) -> Result<(), Error> {
    if member.is_first {
        let (vault, full) = (Arc::clone(vault), Arc::clone(&member.full));
        tokio::spawn(sheltered(async move { vault.commit(&full).await }));
    }
    vault.in_time(member.outcome()).await?
}

#[cfg(test)]
mod tests {
    use keyvault_protocol::OPERATIONS;
    use service_contract::{Caller, Hands};

    #[test]
    fn every_operation_is_for_the_callers_that_the_gate_lets_in() {
        for operation in OPERATIONS {
            let policy = operation.policy;
            // These carry the proof with them, and it is looked at where they are done.
            let is_custodians = ["BeginUnseal", "GiveShare", "Seal"].contains(&operation.name);
            let caller = if is_custodians {
                Caller::Custodian
            } else {
                Caller::SocketUser
            };
            assert_eq!(policy.who, [caller], "{}", operation.name);
            assert_eq!(policy.hands, Hands::One, "{}", operation.name);
            assert!(!operation.doors.is_empty(), "{}", operation.name);
        }
    }
}
