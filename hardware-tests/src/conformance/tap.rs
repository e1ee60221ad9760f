//! Door F from the terminal's side (chapters 06 and 09), with every byte in the hand of a case.

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::Role;
use card_applet_spec::crypto::Key16;
use card_applet_spec::door_f::{CommitBody, TapAnswer, TapPlain, tap_command};
use card_applet_spec::update::SealedUpdate;

use crate::conformance::check::{Check, Stop, ensure, failed, not_run};
use crate::conformance::test_rig::{Answer, Purse, TestRig, encode};

/// Number of the suite's payment terminal.
pub(crate) const TID: u32 = 0x00C0_FFEE;

/// What COMMIT and UPDATE refer to.
#[derive(Debug, Clone)]
pub(crate) struct Tap {
    pub(crate) role: u8,
    pub(crate) version: u8,
    pub(crate) rt: [u8; 16],
    pub(crate) answer: TapAnswer,
}

impl Tap {
    /// TAP of any role and version: it must be answered with 256 bytes and 9000, always.
    pub(crate) fn send(rig: &mut TestRig<'_>, role: u8, version: u8) -> Result<Self, Stop> {
        let rt = rig.random();
        let body = rig
            .send(&tap_command(role, version, &rt)?)?
            .ok(&format!("TAP of role {role:02X}, version {version:02X}"))?;
        if body.len() != 256 {
            return failed(format!("TAP answers {} bytes instead of 256", body.len()));
        }
        Ok(Self {
            role,
            version,
            rt,
            answer: TapAnswer::parse(&body)?,
        })
    }

    /// Opens the answer with the keys of a slot that the suite wrote: everything in it must be right.
    pub(crate) fn open(&self, rig: &TestRig<'_>) -> Result<TapPlain, Stop> {
        let slot = rig.slot(Role::try_from(self.role)?, self.version)?;
        let Ok(plain) = self.answer.open(&slot.g) else {
            return failed(
                "the answer does not open under G: version, state or rfu are not those of a live slot",
            );
        };
        if self
            .answer
            .verify(&slot.m, self.role, self.version, &self.rt)
            .is_err()
        {
            return failed("T is wrong");
        }
        ensure(plain.pid == slot.pid, "the pid is not that of the slot")?;
        ensure(plain.record == slot.record, "the record is not that of the slot")?;
        Ok(plain)
    }

    /// True when the answer is that of the slot that the suite wrote, and not the decoy's.
    pub(crate) fn is_live(&self, rig: &TestRig<'_>) -> Result<bool, Stop> {
        let slot = rig.slot(Role::try_from(self.role)?, self.version)?;
        let opens = self.answer.open(&slot.g).is_ok();
        let proves = self
            .answer
            .verify(&slot.m, self.role, self.version, &self.rt)
            .is_ok();
        Ok(opens || proves)
    }
}

/// TAP of the newest slot of a role, opened.
pub(crate) fn tap(rig: &mut TestRig<'_>, role: Role) -> Result<(Tap, TapPlain), Stop> {
    let kv = rig.newest(role)?;
    let tap = Tap::send(rig, role.code(), kv)?;
    let plain = tap.open(rig)?;
    Ok((tap, plain))
}

/// A purchase.
pub(crate) fn purchase(rig: &mut TestRig<'_>, amount: u32) -> CommitBody {
    CommitBody {
        amount,
        tid: TID,
        txno: rig.random(),
        time: u32::from_be_bytes(rig.random()) >> 1,
        kind: 0,
    }
}

/// COMMIT with a right MAC for this seq.
pub(crate) fn commit(rig: &mut TestRig<'_>, tap: &Tap, body: &CommitBody, seq: u32) -> Result<Answer, Stop> {
    let mac = {
        let slot = rig.slot(Role::SmallPayment, tap.version)?;
        body.mac(
            &slot.m,
            tap.role,
            tap.version,
            &tap.rt,
            &tap.answer.card_challenge,
            seq,
        )?
    };
    let data = [&body.encode()?[..], &mac].concat();
    let header = Header::commit(tap.role, tap.version).to_bytes();
    rig.send(&encode(header, &data, Some(0x19)))
}

