//! Killed and torn (claim K4): at every write of every kind of transition the store is in the state before or behind it, and what a machine
//! leaves half-way is the one, the other, or found.
//!
//! Killed is a prefix of the write-ahead log, whole or in the middle of a write, as a process that dies leaves it; and where the log is
//! folded in, or there is none yet, a process that dies in the place of a write (`faults.c`). Left out: a
//! disk that keeps a later write and loses an earlier one which it said was durable.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use jiff::SignedDuration;
use keyvault::{Error, Vault};
use keyvault_protocol::{
    OfficerAct, PhotoKeyContext, RefusalCode, Request, Response, Seal, SealUpdate, StartCard,
};
use scratch_vault::Everybody;
use service_contract::Journal;
use sqlx::Connection as _;
use tokio::net::UnixStream;

use super::custody::looked_through;
use super::operations::{Base, Copied, acts, requests};
use super::program::{PROGRAM, Site};
use super::support::{TestClock, copy_folder, random};

/// The head of the log, and of a frame; a frame's page.
const LOG: usize = 32;
const HEAD: usize = 24;
const PAGE: usize = 4096;

/// The two files of a store at a moment.
struct Files {
    main: Vec<u8>,
    log: Vec<u8>,
}

impl Files {
    fn of(vault: &Path) -> Self {
        Self {
            main: std::fs::read(vault.join("vault.sqlite")).unwrap(),
            log: std::fs::read(vault.join("vault.sqlite-wal")).unwrap_or_default(),
        }
    }

    /// Opens a vault that finds these files, at this time; and their generation before that.
    async fn opened(&self, base: &Base, clock: &TestClock) -> (Result<Arc<Vault>, Error>, i64) {
        let transport = base.installation.folder.path().join("vault/transport.key");
        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path().join("vault");
        std::fs::create_dir(&vault).unwrap();
        std::fs::copy(transport, vault.join("transport.key")).unwrap();
        std::fs::write(vault.join("vault.sqlite"), &self.main).unwrap();
        std::fs::write(vault.join("vault.sqlite-wal"), &self.log).unwrap();
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&vault, copy.path());
        let generation = generation(copy.path()).await;
        let envelopes = &base.installation.envelopes;
        let opened = scratch_vault::reopen(folder.path(), envelopes, clock.clock(), random(93)).await;
        (looked_through(opened).await, generation)
    }

    /// Where the frames of the log end, and whether a transaction ends with them.
    fn frames(&self) -> Vec<(usize, bool)> {
        let frames = self.log.get(LOG..).unwrap_or_default().chunks_exact(HEAD + PAGE);
        let ends = (1..).map(|n| LOG + n * (HEAD + PAGE));
        // The size of the file behind a commit stands in its last frame.
        ends.zip(frames)
            .map(|(end, frame)| (end, frame[4..8] != [0; 4]))
            .collect()
    }
}

/// The generation in a store; -1 where that cannot be read.
async fn generation(folder: &Path) -> i64 {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("vault.sqlite"));
    let Ok(mut connection) = sqlx::SqliteConnection::connect_with(&options).await else {
        return -1;
    };
    let generation = sqlx::query_scalar("SELECT generation FROM header")
        .fetch_one(&mut connection)
        .await;
    connection.close().await.unwrap();
    generation.unwrap_or(-1)
}

/// One request for every operation, by its number.
fn operations() -> BTreeMap<u32, Request> {
    let mut all = BTreeMap::new();
    for (_, request) in requests() {
        all.entry(request.listed().number).or_insert(request);
    }
    all
}

async fn done(at: &Copied<'_>, request: Request) {
    let name = request.listed().name;
    let answer = at.ask(request).await;
    assert!(!matches!(answer, Response::Refused(_)), "{name}: {answer:?}");
}

/// Kills a vault at every write between two moments: what opens is the state behind a transaction that was whole. `lengths` says where
/// in a write, of its beginning and end in the log. Where it `leaves` the state from which it opens at this time, it did not before.
/// Gives how often it was killed.
async fn killed(
    base: &Base,
    name: &str,
    (before, after): (&Files, &Files),
    (clock, opens_before): (&TestClock, bool),
    lengths: impl Fn(usize, usize) -> Vec<usize>,
) -> usize {
    assert!(
        after.main == before.main && after.log.starts_with(&before.log),
        "{name}"
    );
    let (opened, first) = before.opened(base, clock).await;
    assert_eq!(opened.is_ok(), opens_before, "{name}");
    let (mut known, mut kills, mut begun) = (first, 0, before.log.len());
    for (end, is_commit) in after.frames() {
        if end <= before.log.len() {
            continue;
        }
        for length in lengths(begun, end) {
            let left = Files {
                main: after.main.clone(),
                log: after.log[..length].to_vec(),
            };
            let (opened, found) = left.opened(base, clock).await;
            assert_eq!(found, known, "{name}, killed behind {length} bytes of its log");
            match opened {
                Ok(_) if opens_before || found > first => {}
                Err(Error::ClockBehind { .. }) if !opens_before && found == first => {}
                other => panic!(
                    "{name}, killed behind {length} bytes of its log: {:?}",
                    other.err()
                ),
            }
            kills += 1;
        }
        begun = end;
        known += i64::from(is_commit);
    }
    let (opened, found) = after.opened(base, clock).await;
    assert!(opened.is_ok(), "{name}");
    assert_eq!(found, known, "{name}");
    kills
}

