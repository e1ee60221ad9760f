//! A case: who, where it stands, what may be done with it now by whoever looks, and what was done. And the slip that the applicant takes
//! home.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use issuer_office::error::OfficeError;
use issuer_office::find_case::FINDS;
use issuer_office::frozen_case::FrozenCase;
use issuer_office::identity::IdentityEntry;
use issuer_office::office::Office;
use issuer_office::photo::{CONFIRMS, TAKES};
use issuer_office::scans::SCANS;
use issuer_office::slip::{self, Picture};
use issuer_office::staff::StaffRole;
use issuer_store::{LedgerEntry, StoredApplication};
use permit_domain::{
    Actor as _, ApplicationId, ApplicationState, CaseContent, ContentState, Decision, Order, OrderState,
    PermitId, PermitState, tier_words, words,
};
use photo_store_protocol as photo;
use program_contract::Failure;

use crate::answer::{self, Answer, Problem, Refused, Told};
use crate::counter::Counter;
use crate::everybody;
use crate::frame::Frame;
use crate::person::Person;
use crate::scanned::{self, Papers};
use crate::stands::{Deadline, application_words, minute};

#[derive(Template)]
#[template(path = "case.html")]
struct CasePage {
    frame: Frame,
    case: StoredApplication,
    id: ApplicationId,
    state: &'static str,
    clock: Option<Deadline>,
    told: Option<Told>,
    decision: Option<Shown>,
    /// The decision that would be made today, where none is made yet.
    foreseen: Option<Shown>,
    photos: Photos,
    papers: Papers,
    can: Can,
    permit: Option<PermitId>,
    order: Option<Order>,
    /// Receipt of a photo that no case has used: intake is completed with it.
    receipt: Option<String>,
    /// What is frozen since intake ended.
    frozen: Option<Frozen>,
    /// The order that the form orders: sent twice, it is one.
    new_order: String,
    /// The application that was filed in the place of this one.
    corrected_as: Option<ApplicationId>,
    history: Vec<Event>,
    /// Whether the person's own items were typed, or changed after they were read.
    by_hand: bool,
}

/// What a case decides on, as its reviewer and its approver read it.
struct Frozen {
    version: i64,
    /// SHA-256 that stands for it.
    content: String,
    state: &'static str,
    decision: Shown,
    issued_on: Option<String>,
    photo: Option<String>,
    /// SHA-256 of the front's file.
    front: Option<String>,
}

/// What whoever looks may do now.
#[expect(clippy::struct_excessive_bools, reason = "a button each")]
struct Can {
    take_photo: bool,
    scan: bool,
    /// Takes a scanned page away again.
    remove: bool,
    confirm: bool,
    complete: bool,
    review: bool,
    sign_off: bool,
    order: bool,
    /// Corrects it, or takes it back for the applicant.
    take_back: bool,
}

/// A decision in words.
pub(crate) struct Shown {
    pub(crate) granted: Option<String>,
    pub(crate) valid: Option<(String, String)>,
    pub(crate) best_today: Option<String>,
    pub(crate) rule_set: String,
    pub(crate) lines: Vec<Line>,
}

pub(crate) struct Line {
    pub(crate) met: bool,
    /// What the lines below call it.
    pub(crate) mark: String,
    pub(crate) because: String,
    pub(crate) article: String,
}

/// The photos of the applicant, or why the photo store does not say.
enum Photos {
    There(Vec<PhotoShown>),
    Away(Told),
}

struct PhotoShown {
    id: String,
    state: &'static str,
    at: String,
    by: String,
    /// Whether the picture can be seen.
    seen: bool,
    /// Checks that did not pass: code, what, what to do.
    failed: Vec<(String, &'static str, &'static str)>,
    /// Warnings that wait for a colleague of who took it.
    waits: bool,
    /// Whether the person who looks took it.
    own: bool,
    /// When the same file was given before, as a photo that is over.
    given_before: Option<String>,
    receipt: Option<String>,
}

struct Event {
    at: String,
    what: String,
    who: String,
}

/// `GET /counter/cases/{application}`.
pub(crate) async fn page(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
) -> Answer {
    shown(&counter, person, &application, None).await
}

/// The address of a case.
pub(crate) fn address(id: ApplicationId) -> String {
    format!("/counter/cases/{id}")
}

