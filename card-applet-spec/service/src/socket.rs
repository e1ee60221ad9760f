//! The local socket of a service, as its clients see it: whoever may write a folder may put a socket there, so a client looks
//! at who listens before it says anything.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tokio::net::UnixStream;

/// Longest path of a socket in bytes, without the zero behind it (`sun_path`, unix(7)).
pub const MAX_PATH: usize = 107;

/// Connects, if the service's user listens there: ours, root, or for root the user of the socket's folder.
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
    if is_trusted(stream.peer_cred()?.uid(), own, owner_of_folder(path)) {
        Ok(stream)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Whether a process of user `listener` may be told people's data: our own user, root, and for root also the user whose folder
/// the socket stands in. Anybody else put a socket into a folder that all may write.
fn is_trusted(listener: u32, own: u32, folder: Option<u32>) -> bool {
    listener == own || listener == 0 || (own == 0 && folder == Some(listener))
}

fn owner_of_folder(socket: &Path) -> Option<u32> {
    let folder = match socket.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::metadata(folder).ok().map(|meta| meta.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_another_user_is_told_nothing() {
        let (us, root, service, stranger) = (1000, 0, 998, 1001);
        assert!(is_trusted(us, us, Some(us)));
        assert!(is_trusted(root, us, Some(us)));
        assert!(!is_trusted(stranger, us, Some(stranger)));
        // Root operates a service that runs as a user of its own, in that user's folder.
        assert!(is_trusted(service, root, Some(service)));
        // A folder that all may write is root's, and a stranger listens in it.
        assert!(!is_trusted(stranger, root, Some(root)));
        assert!(!is_trusted(stranger, root, None));
    }
}
