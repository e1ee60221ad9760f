//! The client: one connection, one request at a time, over any byte stream.
//!
//! Left out: reconnecting. A caller whose connection broke connects again; every operation may be repeated.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::codes::FailureCode;
use crate::frame;
use crate::messages::{
    Actor, CaseNumber, Confirm, Erase, OpenCase, PROTOCOL_VERSION, PersonId, PhotoId, PhotoStatus, Picture,
    Read, ReadRecord, ReceiptInfo, Release, ReleaseToken, Request, Response, ServiceStatus, Submission,
    Submit, TakeReceipt,
};
use crate::receipt::ReceiptNumber;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refused or could not do it; nothing was changed. The code has message and action.
    #[error("{code}: {message} {action}", code = .0.as_str(), message = .0.texts().message, action = .0.texts().action)]
    Failed(FailureCode),
    /// The connection broke; whether the request was done is not known. It may be repeated.
    #[error("the connection to the photo store broke: {0}. Connect again and repeat the request")]
    Broken(#[source] std::io::Error),
}

impl Error {
    /// The code of the closed list that says this.
    #[must_use]
    pub const fn code(&self) -> FailureCode {
        match self {
            Self::Failed(code) => *code,
            Self::Broken(_) => FailureCode::StoreUnreachable,
        }
    }
}

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
        match client
            .ask(&Request::Hello {
                version: PROTOCOL_VERSION,
            })
            .await?
        {
            Response::Welcome {
                version: PROTOCOL_VERSION,
            } => Ok(client),
            Response::Welcome { .. } => Err(Error::Failed(FailureCode::Version)),
            _ => Err(Error::Failed(FailureCode::Protocol)),
        }
    }

    /// How the store is.
    ///
    /// # Errors
    /// The store's failure code, or the connection's failure; so for every method below.
    pub async fn status(&mut self) -> Result<ServiceStatus, Error> {
        match self.ask(&Request::Status).await? {
            Response::Status(status) => Ok(status),
            _ => Err(Error::Failed(FailureCode::Protocol)),
        }
    }

    /// Judges, normalises and seals a photo. Repeating it with the same bytes for the same person makes nothing new.
    pub async fn submit(&mut self, submit: Submit) -> Result<Submission, Error> {
        match self.ask(&Request::Submit(submit)).await? {
            Response::Submitted(submission) => Ok(submission),
            _ => Err(Error::Failed(FailureCode::Protocol)),
        }
    }

    /// Confirms every warning of a photo under a person's name; the answer holds the receipt.
    pub async fn confirm(&mut self, confirm: Confirm) -> Result<PhotoStatus, Error> {
        self.photo_answer(&Request::Confirm(confirm)).await
    }

    /// What is known about a photo, without the picture.
    pub async fn photo(&mut self, photo: PhotoId) -> Result<PhotoStatus, Error> {
        self.photo_answer(&Request::Photo(photo)).await
    }

    /// What can be done with a receipt.
    pub async fn receipt(&mut self, number: ReceiptNumber) -> Result<ReceiptInfo, Error> {
        match self.ask(&Request::Receipt(number)).await? {
            Response::Receipt(info) => Ok(info),
            _ => Err(Error::Failed(FailureCode::Protocol)),
        }
    }

    /// Uses a receipt for a case, once, and opens that case for reads. Repeating it for the same case answers the same.
    pub async fn take_receipt(&mut self, take: TakeReceipt) -> Result<PhotoStatus, Error> {
        self.photo_answer(&Request::TakeReceipt(take)).await
    }

    /// Opens a case for a person without a receipt (endorsements need none).
    pub async fn open_case(&mut self, open: OpenCase) -> Result<(), Error> {
        self.done_answer(&Request::OpenCase(open)).await
    }

    /// Closes a case; closing it twice is the same as once.
    pub async fn close_case(&mut self, case: CaseNumber, by: Actor) -> Result<(), Error> {
        self.done_answer(&Request::CloseCase(case, by)).await
    }

    /// Reads a rendition for an open case. The read is on record before the first byte leaves the store.
    pub async fn read(&mut self, read: Read) -> Result<Picture, Error> {
        self.picture_answer(&Request::Read(read)).await
    }

    /// Allows another person one kind of read for some minutes.
    pub async fn release(&mut self, release: Release) -> Result<ReleaseToken, Error> {
        match self.ask(&Request::Release(release)).await? {
            Response::Token(token) => Ok(token),
            _ => Err(Error::Failed(FailureCode::Protocol)),
        }
    }

    /// Redeems a release; `reader` must be the person whom it names.
    pub async fn redeem(&mut self, token: ReleaseToken, reader: Actor) -> Result<Picture, Error> {
        self.picture_answer(&Request::Redeem(token, reader)).await
    }

    /// Who read a person's photos, refused attempts included, the newest first.
    pub async fn reads(&mut self, person: PersonId) -> Result<Vec<ReadRecord>, Error> {
        match self.ask(&Request::Reads(person)).await? {
            Response::Reads(records) => Ok(records),
            _ => Err(Error::Failed(FailureCode::Protocol)),
        }
    }

    /// Destroys a photo's wrapped keys and its objects.
    pub async fn erase(&mut self, erase: Erase) -> Result<PhotoStatus, Error> {
        self.photo_answer(&Request::Erase(erase)).await
    }

    async fn photo_answer(&mut self, request: &Request) -> Result<PhotoStatus, Error> {
        match self.ask(request).await? {
            Response::Photo(photo) => Ok(photo),
            _ => Err(Error::Failed(FailureCode::Protocol)),
        }
    }

    async fn picture_answer(&mut self, request: &Request) -> Result<Picture, Error> {
        match self.ask(request).await? {
            Response::Picture(picture) => Ok(picture),
            _ => Err(Error::Failed(FailureCode::Protocol)),
        }
    }

    async fn done_answer(&mut self, request: &Request) -> Result<(), Error> {
        match self.ask(request).await? {
            Response::Done => Ok(()),
            _ => Err(Error::Failed(FailureCode::Protocol)),
        }
    }

    async fn ask(&mut self, request: &Request) -> Result<Response, Error> {
        frame::write(&mut self.stream, request).await?;
        match frame::read(&mut self.stream, frame::MAX_FRAME_BYTES).await? {
            Some(Response::Failed(code)) => Err(Error::Failed(code)),
            Some(response) => Ok(response),
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
        let error = frame::read::<_, Request>(&mut bytes, frame::MAX_FRAME_BYTES)
            .await
            .unwrap_err();
        assert_eq!(error.code(), FailureCode::TooLarge);
    }

    #[tokio::test]
    async fn bytes_behind_a_message_are_refused() {
        let mut bytes: &[u8] = &[0, 0, 0, 4, 0x82, 0x01, 0x80, 0x00];
        let error = frame::read::<_, Request>(&mut bytes, 100).await.unwrap_err();
        assert_eq!(error.code(), FailureCode::Protocol);
        assert!(error.to_string().contains("Check the versions"));
    }

    #[tokio::test]
    async fn a_store_of_another_version_is_not_used() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let store = tokio::spawn(async move {
            let _: Option<Request> = frame::read(&mut theirs, 1024).await.unwrap();
            frame::write(&mut theirs, &Response::Welcome { version: 9 })
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
