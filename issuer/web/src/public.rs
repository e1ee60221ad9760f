//! What is public of an installation: under which address people reach the pages for everybody, and with which keys the check page verifies.

use std::sync::Arc;

use issuer_production::ServiceKey;

/// What is public of an installation.
#[derive(Debug, Clone, Default)]
pub struct Public {
    /// Where people reach the pages, such as `https://permits.example.org`; none: where the browser of the counter does.
    pub address: Option<String>,
    /// Signs the codes on cards' backs, `04 || X || Y`; none where the office has no anchors.
    pub document_signer: Option<[u8; 65]>,
    /// Signs the list of numbers that count no more.
    pub key: Option<Arc<ServiceKey>>,
}
