//! Time: what a wrong clock does to a vault that was founded for people's cards, at a start and while it is open (claim K13).

use scratch_vault::{Approved as _, OFFICERS};
use std::sync::{Arc, Mutex};

use card_applet_spec::crypto::PublicKey;
use card_applet_spec::deny_list::{self, DenyList};
use jiff::civil::date;
use jiff::{SignedDuration, Span, Timestamp};
use keyvault::custody::ceremony::{self, Custodian, Plan};
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault::{Error, Vault};
use keyvault_protocol::{
    BundleKind, CardTask, OfficerAct, OfficersRequest, RefusalCode, RequestOutcome, RewriteContent, Role,
    SignedRequest, UpdateTask, VaultState,
};
use program_contract::{Clock, Exit, Failing as _, Founded};
use zeroize::Zeroizing;

use super::gate::Gate;
use super::support::*;

/// A machine: its clock, which anybody may set, and how long it has run.
#[derive(Clone)]
struct Machine(Arc<Mutex<(Timestamp, SignedDuration)>>);

impl Machine {
    fn at(text: &str) -> Self {
        let since = SignedDuration::from_hours(5);
        Self(Arc::new(Mutex::new((text.parse().unwrap(), since))))
    }

    fn clock(&self) -> Clock {
        let (wall, boot) = (self.clone(), self.clone());
        Clock::new(move || wall.now()).on_machine(move || boot.0.lock().unwrap().1)
    }

    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    /// The clock alone.
    fn set(&self, text: &str) {
        self.0.lock().unwrap().0 = text.parse().unwrap();
    }

    fn pass(&self, hours: i64) {
        let mut shown = self.0.lock().unwrap();
        let time = SignedDuration::from_hours(hours);
        shown.0 = shown.0.checked_add(time).unwrap();
        shown.1 += time;
    }
}

/// What a custodian was told of a share.
type Told = Result<VaultState, RefusalCode>;
const GIVEN: Told = Ok(VaultState::Unsealing);
const OPEN: Told = Ok(VaultState::Open);

/// A vault for people's cards, its custodians and the machine on which it runs.
struct Site {
    folder: tempfile::TempDir,
    machine: Machine,
    envelopes: Vec<ShareEnvelope>,
    vault: Arc<Vault>,
}

fn passphrase(custodian: &str) -> Vec<u8> {
    format!("{custodian}: tide lantern orchard gravel nineteen").into_bytes()
}

