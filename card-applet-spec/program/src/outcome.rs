//! How a program ends: one JSON object or lines for a person, and an exit code (`docs/contracts.md`, "All programs").
//!
//! Standard output holds the result only, prose goes to standard error. An outcome that could not be printed did not
//! happen for whoever reads it: a full or closed standard output is a failure of its own ([`Failure::output`]), never a
//! panic and never success. Prose that nobody can read ([`tell`](crate::tell)) is lost, and work goes on.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::file;
use crate::language::{self, Language, Line, Said, Words};
use crate::unseen::{in_a_line, in_lines};
use crate::usage;
use crate::user::Barrier;

/// Exit codes of every program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, or accepted.
    Done = 0,
    /// Refused by a rule or a check.
    Refused = 1,
    /// Wrong arguments; unknown keys or a wrong form in an input file.
    Usage = 2,
    /// A device or a service is absent.
    Absent = 3,
    /// Outcome unknown: the same command again resumes.
    Unknown = 4,
    /// Damaged or misconfigured; a file that cannot be read or written.
    Damaged = 5,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// How a program of ours that was started as a process ended; one that a signal ended is damaged.
    #[must_use]
    pub const fn of_process(code: Option<i32>) -> Self {
        match code {
            Some(0) => Self::Done,
            Some(1) => Self::Refused,
            Some(2) => Self::Usage,
            Some(3) => Self::Absent,
            Some(4) => Self::Unknown,
            _ => Self::Damaged,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that says itself how a program that meets it ends. It is implemented beside the error, once; what happened
/// is its `Display`.
pub trait Failing: std::error::Error {
    /// Code of a closed list, upper case.
    fn code(&self) -> Cow<'static, str>;
    /// The exit code.
    fn exit(&self) -> Exit;
    /// What to do: a command or a page that exists.
    fn action(&self) -> Cow<'static, str>;
    /// What happened, where `Display` says more than that.
    fn message(&self) -> String {
        self.to_string()
    }
    /// Message and action in Chinese.
    fn chinese(&self) -> (String, String);
}

/// Why a program did not do it. Small, because most functions that return one succeed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure(Box<FailureParts>);

impl std::ops::Deref for Failure {
    type Target = FailureParts;

    fn deref(&self) -> &FailureParts {
        &self.0
    }
}

impl std::ops::DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut FailureParts {
        &mut self.0
    }
}

/// What a [`Failure`] says.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureParts {
    /// The exit code; never [`Exit::Done`].
    pub exit: Exit,
    /// Code of a closed list, upper case.
    pub code: Cow<'static, str>,
    /// What happened, English.
    pub message: String,
    /// What to do, English.
    pub action: String,
    /// What happened and what to do, Chinese.
    pub chinese: (String, String),
    /// Keys of the object beside the error, such as an explanation.
    pub fields: Map<String, Value>,
    /// Lines for a person, on standard output, before the error.
    pub lines: Vec<Line>,
    /// More for the operator, on standard error, behind the error.
    pub notes: Vec<Line>,
}

impl Failure {
    /// A failure of these words, message and action in English and in Chinese: a row of [`failures!`](crate::failures), or what another
    /// program of ours said.
    #[must_use]
    pub fn of_row(
        exit: Exit,
        code: impl Into<Cow<'static, str>>,
        (message, action): (String, String),
        chinese: (String, String),
    ) -> Self {
        Self(Box::new(FailureParts {
            exit,
            code: code.into(),
            message,
            action,
            chinese,
            fields: Map::new(),
            lines: Vec::new(),
            notes: Vec::new(),
        }))
    }

    /// Arguments that were not understood.
    #[must_use]
    pub fn usage(program: Program, message: impl Said) -> Self {
        not_understood(message, program.name)
    }

