//! The units of `docs/systemd`: one user a service, folders with their owners, and what each service gives up. That their commands
//! are the programs' is held by each program's own test of what is written down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use program_contract::documents::files;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/systemd")
}

/// Name and text of each service.
fn services() -> Vec<(String, String)> {
    let found = files(&folder(), "service").unwrap();
    assert!(found.len() > 5, "{found:?}");
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    found
        .iter()
        .map(|path| (name(path), fs::read_to_string(path).unwrap()))
        .collect()
}

/// What a unit says of a key, the last of all.
fn said<'a>(unit: &'a str, key: &str) -> &'a str {
    let mut values = unit
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.next_back().unwrap_or_default()
}

/// The words of the lines of a file that begin with this one.
fn lines_of<'a>(text: &'a str, kind: &str) -> Vec<Vec<&'a str>> {
    let words = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|words| words.first() == Some(&kind)).collect()
}

#[test]
fn each_service_has_a_user_of_its_own_that_owns_its_folder() {
    let users = fs::read_to_string(folder().join("yzt-sysusers.conf")).unwrap();
    let users: BTreeSet<&str> = lines_of(&users, "u").iter().map(|words| words[1]).collect();
    let folders = fs::read_to_string(folder().join("yzt-tmpfiles.conf")).unwrap();
    let owners: BTreeMap<&str, &str> = lines_of(&folders, "d")
        .iter()
        .map(|words| {
            assert_eq!(words[2], "0700", "{words:?}");
            (words[1], words[3])
        })
        .collect();
    let mut programs = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, unit) in services() {
        let user = said(&unit, "User");
        assert!(users.contains(user), "{name}: {user}");
        assert_eq!(said(&unit, "Group"), user, "{name}");
        let writes = said(&unit, "ReadWritePaths");
        assert!(
            writes.is_empty() || owners.get(writes) == Some(&user),
            "{name}: {writes}"
        );
        let made = said(&unit, "RuntimeDirectory");
        assert!(made.is_empty() || made == user, "{name}: {made}");
        let command = said(&unit, "ExecStart");
        for allowed in command.split("--allow-user ").skip(1) {
            let allowed = allowed.split_whitespace().next().unwrap();
            assert!(users.contains(allowed), "{name}: {allowed}");
        }
        programs.entry(user.to_owned()).or_default().insert(name);
    }
    // The office's two programs, and the two ends of a relay, share what they work with; no others share a user.
    for (user, names) in programs {
        let is_shared = ["yzt-issuer", "yzt-relay"].contains(&user.as_str());
        assert!(names.len() == 1 || is_shared, "{user}: {names:?}");
    }
}

#[test]
fn each_service_gives_up_what_it_does_not_need_and_the_vault_the_network_and_swap() {
    for (name, unit) in services() {
        for line in [
            "NoNewPrivileges=yes",
            "CapabilityBoundingSet=",
            "ProtectSystem=strict",
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "PrivateDevices=yes",
            "MemoryDenyWriteExecute=yes",
            "RestrictNamespaces=yes",
            "SystemCallFilter=@system-service",
            "SystemCallFilter=~@privileged",
            "LimitCORE=0",
            "UMask=0077",
        ] {
            assert!(unit.lines().any(|said| said == line), "{name}: {line}");
        }
        let families = said(&unit, "RestrictAddressFamilies");
        assert!(families.starts_with("AF_UNIX"), "{name}: {families}");
    }
    let (_, vault) = services()
        .into_iter()
        .find(|(name, _)| name == "yzt-keyvault.service")
        .unwrap();
    for (key, value) in [
        ("PrivateNetwork", "yes"),
        ("RestrictAddressFamilies", "AF_UNIX"),
        ("LimitMEMLOCK", "infinity"),
        ("MemorySwapMax", "0"),
    ] {
        assert_eq!(said(&vault, key), value, "{key}");
    }
}

#[test]
fn every_unit_and_every_place_of_the_units_is_told_in_the_operations() {
    let operations = fs::read_to_string(folder().join("../operations.md")).unwrap();
    let mut texts = services();
    for (ending, least) in [("timer", 1), ("conf", 2)] {
        let found = files(&folder(), ending).unwrap();
        assert!(found.len() >= least);
        texts.extend(found.iter().map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        }));
    }
    for (name, text) in texts {
        assert!(operations.contains(&format!("`{name}`")), "{name}");
        let places = text.split(|sign: char| sign.is_whitespace() || "='$%:,".contains(sign));
        for place in places.filter(|place| {
            place.starts_with("/var/lib/") || place.starts_with("/run/") || place.starts_with("/etc/")
        }) {
            assert!(
                operations.contains(place.trim_end_matches('/')),
                "{name}: {place}"
            );
        }
    }
}

/// `%I` makes a slash of each hyphen, and names of files and terminals have hyphens.
#[test]
fn the_name_of_an_instance_is_taken_as_it_is() {
    for (name, unit) in services() {
        assert!(!unit.contains("%I"), "{name}");
    }
}

#[test]
fn the_service_manager_takes_the_list_of_users() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let made = Command::new("systemd-sysusers")
        .arg("--dry-run")
        .arg(format!("--root={}", root.path().display()))
        .arg(folder().canonicalize().unwrap().join("yzt-sysusers.conf"))
        .output()
        .expect("systemd-sysusers is installed (scripts/setup.sh)");
    let told = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{told}");
}

/// As `systemd-analyze` of this machine sees them, with programs that are here in place of ours.
#[test]
fn the_service_manager_takes_the_units_and_finds_little_exposed() {
    let copies = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for ending in ["service", "timer"] {
        for path in files(&folder(), ending).unwrap() {
            let copy = copies.path().join(path.file_name().unwrap());
            let mut text = fs::read_to_string(&path).unwrap();
            for program in ["keyvault", "photo-store", "issuer"] {
                text = text.replace(&format!("ExecStart=/usr/bin/{program} "), "ExecStart=/bin/sh ");
            }
            fs::write(&copy, text).unwrap();
            paths.push(copy);
        }
    }
    let analyze = |arguments: &[&str]| {
        Command::new("systemd-analyze")
            .arg("--no-pager")
            .args(arguments)
            .args(&paths)
            .env("SYSTEMD_UNIT_PATH", format!("{}:", copies.path().display()))
            .output()
            .expect("systemd-analyze is installed (scripts/setup.sh)")
    };
    let verified = analyze(&["verify"]);
    let told = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("yzt-")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{told}");
    paths.retain(|path| path.extension().is_some_and(|end| end == "service"));
    let looked = Command::new("systemd-analyze")
        .args(["--no-pager", "security", "--offline=true", "--threshold=20"])
        .args(&paths)
        .output()
        .unwrap();
    assert!(
        looked.status.success(),
        "{}",
        String::from_utf8_lossy(&looked.stdout)
    );
}
