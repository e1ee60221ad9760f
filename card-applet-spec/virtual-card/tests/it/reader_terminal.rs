//! The program `card-reader` as an operator's terminal, over a real PC/SC service with real cards: a shop's day, a bus that
//! runs, files in and out, tapes, an identity check, and what goes wrong.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::pcsc_fixture::{AT, PcscFixture, failed, program};
use crate::reader_fixture::{Certificates, TID, Wanted, day};
use card_applet_spec::codes::{Rights, Role, Serial};
use card_applet_spec::counters::{Counted, UnverifiedCounters};
use card_applet_spec::crypto::PublicKey;
use card_applet_spec::settlement::UnverifiedSettlement;
use card_applet_spec::update::Operation;
use card_applet_spec::update_files::{BatchEntry, Receipts};
use card_reader::TerminalKey;
use serde_json::{Value, json};
use virtual_card::control::Order;
use virtual_card::pcscd::READERS;
use virtual_card::slot::LineFault;

/// A terminal with a configuration, its first bundle taken.
fn configured(fixture: &mut PcscFixture, name: &str, wanted: Wanted, more: &str) -> String {
    let bundle = fixture.terminal(name, wanted);
    let from = fixture.path(&format!("{name}-from"));
    std::fs::create_dir_all(&from).unwrap();
    std::fs::create_dir_all(fixture.path(&format!("{name}-to"))).unwrap();
    std::fs::copy(&bundle, from.join("1.yztb")).unwrap();
    let config = fixture.path(&format!("{name}.toml"));
    let text = format!(
        "key = \"{name}.yztb.key\"\nstate = \"{name}-state\"\nreader = \"{}\"\n{more}",
        READERS[0]
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap().to_owned();
    let (exit, synced) = fixture.run(&[
        "sync",
        "--config",
        &config,
        "--at",
        AT,
        "--from",
        from.to_str().unwrap(),
    ]);
    assert_eq!(
        (exit, &synced["taken"][0]["what"]),
        (0, &json!("bundle")),
        "{synced}"
    );
    config
}

fn at<'a>(command: &'a str, config: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![command, "--config", config, "--at", AT];
    arguments.extend_from_slice(more);
    arguments
}

