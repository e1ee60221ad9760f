//! The policy of every operation of the store, held against what it does: with the vault open, and with the vault sealed.

use std::collections::BTreeMap;
use std::path::Path;

use photo_store::error::Error;
use photo_store::keeping::store::Store;
use photo_store::service::Service;
use photo_store_protocol::operation::{
    BeginCase, CloseCase, ConfirmPhoto, ErasePhoto, Hello, ListReads, ReadPhoto, RedeemRelease, ReleasePhoto,
    ShowPhoto, ShowReceipt, ShowStatus, SubmitPhoto, UseReceipt,
};
use photo_store_protocol::{
    Confirm, Erase, FailureCode, OPERATIONS, OpenCase, PROTOCOL_VERSION, PersonId, PhotoState, PhotoStatus,
    Profile, Purpose, Read, ReceiptPeriod, Release, ReleaseToken, Request, Submission, Submit, TakeReceipt,
};
use service_contract::{Journal, answered};
use sqlx::{AssertSqlSafe, Row as _};

use crate::support::vault::TestVault;
use crate::support::{SetClock, pictures};

const PERSON: PersonId = PersonId::from_bytes([0x61; 16]);
const OTHER: PersonId = PersonId::from_bytes([0x62; 16]);
const CASE: &str = "YZT-2026-000061";
const CLERK: &str = "李强";
const READER: &str = "制证员 7";

/// What takes back what an operation did.
enum Back {
    /// It changes rows of these tables alone, in which things are used up or counted.
    Nothing(&'static [&'static str]),
    /// This operation, but for what stands there of it.
    By(Request),
    /// None: the photo never is again what it was.
    Never,
}

/// A store in which every operation has something to do. It is copied for each of them.
struct Base {
    folder: tempfile::TempDir,
    vault: TestVault,
    /// A photo with a receipt that is not used, and an open case of its person.
    sealed: PhotoStatus,
    /// One whose warnings nobody has confirmed.
    waiting: PhotoStatus,
    token: [u8; 32],
    file: Vec<u8>,
}

/// A copy of it.
struct Copied {
    store: Store,
    service: Service,
    _folder: tempfile::TempDir,
}

/// Every row of every table as text.
type Rows = BTreeMap<String, Vec<String>>;

async fn open(folder: &Path, vault: &Path) -> (Store, Service) {
    let store = Store::open_file(&folder.join("photos.sqlite")).await.unwrap();
    let service = crate::support::service(&store, &folder.join("objects"), vault, &SetClock::new());
    (store, service)
}

fn held(submission: Submission) -> PhotoStatus {
    match submission {
        Submission::Held { photo, .. } => photo,
        Submission::Refused(judgement) => panic!("refused: {:?}", judgement.refusals()),
    }
}

