//! The program `card-reader` over a real PC/SC service, with real cards: decisions, reasons, exit codes, and what is never
//! printed (design, contracts).

use std::process::Command;

use crate::pcsc_fixture::{AT, PcscFixture, failed, program};
use crate::reader_fixture::{Certificates, Wanted};
use card_applet_spec::codes::{Rights, Role};
use serde_json::{Value, json};
use virtual_card::control::Order;
use virtual_card::pcscd::{Options, PrivatePcscd, READERS};
use virtual_card::slot::LineFault;

#[test]
fn each_terminal_sees_its_part_and_a_stranger_sees_nothing() {
    let mut fixture = PcscFixture::new(1);
    let card = fixture.card(1, true);
    let bus = fixture.terminal("bus", Wanted::of(&[Role::Transit]));
    let door = fixture.terminal("door", Wanted::of(&[Role::Door]));
    let clinic_right = Certificates::with(Rights::role(Role::Clinic));
    let clinic = fixture.terminal("clinic", Wanted::of(&[Role::Clinic]).and(clinic_right));
    fixture.lay(&card);

    let (exit, list) = fixture.run(&["list"]);
    assert_eq!(exit, 0);
    assert_eq!(list["readers"][0]["name"], READERS[0]);
    assert_eq!(list["readers"][0]["card_present"], true);
    assert_eq!(list["readers"].as_array().unwrap().len(), 2);

    let (exit, info) = fixture.read("info", &[]);
    assert_eq!(
        (exit, &info["decision"], &info["reason"]),
        (0, &json!("accepted"), &Value::Null)
    );
    let stranger = json!({
        "specification": "1.0", "profile": 1, "serial": null, "tap_bytes": 256, "tap_repeats": false
    });
    assert_eq!(info["saw"], stranger);

    for (command, bundle, role, apdus) in [
        ("bus", &bus, "TRANSIT", 2),
        ("door", &door, "DOOR", 2),
        ("clinic", &clinic, "CLINIC", 6),
    ] {
        let (exit, object) = fixture.read(command, &["--bundle", bundle]);
        assert_eq!(exit, 0, "{object}");
        assert_eq!(object["command"], command);
        assert_eq!(object["reader"], READERS[0]);
        assert_eq!(object["decision"], "accepted");
        assert_eq!(object["apdus"], apdus);
        assert_eq!(
            object["saw"],
            json!({
                "role": role, "tier": "EMPLOYMENT", "class": 2, "services": "000000000000000b",
                "zones": "0000000000000006", "valid_from": "2026-11-01", "valid_to": "2027-10-31",
                "rule_set": hex::encode(card_applet_spec::record::rule_set_digest(crate::reader_fixture::RULES)),
            })
        );
        assert!(object["ms"].as_f64().unwrap() > 0.0);
        assert!(
            object["bytes_sent"].as_u64().unwrap() > 30 && object["bytes_received"].as_u64().unwrap() > 250
        );
    }

    // Each with the other's bundle.
    assert_eq!(
        failed(&fixture.read("clinic", &["--bundle", &bus])),
        (1, "WRONG_ROLE")
    );
    assert_eq!(
        failed(&fixture.read("bus", &["--bundle", &clinic])),
        (1, "WRONG_ROLE")
    );

    let (exit, seen) = fixture.read("inspect", &["--bundle", &clinic]);
    assert_eq!(exit, 0, "{seen}");
    assert_eq!(seen["saw"]["slots"].as_array().unwrap().len(), 1);
    assert_eq!(seen["saw"]["slots"][0]["key_version"], 3);
    assert_eq!(
        seen["saw"].get("state"),
        None,
        "a clinic does not see the card's state"
    );
    assert_eq!(fixture.read("inspect", &[]).1["saw"], stranger);
}

