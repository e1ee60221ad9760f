//! Numbered forms of paper: given out ahead, typed by one person, confirmed by another. Left out: who may, and what the form says.

use jiff::civil::Date;
use permit_domain::{Applicant, ApplicantForm, ApplicationId, Division, PaperNumber, StaffId};

use crate::{
    entry::Entry,
    error::Error,
    rows::{damaged, json, present, present_date, present_value, value},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

/// A form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaperForm {
    /// Printed on it.
    pub number: PaperNumber,
    /// Whose it is.
    pub division: Division,
    /// The day on which it was printed.
    pub given_out_on: Date,
    /// By whom.
    pub given_out_by: StaffId,
    /// Where it stands.
    pub state: PaperState,
    /// Grows with every stored change.
    pub version: i64,
}

/// Where a form stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaperState {
    /// Paper, blank or written on.
    GivenOut,
    /// What stands on it was typed; nobody else read it yet.
    Typed {
        /// The day on the paper.
        day: Date,
        /// The application that it becomes.
        application: ApplicationId,
        /// The facts as typed.
        applicant: Box<Applicant>,
        /// Who typed them.
        by: StaffId,
    },
    /// Confirmed: it is an application.
    Filed {
        /// The day on the paper.
        day: Date,
        /// The application.
        application: ApplicationId,
        /// Who typed it.
        typed_by: StaffId,
        /// Who confirmed it.
        confirmed_by: StaffId,
    },
    /// Spoiled, or never used.
    Void,
}

impl PaperState {
    /// The name in the database and in the ledger.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::GivenOut => "GIVEN_OUT",
            Self::Typed { .. } => "TYPED",
            Self::Filed { .. } => "FILED",
            Self::Void => "VOID",
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    number: String,
    division: String,
    state: String,
    given_out_on: String,
    given_out_by: String,
    paper_day: Option<String>,
    application: Option<String>,
    applicant: Option<String>,
    typed_by: Option<String>,
    confirmed_by: Option<String>,
    version: i64,
}

impl TryFrom<Row> for PaperForm {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let day = || present_date(row.paper_day.as_deref(), "paper_forms.paper_day");
        let application = || present_value(row.application.as_deref(), "paper_forms.application");
        let typed_by = || present_value(row.typed_by.as_deref(), "paper_forms.typed_by");
        let state = match row.state.as_str() {
            "GIVEN_OUT" => PaperState::GivenOut,
            "TYPED" => {
                let (day, text) = (
                    day()?,
                    present(row.applicant.as_deref(), "paper_forms.applicant")?,
                );
                let applicant = ApplicantForm::from_json(text)
                    .and_then(|form| form.into_filed(day))
                    .map_err(|_| damaged("paper_forms.applicant"))?;
                PaperState::Typed {
                    day,
                    application: application()?,
                    applicant: Box::new(applicant),
                    by: typed_by()?,
                }
            }
            "FILED" => PaperState::Filed {
                day: day()?,
                application: application()?,
                typed_by: typed_by()?,
                confirmed_by: present_value(row.confirmed_by.as_deref(), "paper_forms.confirmed_by")?,
            },
            "VOID" => PaperState::Void,
            _ => return Err(damaged("paper_forms.state")),
        };
        Ok(Self {
            number: value(&row.number, "paper_forms.number")?,
            division: value(&row.division, "paper_forms.division")?,
            given_out_on: value(&row.given_out_on, "paper_forms.given_out_on")?,
            given_out_by: value(&row.given_out_by, "paper_forms.given_out_by")?,
            state,
            version: row.version,
        })
    }
}

/// A query of whole forms, by what ends it.
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT number, division, state, given_out_on, given_out_by, paper_day, application, applicant, typed_by,
                    confirmed_by, version FROM paper_forms ",
            $which
        )
    };
}

