//! Where no secret is: in a dump of the programs' memory that root takes, at random instants of a whole life under load; and in what
//! they write, where nothing of the applicant is either.
//!
//! Looked for, each as it is, in reverse (as big numbers lie in memory) and in hex, by either half: unseal secret, shares,
//! KEK and its nonce key, root key, ring, every key of the vault (masters, signers' scalars, photo key), the keys of the
//! cards, their channels' session keys, photo data keys, passphrases. Left out: registers; round keys behind the first (which is the key
//! itself); hash states that a key went into; the transport key, which lies on the disk in clear; the traffic keys of TLS. In what is written the
//! forms are those of texts.

use scratch_vault::Approved as _;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use card_applet_spec::codes::Serial;
use card_applet_spec::crypto::{Key16, Key32, PrivateKey};
use card_applet_spec::{apdu, kdf};
use hkdf::Hkdf;
use jiff::civil::date;
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault_protocol::{
    BundleKind, CardTask, Client, Identity, Order, OrderSession, PhotoKeyContext, Role, Script, TaskKind,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use sha2::Sha256;
use sqlx::{Connection as _, Row as _};
use tokio::net::UnixStream;
use virtual_card::chip::Chip;
use xaes_256_gcm::Xaes256Gcm;
use xaes_256_gcm::aead::{Aead, KeyInit, Payload};

use super::gate::Gate;
use super::program::{PROGRAM, Site, copy_files, phrase};
use super::support::{TestCard, blanks, content_of, for_card};
use super::torn::Faults;

const DAY: jiff::civil::Date = date(2080, 11, 21);
const PAGE: usize = 4096;
/// Shortest part of a secret that is looked for.
const PART: usize = 16;

/// Secrets by name.
#[derive(Default)]
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, name: impl Into<String>, value: &[u8]) {
        assert!(value.len() >= PART);
        self.0.push((name.into(), value.to_vec()));
    }

    /// The parts of the secrets in every form that is looked for.
    fn needles(&self) -> Vec<(String, [u8; PART])> {
        let mut needles = Vec::new();
        for (name, value) in &self.0 {
            let mut reversed = value.clone();
            reversed.reverse();
            for (form, bytes) in [
                ("as it is", value.clone()),
                ("reversed", reversed),
                ("in hex", hex::encode(&value[..PART]).into_bytes()),
            ] {
                for part in bytes.chunks_exact(PART).take(2) {
                    needles.push((format!("{name}, {form}"), part.try_into().unwrap()));
                }
            }
        }
        needles
    }
}

/// What was found of a process's memory: every different page once, with the first bytes behind it.
#[derive(Default)]
struct Dump {
    pages: HashMap<u64, (String, Vec<u8>)>,
    /// Mappings that root was refused.
    refused: usize,
}

