//! In which language a program speaks to a person: `--lang zh-CN|en`, else the locale by the precedence of POSIX
//! (`LC_ALL`, `LC_MESSAGES`, `LANG`), else both, Chinese first.
//!
//! Codes, keys of JSON and exit codes have no language. Left out: logs, which are in English.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::{fmt, io};

/// What a program speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Nobody chose: a person reads Chinese first and English beside it; a JSON object, which has room for one, has Chinese.
    Both,
    /// 简体中文, `zh-CN`.
    Chinese,
    /// English, `en`.
    English,
}

/// The name of the option.
pub(crate) const OPTION: &str = "lang";
/// What it takes.
pub(crate) const TAGS: [&str; 2] = ["zh-CN", "en"];

impl Language {
    /// The language of this process, by its arguments and its environment.
    #[must_use]
    pub fn of_process() -> Self {
        Self::chosen(std::env::args_os().skip(1), |name| std::env::var_os(name))
    }

    /// The language by these arguments (without the program's name) and these variables.
    fn chosen(
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let asked = asked(arguments).and_then(|tag| Self::of_tag(&tag));
        asked.unwrap_or_else(|| Self::of_locale(variable))
    }

    /// The language of an option's value; `None` for what the option does not take.
    fn of_tag(tag: &OsStr) -> Option<Self> {
        let [chinese, english] = TAGS;
        match tag.to_str()? {
            tag if tag == chinese => Some(Self::Chinese),
            tag if tag == english => Some(Self::English),
            _ => None,
        }
    }

    /// The first variable that is set and not empty decides, even where it names a language that nobody speaks here.
    fn of_locale(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(variable)
            .find(|locale| !locale.is_empty())
            .unwrap_or_default();
        let locale = locale.to_string_lossy();
        let language = locale.split(['_', '.', '@', '-']).next().unwrap_or_default();
        match language {
            "zh" => Self::Chinese,
            "en" => Self::English,
            _ => Self::Both,
        }
    }

    /// Whether prose has Chinese.
    pub(crate) const fn has_chinese(self) -> bool {
        matches!(self, Self::Both | Self::Chinese)
    }

    /// Whether prose has English.
    pub(crate) const fn has_english(self) -> bool {
        matches!(self, Self::Both | Self::English)
    }

    /// What `--lang` takes for this language, for a program of ours that is started; `None` where nobody chose.
    #[must_use]
    pub const fn tag(self) -> Option<&'static str> {
        match self {
            Self::Both => None,
            Self::Chinese => Some(TAGS[0]),
            Self::English => Some(TAGS[1]),
        }
    }

    /// These words in the language, or side by side, Chinese first, where nobody chose.
    #[must_use]
    pub fn text(self, said: &impl Said) -> String {
        match self {
            Self::Chinese => said.zh().into_owned(),
            Self::English => said.en().into_owned(),
            Self::Both => said.both(),
        }
    }

    /// The one of two texts that stands where there is room for one.
    #[must_use]
    pub fn one<T>(self, chinese: T, english: T) -> T {
        match self {
            Self::Both | Self::Chinese => chinese,
            Self::English => english,
        }
    }
}

/// The value of the first `--lang`, before the end of the options.
fn asked(arguments: impl IntoIterator<Item = OsString>) -> Option<OsString> {
    let option = format!("--{OPTION}");
    let mut arguments = arguments.into_iter().take_while(|argument| argument != "--");
    while let Some(argument) = arguments.next() {
        if argument.to_str() == Some(&option) {
            return arguments.next();
        }
        let value = argument.to_str().and_then(|text| text.strip_prefix(&option));
        if let Some(value) = value.and_then(|value| value.strip_prefix('=')) {
            return Some(value.into());
        }
    }
    None
}

/// What stands in a message: the same in every language (a path, a number), or a word of each.
pub trait Said {
    /// In Chinese.
    fn zh(&self) -> Cow<'_, str>;
    /// In English.
    fn en(&self) -> Cow<'_, str>;
    /// In both side by side, Chinese first; once, where they are the same.
    fn both(&self) -> String {
        match (self.zh(), self.en()) {
            (chinese, english) if chinese == english => chinese.into_owned(),
            (chinese, english) => format!("{chinese} {english}"),
        }
    }
}

impl<T: Said + ?Sized> Said for &T {
    fn zh(&self) -> Cow<'_, str> {
        (**self).zh()
    }

    fn en(&self) -> Cow<'_, str> {
        (**self).en()
    }

    fn both(&self) -> String {
        (**self).both()
    }
}

/// Words of each language: Chinese, then English. As an error, such as that of a value that does not parse, it shows itself in
/// English.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words(pub &'static str, pub &'static str);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }
}

impl std::error::Error for Words {}

