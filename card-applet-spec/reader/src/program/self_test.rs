//! `self-test`: everything that a terminal needs, looked at before the first card of the day. It changes nothing.

use std::path::Path;

use card_applet_spec::codes::Role;
use card_applet_spec::crypto::{Key16, Key32, PublicKey, sha256};
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::Age;
use card_applet_spec::kdf;
use card_reader::transport::PcscTransport;
use card_reader::{Bundle, Folder, Journal, TerminalKey};
use program_contract::language::{Line, Words};
use program_contract::{Exit, Failure, Language, Outcome, file, line};
use serde_json::{Map, Value, json};

use crate::program::config::Config;
use crate::program::failure;
use crate::program::report;
use crate::program::terminal;

/// One look.
struct Look {
    code: &'static str,
    zh: &'static str,
    ok: bool,
    /// What was found, or what to do: in Chinese and in English.
    said: (String, String),
}

/// What reads the same in both languages.
fn alike(said: &dyn std::fmt::Display) -> (String, String) {
    let said = said.to_string();
    (said.clone(), said)
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

fn readers(wanted: Option<&str>) -> Result<(String, String), Failure> {
    let readers = PcscTransport::list()?;
    let found = match wanted {
        Some(name) => readers.iter().find(|reader| reader.name == name),
        None => readers.first(),
    };
    found
        .map(|reader| alike(&reader.name))
        .ok_or_else(failure::reader_absent)
}

/// What was looked at, and the exit code of the first thing that failed.
struct Looks {
    looks: Vec<Look>,
    worst: Exit,
}

impl Looks {
    fn look(&mut self, code: &'static str, zh: &'static str, result: Result<(String, String), Failure>) {
        let (ok, said) = match result {
            Ok(said) => (true, said),
            Err(failure) => {
                if self.worst == Exit::Done {
                    self.worst = failure.exit;
                }
                let (message, action) = &failure.chinese;
                let chinese = format!("{message}。{action}");
                let english = format!("{}. {}", failure.message.trim_end_matches('.'), failure.action);
                (false, (chinese, english))
            }
        };
        self.looks.push(Look { code, zh, ok, said });
    }
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
            .map(|()| alike(&"AES, CMAC, SHA-256, P-256, SP 800-108"))
            .map_err(failure::wrong_cryptography),
    );
    let key = terminal::key(&config.key);
    looks.look(
        "KEY",
        "终端密钥",
        key.as_ref().map(|key| alike(key.name())).map_err(Failure::clone),
    );
    let folder = Folder::open(&config.state).map_err(Failure::from);
    looks.look(
        "STATE",
        "终端目录",
        folder
            .as_ref()
            .map(|folder| alike(&folder.path().display()))
            .map_err(Failure::clone),
    );
    if let Ok(folder) = &folder {
        let written = disk(folder.path()).map(|()| alike(&"4096 B"));
        looks.look(
            "DISK",
            "磁盘写入",
            written.map_err(|error| failure::unsafe_disk(error.kind())),
        );
        if let Ok(key) = &key {
            material(&mut looks, config, key, folder, today);
        }
    }
    looks.look("READER", "读卡器", readers(config.reader.as_deref()));
    report(&looks.looks, looks.worst, Language::of_process())
}

/// Bundle, lists, certificate, clock, journal.
fn material(looks: &mut Looks, config: &Config, key: &TerminalKey, folder: &Folder, today: Date) {
    let bundle = terminal::sequence_of_key(&config.key)
        .and_then(|known| folder.bundle(key, known, today).map_err(Failure::from));
    let said = |bundle: &Bundle| {
        let (from, to, number) = (bundle.issued(), bundle.last_day(), bundle.sequence());
        (
            format!("{from} – {to}，序号 {number}"),
            format!("{from} – {to}, no. {number}"),
        )
    };
    let result = match &bundle {
        // What is left behind a compromised version, until the next one.
        Ok(bundle) if bundle.held_keys().is_empty() => Err(failure::no_key(said(bundle))),
        other => other.as_ref().map(said).map_err(Failure::clone),
    };
    looks.look("BUNDLE", "凭证包", result);
    let Ok(bundle) = bundle else { return };
    for role in Role::ALL.iter().filter(|role| bundle.serves(**role)) {
        let found = bundle.lists().into_iter().find(|list| list.role == *role);
        let said = found.map_or_else(
            || (format!("{role}：无"), format!("{role}: none")),
            |list| {
                let (issued, cards, days) = (list.issued, list.cards, list.max_age);
                (
                    format!("{role}：{issued}（{cards} 张卡，最长用 {days} 天）"),
                    format!("{role}: {issued} ({cards} cards, at most {days} days)"),
                )
            },
        );
        let result = if bundle.list_age(*role, today) == Age::Fresh {
            Ok(said)
        } else {
            Err(failure::list_too_old(said))
        };
        looks.look("LIST", "名单", result);
    }
    if let Some(chain) = bundle.chain() {
        let (from, to) = chain.days();
        let result = if chain.is_valid_on(today) {
            Ok(alike(&format!("{from} – {to}")))
        } else {
            Err(failure::certificate_days(from, to))
        };
        looks.look("CERTIFICATE", "终端证书", result);
    }
    looks.look(
        "CLOCK",
        "时钟",
        match folder.clock_doubt(today, &bundle) {
            None => Ok(alike(&today)),
            Some(doubt) => Err(failure::clock_behind(today, doubt.seen())),
        },
    );
    if let Some(tid) = bundle.tid() {
        let said = |journal: &Journal| {
            let open = u8::from(journal.open().is_some());
            let (sold, unknown) = (journal.lines().len(), journal.unknown().len());
            (
                format!("已付 {sold} 笔，不明 {unknown} 笔，未了 {open} 笔"),
                format!("{sold} sold, {unknown} unknown, {open} open"),
            )
        };
        let result = folder
            .journal(tid)
            .map(|journal| said(&journal))
            .map_err(Failure::from);
        looks.look("JOURNAL", "付款日志", result);
    }
}

fn report(looks: &[Look], worst: Exit, language: Language) -> Result<Outcome, Failure> {
    let said = |look: &Look| language.one(look.said.0.clone(), look.said.1.clone());
    let checks: Vec<Value> = looks
        .iter()
        .map(|look| json!({ "code": look.code, "ok": look.ok, "said": said(look) }))
        .collect();
    let mut lines: Vec<Line> = looks
        .iter()
        .map(|look| {
            let mark = if look.ok { "✓" } else { "✗" };
            line!(mark, " ", Words(look.zh, look.code), ": ", look.said)
        })
        .collect();
    let failed = looks.iter().find(|look| !look.ok);
    lines.push(match failed {
        None => line!(Words("自检通过", "all is well")),
        Some(_) => line!(Words("自检未通过", "not ready")),
    });
    let outcome = report::done(
        "self-test",
        Map::from_iter([("checks".to_owned(), json!(checks))]),
        lines,
    );
    let Some(first) = failed else {
        return Ok(outcome);
    };
    let mut failure = failure::not_ready(first.code, (&first.said.0, &first.said.1));
    failure.exit = worst;
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
