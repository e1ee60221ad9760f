//! The commands of settlement: `terminal`, `settle`, `settlement`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use card_applet_spec::crypto::PublicKey;
use issuer_office::random::Random;
use issuer_office::settlement::{FileOutcome, FileRefusal, MAX_FILE, SettledFile};
use jiff::civil::Date;
use permit_domain::payment::{FileSums, Registration, Sum};
use program_contract::language::{Line, Words};
use program_contract::money::yuan;
use program_contract::{Clock, Failure, Language, Outcome, line};
use serde::Serialize;

use crate::command::failure;
use crate::command::place::{Context, Place};
use crate::command::session::Person;

/// Arguments of `terminal`.
#[derive(Debug, clap::Args)]
pub(super) struct Terminal {
    #[command(subcommand)]
    step: TerminalStep,
}

#[derive(Debug, clap::Subcommand)]
enum TerminalStep {
    /// Register a payment terminal: its days are paid.
    Register(Register),
    /// Withdraw one: days behind the last one are never paid, and files that come later are not taken by themselves.
    Withdraw(Withdraw),
    /// All registered terminals.
    List(List),
}

#[derive(Debug, clap::Args)]
struct Register {
    #[command(flatten)]
    place: Place,
    /// The name in its bundle.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Its registration number, given once: the tid of its bundle.
    #[arg(long, value_name = "NUMBER")]
    tid: u32,
    /// The key that signs its files: `04 || X || Y` as 130 hex digits.
    #[arg(long, value_name = "HEX")]
    authentication_key: String,
    /// First day.
    #[arg(long, value_name = "DATE")]
    from: Date,
    /// Last day, included.
    #[arg(long, value_name = "DATE")]
    to: Date,
    #[command(flatten)]
    person: Person,
}

#[derive(Debug, clap::Args)]
struct Withdraw {
    #[command(flatten)]
    place: Place,
    /// Its registration number.
    #[arg(long, value_name = "NUMBER")]
    tid: u32,
    /// The last day that is paid.
    #[arg(long, value_name = "DATE")]
    after: Date,
    #[command(flatten)]
    person: Person,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct TerminalNow {
    tid: u32,
    name: String,
    authentication_key: String,
    from: Date,
    to: Date,
    withdrawn_after: Option<Date>,
}

impl From<&Registration> for TerminalNow {
    fn from(terminal: &Registration) -> Self {
        Self {
            tid: terminal.tid,
            name: terminal.name.clone(),
            authentication_key: hex::encode(terminal.authentication_key),
            from: terminal.from,
            to: terminal.to,
            withdrawn_after: terminal.withdrawn_after,
        }
    }
}

#[derive(Serialize)]
struct Terminals {
    terminals: Vec<TerminalNow>,
}

const TERMINAL: &str = "yzt.terminal/1";

impl Terminal {
    /// Whether the result is wanted as JSON.
    pub(super) const fn json(&self) -> bool {
        match &self.step {
            TerminalStep::Register(it) => it.place.json,
            TerminalStep::Withdraw(it) => it.place.json,
            TerminalStep::List(it) => it.place.json,
        }
    }

    /// Registers, withdraws, lists.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        match &self.step {
            TerminalStep::Register(it) => it.run(clock, random).await,
            TerminalStep::Withdraw(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let by = it.person.settlement_officer(&context).await?;
                let terminal = context.office.withdraw_terminal(it.tid, it.after, &by).await?;
                let lines = vec![line!(withdrawn_after(it.tid, it.after))];
                Outcome::done(TERMINAL, &TerminalNow::from(&terminal), lines)
            }
            TerminalStep::List(it) => {
                let office = it.place.office(&it.place.open()?, clock, random).await?;
                let known = office.payment_terminals().await?;
                let terminals: Vec<TerminalNow> = known.iter().map(TerminalNow::from).collect();
                let lines = terminals
                    .iter()
                    .map(|known| line!(known.tid, " ", &known.name))
                    .collect();
                Outcome::done(TERMINAL, &Terminals { terminals }, lines)
            }
        }
    }
}

impl Register {
    async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let by = self.person.settlement_officer(&context).await?;
        let key: Option<[u8; 65]> = hex::decode(&self.authentication_key)
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        let authentication_key = key
            .filter(|key| PublicKey::from_point65(key).is_ok())
            .ok_or_else(failure::terminal_key)?;
        if self.name.is_empty() || self.name.len() > 64 {
            return Err(failure::terminal_name());
        }
        let terminal = Registration {
            tid: self.tid,
            name: self.name.clone(),
            authentication_key,
            from: self.from,
            to: self.to,
            withdrawn_after: None,
        };
        context.office.register_terminal(&terminal, &by).await?;
        let lines = vec![line!(registered(self.tid, &self.name))];
        Outcome::done(TERMINAL, &TerminalNow::from(&terminal), lines)
    }
}

