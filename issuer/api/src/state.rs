//! What the handlers share, and the reading of an id.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use issuer_office::office::Office;
use issuer_office::readiness::Check;
use issuer_office::staff::StaffFile;

use crate::problem::Problem;

/// Longest time for one request: an order reads two pictures from the photo store and draws a face.
const REQUEST_TIME: Duration = Duration::from_secs(20);

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Api {
    shared: Arc<Shared>,
    station: Option<Station>,
}

/// How the reader station of this machine is looked at.
#[derive(Clone)]
struct Station(Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Check> + Send>> + Send + Sync>);

impl fmt::Debug for Station {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Station(..)")
    }
}

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
        Self::with_request_time(office, staff, REQUEST_TIME)
    }

    /// As [`Api::new`], with another time limit for a request.
    #[must_use]
    pub fn with_request_time(office: Office, staff: StaffFile, request_time: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                office,
                staff,
                request_time,
            }),
            station: None,
        }
    }

    /// This API of a machine at which cards are made as well: `/readyz` looks at its reader station too.
    #[must_use]
    pub fn with_station<F>(self, look: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Check> + Send + 'static,
    {
        Self {
            station: Some(Station(Arc::new(move || Box::pin(look())))),
            ..self
        }
    }

    /// How the reader station stands, where there is one.
    pub(crate) async fn station(&self) -> Option<Check> {
        match &self.station {
            Some(Station(look)) => Some(look().await),
            None => None,
        }
    }

    pub(crate) fn office(&self) -> &Office {
        &self.shared.office
    }

    pub(crate) fn staff(&self) -> &StaffFile {
        &self.shared.staff
    }

    pub(crate) fn request_time(&self) -> Duration {
        self.shared.request_time
    }
}

/// An id from the path.
pub(crate) fn parse_id<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}
