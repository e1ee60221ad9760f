//! Why a card could not be reached, what the person at the reader can do, and what became of the command.

use std::borrow::Cow;

use program_contract::{Exit, Failing};
use thiserror::Error;

/// What the caller may assume about the command that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The card has not seen the command.
    NotSent,
    /// The card may or may not have run the command. Read its state before anything else.
    Unknown,
}

/// Why a card could not be reached. None of them says anything about the card's keys or content.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No PC/SC service answers.
    #[error("the smart-card service does not answer")]
    NoService,
    /// The service runs and has no reader.
    #[error("no card reader is connected")]
    NoReader,
    /// No reader has the name that was asked for.
    #[error("there is no reader named {wanted:?}; present: {}", list_of(present))]
    UnknownReader {
        /// The name that was asked for.
        wanted: String,
        /// The names of the readers that are there.
        present: Vec<String>,
    },
    /// Cards lie on several readers, and none was named.
    #[error("cards lie on {} readers: {}", present.len(), list_of(present))]
    SeveralReaders {
        /// The names of the readers with a card.
        present: Vec<String>,
    },
    /// Another program holds the card for itself: alone, or in a transaction that does not end.
    #[error("another program holds the card for itself")]
    ReaderBusy,
    /// The reader is empty, or the card was taken away before the command was sent.
    #[error("there is no card on the reader")]
    NoCard,
    /// Something lies on the reader and gives no answer to reset.
    #[error("the card on the reader does not respond to power")]
    CardUnpowered,
    /// The connection broke while the command was on its way.
    #[error("the connection to the card broke; nobody knows whether the last command was carried out")]
    ReaderLost,
    /// The card was reset, or never connected again after trouble. Its session is over; the command was not sent.
    #[error("the card was reset; its session is over")]
    CardReset,
    /// The card did not answer in the time that the reader allows.
    #[error("the card did not answer in time; nobody knows whether the last command was carried out")]
    Timeout,
    /// The bytes are no command APDU in short form (4 to 261 bytes). A fault of the calling program.
    #[error("a command of {length} bytes is no short command")]
    NotACommand {
        /// Length of what was to be sent, bytes.
        length: usize,
    },
}

impl TransportError {
    /// The code for programs, from a closed list (`docs`, contracts of the command line).
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoService => "NO_SERVICE",
            Self::NoReader => "NO_READER",
            Self::UnknownReader { .. } => "UNKNOWN_READER",
            Self::SeveralReaders { .. } => "SEVERAL_READERS",
            Self::ReaderBusy => "READER_BUSY",
            Self::NoCard => "NO_CARD",
            Self::CardUnpowered => "CARD_UNPOWERED",
            Self::ReaderLost => "READER_LOST",
            Self::CardReset => "CARD_RESET",
            Self::Timeout => "TIMEOUT",
            Self::NotACommand { .. } => "NOT_A_COMMAND",
        }
    }

    /// What the person at the reader can do about it, one or two sentences.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::NoService => {
                "Start the service (Debian: `sudo systemctl start pcscd.socket`) and try again. If the service runs elsewhere, \
                 start this program with PCSCLITE_CSOCK_NAME set to its socket."
            }
            Self::NoReader => "Plug in a reader, wait two seconds, and try again.",
            Self::UnknownReader { .. } => "Choose one of the readers that are present, by its full name.",
            Self::SeveralReaders { .. } => "Leave one card on its reader, or name the reader with --reader.",
            Self::ReaderBusy => {
                "Close the program that holds the card for itself (another card-reader, gpg's scdaemon, an eID client or a browser's \
                 PKCS#11 module; `sudo lsof /run/pcscd/pcscd.comm` lists who is connected), or take a silent card off, then try again."
            }
            Self::NoCard => "Put the card on the reader, leave it there, and try again.",
            Self::CardUnpowered => {
                "Take the card off and put it back flat on the reader. If it stays silent, the card or the reader is broken: try another of each."
            }
            Self::ReaderLost | Self::Timeout => {
                "Leave the card on the reader, or put the same card back, and run the same step again: it reads the card's state first."
            }
            Self::CardReset => "Leave the card on the reader and run the same step again.",
            Self::NotACommand { .. } => "This is a fault of the program: report it with its log.",
        }
    }

    /// Whether the card can have seen the command that failed.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::ReaderLost | Self::Timeout => Outcome::Unknown,
            _ => Outcome::NotSent,
        }
    }
}

