//! The thread that holds the reader: waits for a card, serves it, tells what happened, waits until it is gone.
//!
//! A card that stays is served once. Left out: several readers at one terminal.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant, SystemTime};

use card_applet_spec::counters::Counted;
use card_reader::counting::{Counting, Stopwatch as _};
use card_reader::transport::{PcscTransport, Transport as _, TransportError};
use card_reader::{Counts, Error, Moment, Told};
use program_contract::language::Words;
use program_contract::{Clock, Failure, Language};
use serde_json::{Map, Value, json};

use crate::program::clock::{self, Watch};
use crate::program::config::Config;
use crate::program::failure;
use crate::program::run::screen::Show;

use crate::program::report::{self, Decision, SCHEMA, Saw};
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
/// How long a card may take for one command, where the configuration says nothing: a queue stands behind it.
const EXCHANGE: Duration = Duration::from_secs(5);
/// Most amounts that wait for a card.
const AMOUNTS: usize = 100;

/// What the screen tells the reader's thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// Sell for this amount, once what was ordered before is done.
    Sell(Fen),
    /// Sell nothing of what waits.
    Cancel,
    /// Give the open purchase up.
    GiveUp,
    /// A line that is no order.
    Wrong(Words),
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
    /// What became of an order that needs no card: an object for programs.
    Order(Value),
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
    language: Language,
    left: Option<u32>,
    orders: Receiver<Order>,
    events: Sender<Event>,
    /// What is to be sold, in the order in which it was asked for.
    amounts: VecDeque<Fen>,
    no_more: bool,
    delivered: u32,
    trouble: Option<String>,
    /// No card can be asked: the reader or its service is not there.
    reader_lost: bool,
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
        language: Language,
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
            language,
            left,
            orders,
            events,
            amounts: VecDeque::new(),
            no_more: false,
            delivered: 0,
            trouble: None,
            reader_lost: false,
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
                clock::moment(&self.clock).today,
                clock::stamp(&self.machine),
                &mut clock::random(),
                &mut done,
            )?;
        }
        Ok(())
    }

    fn serve_all(&mut self) -> Result<(), Gone> {
        loop {
            let moment = clock::moment(&self.clock);
            self.take_orders(moment)?;
            self.housekeeping(moment);
            self.tell_state(moment)?;
            if self.left == Some(0) {
                return Ok(());
            }
            let Some(task) = self.task() else {
                if self.no_more {
                    return Ok(());
                }
                std::thread::sleep(POLL);
                continue;
            };
            let limit = self.config.exchange_limit().unwrap_or(EXCHANGE);
            match wire::connect(self.reader.as_deref(), WAIT, Some(limit), self.tape.as_ref()) {
                Ok(wire) => {
                    (self.trouble, self.reader_lost) = (None, false);
                    self.serve(wire, task, moment)?;
                    self.wait_for_removal()?;
                }
                Err(TransportError::NoCard) => (self.trouble, self.reader_lost) = (None, false),
                Err(error) => {
                    // A card without power is a card's matter; all else is the terminal's own.
                    self.reader_lost = error != TransportError::CardUnpowered;
                    let failure = Failure::from(error);
                    let (message, action) = failure.said(self.language);
                    self.trouble = Some(format!("读卡器 reader: {message}. {action}"));
                    std::thread::sleep(POLL);
                }
            }
        }
    }

    /// What the next card is for; nothing where no amount was given. A terminal that serves nobody says so to each card.
    fn task(&self) -> Option<Task> {
        match (
            self.serving.service.role() == card_applet_spec::codes::Role::SmallPayment,
            self.serving.purchase_open(),
        ) {
            (false, _) => Some(Task::Admit),
            (true, Some(_)) => Some(Task::Again),
            (true, None) => self.amounts.front().copied().map(Task::Sell),
        }
    }

    fn take_orders(&mut self, moment: Moment) -> Result<(), Gone> {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Sell(amount)) => self.take_amount(amount, moment)?,
                Ok(Order::Cancel) => {
                    for Fen(amount) in std::mem::take(&mut self.amounts) {
                        let fields = [
                            ("cancelled".to_owned(), json!(true)),
                            ("amount_fen".to_owned(), json!(amount)),
                        ];
                        let done =
                            report::done(self.serving.service.name(), Map::from_iter(fields), Vec::new());
                        self.tell(Event::Order(done.object()))?;
                    }
                }
                Ok(Order::GiveUp) => match self.serving.give_up() {
                    Ok(()) => {
                        let fields = Map::from_iter([("given_up".to_owned(), json!(true))]);
                        let done = report::done(self.serving.service.name(), fields, Vec::new());
                        self.tell(Event::Order(done.object()))?;
                    }
                    Err(failure) => self.tell_order(failure)?,
                },
                Ok(Order::Wrong(why)) => self.tell_order(failure::no_amount(why))?,
                Ok(Order::NoMore) => self.no_more = true,
                Ok(Order::End) | Err(TryRecvError::Disconnected) => return Err(Gone),
                Err(TryRecvError::Empty) => return Ok(()),
            }
        }
    }

    /// An amount waits behind those that came before, or is refused with an object: none is dropped.
    fn take_amount(&mut self, amount: Fen, moment: Moment) -> Result<(), Gone> {
        if let Some(refusal) = self.serving.out_of_service(moment) {
            let decision = self.decision(None, Counts::default(), 0, false, moment, Some(amount));
            return self.tell(Event::Order(
                decision.refused(refusal).object(SCHEMA, self.language),
            ));
        }
        if self.amounts.len() >= AMOUNTS {
            let failure = failure::too_many_amounts(AMOUNTS);
            return self.tell_order(failure.with("amount_fen", amount.0));
        }
        self.amounts.push_back(amount);
        Ok(())
    }

    fn decision(
        &self,
        reader: Option<String>,
        counts: Counts,
        nanoseconds: u64,
        grace: bool,
        moment: Moment,
        amount: Option<Fen>,
    ) -> Decision {
        Decision {
            command: self.serving.service.name(),
            reader,
            counts,
            nanoseconds,
            replayed: false,
            grace,
            clock: self
                .serving
                .clock_doubt(moment)
                .map(|doubt| (moment.today, doubt.seen())),
            amount,
        }
    }

    fn tell(&self, event: Event) -> Result<(), Gone> {
        self.events.send(event).map_err(|_| Gone)
    }

    /// What became of an order: for people too.
    fn tell_order(&self, failure: Failure) -> Result<(), Gone> {
        self.tell_trouble(&failure)?;
        let failure = failure.with("command", self.serving.service.name());
        self.tell(Event::Order(failure.object(SCHEMA, self.language)))
    }

    fn tell_trouble(&self, failure: &Failure) -> Result<(), Gone> {
        let (message, action) = failure.said(self.language);
        self.tell(Event::Trouble(format!("{}: {message} {action}", failure.code)))
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
        let amount = match task {
            Task::Sell(amount) => Some(amount),
            Task::Admit | Task::Again => None,
        };
        let decision = self.decision(
            Some(counting.name().to_owned()),
            counting.counts(),
            nanoseconds,
            served.grace,
            moment,
            amount,
        );
        // A card that went away before anything was sold: its amount waits for the next one.
        let decided =
            served.result.is_ok() || matches!(&served.result, Err(error) if error.refusal().is_some());
        if decided && amount.is_some() {
            self.amounts.pop_front();
        }
        let shown = shown(&served, &decision, self.language);
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
            let moment = clock::moment(&self.clock);
            self.take_orders(moment)?;
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
        // A terminal runs over many nights: each day is remembered, so that a clock set back tomorrow is known.
        if let Err(failure) = self.serving.saw_day(moment) {
            self.trouble = Some(trouble(&failure, self.language));
        }
        if self.saved.elapsed() < SAVE && !self.looked.is_empty() {
            return;
        }
        self.saved = Instant::now();
        if let Err(failure) = self.serving.save() {
            self.trouble = Some(trouble(&failure, self.language));
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
            self.trouble = Some(trouble(&failure, self.language));
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
        let mut warnings: Vec<String> = bundle.founding().banner().into_iter().map(Into::into).collect();
        if let Some(refusal) = out_of_service {
            let failure = Failure::from(refusal);
            let (message, action) = failure.said(self.language);
            warnings.push(format!("{message}. {action}"));
        }
        if let Some(doubt) = serving.clock_doubt(moment) {
            warnings.push(Language::Both.text(&clock_wrong(moment.today, doubt.seen())));
        }
        if in_grace && out_of_service.is_none() {
            let words = Words("名单已过期，宽限期内", "the list is old: days of grace");
            warnings.push(Language::Both.text(&words));
        }
        warnings.extend(self.trouble.clone());
        let counters = &serving.counters;
        let of = |counted| counters.of(role, counted, moment.today);
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
            out_of_service: out_of_service.is_some() || self.reader_lost,
            open: serving.purchase_open().is_some(),
            amount: self.amounts.front().copied(),
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

program_contract::sentences! {
    fn clock_wrong(today, seen) = "时钟有误：{today} 早于 {seen}", "the clock is wrong: {today} is before {seen}";
}

/// What a person is told beside the result.
fn trouble(failure: &Failure, language: Language) -> String {
    format!("{}: {}", failure.code, failure.said(language).0)
}

/// What the screen shows of it: in both languages, for whoever stands before it.
fn on_screen(saw: &Saw) -> Vec<String> {
    let lines = saw.lines.iter();
    lines.map(|line| line.text(Language::Both).to_owned()).collect()
}

fn shown(served: &Served, decision: &Decision, language: Language) -> Shown {
    let milliseconds = decision.nanoseconds.div_euclid(1_000_000);
    let (show, accepted, code, lines) = match &served.result {
        Ok(saw) if served.sale.is_some() => (Show::Paid, true, "PAID".to_owned(), on_screen(saw)),
        // Nobody beside a gate needs to know whose permit is of which tier.
        Ok(_) if served.tap.is_some() => (Show::Accepted, true, "ACCEPTED".to_owned(), Vec::new()),
        // The strong doors serve an office: its staff read the fields.
        Ok(saw) => (Show::Accepted, true, "ACCEPTED".to_owned(), on_screen(saw)),
        Err(error) => {
            let show = match error.refusal().map(|refusal| refusal.told()) {
                Some(Told::SameCardAgain) if served.given_up => Show::Office,
                Some(told) => Show::of(told),
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
            Err(error) => decision.failed(error).object(SCHEMA, language),
        },
    }
}
