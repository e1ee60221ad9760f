//! The vault from within: what no client can see or bring about.

use std::sync::Mutex as StdMutex;

use card_applet_spec::codes::{Region, Role, Serial};
use keyvault_protocol::{Client, PhotoKeyContext, RefusalCode};
use minicbor::Encode;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::open::transaction::{STATE_ID, header_digest};
use crate::store::sql::{Batch, Table};
use crate::{scratch_vault, serve};

fn noon() -> Clock {
    Clock::fixed("2026-11-21T04:00:00Z".parse().unwrap())
}

fn random() -> Random {
    Box::new(StdRng::seed_from_u64(1))
}

#[tokio::test]
async fn a_store_changed_under_the_open_vault_ends_its_service() {
    let folder = tempfile::tempdir().unwrap();
    let vault = scratch_vault::open(folder.path(), noon(), random).await.unwrap();
    let (near, far) = tokio::io::duplex(1 << 16);
    tokio::spawn(serve::connection(far, Arc::clone(&vault)));
    let mut client = Client::connect(near).await.unwrap();
    let context = PhotoKeyContext {
        photo_id: [1; 16],
        person: [2; 16],
        profile: "print".into(),
        version: 1,
    };
    client.photo_key_new(&context).await.unwrap();
    {
        let mut inner = vault.lock().await;
        let core = &mut inner.core;
        let elsewhere = Batch {
            from_first_format: false,
            custodians: Vec::new(),
            rows: Vec::new(),
            deleted: Vec::new(),
            entries: Vec::new(),
            high_water: core.header.high_water,
            generation: core.header.generation + 1,
        };
        core.store.commit(&elsewhere).await.unwrap();
    }
    let error = client.photo_key_new(&context).await.unwrap_err();
    assert!(error.is(RefusalCode::Damaged), "{error}");
    assert!(
        matches!(vault.lock().await.phase, Phase::Damaged(_)),
        "no key is left"
    );
    assert_eq!(client.status().await.unwrap().state, VaultState::Damaged);
    // What needs no change of the store is refused as well, and so is another unseal.
    assert!(client.anchors().await.unwrap_err().is(RefusalCode::Damaged));
    let envelopes = std::fs::read_dir(folder.path().join("envelopes")).unwrap();
    let envelope = std::fs::read(envelopes.flatten().next().unwrap().path()).unwrap();
    let envelope = crate::custody::share_envelope::ShareEnvelope::parse(&envelope).unwrap();
    let passphrase = scratch_vault::passphrase(&envelope.custodian);
    let begun = client
        .begin_unseal(&envelope.open(passphrase.as_bytes()).unwrap())
        .await;
    assert!(begun.unwrap_err().is(RefusalCode::Damaged));
}

#[tokio::test]
async fn shares_that_nobody_came_to_complete_leave_memory_without_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let time = Arc::new(StdMutex::new(noon().now()));
    let shown = Arc::clone(&time);
    let clock = Clock::new(move || *shown.lock().unwrap());
    let envelopes = scratch_vault::create(folder.path(), &clock, random())
        .await
        .unwrap();
    let vault = Vault::load(&folder.path().join("vault"), clock, random())
        .await
        .unwrap();
    let share = envelopes[0]
        .open(scratch_vault::passphrase("li").as_bytes())
        .unwrap();
    scratch_vault::give(&vault, &share, &mut random()).await.unwrap();
    let after = |minutes: i64| {
        let mut now = time.lock().unwrap();
        *now = now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
    };
    after(14);
    vault.expire().await;
    assert!(matches!(vault.lock().await.phase, Phase::Unsealing(_)));
    after(1);
    vault.expire().await;
    assert!(matches!(vault.lock().await.phase, Phase::Sealed));
}

/// Makes the open store one of the previous format: no index keys, eight counts, no tables of format 2.
async fn turn_into_the_previous_format(inner: &mut Inner) {
    let (core, open, _) = inner.open().unwrap();
    let now = core.header.high_water;
    let mut transaction = Transaction::default();
    for id in crate::keys::material::INDEX_KEYS {
        transaction.delete(Table::Key, id.to_string().as_bytes());
    }
    open.apply(core, now, transaction).await.unwrap();
    let mut state = open.state.clone();
    let without_keys: Vec<_> = core
        .shares
        .iter()
        .map(|share| Commitment {
            key: None,
            ..share.clone()
        })
        .collect();
    state.header = header_digest(&core.header, &without_keys);
    state.counts.truncate(Table::FIRST_COUNTED);
    let generation = core.header.generation + 1;
    let plain = minicbor::to_vec(&state).unwrap();
    let row = open
        .seal_row(core, Table::State, STATE_ID, generation, &plain)
        .unwrap();
    let batch = Batch {
        from_first_format: false,
        custodians: Vec::new(),
        rows: vec![(Table::State, row)],
        deleted: Vec::new(),
        entries: Vec::new(),
        high_water: now,
        generation,
    };
    core.store.commit(&batch).await.unwrap();
    core.store.turn_into_the_first_format().await;
}

