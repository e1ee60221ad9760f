//! `permit up`: the installation of the demo, kept running: HTTP API of the office, production of ordered cards, the
//! vault, the photo store, a reader with a card, and the local socket for what a person does at this machine.
//!
//! Everything is where it was at the last start. The commands that it prints, and the whole life of a card in `walk.md`, are
//! for a second shell; [`crate::walk`] makes them.

use std::net::SocketAddr;
use std::time::Duration;

use issuer::installation::{Config, Installation as IssuerInstallation};
use issuer_api::Api;
use issuer_office::card_content::CardContent;
use issuer_office::error::OfficeError;
use issuer_office::staff::{StaffFile, StaffRole};
use issuer_office::webauthn::RelyingParty;
use issuer_production::{Faces, HolderChecked, Station};
use issuer_web::{
    AtReader, Counter, Desk, FacesHere, OrderHere, PurseSeen, SimulatedIdentityReader, Written,
};
use keyvault_protocol::Region;
use permit_domain::{
    ChangeId, HandOverClerk, Maker, Order, OrderId, PermitId, Producer, Purse, StaffId, Step,
};
use program_contract::language::Words;
use program_contract::{Clock, Exit, Failure, Language, Outcome, Program, line};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::arguments::{Checked, UpArguments};
use crate::folder::Folder;
use crate::installation::{ANY_PORT, Installation, actor, listened};
use crate::local_socket::{Asked, Done, LocalSocket, Question};
use crate::photo::take_photo;
use crate::private_pcscd::Interrupts;
use crate::report::Steps;
use crate::{failure, private_pcscd, report, signing, terminals, walk};

pub(crate) const SCHEMA: &str = "yzt.up/1";
/// How often the worker looks for an order that waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs until somebody interrupts it: that is its ordinary end.
pub(crate) async fn run(arguments: &UpArguments, clock: &Clock, program: Program) -> Result<(), Failure> {
    let mut interrupts = Interrupts::receive()?;
    tokio::select! {
        outcome = up(arguments, clock, program) => outcome,
        _ = interrupts.come() => {
            report::say_of(Words(
                "\n  · 已结束，目录保留",
                "\n  · ended; the folder is kept",
            ));
            Ok(())
        }
    }
}

async fn up(arguments: &UpArguments, clock: &Clock, program: Program) -> Result<(), Failure> {
    report::say("一证通 Yizhengtong: permit up\n");
    let mut steps = Steps::for_standard_error();
    let folder = private_pcscd::folder(&arguments.common)?;
    let listening = steps.begin(Words("开始监听", "listen"), "permit");
    let listener = steps.end(listening, listen(&folder, arguments.listen).await)?;
    let address = listener.local_addr().map_err(|error| {
        failure::machine(Words("监听套接字没有地址", "the listener has no address"), &error)
    })?;
    let installation =
        Installation::start(folder, &arguments.common, Some(address), clock, &mut steps).await?;
    let supplying = steps.begin(
        Words(
            "为各终端发放密钥：公交、诊所、门禁、社保、商户、柜台",
            "give every terminal its keys: bus, clinic, door, desk, shop, counter",
        ),
        Words("密钥管理员", "key officer"),
    );
    installation.lay_back()?;
    let regions = vec![walk::region()?];
    let supplied = terminals::supply(&installation, &regions).await;
    steps.end(supplying, supplied)?;
    let socket = installation.local_socket()?;
    let staff = || StaffFile::at(installation.staff.clone());
    let mut api = Api::new(installation.office().clone(), staff());
    if installation.place.reader().is_some() {
        api = api.with_station(issuer_production::check_reader);
    }
    let (desk, at_desk) = mpsc::channel(1);
    let public = IssuerInstallation::new(&installation.folder.at("issuer"), Config::default()).public();
    let signing_page = signing::serve(&installation, address).await?;
    let counter = Counter::new(
        installation.office().clone(),
        staff(),
        RelyingParty::on_this_machine(address.port()),
        Some(Box::new(Town(desk))),
    )
    .with_public(public)
    .with_signing_page(Some(signing_page))
    .with_identity_reader(Box::new(SimulatedIdentityReader::default()));
    let api = api.with_pages(counter.router());
    tell(&installation, address, arguments.common.json, program).await?;
    let server = tokio::spawn(api.serve(listener, std::future::pending()));
    let worked = Box::pin(work(installation, socket, at_desk, regions)).await;
    server.abort();
    worked
}

