//! What a case decides on, as it was frozen when its intake ended. Rows change their state and nothing else.

use permit_domain::{
    Actor as _, Application, ApplicationId, Approver, CaseContent, Content, ContentState, IntakeClerk,
    Reviewer,
};

use crate::{
    entry::Entry,
    error::Error,
    rows::{damaged, present, present_value, value},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

/// The columns of live content in a query of applications; empty where there is none.
#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    content_version: Option<i64>,
    content_clerk: Option<String>,
    content: Option<Vec<u8>>,
    content_digest: Option<Vec<u8>>,
    content_state: Option<String>,
    content_reviewer: Option<String>,
    content_approver: Option<String>,
}

impl Row {
    pub(crate) fn of(self, application: ApplicationId) -> Result<Option<CaseContent>, Error> {
        let Some(version) = self.content_version else {
            return Ok(None);
        };
        let content = Content::freeze(present(self.content, "case_contents.content")?);
        if self.content_digest.as_deref() != Some(content.digest().as_bytes().as_slice()) {
            return Err(damaged("case_contents.content"));
        }
        let reviewer =
            || present_value::<Reviewer>(self.content_reviewer.as_deref(), "case_contents.reviewer");
        let approver =
            || present_value::<Approver>(self.content_approver.as_deref(), "case_contents.approver");
        let state = match self.content_state.as_deref() {
            Some("COMPLETED") => ContentState::Completed,
            Some("REVIEWED") => ContentState::Reviewed {
                reviewer: reviewer()?,
            },
            Some("SIGNED") => ContentState::Signed {
                reviewer: reviewer()?,
                approver: approver()?,
            },
            _ => return Err(damaged("case_contents.state")),
        };
        let clerk: IntakeClerk = value(
            &present(self.content_clerk, "case_contents.clerk")?,
            "case_contents.clerk",
        )?;
        Ok(Some(CaseContent::from_ledger(
            application,
            version,
            clerk,
            content,
            state,
        )))
    }
}

impl Snapshot {
    /// The number of the newest version that an application ever had; 0: none.
    ///
    /// # Errors
    /// Outages.
    pub async fn last_content_version(&mut self, application: ApplicationId) -> Result<i64, Error> {
        const LAST: &str = "SELECT COALESCE(max(version), 0) FROM case_contents WHERE application = $1";
        on_engine!(self, |c| sqlx::query_scalar(LAST)
            .bind(application.to_string())
            .fetch_one(c))
    }
}

impl Transaction {
    /// Stores content with which intake ended, with the application as it stands then.
    ///
    /// # Errors
    /// [`Error::Exists`] where a version is live; [`Error::Stale`], [`Error::Missing`];
    /// [`permit_domain::Error::WrongState`] for content that is not new; outages.
    pub async fn insert_case_content(
        &mut self,
        content: &CaseContent,
        application: Option<Application>,
    ) -> Result<Appended, Error> {
        const INSERT: &str = "
            INSERT INTO case_contents (application, version, clerk, content, content_digest, state, completed_at, changed_at)
            VALUES ($1, $2, $3, $4, $5, 'COMPLETED', $6, $7)";
        if !matches!(content.state(), ContentState::Completed) {
            return Err(wrong(content, "storing it as new"));
        }
        if let Some(application) = application {
            // The entry of the content tells it.
            self.update_row(&application).await?;
        }
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(content.application().to_string())
            .bind(content.version())
            .bind(content.clerk().staff().as_str())
            .bind(content.content().bytes().to_vec())
            .bind(content.content().digest().as_bytes().to_vec())
            .bind(at)
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("content"))?;
        self.append_content(content, (IntakeClerk::ROLE, content.clerk().staff().as_str()))
            .await
    }

    /// Stores live content after a transition, by role and name of who did it.
    ///
    /// # Errors
    /// [`Error::Stale`] if it is not live any more; [`permit_domain::Error::WrongState`] for content that is new; outages.
    pub async fn update_case_content(
        &mut self,
        content: &CaseContent,
        by: (&str, &str),
    ) -> Result<Appended, Error> {
        const UPDATE: &str = "
            UPDATE case_contents SET state = $1, reviewer = COALESCE($2, reviewer), approver = COALESCE($3, approver),
                changed_at = $4
            WHERE application = $5 AND version = $6 AND content_digest = $7 AND state IN ('COMPLETED', 'REVIEWED', 'SIGNED')";
        let (reviewer, approver) = match content.state() {
            ContentState::Completed => return Err(wrong(content, "storing it as advanced")),
            ContentState::Reviewed { reviewer } => (Some(reviewer), None),
            ContentState::Signed { reviewer, approver } => (Some(reviewer), Some(approver)),
            ContentState::Used | ContentState::Superseded => (None, None),
        };
        let at = self.millis();
        let rows = write_on_engine!(self, |c| sqlx::query(UPDATE)
            .bind(content.state().name())
            .bind(reviewer.map(|by| by.staff().as_str()))
            .bind(approver.map(|by| by.staff().as_str()))
            .bind(at)
            .bind(content.application().to_string())
            .bind(content.version())
            .bind(content.content().digest().as_bytes().to_vec())
            .execute(c))?;
        if rows != 1 {
            return Err(Error::Stale { what: "content" });
        }
        self.append_content(content, by).await
    }

    async fn append_content(
        &mut self,
        content: &CaseContent,
        (role, actor): (&str, &str),
    ) -> Result<Appended, Error> {
        self.append(Entry {
            role,
            actor,
            action: &format!("content {}", content.state().name()),
            subject: &content.application().to_string(),
            detail: &format!(
                r#"{{"version":{},"content":"{}"}}"#,
                content.version(),
                content.content().digest()
            ),
        })
        .await
    }
}

fn wrong(content: &CaseContent, wanted: &'static str) -> Error {
    permit_domain::Error::WrongState {
        thing: "content",
        state: content.state().name(),
        wanted,
    }
    .into()
}