impl Site {
    async fn founded(founded: Founded) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::at(NOON);
        let custodian = |name: &&str| Custodian {
            name: (*name).to_owned(),
            passphrase: Zeroizing::new(passphrase(name)),
        };
        let plan = Plan {
            folder: folder.path().join("vault"),
            out: folder.path().join("envelopes"),
            threshold: 2,
            custodians: scratch_vault::CUSTODIANS.iter().map(custodian).collect(),
            officers: scratch_vault::officers(),
            cost: scratch_vault::COST,
            founded,
        };
        let mut sources = random(90);
        let made = ceremony::create(&plan, machine.now(), sources()).await.unwrap();
        let read = |path| ShareEnvelope::parse(&std::fs::read(path).unwrap()).unwrap();
        let vault = Vault::load(&plan.folder, machine.clock(), sources())
            .await
            .unwrap();
        Self {
            folder,
            machine,
            envelopes: made.envelopes.iter().map(read).collect(),
            vault,
        }
    }

    /// Two custodians give their shares.
    async fn unseal(&self) -> Result<(), Error> {
        let mut rng = random(91)();
        for envelope in &self.envelopes[..2] {
            let share = envelope.open(&passphrase(&envelope.custodian)).unwrap();
            scratch_vault::give(&self.vault, &share, &mut rng).await?;
        }
        assert_eq!(self.vault.status().await.state, VaultState::Open);
        Ok(())
    }

    /// Two custodians give their shares, and each says what day it is; the first of them gives a request too. What each was told.
    async fn unseal_on(&self, days: [Option<&str>; 2], request: Option<&SignedRequest>) -> [Told; 2] {
        let mut told = Vec::new();
        let requests = [request, None];
        for ((envelope, day), request) in self.envelopes.iter().zip(days).zip(requests) {
            let share = envelope.open(&passphrase(&envelope.custodian)).unwrap();
            let share = share.on_day(day.map(|day| day.parse().unwrap()));
            let share = share.with_request(request.cloned());
            let mut client = scratch_vault::connect_custodian(&self.vault, &share)
                .await
                .unwrap();
            let progress = client.submit_share(&share).await;
            told.push(
                progress
                    .map(|progress| progress.state)
                    .map_err(|error| error.refusal().unwrap().code),
            );
        }
        told.try_into().unwrap()
    }

    /// What these officers sign for a day, on machines of their own whose clocks are right.
    async fn request(&self, day: &str, officers: &[&str]) -> SignedRequest {
        let act = OfficerAct::SetTime {
            day: day.parse().unwrap(),
            generation: self.vault.status().await.generation,
        };
        let now = self.machine.now();
        let mut request = scratch_vault::request(self.vault.id(), act, "operator", now).unwrap();
        scratch_vault::sign(&mut request, officers);
        request
    }

    /// Two officers ask for the time of this day, and the custodians open the vault with it.
    async fn set_time(&self, day: &str) {
        let request = self.request(day, &OFFICERS[..2]).await;
        let told = self.unseal_on([Some(day); 2], Some(&request)).await;
        assert_eq!(told, [GIVEN, OPEN]);
    }

    /// An attempt that nobody went on with is over.
    fn attempt_ends(&self) {
        self.machine.0.lock().unwrap().1 += SignedDuration::from_mins(16);
    }

    /// It is sealed, and off for so long.
    async fn off(&self, hours: i64) {
        self.vault.seal("li").await.unwrap();
        self.machine.pass(hours);
    }

    /// What lies on the disk.
    fn store(&self) -> Vec<u8> {
        let folder = self.folder.path().join("vault");
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_default();
        [read("vault.sqlite"), read("vault.sqlite-wal")].concat()
    }

    /// Whether an order of `from` until an hour later is one of now.
    async fn takes_order(&self, number: u8, from: Timestamp) -> bool {
        let mut client = connect(&self.vault).await;
        let order = keyvault_protocol::Order {
            order: [number; 16],
            issuer: "shenzhen".into(),
            profile: "resident-1".into(),
            cards: 1,
            tasks: vec![keyvault_protocol::TaskKind::Block],
            station: "counter 1".into(),
            from,
            until: from.checked_add(SignedDuration::from_hours(1)).unwrap(),
        };
        match client
            .open_order(&order.sign(&scratch_vault::officer("shenzhen")).unwrap())
            .await
        {
            Ok(_) => true,
            Err(error) => {
                assert!(error.is(RefusalCode::OrderExpired), "{error}");
                false
            }
        }
    }
}

/// Before: the vault took the day, and was shut until it came.
#[tokio::test]
async fn one_wrong_day_at_a_start_shuts_nothing_but_until_the_clock_is_corrected() {
    let site = Site::founded(Founded::Real).await;
    site.unseal().await.unwrap();
    site.off(1).await;
    let right = site.machine.now();
    let before = site.store();
    for wrong in [
        "2095-01-01T00:00:00Z",
        "2026-11-28T05:00:01Z",
        "2026-12-25T00:00:00Z",
    ] {
        site.machine.set(wrong);
        let error = site.unseal().await.unwrap_err();
        assert_eq!(
            (error.code(), error.exit()),
            ("CLOCK_LEAP", Exit::Damaged),
            "{wrong}"
        );
        let said = format!("{error}; {}", error.action());
        assert!(
            said.contains("2026-11-21") && said.contains("--time-request") && said.contains("--day"),
            "{said}"
        );
        assert_eq!(site.vault.status().await.state, VaultState::Sealed);
        assert!(site.store() == before, "nothing was written");
    }
    site.machine.set(&right.to_string());
    site.unseal().await.unwrap();
    assert!(site.takes_order(1, right).await);
}

