//! The store's operations on both engines, with the real key vault.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyvault_protocol::ChannelKey;
use photo_store::keeping::objects::Objects;
use photo_store::keeping::store::index::Store;
use photo_store::keeping::store::photos::Announcement;
use photo_store::service::Service;
use photo_store_protocol::{
    CaseNumber, CheckCode, Confirm, Erase, FailureCode, OpenCase, PersonId, PhotoState, PhotoStatus, Profile,
    Purpose, Read, ReceiptPeriod, ReceiptState, Release, Submission, Submit, TakeBack, TakeReceipt,
};
use program_contract::Clock;

use crate::support::vault::TestVault;
use crate::support::{SetClock, decoder, engines, pictures, vault};

const PERSON: PersonId = PersonId::from_bytes([0x51; 16]);
const OTHER: PersonId = PersonId::from_bytes([0x52; 16]);
const DAY: i64 = 86_400;

/// A store on one engine, and its clock.
struct Rig {
    engine: engines::Engine,
    clock: SetClock,
    service: Service,
    folder: tempfile::TempDir,
}

async fn rigs() -> Vec<Rig> {
    rigs_at(&vault::shared().await).await
}

async fn rigs_at(vault: &vault::Reach) -> Vec<Rig> {
    let mut rigs = Vec::new();
    for engine in engines::both().await {
        let folder = tempfile::tempdir().unwrap();
        let objects = folder.path().join("objects");
        std::fs::create_dir(&objects).unwrap();
        let clock = SetClock::new();
        let service = crate::support::service(&engine.store, &objects, vault, &clock);
        rigs.push(Rig {
            engine,
            clock,
            service,
            folder,
        });
    }
    rigs
}

impl Rig {
    fn objects(&self) -> usize {
        count_files(&self.folder.path().join("objects"))
    }

    async fn sealed(&self, person: PersonId) -> PhotoStatus {
        self.sealed_from(person, pictures::studio_jpeg()).await
    }

    async fn sealed_from(&self, person: PersonId, file: Vec<u8>) -> PhotoStatus {
        let photo = held(self.service.submit(submit(person, file)).await.unwrap());
        if photo.state == PhotoState::Waiting {
            let warnings = photo.judgement.as_ref().unwrap().warnings();
            let confirm = Confirm {
                photo: photo.photo,
                by: "王芳".parse().unwrap(),
                warnings,
            };
            return self.service.confirm(&confirm).await.unwrap();
        }
        photo
    }

    async fn open_case(&self, case: &str, person: PersonId) -> CaseNumber {
        let number: CaseNumber = case.parse().unwrap();
        let open = OpenCase {
            case: number.clone(),
            person,
            by: "李强".parse().unwrap(),
        };
        self.service.open_case(&open).await.unwrap();
        number
    }
}

fn count_files(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { count_files(&path) } else { 1 })
        .sum()
}

fn submit(person: PersonId, file: Vec<u8>) -> Submit {
    Submit {
        person,
        by: "相机 3".parse().unwrap(),
        period: ReceiptPeriod::Days30,
        file,
    }
}

fn held(submission: Submission) -> PhotoStatus {
    match submission {
        Submission::Held { photo, .. } => photo,
        Submission::Refused(judgement) => panic!("refused: {:?}", judgement.refusals()),
    }
}

