//! `docs/operations.md` as a newcomer follows it: its commands, as they stand there, lead from an empty folder to a card in
//! its holder's hand. A reader and the card maker are virtual, everything else is what an installation runs.
//!
//! The only things changed: the port, because another installation may have it; the line that says when a blank is laid on the reader,
//! which is done here; and the vault is founded as a rehearsal, because a shell has no authenticators with which people sign mandates.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::ToSpan as _;
use virtual_card::pcscd::{Options, PrivatePcscd};

const PAGE: &str = include_str!("../../../../docs/operations.md");
const PORT: &str = "8440";
const FOUNDING: &str = "keyvault --dir vault init";
const BLANK: &str = "# now a blank lies on the reader";

/// The page's blocks of commands, and whether each keeps running.
fn blocks() -> Vec<(bool, String)> {
    let mut blocks = Vec::new();
    let mut parts = PAGE.split("```");
    // Text and blocks take turns.
    while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
        let (kind, commands) = block.split_once('\n').unwrap();
        assert!(["sh", "sh keeps running"].contains(&kind), "{kind}");
        blocks.push((kind == "sh keeps running", commands.to_owned()));
    }
    blocks
}

/// An applicant who is granted a permit today.
fn applicant() -> String {
    let today = Command::new("date").arg("+%F").output().unwrap().stdout;
    let today: jiff::civil::Date = std::str::from_utf8(&today).unwrap().trim().parse().unwrap();
    let (ago, ahead) = (today - 300.days(), today + 3.years());
    let (ago, ahead) = (ago.to_string(), ahead.to_string());
    let sample = include_str!("../../samples/applicant-li-na.json");
    ["2026-02-10", "2026-02-01", "2026-02-15"]
        .into_iter()
        .fold(sample.to_owned(), |text, day| text.replace(day, &ago))
        .replace("2027-01-31", &ahead)
}

#[test]
fn the_handbook_leads_from_founding_to_a_card_in_a_hand() {
    let folder = tempfile::tempdir().unwrap();
    let service = PrivatePcscd::start(&Options::default()).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let blank = folder.path().join("blank-1.card");
    let lay = format!(
        "virtual-card order --control {} '{{\"order\":\"insert\",\"memory\":\"{}\"}}' > /dev/null",
        service.folder().path().join("card0.sock").display(),
        blank.display()
    );
    std::fs::write(folder.path().join("applicant.json"), applicant()).unwrap();
    let face = include_bytes!("../../../../photo-store/samples/astronaut.png");
    std::fs::write(folder.path().join("photo.png"), face).unwrap();

    let mut script = String::from(
        "set -e\nservices=\ntrap 'ended=$?; [ -z \"$services\" ] || kill $services; wait; exit $ended' EXIT\n\
         wait_for() { left=300; until \"$@\" 2> /dev/null; do left=$((left - 1)); [ $left -gt 0 ] && sleep 0.1; done; }\n",
    );
    let blocks = blocks();
    assert!(blocks.iter().filter(|(keeps_running, _)| *keeps_running).count() == 3);
    for (number, (keeps_running, commands)) in blocks.iter().enumerate() {
        let commands = commands
            .replace(PORT, &port.to_string())
            .replace(BLANK, &lay)
            .replace(FOUNDING, &format!("{FOUNDING} --rehearsal"));
        if *keeps_running {
            let command = commands.trim_end();
            writeln!(script, "{command} < /dev/null > {number}.log 2>&1 &").unwrap();
            script += "services=\"$services $!\"\n";
            let socket = command
                .split_once("--socket ")
                .map(|(_, rest)| rest.split(' ').next().unwrap());
            match socket {
                Some(socket) => writeln!(script, "wait_for test -S {socket}"),
                None => writeln!(script, "wait_for curl -sSf http://127.0.0.1:{port}/readyz"),
            }
            .unwrap();
        } else {
            script += &commands;
        }
    }
    // Each service ends in order when it is told to.
    script += "for service in $services; do kill $service; wait $service; done\nservices=\n";
    std::fs::write(folder.path().join("script"), &script).unwrap();

    let programs = Path::new(env!("CARGO_BIN_EXE_permit")).parent().unwrap();
    let path = std::env::join_paths(
        std::iter::once(programs.to_owned()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let (variable, socket) = service.folder().environment();
    let mut shell = Command::new("sh")
        .arg("script")
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .env("HOME", folder.path())
        .env_remove("XDG_STATE_HOME")
        .env(variable, socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What is typed: the officers' new passphrases; at the founding all three custodians', then two to open it; for each of
    // seven requests two who sign and the one who submits; and who fetches the bundle.
    let phrase = |name: &&str| format!("{name} keeps this passphrase in mind\n");
    let founding = ["chen", "wu", "zheng", "zhao", "qian", "sun", "zhao", "qian"];
    let request = ["wu", "zheng", "chen"];
    let said = [&founding[..], &request.repeat(7), &["chen"]].concat();
    let typed: String = said.iter().map(phrase).collect();
    shell.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}\n{complained}");
    for word in ["VERIFIED", "HANDED_OVER", "通过"] {
        assert!(said.contains(word), "{word}: {said}\n{complained}");
    }
    // It is the installation of people who make one, on the day that it is.
    assert!(!script.contains("--at") && !script.contains("permit "));
}