#[tokio::test]
async fn a_clock_that_is_set_while_the_vault_is_open_changes_nothing() {
    let site = Site::founded(Founded::Real).await;
    site.unseal().await.unwrap();
    let began = site.machine.now();
    for (number, wrong) in (1..).zip([
        "2095-01-01T00:00:00Z",
        "2026-11-30T00:00:00Z",
        "1999-01-01T00:00:00Z",
    ]) {
        site.machine.set(wrong);
        assert!(!site.takes_order(number, site.machine.now()).await, "{wrong}");
        assert!(site.takes_order(number + 10, began).await, "{wrong}");
        let day = site.vault.status().await.high_water.to_string();
        assert!(day.starts_with("2026-11-21"), "{day}");
    }
    // An hour passes, whatever the clock shows: the order is over, and the next one is not.
    site.machine.pass(1);
    assert!(!site.takes_order(21, began).await);
    let hour = SignedDuration::from_hours(1);
    let now = began.checked_add(hour).unwrap();
    assert!(site.takes_order(22, now).await);
    // It is sealed with the clock in 1999, and opened when it is right again.
    site.vault.seal("li").await.unwrap();
    assert_eq!(site.unseal().await.unwrap_err().code(), "CLOCK_BEHIND");
    site.machine.set(&now.to_string());
    site.unseal().await.unwrap();
}

#[tokio::test]
async fn a_machine_that_sleeps_for_a_night_wakes_in_the_morning() {
    let site = Site::founded(Founded::Real).await;
    site.unseal().await.unwrap();
    let evening = site.machine.now();
    // The boot clock counts what the machine slept.
    site.machine.pass(14);
    assert!(!site.takes_order(1, evening).await);
    assert!(site.takes_order(2, site.machine.now()).await);
}

#[tokio::test]
async fn starts_leap_over_a_week_each_and_thirty_one_days_together() {
    let site = Site::founded(Founded::Real).await;
    site.unseal().await.unwrap();
    for week in 0..4 {
        site.off(7 * 24).await;
        site.unseal()
            .await
            .unwrap_or_else(|error| panic!("week {week}: {error}"));
    }
    // Three days are left of the thirty-one; the machine was on in between, which uses up none.
    site.machine.pass(400 * 24);
    site.off(3 * 24 + 1).await;
    let before = site.store();
    let error = site.unseal().await.unwrap_err();
    assert_eq!((error.code(), error.exit()), ("CLOCK_LEAP", Exit::Damaged));
    assert!(error.to_string().contains("31 days"), "{error}");
    assert_eq!(site.vault.status().await.state, VaultState::Sealed);
    assert!(site.store() == before, "nothing was written");
    // The same store with the clock an hour earlier: that is not too much.
    site.machine.set(
        &site
            .machine
            .now()
            .checked_sub(SignedDuration::from_hours(1))
            .unwrap()
            .to_string(),
    );
    site.unseal().await.unwrap();
}

/// A restart each month, with the machine off for three hours: no officer has to come in twenty years.
#[tokio::test]
async fn twenty_years_of_honest_starts_need_nobody() {
    let site = Site::founded(Founded::Real).await;
    site.unseal().await.unwrap();
    for _ in 0..240 {
        site.machine.pass(30 * 24 + 7);
        site.off(3).await;
        site.unseal().await.unwrap();
    }
    assert!(site.machine.now().to_string().starts_with("2046"));
    assert!(site.takes_order(1, site.machine.now()).await);
}

#[tokio::test]
async fn a_rehearsal_goes_to_any_later_day_that_it_is_given() {
    let site = Site::founded(Founded::Rehearsal).await;
    let days = [
        "2027-06-01T04:00:00Z",
        "2046-06-01T04:00:00Z",
        "2095-01-01T00:00:00Z",
    ];
    for (number, day) in (1..).zip(days) {
        site.machine.set(day);
        site.unseal().await.unwrap();
        assert!(site.takes_order(number, site.machine.now()).await);
        site.vault.seal("li").await.unwrap();
    }
}

