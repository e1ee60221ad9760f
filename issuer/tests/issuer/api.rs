//! The HTTP API against the real vault, photo store and ledger: the whole way of a case, every refusal, no personal
//! data in the log, and the committed OpenAPI document.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use issuer_api::{Api, Times, openapi_json};
use issuer_mandate::SignerRole;
use issuer_office::staff::{Member, Staff, StaffFile, StaffRole};
use issuer_signing::RehearsalKeys;
use jiff::civil::date;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::fixture;
use crate::fixture::{APPLICANT, Fixture, REFUSED};

fn staff() -> Staff {
    use StaffRole::{
        Administrator, Approver, Auditor, ChangeClerk, Chief, HandOverClerk, IntakeClerk, Producer, Reviewer,
        SettlementOfficer,
    };
    let member = |account: &str, roles: &[StaffRole]| {
        Member::new(
            account.parse().unwrap(),
            roles.to_vec(),
            &format!("token of {account}"),
            date(2028, 12, 31),
        )
    };
    Staff::new(vec![
        member("liu", &[IntakeClerk]),
        member("wang", &[Reviewer, Approver]),
        member("zhao", &[Approver, Producer]),
        member("sun", &[Producer]),
        member("chen", &[HandOverClerk]),
        member("gu", &[Auditor]),
        member("he", &[ChangeClerk, Approver]),
        member("lan", &[IntakeClerk]),
        member("qin", &[Chief]),
        member("gao", &[SettlementOfficer]),
        member("xu", &[Administrator]),
        member("zhou", &[Administrator]),
    ])
    .unwrap()
}

/// Key files of everybody who reviews or signs off, enrolled.
pub(crate) async fn rehearsal_keys(fixture: &Fixture) -> RehearsalKeys {
    let folder = fixture.folder.path().join("rehearsal-keys");
    std::fs::create_dir_all(&folder).unwrap();
    let keys = RehearsalKeys::at(folder);
    let both = [
        (StaffRole::Reviewer, SignerRole::Reviewer),
        (StaffRole::Approver, SignerRole::Approver),
    ];
    for member in staff().members() {
        for (_, role) in both.iter().filter(|(has, _)| member.roles.contains(has)) {
            let account = member.account.as_str();
            let drawn = fixture::drawn_for(account, *role);
            keys.of_or_new(account, *role, &drawn).unwrap();
            fixture.key_of(account, *role).await;
        }
    }
    keys
}

