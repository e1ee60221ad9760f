//! Decisions by the rule sets that ship, and what the loader of rule sets refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use jiff::civil::{Date, date};
use permit_domain::{
    Applicant, ApplicantForm, ApplicationId, Decision, Digest, Error, Grant, PersonId, Raw, Role, Tier,
};
use permit_rules::{Grade, Period, RuleSet, RuleSets};
use rstest::rstest;
use serde_json::{Value, json};

const LI_NA: &str = include_str!("../../permit/samples/applicant-li-na.json");
const REFUSED: &str = include_str!("../../permit/samples/applicant-refused.json");
const TODAY: Date = date(2026, 11, 21);
const THREE: &str = RuleSets::DEFAULT;
const NATIONAL: &str = "100000-decree-663-2016";
const SICHUAN: &str = "510000-two-tiers-2011";

fn read(value: &Value) -> Applicant {
    ApplicantForm::from_json(&value.to_string())
        .unwrap()
        .into_applicant(date(2099, 1, 1))
        .unwrap()
}

/// Li Na with some fields changed.
fn li_na(change: impl FnOnce(&mut Value)) -> Applicant {
    let mut file: Value = serde_json::from_str(LI_NA).unwrap();
    change(&mut file);
    read(&file)
}

fn decide(set: &str, applicant: &Applicant, at: Date) -> Decision {
    let rules = RuleSets::embedded().unwrap();
    let decision = rules
        .get(set)
        .unwrap()
        .decide(applicant, at, rules.calendar())
        .unwrap();
    // Whatever is decided is explained in both languages: Chinese has no word of English, only ids and days.
    for line in &decision.explanation {
        let chinese = line.chinese();
        let is_han = |sign: char| ('\u{4E00}'..='\u{9FFF}').contains(&sign);
        assert!(chinese.contains(is_han), "{line:?}");
        assert!(
            !chinese.contains(|sign: char| sign.is_ascii_lowercase()),
            "{line:?}"
        );
        assert!(!line.because.is_empty() && !line.because_zh.is_empty());
    }
    decision
}

fn line<'a>(decision: &'a Decision, condition: &str) -> &'a permit_domain::ExplanationLine {
    decision
        .explanation
        .iter()
        .find(|l| l.condition == condition)
        .unwrap()
}

#[test]
fn another_tier_neither_revives_a_permit_that_is_over_nor_gives_it_a_year() {
    let rules = RuleSets::embedded().unwrap();
    let set = rules.get(THREE).unwrap();
    let at = "2026-11-21T02:00:00Z".parse().unwrap();
    let grant = |tier, valid_to| Grant {
        person: PersonId::new(at, [1; 10]),
        application: ApplicationId::new(at, [2; 10]),
        tier,
        rule_set: THREE.to_owned(),
        anchor: TODAY,
        valid_from: TODAY,
        valid_to,
    };
    let graduate = li_na(|file| {
        file["education"] = "20".into();
        for paper in file["evidence"].as_array_mut().unwrap() {
            paper["to"] = "2099-01-01".into();
        }
    });
    let last = date(2027, 11, 22);
    let change = |grant: &Grant, tier, on| set.decide_change(&graduate, tier, grant, on, rules.calendar());
    let employment = grant(Tier::Employment, last);
    // On its last day, within the window of the endorsement, a tier of the same length gives no time.
    let talent = change(&employment, Tier::Talent, last).unwrap();
    assert_eq!((talent.tier, talent.valid_to), (Some(Tier::Talent), Some(last)));
    for over in [date(2027, 11, 23), date(2029, 12, 1)] {
        for tier in [Tier::Talent, Tier::Temp, Tier::Employment] {
            let refused = change(&employment, tier, over).unwrap_err();
            assert_eq!(refused.code(), "LAST_DAY_OVER", "{tier:?} on {over}");
        }
    }
    // A longer one has the end of its own period, counted from the same anchor.
    let temp = grant(Tier::Temp, date(2027, 5, 21));
    let longer = change(&temp, Tier::Employment, date(2027, 3, 1)).unwrap();
    assert_eq!(longer.valid_to, Some(last));
}

