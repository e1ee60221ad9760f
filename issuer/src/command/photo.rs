//! `issuer photo`: an applicant's photo at the counter, from the camera to its end, and the case for which it may be read.
//!
//! What a command may do and who does it is the office's (`issuer_office::photo`); here are its arguments and its words.

use std::path::{Path, PathBuf};

use issuer_office::office::Office;
use issuer_office::photo::{
    ASKS, AUDITS, CONFIRMS, ERASES, Novelty, OPENS, REQUESTS_ERASURE, TAKES, Taken, looks,
};
use issuer_office::random::Random;
use jiff::Timestamp;
use permit_domain::ApplicationId;
use photo_store_protocol as photo;
use program_contract::language::{Line, Said, Words};
use program_contract::{Clock, Failure, Outcome, day, file, line};
use serde::Serialize;

use crate::command::place::{Context, Place};
use crate::command::session::Person;
use crate::command::words::of_photo;

/// Arguments of `photo`.
#[derive(Debug, clap::Args)]
pub(super) struct PhotoCommand {
    #[command(subcommand)]
    step: PhotoStep,
}

#[derive(Debug, clap::Subcommand)]
enum PhotoStep {
    /// Take a photo of the applicant: judged, sealed, with a receipt unless its warnings wait for a colleague.
    Submit(Submit),
    /// How the applicant's photos stand, or one photo by its id.
    Show(Show),
    /// What can be done with a receipt that an applicant brings.
    Receipt(Receipt),
    /// Look at a photo for its open case: written to a file, on record.
    Read(Read),
    /// Confirm every warning of a photo that a colleague took.
    Confirm(Confirm),
    /// Take back a photo that no case has used.
    TakeBack(OnePhoto),
    /// Request that a photo ends for good, by an order.
    Erase(Erase),
    /// Approve that as the second person (role `APPROVER`), by the same order: the photo ends.
    ApproveErase(Erase),
    /// Open the application's case, so that the applicant's photos may be read for it.
    OpenCase(OneCase),
    /// Close the application's case.
    CloseCase(OneCase),
    /// Who read the applicant's photos.
    Reads(OneCase),
}

#[derive(Debug, clap::Args)]
struct Who {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
}

#[derive(Debug, clap::Args)]
struct OneCase {
    #[command(flatten)]
    who: Who,
    /// The application.
    #[arg(long, value_name = "ID")]
    application: ApplicationId,
}

#[derive(Debug, clap::Args)]
struct OnePhoto {
    #[command(flatten)]
    case: OneCase,
    /// The photo, 32 hex digits.
    #[arg(long, value_name = "ID", value_parser = photo_id)]
    photo: photo::PhotoId,
}

#[derive(Debug, clap::Args)]
struct Submit {
    #[command(flatten)]
    case: OneCase,
    /// JPEG or PNG, at most 10 MB.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    who: Who,
    /// The application.
    #[arg(long, value_name = "ID", required_unless_present = "photo")]
    application: Option<ApplicationId>,
    /// One photo, 32 hex digits.
    #[arg(long, value_name = "ID", value_parser = photo_id, conflicts_with = "application")]
    photo: Option<photo::PhotoId>,
}

#[derive(Debug, clap::Args)]
struct Receipt {
    #[command(flatten)]
    who: Who,
    /// The receipt's number, sixteen characters in groups of four.
    #[arg(long, value_name = "NUMBER", value_parser = receipt_number)]
    receipt: photo::ReceiptNumber,
}

#[derive(Debug, clap::Args)]
struct Read {
    #[command(flatten)]
    one: OnePhoto,
    /// Why: review, hand-over, endorsement, holder-access or inspection.
    #[arg(long, value_name = "WHY", value_parser = purpose)]
    purpose: photo::Purpose,
    /// Which rendition: ga461, print, chip or thumb.
    #[arg(long, value_name = "PROFILE", default_value = "print", value_parser = profile)]
    profile: photo::Profile,
    /// Where the JPEG file goes, for you alone; it must not exist. Remove it when you have looked.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Confirm {
    #[command(flatten)]
    one: OnePhoto,
    /// A warning that you looked at and accept, such as BACKGROUND; all of them, once each.
    #[arg(long = "warning", value_name = "CODE", required = true, value_parser = check_code)]
    warnings: Vec<photo::CheckCode>,
}

