//! Updates from a terminal's side, against the real applet in process (chapter 09): delivery behind a tap, receipts, what
//! is dropped and what is kept, and the terminal's folder around them.

use std::collections::HashSet;
use std::time::Duration;

use crate::reader_fixture::{Issuer, LOADED, Wanted, Wire, day, today};
use card_applet_spec::codes::{Role, Serial};
use card_applet_spec::counters::{Counted, UnverifiedCounters};
use card_applet_spec::crypto::PublicKey;
use card_applet_spec::date::Date;
use card_applet_spec::update::{Operation, SealedUpdate};
use card_applet_spec::update_files::{BatchEntry, Receipts};
use card_reader::door_f::NoWatch;
use card_reader::folder::{ClockDoubt, FolderError, Offered};
use card_reader::transport::Transport;
use card_reader::updates::Delivered;
use card_reader::{
    Bundle, Card, Check, Error, Folder, MaterialError, Reason, Stopwatch, Terminal, TerminalKey, Updates,
};
use virtual_card::InProcess;
use virtual_card::fault::{Fault, Faulty};

const ROLES: [Role; 2] = [Role::Transit, Role::SmallPayment];

struct Stop {
    issuer: Issuer,
    key: TerminalKey,
    terminal: Terminal,
    reader: InProcess,
    serial: Serial,
    pids: [[u8; 16]; 2],
}

impl Stop {
    fn new(seed: u8) -> Self {
        let mut issuer = Issuer::new(seed);
        let (key, bundle) = issuer.terminal(&Wanted::of(&ROLES));
        let (reader, _, made) = issuer.active_card(1, &ROLES);
        Self {
            issuer,
            key,
            terminal: Terminal::new(bundle),
            reader,
            serial: Serial([0, 1, 0, 0, 0, 2, 0, 0, 0, 1]),
            pids: [made.pid(Role::Transit), made.pid(Role::SmallPayment)],
        }
    }

    fn entry(&mut self, role: Role, counter: u32, operation: &Operation<'_>) -> BatchEntry {
        BatchEntry {
            id: self.issuer.random(),
            role,
            pid: self.pids[usize::from(role == Role::SmallPayment)],
            update: self.issuer.update(&self.serial, counter, operation),
        }
    }

    fn updates(&mut self, entries: &[BatchEntry]) -> Updates {
        let sealed = self.issuer.batch(&self.key, 1, day("2026-12-31"), entries);
        Updates::open(&sealed, &self.key, None, &HashSet::new(), today()).unwrap()
    }

    /// A tap, and what waits behind it.
    fn tap_and_deliver(
        &mut self,
        updates: &mut Updates,
        wire: &mut dyn Transport,
        role: Role,
    ) -> Option<Delivered> {
        let card = Card::new(&mut *wire).select().unwrap();
        let card = self
            .terminal
            .open(card, role, today(), &NoWatch, &mut self.issuer.rng)
            .unwrap();
        let waiting = updates.waits_for(&card, today())?;
        Some(updates.deliver(
            &mut self.terminal,
            wire,
            &waiting,
            today(),
            &NoWatch,
            &mut self.issuer.rng,
        ))
    }

    fn balance(&mut self, wire: &mut dyn Transport) -> u32 {
        let card = Card::new(wire).select().unwrap();
        self.terminal
            .open(card, Role::SmallPayment, today(), &NoWatch, &mut self.issuer.rng)
            .unwrap()
            .balance()
    }

    fn receipt(&self, update: &SealedUpdate) -> [u8; 16] {
        self.issuer.receipt(&self.serial, update)
    }
}

fn load(loaded: u32) -> Operation<'static> {
    Operation::Load { loaded }
}