#[test]
fn li_na_gets_an_employment_permit_with_every_condition_explained() {
    let d = decide(THREE, &li_na(|_| ()), TODAY);
    assert_eq!(d.tier, Some(Tier::Employment));
    assert_eq!(d.eligible, [Tier::Employment, Tier::Temp]);
    assert!(d.may_apply_settlement);
    assert_eq!(d.valid_from, Some(TODAY));
    // 2027-11-21 is a Sunday.
    assert_eq!(d.valid_to, Some(date(2027, 11, 22)));
    assert!(line(&d, "VALIDITY").because.contains("2027-11-21 is a rest day"));
    assert_eq!(d.issue_by, Some(date(2026, 12, 7)), "15 days end on a Sunday");

    let half_year = line(&d, "HALF_YEAR");
    assert!(half_year.met);
    assert_eq!(half_year.rule_set, THREE);
    assert_eq!(half_year.article, "广东省流动人口服务管理条例(2017) 第十四条");
    assert_eq!(
        half_year.because,
        "registered since 2026-02-10: 6 months were full on 2026-08-10"
    );
    assert_eq!(half_year.because_zh, "2026-02-10 起登记，2026-08-10 满 6 个月");
    assert_eq!(half_year.evidence, ["residence.registered_on"]);
    assert_eq!(line(&d, "WORK").evidence, ["JOB_CONTRACT"]);
    assert!(!line(&d, "TALENT").met && line(&d, "EMPLOYMENT").met);
    assert!(
        line(&d, "TALENT")
            .because
            .contains("not met is (DEGREE or TITLE)")
    );

    let roles: Vec<_> = d.entitlements.iter().map(|e| e.role).collect();
    assert_eq!(roles, Role::ALL);
    let transit = &d.entitlements[0];
    assert_eq!((transit.class, transit.services, transit.zones), (1, 0b11, 0b11));
}

#[test]
fn the_second_sample_is_refused_with_its_reasons() {
    let d = decide(THREE, &read(&serde_json::from_str(REFUSED).unwrap()), TODAY);
    assert_eq!(d.tier, None);
    assert_eq!((d.valid_from, d.valid_to, d.issue_by), (None, None, None));
    assert!(!d.may_apply_settlement && d.entitlements.is_empty());
    assert_eq!(d.eligible, [Tier::Temp], "what could be asked for instead");
    assert_eq!(
        line(&d, "HALF_YEAR").because,
        "registered since 2026-09-20: 6 months are full on 2027-03-20, 119 days after 2026-11-21"
    );
    assert_eq!(
        line(&d, "INSURANCE").because,
        "2 months of social insurance, 6 needed, 4 missing"
    );
    assert!(
        line(&d, "EMPLOYMENT")
            .because
            .contains("not met is HALF_YEAR, (LICENCE or INSURANCE); met is REGISTERED_HERE, AGE_16, WORK")
    );
    assert!(
        line(&d, "EMPLOYMENT")
            .because_zh
            .contains("不满足 HALF_YEAR、(LICENCE 或 INSURANCE)；已满足 REGISTERED_HERE、AGE_16、WORK")
    );
}

