//! What can stop a scene.

use card_reader::transport::TransportError;
use thiserror::Error;

/// Trouble in a scene; each part speaks for itself.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The virtual card or the private service.
    #[error(transparent)]
    VirtualCard(#[from] virtual_card::Error),
    /// The reader or the card on it.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A terminal's session with the card.
    #[error(transparent)]
    Card(#[from] card_reader::Error),
    /// What a terminal was given.
    #[error(transparent)]
    Material(#[from] card_reader::MaterialError),
    /// The vault, on its own side.
    #[error(transparent)]
    Vault(#[from] keyvault::Error),
    /// The vault, as its client hears it.
    #[error(transparent)]
    VaultClient(#[from] keyvault_protocol::Error),
    /// Bytes of the card specification.
    #[error(transparent)]
    Form(#[from] card_applet_spec::Error),
    /// A file or thread of the scene's own.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// The card on the reader is not blank.
    #[error("the card on the reader is not a blank of this lot")]
    NotABlank,
    /// A physical card may not be written without saying so.
    #[error("the card on {reader:?} may not be written without an explicit word")]
    WriteNotAllowed {
        /// The reader.
        reader: String,
    },
}

impl Error {
    /// The trouble was with the reader or the card's presence, and this was it.
    #[must_use]
    pub fn transport(&self) -> Option<&TransportError> {
        match self {
            Self::Transport(error) | Self::Card(card_reader::Error::Transport(error)) => Some(error),
            _ => None,
        }
    }
}
