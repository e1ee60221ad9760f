//! Requests of two officers, and of a quorum of custodians where the officers are gone: all that gives something, or gives it
//! back.
//!
//! What is done, and that it was done, is one transaction; the same request again answers the same until it ends, and does
//! nothing more, whatever becomes of the time. A request that sets the time comes with the shares of those who open the vault. A quorum's request waits a day between its first submission and its effect, so that whoever is left can see
//! it in the journal; where there never was an officer, in a store of before, it does not. Left out: mandates of the office.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use keyvault_protocol::{
    Enrolment, MAX_REQUEST_LIFE, OfficerAct, OfficersRequest, PointBytes, RequestOutcome, RequestSigner,
    SignedRequest,
};
use minicbor::{Decode, Encode};
use program_contract::unseen::is_name;
use service_contract::Caller;

use crate::audit::journal::Event;
use crate::authority::{callers, role_keys};
use crate::error::Error;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::commitment::Commitment;
use crate::store::sql::Table;
use crate::terminal::{lot, registry};

/// Signers of a request.
const HANDS: usize = 2;
/// How far the clocks of who makes a request and of the vault may stand apart.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// How long a quorum's request waits.
const WAIT: SignedDuration = SignedDuration::from_hours(24);
/// Most signatures: as many as a vault has custodians.
const MAX_SIGNATURES: usize = 255;
/// Most bytes of a request, far above what the program makes: whoever the vault knows may submit one, and it is hashed for each signature.
const MAX_BYTES: usize = 1 << 16;

/// Row of a request; its id is the digest. It stays: were it to go when the request ends, a request would be done again after the
/// time was set back.
#[derive(Encode, Decode)]
struct Row {
    /// When the request ends: seconds since 1970.
    #[n(0)]
    until: i64,
    /// When it was submitted first.
    #[n(1)]
    first: i64,
    /// What became of it; none while it waits.
    #[n(2)]
    outcome: Option<RequestOutcome>,
    /// How often the vault's time had been set back when it was submitted first: what waited then has ended.
    #[cbor(n(3), default)]
    set_back: u32,
}

/// Does what a request says, if those who may have signed it; or says again what was done.
pub(crate) async fn submit(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    signed: &SignedRequest,
) -> Result<RequestOutcome, Error> {
    if signed.request.len() > MAX_BYTES {
        return Err(Error::LimitExceeded {
            what: "the length of a request in bytes",
            limit: 65_536,
        });
    }
    let request = signed.claimed().map_err(|_| Error::MalformedRequest)?;
    if request.vault != core.header.vault {
        return Err(Error::RequestOfAnotherVault);
    }
    in_time(&request, now)?;
    if !is_name(&request.requester, 64) {
        return Err(Error::BadContent {
            what: "a requester's name has 1 to 64 bytes of text, all of it seen, without commas and quotation marks",
        });
    }
    if signed.signatures.len() > MAX_SIGNATURES {
        return Err(Error::LimitExceeded {
            what: "the number of signatures",
            limit: 255,
        });
    }
    let signers = if request.act.is_custodians() {
        custodians(core, signed)?
    } else {
        officers(open, &request, signed)?
    };
    let digest = signed.digest();
    let known: Option<Row> = open.get(core, Table::Request, &digest).await?;
    let first = match known {
        Some(Row {
            outcome: Some(RequestOutcome::Lot(_)),
            ..
        }) => {
            // Transport keys are not kept: they are derived, and sealed anew.
            let OfficerAct::ExportLot(lot) = &request.act else {
                return Err(Error::Damaged {
                    what: "a request's row",
                });
            };
            let again = Transaction::default();
            return lot::export_lot(core, open, now, lot, again)
                .await
                .map(RequestOutcome::Lot);
        }
        Some(Row {
            outcome: Some(outcome),
            ..
        }) => return Ok(outcome),
        Some(Row { set_back, .. }) if set_back != open.state.set_back => return Err(Error::RequestExpired),
        Some(Row { first, .. }) => Some(first),
        None => None,
    };

    let mut transaction = Transaction::default();
    let mut row = Row {
        until: request.until.as_second(),
        first: first.unwrap_or(now.as_second()),
        outcome: None,
        set_back: open.state.set_back,
    };
    let line = Line {
        digest,
        act: request.act.as_str(),
        requester: request.requester.clone(),
        signers,
    };
    if let OfficerAct::ReplaceOfficers { officers } = &request.act {
        let begins = takes_effect(core, open, now, officers, row.first)?;
        if now < begins {
            if first.is_none() {
                transaction.put(Table::Request, &digest, &row)?;
                transaction.note(line.waits());
                open.apply(core, now, transaction).await?;
            }
            return Ok(RequestOutcome::Waits(begins));
        }
    }
    transaction.note(line.done());
    carry_out(core, open, now, &request.act, (&digest, &mut row), transaction).await
}

