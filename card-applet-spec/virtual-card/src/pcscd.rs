//! A PC/SC service of one's own: a real `pcscd` with the virtual reader and its cards, in namespaces that end with their
//! owner. Beside a service that already runs, several at once, as root or as an ordinary user.
//!
//! How: `unshare` makes user, mount, network and process namespaces; inside, the program `virtual-card` brings the
//! loopback interface up, lays a run folder over `/run/pcscd`, starts `pcscd` and holds the cards. The ports of the virtual
//! reader are always the default ones, because nobody else is in the network namespace. A client is pointed at the
//! service by `PCSCLITE_CSOCK_NAME` ([`Folder::environment`]), which must be set when the client process is spawned: the
//! library reads it once, and a running process cannot set it safely.
//!
//! The end: `virtual-card` is the first process of its process namespace and reads its standard input; when the owner
//! drops the harness, or dies in whatever way, the pipe ends, `virtual-card` ends, and the kernel kills everything else in
//! the namespace.
//!
//! Left out on purpose: USB readers. `PCSCLITE_HP_DROPDIR` points at an empty folder, so that a test can never find a
//! physical reader in the private service.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::control::{self, Control, Order, Reply, check_socket_path, file};
use crate::error::Error;
use crate::slot::{FIRST_PORT, Slot};

/// Environment variable with the path of the program `virtual-card`.
pub const PROGRAM_VARIABLE: &str = "YZT_VIRTUAL_CARD";
/// Environment variable of the PC/SC library: path of the service's socket.
pub const SOCKET_VARIABLE: &str = "PCSCLITE_CSOCK_NAME";

/// Code of the service's answer to [`Order::Status`] while its `pcscd` does not run.
pub const STOPPED: &str = "STOPPED";

/// Environment variable of [`as_client`] and [`client_program`]: the run folder of the service whose client this process is.
const FOLDER_VARIABLE: &str = "YZT_PRIVATE_PCSCD";

/// The names of the two readers, as a client sees them. The first usually holds a card, the second is for the other one.
pub const READERS: [&str; 2] = [
    "Yizhengtong Virtual Reader 00 00",
    "Yizhengtong Virtual Reader 00 01",
];

/// The driver of Debian's package `vsmartcard-vpcd`.
const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
/// Folders of system programs that the search path of an ordinary user lacks on Debian.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";
/// How long the service may take to start. It takes 50 ms; a machine that builds at the same time is slower.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long the service may take to end before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// How often a condition is looked at again while waiting.
const POLL: Duration = Duration::from_millis(5);

/// The run folder of a private service: where its sockets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The run folder at this path. Nothing is opened or made.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The socket for PC/SC clients.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("run/pcscd/pcscd.comm")
    }

    /// What a PC/SC client process must have in its environment.
    #[must_use]
    pub fn environment(&self) -> (&'static str, PathBuf) {
        (SOCKET_VARIABLE, self.socket())
    }

    /// The manipulator at one reader; `reader` is its place in [`READERS`].
    #[must_use]
    pub fn manipulator(&self, reader: usize) -> Control {
        Control::at(&self.manipulator_socket(reader))
    }

    /// The manipulator at the service itself: [`Order::Stop`], [`Order::Start`].
    #[must_use]
    pub fn service(&self) -> Control {
        Control::at(&self.service_socket())
    }

    /// The log of the service, for people.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("pcscd.log")
    }

    fn start_log(&self) -> PathBuf {
        self.0.join("start.log")
    }

    fn manipulator_socket(&self, reader: usize) -> PathBuf {
        self.0.join(format!("card{reader}.sock"))
    }

    fn service_socket(&self) -> PathBuf {
        self.0.join("service.sock")
    }

    fn configuration(&self) -> PathBuf {
        self.0.join("reader.conf.d")
    }

    fn no_drivers(&self) -> PathBuf {
        self.0.join("no-usb")
    }
}

/// What to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The program `virtual-card`; `None`: from [`PROGRAM_VARIABLE`], else beside the running program.
    pub program: Option<PathBuf>,
    /// The run folder, made if absent and kept; `None`: a temporary one, removed at the end, whatever the end is.
    pub folder: Option<PathBuf>,
    /// Memory file of a card that lies on the first reader from the start.
    pub memory: Option<PathBuf>,
    /// Random seed of all its cards: two runs answer alike. Only for comparing tapes.
    pub seed: Option<[u8; 32]>,
    /// A service without any reader: `memory` then lies nowhere. To try what programs say of a machine without one.
    pub no_readers: bool,
}

