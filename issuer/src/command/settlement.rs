//! The register of terminals, for money and for counts (`terminal`), and the commands of settlement (`settle`, `settlement`).

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use card_applet_spec::crypto::PublicKey;
use issuer_office::random::Random;
use issuer_office::settlement::{FileOutcome, FileRefusal, MAX_FILE, SettledFile};
use jiff::civil::Date;
use permit_domain::counting::CountingTerminal;
use permit_domain::payment::{FileSums, Registration, Sum, TerminalNumber};
use permit_domain::{Role, StaffId};
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
    /// Register a terminal: with --tid its payments are paid, with --operator its counters files are taken, or both.
    Register(Register),
    /// Withdraw one. By its number: days behind the last one are never paid, and files that come later are not taken by
    /// themselves. By its name: days behind the last one are not counted; register it anew to move it to another line.
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
    /// The key that signs its files: `04 || X || Y` as 130 hex digits.
    #[arg(long, value_name = "HEX")]
    authentication_key: String,
    /// First day.
    #[arg(long, value_name = "DATE")]
    from: Date,
    /// Payments: its registration number, given once, as its settlement files have it in their names: 8 hex digits, such as
    /// 00010002. The same in decimal, without zeros before it, is 65538.
    #[arg(
        long,
        value_name = "NUMBER",
        requires = "to",
        required_unless_present = "operator",
        value_parser = number
    )]
    tid: Option<TerminalNumber>,
    /// Payments: last day, included.
    #[arg(long, value_name = "DATE", requires = "tid")]
    to: Option<Date>,
    /// Counts: who runs it.
    #[arg(long, value_name = "TEXT", value_parser = label, requires = "role", required_unless_present = "tid")]
    operator: Option<String>,
    /// Counts: the line, the branch or the site where it stands.
    #[arg(long, value_name = "TEXT", value_parser = label, requires = "operator")]
    line: Option<String>,
    /// Counts: transit, social-insurance, small-payment, clinic or door.
    #[arg(long, value_name = "ROLE", value_parser = role, requires = "operator")]
    role: Option<Role>,
    #[command(flatten)]
    person: Person,
}

#[derive(Debug, clap::Args)]
struct Withdraw {
    #[command(flatten)]
    place: Place,
    /// Payments: its registration number.
    #[arg(
        long,
        value_name = "NUMBER",
        required_unless_present = "name",
        conflicts_with = "name",
        value_parser = number
    )]
    tid: Option<TerminalNumber>,
    /// Counts: its name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The last day that is paid, or counted.
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

/// A text that rows are told apart by: no blank around it, nothing that nobody sees, 64 bytes at most.
fn label(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty() && text.len() <= 64 && text.trim() == text;
    if is_plain && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err("it has 1 to 64 bytes, no control characters, and no blank at either end".to_owned())
}

fn role(text: &str) -> Result<Role, String> {
    let word = text.to_ascii_uppercase().replace('-', "_");
    word.parse()
        .map_err(|_| "it is transit, social-insurance, small-payment, clinic or door".to_owned())
}

#[derive(Serialize)]
struct PaymentNow {
    tid: u32,
    name: String,
    authentication_key: String,
    from: Date,
    to: Date,
    withdrawn_after: Option<Date>,
}

impl From<&Registration> for PaymentNow {
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
struct CountingNow {
    name: String,
    authentication_key: String,
    operator: String,
    line: Option<String>,
    role: &'static str,
    from: Date,
    withdrawn_after: Option<Date>,
}

impl From<&CountingTerminal> for CountingNow {
    fn from(terminal: &CountingTerminal) -> Self {
        Self {
            name: terminal.name.clone(),
            authentication_key: hex::encode(terminal.authentication_key),
            operator: terminal.operator.clone(),
            line: terminal.line.clone(),
            role: terminal.role.as_str(),
            from: terminal.from,
            withdrawn_after: terminal.withdrawn_after,
        }
    }
}

/// What a terminal is registered for.
#[derive(Serialize)]
struct TerminalNow {
    #[serde(flatten)]
    payment: Option<PaymentNow>,
    counting: Option<CountingNow>,
}

#[derive(Serialize)]
struct Terminals {
    terminals: Vec<PaymentNow>,
    counting: Vec<CountingNow>,
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
            TerminalStep::Withdraw(it) => it.run(clock, random).await,
            TerminalStep::List(it) => {
                let office = it.place.office(&it.place.open()?, clock, random).await?;
                let (paid, counting) = (
                    office.payment_terminals().await?,
                    office.counting_terminals().await?,
                );
                let paid_lines = paid
                    .iter()
                    .map(|known| line!(TerminalNumber(known.tid).to_string(), " ", &known.name));
                let lines = paid_lines.chain(counting.iter().map(counting_line)).collect();
                let all = Terminals {
                    terminals: paid.iter().map(PaymentNow::from).collect(),
                    counting: counting.iter().map(CountingNow::from).collect(),
                };
                Outcome::done(TERMINAL, &all, lines)
            }
        }
    }
}

