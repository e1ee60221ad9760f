//! Who may ask, as the open vault has it in memory, and who is being served.

use std::collections::BTreeMap;

use keyvault_protocol::CallerEntry;
use service_contract::Listed;

use crate::authority::asker::Asker;

/// The access list by the names of its entries. It is small, and changes with its transactions only, so that no removal is
/// outlived by a cache (claim K11).
pub(crate) type Callers = BTreeMap<String, CallerEntry>;

/// What is being done for whom: it stands in every line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForWhom {
    /// Name of the caller; the vault's own doings have [`ForWhom::ITSELF`].
    pub(crate) by: String,
    /// Number of the operation; none of what nobody asked for.
    pub(crate) operation: Option<u32>,
    /// Id of the request, drawn by who asks.
    pub(crate) request: [u8; 16],
}

impl ForWhom {
    /// The name under which the vault writes of what it does by itself.
    pub(crate) const ITSELF: &'static str = "vault";

    /// A request of a caller.
    pub(crate) fn by(asker: &Asker, operation: &Listed, request: [u8; 16]) -> Self {
        Self {
            by: asker.name.clone(),
            operation: Some(operation.number),
            request,
        }
    }
}

impl Default for ForWhom {
    /// The vault's own doing.
    fn default() -> Self {
        Self {
            by: Self::ITSELF.to_owned(),
            operation: None,
            request: [0; 16],
        }
    }
}
