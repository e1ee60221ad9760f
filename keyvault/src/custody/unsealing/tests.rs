//! The vault from within: what no client can see or bring about.

use std::sync::Mutex as StdMutex;

use card_applet_spec::codes::{Region, Role, Serial};
use keyvault_protocol::{Client, Identity, PhotoKeyContext, ReadJournal, RefusalCode};
use minicbor::Encode;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::audit::journal::{self, STRIDE};
use crate::audit::reading;
use crate::custody::share_envelope::ShareEnvelope;
use crate::open::group::Group;
use crate::open::transaction::{STATE_ID, header_digest};
use crate::scratch_vault;
use crate::scratch_vault::Approved as _;
use crate::store::sql::{Batch, Row, Table};

fn noon() -> Clock {
    Clock::fixed("2026-11-21T04:00:00Z".parse().unwrap())
}

fn random() -> Random {
    Box::new(StdRng::seed_from_u64(1))
}

#[tokio::test]
async fn a_store_changed_under_the_open_vault_ends_its_service() {
    let folder = tempfile::tempdir().unwrap();
    let envelopes = scratch_vault::create(folder.path(), &noon(), random())
        .await
        .unwrap();
    let opening = scratch_vault::reopen(folder.path(), &envelopes, noon(), random);
    let vault = opening.await.unwrap();
    let mut client = scratch_vault::everybody(&vault, "shenzhen").await.unwrap();
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
            with_sum: false,
            with_callers: false,
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
    let passphrase = scratch_vault::passphrase(&envelopes[0].custodian);
    let share = envelopes[0].open(passphrase.as_bytes()).unwrap();
    let mut custodian = scratch_vault::connect_custodian(&vault, &share).await.unwrap();
    assert!(
        custodian
            .begin_unseal()
            .await
            .unwrap_err()
            .is(RefusalCode::Damaged)
    );
}

/// A row of the tables that a test changes: their content is not read.
const ID: &[u8] = &[0xA5; 10];

/// Writes a row, or takes it away; gives what stood there before.
async fn write(inner: &mut Inner, table: Table, value: Option<u8>) -> Option<Row> {
    let (core, open, _) = inner.open().unwrap();
    let before = core.store.row(table, ID).await.unwrap();
    let mut transaction = Transaction::default();
    match value {
        Some(value) => transaction.put(table, ID, &value).unwrap(),
        None => transaction.delete(table, ID),
    }
    let now = core.header.high_water;
    open.apply(core, now, transaction).await.unwrap();
    open.commit(core).await.unwrap();
    before
}

