//! What documents, messages and comments say about a program's commands, held against the program. For tests: every program
//! holds its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory};

use crate::outcome::{self, Program};

/// Folders that are no part of the repository: what builds, demos and tools leave.
const LEFT: [&str; 2] = ["target", "demo"];
/// What tells of the past names what is gone.
const PAST: [&str; 2] = ["CHANGELOG.md", "decisions"];

/// Files with this ending below a folder of the repository.
///
/// # Errors
/// A folder that cannot be read.
pub fn files(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && !LEFT.contains(&&*name) {
            found.extend(files(&path, ending)?);
        } else if path.extension().is_some_and(|end| end == ending) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Holds what the repository around `folder` says about a program's commands against them.
///
/// # Errors
/// What the program does not have, a line each; or that nothing is said about it, or cannot be read.
pub fn hold<A: CommandFactory>(program: Program, folder: &str) -> Result<(), String> {
    let is_root = |folder: &&Path| folder.join("Cargo.lock").is_file();
    let root = Path::new(folder)
        .ancestors()
        .find(is_root)
        .ok_or("no repository")?;
    match commands::<A>(program, root) {
        Ok((0, _)) => Err(format!("nothing is said about {}", program.name)),
        Ok((_, strays)) if strays.is_empty() => Ok(()),
        Ok((_, strays)) => Err(strays.join("\n")),
        Err(error) => Err(error.to_string()),
    }
}

/// How many commands of a program the repository at `root` names, and those that the program does not have: a command, an
/// option of one, or a value of a closed list that the option does not take, in a document's code, between backquotes in the text
/// of a program, or in a unit of the service manager.
///
/// # Errors
/// A file that cannot be read.
fn commands<A: CommandFactory>(program: Program, root: &Path) -> io::Result<(usize, Vec<String>)> {
    let (mut count, mut strays) = (0, Vec::new());
    let mut command = outcome::command::<A>();
    // Options that hold everywhere are then there everywhere.
    command.build();
    let documents = files(root, "md")?.into_iter().filter(|path| {
        let past = |part| PAST.iter().any(|past| part == *past);
        !path.iter().any(past)
    });
    let written = documents.chain(files(root, "rs")?).chain(files(root, "service")?);
    for file in written {
        let text = fs::read_to_string(&file)?;
        let mut named: Vec<String> = spans(&text).map(str::to_owned).collect();
        if file.extension().is_some_and(|end| end == "md") {
            named.extend(lines(&text));
        }
        named.extend(started(&text).map(str::to_owned));
        for line in named {
            let words = words(program.name, &line);
            if let Some(first) = words.first() {
                // A word after the name, or an option: no sentence about the program, no list of crates.
                if first.starts_with("--") || is_word(first) {
                    count += 1;
                    if let Some(stray) = stray(&command, &words) {
                        strays.push(format!("{}: `{line}`: no {stray}", file.display()));
                    }
                }
            }
        }
    }
    Ok((count, strays))
}

/// What stands between backquotes on one line.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// What a unit of the service manager starts; of a shell, what it becomes.
fn started(unit: &str) -> impl Iterator<Item = &str> {
    let commands = unit.lines().filter_map(|line| line.strip_prefix("ExecStart="));
    commands.map(|line| line.split_once("exec ").map_or(line, |(_, command)| command))
}

/// The lines of a document's blocks of code; one that ends in a backslash goes on in the next.
fn lines(text: &str) -> Vec<String> {
    let (mut found, mut fenced, mut open) = (Vec::<String>::new(), false, false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if !fenced && !line.starts_with("    ") {
            open = false;
            continue;
        }
        let (part, goes_on) = match line.trim().strip_suffix('\\') {
            Some(part) => (part.trim(), true),
            None => (line.trim(), false),
        };
        match found.last_mut().filter(|_| open) {
            Some(last) => {
                last.push(' ');
                last.push_str(part);
            }
            None => found.push(part.to_owned()),
        }
        open = goes_on;
    }
    found
}

/// The words after the program's name, without what is written around them; none where the line is not about it. A remark
/// ends the command. `cargo run -p program -- ...` is about it too.
fn words<'a>(program: &str, line: &'a str) -> Vec<&'a str> {
    let mut words = split(line)
        .into_iter()
        .skip_while(|word| matches!(*word, "$" | "sudo" | "exec") || is_setting(word))
        .take_while(|word| !word.starts_with('#') && !word.starts_with("yzt."))
        .peekable();
    let mut name = words
        .next()
        .map(|word| word.rsplit_once('/').map_or(word, |(_, name)| name));
    if name == Some("cargo") && words.next_if_eq(&"run").is_some() {
        name = None;
        while let Some(word) = words.next().filter(|word| *word != "--") {
            if ["-p", "--bin"].contains(&word) {
                name = words.next();
            }
        }
    }
    if name != Some(program) {
        return Vec::new();
    }
    words
        .map(
            |word| match word.trim_matches(|sign: char| "[](),.;:'\"…".contains(sign)) {
                "" => "...",
                word => word,
            },
        )
        .collect()
}