/// Whatever a caller names as a first day: at the bound it is taken, a day later it is not.
#[tokio::test]
async fn what_begins_lies_at_most_a_week_ahead() {
    let (installation, mut client, session, mut card) = super::ceilings::card_in_use(95).await;
    let (today, serial) = (date(2026, 11, 21), card.serial);
    let day = |ahead: i64| today.checked_add(Span::new().days(ahead)).unwrap();
    let anchors = client.anchors().await.unwrap();
    for (ahead, fits) in [(8, false), (7, true)] {
        let named = content_of(1, day(ahead));
        let is_refused = |outcome: Result<(), keyvault_protocol::Error>| match outcome {
            Ok(()) => assert!(fits, "{ahead}"),
            Err(error) => assert!(!fits && error.is(RefusalCode::BadContent), "{ahead}: {error}"),
        };
        // A clinic's certificate, and a gate's bundle.
        for kind in [BundleKind::Clinic, BundleKind::Door] {
            let name = format!("{kind:?} {ahead}");
            let (_, mut request) = Gate::request(&anchors, kind, &name, today);
            (request.from, request.to) = (day(ahead), day(ahead));
            is_refused(client.outfit(&request).await.map(drop));
        }
        // The back of a card, whose statement is signed once: the right one comes last.
        let back = client
            .sign_card_back(&number_of(serial), "440300".parse().unwrap(), day(ahead))
            .await;
        is_refused(back.map(drop));
        // The permit block, alone and at the counter; the printed day of issue.
        let block = UpdateTask::PermitBlock {
            dg3: named.dg3.clone(),
        };
        let index = if fits { 20 } else { 21 };
        is_refused(client.seal_update(&session, index, serial, block).await.map(drop));
        for (n, content) in [
            RewriteContent {
                dg1: Some(named.dg1.clone()),
                ..RewriteContent::default()
            },
            RewriteContent {
                dg3: Some(named.dg3.clone()),
                ..RewriteContent::default()
            },
        ]
        .into_iter()
        .enumerate()
        {
            card.reset();
            let index = index * 2 + u32::try_from(n).unwrap();
            let task = CardTask::Rewrite(Box::new(content));
            let (written, _) = run(&mut client, &session, index, &mut card, task, Mishap::None).await;
            is_refused(written.map(drop));
        }
    }
    // What is said of a day that has come lies no later than today.
    let listed = client.export_deny_list(Role::Transit, day(1), 30, 0).await;
    assert!(listed.unwrap_err().is(RefusalCode::BadContent));
    let floor = UpdateTask::DateFloor(day(1));
    let floor = client.seal_update(&session, 90, serial, floor).await;
    assert!(floor.unwrap_err().is(RefusalCode::BadContent));
    let activate = CardTask::Activate { date: day(1) };
    let activated = client.start_card(&session, 91, serial, activate).await;
    assert!(activated.unwrap_err().is(RefusalCode::BadContent));
    // An order begins within the five minutes by which two clocks may differ.
    for (number, minutes, fits) in [(7, 6, false), (8, 5, true)] {
        let mut order = installation.order(number, 1);
        order.from = order
            .from
            .checked_add(SignedDuration::from_mins(minutes))
            .unwrap();
        let opened = client
            .open_order(&order.sign(&installation.issuer).unwrap())
            .await;
        assert_eq!(opened.is_ok(), fits, "{minutes}");
    }
}

/// A vault that was honestly away for longer than a start may leap.
#[tokio::test]
async fn two_officers_and_the_custodians_who_open_it_set_the_time_of_a_vault_that_was_away_for_long() {
    let site = Site::founded(Founded::Real).await;
    site.unseal().await.unwrap();
    site.off(40 * 24).await;
    let (right, wrong) = (Some("2026-12-31"), Some("2027-01-01"));
    let before = site.store();
    let request = site.request("2026-12-31", &OFFICERS[..2]).await;
    let tomorrow = site.request("2027-01-01", &OFFICERS[..2]).await;
    let leap = Err(RefusalCode::ClockLeap);
    let not_the_day = Err(RefusalCode::NotTheDay);
    let nothing: Told = Err(RefusalCode::OfficersThere);
    for (days, request, told) in [
        ([None, None], None, [leap, leap]),
        // The officers' word is none of the custodians'.
        ([None, None], Some(&request), [leap, leap]),
        // A day that the clock does not show, one that is said by one of them alone, and one that is not the officers'.
        ([wrong, wrong], Some(&tomorrow), [not_the_day, not_the_day]),
        ([right, wrong], Some(&request), [GIVEN, not_the_day]),
        ([right, None], Some(&request), [GIVEN, leap]),
        ([right, right], Some(&tomorrow), [not_the_day, GIVEN]),
        // And the custodians' word is none of the officers'.
        ([right, right], None, [GIVEN, nothing]),
    ] {
        assert_eq!(site.unseal_on(days, request).await, told, "{days:?}");
        assert!(site.store() == before, "nothing was written");
        assert_ne!(site.vault.status().await.state, VaultState::Open);
        site.attempt_ends();
    }
    assert_eq!(
        site.unseal_on([right, right], Some(&request)).await,
        [GIVEN, OPEN]
    );
    assert!(site.takes_order(1, site.machine.now()).await);
    let mut client = connect(&site.vault).await;
    let lines = super::ceilings::lines(&mut client, "time-set").await;
    assert_eq!(lines, ["2026-11-21 2026-12-31"]);
    let done = super::ceilings::lines(&mut client, "request-done").await;
    assert!(
        done.iter().any(|line| line.contains("set-time operator chen")),
        "{done:?}"
    );
    // What was leapt over before does not count any more.
    for _ in 0..4 {
        site.off(7 * 24).await;
        site.unseal().await.unwrap();
    }
    site.off(4 * 24).await;
    assert_eq!(site.unseal().await.unwrap_err().code(), "CLOCK_LEAP");
}