/// A private service that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct PrivatePcscd {
    folder: Folder,
    child: Child,
    /// The other end of the pipe whose end ends everything.
    lifeline: Option<ChildStdin>,
    /// Kept only to be removed at the end.
    temporary: Option<tempfile::TempDir>,
}

impl PrivatePcscd {
    /// Starts a service, and its card if one is asked for; on return clients can connect.
    ///
    /// # Errors
    ///
    /// [`Error`]: what is missing on this machine, or which step failed.
    pub fn start(options: &Options) -> Result<Self, Error> {
        for (program, package) in [
            ("pcscd", "pcscd"),
            ("unshare", "util-linux"),
            ("mount", "mount"),
            ("ip", "iproute2"),
        ] {
            find(program).ok_or(Error::ProgramMissing { program, package })?;
        }
        if !Path::new(DRIVER).exists() {
            return Err(Error::DriverMissing { path: DRIVER.into() });
        }
        let program = card_program(options.program.as_deref())?;
        let (folder, temporary) = run_folder(options.folder.as_deref())?;
        prepare(&folder, options.no_readers)?;
        let mut arguments: Vec<OsString> = vec![
            program.into(),
            "inside".into(),
            "--dir".into(),
            folder.path().into(),
        ];
        if let (Some(memory), false) = (&options.memory, options.no_readers) {
            arguments.extend(["--memory".into(), absolute(memory)?.into()]);
        }
        if let Some(seed) = options.seed {
            arguments.extend(["--seed".into(), hex::encode(seed).into()]);
        }
        if temporary.is_some() {
            arguments.push("--temporary".into());
        }
        let mut temporary = temporary;
        // A user namespace lets an ordinary user make the others. Where it is forbidden, root may still make them.
        for user in [&["--user", "--map-root-user"][..], &[]] {
            let (child, report) = spawn(user, &arguments, &folder)?;
            let mut service = Self {
                folder: folder.clone(),
                lifeline: None,
                child,
                temporary: temporary.take(),
            };
            service.lifeline = service.child.stdin.take();
            match service.judge(report.as_deref()) {
                Ok(()) => return Ok(service),
                Err(Error::NamespacesRefused) => temporary = service.temporary.take(),
                Err(error) => return Err(error),
            }
        }
        Err(Error::NamespacesRefused)
    }

    /// What the first process inside says of the start.
    fn judge(&mut self, report: Option<&str>) -> Result<(), Error> {
        let log = self.folder.start_log();
        let failed = |step| Error::ServiceFailed {
            step,
            log: log.clone(),
        };
        let error = match report.map(serde_json::from_str::<Reply>) {
            Some(Ok(Reply { error: None, .. })) => return Ok(()),
            Some(Ok(Reply {
                error: Some(failure), ..
            })) => failure.into(),
            Some(Err(_)) => failed("the report of virtual-card"),
            None if fs::read_to_string(&log).is_ok_and(|said| said.contains("unshare:")) => {
                return Err(Error::NamespacesRefused);
            }
            None => failed("virtual-card"),
        };
        if let (true, Some(temporary)) = (error.code() == "SERVICE_FAILED", &mut self.temporary) {
            // The message names the log, which must outlive this.
            temporary.disable_cleanup(true);
        }
        Err(error)
    }

    /// The run folder with all sockets.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The socket for PC/SC clients, for [`SOCKET_VARIABLE`].
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.socket()
    }

    /// The manipulator at one reader; `reader` is its place in [`READERS`].
    #[must_use]
    pub fn manipulator(&self, reader: usize) -> Control {
        self.folder.manipulator(reader)
    }

    /// Waits until the service ends by itself.
    ///
    /// # Errors
    ///
    /// [`Error::ServiceFailed`]: the system does not say how it ended.
    pub fn wait(&mut self) -> Result<ExitStatus, Error> {
        self.child.wait().map_err(|_| Error::ServiceFailed {
            step: "waiting",
            log: self.folder.log(),
        })
    }
}