/// The purse after a debit, as chapter 06 computes it.
pub(crate) fn debited(rig: &TestRig<'_>, tap: &Tap, body: &CommitBody, purse: &Purse) -> Result<Purse, Stop> {
    let slot = rig.slot(Role::SmallPayment, tap.version)?;
    let (seq, spent) = (purse.seq.wrapping_add(1), purse.spent.wrapping_add(body.amount));
    Ok(Purse {
        seq,
        loaded: purse.loaded,
        spent,
        txno: body.txno,
        tac: body.tac(
            &slot.ktac,
            tap.role,
            tap.version,
            &slot.pid,
            seq,
            purse.loaded,
            spent,
        )?,
        masked: body.masked(&slot.ktac, tap.role, tap.version, &slot.pid, seq, spent)?,
    })
}

/// Checks the answer of a COMMIT that was accepted: result, TAC and proof over the purse after it.
pub(crate) fn check_commit(
    rig: &TestRig<'_>,
    tap: &Tap,
    body: &CommitBody,
    answer: &[u8],
    result: u8,
    after: &Purse,
) -> Check {
    let (Some(&said), Some(tac), Some(proof)) = (answer.first(), answer.get(1..9), answer.get(9..25)) else {
        return failed(format!("COMMIT answers {} bytes instead of 25", answer.len()));
    };
    ensure(answer.len() == 25, "COMMIT answers more than 25 bytes")?;
    ensure(
        said == result,
        format!("the result is {said:02X} instead of {result:02X}"),
    )?;
    ensure(tac == after.tac, "the TAC is wrong")?;
    let slot = rig.slot(Role::SmallPayment, tap.version)?;
    let right = body.proof(
        &slot.m,
        tap.role,
        tap.version,
        &tap.rt,
        &tap.answer.card_challenge,
        result,
        after.seq,
        after.spent,
        &after.tac,
    )?;
    ensure(proof == right, "the proof is wrong")
}

/// A debit that must be done, checked; the suite's purse follows.
pub(crate) fn pay(rig: &mut TestRig<'_>, amount: u32) -> Result<CommitBody, Stop> {
    let (tap, _) = tap(rig, Role::SmallPayment)?;
    let before = purse(rig)?;
    let body = purchase(rig, amount);
    let answer = commit(rig, &tap, &body, before.seq)?.ok("COMMIT")?;
    let after = debited(rig, &tap, &body, &before)?;
    check_commit(rig, &tap, &body, &answer, 0x00, &after)?;
    rig.fixture.purse = Some(after);
    Ok(body)
}

/// The purse as the suite knows it.
pub(crate) fn purse(rig: &TestRig<'_>) -> Result<Purse, Stop> {
    match rig.fixture.purse {
        Some(purse) => Ok(purse),
        None => not_run("the card has no purse"),
    }
}

/// What a TAP with a purse must show of the purse.
pub(crate) fn shows(plain: &TapPlain, purse: &Purse) -> Check {
    let seen = Purse {
        seq: plain.seq,
        loaded: plain.loaded,
        spent: plain.spent,
        txno: plain.last_txno,
        tac: plain.tac,
        masked: plain.masked,
    };
    ensure(
        (seen.seq, seen.loaded, seen.spent) == (purse.seq, purse.loaded, purse.spent),
        format!(
            "TAP shows seq {}, loaded {}, spent {} instead of {}, {}, {}",
            seen.seq, seen.loaded, seen.spent, purse.seq, purse.loaded, purse.spent
        ),
    )?;
    ensure(seen.txno == purse.txno, "TAP shows another last txno")?;
    ensure(seen.tac == purse.tac, "TAP shows another TAC")?;
    ensure(seen.masked == purse.masked, "TAP shows another SB")
}

/// UPDATE behind a TAP, with a right tmac under this M.
pub(crate) fn update(
    rig: &mut TestRig<'_>,
    tap: &Tap,
    m: &Key16,
    sealed: &SealedUpdate,
) -> Result<Answer, Stop> {
    let tmac = sealed.tap_mac(m, tap.role, tap.version, &tap.rt, &tap.answer.card_challenge)?;
    let data = sealed.command_data(&tmac)?;
    let command = Header::update(tap.role, tap.version).command(&data, Some(0x10))?;
    rig.send(&command)
}
