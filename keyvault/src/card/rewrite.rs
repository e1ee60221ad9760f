//! Rewrites: scripts for a card that was personalised before (card specification, chapter 05, kind 02).
//!
//! A rewrite is drawn whole when the card has said where it stands, stored sealed in its job, and replayed byte for byte;
//! data groups are not stored and must come again. If the outcome is lost, the next look at the card tells it, whatever
//! task asks for that look. When an update that can still arrive would undo what is written, the script also changes the
//! update keys, and what else waits is sealed again (chapter 09). Left out: new key pairs, for which no task exists.

use card_applet_spec::codes::{CardState, Domain, Role, Serial};
use card_applet_spec::crypto::{equal, sha256};
use card_applet_spec::data_group::{Dg1, Dg2, Dg3, SignatureObject};
use card_applet_spec::date::Date;
use card_applet_spec::script::{ScriptKind, Status, Step, WritableObject};
use keyvault_protocol::{Counted, DeliveredBy, RewriteContent};

use crate::authority::signers::{DOCUMENT_SIGNER_NUMBER, Signer};
use crate::card::job::{Job, JobTask, RewriteJob, RewritePart, Rewritten, StoredStep};
use crate::card::queue::{self, Effect, Progress};
use crate::card::record::{Card, CardSlot, Purpose, Stamp, Writing};
use crate::card::session::{Answers, Continuation, Outgoing, Rewrite, Turn, Work};
use crate::card::slot::{self, Target, active_versions, all_usable, check_days, check_entitlement};
use crate::card::steps::{
    StepBuffer, chain_at, encode, finalise_count, keys_step, purse_step, step_number, trust_step, write_steps,
};
use crate::clock;
use crate::error::{Error, fault};
use crate::keys::version::RoleKeyId;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// The card has done a script of which the row knows nothing.
const NOT_DRAWN: Error = Error::Damaged {
    what: "a job without its rewrite",
};

/// A card whose date floor is so far behind gets TRUST with the script: 400 days are the card's limit.
const LONG_SLEEP_DAYS: u32 = 300;

/// Whether content is of today: checked when a rewrite is begun.
pub(crate) fn check_content_days(content: &RewriteContent, today: Date) -> Result<(), Error> {
    for entitlement in &content.entitlements {
        check_days(entitlement, today)?;
    }
    let issued = [
        content
            .dg1
            .as_ref()
            .and_then(|dg1| Some(Dg1::parse(dg1).ok()?.issue_date)),
        content
            .dg3
            .as_ref()
            .and_then(|dg3| Some(Dg3::parse(dg3).ok()?.issued)),
    ];
    issued
        .into_iter()
        .flatten()
        .try_for_each(|day| clock::check_issued(day, today))
}

/// Checks everything that can be known without the card, on every day.
pub(crate) fn check_content(content: &RewriteContent) -> Result<(), Error> {
    let bad = |what| Err(Error::BadContent { what });
    if content.dg1.as_ref().is_some_and(|dg1| Dg1::parse(dg1).is_err()) {
        return bad("DG1 is not in the form of the card specification");
    }
    if content.dg2.as_ref().is_some_and(|dg2| Dg2::parse(dg2).is_err()) {
        return bad("DG2 is not in the form of the card specification");
    }
    let dg3 = match &content.dg3 {
        Some(dg3) => match Dg3::parse(dg3) {
            Ok(dg3) if dg3.issued > dg3.endorsed_until => {
                return bad("the permit in DG3 ends before it was issued");
            }
            Ok(dg3) => Some(dg3),
            Err(_) => return bad("DG3 is not in the form of the card specification"),
        },
        None => None,
    };
    let nothing = content.dg1.is_none() && content.dg2.is_none() && dg3.is_none();
    if nothing && content.entitlements.is_empty() {
        return bad("a rewrite changes something");
    }
    for (i, wanted) in content.entitlements.iter().enumerate() {
        check_entitlement(wanted)?;
        let others = content.entitlements.iter().skip(i + 1);
        for other in others {
            if other.role == wanted.role {
                return bad("two entitlements are for the same role");
            }
            if (other.tier, &other.rule_set) != (wanted.tier, &wanted.rule_set) {
                return bad("the entitlements of a rewrite are of one tier and one rule set");
            }
        }
        if let Some(dg3) = &dg3 {
            if wanted.tier != dg3.tier {
                return bad("an entitlement's tier is not the tier in DG3");
            }
            if clock::card_day(wanted.valid_to)? > dg3.endorsed_until {
                return bad("an entitlement outlives the permit in DG3");
            }
            if wanted.rule_set != dg3.rule_set {
                return bad("an entitlement's rule set is not the rule set in DG3");
            }
        }
    }
    let purse = content
        .entitlements
        .iter()
        .any(|wanted| wanted.role == Role::SmallPayment);
    if content.loaded.is_some() && !purse {
        return bad("a load comes with the SMALL_PAYMENT entitlement, in whose slot it travels");
    }
    Ok(())
}

