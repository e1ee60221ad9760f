//! `issuer openapi`: prints the OpenAPI 3.1 document of the API, the bytes of `issuer/openapi.json`.

use std::io::Write as _;

use program_contract::Failure;

/// Arguments of `openapi`.
#[derive(Debug, clap::Args)]
pub(super) struct Openapi {
    /// Taken as by every command: the document is one JSON object either way, and a failure is one too.
    #[arg(long)]
    pub(super) json: bool,
}

impl Openapi {
    #[expect(clippy::unused_self, reason = "every command runs alike")]
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(issuer_api::openapi_json().as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| Failure::output(&error))
    }
}
