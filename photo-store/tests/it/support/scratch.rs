//! The folder of this test program for what its tests share.
//!
//! It is watched by a shell that holds a pipe to us: when this process ends, however it ends, the pipe closes, the shell
//! ends what it was given to run, and the folder goes.

use std::path::{Path, PathBuf};
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
        Self::watched("read -r _", |_| Vec::new())
    }

    /// As [`Self::new`], with the program beside it that `program` says. It ends by SIGQUIT, which a shell makes programs
    /// ignore that set no handler of their own.
    pub(crate) fn with(program: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let script = r#""$@" >"$folder/log" 2>&1 & program=$!
            read -r _; kill -QUIT $program; wait $program"#;
        Self::watched(script, program)
    }

    fn watched(script: &str, program: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("yzt-photo-")
            .tempdir_in("/tmp")
            .unwrap()
            .keep();
        // `read` returns when the pipe closes.
        let script = format!(r#"folder=$1; shift; {script}; rm -rf "$folder""#);
        let watchdog = Command::new("sh")
            .args(["-c", &script, "watchdog"])
            .arg(&folder)
            .args(program(&folder))
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
