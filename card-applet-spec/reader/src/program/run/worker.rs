//! The thread that holds the reader: waits for a card, serves it, tells what happened, waits until it is gone.
//!
//! A card that stays is served once. Left out: several readers at one terminal.

use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant, SystemTime};

use card_applet_spec::counters::Counted;
use card_reader::counting::{Counting, Stopwatch as _};
use card_reader::folder::ClockDoubt;
use card_reader::transport::{PcscTransport, Transport as _, TransportError};
use card_reader::{Error, Moment, Reason};
use program_contract::{Clock, Failure};
use serde_json::Value;

use crate::program::clock::{self, Watch};
use crate::program::config::Config;
use crate::program::run::screen::Show;

use crate::program::report::{Decision, SCHEMA};
use crate::program::serving::{Served, ServingLoop, Task};
use crate::program::sync;
use crate::program::wire::{self, Source, Tape};
use program_contract::money::Fen;

/// How long one wait for a card lasts.
const WAIT: Duration = Duration::from_millis(250);
/// How often it is looked whether a card is gone, and how long to rest when the reader is not there.
const POLL: Duration = Duration::from_millis(100);
/// How often counts are written down, and files of the office looked for.
const SAVE: Duration = Duration::from_mins(1);

/// What the screen tells the reader's thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Sell for this amount to the next card.
    Sell(Fen),
    /// Sell nothing after all.
    Cancel,
    /// Give the open purchase up.
    GiveUp,
    /// No more orders will come: end when there is nothing to do.
    NoMore,
    /// End.
    End,
}

/// One card, for the screen or a line.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) show: Show,
    pub(super) accepted: bool,
    pub(super) code: String,
    pub(super) lines: Vec<String>,
    /// From the first command to the decision; only where a decision came.
    pub(super) ms: Option<u64>,
    pub(super) json: Value,
}

/// The terminal's own state, for the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) list: Option<(i64, u16)>,
    pub(super) list_old: bool,
    pub(super) bundle_left: i64,
    pub(super) warnings: Vec<String>,
    pub(super) out_of_service: bool,
    pub(super) open: bool,
    pub(super) amount: Option<Fen>,
    pub(super) accepted: u32,
    pub(super) refused: u32,
    pub(super) grace: u32,
    pub(super) updates: u32,
}

/// What the reader's thread tells.
#[derive(Debug)]
pub(super) enum Event {
    Shown(Box<Shown>),
    State(State),
    Trouble(String),
    Ended,
}

/// The screen went away: end.
struct Gone;

pub(super) struct Worker {
    serving: ServingLoop,
    config: Config,
    clock: Clock,
    /// As files are stamped, whatever day it is said to be.
    machine: Clock,
    reader: Option<String>,
    tape: Option<Tape>,
    left: Option<u32>,
    orders: Receiver<Order>,
    events: Sender<Event>,
    amount: Option<Fen>,
    no_more: bool,
    delivered: u32,
    trouble: Option<String>,
    last_told: Option<State>,
    saved: Instant,
    /// Names, lengths and times of the files that were looked at last.
    looked: Vec<(String, u64, Option<SystemTime>)>,
}

impl Worker {
    #[expect(clippy::too_many_arguments, reason = "what one terminal consists of")]
    pub(super) fn new(
        serving: ServingLoop,
        config: Config,
        clock: Clock,
        machine: Clock,
        reader: Option<String>,
        tape: Option<Tape>,
        left: Option<u32>,
        orders: Receiver<Order>,
        events: Sender<Event>,
    ) -> Self {
        Self {
            serving,
            config,
            clock,
            machine,
            reader,
            tape,
            left,
            orders,
            events,
            amount: None,
            no_more: false,
            delivered: 0,
            trouble: None,
            last_told: None,
            saved: Instant::now(),
            looked: Vec::new(),
        }
    }

    /// Works until it is told to end; then counts are saved, and files for the office are put out where the
    /// configuration says so.
    pub(super) fn work(mut self) -> Result<(), Failure> {
        // The screen that went away is no failure.
        let _ = self.serve_all();
        let _ = self.events.send(Event::Ended);
        self.serving.save()?;
        if let (Some(to), Some(folder)) = (self.config.to.clone(), &mut self.serving.folder) {
            let mut done = sync::Done::default();
            sync::give(
                folder,
                &self.serving.key,
                &to,
                self.config.keep_days(),
                clock::stamp(&self.machine),
                &mut clock::random(),
                &mut done,
            )?;
        }
        Ok(())
    }

