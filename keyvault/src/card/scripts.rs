//! Writing cards through the issuer's hands: SCP03 and numbered scripts (card specification, chapter 05).
//!
//! A task begins with SELECT and INITIALIZE UPDATE; the card's cryptogram tells whose keys it has; its answers lead on from
//! there. Scripts without content (activate, block, unblock, terminate) are here; `personalise` and `rewrite` have the others.

use card_applet_spec::apdu::{self, Header};
use card_applet_spec::codes::{AID, Serial, State};
use card_applet_spec::crypto::{equal, sha256};
use card_applet_spec::data_group::CardInfo;
use card_applet_spec::kdf::KeySet;
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::{ScriptKind, Status, Step, chain_next, chain_start};
use jiff::Timestamp;
use keyvault_protocol::{CardTask, Script, TaskKind};
use zeroize::Zeroizing;

use crate::card::job::{Job, RewritePart};
use crate::card::personalise::{check_content, first_part};
use crate::card::record::{Card, Writing, job_id};
use crate::card::session::{
    Next, Outgoing, Sent, Session, Sessions, Stage, Task, Told, What, Work, done, read_answers, words,
};
use crate::card::{denied, order, queue, rewrite};
use crate::clock;
use crate::error::{Error, fault};
use crate::open::transaction::{Change, Core, Open};
use crate::store::sql::Table;

/// Begins a task for a card.
pub(crate) async fn start(
    core: &mut Core,
    open: &mut Open,
    sessions: &mut Sessions,
    now: Timestamp,
    (order, index): ([u8; 16], u32),
    serial: Serial,
    task: CardTask,
) -> Result<Script, Error> {
    let running = order::running(core, open, now, &order).await?;
    // Looking changes nothing: it is part of every order.
    if task.kind() != TaskKind::Inspect && !running.tasks.contains(&task.kind()) {
        return Err(Error::TaskNotOrdered);
    }
    if index >= running.cards {
        return Err(Error::QuotaUsed { cards: running.cards });
    }
    let task = typed(task, now)?;
    bound(core, open, order, index, serial, &task).await?;
    sessions.forget_old(now);
    sessions.has_room(order, index)?;
    let mut host_challenge = [0u8; 8];
    core.rng.fill_bytes(&mut host_challenge);
    let select = Header::SELECT.command(&AID, Some(0)).map_err(fault)?;
    let initialize = Header::INITIALIZE_UPDATE
        .command(&host_challenge, Some(0))
        .map_err(fault)?;
    let stage = Stage::Opening { host_challenge };
    sessions.put(
        order,
        index,
        Session {
            serial,
            task,
            stage,
            touched: now,
        },
    );
    Ok(Script::Send {
        commands: vec![select.to_vec(), initialize.to_vec()],
    })
}

/// Goes on with the card's answers. Whatever goes wrong ends the session; what is durable stays, and the card is started
/// again.
pub(crate) async fn proceed(
    core: &mut Core,
    open: &mut Open,
    sessions: &mut Sessions,
    now: Timestamp,
    (order, index): ([u8; 16], u32),
    answers: &[Vec<u8>],
) -> Result<Script, Error> {
    let mut session = sessions.take(order, index, now)?;
    let work = Work { order, index, now };
    let script = match std::mem::replace(
        &mut session.stage,
        Stage::Opening {
            host_challenge: [0; 8],
        },
    ) {
        Stage::Opening { host_challenge } => {
            work.opened(core, open, &mut session, &host_challenge, answers)
                .await?
        }
        Stage::Running {
            mut channel,
            sent,
            blank,
            plan,
        } => {
            let told = read_answers(&mut channel, &sent, answers)?;
            work.told(core, open, &mut session, channel, blank, plan, told)
                .await?
        }
    };
    if matches!(script, Script::Send { .. }) {
        session.touched = now;
        sessions.put(order, index, session);
    }
    Ok(script)
}

