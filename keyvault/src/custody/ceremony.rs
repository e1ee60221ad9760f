//! The founding ceremony: `create` makes the vault in a staging folder, hands out the envelopes, proves that every envelope
//! opens and that the shares open the vault, and only then renames the folder into its place, which is the moment from
//! which the vault exists.
//!
//! Left for the vault's own issue: the reviewed script file, the signed minute, custodian cards, re-splitting.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use card_applet_spec::rehearsal;
use jiff::Timestamp;
use keyvault_protocol::PointBytes;
use program_contract::Founded;
use zeroize::Zeroizing;

use crate::audit::journal::{self, Event};
use crate::authority::signers::Signer;
use crate::custody::passphrase;
use crate::custody::shamir::{self, Point};
use crate::custody::share_envelope::{Cost, SetId, ShareEnvelope};
use crate::custody::transport::TransportKey;
use crate::custody::unsealing::unseal;
use crate::error::Error;
use crate::keys::arena::{Arena, OpenKey};
use crate::keys::material::{INDEX_KEYS, KeyId, KeyRecord, Keys};
use crate::keys::version::Roles;
use crate::open::freshness::{Freshness, Places};
use crate::open::opening::UnsealKeys;
use crate::open::transaction::{
    Core, Open, RING_NONCE, RING_STATE_ROOT, Random, Ring, State, Transaction, header_digest, ring_barrier,
};
use crate::store::commitment::Commitment;
use crate::store::sealing::{self, SUITE};
use crate::store::sql::{self, Batch, Header, Row, Store, Table};

/// A custodian and the passphrase of the envelope.
pub struct Custodian {
    /// Name, 1 to 64 characters, without `/` and control characters.
    pub name: String,
    /// As it was typed or stands in a file, without the end of its line.
    pub passphrase: Zeroizing<Vec<u8>>,
}

impl Custodian {
    /// Whether the passphrase will do, so that who typed it is told before the next one is called.
    ///
    /// # Errors
    /// [`Error::WeakPassphrase`], [`Error::PassphraseForm`].
    pub fn judge(&self, founded: Founded) -> Result<(), Error> {
        passphrase::judge(&self.passphrase, &self.name, founded)
    }
}

impl std::fmt::Debug for Custodian {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Custodian({})", self.name)
    }
}

/// The vault that is to be.
#[derive(Debug)]
pub struct Plan {
    /// Folder of the vault: absent or empty.
    pub folder: PathBuf,
    /// Folder for the envelopes.
    pub out: PathBuf,
    /// Shares needed, at least 2.
    pub threshold: u8,
    /// The custodians, one share each.
    pub custodians: Vec<Custodian>,
    /// Work per guess at a passphrase.
    pub cost: Cost,
    /// What the installation around the vault is to be: its number says so for good.
    pub founded: Founded,
}

/// The vault that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Number of the vault; it says what the installation was founded as.
    pub vault: [u8; 16],
    /// Epoch of the set of shares.
    pub epoch: u32,
    /// The public half of its transport key, which the envelopes pin.
    pub transport_key: PointBytes,
    /// The envelopes, in the order of the custodians.
    pub envelopes: Vec<PathBuf>,
}

/// Holds the ceremony.
///
/// # Errors
/// [`Error::BadCeremony`], [`Error::WeakPassphrase`], [`Error::AlreadyInitialised`], [`Error::FolderOfSomethingElse`], [`Error::EnvelopeExists`],
/// or a failure of disk or machine. In every case neither a vault nor an envelope is left behind.
pub async fn create(plan: &Plan, now: Timestamp, rng: Random) -> Result<Created, Error> {
    check(plan)?;
    let mut leftovers = Leftovers::default();
    let outcome = hold(plan, now, rng, &mut leftovers).await;
    if outcome.is_err() {
        leftovers.remove();
    }
    outcome
}

