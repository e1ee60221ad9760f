//! The doors of the operations of both protocols: each is a command of a program that holds its own list against them, a page of the
//! counter, a path of the API, or said to be none yet; and the program behind a door asks for the operation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use service_contract::operation::Listed;

use super::imports::{find, names_and_signs};

/// Programs, the file whose test holds the doors against the program's commands, and the folders of its code.
const PROGRAMS: [(&str, &str, &[&str]); 4] = [
    (
        "keyvault",
        "keyvault/src/command/arguments.rs",
        &["keyvault/src/command"],
    ),
    (
        "issuer",
        "issuer/src/command/mod.rs",
        &[
            "issuer/src",
            "issuer/office/src",
            "issuer/production/src",
            "issuer/api/src",
        ],
    ),
    ("photo-store", "photo-store/src/cli/mod.rs", &["photo-store/src"]),
    (
        "permit",
        "issuer/permit/src/arguments.rs",
        &["issuer/permit/src", "issuer/office/src", "issuer/production/src"],
    ),
];

/// What a client asks by itself when it connects.
const BY_ITSELF: &str = "every connection";

/// The word for an operation that no program reaches yet, and the operations that may say so.
const NONE_YET: &str = "none yet: later issue";
const WITHOUT_A_DOOR: [&str; 2] = ["ReleasePhoto", "RedeemRelease"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every operation, with the file of its client.
fn operations() -> impl Iterator<Item = (&'static str, &'static Listed)> {
    let vault = keyvault_protocol::OPERATIONS.iter();
    let photos = photo_store_protocol::OPERATIONS.iter();
    vault
        .map(|listed| ("keyvault/protocol/src/client.rs", listed))
        .chain(photos.map(|listed| ("photo-store/protocol/src/client.rs", listed)))
}

/// Names and signs of all files of some folders.
fn code(folders: &[&str]) -> Vec<Vec<String>> {
    let mut files = Vec::new();
    for folder in folders {
        find(&root().join(folder), &mut files);
    }
    assert!(!files.is_empty(), "{folders:?}");
    files
        .iter()
        .map(|file| names_and_signs(&fs::read_to_string(file).unwrap()))
        .collect()
}

/// The client's method for each operation: the one whose body names it.
fn methods(client: &str) -> BTreeMap<String, String> {
    let tokens = names_and_signs(&fs::read_to_string(root().join(client)).unwrap());
    let mut methods = BTreeMap::new();
    let mut method = "";
    for (at, token) in tokens.iter().enumerate() {
        let before = at
            .checked_sub(1)
            .and_then(|at| tokens.get(at))
            .map_or("", String::as_str);
        if before == "fn" {
            method = token;
        }
        methods.entry(token.clone()).or_insert_with(|| method.to_owned());
        // What is imported is named before any method.
        if method.is_empty() {
            methods.remove(token);
        }
    }
    methods
}

#[test]
fn every_door_is_a_command_a_page_a_path_of_the_api_or_said_to_be_none() {
    let api = fs::read_to_string(root().join("issuer/openapi.json")).unwrap();
    let api: serde_json::Value = serde_json::from_str(&api).unwrap();
    let pages = fs::read_to_string(root().join("issuer/web/src/routes.rs")).unwrap();
    let mut without = BTreeSet::new();
    for (_, Listed { name, doors, .. }) in operations() {
        assert!(!doors.is_empty(), "{name}");
        for door in *doors {
            let program = door.split_once(' ').map_or("", |(program, _)| program);
            if door.starts_with("/counter/") {
                let route = format!("\"{door}\"");
                assert!(pages.contains(&route), "{name}: {door} is no page of the counter");
            } else if door.starts_with('/') {
                assert!(
                    api["paths"].get(door).is_some(),
                    "{name}: {door} is no path of the API"
                );
            } else if *door == NONE_YET {
                without.insert(*name);
            } else if *door != BY_ITSELF {
                let known = PROGRAMS.iter().any(|(known, _, _)| *known == program);
                assert!(known, "{name}: {door} is the door of no program");
            }
        }
    }
    assert_eq!(without, BTreeSet::from(WITHOUT_A_DOOR));
}

#[test]
fn every_program_holds_the_doors_against_its_own_commands() {
    for (program, file, _) in PROGRAMS {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let holds = text.contains("has_door::<Arguments>(door), Some(false)");
        assert!(
            holds,
            "{file} does not hold the doors against the commands of {program}"
        );
    }
}

#[test]
fn the_program_behind_a_door_asks_for_the_operation() {
    let programs: BTreeMap<&str, Vec<Vec<String>>> = PROGRAMS
        .iter()
        .map(|(program, _, folders)| (*program, code(folders)))
        .collect();
    let clients: BTreeMap<&str, BTreeMap<String, String>> = operations()
        .map(|(client, _)| (client, methods(client)))
        .collect();
    for (client, Listed { name, doors, .. }) in operations() {
        let method = &clients[client][*name];
        for door in *doors {
            let program = match door.split_once(' ') {
                _ if [BY_ITSELF, NONE_YET].contains(door) => continue,
                Some((program, _)) => program,
                None => "issuer",
            };
            let asks = programs[program].iter().any(|tokens| {
                tokens
                    .windows(3)
                    .any(|three| three[0] == "." && three[1] == *method && three[2] == "(")
            });
            assert!(asks, "{name}: {program} never calls {method}");
        }
    }
}