/// Listens where it was asked to, or where the last start did, or else on a free port of this machine.
async fn listen(folder: &Folder, wanted: Option<SocketAddr>) -> Result<TcpListener, Failure> {
    if let (None, Some(last)) = (wanted, listened(folder))
        && let Ok(listener) = TcpListener::bind(last).await
    {
        return Ok(listener);
    }
    let address = wanted.unwrap_or(ANY_PORT);
    TcpListener::bind(address)
        .await
        .map_err(|error| failure::address(address.to_string(), error))
}

/// Where everything is, and what to do next.
async fn tell(
    installation: &Installation,
    address: SocketAddr,
    json: bool,
    program: Program,
) -> Result<(), Failure> {
    let folder = installation.folder.path();
    let url = format!("http://{address}");
    // By its name: an address of digits cannot have an authenticator.
    let counter = format!("http://localhost:{}/counter", address.port());
    let walk = walk::write(installation, &url).await?;
    let tokens = format!("{}/issuer/*.token", folder.display());
    let mut lines = vec![
        line!(
            "\n  ",
            Words("网址", "URL"),
            "  ",
            &url,
            Words(
                "（接口说明：`issuer openapi`）",
                " (described by `issuer openapi`)"
            )
        ),
        line!(
            "  ",
            Words("窗口", "counter"),
            "  ",
            &counter,
            Words("（用浏览器打开）", " (open it in a browser)")
        ),
        line!("  ", Words("目录", "folder"), "  ", folder.display()),
        line!(
            "  ",
            Words("令牌", "tokens"),
            "  ",
            tokens,
            "  ",
            Words("每人一个", "one for each member of staff")
        ),
        line!(
            "  ",
            Words("全程", "a life"),
            "  ",
            walk.file.display(),
            "  ",
            Words(
                "一张卡从申领到签注的每条命令",
                "every command, from the application to the endorsement"
            )
        ),
        line!(
            "  ",
            Words("套接字", "sockets"),
            "  ",
            installation.sockets.display()
        ),
        line!(
            "  ",
            Words("用户", "user"),
            "  ",
            Words(
                "所有程序同属一个系统用户：进入其一者可读全部文件，仅供试用（docs/operations.md）",
                "one Unix user for all programs: who gets into one reads the files of all; for trying only (docs/operations.md)"
            )
        ),
        line!("  ", Words("结束", "end"), "  Ctrl-C"),
        line!(
            "\n  ",
            Words("下一步，在另一个命令行里：", "next, in another shell:"),
            "\n"
        ),
    ];
    lines.extend(
        walk.first
            .iter()
            .map(|step| line!("# ", step.title, "\n", &step.block, "\n")),
    );
    let commands: Vec<&str> = walk.first.iter().map(|step| step.block.as_str()).collect();
    let value = json!({
        "dir": folder,
        "url": url,
        "counter": counter,
        "transport": installation.place.transport(),
        "reader": installation.place.reader(),
        "sockets": installation.sockets,
        "environment": walk.environment,
        "walk": walk.file,
        "commands": commands,
    });
    let told = Outcome::done(SCHEMA, &value, lines);
    // It is told once, and the program goes on; who does not hear it does not know where to go.
    let exit = program.end_to(
        &mut std::io::stdout().lock(),
        &mut std::io::sink(),
        Language::of_process(),
        SCHEMA,
        json,
        told,
    );
    if exit == Exit::Done {
        Ok(())
    } else {
        Err(failure::ending(exit, failure::untold()))
    }
}

