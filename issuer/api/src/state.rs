//! What the handlers share.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use issuer_office::office::Office;
use issuer_office::readiness::Check;
use issuer_office::staff::StaffFile;
use tokio::sync::Mutex;

/// Longest time for one request: an order reads two pictures from the photo store and draws a face.
const REQUEST_TIME: Duration = Duration::from_secs(20);

/// Longest time until the whole head of a request is there, also on a connection that is kept: who is slower than this is cut
/// off and holds nothing of ours.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// For how long an answer of `/readyz` is good for everybody who asks: anybody may, and each look costs vault, ledger and photo store
/// some work.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From the head of a request to its answer.
    pub request: Duration,
    /// Until the head of a request is there.
    pub head: Duration,
    /// For how long a look at what work needs is good.
    pub look: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            request: REQUEST_TIME,
            head: HEAD_TIME,
            look: LOOK_TIME,
        }
    }
}

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Api {
    shared: Arc<Shared>,
    station: Option<Station>,
    pages: Option<Router>,
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
    times: Times,
    /// The last look at what work needs, and when it ended.
    looked: Mutex<Option<(Instant, Vec<Check>)>>,
}

impl Api {
    /// An API over an office.
    #[must_use]
    pub fn new(office: Office, staff: StaffFile) -> Self {
        Self::with_times(office, staff, Times::default())
    }

    /// As [`Api::new`], with other time limits.
    #[must_use]
    pub fn with_times(office: Office, staff: StaffFile, times: Times) -> Self {
        Self {
            shared: Arc::new(Shared {
                office,
                staff,
                times,
                looked: Mutex::default(),
            }),
            station: None,
            pages: None,
        }
    }

    /// This API, with pages for people at the same address.
    #[must_use]
    pub fn with_pages(self, pages: Router) -> Self {
        Self {
            pages: Some(pages),
            ..self
        }
    }

    pub(crate) fn take_pages(&mut self) -> Option<Router> {
        self.pages.take()
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

    /// What work needs, the reader station of this machine too where there is one. One looks at a time; who waited for that, and who
    /// comes soon after, gets what was seen.
    pub(crate) async fn checks(&self) -> Vec<Check> {
        let mut looked = self.shared.looked.lock().await;
        if let Some((at, checks)) = &*looked
            && at.elapsed() < self.shared.times.look
        {
            return checks.clone();
        }
        let station = async {
            match &self.station {
                Some(Station(look)) => Some(look().await),
                None => None,
            }
        };
        let (mut checks, station) = tokio::join!(self.office().checks(), station);
        checks.extend(station);
        *looked = Some((Instant::now(), checks.clone()));
        checks
    }

    pub(crate) fn office(&self) -> &Office {
        &self.shared.office
    }

    pub(crate) fn staff(&self) -> &StaffFile {
        &self.shared.staff
    }

    pub(crate) fn times(&self) -> Times {
        self.shared.times
    }
}
