//! What an intake clerk does beside the form: papers are scanned, the photo is taken with the camera, the identity card is read.

use axum::http::{StatusCode, header};

use crate::fixture::{self, APPLICANT, FACE};
use crate::pages::{Page, Town, confirm_photo, typed};

/// A page of a paper: any picture that is large enough to be read.
const PAGE: &[u8] = include_bytes!("../../../photo-store/samples/studio.jpg");

/// The addresses of the pages that a case shows.
fn scans(page: &Page) -> Vec<String> {
    let pictures = page.text.split("<img loading=\"lazy\" src=\"").skip(1);
    pictures
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn papers_are_scanned_seen_by_whoever_has_the_case_and_gone_with_it() {
    let town = Town::new().await;
    let id = town.fixture.accepted(APPLICANT).await;
    let (case, papers) = (
        format!("/counter/cases/{id}"),
        format!("/counter/cases/{id}/papers"),
    );
    let (clerk, reviewer) = (town.browser("liu").await, town.browser("wang").await);
    assert!(clerk.get(&case).await.has("未扫描"));

    // What cannot be read, what the application does not name, and nothing at all are told in words, and leave nothing.
    let polyglot = [PAGE, b"<script>alert(1)</script>"].concat();
    for (paper, files, words) in [
        ("ADDR_LEASE", vec![FACE], "材料图像太小"),
        ("ADDR_LEASE", vec![b"%PDF-1.7".as_slice()], "不是 JPEG 或 PNG"),
        ("STUDY_CARD", vec![PAGE], "没有列出这种材料"),
        ("ADDR_LEASE", vec![], "没有选择材料图像"),
    ] {
        let refused = clerk.upload(&papers, paper, &files).await;
        assert!(
            refused.status.is_client_error() && refused.has(words),
            "{}",
            refused.text
        );
        assert!(scans(&refused).is_empty());
    }
    let kept = clerk.upload(&papers, "ADDR_LEASE", &[PAGE, &polyglot]).await;
    assert_eq!(kept.to(), format!("{case}#papers"));
    let pages = scans(&reviewer.get(&case).await);
    assert_eq!(pages.len(), 2);

    // Who has the case sees them; no script of a file comes out again.
    for page in &pages {
        let seen = reviewer.get(page).await;
        assert_eq!(seen.headers[header::CONTENT_TYPE], "image/jpeg");
        assert!(!seen.has("<script>"));
    }
    // Who makes and hands over cards does not, and nobody sees a page by way of another case.
    let producer = town.browser("sun").await;
    assert!(scans(&producer.get(&case).await).is_empty());
    assert_eq!(producer.get(&pages[0]).await.status, StatusCode::FORBIDDEN);
    let other = town.fixture.accepted(&fixture::person(1)).await;
    let page = pages[0].rsplit('/').next().unwrap();
    let astray = format!("/counter/cases/{other}/papers/{page}");
    for browser in [&clerk, &reviewer] {
        assert!(browser.get(&astray).await.status.is_client_error());
    }
    let astray = clerk.post(&format!("{astray}/remove"), &[]).await;
    assert!(astray.status.is_client_error(), "{}", astray.text);

    // A mistake is taken away while intake lasts.
    clerk.post(&format!("{}/remove", pages[1]), &[]).await.to();
    assert_eq!(scans(&clerk.get(&case).await).len(), 1);
    town.fixture.completed(id).await;
    let late = clerk.post(&format!("{}/remove", pages[0]), &[]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    let seen = reviewer.get(&case).await;
    assert!(scans(&seen).len() == 1 && seen.has("已扫描"), "{}", seen.text);

    // The auditor's record has every look, also the refused ones.
    let looks = town.fixture.office().page_looks(id).await.unwrap();
    let readers: Vec<(&str, bool)> = looks
        .iter()
        .map(|look| (look.reader.as_str(), look.refused.is_none()))
        .collect();
    let wang = ("wang", true);
    assert_eq!(readers, [("wang", false), ("liu", false), wang, wang]);

    // Taken back by the applicant: the case is over, and its pages are gone.
    let office = town.fixture.office();
    office.withdraw(id, &"liu".parse().unwrap()).await.unwrap();
    assert!(office.pages_of(id).await.unwrap().is_empty());
    assert!(reviewer.get(&pages[0]).await.status.is_client_error());
    let closed = clerk.upload(&papers, "ADDR_LEASE", &[PAGE]).await;
    assert_eq!(closed.status, StatusCode::CONFLICT, "{}", closed.text);
}

#[tokio::test]
async fn a_file_that_is_given_again_makes_no_photo_and_no_other_cards_photo_in_silence() {
    let town = Town::new().await;
    let id = town.fixture.accepted(APPLICANT).await;
    let (case, photos) = (
        format!("/counter/cases/{id}"),
        format!("/counter/cases/{id}/photos"),
    );
    let clerk = town.browser("liu").await;
    assert_eq!(clerk.photo(&photos, FACE).await.to(), format!("{case}#photo"));
    let again = clerk.photo(&photos, FACE).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.has("这个文件已经交过"), "{}", again.text);
    confirm_photo(&town.browser("wang").await, &case).await;
    let receipt = clerk.get(&case).await.hidden("receipt");
    let complete = format!("{case}/complete");
    clerk.post(&complete, &[("receipt", &receipt)]).await.to();
    let used = clerk.photo(&photos, FACE).await;
    assert_eq!(used.status, StatusCode::CONFLICT);
    assert!(used.has("此案已定稿的照片"), "{}", used.text);
}

/// A picture as small as the script of the camera sends it.
fn seen(picture: &[u8]) -> Vec<u8> {
    let small = image::load_from_memory(picture).unwrap().thumbnail(480, 480);
    let mut out = std::io::Cursor::new(Vec::new());
    small
        .into_rgb8()
        .write_to(&mut out, image::ImageFormat::Jpeg)
        .unwrap();
    out.into_inner()
}

#[tokio::test]
async fn the_camera_is_for_its_page_alone_and_what_it_sees_is_judged_and_not_kept() {
    let town = Town::new().await;
    let id = town.fixture.accepted(APPLICANT).await;
    let (case, camera) = (
        format!("/counter/cases/{id}"),
        format!("/counter/cases/{id}/camera"),
    );
    let (clerk, reviewer) = (town.browser("liu").await, town.browser("wang").await);
    let may = |page: &Page| {
        page.headers["permissions-policy"]
            .to_str()
            .unwrap()
            .contains("camera=(self)")
    };
    let page = clerk.get(&camera).await;
    assert!(may(&page) && page.has("type=\"file\""), "{}", page.text);
    assert!(!may(&clerk.get(&case).await) && !may(&clerk.get("/counter/intake").await));
    assert_eq!(reviewer.get(&camera).await.status, StatusCode::FORBIDDEN);

    let frame = format!("{camera}/frame");
    let hint = clerk.frame(&frame, &seen(PAGE)).await;
    assert_eq!((hint.status, hint.text.is_empty()), (StatusCode::OK, false));
    let lines = image::RgbImage::from_fn(400, 480, |_, y| image::Rgb([u8::try_from(y / 2).unwrap(); 3]));
    let mut nobody = std::io::Cursor::new(Vec::new());
    lines.write_to(&mut nobody, image::ImageFormat::Jpeg).unwrap();
    let hint = clerk.frame(&frame, nobody.get_ref()).await;
    assert!(hint.has("看不到人脸"), "{}", hint.text);
    assert_eq!(hint.headers["x-yzt-ready"], "no");
    // Far away: the same face in the middle of a wide room.
    let face = image::load_from_memory(PAGE)
        .unwrap()
        .thumbnail(120, 120)
        .into_rgb8();
    let mut room = image::RgbImage::from_pixel(480, 360, image::Rgb([250; 3]));
    image::imageops::overlay(&mut room, &face, 190, 120);
    let mut far = std::io::Cursor::new(Vec::new());
    room.write_to(&mut far, image::ImageFormat::Jpeg).unwrap();
    let hint = clerk.frame(&frame, far.get_ref()).await;
    assert!(hint.has("太远"), "{}", hint.text);
    assert_eq!(
        clerk.frame(&frame, &vec![0; 400_000]).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(
        reviewer.frame(&frame, &seen(PAGE)).await.status,
        StatusCode::FORBIDDEN
    );
    assert!(town.fixture.office().photos_of(id).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_identity_card_is_read_into_the_form_and_what_is_typed_or_changed_is_said_to_be() {
    let town = Town::new().await;
    let clerk = town.browser("liu").await;
    let own = [
        "citizen_number",
        "name",
        "sex",
        "nation",
        "birth_date",
        "hukou_address",
    ];
    for change in [false, true] {
        let id = clerk.get("/counter/intake").await.hidden("id");
        // What was typed before stays.
        let read = [("id", id.as_str()), ("residence.address", "科苑路15号2栋803")];
        let form = clerk.post("/counter/intake/read", &read).await;
        assert!(
            form.has("value=\"科苑路15号2栋803\"") && form.has("已从证件读取"),
            "{}",
            form.text
        );
        let value = |field: &str| {
            let field = format!("name=\"{field}\"");
            let tag = form.text.split(&field).nth(1).unwrap();
            let value = tag.split(" value=\"").nth(1).unwrap();
            value.split('"').next().unwrap().to_owned()
        };
        let chosen = |field: &str| {
            let field = format!("name=\"{field}\"");
            let list = form
                .text
                .split(&field)
                .nth(1)
                .unwrap()
                .split("</select>")
                .next()
                .unwrap();
            let before = list.split("\" selected").next().unwrap();
            before.rsplit("value=\"").next().unwrap().to_owned()
        };
        let mut fields: Vec<(String, String)> = typed();
        fields.retain(|(name, _)| !own.contains(&name.as_str()));
        for name in own {
            let text = if ["sex", "nation"].contains(&name) {
                chosen(name)
            } else {
                value(name)
            };
            fields.push((name.to_owned(), text));
        }
        if change {
            fields.iter_mut().find(|(name, _)| name == "name").unwrap().1 = "周敏".to_owned();
        }
        fields.push(("id".to_owned(), id.clone()));
        fields.push(("read".to_owned(), form.hidden("read")));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let case = format!("/counter/cases/{id}");
        assert_eq!(clerk.post("/counter/intake", &fields).await.to(), case);
        let seen = town.browser("wang").await.get(&case).await;
        assert_eq!(
            (seen.has("手工录入"), seen.has("读自居民身份证")),
            (change, !change),
            "{}",
            seen.text
        );
        let lines = town.fixture.ledger_of(&id).await;
        let entered = if change {
            "identity BY_HAND"
        } else {
            "identity READ"
        };
        assert!(lines.iter().any(|line| line.action == entered));
    }
}