/// The staff file of the fixture's installation.
pub(crate) fn staff_file(fixture: &Fixture) -> StaffFile {
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
        // Each asks anew whether work can be done: tests change that between two questions.
        let times = Times {
            look: std::time::Duration::ZERO,
            ..Times::default()
        };
        let api = Api::with_times(fixture.office().clone(), staff_file(&fixture), times);
        let router = api.router();
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

    /// A step of the decision on what the application shows; its intake is completed before, where it was not.
    async fn decide(&self, account: &str, application: &str, step: &str) -> Answer {
        self.fixture.completed(application.parse().unwrap()).await;
        let read = self.get("liu", &format!("/v1/applications/{application}")).await;
        let path = format!("/v1/applications/{application}/decision");
        self.post(
            account,
            &format!("{step} {application}"),
            &path,
            self.step(account, application, step, &read.json["content"]).await,
        )
        .await
    }

    /// A step of the decision as a body, signed by the person of the account.
    async fn step(&self, account: &str, application: &str, step: &str, content: &Value) -> String {
        let role = match step {
            "REVIEW" => SignerRole::Reviewer,
            _ => SignerRole::Approver,
        };
        let id = application.parse().unwrap();
        let signature = self.fixture.signature(account, role, id).await;
        json!({"step": step, "content": content, "signature": signature}).to_string()
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

    // Intake ends with a photo, and not without one; said again it is the same.
    let path = format!("/v1/applications/{id}/completion");
    let complete = async |key: &str, body: Value| service.post("liu", key, &path, body.to_string()).await;
    let none = complete("key of no photo", json!({})).await;
    refused(&none, StatusCode::UNPROCESSABLE_ENTITY, "NO_RECEIPT");
    let receipt = service.fixture.photo(id.parse().unwrap()).await.to_string();
    let completed = complete("key of completion", json!({"photo_receipt": receipt})).await;
    assert_eq!(
        (completed.status, &completed.json["content_state"]),
        (StatusCode::OK, &json!("COMPLETED")),
        "{}",
        completed.json
    );
    let again = complete("key of completion", json!({"photo_receipt": receipt})).await;
    assert_eq!(again.json, completed.json);
    let stranger = service
        .post("wang", "key of a stranger", &path, json!({}).to_string())
        .await;
    refused(&stranger, StatusCode::FORBIDDEN, "ROLE_MISSING");
    // Nobody stands for what they did not read.
    let decision = format!("/v1/applications/{id}/decision");
    let other = json!({"step": "REVIEW", "content": "0".repeat(64)}).to_string();
    let other = service.post("wang", "key of another", &decision, other).await;
    refused(&other, StatusCode::CONFLICT, "OTHER_CONTENT");

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
async fn a_refusal_is_told_in_the_language_that_is_asked_for_and_its_code_has_none() {
    let service = Service::new().await;
    let is_chinese = |text: &str| text.chars().any(|sign| ('\u{4E00}'..='\u{9FFF}').contains(&sign));
    let post = |path: &str, body: &str| {
        Request::post(path)
            .header(header::AUTHORIZATION, "Bearer token of liu")
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", "key-of-a-language")
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let wrong = APPLICANT.replace("440305198511120028", "440305198511120027");
    for (case, asked) in [
        (
            "a form",
            &(|| post("/v1/applications", &wrong)) as &dyn Fn() -> Request<Body>,
        ),
        ("no form", &|| post("/v1/applications", "{")),
        ("the office", &|| {
            post(
                "/v1/applications/00000000-0000-8000-8000-000000000000/withdrawal",
                "",
            )
        }),
        ("another path", &|| get("/v1/nowhere")),
        ("nobody", &|| {
            get("/v1/permits/00000000-0000-8000-8000-000000000000")
        }),
    ] {
        let mut told = Vec::new();
        for (accept, tag, chinese) in [
            (None, "zh-CN", true),
            (Some("zh-CN,zh;q=0.9,en;q=0.8"), "zh-CN", true),
            (Some("en-GB,en;q=0.9,zh;q=0.5"), "en", false),
            (Some("fr"), "zh-CN", true),
        ] {
            let mut request = asked();
            if let Some(accept) = accept {
                let headers = request.headers_mut();
                headers.insert(header::ACCEPT_LANGUAGE, accept.parse().unwrap());
            }
            let response = service.router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let language = response.headers()[header::CONTENT_LANGUAGE].clone();
            assert_eq!((language.to_str().unwrap(), status.is_success()), (tag, false));
            assert_eq!(response.headers()[header::VARY], "Accept-Language");
            let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let json: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(json["status"], status.as_u16(), "{case}: {json}");
            for key in ["title", "detail", "action"] {
                let text = json[key].as_str().unwrap();
                assert_eq!(is_chinese(text), chinese, "{case} {accept:?}: {json}");
            }
            let errors = json["errors"].as_array().cloned().unwrap_or_default();
            assert_eq!(errors.is_empty(), !case.ends_with("form"), "{case}: {json}");
            for (error, key) in errors
                .iter()
                .flat_map(|error| [(error, "what"), (error, "action")])
            {
                let text = error[key].as_str().unwrap();
                assert_eq!(is_chinese(text), chinese, "{case} {accept:?}: {json}");
            }
            let codes: Vec<Value> = errors.iter().map(|error| error["code"].clone()).collect();
            told.push((json["code"].clone(), json["type"].clone(), codes));
        }
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{case}: {told:?}");
    }
    // What is not ready says what to do in that language too.
    service.fixture.vault.seal("li").await.unwrap();
    for (accept, chinese) in [("en", false), ("zh-CN", true)] {
        let mut request = get("/readyz");
        request
            .headers_mut()
            .insert(header::ACCEPT_LANGUAGE, accept.parse().unwrap());
        let answer = service.send(request).await;
        let action = answer.json["checks"][1]["action"].as_str().unwrap();
        assert_eq!(is_chinese(action), chinese, "{}", answer.json);
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
    let marked = [b"\xef\xbb\xbf", APPLICANT.as_bytes()].concat();
    // "姓" in GB 18030.
    let foreign = b"{\"name\": \"\xd0\xd5\"}".to_vec();
    for (body, code) in [(marked, "BYTE_ORDER_MARK"), (foreign, "ENCODING")] {
        let answer = service
            .post("liu", "key of the case", "/v1/applications", body)
            .await;
        refused(&answer, StatusCode::BAD_REQUEST, "APPLICANT_FORM");
        assert_eq!(answer.json["errors"][0]["code"], code);
    }
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
async fn what_cannot_be_printed_is_refused_at_intake_item_by_item_and_nobody_is_filed() {
    let service = Service::new().await;
    let before = service.fixture.office().verify_ledger().await.unwrap();
    let (name, hukou, residence) = ("name", "hukou_address", "residence.address");
    let file: Value = serde_json::from_str(APPLICANT).unwrap();
    for (field, text, code) in [
        (name, "李\u{10a0e}", "MISSING_GLYPH"),
        (name, "李\u{2a6d6}", "MISSING_GLYPH"),
        (name, "李ᚠ", "MISSING_GLYPH"),
        (name, "李\u{3164}娜", "HIDDEN_CHARACTER"),
        (name, "\u{115f}", "HIDDEN_CHARACTER"),
        (name, "李\u{e863}", "PRIVATE_CHARACTER"),
        (name, "李😀", "NAME"),
        (
            name,
            "阿卜杜热合曼阿卜杜外力买买提艾力江吐尔逊阿不都热依木肉孜阿卜杜热合曼阿卜杜外力",
            "TEXT_OVERFLOW",
        ),
        (hukou, "湖南省长沙市\u{2009}岳麓区", "HIDDEN_CHARACTER"),
        (hukou, "湖南省长沙市🏠岳麓区", "MISSING_GLYPH"),
        (residence, "南山区\u{a0}科苑路8号", "HIDDEN_CHARACTER"),
        (residence, "南山区\u{2060}科苑路8号", "HIDDEN_CHARACTER"),
        (residence, "南山区\u{2067}科苑路8号\u{2069}", "HIDDEN_CHARACTER"),
        (residence, "南山区\u{e5e5}科苑路8号", "PRIVATE_CHARACTER"),
    ] {
        let mut file = file.clone();
        match field.split_once('.') {
            Some((outer, inner)) => file[outer][inner] = text.into(),
            None => file[field] = text.into(),
        }
        let answer = service
            .post("liu", "key of the case", "/v1/applications", file.to_string())
            .await;
        refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, "APPLICANT_FORM");
        let errors = answer.json["errors"].as_array().unwrap();
        let found: Vec<_> = errors
            .iter()
            .map(|e| (e["field"].as_str(), e["code"].as_str()))
            .collect();
        assert_eq!(found, [(Some(field), Some(code))], "{}", text.escape_unicode());
        assert!(!answer.json.to_string().contains(text));
    }
    // Several at once, in the order of the file.
    let mut several = file.clone();
    several["name"] = "赵".repeat(40).into();
    several["residence"]["address"] = "南山区☃\u{1f3e0}科苑路8号".into();
    let answer = service
        .post("liu", "key of the case", "/v1/applications", several.to_string())
        .await;
    let errors = answer.json["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{}", answer.json);
    assert_eq!(service.fixture.office().verify_ledger().await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_shows_the_name_that_its_chip_holds_however_it_was_typed() {
    let service = Service::new().await;
    for (number, typed, held) in [
        (0, "买买提\u{25cf}艾力", "买买提·艾力"),
        (1, "买买提\u{a78f}艾力", "买买提·艾力"),
        (2, "买买提\u{318d}艾力", "买买提·艾力"),
        (3, "买买提\u{1427}艾力", "买买提·艾力"),
        (4, "Jose\u{301} Lo\u{301}pez", "José López"),
        (5, "Zoe\u{308}", "Zoë"),
    ] {
        let file = fixture::person(number).replace("李娜", typed);
        let key = format!("key of case {number}");
        let filed = service.post("liu", &key, "/v1/applications", file).await;
        assert_eq!(filed.status, StatusCode::CREATED, "{}", filed.json);
        let id = filed.json["application_id"].as_str().unwrap().parse().unwrap();
        let case = service.fixture.office().application(id).await.unwrap();
        assert_eq!(case.applicant.name.as_str(), held);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_another_person_or_a_mistyped_one_completes_and_orders_nothing() {
    let service = Service::new().await;
    let (id, permit) = service.approved().await;
    let other = service.fixture.accepted(&fixture::person(4)).await;
    let receipt = service.fixture.photo(other).await.to_string();
    let body = |receipt: &str| json!({"permit_id": permit, "photo_receipt": receipt}).to_string();
    let completion = format!("/v1/applications/{id}/completion");
    let completed = json!({"photo_receipt": receipt}).to_string();
    refused(
        &service
            .post("liu", "key of completion", &completion, completed)
            .await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "WRONG_PERSON",
    );
    refused(
        &service
            .post("sun", "key of the order", "/v1/orders", body(&receipt))
            .await,
        StatusCode::CONFLICT,
        "OTHER_CONTENT",
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
        &service
            .get("chen", "/v1/applications/018f0000-0000-7000-8000-000000000000")
            .await,
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
    let times = Times {
        request: std::time::Duration::from_millis(200),
        ..Times::default()
    };
    let router = Api::with_times(office, staff_file(&fixture), times).router();
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
    let receipt = service.fixture.photo(id.parse().unwrap()).await.to_string();
    let completed = all(
        "liu",
        "key-of-completion",
        format!("/v1/applications/{id}/completion"),
        json!({"photo_receipt": receipt}).to_string(),
    )
    .await;
    let content = &completed["content"];
    let review = service.step("wang", &id, "REVIEW", content).await;
    let reviewed = all("wang", "key-of-review", decision.clone(), review).await;
    assert_eq!(reviewed["state"], "REVIEWED");
    let approve = service.step("zhao", &id, "APPROVE", content).await;
    let approved = all("zhao", "key-of-approval", decision, approve).await;
    assert_eq!(approved["state"], "APPROVED");
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
    service.fixture.key_of("wang", SignerRole::Reviewer).await;
    // Its photo comes ten days later, and intake ends with it.
    let receipt = service.fixture.photo(id.parse().unwrap()).await;
    let later = service.fixture.clock.on_day(jiff::civil::date(2026, 12, 1));
    let (office, case) = (service.fixture.office_at(later), id.parse().unwrap());
    let completed = office
        .complete_intake(case, "liu".parse().unwrap(), Some(receipt))
        .await
        .unwrap();
    let content = completed.content.unwrap().content().digest();
    let signed = service.fixture.signs("wang", SignerRole::Reviewer, case).await;
    let reviewed = office
        .review(case, "wang".parse().unwrap(), content, signed.as_ref())
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
    assert_eq!(names, ["ledger", "vault", "photo_store", "clock", "cards"]);

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

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_whether_work_can_be_done_cost_one_look_and_no_line_of_the_vaults_journal() {
    let mut service = Service::new().await;
    let times = Times {
        look: std::time::Duration::from_mins(1),
        ..Times::default()
    };
    let api = Api::with_times(
        service.fixture.office().clone(),
        staff_file(&service.fixture),
        times,
    );
    service.router = api.router();
    let lines = async || {
        let mut vault = service.fixture.vault_client().await;
        vault
            .journal(&keyvault_protocol::ReadJournal::default())
            .await
            .unwrap()
            .lines
            .len()
    };
    let journal = lines().await;
    let before = service.fixture.line.count();
    let ask = || service.get("nobody", "/readyz");
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    for answer in [a, b, c, d, ask().await] {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
    }
    assert_eq!(service.fixture.line.count(), before + 1);
    assert_eq!(lines().await, journal);
}

/// Whatever the vault does, no answer may blame the request or the case: what needs no vault is done, and what needs one
/// says 503.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_sealed_or_away_is_503_and_never_a_conflict() {
    for away in [false, true] {
        let service = Service::new().await;
        let (id, permit) = service.approved().await;
        let completed = service.fixture.accepted(&fixture::person(2)).await;
        service.fixture.completed(completed).await;
        let waits = service.fixture.accepted(&fixture::person(3)).await;
        let receipt = service.fixture.photo(waits).await.to_string();
        let completion = format!("/v1/applications/{waits}/completion");
        let body = json!({"photo_receipt": receipt}).to_string();
        if away {
            service.fixture.line.cut();
            std::fs::remove_file(service.fixture.folder.path().join("vault.sock")).unwrap();
        } else {
            service.fixture.vault.seal("li").await.unwrap();
        }
        // The photo's key is the vault's.
        let asked = service
            .post("liu", "key of completion", &completion, body.clone())
            .await;
        let code = if away { "VAULT_UNREACHABLE" } else { "VAULT_SEALED" };
        refused(&asked, StatusCode::SERVICE_UNAVAILABLE, code);
        let ready = service.get("nobody", "/readyz").await;
        assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
        let code = if away { "VAULT_NOT_RUNNING" } else { "VAULT_SEALED" };
        assert_eq!(ready.json["checks"][1]["code"], code);

        let other = fixture::person(1);
        let filed = service
            .post("liu", "key of another case", "/v1/applications", other)
            .await;
        assert_eq!(filed.status, StatusCode::CREATED, "{}", filed.json);
        let completed = completed.to_string();
        for (account, step) in [("wang", "REVIEW"), ("zhao", "APPROVE")] {
            let decided = service.decide(account, &completed, step).await;
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
        let order = json!({"permit_id": permit}).to_string();
        let order = service.post("sun", "key of the order", "/v1/orders", order).await;
        assert_eq!(order.status, StatusCode::CREATED, "{}", order.json);
        if !away {
            service.fixture.unseal().await;
            let done = service.post("liu", "key of completion", &completion, body).await;
            assert_eq!(done.status, StatusCode::OK, "{}", done.json);
            let status = format!("/v1/orders/{}", order.json["order_id"].as_str().unwrap());
            service.fixture.vault.seal("li").await.unwrap();
            assert_eq!(service.get("sun", &status).await.status, StatusCode::OK);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_decided_one_application_decides_no_other_one() {
    let service = Service::new().await;
    let (mut decisions, mut reviews, mut approvals) = (Vec::new(), Vec::new(), Vec::new());
    for number in [1, 2] {
        let key = format!("key of case {number}");
        let filed = service
            .post("liu", &key, "/v1/applications", fixture::person(number))
            .await;
        let id = filed.json["application_id"].as_str().unwrap().to_owned();
        let content = service.fixture.completed(id.parse().unwrap()).await;
        let content = json!(content.to_string());
        reviews.push(service.step("wang", &id, "REVIEW", &content).await);
        approvals.push(service.step("zhao", &id, "APPROVE", &content).await);
        decisions.push(format!("/v1/applications/{id}/decision"));
    }
    let review = |case: usize| reviews[case].clone();
    let decided = service
        .post("wang", "the one key", &decisions[0], review(0))
        .await;
    assert_eq!(decided.status, StatusCode::OK, "{}", decided.json);
    let other = service
        .post("wang", "the one key", &decisions[1], review(1))
        .await;
    refused(&other, StatusCode::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED");
    let again = service
        .post("wang", "the one key", &decisions[0], review(0))
        .await;
    assert_eq!(again.json, decided.json);
    // Another key, and another person's key of the same name, are others.
    let approved = service
        .post("zhao", "the one key", &decisions[0], approvals[0].clone())
        .await;
    assert_eq!(approved.status, StatusCode::OK, "{}", approved.json);
    let second = service
        .post("wang", "another key", &decisions[1], review(1))
        .await;
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
            "approve_change",
            "approve_erasure",
            "change_status",
            "close_photo_case",
            "complete_intake",
            "confirm_photo",
            "correct_application",
            "create_application",
            "decide",
            "give_up_change",
            "give_up_order",
            "health",
            "list_photos",
            "look_at_photo",
            "open_photo_case",
            "order_production",
            "order_status",
            "photo_reads",
            "propose_change",
            "read_application",
            "read_mandate",
            "read_permit",
            "read_proposal",
            "readiness",
            "request_erasure",
            "submit_photo",
            "take_back_photo",
            "withdraw_application",
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
    let id = service.fixture.accepted(APPLICANT).await.to_string();
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

    let completion = format!("/v1/applications/{id}/completion");
    let receipt = json!({ "photo_receipt": confirmed.json["photo_receipt"] });
    let completed = service
        .post("liu", "key of completion", &completion, receipt.to_string())
        .await;
    assert_eq!(completed.status, StatusCode::OK, "{}", completed.json);
    service.decide("wang", &id, "REVIEW").await;
    let approved = service.decide("zhao", &id, "APPROVE").await;
    let order = json!({ "permit_id": approved.json["permit_id"] });
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
    // Both renditions were read when intake ended.
    assert_eq!(readers, ["liu", "liu", "wang", "wang"], "{}", reads.json);

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

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_corrected_and_withdrawn_over_http_by_an_intake_clerk_once_for_each_key() {
    let service = Service::new().await;
    let (id, permit) = service.approved().await;
    let path = |id: &str, what: &str| format!("/v1/applications/{id}/{what}");
    let right = APPLICANT.replace("科苑路8号", "科苑路18号");
    let correct = async |account: &str, key: &str, body: String| {
        service.post(account, key, &path(&id, "correction"), body).await
    };
    refused(
        &correct("wang", "key of correction", right.clone()).await,
        StatusCode::FORBIDDEN,
        "ROLE_MISSING",
    );
    refused(
        &correct("liu", "key of correction", fixture::person(3)).await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "OTHER_APPLICANT",
    );
    let first = correct("liu", "key of correction", right.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.json);
    assert_eq!(
        (&first.json["state"], &first.json["permit_id"]),
        (&"ACCEPTED".into(), &Value::Null)
    );
    let again = correct("liu", "key of correction", right.clone()).await;
    assert_eq!(again.json, first.json);
    refused(
        &correct("liu", "key of correction", APPLICANT.to_owned()).await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "IDEMPOTENCY_KEY_REUSED",
    );
    // The very same correction by the same clerk is the one that was made, whoever lost its answer.
    let repeated = correct("liu", "another key here", right).await;
    assert_eq!(
        (repeated.status, &repeated.json),
        (StatusCode::CREATED, &first.json)
    );
    refused(
        &correct("liu", "a third key here", APPLICANT.to_owned()).await,
        StatusCode::CONFLICT,
        "WRONG_STATE",
    );
    assert_eq!(
        service.get("liu", &format!("/v1/applications/{id}")).await.json["state"],
        "WITHDRAWN"
    );
    assert_eq!(
        service.get("sun", &format!("/v1/permits/{permit}")).await.json["state"],
        "ENDED"
    );
    let corrected = first.json["application_id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let withdrawn = service
            .post("liu", "key of the end", &path(&corrected, "withdrawal"), "")
            .await;
        assert_eq!(
            (withdrawn.status, &withdrawn.json["state"]),
            (StatusCode::OK, &"WITHDRAWN".into())
        );
    }
    refused(
        &service
            .post("sun", "key of the end", &path(&corrected, "withdrawal"), "")
            .await,
        StatusCode::FORBIDDEN,
        "ROLE_MISSING",
    );
}

/// What of a value a schema of the document or of the applicant file does not allow, by its path. The keywords that the two
/// use, and a panic for any other.
fn faults(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut wrong = |is_wrong: bool, keyword: &str| {
        if is_wrong {
            found.push(format!("{path}: {keyword}"));
        }
    };
    let text = value.as_str();
    let mut deeper = Vec::new();
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "type" => {
                let kind = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "integer",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                let allowed = rule.as_array().map_or(vec![rule], |all| all.iter().collect());
                wrong(!allowed.iter().any(|one| **one == kind), "type");
            }
            "enum" => wrong(!rule.as_array().unwrap().contains(value), "enum"),
            "required" => {
                let missing = |key: &&Value| value.is_object() && value.get(key.as_str().unwrap()).is_none();
                wrong(
                    rule.as_array().unwrap().iter().any(|key| missing(&key)),
                    "required",
                );
            }
            "minLength" => wrong(
                text.is_some_and(|t| (t.chars().count() as u64) < rule.as_u64().unwrap()),
                "minLength",
            ),
            "maxLength" => wrong(
                text.is_some_and(|t| t.chars().count() as u64 > rule.as_u64().unwrap()),
                "maxLength",
            ),
            "minimum" => wrong(
                value.as_i64().is_some_and(|n| n < rule.as_i64().unwrap()),
                "minimum",
            ),
            "maximum" => wrong(
                value.as_i64().is_some_and(|n| n > rule.as_i64().unwrap()),
                "maximum",
            ),
            "pattern" => {
                let digits =
                    |count: usize, t: &str| t.len() == count && t.bytes().all(|b| b.is_ascii_digit());
                let fits = |t: &str| match rule.as_str().unwrap() {
                    "^[0-9]{6}$" => digits(6, t),
                    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" => t.len() == 10 && digits(8, &t.replace('-', "")),
                    "^[0-9]{17}[0-9Xx]$" => t.len() == 18 && digits(17, &t[..17]),
                    other => panic!("the pattern {other}"),
                };
                wrong(text.is_some_and(|t| !fits(t)), "pattern");
            }
            "additionalProperties" => {
                assert_eq!(*rule, false);
                let known = &schema["properties"];
                let strange = value
                    .as_object()
                    .is_some_and(|all| all.keys().any(|key| known.get(key).is_none()));
                wrong(strange, "additionalProperties");
            }
            "properties" => {
                for (key, rule) in rule.as_object().unwrap() {
                    deeper.extend(value.get(key).map(|value| (rule, value, format!("{path}.{key}"))));
                }
            }
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    deeper.push((rule, item, format!("{path}[{at}]")));
                }
            }
            "$ref" => {
                let place = rule.as_str().unwrap().trim_start_matches('#');
                deeper.push((root.pointer(place).unwrap(), value, path.to_owned()));
            }
            "$schema" | "$id" | "title" | "description" | "format" => {}
            other => panic!("the keyword {other}"),
        }
    }
    for (schema, value, path) in deeper {
        found.extend(faults(root, schema, value, &path));
    }
    found
}

#[test]
fn the_samples_the_schema_of_the_applicant_file_and_the_document_of_the_api_say_one_thing() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let of_api = &document["components"]["schemas"]["ApplicantFile"];
    let file: Value = serde_json::from_str(include_str!("../../../docs/applicant.schema.json")).unwrap();
    let checked = |value: &Value| {
        (
            faults(&document, of_api, value, "$"),
            faults(&file, &file, value, "$"),
        )
    };
    let mut samples: Vec<Value> = [APPLICANT, REFUSED]
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    // What may be absent may be null, and the other way round.
    let mut least = samples[0].clone();
    for key in ["title", "requested_tier"] {
        least.as_object_mut().unwrap().remove(key);
    }
    samples.push(least.clone());
    for key in ["title", "requested_tier"] {
        least[key] = Value::Null;
    }
    samples.push(least);
    for sample in &samples {
        assert_eq!(checked(sample), (Vec::new(), Vec::new()));
        fixture::applicant(&sample.to_string());
    }
    // What one of them refuses the others refuse too.
    let required = file["required"].as_array().unwrap();
    assert_eq!(of_api["required"], file["required"]);
    for key in required {
        let mut value = samples[0].clone();
        value.as_object_mut().unwrap().remove(key.as_str().unwrap());
        let (api, schema) = checked(&value);
        assert_eq!(
            (api.as_slice(), schema.as_slice()),
            (&["$: required".to_owned()][..], &["$: required".to_owned()][..])
        );
    }
    for (path, wrong) in [
        ("/religion", json!("x")),
        ("/residence/landlord", json!("x")),
        ("/evidence/0/remark", json!("x")),
        ("/name", json!("")),
        ("/name", json!(["李娜"])),
        ("/residence/division", json!("44030")),
        ("/insurance_months", json!(721)),
        ("/evidence", json!({})),
    ] {
        let mut value = samples[0].clone();
        let (outer, key) = path.rsplit_once('/').unwrap();
        value
            .pointer_mut(outer)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .insert(key.to_owned(), wrong);
        let (api, schema) = checked(&value);
        assert!(
            !api.is_empty() && !schema.is_empty(),
            "{path}: {api:?} {schema:?}"
        );
        let read = permit_domain::ApplicantForm::from_json(&value.to_string())
            .and_then(|form| form.into_applicant(date(2026, 11, 21)));
        assert!(read.is_err(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_of_another_kind_or_size_and_every_key_of_another_form_is_told_with_its_own_cause() {
    let service = Service::new().await;
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let id = "018f0000-0000-7000-8000-000000000000";
    let token = |roles: &str| format!("Bearer token of {roles}");
    let mut posts = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let Some(post) = methods.get("post") else { continue };
        posts += 1;
        let uri = path.replace("{id}", id).replace("{photo}", &"0".repeat(32));
        let send = async |kind: &str, key: &str, body: Vec<u8>| {
            let request = Request::post(&uri)
                .header(header::AUTHORIZATION, token("liu"))
                .header(header::CONTENT_TYPE, kind)
                .header("idempotency-key", key)
                .body(Body::from(body))
                .unwrap();
            service.send(request).await
        };
        let documented = |status: &str| post["responses"].get(status).is_some();
        let form = post["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .find(|parameter| parameter["name"] == "Idempotency-Key")
            .unwrap_or_else(|| panic!("{path} has no key"));
        assert_eq!((&form["in"], &form["required"]), (&"header".into(), &true.into()));
        assert_eq!(form["schema"]["pattern"], "^[!-~]{8,64}$");
        for key in ["short", "with a blank", &"k".repeat(65)] {
            let answer = send("application/json", key, b"{}".to_vec()).await;
            refused(&answer, StatusCode::BAD_REQUEST, "IDEMPOTENCY_KEY_MISSING");
        }
        assert!(
            documented("400") && documented("401") && documented("403"),
            "{path}"
        );
        let Some(body) = post.get("requestBody") else {
            continue;
        };
        assert!(documented("413") && documented("415"), "{path}");
        let answer = send("text/plain", "key-of-this", b"{}".to_vec()).await;
        refused(&answer, StatusCode::UNSUPPORTED_MEDIA_TYPE, "MEDIA_TYPE");
        if body["content"].get("application/json").is_some() {
            let answer = send("application/json", "key-of-this", vec![b' '; 65 * 1024]).await;
            refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE");
        }
    }
    assert!(posts >= 12, "{posts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_no_text_or_no_id_is_the_id_of_nothing() {
    let service = Service::new().await;
    for (account, path) in [
        ("sun", "/v1/permits/%ff"),
        ("sun", "/v1/permits/permit"),
        ("liu", "/v1/applications/%ff"),
        ("liu", "/v1/applications/%C3%28/photos"),
        ("sun", "/v1/orders/%80"),
        ("sun", "/v1/changes/%ff"),
        ("gu", "/v1/applications/%ff/photo-reads"),
        (
            "liu",
            "/v1/applications/018f0000-0000-7000-8000-000000000000/photos/%ff/picture?purpose=REVIEW",
        ),
    ] {
        refused(
            &service.get(account, path).await,
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_half_a_head_or_nothing_is_cut_off_and_others_are_served_until_the_end() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let fixture = Fixture::new().await;
    let times = Times {
        head: std::time::Duration::from_millis(300),
        ..Times::default()
    };
    let api = Api::with_times(fixture.office().clone(), staff_file(&fixture), times);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(api.serve(listener, async {
        let _ = stopped.await;
    }));
    for sent in [
        &b""[..],
        b"GET /healthz HTTP/1.1\r\nHost: office",
        b"\x16\x03\x01",
    ] {
        let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
        slow.write_all(sent).await.unwrap();
        let mut said = Vec::new();
        // The end comes from the other side, with an answer or without.
        let _ = slow.read_to_end(&mut said).await;
        assert!(!said.starts_with(b"HTTP/1.1 200"));
    }
    let mut good = tokio::net::TcpStream::connect(address).await.unwrap();
    good.write_all(b"GET /healthz HTTP/1.1\r\nHost: office\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    good.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[allow(
    clippy::too_many_lines,
    reason = "one change from proposal to card, step by step"
)]
async fn a_change_is_proposed_signed_off_and_given_up_over_http_by_the_people_whose_it_is() {
    let service = Service::new().await;
    let (permit, _card) = service.fixture.in_use(APPLICANT).await;
    let application = service
        .fixture
        .office()
        .permit(permit)
        .await
        .unwrap()
        .grant()
        .application;
    let receipt = service.fixture.photo(application).await.to_string();
    let body = |kind: &str, more: Value| {
        let mut body = json!({"permit_id": permit.to_string(), "kind": kind});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body.to_string()
    };
    let propose =
        async |account: &str, key: &str, body: String| service.post(account, key, "/v1/changes", body).await;
    refused(
        &propose("sun", "key of change", body("BLOCK", json!({}))).await,
        StatusCode::FORBIDDEN,
        "ROLE_MISSING",
    );
    for stray in [
        body("ROTATE", json!({"tier": "TEMP"})),
        body("TIER", json!({})),
        body("ADDRESS", json!({"photo_receipt": receipt})),
        body("BLOCK", json!({"applicant": {}})),
        body("LOAD", json!({})),
    ] {
        refused(
            &propose("he", "key of change", stray).await,
            StatusCode::BAD_REQUEST,
            "BODY",
        );
    }
    refused(
        &propose("he", "key of change", body("ENDORSE", json!({}))).await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "TOO_EARLY",
    );
    // A refusal says what is missing and what there is.
    let not_eligible = propose("he", "key of change", body("TIER", json!({"tier": "TALENT"}))).await;
    refused(&not_eligible, StatusCode::UNPROCESSABLE_ENTITY, "NOT_ELIGIBLE");
    let why = &not_eligible.json["decision"]["refusal"];
    assert_eq!(
        (&why["missing"], &why["best_today"]),
        (&json!(["DEGREE", "TITLE"]), &"EMPLOYMENT".into())
    );
    // What the new face could not show is told before the receipt is used.
    let mut moved: Value = serde_json::from_str(APPLICANT).unwrap();
    moved["residence"]["address"] = "广东省深圳市南山区\u{1f3e0}路8号".into();
    let unprintable = body("ADDRESS", json!({"photo_receipt": receipt, "applicant": moved}));
    let answer = propose("he", "key of change", unprintable).await;
    refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, "APPLICANT_FORM");
    assert_eq!(answer.json["errors"][0]["field"], "residence.address");
    moved["residence"]["address"] = "广东省深圳市南山区学府路8号".into();
    let right = body("ADDRESS", json!({"photo_receipt": receipt, "applicant": moved}));
    let proposed = propose("he", "key of address", right.clone()).await;
    assert_eq!(proposed.status, StatusCode::CREATED, "{}", proposed.json);
    assert_eq!(
        (&proposed.json["kind"], &proposed.json["state"]),
        (&"ADDRESS".into(), &"PROPOSED".into())
    );
    assert_eq!(propose("he", "key of address", right).await.json, proposed.json);
    refused(
        &propose("he", "key of address", body("END", json!({}))).await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "IDEMPOTENCY_KEY_REUSED",
    );
    let id = proposed.json["change_id"].as_str().unwrap().to_owned();
    let step = async |account: &str, what: &str, body: &str| {
        let path = format!("/v1/changes/{id}/{what}");
        let key = format!("key of {what}");
        service.post(account, &key, &path, body.to_owned()).await
    };
    let path = format!("/v1/changes/{id}/proposal");
    refused(
        &service.get("sun", &path).await,
        StatusCode::FORBIDDEN,
        "ROLE_MISSING",
    );
    let read = service.get("zhao", &path).await;
    assert_eq!(read.json["facts"][0]["field"], "residence", "{}", read.json);
    let read = json!({"content": read.json["content"]}).to_string();
    let other = json!({"content": "0".repeat(64)}).to_string();
    refused(
        &step("zhao", "approval", &other).await,
        StatusCode::CONFLICT,
        "OTHER_CONTENT",
    );
    refused(
        &step("he", "approval", &read).await,
        StatusCode::FORBIDDEN,
        "SAME_PERSON_TWICE",
    );
    refused(
        &step("sun", "approval", &read).await,
        StatusCode::FORBIDDEN,
        "ROLE_MISSING",
    );
    for _ in 0..2 {
        let signed = step("zhao", "approval", &read).await;
        assert_eq!(
            (signed.status, &signed.json["state"]),
            (StatusCode::OK, &"ORDERED".into())
        );
        assert_eq!(signed.json["approver"], "zhao");
    }
    refused(
        &step("zhao", "give-up", "").await,
        StatusCode::FORBIDDEN,
        "ROLE_MISSING",
    );
    for _ in 0..2 {
        assert_eq!(step("he", "give-up", "").await.json["state"], "GIVEN_UP");
    }
    let shown = service.get("sun", &format!("/v1/changes/{id}")).await;
    assert_eq!(
        (shown.status, &shown.json["state"]),
        (StatusCode::OK, &"GIVEN_UP".into())
    );
    refused(
        &service.get("liu", &format!("/v1/changes/{id}")).await,
        StatusCode::FORBIDDEN,
        "ROLE_MISSING",
    );
    assert!(!shown.json.to_string().contains("学府"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_given_up_over_http_by_a_producer_and_its_permit_ordered_again() {
    let service = Service::new().await;
    let (_, permit) = service.approved().await;
    // What was signed is made again: nothing is decided anew.
    let order = async |key: &str| {
        let body = json!({"permit_id": permit}).to_string();
        service.post("sun", key, "/v1/orders", body).await
    };
    let first = order("key of order 1").await;
    let path = format!("/v1/orders/{}/give-up", first.json["order_id"].as_str().unwrap());
    refused(
        &service.post("chen", "key of the end", &path, "").await,
        StatusCode::FORBIDDEN,
        "ROLE_MISSING",
    );
    for _ in 0..2 {
        let given_up = service.post("sun", "key of the end", &path, "").await;
        assert_eq!(
            (given_up.status, &given_up.json["state"]),
            (StatusCode::OK, &"GIVEN_UP".into())
        );
    }
    assert_eq!(order("key of order 2").await.status, StatusCode::CREATED);
}
