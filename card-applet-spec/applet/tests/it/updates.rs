//! UPDATE on the card (chapter 09): each operation does what it says and nothing else, refusals come in their order, a
//! repetition gives the same receipt, and nobody without the card's keys writes anything.
use card_applet_spec::apdu::{Header, StatusWord};
use card_applet_spec::codes::{CardState, Rights, Role};
use card_applet_spec::data_group::{CardInfo, SignatureObject};
use card_applet_spec::door_f::CommitBody;
use card_applet_spec::door_s::Object;
use card_applet_spec::kdf;
use card_applet_spec::script::ScriptKind;
use card_applet_spec::update::{Operation, SealedUpdate, tac_key};
use card_host::{
    Card, Host, KV, Observed, begin, check, date, deliver, dg3_update, every_object, expected_receipt,
    observe, pay, payment_purse, payment_slot, plain, read_object, rewrite, run_steps, seal, select, slot,
    slot_update, tap_seen,
};

const NEXT: u8 = KV + 1;
const NEW_PID: [u8; 16] = [0x99; 16];
const BUS: Role = Role::Transit;
const SHOP: Role = Role::SmallPayment;

/// Delivers through the bus; the card must do it. Gives what was seen before and after, and checks the repetition.
fn done(host: &mut Host, card: &mut Card, counter: u32, plain: &card_host::Plain) -> (Observed, Observed) {
    let before = observe(host, card, &every_object());
    let update = seal(host, counter, plain);
    let receipt = deliver(host, card, BUS, KV, &update).unwrap();
    assert_eq!(receipt, expected_receipt(host, &update));
    let after = observe(host, card, &every_object());
    (before, after)
}

/// `after` with the taps of `role` as before: what else differs is a surprise.
fn but_for(after: &Observed, before: &Observed, role: Role) -> Observed {
    let mut out = after.clone();
    for (now, then) in out.taps.iter_mut().zip(&before.taps) {
        if now.0 == role {
            *now = then.clone();
        }
    }
    for (now, then) in out.objects.iter_mut().zip(&before.objects) {
        if now.0 == Object::Newest(role) || now.0 == Object::Older(role) {
            *now = then.clone();
        }
    }
    out
}

fn pid_seen(seen: &Observed, role: Role, kv: u8) -> Option<[u8; 16]> {
    let found = seen.taps.iter().find(|(r, v, _)| (*r, *v) == (role, kv)).unwrap();
    found.2.as_ref().map(|plain| plain.pid)
}

fn writes_of(card: Card) -> (usize, Card) {
    let (ram, rng) = card.power_off();
    let writes = ram.writes;
    (writes, card_applet::Applet::power_on(ram, rng).unwrap())
}

#[test]
fn a_card_says_that_it_takes_updates() {
    let mut host = Host::new(200);
    let mut card = host.active_card();
    let info = CardInfo::parse(&select(&mut card).unwrap()).unwrap();
    assert!(info.takes_updates());
}

#[test]
fn a_slot_comes_beside_the_old_version_and_pushes_the_oldest_out() {
    let mut host = Host::new(201);
    let mut card = host.active_card();
    let old = host.pid(BUS);
    let next = slot_update(&host, (BUS, 2, 0), NEW_PID, 0, 0);
    let (before, after) = done(&mut host, &mut card, 1, &next);
    assert_eq!(but_for(&after, &before, BUS), before, "nothing else changes");
    assert_eq!(
        (pid_seen(&after, BUS, 1), pid_seen(&after, BUS, 2)),
        (Some(old), Some(NEW_PID))
    );
    let third = slot_update(&host, (BUS, 3, 0), [0x98; 16], 0, 0);
    let (_, after) = done(&mut host, &mut card, 2, &third);
    assert_eq!(pid_seen(&after, BUS, 1), None, "three would be one too many");
    assert_eq!(pid_seen(&after, BUS, 2), Some(NEW_PID));
    assert_eq!(pid_seen(&after, BUS, 3), Some([0x98; 16]));
    let (ram, _) = card.power_off();
    assert!(!ram.bytes.windows(16).any(|part| part == old), "and it is erased");
}

