//! Properties of sealed updates and of the files that carry them (chapter 09): what is written is read again, what is
//! accepted has one writing, nothing that comes in panics, no bit of what is signed may flip.
//!
//! Left out on purpose: values of the chapter (`own_vectors.rs`), and what a card does with an update (`card-applet`).
use crate::support::rng;
use card_applet_spec::Error;
use card_applet_spec::codes::Role;
use card_applet_spec::crypto::{Key16, PrivateKey};
use card_applet_spec::data_group::CardInfo;
use card_applet_spec::date::Date;
use card_applet_spec::kdf::KeySet;
use card_applet_spec::script::{SlotStep, Step};
use card_applet_spec::tlv;
use card_applet_spec::update::{MAX_UPDATE_DG3, Operation, SealedUpdate, UPDATE_LEN, tac_key};
use card_applet_spec::update_files::{
    BatchEntry, BatchHead, Receipt, Receipts, UpdateBatch, batch_len, encode_batch, encode_receipts,
    receipts_len,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// The one key that signs everything here. Not a secret of anybody.
fn signer() -> PrivateKey {
    PrivateKey::from_bytes(&[0x11; 32]).unwrap()
}

fn other() -> PrivateKey {
    PrivateKey::from_bytes(&[0x22; 32]).unwrap()
}

fn keys() -> KeySet {
    KeySet::from_bytes(&core::array::from_fn(|at| u8::try_from(at).unwrap()))
}

fn array<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    vec(any::<u8>(), N).prop_map(|bytes| bytes.try_into().unwrap())
}

fn date() -> impl Strategy<Value = Date> {
    (1_u16..=9999, 1_u8..=12, 1_u8..=28).prop_map(|(year, month, day)| Date::new(year, month, day).unwrap())
}

/// What operations borrow.
#[derive(Debug, Clone)]
struct Parts {
    g: [u8; 16],
    m: [u8; 16],
    pid: [u8; 16],
    record: [u8; 160],
    dg3: Vec<u8>,
    signature: [u8; 64],
    role: Role,
    kv: u8,
    flags: u8,
    signer: u8,
    money: [u32; 2],
    day: Date,
}

impl Parts {
    fn slot(&self, role: u8) -> SlotStep<'_> {
        SlotStep {
            role,
            kv: self.kv,
            flags: self.flags,
            g: &self.g,
            m: &self.m,
            pid: &self.pid,
            record: &self.record,
            loaded: if role == 3 { self.money[0] } else { 0 },
        }
    }

    fn all(&self) -> [Operation<'_>; 7] {
        let slot = self.slot(self.role.code());
        let cap = if self.role == Role::SmallPayment {
            self.money[1]
        } else {
            0
        };
        [
            Operation::Slot { slot, cap },
            Operation::Slot {
                slot: self.slot(3),
                cap: self.money[1],
            },
            Operation::Dg3 {
                signer: self.signer,
                dg3: &self.dg3,
                signature: &self.signature,
            },
            Operation::Floor(self.day),
            Operation::Block,
            Operation::Erase {
                role: self.role,
                kv: self.kv,
            },
            Operation::Load {
                loaded: self.money[0],
            },
        ]
    }
}

prop_compose! {
    fn parts()(
        keys in array::<48>(), record in array::<160>(), inside in vec(any::<u8>(), 0..=155_usize), signature in array::<64>(),
        role in select(Role::ALL), kv in 1_u8.., flags in 0_u8..=1, signer in any::<u8>(), money in any::<[u32; 2]>(), day in date(),
    ) -> Parts {
        let mut dg3 = card_applet_spec::Bytes::<300>::new();
        // From 128 bytes on the length takes a byte more.
        tlv::put(&mut dg3, 0x6D, &inside[..inside.len().min(154)]).unwrap();
        Parts {
            g: keys[..16].try_into().unwrap(), m: keys[16..32].try_into().unwrap(), pid: keys[32..].try_into().unwrap(),
            record, dg3: dg3.to_vec(), signature, role, kv, flags, signer, money, day,
        }
    }
}

/// Bytes of P224 that an operation names: the others must be zero.
fn named(operation: &Operation<'_>) -> usize {
    match operation {
        Operation::Slot { .. } => 220,
        Operation::Dg3 { .. } => 224,
        Operation::Floor(_) | Operation::Load { .. } => 5,
        Operation::Block => 1,
        Operation::Erase { .. } => 3,
    }
}

