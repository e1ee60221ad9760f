//! `keyvault relay` as clients, a vault and strangers meet it: the real program, over true sockets.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::program::{PROGRAM, Site};

/// A relay that runs, where it listens, and what it logged.
struct Relay {
    child: Child,
    listens: String,
    log: Arc<Mutex<String>>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Relay {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["--json", "relay"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["schema"], "yzt.keyvault_relay/1", "{ready}");
        let log = Arc::new(Mutex::new(String::new()));
        let (from, to) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in from.lines().map_while(Result::ok) {
                to.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let listens = ready["listens"].as_str().unwrap().to_owned();
        Self { child, listens, log }
    }

    /// From TCP to this socket.
    fn to(socket: &Path) -> Self {
        Self::start(&["--listen", "127.0.0.1:0", "--to", socket.to_str().unwrap()])
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.listens).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream
    }

    fn logged(&self, what: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.log.lock().unwrap().contains(what) {
            assert!(Instant::now() < until, "{what}: {}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A service that answers every byte with the same one; with how many connections it ever took.
fn echo(socket: &Path) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(socket).unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            counter.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let mut from = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut from, &mut &stream);
                let _ = stream.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    taken
}

/// Whether one byte comes back.
fn answers(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    stream.write_all(b"?").is_ok() && stream.read_exact(&mut byte).is_ok() && byte == *b"?"
}

/// Bytes that do not repeat in a buffer's length.
fn bytes(count: usize) -> Vec<u8> {
    (0..count)
        .map(|at| (at / 7 + at % 251).to_le_bytes()[0])
        .collect()
}

/// A stream whose own address is another one of this machine.
fn connect_from(own: &str, to: &str) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(own.parse().unwrap(), 0)).unwrap();
        socket.connect(to.parse().unwrap()).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream
}

#[test]
fn a_vault_is_opened_and_asked_through_a_relay_on_each_side() {
    let site = Site::new();
    let envelopes = site.init();
    let vault = site.serve(&[]);
    let near_vault = Relay::to(&site.path("vault/keyvault.sock"));
    let socket = site.path("far.sock");
    let near_client = Relay::start(&[
        "--listen-socket",
        socket.to_str().unwrap(),
        "--to",
        &near_vault.listens,
    ]);
    let through = ["--socket", socket.to_str().unwrap()];
    let unseal = |envelope: &str, custodian: &str| {
        let passphrase = format!("{custodian}.pass");
        let arguments = ["unseal", "--share", envelope, "--passphrase-file", &passphrase];
        site.run(&[&through[..], &arguments].concat())
    };
    assert_eq!(unseal(&envelopes[0], "li").0, 0);
    let (code, opened) = unseal(&envelopes[1], "wang");
    assert_eq!((code, opened["state"].as_str().unwrap()), (0, "open"), "{opened}");
    assert_eq!(site.run(&[&through[..], &["status"]].concat()).0, 0);

    // The vault goes: a code and a way out on the near side, and a line of the log on the far one.
    drop(vault);
    let (code, lost) = site.run(&[&through[..], &["status"]].concat());
    assert!([3, 4].contains(&code), "{code}: {lost}");
    assert!(
        lost["error"]["code"].as_str().unwrap().starts_with("VAULT_"),
        "{lost}"
    );
    assert!(!lost["error"]["action"].as_str().unwrap().is_empty());
    near_vault.logged("FAR_SIDE_AWAY");
    // It comes again, and nothing else has to be started.
    let _vault = site.serve(&[]);
    assert_eq!(site.run(&[&through[..], &["status"]].concat()).0, 1);
    drop(near_vault);
    assert_ne!(site.run(&[&through[..], &["status"]].concat()).0, 1);
    near_client.logged("FAR_SIDE_AWAY");
    let log = near_client.log.lock().unwrap().clone();
    let own = rustix::process::geteuid().as_raw();
    assert!(log.contains(&format!("uid {own} pid ")), "{log}");
    for custodian in ["li", "wang"] {
        assert!(!log.contains(custodian), "{log}");
    }
}

#[test]
fn bytes_arrive_whole_both_ways_and_an_end_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("echo.sock");
    echo(&socket);
    let relay = Relay::to(&socket);
    let sent = bytes(5_000_003);
    let mut stream = relay.connect();
    let mut writing = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || {
        writing.write_all(&copy).unwrap();
        writing.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).unwrap();
    writer.join().unwrap();
    assert_eq!(answered.len(), sent.len());
    assert!(answered == sent);
    relay.logged("end=Whole sent=5000003 answered=5000003");
    let log = relay.log.lock().unwrap().clone();
    assert!(log.contains("connected who=127.0.0.1:"), "{log}");
}

