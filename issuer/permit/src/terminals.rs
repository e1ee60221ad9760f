//! The terminals of the installation: each makes its keys, is enrolled, and loads the bundle that the vault seals to it.
//!
//! In `terminals/` lie for each its key and its request (`card-reader enrol` makes both), its bundle, its settings
//! `NAME.toml`, and its own folder `NAME`. Bundles of terminals with door S end after a week, so all are made again each day.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use card_applet_spec::date::Date as CardDate;
use card_reader::enrol::LoadError;
use card_reader::{Bundle, TerminalKey};
use issuer_office::error::OfficeError;
use jiff::ToSpan as _;
use jiff::civil::Date;
use keyvault_protocol::{BundleKind, BundleRequest, Client, Region, TerminalEnrolment};
use program_contract::language::Words;
use program_contract::{Failing as _, Failure, day};
use serde_json::Value;
use tokio::net::UnixStream;

use crate::failure;
use crate::folder::{Folder, replace};
use crate::installation::Installation;
use crate::{officers, process};

/// Life of a bundle, days after its first: the longest that door S allows a leaf certificate.
const BUNDLE_DAYS: i64 = 6;

pub(crate) const BUS: &str = "bus-m204";
pub(crate) const CLINIC: &str = "clinic-nanshan";
pub(crate) const DOOR: &str = "door-keyuan";
pub(crate) const INSURANCE: &str = "insurance-nanshan";
pub(crate) const SHOP: &str = "shop-nanyuan";
pub(crate) const COUNTER: &str = "counter-2";

/// One of every kind.
const EVERY: [(&str, BundleKind); 6] = [
    (BUS, BundleKind::Bus),
    (CLINIC, BundleKind::Clinic),
    (DOOR, BundleKind::Door),
    (INSURANCE, BundleKind::SocialInsurance),
    (SHOP, BundleKind::Shop),
    (COUNTER, BundleKind::Counter),
];

/// A terminal with what it needs.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub(crate) key: TerminalKey,
    pub(crate) bundle: Bundle,
}

/// Enrols a terminal of every kind for these regions, or gives the enrolled ones new bundles; each loads its own.
pub(crate) async fn supply(installation: &Installation, regions: &[Region]) -> Result<(), Failure> {
    let mut vault = installation.vault().await?;
    let place = installation.folder.at("terminals");
    let rules = written_rules(installation)?;
    let reader = process::program("card-reader")?;
    for (name, kind) in EVERY {
        enrol(installation, &mut vault, name, kind, regions).await?;
        let settings = place.join(format!("{name}.toml"));
        replace(&settings, settings_of(name, &rules, installation).as_bytes())?;
        let mut sync: Vec<&OsStr> = vec![
            "sync".as_ref(),
            "--config".as_ref(),
            settings.as_ref(),
            "--from".as_ref(),
            place.as_ref(),
        ];
        let at = installation.at.map(|day| day.to_string());
        if let Some(at) = &at {
            sync.extend(["--at".as_ref(), at.as_ref()] as [&OsStr; 2]);
        }
        process::run(&reader, &sync)?;
    }
    Ok(())
}

/// The rule sets as files, for the names of services on the terminals' screens. Their names.
fn written_rules(installation: &Installation) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for set in installation.office().rules().iter() {
        let name = format!("{}.toml", set.id());
        replace(
            &installation.folder.at("rules").join(&name),
            set.text().as_bytes(),
        )?;
        names.push(name);
    }
    Ok(names)
}

/// The settings of a terminal.
fn settings_of(name: &str, rules: &[String], installation: &Installation) -> String {
    let rules: Vec<String> = rules.iter().map(|file| format!("\"../rules/{file}\"")).collect();
    // With a service of our own there is one card, and it lies where it lies.
    let reader = match installation.place.named() {
        Some(reader) => format!("reader = {}\n", Value::from(reader)),
        None => String::new(),
    };
    format!(
        "key = \"{name}.bundle.key\"\nstate = \"{name}\"\nrules = [{}]\n{reader}",
        rules.join(", ")
    )
}

