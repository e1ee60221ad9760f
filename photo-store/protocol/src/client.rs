//! The client: one connection, one request at a time, over any byte stream.
//!
//! Left out: reconnecting. A caller whose connection broke connects again; every operation may be repeated.

use service_contract::{Answer, Operation, frame};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::codes::FailureCode;
use crate::error::Error;
use crate::messages::{
    Actor, CameraFrame, CaseNumber, Confirm, Erase, Judgement, MAX_FRAME_BYTES, OpenCase, PROTOCOL_VERSION,
    PageId, PersonId, PhotoId, PhotoStatus, Picture, Read, ReadRecord, ReceiptInfo, Release, ReleaseToken,
    ServiceStatus, Submission, Submit, TakeBack, TakeReceipt,
};
use crate::operation::{
    BeginCase, CloseCase, ConfirmPhoto, EndPages, ErasePhoto, Hello, JudgeFrame, KeepPage, ListPageLooks,
    ListPages, ListPhotos, ListReads, LookAtPage, ReadPhoto, RedeemRelease, ReleasePhoto, RemovePage,
    Request, Response, ShowPhoto, ShowReceipt, ShowStatus, SubmitPhoto, TakeBackPhoto, UseReceipt,
};
use crate::pages::{NewPage, PageKept, PageLook, PageLooked, PagePicture, PageStatus};
use crate::receipt::ReceiptNumber;