/// The case, with what was refused at the top of it.
pub(crate) async fn shown(
    counter: &Counter,
    person: Person,
    application: &str,
    problem: Option<Problem>,
) -> Answer {
    may_look(&person)?;
    let (status, told) = Problem::said(problem, &person.frame);
    let page = make(counter, &person, application, told).await;
    let page = page.map_err(|error| person.refused(error))?;
    Ok(answer::page(status, &page))
}

/// Cases are for who works on them.
fn may_look(person: &Person) -> Result<(), Refused> {
    person.acting_as_any(FINDS).map(|_| ())
}

async fn make(
    counter: &Counter,
    person: &Person,
    application: &str,
    told: Option<Told>,
) -> Result<CasePage, OfficeError> {
    let office = counter.office();
    let frame = person.frame.clone();
    let id: ApplicationId = application.parse()?;
    let case = office.application(id).await?;
    let today = office.clock().today();
    let is_accepted = matches!(case.application.state(), ApplicationState::Accepted { .. });
    let live = case.content.as_ref();
    let frozen = live.map(|live| Frozen::of(&frame, live)).transpose()?;
    let foreseen = if is_accepted && frozen.is_none() {
        Some(decided(&frame, &office.foresee(&case)?))
    } else {
        None
    };
    let permit = match case.application.state() {
        ApplicationState::Approved { permit, .. } => Some(*permit),
        _ => None,
    };
    let (mut order, mut to_order) = (None, false);
    if let Some(permit) = permit {
        order = office.order_of(permit).await?;
        to_order = matches!(office.permit(permit).await?.state(), PermitState::Approved);
    }
    let is_open = case.application.state().is_open() || to_order;
    let before_a_card = permit.is_some()
        && order
            .as_ref()
            .is_none_or(|order| matches!(order.state(), OrderState::GivenUp { .. }));
    let being_made = order
        .as_ref()
        .is_some_and(|order| order.state().next_step().is_some());
    let photos = photos(counter, &frame, person, id, is_open || being_made).await;
    let papers = scanned::papers(counter, person, &case).await;
    let to_complete = case.application.state().is_open() || to_order;
    let receipt = match &photos {
        Photos::There(photos) if to_complete => its_receipt(office, &case, frozen.as_ref(), photos).await?,
        _ => None,
    };
    let account = &person.member.account;
    let stands = case.content.as_ref().map(CaseContent::state);
    let took_it = case.application.intake().staff() == account
        || case
            .content
            .as_ref()
            .is_some_and(|live| live.clerk().staff() == account);
    let reviewed_it = matches!(stands,
        Some(ContentState::Reviewed { reviewer }) if reviewer.staff() == account);
    let grants_nothing = foreseen
        .as_ref()
        .is_some_and(|decision| decision.granted.is_none());
    let can = Can {
        scan: case.application.state().is_open() && SCANS.iter().any(|role| person.may(*role)),
        remove: case.application.state().is_open()
            && case.content.is_none()
            && SCANS.iter().any(|role| person.may(*role)),
        take_photo: is_open && TAKES.iter().any(|role| person.may(*role)),
        // Of a permit in use, too: another address needs a photo.
        confirm: CONFIRMS.iter().any(|role| person.may(*role)),
        complete: to_complete && person.may(StaffRole::IntakeClerk) && (receipt.is_some() || grants_nothing),
        review: to_complete
            && matches!(stands, Some(ContentState::Completed))
            && person.may(StaffRole::Reviewer)
            && !took_it,
        sign_off: to_complete
            && matches!(stands, Some(ContentState::Reviewed { .. }))
            && person.may(StaffRole::Approver)
            && !took_it
            && !reviewed_it,
        order: to_order
            && matches!(stands, Some(ContentState::Signed { .. }))
            && person.may(StaffRole::Producer),
        take_back: person.may(StaffRole::IntakeClerk)
            && !reviewed_it
            && (case.application.state().is_open() || before_a_card),
    };
    let entries = office.history(&case).await?;
    let history = entries.iter().map(|entry| event(&frame, entry)).collect();
    Ok(CasePage {
        state: application_words(&frame, case.application.state()),
        clock: is_open
            .then(|| Deadline::of(office.issue_by(&case), today))
            .flatten(),
        decision: case.decision.as_ref().map(|decision| decided(&frame, decision)),
        new_order: office.new_order_id().to_string(),
        corrected_as: office.corrected_as(id).await?,
        told,
        frozen,
        foreseen,
        photos,
        papers,
        can,
        permit,
        order,
        receipt,
        history,
        by_hand: is_by_hand(&entries),
        frame,
        case,
        id,
    })
}

