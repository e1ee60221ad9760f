//! Who sees what of the finished card: the terminals are enrolled, then the office, a bus, a clinic and a stranger read
//! it, each over a connection of its own.

use card_applet_spec::codes::Role;
use card_reader::Terminal as DoorF;
use issuer_office::card_content::CardContent;
use issuer_office::error::OfficeError;
use keyvault_protocol::{BundleKind, Region};
use permit_domain::{CardSerial, Order};
use program_contract::Failure;
use program_contract::language::Words;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::installation::Installation;
use crate::reads::Read;
use crate::report::Steps;
use crate::terminals::{BUS, CLINIC, COUNTER, DOOR, Terminal, card_date, enrol};
use crate::{failure, reads, stranger};

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
        Words(
            "登记公交、诊所、门禁和柜台终端，密封凭证包",
            "enrol bus, clinic, door and counter; seal their bundles",
        ),
        Words("密钥管理员", "key officer"),
    );
    let enrolled = terminals(installation, region).await;
    let Terminals { bus, clinic, counter } = steps.end(enrolling, enrolled)?;

    let day = card_date(installation.today())?;
    let mut random = StdRng::from_rng(&mut installation.random);
    let reading = steps.begin(
        Words(
            "办证大厅读卡（强认证门，全部权限）",
            "read the card at the office (door S, all rights)",
        ),
        Words("终端 counter-2", "terminal counter-2"),
    );
    let office = reads::office(installation.connect(serial)?, &counter, day, &mut random);
    let office = steps.end(reading, office)?;

    let reading = steps.begin(
        Words("公交刷卡（快速门）", "tap at a bus (door F)"),
        Words("终端 bus-m204", "terminal bus-m204"),
    );
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
        Words(
            "诊所读卡（强认证门，仅医疗权限）",
            "read at a clinic (door S, CLINIC alone)",
        ),
        Words("终端 clinic-nanshan", "terminal clinic-nanshan"),
    );
    let clinic = reads::strong(
        installation.connect(serial)?,
        &clinic,
        Role::Clinic,
        day,
        &mut random,
    );
    let clinic = steps.end(reading, clinic)?;

    let reading = steps.begin(
        Words(
            "以自备读卡器和密钥尝试",
            "try with a reader and keys of one's own",
        ),
        Words("陌生人", "a stranger"),
    );
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
            (Words("办证大厅", "the office"), &self.office, "accepted"),
            (Words("公交", "the bus"), &self.bus, "accepted"),
            (Words("诊所", "the clinic"), &self.clinic, "accepted"),
            (Words("陌生人", "the stranger"), &self.stranger, "refused"),
        ];
        match expected
            .into_iter()
            .find(|(_, read, expected)| read.decision != *expected)
        {
            None => Ok(()),
            Some((who, read, _)) => {
                let decision = match read.decision {
                    "accepted" => Words("通过", "accepted"),
                    _ => Words("拒绝", "refused"),
                };
                let reason = read.reason.map_or_else(
                    || (String::from("未说明原因"), String::from("no reason")),
                    |reason| (reason.to_owned(), reason.to_owned()),
                );
                Err(failure::unexpected_decision(who, decision, reason))
            }
        }
    }
}

/// Enrols every terminal for a region, or gives the enrolled ones new bundles.
async fn terminals(installation: &Installation, region: Region) -> Result<Terminals, Failure> {
    let mut vault = installation.vault().await?;
    let mut enrolled = async |name: &str, kind| enrol(installation, &mut vault, name, kind, &[region]).await;
    let bus = enrolled(BUS, BundleKind::Bus).await?;
    let clinic = enrolled(CLINIC, BundleKind::Clinic).await?;
    enrolled(DOOR, BundleKind::Door).await?;
    let counter = enrolled(COUNTER, BundleKind::Counter).await?;
    Ok(Terminals { bus, clinic, counter })
}
