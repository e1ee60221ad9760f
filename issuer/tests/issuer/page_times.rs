//! What the counter's pages cost, for `docs/performance.md`: each page to its last byte while 200 people ask once in five seconds over
//! loopback connections, and the machine time of a complete issue. Real office, vault, photo store, card; the ledger is SQLite in a
//! temporary folder. Left out: the browser's own time.
//!
//! On a quiet machine: `cargo test --release -p issuer --test issuer -- --ignored --nocapture page_times`.
#![allow(clippy::print_stdout, reason = "a measurement says what it found")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use permit_domain::IntakeClerk;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{APPLICANT, applicant, person};
use crate::pages::Town;

/// People who look at pages at once.
const SESSIONS: u32 = 200;
/// Between two pages of one person.
const EVERY: Duration = Duration::from_secs(5);
/// Pages that each of them asks for.
const PAGES: u32 = 6;
/// Cases that wait: a long list.
const WAITING: u32 = 50;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, of `make bench`"]
async fn what_a_page_costs_while_two_hundred_people_ask() {
    let town = Town::new().await;
    let began = Instant::now();
    let (permit, _card) = town.fixture.in_use(APPLICANT).await;
    println!(
        "a complete issue, machine time: {} ms",
        began.elapsed().as_millis()
    );

    let office = town.fixture.office();
    let mut case = None;
    for number in 1..=WAITING {
        let id = office.new_application_id();
        let clerk = IntakeClerk::new("liu".parse().unwrap());
        office.apply(id, clerk, applicant(&person(number))).await.unwrap();
        case = Some(id);
    }
    let order = office.order_of(permit).await.unwrap().unwrap().id();
    let pages = [
        ("start", "liu", "/counter".to_owned()),
        ("intake", "liu", "/counter/intake".to_owned()),
        ("list of 50", "liu", "/counter/lists/complete".to_owned()),
        ("case", "wang", format!("/counter/cases/{}", case.unwrap())),
        ("order", "sun", format!("/counter/orders/{order}")),
        ("dashboard", "qin", "/counter/dashboard".to_owned()),
    ];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(axum::serve(listener, town.router.clone()).into_future());

    let times: Arc<Mutex<BTreeMap<&str, Vec<Duration>>>> = Arc::default();
    let mut people = Vec::new();
    for number in 0..SESSIONS {
        let (name, account, page) = pages[number as usize % pages.len()].clone();
        let cookie = town.browser(account).await.cookie();
        let times = Arc::clone(&times);
        people.push(async move {
            // Nobody begins with anybody else.
            tokio::time::sleep(EVERY * number / SESSIONS).await;
            for _ in 0..PAGES {
                let asked = Instant::now();
                let answer = get(address, &page, &cookie).await;
                let took = asked.elapsed();
                assert!(
                    answer.starts_with(b"HTTP/1.1 200"),
                    "{page}: {}",
                    String::from_utf8_lossy(&answer)
                );
                times.lock().unwrap().entry(name).or_default().push(took);
                tokio::time::sleep(EVERY.saturating_sub(took)).await;
            }
        });
    }
    let people: Vec<_> = people.into_iter().map(tokio::spawn).collect();
    for person in people {
        person.await.unwrap();
    }
    served.abort();
    told(&mut times.lock().unwrap());
}

fn told(times: &mut BTreeMap<&str, Vec<Duration>>) {
    println!(
        "{SESSIONS} sessions, a page each {} s: page, answers, p50 ms, p95 ms, longest ms",
        EVERY.as_secs()
    );
    for (name, times) in times {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
        println!(
            "  {name:<12} {:>5} {:>8.1} {:>8.1} {:>8.1}",
            times.len(),
            at(50),
            at(95),
            at(100)
        );
    }
}

/// A page to its last byte.
async fn get(address: SocketAddr, page: &str, cookie: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET {page} HTTP/1.1\r\nHost: localhost:8440\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}
