//! The commands on cards in use: `load`, `change`, `card`, `receipts`.

use std::path::PathBuf;

use issuer_office::changes::Proposal;
use issuer_office::office::Office;
use issuer_office::random::Random;
use issuer_office::staff::StaffRole;
use issuer_office::updates::ReceiptsTaken;
use issuer_production::Production;
use issuer_store::{Card, LoadOutcome, StoredChange};
use permit_domain::{
    Applicant, ApplicantForm, Approver, CardNumber, ChangeClerk, ChangeId, ChangeState, EndOfCard,
    ExplanationLine, PermitId, Producer, StaffId, Tier,
};
use program_contract::Clock;
use serde::Serialize;

use super::service::{Place, station};
use super::{Done, Failure};
use crate::installation::Installation;

/// What every command here needs.
struct Desk {
    installation: Installation,
    office: Office,
}

impl Desk {
    async fn open(place: &Place, clock: &Clock, random: &Random) -> Result<Self, Failure> {
        let installation = place.open()?;
        let office = installation.office(place.clock(clock), random.clone()).await?;
        office.store().ready().await?;
        Ok(Self { installation, office })
    }

    fn clerk(&self, account: &StaffId) -> Result<ChangeClerk, Failure> {
        Ok(ChangeClerk::new(
            self.installation.acting_as(account, StaffRole::ChangeClerk)?,
        ))
    }

    fn approver(&self, account: &StaffId) -> Result<Approver, Failure> {
        Ok(Approver::new(
            self.installation.acting_as(account, StaffRole::Approver)?,
        ))
    }

    fn producer(&self, account: &StaffId) -> Result<Producer, Failure> {
        Ok(Producer::new(
            self.installation.acting_as(account, StaffRole::Producer)?,
        ))
    }

    async fn production(&self) -> Result<Production, Failure> {
        Ok(self.installation.production(self.office.clone()).await?)
    }
}

/// A change as programs see it. Never a person's data.
#[derive(Serialize)]
struct ChangeNow {
    change_id: String,
    permit_id: String,
    card_number: String,
    kind: &'static str,
    state: &'static str,
    in_doubt: bool,
    clerk: String,
    approver: Option<String>,
    way: Option<&'static str>,
    amount: Option<u32>,
    loaded: Option<u32>,
}

impl From<&StoredChange> for ChangeNow {
    fn from(stored: &StoredChange) -> Self {
        use permit_domain::Actor as _;
        let change = &stored.change;
        Self {
            change_id: change.id().to_string(),
            permit_id: change.permit().to_string(),
            card_number: change.card().number.to_string(),
            kind: change.kind().name(),
            state: change.state().name(),
            in_doubt: matches!(change.state(), ChangeState::Writing),
            clerk: change.clerk().staff().to_string(),
            approver: change.approver().map(|a| a.staff().to_string()),
            way: match change.state() {
                ChangeState::Done { way, .. } => Some(way.name()),
                _ => None,
            },
            amount: stored.load.as_ref().map(|load| load.amount),
            loaded: stored.load.as_ref().map(|load| load.loaded),
        }
    }
}

fn shown(schema: &'static str, stored: &StoredChange) -> Result<Done, Failure> {
    let now = ChangeNow::from(stored);
    let mut lines = vec![format!("{} {} {}", now.change_id, now.kind, now.state)];
    if let ChangeState::Proposed = stored.change.state() {
        lines.push(format!(
            "A second person signs it off: issuer change approve --id {} --by ACCOUNT",
            now.change_id
        ));
    }
    Done::new(schema, &now, lines)
}

/// Says with a failure which change it left where.
async fn about(office: &Office, id: ChangeId, mut failure: Failure) -> Failure {
    if let Ok(stored) = office.change(id).await {
        failure.fields.insert("change_id".into(), id.to_string().into());
        failure
            .fields
            .insert("state".into(), stored.change.state().name().into());
        let in_doubt = matches!(stored.change.state(), ChangeState::Writing);
        failure.fields.insert("in_doubt".into(), in_doubt.into());
    }
    failure
}