    /// A file that cannot be read or written; `doing` is what was tried, such as `Words("读取", "read")`.
    #[must_use]
    pub fn file(doing: Words, path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AlreadyExists => file_exists(doing, path.display()),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                file_full(doing, path.display(), error)
            }
            io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge => {
                file_of_another_kind(doing, path.display(), error)
            }
            io::ErrorKind::PermissionDenied => match Barrier::before(path) {
                Some(barrier) => file_of_another(doing, path.display(), error, &barrier, barrier.owner()),
                None => file(doing, path.display(), error),
            },
            _ => file(doing, path.display(), error),
        }
    }

    /// A result that was not printed: it is done, and whoever asked does not know it.
    #[must_use]
    pub fn output(error: &io::Error) -> Self {
        unprinted_though_done(error)
    }

    /// A fault of the program itself.
    #[must_use]
    pub fn internal(message: impl Said) -> Self {
        internal(message)
    }

    /// The same failure with one more key of the object.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(key.to_owned(), value.into());
        self
    }

    /// What happened and what to do, in the one language that there is room for.
    #[must_use]
    pub fn said(&self, language: Language) -> (&str, &str) {
        let (message, action) = &self.chinese;
        language.one((message, action), (&self.message, &self.action))
    }

    /// What happened and what to do in every language that is spoken, Chinese first; what another program said in one language is
    /// told once.
    pub fn told(&self, language: Language) -> impl Iterator<Item = (Language, &str, &str)> {
        let (message, action) = &self.chinese;
        let is_told = language == Language::Both && (message, action) == (&self.message, &self.action);
        let chinese =
            language
                .has_chinese()
                .then_some((Language::Chinese, message.as_str(), action.as_str()));
        let english = (language.has_english() && !is_told).then_some((
            Language::English,
            self.message.as_str(),
            self.action.as_str(),
        ));
        chinese.into_iter().chain(english)
    }

    /// The `error` of the object.
    #[must_use]
    pub fn error(&self, language: Language) -> Value {
        let (message, action) = self.said(language);
        json!({ "code": self.code, "message": message, "action": action })
    }

    /// The whole object.
    #[must_use]
    pub fn object(&self, schema: &str, language: Language) -> Value {
        let mut object = object(schema, false, self.fields.clone());
        object.insert("error".to_owned(), self.error(language));
        Value::Object(object)
    }
}

