//! Child processes: programs that do one thing and answer with JSON, and services that run until we end.
//!
//! A service ends in whatever way we end: it is asked politely, then killed; and if we are killed ourselves the kernel
//! asks it (`setpriv --pdeathsig`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use program_contract::language::Words;
use program_contract::{Exit, Failure, Language};
use rustix::process::{Pid, Signal, kill_process};

use crate::failure;

/// How long a service may take to answer after its start, in steps of [`POLL`]: 20 s, because the machine may be busy.
const READY_POLLS: u32 = 2000;
/// How long a service may take to end after it was asked, in steps of [`POLL`]: 3 s.
const END_POLLS: u32 = 300;
const POLL: Duration = Duration::from_millis(10);

/// The path of one of our programs: beside this one.
pub(crate) fn program(name: &'static str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|error| {
        failure::machine(
            Words("程序找不到自身", "this program does not find itself"),
            &error,
        )
    })?;
    // A test program lies one folder deeper than the programs.
    let beside = own
        .parent()
        .into_iter()
        .chain(own.parent().and_then(Path::parent));
    beside
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| failure::program_missing(name))
}

/// In which language a program of ours is to speak: in ours, where one was chosen.
fn language() -> impl Iterator<Item = &'static str> {
    let tag = Language::of_process().tag();
    tag.into_iter().flat_map(|tag| ["--lang", tag])
}

/// A program that the kernel asks to end when we end, in whatever way.
fn child(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

fn unstarted(program: &Path, error: &std::io::Error) -> Failure {
    Failure::file(
        Words(
            "用 setpriv（Debian 软件包 util-linux）启动",
            "start setpriv (Debian package util-linux) for",
        ),
        program,
        error,
    )
}

/// Runs a program of ours with `--json` and gives its object.
pub(crate) fn run(program: &Path, arguments: &[&std::ffi::OsStr]) -> Result<serde_json::Value, Failure> {
    let output = child(program)
        .args(arguments)
        .args(language())
        .arg("--json")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| unstarted(program, &error))?;
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        failure::program_failed(program.display(), said.trim())
    })?;
    let Some(error) = object.get("error") else {
        return Ok(object);
    };
    let text = |key: &str| {
        error
            .get(key)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let exit = Exit::of_process(output.status.code());
    // In the language that it was asked in.
    let said = (text("message"), text("action"));
    let code = text("code");
    Err(failure::said_by_another(exit, code, said.clone(), said))
}

/// A service that runs as our child.
#[derive(Debug)]
pub(crate) struct Service {
    name: Words,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts a service; its output goes to `log`.
    pub(crate) fn start(
        name: Words,
        program: &Path,
        arguments: &[&std::ffi::OsStr],
        log: &Path,
    ) -> Result<Self, Failure> {
        use std::os::unix::fs::OpenOptionsExt as _;
        use std::os::unix::process::CommandExt as _;
        let open = || {
            fs::OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(log)
        };
        let output = open().map_err(|error| Failure::file(Words("打开", "open"), log, &error))?;
        let errors = open().map_err(|error| Failure::file(Words("打开", "open"), log, &error))?;
        let child = child(program)
            .args(arguments)
            .args(language())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // An interrupt at the terminal is ours to handle; we end the services in our own order.
            .process_group(0)
            .spawn()
            .map_err(|error| unstarted(program, &error))?;
        Ok(Self {
            name,
            child,
            log: log.to_owned(),
        })
    }

    /// Waits until the service takes connections on `socket`.
    pub(crate) async fn ready(&mut self, socket: &Path) -> Result<(), Failure> {
        for _ in 0..READY_POLLS {
            if let Ok(Some(status)) = self.child.try_wait() {
                let ended = failure::service_ended(self.name, last_words(&self.log), self.log.display());
                return Err(failure::ending(Exit::of_process(status.code()), ended));
            }
            if tokio::net::UnixStream::connect(socket).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(failure::absent(self.name, self.log.display()))
    }

    /// True while it runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    pub(crate) const fn name(&self) -> Words {
        self.name
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        ask_to_end(&mut self.child);
    }
}

/// Asks a child to end, waits, and kills it if it does not.
pub(crate) fn ask_to_end(child: &mut Child) {
    signal(child, Signal::TERM);
    for _ in 0..END_POLLS {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(POLL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Sends a signal to a child that has not been waited for.
pub(crate) fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended by itself; then there is nobody to ask.
        let _ = kill_process(pid, signal);
    }
}

/// What a service said last, in Chinese and in English, for a message: our services write no secret and no personal data there.
/// What happened, which ends in its code; what to do stands below it, and is for whoever started the service.
fn last_words(log: &Path) -> (String, String) {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines = || text.lines().rev().filter(|line| !line.trim().is_empty());
    let said = |colon: &str| {
        lines().find(|line| {
            let named = line
                .split_once(colon)
                .is_some_and(|(name, _)| !name.contains([' ', '：']));
            named && line.ends_with(']') && line.contains(" [")
        })
    };
    let (chinese, english) = (said("："), said(": "));
    // A service that was told one language said it in that one.
    let last = chinese.or(english).or_else(|| lines().next());
    (
        chinese.or(last).unwrap_or("日志中没有内容").to_owned(),
        english.or(last).unwrap_or("nothing in its log").to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_service_are_told_in_the_language_in_which_it_said_them() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("vault.log");
        let words = |text: &str| {
            fs::write(&log, text).unwrap();
            last_words(&log)
        };
        let pair = |chinese: &str, english: &str| (chinese.to_owned(), english.to_owned());
        assert_eq!(words(""), pair("日志中没有内容", "nothing in its log"));
        let chinese = "keyvault：磁盘已满 [FILE]";
        let english = "keyvault: the disk is full [FILE]";
        let both = format!("listens: 1\n{chinese}\n  请检查。\n{english}\n  Check: it.\n");
        assert_eq!(words(&both), pair(chinese, english));
        assert_eq!(words(&format!("{chinese}\n  请检查。\n")), pair(chinese, chinese));
        assert_eq!(
            words(&format!("{english}\n  Check it.\n")),
            pair(english, english)
        );
        assert_eq!(words("killed\n\n"), pair("killed", "killed"));
    }
}
