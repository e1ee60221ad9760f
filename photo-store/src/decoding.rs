//! Decoding apart: the bytes of a stranger are decoded, judged and made into renditions by a process of their own, one for each
//! picture, which has three pipes and nothing else: no socket to the vault, no file, no other process, no network.
//!
//! It is this same program (`photo-store decode`, which people do not call). Before it reads a byte it gives itself limits of memory,
//! time and descriptors, and then a list of system calls ([`ALLOWED`]); any other ends it. What a file does to a decoder costs that
//! photo, and what a decoder under a stranger's control says is that photo's alone: the store looks whether it is in its form.
//! Left out: namespaces and a user of its own, which need root.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use minicbor::{Decode, Encode};
use photo_picture::faces::Faces;
use photo_picture::judge::judge;
use photo_picture::normalise::{self, Rendition};
use photo_picture::rules::Rules;
use photo_picture::{error::Error as PictureError, ingest, page};
use photo_store_protocol::{
    CheckCode, FailureCode, Judgement, MAX_FRAME_BYTES, MAX_PHOTO_BYTES, PagePicture, Picture, Profile,
    Verdict,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use service_contract::frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::Error;

/// Renditions that are kept; the others are made from `print` when they are read.
pub(crate) const KEPT: [Profile; 2] = [Profile::Ga461, Profile::Print];
/// Address space of a decoder: the largest picture takes 250 MB while it is judged.
const MEMORY: u64 = 768 << 20;
/// Seconds of a processor for one picture; the largest takes two.
const SECONDS: u64 = 30;
/// How long a picture may take, with others at work beside it.
const PATIENCE: Duration = Duration::from_mins(1);
/// Three pipes, and no descriptor more.
const DESCRIPTORS: u64 = 3;
/// How a JPEG file begins (ITU-T T.81, SOI and the next marker).
const JPEG: &[u8] = &[0xff, 0xd8, 0xff];
/// Argument of the program that makes it a decoder.
pub(crate) const ARGUMENT: &str = "decode";

/// Who decodes.
#[derive(Debug, Clone)]
pub enum Decoder {
    /// A process of this program for each picture.
    Apart(PathBuf),
    /// This process: for one that is a decoder, or that reaches no vault.
    Here(Arc<Here>),
}

/// What decoding needs.
#[derive(Debug)]
pub struct Here {
    rules: Rules,
    faces: Faces,
}

/// What is to be made of a file.
#[derive(Debug, Clone, Copy, Encode, Decode)]
enum Work {
    /// A stranger's file is judged as a photo, and made into the renditions that are kept.
    #[n(0)]
    Judge,
    /// A rendition is made from a finished one.
    #[n(1)]
    Make(#[n(0)] Profile),
    /// A stranger's file becomes a page of a paper.
    #[n(2)]
    Page,
    /// A stranger's file is judged, and nothing is made of it.
    #[n(3)]
    Hint,
}

/// One picture's work.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Task {
    #[n(0)]
    work: Work,
    #[cbor(n(1), with = "minicbor::bytes")]
    file: Vec<u8>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.file.zeroize();
    }
}

/// What came of it.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Done {
    #[n(0)]
    failed: Option<FailureCode>,
    #[n(1)]
    judgement: Option<Judgement>,
    #[n(2)]
    pictures: Vec<Picture>,
    #[n(3)]
    page: Option<PageMade>,
}

