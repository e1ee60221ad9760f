//! At the pages: a person who has an open application already; an application that is corrected, or taken back.

use axum::http::StatusCode;

use crate::fixture::APPLICANT;
use crate::pages::{Browser, Page, Town, typed};

async fn sent(browser: &Browser<'_>, path: &str, id: &str, name: &str) -> Page {
    let mut form = typed();
    form.retain(|(of, _)| of != "name");
    form.extend([
        ("id".to_owned(), id.to_owned()),
        ("name".to_owned(), name.to_owned()),
    ]);
    let fields: Vec<(&str, &str)> = form.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    browser.post(path, &fields).await
}

#[tokio::test]
async fn an_open_application_of_the_same_person_is_told_with_the_way_to_its_case() {
    let town = Town::new().await;
    let id = town.fixture.accepted(APPLICANT).await;
    let clerk = town.browser("liu").await;
    let form = clerk.get("/counter/intake").await.hidden("id");
    let page = sent(&clerk, "/counter/intake", &form, "李娜").await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(
        page.has(&format!("<a href=\"/counter/cases/{id}\">打开该案卷</a>")),
        "{}",
        page.text
    );
    assert!(
        !page.has("`issuer ") && !page.has(&format!("申请 {id}")),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn what_was_typed_wrong_is_corrected_on_the_page_of_the_case() {
    let town = Town::new().await;
    let id = town.fixture.accepted(&APPLICANT.replace("李娜", "李那")).await;
    let clerk = town.browser("liu").await;
    let case = format!("/counter/cases/{id}");
    assert!(clerk.get(&case).await.has(&format!("{case}/correct")));
    let form = clerk.get(&format!("{case}/correct")).await;
    for filled in [
        "value=\"李那\"",
        "value=\"440305198511120028\" readonly",
        "<option value=\"440305\" selected>",
        "value=\"2036-05-20\"",
        "value=\"JOB_CONTRACT\" checked",
    ] {
        assert!(form.has(filled), "{filled}: {}", form.text);
    }
    // It is no draft, and no new application.
    assert!(!form.has("data-draft") && !form.has("保存草稿"), "{}", form.text);
    let new = form.hidden("id");
    let refused = sent(&clerk, &format!("{case}/correct"), &new, "李9").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused.has("第 2 个字符为") && refused.has(&format!("action=\"{case}/correct?as=liu\"")),
        "{}",
        refused.text
    );
    let filed = sent(&clerk, &format!("{case}/correct"), &new, "李娜").await;
    assert_eq!(filed.to(), format!("/counter/cases/{new}"));
    // Sent twice, it is one correction.
    let again = sent(&clerk, &format!("{case}/correct"), &new, "李娜").await;
    assert_eq!(again.to(), format!("/counter/cases/{new}"));
    let old = clerk.get(&case).await;
    assert!(
        old.has("已撤回") && old.has(&format!("href=\"/counter/cases/{new}\"")),
        "{}",
        old.text
    );
    assert!(
        !old.has(&format!("{case}/correct")) && !old.has(&format!("{case}/withdraw")),
        "{}",
        old.text
    );
    // A reviewer corrects nothing.
    let reviewer = town.browser("wang").await;
    let forbidden = reviewer.get(&format!("/counter/cases/{new}/correct")).await;
    assert_eq!(forbidden.status, StatusCode::FORBIDDEN);
    assert!(
        !reviewer
            .get(&format!("/counter/cases/{new}"))
            .await
            .has("/correct\"")
    );
}

#[tokio::test]
async fn an_application_is_taken_back_by_a_clerk_who_is_there() {
    let town = Town::new().await;
    let id = town.fixture.accepted(APPLICANT).await;
    let clerk = town.browser("liu").await;
    let case = format!("/counter/cases/{id}");
    let withdraw = format!("{case}/withdraw");
    assert!(clerk.get(&case).await.has(&withdraw));
    town.fixture.time.set("2026-11-21T02:06:00Z");
    let asked = [("asked", "yes")];
    let asks = clerk.post(&withdraw, &asked).await;
    assert!(
        asks.status == StatusCode::FORBIDDEN && asks.has("proof.account"),
        "{}",
        asks.text
    );
    let silent = clerk.post(&withdraw, &[("proof.account", "liu")]).await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(clerk.post(&withdraw, &asked).await.to(), case);
    let page = clerk.get(&case).await;
    assert!(page.has("已撤回") && !page.has(&withdraw), "{}", page.text);
}
