//! The one configuration file of a terminal (TOML). Unknown keys are refused: a key with a typing error would be a
//! protection that is not there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use card_reader::StaleList;
use program_contract::Failure;
use program_contract::language::{Said, Words};
use serde::{Deserialize, Deserializer};

use crate::program::{failure, files};
use program_contract::money::Fen;

/// Longest configuration file, bytes.
const MOST: u64 = 1 << 16;

/// The configuration file. Paths are relative to the file's own folder.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The terminal's key file.
    pub(crate) key: PathBuf,
    /// The terminal's own folder (mode 0700), made when it is not there.
    pub(crate) state: PathBuf,
    /// Full name of the reader; without it, the one that a card lies on.
    #[serde(default)]
    pub(crate) reader: Option<String>,
    /// `refuse` (default), or `grace`.
    #[serde(default)]
    pub(crate) stale_list: StaleList,
    /// Bound on the time of TAP, milliseconds.
    #[serde(default)]
    pub(crate) tap_limit_ms: Option<u64>,
    /// How long a result stays on the screen, milliseconds.
    #[serde(default)]
    pub(crate) show_ms: Option<u64>,
    /// Whether the terminal's bell rings; default true.
    #[serde(default)]
    pub(crate) bell: Option<bool>,
    /// Folder to take files of the office from while running.
    #[serde(default)]
    pub(crate) from: Option<PathBuf>,
    /// Folder to put files for the office into when the program ends.
    #[serde(default)]
    pub(crate) to: Option<PathBuf>,
    /// Published rule sets (TOML), for the names of services.
    #[serde(default)]
    pub(crate) rules: Vec<PathBuf>,
    /// Longest time that a card may take for one command, milliseconds.
    #[serde(default)]
    pub(crate) exchange_ms: Option<u64>,
    /// Days that files stay in the terminal after they were handed out.
    #[serde(default)]
    pub(crate) keep_days: Option<u16>,
    /// A shop's own limit for one payment, in yuan, as a text.
    #[serde(default, deserialize_with = "amount")]
    pub(crate) largest_amount: Option<Fen>,
}

fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Fen>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

impl Config {
    /// Reads a configuration file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = files::read(path, MOST)?;
        let wrong = |why: &dyn Said| failure::config_damaged(path.display(), why);
        let text = String::from_utf8(bytes).map_err(|_| wrong(&Words("不是 UTF-8 文本", "no UTF-8")))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| wrong(&error.message()))?;
        let base = path.parent().unwrap_or_else(|| Path::new(""));
        for path in [&mut config.key, &mut config.state] {
            *path = base.join(&*path);
        }
        let more = [&mut config.from, &mut config.to].into_iter().flatten();
        for path in more.chain(&mut config.rules) {
            *path = base.join(&*path);
        }
        Ok(config)
    }

    pub(crate) fn tap_limit(&self) -> Option<Duration> {
        self.tap_limit_ms.map(Duration::from_millis)
    }

    pub(crate) fn exchange_limit(&self) -> Option<Duration> {
        self.exchange_ms.map(Duration::from_millis)
    }

    pub(crate) fn show(&self) -> Duration {
        Duration::from_millis(self.show_ms.unwrap_or(2500))
    }

    pub(crate) fn bell(&self) -> bool {
        self.bell.unwrap_or(true)
    }

    pub(crate) fn keep_days(&self) -> u16 {
        self.keep_days.unwrap_or(90)
    }
}

#[cfg(test)]
mod tests {
    use program_contract::Exit;

    use super::*;

    fn config(text: &str) -> Result<Config, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("terminal.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn the_safe_defaults_hold_where_nothing_is_said() {
        let config = config("key = \"gate.key\"\nstate = \"state\"\n").unwrap();
        assert_eq!(config.stale_list, StaleList::Refuse);
        assert!(config.key.is_absolute() && config.key.ends_with("gate.key"));
        assert!(config.tap_limit().is_none() && config.bell());
    }

    #[test]
    fn an_unknown_key_a_wrong_value_and_a_missing_key_are_refused() {
        for text in [
            "key = \"k\"\nstate = \"s\"\nstale-list = \"grace\"\n",
            "key = \"k\"\nstate = \"s\"\nstale_list = \"accept\"\n",
            "key = \"k\"\nstate = \"s\"\nlargest_amount = \"-3\"\n",
            "key = \"k\"\nstate = \"s\"\nlargest_amount = 3\n",
            "state = \"s\"\n",
            "key = ",
        ] {
            let failure = config(text).unwrap_err();
            assert_eq!(
                (&*failure.code, failure.exit),
                ("CONFIG_DAMAGED", Exit::Usage),
                "{text}"
            );
        }
    }
}
