//! What custodians do with their own envelopes. The envelope that is given is only read. All but `pin`, which asks a running
//! vault for its transport key, open no socket.

use std::io;
use std::path::{Path, PathBuf};

use keyvault::custody::protection::Cost;
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault::custody::strength;
use keyvault_protocol::{Client, Error, Identity, PointBytes, Share, fingerprint};
use program_contract::language::Words;
use program_contract::{Failure, Founded, Outcome, file, line, secret};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::command::arguments::{NewPassphrase, ShareCommand};
use crate::command::files;
use crate::command::place::{Place, passphrase_of, random, runtime};

/// Longest share envelope, bytes.
const MAX_ENVELOPE: u64 = 1 << 16;
/// Longest note of what was seen, bytes.
const MAX_SEEN: u64 = 4096;
/// No store is of this generation or a later one: with a thousand changes a second it would be 9,000 years old. Who claims one would make
/// every true store an older one for this envelope.
const ABSURD: u64 = 1 << 48;

program_contract::failures! {
    fn generation_absurd(generation) = Damaged "GENERATION_ABSURD" {
        "存储的代次 {generation} 不可能是真的；信封旁未写入任何内容",
        "no store is of generation {generation}; nothing was written beside the envelope";
        "请查明是谁在密钥库的套接字应答、谁改动过信封旁的 .seen 文件；确认所用密钥库无误之后，用 --restored 给出分片。",
        "Find out who answers at the vault's socket, and who changed the file .seen beside the envelope; when the vault is known to be the right one, give the share with --restored.";
    }
}

pub(crate) fn share(place: &Place, command: ShareCommand, schema: &'static str) -> Result<Outcome, Failure> {
    match command {
        ShareCommand::Check {
            share,
            passphrase_file,
        } => check(&share, &passphrase_file, schema),
        ShareCommand::Passphrase {
            share,
            passphrase_file,
            new,
            out,
        } => change(&share, &passphrase_file, &new, &out, schema),
        ShareCommand::Pin {
            share,
            passphrase_file,
            fingerprint,
            out,
        } => runtime()?.block_on(pin(place, (&share, &out), &passphrase_file, &fingerprint, schema)),
    }
}

/// The envelope in a file.
pub(crate) fn read(share: &Path) -> Result<ShareEnvelope, Failure> {
    let text = file::read(share, MAX_ENVELOPE)
        .map_err(|error| Failure::file(Words("读取分片信封", "read the share envelope"), share, &error))?;
    Ok(ShareEnvelope::parse(&text)?)
}

/// Where what was last seen of the vault stands: a file of its own beside the envelope, which is only read.
fn seen_file(share: &Path) -> PathBuf {
    let mut name = share.as_os_str().to_owned();
    name.push(".seen");
    name.into()
}

/// The generation of this vault's store that stands beside the envelope; 0 where there is none.
pub(crate) fn seen(share: &Path, vault: &[u8; 16]) -> Result<u64, Failure> {
    let path = seen_file(share);
    let failed = |error: &io::Error| Failure::file(Words("读取", "read"), &path, error);
    let text = match file::read(&path, MAX_SEEN) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(&error)),
    };
    let seen: Value =
        serde_json::from_slice(&text).map_err(|_| failed(&io::ErrorKind::InvalidData.into()))?;
    if seen["vault"] != hex::encode(vault) {
        return Ok(0);
    }
    let generation = seen["generation"].as_u64();
    let generation = generation.ok_or_else(|| failed(&io::ErrorKind::InvalidData.into()))?;
    possible(generation)
}

/// The generation, if a store can have it.
pub(crate) fn possible(generation: u64) -> Result<u64, Failure> {
    match generation {
        ABSURD.. => Err(generation_absurd(generation)),
        _ => Ok(generation),
    }
}

/// Writes down what was seen of the vault, if nothing later of it was; `anew` whatever was.
pub(crate) fn remember(share: &Path, vault: &[u8; 16], generation: u64, anew: bool) -> io::Result<()> {
    if !anew && seen(share, vault).is_ok_and(|seen| seen >= generation) {
        return Ok(());
    }
    let seen = json!({ "schema": "yzt.seen/1", "vault": hex::encode(vault), "generation": generation });
    file::replace(&seen_file(share), format!("{seen}\n").as_bytes(), 0o600)
}