impl Said for Words {
    fn zh(&self) -> Cow<'_, str> {
        self.0.into()
    }

    fn en(&self) -> Cow<'_, str> {
        self.1.into()
    }
}

/// A text of each language: Chinese, then English.
impl<Z: Said, E: Said> Said for (Z, E) {
    fn zh(&self) -> Cow<'_, str> {
        self.0.zh()
    }

    fn en(&self) -> Cow<'_, str> {
        self.1.en()
    }
}

/// A line for a person, in each language: made by [`line!`](crate::line) alone, so that neither is forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    chinese: String,
    english: String,
    both: String,
}

impl Line {
    /// The line of these parts. Where nobody chose a language, each part stands in both.
    #[must_use]
    pub fn of(parts: &[&dyn Said]) -> Self {
        let mut line = Self::default();
        for part in parts {
            line.chinese.push_str(&part.zh());
            line.english.push_str(&part.en());
            line.both.push_str(&part.both());
        }
        line
    }

    /// The line in this language.
    #[must_use]
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::Both => &self.both,
            Language::Chinese => &self.chinese,
            Language::English => &self.english,
        }
    }
}

impl Said for Line {
    fn zh(&self) -> Cow<'_, str> {
        self.chinese.as_str().into()
    }

    fn en(&self) -> Cow<'_, str> {
        self.english.as_str().into()
    }

    fn both(&self) -> String {
        self.both.clone()
    }
}

/// A line for a person, of parts that are [`Said`]: words of each language, a [sentence](crate::sentences), or what has no
/// language, such as an id or a path.
///
/// ```
/// use program_contract::language::{Language, Words};
/// let line = program_contract::line!(Words("状态", "state"), ": ", "VERIFIED");
/// assert_eq!(line.text(Language::Chinese), "状态: VERIFIED");
/// assert_eq!(line.text(Language::Both), "状态 state: VERIFIED");
/// ```
#[macro_export]
macro_rules! line {
    ($($part:expr),+ $(,)?) => { $crate::language::Line::of(&[$(&$part),+]) };
}

/// A table of sentences for a person: one function a row, with its text in Chinese and in English.
///
/// What the texts name in braces are the function's arguments, each [`Said`] in the text's language. An argument that a language
/// leaves out does not compile.
///
/// ```
/// program_contract::sentences! {
///     fn denied(serial) = "{serial} 已列入拒绝名单", "{serial} is denied";
/// }
/// assert_eq!(denied("44").1, "44 is denied");
/// ```
#[macro_export]
macro_rules! sentences {
    ($(
        $(#[$doc:meta])*
        $vis:vis fn $name:ident($($given:ident),* $(,)?) = $chinese:literal, $english:literal;
    )+) => { $(
        $(#[$doc])*
        #[must_use]
        $vis fn $name($($given: impl $crate::language::Said),*) -> (String, String) {
            let english = {
                $(let $given = $crate::language::Said::en(&$given);)*
                format!($english)
            };
            let chinese = {
                $(let $given = $crate::language::Said::zh(&$given);)*
                format!($chinese)
            };
            (chinese, english)
        }
    )+ };
}

/// What reads the same in both languages.
macro_rules! said_as_shown {
    ($($shown:ty),+ $(,)?) => { $(
        impl Said for $shown {
            fn zh(&self) -> Cow<'_, str> {
                self.to_string().into()
            }

            fn en(&self) -> Cow<'_, str> {
                self.to_string().into()
            }
        }
    )+ };
}

said_as_shown!(
    str,
    String,
    Cow<'_, str>,
    std::path::Display<'_>,
    fmt::Arguments<'_>,
    u8,
    u16,
    u32,
    u64,
    usize,
    i64,
    jiff::civil::Date,
    card_applet_spec::date::Date,
);

impl Said for io::ErrorKind {
    fn zh(&self) -> Cow<'_, str> {
        cause(*self).map_or_else(|| self.to_string().into(), Cow::Borrowed)
    }

    fn en(&self) -> Cow<'_, str> {
        // Rust's own words for these are a programmer's: "entity not found".
        match self {
            Self::NotFound => "no such file or folder".into(),
            Self::AlreadyExists => "it exists already".into(),
            Self::StorageFull => "no space left on the disk".into(),
            other => other.to_string().into(),
        }
    }
}

