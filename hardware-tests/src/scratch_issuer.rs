//! An installation in one process: a vault founded by custodians, opened by their shares, with an enrolled issuer, its
//! orders, a lot of blanks and terminals. The vault is the real one behind its real protocol, over a stream in memory.
//!
//! Left out on purpose: the vault's sandbox and its own process, which the program `keyvault` and `permit` show.

use scratch_vault::{Approved as _, Everybody, Outfit};
use std::path::Path;
use std::sync::Arc;

use card_applet_spec::crypto::{PrivateKey, PublicKey};
use card_reader::relay::{Relayed, relay};
use card_reader::transport::Transport;
use card_reader::{Bundle, Card, Pinned, TerminalKey};
use jiff::{Timestamp, ToSpan};
use keyvault::Vault;
use keyvault::custody::ceremony::{self, Custodian, Plan};
use keyvault::custody::protection::Cost;
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault_protocol::{
    Anchors, BundleKind, CardResult, CardTask, LotRequest, OrderSession, PointBytes, Script, TaskKind,
};
use program_contract::{Clock, Founded, day};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_core::Rng;
use tokio::io::DuplexStream;
use tokio::runtime::Runtime;
use virtual_card::blank::{Blank, from_lot};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::sample;

/// Seed of the rehearsal installation: known to everybody, so that a blank for tests can be loaded with its keys.
pub const REHEARSAL: [u8; 32] = *b"yizhengtong rehearsal, no secret";

/// Cards of one order, and blanks of the lot.
const CARDS: u32 = 1000;
/// Lot of the blanks.
const LOT: [u8; 4] = [0, 0, 0, 1];
/// Number of the issuer in the serials.
const ISSUER: [u8; 2] = [0, 1];
/// Name of the issuer in the vault.
const ISSUER_NAME: &str = "hardware-tests";
/// Name of the card profile.
const PROFILE: &str = "resident-1";

/// A vault that stands open, with what is around it.
pub struct ScratchIssuer {
    runtime: Runtime,
    vault: Arc<Vault>,
    client: Everybody<DuplexStream>,
    order: OrderSession,
    anchors: Anchors,
    card_ca: PublicKey,
    maker: PrivateKey,
    lot: Vec<u8>,
    rng: StdRng,
}

impl std::fmt::Debug for ScratchIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScratchIssuer(..)")
    }
}

/// A terminal: its keys and its bundle.
#[derive(Debug)]
pub struct Enrolled {
    /// Keys.
    pub key: TerminalKey,
    /// Bundle.
    pub bundle: Bundle,
}

impl ScratchIssuer {
    /// Founds a vault in a folder that is absent or empty, two shares of three, and opens it. Everything random comes
    /// from `seed`, so that two installations of one seed are the same.
    ///
    /// # Errors
    ///
    /// [`Error`]: a failure of disk or machine.
    pub fn found(folder: &Path, seed: [u8; 32]) -> Result<Self, Error> {
        let mut rng = StdRng::from_seed(seed);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // Noon of the day.
        let now = day::begins(sample::TODAY) + 12.hours();
        let vault = runtime.block_on(open_vault(folder, now, &mut rng))?;
        let mut client = runtime.block_on(connect(&vault))?;

        let service = scratch_vault::officer(ISSUER_NAME);
        let maker = PrivateKey::generate(&mut rng);
        let order = keyvault_protocol::Order {
            order: random(&mut rng),
            issuer: ISSUER_NAME.to_owned(),
            profile: PROFILE.to_owned(),
            cards: CARDS,
            tasks: vec![
                TaskKind::Personalise,
                TaskKind::Activate,
                TaskKind::Block,
                TaskKind::Inspect,
                TaskKind::Update,
            ],
            station: "bench".to_owned(),
            from: now,
            until: now.saturating_add(24.hours()).unwrap_or(now),
        }
        .sign(&service)?;
        let (order, anchors, lot) = runtime.block_on(async {
            let order = client.open_order(&order).await?;
            let anchors = client.anchors().await?;
            let lot = client
                .export_lot(&LotRequest {
                    issuer: ISSUER,
                    lot: LOT,
                    first: 1,
                    count: CARDS,
                    maker: "card maker".to_owned(),
                    maker_key: maker.public().to_point65(),
                })
                .await?;
            Ok::<_, Error>((order, anchors, lot))
        })?;
        let card_ca = PublicKey::from_point65(&anchors.card_ca)?;
        Ok(Self {
            runtime,
            vault,
            client,
            order,
            anchors,
            card_ca,
            maker,
            lot,
            rng,
        })
    }

    /// Blank `number` of the lot, counted from 1.
    ///
    /// # Errors
    ///
    /// [`Error::VirtualCard`]: there is no such blank.
    pub fn blank(&self, number: u32) -> Result<Blank, Error> {
        Ok(from_lot(
            Path::new("the lot"),
            &self.lot,
            &self.maker,
            &self.card_ca,
            number,
        )?)
    }

    /// The random source of everything outside of the vault.
    pub fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// Seals the vault.
    ///
    /// # Errors
    ///
    /// [`Error::Vault`].
    pub fn seal(&mut self) -> Result<(), Error> {
        Ok(self.runtime.block_on(self.vault.seal("hardware-tests"))?)
    }