impl Dump {
    /// Stops the process, reads what may be read of its memory, and lets it go on. False when it has ended.
    fn take(&mut self, process: &Child) -> bool {
        let pid = Pid::from_child(process);
        if kill_process(pid, Signal::STOP).is_err() {
            return false;
        }
        let folder = PathBuf::from(format!("/proc/{}", process.id()));
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            match state_of(&folder) {
                Some('T') => break,
                Some('Z') | None => return false,
                Some(_) => assert!(Instant::now() < until, "the process does not stop"),
            }
        }
        self.read(&folder);
        kill_process(pid, Signal::CONT).unwrap();
        true
    }

    fn read(&mut self, process: &Path) {
        let memory = File::open(process.join("mem")).unwrap_or_else(|error| {
            panic!("only root reads the memory of a process that forbids dumps; run this as root: {error}")
        });
        let maps = std::fs::read_to_string(process.join("smaps")).unwrap();
        let has_secret_memory = maps.contains("secretmem");
        let mut lines = maps.lines().peekable();
        while let Some(line) = lines.next() {
            let mut fields = line.split_whitespace();
            let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
            let name = fields.nth(3).unwrap_or_default();
            let flags = lines.find(|line| line.starts_with("VmFlags:")).unwrap();
            let is_file = name.starts_with('/') && !name.contains("secretmem");
            // What is never written to is as the file on the disk is; the kernel's own pages are not the process's.
            if !rights.starts_with('r') || is_file && !rights.contains('w') || name.starts_with("[v") {
                continue;
            }
            // Without memfd_secret the arena's kind of pages is known by being locked and out of dumps.
            if !has_secret_memory && flags.contains(" lo") && flags.contains(" dd") {
                self.refused += 1;
                continue;
            }
            let (from, to) = range.split_once('-').unwrap();
            let at = |text| u64::from_str_radix(text, 16).unwrap();
            let could = self.read_mapping(&memory, at(from), at(to), &format!("{name} {rights}"));
            assert_eq!(could, !name.contains("secretmem"), "{line}");
            self.refused += usize::from(!could);
        }
    }

    /// Whether anything could be read.
    fn read_mapping(&mut self, memory: &File, from: u64, to: u64, name: &str) -> bool {
        let mut bytes = vec![0u8; 256 * PAGE + PART - 1];
        let (mut at, mut could) = (from, false);
        while at < to {
            let wanted = usize::try_from(to - at).unwrap().min(bytes.len());
            let Ok(got) = memory.read_at(&mut bytes[..wanted], at) else {
                at += PAGE as u64;
                continue;
            };
            could = true;
            let whole = got.min(256 * PAGE);
            for start in (0..whole).step_by(PAGE) {
                let page = &bytes[start..got.min(start + PAGE + PART - 1)];
                if page.iter().any(|byte| *byte != 0) {
                    let mut hash = DefaultHasher::new();
                    page.hash(&mut hash);
                    self.pages
                        .entry(hash.finish())
                        .or_insert_with(|| (name.to_owned(), page.to_vec()));
                }
            }
            at += whole.max(PAGE) as u64;
        }
        could
    }

    /// Where which secrets were found.
    fn find(&self, secrets: &Secrets) -> Vec<String> {
        let mut wanted: HashMap<[u8; PART], Vec<String>> = HashMap::new();
        let mut begins = vec![false; 1 << 16];
        for (name, part) in secrets.needles() {
            begins[usize::from(u16::from_be_bytes([part[0], part[1]]))] = true;
            wanted.entry(part).or_default().push(name);
        }
        let mut found = Vec::new();
        for (mapping, page) in self.pages.values() {
            for part in page.windows(PART) {
                if begins[usize::from(u16::from_be_bytes([part[0], part[1]]))]
                    && let Some(names) = wanted.get(part)
                {
                    found.extend(names.iter().map(|name| format!("{name}: {mapping}")));
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

/// State of the process by its threads: stopped when all are.
fn state_of(process: &Path) -> Option<char> {
    let mut state = None;
    for task in std::fs::read_dir(process.join("task")).ok()? {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let of_task = stat.rsplit_once(") ")?.1.chars().next()?;
        if of_task != 'T' {
            return Some(of_task);
        }
        state = Some(of_task);
    }
    state
}

/// The secrets of a vault, from its shares and a copy of its files, worked out by the description in `keyvault/README.md` and not
/// by the vault's own code.
struct Opened {
    secrets: Secrets,
    keys: HashMap<String, [u8; 32]>,
}

async fn opened(folder: &Path, shares: &[keyvault_protocol::Share]) -> Opened {
    let points: Vec<Vec<u8>> = shares
        .iter()
        .map(|share| [&[share.index][..], share.value()].concat())
        .collect();
    let secret = vsss_rs::Gf256::combine_array(&points[..2]).unwrap();
    let mut secrets = Secrets::default();
    secrets.add("the unseal secret", &secret);
    for share in shares {
        secrets.add(format!("share {}", share.index), share.value());
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("vault.sqlite"));
    let mut store = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let header = sqlx::query("SELECT vault, instance, epoch, root FROM header")
        .fetch_one(&mut store)
        .await
        .unwrap();
    let (vault, instance): (Vec<u8>, Vec<u8>) = (header.get(0), header.get(1));
    let (epoch, root): (i64, Vec<u8>) = (header.get(2), header.get(3));
    let epoch_bytes = u32::try_from(epoch).unwrap().to_be_bytes();
    let hkdf = Hkdf::<Sha256>::new(Some(&vault), &secret);
    let derive = |label: &[u8]| {
        let mut key = [0u8; 32];
        hkdf.expand_multi_info(&[label, &epoch_bytes], &mut key).unwrap();
        key
    };
    let kek = derive(b"YZT-KEK-1");
    secrets.add("the KEK", &kek);
    secrets.add("the KEK's nonce key", &derive(b"YZT-KEK-NONCE-1"));
    let open = |key: &[u8; 32], table: &str, id: &[u8], version: i64, term: i64, sealed: &[u8]| {
        let mut associated = b"YZT-ROW-1".to_vec();
        for field in [
            &[1, 1][..],
            &vault,
            &instance,
            table.as_bytes(),
            id,
            &version.to_be_bytes(),
            &term.to_be_bytes(),
        ] {
            associated.extend_from_slice(&(field.len() as u64).to_be_bytes());
            associated.extend_from_slice(field);
        }
        let nonce: [u8; 24] = sealed[2..26].try_into().unwrap();
        let payload = Payload {
            msg: &sealed[26..],
            aad: &associated,
        };
        Xaes256Gcm::new(key.into())
            .decrypt(&nonce.into(), payload)
            .unwrap()
    };
    let root: [u8; 32] = open(&kek, "root", b"root", epoch, 0, &root).try_into().unwrap();
    secrets.add("the root key", &root);
    let mut ring = HashMap::new();
    let mut keys = HashMap::new();
    for (table, name) in [("sealed_ring", "ring"), ("sealed_key", "key")] {
        let read = format!("SELECT id, row_version, term, sealed FROM {table}");
        for row in sqlx::query(sqlx::AssertSqlSafe(read))
            .fetch_all(&mut store)
            .await
            .unwrap()
        {
            let (id, version, term, sealed): (Vec<u8>, i64, i64, Vec<u8>) =
                (row.get(0), row.get(1), row.get(2), row.get(3));
            let text = String::from_utf8(id.clone()).unwrap();
            let key: [u8; 32] = if name == "ring" {
                let key = open(&root, table, &id, version, 0, &sealed).try_into().unwrap();
                ring.insert(text.clone(), key);
                key
            } else {
                let plain = open(
                    &ring[&format!("barrier/{term}")],
                    table,
                    &id,
                    version,
                    term,
                    &sealed,
                );
                // An array of three: suite, time, 32 bytes.
                let (head, key) = plain.split_last_chunk().unwrap();
                assert!(head.ends_with(&[0x58, 32]));
                let key = *key;
                keys.insert(text.clone(), key);
                key
            };
            secrets.add(format!("{name} {text}"), &key);
        }
    }
    Opened { secrets, keys }
}

/// A channel with a card, as the one who carries its commands saw it.
struct Met {
    serial: Serial,
    host: [u8; 8],
    card: [u8; 8],
}

/// Adds the keys of a card and of its channels, by either set of keys that it may have.
fn add_card(opened: &mut Opened, met: &Met) {
    let lot = Key32::new(opened.keys[&format!("lot/{}", hex::encode(&met.serial.0[..6]))]);
    let issuance = Key32::new(opened.keys["issuance"]);
    for (what, set) in [
        ("transport", kdf::transport_keys(&lot, &met.serial).unwrap()),
        ("issuance", kdf::issuance_keys(&issuance, &met.serial).unwrap()),
        ("update", kdf::update_keys(&issuance, &met.serial).unwrap()),
    ] {
        let name = format!("{what} keys of {}", met.serial);
        for (part, key) in [("ENC", &set.enc), ("MAC", &set.mac), ("DEK", &set.dek)] {
            opened.secrets.add(format!("{part} of {name}"), key.expose());
        }
        // SCP03, section 6.2.1: S-ENC, S-MAC, S-RMAC.
        let session = |key: &Key16, constant: u8| {
            let head = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, constant, 0, 0, 0x80, 1];
            key.cmac(&[&head, &met.host, &met.card])
        };
        for (part, key, constant) in [
            ("S-ENC", &set.enc, 4),
            ("S-MAC", &set.mac, 6),
            ("S-RMAC", &set.mac, 7),
        ] {
            opened
                .secrets
                .add(format!("{part} under {name}"), &session(key, constant));
        }
    }
}

/// Personalises a card, and remembers what goes by in clear when its channel is opened.
async fn personalise(
    client: &mut Client<UnixStream>,
    session: &OrderSession,
    index: u32,
    card: &mut TestCard,
    met: &mut Vec<Met>,
) {
    let task = for_card(card.serial, CardTask::Personalise(Box::new(content_of(1, DAY))));
    let mut script = client
        .start_card(session, index, card.serial, task)
        .await
        .unwrap();
    while let Script::Send { commands } = script {
        let mut answers = Vec::new();
        for command in &commands {
            let answer = card.chip.process(command).unwrap();
            let (body, status) = apdu::split_answer(&answer).unwrap();
            if command[1] == 0x50 {
                met.push(Met {
                    serial: card.serial,
                    host: command[5..13].try_into().unwrap(),
                    card: body[13..21].try_into().unwrap(),
                });
            }
            let go_on = status.is_ok();
            answers.push(answer);
            if !go_on {
                break;
            }
        }
        script = client.continue_card(session, index, answers).await.unwrap();
    }
}

/// A client that asks for photo keys until it is told to stop; gives the keys.
fn load(socket: &Path, identity: &Identity, number: u8, until: &AtomicBool) -> Vec<[u8; 32]> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut keys = Vec::new();
    runtime.block_on(async {
        let mut version = 0;
        while !until.load(Ordering::Relaxed) {
            // While it is sealed there is nothing to ask for.
            let Ok(mut client) = Client::connect_unix(socket, identity).await else {
                continue;
            };
            loop {
                version += 1;
                let context = PhotoKeyContext {
                    photo_id: [number; 16],
                    person: [2; 16],
                    profile: "print".into(),
                    version,
                };
                let Ok((key, wrapped)) = client.photo_key_new(&context).await else {
                    break;
                };
                // It may have been sealed between the two.
                if let Ok(again) = client.photo_key_open(&context, &wrapped).await {
                    assert_eq!(again, key);
                }
                keys.push(*key.expose());
                let wrong = PhotoKeyContext {
                    version: version + 1,
                    ..context
                };
                client.photo_key_open(&wrong, &wrapped).await.unwrap_err();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    keys
}

fn shares(site: &Site, envelopes: &[String]) -> Vec<keyvault_protocol::Share> {
    let names = ["li", "wang", "zhang"];
    let read = |path: &String| ShareEnvelope::parse(&std::fs::read(site.path(path)).unwrap()).unwrap();
    envelopes
        .iter()
        .zip(names)
        .map(|(path, name)| read(path).open(phrase(name).as_bytes()).unwrap())
        .collect()
}

/// One round of a vault's life, from sealed to sealed.
fn live(site: &Site, envelopes: &[String], round: u8, met: &mut Vec<Met>) {
    assert_eq!(site.unseal(&envelopes[0], "li").0, 0);
    assert_eq!(site.unseal(&envelopes[0], "wang").0, 1);
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut client = site.everybody().await;
        let issuer = scratch_vault::officer("shenzhen");
        let order = Order {
            order: [round; 16],
            issuer: "shenzhen".into(),
            profile: "resident-1".into(),
            cards: 1,
            tasks: vec![TaskKind::Personalise],
            station: "counter 1".into(),
            // The day begins at 16:00 UTC; the vault has the time of day of the machine.
            from: "2080-11-20T16:00:00Z".parse().unwrap(),
            until: "2080-11-30T00:00:00Z".parse().unwrap(),
        };
        let session = client.open_order(&order.sign(&issuer).unwrap()).await.unwrap();
        // Refused: issued too long ago.
        let old = content_of(1, DAY.saturating_sub(jiff::Span::new().days(500)));
        let serial = Serial([0x44, 3, 0, 0, 0, 1, 0, 0, 0, 9]);
        let task = for_card(serial, CardTask::Personalise(Box::new(old)));
        client.start_card(&session, 0, serial, task).await.unwrap_err();
        let count = u32::from(round) + 1;
        let mut card = blanks(&mut client, count).await.pop().unwrap();
        personalise(&mut client, &session, 0, &mut card, met).await;
        // Each round another one: a day gives a role and region two.
        let region = format!("4403{round:02}").parse().unwrap();
        for _ in 0..2 {
            client.rotate_role(Role::Transit, region, DAY).await.unwrap();
        }
        let anchors = client.anchors().await.unwrap();
        for (kind, name) in [(BundleKind::Bus, "bus 1"), (BundleKind::Counter, "counter 1")] {
            let (_, request) = Gate::request(&anchors, kind, name, DAY);
            client.outfit(&request).await.unwrap();
        }
        client
            .compromise_role(Role::Transit, "440300".parse().unwrap(), 200)
            .await
            .unwrap_err();
    });
    assert_eq!(site.seal(&envelopes[2], "zhang").0, 0);
}

#[test]
fn no_secret_is_in_the_vaults_memory_at_twenty_random_instants_of_its_life() {
    dump_a_life(&mut Command::new(PROGRAM));
}

/// There root reads the arena's kind of pages; what lies outside them is as before.
#[test]
fn no_secret_is_outside_the_locked_pages_where_the_kernel_has_no_memfd_secret() {
    let faults = Faults::new();
    dump_a_life(faults.program().env("NO_SECRET_MEMORY", "yes"));
}

fn dump_a_life(program: &mut Command) {
    let site = Site::new();
    let envelopes = site.rehearse();
    let seed: u64 = rand::random();
    println!("the instants are those of seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    // On the first stack and in the heap of every process lies something that must be found.
    let canary: [u8; 32] = rng.random();
    program
        .env("CANARY", hex::encode(canary))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let served = site.serve_by(program, &["--at", "2080-11-21"]);
    let (socket, identity) = (
        site.path("vault/keyvault.sock"),
        site.identity(scratch_vault::PHOTO_STORE),
    );
    let identity = &identity;
    let over = AtomicBool::new(false);
    let rounds = AtomicUsize::new(0);
    let mut dump = Dump::default();
    let (met, photo_keys) = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..2)
            .map(|number| {
                let (socket, over) = (&socket, &over);
                scope.spawn(move || load(socket, identity, number, over))
            })
            .collect();
        let life = scope.spawn(|| {
            let mut met = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let round = rounds.fetch_add(1, Ordering::Relaxed);
                live(&site, &envelopes, u8::try_from(round).unwrap(), &mut met);
            }
            met
        });
        let mut taken = 0;
        while taken < 20 || rounds.load(Ordering::Relaxed) < 2 {
            std::thread::sleep(Duration::from_micros(rng.random_range(1_000..250_000)));
            assert!(dump.take(&served.child), "the vault has ended");
            taken += 1;
            assert!(!life.is_finished() && taken < 1000);
        }
        over.store(true, Ordering::Relaxed);
        let met = life.join().unwrap();
        // And sealed, when all is over.
        assert!(dump.take(&served.child));
        let keys: Vec<_> = loads.into_iter().flat_map(|load| load.join().unwrap()).collect();
        (met, keys)
    });
    drop(served);
    let shares = shares(&site, &envelopes);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut opened = runtime.block_on(opened(&site.path("vault"), &shares));
    assert!(!met.is_empty() && photo_keys.len() > 10);
    for met in &met {
        add_card(&mut opened, met);
    }
    for key in &photo_keys {
        opened.secrets.add("a photo data key", key);
    }
    for custodian in ["li", "wang", "zhang"] {
        opened
            .secrets
            .add(format!("passphrase of {custodian}"), phrase(custodian).as_bytes());
    }
    // They are the true ones: the signers' public keys are those that the vault shows.
    let _served = site.serve(&["--at", "2080-11-21"]);
    site.unseal(&envelopes[0], "li");
    site.unseal(&envelopes[1], "wang");
    let anchors = site.run(&["anchors"]).1;
    let card_ca = PrivateKey::from_bytes(&opened.keys["signer/card-ca"]).unwrap();
    assert_eq!(
        anchors["card_ca"].as_str().unwrap(),
        hex::encode(card_ca.public().to_point65())
    );
    assert!(opened.keys.len() > 20, "{}", opened.keys.len());

    let mut planted = Secrets::default();
    planted.add("the canary", &canary);
    let vault = hex::decode(anchors["vault"].as_str().unwrap()).unwrap();
    planted.add("the vault's number", &vault);
    let found = dump.find(&planted);
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("the canary, in hex: [stack]")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("the vault's number, as it is")),
        "{found:?}"
    );
    assert_eq!(dump.find(&opened.secrets), Vec::<String>::new());
    // Keys, stack and heap, at each instant.
    assert!(dump.refused >= 3 * 21, "{}", dump.refused);
}

