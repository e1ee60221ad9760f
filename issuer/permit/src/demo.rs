//! `permit demo`: one permit from application to the bus, each step with its actor and time, and what everybody saw.

use std::path::{Path, PathBuf};

use issuer_mandate::SignerRole;
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use issuer_production::{HolderChecked, Station, StepReport};
use issuer_store::StoredApplication;
use permit_domain::{
    ApplicantForm, ApplicationId, ApplicationState, CardSerial, Decision, FormErrors, HandOverClerk,
    IntakeClerk, Maker, Order, OrderState, PermitId, Producer, Tier,
};
use program_contract::language::{Said, Words};
use program_contract::{Clock, Failure, Language, Outcome, file, line};
use serde_json::{Map, Value, json};

use crate::arguments::DemoArguments;
use crate::case::Case;
use crate::installation::{Installation, account, actor};
use crate::photo::take_photo;
use crate::private_pcscd::Interrupts;
use crate::reads::Read;
use crate::report::Steps;
use crate::samples::{APPLICANT, PHOTO};
use crate::showing::Showing;
use crate::walk::{at, quoted};
use crate::{failure, private_pcscd, report, showing, signing};

pub(crate) const SCHEMA: &str = "yzt.demo/1";
/// Runs the demo, or ends it in order when somebody interrupts it.
pub(crate) async fn run(arguments: &DemoArguments, clock: &Clock) -> Result<Outcome, Failure> {
    let mut interrupts = Interrupts::receive()?;
    tokio::select! {
        outcome = demo(arguments, clock) => outcome,
        _ = interrupts.come() => Err(failure::interrupted()),
    }
}

/// What the demo has to show.
struct Shown {
    case: StoredApplication,
    permit: PermitId,
    order: Order,
    faces: [PathBuf; 2],
    showing: Showing,
}

async fn demo(arguments: &DemoArguments, clock: &Clock) -> Result<Outcome, Failure> {
    let applicant = read_input(arguments.applicant.as_deref(), APPLICANT)?;
    let picture = read_input(arguments.photo.as_deref(), PHOTO)?;
    report::say("一证通 Yizhengtong: permit demo\n");
    let mut steps = Steps::for_standard_error();
    let folder = private_pcscd::folder(&arguments.common)?;
    let mut installation = Installation::start(folder, &arguments.common, None, clock, &mut steps).await?;
    report::say(&format!("  · {}", installation.folder.path().display()));
    let shown = Box::pin(issue(&mut installation, &mut steps, &applicant, &picture)).await?;
    Outcome::done(
        SCHEMA,
        &as_object(&installation, &steps, &shown),
        vec![line!(as_text(&installation, &shown, Language::of_process()))],
    )
}

/// Longest applicant file or photo, bytes.
const MAX_INPUT: u64 = 10 << 20;

fn read_input(path: Option<&std::path::Path>, sample: &[u8]) -> Result<Vec<u8>, Failure> {
    path.map_or_else(
        || Ok(sample.to_vec()),
        |path| {
            file::read(path, MAX_INPUT).map_err(|error| Failure::file(Words("读取", "read"), path, &error))
        },
    )
}

