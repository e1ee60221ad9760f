//! `GET /counter/kit`, in a rehearsal installation alone: every element of the pages in every state, for whoever changes the style, for
//! axe-core and for pictures. Nothing on it does anything.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::ToSpan as _;

use crate::answer::{self, Answer, Told};
use crate::counter::Counter;
use crate::failure;
use crate::frame::Frame;
use crate::lists;
use crate::person::Person;
use crate::stands::Deadline;

#[derive(Template)]
#[template(path = "kit.html")]
struct Kit {
    frame: Frame,
    told: Told,
    /// One of each light.
    clocks: Vec<Deadline>,
    steps: [(&'static str, &'static str); 5],
}

/// The page.
pub(crate) async fn page(State(counter): State<Counter>, person: Person) -> Answer {
    if !person.frame.rehearsal {
        return Err(lists::nowhere(person).await);
    }
    let today = counter.office().clock().today();
    let frame = person.frame;
    let kit = Kit {
        told: Told::of(&failure::no_reader(), &frame),
        clocks: [9, 2, -3]
            .into_iter()
            .filter_map(|days| Deadline::of(today.checked_add(days.days()).ok(), today))
            .collect(),
        steps: [
            ("done", frame.t("分配空白卡和卡号", "Blank and card number")),
            ("done", frame.t("写卡", "Encode")),
            ("doing", frame.t("绘制卡面", "Draw the faces")),
            ("to-do", frame.t("回读核验", "Read back and verify")),
            ("to-do", frame.t("激活并发放", "Activate and hand over")),
        ],
        frame,
    };
    Ok(answer::page(StatusCode::OK, &kit))
}
