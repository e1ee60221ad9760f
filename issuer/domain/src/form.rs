//! The applicant file as typed: raw strings, and one conversion that collects the error of every field.
//!
//! The format is that of `docs/applicant.schema.json`. A key that the format does not have is refused: what the system
//! has no field for, it does not take. No error repeats a value.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::applicant::{Applicant, Evidence, Registration, Validity};
use crate::codes::{Division, Sex, Title, read_tier};
use crate::error::Error;
use crate::{printable, words};

/// A value as typed: text or a whole number; missing, `null` and blank text are nothing. `Debug` hides it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Raw(Option<String>);

impl Raw {
    /// The text without the blanks around it.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref().map(str::trim).filter(|t| !t.is_empty())
    }
}

impl<T: fmt::Display> From<T> for Raw {
    fn from(value: T) -> Self {
        Self(Some(value.to_string()))
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Raw(..)"
        } else {
            "Raw(nothing)"
        })
    }
}

impl Serialize for Raw {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a whole number")
            }

            fn visit_str<E>(self, v: &str) -> Result<Raw, E> {
                Ok(Raw(Some(v.to_owned())))
            }

            fn visit_u64<E>(self, v: u64) -> Result<Raw, E> {
                Ok(Raw::from(v))
            }

            fn visit_i64<E>(self, v: i64) -> Result<Raw, E> {
                Ok(Raw::from(v))
            }

            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw(None))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// The applicant file, schema `docs/applicant.schema.json`. Every field is raw; see [`Self::into_applicant`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApplicantForm {
    /// 18 characters, GB 11643.
    pub citizen_number: Raw,
    /// As on the identity card.
    pub name: Raw,
    /// GB/T 2261.1: code or word.
    pub sex: Raw,
    /// GB/T 3304: code or name.
    pub nation: Raw,
    /// YYYY-MM-DD.
    pub birth_date: Raw,
    /// The place of permanent registration.
    pub hukou_address: Raw,
    /// The residence.
    pub residence: ResidenceForm,
    /// The papers.
    pub evidence: Vec<EvidenceForm>,
    /// Whole months.
    pub insurance_months: Raw,
    /// GB/T 4658: code or word.
    pub education: Raw,
    /// Title or skill level; nothing means none.
    pub title: Raw,
    /// TEMP, EMPLOYMENT or TALENT; nothing asks for the highest possible.
    pub requested_tier: Raw,
}

/// The residence as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResidenceForm {
    /// As printed.
    pub address: Raw,
    /// Six digits, GB/T 2260.
    pub division: Raw,
    /// YYYY-MM-DD.
    pub registered_on: Raw,
}

/// A paper as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvidenceForm {
    /// A code of Decree 663 article 9.
    pub code: Raw,
    /// YYYY-MM-DD; nothing means always.
    pub from: Raw,
    /// YYYY-MM-DD; nothing means open.
    pub to: Raw,
}

/// Code of a file that begins with a byte-order mark.
const BYTE_ORDER_MARK: &str = "BYTE_ORDER_MARK";
/// Code of a file that is not in UTF-8.
const ENCODING: &str = "ENCODING";

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The path of the field, for example `residence.registered_on` or `evidence[2].to`; `$` for the whole file.
    pub field: String,
    /// `MISSING`, `UNKNOWN_KEY`, `SHAPE`, `NOT_JSON`, `BYTE_ORDER_MARK`, `ENCODING`, `DISAGREES`, `IN_FUTURE`,
    /// `OUT_OF_RANGE`, a code of [`Error::code`], or why it cannot be printed (`MISSING_GLYPH`, `TEXT_OVERFLOW`).
    pub code: &'static str,
    /// What is wrong, without the value.
    pub what: String,
    /// What to do.
    pub action: String,
    /// Both in Chinese.
    #[serde(skip)]
    chinese: (String, String),
}

impl FieldError {
    /// What is wrong with a field and what to do, in English and in Chinese.
    #[must_use]
    pub fn new(
        field: impl Into<String>,
        code: &'static str,
        (what, action): (impl Into<String>, &str),
        (what_zh, action_zh): (impl Into<String>, &str),
    ) -> Self {
        Self {
            field: field.into(),
            code,
            what: what.into(),
            action: action.to_owned(),
            chinese: (what_zh.into(), action_zh.to_owned()),
        }
    }