/// Behind the write before, in the middle of this one's head, and of its page.
fn thrice(begun: usize, _: usize) -> Vec<usize> {
    vec![begun, begun + 10, begun + HEAD + PAGE / 2]
}

/// In the middle of a write's page: no frame is one before its last byte.
fn once(begun: usize, _: usize) -> Vec<usize> {
    vec![begun + HEAD + PAGE / 2]
}

#[tokio::test]
async fn a_vault_killed_at_any_write_of_any_operation_is_in_the_state_before_or_behind_a_transaction() {
    let base = Box::pin(Base::new()).await;
    let (mut written, mut kills) = (0, 0);
    for operation in operations().values() {
        let name = operation.listed().name;
        let at = base.copy().await;
        let (request, _) = at.ready(operation).await;
        let folder = at.folder.path().join("vault");
        let before = Files::of(&folder);
        done(&at, request).await;
        let after = Files::of(&folder);
        if after.log.is_empty() {
            // A sealed vault has its log folded in: another test kills it there.
            assert!(["BeginUnseal", "Seal"].contains(&name), "{name}");
            continue;
        }
        let now = killed(&base, name, (&before, &after), (&at.clock, true), thrice).await;
        written += usize::from(now > 0);
        kills += now;
    }
    println!("{kills} kills in {written} operations");
    assert!(written >= 20 && kills > 200, "{written} {kills}");
}

#[tokio::test]
async fn a_fold_that_is_cut_anywhere_loses_nothing_and_without_its_log_a_torn_page_is_found() {
    let base = Box::pin(Base::new()).await;
    let at = base.copy().await;
    let folder = at.folder.path().join("vault");
    let before = Files::of(&folder);
    let (opened, whole) = before.opened(&base, &at.clock).await;
    opened.unwrap();
    // The fold itself, by another hand, so that no line is written about it.
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(copy.path().join("vault.sqlite"), &before.main).unwrap();
    std::fs::write(copy.path().join("vault.sqlite-wal"), &before.log).unwrap();
    generation(copy.path()).await;
    let behind = Files::of(copy.path());
    assert!(behind.log.is_empty() && behind.main != before.main);
    let (opened, found) = behind.opened(&base, &at.clock).await;
    opened.unwrap();
    assert_eq!(found, whole);

    let page = |main: &[u8], number: usize| {
        let mut page = main.get(number * PAGE..).unwrap_or_default().to_vec();
        page.resize(PAGE, 0);
        page
    };
    let pages = behind.main.len() / PAGE;
    let changed: Vec<usize> = (0..pages)
        .filter(|number| page(&before.main, *number) != page(&behind.main, *number))
        .collect();
    assert!(changed.len() > 10, "{}", changed.len());
    let (mut refused, mut served) = (0, 0);
    for number in changed {
        // Everything before it is folded in, half of it too, nothing behind it.
        let mut main = before.main.clone();
        main.resize(behind.main.len().max(main.len()), 0);
        let torn = number * PAGE + PAGE / 2;
        main[..torn].copy_from_slice(&behind.main[..torn]);
        let cut = Files {
            main,
            log: before.log.clone(),
        };
        let (opened, found) = cut.opened(&base, &at.clock).await;
        opened.unwrap();
        assert_eq!(found, whole, "page {number}");
        // A disk that lost the half of one page, and the log is gone.
        let mut main = behind.main.clone();
        let old = page(&before.main, number);
        main[torn..(number + 1) * PAGE].copy_from_slice(&old[PAGE / 2..]);
        let lost = Files {
            main,
            log: Vec::new(),
        };
        match lost.opened(&base, &at.clock).await {
            // Nothing of it was in that half: all rows are there, and each opens.
            (Ok(_), found) => {
                assert_eq!(found, whole, "page {number}");
                served += 1;
            }
            (Err(Error::Damaged { .. }), _) => refused += 1,
            (Err(error), _) => panic!("page {number}: {error}"),
        }
    }
    println!("{refused} torn pages were found, {served} held nothing that counts");
    assert!(refused > 5, "{refused} {served}");
}