#[test]
fn an_update_reaches_the_card_behind_a_tap_and_its_receipt_is_the_cards() {
    let mut stop = Stop::new(1);
    let entry = stop.entry(Role::Transit, 1, &load(LOADED + 500));
    let mut updates = stop.updates(&[entry]);
    let mut wire = Wire::new(std::mem::replace(&mut stop.reader, InProcess::empty()));
    let delivered = stop
        .tap_and_deliver(&mut updates, &mut wire, Role::Transit)
        .unwrap();
    let Delivered::Receipt(receipt) = delivered else {
        panic!("{delivered:?}")
    };
    assert_eq!(
        (receipt.update, receipt.receipt),
        (entry.id, stop.receipt(&entry.update))
    );
    assert!(updates.is_empty());
    // SELECT, TAP; SELECT, TAP, UPDATE: a fresh tap of its own.
    assert_eq!(wire.tape.len(), 5);
    assert_eq!(stop.balance(&mut wire), LOADED + 500);
    assert_eq!(stop.tap_and_deliver(&mut updates, &mut wire, Role::Transit), None);
}

#[test]
fn the_same_change_through_another_role_is_done_once_and_the_overtaken_one_is_dropped() {
    let mut stop = Stop::new(2);
    // The vault gives each role an update of its own; the second one arrives after the first.
    let first = stop.entry(Role::Transit, 5, &load(LOADED + 500));
    let second = stop.entry(Role::SmallPayment, 4, &load(LOADED + 500));
    let mut updates = stop.updates(&[first, second]);
    let mut reader = std::mem::replace(&mut stop.reader, InProcess::empty());
    assert!(matches!(
        stop.tap_and_deliver(&mut updates, &mut reader, Role::Transit),
        Some(Delivered::Receipt(_))
    ));
    assert_eq!(
        stop.tap_and_deliver(&mut updates, &mut reader, Role::SmallPayment),
        Some(Delivered::Dropped(second.id))
    );
    assert!(updates.is_empty());
    assert_eq!(stop.balance(&mut reader), LOADED + 500);
}

#[test]
fn a_lost_answer_is_asked_for_again_at_the_next_tap_and_gives_the_same_receipt() {
    for fault in [Fault::CutBefore, Fault::CutAfter] {
        let mut stop = Stop::new(3);
        let entry = stop.entry(Role::Transit, 1, &load(LOADED + 500));
        let mut updates = stop.updates(&[entry]);
        let reader = std::mem::replace(&mut stop.reader, InProcess::empty());
        let mut wire = Faulty::new(reader).with(5, fault);
        assert_eq!(
            stop.tap_and_deliver(&mut updates, &mut wire, Role::Transit),
            Some(Delivered::Unknown)
        );
        wire.reset().unwrap();
        let delivered = stop.tap_and_deliver(&mut updates, &mut wire, Role::Transit);
        let Some(Delivered::Receipt(receipt)) = delivered else {
            panic!("{delivered:?}")
        };
        assert_eq!(receipt.receipt, stop.receipt(&entry.update));
        assert_eq!(stop.balance(&mut wire), LOADED + 500);
    }
}

#[test]
fn an_update_of_another_card_is_kept_and_this_card_is_not_tried_again_today() {
    let mut stop = Stop::new(4);
    let mut entry = stop.entry(Role::Transit, 1, &load(LOADED + 500));
    entry.update = stop.issuer.update(&Serial([9; 10]), 1, &load(LOADED + 500));
    let mut updates = stop.updates(&[entry]);
    let mut reader = std::mem::replace(&mut stop.reader, InProcess::empty());
    assert_eq!(
        stop.tap_and_deliver(&mut updates, &mut reader, Role::Transit),
        Some(Delivered::NotToday)
    );
    assert_eq!(
        stop.tap_and_deliver(&mut updates, &mut reader, Role::Transit),
        None
    );
    assert_eq!(updates.len(), 1, "kept");
    assert_eq!(stop.balance(&mut reader), LOADED);
}