#[test]
fn a_refusal_says_what_is_missing_what_is_met_and_what_would_be_granted() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut file: Value = serde_json::from_str(REFUSED).unwrap();
        change(&mut file);
        decide(THREE, &read(&file), TODAY)
    };
    // 36 years old: nobody asks for an agent's paper.
    let d = refused(&|_| ());
    let report = d.refusal().unwrap();
    assert_eq!(report.missing, ["HALF_YEAR", "LICENCE", "INSURANCE"]);
    assert_eq!(report.met, ["REGISTERED_HERE", "AGE_16", "WORK"]);
    assert_eq!(report.best_today, Some(Tier::Temp));
    assert!(d.explanation.iter().all(|line| line.condition != "AGENT"));
    assert!(
        report.words().1.ends_with("would be granted today"),
        "{:?}",
        report.words()
    );

    // Without any dwelling, work or schooling each of them is a way, and the half year is none.
    let d = refused(&|file| {
        file["evidence"] = json!([{ "code": "ID_CARD" }]);
        file["requested_tier"] = Value::Null;
    });
    let report = d.refusal().unwrap();
    assert_eq!(report.best_today, None);
    assert!(
        line(&d, "TEMP")
            .because
            .contains("not met is (DWELLING or WORK or LICENCE or SCHOOL)")
    );
    // 15 years old: of the two ways neither is there, and both are told.
    let d = refused(&|file| {
        file["citizen_number"] = json!("44010620110307101X");
        file["birth_date"] = json!("2011-03-07");
        file["requested_tier"] = json!("TEMP");
    });
    let report = d.refusal().unwrap();
    assert_eq!(
        (report.missing.as_slice(), report.best_today),
        (&["AGE_16", "AGENT"][..], None)
    );
    assert!(line(&d, "TEMP").because.contains("not met is (AGE_16 or AGENT)"));
    // What is granted is no refusal.
    assert_eq!(
        refused(&|file| file["requested_tier"] = json!("TEMP")).refusal(),
        None
    );
}

#[rstest]
#[case(date(2026, 8, 9), Some(Tier::Temp))]
#[case(date(2026, 8, 10), Some(Tier::Employment))]
fn the_half_year_is_full_on_its_corresponding_day(#[case] at: Date, #[case] tier: Option<Tier>) {
    assert_eq!(decide(THREE, &li_na(|_| ()), at).tier, tier);
}

#[rstest]
#[case("2025-08-31", date(2026, 2, 27), false)]
#[case("2025-08-31", date(2026, 2, 28), true)]
#[case("2027-08-30", date(2028, 2, 29), true)]
fn a_half_year_that_ends_in_february_ends_with_the_month(
    #[case] registered: &str,
    #[case] at: Date,
    #[case] met: bool,
) {
    let applicant = li_na(|f| f["residence"]["registered_on"] = json!(registered));
    assert_eq!(line(&decide(NATIONAL, &applicant, at), "HALF_YEAR").met, met);
}

#[rstest]
#[case("20", Value::Null)]
#[case("10", Value::Null)]
#[case("90", json!("TITLE_SENIOR"))]
#[case("90", json!("SKILL_2"))]
fn a_degree_or_a_title_makes_a_talent_without_the_half_year(#[case] education: &str, #[case] title: Value) {
    let applicant = li_na(|f| {
        f["education"] = json!(education);
        f["title"] = title;
        f["residence"]["registered_on"] = json!("2026-11-20");
    });
    let d = decide(THREE, &applicant, TODAY);
    assert_eq!(d.tier, Some(Tier::Talent));
    assert_eq!(d.entitlements[0].class, 2);
}

#[test]
fn a_wish_is_decided_as_asked() {
    let temp = decide(THREE, &li_na(|f| f["requested_tier"] = json!("TEMP")), TODAY);
    assert_eq!(temp.tier, Some(Tier::Temp));
    assert_eq!(temp.valid_to, Some(date(2027, 5, 21)));
    assert!(!temp.may_apply_settlement);
    assert!(
        temp.explanation.iter().all(|l| l.condition != "HALF_YEAR"),
        "only what the tier asks for"
    );

    let talent = decide(THREE, &li_na(|f| f["requested_tier"] = json!("TALENT")), TODAY);
    assert_eq!(
        (talent.tier, talent.eligible),
        (None, vec![Tier::Employment, Tier::Temp])
    );
}

