//! `self-test`: everything that a terminal needs, looked at before the first card of the day. It changes nothing.

use std::path::Path;

use card_applet_spec::codes::Role;
use card_applet_spec::crypto::{Key16, Key32, PublicKey, sha256};
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::Age;
use card_applet_spec::kdf;
use card_reader::transport::PcscTransport;
use card_reader::{Bundle, Folder, Journal, Reason, TerminalKey};
use program_contract::{Exit, Failure, Outcome, file};
use serde_json::{Map, Value, json};

use crate::program::config::Config;
use crate::program::report;
use crate::program::terminal;

/// One look.
struct Look {
    code: &'static str,
    zh: &'static str,
    ok: bool,
    /// What was found, or what to do.
    said: String,
}

/// Published values of the primitives, and one of our own derivations.
///
/// RFC 4493 (AES-CMAC, example 2), FIPS 180-2 B.1 (SHA-256), RFC 6979 A.2.5 (ECDSA P-256 with SHA-256 of "sample"), and
/// the KDF108 value of `spec/vectors`.
fn cryptography() -> Result<(), &'static str> {
    let bytes = |text: &str| hex::decode(text).unwrap_or_default();
    let array = |text: &str| <[u8; 16]>::try_from(bytes(text)).unwrap_or_default();
    let key = Key16::new(array("2b7e151628aed2a6abf7158809cf4f3c"));
    let block = bytes("6bc1bee22e409f96e93d7e117393172a");
    if key.cmac(&[&block]).as_slice() != bytes("070a16b46b4d4144f79bdd9dd04a287c") {
        return Err("AES-CMAC");
    }
    if key
        .encrypt_block(array("6bc1bee22e409f96e93d7e117393172a"))
        .as_slice()
        != bytes("3ad77bb40d7a3660a89ecaf32466ef97")
    {
        return Err("AES-128");
    }
    if sha256(&[b"abc"]).as_slice()
        != bytes("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    {
        return Err("SHA-256");
    }
    let point = bytes(
        "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
         7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    );
    let signature = bytes(
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
         f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    );
    let sound = <[u8; 64]>::try_from(point)
        .ok()
        .and_then(|point| PublicKey::from_public64(&point).ok())
        .zip(<[u8; 64]>::try_from(signature).ok())
        .is_some_and(|(key, signature)| {
            key.verify(&[b"sample"], &signature).is_ok() && key.verify(&[b"sampl3"], &signature).is_err()
        });
    if !sound {
        return Err("ECDSA P-256");
    }
    // Two derivations that differ in one byte of their context must differ.
    let master = Key32::new([0x5A; 32]);
    let derived = |version| {
        "440300"
            .parse()
            .ok()
            .and_then(|region| kdf::tap_key(&master, Role::Transit, region, version, &[1; 16]).ok())
            .map(|key| *key.expose())
    };
    if derived(1).is_none() || derived(1) == derived(2) {
        return Err("SP 800-108");
    }
    Ok(())
}

/// Writes, reads back and takes away a file in the terminal's folder.
fn disk(folder: &Path) -> std::io::Result<()> {
    let path = folder.join("self-test");
    let pattern = [0xA5; 4096];
    file::replace(&path, &pattern, file::PRIVATE)?;
    let same = std::fs::read(&path)? == pattern;
    file::remove(&path)?;
    if same {
        Ok(())
    } else {
        Err(std::io::ErrorKind::InvalidData.into())
    }
}

fn readers(wanted: Option<&str>) -> Result<String, Failure> {
    let readers = PcscTransport::list()?;
    let found = match wanted {
        Some(name) => readers.iter().find(|reader| reader.name == name),
        None => readers.first(),
    };
    found.map(|reader| reader.name.clone()).ok_or_else(|| {
        Failure::new(
            Exit::Absent,
            "NO_READER",
            "the reader is not there".to_owned(),
            "Connect the reader, or correct its name in the configuration.",
        )
    })
}

/// What was looked at, and the exit code of the first thing that failed.
struct Looks {
    looks: Vec<Look>,
    worst: Exit,
}

impl Looks {
    fn look(&mut self, code: &'static str, zh: &'static str, result: Result<String, Failure>) {
        let (ok, said) = match result {
            Ok(said) => (true, said),
            Err(failure) => {
                if self.worst == Exit::Done {
                    self.worst = failure.exit;
                }
                (
                    false,
                    format!("{}. {}", failure.message.trim_end_matches('.'), failure.action),
                )
            }
        };
        self.looks.push(Look { code, zh, ok, said });
    }
}

fn damaged(code: &'static str, message: String, action: &'static str) -> Failure {
    Failure::new(Exit::Damaged, code, message, action)
}