/// Arguments of `load`.
#[derive(Debug, clap::Args)]
pub(super) struct Load {
    #[command(flatten)]
    pub(super) place: Place,
    /// The permit.
    #[arg(long, value_name = "ID")]
    permit: PermitId,
    /// What was paid in, fen.
    #[arg(long, value_name = "FEN")]
    amount: u32,
    /// What tells this load from every other one of the permit, such as the number of the till's receipt. The same key
    /// again is the same load.
    #[arg(long, value_name = "TEXT", value_parser = key)]
    key: String,
    /// Account of who took the money: of staff.toml, with the role `CHANGE_CLERK`.
    #[arg(long, value_name = "ACCOUNT")]
    by: StaffId,
    /// Write it onto the card that lies on the reader now; without this, terminals deliver it.
    #[arg(long, value_name = "ACCOUNT")]
    write_by: Option<StaffId>,
    /// The reader's name; without it the only one there is.
    #[arg(long, value_name = "NAME", env = "YZT_READER")]
    reader: Option<String>,
}

fn key(text: &str) -> Result<String, String> {
    if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("a key has 1 to 64 visible ASCII characters and no blanks".into())
    }
}

#[derive(Serialize)]
struct Loaded {
    #[serde(flatten)]
    change: ChangeNow,
    known: bool,
    explanation: Vec<ExplanationLine>,
}

impl Load {
    /// Decides and books a load, then queues it for terminals or writes it.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        let desk = Desk::open(&self.place, clock, random).await?;
        let clerk = desk.clerk(&self.by)?;
        let producer = self.write_by.as_ref().map(|by| desk.producer(by)).transpose()?;
        let outcome = desk
            .office
            .load(self.permit, self.amount, &self.key, clerk)
            .await?;
        let (stored, known, explanation) = match outcome {
            LoadOutcome::Booked(stored, decision) => (*stored, false, decision.explanation),
            LoadOutcome::Known(stored) => (*stored, true, Vec::new()),
            LoadOutcome::Refused(decision) => {
                let unmet: Vec<&str> = decision.unmet().map(|line| line.condition.as_str()).collect();
                let mut failure = Failure::new(
                    "LOAD_REFUSED",
                    1,
                    format!(
                        "the purse rules {} do not allow it: {}",
                        decision.rules,
                        unmet.join(", ")
                    ),
                    "Load less, or let the holder spend first.",
                );
                failure.lines = decision
                    .unmet()
                    .map(|line| format!("{} {}: {}", line.article, line.condition, line.because))
                    .collect();
                failure.fields.insert(
                    "explanation".into(),
                    serde_json::to_value(&decision.explanation).unwrap_or_default(),
                );
                return Err(failure);
            }
        };
        let id = stored.change.id();
        let moved = async {
            let production = desk.production().await?;
            let stored = match &producer {
                Some(producer) => {
                    let mut station = station(self.reader.clone()).await?;
                    Box::pin(production.write_change(id, &mut station, producer)).await?
                }
                None => Box::pin(production.queue_change(id)).await?,
            };
            Ok::<_, Failure>(stored)
        };
        let stored = match moved.await {
            Ok(stored) => stored,
            Err(failure) => return Err(about(&desk.office, id, failure).await),
        };
        let change = ChangeNow::from(&stored);
        let lines = vec![format!(
            "{} {} loaded {} fen, {} fen in all",
            change.change_id,
            change.state,
            self.amount,
            change.loaded.unwrap_or_default()
        )];
        let report = Loaded {
            change,
            known,
            explanation,
        };
        Done::new("yzt.load/1", &report, lines)
    }
}

/// Arguments of `change`.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeCard {
    #[command(subcommand)]
    step: ChangeStep,
}

