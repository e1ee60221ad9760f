//! Payment terminals and the import of their settlement files. Card specification, chapter 11.
//!
//! A batch of files is one transaction: all of it is taken, or nothing. Rows that name a card's chain hold no terminal,
//! day or time, and of amounts only the sum of all that was ever paid for the card, for no more is paid than it was given;
//! rows of a terminal hold no chain, and no entry of the ledger holds one. New rows of a batch are
//! written in the order of their keys, so that their places do not tell the files they came from; hand in the files of
//! many terminals together, for rows of one transaction can be told from those of another by whoever owns the server.
//! Left out: signatures and TACs (checked before), and the payment itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date};
use permit_domain::{
    Digest, StaffId,
    payment::{
        Chain, Check, CheckedFile, FileSums, Known, Registration, Settled, Sum, missing_numbers, settle,
    },
};

use crate::{
    Error, Store,
    ledger::{Entry, append, writing},
    rows::{instant, millis, value},
    rule_sets::digest,
    store::on_engine,
};

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOutcome {
    /// Taken now.
    Imported(FileSums),
    /// The very same file was taken before: done already.
    Known,
    /// Another file of this number was taken before. Nothing of this one was.
    NumberTaken,
}

/// A batch after its import, without any card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// For each file, in the order given.
    pub files: Vec<FileOutcome>,
    /// What other terminals' evidence brought, by terminal.
    pub recovered: BTreeMap<u32, Sum>,
    /// Evidence of debits whose terminal was not registered on their day.
    pub recovered_unregistered: Sum,
    /// Unknown debits that evidence of this batch covers.
    pub resolved: u64,
    /// Cards found copied or broken: [`Store::undenied`] names them to the vault.
    pub copied: u64,
    /// Debits missing between two of this batch, with their sum where the cards' figures show it.
    pub gaps: Sum,
    /// Debits missing in all.
    pub missing: u64,
}

/// A file of a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedFile {
    /// Its number.
    pub number: u32,
    /// What it brought.
    pub sums: FileSums,
    /// When it was imported.
    pub imported_at: Timestamp,
}

/// What a terminal is owed, without any card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalReport {
    /// The terminal.
    pub registration: Registration,
    /// Its files, by number.
    pub files: Vec<ImportedFile>,
    /// Numbers below the largest that nobody handed in.
    pub missing: Vec<u32>,
    /// What evidence from other terminals brought.
    pub recovered: Sum,
    /// Unknown debits that wait for evidence.
    pub waiting: Sum,
}

impl TerminalReport {
    /// All that was paid by files and by evidence.
    #[must_use]
    pub fn owed(&self) -> Sum {
        self.files
            .iter()
            .fold(self.recovered, |sum, file| sum.and(file.sums.paid))
    }
}

const TERMINAL: &str = "
    SELECT tid, name, authentication_key, valid_from, valid_to, withdrawn_after FROM payment_terminals WHERE tid = $1";
const ALL_TERMINALS: &str = "
    SELECT tid, name, authentication_key, valid_from, valid_to, withdrawn_after FROM payment_terminals ORDER BY tid";

#[derive(sqlx::FromRow)]
struct Row {
    tid: i64,
    name: String,
    authentication_key: Vec<u8>,
    valid_from: String,
    valid_to: String,
    withdrawn_after: Option<String>,
}

fn damaged(what: &str) -> Error {
    Error::Damaged {
        what: what.to_owned(),
    }
}

fn number(value: i64, what: &str) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| damaged(what))
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn chain(bytes: &[u8]) -> Result<Chain, Error> {
    let bytes = bytes.try_into().map_err(|_| damaged("a chain"))?;
    Ok(Chain::from_bytes(bytes))
}

impl TryFrom<Row> for Registration {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            tid: number(row.tid, "payment_terminals.tid")?,
            name: row.name,
            authentication_key: row
                .authentication_key
                .try_into()
                .map_err(|_| damaged("payment_terminals.authentication_key"))?,
            from: value(&row.valid_from, "payment_terminals.valid_from")?,
            to: value(&row.valid_to, "payment_terminals.valid_to")?,
            withdrawn_after: row
                .withdrawn_after
                .map(|day| value(&day, "payment_terminals.withdrawn_after"))
                .transpose()?,
        })
    }
}

