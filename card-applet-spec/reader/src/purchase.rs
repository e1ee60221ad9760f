//! A purchase (chapters 06 and 11), terminal side: COMMIT and its retry rule.
//!
//! A purchase is [`Prepared`], then [`Open`] (written down, before anything is sent), and ends as [`Outcome::Sold`],
//! [`Outcome::Refused`] or [`Outcome::GivenUp`]. In between stands [`Outcome::PresentAgain`]: nobody knows, and only the
//! same card can tell. Goods are handed out after [`Outcome::Sold`] and never before.
//!
//! | the card on the next TAP | what [`next`] says |
//! |---|---|
//! | another pid | [`Next::OtherCard`]: never COMMIT, go on waiting |
//! | same pid, seq = s0 | [`Next::NotDebited`]: COMMIT the same body |
//! | same pid, seq = s0 + 1, last txno ours | [`Next::Debited`]: the same COMMIT fetches a fresh proof |
//! | same pid, anything else | [`Next::Never`]: the settlement decides |
//!
//! Left out: what is sold, and any name of a buyer. A terminal learns a pseudonym and a balance, and shows only the balance.

use card_applet_spec::apdu::{Header, StatusWord, split_answer};
use card_applet_spec::bytes::Reader;
use card_applet_spec::codes::Role;
use card_applet_spec::date::Date;
use card_applet_spec::door_f::{CommitBody, TapPlain};
use rand_core::CryptoRng;

use crate::card::Card;
use crate::counting::Stopwatch;
use crate::door_f::{Tapped, Terminal};
use crate::error::{Check, Error, Refusal, Step};
use crate::journal::{Journal, JournalError, Open, Prepared};
use crate::transport::Transport;

/// The role of payments.
const ROLE: Role = Role::SmallPayment;
/// Type byte of a purchase (chapter 06).
const PURCHASE: u8 = 0x00;

/// When a purchase happens: the day for the rules, the instant for the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Today, in UTC+8.
    pub today: Date,
    /// Seconds since 2000-01-01T00:00Z.
    pub seconds: u32,
}

/// What a card that comes back says of the open purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Not the card of this purchase.
    OtherCard,
    /// Nothing was debited yet.
    NotDebited,
    /// It was debited, and the proof can be fetched.
    Debited,
    /// Another debit came after, or the card is not what it was: never COMMIT again.
    Never,
}

/// The retry rule of chapter 11.
#[must_use]
pub fn next(open: &Open, card: &TapPlain) -> Next {
    let purchase = open.purchase();
    if card.pid != purchase.pid {
        return Next::OtherCard;
    }
    let debited = purchase.seq.checked_add(1) == Some(card.seq)
        && card.last_txno == purchase.body.txno
        && purchase.spent.checked_add(purchase.body.amount) == Some(card.spent);
    if card.seq == purchase.seq && card.spent == purchase.spent {
        Next::NotDebited
    } else if debited {
        Next::Debited
    } else {
        Next::Never
    }
}

/// A debit that the card proved, for the screen and the paper: amounts in fen, no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sale {
    /// What was paid.
    pub amount: u32,
    /// Balance before.
    pub before: u32,
    /// Balance after.
    pub after: u32,
    /// Seconds since 2000-01-01T00:00Z, as the card signed it.
    pub seconds: u32,
    /// Registration number of the terminal.
    pub tid: u32,
    /// Random number of the transaction: what a complaint can name.
    pub txno: [u8; 8],
    /// Whether the money was debited at an earlier attempt and only the proof came now.
    pub earlier: bool,
}

/// What became of a purchase: two of these leave it open (`PresentAgain`, `OtherCard`), the others end it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Debited and proved: hand out the goods.
    Sold(Sale),
    /// Nobody knows: present the same card again. What went wrong is for the operator.
    PresentAgain(Error),
    /// Another card lies there while a purchase is open: it was not touched.
    OtherCard,
    /// Nothing was debited, and the card showed it or was never asked.
    Refused(Refusal),
    /// Given up: the settlement decides. By the clerk, or because another debit came after ours.
    GivenUp,
}

/// Why no purchase could be tried or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PurchaseError {
    /// The card or the rules, before anything was sent that could debit.
    #[error(transparent)]
    Card(#[from] Error),
    /// The journal cannot be written or read. Where a purchase was open it still is.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl From<Check> for PurchaseError {
    fn from(check: Check) -> Self {
        Self::Card(check.into())
    }
}

impl From<Refusal> for PurchaseError {
    fn from(refusal: Refusal) -> Self {
        Self::Card(refusal.into())
    }
}

impl<T: Transport> Card<T, Tapped> {
    /// Balance of the card, in fen; zero for roles without a purse.
    #[must_use]
    pub fn balance(&self) -> u32 {
        let plain = &self.state().plain;
        plain.loaded.saturating_sub(plain.spent)
    }

