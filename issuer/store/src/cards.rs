//! Cards, card numbers and the stock of blanks. A number is never drawn twice, and a blank leaves the stock once. A blank that was set
//! aside ([`crate::Snapshot::scrap`]) is none of the stock.

use jiff::Timestamp;
use jiff::civil::Date;
use permit_domain::{
    AllocatedCard, CardNumber, CardSerial, CardStage, Chip, Denial, Order, OrderId, PermitId, Province,
    StaffId, Standing,
};

use crate::{
    entry::Entry,
    error::Error,
    rows::{damaged, instant, value},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

/// A card of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Printed on it.
    pub number: CardNumber,
    /// Of its chip.
    pub serial: CardSerial,
    /// The permit that it was made for.
    pub permit: PermitId,
    /// The order that made it.
    pub order: OrderId,
    /// Where it stands.
    pub state: CardStage,
    /// On the deny lists.
    pub denial: Denial,
    /// What the office knows of its chip.
    pub chip: Chip,
    /// Who proposed that it works again, until its next step.
    pub allow_proposed_by: Option<StaffId>,
    /// The last day of the permit that stands on it, as far as the office knows; `None`: nothing does.
    pub until: Option<Date>,
    /// Grows with every stored change.
    pub version: i64,
}

impl Card {
    /// Where it stands in all three.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        Standing::new(self.state, self.denial, self.chip)
    }
}

/// Where a blank stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlankState {
    /// Ready to be used.
    InStock,
    /// Used, well or badly.
    Allocated,
    /// Called back by the maker or us.
    Recalled,
    /// Set aside, or destroyed before two people.
    Scrapped,
}

/// The stock of blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// Ready to be used.
    pub in_stock: i64,
    /// Used, well or badly.
    pub allocated: i64,
    /// Called back by the maker or us.
    pub recalled: i64,
    /// Set aside and not destroyed yet.
    pub set_aside: i64,
    /// Destroyed before two people, without having become a card.
    pub scrapped: i64,
}

impl Stock {
    const NONE: Self = Self {
        in_stock: 0,
        allocated: 0,
        recalled: 0,
        set_aside: 0,
        scrapped: 0,
    };

    fn and(mut self, state: &str, count: i64) -> Self {
        let place = match state {
            "IN_STOCK" => &mut self.in_stock,
            "ALLOCATED" => &mut self.allocated,
            "RECALLED" => &mut self.recalled,
            "SET_ASIDE" => &mut self.set_aside,
            _ => &mut self.scrapped,
        };
        *place += count;
        self
    }
}

/// A lot of blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lot {
    /// Issuer and number, as its serials begin.
    pub lot: String,
    /// When the first of it was taken in.
    pub received_at: Timestamp,
    /// Where its blanks stand.
    pub stock: Stock,
}

#[derive(sqlx::FromRow)]
struct Row {
    number: String,
    serial: String,
    permit: String,
    order_id: String,
    state: String,
    denial: String,
    chip: String,
    allow_proposed_by: Option<String>,
    until: Option<String>,
    version: i64,
}

impl TryFrom<Row> for Card {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            number: value(&row.number, "cards.number")?,
            serial: value(&row.serial, "cards.serial")?,
            permit: value(&row.permit, "cards.permit")?,
            order: value(&row.order_id, "cards.order_id")?,
            state: value(&row.state, "cards.state")?,
            denial: value(&row.denial, "cards.denial")?,
            chip: value(&row.chip, "cards.chip")?,
            allow_proposed_by: row
                .allow_proposed_by
                .map(|by| value(&by, "cards.allow_proposed_by"))
                .transpose()?,
            until: row
                .until
                .as_deref()
                .map(|day| value(day, "cards.until"))
                .transpose()?,
            version: row.version,
        })
    }
}