/// Arguments of `settle`.
#[derive(Debug, clap::Args)]
pub(super) struct Settle {
    #[command(flatten)]
    pub(super) place: Place,
    /// Settlement files; hand in those of many terminals together.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Let a file in that came behind the withdrawal of its terminal, because you know where it was; once for each.
    #[arg(long, value_name = "TID/NUMBER", value_parser = late)]
    late: Vec<(u32, u32)>,
    #[command(flatten)]
    person: Person,
}

/// A terminal's number and a file's.
fn late(text: &str) -> Result<(u32, u32), String> {
    let numbers = text
        .split_once('/')
        .and_then(|(tid, number)| Some((tid.parse().ok()?, number.parse().ok()?)));
    numbers.ok_or_else(|| {
        "it is the terminal's number, a slash and the file's number, such as 65537/12".to_owned()
    })
}

#[derive(Serialize)]
struct OneFile {
    file: String,
    outcome: &'static str,
    code: Option<&'static str>,
    action: Option<&'static str>,
    tid: Option<u32>,
    number: Option<u32>,
    sums: Option<FileSums>,
}

#[derive(Serialize)]
struct Recovered {
    tid: u32,
    #[serde(flatten)]
    sum: Sum,
}

#[derive(Serialize)]
struct Settled {
    files: Vec<OneFile>,
    recovered: Vec<Recovered>,
    recovered_unregistered: Sum,
    resolved: u64,
    copied_cards: u64,
    denied_cards: u64,
    gaps: Sum,
    missing_debits: u64,
}

impl Settle {
    /// Imports settlement files. Exit code 1 when one of them was refused; the others are taken.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let by = self.person.settlement_officer(&context).await?;
        let late = self.late.iter().copied().collect();
        let mut files = Vec::new();
        for path in &self.files {
            files.push(read(path).map_err(|error| Failure::file(Words("读取", "read"), path, &error))?);
        }
        let done = Box::pin(context.office.settle(&files, &late, &by)).await?;
        let mut lines = Vec::new();
        let mut refused = 0_usize;
        let report = Settled {
            files: self
                .files
                .iter()
                .zip(&done.files)
                .map(|(path, file)| {
                    let one = one_file(path.display().to_string(), file);
                    refused += usize::from(one.code.is_some());
                    lines.push(told(&one));
                    one
                })
                .collect(),
            recovered: done
                .batch
                .recovered
                .iter()
                .map(|(tid, sum)| Recovered { tid: *tid, sum: *sum })
                .collect(),
            recovered_unregistered: done.batch.recovered_unregistered,
            resolved: done.batch.resolved,
            copied_cards: done.batch.copied,
            denied_cards: done.denied,
            gaps: done.batch.gaps,
            missing_debits: done.batch.missing,
        };
        if refused == 0 {
            return Outcome::done("yzt.settle/1", &report, lines);
        }
        let mut failure = failure::files_refused(refused, files.len());
        failure.lines = lines;
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(&report) {
            failure.fields = fields;
        }
        Err(failure)
    }
}

/// A file, or one byte more than a settlement file may have: enough to refuse it.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn one_file(file: String, settled: &SettledFile) -> OneFile {
    let mut one = OneFile {
        file,
        outcome: "REFUSED",
        code: None,
        action: None,
        tid: None,
        number: None,
        sums: None,
    };
    match settled {
        SettledFile::Refused(refusal) => {
            one.code = Some(refusal.code());
            let Words(chinese, english) = refusal.action();
            one.action = Some(Language::of_process().one(chinese, english));
            if let FileRefusal::Closed { tid, number } = refusal {
                (one.tid, one.number) = (Some(*tid), Some(*number));
            }
        }
        SettledFile::Taken { tid, number, outcome } => {
            (one.tid, one.number) = (Some(*tid), Some(*number));
            one.outcome = "KNOWN";
            if let FileOutcome::Imported(sums) = outcome {
                one.outcome = "IMPORTED";
                one.sums = Some(*sums);
            }
        }
    }
    one
}