/// The receipt with which intake is completed: one that no case has used, or where the mandate holds no more that of its own photo.
async fn its_receipt(
    office: &Office,
    case: &StoredApplication,
    frozen: Option<&Frozen>,
    photos: &[PhotoShown],
) -> Result<Option<String>, OfficeError> {
    if let Some(open) = open_receipt(office, photos).await? {
        return Ok(Some(open));
    }
    match &case.content {
        Some(live) if office.mandate_lapsed(live).await? => {
            let its_own = frozen.and_then(|frozen| frozen.photo.as_ref());
            let its_own = photos.iter().find(|photo| Some(&photo.id) == its_own);
            Ok(its_own.and_then(|photo| photo.receipt.clone()))
        }
        _ => Ok(None),
    }
}

/// Whether no reader read the person's own items, as the ledger says.
fn is_by_hand(entries: &[LedgerEntry]) -> bool {
    let read = IdentityEntry::Read.action();
    !entries.iter().any(|entry| entry.action == read)
}

/// The first receipt of the photos that opens one: a receipt that an earlier card used opens nothing any more.
async fn open_receipt(office: &Office, photos: &[PhotoShown]) -> Result<Option<String>, OfficeError> {
    for number in photos.iter().filter_map(|photo| photo.receipt.as_ref()) {
        let known = office
            .photo_receipt(number.parse().map_err(photo::Error::Failed)?)
            .await?;
        if known.state == photo::ReceiptState::Valid {
            return Ok(Some(number.clone()));
        }
    }
    Ok(None)
}

impl Frozen {
    fn of(frame: &Frame, live: &CaseContent) -> Result<Self, OfficeError> {
        let case = FrozenCase::from_content(live.content())?;
        Ok(Self {
            version: live.version(),
            content: live.content().digest().to_string(),
            state: match live.state() {
                ContentState::Completed => frame.t("待审核", "to be reviewed"),
                ContentState::Reviewed { .. } => frame.t("已审核，待审批", "reviewed, to be signed off"),
                _ => frame.t("两人已签", "signed by two"),
            },
            decision: decided(frame, case.decision()),
            issued_on: case.issued_on().map(|day| day.to_string()),
            photo: match case.photo() {
                Some(photo) => Some(photo.id()?.to_string()),
                None => None,
            },
            front: case.front().map(|digest| digest.to_string()),
        })
    }
}

async fn photos(
    counter: &Counter,
    frame: &Frame,
    person: &Person,
    id: ApplicationId,
    is_open: bool,
) -> Photos {
    match counter.office().photos_of(id).await {
        Ok(photos) => Photos::There(
            photos
                .iter()
                .map(|status| photo_shown(frame, person, status, is_open))
                .collect(),
        ),
        Err(error) => Photos::Away(Told::of(&Failure::from(error), frame)),
    }
}

fn photo_shown(frame: &Frame, person: &Person, status: &photo::PhotoStatus, is_open: bool) -> PhotoShown {
    let checks = status.judgement.as_ref().map(|judgement| &judgement.checks);
    let failed = checks
        .into_iter()
        .flatten()
        .filter(|check| !check.passed)
        .map(|check| {
            let texts = check.code.texts();
            (
                check.code.to_string(),
                frame.t(texts.message_zh, texts.message),
                frame.t(texts.action_zh, texts.action),
            )
        })
        .collect();
    let waits = matches!(status.state, photo::PhotoState::Waiting);
    PhotoShown {
        id: status.photo.to_string(),
        state: photo_state(frame, status.state),
        at: jiff::Timestamp::from_second(status.received_at)
            .map(minute)
            .unwrap_or_default(),
        by: status.submitted_by.to_string(),
        // Nobody looks at it once the case is closed; what waits is to be looked at.
        seen: waits
            || (is_open
                && matches!(
                    status.state,
                    photo::PhotoState::Sealed | photo::PhotoState::Superseded
                )),
        failed,
        waits,
        own: status.submitted_by.as_str() == person.member.account.as_str(),
        given_before: status
            .given_before
            .and_then(|at| jiff::Timestamp::from_second(at).ok())
            .map(minute),
        receipt: status.receipt.as_ref().map(|receipt| receipt.number.to_string()),
    }
}

