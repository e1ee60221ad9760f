//! `issuer serve`: the HTTP API until a signal.

use std::sync::Arc;

use issuer_api::Api;
use issuer_office::random::Random;
use issuer_office::staff::StaffFile;
use issuer_production::{HolderChecked, Production};
use issuer_web::{AtReader, Counter, Desk, FacesHere, OrderHere, PurseSeen, Written};
use permit_domain::{ChangeId, HandOverClerk, Maker, OrderId, PermitId, Producer, StaffId};
use program_contract::language::Words;
use program_contract::{Clock, Failure, Outcome, line};
use serde::Serialize;

use crate::command::failure;
use crate::command::place::{GRACE, Place, Stop};
use crate::command::station::station;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Serialize)]
struct Served {
    address: String,
}

program_contract::sentences! {
    fn serves_at(address) =
        "接口：http://{address} （按 Ctrl-C 停止）", "the API is at http://{address} (stop with Ctrl-C)";
    fn pages_are_at(address) = "窗口页面：{address}", "the counter's pages are at {address}";
}

/// The reader of this machine: one card is worked on at a time.
struct Reader(Arc<Production>);

/// Held while a card is worked on.
static AT_READER: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

impl Desk for Reader {
    fn makes_by_itself(&self) -> bool {
        false
    }

    fn make(&self, order: OrderId, maker: Maker) -> Option<AtReader> {
        let production = Arc::clone(&self.0);
        Some(Box::pin(async move {
            let _alone = AT_READER.lock().await;
            let mut station = station(None).await?;
            Ok(production.run(order, &mut station, &maker, &mut |_| {}).await?)
        }))
    }

    fn write_change(&self, change: ChangeId, producer: Producer) -> Written {
        let production = Arc::clone(&self.0);
        Box::pin(async move {
            let _alone = AT_READER.lock().await;
            let mut station = station(None).await?;
            production.write_change(change, &mut station, &producer).await?;
            Ok(())
        })
    }

    fn see_purse(&self, permit: PermitId) -> PurseSeen {
        let production = Arc::clone(&self.0);
        Box::pin(async move {
            let _alone = AT_READER.lock().await;
            let mut station = station(None).await?;
            Ok(production.see_purse(permit, &mut station).await?)
        })
    }

    fn order_here(&self) -> OrderHere {
        let production = Arc::clone(&self.0);
        Box::pin(async move {
            let _alone = AT_READER.lock().await;
            let mut station = station(None).await?;
            Ok(production.order_of_card(&mut station).await?)
        })
    }

    fn faces(&self, order: OrderId, by: StaffId) -> FacesHere {
        let production = Arc::clone(&self.0);
        Box::pin(async move { Ok(production.faces(order, &by).await?) })
    }

    fn hand_over(&self, order: OrderId, clerk: HandOverClerk, holder: HolderChecked) -> AtReader {
        let production = Arc::clone(&self.0);
        Box::pin(async move {
            let _alone = AT_READER.lock().await;
            let mut station = station(None).await?;
            Ok(production
                .hand_over(order, &mut station, clerk, holder, &mut |_| {})
                .await?)
        })
    }
}

impl Serve {
    /// The HTTP API until a signal.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let installation = self.place.open()?;
        let office = self.place.office(&installation, clock, random).await?;
        office.ready().await?;
        // Who may call is read at every call; a file that cannot be read now is told now.
        installation.staff()?;
        let mut api = Api::new(office.clone(), StaffFile::at(installation.staff_path()));
        let mut desk: Option<Box<dyn Desk>> = None;
        if installation.config().reader_here {
            api = api.with_station(issuer_production::check_reader);
            desk = Some(Box::new(Reader(Arc::new(
                installation.production(office.clone())?,
            ))));
        }
        let wanted = installation.config().listen;
        // A wrong setting is told before anything is served.
        installation.relying_party(wanted.port())?;
        let unusable = |error: std::io::Error| failure::cannot_listen(wanted.to_string(), error);
        let listener = tokio::net::TcpListener::bind(wanted).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let party = installation.relying_party(address.port())?;
        let pages = format!("{}/counter", party.origin());
        let signing_page = installation.signing_page(&party)?;
        let counter = Counter::new(
            office.clone(),
            StaffFile::at(installation.staff_path()),
            party,
            desk,
        )
        .with_public(installation.public())
        .with_signing_page(signing_page);
        let api = api.with_pages(counter.router());
        // Before the address is told: who reads it may stop us at once.
        let mut asked = Stop::listen()?;
        program_contract::tell!("issuer: ", serves_at(address.to_string()));
        program_contract::tell!("issuer: ", pages_are_at(pages));
        let (stop, stopping) = tokio::sync::watch::channel(false);
        let mut stopped = stopping.clone();
        let server = tokio::spawn(api.serve(listener, async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        }));
        asked.asked().await;
        let _ = stop.send(true);
        // A client that keeps its connection open does not keep the server.
        let _ = tokio::time::timeout(GRACE, server).await;
        office.close().await;
        Outcome::done(
            "yzt.serve/1",
            &Served {
                address: address.to_string(),
            },
            vec![line!("issuer: ", Words("已停止", "stopped"))],
        )
    }
}