fn submit(person: PersonId, file: &[u8]) -> Submit {
    Submit {
        person,
        by: "相机 3".parse().unwrap(),
        period: ReceiptPeriod::Days30,
        file: file.to_vec(),
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (
            entry.as_ref().unwrap().path(),
            to.join(entry.as_ref().unwrap().file_name()),
        );
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

impl Base {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("store/objects")).unwrap();
        let vault = TestVault::open(folder.path()).await;
        let (store, service) = open(&folder.path().join("store"), &vault.socket).await;
        let file = pictures::studio_jpeg();
        let sealed = held(service.submit(submit(PERSON, &file)).await.unwrap());
        assert_eq!(sealed.state, PhotoState::Sealed);
        let waiting = held(service.submit(submit(OTHER, pictures::SAMPLE)).await.unwrap());
        assert_eq!(waiting.state, PhotoState::Waiting);
        let case = OpenCase {
            case: CASE.parse().unwrap(),
            person: PERSON,
            by: CLERK.parse().unwrap(),
        };
        service.open_case(&case).await.unwrap();
        let base = Self {
            folder,
            vault,
            sealed,
            waiting,
            token: [0; 32],
            file,
        };
        let token = service.release(&base.release()).await.unwrap();
        store.close().await;
        Self {
            token: *token.expose(),
            ..base
        }
    }

    async fn copy(&self) -> Copied {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&self.folder.path().join("store"), folder.path());
        let (store, service) = open(folder.path(), &self.vault.socket).await;
        Copied {
            store,
            service,
            _folder: folder,
        }
    }

    fn read(&self) -> Read {
        Read {
            photo: self.sealed.photo,
            profile: Profile::Thumb,
            purpose: Purpose::Production,
            case: CASE.parse().unwrap(),
            reader: READER.parse().unwrap(),
        }
    }

    fn release(&self) -> Release {
        Release {
            read: self.read(),
            minutes: 30,
            by: CLERK.parse().unwrap(),
        }
    }

    /// The operation of a number as this store does it.
    fn ready(&self, number: u32) -> (Request, Back) {
        let sealed = self.sealed.photo;
        let receipt = self.sealed.receipt.as_ref().unwrap().number;
        let open = |case: &str| OpenCase {
            case: case.parse().unwrap(),
            person: PERSON,
            by: CLERK.parse().unwrap(),
        };
        let close = |case: &str| CloseCase(case.parse().unwrap(), CLERK.parse().unwrap());
        let nothing = Back::Nothing(&[]);
        match number {
            0 => {
                let version = PROTOCOL_VERSION;
                (Hello { version }.into(), nothing)
            }
            1 => (ShowStatus.into(), nothing),
            2 => {
                let person = PersonId::from_bytes([0x63; 16]);
                (SubmitPhoto(submit(person, &self.file)).into(), nothing)
            }
            3 => {
                let confirm = Confirm {
                    photo: self.waiting.photo,
                    by: CLERK.parse().unwrap(),
                    warnings: self.waiting.judgement.as_ref().unwrap().warnings(),
                };
                (ConfirmPhoto(confirm).into(), Back::Nothing(&["photos"]))
            }
            4 => (ShowPhoto(sealed).into(), nothing),
            5 => (ShowReceipt(receipt).into(), nothing),
            6 => {
                let take = TakeReceipt {
                    number: receipt,
                    case: "YZT-2026-000062".parse().unwrap(),
                    person: PERSON,
                    by: CLERK.parse().unwrap(),
                };
                (UseReceipt(take).into(), Back::Nothing(&["receipts"]))
            }
            7 => (
                BeginCase(open("YZT-2026-000063")).into(),
                Back::By(close("YZT-2026-000063").into()),
            ),
            8 => (close(CASE).into(), Back::By(BeginCase(open(CASE)).into())),
            9 => (ReadPhoto(self.read()).into(), nothing),
            10 => (ReleasePhoto(self.release()).into(), nothing),
            11 => {
                let token = ReleaseToken::from_bytes(self.token);
                let redeem = RedeemRelease(token, READER.parse().unwrap());
                (redeem.into(), Back::Nothing(&["releases"]))
            }
            12 => (ListReads(PERSON).into(), nothing),
            13 => {
                let erase = Erase {
                    photo: sealed,
                    by: "隐私官".parse().unwrap(),
                    case: "ORDER-3".parse().unwrap(),
                };
                (ErasePhoto(erase).into(), Back::Never)
            }
            other => panic!("operation {other}: say here what it does"),
        }
    }
}

impl Copied {
    /// Without a wildcard: a new operation does not compile here.
    async fn ask(&self, request: Request) -> Result<photo_store_protocol::Response, Error> {
        let service = &self.service;
        Ok(match request {
            Request::Hello(_) => answered::<Hello, _>(PROTOCOL_VERSION),
            Request::ShowStatus(ShowStatus) => answered::<ShowStatus, _>(service.status().await?),
            Request::SubmitPhoto(SubmitPhoto(it)) => answered::<SubmitPhoto, _>(service.submit(it).await?),
            Request::ConfirmPhoto(ConfirmPhoto(it)) => {
                answered::<ConfirmPhoto, _>(service.confirm(&it).await?)
            }
            Request::ShowPhoto(ShowPhoto(it)) => answered::<ShowPhoto, _>(service.photo(it).await?),
            Request::ShowReceipt(ShowReceipt(it)) => answered::<ShowReceipt, _>(service.receipt(it).await?),
            Request::UseReceipt(UseReceipt(it)) => {
                answered::<UseReceipt, _>(service.take_receipt(&it).await?)
            }
            Request::BeginCase(BeginCase(it)) => {
                service.open_case(&it).await?;
                answered::<BeginCase, _>(())
            }
            Request::CloseCase(CloseCase(case, by)) => {
                service.close_case(&case, &by).await?;
                answered::<CloseCase, _>(())
            }
            Request::ReadPhoto(ReadPhoto(it)) => answered::<ReadPhoto, _>(service.read(it).await?),
            Request::ReleasePhoto(ReleasePhoto(it)) => {
                answered::<ReleasePhoto, _>(service.release(&it).await?)
            }
            Request::RedeemRelease(RedeemRelease(token, by)) => {
                answered::<RedeemRelease, _>(service.redeem(&token, &by).await?)
            }
            Request::ListReads(ListReads(it)) => answered::<ListReads, _>(service.reads(it).await?),
            Request::ErasePhoto(ErasePhoto(it)) => answered::<ErasePhoto, _>(service.erase(&it).await?),
        })
    }

