//! `permit up` as a person meets it: the commands that it prints, and the whole life of a card that it writes down.
//!
//! In process the HTTP operations are spoken by hand over TCP; over PC/SC every command of the walk runs as it is written,
//! in a shell (Debian packages curl and coreutils).

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const DAY: &str = "2026-11-21";
const APPLICANT: &str = include_str!("../../samples/applicant-li-na.json");

/// A running `permit up`, ended by a signal at the end of its test.
struct Up {
    child: Child,
    folder: tempfile::TempDir,
    told: Value,
}

impl Up {
    fn start(more: &[&str]) -> Self {
        // A name that a shell would take apart, were it not quoted.
        let folder = tempfile::Builder::new().prefix("it's here ").tempdir().unwrap();
        Self::start_in(folder, more)
    }

    fn start_in(folder: tempfile::TempDir, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_permit"));
        command
            .args(["up", "--json", "--at", DAY, "--dir"])
            .arg(folder.path())
            .args(more);
        let (child, told) = started(command);
        Self { child, folder, told }
    }

    fn url(&self) -> &str {
        self.told["url"].as_str().unwrap()
    }

    fn token(&self, account: &str) -> String {
        let file = self.folder.path().join("issuer").join(format!("{account}.token"));
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// One request of HTTP/1.1 and its answer: status and object.
    fn http(&self, method: &str, path: &str, account: Option<&str>, body: Option<&str>) -> (u16, Value) {
        let address = self.url().strip_prefix("http://").unwrap();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        if let Some(account) = account {
            write!(request, "Authorization: Bearer {}\r\n", self.token(account)).unwrap();
        }
        if let Some(body) = body {
            // The key follows from what is sent: the same request again is the same piece of work.
            let mut hash = DefaultHasher::new();
            (path, body).hash(&mut hash);
            let key = format!("{:016x}", hash.finish());
            let length = body.len();
            request += "Content-Type: application/json\r\n";
            write!(request, "Content-Length: {length}\r\nIdempotency-Key: {key}\r\n").unwrap();
        }
        request += "\r\n";
        request += body.unwrap_or_default();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let object = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
        (status, object)
    }

    fn permit(&self, arguments: &[&str]) -> (i32, Value) {
        let (command, more) = arguments.split_first().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_permit"))
            .args([command, "--json", "--dir"])
            .arg(self.folder.path())
            .args(more)
            .output()
            .unwrap();
        (output.status.code().unwrap(), object(&output))
    }

    /// What a sample person signs of a case with the key of the rehearsal.
    fn signature(&self, account: &str, application: &str) -> String {
        let issuer = self.folder.path().join("issuer");
        let run = |command: &str, more: &[&str]| {
            let output = Command::new(Path::new(env!("CARGO_BIN_EXE_permit")).with_file_name("issuer"))
                .args([command, "--json", "--at", DAY, "--dir"])
                .arg(&issuer)
                .arg("--session")
                .arg(issuer.join(format!("{account}.session")))
                .args(more)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            object(&output)
        };
        let token = issuer.join(format!("{account}.token"));
        run("sign-in", &["--token-file", token.to_str().unwrap()]);
        let signed = run("rehearsal-sign", &["--application", application]);
        text(&signed, "signature").to_owned()
    }

    /// One command of the vault's program, at the vault of this installation.
    fn keyvault(&self, arguments: &[&std::ffi::OsStr]) {
        let program = Path::new(env!("CARGO_BIN_EXE_permit")).with_file_name("keyvault");
        let output = Command::new(program)
            .arg("--dir")
            .arg(self.folder.path().join("vault"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Closes the vault, sees what `command` ends with, and opens the vault again by three of its custodians.
    fn while_sealed(&self, command: &[&str]) -> (i32, Value) {
        let custodians = self.folder.path().join("custodians");
        let shares = std::fs::read_dir(custodians.join("packages")).unwrap().flatten();
        // Beside an envelope lies what it remembers.
        let shares = shares
            .map(|share| share.path())
            .filter(|share| share.to_str().is_some_and(|path| path.ends_with(".share.json")));
        let shares: Vec<_> = shares.take(3).collect();
        let by_custodian = |command: &str, share: &Path| {
            let name = share.file_name().unwrap().to_str().unwrap();
            let of = |custodian: &&str| name.split(['.', '-']).any(|part| part == *custodian);
            let custodian = ["zhao", "qian", "sun", "li", "zhou"]
                .into_iter()
                .find(of)
                .unwrap();
            let passphrase = custodians.join(format!("{custodian}.passphrase"));
            self.keyvault(&[
                command.as_ref(),
                "--share".as_ref(),
                share.as_ref(),
                "--passphrase-file".as_ref(),
                passphrase.as_ref(),
            ]);
        };
        by_custodian("seal", &shares[0]);
        // What was looked at holds for a moment.
        let until = Instant::now() + Duration::from_secs(10);
        while self.http("GET", "/readyz", None, None).0 != 503 {
            assert!(Instant::now() < until, "it is ready without its vault");
            std::thread::sleep(Duration::from_millis(100));
        }
        let ended = self.permit(command);
        for share in &shares {
            by_custodian("unseal", share);
        }
        ended
    }

    /// The order, once it is verified.
    fn verified(&self, order: &str) -> Value {
        let began = Instant::now();
        loop {
            let (status, body) = self.http("GET", &format!("/v1/orders/{order}"), Some("producer.wu"), None);
            assert_eq!(status, 200, "{body}");
            if body["state"] == "VERIFIED" {
                return body;
            }
            assert!(began.elapsed() < Duration::from_mins(2), "{body}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends it as Ctrl-C does.
    fn end(mut self) {
        signal(&self.child, "INT");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        nothing_is_left(self.folder.path());
        assert!(!self.folder.path().join("run/permit.sock").exists());
    }
}

/// Starts `permit up` with these arguments; what it told.
fn started(mut command: Command) -> (Child, Value) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&told["schema"], &told["ok"]),
        (&json!("yzt.up/1"), &json!(true)),
        "{told}"
    );
    (child, told)
}

impl Drop for Up {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(&self.child, "TERM");
            let _ = self.child.wait();
        }
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

fn object(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn nothing_is_left(folder: &Path) {
    let folder = folder.to_str().unwrap();
    let left = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .find(|line| line.contains(folder))
    };
    for _ in 0..100 {
        if left().is_none() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("left running: {:?}", left());
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_else(|| panic!("{key}: {object}"))
}

/// A new shell, somewhere else.
fn shell(command: &str) -> Output {
    Command::new("sh")
        .args(["-c", command])
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[expect(clippy::too_many_lines, reason = "one walk, step by step")]
#[test]
fn over_http_an_application_becomes_a_card_that_a_bus_reads_and_counts() {
    let up = Up::start(&["--no-pcsc"]);
    assert_eq!(up.told["transport"], "in-process");
    let (status, ready) = up.http("GET", "/readyz", None, None);
    assert_eq!(status, 200, "{ready}");

    // Nobody without a token, nobody in another's role.
    let applications = "/v1/applications";
    assert_eq!(up.http("POST", applications, None, Some(APPLICANT)).0, 401);
    assert_eq!(
        up.http("POST", applications, Some("producer.wu"), Some(APPLICANT))
            .0,
        403
    );
    let (status, application) = up.http("POST", applications, Some("clerk.lin"), Some(APPLICANT));
    assert_eq!((status, text(&application, "state")), (201, "ACCEPTED"));
    let id = text(&application, "application_id").to_owned();
    let again = up
        .http("POST", applications, Some("clerk.lin"), Some(APPLICANT))
        .1;
    assert_eq!(
        text(&again, "application_id"),
        id,
        "the same request is the same work"
    );

    // A photo that is none, one of a case that is none, and the one of the samples: looked at first, then taken.
    let samples = up.folder.path().join("samples");
    let (photo, no_photo) = (samples.join("photo.png"), samples.join("applicant-li-na.json"));
    let (exit, refused) = up.permit(&["photo", "--application", &id, no_photo.to_str().unwrap()]);
    assert_eq!(exit, 1, "{refused}");
    assert!(!text(&refused["error"], "action").is_empty());
    let nobody = "00000000-0000-4000-8000-000000000000";
    let (exit, unknown) = up.permit(&["photo", "--application", nobody, photo.to_str().unwrap()]);
    assert_eq!(exit, 1, "{unknown}");
    let (exit, absent) = up.permit(&["photo", "--application", &id, "/no/such/file"]);
    assert_eq!((exit, text(&absent["error"], "code")), (5, "FILE"));
    let look = ["photo", "--application", &id, photo.to_str().unwrap()];
    let (exit, waits) = up.while_sealed(&look);
    assert_eq!(
        (exit, &waits["error"]["code"]),
        (3, &json!("VAULT_SEALED")),
        "{waits}"
    );
    let (exit, looked) = up.permit(&look);
    assert_eq!(
        (exit, text(&looked["error"], "code")),
        (1, "PHOTO_PENDING"),
        "{looked}"
    );
    assert!(!looked["photo_checks"].as_array().unwrap().is_empty());
    let take = [
        "photo",
        "--application",
        &id,
        "--confirm",
        photo.to_str().unwrap(),
    ];
    let (exit, taken) = up.permit(&take);
    assert_eq!(
        (exit, text(&taken, "schema")),
        (0, "yzt.permit_photo/1"),
        "{taken}"
    );

    // Intake ends with it, and two people stand for what was frozen then.
    let completion = format!("/v1/applications/{id}/completion");
    let receipt = json!({"photo_receipt": taken["photo_receipt"]}).to_string();
    let (status, completed) = up.http("POST", &completion, Some("clerk.lin"), Some(&receipt));
    assert_eq!((status, text(&completed, "content_state")), (200, "COMPLETED"));
    let decision = format!("/v1/applications/{id}/decision");
    let step = |step: &str, signature: &str| {
        json!({"step": step, "content": completed["content"], "signature": signature}).to_string()
    };
    let review = step("REVIEW", &up.signature("reviewer.chen", &id));
    let approve = step("APPROVE", "");
    let (status, early) = up.http("POST", &decision, Some("approver.huang"), Some(&approve));
    assert_eq!(status, 409, "{early}");
    let (status, reviewed) = up.http("POST", &decision, Some("reviewer.chen"), Some(&review));
    assert_eq!((status, text(&reviewed, "state")), (200, "REVIEWED"));
    assert!(!reviewed["decision"]["explanation"].as_array().unwrap().is_empty());
    let approve = step("APPROVE", &up.signature("approver.huang", &id));
    let (status, approved) = up.http("POST", &decision, Some("approver.huang"), Some(&approve));
    assert_eq!((status, text(&approved, "state")), (200, "APPROVED"));
    let permit = text(&approved, "permit_id").to_owned();

    let order = json!({"permit_id": permit}).to_string();
    let (status, ordered) = up.http("POST", "/v1/orders", Some("producer.wu"), Some(&order));
    assert_eq!(status, 201, "{ordered}");
    let order = text(&ordered, "order_id").to_owned();
    let made = up.verified(&order);
    assert_eq!(made["in_doubt"], false);

    // Handed over, once the vault is open; said twice it is done once.
    let hand_over = ["hand-over", "--order", &order, "--checked", "holder"];
    let (exit, waits) = up.while_sealed(&hand_over);
    assert_eq!(
        (exit, &waits["error"]["code"]),
        (3, &json!("VAULT_SEALED")),
        "{waits}"
    );
    let (exit, handed) = up.permit(&hand_over);
    assert_eq!((exit, text(&handed, "state")), (0, "HANDED_OVER"), "{handed}");
    assert_eq!(
        (text(&handed, "card_number"), text(&handed, "card_serial")),
        (text(&made, "card_number"), text(&made, "card_serial"))
    );
    let (exit, again) = up.permit(&["hand-over", "--order", &order, "--checked", "holder"]);
    assert_eq!(
        (exit, &again["card_number"]),
        (0, &handed["card_number"]),
        "{again}"
    );
    let (status, shown) = up.http("GET", &format!("/v1/permits/{permit}"), Some("counter.guo"), None);
    assert_eq!(status, 200, "{shown}");

    let command = handed["commands"][0].as_str().unwrap();
    let read = object(&shell(command));
    assert_eq!(
        (&read["decision"], &read["saw"]["role"]),
        (&json!("accepted"), &json!("TRANSIT")),
        "{read}"
    );
    assert!(!read.to_string().contains("李娜"));

    // She takes the bus all day.
    let serial = text(&handed, "card_serial").to_owned();
    let taps = 1 + ride(up.folder.path(), &serial, 11);
    let folder = up.folder.path().to_owned();
    signal(&up.child, "INT");
    let mut up = up;
    assert_eq!(up.child.wait().unwrap().code(), Some(0));
    what_the_bus_counted_is_told(&folder, taps, &[&serial, text(&made, "card_number"), "李娜"]);
}

/// Taps the card at the bus so often, each time as a terminal of its own start.
fn ride(folder: &Path, serial: &str, taps: usize) -> usize {
    let programs = Path::new(env!("CARGO_BIN_EXE_permit"));
    let output = Command::new(programs.with_file_name("virtual-card"))
        .args(["reader", "--memory"])
        .arg(folder.join(format!("cards/{serial}.card")))
        .args([
            "--",
            "sh",
            "-c",
            r#"for tap in $(seq "$3"); do "$0" bus --config "$1" --at "$2" --json; done"#,
        ])
        .arg(programs.with_file_name("card-reader"))
        .arg(folder.join("terminals/bus-m204.toml"))
        .args([DAY, &taps.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let accepted = said.matches(r#""decision":"accepted""#).count();
    assert_eq!(
        accepted,
        taps,
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    accepted
}

/// The day after, the bus hands its numbers out; the office takes them, and tells them when the day is closed.
fn what_the_bus_counted_is_told(folder: &Path, taps: usize, secrets: &[&str]) {
    const NEXT: &str = "2026-11-22";
    let programs = Path::new(env!("CARGO_BIN_EXE_permit"));
    let run = |program: &str, at: &str, arguments: &[&str]| {
        let output = Command::new(programs.with_file_name(program))
            .args(arguments)
            .args(["--json", "--at", at])
            .env("YZT_SESSION", folder.join("session"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = object(&output);
        for secret in secrets {
            assert!(!said.to_string().contains(secret), "{said}");
        }
        (output.status.code().unwrap(), said)
    };
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (bus, out, dir) = (path("terminals/bus-m204.toml"), path("to-office"), path("issuer"));
    let handed_out = |at| run("card-reader", at, &["sync", "--config", &bus, "--to", &out]).1;
    assert_eq!(handed_out(DAY)["out"], json!([]), "the day is not over");
    let handed = handed_out(NEXT);
    let file = format!("{out}/{}", handed["out"][0].as_str().unwrap());
    assert!(file.contains(&format!("/counters-{DAY}-")), "{file}");
    assert_eq!(handed_out(NEXT)["out"], json!([]));

    let sign_in = |account: &str, at: &str| {
        let token = path(&format!("issuer/{account}.token"));
        let (exit, said) = run("issuer", at, &["sign-in", "--dir", &dir, "--token-file", &token]);
        assert_eq!(exit, 0, "{said}");
    };
    let import = || run("issuer", NEXT, &["counters", "import", "--dir", &dir, &file]);
    sign_in("clerk.lin", NEXT);
    let (exit, refused) = import();
    assert_eq!(
        (exit, text(&refused["error"], "code")),
        (1, "ROLE_MISSING"),
        "{refused}"
    );
    sign_in("settlement.he", NEXT);
    let (exit, refused) = import();
    assert_eq!(
        (
            exit,
            text(&refused["error"], "code"),
            text(&refused["files"][0], "code")
        ),
        (1, "FILES_REFUSED", "TERMINAL_UNKNOWN"),
        "{refused}"
    );
    let request = std::fs::read_to_string(path("terminals/bus-m204.request.json")).unwrap();
    let request: Value = serde_json::from_str(&request).unwrap();
    let key = text(&request, "authentication_key");
    let place = "--operator 巴士集团 --line M204 --role transit";
    let register =
        format!("terminal register --name bus-m204 --authentication-key {key} --from {DAY} {place}");
    let mut register: Vec<&str> = register.split(' ').collect();
    register.extend(["--dir", &dir]);
    let (exit, registered) = run("issuer", NEXT, &register);
    assert_eq!(
        (exit, &registered["counting"]["line"]),
        (0, &json!("M204")),
        "{registered}"
    );
    let (exit, imported) = import();
    assert_eq!(
        (exit, text(&imported["files"][0], "outcome")),
        (0, "IMPORTED"),
        "{imported}"
    );
    let (exit, again) = import();
    assert_eq!(
        (exit, text(&again["files"][0], "outcome")),
        (0, "KNOWN"),
        "{again}"
    );

    let report = |at: &str| {
        let days = ["--from", "2026-11-01", "--to", "2026-12-31"];
        run(
            "issuer",
            at,
            &[&["counters", "report", "--dir", &dir], &days[..]].concat(),
        )
    };
    let (exit, early) = report(NEXT);
    assert_eq!((exit, &early["rows"]), (0, &json!([])), "{early}");
    let closed = "2026-12-06";
    sign_in("auditor.luo", closed);
    let (exit, told) = report(closed);
    let row = json!({
        "operator": "巴士集团", "line": "M204", "role": "TRANSIT", "answer": "ACCEPTED", "below_from": null,
        "periods": [{"from": DAY, "to": DAY, "count": taps}],
    });
    assert_eq!((exit, &told["rows"]), (0, &json!([row])), "{told}");
}

#[test]
fn a_card_is_not_handed_over_before_it_is_made_and_nobody_answers_when_nothing_runs() {
    // A folder in which no path is short enough for a socket.
    let deep = "d".repeat(90);
    let folder = tempfile::Builder::new().prefix(&deep).tempdir().unwrap();
    let ask = |folder: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_permit"))
            .args(["hand-over", "--json", "--checked", "holder", "--order"])
            .args(["00000000-0000-4000-8000-000000000000", "--dir"])
            .arg(folder)
            .output()
            .unwrap();
        (output.status.code().unwrap(), object(&output))
    };
    let (exit, nobody) = ask(folder.path());
    assert_eq!((exit, text(&nobody["error"], "code")), (3, "NOT_RUNNING"));
    assert_eq!(nobody["schema"], "yzt.permit_hand_over/1");

    let up = Up::start_in(folder, &["--no-pcsc"]);
    let (exit, unknown) = ask(up.folder.path());
    assert_eq!(exit, 1, "{unknown}");
    // What is no question is not answered, and hurts nobody.
    let sockets = Path::new(text(&up.told, "sockets")).to_owned();
    assert!(!sockets.starts_with(up.folder.path()), "{}", sockets.display());
    let socket = sockets.join("permit.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream.write_all(b"{\"ask\":\"anything\"}\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty());
    assert_eq!(ask(up.folder.path()).0, 1);
    // Killed, it leaves the socket behind; the commands find nobody all the same.
    let path = up.folder.path().to_owned();
    signal(&up.child, "KILL");
    nothing_is_left(&path);
    assert!(socket.exists());
    assert_eq!(ask(&path).0, 3);
    std::fs::remove_dir_all(sockets).unwrap();
}

/// A block of `walk.md`: its title, whether it is for the shell of `permit up` itself, and its commands.
struct Block {
    title: String,
    first_shell: bool,
    commands: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut title = String::new();
    let mut inside = false;
    for line in page.lines() {
        if inside {
            inside = line != "```";
            if inside {
                let block = blocks.last_mut().unwrap();
                block.commands += line;
                block.commands += "\n";
            }
        } else if let Some(rest) = line.strip_prefix("## ") {
            rest.split_once(' ').unwrap().1.clone_into(&mut title);
        } else if let Some(shell) = line.strip_prefix("```") {
            blocks.push(Block {
                title: title.clone(),
                first_shell: shell == "sh first",
                commands: String::new(),
            });
            inside = true;
        }
    }
    blocks
}

/// What each block of the life does: the beginning of its title, how its shell ends, and what is to be read in it.
const LIFE: [(&str, i32, &[&str]); 23] = [
    ("看一看", 0, &[r#""ready":true"#, r#""name":"reader","ok":true"#]),
    ("立案", 0, &[r#""state":"ACCEPTED""#]),
    ("照片", 0, &[r#""state":"SEALED""#, r#""photo_receipt":""#]),
    (
        "受理完毕，审核与签批",
        0,
        &[
            r#""content_state":"COMPLETED""#,
            r#""state":"APPROVED""#,
            r#""permit_id":""#,
        ],
    ),
    ("制证", 0, &[r#""state":"VERIFIED""#]),
    ("发证", 0, &[r#""state":"HANDED_OVER""#]),
    ("公交刷卡", 0, &["通过", "公共汽车", "地铁"]),
    ("诊所", 0, &["基本公共卫生服务", "小区门禁", "社会保险", "周敏"]),
    (
        "充值",
        0,
        &[r#""kind":"LOAD""#, r#""state":"DONE","way":"COUNTER""#],
    ),
    ("消费", 0, &["87.50"]),
    (
        "结算",
        0,
        &["paid 12.50 yuan for 1 debits", "owed 12.50 yuan for 1 debits"],
    ),
    ("挂失", 1, &[r#""state":"LOST""#, "请持卡到受理点办理"]),
    (
        "找回",
        0,
        &[r#""state":"RETURNED""#, r#""state":"HANDED_OVER""#, "通过"],
    ),
    (
        "锁卡与解锁",
        0,
        &[
            r#""kind":"BLOCK""#,
            "请持卡到受理点办理",
            r#""kind":"UNBLOCK""#,
            "通过",
        ],
    ),
    (
        "终端送达",
        0,
        &[
            r#""decision":"accepted""#,
            r#""proved":1"#,
            r#""state":"DONE","way":"UPDATE""#,
        ],
    ),
    (
        "变更类别",
        0,
        &[r#""kind":"TIER""#, r#""state":"DONE""#, "通过", "人才居住"],
    ),
    (
        "换密钥",
        0,
        &[
            r#""kind":"ROTATE""#,
            r#""state":"DONE""#,
            "通过",
            "TRANSIT 440300 版本 2 version 2: 启用 active, 1 张卡",
        ],
    ),
    ("放弃变更", 0, &[r#""kind":"TIER""#, r#""state":"GIVEN_UP""#]),
    (
        "换证",
        0,
        &[
            r#""state":"DESTROYED""#,
            r#""state":"GIVEN_UP""#,
            r#""state":"VERIFIED""#,
            r#""state":"HANDED_OVER""#,
            "通过",
        ],
    ),
    ("谁看过照片", 0, &["PRODUCTION"]),
    ("快一年以后", 0, &[]),
    (
        "签注",
        0,
        &[r#""kind":"ENDORSE""#, r#""state":"DONE""#, "通过", "– 2028-11-"],
    ),
    (
        "交回",
        1,
        &[
            r#""state":"RETURNED""#,
            r#""kind":"END""#,
            r#""state":"DONE""#,
            "请持卡到受理点办理",
        ],
    ),
];

#[test]
fn a_card_lives_its_life_by_the_commands_that_are_written_for_it_as_they_are_written() {
    // The folder of a demo, whose applicant has a permit.
    let folder = tempfile::Builder::new().prefix("it's here ").tempdir().unwrap();
    let demo = Command::new(env!("CARGO_BIN_EXE_permit"))
        .args(["demo", "--at", DAY, "--dir"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8(demo.stdout).unwrap();
    let next = shown.lines().find(|line| line.contains(" up --dir ")).unwrap();
    let up = |command: &str| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("exec {command} --json")])
            .current_dir("/");
        started(shell)
    };
    let (child, told) = up(next.trim());
    let mut up_now = Up { child, folder, told };

    // A folder serves one program at a time.
    for how in [&[][..], &["--no-pcsc"]] {
        let second = Command::new(env!("CARGO_BIN_EXE_permit"))
            .args(["demo", "--json", "--at", DAY, "--dir"])
            .arg(up_now.folder.path())
            .args(how)
            .output()
            .unwrap();
        let second = object(&second);
        assert_eq!(text(&second["error"], "code"), "FOLDER_IN_USE", "{second}");
    }

    let life = std::fs::read_to_string(up_now.folder.path().join("walk.md")).unwrap();
    let life = blocks(&life);
    let first: Vec<&str> = life.iter().map(|block| block.commands.trim_end()).collect();
    let printed = up_now.told["commands"].as_array().unwrap();
    assert!((5..first.len()).contains(&printed.len()));
    for (printed, written) in printed.iter().zip(&first) {
        assert_eq!(printed, written);
        assert!(!printed.as_str().unwrap().contains("applicant-li-na"));
    }
    assert_eq!(life.len(), LIFE.len());
    for (block, (title, exit, words)) in life.iter().zip(LIFE) {
        assert!(block.title.starts_with(title), "{}", block.title);
        if block.first_shell {
            // The shell was closed; everything is where it was when it is started again, and the card is in use.
            let before = up_now.told.clone();
            signal(&up_now.child, "HUP");
            assert_eq!(up_now.child.wait().unwrap().code(), Some(0));
            nothing_is_left(up_now.folder.path());
            (up_now.child, up_now.told) = up(block.commands.trim_end());
            for place in ["dir", "url", "sockets", "environment", "walk", "reader"] {
                assert_eq!(up_now.told[place], before[place]);
            }
            let printed = up_now.told["commands"].to_string();
            assert!(!printed.contains("/v1/applications\"") && printed.contains(" bus --config "));
            continue;
        }
        let output = shell(&block.commands);
        let said = String::from_utf8_lossy(&output.stdout);
        let all = format!(
            "{}\n{said}\n{}",
            block.commands,
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(exit), "{all}");
        for word in words {
            assert!(said.contains(word), "{word}: {all}");
        }
        if title == "公交刷卡" {
            the_service_of_the_reader_dies_and_comes_back(&up_now);
        }
    }
    up_now.end();
}

/// Kills the PC/SC service while nobody can start it again, and lets it be started again: the next tap reads the card.
fn the_service_of_the_reader_dies_and_comes_back(up: &Up) {
    let folder = up.folder.path().to_str().unwrap();
    let service = std::fs::read_dir("/proc").unwrap().flatten().find(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.starts_with("pcscd") && line.contains(folder)
    });
    let service = service.unwrap().file_name().into_string().unwrap();
    // The process that watches over it stands still.
    signal(&up.child, "STOP");
    let killed = Command::new("kill")
        .args(["-s", "KILL", &service])
        .status()
        .unwrap();
    assert!(killed.success());
    let ready = || up.http("GET", "/readyz", None, None);
    let reader = |body: &Value| {
        let checks = body["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["name"] == "reader")
            .unwrap()
            .clone()
    };
    let began = Instant::now();
    let body = loop {
        let (status, body) = ready();
        if status == 503 {
            break body;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{body}");
    };
    assert_eq!(reader(&body)["code"], "NO_SERVICE", "{body}");
    assert!(!text(&reader(&body), "action").is_empty());
    signal(&up.child, "CONT");
    while ready().0 != 200 {
        assert!(began.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(100));
    }
    // The card is laid back a moment after the service answers.
    let card = Path::new(folder).join("run/reader/card0.sock");
    loop {
        let mut stream = std::os::unix::net::UnixStream::connect(&card).unwrap();
        stream.write_all(b"{\"order\":\"status\"}\n").unwrap();
        let mut said = String::new();
        BufReader::new(stream).read_line(&mut said).unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        if said["status"]["state"] != "empty" {
            return;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{said}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