#[test]
fn a_slot_with_flag_leaves_only_its_version_and_the_one_before() {
    let mut host = Host::new(202);
    let mut card = host.active_card();
    let sleeper = slot_update(&host, (Role::Door, 3, 1), NEW_PID, 0, 0);
    let (_, after) = done(&mut host, &mut card, 7, &sleeper);
    assert_eq!(pid_seen(&after, Role::Door, 1), None, "it slept a version");
    assert_eq!(pid_seen(&after, Role::Door, 3), Some(NEW_PID));
    let same = slot_update(&host, (Role::Door, 3, 0), [0x97; 16], 0, 0);
    let (_, after) = done(&mut host, &mut card, 8, &same);
    assert_eq!(
        pid_seen(&after, Role::Door, 3),
        Some([0x97; 16]),
        "the same version is replaced"
    );
}

#[test]
fn a_slot_of_a_role_behind_door_s_is_brought_by_a_bus() {
    let mut host = Host::new(203);
    let mut card = host.active_card();
    let clinic = slot_update(&host, (Role::Clinic, 2, 0), NEW_PID, 0, 0);
    let (before, after) = done(&mut host, &mut card, 1, &clinic);
    assert_eq!(but_for(&after, &before, Role::Clinic), before);
    let read = |object| {
        after
            .objects
            .iter()
            .find(|(o, _)| *o == object)
            .unwrap()
            .1
            .clone()
    };
    let newest = read(Object::Newest(Role::Clinic)).unwrap();
    assert_eq!((newest[0], &newest[1..17]), (2, &NEW_PID[..]));
    assert_eq!(read(Object::Older(Role::Clinic)).unwrap()[0], 1);
}

#[test]
fn a_rotated_purse_goes_on_and_its_tac_key_is_derived() {
    let mut host = Host::new(204);
    let mut card = host.active_card();
    pay(&mut host, &mut card, KV, 9_000, 1).unwrap();
    let next = slot_update(&host, (SHOP, NEXT, 0), NEW_PID, 21_000, 500);
    let (before, after) = done(&mut host, &mut card, 1, &next);
    assert_eq!(before.purse(), Some((1001, 20_000, 9_000)));
    assert_eq!(after.purse(), Some((1001, 21_000, 9_000)));
    assert_eq!(
        pay(&mut host, &mut card, NEXT, 501, 2),
        Err(StatusWord::CONDITIONS),
        "the cap of the new slot"
    );
    let (result, tac) = pay(&mut host, &mut card, NEXT, 500, 2).unwrap();
    let keys = kdf::update_keys(&host.issuance, &host.serial).unwrap();
    let ktac = tac_key(&keys, SHOP, NEXT, &NEW_PID);
    let body = CommitBody {
        amount: 500,
        tid: 42,
        txno: [2; 8],
        time: 848_000_000,
        kind: 1,
    };
    let expected = body.tac(&ktac, 3, NEXT, &NEW_PID, 1002, 21_000, 9_500).unwrap();
    assert_eq!((result, tac), (0, expected));
    // The old slot pays from the same purse, under the key that the script brought.
    let (_, tac) = pay(&mut host, &mut card, KV, 600, 3).unwrap();
    let pid = host.pid(SHOP);
    let ktac = kdf::tac_key(&host.tac, SHOP, KV, &pid).unwrap();
    let body = CommitBody {
        amount: 600,
        txno: [3; 8],
        ..body
    };
    assert_eq!(tac, body.tac(&ktac, 3, KV, &pid, 1003, 21_000, 10_100).unwrap());
}

