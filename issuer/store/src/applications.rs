//! Persons, their applications and the decisions on them.
//!
//! The applicant is frozen at submission, the decision at review. Left out: drafts, scans, notices.

use jiff::{Timestamp, civil::Date};
use permit_domain::{
    Actor as _, Applicant, ApplicantForm, Application, ApplicationId, ApplicationState, Approver,
    CaseContent, CitizenNumber, Decision, IntakeClerk, Permit, PersonId, Reviewer,
};

use crate::{
    case_contents,
    entry::Entry,
    error::Error,
    rows::{damaged, instant, json, present_date, present_value, value},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

/// What the ledger says of an application that was withdrawn.
const WITHDRAWN: &str = "application WITHDRAWN";

/// A new application.
#[derive(Debug)]
pub struct Submission<'a> {
    /// Its new id.
    pub id: ApplicationId,
    /// Whose it is.
    pub person: PersonId,
    /// The facts.
    pub applicant: &'a Applicant,
    /// Who takes it.
    pub intake: IntakeClerk,
    /// The day, in the time zone of the province.
    pub on: Date,
}

/// An application with its frozen papers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApplication {
    /// Who, and where it stands.
    pub application: Application,
    /// The facts as submitted.
    pub applicant: Applicant,
    /// The day of submission.
    pub submitted_on: Date,
    /// The day of acceptance, once accepted, whatever came after.
    pub accepted_on: Option<Date>,
    /// The decision, once reviewed; none while what is decided on changed since.
    pub decision: Option<Decision>,
    /// What the case decides on, from the end of intake until its card is handed over.
    pub content: Option<CaseContent>,
    /// When the row was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

/// A query of whole applications, by what ends it.
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT a.id, a.person, a.applicant, a.submitted_on, a.state, a.intake, a.accepted_on, a.reviewer, a.approver,
                    a.permit, a.version, a.created_at, a.changed_at, d.body AS decision,
                    c.version AS content_version, c.clerk AS content_clerk, c.content, c.content_digest,
                    c.state AS content_state, c.reviewer AS content_reviewer, c.approver AS content_approver
             FROM applications a
             LEFT JOIN decisions d ON d.application = a.id
                 AND d.version = (SELECT max(n.version) FROM decisions n WHERE n.application = a.id)
             LEFT JOIN case_contents c ON c.application = a.id AND c.state IN ('COMPLETED', 'REVIEWED', 'SIGNED') ",
            $which
        )
    };
}

const SELECT: &str = select!("WHERE a.id = $1");
#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    person: String,
    applicant: String,
    submitted_on: String,
    state: String,
    intake: String,
    accepted_on: Option<String>,
    reviewer: Option<String>,
    approver: Option<String>,
    permit: Option<String>,
    version: i64,
    created_at: i64,
    changed_at: i64,
    decision: Option<String>,
    #[sqlx(flatten)]
    content: case_contents::Row,
}

impl TryFrom<Row> for StoredApplication {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let reviewer = || present_value::<Reviewer>(row.reviewer.as_deref(), "applications.reviewer");
        let state = match row.state.as_str() {
            "APPLIED" => ApplicationState::Applied,
            "NEEDS_MORE" => ApplicationState::NeedsMore,
            "ACCEPTED" => ApplicationState::Accepted {
                on: present_date(row.accepted_on.as_deref(), "applications.accepted_on")?,
            },
            "REFUSED" => ApplicationState::Refused {
                reviewer: reviewer()?,
            },
            "REVIEWED" => ApplicationState::Reviewed {
                reviewer: reviewer()?,
            },
            "APPROVED" => ApplicationState::Approved {
                reviewer: reviewer()?,
                approver: present_value::<Approver>(row.approver.as_deref(), "applications.approver")?,
                permit: present_value(row.permit.as_deref(), "applications.permit")?,
            },
            "WITHDRAWN" => ApplicationState::Withdrawn,
            _ => {
                return Err(damaged("applications.state"));
            }
        };
        let accepted_on = row
            .accepted_on
            .as_deref()
            .map(|day| value(day, "applications.accepted_on"))
            .transpose()?;
        let submitted_on: Date = value(&row.submitted_on, "applications.submitted_on")?;
        let applicant = ApplicantForm::from_json(&row.applicant)
            .and_then(|form| form.into_filed(submitted_on))
            .map_err(|_| damaged("applications.applicant"))?;
        let decided = !matches!(state, ApplicationState::Accepted { .. });
        let decision = row
            .decision
            .filter(|_| decided)
            .map(|body| serde_json::from_str(&body).map_err(|_| damaged("decisions.body")))
            .transpose()?;
        let id = value(&row.id, "applications.id")?;
        Ok(Self {
            content: row.content.of(id)?,
            application: Application::from_ledger(
                id,
                value(&row.person, "applications.person")?,
                value(&row.intake, "applications.intake")?,
                state,
                row.version,
            ),
            applicant,
            submitted_on,
            accepted_on,
            decision,
            created_at: instant(row.created_at, "applications.created_at")?,
            changed_at: instant(row.changed_at, "applications.changed_at")?,
        })
    }
}

