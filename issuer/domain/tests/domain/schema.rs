//! `docs/applicant.schema.json`, the two sample applicants and the form agree.

use std::collections::BTreeSet;

use jiff::civil::date;
use permit_domain::{ApplicantForm, Education, EvidenceCode, Nation, Sex, Tier, Title, read_tier};
use serde_json::Value;

const SAMPLES: [&str; 2] = [
    include_str!("../../../permit/samples/applicant-li-na.json"),
    include_str!("../../../permit/samples/applicant-refused.json"),
];

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../docs/applicant.schema.json")).unwrap()
}

fn keys(properties: &Value) -> BTreeSet<String> {
    properties.as_object().unwrap().keys().cloned().collect()
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|k| (*k).to_owned()).collect()
}

#[test]
fn the_schema_lists_the_keys_of_the_form_and_no_others() {
    let schema = schema();
    let properties = &schema["properties"];
    assert_eq!(keys(properties), set(&ApplicantForm::KEYS));
    assert_eq!(
        keys(&properties["residence"]["properties"]),
        set(&ApplicantForm::RESIDENCE_KEYS)
    );
    assert_eq!(
        keys(&properties["evidence"]["items"]["properties"]),
        set(&ApplicantForm::EVIDENCE_KEYS)
    );
    for object in [
        &schema,
        &properties["residence"],
        &properties["evidence"]["items"],
    ] {
        assert_eq!(object["additionalProperties"], Value::Bool(false));
    }
}

#[test]
fn the_schema_lists_every_value_of_every_table_and_the_form_reads_each() {
    fn listed(schema: &Value) -> Vec<String> {
        let values = schema["enum"].as_array().unwrap();
        values
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }
    fn same<T: Copy + std::str::FromStr + PartialEq + std::fmt::Display>(schema: &Value, all: &[T]) {
        let listed = listed(schema);
        assert_eq!(listed.len(), 3 * all.len(), "code, Chinese and English of each");
        for text in &listed {
            assert!(text.parse::<T>().is_ok(), "{text}");
        }
        for value in all {
            assert!(listed.contains(&value.to_string()));
        }
    }
    let p = &schema()["properties"];
    same(&p["sex"], Sex::ALL);
    // The people's names without 族 as well.
    let nations: Vec<Nation> = Nation::all().collect();
    let short = |nation: &Nation| nation.zh().strip_suffix('族').map(str::to_owned);
    let (short, mut full) = (nations.iter().filter_map(short), p["nation"].clone());
    for name in short {
        let values = full["enum"].as_array_mut().unwrap();
        let place = values
            .iter()
            .position(|value| *value == name.as_str())
            .expect(&name);
        values.remove(place);
        assert!(name.parse::<Nation>().is_ok(), "{name}");
    }
    same(&full, &nations);
    same(&p["education"], Education::ALL);
    same(&p["title"], Title::ALL);
    let tiers = listed(&p["requested_tier"]);
    assert_eq!(
        tiers.len(),
        3 * Tier::ALL.len(),
        "code, Chinese and English of each"
    );
    for text in &tiers {
        assert!(read_tier(text).is_ok(), "{text}");
    }
    for tier in Tier::ALL {
        assert!(tiers.contains(&tier.to_string()));
    }
    same(&p["evidence"]["items"]["properties"]["code"], EvidenceCode::ALL);
}

#[test]
fn what_the_schema_requires_is_what_the_form_misses() {
    let required: BTreeSet<String> = schema()["required"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| k.as_str().unwrap().to_owned())
        // These two are required as objects; the form misses what stands in them.
        .filter(|k| k != "residence" && k != "evidence")
        .chain(
            [
                "residence.address",
                "residence.division",
                "residence.registered_on",
            ]
            .map(str::to_owned),
        )
        .collect();
    let errors = ApplicantForm::default()
        .into_applicant(date(2026, 11, 21))
        .unwrap_err();
    let missed: BTreeSet<String> = errors.fields().iter().map(|e| e.field.clone()).collect();
    assert_eq!(missed, required);
    assert!(errors.fields().iter().all(|e| e.code == "MISSING"));
}

#[test]
fn the_two_samples_have_the_keys_of_the_schema_and_read_back() {
    let schema = schema();
    let properties = keys(&schema["properties"]);
    for sample in SAMPLES {
        let value: Value = serde_json::from_str(sample).unwrap();
        assert!(keys(&value).is_subset(&properties));
        for key in schema["required"].as_array().unwrap() {
            assert!(value.get(key.as_str().unwrap()).is_some());
        }
        let applicant = ApplicantForm::from_json(sample)
            .unwrap()
            .into_applicant(date(2026, 11, 21))
            .unwrap();
        let again = serde_json::to_string(&ApplicantForm::from(&applicant)).unwrap();
        // As a case keeps it: every value as text.
        let again = ApplicantForm::from_json(&again)
            .unwrap()
            .into_applicant(date(2026, 11, 21))
            .unwrap();
        assert_eq!(again, applicant);
    }
}

/// What a value of the file may be, the schema and the form say alike.
#[test]
fn a_value_of_another_kind_is_refused_by_the_schema_and_by_the_form() {
    let sample: Value = serde_json::from_str(SAMPLES[0]).unwrap();
    let properties = schema()["properties"].clone();
    for key in ApplicantForm::KEYS {
        if ["residence", "evidence"].contains(&key) {
            continue;
        }
        let kind = properties[key]["type"].as_str();
        let is_number = kind == Some("integer");
        assert!(is_number || kind.is_none_or(|kind| kind == "string"), "{key}");
        let mut file = sample.clone();
        file[key] = if is_number { "9".into() } else { 1.into() };
        let error = ApplicantForm::from_bytes(file.to_string().as_bytes()).unwrap_err();
        let fault = &error.fields()[0];
        assert_eq!((fault.field.as_str(), fault.code), (key, "SHAPE"));
    }
    let mut deeper = sample;
    deeper["residence"]["division"] = 440_305.into();
    deeper["evidence"][0]["from"] = 20_260_101.into();
    assert_eq!(
        ApplicantForm::from_bytes(deeper.to_string().as_bytes())
            .unwrap_err()
            .fields()
            .len(),
        2
    );
}

#[test]
fn a_file_that_is_empty_or_in_another_encoding_is_told_with_what_to_do_in_both_languages() {
    // 李娜 as an editor of a Chinese Windows saves it.
    let gb18030 = b"{\"name\":\"\xC0\xEE\xC4\xC8\"}";
    for (bytes, chinese, english) in [
        (&b""[..], ["文件是空的", "请写入"], ["the file is empty", "Write"]),
        (b" \n", ["文件是空的", "请写入"], ["the file is empty", "Write"]),
        (
            gb18030,
            ["GB 18030", "另存为 UTF-8"],
            ["GB 18030", "Save the file as UTF-8"],
        ),
        (
            b"\xFF\xFE{\0",
            ["UTF-16", "另存为 UTF-8"],
            ["UTF-16", "Save the file as UTF-8"],
        ),
    ] {
        let error = ApplicantForm::from_bytes(bytes).unwrap_err();
        for part in chinese {
            assert!(error.chinese().contains(part), "{}", error.chinese());
        }
        for part in english {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