#[test]
fn a_first_purse_by_update_starts_at_a_random_counter() {
    let mut starts = Vec::new();
    for seed in 205..209 {
        let mut host = Host::new(seed);
        host.roles.retain(|role| *role != SHOP);
        let mut card = host.active_card();
        let load = plain(&Operation::Load { loaded: 5_000 });
        let early = seal(&host, 1, &load);
        assert_eq!(
            deliver(&mut host, &mut card, BUS, KV, &early),
            Err(StatusWord::CONDITIONS),
            "no purse to load"
        );
        let first = slot_update(&host, (SHOP, KV, 0), NEW_PID, 700, 10_000);
        let (before, after) = done(&mut host, &mut card, 1, &first);
        assert_eq!(before.purse(), None);
        let (seq, loaded, spent) = after.purse().unwrap();
        assert_eq!((loaded, spent), (700, 0));
        assert!(seq < 1 << 31);
        starts.push(seq);
        assert_eq!(pay(&mut host, &mut card, KV, 700, 1).unwrap().0, 0);
        assert_eq!(pay(&mut host, &mut card, KV, 1, 2), Err(StatusWord::CONDITIONS));
        // The next one shows the same purse.
        let again = slot_update(&host, (SHOP, NEXT, 0), [0x98; 16], 900, 10_000);
        let (_, after) = done(&mut host, &mut card, 2, &again);
        assert_eq!(after.purse(), Some((seq + 1, 900, 700)));
    }
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 4, "its own random number each");
}

#[test]
fn a_load_only_grows_and_is_a_sum_and_no_difference() {
    let mut host = Host::new(210);
    let mut card = host.active_card();
    pay(&mut host, &mut card, KV, 9_000, 1).unwrap();
    for (counter, loaded, expected) in [(1, 25_000, 25_000), (2, 24_000, 25_000), (9, 0, 25_000)] {
        let load = plain(&Operation::Load { loaded });
        let (before, after) = done(&mut host, &mut card, counter, &load);
        assert_eq!(but_for(&after, &before, SHOP), before);
        assert_eq!(after.purse(), Some((1001, expected, 9_000)));
    }
}

#[test]
fn a_new_permit_block_stands_under_a_signature_that_holds() {
    let mut host = Host::new(211);
    let mut card = host.active_card();
    let (mut channel, certificate) = host.open_door_s(&mut card, Rights::PERMIT).unwrap();
    let object =
        SignatureObject::parse(&read_object(&mut channel, &mut card, Object::Signature).unwrap()).unwrap();
    let (update, dg3) = dg3_update(&mut host, &object, "2028-11-20");
    let (before, after) = done(&mut host, &mut card, 1, &update);
    let read = |seen: &Observed, object| {
        let found = seen.objects.iter().find(|(o, _)| *o == object).unwrap();
        found.1.clone().unwrap()
    };
    assert_eq!(read(&after, Object::Dg3), dg3);
    for object in [Object::Dg1, Object::Dg2] {
        assert_eq!(read(&after, object), read(&before, object));
    }
    assert_eq!((&after.taps, after.floor), (&before.taps, before.floor));
    let signed = SignatureObject::parse(&read(&after, Object::Signature)).unwrap();
    signed
        .verify(&host.document_signer.public(), &certificate.public64)
        .unwrap();
    for (number, object) in [(1, Object::Dg1), (2, Object::Dg2), (3, Object::Dg3)] {
        assert!(signed.covers(number, &read(&after, object)));
    }
    assert_eq!(signed.signer, 2);
    let old = read(&before, Object::Dg3);
    let (ram, _) = card.power_off();
    assert!(
        !ram.bytes.windows(old.len()).any(|part| part == old),
        "the old one is erased"
    );
}