    /// Breaks the stream to the vault and makes a new one, as after a restart of the issuer.
    ///
    /// # Errors
    ///
    /// [`Error::VaultClient`].
    pub fn reconnect(&mut self) -> Result<(), Error> {
        self.client = self.runtime.block_on(connect(&self.vault))?;
        Ok(())
    }

    /// Runs a task for the card on `transport`: resets it, selects the application, and carries the vault's commands
    /// until the vault says that it is done. After trouble the same call with the same task finishes what is left.
    ///
    /// # Errors
    ///
    /// Trouble with the reader ([`Error::transport`]), or the vault's refusal.
    pub fn write(
        &mut self,
        transport: &mut (impl Transport + ?Sized),
        index: u32,
        serial: [u8; 10],
        task: CardTask,
    ) -> Result<CardResult, Error> {
        Card::new(&mut *transport).reset()?.select()?;
        let mut script = self
            .runtime
            .block_on(self.client.start_card(&self.order, index, serial, task))?;
        loop {
            let commands = match script {
                Script::Done(result) => return Ok(*result),
                Script::Send { commands } => commands,
            };
            let Relayed { answers, lost } = relay(&mut *transport, &commands);
            let next = self
                .runtime
                .block_on(self.client.continue_card(&self.order, index, answers));
            match lost {
                // The vault now knows that the outcome is unknown, and says so; the reader's trouble says why.
                Some(error) => return Err(error.into()),
                None => script = next?,
            }
        }
    }

    /// Asks the vault for something else, under the order.
    ///
    /// # Errors
    ///
    /// The vault's refusal.
    pub fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(
            &mut Everybody<DuplexStream>,
            &OrderSession,
        ) -> Result<T, keyvault_protocol::Error>,
    ) -> Result<T, Error> {
        Ok(self.runtime.block_on(question(&mut self.client, &self.order))?)
    }

    /// The public keys of the vault.
    #[must_use]
    pub fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// A new terminal with its bundle, for the sample's region: of this name, with a number behind it where there are
    /// others already.
    ///
    /// # Errors
    ///
    /// The vault's refusal.
    pub fn enrol(&mut self, kind: BundleKind, name: &str) -> Result<Enrolled, Error> {
        let pinned = Pinned {
            vault: self.anchors.vault,
            root: PublicKey::from_point65(&self.anchors.terminal_ca)?,
        };
        let known = self.runtime.block_on(self.client.terminals())?.len();
        let name = if known == 0 {
            name.to_owned()
        } else {
            format!("{name} ({known})")
        };
        let key = TerminalKey::generate(name.parse()?, pinned, &mut self.rng);
        let request = key.request();
        let sealed = self.bundle_for(kind, &name, request.sealing_key, request.authentication_key)?;
        let bundle = Bundle::open(&sealed, &key, None, sample::today()?)?;
        Ok(Enrolled { key, bundle })
    }

    /// The sealed bundle of a terminal with these public keys, for the sample's region.
    ///
    /// # Errors
    ///
    /// The vault's refusal.
    pub fn bundle_for(
        &mut self,
        kind: BundleKind,
        name: &str,
        sealing_key: PointBytes,
        authentication_key: PointBytes,
    ) -> Result<Vec<u8>, Error> {
        let request = Outfit {
            kind,
            terminal: name.to_owned(),
            sealing_key,
            authentication_key,
            regions: vec![sample::region()?],
            zones: 0b1,
            from: sample::TODAY,
            to: sample::TODAY.saturating_add(6.days()),
        };
        Ok(self.runtime.block_on(self.client.outfit(&request))?)
    }
}

async fn open_vault(folder: &Path, now: Timestamp, rng: &mut StdRng) -> Result<Arc<Vault>, Error> {
    let passphrase = |name: &str| Zeroizing::new(format!("rehearsal of {name}").into_bytes());
    let plan = Plan {
        folder: folder.join("vault"),
        out: folder.join("envelopes"),
        officers: scratch_vault::officers(),
        threshold: 2,
        custodians: ["one", "two", "three"]
            .map(|name| Custodian {
                name: name.to_owned(),
                passphrase: passphrase(name),
            })
            .into(),
        cost: Cost {
            memory_kib: 64,
            passes: 1,
        },
        founded: Founded::Rehearsal,
    };
    let created = ceremony::create(&plan, now, fork(rng)).await?;
    let vault = Vault::load(&plan.folder, Clock::fixed(now), fork(rng)).await?;
    for envelope in created.envelopes.iter().take(usize::from(plan.threshold)) {
        let envelope = ShareEnvelope::parse(&std::fs::read(envelope)?)?;
        let share = envelope.open(&passphrase(&envelope.custodian))?;
        scratch_vault::connect_custodian(&vault, &share)
            .await?
            .submit_share(&share)
            .await?;
    }
    Ok(vault)
}

/// Everybody whom the vault lets ask.
async fn connect(vault: &Arc<Vault>) -> Result<Everybody<DuplexStream>, Error> {
    Ok(scratch_vault::everybody(vault, ISSUER_NAME).await?)
}

/// A random source of its own, from another.
fn fork(rng: &mut StdRng) -> keyvault::Random {
    Box::new(StdRng::from_seed(random(rng)))
}

fn random<const N: usize>(rng: &mut StdRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}