/// The cards and terminals that a batch speaks of.
fn mentioned(files: &[&CheckedFile]) -> (BTreeSet<Chain>, BTreeSet<u32>) {
    let (mut chains, mut tids) = (BTreeSet::new(), BTreeSet::new());
    for file in files {
        tids.insert(file.tid);
        for line in &file.lines {
            if let Check::Genuine(it) = &line.check {
                chains.insert(it.chain);
                tids.extend(it.before.iter().map(|before| before.tid));
            }
        }
    }
    (chains, tids)
}

/// What the ledger knows of a batch, read in the transaction.
macro_rules! known {
    ($tx:ident, $files:expr) => {{
        const DEBITS: &str = "SELECT seq, tac FROM settlement_debits WHERE chain = $1";
        const COPIED: &str = "SELECT count(*) FROM settlement_copied WHERE chain = $1";
        const PAID: &str = "SELECT paid FROM settlement_chains WHERE chain = $1";
        const WAITING: &str = "SELECT resolved FROM settlement_waiting WHERE debit = $1";
        const RECOVERED: &str = "SELECT count(*) FROM settlement_recovered_debits WHERE debit = $1";
        let files: &[&CheckedFile] = $files;
        let (chains, tids) = mentioned(files);
        let mut known = Known::default();
        for tid in tids {
            let row: Option<Row> = sqlx::query_as(TERMINAL)
                .bind(i64::from(tid))
                .fetch_optional(&mut *$tx)
                .await?;
            if let Some(row) = row {
                known.terminals.insert(tid, row.try_into()?);
            }
        }
        if let Some(file) = files.iter().find(|file| !known.terminals.contains_key(&file.tid)) {
            return Err(Error::TerminalUnknown { tid: file.tid });
        }
        for card in chains {
            let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(DEBITS)
                .bind(card.as_bytes().to_vec())
                .fetch_all(&mut *$tx)
                .await?;
            for (seq, tac) in rows {
                let seq = number(seq, "settlement_debits.seq")?;
                let tac = tac.try_into().map_err(|_| damaged("settlement_debits.tac"))?;
                known.debits.insert((card, seq), tac);
            }
            let copied: i64 = sqlx::query_scalar(COPIED)
                .bind(card.as_bytes().to_vec())
                .fetch_one(&mut *$tx)
                .await?;
            if copied > 0 {
                known.copied.insert(card);
            }
            let paid: Option<i64> = sqlx::query_scalar(PAID)
                .bind(card.as_bytes().to_vec())
                .fetch_optional(&mut *$tx)
                .await?;
            if let Some(paid) = paid {
                let paid = u64::try_from(paid).map_err(|_| damaged("settlement_chains.paid"))?;
                known.paid.insert(card, paid);
            }
        }
        for key in debit_keys(files) {
            let resolved: Option<i64> = sqlx::query_scalar(WAITING)
                .bind(key.as_bytes().to_vec())
                .fetch_optional(&mut *$tx)
                .await?;
            let recovered: i64 = sqlx::query_scalar(RECOVERED)
                .bind(key.as_bytes().to_vec())
                .fetch_one(&mut *$tx)
                .await?;
            if resolved == Some(0) {
                known.waiting.insert(key);
            }
            // One that was resolved by the terminal's own line is as good as recovered.
            if recovered > 0 || resolved == Some(1) {
                known.recovered.insert(key);
            }
        }
        known
    }};
}

