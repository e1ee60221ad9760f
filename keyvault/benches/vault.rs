//! Derivations and signatures per second on one thread, beside OpenSSL, `SoftHSM2` through PKCS#11 (`peers.c`) and aws-lc-rs in the same run.
//!
//! Computations are counted per second of processor time, as `openssl speed` counts, durable changes per second of the
//! clock on the wall. Prints a table and one JSON line; `make bench` keeps them. Durable changes are measured through a client, because the
//! commit is what an issuer waits for. Left out: many clients, and the unseal of a million cards, which `make bench` runs as tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench may fail and prints its result"
)]

use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use card_applet_spec::codes::Serial;
use card_applet_spec::crypto::{Key16, Key32, PrivateKey};
use card_applet_spec::kdf;
use keyvault::Random;
use keyvault::custody::protection::Cost;
use keyvault::custody::share_envelope::{SetId, ShareEnvelope};
use keyvault::keys::check;
use keyvault_protocol::PhotoKeyContext;
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
    let vaults = PrivateKey::checked(&signer.expose(), signer.public(), check::holds).unwrap();
    let sign = per_second(span, |n| {
        std::hint::black_box(vaults.sign(&[&n.to_be_bytes()], &mut rng).unwrap());
    });
    let one = per_second(span, |n| {
        std::hint::black_box(signer.sign(&[&n.to_be_bytes()], &mut rng).unwrap());
    });
    let aws = aws_sign_verify(span);
    let (scalar, public) = (signer.expose(), signer.public());
    let take = per_second(span, |_| {
        std::hint::black_box(PrivateKey::checked(&scalar, public, check::holds).unwrap());
    });
    let one_client = durable(span, 1);
    let eight_clients = durable(span, 8);
    let guess = guess();

    let peers = peers(span);
    let peer = |name: &str| peers.iter().find(|(peer, _)| peer == name).map(|(_, rate)| *rate);
    let (evp_mac, openssl, softhsm) = (peer("evp_mac"), peer("openssl"), peer("softhsm"));
    println!(
        "{:<52} {:>12} {:>12} {:>12} {:>12}",
        "one thread, operations per CPU second", "ours", "OpenSSL", "SoftHSM2", "aws-lc-rs"
    );
    println!(
        "{:<52} {cmac:>12.0} {:>12}",
        "AES-128-CMAC of 48 bytes, a fresh key each time",
        shown(evp_mac)
    );
    row("derive a tap key (KDF108, AES-256-CMAC, twice)", derive);
    row("derive a card's three issuance keys (four times)", card_keys);
    println!(
        "{:<52} {sign:>12.0} {:>12} {:>12} {aws:>12.0}",
        "P-256 sign and verify (ours: two implementations)",
        shown(openssl),
        shown(softhsm)
    );
    row("the same with one implementation, as on a card", one);
    row("take a signer's key with its public half", take);
    row("guess at an envelope's passphrase (Argon2id 64 MiB)", guess);
    println!("and per second of the clock on the wall:");
    row("durable photo key through one client", one_client);
    row("the same through eight clients at once", eight_clients);
    println!(
        "{{\"schema\":\"yzt.bench_vault/1\",\"ok\":true,\"cmac48\":{cmac:.0},\"cmac48_openssl\":{},\"derive_tap\":{derive:.0},\"derive_issuance\":{card_keys:.0},\"sign\":{sign:.0},\"sign_openssl\":{},\"sign_softhsm\":{},\"sign_aws\":{aws:.0},\"durable\":{one_client:.0},\"durable8\":{eight_clients:.0},\"take_signer\":{take:.0},\"guess\":{guess:.2}}}",
        number(evp_mac),
        number(openssl),
        number(softhsm)
    );
}

fn row(what: &str, ours: f64) {
    let decimals = if ours < 100.0 { 2 } else { 0 };
    println!("{what:<52} {ours:>12.decimals$}");
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| format!("{value:.0}"))
}

/// What aws-lc-rs signs and verifies by itself.
fn aws_sign_verify(span: Duration) -> f64 {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let random = SystemRandom::new();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref().to_vec());
    per_second(span, |n| {
        let signature = pair.sign(&random, &n.to_be_bytes()).unwrap();
        public.verify(&n.to_be_bytes(), signature.as_ref()).unwrap();
    })
}

/// Rates of others by their names in `peers.c`, which is compiled here; none of them where there is no compiler or no library.
fn peers(span: Duration) -> Vec<(String, f64)> {
    const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("peers");
    let compiled = Command::new("cc")
        .args(["-O2", "-I/usr/include/p11-kit-1", "-o"])
        .arg(&program)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers.c"))
        .args(["-lcrypto", "-ldl"])
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        return Vec::new();
    }
    let output = Command::new(program)
        .arg(span.as_secs_f64().to_string())
        .arg(folder.path())
        .arg(SOFTHSM)
        .output()
        .unwrap();
    let rate = |line: &str| {
        let (name, rate) = line.split_once(' ')?;
        Some((name.to_owned(), rate.parse().ok()?))
    };
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(rate)
        .collect()
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
        drop(scratch_vault::everybody(&vault, "shenzhen").await.unwrap());
        let start = Instant::now();
        let mut running = tokio::task::JoinSet::new();
        for number in 0..clients {
            let key = scratch_vault::key(scratch_vault::PHOTO_STORE);
            let mut client = scratch_vault::connect(&vault, key).await.unwrap();
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
