//! What a holder looks up at home: where the case of their acceptance slip stands, by the receipt number and the code on it; and how they
//! evaluate what they were served with. No session, no name, no script.
//!
//! A number that is none, a code that is not its own and a slip of another office are told in the same words.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use issuer_office::error::OfficeError;
use issuer_office::service::ServiceKind;
use issuer_office::slip::{HolderStatus, Stage, typed_receipt};
use program_contract::Failure;

use crate::answer::{self, Told};
use crate::counter::Counter;
use crate::evaluations::service;
use crate::everybody::frame_of;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage {
    frame: Frame,
    here: &'static str,
    receipt: String,
    /// The code that was right, for the form of the evaluation.
    code: String,
    found: Option<Found>,
    told: Option<Told>,
    thanked: bool,
}

/// What the slip's holder is told.
struct Found {
    stage: &'static str,
    next: &'static str,
    accepted_on: Option<String>,
    issue_by: Option<String>,
    evaluate: Option<&'static str>,
}

/// `GET /status`: `receipt` may stand in the address, as the slip's code has it.
pub(crate) async fn page(State(counter): State<Counter>, headers: HeaderMap, fields: Fields) -> Response {
    let frame = frame_of(&counter, &headers, &fields);
    shown(frame, &fields, StatusCode::OK, None, None, false)
}

/// `POST /status`: `receipt` and `code`.
pub(crate) async fn look(State(counter): State<Counter>, headers: HeaderMap, fields: Fields) -> Response {
    let frame = frame_of(&counter, &headers, &fields);
    match tried(&counter, &fields).await {
        Ok(status) => shown(frame, &fields, StatusCode::OK, Some(status), None, false),
        Err((status, failure)) => shown(frame, &fields, status, None, Some(failure), false),
    }
}

/// `POST /status/evaluate`: `receipt`, `code` and `score`, 1 to 5.
pub(crate) async fn evaluate(State(counter): State<Counter>, headers: HeaderMap, fields: Fields) -> Response {
    let frame = frame_of(&counter, &headers, &fields);
    let (receipt, code) = (&fields.token("receipt"), &fields.token("code"));
    let Ok(score @ 1..=5) = fields.text("score").parse::<u8>() else {
        let status = tried(&counter, &fields).await.ok();
        let told = Some(failure::no_score());
        return shown(
            frame,
            &fields,
            StatusCode::UNPROCESSABLE_ENTITY,
            status,
            told,
            false,
        );
    };
    if let Err((status, failure)) = tried(&counter, &fields).await {
        return shown(frame, &fields, status, None, Some(failure), false);
    }
    let done = counter.office().evaluate(receipt, code, score).await;
    // What stands there now: another service may be left to evaluate.
    let status = counter
        .office()
        .status_of_slip(receipt, code)
        .await
        .ok()
        .flatten();
    match done {
        Ok(()) => shown(frame, &fields, StatusCode::OK, status, None, true),
        Err(error) => {
            let failure = Failure::from(error);
            shown(frame, &fields, StatusCode::CONFLICT, status, Some(failure), false)
        }
    }
}

/// The status of a slip, unless it was tried too often.
async fn tried(counter: &Counter, fields: &Fields) -> Result<HolderStatus, (StatusCode, Failure)> {
    let office = counter.office();
    let (receipt, code) = (&fields.token("receipt"), &fields.token("code"));
    if !counter
        .tries()
        .may_try(&typed_receipt(receipt), office.clock().now())
    {
        return Err((StatusCode::TOO_MANY_REQUESTS, failure::too_often()));
    }
    match office.status_of_slip(receipt, code).await {
        Ok(Some(status)) => Ok(status),
        Ok(None) => Err((StatusCode::NOT_FOUND, failure::no_such_slip())),
        // What is wrong inside is no stranger's business.
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, unreachable(&error))),
    }
}

fn unreachable(error: &OfficeError) -> Failure {
    tracing::warn!(code = error.code(), "a slip could not be looked up");
    failure::not_now()
}

fn shown(
    frame: Frame,
    fields: &Fields,
    status: StatusCode,
    found: Option<HolderStatus>,
    failure: Option<Failure>,
    thanked: bool,
) -> Response {
    let page = StatusPage {
        receipt: fields.token("receipt").chars().take(20).collect(),
        code: if found.is_some() {
            fields.token("code")
        } else {
            String::new()
        },
        found: found.map(|found| said(&frame, &found)),
        told: failure.map(|failure| Told::of(&failure, &frame)),
        here: "/status",
        frame,
        thanked,
    };
    answer::page(status, &page)
}

fn said(frame: &Frame, status: &HolderStatus) -> Found {
    let (stage, next) = match status.stage {
        Stage::NeedsMore => (
            frame.t("待补正材料", "Papers are missing"),
            frame.t(
                "请按一次性告知书补齐材料，到受理窗口提交。",
                "Bring the papers of the notice to the counter that took your application.",
            ),
        ),
        Stage::Accepted => (
            frame.t("已受理，正在审核", "Accepted, being decided"),
            frame.t("无须办理任何手续，请等候。", "There is nothing to do: please wait."),
        ),
        Stage::Refused => (
            frame.t("不予核定", "Not granted"),
            frame.t(
                "请持受理回执和身份证到受理窗口了解理由和救济途径。",
                "Come to the counter with your slip and identity card: you are told why, and how to object.",
            ),
        ),
        Stage::Withdrawn => (
            frame.t("已撤回", "Withdrawn"),
            frame.t(
                "此件已撤回或已另行立案；如有疑问请到受理窗口。",
                "It was withdrawn or filed anew; ask at the counter if you did not expect it.",
            ),
        ),
        Stage::InProduction => (
            frame.t("已批准，正在制证", "Granted, the card is being made"),
            frame.t("无须办理任何手续，请等候。", "There is nothing to do: please wait."),
        ),
        Stage::ToPickUp => (
            frame.t("已制成，可以领取", "Ready to be fetched"),
            frame.t(
                "请本人持居民身份证和受理回执到窗口领取；代领须另带委托书和代领人身份证。",
                "Come with your identity card and the slip; an agent also brings a power of attorney and their own card.",
            ),
        ),
        Stage::HandedOver => (
            frame.t("已领取", "Handed over"),
            frame.t(
                "请在每满一年前的一个月内办理签注；遗失请立即挂失。",
                "Have it endorsed in the month before each full year; report a loss at once.",
            ),
        ),
    };
    Found {
        stage,
        next,
        accepted_on: status.accepted_on.map(|day| day.to_string()),
        issue_by: status.issue_by.map(|day| day.to_string()),
        evaluate: status.to_evaluate.map(|kind: ServiceKind| service(frame, kind)),
    }
}