#[derive(Debug, clap::Subcommand)]
enum ChangeStep {
    /// Propose a change of a permit's card.
    Propose(Propose),
    /// Sign a change off as the second person.
    Approve(ById),
    /// Have updates sealed for terminals to deliver.
    Queue(ById),
    /// Write the change onto the card that lies on the reader, or finish what was begun.
    Write(Write),
    /// Give a change up that was neither sealed nor written.
    GiveUp(ById),
    /// Say where a change stands.
    Show(Show),
}

/// Kinds that are proposed; loads have a command of their own.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// A later last day (article 10).
    Endorse,
    /// Another tier.
    Tier,
    /// What the rule set in force grants the same tier.
    Entitlement,
    /// Another residence, with a new face.
    Address,
    /// Every record under the present key versions.
    Rotate,
    /// Block the chip.
    Block,
    /// Unblock the chip.
    Unblock,
    /// Erase every key on the chip.
    End,
}

#[derive(Debug, clap::Args)]
struct Propose {
    #[command(flatten)]
    place: Place,
    /// The permit.
    #[arg(long, value_name = "ID")]
    permit: PermitId,
    /// What is changed.
    #[arg(long, value_enum)]
    kind: Kind,
    /// The holder's newer facts: an applicant file. Needed for an address, optional where a decision is made.
    #[arg(long, value_name = "FILE")]
    applicant: Option<PathBuf>,
    /// The tier asked for, with `--kind tier`.
    #[arg(long, value_name = "TIER")]
    tier: Option<Tier>,
    /// The photo's receipt, with `--kind address`.
    #[arg(long, value_name = "NUMBER")]
    photo_receipt: Option<String>,
    /// The change's id, to repeat a proposal whose answer was lost; a fresh one without it.
    #[arg(long, value_name = "ID")]
    id: Option<ChangeId>,
    /// Account of the clerk: of staff.toml, with the role `CHANGE_CLERK`.
    #[arg(long, value_name = "ACCOUNT")]
    by: StaffId,
}

#[derive(Debug, clap::Args)]
struct ById {
    #[command(flatten)]
    place: Place,
    /// The change.
    #[arg(long, value_name = "ID")]
    id: ChangeId,
    /// Account of who does it: `APPROVER` for approve, `CHANGE_CLERK` for the others.
    #[arg(long, value_name = "ACCOUNT")]
    by: StaffId,
}

#[derive(Debug, clap::Args)]
struct Write {
    #[command(flatten)]
    place: Place,
    /// The change.
    #[arg(long, value_name = "ID")]
    id: ChangeId,
    /// Account of who writes: of staff.toml, with the role `PRODUCER`; not who signed it off.
    #[arg(long, value_name = "ACCOUNT")]
    by: StaffId,
    /// The reader's name; without it the only one there is.
    #[arg(long, value_name = "NAME", env = "YZT_READER")]
    reader: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    place: Place,
    /// The change.
    #[arg(long, value_name = "ID")]
    id: ChangeId,
}

impl ChangeCard {
    /// Whether the result is wanted as JSON.
    pub(super) const fn json(&self) -> bool {
        match &self.step {
            ChangeStep::Propose(it) => it.place.json,
            ChangeStep::Approve(it) | ChangeStep::Queue(it) | ChangeStep::GiveUp(it) => it.place.json,
            ChangeStep::Write(it) => it.place.json,
            ChangeStep::Show(it) => it.place.json,
        }
    }

