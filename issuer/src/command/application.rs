//! `issuer application`: an application before its card is made: its intake completed, withdrawn, or corrected.

use std::path::PathBuf;

use issuer_office::error::OfficeError;
use issuer_office::random::Random;
use issuer_store::StoredApplication;
use permit_domain::{ApplicantForm, ApplicationId};
use photo_store_protocol as photo;
use program_contract::language::Words;
use program_contract::{Clock, Failure, Outcome, file, line};
use serde::Serialize;

use crate::command::decide::form;
use crate::command::photo::receipt_number;
use crate::command::place::{Context, MAX_APPLICANT, Place};
use crate::command::session::Person;
use crate::command::words::of_application;

const SCHEMA: &str = "yzt.application/1";

/// Arguments of `application`.
#[derive(Debug, clap::Args)]
pub(super) struct ApplicationCommand {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    /// End the intake: facts, decision, photo and front are frozen, and are reviewed and signed off by one digest (role
    /// `INTAKE_CLERK`). Completed again with another photo, it is reviewed and signed off anew; so is the next card of a permit.
    Complete(Complete),
    /// The applicant takes an application back before its card is made, and may apply again (role `INTAKE_CLERK`, not who
    /// reviewed or approved it).
    Withdraw(Withdraw),
    /// File the right facts in place of wrong ones: a new application of the same person, reviewed anew, in place of this one
    /// (role `INTAKE_CLERK`, not who reviewed or approved it).
    Correct(Correct),
}

#[derive(Debug, clap::Args)]
struct Complete {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// The application.
    #[arg(long, value_name = "ID")]
    application: ApplicationId,
    /// Receipt of the photo that goes onto the card; none where the rules grant nothing.
    #[arg(long, value_name = "NUMBER", value_parser = receipt_number)]
    photo_receipt: Option<photo::ReceiptNumber>,
}

#[derive(Debug, clap::Args)]
struct Withdraw {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// The application.
    #[arg(long, value_name = "ID")]
    application: ApplicationId,
}

#[derive(Debug, clap::Args)]
struct Correct {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// The application whose facts are wrong.
    #[arg(long, value_name = "ID")]
    application: ApplicationId,
    /// The new application's id; a fresh one without it. The same correction again has the id of its first time.
    #[arg(long, value_name = "ID")]
    id: Option<ApplicationId>,
    /// The whole applicant file with the right facts.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// An application as it stands now.
#[derive(Serialize)]
struct ApplicationNow {
    application_id: String,
    state: &'static str,
    accepted_on: Option<jiff::civil::Date>,
    /// SHA-256 of what is reviewed and signed off, once intake ended.
    content: Option<String>,
    /// The application that it stands in place of.
    corrects: Option<String>,
}

impl ApplicationCommand {
    /// Whether the result is wanted as JSON.
    pub(super) const fn json(&self) -> bool {
        match &self.step {
            Step::Complete(it) => it.place.json,
            Step::Withdraw(it) => it.place.json,
            Step::Correct(it) => it.place.json,
        }
    }

    /// Completes, withdraws or corrects.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        match &self.step {
            Step::Complete(it) => it.run(clock, random).await,
            Step::Withdraw(it) => it.run(clock, random).await,
            Step::Correct(it) => it.run(clock, random).await,
        }
    }
}

impl Complete {
    async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let clerk = self.person.intake_clerk(&context).await?;
        let case = context
            .office
            .complete_intake(self.application, clerk, self.photo_receipt)
            .await?;
        shown(&case, None)
    }
}

impl Withdraw {
    async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let by = self.person.intake_clerk(&context).await?;
        let case = context.office.withdraw(self.application, &by).await?;
        shown(&case, None)
    }
}

impl Correct {
    async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let clerk = self.person.intake_clerk(&context).await?;
        let bytes = file::read(&self.file, MAX_APPLICANT)
            .map_err(|error| Failure::file(Words("读取", "read"), &self.file, &error))?;
        let applicant = ApplicantForm::from_bytes(&bytes)
            .and_then(|form| form.into_applicant(context.office.clock().today()))
            .map_err(|errors| form(&errors))?;
        let id = self.id.unwrap_or_else(|| context.office.new_application_id());
        match context
            .office
            .correct(self.application, id, clerk, applicant)
            .await
        {
            Ok(case) => shown(&case, Some(self.application)),
            Err(OfficeError::Unprintable(errors)) => Err(form(&errors)),
            // The new application is filed: whoever goes on needs its id.
            Err(error @ OfficeError::PhotoCaseOpen(_)) => {
                let id = context.office.corrected_as(self.application).await?.unwrap_or(id);
                let line = line!(id.to_string(), " ", of_application("ACCEPTED"));
                let mut failure = Failure::from(error).with("application_id", id.to_string());
                failure.lines.push(line);
                Err(failure)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn shown(case: &StoredApplication, corrects: Option<ApplicationId>) -> Result<Outcome, Failure> {
    let now = ApplicationNow {
        application_id: case.application.id().to_string(),
        state: case.application.state().name(),
        accepted_on: case.accepted_on,
        content: case
            .content
            .as_ref()
            .map(|live| live.content().digest().to_string()),
        corrects: corrects.map(|id| id.to_string()),
    };
    let line = line!(&now.application_id, " ", of_application(now.state));
    Outcome::done(SCHEMA, &now, vec![line])
}