/// Whether a request that comes with a share sets the time of this vault, as its store stands, to this day. Who signed it is known
/// when the store is open ([`may_set_time`]).
pub(crate) fn says_the_day(
    core: &Core,
    signed: &SignedRequest,
    said: Option<Date>,
    now: Timestamp,
) -> Result<(), Error> {
    let request = signed.claimed().map_err(|_| Error::MalformedRequest)?;
    let OfficerAct::SetTime { day, generation } = request.act else {
        return Err(Error::BadContent {
            what: "a request that comes with a share sets the time",
        });
    };
    if request.vault != core.header.vault {
        return Err(Error::RequestOfAnotherVault);
    }
    if said != Some(day) {
        return Err(Error::DaysDiffer);
    }
    if generation != core.header.generation() {
        return Err(Error::RequestOfAnotherOpening);
    }
    in_time(&request, now)
}

/// Whether those who open the vault may set its time: two officers asked for it, or fewer than two are left.
pub(crate) fn may_set_time(
    open: &Open,
    signed: Option<&SignedRequest>,
    transaction: &mut Transaction,
) -> Result<(), Error> {
    let Some(signed) = signed else {
        return if serving_officers(open) < HANDS {
            Ok(())
        } else {
            Err(Error::OfficersSayTheDay)
        };
    };
    let request = signed.claimed().map_err(|_| Error::MalformedRequest)?;
    let line = Line {
        digest: signed.digest(),
        act: request.act.as_str(),
        signers: officers(open, &request, signed)?,
        requester: request.requester,
    };
    transaction.note(line.done());
    Ok(())
}

/// What the journal says of a request.
struct Line {
    digest: [u8; 32],
    act: &'static str,
    requester: String,
    signers: Vec<String>,
}

impl Line {
    fn done(self) -> Event {
        Event::RequestDone {
            digest: self.digest,
            act: self.act.to_owned(),
            requester: self.requester,
            signers: self.signers,
        }
    }

    fn waits(self) -> Event {
        Event::RequestWaits {
            digest: self.digest,
            act: self.act.to_owned(),
            requester: self.requester,
            signers: self.signers,
        }
    }
}

/// Does the act, with its row and its line in one transaction.
async fn carry_out(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    act: &OfficerAct,
    (digest, row): (&[u8; 32], &mut Row),
    mut transaction: Transaction,
) -> Result<RequestOutcome, Error> {
    let mut is_done = |transaction: &mut Transaction, outcome: RequestOutcome| {
        row.outcome = Some(outcome.clone());
        transaction.put(Table::Request, digest, row)?;
        Ok::<_, Error>(outcome)
    };
    match act {
        OfficerAct::RotateRole {
            role,
            region,
            drain_until,
        } => {
            let id = role_keys::rotate(open, now, (*role, *region), *drain_until, &mut transaction)?;
            let outcome = is_done(&mut transaction, RequestOutcome::RoleKey(id.made()))?;
            open.make_active(core, now, id, transaction).await?;
            return Ok(outcome);
        }
        OfficerAct::RetireRole {
            role,
            region,
            version,
        } => {
            let info = role_keys::retire(open, now, (*role, *region, *version), &mut transaction)?;
            let outcome = is_done(&mut transaction, RequestOutcome::RoleKey(info))?;
            open.apply(core, now, transaction).await?;
            role_keys::forget(open, (*role, *region, *version));
            return Ok(outcome);
        }
        OfficerAct::ExportLot(lot) => {
            is_done(&mut transaction, RequestOutcome::Lot(Vec::new()))?;
            let sealed = lot::export_lot(core, open, now, lot, transaction).await?;
            return Ok(RequestOutcome::Lot(sealed));
        }
        OfficerAct::EnrolCaller(enrolment) => {
            let enrolments = std::slice::from_ref(enrolment);
            callers::enrol(core, open, now, enrolments, &mut transaction)?;
        }
        OfficerAct::ReplaceOfficers { officers } => {
            callers::enrol(core, open, now, officers, &mut transaction)?;
        }
        OfficerAct::RestoreCaller { name } => callers::restore(open, name, &mut transaction)?,
        OfficerAct::ReplaceKey { name, key } => {
            callers::replace_key(core, open, name, key, &mut transaction)?;
        }
        OfficerAct::EnrolTerminal(enrolment) => {
            registry::enrol(core, open, now, enrolment, &mut transaction).await?;
        }
        OfficerAct::SetTime { .. } => {
            return Err(Error::BadContent {
                what: "the time of an open vault is not set: seal it, and give the request with the shares",
            });
        }
    }
    let outcome = is_done(&mut transaction, RequestOutcome::Done)?;
    open.apply(core, now, transaction).await?;
    Ok(outcome)
}

