//! `issuer doctor`: looks at everything that work needs and says what is wrong.

use issuer_office::random::Random;
use issuer_office::readiness::Check;
use program_contract::{Clock, Exit, Failure, Outcome};
use serde::Serialize;

use crate::command::failure;
use crate::command::place::Place;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Serialize)]
struct Diagnosis {
    checks: Vec<Check>,
}

impl Doctor {
    /// Looks at everything that work needs and says what is wrong.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let installation = self.place.open()?;
        let office = self.place.office(&installation, clock, random).await?;
        let mut checks = vec![Check::passed("fonts")];
        checks.push(
            match issuer_production::ServiceKey::load(&installation.service_key_path()) {
                Ok(_) => Check::passed("service_key"),
                Err(error) => Check::failed("service_key", &error),
            },
        );
        checks.push(match installation.staff() {
            Ok(_) => Check::passed("staff"),
            Err(error) => Check::failed("staff", &error),
        });
        checks.push(match office.verify_ledger().await {
            Ok(_) => Check::passed("ledger_chain"),
            Err(error) => Check::failed("ledger_chain", &error),
        });
        checks.extend(office.checks().await);
        checks.push(issuer_production::check_reader().await);
        let lines: Vec<String> = checks
            .iter()
            .map(|check| match (&check.code, &check.action) {
                (Some(code), Some(action)) => format!("{:<14} {code}: {action}", check.name),
                _ => format!("{:<14} ok", check.name),
            })
            .collect();
        if checks.iter().all(|check| check.ok) {
            return Outcome::done("yzt.doctor/1", &Diagnosis { checks }, lines);
        }
        let failed: Vec<&str> = checks
            .iter()
            .filter(|check| !check.ok)
            .map(|check| check.name)
            .collect();
        // What is only away comes back by itself or by its keepers; anything else has to be mended here.
        let away = checks.iter().all(|check| check.ok || check.exit == Exit::Absent);
        let exit = if away { Exit::Absent } else { Exit::Damaged };
        let mut failure = failure::not_ready(failed.join(", "));
        failure.exit = exit;
        failure
            .fields
            .insert("checks".into(), serde_json::to_value(&checks).unwrap_or_default());
        failure.lines = lines;
        Err(failure)
    }
}