impl Said for io::Error {
    fn zh(&self) -> Cow<'_, str> {
        cause(self.kind()).map_or_else(|| self.to_string().into(), Cow::Borrowed)
    }

    fn en(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

/// Why the operating system did not do it, in Chinese; `None` where its own word has to do.
fn cause(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::NotFound => "文件或目录不存在",
        io::ErrorKind::PermissionDenied => "权限不足",
        io::ErrorKind::AlreadyExists => "文件已存在",
        io::ErrorKind::IsADirectory => "这是一个目录",
        io::ErrorKind::NotADirectory => "路径中有一段不是目录",
        io::ErrorKind::DirectoryNotEmpty => "目录不为空",
        io::ErrorKind::StorageFull => "磁盘空间不足",
        io::ErrorKind::QuotaExceeded => "超出磁盘配额",
        io::ErrorKind::ReadOnlyFilesystem => "文件系统为只读",
        io::ErrorKind::InvalidData => "内容格式不对",
        io::ErrorKind::InvalidInput => "参数不合法",
        io::ErrorKind::UnexpectedEof => "内容不完整",
        io::ErrorKind::BrokenPipe => "对方已关闭连接",
        io::ErrorKind::ConnectionRefused => "连接被拒绝",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => "连接中断",
        io::ErrorKind::NotConnected => "未连接",
        io::ErrorKind::AddrInUse => "地址已被占用",
        io::ErrorKind::AddrNotAvailable => "本机没有该地址",
        io::ErrorKind::TimedOut => "超时",
        io::ErrorKind::WouldBlock => "资源暂不可用",
        io::ErrorKind::Interrupted => "被信号中断",
        io::ErrorKind::OutOfMemory => "内存不足",
        io::ErrorKind::ResourceBusy | io::ErrorKind::ExecutableFileBusy => "正被占用",
        io::ErrorKind::FileTooLarge => "文件过大",
        io::ErrorKind::Unsupported => "系统不支持",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(arguments: &[&str], variables: &[(&str, &str)]) -> Language {
        Language::chosen(arguments.iter().map(OsString::from), |name| {
            let found = variables.iter().find(|variable| variable.0 == name)?;
            Some(found.1.into())
        })
    }

    #[test]
    fn the_option_goes_before_the_locale_and_the_locale_has_the_precedence_of_posix() {
        use Language::{Both, Chinese, English};
        for (arguments, variables, language) in [
            (&[][..], &[][..], Both),
            (&[], &[("LANG", "C.UTF-8")], Both),
            (&[], &[("LANG", "zh_CN.UTF-8")], Chinese),
            (&[], &[("LANG", "en_GB.UTF-8")], English),
            (&[], &[("LANG", "zh_CN.UTF-8"), ("LC_MESSAGES", "en_US")], English),
            (&[], &[("LC_ALL", "zh_CN"), ("LC_MESSAGES", "en_US")], Chinese),
            // An empty one is not set; POSIX and languages that nobody speaks here choose nothing, and still decide.
            (&[], &[("LC_ALL", ""), ("LANG", "zh")], Chinese),
            (&[], &[("LC_ALL", "POSIX"), ("LANG", "en_US")], Both),
            (&[], &[("LC_ALL", "fr_FR.UTF-8")], Both),
            (&["status", "--lang", "en"], &[("LC_ALL", "zh_CN.UTF-8")], English),
            (&["--lang=zh-CN", "status"], &[("LC_ALL", "en_US.UTF-8")], Chinese),
            // What the option does not take is a usage error, told in the locale's language.
            (&["--lang", "fr"], &[("LANG", "en_US.UTF-8")], English),
            (&["--lang"], &[("LANG", "zh_CN.UTF-8")], Chinese),
            (&["exec", "--", "--lang", "en"], &[], Both),
        ] {
            assert_eq!(
                chosen(arguments, variables),
                language,
                "{arguments:?} {variables:?}"
            );
        }
    }

    #[test]
    fn a_text_for_one_language_is_chinese_unless_english_was_chosen() {
        assert_eq!(Language::Both.one("中", "en"), "中");
        assert_eq!(Language::Chinese.one("中", "en"), "中");
        assert_eq!(Language::English.one("中", "en"), "en");
    }

    #[test]
    fn words_stand_in_the_language_or_side_by_side_and_what_is_the_same_stands_once() {
        let words = Words("卡", "card");
        assert_eq!(Language::Both.text(&words), "卡 card");
        assert_eq!(Language::Chinese.text(&words), "卡");
        assert_eq!(Language::English.text(&words), "card");
        assert_eq!(Language::Both.text(&"X1"), "X1");
    }

    #[test]
    fn a_program_that_is_started_speaks_the_language_of_its_tag() {
        for language in [Language::Chinese, Language::English] {
            let arguments = ["--lang", language.tag().unwrap()];
            assert_eq!(chosen(&arguments, &[]), language);
        }
        assert_eq!(Language::Both.tag(), None);
    }

    #[test]
    fn what_the_system_says_is_chinese_in_a_chinese_message() {
        let error = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(
            (error.zh().as_ref(), error.en()),
            ("磁盘空间不足", error.to_string().into())
        );
        assert_eq!(
            (Words("目录", "folder").zh(), Words("目录", "folder").en()),
            ("目录".into(), "folder".into())
        );
    }
}
