//! What custodians do with their own envelopes, alone, without the vault: no socket is opened, and the envelope that is given
//! is only read.

use std::path::Path;

use keyvault::custody::share_envelope::{Cost, ShareEnvelope};
use keyvault::custody::strength;
use program_contract::language::Words;
use program_contract::{Failure, Founded, Outcome, file, secret};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::command::arguments::{NewPassphrase, ShareCommand};
use crate::command::place::random;

/// Longest share envelope, bytes.
const MAX_ENVELOPE: u64 = 1 << 16;

pub(crate) fn share(command: ShareCommand, schema: &'static str) -> Result<Outcome, Failure> {
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
    }
}

/// The envelope in a file.
pub(crate) fn read(share: &Path) -> Result<ShareEnvelope, Failure> {
    let text = file::read(share, MAX_ENVELOPE)
        .map_err(|error| Failure::file(Words("读取分片信封", "read the share envelope"), share, &error))?;
    Ok(ShareEnvelope::parse(&text)?)
}

/// The passphrase of an envelope that exists.
pub(crate) fn passphrase(envelope: &ShareEnvelope, file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let name = &envelope.custodian;
    secret::read(Some(file), &format!("{name} 的口令 passphrase of {name}"))
}

/// A passphrase that the program makes for `custodian`, who writes it down and types it.
pub(crate) fn generated(custodian: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let made = strength::make(&mut random());
    let bits = strength::MADE_BITS;
    secret::show_new(
        &made,
        &format!("{custodian} 的新口令（{bits} 比特） new passphrase of {custodian} ({bits} bits)"),
    )?;
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
    let mut lines = vec![format!(
        "信封可以打开 the envelope opens: {}, share {} of {}, set {}, vault {}",
        envelope.custodian,
        envelope.index,
        set.shares,
        set.epoch,
        hex::encode(set.vault)
    )];
    lines.extend(Founded::around(&set.vault).banner().map(str::to_owned));
    if is_weak {
        lines.push("口令按现行标准太弱，请用 `keyvault share passphrase` 更换 the passphrase is weak by today's measure: change it with `keyvault share passphrase`".to_owned());
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
    let envelope = read(share)?;
    let name = envelope.custodian.clone();
    let old = passphrase(&envelope, passphrase_file)?;
    // Before a new one is thought of.
    let held = envelope.open(&old)?;
    let new = if new.generate {
        generated(&name)?
    } else {
        secret::read_new(
            Some(&new.new_passphrase_file),
            &format!("{name} 的新口令 new passphrase of {name}"),
        )?
    };
    let made = envelope.under_another_passphrase(&old, &new, Cost::STANDARD, &mut random())?;
    file::create(out, &made.to_text()?, file::PRIVATE)
        .map_err(|error| Failure::file(Words("写入新信封", "write the new envelope"), out, &error))?;
    // What lies on the disk is what counts.
    let opens = read(out)?.open(&new)?;
    if opens.value() != held.value() {
        return Err(keyvault::Error::EnvelopeDamaged.into());
    }
    let mut fields = about(&made)?;
    fields["path"] = out.display().to_string().into();
    fields["replaces"] = share.display().to_string().into();
    let lines = vec![
        format!(
            "新信封可用新口令打开 the new envelope opens with the new passphrase: {}",
            out.display()
        ),
        format!(
            "原信封仍可用原口令打开，请连同其各份副本一并销毁 the old envelope still opens with the old passphrase, destroy it and every copy of it: {}",
            share.display()
        ),
    ];
    Outcome::done(schema, &fields, lines)
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
        "rehearsal": Founded::around(&set.vault).is_rehearsal(),
    }))
}
