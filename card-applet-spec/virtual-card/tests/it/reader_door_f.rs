//! Door F from a terminal's side, against the real applet in process (chapter 06).

use crate::reader_fixture::{
    Issuer, KV, OTHER_REGION, REGION, RULES, SERVICES, Wanted, Wire, ZONES, day, region, today,
};
use card_applet_spec::codes::{KeyState, Role, Tier};
use card_applet_spec::record::rule_set_digest;
use card_applet_spec::script::ScriptKind;
use card_reader::transport::Transport;
use card_reader::{Admission, Bundle, Card, Check, Error, Reason, Terminal};
use virtual_card::InProcess;
use virtual_card::chip::Foreign;

const ROLES: [Role; 2] = [Role::Transit, Role::Door];

fn tap(
    terminal: &mut Terminal,
    reader: &mut impl Transport,
    issuer: &mut Issuer,
) -> Result<Admission, Error> {
    tap_as(terminal, reader, Role::Transit, issuer)
}

fn tap_as(
    terminal: &mut Terminal,
    reader: &mut impl Transport,
    role: Role,
    issuer: &mut Issuer,
) -> Result<Admission, Error> {
    let card = Card::new(reader).select()?;
    terminal.tap(card, role, today(), &mut issuer.rng)
}

fn refused(result: &Result<Admission, Error>) -> (Reason, Check) {
    match result {
        Err(Error::Refused(refusal)) => (refusal.reason, refusal.check),
        other => panic!("not refused: {other:?}"),
    }
}

fn bus(issuer: &mut Issuer) -> Terminal {
    Terminal::new(issuer.terminal(&Wanted::of(&[Role::Transit])).1)
}

fn bundle(issuer: &mut Issuer, change: impl FnOnce(&mut Wanted)) -> Bundle {
    let mut wanted = Wanted::of(&[Role::Transit]);
    change(&mut wanted);
    issuer.terminal(&wanted).1
}

#[test]
fn a_bus_reads_its_entitlement_in_two_commands_and_nothing_else() {
    let mut issuer = Issuer::new(1);
    let (reader, _, _) = issuer.active_card(1, &ROLES);
    let mut terminal = bus(&mut issuer);
    let mut wire = Wire::new(reader);
    let admission = tap(&mut terminal, &mut wire, &mut issuer).unwrap();
    assert_eq!(
        admission,
        Admission {
            role: Role::Transit,
            region: region(),
            tier: Tier::Employment,
            class: 2,
            services: SERVICES,
            zones: ZONES,
            valid_from: day("2026-11-01"),
            valid_to: day("2027-10-31"),
            rule_set: rule_set_digest(RULES),
        }
    );
    assert_eq!(wire.tape.len(), 2, "SELECT and TAP");
    assert_eq!(wire.tape[1].1.len(), 258);
}

#[test]
fn every_cohort_is_found() {
    let mut issuer = Issuer::new(2);
    let mut terminal = bus(&mut issuer);
    // The cohort is drawn per card: a dozen cards stand in a dozen cohorts.
    for number in 1..=12 {
        let (mut reader, _, _) = issuer.active_card(number, &[Role::Transit]);
        tap(&mut terminal, &mut reader, &mut issuer).unwrap();
    }
}

#[test]
fn a_tap_before_activation_and_after_blocking_opens_nothing() {
    let mut issuer = Issuer::new(3);
    let mut terminal = bus(&mut issuer);
    let (mut reader, _, serial) = issuer.blank(1);
    let closed = (Reason::NotActive, Check::Keys);
    assert_eq!(
        refused(&tap(&mut terminal, &mut reader, &mut issuer)),
        closed,
        "blank"
    );
    let content = issuer.content(serial, &ROLES);
    issuer.personalise(&mut reader, &content);
    assert_eq!(
        refused(&tap(&mut terminal, &mut reader, &mut issuer)),
        closed,
        "personalised"
    );
    issuer.bare_script(&mut reader, serial, ScriptKind::Activate, today());
    tap(&mut terminal, &mut reader, &mut issuer).unwrap();
    issuer.bare_script(&mut reader, serial, ScriptKind::Block, today());
    assert_eq!(
        refused(&tap(&mut terminal, &mut reader, &mut issuer)),
        closed,
        "blocked"
    );
    issuer.bare_script(&mut reader, serial, ScriptKind::Unblock, today());
    tap(&mut terminal, &mut reader, &mut issuer).unwrap();
    issuer.bare_script(&mut reader, serial, ScriptKind::Terminate, today());
    assert_eq!(
        refused(&tap(&mut terminal, &mut reader, &mut issuer)),
        closed,
        "terminated"
    );
}