/// Memory in use of a process, KiB; none when it has ended.
fn resident(process: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn no_secret_is_in_the_memory_of_a_client_that_unseals() {
    let site = Site::new();
    let envelopes = site.rehearse();
    let shares = shares(&site, &envelopes);
    let mut secrets = Secrets::default();
    for share in &shares {
        secrets.add(format!("share {}", share.index), share.value());
    }
    secrets.add("the passphrase", phrase("li").as_bytes());
    // The same share in an envelope that takes no time, so that the instants fall on what the client does with it.
    let envelope = ShareEnvelope::parse(&std::fs::read(site.path(&envelopes[0])).unwrap()).unwrap();
    let mut rng = StdRng::seed_from_u64(3);
    let cheap = ShareEnvelope::make(
        &envelope.set().unwrap(),
        "li",
        1,
        shares[0].value(),
        phrase("li").as_bytes(),
        scratch_vault::COST,
        &mut rng,
    );
    let cheap = cheap.unwrap().to_text().unwrap();
    std::fs::write(site.path("cheap.json"), &cheap).unwrap();
    let clear: serde_json::Value = serde_json::from_slice(&cheap).unwrap();
    let salt = hex::decode(clear["salt"].as_str().unwrap()).unwrap();
    let cost = scratch_vault::COST;
    let params = argon2::Params::new(cost.memory_kib, cost.passes, 1, Some(32)).unwrap();
    let mut key = [0u8; 32];
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into(phrase("li").as_bytes(), &salt, &mut key)
        .unwrap();
    secrets.add("the key of the envelope", &key);

    let served = site.serve(&[]);
    let canary: [u8; 32] = rand::random();
    let client = |share: &str| {
        Command::new(PROGRAM)
            .current_dir(site.path("."))
            .args([
                "--dir",
                "vault",
                "unseal",
                "--share",
                share,
                "--passphrase-file",
                "li.pass",
            ])
            .env("CANARY", hex::encode(canary))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    // The first gives the share; all that follow give it once more and are refused at the very end.
    let begun = Instant::now();
    assert!(client("cheap.json").wait().unwrap().success());
    let lasts = begun.elapsed();
    let mut dump = Dump::default();
    let mut taken = 0;
    while taken < 20 {
        let mut process = client("cheap.json");
        std::thread::sleep(lasts.mul_f64(rng.random_range(0.0..1.0)));
        taken += usize::from(dump.take(&process));
        process.wait().unwrap();
    }
    // And for certain while it holds the share: it was greeted, it opens the envelope, and the vault answers no more.
    let mut process = client(&envelopes[0]);
    let wait = |until: &dyn Fn(u64) -> bool| {
        let end = Instant::now() + Duration::from_secs(30);
        while !until(resident(&process).expect("the client has ended")) {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let pid = Pid::from_child(&served.child);
    wait(&|resident| resident > 48 * 1024);
    kill_process(pid, Signal::STOP).unwrap();
    wait(&|resident| resident < 48 * 1024);
    std::thread::sleep(Duration::from_millis(100));
    let before = dump.refused;
    assert!(dump.take(&process));
    // Stack and heap, both in use.
    assert_eq!(dump.refused, before + 2);
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(1));

    let mut planted = Secrets::default();
    planted.add("the canary", &canary);
    let found = dump.find(&planted);
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("the canary, in hex: [stack]")),
        "{found:?}"
    );
    assert_eq!(dump.find(&secrets), Vec::<String>::new());
}

#[test]
fn a_dump_of_a_process_that_holds_a_secret_shows_it_in_every_form() {
    let mut rng = StdRng::seed_from_u64(5);
    let mut secrets = Secrets::default();
    let mut absent = Secrets::default();
    for length in [16, 32, 40] {
        let mut value = vec![0u8; length];
        value.fill_with(|| rng.random());
        secrets.add(format!("{length} bytes"), &value);
        value.fill_with(|| rng.random());
        absent.add("one that nobody holds", &value);
    }
    for (name, part) in secrets.needles() {
        // A program that keeps what it read in its buffer, at any place of a page.
        let mut holder = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut text = vec![b'.'; PAGE - PART + rng.random_range(0..PART)];
        text.extend_from_slice(&part);
        holder.stdin.as_mut().unwrap().write_all(&text).unwrap();
        holder.stdout.as_mut().unwrap().read_exact(&mut text).unwrap();
        let mut dump = Dump::default();
        assert!(dump.take(&holder));
        let found = dump.find(&secrets);
        assert!(
            found.iter().any(|line| line.starts_with(&name)),
            "{name}: {found:?}"
        );
        assert_eq!(dump.find(&absent), Vec::<String>::new());
        holder.kill().unwrap();
        holder.wait().unwrap();
    }
}

/// A needle in the forms in which texts carry bytes.
fn in_texts(needle: &[u8]) -> Vec<Vec<u8>> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let base64 = |skipped: usize| {
        let bits: Vec<u8> = needle[skipped..]
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
            .collect();
        bits.chunks_exact(6)
            .map(|six| DIGITS[usize::from(six.iter().fold(0, |value, bit| value << 1 | bit))])
            .collect::<Vec<u8>>()
    };
    let url = |text: Vec<u8>| {
        text.iter()
            .map(|digit| match digit {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            })
            .collect()
    };
    let list: Vec<String> = needle.iter().take(6).map(u8::to_string).collect();
    let mut forms = vec![
        needle.to_vec(),
        hex::encode(needle).into_bytes(),
        hex::encode_upper(needle).into_bytes(),
        list.join(", ").into_bytes(),
        list.join(",").into_bytes(),
    ];
    // Wherever it stands in what was encoded.
    for skipped in 0..3 {
        forms.extend([base64(skipped), url(base64(skipped))]);
    }
    forms
}