/// The way out where nobody is left who could sign.
#[tokio::test]
async fn where_fewer_than_two_officers_are_left_the_custodians_set_the_time_alone() {
    let site = Site::founded(Founded::Real).await;
    site.unseal().await.unwrap();
    let mut client = connect(&site.vault).await;
    let day = Some("2026-12-01");
    for (suspended, told) in [
        (OFFICERS[1], Err(RefusalCode::OfficersThere)),
        (OFFICERS[2], OPEN),
    ] {
        client.suspend_caller(suspended).await.unwrap();
        site.vault.seal("li").await.unwrap();
        site.machine.set("2026-12-01T04:00:00Z");
        assert_eq!(site.unseal_on([day, day], None).await, [GIVEN, told]);
        if told != OPEN {
            site.machine.set(NOON);
            site.unseal().await.unwrap();
        }
    }
    assert!(site.takes_order(1, site.machine.now()).await);
}

#[tokio::test]
async fn a_request_for_the_time_counts_with_two_officers_of_this_vault_for_one_opening_and_its_days() {
    let site = Site::founded(Founded::Real).await;
    site.unseal().await.unwrap();
    connect(&site.vault)
        .await
        .suspend_caller(OFFICERS[2])
        .await
        .unwrap();
    let stood = site.vault.status().await.generation;
    site.off(10 * 24).await;
    let (before, day) = (site.store(), "2026-12-01");
    let mut refused = Vec::new();
    for officers in [
        &[][..],
        &OFFICERS[..1],
        &[OFFICERS[0], OFFICERS[2]],
        &[OFFICERS[0], "nobody"],
    ] {
        let request = site.request(day, officers).await;
        refused.push((request, [GIVEN, Err(RefusalCode::TwoOfficersNeeded)]));
    }
    let made = |vault, act, now| {
        let mut request = scratch_vault::request(vault, act, "operator", now).unwrap();
        scratch_vault::sign(&mut request, &OFFICERS[..2]);
        request
    };
    let act = |generation| OfficerAct::SetTime {
        day: day.parse().unwrap(),
        generation,
    };
    let (id, now) = (site.vault.id(), site.machine.now());
    let stands = site.vault.status().await.generation;
    let hours = SignedDuration::from_hours;
    for (request, code) in [
        (made([7; 16], act(stands), now), RefusalCode::WrongVault),
        (made(id, act(stood), now), RefusalCode::RequestExpired),
        (made(id, act(stands + 1), now), RefusalCode::RequestExpired),
        // An officer's own clock says another day than the machine's.
        (
            made(id, act(stands), now - hours(7 * 24)),
            RefusalCode::RequestExpired,
        ),
        (made(id, act(stands), now + hours(1)), RefusalCode::RequestExpired),
        (
            made(
                id,
                OfficerAct::RestoreCaller {
                    name: OFFICERS[2].into(),
                },
                now,
            ),
            RefusalCode::BadContent,
        ),
    ] {
        // The second custodian begins an attempt anew, and has given one share of two.
        refused.push((request, [Err(code), GIVEN]));
    }
    for (n, (request, told)) in refused.iter().enumerate() {
        assert_eq!(site.unseal_on([Some(day); 2], Some(request)).await, *told, "{n}");
        assert!(site.store() == before, "{n}: nothing was written");
        site.attempt_ends();
    }
    // No byte of it can be another.
    let good = site.request(day, &OFFICERS[..2]).await;
    for at in 0..good.request.len() {
        let mut changed = good.clone();
        changed.request[at] ^= 1;
        let told = site.unseal_on([Some(day); 2], Some(&changed)).await;
        assert!(!told.contains(&OPEN), "byte {at}");
        site.attempt_ends();
    }
    assert!(site.store() == before, "nothing was written");
    // It serves for one opening: neither is it given again, nor submitted.
    assert_eq!(site.unseal_on([Some(day); 2], Some(&good)).await, [GIVEN, OPEN]);
    let next = site.request(day, &OFFICERS[..2]).await;
    let mut client = connect(&site.vault).await;
    for request in [&good, &next] {
        let submitted = client.submit_request(request).await.unwrap_err();
        assert!(submitted.is(RefusalCode::BadContent), "{submitted}");
    }
    site.off(8 * 24).await;
    let told = site.unseal_on([Some("2026-12-09"); 2], Some(&good)).await;
    assert_eq!(told, [Err(RefusalCode::NotTheDay), GIVEN]);
    site.attempt_ends();
    site.machine.set("2026-12-01T05:00:00Z");
    let told = site.unseal_on([Some(day); 2], Some(&good)).await;
    assert_eq!(told, [Err(RefusalCode::RequestExpired), GIVEN]);
}

