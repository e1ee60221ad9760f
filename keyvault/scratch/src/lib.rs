//! The scratch vault: a real vault, made and opened in one go, for tests of what talks to a vault.
//!
//! Its passphrases are in this file and cost nothing to guess: it protects nothing, and is founded as a rehearsal, so that
//! nothing that it makes passes for real. Only tests depend on this crate. It is not the rehearsal installation (which a
//! person founds with the programs) nor a drill (which a running vault is put through).

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;
use keyvault::custody::ceremony::{self, Custodian, Officer, Plan};
use keyvault::custody::protection::Cost;
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault::serve::Server;
use keyvault::{Error, Random, Vault};
use keyvault_protocol::sealed::{self, Purpose};
use keyvault_protocol::{
    Attempt, BundleKind, BundleRequest, CallerEntry, CeilingUse, ChannelKey, Client, DataKey, Enrolment,
    Error as WireError, Identity, JournalPage, LineCheck, LotRequest, MAX_REQUEST_LIFE, OfficerAct,
    OfficersRequest, PhotoKeyContext, PointBytes, ReadJournal, RefusalCode, Region, RequestOutcome,
    RequestSigner, Role, RoleCompromised, RoleKeyInfo, SealedShare, SettlementLine, Share, SignedRequest,
    TerminalEnrolment, UnsealProgress, WrappedKey, sign_as_custodian,
};
use p256::SecretKey;
use p256::ecdsa::SigningKey;
use program_contract::{Clock, Founded};
use service_contract::Caller;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// Work per guess at a passphrase: next to none.
pub const COST: Cost = Cost {
    memory_kib: 64,
    passes: 1,
};

/// The custodians of a scratch vault; any two open it.
pub const CUSTODIANS: [&str; 3] = ["li", "wang", "zhang"];

/// The officers of a scratch vault.
pub const OFFICERS: [&str; 3] = ["chen", "sun", "zhou"];

/// The photo store of [`everybody`].
pub const PHOTO_STORE: &str = "scratch photo store";

/// The key of a scratch vault's officer, or of anybody whom a test gives a name: everybody can make it again.
///
/// # Panics
/// When the name's digest is no scalar of P-256, which no name's is.
#[must_use]
#[allow(
    clippy::expect_used,
    reason = "a digest that is no scalar is not found by chance"
)]
pub fn officer(name: &str) -> SigningKey {
    let digest = Sha256::digest(format!("scratch vault, key of {name}"));
    SigningKey::from_slice(&digest).expect("a scalar")
}

/// The officers, as a vault is founded with them.
#[must_use]
pub fn officers() -> Vec<Officer> {
    OFFICERS
        .iter()
        .map(|name| Officer {
            name: (*name).to_owned(),
            key: point(name),
        })
        .collect()
}

/// The public half of that key.
#[must_use]
pub fn point(name: &str) -> PointBytes {
    sealed::point_of(&officer(name).verifying_key().into())
}

/// A request for `act`, made now for `requester` and signed by nobody.
///
/// # Errors
/// [`keyvault_protocol::Error::Malformed`].
pub fn request(
    vault: [u8; 16],
    act: OfficerAct,
    requester: &str,
    now: Timestamp,
) -> Result<SignedRequest, keyvault_protocol::Error> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&MADE.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let made = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let request = OfficersRequest {
        vault,
        act,
        requester: requester.to_owned(),
        made,
        until: made.saturating_add(MAX_REQUEST_LIFE).unwrap_or(made),
        nonce,
    };
    request.unsigned()
}

/// Signs a request as officers of these names.
pub fn sign(request: &mut SignedRequest, officers: &[&str]) {
    for name in officers {
        let signer = RequestSigner::Officer {
            name: (*name).to_owned(),
        };
        request.sign(signer, &officer(name));
    }
}

/// How many weeks of silence a test's vault may have behind it: thirty years.
const MOST_WEEKS: u32 = 1600;

