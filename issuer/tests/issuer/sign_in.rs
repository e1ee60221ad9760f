//! Signing in to the counter's pages with an authenticator in software: enrolling two, answers that are not taken, proving again to be
//! there, the way back by two people, wrong attempts, sessions that end.

use std::sync::Mutex;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use issuer_office::office::Office;
use issuer_office::staff::{Member, Staff, StaffFile, StaffRole};
use issuer_office::webauthn::RelyingParty;
use issuer_web::{Counter, SimulatedIdentityReader};
use jiff::civil::date;
use tower::ServiceExt as _;

use crate::authenticator::{Authenticator, COPIED, Form, PRESENT, VERIFIED, challenge};
use crate::fixture::{Fixture, FixtureClock, now};
use crate::pages::{Page, encoded};

const STAFF: [(&str, StaffRole); 5] = [
    ("liu", StaffRole::IntakeClerk),
    ("ma", StaffRole::ChangeClerk),
    ("xu", StaffRole::Administrator),
    ("zhou", StaffRole::Administrator),
    ("tang", StaffRole::Administrator),
];

/// An office and its pages: a real one, where nobody signs in by a name, or a rehearsal.
pub(crate) struct Pages {
    fixture: Fixture,
    office: Office,
    pub(crate) router: axum::Router,
    later: Mutex<i64>,
}

struct Browser<'a> {
    pages: &'a Pages,
    cookie: Mutex<String>,
}

impl Pages {
    async fn new(is_rehearsal: bool) -> Self {
        Self::at(is_rehearsal, RelyingParty::on_this_machine(8440)).await
    }

    /// Where browsers find them at this origin.
    pub(crate) async fn at(is_rehearsal: bool, party: RelyingParty) -> Self {
        let fixture = Fixture::new().await;
        let mut office = fixture.office().clone();
        if !is_rehearsal {
            office = office.founded_under(None);
        }
        let member = |(account, role): (&str, StaffRole)| {
            let token = format!("token of {account}");
            Member::new(account.parse().unwrap(), vec![role], &token, date(2026, 12, 31))
        };
        let staff = Staff::new(STAFF.map(member).to_vec()).unwrap();
        let path = fixture.folder.path().join("staff.toml");
        std::fs::write(&path, staff.to_toml().unwrap()).unwrap();
        let router = Counter::new(office.clone(), StaffFile::at(path), party, None)
            .with_identity_reader(Box::new(SimulatedIdentityReader::default()))
            .router();
        Self {
            fixture,
            office,
            router,
            later: Mutex::new(0),
        }
    }

    fn browser(&self) -> Browser<'_> {
        Browser {
            pages: self,
            cookie: Mutex::default(),
        }
    }

    fn clock(&self) -> &FixtureClock {
        &self.fixture.time
    }

    /// Time goes on.
    pub(crate) fn minutes_later(&self, minutes: i64) {
        let mut later = self.later.lock().unwrap();
        *later += minutes;
        let at = now() + jiff::SignedDuration::from_mins(*later);
        self.clock().set(&at.to_string());
    }

    /// Somebody with two authenticators, whose numbers are this one and the next.
    async fn enrolled(&self, account: &str, number: u8) -> [Authenticator; 2] {
        let browser = self.browser();
        let token = format!("token of {account}");
        let opened = browser
            .post("/counter/sign-in", &form(&[("token", &token)]))
            .await;
        assert_eq!(opened.to(), "/counter/authenticators");
        let mut both = [Authenticator::number(number), Authenticator::number(number + 1)];
        let mut went = String::new();
        for one in &mut both {
            let page = browser.get("/counter/authenticators").await;
            let enrolled = browser
                .post("/counter/authenticators", &one.enrols(&page, "蓝色密钥"))
                .await;
            enrolled.to().clone_into(&mut went);
        }
        assert_eq!(went, "/counter/sign-in?why=enrolled");
        both
    }

    /// A browser at which this authenticator's person signed in.
    async fn signed_in(&self, key: &mut Authenticator) -> Browser<'_> {
        let browser = self.browser();
        assert_eq!(browser.sign_in(key).await.to(), "/counter");
        browser
    }
}

