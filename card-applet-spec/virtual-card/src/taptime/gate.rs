//! What a holder waits for at a gate, from the card in the field to the open gate. The card's part is modelled as everywhere in
//! this page; the terminal's part is assumed, and every figure says which of the two it is.

use serde::Serialize;

use crate::taptime::cards::{CARDS, Card};
use crate::taptime::time::{Assumptions, TARGET_BIT_RATE};

/// The terminal's part of a passage. Printed with every result.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, clap::Args)]
pub struct Gate {
    /// Milliseconds between two polls of a gate: a card that comes just after one waits as long
    #[arg(long, default_value_t = 20.0, value_name = "MS", value_parser = crate::taptime::time::parse_time)]
    pub polling_ms: f64,
    /// Other applications that a gate selects before ours, in vain
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=20))]
    pub other_selects: u32,
    /// Regions of the key version that a gate's bundle holds: each has 256 cohorts to search
    #[arg(long, default_value_t = 2, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub regions: u32,
    /// Microseconds that a gate takes for one AES block (2: an application processor, in software)
    #[arg(long, default_value_t = 2.0, value_name = "US", value_parser = crate::taptime::time::parse_time)]
    pub block_us: f64,
    /// Milliseconds that a gate takes to verify the signature of the record (5: likewise)
    #[arg(long, default_value_t = 5.0, value_name = "MS", value_parser = crate::taptime::time::parse_time)]
    pub verify_ms: f64,
    /// Milliseconds from the decision to the light, the sound and the open gate
    #[arg(long, default_value_t = 5.0, value_name = "MS", value_parser = crate::taptime::time::parse_time)]
    pub output_ms: f64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            polling_ms: 20.0,
            other_selects: 1,
            regions: 2,
            block_us: 2.0,
            verify_ms: 5.0,
            output_ms: 5.0,
        }
    }
}

impl Gate {
    /// What is assumed, and the head of the table, for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let Self {
            polling_ms,
            other_selects,
            regions,
            block_us,
            verify_ms,
            output_ms,
        } = self;
        vec![
            format!(
                "A gate at {TARGET_BIT_RATE} kbit/s. Assumed (a): a poll every {polling_ms} ms, {other_selects} other application(s) \
                 selected before ours, 256 cohorts in"
            ),
            format!(
                "each of {regions} region(s), {block_us} us a block of AES, {verify_ms} ms to verify a signature, {output_ms} ms for \
                 light and gate. Modelled (m): the card."
            ),
            format!(
                "{:<14}{:>9}{:>14}{:>11}{:>10}{:>12}{:>12}{:>12}{:>8}",
                "passage",
                "poll (a)",
                "activate (a)",
                "other (m)",
                "card (m)",
                "search (a)",
                "verify (a)",
                "output (a)",
                "ms"
            ),
        ]
    }
}

/// Cohorts of a role, region and key version (chapter 06).
const COHORTS: u32 = 256;
/// Blocks of AES after the search, by chapter 06: C (14), the keys of group, tap and record and their sub-keys (8), T (17), the
/// record (14).
const BLOCKS_OF_A_TAP: u32 = 53;
/// Bytes of a SELECT with the longest AID and Le, and of the answer of a card that has no such application.
const OTHER_SELECT: (usize, usize) = (22, 2);

/// A goal for the whole passage at 424 kbit/s.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Goal {
    /// Scenario.
    pub scenario: &'static str,
    /// Card.
    pub card: &'static str,
    /// Milliseconds.
    pub limit_ms: f64,
}

/// What a gate is built for: the card of the first row of the targets.
pub const GOALS: [Goal; 2] = [
    Goal {
        scenario: "tap",
        card: "j3r180",
        limit_ms: 100.0,
    },
    Goal {
        scenario: "tap_commit",
        card: "j3r180",
        limit_ms: 140.0,
    },
];

/// One passage of a gate, milliseconds at [`TARGET_BIT_RATE`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Passage {
    /// Scenario.
    pub scenario: &'static str,
    /// Card.
    pub card: &'static str,
    /// The longest wait for a poll: assumed.
    pub polling: f64,
    /// Activation: assumed.
    pub activation: f64,
    /// Applications selected in vain: their number is assumed, the link is modelled.
    pub other_selects: f64,
    /// What the card does for us: modelled.
    pub ours: f64,
    /// Search of the cohorts, and opening what was found: the blocks are counted, the time of one is assumed.
    pub search: f64,
    /// Verifying the record: assumed.
    pub verify: f64,
    /// Light, sound, gate: assumed.
    pub output: f64,
}

impl Passage {
    /// `modelled_ms` is what the scenario takes on the card, from the field to the last answer.
    pub(crate) fn of(
        scenario: &'static str,
        modelled_ms: f64,
        card: &Card,
        gate: &Gate,
        assumptions: &Assumptions,
    ) -> Self {
        let (sent, answered) = OTHER_SELECT;
        let other = assumptions.dispatch_ms + assumptions.link_ms(sent, answered, TARGET_BIT_RATE);
        let blocks = gate.regions * COHORTS + BLOCKS_OF_A_TAP;
        Self {
            scenario,
            card: card.id,
            polling: gate.polling_ms,
            activation: assumptions.activation_ms,
            other_selects: f64::from(gate.other_selects) * other,
            ours: modelled_ms - assumptions.activation_ms,
            search: f64::from(blocks) * gate.block_us / 1000.0,
            verify: gate.verify_ms,
            output: gate.output_ms,
        }
    }

    /// Parts in the order of the table.
    #[must_use]
    pub const fn parts(&self) -> [f64; 7] {
        [
            self.polling,
            self.activation,
            self.other_selects,
            self.ours,
            self.search,
            self.verify,
            self.output,
        ]
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.parts().iter().sum()
    }

    /// What this passage may take at most, where there is a goal.
    #[must_use]
    pub fn goal(&self) -> Option<f64> {
        GOALS
            .iter()
            .find(|goal| goal.scenario == self.scenario && goal.card == self.card)
            .map(|goal| goal.limit_ms)
    }

    /// The passage's line of the table; `name` is the scenario's.
    pub(crate) fn line(&self, name: &str) -> String {
        let [polling, activation, other, ours, search, verify, output] = self.parts();
        format!(
            "{name:<14}{polling:>9.1}{activation:>14.1}{other:>11.1}{ours:>10.1}{search:>12.1}{verify:>12.1}{output:>12.1}{:>8.1}  {}",
            self.total(),
            self.remark()
        )
    }

    fn remark(&self) -> String {
        let card = CARDS.iter().find(|card| card.id == self.card);
        let name = card.map_or(self.card, |card| card.name);
        match self.goal() {
            None => name.to_owned(),
            Some(limit) if self.total() <= limit => format!("{name}, goal {limit:.0}: holds"),
            Some(limit) => format!("{name}, goal {limit:.0}: missed by {:.1}", self.total() - limit),
        }
    }
}
