//! Personalisation of a blank (card specification, chapter 05, kind 01).
//!
//! It has two parts: what needs nothing from the card (BEGIN, GENERATE, the data groups), and what does (certificates,
//! signature object, slots, keys, FINALISE). The second part is drawn once, stored sealed in the job's row, and replayed byte
//! for byte on every attempt. The intent is durable before the first secret-bearing byte leaves.

use std::collections::BTreeMap;

use card_applet_spec::certificate::CardCertificate;
use card_applet_spec::codes::{CardState, Domain, Role, Serial};
use card_applet_spec::crypto::{equal, sha256};
use card_applet_spec::data_group::{Dg1, Dg2, Dg3, SignatureObject};
use card_applet_spec::date::Date;
use card_applet_spec::script::{ScriptKind, Status, Step, WritableObject};
use keyvault_protocol::{CardContent, CardKey, Counted, DeliveredBy, Entitlement};

use crate::authority::signers::{CARD_CA_NUMBER, DOCUMENT_SIGNER_NUMBER, Signer};
use crate::card::job::{Job, JobTask, PersonaliseJob, Personalised, SecondPart, StoredStep, publics_of};
use crate::card::number;
use crate::card::record::{Card, CardSlot, Stamp};
use crate::card::session::{Answers, Continuation, Outgoing, Personalisation, Turn, Work};
use crate::card::slot::{self, Target, active_versions, all_usable, check_days, check_entitlement};
use crate::card::steps::{
    StepBuffer, chain_at, encode, finalise_count, keys_step, purse_step, step_number, trust_step, write_steps,
};
use crate::clock;
use crate::error::{Error, fault};
use crate::keys::version::RoleKeyId;
use crate::open::transaction::{Core, Open, Random, Transaction};
use crate::store::sql::Table;

/// Longest life of a card's certificates: ten years.
const MAX_CARD_DAYS: u32 = 3653;

/// A card is made at most so long after its day of issue, days: one that waited for its second run.
const MAX_DAYS_WAITING: u32 = 366;

/// The card has done a script of which the row knows nothing.
const NOT_DRAWN: Error = Error::Damaged {
    what: "a job without its second part",
};

/// Whether content is of today: checked when a card is begun. A card whose making was begun is finished on any later day.
pub(crate) fn check_content_days(content: &CardContent, today: Date) -> Result<(), Error> {
    let bad = |what| Err(Error::BadContent { what });
    let Ok(dg3) = Dg3::parse(&content.dg3) else {
        return bad("DG3 is not in the form of the card specification");
    };
    if clock::card_day(content.certificate_to)? < today {
        return bad("a card's certificates live at most ten years and are not over yet");
    }
    let Ok(dg1) = Dg1::parse(&content.dg1) else {
        return bad("DG1 is not in the form of the card specification");
    };
    for day in [
        clock::card_day(content.certificate_from)?,
        dg3.issued,
        dg1.issue_date,
    ] {
        if clock::is_too_far(day, today) || day.day_number() + MAX_DAYS_WAITING < today.day_number() {
            return bad(
                "a card is issued, and its certificates begin, at most 366 days ago and 7 days ahead",
            );
        }
    }
    for entitlement in &content.entitlements {
        check_days(entitlement, today)?;
    }
    Ok(())
}

