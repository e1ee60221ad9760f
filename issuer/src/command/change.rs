//! `issuer change`: a change of a card in use, step by step.

use std::path::PathBuf;

use issuer_office::changes::Proposal;
use issuer_office::error::OfficeError;
use issuer_office::random::Random;
use issuer_office::staff::StaffRole;
use permit_domain::{Applicant, ApplicantForm, ChangeId, Digest, PermitId, Tier, read_tier};
use program_contract::language::Words;
use program_contract::{Clock, Failure, Outcome, file, line};

use crate::command::change_now::{about, read, shown};
use crate::command::decide::{form, not_eligible};
use crate::command::failure;
use crate::command::place::{Context, MAX_APPLICANT, Place};
use crate::command::session::Person;
use crate::command::station::{station, with_wrong_tries};

/// Arguments of `change`.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeCard {
    #[command(subcommand)]
    step: ChangeStep,
}

#[derive(Debug, clap::Subcommand)]
enum ChangeStep {
    /// Propose a change of a permit's card (role `CHANGE_CLERK`).
    Propose(Propose),
    /// Read what a change decides and writes, whole, with the digest that stands for it (role `APPROVER` or `CHANGE_CLERK`).
    Proposal(ById),
    /// Sign off as the second person what `proposal` showed (role `APPROVER`).
    Approve(Approve),
    /// Have updates sealed for terminals to deliver, or the rest of them (role `CHANGE_CLERK`, not who signed it off).
    Queue(ById),
    /// Write the change onto the card that lies on the reader, or finish what was begun (role `PRODUCER`, not who signed it
    /// off).
    Write(Write),
    /// Give a change up of which nothing was sealed or written, or whose card went out of use (role `CHANGE_CLERK`).
    GiveUp(ById),
    /// Expire every endorsement that nobody wrote within its window; `worker` does it each day.
    Expire(JustPlace),
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
    #[command(flatten)]
    person: Person,
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
    #[arg(long, value_name = "TIER", value_parser = read_tier)]
    tier: Option<Tier>,
    /// The photo's receipt, with `--kind address`.
    #[arg(long, value_name = "NUMBER")]
    photo_receipt: Option<String>,
    /// The change's id, to repeat a proposal that stopped or whose answer was lost; a fresh one without it.
    #[arg(long, value_name = "ID")]
    id: Option<ChangeId>,
}

#[derive(Debug, clap::Args)]
struct ById {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// The change.
    #[arg(long, value_name = "ID")]
    id: ChangeId,
}

#[derive(Debug, clap::Args)]
struct Approve {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// The change.
    #[arg(long, value_name = "ID")]
    id: ChangeId,
    /// The digest of what you read with `issuer change proposal`, 64 hex digits.
    #[arg(long, value_name = "DIGEST")]
    content: Digest,
}

#[derive(Debug, clap::Args)]
struct Write {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// The change.
    #[arg(long, value_name = "ID")]
    id: ChangeId,
    /// The reader's name; without it the one that a card lies on.
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

#[derive(Debug, clap::Args)]
struct JustPlace {
    #[command(flatten)]
    place: Place,
}

#[derive(serde::Serialize)]
struct Expired {
    expired: Vec<String>,
}

impl ChangeCard {
    /// Whether the result is wanted as JSON.
    pub(super) const fn json(&self) -> bool {
        match &self.step {
            ChangeStep::Propose(it) => it.place.json,
            ChangeStep::Proposal(it) | ChangeStep::Queue(it) | ChangeStep::GiveUp(it) => it.place.json,
            ChangeStep::Approve(it) => it.place.json,
            ChangeStep::Write(it) => it.place.json,
            ChangeStep::Show(it) => it.place.json,
            ChangeStep::Expire(it) => it.place.json,
        }
    }