    async fn rows(&self) -> Rows {
        let Store::Sqlite(pool) = &self.store else {
            panic!("not a file")
        };
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        let mut tables = Rows::new();
        for table in names {
            let columns: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
                "SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')"
            )))
            .fetch_all(pool)
            .await
            .unwrap();
            let query = format!("SELECT {} FROM {table} ORDER BY 1", columns.join(" || '|' || "));
            let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(pool).await.unwrap();
            tables.insert(table, rows.iter().map(|row| row.get(0)).collect());
        }
        tables
    }
}

/// Tables of which a row is another one now, or gone.
fn changed<'a>(before: &'a Rows, after: &Rows) -> Vec<&'a str> {
    before
        .iter()
        .filter(|(table, rows)| rows.iter().any(|row| !after[*table].contains(row)))
        .map(|(table, _)| table.as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_the_store_does_what_its_policy_says() {
    let base = Base::new().await;
    for operation in OPERATIONS {
        let (name, policy) = (operation.name, operation.policy);
        let at = base.copy().await;
        let (request, back) = base.ready(operation.number);
        assert_eq!(request.listed().number, operation.number, "{name}");
        let before = at.rows().await;
        let answer = at
            .ask(request)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let after = at.rows().await;
        // What changes the index names person and instant in its row; what gives a picture out, in the record of reads.
        match policy.journal {
            Journal::Before => assert_ne!(before, after, "{name} leaves no trace"),
            Journal::None => assert_eq!(before, after, "{name} leaves a trace"),
            Journal::Grouped => panic!("{name}: nothing writes grouped lines"),
        }
        if matches!(operation.number, 9 | 11) {
            assert_eq!(after["reads"].len(), before["reads"].len() + 1, "{name}");
        }

        let again = at.ask(base.ready(operation.number).0).await;
        let same = again.as_ref().is_ok_and(|again| says(again) == says(&answer)) && at.rows().await == after;
        assert_eq!(same, policy.idempotent, "{name}: {answer:?} and then {again:?}");

        assert_eq!(matches!(back, Back::Never), policy.irreversible, "{name}");
        match back {
            Back::Nothing(but) => {
                let changed = changed(&before, &after);
                assert!(
                    changed.iter().all(|table| but.contains(table)),
                    "{name} changes {changed:?}"
                );
            }
            Back::By(inverse) => {
                let open = |rows: &Rows| {
                    rows["cases"]
                        .iter()
                        .filter(|row| row.ends_with("NULL|NULL"))
                        .count()
                };
                assert_ne!(open(&before), open(&after), "{name}");
                at.ask(inverse).await.unwrap();
                assert_eq!(open(&before), open(&at.rows().await), "{name}");
            }
            Back::Never => {
                for other in OPERATIONS {
                    let _ = at.ask(base.ready(other.number).0).await;
                }
                let photo = at.service.photo(base.sealed.photo).await.unwrap();
                assert_eq!(photo.state, PhotoState::Shredded, "{name} was taken back");
            }
        }
    }

    base.vault.seal().await;
    for operation in OPERATIONS {
        let answer = base.copy().await.ask(base.ready(operation.number).0).await;
        let sealed = matches!(&answer, Err(error) if error.code() == FailureCode::VaultSealed);
        assert_eq!(
            sealed, !operation.policy.while_sealed,
            "{}: {answer:?}",
            operation.name
        );
        assert!(sealed || answer.is_ok(), "{}: {answer:?}", operation.name);
        assert_eq!(
            operation.policy.ceiling, None,
            "{}: nothing counts yet",
            operation.name
        );
    }
}

/// What an answer says; that a photo was held already is how a repetition is told from the first time.
fn says(answer: &photo_store_protocol::Response) -> String {
    match answer {
        photo_store_protocol::Response::Submitted(Submission::Held { photo, .. }) => format!("{photo:?}"),
        answer => format!("{answer:?}"),
    }
}