/// What came of a page.
#[derive(Encode, Decode)]
enum PageMade {
    #[n(0)]
    Refused(#[n(0)] CheckCode),
    #[n(1)]
    Made(#[n(0)] PagePicture),
}

impl Done {
    fn failed(code: FailureCode) -> Self {
        Self {
            failed: Some(code),
            judgement: None,
            pictures: Vec::new(),
            page: None,
        }
    }
}

impl Decoder {
    /// A process of the running program for each picture.
    #[must_use]
    pub fn apart() -> Self {
        // The program that runs, also when another was installed over it meanwhile.
        Self::Apart("/proc/self/exe".into())
    }

    /// This process.
    ///
    /// # Errors
    /// [`Error::Picture`] when the program's own data is damaged.
    pub fn here() -> Result<Self, Error> {
        Ok(Self::Here(Arc::new(Here {
            rules: Rules::built_in()?,
            faces: Faces::new()?,
        })))
    }

    /// Judges a stranger's file, and makes the renditions that are kept unless it is refused.
    pub(crate) async fn judge(
        &self,
        file: Zeroizing<Vec<u8>>,
        rules: &Rules,
    ) -> Result<(Judgement, Vec<Picture>), Error> {
        let done = self.ask(Work::Judge, file).await?;
        let judgement = done.judgement.ok_or(Error::Decoder)?;
        let made = match judgement.verdict {
            Verdict::Refuse => &[][..],
            _ => &KEPT,
        };
        is_in_form(&done.pictures, made, rules)?;
        Ok((judgement, done.pictures))
    }

    /// What the checks say of a stranger's file.
    pub(crate) async fn hint(&self, file: Zeroizing<Vec<u8>>) -> Result<Judgement, Error> {
        self.ask(Work::Hint, file).await?.judgement.ok_or(Error::Decoder)
    }

    /// Makes a rendition from a finished one.
    pub(crate) async fn make(
        &self,
        profile: Profile,
        from: Zeroizing<Vec<u8>>,
        rules: &Rules,
    ) -> Result<Picture, Error> {
        let mut done = self.ask(Work::Make(profile), from).await?;
        is_in_form(&done.pictures, &[profile], rules)?;
        done.pictures.pop().ok_or(Error::Decoder)
    }

    /// Makes a page of a stranger's file, or says which check it does not pass.
    pub(crate) async fn page(
        &self,
        file: Zeroizing<Vec<u8>>,
        rules: &Rules,
    ) -> Result<Result<PagePicture, CheckCode>, Error> {
        let rule = &rules.page;
        match self.ask(Work::Page, file).await?.page.ok_or(Error::Decoder)? {
            PageMade::Refused(code) => Ok(Err(code)),
            PageMade::Made(page)
                if page.width.max(page.height) <= rule.long_side_max
                    && page.jpeg.len() <= rule.bytes_max
                    && page.jpeg.starts_with(JPEG) =>
            {
                Ok(Ok(page))
            }
            PageMade::Made(_) => Err(Error::Decoder),
        }
    }

    async fn ask(&self, work: Work, file: Zeroizing<Vec<u8>>) -> Result<Done, Error> {
        let done = match self {
            Self::Here(here) => {
                let here = Arc::clone(here);
                tokio::task::spawn_blocking(move || here.work(work, &file))
                    .await
                    .map_err(|_| Error::Decoder)?
            }
            Self::Apart(program) => {
                let asked = tokio::time::timeout(PATIENCE, ask_apart(program.clone(), work, file));
                asked.await.map_err(|_| Error::Decoder)??
            }
        };
        match done.failed {
            None => Ok(done),
            Some(FailureCode::DoesNotFit) => Err(PictureError::DoesNotFit.into()),
            Some(_) => Err(Error::Decoder),
        }
    }
}

/// Whether a decoder made these, in the sizes that they have. What they show is its own.
fn is_in_form(pictures: &[Picture], profiles: &[Profile], rules: &Rules) -> Result<(), Error> {
    if pictures.len() != profiles.len() {
        return Err(Error::Decoder);
    }
    for (picture, profile) in pictures.iter().zip(profiles) {
        let rule = rules.profile(*profile)?;
        let form = (
            picture.profile,
            picture.version,
            picture.width,
            picture.height,
            picture.dpi,
        );
        if form != (*profile, rule.version, rule.width, rule.height, rule.dpi)
            || picture.jpeg.len() > MAX_PHOTO_BYTES
        {
            return Err(Error::Decoder);
        }
    }
    Ok(())
}

/// A decoder that has not been told anything yet. It ends with the one who asked.
fn command(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    command
        .arg(ARGUMENT)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn ask_apart(program: PathBuf, work: Work, mut file: Zeroizing<Vec<u8>>) -> Result<Done, Error> {
    let broken = |error: std::io::Error| {
        tracing::warn!(kind = %error.kind(), "a decoder could not be used");
        Error::Decoder
    };
    let mut child = command(program).spawn().map_err(broken)?;
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::Decoder);
    };
    let task = Task {
        work,
        file: std::mem::take(&mut file),
    };
    let told = Zeroizing::new(minicbor::to_vec(&task).map_err(|_| Error::Decoder)?);
    drop(task);
    let mut answer = Zeroizing::new(Vec::new());
    let limit = u64::try_from(MAX_FRAME_BYTES).unwrap_or(u64::MAX) + 1;
    let mut from = from.take(limit);
    let telling = async {
        // One that ended before it read everything says why by how it ended.
        let _ = to.write_all(&told).await;
        drop(to);
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        never = telling => match never {},
        heard = from.read_to_end(&mut answer) => heard.map_err(broken)?,
    };
    if answer.len() > MAX_FRAME_BYTES {
        return Err(Error::Decoder);
    }
    let ended = child.wait().await.map_err(broken)?;
    if !ended.success() {
        tracing::warn!(%ended, "a decoder broke off");
        return Err(Error::Decoder);
    }
    frame::decode(&answer).map_err(|_| Error::Decoder)
}

impl Here {
    fn work(&self, work: Work, file: &[u8]) -> Done {
        let done = Done {
            failed: None,
            judgement: None,
            pictures: Vec::new(),
            page: None,
        };
        let made = match work {
            Work::Judge => self.judge(file).map(|(judgement, pictures)| Done {
                judgement: Some(judgement),
                pictures,
                ..done
            }),
            Work::Make(profile) => self.make(profile, file).map(|made| Done {
                pictures: vec![made],
                ..done
            }),
            Work::Hint => judge(file, &self.rules, &self.faces)
                .map_err(Error::from)
                .map(|judged| Done {
                    judgement: Some(judged.judgement),
                    ..done
                }),
            Work::Page => self.page(file).map(|made| Done {
                page: Some(made),
                ..done
            }),
        };
        made.unwrap_or_else(|error| Done::failed(error.code()))
    }

