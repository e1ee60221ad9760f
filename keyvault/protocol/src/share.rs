//! A custodian's share as the custodian's own program has it, and for which vault it is.

use std::fmt;

use jiff::civil::Date;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::request::SignedRequest;
use crate::wire::PointBytes;

/// A custodian's share in clear, taken from an opened envelope. Wiped on drop, never printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Share {
    /// The vault that the share opens.
    #[zeroize(skip)]
    pub vault: [u8; 16],
    /// The set that it belongs to.
    #[zeroize(skip)]
    pub epoch: u32,
    /// Number of the share, the x of the polynomial, 1 to 255.
    #[zeroize(skip)]
    pub index: u8,
    /// The transport key of the one vault that is told it.
    #[zeroize(skip)]
    pub(crate) transport: Option<PointBytes>,
    /// The newest generation that its custodian remembers.
    #[zeroize(skip)]
    pub(crate) seen: u64,
    /// The day that it is, as the custodian says.
    #[zeroize(skip)]
    pub(crate) day: Option<Date>,
    /// What two officers signed for that day.
    #[zeroize(skip)]
    pub(crate) request: Option<SignedRequest>,
    value: [u8; 32],
}

impl Share {
    /// Takes the parts over.
    #[must_use]
    pub fn new(vault: [u8; 16], epoch: u32, index: u8, value: [u8; 32]) -> Self {
        Self {
            vault,
            epoch,
            index,
            transport: None,
            seen: 0,
            day: None,
            request: None,
            value,
        }
    }

    /// The share, for the vault of this transport key: [`Client::submit_share`](crate::Client::submit_share) gives it to no other.
    #[must_use]
    pub fn pinned_to(mut self, transport: PointBytes) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The share of a custodian who remembers this generation: it opens no store of an earlier one.
    #[must_use]
    pub fn that_saw(mut self, generation: u64) -> Self {
        self.seen = generation;
        self
    }

    /// The share of a custodian who says what day it is (UTC+8): where the vault has seen another, or was away for long, and all who open
    /// it say the same, it takes the machine's clock of that day.
    #[must_use]
    pub fn on_day(mut self, day: Option<Date>) -> Self {
        self.day = day;
        self
    }

    /// The share with the request of two officers that sets the time to the day that the custodian says.
    #[must_use]
    pub fn with_request(mut self, request: Option<SignedRequest>) -> Self {
        self.request = request;
        self
    }

    /// The secret ordinates, one per byte of the secret.
    #[must_use]
    pub fn value(&self) -> &[u8; 32] {
        &self.value
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} of epoch {}, ..)", self.index, self.epoch)
    }
}
