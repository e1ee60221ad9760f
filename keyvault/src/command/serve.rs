//! Serving: the lock, the socket, the isolation, and the end by a signal.

use std::convert::Infallible;
use std::io::{ErrorKind, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use keyvault::keys::arena::Arena;
use keyvault::keys::arena::heap::{self, sheltered};
use keyvault::keys::arena::stack;
use keyvault::keys::self_test;
use keyvault::{Error, Vault};
use keyvault_protocol::fingerprint;
use program_contract::language::Words;
use program_contract::{Clock, Failure, Founded, user};
use serde_json::{Value, json};

use crate::command::place::{PROGRAM, Place, SOCKET_NOTE, random, runtime, usage};

/// Serves until a signal ends it; comes back only when it fails.
pub(crate) fn serve(
    place: &Place,
    machine: &Clock,
    allowed: &[String],
    end_with_parent: bool,
    schema: Option<&'static str>,
) -> Result<Infallible, Failure> {
    let given = place.dir()?;
    let dir = std::fs::canonicalize(given).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::NoVault.into(),
        _ => Failure::file(Words("进入密钥库目录", "enter the vault's folder"), given, &error),
    })?;
    let socket = std::path::absolute(place.socket.clone().unwrap_or_else(|| dir.join("keyvault.sock")))
        .map_err(|error| Failure::file(Words("使用套接字，所在目录", "use the socket in"), &dir, &error))?;
    keyvault_protocol::check_path(&socket)?;
    end_when_needed(end_with_parent)?;
    let no_swap = keyvault::serve::isolation::forbid_swap();
    if !no_swap {
        tracing::warn!("memory beside the keys' own may be swapped out: allow unlimited locked memory");
    }
    let arena = Arena::new()?;
    let secret_memory = arena.is_secret();
    if !secret_memory {
        tracing::warn!(
            "root can read the keys of the open vault: this kernel gives no memfd_secret. Before 6.5 boot it with secretmem.enable=1; in a container or unit allow the system call"
        );
    }
    heap::open()?;
    self_test::run(&mut random())?;
    // The lock comes before the socket: only the one process that has the folder may replace a dead one's socket.
    let held = keyvault::FolderLock::take(&dir, &mut random())?;
    let users = users(allowed)?;
    let listener = bind(&socket, if users.is_empty() { PRIVATE } else { 0o666 })?;
    // What a killed one left, which may be another user's: root's, who served it once.
    let _ = std::fs::remove_file(dir.join(SOCKET_NOTE));
    let stack = stack::Stack::take()?;
    let isolated = keyvault::serve::isolation::confine(&dir, &socket)?;
    if !isolated.landlock {
        tracing::warn!("this kernel has no landlock: files are not confined");
    }
    let serving = async {
        let clock = |founded| Ok::<_, Failure>(machine.at(place.at, founded)?);
        let vault = Vault::load_locked(held, arena, clock, random()).await?;
        let founded = Founded::around(&vault.id());
        std::fs::write(dir.join(SOCKET_NOTE), format!("{}\n", socket.display())).map_err(|_| {
            Error::StoreUnavailable {
                what: "its folder cannot be written",
            }
        })?;
        let listener = tokio::net::UnixListener::from_std(listener)
            .map_err(|error| Failure::file(Words("使用套接字", "use the socket"), &socket, &error))?;
        let stop = stop_signal()?;
        let transport_key = fingerprint(&vault.transport_key());
        let ready = json!({
            "schema": schema,
            "ok": true,
            "vault": hex::encode(vault.id()),
            "socket": socket.display().to_string(),
            "landlock": isolated.landlock,
            "no_swap": no_swap,
            "secret_memory": secret_memory,
            "state": vault.status().await.state.as_str(),
            "transport_key": transport_key,
            "rehearsal": founded.is_rehearsal(),
        });
        if schema.is_some() {
            // Printed before the end, so that whoever started this knows that it may connect.
            announce(&ready)?;
        }
        let banner = founded.banner().map(|banner| format!("; {banner}"));
        let vault_id = hex::encode(vault.id());
        program_contract::tell!(
            "keyvault: ",
            Words("传输密钥指纹", "the transport key is"),
            " ",
            transport_key,
            "\nkeyvault: ",
            listens(vault_id, socket.display()),
            banner.unwrap_or_default()
        );
        // Custodians should not come for nothing.
        if let Err(error) = vault.looks_at_clock().await {
            PROGRAM.tell_failure(&error.into());
        }
        let server = keyvault::serve::Server::new(Arc::clone(&vault))?;
        keyvault::serve::listen(listener, server, &users, stop).await?;
        // Keys leave memory before the process does; a vault that is sealed already is as it should be.
        let _ = sheltered(vault.seal("shutdown")).await;
        vault.fold().await;
        Ok::<(), Failure>(())
    };
    // Keys are worked with on the one thread that polls, and on its stack.
    let outcome = stack.run(|| runtime()?.block_on(serving))?;
    let _ = std::fs::remove_file(&socket);
    let note = dir.join(SOCKET_NOTE);
    // Only our own: where the store was in use, the note is the other process's.
    if std::fs::read_to_string(&note).is_ok_and(|text| text.trim_end() == socket.display().to_string()) {
        let _ = std::fs::remove_file(note);
    }
    match outcome {
        Ok(()) => std::process::exit(0),
        Err(failure) => Err(failure),
    }
}

