//! The life of a key version, enumerated: what each operation does to a version in each state, for every role, and that nothing else in
//! the store changes (claims K4, K14). The table in the vault's page is what was seen here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use card_reader::Bundle;
use jiff::SignedDuration;
use jiff::civil::{Date, date};
use keyvault_protocol::{BundleKind, CardTask, Error, OrderSession, Region, Role, RoleKeyInfo, RoleKeyState};
use scratch_vault::Approved as _;

use super::gate::{Gate, card_day};
use super::operations::Rows;
use super::support::*;

const TODAY: Date = date(2026, 11, 21);
/// The day on which everything is tried: what drained until today is over.
const TOMORROW: Date = date(2026, 11, 22);
const LONG: Date = date(2026, 12, 21);

/// What brings a role's versions into a state.
#[derive(Clone, Copy)]
enum Step {
    Rotate(Date),
    /// A card that has the Active version of every role.
    Card,
    Compromise(u8),
    Retire(u8),
}

use Step::{Card, Compromise, Retire, Rotate};

/// A state, the version that is in it, and how it came there.
const STATES: [(&str, u8, &[Step]); 10] = [
    ("not there", 1, &[]),
    ("active", 1, &[Rotate(LONG)]),
    ("draining", 1, &[Rotate(LONG), Rotate(LONG)]),
    ("draining, its last day over", 1, &[Rotate(LONG), Rotate(TODAY)]),
    (
        "draining, a card has it alone",
        1,
        &[Rotate(LONG), Card, Rotate(LONG)],
    ),
    ("compromised", 1, &[Rotate(LONG), Compromise(1)]),
    (
        "compromised, a card has it alone",
        1,
        &[Rotate(LONG), Card, Compromise(1)],
    ),
    (
        "compromised, none active",
        5,
        &[Rotate(LONG), Compromise(1), Compromise(3), Compromise(5)],
    ),
    ("destroyed", 1, &[Rotate(LONG), Rotate(LONG), Retire(1)]),
    (
        "destroyed, none active",
        5,
        &[
            Rotate(LONG),
            Compromise(1),
            Compromise(3),
            Compromise(5),
            Retire(5),
        ],
    ),
];

/// What is asked for: each in a region of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Rotate,
    Compromise,
    Retire,
    NewCard,
    Bundle,
}

const ASKED: [Asked; 5] = [
    Asked::Rotate,
    Asked::Compromise,
    Asked::Retire,
    Asked::NewCard,
    Asked::Bundle,
];

fn region(state: usize, asked: usize) -> Region {
    format!("44{state:02}{asked:02}").parse().unwrap()
}

async fn order(installation: &Installation, client: &mut TestClient, number: u8) -> OrderSession {
    client.open_order(&installation.signed(number, 90)).await.unwrap()
}

/// A personalisation of the next blank, with the entitlements of these roles in this region.
struct Cards {
    blanks: Vec<TestCard>,
    used: u32,
}

impl Cards {
    async fn write(
        &mut self,
        client: &mut TestClient,
        session: &OrderSession,
        (roles, region): (&[Role], Region),
        today: Date,
    ) -> Result<Vec<u8>, Error> {
        let mut content = content_of(1, today);
        content
            .entitlements
            .retain(|entitlement| roles.contains(&entitlement.role));
        for entitlement in &mut content.entitlements {
            entitlement.region = region;
        }
        let task = CardTask::Personalise(Box::new(content));
        let mut card = self.blanks.pop().unwrap();
        self.used += 1;
        let (done, _) = run(client, session, self.used, &mut card, task, Mishap::None).await;
        done.map(|done| done.slots.iter().map(|slot| slot.key_version).collect())
    }
}

/// The states of the versions of a role and region.
fn states(keys: &[RoleKeyInfo], role: Role, region: Region) -> BTreeMap<u8, RoleKeyState> {
    let of = |key: &&RoleKeyInfo| (key.role, key.region) == (role, region);
    let state = |key: &RoleKeyInfo| (key.version, key.state);
    keys.iter().filter(of).map(state).collect()
}

