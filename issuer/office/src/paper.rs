//! Numbered forms of paper, for hours in which the system cannot be reached: given out ahead, written on at the counter, typed later by
//! one person and confirmed by another who has the paper before them. The day of acceptance is the paper's.
//!
//! Nobody but the two sees what was typed until it is an application. Left out: what is printed (a page).

use issuer_store::{PaperForm, PaperState, Snapshot, Submission};
use jiff::civil::Date;
use permit_domain::{
    Actor as _, Applicant, ApplicantForm, ApplicationId, Digest, Division, IntakeClerk, PaperNumber,
    PersonId, Refusal, StaffId,
};

use crate::error::OfficeError;
use crate::intake::file;
use crate::office::Office;
use crate::on_file;

/// The most forms that are given out at once.
pub const MOST: u32 = 100;
/// The most forms that a list shows.
const SHOWN: u32 = 200;
/// The roles of the two, in the ledger.
const TYPIST: &str = "typist";
const SECOND: &str = "second reader";

impl Office {
    /// Gives out new forms of a division, to be printed.
    ///
    /// # Errors
    /// [`permit_domain::Error::Identifier`] for none, too many, or a year whose numbers are used up; outages.
    pub async fn give_out_forms(
        &self,
        division: &Division,
        count: u32,
        by: &StaffId,
    ) -> Result<Vec<PaperNumber>, OfficeError> {
        if !(1..=MOST).contains(&count) {
            return Err(permit_domain::Error::Identifier { what: "paper form" }.into());
        }
        let today = self.clock.today();
        let mut tx = self.begin().await?;
        let prefix = format!("{division}{:02}", today.year().rem_euclid(100));
        let last = tx.paper_numbers(&prefix).await?;
        let last = u32::try_from(last).unwrap_or(u32::MAX);
        let mut numbers = Vec::new();
        for running in 1..=count {
            let running = last.saturating_add(running);
            numbers.push(PaperNumber::new(division, today.year(), running)?);
        }
        let appended = tx
            .insert_paper_forms(&numbers, division, today, ("intake clerk", by))
            .await?;
        tx.commit(appended).await?;
        Ok(numbers)
    }

    /// A form.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; the ledger's.
    pub async fn paper_form(&self, number: &PaperNumber) -> Result<PaperForm, OfficeError> {
        form(&mut self.read().await?, number).await
    }