#[test]
fn a_permit_block_is_refused_where_the_signature_object_is_not_one() {
    let mut host = Host::new(212);
    let mut card = host.active_card();
    let (mut channel, _) = host.open_door_s(&mut card, Rights::PERMIT).unwrap();
    let object =
        SignatureObject::parse(&read_object(&mut channel, &mut card, Object::Signature).unwrap()).unwrap();
    let junk = card_host::write_steps(card_applet_spec::script::WritableObject::Signature, &[0x77, 1, 0]);
    run_steps(&mut host, &mut card, &rewrite([1; 16], junk), 0).unwrap();
    let (update, _) = dg3_update(&mut host, &object, "2028-11-20");
    let update = seal(&host, 1, &update);
    let before = observe(&mut host, &mut card, &every_object());
    assert_eq!(
        deliver(&mut host, &mut card, BUS, KV, &update),
        Err(StatusWord::CONDITIONS)
    );
    assert_eq!(observe(&mut host, &mut card, &every_object()), before);
}

#[test]
fn the_floor_rises_and_never_leaps() {
    let mut host = Host::new(213);
    let mut card = host.active_card();
    // It stands at the day of the personalisation.
    for (counter, floor, expected) in [
        (1, "2026-11-25", Some("2026-11-25")),
        (2, "2026-11-23", Some("2026-11-25")),
        (3, "2027-12-30", Some("2027-12-30")),
        (4, "2029-02-03", None),
    ] {
        let update = seal(&host, counter, &plain(&Operation::Floor(date(floor))));
        let answer = deliver(&mut host, &mut card, BUS, KV, &update);
        assert_eq!(answer.is_ok(), expected.is_some(), "{floor}");
        if let Some(expected) = expected {
            assert_eq!(host.status(&mut card).floor, date(expected));
        } else {
            assert_eq!(answer, Err(StatusWord::CONDITIONS));
            assert_eq!(host.status(&mut card).floor, date("2027-12-30"));
        }
    }
}

#[test]
fn a_block_by_update_ends_all_answers_and_only_door_i_takes_it_back() {
    let mut host = Host::new(214);
    let mut card = host.active_card();
    let before = observe(&mut host, &mut card, &every_object());
    let update = seal(&host, 1, &plain(&Operation::Block));
    assert!(deliver(&mut host, &mut card, BUS, KV, &update).is_ok());
    let after = observe(&mut host, &mut card, &[]);
    assert_eq!(after.state, CardState::Blocked);
    assert!(after.taps.iter().all(|(_, _, plain)| plain.is_none()));
    let floor = seal(&host, 2, &plain(&Operation::Floor(date("2026-11-25"))));
    assert_eq!(
        deliver(&mut host, &mut card, BUS, KV, &floor),
        Err(StatusWord::SECURITY),
        "a decoy takes nothing"
    );
    host.short_script(&mut card, ScriptKind::Unblock, [5; 16])
        .unwrap();
    let unblocked = observe(&mut host, &mut card, &every_object());
    assert_eq!(
        (unblocked.state, &unblocked.taps),
        (CardState::Active, &before.taps)
    );
    // The one that blocked it is known as the last: the same receipt, and it blocks nothing again.
    assert!(deliver(&mut host, &mut card, BUS, KV, &update).is_ok());
    assert_eq!(host.status(&mut card).state, CardState::Active);
}

#[test]
fn a_compromised_version_is_erased_and_nothing_of_it_stays() {
    let mut host = Host::new(215);
    let mut card = host.active_card();
    let next = slot_update(&host, (SHOP, NEXT, 0), NEW_PID, 20_000, 500);
    done(&mut host, &mut card, 1, &next);
    let erase = plain(&Operation::Erase { role: SHOP, kv: KV });
    let (before, after) = done(&mut host, &mut card, 2, &erase);
    assert_eq!(but_for(&after, &before, SHOP), before);
    assert_eq!(
        (pid_seen(&after, SHOP, KV), pid_seen(&after, SHOP, NEXT)),
        (None, Some(NEW_PID))
    );
    // None there is no error; nor is the last one, and the purse outlives it.
    done(&mut host, &mut card, 3, &erase);
    let last = plain(&Operation::Erase { role: SHOP, kv: NEXT });
    let (_, after) = done(&mut host, &mut card, 4, &last);
    assert_eq!(after.purse(), None);
    let load = plain(&Operation::Load { loaded: 22_000 });
    done(&mut host, &mut card, 5, &load);
    let back = slot_update(&host, (SHOP, 3, 0), [0x98; 16], 0, 500);
    let (_, after) = done(&mut host, &mut card, 6, &back);
    assert_eq!(after.purse(), Some((1000, 22_000, 0)));
    let (ram, _) = card.power_off();
    let m = kdf::tap_key(&host.tap, SHOP, host.region, KV, &host.pid(SHOP)).unwrap();
    for secret in [&host.pid(SHOP), m.expose(), &NEW_PID] {
        assert!(!ram.bytes.windows(16).any(|part| part == secret));
    }
    // The version that delivers may be the one that goes.
    let mut card = host.power_on(ram);
    let gone = seal(&host, 7, &plain(&Operation::Erase { role: BUS, kv: KV }));
    assert!(deliver(&mut host, &mut card, BUS, KV, &gone).is_ok());
    assert!(tap_seen(&mut host, &mut card, BUS, KV).2.is_none());
}