impl Browser<'_> {
    async fn send(&self, request: axum::http::request::Builder, body: Body) -> Page {
        let cookie = self.cookie.lock().unwrap().clone();
        let request = request
            .header(header::COOKIE, cookie)
            .header(header::HOST, "localhost:8440")
            .body(body)
            .unwrap();
        let response = self.pages.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        if let Some(set) = parts.headers.get(header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            pair.clone_into(&mut self.cookie.lock().unwrap());
        }
        Page {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&to_bytes(body, 1 << 22).await.unwrap()).into_owned(),
        }
    }

    async fn get(&self, path: &str) -> Page {
        self.send(Request::get(path), Body::empty()).await
    }

    async fn post(&self, path: &str, fields: &Form) -> Page {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let request = Request::post(path)
            .header(header::ORIGIN, "http://localhost:8440")
            .header(header::REFERER, "http://localhost:8440/counter/intake?again=1")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, Body::from(encoded(&fields))).await
    }

    async fn sign_in(&self, key: &mut Authenticator) -> Page {
        let page = self.get("/counter/sign-in").await;
        self.post("/counter/sign-in", &key.answers(&page, "")).await
    }
}

fn form(fields: &[(&str, &str)]) -> Form {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    fields.iter().map(own).collect()
}

/// What is wrong with an answer.
type Bend = fn(&mut Authenticator);

/// Refused with this code, and nobody is signed in.
fn refused(page: &Page, code: &str) {
    assert!(
        page.has(&format!("<p class=\"code\">{code}</p>")),
        "{code}: {} {}",
        page.status,
        page.text
    );
    assert!(page.headers.get(header::SET_COOKIE).is_none());
}

