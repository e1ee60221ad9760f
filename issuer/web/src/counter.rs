//! What the pages share: the office, its staff, the reader, and what goes on at it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use issuer_office::office::Office;
use issuer_office::staff::StaffFile;
use issuer_office::webauthn::RelyingParty;
use permit_domain::OrderId;
use program_contract::Failure;

use crate::desk::Desk;
use crate::identity::IdentityReader;
use crate::kept_list::Kept;
use crate::live::Live;
use crate::public::Public;
use crate::tries::Tries;

/// The counter's pages over an office.
#[derive(Clone)]
pub struct Counter {
    shared: Arc<Shared>,
}

struct Shared {
    office: Office,
    staff: StaffFile,
    party: RelyingParty,
    desk: Option<Box<dyn Desk>>,
    identity_reader: Option<Box<dyn IdentityReader>>,
    at_reader: Mutex<HashMap<OrderId, AtWork>>,
    public: Public,
    signing_page: Option<RelyingParty>,
    tries: Tries,
    ended: tokio::sync::Mutex<Option<Kept>>,
    live: Live,
}

/// What is known of the last work at the reader for an order.
#[derive(Clone)]
pub(crate) enum AtWork {
    /// It goes on.
    Running,
    /// It stopped.
    Stopped(Box<Failure>),
}

impl fmt::Debug for Counter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Counter(..)")
    }
}

impl Counter {
    /// The pages, as browsers find them at the relying party's origin. Without a desk no card is written and handed over here.
    #[must_use]
    pub fn new(office: Office, staff: StaffFile, party: RelyingParty, desk: Option<Box<dyn Desk>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                office,
                staff,
                party,
                desk,
                identity_reader: None,
                at_reader: Mutex::default(),
                public: Public::default(),
                signing_page: None,
                tries: Tries::default(),
                ended: tokio::sync::Mutex::default(),
                live: Live::new(),
            }),
        }
    }

    /// The same, with what everybody may know of the installation: without it nobody checks a card's code here. Before the first request.
    #[must_use]
    pub fn with_public(mut self, public: Public) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.public = public;
        }
        self
    }

    /// The same, with a reader of identity documents. Before the first request.
    #[must_use]
    pub fn with_identity_reader(mut self, reader: Box<dyn IdentityReader>) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.identity_reader = Some(reader);
        }
        self
    }

    /// The reader of identity documents, if there is one; one that makes people up is there in a rehearsal alone.
    pub(crate) fn identity_reader(&self) -> Option<&dyn IdentityReader> {
        let reader = self.shared.identity_reader.as_deref()?;
        (!reader.is_simulated() || self.office().founded().is_rehearsal()).then_some(reader)
    }

    pub(crate) fn public(&self) -> &Public {
        &self.shared.public
    }

    /// How often strangers tried.
    pub(crate) fn tries(&self) -> &Tries {
        &self.shared.tries
    }

    /// The list of ended numbers that was made last.
    pub(crate) fn ended(&self) -> &tokio::sync::Mutex<Option<Kept>> {
        &self.shared.ended
    }

    pub(crate) fn office(&self) -> &Office {
        &self.shared.office
    }

    pub(crate) fn staff(&self) -> &StaffFile {
        &self.shared.staff
    }

    /// The same, with the page at another origin on which people sign mandates. Before the first request.
    #[must_use]
    pub fn with_signing_page(mut self, page: Option<RelyingParty>) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.signing_page = page;
        }
        self
    }

    pub(crate) fn signing_page(&self) -> Option<&RelyingParty> {
        self.shared.signing_page.as_ref()
    }

    pub(crate) fn party(&self) -> &RelyingParty {
        &self.shared.party
    }

    pub(crate) fn desk(&self) -> Option<&dyn Desk> {
        self.shared.desk.as_deref()
    }

    /// The last work at the reader for an order.
    pub(crate) fn at_reader(&self, order: OrderId) -> Option<AtWork> {
        self.works().get(&order).cloned()
    }

    /// What the pages that are open follow.
    pub(crate) fn live(&self) -> &Live {
        &self.shared.live
    }

    pub(crate) fn works(&self) -> std::sync::MutexGuard<'_, HashMap<OrderId, AtWork>> {
        self.shared
            .at_reader
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