#[test]
fn a_repetition_gives_the_same_receipt_and_writes_nothing() {
    let mut host = Host::new(216);
    let mut card = host.active_card();
    let load = seal(&host, 3, &plain(&Operation::Load { loaded: 25_000 }));
    let receipt = deliver(&mut host, &mut card, BUS, KV, &load).unwrap();
    pay(&mut host, &mut card, KV, 700, 1).unwrap();
    let (writes, card) = writes_of(card);
    let mut card = card;
    for role in [BUS, SHOP, Role::Door] {
        assert_eq!(deliver(&mut host, &mut card, role, KV, &load), Ok(receipt));
    }
    let (after, card) = writes_of(card);
    assert_eq!(writes, after);
    let mut card = card;
    // It is known over a loss of power, and until the next one.
    let (ram, _) = card.power_off();
    card = host.power_on(ram);
    assert_eq!(deliver(&mut host, &mut card, BUS, KV, &load), Ok(receipt));
    let floor = seal(&host, 4, &plain(&Operation::Floor(date("2026-11-25"))));
    deliver(&mut host, &mut card, BUS, KV, &floor).unwrap();
    assert_eq!(
        deliver(&mut host, &mut card, BUS, KV, &load),
        Err(StatusWord::CONDITIONS),
        "older than the last"
    );
    // The same counter with other content is no repetition.
    let other = seal(&host, 4, &plain(&Operation::Block));
    assert_eq!(
        deliver(&mut host, &mut card, BUS, KV, &other),
        Err(StatusWord::CONDITIONS)
    );
    let zero = seal(&host, 0, &plain(&Operation::Block));
    assert_eq!(
        deliver(&mut host, &mut card, BUS, KV, &zero),
        Err(StatusWord::CONDITIONS)
    );
    assert_eq!(host.status(&mut card).state, CardState::Active);
}

#[test]
fn a_repetition_is_answered_while_a_script_is_open_and_a_new_update_is_not() {
    let mut host = Host::new(217);
    let mut card = host.active_card();
    let first = seal(&host, 1, &plain(&Operation::Load { loaded: 21_000 }));
    let receipt = deliver(&mut host, &mut card, BUS, KV, &first).unwrap();
    let steps = rewrite([2; 16], vec![slot(&host, BUS, NEXT, NEW_PID, 0)]);
    run_steps(&mut host, &mut card, &steps[..2], 0).unwrap();
    assert_eq!(deliver(&mut host, &mut card, BUS, KV, &first), Ok(receipt));
    let second = seal(&host, 2, &slot_update(&host, (BUS, 3, 0), [0x98; 16], 0, 0));
    let before = observe(&mut host, &mut card, &every_object());
    assert_eq!(
        deliver(&mut host, &mut card, BUS, KV, &second),
        Err(StatusWord::CONDITIONS)
    );
    assert_eq!(observe(&mut host, &mut card, &every_object()), before);
    // The script goes on as if nothing had come; then the update is taken.
    run_steps(&mut host, &mut card, &steps, 2).unwrap();
    assert!(tap_seen(&mut host, &mut card, BUS, NEXT).2.is_some());
    assert!(deliver(&mut host, &mut card, BUS, NEXT, &second).is_ok());
    // A script after updates keeps their counter.
    let steps = rewrite(
        [3; 16],
        vec![
            payment_slot(&host, NEXT, NEW_PID, 30_000),
            payment_purse(&host, NEXT, NEW_PID, 5),
        ],
    );
    run_steps(&mut host, &mut card, &steps, 0).unwrap();
    assert_eq!(
        deliver(&mut host, &mut card, BUS, NEXT, &first),
        Err(StatusWord::CONDITIONS)
    );
    assert!(deliver(&mut host, &mut card, BUS, NEXT, &second).is_ok());
}

