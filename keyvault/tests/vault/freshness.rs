//! Freshness: rows of another moment, offline and at each table; a store of the format before; a migration that is killed.

use scratch_vault::Approved as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::Span;
use jiff::civil::{Date, date};
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault::{Error, Vault};
use keyvault_protocol::{
    BundleKind, BundleRequest, CardTask, ExportBundle, ExportUpdates, LotRequest, OfficerAct,
    PhotoKeyContext, PhotoKeyNew, RefusalCode, RequestOutcome, Response, Role, TaskKind, UpdateTask,
    UpdatesRequest,
};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};
use tempfile::TempDir;

use super::custody::{TABLES, assert_damaged, looked_through, opening_after, sql};
use super::gate::{Gate, REGION};
use super::operations::{Base, Copied};
use super::support::*;

const TODAY: Date = date(2026, 11, 21);

/// A sealed row as it was at some moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    table: &'static str,
    id: Vec<u8>,
    row_version: i64,
    term: i64,
    sealed: Vec<u8>,
}

/// All sealed rows in `folder`.
async fn rows_of(folder: &Path) -> BTreeSet<Kept> {
    let mut connection = sql(folder).await;
    let mut rows = BTreeSet::new();
    let there: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    // A store of before lacks the last ones.
    let has = |table: &&str| there.contains(&format!("sealed_{table}"));
    for table in TABLES.into_iter().filter(has) {
        let select = format!("SELECT id, row_version, term, sealed FROM sealed_{table}");
        for row in sqlx::query(sqlx::AssertSqlSafe(select))
            .fetch_all(&mut connection)
            .await
            .unwrap()
        {
            rows.insert(Kept {
                table,
                id: row.get("id"),
                row_version: row.get("row_version"),
                term: row.get("term"),
                sealed: row.get("sealed"),
            });
        }
    }
    connection.close().await.unwrap();
    rows
}

async fn put_back(connection: &mut SqliteConnection, row: &Kept) {
    let put = format!(
        "INSERT OR REPLACE INTO sealed_{} (id, row_version, term, sealed) VALUES ($1, $2, $3, $4)",
        row.table
    );
    sqlx::query(sqlx::AssertSqlSafe(put))
        .bind(&row.id)
        .bind(row.row_version)
        .bind(row.term)
        .bind(&row.sealed)
        .execute(connection)
        .await
        .unwrap();
}

async fn take_away(connection: &mut SqliteConnection, row: &Kept) {
    let delete = format!("DELETE FROM sealed_{} WHERE id = $1", row.table);
    sqlx::query(sqlx::AssertSqlSafe(delete))
        .bind(&row.id)
        .execute(connection)
        .await
        .unwrap();
}

/// The store on disk at this moment, as somebody takes a copy of it.
fn moment(installation: &Installation) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&installation.folder.path().join("vault"), copy.path());
    copy
}

/// A vault that has lived, and copies of its store from moments of that.
async fn lived(seed: u64) -> (Installation, Vec<TempDir>) {
    let installation = Installation::new(seed).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(2).await;
    let mut order = installation.order(1, 9);
    order.tasks.extend([TaskKind::Rewrite, TaskKind::Update]);
    let session = client
        .open_order(&order.sign(&installation.issuer).unwrap())
        .await
        .unwrap();
    let cut = Mishap::BeforeCommand(42);
    let begun = run(&mut client, &session, 0, &mut cards[0], personalise(1), cut).await;
    begun.0.unwrap_err();
    let mut moments = vec![moment(&installation)];
    for (index, card) in (0..).zip(&mut cards) {
        for task in [personalise(1), CardTask::Activate { date: TODAY }] {
            card.reset();
            let done = run(&mut client, &session, index, card, task, Mishap::None).await;
            done.0.unwrap();
        }
    }
    moments.push(moment(&installation));
    let region = REGION.parse().unwrap();
    client
        .sign_card_back(&number_of(cards[0].serial), region, TODAY)
        .await
        .unwrap();
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    let (card, other) = (cards[0].serial, cards[1].serial);
    let task = UpdateTask::Entitlement(content(1).entitlements.remove(0));
    client.seal_update(&session, 3, card, task).await.unwrap();
    client
        .seal_update(&session, 5, card, UpdateTask::Block)
        .await
        .unwrap();
    client
        .seal_update(&session, 4, other, UpdateTask::Block)
        .await
        .unwrap();
    moments.push(moment(&installation));
    bus.fetch(&mut client, TODAY).await;
    let receipts = bus.receipts(&mut cards[1], TODAY);
    assert!(!receipts.is_empty());
    client.accept_receipts(receipts).await.unwrap();
    client.deny_card(card).await.unwrap();
    bus.renew(&mut client, TODAY).await;
    moments.push(moment(&installation));
    client.allow_card(card).await.unwrap();
    for serial in [card, other] {
        client.end_card(serial).await.unwrap();
    }
    client
        .rotate_role(Role::Door, region, date(2026, 12, 21))
        .await
        .unwrap();
    client.compromise_role(Role::Door, region, 1).await.unwrap();
    moments.push(moment(&installation));
    client.retire_role(Role::Door, region, 1).await.unwrap();
    client.revoke_terminal("bus 1").await.unwrap();
    client.suspend_caller(scratch_vault::OFFICERS[2]).await.unwrap();
    moments.push(moment(&installation));
    (installation, moments)
}

