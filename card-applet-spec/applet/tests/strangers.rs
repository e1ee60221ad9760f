//! What can be seen of a card without a key: answers and work are the same whatever it is and holds (chapters 03, 06).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]

mod support;

use card_applet_spec::apdu::{Header, StatusWord};
use card_applet_spec::codes::{Role, State};
use card_applet_spec::door_f::tap_command;
use card_applet_spec::script::ScriptKind;
use support::{Card, Host, KV, Work, check, select};

/// A card of each state, in the order of their codes.
fn cards(host: &mut Host) -> Vec<(State, Card)> {
    let ram = host.blank();
    let blank = host.power_on(ram);
    let personalised = host.personalised_card();
    let active = host.active_card();
    let mut blocked = host.active_card();
    host.short_script(&mut blocked, ScriptKind::Block, [2; 16])
        .unwrap();
    let mut ended = host.active_card();
    host.short_script(&mut ended, ScriptKind::Terminate, [2; 16])
        .unwrap();
    vec![
        (State::Blank, blank),
        (State::Personalised, personalised),
        (State::Active, active),
        (State::Blocked, blocked),
        (State::Terminated, ended),
    ]
}

/// What the memory was asked to do for `command`, and the answer's length and status.
fn work(
    host: &mut Host,
    card: Card,
    before: &[Vec<u8>],
    command: &[u8],
) -> (Card, (Work, usize, StatusWord)) {
    let (ram, _) = card.power_off();
    let counter = ram.work.clone();
    let mut card = host.power_on(ram);
    select(&mut card).unwrap();
    for command in before {
        card.process(command);
    }
    counter.set(Work::default());
    let answer = card.process(command);
    let status = check(&answer).err().unwrap_or(StatusWord::OK);
    (card, (counter.get(), answer.len(), status))
}

#[test]
fn a_decoy_costs_the_card_what_a_live_slot_costs() {
    let mut host = Host::new(80);
    let mut taps = Vec::new();
    let mut commits = Vec::new();
    for (state, mut card) in cards(&mut host) {
        for role in 0..=6_u8 {
            for version in [KV, KV + 1, 0] {
                let tap = tap_command(role, version, &[3; 16]).unwrap().to_vec();
                let (back, (tapped, length, status)) = work(&mut host, card, &[], &tap);
                assert_eq!(
                    (length, status),
                    (258, StatusWord::OK),
                    "{state} {role} {version}"
                );
                assert_eq!(tapped.writes, 0);
                taps.push(((state, role, version), tapped));
                card = back;
                if role == Role::SmallPayment.code() {
                    let commit = Header::commit(role, version).command(&[0; 44], Some(25)).unwrap();
                    let (back, (done, length, status)) = work(&mut host, card, &[tap], &commit);
                    assert_eq!(
                        (length, status),
                        (2, StatusWord::SECURITY),
                        "{state} {role} {version}"
                    );
                    commits.push(((state, role, version), done));
                    card = back;
                }
            }
        }
    }
    for all in [taps, commits] {
        let (_, first) = all[0];
        assert!(first.reads > 3);
        for (what, work) in &all {
            assert_eq!(*work, first, "{what:?}");
        }
    }
}

#[test]
fn junk_at_s1_tells_blank_and_ended_cards_from_the_others_and_nothing_else() {
    let mut host = Host::new(81);
    for (state, mut card) in cards(&mut host) {
        select(&mut card).unwrap();
        let junk = Header::present_certificate(0).command(&[0x7F], None).unwrap();
        // The one exception of chapter 07: a blank shows its serial anyway, an ended card holds nothing any more.
        let expected = match state {
            State::Blank | State::Terminated => StatusWord::CONDITIONS,
            State::Personalised | State::Active | State::Blocked => StatusWord::WRONG_DATA,
        };
        assert_eq!(check(&card.process(&junk)), Err(expected), "{state}");
    }
}

#[test]
fn trying_the_issuers_door_costs_every_card_the_same() {
    let mut host = Host::new(82);
    let open = Header::INITIALIZE_UPDATE
        .command(&[3; 8], Some(0))
        .unwrap()
        .to_vec();
    let wrong = Header::EXTERNAL_AUTHENTICATE.command(&[0; 16], None).unwrap();
    let mut seen = Vec::new();
    for (state, mut card) in cards(&mut host) {
        // The last tries are those of a locked card.
        for attempt in 0..20 {
            let (back, opened) = work(&mut host, card, &[], &open);
            let (back, tried) = work(&mut host, back, std::slice::from_ref(&open), &wrong);
            seen.push(((state, attempt), opened, tried));
            card = back;
        }
    }
    for (what, opened, tried) in &seen {
        assert_eq!((opened, tried), (&seen[0].1, &seen[0].2), "{what:?}");
        assert_eq!((opened.1, tried.1, tried.2), (31, 2, StatusWord::SECURITY));
    }
}

#[test]
fn a_card_shown_for_a_log_shows_its_state_and_nothing_else_of_its_memory() {
    let mut host = Host::new(83);
    let mut card = host.active_card();
    support::pay(&mut host, &mut card, KV, 777, 1).unwrap();
    select(&mut card).unwrap();
    let shown = format!("{card:?}");
    assert!(shown.contains("Storage(ACTIVE)"), "{shown}");
    for mark in ["777", "20000", "165, 165", "loaded"] {
        assert!(!shown.contains(mark), "{mark} in {shown}");
    }
}