fn copied(from: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let to = copy.path().join("vault");
    std::fs::create_dir(&to).unwrap();
    for entry in std::fs::read_dir(from.join("vault")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    copy
}

/// A card's row as the previous format wrote it.
#[derive(Encode)]
struct PreviousCard {
    #[cbor(n(0), with = "minicbor::bytes")]
    order: [u8; 16],
    #[n(1)]
    index: u32,
    #[n(2)]
    state: u8,
    #[n(3)]
    slots: Vec<PreviousSlot>,
}

#[derive(Encode)]
struct PreviousSlot {
    #[n(0)]
    role: Role,
    #[n(1)]
    region: Region,
    #[n(2)]
    key_version: u8,
    #[n(3)]
    cohort: u8,
    #[cbor(n(4), with = "minicbor::bytes")]
    pid: [u8; 16],
    #[n(5)]
    issue_counter: u32,
}

#[tokio::test]
async fn a_vault_of_the_previous_format_opens_with_its_versions_active_and_its_cards_counted() {
    use keyvault_protocol::{LineCheck, RoleKeyState, SettlementLine};

    let folder = tempfile::tempdir().unwrap();
    let clock = noon();
    let envelopes = scratch_vault::create(folder.path(), &clock, random())
        .await
        .unwrap();
    let vault = scratch_vault::reopen(folder.path(), &envelopes, clock.clone(), random)
        .await
        .unwrap();
    let region: Region = "440300".parse().unwrap();
    let serial = Serial([4, 4, 0, 3, 0, 0, 0, 0, 0, 1]);
    {
        let mut inner = vault.lock().await;
        let (core, open, _) = inner.open().unwrap();
        let now = core.header.high_water;
        for role in [Role::Transit, Role::SmallPayment] {
            let region = "440300".parse().unwrap();
            open.active(core, now, role, region).await.unwrap();
        }
        let slot = |role, pid| PreviousSlot {
            role,
            region,
            key_version: 1,
            cohort: 3,
            pid: [pid; 16],
            issue_counter: 1,
        };
        let card = PreviousCard {
            order: [1; 16],
            index: 0,
            state: 3,
            slots: vec![slot(Role::Transit, 7), slot(Role::SmallPayment, 8)],
        };
        let mut transaction = Transaction::default();
        transaction.put(Table::Card, serial.as_bytes(), &card).unwrap();
        open.apply(core, now, transaction).await.unwrap();
        turn_into_the_previous_format(&mut inner).await;
    }
    let copy = copied(folder.path());
    // Once from the previous format, then from what that made of it.
    for round in 0..2 {
        let copy = copied(copy.path());
        for _ in 0..=round {
            let vault = scratch_vault::reopen(copy.path(), &envelopes, clock.clone(), random)
                .await
                .unwrap();
            let (near, far) = tokio::io::duplex(1 << 16);
            let served = tokio::spawn(serve::connection(far, Arc::clone(&vault)));
            let mut client = Client::connect(near).await.unwrap();
            let keys = client.role_keys().await.unwrap();
            assert_eq!(keys.len(), 2);
            for key in keys {
                assert_eq!((key.version, key.state), (1, RoleKeyState::Active));
                assert_eq!((key.cards, key.cards_alone), (1, 1));
            }
            assert_eq!(client.card_versions(serial).await.unwrap().len(), 2);
            // The purse's pseudonym is in the index: a wrong line is forged, not of an unknown card.
            let line = SettlementLine {
                key_version: 1,
                pid: [8; 16],
                body: [0; 28],
                seq: 1,
                loaded: 0,
                spent: 0,
                tac: [0; 8],
                before: None,
            };
            assert_eq!(client.check_lines(&[line]).await.unwrap(), [LineCheck::Forged]);
            client.deny_card(serial).await.unwrap();
            drop(client);
            served.await.unwrap().unwrap();
            assert_eq!(vault.lock().await.core.header.format, sql::FORMAT);
        }
    }
}
