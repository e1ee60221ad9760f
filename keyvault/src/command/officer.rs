//! Keys of officers, services and auditors: made here, without a vault.

use std::path::Path;

use keyvault::custody::ceremony::Officer;
use keyvault::custody::officer_key::OfficerKey;
use keyvault::custody::protection::Cost;
use keyvault_protocol::{ChannelKey, PointBytes, fingerprint};
use program_contract::language::Words;
use program_contract::{Failure, Founded, Outcome, file, line, secret};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::command::arguments::{KeyCommand, OfficerCommand};
use crate::command::place::{passphrase_of, random, usage};
use crate::command::{files, share};

/// Longest key file, bytes.
const MAX_KEY: u64 = 1 << 16;

pub(crate) fn officer(command: OfficerCommand, schema: &'static str) -> Result<Outcome, Failure> {
    match command {
        OfficerCommand::New {
            name,
            passphrase_file,
            generate,
            rehearsal,
            out,
        } => {
            files::is_new(Words("写入密钥文件", "write the key file"), &out)?;
            let passphrase = if generate {
                share::generated(&name)?
            } else {
                secret::read_new(Some(&passphrase_file), passphrase_of(&name))?
            };
            let founded = if rehearsal {
                Founded::Rehearsal
            } else {
                Founded::Real
            };
            let cost = if rehearsal {
                Cost::REHEARSAL
            } else {
                Cost::STANDARD
            };
            let made = OfficerKey::make(&name, &passphrase, founded, cost, &mut random())?;
            write(&made, &out, &passphrase, schema)
        }
        OfficerCommand::Passphrase {
            officer: key,
            passphrase_file,
            new,
            out,
        } => {
            files::is_new(Words("写入密钥文件", "write the key file"), &out)?;
            let held = read(&key)?;
            let old = passphrase(&held, &passphrase_file)?;
            // Before a new one is thought of.
            held.open(&old)?;
            let new = if new.generate {
                share::generated(&held.name)?
            } else {
                let prompt = share::new_passphrase_of(&held.name);
                secret::read_new(Some(&new.new_passphrase_file), prompt)?
            };
            let made = held.under_another_passphrase(&old, &new, Cost::STANDARD, &mut random())?;
            let mut outcome = write(&made, &out, &new, schema)?;
            outcome
                .fields
                .insert("replaces".to_owned(), key.display().to_string().into());
            outcome.lines.push(line!(old_still_opens(key.display())));
            Ok(outcome)
        }
    }
}

/// Makes the key of a service or an auditor.
pub(crate) fn key(command: KeyCommand, schema: &'static str) -> Result<Outcome, Failure> {
    let KeyCommand::New { out } = command;
    let key = ChannelKey::generate(&mut random());
    key.save_new(&out)
        .map_err(|error| Failure::file(Words("写入密钥", "write the key"), &out, &error))?;
    let public = hex::encode(key.public());
    let fields = json!({
        "path": out.display().to_string(),
        "public_key": public,
        "fingerprint": fingerprint(&key.public()),
    });
    Outcome::done(schema, &fields, vec![line!(public)])
}

program_contract::sentences! {
    fn key_of(name) = "{name} 的公钥", "public key of {name}";
    fn old_still_opens(path) =
        "原密钥文件仍可用原口令打开，请连同其各份副本一并销毁：{path}",
        "the old key file still opens with the old passphrase, destroy it and every copy of it: {path}";
}

program_contract::failures! {
    fn of_another_name(path, held, given) = Usage "OFFICER_NAME" {
        "{path} 是 {held} 的密钥，而命令中写的是 {given}：以该名称登记后，其签名一律无效",
        "{path} is the key of {held}, and the command says {given}: under that name no signature of it would count";
        "请在命令中写 {held}，或由该官员用 `keyvault officer new --name {given}` 另制密钥；未做任何改动。",
        "Say {held} in the command, or let the officer make a key with `keyvault officer new --name {given}`; nothing was done.";
    }
}

/// The key file of an officer.
pub(crate) fn read(path: &Path) -> Result<OfficerKey, Failure> {
    let text = file::read(path, MAX_KEY)
        .map_err(|error| Failure::file(Words("读取密钥文件", "read the key file"), path, &error))?;
    Ok(OfficerKey::parse(&text)?)
}

/// Whether a file is an officer's key that was made for a rehearsal.
pub(crate) fn is_for_rehearsals(path: &Path) -> bool {
    read(path).is_ok_and(|key| key.rehearsal)
}

/// The passphrase of a key file that exists.
pub(crate) fn passphrase(key: &OfficerKey, file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    secret::read(Some(file), passphrase_of(&key.name))
}

/// Writes a key file, and opens it from the disk: that is what counts.
fn write(made: &OfficerKey, out: &Path, passphrase: &[u8], schema: &'static str) -> Result<Outcome, Failure> {
    file::create(out, &made.to_text()?, file::PRIVATE)
        .map_err(|error| Failure::file(Words("写入密钥文件", "write the key file"), out, &error))?;
    let written = read(out)?;
    written.open(passphrase)?;
    let public = written.public()?;
    let fields: Value = json!({
        "path": out.display().to_string(),
        "name": written.name,
        "public_key": hex::encode(public),
        "fingerprint": fingerprint(&public),
        "rehearsal": written.rehearsal,
    });
    let lines = vec![
        line!(key_of(&written.name), ": ", hex::encode(public)),
        line!(Words("指纹", "fingerprint"), ": ", fingerprint(&public)),
    ];
    Outcome::done(schema, &fields, lines)
}

/// The public key of an officer of this name. A key file says whose it is, and its signatures are under that name: under another one on
/// the access list they would never count.
pub(crate) fn read_point_of(name: &str, path: &Path) -> Result<PointBytes, Failure> {
    let key = files::read_point(path)?;
    match read(path) {
        Ok(held) if held.name != name => Err(of_another_name(path.display(), &held.name, name)),
        _ => Ok(key),
    }
}

/// Officers from `NAME=FILE`, each with the public half of a key. A key that was made for a rehearsal is for one.
pub(crate) fn named_officers(given: &[String], founded: Option<Founded>) -> Result<Vec<Officer>, Failure> {
    let officer = |given: &String| {
        let (name, path) = given.split_once('=').ok_or_else(|| {
            usage(Words(
                "--officer 写作 姓名=密钥文件",
                "--officer has the form NAME=FILE",
            ))
        })?;
        let path = Path::new(path);
        let key = read_point_of(name, path)?;
        if founded == Some(Founded::Real) && is_for_rehearsals(path) {
            return Err(keyvault::Error::BadCeremony {
                what: "a key of an officer was made for a rehearsal, and this vault is none",
            }
            .into());
        }
        Ok(Officer {
            name: name.to_owned(),
            key,
        })
    };
    given.iter().map(officer).collect()
}