#[test]
fn a_day_in_a_shop() {
    let mut fixture = PcscFixture::new(41);
    let (card, other) = (fixture.card(1, true), fixture.card(2, true));
    let config = configured(
        &mut fixture,
        "shop",
        Wanted::of(&[Role::SmallPayment]),
        "largest_amount = \"60.00\"\n",
    );
    let (exit, test) = fixture.run(&at("self-test", &config, &[]));
    assert_eq!((exit, &test["ok"]), (0, &json!(true)), "{test}");

    fixture.lay(&card);
    let (exit, sold) = fixture.run(&at("shop", &config, &["--amount", "12.50"]));
    assert_eq!(exit, 0, "{sold}");
    let saw = &sold["saw"];
    assert_eq!(
        (
            &saw["amount_fen"],
            &saw["balance_before_fen"],
            &saw["balance_after_fen"],
            &saw["tid"]
        ),
        (&json!(1250), &json!(20_000), &json!(18_750), &json!(TID))
    );
    assert!(
        saw["receipt"]["zh"]
            .as_str()
            .unwrap()
            .contains("付款 12.50 元，余额 187.50 元")
    );
    assert!(saw["receipt"]["en"].as_str().unwrap().contains("paid CNY 12.50"));
    assert_eq!(sold["apdus"], 3, "SELECT, TAP, COMMIT");

    for (amount, code) in [("200.00", "DENIED"), ("60.01", "DENIED")] {
        let refused = fixture.run(&at("shop", &config, &["--amount", amount]));
        assert_eq!(failed(&refused), (1, code), "{amount}");
        assert_eq!(refused.1["apdus"], 0, "the shop's own limit asks no card");
    }
    for amount in ["0", "-1", "1.234"] {
        assert_eq!(
            failed(&fixture.run(&at("shop", &config, &["--amount", amount]))),
            (2, "USAGE")
        );
    }

    // The card is pulled while it answers COMMIT: debited, and nobody knows.
    fixture.order(&Order::Eject);
    fixture.order(&Order::Insert { memory: None });
    fixture.order(&Order::Fault {
        fault: LineFault::PullAfter { apdu: 3 },
    });
    let lost = fixture.run(&at("shop", &config, &["--amount", "30"]));
    assert_eq!(failed(&lost), (4, "OUTCOME_UNKNOWN"), "{lost:?}");
    let next = fixture.run(&at("shop", &config, &["--amount", "1", "--timeout-ms", "0"]));
    assert!(
        matches!(failed(&next), (3, "NO_CARD") | (1, "PURCHASE_OPEN")),
        "{next:?}"
    );
    fixture.lay(&other);
    let blocked = fixture.run(&at("shop", &config, &["--amount", "1"]));
    assert_eq!(failed(&blocked), (1, "PURCHASE_OPEN"));
    let wrong = fixture.run(&at("shop", &config, &["--again"]));
    assert_eq!(
        failed(&wrong),
        (4, "OUTCOME_UNKNOWN"),
        "another card is not touched"
    );
    fixture.order(&Order::Eject);
    fixture.lay(&card);
    let (exit, fetched) = fixture.run(&at("shop", &config, &["--again"]));
    assert_eq!((exit, &fetched["saw"]["earlier"]), (0, &json!(true)), "{fetched}");
    assert_eq!(fetched["saw"]["balance_after_fen"], 15_750);
    assert_eq!(
        failed(&fixture.run(&at("shop", &config, &["--again"]))),
        (1, "NO_PURCHASE")
    );
    assert_eq!(
        failed(&fixture.run(&at("shop", &config, &["--give-up"]))),
        (1, "NO_PURCHASE")
    );

    // A clock that went back sells nothing.
    let early = ["shop", "--config", &config, "--at", "2026-11-19", "--amount", "1"];
    let (exit, early) = fixture.run(&early);
    assert!(exit != 0, "{early}");
    fixture.run(&["shop", "--config", &config, "--at", "2026-11-22", "--amount", "1"]);
    assert_eq!(
        failed(&fixture.run(&at("shop", &config, &["--amount", "1"]))),
        (5, "CLOCK_WRONG")
    );

    // The evening: signed files for the office, once.
    let to = fixture.path("shop-to");
    let (exit, synced) = fixture.run(&at("sync", &config, &["--to", to.to_str().unwrap()]));
    assert_eq!(exit, 0);
    let name = format!("settlement-{TID:08x}-00000001.yzts");
    assert_eq!(synced["out"], json!([name]), "the running day is not handed out");
    let file = std::fs::read(to.join(&name)).unwrap();
    let key = TerminalKey::load(&fixture.path("shop.yztb.key")).unwrap();
    let point = key.request().authentication_key;
    let key = card_applet_spec::crypto::PublicKey::from_point65(&point).unwrap();
    let settlement = UnverifiedSettlement::parse(&file).unwrap().verify(&key).unwrap();
    let amounts: Vec<u32> = settlement.lines().map(|line| line.body.amount).collect();
    assert_eq!(amounts, [1250, 3000, 100]);
    let (_, synced) = fixture.run(&at("sync", &config, &["--to", to.to_str().unwrap()]));
    assert_eq!(synced["out"], json!([]));
    let later = [
        "sync",
        "--config",
        &config,
        "--at",
        "2026-11-23",
        "--to",
        to.to_str().unwrap(),
    ];
    let (_, synced) = fixture.run(&later);
    let first = synced["out"][0].as_str().unwrap();
    assert!(first.starts_with(&format!("counters-{AT}-")), "{synced}");

    let (exit, power) = fixture.run(&at("what-can-it-do", &config, &[]));
    assert_eq!((exit, &power["payments"]["tid"]), (0, &json!(TID)));
    assert_eq!(power["keys"][0]["taps"], true);
}

