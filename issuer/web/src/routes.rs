//! The way from an address to its page, and what every answer says to the browser.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::Next;
use axum::response::{Redirect, Response};
use axum::routing::{any, get, post};

use crate::counter::Counter;
use crate::form::FORM_LIMIT;
use crate::{
    accounts, allow, assets, camera, case, cases, change, check, closing, correction, dashboard, decide,
    doctor, draft, enrolment, evaluations, events, faces, facts, holder, intake, kit, lists, load, notice,
    order, paper, person, photo, proof, reading, scans, scraps, settlement, sign_in, signing, signing_keys,
    status, stock, terminals, uncollected, view,
};

/// Nothing from anywhere else, no script or style inside a page, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The largest picture, bytes: the photo store refuses smaller ones already and says why.
const PHOTO_LIMIT: usize = 16_000_000;
/// The largest form with pages of a paper, bytes: several at once.
const SCANS_LIMIT: usize = 32_000_000;

impl Counter {
    /// The routes, all below `/counter` but for the way there and the pages for everybody.
    pub fn router(self) -> Router {
        // What is not easily taken back asks for a proof that the person is there.
        let with_proof = Router::new()
            .route(
                "/counter/authenticators",
                get(enrolment::page).post(enrolment::enrol),
            )
            .route("/counter/authenticators/remove", post(enrolment::remove))
            .route("/counter/accounts/recoveries", post(accounts::ask))
            .route("/counter/accounts/recoveries/confirm", post(accounts::confirm))
            .route(
                "/counter/cases/{application}/withdraw",
                post(correction::withdraw),
            )
            .route("/counter/permits/{permit}/card", post(holder::card))
            .route("/counter/permits/{permit}/changes", post(holder::propose))
            .route("/counter/scraps/{serial}/destroyed", post(scraps::destroyed))
            .route("/counter/orders/{order}/reject", post(order::reject))
            .route("/counter/day", get(closing::page).post(closing::close))
            .route("/counter/paper/{number}/void", post(paper::void))
            .merge(signing_key_forms())
            .route_layer(axum::middleware::from_fn_with_state(
                self.clone(),
                proof::of_presence,
            ));
        Router::new()
            .route("/", get(|| async { Redirect::to("/counter") }))
            .route("/counter", get(lists::home))
            .route("/counter/sign-in", get(sign_in::page).post(sign_in::sign_in))
            .route("/counter/sign-out", post(sign_in::sign_out))
            .route("/counter/view", post(view::view))
            .route("/counter/events", get(events::events))
            .route("/counter/kit", get(kit::page))
            .route("/counter/lists/{list}", get(lists::list))
            .route("/counter/holders", get(holder::search).post(holder::look_up))
            .route("/counter/permits/{permit}", get(holder::page))
            .route(
                "/counter/permits/{permit}/facts/{kind}",
                get(facts::page).post(facts::propose),
            )
            .route("/counter/permits/{permit}/load", get(load::page).post(load::load))
            .route("/counter/permits/{permit}/purse", post(load::see))
            .route("/counter/cards/{card}/allow", get(allow::page).post(allow::allow))
            .route("/counter/scraps", get(scraps::page).post(scraps::set_blank_aside))
            .route("/counter/scraps/{serial}/put-back", post(scraps::put_back))
            .route("/counter/stock", get(stock::page))
            .route("/counter/stock/received", post(stock::receive))
            .route("/counter/stock/counted", post(stock::count))
            .route("/counter/stock/recalled", post(stock::recall))
            .route("/counter/uncollected", get(uncollected::page))
            .route("/counter/uncollected/{order}/notice", post(uncollected::notice))
            .route("/counter/settlement", get(settlement::terminals))
            .route("/counter/settlement/{tid}", get(settlement::report))
            .route("/counter/changes/{change}", get(change::page))
            .route("/counter/changes/{change}/sign-off", post(change::sign_off))
            .route("/counter/changes/{change}/receipt", get(load::receipt))
            .route("/counter/changes/{change}/write", post(change::write))
            .route("/counter/changes/{change}/give-up", post(change::give_up))
            .route("/counter/orders/here", post(faces::here))
            .route("/counter/orders/{order}", get(order::page))
            .route("/counter/orders/{order}/faces", get(faces::page))
            .route("/counter/orders/{order}/front.png", get(faces::front))
            .route("/counter/orders/{order}/back.png", get(faces::back))
            .route("/counter/orders/{order}/make", post(order::make))
            .route("/counter/orders/{order}/hand-over", post(order::hand_over))
            .route("/counter/accounts", get(accounts::page))
            .merge(with_proof)
            .merge(applications())
            .merge(chief())
            .merge(paper_forms())
            .merge(beside_the_intake())
            .route("/status", get(status::page).post(status::look))
            .route("/status/evaluate", post(status::evaluate))
            .route("/check", get(check::page))
            .route("/check/ended", get(check::ended))
            .route("/counter/{*elsewhere}", any(lists::nowhere))
            .layer(DefaultBodyLimit::max(FORM_LIMIT))
            .merge(uploads())
            .method_not_allowed_fallback(lists::form_alone)
            .layer(axum::middleware::from_fn(person::from_our_own_pages))
            .route("/counter/assets/{name}", get(assets::asset))
            .layer(axum::middleware::from_fn(closed))
            .with_state(self)
    }
}

