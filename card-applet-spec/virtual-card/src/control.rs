//! The card manipulator as a Unix socket: one JSON object a line, an order in, a reply out; for tests, the demo and people with `nc -U`.
//!
//! Orders of a reader: `{"order":"status"}`, `{"order":"insert","memory":"FILE"}` (without `memory`: the card that was
//! taken away last), `{"order":"eject"}`, `{"order":"swap","memory":"FILE"}` (at once, so fast that the reader may report
//! nothing), `{"order":"foreign"}`, `{"order":"mute"}`, `{"order":"tear","write":N,"bytes":B}`,
//! `{"order":"fault","fault":{"pull_before":{"apdu":N}}}` and the other [`LineFault`]s.
//! Orders of the private service: `{"order":"stop"}`, `{"order":"start"}`, `{"order":"status"}`.
//!
//! Replies are `{"schema":"yzt.virtual-card/1","ok":true,"status":{..}}` or `{"schema":..,"ok":false,"error":{"code",
//! "message","action"}}`. The socket belongs to the user who runs the card; there is no other authentication, and none is
//! needed: who can write the card's memory file can do all this anyway.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::slot::LineFault;
pub use crate::slot::SlotStatus;

/// The schema of a reply.
pub const SCHEMA: &str = "yzt.virtual-card/1";

/// Longest path of a Unix socket, bytes (Linux `sun_path` without the closing zero).
const SOCKET_PATH_MAX: usize = 107;

/// What the manipulator may be ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Say what is there.
    Status,
    /// Lay a card on the reader and wait until it is powered.
    Insert {
        /// Its memory file; without one, the card that was taken away last.
        memory: Option<PathBuf>,
    },
    /// Take the card away.
    Eject,
    /// Change the card for another, faster than the reader looks.
    Swap {
        /// The other card's memory file.
        memory: PathBuf,
    },
    /// Lay a card of somebody else on the reader.
    Foreign,
    /// Lay a card on the reader that cannot be powered.
    Mute,
    /// Let the power fail in the middle of a write of the card's memory.
    Tear {
        /// Which write, 1 being the next.
        write: u32,
        /// How many of its bytes still reach the memory.
        bytes: u32,
    },
    /// Plan a fault on the line.
    Fault {
        /// The fault.
        fault: LineFault,
    },
    /// Private service: kill it.
    Stop,
    /// Private service: start it again.
    Start,
}

/// The answer to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Whether the order was carried out.
    pub ok: bool,
    /// What the reader sees now; only where a reader was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SlotStatus>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// From the list of [`Error::code`], or `ORDER`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub action: String,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let Failure {
            code,
            message,
            action,
        } = failure;
        Self::Refused {
            code,
            message,
            action,
        }
    }
}

impl Reply {
    /// The order was carried out.
    #[must_use]
    pub fn done(status: Option<SlotStatus>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            ok: true,
            status,
            error: None,
        }
    }

    /// It was not.
    #[must_use]
    pub fn failed(error: &Error) -> Self {
        Self::refused(error.code(), &error.to_string(), error.action())
    }

    /// It makes no sense here.
    #[must_use]
    pub fn refused(code: &str, message: &str, action: &str) -> Self {
        let error = Failure {
            code: code.to_owned(),
            message: message.to_owned(),
            action: action.to_owned(),
        };
        Self {
            schema: SCHEMA.to_owned(),
            ok: false,
            status: None,
            error: Some(error),
        }
    }
}

/// Answers orders at `socket` from now on, each connection in a thread of its own, until the process ends.
///
/// # Errors
///
/// [`Error::PathTooLong`], [`Error::File`].
pub fn listen(
    socket: &Path,
    carry_out: impl Fn(&Order) -> Reply + Send + Sync + 'static,
) -> Result<(), Error> {
    check_socket_path(socket)?;
    // A socket file of an earlier run, whose process is gone, would refuse the new one.
    // What is no socket is somebody's file, and stays.
    let is_socket =
        |path: &Path| std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket(socket) && UnixStream::connect(socket).is_err() {
        std::fs::remove_file(socket).map_err(|source| file("replace", socket, source))?;
    }
    let listener = UnixListener::bind(socket).map_err(|source| file("create", socket, source))?;
    let carry_out = Arc::new(carry_out);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let carry_out = Arc::clone(&carry_out);
            thread::spawn(move || {
                // A client that goes away in the middle of a line has nothing to be told.
                let _ = converse(&stream, carry_out.as_ref());
            });
        }
    });
    Ok(())
}

