//! Sessions with cards: what was sent, what is expected, what verified answers say, what comes next.
//!
//! The issuer is a pipe: the vault wraps every command and checks every R-MAC (SCP03), and believes nothing that has none.
//! Left out: what is sent, which `personalise`, `rewrite` and `scripts` decide.

use std::collections::{BTreeMap, HashMap};

use card_applet_spec::apdu::{self, Header, StatusWord};
use card_applet_spec::codes::{CardState, Domain, Serial};
use card_applet_spec::crypto::{PublicKey, equal};
use card_applet_spec::date::Date;
use card_applet_spec::scp03::{Channel, Mark};
use card_applet_spec::script::{ScriptKind, Status, Step};
use jiff::{SignedDuration, Timestamp};
use keyvault_protocol::{CardContent, CardKey, CardResult, RewriteContent, SlotVersion};
use zeroize::Zeroize;

use crate::audit::journal::Event;
use crate::card::job::Job;
use crate::card::record::{Writing, job_id};
use crate::card::slot::versions;
use crate::card::steps::check_values;
use crate::error::{Error, fault};
use crate::open::transaction::{Core, Open};
use crate::store::sql::Table;

/// Most card sessions at a time.
const MAX_SESSIONS: u32 = 256;

/// A session that nobody continued for so long is forgotten; the card is started again.
const SESSION_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// An order, and the index of the card under it.
pub(crate) type Place = ([u8; 16], u32);

/// The sessions that run. They lie beside the open vault and end with it.
#[derive(Default)]
pub(crate) struct Sessions {
    running: HashMap<Place, Session>,
    /// Those that went on with what is not durable yet.
    ahead: Vec<Place>,
}

impl Sessions {
    /// Forgets sessions that nobody went on with.
    pub(crate) fn forget_old(&mut self, now: Timestamp) {
        self.running.retain(|_, session| session.lives(now));
    }

    /// Begins a session, in place of one that ran for the same card.
    pub(crate) fn begin(&mut self, place: Place, session: Session, now: Timestamp) -> Result<(), Error> {
        self.forget_old(now);
        let running = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        if running >= MAX_SESSIONS && !self.running.contains_key(&place) {
            return Err(Error::LimitExceeded {
                what: "the number of cards in work",
                limit: MAX_SESSIONS,
            });
        }
        self.go_on(place, session);
        Ok(())
    }

    /// Takes a session of this caller out, if it still lives. Nobody else goes on with it, or ends it.
    pub(crate) fn take(&mut self, place: Place, by: &str, now: Timestamp) -> Result<Session, Error> {
        let is_theirs = self.running.get(&place).is_some_and(|session| session.by == by);
        is_theirs
            .then(|| self.running.remove(&place))
            .flatten()
            .filter(|session| session.lives(now))
            .ok_or(Error::NoCardSession)
    }

    /// Puts a session back that was taken out.
    pub(crate) fn go_on(&mut self, place: Place, session: Session) {
        self.running.insert(place, session);
        self.ahead.push(place);
    }

    /// What they went on with is durable; or it is not, and their cards are started again.
    pub(crate) fn settle(&mut self, durable: bool) {
        for place in self.ahead.drain(..) {
            if !durable {
                self.running.remove(&place);
            }
        }
    }
}

/// A session with one card.
pub(crate) struct Session {
    /// Name of the caller who began it.
    pub(crate) by: String,
    pub(crate) serial: Serial,
    pub(crate) stage: Stage,
    pub(crate) touched: Timestamp,
}

impl Session {
    /// Whether somebody went on with it a short while ago.
    fn lives(&self, now: Timestamp) -> bool {
        now.duration_since(self.touched) < SESSION_LIFE
    }
}

/// What is to be done with a card; every value is checked.
pub(crate) enum Task {
    Personalise(Personalisation),
    Rewrite(Rewrite),
    ChangeState(StateChange),
    Inspect,
}

/// The content of a personalisation, which leaves memory with it.
pub(crate) struct Personalisation {
    pub(crate) content: Box<CardContent>,
    /// Of the content, for the job.
    pub(crate) digest: [u8; 32],
}

impl Drop for Personalisation {
    fn drop(&mut self) {
        for group in [
            &mut self.content.dg1,
            &mut self.content.dg2,
            &mut self.content.dg3,
        ] {
            group.zeroize();
        }
    }
}