fn read(photo: &PhotoStatus, profile: Profile, case: &CaseNumber) -> Read {
    Read {
        photo: photo.photo,
        profile,
        purpose: Purpose::Production,
        case: case.clone(),
        reader: "制证员 7".parse().unwrap(),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, photo_store::error::Error>) -> FailureCode {
    let error = result.unwrap_err();
    let texts = error.code().texts();
    assert!(!texts.message.is_empty() && !texts.action.is_empty());
    error.code()
}

#[tokio::test]
async fn a_photo_goes_from_the_camera_to_the_card() {
    for rig in rigs().await {
        let photo = rig.sealed(PERSON).await;
        let receipt = photo.receipt.clone().unwrap();
        assert_eq!(receipt.expires_at, crate::support::NOW + 30 * DAY);
        assert_eq!(
            rig.service.receipt(receipt.number).await.unwrap().state,
            ReceiptState::Valid
        );

        let case: CaseNumber = "YZT-2026-000017".parse().unwrap();
        let take = TakeReceipt {
            number: receipt.number,
            case: case.clone(),
            person: PERSON,
            by: "李强".parse().unwrap(),
        };
        assert_eq!(rig.service.take_receipt(&take).await.unwrap().photo, photo.photo);
        for (profile, width, height) in [
            (Profile::Ga461, 358, 441),
            (Profile::Print, 358, 441),
            (Profile::Chip, 120, 160),
            (Profile::Thumb, 90, 111),
        ] {
            let picture = rig.service.read(read(&photo, profile, &case)).await.unwrap();
            let decoded = image::load_from_memory(&picture.jpeg).unwrap();
            assert_eq!(
                (decoded.width(), decoded.height()),
                (width, height),
                "{}",
                rig.engine.name
            );
            assert_eq!((picture.width, picture.height, picture.dpi), (width, height, 350));
        }
        let reads = rig.service.reads(PERSON).await.unwrap();
        assert_eq!(reads.len(), 4);
        assert!(
            reads
                .iter()
                .all(|r| r.refused.is_none() && r.case == case && r.photo == photo.photo)
        );

        rig.service
            .close_case(&case, &"李强".parse().unwrap())
            .await
            .unwrap();
        assert_eq!(
            code(rig.service.read(read(&photo, Profile::Chip, &case)).await),
            FailureCode::CaseNotOpen
        );
    }
}

#[tokio::test]
async fn warnings_wait_for_a_named_person_who_lists_them_all() {
    for rig in rigs().await {
        let photo = held(
            rig.service
                .submit(submit(PERSON, pictures::SAMPLE.to_vec()))
                .await
                .unwrap(),
        );
        assert_eq!(photo.state, PhotoState::Waiting);
        assert_eq!(photo.receipt, None);
        let case = rig.open_case("K-1", PERSON).await;
        assert_eq!(
            code(rig.service.read(read(&photo, Profile::Chip, &case)).await),
            FailureCode::NotConfirmed
        );

        let by: photo_store_protocol::Actor = "王芳".parse().unwrap();
        let some = Confirm {
            photo: photo.photo,
            by: by.clone(),
            warnings: vec![CheckCode::FaceEnlarged],
        };
        assert_eq!(code(rig.service.confirm(&some).await), FailureCode::WrongWarnings);
        assert_eq!(
            rig.service.photo(photo.photo).await.unwrap().state,
            PhotoState::Waiting
        );

        let warnings = photo.judgement.as_ref().unwrap().warnings();
        let all = Confirm {
            photo: photo.photo,
            by: by.clone(),
            warnings,
        };
        let confirmed = rig.service.confirm(&all).await.unwrap();
        assert_eq!(
            (confirmed.state, confirmed.confirmed_by.as_ref()),
            (PhotoState::Sealed, Some(&by))
        );
        assert_eq!(confirmed.confirmed_at, Some(crate::support::NOW));
        assert!(confirmed.receipt.is_some());
        // Said twice by the same person it is the same; another person comes too late.
        assert_eq!(rig.service.confirm(&all).await.unwrap(), confirmed);
        let late = Confirm {
            by: "张伟".parse().unwrap(),
            ..all
        };
        assert_eq!(
            code(rig.service.confirm(&late).await),
            FailureCode::NothingToConfirm
        );
    }
}

#[tokio::test]
async fn a_refused_photo_leaves_nothing() {
    for rig in rigs().await {
        let nobody = pictures::nobody();
        let Submission::Refused(judgement) = rig.service.submit(submit(PERSON, nobody)).await.unwrap() else {
            panic!("held")
        };
        assert_eq!(judgement.refusals(), [CheckCode::NoFace]);
        assert_eq!(rig.objects(), 0);
        let status = rig.service.status().await.unwrap();
        assert_eq!((status.sealed, status.waiting), (0, 0));
    }
}

#[tokio::test]
async fn the_same_bytes_of_the_same_person_are_one_photo() {
    for rig in rigs().await {
        let first = rig.sealed(PERSON).await;
        let objects = rig.objects();
        let again = rig
            .service
            .submit(submit(PERSON, pictures::studio_jpeg()))
            .await
            .unwrap();
        assert_eq!(
            again,
            Submission::Held {
                photo: first.clone(),
                already_held: true
            }
        );
        assert_eq!(rig.objects(), objects);
        // For another person they are another photo.
        assert_ne!(rig.sealed(OTHER).await.photo, first.photo);
    }
}

#[tokio::test]
async fn two_submissions_of_the_same_bytes_at_once_are_one_photo() {
    for rig in rigs().await {
        let file = pictures::studio_jpeg();
        let (one, two) = tokio::join!(
            rig.service.submit(submit(PERSON, file.clone())),
            rig.service.submit(submit(PERSON, file.clone())),
        );
        let (one, two) = (held(one.unwrap()), held(two.unwrap()));
        assert_eq!(one, two);
        assert_eq!(rig.objects(), 2, "{}", rig.engine.name);
    }
}

#[tokio::test]
async fn a_receipt_is_used_once_by_its_own_person_before_it_expires() {
    for rig in rigs().await {
        let photo = rig.sealed(PERSON).await;
        let number = photo.receipt.unwrap().number;
        let take = |case: &str, person| TakeReceipt {
            number,
            case: case.parse().unwrap(),
            person,
            by: "李强".parse().unwrap(),
        };
        let service = &rig.service;
        assert_eq!(
            code(service.take_receipt(&take("K-1", OTHER)).await),
            FailureCode::WrongPerson
        );
        rig.clock.forward(30 * DAY);
        assert_eq!(
            code(service.take_receipt(&take("K-1", PERSON)).await),
            FailureCode::ReceiptExpired
        );
        assert_eq!(
            service.receipt(number).await.unwrap().state,
            ReceiptState::Expired
        );
        rig.clock.forward(-1);
        service.take_receipt(&take("K-1", PERSON)).await.unwrap();
        service.take_receipt(&take("K-1", PERSON)).await.unwrap();
        assert_eq!(
            code(service.take_receipt(&take("K-2", PERSON)).await),
            FailureCode::ReceiptUsed
        );
        assert_eq!(service.receipt(number).await.unwrap().state, ReceiptState::Used);
        let unknown = photo_store_protocol::ReceiptNumber::from_random([9; 15]);
        assert_eq!(code(service.receipt(unknown).await), FailureCode::UnknownReceipt);
    }
}

#[tokio::test]
async fn nobody_reads_without_an_open_case_of_the_owner_and_every_attempt_is_on_record() {
    for rig in rigs().await {
        let photo = rig.sealed(PERSON).await;
        let none: CaseNumber = "K-0".parse().unwrap();
        let others = rig.open_case("K-2", OTHER).await;
        for case in [&none, &others] {
            assert_eq!(
                code(rig.service.read(read(&photo, Profile::Print, case)).await),
                FailureCode::CaseNotOpen
            );
        }
        let reads = rig.service.reads(PERSON).await.unwrap();
        assert_eq!(reads.len(), 2);
        assert!(
            reads
                .iter()
                .all(|record| record.refused == Some(FailureCode::CaseNotOpen))
        );
        // A case number stays with its person.
        let steal = OpenCase {
            case: others,
            person: PERSON,
            by: "李强".parse().unwrap(),
        };
        assert_eq!(
            code(rig.service.open_case(&steal).await),
            FailureCode::WrongPerson
        );
    }
}

#[tokio::test]
async fn a_release_is_redeemed_by_its_reader_within_its_minutes() {
    for rig in rigs().await {
        let photo = rig.sealed(PERSON).await;
        let case = rig.open_case("K-1", PERSON).await;
        let allowed = read(&photo, Profile::Thumb, &case);
        let reader = allowed.reader.clone();
        let release = Release {
            read: allowed,
            minutes: 5,
            by: "审核 2".parse().unwrap(),
        };
        let service = &rig.service;
        assert_eq!(
            code(
                service
                    .release(&Release {
                        minutes: 0,
                        ..release.clone()
                    })
                    .await
            ),
            FailureCode::BadField
        );
        let token = service.release(&release).await.unwrap();
        assert_eq!(
            service.redeem(&token, &reader).await.unwrap().profile,
            Profile::Thumb
        );
        let stranger = "路人".parse().unwrap();
        assert_eq!(
            code(service.redeem(&token, &stranger).await),
            FailureCode::TokenInvalid
        );
        rig.clock.forward(300);
        assert_eq!(
            code(service.redeem(&token, &reader).await),
            FailureCode::TokenExpired
        );
        let forged = photo_store_protocol::ReleaseToken::from_bytes([1; 32]);
        assert_eq!(
            code(service.redeem(&forged, &reader).await),
            FailureCode::TokenInvalid
        );
        assert_eq!(service.reads(PERSON).await.unwrap().len(), 3);
        service.close_case(&case, &reader).await.unwrap();
        assert_eq!(code(service.release(&release).await), FailureCode::CaseNotOpen);
    }
}

#[tokio::test]
async fn a_newer_photo_supersedes_the_older_one_of_the_same_person_only() {
    for rig in rigs().await {
        let others = rig.sealed(OTHER).await;
        let old = rig.sealed(PERSON).await;
        let new = rig.sealed_from(PERSON, pictures::SAMPLE.to_vec()).await;
        assert_eq!(new.state, PhotoState::Sealed);
        assert_eq!(
            rig.service.photo(old.photo).await.unwrap().state,
            PhotoState::Superseded
        );
        assert_eq!(
            rig.service.photo(others.photo).await.unwrap().state,
            PhotoState::Sealed
        );
    }
}

#[tokio::test]
async fn an_erased_photo_is_gone_for_good() {
    for rig in rigs().await {
        let photo = rig.sealed(PERSON).await;
        let case = rig.open_case("K-1", PERSON).await;
        let erase = Erase {
            photo: photo.photo,
            by: "隐私官".parse().unwrap(),
            case: "ORDER-3".parse().unwrap(),
        };
        for _ in 0..2 {
            let erased = rig.service.erase(&erase).await.unwrap();
            assert_eq!((erased.state, erased.judgement), (PhotoState::Shredded, None));
        }
        assert_eq!(rig.objects(), 0);
        assert_eq!(
            rig.engine
                .store
                .read()
                .await
                .unwrap()
                .rendition(photo.photo, Profile::Print)
                .await
                .unwrap(),
            None
        );
        assert_eq!(
            code(rig.service.read(read(&photo, Profile::Print, &case)).await),
            FailureCode::Shredded
        );
        let number = photo.receipt.unwrap().number;
        assert_eq!(
            rig.service.receipt(number).await.unwrap().state,
            ReceiptState::Shredded
        );
        // The same file may be submitted again: it becomes a new photo.
        assert_ne!(rig.sealed(PERSON).await.photo, photo.photo);
    }
}

#[tokio::test]
async fn a_photo_is_taken_back_by_its_person_until_a_case_has_used_it() {
    for rig in rigs().await {
        let take = |photo: &PhotoStatus, person| TakeBack {
            photo: photo.photo,
            person,
            by: "李强".parse().unwrap(),
        };
        // One that waits, and one that has a receipt.
        for file in [pictures::SAMPLE.to_vec(), pictures::studio_jpeg()] {
            let photo = held(rig.service.submit(submit(PERSON, file)).await.unwrap());
            let others = take(&photo, OTHER);
            assert_eq!(
                code(rig.service.take_back(&others).await),
                FailureCode::WrongPerson
            );
            for _ in 0..2 {
                let taken = rig.service.take_back(&take(&photo, PERSON)).await.unwrap();
                assert_eq!(taken.state, PhotoState::Shredded, "{}", rig.engine.name);
            }
        }
        assert_eq!(rig.objects(), 0);

        let used = rig.sealed(PERSON).await;
        let receipt = TakeReceipt {
            number: used.receipt.clone().unwrap().number,
            case: "K-1".parse().unwrap(),
            person: PERSON,
            by: "李强".parse().unwrap(),
        };
        rig.service.take_receipt(&receipt).await.unwrap();
        let refused = rig.service.take_back(&take(&used, PERSON)).await;
        assert_eq!(code(refused), FailureCode::PhotoInUse);
        assert_eq!(rig.service.photo(used.photo).await.unwrap(), used);
        // What became of each stays on record, the newest first.
        let states: Vec<_> = rig.service.photos(PERSON).await.unwrap();
        assert_eq!(states.len(), 3);
        assert!(states.contains(&used));
        assert_eq!(rig.service.photos(OTHER).await.unwrap(), []);
    }
}

#[tokio::test]
async fn who_confirms_a_photo_may_look_at_it_first_for_an_open_case_and_on_record() {
    for rig in rigs().await {
        let photo = held(
            rig.service
                .submit(submit(PERSON, pictures::SAMPLE.to_vec()))
                .await
                .unwrap(),
        );
        assert_eq!(photo.state, PhotoState::Waiting);
        let look = |case: &CaseNumber| Read {
            purpose: Purpose::Review,
            ..read(&photo, Profile::Thumb, case)
        };
        let none = "K-0".parse().unwrap();
        assert_eq!(
            code(rig.service.read(look(&none)).await),
            FailureCode::CaseNotOpen
        );
        let case = rig.open_case("K-1", PERSON).await;
        assert_eq!(rig.service.read(look(&case)).await.unwrap().width, 90);
        assert_eq!(rig.service.reads(PERSON).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn what_lies_on_disk_shows_no_picture() {
    for rig in rigs().await {
        let photo = rig.sealed(PERSON).await;
        let case = rig.open_case("K-1", PERSON).await;
        let picture = rig
            .service
            .read(read(&photo, Profile::Print, &case))
            .await
            .unwrap();
        let needle = &picture.jpeg[1000..1032];
        let mut folders = vec![rig.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if entry.file_type().unwrap().is_file() {
                    let bytes = std::fs::read(entry.path()).unwrap();
                    assert!(
                        !bytes.windows(32).any(|window| window == needle),
                        "{:?}",
                        entry.path()
                    );
                    assert!(!bytes.starts_with(&[0xff, 0xd8, 0xff]), "{:?}", entry.path());
                }
            }
        }
    }
}

#[tokio::test]
async fn an_exchanged_or_damaged_or_missing_object_is_noticed() {
    for rig in rigs().await {
        let mine = rig.sealed(PERSON).await;
        let others = rig.sealed(OTHER).await;
        let case = rig.open_case("K-1", PERSON).await;
        let path = |object: &str| rig.folder.path().join("objects").join(object);
        let place = |photo: &PhotoStatus| {
            let photo = photo.photo;
            let store = rig.engine.store.clone();
            async move {
                store
                    .read()
                    .await
                    .unwrap()
                    .rendition(photo, Profile::Print)
                    .await
                    .unwrap()
                    .unwrap()
                    .object
            }
        };
        let (mine_at, others_at) = (path(&place(&mine).await), path(&place(&others).await));
        let whole = std::fs::read(&mine_at).unwrap();

        std::fs::copy(&others_at, &mine_at).unwrap();
        let service = &rig.service;
        assert_eq!(
            code(service.read(read(&mine, Profile::Print, &case)).await),
            FailureCode::ObjectDamaged
        );
        let mut damaged = whole.clone();
        damaged[100] ^= 1;
        std::fs::write(&mine_at, damaged).unwrap();
        assert_eq!(
            code(service.read(read(&mine, Profile::Chip, &case)).await),
            FailureCode::ObjectDamaged
        );
        std::fs::remove_file(&mine_at).unwrap();
        assert_eq!(
            code(service.read(read(&mine, Profile::Print, &case)).await),
            FailureCode::ObjectMissing
        );
        std::fs::write(&mine_at, whole).unwrap();
        assert!(service.read(read(&mine, Profile::Print, &case)).await.is_ok());
    }
}

#[tokio::test]
async fn a_sealed_or_absent_vault_stops_everything_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut vault = TestVault::open(place.path()).await;
    for rig in rigs_at(&vault.reach).await {
        let photo = rig.sealed(PERSON).await;
        let case = rig.open_case("K-1", PERSON).await;
        let objects = rig.objects();
        let before = rig.service.status().await.unwrap();

        vault.seal().await;
        let submitted = rig.service.submit(submit(OTHER, pictures::studio_jpeg())).await;
        assert_eq!(code(submitted), FailureCode::VaultSealed);
        assert_eq!(
            code(rig.service.read(read(&photo, Profile::Chip, &case)).await),
            FailureCode::VaultSealed
        );
        vault.stop();
        let submitted = rig.service.submit(submit(OTHER, pictures::studio_jpeg())).await;
        assert_eq!(code(submitted), FailureCode::VaultUnreachable);
        let status = rig.service.status().await.unwrap();
        assert_eq!(status.vault, photo_store_protocol::VaultState::Unreachable);
        assert_eq!((status.sealed, status.waiting), (before.sealed, before.waiting));
        assert_eq!(rig.objects(), objects);

        // Restarted and opened, the same requests succeed.
        vault.start().await;
        vault.unseal().await;
        assert!(rig.service.read(read(&photo, Profile::Chip, &case)).await.is_ok());
        assert_eq!(rig.sealed(OTHER).await.state, PhotoState::Sealed);
    }
}

#[tokio::test]
async fn a_store_whose_key_nobody_enrolled_is_refused_and_keeps_nothing() {
    let stranger = vault::Reach {
        key: ChannelKey::fresh(),
        ..vault::shared().await
    };
    for rig in rigs_at(&stranger).await {
        let submitted = rig.service.submit(submit(PERSON, pictures::studio_jpeg())).await;
        assert_eq!(code(submitted), FailureCode::VaultRefused);
        assert_eq!(rig.objects(), 0);
        let status = rig.service.status().await.unwrap();
        assert_eq!((status.sealed, status.waiting), (0, 0));
    }
}

#[tokio::test]
async fn a_store_that_was_suspended_is_refused_and_keeps_nothing() {
    let reach = vault::Reach {
        key: ChannelKey::fresh(),
        ..vault::shared().await
    };
    let key = reach.key.public();
    reach.enrol(key).await;
    let mut kept = Vec::new();
    for rig in rigs_at(&reach).await {
        let photo = rig.sealed(PERSON).await;
        let case = rig.open_case("K-1", PERSON).await;
        assert!(
            rig.service
                .read(read(&photo, Profile::Print, &case))
                .await
                .is_ok()
        );
        kept.push((rig, photo, case));
    }
    reach.suspend(key).await;
    for (rig, photo, case) in kept {
        let objects = rig.objects();
        let submitted = rig.service.submit(submit(OTHER, pictures::studio_jpeg())).await;
        assert_eq!(code(submitted), FailureCode::VaultRefused);
        let looked = rig.service.read(read(&photo, Profile::Print, &case)).await;
        assert_eq!(code(looked), FailureCode::VaultRefused);
        assert_eq!(rig.objects(), objects);
        let status = rig.service.status().await.unwrap();
        assert_eq!((status.sealed, status.waiting), (1, 0));
        assert_eq!(status.vault, photo_store_protocol::VaultState::Refused);
    }
}

#[tokio::test]
async fn leftovers_of_a_crash_are_cleared() {
    for rig in rigs().await {
        // As a crash between announcement and completion leaves it.
        let digest = [7; 32];
        let announced = Announcement {
            photo: photo_store_protocol::PhotoId::from_bytes([3; 16]),
            person: PERSON,
            digest,
            by: "相机 3".parse().unwrap(),
            at: crate::support::NOW,
            period: ReceiptPeriod::Days60,
        };
        let mut index = rig.engine.store.begin().await.unwrap();
        index.announce(&announced).await.unwrap();
        index.commit().await.unwrap();
        assert_eq!(
            code(rig.service.photo(announced.photo).await),
            FailureCode::UnknownPhoto
        );
        assert_eq!(
            rig.service.housekeep().await.unwrap(),
            0,
            "it may still be running"
        );
        rig.clock.forward(3_601);
        assert_eq!(rig.service.housekeep().await.unwrap(), 1);
        let mut index = rig.engine.store.read().await.unwrap();
        assert_eq!(index.same_bytes(PERSON, &digest).await.unwrap(), None);
        drop(index);

        // A photo that nobody confirms is shredded after 90 days.
        let waiting = held(
            rig.service
                .submit(submit(OTHER, pictures::SAMPLE.to_vec()))
                .await
                .unwrap(),
        );
        rig.clock.forward(90 * DAY + 1);
        assert_eq!(rig.service.housekeep().await.unwrap(), 1);
        assert_eq!(
            rig.service.photo(waiting.photo).await.unwrap().state,
            PhotoState::Shredded
        );
        assert_eq!(rig.objects(), 0);
    }
}

#[tokio::test]
async fn a_repetition_completes_the_photo_that_a_crash_left_announced() {
    for rig in rigs().await {
        let photo = rig.sealed(PERSON).await.photo;
        // As a crash before the completion leaves it: announced, with objects that no key opens.
        for statement in [
            "DELETE FROM receipts",
            "DELETE FROM renditions",
            "UPDATE photos SET state = 'RECEIVED', judgement = NULL",
        ] {
            match &rig.engine.store {
                Store::Sqlite(pool) => sqlx::query(statement).execute(pool).await.map(|_| ()),
                Store::Postgres(pool) => sqlx::query(statement).execute(pool).await.map(|_| ()),
            }
            .unwrap();
        }
        assert_eq!(code(rig.service.photo(photo).await), FailureCode::UnknownPhoto);
        let again = rig.sealed(PERSON).await;
        assert_eq!((again.photo, again.state), (photo, PhotoState::Sealed));
        assert_eq!(
            rig.objects(),
            2,
            "{}: what the crash left is gone",
            rig.engine.name
        );
    }
}

#[tokio::test]
async fn two_who_confirm_one_photo_at_once_are_told_apart() {
    for rig in rigs().await {
        let photo = held(
            rig.service
                .submit(submit(PERSON, pictures::SAMPLE.to_vec()))
                .await
                .unwrap(),
        );
        let confirm = |by: &str| Confirm {
            photo: photo.photo,
            by: by.parse().unwrap(),
            warnings: photo.judgement.as_ref().unwrap().warnings(),
        };
        let (wang, zhang) = (confirm("王芳"), confirm("张伟"));
        let (one, two) = tokio::join!(rig.service.confirm(&wang), rig.service.confirm(&zhang));
        let (won, lost) = match (one, two) {
            (Ok(won), lost) | (lost, Ok(won)) => (won, lost),
            both => panic!("{both:?}"),
        };
        assert_eq!(code(lost), FailureCode::NothingToConfirm, "{}", rig.engine.name);
        assert_eq!(rig.service.photo(photo.photo).await.unwrap(), won);
    }
}

#[tokio::test]
async fn two_cases_that_use_one_receipt_at_once_are_told_apart() {
    for rig in rigs().await {
        let number = rig.sealed(PERSON).await.receipt.unwrap().number;
        let take = |case: &str| TakeReceipt {
            number,
            case: case.parse().unwrap(),
            person: PERSON,
            by: "李强".parse().unwrap(),
        };
        let (first, second) = (take("K-1"), take("K-2"));
        let (one, two) = tokio::join!(
            rig.service.take_receipt(&first),
            rig.service.take_receipt(&second)
        );
        let lost = match (one, two) {
            (Ok(_), lost) | (lost, Ok(_)) => lost,
            both => panic!("{both:?}"),
        };
        assert_eq!(code(lost), FailureCode::ReceiptUsed, "{}", rig.engine.name);
    }
}

#[tokio::test]
async fn the_same_photo_gets_a_new_receipt_once_the_old_one_is_spent() {
    for rig in rigs().await {
        let service = &rig.service;
        let first = rig.sealed(PERSON).await;
        rig.clock.forward(30 * DAY - 1);
        assert_eq!(rig.sealed(PERSON).await, first, "still valid");
        rig.clock.forward(1);
        let second = rig.sealed(PERSON).await;
        let receipt = second.receipt.clone().unwrap();
        assert_ne!(second.photo, first.photo);
        // Nobody takes the old picture for a new one.
        assert_eq!(
            (first.given_before, second.given_before),
            (None, Some(first.received_at))
        );
        assert_eq!(receipt.expires_at, crate::support::NOW + 60 * DAY);
        assert_eq!(
            service.photo(first.photo).await.unwrap().state,
            PhotoState::Superseded
        );

        // Used, it stays the answer while its case is open, and no longer.
        let case: CaseNumber = "K-1".parse().unwrap();
        let take = TakeReceipt {
            number: receipt.number,
            case: case.clone(),
            person: PERSON,
            by: "李强".parse().unwrap(),
        };
        service.take_receipt(&take).await.unwrap();
        assert_eq!(rig.sealed(PERSON).await.photo, second.photo);
        service.close_case(&case, &"李强".parse().unwrap()).await.unwrap();
        let third = rig.sealed(PERSON).await;
        assert_ne!(third.photo, second.photo);
        let number = third.receipt.unwrap().number;
        assert_eq!(service.receipt(number).await.unwrap().state, ReceiptState::Valid);
        assert_eq!(service.status().await.unwrap().sealed, 1, "{}", rig.engine.name);
    }
}

#[tokio::test]
async fn a_used_receipt_is_over_with_its_case_and_nobody_brings_it_back_by_opening_that_again() {
    for rig in rigs().await {
        let service = &rig.service;
        let photo = rig.sealed(PERSON).await;
        let clerk = || "李强".parse().unwrap();
        // The case may have been open before, for somebody who looked at the photo.
        let case = rig.open_case("K-1", PERSON).await;
        rig.clock.forward(60);
        let take = TakeReceipt {
            number: photo.receipt.unwrap().number,
            case: case.clone(),
            person: PERSON,
            by: clerk(),
        };
        service.take_receipt(&take).await.unwrap();
        rig.clock.forward(60);
        service.take_receipt(&take).await.unwrap();
        service.close_case(&case, &clerk()).await.unwrap();
        let closed = service.take_receipt(&take).await;
        assert_eq!(code(closed), FailureCode::ReceiptUsed, "{}", rig.engine.name);
        // Years later one clerk opens the case of this number again.
        rig.clock.forward(1_000 * DAY);
        rig.open_case("K-1", PERSON).await;
        let opened = service.take_receipt(&take).await;
        assert_eq!(code(opened), FailureCode::ReceiptUsed, "{}", rig.engine.name);
        // The same picture has a new receipt then, as after any case that was closed.
        let again = rig.sealed(PERSON).await;
        assert_ne!(again.photo, photo.photo);
        let again = TakeReceipt {
            number: again.receipt.unwrap().number,
            ..take
        };
        service.take_receipt(&again).await.unwrap();
    }
}

#[tokio::test]
async fn a_superseded_photo_submitted_again_is_a_new_photo() {
    for rig in rigs().await {
        let old = rig.sealed(PERSON).await;
        rig.sealed_from(PERSON, pictures::SAMPLE.to_vec()).await;
        let again = rig.sealed(PERSON).await;
        assert_eq!(again.state, PhotoState::Sealed);
        assert_ne!(again.photo, old.photo);
    }
}

#[tokio::test]
async fn a_server_set_up_for_speed_still_makes_our_commits_durable() {
    let engine = engines::postgres().await;
    let Store::Postgres(pool) = &engine.store else {
        panic!("not a server")
    };
    let (setting,): (String,) = sqlx::query_as("SHOW synchronous_commit")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(setting, "on");
}

#[tokio::test]
async fn a_photo_is_shredded_also_when_the_cleaning_afterwards_fails() {
    let engine = engines::postgres().await;
    let Store::Postgres(blocking) = &engine.store else {
        panic!("not a server")
    };
    let impatient = (*blocking.connect_options())
        .clone()
        .options([("lock_timeout", "200ms")]);
    let store = Store::Postgres(sqlx::PgPool::connect_with(impatient).await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let service = crate::support::service(&store, folder.path(), &vault::shared().await, &SetClock::new());
    let photo = held(
        service
            .submit(submit(PERSON, pictures::studio_jpeg()))
            .await
            .unwrap(),
    );
    // A lock that lets rows be deleted and no table be vacuumed.
    let mut lock = blocking.begin().await.unwrap();
    sqlx::query("LOCK TABLE renditions IN SHARE UPDATE EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let erase = Erase {
        photo: photo.photo,
        by: "隐私官".parse().unwrap(),
        case: "ORDER-3".parse().unwrap(),
    };
    assert_eq!(service.erase(&erase).await.unwrap().state, PhotoState::Shredded);
    assert_eq!(count_files(folder.path()), 0);
    store.close().await;
}

/// A clock that takes back every announcement once, between the announcement and the completion of a photo.
fn withdrawing(store: &Store) -> Clock {
    let (store, looks) = (store.clone(), AtomicUsize::new(0));
    Clock::new(move || {
        // The first look is for the announcement, the second for the receipt.
        if looks.fetch_add(1, Ordering::SeqCst) == 1 {
            let Store::Sqlite(pool) = &store else {
                panic!("not a file")
            };
            let withdrawn = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current()
                    .block_on(sqlx::query("DELETE FROM photos WHERE state = 'RECEIVED'").execute(pool))
            });
            assert_eq!(withdrawn.unwrap().rows_affected(), 1);
        }
        jiff::Timestamp::from_second(crate::support::NOW).unwrap()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_whose_adopted_announcement_is_taken_back_announces_anew() {
    let engine = engines::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let objects = folder.path().join("objects");
    std::fs::create_dir(&objects).unwrap();
    let service = Service::new(
        engine.store.clone(),
        Objects::in_folder(&objects).unwrap(),
        vault::shared().await.vault(),
        decoder(),
        withdrawing(&engine.store),
        getrandom::SysRng,
    )
    .unwrap();
    let file = pictures::studio_jpeg();
    let photo = held(service.submit(submit(PERSON, file)).await.unwrap());
    assert_eq!(photo.state, PhotoState::Sealed);
    assert!(photo.receipt.is_some());
    assert_eq!(count_files(&objects), 2);
}

/// What whoever started this program left open for every program that it starts in turn, as build tools do.
fn left_open() -> Vec<String> {
    const CLOSED_AT_START: u32 = 0o2_000_000;
    let own = Path::new("/proc/self");
    let entries = std::fs::read_dir(own.join("fd")).unwrap().map_while(Result::ok);
    let left = entries.filter_map(|entry| {
        let info = std::fs::read_to_string(own.join("fdinfo").join(entry.file_name())).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        let link = std::fs::read_link(entry.path()).ok()?;
        (flags & CLOSED_AT_START == 0).then(|| link.to_string_lossy().into_owned())
    });
    left.collect()
}

/// What every process that this one started, and that is confined, has open.
fn decoders_have_open() -> Vec<Vec<String>> {
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().map_while(Result::ok) {
        let status = std::fs::read_to_string(process.path().join("status")).unwrap_or_default();
        let says = |key: &str, value: &str| {
            status
                .lines()
                .any(|line| line.split_whitespace().eq([key, value]))
        };
        if says("PPid:", &own) && says("Seccomp:", "2") {
            let open = std::fs::read_dir(process.path().join("fd"));
            let links = open.into_iter().flatten().map_while(Result::ok);
            let open: Vec<String> = links
                .filter_map(|link| {
                    Some(
                        std::fs::read_link(link.path())
                            .ok()?
                            .to_string_lossy()
                            .into_owned(),
                    )
                })
                .collect();
            // It may have ended meanwhile.
            if !open.is_empty() {
                found.push(open);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_decodes_a_strangers_bytes_has_three_pipes_and_nothing_else() {
    let vault = vault::shared().await;
    let rig = rigs_at(&vault).await.remove(0);
    // What the store has open beside: the vault, a file, its index.
    let _session = tokio::net::UnixStream::connect(&vault.socket).await.unwrap();
    let _file = std::fs::File::open("/etc/passwd").unwrap();
    let submitting = async { rig.sealed_from(PERSON, pictures::SAMPLE.to_vec()).await };
    let mut submitting = std::pin::pin!(submitting);
    let mut seen = 0;
    loop {
        tokio::select! {
            biased;
            photo = &mut submitting => {
                assert_eq!(photo.state, PhotoState::Sealed);
                break;
            }
            () = tokio::time::sleep(std::time::Duration::from_millis(2)) => {}
        }
        for open in decoders_have_open() {
            let left = left_open();
            let own: Vec<_> = open.iter().filter(|open| !left.contains(open)).collect();
            assert!(
                own.len() <= 3 && own.iter().all(|open| open.starts_with("pipe:")),
                "{open:?}"
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "no decoder was seen at work");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decoder_that_breaks_off_or_says_something_else_costs_its_photo_alone() {
    let engine = engines::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let (vault, clock) = (vault::shared().await, SetClock::new());
    // What a decoder under a stranger's control may do with its pipes: end, say nothing in form, say it without an end.
    for program in [
        "/nowhere/photo-store",
        "/bin/false",
        "/bin/true",
        "/bin/echo",
        "/usr/bin/yes",
    ] {
        let service = Service::new(
            engine.store.clone(),
            Objects::in_folder(folder.path()).unwrap(),
            vault.vault(),
            photo_store::decoding::Decoder::Apart(program.into()),
            clock.clock(),
            getrandom::SysRng,
        )
        .unwrap();
        let refused = service.submit(submit(PERSON, pictures::studio_jpeg())).await;
        assert_eq!(code(refused), FailureCode::DecoderFault, "{program}");
        assert!(service.photos(PERSON).await.unwrap().is_empty());
    }
    assert_eq!(count_files(folder.path()), 0);
    let service = crate::support::service(&engine.store, folder.path(), &vault, &clock);
    held(
        service
            .submit(submit(PERSON, pictures::studio_jpeg()))
            .await
            .unwrap(),
    );
}

/// The largest picture fits into the memory that a decoder gives itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_picture_is_judged_within_a_decoders_limits() {
    let rig = rigs_at(&vault::shared().await).await.remove(0);
    let side = 5_000;
    let mut file = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(side, side, image::Rgb([200, 200, 200]))
        .write_to(&mut file, image::ImageFormat::Png)
        .unwrap();
    match rig
        .service
        .submit(submit(PERSON, file.into_inner()))
        .await
        .unwrap()
    {
        Submission::Refused(judgement) => assert_eq!(judgement.width, side),
        Submission::Held { .. } => panic!("nobody is on it"),
    }
}