impl Snapshot {
    /// A card by its number.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn card(&mut self, number: &CardNumber) -> Result<Option<Card>, Error> {
        const BY_NUMBER: &str = "SELECT number, serial, permit, order_id, state, denial, chip, allow_proposed_by, until, version FROM cards WHERE number = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(BY_NUMBER)
            .bind(number.as_str())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// A card by the serial of its chip: how hand-over opens the case.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn card_by_serial(&mut self, serial: CardSerial) -> Result<Option<Card>, Error> {
        const BY_SERIAL: &str = "SELECT number, serial, permit, order_id, state, denial, chip, allow_proposed_by, until, version FROM cards WHERE serial = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(BY_SERIAL)
            .bind(serial.to_string())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// The cards of a permit, oldest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn cards_of_permit(&mut self, permit: PermitId) -> Result<Vec<Card>, Error> {
        const OF: &str = "
            SELECT number, serial, permit, order_id, state, denial, chip, allow_proposed_by, until, version FROM cards WHERE permit = $1
            ORDER BY created_at, number";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(OF).bind(permit.to_string()).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The card that was allocated last of those whose chip is written and that are not ended.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn newest_written_card(&mut self) -> Result<Option<Card>, Error> {
        const NEWEST: &str = "
            SELECT number, serial, permit, order_id, state, denial, chip, allow_proposed_by, until, version FROM cards
            WHERE state IN ('ENCODED', 'PRINTED', 'VERIFIED', 'HANDED_OVER') ORDER BY created_at DESC, number DESC LIMIT 1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(NEWEST).fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// Cards whose deny-list entry the vault has not confirmed: WANTED or LIFTING.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn unconfirmed_denials(&mut self) -> Result<Vec<Card>, Error> {
        const UNCONFIRMED: &str = "
            SELECT number, serial, permit, order_id, state, denial, chip, allow_proposed_by, until, version FROM cards
            WHERE denial IN ('WANTED', 'LIFTING') ORDER BY number";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(UNCONFIRMED).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The numbers of all cards that count no more, ascending: ended, denied or on their way onto the deny lists, of an order that was given
    /// up, or of a permit that has ended.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn ended_card_numbers(&mut self) -> Result<Vec<CardNumber>, Error> {
        const ENDED: &str = "
            SELECT c.number FROM cards c JOIN permits p ON p.id = c.permit JOIN orders o ON o.id = c.order_id
            WHERE c.state IN ('LOST', 'DAMAGED', 'RETURNED', 'CONFISCATED', 'REPLACED', 'DESTROYED')
               OR c.denial IN ('WANTED', 'YES') OR p.state = 'ENDED' OR o.state = 'GIVEN_UP'";
        let numbers: Vec<String> = on_engine!(self, |c| sqlx::query_scalar(ENDED).fetch_all(c))?;
        let numbers = numbers.iter().map(|number| value(number, "cards.number"));
        let mut numbers = numbers.collect::<Result<Vec<CardNumber>, Error>>()?;
        numbers.sort();
        Ok(numbers)
    }

    /// The last running number that was drawn in a province; 0 before the first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn last_card_number(&mut self, province: Province) -> Result<u64, Error> {
        const LAST: &str = "SELECT last FROM card_counters WHERE province = $1";
        let last: Option<i64> = on_engine!(self, |c| sqlx::query_scalar(LAST)
            .bind(province.as_str())
            .fetch_optional(c))?;
        u64::try_from(last.unwrap_or(0)).map_err(|_| damaged("card_counters.last"))
    }

    /// Where a blank stands; `None` for a chip that was never in stock.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn blank(&mut self, serial: CardSerial) -> Result<Option<BlankState>, Error> {
        const BLANK: &str = "
            SELECT CASE WHEN b.state <> 'ALLOCATED' AND EXISTS
                (SELECT 1 FROM scraps s WHERE s.serial = b.serial AND s.state <> 'TAKEN_BACK') THEN 'SCRAPPED' ELSE b.state END
            FROM blanks b WHERE b.serial = $1";
        let state: Option<String> = on_engine!(self, |c| sqlx::query_scalar(BLANK)
            .bind(serial.to_string())
            .fetch_optional(c))?;
        state
            .map(|state| match state.as_str() {
                "IN_STOCK" => Ok(BlankState::InStock),
                "ALLOCATED" => Ok(BlankState::Allocated),
                "RECALLED" => Ok(BlankState::Recalled),
                "SCRAPPED" => Ok(BlankState::Scrapped),
                _ => Err(damaged("blanks.state")),
            })
            .transpose()
    }

    /// How many blanks there are.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn stock(&mut self) -> Result<Stock, Error> {
        let lots = self.lots().await?;
        Ok(lots.into_iter().fold(Stock::NONE, |all, lot| Stock {
            in_stock: all.in_stock + lot.stock.in_stock,
            allocated: all.allocated + lot.stock.allocated,
            recalled: all.recalled + lot.stock.recalled,
            set_aside: all.set_aside + lot.stock.set_aside,
            scrapped: all.scrapped + lot.stock.scrapped,
        }))
    }

    /// The lots that were ever taken in, the last one first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn lots(&mut self) -> Result<Vec<Lot>, Error> {
        const LOTS: &str = "
            SELECT b.lot, min(b.received_at),
                   CASE WHEN b.state = 'ALLOCATED' OR s.state IS NULL OR s.state = 'TAKEN_BACK' THEN b.state
                        WHEN s.state = 'OPEN' THEN 'SET_ASIDE' ELSE 'SCRAPPED' END AS stands,
                   count(*)
            FROM blanks b LEFT JOIN scraps s ON s.serial = b.serial
            GROUP BY b.lot, stands ORDER BY b.lot";
        let rows: Vec<(String, i64, String, i64)> = on_engine!(self, |c| sqlx::query_as(LOTS).fetch_all(c))?;
        let mut lots: Vec<Lot> = Vec::new();
        for (lot, received, state, count) in rows {
            let received_at = instant(received, "blanks.received_at")?;
            match lots.last_mut().filter(|last| last.lot == lot) {
                Some(last) => {
                    last.received_at = last.received_at.min(received_at);
                    last.stock = last.stock.and(&state, count);
                }
                None => lots.push(Lot {
                    lot,
                    received_at,
                    stock: Stock::NONE.and(&state, count),
                }),
            }
        }
        lots.sort_by_key(|lot| std::cmp::Reverse(lot.received_at));
        Ok(lots)
    }

    /// Cards that somebody proposed to allow again, those that wait longest first, at most `limit`.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn cards_to_allow(&mut self, limit: u32) -> Result<Vec<Card>, Error> {
        const TO_ALLOW: &str = "
            SELECT number, serial, permit, order_id, state, denial, chip, allow_proposed_by, until, version FROM cards
            WHERE allow_proposed_by IS NOT NULL ORDER BY changed_at, number LIMIT $1";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(TO_ALLOW)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

