//! `permit up`: the installation of the demo, kept running: HTTP API of the office, production of ordered cards, the
//! vault, the photo store, a reader with a card, and the local socket for what a person does at this machine.
//!
//! The commands that it prints lead from an application to a card that a bus has read. They are for a shell: what an
//! answer gives under a key, such as `application_id`, the later commands take from the variable `$APPLICATION_ID`.

use std::path::Path;
use std::time::Duration;

use issuer_api::Api;
use issuer_office::card_content::CardContent;
use issuer_office::error::OfficeError;
use issuer_office::staff::{StaffFile, StaffRole};
use issuer_production::{HolderChecked, Station};
use jiff::civil::Date;
use permit_domain::{HandOverClerk, Maker, Order, Step};
use program_contract::{Clock, Exit, Failure, Language, Outcome, Program};
use serde_json::json;
use tokio::net::TcpListener;

use crate::arguments::{Checked, UpArguments};
use crate::installation::{Installation, Place, account, actor};
use crate::local_socket::{Asked, Done, LocalSocket, Question};
use crate::photo::take_photo;
use crate::private_pcscd::Interrupts;
use crate::report::Steps;
use crate::{failure, private_pcscd, process, showing};

pub(crate) const SCHEMA: &str = "yzt.up/1";
/// How often the worker looks for an order that waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs until somebody interrupts it: that is its ordinary end.
pub(crate) async fn run(arguments: &UpArguments, clock: &Clock, program: Program) -> Result<(), Failure> {
    let mut interrupts = Interrupts::receive()?;
    tokio::select! {
        outcome = up(arguments, clock, program) => outcome,
        _ = interrupts.come() => {
            eprintln!("\n  · ended; the folder is kept");
            Ok(())
        }
    }
}

async fn up(arguments: &UpArguments, clock: &Clock, program: Program) -> Result<(), Failure> {
    eprintln!("一证通 Yizhengtong: permit up\n");
    let mut steps = Steps::for_standard_error();
    let installation = Installation::start(&arguments.common, clock, &mut steps).await?;
    let listening = steps.begin("listen", "permit");
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
        Failure::new(
            Exit::Damaged,
            "ADDRESS",
            format!("{} cannot be listened on: {error}", arguments.listen),
            "Give another address or port with --listen.",
        )
    });
    let listener = steps.end(listening, listener)?;
    let address = listener
        .local_addr()
        .map_err(|error| failure::machine("the listener has no address", &error))?;
    let socket = installation.local_socket()?;
    let staff = StaffFile::at(installation.staff.clone());
    let api = Api::new(installation.office().clone(), staff);
    tell(&installation, address, arguments, program)?;
    let server = tokio::spawn(api.serve(listener, std::future::pending()));
    let worked = Box::pin(work(installation, socket, arguments.common.at)).await;
    server.abort();
    worked
}

/// Where everything is, and what to do next.
fn tell(
    installation: &Installation,
    address: std::net::SocketAddr,
    arguments: &UpArguments,
    program: Program,
) -> Result<(), Failure> {
    let folder = installation.folder.path();
    let url = format!("http://{address}");
    let commands = commands(installation, &url, arguments.common.at)?;
    let mut lines = vec![
        format!("\n  网址 URL     {url}   (OpenAPI: issuer/openapi.json)"),
        format!("  目录 folder  {}", folder.display()),
        format!(
            "  口令 tokens  {}/issuer/*.token, one for each member of staff",
            folder.display()
        ),
        "  结束 end     Ctrl-C".to_owned(),
        "  下一步 next  in another shell; after each command set the variables that the next one names, such as\n\
         \x20              APPLICATION_ID=..., from the keys of its answer\n"
            .to_owned(),
    ];
    lines.extend(commands.iter().map(|command| format!("{command}\n")));
    let value = json!({
        "dir": folder,
        "url": url,
        "transport": installation.place.transport(),
        "reader": installation.place.reader(),
        "commands": commands,
    });
    let told = Outcome::done(SCHEMA, &value, lines);
    // It is told once, and the program goes on; who does not hear it does not know where to go.
    let exit = program.end_to(
        &mut std::io::stdout().lock(),
        &mut std::io::sink(),
        Language::of_process(),
        SCHEMA,
        arguments.common.json,
        told,
    );
    if exit == Exit::Done {
        Ok(())
    } else {
        Err(Failure::new(
            Exit::Damaged,
            "OUTPUT",
            "nobody could be told where the installation is",
            "Give standard output to a program that reads it, and run the same command again.",
        ))
    }
}