    /// One step of a change.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        const SCHEMA: &str = "yzt.change/1";
        match &self.step {
            ChangeStep::Propose(it) => it.run(clock, random).await,
            ChangeStep::Approve(it) => {
                let desk = Desk::open(&it.place, clock, random).await?;
                let approver = desk.approver(&it.by)?;
                shown(SCHEMA, &desk.office.approve_change(it.id, approver).await?)
            }
            ChangeStep::Queue(it) => {
                let desk = Desk::open(&it.place, clock, random).await?;
                desk.clerk(&it.by)?;
                match Box::pin(desk.production().await?.queue_change(it.id)).await {
                    Ok(stored) => shown(SCHEMA, &stored),
                    Err(error) => Err(about(&desk.office, it.id, error.into()).await),
                }
            }
            ChangeStep::Write(it) => {
                let desk = Desk::open(&it.place, clock, random).await?;
                let producer = desk.producer(&it.by)?;
                let production = desk.production().await?;
                let mut station = station(it.reader.clone()).await?;
                match Box::pin(production.write_change(it.id, &mut station, &producer)).await {
                    Ok(stored) => shown(SCHEMA, &stored),
                    Err(error) => Err(about(&desk.office, it.id, error.into()).await),
                }
            }
            ChangeStep::GiveUp(it) => {
                let desk = Desk::open(&it.place, clock, random).await?;
                let clerk = desk.clerk(&it.by)?;
                shown(SCHEMA, &desk.office.give_up_change(it.id, &clerk).await?)
            }
            ChangeStep::Show(it) => {
                let desk = Desk::open(&it.place, clock, random).await?;
                shown(SCHEMA, &desk.office.change(it.id).await?)
            }
        }
    }
}

impl Propose {
    async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        let usage = |what: &str| Failure::new("USAGE", 2, what, "See `issuer change propose --help`.");
        let desk = Desk::open(&self.place, clock, random).await?;
        let clerk = desk.clerk(&self.by)?;
        let newer = self.applicant(&desk)?;
        let proposal = match self.kind {
            Kind::Endorse => Proposal::Endorse(newer),
            Kind::Tier => Proposal::Tier(self.tier.ok_or_else(|| usage("--kind tier needs --tier"))?, newer),
            Kind::Entitlement => Proposal::Entitlement(newer),
            Kind::Address => {
                let moved = newer.ok_or_else(|| usage("--kind address needs --applicant"))?;
                let receipt = self
                    .photo_receipt
                    .as_deref()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| {
                        usage("--kind address needs --photo-receipt, the number of a photo's receipt")
                    })?;
                Proposal::Address(Box::new(moved), receipt)
            }
            Kind::Rotate => Proposal::Rotate,
            Kind::Block => Proposal::Block,
            Kind::Unblock => Proposal::Unblock,
            Kind::End => Proposal::End,
        };
        let id = self.id.unwrap_or_else(|| desk.office.new_change_id());
        let stored = Box::pin(desk.office.propose(id, self.permit, proposal, clerk)).await?;
        shown("yzt.change/1", &stored)
    }

    fn applicant(&self, desk: &Desk) -> Result<Option<Applicant>, Failure> {
        let Some(path) = &self.applicant else {
            return Ok(None);
        };
        let text =
            std::fs::read_to_string(path).map_err(|error| Failure::file("cannot read", path, &error))?;
        let wrong = |errors: permit_domain::FormErrors| {
            let fields: Vec<&str> = errors.fields().iter().map(|e| e.field.as_str()).collect();
            Failure::new(
                "APPLICANT",
                1,
                format!("the applicant file is not right: {}", fields.join(", ")),
                "Correct these fields; `issuer decide` says more of each.",
            )
        };
        let form = ApplicantForm::from_json(&text).map_err(wrong)?;
        Ok(Some(
            form.into_applicant(desk.office.clock().today()).map_err(wrong)?,
        ))
    }
}

/// Arguments of `card`.
#[derive(Debug, clap::Args)]
pub(super) struct CardCommand {
    #[command(subcommand)]
    step: CardStep,
}

