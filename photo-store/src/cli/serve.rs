//! `photo-store serve`: the store on a Unix socket, until SIGINT or SIGTERM.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use getrandom::SysRng;
use object_store::local::LocalFileSystem;
use photo_store::error::Error;
use photo_store::keeping::store::Store;
use photo_store::keeping::vault::Vault;
use photo_store::service::{Clock, Service};
use photo_store::socket;
use photo_store_protocol::FailureCode;
use serde_json::{Map, json};
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, Outcome, announce};

/// Name of the index's file in the folder; a folder with it is a photo store's.
const INDEX: &str = "photos.sqlite";
/// Name of the folder of sealed objects in the folder.
const OBJECTS: &str = "objects";

/// What `serve` was told.
pub(super) struct Options {
    pub(super) socket: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) vault: PathBuf,
    pub(super) database_file: Option<PathBuf>,
    pub(super) at: Option<jiff::Timestamp>,
    pub(super) json: bool,
}

/// The machine's clock, or one that starts at a given instant and runs on from there.
enum WallClock {
    Machine,
    Started(jiff::Timestamp, Instant),
}

impl Clock for WallClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the program's only clock; the library takes it as an argument"
    )]
    fn now(&self) -> i64 {
        match self {
            Self::Machine => jiff::Timestamp::now().as_second(),
            Self::Started(at, since) => {
                at.as_second() + i64::try_from(since.elapsed().as_secs()).unwrap_or(i64::MAX / 2)
            }
        }
    }
}

/// Serves until a signal comes.
pub(super) fn run(options: Options) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|_| FailureCode::SocketUnusable)?;
    runtime.block_on(serve(options))?;
    Ok(Outcome {
        fields: Map::new(),
        lines: Vec::new(),
        failure: None,
    })
}

async fn serve(options: Options) -> Result<(), Failure> {
    // Signals are caught before anything is made, so that an early one still ends the program in order.
    let mut terminate = signal(SignalKind::terminate()).map_err(|_| FailureCode::SocketUnusable)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|_| FailureCode::SocketUnusable)?;
    let (store, service) = open(&options).await?;
    let listener = socket::listen(&options.socket).await?;
    let mut fields = Map::new();
    fields.insert("socket".to_owned(), json!(options.socket.to_string_lossy()));
    announce(
        "yzt.photo-serve/1",
        options.json,
        fields,
        &format!("照片库已启动 / serving at {}", options.socket.display()),
    );

    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    socket::run(listener, Arc::new(service), stop).await;
    let _ = std::fs::remove_file(&options.socket);
    store.close().await;
    Ok(())
}

async fn open(options: &Options) -> Result<(Store, Service), Failure> {
    prepare(&options.dir)?;
    let store = match &options.database_file {
        Some(file) => {
            let url = std::fs::read_to_string(file).map_err(|_| FailureCode::FileUnreadable)?;
            let url = url.trim();
            match url.strip_prefix("sqlite:") {
                Some(path) => Store::open_file(Path::new(path.trim_start_matches("//"))).await?,
                None => Store::open_server(url).await?,
            }
        }
        None => Store::open_file(&options.dir.join(INDEX)).await?,
    };
    let objects = LocalFileSystem::new_with_prefix(options.dir.join(OBJECTS))
        .map_err(Error::from)?
        .with_fsync(true)
        .with_automatic_cleanup(true);
    let clock = options
        .at
        .map_or(WallClock::Machine, |at| WallClock::Started(at, Instant::now()));
    let vault = Vault::at(options.vault.clone());
    let service = Service::new(
        store.clone(),
        Arc::new(objects),
        vault,
        Arc::new(clock),
        Box::new(SysRng),
    )?;
    Ok((store, service))
}

/// Makes the folder where it is missing, and refuses one that belongs to something else.
fn prepare(dir: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let unusable = |error: std::io::Error| {
        Failure::from(match error.kind() {
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                FailureCode::IndexReadOnly
            }
            std::io::ErrorKind::StorageFull => FailureCode::StorageFull,
            _ => FailureCode::NotAStore,
        })
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(unusable)?;
    let ours = dir.join(INDEX).exists() || dir.join(OBJECTS).exists();
    if !ours && std::fs::read_dir(dir).map_err(unusable)?.next().is_some() {
        return Err(FailureCode::NotAStore.into());
    }
    // A folder that cannot be written is said at the start, in words of its own, and not by the first clerk's photo.
    let probe = dir.join(format!(".probe.{}", std::process::id()));
    std::fs::write(&probe, b"probe").map_err(unusable)?;
    let _ = std::fs::remove_file(&probe);
    let objects = dir.join(OBJECTS);
    if !objects.is_dir() {
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(objects)
            .map_err(unusable)?;
    }
    Ok(())
}
