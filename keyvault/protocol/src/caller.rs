//! The access list: who may ask for what, in which regions, and how much of it a day.
//!
//! An entry is a service, an officer or an auditor with a key; custodians stand in the vault's header and are no entries. What
//! an entry says may narrow what its kind may do, never widen it.

use card_applet_spec::codes::Region;
use jiff::Timestamp;
use minicbor::{Decode, Encode};
use service_contract::{Caller, Journal, Kind, Listed, Operation, Policy};

use crate::wire::PointBytes;

/// Kinds of callers that can be enrolled. Their place is their number on the wire and in rows.
pub const ENROLLED_KINDS: [Caller; 5] = [
    Caller::Issuer,
    Caller::PhotoStore,
    Caller::Settlement,
    Caller::KeyOfficer,
    Caller::Auditor,
];

/// What makes somebody a caller of the vault: name and key, and what they may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Enrolment {
    /// Name, 1 to 64 bytes of text: an issuer's stands in its orders, everybody's in the journal.
    #[n(0)]
    pub name: String,
    /// One of [`ENROLLED_KINDS`].
    #[cbor(n(1), with = "crate::caller::kind")]
    pub kind: Caller,
    /// Their public key: the one of their sessions, of an issuer's orders, of an officer's signatures.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub key: PointBytes,
    /// Regions that what they ask for may be about; none named: all.
    #[n(3)]
    pub regions: Vec<Region>,
    /// Numbers of the operations of the kind that they may ask for; none named: all of them.
    #[n(4)]
    pub operations: Vec<u32>,
    /// Ceilings below the built-in ones.
    #[n(5)]
    pub ceilings: Vec<LoweredCeiling>,
}

/// Less a day than the policy of the operations allows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LoweredCeiling {
    /// What is counted, as the policy names it.
    #[n(0)]
    pub counted: String,
    /// At most so many a day.
    #[n(1)]
    pub per_day: u32,
}

/// An entry of the access list.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CallerEntry {
    /// What two officers signed.
    #[n(0)]
    pub enrolment: Enrolment,
    /// Since when.
    #[cbor(n(1), with = "crate::wire::instant")]
    pub enrolled: Timestamp,
    /// Since when nothing that they ask for is done, and no signature of theirs counts.
    #[cbor(n(2), with = "crate::wire::optional_instant")]
    pub suspended: Option<Timestamp>,
}

impl CallerEntry {
    /// Whether this caller may ask for the operation at all: not suspended, of a kind that may, and not narrowed.
    #[must_use]
    pub fn may_ask(&self, operation: &Listed) -> bool {
        let Enrolment { kind, operations, .. } = &self.enrolment;
        self.suspended.is_none()
            && operation.policy.who.contains(kind)
            && (operations.is_empty() || operations.contains(&operation.number))
    }
}

/// Suspends a caller, at once: nothing that they ask for is done, on open connections too, and no signature of theirs counts. The
/// same again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SuspendCaller {
    /// Its name.
    #[n(0)]
    pub name: String,
}

impl Operation for SuspendCaller {
    type Answer = ();
    const POLICY: Policy = Policy::of(&[Caller::KeyOfficer], Journal::Before)
        .only(Kind::Person)
        .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault suspend"];
}

/// Lists the access list, by name.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Callers;

impl Operation for Callers {
    type Answer = Vec<CallerEntry>;
    const POLICY: Policy = Policy::of(&[Caller::KeyOfficer, Caller::Auditor], Journal::None)
        .only(Kind::Person)
        .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault callers"];
}

/// Kinds by their numbers.
pub(crate) mod kind {
    use minicbor::decode::Error as DecodeError;
    use minicbor::{Decoder, Encoder};
    use service_contract::Caller;

    use super::ENROLLED_KINDS;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the derive macro calls it with a reference"
    )]
    pub(crate) fn encode<C, W: minicbor::encode::Write>(
        kind: &Caller,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let number = ENROLLED_KINDS.iter().position(|known| known == kind);
        let number = number.and_then(|number| u8::try_from(number).ok());
        let number = number.ok_or_else(|| minicbor::encode::Error::message("a kind that is not enrolled"))?;
        e.u8(number)?.ok()
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Caller, DecodeError> {
        let number = usize::from(d.u8()?);
        ENROLLED_KINDS
            .get(number)
            .copied()
            .ok_or_else(|| DecodeError::message("no kind of caller"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_was_and_narrows_what_its_kind_may_ask() {
        let entry = |kind| CallerEntry {
            enrolment: Enrolment {
                name: "shenzhen".into(),
                kind,
                key: [4; 65],
                regions: vec!["440300".parse().unwrap()],
                operations: vec![],
                ceilings: vec![LoweredCeiling {
                    counted: "cards".into(),
                    per_day: 100,
                }],
            },
            enrolled: Timestamp::UNIX_EPOCH,
            suspended: None,
        };
        let operation = Listed {
            number: 9,
            name: "StartCard",
            policy: Policy::of(&[Caller::Issuer], Journal::None),
            doors: &[],
        };
        for kind in ENROLLED_KINDS {
            for suspended in [None, Some(Timestamp::UNIX_EPOCH)] {
                let entry = CallerEntry {
                    suspended,
                    ..entry(kind)
                };
                let bytes = minicbor::to_vec(&entry).unwrap();
                assert_eq!(minicbor::decode::<CallerEntry>(&bytes).unwrap(), entry);
            }
            assert_eq!(entry(kind).may_ask(&operation), kind == Caller::Issuer);
        }
        assert!(minicbor::to_vec(entry(Caller::Custodian)).is_err());
        let mut narrowed = entry(Caller::Issuer);
        narrowed.enrolment.operations = vec![8];
        assert!(!narrowed.may_ask(&operation));
        narrowed.enrolment.operations.push(9);
        assert!(narrowed.may_ask(&operation));
        narrowed.suspended = Some(Timestamp::UNIX_EPOCH);
        assert!(!narrowed.may_ask(&operation));
    }
}