#[derive(Debug, clap::Subcommand)]
enum CardStep {
    /// The holder lost it: onto the deny lists.
    Lost(OneCard),
    /// A lost card was brought in: it stays denied.
    Found(OneCard),
    /// It was taken away (article 19).
    Confiscated(OneCard),
    /// The holder gave it back.
    Returned(OneCard),
    /// It does not work any more.
    Damaged(OneCard),
    /// Two people give a card that was brought in to its holder again.
    Allow(TwoPeople),
    /// Block its chip: by terminals, or at the reader with `issuer change write`.
    Block(OneCard),
    /// Free its permit for another card.
    Replace(OneCard),
    /// The balance of a replaced card for the new one: says why not.
    Balance(OneCard),
    /// It was cut up.
    Destroyed(OneCard),
    /// Where it stands.
    Show(JustCard),
    /// Tell the vault what the ledger wants of the deny lists.
    Confirm(JustPlace),
}

#[derive(Debug, clap::Args)]
struct OneCard {
    #[command(flatten)]
    place: Place,
    /// The card's number, as printed.
    #[arg(long, value_name = "NUMBER")]
    card: CardNumber,
    /// Account of the clerk: of staff.toml, with the role `CHANGE_CLERK`.
    #[arg(long, value_name = "ACCOUNT")]
    by: StaffId,
}

#[derive(Debug, clap::Args)]
struct TwoPeople {
    #[command(flatten)]
    one: OneCard,
    /// Account of the second person: of staff.toml, with the role `APPROVER`.
    #[arg(long, value_name = "ACCOUNT")]
    approver: StaffId,
}

#[derive(Debug, clap::Args)]
struct JustCard {
    #[command(flatten)]
    place: Place,
    /// The card's number, as printed.
    #[arg(long, value_name = "NUMBER")]
    card: CardNumber,
}

#[derive(Debug, clap::Args)]
struct JustPlace {
    #[command(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct CardNow {
    card_number: String,
    permit_id: String,
    state: &'static str,
    denial: &'static str,
    chip: &'static str,
}

impl From<&Card> for CardNow {
    fn from(card: &Card) -> Self {
        Self {
            card_number: card.number.to_string(),
            permit_id: card.permit.to_string(),
            state: card.state.name(),
            denial: card.denial.name(),
            chip: card.chip.name(),
        }
    }
}

#[derive(Serialize)]
struct Confirmed {
    confirmed: u64,
}

const CARD: &str = "yzt.card/1";

fn stands(card: &Card) -> Result<Done, Failure> {
    let now = CardNow::from(card);
    let lines = vec![format!(
        "{} {}, deny lists {}, chip {}",
        now.card_number, now.state, now.denial, now.chip
    )];
    Done::new(CARD, &now, lines)
}

impl CardCommand {
    /// Whether the result is wanted as JSON.
    pub(super) const fn json(&self) -> bool {
        match &self.step {
            CardStep::Lost(it)
            | CardStep::Found(it)
            | CardStep::Confiscated(it)
            | CardStep::Returned(it)
            | CardStep::Damaged(it)
            | CardStep::Block(it)
            | CardStep::Replace(it)
            | CardStep::Balance(it)
            | CardStep::Destroyed(it) => it.place.json,
            CardStep::Allow(it) => it.one.place.json,
            CardStep::Show(it) => it.place.json,
            CardStep::Confirm(it) => it.place.json,
        }
    }