/// BEGIN and the data groups: follows from script id and content alone.
pub(crate) fn first_part(script: &[u8; 16], content: &RewriteContent) -> Result<Vec<StepBuffer>, Error> {
    let mut steps = vec![encode(&Step::Begin {
        kind: ScriptKind::Rewrite,
        script: *script,
    })?];
    for (object, bytes) in [
        (WritableObject::Dg1, &content.dg1),
        (WritableObject::Dg2, &content.dg2),
        (WritableObject::Dg3, &content.dg3),
    ] {
        if let Some(bytes) = bytes {
            write_steps(object, bytes, &mut steps)?;
        }
    }
    Ok(steps)
}

/// Whether an update of `effect` would undo what a rewrite of `content` writes.
fn undoes(effect: &Effect, content: &RewriteContent, versions: &[RoleKeyId]) -> bool {
    let writes = |role: Role| content.entitlements.iter().any(|wanted| wanted.role == role);
    match effect {
        Effect::Slot(slot) => writes(slot.role),
        Effect::Erase { role, key_version } => versions
            .iter()
            .any(|id| (id.role, id.version) == (*role, *key_version)),
        Effect::Permit(_) => content.dg1.is_some() || content.dg2.is_some() || content.dg3.is_some(),
        Effect::Floor | Effect::Block | Effect::Load => false,
    }
}

/// A rewrite that is to be drawn.
struct Wanted<'a> {
    writing: Writing,
    content: &'a RewriteContent,
    /// Of the content; none where the update keys change and nothing else does.
    digest: Option<[u8; 32]>,
    /// Whether TRUST goes with it.
    trust: bool,
}

impl Work {
    /// If a rewrite was on its way to this card and the card has finished it, its outcome is written down. Every task
    /// begins with it, while the card still names the script.
    pub(crate) async fn settle(
        &self,
        core: &mut Core,
        open: &mut Open,
        status: &Status,
    ) -> Result<(), Error> {
        let card = open
            .get::<Card>(core, Table::Card, self.serial.as_bytes())
            .await?;
        let Some(writing) = card.and_then(|card| card.writing) else {
            return Ok(());
        };
        let Some((job, part)) = drawn(core, open, writing).await? else {
            return Ok(());
        };
        if job.script == status.script && !status.open {
            let work = Self {
                order: writing.order,
                index: writing.index,
                ..*self
            };
            work.rewritten(core, open, writing, &job, part, status.state)
                .await?;
        }
        Ok(())
    }

    fn writing(&self, purpose: Purpose) -> Writing {
        Writing {
            order: self.order,
            index: self.index,
            purpose,
        }
    }