/// Writes what a batch came to, in the transaction.
macro_rules! write_batch {
    ($tx:ident, $head:ident, $files:expr, $settled:expr, $by:expr, $at:expr) => {{
        const FILE: &str =
            "INSERT INTO settlement_files (tid, number, digest, sums, imported_at) VALUES ($1, $2, $3, $4, $5)";
        const DEBIT: &str = "INSERT INTO settlement_debits (chain, seq, tac) VALUES ($1, $2, $3)";
        const COPIED: &str = "INSERT INTO settlement_copied (chain, denied) VALUES ($1, 0)";
        const PAID: &str = "
            INSERT INTO settlement_chains (chain, paid) VALUES ($1, $2)
            ON CONFLICT (chain) DO UPDATE SET paid = settlement_chains.paid + excluded.paid";
        const WAIT: &str = "INSERT INTO settlement_waiting (debit, tid, amount) VALUES ($1, $2, $3)";
        const RESOLVE: &str = "UPDATE settlement_waiting SET resolved = 1 WHERE debit = $1";
        const RECOVERED: &str = "INSERT INTO settlement_recovered_debits (debit) VALUES ($1)";
        const CREDIT: &str = "
            INSERT INTO settlement_recovered (tid, debits, fen) VALUES ($1, $2, $3)
            ON CONFLICT (tid) DO UPDATE SET debits = settlement_recovered.debits + excluded.debits,
                fen = settlement_recovered.fen + excluded.fen";
        let (files, settled): (&[CheckedFile], &Settled) = ($files, $settled);
        for (file, sums) in files.iter().zip(&settled.files) {
            let sums = serde_json::to_string(sums).map_err(|_| damaged("sums that cannot be written"))?;
            let subject = format!("{}/{}", file.tid, file.number);
            sqlx::query(FILE)
                .bind(i64::from(file.tid))
                .bind(i64::from(file.number))
                .bind(file.digest.as_bytes().to_vec())
                .bind(sums.as_str())
                .bind(millis($at))
                .execute(&mut *$tx)
                .await?;
            append!(
                $tx,
                $head,
                $at,
                Entry {
                    role: "settlement officer",
                    actor: $by.as_str(),
                    action: "settlement IMPORTED",
                    subject: &subject,
                    detail: &sums,
                }
            );
        }
        for taken in &settled.taken {
            sqlx::query(DEBIT)
                .bind(taken.chain.as_bytes().to_vec())
                .bind(i64::from(taken.seq))
                .bind(taken.tac.to_vec())
                .execute(&mut *$tx)
                .await?;
        }
        for card in &settled.copied {
            sqlx::query(COPIED)
                .bind(card.as_bytes().to_vec())
                .execute(&mut *$tx)
                .await?;
        }
        for (card, fen) in &settled.paid_more {
            sqlx::query(PAID)
                .bind(card.as_bytes().to_vec())
                .bind(stored(*fen))
                .execute(&mut *$tx)
                .await?;
        }
        let waiting: BTreeMap<Digest, _> = settled.waiting.iter().map(|line| (line.key, line)).collect();
        for (key, line) in waiting {
            sqlx::query(WAIT)
                .bind(key.as_bytes().to_vec())
                .bind(i64::from(line.tid))
                .bind(i64::from(line.amount))
                .execute(&mut *$tx)
                .await?;
        }
        for key in &settled.resolved {
            sqlx::query(RESOLVE)
                .bind(key.as_bytes().to_vec())
                .execute(&mut *$tx)
                .await?;
        }
        for key in &settled.recovered_keys {
            sqlx::query(RECOVERED)
                .bind(key.as_bytes().to_vec())
                .execute(&mut *$tx)
                .await?;
        }
        for (tid, sum) in &settled.recovered {
            sqlx::query(CREDIT)
                .bind(i64::from(*tid))
                .bind(stored(sum.count))
                .bind(stored(sum.fen))
                .execute(&mut *$tx)
                .await?;
        }
    }};
}