/// How a cell calls a version.
fn called(version: u8, other: u8) -> String {
    match other - version {
        0 => "v".to_owned(),
        ahead => format!("v + {ahead}"),
    }
}

/// Rows that are others than before, or new, or gone.
fn differing<'a>(before: &'a Rows, after: &'a Rows) -> Vec<(&'a str, &'a [u8])> {
    let mut found = Vec::new();
    for (table, rows) in &after.tables {
        let known = &before.tables[table];
        let ids: BTreeSet<&Vec<u8>> = rows.keys().chain(known.keys()).collect();
        let differs = |id: &&Vec<u8>| rows.get(*id) != known.get(*id);
        found.extend(
            ids.into_iter()
                .filter(differs)
                .map(|id| (table.as_str(), id.as_slice())),
        );
    }
    found
}

/// Holds what a transition wrote: the rows of these versions, keys of those that were made or destroyed, the request that two signed,
/// and what is counted.
fn assert_nothing_else(
    (before, after): (&Rows, &Rows),
    (role, region): (Role, Region),
    changed: &BTreeMap<u8, RoleKeyState>,
    is_new: impl Fn(u8) -> bool,
    is_request: bool,
    told: &str,
) {
    let mut keys = 0;
    let (mut versions, mut requests) = (BTreeSet::new(), 0);
    for (table, id) in differing(before, after) {
        match table {
            "sealed_role_key" => {
                let [of @ .., version] = id else { panic!("{told}") };
                let [a, b, c] = region.to_bytes();
                assert_eq!(of, [role.code(), a, b, c], "{told}");
                versions.insert(*version);
            }
            "sealed_key" => {
                let id = std::str::from_utf8(id).unwrap();
                let (of, version) = id.rsplit_once('/').unwrap();
                assert!(
                    of.ends_with(&format!("/{}/{region}", role.code())),
                    "{told}: {id}"
                );
                let version: u8 = version.parse().unwrap();
                let state = changed.get(&version);
                let is_gone = state == Some(&RoleKeyState::Destroyed);
                assert!(is_new(version) || is_gone, "{told}: {id}");
                keys += 1;
            }
            "sealed_request" => requests += 1,
            "sealed_count" => {
                let of = format!("{role} {region}");
                assert!(id.starts_with(of.as_bytes()), "{told}: {id:?}");
            }
            "sealed_milestone" => {}
            other => panic!("{told} writes {other} {id:?}"),
        }
    }
    let with_keys = changed
        .iter()
        .filter(|(version, state)| is_new(**version) || **state == RoleKeyState::Destroyed);
    assert_eq!(keys, 3 * with_keys.count(), "{told}");
    assert_eq!(versions, changed.keys().copied().collect(), "{told}");
    assert_eq!(requests, usize::from(is_request), "{told}");
}

