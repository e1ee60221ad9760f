//! The key officers of the installation: two of them sign what gives something to a caller, a terminal or a card maker.
//!
//! The demo keeps their keys in files beside each other, which real officers must not.

use std::ffi::OsString;

use issuer_office::error::OfficeError;
use jiff::ToSpan as _;
use keyvault_protocol::{
    CallerEntry, ChannelKey, Client, Enrolment, Error, Identity, MAX_REQUEST_LIFE, OfficerAct,
    OfficersRequest, PointBytes, RequestOutcome, RequestSigner, TerminalEnrolment, VaultAnchors,
};
use program_contract::language::Words;
use program_contract::{Clock, Failure};
use rand_core::CryptoRng;
use service_contract::Caller;
use tokio::net::UnixStream;

use crate::folder::{Folder, replace};

/// The demo's officers.
pub(crate) const OFFICERS: [&str; 3] = ["chen", "gao", "xu"];
/// Who signs: two of them.
pub(crate) const SIGNERS: [&str; 2] = ["gao", "xu"];
/// Who asks: the third.
pub(crate) const REQUESTER: &str = "chen";

/// Makes the officers' keys; gives the arguments with which the vault is founded.
pub(crate) fn create(folder: &Folder, random: &mut impl CryptoRng) -> Result<Vec<OsString>, Failure> {
    let place = folder.at("officers");
    let mut arguments = Vec::new();
    for name in OFFICERS {
        let path = place.join(format!("{name}.key"));
        if !path.exists() {
            ChannelKey::generate(random)
                .save_new(&path)
                .map_err(|error| Failure::file(Words("写入密钥", "write the key"), &path, &error))?;
        }
        let public = place.join(format!("{name}.pub"));
        replace(&public, hex::encode(key(folder, name)?.public()).as_bytes())?;
        let mut pair = OsString::from(format!("{name}="));
        pair.push(&public);
        arguments.extend(["--officer".into(), pair]);
    }
    Ok(arguments)
}

fn key(folder: &Folder, name: &str) -> Result<ChannelKey, Failure> {
    let path = folder.at("officers").join(format!("{name}.key"));
    ChannelKey::read(&path).map_err(|error| Failure::file(Words("读取密钥", "read the key"), &path, &error))
}

/// The anchors that the vault's founding wrote, and where they are.
pub(crate) fn anchors(folder: &Folder) -> Result<VaultAnchors, Failure> {
    let path = folder.anchors();
    VaultAnchors::read(&path)
        .map_err(|error| Failure::file(Words("读取锚点", "read the anchors"), &path, &error))
}

/// A connection to the vault, as the officer who asks.
pub(crate) async fn connect(folder: &Folder, clock: &Clock) -> Result<Client<UnixStream>, Failure> {
    let identity = Identity::of(key(folder, REQUESTER)?, anchors(folder)?, clock.clone());
    let socket = folder.sockets()?.join("vault.sock");
    let connected = Client::connect_unix(&socket, &identity).await;
    Ok(connected.map_err(OfficeError::from)?)
}

/// Two officers sign, and it is done.
pub(crate) async fn approved(
    folder: &Folder,
    vault: &mut Client<UnixStream>,
    act: OfficerAct,
    clock: &Clock,
    random: &mut impl CryptoRng,
) -> Result<RequestOutcome, Failure> {
    let made = jiff::Timestamp::from_second(clock.now().as_second()).unwrap_or_default();
    let mut nonce = [0; 16];
    random.fill_bytes(&mut nonce);
    let request = OfficersRequest {
        vault: vault.vault(),
        act,
        requester: REQUESTER.to_owned(),
        made,
        until: made.saturating_add(MAX_REQUEST_LIFE).unwrap_or(made),
        nonce,
    };
    let mut signed = request.unsigned().map_err(OfficeError::from)?;
    for name in SIGNERS {
        let who = RequestSigner::Officer {
            name: name.to_owned(),
        };
        let key = key(folder, name)?.signer().map_err(OfficeError::from)?;
        signed.sign(who, &key);
    }
    Ok(vault.submit_request(&signed).await.map_err(OfficeError::from)?)
}

/// A service that is to be enrolled under a name.
pub(crate) struct Service<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Caller,
    pub(crate) key: PointBytes,
}

/// Enrols the services that the vault does not know yet.
pub(crate) async fn enrol_services(
    folder: &Folder,
    services: &[Service<'_>],
    clock: &Clock,
    random: &mut impl CryptoRng,
) -> Result<(), Failure> {
    let mut vault = connect(folder, clock).await?;
    let known: Vec<CallerEntry> = vault.callers().await.map_err(OfficeError::from)?;
    for Service { name, kind, key } in services {
        let is_known = |entry: &CallerEntry| entry.enrolment.name == *name && entry.enrolment.key == *key;
        if known.iter().any(is_known) {
            continue;
        }
        let enrolment = Enrolment {
            name: (*name).to_owned(),
            kind: *kind,
            key: *key,
            regions: Vec::new(),
            operations: Vec::new(),
            ceilings: Vec::new(),
        };
        approved(
            folder,
            &mut vault,
            OfficerAct::EnrolCaller(enrolment),
            clock,
            random,
        )
        .await?;
    }
    Ok(())
}

/// Enrols a terminal for these regions, where the vault does not know it for them.
pub(crate) async fn enrol_terminal(
    folder: &Folder,
    vault: &mut Client<UnixStream>,
    terminal: TerminalEnrolment,
    clock: &Clock,
    random: &mut impl CryptoRng,
) -> Result<(), Failure> {
    let known = vault.terminals().await.map_err(OfficeError::from)?;
    let is_known = known.iter().any(|known| {
        known.name == terminal.terminal
            && terminal.regions.iter().all(|region| known.regions.contains(region))
            // Bundles end before it does for a year to come.
            && known.enrolled_until.is_some_and(|until| until > terminal.until.saturating_sub(4.years()))
    });
    if is_known {
        return Ok(());
    }
    approved(folder, vault, OfficerAct::EnrolTerminal(terminal), clock, random).await?;
    Ok(())
}

/// That the vault answered something else than was asked.
pub(crate) fn another_answer() -> Failure {
    OfficeError::from(Error::Malformed("an answer to another question")).into()
}
