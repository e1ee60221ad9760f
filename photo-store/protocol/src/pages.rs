//! Pages of papers that speak for an application (材料), scanned or photographed: messages and operations.
//!
//! A page belongs to one case and is kept, seen and removed while that case is open. It is no photo: it has no receipt and no judgement
//! of a face, is never used for another case, and ends with its own. Left out: what a paper says, and whether it is the right one.

use core::fmt;

use minicbor::{Decode, Encode};
use service_contract::{Journal, Operation, Policy};
use zeroize::Zeroize as _;

use crate::codes::{CheckCode, FailureCode};
use crate::messages::{Actor, CaseNumber, PageId, PaperCode, PersonId, Purpose};

/// The most pages of one case.
pub const MAX_PAGES: usize = 24;

/// A page to be kept.
#[derive(Encode, Decode)]
#[cbor(map)]
pub struct NewPage {
    /// The case, open for this person.
    #[n(0)]
    pub case: CaseNumber,
    /// Whose case it is.
    #[n(1)]
    pub person: PersonId,
    /// Which paper.
    #[n(2)]
    pub paper: PaperCode,
    /// Who scanned it.
    #[n(3)]
    pub by: Actor,
    /// The file as it came: JPEG or PNG, at most 10 MB.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub file: Vec<u8>,
}

impl Drop for NewPage {
    fn drop(&mut self) {
        self.file.zeroize();
    }
}

impl fmt::Debug for NewPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewPage({}, {} bytes)", self.paper, self.file.len())
    }
}

/// What became of a page.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum PageKept {
    /// It is no picture that can be read; nothing was kept.
    #[n(0)]
    Refused(#[n(0)] CheckCode),
    /// It is kept. The same file for the same paper of the case is the same page.
    #[n(1)]
    Kept(#[n(0)] PageStatus),
}

/// What is known of a page, without the picture.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct PageStatus {
    /// The page.
    #[n(0)]
    pub page: PageId,
    /// Which paper.
    #[n(1)]
    pub paper: PaperCode,
    /// When it came in, seconds since 1970.
    #[n(2)]
    pub received_at: i64,
    /// Who scanned it.
    #[n(3)]
    pub by: Actor,
    /// Pixels across.
    #[n(4)]
    pub width: u32,
    /// Pixels down.
    #[n(5)]
    pub height: u32,
}

/// A look at a page.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct PageLook {
    /// The page.
    #[n(0)]
    pub page: PageId,
    /// Why.
    #[n(1)]
    pub purpose: Purpose,
    /// For which open case: the page's own.
    #[n(2)]
    pub case: CaseNumber,
    /// Who looks.
    #[n(3)]
    pub reader: Actor,
}

/// A page that left the store: a JPEG file (baseline, 24-bit colour) without metadata. Wiped when dropped.
#[derive(Encode, Decode)]
#[cbor(map)]
pub struct PagePicture {
    /// Pixels across.
    #[n(0)]
    pub width: u32,
    /// Pixels down.
    #[n(1)]
    pub height: u32,
    /// The file.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub jpeg: Vec<u8>,
}

impl Drop for PagePicture {
    fn drop(&mut self) {
        self.jpeg.zeroize();
    }
}

impl fmt::Debug for PagePicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PagePicture({} bytes)", self.jpeg.len())
    }
}

/// One line of the record of looks at pages.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct PageLooked {
    /// When.
    #[n(0)]
    pub at: i64,
    /// Which page.
    #[n(1)]
    pub page: PageId,
    /// Of which paper.
    #[n(2)]
    pub paper: PaperCode,
    /// Why.
    #[n(3)]
    pub purpose: Purpose,
    /// For which case.
    #[n(4)]
    pub case: CaseNumber,
    /// Who.
    #[n(5)]
    pub reader: Actor,
    /// `None` where it was allowed, else why it was refused.
    #[n(6)]
    pub refused: Option<FailureCode>,
}

/// A page is written anew from its pixels, sealed, and kept for its open case.
#[derive(Debug, Encode, Decode)]
pub struct KeepPage(#[n(0)] pub NewPage);

impl Operation for KeepPage {
    type Answer = PageKept;
    const POLICY: Policy = Policy::of_today(Journal::Before).idempotent();
    const DOORS: &'static [&'static str] = &["/counter/cases/{application}/papers"];
}

/// The pages of a case, in the order in which they came.
#[derive(Debug, Encode, Decode)]
pub struct ListPages(#[n(0)] pub CaseNumber);

impl Operation for ListPages {
    type Answer = Vec<PageStatus>;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["/counter/cases/{application}"];
}

/// A look at a page for its open case; it is on record before the first byte leaves the store.
#[derive(Debug, Encode, Decode)]
pub struct LookAtPage(#[n(0)] pub PageLook);

impl Operation for LookAtPage {
    type Answer = PagePicture;
    const POLICY: Policy = Policy::of_today(Journal::Before);
    const DOORS: &'static [&'static str] = &["/counter/cases/{application}/papers/{page}"];
}

/// Destroys a page of an open case: scanned by mistake, or to be replaced. The paper itself is in its owner's hand.
#[derive(Debug, Encode, Decode)]
pub struct RemovePage(#[n(0)] pub PageId, #[n(1)] pub CaseNumber, #[n(2)] pub Actor);

impl Operation for RemovePage {
    type Answer = ();
    const POLICY: Policy = Policy::of_today(Journal::Before)
        .while_sealed()
        .idempotent()
        .irreversible();
    const DOORS: &'static [&'static str] = &["/counter/cases/{application}/papers/{page}/remove"];
}

/// Destroys every page of a case that is over.
#[derive(Debug, Encode, Decode)]
pub struct EndPages(#[n(0)] pub CaseNumber, #[n(1)] pub Actor);

impl Operation for EndPages {
    type Answer = ();
    const POLICY: Policy = Policy::of_today(Journal::Before)
        .while_sealed()
        .idempotent()
        .irreversible();
    const DOORS: &'static [&'static str] = &[
        "issuer hand-over",
        "issuer application withdraw",
        "issuer photo close-case",
    ];
}

/// Who looked at the pages of a person's cases, refused attempts included, the newest first, at most 1000.
#[derive(Debug, Encode, Decode)]
pub struct ListPageLooks(#[n(0)] pub PersonId);

impl Operation for ListPageLooks {
    type Answer = Vec<PageLooked>;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["issuer photo reads"];
}
