//! Where the vault is, and what its programs run with.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use keyvault::Random;
use keyvault::custody::officer_key::OfficerKey;
use keyvault::keys::arena::stack;
use keyvault::keys::random::source;
use keyvault_protocol::{ChannelKey, Client, Error, Identity, VaultAnchors};
use program_contract::language::{Said, Words};
use program_contract::user::Barrier;
use program_contract::{Clock, Failure, Founded, NotARehearsal, Program, file, secret};
use tokio::net::UnixStream;

/// This program.
pub(crate) const PROGRAM: Program = Program::new("keyvault");

/// File in the vault's folder that says where the running vault listens.
pub(crate) const SOCKET_NOTE: &str = "socket";

/// Longest key file, bytes.
const MAX_KEY: u64 = 1 << 16;

program_contract::failures! {
    fn folder_of_another(barrier, owner) = Damaged "VAULT_OTHER_USER" {
        "密钥库的目录属于另一用户：{barrier}", "the vault's folder is another user's: {barrier}";
        "请以用户 {owner} 运行同一命令（root 可用 `runuser -u {owner} -- ...`）；密钥库也为本用户服务的，用 `--socket` 给出其套接字，不用 `--dir`。",
        "Run the same command as user {owner} (root does so with `runuser -u {owner} -- ...`); where the vault serves this user too, give its socket with `--socket` in the place of `--dir`.";
    }
}

/// Arguments that do not fit together.
pub(crate) fn usage(message: impl Said) -> Failure {
    Failure::usage(PROGRAM, message)
}

/// The file that was given says no vault and no key of it.
pub(crate) fn no_anchors() -> Failure {
    usage(Words(
        "锚点文件不是 yzt.anchors/1 对象：它由 `keyvault init` 写出",
        "the file of anchors is no yzt.anchors/1 object, as `keyvault init` writes it",
    ))
}

program_contract::sentences! {
    pub(crate) fn passphrase_of(name) = "{name} 的口令", "passphrase of {name}";
}

/// Says that a key without a passphrase may be read by others, who are this caller then.
fn warn_if_open(key: &Path) {
    if std::fs::metadata(key).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
        tracing::warn!(
            "the key file is open to other users, and who reads it is this caller for the vault: chmod 600"
        );
    }
}

/// A runtime of one thread.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Where secrets were worked with on a stack that root could read.
        .on_thread_park(stack::wipe)
        .build()
        .map_err(|error| {
            Failure::internal((
                format!("运行时无法启动：{error}"),
                format!("the runtime does not start: {error}"),
            ))
        })
}

/// The operating system's random source, watched.
pub(crate) fn random() -> Random {
    source()
}

/// Folder and socket of the vault, and the day that was given.
pub(crate) struct Place {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) at: Option<Date>,
    /// The caller's own key, and the anchors of the vault that it speaks to.
    pub(crate) key: Option<PathBuf>,
    pub(crate) anchors: Option<PathBuf>,
    /// Where the passphrase of an officer's key is.
    pub(crate) key_passphrase_file: PathBuf,
    pub(crate) clock: Clock,
}

impl Place {
    pub(crate) fn dir(&self) -> Result<&Path, Failure> {
        self.dir
            .as_deref()
            .ok_or_else(|| usage(Words("缺少 --dir", "--dir is missing")))
    }

    /// Where `serve` listens, or where it said that it does.
    pub(crate) fn socket(&self) -> Result<PathBuf, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        let dir = self.dir()?;
        let note = dir.join(SOCKET_NOTE);
        match std::fs::read_to_string(&note) {
            Ok(path) => Ok(PathBuf::from(path.trim_end())),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Barrier::before(&note)
                .map_or_else(
                    || Failure::file(Words("读取", "read"), &note, &error),
                    |barrier| folder_of_another(&barrier, barrier.owner()),
                )),
            Err(_) => {
                keyvault::look(dir)?;
                Ok(dir.join("keyvault.sock"))
            }
        }
    }

    /// Connects as the caller of `--key`, to the vault of `--anchors`; without them as nobody, who may ask for the status.
    pub(crate) async fn connect(&self) -> Result<Client<UnixStream>, Failure> {
        self.connect_as(&self.identity()?).await
    }

    fn identity(&self) -> Result<Identity, Failure> {
        let (Some(key), Some(anchors)) = (&self.key, &self.anchors) else {
            return Ok(Identity::nobody());
        };
        let read = Words("读取密钥", "read the key");
        let failed = |error: &std::io::Error| Failure::file(read, key, error);
        let text = file::read(key, MAX_KEY).map_err(|error| failed(&error))?;
        let key = if text.starts_with(b"{") {
            let held = OfficerKey::parse(&text)?;
            let passphrase = secret::read(Some(&self.key_passphrase_file), passphrase_of(&held.name))?;
            ChannelKey::from(&held.secret(&passphrase)?)
        } else {
            warn_if_open(key);
            ChannelKey::read(key).map_err(|error| match error.kind() {
                // A public key, a PEM file, a certificate.
                ErrorKind::InvalidData | ErrorKind::FileTooLarge => Error::KeyFile.into(),
                _ => failed(&error),
            })?
        };
        let read = Words("读取锚点", "read the anchors");
        let anchors = VaultAnchors::read(anchors).map_err(|error| match error.kind() {
            ErrorKind::InvalidData => no_anchors(),
            _ => Failure::file(read, anchors, &error),
        })?;
        Ok(Identity::of(key, anchors, self.clock.clone()))
    }

    /// Connects to the running vault. The time is the vault's own; a day that was given says that a rehearsal is meant, and
    /// is refused where it is none, before anything is asked.
    pub(crate) async fn connect_as(&self, identity: &Identity) -> Result<Client<UnixStream>, Failure> {
        let socket = self.socket()?;
        let connected = Client::connect_unix(&socket, identity).await;
        let client = connected.map_err(|error| {
            let is_nobody = matches!(error, Error::NotRunning);
            let mut failure = Failure::from(error);
            if is_nobody {
                let socket = socket.display();
                failure.message = format!("{}: nobody listens at {socket}", failure.message);
                failure.chinese.0 = format!("{}：{socket} 无人监听", failure.chinese.0);
            }
            failure
        })?;
        if self.at.is_some() && !Founded::around(&client.vault()).is_rehearsal() {
            return Err(NotARehearsal.into());
        }
        Ok(client)
    }
}
