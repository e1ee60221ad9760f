//! Who asks: whose key it is that the channel proved.

use keyvault_protocol::Enrolment;
use service_contract::Caller;

use crate::store::commitment::Commitment;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    /// The name in the access list or the header; empty for anyone.
    pub(crate) name: String,
    pub(crate) kind: Caller,
    /// Number of a custodian's share.
    pub(crate) share: Option<u8>,
}

impl Asker {
    /// Somebody whose key nobody knows.
    pub(crate) fn anyone() -> Self {
        Self {
            name: String::new(),
            kind: Caller::Anyone,
            share: None,
        }
    }

    /// An entry of the access list.
    pub(crate) fn enrolled(enrolment: &Enrolment) -> Self {
        Self {
            name: enrolment.name.clone(),
            kind: enrolment.kind,
            share: None,
        }
    }

    pub(crate) fn custodian(commitment: &Commitment) -> Self {
        Self {
            name: commitment.custodian.clone(),
            kind: Caller::Custodian,
            share: Some(commitment.index),
        }
    }
}