#[test]
fn a_residence_registered_elsewhere_is_decided_there() {
    let d = decide(
        THREE,
        &li_na(|f| f["residence"]["division"] = json!("441900")),
        TODAY,
    );
    assert_eq!(d.tier, None);
    assert!(line(&d, "REGISTERED_HERE").because.contains("apply there"));
}

#[rstest]
#[case("2010-11-22", false, None)]
#[case("2010-11-22", true, Some(Tier::Temp))]
#[case("2010-11-21", false, Some(Tier::Temp))]
fn under_sixteen_a_guardian_files(#[case] born: &str, #[case] agent: bool, #[case] tier: Option<Tier>) {
    let number = if born == "2010-11-22" {
        "440305201011220027"
    } else {
        "440305201011210021"
    };
    let applicant = li_na(|f| {
        f["citizen_number"] = json!(number);
        f["birth_date"] = json!(born);
        f["evidence"] = json!([{ "code": "STUDY_CARD", "from": "2026-09-01", "to": "2027-07-01" }]);
        if agent {
            f["evidence"]
                .as_array_mut()
                .unwrap()
                .push(json!({ "code": "AGENT_ID" }));
        }
    });
    assert_eq!(decide(THREE, &applicant, TODAY).tier, tier);
}

#[rstest]
#[case(json!([]), "none of these was shown: business licence, labour contract, employer's statement, other proof of work")]
#[case(json!([{ "code": "JOB_CONTRACT", "from": "2025-01-01", "to": "2026-11-20" }]),
    "no paper holds on 2026-11-21: labour contract ended on 2026-11-20")]
#[case(json!([{ "code": "JOB_STATEMENT", "from": "2026-11-22" }]),
    "no paper holds on 2026-11-21: employer's statement begins on 2026-11-22")]
fn papers_that_do_not_hold_are_named(#[case] evidence: Value, #[case] because: &str) {
    let d = decide(NATIONAL, &li_na(|f| f["evidence"] = evidence), TODAY);
    assert_eq!(line(&d, "WORK").because, because);
    assert_eq!(d.tier, None);
}

#[rstest]
#[case(json!([{ "code": "ADDR_LODGING" }]), true)]
#[case(json!([{ "code": "STUDY_OTHER", "to": "2026-11-21" }]), true)]
#[case(json!([{ "code": "JOB_OTHER" }]), true)]
#[case(json!([{ "code": "ID_CARD" }]), false)]
fn decree_663_article_2_asks_for_work_or_dwelling_or_schooling(#[case] evidence: Value, #[case] met: bool) {
    let d = decide(NATIONAL, &li_na(|f| f["evidence"] = evidence), TODAY);
    assert_eq!(d.tier.is_some(), met);
    assert!(
        d.explanation
            .iter()
            .all(|l| l.article.starts_with("居住证暂行条例 第"))
    );
}

#[test]
fn sichuan_has_two_tiers_by_length_of_stay_until_2015() {
    let in_chengdu = |registered: &str| {
        li_na(|f| {
            f["residence"]["division"] = json!("510107");
            f["residence"]["registered_on"] = json!(registered);
            f["evidence"] = json!([{ "code": "JOB_LICENCE" }]);
        })
    };
    let at = date(2014, 6, 10);
    assert_eq!(decide(SICHUAN, &in_chengdu("2014-05-11"), at).tier, None);
    assert_eq!(
        decide(SICHUAN, &in_chengdu("2014-05-10"), at).tier,
        Some(Tier::Temp)
    );
    let formal = decide(SICHUAN, &in_chengdu("2013-06-10"), at);
    assert_eq!(
        (formal.tier, formal.valid_to),
        (Some(Tier::Employment), Some(date(2019, 6, 10)))
    );

    let rules = RuleSets::embedded().unwrap();
    let set = rules.get(SICHUAN).unwrap();
    let late = set.decide(&in_chengdu("2013-06-10"), date(2016, 1, 1), rules.calendar());
    assert!(matches!(late, Err(Error::RuleSetNotInForce { .. })));
    let talent = li_na(|f| f["requested_tier"] = json!("TALENT"));
    assert!(matches!(
        set.decide(&talent, at, rules.calendar()),
        Err(Error::TierNotOffered { .. })
    ));
}

