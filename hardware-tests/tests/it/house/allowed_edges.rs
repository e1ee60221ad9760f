//! The edges that `docs/architecture.md` allows among our crates, complete, over `cargo metadata`; and what no production
//! program may contain.
//!
//! Only normal dependencies count: a test may use more, and cargo refuses circles by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crate, and the crates of ours that it may use, from the ground up.
const ALLOWED: [(&str, &[&str]); 25] = [
    ("card-applet-spec", &[]),
    ("card-applet", &["card-applet-spec"]),
    ("program-contract", &["card-applet-spec"]),
    ("service-contract", &[]),
    ("card-reader", &["card-applet-spec", "program-contract"]),
    (
        "virtual-card",
        &[
            "card-applet",
            "card-reader",
            "card-applet-spec",
            "program-contract",
        ],
    ),
    (
        "keyvault-protocol",
        &["card-applet-spec", "program-contract", "service-contract"],
    ),
    (
        "keyvault",
        &[
            "keyvault-protocol",
            "card-applet-spec",
            "program-contract",
            "service-contract",
        ],
    ),
    ("photo-store-protocol", &["program-contract", "service-contract"]),
    ("photo-picture", &["photo-store-protocol"]),
    (
        "photo-store",
        &[
            "photo-picture",
            "photo-store-protocol",
            "keyvault-protocol",
            "program-contract",
            "service-contract",
        ],
    ),
    ("permit-domain", &["card-applet-spec"]),
    ("permit-rules", &["permit-domain"]),
    (
        "issuer-store",
        &[
            "permit-domain",
            "issuer-mandate",
            "permit-rules",
            "program-contract",
        ],
    ),
    ("issuer-artwork", &[]),
    ("issuer-mandate", &[]),
    ("issuer-signing", &["issuer-mandate", "program-contract"]),
    (
        "issuer-office",
        &[
            "issuer-store",
            "issuer-artwork",
            "issuer-mandate",
            "permit-domain",
            "permit-rules",
            "keyvault-protocol",
            "photo-store-protocol",
            "card-applet-spec",
            "program-contract",
            "service-contract",
        ],
    ),
    (
        "issuer-production",
        &[
            "issuer-office",
            // Types of its rows and its error: the store itself is the office's alone.
            "issuer-store",
            "issuer-artwork",
            "permit-domain",
            "keyvault-protocol",
            "photo-store-protocol",
            "card-reader",
            "card-applet-spec",
            "program-contract",
        ],
    ),
    (
        "issuer-api",
        &[
            "issuer-office",
            "issuer-mandate",
            "issuer-store",
            "permit-domain",
            "photo-store-protocol",
            "program-contract",
        ],
    ),
    (
        "issuer-web",
        &[
            "issuer-office",
            "issuer-mandate",
            "issuer-store",
            "issuer-production",
            "permit-domain",
            "photo-store-protocol",
            "program-contract",
        ],
    ),
    (
        "issuer",
        &[
            "issuer-api",
            "issuer-web",
            "issuer-mandate",
            "issuer-signing",
            "issuer-production",
            "issuer-office",
            "issuer-store",
            "issuer-artwork",
            "permit-domain",
            "permit-rules",
            "photo-store-protocol",
            "keyvault-protocol",
            "card-reader",
            "card-applet-spec",
            "program-contract",
        ],
    ),
    // For tests only: an issuer's side of a card, a vault whose shares are worth nothing, a PostgreSQL.
    ("card-host", &["card-applet", "card-applet-spec"]),
    ("scratch-postgres", &[]),
    (
        "scratch-vault",
        &[
            "keyvault",
            "keyvault-protocol",
            "program-contract",
            "service-contract",
        ],
    ),
];

/// May use everything: they start or test everything.
const FREE: [&str; 3] = ["permit", "hardware-tests", "card-fuzz"];

/// Crates that no program of an installation may contain.
const FOR_TESTS: [&str; 3] = ["card-host", "scratch-postgres", "scratch-vault"];

