//! Why a step of production was not done, what that means for the card, and what to do.

use std::borrow::Cow;
use std::path::PathBuf;

use card_reader::{CounterError, Error as CardError, MaterialError};
use issuer_artwork::ArtworkError;
use issuer_office::error::{ContentError, OfficeError};
use issuer_office::fault::Fault;
use keyvault_protocol::{Error as VaultError, RefusalCode};
use permit_domain::CardSerial;
use permit_domain::words::chinese;
use program_contract::language::Said as _;
use program_contract::{Exit, Failing};

/// Everything that can stop a step. The order in the ledger says where it stands; the same step is run again with the
/// same card. No message holds personal data or key bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProductionError {
    /// No order has this id.
    #[error("there is no order with this id")]
    NoOrder,
    /// The order is not at this step.
    #[error(transparent)]
    Domain(permit_domain::Error),
    /// The ledger.
    #[error(transparent)]
    Store(issuer_store::Error),
    /// The reader or the card.
    #[error(transparent)]
    Card(#[from] CardError),
    /// Reading the finished card.
    #[error("the finished card cannot be read ({0})")]
    ReadBack(#[from] CounterError),
    /// The vault refused, or is away.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The vault went, or forgot the session, between a command that the card may have done and its answer.
    #[error(transparent)]
    Interrupted(VaultError),
    /// The photo store refused, or is away.
    #[error("{}", .0.code().texts().message)]
    Photo(#[from] photo_store_protocol::Error),
    /// The order's content.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The faces.
    #[error(transparent)]
    Artwork(#[from] ArtworkError),
    /// The printed faces cannot be written.
    #[error("the face cannot be written to {}: {source}", path.display())]
    Print {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The card on the reader is not a blank, and a blank is needed.
    #[error("the card on the reader is not blank")]
    NotBlank,
    /// Another card lies on the reader than the order's. Nothing was written to it.
    #[error("the card on the reader is not the order's card {expected}; nothing was written to it")]
    CardSwapped {
        /// Serial of the order's card.
        expected: CardSerial,
    },
    /// The vault's result does not speak of the order's card, or of another state than the step asks for.
    #[error("the vault reports another card or state than the step asks for")]
    OtherResult,
    /// What stands on the card is not what was ordered.
    #[error("the card does not hold what was ordered: {what}")]
    WrongContent {
        /// The part that differs; never its value.
        what: &'static str,
    },
    /// The office's part of a change.
    #[error(transparent)]
    Office(Box<OfficeError>),
    /// A thread of this program failed.
    #[error("a part of the program failed")]
    Internal,
}

impl From<OfficeError> for ProductionError {
    fn from(error: OfficeError) -> Self {
        match error {
            OfficeError::Domain(error) => Self::Domain(error),
            OfficeError::Store(error) => Self::Store(error),
            OfficeError::Content(error) => Self::Content(error),
            OfficeError::Vault(error) => Self::Vault(error),
            error => Self::Office(Box::new(error)),
        }
    }
}

impl From<permit_domain::Error> for ProductionError {
    fn from(error: permit_domain::Error) -> Self {
        Self::Domain(error)
    }
}

impl From<MaterialError> for ProductionError {
    fn from(error: MaterialError) -> Self {
        Self::Card(error.into())
    }
}

impl ProductionError {
    /// The vault's failure behind an answer of the card that it was to hear: where it judged the answer, its refusal; where
    /// it could not, nobody knows what the card has done.
    pub(crate) fn after_the_card(error: VaultError) -> Self {
        let is_judged = Fault::of_vault(&error) == Fault::State && !error.is(RefusalCode::NoCardSession);
        if is_judged {
            Self::Vault(error)
        } else {
            Self::Interrupted(error)
        }
    }

    /// The code for programs, from a closed list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoOrder => "NOT_FOUND",
            Self::Domain(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Card(error) => error.code(),
            Self::ReadBack(error) => error.source.code(),
            Self::Vault(error) | Self::Interrupted(error) => error.code(),
            Self::Photo(error) => error.code().as_str(),
            Self::Content(error) => error.code(),
            Self::Artwork(error) => error.code(),
            Self::Print { .. } => "PRINT_FAILED",
            Self::NotBlank => "CARD_NOT_BLANK",
            Self::CardSwapped { .. } => "CARD_SWAPPED",
            Self::OtherResult => "OTHER_RESULT",
            Self::WrongContent { .. } => "WRONG_CONTENT",
            Self::Office(error) => error.code(),
            Self::Internal => "INTERNAL",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::NoOrder => "Check the id.",
            Self::Domain(error) => error.action(),
            Self::Store(error) => error.action(),
            Self::Card(error) | Self::ReadBack(CounterError { source: error, .. })
                if error.outcome_unknown() =>
            {
                "Put the same card back on the reader and run the same command again: it goes on where it stopped, with the same number."
            }
            Self::Card(error) => error.action(),
            Self::ReadBack(error) => error.source.action(),
            Self::Vault(error) | Self::Interrupted(error) => vault_action(error),
            Self::Photo(error) => error.code().texts().action,
            Self::Content(error) => error.action(),
            Self::Artwork(error) => error.action(),
            Self::Print { .. } => {
                "Make room or correct the folder, then run the same command again: the same card is printed."
            }
            Self::NotBlank => "Put a blank from the stock on the reader.",
            Self::CardSwapped { .. } => "Take this card off and put the order's card on the reader.",
            Self::OtherResult => "Keep the card aside and call the key officer; do not hand it over.",
            Self::WrongContent { .. } => {
                "Keep the card aside, give the order up with `issuer give-up`, and order again. Look for a second card that was swapped."
            }
            Self::Office(error) => error.action(),
            Self::Internal => "Run the same command again, and report this.",
        }
    }
}

impl Failing for ProductionError {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Card(error) => card_exit(error),
            Self::ReadBack(error) => card_exit(&error.source),
            Self::Photo(error) => Fault::of_photo_store(error.code()).exit(),
            Self::Artwork(error) => Fault::of_artwork(error).exit(),
            Self::Vault(error) => Fault::of_vault(error).exit(),
            Self::Interrupted(_) => Exit::Unknown,
            Self::Store(error) => Fault::of_store(error).exit(),
            Self::Domain(error) => Fault::of_domain(error).exit(),
            Self::Content(error) => error.fault().exit(),
            Self::Office(error) => error.exit(),
            Self::Print { .. } | Self::Internal => Exit::Damaged,
            Self::NoOrder
            | Self::NotBlank
            | Self::CardSwapped { .. }
            | Self::OtherResult
            | Self::WrongContent { .. } => Exit::Refused,
        }
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }

    fn chinese(&self) -> (String, String) {
        let (message, action) = match self {
            Self::NoOrder => ("没有此编号的制证单".to_owned(), "请核对编号。"),
            Self::Domain(error) => error.chinese(),
            Self::Store(error) => error.chinese(),
            Self::Card(error) if error.outcome_unknown() => (error.chinese().0, SAME_CARD_ZH),
            Self::ReadBack(error) if error.source.outcome_unknown() => (
                format!("成品卡无法读取：{}", error.source.chinese().0),
                SAME_CARD_ZH,
            ),
            Self::Card(error) => return error.chinese(),
            Self::ReadBack(error) => {
                let (message, action) = error.source.chinese();
                return (format!("成品卡无法读取：{message}"), action);
            }
            Self::Vault(error) | Self::Interrupted(error) => (error.chinese_text(), vault_action_zh(error)),
            Self::Photo(error) => return error.chinese(),
            Self::Content(error) => error.chinese(),
            Self::Artwork(error) => error.chinese(),
            Self::Print { path, source } => (
                format!("卡面无法写入 {}：{}", path.display(), source.zh()),
                "请腾出空间或改正目录，再运行同一命令：印的是同一张卡。",
            ),
            Self::NotBlank => ("读卡器上的卡不是空白卡".to_owned(), "请放上一张库存空白卡。"),
            Self::CardSwapped { expected } => (
                format!("读卡器上的卡不是制证单的卡 {expected}；没有向它写入任何内容"),
                "请取下此卡，放上制证单的卡。",
            ),
            Self::OtherResult => (
                "密钥库回报的卡或状态与这一步不符".to_owned(),
                "请将此卡单独存放并通知密钥管理员；不得发放。",
            ),
            Self::WrongContent { what } => (
                format!("卡上内容与制证单不符：{}", chinese(what)),
                "请将此卡单独存放，用 `issuer give-up` 放弃该单并重新下单。请查找是否有第二张卡被调换。",
            ),
            Self::Office(error) => return error.chinese(),
            Self::Internal => ("程序的某一部分出错".to_owned(), "请再运行同一命令，并上报。"),
        };
        (message, action.to_owned())
    }
}

/// Commands have gone out: a card whose last one may have been done is neither refused nor absent.
fn card_exit(error: &CardError) -> Exit {
    if error.outcome_unknown() {
        Exit::Unknown
    } else {
        error.exit()
    }
}

/// A card whose last command may have been done.
const SAME_CARD_ZH: &str = "请把同一张卡放回读卡器，再运行同一命令：从停下处继续，卡号不变。";

/// What to do about the vault, in Chinese.
fn vault_action_zh(error: &VaultError) -> &'static str {
    match error {
        VaultError::NotRunning => "请用 `keyvault serve` 启动密钥库，再运行同一命令。",
        _ if error.is(RefusalCode::Sealed) => "请保管人将密钥库解封，再用同一张卡运行同一命令。",
        VaultError::ConnectionLost(_) | VaultError::HungUp => {
            "请确认密钥库在运行，再用同一张卡运行同一命令。"
        }
        _ if error.is(RefusalCode::CardRefused) || error.is(RefusalCode::NoCardSession) => {
            "请把同一张卡放回读卡器，再运行同一命令：从停下处继续。"
        }
        _ if error.is(RefusalCode::CardNotGenuine) => "请将此卡单独存放，不得发放；通知密钥管理员。",
        _ if error.is(RefusalCode::BadContent) || error.is(RefusalCode::CardDenied) => {
            "请看密钥库的提示；改正后再运行；或用 `issuer change give-up` 放弃，在制的卡用 `issuer give-up` 放弃。"
        }
        _ => "请看密钥库的提示；改正后用同一张卡再运行同一命令。",
    }
}

