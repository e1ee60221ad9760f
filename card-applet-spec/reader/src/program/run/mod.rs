//! `run`: a terminal that serves one card after the other, all day, as a full screen or as JSON lines.
//!
//! The reader works in a thread of its own ([`worker`]); this side draws, rings and reads keys.

mod glyphs;
mod screen;
mod worker;

use std::collections::VecDeque;
use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use program_contract::{Clock, Failure, Language};
use ratatui::crossterm::event::{self, Event as Typed, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::program::args::{Running, Service};
use crate::program::clock;
use crate::program::config::Config;
use crate::program::failure;
use crate::program::run::screen::{Last, Show, View};
use crate::program::run::worker::{Event, Order, Shown, Worker};
use crate::program::serving::ServingLoop;
use crate::program::terminal;
use crate::program::wire::Tape;
use program_contract::language::Words;
use program_contract::money::Fen;

/// How many of the last cards count for the percentiles.
const TIMES: usize = 1000;
/// How many of the last results are kept on the screen.
const LAST: usize = 16;
/// How often the screen is drawn when nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// The q-th percentile by nearest rank; the times need not be sorted.
fn percentile(times: &VecDeque<u64>, q: usize) -> Option<u64> {
    let mut sorted: Vec<u64> = times.iter().copied().collect();
    sorted.sort_unstable();
    let rank = (sorted.len() * q).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Runs until it is told to end. It prints itself what there is to print.
pub(crate) fn run(running: &Running, clock: &Clock, machine: &Clock) -> Result<(), Failure> {
    let config = Config::read(&running.config)?;
    let moment = clock::moment(clock);
    let loaded = terminal::configured(&config, moment.today)?;
    let tape = Tape::create(running.taping.record.as_deref())?;
    let serving = ServingLoop::new(loaded, running.service, moment)?;
    let (orders, received) = channel();
    let (told, events) = channel();
    let reader = running.reader.clone().or_else(|| config.reader.clone());
    let head = Head {
        service: running.service,
        terminal: serving.key.name().to_string(),
        config: config.clone(),
    };
    let worker = Worker::new(
        serving,
        config,
        clock.clone(),
        machine.clone(),
        reader,
        tape,
        Language::of_process(),
        running.cards,
        received,
        told,
    );
    let asked_to_end = Signals::listen()?;
    let working = thread::spawn(move || worker.work());
    let outcome = if running.json_lines {
        lines(&events, &orders, running.service, &asked_to_end)
    } else {
        full_screen(&head, &events, &orders, &asked_to_end)
    };
    // Whoever does not listen any more has ended.
    let _ = orders.send(Order::End);
    drop(events);
    let ended = working.join().unwrap_or_else(|_| Err(failure::thread_stopped()));
    outcome.and(ended)
}

/// SIGTERM, SIGINT and SIGHUP end the program in order: the card under way is finished, counts are written down, files are put
/// out, and the window is put back.
struct Signals(Arc<AtomicBool>);

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&asked))
                .map_err(|error| failure::no_signals(error.kind()))?;
        }
        Ok(Self(asked))
    }

    fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The order that a line is; none for an empty one. One in another encoding is no order, and is told like any other.
fn order(line: &[u8]) -> Option<Order> {
    match String::from_utf8_lossy(line).trim() {
        "" => None,
        "give-up" => Some(Order::GiveUp),
        "cancel" => Some(Order::Cancel),
        text => Some(text.parse().map_or_else(Order::Wrong, Order::Sell)),
    }
}

