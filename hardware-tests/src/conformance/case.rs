//! A case: one sentence of the specification, what it needs, and how it is tried.

use crate::conformance::check::Check;
use crate::conformance::phase::Phase;
use crate::conformance::test_rig::TestRig;

/// What a case needs to be run at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A card and a reader.
    Outside,
    /// Test keys too.
    Keys,
    /// It tests the platform below the application.
    Platform,
}

impl Class {
    /// The letter of the table.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Outside => 'A',
            Self::Keys => 'B',
            Self::Platform => 'C',
        }
    }
}

/// One case: a sentence of the specification and how it is tried.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Chapter and number: `05.07`.
    pub number: &'static str,
    /// Where the sentence stands: chapter and heading.
    pub reference: &'static str,
    /// What must hold.
    pub sentence: &'static str,
    /// What it needs.
    pub class: Class,
    /// When it is run.
    pub phase: Phase,
    /// What it does to the card that stays; empty for nothing.
    pub effect: &'static str,
    pub(super) run: fn(&mut TestRig<'_>) -> Check,
}

impl Case {
    /// The chapter.
    #[must_use]
    pub fn chapter(&self) -> u8 {
        self.number
            .get(..2)
            .and_then(|chapter| chapter.parse().ok())
            .unwrap_or_default()
    }

    /// True where it needs test keys.
    #[must_use]
    pub fn needs_keys(&self) -> bool {
        self.class == Class::Keys || !matches!(self.phase, Phase::AsLaid | Phase::Blank)
    }

    /// True where something stays on the card: the case itself writes, or the card must be brought to its phase.
    #[must_use]
    pub fn writes(&self) -> bool {
        !self.effect.is_empty() || !matches!(self.phase, Phase::AsLaid | Phase::Blank)
    }
}

/// Which cases, and what may be done to the card.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Chapters; empty for all.
    pub chapters: Vec<u8>,
    /// Numbers of cases; empty for all.
    pub cases: Vec<String>,
    /// The card may be written, and ended.
    pub destructive: bool,
}

impl Choice {
    /// True for a case that was asked for.
    #[must_use]
    pub fn takes(&self, case: &Case) -> bool {
        (self.chapters.is_empty() || self.chapters.contains(&case.chapter()))
            && (self.cases.is_empty() || self.cases.iter().any(|number| number == case.number))
    }
}

/// What stays of a case that writes and puts back: nothing that another case sees, but it writes.
pub(super) const WRITES: &str = "it writes the card";
/// A wrong try at door I.
pub(super) const TRIES: &str = "it uses up tries of door I";

pub(super) const fn case(
    number: &'static str,
    reference: &'static str,
    class: Class,
    phase: Phase,
    effect: &'static str,
    sentence: &'static str,
    run: fn(&mut TestRig<'_>) -> Check,
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
