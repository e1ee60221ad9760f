//! Killed and torn (claim K4): at every write of every kind of transition the store is in the state before or behind it, and what a machine
//! leaves half-way is the one, the other, or found.
//!
//! Killed is a prefix of the write-ahead log, whole or in the middle of a write, as a process that dies leaves it. Left out: a
//! disk that keeps a later write and loses an earlier one which it said was durable.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use keyvault::{Error, Vault};
use keyvault_protocol::{PhotoKeyContext, Request, Response};
use scratch_vault::Everybody;
use sqlx::Connection as _;
use tokio::net::UnixStream;

use super::custody::{looked_through, sql};
use super::operations::{Base, Copied, requests};
use super::program::{PROGRAM, Site};
use super::support::{copy_folder, random};

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

    /// Opens a vault that finds these files; its generation when it is open.
    async fn opened(&self, base: &Base, transport: &Path) -> Result<(Arc<Vault>, i64), Error> {
        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path().join("vault");
        std::fs::create_dir(&vault).unwrap();
        std::fs::copy(transport.join("transport.key"), vault.join("transport.key")).unwrap();
        std::fs::write(vault.join("vault.sqlite"), &self.main).unwrap();
        std::fs::write(vault.join("vault.sqlite-wal"), &self.log).unwrap();
        let (envelopes, clock) = (&base.installation.envelopes, base.installation.clock.clock());
        let opened = scratch_vault::reopen(folder.path(), envelopes, clock, random(93)).await;
        let opened = looked_through(opened).await?;
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&vault, copy.path());
        Ok((opened, generation(copy.path()).await))
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

async fn generation(folder: &Path) -> i64 {
    let mut connection = sql(folder).await;
    let generation = sqlx::query_scalar("SELECT generation FROM header")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    generation
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

#[tokio::test]
async fn a_vault_killed_at_any_write_of_any_operation_is_in_the_state_before_or_behind_a_transaction() {
    let base = Box::pin(Base::new()).await;
    let transport = base.installation.folder.path().join("vault");
    let (mut written, mut killed) = (0, 0);
    for operation in operations().values() {
        let name = operation.listed().name;
        let at = base.copy().await;
        let (request, _) = at.ready(operation).await;
        let folder = at.folder.path().join("vault");
        let before = Files::of(&folder);
        done(&at, request).await;
        let after = Files::of(&folder);
        if after.log.is_empty() {
            // A sealed vault has its log folded in: that is told by the next test.
            assert!(["BeginUnseal", "Seal"].contains(&name), "{name}");
            continue;
        }
        assert!(
            after.main == before.main && after.log.starts_with(&before.log),
            "{name}"
        );
        let (_, mut known) = before.opened(&base, &transport).await.unwrap();
        let mut begun = before.log.len();
        for (end, is_commit) in after.frames() {
            if end <= before.log.len() {
                continue;
            }
            // Behind the frame before, in the middle of this one's head and page.
            for length in [begun, begun + 10, begun + HEAD + PAGE / 2] {
                let left = Files {
                    main: after.main.clone(),
                    log: after.log[..length].to_vec(),
                };
                let (_, found) = left.opened(&base, &transport).await.unwrap_or_else(|error| {
                    panic!("{name}, killed behind {length} bytes of its log: {error}")
                });
                assert_eq!(found, known, "{name}, {length}");
                killed += 1;
            }
            begun = end;
            known += i64::from(is_commit);
        }
        let (_, found) = after.opened(&base, &transport).await.unwrap();
        assert_eq!(found, known, "{name}");
        written += usize::from(begun > before.log.len());
    }
    println!("{killed} kills in {written} operations");
    assert!(written >= 20 && killed > 200, "{written} {killed}");
}

#[tokio::test]
async fn a_fold_that_is_cut_anywhere_loses_nothing_and_without_its_log_a_torn_page_is_found() {
    let base = Box::pin(Base::new()).await;
    let at = base.copy().await;
    let folder = at.folder.path().join("vault");
    let transport = base.installation.folder.path().join("vault");
    let before = Files::of(&folder);
    let (_, whole) = before.opened(&base, &transport).await.unwrap();
    // The fold itself, by another hand, so that no line is written about it.
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(copy.path().join("vault.sqlite"), &before.main).unwrap();
    std::fs::write(copy.path().join("vault.sqlite-wal"), &before.log).unwrap();
    generation(copy.path()).await;
    let behind = Files::of(copy.path());
    assert!(behind.log.is_empty() && behind.main != before.main);
    let (_, found) = behind.opened(&base, &transport).await.unwrap();
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
        let (_, found) = cut.opened(&base, &transport).await.unwrap();
        assert_eq!(found, whole, "page {number}");
        // A disk that lost the half of one page, and the log is gone.
        let mut main = behind.main.clone();
        let old = page(&before.main, number);
        main[torn..(number + 1) * PAGE].copy_from_slice(&old[PAGE / 2..]);
        let lost = Files {
            main,
            log: Vec::new(),
        };
        match lost.opened(&base, &transport).await {
            // Nothing of it was in that half: all rows are there, and each opens.
            Ok((_, found)) => {
                assert_eq!(found, whole, "page {number}");
                served += 1;
            }
            Err(Error::Damaged { .. }) => refused += 1,
            Err(error) => panic!("page {number}: {error}"),
        }
    }
    println!("{refused} torn pages were found, {served} held nothing that counts");
    assert!(refused > 5, "{refused} {served}");
}

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