/// The needles that a text holds, in any form.
fn told(text: &[u8], needles: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut wanted: HashMap<[u8; 8], Vec<(&str, Vec<u8>)>> = HashMap::new();
    for (name, needle) in needles {
        for form in in_texts(needle) {
            wanted
                .entry(form[..8].try_into().unwrap())
                .or_default()
                .push((name, form));
        }
    }
    let mut found = Vec::new();
    for (at, head) in text.windows(8).enumerate() {
        for (name, form) in wanted.get(head).into_iter().flatten() {
            if text[at..].starts_with(form) {
                found.push((*name).to_owned());
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

#[test]
fn what_the_programs_write_holds_no_secret_and_nothing_of_the_applicant() {
    let site = Site::new();
    let envelopes = site.rehearse();
    let log = site.path("log");
    let mut program = Command::new(PROGRAM);
    program
        .env("KEYVAULT_LOG", "trace")
        .arg("--json")
        .stdout(File::create(site.path("stdout")).unwrap())
        .stderr(File::create(&log).unwrap());
    let served = site.serve_by(&mut program, &["--at", "2080-11-21"]);
    let identity = site.identity(scratch_vault::PHOTO_STORE);
    let (over, mut met) = (AtomicBool::new(false), Vec::new());
    let photo_keys = std::thread::scope(|scope| {
        let loading = scope.spawn(|| load(&site.path("vault/keyvault.sock"), &identity, 0, &over));
        live(&site, &envelopes, 0, &mut met);
        live(&site, &envelopes, 1, &mut met);
        over.store(true, Ordering::Relaxed);
        loading.join().unwrap()
    });
    // Somebody who speaks another protocol; a passphrase that is another's; what the journal tells.
    let mut stranger = std::os::unix::net::UnixStream::connect(site.path("vault/keyvault.sock")).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(site.unseal(&envelopes[0], "zhang").0, 1);
    site.unseal(&envelopes[1], "wang");
    site.unseal(&envelopes[0], "li");
    let (code, journal) = site.run(&["journal"]);
    assert_eq!(code, 0);
    assert_eq!(site.seal(&envelopes[2], "zhang").0, 0);
    drop(served);

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Of a copy: looking folds the log in.
    let copy = tempfile::tempdir().unwrap();
    copy_files(&site.path("vault"), copy.path());
    let mut opened = runtime.block_on(opened(copy.path(), &shares(&site, &envelopes)));
    for met in &met {
        add_card(&mut opened, met);
    }
    for key in &photo_keys {
        opened.secrets.add("a photo data key", key);
    }
    let mut needles: Vec<(String, Vec<u8>)> = opened.secrets.0;
    for (_, value) in &mut needles {
        value.truncate(PART);
    }
    for custodian in ["li", "wang", "zhang"] {
        needles.push((
            format!("passphrase of {custodian}"),
            phrase(custodian).into_bytes(),
        ));
    }
    for (what, text) in [
        ("name", "王小明"),
        ("citizen number", "11010519491231002X"),
        ("address", "湖南省长沙市岳麓区一号"),
        ("residence", "广东省深圳市南山区二号"),
    ] {
        needles.push((what.to_owned(), text.as_bytes().to_vec()));
    }

    let mut written = vec![
        ("what the commands said".to_owned(), site.said()),
        ("the journal".to_owned(), journal.to_string().into_bytes()),
    ];
    let mut folders = vec![site.path(".")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|kind| kind != "pass") && path.is_file() {
                written.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    for (name, text) in &written {
        assert_eq!(told(text, &needles), Vec::<String>::new(), "{name}");
    }
    // It was looked where much is written, and what is there is found: the most talkative level, the vault's number in each form.
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("TRACE") && log.contains("refused"), "{}", log.len());
    assert!(String::from_utf8(site.said()).unwrap().contains("TRACE"));
    assert!(written.len() > 8, "{}", written.len());
    let name = ("a name".to_owned(), "王小明".as_bytes().to_vec());
    for form in in_texts(&name.1) {
        let text = [&b"......."[..], &form, b"..."].concat();
        assert_eq!(told(&text, std::slice::from_ref(&name)), ["a name"]);
    }
}