#[derive(Debug, clap::Args)]
struct Erase {
    #[command(flatten)]
    one: OnePhoto,
    /// Number of the order that demands it: letters, digits and `. _ - /`.
    #[arg(long, value_name = "NUMBER")]
    order: String,
}

fn photo_id(text: &str) -> Result<photo::PhotoId, &'static str> {
    text.parse().map_err(|_| "a photo's id has 32 hexadecimal digits")
}

pub(super) fn receipt_number(text: &str) -> Result<photo::ReceiptNumber, &'static str> {
    text.parse()
        .map_err(|code: photo::FailureCode| code.texts().message)
}

fn purpose(text: &str) -> Result<photo::Purpose, &'static str> {
    text.to_ascii_uppercase()
        .replace('-', "_")
        .parse()
        .ok()
        .filter(|purpose| !looks(*purpose).is_empty())
        .ok_or("the purposes are review, hand-over, endorsement, holder-access and inspection")
}

fn profile(text: &str) -> Result<photo::Profile, &'static str> {
    text.parse()
        .map_err(|_| "the profiles are ga461, print, chip and thumb")
}

fn check_code(text: &str) -> Result<photo::CheckCode, &'static str> {
    photo::CheckCode::from_code(text)
        .ok_or("`issuer photo show` names the codes of a photo's warnings, in capitals")
}

/// A photo for programs; without the picture.
#[derive(Debug, Serialize)]
struct PhotoNow {
    photo_id: String,
    state: &'static str,
    verdict: Option<&'static str>,
    checks: Vec<CheckSaid>,
    received_at: String,
    submitted_by: String,
    confirmed_by: Option<String>,
    confirmed_at: Option<String>,
    photo_receipt: Option<String>,
    receipt_expires_at: Option<String>,
}

/// A check that did not pass, with its words.
#[derive(Debug, Serialize)]
struct CheckSaid {
    code: &'static str,
    level: &'static str,
    measured: Option<f64>,
    limit: Option<f64>,
    unit: String,
    message_zh: &'static str,
    message: &'static str,
    action_zh: &'static str,
    action: &'static str,
}

impl From<&photo::PhotoStatus> for PhotoNow {
    fn from(status: &photo::PhotoStatus) -> Self {
        let judgement = status.judgement.as_ref();
        Self {
            photo_id: status.photo.to_string(),
            state: status.state.as_str(),
            verdict: judgement.map(|judgement| judgement.verdict.as_str()),
            checks: judgement.map(said).unwrap_or_default(),
            received_at: instant(status.received_at),
            submitted_by: status.submitted_by.to_string(),
            confirmed_by: status.confirmed_by.as_ref().map(ToString::to_string),
            confirmed_at: status.confirmed_at.map(instant),
            photo_receipt: status.receipt.as_ref().map(|receipt| receipt.number.to_string()),
            receipt_expires_at: status.receipt.as_ref().map(|receipt| instant(receipt.expires_at)),
        }
    }
}

fn said(judgement: &photo::Judgement) -> Vec<CheckSaid> {
    judgement
        .checks
        .iter()
        .filter(|check| !check.passed)
        .map(|check| {
            let texts = check.code.texts();
            CheckSaid {
                code: check.code.as_str(),
                level: check.level.as_str(),
                measured: check.measured,
                limit: check.limit,
                unit: check.unit.clone(),
                message_zh: texts.message_zh,
                message: texts.message,
                action_zh: texts.action_zh,
                action: texts.action,
            }
        })
        .collect()
}

fn instant(seconds: i64) -> String {
    at(seconds).to_string()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or_default()
}

