//! The command line of `card-reader` (design, contracts).

use std::path::PathBuf;

use card_applet_spec::date::Date;
use clap::{Args, Parser, Subcommand};

/// 读卡终端 · Reads a permit card as a bus, a clinic, a door or a stranger would.
#[derive(Debug, Parser)]
#[command(name = "card-reader", version, about, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// 列出读卡器 · The readers, and what lies on them.
    List(Output),
    /// 陌生读卡器所见 · What any stranger's reader can see.
    Info(Reading),
    /// 公交闸机 · A bus gate: TRANSIT, fast door.
    Bus(Serving),
    /// 门禁 · A door: DOOR, fast door.
    Door(Serving),
    /// 诊所 · A clinic: CLINIC, strong door.
    Clinic(Serving),
    /// 查看结构与状态 · Structure and states of a card, no content.
    Inspect(Inspecting),
    /// 终端登记 · Makes this terminal's keys and prints the public request for the vault.
    Enrol(Enrolling),
}

/// Form of the result.
#[derive(Debug, Clone, Args)]
pub(crate) struct Output {
    /// Print one JSON object instead of prose.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which reader, when, and how long to wait.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reading {
    /// Full name of the reader; without it, the only one there is.
    #[arg(long, value_name = "NAME")]
    pub(crate) reader: Option<String>,
    /// The day on every clock: YYYY-MM-DD, or an RFC 3339 instant (its day in UTC+8). Default: today.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) at: Option<Date>,
    /// How long to wait for a card, milliseconds.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub(crate) timeout_ms: u64,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A terminal with keys.
#[derive(Debug, Clone, Args)]
pub(crate) struct Serving {
    /// The sealed bundle that the vault exported for this terminal.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: PathBuf,
    /// This terminal's key file [default: the bundle's name with `.key` behind it].
    #[arg(long, value_name = "FILE")]
    pub(crate) terminal_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// A terminal with or without keys.
#[derive(Debug, Clone, Args)]
pub(crate) struct Inspecting {
    /// A bundle with door-S certificates; without it, what a stranger sees.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// This terminal's key file [default: the bundle's name with `.key` behind it].
    #[arg(long, value_name = "FILE", requires = "bundle")]
    pub(crate) terminal_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// Enrolment.
#[derive(Debug, Clone, Args)]
pub(crate) struct Enrolling {
    /// Name of the terminal, 1 to 64 bytes.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: card_reader::TerminalName,
    /// The vault's anchors, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) anchors: PathBuf,
    /// The key file to make (mode 0600); never replaced.
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) output: Output,
}

impl Command {
    /// The word of the contracts.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "list",
            Self::Info(_) => "info",
            Self::Bus(_) => "bus",
            Self::Door(_) => "door",
            Self::Clinic(_) => "clinic",
            Self::Inspect(_) => "inspect",
            Self::Enrol(_) => "enrol",
        }
    }

    /// Whether the result is one JSON object.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::List(output) => output.json,
            Self::Info(reading) => reading.output.json,
            Self::Bus(serving) | Self::Door(serving) | Self::Clinic(serving) => serving.reading.output.json,
            Self::Inspect(inspecting) => inspecting.reading.output.json,
            Self::Enrol(enrolling) => enrolling.output.json,
        }
    }
}

/// `YYYY-MM-DD`, or an instant whose day in UTC+8 is meant.
fn day(text: &str) -> Result<Date, String> {
    if let Ok(date) = text.parse::<Date>() {
        return Ok(date);
    }
    text.parse::<jiff::Timestamp>()
        .ok()
        .and_then(day_of)
        .ok_or_else(|| "a day is YYYY-MM-DD, an instant is RFC 3339".to_owned())
}

/// The day of an instant in UTC+8, in which records and certificates count.
pub(crate) fn day_of(instant: jiff::Timestamp) -> Option<Date> {
    let civil = instant
        .to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)))
        .date();
    let part = |number: i8| u8::try_from(number).ok();
    Date::new(
        u16::try_from(civil.year()).ok()?,
        part(civil.month())?,
        part(civil.day())?,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_that_of_the_issuing_province() {
        assert_eq!(day("2026-11-21").unwrap().to_string(), "2026-11-21");
        assert_eq!(day("2026-11-21T15:59:59Z").unwrap().to_string(), "2026-11-21");
        assert_eq!(day("2026-11-21T16:00:00Z").unwrap().to_string(), "2026-11-22");
        assert!(day("21.11.2026").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_day_parser_panic(text: String, seconds: i64) {
            let _ = day(&text);
            if let Ok(instant) = jiff::Timestamp::from_second(seconds) {
                let _ = day_of(instant);
            }
        }

        #[test]
        fn every_day_is_read_as_it_is_written(year in 1_u16..=9999, month in 1_u8..=12, number in 1_u8..=31) {
            if let Ok(date) = Date::new(year, month, number) {
                proptest::prop_assert_eq!(day(&date.to_string()), Ok(date));
            }
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
