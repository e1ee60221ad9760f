//! The command line of `card-reader` (design, contracts).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::civil;
use program_contract::day;
use program_contract::language::Words;

use program_contract::money::Fen;

/// 读卡终端 · Reads a permit card as a bus, a clinic, a shop, a door or a stranger would.
#[derive(Debug, Parser)]
#[command(
    name = "card-reader",
    version,
    about = "终端：读卡、收款，与发证机关交换文件 · A terminal: reads cards, takes payments, exchanges files with the office",
    max_term_width = 110
)]
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
    /// 社会保障窗口 · A social-insurance desk: `SOCIAL_INSURANCE`, strong door.
    Insurance(Serving),
    /// 查验身份 · Identity and portrait, only where the terminal's certificate has these rights.
    Identity(Identifying),
    /// 商店 · One payment: `SMALL_PAYMENT`.
    Shop(Shopping),
    /// 连续运行 · Runs continuously, full screen or as JSON lines.
    Run(Running),
    /// 查看结构与状态 · Structure and states of a card, no content.
    Inspect(Inspecting),
    /// 终端登记 · Makes this terminal's keys and prints the public request for the vault.
    Enrol(Enrolling),
    /// 交换文件 · Takes bundles, lists and updates from a folder and puts receipts, counts and settlements into one.
    Sync(Syncing),
    /// 自检 · Checks keys, bundle, lists, clock, reader, cryptography and disk.
    SelfTest(Testing),
    /// 若终端失窃 · What whoever holds this terminal can do with it, and until when.
    WhatCanItDo(Holding),
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
    /// Full name of the reader; without it, that of the configuration, or the one that a card lies on.
    #[arg(long, value_name = "NAME")]
    pub(crate) reader: Option<String>,
    /// The day on every clock: YYYY-MM-DD, or an RFC 3339 instant (its day in UTC+8). Default: today.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) at: Option<civil::Date>,
    /// How long to wait for a card, milliseconds.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub(crate) timeout_ms: u64,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Where a terminal's keys and bundle are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Material {
    /// The terminal's configuration file; its folder holds bundle, lists, updates and counts.
    #[arg(long, value_name = "FILE", required_unless_present = "bundle")]
    pub(crate) config: Option<PathBuf>,
    /// The sealed bundle that the vault exported for this terminal, without a configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub(crate) bundle: Option<PathBuf>,
    /// This terminal's key file [default: the bundle's name with `.key` behind it].
    #[arg(long, value_name = "FILE", requires = "bundle")]
    pub(crate) terminal_key: Option<PathBuf>,
    /// A published rule set (TOML), for the names of services; with --config its key `rules` says it.
    #[arg(long, value_name = "FILE", requires = "bundle")]
    pub(crate) rules: Vec<PathBuf>,
}

/// Tapes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Taping {
    /// Write every command and answer to a new file (cipher text only; see the README before keeping one).
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

/// A terminal with keys.
#[derive(Debug, Clone, Args)]
pub(crate) struct Serving {
    #[command(flatten)]
    pub(crate) material: Material,
    /// Refuse a card whose answer to TAP takes longer, milliseconds: a hint of a relay.
    #[arg(long, value_name = "N")]
    pub(crate) tap_limit_ms: Option<u64>,
    #[command(flatten)]
    pub(crate) taping: Taping,
    /// Judge a recorded tap again instead of a card (fast door only). Never open a door with it.
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    pub(crate) replay: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// How a portrait is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Picture {
    /// Kitty or sixel graphics where the environment says that the terminal has them, else not.
    Auto,
    /// Kitty graphics protocol.
    Kitty,
    /// Sixel graphics.
    Sixel,
    /// Not on the screen.
    None,
}

