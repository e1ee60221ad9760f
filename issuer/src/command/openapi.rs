//! `issuer openapi`: prints the OpenAPI 3.1 document of the API, the bytes of `issuer/openapi.json`.

use std::io::Write as _;

use super::Failure;

pub(super) fn run() -> Result<(), Failure> {
    std::io::stdout()
        .lock()
        .write_all(crate::api::openapi_json().as_bytes())
        .map_err(|error| {
            Failure::new(
                "OUTPUT",
                5,
                format!("the document cannot be written: {error}"),
                "Check where the output goes.",
            )
        })
}