    /// As [`Self::new`], with the Chinese of its code.
    fn of_code(field: impl Into<String>, code: &'static str, what: impl Into<String>, action: &str) -> Self {
        Self::new(field, code, (what, action), words::of_field(code))
    }

    /// As [`Self::of_code`], where Chinese says more of what is wrong than the code.
    fn in_detail(
        field: impl Into<String>,
        code: &'static str,
        (what, what_zh): (impl Into<String>, impl Into<String>),
        action: &str,
    ) -> Self {
        Self::new(field, code, (what, action), (what_zh, words::of_field(code).1))
    }
}

/// Every error of a form, at least one, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FormErrors(Vec<FieldError>);

impl FormErrors {
    /// Errors that were found elsewhere than in the form; `None` for none.
    #[must_use]
    pub fn found(errors: Vec<FieldError>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// The errors.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.0
    }

    /// Whether the file itself is of another format (another encoding, not JSON, unknown keys, wrong shapes): a fault of
    /// usage, where the others are faults of what was typed.
    #[must_use]
    pub fn is_format(&self) -> bool {
        self.0.iter().any(|e| {
            matches!(
                e.code,
                "UNKNOWN_KEY" | "SHAPE" | "NOT_JSON" | BYTE_ORDER_MARK | ENCODING
            )
        })
    }
}

impl FormErrors {
    /// The same errors with their texts in Chinese.
    #[must_use]
    pub fn in_chinese(&self) -> Vec<FieldError> {
        let told = |error: &FieldError| {
            let (what, action) = error.chinese.clone();
            FieldError {
                what,
                action,
                ..error.clone()
            }
        };
        self.0.iter().map(told).collect()
    }

    /// The fields and what is wrong with each, in Chinese; in English they show themselves.
    #[must_use]
    pub fn chinese(&self) -> String {
        let fields: Vec<_> = self
            .0
            .iter()
            .map(|error| match &error.chinese {
                // Of the file as a whole nothing else says what to do.
                (what, action) if error.field == "$" => format!("{what}；{}", action.trim_end_matches('。')),
                (what, _) => format!("{}：{what}", error.field),
            })
            .collect();
        fields.join("；")
    }
}