/// The columns of a state.
#[derive(Default)]
struct Columns {
    accepted_on: Option<String>,
    reviewer: Option<String>,
    approver: Option<String>,
    permit: Option<String>,
}

fn columns(state: &ApplicationState) -> Columns {
    let mut c = Columns::default();
    match state {
        ApplicationState::Accepted { on } => c.accepted_on = Some(on.to_string()),
        ApplicationState::Refused { reviewer } | ApplicationState::Reviewed { reviewer } => {
            c.reviewer = Some(reviewer.staff().to_string());
        }
        ApplicationState::Approved {
            reviewer,
            approver,
            permit,
        } => {
            c.reviewer = Some(reviewer.staff().to_string());
            c.approver = Some(approver.staff().to_string());
            c.permit = Some(permit.to_string());
        }
        ApplicationState::Applied | ApplicationState::NeedsMore | ApplicationState::Withdrawn => {}
    }
    c
}

impl Snapshot {
    /// The id under which the ledger knows a citizen number.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn person(&mut self, number: &CitizenNumber) -> Result<Option<PersonId>, Error> {
        const PERSON: &str = "SELECT id FROM persons WHERE citizen_number = $1";
        let id: Option<String> = on_engine!(self, |c| sqlx::query_scalar(PERSON)
            .bind(number.as_str())
            .fetch_optional(c))?;
        id.map(|id| value(&id, "persons.id")).transpose()
    }

    /// An application with its applicant and its decision.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn application(&mut self, id: ApplicationId) -> Result<Option<StoredApplication>, Error> {
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT)
            .bind(id.to_string())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// The applications whose live content is in a state, and of whose permit no card is made yet; those that were accepted first
    /// first, at most `limit`.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn applications_with_content(
        &mut self,
        state: &str,
        limit: u32,
    ) -> Result<Vec<StoredApplication>, Error> {
        const IN: &str = select!(
            "LEFT JOIN permits p ON p.application = a.id
             WHERE c.state = $1 AND (a.state IN ('ACCEPTED', 'REVIEWED') OR p.state = 'APPROVED')
             ORDER BY a.accepted_on, a.created_at, a.id LIMIT $2"
        );
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(IN)
            .bind(state)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The applications whose intake is to be completed: accepted ones, and those whose permit waits for a card; those that were
    /// accepted first first, at most `limit`.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn applications_to_complete(&mut self, limit: u32) -> Result<Vec<StoredApplication>, Error> {
        const TO_COMPLETE: &str = select!(
            "LEFT JOIN permits p ON p.application = a.id
             WHERE c.version IS NULL AND (a.state IN ('ACCEPTED', 'REVIEWED') OR p.state = 'APPROVED')
             ORDER BY a.accepted_on, a.created_at, a.id LIMIT $1"
        );
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(TO_COMPLETE)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The applications that were accepted on this day or before and whose first card is not made yet, those that were accepted first
    /// first, at most `limit`.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn applications_unissued(
        &mut self,
        accepted_by: Date,
        limit: u32,
    ) -> Result<Vec<StoredApplication>, Error> {
        const UNISSUED: &str = select!(
            "LEFT JOIN permits p ON p.application = a.id
             WHERE a.accepted_on <= $1 AND (a.state IN ('ACCEPTED', 'REVIEWED')
                OR (p.state IN ('APPROVED', 'IN_PRODUCTION') AND NOT EXISTS
                    (SELECT 1 FROM orders o WHERE o.permit = p.id AND o.state = 'HANDED_OVER')))
             ORDER BY a.accepted_on, a.created_at, a.id LIMIT $2"
        );
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(UNISSUED)
            .bind(accepted_by.to_string())
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// How many cases wait by the state of their content (`TO_COMPLETE` where there is none), and how many orders, changes and cards for
    /// somebody: state (`CONTENT_` and `CHANGE_` before those of content and of a change, `CARD_TO_ALLOW`, `TO_DESTROY`) and number.
    ///
    /// # Errors
    /// Outages.
    pub async fn waiting(&mut self) -> Result<Vec<(String, i64)>, Error> {
        const WAITING: &str = "
            SELECT COALESCE('CONTENT_' || c.state, 'TO_COMPLETE') AS waits, count(*) FROM applications a
                LEFT JOIN permits p ON p.application = a.id
                LEFT JOIN case_contents c ON c.application = a.id AND c.state IN ('COMPLETED', 'REVIEWED', 'SIGNED')
                WHERE a.state IN ('ACCEPTED', 'REVIEWED') OR p.state = 'APPROVED' GROUP BY waits
            UNION ALL SELECT state, count(*) FROM orders WHERE state NOT IN ('HANDED_OVER', 'GIVEN_UP') GROUP BY state
            UNION ALL SELECT 'CHANGE_' || state, count(*) FROM changes
                      WHERE state IN ('PROPOSED', 'ORDERED', 'WRITING') GROUP BY state
            UNION ALL SELECT 'CARD_TO_ALLOW', count(*) FROM cards WHERE allow_proposed_by IS NOT NULL
            UNION ALL SELECT 'PHOTO_TO_CONFIRM', count(*) FROM photos_to_confirm w JOIN applications a ON a.id = w.application
                      WHERE a.state NOT IN ('REFUSED', 'WITHDRAWN')
            UNION ALL SELECT 'TO_DESTROY', count(*) FROM scraps WHERE state = 'OPEN'";
        Ok(on_engine!(self, |c| sqlx::query_as(WAITING).fetch_all(c))?)
    }

    /// The application that was filed in place of this one, as its withdrawal says.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn corrected_as(&mut self, id: ApplicationId) -> Result<Option<ApplicationId>, Error> {
        let entries = self.ledger_of(&id.to_string()).await?;
        let Some(withdrawal) = entries.iter().rfind(|entry| entry.action == WITHDRAWN) else {
            return Ok(None);
        };
        let detail: serde_json::Value =
            serde_json::from_str(&withdrawal.detail).map_err(|_| damaged("events.detail"))?;
        detail["corrected_as"]
            .as_str()
            .map(|id| value(id, "events.detail"))
            .transpose()
    }

    /// The application in place of which this one was filed; none where it corrects nothing.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn corrects(&mut self, id: ApplicationId) -> Result<Option<ApplicationId>, Error> {
        const BEFORE: &str = "
            SELECT b.id FROM applications a JOIN applications b ON b.person = a.person AND b.id <> a.id
            WHERE a.id = $1 AND b.state = 'WITHDRAWN' ORDER BY b.created_at, b.id";
        let ids: Vec<String> = on_engine!(self, |c| sqlx::query_scalar(BEFORE)
            .bind(id.to_string())
            .fetch_all(c))?;
        for before in &ids {
            let before = value(before, "applications.id")?;
            if self.corrected_as(before).await? == Some(id) {
                return Ok(Some(before));
            }
        }
        Ok(None)
    }

    /// The application of a person that was filed last.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn newest_application(&mut self, person: PersonId) -> Result<Option<ApplicationId>, Error> {
        const NEWEST: &str =
            "SELECT id FROM applications WHERE person = $1 ORDER BY created_at DESC, id DESC LIMIT 1";
        let id: Option<String> = on_engine!(self, |c| sqlx::query_scalar(NEWEST)
            .bind(person.to_string())
            .fetch_optional(c))?;
        id.map(|id| value(&id, "applications.id")).transpose()
    }

    /// The application of a person that is still open: a unique index keeps it the only one.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn open_application(&mut self, person: PersonId) -> Result<Option<ApplicationId>, Error> {
        const OPEN: &str = "
            SELECT id FROM applications
            WHERE person = $1 AND state IN ('APPLIED', 'NEEDS_MORE', 'ACCEPTED', 'REVIEWED')";
        let id: Option<String> = on_engine!(self, |c| sqlx::query_scalar(OPEN)
            .bind(person.to_string())
            .fetch_optional(c))?;
        id.map(|id| value(&id, "applications.id")).transpose()
    }
}