/// Claim K1: one row put back.
#[tokio::test]
async fn an_older_row_of_any_table_that_is_put_back_is_found_at_unseal() {
    let (installation, moments) = lived(701).await;
    opening_after(&installation, async |_| {}).await.unwrap();
    let present = rows_of(moments.last().unwrap().path()).await;
    let mut older = BTreeSet::new();
    for moment in &moments {
        older.extend(rows_of(moment.path()).await);
    }
    older.retain(|row| !present.contains(row));
    let tables: BTreeSet<&str> = older.iter().map(|row| row.table).collect();
    // Rows of the others are written once and stay: none of them is older than another.
    for table in TABLES {
        let stays = ["ring", "request", "order", "pid", "update"].contains(&table);
        assert!(stays || tables.contains(table), "no older row of {table}");
    }
    let by_place: BTreeMap<(&str, &[u8]), &Kept> = present
        .iter()
        .map(|row| ((row.table, row.id.as_slice()), row))
        .collect();
    for row in &older {
        let what = format!(
            "{} {} of version {}",
            row.table,
            hex::encode(&row.id),
            row.row_version
        );
        let outcome = opening_after(&installation, async |folder| {
            let mut connection = sql(folder).await;
            put_back(&mut connection, row).await;
            connection.close().await.unwrap();
        })
        .await;
        assert_damaged(outcome, &what);
        if by_place.contains_key(&(row.table, row.id.as_slice())) {
            continue;
        }
        // One that was taken away since, in the place of another: the table has as many rows as before.
        let Some(victim) = present.iter().find(|other| other.table == row.table) else {
            continue;
        };
        let outcome = opening_after(&installation, async |folder| {
            let mut connection = sql(folder).await;
            take_away(&mut connection, victim).await;
            put_back(&mut connection, row).await;
            connection.close().await.unwrap();
        })
        .await;
        assert_damaged(outcome, &format!("{what}, for another"));
    }
}

