//! Files that commands take and write: public keys, requests of terminals, what leaves the vault.

use std::io::ErrorKind;
use std::path::Path;

use keyvault::custody::officer_key::OfficerKey;
use keyvault_protocol::PointBytes;
use program_contract::language::Words;
use program_contract::{Failure, Outcome, file, line};
use serde_json::{Value, json};

use crate::command::place::usage;

program_contract::sentences! {
    fn bytes_in(path, bytes) = "{path}（{bytes} 字节）", "{path} ({bytes} bytes)";
}

/// Longest public key or request file, bytes.
const MAX_FILE: u64 = 1 << 16;

/// What is done with a file that leaves the vault.
pub(crate) const WRITING: Words = Words("写入", "write");

/// Whether nothing is there yet: asked before a person types and before the vault gives something, as [`file::create`] refuses it afterwards.
pub(crate) fn is_new(doing: Words, path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Ok(_) => Err(Failure::file(doing, path, &ErrorKind::AlreadyExists.into())),
        Err(_) => Ok(()),
    }
}

/// A public key from a file: 65 bytes `04 || X || Y`, their 130 hex digits, or an officer's key file.
pub(crate) fn read_point(path: &Path) -> Result<PointBytes, Failure> {
    let bytes = file::read(path, MAX_FILE)
        .map_err(|error| Failure::file(Words("读取公钥", "read the public key"), path, &error))?;
    if bytes.trim_ascii_start().starts_with(b"{") {
        return Ok(OfficerKey::parse(&bytes)?.public()?);
    }
    let raw = match std::str::from_utf8(&bytes) {
        Ok(text) if text.trim().len() == 130 => hex::decode(text.trim()).unwrap_or_default(),
        _ => bytes,
    };
    raw.as_slice().try_into().map_err(|_| {
        usage(Words(
            "公钥文件应为 65 字节 04 || X || Y，或其十六进制数字",
            "a public key file has the 65 bytes 04 || X || Y, or their hex digits",
        ))
    })
}

/// Name and keys of a terminal, from its request.
pub(crate) fn read_request(path: &Path) -> Result<(String, PointBytes, PointBytes), Failure> {
    let wrong = || {
        usage(Words(
            "请求不是含 terminal、sealing_key、authentication_key 的 yzt.terminal-request/1 对象",
            "the request is not a yzt.terminal-request/1 object with terminal, sealing_key, authentication_key",
        ))
    };
    let text = file::read(path, MAX_FILE).map_err(|error| {
        Failure::file(
            Words("读取终端的登记请求", "read the terminal's request"),
            path,
            &error,
        )
    })?;
    let request: Value = serde_json::from_slice(&text).map_err(|_| wrong())?;
    let field = |name: &str| request.get(name).and_then(Value::as_str).ok_or_else(wrong);
    if field("schema")? != "yzt.terminal-request/1" {
        return Err(wrong());
    }
    let point = |name: &str| -> Result<PointBytes, Failure> {
        let bytes = hex::decode(field(name)?).map_err(|_| wrong())?;
        bytes.as_slice().try_into().map_err(|_| wrong())
    };
    Ok((
        field("terminal")?.to_owned(),
        point("sealing_key")?,
        point("authentication_key")?,
    ))
}

pub(crate) fn read_hex<const N: usize>(text: &str, message: Words) -> Result<[u8; N], Failure> {
    let mut out = [0u8; N];
    hex::decode_to_slice(text, &mut out).map_err(|_| usage(message))?;
    Ok(out)
}

pub(crate) fn write_new(schema: &'static str, path: &Path, bytes: &[u8]) -> Result<Outcome, Failure> {
    file::create(path, bytes, file::PRIVATE).map_err(|error| Failure::file(WRITING, path, &error))?;
    let fields = json!({ "path": path.display().to_string(), "bytes": bytes.len() });
    Outcome::done(
        schema,
        &fields,
        vec![line!(bytes_in(path.display(), bytes.len()))],
    )
}