fn vault_action(error: &VaultError) -> &'static str {
    match error {
        VaultError::NotRunning => "Start the vault with `keyvault serve`, then run the same command again.",
        _ if error.is(RefusalCode::Sealed) => {
            "Ask the custodians to open the vault, then run the same command again with the same card."
        }
        VaultError::ConnectionLost(_) | VaultError::HungUp => {
            "See that the vault runs, then run the same command again with the same card."
        }
        _ if error.is(RefusalCode::CardRefused) || error.is(RefusalCode::NoCardSession) => {
            "Put the same card back on the reader and run the same command again: it goes on where it stopped."
        }
        _ if error.is(RefusalCode::CardNotGenuine) => {
            "Keep the card aside and do not hand it over; call the key officer."
        }
        _ if error.is(RefusalCode::BadContent) || error.is(RefusalCode::CardDenied) => {
            "Read the vault's message; when it is corrected, run it again; or give it up, with `issuer change give-up`, and a card that is being made with `issuer give-up`."
        }
        _ => "Read the vault's message; when it is corrected, run the same command again with the same card.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use card_reader::transport::TransportError;

    #[test]
    fn a_card_that_goes_while_it_is_read_back_is_absent_or_unknown_and_never_refused() {
        let exit = |source: TransportError| {
            let source = CardError::Transport(source);
            let alone = ProductionError::Card(source.clone()).exit().code();
            let read_back = ProductionError::ReadBack(CounterError {
                what: "serial",
                source,
            })
            .exit()
            .code();
            assert_eq!(alone, read_back);
            read_back
        };
        assert_eq!(exit(TransportError::NoCard), 3);
        assert_eq!(exit(TransportError::ReaderLost), 4);
    }

    #[test]
    fn a_vault_that_goes_behind_a_command_leaves_the_outcome_unknown_and_one_that_judged_does_not() {
        use keyvault_protocol::Refusal;
        let refused = |code| {
            ProductionError::after_the_card(VaultError::Refused(Refusal {
                code,
                message: String::new(),
                action: String::new(),
                message_zh: String::new(),
                action_zh: String::new(),
            }))
        };
        for code in [
            RefusalCode::Sealed,
            RefusalCode::NoCardSession,
            RefusalCode::CardRefused,
            RefusalCode::StoreUnavailable,
            RefusalCode::ClockBehind,
            RefusalCode::Damaged,
        ] {
            let error = refused(code);
            assert_eq!((error.code(), error.exit()), (code.as_str(), Exit::Unknown));
        }
        assert_eq!(
            ProductionError::after_the_card(VaultError::NotRunning).exit(),
            Exit::Unknown
        );
        for code in [
            RefusalCode::CardState,
            RefusalCode::CardNotGenuine,
            RefusalCode::CardDenied,
        ] {
            assert_eq!(refused(code).exit(), Exit::Refused);
        }
    }

    #[test]
    fn a_photo_store_that_cannot_is_told_from_one_that_refuses() {
        use photo_store_protocol::{Error, FailureCode as Code};
        for (code, exit) in [
            (Code::VaultUnreachable, 3),
            (Code::StorageFull, 5),
            (Code::ObjectDamaged, 5),
            (Code::ReceiptUsed, 1),
        ] {
            assert_eq!(
                ProductionError::Photo(Error::Failed(code)).exit().code(),
                exit,
                "{}",
                code.as_str()
            );
        }
    }
}