impl Transaction {
    /// Puts blanks into the stock.
    ///
    /// # Errors
    /// [`Error::Exists`] if one of the serials was ever in stock; outages.
    pub async fn receive_blanks(
        &mut self,
        serials: &[CardSerial],
        lot: &str,
        by: &StaffId,
    ) -> Result<Appended, Error> {
        const INSERT: &str = "
            INSERT INTO blanks (serial, lot, state, received_at, changed_at) VALUES ($1, $2, 'IN_STOCK', $3, $4)";
        let at = self.millis();
        for serial in serials {
            write_on_engine!(self, |c| sqlx::query(INSERT)
                .bind(serial.to_string())
                .bind(lot)
                .bind(at)
                .bind(at)
                .execute(c))
            .map_err(|e| e.of("blank"))?;
        }
        self.append(Entry {
            role: "stock keeper",
            actor: by.as_str(),
            action: "blanks RECEIVED",
            subject: lot,
            detail: &format!(r#"{{"blanks":{}}}"#, serials.len()),
        })
        .await
    }

    /// Calls back every blank of a lot that is still in stock. How many there were.
    ///
    /// # Errors
    /// Outages.
    pub async fn recall_lot(&mut self, lot: &str, by: &StaffId) -> Result<(u64, Appended), Error> {
        const RECALL: &str =
            "UPDATE blanks SET state = 'RECALLED', changed_at = $1 WHERE lot = $2 AND state = 'IN_STOCK'";
        let at = self.millis();
        let count = write_on_engine!(self, |c| sqlx::query(RECALL).bind(at).bind(lot).execute(c))?;
        let appended = self
            .append(Entry {
                role: "stock keeper",
                actor: by.as_str(),
                action: "blanks RECALLED",
                subject: lot,
                detail: &format!(r#"{{"blanks":{count}}}"#),
            })
            .await?;
        Ok((count, appended))
    }

    /// Takes a blank from the stock.
    ///
    /// # Errors
    /// [`Error::Stale`] unless it is in stock; outages.
    pub async fn take_blank(&mut self, serial: CardSerial) -> Result<(), Error> {
        const TAKE: &str = "
            UPDATE blanks SET state = 'ALLOCATED', changed_at = $1 WHERE serial = $2 AND state = 'IN_STOCK'
                AND NOT EXISTS (SELECT 1 FROM scraps s WHERE s.serial = blanks.serial AND s.state <> 'TAKEN_BACK')";
        const KNOWN: &str = "SELECT count(*) FROM blanks WHERE serial = $1";
        let (at, serial) = (self.millis(), serial.to_string());
        let rows = write_on_engine!(self, |c| sqlx::query(TAKE)
            .bind(at)
            .bind(serial.as_str())
            .execute(c))?;
        self.written(rows, "blank", KNOWN, &serial).await
    }

    /// Stores which running number of a province was drawn last: it only grows.
    ///
    /// # Errors
    /// Outages.
    pub async fn set_last_card_number(&mut self, province: Province, last: u64) -> Result<(), Error> {
        const SET: &str = "
            INSERT INTO card_counters (province, last) VALUES ($1, $2)
            ON CONFLICT (province) DO UPDATE SET last = excluded.last";
        let last = i64::try_from(last).map_err(|_| damaged("card_counters.last"))?;
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(province.as_str())
            .bind(last)
            .execute(c))?;
        Ok(())
    }

    /// Stores the card that a number and a chip became. The entry of the ledger is its order's.
    ///
    /// # Errors
    /// [`Error::Exists`] for a number or chip that was used before; outages.
    pub async fn insert_card(&mut self, card: &AllocatedCard, order: &Order) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO cards (number, serial, permit, order_id, state, version, created_at, changed_at)
            VALUES ($1, $2, $3, $4, 'ALLOCATED', 1, $5, $6)";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(card.number.as_str())
            .bind(card.serial.to_string())
            .bind(order.permit().to_string())
            .bind(order.id().to_string())
            .bind(at)
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("card"))?;
        Ok(())
    }

    /// Stores where a card stands now, and the last day on it as `card` has it. The entry of the ledger is that of the order or change that moved it, or the
    /// caller's.
    ///
    /// # Errors
    /// [`Error::Stale`] if the row changed since it was read, [`Error::Missing`]; outages.
    pub async fn update_card(&mut self, card: Card, standing: Standing) -> Result<Card, Error> {
        const UPDATE: &str = "
            UPDATE cards SET state = $1, denial = $2, chip = $3, allow_proposed_by = NULL, until = $4,
                version = version + 1, changed_at = $5
            WHERE number = $6 AND version = $7";
        const KNOWN: &str = "SELECT count(*) FROM cards WHERE number = $1";
        let at = self.millis();
        let rows = write_on_engine!(self, |c| sqlx::query(UPDATE)
            .bind(standing.state().name())
            .bind(standing.denial().name())
            .bind(standing.chip().name())
            .bind(card.until.map(|day| day.to_string()))
            .bind(at)
            .bind(card.number.as_str())
            .bind(card.version)
            .execute(c))?;
        self.written(rows, "card", KNOWN, card.number.as_str()).await?;
        Ok(Card {
            state: standing.state(),
            denial: standing.denial(),
            chip: standing.chip(),
            allow_proposed_by: None,
            version: card.version + 1,
            ..card
        })
    }

    /// Stores who proposed that a card works again. The entry of the ledger is the caller's.
    ///
    /// # Errors
    /// [`Error::Stale`] if the row changed since it was read, [`Error::Missing`]; outages.
    pub async fn propose_allowing(&mut self, card: Card, by: &StaffId) -> Result<Card, Error> {
        const UPDATE: &str = "
            UPDATE cards SET allow_proposed_by = $1, version = version + 1, changed_at = $2
            WHERE number = $3 AND version = $4";
        const KNOWN: &str = "SELECT count(*) FROM cards WHERE number = $1";
        let at = self.millis();
        let rows = write_on_engine!(self, |c| sqlx::query(UPDATE)
            .bind(by.as_str())
            .bind(at)
            .bind(card.number.as_str())
            .bind(card.version)
            .execute(c))?;
        self.written(rows, "card", KNOWN, card.number.as_str()).await?;
        Ok(Card {
            allow_proposed_by: Some(by.clone()),
            version: card.version + 1,
            ..card
        })
    }
}