/// TAP of the bus, and what makes UPDATE's data from it.
fn tapped(host: &mut Host, card: &mut Card, update: &SealedUpdate) -> Vec<u8> {
    let (rt, tap, plain) = tap_seen(host, card, BUS, KV);
    let m = kdf::tap_key(&host.tap, BUS, host.region, KV, &plain.unwrap().pid).unwrap();
    let mac = update
        .tap_mac(&m, BUS.code(), KV, &rt, &tap.card_challenge)
        .unwrap();
    update.command_data(&mac).unwrap().to_vec()
}

fn send(card: &mut Card, role: u8, kv: u8, data: &[u8]) -> Result<Vec<u8>, StatusWord> {
    check(&card.process(&Header::update(role, kv).command(data, Some(16)).unwrap()))
}

#[test]
fn refusals_come_in_the_order_of_the_chapter_and_use_the_tap_up() {
    let mut host = Host::new(218);
    let mut card = host.active_card();
    let good = seal(&host, 5, &plain(&Operation::Load { loaded: 25_000 }));
    let before = observe(&mut host, &mut card, &every_object());
    let (writes, mut card) = writes_of(card);

    // Length, before anything else.
    select(&mut card).unwrap();
    assert_eq!(send(&mut card, 1, KV, &[0; 251]), Err(StatusWord::WRONG_LENGTH));
    // A TAP just before, of this role and version.
    assert_eq!(send(&mut card, 1, KV, &[0; 252]), Err(StatusWord::CONDITIONS));
    let data = tapped(&mut host, &mut card, &good);
    assert_eq!(send(&mut card, 3, KV, &data), Err(StatusWord::CONDITIONS));
    let data = tapped(&mut host, &mut card, &good);
    assert_eq!(send(&mut card, 1, NEXT, &data), Err(StatusWord::CONDITIONS));
    let data = tapped(&mut host, &mut card, &good);
    assert_eq!(send(&mut card, 1, KV, &data[1..]), Err(StatusWord::WRONG_LENGTH));
    assert_eq!(
        send(&mut card, 1, KV, &data),
        Err(StatusWord::CONDITIONS),
        "the TAP is used up"
    );
    // tmac, of this tap and no other one.
    let old = tapped(&mut host, &mut card, &good);
    tapped(&mut host, &mut card, &good);
    assert_eq!(send(&mut card, 1, KV, &old), Err(StatusWord::SECURITY));
    for at in [0, 4, 227, 228, 243, 244, 251] {
        let mut data = tapped(&mut host, &mut card, &good);
        data[at] ^= 1;
        assert_eq!(
            send(&mut card, 1, KV, &data),
            Err(StatusWord::SECURITY),
            "byte {at}"
        );
    }
    // umac: an operator who has M, and not the card's keys.
    let mut forged = good;
    forged.mac[0] ^= 1;
    let junk = SealedUpdate {
        counter: u32::MAX,
        cipher: [7; 224],
        mac: [7; 16],
    };
    for update in [forged, junk] {
        let data = tapped(&mut host, &mut card, &update);
        assert_eq!(send(&mut card, 1, KV, &data), Err(StatusWord::SECURITY));
    }
    // An update of another card.
    let stranger = Host::new(219);
    let theirs = seal(&stranger, 5, &plain(&Operation::Block));
    assert_eq!(
        deliver(&mut host, &mut card, BUS, KV, &theirs),
        Err(StatusWord::SECURITY)
    );
    // The counter, before the form.
    let malformed = [0x77; 224];
    let update = seal(&host, 0, &malformed);
    assert_eq!(
        deliver(&mut host, &mut card, BUS, KV, &update),
        Err(StatusWord::CONDITIONS)
    );
    // The form, before what the operation asks for.
    let mut unknown_role = plain(&Operation::Erase { role: BUS, kv: KV });
    unknown_role[1] = 9;
    let mut tail = plain(&Operation::Block);
    tail[223] = 1;
    for wrong in [malformed, unknown_role, tail] {
        let update = seal(&host, 6, &wrong);
        assert_eq!(
            deliver(&mut host, &mut card, BUS, KV, &update),
            Err(StatusWord::WRONG_DATA)
        );
    }
    let leap = seal(&host, 6, &plain(&Operation::Floor(date("2036-01-01"))));
    assert_eq!(
        deliver(&mut host, &mut card, BUS, KV, &leap),
        Err(StatusWord::CONDITIONS)
    );
    // Nothing of all that wrote a byte, or used up a counter.
    let (after, mut card) = writes_of(card);
    assert_eq!(writes, after);
    let seen = observe(&mut host, &mut card, &every_object());
    assert_eq!(seen, before);
    assert!(deliver(&mut host, &mut card, BUS, KV, &good).is_ok());
}

