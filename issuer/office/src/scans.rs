//! Papers of a case (材料), scanned or photographed: kept, seen and removed while it is decided, gone when it is over. The pictures stay in
//! the photo store; each look is on record there before a byte leaves.
//!
//! A page is of a paper that the application names. Until intake ends its clerk removes what was scanned by mistake; from then on pages are
//! only added, so that nobody takes away what was reviewed. Left out: what the papers say, which the facts of the case hold.

use issuer_store::Entry;
use permit_domain::{Application, ApplicationId, Error as DomainError, EvidenceCode, StaffId};
use photo_store_protocol as photo;

use crate::error::OfficeError;
use crate::office::Office;
use crate::on_file;
use crate::photo::{actor, case_number};
use crate::staff::StaffRole;

/// Who scans the papers of a case, and takes a page away again.
pub const SCANS: &[StaffRole] = &[StaffRole::IntakeClerk];
/// Who sees them: whoever takes in, reviews and signs off.
pub const SEES: &[StaffRole] = &[StaffRole::IntakeClerk, StaffRole::Reviewer, StaffRole::Approver];

impl Office {
    /// Keeps a page of a paper that the application names. The same file for the same paper again is the same page.
    ///
    /// # Errors
    /// [`OfficeError::PaperNotNamed`]; [`OfficeError::PageRefused`] for what cannot be read; [`DomainError::WrongState`] for a case
    /// that is decided; the photo store's, such as `TOO_MANY_PAGES`.
    pub async fn keep_page(
        &self,
        application: ApplicationId,
        paper: EvidenceCode,
        file: Vec<u8>,
        by: &StaffId,
    ) -> Result<photo::PageStatus, OfficeError> {
        let case = self.application(application).await?;
        undecided(&case.application, "scanning a paper")?;
        if !case.applicant.evidence.iter().any(|named| named.code == paper) {
            return Err(OfficeError::PaperNotNamed);
        }
        self.open_photo_case(application, by).await?;
        let number = case_number(&application.to_string())?;
        let mut photos = self.photo_store().await?;
        let known = photos.pages(number.clone()).await?;
        let page = photo::NewPage {
            case: number,
            person: photo::PersonId::from_bytes(*case.application.person().as_bytes()),
            paper: paper.code().parse().map_err(photo::Error::Failed)?,
            by: actor(by)?,
            file,
        };
        match photos.keep_page(page).await? {
            photo::PageKept::Refused(code) => Err(OfficeError::PageRefused(code)),
            photo::PageKept::Kept(page) => {
                if !known.contains(&page) {
                    self.page_entry(application, "paper SCANNED", &page, by).await?;
                }
                Ok(page)
            }
        }
    }

    /// The pages of a case, in the order in which they came.
    ///
    /// # Errors
    /// The photo store's.
    pub async fn pages_of(&self, application: ApplicationId) -> Result<Vec<photo::PageStatus>, OfficeError> {
        let number = case_number(&application.to_string())?;
        Ok(self.photo_store().await?.pages(number).await?)
    }

    /// A page of the case, while that is open; on record before a byte leaves.
    ///
    /// # Errors
    /// `UNKNOWN_PAGE`, `CASE_NOT_OPEN` also for a page of another case, and the photo store's others.
    pub async fn look_at_page(
        &self,
        application: ApplicationId,
        page: photo::PageId,
        by: &StaffId,
    ) -> Result<photo::PagePicture, OfficeError> {
        let look = photo::PageLook {
            page,
            purpose: photo::Purpose::Review,
            case: case_number(&application.to_string())?,
            reader: actor(by)?,
        };
        Ok(self.photo_store().await?.look_at_page(look).await?)
    }

    /// Takes a page away that was scanned by mistake, or that another one replaces.
    ///
    /// # Errors
    /// [`DomainError::WrongState`] once intake has ended; as [`Office::look_at_page`].
    pub async fn remove_page(
        &self,
        application: ApplicationId,
        page: photo::PageId,
        by: &StaffId,
    ) -> Result<(), OfficeError> {
        let case = self.application(application).await?;
        undecided(&case.application, "removing a page")?;
        if let Some(content) = &case.content {
            return Err(DomainError::WrongState {
                thing: "content",
                state: content.state().name(),
                wanted: "removing a page",
            }
            .into());
        }
        let number = case_number(&application.to_string())?;
        let mut photos = self.photo_store().await?;
        let known = photos.pages(number.clone()).await?;
        photos.remove_page(page, number, actor(by)?).await?;
        // Taken away before, and told twice: nothing is entered.
        match known.iter().find(|known| known.page == page) {
            Some(removed) => self.page_entry(application, "paper REMOVED", removed, by).await,
            None => Ok(()),
        }
    }

    /// Who looked at the pages of the applicant's cases, refused attempts too, the newest first.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; the photo store's.
    pub async fn page_looks(
        &self,
        application: ApplicationId,
    ) -> Result<Vec<photo::PageLooked>, OfficeError> {
        let case = on_file::application(&mut self.read().await?, application).await?;
        let person = photo::PersonId::from_bytes(*case.application.person().as_bytes());
        Ok(self.photo_store().await?.page_looks(person).await?)
    }

    async fn page_entry(
        &self,
        application: ApplicationId,
        action: &str,
        page: &photo::PageStatus,
        by: &StaffId,
    ) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        let entry = Entry {
            role: "intake clerk",
            actor: by.as_str(),
            action,
            subject: &application.to_string(),
            detail: &format!(r#"{{"paper":"{}","page":"{}"}}"#, page.paper, page.page),
        };
        let appended = tx.append(entry).await?;
        Ok(tx.commit(appended).await?)
    }
}

/// Refuses a case that is decided.
fn undecided(case: &Application, wanted: &'static str) -> Result<(), DomainError> {
    if case.state().is_open() {
        return Ok(());
    }
    Err(DomainError::WrongState {
        thing: "application",
        state: case.state().name(),
        wanted,
    })
}
