//! Counters of terminals: on which line each stands, the import of its files, and what is told of them. Card specification,
//! chapter 08.
//!
//! A terminal's day counts once. The signature says which key wrote a number, not that it is true: this is a statistic, and
//! nothing follows from it. An import books at once by operator and line (of doors by operator and month), and keeps no number
//! of a terminal. What may be told is decided in [`permit_domain::counting`]; a report is an entry of the ledger, whose time
//! never goes back, so no day that a report has closed is booked on afterwards. Left out: money (settlement).

use card_applet_spec::codes::Role;
use card_applet_spec::counters::{Count, Counted, UnverifiedCounters};
use card_applet_spec::crypto::PublicKey;
use issuer_store::{Appended, BookedCounts, Entry, Transaction};
use jiff::civil::Date;
use permit_domain::counting::{Answer, CountingTerminal, Row, Told, booked_on, closed_to, tell};
use permit_domain::{Digest, Refusal, StaffId};
use program_contract::day;

use crate::error::OfficeError;
use crate::office::Office;

/// Longest counters file that is taken, bytes: five roles with every reason have below 1 100.
pub const MAX_FILE: u64 = 4096;

/// Why a counters file was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CountersRefusal {
    /// It is no counters file, or one of an older form.
    #[error("it is no counters file of a whole day")]
    Form,
    /// No terminal of its name is registered, here.
    #[error("no terminal named {terminal} is registered for its counters")]
    TerminalUnknown {
        /// The name in the file.
        terminal: String,
    },
    /// The terminal stood on no line on that day.
    #[error("the terminal {terminal} was not registered on {day}")]
    NotRegistered {
        /// The name in the file.
        terminal: String,
        /// The day in the file.
        day: Date,
    },
    /// The terminal's key did not sign it as it is: it was edited, or another terminal made it.
    #[error("the key of the terminal {terminal} did not sign this file")]
    Signature {
        /// The name in the file.
        terminal: String,
    },
    /// The day is not over here.
    #[error("the day {day} is not over")]
    Future {
        /// The day in the file.
        day: Date,
    },
    /// It has counts of another role than the terminal is registered for.
    #[error("the terminal {terminal} counted for {role}, for which it is not registered")]
    OtherRole {
        /// The terminal.
        terminal: String,
        /// What it counted for.
        role: Role,
    },
    /// Another file of this terminal's day was taken before. Nothing of this one was.
    #[error("another file of the terminal {terminal} was taken for {day}")]
    DayTaken {
        /// The terminal.
        terminal: String,
        /// The day.
        day: Date,
    },
}

