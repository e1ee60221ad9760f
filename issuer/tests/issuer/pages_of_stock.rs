//! The counter's pages where cards are made and kept: stock, rejected cards, faces, hand-over by the card's own word, cards that nobody
//! fetches.

use axum::http::{StatusCode, header};
use permit_domain::Order;

use crate::fixture::{APPLICANT, Fixture};
use crate::pages::Town;

/// A card that waits for its holder; its order, which lies on the reader.
async fn verified(town: &Town) -> Order {
    let fixture: &Fixture = &town.fixture;
    let order = fixture.ordered().await;
    let card = fixture.blank();
    let order = fixture.run(order.id(), &mut card.station()).await.unwrap();
    town.on_the_reader(card);
    order
}

#[tokio::test]
async fn the_stock_is_taken_in_counted_and_called_back_and_a_difference_is_told() {
    let town = Town::new().await;
    let producer = town.browser("sun").await;
    let stock = "/counter/stock";
    let seen = producer.get(stock).await;
    assert!(
        seen.has("002C-00000001") || seen.has("002c-00000001"),
        "{}",
        seen.text
    );
    let foreign = [
        ("lot", "002c-00000001"),
        ("serials", "002c0000000200000001\n002c0000000200000002"),
    ];
    let refused = producer.post("/counter/stock/received", &foreign).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(
        refused.has("OTHER_LOT") && refused.has("002c0000000200000002"),
        "typed text stays"
    );
    let right = [
        ("lot", "002c-00000002"),
        ("serials", "002c0000000200000001\n002c0000000200000002"),
    ];
    assert_eq!(producer.post("/counter/stock/received", &right).await.to(), stock);
    let twice = producer.post("/counter/stock/received", &right).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    let nothing = producer
        .post("/counter/stock/received", &[("lot", "x"), ("serials", " ")])
        .await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);

    let count = |counted: &'static str| [("lot", "002c-00000002"), ("counted", counted)];
    let many = producer.post("/counter/stock/counted", &count("many")).await;
    assert_eq!(many.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        producer.post("/counter/stock/counted", &count("1")).await.to(),
        stock
    );
    let told = producer.get(stock).await;
    assert!(told.has("缺 1"), "{}", told.text);
    // The missing one is written off by two people, and the next count agrees.
    let missing = [("serial", "002c0000000200000002"), ("reason", "MISSING")];
    let scraps = "/counter/scraps";
    assert_eq!(producer.post(scraps, &missing).await.to(), scraps);
    let unreasoned = producer.post(scraps, &[("serial", "002c0000000200000001")]).await;
    assert_eq!(unreasoned.status, StatusCode::UNPROCESSABLE_ENTITY);
    let seen = format!("{scraps}/002c0000000200000002/destroyed");
    let alone = producer.post(&seen, &[("seen", "yes")]).await;
    assert!(alone.has("SAME_PERSON_TWICE"), "{}", alone.text);
    let witness = town.browser("chen").await;
    assert_eq!(witness.post(&seen, &[("seen", "yes")]).await.to(), scraps);
    assert_eq!(
        producer.post("/counter/stock/counted", &count("1")).await.to(),
        stock
    );
    assert!(producer.get(stock).await.has("相符 1"));

    let recall = [("lot", "002c-00000002")];
    assert_eq!(
        producer.post("/counter/stock/recalled", &recall).await.to(),
        stock
    );
    assert_eq!(town.fixture.office().stock().await.unwrap().recalled, 1);
    let nowhere = producer
        .post("/counter/stock/recalled", &[("lot", "no lot")])
        .await;
    assert!(nowhere.has("NOT_FOUND"), "{}", nowhere.text);
    assert_eq!(
        town.browser("chen").await.get(stock).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_card_that_is_rejected_for_a_reason_is_destroyed_by_two_and_its_permit_is_ordered_again() {
    let town = Town::new().await;
    let order = verified(&town).await;
    let page = format!("/counter/orders/{}", order.id());
    let producer = town.browser("sun").await;
    assert!(producer.get(&page).await.has("回读核验"));
    let silent = producer.post(&format!("{page}/reject"), &[]).await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    let early = town.browser("chen").await;
    let early = early
        .post(&format!("{page}/reject"), &[("reason", "NOT_COLLECTED")])
        .await;
    assert!(early.has("WAITS_FOR_HOLDER"), "{}", early.text);
    let reason = [("reason", "MISMATCH")];
    assert_eq!(producer.post(&format!("{page}/reject"), &reason).await.to(), page);
    assert_eq!(producer.post(&format!("{page}/reject"), &reason).await.to(), page);
    let number = order.state().card().unwrap().number.to_string();
    let scraps = town.browser("chen").await.get("/counter/scraps").await;
    assert!(scraps.has(&number) && scraps.has("疑似调换"), "{}", scraps.text);
    assert!(producer.get("/counter/lists/order").await.has("/counter/cases/"));
}

#[tokio::test]
async fn the_faces_that_are_printed_are_seen_with_the_digests_of_the_ledger_and_the_look_is_kept() {
    let town = Town::new().await;
    let order = town.fixture.ordered().await;
    let page = format!("/counter/orders/{}", order.id());
    let producer = town.browser("sun").await;
    // Before the card has a number the front is drawn from the frozen content.
    let before = producer.get(&format!("{page}/faces")).await;
    assert!(
        before.has("尚未绘制") && !before.has("back.png"),
        "{}",
        before.text
    );
    assert_eq!(
        producer.get(&format!("{page}/back.png")).await.status,
        StatusCode::NOT_FOUND
    );
    let card = town.fixture.blank();
    town.fixture.run(order.id(), &mut card.station()).await.unwrap();
    let seen = producer.get(&format!("{page}/faces")).await;
    assert!(seen.has("与台账所记的摘要一致"), "{}", seen.text);
    // What was seen before is what was drawn.
    let digest = before.text.split("class=\"digest\">").nth(1).unwrap();
    assert!(seen.has(digest.split('<').next().unwrap()));
    let front = producer.get(&format!("{page}/front.png")).await;
    assert_eq!(front.headers[header::CONTENT_TYPE], "image/png");
    let entries = town.fixture.ledger_of(&order.id().to_string()).await;
    assert!(entries.iter().any(|entry| entry.action == "face LOOKED_AT"));
    // A file that was changed is told.
    let file = town.fixture.faces().join(order.id().to_string()).join("back.png");
    let mut png = std::fs::read(&file).unwrap();
    png.push(0);
    std::fs::write(&file, png).unwrap();
    assert!(producer.get(&format!("{page}/faces")).await.has("不一致"));
    assert_eq!(
        town.browser("he")
            .await
            .get(&format!("{page}/front.png"))
            .await
            .status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn the_card_on_the_reader_opens_its_case_and_an_agent_takes_it_while_the_old_one_comes_back() {
    let town = Town::new().await;
    let clerk = town.browser("chen").await;
    // A blank is nobody's.
    let blank = clerk.post("/counter/orders/here", &[]).await;
    assert_eq!(blank.status, StatusCode::CONFLICT);
    assert!(blank.has("NO_ORDER"), "{}", blank.text);

    // A card that is replaced, and the new one for it.
    let (permit, old) = town.fixture.in_use(APPLICANT).await;
    let office = town.fixture.office();
    let number = office.card_in_use(permit).await.unwrap().number;
    office.replace(&number, &"he".parse().unwrap()).await.unwrap();
    let application = office.permit(permit).await.unwrap().grant().application;
    let receipt = town.fixture.photo(application).await;
    let order = town.fixture.order(permit, receipt).await;
    let card = town.fixture.blank();
    town.fixture.run(order.id(), &mut card.station()).await.unwrap();
    town.on_the_reader(card);
    let page = format!("/counter/orders/{}", order.id());
    assert_eq!(clerk.post("/counter/orders/here", &[]).await.to(), page);
    let seen = clerk.get(&page).await;
    assert!(seen.has(number.as_str()) && seen.has("已收回"), "{}", seen.text);

    let hand_over = format!("{page}/hand-over");
    let wrong: [&[(&str, &str)]; 4] = [
        &[("checked", "holder")],
        &[("checked", "agent"), ("old_card", "given-back")],
        &[
            ("checked", "agent"),
            ("old_card", "given-back"),
            ("agent_name", "王5"),
            ("agent_document", "IDENTITY_CARD"),
        ],
        &[("old_card", "given-back")],
    ];
    for form in wrong {
        let refused = clerk.post(&hand_over, form).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{form:?}");
    }
    let form = [
        ("checked", "agent"),
        ("agent_name", "王小明"),
        ("agent_document", "PASSPORT"),
        ("old_card", "given-back"),
    ];
    assert_eq!(clerk.post(&hand_over, &form).await.to(), page);
    let agent = office.agent_of(order.id()).await.unwrap().unwrap();
    assert_eq!(agent.name.as_str(), "王小明");
    let entries = town.fixture.ledger_of(&order.id().to_string()).await;
    assert!(entries.iter().all(|entry| !entry.detail.contains("王小明")));
    // The old one waits to be destroyed before somebody else.
    let set = office.all_set_aside().await.unwrap();
    assert_eq!(set[0].scrap.serial(), old.serial());
    // Done already: the same again changes nothing.
    assert_eq!(clerk.post(&hand_over, &form).await.to(), page);
}

#[tokio::test]
async fn a_card_that_nobody_fetched_is_listed_with_its_days_and_has_a_notice() {
    let town = Town::new().await;
    let order = verified(&town).await;
    let clerk = town.browser("chen").await;
    assert!(clerk.get("/counter/uncollected").await.has("没有逾期未领的"));
    town.fixture.time.set("2026-12-23T02:00:00Z");
    let clerk = town.browser("chen").await;
    let list = clerk.get("/counter/uncollected").await;
    assert!(list.has("32 天") && list.has("应发通知"), "{}", list.text);
    let notice = clerk
        .post(&format!("/counter/uncollected/{}/notice", order.id()), &[])
        .await;
    assert!(notice.has("居住证领取通知"), "{}", notice.text);
    let again = clerk.get("/counter/uncollected").await;
    assert!(
        !again.has("应发通知") && !again.has("收回</button>"),
        "{}",
        again.text
    );
    assert_eq!(
        town.browser("sun").await.get("/counter/uncollected").await.status,
        StatusCode::FORBIDDEN
    );
}
