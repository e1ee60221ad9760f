//! Custody: shares, commitments, the unseal attempt, damage to the store, the clock, and what a sealed vault answers.

use scratch_vault::{Approved as _, Outfit};
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault::{Error, Random, Vault};
use keyvault_protocol::sealed::{Purpose, seal};
use keyvault_protocol::{
    Attempt, BundleKind, CardTask, Client, Identity, LotRequest, PhotoKeyContext, PointBytes, RefusalCode,
    SealedShare, Share, WrappedKey,
};
use program_contract::{Exit, Failing as _, Founded};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_core::{Rng, TryCryptoRng, TryRng};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Row as _};
use tokio::io::DuplexStream;

use super::support::*;

fn open_share(envelope: &ShareEnvelope) -> Share {
    envelope
        .open(scratch_vault::passphrase(&envelope.custodian).as_bytes())
        .unwrap()
}

/// The transport key that an envelope pins.
fn pin(envelope: &ShareEnvelope) -> PointBytes {
    envelope.set().unwrap().transport_key.unwrap()
}

/// A scratch vault, sealed.
pub(crate) async fn sealed(seed: u64) -> (tempfile::TempDir, TestClock, Vec<ShareEnvelope>, Arc<Vault>) {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::at(NOON);
    let mut sources = random(seed);
    let envelopes = scratch_vault::create(folder.path(), &clock.clock(), sources())
        .await
        .unwrap();
    let vault = Vault::load(&folder.path().join("vault"), clock.clock(), sources())
        .await
        .unwrap();
    (folder, clock, envelopes, vault)
}

#[tokio::test]
async fn a_wrong_share_names_its_custodian_and_changes_nothing() {
    let (_folder, _, envelopes, vault) = sealed(20).await;
    let good = open_share(&envelopes[0]);
    let mut client = custodian(&vault, &good).await;
    let mut value = *good.value();
    value[31] ^= 1;
    let pin = pin(&envelopes[0]);
    let wrong = Share::new(good.vault, good.epoch, good.index, value).pinned_to(pin);
    // Another custodian's value under this number is wrong as well.
    let other = *open_share(&envelopes[1]).value();
    let swapped = Share::new(good.vault, good.epoch, 1, other).pinned_to(pin);
    let before = client.begin_unseal().await.unwrap();
    for wrong in [&wrong, &swapped] {
        let error = custodian(&vault, wrong)
            .await
            .submit_share(wrong)
            .await
            .unwrap_err();
        assert!(error.is(RefusalCode::NotACustodian));
        assert_eq!(error.exit_code(), 1);
        // And where a custodian gives it.
        let error = client.submit_share(wrong).await.unwrap_err();
        assert!(error.is(RefusalCode::WrongShare), "{error}");
        assert!(error.to_string().contains("li"), "{error}");
    }
    assert_eq!(client.begin_unseal().await.unwrap(), before);
    let other_epoch = Share::new(good.vault, 2, good.index, *good.value()).pinned_to(pin);
    let nobody = Share::new(good.vault, 1, 9, *good.value()).pinned_to(pin);
    for (share, code) in [
        (other_epoch, RefusalCode::WrongEpoch),
        (nobody, RefusalCode::NotFound),
    ] {
        let stranger = custodian(&vault, &share).await.begin_unseal().await;
        assert!(stranger.unwrap_err().is(RefusalCode::NotACustodian));
        assert!(client.submit_share(&share).await.unwrap_err().is(code));
    }
}

async fn custodian(vault: &Arc<Vault>, share: &Share) -> Client<DuplexStream> {
    scratch_vault::connect_custodian(vault, share).await.unwrap()
}

/// A share on its way to an attempt.
fn sealed_for(attempt: &Attempt, share: &Share) -> SealedShare {
    let context = SealedShare::context(&attempt.id, &share.vault, share.epoch, share.index, 0, None);
    let mut rng = StdRng::seed_from_u64(1);
    let sealed = seal(&attempt.key, Purpose::Share, &context, share.value(), &mut rng).unwrap();
    SealedShare {
        attempt: attempt.id,
        vault: share.vault,
        epoch: share.epoch,
        index: share.index,
        sealed,
        seen: 0,
        day: None,
    }
}

