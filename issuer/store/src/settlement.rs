//! Payment terminals and what their settlement files came to. Card specification, chapter 11.
//!
//! Rows that name a card's pseudonym hold no terminal, day or time, and of amounts only the sum of all that was ever paid for
//! the card, for no more is paid than it was given; rows of a terminal hold no pseudonym, and no entry of the ledger holds one.
//! New rows of a batch are written in the order of their keys, so that their places do not tell the files they came from;
//! hand in the files of many terminals together, for rows of one transaction can be told from those of another by whoever
//! owns the server. Left out: signatures and TACs (checked before), and the payment itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date};
use permit_domain::{
    Digest, StaffId,
    payment::{
        CardPseudonym, Check, CheckedFile, FileSums, Known, Registration, Settled, Sum, missing_numbers,
    },
};

use crate::{
    entry::Entry,
    error::Error,
    rows::{damaged, digest, instant, json, number, value},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

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

#[derive(sqlx::FromRow)]
struct Row {
    tid: i64,
    name: String,
    authentication_key: Vec<u8>,
    valid_from: String,
    valid_to: String,
    withdrawn_after: Option<String>,
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
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
fn mentioned(files: &[CheckedFile]) -> (BTreeSet<CardPseudonym>, BTreeSet<u32>) {
    let (mut pseudonyms, mut tids) = (BTreeSet::new(), BTreeSet::new());
    for file in files {
        tids.insert(file.tid);
        for line in &file.lines {
            if let Check::Genuine(it) = &line.check {
                pseudonyms.insert(it.pseudonym);
                tids.extend(it.before.iter().map(|before| before.tid));
            }
        }
    }
    (pseudonyms, tids)
}

/// Digests of every debit that the batch speaks of, known or unknown.
fn debit_keys(files: &[CheckedFile]) -> BTreeSet<Digest> {
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

impl Snapshot {
    /// A registered terminal.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn payment_terminal(&mut self, tid: u32) -> Result<Option<Registration>, Error> {
        const TERMINAL: &str = "
            SELECT tid, name, authentication_key, valid_from, valid_to, withdrawn_after FROM payment_terminals
            WHERE tid = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(TERMINAL)
            .bind(i64::from(tid))
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// All registered terminals, by number.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn payment_terminals(&mut self) -> Result<Vec<Registration>, Error> {
        const ALL: &str = "
            SELECT tid, name, authentication_key, valid_from, valid_to, withdrawn_after FROM payment_terminals
            ORDER BY tid";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(ALL).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The terminal of a name that was not withdrawn.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn terminal_named(&mut self, name: &str) -> Result<Option<u32>, Error> {
        const NAMED: &str = "SELECT tid FROM payment_terminals WHERE name = $1 AND withdrawn_after IS NULL";
        let tid: Option<i64> = on_engine!(self, |c| sqlx::query_scalar(NAMED).bind(name).fetch_optional(c))?;
        tid.map(|tid| number(tid, "payment_terminals.tid")).transpose()
    }

    /// The digest of a terminal's file of this number, once it was taken.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn settlement_file(&mut self, tid: u32, number: u32) -> Result<Option<Digest>, Error> {
        const FILE: &str = "SELECT digest FROM settlement_files WHERE tid = $1 AND number = $2";
        let bytes: Option<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(FILE)
            .bind(i64::from(tid))
            .bind(i64::from(number))
            .fetch_optional(c))?;
        bytes
            .map(|bytes| digest(bytes, "settlement_files.digest"))
            .transpose()
    }

    /// What the ledger knows of the cards, terminals and debits that a batch speaks of.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn known_of(&mut self, files: &[CheckedFile]) -> Result<Known, Error> {
        const DEBITS: &str = "SELECT seq, tac FROM settlement_debits WHERE chain = $1";
        const COPIED: &str = "SELECT count(*) FROM settlement_copied WHERE chain = $1";
        const PAID: &str = "SELECT paid FROM settlement_chains WHERE chain = $1";
        const WAITING: &str = "SELECT resolved FROM settlement_waiting WHERE debit = $1";
        const RECOVERED: &str = "SELECT count(*) FROM settlement_recovered_debits WHERE debit = $1";
        let (pseudonyms, tids) = mentioned(files);
        let mut known = Known::default();
        for tid in tids {
            if let Some(terminal) = self.payment_terminal(tid).await? {
                known.terminals.insert(tid, terminal);
            }
        }
        for card in pseudonyms {
            let pseudonym = || card.as_bytes().to_vec();
            let rows: Vec<(i64, Vec<u8>)> =
                on_engine!(self, |c| sqlx::query_as(DEBITS).bind(pseudonym()).fetch_all(c))?;
            for (seq, tac) in rows {
                let seq = number(seq, "settlement_debits.seq")?;
                let tac = tac.try_into().map_err(|_| damaged("settlement_debits.tac"))?;
                known.debits.insert((card, seq), tac);
            }
            let copied: i64 = on_engine!(self, |c| sqlx::query_scalar(COPIED)
                .bind(pseudonym())
                .fetch_one(c))?;
            if copied > 0 {
                known.copied.insert(card);
            }
            let paid: Option<i64> = on_engine!(self, |c| sqlx::query_scalar(PAID)
                .bind(pseudonym())
                .fetch_optional(c))?;
            if let Some(paid) = paid {
                let paid = u64::try_from(paid).map_err(|_| damaged("settlement_chains.paid"))?;
                known.paid.insert(card, paid);
            }
        }
        for key in debit_keys(files) {
            let debit = || key.as_bytes().to_vec();
            let resolved: Option<i64> = on_engine!(self, |c| sqlx::query_scalar(WAITING)
                .bind(debit())
                .fetch_optional(c))?;
            let recovered: i64 =
                on_engine!(self, |c| sqlx::query_scalar(RECOVERED).bind(debit()).fetch_one(c))?;
            if resolved == Some(0) {
                known.waiting.insert(key);
            }
            // One that was resolved by the terminal's own line is as good as recovered.
            if recovered > 0 || resolved == Some(1) {
                known.recovered.insert(key);
            }
        }
        Ok(known)
    }

    /// Debits that are missing in all between the first and the last of every card.
    ///
    /// # Errors
    /// Outages.
    pub async fn missing_debits(&mut self) -> Result<u64, Error> {
        const MISSING: &str = "
            SELECT CAST(COALESCE(SUM(last - first + 1 - n), 0) AS BIGINT) FROM
                (SELECT MAX(seq) AS last, MIN(seq) AS first, COUNT(*) AS n FROM settlement_debits GROUP BY chain) AS cards";
        let missing: i64 = on_engine!(self, |c| sqlx::query_scalar(MISSING).fetch_one(c))?;
        Ok(count(missing))
    }

    /// Cards found copied or broken that the vault has not denied yet.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn undenied(&mut self) -> Result<Vec<CardPseudonym>, Error> {
        const UNDENIED: &str = "SELECT chain FROM settlement_copied WHERE denied = 0 ORDER BY chain";
        let rows: Vec<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(UNDENIED).fetch_all(c))?;
        rows.into_iter()
            .map(|bytes| {
                bytes
                    .try_into()
                    .map(CardPseudonym::from_bytes)
                    .map_err(|_| damaged("settlement_copied.chain"))
            })
            .collect()
    }

    /// What a terminal is owed; `None` without a registration.
    ///
    /// # Errors
    /// Outages; [`Error::Damaged`].
    pub async fn terminal_report(&mut self, tid: u32) -> Result<Option<TerminalReport>, Error> {
        const FILES: &str =
            "SELECT number, sums, imported_at FROM settlement_files WHERE tid = $1 ORDER BY number";
        const RECOVERED: &str = "SELECT debits, fen FROM settlement_recovered WHERE tid = $1";
        const WAITING: &str = "
            SELECT count(*), CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM settlement_waiting
            WHERE tid = $1 AND resolved = 0";
        let Some(registration) = self.payment_terminal(tid).await? else {
            return Ok(None);
        };
        let id = i64::from(tid);
        let rows: Vec<(i64, String, i64)> =
            on_engine!(self, |c| sqlx::query_as(FILES).bind(id).fetch_all(c))?;
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
        let recovered: Option<(i64, i64)> =
            on_engine!(self, |c| sqlx::query_as(RECOVERED).bind(id).fetch_optional(c))?;
        let waiting: (i64, i64) = on_engine!(self, |c| sqlx::query_as(WAITING).bind(id).fetch_one(c))?;
        let sum = |(n, fen): (i64, i64)| Sum {
            count: count(n),
            fen: count(fen),
        };
        let missing = missing_numbers(&files.iter().map(|file| file.number).collect());
        Ok(Some(TerminalReport {
            registration,
            files,
            missing,
            recovered: recovered.map(sum).unwrap_or_default(),
            waiting: sum(waiting),
        }))
    }
}