/// A table of failures: one function a row, with exit code, code, and what happened and what to do in both languages.
///
/// What a row's texts name in braces are the function's arguments, each [`Said`](crate::language::Said) in the text's language. An argument that a
/// language leaves out does not compile.
///
/// ```
/// program_contract::failures! {
///     /// A tape cannot be made.
///     pub fn tape_unwritable(path, error) = Damaged "FILE_UNWRITABLE" {
///         "无法建立 {path}：{error}", "cannot make {path}: {error}";
///         "请为 --record 指定新文件。", "Give --record a new file.";
///     }
/// }
/// let failure = tape_unwritable("/nowhere/tape", std::io::ErrorKind::NotFound);
/// assert_eq!(failure.chinese.0, "无法建立 /nowhere/tape：文件或目录不存在");
/// ```
#[macro_export]
macro_rules! failures {
    ($(
        $(#[$doc:meta])*
        $vis:vis fn $name:ident($($given:ident),* $(,)?) = $exit:ident $code:literal {
            $message_zh:literal, $message:literal;
            $action_zh:literal, $action:literal;
        }
    )+) => { $(
        $(#[$doc])*
        #[must_use]
        $vis fn $name($($given: impl $crate::language::Said),*) -> $crate::outcome::Failure {
            let english = {
                $(let $given = $crate::language::Said::en(&$given);)*
                (format!($message), format!($action))
            };
            let chinese = {
                $(let $given = $crate::language::Said::zh(&$given);)*
                (format!($message_zh), format!($action_zh))
            };
            $crate::outcome::Failure::of_row($crate::outcome::Exit::$exit, $code, english, chinese)
        }
    )+ };
}

crate::failures! {
    fn not_understood(message, program) = Usage "USAGE" {
        "{message}", "{message}";
        "用法见 `{program} --help`。", "See `{program} --help`.";
    }
    fn file(doing, path, error) = Damaged "FILE" {
        "无法{doing} {path}：{error}", "cannot {doing} {path}: {error}";
        "请检查路径、权限和磁盘，再运行同一命令。", "Check the path, its rights and the disk, and run the same command again.";
    }
    fn file_exists(doing, path) = Damaged "FILE" {
        "无法{doing} {path}：该文件已存在，未被覆盖", "cannot {doing} {path}: it exists, and was not overwritten";
        "请另指定一个文件名；旧文件确已不用的，先将其移走，再运行同一命令。",
        "Name another file; or move the old one away if it is not needed, and run the same command again.";
    }
    fn file_full(doing, path, error) = Damaged "FILE" {
        "无法{doing} {path}：{error}", "cannot {doing} {path}: {error}";
        "请在该磁盘上腾出空间，再运行同一命令。", "Make room on that disk, and run the same command again.";
    }
    fn file_of_another_kind(doing, path, error) = Damaged "FILE" {
        "无法{doing} {path}：{error}", "cannot {doing} {path}: {error}";
        "这不是此处所要的那种文件，或已被改动：请给出正确的文件，再运行同一命令。",
        "It is another kind of file than is wanted here, or was changed: give the right one, and run the same command again.";
    }
    fn file_of_another(doing, path, error, barrier, owner) = Damaged "FILE" {
        "无法{doing} {path}：{error}；{barrier}", "cannot {doing} {path}: {error}: {barrier}";
        "请以用户 {owner} 运行同一命令（root 可用 `runuser -u {owner} -- ...`），或请其更正权限。",
        "Run the same command as user {owner} (root does so with `runuser -u {owner} -- ...`), or have the rights corrected.";
    }
    fn internal(message) = Damaged "INTERNAL" {
        "程序内部错误：{message}", "{message}";
        "这是程序的缺陷，请上报。", "Report this: it is a fault of the program.";
    }
    fn unprinted_though_done(error) = Unknown "OUTPUT" {
        "结果无法输出：{error}", "the result could not be printed: {error}";
        "要办的事已经办完：请先核对现状，不要直接重做。请腾出空间，或把标准输出交给会读取它的程序。",
        "What was asked for is done: look at its state before you ask for it again. Make room, or give standard output to a program that reads it.";
    }
    fn unprinted(error) = Unknown "OUTPUT" {
        "结果无法输出：{error}", "the result could not be printed: {error}";
        "请腾出空间，或把标准输出交给会读取它的程序；该怎么办见上文。",
        "Make room, or give standard output to a program that reads it; what to do stands above.";
    }
}

impl<E: Failing> From<E> for Failure {
    fn from(error: E) -> Self {
        let english = (error.message(), error.action().into_owned());
        Self::of_row(error.exit(), error.code(), english, error.chinese())
    }
}

/// What a program did.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The exit code: [`Exit::Done`], but for a question whose answer is an exit code by contract.
    pub exit: Exit,
    /// Schema of the object.
    pub schema: Cow<'static, str>,
    /// Its keys besides `schema` and `ok`.
    pub fields: Map<String, Value>,
    /// Lines for a person, on standard output.
    pub lines: Vec<Line>,
}

impl Outcome {
    /// Done, with the fields of `result`, which is an object.
    ///
    /// # Errors
    /// [`Failure::internal`] when it is none.
    pub fn done(
        schema: impl Into<Cow<'static, str>>,
        result: &impl Serialize,
        lines: Vec<Line>,
    ) -> Result<Self, Failure> {
        match serde_json::to_value(result) {
            Ok(Value::Object(fields)) => Ok(Self {
                exit: Exit::Done,
                schema: schema.into(),
                fields,
                lines,
            }),
            _ => Err(Failure::internal(Words(
                "结果不是对象",
                "the result is no object",
            ))),
        }
    }

    /// The whole object.
    #[must_use]
    pub fn object(&self) -> Value {
        Value::Object(object(&self.schema, true, self.fields.clone()))
    }

    /// The same outcome with another exit code.
    #[must_use]
    pub fn ending(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

/// A program, by the name that it is started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
}

impl Program {
    /// A program of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }

    /// The arguments of the process. From here on what it makes is for its user alone.
    ///
    /// # Errors
    /// How the program ends without doing anything: help and version were printed, or the arguments were not understood;
    /// then, where they say `--json`, as one object of `schema`.
    pub fn arguments<A: clap::Parser>(self, schema: &'static str) -> Result<A, ExitCode> {
        file::keep_private();
        let mut command = command::<A>();
        let parsed = command.try_get_matches_from_mut(std::env::args_os());
        let parsed =
            parsed.and_then(|found| A::from_arg_matches(&found).map_err(|error| error.format(&mut command)));
        parsed.map_err(|error| {
            if !error.use_stderr() {
                return match error.print() {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(error) => cannot_print(self, &error).into(),
                };
            }
            let language = Language::of_process();
            if std::env::args_os().any(|argument| argument == "--json") {
                return self.end(schema, true, Err(self.misused(&error)));
            }
            if language.has_chinese() {
                let _ = self.complain_of_usage(&error);
            }
            if language.has_english() {
                // Shown line by line, so that nothing of an argument reaches the screen as a command to it.
                let text = error.render().to_string();
                let shown: Vec<_> = text.lines().map(in_a_line).collect();
                let _ = writeln!(io::stderr(), "{}", shown.join("\n"));
            }
            Exit::Usage.into()
        })
    }

    fn misused(self, error: &clap::Error) -> Failure {
        let mut failure = Failure::usage(self, usage::english(error));
        failure.chinese.0 = usage::chinese(error);
        failure
    }

    /// The parser's own complaint is in English, with usage and hints.
    fn complain_of_usage(self, error: &clap::Error) -> io::Result<()> {
        let mut prose = io::stderr().lock();
        complain(&mut prose, self, Language::Chinese, &self.misused(error))?;
        match usage::synopsis(error) {
            Some(synopsis) => writeln!(prose, "  用法：{synopsis}"),
            None => Ok(()),
        }
    }

    /// Whether `door`, such as `keyvault deny`, is a command of this program that does something; one that only leads on to
    /// others is none. `None` where it is another program's.
    #[must_use]
    pub fn has_door<A: clap::CommandFactory>(self, door: &str) -> Option<bool> {
        let (name, words) = door.split_once(' ')?;
        if name != self.name {
            return None;
        }
        let mut command = &A::command();
        for word in words.split(' ') {
            match command.find_subcommand(word) {
                Some(found) => command = found,
                None => return Some(false),
            }
        }
        Some(!command.has_subcommands())
    }

    /// Prints how a command went; `schema` is the object's when it failed.
    #[must_use]
    pub fn end(
        self,
        schema: impl Into<Cow<'static, str>>,
        json: bool,
        outcome: Result<Outcome, Failure>,
    ) -> ExitCode {
        self.end_to(
            &mut io::stdout().lock(),
            &mut io::stderr().lock(),
            Language::of_process(),
            schema,
            json,
            outcome,
        )
        .into()
    }

    /// Tells a person at the terminal of a failure after which the program goes on, such as asking again.
    pub fn tell_failure(self, failure: &Failure) {
        // Nobody may be there.
        let _ = complain(&mut io::stderr().lock(), self, Language::of_process(), failure);
    }

    /// As [`Self::end`], to these outputs in this language.
    pub fn end_to(
        self,
        out: &mut impl Write,
        prose: &mut impl Write,
        language: Language,
        schema: impl Into<Cow<'static, str>>,
        json: bool,
        outcome: Result<Outcome, Failure>,
    ) -> Exit {
        let (exit, object, lines, failure) = match outcome {
            Ok(outcome) => (outcome.exit, outcome.object(), outcome.lines, None),
            Err(mut failure) => {
                let object = failure.object(&schema.into(), language);
                let lines = std::mem::take(&mut failure.lines);
                (failure.exit, object, lines, Some(failure))
            }
        };
        let printed = if json {
            writeln!(out, "{object}").and_then(|()| out.flush())
        } else {
            lines
                .iter()
                .try_for_each(|line| writeln!(out, "{}", in_lines(line.text(language))))
                .and_then(|()| out.flush())
        };
        if let Some(failure) = &failure {
            // Standard error is for a person; nobody may be there.
            let _ = complain(prose, self, language, failure);
        }
        let Err(error) = printed else { return exit };
        let unprinted = if failure.is_none() {
            Failure::output(&error)
        } else {
            unprinted(&error)
        };
        let _ = complain(prose, self, language, &unprinted);
        // What went wrong before is what a caller has to act on.
        if failure.is_some() { exit } else { unprinted.exit }
    }
}

/// The keys that every object has, and those of this one.
fn object(schema: &str, ok: bool, fields: Map<String, Value>) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("schema".to_owned(), json!(schema));
    object.insert("ok".to_owned(), json!(ok));
    object.extend(fields);
    object
}

/// The command line of a program: that of `A`, and `--lang` before or behind any command.
pub(crate) fn command<A: clap::CommandFactory>() -> clap::Command {
    A::command().arg(
        clap::Arg::new(language::OPTION)
            .long(language::OPTION)
            .global(true)
            .value_name("LANGUAGE")
            .value_parser(language::TAGS)
            .help(
                "提示语言，默认随 LC_ALL、LC_MESSAGES、LANG · Language of messages; default: by the locale",
            ),
    )
}

/// The failure as a person reads it: Chinese first where there is no choice of one language.
fn complain(
    prose: &mut impl Write,
    program: Program,
    language: Language,
    failure: &Failure,
) -> io::Result<()> {
    let FailureParts { code, notes, .. } = &**failure;
    let name = program.name;
    for (spoken, message, action) in failure.told(language) {
        let colon = spoken.one("：", ": ");
        writeln!(
            prose,
            "{name}{colon}{} [{code}]\n  {}",
            in_a_line(message),
            in_a_line(action)
        )?;
    }
    for note in notes {
        writeln!(prose, "  {}", in_a_line(note.text(language)))?;
    }
    prose.flush()
}

fn cannot_print(program: Program, error: &io::Error) -> Exit {
    let _ = complain(
        &mut io::stderr().lock(),
        program,
        Language::of_process(),
        &Failure::output(error),
    );
    Exit::Unknown
}

/// A [line](crate::line) for a person, on standard error, in the language of this process. Nobody may be there, or the disk
/// behind it full: then the line is lost, and work goes on.
#[macro_export]
macro_rules! tell {
    ($($part:expr),+ $(,)?) => {{
        use ::std::io::Write as _;
        let line = $crate::line!($($part),+);
        let text = $crate::unseen::in_lines(line.text($crate::language::Language::of_process()));
        let _ = ::std::writeln!(::std::io::stderr().lock(), "{text}");
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: Program = Program::new("program");

    fn end(json: bool, outcome: Result<Outcome, Failure>) -> (Exit, String, String) {
        end_in(Language::Both, json, outcome)
    }

    fn end_in(language: Language, json: bool, outcome: Result<Outcome, Failure>) -> (Exit, String, String) {
        let (mut out, mut prose) = (Vec::new(), Vec::new());
        let exit = PROGRAM.end_to(&mut out, &mut prose, language, "yzt.asked/1", json, outcome);
        (
            exit,
            String::from_utf8(out).unwrap(),
            String::from_utf8(prose).unwrap(),
        )
    }

    crate::failures! {
        fn gone() = Absent "GONE" {
            "卡已不在", "the card is gone";
            "请取回。", "Bring it back.";
        }
    }

    fn done() -> Outcome {
        Outcome::done(
            "yzt.did/1",
            &json!({ "count": 3 }),
            vec![crate::line!(Words("三", "three"))],
        )
        .unwrap()
    }

    #[test]
    fn a_path_with_control_characters_is_shown_and_does_nothing_to_the_screen() {
        let path = Path::new("/tmp/\u{1b}[2Jx\nkeyvault: all is well [OK]\u{9b}31m\u{202e}gpj.exe\u{2066}");
        let failure =
            Failure::file(Words("读取", "read"), path, &io::ErrorKind::NotFound.into()).with("path", "x");
        for language in [Language::English, Language::Chinese] {
            let (_, _, said) = end_in(language, false, Err(failure.clone()));
            assert_eq!(said.lines().count(), 2, "{said}");
            assert!(said.contains(r"/tmp/\u{1b}[2Jx\nkeyvault: all is well"), "{said}");
            assert!(!said.replace('\n', "").contains(char::is_control), "{said:?}");
            // Nor does it turn what is read.
            assert!(said.contains(r"\u{202e}gpj.exe\u{2066}"), "{said:?}");
            assert!(!said.contains(['\u{202e}', '\u{2066}']), "{said:?}");
        }
    }

    #[test]
    fn what_was_done_is_one_object_or_lines() {
        let (exit, out, prose) = end(true, Ok(done()));
        assert_eq!((exit, prose.as_str()), (Exit::Done, ""));
        assert_eq!(out, "{\"count\":3,\"ok\":true,\"schema\":\"yzt.did/1\"}\n");
        assert_eq!(end(false, Ok(done())).1, "三 three\n");
        assert_eq!(end_in(Language::Chinese, false, Ok(done())).1, "三\n");
        assert_eq!(end_in(Language::English, false, Ok(done())).1, "three\n");
        let asked = end(true, Ok(done().ending(Exit::Refused)));
        assert_eq!(asked.0, Exit::Refused);
        assert!(asked.1.contains("\"ok\":true"));
        assert!(Outcome::done("yzt.did/1", &json!([3]), Vec::new()).is_err());
    }

    #[test]
    fn a_failure_is_one_object_with_its_error_and_prose_beside_it() {
        let mut failure = gone().with("where", "there");
        failure.lines.push(crate::line!(Words("一行", "a line")));
        failure.notes.push(crate::line!("X", 7_u8));
        let chinese = "program：卡已不在 [GONE]\n  请取回。\n";
        let english = "program: the card is gone [GONE]\n  Bring it back.\n";
        for (language, message, action, said) in [
            (
                Language::Both,
                "卡已不在",
                "请取回。",
                format!("{chinese}{english}"),
            ),
            (Language::Chinese, "卡已不在", "请取回。", chinese.to_owned()),
            (
                Language::English,
                "the card is gone",
                "Bring it back.",
                english.to_owned(),
            ),
        ] {
            let (exit, out, prose) = end_in(language, true, Err(failure.clone()));
            assert_eq!((exit, prose), (Exit::Absent, format!("{said}  X7\n")));
            let object: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(
                object,
                json!({ "schema": "yzt.asked/1", "ok": false, "where": "there",
                        "error": { "code": "GONE", "message": message, "action": action } })
            );
        }
        let (_, out, prose) = end(false, Err(failure));
        assert_eq!(out, "一行 a line\n");
        assert!(prose.ends_with("\n  X7\n"), "{prose}");
    }

    #[test]
    fn an_outcome_that_nobody_can_read_is_a_failure_and_no_panic() {
        /// A disk without room.
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        /// A pipe that nobody reads.
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for json in [true, false] {
            let mut prose = Vec::new();
            let exit = PROGRAM.end_to(
                &mut Full,
                &mut prose,
                Language::Both,
                "yzt.asked/1",
                json,
                Ok(done()),
            );
            assert_eq!(exit, Exit::Unknown);
            assert!(String::from_utf8(prose).unwrap().contains("[OUTPUT]"));
        }
        // What a caller has to act on is not hidden by it.
        let mut absent = gone();
        absent.exit = Exit::Absent;
        let mut prose = Vec::new();
        let exit = PROGRAM.end_to(
            &mut Full,
            &mut prose,
            Language::Both,
            "yzt.asked/1",
            true,
            Err(absent),
        );
        assert_eq!(exit, Exit::Absent);
        let prose = String::from_utf8(prose).unwrap();
        assert!(prose.contains("[GONE]") && prose.contains("[OUTPUT]"), "{prose}");
        // Not even the complaint can be said.
        let exit = PROGRAM.end_to(
            &mut Full,
            &mut Full,
            Language::Both,
            "yzt.asked/1",
            true,
            Ok(done()),
        );
        assert_eq!(exit, Exit::Unknown);
        // A reader that went away has the result no more than a full disk has.
        for json in [true, false] {
            let exit = PROGRAM.end_to(
                &mut Closed,
                &mut Vec::new(),
                Language::Both,
                "yzt.asked/1",
                json,
                Ok(done()),
            );
            assert_eq!(exit, Exit::Unknown);
        }
    }

    #[test]
    fn an_exit_code_of_a_process_comes_back_as_it_was() {
        for exit in [
            Exit::Done,
            Exit::Refused,
            Exit::Usage,
            Exit::Absent,
            Exit::Unknown,
            Exit::Damaged,
        ] {
            assert_eq!(Exit::of_process(Some(exit.code().into())), exit);
        }
        assert_eq!(Exit::of_process(None), Exit::Damaged);
        assert_eq!(Exit::of_process(Some(101)), Exit::Damaged);
    }
}
