//! Applications and the decisions on them.
//!
//! The applicant is frozen at submission, the decision at review. Left out: drafts, scans, notices.

use jiff::{Timestamp, civil::Date};
use permit_domain::{
    Actor as _, Applicant, ApplicantForm, Application, ApplicationId, ApplicationState, Approver,
    CitizenNumber, Decision, IntakeClerk, Permit, PersonId, Reviewer,
};

use crate::{
    Error, Store,
    ledger::{Entry, append, writing},
    permits,
    rows::{instant, millis, present_date, present_value, value},
    store::on_engine,
};

/// A new application.
#[derive(Debug)]
pub struct Submission<'a> {
    /// Its new id.
    pub id: ApplicationId,
    /// The id that the person gets if the ledger does not know the citizen number yet.
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
    /// The decision, once reviewed.
    pub decision: Option<Decision>,
    /// When the row was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

const SELECT: &str = "
    SELECT a.id, a.person, a.applicant, a.submitted_on, a.state, a.intake, a.accepted_on, a.reviewer, a.approver,
           a.permit, a.version, a.created_at, a.changed_at, d.body AS decision
    FROM applications a LEFT JOIN decisions d ON d.application = a.id
    WHERE a.id = $1";
const UPDATE: &str = "
    UPDATE applications SET state = $1, accepted_on = COALESCE($2, accepted_on), reviewer = COALESCE($3, reviewer),
        approver = COALESCE($4, approver), permit = COALESCE($5, permit), version = version + 1, changed_at = $6
    WHERE id = $7 AND version = $8";

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
                return Err(Error::Damaged {
                    what: "applications.state".to_owned(),
                });
            }
        };
        let accepted_on = row
            .accepted_on
            .as_deref()
            .map(|day| value(day, "applications.accepted_on"))
            .transpose()?;
        let submitted_on: Date = value(&row.submitted_on, "applications.submitted_on")?;
        let damaged = |what: &str| Error::Damaged {
            what: what.to_owned(),
        };
        let applicant = ApplicantForm::from_json(&row.applicant)
            .and_then(|form| form.into_applicant(submitted_on))
            .map_err(|_| damaged("applications.applicant"))?;
        let decision = row
            .decision
            .map(|body| serde_json::from_str(&body).map_err(|_| damaged("decisions.body")))
            .transpose()?;
        Ok(Self {
            application: Application::from_ledger(
                value(&row.id, "applications.id")?,
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

/// The states that may stand before this one: the transitions of the domain, checked once more against the row.
fn before(state: &ApplicationState) -> &'static [&'static str] {
    match state {
        ApplicationState::Applied => &[],
        ApplicationState::NeedsMore | ApplicationState::Accepted { .. } => &["APPLIED", "NEEDS_MORE"],
        ApplicationState::Refused { .. } | ApplicationState::Reviewed { .. } => &["ACCEPTED"],
        ApplicationState::Approved { .. } => &["REVIEWED"],
        ApplicationState::Withdrawn => &["APPLIED", "NEEDS_MORE", "ACCEPTED", "REVIEWED"],
    }
}

/// Refuses a row that is another one by now, or a state that does not follow.
pub(crate) fn follows(
    what: &'static str,
    found: Option<(String, i64)>,
    version: i64,
    before: &[&str],
) -> Result<(), Error> {
    match found {
        None => Err(Error::Missing { what }),
        Some((state, found)) if found == version && before.contains(&state.as_str()) => Ok(()),
        Some(_) => Err(Error::Stale { what }),
    }
}

const STATE: &str = "SELECT state, version FROM applications WHERE id = $1";

/// Stores a changed application in the transaction.
macro_rules! update {
    ($tx:ident, $head:ident, $application:expr, $at:expr) => {{
        let application: &Application = $application;
        let id = application.id().to_string();
        let found: Option<(String, i64)> = sqlx::query_as(STATE)
            .bind(id.as_str())
            .fetch_optional(&mut *$tx)
            .await?;
        follows(
            "application",
            found,
            application.version(),
            before(application.state()),
        )?;
        let c = columns(application.state());
        sqlx::query(UPDATE)
            .bind(application.state().name())
            .bind(c.accepted_on)
            .bind(c.reviewer)
            .bind(c.approver)
            .bind(c.permit)
            .bind(millis($at))
            .bind(id.as_str())
            .bind(application.version())
            .execute(&mut *$tx)
            .await?;
        let (role, actor) = application.last_actor();
        let action = format!("application {}", application.state().name());
        append!(
            $tx,
            $head,
            $at,
            Entry {
                role,
                actor,
                action: &action,
                subject: &id,
                detail: "{}"
            }
        );
    }};
}

impl Store {
    /// Takes an application. A person who has a permit that has not ended, or an open application, gets none.
    ///
    /// # Errors
    /// [`Error::AlreadyHasPermit`], [`Error::ApplicationOpen`], [`Error::Exists`] for a used id; outages.
    pub async fn submit(&self, new: Submission<'_>, at: Timestamp) -> Result<Application, Error> {
        const PERSON: &str = "SELECT id FROM persons WHERE citizen_number = $1";
        const INSERT_PERSON: &str =
            "INSERT INTO persons (id, citizen_number, created_at) VALUES ($1, $2, $3)";
        const OPEN: &str = "
            SELECT id FROM applications
            WHERE person = $1 AND state IN ('APPLIED', 'NEEDS_MORE', 'ACCEPTED', 'REVIEWED')";
        const INSERT: &str = "
            INSERT INTO applications (id, person, applicant, submitted_on, state, intake, version, created_at,
                                      changed_at)
            VALUES ($1, $2, $3, $4, 'APPLIED', $5, 1, $6, $7)";

        let number = new.applicant.citizen_number.as_str();
        let frozen =
            serde_json::to_string(&ApplicantForm::from(new.applicant)).map_err(|_| Error::Refused {
                code: "JSON".to_owned(),
            })?;
        let id = new.id.to_string();
        let person: PersonId = writing!(self, |tx, head| {
            let known: Option<String> = sqlx::query_scalar(PERSON)
                .bind(number)
                .fetch_optional(&mut *tx)
                .await?;
            let person: PersonId = if let Some(person) = known {
                let permit: Option<String> = sqlx::query_scalar(permits::LIVE_PERMIT_ID)
                    .bind(person.as_str())
                    .fetch_optional(&mut *tx)
                    .await?;
                if let Some(permit) = permit {
                    return Err(Error::AlreadyHasPermit {
                        permit: value(&permit, "permits.id")?,
                    });
                }
                let open: Option<String> = sqlx::query_scalar(OPEN)
                    .bind(person.as_str())
                    .fetch_optional(&mut *tx)
                    .await?;
                if let Some(open) = open {
                    return Err(Error::ApplicationOpen {
                        application: value(&open, "applications.id")?,
                    });
                }
                value(&person, "persons.id")?
            } else {
                sqlx::query(INSERT_PERSON)
                    .bind(new.person.to_string())
                    .bind(number)
                    .bind(millis(at))
                    .execute(&mut *tx)
                    .await?;
                new.person
            };
            sqlx::query(INSERT)
                .bind(id.as_str())
                .bind(person.to_string())
                .bind(frozen.as_str())
                .bind(new.on.to_string())
                .bind(new.intake.staff().as_str())
                .bind(millis(at))
                .bind(millis(at))
                .execute(&mut *tx)
                .await?;
            append!(
                tx,
                head,
                at,
                Entry {
                    role: IntakeClerk::ROLE,
                    actor: new.intake.staff().as_str(),
                    action: "application APPLIED",
                    subject: &id,
                    detail: "{}",
                }
            );
            person
        });
        Ok(Application::new(new.id, person, new.intake))
    }

    /// The id under which the ledger knows a citizen number.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn person(&self, number: &CitizenNumber) -> Result<Option<PersonId>, Error> {
        const PERSON: &str = "SELECT id FROM persons WHERE citizen_number = $1";
        let id: Option<String> = on_engine!(self, |pool| {
            sqlx::query_scalar(PERSON)
                .bind(number.as_str())
                .fetch_optional(pool)
                .await?
        });
        id.map(|id| value(&id, "persons.id")).transpose()
    }

    /// An application with its applicant and its decision.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn application(&self, id: ApplicationId) -> Result<Option<StoredApplication>, Error> {
        let row: Option<Row> = on_engine!(self, |pool| sqlx::query_as(SELECT)
            .bind(id.to_string())
            .fetch_optional(pool)
            .await?);
        row.map(TryInto::try_into).transpose()
    }

    /// Stores an application after `accept`, `need_more` or `withdraw`. Reviews and approvals have functions of their
    /// own, because they come with a decision or a permit.
    ///
    /// # Errors
    /// [`Error::Stale`] if the row changed since it was read, [`Error::Missing`]; [`permit_domain::Error::WrongState`]
    /// for a state that comes with more; outages.
    pub async fn save_application(
        &self,
        application: Application,
        at: Timestamp,
    ) -> Result<Application, Error> {
        if !matches!(
            application.state(),
            ApplicationState::NeedsMore | ApplicationState::Accepted { .. } | ApplicationState::Withdrawn
        ) {
            return Err(wrong(&application, "storing it alone"));
        }
        writing!(self, |tx, head| {
            update!(tx, head, &application, at);
        });
        Ok(newer(&application))
    }

    /// Stores a review and its decision together. The rule set must be published.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Missing`] (of the application or of the rule set);
    /// [`permit_domain::Error::RuleSetEdited`] if the decision rests on another text than the published one; outages.
    pub async fn record_review(
        &self,
        application: Application,
        decision: &Decision,
        at: Timestamp,
    ) -> Result<Application, Error> {
        const PUBLISHED: &str = "SELECT digest FROM rule_sets WHERE id = $1";
        const INSERT: &str = "
            INSERT INTO decisions (application, reviewer, tier, rule_set, rule_digest, body, made_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";

        let (ApplicationState::Refused { reviewer } | ApplicationState::Reviewed { reviewer }) =
            application.state()
        else {
            return Err(wrong(&application, "storing its review"));
        };
        let granted = matches!(application.state(), ApplicationState::Reviewed { .. });
        if granted != decision.tier.is_some() {
            return Err(wrong(&application, "storing a decision that says otherwise"));
        }
        let body = serde_json::to_string(decision).map_err(|_| Error::Refused {
            code: "JSON".to_owned(),
        })?;
        writing!(self, |tx, head| {
            let published: Option<Vec<u8>> = sqlx::query_scalar(PUBLISHED)
                .bind(decision.rule_set.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            let Some(published) = published else {
                return Err(Error::Missing { what: "rule set" });
            };
            let published = crate::rule_sets::digest(published, "rule_sets.digest")?;
            if published != decision.rule_digest {
                let (id, now) = (decision.rule_set.clone(), decision.rule_digest);
                return Err(permit_domain::Error::RuleSetEdited { id, published, now }.into());
            }
            update!(tx, head, &application, at);
            sqlx::query(INSERT)
                .bind(application.id().to_string())
                .bind(reviewer.staff().as_str())
                .bind(decision.tier.map(permit_domain::Tier::as_str))
                .bind(decision.rule_set.as_str())
                .bind(decision.rule_digest.as_bytes().to_vec())
                .bind(body.as_str())
                .bind(millis(at))
                .execute(&mut *tx)
                .await?;
        });
        Ok(newer(&application))
    }

    /// Stores an approval and the permit that it grants together.
    ///
    /// # Errors
    /// [`Error::AlreadyHasPermit`], [`Error::Stale`], [`Error::Missing`]; outages.
    pub async fn record_approval(
        &self,
        application: Application,
        permit: &Permit,
        at: Timestamp,
    ) -> Result<Application, Error> {
        let ApplicationState::Approved {
            permit: id, approver, ..
        } = application.state()
        else {
            return Err(wrong(&application, "storing its approval"));
        };
        let grant = permit.grant();
        if *id != permit.id() || grant.application != application.id() || grant.person != application.person()
        {
            return Err(wrong(&application, "storing the permit of another application"));
        }
        writing!(self, |tx, head| {
            let live: Option<String> = sqlx::query_scalar(permits::LIVE_PERMIT_ID)
                .bind(application.person().to_string())
                .fetch_optional(&mut *tx)
                .await?;
            if let Some(live) = live {
                return Err(Error::AlreadyHasPermit {
                    permit: value(&live, "permits.id")?,
                });
            }
            update!(tx, head, &application, at);
            let id = permit.id().to_string();
            sqlx::query(permits::INSERT)
                .bind(id.as_str())
                .bind(grant.person.to_string())
                .bind(grant.application.to_string())
                .bind(grant.tier.as_str())
                .bind(grant.rule_set.as_str())
                .bind(grant.valid_from.to_string())
                .bind(grant.valid_to.to_string())
                .bind(millis(at))
                .bind(millis(at))
                .execute(&mut *tx)
                .await?;
            append!(
                tx,
                head,
                at,
                Entry {
                    role: Approver::ROLE,
                    actor: approver.staff().as_str(),
                    action: "permit APPROVED",
                    subject: &id,
                    detail: "{}",
                }
            );
        });
        Ok(newer(&application))
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

/// The application as it now stands in its row.
fn newer(a: &Application) -> Application {
    let version = a.version() + 1;
    Application::from_ledger(a.id(), a.person(), a.intake().clone(), a.state().clone(), version)
}
