//! Frames of this protocol: those of all services, with its limit and its errors.

use minicbor::{Decode, Encode};
use service_contract::{FrameError, frame};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Error;

/// Largest message in bytes: a lot of 50,000 blanks, a deny list of 400,000 entries and a batch of updates fit, a length
/// made of random bytes hardly ever does.
pub const MAX_FRAME: usize = 8 * 1024 * 1024;

/// Largest message in bytes of somebody whose key nobody knows: a hello, a question for the status, a share.
pub const MAX_STRANGERS_FRAME: usize = 64 * 1024;

/// Writes one message and flushes.
///
/// # Errors
/// [`Error::ConnectionLost`] when the stream fails, [`Error::OutOfRange`] when the message is too long.
pub async fn write<S, T>(stream: &mut S, message: &T) -> Result<(), Error>
where
    S: AsyncWrite + Unpin,
    T: Encode<()>,
{
    match frame::write(stream, message, MAX_FRAME).await {
        Err(FrameError::TooLong { limit }) => Err(Error::OutOfRange {
            what: "a message",
            limit,
        }),
        outcome => Ok(outcome?),
    }
}

/// Reads one message; `None` when the other side closed the stream between two frames.
///
/// # Errors
/// [`Error::ConnectionLost`] when the stream ends inside a frame, [`Error::Malformed`] when the bytes are not a message.
pub async fn read<S, T>(stream: &mut S) -> Result<Option<T>, Error>
where
    S: AsyncRead + Unpin,
    T: for<'b> Decode<'b, ()>,
{
    read_at_most(stream, MAX_FRAME).await
}

/// As [`read`], of a message of at most `limit` bytes.
///
/// # Errors
/// As [`read`].
pub async fn read_at_most<S, T>(stream: &mut S, limit: usize) -> Result<Option<T>, Error>
where
    S: AsyncRead + Unpin,
    T: for<'b> Decode<'b, ()>,
{
    Ok(frame::read(stream, limit).await?)
}

/// Decodes exactly one message: nothing may follow it.
///
/// # Errors
/// [`Error::Malformed`] when the bytes are not one message.
pub fn decode<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, Error> {
    Ok(frame::decode(bytes)?)
}
