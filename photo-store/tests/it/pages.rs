//! Pages of papers on both engines, with the real key vault and the decoder in a process of its own.

use photo_store::service::Service;
use photo_store_protocol::{
    CaseNumber, CheckCode, FailureCode, MAX_PAGES, NewPage, OpenCase, PageId, PageKept, PageLook, PageStatus,
    PersonId, Purpose,
};

use crate::support::{SetClock, engines, pictures, vault};

const PERSON: PersonId = PersonId::from_bytes([0x61; 16]);
const OTHER: PersonId = PersonId::from_bytes([0x62; 16]);
const DAY: i64 = 86_400;

struct Rig {
    engine: engines::Engine,
    clock: SetClock,
    service: Service,
    folder: tempfile::TempDir,
}

impl Rig {
    async fn over(engine: engines::Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = SetClock::new();
        let vault = vault::shared().await;
        let service = crate::support::service(&engine.store, folder.path(), &vault, &clock);
        Self {
            engine,
            clock,
            service,
            folder,
        }
    }

    async fn open(&self, case: &str, person: PersonId) -> CaseNumber {
        let case: CaseNumber = case.parse().unwrap();
        let open = OpenCase {
            case: case.clone(),
            person,
            by: "liu".parse().unwrap(),
        };
        self.service.open_case(&open).await.unwrap();
        case
    }

    async fn kept(&self, case: &CaseNumber, file: Vec<u8>) -> PageStatus {
        match self.service.keep_page(new(case, file)).await.unwrap() {
            PageKept::Kept(page) => page,
            PageKept::Refused(code) => panic!("{code}"),
        }
    }

    async fn look(&self, page: PageId, case: &CaseNumber) -> Result<Vec<u8>, FailureCode> {
        let look = PageLook {
            page,
            purpose: Purpose::Review,
            case: case.clone(),
            reader: "wang".parse().unwrap(),
        };
        match self.service.look_at_page(&look).await {
            Ok(mut picture) => Ok(std::mem::take(&mut picture.jpeg)),
            Err(error) => Err(error.code()),
        }
    }

    /// Files below the folder of the objects.
    fn objects(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        count(self.folder.path())
    }
}

fn new(case: &CaseNumber, file: Vec<u8>) -> NewPage {
    NewPage {
        case: case.clone(),
        person: PERSON,
        paper: "ADDR_LEASE".parse().unwrap(),
        by: "liu".parse().unwrap(),
        file,
    }
}

#[tokio::test]
async fn a_page_is_seen_for_its_own_open_case_alone_each_look_on_record_and_ends_with_it() {
    for engine in engines::both().await {
        let rig = Rig::over(engine).await;
        let name = rig.engine.name;
        let closed: CaseNumber = "K-1".parse().unwrap();
        let refused = rig.service.keep_page(new(&closed, pictures::page(0))).await;
        assert_eq!(refused.unwrap_err().code(), FailureCode::CaseNotOpen, "{name}");
        let (case, others) = (rig.open("K-1", PERSON).await, rig.open("K-2", OTHER).await);
        let second = rig.open("K-3", PERSON).await;
        let page = rig.kept(&case, pictures::page(0)).await;
        // A form that is sent twice keeps one page; for another case it is another page.
        assert_eq!(rig.kept(&case, pictures::page(0)).await, page, "{name}");
        assert_ne!(
            rig.kept(&second, pictures::page(0)).await.page,
            page.page,
            "{name}"
        );
        assert_eq!(
            rig.service.pages(&case).await.unwrap(),
            std::slice::from_ref(&page),
            "{name}"
        );
        assert_eq!((page.width, page.height), (700, 900));

        let seen = rig.look(page.page, &case).await.unwrap();
        let picture = image::load_from_memory(&seen).unwrap();
        assert_eq!((picture.width(), picture.height()), (700, 900));
        // Another person's case and another case of the same person do not lead to it, neither to see nor to remove it.
        for wrong in [&others, &second] {
            assert_eq!(
                rig.look(page.page, wrong).await,
                Err(FailureCode::CaseNotOpen),
                "{name}"
            );
            let removed = rig
                .service
                .remove_page(page.page, wrong, &"liu".parse().unwrap())
                .await;
            assert_eq!(removed.unwrap_err().code(), FailureCode::CaseNotOpen, "{name}");
        }
        let by = "liu".parse().unwrap();
        rig.service.close_case(&case, &by).await.unwrap();
        assert_eq!(
            rig.look(page.page, &case).await,
            Err(FailureCode::CaseNotOpen),
            "{name}"
        );
        let late = rig.service.keep_page(new(&case, pictures::page(1))).await;
        assert_eq!(late.unwrap_err().code(), FailureCode::CaseNotOpen, "{name}");
        let looks = rig.service.page_looks(PERSON).await.unwrap();
        let refusals: Vec<_> = looks.iter().map(|look| look.refused).collect();
        let closed = Some(FailureCode::CaseNotOpen);
        assert_eq!(refusals, [closed, closed, closed, None], "{name}");

        // The case is over: no key, no object.
        let before = rig.objects();
        rig.service.end_pages(&case, &by).await.unwrap();
        rig.service.end_pages(&case, &by).await.unwrap();
        assert_eq!(rig.objects(), before - 1, "{name}");
        rig.open("K-1", PERSON).await;
        assert_eq!(
            rig.look(page.page, &case).await,
            Err(FailureCode::UnknownPage),
            "{name}"
        );
        assert!(rig.service.pages(&case).await.unwrap().is_empty(), "{name}");
        // What nobody ended goes by itself.
        rig.clock.forward(181 * DAY);
        rig.service.housekeep().await.unwrap();
        assert!(rig.service.pages(&second).await.unwrap().is_empty(), "{name}");
        assert_eq!(rig.objects(), 0, "{name}");
    }
}