/// One JSON object for each card, and for each order that needs none.
///
/// # Errors
/// `OUTPUT`: an object that nobody has may be of a sale that was made.
fn lines(
    events: &Receiver<Event>,
    orders: &Sender<Order>,
    service: Service,
    asked_to_end: &Signals,
) -> Result<(), Failure> {
    if service == Service::Shop {
        let orders = orders.clone();
        // Ends with the process: a read of standard input cannot be stopped.
        thread::spawn(move || {
            for line in std::io::stdin().lock().split(b'\n').map_while(Result::ok) {
                let Some(order) = order(&line) else { continue };
                if orders.send(order).is_err() {
                    return;
                }
            }
            let _ = orders.send(Order::NoMore);
        });
    }
    let mut out = std::io::stdout().lock();
    let mut warned: Vec<String> = Vec::new();
    // Whoever integrates us and went away ends us.
    let mut say = |object: &serde_json::Value| {
        writeln!(out, "{object}")
            .and_then(|()| out.flush())
            .map_err(|error| Failure::output(&error))
    };
    loop {
        if asked_to_end.came() {
            return Ok(());
        }
        let event = match events.recv_timeout(TICK) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        match event {
            Event::Shown(shown) => say(&shown.json)?,
            Event::Order(object) => say(&object)?,
            Event::Trouble(text) => program_contract::tell!(text),
            Event::State(state) => {
                for warning in state.warnings.iter().filter(|warning| !warned.contains(warning)) {
                    program_contract::tell!(warning);
                }
                warned = state.warnings;
            }
            Event::Ended => return Ok(()),
        }
    }
}

/// What the screen says all the time.
struct Head {
    service: Service,
    terminal: String,
    config: Config,
}

/// The full screen, and the terminal window put back whatever happens.
fn full_screen(
    head: &Head,
    events: &Receiver<Event>,
    orders: &Sender<Order>,
    asked_to_end: &Signals,
) -> Result<(), Failure> {
    let unusable = |error: std::io::Error| failure::no_screen(error.kind());
    let mut window = ratatui::try_init().map_err(unusable)?;
    let result = turn(head, events, orders, asked_to_end, &mut window);
    ratatui::restore();
    match result {
        // The window is gone: that is how a signal reaches a terminal whose window was closed.
        Err(_) if asked_to_end.came() => Ok(()),
        other => other.map_err(unusable),
    }
}

