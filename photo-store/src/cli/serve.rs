//! `photo-store serve`: the store on a Unix socket, until SIGINT or SIGTERM.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use photo_store_protocol::FailureCode;
use program_contract::language::Words;
use program_contract::{Clock, Exit, Failure, Founded, Outcome, file, line};
use rand_core::TryCryptoRng;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::decoding::Decoder;
use crate::keeping::folder::Folder;
use crate::keeping::identity;
use crate::keeping::objects::Objects;
use crate::keeping::store::index::Store;
use crate::keeping::vault::Vault;
use crate::service::Service;
use crate::socket;

/// What `serve` was told.
pub(crate) struct Options {
    pub(crate) group_may_connect: bool,
    pub(crate) socket: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) vault: PathBuf,
    pub(crate) database_file: Option<PathBuf>,
    pub(crate) clock: Clock,
    pub(crate) at: Option<Date>,
}

/// Serves until a signal comes. `announce` prints that it serves; where nobody can read that, it does not.
pub(crate) fn run(
    schema: &'static str,
    options: Options,
    random: impl TryCryptoRng + Send + 'static,
    announce: impl FnOnce(Outcome) -> Exit,
) -> Result<Exit, Failure> {
    for socket in [&options.socket, &options.vault] {
        keyvault_protocol::check_path(socket)?;
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|_| FailureCode::SocketUnusable)?;
    runtime.block_on(async {
        // Signals are caught before anything is made, so that an early one still ends the program in order.
        let mut terminate = signal(SignalKind::terminate()).map_err(|_| FailureCode::SocketUnusable)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|_| FailureCode::SocketUnusable)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(|_| FailureCode::SocketUnusable)?;
        let folder = Folder::open(&options.dir)?;
        let store = index(&folder, options.database_file.as_deref()).await?;
        let under = store.read().await?.founded_under().await?;
        let founded = under.map_or(Founded::Real, |vault| Founded::around(&vault));
        let clock = options.clock.at(options.at, founded)?;
        let identity = identity::read(&folder, under, clock.clone())?;
        let service = Service::new(
            store.clone(),
            Objects::in_folder(&folder.objects())?,
            Vault::at(options.vault, identity),
            Decoder::apart(),
            clock,
            random,
        )?;
        let listener = socket::listen(&options.socket, options.group_may_connect).await?;
        let mut lines = vec![line!(
            Words("照片库已启动", "serving at"),
            " ",
            options.socket.display()
        )];
        lines.extend(founded.banner().map(|banner| line!(banner)));
        let object = json!({
            "socket": options.socket.to_string_lossy(),
            "rehearsal": founded.is_rehearsal(),
        });
        let exit = announce(Outcome::done(schema, &object, lines)?);
        if exit == Exit::Done {
            let stop = async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hang_up.recv() => {}
                }
            };
            socket::run(listener, Arc::new(service), stop).await;
        }
        let _ = std::fs::remove_file(&options.socket);
        store.close().await;
        Ok(exit)
    })
}

async fn index(folder: &Folder, database_file: Option<&Path>) -> Result<Store, Failure> {
    match database_file {
        None if folder.index().exists() => Ok(Store::open_file(&folder.index()).await?),
        // Objects alone: an empty index would forget whose they are.
        None => Err(FailureCode::NoStore.into()),
        Some(file) => server_index(file).await,
    }
}

/// Longest file that holds a URL, in bytes.
const MAX_URL: u64 = 4096;

/// The index at the URL in a file.
pub(crate) async fn server_index(file: &Path) -> Result<Store, Failure> {
    let url = file::read(file, MAX_URL).map_err(|_| FailureCode::FileUnreadable)?;
    let url = std::str::from_utf8(&url).map_err(|_| FailureCode::FileUnreadable)?;
    let url = url.trim();
    Ok(match url.strip_prefix("sqlite:") {
        Some(path) => Store::open_file(Path::new(path.trim_start_matches("//"))).await?,
        None => Store::open_server(url).await?,
    })
}