/// Checks everything about content that holds on every day.
pub(crate) fn check_content(content: &CardContent) -> Result<(), Error> {
    let bad = |what| Err(Error::BadContent { what });
    if !number::is_one(&content.card_number) {
        return bad("a card number has 1 to 32 ASCII letters, digits and `-`");
    }
    if Dg1::parse(&content.dg1).is_err() {
        return bad("DG1 is not in the form of the card specification");
    }
    if Dg2::parse(&content.dg2).is_err() {
        return bad("DG2 is not in the form of the card specification");
    }
    let Ok(dg3) = Dg3::parse(&content.dg3) else {
        return bad("DG3 is not in the form of the card specification");
    };
    let (from, to) = (
        clock::card_day(content.certificate_from)?,
        clock::card_day(content.certificate_to)?,
    );
    if from > to {
        return bad("the card's certificates end before they begin");
    }
    if to.day_number() - from.day_number() > MAX_CARD_DAYS {
        return bad("a card's certificates live at most ten years and are not over yet");
    }
    if dg3.issued > dg3.endorsed_until {
        return bad("the permit in DG3 ends before it was issued");
    }
    for (i, entitlement) in content.entitlements.iter().enumerate() {
        if content
            .entitlements
            .iter()
            .skip(i + 1)
            .any(|other| other.role == entitlement.role)
        {
            return bad("two entitlements are for the same role");
        }
        if entitlement.tier != dg3.tier {
            return bad("an entitlement's tier is not the tier in DG3");
        }
        check_entitlement(entitlement)?;
        if clock::card_day(entitlement.valid_to)? > dg3.endorsed_until {
            return bad("an entitlement outlives the permit in DG3");
        }
        if entitlement.rule_set != dg3.rule_set {
            return bad("an entitlement's rule set is not the rule set in DG3");
        }
    }
    Ok(())
}

impl Work {
    /// The personalisation of this order and index.
    async fn personalisation(&self, core: &mut Core, open: &Open) -> Result<Option<PersonaliseJob>, Error> {
        match self.job(core, open).await?.map(|job| job.task) {
            Some(JobTask::Personalise(job)) => Ok(Some(job)),
            Some(_) => Err(Error::CardConflict {
                what: "this index of the order belongs to something else",
            }),
            None => Ok(None),
        }
    }

    fn put_personalisation(&self, transaction: &mut Transaction, job: PersonaliseJob) -> Result<(), Error> {
        let job = Job {
            serial: self.serial,
            task: JobTask::Personalise(job),
        };
        transaction.put(Table::Job, &self.job_id(), &job)
    }

    /// A blank on which nothing was begun: makes the job and binds the serial (the intent, durable before anything secret
    /// leaves), and sends the first part.
    pub(crate) async fn begin(
        &self,
        core: &mut Core,
        open: &mut Open,
        asked: Personalisation,
        mut batch: Outgoing,
    ) -> Result<Turn, Error> {
        // Before the card is touched and its number is given.
        for wanted in &asked.content.entitlements {
            open.active_now(wanted.role, wanted.region)?;
        }
        let mut script = [0u8; 16];
        core.rng.fill_bytes(&mut script);
        let job = PersonaliseJob {
            content: asked.digest,
            script,
            progress: Personalised::Drafted,
        };
        let card = Card::begun(self.order, self.index);
        // Looked up again: another card may have been begun since this one was started.
        let known = number::of_card(core, open, &asked.content.card_number, &self.serial).await?;
        let mut transaction = Transaction::default();
        number::keep(&mut transaction, &known, &self.serial)?;
        self.put_personalisation(&mut transaction, job)?;
        transaction.put(Table::Card, self.serial.as_bytes(), &card)?;
        transaction.spend(Counted::Cards, 1);
        transaction.note(self.intent(ScriptKind::Personalise));
        open.apply(core, self.now, transaction).await?;
        let first = first_part(&script, &asked.content)?;
        batch.steps(1, first.iter().map(|step| step.as_slice()))?;
        Ok(batch.send(Continuation::Draw(asked)))
    }

    /// A personalisation met a card with issuance keys: it is ours and finished, or something is wrong.
    pub(crate) async fn meets_finished(
        &self,
        core: &mut Core,
        open: &mut Open,
        asked: &Personalisation,
        status: &Status,
    ) -> Result<Turn, Error> {
        let unexpected = Error::CardState {
            state: status.state.as_str(),
        };
        let Some(job) = self.personalisation(core, open).await? else {
            return Err(unexpected);
        };
        let ours = status.script == job.script && !status.open && status.state == CardState::Personalised;
        match job.progress {
            Personalised::Finished { steps, keys } => {
                self.report(core, open, status.state, steps, keys).await
            }
            Personalised::Drawn(part) if ours => {
                self.conclude(core, open, asked, job.script, part, status.state)
                    .await
            }
            Personalised::Drafted if ours => Err(NOT_DRAWN),
            Personalised::Drawn(_) | Personalised::Drafted => Err(unexpected),
        }
    }

