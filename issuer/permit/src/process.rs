//! Child processes: programs that do one thing and answer with JSON, and services that run until we end.
//!
//! A service ends in whatever way we end: it is asked politely, then killed; and if we are killed ourselves the kernel
//! asks it (`setpriv --pdeathsig`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use program_contract::{Exit, Failure};
use rustix::process::{Pid, Signal, kill_process};

use crate::failure;

/// How long a service may take to answer after its start, in steps of [`POLL`]: 20 s, because the machine may be busy.
const READY_POLLS: u32 = 2000;
/// How long a service may take to end after it was asked, in steps of [`POLL`]: 3 s.
const END_POLLS: u32 = 300;
const POLL: Duration = Duration::from_millis(10);

/// The path of one of our programs: beside this one.
pub(crate) fn program(name: &'static str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()
        .map_err(|error| failure::machine("this program does not find itself", &error))?;
    // A test program lies one folder deeper than the programs.
    let beside = own
        .parent()
        .into_iter()
        .chain(own.parent().and_then(Path::parent));
    beside
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Failure::new(
                Exit::Absent,
                "PROGRAM_MISSING",
                format!("the program {name} is not beside permit"),
                "Build all programs: make demo, or cargo build --workspace --bins.",
            )
        })
}

/// Runs a program of ours with `--json` and gives its object.
pub(crate) fn run(program: &Path, arguments: &[&std::ffi::OsStr]) -> Result<serde_json::Value, Failure> {
    let output = Command::new(program)
        .args(arguments)
        .arg("--json")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::file("start", program, &error))?;
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|_| {
        Failure::new(
            Exit::Damaged,
            "PROGRAM_FAILED",
            format!(
                "{} gave no answer: {}",
                program.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            ),
            "Build all programs of one version, and run the same command again.",
        )
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
    Err(Failure::of_row(exit, text("code"), said.clone(), said))
}

/// A service that runs as our child.
#[derive(Debug)]
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts a service; its output goes to `log`.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[&std::ffi::OsStr],
        log: &Path,
    ) -> Result<Self, Failure> {
        use std::os::unix::process::CommandExt as _;
        let open = || fs::OpenOptions::new().create(true).append(true).open(log);
        let output = open().map_err(|error| Failure::file("open", log, &error))?;
        let errors = open().map_err(|error| Failure::file("open", log, &error))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // An interrupt at the terminal is ours to handle; we end the services in our own order.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                Failure::file("start setpriv (Debian package util-linux) for", program, &error)
            })?;
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
                return Err(Failure::new(
                    Exit::of_process(status.code()),
                    "SERVICE_ENDED",
                    format!(
                        "the {} ended when it was started: {}",
                        self.name,
                        last_line(&self.log)
                    ),
                    format!(
                        "Read its log, {}, look whether the disk is full, and run the same command again.",
                        self.log.display()
                    ),
                ));
            }
            if tokio::net::UnixStream::connect(socket).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(failure::absent(self.name, &self.log))
    }

    /// True while it runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    pub(crate) const fn name(&self) -> &'static str {
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

/// What a service said last, for a message: our services write no secret and no personal data there. What happened, which
/// ends in its code; what to do stands below it, and is for whoever started the service.
fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let mut lines = text.lines().rev().filter(|line| !line.trim().is_empty());
    let last = lines.clone().next();
    lines
        .find(|line| line.ends_with(']') && line.contains(" ["))
        .or(last)
        .unwrap_or("nothing in its log")
        .to_owned()
}