fn photo_state(frame: &Frame, state: photo::PhotoState) -> &'static str {
    match state {
        photo::PhotoState::Waiting => frame.t("待确认", "waits for a confirmation"),
        photo::PhotoState::Sealed => frame.t("可用", "good"),
        photo::PhotoState::Superseded => frame.t("已有更新的照片", "a later one was taken"),
        photo::PhotoState::Shredded => frame.t("已删除", "erased"),
        _ => frame.t("正在保存", "being stored"),
    }
}

pub(crate) fn decided(frame: &Frame, decision: &Decision) -> Shown {
    let tier_of = |tier| {
        let (zh, en) = tier_words(tier);
        frame.t(zh, en).to_owned()
    };
    let conditions: Vec<&str> = decision
        .explanation
        .iter()
        .map(|line| line.condition.as_str())
        .collect();
    let lines = decision
        .explanation
        .iter()
        .enumerate()
        .map(|(at, line)| Line {
            met: line.met,
            mark: mark(at),
            because: with_marks(frame.t(line.chinese(), &line.because), &conditions),
            article: line.article.clone(),
        })
        .collect();
    Shown {
        granted: decision.tier.map(tier_of),
        valid: decision
            .valid_from
            .zip(decision.valid_to)
            .map(|(from, to)| (from.to_string(), to.to_string())),
        best_today: decision.eligible.first().copied().map(tier_of),
        rule_set: decision.rule_set.clone(),
        lines,
    }
}

/// ①, ② and so on; after ⑳ in digits.
fn mark(at: usize) -> String {
    match u32::try_from(at) {
        Ok(at) if at < 20 => char::from_u32(0x2460 + at).map_or_else(String::new, String::from),
        _ => format!("({})", at + 1),
    }
}

/// The text with the mark of its line in the place of each condition's code, which is the rule set's own name of it.
fn with_marks(text: &str, conditions: &[&str]) -> String {
    let is_of_code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let mut marked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begins) = rest.find(is_of_code) {
        let (before, code) = rest.split_at(begins);
        let ends = code.find(|c| !is_of_code(c)).unwrap_or(code.len());
        let (code, after) = code.split_at(ends);
        marked.push_str(before);
        match conditions.iter().position(|condition| *condition == code) {
            Some(at) => marked.push_str(&mark(at)),
            None => marked.push_str(code),
        }
        rest = after;
    }
    marked.push_str(rest);
    marked
}

/// What an entry of the ledger says, in the frame's language.
pub(crate) fn action_words(frame: &Frame, action: &str) -> String {
    match action.rsplit_once(' ') {
        Some((thing, state)) if frame.lang() != "en" => {
            let word = |word: &str| match in_chinese(word) {
                same if same == word => words::chinese(word).to_owned(),
                chinese => chinese.to_owned(),
            };
            let thing = match words::chinese(thing) {
                same if same == thing => thing.split(' ').map(word).collect::<Vec<_>>().join(" "),
                chinese => chinese.to_owned(),
            };
            format!("{thing} {}", word(state))
        }
        _ => action.to_owned(),
    }
}

fn event(frame: &Frame, entry: &LedgerEntry) -> Event {
    let what = action_words(frame, &entry.action);
    let role = frame.t(words::chinese(&entry.role), &entry.role);
    Event {
        at: minute(entry.at),
        what,
        who: format!("{} ({role})", entry.actor),
    }
}

