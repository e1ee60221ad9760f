//! Writing cards through the issuer's hands: SCP03 and numbered scripts (card specification, chapter 05).
//!
//! The issuer is a pipe. The vault checks the card cryptogram, wraps every step, checks every R-MAC. A personalisation
//! has two parts: what needs nothing from the card (BEGIN, GENERATE, the data groups), and what does (certificates,
//! signature object, slots, keys, FINALISE). The second part is drawn once, stored sealed in the job's row, and replayed
//! byte for byte on every attempt. A rewrite is in `rewrite`. The intent is durable before the first secret-bearing byte leaves. Data groups are
//! not stored: the job holds a hash, and a resume must bring the same content.

use std::collections::BTreeMap;

use card_applet_spec::apdu::{self, Header};
use card_applet_spec::certificate::CardCertificate;
use card_applet_spec::codes::{AID, Domain, Role, Serial, State, Tier};
use card_applet_spec::crypto::{Key16, PublicKey, equal, sha256};
use card_applet_spec::data_group::{CardInfo, Dg1, Dg2, Dg3, SignatureObject};
use card_applet_spec::date::Date;
use card_applet_spec::kdf::KeySet;
use card_applet_spec::scp03::{Channel, InitializeUpdate, Mark, SessionKeys};
use card_applet_spec::script::{
    MAX_CHUNK, ScriptKind, Status, Step, WritableObject, chain_next, chain_start,
};
use jiff::{SignedDuration, Timestamp};
use keyvault_protocol::{
    BroughtBy, CardContent, CardKey, CardResult, CardSerial, CardState, CardTask, Entitlement, KeyDomain,
    QueuedUpdate, RewriteContent, Script, SlotVersion, TaskKind,
};
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::audit::journal::Event;
use crate::card::denial;
use crate::card::order;
use crate::card::record::{Brought, Card, CardSlot, Stamp, Writing};
use crate::card::rewrite::{self, RewritePart};
use crate::card::slot;
use crate::card::slot::Target;
use crate::card::update;
use crate::clock;
use crate::error::Error;
use crate::keys::material::{Keys, RoleKeyId, Signer, fault};
use crate::open::transaction::{Change, Core, Open, Random};
use crate::store::sql::Table;
use crate::terminal::bundle::{CARD_CA_NUMBER, DOCUMENT_SIGNER_NUMBER, TERMINAL_CA_EPOCH, root_name};

/// Longest life of a card's certificates: ten years.
const MAX_CARD_DAYS: u32 = 3653;
/// How far from today a card's dates may begin.
const MAX_DAYS_AHEAD: u32 = 31;
const MAX_DAYS_BACK: u32 = 366;

/// Most card sessions at a time.
const MAX_SESSIONS: usize = 256;
/// A session that nobody continued for so long is forgotten; the card is started again.
const SESSION_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// Work on one card under an order; the row's id is `order || index`.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Job {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) serial: CardSerial,
    /// SHA-256 of the content; zero for a job that has none.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) content: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) script: [u8; 16],
    /// The steps behind the data groups, once they are drawn; gone again when the job is finished.
    #[n(3)]
    second_part: Option<SecondPart>,
    #[n(4)]
    pub(crate) finished: Option<Finished>,
    /// The same of a rewrite.
    #[n(5)]
    pub(crate) rewrite: Option<RewritePart>,
    /// What was queued for a job that sealed an update.
    #[n(6)]
    pub(crate) queued: Option<QueuedUpdate>,
}

impl Job {
    /// A job whose script is not drawn yet.
    pub(crate) fn new(serial: CardSerial, content: [u8; 32], script: [u8; 16]) -> Self {
        Self {
            serial,
            content,
            script,
            second_part: None,
            finished: None,
            rewrite: None,
            queued: None,
        }
    }

    /// A job that sealed an update.
    pub(crate) fn of_update(serial: CardSerial, content: [u8; 32], queued: QueuedUpdate) -> Self {
        Self {
            queued: Some(queued),
            ..Self::new(serial, content, [0; 16])
        }
    }

    /// Whether nothing was ever bound to it but the serial: a change of state.
    pub(crate) fn is_without_content(&self) -> bool {
        self.content == [0; 32] && self.queued.is_none()
    }
}

