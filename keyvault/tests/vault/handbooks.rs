//! The handbooks of custodians and officers as they follow them: their commands, as they stand there, from the officers' keys and the founding to
//! a seal; and the Chinese ones have the same commands.
//!
//! What a shell would need besides is done here: the colleagues' keys and envelopes, the service that runs, and the day in the place of DATE.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::program::{PROGRAM, phrase};

const CEREMONIES: &str = include_str!("../../../docs/handbook-ceremonies.md");
const CUSTODIAN: &str = include_str!("../../../docs/handbook-custodian.md");
const OFFICER: &str = include_str!("../../../docs/handbook-officer.md");

/// The blocks of commands under each heading of a page.
fn blocks(page: &'static str) -> Vec<Vec<&'static str>> {
    let of = |section: &'static str| {
        let fenced = section.split("```sh\n").skip(1);
        fenced.map(|block| block.split("```").next().unwrap()).collect()
    };
    page.split("\n## ")
        .map(of)
        .filter(|blocks: &Vec<_>| !blocks.is_empty())
        .collect()
}

/// The commands of a page that are set apart, whether they run here or are only shown.
fn commands(page: &str) -> Vec<&str> {
    let is_command = |line: &&str| {
        line.starts_with("    keyvault ") || line.starts_with("    --") || line.starts_with("keyvault ")
    };
    page.lines().filter(is_command).collect()
}

#[test]
fn the_handbooks_have_the_same_commands_in_both_languages() {
    for (english, chinese) in [
        (
            CEREMONIES,
            include_str!("../../../docs/handbook-ceremonies.zh-CN.md"),
        ),
        (
            CUSTODIAN,
            include_str!("../../../docs/handbook-custodian.zh-CN.md"),
        ),
        (OFFICER, include_str!("../../../docs/handbook-officer.zh-CN.md")),
    ] {
        assert!(commands(english).len() > 3);
        assert_eq!(commands(english), commands(chinese));
        assert_eq!(blocks(english), blocks(chinese));
    }
}

#[test]
fn the_handbooks_of_custodians_and_officers_lead_from_their_keys_to_a_seal() {
    let folder = tempfile::tempdir().unwrap();
    let (ceremonies, custodian, officer) = (blocks(CEREMONIES), blocks(CUSTODIAN), blocks(OFFICER));
    let [founding, gone] = &ceremonies[..] else {
        panic!("{ceremonies:?}");
    };
    let [alone, opening, closing] = &custodian[..] else {
        panic!("{custodian:?}");
    };
    let [key, requests, at_once, lost, role] = &officer[..] else {
        panic!("{officer:?}");
    };
    let mut script = String::from(
        "set -e\nserving=\ntrap 'ended=$?; [ -z \"$serving\" ] || kill $serving; wait; exit $ended' EXIT\n\
         carrier() { rm -f MY-ENVELOPE; cp envelopes/*-$1.share.json MY-ENVELOPE; }\n",
    );
    let mut typed = Vec::new();
    let mut then = |commands: &str, who: &[&str]| {
        writeln!(script, "{commands}").unwrap();
        typed.extend(who.iter().map(|name| format!("{}\n", phrase(name))));
    };
    // Each officer makes a key; only then is there a vault to ask.
    for (name, file) in [("CHEN", "chen"), ("WU", "wu"), ("ZHENG", "zheng")] {
        then(&key[0].replace("CHEN", name).replace("chen", file), &[name]);
    }
    then(founding[0], &["LI", "WANG", "ZHAO", "SUN", "QIAN"]);
    then(
        "mv envelopes/anchors.json anchors.json\nkeyvault --dir V serve < /dev/null > log 2>&1 &\nserving=$!\n\
         left=200; until test -S V/keyvault.sock; do left=$((left - 1)); [ $left -gt 0 ]; sleep 0.1; done",
        &[],
    );
    for name in ["LI", "WANG", "ZHAO"] {
        then(&format!("carrier {name}\n{}", opening[0]), &[name]);
    }
    then(key[1], &["CHEN"]);
    // Made, shown, its key looked at, signed by two, submitted.
    then(&requests.concat(), &["CHEN", "WU", "CHEN"]);
    then(&at_once.concat(), &["CHEN", "CHEN", "CHEN", "WU", "CHEN"]);
    // Chen is suspended and makes a new key; wu and zheng sign two requests, wu submits them, and asks for the lists behind that.
    let twice = ["WU", "ZHENG", "WU", "WU", "ZHENG", "WU"];
    then(&lost.concat(), &[&["CHEN", "CHEN"][..], &twice].concat());
    // Without a terminal to type it at, the version is given twice.
    let compromised = "--version 1\n";
    let rotation = role
        .concat()
        .replace("DATE", "$(TZ=CST-8 date -d '+30 days' +%F)")
        .replace(compromised, "--version 1 --confirm transit/440300/1\n");
    assert_eq!(role.concat().matches(compromised).count(), 1);
    then(&rotation, &["WU", "WU", "ZHENG", "WU", "WU"]);
    // One officer is left; the custodians put two beside her, which waits its day.
    then(
        "for name in CHEN ZHENG; do keyvault --dir V suspend --name $name; done",
        &["WU", "WU"],
    );
    then(gone[0], &["HU", "LUO"]);
    for name in ["LI", "SUN", "QIAN"] {
        then(&format!("carrier {name}\n{}", gone[1]), &[name]);
    }
    then(&format!("{} > waits", gone[2].trim_end()), &["QIAN"]);
    then(alone[0], &["QIAN"]);
    then(alone[1], &["QIAN", "another carrier moss quartz lantern"]);
    then(closing[0], &["QIAN"]);
    then("keyvault --dir V status > sealed && exit 9\n[ $? = 1 ]", &[]);
    std::fs::write(folder.path().join("script"), &script).unwrap();

    let found = std::env::var_os("PATH").unwrap();
    let programs = Path::new(PROGRAM).parent().unwrap().to_owned();
    let path = std::iter::once(programs).chain(std::env::split_paths(&found));
    let mut shell = Command::new("sh")
        .arg("script")
        .current_dir(folder.path())
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("LC_ALL", "en_GB.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(typed.concat().as_bytes())
        .unwrap();
    let output = shell.wait_with_output().unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{script}\n{said}\n{complained}");
    for told in [
        "the vault is open",
        "enrols the auditor “HE”",
        "the request is done",
        "the vault is sealed",
    ] {
        assert!(said.contains(told), "{told}: {said}\n{complained}");
    }
    // The fingerprint that the owner reads out is the one that is shown.
    let shown = said.split_once("enrols the auditor “HE”, key ").unwrap().1;
    let fingerprint = shown.get(..19).unwrap().replace(' ', "");
    assert!(
        said.lines()
            .any(|line| line.starts_with(&fingerprint) && line.ends_with('-')),
        "{said}"
    );
    let waits = std::fs::read_to_string(folder.path().join("waits")).unwrap();
    assert!(waits.contains("waits its day"), "{waits}");
}