/// The passphrase of an envelope that exists.
pub(crate) fn passphrase(envelope: &ShareEnvelope, file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    secret::read(Some(file), passphrase_of(&envelope.custodian))
}

program_contract::sentences! {
    pub(crate) fn new_passphrase_of(name) = "{name} 的新口令", "new passphrase of {name}";
    fn made_passphrase_of(name, bits) =
        "{name} 的新口令（{bits} 比特）", "new passphrase of {name} ({bits} bits)";
    fn share_of_set(name, index, shares, epoch, vault) =
        "{name}，第 {index} 份（共 {shares} 份），第 {epoch} 套，密钥库 {vault}",
        "{name}, share {index} of {shares}, set {epoch}, vault {vault}";
    fn opens_with_the_new(path) =
        "新信封可用新口令打开：{path}", "the new envelope opens with the new passphrase: {path}";
    fn old_still_opens(path) =
        "原信封仍可用原口令打开，请连同其各份副本一并销毁：{path}",
        "the old envelope still opens with the old passphrase, destroy it and every copy of it: {path}";
    fn pins_the_key(path) =
        "新信封已写明密钥库的传输密钥，请销毁原信封及其各份副本：{path}",
        "the new envelope pins the vault's transport key, destroy the old one and every copy of it: {path}";
}

/// The transport key of the vault that answers, if the envelope pins it, or a person compared it: it has the fingerprint that the
/// vault's own console shows.
pub(crate) fn compared(
    envelope: &ShareEnvelope,
    client: &Client<UnixStream>,
    by_hand: Option<&str>,
) -> Result<PointBytes, Failure> {
    let (set, answers) = (envelope.set()?, client.transport_key());
    if set.vault != client.vault() {
        return Err(keyvault::Error::WrongVault.into());
    }
    match (set.transport_key, by_hand) {
        (None, None) => Err(Error::TransportKeyNotPinned.into()),
        (Some(pinned), _) if pinned != answers => Err(Error::TransportKeyDiffers.into()),
        (_, Some(by_hand)) if !is_fingerprint(by_hand, &answers) => Err(Error::TransportKeyDiffers.into()),
        _ => Ok(answers),
    }
}

/// Whether a person means this key, however the groups were written.
fn is_fingerprint(typed: &str, key: &PointBytes) -> bool {
    let digits = |text: &str| -> String {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|digit| digit.to_ascii_lowercase())
            .collect()
    };
    digits(typed) == digits(&fingerprint(key))
}

/// A passphrase that the program makes for `custodian`, who writes it down and types it.
pub(crate) fn generated(custodian: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let made = strength::make(&mut random());
    let bits = strength::MADE_BITS;
    secret::show_new(&made, made_passphrase_of(custodian, bits))?;
    Ok(made)
}

fn check(share: &Path, passphrase_file: &Path, schema: &'static str) -> Result<Outcome, Failure> {
    let envelope = read(share)?;
    let passphrase = passphrase(&envelope, passphrase_file)?;
    envelope.open(&passphrase)?;
    let is_weak = envelope.is_weak_under(&passphrase);
    let mut fields = about(&envelope)?;
    fields["weak"] = is_weak.into();
    let set = envelope.set()?;
    let mut lines = vec![line!(
        Words("信封可以打开", "the envelope opens"),
        ": ",
        share_of_set(
            &envelope.custodian,
            envelope.index,
            set.shares,
            set.epoch,
            hex::encode(set.vault)
        )
    )];
    lines.extend(Founded::around(&set.vault).banner().map(|banner| line!(banner)));
    if is_weak {
        lines.push(line!(Words(
            "口令按现行标准太弱，请用 `keyvault share passphrase` 更换",
            "the passphrase is weak by today's measure: change it with `keyvault share passphrase`"
        )));
    }
    Outcome::done(schema, &fields, lines)
}

fn change(
    share: &Path,
    passphrase_file: &Path,
    new: &NewPassphrase,
    out: &Path,
    schema: &'static str,
) -> Result<Outcome, Failure> {
    files::is_new(Words("写入新信封", "write the new envelope"), out)?;
    let envelope = read(share)?;
    let name = envelope.custodian.clone();
    let old = passphrase(&envelope, passphrase_file)?;
    // Before a new one is thought of.
    let held = envelope.open(&old)?;
    let new = if new.generate {
        generated(&name)?
    } else {
        secret::read_new(Some(&new.new_passphrase_file), new_passphrase_of(&name))?
    };
    let made = envelope.under_another_passphrase(&old, &new, Cost::STANDARD, &mut random())?;
    let fields = write(&made, (share, out), &new, &held)?;
    let lines = vec![
        line!(opens_with_the_new(out.display())),
        line!(old_still_opens(share.display())),
    ];
    Outcome::done(schema, &fields, lines)
}

