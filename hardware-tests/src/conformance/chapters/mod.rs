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

use crate::conformance::case::Case;

/// Every chapter's cases.
const ALL: [&[Case]; 11] = [
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

/// Every case, in the order of their numbers.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = ALL.iter().flat_map(|chapter| chapter.iter().copied()).collect();
    all.sort_by_key(|case| case.number);
    all
}
