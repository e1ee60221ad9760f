//! The HTTP API against the real vault, photo store and ledger: the whole way of a case, every refusal, no personal
//! data in the log, and the committed OpenAPI document.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use issuer_api::{Api, openapi_json};
use issuer_office::staff::{Member, Staff, StaffFile, StaffRole};
use jiff::civil::date;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::fixture;
use crate::fixture::{APPLICANT, Fixture, REFUSED};

fn staff() -> Staff {
    use StaffRole::{Approver, Auditor, HandOverClerk, IntakeClerk, Producer, Reviewer};
    let member = |account: &str, roles: &[StaffRole]| {
        Member::new(
            account.parse().unwrap(),
            roles.to_vec(),
            &format!("token of {account}"),
            date(2026, 12, 31),
        )
    };
    Staff::new(vec![
        member("liu", &[IntakeClerk]),
        member("wang", &[Reviewer, Approver]),
        member("zhao", &[Approver, Producer]),
        member("sun", &[Producer]),
        member("chen", &[HandOverClerk]),
        member("gu", &[Auditor]),
    ])
    .unwrap()
}

/// The staff file of the fixture's installation.
fn staff_file(fixture: &Fixture) -> StaffFile {
    let path = fixture.folder.path().join("staff.toml");
    std::fs::write(&path, staff().to_toml().unwrap()).unwrap();
    StaffFile::at(path)
}

struct Service {
    fixture: Fixture,
    router: axum::Router,
}

struct Answer {
    status: StatusCode,
    kind: String,
    json: Value,
}