proptest! {
    #[test]
    fn every_operation_is_read_as_it_was_written(parts in parts(), at in any::<Index>(), value in 1_u8..) {
        for operation in parts.all() {
            let plain = operation.encode().unwrap();
            prop_assert_eq!(Operation::parse(&plain).unwrap(), operation);
            // A byte that nobody named is zero.
            let first = named(&operation);
            if first < UPDATE_LEN {
                let mut changed = *plain;
                changed[first + at.index(UPDATE_LEN - first)] = value;
                prop_assert!(Operation::parse(&changed).is_err(), "{:?}", operation);
            }
        }
    }

    #[test]
    fn what_is_accepted_has_one_writing(plain in array::<UPDATE_LEN>(), op in select(&[5_u8, 16, 17, 18, 19, 20][..]), tail in any::<Index>()) {
        let mut plain = plain;
        plain[0] = op;
        plain[1 + tail.index(UPDATE_LEN - 1)..].fill(0);
        if let Ok(operation) = Operation::parse(&plain) {
            prop_assert_eq!(*operation.encode().unwrap(), plain);
        }
    }

    #[test]
    fn a_slot_without_money_is_the_step_of_door_i(parts in parts()) {
        for role in [1, 2, 4, 5] {
            let slot = parts.slot(role);
            let plain = Operation::Slot { slot, cap: 0 }.encode().unwrap();
            prop_assert_eq!(&Step::Slot(slot).encode().unwrap()[..], &plain[..]);
            // Money belongs to SMALL_PAYMENT alone: the vault writes no other, and the card takes no other.
            let with_cap = Operation::Slot { slot, cap: 1 }.encode();
            let with_loaded = Operation::Slot { slot: SlotStep { loaded: 1, ..slot }, cap: 0 }.encode();
            prop_assert!(with_cap.is_err());
            prop_assert!(with_loaded.is_err());
        }
    }

    #[test]
    fn a_dg3_is_one_whole_template_of_at_most_157_bytes(inside in vec(any::<u8>(), 0..300), tag in select(&[0x6D_u16, 0x61, 0x75][..]), cut in any::<Index>()) {
        let mut dg3 = card_applet_spec::Bytes::<400>::new();
        tlv::put(&mut dg3, tag, &inside).unwrap();
        let write = |dg3: &[u8]| Operation::Dg3 { signer: 1, dg3, signature: &[7; 64] }.encode().map(|_| ());
        prop_assert_eq!(write(&dg3).is_ok(), tag == 0x6D && dg3.len() <= MAX_UPDATE_DG3);
        prop_assert!(write(&dg3[..cut.index(dg3.len())]).is_err());
        prop_assert!(write(&[&dg3[..], &[0]].concat()).is_err());
    }

    #[test]
    fn an_update_opens_for_its_card_and_counter_only(parts in parts(), counter in any::<u32>(), which in any::<Index>()) {
        let operations = parts.all();
        let plain = which.get(&operations).encode().unwrap();
        let sealed = SealedUpdate::seal(&keys(), counter, &plain).unwrap();
        prop_assert_eq!(*sealed.open(&keys()).unwrap(), *plain);
        let moved = SealedUpdate { counter: counter.wrapping_add(1), ..sealed };
        prop_assert_eq!(moved.open(&keys()).unwrap_err(), Error::Crypto);
        let stranger = KeySet::from_bytes(&[9; 48]);
        prop_assert_eq!(sealed.open(&stranger).unwrap_err(), Error::Crypto);
        prop_assert_ne!(sealed.receipt(&keys()), moved.receipt(&keys()));
        let (m, challenges) = (Key16::new([3; 16]), ([4; 16], [5; 16]));
        let tap_mac = sealed.tap_mac(&m, 1, 7, &challenges.0, &challenges.1).unwrap();
        let data = sealed.command_data(&tap_mac).unwrap();
        prop_assert_eq!(SealedUpdate::parse_command(&data).unwrap(), (sealed, tap_mac));
        prop_assert!(SealedUpdate::parse_command(&data[1..]).is_err());
    }

    #[test]
    fn a_tac_key_differs_by_role_version_and_pid(pid in array::<16>(), other in array::<16>(), kv in 1_u8..255) {
        prop_assume!(pid != other);
        let key = |role, kv, pid: &[u8; 16]| *tac_key(&keys(), role, kv, pid).expose();
        let ours = key(Role::SmallPayment, kv, &pid);
        prop_assert_ne!(ours, key(Role::SmallPayment, kv + 1, &pid));
        prop_assert_ne!(ours, key(Role::SmallPayment, kv, &other));
        prop_assert_ne!(ours, key(Role::Transit, kv, &pid));
    }
}