impl Drop for PrivatePcscd {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
        // `--kill-child` takes the namespace down with it. If even that fails there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `body` in a process whose environment points at a private service of its own, and waits for it.
///
/// For test programs of cargo's own harness: the calling test starts the service, then runs the same test program again
/// for the one test named `test`, be it an ignored one; in that process this function calls `body`. The inner test's output follows on standard
/// output, each line marked, so that no count of test results takes it for one of its own.
///
/// # Errors
///
/// As [`PrivatePcscd::start`]; [`Error::ClientFailed`] when the inner test failed.
pub fn as_client(test: &str, options: &Options, body: impl FnOnce(&Folder)) -> Result<(), Error> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        body(&Folder::at(Path::new(&folder)));
        return Ok(());
    }
    let service = PrivatePcscd::start(options)?;
    let (variable, socket) = service.folder().environment();
    let running =
        std::env::current_exe().map_err(|source| file("find", Path::new("the running program"), source))?;
    let output = Command::new(running)
        .args([
            "--exact",
            test,
            "--include-ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(variable, socket)
        .env(FOLDER_VARIABLE, service.folder().path())
        .output()
        .map_err(|source| file("start", Path::new("the running program"), source))?;
    for line in [output.stdout, output.stderr]
        .iter()
        .flat_map(|bytes| bytes.split(|byte| *byte == b'\n'))
    {
        println!("client: {}", String::from_utf8_lossy(line));
    }
    if output.status.success() {
        return Ok(());
    }
    let log = fs::read_to_string(service.folder().log()).unwrap_or_default();
    Err(Error::ClientFailed {
        test: test.to_owned(),
        log,
    })
}

/// What [`client_program`] leaves to do.
#[derive(Debug)]
pub enum Program {
    /// This process is a client of a private service: go on.
    Client(Folder),
    /// This process started the service and the client, which has ended: end likewise.
    Ended(ExitStatus),
}

/// Makes a program a client of a private service of its own: starts the service, runs the program again with the same
/// arguments and the environment set, and waits for it. For benches and programs without a service to talk to.
///
/// # Errors
///
/// As [`PrivatePcscd::start`]; [`Error::File`] when the program cannot be started again.
pub fn client_program(options: &Options) -> Result<Program, Error> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        return Ok(Program::Client(Folder::at(Path::new(&folder))));
    }
    let service = PrivatePcscd::start(options)?;
    let (variable, socket) = service.folder().environment();
    let here = Path::new("the running program");
    let running = std::env::current_exe().map_err(|source| file("find", here, source))?;
    let status = Command::new(running)
        .args(std::env::args_os().skip(1))
        .env(variable, socket)
        .env(FOLDER_VARIABLE, service.folder().path())
        .status()
        .map_err(|source| file("start", here, source))?;
    Ok(Program::Ended(status))
}

/// The first process inside the namespaces: sets them up, runs the service and both readers until standard input ends.
/// Reports once on standard output. Only for `virtual-card inside`.
///
/// `manipulator` carries out an order at one reader, `first` is the order for the first reader at the start. A `temporary` folder
/// is removed at the end: an owner that was killed cannot do it.
///
/// # Errors
///
/// [`Error`]: the step that failed; it has been reported on standard output already.
pub fn inside(
    folder: &Path,
    temporary: bool,
    manipulator: impl Fn(&Slot, &Order) -> Reply + Clone + Send + Sync + 'static,
    first: Option<Order>,
) -> Result<(), Error> {
    let folder = Folder::at(folder);
    let up = set_up(&folder, manipulator, first);
    let reply = match &up {
        Ok(_) => Reply::done(None),
        Err(error) => Reply::failed(error),
    };
    // Nobody reads a report whose reader is gone; the lifeline below ends this process then.
    let _ = report(&reply);
    let _service = up?;
    let mut rest = Vec::new();
    // The end of the pipe, or its trouble, is the end of the owner: both end this.
    let _ = std::io::stdin().read_to_end(&mut rest);
    if temporary {
        // The owner tries the same; what neither can remove, the system's own cleaning of /tmp takes.
        let _ = fs::remove_dir_all(folder.path());
    }
    Ok(())
}

