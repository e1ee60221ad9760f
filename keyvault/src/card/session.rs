//! Sessions with cards: what was sent, what is expected, what verified answers say.
//!
//! The issuer is a pipe: the vault wraps every command and checks every R-MAC (SCP03), and believes nothing that has none.
//! Left out: what is sent, which `personalise`, `rewrite` and `scripts` decide.

use std::collections::{BTreeMap, HashMap};

use card_applet_spec::apdu::{self, Header};
use card_applet_spec::codes::{Domain, Serial, State};
use card_applet_spec::crypto::{PublicKey, equal};
use card_applet_spec::date::Date;
use card_applet_spec::scp03::{Channel, Mark};
use card_applet_spec::script::{ScriptKind, Status};
use jiff::{SignedDuration, Timestamp};
use keyvault_protocol::{CardContent, CardKey, CardResult, RewriteContent, Script, SlotVersion};
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
pub(crate) const MAX_SESSIONS: usize = 256;

/// A session that nobody continued for so long is forgotten; the card is started again.
const SESSION_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// A session with one card.
pub(crate) struct Session {
    pub(crate) serial: Serial,
    pub(crate) task: Task,
    pub(crate) stage: Stage,
    pub(crate) touched: Timestamp,
}

impl Session {
    /// Whether somebody went on with it a short while ago.
    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        now.duration_since(self.touched) < SESSION_LIFE
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        match &mut self.task {
            Task::Personalise { content, .. } => {
                for group in [&mut content.dg1, &mut content.dg2, &mut content.dg3] {
                    group.zeroize();
                }
            }
            Task::Rewrite { content, .. } => {
                for group in [&mut content.dg1, &mut content.dg2, &mut content.dg3] {
                    group.zeroize();
                }
            }
            Task::Change { .. } | Task::Inspect => {}
        }
    }
}

pub(crate) enum Task {
    Personalise {
        content: Box<CardContent>,
        digest: [u8; 32],
    },
    Rewrite {
        content: Box<RewriteContent>,
        digest: [u8; 32],
    },
    /// A script without content: BEGIN and FINALISE.
    Change {
        kind: ScriptKind,
        today: Date,
    },
    Inspect,
}

pub(crate) enum Stage {
    /// SELECT and INITIALIZE UPDATE are on their way.
    Opening { host_challenge: [u8; 8] },
    /// Wrapped commands are on their way.
    Running {
        channel: Box<Channel>,
        sent: Vec<Sent>,
        blank: bool,
        plan: Next,
    },
}

/// The sessions that run, by order and index. They lie beside the open vault and end with it.
#[derive(Default)]
pub(crate) struct Sessions(HashMap<([u8; 16], u32), Session>);

impl Sessions {
    /// Forgets sessions that nobody went on with.
    pub(crate) fn forget_old(&mut self, now: Timestamp) {
        self.0.retain(|_, session| session.lives(now));
    }

    /// Whether there is room for the session of this card.
    pub(crate) fn has_room(&self, order: [u8; 16], index: u32) -> Result<(), Error> {
        if self.0.len() >= MAX_SESSIONS && !self.0.contains_key(&(order, index)) {
            return Err(Error::LimitExceeded {
                what: "the number of cards in work",
                limit: 256,
            });
        }
        Ok(())
    }

    pub(crate) fn put(&mut self, order: [u8; 16], index: u32, session: Session) {
        self.0.insert((order, index), session);
    }

    /// Takes a session out, if it still lives.
    pub(crate) fn take(&mut self, order: [u8; 16], index: u32, now: Timestamp) -> Result<Session, Error> {
        self.0
            .remove(&(order, index))
            .filter(|session| session.lives(now))
            .ok_or(Error::NoCardSession)
    }
}

/// What the answers that are awaited lead to.
pub(crate) enum Next {
    /// GET STATUS decides.
    Decide,
    /// The first part is complete: the second is drawn.
    Draw,
    /// The script ends with these answers.
    Finish,
    /// The rewrite ends with these answers.
    FinishRewrite(Writing),
}

pub(crate) struct Sent {
    pub(crate) mark: Mark,
    pub(crate) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Authenticate,
    Status,
    PublicKey(Domain),
    Step { n: u16, op: u8 },
}

impl What {
    pub(crate) fn words(self) -> String {
        match self {
            Self::Authenticate => "EXTERNAL AUTHENTICATE".to_owned(),
            Self::Status => "GET STATUS".to_owned(),
            Self::PublicKey(domain) => format!("GET PUBLIC KEY {domain}"),
            Self::Step { n, op } => format!("step {n} (op {op:02x})"),
        }
    }
}

/// What verified answers have told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) status: Option<Status>,
    pub(crate) publics: BTreeMap<Domain, [u8; 64]>,
    pub(crate) final_state: Option<State>,
    pub(crate) check_values: Option<Vec<u8>>,
}