#[tokio::test]
async fn shares_open_the_vault_in_any_order_and_not_before_there_are_enough() {
    let (_folder, _, envelopes, vault) = sealed(21).await;
    let shares: Vec<Share> = envelopes.iter().map(open_share).collect();
    let mut zhang = custodian(&vault, &shares[2]).await;
    let first = zhang.submit_share(&shares[2]).await.unwrap();
    assert_eq!(
        (first.given, first.needed, first.state.as_str()),
        (1, 2, "unsealing")
    );
    assert_eq!(first.missing, ["li", "wang"]);
    let error = zhang.submit_share(&shares[2]).await.unwrap_err();
    assert!(
        error.is(RefusalCode::SameShareTwice) && error.to_string().contains("zhang"),
        "{error}"
    );
    assert!(zhang.anchors().await.unwrap_err().is(RefusalCode::Sealed));
    let mut li = custodian(&vault, &shares[0]).await;
    let last = li.submit_share(&shares[0]).await.unwrap();
    assert_eq!((last.given, last.state.as_str()), (2, "open"));
    li.anchors().await.unwrap();
    let late = custodian(&vault, &shares[1]).await.submit_share(&shares[1]).await;
    assert!(late.unwrap_err().is(RefusalCode::AlreadyOpen));
    li.seal().await.unwrap();
    assert!(li.anchors().await.unwrap_err().is(RefusalCode::Sealed));
    assert!(li.seal().await.unwrap_err().is(RefusalCode::Sealed));
}

#[tokio::test]
async fn a_share_of_another_vault_is_named_as_such() {
    let (_folder, _, envelopes, vault) = sealed(22).await;
    let (_other, _, others, _) = sealed(23).await;
    let foreign = open_share(&others[0]);
    // It is not even sealed for this one.
    let dialed = scratch_vault::connect_custodian(&vault, &foreign).await;
    assert_eq!(dialed.unwrap_err().code(), "VAULT_NOT_OURS");
    let mut client = custodian(&vault, &open_share(&envelopes[0])).await;
    let error = client.submit_share(&foreign).await.unwrap_err();
    assert!(error.is(RefusalCode::WrongVault));
    assert_eq!((error.code(), error.exit_code()), ("WRONG_VAULT", 1));
}

#[tokio::test]
async fn an_attempt_ends_after_fifteen_minutes_and_forgets_its_shares() {
    let (_folder, clock, envelopes, vault) = sealed(24).await;
    let share = open_share(&envelopes[0]);
    let mut client = custodian(&vault, &share).await;
    client.submit_share(&share).await.unwrap();
    let old = client.begin_unseal().await.unwrap();
    clock.advance(SignedDuration::from_mins(15));
    assert_eq!(client.status().await.unwrap().state.as_str(), "sealed");
    let new = client.begin_unseal().await.unwrap();
    assert!(new.id != old.id && new.key != old.key && new.given.is_empty());
    let progress = client.submit_share(&open_share(&envelopes[1])).await.unwrap();
    assert_eq!(progress.given, 1);
}

#[tokio::test]
async fn a_share_sealed_to_an_older_attempt_is_not_taken() {
    let (_folder, clock, envelopes, vault) = sealed(25).await;
    let share = open_share(&envelopes[0]);
    let old = scratch_vault::begin(&vault, &share).await.unwrap();
    let mut envelope = sealed_for(&old, &share);
    clock.advance(SignedDuration::from_mins(16));
    assert_eq!(
        vault.give_share(Some(1), &envelope, None).await.unwrap_err(),
        Error::NoAttempt
    );
    envelope.attempt = scratch_vault::begin(&vault, &share).await.unwrap().id;
    assert_eq!(
        vault.give_share(Some(1), &envelope, None).await.unwrap_err(),
        Error::NotOpened
    );
}

#[tokio::test]
async fn a_clock_before_the_high_water_mark_opens_nothing() {
    let (_folder, clock, envelopes, vault) = sealed(26).await;
    clock.advance(SignedDuration::from_hours(-24));
    let share = open_share(&envelopes[0]);
    let given = custodian(&vault, &share).await.submit_share(&share).await;
    let error = given.unwrap_err();
    assert!(error.is(RefusalCode::ClockBehind));
    assert_eq!(error.exit_code(), 5);
    assert!(
        error.to_string().contains("2026-11-20") && error.to_string().contains("2026-11-21"),
        "{error}"
    );
    assert_eq!(vault.status().await.state.as_str(), "sealed");
}

