//! What is typed into an applicant file: characters that nobody sees, encodings, and what stays readable on file.

use jiff::civil::{Date, date};
use permit_domain::{ApplicantForm, Raw};
use rstest::rstest;

const SAMPLE: &str = include_str!("../../../permit/samples/applicant-li-na.json");
const TODAY: Date = date(2026, 11, 21);

fn sample() -> ApplicantForm {
    ApplicantForm::from_json(SAMPLE).unwrap()
}

fn found(form: ApplicantForm) -> Vec<(String, &'static str)> {
    match form.into_applicant(TODAY) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .fields()
            .iter()
            .map(|e| (e.field.clone(), e.code))
            .collect(),
    }
}

#[test]
fn a_hidden_character_is_told_in_every_field_and_nothing_else_is_said_of_it() {
    // An en space, a soft hyphen, a zero width joiner, an override from the right, a word joiner, a variation selector.
    for hidden in [
        '\u{2002}', '\u{AD}', '\u{200D}', '\u{202E}', '\u{2060}', '\u{FE00}',
    ] {
        let inside = |raw: &mut Raw| {
            let text = raw.text().unwrap();
            let at = text.char_indices().nth(1).map_or(text.len(), |(at, _)| at);
            *raw = Raw::from(format!("{}{hidden}{}", &text[..at], &text[at..]));
        };
        let mut form = sample();
        form.title = Raw::from("SKILL_1");
        form.requested_tier = Raw::from("TEMP");
        let (evidence, later) = form.evidence.split_at_mut(1);
        for raw in [
            &mut form.citizen_number,
            &mut form.name,
            &mut form.nation,
            &mut form.birth_date,
            &mut form.hukou_address,
            &mut form.residence.address,
            &mut form.residence.division,
            &mut form.residence.registered_on,
            &mut evidence[0].code,
            &mut later[0].from,
            &mut form.education,
            &mut form.title,
            &mut form.requested_tier,
        ] {
            inside(raw);
        }
        let errors = found(form);
        assert_eq!(errors.len(), 13, "U+{:04X}: {errors:?}", u32::from(hidden));
        assert!(errors.iter().all(|(_, code)| *code == "HIDDEN_CHARACTER"));
        assert_eq!(
            (errors[0].0.as_str(), errors[12].0.as_str()),
            ("citizen_number", "requested_tier")
        );
    }
}

#[test]
fn marks_around_a_pasted_number_are_named_by_their_code_and_place() {
    let mut form = sample();
    form.citizen_number = Raw::from("\u{2066}440305198511120028\u{2069}");
    let errors = form.into_applicant(TODAY).unwrap_err();
    assert_eq!(errors.fields().len(), 1);
    let error = &errors.fields()[0];
    assert!(
        error.what.contains("character 1") && error.what.contains("U+2066"),
        "{}",
        error.what
    );
    assert!(!error.what.contains("4403"));
}

#[test]
fn blanks_around_a_value_are_no_fault_of_whatever_kind_they_are() {
    let mut form = sample();
    form.name = Raw::from("\u{3000}李娜\u{a0}");
    assert_eq!(form.into_applicant(TODAY).unwrap().name.as_str(), "李娜");
}

#[rstest]
#[case("科苑路8号\u{a0}1204")]
#[case("科苑路\u{200b}8号")]
#[case("科苑路\u{e5e5}8号")]
fn what_was_filed_before_stays_readable_and_is_refused_as_new(#[case] address: &str) {
    let mut form = sample();
    form.residence.address = Raw::from(address);
    let filed = form.clone().into_filed(TODAY).unwrap();
    assert_eq!(filed.residence.address.as_str(), address);
    assert_eq!(found(form).len(), 1);
}

#[test]
fn a_text_has_one_form_whichever_keyboard_typed_it() {
    let mut form = sample();
    form.name = Raw::from("Zoe\u{308} Nguye\u{302}\u{303}n");
    form.hukou_address = Raw::from("Cafe\u{301} 12, Xi\u{2bc}an");
    let applicant = form.into_applicant(TODAY).unwrap();
    assert_eq!(applicant.name.as_str(), "Zoë Nguyễn");
    assert_eq!(applicant.hukou_address.as_str(), "Café 12, Xi\u{2bc}an");
}

#[test]
fn bytes_are_read_as_utf_8_or_refused_whatever_they_are() {
    assert_eq!(ApplicantForm::from_bytes(SAMPLE.as_bytes()).unwrap(), sample());
    for (bytes, code) in [
        (&b"\xff\xfe\0\0{\0\0\0"[..], "ENCODING"),
        (b"\xef\xbb\xbf{}", "BYTE_ORDER_MARK"),
        (b"{\"name\": \"\xed\xa0\x80\"}", "ENCODING"),
        (b"", "NOT_JSON"),
        (b"\0{}", "ENCODING"),
    ] {
        let errors = ApplicantForm::from_bytes(bytes).unwrap_err();
        assert_eq!(errors.fields()[0].code, code, "{bytes:?}");
        assert!(errors.is_format());
    }
}
