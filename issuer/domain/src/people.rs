//! The people of a case, and their separation: Decree 663 article 20, permits design section 5.1.
//!
//! Three different people review, approve and produce one case. The type [`SeparatedDuties`] is the only proof of it
//! and is demanded by a production order. Left out: how a person signs in, and what else a role may do.

use std::fmt;
use std::str::FromStr;

use crate::codes::serde_by_text;
use crate::error::Error;

/// A member of staff, by the name of the account: 2 to 32 of `a-z 0-9 . -`, a letter first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StaffId(String);

impl StaffId {
    /// The account's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StaffId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let right = (2..=32).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-');
        if right {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Identifier {
                what: "staff account",
            })
        }
    }
}

impl fmt::Display for StaffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_by_text!(StaffId);

/// A person acting in a named role.
pub trait Actor {
    /// The role's name in the ledger.
    const ROLE: &'static str;

    /// Who it is.
    fn staff(&self) -> &StaffId;
}

macro_rules! actor {
    ($(#[$doc:meta])* $name:ident, $role:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(StaffId);

        impl $name {
            /// The person in this role. Whether the person may take it is for the caller to have checked.
            #[must_use]
            pub const fn new(staff: StaffId) -> Self {
                Self(staff)
            }
        }

        impl Actor for $name {
            const ROLE: &'static str = $role;

            fn staff(&self) -> &StaffId {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.parse().map(Self)
            }
        }
    };
}

actor! {
    /// Takes the application and checks it for completeness.
    IntakeClerk, "intake clerk"
}
actor! {
    /// Checks the evidence and decides by the rule set.
    Reviewer, "reviewer"
}
actor! {
    /// Signs off for the county organ.
    Approver, "approver"
}
actor! {
    /// Allocates, encodes, prints and verifies the card.
    Producer, "producer"
}
actor! {
    /// Checks the person, activates the card and hands it over.
    HandOverClerk, "hand-over clerk"
}

actor! {
    /// Proposes a change of a card that its holder has, takes money for a load, reports a loss.
    ChangeClerk, "change clerk"
}

/// Refuses one person in two roles.
pub(crate) fn apart<A: Actor, B: Actor>(first: &A, second: &B) -> Result<(), Error> {
    if first.staff() == second.staff() {
        return Err(Error::SamePersonTwice {
            first: A::ROLE,
            second: B::ROLE,
        });
    }
    Ok(())
}

/// Three different people for the review, approval and production of one case. Nothing else builds this value.
///
/// ```
/// use permit_domain::{Error, SeparatedDuties};
/// let duties = SeparatedDuties::new("wang".parse()?, "zhao".parse()?, "sun".parse()?)?;
/// assert!(matches!(
///     SeparatedDuties::new("wang".parse()?, "zhao".parse()?, "wang".parse()?),
///     Err(Error::SamePersonTwice { .. })
/// ));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeparatedDuties {
    reviewer: Reviewer,
    approver: Approver,
    producer: Producer,
}

impl SeparatedDuties {
    /// The proof, if the three differ.
    ///
    /// # Errors
    /// [`Error::SamePersonTwice`] naming the two roles.
    pub fn new(reviewer: Reviewer, approver: Approver, producer: Producer) -> Result<Self, Error> {
        apart(&reviewer, &approver)?;
        apart(&reviewer, &producer)?;
        apart(&approver, &producer)?;
        Ok(Self {
            reviewer,
            approver,
            producer,
        })
    }

    /// Who reviewed.
    #[must_use]
    pub const fn reviewer(&self) -> &Reviewer {
        &self.reviewer
    }

    /// Who approved.
    #[must_use]
    pub const fn approver(&self) -> &Approver {
        &self.approver
    }

    /// Who produces.
    #[must_use]
    pub const fn producer(&self) -> &Producer {
        &self.producer
    }
}

/// Who makes a card: a producer who signed in, or a service of the office, which has a name of its own and is nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maker {
    /// A person.
    Person(Producer),
    /// A program that runs by itself.
    Service(StaffId),
}

impl Maker {
    /// The role of a service in the ledger.
    pub const SERVICE: &'static str = "service";

    /// The account, or the service's name.
    #[must_use]
    pub const fn name(&self) -> &StaffId {
        match self {
            Self::Person(producer) => &producer.0,
            Self::Service(name) => name,
        }
    }

    /// Role and name in the ledger.
    #[must_use]
    pub fn in_ledger(&self) -> (&'static str, &str) {
        let role = match self {
            Self::Person(_) => Producer::ROLE,
            Self::Service(_) => Self::SERVICE,
        };
        (role, self.name().as_str())
    }

    /// Whether it may make the card of a case: a person who neither reviewed nor approved it, whoever ordered it.
    ///
    /// # Errors
    /// [`Error::SamePersonTwice`].
    pub fn may_make(&self, duties: &SeparatedDuties) -> Result<(), Error> {
        match self {
            Self::Person(producer) => {
                apart(duties.reviewer(), producer)?;
                apart(duties.approver(), producer)
            }
            Self::Service(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("wang", "wang", "sun", "reviewer", "approver")]
    #[case("wang", "zhao", "wang", "reviewer", "producer")]
    #[case("wang", "zhao", "zhao", "approver", "producer")]
    fn one_person_cannot_take_two_duties_of_a_case(
        #[case] reviewer: &str,
        #[case] approver: &str,
        #[case] producer: &str,
        #[case] first: &'static str,
        #[case] second: &'static str,
    ) {
        let result = SeparatedDuties::new(
            reviewer.parse().unwrap(),
            approver.parse().unwrap(),
            producer.parse().unwrap(),
        );
        assert_eq!(result, Err(Error::SamePersonTwice { first, second }));
    }

    #[test]
    fn who_decided_a_case_makes_no_card_of_it_in_whatever_order() {
        let [wang, zhao, sun] = ["wang", "zhao", "sun"].map(|name| name.parse::<Producer>().unwrap());
        let duties =
            SeparatedDuties::new("wang".parse().unwrap(), "zhao".parse().unwrap(), sun.clone()).unwrap();
        for decided in [wang, zhao] {
            let refused = Maker::Person(decided).may_make(&duties);
            assert_eq!(refused.unwrap_err().code(), "SAME_PERSON_TWICE");
        }
        for maker in [
            Maker::Person(sun),
            Maker::Person("qian".parse().unwrap()),
            Maker::Service("worker".parse().unwrap()),
        ] {
            assert_eq!(maker.may_make(&duties), Ok(()));
        }
    }

    #[rstest]
    #[case("w")]
    #[case("Wang")]
    #[case("1wang")]
    #[case("wang li")]
    #[case("王")]
    fn what_is_no_account_is_refused(#[case] text: &str) {
        assert!(text.parse::<StaffId>().is_err());
    }
}
