//! Changes of cards in use, loads, standing, payment terminals and settlement.

use issuer_store::{Card, Store, StoredCardChange};
use jiff::civil::{Date, date};
use permit_domain::payment::{
    CardPseudonym, Check, CheckedFile, CheckedLine, DebitBefore, GenuineLine, Registration, Sum, UnknownLine,
};
use permit_domain::{
    AllocatedCard, Approver, CardChange, CardStage, ChangeId, ChangeKind, ChangeState, Chip, Content, Denial,
    Digest, EndOfCard, Permit, PermitState, Purse, Way,
};
use permit_rules::PurseRules;
use rstest::rstest;

use super::ledger::{Book as _, Ledger};
use super::people::{Engine, TODAY, at, li_na, n, new_order, somebody, staff};
use super::reads::Reads as _;
use crate::error::OfficeError;
use crate::loads::LoadOutcome;
use crate::settlement::{FileOutcome, Imported};

/// An office with one card in its holder's hand.
struct Case {
    office: Ledger,
    permit: Permit,
    card: Card,
}

impl Case {
    async fn new(engine: Engine) -> Self {
        let office = Ledger::open(engine).await;
        let order = office.handed_over(&li_na(), 1).await;
        let permit = office.store.permit(order.permit()).await.unwrap().unwrap();
        let number = &order.state().card().unwrap().number;
        let card = office.store.card(number).await.unwrap().unwrap();
        Self { office, permit, card }
    }

    fn store(&self) -> &Store {
        &self.office.store
    }

    fn purse_rules(&self) -> &PurseRules {
        self.office.rules.purse_rules("440300-purse-2026").unwrap()
    }

    fn change(&self, kind: ChangeKind, number: u8) -> CardChange {
        let card = AllocatedCard {
            number: self.card.number.clone(),
            serial: self.card.serial,
        };
        let content = Content::freeze(format!("content {number}").into_bytes());
        let id = ChangeId::new(at(), n(number));
        CardChange::new(id, self.permit.id(), card, kind, "liu".parse().unwrap(), content)
    }

    async fn now(&self) -> (Permit, Card) {
        let permit = self.store().permit(self.permit.id()).await.unwrap().unwrap();
        (
            permit,
            self.store().card(&self.card.number).await.unwrap().unwrap(),
        )
    }

    async fn propose(&self, kind: ChangeKind, number: u8) -> Result<StoredCardChange, OfficeError> {
        let (permit, _) = self.now().await;
        let decision = kind.is_granted().then(|| {
            let last = permit.grant().valid_to;
            let set = self.office.rules.get(&permit.grant().rule_set).unwrap();
            set.decide(&li_na(), last, self.office.rules.calendar()).unwrap()
        });
        let applicant = (kind == ChangeKind::Address).then(li_na);
        self.store()
            .propose_change(
                &self.change(kind, number),
                &permit,
                applicant.as_ref(),
                decision.as_ref(),
                at(),
            )
            .await
    }

    async fn load(&self, number: u8, amount: u32) -> Result<LoadOutcome, OfficeError> {
        let change = self.change(ChangeKind::Load, number);
        self.store()
            .book_load(&change, amount, self.purse_rules(), at())
            .await
    }

    /// The load's change goes through the counter.
    async fn written(&self, change: CardChange) -> CardChange {
        let by = ("producer", "sun");
        let change = self
            .store()
            .advance_change(change.begin_writing(TODAY).unwrap(), by, at())
            .await
            .unwrap();
        let done = change.done(Way::Counter, TODAY).unwrap();
        self.store().advance_change(done, by, at()).await.unwrap()
    }
}

