//! Production from order to hand-over with the real vault, photo store and applet in process, and every way to stop it.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use card_reader::transport::Transport as _;
use issuer_production::{ProductionError, Station, StepReport};
use permit_domain::{HandOverClerk, Maker, Order, OrderState, PermitState};
use program_contract::Failing as _;
use virtual_card::InProcess;
use virtual_card::chip::{Foreign, Mute};
use virtual_card::fault::{Fault, Faulty};

use crate::fixture;
use crate::fixture::{Fixture, TestCard};

type Cuttable = Faulty<InProcess>;

/// What a test asserts of a refusal: code, a word of the message, a word of the action.
fn refused(error: &ProductionError, code: &str, message: &str, action: &str) {
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(message), "{error}");
    assert!(error.action().contains(action), "{}", error.action());
    let shown = format!("{error} {error:?} {}", error.action());
    for secret in ["李娜", "440305198511120028", "科苑路"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// The text of the QR code in a drawn face.
pub(crate) fn read_qr(png: &[u8]) -> String {
    let picture = image::load_from_memory(png).unwrap().to_luma8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
        picture
            .get_pixel(u32::try_from(x).unwrap(), u32::try_from(y).unwrap())
            .0[0]
    });
    prepared.detect_grids()[0].decode().unwrap().1
}

async fn step(fixture: &Fixture, order: Order, station: &mut Station) -> Result<Order, ProductionError> {
    let sun = Maker::Person("sun".parse().unwrap());
    fixture.production.step(order, station, &sun, &mut |_| {}).await
}

