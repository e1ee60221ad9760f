//! The QR code of a card's back in other hands: a foreign scanner reads the drawn face, OpenSSL verifies it by the commands of
//! the specification, and `issuer verify-qr` tells it from every other text.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::imageops::FilterType;
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// The chapter, whose shell commands are run.
const CHAPTER: &str = include_str!("../../../card-applet-spec/spec/15-card-back.md");

/// Its vectors: a genuine text, made by another implementation.
const VECTORS: &str = include_str!("../../../card-applet-spec/spec/vectors/15-card-back.json");

/// What zbar reads from a face as a poor photo has it: half the size, JPEG quality 30.
fn scanned(face: &Path, folder: &Path) -> String {
    let picture = image::open(face).unwrap();
    let half = picture.resize_exact(picture.width() / 2, picture.height() / 2, FilterType::Triangle);
    let photo = folder.join("photo.jpg");
    let mut file = fs::File::create(&photo).unwrap();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 30)
        .encode_image(&half.to_rgb8())
        .unwrap();
    let output = Command::new("zbarimg")
        .args([
            "--quiet",
            "--nodbus",
            "--raw",
            "--oneshot",
            "-Sdisable",
            "-Sqrcode.enable",
        ])
        .arg(photo)
        .output()
        .expect("`make setup` installs zbar-tools");
    String::from_utf8(output.stdout).unwrap()
}

