//! What can stop a scenario.

use std::borrow::Cow;

use card_reader::transport::TransportError;
use program_contract::language::Said as _;
use program_contract::{Exit, Failing};
use thiserror::Error;

/// Trouble in a scenario; each part speaks for itself.
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
    /// A file or thread of the scenario's own.
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

impl Failing for Error {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::VirtualCard(error) => Failing::code(error),
            Self::Transport(error) => Failing::code(error),
            Self::Card(error) => Failing::code(error),
            Self::Material(error) => Failing::code(error),
            Self::Vault(_) | Self::VaultClient(_) => "VAULT".into(),
            Self::Form(_) => "FORM".into(),
            Self::System(_) => "FILE".into(),
            Self::NotABlank => "NOT_A_BLANK".into(),
            Self::WriteNotAllowed { .. } => "WRITE_NOT_ALLOWED".into(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::WriteNotAllowed { .. } | Self::NotABlank | Self::Card(_) => Exit::Refused,
            Self::VirtualCard(_)
            | Self::Transport(_)
            | Self::Material(_)
            | Self::Vault(_)
            | Self::VaultClient(_)
            | Self::Form(_)
            | Self::System(_) => Exit::Absent,
        }
    }

    fn action(&self) -> Cow<'static, str> {
        match self {
            Self::VirtualCard(error) => Failing::action(error),
            Self::Transport(error) => Failing::action(error),
            Self::Card(error) => Failing::action(error),
            Self::Material(error) => Failing::action(error),
            Self::Vault(_) | Self::VaultClient(_) | Self::Form(_) => {
                "Report this: the scratch issuer and the card are our own.".into()
            }
            Self::System(_) => "Check the temporary folder, its rights and the room on the disk.".into(),
            Self::NotABlank => "Lay a blank of the rehearsal lot on the reader.".into(),
            Self::WriteNotAllowed { .. } => "Say --allow-write if this card may be written.".into(),
        }
    }

    fn chinese(&self) -> (String, String) {
        let own = "请上报：测试发证方和卡都是我们自己的。";
        let (message, action) = match self {
            Self::VirtualCard(error) => return error.chinese(),
            Self::Transport(error) => return error.chinese(),
            Self::Card(error) => return error.chinese(),
            Self::Material(error) => return error.chinese(),
            Self::Vault(error) => (error.chinese().0, own),
            Self::VaultClient(error) => (error.chinese().0, own),
            Self::Form(error) => (format!("卡规范的字节有误：{error}"), own),
            Self::System(error) => (error.zh().into_owned(), "请检查临时目录、权限和磁盘空间。"),
            Self::NotABlank => (
                "读卡器上的卡不是本批次的空白卡".to_owned(),
                "请放上演练批次的空白卡。",
            ),
            Self::WriteNotAllowed { reader } => (
                format!("未经明示不得写 {reader:?} 上的卡"),
                "此卡可写的，请加 --allow-write。",
            ),
        };
        (message, action.to_owned())
    }
}