/// The workspace as cargo resolves it.
struct Workspace {
    /// Package id to name.
    names: BTreeMap<String, String>,
    /// Package id to the folder of its manifest.
    folders: BTreeMap<String, PathBuf>,
    /// Package id to the ids of its normal dependencies.
    edges: BTreeMap<String, BTreeSet<String>>,
    members: BTreeSet<String>,
}

impl Workspace {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version",
                "1",
                "--offline",
                "--manifest-path",
            ])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |value: &Value| value.as_array().unwrap().clone();
        let names = list(&metadata["packages"])
            .iter()
            .map(|p| (text(&p["id"]), text(&p["name"])))
            .collect();
        let edges = list(&metadata["resolve"]["nodes"])
            .iter()
            .map(|node| {
                let normal = list(&node["deps"])
                    .iter()
                    .filter(|dep| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()))
                    .map(|dep| text(&dep["pkg"]))
                    .collect();
                (text(&node["id"]), normal)
            })
            .collect();
        let members = list(&metadata["workspace_members"]).iter().map(text).collect();
        let folders = list(&metadata["packages"])
            .iter()
            .map(|p| {
                (
                    text(&p["id"]),
                    Path::new(p["manifest_path"].as_str().unwrap())
                        .parent()
                        .unwrap()
                        .to_owned(),
                )
            })
            .collect();
        Self {
            names,
            folders,
            edges,
            members,
        }
    }

    fn member(&self, name: &str) -> &str {
        self.members
            .iter()
            .find(|id| self.names[*id] == name)
            .unwrap_or_else(|| panic!("no crate {name}"))
    }

    fn direct(&self, name: &str) -> BTreeSet<&str> {
        self.edges[self.member(name)]
            .iter()
            .filter(|id| self.members.contains(*id))
            .map(|id| self.names[id].as_str())
            .collect()
    }

    /// The names of everything that ends up in programs of this crate.
    fn tree(&self, name: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![self.member(name)];
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(self.edges[id].iter().map(String::as_str));
            }
        }
        seen.into_iter().map(|id| self.names[id].as_str()).collect()
    }
}

#[test]
fn crates_use_only_the_crates_that_they_may() {
    let workspace = Workspace::read();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).chain(FREE).collect();
    let present: BTreeSet<&str> = workspace
        .members
        .iter()
        .map(|id| workspace.names[id].as_str())
        .collect();
    assert_eq!(
        present, known,
        "a crate came or went: decide its edges here and in the architecture"
    );
    for (name, allowed) in ALLOWED {
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let forbidden: Vec<_> = workspace.direct(name).difference(&allowed).copied().collect();
        assert!(forbidden.is_empty(), "{name} may not use {forbidden:?}");
    }
}

#[test]
fn the_reader_carries_no_database_web_server_or_runtime() {
    let tree = Workspace::read();
    let tree = tree.tree("card-reader");
    for heavy in [
        "sqlx",
        "sqlx-core",
        "axum",
        "tokio",
        "hyper",
        "rusqlite",
        "libsqlite3-sys",
    ] {
        assert!(!tree.contains(heavy), "card-reader contains {heavy}");
    }
}

#[test]
fn no_production_program_contains_a_card() {
    let workspace = Workspace::read();
    for (name, _) in ALLOWED
        .iter()
        .filter(|(name, _)| !["virtual-card", "card-applet"].contains(name) && !FOR_TESTS.contains(name))
    {
        let tree = workspace.tree(name);
        for card in ["virtual-card", "card-applet"] {
            assert!(!tree.contains(card), "{name} contains {card}");
        }
    }
}

#[test]
fn no_production_program_contains_what_is_for_tests() {
    let workspace = Workspace::read();
    for program in PROGRAMS {
        let tree = workspace.tree(program);
        for tool in FOR_TESTS {
            assert!(!tree.contains(tool), "{program} contains {tool}");
        }
    }
}

/// Every program that is installed or tried somewhere, and the virtual card that `make demo` builds with them: cargo unites the
/// features of what is built together.
const PROGRAMS: [&str; 6] = [
    "permit",
    "keyvault",
    "photo-store",
    "issuer",
    "card-reader",
    "virtual-card",
];

