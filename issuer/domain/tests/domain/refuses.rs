//! What the system refuses: no field for marriage, births, religion, politics, conduct or a "risk" of a person; no
//! personal data in errors and debug output.

use jiff::civil::date;
use permit_domain::ApplicantForm;
use permit_rules::{RuleSet, RuleSets};
use rstest::rstest;
use serde_json::{Value, json};

const SAMPLE: &str = include_str!("../../../permit/samples/applicant-li-na.json");

/// Words of what is not collected, in English and Chinese.
const REFUSED: [&str; 20] = [
    "marital",
    "married",
    "spouse",
    "birth_control",
    "pregnan",
    "children",
    "religio",
    "politic",
    "party",
    "risk",
    "criminal",
    "conduct",
    "blacklist",
    "track",
    "婚",
    "孕",
    "宗教",
    "政治",
    "党员",
    "高危",
];

#[rstest]
#[case("marital_status")]
#[case("children_born")]
#[case("religion")]
#[case("political_status")]
#[case("risk")]
#[case("criminal_record")]
#[case("last_seen_at")]
#[case("remark")]
#[case("婚姻状况")]
fn an_applicant_file_with_such_a_key_is_refused_by_name(#[case] key: &str) {
    let mut file: Value = serde_json::from_str(SAMPLE).unwrap();
    file[key] = json!("none of our business");
    file["residence"][key] = json!("none of our business");
    let errors = ApplicantForm::from_json(&file.to_string()).unwrap_err();
    assert!(errors.is_format());
    let fields: Vec<_> = errors
        .fields()
        .iter()
        .map(|e| (e.field.as_str(), e.code))
        .collect();
    let nested = format!("residence.{key}");
    assert!(fields.contains(&(key, "UNKNOWN_KEY")) && fields.contains(&(nested.as_str(), "UNKNOWN_KEY")));
    assert!(!errors.to_string().contains("none of our business"));
}

#[test]
fn no_key_of_the_form_and_no_word_of_a_rule_set_is_one_of_them() {
    let form = [
        &ApplicantForm::KEYS[..],
        &ApplicantForm::RESIDENCE_KEYS,
        &ApplicantForm::EVIDENCE_KEYS,
    ]
    .concat();
    let rules = RuleSets::embedded().unwrap();
    for word in REFUSED {
        assert!(form.iter().all(|key| !key.contains(word)), "{word}");
        for set in rules.iter() {
            for condition in set.conditions() {
                let text = format!("{} {} {:?}", condition.id, condition.zh, condition.test).to_lowercase();
                assert!(!text.contains(word), "{word} in {}", condition.id);
            }
        }
    }
}

#[test]
fn no_column_of_the_ledger_is_one_of_them() {
    for migration in [
        include_str!("../../../store/migrations/sqlite/0001_ledger.sql"),
        include_str!("../../../store/migrations/postgres/0001_ledger.sql"),
    ] {
        let text = migration.to_lowercase();
        for word in REFUSED
            .iter()
            .chain(&["terminal", "latitude", "tapped", "location"])
        {
            assert!(!text.contains(word), "{word}");
        }
    }
}

#[test]
fn a_rule_set_cannot_ask_for_what_there_is_no_test_for() {
    let set = RuleSets::embedded().unwrap();
    let text = set.get(RuleSets::DEFAULT).unwrap().text();
    let text = text.replace("test = { age_at_least = 16 }", "test = { married = true }");
    assert_eq!(
        RuleSet::parse("x", &text).unwrap_err().code(),
        "RULE_SET_UNREADABLE"
    );
}

#[test]
fn errors_and_debug_output_hold_no_fact_of_the_person() {
    let today = date(2026, 11, 21);
    let applicant = ApplicantForm::from_json(SAMPLE)
        .unwrap()
        .into_applicant(today)
        .unwrap();
    let form = ApplicantForm::from(&applicant);
    let broken = SAMPLE
        .replace("440305198511120028", "440305198511120029")
        .replace("李娜", "李娜9")
        .replace("1985-11-12", "1985-02-30");
    let errors = ApplicantForm::from_json(&broken)
        .unwrap()
        .into_applicant(today)
        .unwrap_err();
    let shapes = ApplicantForm::from_json(&SAMPLE.replace("\"李娜\"", "[\"李娜\"]")).unwrap_err();
    let text = format!(
        "{applicant:?} {:?} {:?} {form:?} {errors} {errors:?} {shapes} {shapes:?}",
        applicant.name, applicant.residence
    );
    for fact in ["李娜", "44030519851112", "1985-", "麓山", "科苑"] {
        assert!(!text.contains(fact), "{fact} in {text}");
    }
    assert_eq!(errors.fields().len(), 3, "every error at once");
}