#[test]
fn a_replayed_answer_is_refused_by_name_and_by_its_mac() {
    let mut issuer = Issuer::new(4);
    let (reader, _, _) = issuer.active_card(1, &ROLES);
    let mut wire = Wire::new(reader);
    let mut terminal = bus(&mut issuer);
    tap(&mut terminal, &mut wire, &mut issuer).unwrap();
    let recorded = wire.tape[1].1.clone();

    wire.play = Some((4, recorded.clone()));
    assert_eq!(
        refused(&tap(&mut terminal, &mut wire, &mut issuer)),
        (Reason::Replay, Check::Repeated)
    );

    // A terminal that never saw it has a random number of its own.
    let mut other = bus(&mut issuer);
    wire.play = Some((6, recorded));
    assert_eq!(
        refused(&tap(&mut other, &mut wire, &mut issuer)),
        (Reason::NotGenuine, Check::TapMac)
    );
}

#[test]
fn any_single_bit_flipped_in_a_tap_answer_is_refused() {
    let mut issuer = Issuer::new(5);
    let (reader, _, _) = issuer.active_card(1, &ROLES);
    let bundle = bundle(&mut issuer, |_| {});
    let mut terminal = Terminal::new(bundle);
    let mut wire = Wire::new(reader);
    for bit in 0..258 * 8 {
        wire.flip = Some((wire.tape.len() + 2, bit));
        let result = tap(&mut terminal, &mut wire, &mut issuer);
        let reason = refused(&result).0;
        assert!(
            matches!(
                reason,
                Reason::NotActive | Reason::NotGenuine | Reason::ForeignCard
            ),
            "bit {bit}: {reason:?}"
        );
    }
    wire.flip = None;
    tap(&mut terminal, &mut wire, &mut issuer).unwrap();
}

#[test]
fn a_record_moved_to_another_card_is_not_genuine() {
    let mut issuer = Issuer::new(6);
    let (_, _, made) = issuer.active_card(1, &[Role::Transit]);
    let (_, _, record) = made.records[0];
    // On a card of its own, with its own pseudonym: the seal is under another key.
    let (mut reader, _) = issuer.active_card_with(2, &[Role::Transit], |content| {
        content.entitled[0].record = Some(record);
    });
    let mut terminal = bus(&mut issuer);
    assert_eq!(
        refused(&tap(&mut terminal, &mut reader, &mut issuer)),
        (Reason::NotGenuine, Check::RecordSeal)
    );
}

#[test]
fn a_record_of_another_role_is_refused_as_such() {
    let mut issuer = Issuer::new(7);
    let (_, _, made) = issuer.active_card(1, &[Role::Door]);
    let (_, _, record) = made.records[0];
    let (mut reader, _) = issuer.active_card_with(2, &[Role::Transit], |content| {
        content.entitled[0].record = Some(record);
    });
    let mut terminal = bus(&mut issuer);
    assert_eq!(
        refused(&tap(&mut terminal, &mut reader, &mut issuer)),
        (Reason::WrongRole, Check::RecordRole)
    );
}

