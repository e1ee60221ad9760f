//! No files of a crate import each other in a circle, and inside a crate a module is named, not the facade.
//!
//! Read from the text of the sources: `use` declarations and paths in code that begin with `crate`, `self`, `super`, a
//! module declared in the file, or a module imported there. `mod child;` alone is no import; a facade that re-exports its
//! children imports them, so a child that takes something from the facade closes a circle. Tests inside a file
//! (`#[cfg(test)] mod`) are left out, and macros of the standard kind `crate::name!`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Circles that are allowed, by two of their files and the reason.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle() {
    let mut circles = Vec::new();
    for folder in crates() {
        let graph = Graph::of(&folder);
        for circle in graph.circles() {
            let is_excepted = EXCEPTIONS.iter().any(|(a, b, _)| {
                [a, b]
                    .iter()
                    .all(|name| circle.iter().any(|file| file.ends_with(name)))
            });
            if !is_excepted {
                circles.push(format!(
                    "{} files of {}:\n{}",
                    circle.len(),
                    folder.display(),
                    graph.describe(&circle)
                ));
            }
        }
    }
    assert!(
        circles.is_empty(),
        "{} circles; move what both sides need into a file below them:\n{}",
        circles.len(),
        circles.join("\n")
    );
}

#[test]
fn inside_a_crate_the_module_is_named_and_not_the_facade() {
    let mut strays = Vec::new();
    for folder in crates() {
        let graph = Graph::of(&folder);
        for (file, targets) in &graph.edges {
            strays.extend(
                targets
                    .iter()
                    .filter(|target| graph.roots.contains(*target) && *target != file)
                    .map(|_| file.display().to_string()),
            );
        }
    }
    assert!(
        strays.is_empty(),
        "these files take something from the root of their crate; name the module that has it:\n{}",
        strays.join("\n")
    );
}

/// The folders of the crates of the workspace: everything that has a manifest and a `src`.
pub(super) fn crates() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members = manifest
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .unwrap()
        .0;
    let folders: Vec<PathBuf> = members
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split('"').next())
        .map(|member| root.join(member))
        .collect();
    assert!(folders.len() > 10, "the members of the workspace were not read");
    folders
}

/// A module by the names on the way to it from the root of its crate.
type Module = Vec<String>;

/// The files of a crate and what they import.
struct Graph {
    edges: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    roots: BTreeSet<PathBuf>,
}

impl Graph {
    fn of(folder: &Path) -> Self {
        let sources = folder.join("src");
        let mut files = Vec::new();
        find(&sources, &mut files);
        let mut graph = Self {
            edges: BTreeMap::new(),
            roots: BTreeSet::new(),
        };
        // A library and each program are crates of their own, with a root of their own.
        let mut roots = vec![sources.join("lib.rs"), sources.join("main.rs")];
        roots.extend(
            files
                .iter()
                .filter(|file| file.parent() == Some(&sources.join("bin")))
                .cloned(),
        );
        for root in roots.into_iter().filter(|root| root.is_file()) {
            let mut modules = BTreeMap::new();
            collect(&root, &Module::new(), &mut modules);
            for (module, file) in &modules {
                let text = fs::read_to_string(file).unwrap();
                let imports = imports(&text, module, &modules);
                graph.edges.entry(file.clone()).or_default().extend(
                    imports
                        .into_iter()
                        .map(|target| modules[&target].clone())
                        .filter(|target| target != file),
                );
            }
            graph.roots.insert(root);
        }
        graph
    }

    /// Files that reach each other, each group of two or more once (Tarjan).
    fn circles(&self) -> Vec<Vec<PathBuf>> {
        let reach: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> =
            self.edges.keys().map(|file| (file, self.reach(file))).collect();
        let mut taken = BTreeSet::new();
        let mut circles = Vec::new();
        for (file, reached) in &reach {
            if taken.contains(*file) || !reached.contains(*file) {
                continue;
            }
            let circle: Vec<PathBuf> = reached
                .iter()
                .filter(|other| reach.get(*other).is_some_and(|back| back.contains(*file)))
                .map(|other| (*other).clone())
                .collect();
            taken.extend(circle.iter().cloned());
            circles.push(circle);
        }
        circles
    }