impl fmt::Display for FormErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, e) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            if e.field == "$" {
                write!(f, "{}; {}", e.what, e.action.trim_end_matches('.'))?;
            } else {
                write!(f, "{}: {}", e.field, e.what)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for FormErrors {}

impl ApplicantForm {
    /// The keys of the file.
    pub const KEYS: [&'static str; 12] = [
        "citizen_number",
        "name",
        "sex",
        "nation",
        "birth_date",
        "hukou_address",
        "residence",
        "evidence",
        "insurance_months",
        "education",
        "title",
        "requested_tier",
    ];
    /// The keys of `residence`.
    pub const RESIDENCE_KEYS: [&'static str; 3] = ["address", "division", "registered_on"];
    /// The keys of each entry of `evidence`.
    pub const EVIDENCE_KEYS: [&'static str; 3] = ["code", "from", "to"];

    /// Reads the file as it lies on the disk or comes over the wire: what it may be is what `docs/applicant.schema.json` says.
    ///
    /// # Errors
    /// `SHAPE` for a number where text belongs, or text where a number does; `ENCODING` and `BYTE_ORDER_MARK`, with the encoding that it seems to have; those of [`Self::from_json`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormErrors> {
        match (foreign(bytes), std::str::from_utf8(bytes)) {
            (None, Ok(text)) => Self::read(text, Values::AsHandedIn),
            (name, _) => {
                let (chinese, english) = name.unwrap_or(("不知是何编码", "its encoding is not known"));
                Err(FormErrors(vec![FieldError::in_detail(
                    "$",
                    ENCODING,
                    (
                        format!("the file is not in UTF-8: {english}"),
                        format!("文件不是 UTF-8 编码：{chinese}"),
                    ),
                    SAVE,
                )]))
            }
        }
    }

    /// Reads the file, UTF-8 JSON, also as a case keeps it: every value as text.
    ///
    /// # Errors
    /// Every unknown key and every value of a wrong shape, by its path; never a value.
    pub fn from_json(text: &str) -> Result<Self, FormErrors> {
        Self::read(text, Values::AsKept)
    }

    fn read(text: &str, values: Values) -> Result<Self, FormErrors> {
        // The walk first: serde would take a list for an object, stops at the first fault, and repeats values.
        let found = faults(text, values);
        if !found.is_empty() {
            return Err(FormErrors(found));
        }
        // What is left to refuse: a key that stands twice.
        serde_json::from_str(text).map_err(|error| {
            let line = error.line();
            FormErrors(vec![FieldError::new(
                "$",
                "SHAPE",
                (
                    format!("a key stands twice, near line {line}"),
                    "Keep one of the two.",
                ),
                (format!("第 {line} 行附近有重复的键"), "请保留其中一个。"),
            )])
        })
    }

    /// Parses every field of a file that is handed in now, and compares those that repeat each other. `today` bounds the
    /// dates that cannot lie in the future. No value holds a character that nobody sees, or one of private use.
    ///
    /// # Errors
    /// The errors of all fields at once (Decree 663 article 9: everything missing is told at once).
    pub fn into_applicant(self, today: Date) -> Result<Applicant, FormErrors> {
        let mut errors = Vec::new();
        for (field, raw) in self.leaves() {
            if let Err(error) = raw.text().map_or(Ok(()), printable::check) {
                wrong(&mut errors, &field, &error);
            }
        }
        let places: Vec<String> = self.leaves().into_iter().map(|(field, _)| field).collect();
        match self.into_filed(today) {
            Ok(applicant) if errors.is_empty() => return Ok(applicant),
            Ok(_) => {}
            // Of a value that cannot be seen nothing else is said.
            Err(FormErrors(others)) => {
                let unseen: Vec<String> = errors.iter().map(|e| e.field.clone()).collect();
                errors.extend(others.into_iter().filter(|e| !unseen.contains(&e.field)));
            }
        }
        errors.sort_by_key(|e| places.iter().position(|place| *place == e.field));
        Err(FormErrors(errors))
    }

    /// Parses a file that was filed on this day, whatever is asked of files since: what is on file stays readable.
    ///
    /// # Errors
    /// The errors of all fields at once.
    pub fn into_filed(self, today: Date) -> Result<Applicant, FormErrors> {
        let mut errors = Vec::new();
        let e = &mut errors;

        // A final x is the same character typed in lower case.
        let number = self.citizen_number.text().map(str::to_ascii_uppercase);
        let citizen_number = parse(e, "citizen_number", number.as_deref());
        let name = parse(e, "name", self.name.text());
        let sex = parse(e, "sex", self.sex.text());
        let nation = parse(e, "nation", self.nation.text());
        let birth_date = past(e, "birth_date", self.birth_date.text(), today);
        let hukou_address = parse(e, "hukou_address", self.hukou_address.text());
        let address = parse(e, "residence.address", self.residence.address.text());
        let division: Option<Division> = parse(e, "residence.division", self.residence.division.text());
        let registered_on = past(
            e,
            "residence.registered_on",
            self.residence.registered_on.text(),
            today,
        );
        let evidence: Vec<_> = self
            .evidence
            .iter()
            .enumerate()
            .map(|(i, form)| paper(e, i, form))
            .collect();
        let insurance_months = months(e, "insurance_months", self.insurance_months.text());
        let education = parse(e, "education", self.education.text());
        let title = match self.title.text() {
            None => Some(Title::None),
            some => parse(e, "title", some),
        };
        let requested_tier = match self.requested_tier.text() {
            None => Some(None),
            Some(text) => read_tier(text)
                .map_err(|error| wrong(e, "requested_tier", &error))
                .ok()
                .map(Some),
        };

        agree(e, citizen_number.as_ref(), birth_date, sex);
        if let (Some(born), Some(registered)) = (birth_date, registered_on)
            && registered < born
        {
            e.push(FieldError::in_detail(
                "residence.registered_on",
                "DISAGREES",
                (
                    "the residence was registered before the birth date",
                    "居住登记日期早于出生日期",
                ),
                "Correct the date that is wrong.",
            ));
        }

        let all = (|| {
            Some(Applicant {
                citizen_number: citizen_number?,
                name: name?,
                sex: sex?,
                nation: nation?,
                birth_date: birth_date?,
                hukou_address: hukou_address?,
                residence: Registration {
                    address: address?,
                    division: division?,
                    registered_on: registered_on?,
                },
                evidence: evidence.into_iter().collect::<Option<_>>()?,
                insurance_months: insurance_months?,
                education: education?,
                title: title?,
                requested_tier: requested_tier?,
            })
        })();
        match all {
            Some(applicant) if errors.is_empty() => Ok(applicant),
            _ => Err(FormErrors(errors)),
        }
    }
}

impl ApplicantForm {
    /// Every value with its path, in the order of the file.
    fn leaves(&self) -> Vec<(String, &Raw)> {
        let ResidenceForm {
            address,
            division,
            registered_on,
        } = &self.residence;
        let mut leaves = vec![
            ("citizen_number".to_owned(), &self.citizen_number),
            ("name".to_owned(), &self.name),
            ("sex".to_owned(), &self.sex),
            ("nation".to_owned(), &self.nation),
            ("birth_date".to_owned(), &self.birth_date),
            ("hukou_address".to_owned(), &self.hukou_address),
            ("residence.address".to_owned(), address),
            ("residence.division".to_owned(), division),
            ("residence.registered_on".to_owned(), registered_on),
        ];
        for (i, paper) in self.evidence.iter().enumerate() {
            let EvidenceForm { code, from, to } = paper;
            for (key, value) in [("code", code), ("from", from), ("to", to)] {
                leaves.push((format!("evidence[{i}].{key}"), value));
            }
        }
        leaves.extend([
            ("insurance_months".to_owned(), &self.insurance_months),
            ("education".to_owned(), &self.education),
            ("title".to_owned(), &self.title),
            ("requested_tier".to_owned(), &self.requested_tier),
        ]);
        leaves
    }
}

impl From<&Applicant> for ApplicantForm {
    /// The file that reads back to this applicant: the frozen snapshot of a case.
    fn from(a: &Applicant) -> Self {
        let date = |d: Option<Date>| d.map_or_else(Raw::default, Raw::from);
        Self {
            citizen_number: Raw::from(&a.citizen_number),
            name: Raw::from(&a.name),
            sex: Raw::from(a.sex),
            nation: Raw::from(a.nation),
            birth_date: Raw::from(a.birth_date),
            hukou_address: Raw::from(&a.hukou_address),
            residence: ResidenceForm {
                address: Raw::from(&a.residence.address),
                division: Raw::from(&a.residence.division),
                registered_on: Raw::from(a.residence.registered_on),
            },
            evidence: a
                .evidence
                .iter()
                .map(|e| EvidenceForm {
                    code: Raw::from(e.code),
                    from: date(e.validity.from()),
                    to: date(e.validity.to()),
                })
                .collect(),
            insurance_months: Raw::from(a.insurance_months),
            education: Raw::from(a.education),
            title: Raw::from(a.title),
            requested_tier: a.requested_tier.map_or_else(Raw::default, Raw::from),
        }
    }
}

fn missing(errors: &mut Vec<FieldError>, field: &str) {
    errors.push(FieldError::of_code(
        field,
        "MISSING",
        "this field is missing",
        "Fill it in.",
    ));
}

fn wrong(errors: &mut Vec<FieldError>, field: &str, error: &Error) {
    let (what, what_zh) = match error {
        // The code alone does not say which character, and where.
        Error::HiddenCharacter { .. } | Error::PrivateCharacter { .. } | Error::NameCharacter { .. } => {
            (error.to_string(), error.chinese())
        }
        _ => {
            let (what_zh, action_zh) = words::of_field(error.code());
            (error.to_string(), (what_zh.to_owned(), action_zh))
        }
    };
    errors.push(FieldError::new(
        field,
        error.code(),
        (what, error.action()),
        what_zh,
    ));
}

fn parse<T: FromStr<Err = Error>>(
    errors: &mut Vec<FieldError>,
    field: &str,
    text: Option<&str>,
) -> Option<T> {
    let Some(text) = text else {
        missing(errors, field);
        return None;
    };
    text.parse().map_err(|error| wrong(errors, field, &error)).ok()
}

/// Exactly YYYY-MM-DD: the parser of the library also reads times, offsets and years of six digits.
fn date(text: &str) -> Result<Date, Error> {
    if text.len() == 10 {
        text.parse().map_err(|_| Error::Date)
    } else {
        Err(Error::Date)
    }
}

fn past(errors: &mut Vec<FieldError>, field: &str, text: Option<&str>, today: Date) -> Option<Date> {
    let Some(text) = text else {
        missing(errors, field);
        return None;
    };
    match date(text) {
        Ok(day) if day > today => {
            errors.push(FieldError::of_code(
                field,
                "IN_FUTURE",
                "this date lies in the future",
                "Correct the date, or the clock of this computer.",
            ));
            None
        }
        Ok(day) => Some(day),
        Err(error) => {
            wrong(errors, field, &error);
            None
        }
    }
}

fn months(errors: &mut Vec<FieldError>, field: &str, text: Option<&str>) -> Option<u16> {
    // 60 years of work: more is a slip of the finger.
    const MOST: u16 = 720;
    let Some(text) = text else {
        missing(errors, field);
        return None;
    };
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(n) if digits && n <= MOST => Some(n),
        _ => {
            errors.push(FieldError::new(
                field,
                "OUT_OF_RANGE",
                (
                    format!("this is a whole number of months, 0 to {MOST}"),
                    "Take the number from the statement of the social insurance.",
                ),
                (format!("应为 0 至 {MOST} 的整月数"), "请按社会保险参保证明填写。"),
            ));
            None
        }
    }
}

fn paper(errors: &mut Vec<FieldError>, i: usize, form: &EvidenceForm) -> Option<Evidence> {
    let code = parse(errors, &format!("evidence[{i}].code"), form.code.text());
    let mut day = |name: &str, raw: &Raw| match raw.text().map(date) {
        None => Some(None),
        Some(Ok(day)) => Some(Some(day)),
        Some(Err(error)) => {
            wrong(errors, &format!("evidence[{i}].{name}"), &error);
            None
        }
    };
    let from = day("from", &form.from);
    let to = day("to", &form.to);
    match Validity::new(from?, to?) {
        Ok(validity) => Some(Evidence {
            code: code?,
            validity,
        }),
        Err(error) => {
            wrong(errors, &format!("evidence[{i}].to"), &error);
            None
        }
    }
}

/// The citizen number repeats birth date and sex.
fn agree(
    errors: &mut Vec<FieldError>,
    number: Option<&crate::citizen::CitizenNumber>,
    birth_date: Option<Date>,
    sex: Option<Sex>,
) {
    let Some(number) = number else { return };
    let mut disagrees = |field: &str, what: &str, what_zh: &str| {
        errors.push(FieldError::new(
            field,
            "DISAGREES",
            (
                format!("{what} is not the one in the citizen number"),
                "Compare both with the identity card.",
            ),
            (
                format!("{what_zh}与公民身份号码不符"),
                "请将两者与居民身份证核对。",
            ),
        ));
    };
    if birth_date.is_some_and(|d| d != number.birth_date()) {
        disagrees("birth_date", "the birth date", "出生日期");
    }
    if let Some(sex @ (Sex::Male | Sex::Female)) = sex
        && sex != number.sex()
    {
        disagrees("sex", "the sex", "性别");
    }
}

/// How to save the file.
const SAVE: &str =
    "Save the file as UTF-8 without a byte-order mark (BOM): many editors offer both in \"Save as\".";

/// The encoding that bytes seem to have, where it is not UTF-8, in Chinese and in English.
fn foreign(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    match bytes {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Some(("是 UTF-32", "it is UTF-32")),
        // With its mark, or a brace of JSON in two bytes.
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [b'{', 0, ..] | [0, b'{', ..] => {
            Some(("是 UTF-16", "it is UTF-16"))
        }
        _ if std::str::from_utf8(bytes).is_ok() => None,
        _ if is_gb18030(bytes) => Some((
            "疑为 GB 18030（GBK、“ANSI”）",
            "it looks like GB 18030 (GBK, \"ANSI\")",
        )),
        _ => None,
    }
}

/// Whether bytes have the form of GB 18030: one byte below 80, two of 81 to FE and 40 to FE, or four.
fn is_gb18030(mut bytes: &[u8]) -> bool {
    loop {
        bytes = match bytes {
            [] => return true,
            [0..=0x7F, rest @ ..]
            | [0x81..=0xFE, 0x40..=0x7E | 0x80..=0xFE, rest @ ..]
            | [0x81..=0xFE, b'0'..=b'9', 0x81..=0xFE, b'0'..=b'9', rest @ ..] => rest,
            _ => return false,
        };
    }
}

/// What the values of a file may be.
#[derive(Clone, Copy)]
enum Values {
    /// Text, and a number for the months, as the schema says.
    AsHandedIn,
    /// Text or numbers.
    AsKept,
}

const AN_OBJECT: (&str, &str) = ("an object", "对象");

/// What is wrong with the format of the text, by paths and without values.
fn faults(text: &str, values: Values) -> Vec<FieldError> {
    if text.starts_with('\u{FEFF}') {
        return vec![FieldError::in_detail(
            "$",
            BYTE_ORDER_MARK,
            (
                "the file begins with a byte-order mark",
                "文件以字节顺序标记（BOM）开头",
            ),
            SAVE,
        )];
    }
    if text.trim().is_empty() {
        return vec![FieldError::new(
            "$",
            "NOT_JSON",
            ("the file is empty", "Write the applicant's facts into it."),
            ("文件是空的", "请写入申请人的各项信息。"),
        )];
    }
    let file = match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(file)) => file,
        Ok(_) => return vec![shape("$".to_owned(), AN_OBJECT)],
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            return vec![FieldError::in_detail(
                "$",
                "NOT_JSON",
                (
                    format!("the file is no JSON: line {line}, column {column}"),
                    format!("文件不是 JSON：第 {line} 行第 {column} 列"),
                ),
                "Save the file as UTF-8 JSON.",
            )];
        }
    };
    let mut found = Vec::new();
    for (key, value) in &file {
        match key.as_str() {
            "residence" => object(
                &mut found,
                "residence",
                value,
                &ApplicantForm::RESIDENCE_KEYS,
                values,
            ),
            "evidence" => match value.as_array() {
                Some(papers) => {
                    for (i, paper) in papers.iter().enumerate() {
                        object(
                            &mut found,
                            &format!("evidence[{i}]"),
                            paper,
                            &ApplicantForm::EVIDENCE_KEYS,
                            values,
                        );
                    }
                }
                None => found.push(shape("evidence".to_owned(), ("a list", "列表"))),
            },
            key => leaf(
                &mut found,
                key.to_owned(),
                key,
                value,
                &ApplicantForm::KEYS,
                values,
            ),
        }
    }
    found
}