/// Has two officers of a scratch vault do `act`.
///
/// # Errors
/// As [`Client::submit_request`].
pub async fn approved<S>(
    client: &mut Client<S>,
    act: OfficerAct,
) -> Result<RequestOutcome, keyvault_protocol::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    // The vault says what it wrote down last, and its day may be a later one: it is looked for week by week.
    let mut now = client.status().await?.high_water;
    let mut weeks = 0;
    loop {
        let mut request = request(client.vault(), act.clone(), "scratch vault", now)?;
        sign(&mut request, &OFFICERS[..2]);
        match client.submit_request(&request).await {
            Err(error) if error.is(RefusalCode::RequestExpired) && weeks < MOST_WEEKS => {
                now = now.saturating_add(MAX_REQUEST_LIFE).unwrap_or(now);
                weeks += 1;
            }
            outcome => return outcome,
        }
    }
}

/// A terminal as a test wants it: enrolled, with a bundle for these days.
#[derive(Clone, Debug)]
pub struct Outfit {
    /// Kind of terminal.
    pub kind: BundleKind,
    /// Its name.
    pub terminal: String,
    /// The key that its bundles are sealed to.
    pub sealing_key: PointBytes,
    /// The key of its certificates.
    pub authentication_key: PointBytes,
    /// Its regions.
    pub regions: Vec<Region>,
    /// Its zones; 0 for no check.
    pub zones: u64,
    /// First day of the bundle.
    pub from: Date,
    /// Last day of the bundle, and of the enrolment.
    pub to: Date,
}