fn check(plan: &Plan) -> Result<(), Error> {
    let bad = |what| Err(Error::BadCeremony { what });
    let Ok(count) = u8::try_from(plan.custodians.len()) else {
        return bad("there are more than 255 custodians");
    };
    if plan.threshold < 2 {
        return bad("the threshold is below 2, so one person could open the vault alone");
    }
    if count < plan.threshold {
        return bad("there are fewer custodians than the threshold");
    }
    for (i, custodian) in plan.custodians.iter().enumerate() {
        let name = &custodian.name;
        let length = name.chars().count();
        if !(1..=64).contains(&length)
            || name.starts_with('.')
            || name.chars().any(|c| c.is_control() || c == '/' || c == '=')
        {
            return bad("a custodian's name is empty, too long, or has characters that names do not have");
        }
        if plan
            .custodians
            .iter()
            .skip(i + 1)
            .any(|other| other.name == *name)
        {
            return bad("two custodians have the same name");
        }
        custodian.judge(plan.founded)?;
    }
    for (i, one) in plan.custodians.iter().enumerate() {
        if plan
            .custodians
            .iter()
            .skip(i + 1)
            .any(|other| passphrase::normal(&other.passphrase) == passphrase::normal(&one.passphrase))
        {
            return bad("two custodians have the same passphrase");
        }
    }
    match fs::read_dir(&plan.folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(_) => Err(Error::FolderOfSomethingElse),
        Ok(_) if plan.folder.join(crate::store::sql::FILE).exists() => Err(Error::AlreadyInitialised),
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(Error::FolderOfSomethingElse),
            None => Ok(()),
        },
    }
}

#[derive(Default)]
struct Leftovers {
    staging: Option<PathBuf>,
    envelopes: Vec<PathBuf>,
}

impl Leftovers {
    fn remove(&self) {
        if let Some(staging) = &self.staging {
            let _ = fs::remove_dir_all(staging);
        }
        for envelope in &self.envelopes {
            let _ = fs::remove_file(envelope);
        }
    }
}

async fn hold(
    plan: &Plan,
    now: Timestamp,
    mut rng: Random,
    leftovers: &mut Leftovers,
) -> Result<Created, Error> {
    let unavailable = |what| move |_| Error::StoreUnavailable { what };
    let mut vault = [0u8; 16];
    rng.fill_bytes(&mut vault);
    let vault = rehearsal::vault_number(vault, plan.founded.is_rehearsal());
    let parent = match plan.folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    fs::create_dir_all(&parent).map_err(unavailable("its folder cannot be made"))?;
    let staging = parent.join(format!(".keyvault-staging-{}", hex::encode(&vault[..8])));
    private_folder(&staging)?;
    leftovers.staging = Some(staging.clone());
    let arena = Arena::new()?;
    let transport_key = TransportKey::of(&staging, &mut rng)?.public();
    let made = (vault, transport_key);
    let (set, envelopes, rng) = make_store(plan, made, &staging, &arena, now, rng).await?;

    fs::create_dir_all(&plan.out).map_err(|_| Error::File {
        what: "the output folder",
    })?;
    let mut paths = Vec::new();
    for envelope in &envelopes {
        let name = format!(
            "{}-{}-{}.share.json",
            hex::encode(&vault[..4]),
            envelope.index,
            envelope.custodian
        );
        let path = plan.out.join(name);
        write_new(&path, &envelope.to_text()?, &envelope.custodian)?;
        leftovers.envelopes.push(path.clone());
        paths.push(path);
    }
    sync_folder(&plan.out)?;

    prove(plan, &set, &staging, &paths, &arena, rng).await?;

    sync_folder(&staging)?;
    fs::rename(&staging, &plan.folder).map_err(unavailable("its folder cannot be put in place"))?;
    leftovers.staging = None;
    // The vault exists from here on: its envelopes must never be taken back, whatever the last sync says.
    leftovers.envelopes.clear();
    let _ = sync_folder(&parent);
    tracing::info!(
        custodians = plan.custodians.len(),
        threshold = plan.threshold,
        "the vault was founded"
    );
    Ok(Created {
        vault,
        epoch: set.epoch,
        transport_key,
        envelopes: paths,
    })
}

