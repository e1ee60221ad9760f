//! The operations of the photo store: one line each in the list, and beside each its answer, its policy and its doors.
//!
//! "While sealed" is said of the vault: what needs no key is answered without it. "Journal before" is the record of reads,
//! and for everything that changes the index the person and the instant in the row itself; both are durable before the
//! answer leaves. A new operation is a struct here, a line in the list, an arm in the store and a method of the client.

use minicbor::{Decode, Encode};
use service_contract::{Journal, Operation, Policy};

use crate::codes::FailureCode;
use crate::messages::{
    Actor, CameraFrame, CaseNumber, Confirm, Erase, Judgement, OpenCase, PersonId, PhotoId, PhotoStatus,
    Picture, Read, ReadRecord, ReceiptInfo, Release, ReleaseToken, ServiceStatus, Submission, Submit,
    TakeBack, TakeReceipt,
};
pub use crate::pages::{EndPages, KeepPage, ListPageLooks, ListPages, LookAtPage, RemovePage};
use crate::pages::{PageKept, PageLooked, PagePicture, PageStatus};
use crate::receipt::ReceiptNumber;

/// The doors of an operation that no program reaches today; a page of the office will.
const NONE_YET: &[&str] = &["none yet: later issue"];

service_contract::operations! {
    /// Everything that can be asked; the numbers are the wire's.
    #[derive(Debug)]
    pub enum Request {
        0 = Hello,
        1 = ShowStatus,
        2 = SubmitPhoto,
        3 = ConfirmPhoto,
        4 = ShowPhoto,
        5 = ShowReceipt,
        6 = UseReceipt,
        7 = BeginCase,
        8 = CloseCase,
        9 = ReadPhoto,
        10 = ReleasePhoto,
        11 = RedeemRelease,
        12 = ListReads,
        13 = ErasePhoto,
        14 = ListPhotos,
        15 = TakeBackPhoto,
        16 = KeepPage,
        17 = ListPages,
        18 = LookAtPage,
        19 = RemovePage,
        20 = EndPages,
        21 = ListPageLooks,
        22 = JudgeFrame,
    }
}

