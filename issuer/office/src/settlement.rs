//! Import of settlement files: signature, registration, the vault's word on each line, the ledger's decision. Card
//! specification, chapter 11.
//!
//! The files of one call are taken together or not at all; a file that cannot be taken is refused by itself, before the
//! ledger is touched. Nothing that is printed, logged or kept here names a card. Left out: the payment.

use std::collections::{BTreeMap, BTreeSet};

use card_applet_spec::crypto::PublicKey;
use card_applet_spec::door_f::CommitBody;
use card_applet_spec::settlement::{Line, Unknown, UnverifiedSettlement};
use issuer_store::{Appended, TerminalReport, Transaction};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use keyvault_protocol as vault;
use permit_domain::payment::{
    CardPseudonym, Check, CheckedFile, CheckedLine, DebitBefore, FileSums, GenuineLine, Registration, Sum,
    UnknownLine, settle,
};
use permit_domain::{Digest, StaffId};
use program_contract::day;
use program_contract::language::Words;

use crate::error::OfficeError;
use crate::office::Office;

/// 2000-01-01T00:00Z, from which the card counts seconds.
const CARD_EPOCH: i64 = 946_684_800;

/// Longest settlement file that is taken, bytes: some 380 000 debits. Whoever has a terminal's key can sign a longer one,
/// and an import holds the ledger for as long as it lasts.
pub const MAX_FILE: u64 = 64 << 20;

/// Why a file was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRefusal {
    /// It is longer than [`MAX_FILE`].
    TooLong,
    /// It is no settlement file.
    Form,
    /// No terminal is registered under its number.
    TerminalUnknown {
        /// The number.
        tid: u32,
    },
    /// The terminal of that number has another name.
    OtherName,
    /// The terminal's key did not sign it as it is: it was edited, or another terminal made it.
    Signature,
    /// It has debits of days that have not come here yet.
    Future,
    /// Another file of this number was taken before.
    NumberTaken,
    /// It came behind the last day of a terminal that was withdrawn.
    Closed {
        /// The terminal.
        tid: u32,
        /// The file's number.
        number: u32,
    },
}

impl FileRefusal {
    /// The code for programs, from a closed list.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "SETTLEMENT_TOO_LONG",
            Self::Form => "SETTLEMENT_FORM",
            Self::TerminalUnknown { .. } => "TERMINAL_UNKNOWN",
            Self::OtherName => "OTHER_TERMINAL_NAME",
            Self::Signature => "SETTLEMENT_SIGNATURE",
            Self::Future => "SETTLEMENT_FUTURE",
            Self::NumberTaken => "NUMBER_TAKEN",
            Self::Closed { .. } => "TERMINAL_CLOSED",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn action(self) -> Words {
        match self {
            Self::TooLong => Words(
                "请向商户查明原因：每月结算一次的终端不会有这么长的文件。",
                "Ask the merchant why: a terminal that is settled once a month has no such file.",
            ),
            Self::Form => Words(
                "请商户提供终端原样写出的文件。",
                "Ask the merchant for the file as the terminal wrote it.",
            ),
            Self::TerminalUnknown { .. } => Words(
                "请用 `issuer terminal register` 登记该终端，再次导入。",
                "Register the terminal with `issuer terminal register`, then import the file again.",
            ),
            Self::OtherName => Words(
                "请将登记与终端的凭证包核对。",
                "Compare the registration with the terminal's bundle.",
            ),
            Self::Signature => Words(
                "请索取终端原样写出的文件；改动过的文件分文不付。终端换过密钥的，须另行登记。",
                "Ask for the file as the terminal wrote it; nothing of an edited file is paid. If the terminal has new keys, it needs a registration of its own.",
            ),
            Self::Future => Words(
                "请校准有误的时钟（终端的或本机的），待文件中的日期到了再次导入。",
                "Set the clock that is wrong, the terminal's or this machine's, and import the file again when its days have come.",
            ),
            Self::NumberTaken => Words(
                "请查明终端为何用同一编号写出两份文件：终端被恢复到以前的状态，或他人持有其密钥。",
                "Ask why the terminal made two files of one number: it was set back, or somebody else has its key.",
            ),
            Self::Closed { .. } => Words(
                "请查明终端注销之后此文件在何处：持有其密钥的人可以写入任何日期。查明无误的，用 `issuer settle --late TID/NUMBER` 放行。",
                "Ask where this file was since the terminal was withdrawn: whoever has its key writes any day into it. If you know, let it in with `issuer settle --late TID/NUMBER`.",
            ),
        }
    }
}

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOutcome {
    /// Taken now.
    Imported(FileSums),
    /// The very same file was taken before: done already.
    Known,
    /// Another file of this number was taken before. Nothing of this one was.
    NumberTaken,
    /// Its terminal was withdrawn, and nobody let it in. Nothing of it was taken.
    Closed,
}