/// A state of the ledger in Chinese.
fn in_chinese(state: &str) -> &str {
    match state {
        "APPLIED" => "已收到",
        "ACCEPTED" => "已受理",
        "COMPLETED" => "已受理完毕",
        "SIGNED" => "已签批",
        "USED" => "已制成卡",
        "SUPERSEDED" => "已由新版本代替",
        "NEEDS_MORE" => "待补正",
        "REVIEWED" => "已审核",
        "REFUSED" => "不予核定",
        "APPROVED" => "已批准",
        "WITHDRAWN" => "已撤回",
        "READ" => "读自证件",
        "BY_HAND" => "手工录入",
        "TAKEN" => "已采集",
        "CONFIRMED" => "已确认",
        "SCANNED" => "已扫描",
        "REMOVED" => "已删除",
        "ORDERED" => "已下达",
        "ALLOCATED" => "已分配空白卡",
        "ENCODING" | "WRITING" => "正在写卡",
        "ENCODED" => "已写卡",
        "DRAWN" => "已绘制卡面",
        "VERIFIED" => "已核验",
        "HANDING_OVER" => "正在发放",
        "HANDED_OVER" => "已发放",
        "GIVEN_UP" => "已放弃",
        "IN_PRODUCTION" => "制证中",
        "PRODUCED" => "已制成",
        "ACTIVE" => "已生效",
        "CLOSED" => "已日结",
        "DONE" => "已完成",
        "PROPOSED" => "已提出",
        "LOST" => "已挂失",
        "DAMAGED" => "已损坏",
        "RETURNED" => "已交回",
        "REPLACED" => "已换领",
        "CONFISCATED" => "已收缴",
        "DESTROYED" => "已销毁",
        "RECEIVED" => "已入库",
        "RECALLED" => "已召回",
        "REGISTERED" => "已登记",
        "IMPORTED" => "已导入",
        "REPORTED" => "已查阅",
        "LOOKED_UP" => "已查找",
        "GIVEN_OUT" => "已发出",
        "TYPED" => "已录入",
        "FILED" => "已复核立案",
        "VOID" => "已作废",
        "holder" => "持证人",
        "blanks" => "空白卡",
        "counters" => "终端计数",
        "denial" => "停用名单",
        "WANTED" => "待生效",
        "YES" => "已列入",
        "NO" => "未列入",
        "LIFTING" => "待移出",
        "ENDORSE" => "签注",
        "TIER" => "类别",
        "ADDRESS" => "住址",
        "ENTITLEMENT" => "权益",
        "day" => "日报",
        other => other,
    }
}

#[derive(Template)]
#[template(path = "slip.html")]
struct Slip {
    frame: Frame,
    case: StoredApplication,
    issue_by: Option<String>,
    papers: Vec<(&'static str, &'static str)>,
    intake: String,
    /// Number and code by which the holder looks the case up at home.
    look_up: slip::Slip,
    /// Where, and the same as a code to scan.
    status: String,
    code: Option<Picture>,
}

/// `GET /counter/cases/{application}/slip`: the acceptance slip (受理回执), to be printed.
pub(crate) async fn slip(
    State(counter): State<Counter>,
    person: Person,
    headers: HeaderMap,
    Path(application): Path<String>,
) -> Answer {
    may_look(&person)?;
    let office = counter.office();
    let found = async {
        let case = office.application(application.parse()?).await?;
        let slip = office.slip(case.application.id()).await?;
        Ok((case, slip))
    };
    let (case, slip) = found.await.map_err(|error: OfficeError| person.refused(error))?;
    let status = everybody::address(&counter, &headers, "/status");
    let scanned = format!("{status}?receipt={}", slip.receipt.replace(' ', ""));
    let papers = case.applicant.evidence.iter();
    let page = Slip {
        frame: person.frame,
        issue_by: office.issue_by(&case).map(|day| day.to_string()),
        papers: papers.map(|paper| (paper.code.zh(), paper.code.en())).collect(),
        intake: case.application.intake().staff().to_string(),
        code: slip::picture(&scanned),
        look_up: slip,
        status,
        case,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

#[cfg(test)]
mod tests {
    use super::{mark, with_marks};

    #[test]
    fn a_line_names_other_lines_by_their_marks() {
        let conditions = ["AGE_16", "HALF_YEAR", "AGE"];
        let said = with_marks(
            "不满足 HALF_YEAR、(AGE 或 OTHER)；已满足 AGE_16，2026-11-21",
            &conditions,
        );
        assert_eq!(said, "不满足 ②、(③ 或 OTHER)；已满足 ①，2026-11-21");
        assert_eq!((mark(19), mark(20)), ("⑳".to_owned(), "(21)".to_owned()));
    }
}