impl Store {
    /// Registers a payment terminal. The same registration again changes nothing.
    ///
    /// # Errors
    /// [`Error::Exists`] for a number that was ever given to another terminal, or a name that another one has;
    /// [`permit_domain::Error::Reversed`]; outages.
    pub async fn register_terminal(
        &self,
        terminal: &Registration,
        by: &StaffId,
        at: Timestamp,
    ) -> Result<(), Error> {
        const NAMED: &str = "SELECT tid FROM payment_terminals WHERE name = $1 AND withdrawn_after IS NULL";
        const INSERT: &str = "
            INSERT INTO payment_terminals (tid, name, authentication_key, valid_from, valid_to, created_at, changed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        if terminal.to < terminal.from {
            return Err(permit_domain::Error::Reversed.into());
        }
        let subject = terminal.tid.to_string();
        writing!(self, |tx, head| {
            let row: Option<Row> = sqlx::query_as(TERMINAL)
                .bind(i64::from(terminal.tid))
                .fetch_optional(&mut *tx)
                .await?;
            let known = row.map(Registration::try_from).transpose()?;
            match known {
                Some(known) if known == *terminal => {}
                Some(_) => {
                    return Err(Error::Exists {
                        what: "registration number",
                    });
                }
                None => {
                    let named: Option<i64> = sqlx::query_scalar(NAMED)
                        .bind(terminal.name.as_str())
                        .fetch_optional(&mut *tx)
                        .await?;
                    if named.is_some() {
                        return Err(Error::Exists {
                            what: "terminal name",
                        });
                    }
                    sqlx::query(INSERT)
                        .bind(i64::from(terminal.tid))
                        .bind(terminal.name.as_str())
                        .bind(terminal.authentication_key.to_vec())
                        .bind(terminal.from.to_string())
                        .bind(terminal.to.to_string())
                        .bind(millis(at))
                        .bind(millis(at))
                        .execute(&mut *tx)
                        .await?;
                    append!(
                        tx,
                        head,
                        at,
                        Entry {
                            role: "settlement officer",
                            actor: by.as_str(),
                            action: "terminal REGISTERED",
                            subject: &subject,
                            detail: "{}",
                        }
                    );
                }
            }
        });
        Ok(())
    }

    /// Withdraws a terminal: debits after the day are never paid. An earlier day may follow a later one, not the other way.
    ///
    /// # Errors
    /// [`Error::TerminalUnknown`]; [`permit_domain::Error::WrongState`] for a terminal that was withdrawn earlier; outages.
    pub async fn withdraw_terminal(
        &self,
        tid: u32,
        after: Date,
        by: &StaffId,
        at: Timestamp,
    ) -> Result<Registration, Error> {
        const SET: &str = "UPDATE payment_terminals SET withdrawn_after = $1, changed_at = $2 WHERE tid = $3";
        let subject = tid.to_string();
        let detail = format!(r#"{{"after":"{after}"}}"#);
        Ok(writing!(self, |tx, head| {
            let row: Option<Row> = sqlx::query_as(TERMINAL)
                .bind(i64::from(tid))
                .fetch_optional(&mut *tx)
                .await?;
            let mut terminal: Registration = row.ok_or(Error::TerminalUnknown { tid })?.try_into()?;
            match terminal.withdrawn_after {
                Some(day) if day == after => {}
                Some(day) if day < after => {
                    return Err(permit_domain::Error::WrongState {
                        thing: "terminal",
                        state: "WITHDRAWN",
                        wanted: "a later last day",
                    }
                    .into());
                }
                _ => {
                    sqlx::query(SET)
                        .bind(after.to_string())
                        .bind(millis(at))
                        .bind(i64::from(tid))
                        .execute(&mut *tx)
                        .await?;
                    append!(
                        tx,
                        head,
                        at,
                        Entry {
                            role: "settlement officer",
                            actor: by.as_str(),
                            action: "terminal WITHDRAWN",
                            subject: &subject,
                            detail: &detail,
                        }
                    );
                    terminal.withdrawn_after = Some(after);
                }
            }
            terminal
        }))
    }

    /// A registered terminal.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn payment_terminal(&self, tid: u32) -> Result<Option<Registration>, Error> {
        let row: Option<Row> = on_engine!(self, |pool| sqlx::query_as(TERMINAL)
            .bind(i64::from(tid))
            .fetch_optional(pool)
            .await?);
        row.map(TryInto::try_into).transpose()
    }

    /// All registered terminals, by number.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn payment_terminals(&self) -> Result<Vec<Registration>, Error> {
        let rows: Vec<Row> = on_engine!(self, |pool| sqlx::query_as(ALL_TERMINALS).fetch_all(pool).await?);
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Takes a batch of checked files: those that were taken before are left out, the others are settled together.
    ///
    /// # Errors
    /// [`Error::TerminalUnknown`]: then nothing of the batch is taken; outages.
    pub async fn import_settlement(
        &self,
        files: &[CheckedFile],
        by: &StaffId,
        at: Timestamp,
    ) -> Result<Imported, Error> {
        const FILE: &str = "SELECT digest FROM settlement_files WHERE tid = $1 AND number = $2";
        const MISSING: &str = "
            SELECT CAST(COALESCE(SUM(last - first + 1 - n), 0) AS BIGINT) FROM
                (SELECT MAX(seq) AS last, MIN(seq) AS first, COUNT(*) AS n FROM settlement_debits GROUP BY chain) AS cards";
        Ok(writing!(self, |tx, head| {
            let mut outcomes: Vec<Option<FileOutcome>> = Vec::with_capacity(files.len());
            let mut new: Vec<&CheckedFile> = Vec::new();
            for file in files {
                let before: Option<Vec<u8>> = sqlx::query_scalar(FILE)
                    .bind(i64::from(file.tid))
                    .bind(i64::from(file.number))
                    .fetch_optional(&mut *tx)
                    .await?;
                let before = before
                    .map(|bytes| digest(bytes, "settlement_files.digest"))
                    .transpose()?;
                let twin = new
                    .iter()
                    .find(|other| (other.tid, other.number) == (file.tid, file.number));
                outcomes.push(match before.or(twin.map(|other| other.digest)) {
                    Some(known) if known == file.digest => Some(FileOutcome::Known),
                    Some(_) => Some(FileOutcome::NumberTaken),
                    None => {
                        new.push(file);
                        None
                    }
                });
            }

            let known = known!(tx, &new);
            let batch: Vec<CheckedFile> = new.iter().map(|file| (*file).clone()).collect();
            let settled = settle(&known, &batch);
            write_batch!(tx, head, &batch, &settled, by, at);
            let missing: i64 = sqlx::query_scalar(MISSING).fetch_one(&mut *tx).await?;

            let mut sums = settled.files.iter();
            let files = outcomes
                .into_iter()
                .map(|outcome| {
                    outcome.unwrap_or_else(|| FileOutcome::Imported(sums.next().copied().unwrap_or_default()))
                })
                .collect();
            Imported {
                files,
                recovered: settled.recovered.clone(),
                recovered_unregistered: settled.recovered_unregistered,
                resolved: u64::try_from(settled.resolved.len()).unwrap_or(u64::MAX),
                copied: u64::try_from(settled.copied.len()).unwrap_or(u64::MAX),
                gaps: settled.gaps,
                missing: count(missing),
            }
        }))
    }

    /// Cards found copied or broken that the vault has not denied yet.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn undenied(&self) -> Result<Vec<Chain>, Error> {
        const UNDENIED: &str = "SELECT chain FROM settlement_copied WHERE denied = 0 ORDER BY chain";
        let rows: Vec<Vec<u8>> =
            on_engine!(self, |pool| sqlx::query_scalar(UNDENIED).fetch_all(pool).await?);
        rows.iter().map(|bytes| chain(bytes)).collect()
    }

