//! Pages of papers: kept, seen and removed while their case is open, destroyed when it is over.
//!
//! Order of keeping, as for a photo: case open, room left -> same bytes? -> written anew by a decoder -> announced in the index -> data key
//! -> sealed object -> completed in the index. Order of a look: decided and on record -> data key -> object -> answer.

use hmac::{Hmac, KeyInit as _, Mac as _};
use keyvault_protocol::WrappedKey;
use photo_store_protocol::{
    Actor, CaseNumber, FailureCode, MAX_PAGES, NewPage, PageId, PageKept, PageLook, PageLooked, PagePicture,
    PageStatus, PersonId,
};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::keeping::objects;
use crate::keeping::seal;
use crate::keeping::store::pages::{NewPageRow, PageRow, SealedPage};
use crate::keeping::store::transaction::{Snapshot, Transaction};
use crate::keeping::vault::page_context;
use crate::service::Service;

/// The most lines of the record of looks in one answer.
const LOOKS_MAX: i64 = 1_000;
/// An announced page that is not completed after this many seconds was broken off.
const BROKEN_OFF_AFTER: i64 = 3_600;
/// No case takes this long, in seconds (180 days): fifteen working days to the card, ninety days until it is fetched.
const KEPT_AT_MOST: i64 = 180 * 86_400;

impl Service {
    /// Writes a page anew, seals it and keeps it for its open case.
    pub async fn keep_page(&self, mut new: NewPage) -> Result<PageKept, Error> {
        let file = Zeroizing::new(std::mem::take(&mut new.file));
        let digest = self.page_digest(&new, &file).await?;
        let mut index = self.store.read().await?;
        if let Some(page) = kept_already(&mut index, &new, &digest).await? {
            return Ok(PageKept::Kept(page.status));
        }
        drop(index);
        let place = self.decoding.acquire().await.map_err(|_| Error::Decoder)?;
        let made = self.decoder.page(file, &self.rules).await?;
        drop(place);
        let picture = match made {
            Ok(picture) => picture,
            Err(code) => return Ok(PageKept::Refused(code)),
        };
        let mut announced = NewPageRow {
            page: PageId::from_bytes(self.random()?),
            case: new.case.clone(),
            person: new.person,
            paper: new.paper.clone(),
            digest,
            by: new.by.clone(),
            at: self.now(),
        };
        let mut index = self.store.begin().await?;
        // The case may have been closed, or filled, while the page was decoded.
        if let Some(page) = kept_already(&mut index, &new, &digest).await? {
            return Ok(PageKept::Kept(page.status));
        }
        match index.same_page(&new.case, &digest).await? {
            // Another run announced it, and broke off or is at it just now: whichever comes first completes it.
            Some(page) => announced.page = page,
            None => index.announce_page(&announced).await?,
        }
        index.commit().await?;
        self.seal_page(&announced, &picture).await?;
        let row = self.store.read().await?.page(announced.page).await?;
        let row = row.ok_or(Error::Refused(FailureCode::UnknownPage))?;
        Ok(PageKept::Kept(row.status))
    }

    /// The pages of a case, in the order in which they came.
    pub async fn pages(&self, case: &CaseNumber) -> Result<Vec<PageStatus>, Error> {
        let rows = self.store.read().await?.pages(case).await?;
        Ok(rows.into_iter().map(|row| row.status).collect())
    }

    /// A page for its own open case; on record first, refused or not.
    pub async fn look_at_page(&self, look: &PageLook) -> Result<PagePicture, Error> {
        let mut index = self.store.begin().await?;
        let row = index
            .page(look.page)
            .await?
            .ok_or(Error::Refused(FailureCode::UnknownPage))?;
        let refused = refusal(&mut index, &row, &look.case).await?;
        let looked = PageLooked {
            at: self.now(),
            page: look.page,
            paper: row.status.paper.clone(),
            purpose: look.purpose,
            case: look.case.clone(),
            reader: look.reader.clone(),
            refused,
        };
        index.record_look(row.person, &looked).await?;
        index.commit().await?;
        if let Some(code) = refused {
            return Err(Error::Refused(code));
        }
        let context = page_context(look.page, row.person, row.sealed.version);
        let mut session = self.vault.session().await?;
        let key = session
            .open_key(&context, &WrappedKey::from_bytes(row.sealed.wrapped_key))
            .await?;
        let object = self.objects.get(&row.sealed.object).await?;
        Ok(PagePicture {
            width: row.status.width,
            height: row.status.height,
            jpeg: seal::open(&key, &context, object.as_ref())?.to_vec(),
        })
    }

    /// Destroys a page of its own open case. Removing twice is the same as once.
    pub async fn remove_page(&self, page: PageId, case: &CaseNumber, by: &Actor) -> Result<(), Error> {
        let mut index = self.store.begin().await?;
        let Some(row) = index.page(page).await? else {
            return Ok(());
        };
        if let Some(code) = refusal(&mut index, &row, case).await? {
            return Err(Error::Refused(code));
        }
        self.shred_pages(index, &[row], by).await
    }

    /// Destroys every page of a case that is over.
    pub async fn end_pages(&self, case: &CaseNumber, by: &Actor) -> Result<(), Error> {
        let mut index = self.store.begin().await?;
        let rows = index.pages(case).await?;
        self.shred_pages(index, &rows, by).await
    }

    /// Who looked at the pages of a person's cases.
    pub async fn page_looks(&self, person: PersonId) -> Result<Vec<PageLooked>, Error> {
        self.store.read().await?.page_looks(person, LOOKS_MAX).await
    }