/// Features of `card-applet-spec` in a build of these packages, as cargo resolves them without tests.
fn features_of_the_specification(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}|{f}",
        ])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = tree
        .lines()
        .filter(|line| line.starts_with("card-applet-spec v"))
        .collect();
    assert!(!lines.is_empty(), "{arguments:?} do not use the specification");
    lines
        .iter()
        .filter_map(|line| line.split_once('|'))
        .flat_map(|(_, features)| features.trim_end_matches(" (*)").split(','))
        .filter(|feature| !feature.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_production_program_counts_its_operations() {
    let together: Vec<&str> = PROGRAMS
        .iter()
        .flat_map(|program| ["--package", *program])
        .collect();
    assert!(!features_of_the_specification(&together).contains("meter"));
    for program in PROGRAMS {
        // The photo store has no cards.
        if program != "photo-store" || Workspace::read().tree(program).contains("card-applet-spec") {
            let features = features_of_the_specification(&["--package", program]);
            assert!(!features.contains("meter"), "{program} counts operations");
        }
    }
    // What this test looks at is there when it is asked for.
    let asked = features_of_the_specification(&["--package", "virtual-card", "--features", "taptime"]);
    assert!(asked.contains("meter"));
}

#[test]
fn the_card_crates_carry_no_std_only_crate() {
    let workspace = Workspace::read();
    for card in ["card-applet-spec", "card-applet"] {
        let tree = workspace.tree(card);
        for needs_std in [
            "serde_json",
            "std",
            "rand",
            "tokio",
            "tracing-subscriber",
            "anyhow",
            "clap",
        ] {
            assert!(!tree.contains(needs_std), "{card} contains {needs_std}");
        }
    }
}

#[test]
fn sql_stands_only_in_modules_and_crates_named_store() {
    let workspace = Workspace::read();
    let mut strays = Vec::new();
    for id in &workspace.members {
        for path in sources(&workspace.folders[id]) {
            // A folder of unit tests is no product: its attacks on tables name them.
            let in_store = path
                .strip_prefix(&workspace.folders[id])
                .unwrap()
                .with_extension("")
                .components()
                .any(|part| part.as_os_str() == "store" || part.as_os_str() == "tests")
                || workspace.folders[id].ends_with("store");
            let text = fs::read_to_string(&path).unwrap();
            if !in_store && (path.extension().is_some_and(|end| end == "sql") || has_sql(&text)) {
                strays.push(path);
            }
        }
    }
    assert!(strays.is_empty(), "SQL outside a store: {strays:#?}");
}

/// The sources of a crate of ours: everything below its `src`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.join("src")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs" || end == "sql") {
                found.push(path);
            }
        }
    }
    found
}

/// SQL as we write it, in upper case. SELECT alone is also a command of the card.
fn has_sql(text: &str) -> bool {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line.trim(), " "])
        .collect();
    let marks = [
        "INSERT INTO ",
        "DELETE FROM ",
        "CREATE TABLE ",
        "CREATE INDEX ",
        "PRAGMA ",
        " ON CONFLICT ",
    ];
    let reads = code
        .split("SELECT ")
        .skip(1)
        .any(|rest| rest.chars().take(400).collect::<String>().contains(" FROM "));
    let changes = code
        .split("UPDATE ")
        .skip(1)
        .any(|rest| rest.split_whitespace().nth(1) == Some("SET"));
    reads || changes || marks.iter().any(|mark| code.contains(mark))
}

#[test]
fn sql_is_recognised_and_a_card_command_is_not() {
    assert!(has_sql("const A: &str = \"SELECT a,\n    b FROM t\";"));
    assert!(has_sql("\"UPDATE t SET a = $1\""));
    assert!(has_sql("\"INSERT INTO t VALUES ($1)\""));
    assert!(!has_sql(
        "// SELECT a FROM t\nconst SELECT: u8 = 0xA4; // SELECT, then UPDATE of a slot"
    ));
}
