//! The program `hardware-tests`: issues the sample on a reader and reads it as a stranger, a bus and a clinic.
//!
//! Without `--reader` it brings a virtual reader of its own. With `--reader` it uses a physical one and writes the card on
//! it only with `--allow-write`. The vault is a rehearsal founded from a seed that stands in this file, so that a physical
//! blank can be loaded with the transport keys that `--show-blank` prints. They protect nothing: only cards for tests.

use std::process::ExitCode;

use card_applet_spec::codes::Role;
use card_reader::transport::Transport;
use card_reader::{Card, Counting};
use clap::Parser;
use hardware_tests::scratch_issuer::REHEARSAL;
use hardware_tests::{Rig, ScratchIssuer, scenario};
use program_contract::language::Words;
use program_contract::{Failure, Outcome, Program, line};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use serde_json::json;
use tempfile::TempDir;
use virtual_card::pcscd::{Options, Program as ClientProgram, client_program};

const PROGRAM: Program = Program::new("hardware-tests");
/// Schema of the object of a failure.
const SCHEMA: &str = "yzt.hardware-tests/1";

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
    let arguments: Arguments = match PROGRAM.arguments(SCHEMA) {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    match run(&arguments) {
        Ok(Ended::With(exit)) => exit,
        Ok(Ended::Said(lines)) => {
            let lines = lines.iter().map(|text| line!(text)).collect();
            let outcome = Outcome::done(SCHEMA, &json!({}), lines);
            PROGRAM.end(SCHEMA, false, outcome)
        }
        Err(failure) => PROGRAM.end(SCHEMA, false, Err(failure)),
    }
}

/// How it ends that did not fail.
enum Ended {
    Said(Vec<String>),
    /// As the client process that did it.
    With(ExitCode),
}

fn folder() -> Result<TempDir, Failure> {
    tempfile::tempdir().map_err(|error| Failure::file(Words("建立", "make"), &std::env::temp_dir(), &error))
}

fn run(arguments: &Arguments) -> Result<Ended, Failure> {
    if arguments.show_blank {
        let folder = folder()?;
        let blank = ScratchIssuer::found(&folder.path().join("vault"), REHEARSAL)?.blank(arguments.number)?;
        let mut lines = vec![format!("serial {}", blank.serial)];
        for (name, key) in [
            ("ENC", &blank.keys.enc),
            ("MAC", &blank.keys.mac),
            ("DEK", &blank.keys.dek),
        ] {
            lines.push(format!("{name}    {}", hex::encode(key.expose())));
        }
        return Ok(Ended::Said(lines));
    }
    if let Some(reader) = &arguments.reader {
        return play(&Rig::of_physical(reader, arguments.allow_write), arguments.number).map(Ended::Said);
    }
    match client_program(&Options::default())? {
        ClientProgram::Client(folder) => play(&Rig::of_private(&folder), arguments.number).map(Ended::Said),
        ClientProgram::Ended(status) => Ok(Ended::With(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .map_or(ExitCode::FAILURE, ExitCode::from),
        )),
    }
}

fn play(rig: &Rig, number: u32) -> Result<Vec<String>, Failure> {
    let folder = folder()?;
    let mut issuer = ScratchIssuer::found(&folder.path().join("vault"), REHEARSAL)?;
    // The random source of the terminals; that of the vault is the rehearsal's.
    let mut rng = StdRng::try_from_rng(&mut SysRng).map_err(|error| {
        Failure::internal((
            format!("系统没有给出随机数：{error}"),
            format!("the system gives no randomness: {error}"),
        ))
    })?;
    let blank = issuer.blank(number)?;
    rig.lay_blank(&blank, &mut rng)?;
    let begin = std::time::Instant::now();
    let watch = move || u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut card = Counting::new(rig.connect()?, watch);
    let mut lines = vec![format!("reader    {}", card.name())];
    let info = *Card::new(&mut card).reset()?.select()?.info();
    lines.push(format!("card info {info:?}"));

    let written = scenario::issue(&mut issuer, &mut card, number)?;
    lines.push(format!("office    {:?}, {} steps", written.state, written.steps));
    for (at, answer) in scenario::stranger(&mut card)?.iter().enumerate() {
        lines.push(format!(
            "stranger  answer {at}: {} bytes, status {}",
            answer.len(),
            hex::encode(status_of(answer))
        ));
    }
    let (mut bus, clinic) = scenario::bus_and_clinic(&mut issuer)?;
    lines.push(format!(
        "bus       {:?}",
        scenario::tap(&mut bus, &mut card, Role::Transit, &mut rng)?
    ));
    lines.push(format!(
        "clinic    {:?}",
        scenario::clinic(&clinic, &mut card, &mut rng)?
    ));
    let counts = card.counts();
    lines.push(format!(
        "wire      {} commands, {} bytes sent, {} received, {} ms",
        counts.apdus,
        counts.bytes_sent,
        counts.bytes_received,
        counts.nanoseconds / 1_000_000
    ));
    Ok(lines)
}

fn status_of(answer: &[u8]) -> &[u8] {
    answer.last_chunk::<2>().map_or(answer, |status| status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_written_down_exists() {
        let held = program_contract::documents::hold::<Arguments>(PROGRAM, env!("CARGO_MANIFEST_DIR"));
        assert_eq!(held, Ok(()));
    }
}