/// The words of a line; what stands between quotation marks is one.
fn split(line: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), line.trim_start());
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest.find(|sign: char| {
            quoted ^= sign == '"';
            sign.is_whitespace() && !quoted
        });
        let end = match end {
            // A quotation mark that nothing closes is a sign like others.
            None if quoted => rest.find(char::is_whitespace),
            end => end,
        };
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        found.push(word);
        rest = behind.trim_start();
    }
    found
}

/// `NAME=value` before a command.
fn is_setting(word: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    word.split_once('=')
        .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(is_name))
}

fn is_word(word: &str) -> bool {
    word.split('|').all(|one| {
        one.starts_with(|first: char| first.is_ascii_lowercase())
            && one
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    })
}

/// The first of the words that the command does not know.
fn stray(mut command: &Command, words: &[&str]) -> Option<String> {
    let mut words = words.iter().copied().peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            return None;
        }
        if let Some(option) = word.strip_prefix("--") {
            let name = option.split('=').next().unwrap_or(option);
            if ["help", "version"].contains(&name) {
                continue;
            }
            let Some(known) = command
                .get_arguments()
                .find(|known| known.get_long() == Some(name))
            else {
                return Some(format!("option --{name} of `{}`", command.get_name()));
            };
            if !known.get_action().takes_values() {
                continue;
            }
            let value = match option.split_once('=') {
                Some((_, value)) => Some(value),
                None => words.next_if(|word| !word.starts_with("--") && *word != "|"),
            };
            if let Some(stray) = value.and_then(|value| stray_value(known, value)) {
                return Some(stray);
            }
        } else if command.has_subcommands() && !is_word(word) {
            // Any command: `program COMMAND --option`, `program ... --option`.
            return None;
        } else if command.has_subcommands() {
            let mut next = None;
            let others = std::iter::from_fn(|| words.next_if_eq(&"|").and_then(|_| words.next()));
            for one in word.split('|').chain(others.collect::<Vec<_>>()) {
                match command.find_subcommand(one) {
                    Some(found) => next = Some(found),
                    None => return Some(format!("command `{one}` of `{}`", command.get_name())),
                }
            }
            command = next?;
        }
    }
    None
}

/// The value, or the first of those between bars, that is not in the option's closed list.
fn stray_value(option: &Arg, value: &str) -> Option<String> {
    let known = option.get_possible_values();
    let strays = value.split('|').filter(|one| {
        // `DATE`, `$DAY`: something is to be filled in.
        let is_open = !one.bytes().any(|byte| byte.is_ascii_lowercase()) || one.contains('$');
        !known.is_empty() && !is_open && !known.iter().any(|known| known.matches(one, false))
    });
    let name = option.get_long().unwrap_or_default();
    strays
        .map(|one| format!("value `{one}` of option --{name}"))
        .next()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "vault")]
    struct Arguments {
        #[arg(long, global = true)]
        dir: Option<String>,
        #[command(subcommand)]
        step: Step,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Step {
        Open {
            #[arg(long)]
            key: String,
        },
        Close,
    }

    #[test]
    fn what_a_program_does_not_have_is_found_wherever_it_is_named() {
        let root = tempfile::tempdir().unwrap();
        let text = "Use `vault close`, `vault shut` or `the vault`.\n\n```\nvault --dir D open --key K   # --lock\nvault open \\\n  --lock L\nvault close --dir D yzt.vault/1\n```\n\n    vault open|close\n    vault open | shut\n    vault -> nothing\n    vault ... --any\n    vault STEP --any\n    vault --lang en close\n    cargo run -p vault -- close --lang zh-CN|fr\n    A=b vault close --lang=de\n    vault --lang fr shut\n    vault close --lang LANGUAGE\n    cargo run -p other --bin vault -- lock\n    vault --dir \"a b\" close \"c\n";
        fs::write(root.path().join("a.md"), text).unwrap();
        fs::write(
            root.path().join("b.rs"),
            "/// As `vault close --now`.\nvault shut\n",
        )
        .unwrap();
        fs::write(root.path().join("CHANGELOG.md"), "`vault shut` is gone").unwrap();
        fs::create_dir(root.path().join("target")).unwrap();
        fs::write(root.path().join("target/c.md"), "`vault shut`").unwrap();
        let (count, mut strays) = commands::<Arguments>(Program::new("vault"), root.path()).unwrap();
        for stray in &mut strays {
            *stray = stray.rsplit_once(": ").unwrap().1.to_owned();
        }
        strays.sort_unstable();
        assert_eq!(
            strays,
            [
                "no command `lock` of `vault`",
                "no command `shut` of `vault`",
                "no command `shut` of `vault`",
                "no option --lock of `open`",
                "no option --now of `close`",
                "no value `de` of option --lang",
                "no value `fr` of option --lang",
                "no value `fr` of option --lang",
            ]
        );
        assert_eq!(count, 15);
    }
}