/// What two officers of a scratch vault do at once, as methods of a client.
#[allow(async_fn_in_trait, reason = "tests alone use it, and none across threads")]
pub trait Approved {
    /// Enrols an issuer.
    ///
    /// # Errors
    /// As [`approved`].
    async fn enrol_issuer(&mut self, name: &str, key: &PointBytes) -> Result<(), keyvault_protocol::Error>;
    /// Makes a version of a role key.
    ///
    /// # Errors
    /// As [`approved`].
    async fn rotate_role(
        &mut self,
        role: Role,
        region: Region,
        drain_until: Date,
    ) -> Result<RoleKeyInfo, keyvault_protocol::Error>;
    /// Ends a version of a role key.
    ///
    /// # Errors
    /// As [`approved`].
    async fn retire_role(
        &mut self,
        role: Role,
        region: Region,
        version: u8,
    ) -> Result<RoleKeyInfo, keyvault_protocol::Error>;
    /// Exports a lot.
    ///
    /// # Errors
    /// As [`approved`].
    async fn export_lot(&mut self, lot: &LotRequest) -> Result<Vec<u8>, keyvault_protocol::Error>;
    /// Enrols a terminal, or gives it other terms.
    ///
    /// # Errors
    /// As [`approved`].
    async fn enrol_terminal(&mut self, outfit: &Outfit) -> Result<(), keyvault_protocol::Error>;
    /// Enrols a terminal, and exports its bundle.
    ///
    /// # Errors
    /// As [`approved`] and [`Client::export_bundle`].
    async fn outfit(&mut self, outfit: &Outfit) -> Result<Vec<u8>, keyvault_protocol::Error>;
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Approved for Client<S> {
    async fn enrol_issuer(&mut self, name: &str, key: &PointBytes) -> Result<(), keyvault_protocol::Error> {
        let enrolment = enrolment(name, Caller::Issuer, *key);
        approved(self, OfficerAct::EnrolCaller(enrolment)).await.map(drop)
    }

    async fn rotate_role(
        &mut self,
        role: Role,
        region: Region,
        drain_until: Date,
    ) -> Result<RoleKeyInfo, keyvault_protocol::Error> {
        let act = OfficerAct::RotateRole {
            role,
            region,
            drain_until,
        };
        approved(self, act).await.and_then(role_key)
    }

    async fn retire_role(
        &mut self,
        role: Role,
        region: Region,
        version: u8,
    ) -> Result<RoleKeyInfo, keyvault_protocol::Error> {
        let act = OfficerAct::RetireRole {
            role,
            region,
            version,
        };
        approved(self, act).await.and_then(role_key)
    }

    async fn export_lot(&mut self, lot: &LotRequest) -> Result<Vec<u8>, keyvault_protocol::Error> {
        match approved(self, OfficerAct::ExportLot(lot.clone())).await? {
            RequestOutcome::Lot(lot) => Ok(lot),
            _ => Err(OTHER),
        }
    }

    async fn enrol_terminal(&mut self, outfit: &Outfit) -> Result<(), keyvault_protocol::Error> {
        let enrolment = TerminalEnrolment {
            kind: outfit.kind,
            terminal: outfit.terminal.clone(),
            sealing_key: outfit.sealing_key,
            authentication_key: outfit.authentication_key,
            regions: outfit.regions.clone(),
            zones: outfit.zones,
            until: outfit.to,
            replaces: false,
        };
        approved(self, OfficerAct::EnrolTerminal(enrolment))
            .await
            .map(drop)
    }

    async fn outfit(&mut self, outfit: &Outfit) -> Result<Vec<u8>, keyvault_protocol::Error> {
        self.enrol_terminal(outfit).await?;
        self.export_bundle(&BundleRequest {
            terminal: outfit.terminal.clone(),
            zones: None,
            from: outfit.from,
            to: outfit.to,
        })
        .await
    }
}

const OTHER: keyvault_protocol::Error = keyvault_protocol::Error::Malformed("an answer to another request");

fn role_key(outcome: RequestOutcome) -> Result<RoleKeyInfo, keyvault_protocol::Error> {
    match outcome {
        RequestOutcome::RoleKey(key) => Ok(key),
        _ => Err(OTHER),
    }
}

/// What makes `name`, with this key, a caller who may ask for all that the kind may.
#[must_use]
pub fn enrolment(name: &str, kind: Caller, key: PointBytes) -> Enrolment {
    Enrolment {
        name: name.to_owned(),
        kind,
        key,
        regions: Vec::new(),
        operations: Vec::new(),
        ceilings: Vec::new(),
    }
}

/// The passphrase of a scratch vault's custodian.
#[must_use]
pub fn passphrase(custodian: &str) -> String {
    format!("scratch vault of {custodian}")
}

/// Makes a scratch vault in `folder/vault` with its share envelopes in `folder/envelopes`; gives the envelopes.
///
/// # Errors
/// As [`ceremony::create`].
pub async fn create(folder: &Path, clock: &Clock, rng: Random) -> Result<Vec<ShareEnvelope>, Error> {
    let custodians = CUSTODIANS
        .iter()
        .map(|name| Custodian {
            name: (*name).to_owned(),
            passphrase: Zeroizing::new(passphrase(name).into_bytes()),
        })
        .collect();
    let plan = Plan {
        folder: folder.join("vault"),
        out: folder.join("envelopes"),
        threshold: 2,
        custodians,
        officers: officers(),
        cost: COST,
        founded: Founded::Rehearsal,
    };
    let made = ceremony::create(&plan, clock.now(), rng).await?;
    made.envelopes
        .iter()
        .map(|path| {
            let text =
                std::fs::read(path).map_err(|error| Error::file("a share envelope", path, error.kind()))?;
            ShareEnvelope::parse(&text)
        })
        .collect()
}

/// The key of the scratch vault's caller with this name: everybody knows it.
#[must_use]
pub fn key(name: &str) -> ChannelKey {
    ChannelKey::from(&SecretKey::from(officer(name).as_nonzero_scalar()))
}

/// One of every kind of caller, as one client: what an issuer may not ask for is asked by who may.
pub struct Everybody<S> {
    issuer: Client<S>,
    officer: Client<S>,
    settlement: Client<S>,
    photo_store: Client<S>,
}

impl<S> std::fmt::Debug for Everybody<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Everybody(..)")
    }
}

impl<S> Deref for Everybody<S> {
    type Target = Client<S>;

    fn deref(&self) -> &Self::Target {
        &self.issuer
    }
}