    /// A personalisation met a blank card on which something had begun.
    pub(crate) async fn resume(
        &self,
        core: &mut Core,
        open: &mut Open,
        asked: Personalisation,
        mut batch: Outgoing,
        status: &Status,
    ) -> Result<Turn, Error> {
        let job = self
            .personalisation(core, open)
            .await?
            .ok_or(Error::NoCardSession)?;
        let first = first_part(&job.script, &asked.content)?;
        let first_len = step_number(first.len())?;
        let mut steps: Vec<&[u8]> = first.iter().map(|step| step.as_slice()).collect();
        let last = status.last;
        let follows = |steps: &[&[u8]]| {
            status.open
                && status.script == job.script
                && chain_at(&job.script, steps, last).is_some_and(|digest| equal(&digest, &status.digest))
        };
        match &job.progress {
            // Finished once, blank now: not the same card.
            Personalised::Finished { .. } => Err(Error::CardNotGenuine),
            Personalised::Drafted if follows(&steps) => {
                // Steps 2 to 4 make the key pairs: ask for those whose answers were lost.
                for (domain, n) in Domain::ALL.iter().zip(2..) {
                    if last >= n {
                        batch.public_key(*domain)?;
                    }
                }
                batch.steps(last + 1, steps.into_iter().skip(usize::from(last)))?;
                Ok(batch.send(Continuation::Draw(asked)))
            }
            Personalised::Drafted => {
                batch.steps(1, steps.into_iter())?;
                Ok(batch.send(Continuation::Draw(asked)))
            }
            Personalised::Drawn(part) => {
                steps.extend(part.steps.iter().map(|step| step.bytes.as_slice()));
                // The second part speaks of key pairs that exist, so a card behind that point has lost them; and of key
                // versions that may still be written.
                if follows(&steps) && last >= first_len && all_usable(open, &part.slots, self.now) {
                    batch.steps(last + 1, steps.into_iter().skip(usize::from(last)))?;
                    return Ok(batch.send(Continuation::FinishPersonalisation(asked)));
                }
                self.draft_again(core, open, asked, batch).await
            }
        }
    }

    /// What was drawn does not fit the card any more: the same content under another script.
    async fn draft_again(
        &self,
        core: &mut Core,
        open: &mut Open,
        asked: Personalisation,
        mut batch: Outgoing,
    ) -> Result<Turn, Error> {
        let mut script = [0u8; 16];
        core.rng.fill_bytes(&mut script);
        let job = PersonaliseJob {
            content: asked.digest,
            script,
            progress: Personalised::Drafted,
        };
        let mut transaction = Transaction::default();
        self.put_personalisation(&mut transaction, job)?;
        transaction.note(self.intent(ScriptKind::Personalise));
        open.apply(core, self.now, transaction).await?;
        let first = first_part(&script, &asked.content)?;
        batch.steps(1, first.iter().map(|step| step.as_slice()))?;
        Ok(batch.send(Continuation::Draw(asked)))
    }

    /// The first part is on the card and its public keys are known: draws the second, stores it, sends it.
    pub(crate) async fn draw(
        &self,
        core: &mut Core,
        open: &mut Open,
        asked: Personalisation,
        mut batch: Outgoing,
        publics: &BTreeMap<Domain, [u8; 64]>,
    ) -> Result<Turn, Error> {
        let mut job = self
            .personalisation(core, open)
            .await?
            .ok_or(Error::NoCardSession)?;
        let content = &asked.content;
        let versions = active_versions(core, open, self.now, &content.entitlements).await?;
        let first = first_part(&job.script, content)?;
        let today = clock::card_day(clock::day(self.now))?;
        let drawing = Drawing {
            open,
            rng: &mut core.rng,
            serial: &self.serial,
            content,
            publics,
            versions,
            today,
        };
        let part = drawing.draw(&job.script, &first)?;
        let first_len = step_number(first.len())?;
        batch.steps(first_len + 1, part.steps.iter().map(|step| step.bytes.as_slice()))?;
        job.progress = Personalised::Drawn(part);
        let mut transaction = Transaction::default();
        self.put_personalisation(&mut transaction, job)?;
        open.apply(core, self.now, transaction).await?;
        Ok(batch.send(Continuation::FinishPersonalisation(asked)))
    }