/// Pins the transport key of the vault that answers, after a person compared it.
async fn pin(
    place: &Place,
    (share, out): (&Path, &Path),
    passphrase_file: &Path,
    by_hand: &str,
    schema: &'static str,
) -> Result<Outcome, Failure> {
    files::is_new(Words("写入新信封", "write the new envelope"), out)?;
    let envelope = read(share)?;
    let client = place.connect_as(&Identity::nobody()).await?;
    let answers = client.transport_key();
    if envelope.set()?.vault != client.vault() {
        return Err(keyvault::Error::WrongVault.into());
    }
    if !is_fingerprint(by_hand, &answers) {
        return Err(Error::TransportKeyDiffers.into());
    }
    let passphrase = passphrase(&envelope, passphrase_file)?;
    let held = envelope.open(&passphrase)?;
    let made = envelope.pinned_to(answers, &passphrase, &mut random())?;
    let fields = write(&made, (share, out), &passphrase, &held)?;
    let line = line!(pins_the_key(out.display()));
    Outcome::done(schema, &fields, vec![line])
}

/// Writes an envelope beside the one that it replaces, and opens it from the disk: that is what counts.
fn write(
    made: &ShareEnvelope,
    (share, out): (&Path, &Path),
    passphrase: &[u8],
    held: &Share,
) -> Result<Value, Failure> {
    file::create(out, &made.to_text()?, file::PRIVATE)
        .map_err(|error| Failure::file(Words("写入新信封", "write the new envelope"), out, &error))?;
    if read(out)?.open(passphrase)?.value() != held.value() {
        return Err(keyvault::Error::EnvelopeDamaged.into());
    }
    let mut fields = about(made)?;
    fields["path"] = out.display().to_string().into();
    fields["replaces"] = share.display().to_string().into();
    Ok(fields)
}

/// What an envelope says in clear.
fn about(envelope: &ShareEnvelope) -> Result<Value, Failure> {
    let set = envelope.set()?;
    Ok(json!({
        "vault": hex::encode(set.vault),
        "epoch": set.epoch,
        "custodian": envelope.custodian,
        "index": envelope.index,
        "needed": set.threshold,
        "shares": set.shares,
        "transport_key": set.transport_key.map(|key| fingerprint(&key)),
        "rehearsal": Founded::around(&set.vault).is_rehearsal(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_of_a_vault_never_goes_back_but_after_a_restore() {
        let folder = tempfile::tempdir().unwrap();
        let share = folder.path().join("li.share.json");
        let (ours, another) = ([1; 16], [2; 16]);
        let now = |vault| seen(&share, vault).unwrap();
        assert_eq!(now(&ours), 0);
        remember(&share, &ours, 7, false).unwrap();
        remember(&share, &ours, 5, false).unwrap();
        assert_eq!((now(&ours), now(&another)), (7, 0));
        remember(&share, &ours, 8, false).unwrap();
        assert_eq!(now(&ours), 8);
        remember(&share, &ours, 3, true).unwrap();
        assert_eq!(now(&ours), 3);
        // Another vault's carrier: what is remembered is of one vault.
        remember(&share, &another, 1, false).unwrap();
        assert_eq!((now(&ours), now(&another)), (0, 1));
    }

    #[test]
    fn a_generation_that_no_store_has_is_refused_by_whoever_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let share = folder.path().join("li.share.json");
        let code = |refused: Result<u64, Failure>| refused.unwrap_err().code.clone().into_owned();
        assert_eq!(possible(ABSURD - 1).unwrap(), ABSURD - 1);
        assert_eq!(code(possible(ABSURD)), "GENERATION_ABSURD");
        remember(&share, &[1; 16], u64::MAX, false).unwrap();
        assert_eq!(code(seen(&share, &[1; 16])), "GENERATION_ABSURD");
        // What is written anew after a restore takes its place.
        remember(&share, &[1; 16], 9, false).unwrap();
        assert_eq!(seen(&share, &[1; 16]).unwrap(), 9);
    }
}