#[test]
fn refusals_and_absences_have_their_reasons_and_exit_codes() {
    let mut fixture = PcscFixture::new(2);
    let (early, active) = (fixture.card(1, false), fixture.card(2, true));
    let bus = fixture.terminal("bus", Wanted::of(&[Role::Transit]));
    let bundle = ["--bundle", bus.as_str()];
    let at_once = ["--bundle", bus.as_str(), "--timeout-ms", "0"];

    // Of several readers the one is meant that a card lies on.
    assert_eq!(
        failed(&fixture.run(&["bus", "--bundle", &bus, "--at", AT])),
        (3, "NO_CARD")
    );
    let nobody = fixture.run(&["bus", "--bundle", &bus, "--at", AT, "--reader", "Nobody's"]);
    assert_eq!(failed(&nobody), (3, "UNKNOWN_READER"));
    assert_eq!(failed(&fixture.read("bus", &at_once)), (3, "NO_CARD"));

    fixture.lay(&early);
    let tapped = fixture.read("bus", &bundle);
    assert_eq!(failed(&tapped), (1, "NOT_ACTIVE"));
    assert_eq!(
        (&tapped.1["decision"], &tapped.1["reason"]),
        (&json!("refused"), &json!("NOT_ACTIVE"))
    );
    assert_eq!(tapped.1["saw"], json!({}));
    fixture.order(&Order::Eject);

    fixture.order(&Order::Foreign);
    assert_eq!(failed(&fixture.read("bus", &bundle)), (1, "FOREIGN_CARD"));
    assert_eq!(failed(&fixture.read("info", &[])), (1, "FOREIGN_CARD"));
    fixture.order(&Order::Eject);

    fixture.lay(&active);
    assert_eq!(fixture.read("bus", &bundle).0, 0);
    let late = fixture.run(&[
        "bus",
        "--reader",
        READERS[0],
        "--at",
        "2027-01-01",
        "--bundle",
        &bus,
    ]);
    assert_eq!(failed(&late), (1, "BUNDLE_EXPIRED"));
    assert_eq!(late.1["apdus"], 0, "no card was touched");

    // The card is pulled while it answers TAP.
    fixture.order(&Order::Fault {
        fault: LineFault::PullAfter { apdu: 2 },
    });
    let lost = fixture.read("bus", &bundle);
    assert_eq!(failed(&lost).0, 4, "{lost:?}");
    fixture.order(&Order::Insert { memory: None });
    assert_eq!(fixture.read("bus", &bundle).0, 0);

    // A newer bundle, then the older one again.
    let older = std::fs::read(&bus).unwrap();
    let mut newer = Wanted::of(&[Role::Transit]);
    newer.sequence = 6;
    fixture.terminal("bus", newer);
    assert_eq!(fixture.read("bus", &bundle).0, 0);
    std::fs::write(&bus, older).unwrap();
    assert_eq!(failed(&fixture.read("bus", &bundle)), (5, "BUNDLE_OLDER"));
    fixture.order(&Order::Eject);

    fixture.order(&Order::Mute);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(failed(&fixture.read("info", &[])), (3, "CARD_UNPOWERED"));
}

#[test]
fn to_the_holder_a_refusal_says_where_to_go_and_the_terminals_own_fault_does_not() {
    let mut fixture = PcscFixture::new(3);
    let early = fixture.card(1, false);
    let bus = fixture.terminal("bus", Wanted::of(&[Role::Transit]));
    let mut old = Wanted::of(&[Role::Transit]);
    old.list_issued = crate::reader_fixture::day("2026-10-01");
    let stale = fixture.terminal("stale", old);
    let other = fixture.terminal("door", Wanted::of(&[Role::Door]));
    let (name, socket) = fixture.service.folder().environment();
    let told_in = |more: &[&str], bundle: &str| {
        let output = Command::new(program())
            .args(["bus", "--reader", READERS[0], "--at", AT, "--bundle", bundle])
            .args(more)
            .env("LC_ALL", "C.UTF-8")
            .env(name, &socket)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let told = |bundle: &str| told_in(&[], bundle);
    fixture.lay(&early);
    for (tag, text) in [
        ("zh-CN", "请持卡到受理点办理。\n"),
        ("en", "Please take this card to a permit office.\n"),
    ] {
        assert_eq!(told_in(&["--lang", tag], &bus).0, text);
    }
    let (holder, operator) = told(&bus);
    assert_eq!(
        holder,
        "请持卡到受理点办理。\nPlease take this card to a permit office.\n"
    );
    assert!(operator.contains("NOT_ACTIVE"));
    for (bundle, code, action) in [
        (&stale, "LIST_TOO_OLD", "card-reader sync"),
        (&other, "WRONG_ROLE", "keyvault export-bundle"),
    ] {
        let (holder, operator) = told(bundle);
        assert_eq!(holder, "暂停服务。\nOut of service.\n", "{code}");
        assert!(operator.contains(code) && operator.contains(action), "{operator}");
    }
    fixture.order(&Order::Foreign);
    let (holder, operator) = told(&bus);
    assert_eq!(holder, "这不是居住证卡。\nThis is not a permit card.\n");
    assert!(operator.contains("FOREIGN_CARD"));
}

/// Runs the program at a service without any reader; gives exit code and object.
fn without_readers(arguments: &[&str]) -> (i32, Value) {
    let service = PrivatePcscd::start(&Options {
        program: Some(env!("CARGO_BIN_EXE_virtual-card").into()),
        no_readers: true,
        ..Options::default()
    })
    .unwrap();
    let (name, socket) = service.folder().environment();
    let output = Command::new(program())
        .args(arguments)
        .arg("--json")
        .env(name, socket)
        .output()
        .unwrap();
    let object = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), object)
}

#[test]
fn a_service_without_a_reader_is_told_as_such_by_every_command() {
    let listed = without_readers(&["list"]);
    assert_eq!(failed(&listed), (3, "NO_READER"), "{listed:?}");
    assert_eq!(listed.1["readers"], json!([]), "{listed:?}");
    let asked = without_readers(&["info", "--timeout-ms", "0"]);
    assert_eq!(failed(&asked), (3, "NO_READER"), "{asked:?}");
    let named = without_readers(&["info", "--timeout-ms", "0", "--reader", READERS[0]]);
    assert_eq!(failed(&named), (3, "NO_READER"), "{named:?}");
    for (_, object) in [listed, asked, named] {
        assert_eq!(object["schema"], "yzt.card-reader/1");
        for key in ["message", "action"] {
            assert!(!object["error"][key].as_str().unwrap().is_empty(), "{object}");
        }
    }
}
