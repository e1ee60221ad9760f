//! The policy of every operation, held against what the store does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use photo_store::keeping::store::index::Store;
use photo_store::service::Service;
use photo_store::socket;
use photo_store_protocol::operation::{
    BeginCase, CloseCase, ConfirmPhoto, EndPages, ErasePhoto, Hello, JudgeFrame, KeepPage, ListPageLooks,
    ListPages, ListPhotos, ListReads, LookAtPage, ReadPhoto, RedeemRelease, ReleasePhoto, RemovePage,
    ShowPhoto, ShowReceipt, ShowStatus, SubmitPhoto, TakeBackPhoto, UseReceipt,
};
use photo_store_protocol::{
    Actor, CameraFrame, CaseNumber, Confirm, Erase, FailureCode, MAX_FRAME_BYTES, NewPage, OPERATIONS,
    OpenCase, PROTOCOL_VERSION, PageId, PageKept, PageLook, PersonId, PhotoId, PhotoStatus, Profile, Purpose,
    Read, ReceiptPeriod, Release, ReleaseToken, Request, Response, Submission, Submit, TakeBack, TakeReceipt,
};
use service_contract::{Journal, frame};
use sqlx::{Connection as _, Row as _};

use crate::support::vault::{Reach, TestVault};
use crate::support::{self, SetClock, pictures};

/// Whoever asks; nobody else has this name.
const ACTOR: &str = "操作员 99";
/// Whose photo a case has used, whose waits for a case, whose waits for a confirmation, and who has none.
const PEOPLE: [PersonId; 4] = [
    PersonId::from_bytes([0x51; 16]),
    PersonId::from_bytes([0x52; 16]),
    PersonId::from_bytes([0x53; 16]),
    PersonId::from_bytes([0x54; 16]),
];
/// The open cases of the first three.
const CASES: [&str; 3] = ["K-1", "K-2", "K-3"];

fn actor() -> Actor {
    ACTOR.parse().unwrap()
}

fn case(number: &str) -> CaseNumber {
    number.parse().unwrap()
}

fn submit(person: PersonId, file: &[u8], by: &str) -> Submit {
    Submit {
        person,
        by: by.parse().unwrap(),
        period: ReceiptPeriod::Days30,
        file: file.to_vec(),
    }
}

fn look(photo: PhotoId, number: &str, reader: &str) -> Read {
    Read {
        photo,
        profile: Profile::Thumb,
        purpose: Purpose::Review,
        case: case(number),
        reader: reader.parse().unwrap(),
    }
}

fn open(person: PersonId, number: &str) -> OpenCase {
    OpenCase {
        case: case(number),
        person,
        by: actor(),
    }
}

/// A page of the first one's case.
fn page(number: usize, by: &str) -> NewPage {
    NewPage {
        case: case(CASES[0]),
        person: PEOPLE[0],
        paper: "ADDR_LEASE".parse().unwrap(),
        by: by.parse().unwrap(),
        file: pictures::page(number),
    }
}

fn look_at(page: PageId, reader: &str) -> PageLook {
    PageLook {
        page,
        purpose: Purpose::Review,
        case: case(CASES[0]),
        reader: reader.parse().unwrap(),
    }
}

/// A store in which every operation has something to do. It is copied for each of them.
struct Base {
    vault: TestVault,
    /// Where the vault lies.
    _place: tempfile::TempDir,
    folder: tempfile::TempDir,
    photos: [PhotoStatus; 3],
    page: PageId,
    token: [u8; 32],
}

/// A store, and where it lies.
struct Copied {
    folder: tempfile::TempDir,
    store: Store,
    service: Service,
}

impl Copied {
    async fn at(folder: tempfile::TempDir, vault: &Reach) -> Self {
        let store = Store::open_file(&folder.path().join("photos.sqlite"))
            .await
            .unwrap();
        let objects = folder.path().join("objects");
        std::fs::create_dir_all(&objects).unwrap();
        let service = support::service(&store, &objects, vault, &SetClock::new());
        Self {
            folder,
            store,
            service,
        }
    }

    async fn ask(&self, request: &Request) -> Response {
        let (mut near, far) = tokio::io::duplex(1 << 16);
        let conversation = async {
            let hello = Request::from(Hello {
                version: PROTOCOL_VERSION,
            });
            frame::write(&mut near, &hello, MAX_FRAME_BYTES).await.unwrap();
            let welcome = frame::read(&mut near, MAX_FRAME_BYTES).await.unwrap().unwrap();
            if matches!(request, Request::Hello(_)) {
                return welcome;
            }
            frame::write(&mut near, request, MAX_FRAME_BYTES).await.unwrap();
            frame::read(&mut near, MAX_FRAME_BYTES).await.unwrap().unwrap()
        };
        tokio::select! {
            biased;
            response = conversation => response,
            () = socket::connection(far, &self.service) => panic!("the store hung up"),
        }
    }