/// A clock that was wrong by days was believed, and is right again.
#[tokio::test]
async fn time_is_set_back_by_two_officers_and_what_was_used_stays_used() {
    let site = Site::founded(Founded::Real).await;
    let began = site.machine.now();
    site.unseal().await.unwrap();
    // Before all that: a rotation, whose request ends while the clock is wrong.
    let region = "440300".parse().unwrap();
    let rotate = OfficerAct::RotateRole {
        role: Role::Door,
        region,
        drain_until: date(2026, 12, 31),
    };
    let OfficersRequest { vault, made, .. } = site.request("2026-11-21", &[]).await.claimed().unwrap();
    let short = OfficersRequest {
        vault,
        act: rotate,
        requester: "operator".into(),
        made,
        until: made + SignedDuration::from_hours(24),
        nonce: [1; 16],
    };
    let mut short = short.unsigned().unwrap();
    scratch_vault::sign(&mut short, &OFFICERS[..2]);
    let mut client = connect(&site.vault).await;
    let rotated = client.submit_request(&short).await.unwrap();
    site.vault.seal("li").await.unwrap();
    let ahead = SignedDuration::from_hours(6 * 24);
    site.machine.set(&began.checked_add(ahead).unwrap().to_string());
    site.unseal().await.unwrap();
    // What is done in the wrong week: an order, a list, another rotation, and most of a day's lots.
    let then = site.machine.now();
    assert!(site.takes_order(1, then).await);
    let mut client = connect(&site.vault).await;
    let ended = client.submit_request(&short).await.unwrap_err();
    assert!(ended.is(RefusalCode::RequestExpired), "{ended}");
    client
        .rotate_role(Role::Door, region, date(2026, 12, 31))
        .await
        .unwrap();
    let most = keyvault_protocol::Counted::Lots.per_day();
    for _ in 0..most - 1 {
        super::ceilings::lot(&mut client, 1).await.unwrap();
    }
    let first = client
        .export_deny_list(Role::Transit, date(2026, 11, 27), 30, 0)
        .await
        .unwrap();
    site.vault.seal("li").await.unwrap();

    site.machine.set(&began.to_string());
    assert_eq!(site.unseal().await.unwrap_err().code(), "CLOCK_BEHIND");
    let day = "2026-11-21";
    site.set_time(day).await;
    let high_water = site.vault.status().await.high_water;
    assert!(high_water.to_string().starts_with(day), "{high_water}");
    let mut client = connect(&site.vault).await;
    // The order has ended, and does not come to life again when its hour comes; a new one is taken.
    assert!(!site.takes_order(1, then).await);
    assert!(site.takes_order(2, began).await);
    // The request's day has come again; it was done, and is not done a second time.
    assert_eq!(client.submit_request(&short).await.unwrap(), rotated);
    assert_eq!(client.role_keys().await.unwrap().len(), 2);
    site.machine.pass(6 * 24);
    assert!(!site.takes_order(1, then).await);
    assert!(site.takes_order(3, then).await);
    site.vault.seal("li").await.unwrap();

    // Back once more: one lot is left of the day on which the others were made, and the next list has the next number.
    site.machine.set(&began.to_string());
    site.set_time(day).await;
    super::ceilings::lot(&mut client, 1).await.unwrap();
    let error = super::ceilings::lot(&mut client, 1).await.unwrap_err();
    assert!(error.is(RefusalCode::CeilingReached), "{error}");
    let next = client
        .export_deny_list(Role::Transit, date(2026, 11, 21), 30, 0)
        .await
        .unwrap();
    let anchors = client.anchors().await.unwrap();
    let signer = PublicKey::from_point65(&anchors.deny_list_signer).unwrap();
    let version = |file: &[u8]| {
        let list = deny_list::lists_of_file(file).next().unwrap().unwrap();
        DenyList::parse_and_verify(list, &signer).unwrap().version
    };
    assert_eq!(version(&next), version(&first) + 1);
}