impl<S> DerefMut for Everybody<S> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.issuer
    }
}

/// Methods of the client that are another's than the issuer's to call.
macro_rules! asked_by {
    ($($who:ident { $(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+ })+) => {
        impl<S: AsyncRead + AsyncWrite + Unpin + Send> Everybody<S> {
            $($(
                #[doc = concat!("As [`Client::", stringify!($name), "`].")]
                ///
                /// # Errors
                /// The same.
                pub async fn $name(&mut self, $($argument: $type),*) -> Result<$answer, WireError> {
                    self.$who.$name($($argument),*).await
                }
            )+)+
        }
    };
}

asked_by! {
    photo_store {
        fn photo_key_new(context: &PhotoKeyContext) -> (DataKey, WrappedKey);
        fn photo_key_open(context: &PhotoKeyContext, wrapped: &WrappedKey) -> DataKey;
    }
    settlement {
        fn check_lines(lines: &[SettlementLine]) -> Vec<LineCheck>;
        fn deny_chain(chain: [u8; 16]) -> ();
    }
    officer {
        fn compromise_role(role: Role, region: Region, version: u8) -> RoleCompromised;
        fn revoke_terminal(name: &str) -> ();
        fn journal(ask: &ReadJournal) -> JournalPage;
        fn suspend_caller(name: &str) -> ();
        fn callers() -> Vec<CallerEntry>;
        fn ceilings() -> Vec<CeilingUse>;
    }
}

/// Connects everybody to a vault in this process: officers, and one caller of every other kind, who are enrolled where they are not;
/// the issuer under this name. Of a sealed vault they ask for the status.
///
/// # Errors
/// As [`Client::connect`] and [`approved`].
pub async fn everybody(vault: &Arc<Vault>, issuer: &str) -> Result<Everybody<DuplexStream>, WireError> {
    let is_open = vault.anchors().await.is_some();
    everybody_by(async |name| connect(vault, key(name)).await, is_open, issuer).await
}

/// The same for a vault that is reached as `dial` does it, with the [`key`] of this name.
///
/// # Errors
/// As [`everybody`].
pub async fn everybody_by<S: AsyncRead + AsyncWrite + Unpin + Send>(
    dial: impl AsyncFn(&str) -> Result<Client<S>, WireError>,
    is_open: bool,
    issuer: &str,
) -> Result<Everybody<S>, WireError> {
    let callers = [
        (issuer, Caller::Issuer),
        ("scratch settlement", Caller::Settlement),
        (PHOTO_STORE, Caller::PhotoStore),
    ];
    let mut officer = dial(OFFICERS[0]).await?;
    if is_open {
        let known = officer.callers().await?;
        for (name, kind) in callers {
            if !known.iter().any(|entry| entry.enrolment.name == name) {
                let act = OfficerAct::EnrolCaller(enrolment(name, kind, point(name)));
                approved(&mut officer, act).await?;
            }
        }
    }
    let [issuer, settlement, photo_store] = callers.map(|(name, _)| name);
    Ok(Everybody {
        issuer: dial(issuer).await?,
        officer,
        settlement: dial(settlement).await?,
        photo_store: dial(photo_store).await?,
    })
}

/// Gives a vault that was founded before there were officers the scratch vault's, by a quorum of its custodians.
///
/// # Errors
/// As [`Client::submit_request`].
pub async fn appoint_officers(vault: &Arc<Vault>, shares: &[Share]) -> Result<(), WireError> {
    let officers = OFFICERS.map(|name| enrolment(name, Caller::KeyOfficer, point(name)));
    let act = OfficerAct::ReplaceOfficers {
        officers: officers.to_vec(),
    };
    let now = vault.status().await.high_water;
    let mut request = request(vault.id(), act, "scratch vault", now)?;
    for share in shares {
        sign_as_custodian(share, &mut request)?;
    }
    let share = shares.first().ok_or(WireError::KeyFile)?;
    let mut custodian = connect_custodian(vault, share).await?;
    match custodian.submit_request(&request).await? {
        RequestOutcome::Done => Ok(()),
        // It waits its day.
        _ => Err(OTHER),
    }
}

/// Connects to a vault in this process, as whoever has this key. Of a sealed vault no more than the status can be asked.
///
/// # Errors
/// As [`Client::connect`].
pub async fn connect(vault: &Arc<Vault>, key: ChannelKey) -> Result<Client<DuplexStream>, WireError> {
    let identity = match vault.anchors().await {
        Some(anchors) => Identity::of(key, anchors, Clock::fixed(vault.time().await)),
        None => Identity::nobody(),
    };
    Ok(dial(vault, &identity).await?.0)
}

/// Connects as the custodian of this share.
///
/// # Errors
/// As [`Client::connect`].
pub async fn connect_custodian(vault: &Arc<Vault>, share: &Share) -> Result<Client<DuplexStream>, WireError> {
    let pinned = Share::new(share.vault, share.epoch, share.index, *share.value());
    let identity = Identity::custodian(&pinned.pinned_to(vault.transport_key()))?;
    Ok(dial(vault, &identity).await?.0)
}

/// Connects as this identity; gives the vault's end too, which is over when the client has gone.
///
/// # Errors
/// As [`Client::connect`].
pub async fn dial(
    vault: &Arc<Vault>,
    identity: &Identity,
) -> Result<(Client<DuplexStream>, JoinHandle<Result<(), WireError>>), WireError> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let served = Server::new(Arc::clone(vault))
        .map_err(|_| WireError::KeyFile)?
        .serve(far);
    Ok((Client::connect(near, identity).await?, served))
}

