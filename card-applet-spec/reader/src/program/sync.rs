//! `sync`: files of the office in, signed files out. Nothing older ever replaces what the terminal has, and a cut at any
//! moment leaves the old file or the new one.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use card_applet_spec::date::Date;
use card_reader::folder::{FILE_MAX, Offered};
use card_reader::{Folder, TerminalKey};
use program_contract::language::Words;
use program_contract::{Exit, Failure, Language, Outcome, file, line};
use rand_core::CryptoRng;
use serde_json::{Map, Value, json};

use crate::program::config::Config;
use crate::program::failure;
use crate::program::files;
use crate::program::report;
use crate::program::terminal;

/// What a sync did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) taken: Vec<(String, &'static str)>,
    pub(crate) refused: Vec<(String, Failure)>,
    left: usize,
    pub(crate) out: Vec<String>,
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    failure::folder_unusable(path.display(), error.kind())
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The plain files of a folder, by name. Bundles come first: lists and updates are judged under the newest.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unusable(folder, &error))? {
        let path = entry.map_err(|error| unusable(folder, &error))?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Takes what the office put into `from`.
pub(crate) fn take(
    folder: &mut Folder,
    key: &TerminalKey,
    key_path: &Path,
    from: &Path,
    today: Date,
    done: &mut Done,
) -> Result<(), Failure> {
    let mut read = Vec::new();
    for path in files(from)? {
        if std::fs::metadata(&path).is_ok_and(|file| file.len() <= FILE_MAX) {
            read.push((name_of(&path), files::read(&path, FILE_MAX)?));
        } else {
            done.left = done.left.saturating_add(1);
        }
    }
    read.sort_by_key(|(_, bytes)| !bytes.starts_with(b"YZTB"));
    for (name, bytes) in read {
        match terminal::offer(folder, &bytes, key, key_path, today) {
            Ok(Offered::Bundle(_)) => done.taken.push((name, "bundle")),
            Ok(Offered::Updates(..)) => done.taken.push((name, "updates")),
            Ok(Offered::Lists(_)) => done.taken.push((name, "lists")),
            Ok(Offered::NotNewer | Offered::NotOurs) => done.left = done.left.saturating_add(1),
            Err(failure) => done.refused.push((name, failure)),
        }
    }
    Ok(())
}

/// Puts what the office is to have into `to`, and what it had long enough away.
#[expect(clippy::too_many_arguments, reason = "what one terminal consists of")]
pub(crate) fn give(
    folder: &mut Folder,
    key: &TerminalKey,
    to: &Path,
    keep: u16,
    today: Date,
    now: SystemTime,
    rng: &mut impl CryptoRng,
    done: &mut Done,
) -> Result<(), Failure> {
    let put = |name: &str, bytes: &[u8]| {
        let path = to.join(name);
        file::replace(&path, bytes, file::PRIVATE)
            .map_err(|error| failure::unwritable(path.display(), error.kind()))
    };
    folder.close(key, today, rng)?;
    let sent = folder.path().join("sent");
    std::fs::create_dir_all(&sent).map_err(|error| unusable(&sent, &error))?;
    for path in folder.out()? {
        let name = name_of(&path);
        put(&name, &files::read(&path, FILE_MAX)?)?;
        // It is safe in the office's folder; ours stays for as long as the operator wants.
        file::rename(&path, &sent.join(&name)).map_err(|error| unusable(&path, &error))?;
        done.out.push(name);
    }
    if let Some(receipts) = folder.receipts_out()? {
        // A random name: receipts name no terminal, and their file must not either.
        let mut number = [0; 8];
        rng.fill_bytes(&mut number);
        let name = format!("receipts-{}.yztr", hex::encode(number));
        put(&name, &receipts)?;
        folder.receipts_sent()?;
        done.out.push(name);
    }
    forget(&sent, keep, now)
}

/// Takes away what was handed out more than `keep` days ago: lines of payments say where a card was.
fn forget(sent: &Path, keep: u16, now: SystemTime) -> Result<(), Failure> {
    let limit = Duration::from_secs(u64::from(keep).saturating_mul(86_400));
    for path in files(sent)? {
        let old = std::fs::metadata(&path)
            .and_then(|file| file.modified())
            .ok()
            .and_then(|at| now.duration_since(at).ok())
            .is_some_and(|age| age > limit);
        if old {
            file::remove(&path).map_err(|error| unusable(&path, &error))?;
        }
    }
    Ok(())
}

/// The whole command.
pub(crate) fn run(
    config: &Config,
    from: Option<&Path>,
    to: Option<&Path>,
    today: Date,
    now: SystemTime,
    rng: &mut impl CryptoRng,
) -> Result<Outcome, Failure> {
    let key = terminal::key(&config.key)?;
    let mut folder = Folder::open(&config.state)?;
    let mut done = Done::default();
    if let Some(from) = from {
        take(&mut folder, &key, &config.key, from, today, &mut done)?;
    }
    if let Some(to) = to {
        give(
            &mut folder,
            &key,
            to,
            config.keep_days(),
            today,
            now,
            rng,
            &mut done,
        )?;
    }
    report(&done, Language::of_process())
}

program_contract::sentences! {
    fn also_refused(name, message, code, action) =
        "拒绝：{name}：{message} [{code}] {action}",
        "refused: {name}: {message} [{code}] {action}";
}

fn report(done: &Done, language: Language) -> Result<Outcome, Failure> {
    let mut lines = Vec::new();
    for (name, what) in &done.taken {
        let what_it_is = match *what {
            "bundle" => Words("凭证包", "bundle"),
            "updates" => Words("更新", "updates"),
            other => Words("名单", other),
        };
        lines.push(line!(Words("收入", "taken"), ": ", name, " (", what_it_is, ")"));
    }
    for name in &done.out {
        lines.push(line!(Words("交出", "handed out"), ": ", name));
    }
    lines.push(line!(Words("未动", "left alone"), ": ", done.left));
    let refused: Vec<Value> = done
        .refused
        .iter()
        .map(|(name, failure)| {
            let (message, action) = failure.said(language);
            json!({ "file": name, "code": failure.code, "message": message, "action": action })
        })
        .collect();
    let taken: Vec<Value> = done
        .taken
        .iter()
        .map(|(name, what)| json!({ "file": name, "what": what }))
        .collect();
    let fields = Map::from_iter([
        ("taken".to_owned(), json!(taken)),
        ("left".to_owned(), json!(done.left)),
        ("refused".to_owned(), json!(refused)),
        ("out".to_owned(), json!(done.out)),
    ]);
    let outcome = report::done("sync", fields, lines);
    let Some(((name, first), others)) = done.refused.split_first() else {
        return Ok(outcome);
    };
    let mut failure = first.clone();
    failure.exit = Exit::Refused;
    failure.message = format!("{name}: {}", first.message);
    failure.chinese.0 = format!("{name}：{}", first.chinese.0);
    failure.fields = outcome.fields;
    failure.lines = outcome.lines;
    for (name, other) in others {
        let (message, action) = &other.chinese;
        failure.notes.push(line!(also_refused(
            name,
            (message, &other.message),
            &other.code,
            (action, &other.action)
        )));
    }
    Err(failure)
}