    fn serve_all(&mut self) -> Result<(), Gone> {
        loop {
            self.take_orders()?;
            let moment = clock::moment(&self.clock);
            self.housekeeping(moment);
            self.tell_state(moment)?;
            if self.left == Some(0) {
                return Ok(());
            }
            let Some(task) = self.task(moment) else {
                if self.no_more {
                    return Ok(());
                }
                std::thread::sleep(POLL);
                continue;
            };
            match wire::connect(self.reader.as_deref(), WAIT, self.tape.as_ref()) {
                Ok(wire) => {
                    self.trouble = None;
                    self.serve(wire, task, moment)?;
                    self.wait_for_removal()?;
                }
                Err(TransportError::NoCard) => self.trouble = None,
                Err(error) => {
                    self.trouble = Some(format!("读卡器 reader: {error}. {}", error.action()));
                    std::thread::sleep(POLL);
                }
            }
        }
    }

    /// What the next card is for; nothing where this terminal serves nobody, or no amount was given.
    fn task(&self, moment: Moment) -> Option<Task> {
        if self.serving.out_of_service(moment).is_some() {
            return None;
        }
        match (
            self.serving.service.role() == card_applet_spec::codes::Role::SmallPayment,
            self.serving.purchase_open(),
        ) {
            (false, _) => Some(Task::Admit),
            (true, Some(_)) => Some(Task::Again),
            (true, None) => self.amount.map(Task::Sell),
        }
    }

    fn take_orders(&mut self) -> Result<(), Gone> {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Sell(amount)) => self.amount = Some(amount),
                Ok(Order::Cancel) => self.amount = None,
                Ok(Order::GiveUp) => {
                    self.amount = None;
                    if self.serving.purchase_open().is_some()
                        && let Err(failure) = self.serving.give_up()
                    {
                        self.tell_trouble(&failure)?;
                    }
                }
                Ok(Order::NoMore) => self.no_more = true,
                Ok(Order::End) | Err(TryRecvError::Disconnected) => return Err(Gone),
                Err(TryRecvError::Empty) => return Ok(()),
            }
        }
    }

    fn tell(&self, event: Event) -> Result<(), Gone> {
        self.events.send(event).map_err(|_| Gone)
    }

    fn tell_trouble(&self, failure: &Failure) -> Result<(), Gone> {
        self.tell(Event::Trouble(format!(
            "{}: {} {}",
            failure.code, failure.message, failure.action
        )))
    }

    fn serve(
        &mut self,
        wire: Box<dyn card_reader::transport::Transport>,
        task: Task,
        moment: Moment,
    ) -> Result<(), Gone> {
        let watch = Watch::start();
        let mut rng = Source::Machine;
        let mut counting = Counting::new(wire, watch);
        let mut served = self.serving.serve(&mut counting, task, moment, &watch, &mut rng);
        let nanoseconds = watch.nanoseconds();
        let decision = Decision {
            command: self.serving.service.name(),
            reader: Some(counting.name().to_owned()),
            counts: counting.counts(),
            nanoseconds,
            replayed: false,
            grace: served.grace,
        };
        // Another card, or a card that went away: the purchase waits, and so does its amount.
        if served.result.is_ok() || matches!(&served.result, Err(error) if error.refusal().is_some()) {
            self.amount = None;
        }
        let shown = shown(&served, &decision);
        self.left = self.left.map(|left| left.saturating_sub(1));
        let failure = served.failure.take();
        self.tell(Event::Shown(Box::new(shown)))?;
        if let Some(failure) = failure {
            self.tell_trouble(&failure)?;
        }
        // Behind the result: the holder does not wait for it.
        if self
            .serving
            .finish(&mut served, &mut counting, moment, &watch, &mut rng)
        {
            self.delivered = self.delivered.saturating_add(1);
        }
        if let Some(failure) = served.failure.take() {
            self.tell_trouble(&failure)?;
        }
        Ok(())
    }

    fn wait_for_removal(&mut self) -> Result<(), Gone> {
        loop {
            self.take_orders()?;
            let moment = clock::moment(&self.clock);
            self.tell_state(moment)?;
            if self.left == Some(0) {
                return Ok(());
            }
            let there = PcscTransport::list().is_ok_and(|readers| {
                readers
                    .iter()
                    .filter(|reader| self.reader.as_ref().is_none_or(|name| *name == reader.name))
                    .any(|reader| reader.card_present)
            });
            if !there {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Once a minute, between two cards: counts are saved, and newer files of the office are taken.
    fn housekeeping(&mut self, moment: Moment) {
        if self.saved.elapsed() < SAVE && !self.looked.is_empty() {
            return;
        }
        self.saved = Instant::now();
        if let Err(failure) = self.serving.save() {
            self.trouble = Some(format!("{}: {}", failure.code, failure.message));
        }
        let files = self.config.from.as_deref().map(look).unwrap_or_default();
        let changed = files != self.looked;
        self.looked = if files.is_empty() {
            vec![(String::new(), 0, None)]
        } else {
            files
        };
        let (true, Some(from)) = (changed, self.config.from.clone()) else {
            return;
        };
        if let Err(failure) = self.take_files(&from, moment) {
            self.trouble = Some(format!("{}: {}", failure.code, failure.message));
        }
    }

    fn take_files(&mut self, from: &std::path::Path, moment: Moment) -> Result<(), Failure> {
        let Some(folder) = &mut self.serving.folder else {
            return Ok(());
        };
        let mut done = sync::Done::default();
        sync::take(
            folder,
            &self.serving.key,
            &self.config.key,
            from,
            moment.today,
            &mut done,
        )?;
        if !done.taken.is_empty() {
            self.serving.reload(&self.config, moment)?;
        }
        match done.refused.into_iter().next() {
            Some((_, failure)) => Err(failure),
            None => Ok(()),
        }
    }

    fn tell_state(&mut self, moment: Moment) -> Result<(), Gone> {
        let serving = &self.serving;
        let bundle = serving.terminal.bundle();
        let role = serving.service.role();
        let days = |from: card_applet_spec::date::Date, to: card_applet_spec::date::Date| {
            i64::from(to.day_number()) - i64::from(from.day_number())
        };
        let list = bundle.lists().into_iter().find(|list| list.role == role);
        let out_of_service = serving.out_of_service(moment);
        let in_grace = serving.in_grace(moment);
        let mut warnings = Vec::new();
        if let Some((message, action)) = &out_of_service {
            warnings.push(format!("{message}. {action}"));
        }
        match serving.clock_doubt(moment) {
            Some(ClockDoubt::BeforeBundle(day) | ClockDoubt::BeforeLastDay(day)) => {
                warnings.push(format!(
                    "时钟有误 the clock is wrong: {} is before {day}",
                    moment.today
                ));
            }
            None => {}
        }
        if in_grace && out_of_service.is_none() {
            warnings.push("名单已过期，宽限期内 the list is old: days of grace".to_owned());
        }
        warnings.extend(self.trouble.clone());
        let counters = &serving.counters;
        let of = |counted| counters.of(role, counted);
        let grace = of(Counted::AcceptedInGrace);
        let refused = Counted::ALL
            .iter()
            .filter(|counted| !matches!(counted, Counted::Accepted | Counted::AcceptedInGrace))
            .map(|counted| of(*counted))
            .sum();
        let state = State {
            list: list.map(|list| (days(list.issued, moment.today), list.max_age)),
            list_old: list.is_none_or(|list| days(list.issued, moment.today) > i64::from(list.max_age)),
            bundle_left: days(moment.today, bundle.last_day()),
            warnings,
            out_of_service: out_of_service.is_some(),
            open: serving.purchase_open().is_some(),
            amount: self.amount,
            accepted: of(Counted::Accepted).saturating_add(grace),
            refused,
            grace,
            updates: self.delivered,
        };
        if self.last_told.as_ref() != Some(&state) {
            self.last_told = Some(state.clone());
            self.tell(Event::State(state))?;
        }
        Ok(())
    }
}

/// What lies in a folder, as far as it tells whether something changed.
fn look(folder: &std::path::Path) -> Vec<(String, u64, Option<SystemTime>)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let file = entry.metadata().ok()?;
            Some((
                entry.file_name().to_string_lossy().into_owned(),
                file.len(),
                file.modified().ok(),
            ))
        })
        .collect();
    files.sort();
    files
}