/// A connection to the photo store.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    /// Takes a connected stream and agrees on the protocol version.
    ///
    /// # Errors
    /// `VERSION` when the store speaks another version, or the connection's failure.
    pub async fn connect(stream: S) -> Result<Self, Error> {
        let mut client = Self { stream };
        let hello = Hello {
            version: PROTOCOL_VERSION,
        };
        match client.ask(hello).await? {
            PROTOCOL_VERSION => Ok(client),
            _ => Err(Error::Failed(FailureCode::Version)),
        }
    }

    /// How the store is.
    ///
    /// # Errors
    /// The store's failure code, or the connection's failure; so for every method below.
    pub async fn status(&mut self) -> Result<ServiceStatus, Error> {
        self.ask(ShowStatus).await
    }

    /// Judges, normalises and seals a photo. Repeating it with the same bytes for the same person makes nothing new.
    pub async fn submit(&mut self, submit: Submit) -> Result<Submission, Error> {
        self.ask(SubmitPhoto(submit)).await
    }

    /// Confirms every warning of a photo under a person's name; the answer holds the receipt.
    pub async fn confirm(&mut self, confirm: Confirm) -> Result<PhotoStatus, Error> {
        self.ask(ConfirmPhoto(confirm)).await
    }

    /// What is known about a photo, without the picture.
    pub async fn photo(&mut self, photo: PhotoId) -> Result<PhotoStatus, Error> {
        self.ask(ShowPhoto(photo)).await
    }

    /// What is known about each of a person's photos, the newest first.
    pub async fn photos(&mut self, person: PersonId) -> Result<Vec<PhotoStatus>, Error> {
        self.ask(ListPhotos(person)).await
    }

    /// What can be done with a receipt.
    pub async fn receipt(&mut self, number: ReceiptNumber) -> Result<ReceiptInfo, Error> {
        self.ask(ShowReceipt(number)).await
    }

    /// Uses a receipt for a case, once, and opens that case for reads. Repeating it for the same case answers the same.
    pub async fn take_receipt(&mut self, take: TakeReceipt) -> Result<PhotoStatus, Error> {
        self.ask(UseReceipt(take)).await
    }

    /// Opens a case for a person without a receipt (endorsements need none).
    pub async fn open_case(&mut self, open: OpenCase) -> Result<(), Error> {
        self.ask(BeginCase(open)).await
    }

    /// Closes a case; closing it twice is the same as once.
    pub async fn close_case(&mut self, case: CaseNumber, by: Actor) -> Result<(), Error> {
        self.ask(CloseCase(case, by)).await
    }

    /// Reads a rendition for an open case. The read is on record before the first byte leaves the store.
    pub async fn read(&mut self, read: Read) -> Result<Picture, Error> {
        self.ask(ReadPhoto(read)).await
    }

    /// Allows another person one kind of read for some minutes.
    pub async fn release(&mut self, release: Release) -> Result<ReleaseToken, Error> {
        self.ask(ReleasePhoto(release)).await
    }

    /// Redeems a release; `reader` must be the person whom it names.
    pub async fn redeem(&mut self, token: ReleaseToken, reader: Actor) -> Result<Picture, Error> {
        self.ask(RedeemRelease(token, reader)).await
    }

    /// Who read a person's photos, refused attempts included, the newest first.
    pub async fn reads(&mut self, person: PersonId) -> Result<Vec<ReadRecord>, Error> {
        self.ask(ListReads(person)).await
    }

    /// Destroys a photo that no case has used, with its receipt.
    pub async fn take_back(&mut self, take: TakeBack) -> Result<PhotoStatus, Error> {
        self.ask(TakeBackPhoto(take)).await
    }

    /// Destroys a photo's wrapped keys and its objects.
    pub async fn erase(&mut self, erase: Erase) -> Result<PhotoStatus, Error> {
        self.ask(ErasePhoto(erase)).await
    }

    /// Keeps a page of a paper for its open case. Repeating it with the same file makes nothing new.
    pub async fn keep_page(&mut self, page: NewPage) -> Result<PageKept, Error> {
        self.ask(KeepPage(page)).await
    }

    /// The pages of a case.
    pub async fn pages(&mut self, case: CaseNumber) -> Result<Vec<PageStatus>, Error> {
        self.ask(ListPages(case)).await
    }

    /// A page, for its open case. The look is on record before the first byte leaves the store.
    pub async fn look_at_page(&mut self, look: PageLook) -> Result<PagePicture, Error> {
        self.ask(LookAtPage(look)).await
    }

    /// Destroys a page of an open case.
    pub async fn remove_page(&mut self, page: PageId, case: CaseNumber, by: Actor) -> Result<(), Error> {
        self.ask(RemovePage(page, case, by)).await
    }

    /// Destroys the pages of a case that is over.
    pub async fn end_pages(&mut self, case: CaseNumber, by: Actor) -> Result<(), Error> {
        self.ask(EndPages(case, by)).await
    }

    /// Who looked at the pages of a person's cases, refused attempts included, the newest first.
    pub async fn page_looks(&mut self, person: PersonId) -> Result<Vec<PageLooked>, Error> {
        self.ask(ListPageLooks(person)).await
    }

    /// What the checks say of what a camera sees; nothing while the store judges a photo.
    pub async fn judge_frame(&mut self, seen: CameraFrame) -> Result<Option<Judgement>, Error> {
        self.ask(JudgeFrame(seen)).await
    }

    async fn ask<O>(&mut self, operation: O) -> Result<O::Answer, Error>
    where
        O: Operation + Into<Request>,
        O::Answer: Answer<Response>,
    {
        let request: Request = operation.into();
        frame::write(&mut self.stream, &request, MAX_FRAME_BYTES).await?;
        match frame::read(&mut self.stream, MAX_FRAME_BYTES).await? {
            Some(Response::Failed(code)) => Err(Error::Failed(code)),
            Some(response) => O::Answer::from_response(response).ok_or(Error::Failed(FailureCode::Protocol)),
            None => Err(Error::Broken(std::io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_that_claims_too_much_is_refused_before_anything_is_allocated() {
        let mut bytes: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x00];
        let error = frame::read::<_, Request>(&mut bytes, MAX_FRAME_BYTES)
            .await
            .map_err(Error::from)
            .unwrap_err();
        assert_eq!(error.code(), FailureCode::TooLarge);
    }

    #[tokio::test]
    async fn bytes_behind_a_message_are_refused() {
        let mut bytes: &[u8] = &[0, 0, 0, 4, 0x82, 0x01, 0x80, 0x00];
        let error = frame::read::<_, Request>(&mut bytes, 100)
            .await
            .map_err(Error::from)
            .unwrap_err();
        assert_eq!(error.code(), FailureCode::Protocol);
        assert!(error.to_string().contains("Check the versions"));
    }

    #[tokio::test]
    async fn a_store_of_another_version_is_not_used() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let store = tokio::spawn(async move {
            let _: Option<Request> = frame::read(&mut theirs, 1024).await.unwrap();
            frame::write(&mut theirs, &Response::Welcome(9), MAX_FRAME_BYTES)
                .await
                .unwrap();
        });
        assert_eq!(
            Client::connect(ours).await.unwrap_err().code(),
            FailureCode::Version
        );
        store.await.unwrap();
    }

    #[tokio::test]
    async fn a_store_that_hangs_up_is_reported_as_unreachable() {
        let (ours, theirs) = tokio::io::duplex(1024);
        drop(theirs);
        assert_eq!(
            Client::connect(ours).await.unwrap_err().code(),
            FailureCode::StoreUnreachable
        );
    }
}