    /// All money ever loaded and ever spent, in fen, as the card shows them; zeros for roles without a purse.
    #[must_use]
    pub fn purse(&self) -> (u32, u32) {
        let plain = &self.state().plain;
        (plain.loaded, plain.spent)
    }

    /// What is to be bought: every check of chapter 11, point 1, behind those of the record.
    ///
    /// # Errors
    ///
    /// The refusal of the record; `BALANCE_TOO_LOW`; `WRONG_ROLE` for another role than `SMALL_PAYMENT`.
    fn prepare(&self, body: CommitBody) -> Result<Prepared, Refusal> {
        self.admission()?;
        let tapped = self.state();
        if tapped.role != ROLE {
            return Err(Check::BundleRole.into());
        }
        // By subtraction: no sum can wrap here, on the card or in the settlement.
        if body.amount == 0 || body.amount > self.balance() || tapped.plain.seq == u32::MAX {
            return Err(Check::Balance.into());
        }
        Ok(Prepared::new(tapped.version, &tapped.plain, body))
    }

    /// Sends the COMMIT of an open purchase and checks the proof. The TAC of a proved debit, and whether it was made
    /// at an earlier attempt.
    fn commit(mut self, open: &Open) -> Result<([u8; 8], bool), Error> {
        let step = Step::Commit;
        let bad = |_| Error::BadAnswer { step };
        let purchase = open.purchase();
        let Tapped {
            version,
            terminal_challenge: rt,
            card_challenge: rc,
            plain,
            m,
            ..
        } = self.state();
        let (version, rt, rc) = (*version, *rt, *rc);
        let mac = purchase
            .body
            .mac(m, ROLE.code(), version, &rt, &rc, plain.seq)
            .map_err(bad)?;
        let mut data = purchase.body.encode().map_err(bad)?.to_vec();
        data.extend_from_slice(&mac);
        let command = Header::commit(ROLE.code(), version)
            .command(&data, Some(0x19))
            .map_err(bad)?;
        let answer = self.exchange(&command)?;
        let (body, status) = split_answer(&answer).map_err(bad)?;
        if !status.is_ok() {
            return Err(Error::CardRefused {
                step,
                status: status.0,
            });
        }
        let mut reader = Reader::new(body, "COMMIT answer");
        let result = reader.u8().map_err(bad)?;
        let tac: [u8; 8] = reader.array().map_err(bad)?;
        let proof: [u8; 16] = reader.array().map_err(bad)?;
        reader.end().map_err(bad)?;
        if result > 1 {
            return Err(Error::BadAnswer { step });
        }
        let expected = purchase
            .body
            .proof(
                &self.state().m,
                ROLE.code(),
                version,
                &rt,
                &rc,
                result,
                purchase.seq.wrapping_add(1),
                purchase.spent.wrapping_add(purchase.body.amount),
                &tac,
            )
            .map_err(bad)?;
        if !card_applet_spec::crypto::equal(&expected, &proof) {
            return Err(Check::Proof.into());
        }
        Ok((tac, result == 1))
    }
}

/// A shop's till: the terminal and the journal together, for one card at a time.
#[derive(Debug)]
pub struct Till<'a> {
    terminal: &'a mut Terminal,
    journal: &'a mut Journal,
}

impl<'a> Till<'a> {
    /// A till of this terminal.
    pub fn new(terminal: &'a mut Terminal, journal: &'a mut Journal) -> Self {
        Self { terminal, journal }
    }