fn object(found: &mut Vec<FieldError>, path: &str, value: &serde_json::Value, keys: &[&str], values: Values) {
    match value.as_object() {
        Some(object) => {
            for (key, value) in object {
                leaf(found, format!("{path}.{key}"), key, value, keys, values);
            }
        }
        None => found.push(shape(path.to_owned(), AN_OBJECT)),
    }
}

fn leaf(
    found: &mut Vec<FieldError>,
    path: String,
    key: &str,
    value: &serde_json::Value,
    keys: &[&str],
    values: Values,
) {
    if !keys.contains(&key) {
        found.push(FieldError::of_code(
            path,
            "UNKNOWN_KEY",
            "the applicant file has no such key",
            "Take it out; docs/applicant.schema.json lists the keys.",
        ));
        return;
    }
    let is_whole = value.is_i64() || value.is_u64();
    let (fits, expected) = match (values, key) {
        (Values::AsKept, _) => (
            value.is_string() || is_whole,
            ("text or a whole number", "文本或整数"),
        ),
        (Values::AsHandedIn, "insurance_months") => (
            is_whole,
            ("a whole number, without quotation marks", "整数，不加引号"),
        ),
        (Values::AsHandedIn, _) => (value.is_string(), ("text, in quotation marks", "文本，加引号")),
    };
    if !fits && !value.is_null() {
        found.push(shape(path, expected));
    }
}

fn shape(field: String, (expected, expected_zh): (&str, &str)) -> FieldError {
    FieldError::in_detail(
        field,
        "SHAPE",
        (
            format!("here belongs {expected}"),
            format!("此处应为{expected_zh}"),
        ),
        "Correct the file; docs/applicant.schema.json shows the form.",
    )
}