/// Ends the process at a fault of this program, and with its parent where that is wanted.
fn end_when_needed(end_with_parent: bool) -> Result<(), Failure> {
    // A panic may have left a key half-way: the process ends at once. The payload may quote values and is not shown.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        program_contract::tell!("keyvault: ", fault_at(place));
        std::process::abort();
    }));
    if end_with_parent {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM)).map_err(
            |error| {
                Failure::internal((
                    format!("无法监视父进程：{error}"),
                    format!("the parent cannot be watched: {error}"),
                ))
            },
        )?;
    }
    Ok(())
}

program_contract::failures! {
    fn socket_taken(path) = Damaged "IN_USE" {
        "已有进程在套接字 {path} 监听", "a process listens at the socket {path} already";
        "请先查明是哪个进程，将其结束；或用 `--socket`（中继用 `--listen-socket`）另给一个路径。",
        "Find out which process it is and end it, or give another path with `--socket` (a relay: `--listen-socket`).";
    }
}

program_contract::sentences! {
    fn fault_at(place) =
        "本程序在 {place} 出错，现在结束；请重新启动并解封",
        "a fault of this program at {place}; it ends, start it again and unseal it";
    fn listens(vault, socket) =
        "密钥库 {vault} 在 {socket} 监听，处于封存状态",
        "vault {vault} listens on {socket}, sealed";
}

pub(crate) fn announce(ready: &Value) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{ready}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::output(&error))
}

fn unwatched(error: &std::io::Error) -> Failure {
    Failure::internal((
        format!("无法接收信号：{error}"),
        format!("signals cannot be watched: {error}"),
    ))
}

pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| unwatched(&error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| unwatched(&error))?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(|error| unwatched(&error))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// The numbers of these users, as the machine's list of users has them.
fn users(allowed: &[String]) -> Result<Vec<u32>, Failure> {
    let number_of = |name: &String| {
        let number = name.parse().ok().or_else(|| user::number(name));
        number.ok_or_else(|| {
            usage((
                format!("本机没有用户 {name}"),
                format!("this machine has no user {name}"),
            ))
        })
    };
    allowed.iter().map(number_of).collect()
}

/// Rights of a socket for this user alone.
pub(crate) const PRIVATE: u32 = 0o600;

/// Makes a socket with these rights. One that nobody listens at is replaced.
pub(crate) fn bind(socket: &Path, rights: u32) -> Result<UnixListener, Failure> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let made = Words(
        "建立套接字（目录须已存在）",
        "make the socket (its folder must exist)",
    );
    if let Ok(found) = std::fs::symlink_metadata(socket) {
        if !found.file_type().is_socket() {
            return Err(Failure::file(made, socket, &ErrorKind::AlreadyExists.into()));
        }
        if std::os::unix::net::UnixStream::connect(socket).is_ok() {
            return Err(socket_taken(socket.display()));
        }
        let _ = std::fs::remove_file(socket);
    }
    let listener = UnixListener::bind(socket).map_err(|error| Failure::file(made, socket, &error))?;
    // The mask of every program made it private from its first moment; said again for file systems that know no mask.
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(rights)).map_err(|error| {
        Failure::file(
            Words("收紧套接字的权限", "keep private the socket"),
            socket,
            &error,
        )
    })?;
    listener
        .set_nonblocking(true)
        .map_err(|error| Failure::file(Words("使用套接字", "use the socket"), socket, &error))?;
    Ok(listener)
}