/// Parses a task: every value is checked before a card is touched.
fn typed(task: CardTask, now: Timestamp) -> Result<Task, Error> {
    let today = clock::card_day(clock::day(now))?;
    let change = |kind, today| Ok(Task::Change { kind, today });
    match task {
        CardTask::Personalise(content) => {
            check_content(&content, today)?;
            let encoded = Zeroizing::new(minicbor::to_vec(&content).map_err(|_| Error::BadContent {
                what: "content that cannot be encoded",
            })?);
            let digest = sha256(&[b"YZT-CONTENT-1", &encoded]);
            Ok(Task::Personalise { content, digest })
        }
        CardTask::Activate { date } => {
            let day = clock::card_day(date)?;
            if day > today {
                // The card's date floor only grows: a day in the future would refuse today's terminals.
                return Err(Error::BadContent {
                    what: "a card cannot be activated on a day that has not come",
                });
            }
            change(ScriptKind::Activate, day)
        }
        CardTask::Block => change(ScriptKind::Block, today),
        CardTask::Unblock => change(ScriptKind::Unblock, today),
        CardTask::Terminate => change(ScriptKind::Terminate, today),
        CardTask::Inspect => Ok(Task::Inspect),
        CardTask::Rewrite(content) => {
            rewrite::check_content(&content, today)?;
            let encoded = Zeroizing::new(minicbor::to_vec(&content).map_err(|_| Error::BadContent {
                what: "content that cannot be encoded",
            })?);
            let digest = sha256(&[b"YZT-REWRITE-1", &encoded]);
            Ok(Task::Rewrite { content, digest })
        }
    }
}

/// Checks that index and serial are not bound to something else.
async fn bound(
    core: &mut Core,
    open: &Open,
    order: [u8; 16],
    index: u32,
    serial: Serial,
    task: &Task,
) -> Result<(), Error> {
    let conflict = |what| Err(Error::CardConflict { what });
    let job: Option<Job> = open.get(core, Table::Job, &job_id(&order, index)).await?;
    let card: Option<Card> = open.get(core, Table::Card, serial.as_bytes()).await?;
    if job.as_ref().is_some_and(|job| job.serial != serial) {
        return conflict("this index of the order belongs to another card");
    }
    match task {
        Task::Personalise { digest, .. } => {
            if job.as_ref().is_some_and(|job| job.content != *digest) {
                return conflict("this card was begun with other content");
            }
            if let Some(card) = card.filter(|card| (card.order, card.index) != (order, index)) {
                if card.state != State::Blank.code() {
                    return conflict("this card was personalised under another order");
                }
                if job.is_some() {
                    return conflict("this card was taken over by another order");
                }
            }
            Ok(())
        }
        Task::Change { .. } | Task::Rewrite { .. }
            if card.as_ref().is_none_or(|card| card.state == State::Blank.code()) =>
        {
            Err(Error::NotFound {
                what: "finished card of this serial",
            })
        }
        Task::Rewrite { digest, .. } => match job {
            Some(job) if !job.is_without_content() && job.content != *digest => {
                conflict("this index of the order was begun with other content")
            }
            _ if denied::is_denied(core, open, &serial).await? => Err(Error::CardDenied),
            _ => Ok(()),
        },
        Task::Change { .. } | Task::Inspect => Ok(()),
    }
}