#[tokio::test]
async fn rows_of_two_moments_or_of_another_place_do_not_make_a_store() {
    let (installation, moments) = lived(702).await;
    let present = rows_of(moments.last().unwrap().path()).await;
    for table in TABLES {
        let rows: Vec<&Kept> = present.iter().filter(|row| row.table == table).collect();
        let first = *rows.first().unwrap_or_else(|| panic!("{table} has no row"));
        // A row that is gone, one under the id of another, and one of another table in its place.
        let missing = opening_after(&installation, async |folder| {
            let mut connection = sql(folder).await;
            take_away(&mut connection, first).await;
            connection.close().await.unwrap();
        })
        .await;
        assert_damaged(missing, &format!("{table}: one is missing"));
        if let Some(second) = rows.get(1) {
            let moved = Kept {
                id: second.id.clone(),
                ..first.clone()
            };
            let swapped = opening_after(&installation, async |folder| {
                let mut connection = sql(folder).await;
                put_back(&mut connection, &moved).await;
                connection.close().await.unwrap();
            })
            .await;
            let swapped = looked_through(swapped).await;
            assert_damaged(swapped, &format!("{table}: one under the id of another"));
        }
        let foreign = present.iter().find(|row| row.table != table).unwrap();
        let foreign = Kept {
            table,
            id: first.id.clone(),
            ..foreign.clone()
        };
        let replaced = opening_after(&installation, async |folder| {
            let mut connection = sql(folder).await;
            put_back(&mut connection, &foreign).await;
            connection.close().await.unwrap();
        })
        .await;
        // Where both were written by one transaction their versions are the same.
        let replaced = looked_through(replaced).await;
        assert_damaged(replaced, &format!("{table}: one of another table"));
    }
    // All of an earlier moment but one table, which stays as it is: with the state of then, or with that of now.
    let before = rows_of(moments[3].path()).await;
    for kept in ["card", "denied", "role_key", "terminal", "key", "state"] {
        let mixed = opening_after(&installation, async |folder| {
            std::fs::remove_file(folder.join("vault.sqlite-wal")).ok();
            copy_folder(moments[3].path(), folder);
            let mut connection = sql(folder).await;
            for row in before.iter().filter(|row| row.table == kept) {
                take_away(&mut connection, row).await;
            }
            for row in present.iter().filter(|row| row.table == kept) {
                put_back(&mut connection, row).await;
            }
            connection.close().await.unwrap();
        })
        .await;
        assert_damaged(mixed, &format!("{kept} of another moment"));
    }
    for cut in ["seq = (SELECT max(seq) FROM journal)", "seq > 10", "seq > 0"] {
        let cut = format!("DELETE FROM journal WHERE {cut}");
        let outcome = opening_after(&installation, async |folder| {
            let mut connection = sql(folder).await;
            let done = sqlx::query(sqlx::AssertSqlSafe(cut.clone()))
                .execute(&mut connection)
                .await
                .unwrap();
            assert!(done.rows_affected() > 0);
            connection.close().await.unwrap();
        })
        .await;
        assert_damaged(outcome, &cut);
    }
}

/// A store that the vault of its time wrote, with a card in use, a denied card, a terminal, and from format 2 on a queued change.
#[derive(Clone, Copy)]
struct Golden {
    format: i64,
    /// Cards that count for each key, the denied one among them where it did then.
    cards: u64,
    /// Changes that wait for the card in use.
    waiting: u32,
    /// When it is opened: soon after it was written.
    at: &'static str,
    /// Before the names of its custodians their passphrases have this.
    passphrase: &'static str,
}

const FORMAT_1: Golden = Golden {
    format: 1,
    cards: 2,
    waiting: 0,
    at: "2026-11-27T04:00:00Z",
    passphrase: "rehearsal of ",
};
const FORMAT_2: Golden = Golden {
    format: 2,
    cards: 1,
    waiting: 1,
    at: "2026-12-01T04:00:00Z",
    passphrase: "scratch vault of ",
};
const FORMAT_3: Golden = Golden {
    format: 3,
    cards: 2,
    at: FORMAT_1.at,
    ..FORMAT_2
};

impl Golden {
    fn folder(self) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vault/format_{}", self.format))
    }

    /// A copy of the store.
    fn store(self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(
            self.folder().join("vault.sqlite"),
            folder.path().join("vault.sqlite"),
        )
        .unwrap();
        folder
    }
}

/// Opens a copy of the vault in `folder` with the custodians of the golden files.
async fn open_copy(golden: Golden, folder: &Path) -> (TempDir, Result<Arc<Vault>, Error>) {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder, &copy.path().join("vault"));
    let envelopes: Vec<ShareEnvelope> = ["li", "wang"]
        .into_iter()
        .map(|name| std::fs::read(golden.folder().join(format!("{name}.share.json"))).unwrap())
        .map(|text| ShareEnvelope::parse(&text).unwrap())
        .collect();
    let shares: Vec<_> = envelopes
        .iter()
        .map(|envelope| {
            let passphrase = format!("{}{}", golden.passphrase, envelope.custodian);
            envelope.open(passphrase.as_bytes()).unwrap()
        })
        .collect();
    let clock = TestClock::at(golden.at);
    let mut sources = random(98);
    let opened = async {
        let vault = Vault::load(&copy.path().join("vault"), clock.clock(), sources()).await?;
        for share in &shares {
            scratch_vault::give(&vault, share, &mut sources()).await?;
        }
        Ok(vault)
    }
    .await;
    if let Ok(vault) = &opened {
        // It was founded before there were officers; at a later opening they are there.
        let appointed = scratch_vault::appoint_officers(vault, &shares).await;
        if let Err(error) = appointed {
            assert_eq!(error.code(), "OFFICERS_THERE");
        }
    }
    (copy, opened)
}