impl Failing for TransportError {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    /// Before any command has gone out.
    fn exit(&self) -> Exit {
        Exit::Absent
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }

    fn chinese(&self) -> (String, String) {
        let same_card = "请让卡留在读卡器上，或放回同一张卡，再运行同一步骤：它会先读卡的状态。";
        let (message, action) = match self {
            Self::NoService => (
                "智能卡服务没有应答".to_owned(),
                "请启动该服务（Debian：`sudo systemctl start pcscd.socket`）后再试。服务在别处运行的，启动本程序时用 \
                 PCSCLITE_CSOCK_NAME 指明其套接字。",
            ),
            Self::NoReader => ("没有连接读卡器".to_owned(), "请插上读卡器，等两秒再试。"),
            Self::UnknownReader { wanted, present } => (
                format!("没有名为 {wanted:?} 的读卡器；现有：{}", chinese_list_of(present)),
                "请在现有读卡器中选一个，写全名。",
            ),
            Self::SeveralReaders { present } => (
                format!("{} 个读卡器上都有卡：{}", present.len(), chinese_list_of(present)),
                "请只留一张卡，或用 --reader 指明读卡器。",
            ),
            Self::ReaderBusy => (
                "另一程序独占此卡".to_owned(),
                "请关闭独占此卡的程序（另一个 card-reader、gpg 的 scdaemon、电子证件客户端或浏览器的 PKCS#11 模块；\
                 `sudo lsof /run/pcscd/pcscd.comm` 可列出连接者），或取下没有应答的卡，再试。",
            ),
            Self::NoCard => ("读卡器上没有卡".to_owned(), "请把卡放在读卡器上不要动，再试。"),
            Self::CardUnpowered => (
                "读卡器上的卡上电无应答".to_owned(),
                "请取下卡，平放回读卡器。仍无应答的，是卡或读卡器损坏：各换一个试试。",
            ),
            Self::ReaderLost => ("与卡的连接中断；最后一条命令是否执行不明".to_owned(), same_card),
            Self::CardReset => (
                "卡已复位，会话结束".to_owned(),
                "请让卡留在读卡器上，再运行同一步骤。",
            ),
            Self::Timeout => ("卡未及时应答；最后一条命令是否执行不明".to_owned(), same_card),
            Self::NotACommand { length } => (
                format!("{length} 字节不是短格式命令"),
                "这是程序的缺陷，请连同日志上报。",
            ),
        };
        (message, action.to_owned())
    }
}

fn chinese_list_of(names: &[String]) -> String {
    if names.is_empty() {
        "无".to_owned()
    } else {
        names.join("、")
    }
}

fn list_of(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_error() -> Vec<TransportError> {
        vec![
            TransportError::NoService,
            TransportError::NoReader,
            TransportError::UnknownReader {
                wanted: "a".to_owned(),
                present: vec![],
            },
            TransportError::SeveralReaders {
                present: vec!["a".to_owned(), "b".to_owned()],
            },
            TransportError::ReaderBusy,
            TransportError::NoCard,
            TransportError::CardUnpowered,
            TransportError::ReaderLost,
            TransportError::CardReset,
            TransportError::Timeout,
            TransportError::NotACommand { length: 3 },
        ]
    }

    #[test]
    fn every_error_has_a_code_of_its_own_and_an_action() {
        let codes: std::collections::BTreeSet<_> = every_error().iter().map(TransportError::code).collect();
        assert_eq!(codes.len(), every_error().len());
        for error in every_error() {
            assert!(error.action().ends_with('.'), "{error:?}");
            assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn only_a_broken_connection_leaves_the_outcome_open() {
        for error in every_error() {
            let open = matches!(error, TransportError::ReaderLost | TransportError::Timeout);
            assert_eq!(error.outcome() == Outcome::Unknown, open, "{error:?}");
        }
    }
}