/// A quorum's request waits its day, and the time is set back meanwhile.
#[tokio::test]
async fn a_request_that_waits_ends_when_the_time_is_set_back() {
    let site = Site::founded(Founded::Real).await;
    site.machine.pass(24);
    site.unseal().await.unwrap();
    let mut client = connect(&site.vault).await;
    for name in &OFFICERS[1..] {
        client.suspend_caller(name).await.unwrap();
    }
    let officers = ["he", "ma"].map(|name| {
        scratch_vault::enrolment(
            name,
            service_contract::Caller::KeyOfficer,
            scratch_vault::point(name),
        )
    });
    let act = OfficerAct::ReplaceOfficers {
        officers: officers.to_vec(),
    };
    let now = site.machine.now();
    let mut request = scratch_vault::request(site.vault.id(), act, "bureau", now).unwrap();
    for envelope in &site.envelopes[..2] {
        let share = envelope.open(&passphrase(&envelope.custodian)).unwrap();
        keyvault_protocol::sign_as_custodian(&share, &mut request).unwrap();
    }
    let waits = client.submit_request(&request).await.unwrap();
    assert!(matches!(waits, RequestOutcome::Waits(_)), "{waits:?}");
    site.vault.seal("li").await.unwrap();
    // By an hour: the day is the same, and the request is in its time.
    site.machine.0.lock().unwrap().0 -= SignedDuration::from_hours(1);
    let day = Some("2026-11-22");
    assert_eq!(site.unseal_on([day, day], None).await, [GIVEN, OPEN]);
    site.machine.pass(26);
    let mut client = connect(&site.vault).await;
    let ended = client.submit_request(&request).await.unwrap_err();
    assert!(ended.is(RefusalCode::RequestExpired), "{ended}");
}

/// Killed behind the request, before anything was written, and behind it.
#[tokio::test]
async fn a_time_that_was_being_set_is_set_or_not_and_the_request_serves_until_it_is() {
    let site = Site::founded(Founded::Real).await;
    site.unseal().await.unwrap();
    site.off(10 * 24).await;
    let (folder, day) = (site.folder.path(), "2026-12-01");
    let request = site.request(day, &OFFICERS[..2]).await;
    let files = |name: &str| std::fs::read(folder.join("vault").join(name)).unwrap_or_default();
    let (main, begun) = (files("vault.sqlite"), files("vault.sqlite-wal").len());
    assert_eq!(
        site.unseal_on([Some(day); 2], Some(&request)).await,
        [GIVEN, OPEN]
    );
    let log = files("vault.sqlite-wal");
    assert!(main == files("vault.sqlite") && log.len() > begun);
    let (mut opened, mut refused) = (0, 0);
    // The log cut behind every write, and inside.
    let cuts = (begun..log.len()).step_by(2060).chain([log.len()]);
    for cut in cuts {
        let copy = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(copy.path().join(name), bytes).unwrap();
        put("vault.sqlite", &main);
        put("vault.sqlite-wal", &log[..cut]);
        put("transport.key", &files("transport.key"));
        let vault = Vault::load(copy.path(), site.machine.clock(), random(96)())
            .await
            .unwrap();
        let copied = Site {
            folder: tempfile::tempdir().unwrap(),
            machine: site.machine.clone(),
            envelopes: site.envelopes.clone(),
            vault,
        };
        match copied.unseal_on([Some(day); 2], Some(&request)).await {
            [GIVEN, OPEN] => opened += 1,
            told => {
                assert_eq!(told, [Err(RefusalCode::RequestExpired), GIVEN]);
                // The time was set: it opens without anybody's word.
                copied.attempt_ends();
                copied.unseal().await.unwrap();
                refused += 1;
            }
        }
    }
    assert!(opened > 5 && refused > 0, "{opened} {refused}");
}
