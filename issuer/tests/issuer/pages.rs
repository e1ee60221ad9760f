//! The counter's pages against the real office, vault, photo store and card: the whole issue of a card as browsers send it, without
//! scripts; who may not; what another site sends.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use issuer_api::Api;
use issuer_mandate::SignerRole;
use issuer_office::staff::StaffFile;
use issuer_office::webauthn::RelyingParty;
use issuer_production::{HolderChecked, Production, Station};
use issuer_web::{
    AtReader, Counter, Desk, FacesHere, OrderHere, Public, PurseSeen, SimulatedIdentityReader, Written,
};
use permit_domain::{ChangeId, HandOverClerk, Maker, OrderId, PermitId, Producer, StaffId};
use tower::ServiceExt as _;
use virtual_card::InProcess;
use virtual_card::fault::{Fault, Faulty};

use crate::api::staff_file;
use crate::fixture::{FACE, Fixture, TestCard};

/// A desk with one reader, on which a card lies.
struct OneReader {
    production: Arc<Production>,
    card: Arc<Mutex<TestCard>>,
    /// The card is pulled behind this many commands of the next work.
    pulled: Arc<Mutex<Option<u32>>>,
}

impl OneReader {
    fn station(&self) -> Station {
        let card = self.card.lock().unwrap();
        match self.pulled.lock().unwrap().take() {
            Some(commands) => {
                Station::new(Faulty::<InProcess>::new(card.reader()).with(commands, Fault::CutAfter))
            }
            None => card.station(),
        }
    }
}

impl Desk for OneReader {
    fn makes_by_itself(&self) -> bool {
        false
    }

    fn make(&self, order: OrderId, maker: Maker) -> Option<AtReader> {
        let (production, mut station) = (Arc::clone(&self.production), self.station());
        Some(Box::pin(async move {
            Ok(production.run(order, &mut station, &maker, &mut |_| {}).await?)
        }))
    }

    fn write_change(&self, change: ChangeId, producer: Producer) -> Written {
        let (production, mut station) = (Arc::clone(&self.production), self.station());
        Box::pin(async move {
            production.write_change(change, &mut station, &producer).await?;
            Ok(())
        })
    }

    fn see_purse(&self, permit: PermitId) -> PurseSeen {
        let (production, mut station) = (Arc::clone(&self.production), self.station());
        Box::pin(async move { Ok(production.see_purse(permit, &mut station).await?) })
    }

    fn order_here(&self) -> OrderHere {
        let (production, mut station) = (Arc::clone(&self.production), self.station());
        Box::pin(async move { Ok(production.order_of_card(&mut station).await?) })
    }

    fn faces(&self, order: OrderId, by: StaffId) -> FacesHere {
        let production = Arc::clone(&self.production);
        Box::pin(async move { Ok(production.faces(order, &by).await?) })
    }

    fn hand_over(&self, order: OrderId, clerk: HandOverClerk, holder: HolderChecked) -> AtReader {
        let (production, mut station) = (Arc::clone(&self.production), self.station());
        Box::pin(async move {
            Ok(production
                .hand_over(order, &mut station, clerk, holder, &mut |_| {})
                .await?)
        })
    }
}

pub(crate) struct Town {
    pub(crate) fixture: Fixture,
    pub(crate) router: axum::Router,
    card: Arc<Mutex<TestCard>>,
    pulled: Arc<Mutex<Option<u32>>>,
}

/// A browser of one person: it keeps cookies.
pub(crate) struct Browser<'a> {
    town: &'a Town,
    account: String,
    cookie: Mutex<String>,
}

pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    /// Where it sends the browser.
    pub(crate) fn to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.headers[header::LOCATION].to_str().unwrap()
    }

    /// The value of a hidden field, where the page has it.
    pub(crate) fn hidden_or_none(&self, name: &str) -> Option<String> {
        let field = format!("type=\"hidden\" name=\"{name}\" value=\"");
        let behind = self.text.split(&field).nth(1)?;
        Some(behind.split('"').next().unwrap().to_owned())
    }

    /// The value of a hidden field.
    pub(crate) fn hidden(&self, name: &str) -> String {
        self.hidden_or_none(name)
            .unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }

    /// A field of what the page leads to the signing page with.
    pub(crate) fn signing_field(&self, name: &str) -> String {
        let link = self.text.split("id=\"to-sign\" href=\"").nth(1);
        let link = link.unwrap_or_else(|| panic!("no way to the signing page in {}", self.text));
        let link = link.split('"').next().unwrap().replace("&#38;", "&");
        let (signing, fields) = link.split_once("/#").unwrap();
        assert_eq!(signing, "http://sign.localhost:8441");
        let mut pairs = fields.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(of, _)| *of == name).unwrap().1.to_owned()
    }

    pub(crate) fn has(&self, words: &str) -> bool {
        self.text.contains(words)
    }
}

