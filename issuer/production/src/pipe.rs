//! Carries a task of the vault to the card on the station, and the card's answers back.

use issuer_office::connection::Stream;
use keyvault_protocol as vault;

use crate::error::ProductionError;
use crate::station::Station;

/// Sends a task of the vault to the card on the station, and its answers back, until the vault says that it is done.
pub(crate) async fn pipe(
    vault: &mut vault::Client<Stream>,
    session: &vault::OrderSession,
    serial: permit_domain::CardSerial,
    task: vault::CardTask,
    station: &mut Station,
) -> Result<vault::CardResult, ProductionError> {
    station.select().await?;
    let mut script = vault.start_card(session, 0, *serial.as_bytes(), task).await?;
    loop {
        match script {
            vault::Script::Done(result) => return Ok(*result),
            vault::Script::Send { commands } => {
                let relayed = station.relay(commands).await?;
                let told = vault.continue_card(session, 0, relayed.answers).await;
                if let Some(lost) = relayed.lost {
                    // The vault was told what came, so that its journal says the same as ours: outcome unknown.
                    return Err(card_reader::Error::Transport(lost).into());
                }
                script = told?;
            }
        }
    }
}