impl CountersRefusal {
    /// The code for programs, from a closed list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form => "COUNTERS_FORM",
            Self::TerminalUnknown { .. } => "TERMINAL_UNKNOWN",
            Self::NotRegistered { .. } => "DAY_NOT_REGISTERED",
            Self::Signature { .. } => "COUNTERS_SIGNATURE",
            Self::Future { .. } => "COUNTERS_FUTURE",
            Self::OtherRole { .. } => "COUNTERS_ROLE",
            Self::DayTaken { .. } => "DAY_TAKEN",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Form => {
                "Ask the operator for the file as the terminal wrote it; a terminal with an older program writes none that counts."
            }
            Self::TerminalUnknown { .. } => {
                "If it is a terminal of this office, register it with `issuer terminal register`, then import the file again; else give the file back."
            }
            Self::NotRegistered { .. } => {
                "Compare the day with the terminal's days in `issuer terminal list`; a day on which it stood on no line is not counted."
            }
            Self::Signature { .. } => {
                "Ask for the file as the terminal wrote it. If the terminal has new keys, withdraw it and register it with them."
            }
            Self::Future { .. } => {
                "Set the clock that is wrong, the terminal's or this machine's, and import the file again when its day is over."
            }
            Self::OtherRole { .. } => "Compare the registration with the terminal's bundle.",
            Self::DayTaken { .. } => {
                "Leave it: the day is counted. If terminals have one name and key, or one was set back, enrol it anew."
            }
        }
    }

    /// What happened and what to do, in Chinese.
    #[must_use]
    pub fn chinese(&self) -> (String, &'static str) {
        match self {
            Self::Form => (
                "这不是一整日的计数文件".to_owned(),
                "请向运营单位索取终端原样写出的文件；旧版程序的终端写不出可计入的文件。",
            ),
            Self::TerminalUnknown { terminal } => (
                format!("没有为计数登记名为 {terminal} 的终端"),
                "如系本机关的终端，请用 `issuer terminal register` 登记后再次导入；否则请退回文件。",
            ),
            Self::NotRegistered { terminal, day } => (
                format!("终端 {terminal} 在 {day} 未登记"),
                "请与 `issuer terminal list` 中该终端的日期核对；未登记在线路上的日子不计入。",
            ),
            Self::Signature { terminal } => (
                format!("此文件不是由终端 {terminal} 的密钥签名的"),
                "请索取终端原样写出的文件。如终端已换密钥，请先撤销登记，再以新密钥登记。",
            ),
            Self::Future { day } => (
                format!("{day} 这一天尚未结束"),
                "请校准有误的时钟（终端的或本机的），待该日结束后再次导入。",
            ),
            Self::OtherRole { terminal, role } => (
                format!("终端 {terminal} 计入了未登记的用途 {role}"),
                "请与终端的凭证包核对登记内容。",
            ),
            Self::DayTaken { terminal, day } => (
                format!("终端 {terminal} 在 {day} 的另一份文件已导入"),
                "不必处理：该日已计入。如有终端同名同密钥，或终端曾被恢复到旧状态，请重新登记其密钥。",
            ),
        }
    }
}

/// What became of one counters file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CountersFile {
    /// It was taken, now or before.
    Taken {
        /// The terminal.
        terminal: String,
        /// The day.
        day: Date,
        /// The day on which it is booked: another one where it came late, or of a door; `None`: the very same file was taken
        /// before.
        booked_on: Option<Date>,
    },
    /// Nothing of it was taken.
    Refused(CountersRefusal),
}

/// What is told of the counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountersReport {
    /// The last day that is closed.
    pub closed_to: Date,
    /// What is told, by operator, line, role and answer.
    pub rows: Vec<(Row, Told)>,
}

impl Office {
    /// Registers a terminal for its counters. The same registration again changes nothing.
    ///
    /// # Errors
    /// [`issuer_store::Error::Exists`] for a name that stands on a line, or stood on one on that day; outages.
    pub async fn register_counting_terminal(
        &self,
        terminal: &CountingTerminal,
        by: &StaffId,
    ) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        if let Some(appended) = register(&mut tx, terminal, by).await? {
            tx.commit(appended).await?;
        }
        Ok(())
    }

    /// Withdraws a terminal from its line: days behind this one are not taken. It may be registered anew from the next day on.
    ///
    /// # Errors
    /// [`Refusal::NoCountingTerminal`]; [`permit_domain::Error::WrongState`] for a terminal that was withdrawn earlier;
    /// [`permit_domain::Error::Reversed`]; outages.
    pub async fn withdraw_counting_terminal(
        &self,
        name: &str,
        after: Date,
        by: &StaffId,
    ) -> Result<CountingTerminal, OfficeError> {
        let mut tx = self.begin().await?;
        let (terminal, appended) = withdraw(&mut tx, name, after, by).await?;
        if let Some(appended) = appended {
            tx.commit(appended).await?;
        }
        Ok(terminal)
    }

    /// Every time that a terminal stood on a line, by name and first day.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn counting_terminals(&self) -> Result<Vec<CountingTerminal>, OfficeError> {
        Ok(self.read().await?.counting_terminals().await?)
    }

    /// Imports counters files. One that cannot be taken is refused by itself; the others are taken, together.
    ///
    /// # Errors
    /// The ledger's: then nothing was taken.
    pub async fn import_counters(
        &self,
        files: &[Vec<u8>],
        by: &StaffId,
    ) -> Result<Vec<CountersFile>, OfficeError> {
        let mut tx = self.begin().await?;
        let (outcomes, appended) = import(&mut tx, files, by).await?;
        if let Some(appended) = appended {
            tx.commit(appended).await?;
        }
        Ok(outcomes)
    }

    /// What is told of the periods that end in these days, both included. Who asked, and for which days, is in the ledger.
    ///
    /// # Errors
    /// [`permit_domain::Error::Reversed`]; the ledger's.
    pub async fn counters_report(
        &self,
        from: Date,
        to: Date,
        by: &StaffId,
    ) -> Result<CountersReport, OfficeError> {
        let mut tx = self.begin().await?;
        let (report, appended) = report(&mut tx, from, to, by).await?;
        tx.commit(appended).await?;
        Ok(report)
    }
}