async fn issue(
    installation: &mut Installation,
    steps: &mut Steps,
    applicant: &[u8],
    picture: &[u8],
) -> Result<Shown, Failure> {
    let parsed =
        ApplicantForm::from_bytes(applicant).and_then(|form| form.into_applicant(installation.today()));
    let parsed = parsed.map_err(|errors| form_failure(&errors))?;
    let office = installation.office().clone();
    let ids = Case::of(&installation.folder, applicant, || {
        (office.new_application_id(), office.new_order_id())
    })?;
    let (application, order) = (ids.application()?, ids.order()?);
    let known = match office.order_status(order).await {
        Ok(known) => Some(known),
        Err(OfficeError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let handed_over = known
        .as_ref()
        .is_some_and(|known| matches!(known.state(), OrderState::HandedOver { .. }));
    if handed_over && ids.is_shown() {
        return Err(failure::has_permit());
    }

    let applying = steps.begin(
        Words("受理申请", "take the application"),
        account(StaffRole::IntakeClerk),
    );
    let intake: IntakeClerk = actor(StaffRole::IntakeClerk)?;
    let applied = office
        .apply(application, intake, parsed)
        .await
        .map_err(|error| match error {
            OfficeError::Unprintable(errors) => form_failure(&errors),
            error => error.into(),
        });
    steps.end(applying, applied)?;
    complete(installation, application, picture, steps).await?;
    let case = decide(installation, application, steps).await?;
    let ApplicationState::Approved { permit, .. } = *case.application.state() else {
        return Err(OfficeError::from(permit_domain::Error::NothingGranted).into());
    };

    let ordered = if let Some(known) = known {
        known
    } else {
        let ordering = steps.begin(
            Words("按所签内容下制证单", "order the card as it was signed"),
            account(StaffRole::Producer),
        );
        let producer: Producer = actor(StaffRole::Producer)?;
        let ordered = office.order(order, permit, producer, None).await;
        steps.end(ordering, ordered.map_err(Failure::from))?
    };

    let (handed, serial) = produce(installation, steps, &ordered).await?;
    let showing = showing::to_everybody(installation, steps, &handed, serial).await?;
    ids.shown()?;
    let printed = installation.production.faces_of(order);
    let faces = ["front", "back"].map(|side| printed.join(format!("{side}.png")));
    Ok(Shown {
        case,
        permit,
        order: handed,
        faces,
        showing,
    })
}

/// Makes the card and hands it over, or goes on where an earlier run stopped.
async fn produce(
    installation: &Installation,
    steps: &mut Steps,
    ordered: &Order,
) -> Result<(Order, CardSerial), Failure> {
    let serial = match ordered.state().card() {
        Some(card) => card.serial,
        None => installation.free_blank().await?,
    };
    installation.serve_region_of(ordered).await?;
    installation.insert(serial)?;
    let mut station = Station::new(installation.connect(serial)?);
    let mut observe =
        |step: &StepReport| steps.done(production_step(step.name), step.actor.clone(), step.ok, step.ms);
    let producer = actor(StaffRole::Producer)?;
    installation
        .production
        .run(ordered.id(), &mut station, &Maker::Person(producer), &mut observe)
        .await?;
    let clerk: HandOverClerk = actor(StaffRole::HandOverClerk)?;
    let handed = installation
        .production
        .hand_over(
            ordered.id(),
            &mut station,
            clerk,
            HolderChecked::Holder,
            &mut observe,
        )
        .await?;
    Ok((handed, serial))
}

/// The photo, and the end of intake: what is decided on is frozen. Nothing is done for a case that was completed before. A photo is
/// taken only for a card that will be granted.
async fn complete(
    installation: &Installation,
    id: ApplicationId,
    picture: &[u8],
    steps: &mut Steps,
) -> Result<(), Failure> {
    let office = installation.office();
    let case = office.application(id).await?;
    if !matches!(case.application.state(), ApplicationState::Accepted { .. }) || case.content.is_some() {
        return Ok(());
    }
    let receipt = match office.foresee(&case)?.tier {
        Some(_) => Some(take_photo(installation, steps, &case, picture, true).await?),
        None => None,
    };
    let completing = steps.begin(
        Words("受理完毕，内容锁定", "complete the intake, content frozen"),
        account(StaffRole::IntakeClerk),
    );
    let completed = office
        .complete_intake(id, actor(StaffRole::IntakeClerk)?, receipt)
        .await;
    steps.end(completing, completed.map_err(Failure::from)).map(drop)
}

/// Review and sign-off, or what an earlier run decided.
async fn decide(
    installation: &Installation,
    id: ApplicationId,
    steps: &mut Steps,
) -> Result<StoredApplication, Failure> {
    let office = installation.office();
    let known = office.application(id).await?;
    if matches!(known.application.state(), ApplicationState::Approved { .. }) {
        return Ok(known);
    }
    let content = known.content.as_ref().ok_or(OfficeError::NotCompleted)?;
    let content = content.content().digest();
    let who = (StaffRole::Reviewer, SignerRole::Reviewer);
    // What grants nothing has no mandate.
    let signed = match office.foresee(&known)?.tier {
        Some(_) => Some(signing::signed(installation, id, who).await?),
        None => None,
    };
    let deciding = steps.begin(
        Words("按规则审核", "decide by the rule set"),
        account(StaffRole::Reviewer),
    );
    let reviewed = office
        .review(id, actor(StaffRole::Reviewer)?, content, signed.as_ref())
        .await
        .map_err(Failure::from);
    let reviewed = steps.end(deciding, reviewed)?;
    let decision = reviewed
        .decision
        .as_ref()
        .ok_or(permit_domain::Error::NothingGranted)
        .map_err(OfficeError::from)?;
    show_explanation(decision);
    if decision.tier.is_none() {
        return Err(not_eligible(decision));
    }
    let who = (StaffRole::Approver, SignerRole::Approver);
    let signed = signing::signed(installation, id, who).await?;
    let approving = steps.begin(Words("签批", "sign off"), account(StaffRole::Approver));
    let approved = office
        .approve(id, actor(StaffRole::Approver)?, content, Some(&signed))
        .await
        .map_err(Failure::from);
    steps.end(approving, approved)
}

fn show_explanation(decision: &Decision) {
    for line in &decision.explanation {
        let mark = if line.met { "+" } else { "-" };
        let said = (line.chinese(), line.because.as_str());
        report::say_of(program_contract::line!(
            "      ",
            mark,
            " ",
            &line.article,
            " · ",
            &line.condition,
            " · ",
            said
        ));
    }
}

fn not_eligible(decision: &Decision) -> Failure {
    let refusal = decision.refusal();
    let unmet = refusal
        .as_ref()
        .map(permit_domain::RefusalReport::words)
        .unwrap_or_default();
    let mut failure = failure::not_eligible(unmet);
    failure.fields.insert("tier".into(), Value::Null);
    failure
        .fields
        .insert("explanation".into(), json!(decision.explanation));
    if let Value::Object(fields) = json!(refusal) {
        failure.fields.extend(fields);
    }
    failure
}

/// A form of another format is a fault of usage; wrong values are refused, all of them told at once.
fn form_failure(errors: &FormErrors) -> Failure {
    let said = (errors.chinese(), errors.to_string());
    let failure = if errors.is_format() {
        failure::applicant_format(said)
    } else {
        failure::applicant(said)
    };
    let language = Language::of_process();
    failure.with(
        "fields",
        json!(language.one(errors.in_chinese(), errors.fields().to_vec())),
    )
}

/// The names of production's steps as the demo tells them.
fn production_step(name: &'static str) -> Words {
    match name {
        "ALLOCATE" => Words("分配卡号和空白卡", "allocate a card number and a blank"),
        "ENCODE" => Words(
            "写卡（发卡门，密钥不出密钥库）",
            "write the card (door I, keys stay in the vault)",
        ),
        "DRAW" => Words("绘制两面并打印成文件", "draw both faces and print them to files"),
        "VERIFY" => Words(
            "读回并与锁定的制证单核对",
            "read back and compare with the frozen order",
        ),
        "HAND_OVER" => Words(
            "发证：核对持证人，激活卡片",
            "hand over: check the holder, activate the card",
        ),
        other => Words(other, other),
    }
}

fn as_object(installation: &Installation, steps: &Steps, shown: &Shown) -> Map<String, Value> {
    let card = shown.order.state().card();
    let decision = shown.case.decision.as_ref();
    let faces: Vec<Value> = ["front", "back"]
        .iter()
        .zip(&shown.faces)
        .map(|(side, path)| json!({ "side": side, "path": path, "format": "png", "width": 1011, "height": 638 }))
        .collect();
    let value = json!({
        "dir": installation.folder.path(),
        "permit_id": shown.permit.to_string(),
        "card_number": card.map(|card| card.number.to_string()),
        "card_serial": card.map(|card| card.serial.to_string()),
        "tier": decision.and_then(|decision| decision.tier),
        "explanation": decision.map(|decision| &decision.explanation),
        "transport": installation.place.transport(),
        "reader": installation.place.reader(),
        "faces": faces,
        "office": { "saw": shown.showing.office.saw },
        "bus": shown.showing.bus,
        "clinic": shown.showing.clinic,
        "stranger": shown.showing.stranger,
        "steps": steps.all(),
    });
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Columns of the table of reads.
const HEAD: [Words; 6] = [
    Words("谁", "who"),
    Words("结果", "decision"),
    Words("看到", "saw"),
    Words("指令", "APDUs"),
    Words("发/收字节", "bytes out / in"),
    Words("毫秒", "ms"),
];

program_contract::sentences! {
    fn everything(portrait, records) =
        "十项内容，{portrait} 字节的照片，居住证数据，{records} 条记录",
        "ten face items, portrait of {portrait} bytes, permit block, {records} records";
    fn one_record(role, tier, class, from, to) =
        "{role} {tier}，档次 {class}，{from} 至 {to}", "{role} {tier}, class {class}, {from} to {to}";
}

/// A reading as rows of the table. Where both languages are told, the second stands below the first in the widest column.
fn row(language: Language, who: &Words, read: &Read, saw: &dyn Said) -> Vec<Vec<String>> {
    let decision = match read.decision {
        "accepted" => Words("通过", "accepted"),
        _ => Words("拒绝", "refused"),
    };
    let decision = language.text(&decision);
    let first = vec![
        language.text(who),
        read.reason
            .map_or_else(|| decision.clone(), |reason| format!("{decision} ({reason})")),
        language.one(saw.zh(), saw.en()).into_owned(),
        read.apdus.to_string(),
        format!("{} / {}", read.bytes_sent, read.bytes_received),
        format!("{:.2}", read.ms),
    ];
    let second = vec![String::new(), String::new(), saw.en().into_owned()];
    match language {
        Language::Both => vec![first, second],
        Language::Chinese | Language::English => vec![first],
    }
}

fn as_text(installation: &Installation, shown: &Shown, language: Language) -> String {
    use std::fmt::Write as _;
    let tier = shown.case.decision.as_ref().and_then(|decision| decision.tier);
    let card = shown.order.state().card();
    let line = |who, read: &Read, saw: &dyn Said| row(language, &who, read, saw);
    let text = |value: &Value, key: &str| {
        value
            .get(key)
            .map(|value| value.to_string().replace('"', ""))
            .unwrap_or_default()
    };
    let record = |saw: &Value| {
        one_record(
            text(saw, "role"),
            text(saw, "tier"),
            text(saw, "class"),
            text(saw, "valid_from"),
            text(saw, "valid_to"),
        )
    };
    let office = &shown.showing.office.saw;
    let records = office
        .get("records")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let rows = [
        vec![HEAD.map(|head| language.text(&head)).to_vec()],
        line(
            Words("办证大厅", "office"),
            &shown.showing.office,
            &everything(text(office, "portrait_bytes"), records),
        ),
        line(
            Words("公交", "bus"),
            &shown.showing.bus,
            &record(&shown.showing.bus.saw),
        ),
        line(
            Words("诊所", "clinic"),
            &shown.showing.clinic,
            &record(&shown.showing.clinic.saw),
        ),
        line(
            Words("陌生人", "stranger"),
            &shown.showing.stranger,
            &Words(
                "一无所获：应用版本，随机字节",
                "nothing: applet version, random bytes",
            ),
        ),
    ]
    .concat();
    let folder = installation.folder.path();
    let mut out = format!(
        "\n  {} {}  {}\n  {} {}   {} {}   {} {}\n\n{}",
        language.text(&Words("居住证", "residence permit")),
        tier.map_or("", Tier::as_str),
        shown.permit,
        language.text(&Words("卡号", "card number")),
        card.map(|card| card.number.to_string()).unwrap_or_default(),
        language.text(&Words("芯片", "chip")),
        card.map(|card| card.serial.to_string()).unwrap_or_default(),
        language.text(&Words("读卡器", "reader")),
        installation.place.reader().unwrap_or("in-process"),
        report::table(&rows),
    );
    let [front, back] = &shown.faces;
    let [refused, up] = next_commands(installation);
    for (label, value) in [
        (
            Words("卡面", "faces"),
            format!("{}\n{}{}", front.display(), " ".repeat(16), back.display()),
        ),
        (Words("日志", "logs"), folder.join("log").display().to_string()),
        (
            Words("下一步", "next"),
            format!("{refused}\n{}{up}", " ".repeat(16)),
        ),
    ] {
        let label = language.text(&label);
        let _ = write!(out, "\n  {}{value}", report::pad(&label, 14));
    }
    out
}

/// What to do next: an applicant who is refused, and the installation kept running.
fn next_commands(installation: &Installation) -> [String; 2] {
    // The path that was run: nobody has installed the program.
    let program = std::env::args().next().unwrap_or_else(|| "permit".to_owned());
    let program = quoted(Path::new(&program));
    // As it was run: another day or another reader would be another installation's.
    let how = match (installation.place.reader(), installation.place.named()) {
        (None, _) => " --no-pcsc".to_owned(),
        (_, Some(reader)) => format!(" --reader {}", quoted(Path::new(reader))),
        _ => String::new(),
    };
    let how = format!("{how}{}", at(installation.at));
    let folder = installation.folder.path();
    let refused = folder.join("samples").join("applicant-refused.json");
    [
        format!(
            "{program} demo --dir {} --applicant {}{how}",
            quoted(folder),
            quoted(&refused)
        ),
        format!("{program} up --dir {}{how}", quoted(folder)),
    ]
}
