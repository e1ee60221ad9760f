//! The counter's pages for cards in use: lost and back again by two, destroyed by two, loaded, cut in the middle, settled.

use axum::http::StatusCode;
use permit_domain::PermitId;

use crate::cards::{Shop, officer};
use crate::fixture::{APPLICANT, TestCard};
use crate::pages::{Browser, Page, Town};

/// A card in its holder's hand, on the reader; its permit's page and its number.
async fn in_use(town: &Town) -> (PermitId, String, String, TestCard) {
    let (permit, card) = town.fixture.in_use(APPLICANT).await;
    let number = town.fixture.office().card_in_use(permit).await.unwrap().number;
    town.on_the_reader(card.clone());
    let page = format!("/counter/permits/{permit}");
    (permit, page, number.to_string(), card)
}

/// Something happened to the card.
async fn happened(clerk: &Browser<'_>, page: &str, number: &str, what: &str) -> Page {
    let form = [("card", number), ("what", what)];
    clerk.post(&format!("{page}/card"), &form).await
}

#[tokio::test]
async fn a_lost_card_is_reported_by_somebody_else_and_comes_back_by_two_people() {
    let town = Town::new().await;
    let (_, page, number, _) = in_use(&town).await;
    let clerk = town.browser("he").await;
    // Who says so is kept: without it nothing is done.
    let unsaid = happened(&clerk, &page, &number, "lost").await;
    assert_eq!(unsaid.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(unsaid.has("由谁、以何种方式报失"), "{}", unsaid.text);
    let report = [
        ("card", number.as_str()),
        ("what", "lost"),
        ("reporter", "OTHER"),
        ("channel", "TELEPHONE"),
    ];
    assert_eq!(clerk.post(&format!("{page}/card"), &report).await.to(), page);
    let lost = clerk.get(&page).await;
    assert!(lost.has("已挂失") && lost.has("已列入拒绝名单"), "{}", lost.text);
    // What is known of terminals is told, and what is not.
    assert!(
        lost.has("不掌握各终端手中是哪一份名单") && lost.has("最迟用到"),
        "{}",
        lost.text
    );
    let entries = town.fixture.ledger_of(&number).await;
    let entry = entries.iter().find(|entry| entry.action == "card LOST").unwrap();
    assert!(entry.detail.contains("OTHER") && entry.detail.contains("TELEPHONE"));

    // A card that is found stays denied until two people allow it.
    assert!(!lost.has("提出恢复使用"));
    assert_eq!(happened(&clerk, &page, &number, "found").await.to(), page);
    assert!(clerk.get(&page).await.has("提出恢复使用"));
    assert_eq!(happened(&clerk, &page, &number, "allow").await.to(), page);
    let allow = format!("/counter/cards/{number}/allow");
    assert!(clerk.get(&page).await.has(&allow));
    // Who proposed it is an approver too, and is no second person.
    let own = clerk.get(&allow).await;
    assert!(
        !own.has("同意恢复使用") && own.has("提出人以外的审批人"),
        "{}",
        own.text
    );
    let content = own.hidden_or_none("content");
    assert_eq!(content, None);

    let approver = town.browser("zhao").await;
    assert!(approver.get("/counter/lists/allow-card").await.has(&allow));
    let read = approver.get(&allow).await;
    let unread = approver.post(&allow, &[("content", &"0".repeat(64))]).await;
    assert_eq!(unread.status, StatusCode::CONFLICT);
    assert!(unread.has("OTHER_CONTENT"));
    let content = read.hidden("content");
    assert_eq!(
        clerk.post(&allow, &[("content", &content)]).await.status,
        StatusCode::CONFLICT
    );
    assert_eq!(
        approver.post(&allow, &[("content", &content)]).await.to(),
        "/counter/lists/allow-card"
    );
    // A card of which nothing is proposed is no way to its holder: that is the look-up, with its purpose.
    for browser in [&approver, &clerk] {
        let page = browser.get(&allow).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert!(!page.has("公民身份号码"), "{}", page.text);
    }
    let again = clerk.get(&page).await;
    assert!(
        again.has("在用") && !again.has("已列入拒绝名单"),
        "{}",
        again.text
    );
    assert!(!approver.get("/counter/lists/allow-card").await.has(&allow));
}

#[tokio::test]
async fn a_card_that_is_out_of_use_is_destroyed_before_a_second_person_and_no_other_is() {
    let town = Town::new().await;
    let (_, page, number, card) = in_use(&town).await;
    let clerk = town.browser("he").await;
    // A card that its holder uses is set aside by nobody.
    let held = happened(&clerk, &page, &number, "destroy").await;
    assert_eq!(held.status, StatusCode::CONFLICT);
    assert!(held.has("WRONG_STATE"), "{}", held.text);
    assert_eq!(happened(&clerk, &page, &number, "damaged").await.to(), page);
    assert_eq!(happened(&clerk, &page, &number, "destroy").await.to(), page);
    assert!(clerk.get(&page).await.has("等待另一人监销"));
    let serial = card.serial().to_string();
    let destroyed = format!("/counter/scraps/{serial}/destroyed");
    let witness = town.browser("chen").await;
    assert_eq!(
        witness.get("/counter/lists/destroy").await.to(),
        "/counter/scraps"
    );
    let list = witness.get("/counter/scraps").await;
    assert!(list.has(&number) && list.has("使用中损坏"), "{}", list.text);
    let unseen = witness.post(&destroyed, &[]).await;
    assert_eq!(unseen.status, StatusCode::UNPROCESSABLE_ENTITY);
    // An intake clerk has no business here; whoever set it aside is no second person.
    assert_eq!(
        town.browser("liu")
            .await
            .post(&destroyed, &[("seen", "yes")])
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    let alone = clerk.post(&destroyed, &[("seen", "yes")]).await;
    assert_eq!(alone.status, StatusCode::CONFLICT);
    assert!(alone.has("SAME_PERSON_TWICE"), "{}", alone.text);
    assert_eq!(
        witness.post(&destroyed, &[("seen", "yes")]).await.to(),
        "/counter/scraps"
    );
    assert!(clerk.get(&page).await.has("已销毁"));
    assert!(!witness.get("/counter/scraps").await.has(&number));
}

#[tokio::test]
async fn money_is_typed_once_confirmed_booked_once_and_its_receipt_says_where_it_is() {
    let town = Town::new().await;
    let (permit, page, _, _) = in_use(&town).await;
    let clerk = town.browser("he").await;
    let load = format!("{page}/load");
    for (amount, key, words) in [
        ("0", "till-1", "金额须大于零"),
        ("1,000", "till-1", "逗号"),
        ("50", "", "收款凭据"),
        ("50", "收据 1", "收款凭据"),
    ] {
        let wrong = clerk.post(&load, &[("amount", amount), ("key", key)]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{amount} {key}");
        assert!(
            wrong.has(words) && wrong.has("class=\"problem\""),
            "{words}: {}",
            wrong.text
        );
    }
    // A limit is told before anybody's money is taken.
    let much = [("amount", "20000"), ("key", "till-1")];
    let refused = clerk.post(&load, &much).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(
        refused.has("LOAD_REFUSED") && !refused.has("确认充值"),
        "{}",
        refused.text
    );

    let typed = [("amount", "50"), ("key", "till-1")];
    let confirm = clerk.post(&load, &typed).await;
    assert!(
        confirm.has("50.00") && confirm.has("确认充值"),
        "{}",
        confirm.text
    );
    assert_eq!(town.fixture.office().purse_of(permit).await.unwrap().loaded, 0);
    let sure = [("amount", "50"), ("key", "till-1"), ("confirmed", "yes")];
    let change = clerk.post(&load, &sure).await.to().to_owned();
    // Pressed twice, or sent again after a lost answer: the same load.
    assert_eq!(clerk.post(&load, &sure).await.to(), change);
    assert_eq!(town.fixture.office().purse_of(permit).await.unwrap().loaded, 5000);
    let receipt = format!("{change}/receipt");
    assert!(clerk.get(&receipt).await.has("尚未到卡"));
    // Another receipt of the till while the first is not on the card.
    let second = [("amount", "50"), ("key", "till-2"), ("confirmed", "yes")];
    assert!(clerk.post(&load, &second).await.has("CHANGE_OPEN"));

    let producer = town.browser("sun").await;
    assert_eq!(producer.post(&format!("{change}/write"), &[]).await.to(), change);
    let paper = clerk.get(&receipt).await;
    assert!(paper.has("已写入") && paper.has("50.00"), "{}", paper.text);
    // What the card spent makes room: the clerk looks at the card.
    assert_eq!(clerk.post(&format!("{page}/purse"), &[]).await.to(), load);
    assert!(clerk.get(&load).await.has("50.00"));
    assert_eq!(
        town.browser("sun").await.get(&load).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_card_pulled_in_the_middle_of_a_load_is_in_doubt_and_goes_on_with_the_same_card() {
    let town = Town::new().await;
    let (_, page, _, card) = in_use(&town).await;
    let clerk = town.browser("he").await;
    let sure = [("amount", "50"), ("key", "till-1"), ("confirmed", "yes")];
    let change = clerk.post(&format!("{page}/load"), &sure).await.to().to_owned();
    let producer = town.browser("sun").await;
    assert!(!producer.get("/counter/lists/in-doubt").await.has(&change));
    let mut doubtful = None;
    // The place where the card was pulled is one behind which the ledger says: nobody knows.
    for commands in 8..40 {
        town.pull_behind(commands);
        let cut = producer.post(&format!("{change}/write"), &[]).await;
        if producer.get("/counter/lists/in-doubt").await.has(&change) {
            doubtful = Some(cut);
            break;
        }
        assert_ne!(cut.status, StatusCode::SEE_OTHER, "written before it was cut");
    }
    let cut = doubtful.expect("no place to cut");
    assert_eq!(cut.status, StatusCode::CONFLICT);
    assert!(cut.has("class=\"problem\"") && cut.has("存疑"), "{}", cut.text);
    assert!(cut.has("请把同一张卡放回读卡器"), "{}", cut.text);
    // Another card is not taken for it.
    let other = town.fixture.blank();
    town.on_the_reader(other);
    assert_eq!(
        producer.post(&format!("{change}/write"), &[]).await.status,
        StatusCode::CONFLICT
    );
    town.on_the_reader(card);
    assert_eq!(producer.post(&format!("{change}/write"), &[]).await.to(), change);
    assert!(!producer.get("/counter/lists/in-doubt").await.has(&change));
    assert!(clerk.get(&format!("{change}/receipt")).await.has("已写入"));
}

#[tokio::test]
async fn the_settlement_officer_sees_what_each_terminal_is_owed_and_no_card() {
    let town = Town::new().await;
    let (_, page, number, card) = in_use(&town).await;
    let mut shop = Shop::open(&town.fixture, "shop 7", 77).await;
    let clerk = town.browser("he").await;
    let sure = [("amount", "50"), ("key", "till-1"), ("confirmed", "yes")];
    let change = clerk.post(&format!("{page}/load"), &sure).await.to().to_owned();
    let producer = town.browser("sun").await;
    assert_eq!(producer.post(&format!("{change}/write"), &[]).await.to(), change);
    shop.sync(&town.fixture).await;
    shop.sell(&town.fixture, &card, 1250).unwrap();
    let file = shop.file();
    town.fixture
        .office()
        .settle(&[file], &std::collections::BTreeSet::new(), &officer())
        .await
        .unwrap();
    let gao = town.browser("gao").await;
    let all = gao.get("/counter/settlement").await;
    assert!(all.has("shop 7") && all.has("12.50"), "{}", all.text);
    let report = all
        .text
        .split("<a href=\"/counter/settlement/")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    let paper = gao.get(&format!("/counter/settlement/{report}")).await;
    assert!(
        paper.has("小额支付结算报表") && paper.has("12.50"),
        "{}",
        paper.text
    );
    assert!(!paper.has(&number));
    assert_eq!(
        gao.get("/counter/settlement/0000ffff").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        clerk.get("/counter/settlement").await.status,
        StatusCode::FORBIDDEN
    );
}

/// What the form of newer facts sends, as it stands on file; with these fields instead.
fn facts<'a>(page: &'a Page, instead: &[(&'a str, &'a str)]) -> Vec<(String, String)> {
    let id = page.hidden("id");
    let mut fields = vec![
        ("id", id.as_str()),
        ("insurance_months", "9"),
        ("education", "30"),
        ("title", ""),
        ("residence.address", "广东省深圳市南山区粤海街道科苑路8号3栋1204"),
        ("residence.division", "440305"),
        ("residence.registered_on", "2026-02-10"),
        ("evidence", "ID_CARD"),
        ("ID_CARD.from", "2016-05-20"),
        ("ID_CARD.to", "2036-05-20"),
        ("evidence", "ADDR_LEASE"),
        ("ADDR_LEASE.from", "2026-02-01"),
        ("ADDR_LEASE.to", "2027-01-31"),
        ("evidence", "JOB_CONTRACT"),
        ("JOB_CONTRACT.from", "2026-02-15"),
        ("JOB_CONTRACT.to", "2029-02-14"),
    ];
    for (name, value) in instead {
        fields.retain(|(known, _)| known != name);
        fields.push((name, value));
    }
    let owned = fields.into_iter();
    owned
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn lent(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// A change is signed off as it is read, and written by a third person.
async fn signed_off_and_written(town: &Town, change: &str) -> Page {
    let approver = town.browser("zhao").await;
    let content = approver.get(change).await.hidden("content");
    let signed = approver
        .post(&format!("{change}/sign-off"), &[("content", &content)])
        .await;
    assert_eq!(signed.to(), change);
    let producer = town.browser("sun").await;
    assert_eq!(producer.post(&format!("{change}/write"), &[]).await.to(), change);
    producer.get(change).await
}

#[tokio::test]
async fn another_address_goes_by_a_new_photo_and_every_fault_is_told_at_once() {
    let town = Town::new().await;
    let (permit, page, _, _) = in_use(&town).await;
    let clerk = town.browser("he").await;
    let form = format!("{page}/facts/address");
    let seen = clerk.get(&form).await;
    assert!(
        seen.has("科苑路8号3栋1204") && seen.has("value=\"ADDR_LEASE\" checked"),
        "{}",
        seen.text
    );
    let new = "广东省深圳市南山区粤海街道科技路12号1栋301";
    let wrong = facts(
        &seen,
        &[("residence.address", "短"), ("ADDR_LEASE.to", "2025-01-31")],
    );
    let told = clerk.post(&form, &lent(&wrong)).await;
    assert_eq!(told.status, StatusCode::UNPROCESSABLE_ENTITY);
    for field in ["residence.address", "ADDR_LEASE"] {
        assert!(told.has(&format!("<a href=\"#{field}")), "{field}: {}", told.text);
    }
    let moved = facts(&seen, &[("residence.address", new)]);
    let without = clerk.post(&form, &lent(&moved)).await;
    assert!(without.has("NO_PHOTO") && without.has(new), "{}", without.text);

    // The photo: taken here, confirmed by a colleague in the case.
    let taken = clerk.photo(&format!("{page}/photos"), crate::fixture::FACE).await;
    assert_eq!(taken.to(), format!("{form}#photo"));
    let waits = clerk.get(&form).await;
    assert!(waits.has("待同事查看后确认"), "{}", waits.text);
    let case = town
        .fixture
        .office()
        .permit(permit)
        .await
        .unwrap()
        .grant()
        .application;
    let colleague = town.browser("wang").await;
    crate::pages::confirm_photo(&colleague, &format!("/counter/cases/{case}")).await;
    let ready = clerk.get(&form).await;
    let receipt = ready
        .text
        .split("id=\"receipt\"")
        .nth(1)
        .and_then(|rest| rest.split("<option value=\"").nth(2))
        .and_then(|rest| rest.split('"').next())
        .unwrap()
        .to_owned();
    let elsewhere = facts(
        &ready,
        &[
            ("residence.address", new),
            ("residence.division", "440103"),
            ("receipt", &receipt),
        ],
    );
    let refused = clerk.post(&form, &lent(&elsewhere)).await;
    assert!(refused.has("OTHER_OFFICE"), "{}", refused.text);
    let right = facts(&ready, &[("residence.address", new), ("receipt", &receipt)]);
    let change = clerk.post(&form, &lent(&right)).await.to().to_owned();
    assert!(signed_off_and_written(&town, &change).await.has("已完成"));
    assert!(clerk.get(&page).await.has(new));
}

#[tokio::test]
async fn an_endorsement_is_too_early_until_its_month_and_is_refused_line_by_line_without_papers() {
    let town = Town::new().await;
    let (_, page, _, _) = in_use(&town).await;
    let form = format!("{page}/facts/endorse");
    let clerk = town.browser("he").await;
    let seen = clerk.get(&form).await;
    let early = clerk.post(&form, &lent(&facts(&seen, &[]))).await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    assert!(
        early.has("TOO_EARLY") && early.has("起才可签注"),
        "{}",
        early.text
    );

    town.fixture.time.set("2027-11-15T02:00:00Z");
    town.fixture.enrol_counters().await;
    let clerk = town.browser("he").await;
    let seen = clerk.get(&form).await;
    // Without papers it is not granted, and why is told line by line.
    let nothing = facts(&seen, &[("evidence", "ID_CARD"), ("insurance_months", "0")]);
    let refused = clerk.post(&form, &lent(&nothing)).await;
    assert!(
        refused.has("NOT_ELIGIBLE") && refused.has("逐条说明"),
        "{}",
        refused.text
    );
    assert!(refused.has("✗"));
    let papers = facts(
        &seen,
        &[
            ("ADDR_LEASE.from", "2027-02-01"),
            ("ADDR_LEASE.to", "2029-01-31"),
            ("insurance_months", "21"),
        ],
    );
    let change = clerk.post(&form, &lent(&papers)).await.to().to_owned();
    assert!(signed_off_and_written(&town, &change).await.has("已完成"));
    // The same again: there is nothing to endorse before the next window.
    let again = facts(&clerk.get(&form).await, &[]);
    assert_eq!(
        clerk.post(&form, &lent(&again)).await.status,
        StatusCode::CONFLICT
    );
}