/// Where a terminal stands, for people.
fn counting_line(terminal: &CountingTerminal) -> Line {
    let place = [Some(&terminal.operator), terminal.line.as_ref()];
    let place: Vec<&str> = place.into_iter().flatten().map(String::as_str).collect();
    let (name, place, role) = (&terminal.name, place.join(", "), terminal.role.as_str());
    match terminal.withdrawn_after {
        None => line!(counts_from(name, place, role, terminal.from)),
        Some(last) => line!(counted_to(name, place, role, terminal.from, last)),
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
        let mut lines = Vec::new();
        let payment = self.tid.zip(self.to).map(|(tid, to)| Registration {
            tid: tid.0,
            name: self.name.clone(),
            authentication_key,
            from: self.from,
            to,
            withdrawn_after: None,
        });
        if let Some(terminal) = &payment {
            context.office.register_terminal(terminal, &by).await?;
            lines.push(line!(registered(
                TerminalNumber(terminal.tid).to_string(),
                &self.name
            )));
        }
        let counting = self.operator.clone().zip(self.role);
        let counting = counting.map(|(operator, role)| CountingTerminal {
            name: self.name.clone(),
            authentication_key,
            role,
            operator,
            line: self.line.clone(),
            from: self.from,
            withdrawn_after: None,
        });
        if let Some(terminal) = &counting {
            context.office.register_counting_terminal(terminal, &by).await?;
            lines.push(counting_line(terminal));
        }
        let now = TerminalNow {
            payment: payment.as_ref().map(PaymentNow::from),
            counting: counting.as_ref().map(CountingNow::from),
        };
        Outcome::done(TERMINAL, &now, lines)
    }
}

impl Withdraw {
    async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let by: StaffId = self.person.settlement_officer(&context).await?;
        let (mut now, mut lines) = (
            TerminalNow {
                payment: None,
                counting: None,
            },
            Vec::new(),
        );
        if let Some(tid) = self.tid {
            let terminal = context.office.withdraw_terminal(tid.0, self.after, &by).await?;
            lines.push(line!(withdrawn_after(tid.to_string(), self.after)));
            now.payment = Some(PaymentNow::from(&terminal));
        }
        if let Some(name) = &self.name {
            let terminal = context
                .office
                .withdraw_counting_terminal(name, self.after, &by)
                .await?;
            lines.push(counting_line(&terminal));
            now.counting = Some(CountingNow::from(&terminal));
        }
        Outcome::done(TERMINAL, &now, lines)
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

/// A terminal's number.
fn number(text: &str) -> Result<TerminalNumber, Words> {
    TerminalNumber::read(text).ok_or(Words(
        "终端编号写作 8 位十六进制数字，与结算文件名中的相同，如 00010002；也可写十进制，前面不加零，恰为 8 位数字的除外",
        "a terminal's number has 8 hex digits, as in the names of its settlement files, such as 00010002; or it is decimal without zeros before it, and not of eight digits",
    ))
}

/// A terminal's number and a file's.
fn late(text: &str) -> Result<(u32, u32), Words> {
    let numbers = text
        .split_once('/')
        .and_then(|(tid, number)| Some((TerminalNumber::read(tid)?.0, number.parse().ok()?)));
    numbers.ok_or(Words(
        "须为终端编号、斜杠和文件编号，如 00010001/12",
        "it is the terminal's number, a slash and the file's number, such as 00010001/12",
    ))
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
            files.push(read(path, MAX_FILE)?);
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

/// A file, or one byte more than it may have: enough to refuse it.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| Failure::file(Words("读取", "read"), path, &error))?;
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
            match refusal {
                FileRefusal::Closed { tid, number } => {
                    (one.tid, one.number) = (Some(*tid), Some(*number));
                }
                FileRefusal::TerminalUnknown { tid } => one.tid = Some(*tid),
                _ => {}
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
                (Some(tid), Some(number)) => format!(" ({}/{number})", TerminalNumber(tid)),
                (Some(tid), None) => format!(" ({})", TerminalNumber(tid)),
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
    fn counts_from(name, place, role, from) =
        "{name}：{place}，{role}，自 {from} 起计数", "{name}: {place}, {role}, counted from {from}";
    fn counted_to(name, place, role, from, last) =
        "{name}：{place}，{role}，{from} 至 {last} 计数", "{name}: {place}, {role}, counted from {from} to {last}";
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
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    tid: TerminalNumber,
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
    terminal: PaymentNow,
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
        let found = office.terminal_report(it.tid.0).await?;
        let owed = found.owed();
        let mut lines = vec![
            line!(
                Words("终端", "terminal"),
                " ",
                it.tid.to_string(),
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
            terminal: PaymentNow::from(&found.registration),
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
        assert_eq!(read(&path, MAX_FILE).unwrap().len() as u64, MAX_FILE + 1);
        std::fs::write(&path, b"short").unwrap();
        assert_eq!(read(&path, MAX_FILE).unwrap(), b"short");
    }
}
