//! What the office, a bus, a clinic, a door and a stranger do with a card, each with what it saw.

use card_applet_spec::codes::{Rights, Role};
use card_reader::transport::Transport;
use card_reader::{Admission, Card, Terminal};
use keyvault_protocol::{BundleKind, CardResult, CardTask};
use rand_core::CryptoRng;

use crate::error::Error;
use crate::sample;
use crate::scratch_issuer::{Enrolled, ScratchIssuer};

/// The task that writes the sample.
///
/// # Errors
///
/// [`Error::Form`]: never.
pub fn personalise(rng: &mut impl CryptoRng) -> Result<CardTask, Error> {
    Ok(CardTask::Personalise(Box::new(sample::content(rng)?)))
}

/// The task that hands the sample over.
#[must_use]
pub fn activate() -> CardTask {
    CardTask::Activate { date: sample::TODAY }
}

/// Writes and hands over blank `number` of the lot, which lies on `transport`.
///
/// # Errors
///
/// As [`ScratchIssuer::write`].
pub fn issue(
    office: &mut ScratchIssuer,
    transport: &mut (impl Transport + ?Sized),
    number: u32,
) -> Result<CardResult, Error> {
    let serial = office.blank(number)?.serial.0;
    let task = personalise(office.rng())?;
    office.write(transport, number, serial, task)?;
    office.write(transport, number, serial, activate())
}

/// A bus or a door reads its record through door F.
///
/// # Errors
///
/// The terminal's refusal, or trouble with the reader.
pub fn tap(
    terminal: &mut Terminal,
    transport: &mut (impl Transport + ?Sized),
    role: Role,
    rng: &mut impl CryptoRng,
) -> Result<Admission, Error> {
    let card = Card::new(transport).reset()?.select()?;
    Ok(terminal.tap(card, role, sample::today()?, rng)?)
}

/// A clinic reads its record through door S.
///
/// # Errors
///
/// The terminal's refusal, or trouble with the reader.
pub fn clinic(
    terminal: &Enrolled,
    transport: &mut (impl Transport + ?Sized),
    rng: &mut impl CryptoRng,
) -> Result<Admission, Error> {
    let today = sample::today()?;
    let card = Card::new(transport)
        .reset()?
        .select()?
        .present(&terminal.bundle, today)?;
    let card = card.agree(Rights::role(Role::Clinic), &terminal.key, today, rng)?;
    let (_, admission) = card.read_entitlement(Role::Clinic, &terminal.bundle, today)?;
    Ok(admission.into_content())
}

/// The counter reads the permit block through door S and gives the permit id.
///
/// # Errors
///
/// The terminal's refusal, or trouble with the reader.
pub fn counter(
    terminal: &Enrolled,
    transport: &mut (impl Transport + ?Sized),
    rng: &mut impl CryptoRng,
) -> Result<Option<[u8; 16]>, Error> {
    let today = sample::today()?;
    let rights = Rights::IDENTITY.union(Rights::PORTRAIT).union(Rights::PERMIT);
    let card = Card::new(transport)
        .reset()?
        .select()?
        .present(&terminal.bundle, today)?;
    let (_, groups) = card
        .agree(rights, &terminal.key, today, rng)?
        .read_groups(rights)?;
    Ok(groups.content().dg3().map(|permit| permit.permit_id))
}

/// Everything that a reader without keys gets: the answers to SELECT, a TAP, a request for the serial and for status.
///
/// # Errors
///
/// Trouble with the reader.
pub fn stranger(transport: &mut (impl Transport + ?Sized)) -> Result<Vec<Vec<u8>>, Error> {
    let card = Card::new(transport).reset()?.select()?.into_transport();
    let tap = [&[0x80, 0x10, 0x01, 0x01, 0x10][..], &[0; 16], &[0x00]].concat();
    let select = [
        &[0x00, 0xA4, 0x04, 0x00, 0x07][..],
        &card_applet_spec::codes::AID,
        &[0x00],
    ]
    .concat();
    let get_serial = [0x80, 0xCA, 0x00, 0x45, 0x00];
    let get_status = [0x84, 0xF2, 0x00, 0x00, 0x00];
    let read_identity = [0x84, 0xB0, 0x01, 0x00, 0x00];
    let mut seen = Vec::new();
    for command in [
        &tap[..],
        &select,
        &get_serial,
        &select,
        &get_status,
        &select,
        &read_identity,
    ] {
        seen.push(card.transmit(command)?);
    }
    Ok(seen)
}

/// A bus and a clinic for the sample's region.
///
/// # Errors
///
/// The vault's refusal.
pub fn bus_and_clinic(office: &mut ScratchIssuer) -> Result<(Terminal, Enrolled), Error> {
    let bus = Terminal::new(office.enrol(BundleKind::Bus, "bus 1")?.bundle);
    let clinic = office.enrol(BundleKind::Clinic, "clinic 1")?;
    Ok((bus, clinic))
}