#[tokio::test]
async fn a_sealed_vault_refuses_every_request_that_needs_a_key() {
    let (_folder, _, envelopes, vault) = sealed(28).await;
    // Who knows the vault sealed as it is.
    let mut client = custodian(&vault, &open_share(&envelopes[0])).await;
    let point = keyvault_protocol::sealed::point_of(
        &keyvault_protocol::sealed::fresh_key(&mut StdRng::seed_from_u64(1)).public_key(),
    );
    let context = PhotoKeyContext {
        photo_id: [1; 16],
        person: [2; 16],
        profile: "chip".into(),
        version: 1,
    };
    let session = keyvault_protocol::OrderSession {
        order: [1; 16],
        cards: 1,
        until: NOON.parse().unwrap(),
    };
    let day = jiff::civil::date(2026, 11, 21);
    let bundle = Outfit {
        kind: BundleKind::Bus,
        terminal: "gate 1".into(),
        sealing_key: point,
        authentication_key: point,
        regions: vec!["440300".parse().unwrap()],
        zones: 0,
        from: day,
        to: day,
    };
    let lot = LotRequest {
        issuer: [0; 2],
        lot: [0; 4],
        first: 1,
        count: 1,
        maker: "maker".into(),
        maker_key: point,
    };
    let order = {
        let key = p256::ecdsa::SigningKey::from(&keyvault_protocol::sealed::fresh_key(
            &mut StdRng::seed_from_u64(2),
        ));
        keyvault_protocol::Order {
            order: [1; 16],
            issuer: "shenzhen".into(),
            profile: "resident-1".into(),
            cards: 1,
            tasks: vec![keyvault_protocol::TaskKind::Block],
            station: "1".into(),
            from: NOON.parse().unwrap(),
            until: NOON.parse().unwrap(),
        }
        .sign(&key)
        .unwrap()
    };
    let role = keyvault_protocol::Role::Door;
    let region = "440300".parse().unwrap();
    let updates = keyvault_protocol::UpdatesRequest {
        terminal: "gate 1".into(),
        to: day,
    };
    let outcomes = [
        client.enrol_issuer("shenzhen", &point).await.err(),
        client.photo_key_new(&context).await.err(),
        client
            .photo_key_open(&context, &WrappedKey::from_bytes(vec![1; 90]))
            .await
            .err(),
        client.open_order(&order).await.err(),
        client
            .start_card(&session, 0, [0; 10], CardTask::Inspect)
            .await
            .err(),
        client.continue_card(&session, 0, Vec::new()).await.err(),
        client.outfit(&bundle).await.err(),
        client.export_lot(&lot).await.err(),
        client
            .sign_card_back("YZT-1", "440300".parse().unwrap(), day)
            .await
            .err(),
        client.anchors().await.err(),
        client.deny_card([0; 10]).await.err(),
        client.allow_card([0; 10]).await.err(),
        client.deny_chain([0; 16]).await.err(),
        client.export_deny_list(role, day, 30, 0).await.err(),
        client.rotate_role(role, region, day).await.err(),
        client.compromise_role(role, region, 1).await.err(),
        client.retire_role(role, region, 1).await.err(),
        client.role_keys().await.err(),
        client.card_versions([0; 10]).await.err(),
        client
            .seal_update(&session, 0, [0; 10], keyvault_protocol::UpdateTask::Block)
            .await
            .err(),
        client.export_updates(&updates).await.err(),
        client.accept_receipts(Vec::new()).await.err(),
        client.pending_updates([0; 10]).await.err(),
        client.revoke_terminal("gate 1").await.err(),
        client.terminals().await.err(),
        client.check_lines(&[]).await.err(),
        client.seal().await.err(),
    ];
    for (i, outcome) in outcomes.into_iter().enumerate() {
        assert!(outcome.unwrap().is(RefusalCode::Sealed), "request {i}");
    }
    assert_eq!(client.status().await.unwrap().state.as_str(), "sealed");
}

#[tokio::test]
async fn a_photo_key_opens_for_its_photo_profile_and_version_only() {
    let mut installation = Installation::new(29).await;
    let mut client = installation.client().await;
    let context = PhotoKeyContext {
        photo_id: [1; 16],
        person: [2; 16],
        profile: "chip".into(),
        version: 1,
    };
    let (key, wrapped) = client.photo_key_new(&context).await.unwrap();
    assert_eq!(client.photo_key_open(&context, &wrapped).await.unwrap(), key);
    for other in [
        PhotoKeyContext {
            photo_id: [9; 16],
            ..context.clone()
        },
        PhotoKeyContext {
            person: [9; 16],
            ..context.clone()
        },
        PhotoKeyContext {
            profile: "print".into(),
            ..context.clone()
        },
        PhotoKeyContext {
            version: 2,
            ..context.clone()
        },
    ] {
        assert!(
            client
                .photo_key_open(&other, &wrapped)
                .await
                .unwrap_err()
                .is(RefusalCode::NotWrappedHere)
        );
    }
    for position in 0..wrapped.as_bytes().len() {
        let mut bytes = wrapped.as_bytes().to_vec();
        bytes[position] ^= 1;
        let error = client
            .photo_key_open(&context, &WrappedKey::from_bytes(bytes))
            .await
            .unwrap_err();
        assert!(error.is(RefusalCode::NotWrappedHere), "byte {position}");
    }
    assert_ne!(client.photo_key_new(&context).await.unwrap().0, key);
    installation.restart(30).await;
    assert_eq!(
        installation
            .client()
            .await
            .photo_key_open(&context, &wrapped)
            .await
            .unwrap(),
        key
    );
}

pub(crate) async fn sql(folder: &std::path::Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("vault.sqlite"))
        .create_if_missing(false);
    SqliteConnection::connect_with(&options).await.unwrap()
}

pub(crate) const TABLES: [&str; 17] = [
    "ring", "state", "key", "caller", "request", "order", "job", "card", "terminal", "denied", "role_key",
    "pid", "change", "update", "waiting", "list", "count",
];