impl Town {
    pub(crate) async fn new() -> Self {
        Self::of(Fixture::new().await).await
    }

    /// The town over this office.
    pub(crate) async fn of(fixture: Fixture) -> Self {
        Self::beside(fixture, "http://sign.localhost:8441").await
    }

    /// The town over this office, with the signing page at this origin.
    pub(crate) async fn beside(fixture: Fixture, signing: &str) -> Self {
        let card = Arc::new(Mutex::new(fixture.blank()));
        let pulled = Arc::<Mutex<Option<u32>>>::default();
        let desk = OneReader {
            production: Arc::new(fixture.production_again()),
            card: Arc::clone(&card),
            pulled: Arc::clone(&pulled),
        };
        let staff: StaffFile = staff_file(&fixture);
        let public = Public {
            address: None,
            document_signer: Some(fixture.anchors().await.document_signer),
            key: Some(Arc::clone(&fixture.key)),
        };
        let party = RelyingParty::on_this_machine(8440);
        let signing_page = RelyingParty::at(signing).unwrap();
        let counter = Counter::new(fixture.office().clone(), staff, party, Some(Box::new(desk)))
            .with_public(public)
            .with_signing_page(Some(signing_page))
            .with_identity_reader(Box::new(SimulatedIdentityReader::default()));
        let router = Api::new(fixture.office().clone(), staff_file(&fixture))
            .with_pages(counter.router())
            .router();
        Self {
            fixture,
            router,
            card,
            pulled,
        }
    }

    /// The card is pulled behind so many commands of the next work at the reader.
    pub(crate) fn pull_behind(&self, commands: u32) {
        *self.pulled.lock().unwrap() = Some(commands);
    }

    /// Lays another card on the reader.
    pub(crate) fn on_the_reader(&self, card: TestCard) {
        *self.card.lock().unwrap() = card;
    }

    /// A browser of a stranger.
    pub(crate) fn stranger(&self) -> Browser<'_> {
        Browser {
            town: self,
            account: String::new(),
            cookie: Mutex::default(),
        }
    }

    /// A browser at which somebody chose a sample member of staff.
    pub(crate) async fn browser(&self, account: &str) -> Browser<'_> {
        let mut browser = self.stranger();
        account.clone_into(&mut browser.account);
        let page = browser
            .post("/counter/sign-in", &[("account", account), ("next", "/counter")])
            .await;
        assert_eq!(page.to(), "/counter");
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
        let response = self.town.router.clone().oneshot(request).await.unwrap();
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

    /// What it sends back to the pages.
    pub(crate) fn cookie(&self) -> String {
        self.cookie.lock().unwrap().clone()
    }

    pub(crate) async fn get(&self, path: &str) -> Page {
        self.send(Request::get(path), Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = Request::post(path)
            .header(header::ORIGIN, "http://localhost:8440")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, Body::from(encoded(fields))).await
    }

    /// What the person signs of a case, as the signing page gives it back: of the mandate that its page leads there with.
    pub(crate) async fn signature(&self, case: &str, step: &str) -> [(&'static str, String); 2] {
        let role = match step {
            "review" => SignerRole::Reviewer,
            _ => SignerRole::Approver,
        };
        let key = self.town.fixture.key_of(&self.account, role).await;
        let page = self.get(&format!("{case}/sign/{step}")).await;
        let mandate = hex::decode(page.signing_field("mandate")).unwrap();
        let to = page.signing_field("to");
        let content = to.rsplit("%2F").next().unwrap().to_owned();
        let signature = key.sign(&mandate).unwrap().to_text().unwrap();
        [("content", content), ("signature", signature)]
    }

    /// The mandate of a case, in hexadecimal digits.
    pub(crate) async fn mandate(&self, case: &str, step: &str) -> String {
        self.signature(case, step).await;
        self.get(&format!("{case}/sign/{step}"))
            .await
            .signing_field("mandate")
    }

    /// A step of a case that is signed.
    pub(crate) async fn signs(&self, case: &str, step: &str) -> Page {
        let fields = self.signature(case, step).await;
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.post(&format!("{case}/{step}"), &fields).await
    }

    pub(crate) async fn photo(&self, path: &str, file: &[u8]) -> Page {
        self.upload(path, "", &[file]).await
    }

    /// A small picture as a script sends what a camera sees.
    pub(crate) async fn frame(&self, path: &str, picture: &[u8]) -> Page {
        let request = Request::post(path)
            .header(header::ORIGIN, "http://localhost:8440")
            .header(header::CONTENT_TYPE, "image/jpeg");
        self.send(request, Body::from(picture.to_vec())).await
    }

    /// A form with parts: a paper, where one is named, and files.
    pub(crate) async fn upload(&self, path: &str, paper: &str, files: &[&[u8]]) -> Page {
        let mut body = Vec::new();
        if !paper.is_empty() {
            let field =
                format!("--edge\r\nContent-Disposition: form-data; name=\"paper\"\r\n\r\n{paper}\r\n");
            body.extend(field.into_bytes());
        }
        for file in files {
            body.extend(b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n");
            body.extend(*file);
            body.extend(b"\r\n");
        }
        body.extend(b"--edge--\r\n");
        let request = Request::post(path)
            .header(header::ORIGIN, "http://localhost:8440")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=edge");
        self.send(request, Body::from(body)).await
    }
}

pub(crate) fn encoded(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect::<String>()
    };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    pairs.join("&")
}