/// A batch after its import, without any card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// For each file, in the order given.
    pub files: Vec<FileOutcome>,
    /// What other terminals' evidence brought, by terminal.
    pub recovered: BTreeMap<u32, Sum>,
    /// Evidence of debits whose terminal was not registered on their day, or was withdrawn before this one.
    pub recovered_unregistered: Sum,
    /// Unknown debits that evidence of this batch covers.
    pub resolved: u64,
    /// Cards found copied or broken: [`Office::confirm_denials`] names them to the vault.
    pub copied: u64,
    /// Debits missing between two of this batch, with their sum where the cards' figures show it.
    pub gaps: Sum,
    /// Debits missing in all.
    pub missing: u64,
}

/// What became of one file of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettledFile {
    /// It was taken, now or before.
    Taken {
        /// The terminal.
        tid: u32,
        /// The file's number.
        number: u32,
        /// Now or before.
        outcome: FileOutcome,
    },
    /// Nothing of it was taken.
    Refused(FileRefusal),
}

/// A batch after its import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// For each file, in the order given.
    pub files: Vec<SettledFile>,
    /// All of them together.
    pub batch: Imported,
    /// Copied cards that the vault put onto the deny lists.
    pub denied: u64,
}

/// A file whose signature is right.
struct Verified {
    tid: u32,
    number: u32,
    digest: Digest,
    lines: Vec<Line>,
    unknown: Vec<Unknown>,
}

impl Office {
    /// Imports settlement files. A file that comes behind the withdrawal of its terminal is taken only if it is in `late`
    /// (terminal, number): somebody who knows where it was decided so.
    ///
    /// # Errors
    /// The vault's, before anything was taken; the ledger's, then nothing was taken; [`OfficeError::Denial`] when all is
    /// taken and the vault was not told of a copied card: import any file again, or confirm.
    pub async fn settle(
        &self,
        files: &[Vec<u8>],
        late: &BTreeSet<(u32, u32)>,
        by: &StaffId,
    ) -> Result<Settlement, OfficeError> {
        let mut results: Vec<Option<SettledFile>> = Vec::with_capacity(files.len());
        let mut checked = Vec::new();
        let mut client = None;
        for file in files {
            match self.verify_file(file).await? {
                Err(refusal) => results.push(Some(SettledFile::Refused(refusal))),
                Ok(verified) => {
                    if client.is_none() {
                        client = Some(self.settlement_client().await?);
                    }
                    if let Some(client) = &mut client {
                        checked.push(check(client, verified).await?);
                    }
                    results.push(None);
                }
            }
        }
        let batch = if checked.is_empty() {
            Imported::default()
        } else {
            let mut tx = self.begin().await?;
            let on = self.clock().today();
            let (batch, appended) = import(&mut tx, &checked, on, late, by).await?;
            if let Some(appended) = appended {
                tx.commit(appended).await?;
            }
            batch
        };
        let mut taken = checked.iter().zip(&batch.files);
        let files = results
            .into_iter()
            .map(|result| {
                result.unwrap_or_else(|| match taken.next() {
                    Some((_, FileOutcome::NumberTaken)) | None => {
                        SettledFile::Refused(FileRefusal::NumberTaken)
                    }
                    Some((file, FileOutcome::Closed)) => SettledFile::Refused(FileRefusal::Closed {
                        tid: file.tid,
                        number: file.number,
                    }),
                    Some((file, outcome)) => SettledFile::Taken {
                        tid: file.tid,
                        number: file.number,
                        outcome: *outcome,
                    },
                })
            })
            .collect();
        let denied = self.deny_copied().await?;
        Ok(Settlement { files, batch, denied })
    }

