//! The terminals of the installation: each makes its keys, is enrolled, and loads the bundle that the vault seals to it.

use card_applet_spec::date::Date as CardDate;
use card_reader::{Bundle, TerminalKey};
use issuer_office::error::OfficeError;
use jiff::ToSpan as _;
use jiff::civil::Date;
use keyvault_protocol::{BundleKind, BundleRequest, Client, Region};
use program_contract::{Exit, Failure, day};
use rand_core::CryptoRng;
use tokio::net::UnixStream;

use crate::folder::{Folder, replace};

/// Life of a bundle, days after its first: the longest that door S allows a leaf certificate.
const BUNDLE_DAYS: i64 = 6;

/// A terminal with what it needs.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub(crate) key: TerminalKey,
    pub(crate) bundle: Bundle,
}

/// Enrols a terminal (or finds it enrolled) and fetches a bundle for it: `terminals/NAME.key`, `terminals/NAME.bundle`.
pub(crate) async fn enrol(
    folder: &Folder,
    vault: &mut Client<UnixStream>,
    name: &str,
    kind: BundleKind,
    regions: &[Region],
    today: Date,
    random: &mut (impl CryptoRng + Send),
) -> Result<Terminal, Failure> {
    let file = folder.at("terminals").join(format!("{name}.bundle"));
    let mut key_file = file.clone().into_os_string();
    key_file.push(".key");
    let key_file = std::path::PathBuf::from(key_file);
    let key = if key_file.exists() {
        TerminalKey::load(&key_file).map_err(|error| {
            Failure::new(
                Exit::Damaged,
                "TERMINAL_KEY",
                error.to_string(),
                "Restore the key file, or name a new folder with --dir.",
            )
        })?
    } else {
        let pinned = issuer_production::pinned(vault).await?;
        let key = TerminalKey::generate(name.parse()?, pinned, random);
        key.save_new(&key_file)
            .map_err(|error| Failure::file("write", &key_file, &error))?;
        key
    };
    let request = key.request();
    let sealed = vault
        .export_bundle(&BundleRequest {
            kind,
            terminal: name.to_owned(),
            sealing_key: request.sealing_key,
            authentication_key: request.authentication_key,
            regions: regions.to_vec(),
            zones: 0,
            from: today,
            to: today.checked_add(BUNDLE_DAYS.days()).unwrap_or(today),
        })
        .await
        .map_err(OfficeError::from)?;
    replace(&file, &sealed)?;
    let bundle = Bundle::open(&sealed, &key, None, card_date(today)?).map_err(|error| {
        Failure::new(
            Exit::Damaged,
            error.code().to_owned(),
            error.to_string(),
            error.action(),
        )
    })?;
    Ok(Terminal { key, bundle })
}

/// A day as cards and terminals write it.
pub(crate) fn card_date(date: Date) -> Result<CardDate, Failure> {
    day::to_card(date).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "DATE",
            format!("{date} is no day for a card"),
            "Give a day of the years 2000 to 2099.",
        )
    })
}