    /// The card has confirmed FINALISE.
    pub(crate) async fn finish_personalisation(
        &self,
        core: &mut Core,
        open: &mut Open,
        asked: &Personalisation,
        answers: &Answers,
    ) -> Result<Turn, Error> {
        let state = answers.final_state()?;
        let job = self
            .personalisation(core, open)
            .await?
            .ok_or(Error::NoCardSession)?;
        let Personalised::Drawn(part) = job.progress else {
            return Err(NOT_DRAWN);
        };
        answers.check_keys(open, &self.serial, 0)?;
        self.conclude(core, open, asked, job.script, part, state).await
    }

    /// Makes a finished personalisation durable; the drawn steps, which hold card keys, leave the store.
    async fn conclude(
        &self,
        core: &mut Core,
        open: &mut Open,
        asked: &Personalisation,
        script: [u8; 16],
        part: SecondPart,
        state: CardState,
    ) -> Result<Turn, Error> {
        let SecondPart { steps, keys, slots } = part;
        let total = steps
            .last()
            .and_then(|step| finalise_count(&step.bytes))
            .map_or(0, |count| count + 1);
        let content = &asked.content;
        let mut card = Card::begun(self.order, self.index);
        card.publics = publics_of(&keys);
        card.number = Some(number::of_card(core, open, &content.card_number, &self.serial).await?);
        card.groups_written(
            [&content.dg1, &content.dg2, &content.dg3].map(|group| sha256(&[group])),
            Stamp::default(),
        );
        for slot in slots {
            card.slot_written(slot, Stamp::default());
        }
        card.entered(state, Stamp::default());
        let job = PersonaliseJob {
            content: asked.digest,
            script,
            progress: Personalised::Finished {
                steps: total,
                keys: keys.clone(),
            },
        };
        let mut transaction = Transaction::default();
        self.put_personalisation(&mut transaction, job)?;
        open.put_card(core, &mut transaction, &self.serial, None, &card)
            .await?;
        transaction.note(self.outcome(ScriptKind::Personalise, state));
        open.apply(core, self.now, transaction).await?;
        self.report(core, open, state, total, keys).await
    }
}

/// BEGIN, GENERATE for each domain, the data groups: follows from script id and content alone.
pub(crate) fn first_part(script: &[u8; 16], content: &CardContent) -> Result<Vec<StepBuffer>, Error> {
    let mut steps = vec![encode(&Step::Begin {
        kind: ScriptKind::Personalise,
        script: *script,
    })?];
    for domain in Domain::ALL {
        steps.push(encode(&Step::Generate { domain: *domain })?);
    }
    for (object, bytes) in [
        (WritableObject::Dg1, &content.dg1),
        (WritableObject::Dg2, &content.dg2),
        (WritableObject::Dg3, &content.dg3),
    ] {
        write_steps(object, bytes, &mut steps)?;
    }
    Ok(steps)
}

/// Draws the second part of a script.
pub(crate) struct Drawing<'a> {
    open: &'a Open,
    rng: &'a mut Random,
    serial: &'a Serial,
    content: &'a CardContent,
    publics: &'a BTreeMap<Domain, [u8; 64]>,
    /// Versions of the entitlements, in their order.
    versions: Vec<RoleKeyId>,
    today: Date,
}

