//! The serving loop of a terminal: one card after the other, what is decided, counted, sold and delivered. The programs that serve
//! one card and the program that runs all day do the same here.

use std::time::Duration;

use card_applet_spec::codes::{Rights, Role};
use card_applet_spec::counters::Counted;
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::Age;
use card_reader::folder::{ClockDoubt, Counters};
use card_reader::journal::JournalError;
use card_reader::purchase::{PurchaseError, Sale};
use card_reader::transport::Transport;
use card_reader::updates::{Delivered, Waiting};
use card_reader::{
    Admission, Card, Check, Error, Folder, Journal, Moment, Outcome, Reason, Refusal, Stopwatch, Terminal,
    TerminalKey, Till, Updates,
};
use program_contract::Failure;
use rand_core::CryptoRng;

use crate::program::args::Service;
use crate::program::config::Config;
use crate::program::failure;
use crate::program::report::{self, Saw};
use crate::program::services::Services;
use crate::program::terminal::{self, Loaded};
use program_contract::money::Fen;

impl Service {
    /// The role that this service asks for.
    pub(crate) fn role(self) -> Role {
        match self {
            Self::Bus => Role::Transit,
            Self::Door => Role::Door,
            Self::Clinic => Role::Clinic,
            Self::Insurance => Role::SocialInsurance,
            Self::Shop => Role::SmallPayment,
        }
    }
}

/// What is done with the next card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Look at its entitlement.
    Admit,
    /// Sell.
    Sell(Fen),
    /// Go on with the open purchase.
    Again,
}

/// One card, served.
#[derive(Debug)]
pub(crate) struct Served {
    /// What was seen, or why not.
    pub(crate) result: Result<Saw, Error>,
    pub(crate) sale: Option<Sale>,
    /// Accepted in the days of grace of an old list.
    pub(crate) grace: bool,
    /// How long the card took to answer TAP.
    pub(crate) tap: Option<Duration>,
    /// The open purchase was given up, because another debit came after it.
    pub(crate) given_up: bool,
    /// An update that waits for this card.
    waiting: Option<Waiting>,
    /// The terminal's own trouble beside the card's business.
    pub(crate) failure: Option<Failure>,
}

impl Served {
    fn of(result: Result<Saw, Error>) -> Self {
        Self {
            result,
            sale: None,
            grace: false,
            tap: None,
            given_up: false,
            waiting: None,
            failure: None,
        }
    }
}

/// A terminal at work.
#[derive(Debug)]
pub(crate) struct ServingLoop {
    pub(crate) service: Service,
    pub(crate) key: TerminalKey,
    pub(crate) terminal: Terminal,
    pub(crate) config: Option<Config>,
    pub(crate) folder: Option<Folder>,
    /// The last day that was seen, where there is no folder.
    seen: Option<Date>,
    services: Services,
    updates: Option<Updates>,
    pub(crate) counters: Counters,
    journal: Option<Journal>,
}

impl ServingLoop {
    /// Sets a loaded terminal to work.
    pub(crate) fn new(loaded: Loaded, service: Service, moment: Moment) -> Result<Self, Failure> {
        let Loaded {
            key,
            bundle,
            settled,
            seen,
            services,
        } = loaded;
        let mut serving = Self {
            service,
            key,
            terminal: Terminal::new(bundle),
            config: None,
            folder: None,
            seen,
            services,
            updates: None,
            counters: Counters::default(),
            journal: None,
        };
        if let Some((config, folder)) = settled {
            serving.terminal.set_tap_limit(config.tap_limit());
            serving.updates = folder.updates(&serving.key, moment.today)?;
            serving.counters = folder.counters()?;
            if service == Service::Shop
                && let Some(tid) = serving.terminal.bundle().tid()
            {
                serving.journal = Some(folder.journal(tid)?);
            }
            if service == Service::Shop {
                give_up_others(&folder, serving.terminal.bundle().tid())?;
            }
            serving.config = Some(config);
            serving.folder = Some(folder);
        }
        Ok(serving)
    }

    /// Whether a purchase waits for its card.
    pub(crate) fn purchase_open(&self) -> Option<Fen> {
        let open = self.journal.as_ref()?.open()?;
        Some(Fen(open.purchase().amount()))
    }

    /// Why this terminal serves nobody today, if it does not. The clock comes first: with a wrong one no other day can be
    /// judged, what has ended would be accepted, and a payment would carry a wrong time.
    pub(crate) fn out_of_service(&self, moment: Moment) -> Option<Refusal> {
        let bundle = self.terminal.bundle();
        let role = self.service.role();
        let check = if self.clock_doubt(moment).is_some() {
            Some(Check::Clock)
        } else if moment.today > bundle.last_day() {
            Some(Check::BundleDays)
        } else if !bundle.serves(role) {
            Some(Check::BundleRole)
        } else if self.list_age(moment) == Age::TooOld || (self.in_grace(moment) && !self.takes_grace()) {
            Some(Check::DenyListAge)
        } else if !role.has_door_f()
            && !bundle
                .chain()
                .is_some_and(|chain| chain.is_valid_on(moment.today))
        {
            Some(Check::BundleDays)
        } else if self.service == Service::Shop && self.journal.is_none() {
            Some(Check::Registration)
        } else {
            None
        };
        check.map(Refusal::from)
    }

