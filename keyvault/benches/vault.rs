//! Derivations and signatures per second on one thread, beside `openssl speed` in the same run.
//!
//! Computations are counted per second of processor time, as `openssl speed` counts, durable changes per second of the
//! clock on the wall. Prints a table and one JSON line; `make bench` keeps them. Durable changes are measured through a client, because the
//! commit is what an issuer waits for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench may fail and prints its result"
)]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use card_applet_spec::codes::Serial;
use card_applet_spec::crypto::{Key16, Key32, PrivateKey};
use card_applet_spec::kdf;
use keyvault::custody::share_envelope::{Cost, SetId, ShareEnvelope};
use keyvault::{Random, serve};
use keyvault_protocol::{Client, PhotoKeyContext};
use program_contract::Clock;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Time that the processor spent on this thread: what `openssl speed` divides by as well, and what another program's
/// load does not change much.
fn processor_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(spent).unwrap()
}

/// Operations per second of processor time, over at least `span`.
fn per_second(span: Duration, mut operation: impl FnMut(u32)) -> f64 {
    operation(0);
    let start = processor_time();
    let mut count = 0u32;
    loop {
        for _ in 0..16 {
            count += 1;
            operation(count);
        }
        let spent = processor_time().saturating_sub(start);
        if spent >= span {
            return f64::from(count) / spent.as_secs_f64();
        }
    }
}

fn main() {
    // `cargo test --benches` only wants to see that it runs.
    let span = if std::env::args().any(|argument| argument == "--test") {
        Duration::from_millis(20)
    } else {
        Duration::from_secs(1)
    };
    let mut rng = StdRng::seed_from_u64(1);
    let master = Key32::new([7; 32]);
    let key = Key16::new([9; 16]);
    let message = [5u8; 48];
    let cmac = per_second(span, |_| {
        std::hint::black_box(key.cmac(&[&message]));
    });
    let derive = per_second(span, |n| {
        let mut pid = [0u8; 16];
        pid[..4].copy_from_slice(&n.to_be_bytes());
        let role = card_applet_spec::codes::Role::Transit;
        let region = "440300".parse().unwrap();
        std::hint::black_box(kdf::tap_key(&master, role, region, 1, &pid).unwrap());
    });
    let card_keys = per_second(span, |n| {
        let mut serial = [0u8; 10];
        serial[6..].copy_from_slice(&n.to_be_bytes());
        std::hint::black_box(kdf::issuance_keys(&master, &Serial(serial)).unwrap());
    });
    let signer = PrivateKey::generate(&mut rng);
    let sign = per_second(span, |n| {
        std::hint::black_box(signer.sign(&[&n.to_be_bytes()], &mut rng).unwrap());
    });
    let scalar = signer.expose();
    let take = per_second(span, |_| {
        std::hint::black_box(PrivateKey::from_bytes(&scalar).unwrap());
    });
    let one_client = durable(span, 1);
    let eight_clients = durable(span, 8);
    let guess = guess();

    let cmac_openssl = openssl(&["-cmac", "aes-128-cbc", "-bytes", "48"], "cmac");
    let sign_openssl = openssl(&["ecdsap256"], "ecdsa");
    println!(
        "{:<52} {:>12} {:>12}",
        "one thread, operations per CPU second", "ours", "openssl"
    );
    row(
        "AES-128-CMAC of 48 bytes (ours sets its key up)",
        cmac,
        cmac_openssl,
    );
    row("derive a tap key (KDF108, AES-256-CMAC)", derive, None);
    row("derive a card's three issuance keys", card_keys, None);
    row(
        "P-256 sign, hedged, and verified before it leaves",
        sign,
        sign_openssl,
    );
    row("take a signer's key, before each of the vault's own", take, None);
    row("guess at an envelope's passphrase (Argon2id 64 MiB)", guess, None);
    println!("and per second of the clock on the wall:");
    row("durable photo key through one client", one_client, None);
    row("the same through eight clients at once", eight_clients, None);
    println!(
        "{{\"schema\":\"yzt.bench_vault/1\",\"ok\":true,\"cmac48\":{cmac:.0},\"cmac48_openssl\":{},\"derive_tap\":{derive:.0},\"derive_issuance\":{card_keys:.0},\"sign\":{sign:.0},\"sign_openssl\":{},\"durable\":{one_client:.0},\"durable8\":{eight_clients:.0},\"take_signer\":{take:.0},\"guess\":{guess:.2}}}",
        number(cmac_openssl),
        number(sign_openssl)
    );
}

fn row(what: &str, ours: f64, openssl: Option<f64>) {
    let openssl = openssl.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
    let decimals = if ours < 100.0 { 2 } else { 0 };
    println!("{what:<52} {ours:>12.decimals$} {openssl:>12}");
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| format!("{value:.0}"))
}

/// `openssl speed -seconds 1`: its operations per second for 48-byte CMAC or P-256 signatures.
fn openssl(arguments: &[&str], what: &str) -> Option<f64> {
    let output = Command::new("openssl")
        .args(["speed", "-seconds", "1"])
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().rev().find(|line| line.contains(what))?;
    if what == "ecdsa" {
        // "... 256 bits ecdsa (nistp256)  0.0000s  0.0001s  39011.0  12999.0"
        let mut numbers = line
            .split_whitespace()
            .rev()
            .filter_map(|word| word.parse::<f64>().ok());
        let (_verify, sign) = (numbers.next()?, numbers.next()?);
        return Some(sign);
    }
    // "cmac(aes-128-cbc)  208123.45k": thousands of bytes per second.
    let thousands: f64 = line.split_whitespace().last()?.strip_suffix('k')?.parse().ok()?;
    Some(thousands * 1000.0 / 48.0)
}

/// Wrong passphrases tried per second on one thread, at the cost that `keyvault init` gives its envelopes.
fn guess() -> f64 {
    let set = SetId {
        transport_key: None,
        vault: [1; 16],
        epoch: 1,
        threshold: 2,
        shares: 3,
    };
    let mut rng = StdRng::seed_from_u64(2);
    let envelope = ShareEnvelope::make(
        &set,
        "li",
        1,
        &[7; 32],
        b"the right passphrase of 2026",
        Cost::STANDARD,
        &mut rng,
    )
    .unwrap();
    let start = processor_time();
    for n in 0..5u8 {
        envelope.open(&[b'a' + n; 12]).unwrap_err();
    }
    5.0 / processor_time().saturating_sub(start).as_secs_f64()
}

/// Requests per second of the clock on the wall that end in a durable commit, each client one after the other.
fn durable(span: Duration, clients: u8) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed("2026-11-21T04:00:00Z".parse().unwrap());
        let mut seed = 0;
        let sources = || -> Random {
            seed += 1;
            Box::new(StdRng::seed_from_u64(seed))
        };
        let vault = scratch_vault::open(folder.path(), clock, sources).await.unwrap();
        let start = Instant::now();
        let mut running = tokio::task::JoinSet::new();
        for number in 0..clients {
            let mut client = scratch_vault::connect(&vault, ChannelKey::fresh()).await.unwrap();
            running.spawn(async move {
                let mut count = 0u32;
                while start.elapsed() < span {
                    count += 1;
                    let context = PhotoKeyContext {
                        photo_id: [number; 16],
                        person: [2; 16],
                        profile: "chip".into(),
                        version: count,
                    };
                    client.photo_key_new(&context).await.unwrap();
                }
                count
            });
        }
        let count: u32 = running.join_all().await.iter().sum();
        f64::from(count) / start.elapsed().as_secs_f64()
    })
}
