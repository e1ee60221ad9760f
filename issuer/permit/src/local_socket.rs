//! The local socket of a running installation: what `permit up` does for a person at a terminal of the same machine beside the
//! HTTP API, and the commands that ask it: `permit photo` and `permit hand-over`.
//!
//! `permit up` listens on a Unix socket in the folder of the sockets, which only its user can open. A question is one line of JSON, a picture's bytes follow it; the answer is one line of JSON. Questions
//! wait while a card is under way, so the reader has one card at a time. Left out on purpose: tokens, because whoever can
//! open the folder holds the staff's tokens anyway.

use std::io::{BufRead as _, BufReader as BlockingReader, Read as _, Write as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use program_contract::language::Words;
use program_contract::{Exit, Failure, Outcome, line};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::arguments::{Checked, HandOverArguments, PhotoArguments};
use crate::failure;
use crate::folder::{Folder, sockets_of};

/// Schema of `permit photo`.
pub(crate) const PHOTO: &str = "yzt.permit_photo/1";
/// Schema of `permit hand-over`.
pub(crate) const HAND_OVER: &str = "yzt.permit_hand_over/1";

/// Name of the socket.
const SOCKET: &str = "permit.sock";
/// Longest line of a question, bytes.
const LINE_LIMIT: u64 = 4096;
/// Largest picture that is carried, bytes; the photo store refuses smaller ones already and says why.
const PICTURE_LIMIT: u64 = 16_000_000;
/// How long a question may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// What a person asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Question {
    /// A photo of the applicant; the picture's bytes follow.
    Photo { application: String, confirm: bool },
    /// The card of a verified order goes to its holder.
    HandOver { order: String, checked: Checked },
}

/// What was done: the keys of the object, and lines for a person, which have no words: numbers, states, commands.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) fields: Map<String, Value>,
    pub(crate) lines: Vec<String>,
}

impl Done {
    fn shown(self, schema: &'static str) -> Result<Outcome, Failure> {
        let lines = self.lines.iter().map(|told| line!(told)).collect();
        Outcome::done(schema, &self.fields, lines)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
enum Answer {
    Done(Done),
    Failed {
        exit: u8,
        code: String,
        english: (String, String),
        chinese: (String, String),
        fields: Map<String, Value>,
    },
}

/// A question with its picture, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    pub(crate) picture: Vec<u8>,
    stream: UnixStream,
}

impl Asked {
    /// Answers. A person who has gone away gets nothing; what was done is done, and asking again says so.
    pub(crate) async fn answer(mut self, outcome: Result<Done, Failure>) {
        let answer = match outcome {
            Ok(done) => Answer::Done(done),
            Err(failure) => Answer::Failed {
                exit: failure.exit.code(),
                code: failure.code.clone().into_owned(),
                english: (failure.message.clone(), failure.action.clone()),
                chinese: failure.chinese.clone(),
                fields: failure.fields.clone(),
            },
        };
        if let Ok(mut line) = serde_json::to_vec(&answer) {
            line.push(b'\n');
            let _ = self.stream.write_all(&line).await;
        }
    }
}

/// The socket, open while it lives.
#[derive(Debug)]
pub(crate) struct LocalSocket {
    questions: mpsc::Receiver<Asked>,
    listening: JoinHandle<()>,
    socket: PathBuf,
}

impl LocalSocket {
    /// Opens the socket of this folder.
    pub(crate) fn open(folder: &Folder) -> Result<Self, Failure> {
        let socket = folder.sockets()?.join(SOCKET);
        // Who holds the folder is alone in it: a socket that is there is one of a run that was killed.
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)
            .map_err(|error| Failure::file(Words("监听", "listen on"), &socket, &error))?;
        let (sender, questions) = mpsc::channel(4);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    // What is no question gets no answer: only our own commands speak here.
                    if let Ok(Some(asked)) = tokio::time::timeout(ARRIVAL, read(stream)).await {
                        let _ = sender.send(asked).await;
                    }
                });
            }
        });
        Ok(Self {
            questions,
            listening,
            socket,
        })
    }

    /// The next question; never, when the socket is broken.
    pub(crate) async fn next(&mut self) -> Asked {
        match self.questions.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        self.listening.abort();
        // If it stays, the commands find nobody at the socket and say so.
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn read(stream: UnixStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    (&mut reader)
        .take(LINE_LIMIT)
        .read_until(b'\n', &mut line)
        .await
        .ok()?;
    let question = serde_json::from_slice(&line).ok()?;
    let mut picture = Vec::new();
    (&mut reader)
        .take(PICTURE_LIMIT + 1)
        .read_to_end(&mut picture)
        .await
        .ok()?;
    Some(Asked {
        question,
        picture,
        stream: reader.into_inner(),
    })
}

/// `permit photo`.
pub(crate) fn photo(arguments: &PhotoArguments) -> Result<Outcome, Failure> {
    let failed = |error: std::io::Error| Failure::file(Words("读取", "read"), &arguments.file, &error);
    let file = std::fs::File::open(&arguments.file).map_err(failed)?;
    let mut picture = Vec::new();
    file.take(PICTURE_LIMIT)
        .read_to_end(&mut picture)
        .map_err(failed)?;
    let question = Question::Photo {
        application: arguments.application.to_string(),
        confirm: arguments.confirm,
    };
    let done = ask(&arguments.dir, &question, &picture)?;
    done.shown(PHOTO)
}

/// `permit hand-over`.
pub(crate) fn hand_over(arguments: &HandOverArguments) -> Result<Outcome, Failure> {
    let question = Question::HandOver {
        order: arguments.order.to_string(),
        checked: arguments.checked,
    };
    let done = ask(&arguments.dir, &question, &[])?;
    done.shown(HAND_OVER)
}

fn ask(dir: &Path, question: &Question, picture: &[u8]) -> Result<Done, Failure> {
    let nobody = || failure::not_running(dir.display());
    let socket = sockets_of(&dir.canonicalize().map_err(|_| nobody())?).join(SOCKET);
    let mut stream = BlockingStream::connect(socket).map_err(|_| nobody())?;
    let mut line = serde_json::to_vec(question).map_err(|error| {
        failure::machine(
            Words("无法写出所问", "the question cannot be written"),
            error.to_string(),
        )
    })?;
    line.push(b'\n');
    // Until the whole question is there nothing is done; from then on only the answer says what was.
    let sent = stream
        .write_all(&line)
        .and_then(|()| stream.write_all(picture))
        .and_then(|()| stream.shutdown(std::net::Shutdown::Write));
    sent.map_err(|_| nobody())?;
    let mut answer = String::new();
    let answered = BlockingReader::new(stream).read_line(&mut answer);
    let answer = answered.ok().and_then(|_| serde_json::from_str(&answer).ok());
    match answer {
        Some(Answer::Done(done)) => Ok(done),
        Some(Answer::Failed {
            exit,
            code,
            english,
            chinese,
            fields,
        }) => {
            let exit = Exit::of_process(Some(i32::from(exit)));
            let mut failure = failure::said_by_another(exit, code, english, chinese);
            failure.fields = fields;
            Err(failure)
        }
        None => Err(failure::no_answer()),
    }
}
