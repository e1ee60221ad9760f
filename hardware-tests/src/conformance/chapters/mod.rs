//! The cases, one file a chapter. A file is a list of sentences, and below it how each is tried.

mod data_groups;
mod door_f;
mod door_i;
mod door_s;
mod foundations;
mod keys;
mod payment;
mod platform;
mod records;
mod storage;
mod updates;

use super::bench::Bench;
use super::{Case, Check, Class, Phase};

/// Every chapter's cases.
pub(super) const ALL: [&[Case]; 11] = [
    foundations::CASES,
    data_groups::CASES,
    records::CASES,
    keys::CASES,
    door_i::CASES,
    door_f::CASES,
    door_s::CASES,
    updates::CASES,
    storage::CASES,
    payment::CASES,
    platform::CASES,
];

/// What stays of a case that writes and puts back: nothing that another case sees, but it writes.
const WRITES: &str = "it writes the card";
/// A wrong try at door I.
const TRIES: &str = "it uses up tries of door I";

const fn case(
    number: &'static str,
    reference: &'static str,
    class: Class,
    phase: Phase,
    effect: &'static str,
    sentence: &'static str,
    run: fn(&mut Bench<'_>) -> Check,
) -> Case {
    Case {
        number,
        reference,
        sentence,
        class,
        phase,
        effect,
        run,
    }
}
