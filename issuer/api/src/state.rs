//! What the handlers share, and the reading of an id.

use std::sync::Arc;
use std::time::Duration;

use issuer_office::office::Office;
use issuer_office::staff::StaffFile;

use crate::problem::Problem;

/// Longest time for one request: an order reads two pictures from the photo store and draws a face.
const REQUEST_TIME: Duration = Duration::from_secs(20);

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Api(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    office: Office,
    staff: StaffFile,
    request_time: Duration,
}

impl Api {
    /// An API over an office.
    #[must_use]
    pub fn new(office: Office, staff: StaffFile) -> Self {
        Self(Arc::new(Shared {
            office,
            staff,
            request_time: REQUEST_TIME,
        }))
    }

    /// As [`Api::new`], with another time limit for a request.
    #[must_use]
    pub fn with_request_time(office: Office, staff: StaffFile, request_time: Duration) -> Self {
        Self(Arc::new(Shared {
            office,
            staff,
            request_time,
        }))
    }

    pub(crate) fn office(&self) -> &Office {
        &self.0.office
    }

    pub(crate) fn staff(&self) -> &StaffFile {
        &self.0.staff
    }

    pub(crate) fn request_time(&self) -> Duration {
        self.0.request_time
    }
}

/// An id from the path.
pub(crate) fn parse_id<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}