    async fn verify_file(&self, file: &[u8]) -> Result<Result<Verified, FileRefusal>, OfficeError> {
        if file.len() as u64 > MAX_FILE {
            return Ok(Err(FileRefusal::TooLong));
        }
        let Ok(unverified) = UnverifiedSettlement::parse(file) else {
            return Ok(Err(FileRefusal::Form));
        };
        let tid = unverified.head().tid;
        let Some(terminal) = self.read().await?.payment_terminal(tid).await? else {
            return Ok(Err(FileRefusal::TerminalUnknown { tid }));
        };
        Ok(verify(file, unverified, &terminal, self.clock().today()))
    }

    /// Registers a payment terminal. The same registration again changes nothing.
    ///
    /// # Errors
    /// [`issuer_store::Error::Exists`] for a number that was ever given to another terminal, or a name that another one
    /// has; [`permit_domain::Error::Reversed`]; outages.
    pub async fn register_terminal(&self, terminal: &Registration, by: &StaffId) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        if let Some(appended) = register(&mut tx, terminal, by).await? {
            tx.commit(appended).await?;
        }
        Ok(())
    }

    /// Withdraws a terminal: debits after the day are never paid, and a file that comes after it is not taken by itself.
    ///
    /// # Errors
    /// [`permit_domain::Refusal::TerminalUnknown`]; [`permit_domain::Error::WrongState`] for a terminal that was withdrawn
    /// earlier; outages.
    pub async fn withdraw_terminal(
        &self,
        tid: u32,
        after: Date,
        by: &StaffId,
    ) -> Result<Registration, OfficeError> {
        let mut tx = self.begin().await?;
        let (terminal, appended) = withdraw(&mut tx, tid, after, by).await?;
        if let Some(appended) = appended {
            tx.commit(appended).await?;
        }
        Ok(terminal)
    }

    /// All registered terminals, by number.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn payment_terminals(&self) -> Result<Vec<Registration>, OfficeError> {
        Ok(self.read().await?.payment_terminals().await?)
    }

    /// What a terminal is owed.
    ///
    /// # Errors
    /// [`permit_domain::Refusal::TerminalUnknown`]; outages.
    pub async fn terminal_report(&self, tid: u32) -> Result<TerminalReport, OfficeError> {
        let report = self.read().await?.terminal_report(tid).await?;
        report.ok_or_else(|| permit_domain::Refusal::TerminalUnknown { tid }.into())
    }
}

/// Enters a registration; nothing for one that is known.
pub(crate) async fn register(
    tx: &mut Transaction,
    terminal: &Registration,
    by: &StaffId,
) -> Result<Option<Appended>, OfficeError> {
    let exists = |what| Err(issuer_store::Error::Exists { what }.into());
    if terminal.to < terminal.from {
        return Err(permit_domain::Error::Reversed.into());
    }
    match tx.payment_terminal(terminal.tid).await? {
        Some(known) if known == *terminal => return Ok(None),
        Some(_) => return exists("registration number"),
        None => {}
    }
    if tx.terminal_named(&terminal.name).await?.is_some() {
        return exists("terminal name");
    }
    Ok(Some(tx.insert_terminal(terminal, by).await?))
}