impl Transaction {
    /// Stores a payment terminal's registration.
    ///
    /// # Errors
    /// [`Error::Exists`] for a number that was ever given, or a name that another terminal has; outages.
    pub async fn insert_terminal(
        &mut self,
        terminal: &Registration,
        by: &StaffId,
    ) -> Result<Appended, Error> {
        const INSERT: &str = "
            INSERT INTO payment_terminals (tid, name, authentication_key, valid_from, valid_to, created_at, changed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(i64::from(terminal.tid))
            .bind(terminal.name.as_str())
            .bind(terminal.authentication_key.to_vec())
            .bind(terminal.from.to_string())
            .bind(terminal.to.to_string())
            .bind(at)
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("terminal"))?;
        self.append(Entry {
            role: "settlement officer",
            actor: by.as_str(),
            action: "terminal REGISTERED",
            subject: &terminal.tid.to_string(),
            detail: "{}",
        })
        .await
    }

    /// Stores the last day of a terminal that was withdrawn.
    ///
    /// # Errors
    /// Outages.
    pub async fn withdraw_terminal(
        &mut self,
        tid: u32,
        after: Date,
        by: &StaffId,
    ) -> Result<Appended, Error> {
        const SET: &str = "UPDATE payment_terminals SET withdrawn_after = $1, changed_at = $2 WHERE tid = $3";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(after.to_string())
            .bind(at)
            .bind(i64::from(tid))
            .execute(c))?;
        self.append(Entry {
            role: "settlement officer",
            actor: by.as_str(),
            action: "terminal WITHDRAWN",
            subject: &tid.to_string(),
            detail: &format!(r#"{{"after":"{after}"}}"#),
        })
        .await
    }