/// The content of a rewrite, which leaves memory with it.
pub(crate) struct Rewrite {
    pub(crate) content: Box<RewriteContent>,
    /// Of the content, for the job.
    pub(crate) digest: [u8; 32],
}

impl Drop for Rewrite {
    fn drop(&mut self) {
        for group in [
            &mut self.content.dg1,
            &mut self.content.dg2,
            &mut self.content.dg3,
        ] {
            group.zeroize();
        }
    }
}

/// A script without content: BEGIN and FINALISE.
#[derive(Clone, Copy)]
pub(crate) struct StateChange {
    pub(crate) kind: ScriptKind,
    pub(crate) today: Date,
}

/// Where a session stands: what the card's next answers belong to.
pub(crate) enum Stage {
    /// SELECT and INITIALIZE UPDATE are on their way.
    Opening { host_challenge: [u8; 8], task: Task },
    /// Wrapped commands are on their way.
    Running {
        channel: Box<Channel>,
        sent: Vec<SentCommand>,
        continuation: Continuation,
    },
}

/// What the answers that are awaited lead to.
pub(crate) enum Continuation {
    /// GET STATUS decides.
    Decide { keys: CardKeys, task: Task },
    /// The first part of a personalisation is complete: the second is drawn.
    Draw(Personalisation),
    /// The personalisation ends with these answers.
    FinishPersonalisation(Personalisation),
    /// The change of state ends with these answers.
    FinishStateChange(StateChange),
    /// The rewrite ends with these answers.
    FinishRewrite(Writing),
}

/// Which of its two sets of keys a card has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CardKeys {
    /// Those of its lot: a blank.
    Transport,
    /// Its own, since its personalisation.
    Issuance,
}

/// What a call leads to.
pub(crate) enum Turn {
    /// Commands for the card, and where the session stands until it has answered.
    Send { commands: Vec<Vec<u8>>, stage: Stage },
    /// The task is done.
    Done(Box<CardResult>),
}

/// A wrapped command that is on its way: what its answer is to be, and where the channel stood.
pub(crate) struct SentCommand {
    mark: Mark,
    expected: Expected,
}

/// What an answer is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// To EXTERNAL AUTHENTICATE.
    Authenticated,
    /// To GET STATUS.
    Status,
    /// To GET PUBLIC KEY.
    PublicKey(Domain),
    /// To a step of a script, by its number and operation.
    Step { n: u16, op: u8, answer: StepAnswer },
}

/// What a step answers with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StepAnswer {
    /// GENERATE: the public key.
    PublicKey(Domain),
    /// KEYS: the check values.
    CheckValues,
    /// FINALISE: the state.
    State,
    /// Nothing that matters.
    Nothing,
}

impl StepAnswer {
    fn of(step: &[u8]) -> Self {
        match Step::parse(step) {
            Ok(Step::Generate { domain }) => Self::PublicKey(domain),
            Ok(Step::Keys { .. }) => Self::CheckValues,
            Ok(Step::Finalise { .. }) => Self::State,
            _ => Self::Nothing,
        }
    }
}

impl Expected {
    /// The command in words.
    fn words(self) -> String {
        match self {
            Self::Authenticated => "EXTERNAL AUTHENTICATE".to_owned(),
            Self::Status => "GET STATUS".to_owned(),
            Self::PublicKey(domain) => format!("GET PUBLIC KEY {domain}"),
            Self::Step { n, op, .. } => format!("step {n} (op {op:02x})"),
        }
    }
}

/// What verified answers have said.
#[derive(Default)]
pub(crate) struct Answers {
    status: Option<Status>,
    pub(crate) publics: BTreeMap<Domain, [u8; 64]>,
    final_state: Option<CardState>,
    check_values: Option<Vec<u8>>,
}

impl Answers {
    /// The answer to GET STATUS.
    pub(crate) fn status(&self) -> Result<Status, Error> {
        self.status.ok_or(Error::NoCardSession)
    }

    /// The state behind FINALISE.
    pub(crate) fn final_state(&self) -> Result<CardState, Error> {
        self.final_state.ok_or(Error::NoCardSession)
    }

