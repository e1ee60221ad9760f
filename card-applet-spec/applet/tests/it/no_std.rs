//! The card needs neither std nor an allocator: the crate in `no_std/` is built as a library for a platform without
//! them, its open symbols are looked at, it is linked with nothing but five memory functions and the compiler's own
//! library, and it answers. What was linked is then searched for ways to panic: our own code has none.
//!
//! Left out on purpose: another instruction set. No bare-metal target can be taken for granted where the tests run. And
//! the crates of others: which of them keep a way to panic is listed, not judged.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

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

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/no_std")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std")
}

/// The library, built once for all tests of this file.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| library(&sources(), &folder()))
}

/// A path of this run's own: two runs may be at it side by side.
fn own(name: &str) -> PathBuf {
    folder().join(format!("{}-{name}", std::process::id()))
}

/// Links the library with the five functions of a platform and the compiler's own; nothing else.
fn link(object: &Path, shared: &Path) {
    let library = built();
    run(Command::new("cc")
        .args([
            "-O1",
            "-fPIC",
            "-ffreestanding",
            "-fno-tree-loop-distribute-patterns",
            "-c",
            "-o",
        ])
        .arg(object)
        .arg(sources().join("platform.c")));
    run(Command::new("cc")
        .args(["-nostdlib", "-nostartfiles", "-shared", "-Wl,--no-undefined"])
        .args(["-Wl,--gc-sections", "-Wl,-u,card_answers", "-o"])
        .arg(shared)
        .args([library, object])
        .arg("-lgcc"));
}

#[test]
fn the_card_needs_neither_std_nor_an_allocator() {
    let library = built();

    // Open symbols: defined nowhere in the library.
    let symbols = |kind: &str| -> BTreeSet<String> {
        let listing = run(Command::new("nm")
            .args(["--format=just-symbols", "--quiet", kind])
            .arg(library));
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

    // Linked with nothing else.
    let (object, shared, program) = (own("platform.o"), own("card.so"), own("host"));
    link(&object, &shared);
    assert!(run(Command::new("nm").args(["-D", "--defined-only"]).arg(&shared)).contains("card_answers"));
    let needed = run(Command::new("nm").args(["-D", "--undefined-only"]).arg(&shared));
    assert_eq!(needed.trim(), "", "the card wants something at run time");

    // And it answers: SELECT with card info, INITIALIZE UPDATE with 29 bytes, the serial of a blank.
    run(Command::new("cc")
        .args(["-O1", "-o"])
        .arg(&program)
        .arg(sources().join("host.c"))
        .args([library, &object]));
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

/// Crates of others in which the linked card keeps a way to panic: array bounds and assertions that the compiler does not
/// see through, in code that gets whole blocks and points that were checked. A new name here is a reason to look.
const OTHERS: &[&str] = &[
    "aes",
    "block-buffer",
    "cipher",
    "crypto-bigint",
    "dbl",
    "ecdsa",
    "heapless",
    "hybrid-array",
    "inout",
    "primeorder",
    "sec1",
    "sha2",
    "subtle",
    "wnaf",
];

/// Function and address of every call and jump to another function.
fn calls(shared: &Path) -> BTreeMap<String, Vec<(String, String)>> {
    let listing = run(Command::new("objdump")
        .args(["--disassemble", "--no-show-raw-insn"])
        .arg(shared));
    let mut calls: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut function = String::new();
    for line in listing.lines() {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <")) {
            name.clone_into(&mut function);
        } else if let Some((address, code)) = line.trim().split_once(':')
            && let Some(target) = code.strip_suffix('>').and_then(|code| code.rsplit_once('<'))
            && !target.1.contains('+')
            && target.1 != function
        {
            calls
                .entry(target.1.to_owned())
                .or_default()
                .push((function.clone(), address.to_owned()));
        }
    }
    calls
}

/// The first file behind an address, from the inside out, that is not the standard library's. None where the whole
/// function is the library's.
fn owner(shared: &Path, address: &str) -> Option<String> {
    let frames = run(Command::new("addr2line")
        .arg("--inlines")
        .arg("--exe")
        .arg(shared)
        .arg(address));
    frames
        .lines()
        .find(|line| !line.contains("/library/") && !line.starts_with('?'))
        .map(str::to_owned)
}

#[test]
fn our_own_code_has_no_way_to_panic() {
    let (object, shared) = (own("panic.o"), own("panic.so"));
    link(&object, &shared);
    let calls = calls(&shared);
    assert!(calls.len() > 100, "the card was disassembled");
    let panics = |name: &&String| {
        let core = name.contains("4core");
        core && ["panicking", "unwrap_failed", "expect_failed", "_fail"]
            .iter()
            .any(|word| name.contains(word))
    };
    let mut reach: BTreeSet<&String> = calls.keys().filter(panics).collect();
    assert!(
        !reach.is_empty(),
        "the crates of others have some: the search finds nothing"
    );
    let mut open: Vec<&String> = reach.iter().copied().collect();
    let (mut ours, mut others) = (BTreeSet::new(), BTreeSet::new());
    while let Some(target) = open.pop() {
        for (function, address) in calls.get(target).into_iter().flatten() {
            match owner(&shared, address) {
                // A function of the standard library that panics: its callers are looked at.
                None => {
                    if reach.insert(function) {
                        open.push(function);
                    }
                }
                Some(line) => {
                    let package = line.split_once("/registry/src/").map(|(_, path)| {
                        let folder = path.split('/').nth(1).unwrap_or_default();
                        folder
                            .rsplit_once('-')
                            .map_or(folder, |(name, _)| name)
                            .to_owned()
                    });
                    match package {
                        Some(package) => others.insert(package),
                        None => ours.insert(line),
                    };
                }
            }
        }
    }
    println!("ways to panic stay in {others:?}");
    assert!(ours.is_empty(), "our own code can panic: {ours:#?}");
    let known: BTreeSet<String> = OTHERS.iter().map(|name| (*name).to_owned()).collect();
    let new: Vec<_> = others.difference(&known).collect();
    assert!(
        new.is_empty(),
        "look at these, then add them to the list: {new:?}"
    );
    for file in [object, shared] {
        fs::remove_file(file).unwrap();
    }
}