fn lines(status: &photo::PhotoStatus) -> Vec<Line> {
    let state = of_photo(status.state.as_str());
    let mut lines = vec![match &status.receipt {
        Some(receipt) => line!(
            status.photo.to_string(),
            " ",
            state,
            "  ",
            Words("回执", "receipt"),
            " ",
            receipt.number.to_string()
        ),
        None => line!(status.photo.to_string(), " ", state),
    }];
    if let Some(judgement) = &status.judgement {
        lines.extend(judgement.lines().into_iter().map(|said| line!("  ", said)));
    }
    if let Some(before) = status.given_before {
        lines.push(line!("  ", given_before(day::minute(at(before)))));
    }
    if status.state == photo::PhotoState::Waiting {
        lines.push(line!(
            "  ",
            Words(
                "请由同事查看后用 `issuer photo confirm` 确认",
                "have a colleague look and confirm with `issuer photo confirm`"
            )
        ));
    }
    lines
}

program_contract::sentences! {
    fn receipt_until(state, day) = "{state}，至 {day}", "{state} until {day}";
    fn given_before(at) =
        "与 {at} 提交的照片是同一文件", "the same file as a photo that was given on {at}";
    fn to_be_erased(here, application, photo, order) =
        "请第二人核对销毁令后批准：`issuer photo approve-erase{here} --application {application} --photo {photo} --order {order}`",
        "a second person compares the order and approves: `issuer photo approve-erase{here} --application {application} --photo {photo} --order {order}`";
}

/// What the second person types.
fn erasure_waits(place: &Place, one: &OnePhoto, order: &str) -> Line {
    let (application, photo) = (one.case.application.to_string(), one.photo.to_string());
    line!("  ", to_be_erased(place.here(), application, photo, order))
}

/// What is said of a file that was submitted.
fn of_taken(taken: &Taken) -> Vec<Line> {
    let mut lines = lines(&taken.photo);
    lines.extend(match taken.novelty {
        Novelty::New => None,
        Novelty::Known => Some(line!(
            "  ",
            Words(
                "这个文件已经交过，没有产生新的照片",
                "this file was given before; no new photo was made"
            )
        )),
        Novelty::Used => Some(line!(
            "  ",
            Words(
                "这个文件就是此案已定稿的照片，没有产生新的照片：新卡须另拍",
                "this file is the photo that the case has used; no new photo was made: another card needs another one"
            )
        )),
    });
    lines
}

/// Who read the photos of an applicant and opened the scanned papers, the newest first.
async fn all_reads(office: &Office, application: ApplicationId) -> Result<Vec<ReadNow>, Failure> {
    let photos = office.photo_reads(application).await?;
    let pages = office.page_looks(application).await?;
    let mut reads: Vec<ReadNow> = photos.iter().map(ReadNow::from).collect();
    reads.extend(pages.iter().map(ReadNow::from));
    reads.sort_by(|a, b| b.at.cmp(&a.at));
    Ok(reads)
}

fn stands(status: &photo::PhotoStatus) -> Result<Outcome, Failure> {
    Outcome::done(PHOTO, &PhotoNow::from(status), lines(status))
}

#[derive(Serialize)]
struct PhotosNow {
    photos: Vec<PhotoNow>,
}

#[derive(Serialize)]
struct ReceiptNow {
    state: &'static str,
    photo_id: String,
    expires_at: String,
}

#[derive(Serialize)]
struct Looked {
    path: PathBuf,
    profile: &'static str,
    width: u32,
    height: u32,
    bytes: usize,
}

#[derive(Serialize)]
struct CaseNow {
    case: String,
    open: bool,
}

#[derive(Serialize)]
struct ReadsNow {
    reads: Vec<ReadNow>,
}

#[derive(Serialize)]
struct ReadNow {
    at: String,
    /// The same, as people read it.
    #[serde(skip)]
    told: String,
    photo_id: String,
    /// Of a photo its profile, of a page of a paper that paper's code.
    profile: String,
    purpose: &'static str,
    case: String,
    reader: String,
    refused: Option<&'static str>,
}

/// Schema of a photo.
const PHOTO: &str = "yzt.photo/1";

