//! The program `conformance`: runs the suite of the card specification on the card that lies on a reader and prints a table
//! by chapter. `conformance make-test-keys` makes the keys that it needs for the larger part.
//!
//! Nothing is written to a card without `--destructive` (or `YZT_ALLOW_WRITE=1`), and then only to a blank of the test lot
//! of the keys. `--in-process` runs it on the reference card, in this process, without a reader.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use card_applet_spec::crypto::PublicKey;
use card_reader::transport::{Connect, PcscTransport, Transport};
use clap::{Args, Parser, Subcommand};
use hardware_tests::conformance::{Case, Choice, Cutter, KeysError, Setup, TestKeys, cases, report, run};
use hardware_tests::rig::{self, WRITE_VARIABLE};
use jiff::civil;
use program_contract::language::Words;
use program_contract::{Clock, Failure, Outcome, Program, line};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use serde_json::{Value, json};

const PROGRAM: Program = Program::new("conformance");

/// How long a reader may take to see a card.
const WAIT: Duration = Duration::from_secs(3);
/// Answers that a statistical case looks at, unless told.
const SAMPLES: usize = 256;

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Conformance suite of the permit card, for the card on a reader",
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Task>,
    #[command(flatten)]
    run: RunArguments,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Make the keys of a test lot, and its lot file for the card maker
    MakeTestKeys(MakeArguments),
}

#[derive(Debug, Args)]
struct MakeArguments {
    /// New file for the test keys (mode 0600)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// File with the card maker's public key, 130 hex digits, to which a lot file is sealed
    #[arg(long, value_name = "FILE", requires = "lot_out")]
    maker: Option<PathBuf>,
    /// New file for the lot file
    #[arg(long, value_name = "FILE", requires = "maker")]
    lot_out: Option<PathBuf>,
    /// Blanks in the lot file
    #[arg(long, default_value_t = 20)]
    blanks: u32,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a command line, each read once"
)]
struct RunArguments {
    /// Full name of the reader; the only one without
    #[arg(long, env = "YZT_READER", conflicts_with = "in_process")]
    reader: Option<String>,
    /// The reference card in this process, a blank of the test lot
    #[arg(long)]
    in_process: bool,
    /// File of test keys
    #[arg(long)]
    test_keys: Option<PathBuf>,
    /// Cases of this chapter only; may be said again
    #[arg(long)]
    chapter: Vec<u8>,
    /// This case only; may be said again
    #[arg(long)]
    case: Vec<String>,
    /// Allow the blank to be written and used up
    #[arg(long)]
    destructive: bool,
    /// Program that cuts the card's power: called with `arm N` before a command and `restore` behind it
    #[arg(long)]
    cutter: Option<PathBuf>,
    /// Answers that a statistical case looks at
    #[arg(long, default_value_t = SAMPLES)]
    samples: usize,
    /// Writes of the wear case
    #[arg(long, default_value_t = 0)]
    wear: u32,
    /// Day of the run, YYYY-MM-DD; today (UTC+8) without
    #[arg(long)]
    at: Option<civil::Date>,
    /// List the cases and do nothing
    #[arg(long)]
    list: bool,
    /// With --list: the tables of docs/card-acceptance.md
    #[arg(long, requires = "list")]
    markdown: bool,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments: Arguments = match PROGRAM.arguments(report::SCHEMA) {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "main is where the machine's clock comes from"
    )]
    let clock = Clock::machine();
    match &arguments.command {
        Some(Task::MakeTestKeys(make)) => PROGRAM.end(
            "yzt.conformance_make_test_keys/1",
            make.json,
            make_test_keys(make),
        ),
        None => {
            let run = &arguments.run;
            PROGRAM.end(
                report::SCHEMA,
                run.json,
                conform(
                    run,
                    &run.at.map_or_else(|| clock.clone(), |day| clock.on_day(day)),
                ),
            )
        }
    }
}

fn system_random() -> Result<StdRng, Failure> {
    StdRng::try_from_rng(&mut SysRng)
        .map_err(|error| machine(format!("the system gives no randomness: {error}")))
}

program_contract::failures! {
    /// A fault of the machine.
    fn machine(why) = Damaged "MACHINE" {
        "本机或程序出错：{why}", "{why}";
        "这是本机或程序的缺陷，请上报。", "This is a fault of the machine or the program: report it.";
    }
    fn no_maker_key(path) = Usage "MAKER_KEY" {
        "{path} 不是 130 个十六进制数字的 P-256 公钥", "{path} is no public key of P-256 in 130 hex digits";
        "请给出载有制卡商公钥 04 || X || Y 的文件，即 `virtual-card maker-key` 的输出。",
        "Give a file with the point 04 || X || Y of the card maker's key: what `virtual-card maker-key` prints.";
    }
    fn no_such_case() = Usage "NO_SUCH_CASE" {
        "没有该章该号的用例", "no case has that chapter and number";
        "见 `conformance --list`。", "See `conformance --list`.";
    }
}