#[tokio::test]
async fn a_vault_killed_at_any_write_of_any_act_of_officers_change_task_or_setting_of_the_time_is_before_or_behind()
 {
    let base = Box::pin(Base::new()).await;
    let mut kills = BTreeMap::new();
    for act in acts() {
        let (name, at) = (act.0.as_str().to_owned(), base.copy().await);
        let request = at.ready_for(act).await;
        let folder = at.folder.path().join("vault");
        let before = Files::of(&folder);
        done(&at, request).await;
        let after = Files::of(&folder);
        let now = killed(&base, &name, (&before, &after), (&at.clock, true), once).await;
        kills.insert(name, now);
    }
    for (name, request) in requests() {
        let at = base.copy().await;
        let folder = at.folder.path().join("vault");
        let before = Files::of(&folder);
        match request {
            Request::SealUpdate(SealUpdate { task, .. }) => done(&at, at.sealing(&task)).await,
            Request::StartCard(StartCard { task, .. }) => at.write(&task).await,
            _ => continue,
        }
        let after = Files::of(&folder);
        let now = killed(&base, &name, (&before, &after), (&at.clock, true), once).await;
        kills.insert(name, now);
    }
    // Three days back, by two officers and the custodians who open it.
    let at = base.copy().await;
    at.seal().await;
    at.clock.advance(SignedDuration::from_hours(-72));
    let folder = at.folder.path().join("vault");
    let before = Files::of(&folder);
    for custodian in 0..2 {
        at.give_on_the_day(custodian).await;
    }
    let after = Files::of(&folder);
    let set = killed(&base, "set-time", (&before, &after), (&at.clock, false), once).await;
    kills.insert("set-time".to_owned(), set);
    println!("{kills:?}");
    // To look at a card writes nothing.
    let silent: Vec<&String> = kills
        .iter()
        .filter(|(_, kills)| **kills == 0)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(silent, ["StartCard inspect"]);
}

/// How a copy of the vault stands behind a process that died or was ended: it opens, with all that it had, and nothing in between.
async fn stands(base: &Base, at: &Copied<'_>) -> i64 {
    let files = Files::of(&at.folder.path().join("vault"));
    let (opened, generation) = files.opened(base, &at.clock).await;
    opened.unwrap_or_else(|error| panic!("it does not open any more: {error}"));
    generation
}

#[tokio::test]
async fn a_vault_that_dies_at_any_write_or_sync_of_its_opening_or_its_seal_opens_again() {
    let base = Box::pin(Base::new()).await;
    let faults = Faults::new();
    for (name, dies) in [("GiveShare", DIES), ("GiveShare", DIES_WITHIN), ("Seal", DIES)] {
        let mut deaths = 0;
        for good in 0.. {
            let mut at = base.served_by(&mut faults.program()).await;
            let request: Request = if name == "Seal" {
                Seal.into()
            } else {
                at.seal().await;
                let first = at.share(0).await;
                assert!(matches!(at.ask(first).await, Response::Progress(_)));
                at.share(1).await
            };
            let before = stands(&base, &at).await;
            faults.arm(dies, good, 1);
            let answer = at.try_ask(request).await;
            let died = faults.disarm();
            if died > 0 {
                let status = at.process().wait().unwrap();
                assert!(status.signal().is_some(), "{name}: {status}");
                deaths += 1;
            } else {
                at.process().kill().unwrap();
                at.process().wait().unwrap();
            }
            let now = stands(&base, &at).await;
            // The line of the opening or the seal, and one of what the vault does behind it.
            assert!(
                (before..=before + 2).contains(&now),
                "{name}, {good}: {before} {now}"
            );
            assert!(answer.is_none() || now > before, "{name}, {good}: answered");
            if died == 0 {
                break;
            }
        }
        println!("{name}: {deaths} deaths of kind {dies}");
        assert!(deaths >= 5, "{name} {dies}: {deaths}");
    }
}

/// Something that is asked of a copy of the base.
enum Asked {
    Operation(Request),
    Act(OfficerAct, Vec<Request>),
}

impl Asked {
    async fn of(&self, at: &Copied<'_>) -> Request {
        match self {
            Self::Operation(operation) => at.ready(operation).await.0,
            Self::Act(act, before) => at.ready_for((act.clone(), before.clone())).await,
        }
    }
}