impl PhotoCommand {
    fn who(&self) -> &Who {
        match &self.step {
            PhotoStep::Submit(it) => &it.case.who,
            PhotoStep::Show(it) => &it.who,
            PhotoStep::Receipt(it) => &it.who,
            PhotoStep::Read(it) => &it.one.case.who,
            PhotoStep::Confirm(it) => &it.one.case.who,
            PhotoStep::TakeBack(it) => &it.case.who,
            PhotoStep::Erase(it) | PhotoStep::ApproveErase(it) => &it.one.case.who,
            PhotoStep::OpenCase(it) | PhotoStep::CloseCase(it) | PhotoStep::Reads(it) => &it.who,
        }
    }

    /// Whether the result is wanted as JSON.
    pub(super) fn json(&self) -> bool {
        self.who().place.json
    }

    /// The schema of what the command answers.
    pub(super) const fn schema(&self) -> &'static str {
        match &self.step {
            PhotoStep::Submit(_)
            | PhotoStep::Confirm(_)
            | PhotoStep::TakeBack(_)
            | PhotoStep::Erase(_)
            | PhotoStep::ApproveErase(_) => PHOTO,
            PhotoStep::Show(_) => "yzt.photos/1",
            PhotoStep::Receipt(_) => "yzt.photo_receipt/1",
            PhotoStep::Read(_) => "yzt.photo_read/1",
            PhotoStep::OpenCase(_) | PhotoStep::CloseCase(_) => "yzt.photo_case/1",
            PhotoStep::Reads(_) => "yzt.photo_reads/1",
        }
    }

    /// One step of a photo at the counter.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let who = self.who();
        let context = Context::open(&who.place, clock, random).await?;
        let office = &context.office;
        match &self.step {
            PhotoStep::Submit(it) => {
                let by = who.person.acting_as_any(&context, TAKES).await?;
                let bytes = read_file(&it.file)?;
                let taken = office.submit_photo(it.case.application, bytes, &by).await;
                let taken = taken.map_err(refusal)?;
                Outcome::done(PHOTO, &PhotoNow::from(&taken.photo), of_taken(&taken))
            }
            PhotoStep::Show(it) => {
                who.person.acting_as_any(&context, ASKS).await?;
                let photos = match (it.application, it.photo) {
                    (Some(application), _) => office.photos_of(application).await?,
                    (None, Some(photo)) => vec![office.photo(photo).await?],
                    (None, None) => Vec::new(),
                };
                let now = PhotosNow {
                    photos: photos.iter().map(PhotoNow::from).collect(),
                };
                Outcome::done(self.schema(), &now, photos.iter().flat_map(lines).collect())
            }
            PhotoStep::Receipt(it) => {
                who.person.acting_as_any(&context, ASKS).await?;
                let info = office.photo_receipt(it.receipt).await?;
                let now = ReceiptNow {
                    state: info.state.as_str(),
                    photo_id: info.photo.to_string(),
                    expires_at: instant(info.expires_at),
                };
                let lines = vec![line!(receipt_until(now.state, day::minute(at(info.expires_at))))];
                Outcome::done(self.schema(), &now, lines)
            }
            PhotoStep::Read(it) => {
                let by = who.person.acting_as_any(&context, looks(it.purpose)).await?;
                let (application, id) = (it.one.case.application, it.one.photo);
                let picture = office
                    .look_at_photo(application, id, it.profile, it.purpose, &by)
                    .await?;
                file::create(&it.out, &picture.jpeg, file::PRIVATE)
                    .map_err(|error| Failure::file(Words("写入", "write"), &it.out, &error))?;
                let looked = Looked {
                    path: it.out.clone(),
                    profile: picture.profile.as_str(),
                    width: picture.width,
                    height: picture.height,
                    bytes: picture.jpeg.len(),
                };
                Outcome::done(self.schema(), &looked, vec![line!(it.out.display())])
            }
            PhotoStep::Confirm(it) => {
                let by = who.person.acting_as_any(&context, CONFIRMS).await?;
                let (application, id) = (it.one.case.application, it.one.photo);
                let confirmed = office.confirm_photo(application, id, it.warnings.clone(), &by);
                stands(&confirmed.await?)
            }
            PhotoStep::TakeBack(it) => {
                let by = who.person.acting_as_any(&context, TAKES).await?;
                stands(&office.take_back_photo(it.case.application, it.photo, &by).await?)
            }
            PhotoStep::Erase(it) => {
                let by = who.person.acting_as_any(&context, REQUESTS_ERASURE).await?;
                let (application, id) = (it.one.case.application, it.one.photo);
                let status = office.request_erasure(application, id, &it.order, &by).await?;
                let mut lines = lines(&status);
                lines.push(erasure_waits(&context.place, &it.one, &it.order));
                Outcome::done(PHOTO, &PhotoNow::from(&status), lines)
            }
            PhotoStep::ApproveErase(it) => {
                let by = who.person.acting_as_any(&context, ERASES).await?;
                let (application, id) = (it.one.case.application, it.one.photo);
                stands(&office.approve_erasure(application, id, &it.order, &by).await?)
            }
            PhotoStep::OpenCase(it) => {
                let by = who.person.acting_as_any(&context, OPENS).await?;
                office.open_photo_case(it.application, &by).await?;
                self.case(it.application, true)
            }
            PhotoStep::CloseCase(it) => {
                let by = who.person.acting_as_any(&context, OPENS).await?;
                office.end_photo_case(it.application, &by).await?;
                self.case(it.application, false)
            }
            PhotoStep::Reads(it) => {
                who.person.acting_as_any(&context, AUDITS).await?;
                let reads = all_reads(office, it.application).await?;
                let lines = reads.iter().map(ReadNow::line).collect();
                Outcome::done(self.schema(), &ReadsNow { reads }, lines)
            }
        }
    }

    fn case(&self, application: ApplicationId, open: bool) -> Result<Outcome, Failure> {
        let now = CaseNow {
            case: application.to_string(),
            open,
        };
        let stands = if open {
            Words("照片案件已开启", "open")
        } else {
            Words("照片案件已关闭", "closed")
        };
        let lines = vec![line!(&now.case, " ", stands)];
        Outcome::done(self.schema(), &now, lines)
    }
}

