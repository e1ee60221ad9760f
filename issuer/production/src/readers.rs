//! Whether cards can be laid on a reader of this machine: its PC/SC service answers and has one.

use std::time::Duration;

use card_reader::transport::{PcscTransport, TransportError};
use issuer_office::readiness::Check;
use program_contract::Exit;

/// How long the PC/SC service may take to list its readers.
const PATIENCE: Duration = Duration::from_secs(3);

/// The check `reader`: passed where the PC/SC service of this machine answers and has a reader.
pub async fn check_reader() -> Check {
    // A service that hangs holds its thread and nothing else.
    let listing = tokio::task::spawn_blocking(PcscTransport::list);
    let listed = match tokio::time::timeout(PATIENCE, listing).await {
        Ok(Ok(listed)) => listed,
        Ok(Err(_)) | Err(_) => Err(TransportError::NoService),
    };
    match listed {
        Ok(readers) if !readers.is_empty() => Check::passed("reader"),
        Ok(_) => Check::failed_with(
            "reader",
            Exit::Absent,
            TransportError::NoReader.code(),
            "Connect a reader; the API works without one.",
        ),
        Err(error) => Check::failed_with("reader", Exit::Absent, error.code(), error.action()),
    }
}
