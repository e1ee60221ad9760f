//! Which application, order and staff belong to an applicant file, so that an interrupted run goes on and a finished one
//! is not repeated. Written before anything is done under these ids.

use std::path::PathBuf;

use issuer_office::error::OfficeError;
use permit_domain::{ApplicationId, OrderId};
use program_contract::Failure;
use program_contract::language::Words;
use serde::{Deserialize, Serialize};

use crate::failure;
use crate::folder::{Folder, replace};

/// The ids of one case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    schema: String,
    pub(crate) application: String,
    pub(crate) order: String,
    /// Where the case is written; beside it stands a mark once its card was shown to everybody.
    #[serde(skip)]
    path: PathBuf,
}

const SCHEMA: &str = "yzt.case/1";

impl Case {
    /// Whether there is a case of these bytes of an applicant file.
    pub(crate) fn is_known(folder: &Folder, applicant: &[u8]) -> bool {
        path_of(folder, applicant).exists()
    }

    /// The case of these bytes of an applicant file, or a new one with fresh ids.
    pub(crate) fn of(
        folder: &Folder,
        applicant: &[u8],
        fresh: impl FnOnce() -> (ApplicationId, OrderId),
    ) -> Result<Self, Failure> {
        let path = path_of(folder, applicant);
        match std::fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<Self>(&bytes) {
                Ok(case) => Ok(Self { path, ..case }),
                Err(error) => {
                    let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
                    Err(Failure::file(Words("读取", "read"), &path, &error))
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (application, order) = fresh();
                let case = Self {
                    schema: SCHEMA.to_owned(),
                    application: application.to_string(),
                    order: order.to_string(),
                    path,
                };
                let text = serde_json::to_vec_pretty(&case).map_err(|error| {
                    failure::machine(
                        Words("无法写入案卷", "a case cannot be written"),
                        error.to_string(),
                    )
                })?;
                replace(&case.path, &text)?;
                Ok(case)
            }
            Err(error) => Err(Failure::file(Words("读取", "read"), &path, &error)),
        }
    }

    /// True when the demo has shown what everybody saw of this case's card.
    pub(crate) fn is_shown(&self) -> bool {
        self.path.with_extension("shown").exists()
    }

    /// Remembers that it was shown.
    pub(crate) fn shown(&self) -> Result<(), Failure> {
        replace(&self.path.with_extension("shown"), b"")
    }

    pub(crate) fn application(&self) -> Result<ApplicationId, Failure> {
        Ok(self
            .application
            .parse::<ApplicationId>()
            .map_err(OfficeError::from)?)
    }

    pub(crate) fn order(&self) -> Result<OrderId, Failure> {
        Ok(self.order.parse::<OrderId>().map_err(OfficeError::from)?)
    }
}

/// Named by a digest: a folder listing shows nobody's number.
fn path_of(folder: &Folder, applicant: &[u8]) -> PathBuf {
    let digest = card_applet_spec::crypto::sha256(&[applicant]);
    let name = hex::encode(digest.get(..16).unwrap_or(&digest));
    folder.at("cases").join(format!("{name}.json"))
}