    /// A rewrite has met the card.
    pub(crate) async fn rewrite(
        &self,
        core: &mut Core,
        open: &mut Open,
        asked: &Rewrite,
        mut batch: Outgoing,
        status: &Status,
    ) -> Result<Turn, Error> {
        let writing = self.writing(Purpose::Content);
        if let Some(JobTask::Rewrite(job)) = self.job(core, open).await?.map(|job| job.task)
            && job.content == Some(asked.digest)
        {
            match job.progress {
                Rewritten::Finished { steps } => {
                    return self.report(core, open, status.state, steps, Vec::new()).await;
                }
                Rewritten::Drawn(part) => {
                    let rest = self
                        .rest(core, open, &job.script, &part, &asked.content, status)
                        .await?;
                    if let Some((first, steps)) = rest {
                        batch.steps(first, steps.iter().map(|step| step.as_slice()))?;
                        return Ok(batch.send(Continuation::FinishRewrite(writing)));
                    }
                }
            }
        }
        if !ScriptKind::Rewrite.starts_in(status.state) {
            return Err(Error::CardState {
                state: status.state.as_str(),
            });
        }
        let wanted = Wanted {
            writing,
            content: &asked.content,
            digest: Some(asked.digest),
            trust: sleeps_long(status, self.now)?,
        };
        self.draw_rewrite(core, open, batch, wanted).await
    }

    /// The steps that the card still lacks, if what was drawn still holds.
    async fn rest(
        &self,
        core: &mut Core,
        open: &Open,
        script: &[u8; 16],
        part: &RewritePart,
        content: &RewriteContent,
        status: &Status,
    ) -> Result<Option<(u16, Vec<StepBuffer>)>, Error> {
        let card = open.card(core, &self.serial).await?;
        let mine = self.writing(Purpose::Content);
        // Another script or update came after it was drawn, or a version that it brings is over.
        if card.writing != Some(mine)
            || card.counter != part.stamp.counter
            || !all_usable(open, &part.slots, self.now)
            || !ScriptKind::Rewrite.starts_in(status.state)
        {
            return Ok(None);
        }
        let mut all = first_part(script, content)?;
        all.extend(part.steps.iter().map(|step| StepBuffer::new(step.bytes.clone())));
        if status.script != *script {
            return Ok(Some((1, all)));
        }
        let known: Vec<&[u8]> = all.iter().map(|step| step.as_slice()).collect();
        let follows = status.open
            && chain_at(script, &known, status.last).is_some_and(|digest| equal(&digest, &status.digest));
        if !follows {
            return Ok(None);
        }
        let rest = all.split_off(usize::from(status.last));
        Ok(Some((status.last + 1, rest)))
    }

    /// Draws a rewrite, makes the intent durable, sends it.
    async fn draw_rewrite(
        &self,
        core: &mut Core,
        open: &mut Open,
        mut batch: Outgoing,
        wanted: Wanted<'_>,
    ) -> Result<Turn, Error> {
        let serial = self.serial;
        let content = wanted.content;
        let versions = active_versions(core, open, self.now, &content.entitlements).await?;
        let before = open.card(core, &serial).await?;
        let mut card = before.clone();
        let mut transaction = Transaction::default();
        // What an earlier attempt drew, this job's or another's, never arrived: the card has just said so.
        if let Some(earlier) = card.writing
            && let Some((_, part)) = drawn(core, open, earlier).await?
        {
            for slot in &part.slots {
                card.slot_never_arrived(&slot.pid);
            }
        }
        let mut renew = wanted.writing.purpose == Purpose::Renewal;
        for known in &card.changes {
            let row = queue::card_change(core, open, &transaction, &known.change).await?;
            renew |= undoes(&row.effect, content, &versions);
        }
        let mut stamp = card.next_stamp(&mut core.rng)?;
        if renew {
            stamp.generation = stamp.generation.checked_add(1).ok_or(Error::LimitExceeded {
                what: "the number of rewrites of a card",
                limit: u32::MAX,
            })?;
        }
        let mut script = [0u8; 16];
        core.rng.fill_bytes(&mut script);
        let first = first_part(&script, content)?;
        let fen = content
            .loaded
            .map_or(Ok(0), |loaded| card.purse.load(loaded, self.now))?;
        transaction.spend_on_load(fen);
        transaction.spend(Counted::Cards, 1);
        let mut drawing = Drawing {
            core,
            open,
            serial: &serial,
            card: &mut card,
            content,
            stamp,
            today: clock::card_day(clock::day(self.now))?,
            steps: Vec::new(),
        };
        let part = drawing.draw(&script, &first, &versions, renew, wanted.trust)?;
        card.writing = Some(wanted.writing);
        batch.steps(1, first.iter().map(|step| step.as_slice()))?;
        batch.steps(
            step_number(first.len())? + 1,
            part.steps.iter().map(|step| step.bytes.as_slice()),
        )?;
        let job = Job {
            serial,
            task: JobTask::Rewrite(RewriteJob {
                content: wanted.digest,
                script,
                progress: Rewritten::Drawn(part),
            }),
        };
        transaction.put(Table::Job, &wanted.writing.job_id(), &job)?;
        open.put_card(core, &mut transaction, &serial, Some(&before), &card)
            .await?;
        transaction.note(self.intent(ScriptKind::Rewrite));
        open.apply(core, self.now, transaction).await?;
        Ok(batch.send(Continuation::FinishRewrite(wanted.writing)))
    }

