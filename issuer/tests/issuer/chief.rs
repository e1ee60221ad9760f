//! Chief, holder and line down, through the pages against the real office: what is seen and closed, what a stranger learns, what paper
//! becomes, and what each page says while something cannot be reached.

use std::io::Write as _;
use std::process::{Command, Stdio};

use axum::http::{StatusCode, header};
use issuer_production::EndedList;
use jiff::civil::date;
use permit_domain::{CardStage, EndOfCard};
use serde_json::{Value, json};

use crate::fixture::{APPLICANT, Fixture, person};
use crate::pages::{Town, typed};
use crate::production::read_qr;

async fn on_sqlite() -> Town {
    Town::of(Fixture::new().await).await
}

async fn on_postgres() -> Town {
    let url = scratch_postgres::database(async |_| ()).await;
    Town::of(Fixture::with(tempfile::tempdir().unwrap(), &url).await).await
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let behind = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before} in {text}"));
    behind.1.split_once(after).unwrap().0
}

/// Receipt number and code, as they stand on the slip.
async fn slip(town: &Town, case: &str) -> (String, String) {
    let slip = town.browser("liu").await.get(&format!("{case}/slip")).await;
    assert!(
        slip.has("<svg class=\"qr\"") && slip.has("http://localhost:8440/status"),
        "{}",
        slip.text
    );
    let number = between(&slip.text, "Receipt number</dt><dd class=\"number big\">", "<");
    let code = between(&slip.text, "Code</dt><dd class=\"number big\">", "<");
    (number.to_owned(), code.to_owned())
}

async fn a_day(town: Town) {
    let (_, _card) = town.fixture.in_use(APPLICANT).await;
    let (waiting, _) = town.fixture.approved(&person(1)).await;
    let chief = town.browser("qin").await;
    let seen = chief.get("/counter/dashboard").await;
    assert_eq!(seen.status, StatusCode::OK);
    assert!(
        seen.has("<svg class=\"plot\"") && seen.has(">2 / 2<") && seen.has(">1 / 1<"),
        "{}",
        seen.text
    );
    assert!(seen.has("✓ 密钥库") && !seen.has(" style="), "{}", seen.text);
    // An approver sees it too; nobody else, and an approver closes no day.
    let approver = town.browser("zhao").await;
    assert_eq!(approver.get("/counter/dashboard").await.status, StatusCode::OK);
    for (account, page) in [
        ("liu", "/counter/dashboard"),
        ("sun", "/counter/day"),
        ("chen", "/counter/doctor"),
        ("liu", "/counter/terminals"),
        ("gu", "/counter/evaluations"),
        ("qin", "/counter/paper"),
    ] {
        let refused = town.browser(account).await.get(page).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{account} {page}");
    }
    let open = chief.get("/counter/day").await;
    assert!(
        open.has("2026-11-21") && open.has("已核验") && open.has("sun 1"),
        "{}",
        open.text
    );
    let (to, report) = (open.hidden("to"), open.hidden("report"));
    assert!(!approver.get("/counter/day").await.has("name=\"report\""));
    let read = [("to", to.as_str()), ("report", report.as_str())];
    assert_eq!(
        approver.post("/counter/day", &read).await.status,
        StatusCode::FORBIDDEN
    );
    let other = "0".repeat(64);
    let unread = chief
        .post("/counter/day", &[("to", &to), ("report", &other)])
        .await;
    assert_eq!(unread.status, StatusCode::CONFLICT);
    assert!(unread.has("REPORT_MOVED"), "{}", unread.text);
    let closed = chief.post("/counter/day", &read).await;
    assert_eq!(closed.to(), "/counter/days/2026-11-21");
    let kept = chief.get(closed.to()).await;
    assert!(
        kept.has("qin") && kept.has(&report) && kept.has("data-print"),
        "{}",
        kept.text
    );
    let twice = chief.post("/counter/day", &read).await;
    assert!(twice.has("DAY_CLOSED"), "{}", twice.text);
    let next = chief.get("/counter/day").await;
    assert!(next.has("2026-11-22") && next.has("今日已日结") && !next.has("name=\"report\""));
    let nothing = chief.get("/counter/days/2020-01-01").await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);

    // A case that nobody goes on with is late on the sixteenth day.
    town.fixture.time.set("2026-12-20T02:00:00Z");
    let late = approver.get("/counter/dashboard").await;
    assert_eq!(
        late.to(),
        "/counter/sign-in?next=/counter/dashboard&why=ended",
        "twelve hours are over"
    );
    let late = town.browser("zhao").await.get("/counter/dashboard").await;
    assert!(
        late.has(&format!("/counter/cases/{waiting}")) && late.has("clock over"),
        "{}",
        late.text
    );
    assert!(!late.has("李娜"), "no name");
}