    fn page(&self, file: &[u8]) -> Result<PageMade, Error> {
        Ok(match page::page(file, &self.rules.page)? {
            Err(code) => PageMade::Refused(code),
            Ok(mut made) => PageMade::Made(PagePicture {
                width: made.width,
                height: made.height,
                jpeg: std::mem::take(&mut *made.jpeg),
            }),
        })
    }

    fn judge(&self, file: &[u8]) -> Result<(Judgement, Vec<Picture>), Error> {
        let judged = judge(file, &self.rules, &self.faces)?;
        let mut made = Vec::new();
        if let Some(portrait) = &judged.portrait {
            for profile in KEPT {
                made.push(picture(portrait.rendition(profile, &self.rules)?));
            }
        }
        Ok((judged.judgement, made))
    }

    fn make(&self, profile: Profile, jpeg: &[u8]) -> Result<Picture, Error> {
        // Our own file: what does not decode now was exchanged under a valid seal, which cannot be.
        let decoded = ingest::read(jpeg).map_err(|_| Error::Decoder)?;
        Ok(picture(normalise::from_finished(
            &decoded.raster,
            profile,
            &self.rules,
        )?))
    }
}

fn picture(mut made: Rendition) -> Picture {
    Picture {
        profile: made.profile,
        version: made.version,
        width: made.width,
        height: made.height,
        dpi: made.dpi,
        jpeg: std::mem::take(&mut *made.jpeg),
    }
}

/// `photo-store decode`: one picture in, what came of it out.
///
/// # Errors
/// That it cannot be confined, that it was given no task, or that nobody takes the answer.
pub(crate) fn run(from: impl Read, mut to: impl Write) -> Result<(), Error> {
    confine()?;
    let limit = u64::try_from(MAX_FRAME_BYTES).unwrap_or(u64::MAX);
    let mut told = Zeroizing::new(Vec::new());
    from.take(limit)
        .read_to_end(&mut told)
        .map_err(|_| Error::Decoder)?;
    let task: Task = frame::decode(&told).map_err(|_| Error::Decoder)?;
    drop(told);
    let Decoder::Here(here) = Decoder::here()? else {
        return Err(Error::Decoder);
    };
    let done = here.work(task.work, &task.file);
    let answer = Zeroizing::new(minicbor::to_vec(&done).map_err(|_| Error::Decoder)?);
    to.write_all(&answer)
        .and_then(|()| to.flush())
        .map_err(|_| Error::Decoder)
}

/// Limits, and then no system call but [`ALLOWED`]: any other ends the process.
fn confine() -> Result<(), Error> {
    for (resource, most) in [
        (Resource::As, MEMORY),
        (Resource::Cpu, SECONDS),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).map_err(|_| Error::Decoder)?;
    }
    let program = filter().ok_or(Error::Decoder)?;
    // With it goes no_new_privs.
    seccompiler::apply_filter_all_threads(&program).map_err(|_| Error::Decoder)
}