impl Drawing<'_> {
    pub(crate) fn draw(mut self, script: &[u8; 16], first: &[StepBuffer]) -> Result<SecondPart, Error> {
        let mut steps = Vec::new();
        let keys = self.certificates(&mut steps)?;
        self.signature_object(&mut steps)?;
        let mut slots = Vec::new();
        for (entitlement, id) in self.content.entitlements.iter().zip(self.versions.clone()) {
            slots.push(self.slot(entitlement, id, &mut steps)?);
        }
        self.keys_and_trust(&mut steps)?;
        let all: Vec<&[u8]> = first.iter().chain(&steps).map(|step| step.as_slice()).collect();
        let count = step_number(all.len())?;
        let digest = chain_at(script, &all, count).ok_or(Error::NoCardSession)?;
        steps.push(encode(&Step::Finalise {
            count,
            digest,
            today: self.today,
        })?);
        let steps = steps
            .iter()
            .map(|step| StoredStep { bytes: step.to_vec() })
            .collect();
        Ok(SecondPart { steps, keys, slots })
    }

    pub(crate) fn public(&self, domain: Domain) -> Result<&[u8; 64], Error> {
        self.publics.get(&domain).ok_or(Error::NoCardSession)
    }

    pub(crate) fn certificates(&mut self, steps: &mut Vec<StepBuffer>) -> Result<Vec<CardKey>, Error> {
        let ca = self.open.keys.signer(Signer::CardCa)?;
        let from = clock::card_day(self.content.certificate_from)?;
        let to = clock::card_day(self.content.certificate_to)?;
        let mut keys = Vec::new();
        for domain in Domain::ALL {
            let public = *self.public(*domain)?;
            let mut id = [0u8; 16];
            self.rng.fill_bytes(&mut id);
            let certificate =
                CardCertificate::sign(&ca, *domain, CARD_CA_NUMBER, from, to, id, public, self.rng)
                    .and_then(|certificate| certificate.encode())
                    .map_err(fault)?;
            steps.push(encode(&Step::Certificate {
                domain: *domain,
                certificate: &certificate,
            })?);
            let mut public_key = [4u8; 65];
            public_key[1..].copy_from_slice(&public);
            keys.push(CardKey {
                domain: *domain,
                public_key,
                certificate: certificate.to_vec(),
            });
        }
        Ok(keys)
    }

    pub(crate) fn signature_object(&mut self, steps: &mut Vec<StepBuffer>) -> Result<(), Error> {
        let signer = self.open.keys.signer(Signer::Document)?;
        let person = *self.public(Domain::Person)?;
        let groups = [&self.content.dg1[..], &self.content.dg2, &self.content.dg3];
        let object = SignatureObject::sign(DOCUMENT_SIGNER_NUMBER, &signer, &person, groups, self.rng)
            .and_then(|object| object.encode())
            .map_err(fault)?;
        write_steps(WritableObject::Signature, &object, steps)
    }

    pub(crate) fn slot(
        &mut self,
        entitlement: &Entitlement,
        id: RoleKeyId,
        steps: &mut Vec<StepBuffer>,
    ) -> Result<CardSlot, Error> {
        let target = Target {
            serial: self.serial,
            id,
            public64: *self.public(id.role.domain())?,
            issue_counter: 1,
            delivered_by: DeliveredBy::Script,
            stamp: Stamp::default(),
        };
        let made = slot::make(&self.open.keys, self.rng, &target, entitlement)?;
        steps.push(encode(&Step::Slot(made.step(false, 0)))?);
        if id.role == Role::SmallPayment {
            steps.push(purse_step(
                &self.open.keys,
                self.rng,
                &made.slot,
                entitlement.purse_cap,
            )?);
        }
        Ok(made.slot)
    }

    pub(crate) fn keys_and_trust(&mut self, steps: &mut Vec<StepBuffer>) -> Result<(), Error> {
        let keys = &self.open.keys;
        let transport = keys.transport_keys(self.serial)?;
        steps.push(keys_step(keys, self.serial, 0, &transport.dek)?);
        steps.push(trust_step(self.open, self.today)?);
        Ok(())
    }
}