/// Enters a terminal; nothing for a registration that is known.
pub(crate) async fn register(
    tx: &mut Transaction,
    terminal: &CountingTerminal,
    by: &StaffId,
) -> Result<Option<Appended>, OfficeError> {
    let known = tx.counting_terminal(&terminal.name).await?;
    if known.contains(terminal) {
        return Ok(None);
    }
    let is_free = known
        .iter()
        .all(|other| other.withdrawn_after.is_some_and(|last| last < terminal.from));
    if !is_free {
        return Err(issuer_store::Error::Exists {
            what: "terminal name",
        }
        .into());
    }
    Ok(Some(tx.insert_counting_terminal(terminal, by).await?))
}

/// Enters the last day of a terminal on the line where it stood last; nothing if it was that before.
pub(crate) async fn withdraw(
    tx: &mut Transaction,
    name: &str,
    after: Date,
    by: &StaffId,
) -> Result<(CountingTerminal, Option<Appended>), OfficeError> {
    let latest = tx.counting_terminal(name).await?.into_iter().next();
    let known = latest.ok_or_else(|| Refusal::NoCountingTerminal {
        name: name.to_owned(),
    })?;
    let Some(withdrawn) = known.clone().withdrawn(after)? else {
        return Ok((known, None));
    };
    let appended = tx.withdraw_counting_terminal(&known, after, by).await?;
    Ok((withdrawn, Some(appended)))
}

/// Takes the files that can be taken.
pub(crate) async fn import(
    tx: &mut Transaction,
    files: &[Vec<u8>],
    by: &StaffId,
) -> Result<(Vec<CountersFile>, Option<Appended>), OfficeError> {
    let (mut outcomes, mut appended) = (Vec::with_capacity(files.len()), None);
    for file in files {
        outcomes.push(match checked(tx, file).await? {
            Err(refusal) => CountersFile::Refused(refusal),
            Ok((terminal, day, counts)) => take(tx, file, &terminal, day, &counts, by, &mut appended).await?,
        });
    }
    Ok((outcomes, appended))
}