    /// One step of a card that is lost, found, blocked, replaced or destroyed.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        let ended = async |it: &OneCard, how| {
            let desk = Desk::open(&it.place, clock, random).await?;
            let clerk = desk.clerk(&it.by)?;
            stands(&desk.office.end_card(&it.card, how, &clerk).await?)
        };
        match &self.step {
            CardStep::Lost(it) => ended(it, EndOfCard::Lost).await,
            CardStep::Confiscated(it) => ended(it, EndOfCard::Confiscated).await,
            CardStep::Returned(it) => ended(it, EndOfCard::Returned).await,
            CardStep::Damaged(it) => ended(it, EndOfCard::Damaged).await,
            CardStep::Found(it) => {
                let desk = Desk::open(&it.place, clock, random).await?;
                let clerk = desk.clerk(&it.by)?;
                stands(&desk.office.found(&it.card, &clerk).await?)
            }
            CardStep::Allow(it) => {
                let desk = Desk::open(&it.one.place, clock, random).await?;
                let (clerk, approver) = (desk.clerk(&it.one.by)?, desk.approver(&it.approver)?);
                stands(&desk.office.allow_again(&it.one.card, &clerk, &approver).await?)
            }
            CardStep::Replace(it) => {
                let desk = Desk::open(&it.place, clock, random).await?;
                let clerk = desk.clerk(&it.by)?;
                stands(&desk.office.replace(&it.card, &clerk).await?)
            }
            CardStep::Balance(it) => {
                let desk = Desk::open(&it.place, clock, random).await?;
                desk.clerk(&it.by)?;
                desk.office.transfer_balance(&it.card).await?;
                stands(&desk.office.card(&it.card).await?)
            }
            CardStep::Destroyed(it) => {
                let desk = Desk::open(&it.place, clock, random).await?;
                let clerk = desk.clerk(&it.by)?;
                stands(&desk.office.destroy(&it.card, &clerk).await?)
            }
            CardStep::Block(it) => block(it, clock, random).await,
            CardStep::Show(it) => {
                let desk = Desk::open(&it.place, clock, random).await?;
                stands(&desk.office.card(&it.card).await?)
            }
            CardStep::Confirm(it) => {
                let desk = Desk::open(&it.place, clock, random).await?;
                let confirmed = desk.office.confirm_denials().await?;
                let lines = vec![format!("{confirmed} confirmed")];
                Done::new(CARD, &Confirmed { confirmed }, lines)
            }
        }
    }
}

/// Proposes and queues the block of one card; a block that is open already goes on.
async fn block(it: &OneCard, clock: &Clock, random: &Random) -> Result<Done, Failure> {
    let desk = Desk::open(&it.place, clock, random).await?;
    let clerk = desk.clerk(&it.by)?;
    let card = desk.office.card(&it.card).await?;
    let permit = desk.office.permit(card.permit).await?;
    let id = desk.office.new_change_id();
    let proposed = desk
        .office
        .propose_for(id, &permit, &card, Proposal::Block, clerk)
        .await;
    let id = match proposed {
        Ok(stored) => stored.change.id(),
        Err(issuer_office::error::OfficeError::Store(issuer_store::Error::ChangeOpen { change })) => change,
        Err(error) => return Err(error.into()),
    };
    match Box::pin(desk.production().await?.queue_change(id)).await {
        Ok(stored) => shown(CARD, &stored),
        Err(error) => Err(about(&desk.office, id, error.into()).await),
    }
}

/// Arguments of `receipts`.
#[derive(Debug, clap::Args)]
pub(super) struct TakeReceipts {
    #[command(flatten)]
    pub(super) place: Place,
    /// Receipts files of terminals; mix those of several terminals.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Account of the officer: of staff.toml, with the role `SETTLEMENT_OFFICER`.
    #[arg(long, value_name = "ACCOUNT")]
    by: StaffId,
}

impl TakeReceipts {
    /// Hands cards' receipts to the vault and finishes the changes that they prove.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        let desk = Desk::open(&self.place, clock, random).await?;
        let by = desk
            .installation
            .acting_as(&self.by, StaffRole::SettlementOfficer)?;
        let mut all = ReceiptsTaken::default();
        for path in &self.files {
            let bytes = std::fs::read(path).map_err(|error| Failure::file("cannot read", path, &error))?;
            let taken = desk.office.take_receipts(&bytes, &by).await?;
            all.proved += taken.proved;
            all.known += taken.known;
            all.unknown += taken.unknown;
            all.forged += taken.forged;
            all.changes_done.extend(taken.changes_done);
        }
        let lines = vec![format!(
            "{} proved, {} known, {} unknown, {} forged; {} changes done",
            all.proved,
            all.known,
            all.unknown,
            all.forged,
            all.changes_done.len()
        )];
        Done::new("yzt.receipts/1", &all, lines)
    }
}