/// Everything that is answered.
#[derive(Debug, Encode, Decode)]
pub enum Response {
    /// The connection may be used; [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION) of the store.
    #[n(0)]
    Welcome(#[n(0)] u32),
    /// Nothing was done; why.
    #[n(1)]
    Failed(#[n(0)] FailureCode),
    /// How the store is.
    #[n(2)]
    Status(#[n(0)] ServiceStatus),
    /// What became of a photo.
    #[n(3)]
    Submitted(#[n(0)] Submission),
    /// How a photo stands.
    #[n(4)]
    Photo(#[n(0)] PhotoStatus),
    /// How a receipt stands.
    #[n(5)]
    Receipt(#[n(0)] ReceiptInfo),
    /// It is done.
    #[n(6)]
    Done,
    /// A rendition.
    #[n(7)]
    Picture(#[n(0)] Picture),
    /// What redeems a release.
    #[n(8)]
    Token(#[n(0)] ReleaseToken),
    /// Who read.
    #[n(9)]
    Reads(#[n(0)] Vec<ReadRecord>),
    /// Photos of a person.
    #[n(10)]
    Photos(#[n(0)] Vec<PhotoStatus>),
    /// What became of a page.
    #[n(11)]
    PageKept(#[n(0)] PageKept),
    /// Pages of a case.
    #[n(12)]
    Pages(#[n(0)] Vec<PageStatus>),
    /// A page.
    #[n(13)]
    Page(#[n(0)] PagePicture),
    /// Who looked at pages.
    #[n(14)]
    Looks(#[n(0)] Vec<PageLooked>),
    /// What the checks say of a picture that is not kept; nothing where a photo is being judged.
    #[n(15)]
    Judged(#[n(0)] Option<Judgement>),
}

service_contract::answers! {
    Response {
        () = Done,
        Welcome(u32),
        Status(ServiceStatus),
        Submitted(Submission),
        Photo(PhotoStatus),
        Receipt(ReceiptInfo),
        Picture(Picture),
        Token(ReleaseToken),
        Reads(Vec<ReadRecord>),
        Photos(Vec<PhotoStatus>),
        PageKept(PageKept),
        Pages(Vec<PageStatus>),
        Page(PagePicture),
        Looks(Vec<PageLooked>),
        Judged(Option<Judgement>),
    }
}

/// The first message of a connection: the version of this protocol that the client speaks.
#[derive(Debug, Encode, Decode)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION) of the client.
    #[n(0)]
    pub version: u32,
}

impl Operation for Hello {
    type Answer = u32;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["every connection"];
}

/// How the store is.
#[derive(Debug, Encode, Decode)]
pub struct ShowStatus;

impl Operation for ShowStatus {
    type Answer = ServiceStatus;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["issuer doctor", "/readyz"];
}

/// Judges, normalises and seals a photo. The same bytes of the same person make nothing new.
#[derive(Debug, Encode, Decode)]
pub struct SubmitPhoto(#[n(0)] pub Submit);

impl Operation for SubmitPhoto {
    type Answer = Submission;
    const POLICY: Policy = Policy::of_today(Journal::Before).idempotent();
    const DOORS: &'static [&'static str] = &[
        "issuer photo submit",
        "/v1/applications/{id}/photos",
        "permit photo",
    ];
}

/// Confirms every warning of a photo under a person's name; the answer holds the receipt.
#[derive(Debug, Encode, Decode)]
pub struct ConfirmPhoto(#[n(0)] pub Confirm);

impl Operation for ConfirmPhoto {
    type Answer = PhotoStatus;
    const POLICY: Policy = Policy::of_today(Journal::Before).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &[
        "issuer photo confirm",
        "/v1/applications/{id}/photos/{photo}/confirmation",
        "permit photo",
    ];
}

/// What is known about a photo, without the picture.
#[derive(Debug, Encode, Decode)]
pub struct ShowPhoto(#[n(0)] pub PhotoId);

impl Operation for ShowPhoto {
    type Answer = PhotoStatus;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["issuer photo show"];
}

/// What can be done with a receipt.
#[derive(Debug, Encode, Decode)]
pub struct ShowReceipt(#[n(0)] pub ReceiptNumber);

impl Operation for ShowReceipt {
    type Answer = ReceiptInfo;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["issuer photo receipt"];
}

/// Uses a receipt for a case, once, and opens that case for reads.
#[derive(Debug, Encode, Decode)]
pub struct UseReceipt(#[n(0)] pub TakeReceipt);

impl Operation for UseReceipt {
    type Answer = PhotoStatus;
    const POLICY: Policy = Policy::of_today(Journal::Before).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["/v1/orders", "issuer change propose"];
}

/// Opens a case for a person without a receipt (endorsements need none).
#[derive(Debug, Encode, Decode)]
pub struct BeginCase(#[n(0)] pub OpenCase);

impl Operation for BeginCase {
    type Answer = ();
    const POLICY: Policy = Policy::of_today(Journal::Before).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["issuer photo open-case", "/v1/applications/{id}/photo-case"];
}

/// Closes a case: nothing is read for it any more. Who closes it is named.
#[derive(Debug, Encode, Decode)]
pub struct CloseCase(#[n(0)] pub CaseNumber, #[n(1)] pub Actor);

impl Operation for CloseCase {
    type Answer = ();
    const POLICY: Policy = Policy::of_today(Journal::Before).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &[
        "issuer photo close-case",
        "/v1/applications/{id}/photo-case",
        "issuer hand-over",
    ];
}

/// Reads a rendition for an open case; the read is on record before the first byte leaves the store.
#[derive(Debug, Encode, Decode)]
pub struct ReadPhoto(#[n(0)] pub Read);

impl Operation for ReadPhoto {
    type Answer = Picture;
    const POLICY: Policy = Policy::of_today(Journal::Before);
    const DOORS: &'static [&'static str] = &[
        "issuer worker",
        "issuer photo read",
        "/v1/applications/{id}/photos/{photo}/picture",
    ];
}

/// Allows another person one kind of read for some minutes.
#[derive(Debug, Encode, Decode)]
pub struct ReleasePhoto(#[n(0)] pub Release);

impl Operation for ReleasePhoto {
    type Answer = ReleaseToken;
    const POLICY: Policy = Policy::of_today(Journal::Before).while_sealed();
    const DOORS: &'static [&'static str] = NONE_YET;
}

/// Redeems a release; the actor must be the person whom it names. On record as a read is.
#[derive(Debug, Encode, Decode)]
pub struct RedeemRelease(#[n(0)] pub ReleaseToken, #[n(1)] pub Actor);

impl Operation for RedeemRelease {
    type Answer = Picture;
    const POLICY: Policy = Policy::of_today(Journal::Before);
    const DOORS: &'static [&'static str] = NONE_YET;
}

/// Who read a person's photos, refused attempts included, the newest first, at most 1000.
#[derive(Debug, Encode, Decode)]
pub struct ListReads(#[n(0)] pub PersonId);

impl Operation for ListReads {
    type Answer = Vec<ReadRecord>;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["issuer photo reads", "/v1/applications/{id}/photo-reads"];
}

/// Destroys a photo's wrapped keys and its objects.
#[derive(Debug, Encode, Decode)]
pub struct ErasePhoto(#[n(0)] pub Erase);

impl Operation for ErasePhoto {
    type Answer = PhotoStatus;
    const POLICY: Policy = Policy::of_today(Journal::Before)
        .while_sealed()
        .idempotent()
        .irreversible();
    const DOORS: &'static [&'static str] = &[
        "issuer photo approve-erase",
        "/v1/applications/{id}/photos/{photo}/erasure/approval",
    ];
}

/// What is known about each of a person's photos, the newest first, without the pictures.
#[derive(Debug, Encode, Decode)]
pub struct ListPhotos(#[n(0)] pub PersonId);

impl Operation for ListPhotos {
    type Answer = Vec<PhotoStatus>;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["issuer photo show", "/v1/applications/{id}/photos"];
}

/// Destroys a photo that no case has used: its wrapped keys, its objects, its receipt.
#[derive(Debug, Encode, Decode)]
pub struct TakeBackPhoto(#[n(0)] pub TakeBack);

impl Operation for TakeBackPhoto {
    type Answer = PhotoStatus;
    const POLICY: Policy = Policy::of_today(Journal::Before)
        .while_sealed()
        .idempotent()
        .irreversible();
    const DOORS: &'static [&'static str] =
        &["issuer photo take-back", "/v1/applications/{id}/photos/{photo}"];
}

/// What the checks say of what a camera sees: a small picture, of which nothing is kept. Nothing is answered while a photo is judged, which
/// waits for no hint.
#[derive(Debug, Encode, Decode)]
pub struct JudgeFrame(#[n(0)] pub CameraFrame);

impl Operation for JudgeFrame {
    type Answer = Option<Judgement>;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["/counter/cases/{application}/camera/frame"];
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use service_contract::answered;

    use super::*;
    use crate::messages::PageId;
    use crate::pages::{NewPage, PageLook};

    /// The requests as an enum of the derive macro: what this version of the protocol has always been on the wire.
    #[derive(Encode, Decode)]
    enum Derived {
        #[n(0)]
        Hello {
            #[n(0)]
            version: u32,
        },
        #[n(1)]
        Status,
        #[n(2)]
        Submit(#[n(0)] Submit),
        #[n(3)]
        Confirm(#[n(0)] Confirm),
        #[n(4)]
        Photo(#[n(0)] PhotoId),
        #[n(5)]
        Receipt(#[n(0)] ReceiptNumber),
        #[n(6)]
        TakeReceipt(#[n(0)] TakeReceipt),
        #[n(7)]
        OpenCase(#[n(0)] OpenCase),
        #[n(8)]
        CloseCase(#[n(0)] CaseNumber, #[n(1)] Actor),
        #[n(9)]
        Read(#[n(0)] Read),
        #[n(10)]
        Release(#[n(0)] Release),
        #[n(11)]
        Redeem(#[n(0)] ReleaseToken, #[n(1)] Actor),
        #[n(12)]
        Reads(#[n(0)] PersonId),
        #[n(13)]
        Erase(#[n(0)] Erase),
        #[n(14)]
        Photos(#[n(0)] PersonId),
        #[n(15)]
        TakeBack(#[n(0)] TakeBack),
        #[n(16)]
        KeepPage(#[n(0)] NewPage),
        #[n(17)]
        Pages(#[n(0)] CaseNumber),
        #[n(18)]
        LookAtPage(#[n(0)] PageLook),
        #[n(19)]
        RemovePage(#[n(0)] PageId, #[n(1)] CaseNumber, #[n(2)] Actor),
        #[n(20)]
        EndPages(#[n(0)] CaseNumber, #[n(1)] Actor),
        #[n(21)]
        PageLooks(#[n(0)] PersonId),
        #[n(22)]
        JudgeFrame(#[n(0)] CameraFrame),
    }

    /// Every request with the same one as it has always been.
    fn pairs() -> Vec<(Request, Derived)> {
        let (photo, person) = (PhotoId::from_bytes([1; 16]), PersonId::from_bytes([2; 16]));
        let number = ReceiptNumber::from_random([3; 15]);
        let case: CaseNumber = "K-1".parse().unwrap();
        let by: Actor = "王芳 0731".parse().unwrap();
        let submit = || Submit {
            person,
            by: by.clone(),
            period: crate::ReceiptPeriod::Days60,
            file: vec![0xff, 0xd8, 0xff],
        };
        let confirm = Confirm {
            photo,
            by: by.clone(),
            warnings: vec![crate::CheckCode::Background],
        };
        let take = TakeReceipt {
            number,
            case: case.clone(),
            person,
            by: by.clone(),
        };
        let open = OpenCase {
            case: case.clone(),
            person,
            by: by.clone(),
        };
        let read = Read {
            photo,
            profile: crate::Profile::Chip,
            purpose: crate::Purpose::Production,
            case: case.clone(),
            reader: by.clone(),
        };
        let release = Release {
            read: read.clone(),
            minutes: 5,
            by: by.clone(),
        };
        let erase = Erase {
            photo,
            by: by.clone(),
            case: case.clone(),
        };
        let take_back = TakeBack {
            photo,
            person,
            by: by.clone(),
        };
        let token = || ReleaseToken::from_bytes([4; 32]);
        vec![
            (Hello { version: 1 }.into(), Derived::Hello { version: 1 }),
            (ShowStatus.into(), Derived::Status),
            (SubmitPhoto(submit()).into(), Derived::Submit(submit())),
            (ConfirmPhoto(confirm.clone()).into(), Derived::Confirm(confirm)),
            (ShowPhoto(photo).into(), Derived::Photo(photo)),
            (ShowReceipt(number).into(), Derived::Receipt(number)),
            (UseReceipt(take.clone()).into(), Derived::TakeReceipt(take)),
            (BeginCase(open.clone()).into(), Derived::OpenCase(open)),
            (
                CloseCase(case.clone(), by.clone()).into(),
                Derived::CloseCase(case, by.clone()),
            ),
            (ReadPhoto(read.clone()).into(), Derived::Read(read)),
            (ReleasePhoto(release.clone()).into(), Derived::Release(release)),
            (
                RedeemRelease(token(), by.clone()).into(),
                Derived::Redeem(token(), by.clone()),
            ),
            (ListReads(person).into(), Derived::Reads(person)),
            (ErasePhoto(erase.clone()).into(), Derived::Erase(erase)),
            (ListPhotos(person).into(), Derived::Photos(person)),
            (
                TakeBackPhoto(take_back.clone()).into(),
                Derived::TakeBack(take_back),
            ),
        ]
    }

    /// Likewise, of pages.
    fn pairs_of_pages() -> Vec<(Request, Derived)> {
        let person = PersonId::from_bytes([2; 16]);
        let (case, by): (CaseNumber, Actor) = ("K-1".parse().unwrap(), "王芳 0731".parse().unwrap());
        let seen = || CameraFrame {
            file: vec![0xff, 0xd8, 0xff],
        };
        let page = PageId::from_bytes([5; 16]);
        let new_page = || NewPage {
            case: case.clone(),
            person,
            paper: "ADDR_LEASE".parse().unwrap(),
            by: by.clone(),
            file: vec![0xff, 0xd8, 0xff],
        };
        let look = PageLook {
            page,
            purpose: crate::Purpose::Review,
            case: case.clone(),
            reader: by.clone(),
        };
        vec![
            (KeepPage(new_page()).into(), Derived::KeepPage(new_page())),
            (ListPages(case.clone()).into(), Derived::Pages(case.clone())),
            (LookAtPage(look.clone()).into(), Derived::LookAtPage(look)),
            (
                RemovePage(page, case.clone(), by.clone()).into(),
                Derived::RemovePage(page, case.clone(), by.clone()),
            ),
            (
                EndPages(case.clone(), by.clone()).into(),
                Derived::EndPages(case.clone(), by.clone()),
            ),
            (ListPageLooks(person).into(), Derived::PageLooks(person)),
            (JudgeFrame(seen()).into(), Derived::JudgeFrame(seen())),
        ]
    }

    #[test]
    fn every_request_has_the_bytes_that_it_always_had() {
        let mut pairs = pairs();
        pairs.extend(pairs_of_pages());
        assert_eq!(pairs.len(), OPERATIONS.len());
        for ((request, derived), listed) in pairs.iter().zip(OPERATIONS) {
            assert_eq!(request.listed(), *listed);
            let bytes = minicbor::to_vec(derived).unwrap();
            assert_eq!(minicbor::to_vec(request).unwrap(), bytes, "{}", listed.name);
            let back: Request = minicbor::decode(&bytes).unwrap();
            assert_eq!(minicbor::to_vec(&back).unwrap(), bytes, "{}", listed.name);
        }
        let hello = minicbor::to_vec(&pairs[0].0).unwrap();
        assert_eq!(hello, [0x82, 0x00, 0x81, 0x01]);
        let welcome = minicbor::to_vec(answered::<Hello, Response>(1)).unwrap();
        assert_eq!(welcome, [0x82, 0x00, 0x81, 0x01]);
        assert_eq!(
            minicbor::to_vec(answered::<BeginCase, Response>(())).unwrap(),
            [0x82, 0x06, 0x80]
        );
    }

    #[test]
    fn the_table_of_the_operations_is_the_list() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../OPERATIONS.md");
        let command = "cargo test -p photo-store-protocol the_table_of_the_operations_is_the_list";
        service_contract::table::hold(document.as_ref(), OPERATIONS, command).unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = minicbor::decode::<Request>(&bytes);
            let _ = minicbor::decode::<Response>(&bytes);
        }
    }
}
