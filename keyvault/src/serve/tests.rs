//! What a whole request takes, through the channel, when many ask at once: measurements that are run by hand (`make bench`).
//!
//! `cargo test --release -p keyvault --lib durable_requests -- --ignored --nocapture`

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use card_applet_spec::codes::{CardState, Region, Serial};
use jiff::civil::{Date, date};
use keyvault_protocol::{Client, PhotoKeyContext};
use program_contract::Clock;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::DuplexStream;

use crate::card::number;
use crate::card::record::Card;
use crate::custody::unsealing::Vault;
use crate::open::transaction::{Random, Transaction};
use crate::scratch_vault;

/// As many as a day's ceiling of denials.
const CARDS: u32 = 20_000;
/// How long each measurement runs.
const SPAN: Duration = Duration::from_secs(3);
const TODAY: Date = date(2026, 11, 21);

/// What the clients ask for.
#[derive(Clone, Copy, Debug)]
enum Ask {
    DenyCard,
    SignCardBack,
    PhotoKeyNew,
}

fn serial(n: u32) -> Serial {
    let mut serial = Serial([4, 4, 0, 3, 0, 0, 0, 0, 0, 0]);
    serial.0[6..].copy_from_slice(&n.to_be_bytes());
    serial
}

/// An open vault with so many cards.
async fn vault_of(folder: &Path, cards: u32) -> Arc<Vault> {
    let clock = Clock::fixed("2026-11-21T04:00:00Z".parse().unwrap());
    let mut seed = 0;
    let sources = || -> Random {
        seed += 1;
        Box::new(StdRng::seed_from_u64(seed))
    };
    let vault = scratch_vault::open(folder, clock, sources).await.unwrap();
    let mut inner = vault.lock().await;
    let (core, open, _) = inner.open().unwrap();
    let now = core.header.high_water;
    for first in (0..cards).step_by(1000) {
        let mut transaction = Transaction::default();
        for n in first..(first + 1000).min(cards) {
            let mut card = Card::begun([1; 16], n);
            card.state = CardState::Active;
            let index = open.keys.number_index(&n.to_string()).unwrap();
            card.number = Some(index);
            number::keep(&mut transaction, &index, &serial(n)).unwrap();
            open.put_card(core, &mut transaction, &serial(n), None, &card)
                .await
                .unwrap();
        }
        open.apply(core, now, transaction).await.unwrap();
        open.commit(core).await.unwrap();
    }
    drop(inner);
    vault
}

/// Asks until the time is over; gives how long each answer took.
async fn asking(mut client: Client<DuplexStream>, ask: Ask, number: u32, step: u32) -> Vec<Duration> {
    let region: Region = "440300".parse().unwrap();
    let start = Instant::now();
    let mut taken = Vec::new();
    let mut n = number;
    while start.elapsed() < SPAN && n < CARDS {
        let begun = Instant::now();
        match ask {
            Ask::DenyCard => client.deny_card(serial(n)).await.unwrap(),
            Ask::SignCardBack => client
                .sign_card_back(&n.to_string(), region, TODAY)
                .await
                .map(drop)
                .unwrap(),
            Ask::PhotoKeyNew => {
                let context = PhotoKeyContext {
                    photo_id: [1; 16],
                    person: [2; 16],
                    profile: "chip".into(),
                    version: n,
                };
                client.photo_key_new(&context).await.map(drop).unwrap();
            }
        }
        taken.push(begun.elapsed());
        n += step;
    }
    taken
}

#[test]
#[ignore = "a measurement"]
fn durable_requests_of_one_sixteen_and_sixty_four_clients() {
    println!(
        "{:<14} {:>8} {:>10} {:>10} {:>10} {:>10}",
        "request", "clients", "a second", "mean ms", "p50 ms", "p99 ms"
    );
    for ask in [Ask::DenyCard, Ask::SignCardBack, Ask::PhotoKeyNew] {
        for clients in [1u32, 16, 64] {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .unwrap();
            let mut taken = runtime.block_on(async {
                // On the disk: a file system in memory makes everything durable at once.
                let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
                let vault = vault_of(folder.path(), CARDS).await;
                drop(scratch_vault::everybody(&vault, "shenzhen").await.unwrap());
                let mut running = tokio::task::JoinSet::new();
                for number in 0..clients {
                    let key = scratch_vault::key(match ask {
                        Ask::PhotoKeyNew => scratch_vault::PHOTO_STORE,
                        Ask::DenyCard | Ask::SignCardBack => "shenzhen",
                    });
                    let client = scratch_vault::connect(&vault, key).await.unwrap();
                    running.spawn(asking(client, ask, number, clients));
                }
                running.join_all().await.concat()
            });
            taken.sort_unstable();
            let ms = |time: Duration| time.as_secs_f64() * 1000.0;
            let total: Duration = taken.iter().sum();
            let count = u32::try_from(taken.len()).unwrap();
            let mean = total / count;
            println!(
                "{:<14} {clients:>8} {:>10.0} {:>10.2} {:>10.2} {:>10.2}",
                format!("{ask:?}"),
                f64::from(clients) / mean.as_secs_f64(),
                ms(mean),
                ms(taken[taken.len() / 2]),
                ms(taken[taken.len() * 99 / 100]),
            );
        }
    }
}
