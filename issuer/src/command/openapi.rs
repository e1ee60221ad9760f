//! `issuer openapi`: prints the OpenAPI 3.1 document of the API, the bytes of `issuer/openapi.json`.

use std::io::Write as _;

use program_contract::Failure;

use crate::command::failure;

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
        std::io::stdout()
            .lock()
            .write_all(issuer_api::openapi_json().as_bytes())
            .map_err(failure::no_output)
    }
}
