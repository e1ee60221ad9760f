//! The vault of the installation: founded by its custodians, served by a child process, opened by three of five shares.
//!
//! The demo's custodians keep their passphrases in files beside their share envelopes, which real custodians must not.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use program_contract::language::Words;
use program_contract::{Failure, file};

use crate::folder::{Folder, write_new};
use crate::process::Service;
use crate::{failure, officers, process};

/// The demo's custodians. Five hold shares, three open the vault.
pub(crate) const CUSTODIANS: [&str; 5] = ["zhao", "qian", "sun", "li", "zhou"];
/// Shares that open the vault.
pub(crate) const THRESHOLD: usize = 3;

/// True when the vault was founded before: its folder comes into its place whole.
pub(crate) fn is_founded(folder: &Folder) -> bool {
    folder.at("vault/vault.sqlite").exists()
}

/// Whether this is an envelope of the vault of this number. Those of a founding that was cut may lie beside them.
fn is_of(vault: &[u8; 16], package: &Path) -> bool {
    let envelope = file::read(package, 1 << 16)
        .ok()
        .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    let of = envelope
        .as_ref()
        .and_then(|envelope| envelope.get("vault")?.as_str());
    of == Some(hex::encode(vault).as_str())
}

/// Founds the vault: passphrases, shares, envelopes. `keyvault init` proves that every envelope opens before it ends.
pub(crate) fn create(
    folder: &Folder,
    at: Option<&str>,
    random: &mut impl rand_core::CryptoRng,
) -> Result<(), Failure> {
    let custodians = folder.at("custodians");
    let mut arguments: Vec<std::ffi::OsString> = vec!["--dir".into(), folder.at("vault").into()];
    if let Some(at) = at {
        arguments.extend(["--at".into(), at.into()]);
    }
    arguments.extend(["init".into(), "--rehearsal".into()]);
    for (name, value) in [("--threshold", THRESHOLD), ("--shares", CUSTODIANS.len())] {
        arguments.extend([name.into(), value.to_string().into()]);
    }
    for name in CUSTODIANS {
        let path = passphrase_file(folder, name);
        if !path.exists() {
            write_new(&path, passphrase(random).as_bytes())?;
        }
        let mut pair = std::ffi::OsString::from(format!("{name}="));
        pair.push(&path);
        arguments.extend(["--custodian".into(), pair]);
    }
    arguments.extend(officers::create(folder, random)?);
    arguments.extend(["--out".into(), custodians.join("packages").into()]);
    let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    process::run(&process::program("keyvault")?, &arguments)?;
    Ok(())
}

/// Twenty random letters and digits without look-alikes: 100 bits.
fn passphrase(random: &mut impl rand_core::CryptoRng) -> zeroize::Zeroizing<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = zeroize::Zeroizing::new([0_u8; 20]);
    random.fill_bytes(&mut *bytes);
    let letters = bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    zeroize::Zeroizing::new(letters.chain(std::iter::once('\n')).collect())
}

fn passphrase_file(folder: &Folder, name: &str) -> PathBuf {
    folder.at("custodians").join(format!("{name}.passphrase"))
}

/// The share envelope of each custodian of the vault of this number, in the order of [`CUSTODIANS`].
fn packages(folder: &Folder, vault: &[u8; 16]) -> Result<Vec<PathBuf>, Failure> {
    let place = folder.at("custodians").join("packages");
    let entries =
        std::fs::read_dir(&place).map_err(|error| Failure::file(Words("读取", "read"), &place, &error))?;
    let files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    let of = |name: &str| {
        let found = files.iter().find(|file| {
            file.file_name()
                .and_then(OsStr::to_str)
                .and_then(|name_of| name_of.strip_suffix(".share.json"))
                .is_some_and(|name_of| name_of.split(['.', '-']).any(|part| part == name))
                && is_of(vault, file)
        });
        found
            .cloned()
            .ok_or_else(|| failure::envelope_missing(name, place.display()))
    };
    CUSTODIANS.iter().map(|name| of(name)).collect()
}

/// Serves the vault, sealed.
pub(crate) async fn serve(folder: &Folder, socket: &Path, at: Option<&str>) -> Result<Service, Failure> {
    let vault = folder.at("vault");
    let mut arguments: Vec<&OsStr> = vec![
        "--dir".as_ref(),
        vault.as_ref(),
        "--socket".as_ref(),
        socket.as_ref(),
    ];
    if let Some(at) = at {
        arguments.extend(["--at".as_ref(), at.as_ref()] as [&OsStr; 2]);
    }
    arguments.extend(["serve".as_ref(), "--end-with-parent".as_ref()] as [&OsStr; 2]);
    let mut service = Service::start(
        Words("密钥库", "vault"),
        &process::program("keyvault")?,
        &arguments,
        &folder.log("vault"),
    )?;
    service.ready(socket).await?;
    Ok(service)
}

/// One custodian gives a share; gives how many are still needed.
pub(crate) fn give_share(
    folder: &Folder,
    number: &[u8; 16],
    socket: &Path,
    custodian: usize,
) -> Result<u64, Failure> {
    let packages = packages(folder, number)?;
    let (package, name) = packages
        .get(custodian)
        .zip(CUSTODIANS.get(custodian))
        .ok_or_else(failure::no_custodian)?;
    let vault = folder.at("vault");
    let passphrase = passphrase_file(folder, name);
    let arguments: [&OsStr; 9] = [
        "--dir".as_ref(),
        vault.as_ref(),
        "--socket".as_ref(),
        socket.as_ref(),
        "unseal".as_ref(),
        "--share".as_ref(),
        package.as_ref(),
        "--passphrase-file".as_ref(),
        passphrase.as_ref(),
    ];
    let answer = process::run(&process::program("keyvault")?, &arguments)?;
    let number = |key: &str| {
        answer
            .get(key)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_default()
    };
    Ok(number("needed").saturating_sub(number("given")))
}
