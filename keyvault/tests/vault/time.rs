//! Time: what a wrong clock does to a vault that was founded for people's cards, at a start and while it is open (claim K13).

use scratch_vault::Approved as _;
use std::sync::{Arc, Mutex};

use card_applet_spec::crypto::PublicKey;
use card_applet_spec::deny_list::{self, DenyList};
use jiff::civil::date;
use jiff::{SignedDuration, Span, Timestamp};
use keyvault::custody::ceremony::{self, Custodian, Plan};
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault::{Error, Vault};
use keyvault_protocol::{BundleKind, CardTask, RefusalCode, RewriteContent, Role, UpdateTask, VaultState};
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

    /// Two custodians give their shares, and each says what day it is; gives what each was told.
    async fn unseal_on(&self, days: [Option<&str>; 2]) -> [Result<VaultState, keyvault_protocol::Error>; 2] {
        let mut told = Vec::new();
        for (envelope, day) in self.envelopes.iter().zip(days) {
            let share = envelope.open(&passphrase(&envelope.custodian)).unwrap();
            let share = share.on_day(day.map(|day| day.parse().unwrap()));
            let mut client = scratch_vault::connect_custodian(&self.vault, &share)
                .await
                .unwrap();
            told.push(client.submit_share(&share).await.map(|progress| progress.state));
        }
        told.try_into().unwrap()
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
        assert!(said.contains("2026-11-21") && said.contains("--day"), "{said}");
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
async fn the_custodians_who_open_it_say_what_day_it_is_where_the_vault_was_away_for_long() {
    let site = Site::founded(Founded::Real).await;
    site.unseal().await.unwrap();
    site.off(40 * 24).await;
    let (right, wrong) = (Some("2026-12-31"), Some("2027-01-01"));
    let code = |told: &Result<VaultState, keyvault_protocol::Error>| {
        told.as_ref()
            .map_err(|error| error.refusal().unwrap().code)
            .copied()
    };
    let before = site.store();
    let leap = Err(RefusalCode::ClockLeap);
    let not_the_day = Err(RefusalCode::NotTheDay);
    let given = Ok(VaultState::Unsealing);
    for (days, told) in [
        ([None, None], [leap, leap]),
        // A day that the clock does not show; and one that is said by one of them alone.
        ([wrong, wrong], [not_the_day, not_the_day]),
        ([right, wrong], [given, not_the_day]),
        ([right, None], [given, leap]),
    ] {
        let outcome = site.unseal_on(days).await;
        assert_eq!([code(&outcome[0]), code(&outcome[1])], told, "{days:?}");
        assert!(site.store() == before, "nothing was written");
        // The attempt ends with its time; nobody has opened anything.
        assert_ne!(site.vault.status().await.state, VaultState::Open);
        let boot = SignedDuration::from_mins(16);
        site.machine.0.lock().unwrap().1 += boot;
    }
    let outcome = site.unseal_on([right, right]).await;
    assert_eq!(
        [code(&outcome[0]), code(&outcome[1])],
        [given, Ok(VaultState::Open)]
    );
    assert!(site.takes_order(1, site.machine.now()).await);
    let mut client = connect(&site.vault).await;
    let lines = super::ceilings::lines(&mut client, "time-set").await;
    assert_eq!(lines, ["2026-11-21 2026-12-31"]);
    // What was leapt over before does not count any more.
    for _ in 0..4 {
        site.off(7 * 24).await;
        site.unseal().await.unwrap();
    }
    site.off(4 * 24).await;
    assert_eq!(site.unseal().await.unwrap_err().code(), "CLOCK_LEAP");
}

/// A clock that was wrong by days was believed, and is right again.
#[tokio::test]
async fn time_is_set_back_by_the_custodians_and_what_was_used_stays_used() {
    let site = Site::founded(Founded::Real).await;
    let began = site.machine.now();
    let ahead = SignedDuration::from_hours(6 * 24);
    site.machine.set(&began.checked_add(ahead).unwrap().to_string());
    site.unseal().await.unwrap();
    // What is done in the wrong week: an order, a list, and most of a day's lots.
    let then = site.machine.now();
    assert!(site.takes_order(1, then).await);
    let mut client = connect(&site.vault).await;
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
    let day = Some("2026-11-21");
    let outcome = site.unseal_on([day, day]).await;
    assert_eq!(*outcome[1].as_ref().unwrap(), VaultState::Open);
    assert!(
        site.vault
            .status()
            .await
            .high_water
            .to_string()
            .starts_with("2026-11-21")
    );
    let mut client = connect(&site.vault).await;
    // The order has ended, and does not come to life again when its hour comes; a new one is taken.
    assert!(!site.takes_order(1, then).await);
    assert!(site.takes_order(2, began).await);
    site.machine.pass(6 * 24);
    assert!(!site.takes_order(1, then).await);
    assert!(site.takes_order(3, then).await);
    site.vault.seal("li").await.unwrap();

    // Back once more: one lot is left of the day on which the others were made, and the next list has the next number.
    site.machine.set(&began.to_string());
    site.unseal_on([day, day]).await[1].as_ref().unwrap();
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