#[test]
fn days_are_checked_with_both_ends_included() {
    let mut issuer = Issuer::new(8);
    let mut terminal = bus(&mut issuer);
    let mut on = |from: &str, to: &str| {
        let (mut reader, _) = issuer.active_card_with(1, &[Role::Transit], |content| {
            content.entitled[0].from = day(from);
            content.entitled[0].to = day(to);
        });
        tap(&mut terminal, &mut reader, &mut issuer)
    };
    on("2026-11-21", "2026-11-21").unwrap();
    assert_eq!(
        refused(&on("2026-11-01", "2026-11-20")),
        (Reason::Expired, Check::RecordDays)
    );
    assert_eq!(
        refused(&on("2026-11-22", "2027-11-20")),
        (Reason::NotActive, Check::RecordNotYet)
    );
}

#[test]
fn zones_need_one_common_bit_unless_the_terminal_stands_in_none() {
    let mut issuer = Issuer::new(9);
    let (mut reader, _, _) = issuer.active_card(1, &[Role::Transit]);
    for (zones, fits) in [(0, true), (0b0100, true), (0b1001, false)] {
        let mut terminal = Terminal::new(bundle(&mut issuer, |wanted| wanted.zones = zones));
        let result = tap(&mut terminal, &mut reader, &mut issuer);
        if fits {
            result.unwrap();
        } else {
            assert_eq!(refused(&result), (Reason::Denied, Check::Zones));
        }
    }
}

#[test]
fn a_card_on_the_deny_list_is_refused_and_its_neighbour_is_not() {
    let mut issuer = Issuer::new(10);
    let (mut reader, _, made) = issuer.active_card(1, &[Role::Transit]);
    let (mut neighbour, _, _) = issuer.active_card(2, &[Role::Transit]);
    let (_, pid, _) = made.records[0];
    let others = [[0; 16], [0x7F; 16], [0xFF; 16]];
    let mut terminal = Terminal::new(bundle(&mut issuer, |wanted| {
        wanted.denied = others.to_vec();
        wanted.denied.push(pid);
    }));
    assert_eq!(
        refused(&tap(&mut terminal, &mut reader, &mut issuer)),
        (Reason::Denied, Check::DenyList)
    );
    tap(&mut terminal, &mut neighbour, &mut issuer).unwrap();
}

#[test]
fn a_list_that_is_too_old_or_missing_lets_nobody_in_and_no_card_is_asked() {
    let mut issuer = Issuer::new(11);
    let (reader, _, _) = issuer.active_card(1, &[Role::Transit]);
    let mut wire = Wire::new(reader);
    let old = bundle(&mut issuer, |wanted| wanted.list_issued = day("2026-11-13"));
    let missing = bundle(&mut issuer, |wanted| wanted.without_lists = true);
    for bundle in [old, missing] {
        let mut terminal = Terminal::new(bundle);
        assert_eq!(
            refused(&tap(&mut terminal, &mut wire, &mut issuer)),
            (Reason::ListTooOld, Check::DenyListAge)
        );
    }
    assert!(
        wire.tape.iter().all(|(command, _)| command[1] == 0xA4),
        "only SELECT went out"
    );
    let last = bundle(&mut issuer, |wanted| wanted.list_issued = day("2026-11-14"));
    tap(&mut Terminal::new(last), &mut wire, &mut issuer).unwrap();
}

#[test]
fn a_draining_version_is_tried_second_until_its_day() {
    let mut issuer = Issuer::new(12);
    let (reader, _, _) = issuer.active_card(1, &[Role::Transit]);
    let mut wire = Wire::new(reader);
    let none = card_applet_spec::date::Date::NONE;
    let mut with = |state, until| {
        let bundle = bundle(&mut issuer, |wanted| {
            wanted.roles = vec![
                (Role::Transit, REGION, KV, state, until),
                (Role::Transit, REGION, KV + 1, KeyState::Active, none),
            ];
        });
        let before = wire.tape.len();
        let result = tap(&mut Terminal::new(bundle), &mut wire, &mut issuer);
        (result, wire.tape.len() - before)
    };
    let (result, commands) = with(KeyState::Draining, today());
    result.unwrap();
    assert_eq!(
        commands, 3,
        "SELECT, TAP with the Active version, TAP with the Draining one"
    );
    let (result, commands) = with(KeyState::Draining, day("2026-11-20"));
    assert_eq!((refused(&result).0, commands), (Reason::NotActive, 2));
}