#[test]
fn the_script_is_asked_for_before_the_form() {
    let mut host = Host::new(220);
    let mut card = host.active_card();
    run_steps(&mut host, &mut card, &[begin(ScriptKind::Rewrite, [4; 16])], 0).unwrap();
    let update = seal(&host, 6, &[0x77; 224]);
    assert_eq!(
        deliver(&mut host, &mut card, BUS, KV, &update),
        Err(StatusWord::CONDITIONS)
    );
}

#[test]
fn an_update_inside_another_door_is_refused_and_ends_it() {
    let mut host = Host::new(221);
    let mut card = host.active_card();
    let update = Header::update(1, KV).command(&[0; 252], Some(16)).unwrap();
    let mut channel = host.open_door_i(&mut card).unwrap();
    assert_eq!(check(&card.process(&update)), Err(StatusWord::CONDITIONS));
    let command = channel.wrap_command(Header::GET_STATUS, &[]).unwrap();
    assert!(check(&card.process(&command)).is_err());
    let (mut channel, _) = host.open_door_s(&mut card, Rights::ALL).unwrap();
    assert_eq!(check(&card.process(&update)), Err(StatusWord::CONDITIONS));
    let command = channel
        .wrap_command(Header::read_object(0x01), &[0, 0, 1])
        .unwrap();
    assert!(check(&card.process(&command)).is_err());
    card.reset();
    assert_eq!(check(&card.process(&update)), Err(StatusWord::CONDITIONS));
}

#[test]
fn an_ended_card_forgets_its_updates() {
    let mut host = Host::new(222);
    let mut card = host.active_card();
    let update = seal(&host, 5, &plain(&Operation::Load { loaded: 25_000 }));
    deliver(&mut host, &mut card, BUS, KV, &update).unwrap();
    let mac = update.mac;
    host.short_script(&mut card, ScriptKind::Terminate, [5; 16])
        .unwrap();
    // One more write: the older copy of the control block holds the state before.
    assert_eq!(
        deliver(&mut host, &mut card, BUS, KV, &update),
        Err(StatusWord::SECURITY)
    );
    let (ram, _) = card.power_off();
    let live = ram.bytes.windows(16).filter(|part| *part == mac).count();
    assert!(
        live <= 1,
        "no more than the copy of the block that does not count"
    );
}
