//! The life of a card as commands for a second shell: written to `walk.md` in the folder, the first of them on the screen.
//!
//! Each block of commands stands by itself: its first line reads `env`, which says where everything is and remembers what
//! earlier commands answered (`permit_id` as `$PERMIT_ID`). People and keys of requests are fixed, so a block that is run
//! again does its work once. Left out: a second holder; whoever wants one runs the same requests with another person.

use std::path::{Path, PathBuf};

use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use jiff::ToSpan as _;
use jiff::civil::Date;
use keyvault_protocol::Region;
use permit_domain::{CitizenNumber, PermitId, PermitState};
use program_contract::Failure;
use program_contract::language::Words;
use serde_json::json;

use crate::case::Case;
use crate::folder::{Folder, replace};
use crate::installation::{Installation, account};
use crate::terminals::{BUS, CLINIC, COUNTER, DOOR, INSURANCE, SHOP, last_day, registration};
use crate::{failure, officers, process};

/// Blocks that fit a screen.
const ON_SCREEN: usize = 7;
/// The region of the town's terminals and of its people: Shenzhen.
const REGION: &str = "440300";

/// One step of a life.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) title: Words,
    /// What is to be seen.
    expect: &'static str,
    /// The commands, a line each, ready for a shell.
    pub(crate) block: String,
    /// Where it is run: in another shell, or in the one in which `permit up` runs.
    second_shell: bool,
}

/// What is printed, and where all of it is.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) first: Vec<Step>,
    pub(crate) file: PathBuf,
    pub(crate) environment: PathBuf,
}

/// Writes `env` and `walk.md` for the installation as it stands, and says what to do first.
pub(crate) async fn write(installation: &Installation, url: &str) -> Result<Walk, Failure> {
    let folder = &installation.folder;
    let environment = folder.at("env");
    replace(&environment, environment_of(installation, url)?.as_bytes())?;
    let person = person(folder, installation.today())?;
    let until = in_use_until(installation).await?;
    let steps = Commands::of(installation, &environment, person, until).await?;
    let mut life = steps.until_the_card();
    let issued = life.len();
    if installation.pcsc().is_some() || installation.place.named().is_some() {
        life.extend(steps.in_use());
    } else {
        life.push(steps.bus_in_process()?);
    }
    let file = folder.at("walk.md");
    replace(&file, page(&life).as_bytes())?;
    // Who has a permit applies for none.
    let first = life.into_iter().skip(if until.is_some() { issued } else { 0 });
    Ok(Walk {
        first: first.take(ON_SCREEN).collect(),
        file,
        environment,
    })
}

/// The region that the town's terminals serve.
pub(crate) fn region() -> Result<Region, Failure> {
    let region = REGION.parse::<Region>();
    region.map_err(|_| failure::unexpected(Words("此地不属于任何地区", "the town lies in no region")))
}

/// A command that lets the bus read the card that lies on the reader, or in process the card with this serial.
pub(crate) fn bus(installation: &Installation, serial: &str) -> Result<String, Failure> {
    let reader = quoted(&process::program("card-reader")?);
    let settings = installation.folder.at("terminals").join(format!("{BUS}.toml"));
    let at = at(installation.at);
    let read = format!("{reader} bus --config {} --json{at}", quoted(&settings));
    if let Some((variable, socket)) = installation.pcsc() {
        return Ok(format!("{variable}={} {read}", quoted(&socket)));
    }
    if installation.place.reader().is_some() {
        return Ok(read);
    }
    Ok(format!(
        "{} reader --memory {}/{serial}.card -- {read}",
        quoted(&process::program("virtual-card")?),
        quoted(&installation.folder.at("cards"))
    ))
}

/// The day for every clock, as an argument behind others.
pub(crate) fn at(day: Option<Date>) -> String {
    day.map(|day| format!(" --at {day}")).unwrap_or_default()
}

/// A path as one word for a shell.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c))
    {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The applicant of this walk: the first one whom no demo has served. Her number in the row, and her file.
fn person(folder: &Folder, today: Date) -> Result<(u32, PathBuf), Failure> {
    for number in 1..500 {
        let file = folder.at("samples").join(format!("applicant-{number}.json"));
        let known = match std::fs::read(&file) {
            Ok(known) => known,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = applicant(number, today);
                replace(&file, text.as_bytes())?;
                text.into_bytes()
            }
            Err(error) => return Err(Failure::file(Words("读取", "read"), &file, &error)),
        };
        if !Case::is_known(folder, &known) {
            return Ok((number, file));
        }
    }
    Err(failure::unexpected(Words(
        "样例中的申请人都已有居住证",
        "every applicant of the samples has a permit",
    )))
}