#[test]
fn a_terminal_serves_every_region_of_its_bundle_and_no_other() {
    let mut issuer = Issuer::new(13);
    let (mut reader, _) = issuer.active_card_with(1, &[Role::Transit], |content| {
        content.entitled[0].region = OTHER_REGION.parse().unwrap();
    });
    let mut terminal = bus(&mut issuer);
    assert_eq!(
        refused(&tap(&mut terminal, &mut reader, &mut issuer)),
        (Reason::NotActive, Check::Keys)
    );
    let none = card_applet_spec::date::Date::NONE;
    let mut terminal = Terminal::new(bundle(&mut issuer, |wanted| {
        wanted
            .roles
            .push((Role::Transit, OTHER_REGION, KV, KeyState::Active, none));
    }));
    let admission = tap(&mut terminal, &mut reader, &mut issuer).unwrap();
    assert_eq!(admission.region, OTHER_REGION.parse().unwrap());
}

#[test]
fn a_bus_has_no_keys_for_another_role() {
    let mut issuer = Issuer::new(14);
    let (mut reader, _, _) = issuer.active_card(1, &ROLES);
    let mut terminal = bus(&mut issuer);
    for role in [Role::Door, Role::Clinic, Role::SocialInsurance] {
        assert_eq!(
            refused(&tap_as(&mut terminal, &mut reader, role, &mut issuer)),
            (Reason::WrongRole, Check::BundleRole)
        );
    }
}

#[test]
fn a_foreign_card_is_told_apart() {
    let mut issuer = Issuer::new(15);
    let mut terminal = bus(&mut issuer);
    let mut foreign = InProcess::with(Foreign);
    let expected = (Reason::ForeignCard, Check::Application);
    assert_eq!(refused(&tap(&mut terminal, &mut foreign, &mut issuer)), expected);
    // A card that echoes, or says yes to everything.
    for answer in [
        vec![0x90, 0x00],
        [&[0x6F, 0x02, 0x84, 0x00][..], &[0x90, 0x00]].concat(),
        [&[0u8; 24][..], &[0x90, 0x00]].concat(),
    ] {
        let mut wire = Wire::new(InProcess::with(Foreign));
        wire.play = Some((1, answer));
        assert_eq!(refused(&tap(&mut terminal, &mut wire, &mut issuer)), expected);
    }
}

#[test]
fn a_bundle_behind_its_last_day_is_refused_at_loading_and_in_use() {
    let mut issuer = Issuer::new(16);
    let mut wanted = Wanted::of(&[Role::Transit]);
    wanted.last_day = today();
    let (_, bundle) = issuer.terminal(&wanted);
    let (mut reader, _, _) = issuer.active_card(1, &[Role::Transit]);
    let mut terminal = Terminal::new(bundle);
    tap(&mut terminal, &mut reader, &mut issuer).unwrap();
    let card = Card::new(&mut reader).select().unwrap();
    let late = terminal.tap(card, Role::Transit, day("2026-11-22"), &mut issuer.rng);
    assert_eq!(refused(&late), (Reason::BundleExpired, Check::BundleDays));

    wanted.last_day = day("2026-11-20");
    let key = issuer.enrol(&wanted.name);
    let error = issuer.bundle(&wanted, &key).unwrap_err();
    assert_eq!(error, Check::BundleDays.into());
}

#[test]
fn no_bytes_make_a_terminal_panic_or_accept() {
    let mut issuer = Issuer::new(17);
    let mut terminal = bus(&mut issuer);
    for length in [0, 1, 2, 255, 256, 257] {
        for _ in 0..200 {
            let body: Vec<u8> = issuer.random::<257>()[..length].to_vec();
            let challenge = issuer.random();
            assert!(
                terminal
                    .judge(Role::Transit, KV, &challenge, &body, today())
                    .is_err()
            );
        }
    }
}
