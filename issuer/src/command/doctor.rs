//! `issuer doctor`: looks at everything that work needs and says what is wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use issuer_office::random::Random;
use issuer_office::readiness::{Check, CheckNow};
use program_contract::language::{Line, Words};
use program_contract::{Clock, Exit, Failure, Language, Outcome, line};
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
    checks: Vec<CheckNow>,
}

impl Doctor {
    /// Looks at everything that work needs and says what is wrong.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let installation = self.place.open()?;
        let office = self.place.office(&installation, clock, random).await?;
        let mut checks = vec![Check::passed("fonts")];
        let key = match issuer_production::ServiceKey::load(&installation.service_key_path()) {
            Ok(key) => {
                checks.push(Check::passed("service_key"));
                Some(key)
            }
            Err(error) => {
                checks.push(Check::failed("service_key", error));
                None
            }
        };
        checks.push(match installation.staff() {
            Ok(_) => Check::passed("staff"),
            Err(error) => Check::failed("staff", error),
        });
        checks.push(rights(&self.place.dir, &installation.staff_path()));
        checks.push(match office.verify_ledger().await {
            Ok(_) => Check::passed("ledger_chain"),
            Err(error) => Check::failed("ledger_chain", error),
        });
        checks.extend(office.checks().await);
        if let Some(key) = &key {
            let issuer = &installation.config().issuer;
            checks.push(issuer_production::check_enrolment(&office, key, issuer).await);
        }
        checks.push(issuer_production::check_reader().await);
        let lines: Vec<Line> = checks.iter().map(finding).collect();
        let language = Language::of_process();
        let now: Vec<CheckNow> = checks.iter().map(|check| check.now(language)).collect();
        let failures = || checks.iter().filter_map(|check| check.failure.as_ref());
        if failures().next().is_none() {
            return Outcome::done("yzt.doctor/1", &Diagnosis { checks: now }, lines);
        }
        let failed: Vec<&str> = now
            .iter()
            .filter(|check| !check.ok)
            .map(|check| check.name)
            .collect();
        // What is only away comes back by itself or by its keepers; anything else has to be mended here.
        let away = failures().all(|failure| failure.exit == Exit::Absent);
        let exit = if away { Exit::Absent } else { Exit::Damaged };
        let mut failure = failure::not_ready(failed.join(", "));
        failure.exit = exit;
        failure
            .fields
            .insert("checks".into(), serde_json::to_value(&now).unwrap_or_default());
        failure.lines = lines;
        Err(failure)
    }
}

/// Whether the folder is its owner's alone, and nobody else writes who may do what.
fn rights(folder: &Path, staff: &Path) -> Check {
    let mode = |path: &Path| std::fs::metadata(path).map(|found| found.permissions().mode());
    // A file that is missing is another check's.
    if mode(folder).is_ok_and(|mode| mode & 0o077 != 0) {
        return Check::failed("rights", failure::exposed(folder.display(), "700"));
    }
    if mode(staff).is_ok_and(|mode| mode & 0o022 != 0) {
        return Check::failed("rights", failure::exposed(staff.display(), "600"));
    }
    Check::passed("rights")
}

/// A check as a person reads it: what was looked at, and where it failed what happened and what to do.
fn finding(check: &Check) -> Line {
    let name = match check.name {
        "fonts" => Words("卡面字体", "fonts"),
        "service_key" => Words("服务密钥", "service_key"),
        "staff" => Words("工作人员", "staff"),
        "ledger_chain" => Words("台账链", "ledger_chain"),
        "ledger" => Words("台账", "ledger"),
        "vault" => Words("密钥库", "vault"),
        "photo_store" => Words("照片库", "photo_store"),
        "clock" => Words("时钟", "clock"),
        "cards" => Words("所制的卡", "cards"),
        "enrolment" => Words("密钥库登记", "enrolment"),
        "rights" => Words("权限", "rights"),
        "reader" => Words("读卡器", "reader"),
        other => Words(other, other),
    };
    match &check.failure {
        None => line!(name, ": ", Words("正常", "ok")),
        Some(failure) => {
            let (message, action) = &failure.chinese;
            line!(
                name,
                ": ",
                failed_check(
                    &failure.code,
                    (
                        message.trim_end_matches('。'),
                        failure.message.trim_end_matches('.')
                    ),
                    (action, &failure.action)
                )
            )
        }
    }
}

program_contract::sentences! {
    fn failed_check(code, message, action) = "{code}：{message}。{action}", "{code}: {message}. {action}";
}
