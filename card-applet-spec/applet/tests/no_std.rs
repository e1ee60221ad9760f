//! The card needs neither std nor an allocator: the crate in `no_std/` is built as a library for a platform without
//! them, its open symbols are looked at, it is linked with nothing but five memory functions and the compiler's own
//! library, and it answers.
//!
//! Left out on purpose: another instruction set. No bare-metal target can be taken for granted where the tests run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where something is not as it must be"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What compilers call by themselves, and every C platform has.
const PLATFORM: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];
/// Divisions of 128 bits, in the compiler's own library (`libgcc`), which stands below any C library.
const COMPILER: [&str; 2] = ["__udivti3", "__umodti3"];

/// Runs a program that must succeed; gives what it printed.
fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        status.success(),
        "{command:?}: {status}\n{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    String::from_utf8(stdout).unwrap()
}

/// Writes a file so that a second run of this test beside it never reads half of it.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return;
    }
    let draft = path.with_extension(format!("{}", std::process::id()));
    fs::write(&draft, text).unwrap();
    fs::rename(&draft, path).unwrap();
}

/// Name and version of every package of a lock file.
fn packages(lock: &str) -> BTreeSet<(String, String)> {
    let field = |line: Option<&str>, name: &str| {
        let value = line.and_then(|line| line.strip_prefix(name)).unwrap_or_default();
        value.trim_matches([' ', '=', '"']).to_owned()
    };
    lock.split("[[package]]")
        .skip(1)
        .map(|package| {
            let mut lines = package.trim().lines();
            (field(lines.next(), "name"), field(lines.next(), "version"))
        })
        .collect()
}

/// Builds the library offline; gives its path. The crate is copied out, so that nothing is written into the sources,
/// and takes the versions of the workspace's lock file, which are the ones that are there.
fn library(sources: &Path, folder: &Path) -> PathBuf {
    let applet = sources.ancestors().nth(2).unwrap();
    let specification = applet.parent().unwrap();
    let workspace = specification.parent().unwrap();
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = fs::read_to_string(sources.join("Cargo.toml")).unwrap();
    let quoted = |path: &Path| format!("{:?}", path.to_str().unwrap());
    let manifest = manifest
        .replace("\"../../..\"", &quoted(specification))
        .replace("\"../..\"", &quoted(applet));
    write(&folder.join("Cargo.toml"), &manifest);
    let code = fs::read_to_string(sources.join("src/lib.rs")).unwrap();
    write(&folder.join("src/lib.rs"), &code);
    let lock = fs::read_to_string(workspace.join("Cargo.lock")).unwrap();
    write(&folder.join("Cargo.lock"), &lock);
    run(Command::new(env!("CARGO"))
        .args(["build", "--release", "--offline", "--quiet"])
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.join("target"))
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS"));
    let used = fs::read_to_string(folder.join("Cargo.lock")).unwrap();
    let known = packages(&lock);
    for package in packages(&used) {
        let ours = package.0 == "card-without-std";
        assert!(
            ours || known.contains(&package),
            "{package:?} is not in the workspace's lock file"
        );
    }
    folder.join("target/release/libcard_without_std.a")
}

#[test]
fn the_card_needs_neither_std_nor_an_allocator() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/no_std");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std");
    let library = library(&sources, &folder);

    // Open symbols: defined nowhere in the library.
    let symbols = |kind: &str| -> BTreeSet<String> {
        let listing = run(Command::new("nm")
            .args(["--format=just-symbols", "--quiet", kind])
            .arg(&library));
        let names = listing
            .lines()
            .filter(|line| !line.is_empty() && !line.ends_with(':'));
        names.map(str::to_owned).collect()
    };
    let (defined, wanted) = (symbols("--defined-only"), symbols("--undefined-only"));
    let open: BTreeSet<&String> = wanted.difference(&defined).collect();
    println!("open symbols: {open:?}");
    for name in &open {
        let name = name.as_str();
        let known = PLATFORM.contains(&name) || COMPILER.contains(&name);
        assert!(known || name == "_GLOBAL_OFFSET_TABLE_", "the card needs {name}");
    }
    for name in defined.union(&wanted) {
        for word in [
            "__rust_alloc",
            "__rust_realloc",
            "__rg_alloc",
            "__rdl_alloc",
            "malloc",
        ] {
            assert!(!name.contains(word), "the library knows of an allocator: {name}");
        }
        assert!(
            !name.contains("3std") && !name.contains("5alloc"),
            "the library holds a part of std or alloc: {name}"
        );
    }

    // Linked with nothing else. Files carry the process's number: two runs may be at it side by side.
    let own = |name: &str| folder.join(format!("{}-{name}", std::process::id()));
    let (object, shared, program) = (own("platform.o"), own("card.so"), own("host"));
    run(Command::new("cc")
        .args([
            "-O1",
            "-fPIC",
            "-ffreestanding",
            "-fno-tree-loop-distribute-patterns",
            "-c",
            "-o",
        ])
        .arg(&object)
        .arg(sources.join("platform.c")));
    run(Command::new("cc")
        .args(["-nostdlib", "-nostartfiles", "-shared", "-Wl,--no-undefined"])
        .args(["-Wl,-u,card_answers", "-o"])
        .arg(&shared)
        .args([&library, &object])
        .arg("-lgcc"));
    assert!(run(Command::new("nm").args(["-D", "--defined-only"]).arg(&shared)).contains("card_answers"));
    let needed = run(Command::new("nm").args(["-D", "--undefined-only"]).arg(&shared));
    assert_eq!(needed.trim(), "", "the card wants something at run time");

    // And it answers: SELECT with card info, INITIALIZE UPDATE with 29 bytes, the serial of a blank.
    run(Command::new("cc")
        .args(["-O1", "-o"])
        .arg(&program)
        .arg(sources.join("host.c"))
        .args([&library, &object]));
    let select = "00a4040007f0595a5452500100";
    let card_info = "6f198407f0595a54525001a50e80020100810200018201018301019000";
    assert_eq!(run(Command::new(&program).arg(select)).trim(), card_info);
    let serial = run(Command::new(&program).args([select, "80ca004500"]));
    assert_eq!(serial.trim(), "00010000002a000000079000");
    let opened = run(Command::new(&program).args([select, "8050000008000102030405060700"]));
    assert_eq!(opened.trim().len(), 2 * (29 + 2), "{opened}");
    assert!(opened.trim().ends_with("9000"), "{opened}");
    let refused = run(Command::new(&program).args(["80ca004500"]));
    assert_eq!(refused.trim(), "6985");
    for file in [object, shared, program] {
        fs::remove_file(file).unwrap();
    }
}