/// Produces what is ordered, one card at a time, answers at the local socket between the cards, and gives the terminals new
/// bundles each day, until a service of ours ends.
async fn work(
    mut installation: Installation,
    mut socket: LocalSocket,
    mut at_desk: mpsc::Receiver<AtDesk>,
    mut regions: Vec<Region>,
) -> Result<(), Failure> {
    let installation_office = installation.office().clone();
    let mut supplied = installation.today();
    loop {
        if supplied != installation.today() {
            supplied = installation.today();
            if let Err(failure) = terminals::supply(&installation, &regions).await {
                report::trouble(&failure);
            }
        }
        for service in &mut installation.services {
            if !service.runs() {
                return Err(failure::absent(service.name(), service.log().display()));
            }
        }
        let waiting = installation_office.running_orders().await?;
        let waiting = waiting.into_iter().find(|order| {
            order
                .state()
                .next_step()
                .is_some_and(|step| step != Step::HandOver)
        });
        let pause = match waiting {
            Some(order) => {
                // One failed order must not stop the others: the ledger says where it stands, and it is tried again.
                if let Err(failure) = Box::pin(produce(&installation, order)).await {
                    report::trouble(&failure);
                    10 * LOOK_EVERY
                } else {
                    Duration::ZERO
                }
            }
            None => LOOK_EVERY,
        };
        tokio::select! {
            biased;
            asked = socket.next() => serve(&installation, asked, &mut regions).await,
            Some(asked) = at_desk.recv() => Box::pin(at_the_desk(&installation, asked, &mut regions)).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Does what somebody asks at the local socket, and answers.
async fn serve(installation: &Installation, asked: Asked, regions: &mut Vec<Region>) {
    let outcome = match &asked.question {
        Question::Photo { application, confirm } => {
            photo(installation, application, &asked.picture, *confirm).await
        }
        Question::HandOver { order, checked } => hand_over(installation, order, *checked, regions).await,
    };
    if let Err(failure) = &outcome {
        report::trouble(failure);
    }
    asked.answer(outcome).await;
}

async fn photo(
    installation: &Installation,
    application: &str,
    picture: &[u8],
    confirm: bool,
) -> Result<Done, Failure> {
    let case = installation
        .office()
        .application(application.parse().map_err(OfficeError::from)?)
        .await?;
    let mut steps = Steps::for_standard_error();
    let receipt = take_photo(installation, &mut steps, &case, picture, confirm).await?;
    let mut done = Done::default();
    done.fields
        .insert("photo_receipt".into(), receipt.to_string().into());
    done.lines.push(receipt.to_string());
    Ok(done)
}

/// Activates the card for its holder. Terminals get what they need to read it, if it is of another region than theirs.
async fn hand_over(
    installation: &Installation,
    order: &str,
    checked: Checked,
    regions: &mut Vec<Region>,
) -> Result<Done, Failure> {
    let clerk: HandOverClerk = actor(StaffRole::HandOverClerk)?;
    let holder = match checked {
        Checked::Holder => HolderChecked::Holder,
        Checked::Agent => HolderChecked::Agent,
    };
    let handed = activate(installation, order, clerk, holder, regions).await?;
    let Some(card) = handed.state().card() else {
        return Err(failure::no_card(handed.state().name()));
    };
    let commands = [walk::bus(installation, &card.serial.to_string())?];
    let mut done = Done::default();
    if let serde_json::Value::Object(fields) = json!({
        "order_id": handed.id().to_string(),
        "state": handed.state().name(),
        "card_number": card.number.to_string(),
        "card_serial": card.serial.to_string(),
        "commands": commands,
    }) {
        done.fields = fields;
    }
    done.lines.push(format!(
        "{} {} {}",
        handed.state().name(),
        card.number,
        card.serial
    ));
    done.lines.extend(commands);
    Ok(done)
}

/// Lays the order's card on the reader and activates it for its holder. Terminals get what they need to read it.
async fn activate(
    installation: &Installation,
    order: &str,
    clerk: HandOverClerk,
    holder: HolderChecked,
    regions: &mut Vec<Region>,
) -> Result<Order, Failure> {
    let order = installation
        .office()
        .order_status(order.parse().map_err(OfficeError::from)?)
        .await?;
    if !matches!(order.state().next_step(), Some(Step::HandOver) | None) {
        return Err(failure::not_verified(order.state().name()));
    }
    let Some(card) = order.state().card() else {
        return Err(failure::no_card(order.state().name()));
    };
    installation.insert(card.serial)?;
    let mut station = Station::new(installation.connect(card.serial)?);
    let mut steps = Steps::for_standard_error();
    let mut observe = |step: &issuer_production::StepReport| {
        steps.done(step.name, step.actor.clone(), true, step.ms);
    };
    let handed = installation
        .production
        .hand_over(order.id(), &mut station, clerk, holder, &mut observe)
        .await?;
    // The terminals read it over connections of their own.
    drop(station);
    let region = CardContent::from_content(handed.content()).and_then(|content| content.region());
    let region = region.map_err(OfficeError::from)?;
    if !regions.contains(&region) {
        regions.push(region);
        let sealing = steps.begin(
            Words("为卡所属地区密封凭证包", "seal bundles with the card's region"),
            Words("密钥管理员", "key officer"),
        );
        let sealed = terminals::supply(installation, regions).await;
        steps.end(sealing, sealed)?;
    }
    Ok(handed)
}

/// The desk of the town: cards are made as they are ordered, and laid on the reader for whatever else a page of the counter asks.
struct Town(mpsc::Sender<AtDesk>);

/// What a page of the counter asks of the reader, and where its answer goes.
enum AtDesk {
    HandOver {
        order: OrderId,
        clerk: HandOverClerk,
        holder: HolderChecked,
        answer: oneshot::Sender<Result<Order, Failure>>,
    },
    Write {
        change: ChangeId,
        producer: Producer,
        answer: oneshot::Sender<Result<(), Failure>>,
    },
    SeePurse {
        permit: PermitId,
        answer: oneshot::Sender<Result<Purse, Failure>>,
    },
    OrderHere {
        answer: oneshot::Sender<Result<Option<OrderId>, Failure>>,
    },
    Faces {
        order: OrderId,
        by: StaffId,
        answer: oneshot::Sender<Result<Faces, Failure>>,
    },
}

impl Town {
    /// Asks, and waits for the answer.
    async fn ask<T>(
        desk: mpsc::Sender<AtDesk>,
        question: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> AtDesk,
    ) -> Result<T, Failure> {
        let ended = || Failure::internal(Words("制卡工作已结束", "the work at the reader has ended"));
        let (answer, answered) = oneshot::channel();
        desk.send(question(answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Desk for Town {
    fn makes_by_itself(&self) -> bool {
        true
    }

    fn make(&self, _: OrderId, _: Maker) -> Option<AtReader> {
        None
    }

    fn write_change(&self, change: ChangeId, producer: Producer) -> Written {
        Box::pin(Self::ask(self.0.clone(), move |answer| AtDesk::Write {
            change,
            producer,
            answer,
        }))
    }

    fn see_purse(&self, permit: PermitId) -> PurseSeen {
        Box::pin(Self::ask(self.0.clone(), move |answer| AtDesk::SeePurse {
            permit,
            answer,
        }))
    }

    fn order_here(&self) -> OrderHere {
        Box::pin(Self::ask(self.0.clone(), |answer| AtDesk::OrderHere { answer }))
    }

    fn faces(&self, order: OrderId, by: StaffId) -> FacesHere {
        Box::pin(Self::ask(self.0.clone(), move |answer| AtDesk::Faces {
            order,
            by,
            answer,
        }))
    }

    fn hand_over(&self, order: OrderId, clerk: HandOverClerk, holder: HolderChecked) -> AtReader {
        Box::pin(Self::ask(self.0.clone(), move |answer| AtDesk::HandOver {
            order,
            clerk,
            holder,
            answer,
        }))
    }
}

/// Does what a page of the counter asks, and answers. A page that is gone hears nothing; asking again says what was done.
async fn at_the_desk(installation: &Installation, asked: AtDesk, regions: &mut Vec<Region>) {
    let failed = match asked {
        AtDesk::HandOver {
            order,
            clerk,
            holder,
            answer,
        } => {
            let done = activate(installation, &order.to_string(), clerk, holder, regions).await;
            let failed = done.as_ref().err().cloned();
            let _ = answer.send(done);
            failed
        }
        AtDesk::Write {
            change,
            producer,
            answer,
        } => {
            let done = write_change(installation, change, &producer).await;
            let failed = done.as_ref().err().cloned();
            let _ = answer.send(done);
            failed
        }
        AtDesk::SeePurse { permit, answer } => {
            let done = see_purse(installation, permit).await;
            let failed = done.as_ref().err().cloned();
            let _ = answer.send(done);
            failed
        }
        AtDesk::OrderHere { answer } => {
            let done = order_here(installation).await;
            let failed = done.as_ref().err().cloned();
            let _ = answer.send(done);
            failed
        }
        AtDesk::Faces { order, by, answer } => {
            let done = installation.production.faces(order, &by).await;
            let done = done.map_err(Failure::from);
            let failed = done.as_ref().err().cloned();
            let _ = answer.send(done);
            failed
        }
    };
    if let Some(failure) = failed {
        report::trouble(&failure);
    }
}

/// Lays the change's card on the reader and writes it.
async fn write_change(
    installation: &Installation,
    change: ChangeId,
    producer: &Producer,
) -> Result<(), Failure> {
    let stored = installation.office().change(change).await?;
    let serial = stored.change.card().serial;
    installation.insert(serial)?;
    let mut station = Station::new(installation.connect(serial)?);
    installation
        .production
        .write_change(change, &mut station, producer)
        .await?;
    Ok(())
}

/// Lays the permit's card on the reader and reads its purse.
async fn see_purse(installation: &Installation, permit: PermitId) -> Result<Purse, Failure> {
    let serial = installation.office().card_in_use(permit).await?.serial;
    installation.insert(serial)?;
    let mut station = Station::new(installation.connect(serial)?);
    Ok(installation.production.see_purse(permit, &mut station).await?)
}

/// The order of the card that lies on the reader.
async fn order_here(installation: &Installation) -> Result<Option<OrderId>, Failure> {
    let Some(serial) = installation.lies_there() else {
        return Ok(None);
    };
    let mut station = Station::new(installation.connect(serial)?);
    Ok(installation.production.order_of_card(&mut station).await?)
}

async fn produce(installation: &Installation, order: Order) -> Result<(), Failure> {
    let serial = match order.state().card() {
        Some(card) => card.serial,
        None => installation.free_blank().await?,
    };
    installation.serve_region_of(&order).await?;
    installation.insert(serial)?;
    let mut station = Station::new(installation.connect(serial)?);
    let mut steps = Steps::for_standard_error();
    // Nobody is signed in: it is the installation's own worker.
    let maker = Maker::Service("worker".parse().map_err(OfficeError::from)?);
    let mut observe = |step: &issuer_production::StepReport| {
        steps.done(step.name, step.actor.clone(), true, step.ms);
    };
    installation
        .production
        .run(order.id(), &mut station, &maker, &mut observe)
        .await?;
    Ok(())
}