fn report(reply: &Reply) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, reply)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn set_up(
    folder: &Folder,
    manipulator: impl Fn(&Slot, &Order) -> Reply + Clone + Send + Sync + 'static,
    first: Option<Order>,
) -> Result<Arc<Service>, Error> {
    let log = folder.log();
    step(
        "ip link set lo up",
        Command::new("ip").args(["link", "set", "lo", "up"]),
        &log,
    )?;
    // On a machine where the service was never started its folder does not exist, and an ordinary user cannot make it:
    // then our folder lies over the whole of /run.
    let over = Path::new("/run/pcscd");
    let (ours, over) = if over.is_dir() {
        (folder.path().join("run/pcscd"), over)
    } else {
        (folder.path().join("run"), Path::new("/run"))
    };
    step(
        "mount --bind",
        Command::new("mount").arg("--bind").arg(&ours).arg(over),
        &log,
    )?;

    let service = Arc::new(Service {
        folder: folder.clone(),
        child: Mutex::new(None),
    });
    service.start()?;
    let slots = [Slot::new(FIRST_PORT), Slot::new(FIRST_PORT + 1)];
    for (number, slot) in slots.iter().enumerate() {
        let (slot, manipulator) = (slot.clone(), manipulator.clone());
        control::listen(&folder.manipulator_socket(number), move |order| {
            manipulator(&slot, order)
        })?;
    }
    let controlled = Arc::clone(&service);
    control::listen(&folder.service_socket(), move |order| controlled.carry_out(order))?;
    if let (Some(order), [slot, _]) = (first, &slots) {
        let reply = manipulator(slot, &order);
        if let Some(failure) = reply.error {
            return Err(failure.into());
        }
    }
    Ok(service)
}

fn step(name: &'static str, command: &mut Command, log: &Path) -> Result<(), Error> {
    let failed = || Error::ServiceFailed {
        step: name,
        log: log.to_owned(),
    };
    let output = append(log)?;
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .status()
        .map_err(|_| failed())?;
    if status.success() { Ok(()) } else { Err(failed()) }
}

/// The process `pcscd` inside the namespaces.
#[derive(Debug)]
struct Service {
    folder: Folder,
    child: Mutex<Option<Child>>,
}

impl Service {
    fn start(&self) -> Result<(), Error> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if runs(&mut child) {
            return Ok(());
        }
        let log = self.folder.log();
        let failed = || Error::ServiceFailed {
            step: "pcscd",
            log: log.clone(),
        };
        let socket = self.folder.socket();
        // The service refuses to start beside the leftovers of one that was killed.
        for leftover in [&socket, &socket.with_file_name("pcscd.pid")] {
            if leftover.exists() {
                fs::remove_file(leftover).map_err(|source| file("remove", leftover, source))?;
            }
        }
        let mut started = Command::new("pcscd")
            .args(["--foreground", "--info", "--config"])
            .arg(self.folder.configuration())
            .env("PCSCLITE_HP_DROPDIR", self.folder.no_drivers())
            .stdin(Stdio::null())
            .stdout(append(&log)?)
            .stderr(append(&log)?)
            .spawn()
            .map_err(|_| failed())?;
        let deadline = Instant::now() + START_LIMIT;
        while UnixStream::connect(&socket).is_err() {
            let ended = !matches!(started.try_wait(), Ok(None));
            if ended || Instant::now() > deadline {
                let _ = started.kill();
                let _ = started.wait();
                return Err(failed());
            }
            thread::sleep(POLL);
        }
        *child = Some(started);
        Ok(())
    }

    fn stop(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = child.take() {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn carry_out(&self, order: &Order) -> Reply {
        match order {
            Order::Stop => {
                self.stop();
                Reply::done(None)
            }
            Order::Start => self
                .start()
                .map_or_else(|error| Reply::failed(&error), |()| Reply::done(None)),
            Order::Status => {
                if runs(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner)) {
                    Reply::done(None)
                } else {
                    Reply::refused(STOPPED, "the PC/SC service does not run", "Order it to start.")
                }
            }
            _ => Reply::refused(
                "ORDER",
                "the service takes stop, start and status",
                "Give this order to a reader's socket.",
            ),
        }
    }
}