impl Snapshot {
    /// A form by its number.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn paper_form(&mut self, number: &PaperNumber) -> Result<Option<PaperForm>, Error> {
        const OF: &str = select!("WHERE number = $1");
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(OF)
            .bind(number.as_str())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// The form that an application came from.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn paper_form_of(&mut self, application: ApplicationId) -> Result<Option<PaperForm>, Error> {
        const OF: &str = select!("WHERE application = $1");
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(OF)
            .bind(application.to_string())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// The forms in a state, by number, at most `limit`.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn paper_forms_in(&mut self, state: &str, limit: u32) -> Result<Vec<PaperForm>, Error> {
        const IN: &str = select!("WHERE state = $1 ORDER BY number LIMIT $2");
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(IN)
            .bind(state)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The forms that are out from a number on, by number, at most `limit`.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn paper_forms_from(
        &mut self,
        number: &PaperNumber,
        limit: u32,
    ) -> Result<Vec<PaperForm>, Error> {
        const FROM: &str = select!("WHERE state = 'GIVEN_OUT' AND number >= $1 ORDER BY number LIMIT $2");
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(FROM)
            .bind(number.as_str())
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// How many numbers begin with these digits, of division and year: the last running number.
    ///
    /// # Errors
    /// Outages.
    pub async fn paper_numbers(&mut self, division_and_year: &str) -> Result<i64, Error> {
        const COUNT: &str = "SELECT count(*) FROM paper_forms WHERE substr(number, 1, 8) = $1";
        on_engine!(self, |c| sqlx::query_scalar(COUNT)
            .bind(division_and_year)
            .fetch_one(c))
    }
}

impl Transaction {
    /// Stores new forms of a division, as they are printed.
    ///
    /// # Errors
    /// [`Error::Exists`] for a used number; outages.
    pub async fn insert_paper_forms(
        &mut self,
        numbers: &[PaperNumber],
        division: &Division,
        on: Date,
        (role, by): (&str, &StaffId),
    ) -> Result<Appended, Error> {
        const INSERT: &str = "
            INSERT INTO paper_forms (number, division, state, given_out_on, given_out_by, version, created_at, changed_at)
            VALUES ($1, $2, 'GIVEN_OUT', $3, $4, 1, $5, $6)";
        let at = self.millis();
        for number in numbers {
            write_on_engine!(self, |c| sqlx::query(INSERT)
                .bind(number.as_str())
                .bind(division.as_str())
                .bind(on.to_string())
                .bind(by.as_str())
                .bind(at)
                .bind(at)
                .execute(c))
            .map_err(|e| e.of("paper form"))?;
        }
        let first = numbers.first().map(ToString::to_string).unwrap_or_default();
        self.append(Entry {
            role,
            actor: by.as_str(),
            action: "paper forms GIVEN_OUT",
            subject: &first,
            detail: &format!(r#"{{"forms":{}}}"#, numbers.len()),
        })
        .await
    }

    /// Stores where a form stands now.
    ///
    /// # Errors
    /// [`Error::Stale`] if the row changed since it was read, [`Error::Missing`]; outages.
    pub async fn update_paper_form(
        &mut self,
        form: &PaperForm,
        state: &PaperState,
        (role, by): (&str, &StaffId),
    ) -> Result<Appended, Error> {
        const UPDATE: &str = "
            UPDATE paper_forms SET state = $1, paper_day = $2, application = $3, applicant = $4, typed_by = $5,
                confirmed_by = $6, version = version + 1, changed_at = $7
            WHERE number = $8 AND version = $9";
        const KNOWN: &str = "SELECT count(*) FROM paper_forms WHERE number = $1";
        let (day, application, applicant, typed_by, confirmed_by) = match state {
            PaperState::GivenOut | PaperState::Void => (None, None, None, None, None),
            PaperState::Typed {
                day,
                application,
                applicant,
                by,
            } => {
                let frozen = json(&ApplicantForm::from(&**applicant))?;
                (Some(day), Some(application), Some(frozen), Some(by), None)
            }
            PaperState::Filed {
                day,
                application,
                typed_by,
                confirmed_by,
            } => (
                Some(day),
                Some(application),
                None,
                Some(typed_by),
                Some(confirmed_by),
            ),
        };
        let at = self.millis();
        let rows = write_on_engine!(self, |c| sqlx::query(UPDATE)
            .bind(state.name())
            .bind(day.map(ToString::to_string))
            .bind(application.map(ToString::to_string))
            .bind(applicant.as_deref())
            .bind(typed_by.map(StaffId::as_str))
            .bind(confirmed_by.map(StaffId::as_str))
            .bind(at)
            .bind(form.number.as_str())
            .bind(form.version)
            .execute(c))?;
        self.written(rows, "paper form", KNOWN, form.number.as_str())
            .await?;
        let detail = application.map_or_else(
            || "{}".to_owned(),
            |application| format!(r#"{{"application":"{application}"}}"#),
        );
        self.append(Entry {
            role,
            actor: by.as_str(),
            action: &format!("paper form {}", state.name()),
            subject: &form.number.to_string(),
            detail: &detail,
        })
        .await
    }
}