/// An applicant who is granted EMPLOYMENT today, TALENT later, and an endorsement in a year.
fn applicant(number: u32, today: Date) -> String {
    let citizen = citizen_number(&format!("43010219900615{:03}", 2 * number % 1000));
    let ago = |months: i64| today.saturating_sub(months.months()).to_string();
    let ahead = |years: i64| today.saturating_add(years.years()).to_string();
    let form = json!({
        "citizen_number": citizen,
        "name": "周敏",
        "sex": "2",
        "nation": "01",
        "birth_date": "1990-06-15",
        "hukou_address": "湖南省长沙市芙蓉区五一大道88号",
        "residence": {
            "address": "广东省深圳市南山区粤海街道科苑路15号2栋803",
            "division": "440305",
            "registered_on": ago(10),
        },
        "evidence": [
            { "code": "ID_CARD", "from": ago(60), "to": ahead(15) },
            { "code": "ADDR_LEASE", "from": ago(10), "to": ahead(3) },
            { "code": "JOB_CONTRACT", "from": ago(10), "to": ahead(3) },
        ],
        "insurance_months": 9,
        "education": "20",
        "title": null,
        "requested_tier": "EMPLOYMENT",
    });
    format!("{form:#}\n")
}

/// The citizen number with these first 17 digits: only one of the signs that may follow makes it one.
fn citizen_number(digits: &str) -> String {
    "0123456789X"
        .chars()
        .map(|sign| format!("{digits}{sign}"))
        .find(|number| number.parse::<CitizenNumber>().is_ok())
        .unwrap_or_default()
}

/// The last day of the permit that the walk got, once its card is in use.
async fn in_use_until(installation: &Installation) -> Result<Option<Date>, Failure> {
    let file = installation.folder.at("answers");
    let answers = match std::fs::read_to_string(&file) {
        Ok(answers) => answers,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file(Words("读取", "read"), &file, &error)),
    };
    let permit = answers
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("PERMIT_ID=")?.parse::<PermitId>().ok());
    let Some(permit) = permit else { return Ok(None) };
    let permit = match installation.office().permit(permit).await {
        Err(OfficeError::NotFound { .. }) => return Ok(None),
        permit => permit?,
    };
    let active = matches!(permit.state(), PermitState::Active { .. });
    Ok(active.then(|| permit.grant().valid_to))
}

/// The file that a shell reads before it runs commands of the walk.
fn environment_of(installation: &Installation, url: &str) -> Result<String, Failure> {
    let folder = installation.folder.path();
    let programs = process::program("issuer")?;
    let programs = programs.parent().unwrap_or(Path::new("/"));
    let mut reader = String::new();
    if let Some((variable, socket)) = installation.pcsc() {
        reader = format!("export {variable}={}\n", quoted(&socket));
    }
    if let Some(name) = installation.place.named() {
        reader = format!("export YZT_READER={}\n", quoted(Path::new(name)));
    }
    Ok(format!(
        "# 在每个新的命令行里先运行 · In every new shell run first:  . {own}\n\
         TOWN={town}\n\
         URL={url}\n\
         {reader}{functions}",
        own = quoted(&folder.join("env")),
        town = quoted(folder),
        functions = FUNCTIONS
            .replace("PROGRAMS", &quoted(programs))
            .replace("OFFICER", officers::REQUESTER),
    ))
}

/// What the commands of the walk call beside our programs.
const FUNCTIONS: &str = r#"
I=$TOWN/issuer V=$TOWN/vault T=$TOWN/terminals
case ":$PATH:" in *:PROGRAMS:*) ;; *) PATH=PROGRAMS:$PATH ;; esac
YZT_SESSION=$TOWN/session
YZT_VAULT_KEY=$TOWN/officers/OFFICER.key
YZT_VAULT_ANCHORS=$TOWN/custodians/packages/anchors.json
export PATH YZT_SESSION YZT_VAULT_KEY YZT_VAULT_ANCHORS

