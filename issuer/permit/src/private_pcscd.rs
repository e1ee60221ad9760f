//! The outer process: starts a private PC/SC service, runs this program again as its client, passes signals on, and ends
//! the service when the client has ended.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use program_contract::Failure;
use rustix::process::Signal;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use virtual_card::pcscd::{Folder, Options, PrivatePcscd};

use crate::{failure, process};

/// Set for the client: the run folder of its service.
const VARIABLE: &str = "YZT_PERMIT_SERVICE";
/// Set for the client: milliseconds that the service took to start.
const STARTED_IN: &str = "YZT_PERMIT_SERVICE_MS";

/// True in the client of a private service.
pub(crate) fn is_client() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// The private service of this client, and how many milliseconds its start took.
pub(crate) fn service() -> Option<(Folder, f64)> {
    let folder = std::env::var_os(VARIABLE)?;
    let ms = std::env::var(STARTED_IN)
        .ok()
        .and_then(|ms| ms.parse().ok())
        .unwrap_or_default();
    Some((Folder::at(std::path::Path::new(&folder)), ms))
}

/// Starts the service, runs the client, and gives its exit code.
pub(crate) fn run_as_client() -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failure::machine("the runtime does not start", &error))?;
    runtime.block_on(async {
        let mut interrupts = Interrupts::receive()?;
        let began = std::time::Instant::now();
        let service = PrivatePcscd::start(&Options::default()).map_err(failure::of_virtual_card)?;
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        let (variable, socket) = service.folder().environment();
        let own = std::env::current_exe()
            .map_err(|error| failure::machine("this program does not find itself", &error))?;
        let mut client = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .arg(own)
            .args(std::env::args_os().skip(1))
            .env(variable, socket)
            .env(VARIABLE, service.folder().path())
            .env(STARTED_IN, format!("{ms:.1}"))
            .process_group(0)
            .spawn()
            .map_err(|error| {
                failure::machine("setpriv (Debian package util-linux) does not start", &error)
            })?;
        let status = loop {
            tokio::select! {
                asked = interrupts.come() => process::signal(&client, asked),
                () = tokio::time::sleep(std::time::Duration::from_millis(10)) => {}
            }
            match client.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {}
                Err(error) => return Err(failure::machine("the client is lost", &error)),
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
        let failed = |error: std::io::Error| failure::machine("signals cannot be received", &error);
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