fn filter() -> Option<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let is = |argument, value| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).ok()
    };
    let rule = |conditions| SeccompRule::new(conditions).ok();
    // Its pipes, and no descriptor that whoever started the store left open.
    rules.insert(libc::SYS_read, vec![rule(vec![is(0, 0)?])?]);
    rules.insert(
        libc::SYS_write,
        vec![rule(vec![is(0, 1)?])?, rule(vec![is(0, 2)?])?],
    );
    // Memory, but none that becomes code, and none of a file.
    let exec = u64::try_from(libc::PROT_EXEC).ok()?;
    let no_code = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(exec), 0).ok()?;
    let no_file = is(4, u64::from(u32::MAX))?;
    rules.insert(libc::SYS_mprotect, vec![rule(vec![no_code.clone()])?]);
    rules.insert(libc::SYS_mmap, vec![rule(vec![no_code, no_file])?]);
    let arch = std::env::consts::ARCH.try_into().ok()?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)
        .ok()?
        .try_into()
        .ok()
}

/// The system calls of a decoder, with `read` and `write` of its pipes, and `mmap` and `mprotect` of memory that is neither code nor of
/// a file. No `open`, `socket`, `clone`, `execve`.
const ALLOWED: &[i64] = &[
    libc::SYS_close,
    // memory
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // one thread, time, the keys of hash tables
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    // the end, and a panic on the way there
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::ExitStatus;

    use super::*;

    /// What a decoder under a stranger's control would try, by the name in the environment of a process that is only for that.
    #[test]
    #[ignore = "the other half of the test below"]
    fn confined() {
        let Ok(attempt) = std::env::var("YZT_ATTEMPT") else {
            return;
        };
        let mut left_open = std::fs::File::open("/etc/passwd").unwrap();
        confine().unwrap();
        let mut heap = Vec::<u8>::new();
        match attempt.as_str() {
            "nothing" => {}
            "socket" => drop(std::os::unix::net::UnixStream::connect("/nowhere")),
            "network" => drop(std::net::TcpStream::connect("127.0.0.1:1")),
            "file" => drop(std::fs::File::open("/etc/passwd")),
            "left open" => drop(left_open.read(&mut [0])),
            "program" => drop(std::process::Command::new("/bin/true").exec()),
            "thread" => drop(std::thread::spawn(|| {})),
            "memory" => heap.reserve_exact(usize::try_from(MEMORY).unwrap()),
            _ => panic!("{attempt}"),
        }
        // Not by way of the test program, which does much more than a decoder at its end.
        std::process::exit(0);
    }

    fn attempt(what: &str) -> ExitStatus {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "decoding::tests::confined",
                "--ignored",
                "--test-threads",
                "1",
            ])
            .env("YZT_ATTEMPT", what)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
    }

    #[test]
    fn a_decoder_that_reaches_for_anything_but_its_pipes_is_ended() {
        assert!(attempt("nothing").success());
        for what in ["socket", "network", "file", "left open", "program", "thread"] {
            assert_eq!(attempt(what).signal(), Some(libc::SIGSYS), "{what}");
        }
        assert!(!attempt("memory").success());
    }
}