    /// The card has confirmed FINALISE of a rewrite.
    pub(crate) async fn finish_rewrite(
        &self,
        core: &mut Core,
        open: &mut Open,
        writing: Writing,
        answers: &Answers,
    ) -> Result<Turn, Error> {
        let state = answers.final_state()?;
        let job = open.get::<Job>(core, Table::Job, &writing.job_id()).await?;
        let steps = match job.map(|job| job.task) {
            // Another order's look at the card has heard of it before this order did: the rewrite is on the card.
            Some(JobTask::Rewrite(RewriteJob {
                progress: Rewritten::Finished { steps },
                ..
            })) => steps,
            Some(JobTask::Rewrite(RewriteJob {
                content,
                script,
                progress: Rewritten::Drawn(part),
            })) => {
                answers.check_keys(open, &self.serial, part.stamp.generation)?;
                let job = DrawnRewrite { content, script };
                self.rewritten(core, open, writing, &job, part, state).await?
            }
            _ => return Err(NOT_DRAWN),
        };
        match writing.purpose {
            Purpose::Content => self.report(core, open, state, steps, Vec::new()).await,
            Purpose::Renewal => Ok(self.done(state, steps, steps, Vec::new(), Vec::new())),
        }
    }

    /// The card has done the rewrite of `job`: rows and journal. Gives the number of its steps.
    async fn rewritten(
        &self,
        core: &mut Core,
        open: &mut Open,
        writing: Writing,
        job: &DrawnRewrite,
        part: RewritePart,
        state: CardState,
    ) -> Result<u16, Error> {
        let serial = &self.serial;
        let before = open.card(core, serial).await?;
        let mut card = before.clone();
        let mut transaction = Transaction::default();
        let stamp = part.stamp;
        for slot in &part.slots {
            card.slot_written(slot.clone(), stamp);
        }
        if let Some(groups) = part.groups {
            let (digests, _) = groups.as_chunks();
            if let [dg1, dg2, dg3] = *digests {
                card.groups_written([dg1, dg2, dg3], stamp);
            }
        }
        card.entered(state, stamp);
        card.writing = None;
        if stamp.generation > card.generation {
            card.generation = stamp.generation;
            card.counter = card.counter.max(stamp.counter);
            self.carry_over(core, open, &mut transaction, &mut card, &part)
                .await?;
        }
        let steps = part
            .steps
            .last()
            .and_then(|step| finalise_count(&step.bytes))
            .map_or(0, |count| count + 1);
        let job = Job {
            serial: *serial,
            task: JobTask::Rewrite(RewriteJob {
                content: job.content,
                script: job.script,
                progress: Rewritten::Finished { steps },
            }),
        };
        transaction.put(Table::Job, &writing.job_id(), &job)?;
        open.put_card(core, &mut transaction, serial, Some(&before), &card)
            .await?;
        transaction.note(self.outcome(ScriptKind::Rewrite, state));
        open.apply(core, self.now, transaction).await?;
        Ok(steps)
    }