fn entry(id: [u8; 16], role: Role, pid: [u8; 16], counter: u32, fill: u8) -> BatchEntry {
    let update = SealedUpdate {
        counter,
        cipher: [fill; UPDATE_LEN],
        mac: [fill ^ 1; 16],
    };
    BatchEntry {
        id,
        role,
        pid,
        update,
    }
}

fn sample_batch() -> Vec<u8> {
    let head = BatchHead {
        id: [6; 16],
        name: "公交 42",
        issued: "2026-11-21".parse().unwrap(),
        not_after: "2026-11-28".parse().unwrap(),
        sequence: 4,
    };
    let updates = [
        entry([1; 16], Role::Transit, [2; 16], 3, 4),
        entry([5; 16], Role::Door, [6; 16], 7, 8),
    ];
    let mut out = vec![0; batch_len(updates.len())];
    let length = encode_batch(&head, &updates, &signer(), &mut rng(1), &mut out).unwrap();
    out.truncate(length);
    out
}

fn sample_receipts() -> Vec<u8> {
    let receipts = [3, 5, 9].map(|n| Receipt {
        update: [n; 16],
        receipt: [n ^ 0x80; 16],
    });
    let mut out = vec![0; receipts_len(receipts.len())];
    let length = encode_receipts(&receipts, &mut out).unwrap();
    out.truncate(length);
    out
}

// Signing costs a millisecond: fewer cases.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_batch_is_read_as_it_was_written(
        id in array::<16>(), name in "\\PC{1,16}", issued in date(), not_after in date(), sequence in any::<u32>(),
        made in vec((array::<16>(), select(Role::ALL), array::<16>(), any::<u32>(), any::<u8>()), 0..5),
    ) {
        let head = BatchHead { id, name: &name, issued, not_after, sequence };
        let updates: Vec<BatchEntry> = made.into_iter().map(|(id, role, pid, counter, fill)| entry(id, role, pid, counter, fill)).collect();
        let mut out = vec![0; batch_len(updates.len())];
        let written = encode_batch(&head, &updates, &signer(), &mut rng(1), &mut out);
        if !updates.iter().all(|entry| entry.role.has_door_f()) {
            prop_assert!(written.is_err(), "a role without door F delivers nothing");
            return Ok(());
        }
        let length = written.unwrap();
        let parsed = UpdateBatch::parse_and_verify(&out[..length], &signer().public()).unwrap();
        prop_assert_eq!(parsed.head, head);
        prop_assert_eq!(parsed.updates().collect::<Vec<_>>(), updates.clone());
        prop_assert_eq!(UpdateBatch::parse_and_verify(&out[..length], &other().public()).unwrap_err(), Error::Crypto);
        let mut small = vec![0; length - 1];
        prop_assert!(encode_batch(&head, &updates, &signer(), &mut rng(1), &mut small).is_err());
        let shown = format!("{parsed:?} {updates:?}");
        for update in &updates {
            let hidden = !shown.contains(&hex::encode(update.pid)) && !shown.contains(&format!("{:?}", update.pid));
            prop_assert!(hidden);
        }
    }

    #[test]
    fn receipts_are_read_as_they_were_written(made in btree_map(array::<16>(), array::<16>(), 0..20)) {
        let receipts: Vec<Receipt> = made.into_iter().map(|(update, receipt)| Receipt { update, receipt }).collect();
        let mut out = vec![0; receipts_len(receipts.len())];
        let length = encode_receipts(&receipts, &mut out).unwrap();
        prop_assert_eq!(Receipts::parse(&out[..length]).unwrap().iter().collect::<Vec<_>>(), receipts.clone());
        // The order in which cards came by is not in the file: any other order is not written.
        if receipts.len() > 1 {
            let backwards: Vec<Receipt> = receipts.iter().rev().copied().collect();
            let twice = [&receipts[..], &receipts[receipts.len() - 1..]].concat();
            prop_assert!(encode_receipts(&backwards, &mut vec![0; 1000]).is_err());
            prop_assert!(encode_receipts(&twice, &mut vec![0; 1000]).is_err());
        }
    }

    #[test]
    fn no_file_panics_on_a_changed_byte_behind_a_good_signature(at in any::<Index>(), value in any::<u8>(), cut in any::<Index>()) {
        let sample = sample_batch();
        let mut inside = tlv::parse(&sample).unwrap().0.value.to_vec();
        let at = at.index(inside.len());
        inside[at] = value;
        inside.truncate(cut.index(inside.len()).max(at));
        let mut whole = card_applet_spec::Bytes::<2048>::new();
        tlv::put(&mut whole, 0x7F52, &inside).unwrap();
        let signature = signer().sign(&[b"YZT-UPDATES-1", &whole], &mut rng(1)).unwrap();
        tlv::put(&mut whole, 0x5F37, &signature).unwrap();
        if let Ok(batch) = UpdateBatch::parse_and_verify(&whole, &signer().public()) {
            prop_assert!(batch.updates().all(|entry| entry.role.has_door_f()));
        }
    }
}

