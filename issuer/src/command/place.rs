//! Which installation and which day a command works in, and the signals that end a service.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use issuer_office::office::Office;
use issuer_office::random::Random;
use issuer_production::Production;
use jiff::civil::Date;
use program_contract::language::Words;
use program_contract::{Clock, Failure, Founded};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::command::failure;
use crate::installation::Installation;

/// Time that running requests have when the server is told to stop.
pub(super) const GRACE: Duration = Duration::from_secs(20);

/// Longest applicant file, bytes.
pub(super) const MAX_APPLICANT: u64 = 1 << 20;

/// Longest anchors file, bytes.
pub(super) const MAX_ANCHORS: u64 = 1 << 16;

/// The file that an argument names: `-` is standard input, which has a name too and is bounded like a file.
pub(super) fn or_standard_input(path: &Path) -> &Path {
    if path.as_os_str() == "-" {
        Path::new("/dev/stdin")
    } else {
        path
    }
}

/// A word as a shell takes it.
fn typed(word: &str) -> String {
    let plain = |sign: char| sign.is_alphanumeric() || "-_./".contains(sign);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Which installation, which day.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Place {
    /// The installation's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// A settings file in place of DIR/issuer.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Work as if it were this day, YYYY-MM-DD; in a rehearsal installation alone.
    #[arg(long, value_name = "DATE")]
    at: Option<Date>,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

impl Place {
    /// What a command that is printed for somebody to type needs to work here too, with a blank before it.
    pub(super) fn here(&self) -> String {
        let path = |path: &Path| typed(&path.display().to_string());
        let mut here = format!(" --dir {}", path(&self.dir));
        if let Some(config) = &self.config {
            here = format!("{here} --config {}", path(config));
        }
        if let Some(at) = self.at {
            here = format!("{here} --at {at}");
        }
        here
    }

    pub(super) fn open(&self) -> Result<Installation, Failure> {
        // Else the database would be the first to miss it, and the advice would be to start one.
        match std::fs::metadata(&self.dir) {
            Ok(found) if found.is_dir() => {}
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(Failure::file(Words("进入", "enter"), &self.dir, &error));
            }
            Ok(_) | Err(_) => return Err(failure::no_installation(self.dir.display())),
        }
        Ok(Installation::open(&self.dir, self.config.as_deref())?)
    }

    /// The installation of a new office, whose folder may not be there yet.
    pub(super) fn open_new(&self) -> Result<Installation, Failure> {
        Ok(Installation::open(&self.dir, self.config.as_deref())?)
    }

    /// The office, on the day that was given; where it is a rehearsal, that is said.
    pub(super) async fn office(
        &self,
        installation: &Installation,
        machine: &Clock,
        random: &Random,
    ) -> Result<Office, Failure> {
        let office = installation.office(machine, self.at, random.clone()).await?;
        announce(&office);
        Ok(office)
    }

    /// Founds the office, and its folder, under the vault with this number.
    pub(super) async fn new_office(
        &self,
        installation: &Installation,
        vault: &[u8; 16],
        machine: &Clock,
        random: &Random,
    ) -> Result<Office, Failure> {
        machine.at(self.at, Founded::around(vault))?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(|error| Failure::file(Words("建立", "make"), &self.dir, &error))?;
        let office = installation
            .new_office(vault, machine, self.at, random.clone())
            .await?;
        announce(&office);
        Ok(office)
    }
}

fn announce(office: &Office) {
    if let Some(banner) = office.founded().banner() {
        program_contract::tell!("issuer: ", banner);
    }
}

/// What every command here needs.
pub(super) struct Context {
    pub(super) place: Place,
    pub(super) installation: Installation,
    pub(super) office: Office,
}

impl Context {
    pub(super) async fn open(place: &Place, clock: &Clock, random: &Random) -> Result<Self, Failure> {
        let installation = place.open()?;
        let office = place.office(&installation, clock, random).await?;
        office.ready().await?;
        Ok(Self {
            place: place.clone(),
            installation,
            office,
        })
    }

    pub(super) fn production(&self) -> Result<Production, Failure> {
        Ok(self.installation.production(self.office.clone())?)
    }
}

/// The signals that end a service, listened to from the moment that this is made.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Stop {
    pub(super) fn listen() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| failure::no_signals(error);
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            hang_up: signal(SignalKind::hangup()).map_err(failed)?,
        })
    }

    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_printed_names_this_place_and_this_day() {
        let place = |dir: &str, at: Option<Date>| Place {
            dir: dir.into(),
            config: None,
            at,
            json: false,
        };
        assert_eq!(place("office", None).here(), " --dir office");
        let day = Some(jiff::civil::date(2027, 11, 22));
        assert_eq!(
            place("/a b/it's", day).here(),
            r" --dir '/a b/it'\''s' --at 2027-11-22"
        );
        let other = Place {
            config: Some("rehearsal.toml".into()),
            ..place("办公", day)
        };
        assert_eq!(
            other.here(),
            " --dir 办公 --config rehearsal.toml --at 2027-11-22"
        );
    }
}
