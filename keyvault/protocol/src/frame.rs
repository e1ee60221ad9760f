//! Frames: a `u32` length, big endian, then that many bytes of CBOR.

use minicbor::{Decode, Encode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::{Zeroize, Zeroizing};

use crate::Error;

/// Largest frame in bytes: a lot of 50,000 blanks, a deny list of 400,000 entries and a batch of updates fit, a length
/// made of random bytes hardly ever does.
pub const MAX_FRAME: usize = 8 * 1024 * 1024;

/// Writes one message and flushes.
///
/// # Errors
/// [`Error::ConnectionLost`] when the stream fails, [`Error::OutOfRange`] when the message is too long.
pub async fn write<S, T>(stream: &mut S, message: &T) -> Result<(), Error>
where
    S: AsyncWrite + Unpin,
    T: Encode<()>,
{
    let mut bytes = Zeroizing::new(vec![0u8; 4]);
    minicbor::encode(message, &mut *bytes)
        .map_err(|_| Error::Malformed("a message that cannot be encoded"))?;
    let length = bytes.len() - 4;
    if length > MAX_FRAME {
        return Err(Error::OutOfRange {
            what: "a message",
            limit: MAX_FRAME,
        });
    }
    let prefix = u32::try_from(length).map_err(|_| Error::Malformed("a frame that is too long"))?;
    bytes[..4].copy_from_slice(&prefix.to_be_bytes());
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(())
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
    let mut prefix = [0u8; 4];
    let mut have = 0;
    while have < prefix.len() {
        let read = stream.read(&mut prefix[have..]).await?;
        if read == 0 {
            if have == 0 {
                return Ok(None);
            }
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        have += read;
    }
    let length = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(Error::Malformed("a frame that is too long"));
    }
    let mut bytes = vec![0u8; length];
    let outcome = match stream.read_exact(&mut bytes).await {
        Ok(_) => decode(&bytes),
        Err(error) => Err(error.into()),
    };
    bytes.zeroize();
    outcome.map(Some)
}

/// Decodes exactly one message: nothing may follow it.
///
/// # Errors
/// [`Error::Malformed`] when the bytes are not one message.
pub fn decode<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, Error> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let message = decoder
        .decode()
        .map_err(|_| Error::Malformed("bytes that are no message"))?;
    if decoder.position() != bytes.len() {
        return Err(Error::Malformed("bytes after a message"));
    }
    Ok(message)
}