/// Whether the service runs; one that ended is forgotten.
fn runs(child: &mut Option<Child>) -> bool {
    let running = child
        .as_mut()
        .is_some_and(|child| matches!(child.try_wait(), Ok(None)));
    if !running {
        *child = None;
    }
    running
}

/// Starts `virtual-card inside` in namespaces of its own, and waits for its report.
fn spawn(user: &[&str], arguments: &[OsString], folder: &Folder) -> Result<(Child, Option<String>), Error> {
    let log = folder.start_log();
    let errors = fs::File::create(&log).map_err(|source| file("create", &log, source))?;
    let mut child = Command::new("unshare")
        .args(user)
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--"])
        .args(arguments)
        .env("PATH", search_path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors)
        // An interrupt at the terminal is the owner's to handle; it then ends this in its own order.
        .process_group(0)
        .spawn()
        .map_err(|_| Error::ProgramMissing {
            program: "unshare",
            package: "util-linux",
        })?;
    let report = child
        .stdout
        .take()
        .and_then(|report| first_line(report, START_LIMIT));
    Ok((child, report))
}

fn append(path: &Path) -> Result<fs::File, Error> {
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| file("write", path, source))
}

/// The program `virtual-card`: as named, else from the environment, else beside the running program (tests run one folder
/// deeper).
fn card_program(named: Option<&Path>) -> Result<PathBuf, Error> {
    let from_environment = || std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from);
    if let Some(path) = named.map(Path::to_owned).or_else(from_environment) {
        return if path.is_file() {
            absolute(&path)
        } else {
            Err(Error::CardProgramMissing { path })
        };
    }
    let running =
        std::env::current_exe().map_err(|source| file("find", Path::new("the running program"), source))?;
    let beside = running.with_file_name("virtual-card");
    let above = running
        .parent()
        .and_then(Path::parent)
        .map(|folder| folder.join("virtual-card"));
    [Some(beside.clone()), above]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .ok_or(Error::CardProgramMissing { path: beside })
}

fn run_folder(named: Option<&Path>) -> Result<(Folder, Option<tempfile::TempDir>), Error> {
    let Some(path) = named else {
        // The usual temporary folder of a build can be too deep for a socket's path.
        let short = Path::new("/tmp");
        let base = if short.is_dir() {
            short.to_owned()
        } else {
            std::env::temp_dir()
        };
        let made = tempfile::Builder::new()
            .prefix("yzt-")
            .tempdir_in(&base)
            .map_err(|source| file("use", &base, source))?;
        return Ok((Folder::at(made.path()), Some(made)));
    };
    fs::create_dir_all(path).map_err(|source| file("create", path, source))?;
    Ok((Folder::at(&absolute(path)?), None))
}

fn prepare(folder: &Folder, no_readers: bool) -> Result<(), Error> {
    check_socket_path(&folder.socket())?;
    for path in [
        folder.path().join("run/pcscd"),
        folder.configuration(),
        folder.no_drivers(),
    ] {
        fs::create_dir_all(&path).map_err(|source| file("create", &path, source))?;
    }
    let path = folder.configuration().join("virtual-reader");
    if no_readers {
        // A folder that is kept may have it from a service with readers.
        return match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(file("remove", &path, source))
            }
            _ => Ok(()),
        };
    }
    let name = READERS[0].trim_end_matches(" 00 00");
    let text = format!(
        "FRIENDLYNAME \"{name}\"\nDEVICENAME /dev/null:{FIRST_PORT:#06X}\nLIBPATH {DRIVER}\nCHANNELID {FIRST_PORT:#06X}\n"
    );
    fs::write(&path, text).map_err(|source| file("write", &path, source))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| file("find", path, source))
}

/// The search path with the folders of system programs behind it.
fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push(SYSTEM_FOLDERS);
    path
}

fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The first line of a pipe, or `None` when it ends or the time is over.
fn first_line(pipe: impl Read + Send + 'static, limit: Duration) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        if BufReader::new(pipe).read_line(&mut line).is_ok() {
            // The waiting side may have given up.
            let _ = sender.send(line);
        }
    });
    receiver
        .recv_timeout(limit)
        .ok()
        .filter(|line| line.ends_with('\n'))
}