fn told(one: &OneFile) -> Line {
    match (&one.sums, one.code, one.action) {
        (Some(sums), ..) => line!(
            &one.file,
            ": ",
            file_paid(
                yuan(sums.paid.fen),
                sums.paid.count,
                sums.doubled.count,
                sums.forged.count,
                sums.copied.count,
                sums.not_registered.count,
                sums.waiting.count
            )
        ),
        (None, Some(code), Some(action)) => {
            let which = match (one.tid, one.number) {
                (Some(tid), Some(number)) => format!(" ({tid}/{number})"),
                _ => String::new(),
            };
            line!(&one.file, which, ": ", code, ": ", action)
        }
        _ => line!(&one.file, ": ", Words("此前已导入", "taken before")),
    }
}

program_contract::sentences! {
    fn withdrawn_after(tid, day) = "终端 {tid} 在 {day} 之后注销", "terminal {tid} withdrawn after {day}";
    fn registered(tid, name) = "终端 {tid} {name} 已登记", "terminal {tid} {name} registered";
    fn file_paid(paid, count, doubled, forged, copied, unregistered, waiting) =
        "付款 {paid} 元，{count} 笔；重复 {doubled} 笔，伪造 {forged} 笔，复制卡 {copied} 笔，未登记 {unregistered} 笔，待证 {waiting} 笔",
        "paid {paid} yuan for {count} debits; {doubled} doubled, {forged} forged, {copied} copied, {unregistered} not registered, {waiting} wait";
    fn owed_for(yuan, count) = "应付 {yuan} 元，{count} 笔", "owed {yuan} yuan for {count} debits";
    fn of_these_recovered(yuan) =
        "其中 {yuan} 元由其他终端所见补回", "of these {yuan} yuan recovered from what other terminals saw";
    fn waiting_for_evidence(count, yuan) =
        "{count} 笔共 {yuan} 元待证", "{count} debits of {yuan} yuan wait for evidence";
    fn files_missing(numbers) = "无人上交的文件：{numbers}", "files that nobody handed in: {numbers}";
}

/// Arguments of `settlement`.
#[derive(Debug, clap::Args)]
pub(super) struct SettlementCommand {
    #[command(subcommand)]
    step: SettlementStep,
}

#[derive(Debug, clap::Subcommand)]
enum SettlementStep {
    /// What a terminal is owed, without any card.
    Report(Report),
}

#[derive(Debug, clap::Args)]
struct Report {
    #[command(flatten)]
    place: Place,
    /// Its registration number.
    #[arg(long, value_name = "NUMBER")]
    tid: u32,
}

#[derive(Serialize)]
struct OwedFile {
    number: u32,
    imported_at: String,
    #[serde(flatten)]
    sums: FileSums,
}

#[derive(Serialize)]
struct TerminalOwed {
    #[serde(flatten)]
    terminal: TerminalNow,
    files: Vec<OwedFile>,
    missing_files: Vec<u32>,
    recovered: Sum,
    waiting: Sum,
    owed: Sum,
}

impl SettlementCommand {
    /// Whether the result is wanted as JSON.
    pub(super) const fn json(&self) -> bool {
        let SettlementStep::Report(it) = &self.step;
        it.place.json
    }

    /// The report.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let SettlementStep::Report(it) = &self.step;
        let office = it.place.office(&it.place.open()?, clock, random).await?;
        let found = office.terminal_report(it.tid).await?;
        let owed = found.owed();
        let mut lines = vec![
            line!(
                Words("终端", "terminal"),
                " ",
                it.tid,
                " ",
                &found.registration.name
            ),
            line!(owed_for(yuan(owed.fen), owed.count)),
            line!(of_these_recovered(yuan(found.recovered.fen))),
            line!(waiting_for_evidence(found.waiting.count, yuan(found.waiting.fen))),
        ];
        if !found.missing.is_empty() {
            let missing: Vec<String> = found.missing.iter().map(ToString::to_string).collect();
            lines.push(line!(files_missing(missing.join(", "))));
        }
        let report = TerminalOwed {
            terminal: TerminalNow::from(&found.registration),
            files: found
                .files
                .iter()
                .map(|file| OwedFile {
                    number: file.number,
                    imported_at: file.imported_at.to_string(),
                    sums: file.sums,
                })
                .collect(),
            missing_files: found.missing.clone(),
            recovered: found.recovered,
            waiting: found.waiting,
            owed,
        };
        Outcome::done("yzt.settlement_report/1", &report, lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_without_end_no_more_is_read_than_is_needed_to_refuse_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settlement.yzts");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, MAX_FILE + 1);
        std::fs::write(&path, b"short").unwrap();
        assert_eq!(read(&path).unwrap(), b"short");
    }
}
