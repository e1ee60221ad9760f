//! The reader of a station.

use std::time::Duration;

use card_reader::transport::{Connect, PcscTransport, Transport as _};
use issuer_production::Station;
use program_contract::{Exit, Failure};

pub(super) async fn station(reader: Option<String>) -> Result<Station, Failure> {
    let connected = tokio::task::spawn_blocking(move || {
        PcscTransport::connect(&Connect {
            reader,
            wait: Duration::ZERO,
        })
    })
    .await
    .map_err(|_| Failure::internal("a part of the program failed"))?;
    let transport = connected
        .map_err(|error| Failure::new(Exit::Absent, error.code(), error.to_string(), error.action()))?;
    tracing::debug!(reader = transport.name(), "card connected");
    Ok(Station::new(transport))
}