proptest! {
    #[test]
    fn nothing_that_comes_in_panics(bytes in vec(any::<u8>(), 0..600), at in any::<Index>(), value in any::<u8>(), cut in any::<Index>()) {
        let mut receipts = sample_receipts();
        let place = at.index(receipts.len());
        receipts[place] = value;
        receipts.truncate(cut.index(receipts.len() + 1));
        for bytes in [&bytes, &receipts] {
            if let Ok(parsed) = Receipts::parse(bytes) {
                let found: Vec<Receipt> = parsed.iter().collect();
                prop_assert!(found.is_sorted_by(|a, b| a.update < b.update));
            }
            let _ = UpdateBatch::parse_and_verify(bytes, &signer().public());
            let _ = SealedUpdate::parse_command(bytes);
            let _ = CardInfo::parse(bytes);
        }
    }
}

#[test]
fn no_bit_of_an_update_batch_may_flip() {
    let whole = sample_batch();
    let public = signer().public();
    assert!(UpdateBatch::parse_and_verify(&whole, &public).is_ok());
    let mut changed = whole.clone();
    for at in 0..whole.len() {
        for bit in 0..8 {
            changed[at] ^= 1 << bit;
            let read = UpdateBatch::parse_and_verify(&changed, &public);
            assert!(read.is_err(), "bit {bit} of byte {at} flipped is accepted");
            changed[at] ^= 1 << bit;
        }
    }
}

#[test]
fn nothing_of_an_update_is_shown_for_a_log() {
    let parts = Parts {
        g: [0xC7; 16],
        m: [0xC7; 16],
        pid: [0xC7; 16],
        record: [0xC7; 160],
        dg3: vec![0x6D, 2, 0xC7, 0xC7],
        signature: [0xC7; 64],
        role: Role::SmallPayment,
        kv: 2,
        flags: 0,
        signer: 1,
        money: [19_919, 19_919],
        day: "2026-11-21".parse().unwrap(),
    };
    let shown = format!("{:?} {:#?}", parts.all(), parts.all());
    for mark in ["199", "C7", "c7"] {
        assert!(!shown.contains(mark), "{mark} in {shown}");
    }
}

#[test]
fn a_card_that_takes_no_updates_says_nothing_of_them() {
    let old = CardInfo {
        updates: None,
        ..CardInfo::CURRENT
    };
    let encoded = old.encode().unwrap();
    assert_eq!(
        hex::encode(&encoded),
        "6f168407f0595a54525001a50b8002010081020001820101"
    );
    assert!(!CardInfo::parse(&encoded).unwrap().takes_updates());
    assert!(CardInfo::CURRENT.takes_updates());
    // Another form is another meaning: such a card is not given ours.
    let next = CardInfo {
        updates: Some(2),
        ..CardInfo::CURRENT
    };
    assert!(!CardInfo::parse(&next.encode().unwrap()).unwrap().takes_updates());
}