/// Looks at everything.
pub(crate) fn run(config: &Config, today: Date) -> Result<Outcome, Failure> {
    let mut looks = Looks {
        looks: Vec::new(),
        worst: Exit::Done,
    };
    looks.look(
        "CRYPTOGRAPHY",
        "密码算法",
        cryptography()
            .map(|()| "AES, CMAC, SHA-256, P-256, SP 800-108".to_owned())
            .map_err(|what| {
                let action = "Do not use this machine; install the program again.";
                damaged("CRYPTOGRAPHY", format!("{what} gives a wrong value"), action)
            }),
    );
    let key = terminal::key(&config.key);
    looks.look(
        "KEY",
        "终端密钥",
        key.as_ref()
            .map(|key| key.name().to_string())
            .map_err(Failure::clone),
    );
    let folder = Folder::open(&config.state).map_err(Failure::from);
    looks.look(
        "STATE",
        "终端目录",
        folder
            .as_ref()
            .map(|folder| folder.path().display().to_string())
            .map_err(Failure::clone),
    );
    if let Ok(folder) = &folder {
        let written = disk(folder.path()).map(|()| "4096 B".to_owned());
        looks.look(
            "DISK",
            "磁盘写入",
            written.map_err(|error| {
                let message = format!("nothing can be written safely: {}", error.kind());
                damaged("DISK", message, "Make room on the disk, or replace it.")
            }),
        );
        if let Ok(key) = &key {
            material(&mut looks, config, key, folder, today);
        }
    }
    looks.look("READER", "读卡器", readers(config.reader.as_deref()));
    report(&looks.looks, looks.worst)
}

/// Bundle, lists, certificate, clock, journal.
fn material(looks: &mut Looks, config: &Config, key: &TerminalKey, folder: &Folder, today: Date) {
    let bundle = terminal::sequence_of_key(&config.key)
        .and_then(|known| folder.bundle(key, known, today).map_err(Failure::from));
    let said = |bundle: &Bundle| {
        format!(
            "{} – {}, no. {}",
            bundle.issued(),
            bundle.last_day(),
            bundle.sequence()
        )
    };
    let result = match &bundle {
        // What is left behind a compromised version, until the next one.
        Ok(bundle) if bundle.held_keys().is_empty() => Err(damaged(
            Reason::WrongRole.code(),
            format!(
                "{}: it holds no key, and the terminal accepts nobody",
                said(bundle)
            ),
            "Have a key version made with `keyvault rotate`, then load a new bundle.",
        )),
        other => other.as_ref().map(said).map_err(Failure::clone),
    };
    looks.look("BUNDLE", "凭证包", result);
    let Ok(bundle) = bundle else { return };
    for role in Role::ALL.iter().filter(|role| bundle.serves(**role)) {
        let found = bundle.lists().into_iter().find(|list| list.role == *role);
        let said = found.map_or_else(
            || format!("{role}: none"),
            |list| {
                format!(
                    "{role}: {} ({} cards, at most {} days)",
                    list.issued, list.cards, list.max_age
                )
            },
        );
        let result = if bundle.list_age(*role, today) == Age::Fresh {
            Ok(said)
        } else {
            let action = "Run card-reader sync with new files of the office.";
            Err(damaged(
                "LIST_TOO_OLD",
                format!("{said}: too old or missing"),
                action,
            ))
        };
        looks.look("LIST", "名单", result);
    }
    if let Some(chain) = bundle.chain() {
        let (from, to) = chain.days();
        let result = if chain.is_valid_on(today) {
            Ok(format!("{from} – {to}"))
        } else {
            let message = format!("the certificate is valid from {from} to {to}");
            Err(damaged(
                "BUNDLE_EXPIRED",
                message,
                "Run card-reader sync with a new bundle.",
            ))
        };
        looks.look("CERTIFICATE", "终端证书", result);
    }
    looks.look(
        "CLOCK",
        "时钟",
        match folder.clock_doubt(today, &bundle) {
            None => Ok(today.to_string()),
            Some(doubt) => Err(damaged(
                Reason::ClockWrong.code(),
                format!("{today} is before {}", doubt.seen()),
                Reason::ClockWrong.action(),
            )),
        },
    );
    if let Some(tid) = bundle.tid() {
        let said = |journal: &Journal| {
            let open = u8::from(journal.open().is_some());
            format!(
                "{} sold, {} unknown, {open} open",
                journal.lines().len(),
                journal.unknown().len()
            )
        };
        let result = folder
            .journal(tid)
            .map(|journal| said(&journal))
            .map_err(Failure::from);
        looks.look("JOURNAL", "付款日志", result);
    }
}

fn report(looks: &[Look], worst: Exit) -> Result<Outcome, Failure> {
    let checks: Vec<Value> = looks
        .iter()
        .map(|look| json!({ "code": look.code, "ok": look.ok, "said": look.said }))
        .collect();
    let mut lines: Vec<String> = looks
        .iter()
        .map(|look| {
            let mark = if look.ok { "✓" } else { "✗" };
            format!("{mark} {} {}: {}", look.zh, look.code, look.said)
        })
        .collect();
    let failed = looks.iter().find(|look| !look.ok);
    lines.push(match failed {
        None => "自检通过 all is well".to_owned(),
        Some(_) => "自检未通过 not ready".to_owned(),
    });
    let outcome = report::done(
        "self-test",
        Map::from_iter([("checks".to_owned(), json!(checks))]),
        lines,
    );
    let Some(first) = failed else {
        return Ok(outcome);
    };
    let mut failure = Failure::new(
        worst,
        "SELF_TEST",
        format!("{}: {}", first.code, first.said),
        "Mend what is marked, then run it again.",
    );
    failure.fields = outcome.fields;
    failure.lines = outcome.lines;
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primitives_give_their_published_values() {
        assert_eq!(cryptography(), Ok(()));
    }

    #[test]
    fn a_folder_that_takes_no_file_is_found() {
        assert!(disk(Path::new("/proc/self")).is_err());
        let folder = tempfile::tempdir().unwrap();
        disk(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