/// A vault with at least one row in every table, on disk and closed.
async fn full_store(seed: u64) -> Installation {
    let installation = Installation::new(seed).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(2).await;
    let mut order = installation.order(1, 3);
    order.tasks.push(keyvault_protocol::TaskKind::Update);
    let signed = order.sign(&installation.issuer).unwrap();
    let session = client.open_order(&signed).await.unwrap();
    run(
        &mut client,
        &session,
        0,
        &mut cards[0],
        personalise(1),
        Mishap::None,
    )
    .await
    .0
    .unwrap();
    let block = keyvault_protocol::UpdateTask::Block;
    client
        .seal_update(&session, 2, cards[0].serial, block)
        .await
        .unwrap();
    run(
        &mut client,
        &session,
        1,
        &mut cards[1],
        personalise(1),
        Mishap::BeforeCommand(42),
    )
    .await
    .0
    .unwrap_err();
    client.deny_card(cards[0].serial).await.unwrap();
    let point = keyvault_protocol::sealed::point_of(
        &keyvault_protocol::sealed::fresh_key(&mut StdRng::seed_from_u64(1)).public_key(),
    );
    let day = jiff::civil::date(2026, 11, 21);
    let request = Outfit {
        kind: BundleKind::Bus,
        terminal: "gate 1".into(),
        sealing_key: point,
        authentication_key: point,
        regions: vec!["440300".parse().unwrap()],
        zones: 0,
        from: day,
        to: day,
    };
    client.outfit(&request).await.unwrap();
    installation
}

/// Copies the vault's folder, lets `damage` at the copy, and says how opening it ends.
pub(crate) async fn opening_after(
    installation: &Installation,
    damage: impl AsyncFnOnce(&std::path::Path),
) -> Result<Arc<Vault>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    copy_folder(&installation.folder.path().join("vault"), &vault);
    damage(&vault).await;
    scratch_vault::reopen(
        folder.path(),
        &installation.envelopes,
        installation.clock.clock(),
        random(99),
    )
    .await
}

pub(crate) fn assert_damaged(outcome: Result<Arc<Vault>, Error>, what: &str) {
    match outcome {
        Err(error @ Error::Damaged { .. }) => {
            assert_eq!((error.code(), error.exit()), ("DAMAGED_STORE", Exit::Damaged));
        }
        Err(error) => panic!("{what}: {error}"),
        Ok(_) => panic!("{what}: the vault opened"),
    }
}

/// What the walk behind the unseal finds, if that found nothing.
pub(crate) async fn looked_through(outcome: Result<Arc<Vault>, Error>) -> Result<Arc<Vault>, Error> {
    let vault = outcome?;
    let found = vault.look_through().await;
    let is_damaged = vault.status().await.state == keyvault_protocol::VaultState::Damaged;
    assert_eq!(is_damaged, found.is_err());
    found.map(|()| vault)
}

#[tokio::test]
async fn a_byte_changed_in_any_sealed_row_is_found_at_unseal_or_by_the_walk_behind_it() {
    let installation = full_store(31).await;
    looked_through(opening_after(&installation, async |_| {}).await)
        .await
        .unwrap();
    for table in TABLES {
        let select = format!("SELECT id, sealed FROM sealed_{table}");
        let update = format!("UPDATE sealed_{table} SET sealed = $1 WHERE id = $2");
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&installation.folder.path().join("vault"), copy.path());
        let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query(sqlx::AssertSqlSafe(select))
            .fetch_all(&mut sql(copy.path()).await)
            .await
            .unwrap()
            .iter()
            .map(|row| (row.get("id"), row.get("sealed")))
            .collect();
        assert!(!rows.is_empty(), "{table} has no row");
        for (n, (id, sealed)) in rows.into_iter().enumerate() {
            let mut changed = sealed.clone();
            // Another place in each row: version, nonce, ciphertext, tag.
            let position = (n * 13) % changed.len();
            changed[position] ^= 0x10;
            let outcome = opening_after(&installation, async |folder| {
                let mut connection = sql(folder).await;
                sqlx::query(sqlx::AssertSqlSafe(update.clone()))
                    .bind(changed)
                    .bind(id)
                    .execute(&mut connection)
                    .await
                    .unwrap();
                connection.close().await.unwrap();
            })
            .await;
            // Keys and what says which rows there are is opened to open the vault; the rest is used later.
            let at_unseal = ["ring", "state", "key", "role_key", "count", "caller"].contains(&table);
            assert_eq!(at_unseal, outcome.is_err(), "{table} row {n} byte {position}");
            let outcome = looked_through(outcome).await;
            assert_damaged(outcome, &format!("{table} row {n} byte {position}"));
        }
    }
}