#[test]
fn a_refusal_that_the_wire_can_forge_does_not_let_a_later_update_overtake() {
    let mut stop = Stop::new(14);
    let mut first = stop.entry(Role::Transit, 1, &load(LOADED + 500));
    // Whatever the wire does to it: the card says 6982.
    first.update.mac[0] ^= 1;
    let second = stop.entry(Role::Transit, 2, &load(LOADED + 900));
    let mut updates = stop.updates(&[first, second]);
    let mut reader = std::mem::replace(&mut stop.reader, InProcess::empty());
    assert_eq!(
        stop.tap_and_deliver(&mut updates, &mut reader, Role::Transit),
        Some(Delivered::NotToday)
    );
    // The card would refuse the first for good once it has done the second.
    assert_eq!(
        stop.tap_and_deliver(&mut updates, &mut reader, Role::Transit),
        None
    );
    assert_eq!((updates.len(), stop.balance(&mut reader)), (2, LOADED));
    // Tomorrow it is tried again, by a program that was never ended.
    let card = Card::new(&mut reader).select().unwrap();
    let card = stop
        .terminal
        .open(card, Role::Transit, today(), &NoWatch, &mut stop.issuer.rng)
        .unwrap();
    assert!(updates.waits_for(&card, today()).is_none());
    assert!(updates.waits_for(&card, day("2026-11-29")).is_some());
}

#[test]
fn a_card_that_is_refused_still_gets_what_puts_it_right() {
    let mut stop = Stop::new(5);
    let entry = stop.entry(Role::Transit, 1, &load(LOADED + 500));
    let mut updates = stop.updates(&[entry]);
    let mut wanted = Wanted::of(&ROLES);
    wanted.denied = vec![stop.pids[0]];
    let bundle = stop.issuer.bundle(&wanted, &stop.key).unwrap();
    stop.terminal = Terminal::new(bundle);
    let mut reader = std::mem::replace(&mut stop.reader, InProcess::empty());
    let card = Card::new(&mut reader).select().unwrap();
    let card = stop
        .terminal
        .open(card, Role::Transit, today(), &NoWatch, &mut stop.issuer.rng)
        .unwrap();
    assert_eq!(card.admission().unwrap_err().reason, Reason::Denied);
    assert!(matches!(
        stop.tap_and_deliver(&mut updates, &mut reader, Role::Transit),
        Some(Delivered::Receipt(_))
    ));
}

/// A clock that goes forward by so much at every look.
struct Slow(std::cell::Cell<u64>, u64);

impl Stopwatch for Slow {
    fn nanoseconds(&self) -> u64 {
        self.0.set(self.0.get() + self.1);
        self.0.get()
    }
}

#[test]
fn a_tap_that_takes_longer_than_the_bound_is_refused() {
    let mut stop = Stop::new(6);
    let mut reader = std::mem::replace(&mut stop.reader, InProcess::empty());
    stop.terminal.set_tap_limit(Some(Duration::from_millis(300)));
    let mut tap = |reader: &mut InProcess, ms: u64| {
        let watch = Slow(std::cell::Cell::new(0), ms * 1_000_000);
        let card = Card::new(reader).select()?;
        stop.terminal
            .open(card, Role::Transit, today(), &watch, &mut stop.issuer.rng)
            .map(|card| card.tap_time())
    };
    assert_eq!(tap(&mut reader, 300).unwrap(), Duration::from_millis(300));
    let refused = tap(&mut reader, 301).unwrap_err().refusal().unwrap();
    assert_eq!(
        (refused.reason, refused.check),
        (Reason::NotGenuine, Check::TapTime)
    );
}

/// A terminal's folder and the numbers beside its key.
struct Home {
    _keep: tempfile::TempDir,
    folder: Folder,
    loaded: Option<u32>,
}

impl Home {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let folder = Folder::open(&keep.path().join("state")).unwrap();
        Self {
            _keep: keep,
            folder,
            loaded: None,
        }
    }

    fn offer(&mut self, bytes: &[u8], key: &TerminalKey) -> Result<Offered, FolderError> {
        let offered = self.folder.offer(bytes, key, self.loaded, today())?;
        if let Offered::Bundle(number) = offered {
            self.loaded = Some(number);
        }
        Ok(offered)
    }

    fn bundle(&self, key: &TerminalKey) -> Bundle {
        self.folder.bundle(key, self.loaded, today()).unwrap()
    }

    /// As after a loss of power.
    fn again(self) -> Self {
        let path = self.folder.path().to_owned();
        drop(self.folder);
        Self {
            folder: Folder::open(&path).unwrap(),
            ..self
        }
    }
}