/// Gives an order up, so that its permit can be ordered again.
async fn give_up(fixture: &Fixture, order: Order) {
    fixture
        .office()
        .advance(order.give_up().unwrap(), ("producer", "sun"), "{}")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_given_up_by_a_named_producer_and_its_permit_is_ordered_again() {
    let fixture = Fixture::new().await;
    let (application, permit) = fixture.approved(fixture::APPLICANT).await;
    let receipt = fixture.photo(application).await;
    let order = fixture.order(permit, receipt).await;
    let by = "qian".parse().unwrap();
    let given_up = fixture.office().give_up(order.id(), &by).await.unwrap();
    assert_eq!(given_up.state().name(), "GIVEN_UP");
    assert_eq!(
        fixture.office().give_up(order.id(), &by).await.unwrap(),
        fixture.stored(order.id()).await
    );
    let steps = fixture.office().order_steps(order.id()).await.unwrap();
    let last = steps.last().unwrap();
    assert_eq!((last.step.as_str(), last.actor.as_str()), ("GIVEN_UP", "qian"));
    assert_eq!(steps.len(), 1, "the second call did nothing");

    let receipt = fixture.photo(application).await;
    let again = fixture.order(permit, receipt).await;
    let card = fixture.blank();
    fixture.run(again.id(), &mut card.station()).await.unwrap();
    fixture.hand_over(again.id(), &mut card.station()).await.unwrap();
    let late = fixture.office().give_up(again.id(), &by).await.unwrap_err();
    assert_eq!(late.code(), "WRONG_STATE");
}

/// Whether the card says by itself that nothing was finished on it: only a blank tells its serial.
fn is_blank(card: &TestCard) -> bool {
    let reader = card.reader();
    let (_, serial) = card_reader::Card::new(reader)
        .reset()
        .unwrap()
        .select()
        .unwrap()
        .blank_serial()
        .unwrap();
    serial.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_stands_under_who_did_it_and_nobody_hands_over_what_they_made() {
    let fixture = Fixture::new().await;
    let (office, production) = (fixture.office(), &fixture.production);
    let (application, permit) = fixture.approved(fixture::APPLICANT).await;
    let receipt = fixture.photo(application).await;
    // Ordered by one producer, made by another and, where nobody was signed in, by the worker in its own name.
    let order = fixture.order(permit, receipt).await;
    let person = |name: &str| Maker::Person(name.parse().unwrap());
    let card = fixture.blank();
    for decided in ["wang", "zhao"] {
        let mut station = card.station();
        let refused = production
            .run(order.id(), &mut station, &person(decided), &mut |_| {})
            .await;
        assert_eq!(refused.unwrap_err().code(), "SAME_PERSON_TWICE", "{decided}");
    }
    let (qian, worker) = (person("qian"), Maker::Service("worker".parse().unwrap()));
    let mut station = card.station();
    let allocated = production
        .step(order, &mut station, &qian, &mut |_| {})
        .await
        .unwrap();
    production
        .run(allocated.id(), &mut station, &worker, &mut |_| {})
        .await
        .unwrap();
    let steps = office.order_steps(allocated.id()).await.unwrap();
    let who: Vec<_> = steps
        .iter()
        .map(|step| (step.step.as_str(), step.role.as_str(), step.actor.as_str()))
        .collect();
    assert_eq!(
        who,
        [
            ("ALLOCATED", "producer", "qian"),
            ("ENCODING", "service", "worker"),
            ("ENCODED", "service", "worker"),
            ("DRAWN", "service", "worker"),
            ("VERIFIED", "service", "worker"),
        ]
    );
    let reads = office.photo_reads(application).await.unwrap();
    let mut readers: Vec<_> = reads.iter().map(|read| read.reader.to_string()).collect();
    readers.dedup();
    assert_eq!(
        readers,
        ["worker", "liu"],
        "who ended the intake looked at it first"
    );

    let hand_over = async |clerk: &str| {
        let clerk = HandOverClerk::new(clerk.parse().unwrap());
        let holder = issuer_production::HolderChecked::Holder;
        production
            .hand_over(allocated.id(), &mut card.station(), clerk, holder, &mut |_| {})
            .await
    };
    for made in ["sun", "qian", "worker"] {
        let own = hand_over(made).await.unwrap_err();
        assert_eq!(own.code(), "SAME_PERSON_TWICE", "{made}");
    }
    assert_eq!(hand_over("chen").await.unwrap().state().name(), "HANDED_OVER");
    office.verify_ledger().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_becomes_a_verified_card_and_then_an_active_one() {
    let fixture = Fixture::new().await;
    let order = fixture.ordered().await;
    let card = fixture.blank();
    let mut station = card.station();
    let mut steps: Vec<StepReport> = Vec::new();
    let sun = Maker::Person("sun".parse().unwrap());
    let done = fixture
        .production
        .run(order.id(), &mut station, &sun, &mut |step| {
            steps.push(step.clone());
        })
        .await
        .unwrap();
    assert_eq!(done.state().name(), "VERIFIED");
    let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
    assert_eq!(names, ["ALLOCATE", "ENCODE", "DRAW", "VERIFY"]);
    assert!(steps.iter().all(|step| step.ok && step.actor == "sun"));
    let number = done.state().card().unwrap().number.clone();
    for face in ["front.png", "back.png"] {
        let png = std::fs::read(fixture.production.faces_of(order.id()).join(face)).unwrap();
        assert_eq!(image::load_from_memory(&png).unwrap().width(), 1011);
        let mode = std::fs::metadata(fixture.production.faces_of(order.id()).join(face))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "the office's account alone sees a face");
    }
    // The QR code that was printed holds the card's number, and the vault's document signer signed it.
    let back = std::fs::read(fixture.production.faces_of(order.id()).join("back.png")).unwrap();
    let statement = issuer_artwork::qr::parse(&read_qr(&back)).unwrap();
    assert_eq!(statement.card_number, number.to_string());
    let printed = keyvault_protocol::CardBack {
        card_number: statement.card_number,
        region: statement.division.parse().unwrap(),
        issued_on: statement.issued_on,
    };
    assert!(printed.is_signed(&statement.signature, &fixture.anchors().await.document_signer));
    assert!(matches!(
        fixture.office().permit(order.permit()).await.unwrap().state(),
        PermitState::Produced { .. }
    ));

    let handed = fixture.hand_over(order.id(), &mut station).await.unwrap();
    assert_eq!(handed.state().name(), "HANDED_OVER");
    assert_eq!(handed.state().card().unwrap().number, number);
    assert!(matches!(
        fixture.office().permit(order.permit()).await.unwrap().state(),
        PermitState::Active { .. }
    ));
    // Again changes nothing.
    assert_eq!(fixture.hand_over(order.id(), &mut station).await.unwrap(), handed);
    fixture.office().verify_ledger().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_pulled_at_any_command_of_personalisation_is_finished_by_a_second_run_with_the_same_number() {
    let fixture = Fixture::new().await;
    let (application, permit) = fixture.approved(fixture::APPLICANT).await;
    let receipt = fixture.photo(application).await;

    // A run without faults tells how many places there are to cut.
    let order = fixture.order(permit, receipt).await;
    let card = fixture.blank();
    let order = step(&fixture, order, &mut card.station()).await.unwrap();
    let counted = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let mut station = Station::new(Counted {
        inner: card.reader(),
        count: counted.clone(),
    });
    let order = step(&fixture, order, &mut station).await.unwrap();
    assert_eq!(order.state().name(), "ENCODED");
    give_up(&fixture, order).await;
    let commands = counted.load(std::sync::atomic::Ordering::SeqCst);
    assert!(commands > 30, "{commands}");

    let mut in_doubt = 0;
    for place in 1..=commands {
        for fault in [Fault::CutBefore, Fault::CutAfter] {
            let order = fixture.order(permit, receipt).await;
            let card = fixture.blank();
            let order = step(&fixture, order, &mut card.station()).await.unwrap();
            let allocated = order.state().card().unwrap().clone();
            let what = format!("{fault:?} at command {place} of {commands}");

            let mut station = Station::new(Cuttable::new(card.reader()).with(place, fault));
            let error = step(&fixture, order.clone(), &mut station)
                .await
                .expect_err(&what);
            refused(&error, "READER_LOST", "nobody knows", "same");
            assert_eq!(error.exit().code(), 4);

            let stopped = fixture.stored(order.id()).await;
            assert_eq!(stopped.state().card(), Some(&allocated), "{what}");
            match stopped.state() {
                // The ledger says that nothing was begun, and the card agrees.
                OrderState::Allocated { .. } => assert!(is_blank(&card), "{what}"),
                OrderState::Encoding { .. } => {
                    assert!(stopped.state().in_doubt());
                    in_doubt += 1;
                }
                state => panic!("{what}: {}", state.name()),
            }
            let finished = step(&fixture, stopped, &mut card.station())
                .await
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(
                finished.state(),
                &OrderState::Encoded { card: allocated },
                "{what}"
            );
            assert!(!is_blank(&card), "{what}");
            // Every eighth card goes all the way to show that a resumed card is a good one.
            if place % 8 == 0 {
                let verified = fixture
                    .run(finished.id(), &mut card.station())
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(verified.state().name(), "VERIFIED");
                give_up(&fixture, verified).await;
            } else {
                give_up(&fixture, finished).await;
            }
        }
    }
    assert!(in_doubt > commands, "most places are in doubt: {in_doubt}");
}

/// Counts commands, for a run without faults.
struct Counted {
    inner: InProcess,
    count: std::sync::Arc<std::sync::atomic::AtomicU32>,
}

impl card_reader::transport::Transport for Counted {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, card_reader::transport::TransportError> {
        self.count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.inner.transmit(command)
    }

    fn reset(&mut self) -> Result<(), card_reader::transport::TransportError> {
        self.inner.reset()
    }

    fn name(&self) -> &'static str {
        "counted"
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_pulled_at_any_command_of_the_activation_is_handed_over_by_a_second_run() {
    let fixture = Fixture::new().await;
    let mut commands = 0;
    for round in 0..=12_u32 {
        let (application, permit) = fixture.approved(&fixture::person(round)).await;
        let receipt = fixture.photo(application).await;
        let order = fixture.order(permit, receipt).await;
        let card = fixture.blank();
        let verified = fixture.run(order.id(), &mut card.station()).await.unwrap();
        let number = verified.state().card().unwrap().clone();
        if round == 0 {
            let counted = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
            let mut station = Station::new(Counted {
                inner: card.reader(),
                count: counted.clone(),
            });
            fixture.hand_over(order.id(), &mut station).await.unwrap();
            commands = counted.load(std::sync::atomic::Ordering::SeqCst);
            continue;
        }
        // The last six commands are the activation; before them the card is only looked at.
        let place = commands - (round - 1) / 2;
        let fault = if round % 2 == 0 {
            Fault::CutBefore
        } else {
            Fault::CutAfter
        };
        let what = format!("{fault:?} at command {place} of {commands}");
        let mut station = Station::new(Cuttable::new(card.reader()).with(place, fault));
        let error = fixture
            .hand_over(order.id(), &mut station)
            .await
            .expect_err(&what);
        assert_eq!(error.exit().code(), 4, "{what}: {error}");
        let stopped = fixture.stored(order.id()).await;
        assert!(stopped.state().in_doubt(), "{what}");
        assert!(matches!(
            fixture.office().permit(permit).await.unwrap().state(),
            PermitState::Produced { .. }
        ));
        let handed = fixture
            .hand_over(order.id(), &mut card.station())
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(
            matches!(handed.state(), OrderState::HandedOver { card, .. } if *card == number),
            "{what}"
        );
        assert!(matches!(
            fixture.office().permit(permit).await.unwrap().state(),
            PermitState::Active { .. }
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_sealed_in_the_middle_leaves_the_order_in_doubt_and_goes_on_when_it_is_open() {
    let fixture = Fixture::new().await;
    let order = fixture.ordered().await;
    let card = fixture.blank();
    let order = step(&fixture, order, &mut card.station()).await.unwrap();
    let (vault, runtime) = (fixture.vault.clone(), tokio::runtime::Handle::current());
    let seal = Fault::Before(Box::new(move |_: &mut InProcess| {
        runtime.block_on(vault.seal("li")).unwrap();
    }));
    let mut station = Station::new(Cuttable::new(card.reader()).with(20, seal));
    let error = step(&fixture, order.clone(), &mut station).await.unwrap_err();
    refused(&error, "VAULT_SEALED", "seal", "custodians");
    let stopped = fixture.stored(order.id()).await;
    assert!(stopped.state().in_doubt());
    // Still sealed: nothing changes, and the card's own keys stay where they are.
    let image = card.memory.image();
    assert!(
        step(&fixture, stopped.clone(), &mut card.station())
            .await
            .is_err()
    );
    assert_eq!(card.memory.image(), image);
    assert!(fixture.stored(order.id()).await.state().in_doubt());

    fixture.unseal().await;
    let done = fixture.run(order.id(), &mut card.station()).await.unwrap();
    assert_eq!(done.state().card(), stopped.state().card());
    assert_eq!(done.state().name(), "VERIFIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_dies_in_the_middle_leaves_the_order_in_doubt_and_goes_on_when_it_is_back() {
    let fixture = Fixture::new().await;
    let order = fixture.ordered().await;
    let card = fixture.blank();
    let order = step(&fixture, order, &mut card.station()).await.unwrap();
    let line = fixture.line.clone();
    let cut = Fault::Before(Box::new(move |_: &mut InProcess| line.cut()));
    let mut station = Station::new(Cuttable::new(card.reader()).with(20, cut));
    let error = step(&fixture, order.clone(), &mut station).await.unwrap_err();
    refused(&error, "VAULT_GONE", "lost", "same card");
    assert_eq!(error.exit().code(), 4);
    let stopped = fixture.stored(order.id()).await;
    assert!(stopped.state().in_doubt());
    let error = step(&fixture, stopped.clone(), &mut card.station())
        .await
        .unwrap_err();
    refused(&error, "VAULT_NOT_RUNNING", "not running", "keyvault serve");
    fixture.line.mend();
    let done = fixture.run(order.id(), &mut card.station()).await.unwrap();
    assert_eq!(done.state().card(), stopped.state().card());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_in_the_middle_of_encoding_is_resumed_by_another_with_the_same_number() {
    let fixture = std::sync::Arc::new(Fixture::new().await);
    let order = fixture.ordered().await;
    let card = fixture.blank();
    let order = step(&fixture, order, &mut card.station()).await.unwrap();
    let number = order.state().card().unwrap().clone();
    let (reached, reaching) = std::sync::mpsc::channel();
    let kill = Fault::Before(Box::new(move |_: &mut InProcess| {
        reached.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }));
    let mut station = Station::new(Cuttable::new(card.reader()).with(25, kill));
    let (running, killed) = (fixture.clone(), order.clone());
    let task = tokio::spawn(async move { step(&running, killed, &mut station).await });
    tokio::task::spawn_blocking(move || reaching.recv().unwrap())
        .await
        .unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stopped = fixture.stored(order.id()).await;
    assert!(stopped.state().in_doubt());
    let done = fixture.run(order.id(), &mut card.station()).await.unwrap();
    assert_eq!(done.state().card(), Some(&number));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_takes_no_writes_in_the_middle_says_so_and_the_card_is_not_lost() {
    let fixture = Fixture::new().await;
    let order = fixture.ordered().await;
    let card = fixture.blank();
    let order = step(&fixture, order, &mut card.station()).await.unwrap();
    let (office, runtime) = (fixture.office().clone(), tokio::runtime::Handle::current());
    let close = Fault::Before(Box::new(move |_: &mut InProcess| {
        runtime.block_on(office.close());
    }));
    let mut station = Station::new(Cuttable::new(card.reader()).with(30, close));
    let error = step(&fixture, order.clone(), &mut station).await.unwrap_err();
    refused(
        &error,
        "STORE_UNAVAILABLE",
        "does not answer",
        "Start the database",
    );
    assert_eq!(error.exit().code(), 5);
    // The card was written to its end; the ledger did not hear of it.
    assert!(!is_blank(&card));

    let fixture = fixture.with_ledger_opened_again().await;
    let stopped = fixture.stored(order.id()).await;
    assert!(stopped.state().in_doubt());
    let done = fixture.run(order.id(), &mut card.station()).await.unwrap();
    assert_eq!(done.state().card(), order.state().card());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_any_answer_of_personalisation_never_passes_for_a_good_card() {
    let fixture = Fixture::new().await;
    let (application, permit) = fixture.approved(fixture::APPLICANT).await;
    let receipt = fixture.photo(application).await;
    for place in (4..40).step_by(3) {
        let order = fixture.order(permit, receipt).await;
        let card = fixture.blank();
        let order = step(&fixture, order, &mut card.station()).await.unwrap();
        let mut station = Station::new(Cuttable::new(card.reader()).with(place, Fault::FlipBit(place * 5)));
        let first = step(&fixture, order, &mut station).await;
        let stopped = match first {
            Ok(order) => order,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                let id = fixture
                    .office()
                    .running_orders()
                    .await
                    .unwrap()
                    .first()
                    .unwrap()
                    .id();
                fixture.stored(id).await
            }
        };
        let number = stopped.state().card().cloned();
        let done = fixture.run(stopped.id(), &mut card.station()).await.unwrap();
        assert_eq!(
            (done.state().name(), done.state().card().cloned()),
            ("VERIFIED", number)
        );
        give_up(&fixture, done).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_swapped_between_two_steps_is_noticed_before_anything_is_written_to_it() {
    let fixture = Fixture::new().await;
    let order = fixture.ordered().await;
    let (card, other) = (fixture.blank(), fixture.blank());
    let order = step(&fixture, order, &mut card.station()).await.unwrap();

    // Between allocation and encoding: another blank.
    let before = other.memory.image();
    let error = step(&fixture, order.clone(), &mut other.station())
        .await
        .unwrap_err();
    refused(
        &error,
        "CARD_SWAPPED",
        &card.serial().to_string(),
        "the order's card",
    );
    assert_eq!(other.memory.image(), before, "nothing was written");
    assert_eq!(
        fixture.stored(order.id()).await,
        order,
        "the order is where it was"
    );

    let order = step(&fixture, order, &mut card.station()).await.unwrap();
    let order = step(&fixture, order, &mut card.station()).await.unwrap();
    assert_eq!(order.state().name(), "DRAWN");

    // Between printing and verification: a blank, then another person's finished card.
    let error = step(&fixture, order.clone(), &mut other.station())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "NOT_ACTIVE", "a blank does not open to a terminal");
    let (application, permit) = fixture.approved(&fixture::person(1)).await;
    let receipt = fixture.photo(application).await;
    let second = fixture.order(permit, receipt).await;
    fixture.run(second.id(), &mut other.station()).await.unwrap();
    let before = other.memory.image();
    let error = step(&fixture, order.clone(), &mut other.station())
        .await
        .unwrap_err();
    refused(
        &error,
        "CARD_SWAPPED",
        &card.serial().to_string(),
        "the order's card",
    );
    assert_eq!(other.memory.image(), before);

    // Before hand-over: the other person's card is on the reader.
    let order = step(&fixture, order, &mut card.station()).await.unwrap();
    let error = fixture
        .hand_over(order.id(), &mut other.station())
        .await
        .unwrap_err();
    refused(
        &error,
        "CARD_SWAPPED",
        &card.serial().to_string(),
        "the order's card",
    );
    assert_eq!(other.memory.image(), before);
    assert_eq!(fixture.stored(order.id()).await, order);
    fixture.hand_over(order.id(), &mut card.station()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_print_that_fails_after_encoding_is_printed_again_on_the_same_card() {
    let fixture = Fixture::new().await;
    // A file stands where the folder of the faces should be.
    std::fs::write(fixture.faces(), b"in the way").unwrap();
    let order = fixture.ordered().await;
    let card = fixture.blank();
    let error = fixture.run(order.id(), &mut card.station()).await.unwrap_err();
    refused(&error, "PRINT_FAILED", "cannot be written", "same card");
    assert_eq!(error.exit().code(), 5);
    let stopped = fixture.stored(order.id()).await;
    assert_eq!(stopped.state().name(), "ENCODED");
    std::fs::remove_file(fixture.faces()).unwrap();
    let done = fixture.run(order.id(), &mut card.station()).await.unwrap();
    assert_eq!(done.state().card(), stopped.state().card());
    assert_eq!(
        std::fs::read_dir(fixture.production.faces_of(order.id()))
            .unwrap()
            .count(),
        2,
        "no left-over beside the faces"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_card_a_foreign_card_and_a_dead_card_are_told_apart_and_change_nothing() {
    let fixture = Fixture::new().await;
    let order = fixture.ordered().await;
    for (reader, code, exit) in [
        (InProcess::empty(), "NO_CARD", 3),
        (InProcess::with(Foreign), "FOREIGN_CARD", 1),
        (InProcess::with(Mute), "CARD_UNPOWERED", 3),
    ] {
        let error = fixture
            .run(order.id(), &mut Station::new(reader))
            .await
            .unwrap_err();
        assert_eq!((error.code(), error.exit().code()), (code, exit));
        assert!(!error.action().is_empty());
        assert_eq!(fixture.stored(order.id()).await, order);
    }
    let written = fixture.blank();
    fixture.run(order.id(), &mut written.station()).await.unwrap();
    let (application, permit) = fixture.approved(&fixture::person(2)).await;
    let receipt = fixture.photo(application).await;
    let second = fixture.order(permit, receipt).await;
    let error = fixture
        .run(second.id(), &mut written.station())
        .await
        .unwrap_err();
    refused(&error, "CARD_NOT_BLANK", "not blank", "blank from the stock");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_producer_may_not_hand_over_and_a_blank_that_is_not_in_stock_is_not_used() {
    let fixture = Fixture::new().await;
    let order = fixture.ordered().await;
    let card = fixture.blank();
    fixture
        .office()
        .recall_lot("002c-00000001", &"gao".parse().unwrap())
        .await
        .unwrap();
    let error = fixture.run(order.id(), &mut card.station()).await.unwrap_err();
    refused(&error, "BLANK_NOT_IN_STOCK", "RECALLED", "another blank");
    assert_eq!(fixture.stored(order.id()).await, order);

    let fixture = Fixture::new().await;
    let order = fixture.ordered().await;
    let card = fixture.blank();
    let verified = fixture.run(order.id(), &mut card.station()).await.unwrap();
    let holder = issuer_production::HolderChecked::Holder;
    let error = fixture
        .production
        .hand_over(
            order.id(),
            &mut card.station(),
            "sun".parse().unwrap(),
            holder,
            &mut |_| {},
        )
        .await
        .unwrap_err();
    assert_eq!(error.code(), "SAME_PERSON_TWICE");
    assert_eq!(fixture.stored(order.id()).await, verified);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_does_not_hold_what_was_ordered_is_kept_from_the_holder() {
    let fixture = Fixture::new().await;
    let (application, permit) = fixture.approved(fixture::APPLICANT).await;
    let receipt = fixture.photo(application).await;
    let first = fixture.order(permit, receipt).await;
    let card = fixture.blank();
    let mut order = step(&fixture, first, &mut card.station()).await.unwrap();
    // The card is written under another order of the same permit and serial: content with other salts.
    let image = card.memory.image();
    for _ in 0..2 {
        order = step(&fixture, order, &mut card.station()).await.unwrap();
    }
    assert_eq!(order.state().name(), "DRAWN");
    // A chip whose memory went back to blank after it was drawn.
    let worn = TestCard {
        memory: virtual_card::CardMemory::from_image(image),
        ..card.clone()
    };
    let error = step(&fixture, order.clone(), &mut worn.station())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "NOT_ACTIVE");
    assert_eq!(fixture.stored(order.id()).await, order);
    let mut reader = card.reader();
    reader.reset().unwrap();
    fixture.run(order.id(), &mut Station::new(reader)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_on_the_reader_opens_its_own_order_and_a_fresh_blank_the_oldest_one() {
    let fixture = Fixture::new().await;
    let first = fixture.ordered().await;
    let (application, permit) = fixture.approved(&fixture::person(3)).await;
    let receipt = fixture.photo(application).await;
    let second = fixture.order(permit, receipt).await;
    let (one, two, three) = (fixture.blank(), fixture.blank(), fixture.blank());
    let found = |card: &TestCard| {
        let (mut station, fixture) = (card.station(), &fixture);
        async move {
            fixture
                .production
                .order_for(&mut station)
                .await
                .unwrap()
                .map(|order| order.id())
        }
    };
    assert_eq!(
        found(&two).await,
        Some(first.id()),
        "the oldest order without a card"
    );
    // The first order is cut in the middle of its card.
    let order = step(&fixture, first.clone(), &mut one.station()).await.unwrap();
    let mut station = Station::new(Cuttable::new(one.reader()).with(30, Fault::CutAfter));
    step(&fixture, order, &mut station).await.unwrap_err();
    assert_eq!(found(&one).await, Some(first.id()), "its own card");
    assert_eq!(
        found(&two).await,
        Some(second.id()),
        "a fresh blank does not go to the order in doubt"
    );
    fixture.run(second.id(), &mut two.station()).await.unwrap();
    assert_eq!(
        found(&two).await,
        Some(second.id()),
        "a written card tells its serial through door S"
    );
    assert_eq!(found(&three).await, None, "nobody wants a third card");
    fixture.run(first.id(), &mut one.station()).await.unwrap();
    // A card in use, or one of a verified order, is no blank for an order that waits for one.
    fixture.hand_over(second.id(), &mut two.station()).await.unwrap();
    let (application, permit) = fixture.approved(&fixture::person(4)).await;
    let receipt = fixture.photo(application).await;
    let third = fixture.order(permit, receipt).await;
    let not_blank = fixture
        .production
        .order_for(&mut two.station())
        .await
        .unwrap_err();
    assert_eq!((not_blank.code(), not_blank.exit().code()), ("CARD_NOT_BLANK", 1));
    assert_eq!(
        found(&one).await,
        Some(first.id()),
        "a verified order knows its card"
    );
    assert_eq!(found(&three).await, Some(third.id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_photo_is_read_by_nobody_once_the_card_is_handed_over() {
    let fixture = Fixture::new().await;
    let order = fixture.ordered().await;
    let card = fixture.blank();
    fixture.run(order.id(), &mut card.station()).await.unwrap();
    let permit = fixture.office().permit(order.permit()).await.unwrap();
    assert!(fixture.may_read_photo(permit.grant().application).await);
    fixture.hand_over(order.id(), &mut card.station()).await.unwrap();
    assert!(!fixture.may_read_photo(permit.grant().application).await);
}

/// Where the inner part of the next test finds its small disk.
const DISK: &str = "YZT_ISSUER_TEST_DISK";

#[test]
fn a_disk_that_fills_up_in_the_middle_is_told_and_the_order_goes_on_when_there_is_room() {
    // The disk is a mount of its own in a namespace that no other process sees; the work is the ignored test below.
    let folder = tempfile::tempdir().unwrap();
    let script = r#"set -e; mount -t tmpfs -o size=3m tmpfs "$YZT_ISSUER_TEST_DISK"; exec "$0" --ignored --exact "$1""#;
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg("production::inside_a_small_disk")
        .env(DISK, folder.path())
        .output()
        .expect("unshare is part of util-linux");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs inside the test above only"]
async fn inside_a_small_disk() {
    let disk = std::path::PathBuf::from(std::env::var_os(DISK).unwrap());
    let url = format!("sqlite:{}", disk.join("issuer.db").display());
    let fixture = Fixture::with(tempfile::tempdir().unwrap(), &url).await;
    let order = fixture.ordered().await;
    let card = fixture.blank();
    let order = step(&fixture, order, &mut card.station()).await.unwrap();
    let filler = disk.join("filler");
    let path = filler.clone();
    let full = Fault::Before(Box::new(move |_: &mut InProcess| {
        let mut file = std::fs::File::create(path).unwrap();
        while std::io::Write::write(&mut file, &[0; 512]).is_ok_and(|written| written > 0) {}
    }));
    let mut station = Station::new(Cuttable::new(card.reader()).with(30, full));
    let error = step(&fixture, order.clone(), &mut station).await.unwrap_err();
    refused(&error, "STORE_DISK_FULL", "full", "Make room");
    assert_eq!(error.exit().code(), 5);
    let stopped = fixture.stored(order.id()).await;
    assert!(stopped.state().in_doubt());
    std::fs::remove_file(filler).unwrap();
    let done = fixture.run(order.id(), &mut card.station()).await.unwrap();
    assert_eq!(done.state().card(), order.state().card());
    fixture.office().verify_ledger().await.unwrap();
}
