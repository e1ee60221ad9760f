//! How sample staff sign: with the key files in the folder, and on the signing page beside the counter's pages.

use std::net::SocketAddr;

use issuer::installation::Installation as IssuerInstallation;
use issuer::rehearsal;
use issuer_mandate::{Given, SignerRole};
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use issuer_office::webauthn::RelyingParty;
use issuer_signing::{RehearsalKeys, SigningPage};
use permit_domain::ApplicationId;
use program_contract::Failure;
use program_contract::language::Words;
use tokio::net::TcpListener;

use crate::failure;
use crate::installation::{Installation, account};

/// What the sample person of this role signs of a case.
pub(crate) async fn signed(
    installation: &Installation,
    id: ApplicationId,
    (staff, role): (StaffRole, SignerRole),
) -> Result<Given, Failure> {
    let (office, issuer) = (installation.office(), issuer_of(installation)?);
    let who = account(staff).parse().map_err(OfficeError::from)?;
    let key = rehearsal::key_of(&issuer, office, &who, role).await?;
    let to_sign = office.to_sign(id, &who, role).await?;
    key.sign(&to_sign.mandate).map_err(|error| {
        failure::machine(
            Words("授权书无法读取", "a mandate cannot be read"),
            error.to_string(),
        )
    })
}

fn issuer_of(installation: &Installation) -> Result<IssuerInstallation, Failure> {
    Ok(IssuerInstallation::open(&installation.folder.at("issuer"), None)?)
}

/// Serves the signing page beside the counter at this address, on a free port and under another name of this machine.
pub(crate) async fn serve(installation: &Installation, counter: SocketAddr) -> Result<RelyingParty, Failure> {
    let unusable = |error: std::io::Error| failure::address(counter.ip().to_string(), error);
    let listener = TcpListener::bind((counter.ip(), 0)).await.map_err(unusable)?;
    let port = listener.local_addr().map_err(unusable)?.port();
    let origin = RelyingParty::on_this_machine(counter.port());
    let keys = RehearsalKeys::at(issuer_of(installation)?.rehearsal_keys());
    let page = SigningPage::of_rehearsal(origin.origin(), keys);
    // It ends with the program.
    tokio::spawn(issuer_signing::serve(listener, page, std::future::pending()));
    RelyingParty::at(&format!("http://sign.localhost:{port}")).map_err(|error| {
        failure::machine(
            Words("签名页的地址不对", "a wrong address of the signing page"),
            (error.chinese(), error.to_string()),
        )
    })
}