fn in_time(request: &OfficersRequest, now: Timestamp) -> Result<(), Error> {
    let OfficersRequest { made, until, .. } = request;
    if until <= made || until.duration_since(*made) > MAX_REQUEST_LIFE {
        return Err(Error::BadContent {
            what: "a request ends after it was made, and lives at most 7 days",
        });
    }
    let begins = made.saturating_sub(SKEW).map_err(|_| Error::RequestExpired)?;
    if now < begins || now >= *until {
        return Err(Error::RequestExpired);
    }
    Ok(())
}

/// Names of the officers whose signatures count: on the list now, not suspended, and not who asks, where there are others.
fn officers(open: &Open, request: &OfficersRequest, signed: &SignedRequest) -> Result<Vec<String>, Error> {
    let others_can = serving_officers(open) > HANDS;
    let has_signed = |name: &&String| {
        let who = RequestSigner::Officer {
            name: (*name).clone(),
        };
        let is_requester = others_can && **name == request.requester;
        open.serving(name, Caller::KeyOfficer)
            .is_some_and(|entry| !is_requester && has_signed_it(signed, &who, &entry.enrolment.key))
    };
    let names = open.callers.keys().filter(has_signed).cloned().collect();
    enough(names, HANDS)
}

/// Names of the custodians whose signatures count.
fn custodians(core: &Core, signed: &SignedRequest) -> Result<Vec<String>, Error> {
    let has_signed = |share: &&Commitment| {
        let who = RequestSigner::Custodian {
            epoch: core.header.epoch,
            index: share.index,
        };
        share.key.is_some_and(|key| has_signed_it(signed, &who, &key))
    };
    let shares = core.shares.iter().filter(has_signed);
    let names = shares.map(|share| share.custodian.clone()).collect();
    enough(names, usize::from(core.header.threshold))
}

/// Whether the signature that bears this name is theirs. One is looked at, however many bear it.
fn has_signed_it(signed: &SignedRequest, who: &RequestSigner, key: &PointBytes) -> bool {
    let first = signed.signatures.iter().find(|known| known.signer == *who);
    first.is_some_and(|first| signed.is_signed(&first.signature, key))
}

fn enough(names: BTreeSet<String>, needed: usize) -> Result<Vec<String>, Error> {
    if names.len() < needed {
        return Err(Error::TwoOfficersNeeded {
            found: names.len(),
            needed,
        });
    }
    Ok(names.into_iter().collect())
}

fn serving_officers(open: &Open) -> usize {
    let is_serving = |name: &&String| open.serving(name, Caller::KeyOfficer).is_some();
    open.callers.keys().filter(is_serving).count()
}

/// From when a quorum's officers are enrolled; refused where they cannot be.
fn takes_effect(
    core: &Core,
    open: &Open,
    now: Timestamp,
    officers: &[Enrolment],
    first: i64,
) -> Result<Timestamp, Error> {
    let serving = serving_officers(open);
    if serving >= HANDS {
        return Err(Error::OfficersThere);
    }
    let are_officers = officers.iter().all(|officer| officer.kind == Caller::KeyOfficer);
    if !are_officers || serving + officers.len() < callers::MIN_OFFICERS {
        return Err(Error::BadContent {
            what: "custodians enrol key officers, so many that three are there",
        });
    }
    // What is refused is refused before it waits.
    callers::enrol(core, open, now, officers, &mut Transaction::default())?;
    let is_officer = |kind| kind == Caller::KeyOfficer;
    if !open
        .callers
        .values()
        .any(|entry| is_officer(entry.enrolment.kind))
    {
        return Ok(now);
    }
    let first = Timestamp::from_second(first).map_err(|_| Error::Damaged {
        what: "a request's row",
    })?;
    first.saturating_add(WAIT).map_err(|_| Error::RequestExpired)
}