/// From an application to a bus, command by command.
fn commands(installation: &Installation, url: &str, at: Option<Date>) -> Result<Vec<String>, Failure> {
    let folder = installation.folder.path();
    let samples = folder.join("samples");
    let own = std::env::current_exe()
        .map_err(|error| failure::machine("this program does not find itself", &error))?;
    let (own, dir) = (quoted(&own), quoted(folder));
    let token = |role| {
        let file = folder.join("issuer").join(format!("{}.token", account(role)));
        format!("-H \"Authorization: Bearer $(cat {})\"", quoted(&file))
    };
    let post = |path: &str, role, body: &str| {
        format!(
            "curl -sS -X POST {url}{path} {} -H \"Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)\" \
             -H 'Content-Type: application/json' -d {body}",
            token(role)
        )
    };
    let decision = "/v1/applications/$APPLICATION_ID/decision";
    Ok(vec![
        format!("curl -sS {url}/readyz"),
        post(
            "/v1/applications",
            StaffRole::IntakeClerk,
            &format!("@{}", quoted(&samples.join("applicant-li-na.json"))),
        ),
        post(decision, StaffRole::Reviewer, "'{\"step\":\"REVIEW\"}'"),
        post(decision, StaffRole::Approver, "'{\"step\":\"APPROVE\"}'"),
        format!(
            "{own} photo --dir {dir} --application $APPLICATION_ID --confirm --json {}",
            quoted(&samples.join("photo.png"))
        ),
        post(
            "/v1/orders",
            StaffRole::Producer,
            r#""{\"permit_id\":\"$PERMIT_ID\",\"photo_receipt\":\"$PHOTO_RECEIPT\"}""#,
        ),
        // Until its state is VERIFIED.
        format!(
            "curl -sS {url}/v1/orders/$ORDER_ID {}",
            token(StaffRole::Producer)
        ),
        format!("{own} hand-over --dir {dir} --order $ORDER_ID --checked holder --json"),
        bus(installation, "$CARD_SERIAL", at)?,
    ])
}

/// A bus reads the card that was handed over.
fn bus(installation: &Installation, serial: &str, at: Option<Date>) -> Result<String, Failure> {
    let reader = process::program("card-reader")?;
    let bundle = installation.folder.at("terminals").join("bus-m204.bundle");
    let name = installation
        .place
        .reader()
        .unwrap_or(virtual_card::pcscd::READERS[0]);
    let day = at.map(|day| format!(" --at {day}")).unwrap_or_default();
    let read = format!(
        "{} bus --reader '{name}' --bundle {} --json{day}",
        quoted(&reader),
        quoted(&bundle)
    );
    Ok(match (&installation.place, private_pcscd::service()) {
        (Place::InProcess, _) => format!(
            "{} reader --memory {}/{serial}.card -- {read}",
            quoted(&process::program("virtual-card")?),
            quoted(&installation.folder.at("cards"))
        ),
        (
            Place::Pcsc {
                manipulator: Some(_), ..
            },
            Some((service, _)),
        ) => {
            let (variable, socket) = service.environment();
            format!("{variable}={} {read}", quoted(&socket))
        }
        _ => read,
    })
}

