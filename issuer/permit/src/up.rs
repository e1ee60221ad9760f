//! `permit up`: the installation of the demo, kept running: HTTP API of the office, production of ordered cards, the
//! vault, the photo store, and a reader with a card.

use std::process::ExitCode;
use std::time::Duration;

use issuer::api::Api;
use issuer::production::Station;
use issuer::staff::StaffRole;
use permit_domain::{Order, Step};
use serde_json::json;
use tokio::net::TcpListener;

use crate::UpArguments;
use crate::failure::{Exit, Failure};
use crate::inside::Interrupts;
use crate::installation::{Installation, account};
use crate::report::{self, Steps};

const SCHEMA: &str = "yzt.up/1";
/// How often the worker looks for an order that waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs until somebody interrupts it: that is its ordinary end.
pub(crate) async fn run(arguments: &UpArguments) -> Result<ExitCode, Failure> {
    let mut interrupts = Interrupts::receive()?;
    tokio::select! {
        outcome = up(arguments) => outcome.map(|()| ExitCode::SUCCESS),
        _ = interrupts.come() => {
            eprintln!("\n  · ended; the folder is kept");
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn up(arguments: &UpArguments) -> Result<(), Failure> {
    eprintln!("一证通 Yizhengtong: permit up\n");
    let mut steps = Steps::for_standard_error();
    let installation = Installation::start(&arguments.common, &mut steps).await?;
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
        .map_err(|error| Failure::machine("the listener has no address", &error))?;
    let api = Api::new(installation.office().clone(), installation.staff.clone()).router();
    tell(&installation, address, arguments.common.json);
    let server = tokio::spawn(async move { axum::serve(listener, api).await });
    let worked = Box::pin(work(installation)).await;
    server.abort();
    worked
}

/// Where everything is, and what to try.
fn tell(installation: &Installation, address: std::net::SocketAddr, as_json: bool) {
    let folder = installation.folder.path();
    let url = format!("http://{address}");
    let token = |role| folder.join("issuer").join(format!("{}.token", account(role)));
    let application = folder.join("samples").join("applicant-li-na.json");
    let commands = [
        format!("curl {url}/readyz"),
        format!(
            "curl -X POST {url}/v1/applications -H \"Authorization: Bearer $(cat {})\" -H \"Idempotency-Key: $(uuidgen)\" -H 'Content-Type: application/json' -d @{}",
            token(StaffRole::IntakeClerk).display(),
            application.display()
        ),
    ];
    if as_json {
        let value = json!({
            "dir": folder,
            "url": url,
            "transport": installation.place.transport(),
            "reader": installation.place.reader(),
            "commands": commands,
        });
        if let serde_json::Value::Object(fields) = value {
            report::object(SCHEMA, true, fields);
        }
        return;
    }
    println!("\n  网址 URL     {url}   (OpenAPI: issuer/openapi.json)");
    println!("  目录 folder  {}", folder.display());
    println!(
        "  口令 tokens  {}/issuer/*.token, one for each member of staff",
        folder.display()
    );
    println!("  下一步 next  {}", commands.join("\n               "));
    println!("  结束 end     Ctrl-C");
}

/// Produces what is ordered, one card at a time, until a service of ours ends.
async fn work(mut installation: Installation) -> Result<(), Failure> {
    let installation_office = installation.office().clone();
    loop {
        for service in &mut installation.services {
            if !service.runs() {
                return Err(Failure::absent(service.name(), service.log()));
            }
        }
        let waiting = installation_office.store().running_orders().await?;
        let waiting = waiting.into_iter().find(|order| {
            order
                .state()
                .next_step()
                .is_some_and(|step| step != Step::HandOver)
        });
        match waiting {
            Some(order) => {
                // One failed order must not stop the others: the ledger says where it stands, and it is tried again.
                if let Err(failure) = produce(&installation, order).await {
                    eprintln!(
                        "  ✗ {} [{}]\n    → {}",
                        failure.message, failure.code, failure.action
                    );
                    tokio::time::sleep(10 * LOOK_EVERY).await;
                }
            }
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

async fn produce(installation: &Installation, order: Order) -> Result<(), Failure> {
    let serial = match order.state().card() {
        Some(card) => card.serial,
        None => installation.free_blank().await?,
    };
    installation.insert(serial)?;
    let mut station = Station::new(installation.connect(serial)?);
    let mut steps = Steps::for_standard_error();
    let mut observe = |step: &issuer::production::StepReport| {
        steps.done(step.name, step.actor.clone(), step.ms);
    };
    installation
        .production
        .run(order.id(), &mut station, &mut observe)
        .await?;
    Ok(())
}