#[tokio::test]
async fn what_stands_in_or_behind_a_file_never_reaches_whoever_looks() {
    let rig = Rig::over(engines::sqlite().await).await;
    let case = rig.open("K-1", PERSON).await;
    let payload = b"PK\x03\x04<script>alert(document.cookie)</script>%PDF-1.7";
    // Behind the picture, and in a comment of it.
    let page = pictures::page_jpeg();
    let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
    let comment = [&[0xff, 0xfe], &length[..], payload].concat();
    let polyglot = [&page[..2], &comment, &page[2..], payload].concat();
    for file in [polyglot, [&pictures::page(0)[..], payload].concat()] {
        let kept = rig.kept(&case, file).await;
        let seen = rig.look(kept.page, &case).await.unwrap();
        assert!(seen.starts_with(&[0xff, 0xd8]) && seen.ends_with(&[0xff, 0xd9]));
        for word in [&b"script"[..], b"PK\x03\x04", b"%PDF"] {
            assert!(!seen.windows(word.len()).any(|window| window == word));
        }
    }
}

#[tokio::test]
async fn a_bomb_a_blank_page_and_what_is_no_picture_are_refused_and_leave_nothing() {
    let rig = Rig::over(engines::sqlite().await).await;
    let case = rig.open("K-1", PERSON).await;
    let blank = pictures::png(&image::RgbImage::from_pixel(700, 900, image::Rgb([255; 3])));
    let small = pictures::png(&image::RgbImage::from_pixel(700, 90, image::Rgb([255; 3])));
    let refused = [
        (pictures::bomb(), CheckCode::Pixels),
        (b"%PDF-1.7 a lease".to_vec(), CheckCode::Format),
        (blank, CheckCode::PageBlank),
        (small, CheckCode::PageSmall),
        (pictures::page_jpeg()[..4_000].to_vec(), CheckCode::Truncated),
    ];
    for (file, why) in refused {
        let kept = rig.service.keep_page(new(&case, file)).await.unwrap();
        assert_eq!(kept, PageKept::Refused(why));
    }
    assert_eq!(rig.objects(), 0);
}

#[tokio::test]
async fn a_case_has_room_for_so_many_pages() {
    let rig = Rig::over(engines::sqlite().await).await;
    let case = rig.open("K-1", PERSON).await;
    for number in 0..MAX_PAGES {
        rig.kept(&case, pictures::page(number)).await;
    }
    let full = rig.service.keep_page(new(&case, pictures::page(MAX_PAGES))).await;
    assert_eq!(full.unwrap_err().code(), FailureCode::TooManyPages);
    // One that is removed makes room; the same form again is no other page.
    let first = rig.service.pages(&case).await.unwrap()[0].page;
    rig.kept(&case, pictures::page(0)).await;
    let by = "liu".parse().unwrap();
    rig.service.remove_page(first, &case, &by).await.unwrap();
    rig.service.remove_page(first, &case, &by).await.unwrap();
    rig.kept(&case, pictures::page(MAX_PAGES)).await;
    assert_eq!(rig.objects(), MAX_PAGES);
}
