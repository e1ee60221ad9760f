//! Writing cards through the issuer's hands: SCP03 and numbered scripts (card specification, chapter 05).
//!
//! A task begins with SELECT and INITIALIZE UPDATE; the card's cryptogram tells whose keys it has; its answers lead on from
//! there. Scripts without content (activate, block, unblock, terminate) are here; `personalise` and `rewrite` have the others.

use card_applet_spec::apdu::{Header, StatusWord};
use card_applet_spec::codes::{AID, CardState, Serial};
use card_applet_spec::crypto::{equal, sha256};
use card_applet_spec::data_group::CardInfo;
use card_applet_spec::kdf::KeySet;
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::{ScriptKind, Status, Step, chain_next, chain_start};
use jiff::Timestamp;
use keyvault_protocol::{CardTask, Script, TaskKind};
use zeroize::Zeroizing;

use crate::card::job::{Job, JobTask};
use crate::card::personalise::{check_content, check_content_days};
use crate::card::record::{Card, job_id};
use crate::card::session::{
    Answers, CardKeys, Continuation, Outgoing, Personalisation, Place, Rewrite, Session, Sessions, Stage,
    StateChange, Task, Turn, Work, accepted, clear_answer, read_answers,
};
use crate::card::{denied, number, order, queue, rewrite};
use crate::clock;
use crate::error::{Error, fault};
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// Begins a task for a card.
pub(crate) async fn start(
    core: &mut Core,
    open: &mut Open,
    sessions: &mut Sessions,
    now: Timestamp,
    place: Place,
    serial: Serial,
    task: CardTask,
) -> Result<Script, Error> {
    let (order, index) = place;
    let running = order::running(core, open, now, &order).await?;
    // Looking changes nothing: it is part of every order.
    if task.kind() != TaskKind::Inspect && !running.tasks.contains(&task.kind()) {
        return Err(Error::TaskNotOrdered);
    }
    if index >= running.cards {
        return Err(Error::QuotaUsed { cards: running.cards });
    }
    let job: Option<Job> = open.get(core, Table::Job, &job_id(&order, index)).await?;
    let task = typed(task, now, job.and_then(|job| job.content()))?;
    bound(core, open, order, index, serial, &task).await?;
    let mut host_challenge = [0u8; 8];
    core.rng.fill_bytes(&mut host_challenge);
    let select = Header::SELECT.command(&AID, Some(0)).map_err(fault)?;
    let initialize = Header::INITIALIZE_UPDATE
        .command(&host_challenge, Some(0))
        .map_err(fault)?;
    let session = Session {
        by: open.asked.by.clone(),
        serial,
        stage: Stage::Opening { host_challenge, task },
        touched: now,
    };
    sessions.begin(place, session, now)?;
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
    place: Place,
    answers: &[Vec<u8>],
) -> Result<Script, Error> {
    let Session {
        by, serial, stage, ..
    } = sessions.take(place, &open.asked.by, now)?;
    let (order, index) = place;
    let work = Work {
        order,
        index,
        serial,
        now,
    };
    let turn = match stage {
        Stage::Opening { host_challenge, task } => {
            work.opened(core, open, &host_challenge, task, answers).await?
        }
        Stage::Running {
            mut channel,
            sent,
            continuation,
        } => {
            let answers = read_answers(&mut channel, &sent, answers)?;
            work.go_on(core, open, Outgoing::on(channel), continuation, answers)
                .await?
        }
    };
    Ok(match turn {
        Turn::Send { commands, stage } => {
            let session = Session {
                by,
                serial,
                stage,
                touched: now,
            };
            sessions.go_on(place, session);
            Script::Send { commands }
        }
        Turn::Done(result) => Script::Done(result),
    })
}

