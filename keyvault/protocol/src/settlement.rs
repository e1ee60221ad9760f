//! Lines of settlement files (card specification, chapter 11) as the vault checks them. Nothing of them is kept.

use minicbor::{Decode, Encode};
use service_contract::{Caller, Journal, Kind, Operation, Policy};

use crate::ceiling::Counted;

/// Most lines in one request.
pub const MAX_LINES: usize = 10_000;
/// Length of `before`: seq, loaded, spent (4 each), last txno 8, masked 16, TAC 8.
pub const BEFORE_LEN: usize = 44;

/// A debit as a terminal claims it.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct SettlementLine {
    /// Key version of the slot.
    #[n(0)]
    pub key_version: u8,
    /// Pseudonym of the slot.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub pid: [u8; 16],
    /// Body of the COMMIT: amount, tid, txno, time, type, zeros.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub body: [u8; 28],
    /// seq behind the debit.
    #[n(3)]
    pub seq: u32,
    /// loaded at the debit, in fen.
    #[n(4)]
    pub loaded: u32,
    /// spent behind the debit, in fen.
    #[n(5)]
    pub spent: u32,
    /// The card's TAC.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub tac: [u8; 8],
    /// What the card showed of its last debit before this one; none on a card that had none.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub before: Option<[u8; BEFORE_LEN]>,
}

impl std::fmt::Debug for SettlementLine {
    /// Says that it is there: who bought where is in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SettlementLine(pseudonymous data)")
    }
}

/// The verdict over a line.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub enum LineCheck {
    /// No card made this TAC over this body.
    #[n(0)]
    Forged,
    /// The vault never gave out this pseudonym for a purse.
    #[n(1)]
    UnknownCard,
    /// A card made it.
    #[n(2)]
    Genuine {
        /// Stands for the card in settlement and for nothing else.
        #[cbor(n(0), with = "minicbor::bytes")]
        chain: [u8; 16],
        /// Whether the money is some that the vault gave this card: `loaded` is a value of the vault's, `spent` is not above
        /// it, and the amount not above `spent`.
        #[n(1)]
        loaded_known: bool,
        /// The debit before, opened and proved; none when there was none or when nothing proves it.
        #[n(2)]
        before: Option<OpenedDebit>,
        /// All that the vault ever gave this card, fen: the largest `loaded` of it. No more is ever paid for the card.
        #[n(3)]
        given: u32,
    },
}

impl std::fmt::Debug for LineCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Forged => "Forged",
            Self::UnknownCard => "UnknownCard",
            Self::Genuine { .. } => "Genuine(pseudonymous data)",
        })
    }
}

/// A debit that the next terminal saw evidence of: its TAC holds over these values.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct OpenedDebit {
    /// seq behind the debit.
    #[n(0)]
    pub seq: u32,
    /// Registration number of the terminal.
    #[n(1)]
    pub tid: u32,
    /// Amount in fen.
    #[n(2)]
    pub amount: u32,
    /// spent behind the debit, in fen.
    #[n(3)]
    pub spent: u32,
    /// The time4 of the body.
    #[n(4)]
    pub time: u32,
    /// Transaction number.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub txno: [u8; 8],
    /// The type byte of the body, 00 or 01.
    #[n(6)]
    pub kind: u8,
    /// The TAC.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub tac: [u8; 8],
}

impl std::fmt::Debug for OpenedDebit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenedDebit(pseudonymous data)")
    }
}

/// Checks settlement lines; one verdict for each, in their order. The vault keeps nothing of them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CheckLines {
    /// At most [`MAX_LINES`].
    #[n(0)]
    pub lines: Vec<SettlementLine>,
}

impl Operation for CheckLines {
    type Answer = Vec<LineCheck>;
    const POLICY: Policy = Policy::of(&[Caller::Settlement], Journal::None)
        .only(Kind::Service)
        .ceiling(Counted::Lines.name(), Some(Counted::Lines.per_day()))
        .idempotent();
    const DOORS: &'static [&'static str] = &["issuer settle"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_a_log_shows_no_purchase() {
        let line = SettlementLine {
            key_version: 1,
            pid: [7; 16],
            body: [8; 28],
            seq: 1,
            loaded: 2,
            spent: 3,
            tac: [9; 8],
            before: Some([1; 44]),
        };
        assert_eq!(format!("{line:?}"), "SettlementLine(pseudonymous data)");
        let bytes = minicbor::to_vec(&line).unwrap();
        assert_eq!(crate::frame::decode::<SettlementLine>(&bytes).unwrap(), line);
    }
}
