//! What a command answers: a body with its status word, or a status word alone; and which status word an error becomes.

use card_applet_spec::Error as SpecError;
use card_applet_spec::apdu::{Answer, ParsedCommand, StatusWord};
use card_applet_spec::bytes::Write;
use card_applet_spec::scp03::{Channel, Plain};

use crate::memory::MemoryFault;

/// A command's outcome inside the applet: an answer with its status word, or the status word alone.
pub(crate) type Outcome = Result<Answer, StatusWord>;

/// The outcome of a command that opens something: the answer, and what is open now.
pub(crate) type Opening<T> = Result<(Answer, T), StatusWord>;

/// An answer with 9000.
pub(crate) fn answer(body: &[u8]) -> Outcome {
    let mut out = Answer::new();
    out.put(body)
        .and_then(|()| out.put(&StatusWord::OK.0.to_be_bytes()))
        .map_err(internal)?;
    Ok(out)
}

/// A status word alone.
pub(crate) fn bare(status: StatusWord) -> Answer {
    let mut out = Answer::new();
    // Two bytes always fit.
    let _ = out.put(&status.0.to_be_bytes());
    out
}

/// The memory failed: the write did not happen or is not known.
pub(crate) fn memory_failure(_: MemoryFault) -> StatusWord {
    StatusWord::MEMORY_FAILURE
}

/// Our own encoders do not fail for sizes of the specification; if one did, nothing was written.
pub(crate) fn internal(_: SpecError) -> StatusWord {
    StatusWord::MEMORY_FAILURE
}

/// Data that came in has a wrong form.
pub(crate) fn wrong_data(_: SpecError) -> StatusWord {
    StatusWord::WRONG_DATA
}

/// The data of a command inside door I or S: Le, MAC and padding are as the chapters want them.
pub(crate) fn unwrapped(channel: &mut Channel, command: &ParsedCommand<'_>) -> Result<Plain, StatusWord> {
    command.has_le(Some(0))?;
    channel.unwrap_command(command).map_err(insecure)
}

/// A MAC, signature or cryptogram is wrong.
pub(crate) fn insecure(_: SpecError) -> StatusWord {
    StatusWord::SECURITY
}