    /// The update keys have changed: every update under the old ones is void. What the rewrite took the place of is
    /// withdrawn, what else was waiting is sealed again.
    pub(crate) async fn carry_over(
        &self,
        core: &mut Core,
        open: &Open,
        transaction: &mut Transaction,
        card: &mut Card,
        part: &RewritePart,
    ) -> Result<(), Error> {
        let old = std::mem::take(&mut card.changes);
        for known in old {
            let mut row = queue::card_change(core, open, transaction, &known.change).await?;
            if row.progress != Progress::Waiting {
                continue;
            }
            let replaced = match &row.effect {
                Effect::Slot(slot) => part.slots.iter().any(|new| new.role == slot.role),
                Effect::Permit(_) => part.groups.is_some(),
                Effect::Erase { role, key_version } => part
                    .slots
                    .iter()
                    .any(|new| (new.role, new.key_version) == (*role, *key_version)),
                // New keys behind an unblock.
                Effect::Block => part.slots.is_empty() && part.groups.is_none(),
                Effect::Floor | Effect::Load => false,
            };
            if replaced {
                queue::drop_from_queue(transaction, &mut row);
                transaction.put(Table::CardChange, &known.change, &row)?;
            } else {
                queue::seal_again(core, open, transaction, self.now, card, &known.change, row).await?;
            }
        }
        Ok(())
    }

    /// Behind an unblock: while a block that was sealed before can still arrive, the update keys change. None when no
    /// such block is known.
    pub(crate) async fn renew_update_keys(
        &self,
        core: &mut Core,
        open: &mut Open,
        batch: Outgoing,
    ) -> Result<Option<Turn>, Error> {
        let card = open.card(core, &self.serial).await?;
        let none = Transaction::default();
        let mut blocks = false;
        for known in &card.changes {
            let row = queue::card_change(core, open, &none, &known.change).await?;
            blocks |= matches!(row.effect, Effect::Block);
        }
        if !blocks {
            return Ok(None);
        }
        let wanted = Wanted {
            writing: self.writing(Purpose::Renewal),
            content: &RewriteContent::default(),
            digest: None,
            trust: true,
        };
        self.draw_rewrite(core, open, batch, wanted).await.map(Some)
    }
}

/// What is bound to a rewrite's row: the digest of its content, if it has any, and the script.
struct DrawnRewrite {
    content: Option<[u8; 32]>,
    script: [u8; 16],
}

/// A rewrite that is drawn, and not finished as far as the vault has heard.
async fn drawn(
    core: &mut Core,
    open: &Open,
    writing: Writing,
) -> Result<Option<(DrawnRewrite, RewritePart)>, Error> {
    let job = open.get::<Job>(core, Table::Job, &writing.job_id()).await?;
    Ok(match job.map(|job| job.task) {
        Some(JobTask::Rewrite(RewriteJob {
            content,
            script,
            progress: Rewritten::Drawn(part),
        })) => Some((DrawnRewrite { content, script }, part)),
        _ => None,
    })
}

fn sleeps_long(status: &Status, now: jiff::Timestamp) -> Result<bool, Error> {
    let today = clock::card_day(clock::day(now))?;
    Ok(!status.floor.is_none() && status.floor.day_number() + LONG_SLEEP_DAYS < today.day_number())
}

/// Draws what stands behind the data groups.
pub(crate) struct Drawing<'a> {
    core: &'a mut Core,
    open: &'a Open,
    serial: &'a Serial,
    card: &'a mut Card,
    content: &'a RewriteContent,
    stamp: Stamp,
    today: Date,
    steps: Vec<StepBuffer>,
}