fn sealed(issuer: &mut Issuer, key: &TerminalKey, wanted: &Wanted) -> Vec<u8> {
    let plain = issuer.plain_bundle(wanted, key);
    issuer.seal(plain, key)
}

#[test]
fn a_folder_takes_what_is_newer_and_never_what_is_older() {
    let mut issuer = Issuer::new(7);
    let key = issuer.enrol("terminal 1");
    let neighbour = issuer.enrol("terminal 1");
    let mut home = Home::new();
    assert!(matches!(
        home.folder.bundle(&key, None, today()),
        Err(FolderError::NoBundle)
    ));
    let mut wanted = Wanted::of(&[Role::Transit]);
    let old = sealed(&mut issuer, &key, &wanted);
    wanted.sequence = 6;
    wanted.list_version = 4;
    let new = sealed(&mut issuer, &key, &wanted);
    let foreign = sealed(&mut issuer, &neighbour, &wanted);
    assert_eq!(home.offer(&old, &key).unwrap(), Offered::Bundle(5));
    assert_eq!(home.offer(&new, &key).unwrap(), Offered::Bundle(6));
    assert_eq!(home.offer(&new, &key).unwrap(), Offered::NotNewer);
    assert_eq!(home.offer(&old, &key).unwrap(), Offered::NotNewer);
    assert_eq!(home.offer(&foreign, &key).unwrap(), Offered::NotOurs);
    assert_eq!(
        home.offer(b"a letter of the office", &key).unwrap(),
        Offered::NotOurs
    );
    assert_eq!(home.bundle(&key).sequence(), 6);

    // Lists: newer, older, of a role that is not served, damaged; and an old bundle's list does not come back.
    wanted.list_version = 5;
    let list = issuer.list_file(Role::Transit, &wanted);
    assert_eq!(
        home.offer(&list, &key).unwrap(),
        Offered::Lists(vec![Role::Transit])
    );
    wanted.list_version = 3;
    let older = issuer.list_file(Role::Transit, &wanted);
    assert_eq!(home.offer(&older, &key).unwrap(), Offered::NotNewer);
    let door = issuer.list_file(Role::Door, &wanted);
    assert_eq!(home.offer(&door, &key).unwrap(), Offered::NotNewer);
    let mut damaged = list.clone();
    damaged[20] ^= 1;
    assert!(matches!(
        home.offer(&damaged, &key),
        Err(FolderError::Card(Error::Material(MaterialError::ListDamaged)))
    ));
    let mut home = home.again();
    assert_eq!(home.bundle(&key).lists()[0].version, 5);
    wanted.sequence = 7;
    let newest = sealed(&mut issuer, &key, &wanted);
    home.offer(&newest, &key).unwrap();
    assert_eq!(
        home.bundle(&key).lists()[0].version,
        5,
        "the bundle brought version 3"
    );

    // A second program, and a folder that others can read.
    assert!(matches!(
        Folder::open(home.folder.path()),
        Err(FolderError::InUse)
    ));
    let path = home.folder.path().to_owned();
    drop(home.folder);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert!(matches!(Folder::open(&path), Err(FolderError::Exposed)));
}