fn make_test_keys(arguments: &MakeArguments) -> Result<Outcome, Failure> {
    let mut rng = system_random()?;
    let maker = arguments.maker.as_deref().map(read_public_key).transpose()?;
    let keys = TestKeys::generate(&mut rng);
    keys.write_new(&arguments.out)?;
    if let (Some(maker), Some(out)) = (&maker, &arguments.lot_out) {
        keys.write_lot(arguments.blanks, maker, out, &mut rng)?;
    }
    let (first, last) = (keys.serial(1), keys.serial(arguments.blanks));
    let fields = json!({
        "keys": arguments.out.display().to_string(),
        "lot_file": arguments.lot_out.as_ref().map(|path| path.display().to_string()),
        "card_ca": keys.card_ca_public(),
        "first_serial": first.to_string(),
        "last_serial": last.to_string(),
    });
    let mut lines = vec![
        line!(Words("测试密钥", "test keys"), ": ", arguments.out.display()),
        line!(Words("卡证书机构", "card CA"), ": ", keys.card_ca_public()),
        line!(
            Words("序列号", "serials"),
            ": ",
            first.to_string(),
            " – ",
            last.to_string()
        ),
    ];
    if let Some(lot) = &arguments.lot_out {
        lines.push(line!(Words("批次文件", "lot file"), ": ", lot.display()));
    }
    Outcome::done("yzt.conformance_make_test_keys/1", &fields, lines)
}

fn read_public_key(path: &Path) -> Result<PublicKey, Failure> {
    let text = program_contract::file::read_text(path, 1 << 16).map_err(|source| KeysError::File {
        path: path.to_owned(),
        source,
    })?;
    hex::decode(text.trim())
        .ok()
        .and_then(|point| PublicKey::from_point65(&point.try_into().ok()?).ok())
        .ok_or_else(|| no_maker_key(path.display()))
}

fn list(arguments: &RunArguments) -> Result<Outcome, Failure> {
    let all: Vec<Value> = cases()
        .iter()
        .map(|case| {
            json!({
                "case": case.number,
                "chapter": case.chapter(),
                "class": case.class.letter().to_string(),
                "reference": case.reference,
                "sentence": case.sentence,
            })
        })
        .collect();
    let lines = if arguments.markdown {
        report::markdown().lines().map(|text| line!(text)).collect()
    } else {
        cases().iter().map(|case| line!(report::line(case))).collect()
    };
    Outcome::done("yzt.conformance_list/1", &json!({ "cases": all }), lines)
}

fn conform(arguments: &RunArguments, clock: &Clock) -> Result<Outcome, Failure> {
    if arguments.list {
        return list(arguments);
    }
    let choice = Choice {
        chapters: arguments.chapter.clone(),
        cases: arguments.case.clone(),
        destructive: arguments.destructive
            || arguments.in_process
            || std::env::var(WRITE_VARIABLE).is_ok_and(|word| word == "1"),
    };
    if !cases().iter().any(|case| choice.takes(case)) {
        return Err(no_such_case());
    }
    let mut rng = system_random()?;
    let keys = match &arguments.test_keys {
        Some(path) => Some(TestKeys::read(path)?),
        None if arguments.in_process => Some(TestKeys::generate(&mut rng)),
        None => None,
    };
    if let (true, Some(keys)) = (arguments.in_process, &keys) {
        let (mut card, mut cutter) =
            rig::test_blank(keys, 1, &mut rng).map_err(|error| machine(error.to_string()))?;
        return play(
            arguments,
            clock,
            &choice,
            &mut card,
            Some(keys),
            Some(&mut cutter),
            rng,
        );
    }
    let mut card = PcscTransport::connect(&Connect {
        reader: arguments.reader.clone(),
        wait: WAIT,
    })?;
    if choice.destructive && keys.is_some() {
        program_contract::tell!("conformance: ", used_up(format!("{:?}", card.name())));
    }
    let mut cutter = arguments.cutter.as_deref().map(ProgramCutter);
    let cutter = cutter.as_mut().map(|cutter| cutter as &mut dyn Cutter);
    play(arguments, clock, &choice, &mut card, keys.as_ref(), cutter, rng)
}

fn play(
    arguments: &RunArguments,
    clock: &Clock,
    choice: &Choice,
    card: &mut dyn Transport,
    keys: Option<&TestKeys>,
    cutter: Option<&mut dyn Cutter>,
    rng: StdRng,
) -> Result<Outcome, Failure> {
    let begin = Instant::now();
    let watch = move || u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let setup = Setup {
        transport: card,
        keys,
        rng,
        watch: &watch,
        // Inside an Option a borrow is not shortened by itself.
        cutter: match cutter {
            Some(cutter) => Some(cutter),
            None => None,
        },
        today: clock.today(),
        samples: arguments.samples,
        wear: arguments.wear,
    };
    let mut progress = |case: &Case| program_contract::tell!(case.number, " ", case.sentence);
    let report = run(setup, choice, &mut progress)?;
    report::outcome(&report)
}

program_contract::sentences! {
    fn used_up(card) =
        "{card} 上的卡若是测试批次的空白卡，将被用尽：个人化、改写、扣款、锁定，最后终止（TERMINATED）。其他卡不会写入。",
        "the card on {card} is used up if it is a blank of the test lot: it is personalised, rewritten, debited, blocked, and TERMINATED at the end. Any other card is not written.";
    fn no_power(program) = "{program} 没有恢复供电", "{program} did not bring the power back";
}

/// A rig that another program drives.
struct ProgramCutter<'a>(&'a Path);

impl ProgramCutter<'_> {
    fn says_yes(&self, arguments: &[&str]) -> bool {
        Command::new(self.0)
            .args(arguments)
            .status()
            .is_ok_and(|status| status.success())
    }
}

impl Cutter for ProgramCutter<'_> {
    fn arm(&mut self, step: u32) -> bool {
        self.says_yes(&["arm", &step.to_string()])
    }

    fn restore(&mut self) {
        if !self.says_yes(&["restore"]) {
            program_contract::tell!("conformance: ", no_power(self.0.display()));
        }
    }
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