    /// Sells for `amount` fen to the card that lies there. While a purchase is open nothing else is sold.
    ///
    /// # Errors
    ///
    /// [`PurchaseError`]: nothing was sent that could debit. After COMMIT was sent the only error is that of a journal that
    /// cannot be written; the purchase is open then.
    pub fn sell(
        &mut self,
        wire: &mut dyn Transport,
        amount: u32,
        moment: Moment,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Result<Outcome, PurchaseError> {
        if self.journal.open().is_some() {
            return Err(JournalError::StillOpen.into());
        }
        self.terminal.may_accept(ROLE, moment.today)?;
        let tid = self.registration()?;
        let card = Card::new(&mut *wire).select()?;
        let card = self.terminal.open(card, ROLE, moment.today, watch, rng)?;
        let body = CommitBody {
            amount,
            tid,
            txno: txno(&card.state().plain, rng),
            time: moment.seconds,
            kind: PURCHASE,
        };
        let prepared = card.prepare(body)?;
        let open = self.journal.persist(prepared)?;
        match self.attempt(card, &open)? {
            Tried::Ended(outcome) => Ok(outcome),
            Tried::Trouble(trouble) => self.ask_at_once(wire, trouble, Next::NotDebited, moment, watch, rng),
        }
    }

    /// Goes on with the open purchase on the card that lies there: the retry rule.
    ///
    /// # Errors
    ///
    /// [`PurchaseError`]: nothing was sent that could debit, and the purchase is still open.
    pub fn again(
        &mut self,
        wire: &mut dyn Transport,
        moment: Moment,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Result<Outcome, PurchaseError> {
        match self.once(&mut *wire, moment, watch, rng)? {
            (_, Tried::Ended(outcome)) => Ok(outcome),
            (shown, Tried::Trouble(trouble)) => self.ask_at_once(wire, trouble, shown, moment, watch, rng),
        }
    }

    /// Gives the open purchase up: no goods, and the settlement decides about the money.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    pub fn give_up(&mut self) -> Result<Outcome, JournalError> {
        self.journal.give_up().map(|_| Outcome::GivenUp)
    }

    /// The number under which this terminal is paid; the journal must be that number's.
    fn registration(&self) -> Result<u32, Check> {
        self.terminal
            .bundle()
            .tid()
            .filter(|tid| *tid == self.journal.tid())
            .ok_or(Check::Registration)
    }

    /// A fresh tap, and what the retry rule says to it.
    fn once(
        &mut self,
        wire: &mut dyn Transport,
        moment: Moment,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Result<(Next, Tried), PurchaseError> {
        let open = self.journal.open().ok_or(JournalError::NoneOpen)?;
        let card = Card::new(wire).select()?;
        let kv = open.purchase().kv;
        let card = self
            .terminal
            .open_version(card, ROLE, kv, moment.today, watch, rng)?;
        let shown = next(&open, &card.state().plain);
        let tried = match shown {
            Next::OtherCard => Tried::Ended(Outcome::OtherCard),
            Next::Never => Tried::Ended(self.give_up()?),
            Next::Debited => self.attempt(card, &open)?,
            Next::NotDebited => match card.admission() {
                Ok(_) => {
                    let open = self.journal.again(card.state().plain.loaded)?;
                    self.attempt(card, &open)?
                }
                // A card that was denied or has ended since then buys nothing, and has shown that it was not debited.
                Err(refusal) => {
                    self.journal.refused()?;
                    Tried::Ended(Outcome::Refused(refusal))
                }
            },
        };
        Ok((shown, tried))
    }

    /// COMMIT on this tap.
    fn attempt<T: Transport>(&mut self, card: Card<T, Tapped>, open: &Open) -> Result<Tried, JournalError> {
        let (tac, earlier) = match card.commit(open) {
            Ok(proved) => proved,
            Err(trouble) => return Ok(Tried::Trouble(trouble)),
        };
        let line = self.journal.sold(tac)?;
        Ok(Tried::Ended(Outcome::Sold(Sale {
            amount: line.body.amount,
            before: open.purchase().balance_before(),
            after: line.loaded.saturating_sub(line.spent),
            seconds: line.body.time,
            tid: line.body.tid,
            txno: line.body.txno,
            earlier,
        })))
    }

    /// After an answer without proof. A status can be forged by whoever holds the wire; the card may still lie there, so it
    /// is asked once, by a fresh tap. Where it cannot be asked, the holder is.
    fn ask_at_once(
        &mut self,
        wire: &mut dyn Transport,
        trouble: Error,
        shown: Next,
        moment: Moment,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Result<Outcome, PurchaseError> {
        let Error::CardRefused { status, .. } = trouble else {
            return Ok(Outcome::PresentAgain(trouble));
        };
        if shown == Next::NotDebited
            && status == StatusWord::CONDITIONS.0
            && self.shows_not_debited(&mut *wire, moment, watch, rng)
        {
            self.journal.refused()?;
            return Ok(Outcome::Refused(Check::CardLimit.into()));
        }
        match self.once(wire, moment, watch, rng) {
            Ok((_, Tried::Ended(outcome))) => Ok(outcome),
            Ok((_, Tried::Trouble(_))) | Err(PurchaseError::Card(_)) => Ok(Outcome::PresentAgain(trouble)),
            Err(error) => Err(error),
        }
    }

    /// Whether a fresh tap of the same card shows that nothing was debited.
    fn shows_not_debited(
        &mut self,
        wire: &mut dyn Transport,
        moment: Moment,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> bool {
        let Some(open) = self.journal.open() else {
            return false;
        };
        let kv = open.purchase().kv;
        Card::new(wire)
            .select()
            .and_then(|card| {
                self.terminal
                    .open_version(card, ROLE, kv, moment.today, watch, rng)
            })
            .is_ok_and(|card| next(&open, &card.state().plain) == Next::NotDebited)
    }
}

/// One COMMIT.
enum Tried {
    Ended(Outcome),
    /// No proof: the outcome is unknown.
    Trouble(Error),
}

/// A fresh random number of a transaction: not zero (that means "never debited"), not the card's last.
fn txno(card: &TapPlain, rng: &mut impl CryptoRng) -> [u8; 8] {
    loop {
        let mut number = [0; 8];
        rng.fill_bytes(&mut number);
        if number != [0; 8] && number != card.last_txno {
            return number;
        }
    }
}
