//! Whether the code on a card's back is genuine, and whether its card counts: the browser learns it by itself. It gets the whole signed list
//! of numbers that count no more, and both keys; no request names a card, so that nobody here learns which one was looked at.
//!
//! Left out: a check without scripts, which would have to name the card (`issuer verify-qr` does it offline); pictures, which a scanner reads.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use issuer_office::error::OfficeError;
use issuer_production::EndedList;
use jiff::SignedDuration;

use crate::answer;
use crate::counter::Counter;
use crate::everybody::frame_of;
use crate::form::Fields;
use crate::frame::Frame;
use crate::kept_list::Kept;

/// For how long a list is given out that was made once: whoever asks often makes nobody count.
const KEPT: SignedDuration = SignedDuration::from_secs(60);

#[derive(Template)]
#[template(path = "check.html")]
struct CheckPage {
    frame: Frame,
    here: &'static str,
    /// Both public keys, hex; none where this office has none.
    keys: Option<(String, String)>,
    /// The day of the office: by it the browser judges how old a list is.
    today: String,
}

/// `GET /check`.
pub(crate) async fn page(State(counter): State<Counter>, headers: HeaderMap, fields: Fields) -> Response {
    let frame = frame_of(&counter, &headers, &fields);
    let public = counter.public();
    let page = CheckPage {
        keys: public
            .document_signer
            .zip(public.key.as_ref())
            .map(|(signer, key)| (hex::encode(signer), hex::encode(key.public()))),
        today: counter.office().clock().today().to_string(),
        here: "/check",
        frame,
    };
    answer::page(StatusCode::OK, &page)
}

/// `GET /check/ended`: the whole list, the same for everybody.
pub(crate) async fn ended(State(counter): State<Counter>) -> Response {
    match list(&counter).await {
        Ok(Some(text)) => (
            [
                (CONTENT_TYPE, "text/plain; charset=us-ascii"),
                (CACHE_CONTROL, "public, max-age=60"),
            ],
            text.to_string(),
        )
            .into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::warn!(code = error.code(), "the list of ended numbers could not be made");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn list(counter: &Counter) -> Result<Option<Arc<str>>, OfficeError> {
    let public = counter.public();
    let (Some(signer), Some(key)) = (public.document_signer, public.key.as_ref()) else {
        return Ok(None);
    };
    let office = counter.office();
    let now = office.clock().now();
    // One makes it, and whoever comes meanwhile gets the same.
    let mut kept = counter.ended().lock().await;
    let is_new = |kept: &Kept| now >= kept.made && now.duration_since(kept.made) < KEPT;
    if let Some(kept) = kept.as_ref().filter(|kept| is_new(kept)) {
        return Ok(Some(Arc::clone(&kept.text)));
    }
    let numbers = match office.ended_numbers().await {
        Ok(numbers) => numbers,
        // Its day says how old it is: an earlier one is better than none while the ledger is away.
        Err(error) => {
            let earlier = kept.as_ref().map(|kept| Some(Arc::clone(&kept.text)));
            return earlier.ok_or(error);
        }
    };
    let list = EndedList {
        signer,
        day: office.clock().today(),
        numbers,
    };
    let text: Arc<str> = list.signed(key).into();
    *kept = Some(Kept {
        made: now,
        text: Arc::clone(&text),
    });
    Ok(Some(text))
}
