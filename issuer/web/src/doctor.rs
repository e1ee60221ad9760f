//! Everything that work needs, each checked by doing it, and what to do about what fails: `issuer doctor` as a page.
//!
//! Left out: files of the machine, such as rights and keys, which the command looks at where they lie.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::readiness::Check;

use crate::answer::{self, Answer, Told};
use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::roles::LOOKS;

/// A check, as a page shows it.
pub(crate) struct Found {
    pub(crate) name: &'static str,
    /// Why it cannot be used, and what to do; none where it can.
    pub(crate) told: Option<Told>,
    /// What cannot be done meanwhile.
    pub(crate) without: &'static str,
}

#[derive(Template)]
#[template(path = "doctor.html")]
struct DoctorPage {
    frame: Frame,
    at: String,
    checks: Vec<Found>,
    /// How many links the ledger's chain has, once it was read.
    chain: Option<i64>,
}

/// `GET /counter/doctor`; with `chain=read` it reads the whole ledger too.
pub(crate) async fn page(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    person.acting_as_any(&LOOKS)?;
    let office = counter.office();
    let frame = person.frame.clone();
    let mut checks = vec![match counter.staff().now() {
        Ok(_) => Check::passed("staff"),
        Err(error) => Check::failed("staff", error),
    }];
    checks.extend(office.checks().await);
    if counter.desk().is_some_and(|desk| !desk.makes_by_itself()) {
        checks.push(issuer_production::check_reader().await);
    }
    let mut chain = None;
    if fields.text("chain") == "read" {
        match office.verify_ledger().await {
            Ok(state) => chain = Some(state.entries),
            Err(error) => checks.push(Check::failed("ledger_chain", error)),
        }
    }
    let page = DoctorPage {
        at: crate::stands::minute(office.clock().now()),
        checks: checks.iter().map(|check| found(&frame, check)).collect(),
        chain,
        frame,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

/// A check in the words of a frame.
pub(crate) fn found(frame: &Frame, check: &Check) -> Found {
    let (name, without) = match check.name {
        "staff" => (
            frame.t("工作人员名册", "Staff"),
            frame.t("无人能登录。", "Nobody signs in."),
        ),
        "ledger" => (
            frame.t("台账", "Ledger"),
            frame.t(
                "各项业务均不能办理；请用纸质受理单受理。",
                "Nothing can be done here; take applications on paper forms.",
            ),
        ),
        "ledger_chain" => (
            frame.t("台账链", "Chain of the ledger"),
            frame.t(
                "台账被改动过：请停办并报告。",
                "The ledger was changed: stop work and report it.",
            ),
        ),
        "vault" => (
            frame.t("密钥库", "Vault"),
            frame.t(
                "不能制证、发证、写卡；受理、审核、审批照常。挂失已记录，停用名单待恢复后生效。",
                "No card is made, handed over or written; intake, review and sign-off go on. Losses are kept, and reach the deny lists later.",
            ),
        ),
        "photo_store" => (
            frame.t("照片库", "Photo store"),
            frame.t(
                "不能采集和查看照片，不能下达制证单；受理、审核、审批照常。",
                "No photo is taken or seen and no card ordered; intake, review and sign-off go on.",
            ),
        ),
        "clock" => (
            frame.t("时钟", "Clock"),
            frame.t("不能写入台账。", "Nothing is written to the ledger."),
        ),
        "cards" => (
            frame.t("所制的卡", "Cards that were made"),
            frame.t("请勿继续制证。", "Make no more cards."),
        ),
        "reader" => (
            frame.t("读卡器", "Reader"),
            frame.t(
                "本机不能制证和发证；其他业务照常。",
                "No card is made or handed over at this machine; all else goes on.",
            ),
        ),
        other => (other, ""),
    };
    Found {
        name,
        told: check
            .failure
            .as_ref()
            .map(|failure| Told::to_administrators(failure, frame)),
        without,
    }
}