#[tokio::test]
async fn what_is_missing_or_added_is_found_at_unseal_and_what_is_changed_inside_by_the_walk() {
    let installation = full_store(32).await;
    for change in [
        "UPDATE sealed_card SET sealed = (SELECT sealed FROM sealed_card ORDER BY id DESC LIMIT 1)",
        "UPDATE sealed_update SET sealed = (SELECT sealed FROM sealed_update ORDER BY id DESC LIMIT 1)",
        "DELETE FROM journal WHERE seq = 3",
        "UPDATE journal SET body = CAST(body || x'00' AS BLOB) WHERE seq = 2",
        "UPDATE journal SET at = at + 1 WHERE seq = 4",
    ] {
        let outcome = opening_after(&installation, async |folder| {
            let mut connection = sql(folder).await;
            let done = sqlx::query(change).execute(&mut connection).await.unwrap();
            assert!(done.rows_affected() > 0, "{change}");
            connection.close().await.unwrap();
        })
        .await;
        assert!(outcome.is_ok(), "{change}");
        assert_damaged(looked_through(outcome).await, change);
    }
    for change in [
        "UPDATE sealed_caller SET term = 2",
        "DELETE FROM sealed_key WHERE id = (SELECT min(id) FROM sealed_key WHERE CAST(id AS TEXT) LIKE 'lot/%')",
        "UPDATE sealed_caller SET term = 2",
        "DELETE FROM sealed_caller",
        "DELETE FROM sealed_denied",
        "DELETE FROM sealed_job WHERE id = (SELECT max(id) FROM sealed_job)",
        "INSERT INTO sealed_card SELECT CAST(id || x'00' AS BLOB), row_version, term, sealed, leaf FROM sealed_card LIMIT 1",
        "UPDATE sealed_order SET row_version = row_version + 1",
        "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)",
        "DELETE FROM sealed_role_key WHERE id = (SELECT min(id) FROM sealed_role_key)",
        "DELETE FROM sealed_pid",
        "DELETE FROM sealed_waiting WHERE id = (SELECT max(id) FROM sealed_waiting)",
        "UPDATE header SET format = 1",
        "UPDATE header SET format = 2",
        "UPDATE header SET format = 3",
        "UPDATE header SET format = 4",
        "UPDATE custodian_key SET key = randomblob(65) WHERE number = 3",
        "DELETE FROM custodian_key WHERE number = 3",
        "UPDATE header SET high_water = high_water - 86400",
        "UPDATE header SET generation = generation + 1",
        "UPDATE header SET kek_commitment = zeroblob(32)",
        "UPDATE header SET root = zeroblob(74)",
        "UPDATE header SET instance = zeroblob(16)",
        "UPDATE share SET custodian = 'mallory' WHERE number = 3",
    ] {
        let outcome = opening_after(&installation, async |folder| {
            let mut connection = sql(folder).await;
            let done = sqlx::query(change).execute(&mut connection).await.unwrap();
            assert!(done.rows_affected() > 0, "{change}");
            connection.close().await.unwrap();
        })
        .await;
        assert_damaged(outcome, change);
    }
    // A threshold written down to one lets no single share in.
    let outcome = opening_after(&installation, async |folder| {
        let mut connection = sql(folder).await;
        sqlx::query("UPDATE header SET threshold = 1")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    })
    .await;
    assert_damaged(outcome, "threshold 1");
}

#[tokio::test]
async fn a_store_that_was_cut_or_overwritten_never_opens() {
    let installation = full_store(33).await;
    // Everything into the main file first, so that its length means something.
    let whole = tempfile::tempdir().unwrap();
    copy_folder(&installation.folder.path().join("vault"), whole.path());
    let mut connection = sql(whole.path()).await;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let bytes = std::fs::read(whole.path().join("vault.sqlite")).unwrap();
    let try_bytes = async |bytes: Vec<u8>| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("vault")).unwrap();
        std::fs::write(folder.path().join("vault/vault.sqlite"), bytes).unwrap();
        scratch_vault::reopen(
            folder.path(),
            &installation.envelopes,
            installation.clock.clock(),
            random(98),
        )
        .await
    };
    try_bytes(bytes.clone()).await.unwrap();
    for part in 0..16 {
        let length = bytes.len() * part / 16;
        assert_damaged(
            try_bytes(bytes[..length].to_vec()).await,
            &format!("cut to {length} bytes"),
        );
    }
    for page in 0..bytes.len() / 4096 {
        let mut changed = bytes.clone();
        changed[page * 4096..(page + 1) * 4096].fill(0);
        match try_bytes(changed).await {
            Err(error) => assert_eq!(error.exit(), Exit::Damaged, "page {page}: {error}"),
            // A page on SQLite's free list holds nothing.
            Ok(_) => assert!(page > 0),
        }
    }
}

/// Remembers every 32 bytes that it gave away in one piece: that is every secret of the vault and nothing public.
#[derive(Clone)]
struct Remembering {
    source: Arc<Mutex<StdRng>>,
    given: Arc<Mutex<Vec<[u8; 32]>>>,
}