fn turn(
    head: &Head,
    events: &Receiver<Event>,
    orders: &Sender<Order>,
    asked_to_end: &Signals,
    window: &mut ratatui::DefaultTerminal,
) -> std::io::Result<()> {
    let mut display = Display::new(head);
    loop {
        if asked_to_end.came() {
            return Ok(());
        }
        while let Ok(event) = events.try_recv() {
            if display.take(event) == Flow::End {
                return Ok(());
            }
        }
        display.fade();
        window.draw(|frame| screen::draw(frame, &display.view))?;
        display.ring()?;
        if event::poll(TICK)?
            && let Typed::Key(key) = event::read()?
            && display.key(key, orders) == Flow::End
        {
            return Ok(());
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    End,
}

/// What is shown, and what is being typed.
struct Display {
    view: View,
    bell: bool,
    rings: usize,
    show_for: Duration,
    since: Option<Instant>,
    times: VecDeque<u64>,
    /// What the screen goes back to.
    resting: Show,
}

impl Display {
    fn new(head: &Head) -> Self {
        Self {
            view: View {
                service: head.service,
                terminal: head.terminal.clone(),
                show: Show::Ready,
                lines: Vec::new(),
                amount: None,
                typed: (head.service == Service::Shop).then(String::new),
                no_amount: None,
                accepted: 0,
                refused: 0,
                grace: 0,
                updates: 0,
                last: VecDeque::new(),
                details: false,
                times: None,
                list: None,
                list_old: false,
                bundle_left: 0,
                warnings: Vec::new(),
            },
            bell: head.config.bell(),
            rings: 0,
            show_for: head.config.show(),
            since: None,
            times: VecDeque::new(),
            resting: Show::Ready,
        }
    }

    fn take(&mut self, event: Event) -> Flow {
        match event {
            Event::Ended => return Flow::End,
            Event::Trouble(text) => self.view.warnings = vec![text],
            // For programs; people were told.
            Event::Order(_) => {}
            Event::State(state) => {
                let view = &mut self.view;
                view.list = state.list;
                view.list_old = state.list_old;
                view.bundle_left = state.bundle_left;
                view.warnings = state.warnings;
                view.updates = state.updates;
                view.accepted = state.accepted;
                view.refused = state.refused;
                view.grace = state.grace;
                view.amount = state.amount;
                self.resting = match (state.out_of_service, state.open) {
                    (true, _) => Show::OutOfService,
                    (false, true) => Show::SameCardAgain,
                    (false, false) => Show::Ready,
                };
                if view.service == Service::Shop {
                    let typing = state.amount.is_none() && self.resting == Show::Ready;
                    view.typed = typing.then(|| view.typed.take().unwrap_or_default());
                }
                if self.since.is_none() {
                    view.show = self.resting;
                }
            }
            Event::Shown(shown) => self.show(*shown),
        }
        Flow::On
    }

    fn show(&mut self, shown: Shown) {
        let view = &mut self.view;
        view.show = shown.show;
        view.lines = shown.lines;
        if let Some(ms) = shown.ms {
            self.times.push_back(ms);
            if self.times.len() > TIMES {
                self.times.pop_front();
            }
        }
        view.times = percentile(&self.times, 50)
            .zip(percentile(&self.times, 95))
            .zip(percentile(&self.times, 99))
            .map(|((p50, p95), p99)| (p50, p95, p99));
        view.last.push_front(Last {
            accepted: shown.accepted,
            code: shown.code,
            ms: shown.ms,
        });
        view.last.truncate(LAST);
        self.rings = shown.show.bells();
        self.since = Some(Instant::now());
    }

    /// A result goes away after its time; an open purchase stays until it has an end.
    fn fade(&mut self) {
        if self.since.is_some_and(|since| since.elapsed() > self.show_for) {
            self.since = None;
            self.view.show = self.resting;
            self.view.lines.clear();
        }
        // While a result is shown the amount that is typed next is not drawn over it.
        if self.since.is_some() {
            self.view.typed = None;
        } else if self.view.service == Service::Shop
            && self.view.amount.is_none()
            && self.resting == Show::Ready
        {
            self.view.typed.get_or_insert_default();
        }
    }

    fn ring(&mut self) -> std::io::Result<()> {
        let rings = std::mem::take(&mut self.rings);
        if self.bell && rings > 0 {
            let mut out = std::io::stdout();
            out.write_all("\x07".repeat(rings).as_bytes())?;
            out.flush()?;
        }
        Ok(())
    }

    /// Whatever is typed stands on the screen: a sign that was left out would make another amount.
    fn type_in(&mut self, character: char) {
        if self.view.service != Service::Shop {
            return;
        }
        // A new amount may be typed while the last result still stands there.
        if self.since.is_some() && self.resting == Show::Ready {
            self.since = None;
            self.view.show = Show::Ready;
            self.view.lines.clear();
            self.view.typed = Some(String::new());
        }
        let Some(typed) = &mut self.view.typed else {
            return;
        };
        if self.view.no_amount.take().is_some() {
            typed.clear();
        }
        typed.push(character);
    }

    fn refuse(&mut self, why: Words) {
        self.view.no_amount = Some(why);
        self.rings = Show::Office.bells();
    }

    fn key(&mut self, key: KeyEvent, orders: &Sender<Order>) -> Flow {
        if key.kind != KeyEventKind::Press {
            return Flow::On;
        }
        let ended = match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Flow::End,
            KeyCode::Char('q') => return Flow::End,
            KeyCode::Char('d') => {
                self.view.details = !self.view.details;
                Ok(())
            }
            KeyCode::Char('b') => {
                self.bell = !self.bell;
                Ok(())
            }
            KeyCode::Char('g') => orders.send(Order::GiveUp),
            KeyCode::Esc => {
                self.view.typed = self.view.typed.take().map(|_| String::new());
                self.view.no_amount = None;
                orders.send(Order::Cancel)
            }
            KeyCode::Char(character) => {
                self.type_in(character);
                Ok(())
            }
            KeyCode::Backspace => {
                self.view.no_amount = None;
                if let Some(typed) = &mut self.view.typed {
                    typed.pop();
                }
                Ok(())
            }
            KeyCode::Enter => match self.view.typed.as_deref().map(str::parse::<Fen>) {
                Some(Ok(amount)) => {
                    (self.view.typed, self.view.no_amount) = (None, None);
                    self.view.amount = Some(amount);
                    orders.send(Order::Sell(amount))
                }
                // What was typed stays, so that it can be compared with what was meant; the next key begins anew.
                Some(Err(why)) if self.view.typed.as_deref() != Some("") => {
                    self.refuse(why);
                    Ok(())
                }
                Some(Err(_)) | None => Ok(()),
            },
            _ => Ok(()),
        };
        if ended.is_ok() { Flow::On } else { Flow::End }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        assert_eq!(percentile(&VecDeque::new(), 50), None);
        assert_eq!(percentile(&VecDeque::from([7]), 99), Some(7));
        let times: VecDeque<u64> = (1..=100).rev().collect();
        assert_eq!(percentile(&times, 50), Some(50));
        assert_eq!(percentile(&times, 95), Some(95));
        assert_eq!(percentile(&times, 99), Some(99));
    }

    fn display(service: Service) -> Display {
        Display::new(&Head {
            service,
            terminal: "t".to_owned(),
            config: Config::default(),
        })
    }

    fn press(display: &mut Display, keys: &str, orders: &Sender<Order>) {
        for key in keys.chars() {
            let code = if key == '\n' {
                KeyCode::Enter
            } else {
                KeyCode::Char(key)
            };
            assert_eq!(
                display.key(KeyEvent::new(code, KeyModifiers::NONE), orders),
                Flow::On
            );
        }
    }

    #[test]
    fn a_line_is_an_order_or_is_told_and_none_is_dropped() {
        assert_eq!(order("12。50\r".as_bytes()), Some(Order::Sell(Fen(1250))));
        assert_eq!(order(b" 12.5 "), Some(Order::Sell(Fen(1250))));
        assert_eq!(
            (order(b"cancel"), order(b"give-up")),
            (Some(Order::Cancel), Some(Order::GiveUp))
        );
        assert_eq!(order(b" "), None);
        // 12 and the stop of GB 18030.
        for line in [
            &b"12\xA1\xA350"[..],
            b"12,5",
            b"12.345",
            b"999999999",
            b"0",
            b"cancle",
        ] {
            assert!(matches!(order(line), Some(Order::Wrong(_))), "{line:?}");
        }
    }

    #[test]
    fn a_clerk_types_an_amount_and_a_wrong_one_is_not_sold() {
        let (orders, received) = channel();
        let mut display = display(Service::Shop);
        for (typed, why) in [
            ("1.2.3", "at most two decimals"),
            ("12,5", "no comma"),
            ("12，5", "no comma"),
            ("12.345", "at most two decimals"),
            ("0", "more than zero"),
            ("999999999", "too large"),
            ("1 2", "at most two decimals"),
            ("一百", "at most two decimals"),
            ("12345678901234567890", "too large"),
        ] {
            press(&mut display, &format!("{typed}\n"), &orders);
            assert!(received.try_recv().is_err(), "{typed}");
            let told = display.view.no_amount.unwrap().1;
            assert!(told.contains(why) && display.rings > 0, "{typed}: {told}");
            display.rings = 0;
        }
        // The next key begins a new amount; nothing of the one before stays in it.
        for (typed, fen) in [("12。50", 1250), ("１２．５", 1250), ("1234567.89", 123_456_789)] {
            press(&mut display, &format!("{typed}\n"), &orders);
            assert_eq!(received.try_recv(), Ok(Order::Sell(Fen(fen))), "{typed}");
            display.view.amount = None;
            display.view.typed = Some(String::new());
        }
        press(&mut display, "12.5\n", &orders);
        assert_eq!(received.try_recv(), Ok(Order::Sell(Fen(1250))));
        assert_eq!(display.view.amount, Some(Fen(1250)));
        press(&mut display, "g", &orders);
        assert_eq!(received.try_recv(), Ok(Order::GiveUp));
        // A bus has nothing to type.
        let mut display = self::display(Service::Bus);
        press(&mut display, "12\n", &orders);
        assert!(received.try_recv().is_err() && display.view.typed.is_none());
    }
}