/// Claim K1, while the vault is open.
#[tokio::test]
async fn a_row_of_any_table_that_is_older_missing_or_brought_back_under_the_open_vault_is_found_at_its_read()
{
    let folder = tempfile::tempdir().unwrap();
    let vault = scratch_vault::open(folder.path(), noon(), random).await.unwrap();
    let mut inner = vault.lock().await;
    let stale = Error::Damaged {
        what: "a row is not the one that was written last",
    };
    for table in Table::COUNTED {
        write(&mut inner, table, Some(1)).await;
        let older = write(&mut inner, table, Some(2)).await;
        let present = write(&mut inner, table, None).await;
        // It comes again, and what stood there in its first life is sealed as well as it is.
        write(&mut inner, table, Some(3)).await;
        let (core, open, _) = inner.open().unwrap();
        let last = core.store.row(table, ID).await.unwrap();
        for wrong in [&older, &present, &None] {
            core.store.change_from_outside(table, ID, wrong.as_ref()).await;
            let read = open.get::<u8>(core, table, ID).await;
            assert_eq!(read.unwrap_err(), stale, "{table:?}");
            if table.is_walked() {
                assert_eq!(open.rows(core, table).await.unwrap_err(), stale, "{table:?}");
                let walked = open.rows_after(core, table, &[0xA4], 8).await;
                assert_eq!(walked.unwrap_err(), stale, "{table:?}");
            }
        }
        core.store.change_from_outside(table, ID, last.as_ref()).await;
        assert_eq!(open.get::<u8>(core, table, ID).await.unwrap(), Some(3));
        write(&mut inner, table, None).await;
        let (core, open, _) = inner.open().unwrap();
        core.store.change_from_outside(table, ID, last.as_ref()).await;
        assert_eq!(
            open.get::<u8>(core, table, ID).await.unwrap_err(),
            stale,
            "{table:?}"
        );
        core.store.change_from_outside(table, ID, None).await;
        assert_eq!(open.get::<u8>(core, table, ID).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_revoked_terminal_whose_older_row_is_put_back_under_the_open_vault_gets_no_bundle_and_closes_it() {
    let folder = tempfile::tempdir().unwrap();
    let vault = scratch_vault::open(folder.path(), noon(), random).await.unwrap();
    let mut client = scratch_vault::everybody(&vault, "shenzhen").await.unwrap();
    let mut rng = random();
    let day = "2026-11-21".parse().unwrap();
    let request = scratch_vault::Outfit {
        kind: keyvault_protocol::BundleKind::Bus,
        terminal: "bus 1".into(),
        sealing_key: sealed::point_of(&sealed::fresh_key(&mut rng).public_key()),
        authentication_key: sealed::point_of(&sealed::fresh_key(&mut rng).public_key()),
        regions: vec!["440300".parse().unwrap()],
        zones: 0,
        from: day,
        to: day,
    };
    client.outfit(&request).await.unwrap();
    let mut inner = vault.lock().await;
    let valid = inner.core.store.row(Table::Terminal, b"bus 1").await;
    drop(inner);
    let valid = valid.unwrap();
    client.revoke_terminal("bus 1").await.unwrap();
    let refused = client.outfit(&request).await.unwrap_err();
    assert!(refused.is(RefusalCode::TerminalRevoked), "{refused}");
    let mut inner = vault.lock().await;
    let store = &mut inner.core.store;
    store
        .change_from_outside(Table::Terminal, b"bus 1", valid.as_ref())
        .await;
    drop(inner);
    let found = client.outfit(&request).await.unwrap_err();
    assert!(found.is(RefusalCode::Damaged), "{found}");
    assert_eq!(client.status().await.unwrap().state, VaultState::Damaged);
}

/// A photo store's client of the vault, with the task that serves it.
async fn client_of(
    vault: &Arc<Vault>,
) -> (
    Client<tokio::io::DuplexStream>,
    tokio::task::JoinHandle<Result<(), keyvault_protocol::Error>>,
) {
    drop(scratch_vault::everybody(vault, "shenzhen").await.unwrap());
    let anchors = vault.anchors().await.unwrap();
    let identity = Identity::of(scratch_vault::key(scratch_vault::PHOTO_STORE), anchors, noon());
    scratch_vault::dial(vault, &identity).await.unwrap()
}

fn photo(number: u8) -> PhotoKeyContext {
    PhotoKeyContext {
        photo_id: [number; 16],
        person: [2; 16],
        profile: "print".into(),
        version: 1,
    }
}

#[tokio::test]
async fn requests_that_come_together_become_durable_together_and_none_is_answered_before() {
    const ROUNDS: u8 = 4;
    let folder = tempfile::tempdir().unwrap();
    let envelopes = scratch_vault::create(folder.path(), &noon(), random())
        .await
        .unwrap();
    let vault = scratch_vault::reopen(folder.path(), &envelopes, noon(), random)
        .await
        .unwrap();
    let mut connected = Vec::new();
    for _ in 0..16 {
        connected.push(client_of(&vault).await);
    }
    let before = vault.lock().await.core.header.generation;
    let mut clients = tokio::task::JoinSet::new();
    for (number, (mut client, served)) in (0..).zip(connected) {
        let vault = Arc::clone(&vault);
        clients.spawn(async move {
            for round in 0..ROUNDS {
                let kept = client
                    .photo_key_new(&photo(number * ROUNDS + round))
                    .await
                    .unwrap();
                let mut inner = vault.lock().await;
                let own = hex::encode([number * ROUNDS + round; 16]);
                let entries = inner.core.store.entries_after(0, 1000).await.unwrap();
                let noted = entries.iter().any(|entry| {
                    let (event, _) = crate::audit::journal::read(&entry.body).unwrap();
                    event.values().iter().any(|(_, value)| *value == own)
                });
                assert!(noted, "what was answered is on the disk");
                drop((kept, inner));
            }
            drop(client);
            served.await.unwrap().unwrap();
        });
    }
    clients.join_all().await;
    let commits = vault.lock().await.core.header.generation - before;
    assert!(
        (i64::from(ROUNDS)..32).contains(&commits),
        "{commits} commits for 64 requests"
    );
    drop(vault);
    let vault = scratch_vault::reopen(folder.path(), &envelopes, noon(), random)
        .await
        .unwrap();
    let entries = vault
        .lock()
        .await
        .core
        .store
        .entries_after(0, 1000)
        .await
        .unwrap();
    let made = entries.iter().filter(|entry| entry.kind == "photo-key-made");
    assert_eq!(made.count(), 64);
}

#[tokio::test]
async fn what_does_not_become_durable_is_neither_answered_nor_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let envelopes = scratch_vault::create(folder.path(), &noon(), random())
        .await
        .unwrap();
    let vault = scratch_vault::reopen(folder.path(), &envelopes, noon(), random)
        .await
        .unwrap();
    let (mut client, served) = client_of(&vault).await;
    let mut connected = Vec::new();
    for _ in 0..4 {
        connected.push(client_of(&vault).await.0);
    }
    let issuer = async || {
        scratch_vault::connect(&vault, scratch_vault::key("shenzhen"))
            .await
            .unwrap()
    };
    let (mut rotating, mut reading) = (issuer().await, issuer().await);
    let mut inner = vault.lock().await;
    write(&mut inner, Table::Denied, Some(1)).await;
    let other = inner.core.store.held_from_outside().await;
    let (core, open, _) = inner.open().unwrap();
    let (sum, state, generation) = (open.fresh.sum(), open.state.clone(), core.header.generation);
    let (keys, roles) = (open.keys.ids(), open.roles.clone());
    // One of them makes keys, one reads what another changes: none of the group is answered with it.
    let mut refused = tokio::task::JoinSet::new();
    for number in 0..4 {
        let mut client = connected.pop().unwrap();
        refused.spawn(async move { client.photo_key_new(&photo(number)).await.unwrap_err() });
    }
    let day = "2026-12-21".parse().unwrap();
    refused.spawn(async move {
        let region = "440300".parse().unwrap();
        rotating.rotate_role(Role::Door, region, day).await.unwrap_err()
    });
    refused.spawn(async move { reading.role_keys().await.unwrap_err() });
    // All of them wait for the vault when it is free.
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(inner);
    for refused in refused.join_all().await {
        assert!(refused.is(RefusalCode::StoreUnavailable), "{refused}");
    }
    let mut inner = vault.lock().await;
    let (core, open, _) = inner.open().unwrap();
    assert!(open.pending.is_none());
    assert_eq!((open.fresh.sum(), core.header.generation), (sum, generation));
    assert_eq!((open.keys.ids(), &open.roles), (keys, &roles));
    assert_eq!(open.state, state);
    let mut transaction = Transaction::default();
    transaction.put(Table::Denied, ID, &2u8).unwrap();
    transaction.put(Table::Denied, b"another", &2u8).unwrap();
    let now = core.header.high_water;
    open.apply(core, now, transaction).await.unwrap();
    // Until it is taken back, it is what the vault works with.
    assert_eq!(open.get::<u8>(core, Table::Denied, ID).await.unwrap(), Some(2));
    open.commit(core).await.unwrap_err();
    drop(other);
    assert_eq!((open.fresh.sum(), core.header.generation), (sum, generation));
    assert_eq!(open.get::<u8>(core, Table::Denied, ID).await.unwrap(), Some(1));
    assert_eq!(open.rows(core, Table::Denied).await.unwrap().len(), 1);
    drop(inner);
    client.photo_key_new(&photo(1)).await.unwrap();
    drop(client);
    served.await.unwrap().unwrap();
    drop(vault);
    scratch_vault::reopen(folder.path(), &envelopes, noon(), random)
        .await
        .unwrap();
}

/// All pages of the journal: the sequences of their lines.
async fn pages(vault: &Arc<Vault>) -> Result<Vec<i64>, Error> {
    let (mut seqs, mut after) = (Vec::new(), 0);
    loop {
        let ask = ReadJournal {
            after,
            ..ReadJournal::default()
        };
        let mut inner = vault.lock().await;
        let (core, open, _) = inner.open()?;
        let page = reading::read(core, open, &ask).await?;
        seqs.extend(page.lines.iter().map(|line| line.seq));
        match page.next {
            Some(next) => after = next,
            None => return Ok(seqs),
        }
    }
}

#[tokio::test]
async fn a_journal_of_many_milestones_is_proved_where_it_is_read_and_by_the_walk() {
    let folder = tempfile::tempdir().unwrap();
    let envelopes = scratch_vault::create(folder.path(), &noon(), random())
        .await
        .unwrap();
    let vault = scratch_vault::reopen(folder.path(), &envelopes, noon(), random)
        .await
        .unwrap();
    let mut inner = vault.lock().await;
    for _ in 0..25 {
        let (core, open, _) = inner.open().unwrap();
        let mut transaction = Transaction::default();
        for number in 0..100 {
            transaction.note(Event::TerminalRevoked {
                terminal: format!("bus {number}"),
            });
        }
        let now = core.header.high_water;
        open.apply(core, now, transaction).await.unwrap();
    }
    inner.commit().await.unwrap();
    drop(inner);
    let seqs = pages(&vault).await.unwrap();
    let end = vault.lock().await.open().unwrap().1.state.journal_seq;
    assert_eq!(seqs, (1..=end).collect::<Vec<_>>());
    assert!(end > 2 * STRIDE, "{end}");
    vault.look_through().await.unwrap();
    drop(vault);

    // Somebody writes the journal again from one entry on, with a chain that holds in itself, and its true end.
    let forged = copied(folder.path());
    let opened = async |folder: &Path| scratch_vault::reopen(folder, &envelopes, noon(), random).await;
    let vault = opened(forged.path()).await.unwrap();
    {
        let mut inner = vault.lock().await;
        let entries = inner.core.store.entries_after(0, 5000).await.unwrap();
        let event = Event::Sealed { by: "mallory".into() };
        let mut head = (entries[1099].seq, entries[1099].hash);
        for before in &entries[1100..entries.len() - 1] {
            let entry =
                journal::entry(head, before.at, &event, &crate::open::callers::ForWhom::default()).unwrap();
            head = (entry.seq, entry.hash);
            inner.core.store.forge(&entry).await;
        }
    }
    vault.look_through().await.unwrap_err();
    drop(vault);
    let vault = opened(forged.path()).await.unwrap();
    assert!(matches!(pages(&vault).await, Err(Error::Damaged { .. })));
    let mut inner = vault.lock().await;
    let (core, open, _) = inner.open().unwrap();
    for (after, is_shown) in [
        (0, true),
        (1023, true),
        (1024, false),
        (1500, false),
        (2048, false),
    ] {
        let page = reading::proven(core, open, after).await;
        assert_eq!(page.is_ok(), is_shown, "behind {after}");
    }
    drop(inner);
    drop(vault);

    // A store of before gets its milestones when it is brought up to date.
    let vault = opened(folder.path()).await.unwrap();
    turn_into_the_first_format(&mut *vault.lock().await).await;
    drop(vault);
    let vault = opened(folder.path()).await.unwrap();
    let seqs = pages(&vault).await.unwrap();
    let end = vault.lock().await.open().unwrap().1.state.journal_seq;
    assert_eq!(seqs, (1..=end).collect::<Vec<_>>());
    drop(vault);
    opened(folder.path()).await.unwrap();
}

/// Who waits for a commit, and who comes meanwhile, when the commit does not come back: it holds the vault.
#[tokio::test]
async fn a_disk_that_does_not_answer_is_told_to_everybody_and_work_goes_on_when_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = scratch_vault::open(folder.path(), noon(), random).await.unwrap();
    Arc::get_mut(&mut vault).unwrap().patience = Duration::from_secs(2);
    let (mut first, _) = client_of(&vault).await;
    let (mut second, _) = client_of(&vault).await;
    let inner = vault.lock().await;
    let mut group = Group::new();
    let member = group.join(2);
    let waiting = tokio::spawn({
        let vault = Arc::clone(&vault);
        async move { vault.in_time(member.outcome()).await }
    });
    let asked = tokio::spawn(async move { first.photo_key_new(&photo(1)).await.unwrap_err() });
    let status = second.status().await.unwrap_err();
    assert_eq!(waiting.await.unwrap().unwrap_err(), Error::StoreSilent);
    for refused in [status, asked.await.unwrap()] {
        assert!(refused.is(RefusalCode::StoreUnavailable), "{refused}");
        assert!(refused.to_string().contains("30"), "{refused}");
    }
    drop(inner);
    second.status().await.unwrap();
    second.photo_key_new(&photo(1)).await.unwrap();
}

#[tokio::test]
async fn the_walk_opens_every_row_while_rows_change_and_writes_one_line() {
    const ROWS: u16 = 600;
    let folder = tempfile::tempdir().unwrap();
    let vault = scratch_vault::open(folder.path(), noon(), random).await.unwrap();
    let stage = async |inner: &mut Inner, ids: std::ops::Range<u16>, value: Option<u8>| {
        let (core, open, _) = inner.open().unwrap();
        let mut transaction = Transaction::default();
        for id in ids {
            match value {
                Some(value) => transaction.put(Table::Pid, &id.to_be_bytes(), &value).unwrap(),
                None => transaction.delete(Table::Pid, &id.to_be_bytes()),
            }
        }
        let now = core.header.high_water;
        open.apply(core, now, transaction).await.unwrap();
    };
    let mut inner = vault.lock().await;
    stage(&mut inner, 0..ROWS, Some(1)).await;
    inner.commit().await.unwrap();
    let rows: i64 = inner.open().unwrap().1.state.counts.iter().sum();
    // Changed, taken away and new, and none of it durable yet.
    stage(&mut inner, 0..200, Some(2)).await;
    stage(&mut inner, 200..300, None).await;
    stage(&mut inner, ROWS..ROWS + 50, Some(1)).await;
    drop(inner);
    let walking = tokio::spawn({
        let vault = Arc::clone(&vault);
        async move { vault.look_through().await }
    });
    for _ in 0..5 {
        tokio::task::yield_now().await;
        stage(&mut *vault.lock().await, 590..ROWS, Some(3)).await;
    }
    walking.await.unwrap().unwrap();
    let mut inner = vault.lock().await;
    assert!(inner.open().unwrap().1.pending.is_none());
    let entries = inner.core.store.entries_after(0, 1000).await.unwrap();
    let lines = entries
        .iter()
        .filter(|entry| entry.kind == "store-looked-through");
    let lines: Vec<Event> = lines
        .map(|entry| crate::audit::journal::read(&entry.body).unwrap().0)
        .collect();
    let rows = u64::try_from(rows - 100 + 50).unwrap();
    assert_eq!(lines, [Event::StoreLookedThrough { rows }]);
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

/// Makes the open store one of format 1: no index keys, eight counts, no tables of format 2.
async fn turn_into_the_first_format(inner: &mut Inner) {
    let (core, open, _) = inner.open().unwrap();
    let now = core.header.high_water;
    let mut transaction = Transaction::default();
    for id in crate::keys::material::INDEX_KEYS {
        transaction.delete(Table::Key, id.to_string().as_bytes());
    }
    open.apply(core, now, transaction).await.unwrap();
    open.commit(core).await.unwrap();
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
    state.rows = None;
    let generation = core.header.generation + 1;
    let plain = minicbor::to_vec(&state).unwrap();
    let row = open
        .seal_row(core, Table::State, STATE_ID, generation, &plain)
        .unwrap();
    let batch = Batch {
        from_first_format: false,
        custodians: Vec::new(),
        with_sum: false,
        with_callers: false,
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

/// A card's row as format 1 had it.
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
async fn a_vault_of_format_1_opens_with_its_versions_active_and_its_cards_counted() {
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
        open.commit(core).await.unwrap();
        turn_into_the_first_format(&mut inner).await;
    }
    let copy = copied(folder.path());
    // Once from format 1, then from what that made of it.
    for round in 0..2 {
        let copy = copied(copy.path());
        for time in 0..=round {
            let vault = scratch_vault::reopen(copy.path(), &envelopes, clock.clone(), random)
                .await
                .unwrap();
            if time == 0 {
                // It was founded before there were officers.
                let open = |envelope: &ShareEnvelope| {
                    envelope
                        .open(scratch_vault::passphrase(&envelope.custodian).as_bytes())
                        .unwrap()
                };
                let shares: Vec<_> = envelopes.iter().take(2).map(open).collect();
                scratch_vault::appoint_officers(&vault, &shares).await.unwrap();
            }
            let mut client = scratch_vault::everybody(&vault, "shenzhen").await.unwrap();
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
            while Arc::strong_count(&vault) > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(vault.lock().await.core.header.format, sql::FORMAT);
        }
    }
}

/// Claim of the bench: what the last share of a vault with a million cards takes, and how much memory.
/// `cargo test --release -p keyvault --lib million_cards -- --ignored --nocapture`; `YZT_CARDS` says how many.
#[tokio::test]
#[ignore = "a measurement of minutes"]
async fn an_unseal_with_a_million_cards() {
    let cards = std::env::var("YZT_CARDS").map_or(1_000_000, |cards| cards.parse::<u32>().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let envelopes = scratch_vault::create(folder.path(), &noon(), random())
        .await
        .unwrap();
    let vault = scratch_vault::reopen(folder.path(), &envelopes, noon(), random)
        .await
        .unwrap();
    let mut inner = vault.lock().await;
    let (core, open, _) = inner.open().unwrap();
    let now = core.header.high_water;
    for first in (0..cards).step_by(5_000) {
        let mut transaction = Transaction::default();
        for n in first..first + 5_000 {
            let n = n.to_be_bytes();
            // As large as a card's row with five slots and a purse; its job, its purse's pseudonym and its number.
            let rows = [
                (Table::Job, [&[3u8; 16][..], &n].concat(), 160),
                (Table::Card, [&[4u8, 4, 0, 3, 0, 0][..], &n].concat(), 600),
                (Table::Pid, [&[1u8; 12][..], &n].concat(), 12),
                (Table::Pid, [&[2u8; 12][..], &n].concat(), 60),
            ];
            for (table, id, length) in rows {
                transaction.rows.push((table, id, vec![7; length].into()));
            }
        }
        open.apply(core, now, transaction).await.unwrap();
        open.commit(core).await.unwrap();
    }
    drop(inner);
    vault.seal("the test").await.unwrap();
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096 / 1_000_000
    };
    let before = resident();
    let mut rng = random();
    let processor =
        || Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime)).unwrap();
    let (mut start, mut before_it) = (std::time::Instant::now(), processor());
    for envelope in &envelopes[..2] {
        let passphrase = scratch_vault::passphrase(&envelope.custodian);
        let share = envelope.open(passphrase.as_bytes()).unwrap();
        (start, before_it) = (std::time::Instant::now(), processor());
        scratch_vault::give(&vault, &share, &mut rng).await.unwrap();
    }
    println!(
        "{cards} cards: open in {:.2} s, {:.2} of a processor; {} MB before, {} MB open",
        start.elapsed().as_secs_f64(),
        processor().saturating_sub(before_it).as_secs_f64(),
        before,
        resident()
    );
}

#[tokio::test]
async fn an_open_vault_that_nobody_asks_knows_the_day_and_says_once_that_the_clock_was_set() {
    let folder = tempfile::tempdir().unwrap();
    let start: Timestamp = "2026-11-21T04:00:00Z".parse().unwrap();
    let shown = Arc::new(StdMutex::new((start, SignedDuration::ZERO)));
    let (wall, boot) = (Arc::clone(&shown), Arc::clone(&shown));
    let clock = Clock::new(move || wall.lock().unwrap().0).on_machine(move || boot.lock().unwrap().1);
    let vault = scratch_vault::open(folder.path(), clock, random).await.unwrap();
    let after = async |wall: &str, hours| {
        *shown.lock().unwrap() = (wall.parse().unwrap(), SignedDuration::from_hours(hours));
        vault.expire().await;
        let mut inner = vault.lock().await;
        let (high_water, generation) = (inner.core.header.high_water, inner.core.header.generation);
        let entries = inner.core.store.entries_after(0, 1000).await.unwrap();
        let told = entries.iter().filter(|entry| entry.kind == "clock-apart").count();
        (clock::day(high_water).to_string(), generation, told)
    };
    let opened = after("2026-11-21T05:00:00Z", 1).await;
    assert_eq!((opened.0.as_str(), opened.2), ("2026-11-21", 0));
    // Within the day nothing is written.
    assert_eq!(after("2026-11-21T15:00:00Z", 11).await, opened);
    // The next day is written down once, without a line in the journal.
    let next = after("2026-11-22T04:00:00Z", 24).await;
    assert_eq!(next, ("2026-11-22".into(), opened.1 + 1, 0));
    assert_eq!(after("2026-11-22T05:00:00Z", 25).await, next);
    // A jump is told once, and changes no day.
    let told = after("2095-01-01T00:00:00Z", 26).await;
    assert_eq!(told, ("2026-11-22".into(), next.1 + 1, 1));
    assert_eq!(after("2094-01-01T00:00:00Z", 27).await, told);
    assert_eq!(after("2026-11-22T08:00:00Z", 28).await, told);
    assert_eq!(after("1999-01-01T00:00:00Z", 29).await.2, 2);
}