impl TryRng for Remembering {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.source.lock().unwrap().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.source.lock().unwrap().next_u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        self.source.lock().unwrap().fill_bytes(out);
        if let Ok(secret) = <[u8; 32]>::try_from(&*out) {
            self.given.lock().unwrap().push(secret);
        }
        Ok(())
    }
}

impl TryCryptoRng for Remembering {}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_in_any_log_error_envelope_or_file() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let given = Arc::new(Mutex::new(Vec::new()));
    let source = Arc::new(Mutex::new(StdRng::seed_from_u64(34)));
    let sources = || -> Random {
        Box::new(Remembering {
            source: source.clone(),
            given: given.clone(),
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::at(NOON);
    let envelopes = scratch_vault::create(folder.path(), &clock.clock(), sources())
        .await
        .unwrap();
    let vault = scratch_vault::reopen(folder.path(), &envelopes, clock.clock(), sources)
        .await
        .unwrap();
    let mut client = connect(&vault).await;
    let mut texts = Vec::new();
    let context = PhotoKeyContext {
        photo_id: [1; 16],
        person: [2; 16],
        profile: "chip".into(),
        version: 1,
    };
    let (photo_key, wrapped) = client.photo_key_new(&context).await.unwrap();
    texts.push(format!("{photo_key:?}"));
    let wrong = PhotoKeyContext {
        version: 2,
        ..context
    };
    texts.push(format!(
        "{:?}",
        client.photo_key_open(&wrong, &wrapped).await.unwrap_err()
    ));
    let share = open_share(&envelopes[0]);
    let mut li = custodian(&vault, &share).await;
    texts.push(format!("{:?}", li.submit_share(&share).await.unwrap_err()));
    texts.push(format!("{share:?} {vault:?}"));
    li.seal().await.unwrap();

    let secrets = given.lock().unwrap().clone();
    assert!(secrets.len() > 10);
    let mut places: Vec<(String, Vec<u8>)> = vec![("log".into(), log.0.lock().unwrap().clone())];
    places.extend(
        texts
            .into_iter()
            .map(|text| ("text".to_owned(), text.into_bytes())),
    );
    for part in ["vault", "envelopes"] {
        for entry in std::fs::read_dir(folder.path().join(part)).unwrap() {
            let path = entry.unwrap().path();
            // The one secret in clear, which seals nothing: by it the vault is known while it is sealed.
            if path.ends_with("transport.key") {
                continue;
            }
            if let Ok(bytes) = std::fs::read(&path) {
                places.push((path.display().to_string(), bytes));
            }
        }
    }
    assert!(places.len() > 6);
    for secret in secrets.iter().chain([share.value()]) {
        let as_hex = hex::encode(&secret[..8]);
        let as_list = format!("{}, {}, {}, {}", secret[0], secret[1], secret[2], secret[3]);
        for (name, bytes) in &places {
            let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
            assert!(
                !holds(&secret[..8]) && !holds(as_hex.as_bytes()) && !holds(as_list.as_bytes()),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_ceremony_that_breaks_a_rule_leaves_nothing_behind() {
    use keyvault::custody::ceremony::{Custodian, Founding, Plan, create};
    let folder = tempfile::tempdir().unwrap();
    let custodian = |name: &str, passphrase: &str| Custodian {
        name: name.into(),
        passphrase: zeroize::Zeroizing::new(passphrase.as_bytes().to_vec()),
    };
    let plan = |threshold, custodians| Plan {
        folder: folder.path().join("vault"),
        out: folder.path().join("out"),
        threshold,
        custodians,
        officers: scratch_vault::officers(),
        cost: scratch_vault::COST,
        founded: Founded::Rehearsal,
    };
    let pair = || {
        vec![
            custodian("a", "the passphrase of a"),
            custodian("b", "the passphrase of b"),
        ]
    };
    for bad in [
        plan(1, pair()),
        plan(3, pair()),
        plan(
            2,
            vec![
                custodian("a", "the passphrase of a"),
                custodian("a", "the passphrase of b"),
            ],
        ),
        plan(
            2,
            vec![
                custodian("../a", "the passphrase of a"),
                custodian("b", "the passphrase of b"),
            ],
        ),
    ] {
        let error = create(&bad, NOON.parse().unwrap(), random(1)())
            .await
            .unwrap_err();
        assert!(matches!(error, Error::BadCeremony { .. }), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    // The same passphrase, and as it is typed on another keyboard: who is refused is not told why.
    for same in ["the passphrase of a", "\u{FEFF}ｔｈｅ passphrase of a "] {
        let same = plan(
            2,
            vec![custodian("a", "the passphrase of a"), custodian("b", same)],
        );
        let error = create(&same, NOON.parse().unwrap(), random(1)())
            .await
            .unwrap_err();
        assert_eq!(
            (error.code(), error.exit()),
            ("PASSPHRASE_REFUSED", Exit::Refused)
        );
        assert!(!error.to_string().contains("same") && !error.to_string().contains('2'));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    // What a rehearsal takes is too easy to guess for a vault that protects something.
    let real = Plan {
        founded: Founded::Real,
        ..plan(2, pair())
    };
    let error = create(&real, NOON.parse().unwrap(), random(1)())
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.exit()), ("WEAK_PASSPHRASE", Exit::Refused));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    create(&plan(2, pair()), NOON.parse().unwrap(), random(2)())
        .await
        .unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    let again = create(&plan(2, pair()), NOON.parse().unwrap(), random(3)())
        .await
        .unwrap_err();
    assert_eq!(again, Error::AlreadyInitialised);
    // The envelopes of two vaults do not lie in one folder.
    let second = Plan {
        folder: folder.path().join("second"),
        ..plan(2, pair())
    };
    let error = create(&second, NOON.parse().unwrap(), random(5)())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::EnvelopeExists { .. }), "{error}");
    assert!(error.to_string().contains("share.json"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    // Nor do two foundings work at one vault.
    let apart = folder.path().join("apart");
    let running = Founding::begin(&second.folder, &apart).unwrap();
    let error = Founding::begin(&second.folder, &apart).unwrap_err();
    assert_eq!(error, Error::InUse);
    drop(running);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    std::fs::write(folder.path().join("note"), "x").unwrap();
    let elsewhere = Plan {
        folder: folder.path().to_owned(),
        ..plan(2, pair())
    };
    let error = create(&elsewhere, NOON.parse().unwrap(), random(4)())
        .await
        .unwrap_err();
    assert_eq!(error, Error::FolderOfSomethingElse);
}

/// Whoever may write beside the vault's folder leaves a note of a founding that never was, which names somebody else's envelopes.
#[tokio::test]
async fn a_note_that_others_could_leave_takes_no_envelope_back() {
    use std::os::unix::fs::PermissionsExt as _;

    use keyvault::custody::ceremony::Founding;
    let shared = tempfile::tempdir().unwrap();
    let (_folder, _, envelopes, vault) = sealed(46).await;
    let out = shared.path().join("envelopes");
    std::fs::create_dir(&out).unwrap();
    let number = hex::encode(vault.id());
    let theirs = out.join(format!("{}-1-zhao.share.json", &number[..8]));
    std::fs::write(&theirs, envelopes[0].to_text().unwrap()).unwrap();
    let staging = shared.path().join(".vault.founding");
    std::fs::create_dir(&staging).unwrap();
    std::fs::write(staging.join("founding"), format!("{number}\n{}\n", out.display())).unwrap();
    std::fs::set_permissions(&staging, std::fs::Permissions::from_mode(0o777)).unwrap();
    let begin = || Founding::begin(&shared.path().join("vault"), &shared.path().join("out"));
    assert_eq!(begin().unwrap_err().code(), "FILE");
    let elsewhere = shared.path().join("elsewhere");
    std::fs::rename(&staging, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &staging).unwrap();
    assert_eq!(begin().unwrap_err().code(), "FILE");
    assert!(theirs.exists());
}

#[tokio::test]
async fn the_store_of_another_vault_in_this_folder_takes_no_share_of_this_one() {
    let (ours, other) = (Installation::new(35).await, Installation::new(36).await);
    let outcome = opening_after(&ours, async |folder| {
        for entry in std::fs::read_dir(folder).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        copy_folder(&other.folder.path().join("vault"), folder);
    })
    .await;
    assert_eq!(outcome.map(|_| ()).unwrap_err(), Error::WrongVault);
    // Its header alone, before the rows of ours.
    let outcome = opening_after(&ours, async |folder| {
        let mut connection = sql(folder).await;
        let path = other.folder.path().join("copy");
        copy_folder(&other.folder.path().join("vault"), &path);
        sqlx::query("ATTACH $1 AS other")
            .bind(path.join("vault.sqlite").to_str().unwrap())
            .execute(&mut connection)
            .await
            .unwrap();
        for change in [
            "DELETE FROM main.header",
            "DELETE FROM main.share",
            "INSERT INTO main.header SELECT * FROM other.header",
            "INSERT INTO main.share SELECT * FROM other.share",
            "DELETE FROM main.custodian_key",
            "INSERT INTO main.custodian_key SELECT * FROM other.custodian_key",
        ] {
            sqlx::query(change).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    })
    .await;
    assert_eq!(outcome.map(|_| ()).unwrap_err(), Error::WrongVault);
}

/// A vault and its share envelopes as a program wrote them that had its own XAES-256-GCM.
#[tokio::test]
async fn a_vault_that_was_sealed_before_opens() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vault/sealed_before");
    let vault = folder.path().join("vault");
    std::fs::create_dir(&vault).unwrap();
    std::fs::copy(sealed.join("vault.sqlite"), vault.join("vault.sqlite")).unwrap();
    let clock = TestClock::at("2026-12-01T04:00:00Z");
    let vault = Vault::load(&vault, clock.clock(), random(97)()).await.unwrap();
    let mut rng = random(96)();
    let mut shares = Vec::new();
    for (custodian, passphrase) in [("li", "correct horse battery"), ("wang", "wrong horse battery")] {
        let text = std::fs::read(sealed.join(format!("{custodian}.share.json"))).unwrap();
        let share = ShareEnvelope::parse(&text)
            .unwrap()
            .open(passphrase.as_bytes())
            .unwrap();
        scratch_vault::give(&vault, &share, &mut rng).await.unwrap();
        shares.push(share);
    }
    // There were no officers.
    scratch_vault::appoint_officers(&vault, &shares).await.unwrap();
    let mut client = connect(&vault).await;
    client.anchors().await.unwrap();
    // Custodians have keys since it was opened, she too who was not there.
    let stranger = Share::new(vault.id(), 1, 1, [0; 32]);
    let begun = custodian(&vault, &stranger).await.begin_unseal().await;
    assert_eq!(begun.unwrap_err().code(), "NOT_A_CUSTODIAN");
    let text = std::fs::read(sealed.join("wang.share.json")).unwrap();
    let wang = ShareEnvelope::parse(&text)
        .unwrap()
        .open(b"wrong horse battery")
        .unwrap();
    let unpinned = Identity::custodian(&wang).unwrap_err();
    assert_eq!(unpinned.code(), "TRANSPORT_KEY_NOT_PINNED");
    custodian(&vault, &wang).await.seal().await.unwrap();
}

/// Whoever is no custodian, or not the one.
#[tokio::test]
async fn nobody_but_a_custodian_begins_cancels_or_seals() {
    let (folder, _, envelopes, vault) = sealed(40).await;
    let shares: Vec<Share> = envelopes.iter().map(open_share).collect();
    let all_wrong = async || {
        for wrong in [
            Share::new(vault.id(), 1, 1, [9; 32]),
            Share::new(vault.id(), 1, 9, *shares[0].value()),
            Share::new(vault.id(), 1, 2, *shares[0].value()),
            Share::new(vault.id(), 2, 1, *shares[0].value()),
        ] {
            let mut stranger = custodian(&vault, &wrong).await;
            let begun = stranger.begin_unseal().await.unwrap_err();
            assert!(begun.is(RefusalCode::NotACustodian), "{begun}");
            let given = stranger.submit_share(&wrong).await.unwrap_err();
            assert!(given.is(RefusalCode::NotACustodian), "{given}");
            let sealed = stranger.seal().await.unwrap_err();
            assert!(sealed.is(RefusalCode::NotACustodian), "{sealed}");
        }
    };
    all_wrong().await;
    assert!(vault.status().await.attempt.is_none(), "nobody began");

    // Li begins. Wang joins and may not end it, and neither may a stranger; li may.
    let mut client = custodian(&vault, &shares[0]).await;
    let mut colleague = custodian(&vault, &shares[1]).await;
    client.begin_unseal().await.unwrap();
    let another_day = open_share(&envelopes[1]).on_day(Some("2026-11-22".parse().unwrap()));
    let refused = colleague.submit_share(&another_day).await.unwrap_err();
    assert_eq!(refused.code(), "NOT_THE_DAY");
    assert!(vault.status().await.attempt.is_some(), "li's attempt goes on");
    client.submit_share(&shares[0]).await.unwrap();
    all_wrong().await;
    colleague.begin_unseal().await.unwrap();
    let ended = colleague.seal().await.unwrap_err();
    assert!(
        ended.is(RefusalCode::AttemptOfAnother) && ended.to_string().contains("li"),
        "{ended}"
    );
    assert_eq!(vault.status().await.attempt.unwrap().given, ["li"]);
    client.seal().await.unwrap();
    assert_eq!(vault.status().await.state.as_str(), "sealed");

    // Open, any custodian seals it, one who gave no share too; the journal has the name that was proved.
    client.submit_share(&shares[0]).await.unwrap();
    colleague.submit_share(&shares[1]).await.unwrap();
    all_wrong().await;
    assert_eq!(vault.status().await.state.as_str(), "open");
    custodian(&vault, &shares[2]).await.seal().await.unwrap();
    assert_eq!(vault.status().await.state.as_str(), "sealed");
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&folder.path().join("vault"), copy.path());
    let body: Vec<u8> = sqlx::query_scalar("SELECT body FROM journal ORDER BY seq DESC LIMIT 1")
        .fetch_one(&mut sql(copy.path()).await)
        .await
        .unwrap();
    assert!(body.windows(5).any(|part| part == b"zhang"), "{body:?}");
}