# api 账号 方法 路径 ... · calls the HTTP API as a member of staff; the token is no argument of a program
api() {
    who=$1 method=$2 path=$3
    shift 3
    printf 'Authorization: Bearer %s\n' "$(cat "$I/$who.token")" |
        curl -sS --fail-with-body -X "$method" "$URL$path" -H @- -H 'Content-Type: application/json' "$@"
}

# answer 命令 ... · runs a command, shows its answer, and remembers the ids in it: permit_id as $PERMIT_ID
answer() {
    said=$("$@")
    ended=$?
    printf '%s\n' "$said"
    for key in application_id permit_id photo_id photo_receipt order_id change_id card_number card_serial content signature; do
        value=$(printf '%s\n' "$said" | sed -n "s/.*\"$key\":\"\([0-9A-Za-z-]*\)\".*/\1/p" | tail -n 1)
        [ -z "$value" ] || printf '%s=%s\n' "$(printf %s "$key" | tr a-z A-Z)" "$value" >> "$TOWN/answers"
    done
    [ ! -f "$TOWN/answers" ] || . "$TOWN/answers"
    return "$ended"
}

# until_it_says 字 命令 ... · asks again until the answer has this word, two minutes at most
until_it_says() {
    word=$1 left=120
    shift
    until answer "$@" | grep "\"$word\""; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 1
    done
    . "$TOWN/answers"
}

[ ! -f "$TOWN/answers" ] || . "$TOWN/answers"
"#;

/// The walk as a page.
fn page(life: &[Step]) -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# 一张居住证的一生 · The life of a card\n\n\
         在另一个命令行里逐段运行；每段可以单独运行；中断的一段可以重新运行。答复中的编号会被记住，例如 permit_id 记为 $PERMIT_ID。\n\n\
         Run it block by block in another shell; each block stands by itself, and one that was interrupted may be run again. The ids of\n\
         the answers are remembered, permit_id as $PERMIT_ID.\n",
    );
    for (index, step) in life.iter().enumerate() {
        let Words(chinese, english) = step.title;
        let shell = if step.second_shell { "sh" } else { "sh first" };
        let _ = write!(
            page,
            "\n## {} {chinese} · {english}\n\n```{shell}\n{}\n```\n\n应见 expect: {}\n",
            index + 1,
            step.block,
            step.expect
        );
    }
    page
}

/// Makes the commands.
struct Commands {
    /// How a block begins.
    environment: String,
    /// The person's number, and her file.
    number: u32,
    file: String,
    day: Date,
    at: String,
    up: String,
    /// The day of the endorsement.
    later: Date,
    tid: u32,
    key: String,
    in_process: bool,
    dir: String,
    permit: String,
}

impl Commands {
    async fn of(
        installation: &Installation,
        environment: &Path,
        (number, file): (u32, PathBuf),
        until: Option<Date>,
    ) -> Result<Self, Failure> {
        let own = std::env::current_exe().map_err(|error| {
            failure::machine(
                Words("程序找不到自身", "this program does not find itself"),
                &error,
            )
        })?;
        let day = installation.today();
        let (tid, key) = registration(installation).await?;
        let dir = quoted(installation.folder.path());
        let reader = match installation.place.named() {
            Some(name) => format!(" --reader {}", quoted(Path::new(name))),
            None => String::new(),
        };
        // The window is the month before the permit's last day.
        let until = until.unwrap_or_else(|| day.saturating_add(1.year()));
        let later = day.max(until.saturating_sub(14.days()));
        let permit = quoted(&own);
        Ok(Self {
            environment: format!(". {}", quoted(environment)),
            number,
            file: quoted(&file),
            day,
            at: at(installation.at),
            up: format!("{permit} up --dir {dir}{reader} --at {later}"),
            later,
            tid,
            key,
            in_process: installation.place.reader().is_none(),
            dir,
            permit,
        })
    }

    fn step(&self, title: Words, commands: &[String], expect: &'static str) -> Step {
        let lines: Vec<&str> = std::iter::once(self.environment.as_str())
            .chain(commands.iter().map(String::as_str))
            .collect();
        Step {
            title,
            expect,
            block: lines.join("\n"),
            second_shell: true,
        }
    }