    /// Stores new files and what they came to; `None` if there are none. The entries of those in `late` say that a person
    /// let them in behind their terminal's withdrawal.
    ///
    /// # Errors
    /// [`Error::Exists`] for a file that was taken before; outages.
    pub async fn insert_settlement(
        &mut self,
        files: &[CheckedFile],
        settled: &Settled,
        late: &BTreeSet<(u32, u32)>,
        by: &StaffId,
    ) -> Result<Option<Appended>, Error> {
        const FILE: &str = "INSERT INTO settlement_files (tid, number, digest, sums, imported_at) VALUES ($1, $2, $3, $4, $5)";
        let (at, mut appended) = (self.millis(), None);
        for (file, sums) in files.iter().zip(&settled.files) {
            let sums = json(sums)?;
            write_on_engine!(self, |c| sqlx::query(FILE)
                .bind(i64::from(file.tid))
                .bind(i64::from(file.number))
                .bind(file.digest.as_bytes().to_vec())
                .bind(sums.as_str())
                .bind(at)
                .execute(c))
            .map_err(|e| e.of("settlement file"))?;
            let action = if late.contains(&(file.tid, file.number)) {
                "settlement IMPORTED_LATE"
            } else {
                "settlement IMPORTED"
            };
            appended = Some(
                self.append(Entry {
                    role: "settlement officer",
                    actor: by.as_str(),
                    action,
                    subject: &format!("{}/{}", file.tid, file.number),
                    detail: &sums,
                })
                .await?,
            );
        }
        self.insert_cards_of(settled).await?;
        self.insert_debits_of(settled).await?;
        Ok(appended)
    }