/// A path as one word for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c))
    {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Produces what is ordered, one card at a time, and answers at the local socket between the cards, until a service of ours ends.
async fn work(
    mut installation: Installation,
    mut socket: LocalSocket,
    at: Option<Date>,
) -> Result<(), Failure> {
    let installation_office = installation.office().clone();
    loop {
        for service in &mut installation.services {
            if !service.runs() {
                return Err(failure::absent(service.name(), service.log()));
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
                    complain(&failure);
                    10 * LOOK_EVERY
                } else {
                    Duration::ZERO
                }
            }
            None => LOOK_EVERY,
        };
        tokio::select! {
            biased;
            asked = socket.next() => serve(&mut installation, asked, at).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn complain(failure: &Failure) {
    eprintln!(
        "  ✗ {} [{}]\n    → {}",
        failure.message, failure.code, failure.action
    );
}

/// Does what somebody asks at the local socket, and answers.
async fn serve(installation: &mut Installation, asked: Asked, at: Option<Date>) {
    let outcome = match &asked.question {
        Question::Photo { application, confirm } => {
            photo(installation, application, &asked.picture, *confirm).await
        }
        Question::HandOver { order, checked } => hand_over(installation, order, *checked, at).await,
    };
    if let Err(failure) = &outcome {
        complain(failure);
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

/// Activates the card for its holder, and gives the terminals of its region what they need to read it.
async fn hand_over(
    installation: &mut Installation,
    order: &str,
    checked: Checked,
    at: Option<Date>,
) -> Result<Done, Failure> {
    let order = installation
        .office()
        .order_status(order.parse().map_err(OfficeError::from)?)
        .await?;
    if !matches!(order.state().next_step(), Some(Step::HandOver) | None) {
        return Err(Failure::new(
            Exit::Refused,
            "NOT_VERIFIED",
            format!("the card of this order is not verified: {}", order.state().name()),
            "Wait until the order's state is VERIFIED, and run the same command again.",
        ));
    }
    let Some(card) = order.state().card() else {
        return Err(Failure::new(
            Exit::Refused,
            "NO_CARD_TO_HAND_OVER",
            format!("this order has no card: {}", order.state().name()),
            "Order the card again.",
        ));
    };
    installation.insert(card.serial)?;
    let mut station = Station::new(installation.connect(card.serial)?);
    let clerk: HandOverClerk = actor(StaffRole::HandOverClerk)?;
    let holder = match checked {
        Checked::Holder => HolderChecked::Holder,
        Checked::Agent => HolderChecked::Agent,
    };
    let mut steps = Steps::for_standard_error();
    let mut observe = |step: &issuer_production::StepReport| {
        steps.done(step.name, step.actor.clone(), step.ms);
    };
    let handed = installation
        .production
        .hand_over(order.id(), &mut station, clerk, holder, &mut observe)
        .await?;
    // The terminals read it over connections of their own.
    drop(station);
    let region = CardContent::from_content(handed.content()).and_then(|content| content.region());
    let region = region.map_err(OfficeError::from)?;
    let sealing = steps.begin(
        "enrol the terminals of the region; seal their bundles",
        "key officer",
    );
    let sealed = showing::terminals(installation, region).await;
    steps.end(sealing, sealed)?;
    let commands = [bus(installation, &card.serial.to_string(), at)?];
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

async fn produce(installation: &Installation, order: Order) -> Result<(), Failure> {
    let serial = match order.state().card() {
        Some(card) => card.serial,
        None => installation.free_blank().await?,
    };
    installation.insert(serial)?;
    let mut station = Station::new(installation.connect(serial)?);
    let mut steps = Steps::for_standard_error();
    // Nobody is signed in: it is the installation's own worker.
    let maker = Maker::Service("worker".parse().map_err(OfficeError::from)?);
    let mut observe = |step: &issuer_production::StepReport| {
        steps.done(step.name, step.actor.clone(), step.ms);
    };
    installation
        .production
        .run(order.id(), &mut station, &maker, &mut observe)
        .await?;
    Ok(())
}
