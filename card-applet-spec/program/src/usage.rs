//! What a person is told whose arguments were not understood, in Chinese; the English is that of the command line parser.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::language::Words;

/// What is wrong with the arguments, one sentence without its full stop.
pub(crate) fn chinese(error: &clap::Error) -> String {
    let get = |kind| error.get(kind).map(text).unwrap_or_default();
    let argument = get(ContextKind::InvalidArg);
    let value = get(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => {
            format!(
                "参数 {argument} 缺少取值{}",
                allowed(&get(ContextKind::ValidValue))
            )
        }
        ErrorKind::InvalidValue => {
            format!(
                "参数 {argument} 不能取“{value}”{}",
                allowed(&get(ContextKind::ValidValue))
            )
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(|source| match source.downcast_ref::<Words>() {
                Some(words) => format!("：{}", words.0),
                None => format!("：{source}"),
            });
            format!("参数 {argument} 的取值“{value}”无效{}", why.unwrap_or_default())
        }
        ErrorKind::UnknownArgument => {
            format!("没有参数 {argument}{}", meant(&get(ContextKind::SuggestedArg)))
        }
        ErrorKind::InvalidSubcommand => format!(
            "没有命令“{}”{}",
            get(ContextKind::InvalidSubcommand),
            meant(&get(ContextKind::SuggestedSubcommand))
        ),
        ErrorKind::NoEquals => format!("参数 {argument} 与取值之间须写等号"),
        ErrorKind::TooManyValues => format!("参数 {argument} 多出取值“{value}”"),
        ErrorKind::TooFewValues => format!(
            "参数 {argument} 至少要 {} 个取值，只给了 {} 个",
            get(ContextKind::MinValues),
            get(ContextKind::ActualNumValues)
        ),
        ErrorKind::WrongNumberOfValues => format!(
            "参数 {argument} 要 {} 个取值，给了 {} 个",
            get(ContextKind::ExpectedNumValues),
            get(ContextKind::ActualNumValues)
        ),
        ErrorKind::ArgumentConflict => {
            let prior = get(ContextKind::PriorArg);
            if prior == argument {
                format!("参数 {argument} 只能给一次")
            } else {
                format!("参数 {argument} 不能与 {prior} 同时使用")
            }
        }
        ErrorKind::MissingRequiredArgument => format!("缺少参数：{argument}"),
        ErrorKind::MissingSubcommand => format!(
            "{} 之后缺少命令，可用：{}",
            get(ContextKind::InvalidSubcommand),
            get(ContextKind::ValidSubcommand)
        ),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "没有给出命令".to_owned(),
        ErrorKind::InvalidUtf8 => "参数不是 UTF-8 文本".to_owned(),
        _ => "参数有误".to_owned(),
    }
}

fn allowed(values: &str) -> String {
    if values.is_empty() {
        String::new()
    } else {
        format!("，可取：{values}")
    }
}

fn meant(suggestion: &str) -> String {
    if suggestion.is_empty() {
        String::new()
    } else {
        format!("，是否指 {suggestion}？")
    }
}

fn text(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(texts) => texts.join("、"),
        ContextValue::StyledStrs(texts) => {
            let texts: Vec<_> = texts.iter().map(ToString::to_string).collect();
            texts.join("、")
        }
        // `None` prints nothing.
        other => other.to_string(),
    }
}

/// What the parser says, in English: the lines up to the first empty one say what is wrong; usage and hints follow.
pub(crate) fn english(error: &clap::Error) -> String {
    error
        .to_string()
        .trim_start_matches("error: ")
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// How the command is used, as one line, where the parser says it.
pub(crate) fn synopsis(error: &clap::Error) -> Option<String> {
    let usage = text(error.get(ContextKind::Usage)?);
    let line = usage.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.trim_start_matches("Usage: ").to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;
    use crate::money::Fen;

    fn told(arguments: &[&str]) -> String {
        let command = Command::new("program")
            .subcommand_required(true)
            .subcommand(
                Command::new("made")
                    .arg(Arg::new("kind").long("kind").value_parser(["bus", "door"]))
                    .arg(
                        Arg::new("count")
                            .long("count")
                            .value_parser(clap::value_parser!(u8)),
                    )
                    .arg(Arg::new("sum").long("sum").value_parser(clap::value_parser!(Fen)))
                    .arg(
                        Arg::new("all")
                            .long("all")
                            .action(clap::ArgAction::SetTrue)
                            .conflicts_with("kind"),
                    )
                    .arg(Arg::new("file").required(true).value_name("FILE")),
            )
            .subcommand(Command::new("status"));
        let all = std::iter::once("program").chain(arguments.iter().copied());
        chinese(&command.try_get_matches_from(all).unwrap_err())
    }

    #[test]
    fn each_kind_of_wrong_arguments_is_told_in_chinese_with_the_argument_that_is_meant() {
        for (arguments, expected) in [
            (
                &["made", "f", "--kind", "train"][..],
                "参数 --kind <kind> 不能取“train”，可取：bus、door",
            ),
            (
                &["made", "f", "--kind"],
                "参数 --kind <kind> 缺少取值，可取：bus、door",
            ),
            (&["made", "f", "--knd", "bus"], "没有参数 --knd，是否指 --kind？"),
            (
                &["made", "f", "--all", "--kind", "bus"],
                "参数 --all 不能与 --kind <kind> 同时使用",
            ),
            (&["made", "f", "--all", "--all"], "参数 --all 只能给一次"),
            (&["made"], "缺少参数：<FILE>"),
            (&["made", "f", "g"], "没有参数 g"),
            (&["statu"], "没有命令“statu”，是否指 status？"),
            (&[], "program 之后缺少命令，可用：made、status、help"),
        ] {
            assert_eq!(told(arguments), expected, "{arguments:?}");
        }
        let counted = told(&["made", "f", "--count", "many"]);
        assert!(
            counted.starts_with("参数 --count <count> 的取值“many”无效："),
            "{counted}"
        );
        let paid = told(&["made", "f", "--sum", "0.001"]);
        assert!(paid.ends_with("无效：金额最多两位小数：最小为一分"), "{paid}");
    }
}