/// From the intake of an application to the order of its card.
fn applications() -> Router<Counter> {
    Router::new()
        .route("/counter/intake", get(intake::page).post(intake::file))
        .route("/counter/intake/number", get(intake::number))
        .route("/counter/intake/draft", post(draft::save))
        .route("/counter/intake/draft/drop", post(draft::drop))
        .route("/counter/intake/notice", post(notice::notice))
        .route("/counter/cases", get(cases::search).post(cases::find))
        .route("/counter/cases/{application}", get(case::page))
        .route("/counter/cases/{application}/slip", get(case::slip))
        .route(
            "/counter/cases/{application}/correct",
            get(correction::page).post(correction::file),
        )
        .route("/counter/cases/{application}/sign/{step}", get(signing::to_sign))
        .route("/counter/signed", get(signing::signed))
        .route("/counter/cases/{application}/complete", post(decide::complete))
        .route("/counter/cases/{application}/review", post(decide::review))
        .route("/counter/cases/{application}/sign-off", post(decide::sign_off))
        .route("/counter/cases/{application}/order", post(order::order))
        .route("/counter/cases/{application}/photos/{photo}", get(photo::look))
        .route(
            "/counter/cases/{application}/photos/{photo}/confirm",
            post(photo::confirm),
        )
}

/// Who signs, for administrators.
fn signing_key_forms() -> Router<Counter> {
    Router::new()
        .route(
            "/counter/signing-keys",
            get(signing_keys::page).post(signing_keys::propose),
        )
        .route("/counter/signing-keys/new", post(signing_keys::new))
        .route("/counter/signing-keys/confirm", post(signing_keys::confirm))
        .route("/counter/signing-keys/remove", post(signing_keys::remove))
}

/// What a clerk does beside the form of the intake.
fn beside_the_intake() -> Router<Counter> {
    Router::new()
        .route("/counter/intake/read", post(reading::read))
        .route("/counter/cases/{application}/camera", get(camera::page))
        .route("/counter/cases/{application}/papers/{page}", get(scans::look))
        .route(
            "/counter/cases/{application}/papers/{page}/remove",
            post(scans::remove),
        )
}

/// Forms and scripts that bring files, each with its largest.
fn uploads() -> Router<Counter> {
    let with_photos = Router::new()
        .route("/counter/cases/{application}/photos", post(photo::take))
        .route("/counter/permits/{permit}/photos", post(facts::take_photo))
        .layer(DefaultBodyLimit::max(PHOTO_LIMIT));
    let with_frames = Router::new()
        .route("/counter/cases/{application}/camera/frame", post(camera::frame))
        .layer(DefaultBodyLimit::max(
            photo_store_protocol::MAX_CAMERA_FRAME_BYTES,
        ));
    let with_scans = Router::new()
        .route("/counter/cases/{application}/papers", post(scans::keep))
        .layer(DefaultBodyLimit::max(SCANS_LIMIT));
    with_photos.merge(with_scans).merge(with_frames)
}

/// Of whoever answers for the office, and for its terminals.
fn chief() -> Router<Counter> {
    Router::new()
        .route("/counter/dashboard", get(dashboard::page))
        .route("/counter/days/{day}", get(closing::day))
        .route("/counter/doctor", get(doctor::page))
        .route(
            "/counter/terminals",
            get(terminals::page).post(terminals::counters),
        )
        .route("/counter/evaluations", get(evaluations::page))
}

/// Of hours without the system.
fn paper_forms() -> Router<Counter> {
    Router::new()
        .route("/counter/paper", get(paper::page).post(paper::give_out))
        .route("/counter/paper/{number}", get(paper::form).post(paper::keep))
        .route("/counter/paper/{number}/sheets/{count}", get(paper::sheets))
        .route("/counter/paper/{number}/confirm", post(paper::confirm))
        .route("/counter/paper/{number}/return", post(paper::send_back))
}

/// What every answer says to the browser: nothing of anybody else's in the page, nothing of the page for anybody else, and nothing
/// kept.
async fn closed(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    // The page of the camera says otherwise.
    headers
        .entry(camera::PERMISSIONS)
        .or_insert(HeaderValue::from_static(
            "camera=(), microphone=(), geolocation=(), usb=()",
        ));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
