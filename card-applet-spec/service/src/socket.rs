//! The local socket of a service, as its clients see it: whoever may write a folder may put a socket there, so a client looks
//! at who listens before it says anything.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tokio::net::UnixStream;

/// Longest path of a socket in bytes, without the zero behind it (`sun_path`, unix(7)).
pub const MAX_PATH: usize = 107;

/// Connects, if the service's user listens there: ours, root, or the user of the socket's folder, where nobody else could have put
/// a folder on the way there.
///
/// # Errors
/// `PermissionDenied` when another user listens or the socket is not ours to use, `InvalidInput` for a path over [`MAX_PATH`],
/// else the operating system's.
pub async fn connect(path: &Path) -> io::Result<UnixStream> {
    if path.as_os_str().len() > MAX_PATH {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let stream = UnixStream::connect(path).await?;
    let own = rustix::process::geteuid().as_raw();
    let listener = stream.peer_cred()?.uid();
    let way = || is_closed(path, &[own, 0, listener]);
    if is_trusted(listener, own, owner_of_folder(path), way) {
        Ok(stream)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Whether a process of user `listener` may be told people's data: our own user, root, and the user whose folder the socket stands
/// in, if the way there is closed to others; root, who operates services of other users, is asked for no way. Anybody else put a
/// socket into a folder that all may write.
fn is_trusted(listener: u32, own: u32, folder: Option<u32>, way_is_closed: impl FnOnce() -> bool) -> bool {
    listener == own || listener == 0 || (folder == Some(listener) && (own == 0 || way_is_closed()))
}

fn owner_of_folder(socket: &Path) -> Option<u32> {
    std::fs::metadata(folder(socket)).ok().map(|meta| meta.uid())
}

fn folder(socket: &Path) -> &Path {
    match socket.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether nobody but these users can put anything into a folder on the way to the socket: as it is written, and as it is.
fn is_closed(socket: &Path, users: &[u32]) -> bool {
    let folder = folder(socket);
    let (Ok(written), Ok(real)) = (std::path::absolute(folder), folder.canonicalize()) else {
        return false;
    };
    written
        .ancestors()
        .chain(real.ancestors())
        .all(|folder| is_written_by(folder, users))
}

fn is_written_by(folder: &Path, users: &[u32]) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    std::fs::metadata(folder).is_ok_and(|meta| meta.mode() & OTHERS_WRITE == 0 && users.contains(&meta.uid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_another_user_is_told_nothing() {
        let (us, root, service, stranger) = (1000, 0, 998, 1001);
        let (closed, open) = (|| true, || false);
        assert!(is_trusted(us, us, Some(us), open));
        assert!(is_trusted(root, us, Some(us), open));
        // A service of its own user, in its own folder, to which only root leads.
        assert!(is_trusted(service, us, Some(service), closed));
        assert!(!is_trusted(stranger, us, Some(stranger), open));
        assert!(!is_trusted(stranger, us, Some(us), closed));
        // Root operates a service that runs as a user of its own, in that user's folder.
        assert!(is_trusted(service, root, Some(service), open));
        // A folder that all may write is root's, and a stranger listens in it.
        assert!(!is_trusted(stranger, root, Some(root), closed));
        assert!(!is_trusted(stranger, root, None, closed));
    }

    #[test]
    fn a_way_is_closed_where_nobody_else_may_put_a_folder() {
        use std::os::unix::fs::PermissionsExt as _;
        let shared = tempfile::tempdir().unwrap();
        let folder = shared.path().join("service");
        std::fs::create_dir(&folder).unwrap();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let own = rustix::process::geteuid().as_raw();
        let socket = folder.join("service.sock");
        // Everybody may make folders in /tmp.
        assert!(!is_closed(&socket, &[own, 0]));
        mode(&folder, 0o750);
        assert!(is_written_by(&folder, &[own]));
        mode(&folder, 0o770);
        assert!(!is_written_by(&folder, &[own]));
        assert!(is_closed(Path::new("/usr/service.sock"), &[0]));
        assert!(!is_closed(Path::new("/usr/service.sock"), &[own + 1]));
        assert!(!is_closed(Path::new("/nowhere/service.sock"), &[own, 0]));
    }
}