/// A file that its terminal signed, of a day on which it stood on a line.
async fn checked(
    tx: &mut Transaction,
    file: &[u8],
) -> Result<Result<(CountingTerminal, Date, Vec<Count>), CountersRefusal>, OfficeError> {
    let unverified = match UnverifiedCounters::parse(file) {
        Ok(unverified) if file.len() as u64 <= MAX_FILE => unverified,
        _ => return Ok(Err(CountersRefusal::Form)),
    };
    let Some(day) = day::from_card(unverified.day()) else {
        return Ok(Err(CountersRefusal::Form));
    };
    let standing = tx.counting_terminal(unverified.terminal()).await?;
    // As it is shown: nobody has signed it yet.
    let name = unverified.terminal().escape_debug().to_string();
    if standing.is_empty() {
        return Ok(Err(CountersRefusal::TerminalUnknown { terminal: name }));
    }
    let Some(terminal) = standing.into_iter().find(|terminal| terminal.counts_on(day)) else {
        return Ok(Err(CountersRefusal::NotRegistered { terminal: name, day }));
    };
    let key = PublicKey::from_point65(&terminal.authentication_key);
    let Ok(counters) = key.and_then(|key| unverified.verify(&key)) else {
        return Ok(Err(CountersRefusal::Signature { terminal: name }));
    };
    if day >= today(tx) {
        return Ok(Err(CountersRefusal::Future { day }));
    }
    // A terminal that is asked for another role says WRONG_ROLE to everybody: that is no business of the line's.
    let is_other = |count: &Count| count.role != terminal.role;
    let counts: Vec<Count> = counters
        .counts()
        .filter(|count| !is_other(count) || count.counted != Counted::WrongRole)
        .collect();
    if let Some(other) = counts.iter().find(|count| is_other(count)) {
        return Ok(Err(CountersRefusal::OtherRole {
            terminal: name,
            role: other.role,
        }));
    }
    Ok(Ok((terminal, day, counts)))
}

/// Books a checked file, unless its day was taken.
async fn take(
    tx: &mut Transaction,
    file: &[u8],
    terminal: &CountingTerminal,
    day: Date,
    counts: &[Count],
    by: &StaffId,
    appended: &mut Option<Appended>,
) -> Result<CountersFile, OfficeError> {
    let digest = Digest::of(file);
    let name = terminal.name.clone();
    match tx.counted_day(&name, day).await? {
        Some(known) if known == digest => {
            return Ok(CountersFile::Taken {
                terminal: name,
                day,
                booked_on: None,
            });
        }
        Some(_) => {
            return Ok(CountersFile::Refused(CountersRefusal::DayTaken {
                terminal: name,
                day,
            }));
        }
        None => {}
    }
    let on = booked_on(terminal.role, day, today(tx));
    let number = |answer| -> u64 {
        let of_it = counts.iter().filter(|count| answer_of(count.counted) == answer);
        of_it.map(|count| u64::from(count.number)).sum()
    };
    let booked: Vec<BookedCounts> = [Answer::Accepted, Answer::Refused]
        .into_iter()
        .map(|answer| BookedCounts {
            row: terminal.row(answer),
            day: on,
            number: number(answer),
        })
        .filter(|booked| booked.number > 0)
        .collect();
    *appended = Some(tx.insert_counted_day(&name, day, digest, &booked, by).await?);
    Ok(CountersFile::Taken {
        terminal: name,
        day,
        booked_on: Some(on),
    })
}

const fn answer_of(counted: Counted) -> Answer {
    match counted {
        Counted::Accepted | Counted::AcceptedInGrace => Answer::Accepted,
        _ => Answer::Refused,
    }
}

/// The office's day of what the transaction writes.
fn today(tx: &Transaction) -> Date {
    day::of(tx.at())
}

/// What is told, and the entry that says who asked.
pub(crate) async fn report(
    tx: &mut Transaction,
    from: Date,
    to: Date,
    by: &StaffId,
) -> Result<(CountersReport, Appended), OfficeError> {
    if to < from {
        return Err(permit_domain::Error::Reversed.into());
    }
    let closed_to = closed_to(today(tx));
    let booked = tx.booked_counts().await?;
    let rows = booked
        .chunk_by(|a, b| a.row == b.row)
        .filter_map(|of_row| {
            let row = &of_row.first()?.row;
            let counts: Vec<(Date, u64)> = of_row.iter().map(|one| (one.day, one.number)).collect();
            let told = tell(row.role, &counts, closed_to).within(from, to);
            (!told.is_empty()).then(|| (row.clone(), told))
        })
        .collect();
    let appended = tx
        .append(Entry {
            role: "reader of counters",
            actor: by.as_str(),
            action: "counters REPORTED",
            subject: "counters",
            detail: &format!(r#"{{"from":"{from}","to":"{to}"}}"#),
        })
        .await?;
    Ok((CountersReport { closed_to, rows }, appended))
}
