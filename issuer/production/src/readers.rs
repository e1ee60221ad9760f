//! Whether cards can be laid on a reader of this machine: its PC/SC service answers and has one.

use std::time::Duration;

use card_reader::transport::{PcscTransport, TransportError};
use issuer_office::readiness::Check;
use program_contract::{Exit, Failure};

/// How long the PC/SC service may take to list its readers.
const PATIENCE: Duration = Duration::from_secs(3);

program_contract::failures! {
    fn no_reader() = Absent "NO_READER" {
        "没有连接读卡器", "no reader is connected";
        "请连接读卡器；没有读卡器，接口照常工作。", "Connect a reader; the API works without one.";
    }
}

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
        Ok(_) => Check::failed("reader", no_reader()),
        Err(error) => {
            let mut failure = Failure::from(error);
            failure.exit = Exit::Absent;
            Check::failed("reader", failure)
        }
    }
}