#[tokio::test]
async fn two_authenticators_are_enrolled_before_any_work_and_the_token_opens_no_page_then() {
    let pages = Pages::new(false).await;
    let browser = pages.browser();
    refused(
        &browser
            .post("/counter/sign-in", &form(&[("account", "liu")]))
            .await,
        "NOT_A_REHEARSAL",
    );
    refused(
        &browser
            .post("/counter/sign-in", &form(&[("token", "nobody's")]))
            .await,
        "NOT_SIGNED_IN",
    );
    let token = form(&[("token", "token of liu")]);
    assert_eq!(
        browser.post("/counter/sign-in", &token).await.to(),
        "/counter/authenticators"
    );
    // The token opens this page and no other.
    for page in ["/counter", "/counter/intake", "/counter/accounts"] {
        assert_eq!(browser.get(page).await.to(), "/counter/authenticators");
    }
    let (mut first, mut second) = (Authenticator::number(1), Authenticator::number(2));
    let page = browser.get("/counter/authenticators").await;
    assert!(page.has("现在登记第一枚") && !page.has("新申请"), "{}", page.text);
    let enrols = first.enrols(&page, "蓝色密钥");
    assert_eq!(
        browser.post("/counter/authenticators", &enrols).await.to(),
        "/counter/authenticators"
    );
    // The same answer again, the same authenticator again, and one that is not bound to its device.
    refused(
        &browser.post("/counter/authenticators", &enrols).await,
        "CHALLENGE_ENDED",
    );
    let page = browser.get("/counter/authenticators").await;
    assert!(
        page.has("蓝色密钥") && page.has("现在登记第二枚"),
        "{}",
        page.text
    );
    refused(
        &browser
            .post("/counter/authenticators", &first.enrols(&page, "again"))
            .await,
        "AUTHENTICATOR_KNOWN",
    );
    for (flags, origin, code) in [
        (PRESENT, "http://localhost:8440", "USER_NOT_VERIFIED"),
        (
            PRESENT | VERIFIED | COPIED,
            "http://localhost:8440",
            "AUTHENTICATOR_COPIED",
        ),
        (PRESENT | VERIFIED, "http://localhost:8441", "OTHER_ORIGIN"),
    ] {
        let mut bent = Authenticator {
            flags,
            origin: origin.to_owned(),
            ..second.clone()
        };
        refused(
            &browser
                .post("/counter/authenticators", &bent.enrols(&page, "bent"))
                .await,
            code,
        );
    }
    // With one of two nobody works: its person comes to this page.
    let half = pages.browser();
    assert_eq!(half.sign_in(&mut first).await.to(), "/counter/authenticators");
    assert_eq!(half.get("/counter/intake").await.to(), "/counter/authenticators");

    let page = browser.get("/counter/authenticators").await;
    let enrolled = browser
        .post("/counter/authenticators", &second.enrols(&page, "备用"))
        .await;
    assert_eq!(enrolled.to(), "/counter/sign-in?why=enrolled");
    assert!(
        browser
            .get("/counter/authenticators")
            .await
            .to()
            .starts_with("/counter/sign-in")
    );
    refused(
        &pages.browser().post("/counter/sign-in", &token).await,
        "ENROLLED",
    );
    for key in [&mut first, &mut second] {
        let browser = pages.signed_in(key).await;
        assert!(browser.get("/counter").await.has("新申请"));
    }
    // The session of a command line opens no page either.
    let staff = Staff::load(&pages.fixture.folder.path().join("staff.toml")).unwrap();
    let secret = pages.office.sign_in(&staff, "token of liu").await.unwrap().secret;
    let browser = pages.browser();
    *browser.cookie.lock().unwrap() = format!("yzt_session={}", *secret);
    assert!(browser.get("/counter").await.to().starts_with("/counter/sign-in"));
    pages.office.verify_ledger().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_was_given_before_elsewhere_or_by_another_key_signs_nobody_in() {
    let pages = Pages::new(false).await;
    let [mut key, _] = pages.enrolled("liu", 1).await;
    let browser = pages.browser();
    let page = browser.get("/counter/sign-in").await;
    let answer = key.answers(&page, "");
    assert_eq!(browser.post("/counter/sign-in", &answer).await.to(), "/counter");
    // Wrong attempts wait: each comes an hour later.
    pages.minutes_later(61);
    // Of another moment.
    refused(
        &browser.post("/counter/sign-in", &answer).await,
        "CHALLENGE_ENDED",
    );
    let at_once = browser.get("/counter/sign-in").await;
    let answer = key.answers(&at_once, "");
    assert_eq!(browser.post("/counter/sign-in", &answer).await.to(), "/counter");
    refused(
        &pages.browser().post("/counter/sign-in", &answer).await,
        "CHALLENGE_ENDED",
    );
    let before = browser.get("/counter/sign-in").await;
    pages.minutes_later(61);
    refused(
        &browser.post("/counter/sign-in", &key.answers(&before, "")).await,
        "CHALLENGE_ENDED",
    );

    let bent: [(Bend, &str); 8] = [
        (
            |key| "http://localhost:8441".clone_into(&mut key.origin),
            "OTHER_ORIGIN",
        ),
        (
            |key| "https://localhost:8440".clone_into(&mut key.origin),
            "OTHER_ORIGIN",
        ),
        (|key| key.cross_origin = true, "OTHER_ORIGIN"),
        (|key| "example.cn".clone_into(&mut key.party), "OTHER_ORIGIN"),
        (|key| key.flags = PRESENT, "USER_NOT_VERIFIED"),
        (
            |key| key.flags = PRESENT | VERIFIED | COPIED,
            "AUTHENTICATOR_COPIED",
        ),
        (|key| key.counter = 0, "AUTHENTICATOR_COUNTER"),
        (|key| key.credential = vec![77; 32], "AUTHENTICATOR_UNKNOWN"),
    ];
    for (bend, code) in bent {
        pages.minutes_later(61);
        let mut bent = key.clone();
        bend(&mut bent);
        refused(&browser.sign_in(&mut bent).await, code);
    }
    // A stranger is told the same, whether there is such an authenticator or not.
    let mut said = Vec::new();
    for credential in [key.credential.clone(), vec![78; 32]] {
        pages.minutes_later(61);
        let mut stranger = Authenticator {
            credential,
            counter: 1000,
            ..Authenticator::number(9)
        };
        let page = browser.sign_in(&mut stranger).await;
        refused(&page, "AUTHENTICATOR_UNKNOWN");
        said.push((page.status, page.text.replace(&challenge(&page), "")));
    }
    assert_eq!(said[0], said[1]);
    pages.minutes_later(61);
    assert_eq!(
        browser.sign_in(&mut key).await.to(),
        "/counter",
        "its person still comes in"
    );
}

#[tokio::test]
async fn what_is_dangerous_asks_for_a_proof_of_the_own_authenticator_and_goes_on_with_the_form() {
    let pages = Pages::new(false).await;
    let [mut key, spare] = pages.enrolled("liu", 1).await;
    let [mut other, _] = pages.enrolled("ma", 11).await;
    let browser = pages.signed_in(&mut key).await;
    let second = pages.signed_in(&mut key).await;
    pages.minutes_later(6);
    let remove = [
        ("account", "liu"),
        ("authenticator", &issuer_office::webauthn::text(&spare.credential)),
    ];
    let remove = form(&remove);
    let asks = browser.post("/counter/authenticators/remove", &remove).await;
    assert_eq!(asks.status, StatusCode::FORBIDDEN);
    assert_eq!(asks.hidden("authenticator"), remove[1].1, "the form is kept");
    assert!(asks.has("action=\"/counter/authenticators/remove?as=liu\""));
    // Another person's, also with the question of this page; and nobody's.
    let with = |proof: Form| [remove.clone(), proof].concat();
    let page = browser
        .post(
            "/counter/authenticators/remove",
            &with(other.answers(&asks, "proof.")),
        )
        .await;
    refused(&page, "AUTHENTICATOR_OTHER");
    let page = browser
        .post(
            "/counter/authenticators/remove",
            &with(form(&[("proof.account", "liu")])),
        )
        .await;
    refused(&page, "NOT_A_REHEARSAL");
    // The question of a sign-in is another one.
    let sign_in = pages.browser().get("/counter/sign-in").await;
    let page = browser
        .post(
            "/counter/authenticators/remove",
            &with(key.answers(&sign_in, "proof.")),
        )
        .await;
    refused(&page, "CHALLENGE_ENDED");
    pages.minutes_later(2);
    let asks = browser.post("/counter/authenticators/remove", &remove).await;
    let done = browser
        .post(
            "/counter/authenticators/remove",
            &with(key.answers(&asks, "proof.")),
        )
        .await;
    assert_eq!(done.to(), "/counter/sign-in?why=removed");
    // Every session of the account is over, the removed one opens nothing, and with one left its person enrols another.
    assert!(second.get("/counter").await.to().starts_with("/counter/sign-in"));
    pages.minutes_later(61);
    refused(
        &browser.sign_in(&mut spare.clone()).await,
        "AUTHENTICATOR_UNKNOWN",
    );
    pages.minutes_later(61);
    assert_eq!(browser.sign_in(&mut key).await.to(), "/counter/authenticators");
    refused(
        &pages
            .browser()
            .post("/counter/sign-in", &form(&[("token", "token of liu")]))
            .await,
        "ENROLLED",
    );
    // Nobody removes a colleague's but an administrator.
    let browser = pages.signed_in(&mut other).await;
    let remove = [
        ("account", "liu"),
        ("authenticator", &issuer_office::webauthn::text(&key.credential)),
    ];
    let page = browser
        .post("/counter/authenticators/remove", &form(&remove))
        .await;
    refused(&page, "ROLE_MISSING");
}

#[tokio::test]
async fn an_account_comes_back_by_two_others_and_a_code_that_works_once_and_in_time() {
    const ASK: &str = "/counter/accounts/recoveries";
    const CONFIRM: &str = "/counter/accounts/recoveries/confirm";
    let pages = Pages::new(false).await;
    let [mut old, _] = pages.enrolled("liu", 1).await;
    let [mut xu, _] = pages.enrolled("xu", 21).await;
    let [mut zhou, _] = pages.enrolled("zhou", 31).await;
    let liu = form(&[("account", "liu")]);
    let code_of = |page: &Page| {
        let code = page.text.split("data-focus>").nth(1).unwrap();
        code.split('<').next().unwrap().to_owned()
    };
    let use_code = async |code: &str| {
        let fields = form(&[("of", "liu"), ("code", code)]);
        pages.browser().post("/counter/sign-in", &fields).await
    };

    let clerk = pages.signed_in(&mut old).await;
    refused(&clerk.post(ASK, &liu).await, "ROLE_MISSING");
    refused(&clerk.get("/counter/accounts").await, "ROLE_MISSING");
    let first = pages.signed_in(&mut xu).await;
    refused(
        &first.post(ASK, &form(&[("account", "xu")])).await,
        "RECOVERY_BY_TWO_OTHERS",
    );
    refused(
        &first.post(ASK, &form(&[("account", "nobody")])).await,
        "NOT_FOUND",
    );
    refused(&first.post(CONFIRM, &liu).await, "NO_RECOVERY");
    assert_eq!(first.post(ASK, &liu).await.to(), "/counter/accounts");
    refused(&first.post(ASK, &liu).await, "RECOVERY_UNDER_WAY");
    // Who asked does not confirm.
    refused(&first.post(CONFIRM, &liu).await, "RECOVERY_BY_TWO_OTHERS");
    let second = pages.signed_in(&mut zhou).await;
    assert!(second.get("/counter/accounts").await.has("确认恢复"));
    let late = code_of(&second.post(CONFIRM, &liu).await);
    refused(&second.post(CONFIRM, &liu).await, "RECOVERY_UNDER_WAY");
    // Until the code is used everything is as it was.
    assert_eq!(pages.browser().sign_in(&mut old).await.to(), "/counter");
    refused(&use_code("00000-00000-00000-00000").await, "RECOVERY_CODE");
    pages.minutes_later(31);
    refused(&use_code(&late).await, "RECOVERY_CODE");

    let first = pages.signed_in(&mut xu).await;
    let second = pages.signed_in(&mut zhou).await;
    let clerk = pages.signed_in(&mut old).await;
    assert_eq!(first.post(ASK, &liu).await.to(), "/counter/accounts");
    let code = code_of(&second.post(CONFIRM, &liu).await);
    assert_ne!(code, late);
    let browser = pages.browser();
    let fields = form(&[("of", "liu"), ("code", &code.to_lowercase().replace('-', " "))]);
    assert_eq!(
        browser.post("/counter/sign-in", &fields).await.to(),
        "/counter/authenticators"
    );
    refused(&use_code(&code).await, "RECOVERY_CODE");
    // The authenticators of before are gone, and so is whoever sat with them.
    assert!(clerk.get("/counter").await.to().starts_with("/counter/sign-in"));
    pages.minutes_later(1);
    refused(&pages.browser().sign_in(&mut old).await, "AUTHENTICATOR_UNKNOWN");
    let mut new = [Authenticator::number(41), Authenticator::number(42)];
    for one in &mut new {
        let page = browser.get("/counter/authenticators").await;
        browser
            .post("/counter/authenticators", &one.enrols(&page, "新"))
            .await
            .to();
    }
    pages.minutes_later(61);
    assert_eq!(pages.browser().sign_in(&mut new[1]).await.to(), "/counter");
    pages.office.verify_ledger().await.unwrap();
}

#[tokio::test]
async fn wrong_attempts_wait_longer_and_longer_and_shut_nobody_out_who_has_the_key() {
    let pages = Pages::new(false).await;
    let [mut key, _] = pages.enrolled("liu", 1).await;
    let at_work = pages.signed_in(&mut key).await;
    let wrong = form(&[("of", "liu"), ("code", "wrong")]);
    for _ in 0..4 {
        refused(
            &pages.browser().post("/counter/sign-in", &wrong).await,
            "RECOVERY_CODE",
        );
    }
    let waits = pages.browser().post("/counter/sign-in", &wrong).await;
    refused(&waits, "SIGN_IN_LOCKED");
    assert!(
        waits.has("之前不再受理") && waits.has("两名管理员"),
        "{}",
        waits.text
    );
    // The same for an account that nobody has.
    let nobody = form(&[("of", "nobody"), ("code", "wrong")]);
    refused(
        &pages.browser().post("/counter/sign-in", &nobody).await,
        "SIGN_IN_LOCKED",
    );
    // Any number of them, by a stranger who knows the name alone.
    for _ in 0..20 {
        pages.minutes_later(1);
        pages.browser().post("/counter/sign-in", &wrong).await;
    }
    assert_eq!(pages.browser().sign_in(&mut key).await.to(), "/counter");
    // And who sits at work proves to be there.
    let asked = at_work.post("/counter/authenticators/remove", &form(&[])).await;
    let proof = key.answers(&asked, "proof.");
    let proved = at_work.post("/counter/authenticators/remove", &proof).await;
    assert!(!proved.has("SIGN_IN_LOCKED"), "{}", proved.text);
}

#[tokio::test]
async fn a_session_that_nobody_used_for_half_an_hour_is_over_and_the_form_says_so() {
    let pages = Pages::new(false).await;
    let [mut key, _] = pages.enrolled("liu", 1).await;
    let browser = pages.signed_in(&mut key).await;
    for _ in 0..3 {
        pages.minutes_later(25);
        assert_eq!(
            browser.get("/counter").await.status,
            StatusCode::OK,
            "used in between"
        );
    }
    pages.minutes_later(31);
    let page = browser.get("/counter/lists/review").await;
    assert_eq!(page.to(), "/counter/sign-in?next=/counter/lists/review&why=ended");
    assert!(browser.get("/counter/sign-in?why=ended").await.has("登录已过期"));
    // A form is not lost: it is said that nothing was done, and the way leads back to its page.
    let sent = browser.post("/counter/intake", &form(&[("name", "x")])).await;
    assert_eq!(sent.status, StatusCode::UNAUTHORIZED);
    assert!(
        sent.has("没有办理") && sent.has("/counter/sign-in?next=/counter/intake\""),
        "{}",
        sent.text
    );
}

#[tokio::test]
async fn in_a_rehearsal_the_sample_person_is_chosen_again_before_what_is_dangerous() {
    const REJECT: &str = "/counter/orders/00000000-0000-7000-8000-000000000001/reject";
    let pages = Pages::new(true).await;
    let browser = pages.browser();
    let chosen = form(&[("account", "xu")]);
    assert_eq!(browser.post("/counter/sign-in", &chosen).await.to(), "/counter");
    pages.minutes_later(6);
    let asks = browser.post(REJECT, &Form::new()).await;
    assert!(
        asks.status == StatusCode::FORBIDDEN && asks.has("proof.account"),
        "{}",
        asks.text
    );
    let page = browser.post(REJECT, &form(&[("proof.account", "liu")])).await;
    refused(&page, "AUTHENTICATOR_OTHER");
    // It goes on, to where the role is asked.
    let page = browser.post(REJECT, &form(&[("proof.account", "xu")])).await;
    refused(&page, "ROLE_MISSING");
    // Sample people enrol authenticators too, and use them.
    let mut key = Authenticator::number(1);
    for key in [&mut key, &mut Authenticator::number(2)] {
        let page = browser.get("/counter/authenticators").await;
        let enrolled = browser
            .post("/counter/authenticators", &key.enrols(&page, "样本"))
            .await;
        assert_eq!(enrolled.to(), "/counter/authenticators");
    }
    assert_eq!(pages.browser().sign_in(&mut key).await.to(), "/counter");
}

#[tokio::test]
async fn an_installation_that_is_no_rehearsal_has_no_simulated_reader() {
    let pages = Pages::new(false).await;
    let mut keys = pages.enrolled("liu", 1).await;
    let clerk = pages.signed_in(&mut keys[0]).await;
    let page = clerk.get("/counter/intake").await;
    assert!(
        !page.has("读身份证") && page.has("未接身份证阅读器"),
        "{}",
        page.text
    );
    let id = page.hidden("id");
    let read = clerk.post("/counter/intake/read", &form(&[("id", &id)])).await;
    assert_eq!(read.status, StatusCode::CONFLICT);
    assert!(read.has("NO_READER") && read.has("value=\"\""), "{}", read.text);
}