#[test]
fn the_set_of_the_smallest_area_in_force_decides() {
    let rules = RuleSets::embedded().unwrap();
    let at = |division: &str, day: Date| {
        rules
            .in_force(&division.parse().unwrap(), day)
            .map(|s| s.id().to_owned())
    };
    assert_eq!(at("440305", TODAY).as_deref(), Some(THREE));
    assert_eq!(at("440305", date(2025, 12, 31)).as_deref(), Some(NATIONAL));
    assert_eq!(at("510107", date(2015, 12, 31)).as_deref(), Some(SICHUAN));
    assert_eq!(at("510107", TODAY).as_deref(), Some(NATIONAL));
    assert_eq!(at("440305", date(2009, 1, 1)), None);
}

#[test]
fn the_issuing_organ_is_that_of_the_district_else_of_the_city() {
    let rules = RuleSets::embedded().unwrap();
    let set = rules.get(THREE).unwrap();
    assert_eq!(
        set.organ(&"440305".parse().unwrap()),
        Some("深圳市公安局南山分局")
    );
    assert_eq!(set.organ(&"440399".parse().unwrap()), Some("深圳市公安局"));
    assert_eq!(set.organ(&"510107".parse().unwrap()), None);
}

#[test]
fn a_decision_reads_back_and_its_report_has_the_keys_of_the_contract() {
    let d = decide(THREE, &li_na(|_| ()), TODAY);
    let again: Decision = serde_json::from_str(&serde_json::to_string(&d).unwrap()).unwrap();
    assert_eq!(again, d);
    assert_eq!(
        d.rule_digest,
        RuleSets::embedded().unwrap().get(THREE).unwrap().digest()
    );

    let report = serde_json::to_value(d.report()).unwrap();
    let mut keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "explanation",
            "may_apply_settlement",
            "tier",
            "valid_from",
            "valid_to"
        ]
    );
    let mut keys: Vec<_> = report["explanation"][0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "article",
            "because",
            "because_zh",
            "condition",
            "evidence",
            "met",
            "rule_set"
        ]
    );
    assert_eq!(report["tier"], "EMPLOYMENT");
    assert_eq!(report["valid_from"], "2026-11-21");
}

#[test]
fn every_condition_has_a_grade_and_the_draft_says_that_it_is_one() {
    let rules = RuleSets::embedded().unwrap();
    assert_eq!(rules.get(THREE).unwrap().grade(), Grade::Recall);
    assert_eq!(rules.get(NATIONAL).unwrap().grade(), Grade::Law);
    let conditions = rules.get(NATIONAL).unwrap().conditions();
    assert!(conditions.iter().all(|c| c.grade == Grade::Law));
}

/// The national set with one text replaced.
fn changed(from: &str, to: &str) -> Result<RuleSet, Error> {
    let rules = RuleSets::embedded().unwrap();
    let text = rules.get(NATIONAL).unwrap().text();
    assert!(text.contains(from), "{from}");
    RuleSet::parse("changed.toml", &text.replacen(from, to, 1))
}