/// The drawn part of a script.
#[derive(Debug, Encode, Decode)]
struct SecondPart {
    #[n(0)]
    steps: Vec<StoredStep>,
    #[n(1)]
    keys: Vec<CardKey>,
    #[n(2)]
    slots: Vec<CardSlot>,
}

/// Op and payload of one step. Holds card keys.
#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
pub(crate) struct StoredStep {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) bytes: Vec<u8>,
}

impl std::fmt::Debug for StoredStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredStep(..)")
    }
}

/// What stays of a finished script with content.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Finished {
    #[n(0)]
    pub(crate) steps: u16,
    /// Of a personalisation.
    #[n(1)]
    pub(crate) keys: Vec<CardKey>,
}

/// A session with one card.
pub(crate) struct Session {
    pub(crate) serial: Serial,
    pub(crate) task: Task,
    stage: Stage,
    touched: Timestamp,
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

enum Stage {
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

struct Sent {
    mark: Mark,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Authenticate,
    Status,
    PublicKey(Domain),
    Step { n: u16, op: u8 },
}

impl What {
    fn words(self) -> String {
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
    status: Option<Status>,
    publics: BTreeMap<Domain, [u8; 64]>,
    final_state: Option<State>,
    check_values: Option<Vec<u8>>,
}

impl Told {
    /// The answer to KEYS, if there was one, must be the check values of the keys that were sent.
    fn check_keys(&self, open: &Open, serial: &Serial, generation: u32) -> Result<(), Error> {
        if let Some(values) = &self.check_values
            && !equal(values, &check_values(open, serial, generation)?)
        {
            return Err(Error::CardRefused {
                step: "KEYS".into(),
                answer: "key check values that are not ours".into(),
            });
        }
        Ok(())
    }
}

/// Begins a task for a card.
pub(crate) async fn start(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    order: [u8; 16],
    index: u32,
    serial: CardSerial,
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
    open.sessions.retain(|_, session| session.lives(now));
    if open.sessions.len() >= MAX_SESSIONS && !open.sessions.contains_key(&(order, index)) {
        return Err(Error::LimitExceeded {
            what: "the number of cards in work",
            limit: 256,
        });
    }
    let mut host_challenge = [0u8; 8];
    core.rng.fill_bytes(&mut host_challenge);
    let select = Header::SELECT.command(&AID, Some(0)).map_err(fault)?;
    let initialize = Header::INITIALIZE_UPDATE
        .command(&host_challenge, Some(0))
        .map_err(fault)?;
    let stage = Stage::Opening { host_challenge };
    open.sessions.insert(
        (order, index),
        Session {
            serial: Serial(serial),
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
    now: Timestamp,
    order: [u8; 16],
    index: u32,
    answers: &[Vec<u8>],
) -> Result<Script, Error> {
    let mut session = open
        .sessions
        .remove(&(order, index))
        .filter(|session| session.lives(now))
        .ok_or(Error::NoCardSession)?;
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
        open.sessions.insert((order, index), session);
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

/// Whether a day on which something begins is one that an order of today can name: a card that waited for its second
/// run, and one made ahead.
fn begins_near(day: Date, today: Date) -> bool {
    let (day, today) = (day.day_number(), today.day_number());
    day <= today + MAX_DAYS_AHEAD && day + MAX_DAYS_BACK >= today
}

/// What holds of every entitlement, whatever permit it belongs to.
pub(crate) fn check_entitlement(entitlement: &Entitlement, today: Date) -> Result<(), Error> {
    let bad = |what| Err(Error::BadContent { what });
    let (from, to) = (
        clock::card_day(entitlement.valid_from)?,
        clock::card_day(entitlement.valid_to)?,
    );
    if Tier::try_from(entitlement.tier).is_err() {
        return bad("a tier is 1, 2 or 3");
    }
    if from > to {
        return bad("an entitlement ends before it begins");
    }
    if to < today || !begins_near(from, today) {
        return bad("an entitlement begins at most 366 days ago and 31 days ahead, and is not over yet");
    }
    let purse = entitlement.role == keyvault_protocol::Role::SmallPayment;
    if purse != (entitlement.purse_cap > 0) {
        return bad("a purse has a largest amount above zero, and no other role has one");
    }
    if !(1..=48).contains(&entitlement.rule_set.len()) || !entitlement.rule_set.is_ascii() {
        return bad("a rule set's id has 1 to 48 ASCII characters");
    }
    Ok(())
}

fn check_content(content: &CardContent, today: Date) -> Result<(), Error> {
    let bad = |what| Err(Error::BadContent { what });
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
    if to < today || to.day_number() - from.day_number() > MAX_CARD_DAYS {
        return bad("a card's certificates live at most ten years and are not over yet");
    }
    if !begins_near(from, today) || !begins_near(dg3.issued, today) {
        return bad("a card is issued, and its certificates begin, at most 366 days ago and 31 days ahead");
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
        if Tier::try_from(entitlement.tier) != Ok(dg3.tier) {
            return bad("an entitlement's tier is not the tier in DG3");
        }
        check_entitlement(entitlement, today)?;
        if clock::card_day(entitlement.valid_to)? > dg3.endorsed_until {
            return bad("an entitlement outlives the permit in DG3");
        }
        if entitlement.rule_set != dg3.rule_set {
            return bad("an entitlement's rule set is not the rule set in DG3");
        }
    }
    Ok(())
}

/// Checks that index and serial are not bound to something else.
async fn bound(
    core: &mut Core,
    open: &Open,
    order: [u8; 16],
    index: u32,
    serial: CardSerial,
    task: &Task,
) -> Result<(), Error> {
    let conflict = |what| Err(Error::CardConflict { what });
    let job: Option<Job> = open.get(core, Table::Job, &job_id(&order, index)).await?;
    let card: Option<Card> = open.get(core, Table::Card, &serial).await?;
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
            _ if denial::is_denied(core, open, &serial).await? => Err(Error::CardDenied),
            _ => Ok(()),
        },
        Task::Change { .. } | Task::Inspect => Ok(()),
    }
}

pub(crate) fn job_id(order: &[u8; 16], index: u32) -> Vec<u8> {
    [&order[..], &index.to_be_bytes()].concat()
}

/// Reads answers in order. Nothing is believed that has no MAC.
fn read_answers(channel: &mut Channel, sent: &[Sent], answers: &[Vec<u8>]) -> Result<Told, Error> {
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

fn public64(body: &[u8]) -> Option<[u8; 64]> {
    let key: [u8; 64] = body.try_into().ok()?;
    PublicKey::from_public64(&key).ok().map(|_| key)
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

    /// The card has answered SELECT and INITIALIZE UPDATE.
    async fn opened(
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

    /// Makes the job and binds the serial: the intent, durable before anything secret leaves.
    async fn begin(
        &self,
        core: &mut Core,
        open: &mut Open,
        serial: &Serial,
        content: [u8; 32],
    ) -> Result<Job, Error> {
        let mut script = [0u8; 16];
        core.rng.fill_bytes(&mut script);
        let job = Job::new(serial.0, content, script);
        let card = Card::begun(self.order, self.index);
        let mut change = Change::default();
        change.put(Table::Job, &job_id(&self.order, self.index), &job)?;
        change.put(Table::Card, &serial.0, &card)?;
        change.note(self.intent(serial, "personalise"));
        open.apply(core, self.now, change).await?;
        Ok(job)
    }

    pub(crate) fn intent(&self, serial: &Serial, task: &str) -> Event {
        Event::CardIntent {
            order: self.order,
            index: self.index,
            serial: serial.0,
            task: task.to_owned(),
        }
    }

    pub(crate) fn outcome(&self, serial: &Serial, task: &str, state: State) -> Event {
        let task = task.to_owned();
        Event::CardOutcome {
            order: self.order,
            index: self.index,
            serial: serial.0,
            task,
            state: state.code(),
        }
    }

    /// Verified answers have come.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a session, taken apart by its one caller"
    )]
    async fn told(
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
    async fn decide(
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
            change.put(Table::Job, &id, &Job::new(session.serial.0, [0; 32], script))?;
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
    async fn changed(
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
        let before = open.card(core, &serial.0).await?;
        let mut card = before.clone();
        let stamp = card.next_stamp(&mut core.rng)?;
        let mut change = Change::default();
        if kind == ScriptKind::Terminate {
            update::withdraw(core, open, &mut change, &card, |_| true).await?;
        }
        card.entered(state, stamp);
        open.put_card(core, &mut change, &serial.0, Some(&before), &card)
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

    /// A personalisation met a card with issuance keys: it is ours and finished, or something is wrong.
    async fn found_finished(
        &self,
        core: &mut Core,
        open: &mut Open,
        session: &Session,
        status: &Status,
    ) -> Result<Script, Error> {
        let Some(mut job) = self.job(core, open).await? else {
            return Err(Error::CardState {
                state: status.state.as_str(),
            });
        };
        if job.finished.is_none() {
            let ours = status.script == job.script && !status.open && status.state == State::Personalised;
            if !ours {
                return Err(Error::CardState {
                    state: status.state.as_str(),
                });
            }
            self.conclude(core, open, session, &mut job, status.state).await?;
        }
        self.report(core, open, &session.serial, job, status.state).await
    }

    /// A personalisation met a blank card on which something had begun.
    async fn resume(
        &self,
        core: &mut Core,
        open: &mut Open,
        session: &mut Session,
        mut batch: Outgoing,
        status: &Status,
    ) -> Result<Script, Error> {
        let Task::Personalise { content, .. } = &session.task else {
            return Err(Error::NoCardSession);
        };
        let mut job = self.job(core, open).await?.ok_or(Error::NoCardSession)?;
        if job.finished.is_some() {
            // Finished once, blank now: not the same card.
            return Err(Error::CardNotGenuine);
        }
        let first = first_part(&job.script, content)?;
        let first_len = step_number(first.len())?;
        let second = job.second_part.as_ref().map_or(&[][..], |part| &part.steps);
        let all: Vec<&[u8]> = first
            .iter()
            .map(|s| s.as_slice())
            .chain(second.iter().map(|s| s.bytes.as_slice()))
            .collect();
        let last = status.last;
        let ours = status.open
            && status.script == job.script
            && chain_at(&job.script, &all, last).is_some_and(|digest| equal(&digest, &status.digest))
            // Once the second part is drawn it speaks of key pairs that exist: a card behind that point has lost them.
            && (job.second_part.is_none() || last >= first_len)
            // And of key versions that may still be written.
            && job.second_part.as_ref().is_none_or(|part| all_usable(open, &part.slots, self.now));
        if !ours {
            if job.second_part.is_some() {
                core.rng.fill_bytes(&mut job.script);
                job.second_part = None;
                let mut change = Change::default();
                change.put(Table::Job, &job_id(&self.order, self.index), &job)?;
                change.note(self.intent(&session.serial, "personalise"));
                open.apply(core, self.now, change).await?;
            }
            let first = first_part(&job.script, content)?;
            batch.steps(1, first.iter().map(|step| step.as_slice()))?;
            return Ok(batch.send(session, true, Next::Draw));
        }
        let rest = all.get(usize::from(last)..).unwrap_or_default();
        if job.second_part.is_some() {
            batch.steps(last + 1, rest.iter().copied())?;
            return Ok(batch.send(session, true, Next::Finish));
        }
        // Steps 2 to 4 make the key pairs: ask for those whose answers were lost.
        for (domain, n) in Domain::ALL.iter().zip(2..) {
            if last >= n {
                batch.public_key(*domain)?;
            }
        }
        batch.steps(last + 1, rest.iter().copied())?;
        Ok(batch.send(session, true, Next::Draw))
    }

    /// The first part is on the card and its public keys are known: draws the second, stores it, sends it.
    async fn draw(
        &self,
        core: &mut Core,
        open: &mut Open,
        session: &mut Session,
        mut batch: Outgoing,
        publics: &BTreeMap<Domain, [u8; 64]>,
    ) -> Result<Script, Error> {
        let Task::Personalise { content, .. } = &session.task else {
            return Err(Error::NoCardSession);
        };
        let mut job = self.job(core, open).await?.ok_or(Error::NoCardSession)?;
        let versions = active_versions(core, open, self.now, &content.entitlements).await?;
        let first = first_part(&job.script, content)?;
        let today = clock::card_day(clock::day(self.now))?;
        let drawing = Drawing {
            open,
            rng: &mut core.rng,
            serial: &session.serial,
            content,
            publics,
            versions,
            today,
        };
        let part = drawing.draw(&job.script, &first)?;
        let first_len = step_number(first.len())?;
        batch.steps(first_len + 1, part.steps.iter().map(|step| step.bytes.as_slice()))?;
        job.second_part = Some(part);
        let mut change = Change::default();
        change.put(Table::Job, &job_id(&self.order, self.index), &job)?;
        open.apply(core, self.now, change).await?;
        Ok(batch.send(session, true, Next::Finish))
    }

    /// The card has confirmed FINALISE.
    async fn finish(
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
    async fn finish_rewrite(
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

    /// Makes a finished personalisation durable; the drawn steps, which hold card keys, leave the store.
    async fn conclude(
        &self,
        core: &mut Core,
        open: &mut Open,
        session: &Session,
        job: &mut Job,
        state: State,
    ) -> Result<(), Error> {
        let serial = &session.serial;
        let Task::Personalise { content, .. } = &session.task else {
            return Err(Error::NoCardSession);
        };
        let damaged = Error::Damaged {
            what: "a job without its second part",
        };
        let SecondPart { steps, keys, slots } = job.second_part.take().ok_or(damaged)?;
        let total = steps
            .last()
            .and_then(|step| finalise_count(&step.bytes))
            .map_or(0, |count| count + 1);
        let mut card = Card::begun(self.order, self.index);
        card.publics = publics_of(&keys);
        card.groups_written(
            [&content.dg1, &content.dg2, &content.dg3].map(|group| sha256(&[group])),
            Stamp::default(),
        );
        for slot in slots {
            card.slot_written(slot, Stamp::default());
        }
        card.entered(state, Stamp::default());
        job.finished = Some(Finished { steps: total, keys });
        let mut change = Change::default();
        change.put(Table::Job, &job_id(&self.order, self.index), job)?;
        open.put_card(core, &mut change, &serial.0, None, &card).await?;
        change.note(self.outcome(serial, "personalise", state));
        open.apply(core, self.now, change).await
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
        let slots = versions(core, open, &serial.0).await?;
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

/// The live slots of a card.
pub(crate) async fn versions(
    core: &mut Core,
    open: &Open,
    serial: &CardSerial,
) -> Result<Vec<SlotVersion>, Error> {
    let card = open.card(core, serial).await?;
    let mut slots = card
        .live()
        .map(|slot| {
            let row = open.roles.get(&slot.key()?).ok_or(Error::Damaged {
                what: "a card has a key version that the vault does not know",
            })?;
            Ok(SlotVersion {
                role: slot.role,
                region: slot.region,
                key_version: slot.key_version,
                state: row.state,
                issue_counter: slot.issue_counter,
                brought_by: match slot.brought {
                    Brought::Script => BroughtBy::Script,
                    Brought::Update => BroughtBy::Update,
                },
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    slots.sort_by_key(|slot| (slot.role, std::cmp::Reverse(slot.key_version)));
    Ok(slots)
}

/// Whether a card in `state` is where the script would bring it. A card that was blocked before its hand-over is
/// PERSONALISED again when it is unblocked.
fn is_done(kind: ScriptKind, state: State) -> bool {
    match kind {
        ScriptKind::Unblock => matches!(state, State::Personalised | State::Active),
        _ => state == kind.ends_in(state),
    }
}

/// Whether every slot is of a version that may still be written.
pub(crate) fn all_usable(open: &Open, slots: &[CardSlot], now: Timestamp) -> bool {
    let Ok(today) = clock::card_day(clock::day(now)) else {
        return false;
    };
    slots
        .iter()
        .all(|slot| slot.key().is_ok_and(|id| open.usable(id, today).is_some()))
}

/// The Active versions of entitlements, in their order.
pub(crate) async fn active_versions(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    entitlements: &[Entitlement],
) -> Result<Vec<RoleKeyId>, Error> {
    let mut versions = Vec::new();
    for wanted in entitlements {
        let (role, region) = slot::place(wanted)?;
        versions.push(open.active(core, now, role, region).await?);
    }
    Ok(versions)
}

/// public64 of the certified keys, by domain.
fn publics_of(keys: &[CardKey]) -> Option<[u8; 192]> {
    let mut publics = [0; 192];
    for (part, domain) in publics.chunks_exact_mut(64).zip(KeyDomain::ALL) {
        let key = keys.iter().find(|key| key.domain == domain)?;
        part.copy_from_slice(&key.public_key[1..]);
    }
    Some(publics)
}

/// public64 of a card's keys, from its personalisation.
pub(crate) async fn personalised_keys(
    core: &mut Core,
    open: &Open,
    card: &Card,
) -> Result<Option<[u8; 192]>, Error> {
    let job: Option<Job> = open
        .get(core, Table::Job, &job_id(&card.order, card.index))
        .await?;
    Ok(job
        .and_then(|job| job.finished)
        .and_then(|finished| publics_of(&finished.keys)))
}

/// Count in a FINALISE step: the number of steps before it.
pub(crate) fn finalise_count(step: &[u8]) -> Option<u16> {
    match Step::parse(step) {
        Ok(Step::Finalise { count, .. }) => Some(count),
        _ => None,
    }
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

pub(crate) fn done(
    serial: &Serial,
    state: State,
    last_step: u16,
    steps: u16,
    keys: Vec<CardKey>,
    slots: Vec<SlotVersion>,
) -> Script {
    let state = match state {
        State::Blank => CardState::Blank,
        State::Personalised => CardState::Personalised,
        State::Active => CardState::Active,
        State::Blocked => CardState::Blocked,
        State::Terminated => CardState::Terminated,
    };
    Script::Done(Box::new(CardResult {
        serial: serial.0,
        state,
        last_step,
        steps,
        keys,
        slots,
    }))
}

/// Commands that are being wrapped.
pub(crate) struct Outgoing {
    channel: Box<Channel>,
    commands: Vec<Vec<u8>>,
    sent: Vec<Sent>,
}

impl Outgoing {
    fn wrap(&mut self, header: Header, data: &[u8], what: What) -> Result<(), Error> {
        let command = self.channel.wrap_command(header, data).map_err(fault)?;
        self.commands.push(command.to_vec());
        self.sent.push(Sent {
            mark: self.channel.mark(),
            what,
        });
        Ok(())
    }

    fn status(&mut self) -> Result<(), Error> {
        self.wrap(Header::GET_STATUS, &[], What::Status)
    }

    fn public_key(&mut self, domain: Domain) -> Result<(), Error> {
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

pub(crate) fn step_number(count: usize) -> Result<u16, Error> {
    u16::try_from(count).map_err(|_| Error::BadContent {
        what: "the content needs too many steps",
    })
}

/// h(n) of a script whose steps are known up to n.
pub(crate) fn chain_at(script: &[u8; 16], steps: &[&[u8]], n: u16) -> Option<[u8; 32]> {
    let known = steps.get(..usize::from(n))?;
    Some(
        (1..)
            .zip(known)
            .fold(chain_start(script), |hash, (n, step)| chain_next(&hash, n, step)),
    )
}

pub(crate) type StepBuffer = Zeroizing<Vec<u8>>;

/// BEGIN, GENERATE for each domain, the data groups: follows from script id and content alone.
fn first_part(script: &[u8; 16], content: &CardContent) -> Result<Vec<StepBuffer>, Error> {
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

pub(crate) fn encode(step: &Step<'_>) -> Result<StepBuffer, Error> {
    step.encode()
        .map(|mut bytes| {
            let copy = Zeroizing::new(bytes.to_vec());
            bytes.zeroize();
            copy
        })
        .map_err(fault)
}

pub(crate) fn write_steps(
    object: WritableObject,
    bytes: &[u8],
    steps: &mut Vec<StepBuffer>,
) -> Result<(), Error> {
    let total = step_number(bytes.len())?;
    let mut offset = 0u16;
    for data in bytes.chunks(MAX_CHUNK) {
        steps.push(encode(&Step::Write {
            object,
            total,
            offset,
            data,
        })?);
        offset += step_number(data.len())?;
    }
    Ok(())
}

/// The six key check values that the card must answer to KEYS.
fn check_values(open: &Open, serial: &Serial, generation: u32) -> Result<Vec<u8>, Error> {
    let issuance = open.keys.issuance_keys(serial)?;
    let update = open.keys.update_keys(serial, generation)?;
    Ok([
        &issuance.enc,
        &issuance.mac,
        &issuance.dek,
        &update.enc,
        &update.mac,
        &update.dek,
    ]
    .into_iter()
    .flat_map(Key16::kcv)
    .collect())
}

/// Draws the second part of a script.
struct Drawing<'a> {
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
    fn draw(mut self, script: &[u8; 16], first: &[StepBuffer]) -> Result<SecondPart, Error> {
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

    fn public(&self, domain: Domain) -> Result<&[u8; 64], Error> {
        self.publics.get(&domain).ok_or(Error::NoCardSession)
    }

    fn certificates(&mut self, steps: &mut Vec<StepBuffer>) -> Result<Vec<CardKey>, Error> {
        let ca = self.open.keys.signer(Signer::CardCa)?;
        let from = clock::card_day(self.content.certificate_from)?;
        let to = clock::card_day(self.content.certificate_to)?;
        let mut keys = Vec::new();
        for (domain, named) in Domain::ALL.iter().zip(KeyDomain::ALL) {
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
                domain: named,
                public_key,
                certificate: certificate.to_vec(),
            });
        }
        Ok(keys)
    }

    fn signature_object(&mut self, steps: &mut Vec<StepBuffer>) -> Result<(), Error> {
        let signer = self.open.keys.signer(Signer::Document)?;
        let person = *self.public(Domain::Person)?;
        let groups = [&self.content.dg1[..], &self.content.dg2, &self.content.dg3];
        let object = SignatureObject::sign(DOCUMENT_SIGNER_NUMBER, &signer, &person, groups, self.rng)
            .and_then(|object| object.encode())
            .map_err(fault)?;
        write_steps(WritableObject::Signature, &object, steps)
    }

    fn slot(
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
            brought: Brought::Script,
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

    fn keys_and_trust(&mut self, steps: &mut Vec<StepBuffer>) -> Result<(), Error> {
        let keys = &self.open.keys;
        let transport = keys.transport_keys(self.serial)?;
        steps.push(keys_step(keys, self.serial, 0, &transport.dek)?);
        steps.push(trust_step(keys, self.today)?);
        Ok(())
    }
}

/// PURSE: seq counts only on a card that has no purse yet.
pub(crate) fn purse_step(
    keys: &Keys,
    rng: &mut Random,
    slot: &CardSlot,
    cap: u32,
) -> Result<StepBuffer, Error> {
    let mut seq = [0u8; 4];
    rng.fill_bytes(&mut seq);
    let ktac = keys.tac_key(Role::SmallPayment, slot.key_version, &slot.pid)?;
    encode(&Step::Purse {
        kv: slot.key_version,
        seq: u32::from_be_bytes(seq) >> 1,
        cap,
        ktac: ktac.expose(),
    })
}

/// KEYS: issuance keys, and update keys of a generation, under the card's present DEK.
pub(crate) fn keys_step(
    keys: &Keys,
    serial: &Serial,
    generation: u32,
    dek: &Key16,
) -> Result<StepBuffer, Error> {
    let (issuance, update) = (keys.issuance_keys(serial)?, keys.update_keys(serial, generation)?);
    let mut wrapped = Zeroizing::new([0u8; 96]);
    let fresh = [
        &issuance.enc,
        &issuance.mac,
        &issuance.dek,
        &update.enc,
        &update.mac,
        &update.dek,
    ];
    for (to, key) in wrapped.chunks_exact_mut(16).zip(fresh) {
        to.copy_from_slice(key.expose());
    }
    dek.cbc_encrypt(&[0; 16], &mut *wrapped).map_err(fault)?;
    encode(&Step::Keys { wrapped: &wrapped })
}

/// TRUST: the terminal CA's root and epoch, and the date floor.
pub(crate) fn trust_step(keys: &Keys, floor: Date) -> Result<StepBuffer, Error> {
    let root = keys.public(Signer::TerminalCaRoot)?.to_public64();
    encode(&Step::Trust {
        name: &root_name().0,
        public64: &root,
        epoch: TERMINAL_CA_EPOCH,
        floor,
    })
}