#[test]
fn receipts_survive_a_loss_of_power_and_go_when_the_office_has_them() {
    let mut stop = Stop::new(8);
    let mut home = Home::new();
    let bundle = sealed(&mut stop.issuer, &stop.key, &Wanted::of(&ROLES));
    home.offer(&bundle, &stop.key).unwrap();
    let first = stop.entry(Role::Transit, 1, &load(LOADED + 100));
    let second = stop.entry(Role::Transit, 2, &load(LOADED + 200));
    let batch = stop
        .issuer
        .batch(&stop.key, 3, day("2026-12-31"), &[first, second]);
    assert_eq!(home.offer(&batch, &stop.key).unwrap(), Offered::Updates(3, 2));
    let older = stop.issuer.batch(&stop.key, 2, day("2026-12-31"), &[]);
    assert_eq!(home.offer(&older, &stop.key).unwrap(), Offered::NotNewer);

    let mut updates = home.folder.updates(&stop.key, today()).unwrap().unwrap();
    let mut reader = std::mem::replace(&mut stop.reader, InProcess::empty());
    for entry in [first, second] {
        let delivered = stop.tap_and_deliver(&mut updates, &mut reader, Role::Transit);
        let Some(Delivered::Receipt(receipt)) = delivered else {
            panic!("{delivered:?}")
        };
        assert_eq!(receipt.update, entry.id, "the smallest counter first");
        home.folder.keep_receipt(receipt).unwrap();
    }
    let mut home = home.again();
    assert_eq!(home.folder.receipts(), 2);
    assert!(
        home.folder
            .updates(&stop.key, today())
            .unwrap()
            .unwrap()
            .is_empty(),
        "what was delivered does not go out again"
    );
    let file = home.folder.receipts_out().unwrap().unwrap();
    let read: Vec<_> = Receipts::parse(&file).unwrap().iter().collect();
    assert_eq!(read.len(), 2);
    assert!(
        read[0].update < read[1].update,
        "ordered by random ids, not by time"
    );
    home.folder.receipts_sent().unwrap();
    assert_eq!(home.folder.receipts_out().unwrap(), None, "handed out once");

    // The office got only the second: the first one still waits in the next batch, and is handed out again.
    let next = stop.issuer.batch(&stop.key, 4, day("2026-12-31"), &[first]);
    assert_eq!(home.offer(&next, &stop.key).unwrap(), Offered::Updates(4, 0));
    let mut home = home.again();
    let file = home.folder.receipts_out().unwrap().unwrap();
    let read: Vec<_> = Receipts::parse(&file).unwrap().iter().collect();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].update, first.id);
    home.folder.receipts_sent().unwrap();
    let last = stop.issuer.batch(&stop.key, 5, day("2026-12-31"), &[]);
    home.offer(&last, &stop.key).unwrap();
    assert_eq!(home.folder.receipts(), 0);
}

#[test]
fn half_a_receipt_that_a_loss_of_power_left_spoils_none_that_comes_behind_it() {
    let receipt = |n: u8| card_applet_spec::update_files::Receipt {
        update: [n; 16],
        receipt: [n; 16],
    };
    let mut home = Home::new();
    home.folder.keep_receipt(receipt(1)).unwrap();
    let path = home.folder.path().join("receipts");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(&[0; 17]);
    std::fs::write(&path, &bytes).unwrap();
    let mut home = home.again();
    assert_eq!(home.folder.receipts(), 1);
    home.folder.keep_receipt(receipt(2)).unwrap();
    home.folder.keep_receipt(receipt(3)).unwrap();
    assert_eq!(home.again().folder.receipts(), 3);
}

#[test]
fn a_loss_of_power_between_a_file_and_its_number_lets_nothing_older_in() {
    let mut issuer = Issuer::new(15);
    let key = issuer.enrol("terminal 1");
    let mut home = Home::new();
    let mut wanted = Wanted::of(&[Role::Transit]);
    let bundle = |issuer: &mut Issuer, wanted: &mut Wanted, sequence| {
        wanted.sequence = sequence;
        sealed(issuer, &key, wanted)
    };
    let five = bundle(&mut issuer, &mut wanted, 5);
    let six = bundle(&mut issuer, &mut wanted, 6);
    let seven = bundle(&mut issuer, &mut wanted, 7);
    home.offer(&five, &key).unwrap();
    home.offer(&seven, &key).unwrap();
    // The number beside the key was not written yet.
    home.loaded = Some(5);
    assert_eq!(home.offer(&six, &key).unwrap(), Offered::NotNewer);
    assert_eq!(home.bundle(&key).sequence(), 7);

    let mut batch = |sequence| issuer.batch(&key, sequence, day("2026-12-31"), &[]);
    let (three, four, five) = (batch(3), batch(4), batch(5));
    home.offer(&three, &key).unwrap();
    let marks = home.folder.path().join("marks.json");
    let before = std::fs::read(&marks).unwrap();
    home.offer(&five, &key).unwrap();
    std::fs::write(&marks, before).unwrap();
    let mut home = home.again();
    assert_eq!(home.offer(&four, &key).unwrap(), Offered::NotNewer);
    let held = home.folder.updates(&key, today()).unwrap().unwrap();
    assert_eq!(held.sequence(), 5);
}