impl Service {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let router = Api::new(fixture.office().clone(), staff_file(&fixture)).router();
        Self { fixture, router }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let kind = response
            .headers()
            .get(header::CONTENT_TYPE)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Answer {
            status,
            kind,
            json: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    async fn get(&self, account: &str, path: &str) -> Answer {
        let token = format!("Bearer token of {account}");
        self.send(
            Request::get(path)
                .header(header::AUTHORIZATION, token)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    async fn post(&self, account: &str, key: &str, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer token of {account}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key.replace(' ', "-"))
            .body(body.into())
            .unwrap();
        self.send(request).await
    }

    async fn decide(&self, account: &str, application: &str, step: &str) -> Answer {
        let path = format!("/v1/applications/{application}/decision");
        self.post(
            account,
            &format!("{step} {application}"),
            &path,
            json!({"step": step}).to_string(),
        )
        .await
    }

    async fn approved(&self) -> (String, String) {
        let filed = self
            .post("liu", "key of the case", "/v1/applications", APPLICANT)
            .await;
        let id = filed.json["application_id"].as_str().unwrap().to_owned();
        self.decide("wang", &id, "REVIEW").await;
        let approved = self.decide("zhao", &id, "APPROVE").await;
        (id, approved.json["permit_id"].as_str().unwrap().to_owned())
    }
}

/// What every refusal must be.
fn refused(answer: &Answer, status: StatusCode, code: &str) {
    assert_eq!(
        (answer.status, answer.json["code"].as_str()),
        (status, Some(code)),
        "{}",
        answer.json
    );
    assert_eq!(answer.kind, "application/problem+json");
    assert_eq!(answer.json["status"], status.as_u16());
    assert!(
        answer.json["type"]
            .as_str()
            .unwrap()
            .starts_with("urn:yzt:problem:")
    );
    assert!(
        !answer.json["detail"].as_str().unwrap().is_empty()
            && !answer.json["action"].as_str().unwrap().is_empty()
    );
    let text = answer.json.to_string();
    for secret in ["李娜", "440305198511120028", "科苑路"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_goes_from_application_to_order_over_http() {
    let service = Service::new().await;
    let filed = service
        .post("liu", "key of the case", "/v1/applications", APPLICANT)
        .await;
    assert_eq!(filed.status, StatusCode::CREATED, "{}", filed.json);
    assert_eq!(filed.json["state"], "ACCEPTED");
    let id = filed.json["application_id"].as_str().unwrap().to_owned();

    let reviewed = service.decide("wang", &id, "REVIEW").await;
    assert_eq!(
        (reviewed.status, &reviewed.json["state"]),
        (StatusCode::OK, &json!("REVIEWED"))
    );
    assert_eq!(reviewed.json["decision"]["tier"], "EMPLOYMENT");
    assert!(
        reviewed.json["decision"]["explanation"]
            .as_array()
            .unwrap()
            .iter()
            .all(|line| line["article"].is_string())
    );
    let approved = service.decide("zhao", &id, "APPROVE").await;
    assert_eq!(approved.json["state"], "APPROVED");
    let permit = approved.json["permit_id"].as_str().unwrap().to_owned();
    assert_eq!(
        service.get("chen", &format!("/v1/permits/{permit}")).await.json["state"],
        "APPROVED"
    );

    let receipt = service.fixture.photo(id.parse().unwrap()).await.to_string();
    let body = json!({"permit_id": permit, "photo_receipt": receipt}).to_string();
    let ordered = service
        .post("sun", "key of the order", "/v1/orders", body.clone())
        .await;
    assert_eq!(ordered.status, StatusCode::CREATED, "{}", ordered.json);
    assert_eq!(
        (
            &ordered.json["state"],
            &ordered.json["in_doubt"],
            &ordered.json["next_step"]
        ),
        (&json!("ORDERED"), &json!(false), &json!("ALLOCATE"))
    );
    let order = ordered.json["order_id"].as_str().unwrap().to_owned();
    let again = service.post("sun", "key of the order", "/v1/orders", body).await;
    assert_eq!(again.json, ordered.json, "the same key answers the same order");

    let card = service.fixture.blank();
    service
        .fixture
        .run(order.parse().unwrap(), &mut card.station())
        .await
        .unwrap();
    let status = service.get("sun", &format!("/v1/orders/{order}")).await;
    assert_eq!(
        (&status.json["state"], &status.json["next_step"]),
        (&json!("VERIFIED"), &json!("HAND_OVER"))
    );
    assert_eq!(status.json["card_number"].as_str().unwrap().len(), 13);
    assert_eq!(
        service.get("sun", &format!("/v1/permits/{permit}")).await.json["state"],
        "PRODUCED"
    );
    for answer in [filed, reviewed, approved, ordered, status] {
        let text = answer.json.to_string();
        assert!(
            !text.contains("李娜") && !text.contains("440305198511120028"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_twice_does_its_work_once() {
    let service = Service::new().await;
    let (first, second) = tokio::join!(
        service.post("liu", "the same key", "/v1/applications", APPLICANT),
        service.post("liu", "the same key", "/v1/applications", APPLICANT)
    );
    // One of two at the same moment may be told to look again; a repeat then answers what was made.
    assert!(
        [first.status, second.status].contains(&StatusCode::CREATED),
        "{} {}",
        first.json,
        second.json
    );
    let third = service
        .post("liu", "the same key", "/v1/applications", APPLICANT)
        .await;
    assert_eq!(third.status, StatusCode::CREATED);
    assert_eq!(third.json["state"], "ACCEPTED");
    refused(
        &service
            .post("liu", "the same key", "/v1/applications", fixture::person(1))
            .await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "IDEMPOTENCY_KEY_REUSED",
    );
    refused(
        &service
            .post("liu", "another key", "/v1/applications", APPLICANT)
            .await,
        StatusCode::CONFLICT,
        "APPLICATION_OPEN",
    );
    let id = third.json["application_id"].as_str().unwrap();
    let reviewed = service.decide("wang", id, "REVIEW").await;
    assert_eq!(service.decide("wang", id, "REVIEW").await.json, reviewed.json);
    let approved = service.decide("zhao", id, "APPROVE").await;
    assert_eq!(service.decide("zhao", id, "APPROVE").await.json, approved.json);
    refused(
        &service
            .post("liu", "a third key", "/v1/applications", APPLICANT)
            .await,
        StatusCode::CONFLICT,
        "ALREADY_HAS_PERMIT",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn three_different_people_review_approve_and_produce() {
    let service = Service::new().await;
    let filed = service
        .post("liu", "key of the case", "/v1/applications", APPLICANT)
        .await;
    let id = filed.json["application_id"].as_str().unwrap().to_owned();
    refused(
        &service.decide("zhao", &id, "REVIEW").await,
        StatusCode::FORBIDDEN,
        "ROLE_MISSING",
    );
    refused(
        &service.decide("wang", &id, "APPROVE").await,
        StatusCode::CONFLICT,
        "WRONG_STATE",
    );
    service.decide("wang", &id, "REVIEW").await;
    refused(
        &service.decide("wang", &id, "APPROVE").await,
        StatusCode::FORBIDDEN,
        "SAME_PERSON_TWICE",
    );
    let approved = service.decide("zhao", &id, "APPROVE").await;
    let receipt = service.fixture.photo(id.parse().unwrap()).await.to_string();
    let body = json!({"permit_id": approved.json["permit_id"], "photo_receipt": receipt}).to_string();
    refused(
        &service
            .post("zhao", "key of the order", "/v1/orders", body.clone())
            .await,
        StatusCode::FORBIDDEN,
        "SAME_PERSON_TWICE",
    );
    refused(
        &service
            .post("chen", "key of the order", "/v1/orders", body.clone())
            .await,
        StatusCode::FORBIDDEN,
        "ROLE_MISSING",
    );
    assert_eq!(
        service
            .post("sun", "key of the order", "/v1/orders", body)
            .await
            .status,
        StatusCode::CREATED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_application_names_the_articles_and_grants_nothing() {
    let service = Service::new().await;
    let filed = service
        .post("liu", "key of the case", "/v1/applications", REFUSED)
        .await;
    assert_eq!(filed.status, StatusCode::CREATED, "{}", filed.json);
    let id = filed.json["application_id"].as_str().unwrap().to_owned();
    let decided = service.decide("wang", &id, "REVIEW").await;
    assert_eq!(
        (decided.status, &decided.json["state"]),
        (StatusCode::OK, &json!("REFUSED"))
    );
    assert_eq!(decided.json["decision"]["tier"], Value::Null);
    assert!(
        decided.json["decision"]["explanation"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| line["met"] == json!(false))
    );
    assert_eq!(decided.json["permit_id"], Value::Null);
    refused(
        &service.decide("zhao", &id, "APPROVE").await,
        StatusCode::CONFLICT,
        "WRONG_STATE",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_form_is_told_at_once_and_nothing_is_stored() {
    let service = Service::new().await;
    let wrong = APPLICANT
        .replace("440305198511120028", "440305198511120027")
        .replace("\"2026-02-10\"", "\"2027-02-10\"");
    let answer = service
        .post("liu", "key of the case", "/v1/applications", wrong)
        .await;
    refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, "APPLICANT_FORM");
    let fields: Vec<&str> = answer.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    assert!(
        fields.contains(&"citizen_number") && fields.contains(&"residence.registered_on"),
        "{fields:?}"
    );
    let impossible = APPLICANT.replace("440305198511120028", "440305198513320028");
    refused(
        &service
            .post("liu", "key of the case", "/v1/applications", impossible)
            .await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "APPLICANT_FORM",
    );
    let marriage = APPLICANT.replacen('{', r#"{"marital_status": "single","#, 1);
    refused(
        &service
            .post("liu", "key of the case", "/v1/applications", marriage)
            .await,
        StatusCode::BAD_REQUEST,
        "APPLICANT_FORM",
    );
    refused(
        &service
            .post("liu", "key of the case", "/v1/applications", "{")
            .await,
        StatusCode::BAD_REQUEST,
        "APPLICANT_FORM",
    );
    // Nobody is in the ledger: the right file is taken as new.
    assert_eq!(
        service
            .post("liu", "key of the case", "/v1/applications", APPLICANT)
            .await
            .status,
        StatusCode::CREATED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_cannot_be_printed_stops_the_order_before_a_number_is_spent() {
    for (name, code) in [
        ("李\u{10a0e}", "MISSING_GLYPH"),
        (
            "阿卜杜热合曼阿卜杜外力买买提艾力江吐尔逊阿不都热依木肉孜",
            "TEXT_OVERFLOW",
        ),
    ] {
        let service = Service::new().await;
        let file = APPLICANT.replace("李娜", name);
        let filed = service
            .post("liu", "key of the case", "/v1/applications", file)
            .await;
        assert_eq!(filed.status, StatusCode::CREATED, "{}", filed.json);
        let id = filed.json["application_id"].as_str().unwrap().to_owned();
        service.decide("wang", &id, "REVIEW").await;
        let approved = service.decide("zhao", &id, "APPROVE").await;
        let permit = approved.json["permit_id"].as_str().unwrap().to_owned();
        let receipt = service.fixture.photo(id.parse().unwrap()).await.to_string();
        let body = json!({"permit_id": permit, "photo_receipt": receipt}).to_string();
        let answer = service.post("sun", "key of the order", "/v1/orders", body).await;
        refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, code);
        assert!(answer.json["detail"].as_str().unwrap().contains("name"));
        assert!(!answer.json.to_string().contains(name));
        assert_eq!(
            service.get("sun", &format!("/v1/permits/{permit}")).await.json["state"],
            "APPROVED"
        );
        assert_eq!(service.fixture.office().stock().await.unwrap().allocated, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_another_person_or_a_mistyped_one_orders_nothing() {
    let service = Service::new().await;
    let (_, permit) = service.approved().await;
    let (other, _) = service.fixture.approved(&fixture::person(4)).await;
    let receipt = service.fixture.photo(other).await.to_string();
    let body = |receipt: &str| json!({"permit_id": permit, "photo_receipt": receipt}).to_string();
    refused(
        &service
            .post("sun", "key of the order", "/v1/orders", body(&receipt))
            .await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "WRONG_PERSON",
    );
    refused(
        &service
            .post(
                "sun",
                "key of the order",
                "/v1/orders",
                body("0000-0000-0000-0000"),
            )
            .await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "RECEIPT_MISTYPED",
    );
    refused(
        &service
            .post("sun", "key of the order", "/v1/orders", r#"{"permit_id": 1}"#)
            .await,
        StatusCode::BAD_REQUEST,
        "BODY",
    );
    assert_eq!(
        service.get("sun", &format!("/v1/permits/{permit}")).await.json["state"],
        "APPROVED"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_signed_in_asks_for_nothing_unknown_ids_are_not_found_and_big_bodies_are_refused() {
    let service = Service::new().await;
    let bare = Request::get("/v1/permits/x").body(Body::empty()).unwrap();
    refused(
        &service.send(bare).await,
        StatusCode::UNAUTHORIZED,
        "NOT_SIGNED_IN",
    );
    refused(
        &service.get("mallory", "/v1/permits/x").await,
        StatusCode::UNAUTHORIZED,
        "NOT_SIGNED_IN",
    );
    for path in [
        "/v1/permits/x",
        "/v1/permits/019abcde-0000-7000-8000-000000000000",
    ] {
        refused(
            &service.get("sun", path).await,
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
        );
    }
    refused(
        &service.get("sun", "/v1/applications/x").await,
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
    );
    refused(
        &service.get("chen", "/v1/applications/x").await,
        StatusCode::FORBIDDEN,
        "ROLE_MISSING",
    );
    refused(
        &service.get("sun", "/v1/orders/x").await,
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
    );
    refused(
        &service.get("sun", "/v1/persons?name=x").await,
        StatusCode::NOT_FOUND,
        "NO_SUCH_ROUTE",
    );
    refused(
        &service.get("sun", "/v1/orders").await,
        StatusCode::METHOD_NOT_ALLOWED,
        "NO_SUCH_METHOD",
    );
    let answer = service
        .post("liu", "a long enough key", "/v1/applications", "x".repeat(70_000))
        .await;
    refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE");
    let keyless = Request::post("/v1/applications")
        .header(header::AUTHORIZATION, "Bearer token of liu")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(APPLICANT))
        .unwrap();
    refused(
        &service.send(keyless).await,
        StatusCode::BAD_REQUEST,
        "IDEMPOTENCY_KEY_MISSING",
    );
    let typed = Request::post("/v1/applications")
        .header(header::AUTHORIZATION, "Bearer token of liu")
        .header("idempotency-key", "a-long-enough-key")
        .body(Body::from(APPLICANT))
        .unwrap();
    refused(
        &service.send(typed).await,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "MEDIA_TYPE",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_too_long_is_ended() {
    let fixture = Fixture::new().await;
    // A vault that takes the connection and never answers.
    let silent = issuer_office::connection::Dialer::new("silent", std::future::pending);
    let office = fixture.office_over(fixture.store.clone(), silent);
    let router = Api::with_request_time(
        office,
        staff_file(&fixture),
        std::time::Duration::from_millis(200),
    )
    .router();
    let service = Service { fixture, router };
    refused(
        &service.get("nobody", "/readyz").await,
        StatusCode::SERVICE_UNAVAILABLE,
        "TIMEOUT",
    );
    assert_eq!(service.get("nobody", "/healthz").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_the_bearer_scheme_has_no_case() {
    let service = Service::new().await;
    for scheme in ["bearer", "BEARER", "Bearer"] {
        let request = Request::get("/v1/permits/x")
            .header(header::AUTHORIZATION, format!("{scheme} token of sun"))
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            service.send(request).await.status,
            StatusCode::NOT_FOUND,
            "{scheme}"
        );
    }
    let basic = Request::get("/v1/permits/x")
        .header(header::AUTHORIZATION, "Basic token of sun")
        .body(Body::empty())
        .unwrap();
    refused(
        &service.send(basic).await,
        StatusCode::UNAUTHORIZED,
        "NOT_SIGNED_IN",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_could_never_move_is_refused_before_it_stands_in_its_persons_way() {
    let service = Service::new().await;
    for (number, file, code) in [
        // The decree holds everywhere; no organ of ours issues there.
        (
            1,
            APPLICANT.replace("\"440305\"", "\"510107\""),
            "NO_ISSUING_ORGAN",
        ),
        (
            2,
            APPLICANT.replace("\"440305\"", "\"510107\"").replacen(
                '{',
                "{\"requested_tier\": \"TALENT\",",
                1,
            ),
            "TIER_NOT_OFFERED",
        ),
    ] {
        let key = format!("key number {number}");
        let answer = service.post("liu", &key, "/v1/applications", file).await;
        refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, code);
    }
    let filed = service
        .post("liu", "key of the case", "/v1/applications", APPLICANT)
        .await;
    assert_eq!(filed.status, StatusCode::CREATED, "{}", filed.json);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_one_key_at_the_same_moment_are_all_answered_with_what_was_made() {
    let service = Arc::new(Service::new().await);
    let all = async |account: &'static str, key: &'static str, path: String, body: String| {
        let sent: Vec<_> = (0..8)
            .map(|_| {
                let (service, path, body) = (Arc::clone(&service), path.clone(), body.clone());
                tokio::spawn(async move { service.post(account, key, &path, body).await })
            })
            .collect();
        let mut answers = Vec::new();
        for answer in sent {
            let answer = answer.await.unwrap();
            assert!(answer.status.is_success(), "{path}: {}", answer.json);
            answers.push(answer.json);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        answers.remove(0)
    };
    let filed = all(
        "liu",
        "key-of-the-case",
        "/v1/applications".into(),
        APPLICANT.into(),
    )
    .await;
    assert_eq!(filed["state"], "ACCEPTED");
    let id = filed["application_id"].as_str().unwrap().to_owned();
    let decision = format!("/v1/applications/{id}/decision");
    let step = |step: &str| json!({"step": step}).to_string();
    let reviewed = all("wang", "key-of-review", decision.clone(), step("REVIEW")).await;
    assert_eq!(reviewed["state"], "REVIEWED");
    let approved = all("zhao", "key-of-approval", decision, step("APPROVE")).await;
    assert_eq!(approved["state"], "APPROVED");
    let receipt = service.fixture.photo(id.parse().unwrap()).await.to_string();
    let body = json!({"permit_id": approved["permit_id"], "photo_receipt": receipt}).to_string();
    let ordered = all("sun", "key-of-the-order", "/v1/orders".into(), body).await;
    assert_eq!(ordered["state"], "ORDERED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_an_order_with_another_receipt_is_refused() {
    let service = Service::new().await;
    let (id, permit) = service.approved().await;
    let receipt = service.fixture.photo(id.parse().unwrap()).await.to_string();
    let body = |receipt: &str| json!({"permit_id": permit, "photo_receipt": receipt}).to_string();
    let ordered = service
        .post("sun", "key of the order", "/v1/orders", body(&receipt))
        .await;
    assert_eq!(ordered.status, StatusCode::CREATED, "{}", ordered.json);
    let other = photo_store_protocol::ReceiptNumber::from_random([9; 15]).to_string();
    refused(
        &service
            .post("sun", "key of the order", "/v1/orders", body(&other))
            .await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "IDEMPOTENCY_KEY_REUSED",
    );
    let again = service
        .post("sun", "key of the order", "/v1/orders", body(&receipt))
        .await;
    assert_eq!(again.json, ordered.json);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_to_issue_runs_from_acceptance_and_the_day_stays_known() {
    let service = Service::new().await;
    let filed = service
        .post("liu", "key of the case", "/v1/applications", APPLICANT)
        .await;
    let id = filed.json["application_id"].as_str().unwrap().to_owned();
    // The reviewer comes to it ten days later.
    let later = service.fixture.clock.on_day(jiff::civil::date(2026, 12, 1));
    let office = service.fixture.office_at(later);
    let reviewed = office
        .review(id.parse().unwrap(), "wang".parse().unwrap())
        .await
        .unwrap();
    let decision = reviewed.decision.unwrap();
    assert_eq!(decision.at, jiff::civil::date(2026, 12, 1));
    let read = service.get("liu", &format!("/v1/applications/{id}")).await;
    assert_eq!(read.json["state"], "REVIEWED");
    assert_eq!(read.json["accepted_on"], "2026-11-21");
    // What a review on the day of acceptance says.
    let applicant = fixture::applicant(APPLICANT);
    let rules = permit_rules::RuleSets::embedded().unwrap();
    let at_once = rules
        .get(permit_rules::RuleSets::DEFAULT)
        .unwrap()
        .decide(&applicant, jiff::civil::date(2026, 11, 21), rules.calendar())
        .unwrap();
    assert_eq!(decision.issue_by, at_once.issue_by);
    assert_eq!(
        read.json["decision"]["issue_by"],
        at_once.issue_by.unwrap().to_string()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_vault_and_health_does_not() {
    let service = Service::new().await;
    let ready = service.get("nobody", "/readyz").await;
    assert_eq!(ready.status, StatusCode::OK, "{}", ready.json);
    let names: Vec<&str> = ready.json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ledger", "vault", "photo_store", "clock"]);

    service.fixture.vault.seal("li").await.unwrap();
    let sealed = service.get("nobody", "/readyz").await;
    assert_eq!(
        (sealed.status, &sealed.json["ready"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!(false))
    );
    let vault = &sealed.json["checks"][1];
    assert_eq!(
        (&vault["ok"], &vault["code"]),
        (&json!(false), &json!("VAULT_SEALED"))
    );
    assert!(!vault["action"].as_str().unwrap().is_empty());
    assert_eq!(service.get("nobody", "/healthz").await.status, StatusCode::OK);

    service.fixture.unseal().await;
    service.fixture.line.cut();
    assert_eq!(
        service.get("nobody", "/readyz").await.json["checks"][1]["code"],
        "VAULT_NOT_RUNNING"
    );
    service.fixture.line.mend();
    service.fixture.office().close().await;
    assert_eq!(
        service.get("nobody", "/readyz").await.json["checks"][0]["code"],
        "STORE_UNAVAILABLE"
    );
}

/// Whatever the vault does, no answer may blame the request or the case: what needs no vault is done, and what needs one
/// says 503.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_sealed_or_away_is_503_and_never_a_conflict() {
    for away in [false, true] {
        let service = Service::new().await;
        let (id, permit) = service.approved().await;
        let receipt = service.fixture.photo(id.parse().unwrap()).await.to_string();
        let body = json!({"permit_id": permit, "photo_receipt": receipt}).to_string();
        if away {
            service.fixture.line.cut();
            std::fs::remove_file(service.fixture.folder.path().join("vault.sock")).unwrap();
        } else {
            service.fixture.vault.seal("li").await.unwrap();
        }
        let order = service
            .post("sun", "key of the order", "/v1/orders", body.clone())
            .await;
        let code = if away { "VAULT_UNREACHABLE" } else { "VAULT_SEALED" };
        refused(&order, StatusCode::SERVICE_UNAVAILABLE, code);
        let ready = service.get("nobody", "/readyz").await;
        assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
        let code = if away { "VAULT_NOT_RUNNING" } else { "VAULT_SEALED" };
        assert_eq!(ready.json["checks"][1]["code"], code);

        let other = fixture::person(1);
        let filed = service
            .post("liu", "key of another case", "/v1/applications", other)
            .await;
        assert_eq!(filed.status, StatusCode::CREATED, "{}", filed.json);
        let other = filed.json["application_id"].as_str().unwrap().to_owned();
        for (account, step) in [("wang", "REVIEW"), ("zhao", "APPROVE")] {
            let decided = service.decide(account, &other, step).await;
            assert_eq!(decided.status, StatusCode::OK, "{}", decided.json);
        }
        for path in [
            "/healthz".to_owned(),
            format!("/v1/applications/{id}"),
            format!("/v1/permits/{permit}"),
        ] {
            let account = if path.contains("permits") { "chen" } else { "wang" };
            assert_eq!(service.get(account, &path).await.status, StatusCode::OK, "{path}");
        }
        if !away {
            service.fixture.unseal().await;
            let order = service.post("sun", "key of the order", "/v1/orders", body).await;
            assert_eq!(order.status, StatusCode::CREATED, "{}", order.json);
            let status = format!("/v1/orders/{}", order.json["order_id"].as_str().unwrap());
            service.fixture.vault.seal("li").await.unwrap();
            assert_eq!(service.get("sun", &status).await.status, StatusCode::OK);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_decided_one_application_decides_no_other_one() {
    let service = Service::new().await;
    let mut decisions = Vec::new();
    for number in [1, 2] {
        let key = format!("key of case {number}");
        let filed = service
            .post("liu", &key, "/v1/applications", fixture::person(number))
            .await;
        let id = filed.json["application_id"].as_str().unwrap().to_owned();
        decisions.push(format!("/v1/applications/{id}/decision"));
    }
    let review = || json!({"step": "REVIEW"}).to_string();
    let decided = service.post("wang", "the one key", &decisions[0], review()).await;
    assert_eq!(decided.status, StatusCode::OK, "{}", decided.json);
    let other = service.post("wang", "the one key", &decisions[1], review()).await;
    refused(&other, StatusCode::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED");
    let again = service.post("wang", "the one key", &decisions[0], review()).await;
    assert_eq!(again.json, decided.json);
    // Another key, and another person's key of the same name, are others.
    let approved = service
        .post(
            "zhao",
            "the one key",
            &decisions[0],
            json!({"step": "APPROVE"}).to_string(),
        )
        .await;
    assert_eq!(approved.status, StatusCode::OK, "{}", approved.json);
    let second = service.post("wang", "another key", &decisions[1], review()).await;
    assert_eq!(second.status, StatusCode::OK, "{}", second.json);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_no_person() {
    let log = Log::default();
    let sink = log.clone();
    // Everything, dependencies included: what is not written cannot leak.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || sink.clone())
        .init();
    let service = Service::new().await;
    let canary = APPLICANT.replace("李娜", "金丝雀");
    let filed = service
        .post("liu", "key of the case", "/v1/applications", canary)
        .await;
    let id = filed.json["application_id"].as_str().unwrap().to_owned();
    service.decide("wang", &id, "REVIEW").await;
    let approved = service.decide("zhao", &id, "APPROVE").await;
    let receipt = service.fixture.photo(id.parse().unwrap()).await.to_string();
    let body = json!({"permit_id": approved.json["permit_id"], "photo_receipt": receipt}).to_string();
    let ordered = service.post("sun", "key of the order", "/v1/orders", body).await;
    let order = ordered.json["order_id"].as_str().unwrap().parse().unwrap();
    let card = service.fixture.blank();
    service.fixture.run(order, &mut card.station()).await.unwrap();
    service
        .fixture
        .hand_over(order, &mut card.station())
        .await
        .unwrap();
    service
        .post(
            "liu",
            "another key",
            "/v1/applications",
            APPLICANT.replace("李娜", "金丝雀9"),
        )
        .await;

    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(
        text.contains("request") && text.contains("step done"),
        "the log was listened to"
    );
    for canary in [
        "金丝雀",
        "440305198511120028",
        "科苑路",
        "麓山南路",
        "token of",
        receipt.as_str(),
    ] {
        assert!(!text.contains(canary), "the log holds {canary}");
    }
}

#[test]
fn the_committed_openapi_document_is_the_one_of_the_handlers() {
    let committed = include_str!("../../openapi.json");
    // Not assert_eq: two whole documents in a message help nobody.
    assert!(
        openapi_json() == committed,
        "run `issuer openapi > issuer/openapi.json` and look at the difference"
    );
    let document: Value = serde_json::from_str(committed).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut operations: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    operations.sort_unstable();
    assert_eq!(
        operations,
        [
            "approve_erasure",
            "close_photo_case",
            "confirm_photo",
            "create_application",
            "decide",
            "health",
            "list_photos",
            "look_at_photo",
            "open_photo_case",
            "order_production",
            "order_status",
            "photo_reads",
            "read_application",
            "read_permit",
            "readiness",
            "request_erasure",
            "submit_photo",
            "take_back_photo"
        ]
    );
}

impl Service {
    async fn send_photo(&self, account: &str, application: &str, kind: &str, picture: Vec<u8>) -> Answer {
        let request = Request::post(format!("/v1/applications/{application}/photos"))
            .header(header::AUTHORIZATION, format!("Bearer token of {account}"))
            .header(header::CONTENT_TYPE, kind)
            .header("idempotency-key", "key-of-the-photo")
            .body(picture.into())
            .unwrap();
        self.send(request).await
    }

    async fn change(&self, account: &str, method: &str, path: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer token of {account}"))
            .body(Body::empty())
            .unwrap();
        self.send(request).await
    }
}

#[expect(clippy::too_many_lines, reason = "one walk, step by step")]
#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_taken_seen_confirmed_used_and_ended_over_http() {
    let service = Service::new().await;
    let (id, permit) = service.approved().await;
    let case = format!("/v1/applications/{id}/photo-case");
    let photos = format!("/v1/applications/{id}/photos");

    // Every check that refuses says so, with what to do; a picture of another kind, a larger one and a stranger are told apart.
    let refused_photo = service
        .send_photo("liu", &id, "image/jpeg", b"no picture".to_vec())
        .await;
    refused(&refused_photo, StatusCode::UNPROCESSABLE_ENTITY, "FORMAT");
    assert_eq!(refused_photo.json["errors"][0]["field"], "photo");
    let answer = service.send_photo("liu", &id, "image/gif", vec![1]).await;
    refused(&answer, StatusCode::UNSUPPORTED_MEDIA_TYPE, "MEDIA_TYPE");
    let answer = service
        .send_photo("liu", &id, "image/png", vec![0; 10_000_002])
        .await;
    refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE");
    let answer = service
        .send_photo("liu", &id, "image/png", vec![0; 10_000_001])
        .await;
    refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, "FILE_SIZE");
    let answer = service
        .send_photo("sun", &id, "image/png", fixture::FACE.to_vec())
        .await;
    refused(&answer, StatusCode::FORBIDDEN, "ROLE_MISSING");

    let taken = service
        .send_photo("liu", &id, "image/png", fixture::FACE.to_vec())
        .await;
    assert_eq!(
        (taken.status, &taken.json["state"], &taken.json["photo_receipt"]),
        (StatusCode::CREATED, &"WAITING".into(), &Value::Null),
        "{}",
        taken.json
    );
    let checks = taken.json["checks"].as_array().unwrap().clone();
    assert!(
        checks
            .iter()
            .all(|check| !check["action_zh"].as_str().unwrap().is_empty())
    );
    let warnings: Vec<_> = checks.iter().map(|check| check["code"].clone()).collect();
    let photo = format!("{photos}/{}", taken.json["photo_id"].as_str().unwrap());

    let picture = format!("{photo}/picture?purpose=REVIEW");
    let answer = service.get("wang", &picture).await;
    refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, "CASE_NOT_OPEN");
    let opened = service.change("wang", "PUT", &case).await;
    assert_eq!(
        (opened.status, &opened.json["open"]),
        (StatusCode::OK, &true.into())
    );
    let seen = service.get("wang", &picture).await;
    assert_eq!((seen.status, seen.kind.as_str()), (StatusCode::OK, "image/jpeg"));
    let answer = service
        .get("wang", &format!("{photo}/picture?purpose=CURIOSITY"))
        .await;
    refused(&answer, StatusCode::BAD_REQUEST, "QUERY");
    let answer = service
        .get("wang", &format!("{photo}/picture?purpose=INSPECTION"))
        .await;
    refused(&answer, StatusCode::FORBIDDEN, "ROLE_MISSING");

    let confirmation = format!("{photo}/confirmation");
    let body = json!({ "warnings": warnings }).to_string();
    let answer = service
        .post("liu", "key to confirm", &confirmation, body.clone())
        .await;
    refused(&answer, StatusCode::FORBIDDEN, "SAME_PERSON_TWICE");
    let none = json!({ "warnings": ["HAT"] }).to_string();
    let answer = service.post("wang", "key to confirm", &confirmation, none).await;
    refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, "WRONG_WARNINGS");
    let confirmed = service.post("wang", "key to confirm", &confirmation, body).await;
    assert_eq!(confirmed.json["state"], "SEALED", "{}", confirmed.json);
    assert_eq!(service.get("sun", &photos).await.json, json!([confirmed.json]));

    let order = json!({ "permit_id": permit, "photo_receipt": confirmed.json["photo_receipt"] });
    let ordered = service
        .post("sun", "key of the order", "/v1/orders", order.to_string())
        .await;
    assert_eq!(ordered.status, StatusCode::CREATED, "{}", ordered.json);
    let answer = service.change("liu", "DELETE", &photo).await;
    refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, "PHOTO_IN_USE");
    let erasure = json!({ "order": "GD-2026/17" }).to_string();
    let answer = service
        .post(
            "zhao",
            "key to erase",
            &format!("{photo}/erasure"),
            erasure.clone(),
        )
        .await;
    refused(&answer, StatusCode::CONFLICT, "WRONG_STATE");
    let answer = service.change("liu", "DELETE", &case).await;
    refused(&answer, StatusCode::CONFLICT, "WRONG_STATE");

    let reads = service
        .get("gu", &format!("/v1/applications/{id}/photo-reads"))
        .await;
    let readers: Vec<_> = reads
        .json
        .as_array()
        .unwrap()
        .iter()
        .map(|read| &read["reader"])
        .collect();
    assert_eq!(readers, ["sun", "sun", "wang", "wang"], "{}", reads.json);

    let given_up = service.fixture.office().running_orders().await.unwrap().remove(0);
    let producer = "sun".parse().unwrap();
    service
        .fixture
        .office()
        .give_up(given_up.id(), &producer)
        .await
        .unwrap();
    let approval = format!("{photo}/erasure/approval");
    let answer = service
        .post("zhao", "key to approve", &approval, erasure.clone())
        .await;
    refused(&answer, StatusCode::CONFLICT, "ERASURE_NOT_REQUESTED");
    let requested = service
        .post(
            "liu",
            "key to erase",
            &format!("{photo}/erasure"),
            erasure.clone(),
        )
        .await;
    assert_eq!(requested.json["state"], "SEALED", "{}", requested.json);
    let answer = service
        .post("liu", "key to approve", &approval, erasure.clone())
        .await;
    refused(&answer, StatusCode::FORBIDDEN, "ROLE_MISSING");
    let erased = service.post("zhao", "key to approve", &approval, erasure).await;
    assert_eq!(erased.json["state"], "SHREDDED", "{}", erased.json);
    let closed = service.change("liu", "DELETE", &case).await;
    assert_eq!(closed.json["open"], false, "{}", closed.json);
}