/// What the chapter's commands say of a text and a key.
fn openssl(folder: &Path, text: &str, document_signer: &str) -> (bool, String) {
    let commands = CHAPTER.split("```sh\n").nth(1).unwrap();
    let commands = commands.split("```").next().unwrap();
    fs::write(folder.join("text"), text).unwrap();
    fs::write(folder.join("key"), document_signer).unwrap();
    let output = Command::new("sh")
        .args(["-c", commands])
        .current_dir(folder)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// An anchors file with this document signer, of a rehearsal or not. Its other keys sign nothing here.
fn anchors(folder: &Path, document_signer: &str, rehearsal: bool) -> PathBuf {
    let vault = card_applet_spec::rehearsal::vault_number([7; 16], rehearsal);
    let object = json!({
        "schema": "yzt.anchors/1", "vault": hex::encode(vault), "card_ca": document_signer, "terminal_ca": document_signer,
        "document_signer": document_signer, "entitlement_signer": document_signer, "deny_list_signer": document_signer,
    });
    let path = folder.join(format!("{}-{rehearsal}", &document_signer[..16]));
    fs::write(&path, object.to_string()).unwrap();
    path
}

/// Runs the program with this on its standard input; gives exit code and object.
fn verify(anchors: &Path, what: &[&str], input: &[u8]) -> (Option<i32>, Value) {
    let mut program = Command::new(assert_cmd::cargo::cargo_bin("issuer"))
        .args(["verify-qr", "--json", "--anchors", anchors.to_str().unwrap()])
        .args(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The program may have ended without reading all of it.
    let _ = program.stdin.take().unwrap().write_all(input);
    let output = program.wait_with_output().unwrap();
    (
        output.status.code(),
        serde_json::from_slice(&output.stdout).unwrap(),
    )
}

/// Exit code and code of a text that is refused.
fn refused(anchors: &Path, text: &[u8]) -> (Option<i32>, String) {
    let (exit, object) = verify(anchors, &["-"], text);
    (
        exit,
        object["error"]["code"].as_str().unwrap_or("none").to_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printed_code_is_read_by_a_foreign_scanner_and_verified_by_openssl_and_by_the_program_alone() {
    let fixture = Fixture::new().await;
    let order = fixture.ordered().await;
    let card = fixture.blank();
    let done = fixture.run(order.id(), &mut card.station()).await.unwrap();
    let number = done.state().card().unwrap().number.to_string();
    let back = fixture.production.faces_of(order.id()).join("back.png");
    let signer = hex::encode(fixture.anchors().await.document_signer);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();

    let read = scanned(&back, folder);
    let text = read.trim_end();
    assert!(
        text.starts_with(&format!("YZT1:{number}:440305:20261121:")),
        "{text}"
    );
    assert_eq!(openssl(folder, text, &signer), (true, "Verified OK\n".into()));
    let forged = text.replacen("20261121", "20261122", 1);
    assert!(!openssl(folder, &forged, &signer).0);

    let anchors = anchors(folder, &signer, false);
    let (exit, object) = verify(&anchors, &["-"], read.as_bytes());
    assert_eq!((exit, &object["card_number"]), (Some(0), &json!(number)));
    assert_eq!(
        refused(&anchors, forged.as_bytes()),
        (Some(1), "QR_NOT_SIGNED".into())
    );
}

#[test]
fn verify_qr_says_what_a_genuine_code_says_and_refuses_every_other_text_with_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let made = |at: usize| &vectors["vectors"][at]["outputs"];
    let text = String::from_utf8(bytes(&made(0)["text"])).unwrap();
    let other = String::from_utf8(bytes(&made(1)["text"])).unwrap();
    let signer = format!("04{}", made(0)["public"].as_str().unwrap());
    let own = anchors(folder, &signer, false);

    let genuine = (
        Some(0),
        json!({
            "schema": "yzt.verify_qr/1", "ok": true, "card_number": "4400000000015", "division": "440305",
            "issued_on": "2026-11-21", "rehearsal": false, "unsaid": ["HOLDER", "TIER", "LAST_DAY", "LOSS", "COPY"],
        }),
    );
    assert_eq!(verify(&own, &["--text", &text], b""), genuine);
    // What scanners and editors put around it is not of it.
    let file = folder.join("scan").display().to_string();
    for around in [
        format!("{text}\n"),
        format!("\u{FEFF}{text}\r\n"),
        format!(" \t{text}"),
    ] {
        fs::write(&file, &around).unwrap();
        assert_eq!(verify(&own, &[&file], b""), genuine, "{around:?}");
        assert_eq!(verify(&own, &["-"], around.as_bytes()), genuine, "{around:?}");
    }
    let trial = anchors(folder, &signer, true);
    assert_eq!(verify(&trial, &["-"], text.as_bytes()).1["rehearsal"], true);

    let signature_of_other = other.rsplit_once(':').unwrap().1;
    let (said, _) = text.rsplit_once(':').unwrap();
    for (changed, code) in [
        (
            text.replacen("4400000000015", "4400000000023", 1),
            "QR_NOT_SIGNED",
        ),
        (text.replacen(":440305:", ":440306:", 1), "QR_NOT_SIGNED"),
        (text.replacen("20261121", "20271121", 1), "QR_NOT_SIGNED"),
        (format!("{said}:{signature_of_other}"), "QR_NOT_SIGNED"),
        (text[..text.len() - 1].to_owned(), "QR_DAMAGED"),
        (format!("{text}A"), "QR_DAMAGED"),
        (said.to_owned(), "QR_DAMAGED"),
        (text.replacen("20261121", "20261131", 1), "QR_DAMAGED"),
        (text.replacen("YZT1", "YZT2", 1), "QR_VERSION"),
        (text.to_lowercase(), "QR_FOREIGN"),
        ("https://example.org/".to_owned(), "QR_FOREIGN"),
        (String::new(), "QR_FOREIGN"),
    ] {
        let told = refused(&own, changed.as_bytes());
        assert_eq!(told, (Some(1), code.to_owned()), "{changed}");
    }
    // Another office's anchors.
    let generator = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let told = refused(&anchors(folder, generator, false), text.as_bytes());
    assert_eq!(told, (Some(1), "QR_NOT_SIGNED".into()));
    assert_eq!(refused(&own, b"\xFF\xFEY\0Z\0"), (Some(1), "QR_FOREIGN".into()));
    assert_eq!(
        refused(&own, b"\x89PNG\r\n\x1A\n"),
        (Some(2), "QR_PICTURE".into())
    );
    assert_eq!(refused(&own, &[b'A'; 5000]), (Some(5), "FILE".into()));
    fs::write(&file, "{}").unwrap();
    let told = refused(Path::new(&file), text.as_bytes());
    assert_eq!(told, (Some(2), "ANCHORS_DAMAGED".into()));
}
