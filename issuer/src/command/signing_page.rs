//! `issuer signing-page`: serves the page on which people sign mandates, at an origin of its own, until a signal. It opens no
//! installation: run it as a Unix user that reads nothing of the office.

use std::net::SocketAddr;
use std::path::PathBuf;

use issuer_office::webauthn::RelyingParty;
use issuer_signing::{RehearsalKeys, SigningPage};
use program_contract::language::Words;
use program_contract::{Failure, Outcome, line};
use serde::Serialize;

use crate::command::failure;
use crate::command::place::{GRACE, Stop};

/// Arguments of `signing-page`.
#[derive(Debug, clap::Args)]
pub(super) struct ServeSigningPage {
    /// Where it listens; TLS is ended in front of it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8441")]
    listen: SocketAddr,
    /// Origin of the counter's pages, to which alone it goes back.
    #[arg(long, value_name = "ORIGIN")]
    counter: String,
    /// Key files of a rehearsal, with which it signs in place of authenticators.
    #[arg(long, value_name = "DIR")]
    rehearsal_keys: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Served {
    address: String,
}

program_contract::sentences! {
    fn signing_page_is_at(address) =
        "签名页：http://{address} （按 Ctrl-C 停止）", "the signing page is at http://{address} (stop with Ctrl-C)";
}

impl ServeSigningPage {
    pub(super) async fn run(&self) -> Result<Outcome, Failure> {
        let counter = RelyingParty::at(&self.counter)
            .map_err(|error| failure::no_origin((error.chinese().to_owned(), error.to_string())))?;
        let page = match &self.rehearsal_keys {
            Some(folder) => SigningPage::of_rehearsal(counter.origin(), RehearsalKeys::at(folder.clone())),
            None => SigningPage::of(counter.origin()),
        };
        let unusable = |error: std::io::Error| failure::cannot_listen(self.listen.to_string(), error);
        let listener = tokio::net::TcpListener::bind(self.listen)
            .await
            .map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let mut asked = Stop::listen()?;
        program_contract::tell!("issuer: ", signing_page_is_at(address.to_string()));
        let (stop, mut stopping) = tokio::sync::watch::channel(false);
        let server = tokio::spawn(issuer_signing::serve(listener, page, async move {
            let _ = stopping.wait_for(|stop| *stop).await;
        }));
        asked.asked().await;
        let _ = stop.send(true);
        let _ = tokio::time::timeout(GRACE, server).await;
        Outcome::done(
            "yzt.signing_page/1",
            &Served {
                address: address.to_string(),
            },
            vec![line!("issuer: ", Words("已停止", "stopped"))],
        )
    }
}