#[tokio::test]
async fn a_write_or_sync_that_fails_in_any_operation_is_a_code_and_leaves_memory_and_disk_as_they_were() {
    let base = Box::pin(Base::new()).await;
    let faults = Faults::new();
    let mut all: Vec<(String, Asked)> = Vec::new();
    for operation in operations().into_values() {
        let name = operation.listed().name.to_owned();
        all.push((name, Asked::Operation(operation)));
    }
    for (act, before) in acts() {
        all.push((act.as_str().to_owned(), Asked::Act(act, before)));
    }
    let mut refusals = BTreeMap::new();
    for (name, asked) in &all {
        // Behind a refusal these are begun anew: the attempt, the session or the vault is gone.
        let is_once = ["GiveShare", "Seal", "ContinueCard"].contains(&name.as_str());
        for (errno, bad) in [(libc::EIO, 1), (libc::ENOSPC, -1)] {
            let mut at = base.served_by(&mut faults.program()).await;
            let mut request = asked.of(&at).await;
            let is_open = !matches!(request, Request::GiveShare(_) | Request::BeginUnseal(_));
            let seen = if is_open { at.seen().await } else { Vec::new() };
            for good in 0.. {
                faults.arm(errno, good, bad);
                let answer = at.ask(request.clone()).await;
                let failed = faults.disarm();
                let Response::Refused(refusal) = answer else {
                    // What fails now is behind what is durable.
                    break;
                };
                let told = format!("{name}, errno {errno} behind {good} good calls: {refusal:?}");
                assert!(
                    failed > 0 && refusal.code == RefusalCode::StoreUnavailable,
                    "{told}"
                );
                *refusals.entry(name.as_str()).or_insert(0) += 1;
                // The store was asked and has it, or nobody knows: memory is as the disk, whatever that is.
                let is_unsure = refusal.message.contains("is not known");
                if is_unsure && is_open && name != "Seal" {
                    assert_eq!(
                        at.seen().await,
                        base.found_in(at.folder.path()).await.seen().await,
                        "{told}"
                    );
                }
                if is_once || is_unsure {
                    stands(&base, &at).await;
                    at = base.served_by(&mut faults.program()).await;
                    request = asked.of(&at).await;
                } else {
                    assert!(at.seen().await == seen, "{told}");
                }
            }
            // kill -9: what was answered is there.
            at.process().kill().unwrap();
            at.process().wait().unwrap();
            stands(&base, &at).await;
        }
    }
    println!("{refusals:?}");
    for (name, asked) in &all {
        let writes = match asked {
            Asked::Operation(operation) => operation.listed().policy.journal == Journal::Before,
            Asked::Act(..) => true,
        };
        // Some write without a line: what is counted, and the version of a list.
        assert!(refusals.contains_key(name.as_str()) || !writes, "{name}");
    }
}

/// A founding makes some 200 calls: each second of them meets one of the four faults.
#[test]
fn a_founding_that_dies_or_fails_at_a_write_or_sync_is_begun_anew_by_the_same_command() {
    let faults = Faults::new();
    let kinds = [(DIES, 1), (DIES_WITHIN, 1), (libc::EIO, 1), (libc::ENOSPC, -1)];
    for (offset, (errno, bad)) in (0..).step_by(2).zip(kinds) {
        let (mut ended, mut whole, mut site) = (0, 0, Site::new());
        for good in (offset..).step_by(2 * kinds.len()) {
            faults.arm(errno, good, bad);
            let founding = site
                .founding(&mut faults.program())
                .stdout(Stdio::piped())
                .output()
                .unwrap();
            let failed = faults.disarm();
            let told = format!("errno {errno} behind {good} good calls");
            if failed == 0 {
                assert!(founding.status.success(), "{told}");
                assert!(opens(&site), "{told}");
                break;
            }
            ended += 1;
            // There is no vault, and the same command, which ends a little later now, makes one; or there is a whole one: what failed
            // was the log that could not be folded in, which takes nothing away.
            let is_there = site.path("vault").exists();
            assert!(is_there || !founding.status.success(), "{told}");
            if errno > 0 && !founding.status.success() {
                assert_eq!(founding.status.code(), Some(5), "{told}");
                let object: serde_json::Value = serde_json::from_slice(&founding.stdout).unwrap();
                let code = object["error"]["code"].as_str().unwrap();
                assert!(["FILE", "STORE_UNAVAILABLE"].contains(&code), "{told}: {object}");
            }
            if is_there {
                assert!(opens(&site), "{told}");
                whole += 1;
                site = Site::new();
            }
        }
        println!("errno {errno}: {ended} foundings met it, {whole} of them made a whole vault");
        assert!(ended > 20, "{errno}: {ended}");
    }
}