impl Told {
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

/// Reads answers in order. Nothing is believed that has no MAC.
pub(crate) fn read_answers(channel: &mut Channel, sent: &[Sent], answers: &[Vec<u8>]) -> Result<Told, Error> {
    let mut told = Told::default();
    for (i, Sent { mark, what }) in sent.iter().enumerate() {
        let refused = |answer: &str| Error::CardRefused {
            step: what.words(),
            answer: answer.to_owned(),
        };
        let answer = answers.get(i).ok_or_else(|| refused("no answer"))?;
        let (_, status) = apdu::split_answer(answer).map_err(|_| refused("no answer"))?;
        if !status.is_ok() {
            return Err(refused(&format!("status {status}")));
        }
        if *what == What::Authenticate {
            // Level 33 begins behind this command: its answer has no MAC, and the next one proves it.
            continue;
        }
        let (body, _) = channel
            .unwrap_answer_at(mark, answer)
            .map_err(|_| refused("an answer whose MAC does not hold"))?;
        let malformed = |_| refused("an answer in a wrong form");
        match *what {
            What::Status => told.status = Some(Status::parse(&body).map_err(malformed)?),
            What::PublicKey(domain) => {
                told.publics
                    .insert(domain, public64(&body).ok_or_else(|| refused("no public key"))?);
            }
            What::Step { op: 0x03, .. } => {
                let key = public64(&body).ok_or_else(|| refused("no public key"))?;
                // GENERATE steps come in the order of the domains.
                let domain = Domain::ALL
                    .iter()
                    .find(|domain| !told.publics.contains_key(domain));
                if let Some(domain) = domain {
                    told.publics.insert(*domain, key);
                }
            }
            What::Step { op: 0x07, .. } => told.check_values = Some(body.to_vec()),
            What::Step { op: 0x0F, .. } => {
                let state = body.first().copied().and_then(|code| State::try_from(code).ok());
                told.final_state = Some(state.ok_or_else(|| refused("an answer in a wrong form"))?);
            }
            What::Authenticate | What::Step { .. } => {}
        }
    }
    Ok(told)
}

pub(crate) fn public64(body: &[u8]) -> Option<[u8; 64]> {
    let key: [u8; 64] = body.try_into().ok()?;
    PublicKey::from_public64(&key).ok().map(|_| key)
}

/// Commands that are being wrapped.
pub(crate) struct Outgoing {
    pub(crate) channel: Box<Channel>,
    pub(crate) commands: Vec<Vec<u8>>,
    pub(crate) sent: Vec<Sent>,
}

impl Outgoing {
    pub(crate) fn wrap(&mut self, header: Header, data: &[u8], what: What) -> Result<(), Error> {
        let command = self.channel.wrap_command(header, data).map_err(fault)?;
        self.commands.push(command.to_vec());
        self.sent.push(Sent {
            mark: self.channel.mark(),
            what,
        });
        Ok(())
    }

    pub(crate) fn status(&mut self) -> Result<(), Error> {
        self.wrap(Header::GET_STATUS, &[], What::Status)
    }

    pub(crate) fn public_key(&mut self, domain: Domain) -> Result<(), Error> {
        self.wrap(
            Header::get_public_key(domain.code()),
            &[],
            What::PublicKey(domain),
        )
    }

    pub(crate) fn steps<'s>(
        &mut self,
        first: u16,
        steps: impl Iterator<Item = &'s [u8]>,
    ) -> Result<(), Error> {
        for (n, step) in (first..).zip(steps) {
            let op = step.first().copied().unwrap_or_default();
            self.wrap(Header::step(n), step, What::Step { n, op })?;
        }
        Ok(())
    }

    pub(crate) fn send(self, session: &mut Session, blank: bool, plan: Next) -> Script {
        session.stage = Stage::Running {
            channel: self.channel,
            sent: self.sent,
            blank,
            plan,
        };
        Script::Send {
            commands: self.commands,
        }
    }
}

/// One call's work on one card.
pub(crate) struct Work {
    pub(crate) order: [u8; 16],
    pub(crate) index: u32,
    pub(crate) now: Timestamp,
}

impl Work {
    pub(crate) async fn job(&self, core: &mut Core, open: &Open) -> Result<Option<Job>, Error> {
        open.get(core, Table::Job, &job_id(&self.order, self.index)).await
    }

    pub(crate) fn intent(&self, serial: &Serial, task: &str) -> Event {
        Event::CardIntent {
            order: self.order,
            index: self.index,
            serial: *serial,
            task: task.to_owned(),
        }
    }

    pub(crate) fn outcome(&self, serial: &Serial, task: &str, state: State) -> Event {
        let task = task.to_owned();
        Event::CardOutcome {
            order: self.order,
            index: self.index,
            serial: *serial,
            task,
            state: state.code(),
        }
    }

    pub(crate) async fn report(
        &self,
        core: &mut Core,
        open: &Open,
        serial: &Serial,
        job: Job,
        state: State,
    ) -> Result<Script, Error> {
        let finished = job.finished.ok_or(Error::NoCardSession)?;
        let slots = versions(core, open, serial).await?;
        Ok(done(
            serial,
            state,
            finished.steps,
            finished.steps,
            finished.keys,
            slots,
        ))
    }
}

pub(crate) fn done(
    serial: &Serial,
    state: State,
    last_step: u16,
    steps: u16,
    keys: Vec<CardKey>,
    slots: Vec<SlotVersion>,
) -> Script {
    Script::Done(Box::new(CardResult {
        serial: *serial,
        state,
        last_step,
        steps,
        keys,
        slots,
    }))
}

pub(crate) fn words(kind: ScriptKind) -> &'static str {
    match kind {
        ScriptKind::Personalise => "personalise",
        ScriptKind::Rewrite => "rewrite",
        ScriptKind::Activate => "activate",
        ScriptKind::Block => "block",
        ScriptKind::Unblock => "unblock",
        ScriptKind::Terminate => "terminate",
    }
}