#[test]
fn each_day_that_is_over_goes_out_signed_and_the_clock_is_doubted_where_it_went_back() {
    let mut issuer = Issuer::new(9);
    let key = issuer.enrol("terminal 1");
    let mut home = Home::new();
    let bundle = sealed(&mut issuer, &key, &Wanted::of(&[Role::Transit]));
    home.offer(&bundle, &key).unwrap();
    let bundle = home.bundle(&key);
    let mut counters = home.folder.counters().unwrap();
    let (first, second) = (day("2026-11-21"), day("2026-11-22"));
    for (counted, on) in [
        (Counted::Accepted, first),
        (Counted::Accepted, second),
        (Counted::Denied, second),
    ] {
        counters.count(Role::Transit, counted, on);
    }
    home.folder.save_counters(&counters).unwrap();
    let home = home.again();
    let authentication = PublicKey::from_point65(&key.request().authentication_key).unwrap();
    let out = |home: &Home| -> Vec<(Date, Vec<(Counted, u32)>)> {
        let files = home.folder.out().unwrap();
        let read = files.iter().map(|path| {
            let bytes = std::fs::read(path).unwrap();
            let file = UnverifiedCounters::parse(&bytes).unwrap();
            let file = file.verify(&authentication).unwrap();
            let counts = file.counts().map(|count| (count.counted, count.number));
            (file.head.day, counts.collect())
        });
        read.collect()
    };
    // The running day stays, however often somebody asks, and goes on being counted.
    for _ in 0..2 {
        home.folder.close(&key, second, &mut issuer.rng).unwrap();
        assert_eq!(out(&home), [(first, vec![(Counted::Accepted, 1)])]);
    }
    let mut counters = home.folder.counters().unwrap();
    assert_eq!(counters.of(Role::Transit, Counted::Accepted, first), 0);
    counters.count(Role::Transit, Counted::Accepted, second);
    home.folder.save_counters(&counters).unwrap();

    // The power goes when the day's file is written and its counts are not taken away yet: the same day once more.
    let kept = std::fs::read(home.folder.path().join("counters.json")).unwrap();
    home.folder
        .close(&key, day("2026-11-23"), &mut issuer.rng)
        .unwrap();
    let before = out(&home);
    assert_eq!(before[1].1, [(Counted::Accepted, 2), (Counted::Denied, 1)]);
    assert!(home.folder.counters().unwrap().is_empty());
    std::fs::write(home.folder.path().join("counters.json"), kept).unwrap();
    let mut home = home.again();
    home.folder
        .close(&key, day("2026-11-23"), &mut issuer.rng)
        .unwrap();
    assert_eq!(out(&home), before);
    home.folder
        .close(&key, day("2026-11-24"), &mut issuer.rng)
        .unwrap();
    assert_eq!(out(&home), before, "a day without a card has no file");
    // Numbers of an older program, of days that nobody can tell apart, are no damage.
    let older = r#"{"schema":"yzt.terminal-counts/1","first":"2026-11-21","last":"2026-11-22","counts":[{"role":1,"reason":0,"count":9}]}"#;
    std::fs::write(home.folder.path().join("counters.json"), older).unwrap();
    assert!(home.folder.counters().unwrap().is_empty());

    assert_eq!(home.folder.clock_doubt(today(), &bundle), None);
    assert_eq!(
        home.folder.clock_doubt(day("2026-11-19"), &bundle),
        Some(ClockDoubt::BeforeFiles(day("2026-11-20")))
    );
    home.folder.saw_day(day("2026-12-01"), &bundle).unwrap();
    // A day behind the bundle is no day to go by: a clock that jumped ahead does not spoil the terminal.
    home.folder.saw_day(day("2031-01-01"), &bundle).unwrap();
    let home = home.again();
    assert_eq!(home.folder.last_day(), Some(day("2026-12-01")));
    assert_eq!(
        home.folder.clock_doubt(today(), &bundle),
        Some(ClockDoubt::BeforeLastDay(day("2026-12-01")))
    );
}