fn booked(outcome: LoadOutcome) -> StoredCardChange {
    match outcome {
        LoadOutcome::Booked(change, _) | LoadOutcome::Known(change) => *change,
        LoadOutcome::Refused(decision) => panic!("{decision:?}"),
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_load_is_booked_once_as_a_figure_that_only_grows(#[case] engine: Engine) {
    let case = Case::new(engine).await;
    let first = booked(case.load(1, 30_000).await.unwrap());
    assert_eq!(first.load.as_ref().unwrap().loaded, 30_000);
    assert!(matches!(case.load(1, 30_000).await.unwrap(), LoadOutcome::Known(known) if *known == first));
    assert_eq!(case.load(1, 30_001).await.unwrap_err().code(), "ID_TAKEN");
    // While the first is neither on the card nor on its way a second one may be the same money.
    let open = case.load(2, 10_000).await.unwrap_err();
    assert!(
        matches!(open, OfficeError::Refused(permit_domain::Refusal::ChangeOpen { change }) if change == first.change.id())
    );
    case.written(first.change).await;
    let second = booked(case.load(2, 10_000).await.unwrap());
    assert_eq!(second.load.as_ref().unwrap().loaded, 40_000);
    assert_eq!(
        case.store().purse(&case.card.number).await.unwrap().loaded,
        40_000
    );
    let read = case.store().change(second.change.id()).await.unwrap().unwrap();
    assert_eq!(read, second);
    case.store().verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_load_above_a_limit_is_refused_with_its_reason_and_books_nothing(#[case] engine: Engine) {
    let case = Case::new(engine).await;
    let first = booked(case.load(1, 100_000).await.unwrap());
    case.written(first.change).await;
    let before = case.store().verify_ledger().await.unwrap();
    let LoadOutcome::Refused(decision) = case.load(2, 1).await.unwrap() else {
        panic!("booked");
    };
    assert_eq!(decision.unmet().next().unwrap().condition, "PURSE_BALANCE");
    assert_eq!(case.store().verify_ledger().await.unwrap(), before);
    assert_eq!(
        case.store().purse(&case.card.number).await.unwrap().loaded,
        100_000
    );
    // What the card spent, as it showed at the counter, makes room.
    let shown = Purse {
        loaded: 100_000,
        spent: 60_000,
    };
    assert_eq!(
        case.store()
            .see_purse(&case.card.number, shown, at())
            .await
            .unwrap(),
        shown
    );
    assert_eq!(
        booked(case.load(2, 60_000).await.unwrap()).load.unwrap().loaded,
        160_000
    );
    let rich = Purse {
        loaded: 160_001,
        spent: 60_000,
    };
    let error = case
        .store()
        .see_purse(&case.card.number, rich, at())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "PURSE_FIGURES");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn two_clerks_who_load_at_once_book_one_load_or_one_is_refused(#[case] engine: Engine) {
    let case = Case::new(engine).await;
    let load = |store: Store, number: u8| {
        let (change, rules) = (case.change(ChangeKind::Load, number), case.purse_rules().clone());
        tokio::spawn(async move { store.book_load(&change, 60_000, &rules, at()).await })
    };
    // The same load twice: booked once. Two loads: the second waits for the first.
    let (a, b) = (case.office.again().await, case.office.again().await);
    let (x, y) = tokio::join!(load(a, 1), load(b, 1));
    let both = [x.unwrap().unwrap(), y.unwrap().unwrap()];
    assert_eq!(
        both.iter()
            .filter(|o| matches!(o, LoadOutcome::Booked(..)))
            .count(),
        1
    );
    assert_eq!(
        both.iter()
            .filter(|o| matches!(o, LoadOutcome::Known(..)))
            .count(),
        1
    );
    let [first, _] = both;
    case.written(booked(first).change).await;
    let (a, b) = (case.office.again().await, case.office.again().await);
    let (x, y) = tokio::join!(load(a, 2), load(b, 3));
    let outcomes = [x.unwrap(), y.unwrap()];
    assert!(
        outcomes.iter().all(|o| matches!(o, Ok(LoadOutcome::Refused(_)))),
        "120 000 are above the balance"
    );
    assert_eq!(
        case.store().purse(&case.card.number).await.unwrap().loaded,
        60_000
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_lost_or_blocked_card_is_not_loaded(#[case] engine: Engine) {
    let case = Case::new(engine).await;
    let by = ("change clerk", "liu");
    let lost = case.card.standing().end(EndOfCard::Lost).unwrap();
    let card = case
        .store()
        .save_standing(case.card.clone(), lost, by, at())
        .await
        .unwrap();
    assert_eq!(case.load(1, 100).await.unwrap_err().code(), "WRONG_STATE");
    let found = card.standing().end(EndOfCard::Returned).unwrap();
    let card = case.store().save_standing(card, found, by, at()).await.unwrap();
    let again = card.standing().allow_again().unwrap();
    case.store().save_standing(card, again, by, at()).await.unwrap();
    assert_eq!(
        case.load(1, 100).await.unwrap_err().code(),
        "WRONG_STATE",
        "the vault has not confirmed"
    );
    assert_eq!(case.store().unconfirmed_denials().await.unwrap().len(), 1);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_endorsement_moves_the_permit_when_a_second_person_signs_it_off(#[case] engine: Engine) {
    let case = Case::new(engine).await;
    let proposed = case.propose(ChangeKind::Endorse, 1).await.unwrap();
    let before = case.now().await.0;
    assert_eq!(before, case.permit, "a proposal changes nothing");
    let own = case
        .store()
        .approve_change(proposed.clone(), "liu".parse().unwrap(), TODAY, at())
        .await
        .unwrap_err();
    assert_eq!(own.code(), "SAME_PERSON_TWICE");
    let approved = case
        .store()
        .approve_change(proposed.clone(), "zhao".parse().unwrap(), TODAY, at())
        .await
        .unwrap();
    assert_eq!(approved.change.state(), &ChangeState::Ordered);
    let after = case.now().await.0;
    assert!(after.grant().valid_to > before.grant().valid_to);
    assert_eq!(
        (after.grant().valid_from, after.version()),
        (before.grant().valid_from, before.version() + 1)
    );
    assert_eq!(approved.granted, Some(after.version()));
    assert_eq!(
        case.store().change(approved.change.id()).await.unwrap().unwrap(),
        approved
    );
    // Twice at once: the second finds another state.
    let again = case
        .store()
        .approve_change(proposed, "sun".parse().unwrap(), TODAY, at())
        .await;
    assert_eq!(again.unwrap_err().code(), "STALE");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_proposal_that_another_change_overtook_is_not_signed_off(#[case] engine: Engine) {
    let case = Case::new(engine).await;
    let address = case.propose(ChangeKind::Address, 1).await.unwrap();
    let endorse = case.propose(ChangeKind::Endorse, 2).await.unwrap();
    assert_eq!(
        case.propose(ChangeKind::Endorse, 3).await.unwrap_err().code(),
        "CHANGE_OPEN"
    );
    case.store()
        .approve_change(endorse, "zhao".parse().unwrap(), TODAY, at())
        .await
        .unwrap();
    let late = case
        .store()
        .approve_change(address, "zhao".parse().unwrap(), TODAY, at())
        .await;
    assert_eq!(late.unwrap_err().code(), "STALE");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_queued_change_is_done_when_the_receipts_of_all_its_updates_are_there(#[case] engine: Engine) {
    let case = Case::new(engine).await;
    let rotate = case.propose(ChangeKind::Rotate, 1).await.unwrap();
    let updates = [[1; 16], [2; 16]];
    let queued = case
        .store()
        .queue_change(rotate.change, &updates, at())
        .await
        .unwrap();
    let queued = case.store().queue_change(queued, &updates, at()).await.unwrap();
    let by = staff("gao");
    let done = case
        .store()
        .updates_done(&[[1; 16], [9; 16]], &by, TODAY, at())
        .await
        .unwrap();
    assert!(done.is_empty());
    let done = case
        .store()
        .updates_done(&[[1; 16], [2; 16]], &by, TODAY, at())
        .await
        .unwrap();
    assert_eq!(done, [queued.id()]);
    let stored = case.store().change(queued.id()).await.unwrap().unwrap();
    assert_eq!(
        stored.change.state(),
        &ChangeState::Done {
            way: Way::Update,
            on: TODAY
        }
    );
    assert!(
        case.store()
            .updates_done(&updates, &by, TODAY, at())
            .await
            .unwrap()
            .is_empty(),
        "once"
    );
    let other = case.propose(ChangeKind::Rotate, 2).await.unwrap();
    assert_eq!(
        case.store()
            .queue_change(other.change, &updates, at())
            .await
            .unwrap_err()
            .code(),
        "EXISTS"
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_block_that_a_card_confirmed_stands_in_the_ledger_and_only_two_people_take_it_away(
    #[case] engine: Engine,
) {
    let case = Case::new(engine).await;
    let block = case.propose(ChangeKind::Block, 1).await.unwrap();
    let queued = case
        .store()
        .queue_change(block.change, &[[3; 16]], at())
        .await
        .unwrap();
    case.store()
        .updates_done(&[[3; 16]], &staff("gao"), TODAY, at())
        .await
        .unwrap();
    assert!(
        case.store()
            .change(queued.id())
            .await
            .unwrap()
            .unwrap()
            .change
            .state()
            .is_over()
    );
    assert_eq!(case.now().await.1.chip, Chip::Blocked);
    let unblock = case.propose(ChangeKind::Unblock, 2).await.unwrap();
    let approved = case
        .store()
        .approve_change(unblock, "zhao".parse().unwrap(), TODAY, at())
        .await
        .unwrap();
    case.written(approved.change).await;
    assert_eq!(case.now().await.1.standing(), case.card.standing());
    assert_eq!(
        case.propose(ChangeKind::End, 3).await.unwrap_err().code(),
        "WRONG_STATE"
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn what_is_being_sealed_is_not_given_up_does_not_expire_and_is_not_done_by_its_first_receipts(
    #[case] engine: Engine,
) {
    let case = Case::new(engine).await;
    let (store, office) = (case.store(), case.office.service());
    let endorse = case.propose(ChangeKind::Endorse, 1).await.unwrap();
    let endorse = store
        .approve_change(endorse, "zhao".parse().unwrap(), TODAY, at())
        .await
        .unwrap();
    let id = endorse.change.id();
    // The vault sealed one update of two, and refused the second.
    store.begin_queue(id, "liu", at()).await.unwrap();
    store.update_sealed(id, &[1; 16], at()).await.unwrap();
    let decided = case.now().await.0.grant().valid_to;
    let given_up = office.give_up_change(id, &"liu".parse().unwrap()).await;
    assert_eq!(given_up.unwrap_err().code(), "WRONG_STATE");
    assert_eq!(
        case.now().await.0.grant().valid_to,
        decided,
        "nothing was taken back"
    );
    let again = case.propose(ChangeKind::Endorse, 2).await.unwrap_err();
    assert_eq!(again.code(), "CHANGE_OPEN", "it is finished first");

    let id = case.propose(ChangeKind::Rotate, 4).await.unwrap().change.id();
    store.begin_queue(id, "liu", at()).await.unwrap();
    store.update_sealed(id, &[2; 16], at()).await.unwrap();
    let by = staff("gao");
    let done = store.updates_done(&[[2; 16]], &by, TODAY, at()).await.unwrap();
    assert!(done.is_empty(), "there is more of it");
    // The second day seals the first update under another number: the old one is in no batch any more.
    store.begin_queue(id, "liu", at()).await.unwrap();
    for update in [[3; 16], [4; 16]] {
        store.update_sealed(id, &update, at()).await.unwrap();
    }
    let queued = store.end_queue(id, &[[3; 16], [4; 16]], at()).await.unwrap();
    assert_eq!(queued.state(), &ChangeState::Queued);
    let done = store.updates_done(&[[3; 16]], &by, TODAY, at()).await.unwrap();
    assert!(done.is_empty());
    let done = store.updates_done(&[[4; 16]], &by, TODAY, at()).await.unwrap();
    assert_eq!(done, [id]);

    // A block that may have gone out stands in the way of the card, too.
    let block = case.propose(ChangeKind::Block, 3).await.unwrap().change.id();
    store.begin_queue(block, "liu", at()).await.unwrap();
    let given_up = office.give_up_change(block, &"liu".parse().unwrap()).await;
    assert_eq!(given_up.unwrap_err().code(), "WRONG_STATE");
    store.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_change_is_not_begun_on_a_card_that_went_on_since_it_was_signed_off(#[case] engine: Engine) {
    let case = Case::new(engine).await;
    let (store, office) = (case.store(), case.office.service());
    let (zhao, sun) = ("zhao".parse().unwrap(), "sun".parse().unwrap());
    let by = ("change clerk", "liu");
    let approved = async |kind, number| {
        let proposed = case.propose(kind, number).await.unwrap();
        let zhao: Approver = "zhao".parse().unwrap();
        store.approve_change(proposed, zhao, TODAY, at()).await.unwrap()
    };
    let end_of = async |card: Card, how| {
        let ended = card.standing().end(how).unwrap();
        store.save_standing(card, ended, by, at()).await.unwrap()
    };

    // Brought back, and to be ended: then nobody allows it.
    let card = end_of(case.card.clone(), EndOfCard::Returned).await;
    let end = approved(ChangeKind::End, 1).await;
    let allowed = office
        .propose_allowing(&card.number, &"liu".parse().unwrap())
        .await
        .unwrap_err();
    assert!(allowed.to_string().contains("BEING_ENDED"), "{allowed}");
    // Had it gone back to its holder all the same, its chip would not be ended.
    let back = card.standing().allow_again().unwrap();
    let card = store.save_standing(card, back, by, at()).await.unwrap();
    let refused = office.to_write(&end.change, &sun).await.unwrap_err();
    assert_eq!(refused.code(), "WRONG_STATE");
    // What a counter began it finishes: the chip may have ended.
    let writing = end.change.begin_writing(TODAY).unwrap();
    let ended = store.advance_change(writing, by, at()).await.unwrap();
    store
        .advance_change(ended.done(Way::Counter, TODAY).unwrap(), by, at())
        .await
        .unwrap();
    let card = store.card(&card.number).await.unwrap().unwrap();
    assert_eq!((card.state, card.chip), (CardStage::HandedOver, Chip::Terminated));

    let case = Case::new(engine).await;
    let (store, office) = (case.store(), case.office.service());
    let blocked = case.card.standing().blocked().unwrap();
    let card = store
        .save_standing(case.card.clone(), blocked, by, at())
        .await
        .unwrap();
    let proposed = case.propose(ChangeKind::Unblock, 1).await.unwrap();
    let unblock = store.approve_change(proposed, zhao, TODAY, at()).await.unwrap();
    let endorse = case.propose(ChangeKind::Rotate, 2).await.unwrap();
    let lost = card.standing().end(EndOfCard::Lost).unwrap();
    store.save_standing(card, lost, by, at()).await.unwrap();
    for change in [&unblock.change, &endorse.change] {
        let refused = office.to_write(change, &sun).await.unwrap_err();
        assert_eq!(refused.code(), "WRONG_STATE", "{}", change.kind());
    }
    let queued = store.begin_queue(endorse.change.id(), "liu", at()).await;
    assert_eq!(queued.unwrap_err().code(), "WRONG_STATE");
}

#[rstest]
#[case::before_the_loss_sqlite(Engine::Sqlite, true)]
#[case::before_the_loss_postgres(Engine::Postgres, true)]
#[case::behind_it_sqlite(Engine::Sqlite, false)]
#[case::behind_it_postgres(Engine::Postgres, false)]
#[tokio::test]
async fn nobody_makes_the_next_card_with_what_they_signed_off(#[case] engine: Engine, #[case] before: bool) {
    let case = Case::new(engine).await;
    let store = case.store();
    let by = ("change clerk", "liu");
    // The producer of `new_order` is an approver too.
    let sign_off = async || {
        let endorse = case.propose(ChangeKind::Endorse, 1).await.unwrap();
        let sun = "sun".parse().unwrap();
        store.approve_change(endorse, sun, TODAY, at()).await.unwrap()
    };
    if before {
        let id = sign_off().await.change.id();
        let queued = store.begin_queue(id, "sun", at()).await.unwrap_err();
        assert_eq!(queued.code(), "SAME_PERSON_TWICE");
    }
    let lost = case.now().await.1.standing().end(EndOfCard::Lost).unwrap();
    store
        .save_standing(case.now().await.1, lost, by, at())
        .await
        .unwrap();
    if !before {
        let done = sign_off().await;
        assert!(matches!(
            done.change.state(),
            ChangeState::Done {
                way: Way::NextCard,
                ..
            }
        ));
    }
    let card = case.now().await.1;
    let standing = card.standing();
    store.replace_card(card, standing, by, at()).await.unwrap();
    case.office.signed_anew(case.permit.grant().application).await;
    let before = store.verify_ledger().await.unwrap();
    let own = store
        .order_production(&new_order(case.permit.id(), 9), at())
        .await;
    assert_eq!(own.unwrap_err().code(), "SAME_PERSON_TWICE");
    assert_eq!(store.verify_ledger().await.unwrap(), before);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_replaced_card_is_denied_and_its_permit_is_ordered_again(#[case] engine: Engine) {
    let case = Case::new(engine).await;
    let by = ("change clerk", "liu");
    let ended = case.card.standing().end(EndOfCard::Lost).unwrap();
    let card = case
        .store()
        .replace_card(case.card.clone(), ended, by, at())
        .await
        .unwrap();
    assert_eq!(
        (card.state, card.denial),
        (CardStage::Ended(EndOfCard::Lost), Denial::Wanted)
    );
    assert_eq!(case.now().await.0.state(), &PermitState::Approved);
    let again = case
        .store()
        .replace_card(card.clone(), card.standing(), by, at())
        .await;
    assert_eq!(again.unwrap_err().code(), "WRONG_STATE");
    let stale = case
        .store()
        .save_standing(case.card.clone(), ended, by, at())
        .await;
    assert_eq!(stale.unwrap_err().code(), "STALE");
    // What the first card was made of makes no second one.
    let order = async || {
        let order = new_order(case.permit.id(), 9);
        case.office.store.order_production(&order, at()).await
    };
    assert_eq!(order().await.unwrap_err().code(), "NOT_COMPLETED");
    case.office.signed_anew(case.permit.grant().application).await;
    order().await.unwrap();
}

const DAY: Date = date(2026, 11, 20);

fn terminal(tid: u32) -> Registration {
    Registration {
        tid,
        name: format!("shop {tid}"),
        authentication_key: [4; 65],
        from: date(2026, 11, 1),
        to: date(2027, 10, 31),
        withdrawn_after: None,
    }
}

fn key(card: u8, seq: u32) -> Digest {
    Digest::of(&[[card; 4], seq.to_be_bytes()].concat())
}

fn line(tid: u32, card: u8, seq: u32, amount: u32, spent: u32) -> CheckedLine {
    CheckedLine {
        tid,
        day: DAY,
        amount,
        key: key(card, seq),
        check: Check::Genuine(Box::new(GenuineLine {
            pseudonym: CardPseudonym::from_bytes([card; 16]),
            seq,
            tac: [card; 8],
            spent,
            loaded_known: true,
            given: u32::MAX,
            before: None,
        })),
    }
}

fn file(tid: u32, number: u32, lines: Vec<CheckedLine>) -> CheckedFile {
    let digest = Digest::of(format!("{tid}/{number}/{}", lines.len()).as_bytes());
    CheckedFile {
        tid,
        number,
        digest,
        lines,
        unknown: Vec::new(),
    }
}

async fn shops(engine: Engine, tids: &[u32]) -> Ledger {
    let office = Ledger::open(engine).await;
    for tid in tids {
        office
            .store
            .register_terminal(&terminal(*tid), &staff("gao"), at())
            .await
            .unwrap();
    }
    office
}

async fn import(store: &Store, files: &[CheckedFile]) -> Imported {
    store.import_settlement(files, &staff("gao"), at()).await.unwrap()
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_file_is_imported_once_and_missing_numbers_are_named(#[case] engine: Engine) {
    let office = shops(engine, &[1]).await;
    let first = file(1, 1, vec![line(1, 9, 5, 100, 100)]);
    let third = file(1, 3, vec![line(1, 9, 6, 50, 150)]);
    let done = import(&office.store, &[first.clone(), third, first.clone()]).await;
    let [
        FileOutcome::Imported(a),
        FileOutcome::Imported(_),
        FileOutcome::Known,
    ] = done.files[..]
    else {
        panic!("{:?}", done.files);
    };
    assert_eq!(a.paid, Sum { count: 1, fen: 100 });
    let before = office.store.verify_ledger().await.unwrap();
    let other = file(1, 1, Vec::new());
    let again = import(&office.store, &[first, other]).await;
    assert_eq!(again.files, [FileOutcome::Known, FileOutcome::NumberTaken]);
    assert_eq!(office.store.verify_ledger().await.unwrap(), before);
    let report = office.store.terminal_report(1).await.unwrap().unwrap();
    assert_eq!(
        (report.missing.clone(), report.owed()),
        (vec![2], Sum { count: 2, fen: 150 })
    );
    let unknown = office.service().terminal_report(7).await.unwrap_err();
    assert_eq!(unknown.code(), "TERMINAL_UNKNOWN");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn doubles_copies_evidence_and_unknown_lines_hold_over_many_imports(#[case] engine: Engine) {
    let office = shops(engine, &[1, 2]).await;
    let store = &office.store;
    let mut gave_up = file(1, 1, Vec::new());
    gave_up.unknown.push(UnknownLine {
        tid: 1,
        day: DAY,
        amount: 100,
        key: key(9, 5),
    });
    import(store, &[gave_up.clone()]).await;
    assert_eq!(
        store.terminal_report(1).await.unwrap().unwrap().waiting,
        Sum { count: 1, fen: 100 }
    );

    let mut seen = line(2, 9, 6, 10, 110);
    if let Check::Genuine(it) = &mut seen.check {
        it.before = Some(DebitBefore {
            seq: 5,
            tac: [9; 8],
            tid: 1,
            day: DAY,
            amount: 100,
            spent: 100,
            key: key(9, 5),
        });
    }
    let done = import(store, &[file(2, 1, vec![seen])]).await;
    assert_eq!(
        (done.recovered[&1], done.resolved),
        (Sum { count: 1, fen: 100 }, 1)
    );
    let report = store.terminal_report(1).await.unwrap().unwrap();
    assert_eq!(
        (report.waiting, report.recovered),
        (Sum::default(), Sum { count: 1, fen: 100 })
    );

    // The lost terminal's line after all: a double. The same unknown line once more: known.
    let mut late = file(1, 2, vec![line(1, 9, 5, 100, 100)]);
    late.unknown = gave_up.unknown.clone();
    let done = import(store, &[late]).await;
    let [FileOutcome::Imported(sums)] = done.files[..] else {
        panic!()
    };
    assert_eq!(
        (sums.doubled.count, sums.resolved.count, sums.paid.count),
        (1, 1, 0)
    );
    assert_eq!(
        store.terminal_report(1).await.unwrap().unwrap().owed(),
        Sum { count: 1, fen: 100 }
    );

    let mut copy = line(2, 9, 6, 10, 110);
    if let Check::Genuine(it) = &mut copy.check {
        it.tac = [1; 8];
    }
    let done = import(
        store,
        &[file(2, 2, vec![copy, line(2, 8, 1, 5, 5), line(2, 8, 4, 5, 25)])],
    )
    .await;
    let [FileOutcome::Imported(sums)] = done.files[..] else {
        panic!()
    };
    assert_eq!((sums.copied.count, sums.paid.count, done.copied), (1, 2, 1));
    assert_eq!((done.gaps, done.missing), (Sum { count: 2, fen: 15 }, 2));
    let denied = store.undenied().await.unwrap();
    assert_eq!(denied, [CardPseudonym::from_bytes([9; 16])]);
    store.denied(denied[0], at()).await.unwrap();
    assert!(store.undenied().await.unwrap().is_empty());
    store.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_unknown_line_that_its_own_terminal_settled_is_not_news_when_it_comes_again(
    #[case] engine: Engine,
) {
    let office = shops(engine, &[1]).await;
    let unknown = UnknownLine {
        tid: 1,
        day: DAY,
        amount: 100,
        key: key(9, 5),
    };
    for number in 1..=3 {
        let mut next = file(
            1,
            number,
            if number == 2 {
                vec![line(1, 9, 5, 100, 100)]
            } else {
                Vec::new()
            },
        );
        next.unknown.push(unknown.clone());
        import(&office.store, &[next]).await;
    }
    let report = office.store.terminal_report(1).await.unwrap().unwrap();
    assert_eq!(
        (report.owed(), report.waiting),
        (Sum { count: 1, fen: 100 }, Sum::default())
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_batch_with_an_unregistered_terminal_leaves_nothing(#[case] engine: Engine) {
    let office = shops(engine, &[1]).await;
    let before = office.store.verify_ledger().await.unwrap();
    let files = [
        file(1, 1, vec![line(1, 9, 5, 1, 1)]),
        file(2, 1, vec![line(2, 9, 6, 1, 2)]),
    ];
    let error = office
        .store
        .import_settlement(&files, &staff("gao"), at())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        OfficeError::Refused(permit_domain::Refusal::TerminalUnknown { tid: 2 })
    ));
    assert_eq!(office.store.verify_ledger().await.unwrap(), before);
    assert!(
        office
            .store
            .terminal_report(1)
            .await
            .unwrap()
            .unwrap()
            .files
            .is_empty()
    );
    assert_eq!(import(&office.store, &files[..1]).await.files.len(), 1);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn two_clerks_who_import_one_file_at_once_pay_it_once(#[case] engine: Engine) {
    let office = shops(engine, &[1]).await;
    let run = |store: Store| {
        tokio::spawn(async move { import(&store, &[file(1, 1, vec![line(1, 9, 5, 100, 100)])]).await })
    };
    let (x, y) = tokio::join!(run(office.again().await), run(office.again().await));
    let outcomes = [x.unwrap().files[0], y.unwrap().files[0]];
    assert!(outcomes.contains(&FileOutcome::Known), "{outcomes:?}");
    assert_eq!(
        office.store.terminal_report(1).await.unwrap().unwrap().owed(),
        Sum { count: 1, fen: 100 }
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_registration_number_is_given_once_and_a_withdrawal_is_not_taken_back(#[case] engine: Engine) {
    let office = shops(engine, &[1]).await;
    let (store, by) = (&office.store, staff("gao"));
    store.register_terminal(&terminal(1), &by, at()).await.unwrap();
    let other = Registration {
        authentication_key: [5; 65],
        ..terminal(1)
    };
    assert_eq!(
        store
            .register_terminal(&other, &by, at())
            .await
            .unwrap_err()
            .code(),
        "EXISTS"
    );
    let namesake = Registration {
        name: "shop 1".into(),
        ..terminal(2)
    };
    assert_eq!(
        store
            .register_terminal(&namesake, &by, at())
            .await
            .unwrap_err()
            .code(),
        "EXISTS"
    );
    let reversed = Registration {
        to: date(2020, 1, 1),
        ..terminal(3)
    };
    assert_eq!(
        store
            .register_terminal(&reversed, &by, at())
            .await
            .unwrap_err()
            .code(),
        "REVERSED"
    );

    let withdrawn = store.withdraw_terminal(1, DAY, &by, at()).await.unwrap();
    assert_eq!(withdrawn.withdrawn_after, Some(DAY));
    store.withdraw_terminal(1, DAY, &by, at()).await.unwrap();
    let later = store
        .withdraw_terminal(1, date(2027, 1, 1), &by, at())
        .await
        .unwrap_err();
    assert_eq!(later.code(), "WRONG_STATE");
    let earlier = store
        .withdraw_terminal(1, date(2026, 11, 19), &by, at())
        .await
        .unwrap();
    assert!(!earlier.serves(DAY));
    assert_eq!(
        store
            .withdraw_terminal(7, DAY, &by, at())
            .await
            .unwrap_err()
            .code(),
        "TERMINAL_UNKNOWN"
    );
    store.register_terminal(&namesake, &by, at()).await.unwrap();
    assert_eq!(store.payment_terminals().await.unwrap().len(), 2);
    // Behind the withdrawal no file comes in by itself, and a closed one is not known afterwards.
    for _ in 0..2 {
        let done = import(store, &[file(1, 1, vec![line(1, 9, 5, 100, 100)])]).await;
        assert_eq!(done.files, [FileOutcome::Closed]);
    }
}

async fn paid(store: &Store, card: u8) -> Option<i64> {
    const PAID: &str = "SELECT paid FROM settlement_chains WHERE chain = $1";
    match store {
        Store::Sqlite(pool) => sqlx::query_scalar(PAID)
            .bind(vec![card; 16])
            .fetch_optional(pool)
            .await
            .unwrap(),
        Store::Postgres(pool) => sqlx::query_scalar(PAID)
            .bind(vec![card; 16])
            .fetch_optional(pool)
            .await
            .unwrap(),
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn over_all_imports_no_more_is_paid_for_a_card_than_the_vault_gave_it(#[case] engine: Engine) {
    let office = shops(engine, &[1, 2]).await;
    let given = |mut line: CheckedLine| {
        if let Check::Genuine(it) = &mut line.check {
            it.given = 1_000;
        }
        line
    };
    // Each a new number of the same 400 fen, signed with the keys of an opened card: by a line, then as evidence.
    let done = import(&office.store, &[file(1, 1, vec![given(line(1, 9, 5, 400, 400))])]).await;
    assert_eq!((done.copied, paid(&office.store, 9).await), (0, Some(400)));
    let mut seen = given(line(2, 9, 8, 1, 401));
    if let Check::Genuine(it) = &mut seen.check {
        it.before = Some(DebitBefore {
            seq: 7,
            tac: [9; 8],
            tid: 1,
            day: DAY,
            amount: 400,
            spent: 400,
            key: key(9, 7),
        });
    }
    let done = import(&office.store, &[file(2, 1, vec![seen])]).await;
    assert_eq!((done.copied, paid(&office.store, 9).await), (0, Some(801)));

    // Another clerk, another day: the third time it is one too many, and an honest card of the same file is paid.
    let mixed = vec![
        given(line(1, 9, 10, 400, 400)),
        given(line(1, 8, 3, 1_000, 1_000)),
    ];
    let store = office.again().await;
    let done = import(&store, &[file(1, 2, mixed)]).await;
    let [FileOutcome::Imported(sums)] = done.files[..] else {
        panic!()
    };
    assert_eq!(
        (sums.paid, sums.copied, done.copied),
        (Sum { count: 1, fen: 1_000 }, Sum { count: 1, fen: 400 }, 1)
    );
    assert_eq!(
        (paid(&store, 9).await, paid(&store, 8).await),
        (Some(801), Some(1_000))
    );
    assert_eq!(
        store.undenied().await.unwrap(),
        [CardPseudonym::from_bytes([9; 16])]
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn what_was_paid_for_a_card_is_never_taken_back(#[case] engine: Engine) {
    let office = shops(engine, &[1]).await;
    import(&office.store, &[file(1, 1, vec![line(1, 9, 5, 400, 400)])]).await;
    for statement in [
        "UPDATE settlement_chains SET paid = paid - 1",
        "UPDATE settlement_chains SET paid = -1",
        "UPDATE settlement_chains SET paid = 4294967296",
        "DELETE FROM settlement_chains",
    ] {
        let refused = match &office.store {
            Store::Sqlite(pool) => sqlx::query(statement).execute(pool).await.is_err(),
            Store::Postgres(pool) => sqlx::query(statement).execute(pool).await.is_err(),
        };
        assert!(refused, "{statement}");
    }
    assert_eq!(paid(&office.store, 9).await, Some(400));
}

/// Every table with its columns.
async fn columns(office: &Ledger) -> Vec<(String, String)> {
    match &office.store {
        Store::Sqlite(pool) => sqlx::query_as(
            "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'",
        )
        .fetch_all(pool)
        .await
        .unwrap(),
        Store::Postgres(pool) => sqlx::query_as(
            "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'",
        )
        .fetch_all(pool)
        .await
        .unwrap(),
    }
}

/// Every row of a table as text.
async fn rows(office: &Ledger, table: &str) -> Vec<String> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    match &office.store {
        Store::Sqlite(pool) => {
            let names: Vec<String> = columns(office)
                .await
                .into_iter()
                .filter(|c| c.0 == table)
                .map(|c| format!("quote({})", c.1))
                .collect();
            let query = format!("SELECT {} FROM {table}", names.join(" || ',' || "));
            sqlx::query_scalar(sqlx::AssertSqlSafe(query))
                .fetch_all(pool)
                .await
                .unwrap()
        }
        Store::Postgres(pool) => {
            let query = format!("SELECT convert_to(t::text, 'UTF8') FROM {table} t");
            let found: Vec<Vec<u8>> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
                .fetch_all(pool)
                .await
                .unwrap();
            found.into_iter().map(text).collect()
        }
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn no_table_and_no_row_joins_a_card_with_a_terminal_an_amount_or_a_day(#[case] engine: Engine) {
    let office = shops(engine, &[1, 2]).await;
    let card = 0xA7;
    let mut seen = line(2, card, 6, 77_777, 999_999);
    if let Check::Genuine(it) = &mut seen.check {
        it.before = Some(DebitBefore {
            seq: 5,
            tac: [card; 8],
            tid: 1,
            day: DAY,
            amount: 98_765,
            spent: 922_222,
            key: key(card, 5),
        });
    }
    import(&office.store, &[file(2, 1, vec![seen])]).await;

    let columns = columns(&office).await;
    let of = |table: &str| -> Vec<&str> {
        columns
            .iter()
            .filter(|c| c.0 == table)
            .map(|c| c.1.as_str())
            .collect()
    };
    let with_pseudonym: Vec<&str> = columns
        .iter()
        .filter(|c| c.1 == "chain")
        .map(|c| c.0.as_str())
        .collect();
    assert_eq!(with_pseudonym.len(), 3, "{with_pseudonym:?}");
    for table in with_pseudonym {
        let names = of(table);
        // The one sum of all that was paid for a card stands alone with it: no number of a debit, no TAC.
        let allowed: &[&str] = match table {
            "settlement_chains" => &["chain", "paid"],
            _ => &["chain", "seq", "tac", "denied"],
        };
        assert!(
            names.iter().all(|name| allowed.contains(name)),
            "{table}: {names:?}"
        );
    }
    assert!(
        columns.iter().all(|c| c.1 != "pid" && c.1 != "txno"),
        "no pseudonym of a tap is kept"
    );
    for table in [
        "settlement_files",
        "settlement_waiting",
        "settlement_recovered",
        "payment_terminals",
    ] {
        assert!(!of(table).is_empty(), "{table} exists");
        assert!(
            of(table)
                .iter()
                .all(|name| !["chain", "serial", "card", "seq"].contains(name)),
            "{table}"
        );
    }

    // The same over what is in the rows: wherever the pseudonym is, its row holds no amount of a debit and no day, and the ledger
    // has none. The sum of both debits is the one figure, and no `spent` of the card.
    let hex = "a7".repeat(16);
    let mut tables: Vec<&str> = columns.iter().map(|c| c.0.as_str()).collect();
    tables.sort_unstable();
    tables.dedup();
    let mut found = 0;
    for table in tables.into_iter().filter(|t| *t != "_sqlx_migrations") {
        for row in rows(&office, table).await {
            if row.to_lowercase().contains(&hex) {
                found += 1;
                let is_sum = table == "settlement_chains";
                assert!(is_sum || table == "settlement_debits", "{table}: {row}");
                assert_eq!(row.contains("176542"), is_sum, "{table}: {row}");
                for telling in ["77777", "98765", "922222", "999999", "2026-11"] {
                    assert!(!row.contains(telling), "{table}: {row}");
                }
            }
        }
    }
    assert_eq!(found, 3, "the test looked at the rows");
}

#[tokio::test]
async fn in_sqlite_a_debit_stands_where_its_key_sorts_and_not_where_its_file_came() {
    let office = Ledger::open(Engine::Sqlite).await;
    let Store::Sqlite(pool) = &office.store else {
        panic!()
    };
    for table in [
        "settlement_debits",
        "settlement_copied",
        "settlement_chains",
        "settlement_waiting",
        "change_updates",
    ] {
        let query = format!("SELECT rowid FROM {table}");
        let error = sqlx::query(sqlx::AssertSqlSafe(query))
            .fetch_optional(pool)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no such column"), "{table}: {error}");
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn another_permits_card_is_not_changed_in_this_ones_name(#[case] engine: Engine) {
    let case = Case::new(engine).await;
    let other = case.office.handed_over(&somebody(2), 2).await;
    let card = other.state().card().unwrap().clone();
    let foreign = CardChange::new(
        ChangeId::new(at(), n(7)),
        case.permit.id(),
        card,
        ChangeKind::Load,
        "liu".parse().unwrap(),
        Content::freeze(b"x".to_vec()),
    );
    let error = case
        .store()
        .book_load(&foreign, 100, case.purse_rules(), at())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "MISSING");
}

#[rstest]
#[case::sqlite(Engine::Sqlite, "settlement_files")]
#[case::sqlite(Engine::Sqlite, "settlement_debits")]
#[case::sqlite(Engine::Sqlite, "settlement_recovered")]
#[case::sqlite(Engine::Sqlite, "settlement_chains")]
#[case::sqlite(Engine::Sqlite, "events")]
#[case::postgres(Engine::Postgres, "settlement_files")]
#[case::postgres(Engine::Postgres, "settlement_debits")]
#[case::postgres(Engine::Postgres, "settlement_recovered")]
#[case::postgres(Engine::Postgres, "settlement_chains")]
#[case::postgres(Engine::Postgres, "events")]
#[tokio::test]
async fn an_import_that_breaks_at_any_table_leaves_nothing_and_goes_through_the_next_time(
    #[case] engine: Engine,
    #[case] table: &str,
) {
    let office = shops(engine, &[1, 2]).await;
    let mut seen = line(2, 9, 6, 10, 110);
    if let Check::Genuine(it) = &mut seen.check {
        it.before = Some(DebitBefore {
            seq: 5,
            tac: [9; 8],
            tid: 1,
            day: DAY,
            amount: 100,
            spent: 100,
            key: key(9, 5),
        });
    }
    let files = [file(2, 1, vec![seen])];
    let before = office.store.verify_ledger().await.unwrap();
    let (breaks, mends): (String, String) = match &office.store {
        Store::Sqlite(_) => (
            format!("CREATE TRIGGER broken AFTER INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'cut'); END"),
            "DROP TRIGGER broken".into(),
        ),
        Store::Postgres(_) => (
            format!(
                "CREATE TRIGGER broken AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION append_only()"
            ),
            format!("DROP TRIGGER broken ON {table}"),
        ),
    };
    run(&office.store, &breaks).await;
    assert!(
        office
            .store
            .import_settlement(&files, &staff("gao"), at())
            .await
            .is_err()
    );
    run(&office.store, &mends).await;
    assert_eq!(office.store.verify_ledger().await.unwrap(), before);
    for table in [
        "settlement_files",
        "settlement_debits",
        "settlement_chains",
        "settlement_recovered",
        "settlement_recovered_debits",
    ] {
        assert!(rows(&office, table).await.is_empty(), "{table}");
    }
    let done = import(&office.store, &files).await;
    assert!(matches!(done.files[..], [FileOutcome::Imported(_)]));
}

async fn run(store: &Store, statement: &str) {
    let statement = sqlx::AssertSqlSafe(statement.to_owned());
    match store {
        Store::Sqlite(pool) => drop(sqlx::query(statement).execute(pool).await.unwrap()),
        Store::Postgres(pool) => drop(sqlx::query(statement).execute(pool).await.unwrap()),
    }
}