/// Makes secret, keys and store in the staging folder.
async fn make_store(
    plan: &Plan,
    (vault, transport_key): ([u8; 16], PointBytes),
    staging: &Path,
    arena: &Arc<Arena>,
    now: Timestamp,
    mut rng: Random,
) -> Result<(SetId, Vec<ShareEnvelope>, Random), Error> {
    const EPOCH: u32 = 1;
    const TERM: i64 = 1;
    let count = u8::try_from(plan.custodians.len()).map_err(|_| Error::BadCeremony {
        what: "too many custodians",
    })?;
    let set = SetId {
        vault,
        epoch: EPOCH,
        threshold: plan.threshold,
        shares: count,
        transport_key: Some(transport_key),
    };
    let mut instance = [0u8; 16];
    rng.fill_bytes(&mut instance);

    let mut secret = Zeroizing::new([0u8; shamir::SECRET_LEN]);
    rng.fill_bytes(&mut *secret);
    let points = shamir::split(&secret, plan.threshold, count, &mut rng).ok_or(Error::BadCeremony {
        what: "these numbers of shares are impossible",
    })?;
    let mut envelopes = Vec::new();
    let mut commitments = Vec::new();
    for (custodian, Point { x, y }) in plan.custodians.iter().zip(&points) {
        commitments.push(Commitment::to(&vault, EPOCH, *x, &custodian.name, y, &mut rng));
        envelopes.push(ShareEnvelope::make(
            &set,
            &custodian.name,
            *x,
            y,
            &custodian.passphrase,
            plan.cost,
            &mut rng,
        )?);
    }

    let unseal = UnsealKeys::derive(&secret, &vault, EPOCH)?;
    let root = OpenKey::random(arena, &mut rng)?;
    let mut header = Header {
        format: sql::FORMAT,
        vault,
        instance,
        epoch: EPOCH,
        threshold: plan.threshold,
        kek_commitment: unseal.commitment,
        root: Vec::new(),
        term: TERM,
        high_water: now,
        generation: 0,
    };
    let wrapped = sealing::seal(
        &unseal.kek,
        &unseal.nonce,
        &Core::root_place(&header),
        root.expose(),
        &mut rng,
    )?;
    header.root = wrapped;

    let key_ring = Ring {
        barrier: [(TERM, OpenKey::random(arena, &mut rng)?)].into(),
        nonce: OpenKey::random(arena, &mut rng)?,
        state_root: OpenKey::random(arena, &mut rng)?,
    };
    let mut store = Store::create(staging).await?;
    store.create_header(&header, &commitments).await?;
    let mut core = Core {
        store,
        header,
        shares: commitments,
        arena: Arc::clone(arena),
        rng,
    };
    let ring_rows = write_ring(&mut core, &root, &key_ring).await?;
    drop(root);

    let mut open = Open {
        keys: Keys::new(Arc::clone(arena)),
        roles: Roles::new(),
        state: State {
            header: header_digest(&core.header, &core.shares),
            high_water: now.as_second(),
            journal_seq: 0,
            journal_head: journal::GENESIS,
            counts: vec![0; Table::COUNTED.len()],
            rows: None,
        },
        fresh: Freshness::default(),
        founded: plan.founded,
        ring: key_ring,
    };
    let places = Places::under(open.ring.state_root.expose())?;
    for (id, version) in &ring_rows {
        open.state.count(Table::Ring, 1);
        open.fresh.note(&places, Table::Ring, id, *version)?;
    }
    first_keys(plan, &mut core, &mut open, now).await?;
    let Core { store, rng, .. } = core;
    store.close().await?;
    Ok((set, envelopes, rng))
}

/// Makes the keys that every vault has, with the first entries of its journal.
async fn first_keys(plan: &Plan, core: &mut Core, open: &mut Open, now: Timestamp) -> Result<(), Error> {
    let mut transaction = Transaction::default();
    transaction.note(Event::Created {
        custodians: plan
            .custodians
            .iter()
            .map(|custodian| custodian.name.clone())
            .collect(),
        threshold: plan.threshold,
    });
    let mut wanted = vec![KeyId::Issuance, KeyId::Tac, KeyId::PhotoKek];
    wanted.extend(INDEX_KEYS);
    wanted.extend(Signer::ALL.map(KeyId::Signer));
    for id in wanted {
        let key = open.keys.make(id, &mut core.rng)?;
        let record = KeyRecord {
            suite: SUITE,
            created: now.as_second(),
            secret: *key.expose(),
        };
        transaction.put(Table::Key, id.to_string().as_bytes(), &record)?;
        transaction.note(Event::KeyMade {
            id: id.to_string(),
            check: Keys::check_value(id, &key)?,
        });
    }
    open.apply(core, now, transaction).await
}

