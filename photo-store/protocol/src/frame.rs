//! Frames: a length of four bytes, big endian, then that many bytes of CBOR (RFC 8949).
//!
//! The length is judged before anything is allocated. Frames hold pictures of faces, so their buffers are wiped when
//! dropped. Left out: encryption. The socket is local and of mode 0600; across machines the transport is mutual TLS.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::client::Error;
use crate::codes::FailureCode;

/// The largest photo file that is taken at all, in bytes (10 MB, decimal).
pub const MAX_PHOTO_BYTES: usize = 10_000_000;
/// The largest frame in bytes: the largest photo and room for what is said about it.
pub const MAX_FRAME_BYTES: usize = MAX_PHOTO_BYTES + 65_536;

/// Reads one frame; `Ok(None)` when the other side closed between two frames.
///
/// # Errors
/// [`Error::Failed`] with `TOO_LARGE` when the length is over `limit`, `PROTOCOL` when the content is not the message;
/// [`Error::Broken`] when the stream ends inside a frame.
pub async fn read<S, M>(stream: &mut S, limit: usize) -> Result<Option<M>, Error>
where
    S: AsyncRead + Unpin,
    M: for<'b> minicbor::Decode<'b, ()>,
{
    let mut length = [0u8; 4];
    match stream.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(Error::Broken(error)),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > limit {
        return Err(Error::Failed(FailureCode::TooLarge));
    }
    let mut body = Zeroizing::new(vec![0u8; length]);
    stream.read_exact(&mut body).await.map_err(Error::Broken)?;
    let mut decoder = minicbor::Decoder::new(&body);
    let message = decoder
        .decode()
        .map_err(|_| Error::Failed(FailureCode::Protocol))?;
    if decoder.position() != body.len() {
        return Err(Error::Failed(FailureCode::Protocol));
    }
    Ok(Some(message))
}

/// Writes one frame and flushes it.
///
/// # Errors
/// [`Error::Failed`] with `TOO_LARGE` before a byte is written, [`Error::Broken`] when the stream fails.
pub async fn write<S, M>(stream: &mut S, message: &M) -> Result<(), Error>
where
    S: AsyncWrite + Unpin,
    M: minicbor::Encode<()>,
{
    let body = Zeroizing::new(minicbor::to_vec(message).map_err(|_| Error::Failed(FailureCode::Protocol))?);
    let length = u32::try_from(body.len()).map_err(|_| Error::Failed(FailureCode::TooLarge))?;
    if body.len() > MAX_FRAME_BYTES {
        return Err(Error::Failed(FailureCode::TooLarge));
    }
    stream
        .write_all(&length.to_be_bytes())
        .await
        .map_err(Error::Broken)?;
    stream.write_all(&body).await.map_err(Error::Broken)?;
    stream.flush().await.map_err(Error::Broken)
}