async fn format_of(folder: &Path) -> i64 {
    let mut connection = sql(folder).await;
    let format = sqlx::query_scalar("SELECT format FROM header")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    format
}

/// Callers beside the issuer whom the store of before has.
async fn everybody(vault: &Arc<Vault>) -> TestClient {
    scratch_vault::everybody(vault, "another issuer").await.unwrap()
}

/// What the store of before has, asked of the open vault.
async fn assert_has_what_it_had(golden: Golden, vault: &Arc<Vault>) {
    let mut client = everybody(vault).await;
    let card = [0x44, 0x03, 0, 0, 0, 1, 0, 0, 0, 1];
    assert_eq!(client.card_versions(card).await.unwrap().len(), 5);
    assert_eq!(
        client.pending_updates(card).await.unwrap().waiting,
        golden.waiting
    );
    let terminals = client.terminals().await.unwrap();
    assert_eq!(terminals.len(), 1);
    assert_eq!(terminals[0].name, "gate 1");
    // A terminal of format 1 was of two regions.
    let mut keys = client.role_keys().await.unwrap();
    keys.retain(|key| key.cards > 0);
    assert_eq!(keys.len(), 5);
    assert!(
        keys.iter()
            .all(|key| (key.version, key.cards) == (1, golden.cards)),
        "{keys:?}"
    );
    let nobody = client.card_versions([9; 10]).await.unwrap_err();
    assert!(nobody.is(RefusalCode::NotFound));
    client.anchors().await.unwrap();
}

#[tokio::test]
async fn a_store_of_format_1_2_or_3_is_brought_up_to_date_at_its_first_unseal_and_then_knows_its_rows() {
    for golden in [FORMAT_1, FORMAT_2, FORMAT_3] {
        brought_up_to_date(golden).await;
    }
}