#[test]
fn garbage_is_the_vaults_to_refuse_and_stops_nobody() {
    let site = Site::new();
    site.init();
    let _vault = site.serve(&[]);
    let relay = Relay::to(&site.path("vault/keyvault.sock"));
    for garbage in [
        &bytes(70_000)[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 40],
        &[0; 40],
    ] {
        let mut stream = relay.connect();
        // It may be told no before all of it is written.
        let _ = stream.write_all(garbage);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }
    assert_eq!(site.run(&["status"]).0, 1);
    assert!(
        Command::new("kill")
            .args(["-0", &relay.child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn who_connects_and_says_nothing_is_let_go_and_costs_the_far_side_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("echo.sock");
    let taken = echo(&socket);
    let relay = Relay::to(&socket);
    let mut silent: Vec<_> = (0..20).map(|_| relay.connect()).collect();
    // One that is torn away without a word, in the middle of the wait.
    drop(silent.pop());
    let began = Instant::now();
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(taken.load(Ordering::SeqCst), 0);
    assert!(answers(&mut relay.connect()));
    relay.logged("end=SaidNothing");
}

#[test]
fn a_thousand_connections_of_one_address_leave_places_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("echo.sock");
    let taken = echo(&socket);
    let relay = Relay::to(&socket);
    let mut held = Vec::new();
    for _ in 0..1_000 {
        let mut stream = relay.connect();
        if answers(&mut stream) {
            held.push(stream);
        }
    }
    assert_eq!((held.len(), taken.load(Ordering::SeqCst)), (64, 64));
    assert!(answers(&mut connect_from("127.0.0.2", &relay.listens)));
    relay.logged("no place for a connection");
    // Those that are there go on, and a place that was left is given again.
    assert!(answers(&mut held[0]));
    drop(held.pop());
    let until = Instant::now() + Duration::from_secs(20);
    while !answers(&mut relay.connect()) {
        assert!(Instant::now() < until);
    }
}

#[test]
fn a_client_that_takes_nothing_stops_nobody_and_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("echo.sock");
    echo(&socket);
    let relay = Relay::to(&socket);
    let stalled: Vec<_> = (0..8)
        .map(|_| {
            let stream = relay.connect();
            stream.set_nonblocking(true).unwrap();
            let chunk = bytes(1 << 20);
            // Until nothing more goes: the answers fill every buffer on the way back.
            let (mut sent, mut last) = (0, Instant::now());
            while last.elapsed() < Duration::from_millis(300) {
                match (&stream).write(&chunk) {
                    Ok(count) => (sent, last) = (sent + count, Instant::now()),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        std::thread::sleep(Duration::from_millis(10));
                    }
                }
            }
            assert!(sent < 64 << 20, "{sent}: nothing held it back");
            stream
        })
        .collect();
    assert!(answers(&mut relay.connect()));
    let status = std::fs::read_to_string(format!("/proc/{}/status", relay.child.id())).unwrap();
    let kilobytes: usize = field(&status, "VmRSS:").parse().unwrap();
    assert!(kilobytes < 64 * 1024, "{kilobytes}");
    drop(stalled);
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap()
}

#[test]
fn a_relay_is_confined_and_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("near.sock");
    let far = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = far.local_addr().unwrap().to_string();
    let arguments = ["--listen-socket", socket.to_str().unwrap(), "--to", &to];
    let mut relay = Relay::start(&arguments);
    let status = std::fs::read_to_string(format!("/proc/{}/status", relay.child.id())).unwrap();
    assert_eq!(
        (field(&status, "Seccomp:"), field(&status, "NoNewPrivs:")),
        ("2", "1")
    );
    // Behind the confinement it still calls where it may.
    UnixStream::connect(&socket).unwrap().write_all(b"hello").unwrap();
    let mut said = String::new();
    far.accept().unwrap().0.read_to_string(&mut said).unwrap();
    assert_eq!(said, "hello");
    assert!(
        Command::new("kill")
            .arg(relay.child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(relay.child.wait().unwrap().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn what_a_relay_cannot_do_is_told_with_a_code_before_it_listens() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let socket = folder.path().join("near.sock");
    let socket = socket.to_str().unwrap();
    let long = format!("/{}", "x".repeat(120));
    for (arguments, exit, code) in [
        (&["--listen", &address, "--to", "/nowhere.sock"][..], 5, "LISTEN"),
        (&["--listen", "127.0.0.1:0", "--to", &long], 2, "SOCKET_PATH"),
        (
            &["--listen-socket", socket, "--to", "nowhere.invalid:7443"],
            3,
            "FAR_SIDE_UNKNOWN",
        ),
        (&["--listen-socket", socket, "--to", "/a/socket"], 2, "USAGE"),
        (&["--to", "/a/socket"], 2, "USAGE"),
        (
            &[
                "--listen",
                "127.0.0.1:0",
                "--listen-socket",
                socket,
                "--to",
                "/a/socket",
            ],
            2,
            "USAGE",
        ),
        (
            &[
                "--listen",
                "127.0.0.1:0",
                "--group-may-connect",
                "--to",
                "/a/socket",
            ],
            2,
            "USAGE",
        ),
    ] {
        let output = Command::new(PROGRAM)
            .args(["--json", "relay"])
            .args(arguments)
            .output()
            .unwrap();
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {object}");
        assert_eq!(object["error"]["code"], code, "{arguments:?}: {object}");
        assert!(!Path::new(socket).exists());
    }
}