    /// What a batch says of cards.
    async fn insert_cards_of(&mut self, settled: &Settled) -> Result<(), Error> {
        const DEBIT: &str = "INSERT INTO settlement_debits (chain, seq, tac) VALUES ($1, $2, $3)";
        const COPIED: &str = "INSERT INTO settlement_copied (chain, denied) VALUES ($1, 0)";
        const PAID: &str = "
            INSERT INTO settlement_chains (chain, paid) VALUES ($1, $2)
            ON CONFLICT (chain) DO UPDATE SET paid = settlement_chains.paid + excluded.paid";
        for taken in &settled.taken {
            write_on_engine!(self, |c| sqlx::query(DEBIT)
                .bind(taken.pseudonym.as_bytes().to_vec())
                .bind(i64::from(taken.seq))
                .bind(taken.tac.to_vec())
                .execute(c))?;
        }
        for card in &settled.copied {
            write_on_engine!(self, |c| sqlx::query(COPIED)
                .bind(card.as_bytes().to_vec())
                .execute(c))?;
        }
        for (card, fen) in &settled.paid_more {
            write_on_engine!(self, |c| sqlx::query(PAID)
                .bind(card.as_bytes().to_vec())
                .bind(stored(*fen))
                .execute(c))?;
        }
        Ok(())
    }

    /// What a batch says of debits that wait for evidence or have it.
    async fn insert_debits_of(&mut self, settled: &Settled) -> Result<(), Error> {
        const WAIT: &str = "INSERT INTO settlement_waiting (debit, tid, amount) VALUES ($1, $2, $3)";
        const RESOLVE: &str = "UPDATE settlement_waiting SET resolved = 1 WHERE debit = $1";
        const RECOVERED: &str = "INSERT INTO settlement_recovered_debits (debit) VALUES ($1)";
        const CREDIT: &str = "
            INSERT INTO settlement_recovered (tid, debits, fen) VALUES ($1, $2, $3)
            ON CONFLICT (tid) DO UPDATE SET debits = settlement_recovered.debits + excluded.debits,
                fen = settlement_recovered.fen + excluded.fen";
        let waiting: BTreeMap<Digest, _> = settled.waiting.iter().map(|line| (line.key, line)).collect();
        for (key, line) in waiting {
            write_on_engine!(self, |c| sqlx::query(WAIT)
                .bind(key.as_bytes().to_vec())
                .bind(i64::from(line.tid))
                .bind(i64::from(line.amount))
                .execute(c))?;
        }
        for key in &settled.resolved {
            write_on_engine!(self, |c| sqlx::query(RESOLVE)
                .bind(key.as_bytes().to_vec())
                .execute(c))?;
        }
        for key in &settled.recovered_keys {
            write_on_engine!(self, |c| sqlx::query(RECOVERED)
                .bind(key.as_bytes().to_vec())
                .execute(c))?;
        }
        for (tid, sum) in &settled.recovered {
            write_on_engine!(self, |c| sqlx::query(CREDIT)
                .bind(i64::from(*tid))
                .bind(stored(sum.count))
                .bind(stored(sum.fen))
                .execute(c))?;
        }
        Ok(())
    }

    /// Stores that the vault has put a copied card onto the deny lists. No entry of the ledger: a pseudonym stands in none.
    ///
    /// # Errors
    /// Outages.
    pub async fn set_denied(&mut self, card: CardPseudonym) -> Result<(), Error> {
        const DENIED: &str = "UPDATE settlement_copied SET denied = 1 WHERE chain = $1";
        write_on_engine!(self, |c| sqlx::query(DENIED)
            .bind(card.as_bytes().to_vec())
            .execute(c))?;
        Ok(())
    }
}