/// Identity.
#[derive(Debug, Clone, Args)]
pub(crate) struct Identifying {
    #[command(flatten)]
    pub(crate) material: Material,
    /// Write the portrait to a new file (mode 0600); never replaced.
    #[arg(long, value_name = "FILE")]
    pub(crate) portrait: Option<PathBuf>,
    /// Show the portrait in the terminal window.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) show: Picture,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// One payment.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["amount", "again", "give_up"]))]
pub(crate) struct Shopping {
    /// The terminal's configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Amount in yuan, for example 12.50.
    #[arg(long, value_name = "YUAN")]
    pub(crate) amount: Option<Fen>,
    /// Go on with the purchase whose outcome is unknown: the same card lies there again.
    #[arg(long)]
    pub(crate) again: bool,
    /// Give the open purchase up: no goods; the settlement decides about the money.
    #[arg(long)]
    pub(crate) give_up: bool,
    #[command(flatten)]
    pub(crate) taping: Taping,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What a running terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// 公交闸机 · A bus gate.
    Bus,
    /// 门禁 · A door.
    Door,
    /// 诊所 · A clinic.
    Clinic,
    /// 社会保障窗口 · A social-insurance desk.
    Insurance,
    /// 商店 · A shop.
    Shop,
}

/// A terminal that runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct Running {
    /// What this terminal is.
    #[arg(value_enum)]
    pub(crate) service: Service,
    /// The terminal's configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// One JSON object for each card on standard output, and no screen. A shop reads amounts in yuan from standard input, one
    /// a line, that wait in their order; `cancel` takes back what waits, `give-up` gives an open purchase up.
    #[arg(long)]
    pub(crate) json_lines: bool,
    /// Name of the reader; without it, that of the configuration, or the one that a card lies on.
    #[arg(long, value_name = "NAME")]
    pub(crate) reader: Option<String>,
    /// The day on every clock: YYYY-MM-DD, or an RFC 3339 instant (its day in UTC+8). Default: today.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) at: Option<civil::Date>,
    /// End after so many cards.
    #[arg(long, value_name = "N")]
    pub(crate) cards: Option<u32>,
    #[command(flatten)]
    pub(crate) taping: Taping,
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
    /// The day on every clock, as in every command. No key depends on it.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) at: Option<civil::Date>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Files in and out.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("way").required(true).multiple(true).args(["from", "to"]))]
pub(crate) struct Syncing {
    /// The terminal's configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Folder with bundles (YZTB), list files and update batches (YZTU) from the office; others are left alone.
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    /// Folder for receipts, counts and settlement files.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// The day on every clock.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) at: Option<civil::Date>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Self-test.
#[derive(Debug, Clone, Args)]
pub(crate) struct Testing {
    /// The terminal's configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The day on every clock.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) at: Option<civil::Date>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A terminal in somebody's hands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Holding {
    #[command(flatten)]
    pub(crate) material: Material,
    /// The day on every clock.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) at: Option<civil::Date>,
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
            Self::Insurance(_) => "insurance",
            Self::Identity(_) => "identity",
            Self::Shop(_) => "shop",
            Self::Run(_) => "run",
            Self::Inspect(_) => "inspect",
            Self::Enrol(_) => "enrol",
            Self::Sync(_) => "sync",
            Self::SelfTest(_) => "self-test",
            Self::WhatCanItDo(_) => "what-can-it-do",
        }
    }

    /// Whether the result is one JSON object.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::List(output) => output.json,
            Self::Info(reading) => reading.output.json,
            Self::Bus(serving) | Self::Door(serving) | Self::Clinic(serving) | Self::Insurance(serving) => {
                serving.reading.output.json
            }
            Self::Identity(identifying) => identifying.reading.output.json,
            Self::Shop(shopping) => shopping.reading.output.json,
            Self::Run(running) => running.json_lines,
            Self::Inspect(inspecting) => inspecting.reading.output.json,
            Self::Enrol(enrolling) => enrolling.output.json,
            Self::Sync(syncing) => syncing.output.json,
            Self::SelfTest(testing) => testing.output.json,
            Self::WhatCanItDo(holding) => holding.output.json,
        }
    }
}

impl Command {
    /// The day that was given for every clock.
    pub(crate) fn at(&self) -> Option<civil::Date> {
        match self {
            Self::List(_) => None,
            Self::Info(reading) => reading.at,
            Self::Bus(serving) | Self::Door(serving) | Self::Clinic(serving) | Self::Insurance(serving) => {
                serving.reading.at
            }
            Self::Identity(identifying) => identifying.reading.at,
            Self::Shop(shopping) => shopping.reading.at,
            Self::Run(running) => running.at,
            Self::Inspect(inspecting) => inspecting.reading.at,
            Self::Enrol(enrolling) => enrolling.at,
            Self::Sync(syncing) => syncing.at,
            Self::SelfTest(testing) => testing.at,
            Self::WhatCanItDo(holding) => holding.at,
        }
    }
}

impl Service {
    /// The word of the contracts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bus => "bus",
            Self::Door => "door",
            Self::Clinic => "clinic",
            Self::Insurance => "insurance",
            Self::Shop => "shop",
        }
    }
}

/// `YYYY-MM-DD`, or an instant whose day in UTC+8 is meant, in which records and certificates count.
fn day(text: &str) -> Result<civil::Date, Words> {
    let instant = || text.parse::<jiff::Timestamp>().ok().map(day::of);
    text.parse()
        .ok()
        .and_then(day::from_card)
        .or_else(instant)
        .filter(|date| day::to_card(*date).is_some())
        .ok_or(Words(
            "日期写作 YYYY-MM-DD，时刻按 RFC 3339",
            "a day is YYYY-MM-DD, an instant is RFC 3339",
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_written_down_exists() {
        let program = program_contract::Program::new("card-reader");
        let held = program_contract::documents::hold::<Cli>(program, env!("CARGO_MANIFEST_DIR"));
        assert_eq!(held, Ok(()));
    }

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
                let _ = day(&instant.to_string());
            }
        }

        #[test]
        fn every_day_is_read_as_it_is_written(year in 1_u16..=9999, month in 1_u8..=12, number in 1_u8..=31) {
            if let Ok(date) = card_applet_spec::date::Date::new(year, month, number) {
                proptest::prop_assert_eq!(day(&date.to_string()).ok().and_then(day::to_card), Some(date));
            }
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
