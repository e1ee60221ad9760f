//! The camera of the photo: a page of its own, which alone may use one, and what the office says of what the camera sees.
//!
//! The hints come from the checks that a photo store makes of every photo, on a small picture that nobody keeps; whether a photo is taken is
//! decided by those checks when it is submitted. Left out: the still itself, which is a photo file like another (`photo`).

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse as _;
use issuer_office::error::OfficeError;
use issuer_office::photo::TAKES;
use permit_domain::ApplicationId;
use photo_store_protocol::{CheckCode, Judgement};

use crate::answer::{self, Answer};
use crate::counter::Counter;
use crate::frame::Frame;
use crate::person::Person;

/// The header by which a browser lets a page use the camera, and nothing else of the machine.
pub(crate) const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
const CAMERA_ALONE: HeaderValue =
    HeaderValue::from_static("camera=(self), microphone=(), geolocation=(), usb=()");
/// Says to the script whether the picture would do.
const READY: HeaderName = HeaderName::from_static("x-yzt-ready");

/// Of the height of the picture, a face's width: closer by than this it is too large for the frame of a permit photo, farther away it is
/// enlarged (GA 461: 207 of 441 pixels, with room above and below).
const WIDEST: f64 = 0.50;
const NARROWEST: f64 = 0.26;
/// How far a face's middle may lie from the outline's, of the picture's height.
const ASTRAY: f64 = 0.10;
/// The outline's middle, of the picture's height.
const MIDDLE: f64 = 0.47;

#[derive(Template)]
#[template(path = "camera.html")]
struct CameraPage {
    frame: Frame,
    id: ApplicationId,
    name: String,
}

/// `GET /counter/cases/{application}/camera`.
pub(crate) async fn page(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
) -> Answer {
    person.acting_as_any(TAKES)?;
    let case = async { counter.office().application(application.parse()?).await };
    let case = case.await.map_err(|error: OfficeError| person.refused(error))?;
    let page = CameraPage {
        frame: person.frame,
        id: case.application.id(),
        name: case.applicant.name.to_string(),
    };
    let mut response = answer::page(StatusCode::OK, &page);
    response.headers_mut().insert(PERMISSIONS, CAMERA_ALONE);
    Ok(response)
}

/// `POST /counter/cases/{application}/camera/frame`: what is to be done about what the camera sees, in words; nothing where the photo store
/// has a photo to judge just now.
pub(crate) async fn frame(State(counter): State<Counter>, person: Person, picture: Bytes) -> Answer {
    person.acting_as_any(TAKES)?;
    let judged = counter.office().judge_frame(picture.to_vec()).await;
    let (ready, words) = match judged.map_err(|error| person.refused(error))? {
        None => return Ok(StatusCode::NO_CONTENT.into_response()),
        Some(judgement) => hint(&person.frame, &judgement),
    };
    let ready = HeaderValue::from_static(if ready { "yes" } else { "no" });
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (READY, ready),
    ];
    Ok((headers, words).into_response())
}

/// Whether the picture would do, and the first thing to be done about it: one at a time, as a photographer says it.
fn hint(frame: &Frame, judgement: &Judgement) -> (bool, String) {
    let failed = |code: CheckCode| {
        judgement
            .checks
            .iter()
            .any(|check| check.code == code && !check.passed)
    };
    let Some(face) = judgement.faces.first() else {
        return (
            false,
            frame
                .t(
                    "看不到人脸：请正对镜头，光线要够。",
                    "No face is seen: look straight into the camera, in good light.",
                )
                .to_owned(),
        );
    };
    let (width, height) = (f64::from(judgement.width), f64::from(judgement.height));
    let share = f64::from(face.w) / height;
    let across = (f64::from(face.x) + f64::from(face.w) / 2.0 - width / 2.0) / height;
    let down = (f64::from(face.y) + f64::from(face.h) / 2.0) / height - MIDDLE;
    let words = if failed(CheckCode::SecondFace) {
        frame.t(
            "画面中还有别人：请旁人离开。",
            "Somebody else is in the picture: ask them to leave it.",
        )
    } else if share < NARROWEST {
        frame.t("太远：请靠近一些。", "Too far: come closer.")
    } else if share > WIDEST {
        frame.t("太近：请后退一些。", "Too close: step back.")
    } else if across.abs() > ASTRAY || down.abs() > ASTRAY {
        frame.t(
            "没有居中：请把头部对准轮廓。",
            "Not in the middle: bring the head into the outline.",
        )
    } else if failed(CheckCode::Exposure) || failed(CheckCode::DynamicRange) {
        frame.t(
            "太暗、太亮或逆光：请调整光线。",
            "Too dark, too bright or lit from behind: change the light.",
        )
    } else if failed(CheckCode::Turned) || failed(CheckCode::HeadPose) {
        frame.t(
            "请正对镜头，头部端正。",
            "Look straight into the camera, the head upright.",
        )
    } else if failed(CheckCode::Background) || failed(CheckCode::BackgroundEvenness) {
        frame.t("背景不是均匀的白色。", "The background is not evenly white.")
    } else {
        return (true, frame.t("可以拍摄。", "Ready.").to_owned());
    };
    (false, words.to_owned())
}
