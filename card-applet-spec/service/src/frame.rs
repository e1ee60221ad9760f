//! Frames: a length of four bytes, big endian, then that many bytes with exactly one CBOR message (RFC 8949).
//!
//! The length is judged before anything is allocated, and room is made for what has come, not for what is claimed. Frames hold keys, shares and pictures of faces: their buffers are
//! wiped when dropped (the library's codec would not).

use minicbor::{Decode, Encode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// Bytes of the length before a message.
const PREFIX: usize = 4;

/// Bytes for which room is made at once: who claims more sends it first.
const AT_ONCE: usize = 64 * 1024;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The stream failed, or ended inside a frame.
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    /// The message is longer than its limit. Nothing of it was written, or read.
    #[error("a message is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The bytes are not exactly one message.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Writes one message of at most `limit` bytes and flushes.
///
/// # Errors
/// [`FrameError::TooLong`] before a byte is written, [`FrameError::Broken`] when the stream fails.
pub async fn write<S, M>(stream: &mut S, message: &M, limit: usize) -> Result<(), FrameError>
where
    S: AsyncWrite + Unpin,
    M: Encode<()>,
{
    let mut bytes = Zeroizing::new(vec![0; PREFIX]);
    minicbor::encode(message, &mut *bytes)
        .map_err(|_| FrameError::Malformed("a message that cannot be encoded"))?;
    let length = bytes.len() - PREFIX;
    let prefix = u32::try_from(length)
        .ok()
        .filter(|_| length <= limit)
        .ok_or(FrameError::TooLong { limit })?;
    bytes[..PREFIX].copy_from_slice(&prefix.to_be_bytes());
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(())
}

/// Reads one message of at most `limit` bytes; `None` when the other side closed the stream between two frames.
///
/// # Errors
/// [`FrameError::Broken`] when the stream ends inside a frame, [`FrameError::TooLong`], [`FrameError::Malformed`].
pub async fn read<S, M>(stream: &mut S, limit: usize) -> Result<Option<M>, FrameError>
where
    S: AsyncRead + Unpin,
    M: for<'b> Decode<'b, ()>,
{
    let mut prefix = [0; PREFIX];
    let first = match stream.read(&mut prefix).await {
        // In a channel of TLS the other side went without a goodbye. Nothing was cut: a frame says how long it is.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
        read => read?,
    };
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut prefix[first..]).await?;
    let length = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if length > limit {
        return Err(FrameError::TooLong { limit });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    while bytes.len() < length {
        let come = bytes.len();
        let room = length.min((2 * come).max(AT_ONCE));
        // Not grown in its place: what is left behind would not be wiped.
        let mut more = Zeroizing::new(vec![0; room]);
        more[..come].copy_from_slice(&bytes);
        stream.read_exact(&mut more[come..]).await?;
        bytes = more;
    }
    decode(&bytes).map(Some)
}

/// Decodes exactly one message: nothing may follow it.
///
/// # Errors
/// [`FrameError::Malformed`] when the bytes are not one message.
pub fn decode<M: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<M, FrameError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let message = decoder
        .decode()
        .map_err(|_| FrameError::Malformed("bytes that are no message"))?;
    if decoder.position() != bytes.len() {
        return Err(FrameError::Malformed("bytes after a message"));
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 64;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    async fn read_text(bytes: &[u8]) -> Result<Option<String>, FrameError> {
        let mut stream = bytes;
        read(&mut stream, LIMIT).await
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_broken_and_one_that_ends_between_two_is_not() {
        run(async {
            let mut bytes = Vec::new();
            write(&mut bytes, &"a message", LIMIT).await.unwrap();
            assert_eq!(read_text(&[]).await.unwrap(), None);
            assert_eq!(read_text(&bytes).await.unwrap().as_deref(), Some("a message"));
            for end in 1..bytes.len() {
                assert!(
                    matches!(read_text(&bytes[..end]).await, Err(FrameError::Broken(_))),
                    "{end}"
                );
            }
        });
    }

    #[test]
    fn a_message_over_its_limit_is_neither_written_nor_read() {
        run(async {
            let long = "x".repeat(LIMIT);
            let mut bytes = Vec::new();
            let error = write(&mut bytes, &long, LIMIT).await.unwrap_err();
            assert!(matches!(error, FrameError::TooLong { limit: LIMIT }));
            assert!(bytes.is_empty());
            assert!(matches!(
                read_text(&u32::MAX.to_be_bytes()).await,
                Err(FrameError::TooLong { limit: LIMIT })
            ));
        });
    }

    #[test]
    fn a_long_message_comes_whole() {
        run(async {
            for length in [AT_ONCE - 5, AT_ONCE, 5 * AT_ONCE + 1] {
                let (long, mut bytes) = ("x".repeat(length), Vec::new());
                write(&mut bytes, &long, 2 * length).await.unwrap();
                let back: Option<String> = read(&mut &bytes[..], 2 * length).await.unwrap();
                assert!(back == Some(long), "{length}");
            }
        });
    }

    #[test]
    fn bytes_after_a_message_are_malformed() {
        assert!(matches!(
            decode::<bool>(&[0xF5, 0xF5]),
            Err(FrameError::Malformed(_))
        ));
    }

    proptest! {
        #[test]
        fn a_message_comes_back_as_it_was(text in "[a-z]{0,60}") {
            let back = run(async {
                let mut bytes = Vec::new();
                write(&mut bytes, &text, LIMIT).await.unwrap();
                read_text(&bytes).await.unwrap()
            });
            prop_assert_eq!(back, Some(text));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = run(read_text(&bytes));
            let _ = decode::<String>(&bytes);
        }
    }
}