fn opens(site: &Site) -> bool {
    let _served = site.serve(&[]);
    let gives = |custodian| site.unseal(&site.envelope_of(custodian), custodian).1;
    gives("li")["state"] == "unsealing" && gives("zhang")["state"] == "open"
}

/// In the place of an errno: the program dies there; it dies behind half of what it writes.
const DIES: i32 = -1;
const DIES_WITHIN: i32 = -2;

/// Lets writes and syncs of a program's files fail: a library that is preloaded into it (`faults.c`).
pub(crate) struct Faults {
    library: PathBuf,
    told: PathBuf,
    _folder: tempfile::TempDir,
}

impl Faults {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("faults.c");
        let (library, told) = (folder.path().join("faults.so"), folder.path().join("told"));
        std::fs::write(&source, include_str!("faults.c")).unwrap();
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(made.success());
        std::fs::write(&told, [0; 4096]).unwrap();
        Self {
            library,
            told,
            _folder: folder,
        }
    }

    /// The program, with the library in it.
    pub(crate) fn program(&self) -> Command {
        let mut program = Command::new(PROGRAM);
        program
            .env("LD_PRELOAD", &self.library)
            .env("FAULTS", &self.told)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        program
    }

    /// From now on: `good` calls succeed, then `bad` fail with this number (-1: all).
    fn arm(&self, errno: i32, good: i32, bad: i32) {
        let told = File::options().write(true).open(&self.told).unwrap();
        // The number last: it is what arms.
        for (place, value) in [(4, good), (8, bad), (12, 0), (0, errno)] {
            told.write_all_at(&value.to_ne_bytes(), place).unwrap();
        }
    }

    /// No more; how many calls failed.
    fn disarm(&self) -> i32 {
        let told = File::options().read(true).write(true).open(&self.told).unwrap();
        told.write_all_at(&[0; 4], 0).unwrap();
        let mut failed = [0; 4];
        told.read_exact_at(&mut failed, 12).unwrap();
        i32::from_ne_bytes(failed)
    }
}

/// Asks for a photo's key; whether it was given, or which code came.
async fn photo_key(client: &mut Everybody<UnixStream>, number: u8) -> Result<(), String> {
    let context = PhotoKeyContext {
        photo_id: [number; 16],
        person: [2; 16],
        profile: "print".into(),
        version: 1,
    };
    let asked = client.photo_key_new(&context).await;
    asked
        .map(drop)
        .map_err(|error| format!("{} {error}", error.code()))
}

#[test]
fn every_write_and_sync_that_fails_is_a_code_and_nothing_answered_is_lost() {
    let site = Site::new();
    let envelopes = site.rehearse();
    let faults = Faults::new();
    let served = site.serve_by(&mut faults.program(), &[]);
    site.unseal(&envelopes[0], "li");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut given = Vec::new();
    let mut numbers = 0..=u8::MAX;
    let mut next = || numbers.next().unwrap();
    runtime.block_on(async {
        let mut client = site.everybody().await;
        for (errno, bad) in [
            (libc::EIO, 1),
            (libc::ENOSPC, 1),
            (libc::EIO, -1),
            (libc::ENOSPC, -1),
        ] {
            let mut failures = 0;
            for good in 0.. {
                let number = next();
                faults.arm(errno, good, bad);
                let asked = photo_key(&mut client, number).await;
                let failed = faults.disarm();
                match asked {
                    Ok(()) => given.push(number),
                    Err(code) => {
                        assert!(
                            code.starts_with("STORE_UNAVAILABLE "),
                            "{code}, errno {errno}, behind {good} good calls"
                        );
                        failures += 1;
                    }
                }
                // When the disk is well again, work goes on.
                let number = next();
                let after = photo_key(&mut client, number).await;
                assert_eq!(after, Ok(()), "errno {errno}, behind {good} good calls");
                given.push(number);
                if failed == 0 {
                    break;
                }
            }
            println!("errno {errno}, {bad} at a time: {failures} refused");
            assert!(failures >= 3, "errno {errno}: {failures}");
        }
    });
    // kill -9
    drop(served);
    let _served = site.serve(&[]);
    site.unseal(&envelopes[0], "li");
    assert_eq!(site.unseal(&envelopes[2], "zhang").1["state"], "open");
    let (code, journal) = site.run(&["journal"]);
    assert_eq!(code, 0, "{journal}");
    let text = journal.to_string();
    for number in &given {
        assert!(
            text.contains(&hex::encode([*number; 16])),
            "{number} was answered"
        );
    }
}