#[rstest]
#[case::unknown_key("grade = \"L\"", "grade = \"L\"\nsecret_score = 3", "secret_score")]
#[case::unknown_key_in_condition("zh = \"有合法稳定就业\"", "zh = \"x\"\nweight = 2", "weight")]
#[case::unknown_grade("grade = \"L\"", "grade = \"X\"", "X")]
#[case::unknown_combination(
    "{ any = [\"AGE_16\", \"AGENT\"] }",
    "{ some = [\"AGE_16\"] }",
    "condition id"
)]
#[case::no_date(
    "effective_from = \"2016-01-01\"",
    "effective_from = \"2016-02-30\"",
    "effective_from"
)]
#[case::no_toml("id = ", "id : ", "")]
fn a_text_that_is_no_rule_set_is_unreadable(#[case] from: &str, #[case] to: &str, #[case] names: &str) {
    match changed(from, to) {
        Err(Error::RuleSetUnreadable { name, problem }) => {
            assert_eq!(name, "changed.toml");
            assert!(problem.contains(names), "{problem}");
        }
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case::late(
    "issue_within = { days = 15 }",
    "issue_within = { days = 16 }",
    "article 9 allows 1 to 15"
)]
#[case::months(
    "issue_within = { days = 15 }",
    "issue_within = { months = 1 }",
    "number of days"
)]
#[case::fee("first = 0", "first = 500", "article 21")]
#[case::endorsement_fee("endorse = 0", "endorse = 1", "article 21")]
#[case::dates("issue_within", "effective_to = \"2015-01-01\"\nissue_within", "effective_to")]
#[case::points("by_points = false", "by_points = true", "article 16")]
#[case::insurance("insurance_years = 0", "insurance_years = 1", "article 16")]
#[case::big_city("city_size = \"up_to500_k\"", "city_size = \"over5_m\"", "article 16")]
#[case::unknown_condition(
    "require = { all = [\"HALF_YEAR\"",
    "require = { all = [\"HALF_YEARS\"",
    "HALF_YEARS"
)]
#[case::unused(
    "require = { all = [\"HALF_YEAR\", ",
    "require = { all = [",
    "no tier requires"
)]
#[case::twice("id = \"DWELLING\"", "id = \"WORK\"", "two conditions")]
#[case::empty_any("{ any = [\"AGE_16\", \"AGENT\"] }", "{ any = [] }", "empty `any`")]
#[case::too_many(
    "{ any = [\"AGE_16\", \"AGENT\"] }",
    "{ at_least = 3, of = [\"AGE_16\", \"AGENT\"] }",
    "at_least"
)]
#[case::no_instrument("instrument = \"D663\"", "instrument = \"D664\"", "unknown instrument")]
#[case::no_time("validity = { years = 1 }", "validity = { years = 0 }", "no time")]
#[case::no_service("\"SVC_HEALTH\"]", "\"SVC_WEALTH\"]", "SVC_WEALTH")]
#[case::bit("bit = 1", "bit = 0", "bit 0")]
#[case::high_bit("bit = 1", "bit = 64", "bit 64")]
#[case::id("id = \"100000-decree-663-2016\"", "id = \"Decree 663\"", "id has")]
#[case::no_codes(
    "test = { evidence_in_force = [\"AGENT_ID\"] }",
    "test = { evidence_in_force = [] }",
    "no code"
)]
fn a_rule_set_that_contradicts_itself_or_the_decree_is_refused(
    #[case] from: &str,
    #[case] to: &str,
    #[case] names: &str,
) {
    match changed(from, to) {
        Err(Error::RuleSetInvalid { problem, .. }) => assert!(problem.contains(names), "{problem}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_remote_area_may_take_thirty_days() {
    let to = "issue_within = { days = 30 }\nremote_area = true";
    assert!(changed("issue_within = { days = 15 }", to).is_ok());
}

#[test]
fn at_least_and_not_are_understood() {
    let to = "{ at_least = 2, of = [\"WORK\", \"DWELLING\", \"SCHOOL\"] }, { not = { not = { any = [\"AGE_16\", \"AGENT\"] } } }";
    let set = changed(
        "{ any = [\"WORK\", \"DWELLING\", \"SCHOOL\"] }, { any = [\"AGE_16\", \"AGENT\"] }",
        to,
    )
    .unwrap();
    let rules = RuleSets::embedded().unwrap();
    let two = set.decide(&li_na(|_| ()), TODAY, rules.calendar()).unwrap();
    assert_eq!(two.tier, Some(Tier::Employment));
    let one = li_na(|f| f["evidence"] = json!([{ "code": "ADDR_LEASE" }]));
    let one = set.decide(&one, TODAY, rules.calendar()).unwrap();
    assert_eq!(one.tier, None);
    assert!(
        line(&one, "EMPLOYMENT")
            .because
            .contains("not met is (1 more of WORK, SCHOOL); met is ")
    );
}

#[test]
fn two_texts_under_one_id_are_refused() {
    let mut rules = RuleSets::embedded().unwrap();
    let text = rules.get(NATIONAL).unwrap().text().to_owned();
    rules.add(RuleSet::parse("again", &text).unwrap()).unwrap();
    let edited = RuleSet::parse("edited", &format!("{text}\n# a word\n")).unwrap();
    let now = edited.digest();
    assert_eq!(now, Digest::of(format!("{text}\n# a word\n").as_bytes()));
    assert!(matches!(rules.add(edited), Err(Error::RuleSetEdited { now: d, .. }) if d == now));
    assert!(matches!(rules.get("none"), Err(Error::RuleSetUnknown { .. })));
}

#[test]
fn the_folder_of_rules_ships_whole() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let mut files = 0;
    let rules = RuleSets::embedded().unwrap();
    for jurisdiction in std::fs::read_dir(folder).unwrap() {
        let jurisdiction = jurisdiction.unwrap();
        let name = jurisdiction.file_name();
        // The folders of this crate that are no jurisdiction, and its files, begin with a letter.
        if !name.to_str().unwrap().starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        for file in std::fs::read_dir(jurisdiction.path()).unwrap() {
            let path = file.unwrap().path();
            let id = path.file_stem().unwrap().to_str().unwrap();
            let (text, place) = if id.contains("-purse-") {
                let set = rules.purse_rules(id).unwrap();
                (set.text(), set.jurisdiction())
            } else {
                let set = rules.get(id).unwrap();
                (set.text(), set.jurisdiction())
            };
            assert_eq!(text, std::fs::read_to_string(&path).unwrap());
            assert_eq!(place.as_str(), jurisdiction.file_name().to_str().unwrap());
            files += 1;
        }
    }
    assert_eq!(files, rules.iter().count() + rules.purses().count());
}

#[test]
fn a_lower_case_x_and_blanks_around_a_value_are_taken() {
    let mut form = ApplicantForm::from_json(LI_NA).unwrap();
    form.citizen_number = Raw::from(" 11010519491231002x ");
    form.birth_date = Raw::from("1949-12-31");
    let applicant = form.into_applicant(TODAY).unwrap();
    assert_eq!(applicant.citizen_number.as_str(), "11010519491231002X");
}

#[test]
fn every_error_of_a_form_is_told_at_once() {
    let file = json!({
        "citizen_number": "130402198207290622", "name": "", "sex": "3", "nation": "57", "birth_date": "1982-02-30",
        "hukou_address": "x", "residence": { "address": "", "division": "999999", "registered_on": "2027-01-01" },
        "evidence": [{ "code": "NONE" }, { "code": "ID_CARD", "from": "2026-01-02", "to": "2026-01-01" }],
        "insurance_months": -1, "education": "21", "title": "king", "requested_tier": "GOLD",
    });
    let errors = ApplicantForm::from_json(&file.to_string())
        .unwrap()
        .into_applicant(TODAY)
        .unwrap_err();
    let found: Vec<_> = errors
        .fields()
        .iter()
        .map(|e| (e.field.as_str(), e.code))
        .collect();
    assert_eq!(
        found,
        [
            ("citizen_number", "CITIZEN_NUMBER_CHECK"),
            ("name", "MISSING"),
            ("sex", "UNKNOWN_CODE"),
            ("nation", "UNKNOWN_CODE"),
            ("birth_date", "DATE"),
            ("hukou_address", "ADDRESS"),
            ("residence.address", "MISSING"),
            ("residence.division", "DIVISION"),
            ("residence.registered_on", "IN_FUTURE"),
            ("evidence[0].code", "UNKNOWN_CODE"),
            ("evidence[1].to", "REVERSED"),
            ("insurance_months", "OUT_OF_RANGE"),
            ("education", "UNKNOWN_CODE"),
            ("title", "UNKNOWN_CODE"),
            ("requested_tier", "UNKNOWN_CODE"),
        ]
    );
    assert!(
        errors
            .fields()
            .iter()
            .all(|e| !e.action.is_empty() && !errors.is_format())
    );
}

#[rstest]
#[case("birth_date", json!("1985-11-13"))]
#[case("sex", json!("1"))]
fn what_disagrees_with_the_citizen_number_is_told(#[case] field: &str, #[case] value: Value) {
    let mut file: Value = serde_json::from_str(LI_NA).unwrap();
    file[field] = value;
    let errors = ApplicantForm::from_json(&file.to_string())
        .unwrap()
        .into_applicant(TODAY)
        .unwrap_err();
    assert_eq!(
        (errors.fields()[0].field.as_str(), errors.fields()[0].code),
        (field, "DISAGREES")
    );
}

#[rstest]
#[case("", "$", "NOT_JSON")]
#[case("[]", "$", "SHAPE")]
#[case(r#"{"residence":["a","440305","2026-01-01"]}"#, "residence", "SHAPE")]
#[case(r#"{"evidence":[["ID_CARD",null,null]]}"#, "evidence[0]", "SHAPE")]
#[case(r#"{"name":"李","name":"王"}"#, "$", "SHAPE")]
#[case(r#"{"name":{}}"#, "name", "SHAPE")]
#[case(r#"{"insurance_months":1.5}"#, "insurance_months", "SHAPE")]
#[case(r#"{"evidence":{}}"#, "evidence", "SHAPE")]
#[case(r#"{"evidence":[1]}"#, "evidence[0]", "SHAPE")]
#[case(r#"{"evidence":[{"kind":"x"}]}"#, "evidence[0].kind", "UNKNOWN_KEY")]
#[case(r#"{"residence":"x"}"#, "residence", "SHAPE")]
fn a_file_of_another_format_is_told_apart_from_wrong_values(
    #[case] text: &str,
    #[case] field: &str,
    #[case] code: &str,
) {
    let errors = ApplicantForm::from_json(text).unwrap_err();
    assert!(errors.is_format());
    assert_eq!(
        (errors.fields()[0].field.as_str(), errors.fields()[0].code),
        (field, code)
    );
}

#[test]
fn a_period_is_written_as_the_law_does() {
    assert_eq!(Period::Months(1).words(), "1 month");
    assert_eq!(Period::Days(183).words(), "183 days");
}

#[test]
fn every_tier_that_grants_small_payment_has_purse_limits_where_it_is_in_force() {
    let rules = RuleSets::embedded().unwrap();
    for set in rules.iter() {
        for tier in set.tiers() {
            if tier
                .entitlements
                .iter()
                .all(|e| e.role != permit_domain::Role::SmallPayment)
            {
                continue;
            }
            let purse = rules
                .purse_in_force(set.jurisdiction(), TODAY)
                .unwrap_or_else(|| panic!("{} has no purse rules", set.id()));
            assert!(purse.limits(tier.tier).is_some(), "{} {}", set.id(), tier.tier);
        }
    }
}

#[test]
fn two_texts_of_purse_rules_under_one_id_are_refused() {
    let mut rules = RuleSets::embedded().unwrap();
    let text = rules.purse_rules("440300-purse-2026").unwrap().text().to_owned();
    let same = permit_rules::PurseRules::parse("again", &text).unwrap();
    rules.add_purse(same).unwrap();
    let edited = permit_rules::PurseRules::parse("edited", &format!("{text}\n# a word\n")).unwrap();
    assert_eq!(rules.add_purse(edited).unwrap_err().code(), "RULE_SET_EDITED");
}
