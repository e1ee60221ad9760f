//! Where the vault is, and what its programs run with.

use std::path::{Path, PathBuf};

use keyvault::Random;
use keyvault_protocol::Client;
use program_contract::{Failure, Program};
use rand_core::UnwrapErr;
use tokio::net::UnixStream;

/// This program.
pub(crate) const PROGRAM: Program = Program::new("keyvault");

/// File in the vault's folder that says where the running vault listens.
pub(crate) const SOCKET_NOTE: &str = "socket";

/// Arguments that do not fit together.
pub(crate) fn usage(message: impl Into<String>) -> Failure {
    Failure::usage(PROGRAM, message)
}

/// A runtime of one thread.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("the runtime does not start: {error}")))
}

/// The operating system's random source.
pub(crate) fn random() -> Random {
    Box::new(UnwrapErr(getrandom::SysRng))
}

/// Folder and socket of the vault.
pub(crate) struct Place {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) socket: Option<PathBuf>,
}

impl Place {
    pub(crate) fn dir(&self) -> Result<&Path, Failure> {
        self.dir.as_deref().ok_or_else(|| usage("--dir is missing"))
    }

    /// Where `serve` listens, or where it said that it does.
    pub(crate) fn socket(&self) -> Result<PathBuf, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        let dir = self.dir()?;
        match std::fs::read_to_string(dir.join(SOCKET_NOTE)) {
            Ok(path) => Ok(PathBuf::from(path.trim_end())),
            Err(_) => Ok(dir.join("keyvault.sock")),
        }
    }

    pub(crate) async fn connect(&self) -> Result<Client<UnixStream>, Failure> {
        Ok(Client::connect_unix(&self.socket()?).await?)
    }
}