    /// Every row of the index, as text, by table.
    async fn rows(&self) -> BTreeMap<String, BTreeSet<String>> {
        let file = self.folder.path().join("photos.sqlite");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut index = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'",
        )
        .fetch_all(&mut index)
        .await
        .unwrap();
        let mut all = BTreeMap::new();
        for table in tables {
            let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
                .bind(&table)
                .fetch_all(&mut index)
                .await
                .unwrap();
            let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
            let query = format!("SELECT {} FROM {table}", quoted.join(" || '|' || "));
            let rows = sqlx::query(sqlx::AssertSqlSafe(query))
                .fetch_all(&mut index)
                .await
                .unwrap();
            all.insert(table, rows.iter().map(|row| row.get(0)).collect());
        }
        assert!(all.contains_key("photos") && all.contains_key("reads"));
        all
    }

    /// Which of the base's photos can be looked at for their open cases, and whether its page can: one number more.
    async fn readable(&self, base: &Base) -> BTreeSet<usize> {
        let mut readable = BTreeSet::new();
        for (index, (photo, number)) in base.photos.iter().zip(CASES).enumerate() {
            // As it is stored: nothing is decoded for it.
            let read = Read {
                profile: Profile::Print,
                ..look(photo.photo, number, "检查员")
            };
            if self.service.read(read).await.is_ok() {
                readable.insert(index);
            }
        }
        let look = look_at(base.page, "检查员");
        if self.service.look_at_page(&look).await.is_ok() {
            readable.insert(base.photos.len());
        }
        readable
    }
}

/// Whether a row is there that was not, and names who asked.
fn names_the_actor(
    before: &BTreeMap<String, BTreeSet<String>>,
    after: &BTreeMap<String, BTreeSet<String>>,
) -> bool {
    after
        .iter()
        .any(|(table, rows)| rows.difference(&before[table]).any(|row| row.contains(ACTOR)))
}

fn held(submission: Submission) -> PhotoStatus {
    match submission {
        Submission::Held { photo, .. } => photo,
        Submission::Refused(judgement) => panic!("refused: {:?}", judgement.refusals()),
    }
}