    /// The vault has put a copied card onto the deny lists. No entry of the ledger: a chain stands in none.
    ///
    /// # Errors
    /// Outages.
    pub async fn denied(&self, card: Chain) -> Result<(), Error> {
        const DENIED: &str = "UPDATE settlement_copied SET denied = 1 WHERE chain = $1";
        on_engine!(self, |pool| {
            sqlx::query(DENIED)
                .bind(card.as_bytes().to_vec())
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// What a terminal is owed.
    ///
    /// # Errors
    /// [`Error::TerminalUnknown`]; outages; [`Error::Damaged`].
    pub async fn terminal_report(&self, tid: u32) -> Result<TerminalReport, Error> {
        const FILES: &str =
            "SELECT number, sums, imported_at FROM settlement_files WHERE tid = $1 ORDER BY number";
        const RECOVERED: &str = "SELECT debits, fen FROM settlement_recovered WHERE tid = $1";
        const WAITING: &str = "
            SELECT count(*), CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM settlement_waiting
            WHERE tid = $1 AND resolved = 0";
        let registration = self
            .payment_terminal(tid)
            .await?
            .ok_or(Error::TerminalUnknown { tid })?;
        let id = i64::from(tid);
        let rows: Vec<(i64, String, i64)> = on_engine!(self, |pool| sqlx::query_as(FILES)
            .bind(id)
            .fetch_all(pool)
            .await?);
        let files = rows
            .into_iter()
            .map(|(file, sums, at)| {
                let sums: FileSums =
                    serde_json::from_str(&sums).map_err(|_| damaged("settlement_files.sums"))?;
                Ok(ImportedFile {
                    number: number(file, "settlement_files.number")?,
                    sums,
                    imported_at: instant(at, "settlement_files.imported_at")?,
                })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let recovered: Option<(i64, i64)> = on_engine!(self, |pool| sqlx::query_as(RECOVERED)
            .bind(id)
            .fetch_optional(pool)
            .await?);
        let waiting: (i64, i64) = on_engine!(self, |pool| sqlx::query_as(WAITING)
            .bind(id)
            .fetch_one(pool)
            .await?);
        let sum = |(n, fen): (i64, i64)| Sum {
            count: count(n),
            fen: count(fen),
        };
        let missing = missing_numbers(&files.iter().map(|file| file.number).collect());
        Ok(TerminalReport {
            registration,
            files,
            missing,
            recovered: recovered.map(sum).unwrap_or_default(),
            waiting: sum(waiting),
        })
    }
}

/// Digests of every debit that the batch speaks of, known or unknown.
fn debit_keys(files: &[&CheckedFile]) -> BTreeSet<Digest> {
    let mut keys = BTreeSet::new();
    for file in files {
        keys.extend(file.unknown.iter().map(|line| line.key));
        for line in &file.lines {
            keys.insert(line.key);
            if let Check::Genuine(it) = &line.check {
                keys.extend(it.before.iter().map(|before| before.key));
            }
        }
    }
    keys
}