impl Drawing<'_> {
    pub(crate) fn draw(
        &mut self,
        script: &[u8; 16],
        first: &[StepBuffer],
        versions: &[RoleKeyId],
        renew: bool,
        trust: bool,
    ) -> Result<RewritePart, Error> {
        let groups = self.signature_object()?;
        let mut slots = Vec::new();
        for (wanted, id) in self.content.entitlements.iter().zip(versions) {
            slots.push(self.slot(wanted, *id)?);
        }
        if renew {
            let dek = self.open.keys.issuance_keys(self.serial)?.dek;
            let step = keys_step(&self.open.keys, self.serial, self.stamp.generation, &dek)?;
            self.steps.push(step);
        }
        if trust {
            let step = trust_step(self.open, self.today)?;
            self.steps.push(step);
        }
        let all: Vec<&[u8]> = first
            .iter()
            .chain(&self.steps)
            .map(|step| step.as_slice())
            .collect();
        let count = step_number(all.len())?;
        let digest = chain_at(script, &all, count).ok_or(Error::NoCardSession)?;
        self.steps.push(encode(&Step::Finalise {
            count,
            digest,
            today: self.today,
        })?);
        let steps = self
            .steps
            .iter()
            .map(|step| StoredStep { bytes: step.to_vec() })
            .collect();
        Ok(RewritePart {
            steps,
            slots,
            groups,
            stamp: self.stamp,
        })
    }

    /// The signature object over what is given and what the card has.
    pub(crate) fn signature_object(&mut self) -> Result<Option<[u8; 96]>, Error> {
        let given = [&self.content.dg1, &self.content.dg2, &self.content.dg3]
            .map(|group| group.as_ref().map(|group| sha256(&[group])));
        if given.iter().all(Option::is_none) {
            return Ok(None);
        }
        let known = self.card.group_digests();
        let mut digests = [[0; 32]; 3];
        for (n, digest) in digests.iter_mut().enumerate() {
            let kept = known.and_then(|known| known.get(n).copied());
            *digest = given.get(n).copied().flatten().or(kept).ok_or(Error::BadContent {
                what: "this card was written before the vault kept digests: give DG1, DG2 and DG3 together once",
            })?;
        }
        let signer = self.open.keys.signer(Signer::Document)?;
        let person = self.card.public(Domain::Person)?;
        let object = SignatureObject::sign_digests(
            DOCUMENT_SIGNER_NUMBER,
            &signer,
            sha256(&[&person]),
            digests,
            &mut self.core.rng,
        )
        .and_then(|object| object.encode())
        .map_err(fault)?;
        write_steps(WritableObject::Signature, &object, &mut self.steps)?;
        let mut groups = [0; 96];
        groups.copy_from_slice(&digests.concat());
        Ok(Some(groups))
    }

    pub(crate) fn slot(
        &mut self,
        wanted: &keyvault_protocol::Entitlement,
        id: RoleKeyId,
    ) -> Result<CardSlot, Error> {
        let target = Target {
            serial: self.serial,
            id,
            public64: self.card.public(id.role.domain())?,
            issue_counter: self.card.next_issue_counter(wanted.role),
            delivered_by: DeliveredBy::Script,
            stamp: self.stamp,
        };
        let made = slot::make(&self.open.keys, &mut self.core.rng, &target, wanted)?;
        let mut loaded = 0;
        if id.role == Role::SmallPayment {
            let most = self.card.purse.most();
            loaded = self.content.loaded.unwrap_or(most);
            if loaded < most {
                return Err(Error::BadContent {
                    what: "a load names all money ever loaded, not below a value given before",
                });
            }
            self.card.purse.give(loaded);
        }
        self.steps.push(encode(&Step::Slot(made.step(true, loaded)))?);
        if id.role == Role::SmallPayment {
            let step = purse_step(&self.open.keys, &mut self.core.rng, &made.slot, wanted.purse_cap)?;
            self.steps.push(step);
        }
        // From here on it may come onto the card: a deny list has it already.
        self.card.slot_sent(made.slot.clone());
        Ok(made.slot)
    }
}