    /// The forms that wait for a second person, and those that are out, each by number.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn paper_forms(&self) -> Result<(Vec<PaperForm>, Vec<PaperForm>), OfficeError> {
        let mut ledger = self.read().await?;
        Ok((
            ledger.paper_forms_in("TYPED", SHOWN).await?,
            ledger.paper_forms_in("GIVEN_OUT", SHOWN).await?,
        ))
    }

    /// The forms that are out from a number on, at most `count`: to be printed.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn forms_from(&self, number: &PaperNumber, count: u32) -> Result<Vec<PaperForm>, OfficeError> {
        Ok(self.read().await?.paper_forms_from(number, count).await?)
    }

    /// Keeps what stands on a form until a second person confirms it. Typed again by the same person, it is as typed last.
    ///
    /// # Errors
    /// [`Refusal::PaperDay`], [`Refusal::PaperForm`], [`Refusal::PaperDivision`]; what [`Office::apply`] refuses of the facts; outages.
    pub async fn type_form(
        &self,
        number: &PaperNumber,
        day: Date,
        applicant: Applicant,
        by: &StaffId,
    ) -> Result<PaperForm, OfficeError> {
        self.can_be_made(&applicant, day).await?;
        let today = self.clock.today();
        let mut tx = self.begin().await?;
        let known = form(&mut tx, number).await?;
        let application = match &known.state {
            PaperState::GivenOut => ApplicationId::new(self.clock.now(), self.random.bytes()),
            PaperState::Typed {
                by: typist,
                application,
                ..
            } if typist == by => *application,
            other => return Err(elsewhere(number, other)),
        };
        if !(known.given_out_on..=today).contains(&day) {
            return Err(Refusal::PaperDay {
                number: number.clone(),
                from: known.given_out_on,
                to: today,
            }
            .into());
        }
        if applicant.residence.division != known.division {
            return Err(Refusal::PaperDivision {
                number: number.clone(),
            }
            .into());
        }
        let state = PaperState::Typed {
            day,
            application,
            applicant: Box::new(applicant),
            by: by.clone(),
        };
        let appended = tx.update_paper_form(&known, &state, (TYPIST, by)).await?;
        tx.commit(appended).await?;
        self.paper_form(number).await
    }

    /// Confirms what a colleague typed, as it was read beside the paper: it is filed and accepted on the day of the paper. The same
    /// again answers the same.
    ///
    /// # Errors
    /// [`permit_domain::Error::SamePersonTwice`]; [`OfficeError::OtherContent`] where it is not what was read; as [`Office::apply`].
    pub async fn confirm_form(
        &self,
        number: &PaperNumber,
        read: Digest,
        by: &StaffId,
    ) -> Result<ApplicationId, OfficeError> {
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let known = form(&mut tx, number).await?;
        let (day, application, applicant, typist) = match &known.state {
            PaperState::Typed {
                day,
                application,
                applicant,
                by,
            } => (*day, *application, applicant, by),
            PaperState::Filed {
                application,
                confirmed_by,
                ..
            } if confirmed_by == by => return Ok(*application),
            other => return Err(elsewhere(number, other)),
        };
        if typist == by {
            return Err(same_person(TYPIST, SECOND));
        }
        if typed_digest(day, applicant) != read {
            return Err(OfficeError::OtherContent);
        }
        let (filed, _) = file(
            &mut tx,
            Submission {
                id: application,
                person: PersonId::new(now, self.random.bytes()),
                applicant,
                intake: IntakeClerk::new(typist.clone()),
                on: day,
            },
        )
        .await?;
        let (_, _) = tx.update_application(filed.accept(day)?).await?;
        let state = PaperState::Filed {
            day,
            application,
            typed_by: typist.clone(),
            confirmed_by: by.clone(),
        };
        let appended = tx.update_paper_form(&known, &state, (SECOND, by)).await?;
        tx.commit(appended).await?;
        Ok(application)
    }

    /// Sends what was typed back, by whoever compared it with the paper or by who typed it: the form is typed anew.
    ///
    /// # Errors
    /// [`Refusal::PaperForm`] for a form that nobody typed; outages.
    pub async fn return_form(&self, number: &PaperNumber, by: &StaffId) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        let known = form(&mut tx, number).await?;
        if !matches!(known.state, PaperState::Typed { .. }) {
            return Err(elsewhere(number, &known.state));
        }
        let appended = tx
            .update_paper_form(&known, &PaperState::GivenOut, (SECOND, by))
            .await?;
        Ok(tx.commit(appended).await?)
    }

    /// Takes a form out of use: spoiled, or not needed.
    ///
    /// # Errors
    /// [`Refusal::PaperForm`] for one that was typed; outages.
    pub async fn void_form(&self, number: &PaperNumber, by: &StaffId) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        let known = form(&mut tx, number).await?;
        if known.state != PaperState::GivenOut {
            return Err(elsewhere(number, &known.state));
        }
        let appended = tx
            .update_paper_form(&known, &PaperState::Void, ("intake clerk", by))
            .await?;
        Ok(tx.commit(appended).await?)
    }
}

/// What stands for what was typed: the day and every fact.
#[must_use]
pub fn typed_digest(day: Date, applicant: &Applicant) -> Digest {
    let facts = serde_json::to_string(&ApplicantForm::from(applicant)).unwrap_or_default();
    Digest::of(format!("{day}\n{facts}").as_bytes())
}

/// Refuses who confirmed the paper of a case in a role that decides it, and who typed, read or took in any case that it corrects: the
/// intake clerk of the case itself is kept apart by the case.
pub(crate) async fn apart(
    ledger: &mut Snapshot,
    application: ApplicationId,
    role: &'static str,
    by: &StaffId,
) -> Result<(), OfficeError> {
    let (mut one, mut is_corrected) = (application, false);
    loop {
        let form = ledger.paper_form_of(one).await?;
        if let Some(PaperState::Filed { confirmed_by, .. }) = form.map(|form| form.state)
            && confirmed_by == *by
        {
            return Err(same_person(SECOND, role));
        }
        if is_corrected {
            let case = on_file::application(ledger, one).await?;
            let completed_by = case.content.as_ref().map(|content| content.clerk().staff());
            if case.application.intake().staff() == by || completed_by == Some(by) {
                return Err(same_person(IntakeClerk::ROLE, role));
            }
        }
        match ledger.corrects(one).await? {
            Some(before) => (one, is_corrected) = (before, true),
            None => return Ok(()),
        }
    }
}

const fn same_person(first: &'static str, second: &'static str) -> OfficeError {
    OfficeError::Domain(permit_domain::Error::SamePersonTwice { first, second })
}

async fn form(ledger: &mut Snapshot, number: &PaperNumber) -> Result<PaperForm, OfficeError> {
    let found = ledger.paper_form(number).await?;
    found.ok_or(OfficeError::NotFound { what: "paper form" })
}

fn elsewhere(number: &PaperNumber, state: &PaperState) -> OfficeError {
    let (number, state) = (number.clone(), state.name());
    Refusal::PaperForm { number, state }.into()
}
