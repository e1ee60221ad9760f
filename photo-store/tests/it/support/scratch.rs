//! The folder of this test program for what its tests share.
//!
//! It is watched by a shell that holds a pipe to us: when this process ends, however it ends, the pipe closes and the folder
//! goes.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A folder, and the shell that takes it away.
pub(crate) struct Scratch {
    pub(crate) folder: PathBuf,
    /// Its standard input is the pipe.
    _watchdog: Child,
}

impl Scratch {
    /// A folder with a short path: that of a socket has at most 107 bytes.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("yzt-photo-")
            .tempdir_in("/tmp")
            .unwrap()
            .keep();
        // `read` returns when the pipe closes.
        let script = r#"read -r _; rm -rf "$1""#;
        let watchdog = Command::new("sh")
            .args(["-c", script, "watchdog"])
            .arg(&folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            folder,
            _watchdog: watchdog,
        }
    }
}