async fn brought_up_to_date(golden: Golden) {
    let folder = golden.store();
    assert_eq!(format_of(folder.path()).await, golden.format);
    let before = rows_of(folder.path()).await;
    let (copy, opened) = open_copy(golden, folder.path()).await;
    let vault = opened.unwrap();
    assert_has_what_it_had(golden, &vault).await;
    let mut client = everybody(&vault).await;
    client.revoke_terminal("gate 1").await.unwrap();
    drop((client, vault));
    let (copy, opened) = open_copy(golden, &copy.path().join("vault")).await;
    assert_has_what_it_had(golden, &opened.unwrap()).await;
    let now = tempfile::tempdir().unwrap();
    copy_folder(&copy.path().join("vault"), now.path());
    assert_eq!(format_of(now.path()).await, 5);

    // The terminal as it was before it was revoked, and a store that calls itself older than it is.
    let valid = before.iter().find(|row| row.table == "terminal").unwrap();
    for older_format in [None, Some(3), Some(4)] {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(now.path(), folder.path());
        let mut connection = sql(folder.path()).await;
        put_back(&mut connection, valid).await;
        if let Some(format) = older_format {
            sqlx::query("UPDATE header SET format = $1")
                .bind(format)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        connection.close().await.unwrap();
        let (_copy, opened) = open_copy(golden, folder.path()).await;
        assert_damaged(opened, &format!("another format: {older_format:?}"));
    }
}

#[tokio::test]
async fn a_migration_that_is_killed_at_any_write_is_whole_or_not_begun() {
    // The log has a head of 32 bytes, then frames of a head of 24 and a page.
    const FRAME: usize = 24 + 4096;
    let folder = FORMAT_1.store();
    let (copy, opened) = open_copy(FORMAT_1, folder.path()).await;
    let vault = opened.unwrap();
    let main = std::fs::read(copy.path().join("vault/vault.sqlite")).unwrap();
    let log = std::fs::read(copy.path().join("vault/vault.sqlite-wal")).unwrap();
    drop(vault);
    let mut lengths: Vec<usize> = (0..=(log.len() - 32) / FRAME).map(|n| 32 + n * FRAME).collect();
    lengths.extend(lengths.clone().iter().map(|length| length + 24 + 1000));
    lengths.extend([0, 31]);
    let mut formats = BTreeSet::new();
    for length in lengths {
        let killed = tempfile::tempdir().unwrap();
        std::fs::write(killed.path().join("vault.sqlite"), &main).unwrap();
        let left = &log[..length.min(log.len())];
        std::fs::write(killed.path().join("vault.sqlite-wal"), left).unwrap();
        let looked_at = tempfile::tempdir().unwrap();
        copy_folder(killed.path(), looked_at.path());
        formats.insert(format_of(looked_at.path()).await);
        let (_copy, opened) = open_copy(FORMAT_1, killed.path()).await;
        assert_has_what_it_had(FORMAT_1, &opened.unwrap()).await;
    }
    assert_eq!(formats, BTreeSet::from([1, 2, 3, 4, 5]));
}

/// What a copy of the vault gives out, and how many bytes of each stand before what is encrypted, nonce included; `number` makes it another.
async fn given(at: &Copied<'_>, number: u8) -> Vec<(usize, Vec<u8>)> {
    const BOX: usize = 4 + 2 + 65 + 12;
    const WRAPPED: usize = 2 + 24;
    let (terminal, to) = (
        "bus 1".to_owned(),
        TODAY.saturating_add(Span::new().days(7 - i64::from(number))),
    );
    let context = PhotoKeyContext {
        photo_id: [number; 16],
        person: [2; 16],
        profile: "chip".into(),
        version: 1,
    };
    let lot = LotRequest {
        issuer: [0x44, 0x03],
        lot: [0, 0, 0, 2],
        first: 1,
        count: 1 + u32::from(number),
        maker: "card maker".into(),
        maker_key: scratch_vault::point("card maker"),
    };
    let bundle = BundleRequest {
        terminal: terminal.clone(),
        zones: None,
        from: TODAY,
        to,
    };
    let mut given = Vec::new();
    for request in [
        PhotoKeyNew(context).into(),
        ExportBundle(bundle).into(),
        ExportUpdates(UpdatesRequest { terminal, to }).into(),
        at.approved(OfficerAct::ExportLot(lot)),
    ] {
        given.push(match at.ask(request).await {
            Response::PhotoKey { wrapped, .. } => (WRAPPED, wrapped.as_bytes().to_vec()),
            Response::Export(file) | Response::Request(RequestOutcome::Lot(file)) => (BOX, file),
            other => panic!("{other:?}"),
        });
    }
    given
}

/// Claim K7: a machine that is copied, or put back, and goes on twice with a random source in the same state.
#[tokio::test]
async fn two_copies_of_a_vault_whose_random_source_repeats_itself_draw_no_nonce_twice() {
    let base = Box::pin(Base::new()).await;
    let (one, two, other) = (base.copy().await, base.copy().await, base.copy().await);
    let (first, same, different) = (given(&one, 1).await, given(&two, 1).await, given(&other, 2).await);
    // The source does repeat itself: what is the same in both is the same to the last byte.
    assert_eq!(first, same);
    for ((head, one), (_, other)) in first.iter().zip(&different) {
        assert_ne!(one[..*head], other[..*head]);
        assert_ne!(one[head - 12..*head], other[head - 12..*head]);
    }
    let rows = async |at: &Copied<'_>| {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&at.folder.path().join("vault"), copy.path());
        rows_of(copy.path()).await
    };
    let (rows, others) = (rows(&one).await, rows(&other).await);
    let mut nonces: BTreeMap<&[u8], &Kept> = BTreeMap::new();
    for row in rows.union(&others) {
        let known = nonces.insert(&row.sealed[2..26], row);
        assert_eq!(known, None, "{row:?}");
    }
    let (ours, theirs) = (rows.difference(&others).count(), others.difference(&rows).count());
    assert!(ours >= 3 && theirs >= 3, "{ours} {theirs}");
}