impl From<&photo::ReadRecord> for ReadNow {
    fn from(record: &photo::ReadRecord) -> Self {
        Self {
            at: instant(record.at),
            told: day::minute(at(record.at)),
            photo_id: record.photo.to_string(),
            profile: record.profile.to_string(),
            purpose: record.purpose.as_str(),
            case: record.case.to_string(),
            reader: record.reader.to_string(),
            refused: record.refused.map(photo::FailureCode::as_str),
        }
    }
}

impl From<&photo::PageLooked> for ReadNow {
    fn from(look: &photo::PageLooked) -> Self {
        Self {
            at: instant(look.at),
            told: day::minute(at(look.at)),
            photo_id: look.page.to_string(),
            profile: look.paper.to_string(),
            purpose: look.purpose.as_str(),
            case: look.case.to_string(),
            reader: look.reader.to_string(),
            refused: look.refused.map(photo::FailureCode::as_str),
        }
    }
}

impl ReadNow {
    fn line(&self) -> Line {
        let allowed = Words("已准许", "allowed");
        let outcome: &dyn Said = match &self.refused {
            Some(code) => code,
            None => &allowed,
        };
        line!(
            &self.told,
            " ",
            &self.photo_id,
            " ",
            &self.profile,
            " ",
            self.purpose,
            " ",
            &self.case,
            " ",
            &self.reader,
            " ",
            outcome
        )
    }
}

/// The file, never more than one byte over what the photo store takes: its check of the size refuses that.
fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let limit = u64::try_from(photo::MAX_PHOTO_BYTES).unwrap_or(u64::MAX) + 1;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| Failure::file(Words("读取", "read"), path, &error))?;
    Ok(bytes)
}

/// A refused photo tells the clerk everything that the checks say, not only the first.
fn refusal(error: issuer_office::error::OfficeError) -> Failure {
    let judgement = match &error {
        issuer_office::error::OfficeError::PhotoRefused(judgement) => Some(judgement.clone()),
        _ => None,
    };
    let mut failure = Failure::from(error);
    if let Some(judgement) = judgement {
        failure.lines = judgement.lines();
        let checks = serde_json::to_value(said(&judgement)).unwrap_or_default();
        failure.fields.insert("checks".to_owned(), checks);
    }
    failure
}