/// A client of one control socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    socket: PathBuf,
}

impl Control {
    /// The card, or the service, behind this socket. Nothing is opened yet.
    #[must_use]
    pub fn at(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Gives one order and waits until it is carried out.
    ///
    /// # Errors
    ///
    /// [`Error::CardGone`]; [`Error::Refused`] with the reason from the other side.
    pub fn order(&self, order: &Order) -> Result<Option<SlotStatus>, Error> {
        let reply = self.converse(order).map_err(|_| Error::CardGone {
            socket: self.socket.clone(),
        })?;
        match reply.error {
            None => Ok(reply.status),
            Some(failure) => Err(failure.into()),
        }
    }

    fn converse(&self, order: &Order) -> std::io::Result<Reply> {
        let mut stream = UnixStream::connect(&self.socket)?;
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        stream.write_all(line.as_bytes())?;
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply)?;
        Ok(serde_json::from_str(&reply)?)
    }
}

/// Refuses a path that no socket can have, with the path in the message: the system only says "invalid argument".
///
/// # Errors
///
/// [`Error::PathTooLong`].
pub(crate) fn check_socket_path(path: &Path) -> Result<(), Error> {
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        Err(Error::PathTooLong {
            path: path.to_owned(),
        })
    } else {
        Ok(())
    }
}

pub(crate) fn file(what: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File {
        what,
        path: path.to_owned(),
        source,
    }
}

fn converse(stream: &UnixStream, carry_out: &(dyn Fn(&Order) -> Reply + Send + Sync)) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        let reply = match serde_json::from_str(&line?) {
            Ok(order) => carry_out(&order),
            Err(error) => Reply::refused(
                "ORDER",
                &format!("this is no order: {error}"),
                "Write one JSON object a line.",
            ),
        };
        let mut text = serde_json::to_string(&reply)?;
        text.push('\n');
        writer.write_all(text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_carried_out_and_a_senseless_line_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("card.sock");
        listen(&socket, |order| match order {
            Order::Eject => Reply::done(None),
            _ => Reply::refused("HERE", "not here", "Go elsewhere."),
        })
        .unwrap();
        let control = Control::at(&socket);
        assert_eq!(control.order(&Order::Eject).unwrap(), None);
        let refused = control.order(&Order::Mute).unwrap_err();
        assert!(
            matches!(&refused, Error::Refused { code, .. } if code == "HERE"),
            "{refused:?}"
        );

        let mut stream = UnixStream::connect(&socket).unwrap();
        stream
            .write_all(b"{\"order\":\"insert\",\"memroy\":\"a.card\"}\n")
            .unwrap();
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).unwrap();
        assert!(reply.contains("\"ORDER\""), "{reply}");
    }

    #[test]
    fn orders_read_as_documented() {
        for (text, order) in [
            (
                r#"{"order":"insert","memory":"a.card"}"#,
                Order::Insert {
                    memory: Some("a.card".into()),
                },
            ),
            (r#"{"order":"insert"}"#, Order::Insert { memory: None }),
            (
                r#"{"order":"tear","write":3,"bytes":7}"#,
                Order::Tear { write: 3, bytes: 7 },
            ),
            (
                r#"{"order":"fault","fault":{"pull_after":{"apdu":2}}}"#,
                Order::Fault {
                    fault: LineFault::PullAfter { apdu: 2 },
                },
            ),
        ] {
            assert_eq!(serde_json::from_str::<Order>(text).unwrap(), order);
        }
    }

    #[test]
    fn a_card_that_is_gone_is_said_with_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let error = Control::at(&folder.path().join("none.sock"))
            .order(&Order::Status)
            .unwrap_err();
        assert_eq!(error.code(), "CARD_GONE");
    }

    #[test]
    fn a_path_no_socket_can_have_is_refused_with_the_path() {
        let path = PathBuf::from("/tmp").join("x".repeat(120));
        assert!(matches!(check_socket_path(&path), Err(Error::PathTooLong { path: said }) if said == path));
    }
}
