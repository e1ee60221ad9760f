//! Carries a task of the vault to the card on the station, and the card's answers back.
//!
//! The vault checks every value when the task begins, before it says anything to the card: what it refuses there leaves the
//! ledger where it was. So the task begins first, then the ledger says that the card is being written, then the card is.

use issuer_office::connection::Stream;
use keyvault_protocol as vault;

use crate::error::ProductionError;
use crate::station::Station;

/// A task that the vault has begun, of which nothing went to the card yet.
pub(crate) struct Begun {
    vault: vault::Client<Stream>,
    session: vault::OrderSession,
    script: vault::Script,
}

/// Begins a task of the vault for the card on the station.
pub(crate) async fn begin(
    (mut vault, session): (vault::Client<Stream>, vault::OrderSession),
    serial: permit_domain::CardSerial,
    task: vault::CardTask,
    station: &mut Station,
) -> Result<Begun, ProductionError> {
    let script = vault.start_card(&session, 0, *serial.as_bytes(), task).await?;
    station.select().await?;
    Ok(Begun {
        vault,
        session,
        script,
    })
}

/// Sends what the vault says to the card on the station, and its answers back, until the vault says that it is done.
pub(crate) async fn carry(begun: Begun, station: &mut Station) -> Result<vault::CardResult, ProductionError> {
    let Begun {
        mut vault,
        session,
        mut script,
    } = begun;
    // The first commands open the channel and change nothing.
    let mut may_have_written = false;
    loop {
        match script {
            vault::Script::Done(result) => return Ok(*result),
            vault::Script::Send { commands } => {
                let relayed = station.relay(commands).await?;
                let told = vault.continue_card(&session, 0, relayed.answers).await;
                if let Some(lost) = relayed.lost {
                    // The vault was told what came, so that its journal says the same as ours: outcome unknown.
                    return Err(card_reader::Error::Transport(lost).into());
                }
                script = told.map_err(|error| {
                    if may_have_written {
                        ProductionError::after_the_card(error)
                    } else {
                        error.into()
                    }
                })?;
                may_have_written = true;
            }
        }
    }
}