#[tokio::test]
async fn a_chief_sees_the_day_and_closes_it_as_it_was_read() {
    Box::pin(a_day(on_sqlite().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chief_sees_the_day_and_closes_it_as_it_was_read_on_postgresql() {
    Box::pin(a_day(on_postgres().await)).await;
}

async fn a_holder(town: Town) {
    let (id, _) = town.fixture.approved(&person(1)).await;
    let (first, code) = slip(&town, &format!("/counter/cases/{id}")).await;
    let holder = town.stranger();
    let asked = holder
        .get(&format!("/status?receipt={}", first.replace(' ', "")))
        .await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(
        asked.has(&first.replace(' ', "")) && !asked.has("<script"),
        "{}",
        asked.text
    );
    let told = holder
        .post("/status", &[("receipt", &first), ("code", &code)])
        .await;
    assert_eq!(told.status, StatusCode::OK);
    assert!(
        told.has("已批准，正在制证") && told.has("2026-12-0"),
        "{}",
        told.text
    );
    let sample: Value = serde_json::from_str(APPLICANT).unwrap();
    for personal in [sample["name"].as_str().unwrap(), "440305", "liu", &id.to_string()] {
        assert!(!told.has(personal), "{personal}: {}", told.text);
    }
    let english = [
        ("receipt", first.as_str()),
        ("code", code.as_str()),
        ("lang", "en"),
    ];
    assert!(
        holder
            .post("/status", &english)
            .await
            .has("Granted, the card is being made")
    );
    // A number that is none and a code that is not its own are told in the same words.
    let unknown = holder
        .post("/status", &[("receipt", "0000 0000 0000"), ("code", &code)])
        .await;
    let wrong = holder
        .post("/status", &[("receipt", &first), ("code", "AAAA AAAA")])
        .await;
    assert_eq!(
        (unknown.status, wrong.status),
        (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND)
    );
    let words = |page: &crate::pages::Page| between(&page.text, "class=\"problem\"", "</div>").to_owned();
    assert_eq!(words(&unknown), words(&wrong));
    assert!(!wrong.has("name=\"code\" value="));
    // Whoever goes on guessing is stopped, with the right code too, and is let in again later.
    for _ in 0..10 {
        holder
            .post("/status", &[("receipt", &first), ("code", "AAAA AAAA")])
            .await;
    }
    let stopped = holder
        .post("/status", &[("receipt", &first), ("code", &code)])
        .await;
    assert_eq!(stopped.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(stopped.has("TOO_OFTEN"));
    town.fixture.time.set("2026-11-21T02:20:00Z");
    let again = holder
        .post("/status", &[("receipt", &first), ("code", &code)])
        .await;
    assert_eq!(again.status, StatusCode::OK);

    Box::pin(an_evaluation(&town)).await;
}

async fn an_evaluation(town: &Town) {
    let holder = town.stranger();
    // Handed over: one evaluation, which nobody sees before its month is over and ten are there.
    let (permit, _card) = town.fixture.in_use(APPLICANT).await;
    let case = town
        .fixture
        .office()
        .permit(permit)
        .await
        .unwrap()
        .grant()
        .application;
    let (receipt, code) = slip(town, &format!("/counter/cases/{case}")).await;
    let told = holder
        .post("/status", &[("receipt", &receipt), ("code", &code)])
        .await;
    assert!(told.has("已领取") && told.has("首次领证"), "{}", told.text);
    let scored = |score: &'static str| {
        [
            ("receipt", receipt.clone()),
            ("code", code.clone()),
            ("score", score.to_owned()),
        ]
    };
    let send = async |score: &'static str| {
        let fields = scored(score);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (*a, b.as_str())).collect();
        holder.post("/status/evaluate", &fields).await
    };
    assert_eq!(send("9").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let thanked = send("5").await;
    assert!(
        thanked.has("感谢您的评价") && !thanked.has("name=\"score\""),
        "{}",
        thanked.text
    );
    assert!(send("1").await.has("EVALUATED"));
    town.fixture.time.set("2026-12-02T02:00:00Z");
    let chief = town.browser("qin").await;
    let shown = chief.get("/counter/evaluations").await;
    assert!(
        shown.has("2026-11") && shown.has("不足 10") && !shown.has("5.0"),
        "{}",
        shown.text
    );
}

#[tokio::test]
async fn a_holder_sees_where_the_case_stands_and_evaluates_once_and_nobody_guesses() {
    Box::pin(a_holder(on_sqlite().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_sees_where_the_case_stands_and_evaluates_once_on_postgresql() {
    Box::pin(a_holder(on_postgres().await)).await;
}

#[allow(clippy::too_many_lines, reason = "one paper, from its number to its case")]
async fn a_paper(town: Town) {
    let clerk = town.browser("liu").await;
    let given = clerk
        .post("/counter/paper", &[("division", "440305"), ("count", "2")])
        .await;
    let sheets = clerk.get(given.to()).await;
    assert!(
        sheets.has("440305-26-00001-") && sheets.has("440305-26-00002-"),
        "{}",
        sheets.text
    );
    assert!(sheets.has("申请人签字"), "{}", sheets.text);
    let number = between(given.to(), "/counter/paper/", "/").to_owned();
    let page = format!("/counter/paper/{number}");
    let found = clerk
        .get(&format!("/counter/paper?number={}", number.replace('-', "")))
        .await;
    assert_eq!(found.to(), page);
    let misread = clerk.get("/counter/paper?number=440305-26-00001-0").await;
    assert!(
        misread.has("class=\"problem\""),
        "a wrong check digit: {}",
        misread.text
    );

    // Two days later it is typed; what is wrong is told at once, and the day is the paper's.
    town.fixture.time.set("2026-11-23T02:00:00Z");
    let clerk = town.browser("liu").await;
    let form = clerk.get(&page).await;
    assert!(
        form.has("单上的受理日期") && form.has("录入纸质受理单"),
        "{}",
        form.text
    );
    let mut fields = typed();
    let send = async |fields: &[(String, String)], day: &str| {
        let mut fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        fields.push(("paper_day", day));
        clerk.post(&page, &fields).await
    };
    let undated = send(&fields, "yesterday").await;
    assert_eq!(undated.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        undated.has("value=\"yesterday\"") && undated.has("麓山南路36号"),
        "{}",
        undated.text
    );
    let early = send(&fields, "2026-11-20").await;
    assert!(early.has("PAPER_DAY"), "{}", early.text);
    let name = fields.iter().position(|(name, _)| name == "name").unwrap();
    let kept = std::mem::take(&mut fields[name].1);
    assert!(send(&fields, "2026-11-22").await.has("<a href=\"#name"));
    fields[name].1 = kept;
    assert_eq!(send(&fields, "2026-11-22").await.to(), page);
    let own = clerk.get(&page).await;
    assert!(
        own.has("须由另一人持纸质单复核") && !own.has("name=\"content\""),
        "{}",
        own.text
    );

    let second = town.browser("lan").await;
    assert!(second.get("/counter/paper").await.has(&page));
    let read = second.get(&page).await;
    let content = read.hidden("content");
    assert!(
        read.has("440305198511120028") && read.has("2026-11-22"),
        "{}",
        read.text
    );
    let unread = second.post(&format!("{page}/confirm"), &[("content", "")]).await;
    assert_eq!(unread.status, StatusCode::CONFLICT);
    let own = clerk
        .post(&format!("{page}/confirm"), &[("content", &content)])
        .await;
    assert!(own.has("SAME_PERSON_TWICE"), "{}", own.text);
    let case = second
        .post(&format!("{page}/confirm"), &[("content", &content)])
        .await;
    let seen = clerk.get(case.to()).await;
    assert!(
        seen.has("已受理") && seen.has("2026-12-07"),
        "fifteen days from the paper's: {}",
        seen.text
    );
    assert_eq!(second.get(&page).await.to(), case.to());
    let (receipt, code) = slip(&town, case.to()).await;
    let told = town
        .stranger()
        .post("/status", &[("receipt", &receipt), ("code", &code)])
        .await;
    assert!(told.has("2026-11-22"), "{}", told.text);

    // The other form was spoiled.
    let list = clerk.get("/counter/paper").await;
    let other = between(&list.text, "/counter/paper/440305-26-00002-", "\"")
        .chars()
        .next()
        .unwrap();
    let other = format!("/counter/paper/440305-26-00002-{other}");
    assert_eq!(
        clerk.post(&format!("{other}/void"), &[]).await.to(),
        "/counter/paper"
    );
    assert!(clerk.get(&other).await.has("PAPER_FORM"));
}

#[tokio::test]
async fn a_paper_form_is_given_out_typed_by_one_and_confirmed_by_another() {
    Box::pin(a_paper(on_sqlite().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paper_form_is_given_out_typed_by_one_and_confirmed_by_another_on_postgresql() {
    Box::pin(a_paper(on_postgres().await)).await;
}

/// What the script of the check page says of each text, run as the browser runs it.
fn judged(cases: &Value) -> Value {
    const DRIVER: &str = "
        const { judge } = await import(process.argv[1]);
        let text = '';
        for await (const part of process.stdin) text += part;
        const out = [];
        for (const one of JSON.parse(text)) out.push(await judge(one.code, one));
        console.log(JSON.stringify(out));";
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("check.mjs");
    std::fs::write(&module, include_str!("../../web/assets/check.js")).unwrap();
    let mut node = Command::new("node")
        .args(["--input-type=module", "--eval", DRIVER])
        .arg(&module)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node: `make setup` installs it");
    node.stdin
        .take()
        .unwrap()
        .write_all(cases.to_string().as_bytes())
        .unwrap();
    let done = node.wait_with_output().unwrap();
    assert!(done.status.success());
    serde_json::from_slice(&done.stdout).unwrap()
}

#[tokio::test]
async fn the_check_page_tells_valid_ended_and_unknown_codes_apart_and_asks_for_no_number() {
    let town = on_sqlite().await;
    let (permit, _card) = town.fixture.in_use(APPLICANT).await;
    let office = town.fixture.office();
    let number = office.card_in_use(permit).await.unwrap().number;
    let stranger = town.stranger();
    let page = stranger.get("/check").await;
    assert_eq!(page.status, StatusCode::OK);
    let signer = between(&page.text, "data-signer=\"", "\"").to_owned();
    let key = between(&page.text, "data-key=\"", "\"").to_owned();
    assert_eq!(signer, hex::encode(town.fixture.anchors().await.document_signer));
    // The only request of the page is for the whole list: its form goes nowhere.
    assert!(
        page.has("data-list=\"/check/ended\"") && !page.has("action="),
        "{}",
        page.text
    );
    let before = stranger.get("/check/ended").await;
    assert_eq!(
        before.headers[header::CONTENT_TYPE],
        "text/plain; charset=us-ascii"
    );
    let clerk = "he".parse().unwrap();
    office.end_card(&number, EndOfCard::Lost, &clerk).await.unwrap();
    assert_eq!(
        stranger.get("/check/ended").await.text,
        before.text,
        "a list is kept for a minute"
    );
    town.fixture.time.set("2026-11-21T02:02:00Z");
    let after = stranger.get("/check/ended").await;
    let public = town.fixture.key.public();
    let list = EndedList::verified(&after.text, &public).unwrap();
    assert_eq!(
        (list.day, list.numbers.as_slice()),
        (date(2026, 11, 21), std::slice::from_ref(&number))
    );
    assert!(matches!(
        office.card(&number).await.unwrap().state,
        CardStage::Ended(_)
    ));

    // The code as it is printed.
    let order = office.order_of(permit).await.unwrap().unwrap();
    let back = town.fixture.production.faces_of(order.id()).join("back.png");
    let code = read_qr(&std::fs::read(back).unwrap());
    let one = |code: &str, list: Option<&str>, today: &str| json!({ "code": code, "signer": signer, "key": key, "list": list, "today": today });
    let (old, new) = (before.text.as_str(), after.text.as_str());
    let forged = code.replacen(":20261121:", ":20261120:", 1);
    let edited = new.replacen(number.as_str(), "4400000000023", 1);
    let cases = json!([
        one(&code, Some(old), "2026-11-21"),
        one(&format!("\u{feff} {code}\r\n"), Some(old), "2026-11-24"),
        one(&code, Some(new), "2026-11-21"),
        one(&code, Some(new), "2027-11-21"),
        one(&code, Some(old), "2026-11-25"),
        one(&code, None, "2026-11-21"),
        one(&code, Some(&edited), "2026-11-21"),
        one(&forged, Some(old), "2026-11-21"),
        one("https://example.org/", Some(old), "2026-11-21"),
        one(&code[..code.len() - 1], Some(old), "2026-11-21"),
        one(&code.to_lowercase(), Some(old), "2026-11-21"),
    ]);
    let said = judged(&cases);
    let verdicts: Vec<(&str, Option<&str>)> = said
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["verdict"].as_str().unwrap(), one["why"].as_str()))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("valid", None),
            ("valid", None),
            ("ended", None),
            ("ended", None),
            ("unknown", Some("list")),
            ("unknown", Some("list")),
            ("unknown", Some("list")),
            ("unknown", Some("signature")),
            ("unknown", Some("form")),
            ("unknown", Some("form")),
            ("unknown", Some("form")),
        ]
    );
    assert_eq!(said[0]["number"], number.as_str());

    // The program says the same of both lists, offline.
    let folder = town.fixture.folder.path();
    let program = |list: &str, key: &str| {
        std::fs::write(folder.join("ended.txt"), list).unwrap();
        let output = Command::new(assert_cmd::cargo::cargo_bin("issuer"))
            .args(["verify-qr", "--json", "--text", &code, "--office-key", key])
            .arg("--anchors")
            .arg(folder.join("anchors.json"))
            .arg("--ended")
            .arg(folder.join("ended.txt"))
            .output()
            .unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(program(old, &key)["not_ended_on"], "2026-11-21");
    assert_eq!(program(new, &key)["error"]["code"], "QR_ENDED");
    assert_eq!(program(&edited, &key)["error"]["code"], "QR_LIST");
    assert_eq!(program(old, &signer)["error"]["code"], "QR_LIST");
}

#[test]
fn the_check_pages_script_reads_and_refuses_codes_as_the_vectors_of_chapter_15_have_them() {
    let file: Value = serde_json::from_str(include_str!(
        "../../../card-applet-spec/spec/vectors/15-card-back.json"
    ))
    .unwrap();
    let text = |value: &Value| {
        let bytes = hex::decode(value.as_str().unwrap()).unwrap();
        String::from_utf8(bytes).ok()
    };
    let (mut cases, mut expected) = (Vec::new(), Vec::new());
    for vector in file["vectors"].as_array().unwrap() {
        let (inputs, outputs) = (&vector["inputs"], &vector["outputs"]);
        let (code, public, refused) = match vector["construction"].as_str().unwrap() {
            "card-back" => (text(&outputs["text"]), &outputs["public"], false),
            _ => (
                text(&inputs["text"]),
                &inputs["public"],
                outputs["refused"].is_string(),
            ),
        };
        // What is no text cannot be pasted.
        let Some(code) = code else { continue };
        let signer = format!("04{}", public.as_str().unwrap());
        cases.push(
            json!({ "code": code, "signer": signer, "key": signer, "list": null, "today": "2026-12-01" }),
        );
        expected.push((vector["name"].clone(), refused));
    }
    let said = judged(&Value::from(cases));
    let mut genuine = 0;
    for (one, (name, refused)) in said.as_array().unwrap().iter().zip(&expected) {
        // Without a list a genuine code is told apart by its why alone.
        let is_genuine = one["why"] == "list";
        genuine += usize::from(is_genuine);
        assert_eq!(is_genuine, !refused, "{name}: {one}");
    }
    assert!(genuine > 0 && expected.len() > 10 + genuine, "{genuine}");
}

#[tokio::test]
async fn terminals_are_listed_with_what_is_due_and_the_doctor_says_what_to_do() {
    let town = on_sqlite().await;
    town.fixture.in_use(APPLICANT).await;
    let chief = town.browser("qin").await;
    let seen = chief.get("/counter/terminals").await;
    assert!(
        seen.has("窗口") && seen.has("#1") && seen.has("clock"),
        "{}",
        seen.text
    );
    let days = [("from", "2026-11-01"), ("to", "2026-11-21")];
    let counted = chief.post("/counter/terminals", &days).await;
    assert!(counted.has("没有可公布的计数"), "{}", counted.text);
    let lines = town.fixture.ledger_of("counters").await;
    assert!(
        lines
            .iter()
            .any(|line| line.actor == "qin" && line.action == "counters REPORTED")
    );
    let wrong = chief
        .post("/counter/terminals", &[("from", "2026-11-21"), ("to", "x")])
        .await;
    assert!(wrong.has("class=\"problem\""));
    let well = chief.get("/counter/doctor?chain=read").await;
    // No reader's service runs here: what is wrong is said with what to do, and the rest is well.
    assert!(well.has("逐条相连") && !well.has("VAULT"), "{}", well.text);
    assert_eq!(well.text.matches("✗ 异常").count(), 1, "{}", well.text);
    assert!(well.has("NO_SERVICE") || well.has("NO_READER"), "{}", well.text);

    town.fixture.line.cut();
    let ill = chief.get("/counter/doctor").await;
    assert!(
        ill.has("✗ 异常") && ill.has("不能制证、发证、写卡") && ill.has("VAULT_NOT_RUNNING"),
        "{}",
        ill.text
    );
    let away = chief.get("/counter/terminals").await;
    assert_eq!(away.status, StatusCode::OK);
    assert!(
        away.has("VAULT_NOT_RUNNING") && away.has("计数可照常查询"),
        "{}",
        away.text
    );
    assert!(chief.get("/counter/dashboard").await.has("✗ 密钥库"));
}

#[tokio::test]
async fn while_the_vault_is_away_each_page_says_so_and_nothing_is_half_done() {
    let town = on_sqlite().await;
    let (permit, _card) = town.fixture.in_use(APPLICANT).await;
    let number = town.fixture.office().card_in_use(permit).await.unwrap().number;
    let (application, approved) = town.fixture.approved(&person(1)).await;
    let photo = town.fixture.photo(application).await;
    let order = town.fixture.order(approved, photo).await;
    let (page, holder) = (
        format!("/counter/orders/{}", order.id()),
        format!("/counter/permits/{permit}"),
    );
    let waiting = town.fixture.accepted(&person(3)).await;
    town.fixture.completed(waiting).await;
    town.fixture.line.cut();
    // Intake needs no vault, nor do review and sign-off of a case whose photo was taken.
    let clerk = town.browser("liu").await;
    let id = clerk.get("/counter/intake").await.hidden("id");
    let mut fields = typed();
    let number_of = fields
        .iter()
        .position(|(name, _)| name == "citizen_number")
        .unwrap();
    fields[number_of].1 = between(&person(2), "\"citizen_number\": \"", "\"").to_owned();
    fields.push(("id".to_owned(), id.clone()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        clerk.post("/counter/intake", &fields).await.to(),
        format!("/counter/cases/{id}")
    );
    let reviewer = town.browser("wang").await;
    let case = format!("/counter/cases/{waiting}");
    assert_eq!(reviewer.signs(&case, "review").await.to(), case);
    assert!(reviewer.get(&case).await.has("核定："));
    let signer = town.browser("zhao").await;
    assert_eq!(signer.signs(&case, "sign-off").await.to(), case);

    // A card is not begun: the order waits where it was, and the page says why.
    let producer = town.browser("sun").await;
    producer.post(&format!("{page}/make"), &[]).await.to();
    let mut seen = producer.get(&page).await;
    while !seen.has("class=\"problem\"") {
        tokio::task::yield_now().await;
        seen = producer.get(&page).await;
    }
    assert!(
        seen.has("VAULT_NOT_RUNNING") && !seen.has("写卡未完成"),
        "{}",
        seen.text
    );
    // A loss is kept at once, and the page says that the lists wait for the vault.
    let clerk = town.browser("he").await;
    let lost = [
        ("card", number.as_str()),
        ("what", "lost"),
        ("reporter", "HOLDER"),
        ("channel", "COUNTER"),
    ];
    let told = clerk.post(&format!("{holder}/card"), &lost).await;
    assert!(told.has("DENIAL_WANTED") && told.has("密钥库"), "{}", told.text);
    let seen = clerk.get(&holder).await;
    assert!(
        seen.has("已挂失") && seen.has("拒绝名单待密钥库确认"),
        "{}",
        seen.text
    );
    // The check page has the number on its list all the same.
    let ended = town.stranger().get("/check/ended").await;
    assert!(ended.has(number.as_str()), "{}", ended.text);

    town.fixture.line.mend();
    producer.post(&format!("{page}/make"), &[]).await.to();
    let mut made = producer.get(&page).await;
    while !made.has("待发放") {
        assert!(!made.has("class=\"problem\""), "{}", made.text);
        tokio::task::yield_now().await;
        made = producer.get(&page).await;
    }
}

#[tokio::test]
async fn while_the_ledger_is_away_each_page_says_that_nothing_was_done_and_names_the_paper() {
    let town = on_sqlite().await;
    let (id, _) = town.fixture.approved(&person(1)).await;
    let (receipt, code) = slip(&town, &format!("/counter/cases/{id}")).await;
    let stranger = town.stranger();
    assert_eq!(stranger.get("/check/ended").await.status, StatusCode::OK);
    let browsers = [
        (
            "liu",
            vec!["/counter", "/counter/intake", "/counter/paper"],
            "/counter/intake",
        ),
        ("wang", vec!["/counter/lists/review"], "/counter/lists/review"),
        (
            "qin",
            vec![
                "/counter/dashboard",
                "/counter/day",
                "/counter/doctor",
                "/counter/terminals",
            ],
            "/counter/day",
        ),
        (
            "he",
            vec!["/counter/holders", "/counter/permits/x"],
            "/counter/holders",
        ),
    ];
    let mut signed_in = Vec::new();
    for (account, pages, form) in browsers {
        signed_in.push((town.browser(account).await, pages, form));
    }
    let entries = town.fixture.office().verify_ledger().await.unwrap().entries;
    town.fixture.office().close().await;
    for (browser, pages, form) in &signed_in {
        for page in pages {
            let away = browser.get(page).await;
            assert_eq!(
                away.status,
                StatusCode::SERVICE_UNAVAILABLE,
                "{page}: {}",
                away.text
            );
            assert!(
                away.has("class=\"problem\"") && away.has("纸质受理单") && away.has("没有任何内容被更改"),
                "{page}: {}",
                away.text
            );
        }
        if *form != "/counter/lists/review" {
            let away = browser.post(form, &[]).await;
            assert_eq!(
                away.status,
                StatusCode::SERVICE_UNAVAILABLE,
                "{form}: {}",
                away.text
            );
        }
    }
    // Strangers are told nothing of what is wrong, and the list of this minute is still there.
    let told = stranger
        .post("/status", &[("receipt", &receipt), ("code", &code)])
        .await;
    assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(told.has("NOT_NOW") && !told.has("issuer"), "{}", told.text);
    assert_eq!(stranger.get("/check/ended").await.status, StatusCode::OK);
    let file = town.fixture.folder.path().join("issuer.db");
    let again = issuer_store::Store::open(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    assert_eq!(
        again.read().await.unwrap().verify_ledger().await.unwrap().entries,
        entries
    );
}
