//! The outer process: holds the folder, starts a private PC/SC service in it, runs this program again as its client, passes
//! signals on, starts the service again when it ended by itself, and ends it when the client has ended.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use program_contract::Failure;
use program_contract::language::Words;
use rustix::process::Signal;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use virtual_card::Error;
use virtual_card::control::Order;
use virtual_card::pcscd::{self, Options, PrivatePcscd, STOPPED};

use crate::arguments::Common;
use crate::folder::{Folder, Part};
use crate::{failure, process, report};

/// Set for the client: the folder of the installation, which the outer process holds.
const VARIABLE: &str = "YZT_PERMIT_FOLDER";
/// Set for the client: milliseconds that the service took to start.
const STARTED_IN: &str = "YZT_PERMIT_SERVICE_MS";
/// How often it is looked whether the service still runs.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The folder that the outer process of this client holds.
fn held() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

/// True in the client of a private service.
pub(crate) fn is_client() -> bool {
    held().is_some()
}

/// Opens the folder of the installation.
pub(crate) fn folder(common: &Common) -> Result<Folder, Failure> {
    match held() {
        Some(path) => Folder::open(Some(&path), Part::Client),
        None => Folder::open(common.dir.as_deref(), Part::Whole),
    }
}

/// The run folder of the private service whose sockets are in `sockets`.
pub(crate) fn run_folder(sockets: &Path) -> pcscd::Folder {
    pcscd::Folder::at(&sockets.join("reader"))
}

/// How many milliseconds the start of this client's service took.
pub(crate) fn started_in() -> f64 {
    let ms = std::env::var(STARTED_IN).ok();
    ms.and_then(|ms| ms.parse().ok()).unwrap_or_default()
}

/// Starts the service, runs the client, and gives its exit code.
pub(crate) fn run_as_client(common: &Common) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failure::machine(Words("运行时无法启动", "the runtime does not start"), &error))?;
    runtime.block_on(async {
        let mut interrupts = Interrupts::receive()?;
        let folder = Folder::open(common.dir.as_deref(), Part::Outer)?;
        let place = run_folder(&folder.sockets()?);
        let began = std::time::Instant::now();
        let options = Options {
            folder: Some(place.path().to_owned()),
            ..Options::default()
        };
        let service = PrivatePcscd::start(&options)?;
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        let (variable, socket) = place.environment();
        let own = std::env::current_exe().map_err(|error| {
            failure::machine(
                Words("程序找不到自身", "this program does not find itself"),
                &error,
            )
        })?;
        let mut client = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .arg(own)
            .args(std::env::args_os().skip(1))
            .env(variable, socket)
            .env(VARIABLE, folder.path())
            .env(STARTED_IN, format!("{ms:.1}"))
            .process_group(0)
            .spawn()
            .map_err(|error| {
                failure::machine(
                    Words(
                        "setpriv（Debian 软件包 util-linux）无法启动",
                        "setpriv (Debian package util-linux) does not start",
                    ),
                    &error,
                )
            })?;
        // It ends with this process; once the service is gone on purpose nobody answers it.
        std::thread::spawn(move || keep(&place));
        let status = loop {
            tokio::select! {
                asked = interrupts.come() => process::signal(&client, asked),
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
            match client.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {}
                Err(error) => {
                    return Err(failure::machine(
                        Words("客户端进程失去联系", "the client is lost"),
                        &error,
                    ));
                }
            }
        };
        drop(service);
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        match code {
            Some(code) => Ok(ExitCode::from(code)),
            None => Err(failure::interrupted()),
        }
    })
}

/// Starts the service again whenever it has ended by itself, and lays the card back that lay on its reader.
fn keep(place: &pcscd::Folder) {
    let reader = place.manipulator(0);
    let mut lies = false;
    loop {
        std::thread::sleep(LOOK_EVERY);
        match place.service().order(&Order::Status) {
            Ok(_) => {
                let status = reader.order(&Order::Status);
                lies = status.is_ok_and(|status| status.is_some_and(|status| status.state != "empty"));
            }
            Err(Error::Refused { code, .. }) if code == STOPPED => {
                let started = place.service().order(&Order::Start);
                let laid = match started {
                    Ok(_) if lies => reader.order(&Order::Insert { memory: None }),
                    started => started,
                };
                match laid {
                    Ok(_) => report::say_of(Words(
                        "  · 读卡器服务已停止，现已重新启动",
                        "  · the PC/SC service had ended; it runs again",
                    )),
                    Err(error) => report::trouble(&error.into()),
                }
            }
            // The service is being ended, or all of this is.
            Err(_) => {}
        }
    }
}

/// The signals that ask this program to end.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Signals,
    terminate: Signals,
    hang_up: Signals,
}

impl Interrupts {
    /// Receives them from now on. Before this the system ends the program without asking it, so it comes first: before
    /// any child is started.
    pub(crate) fn receive() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            failure::machine(Words("无法接收信号", "signals cannot be received"), &error)
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            hang_up: signal(SignalKind::hangup()).map_err(failed)?,
        })
    }

    /// Completes with the signal to pass on when somebody asks.
    pub(crate) async fn come(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::TERM,
        }
    }
}