/// Enters a terminal's last day; nothing if it was that before.
pub(crate) async fn withdraw(
    tx: &mut Transaction,
    tid: u32,
    after: Date,
    by: &StaffId,
) -> Result<(Registration, Option<Appended>), OfficeError> {
    let known = tx.payment_terminal(tid).await?;
    let known = known.ok_or(permit_domain::Refusal::TerminalUnknown { tid })?;
    let Some(withdrawn) = known.clone().withdrawn(after)? else {
        return Ok((known, None));
    };
    let appended = tx.withdraw_terminal(tid, after, by).await?;
    Ok((withdrawn, Some(appended)))
}

/// Enters a batch of checked files: those that were taken before are left out, the others are settled together. Nothing is
/// taken with a file of an unknown terminal.
pub(crate) async fn import(
    tx: &mut Transaction,
    files: &[CheckedFile],
    on: Date,
    late: &BTreeSet<(u32, u32)>,
    by: &StaffId,
) -> Result<(Imported, Option<Appended>), OfficeError> {
    let mut outcomes: Vec<Option<FileOutcome>> = Vec::with_capacity(files.len());
    let mut new: Vec<CheckedFile> = Vec::new();
    for file in files {
        let twin = new
            .iter()
            .find(|other| (other.tid, other.number) == (file.tid, file.number));
        let before = match twin {
            Some(twin) => Some(twin.digest),
            None => tx.settlement_file(file.tid, file.number).await?,
        };
        outcomes.push(match before {
            Some(known) if known == file.digest => Some(FileOutcome::Known),
            Some(_) => Some(FileOutcome::NumberTaken),
            None => {
                let terminal = tx.payment_terminal(file.tid).await?;
                let is_closed = terminal.is_some_and(|terminal| terminal.is_closed_on(on));
                if is_closed && !late.contains(&(file.tid, file.number)) {
                    Some(FileOutcome::Closed)
                } else {
                    new.push(file.clone());
                    None
                }
            }
        });
    }
    let mut known = tx.known_of(&new).await?;
    known.on = Some(on);
    if let Some(file) = new.iter().find(|file| !known.terminals.contains_key(&file.tid)) {
        return Err(permit_domain::Refusal::TerminalUnknown { tid: file.tid }.into());
    }
    let settled = settle(&known, &new);
    let appended = tx.insert_settlement(&new, &settled, late, by).await?;
    let missing = tx.missing_debits().await?;
    let mut sums = settled.files.iter();
    let files = outcomes
        .into_iter()
        .map(|outcome| {
            outcome.unwrap_or_else(|| FileOutcome::Imported(sums.next().copied().unwrap_or_default()))
        })
        .collect();
    let imported = Imported {
        files,
        recovered: settled.recovered,
        recovered_unregistered: settled.recovered_unregistered,
        resolved: u64::try_from(settled.resolved.len()).unwrap_or(u64::MAX),
        copied: u64::try_from(settled.copied.len()).unwrap_or(u64::MAX),
        gaps: settled.gaps,
        missing,
    };
    Ok((imported, appended))
}

fn verify(
    file: &[u8],
    unverified: UnverifiedSettlement<'_>,
    terminal: &Registration,
    today: Date,
) -> Result<Verified, FileRefusal> {
    if unverified.head().terminal != terminal.name {
        return Err(FileRefusal::OtherName);
    }
    let key = PublicKey::from_point65(&terminal.authentication_key).map_err(|_| FileRefusal::Signature)?;
    let settlement = unverified.verify(&key).map_err(|_| FileRefusal::Signature)?;
    let verified = Verified {
        tid: settlement.head.tid,
        number: settlement.head.number,
        digest: Digest::of(file),
        lines: settlement.lines().collect(),
        unknown: settlement.unknown().collect(),
    };
    let times = verified.lines.iter().map(|line| line.body.time);
    let mut times = times.chain(verified.unknown.iter().map(|line| line.body.time));
    if times.any(|time| day_of(time) > today) {
        return Err(FileRefusal::Future);
    }
    Ok(verified)
}