/// Begins an unseal attempt of a vault in this process, as the custodian of this share.
///
/// # Errors
/// As [`Vault::begin_unseal`].
pub async fn begin(vault: &Vault, share: &Share) -> Result<Attempt, Error> {
    // As a client does.
    if share.vault != vault.id() {
        return Err(Error::WrongVault);
    }
    vault.begin_unseal(Some(share.index)).await
}

/// Gives one opened share to a vault in this process.
///
/// # Errors
/// As [`Vault::give_share`].
pub async fn give(vault: &Vault, share: &Share, rng: &mut Random) -> Result<UnsealProgress, Error> {
    let attempt = begin(vault, share).await?;
    let context = SealedShare::context(&attempt.id, &share.vault, share.epoch, share.index, 0, None);
    let sealed = sealed::seal(&attempt.key, Purpose::Share, &context, share.value(), rng)
        .map_err(|_| Error::NotOpened)?;
    let (vault_id, epoch, index) = (share.vault, share.epoch, share.index);
    let envelope = SealedShare {
        attempt: attempt.id,
        vault: vault_id,
        epoch,
        index,
        sealed,
        seen: 0,
        day: None,
    };
    vault.give_share(Some(index), &envelope, None).await
}

/// Makes a scratch vault in `folder` and opens it. `rng` is asked for a random source three times.
///
/// # Errors
/// As [`ceremony::create`] and [`Vault::load`].
pub async fn open(folder: &Path, clock: Clock, mut rng: impl FnMut() -> Random) -> Result<Arc<Vault>, Error> {
    let envelopes = create(folder, &clock, rng()).await?;
    reopen(folder, &envelopes, clock, rng).await
}

/// Opens a scratch vault that was made before.
///
/// # Errors
/// As [`Vault::load`] and [`Vault::give_share`].
pub async fn reopen(
    folder: &Path,
    envelopes: &[ShareEnvelope],
    clock: Clock,
    mut rng: impl FnMut() -> Random,
) -> Result<Arc<Vault>, Error> {
    let vault = Vault::load(&folder.join("vault"), clock, rng()).await?;
    let mut seal_rng = rng();
    for envelope in envelopes.iter().take(2) {
        let share = envelope.open(passphrase(&envelope.custodian).as_bytes())?;
        give(&vault, &share, &mut seal_rng).await?;
    }
    Ok(vault)
}
