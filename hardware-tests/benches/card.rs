//! What a card costs: commands, bytes and wall time of a personalisation, a TAP and door S, over PC/SC through the private
//! virtual reader and in process; and one command alone. Warm: each figure is the median of many, after one for nothing.

#![allow(clippy::print_stdout, reason = "the figures are the product")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use card_applet_spec::codes::Role;
use card_reader::transport::Transport;
use card_reader::{Counting, Counts};
use hardware_tests::scratch_issuer::REHEARSAL;
use hardware_tests::{Rig, ScratchIssuer, scenario};
use rand::SeedableRng;
use rand::rngs::StdRng;
use virtual_card::pcscd::{Options, Program, client_program};
use virtual_card::{Card, CardMemory, CardRandom, InProcess};

/// Cards written per place; each needs a blank of its own.
const CARDS: u32 = 9;
/// Readings of one card.
const READS: usize = 200;
/// Single commands.
const COMMANDS: u32 = 5000;

const SELECT: [u8; 13] = [
    0x00, 0xA4, 0x04, 0x00, 0x07, 0xF0, 0x59, 0x5A, 0x54, 0x52, 0x50, 0x01, 0x00,
];

fn main() -> Result<ExitCode> {
    match client_program(&Options::default())? {
        Program::Ended(status) => Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }),
        Program::Client(folder) => {
            let rig = Rig::of_private(&folder);
            let vault = tempfile::tempdir()?;
            let mut office = ScratchIssuer::found(&vault.path().join("vault"), REHEARSAL)?;
            println!("place       step           APDUs   sent   received  total ms   card ms");
            let mut number = 0;
            measure(&mut office, "PC/SC", &mut number, |blank| {
                rig.lay_blank(blank, &mut StdRng::from_seed([1; 32]))?;
                Ok(rig.connect()?)
            })?;
            measure(&mut office, "in process", &mut number, |blank| {
                let memory = CardMemory::ram(card_applet::MEMORY_LEN);
                let mut rng = StdRng::from_seed([1; 32]);
                virtual_card::blank::manufacture(&memory, blank, &mut rng)?;
                Ok(InProcess::with(Card::new(
                    memory,
                    CardRandom::from_source(&mut rng),
                )))
            })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// One step: what went over the wire, and how long it took with everything around it.
struct Figure {
    counts: Counts,
    total: Duration,
}

fn measure<T: Transport>(
    office: &mut ScratchIssuer,
    place: &str,
    number: &mut u32,
    mut lay: impl FnMut(&virtual_card::blank::Blank) -> Result<T>,
) -> Result<()> {
    let mut writes = Vec::new();
    let mut last = None;
    for _ in 0..=CARDS {
        *number += 1;
        // The reader is held by one connection at a time.
        drop(last.take());
        let blank = office.blank(*number)?;
        let mut card = lay(&blank)?;
        let task = scenario::personalise(office.rng())?;
        writes.push(timed(&mut card, |card| {
            Ok(office.write(card, *number, blank.serial.0, task).map(|_| ())?)
        })?);
        office.write(&mut card, *number, blank.serial.0, scenario::activate())?;
        last = Some(card);
    }
    let mut card = last.context("at least one card was written")?;
    let (mut bus, clinic) = scenario::bus_and_clinic(office)?;
    let mut rng = StdRng::from_seed([2; 32]);
    let taps = repeat(&mut card, |card| {
        Ok(scenario::tap(&mut bus, card, Role::Transit, &mut rng).map(|_| ())?)
    })?;
    let mut rng = StdRng::from_seed([3; 32]);
    let visits = repeat(&mut card, |card| {
        Ok(scenario::clinic(&clinic, card, &mut rng).map(|_| ())?)
    })?;
    print(place, "personalise", writes);
    print(place, "TAP", taps);
    print(place, "door S clinic", visits);
    card.reset()?;
    card.transmit(&SELECT)?;
    let begin = Instant::now();
    for _ in 0..COMMANDS {
        card.transmit(&SELECT)?;
    }
    let each = begin.elapsed() / COMMANDS;
    println!(
        "{place:<12}one command, mean of {COMMANDS}: {:.1} microseconds",
        each.as_secs_f64() * 1e6
    );
    Ok(())
}

fn repeat<T: Transport>(
    card: &mut T,
    mut step: impl FnMut(&mut dyn Transport) -> Result<()>,
) -> Result<Vec<Figure>> {
    (0..=READS).map(|_| timed(card, &mut step)).collect()
}

fn timed<T: Transport>(card: &mut T, step: impl FnOnce(&mut dyn Transport) -> Result<()>) -> Result<Figure> {
    let begin = Instant::now();
    let watch = move || u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut counting = Counting::new(card, watch);
    step(&mut counting)?;
    Ok(Figure {
        counts: counting.counts(),
        total: begin.elapsed(),
    })
}

/// The median by total time; the first, cold one is left out.
fn print(place: &str, step: &str, figures: Vec<Figure>) {
    let mut warm: Vec<Figure> = figures.into_iter().skip(1).collect();
    warm.sort_by_key(|figure| figure.total);
    let middle = warm.len() / 2;
    if let Some(Figure { counts, total }) = warm.into_iter().nth(middle) {
        let milliseconds = |nanoseconds: f64| nanoseconds / 1e6;
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of less than a month")]
        let card = milliseconds(counts.nanoseconds as f64);
        println!(
            "{place:<12}{step:<15}{:>5}{:>7}{:>11}{:>10.2}{card:>10.2}",
            counts.apdus,
            counts.bytes_sent,
            counts.bytes_received,
            total.as_secs_f64() * 1e3,
        );
    }
}
