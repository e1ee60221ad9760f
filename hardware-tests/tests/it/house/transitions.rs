//! The transitions of application, what it decides on, permit, order, card and change: each is reached by people, in a test that is named here, or
//! is said to have no door yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::imports::names_and_signs;
use super::promises::all_code;

/// A card's life by the printed commands, all of them run.
const LIFE: &str = "a_card_lives_its_life_by_the_commands_that_are_written_for_it_as_they_are_written";
const HANDBOOK: &str = "the_handbook_leads_from_founding_to_a_card_in_a_hand";
const ANEW: &str = "what_changed_since_it_was_read_is_reviewed_and_signed_anew";
const WITHDRAWAL: &str = "the_program_withdraws_and_corrects_for_who_signed_in";

/// The door of each transition, and the test that goes through it.
const DOORS: [(&str, &[&str], &str, &str); 25] = [
    ("application", &["accept"], "POST /v1/applications", LIFE),
    (
        "application",
        &["review", "approve"],
        "POST /v1/applications/{id}/decision",
        LIFE,
    ),
    (
        "application",
        &["completed_anew"],
        "POST /v1/applications/{id}/completion",
        ANEW,
    ),
    (
        "case_content",
        &["review", "sign"],
        "POST /v1/applications/{id}/decision",
        LIFE,
    ),
    (
        "case_content",
        &["superseded"],
        "POST /v1/applications/{id}/completion",
        ANEW,
    ),
    ("case_content", &["used"], "issuer hand-over", LIFE),
    (
        "application",
        &["withdraw"],
        "issuer application withdraw",
        WITHDRAWAL,
    ),
    ("permit", &["start_production"], "POST /v1/orders", LIFE),
    ("permit", &["produced"], "issuer worker", HANDBOOK),
    ("permit", &["production_given_up"], "issuer give-up", LIFE),
    ("permit", &["hand_over"], "issuer hand-over", LIFE),
    ("permit", &["replace_card"], "issuer card", LIFE),
    ("permit", &["withdraw"], "issuer application withdraw", WITHDRAWAL),
    ("permit", &["regranted"], "issuer change", LIFE),
    ("permit", &["decided_as_before"], "issuer change", LIFE),
    (
        "order",
        &["allocate", "begin_encoding", "encoded", "drawn", "verified"],
        "issuer worker",
        HANDBOOK,
    ),
    (
        "order",
        &["begin_hand_over", "handed_over"],
        "issuer hand-over",
        LIFE,
    ),
    ("order", &["give_up"], "issuer give-up", LIFE),
    ("card", &["next_in_production"], "issuer worker", HANDBOOK),
    (
        "card",
        &[
            "end",
            "destroy",
            "destroyed",
            "allow_again",
            "denial_confirmed",
            "blocked",
            "unblocked",
            "terminated",
        ],
        "issuer card",
        LIFE,
    ),
    (
        "change",
        &["approve", "queued", "begin_writing", "done", "give_up"],
        "issuer change",
        LIFE,
    ),
    (
        "change",
        &["covered"],
        "issuer change",
        "a_card_that_slept_three_versions_is_brought_up_to_date_at_the_counter",
    ),
    (
        "change",
        &["for_its_own_card"],
        "issuer card",
        "what_was_left_to_the_next_card_is_written_when_its_own_card_comes_back",
    ),
    (
        "change",
        &["not_written"],
        "issuer change",
        "what_a_counter_began_and_the_card_does_not_have_goes_back_to_where_it_was",
    ),
    (
        "change",
        &["expire"],
        "issuer change expire",
        "an_endorsement_that_nobody_wrote_expires_with_its_window_and_stands_in_no_other_s_way",
    ),
];

/// What no door leads to, and what people will do there.
const NO_DOOR_YET: [(&str, &[&str], &str); 2] = [
    ("application", &["need_more"], "ask an applicant for papers"),
    (
        "permit",
        &["suspend", "restore", "end"],
        "suspend, restore and end a permit",
    ),
];

/// What takes a value and gives another one, and is no step of its life.
const NO_STEP: [(&str, &str); 10] = [
    ("application", "newer"),
    ("permit", "newer"),
    ("order", "newer"),
    ("change", "newer"),
    ("permit", "change"),
    ("card", "chip_became"),
    ("change", "holding_until"),
    ("change", "may_change"),
    ("change", "may_be_done"),
    ("change", "check"),
];

#[test]
fn every_transition_is_reached_by_people_or_said_to_have_no_door_yet() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut steps = BTreeSet::new();
    for file in ["application", "case_content", "permit", "order", "card", "change"] {
        let text = fs::read_to_string(root.join(format!("issuer/domain/src/{file}.rs"))).unwrap();
        for name in consuming(&names_and_signs(&text)) {
            if !NO_STEP.contains(&(file, name.as_str())) {
                steps.insert((file, name));
            }
        }
    }
    assert!(
        steps.len() > 35,
        "{}: the types are not where they were",
        steps.len()
    );

    let mut functions = BTreeMap::<String, String>::new();
    for file in all_code() {
        let text = fs::read_to_string(&file).unwrap();
        for name in text
            .split("fn ")
            .skip(1)
            .filter_map(|rest| rest.split(['(', '<']).next())
        {
            functions.insert(name.to_owned(), file.display().to_string());
        }
    }
    let contracts = fs::read_to_string(root.join("docs/contracts.md")).unwrap();
    let mut told = BTreeSet::new();
    for (file, names, door, test) in DOORS {
        told.extend(names.iter().map(|name| (file, (*name).to_owned())));
        assert!(functions.contains_key(test), "{door}: there is no test {test}");
        let written = door.strip_prefix("POST ").unwrap_or(door);
        assert!(contracts.contains(written), "{door} is not in docs/contracts.md");
    }
    for (file, names, what) in NO_DOOR_YET {
        told.extend(names.iter().map(|name| (file, (*name).to_owned())));
        assert!(!what.is_empty());
    }
    let missing: Vec<_> = steps.difference(&told).collect();
    let gone: Vec<_> = told.difference(&steps).collect();
    assert!(
        missing.is_empty(),
        "no door, no test and no exemption: {missing:?}"
    );
    assert!(gone.is_empty(), "told here, and not in the sources: {gone:?}");
}

/// Names of public functions that take their value and may refuse to give the next one.
fn consuming(tokens: &[String]) -> Vec<String> {
    let at = |index: usize| tokens.get(index).map_or("", String::as_str);
    (0..tokens.len())
        .filter(|index| at(*index) == "fn" && at(index + 2) == "(" && at(index + 3) == "self")
        .filter(|index| at(index - 1) == "pub" || at(index - 1) == "const" || at(index - 1) == ")")
        .filter(|index| {
            let answer: Vec<&str> = (*index..tokens.len())
                .map(at)
                .take_while(|token| *token != "{" && *token != ";")
                .collect();
            answer.contains(&"Result")
        })
        .map(|index| at(index + 1).to_owned())
        .collect()
}
