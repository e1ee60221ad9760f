//! The conformance suite: black-box tests of the card specification by chapter, for any implementation behind any
//! [`Transport`](card_reader::transport::Transport). It uses the crypto of `card-applet-spec` and a transport of `card-reader`, and nothing of the reference
//! card: a test of this crate looks at its imports.
//!
//! [`cases`] is the list. [`run`] goes through it on one card, in the order of a card's life: what a stranger sees, then as
//! a blank, personalised, active, blocked, terminated. [`report`] prints by chapter. The page `docs/card-acceptance.md`
//! says how a card maker runs it.
//!
//! Left out on purpose: what only a terminal or an office does (chapters 08 and 11 but for the card's part), and every
//! judgement by time alone: times are printed as figures.

mod case;
mod chapters;
mod check;
mod issuer;
pub(crate) mod keys;
mod phase;
pub mod report;
mod run;
mod tap;
mod terminal;
pub(crate) mod test_rig;
mod verdict;

pub use case::{Case, Choice, Class};
pub use chapters::cases;
pub use keys::{KeysError, TEST_ISSUER, TestKeys};
pub use phase::Phase;
pub use run::run;
pub use test_rig::{Cutter, Figure, Setup, TestRig};
pub use verdict::{Outcome, Report, Verdict};
