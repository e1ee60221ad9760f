//! How a check of a case ends before its last line: failed, not possible here, or the card is lost.

use card_reader::transport::TransportError;

/// Why a case did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The card did something else than the specification says.
    Failed(String),
    /// It could not be tried here.
    NotRun(String),
    /// The reader lost the card.
    Lost(TransportError),
}

/// Outcome of a check.
pub(crate) type Check = Result<(), Stop>;

impl From<card_applet_spec::Error> for Stop {
    fn from(error: card_applet_spec::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<TransportError> for Stop {
    fn from(error: TransportError) -> Self {
        Self::Lost(error)
    }
}

/// Stops a case with what was seen.
pub(crate) fn failed<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(what.into()))
}

/// Stops a case that cannot be tried.
pub(crate) fn not_run<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::NotRun(why.into()))
}

/// Fails a case unless `holds`.
pub(crate) fn ensure(holds: bool, what: impl Into<String>) -> Check {
    if holds { Ok(()) } else { failed(what) }
}