/// Parses a task: every value is checked before a card is touched. Content that was `begun` has met the days of its
/// beginning: its card may be half written, and is finished.
fn typed(task: CardTask, now: Timestamp, begun: Option<[u8; 32]>) -> Result<Task, Error> {
    let today = clock::card_day(clock::day(now))?;
    let change = |kind, today| Ok(Task::ChangeState(StateChange { kind, today }));
    match task {
        CardTask::Personalise(content) => {
            check_content(&content)?;
            let encoded = Zeroizing::new(minicbor::to_vec(&content).map_err(|_| Error::BadContent {
                what: "content that cannot be encoded",
            })?);
            let digest = sha256(&[b"YZT-CONTENT-1", &encoded]);
            if begun != Some(digest) {
                check_content_days(&content, today)?;
            }
            Ok(Task::Personalise(Personalisation { content, digest }))
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
            rewrite::check_content(&content)?;
            let encoded = Zeroizing::new(minicbor::to_vec(&content).map_err(|_| Error::BadContent {
                what: "content that cannot be encoded",
            })?);
            let digest = sha256(&[b"YZT-REWRITE-1", &encoded]);
            if begun != Some(digest) {
                rewrite::check_content_days(&content, today)?;
            }
            Ok(Task::Rewrite(Rewrite { content, digest }))
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
        Task::Personalise(asked) => {
            if job
                .as_ref()
                .is_some_and(|job| job.content() != Some(asked.digest))
            {
                return conflict("this card was begun with other content");
            }
            if let Some(card) = card.filter(|card| (card.order, card.index) != (order, index)) {
                if card.is_finished() {
                    return conflict("this card was personalised under another order");
                }
                if job.is_some() {
                    return conflict("this card was taken over by another order");
                }
            }
            number::of_card(core, open, &asked.content.card_number, &serial)
                .await
                .map(drop)
        }
        Task::ChangeState(_) | Task::Rewrite(_) if !card.as_ref().is_some_and(Card::is_finished) => {
            Err(Error::NotFound {
                what: "finished card of this serial",
            })
        }
        Task::Rewrite(asked) => match job.and_then(|job| job.content()) {
            Some(content) if content != asked.digest => {
                conflict("this index of the order was begun with other content")
            }
            _ if denied::is_denied(core, open, &serial).await? => Err(Error::CardDenied),
            _ => Ok(()),
        },
        Task::ChangeState(_) | Task::Inspect => Ok(()),
    }
}

impl Work {
    /// The card has answered SELECT and INITIALIZE UPDATE.
    async fn opened(
        &self,
        core: &mut Core,
        open: &mut Open,
        host_challenge: &[u8; 8],
        task: Task,
        answers: &[Vec<u8>],
    ) -> Result<Turn, Error> {
        let selected = clear_answer(answers, 0, "SELECT")?;
        if selected.1 == StatusWord::NO_APPLICATION {
            // A card that does not know the application is no card of ours.
            return Err(Error::CardNotGenuine);
        }
        CardInfo::parse(accepted(selected, "SELECT")?).map_err(|_| Error::CardNotGenuine)?;
        let update = clear_answer(answers, 1, "INITIALIZE UPDATE")?;
        let update = InitializeUpdate::parse(accepted(update, "INITIALIZE UPDATE")?)
            .map_err(|_| Error::CardNotGenuine)?;
        if (update.diversification, update.key_version, update.i) != ([0; 10], 1, 0x60) {
            // Constants on our cards: another value is another card, or somebody in the middle.
            return Err(Error::CardNotGenuine);
        }

        let answers_with = |keys: &KeySet| {
            let keys = SessionKeys::derive(keys, host_challenge, &update.card_challenge);
            let expected = keys.card_cryptogram(host_challenge, &update.card_challenge);
            equal(&expected, &update.card_cryptogram).then_some(keys)
        };
        // Only the vault's own record says that a card still has the keys of its lot: a chip that holds them and the serial of
        // a finished card is another chip, whatever it answers.
        let record: Option<Card> = open.get(core, Table::Card, self.serial.as_bytes()).await?;
        let transport = if record.is_some_and(|card| card.is_finished()) {
            None
        } else {
            match open.keys.transport_keys(&self.serial) {
                Ok(keys) => answers_with(&keys),
                Err(Error::NotFound { .. }) => None,
                Err(error) => return Err(error),
            }
        };
        let (session_keys, keys) = match (transport, answers_with(&open.keys.issuance_keys(&self.serial)?)) {
            (Some(session_keys), _) => (session_keys, CardKeys::Transport),
            (None, Some(session_keys)) => (session_keys, CardKeys::Issuance),
            (None, None) => return Err(Error::CardNotGenuine),
        };
        let cryptogram = session_keys.host_cryptogram(host_challenge, &update.card_challenge);
        let mut batch = Outgoing::authenticated(Box::new(Channel::new(session_keys)), cryptogram)?;
        match task {
            Task::Personalise(asked)
                if keys == CardKeys::Transport && self.job(core, open).await?.is_none() =>
            {
                self.begin(core, open, asked, batch).await
            }
            task => {
                batch.status()?;
                Ok(batch.send(Continuation::Decide { keys, task }))
            }
        }
    }

    /// Verified answers have come.
    async fn go_on(
        &self,
        core: &mut Core,
        open: &mut Open,
        batch: Outgoing,
        continuation: Continuation,
        answers: Answers,
    ) -> Result<Turn, Error> {
        match continuation {
            Continuation::Decide { keys, task } => {
                self.decide(core, open, batch, keys, task, answers.status()?)
                    .await
            }
            Continuation::Draw(asked) => self.draw(core, open, asked, batch, &answers.publics).await,
            Continuation::FinishPersonalisation(asked) => {
                self.finish_personalisation(core, open, &asked, &answers).await
            }
            Continuation::FinishStateChange(StateChange { kind, .. }) => {
                self.changed(core, open, batch, kind, answers.final_state()?, 2)
                    .await
            }
            Continuation::FinishRewrite(writing) => self.finish_rewrite(core, open, writing, &answers).await,
        }
    }

    /// The card has said where it stands.
    async fn decide(
        &self,
        core: &mut Core,
        open: &mut Open,
        batch: Outgoing,
        keys: CardKeys,
        task: Task,
        status: Status,
    ) -> Result<Turn, Error> {
        if keys == CardKeys::Issuance {
            self.settle(core, open, &status).await?;
        }
        match task {
            Task::Inspect => {
                let job = self.job(core, open).await?;
                let steps = job.and_then(|job| job.finished_steps()).unwrap_or(0);
                Ok(self.done(status.state, status.last, steps, Vec::new(), Vec::new()))
            }
            Task::Personalise(asked) => match keys {
                CardKeys::Issuance => self.meets_finished(core, open, &asked, &status).await,
                CardKeys::Transport => self.resume(core, open, asked, batch, &status).await,
            },
            Task::Rewrite(asked) => self.rewrite(core, open, &asked, batch, &status).await,
            Task::ChangeState(asked) => self.change_state(core, open, asked, batch, &status).await,
        }
    }

    /// BEGIN and FINALISE, unless the card is where they lead.
    async fn change_state(
        &self,
        core: &mut Core,
        open: &mut Open,
        asked: StateChange,
        mut batch: Outgoing,
        status: &Status,
    ) -> Result<Turn, Error> {
        let StateChange { kind, today } = asked;
        if is_done(kind, status.state) {
            // The change is on the card already: its answer was lost, or it was asked for twice.
            return self
                .changed(core, open, batch, kind, status.state, status.last)
                .await;
        }
        if !kind.starts_in(status.state) {
            return Err(Error::CardState {
                state: status.state.as_str(),
            });
        }
        let mut script = [0u8; 16];
        core.rng.fill_bytes(&mut script);
        let mut transaction = Transaction::default();
        if self.job(core, open).await?.is_none() {
            let job = Job {
                serial: self.serial,
                task: JobTask::ChangeState { script },
            };
            transaction.put(Table::Job, &self.job_id(), &job)?;
        }
        transaction.note(self.intent(kind));
        open.apply(core, self.now, transaction).await?;
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
        Ok(batch.send(Continuation::FinishStateChange(asked)))
    }

    /// A change of state that the card has confirmed: rows and journal, and behind an unblock whatever keeps an old block
    /// from coming back.
    async fn changed(
        &self,
        core: &mut Core,
        open: &mut Open,
        batch: Outgoing,
        kind: ScriptKind,
        state: CardState,
        last: u16,
    ) -> Result<Turn, Error> {
        let serial = &self.serial;
        let before = open.card(core, serial).await?;
        let mut card = before.clone();
        let stamp = card.next_stamp(&mut core.rng)?;
        let mut transaction = Transaction::default();
        if kind == ScriptKind::Terminate {
            queue::withdraw(core, open, &mut transaction, &card, |_| true).await?;
        }
        card.entered(state, stamp);
        open.put_card(core, &mut transaction, serial, Some(&before), &card)
            .await?;
        transaction.note(self.outcome(kind, state));
        open.apply(core, self.now, transaction).await?;
        if kind == ScriptKind::Unblock
            && let Some(turn) = self.renew_update_keys(core, open, batch).await?
        {
            return Ok(turn);
        }
        Ok(self.done(state, last, 2, Vec::new(), Vec::new()))
    }
}

/// Whether a card in `state` is where the script would bring it. A card that was blocked before its hand-over is
/// PERSONALISED again when it is unblocked.
fn is_done(kind: ScriptKind, state: CardState) -> bool {
    match kind {
        ScriptKind::Unblock => matches!(state, CardState::Personalised | CardState::Active),
        _ => state == kind.ends_in(state),
    }
}