/// The office's day of a card's time.
fn day_of(time: u32) -> Date {
    let at = Timestamp::UNIX_EPOCH
        .checked_add(SignedDuration::from_secs(CARD_EPOCH + i64::from(time)))
        .unwrap_or(Timestamp::MAX);
    day::of(at)
}

/// What a debit is found again by: only who has the debit itself can compute it.
fn key_of(seq: u32, body: &CommitBody) -> Digest {
    let mut bytes = b"YZT-DEBIT-1".to_vec();
    bytes.extend_from_slice(&seq.to_be_bytes());
    // Fixed sizes: this cannot fail, and an empty body would be nobody's debit.
    bytes.extend_from_slice(&body.encode().unwrap_or([0; 28]));
    Digest::of(&bytes)
}

/// Has the vault check the lines of a file.
async fn check<S>(client: &mut vault::Client<S>, file: Verified) -> Result<CheckedFile, OfficeError>
where
    S: crate::connection::Duplex,
{
    let malformed = || OfficeError::from(vault::Error::Malformed("lines that cannot be written"));
    let mut verdicts = Vec::with_capacity(file.lines.len());
    for part in file.lines.chunks(vault::MAX_LINES) {
        let lines = part
            .iter()
            .map(|line| {
                let before = line.before.map(|before| before.encode()).transpose();
                Ok(vault::SettlementLine {
                    key_version: line.kv,
                    pid: line.pid,
                    body: line.body.encode().map_err(|_| malformed())?,
                    seq: line.seq,
                    loaded: line.loaded,
                    spent: line.spent,
                    tac: line.tac,
                    before: before.map_err(|_| malformed())?,
                })
            })
            .collect::<Result<Vec<_>, OfficeError>>()?;
        let checked = client.check_lines(&lines).await?;
        if checked.len() != lines.len() {
            return Err(vault::Error::Malformed("another number of verdicts than lines").into());
        }
        verdicts.extend(checked);
    }
    let lines = file
        .lines
        .iter()
        .zip(verdicts)
        .map(|(line, verdict)| CheckedLine {
            tid: line.body.tid,
            day: day_of(line.body.time),
            amount: line.body.amount,
            key: key_of(line.seq, &line.body),
            check: word(line, verdict),
        })
        .collect();
    let unknown = file
        .unknown
        .iter()
        .map(|line| UnknownLine {
            tid: line.body.tid,
            day: day_of(line.body.time),
            amount: line.body.amount,
            key: key_of(line.seq.wrapping_add(1), &line.body),
        })
        .collect();
    Ok(CheckedFile {
        tid: file.tid,
        number: file.number,
        digest: file.digest,
        lines,
        unknown,
    })
}

/// The vault's word on a line.
fn word(line: &Line, verdict: vault::LineCheck) -> Check {
    match verdict {
        vault::LineCheck::Forged => Check::Forged,
        vault::LineCheck::UnknownCard => Check::UnknownCard,
        vault::LineCheck::Genuine {
            chain,
            loaded_known,
            before,
            given,
        } => Check::Genuine(Box::new(GenuineLine {
            pseudonym: CardPseudonym::from_bytes(chain),
            seq: line.seq,
            tac: line.tac,
            spent: line.spent,
            loaded_known,
            given,
            before: before.map(|debit| {
                let body = CommitBody {
                    amount: debit.amount,
                    tid: debit.tid,
                    txno: debit.txno,
                    time: debit.time,
                    kind: debit.kind,
                };
                DebitBefore {
                    seq: debit.seq,
                    tac: debit.tac,
                    tid: debit.tid,
                    day: day_of(debit.time),
                    amount: debit.amount,
                    spent: debit.spent,
                    key: key_of(debit.seq, &body),
                }
            }),
        })),
    }
}