    /// Clears pages that were broken off, and pages that are older than any case. Answers how many.
    pub(super) async fn housekeep_pages(&self) -> Result<usize, Error> {
        let now = self.now();
        let mut index = self.store.read().await?;
        let broken_off = index.pages_before("RECEIVED", now - BROKEN_OFF_AFTER).await?;
        let forgotten = index.pages_before("KEPT", now - KEPT_AT_MOST).await?;
        drop(index);
        for page in &broken_off {
            let mut index = self.store.begin().await?;
            index.withdraw_page(*page).await?;
            let is_kept = index.page(*page).await?.is_some();
            index.commit().await?;
            if !is_kept {
                self.objects.remove_unnamed(page, &[]).await?;
            }
        }
        let by = "photo-store".parse().map_err(Error::Refused)?;
        for page in &forgotten {
            let mut index = self.store.begin().await?;
            let rows: Vec<PageRow> = index.page(*page).await?.into_iter().collect();
            self.shred_pages(index, &rows, &by).await?;
        }
        Ok(broken_off.len() + forgotten.len())
    }

    /// Seals an announced page under a key of its own and completes it. What breaks in between leaves nothing that can be seen.
    async fn seal_page(&self, announced: &NewPageRow, picture: &PagePicture) -> Result<(), Error> {
        let page = announced.page;
        let object = objects::name_of_page(page, u64::from_be_bytes(self.random()?));
        let completed = async {
            let version = self.rules.page.version;
            let context = page_context(page, announced.person, version);
            let mut session = self.vault.session().await?;
            let (key, wrapped) = session.new_key(&context).await?;
            let sealed = seal::seal(&key, self.random()?, &context, &picture.jpeg)?;
            self.objects.put(&object, sealed).await?;
            let sealed = SealedPage {
                version,
                object: object.clone(),
                wrapped_key: wrapped.as_bytes().to_vec(),
            };
            let mut index = self.store.begin().await?;
            let sides = (picture.width, picture.height);
            let first = index.complete_page(page, sides, &sealed).await?;
            index.commit().await?;
            Ok(first)
        }
        .await;
        let error = match completed {
            Ok(true) => return Ok(()),
            // Another run of the same form was first, or took the announcement back: its object counts, ours was never named.
            Ok(false) => {
                self.objects.remove([object.as_str()].into_iter()).await;
                return Ok(());
            }
            Err(error) => error,
        };
        // A commit whose answer was lost may have happened: what the index names stays.
        let named = match self.store.read().await {
            Ok(mut index) => match index.page(page).await {
                Ok(row) => row.is_some_and(|row| row.sealed.object == object),
                Err(_) => true,
            },
            Err(_) => true,
        };
        if !named {
            self.objects.remove([object.as_str()].into_iter()).await;
            let withdrawn = async {
                let mut index = self.store.begin().await?;
                index.withdraw_page(page).await?;
                index.commit().await
            };
            if let Err(error) = withdrawn.await {
                tracing::warn!(%error, %page, "an announced page could not be withdrawn; housekeeping will");
            }
        }
        Err(error)
    }

    async fn shred_pages(&self, mut index: Transaction, rows: &[PageRow], by: &Actor) -> Result<(), Error> {
        for row in rows {
            index.shred_page(row.status.page, by, self.now()).await?;
        }
        index.commit().await?;
        // Without their keys the objects are noise already; from here on nothing fails.
        if let Some(row) = rows.first() {
            self.store.overwrite_deleted(&row.status.page).await;
        }
        let objects = rows.iter().map(|row| row.sealed.object.as_str());
        self.objects.remove(objects).await;
        Ok(())
    }

    /// The keyed digest by which a form that is sent twice is found again.
    async fn page_digest(&self, new: &NewPage, file: &[u8]) -> Result<[u8; 32], Error> {
        let key = self.digest_key().await?;
        let mut mac = <Hmac<Sha256>>::new_from_slice(key.expose()).map_err(|_| Error::Seal)?;
        for part in [
            b"page",
            new.case.as_str().as_bytes(),
            new.paper.as_str().as_bytes(),
        ] {
            mac.update(part);
            // Neither a case number nor a paper's code holds a byte 0.
            mac.update(&[0]);
        }
        mac.update(file);
        Ok(mac.finalize().into_bytes().into())
    }
}

/// The page of a case that came of these bytes. Refuses a case that is not open for this person, and one that has no room for another.
async fn kept_already(
    index: &mut Snapshot,
    new: &NewPage,
    digest: &[u8; 32],
) -> Result<Option<PageRow>, Error> {
    if !is_open_for(index, &new.case, new.person).await? {
        return Err(Error::Refused(FailureCode::CaseNotOpen));
    }
    if let Some(page) = index.same_page(&new.case, digest).await?
        && let Some(row) = index.page(page).await?
    {
        return Ok(Some(row));
    }
    if index.pages(&new.case).await?.len() >= MAX_PAGES {
        return Err(Error::Refused(FailureCode::TooManyPages));
    }
    Ok(None)
}

/// Why a page may not be seen or removed for a case; `None` where it may. Another case's page and a case that is closed are told apart by
/// nobody who has neither.
async fn refusal(
    index: &mut Snapshot,
    row: &PageRow,
    case: &CaseNumber,
) -> Result<Option<FailureCode>, Error> {
    let own = row.case == *case && is_open_for(index, case, row.person).await?;
    Ok((!own).then_some(FailureCode::CaseNotOpen))
}

async fn is_open_for(index: &mut Snapshot, case: &CaseNumber, person: PersonId) -> Result<bool, Error> {
    let row = index.case(case).await?;
    Ok(row.is_some_and(|row| row.is_open && row.person == person))
}