fn shown(served: &Served, decision: &Decision) -> Shown {
    let milliseconds = decision.nanoseconds.div_euclid(1_000_000);
    let (show, accepted, code, lines) = match &served.result {
        Ok(saw) if served.sale.is_some() => (Show::Paid, true, "PAID".to_owned(), saw.lines.clone()),
        // Nobody beside a gate needs to know whose permit is of which tier.
        Ok(_) if served.tap.is_some() => (Show::Accepted, true, "ACCEPTED".to_owned(), Vec::new()),
        // The strong doors serve an office: its staff read the fields.
        Ok(saw) => (Show::Accepted, true, "ACCEPTED".to_owned(), saw.lines.clone()),
        Err(error) => {
            let show = match error.refusal().map(|refusal| refusal.reason) {
                Some(Reason::BalanceTooLow) => Show::BalanceLow,
                Some(Reason::OutcomeUnknown) if !served.given_up => Show::SameCardAgain,
                Some(_) => Show::Station,
                None => Show::TapAgain,
            };
            (show, false, error.code().to_owned(), Vec::new())
        }
    };
    let decided = !matches!(&served.result, Err(error) if !matches!(error, Error::Refused(_)));
    Shown {
        show,
        accepted,
        code,
        lines,
        ms: decided.then_some(milliseconds),
        json: match &served.result {
            Ok(saw) => decision.accepted(saw.clone()).object(),
            Err(error) => decision.failed(error).object(SCHEMA),
        },
    }
}
