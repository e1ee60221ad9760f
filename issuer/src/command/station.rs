//! The reader of a station.

use std::time::Duration;

use card_reader::transport::{Connect, PcscTransport, Transport as _};
use issuer_production::Station;
use program_contract::language::Words;
use program_contract::{Failure, Outcome, line};

/// The outcome, with the wrong tries at door I that the station found on its card and took back.
pub(super) fn with_wrong_tries(tries: u8, mut outcome: Outcome) -> Outcome {
    if tries > 0 {
        outcome.fields.insert("wrong_tries".to_owned(), tries.into());
        outcome.lines.push(line!(tries_taken_back(tries)));
    }
    outcome
}

program_contract::sentences! {
    fn tries_taken_back(tries) =
        "此卡的发卡门曾被试过 {tries} 次错误密钥；计数已清零。",
        "{tries} wrong keys had been tried at the office's door of this card; the count is zero again.";
}

pub(super) async fn station(reader: Option<String>) -> Result<Station, Failure> {
    let connected = tokio::task::spawn_blocking(move || {
        PcscTransport::connect(&Connect {
            reader,
            wait: Duration::ZERO,
        })
    })
    .await
    .map_err(|_| Failure::internal(Words("程序的某一部分出错", "a part of the program failed")))?;
    let transport = connected.map_err(Failure::from)?;
    tracing::debug!(reader = transport.name(), "card connected");
    Ok(Station::new(transport))
}