    /// Why the clock is wrong, if it is.
    pub(crate) fn clock_doubt(&self, moment: Moment) -> Option<ClockDoubt> {
        let bundle = self.terminal.bundle();
        match &self.folder {
            Some(folder) => folder.clock_doubt(moment.today, bundle),
            None => terminal::clock_doubt(moment.today, bundle, self.seen),
        }
    }

    /// Remembers the day, once it is another one: a terminal runs over many nights.
    pub(crate) fn saw_day(&mut self, moment: Moment) -> Result<(), Failure> {
        match &mut self.folder {
            Some(folder) => Ok(folder.saw_day(moment.today, self.terminal.bundle())?),
            None => Ok(()),
        }
    }

    fn list_age(&self, moment: Moment) -> Age {
        self.terminal.bundle().list_age(self.service.role(), moment.today)
    }

    pub(crate) fn in_grace(&self, moment: Moment) -> bool {
        self.list_age(moment) == Age::InGrace
    }

    fn takes_grace(&self) -> bool {
        card_applet_spec::deny_list::has_grace(self.service.role())
            && self
                .config
                .as_ref()
                .is_some_and(|config| config.stale_list == card_reader::StaleList::Grace)
    }

    /// Serves one card. [`ServingLoop::finish`] comes behind it, once the holder has seen the result.
    pub(crate) fn serve(
        &mut self,
        wire: &mut dyn Transport,
        task: Task,
        moment: Moment,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Served {
        // What the terminal itself lacks is said before any card is asked. An open purchase may come to its end without a
        // fresh list: the card is only asked what became of it.
        let stopped = self
            .out_of_service(moment)
            .filter(|refusal| task != Task::Again || refusal.check == Check::Clock);
        let mut served = match stopped {
            Some(refusal) => Served::of(Err(refusal.into())),
            None => self.serve_card(wire, task, moment, watch, rng),
        };
        served.grace = served.result.is_ok() && self.in_grace(moment);
        if let Some(counted) = counted(&served) {
            self.counters.count(self.service.role(), counted, moment.today);
        }
        served
    }

    fn serve_card(
        &mut self,
        wire: &mut dyn Transport,
        task: Task,
        moment: Moment,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Served {
        match (self.service.role().has_door_f(), task) {
            (_, Task::Sell(amount)) => self.sell(wire, Some(amount), moment, watch, rng),
            (_, Task::Again) => self.sell(wire, None, moment, watch, rng),
            (true, Task::Admit) => self.tap(wire, moment, watch, rng),
            (false, Task::Admit) => Served::of(
                self.agree(wire, moment, rng)
                    .map(|admission| report::admission(&admission, &self.services)),
            ),
        }
    }

    fn tap(
        &mut self,
        wire: &mut dyn Transport,
        moment: Moment,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Served {
        let role = self.service.role();
        let opened = self
            .terminal
            .may_accept(role, moment.today)
            .map_err(Error::from)
            .and_then(|()| Card::new(wire).select())
            .and_then(|card| self.terminal.open(card, role, moment.today, watch, rng));
        match opened {
            Ok(card) => Served {
                tap: Some(card.tap_time()),
                waiting: self
                    .updates
                    .as_ref()
                    .and_then(|updates| updates.waits_for(&card, moment.today)),
                ..Served::of(
                    card.admission()
                        .map(|admission| report::admission(&admission, &self.services))
                        .map_err(Error::from),
                )
            },
            Err(error) => Served::of(Err(error)),
        }
    }

    fn agree(
        &mut self,
        wire: &mut dyn Transport,
        moment: Moment,
        rng: &mut impl CryptoRng,
    ) -> Result<Admission, Error> {
        let role = self.service.role();
        let bundle = self.terminal.bundle();
        let card = Card::new(wire).select()?;
        let card =
            card.present(bundle, moment.today)?
                .agree(Rights::role(role), &self.key, moment.today, rng)?;
        let (_, admission) = card.read_entitlement(role, bundle, moment.today)?;
        Ok(*admission.content())
    }

    /// `None` goes on with the open purchase.
    fn sell(
        &mut self,
        wire: &mut dyn Transport,
        amount: Option<Fen>,
        moment: Moment,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Served {
        let largest = self.config.as_ref().and_then(|config| config.largest_amount);
        if amount
            .zip(largest)
            .is_some_and(|(amount, largest)| amount > largest)
        {
            return Served::of(Err(Check::CardLimit.into()));
        }
        let Some(journal) = &mut self.journal else {
            return Served::of(Err(Check::Registration.into()));
        };
        let mut till = Till::new(&mut self.terminal, journal);
        let outcome = match amount {
            Some(Fen(amount)) => till.sell(wire, amount, moment, watch, rng),
            None => till.again(wire, moment, watch, rng),
        };
        match outcome {
            Ok(Outcome::Sold(sale)) => Served {
                sale: Some(sale),
                ..Served::of(Ok(report::sale(&sale)))
            },
            Ok(Outcome::PresentAgain(trouble)) => {
                tracing::info!(%trouble, "no proof: the outcome is unknown");
                Served::of(Err(Check::Proof.into()))
            }
            Ok(Outcome::OtherCard) => Served::of(Err(Check::OtherCard.into())),
            Ok(Outcome::Refused(refusal)) => Served::of(Err(refusal.into())),
            Ok(Outcome::GivenUp) => Served {
                given_up: true,
                failure: Some(failure::purchase_given_up()),
                ..Served::of(Err(Check::Proof.into()))
            },
            Err(PurchaseError::Card(error)) => Served::of(Err(error)),
            Err(PurchaseError::Journal(error)) => Served {
                failure: Some(error.into()),
                ..Served::of(Err(Check::Proof.into()))
            },
            Err(_) => Served::of(Err(Check::Proof.into())),
        }
    }

    /// Gives the open purchase up.
    pub(crate) fn give_up(&mut self) -> Result<(), Failure> {
        let journal = self.journal.as_mut().ok_or(JournalError::NoneOpen)?;
        Till::new(&mut self.terminal, journal).give_up()?;
        Ok(())
    }

    /// What comes after the holder has seen the result: an update for this card. Gives how many were delivered.
    pub(crate) fn finish(
        &mut self,
        served: &mut Served,
        wire: &mut dyn Transport,
        moment: Moment,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> bool {
        let Some(updates) = &mut self.updates else {
            return false;
        };
        // A till has used its tap up: it looks again, and only where anything waits at all.
        if served.sale.is_some() && !updates.is_empty() {
            let role = self.service.role();
            served.waiting = Card::new(&mut *wire)
                .select()
                .and_then(|card| self.terminal.open(card, role, moment.today, watch, rng))
                .ok()
                .and_then(|card| updates.waits_for(&card, moment.today));
        }
        let Some(waiting) = served.waiting.take() else {
            return false;
        };
        let delivered = updates.deliver(&mut self.terminal, wire, &waiting, moment.today, watch, rng);
        let kept = match (&mut self.folder, delivered) {
            (Some(folder), Delivered::Receipt(receipt)) => folder.keep_receipt(receipt),
            (Some(folder), Delivered::Dropped(update)) => folder.drop_update(update),
            _ => Ok(()),
        };
        if let Err(error) = kept {
            served.failure = Some(error.into());
        }
        matches!(delivered, Delivered::Receipt(_))
    }

    /// Loads again what the folder holds: a newer bundle, list or batch came.
    pub(crate) fn reload(&mut self, config: &Config, moment: Moment) -> Result<(), Failure> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let known = terminal::sequence_of_key(&config.key)?;
        let mut bundle = folder.bundle(&self.key, known, moment.today)?;
        bundle.set_stale_list(config.stale_list);
        self.updates = folder.updates(&self.key, moment.today)?;
        // Another registration number has a journal of its own; what is open under the old one is settled as unknown.
        if self.service == Service::Shop && self.journal.as_ref().map(Journal::tid) != bundle.tid() {
            self.journal = match bundle.tid() {
                Some(tid) => Some(folder.journal(tid)?),
                None => None,
            };
            give_up_others(folder, bundle.tid())?;
        }
        self.terminal.replace_bundle(bundle);
        Ok(())
    }

    /// Writes the counts down.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        match &self.folder {
            Some(folder) => folder.save_counters(&self.counters).map_err(Failure::from),
            None => Ok(()),
        }
    }
}

/// Gives up what is open under an earlier registration number: this terminal debits under that number no more.
fn give_up_others(folder: &Folder, tid: Option<u32>) -> Result<(), Failure> {
    for other in folder.registrations()? {
        if Some(other) == tid {
            continue;
        }
        let mut journal = folder.journal(other)?;
        if journal.open().is_some() {
            journal.give_up()?;
        }
    }
    Ok(())
}

/// What a served card counts as; trouble on the wire counts as nothing.
fn counted(served: &Served) -> Option<Counted> {
    let reason = match &served.result {
        Ok(_) if served.grace => return Some(Counted::AcceptedInGrace),
        Ok(_) => return Some(Counted::Accepted),
        Err(_) if served.given_up => return Some(Counted::OutcomeUnknown),
        Err(_) if served.failure.is_some() => return None,
        Err(error) => error.refusal()?.reason,
    };
    Some(match reason {
        Reason::NotActive => Counted::NotActive,
        Reason::Expired => Counted::Expired,
        Reason::Denied => Counted::Denied,
        Reason::NotGenuine => Counted::NotGenuine,
        Reason::WrongRole => Counted::WrongRole,
        Reason::ForeignCard => Counted::ForeignCard,
        Reason::Replay => Counted::Replay,
        Reason::ListTooOld => Counted::ListTooOld,
        Reason::BundleExpired => Counted::BundleExpired,
        Reason::BalanceTooLow => Counted::BalanceTooLow,
        Reason::OutcomeUnknown => Counted::OutcomeUnknown,
        // A day that is not believed is no day to count on.
        Reason::ClockWrong => return None,
    })
}
