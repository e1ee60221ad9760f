//! What a clerk types, pastes and misreads at the counter's pages: read as it was meant, or refused by its place. The API stays strict.

use axum::http::StatusCode;
use jiff::civil::date;

use crate::fixture::APPLICANT;
use crate::pages::{Browser, Page, Town, typed};

/// The sample's form with these fields typed otherwise.
fn otherwise(id: &str, fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut form = typed();
    form.push(("id".to_owned(), id.to_owned()));
    for (name, value) in fields {
        form.retain(|(of, _)| of != name);
        form.push(((*name).to_owned(), (*value).to_owned()));
    }
    form
}

async fn sent(browser: &Browser<'_>, path: &str, form: &[(String, String)]) -> Page {
    let fields: Vec<(&str, &str)> = form.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    browser.post(path, &fields).await
}

#[tokio::test]
async fn a_form_typed_off_an_identity_card_is_filed_as_it_was_meant() {
    let town = Town::new().await;
    let clerk = town.browser("liu").await;
    let id = clerk.get("/counter/intake").await.hidden("id");
    let form = otherwise(
        &id,
        &[
            ("citizen_number", "\u{200E}４４０３０５ 19851112-0028"),
            ("name", "阿依古丽 . 买买提"),
            ("birth_date", ""),
            ("sex", ""),
            ("hukou_address", "湖南省长沙市\u{3000}芙蓉区\u{A0}韶山北路8号"),
            ("residence.registered_on", "2025年3月1日"),
            ("insurance_months", "１８个月"),
            ("ID_CARD.from", "2021.12.01"),
            ("ID_CARD.to", "长期"),
        ],
    );
    let filed = sent(&clerk, "/counter/intake", &form).await;
    assert_eq!(filed.to(), format!("/counter/cases/{id}"));
    let case = town
        .fixture
        .office()
        .application(id.parse().unwrap())
        .await
        .unwrap();
    let applicant = case.applicant;
    assert_eq!(applicant.citizen_number.to_string(), "440305198511120028");
    assert_eq!(applicant.name.as_str(), "阿依古丽·买买提");
    assert_eq!(applicant.birth_date, date(1985, 11, 12));
    assert_eq!(applicant.sex, applicant.citizen_number.sex());
    assert_eq!(
        applicant.hukou_address.as_str(),
        "湖南省长沙市 芙蓉区 韶山北路8号"
    );
    assert_eq!(applicant.residence.registered_on, date(2025, 3, 1));
    assert_eq!(applicant.insurance_months, 18);
    let card = applicant
        .evidence
        .iter()
        .find(|paper| paper.code.code() == "ID_CARD")
        .unwrap();
    assert_eq!(
        (card.validity.from(), card.validity.to()),
        (Some(date(2021, 12, 1)), None)
    );
    // A program says it in one form, or is told.
    let strict = APPLICANT.replace("1985-11-12", "1985.11.12");
    let form = permit_domain::ApplicantForm::from_json(&strict).unwrap();
    let refused = form.into_applicant(date(2026, 11, 21)).unwrap_err();
    assert_eq!(refused.fields()[0].code, "DATE");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_at_its_field_with_the_character_and_its_place() {
    let town = Town::new().await;
    let clerk = town.browser("liu").await;
    let id = clerk.get("/counter/intake").await.hidden("id");
    let form = otherwise(
        &id,
        &[
            ("name", "周敏。"),
            ("residence.address", "科苑路8\u{E815}号3栋1204"),
            ("ID_CARD.from", "去年"),
            ("ID_CARD.to", "2041-13-01"),
        ],
    );
    let page = sent(&clerk, "/counter/intake", &form).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for words in [
        "第 3 个字符为 “。” U+3002，姓名中不能用",
        "第 5 个字符为 U+E815",
        // What was typed stays as it was typed.
        "value=\"周敏。\"",
    ] {
        assert!(page.has(words), "{words}: {}", page.text);
    }
    for field in ["name", "residence.address", "ID_CARD.from", "ID_CARD.to"] {
        assert!(
            page.has(&format!(
                "aria-invalid=\"true\" aria-describedby=\"{field}-wrong\""
            )),
            "{field}"
        );
        assert!(page.has(&format!("id=\"{field}-wrong\"")), "{field}");
    }
}

#[tokio::test]
async fn a_number_fills_birth_date_and_sex_where_they_are_empty_and_nothing_else() {
    let town = Town::new().await;
    let clerk = town.browser("liu").await;
    assert!(!clerk.get("/counter/intake").await.has("maxlength"));
    let asked = "/counter/intake/number?citizen_number=440305+19851112+0028";
    let fills = clerk.get(&format!("{asked}&birth_date=&sex=")).await;
    assert!(
        fills.has("id=\"birth_date\"") && fills.has("value=\"1985-11-12\""),
        "{}",
        fills.text
    );
    assert!(fills.has("<option value=\"2\" selected>"), "{}", fills.text);
    let typed = clerk.get(&format!("{asked}&birth_date=1985-11-13&sex=1")).await;
    assert!(typed.has("号码有效"), "{}", typed.text);
    assert!(
        !typed.has("birth_date") && !typed.has("<select"),
        "{}",
        typed.text
    );
    let wrong = clerk
        .get("/counter/intake/number?citizen_number=440305198511120020&birth_date=&sex=")
        .await;
    assert!(wrong.has("校验码") && !wrong.has("birth_date"), "{}", wrong.text);
}

#[tokio::test]
async fn numbers_at_the_other_pages_are_read_in_groups_and_in_the_signs_of_an_input_method() {
    let town = Town::new().await;
    let (permit, card) = town.fixture.in_use(APPLICANT).await;
    let clerk = town.browser("he").await;
    let holder = format!("/counter/permits/{permit}");
    for typed in [
        "440305 19851112 0028",
        "４４０３０５１９８５１１１２００２８",
        &permit.to_string().to_uppercase(),
    ] {
        let found = clerk
            .post("/counter/holders", &[("number", typed), ("why", "CARD")])
            .await;
        assert_eq!(found.to(), holder, "{typed}");
    }
    let load = clerk
        .post(
            &format!("{holder}/load"),
            &[("amount", "￥１２。５０"), ("key", "POS－ 0001")],
        )
        .await;
    assert!(
        load.has("<b class=\"number\">12.50</b>") && load.has("value=\"POS-0001\""),
        "{}",
        load.text
    );
    // A serial in groups, as a label has it.
    let producer = town.browser("sun").await;
    let blank = town.fixture.blank().serial().to_string();
    let grouped: Vec<String> = blank
        .as_bytes()
        .chunks(4)
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    let fields = [("serial", grouped.join(" ")), ("reason", "CHIP".to_owned())];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(
        sent(&producer, "/counter/scraps", &fields).await.to(),
        "/counter/scraps"
    );
    drop(card);
    // The slip's number at home, misread: O for 0, I or l for 1.
    let office = town.fixture.office();
    let slip = office
        .slip(office.permit(permit).await.unwrap().grant().application)
        .await
        .unwrap();
    let misread = slip.receipt.replace('0', "O").replace('1', "l");
    let stranger = town.stranger();
    let code = slip.code.to_ascii_lowercase().replace(' ', "－");
    let found = stranger
        .post("/status", &[("receipt", &misread), ("code", &code)])
        .await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.text);
    assert!(found.has("已领取"), "{}", found.text);
}