    fn reach(&self, from: &Path) -> BTreeSet<&PathBuf> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&PathBuf> = self.edges[from].iter().collect();
        while let Some(file) = open.pop() {
            if reached.insert(file) {
                open.extend(self.edges.get(file).into_iter().flatten());
            }
        }
        reached
    }

    fn describe(&self, circle: &[PathBuf]) -> String {
        let name = |path: &Path| {
            let parts: Vec<_> = path.components().rev().take(2).collect();
            parts
                .iter()
                .rev()
                .map(|part| part.as_os_str().to_string_lossy())
                .collect::<Vec<_>>()
                .join("/")
        };
        circle
            .iter()
            .map(|file| {
                let targets: Vec<String> = self.edges[file]
                    .iter()
                    .filter(|target| circle.contains(target))
                    .map(|target| name(target))
                    .collect();
                format!("    {} imports {}", name(file), targets.join(", "))
            })
            .collect::<Vec<_>>()
            .join("\n")
    }
}

pub(super) fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

/// The files of the library of a crate; none where it has none.
pub(super) fn library(folder: &Path) -> Vec<PathBuf> {
    let root = folder.join("src/lib.rs");
    let mut modules = BTreeMap::new();
    if root.is_file() {
        collect(&root, &Module::new(), &mut modules);
    }
    modules.into_values().collect()
}

/// The file of a module and of everything below it, following `mod name;`.
fn collect(file: &Path, module: &Module, modules: &mut BTreeMap<Module, PathBuf>) {
    modules.insert(module.clone(), file.to_owned());
    let text = fs::read_to_string(file).unwrap();
    // `src/a.rs` has its children in `src/a/`; a root and a `mod.rs` have theirs beside them.
    let is_folder_file = module.is_empty() || file.file_name().is_some_and(|name| name == "mod.rs");
    let folder = if is_folder_file {
        file.parent().unwrap().to_owned()
    } else {
        file.with_extension("")
    };
    for child in declared(&names_and_signs(&text)) {
        let place = [
            folder.join(format!("{child}.rs")),
            folder.join(&child).join("mod.rs"),
        ];
        if let Some(file) = place.iter().find(|file| file.is_file()) {
            let mut name = module.clone();
            name.push(child);
            collect(file, &name, modules);
        }
    }
}

/// The modules of a crate that a file takes something from.
fn imports(text: &str, module: &Module, modules: &BTreeMap<Module, PathBuf>) -> BTreeSet<Module> {
    let tokens = names_and_signs(text);
    let children: BTreeSet<String> = declared(&tokens).into_iter().collect();
    let mut reader = Reader {
        tokens: &tokens,
        module,
        modules,
        children: &children,
        names: BTreeMap::new(),
        found: BTreeSet::new(),
    };
    // First the names that `use` brings, then the paths in code, which may begin with one of them.
    reader.read(true);
    reader.read(false);
    reader.found
}

struct Reader<'a> {
    tokens: &'a [String],
    module: &'a Module,
    modules: &'a BTreeMap<Module, PathBuf>,
    children: &'a BTreeSet<String>,
    /// Modules that a `use` gave a name in this file.
    names: BTreeMap<String, Module>,
    found: BTreeSet<Module>,
}