/// Writes the ring's rows, sealed under the root key; gives their ids and versions.
async fn write_ring(core: &mut Core, root: &OpenKey, ring: &Ring) -> Result<Vec<(Vec<u8>, i64)>, Error> {
    let mut rows = Vec::new();
    let barrier = ring.barrier.iter().map(|(term, key)| (ring_barrier(*term), key));
    let fixed = [
        (RING_NONCE.to_owned(), &ring.nonce),
        (RING_STATE_ROOT.to_owned(), &ring.state_root),
    ];
    for (name, key) in barrier.chain(fixed) {
        let Header { vault, instance, .. } = &core.header;
        let place = sealing::Place {
            vault,
            instance,
            table: Table::Ring.name(),
            id: name.as_bytes(),
            row_version: 1,
            term: 0,
        };
        let sealed = sealing::seal(
            root.expose(),
            ring.nonce.expose(),
            &place,
            key.expose(),
            &mut core.rng,
        )?;
        rows.push((
            Table::Ring,
            Row {
                id: name.into_bytes(),
                row_version: 1,
                term: 0,
                sealed,
            },
        ));
    }
    let generation = core.header.generation + 1;
    let batch = Batch {
        from_first_format: false,
        custodians: Vec::new(),
        with_sum: false,
        rows,
        deleted: Vec::new(),
        entries: Vec::new(),
        high_water: core.header.high_water,
        generation,
    };
    core.store.commit(&batch).await?;
    core.header.generation = generation;
    Ok(batch
        .rows
        .into_iter()
        .map(|(_, row)| (row.id, row.row_version))
        .collect())
}

/// Opens every envelope from disk with its passphrase, checks its commitment, and opens the staged vault with a set of
/// shares for every custodian in turn.
async fn prove(
    plan: &Plan,
    set: &SetId,
    staging: &Path,
    envelopes: &[PathBuf],
    arena: &Arc<Arena>,
    rng: Random,
) -> Result<(), Error> {
    let failed = Error::SelfTestFailed {
        what: "an envelope or the shares do not open the new vault",
    };
    let mut core = Core::load(staging, Arc::clone(arena), rng).await?;
    let mut shares = Vec::new();
    for (path, custodian) in envelopes.iter().zip(&plan.custodians) {
        let text = fs::read(path).map_err(|_| Error::File {
            what: "a share envelope just written",
        })?;
        let share = ShareEnvelope::parse(&text)?.open(&custodian.passphrase)?;
        let commitment = core
            .shares
            .iter()
            .find(|commitment| commitment.index == share.index);
        if !commitment.is_some_and(|commitment| commitment.holds(&set.vault, set.epoch, share.value())) {
            return Err(failed);
        }
        shares.push(share);
    }
    let mut proven: Option<Zeroizing<[u8; shamir::SECRET_LEN]>> = None;
    for start in 0..shares.len() {
        let points: Vec<Point> = (0..usize::from(set.threshold))
            .filter_map(|offset| shares.get((start + offset) % shares.len()))
            .map(|share| Point {
                x: share.index,
                y: Zeroizing::new(*share.value()),
            })
            .collect();
        let secret = shamir::combine(&points).ok_or_else(|| failed.clone())?;
        match &proven {
            None => {
                let now = core.header.high_water;
                unseal(&mut core, &points, now, 0).await?;
                proven = Some(secret);
            }
            Some(proven) if **proven == *secret => {}
            Some(_) => return Err(failed),
        }
    }
    core.store.close().await
}

fn private_folder(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|_| Error::StoreUnavailable {
            what: "its folder cannot be made",
        })
}

fn write_new(path: &Path, text: &[u8], custodian: &str) -> Result<(), Error> {
    let unusable = |_| Error::File {
        what: "a share envelope",
    };
    let opened = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Error::EnvelopeExists {
                custodian: custodian.to_owned(),
            });
        }
        Err(_) => {
            return Err(Error::File {
                what: "a share envelope",
            });
        }
    };
    let written = file
        .write_all(text)
        .and_then(|()| file.sync_all())
        .map_err(unusable);
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    fs::File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|_| Error::StoreUnavailable {
            what: "a folder cannot be made durable",
        })
}