    /// The answer to KEYS, if there was one, must be the check values of the keys that were sent.
    pub(crate) fn check_keys(&self, open: &Open, serial: &Serial, generation: u32) -> Result<(), Error> {
        if let Some(values) = &self.check_values
            && !equal(values, &check_values(&open.keys, serial, generation)?)
        {
            return Err(Error::CardRefused {
                step: "KEYS".into(),
                answer: "key check values that are not ours".into(),
            });
        }
        Ok(())
    }
}

/// Body and status word of an answer in clear.
pub(crate) fn clear_answer<'a>(
    answers: &'a [Vec<u8>],
    place: usize,
    step: &str,
) -> Result<(&'a [u8], StatusWord), Error> {
    answers
        .get(place)
        .and_then(|answer| apdu::split_answer(answer).ok())
        .ok_or_else(|| refused(step.to_owned(), "no answer"))
}

/// The body, if the card did the command.
pub(crate) fn accepted<'a>((body, status): (&'a [u8], StatusWord), step: &str) -> Result<&'a [u8], Error> {
    if status.is_ok() {
        Ok(body)
    } else {
        Err(refused(step.to_owned(), format!("status {status}")))
    }
}

fn refused(step: String, answer: impl Into<String>) -> Error {
    Error::CardRefused {
        step,
        answer: answer.into(),
    }
}

/// Reads answers in order. Nothing is believed that has no MAC.
pub(crate) fn read_answers(
    channel: &mut Channel,
    sent: &[SentCommand],
    answers: &[Vec<u8>],
) -> Result<Answers, Error> {
    let mut read = Answers::default();
    for (place, SentCommand { mark, expected }) in sent.iter().enumerate() {
        let step = expected.words();
        accepted(clear_answer(answers, place, &step)?, &step)?;
        if *expected == Expected::Authenticated {
            // Level 33 begins behind this command: its answer has no MAC, and the next one proves it.
            continue;
        }
        let answer = answers.get(place).map_or(&[][..], Vec::as_slice);
        let (body, _) = channel
            .unwrap_answer_at(mark, answer)
            .map_err(|_| refused(step.clone(), "an answer whose MAC does not hold"))?;
        let malformed = || refused(step.clone(), "an answer in a wrong form");
        let key = || public64(&body).ok_or_else(|| refused(step.clone(), "no public key"));
        match *expected {
            Expected::Authenticated => {}
            Expected::Status => read.status = Some(Status::parse(&body).map_err(|_| malformed())?),
            Expected::PublicKey(domain) => {
                read.publics.insert(domain, key()?);
            }
            Expected::Step { answer, .. } => match answer {
                StepAnswer::PublicKey(domain) => {
                    read.publics.insert(domain, key()?);
                }
                StepAnswer::CheckValues => read.check_values = Some(body.to_vec()),
                StepAnswer::State => {
                    let state = body
                        .first()
                        .copied()
                        .and_then(|code| CardState::try_from(code).ok());
                    read.final_state = Some(state.ok_or_else(malformed)?);
                }
                StepAnswer::Nothing => {}
            },
        }
    }
    Ok(read)
}

fn public64(body: &[u8]) -> Option<[u8; 64]> {
    let key: [u8; 64] = body.try_into().ok()?;
    PublicKey::from_public64(&key).ok().map(|_| key)
}

/// Commands that are being wrapped.
pub(crate) struct Outgoing {
    channel: Box<Channel>,
    commands: Vec<Vec<u8>>,
    sent: Vec<SentCommand>,
}