/// Enrols a terminal (or finds it enrolled) and fetches a bundle for it: `terminals/NAME.bundle`, and its key beside it.
pub(crate) async fn enrol(
    installation: &Installation,
    vault: &mut Client<UnixStream>,
    name: &str,
    kind: BundleKind,
    regions: &[Region],
) -> Result<Terminal, Failure> {
    let (folder, today) = (&installation.folder, installation.today());
    let random = &mut installation.office().random().session();
    let file = folder.at("terminals").join(format!("{name}.bundle"));
    let key_file = folder.at("terminals").join(format!("{name}.bundle.key"));
    let request_file = request_of(folder, name);
    if !(key_file.exists() && request_file.exists()) {
        make_keys(folder, name, &key_file, &request_file)?;
    }
    let key = TerminalKey::load(&key_file).map_err(|error| match error {
        LoadError::Material(error) => failure::terminal_key((error.chinese().0, error.to_string())),
        error => failure::terminal_key(error.to_string()),
    })?;
    let request = key.request();
    let terminal = TerminalEnrolment {
        kind,
        terminal: name.to_owned(),
        sealing_key: request.sealing_key,
        authentication_key: request.authentication_key,
        regions: regions.to_vec(),
        zones: 0,
        until: today.saturating_add(5.years()),
        replaces: false,
    };
    officers::enrol_terminal(folder, vault, terminal, &installation.clock, random).await?;
    let sealed = vault
        .export_bundle(&BundleRequest {
            terminal: name.to_owned(),
            zones: None,
            from: today,
            to: last_day(today),
        })
        .await
        .map_err(OfficeError::from)?;
    replace(&file, &sealed)?;
    let bundle = Bundle::open(&sealed, &key, None, card_date(today)?)?;
    Ok(Terminal { key, bundle })
}

/// Last day of a bundle that is made today.
pub(crate) fn last_day(today: Date) -> Date {
    today.saturating_add(BUNDLE_DAYS.days())
}

/// The request with which a terminal was enrolled, as `keyvault export-bundle` takes it.
fn request_of(folder: &Folder, name: &str) -> PathBuf {
    folder.at("terminals").join(format!("{name}.request.json"))
}

/// The terminal makes its keys. A key whose request was never written is nobody's yet, and is made again.
fn make_keys(folder: &Folder, name: &str, key: &Path, request: &Path) -> Result<(), Failure> {
    let anchors = folder.anchors();
    match program_contract::file::remove(key) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::file(Words("删除", "remove"), key, &error));
        }
        _ => {}
    }
    let asked: [&OsStr; 7] = [
        "enrol".as_ref(),
        "--name".as_ref(),
        name.as_ref(),
        "--anchors".as_ref(),
        anchors.as_ref(),
        "--out".as_ref(),
        key.as_ref(),
    ];
    let told = process::run(&process::program("card-reader")?, &asked)?;
    replace(request, told.to_string().as_bytes())
}

/// The registration number of the shop and the key that signs its files, 130 hex digits: for its registration in the office.
pub(crate) async fn registration(installation: &Installation) -> Result<(u32, String), Failure> {
    let mut vault = installation.vault().await?;
    let known = vault.terminals().await.map_err(OfficeError::from)?;
    known
        .into_iter()
        .find(|terminal| terminal.name == SHOP)
        .and_then(|shop| Some((shop.tid, hex::encode(shop.authentication_key?))))
        .ok_or_else(|| {
            failure::unexpected(Words(
                "密钥库不认识商户的终端",
                "the vault does not know the shop's terminal",
            ))
        })
}

/// A day as cards and terminals write it.
pub(crate) fn card_date(date: Date) -> Result<CardDate, Failure> {
    day::to_card(date).ok_or_else(|| failure::no_card_day(date))
}