impl Reader<'_> {
    fn read(&mut self, declarations: bool) {
        // Depth of braces at which each module inside the file began: `super` in it is this file.
        let mut inner: Vec<usize> = Vec::new();
        let mut depth = 0_usize;
        let mut at = 0;
        while at < self.tokens.len() {
            match self.tokens[at].as_str() {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    inner.retain(|begun| *begun < depth);
                }
                "mod" if self.token(at + 2) == "{" => inner.push(depth),
                "use" => {
                    let end = self.end_of_use(at);
                    if declarations {
                        self.tree(at + 1, end, &mut Vec::new(), inner.len());
                    }
                    at = end;
                    continue;
                }
                _ if !declarations && self.token(at + 1) == "::" && self.starts_path(at) => {
                    let (path, next) = self.path(at);
                    // A macro of the crate stands at its root by the language's rule.
                    if self.token(next) != "!" || path.len() > 2 {
                        self.take(&path, inner.len());
                    }
                    at = next;
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn token(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", String::as_str)
    }

    fn starts_path(&self, at: usize) -> bool {
        let before = at.checked_sub(1).map_or("", |at| self.token(at));
        let first = self.token(at);
        before != "::"
            && before != "$"
            && (["crate", "self", "super"].contains(&first)
                || self.children.contains(first)
                || self.names.contains_key(first))
    }

    fn path(&self, mut at: usize) -> (Vec<String>, usize) {
        let mut path = vec![self.token(at).to_owned()];
        while self.token(at + 1) == "::" && is_name(self.token(at + 2)) {
            at += 2;
            path.push(self.token(at).to_owned());
        }
        (path, at + 1)
    }

    fn end_of_use(&self, mut at: usize) -> usize {
        while at < self.tokens.len() && self.token(at) != ";" {
            at += 1;
        }
        at
    }

    /// One branch of a `use` tree, from `at` to before `end`.
    fn tree(&mut self, mut at: usize, end: usize, way: &mut Vec<String>, inner: usize) {
        let length = way.len();
        // A comma may stand after the last branch: nothing is named between it and the brace.
        let is_empty = at >= end;
        while at < end {
            match self.token(at) {
                "{" => {
                    let mut here = at + 1;
                    let mut begin = here;
                    let mut depth = 0_usize;
                    while here < end {
                        match self.token(here) {
                            "{" => depth += 1,
                            "}" if depth > 0 => depth -= 1,
                            "," | "}" if depth == 0 => {
                                self.tree(begin, here, way, inner);
                                begin = here + 1;
                            }
                            _ => {}
                        }
                        here += 1;
                    }
                    way.truncate(length);
                    return;
                }
                "as" => {
                    self.bring(way, Some(at + 1), inner);
                    way.truncate(length);
                    return;
                }
                "::" => {}
                // `use a::{self}` is the module itself.
                "self" if !way.is_empty() => {}
                name => way.push(name.to_owned()),
            }
            at += 1;
        }
        if !is_empty {
            self.bring(way, None, inner);
        }
        way.truncate(length);
    }

    fn bring(&mut self, way: &[String], named: Option<usize>, inner: usize) {
        let first = way.first().map_or("", String::as_str);
        if !["crate", "self", "super"].contains(&first) && !self.children.contains(first) {
            return;
        }
        let Some(full) = self.resolve(way, inner) else {
            return;
        };
        self.found_at(&full);
        if self.modules.contains_key(&full) {
            let name = named.map_or_else(
                || way.last().cloned().unwrap_or_default(),
                |at| self.token(at).to_owned(),
            );
            self.names.insert(name, full);
        }
    }

    fn take(&mut self, path: &[String], inner: usize) {
        if let Some(full) = self.resolve(path, inner) {
            self.found_at(&full);
        }
    }

    /// The nearest module above or at a full path has what the path names.
    fn found_at(&mut self, full: &[String]) {
        let mut module = full.to_vec();
        while !self.modules.contains_key(&module) {
            module.pop();
        }
        self.found.insert(module);
    }

    /// A path from the root of the crate; `None` when it leads out of it.
    fn resolve(&self, path: &[String], inner: usize) -> Option<Module> {
        let mut rest = path.iter();
        let first = rest.next()?.as_str();
        let mut full = match first {
            "crate" => Module::new(),
            "self" | "super" => self.module.clone(),
            name => match self.names.get(name) {
                Some(module) if !self.children.contains(name) => module.clone(),
                _ => {
                    let mut child = self.module.clone();
                    child.push(name.to_owned());
                    child
                }
            },
        };
        let mut inner = inner;
        let mut up = |full: &mut Module| {
            if inner > 0 {
                inner -= 1;
            } else {
                full.pop();
            }
        };
        if first == "super" {
            up(&mut full);
        }
        for name in rest {
            match name.as_str() {
                "super" => up(&mut full),
                "*" => {}
                name => full.push(name.to_owned()),
            }
        }
        Some(full)
    }
}

fn is_name(token: &str) -> bool {
    token
        .chars()
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
}

/// The children that a file declares with `mod name;`.
fn declared(tokens: &[String]) -> Vec<String> {
    tokens
        .windows(3)
        .filter(|three| three[0] == "mod" && three[2] == ";")
        .map(|three| three[1].clone())
        .collect()
}

/// Names and signs of a source without comments, texts, and modules for tests.
pub(super) fn names_and_signs(text: &str) -> Vec<String> {
    let signs: Vec<char> = text.chars().collect();
    let mut tokens: Vec<String> = Vec::new();
    let mut at = 0;
    while at < signs.len() {
        let sign = signs[at];
        let next = signs.get(at + 1).copied().unwrap_or(' ');
        if sign == '/' && next == '/' {
            while at < signs.len() && signs[at] != '\n' {
                at += 1;
            }
        } else if sign == '/' && next == '*' {
            while at + 1 < signs.len() && (signs[at], signs[at + 1]) != ('*', '/') {
                at += 1;
            }
            at += 2;
        } else if let Some(after) = raw_text(&signs, at) {
            at = after;
        } else if sign == '"' {
            at += 1;
            while at < signs.len() && signs[at] != '"' {
                at += if signs[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if sign == '\'' {
            // A sign such as 'x' or '\n'; else a lifetime.
            let length = if next == '\\' {
                signs[at + 2..]
                    .iter()
                    .skip(1)
                    .position(|sign| *sign == '\'')
                    .map(|end| end + 4)
            } else {
                (signs.get(at + 2) == Some(&'\'')).then_some(3)
            };
            at += length.unwrap_or(1);
        } else if sign.is_alphanumeric() || sign == '_' {
            let start = at;
            while at < signs.len() && (signs[at].is_alphanumeric() || signs[at] == '_') {
                at += 1;
            }
            tokens.push(signs[start..at].iter().collect());
        } else if sign == ':' && next == ':' {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            if !sign.is_whitespace() {
                tokens.push(sign.to_string());
            }
            at += 1;
        }
    }
    without_tests(&tokens)
}

/// The place behind a raw text `r"..."` or `r#"..."#` that begins here.
fn raw_text(signs: &[char], at: usize) -> Option<usize> {
    let is_begin = signs[at] == 'r'
        && !at
            .checked_sub(1)
            .is_some_and(|before| signs[before].is_alphanumeric() && signs[before] != 'b');
    let hashes = signs[at + 1..].iter().take_while(|sign| **sign == '#').count();
    if !is_begin || signs.get(at + 1 + hashes) != Some(&'"') {
        return None;
    }
    let mut end = at + 2 + hashes;
    while end < signs.len() {
        if signs[end] == '"' && signs[end + 1..].iter().take_while(|sign| **sign == '#').count() >= hashes {
            return Some(end + 1 + hashes);
        }
        end += 1;
    }
    Some(end)
}

fn without_tests(tokens: &[String]) -> Vec<String> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..]
            .iter()
            .zip(mark)
            .filter(|(token, sign)| token == sign)
            .count()
            == mark.len()
        {
            // The item behind it: up to its `;`, or the end of its braces.
            let mut depth = 0_usize;
            at += mark.len();
            while at < tokens.len() {
                match tokens[at].as_str() {
                    "{" => depth += 1,
                    "}" if depth == 1 => break,
                    "}" => depth = depth.saturating_sub(1),
                    ";" if depth == 0 => break,
                    _ => {}
                }
                at += 1;
            }
            at += 1;
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// A crate of three files whose root is `root`.
fn of(root: &str, files: &[(&str, &str)]) -> Graph {
    let folder = tempfile::tempdir().unwrap();
    let sources = folder.path().join("src");
    for (name, text) in [("lib.rs", root)].iter().chain(files) {
        let path = sources.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Graph::of(folder.path())
}

#[test]
fn a_circle_is_found_in_whatever_way_it_is_written() {
    let below = "pub(crate) struct B;";
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use crate::{c::C, b::{self, B}};", "fn f() { crate::a::g(); }"),
        (
            "use super::b::B as Other;",
            "use super::{a as other}; fn f() { other::g() }",
        ),
        ("fn f() -> super::b::B { todo() }", "use crate::a;"),
        ("mod inner { use super::super::b::B; }", "use crate::a::inner;"),
    ] {
        let graph = of(
            "mod a; mod b; mod c;",
            &[("a.rs", a), ("b.rs", b), ("c.rs", below)],
        );
        let circles = graph.circles();
        assert_eq!(circles.len(), 1, "{a} / {b}: {:?}", graph.edges);
        assert_eq!(circles[0].len(), 2, "{a} / {b}");
    }
    // Over the facade, and over three files.
    let graph = of("mod a; pub use a::A;", &[("a.rs", "use crate::A;")]);
    assert_eq!(graph.circles().len(), 1);
    let graph = of(
        "mod a;",
        &[
            ("a/mod.rs", "mod x; mod y; pub use x::X;"),
            ("a/x.rs", "use super::y::Y;"),
            ("a/y.rs", "use crate::a::X;"),
        ],
    );
    assert_eq!(graph.circles()[0].len(), 3);
}

#[test]
fn what_is_no_import_makes_no_circle() {
    for (a, b) in [
        (
            "use crate::b::B;",
            "// use crate::a::A;\n/* crate::a::A */ const T: &str = \"crate::a::A\";",
        ),
        ("use crate::b::B;", "#[cfg(test)] mod tests { use crate::a::A; }"),
        (
            "use crate::b::B;",
            "const T: &str = r#\"use \"crate::a::A\"; \"#; const Q: char = '\"';",
        ),
        (
            "use crate::{\n b,\n};",
            "use std::collections::BTreeMap; fn f<'a>(x: &'a u8) {}",
        ),
    ] {
        let graph = of("mod a; mod b; pub use a::A;", &[("a.rs", a), ("b.rs", b)]);
        assert!(graph.circles().is_empty(), "{a} / {b}: {:?}", graph.edges);
    }
}