impl Transaction {
    /// Stores a person of a citizen number that the ledger does not know.
    ///
    /// # Errors
    /// [`Error::Exists`] for an id or number that it knows; outages.
    pub async fn insert_person(&mut self, id: PersonId, number: &CitizenNumber) -> Result<(), Error> {
        const INSERT: &str = "INSERT INTO persons (id, citizen_number, created_at) VALUES ($1, $2, $3)";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(id.to_string())
            .bind(number.as_str())
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("person"))?;
        Ok(())
    }

    /// Stores a new application.
    ///
    /// # Errors
    /// [`Error::Exists`] for a used id, or a person who has an open one; outages.
    pub async fn insert_application(
        &mut self,
        new: &Submission<'_>,
    ) -> Result<(Application, Appended), Error> {
        const INSERT: &str = "
            INSERT INTO applications (id, person, applicant, submitted_on, state, intake, version, created_at,
                                      changed_at)
            VALUES ($1, $2, $3, $4, 'APPLIED', $5, 1, $6, $7)";
        let (at, id) = (self.millis(), new.id.to_string());
        let frozen = json(&ApplicantForm::from(new.applicant))?;
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(id.as_str())
            .bind(new.person.to_string())
            .bind(frozen)
            .bind(new.on.to_string())
            .bind(new.intake.staff().as_str())
            .bind(at)
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("application"))?;
        let application = Application::new(new.id, new.person, new.intake.clone());
        let appended = self.append_of(&application).await?;
        Ok((application, appended))
    }

    /// Stores an application after a transition: acceptance, a notice of missing papers. The others have functions of their
    /// own, for they come with a decision, a permit, or somebody whom the application does not name.
    ///
    /// # Errors
    /// [`Error::Stale`] if the row changed since it was read, [`Error::Missing`]; [`permit_domain::Error::WrongState`]
    /// for a state that comes with more; outages.
    pub async fn update_application(
        &mut self,
        application: Application,
    ) -> Result<(Application, Appended), Error> {
        if !matches!(
            application.state(),
            ApplicationState::NeedsMore | ApplicationState::Accepted { .. }
        ) {
            return Err(wrong(&application, "storing it alone"));
        }
        let appended = self.update(&application).await?;
        Ok((application.newer(), appended))
    }

    /// Stores a withdrawal, by whoever took it; `corrected_as` is the application that is filed in its place.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Missing`]; [`permit_domain::Error::WrongState`] for another state; outages.
    pub async fn withdraw_application(
        &mut self,
        application: Application,
        by: &IntakeClerk,
        corrected_as: Option<ApplicationId>,
    ) -> Result<(Application, Appended), Error> {
        if !matches!(application.state(), ApplicationState::Withdrawn) {
            return Err(wrong(&application, "storing it as withdrawn"));
        }
        self.update_row(&application).await?;
        let detail =
            corrected_as.map_or_else(|| "{}".to_owned(), |id| format!(r#"{{"corrected_as":"{id}"}}"#));
        let appended = self
            .append(Entry {
                role: IntakeClerk::ROLE,
                actor: by.staff().as_str(),
                action: WITHDRAWN,
                subject: &application.id().to_string(),
                detail: &detail,
            })
            .await?;
        Ok((application.newer(), appended))
    }

    /// Stores a review and its decision together; `version` is that of the content that was reviewed.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Missing`] (also of a rule set that is not published);
    /// [`permit_domain::Error::WrongState`] for values that do not belong together; outages.
    pub async fn insert_review(
        &mut self,
        application: Application,
        version: i64,
        decision: &Decision,
    ) -> Result<(Application, Appended), Error> {
        const INSERT: &str = "
            INSERT INTO decisions (application, version, reviewer, tier, rule_set, rule_digest, body, made_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let reviewer = match application.state() {
            ApplicationState::Refused { reviewer } if decision.tier.is_none() => reviewer,
            ApplicationState::Reviewed { reviewer } if decision.tier.is_some() => reviewer,
            _ => return Err(wrong(&application, "storing this decision with it")),
        };
        let appended = self.update(&application).await?;
        let (at, body) = (self.millis(), json(decision)?);
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(application.id().to_string())
            .bind(version)
            .bind(reviewer.staff().as_str())
            .bind(decision.tier.map(permit_domain::Tier::as_str))
            .bind(decision.rule_set.as_str())
            .bind(decision.rule_digest.as_bytes().to_vec())
            .bind(body)
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("rule set"))?;
        Ok((application.newer(), appended))
    }

    /// Stores an approval and the permit that it grants together.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Missing`], [`Error::Exists`] for a person who has a permit;
    /// [`permit_domain::Error::WrongState`] for values that do not belong together; outages.
    pub async fn insert_approval(
        &mut self,
        application: Application,
        permit: &Permit,
    ) -> Result<(Application, Appended), Error> {
        const INSERT: &str = "
            INSERT INTO permits (id, person, application, tier, rule_set, anchor, valid_from, valid_to, state, version,
                                 created_at, changed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'APPROVED', 1, $9, $10)";
        let grant = permit.grant();
        let approver = match application.state() {
            ApplicationState::Approved {
                permit: id, approver, ..
            } if *id == permit.id()
                && grant.application == application.id()
                && grant.person == application.person() =>
            {
                approver
            }
            _ => return Err(wrong(&application, "storing this permit with it")),
        };
        let _first = self.update(&application).await?;
        let (at, id) = (self.millis(), permit.id().to_string());
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(id.as_str())
            .bind(grant.person.to_string())
            .bind(grant.application.to_string())
            .bind(grant.tier.as_str())
            .bind(grant.rule_set.as_str())
            .bind(grant.anchor.to_string())
            .bind(grant.valid_from.to_string())
            .bind(grant.valid_to.to_string())
            .bind(at)
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("permit"))?;
        let appended = self
            .append(Entry {
                role: Approver::ROLE,
                actor: approver.staff().as_str(),
                action: "permit APPROVED",
                subject: &id,
                detail: "{}",
            })
            .await?;
        Ok((application.newer(), appended))
    }

    async fn update(&mut self, application: &Application) -> Result<Appended, Error> {
        self.update_row(application).await?;
        self.append_of(application).await
    }

    pub(crate) async fn update_row(&mut self, application: &Application) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE applications SET state = $1, accepted_on = COALESCE($2, accepted_on),
                reviewer = COALESCE($3, reviewer), approver = COALESCE($4, approver), permit = COALESCE($5, permit),
                version = version + 1, changed_at = $6
            WHERE id = $7 AND version = $8";
        const KNOWN: &str = "SELECT count(*) FROM applications WHERE id = $1";
        let (at, id) = (self.millis(), application.id().to_string());
        let columns = columns(application.state());
        let rows = write_on_engine!(self, |c| sqlx::query(UPDATE)
            .bind(application.state().name())
            .bind(columns.accepted_on)
            .bind(columns.reviewer)
            .bind(columns.approver)
            .bind(columns.permit)
            .bind(at)
            .bind(id.as_str())
            .bind(application.version())
            .execute(c))?;
        self.written(rows, "application", KNOWN, &id).await
    }

    async fn append_of(&mut self, application: &Application) -> Result<Appended, Error> {
        let (role, actor) = application.last_actor();
        self.append(Entry {
            role,
            actor,
            action: &format!("application {}", application.state().name()),
            subject: &application.id().to_string(),
            detail: "{}",
        })
        .await
    }
}

fn wrong(application: &Application, wanted: &'static str) -> Error {
    permit_domain::Error::WrongState {
        thing: "application",
        state: application.state().name(),
        wanted,
    }
    .into()
}