    /// Somebody signs in; commands of `issuer` act for them from then on.
    fn sign_in(&self, role: StaffRole) -> String {
        let (who, at) = (account(role), &self.at);
        format!(r#"issuer sign-in --dir "$I" --token-file "$I/{who}.token"{at}"#)
    }

    /// A command of `issuer` whose ids are remembered.
    fn office(&self, command: &str) -> String {
        format!(r#"answer issuer {command} --dir "$I" --json{}"#, self.at)
    }

    /// A request to the HTTP API; its key follows from `what`.
    fn post(&self, who: StaffRole, path: &str, what: &str, body: &str) -> String {
        let (who, number) = (account(who), self.number);
        format!(
            "answer api {who} POST {path} -H 'Idempotency-Key: walk-{number}-{what}' --data-binary {body}"
        )
    }

    fn terminal(&self, command: &str, name: &str, more: &str) -> String {
        format!(
            r#"card-reader {command} --config "$T/{name}.toml"{more}{}"#,
            self.at
        )
    }

    /// Two of the demo's officers sign what a third asks for, and the vault does it.
    fn approved(&self, act: &str) -> String {
        let sign = |officer| format!(r#"keyvault request sign "$R" --officer {officer}="$O/{officer}.key""#);
        let steps = [
            r#"O=$TOWN/officers R=$TOWN/officers/request.json; rm -f "$R""#.to_owned(),
            format!(
                r#"keyvault request new {act} --requester {} --out "$R"{}"#,
                officers::REQUESTER,
                self.at
            ),
            sign(officers::SIGNERS[0]),
            sign(officers::SIGNERS[1]),
            r#"keyvault --dir "$V" request submit "$R""#.to_owned(),
        ];
        steps.join("\n")
    }

    fn taken_in(&self, name: &str) -> String {
        self.terminal("sync", name, r#" --from "$TOWN/from-office""#)
    }

    fn handed_out(&self, name: &str) -> String {
        self.terminal("sync", name, r#" --to "$TOWN/to-office""#)
    }

    fn deny_list(&self) -> [String; 2] {
        [
            r#"rm -f "$TOWN/from-office/transit.list""#.to_owned(),
            format!(
                r#"keyvault --dir "$V" deny-list --role transit --issued {} --out "$TOWN/from-office/transit.list""#,
                self.day
            ),
        ]
    }

    fn proposed(&self, proposal: &str) -> Vec<String> {
        vec![
            self.sign_in(StaffRole::ChangeClerk),
            self.office(&format!("change propose --permit $PERMIT_ID {proposal}")),
        ]
    }

    /// The second person signs what they read.
    fn signed_off(&self, proposal: &str) -> Vec<String> {
        let mut commands = self.proposed(proposal);
        commands.push(self.sign_in(StaffRole::Approver));
        commands.push(self.office("change proposal --id $CHANGE_ID"));
        commands.push(self.office("change approve --id $CHANGE_ID --content $CONTENT"));
        commands
    }

    /// A change that was approved where it needs that, written by a producer to the card on the reader.
    fn change(&self, proposal: &str, approved: bool) -> Vec<String> {
        let mut commands = if approved {
            self.signed_off(proposal)
        } else {
            self.proposed(proposal)
        };
        commands.push(self.sign_in(StaffRole::Producer));
        commands.push(self.office("change write --id $CHANGE_ID"));
        commands
    }

    /// The photo, judged and confirmed by a colleague.
    fn photo(&self) -> [String; 4] {
        [
            self.sign_in(StaffRole::IntakeClerk),
            self.office(r#"photo submit --application $APPLICATION_ID "$TOWN/samples/photo.png""#),
            self.sign_in(StaffRole::Reviewer),
            self.office(
                "photo confirm --application $APPLICATION_ID --photo $PHOTO_ID --warning FACE_ENLARGED --warning BACKGROUND",
            ),
        ]
    }

    /// The end of intake: what is decided on is frozen, with the photo that was taken last.
    fn completed(&self, what: &str) -> String {
        self.post(
            StaffRole::IntakeClerk,
            "/v1/applications/$APPLICATION_ID/completion",
            &format!("complete-{what}"),
            r#""{\"photo_receipt\":\"$PHOTO_RECEIPT\"}""#,
        )
    }

    /// A reviewer and an approver stand for what they read, by its digest, and sign its mandate: in a rehearsal with key files.
    fn decided(&self, what: &str) -> Vec<String> {
        let path = "/v1/applications/$APPLICATION_ID/decision";
        let step = |who, step: &str, key: &str| {
            let body =
                format!(r#""{{\"step\":\"{step}\",\"content\":\"$CONTENT\",\"signature\":\"$SIGNATURE\"}}""#);
            [
                self.sign_in(who),
                self.office("rehearsal-sign --application $APPLICATION_ID"),
                self.post(who, path, &format!("{key}-{what}"), &body),
            ]
        };
        [
            step(StaffRole::Reviewer, "REVIEW", "review"),
            step(StaffRole::Approver, "APPROVE", "approve"),
        ]
        .concat()
    }

    /// The order of a card, made by `permit up` up to the verified card.
    fn ordered(&self, what: &str) -> [String; 2] {
        [
            self.post(
                StaffRole::Producer,
                "/v1/orders",
                what,
                r#""{\"permit_id\":\"$PERMIT_ID\"}""#,
            ),
            format!(
                "until_it_says VERIFIED api {} GET /v1/orders/$ORDER_ID",
                account(StaffRole::Producer)
            ),
        ]
    }

    fn handed_over(&self) -> Vec<String> {
        if self.in_process {
            let (permit, dir) = (&self.permit, &self.dir);
            return vec![format!(
                "answer {permit} hand-over --dir {dir} --order $ORDER_ID --checked holder --json"
            )];
        }
        vec![
            self.sign_in(StaffRole::HandOverClerk),
            self.office("hand-over --order $ORDER_ID --checked holder"),
        ]
    }

    fn until_the_card(&self) -> Vec<Step> {
        let file = format!("@{}", self.file);
        vec![
            self.step(
                Words("看一看", "Look whether everything is ready"),
                &[r#"curl -sS "$URL/readyz""#.to_owned()],
                r#""ready":true"#,
            ),
            self.step(
                Words("立案", "An intake clerk files the application"),
                &[self.post(StaffRole::IntakeClerk, "/v1/applications", "apply", &file)],
                r#""state":"ACCEPTED""#,
            ),
            self.step(
                Words(
                    "照片",
                    "The photo; a colleague of the clerk confirms its warnings",
                ),
                &self.photo(),
                r#""state":"SEALED", with a photo_receipt"#,
            ),
            self.step(
                Words(
                    "受理完毕，审核与签批",
                    "Intake ends, which freezes what is decided; a reviewer and an approver stand for it",
                ),
                &[&[self.completed("card-1")][..], &self.decided("card-1")].concat(),
                r#""state":"APPROVED", with a permit_id"#,
            ),
            self.step(
                Words(
                    "制证",
                    "A producer orders the card; it is written, drawn and verified",
                ),
                &self.ordered("order-1"),
                r#""state":"VERIFIED", with a card_number"#,
            ),
            self.step(
                Words("发证", "A hand-over clerk gives the card to its holder"),
                &self.handed_over(),
                r#""state":"HANDED_OVER""#,
            ),
        ]
    }

    fn bus_in_process(&self) -> Result<Step, Failure> {
        let cards = r#""$TOWN/cards/$CARD_SERIAL.card""#;
        let tap = self.terminal("bus", BUS, " --json");
        let virtual_card = quoted(&process::program("virtual-card")?);
        Ok(self.step(
            Words("公交刷卡", "Tap at the bus"),
            &[format!("{virtual_card} reader --memory {cards} -- {tap}")],
            r#""decision":"accepted""#,
        ))
    }

    #[expect(clippy::too_many_lines, reason = "a life, step by step")]
    fn in_use(&self) -> Vec<Step> {
        let tap = self.terminal("bus", BUS, "");
        let with = |before: &[&[String]], last: &[String]| [&before.concat()[..], last].concat();
        let clerk = self.sign_in(StaffRole::ChangeClerk);
        let officer = self.sign_in(StaffRole::SettlementOfficer);
        let (day, tid, key) = (self.day, self.tid, &self.key);
        let (last, year) = (last_day(day), day.saturating_add(1.year()));
        let drained = day.saturating_add(30.days());
        let mut life = vec![
            self.step(
                Words("公交刷卡", "Tap at the bus"),
                std::slice::from_ref(&tap),
                "通过 accepted，公共汽车、地铁 bus and metro",
            ),
            self.step(
                Words("诊所、门禁、社保、办证大厅", "The clinic, a door, the insurance desk, the office's counter"),
                &[
                    self.terminal("clinic", CLINIC, ""),
                    self.terminal("door", DOOR, ""),
                    self.terminal("insurance", INSURANCE, ""),
                    self.terminal("identity", COUNTER, " --show none"),
                ],
                "每个终端只看到自己的一份 each sees its own part; only the counter a name",
            ),
            self.step(
                Words("充值", "A clerk takes 100 yuan, a producer writes them to the card"),
                &[
                    clerk.clone(),
                    self.office("load --permit $PERMIT_ID --amount 100 --key till-0001"),
                    self.sign_in(StaffRole::Producer),
                    self.office("change write --id $CHANGE_ID"),
                ],
                r#""state":"DONE""#,
            ),
            self.step(
                Words("消费", "Pay 12.50 yuan in the shop"),
                &[self.terminal("shop", SHOP, " --amount 12.50")],
                "付款成功，余额 87.50 元 paid, 87.50 yuan left",
            ),
            self.step(
                Words("结算", "The shop is registered, hands in its file, and is owed the money"),
                &[
                    officer.clone(),
                    format!(
                        r#"issuer terminal register --dir "$I" --name {SHOP} --tid {tid} --authentication-key {key} --from {day} --to {year}{}"#,
                        self.at
                    ),
                    self.handed_out(SHOP),
                    format!(
                        r#"issuer settle --dir "$I" "$TOWN"/to-office/settlement-*.yzts{}"#,
                        self.at
                    ),
                    format!(
                        r#"issuer settlement report --dir "$I" --tid {tid}{}"#,
                        self.at
                    ),
                ],
                "应付 12.50 元 owed 12.50 yuan",
            ),
            self.step(
                Words("挂失", "The card is lost: the bus gets a new deny list and refuses it"),
                &with(
                    &[&[clerk.clone(), self.office("card lost --card $CARD_NUMBER")], &self.deny_list()],
                    &[self.taken_in(BUS), tap.clone()],
                ),
                "请持卡到受理点办理 refused, DENIED (exit code 1)",
            ),
            self.step(
                Words("找回", "It is found, and two people allow it again"),
                &with(
                    &[
                        &[
                            clerk.clone(),
                            self.office("card found --card $CARD_NUMBER"),
                            self.office("card allow --card $CARD_NUMBER"),
                            self.sign_in(StaffRole::Approver),
                            self.office("card approve-allow --card $CARD_NUMBER --content $CONTENT"),
                        ],
                        &self.deny_list(),
                    ],
                    &[self.taken_in(BUS), tap.clone()],
                ),
                "通过 accepted",
            ),
            self.step(
                Words("锁卡与解锁", "A clerk has its chip blocked; two people open it again for its holder"),
                &with(
                    &[
                        &self.change("--kind block", false),
                        &[format!("! {tap}")],
                        &self.change("--kind unblock", true),
                    ],
                    std::slice::from_ref(&tap),
                ),
                "请持卡到受理点办理 refused, then 通过 accepted",
            ),
            self.step(
                Words("终端送达", "A load that the bus delivers; the card's receipt goes back to the office"),
                &[
                    clerk.clone(),
                    self.office("load --permit $PERMIT_ID --amount 20 --key till-0002"),
                    r#"rm -f "$TOWN/from-office/bus.updates""#.to_owned(),
                    format!(
                        r#"keyvault --dir "$V" export-updates --terminal {BUS} --to {last} --out "$TOWN/from-office/bus.updates""#
                    ),
                    self.taken_in(BUS),
                    self.terminal("run bus", BUS, " --json-lines --cards 1"),
                    self.handed_out(BUS),
                    officer,
                    format!(
                        r#"issuer receipts --dir "$I" "$TOWN"/to-office/receipts-*.yztr --json{}"#,
                        self.at
                    ),
                    self.office("change show --id $CHANGE_ID"),
                ],
                r#""way":"UPDATE""#,
            ),
            self.step(
                Words("变更类别", "Another tier: proposed, signed off, written"),
                &with(
                    &[&self.change("--kind tier --tier TALENT", true)],
                    std::slice::from_ref(&tap),
                ),
                "通过 accepted, TALENT",
            ),
            self.step(
                Words("换密钥", "A new key version of the buses, on the terminal and on the card"),
                &with(
                    &[
                        &[
                            self.approved(&format!("rotate-role --role transit --region {REGION} --drain-until {drained}")),
                            r#"rm -f "$TOWN/from-office/bus.bundle""#.to_owned(),
                            format!(
                                r#"keyvault --dir "$V" export-bundle --terminal {BUS} --from {day} --to {last} --out "$TOWN/from-office/bus.bundle""#
                            ),
                            self.taken_in(BUS),
                        ],
                        &self.change("--kind rotate", false),
                    ],
                    &[tap.clone(), r#"keyvault --dir "$V" role-keys"#.to_owned()],
                ),
                "通过 accepted; transit has version 2 Active",
            ),
            self.step(
                Words("放弃变更", "Another tier is signed off by mistake; the change is given up before it is written"),
                &with(
                    &[&self.signed_off("--kind tier --tier EMPLOYMENT")],
                    &[clerk.clone(), self.office("change give-up --id $CHANGE_ID")],
                ),
                r#""state":"GIVEN_UP""#,
            ),
            self.step(
                Words("换证", "The card breaks and is destroyed; another one is decided with a new photo; its first card is spoilt, the order given up; the next one is good"),
                &with(
                    &[
                        &[
                            clerk,
                            self.office("card damaged --card $CARD_NUMBER"),
                            self.office("card replace --card $CARD_NUMBER"),
                            self.office("card set-aside --card $CARD_NUMBER --reason DAMAGED"),
                            self.sign_in(StaffRole::Approver),
                            self.office("card destroyed --card $CARD_NUMBER"),
                        ],
                        &self.photo(),
                        &[self.completed("card-2")],
                        &self.decided("card-2"),
                        &self.ordered("order-2"),
                        &[
                            self.sign_in(StaffRole::Producer),
                            self.office("give-up --order $ORDER_ID"),
                        ],
                        &self.ordered("order-3"),
                        &self.handed_over(),
                    ],
                    std::slice::from_ref(&tap),
                ),
                "通过 accepted, with another card_number",
            ),
            self.step(
                Words("谁看过照片", "The auditor asks who looked at the photo"),
                &[
                    self.sign_in(StaffRole::Auditor),
                    format!(
                        r#"issuer photo reads --dir "$I" --application $APPLICATION_ID{}"#,
                        self.at
                    ),
                ],
                "每次查看一行 one line for each look",
            ),
        ];
        if self.later > self.day {
            life.push(Step {
                title: Words("快一年以后", "Almost a year later: end `permit up` with Ctrl-C in its own shell, and start it on that day"),
                expect: "各处位置不变 everything is where it was",
                block: self.up.clone(),
                second_shell: false,
            });
        }
        let later = Self {
            environment: self.environment.clone(),
            file: self.file.clone(),
            at: if self.later == self.day {
                self.at.clone()
            } else {
                at(Some(self.later))
            },
            up: self.up.clone(),
            key: self.key.clone(),
            dir: self.dir.clone(),
            permit: self.permit.clone(),
            ..*self
        };
        life.push(later.step(
            Words("签注", "The yearly endorsement: proposed, signed off, written"),
            &with(
                &[&later.change("--kind endorse", true)],
                &[later.terminal("bus", BUS, "")],
            ),
            "通过 accepted, a year longer",
        ));
        life.push(later.step(
            Words(
                "交回",
                "The holder gives the card back; two people end its chip for good",
            ),
            &with(
                &[
                    &[
                        later.sign_in(StaffRole::ChangeClerk),
                        later.office("card returned --card $CARD_NUMBER"),
                    ],
                    &later.change("--kind end", true),
                ],
                &[later.terminal("bus", BUS, "")],
            ),
            "请持卡到受理点办理 refused (exit code 1)",
        ));
        life
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_applicants_are_people_whom_the_rules_grant_a_permit_on_any_day() {
        use permit_domain::ApplicantForm;
        let mut numbers = std::collections::BTreeSet::new();
        for day in ["2026-11-21", "2027-02-28", "2028-02-29", "2031-12-31"] {
            let day: Date = day.parse().unwrap();
            for number in [1, 2, 7, 499] {
                let form = ApplicantForm::from_json(&applicant(number, day)).unwrap();
                let one = form
                    .into_applicant(day)
                    .unwrap_or_else(|errors| panic!("{errors}"));
                numbers.insert(one.citizen_number.to_string());
            }
        }
        assert_eq!(numbers.len(), 4);
    }

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        for path in ["/home/me/town", "/tmp/it's here $HOME", "/tmp/\"a\" `b`\\"] {
            let echoed = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(Path::new(path)))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(echoed.stdout).unwrap(), path);
        }
    }
}