/// The sample's facts, as a form has them.
pub(crate) fn typed() -> Vec<(String, String)> {
    let sample: serde_json::Value = serde_json::from_str(crate::fixture::APPLICANT).unwrap();
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    let mut fields = Vec::new();
    for (name, value) in sample.as_object().unwrap() {
        match name.as_str() {
            "residence" => {
                for (part, value) in value.as_object().unwrap() {
                    fields.push((format!("residence.{part}"), text(value)));
                }
            }
            "evidence" => {
                for paper in value.as_array().unwrap() {
                    let code = text(&paper["code"]);
                    for part in ["from", "to"] {
                        fields.push((format!("{code}.{part}"), text(&paper[part])));
                    }
                    fields.push(("evidence".to_owned(), code));
                }
            }
            _ => fields.push((name.clone(), text(value))),
        }
    }
    fields
}

#[expect(clippy::too_many_lines, reason = "one walk, step by step")]
#[tokio::test]
async fn a_card_is_issued_page_by_page_from_the_intake_to_its_holders_hand() {
    let town = Town::new().await;
    let clerk = town.browser("liu").await;
    let form = clerk.get("/counter/intake").await;
    assert_eq!(form.status, StatusCode::OK);
    let id = form.hidden("id");
    let mut fields = typed();
    fields.push(("id".to_owned(), id.clone()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let filed = clerk.post("/counter/intake", &fields).await;
    let case = format!("/counter/cases/{id}");
    assert_eq!(filed.to(), case);
    // A double press, or the page sent again after a lost answer, is the same case.
    assert_eq!(clerk.post("/counter/intake", &fields).await.to(), case);

    let photo = clerk.photo(&format!("{case}/photos"), FACE).await;
    assert_eq!(photo.to(), format!("{case}#photo"));
    let seen = clerk.get(&case).await;
    assert!(seen.has("由您采集"), "{}", seen.text);
    assert!(seen.has("今日核定会是"));
    assert!(!seen.has("按规则核定"), "an intake clerk decides nothing");

    let reviewer = town.browser("wang").await;
    let list = clerk.get("/counter/lists/complete").await;
    assert!(list.has(&case) && list.has("还有"), "{}", list.text);
    // The colleague who is asked to confirm it finds it: counted on the first page, in a list, and by the number of the slip.
    let home = reviewer.get("/counter").await;
    assert!(home.has("data-count=\"confirm-photo\">1<"), "{}", home.text);
    let list = reviewer.get("/counter/lists/confirm-photo").await;
    assert!(
        list.has(&format!("{case}#photo")) && list.has("采集人 liu"),
        "{}",
        list.text
    );
    assert!(clerk.get("/counter/lists/confirm-photo").await.has("由您采集"));
    let slip = town.fixture.office().slip(id.parse().unwrap()).await.unwrap();
    let number = ("number", slip.receipt.as_str());
    let unsaid = reviewer.post("/counter/cases", &[number]).await;
    assert_eq!(unsaid.status, StatusCode::NOT_FOUND);
    assert!(unsaid.has("未选择为何查找"), "{}", unsaid.text);
    let found = reviewer.post("/counter/cases", &[number, ("why", "WORK")]).await;
    assert_eq!(found.to(), case);
    let seen = reviewer.get(&case).await;
    let picture = seen
        .text
        .split("<img src=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    let looked = reviewer.get(picture).await;
    assert_eq!(looked.headers[header::CONTENT_TYPE], "image/jpeg");
    let warnings: Vec<(&str, &str)> = seen
        .text
        .split("name=\"warning\" value=\"")
        .skip(1)
        .map(|rest| ("warning", rest.split('"').next().unwrap()))
        .collect();
    assert!(!warnings.is_empty(), "the sample has warnings");
    // Not every warning was looked at: nothing is confirmed, and the page says it.
    let some = reviewer.post(&format!("{picture}/confirm"), &warnings[1..]).await;
    assert_eq!(some.status, StatusCode::CONFLICT);
    reviewer.post(&format!("{picture}/confirm"), &warnings).await.to();
    let list = reviewer.get("/counter/lists/confirm-photo").await;
    assert!(!list.has(&case), "{}", list.text);
    assert!(
        !reviewer.get(&case).await.has("按规则核定"),
        "intake has not ended"
    );

    // Intake ends with the photo: what is decided on is frozen, and each names what the page showed.
    assert!(clerk.get("/counter/lists/complete").await.has(&case));
    let receipt = clerk.get(&case).await.hidden("receipt");
    let completed = [("receipt", receipt.as_str())];
    let complete = format!("{case}/complete");
    assert_eq!(clerk.post(&complete, &completed).await.to(), case);
    assert_eq!(
        clerk.post(&complete, &completed).await.to(),
        case,
        "a double press"
    );
    assert!(reviewer.get("/counter/lists/review").await.has(&case));
    let seen = reviewer.get(&case).await;
    assert!(seen.has("定稿内容") && seen.has("定稿照片"), "{}", seen.text);
    let other = "0".repeat(64);
    for wrong in [&[][..], &[("content", other.as_str())][..]] {
        let refused = reviewer.post(&format!("{case}/review"), wrong).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert!(refused.has("所签内容与所读内容不同"), "{}", refused.text);
    }
    assert_eq!(reviewer.signs(&case, "review").await.to(), case);
    let decided = reviewer.get(&case).await;
    assert!(
        decided.has("核定：") && !decided.has("未办理"),
        "{}",
        decided.text
    );

    let approver = town.browser("zhao").await;
    assert!(approver.get("/counter/lists/sign-off").await.has(&case));
    assert!(approver.get(&case).await.has(&format!("{case}/sign/sign-off")));
    assert_eq!(approver.signs(&case, "sign-off").await.to(), case);

    let producer = town.browser("sun").await;
    assert!(producer.get("/counter/lists/order").await.has(&case));
    let seen = producer.get(&case).await;
    let order = [("order", seen.hidden("order")), ("permit", seen.hidden("permit"))];
    let order: Vec<(&str, &str)> = order.iter().map(|(a, b)| (*a, b.as_str())).collect();
    let ordered = producer.post(&format!("{case}/order"), &order).await;
    let page = ordered.to().to_owned();
    assert_eq!(producer.post(&format!("{case}/order"), &order).await.to(), page);
    assert!(producer.get("/counter/lists/production").await.has(&page));
    producer.post(&format!("{page}/make"), &[]).await.to();
    // It is made behind the page, which says when it is done.
    let mut made = producer.get(&page).await;
    while !made.has("待发放") {
        assert!(!made.has("class=\"problem\""), "{}", made.text);
        tokio::task::yield_now().await;
        made = producer.get(&page).await;
    }
    assert!(
        !made.has("激活并发放</button>"),
        "who made it does not hand it over"
    );

    let counter = town.browser("chen").await;
    assert!(counter.get("/counter/lists/hand-over").await.has(&page));
    let unchecked = counter.post(&format!("{page}/hand-over"), &[]).await;
    assert_eq!(unchecked.status, StatusCode::UNPROCESSABLE_ENTITY);
    let handed = counter
        .post(&format!("{page}/hand-over"), &[("checked", "holder")])
        .await;
    assert_eq!(handed.to(), page);
    let done = counter.get(&page).await;
    assert!(done.has("已发放"), "{}", done.text);
    let history = clerk.get(&case).await;
    for step in ["已受理", "已受理完毕", "已签批", "已审核", "已批准", "已发放"] {
        assert!(history.has(step), "{step}: {}", history.text);
    }
}

#[tokio::test]
async fn a_holder_is_found_for_a_purpose_and_the_card_is_changed_lost_and_replaced() {
    let town = Town::new().await;
    let (permit, card) = town.fixture.in_use(crate::fixture::APPLICANT).await;
    let number = town.fixture.office().card_in_use(permit).await.unwrap().number;
    town.on_the_reader(card);
    let clerk = town.browser("he").await;
    let page = format!("/counter/permits/{permit}");
    // Each of the three numbers leads there; without a purpose nobody is looked up.
    for brought in ["440305198511120028", number.as_str(), &permit.to_string()] {
        let nobody = clerk.post("/counter/holders", &[("number", brought)]).await;
        assert_eq!(nobody.status, StatusCode::NOT_FOUND);
        let found = clerk
            .post("/counter/holders", &[("number", brought), ("why", "CHANGE")])
            .await;
        assert_eq!(found.to(), page);
    }
    let unknown = [("number", "430102199508153429"), ("why", "CARD")];
    let nobody = clerk.post("/counter/holders", &unknown).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    assert!(nobody.has("value=\"430102199508153429\""), "what was typed stays");
    let lines = town.fixture.ledger_of(&permit.to_string()).await;
    let looked = lines.iter().filter(|entry| entry.action == "holder LOOKED_UP");
    let purposes: Vec<&str> = looked.map(|entry| entry.detail.as_str()).collect();
    assert_eq!(purposes.len(), 3, "{purposes:?}");
    assert!(
        purposes
            .iter()
            .all(|line| line.contains("\"purpose\":\"CHANGE\"") && !line.contains("4403"))
    );
    assert_eq!(
        town.browser("liu").await.get(&page).await.status,
        StatusCode::FORBIDDEN
    );

    // Another tier: proposed, signed off as it was read, written at the reader. Whoever proposed it signs nothing off.
    let seen = clerk.get(&page).await;
    let change = seen.hidden("id");
    let proposed = clerk
        .post(
            &format!("{page}/changes"),
            &[("id", &change), ("kind", "tier"), ("tier", "TEMP")],
        )
        .await;
    let change = proposed.to().to_owned();
    assert!(!clerk.get(&change).await.has("name=\"content\""), "two people");
    let approver = town.browser("zhao").await;
    assert!(approver.get("/counter/lists/sign-change").await.has(&change));
    let read = approver.get(&change).await;
    assert!(read.has("临时居住证"), "{}", read.text);
    let other = "0".repeat(64);
    let unread = approver
        .post(&format!("{change}/sign-off"), &[("content", &other)])
        .await;
    assert_eq!(unread.status, StatusCode::CONFLICT);
    let content = read.hidden("content");
    let signed = approver
        .post(&format!("{change}/sign-off"), &[("content", &content)])
        .await;
    assert_eq!(signed.to(), change);
    let own = approver.post(&format!("{change}/write"), &[]).await;
    assert_eq!(
        own.status,
        StatusCode::CONFLICT,
        "who signed it off does not write it"
    );
    let producer = town.browser("sun").await;
    assert!(producer.get("/counter/lists/write-change").await.has(&change));
    assert_eq!(producer.post(&format!("{change}/write"), &[]).await.to(), change);
    assert!(producer.get(&change).await.has("已完成"));

    // Lost, by the number of the citizen alone; then another card for the same permit.
    let card = [
        ("card", number.as_str()),
        ("what", "lost"),
        ("reporter", "HOLDER"),
        ("channel", "COUNTER"),
    ];
    assert_eq!(clerk.post(&format!("{page}/card"), &card).await.to(), page);
    let seen = clerk.get(&page).await;
    assert!(seen.has("已挂失") && seen.has("已列入拒绝名单"), "{}", seen.text);
    let foreign = [("card", "4400000000099"), ("what", "damaged")];
    assert_eq!(
        clerk.post(&format!("{page}/card"), &foreign).await.status,
        StatusCode::CONFLICT
    );
    let card = [("card", number.as_str()), ("what", "replace")];
    assert_eq!(clerk.post(&format!("{page}/card"), &card).await.to(), page);
    assert!(clerk.get(&page).await.has("在等待新卡"));
    // The next card waits for its photo. The file of the first one makes another photo, which says so.
    town.fixture.time.set("2026-11-21T02:05:00Z");
    let taker = town.browser("liu").await;
    let list = taker.get("/counter/lists/complete").await;
    let case = list.text.split("href=\"/counter/cases/").nth(1).unwrap();
    let case = format!("/counter/cases/{}", case.split('"').next().unwrap());
    let photos = format!("{case}/photos");
    assert_eq!(taker.photo(&photos, FACE).await.to(), format!("{case}#photo"));
    confirm_photo(&town.browser("wang").await, &case).await;
    let seen = taker.get(&case).await;
    assert!(seen.has("与此前照片是同一文件"), "{}", seen.text);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_form_is_told_at_once_and_nothing_typed_is_lost() {
    let town = Town::new().await;
    let clerk = town.browser("liu").await;
    let id = clerk.get("/counter/intake").await.hidden("id");
    let mut fields = typed();
    fields.push(("id".to_owned(), id.clone()));
    for (name, value) in &mut fields {
        let wrong = match name.as_str() {
            "citizen_number" => "440305198511120029",
            "ADDR_LEASE.to" => "2025-01-31",
            "name" => "",
            _ => continue,
        };
        wrong.clone_into(value);
    }
    let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let page = clerk.post("/counter/intake", &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for field in ["citizen_number", "name", "ADDR_LEASE"] {
        assert!(page.has(&format!("<a href=\"#{field}")), "{field}: {}", page.text);
        assert!(page.has(&format!("id=\"{field}")), "{field}: {}", page.text);
    }
    assert!(page.has("<title>有误："), "{}", page.text);
    assert!(page.has("value=\"湖南省长沙市岳麓区麓山南路36号\""));
    assert!(page.has("value=\"ADDR_LEASE\" checked"));
    assert_eq!(page.hidden("id"), id);
    // In English the same.
    let english = clerk
        .send(
            Request::post("/counter/intake")
                .header(header::ORIGIN, "http://localhost:8440")
                .header(header::ACCEPT_LANGUAGE, "en")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
            Body::from(encoded(&fields)),
        )
        .await;
    assert!(
        english.has("<title>Error: ") && english.has("lang=\"en\""),
        "{}",
        english.text
    );
}

#[tokio::test]
async fn what_is_missing_is_told_once_on_paper_and_nothing_is_filed_by_it() {
    let town = Town::new().await;
    let clerk = town.browser("liu").await;
    let notice = async |changed: &[(&str, &str)]| {
        let mut fields = typed();
        fields.retain(|(name, _)| !changed.iter().any(|(of, _)| of == name));
        let mut fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        fields.extend(changed);
        clerk.post("/counter/intake/notice", &fields).await
    };
    // What would be accepted, with the decision that it would get.
    let complete = notice(&[]).await;
    assert_eq!(complete.status, StatusCode::OK);
    assert!(
        complete.has("材料齐全") && complete.has("class=\"conditions\""),
        "{}",
        complete.text
    );
    // Papers that are missing, each in words; what cannot be read at all beside them.
    let lacking = notice(&[("ADDR_LEASE.to", "2025-01-31"), ("name", "")]).await;
    assert!(
        lacking.has("<b>姓名</b>") && lacking.has("请补正以下各项"),
        "{}",
        lacking.text
    );
    assert!(!lacking.has("材料齐全"));
    // Facts that can be read and do not suffice: the article stands beside what is not met.
    let unmet = notice(&[
        ("residence.registered_on", "2026-06-01"),
        ("requested_tier", "TALENT"),
    ])
    .await;
    assert!(
        unmet.has("以下条件今日尚未满足") && unmet.has("未满足"),
        "{}",
        unmet.text
    );
    // Nothing was filed by looking, and nobody else looks.
    let list = town.browser("wang").await.get("/counter/lists/review").await;
    assert!(!list.has("/counter/cases/"), "{}", list.text);
    let other = town.browser("wang").await;
    assert_eq!(
        other.post("/counter/intake/notice", &[]).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn nobody_does_another_roles_work_and_no_other_site_does_anything() {
    let town = Town::new().await;
    let approved = town.fixture.approved(crate::fixture::APPLICANT).await;
    let case = format!("/counter/cases/{}", approved.0);
    for (account, list) in [
        ("liu", "review"),
        ("liu", "hand-over"),
        ("sun", "sign-off"),
        ("chen", "production"),
        ("gu", "order"),
    ] {
        let refused = town
            .browser(account)
            .await
            .get(&format!("/counter/lists/{list}"))
            .await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{account} {list}");
        assert!(refused.has("ROLE_MISSING"), "{}", refused.text);
    }
    let auditor = town.browser("gu").await;
    assert_eq!(auditor.get(&case).await.status, StatusCode::FORBIDDEN);
    for step in ["review", "sign-off", "order"] {
        let refused = auditor.post(&format!("{case}/{step}"), &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{step}");
    }

    for nowhere in ["/counter/no-page", "/counter/lists/no-list"] {
        let page = auditor.get(nowhere).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert!(page.has("没有这个页面") && page.has("REHEARSAL"), "{}", page.text);
    }

    // Nobody is signed in: a page comes back after the sign-in, a form does nothing.
    let nobody = town.stranger();
    assert_eq!(
        nobody.get(&case).await.to(),
        format!("/counter/sign-in?next={case}")
    );
    let sent = nobody.post(&format!("{case}/review"), &[]).await;
    assert_eq!(sent.status, StatusCode::UNAUTHORIZED);
    assert!(sent.has("没有办理"), "{}", sent.text);
    let stranger = nobody.post("/counter/sign-in", &[("account", "nobody")]).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    let guessed = nobody
        .post("/counter/sign-in", &[("token", "token of nobody")])
        .await;
    assert_eq!(guessed.status, StatusCode::UNAUTHORIZED);
    assert!(guessed.has("NOT_SIGNED_IN"));
    let with_token = nobody
        .post("/counter/sign-in", &[("token", "token of wang")])
        .await;
    assert_eq!(with_token.to(), "/counter/authenticators");

    // A page of another site, in the browser of somebody who is signed in.
    let reviewer = town.browser("wang").await;
    for origin in ["http://localhost:9999", "https://example.org", "null"] {
        let request = Request::post("/counter/sign-out")
            .header(header::ORIGIN, origin)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let refused = reviewer.send(request, Body::empty()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{origin}");
    }
    let page = reviewer.get("/counter").await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    assert!(!page.has("<style") && !page.has(" style=") && !page.has("onclick"));
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
    // Signed out, the cookie opens nothing any more.
    let kept = reviewer.cookie.lock().unwrap().clone();
    reviewer.post("/counter/sign-out", &[]).await.to();
    *reviewer.cookie.lock().unwrap() = kept;
    assert_eq!(
        reviewer.get("/counter").await.to(),
        "/counter/sign-in?next=/counter&why=ended"
    );
}

/// A colleague looks at the photo that waits in a case and confirms its warnings.
pub(crate) async fn confirm_photo(colleague: &Browser<'_>, case: &str) {
    let seen = colleague.get(case).await;
    let picture = seen
        .text
        .split("<img src=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    assert_eq!(colleague.get(picture).await.status, StatusCode::OK);
    let warnings: Vec<(&str, &str)> = seen
        .text
        .split("name=\"warning\" value=\"")
        .skip(1)
        .map(|rest| ("warning", rest.split('"').next().unwrap()))
        .collect();
    colleague
        .post(&format!("{picture}/confirm"), &warnings)
        .await
        .to();
}

#[tokio::test]
async fn how_somebody_sees_the_pages_goes_with_them_into_every_browser() {
    let town = Town::new().await;
    let liu = town.browser("liu").await;
    for wish in [("language", "en"), ("letters", "large"), ("contrast", "high")] {
        let set = liu
            .post("/counter/view", &[wish, ("next", "/counter/intake")])
            .await;
        assert_eq!(set.to(), "/counter/intake");
        assert!(
            !set.headers.contains_key(header::SET_COOKIE),
            "a cookie is for nobody"
        );
    }
    let again = town.browser("liu").await.get("/counter").await;
    assert!(
        again.has("<html lang=\"en\" class=\"large contrast\">"),
        "{}",
        again.text
    );
    // The next at the same counter sees what they want themselves; nobody, what this browser has.
    assert!(
        town.browser("sun")
            .await
            .get("/counter")
            .await
            .has("<html lang=\"zh-CN\" class=\"\">")
    );
    let nobody = town.stranger();
    nobody.post("/counter/view", &[("language", "en")]).await.to();
    assert!(nobody.get("/counter/sign-in").await.has("<html lang=\"en\""));
}

#[tokio::test]
async fn a_form_that_is_not_filed_is_there_again_for_its_clerk_alone_and_two_windows_are_told() {
    let town = Town::new().await;
    let liu = town.browser("liu").await;
    let id = liu.get("/counter/intake").await.hidden("id");
    let draft = format!("/counter/intake?draft={id}");
    let save = async |browser: &Browser<'_>, more: &[(&str, &str)]| {
        let mut fields = vec![("id", id.as_str()), ("evidence", "ID_CARD")];
        fields.extend_from_slice(more);
        browser.post("/counter/intake/draft", &fields).await
    };
    // By its button, without a script.
    assert_eq!(save(&liu, &[("draft", "0"), ("name", "周敏")]).await.to(), draft);
    // By the script: the part of the page alone.
    let part = save(
        &liu,
        &[("draft", "1"), ("name", "周敏"), ("sex", "2"), ("quiet", "yes")],
    )
    .await;
    assert!(part.has("草稿已保存") && !part.has("<html"), "{}", part.text);
    assert_eq!(part.hidden("draft"), "2");

    // Another day, another browser: the same clerk goes on, and nobody else knows of it.
    let again = town.browser("liu").await;
    let list = again.get("/counter/intake").await;
    assert!(list.has(&draft) && list.has("周敏"), "{}", list.text);
    assert_ne!(list.hidden("id"), id, "the form beside the list is a new one");
    let form = again.get(&draft).await;
    assert!(
        form.has("value=\"周敏\"") && form.has("value=\"ID_CARD\" checked"),
        "{}",
        form.text
    );
    assert_eq!(
        (form.hidden("id"), form.hidden("draft")),
        (id.clone(), "2".to_owned())
    );
    let reviewer = town.browser("wang").await;
    assert_eq!(reviewer.get(&draft).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        save(&reviewer, &[("draft", "2")]).await.status,
        StatusCode::FORBIDDEN
    );

    // The first window still has the first version: it is told what differs, and writes over nothing unless it says so.
    let told = save(&liu, &[("draft", "1"), ("name", "周明")]).await;
    assert_eq!(told.status, StatusCode::CONFLICT);
    assert!(
        told.has("您在另一个窗口改过这份草稿") && told.has("value=\"周明\""),
        "{}",
        told.text
    );
    assert!(told.has("姓名") && told.has("性别"), "{}", told.text);
    let kept = save(&liu, &[("draft", "1"), ("over", "2"), ("name", "周明")]).await;
    assert_eq!(kept.to(), draft);
    assert!(again.get(&draft).await.has("value=\"周明\""));

    // Filed, it is gone.
    let mut fields = typed();
    fields.push(("id".to_owned(), id.clone()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    liu.post("/counter/intake", &fields).await.to();
    assert!(!liu.get("/counter/intake").await.has(&draft));
    let late = save(&again, &[("draft", "3"), ("name", "周"), ("quiet", "yes")]).await;
    assert!(late.has("这份申请已经受理"), "{}", late.text);
}

#[tokio::test]
async fn a_step_that_somebody_took_meanwhile_is_told_with_who_took_it() {
    let town = Town::new().await;
    let filed = town.fixture.accepted(crate::fixture::APPLICANT).await;
    town.fixture.completed(filed).await;
    let case = format!("/counter/cases/{filed}");
    let wang = town.browser("wang").await;
    assert_eq!(wang.signs(&case, "review").await.to(), case);
    // Two approvers have the page open.
    let (zhao, he) = (town.browser("zhao").await, town.browser("he").await);
    let late = he.signature(&case, "sign-off").await;
    assert_eq!(zhao.signs(&case, "sign-off").await.to(), case);
    let late = late.each_ref().map(|(name, value)| (*name, value.as_str()));
    let second = he.post(&format!("{case}/sign-off"), &late).await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    let told = second.text.split("此案最近一步").nth(1).unwrap();
    let told = told.split("</p>").next().unwrap();
    assert!(told.contains("已批准") && told.contains("zhao"), "{told}");
}

#[tokio::test]
async fn a_page_that_is_open_is_told_when_something_moves_until_its_session_ends() {
    use axum::body::HttpBody as _;

    let town = Town::new().await;
    let wang = town.browser("wang").await;
    let events = async || {
        let request = Request::get("/counter/events")
            .header(header::COOKIE, wang.cookie.lock().unwrap().clone())
            .body(Body::empty())
            .unwrap();
        town.router.clone().oneshot(request).await.unwrap()
    };
    let response = events().await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = Box::pin(response.into_body());
    let mut heard = async || {
        let frame = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await;
        frame.map(|frame| String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    };
    let first = heard().await.unwrap();
    assert!(
        first.contains("event: stands") && first.contains("\"review\":0"),
        "{first}"
    );
    assert!(!first.contains("hand-over"), "the lists of other roles: {first}");
    let filed = town.fixture.accepted(crate::fixture::APPLICANT).await;
    town.fixture.completed(filed).await;
    let mut told = heard().await.unwrap();
    while !told.contains("\"review\":1") {
        told = heard().await.unwrap();
    }
    // One person has a bounded number of pages that follow.
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(events().await);
    }
    assert!(others.iter().all(|other| other.status() == StatusCode::OK));
    assert_eq!(events().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(others);
    let cookie = wang.cookie.lock().unwrap().clone();
    wang.post("/counter/sign-out", &[]).await.to();
    *wang.cookie.lock().unwrap() = cookie;
    let mut last = heard().await.unwrap();
    while !last.contains("event: ended") {
        last = heard().await.unwrap();
    }
    assert_eq!(heard().await, None);
    assert_eq!(events().await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_first_page_is_small_with_all_that_it_brings() {
    let town = Town::new().await;
    let nobody = town.stranger();
    let page = nobody.get("/counter/sign-in").await;
    let mut bytes = page.text.len();
    let brought = page
        .text
        .split(['"', '\''])
        .filter(|address| address.starts_with("/counter/assets/"));
    let mut count = 0;
    for address in brought {
        let asset = nobody.get(address).await;
        assert_eq!(asset.status, StatusCode::OK, "{address}");
        bytes += asset.text.len();
        count += 1;
    }
    assert!(count >= 3, "style and scripts: {}", page.text);
    assert!(bytes < 150_000, "{bytes} bytes");
}

#[tokio::test]
async fn a_page_that_somebody_else_opened_does_nothing_in_the_name_of_who_is_signed_in_now() {
    let town = Town::new().await;
    let (liu, wang) = (town.browser("liu").await, town.browser("wang").await);
    let form = liu.get("/counter/intake").await;
    let mut leads = 0;
    for form in form.text.split("<form ").skip(1) {
        let head = form.split('>').next().unwrap();
        if head.contains("method=\"post\"") {
            assert!(head.contains("?as=liu\""), "{head}");
            leads += 1;
        }
    }
    assert!(leads >= 3, "intake, view and sign-out");
    let id = form.hidden("id");
    let mut fields = typed();
    fields.push(("id".to_owned(), id.clone()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    // In the same browser wang signed in meanwhile.
    let others = wang.post("/counter/intake?as=liu", &fields).await;
    assert_eq!(others.status, StatusCode::CONFLICT);
    assert!(
        others.has("OTHERS_PAGE") && others.has("没有办理"),
        "{}",
        others.text
    );
    let case = format!("/counter/cases/{id}");
    assert_eq!(liu.get(&case).await.status, StatusCode::NOT_FOUND);
    assert_eq!(liu.post("/counter/intake?as=liu", &fields).await.to(), case);

    // The address of a form, opened again, leads to the page that has it.
    for (form, page) in [
        (format!("{case}/photos"), case.as_str()),
        ("/counter/orders/here".to_owned(), "/counter"),
        ("/counter/sign-out".to_owned(), "/counter"),
    ] {
        assert_eq!(liu.get(&form).await.to(), page);
    }
}