/// Runs `run`, with the reader of the fixture, and does things to it while it runs.
fn running(
    fixture: &PcscFixture,
    arguments: &[&str],
    act: impl FnOnce(&mut dyn FnMut() -> Value, &mut dyn std::io::Write),
) {
    let (name, socket) = fixture.service.folder().environment();
    let mut child = Command::new(program())
        .args(arguments)
        .env(name, socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut input = child.stdin.take().unwrap();
    act(
        &mut || {
            let line = lines.next().unwrap().unwrap();
            for secret in &fixture.secrets {
                assert!(!line.contains(secret), "{line}");
            }
            serde_json::from_str(&line).unwrap()
        },
        &mut input,
    );
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_bus_runs_and_says_one_line_a_card() {
    let mut fixture = PcscFixture::new(42);
    let (card, early) = (fixture.card(1, true), fixture.card(2, false));
    let config = configured(&mut fixture, "bus", Wanted::of(&[Role::Transit]), "");
    running(
        &fixture,
        &[
            "run",
            "bus",
            "--config",
            &config,
            "--at",
            AT,
            "--json-lines",
            "--cards",
            "3",
        ],
        |next, _| {
            fixture.lay(&card);
            let first = next();
            assert_eq!(
                (&first["command"], &first["decision"], &first["saw"]["role"]),
                (&json!("bus"), &json!("accepted"), &json!("TRANSIT"))
            );
            // It stays there: it is served once. Then it goes, and another one comes.
            fixture.order(&Order::Eject);
            std::thread::sleep(std::time::Duration::from_secs(1));
            fixture.lay(&early);
            let second = next();
            assert_eq!(
                (&second["decision"], &second["reason"]),
                (&json!("refused"), &json!("NOT_ACTIVE"))
            );
            fixture.order(&Order::Eject);
            std::thread::sleep(std::time::Duration::from_secs(1));
            fixture.order(&Order::Foreign);
            assert_eq!(next()["reason"], "FOREIGN_CARD");
        },
    );
    let counts = std::fs::read_to_string(fixture.path("bus-state").join("counters.json")).unwrap();
    let counts: Value = serde_json::from_str(&counts).unwrap();
    assert_eq!(
        counts,
        json!({"schema": "yzt.terminal-counts/2", "days": [{"day": AT, "counts": [
            {"role": 1, "reason": 0, "count": 1},
            {"role": 1, "reason": 1, "count": 1},
            {"role": 1, "reason": 6, "count": 1},
        ]}]}),
        "days and numbers, and nothing else"
    );

    // What nobody can read ends the program with a code, and an enrolment request with it: the key is made, and the request lost.
    fixture.lay(&card);
    let unread = |arguments: &[&str]| {
        let (name, socket) = fixture.service.folder().environment();
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(program())
            .args(arguments)
            .env(name, socket)
            .stdin(Stdio::null())
            .stdout(full)
            .output()
            .unwrap();
        let prose = String::from_utf8(output.stderr).unwrap();
        let is_told = prose.contains("[OUTPUT]") && !prose.contains("panicked");
        assert!(is_told, "{arguments:?} {}: {prose}", output.status);
        output.status.code()
    };
    assert_eq!(
        unread(&["run", "bus", "--config", &config, "--at", AT, "--json-lines"]),
        Some(4)
    );
    let anchors = fixture.path("anchors.json").display().to_string();
    let key = fixture.path("other.key").display().to_string();
    let enrol = ["enrol", "--name", "other", "--anchors", &anchors, "--out", &key];
    assert_eq!(unread(&enrol), Some(4));
    assert_eq!(unread(&["--help"]), Some(4));
}

#[test]
fn a_shop_that_runs_takes_amounts_and_waits_for_the_same_card() {
    let mut fixture = PcscFixture::new(43);
    let card = fixture.card(1, true);
    let config = configured(&mut fixture, "shop", Wanted::of(&[Role::SmallPayment]), "");
    running(
        &fixture,
        &[
            "run",
            "shop",
            "--config",
            &config,
            "--at",
            AT,
            "--json-lines",
            "--cards",
            "2",
        ],
        |next, input| {
            fixture.lay(&card);
            fixture.order(&Order::Fault {
                fault: LineFault::PullAfter { apdu: 3 },
            });
            writeln!(input, "5.00").unwrap();
            let lost = next();
            assert_eq!(lost["reason"], "OUTCOME_UNKNOWN", "{lost}");
            fixture.order(&Order::Insert { memory: None });
            let sold = next();
            assert_eq!(
                (&sold["decision"], &sold["saw"]["earlier"]),
                (&json!("accepted"), &json!(true)),
                "{sold}"
            );
            assert_eq!(sold["saw"]["balance_after_fen"], 19_500);
        },
    );
}

#[test]
fn a_tape_is_judged_again_marked_and_holds_no_key() {
    let mut fixture = PcscFixture::new(44);
    let card = fixture.card(1, true);
    let bundle = fixture.terminal("bus", Wanted::of(&[Role::Transit]));
    fixture.lay(&card);
    let tape = fixture.path("tap.tape");
    let tape = tape.to_str().unwrap();
    let with = ["--bundle", bundle.as_str(), "--record", tape];
    assert_eq!(fixture.read("bus", &with).0, 0);
    assert_eq!(
        std::fs::metadata(tape).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = std::fs::read_to_string(tape).unwrap();
    assert_eq!(
        virtual_card::tape::Tape::from_json_lines(&text)
            .unwrap()
            .commands(),
        2,
        "the lines of virtual-card"
    );
    for secret in &fixture.secrets {
        assert!(!text.contains(secret));
    }
    let (group, tap) = fixture
        .issuer
        .tap_masters(Role::Transit, crate::reader_fixture::KV);
    for key in [group.expose(), tap.expose()] {
        assert!(!text.contains(&hex::encode(&key[..8])));
    }
    assert_eq!(
        failed(&fixture.read("bus", &with)),
        (5, "FILE_UNWRITABLE"),
        "a tape is never replaced"
    );

    fixture.order(&Order::Eject);
    let replay = ["--bundle", bundle.as_str(), "--replay", tape];
    let (exit, again) = fixture.read("bus", &replay);
    assert_eq!(
        (exit, &again["decision"], &again["replayed"]),
        (0, &json!("accepted"), &json!(true))
    );
    assert_eq!(again["reader"], "replay");
    // A bit of the recorded answer, and a recording that is none.
    let changed: Vec<String> = text
        .lines()
        .map(|line| {
            let end = line.len() - 10;
            let digit = if &line[end..=end] == "0" { "1" } else { "0" };
            if line.contains("\"command\":\"8010") {
                format!("{}{digit}{}", &line[..end], &line[end + 1..])
            } else {
                line.to_owned()
            }
        })
        .collect();
    std::fs::write(tape, changed.join("\n")).unwrap();
    assert_eq!(failed(&fixture.read("bus", &replay)), (1, "NOT_GENUINE"));
    std::fs::write(tape, "what is this").unwrap();
    assert_eq!(failed(&fixture.read("bus", &replay)), (2, "TAPE_DAMAGED"));
    let clinic = fixture.terminal("clinic", Wanted::of(&[Role::Clinic]));
    let strong = ["--bundle", clinic.as_str(), "--replay", tape];
    assert_eq!(failed(&fixture.read("clinic", &strong)), (2, "USAGE"));
}

#[test]
fn identity_is_shown_only_where_the_certificate_allows_it() {
    let mut fixture = PcscFixture::new(45);
    let card = fixture.card(1, true);
    let clinic = Certificates::with(Rights::role(Role::Clinic));
    let clinic = fixture.terminal("clinic", Wanted::of(&[Role::Clinic]).and(clinic));
    fixture.lay(&card);
    let refused = fixture.read("identity", &["--bundle", &clinic]);
    assert_eq!(failed(&refused), (1, "WRONG_ROLE"));
    assert_eq!(refused.1["apdus"], 0, "no card was asked");
    let insurance = Certificates::with(Rights::role(Role::SocialInsurance));
    let insurance = fixture.terminal("insurance", Wanted::of(&[Role::SocialInsurance]).and(insurance));
    let (exit, seen) = fixture.read("insurance", &["--bundle", &insurance]);
    assert_eq!((exit, &seen["saw"]["role"]), (0, &json!("SOCIAL_INSURANCE")));

    let police = Certificates::with(Rights::IDENTITY.union(Rights::PORTRAIT));
    let police = fixture.terminal("police", Wanted::of(&[]).and(police));
    let portrait = fixture.path("portrait.jpg");
    // Here the name is what was asked for.
    fixture.secrets.clear();
    let with = ["--bundle", &police, "--portrait", portrait.to_str().unwrap()];
    let (exit, seen) = fixture.read("identity", &with);
    assert_eq!(exit, 0, "{seen}");
    assert_eq!(
        (&seen["saw"]["name"], &seen["saw"]["citizen_number"]),
        (&json!("张三"), &json!("11010119900307803X"))
    );
    assert!(std::fs::read(&portrait).unwrap().starts_with(&[0xFF, 0xD8]));
    assert_eq!(
        std::fs::metadata(&portrait).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        failed(&fixture.read("identity", &with)),
        (5, "FILE_UNWRITABLE"),
        "never replaced"
    );
    // Without PORTRAIT there is none.
    let desk = Certificates::with(Rights::IDENTITY);
    let desk = fixture.terminal("desk", Wanted::of(&[]).and(desk));
    let none = fixture.path("none.jpg");
    let (exit, _) = fixture.read(
        "identity",
        &["--bundle", &desk, "--portrait", none.to_str().unwrap()],
    );
    assert_eq!((exit, none.exists()), (0, false));
}

#[test]
fn old_lists_wrong_files_and_wrong_configurations_are_refused_and_say_so() {
    let mut fixture = PcscFixture::new(46);
    let card = fixture.card(1, true);
    let mut old = Wanted::of(&[Role::Transit, Role::Door]);
    old.list_issued = day("2026-11-12");
    old.grace = Some(5);
    let refuse = configured(&mut fixture, "bus", old.clone(), "");
    let grace = configured(&mut fixture, "old", old.clone(), "stale_list = \"grace\"\n");
    fixture.lay(&card);
    let refused = fixture.run(&at("bus", &refuse, &[]));
    assert_eq!(failed(&refused), (1, "LIST_TOO_OLD"));
    let (exit, accepted) = fixture.run(&at("bus", &grace, &[]));
    assert_eq!((exit, &accepted["grace"]), (0, &json!(true)), "{accepted}");
    assert_eq!(
        failed(&fixture.run(&at("door", &grace, &[]))),
        (1, "LIST_TOO_OLD"),
        "never a door"
    );
    assert_eq!(
        failed(&fixture.run(&at("self-test", &grace, &[]))),
        (5, "SELF_TEST")
    );

    // A new list file, an older one, and one of nobody.
    let from = fixture.path("bus-from");
    let mut new = old.clone();
    new.list_version = 2;
    new.list_issued = day(AT);
    let list = fixture.issuer.list_file(Role::Transit, &new);
    std::fs::write(from.join("2.list"), &list).unwrap();
    let sync = ["--from", from.to_str().unwrap()];
    let (exit, synced) = fixture.run(&at("sync", &refuse, &sync));
    assert_eq!(
        (exit, &synced["taken"][0]["what"], &synced["left"]),
        (0, &json!("lists"), &json!(1))
    );
    assert_eq!(fixture.run(&at("bus", &refuse, &[])).0, 0);
    let mut forged = list.clone();
    forged[30] ^= 1;
    std::fs::write(from.join("3.list"), &forged).unwrap();
    assert_eq!(
        failed(&fixture.run(&at("sync", &refuse, &sync))),
        (1, "LIST_DAMAGED")
    );
    // An old list with an old bundle does not bring the old list back.
    let stale = fixture.issuer.list_file(Role::Transit, &old);
    std::fs::write(from.join("2.list"), &stale).unwrap();
    std::fs::remove_file(from.join("3.list")).unwrap();
    let (exit, synced) = fixture.run(&at("sync", &refuse, &sync));
    assert_eq!((exit, &synced["taken"]), (0, &json!([])));
    assert_eq!(fixture.run(&at("bus", &refuse, &[])).0, 0);

    let path = PathBuf::from(&refuse);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}tap_limit = 3\n")).unwrap();
    assert_eq!(
        failed(&fixture.run(&at("bus", &refuse, &[]))),
        (2, "CONFIG_DAMAGED")
    );
    std::fs::write(&path, &text).unwrap();
    let key = fixture.path("bus.yztb.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(
        failed(&fixture.run(&at("bus", &refuse, &[]))),
        (5, "TERMINAL_KEY_EXPOSED")
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(fixture.path("bus-state"), std::fs::Permissions::from_mode(0o750)).unwrap();
    assert_eq!(
        failed(&fixture.run(&at("bus", &refuse, &[]))),
        (5, "STATE_EXPOSED")
    );
}

/// What a terminal window got so far, and a way to type into it.
struct Window {
    child: std::process::Child,
    keys: std::process::ChildStdin,
    got: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Window {
    /// A window of 80 by 24, by util-linux `script`.
    fn open(fixture: &PcscFixture, arguments: &str) -> Self {
        use std::io::Read as _;

        let (name, socket) = fixture.service.folder().environment();
        let command = format!("stty cols 80 rows 24; exec {} {arguments}", program().display());
        let mut child = Command::new("script")
            .args(["-qefc", &command, "/dev/null"])
            .env(name, socket)
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let got = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (mut out, into) = (child.stdout.take().unwrap(), got.clone());
        std::thread::spawn(move || {
            let mut room = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut room) {
                into.lock().unwrap().extend_from_slice(&room[..length]);
            }
        });
        let keys = child.stdin.take().unwrap();
        Self { child, keys, got }
    }

    /// The program in the window: the only child of `script`.
    fn program(&self) -> u32 {
        let script = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{script}/task/{script}/children")).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.got.lock().unwrap()).into_owned()
    }

    /// Waits until the window shows a word, and forgets what came before.
    fn shows(&self, word: &str) -> String {
        for _ in 0..600 {
            let text = self.text();
            if text.contains(word) {
                return text;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("never showed {word}: {}", self.text());
    }
}

#[test]
fn the_full_screen_runs_in_a_terminal_window_and_gives_it_back() {
    let mut fixture = PcscFixture::new(47);
    let (card, early) = (fixture.card(1, true), fixture.card(2, false));
    let config = configured(
        &mut fixture,
        "bus",
        Wanted::of(&[Role::Transit]),
        "show_ms = 600000\n",
    );
    let mut window = Window::open(&fixture, &format!("run bus --config {config} --at {AT}"));
    window.shows("PLEASE PRESENT YOUR CARD");
    fixture.lay(&card);
    let accepted = window.shows("ACCEPTED");
    assert!(
        accepted.contains('█') && accepted.contains('\x07'),
        "a big word and the bell"
    );
    fixture.order(&Order::Eject);
    std::thread::sleep(std::time::Duration::from_secs(1));
    fixture.lay(&early);
    let refused = window.shows("A PERMIT OFFICE");
    assert!(!refused.contains("NOT_ACTIVE"), "no reason for whoever stands by");
    write!(window.keys, "d").unwrap();
    window.shows("NOT_ACTIVE");
    for secret in &fixture.secrets {
        assert!(!window.text().contains(secret));
    }
    write!(window.keys, "q").unwrap();
    assert!(window.child.wait().unwrap().success());
    let text = window.shows("\x1b[?1049l");
    assert!(text.contains("\x1b[?1049h"), "the window was put back");
}

#[test]
fn a_running_terminal_takes_files_of_the_office_and_puts_its_own_out_when_it_ends() {
    let mut fixture = PcscFixture::new(48);
    let card = fixture.card(1, true);
    let mut old = Wanted::of(&[Role::Transit]);
    old.list_issued = day("2026-11-10");
    let config = configured(
        &mut fixture,
        "bus",
        old.clone(),
        "from = \"bus-from\"\nto = \"bus-to\"\n",
    );
    assert_eq!(
        failed(&fixture.run(&at("bus", &config, &["--timeout-ms", "0"]))).0,
        3,
        "no card yet"
    );
    let mut new = old;
    new.list_version = 2;
    new.list_issued = day(AT);
    let list = fixture.issuer.list_file(Role::Transit, &new);
    std::fs::write(fixture.path("bus-from").join("2.list"), list).unwrap();
    fixture.lay(&card);
    running(
        &fixture,
        &[
            "run",
            "bus",
            "--config",
            &config,
            "--at",
            AT,
            "--json-lines",
            "--cards",
            "1",
        ],
        |next, _| assert_eq!(next()["decision"], "accepted", "with the list that came in"),
    );
    let out = || -> Vec<String> {
        let entries = std::fs::read_dir(fixture.path("bus-to")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(out(), Vec::<String>::new(), "the running day is not handed out");
    // The next day it starts, ends before a card comes, and hands yesterday out.
    let tomorrow = ["--at", "2026-11-22", "--json-lines", "--cards", "0"];
    let arguments = [&["run", "bus", "--config", &config][..], &tomorrow].concat();
    running(&fixture, &arguments, |_, _| {});
    let [file] = &out()[..] else { panic!("{:?}", out()) };
    assert!(file.starts_with(&format!("counters-{AT}-")), "{file}");
    let bytes = std::fs::read(fixture.path("bus-to").join(file)).unwrap();
    let key = TerminalKey::load(&fixture.path("bus.yztb.key")).unwrap();
    let key = PublicKey::from_point65(&key.request().authentication_key).unwrap();
    let read = UnverifiedCounters::parse(&bytes).unwrap().verify(&key).unwrap();
    let counts: Vec<_> = read.counts().map(|count| (count.counted, count.number)).collect();
    assert_eq!((read.head.day, counts), (day(AT), vec![(Counted::Accepted, 1)]));
}

#[test]
fn a_bus_and_a_shop_deliver_updates_behind_their_own_work_and_hand_the_receipts_out() {
    let mut fixture = PcscFixture::new(49);
    let card = fixture.card(1, true);
    let serial = Serial([0, 1, 0, 0, 0, 2, 0, 0, 0, 1]);
    fixture.lay(&card);
    let mut loaded = crate::reader_fixture::LOADED;
    for (counter, name, role, service) in [
        (1, "bus", Role::Transit, "bus"),
        (2, "shop", Role::SmallPayment, "shop"),
    ] {
        let config = configured(&mut fixture, name, Wanted::of(&[role]), "");
        let pid = fixture.pids.iter().find(|(_, of, _)| *of == role).unwrap().2;
        loaded += 500;
        let entry = BatchEntry {
            id: fixture.issuer.random(),
            role,
            pid,
            update: fixture
                .issuer
                .update(&serial, counter, &Operation::Load { loaded }),
        };
        let key = TerminalKey::load(&fixture.path(&format!("{name}.yztb.key"))).unwrap();
        let batch = fixture.issuer.batch(&key, 1, day("2026-12-31"), &[entry]);
        let (from, to) = (
            fixture.path(&format!("{name}-from")),
            fixture.path(&format!("{name}-to")),
        );
        std::fs::write(from.join("2.yztu"), batch).unwrap();
        let (_, synced) = fixture.run(&at("sync", &config, &["--from", from.to_str().unwrap()]));
        assert_eq!(synced["taken"][0]["what"], "updates", "{synced}");
        let (_, power) = fixture.run(&at("what-can-it-do", &config, &[]));
        assert_eq!(power["updates"], 1);

        let more: &[&str] = if service == "shop" {
            &["--amount", "1"]
        } else {
            &[]
        };
        assert_eq!(fixture.run(&at(service, &config, more)).0, 0);
        let (_, synced) = fixture.run(&at("sync", &config, &["--to", to.to_str().unwrap()]));
        let receipts = synced["out"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .find(|name| name.starts_with("receipts-"))
            .unwrap_or_else(|| panic!("{synced}"));
        let bytes = std::fs::read(to.join(receipts)).unwrap();
        let receipts: Vec<_> = Receipts::parse(&bytes).unwrap().iter().collect();
        assert_eq!(receipts.len(), 1);
        assert_eq!(
            (receipts[0].update, receipts[0].receipt),
            (entry.id, fixture.issuer.receipt(&serial, &entry.update))
        );
        let (_, power) = fixture.run(&at("what-can-it-do", &config, &[]));
        assert_eq!(power["updates"], 0, "done");
    }
}

#[test]
fn a_clock_behind_a_day_that_was_seen_refuses_in_every_mode_and_says_which_day() {
    let mut fixture = PcscFixture::new(50);
    let card = fixture.card(1, true);
    fixture.lay(&card);
    let strong = |role| {
        let rights = Rights::role(role).union(Rights::IDENTITY);
        Wanted::of(&[role]).and(Certificates::with(rights))
    };
    let said = |refused: &(i32, Value), today: &str, seen: &str| {
        assert_eq!(failed(refused), (5, "CLOCK_WRONG"), "{refused:?}");
        let object = &refused.1;
        assert_eq!(
            object["clock"],
            json!({ "today": today, "seen": seen }),
            "{object}"
        );
        assert_eq!(
            (&object["decision"], &object["reason"], &object["out_of_service"]),
            (&json!("refused"), &json!("CLOCK_WRONG"), &json!(true))
        );
        assert_eq!(object["apdus"], 0, "no card is asked");
    };
    let mut configs = Vec::new();
    for (name, service, wanted, more) in [
        ("bus", "bus", Wanted::of(&[Role::Transit]), &[][..]),
        ("gate", "door", Wanted::of(&[Role::Door]), &[]),
        ("clinic", "clinic", strong(Role::Clinic), &[]),
        ("desk", "insurance", strong(Role::SocialInsurance), &[]),
        (
            "shop",
            "shop",
            Wanted::of(&[Role::SmallPayment]),
            &["--amount", "1"],
        ),
    ] {
        let config = configured(&mut fixture, name, wanted, "");
        assert_eq!(fixture.run(&at(service, &config, more)).0, 0, "{service}");
        // A day that the office has not signed, but this terminal has worked on; and one before the office's own.
        for (today, seen) in [("2026-11-20", AT), ("2026-11-19", "2026-11-20")] {
            let mut arguments = vec![service, "--config", &config, "--at", today];
            arguments.extend_from_slice(more);
            said(&fixture.run(&arguments), today, seen);
        }
        configs.push(config);
    }
    let back = |command, config: &str| fixture.run(&[command, "--config", config, "--at", "2026-11-20"]);
    said(&back("identity", &configs[3]), "2026-11-20", AT);
    assert_eq!(failed(&back("self-test", &configs[0])), (5, "SELF_TEST"));
    // Nothing of it was counted, and with a right clock all is as before.
    assert_eq!(fixture.run(&at("bus", &configs[0], &[])).0, 0);
    // One that runs says so to each card.
    for service in ["bus", "door"] {
        let config = configs[usize::from(service == "door")].clone();
        running(
            &fixture,
            &[
                "run",
                service,
                "--config",
                &config,
                "--at",
                "2026-11-20",
                "--json-lines",
                "--cards",
                "1",
            ],
            |next, _| {
                let line = next();
                assert_eq!(
                    (&line["reason"], &line["clock"]["seen"], &line["out_of_service"]),
                    (&json!("CLOCK_WRONG"), &json!(AT), &json!(true)),
                    "{line}"
                );
            },
        );
    }
    // A shop refuses the amount itself, before any card comes.
    running(
        &fixture,
        &[
            "run",
            "shop",
            "--config",
            &configs[4],
            "--at",
            "2026-11-20",
            "--json-lines",
        ],
        |next, input| {
            writeln!(input, "2.00").unwrap();
            let line = next();
            assert_eq!(
                (&line["reason"], &line["amount_fen"], &line["clock"]["seen"]),
                (&json!("CLOCK_WRONG"), &json!(200), &json!(AT)),
                "{line}"
            );
        },
    );
    // Without a folder the day stands beside the key.
    let bundle = fixture.terminal("kiosk", Wanted::of(&[Role::Transit]));
    let on = |day: &str| fixture.run(&["bus", "--bundle", &bundle, "--reader", READERS[0], "--at", day]);
    assert_eq!(on("2026-11-20").0, 0);
    assert_eq!(on("2026-11-25").0, 0);
    said(&on("2026-11-21"), "2026-11-21", "2026-11-25");
    // A list of a later day shows it too.
    let mut new = Wanted::of(&[Role::Transit]);
    new.list_version = 2;
    new.list_issued = day("2026-11-23");
    let list = fixture.issuer.list_file(Role::Transit, &new);
    let from = fixture.path("bus-from");
    std::fs::write(from.join("2.list"), list).unwrap();
    let config = &configs[0];
    let sync = [
        "sync",
        "--config",
        config,
        "--at",
        AT,
        "--from",
        from.to_str().unwrap(),
    ];
    assert_eq!(fixture.run(&sync).0, 0);
    said(&fixture.run(&at("bus", config, &[])), AT, "2026-11-23");
    // A terminal whose own clock was ahead once: a bundle that was made today ends it.
    let ahead = ["bus", "--config", config, "--at", "2026-12-20"];
    let _ = fixture.run(&ahead);
    let mut newer = Wanted::of(&[Role::Transit]);
    newer.sequence = 6;
    newer.issued = day("2026-11-24");
    newer.list_issued = day("2026-11-24");
    newer.list_version = 3;
    let bundle = fixture.terminal("bus", newer);
    std::fs::copy(&bundle, from.join("3.yztb")).unwrap();
    said(
        &fixture.run(&["bus", "--config", config, "--at", "2026-11-24"]),
        "2026-11-24",
        "2026-12-20",
    );
    let sync = [
        "sync",
        "--config",
        config,
        "--at",
        "2026-11-24",
        "--from",
        from.to_str().unwrap(),
    ];
    assert_eq!(fixture.run(&sync).0, 0);
    assert_eq!(
        fixture.run(&["bus", "--config", config, "--at", "2026-11-24"]).0,
        0
    );
}

#[test]
fn amounts_wait_in_their_order_and_what_is_refused_says_so() {
    let mut fixture = PcscFixture::new(51);
    let card = fixture.card(1, true);
    let config = configured(&mut fixture, "shop", Wanted::of(&[Role::SmallPayment]), "");
    running(
        &fixture,
        &["run", "shop", "--config", &config, "--at", AT, "--json-lines"],
        |next, input| {
            input
                .write_all("2.00\n3.00\nzwei\n4.00\n\n-1\n".as_bytes())
                .unwrap();
            for _ in 0..2 {
                let line = next();
                assert_eq!(
                    (&line["ok"], &line["error"]["code"]),
                    (&json!(false), &json!("AMOUNT")),
                    "{line}"
                );
            }
            for (amount, left) in [(200, 19_800), (300, 19_500)] {
                fixture.lay(&card);
                let sold = next();
                assert_eq!(
                    (
                        &sold["decision"],
                        &sold["amount_fen"],
                        &sold["saw"]["balance_after_fen"]
                    ),
                    (&json!("accepted"), &json!(amount), &json!(left)),
                    "{sold}"
                );
                fixture.order(&Order::Eject);
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
            writeln!(input, "5.00\ncancel\ngive-up").unwrap();
            for amount in [400, 500] {
                let line = next();
                assert_eq!(
                    (&line["cancelled"], &line["amount_fen"]),
                    (&json!(true), &json!(amount)),
                    "{line}"
                );
            }
            assert_eq!(next()["error"]["code"], "NO_PURCHASE");
        },
    );
}

#[test]
fn a_card_that_falls_silent_is_told_and_the_next_one_is_served() {
    let mut fixture = PcscFixture::new(52);
    let card = fixture.card(1, true);
    let config = configured(
        &mut fixture,
        "bus",
        Wanted::of(&[Role::Transit]),
        "exchange_ms = 400\n",
    );
    running(
        &fixture,
        &[
            "run",
            "bus",
            "--config",
            &config,
            "--at",
            AT,
            "--json-lines",
            "--cards",
            "3",
        ],
        |next, _| {
            for silent in [2, 1] {
                fixture.order(&Order::Fault {
                    fault: LineFault::Silent { apdu: silent },
                });
                fixture.lay(&card);
                let line = next();
                assert_eq!(line["error"]["code"], "TIMEOUT", "{line}");
                fixture.order(&Order::Eject);
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
            fixture.lay(&card);
            assert_eq!(next()["decision"], "accepted");
        },
    );
}

/// Sends a signal to a program.
fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_signal_ends_a_running_terminal_in_order_with_its_counts() {
    let mut fixture = PcscFixture::new(53);
    let card = fixture.card(1, true);
    fixture.lay(&card);
    for (name, sent) in [("one", "-TERM"), ("two", "-INT"), ("three", "-HUP")] {
        let config = configured(&mut fixture, name, Wanted::of(&[Role::Transit]), "");
        let counts = || std::fs::read_to_string(fixture.path(&format!("{name}-state")).join("counters.json"));
        let (key, socket) = fixture.service.folder().environment();
        // As JSON lines.
        let mut child = Command::new(program())
            .args(["run", "bus", "--config", &config, "--at", AT, "--json-lines"])
            .env(key, socket)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(first["decision"], "accepted", "{first}");
        signal(sent, child.id());
        assert!(child.wait().unwrap().success(), "{sent}");
        assert!(counts().unwrap().contains("\"count\":1"), "{sent}");
        // In a window, which is put back.
        let mut window = Window::open(&fixture, &format!("run bus --config {config} --at {AT}"));
        window.shows("ACCEPTED");
        signal(sent, window.program());
        assert!(window.child.wait().unwrap().success(), "{sent}");
        window.shows("\x1b[?1049l");
        assert!(counts().unwrap().contains("\"count\":2"), "{sent}");
    }
}