impl Work {
    /// The card has answered SELECT and INITIALIZE UPDATE.
    pub(crate) async fn opened(
        &self,
        core: &mut Core,
        open: &mut Open,
        session: &mut Session,
        host_challenge: &[u8; 8],
        answers: &[Vec<u8>],
    ) -> Result<Script, Error> {
        let refused = |step: &str, answer: &str| Error::CardRefused {
            step: step.into(),
            answer: answer.into(),
        };
        let body = |i: usize, step: &str| {
            let answer: &Vec<u8> = answers.get(i).ok_or_else(|| refused(step, "no answer"))?;
            let (body, status) = apdu::split_answer(answer).map_err(|_| refused(step, "no answer"))?;
            if status.is_ok() {
                Ok(body)
            } else {
                Err(refused(step, &format!("status {status}")))
            }
        };
        let selected = match body(0, "SELECT") {
            // A card that does not know the application is no card of ours.
            Err(Error::CardRefused { answer, .. }) if answer == "status 6A82" => {
                return Err(Error::CardNotGenuine);
            }
            other => other?,
        };
        CardInfo::parse(selected).map_err(|_| Error::CardNotGenuine)?;
        let update =
            InitializeUpdate::parse(body(1, "INITIALIZE UPDATE")?).map_err(|_| Error::CardNotGenuine)?;

        if (update.diversification, update.key_version, update.i) != ([0; 10], 1, 0x60) {
            // Constants on our cards: another value is another card, or somebody in the middle.
            return Err(Error::CardNotGenuine);
        }

        let answers_with = |keys: &KeySet| {
            let keys = SessionKeys::derive(keys, host_challenge, &update.card_challenge);
            let expected = keys.card_cryptogram(host_challenge, &update.card_challenge);
            equal(&expected, &update.card_cryptogram).then_some(keys)
        };
        let transport = match open.keys.transport_keys(&session.serial) {
            Ok(keys) => answers_with(&keys),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let (keys, blank) = match (
            transport,
            answers_with(&open.keys.issuance_keys(&session.serial)?),
        ) {
            (Some(keys), _) => (keys, true),
            (None, Some(keys)) => (keys, false),
            (None, None) => return Err(Error::CardNotGenuine),
        };
        let cryptogram = keys.host_cryptogram(host_challenge, &update.card_challenge);
        let mut channel = Box::new(Channel::new(keys));
        let authenticate = channel.external_authenticate(&cryptogram).map_err(fault)?;
        let first = (
            authenticate.to_vec(),
            Sent {
                mark: channel.mark(),
                what: What::Authenticate,
            },
        );

        let mut batch = Outgoing {
            channel,
            commands: vec![first.0],
            sent: vec![first.1],
        };
        if let (Task::Personalise { content, digest }, true) = (&session.task, blank)
            && self.job(core, open).await?.is_none()
        {
            let job = self.begin(core, open, &session.serial, *digest).await?;
            let part = first_part(&job.script, content)?;
            batch.steps(1, part.iter().map(|step| step.as_slice()))?;
            return Ok(batch.send(session, blank, Next::Draw));
        }
        batch.status()?;
        Ok(batch.send(session, blank, Next::Decide))
    }

    /// Verified answers have come.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a session, taken apart by its one caller"
    )]
    pub(crate) async fn told(
        &self,
        core: &mut Core,
        open: &mut Open,
        session: &mut Session,
        channel: Box<Channel>,
        blank: bool,
        plan: Next,
        told: Told,
    ) -> Result<Script, Error> {
        let batch = Outgoing {
            channel,
            commands: Vec::new(),
            sent: Vec::new(),
        };
        match (plan, told.status) {
            (Next::Decide, Some(status)) => self.decide(core, open, session, batch, blank, status).await,
            (Next::Decide, None) => Err(Error::NoCardSession),
            (Next::Draw, _) => self.draw(core, open, session, batch, &told.publics).await,
            (Next::Finish, _) => self.finish(core, open, session, batch, &told).await,
            (Next::FinishRewrite(writing), _) => {
                self.finish_rewrite(core, open, session, writing, &told).await
            }
        }
    }

    /// The card has said where it stands.
    pub(crate) async fn decide(
        &self,
        core: &mut Core,
        open: &mut Open,
        session: &mut Session,
        mut batch: Outgoing,
        blank: bool,
        status: Status,
    ) -> Result<Script, Error> {
        if !blank {
            self.settle(core, open, &session.serial, &status).await?;
        }
        let (kind, today) = match &session.task {
            Task::Inspect => {
                let steps = self
                    .job(core, open)
                    .await?
                    .and_then(|job| job.finished)
                    .map_or(0, |f| f.steps);
                return Ok(done(
                    &session.serial,
                    status.state,
                    status.last,
                    steps,
                    Vec::new(),
                    Vec::new(),
                ));
            }
            Task::Personalise { .. } if !blank => {
                return self.found_finished(core, open, session, &status).await;
            }
            Task::Personalise { .. } => return self.resume(core, open, session, batch, &status).await,
            Task::Rewrite { .. } => return self.rewrite(core, open, session, batch, &status).await,
            Task::Change { kind, today } => (*kind, *today),
        };
        if is_done(kind, status.state) {
            // The change is on the card already: its answer was lost, or it was asked for twice.
            return self
                .changed(core, open, session, batch, kind, status.state, status.last)
                .await;
        }
        if !kind.starts_in(status.state) {
            return Err(Error::CardState {
                state: status.state.as_str(),
            });
        }
        let mut script = [0u8; 16];
        core.rng.fill_bytes(&mut script);
        let mut change = Change::default();
        let id = job_id(&self.order, self.index);
        if self.job(core, open).await?.is_none() {
            change.put(Table::Job, &id, &Job::new(session.serial, [0; 32], script))?;
        }
        change.note(self.intent(&session.serial, words(kind)));
        open.apply(core, self.now, change).await?;
        let begin = Step::Begin { kind, script }.encode().map_err(fault)?;
        let digest = chain_next(&chain_start(&script), 1, &begin);
        let finalise = Step::Finalise {
            count: 1,
            digest,
            today,
        }
        .encode()
        .map_err(fault)?;
        batch.steps(1, [begin.as_slice(), finalise.as_slice()].into_iter())?;
        Ok(batch.send(session, blank, Next::Finish))
    }

    /// A change of state that the card has confirmed: rows and journal, and behind an unblock whatever keeps an old block
    /// from coming back.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a session, taken apart by its two callers"
    )]
    pub(crate) async fn changed(
        &self,
        core: &mut Core,
        open: &mut Open,
        session: &mut Session,
        batch: Outgoing,
        kind: ScriptKind,
        state: State,
        last: u16,
    ) -> Result<Script, Error> {
        let serial = session.serial;
        let before = open.card(core, &serial).await?;
        let mut card = before.clone();
        let stamp = card.next_stamp(&mut core.rng)?;
        let mut change = Change::default();
        if kind == ScriptKind::Terminate {
            queue::withdraw(core, open, &mut change, &card, |_| true).await?;
        }
        card.entered(state, stamp);
        open.put_card(core, &mut change, &serial, Some(&before), &card)
            .await?;
        change.note(self.outcome(&serial, words(kind), state));
        open.apply(core, self.now, change).await?;
        if kind == ScriptKind::Unblock
            && let Some(script) = self.renew_update_keys(core, open, session, batch).await?
        {
            return Ok(script);
        }
        Ok(done(&serial, state, last, 2, Vec::new(), Vec::new()))
    }

    /// The card has confirmed FINALISE.
    pub(crate) async fn finish(
        &self,
        core: &mut Core,
        open: &mut Open,
        session: &mut Session,
        batch: Outgoing,
        told: &Told,
    ) -> Result<Script, Error> {
        let state = told.final_state.ok_or(Error::NoCardSession)?;
        let mut job = self.job(core, open).await?.ok_or(Error::NoCardSession)?;
        match &session.task {
            Task::Personalise { .. } => {
                told.check_keys(open, &session.serial, 0)?;
                self.conclude(core, open, session, &mut job, state).await?;
                self.report(core, open, &session.serial, job, state).await
            }
            Task::Change { kind, .. } => {
                let kind = *kind;
                self.changed(core, open, session, batch, kind, state, 2).await
            }
            Task::Rewrite { .. } | Task::Inspect => Err(Error::NoCardSession),
        }
    }

    /// The card has confirmed FINALISE of a rewrite.
    pub(crate) async fn finish_rewrite(
        &self,
        core: &mut Core,
        open: &mut Open,
        session: &Session,
        writing: Writing,
        told: &Told,
    ) -> Result<Script, Error> {
        let state = told.final_state.ok_or(Error::NoCardSession)?;
        let serial = &session.serial;
        let job = open
            .get::<Job>(core, Table::Job, &writing.job_id())
            .await?
            .ok_or(Error::NoCardSession)?;
        let generation = job.rewrite.as_ref().map_or(0, RewritePart::generation);
        told.check_keys(open, serial, generation)?;
        let job = self.rewritten(core, open, serial, writing, job, state).await?;
        if let Task::Rewrite { .. } = &session.task {
            return self.report(core, open, serial, job, state).await;
        }
        let steps = job.finished.map_or(0, |finished| finished.steps);
        Ok(done(serial, state, steps, steps, Vec::new(), Vec::new()))
    }
}

/// Whether a card in `state` is where the script would bring it. A card that was blocked before its hand-over is
/// PERSONALISED again when it is unblocked.
fn is_done(kind: ScriptKind, state: State) -> bool {
    match kind {
        ScriptKind::Unblock => matches!(state, State::Personalised | State::Active),
        _ => state == kind.ends_in(state),
    }
}
