//! Who sees what of the finished card: the terminals are enrolled, then the office, a bus, a clinic and a stranger read
//! it, each over a connection of its own.

use card_applet_spec::codes::Role;
use card_reader::Terminal as DoorF;
use issuer_office::card_content::CardContent;
use issuer_office::error::OfficeError;
use keyvault_protocol::{BundleKind, Region};
use permit_domain::{CardSerial, Order};
use program_contract::{Exit, Failure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::installation::Installation;
use crate::reads::Read;
use crate::report::Steps;
use crate::terminals::{BUS, CLINIC, COUNTER, DOOR, Terminal, card_date, enrol};
use crate::{reads, stranger};

/// The reads.
pub(crate) struct Showing {
    pub(crate) office: Read,
    pub(crate) bus: Read,
    pub(crate) clinic: Read,
    pub(crate) stranger: Read,
}

/// The terminals that read.
struct Terminals {
    bus: Terminal,
    clinic: Terminal,
    counter: Terminal,
}

/// Enrols the terminals and lets everybody read. A decision that is not the expected one is a failure of the system.
pub(crate) async fn to_everybody(
    installation: &mut Installation,
    steps: &mut Steps,
    order: &Order,
    serial: CardSerial,
) -> Result<Showing, Failure> {
    let region = CardContent::from_content(order.content()).and_then(|content| content.region());
    let region = region.map_err(OfficeError::from)?;
    let enrolling = steps.begin(
        "enrol bus, clinic, door and counter; seal their bundles",
        "key officer",
    );
    let enrolled = terminals(installation, region).await;
    let Terminals { bus, clinic, counter } = steps.end(enrolling, enrolled)?;

    let day = card_date(installation.today())?;
    let mut random = StdRng::from_rng(&mut installation.random);
    let reading = steps.begin(
        "read the card at the office (door S, all rights)",
        "terminal counter-2",
    );
    let office = reads::office(installation.connect(serial)?, &counter, day, &mut random);
    let office = steps.end(reading, office)?;

    let reading = steps.begin("tap at a bus (door F)", "terminal bus-m204");
    let mut gate = DoorF::new(bus.bundle);
    let bus = reads::tap(
        installation.connect(serial)?,
        &mut gate,
        Role::Transit,
        day,
        &mut random,
    );
    let bus = steps.end(reading, bus)?;

    let reading = steps.begin(
        "read at a clinic (door S, CLINIC alone)",
        "terminal clinic-nanshan",
    );
    let clinic = reads::strong(
        installation.connect(serial)?,
        &clinic,
        Role::Clinic,
        day,
        &mut random,
    );
    let clinic = steps.end(reading, clinic)?;

    let reading = steps.begin("try with a reader and keys of one's own", "a stranger");
    let stranger = stranger::read(|| installation.connect(serial), region, day, &mut random);
    let stranger = steps.end(reading, stranger)?;

    let showing = Showing {
        office,
        bus,
        clinic,
        stranger,
    };
    showing.must_be_as_expected()?;
    Ok(showing)
}

impl Showing {
    fn must_be_as_expected(&self) -> Result<(), Failure> {
        let expected = [
            ("the office", &self.office, "accepted"),
            ("the bus", &self.bus, "accepted"),
            ("the clinic", &self.clinic, "accepted"),
            ("the stranger", &self.stranger, "refused"),
        ];
        match expected
            .into_iter()
            .find(|(_, read, expected)| read.decision != *expected)
        {
            None => Ok(()),
            Some((who, read, _)) => Err(Failure::new(
                Exit::Damaged,
                "UNEXPECTED_DECISION",
                format!(
                    "the new card was {} by {who} ({})",
                    read.decision,
                    read.reason.unwrap_or("no reason")
                ),
                "Keep the folder with its logs, and report this.",
            )),
        }
    }
}

/// Enrols every terminal for a region, or gives the enrolled ones new bundles.
async fn terminals(installation: &Installation, region: Region) -> Result<Terminals, Failure> {
    let today = installation.today();
    let mut vault = installation.vault().await?;
    let folder = &installation.folder;
    let mut enrolled = async |name: &str, kind| enrol(folder, &mut vault, name, kind, &[region], today).await;
    let bus = enrolled(BUS, BundleKind::Bus).await?;
    let clinic = enrolled(CLINIC, BundleKind::Clinic).await?;
    enrolled(DOOR, BundleKind::Door).await?;
    let counter = enrolled(COUNTER, BundleKind::Counter).await?;
    Ok(Terminals { bus, clinic, counter })
}