    /// One step of a change.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        const SCHEMA: &str = "yzt.change/1";
        match &self.step {
            ChangeStep::Propose(it) => it.run(clock, random).await,
            ChangeStep::Proposal(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let readers = &[StaffRole::Approver, StaffRole::ChangeClerk];
                it.person.acting_as_any(&context, readers).await?;
                read(&context.place, &context.office.proposal(it.id).await?)
            }
            ChangeStep::Approve(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let approver = it.person.approver(&context).await?;
                let stored = context.office.approve_change(it.id, approver, it.content).await?;
                shown(SCHEMA, &context, &stored).await
            }
            ChangeStep::Queue(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let clerk = it.person.clerk(&context).await?;
                match Box::pin(context.production()?.queue_change(it.id, &clerk)).await {
                    Ok(stored) => shown(SCHEMA, &context, &stored).await,
                    Err(error) => Err(about(&context.office, it.id, error.into()).await),
                }
            }
            ChangeStep::Write(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let producer = it.person.producer(&context).await?;
                let production = context.production()?;
                let mut station = station(it.reader.clone()).await?;
                match Box::pin(production.write_change(it.id, &mut station, &producer)).await {
                    Ok(stored) => shown(SCHEMA, &context, &stored)
                        .await
                        .map(|done| with_wrong_tries(station.wrong_tries(), done)),
                    Err(error) => Err(about(&context.office, it.id, error.into()).await),
                }
            }
            ChangeStep::GiveUp(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let clerk = it.person.clerk(&context).await?;
                let stored = context.office.give_up_change(it.id, &clerk).await?;
                shown(SCHEMA, &context, &stored).await
            }
            ChangeStep::Expire(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let expired = context.office.expire_changes().await?;
                let expired = expired.iter().map(ToString::to_string).collect();
                let object = Expired { expired };
                let lines = vec![line!(changes_expired(object.expired.len()))];
                Outcome::done(SCHEMA, &object, lines)
            }
            ChangeStep::Show(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let stored = context.office.change(it.id).await?;
                shown(SCHEMA, &context, &stored).await
            }
        }
    }
}

/// A refusal by the rule set is told with its explanation, one of the file field by field.
fn refused(error: OfficeError) -> Failure {
    match error {
        OfficeError::Unprintable(errors) => form(&errors),
        OfficeError::NotEligible(decision) => not_eligible(&decision),
        error => error.into(),
    }
}

impl Propose {
    async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let usage = failure::change_usage;
        let context = Context::open(&self.place, clock, random).await?;
        let clerk = self.person.clerk(&context).await?;
        let newer = self.applicant(&context)?;
        let proposal = match self.kind {
            Kind::Endorse => Proposal::Endorse(newer),
            Kind::Tier => Proposal::Tier(
                self.tier
                    .ok_or_else(|| usage(Words("--kind tier 需要 --tier", "--kind tier needs --tier")))?,
                newer,
            ),
            Kind::Entitlement => Proposal::Entitlement(newer),
            Kind::Address => {
                let moved = newer.ok_or_else(|| {
                    usage(Words(
                        "--kind address 需要 --applicant",
                        "--kind address needs --applicant",
                    ))
                })?;
                let receipt = self
                    .photo_receipt
                    .as_deref()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| {
                        usage(Words(
                            "--kind address 需要 --photo-receipt，即照片回执编号",
                            "--kind address needs --photo-receipt, the number of a photo's receipt",
                        ))
                    })?;
                Proposal::Address(Box::new(moved), receipt)
            }
            Kind::Rotate => Proposal::Rotate,
            Kind::Block => Proposal::Block,
            Kind::Unblock => Proposal::Unblock,
            Kind::End => Proposal::End,
        };
        let id = self.id.unwrap_or_else(|| context.office.new_change_id());
        let proposed = Box::pin(context.office.propose(id, self.permit, proposal, clerk)).await;
        // Whatever stopped it, the same id goes on: a photo's receipt may be used for it already.
        let stored = proposed.map_err(|error| refused(error).with("change_id", id.to_string()))?;
        shown("yzt.change/1", &context, &stored).await
    }

    fn applicant(&self, context: &Context) -> Result<Option<Applicant>, Failure> {
        let Some(path) = &self.applicant else {
            return Ok(None);
        };
        let bytes = file::read(path, MAX_APPLICANT)
            .map_err(|error| Failure::file(Words("读取", "read"), path, &error))?;
        ApplicantForm::from_bytes(&bytes)
            .and_then(|form| form.into_applicant(context.office.clock().today()))
            .map(Some)
            .map_err(|errors| form(&errors))
    }
}

program_contract::sentences! {
    fn changes_expired(count) = "{count} 项变更已过期", "{count} expired";
}