impl Base {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let vault = TestVault::open(place.path()).await;
        let made = Copied::at(tempfile::tempdir().unwrap(), &vault.reach).await;
        let mut photos = Vec::new();
        for (person, file) in PEOPLE.into_iter().zip([
            pictures::studio_jpeg(),
            pictures::studio_jpeg(),
            pictures::SAMPLE.to_vec(),
        ]) {
            photos.push(held(
                made.service
                    .submit(submit(person, &file, "相机 3"))
                    .await
                    .unwrap(),
            ));
        }
        let photos: [PhotoStatus; 3] = photos.try_into().unwrap();
        let take = TakeReceipt {
            number: photos[0].receipt.clone().unwrap().number,
            case: case(CASES[0]),
            person: PEOPLE[0],
            by: "李强".parse().unwrap(),
        };
        made.service.take_receipt(&take).await.unwrap();
        for (person, number) in PEOPLE.into_iter().zip(CASES).skip(1) {
            let open = OpenCase {
                by: "李强".parse().unwrap(),
                ..open(person, number)
            };
            made.service.open_case(&open).await.unwrap();
        }
        let release = Release {
            read: look(photos[0].photo, CASES[0], ACTOR),
            minutes: 60,
            by: "审核 2".parse().unwrap(),
        };
        let PageKept::Kept(kept) = made.service.keep_page(page(0, "李强")).await.unwrap() else {
            panic!("a page that is refused")
        };
        let token = *made.service.release(&release).await.unwrap().expose();
        made.store.close().await;
        Self {
            vault,
            _place: place,
            folder: made.folder,
            photos,
            page: kept.page,
            token,
        }
    }

    async fn copy(&self) -> Copied {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path(), folder.path());
        Copied::at(folder, &self.vault.reach).await
    }

    /// One of each operation, each with something to do.
    fn requests(&self) -> Vec<Request> {
        let [used, fresh, waiting] = &self.photos;
        vec![
            Hello {
                version: PROTOCOL_VERSION,
            }
            .into(),
            ShowStatus.into(),
            SubmitPhoto(submit(PEOPLE[3], &pictures::studio_jpeg(), ACTOR)).into(),
            ConfirmPhoto(Confirm {
                photo: waiting.photo,
                by: actor(),
                warnings: waiting.judgement.as_ref().unwrap().warnings(),
            })
            .into(),
            ShowPhoto(used.photo).into(),
            ShowReceipt(fresh.receipt.clone().unwrap().number).into(),
            UseReceipt(TakeReceipt {
                number: fresh.receipt.clone().unwrap().number,
                case: case("K-8"),
                person: PEOPLE[1],
                by: actor(),
            })
            .into(),
            BeginCase(open(PEOPLE[1], "K-9")).into(),
            CloseCase(case(CASES[1]), actor()).into(),
            ReadPhoto(look(used.photo, CASES[0], ACTOR)).into(),
            ReleasePhoto(Release {
                read: look(used.photo, CASES[0], "审核 2"),
                minutes: 5,
                by: actor(),
            })
            .into(),
            RedeemRelease(ReleaseToken::from_bytes(self.token), actor()).into(),
            ListReads(PEOPLE[0]).into(),
            ErasePhoto(Erase {
                photo: used.photo,
                by: actor(),
                case: case("ORDER-3"),
            })
            .into(),
            ListPhotos(PEOPLE[0]).into(),
            TakeBackPhoto(TakeBack {
                photo: fresh.photo,
                person: PEOPLE[1],
                by: actor(),
            })
            .into(),
            KeepPage(page(1, ACTOR)).into(),
            ListPages(case(CASES[0])).into(),
            LookAtPage(look_at(self.page, ACTOR)).into(),
            RemovePage(self.page, case(CASES[0]), actor()).into(),
            EndPages(case(CASES[0]), actor()).into(),
            ListPageLooks(PEOPLE[0]).into(),
            JudgeFrame(CameraFrame {
                file: pictures::studio_jpeg(),
            })
            .into(),
        ]
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What an operation says, without what tells a repetition from the first time.
fn says(response: &Response) -> String {
    match response {
        Response::Submitted(Submission::Held { photo, .. }) => format!("{photo:?}"),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn every_operation_does_what_its_policy_says() {
    let base = Base::new().await;
    let numbers: BTreeSet<u32> = base
        .requests()
        .iter()
        .map(|request| request.listed().number)
        .collect();
    let listed: BTreeSet<u32> = OPERATIONS.iter().map(|operation| operation.number).collect();
    assert_eq!(numbers, listed);

    for request in base.requests() {
        let (name, policy) = (request.listed().name, request.listed().policy);
        let at = base.copy().await;
        let seen = at.readable(&base).await;
        assert_eq!(seen.len(), 4, "{name}");
        let before = at.rows().await;
        let answer = at.ask(&request).await;
        assert!(!matches!(answer, Response::Failed(_)), "{name}: {answer:?}");
        let after = at.rows().await;

        match policy.journal {
            Journal::Before => assert!(names_the_actor(&before, &after), "{name} names nobody"),
            Journal::None => assert_eq!(after, before, "{name} leaves a row"),
            Journal::Grouped => panic!("{name}: nothing writes grouped lines"),
        }

        let again = at.ask(&request).await;
        let same = says(&again) == says(&answer) && at.rows().await == after;
        assert_eq!(same, policy.idempotent, "{name}: {answer:?} and then {again:?}");

        let lost = |now: &BTreeSet<usize>| !seen.is_subset(now);
        if policy.irreversible {
            assert!(lost(&at.readable(&base).await), "{name} takes nothing away");
            // Whatever else is asked, what is gone stays gone.
            for other in base.requests() {
                at.ask(&other).await;
            }
            at.ask(&BeginCase(open(PEOPLE[1], CASES[1])).into()).await;
            assert!(lost(&at.readable(&base).await), "{name} was taken back");
        } else {
            if let Request::CloseCase(_) = request {
                assert!(lost(&at.readable(&base).await));
                at.ask(&BeginCase(open(PEOPLE[1], CASES[1])).into()).await;
            }
            assert!(!lost(&at.readable(&base).await), "{name} takes away for good");
        }
        // Nothing is counted against a limit, and one person is enough: a policy must not promise more.
        assert_eq!(
            (policy.ceiling, policy.hands),
            (None, service_contract::Hands::One),
            "{name}"
        );
    }

    base.vault.seal().await;
    for request in base.requests() {
        let (name, policy) = (request.listed().name, request.listed().policy);
        let answer = base.copy().await.ask(&request).await;
        let is_sealed = matches!(answer, Response::Failed(FailureCode::VaultSealed));
        assert_eq!(is_sealed, !policy.while_sealed, "{name}: {answer:?}");
    }
}
