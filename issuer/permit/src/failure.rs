//! Failures of this program itself, and those of crates that do not say how a program ends.

use std::error::Error;
use std::path::Path;

use program_contract::{Exit, Failure};

/// Something of the machine.
pub(crate) fn machine(what: &str, error: &dyn Error) -> Failure {
    Failure::new(
        Exit::Damaged,
        "MACHINE",
        format!("{what}: {error}"),
        "Check the machine, and run the same command again.",
    )
}

/// Something that our own programs promise is not so.
pub(crate) fn unexpected(what: &str) -> Failure {
    Failure::new(
        Exit::Damaged,
        "UNEXPECTED",
        what,
        "Build all programs of one version, keep the folder with its logs, and report this.",
    )
}

/// A service of ours that is not there.
pub(crate) fn absent(what: &str, log: &Path) -> Failure {
    Failure::new(
        Exit::Absent,
        "SERVICE_ABSENT",
        format!("{what} does not answer"),
        format!("Read its log, {}, and run the same command again.", log.display()),
    )
}

/// Somebody ended the program.
pub(crate) fn interrupted() -> Failure {
    Failure::new(
        Exit::Unknown,
        "INTERRUPTED",
        "interrupted; everything that was started has been ended",
        "Run the same command again with the same --dir: it goes on where it stopped.",
    )
}

/// The card's simulator.
#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
pub(crate) fn of_virtual_card(error: virtual_card::Error) -> Failure {
    use virtual_card::Error as E;
    let exit = match error {
        E::LotRefused { .. } | E::NoSuchBlank { .. } | E::Refused { .. } => Exit::Refused,
        E::File { .. } | E::NotACard { .. } | E::KeyForm { .. } | E::BlankFailed => Exit::Damaged,
        _ => Exit::Absent,
    };
    Failure::new(exit, error.code().to_owned(), error.to_string(), error.action())
}