#[tokio::test]
async fn every_operation_does_to_a_key_version_in_any_state_what_the_vaults_page_says_and_nothing_else() {
    let installation = Installation::new(130).await;
    let folder = installation.folder.path().join("vault");
    let mut client = installation.client().await;
    let mut cards = Cards {
        blanks: installation.blanks(70).await,
        used: 0,
    };
    let session = order(&installation, &mut client, 1).await;
    for (number, (_, _, steps)) in STATES.iter().enumerate() {
        for asked in 0..ASKED.len() {
            let region = region(number, asked);
            for step in *steps {
                if matches!(step, Step::Card) {
                    let all = (Role::ALL, region);
                    cards.write(&mut client, &session, all, TODAY).await.unwrap();
                    continue;
                }
                for role in Role::ALL.iter().copied() {
                    let done = match *step {
                        Rotate(drain) => client.rotate_role(role, region, drain).await.map(|_| ()),
                        Compromise(version) => {
                            client.compromise_role(role, region, version).await.map(|_| ())
                        }
                        Retire(version) => client.retire_role(role, region, version).await.map(|_| ()),
                        Card => Ok(()),
                    };
                    done.unwrap();
                }
            }
        }
    }
    installation.clock.advance(SignedDuration::from_hours(24));
    let session = order(&installation, &mut client, 2).await;
    let anchors = client.anchors().await.unwrap();

    let mut table = String::from(
        "| version v is | `rotate-role` | `compromise` | `retire-role` | a new card gets | a bundle carries |\n\
         |---|---|---|---|---|---|\n",
    );
    for (number, (words, version, _)) in STATES.iter().enumerate() {
        write!(table, "| {words} ").unwrap();
        for (place, asked) in ASKED.into_iter().enumerate() {
            let region = region(number, place);
            let mut cells = BTreeSet::new();
            for role in Role::ALL.iter().copied() {
                let told = format!("{asked:?} of a {role} version that is {words}");
                let before = (client.role_keys().await.unwrap(), Rows::of(&folder).await);
                let done = match asked {
                    Asked::Rotate => client.rotate_role(role, region, LONG).await.map(|_| ()),
                    Asked::Compromise => client.compromise_role(role, region, *version).await.map(|_| ()),
                    Asked::Retire => client.retire_role(role, region, *version).await.map(|_| ()),
                    Asked::NewCard => {
                        let of = (&[role][..], region);
                        let written = cards.write(&mut client, &session, of, TOMORROW).await;
                        cells.insert(match written {
                            Ok(slots) => called(*version, slots[0]),
                            Err(error) => error.code().to_owned(),
                        });
                        continue;
                    }
                    Asked::Bundle => {
                        let (kind, name) = (kind_for(role), format!("{role} {region}"));
                        let (key, mut outfit) = Gate::request(&anchors, kind, &name, TOMORROW);
                        outfit.regions = vec![region];
                        let sealed = client.outfit(&outfit).await.unwrap();
                        let bundle = Bundle::open(&sealed, &key, None, card_day(TOMORROW)).unwrap();
                        let held = bundle.held_keys();
                        let held: Vec<String> = held.iter().map(|key| called(*version, key.kv)).collect();
                        cells.insert(if held.is_empty() {
                            "none".into()
                        } else {
                            held.join(", ")
                        });
                        continue;
                    }
                };
                let after = (client.role_keys().await.unwrap(), Rows::of(&folder).await);
                // Other roles and regions are as they were.
                let others = |keys: &[RoleKeyInfo]| -> Vec<RoleKeyInfo> {
                    let is_other = |key: &&RoleKeyInfo| (key.role, key.region) != (role, region);
                    keys.iter().filter(is_other).cloned().collect()
                };
                assert_eq!(others(&before.0), others(&after.0), "{told}");
                let (known, mut changed) = (states(&before.0, role, region), states(&after.0, role, region));
                changed.retain(|version, state| known.get(version) != Some(state));
                if let Err(error) = done {
                    assert_eq!(before, after, "{told}");
                    cells.insert(error.code().to_owned());
                    continue;
                }
                assert_nothing_else(
                    (&before.1, &after.1),
                    (role, region),
                    &changed,
                    |version| !known.contains_key(&version),
                    asked != Asked::Compromise,
                    &told,
                );
                let changed: Vec<String> = changed
                    .iter()
                    .map(|(other, state)| format!("{} {}", called(*version, *other), state.as_str()))
                    .collect();
                cells.insert(if changed.is_empty() {
                    "–".into()
                } else {
                    changed.join(", ")
                });
            }
            // Every role the same.
            assert_eq!(cells.len(), 1, "{words}, {asked:?}: {cells:?}");
            write!(table, "| {} ", cells.pop_first().unwrap()).unwrap();
        }
        table.push_str("|\n");
    }
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let command = "cargo test -p keyvault --test vault versions::";
    service_contract::table::hold_between(&readme, "key versions", &table, command).unwrap();
}

/// A terminal that works with a role.
fn kind_for(role: Role) -> BundleKind {
    match role {
        Role::Transit => BundleKind::Bus,
        Role::SocialInsurance => BundleKind::SocialInsurance,
        Role::SmallPayment => BundleKind::Shop,
        Role::Clinic => BundleKind::Clinic,
        Role::Door => BundleKind::Door,
    }
}
