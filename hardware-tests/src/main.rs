//! The program `hardware-tests`: issues the sample on a reader and reads it as a stranger, a bus and a clinic.
//!
//! Without `--reader` it brings a virtual reader of its own. With `--reader` it uses a physical one and writes the card on
//! it only with `--allow-write`. The vault is a rehearsal founded from a seed that stands in this file, so that a physical
//! blank can be loaded with the transport keys that `--show-blank` prints. They protect nothing: only cards for tests.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use card_applet_spec::codes::Role;
use card_reader::transport::Transport;
use card_reader::{Card, Counting};
use clap::Parser;
use hardware_tests::installation::REHEARSAL;
use hardware_tests::{Error, Installation, Rig, scene};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use virtual_card::hex;
use virtual_card::pcscd::{Options, Program, client_program};

/// Exit code: refused by a check (contracts of the command line).
const REFUSED: u8 = 1;
/// Exit code: device or service absent.
const ABSENT: u8 = 3;

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Issue and read a card over PC/SC, on a virtual or a physical reader"
)]
struct Arguments {
    /// Full name of a physical reader; without one a virtual reader is started
    #[arg(long, env = "YZT_READER")]
    reader: Option<String>,
    /// Allow the card on the physical reader to be written
    #[arg(long)]
    allow_write: bool,
    /// Which blank of the rehearsal lot lies on the reader
    #[arg(long, default_value_t = 1)]
    number: u32,
    /// Print serial and transport keys of that blank, for loading a physical one, and do nothing else
    #[arg(long)]
    show_blank: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hardware-tests: {error:#}");
            let refused = matches!(
                error.downcast_ref(),
                Some(Error::WriteNotAllowed { .. } | Error::NotABlank | Error::Card(_))
            );
            ExitCode::from(if refused { REFUSED } else { ABSENT })
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.show_blank {
        let folder = tempfile::tempdir()?;
        let blank = Installation::found(&folder.path().join("vault"), REHEARSAL)?.blank(arguments.number)?;
        println!("serial {}", blank.serial);
        for (name, key) in [
            ("ENC", &blank.keys.enc),
            ("MAC", &blank.keys.mac),
            ("DEK", &blank.keys.dek),
        ] {
            println!("{name}    {}", hex::encode(key.expose()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(reader) = &arguments.reader {
        return play(&Rig::of_physical(reader, arguments.allow_write), arguments.number);
    }
    match client_program(&Options::default())? {
        Program::Client(folder) => play(&Rig::of_private(&folder), arguments.number),
        Program::Ended(status) => Ok(status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from)),
    }
}

fn play(rig: &Rig, number: u32) -> Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let mut office = Installation::found(&folder.path().join("vault"), REHEARSAL)?;
    // The random source of the terminals; that of the vault is the rehearsal's.
    let mut rng = StdRng::try_from_rng(&mut SysRng)
        .map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    let blank = office.blank(number)?;
    rig.lay_blank(&blank, &mut rng)?;
    let begin = std::time::Instant::now();
    let watch = move || u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut card = Counting::new(rig.connect()?, watch);
    println!("reader    {}", card.name());
    let info = *Card::new(&mut card).reset()?.select()?.info();
    println!("card info {info:?}");

    let issued = scene::issue(&mut office, &mut card, number)?;
    println!("office    {:?}, {} steps", issued.state, issued.steps);
    for (at, answer) in scene::stranger(&mut card)?.iter().enumerate() {
        println!(
            "stranger  answer {at}: {} bytes, status {}",
            answer.len(),
            hex::encode(status_of(answer))
        );
    }
    let (mut bus, clinic) = scene::bus_and_clinic(&mut office)?;
    println!(
        "bus       {:?}",
        scene::tap(&mut bus, &mut card, Role::Transit, &mut rng)?
    );
    println!("clinic    {:?}", scene::clinic(&clinic, &mut card, &mut rng)?);
    let counts = card.counts();
    println!(
        "wire      {} commands, {} bytes sent, {} received, {} ms",
        counts.apdus,
        counts.bytes_sent,
        counts.bytes_received,
        counts.nanoseconds / 1_000_000
    );
    Ok(ExitCode::SUCCESS)
}

fn status_of(answer: &[u8]) -> &[u8] {
    answer.last_chunk::<2>().map_or(answer, |status| status)
}