impl Outgoing {
    /// On a channel that is open.
    pub(crate) fn on(channel: Box<Channel>) -> Self {
        Self {
            channel,
            commands: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// On a new channel, which begins with EXTERNAL AUTHENTICATE.
    pub(crate) fn authenticated(mut channel: Box<Channel>, cryptogram: [u8; 8]) -> Result<Self, Error> {
        let authenticate = channel.external_authenticate(&cryptogram).map_err(fault)?;
        let sent = SentCommand {
            mark: channel.mark(),
            expected: Expected::Authenticated,
        };
        Ok(Self {
            channel,
            commands: vec![authenticate.to_vec()],
            sent: vec![sent],
        })
    }

    fn wrap(&mut self, header: Header, data: &[u8], expected: Expected) -> Result<(), Error> {
        let command = self.channel.wrap_command(header, data).map_err(fault)?;
        self.commands.push(command.to_vec());
        self.sent.push(SentCommand {
            mark: self.channel.mark(),
            expected,
        });
        Ok(())
    }

    pub(crate) fn status(&mut self) -> Result<(), Error> {
        self.wrap(Header::GET_STATUS, &[], Expected::Status)
    }

    pub(crate) fn public_key(&mut self, domain: Domain) -> Result<(), Error> {
        self.wrap(
            Header::get_public_key(domain.code()),
            &[],
            Expected::PublicKey(domain),
        )
    }

    pub(crate) fn steps<'s>(
        &mut self,
        first: u16,
        steps: impl Iterator<Item = &'s [u8]>,
    ) -> Result<(), Error> {
        for (n, step) in (first..).zip(steps) {
            let expected = Expected::Step {
                n,
                op: step.first().copied().unwrap_or_default(),
                answer: StepAnswer::of(step),
            };
            self.wrap(Header::step(n), step, expected)?;
        }
        Ok(())
    }

    /// All of it, to the card.
    pub(crate) fn send(self, continuation: Continuation) -> Turn {
        Turn::Send {
            commands: self.commands,
            stage: Stage::Running {
                channel: self.channel,
                sent: self.sent,
                continuation,
            },
        }
    }
}

/// One call's work on one card.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub(crate) order: [u8; 16],
    pub(crate) index: u32,
    pub(crate) serial: Serial,
    pub(crate) now: Timestamp,
}

impl Work {
    pub(crate) fn job_id(&self) -> Vec<u8> {
        job_id(&self.order, self.index)
    }

    pub(crate) async fn job(&self, core: &mut Core, open: &Open) -> Result<Option<Job>, Error> {
        open.get(core, Table::Job, &self.job_id()).await
    }

    pub(crate) fn intent(&self, kind: ScriptKind) -> Event {
        Event::CardIntent {
            order: self.order,
            index: self.index,
            serial: self.serial,
            task: words(kind).to_owned(),
        }
    }

    pub(crate) fn outcome(&self, kind: ScriptKind, state: CardState) -> Event {
        Event::CardOutcome {
            order: self.order,
            index: self.index,
            serial: self.serial,
            task: words(kind).to_owned(),
            state,
        }
    }

    /// What a finished script with content answers, now or later.
    pub(crate) async fn report(
        &self,
        core: &mut Core,
        open: &Open,
        state: CardState,
        steps: u16,
        keys: Vec<CardKey>,
    ) -> Result<Turn, Error> {
        let slots = versions(core, open, &self.serial).await?;
        Ok(self.done(state, steps, steps, keys, slots))
    }

    pub(crate) fn done(
        &self,
        state: CardState,
        last_step: u16,
        steps: u16,
        keys: Vec<CardKey>,
        slots: Vec<SlotVersion>,
    ) -> Turn {
        Turn::Done(Box::new(CardResult {
            serial: self.serial,
            state,
            last_step,
            steps,
            keys,
            slots,
        }))
    }
}

fn words(kind: ScriptKind) -> &'static str {
    match kind {
        ScriptKind::Personalise => "personalise",
        ScriptKind::Rewrite => "rewrite",
        ScriptKind::Activate => "activate",
        ScriptKind::Block => "block",
        ScriptKind::Unblock => "unblock",
        ScriptKind::Terminate => "terminate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_that_went_on_with_what_did_not_become_durable_and_no_other() {
        let now: Timestamp = "2026-11-21T04:00:00Z".parse().unwrap();
        let session = || Session {
            by: "shenzhen".to_owned(),
            serial: Serial([0; 10]),
            stage: Stage::Opening {
                host_challenge: [0; 8],
                task: Task::Inspect,
            },
            touched: now,
        };
        let mut sessions = Sessions::default();
        let places = [1, 2, 3].map(|index| ([0; 16], index));
        sessions.begin(places[0], session(), now).unwrap();
        sessions.settle(true);
        sessions.begin(places[1], session(), now).unwrap();
        sessions.begin(places[2], session(), now).unwrap();
        let take = |sessions: &mut Sessions, place| sessions.take(place, "shenzhen", now);
        let taken = take(&mut sessions, places[2]).unwrap();
        sessions.settle(false);
        assert!(take(&mut sessions, places[1]).is_err());
        // One that was being worked on meanwhile went on with nothing.
        sessions.go_on(places[2], taken);
        sessions.settle(true);
        assert!(take(&mut sessions, places[0]).is_ok());
        assert!(take(&mut sessions, places[2]).is_ok());
    }
}
