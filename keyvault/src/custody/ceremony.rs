//! The founding ceremony: `create` makes the vault in a staging folder, hands out the envelopes, proves that every envelope
//! opens and that the shares open the vault, and only then renames the folder into its place, which is the moment from
//! which the vault exists. A founding that was killed before it leaves its staging folder, with a note of which envelopes it wrote
//! and where: the next one takes both back and begins anew.
//!
//! Left for the vault's own issue: the reviewed script file, the signed minute, custodian cards, re-splitting.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use card_applet_spec::crypto::PublicKey;
use card_applet_spec::rehearsal;
use jiff::Timestamp;
use keyvault_protocol::{Anchors, Enrolment, PointBytes};
use program_contract::file::Lock;
use program_contract::unseen::is_name;
use program_contract::{Clock, Founded, file};
use serde_json::{Value, json};
use service_contract::Caller;
use zeroize::Zeroizing;

use crate::audit::journal::{self, Event};
use crate::authority::ceilings::Counts;
use crate::authority::signers::Signer;
use crate::authority::{callers, certificates};
use crate::clock::Running;
use crate::custody::passphrase;
use crate::custody::protection::Cost;
use crate::custody::shamir::{self, Point};
use crate::custody::share_envelope::{SetId, ShareEnvelope};
use crate::custody::transport;
use crate::custody::unsealing::unseal;
use crate::error::Error;
use crate::keys::arena::{Arena, OpenKey};
use crate::keys::material::{INDEX_KEYS, KeyId, KeyRecord, Keys};
use crate::keys::version::Roles;
use crate::open::callers::{Callers, ForWhom};
use crate::open::freshness::{Freshness, Places};
use crate::open::opening::UnsealKeys;
use crate::open::transaction::{
    Core, Open, RING_NONCE, RING_STATE_ROOT, Random, Ring, State, Transaction, header_digest, ring_barrier,
};
use crate::store::commitment::Commitment;
use crate::store::sealing::{self, SUITE};
use crate::store::sql::{self, Batch, Header, Row, Store, Table};
use crate::store::staged::Staged;

/// A custodian and the passphrase of the envelope.
pub struct Custodian {
    /// Name, 1 to 64 characters, a name as [`is_name`] has it, without `/` and `=`.
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

    /// Whether the passphrase is nobody else's. Who is refused is not told whose it is.
    ///
    /// # Errors
    /// [`Error::PassphraseRefused`].
    pub fn is_told_from<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Result<(), Error> {
        let own = passphrase::normal(&self.passphrase);
        if others
            .into_iter()
            .any(|other| passphrase::normal(&other.passphrase) == own)
        {
            return Err(Error::PassphraseRefused {
                custodian: self.name.clone(),
            });
        }
        Ok(())
    }
}

impl std::fmt::Debug for Custodian {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Custodian({})", self.name)
    }
}

/// A key officer from the first moment: two of them sign what gives something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Officer {
    /// Name on the access list, 1 to 64 bytes of text.
    pub name: String,
    /// The public half of the officer's key.
    pub key: PointBytes,
}

impl Officer {
    fn enrolment(&self) -> Enrolment {
        Enrolment {
            name: self.name.clone(),
            kind: Caller::KeyOfficer,
            key: self.key,
            regions: Vec::new(),
            operations: Vec::new(),
            ceilings: Vec::new(),
        }
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
    /// The officers, at least three.
    pub officers: Vec<Officer>,
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
    /// Its other public keys, by which services and terminals know it.
    pub anchors: Anchors,
    /// The envelopes, in the order of the custodians.
    pub envelopes: Vec<PathBuf>,
}

/// Holds the ceremony.
///
/// # Errors
/// Those of [`Founding::begin`] and [`Founding::hold`]. In every case neither a vault nor an envelope is left behind.
pub async fn create(plan: &Plan, now: Timestamp, rng: Random) -> Result<Created, Error> {
    check(plan)?;
    Founding::begin(&plan.folder, &plan.out)?
        .hold(plan, now, rng)
        .await
}

/// The note in the staging folder: number of the vault that is being made, and folder of its envelopes, a line each. It is on the
/// disk before the first envelope is, so that whoever founds next knows which envelopes belong to no vault.
const NOTE: &str = "founding";
/// Name of the file with the vault's public keys.
pub const ANCHORS: &str = "anchors.json";
/// The end of an envelope's name.
const ENVELOPE: &str = ".share.json";

/// A founding under way. It has its place to itself; dropped before the vault exists, it takes back what it wrote.
#[derive(Debug)]
pub struct Founding {
    folder: PathBuf,
    parent: PathBuf,
    out: PathBuf,
    /// Where the vault is made; it is renamed into its place.
    staging: PathBuf,
    /// Locked while this lives. The lock of the vault lies here too and moves with the folder.
    _lock: Lock,
    /// Envelopes of this founding that are written.
    envelopes: Vec<PathBuf>,
    /// Whether the vault exists: nothing is taken back any more.
    is_held: bool,
    taken_back: Vec<PathBuf>,
}

impl Founding {
    /// Looks whether a vault can be founded in `folder` with its envelopes in `out`, before anybody is asked for a passphrase, and takes
    /// the place. What a founding that was cut left there goes: it never became a vault.
    ///
    /// # Errors
    /// [`Error::AlreadyInitialised`], [`Error::FolderOfSomethingElse`], [`Error::EnvelopeExists`], [`Error::InUse`] where another founding
    /// runs; [`Error::File`].
    pub fn begin(folder: &Path, out: &Path) -> Result<Self, Error> {
        let absolute =
            |path: &Path| std::path::absolute(path).map_err(|error| unusable("the folder", path, &error));
        let (folder, out) = (absolute(folder)?, absolute(out)?);
        is_free(&folder)?;
        let parent = folder.parent().unwrap_or(Path::new("/")).to_owned();
        private_folder(&parent)?;
        let mut name = std::ffi::OsString::from(".");
        name.push(folder.file_name().unwrap_or_default());
        name.push(".founding");
        let staging = parent.join(name);
        private_folder(&staging)?;
        is_ours(&staging)?;
        let lock = staging.join("lock");
        let taken = Lock::at(&lock).map_err(|error| match error {
            fs::TryLockError::WouldBlock => Error::InUse,
            fs::TryLockError::Error(error) => unusable("the lock of the founding", &lock, &error),
        })?;
        // Whoever had it may have ended with a vault.
        is_free(&folder)?;
        let taken_back = take_back(&staging)?;
        if let Some(found) = envelopes_in(&out)?.into_iter().next() {
            // Only the lock is in there; a folder that has more says so here.
            let _ = fs::remove_dir_all(&staging);
            return Err(Error::EnvelopeExists {
                path: found.display().to_string(),
            });
        }
        Ok(Self {
            folder,
            parent,
            out,
            staging,
            _lock: taken,
            envelopes: Vec::new(),
            is_held: false,
            taken_back,
        })
    }

    /// Envelopes of a founding that was cut: they belonged to no vault, and are gone.
    #[must_use]
    pub fn taken_back(&self) -> &[PathBuf] {
        &self.taken_back
    }

    /// Makes the vault of the plan, whose folders are those with which this began.
    ///
    /// # Errors
    /// [`Error::BadCeremony`], [`Error::WeakPassphrase`], [`Error::PassphraseRefused`], or a failure of disk or machine.
    pub async fn hold(mut self, plan: &Plan, now: Timestamp, mut rng: Random) -> Result<Created, Error> {
        check(plan)?;
        let mut vault = [0u8; 16];
        rng.fill_bytes(&mut vault);
        let vault = rehearsal::vault_number(vault, plan.founded.is_rehearsal());
        let arena = Arena::new()?;
        let transport_key = transport::key_of(&self.staging, &mut rng)?.public();
        let made = (vault, transport_key);
        let (set, anchors, envelopes, rng) = make_store(plan, made, &self.staging, &arena, now, rng).await?;

        let note = self.staging.join(NOTE);
        let mut text = format!("{}\n", hex::encode(vault)).into_bytes();
        text.extend_from_slice(self.out.as_os_str().as_bytes());
        text.push(b'\n');
        file::create(&note, &text, file::PRIVATE)
            .map_err(|error| unusable("the note of the founding", &note, &error))?;
        sync_folder(&self.parent)?;
        private_folder(&self.out)?;
        let mut paths = Vec::new();
        for envelope in &envelopes {
            let name = format!(
                "{}{}-{}{ENVELOPE}",
                beginning(&vault),
                envelope.index,
                envelope.custodian
            );
            let path = self.out.join(&name);
            self.write(&path, &envelope.to_text()?)?;
            paths.push(plan.out.join(name));
        }
        // Beside them the public keys by which the vault is known: there is no vault without that file.
        let mut text = anchors_fields(&anchors);
        text["schema"] = "yzt.anchors/1".into();
        text["ok"] = true.into();
        self.write(&self.out.join(ANCHORS), format!("{text}\n").as_bytes())?;
        sync_folder(&self.out)?;

        prove(plan, &set, &self.staging, &paths, &arena, rng).await?;

        sync_folder(&self.staging)?;
        fs::rename(&self.staging, &self.folder)
            .map_err(|error| unusable("the vault's folder", &self.folder, &error))?;
        // The vault exists from here on: its envelopes must never be taken back, whatever the last sync says.
        self.is_held = true;
        let _ = sync_folder(&self.parent);
        let _ = file::remove(&self.folder.join(NOTE));
        tracing::info!(
            custodians = plan.custodians.len(),
            threshold = plan.threshold,
            "the vault was founded"
        );
        Ok(Created {
            vault,
            epoch: set.epoch,
            transport_key,
            anchors,
            envelopes: paths,
        })
    }

    fn write(&mut self, path: &Path, text: &[u8]) -> Result<(), Error> {
        match file::create(path, text, file::PRIVATE) {
            Ok(()) => {
                self.envelopes.push(path.to_owned());
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::EnvelopeExists {
                path: path.display().to_string(),
            }),
            Err(error) => Err(unusable("a share envelope", path, &error)),
        }
    }
}

impl Drop for Founding {
    fn drop(&mut self) {
        if !self.is_held {
            // The envelopes go first: while the folder is there they are known to belong to no vault.
            for envelope in &self.envelopes {
                let _ = file::remove(envelope);
            }
            let _ = fs::remove_dir_all(&self.staging);
        }
    }
}

/// The public keys of a vault, as their file has them.
#[must_use]
pub fn anchors_fields(anchors: &Anchors) -> Value {
    let mut fields = json!({
        "vault": hex::encode(anchors.vault),
        "card_ca": hex::encode(anchors.card_ca),
        "terminal_ca": hex::encode(anchors.terminal_ca),
        "document_signer": hex::encode(anchors.document_signer),
        "entitlement_signer": hex::encode(anchors.entitlement_signer),
        "deny_list_signer": hex::encode(anchors.deny_list_signer),
        "audit_signer": hex::encode(anchors.audit_signer),
        "operating_key": hex::encode(anchors.operating_key),
    });
    // Only where it is so: a program of before refuses such anchors, and takes those of a real vault as ever.
    if Founded::around(&anchors.vault).is_rehearsal() {
        fields["rehearsal"] = true.into();
    }
    fields
}

/// Whether a vault can be founded in the folder.
fn is_free(folder: &Path) -> Result<(), Error> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Err(Error::FolderOfSomethingElse),
        Err(error) => Err(unusable("the vault's folder", folder, &error)),
        Ok(_) if folder.join(sql::FILE).exists() => Err(Error::AlreadyInitialised),
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(Error::FolderOfSomethingElse),
            None => Ok(()),
        },
    }
}

/// Takes back what a founding that was cut left: its envelopes, which its note names, and its folder's content but for the lock.
fn take_back(staging: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error: std::io::Error| unusable("what a founding that was cut left", staging, &error);
    let mut gone = Vec::new();
    if let Ok(note) = file::read(&staging.join(NOTE), 1 << 16)
        && let Some((number, out)) = noted(&note)
    {
        for path in envelopes_in(out)? {
            let is_named = path
                .file_name()
                .is_some_and(|name| name.as_bytes().starts_with(beginning(&number).as_bytes()));
            // One that was cut says nothing more than its name.
            let is_of_another = file::read(&path, 1 << 16)
                .ok()
                .and_then(|text| ShareEnvelope::parse(&text).ok()?.set().ok())
                .is_some_and(|set| set.vault != number);
            if is_named && !is_of_another {
                file::remove(&path).map_err(failed)?;
                gone.push(path);
            }
        }
    }
    if let Ok(note) = file::read(&staging.join(NOTE), 1 << 16)
        && let Some((number, out)) = noted(&note)
    {
        let path = out.join(ANCHORS);
        let text = file::read(&path, 1 << 16).unwrap_or_default();
        let is_its = serde_json::from_slice::<Value>(&text)
            .is_ok_and(|anchors| anchors["vault"] == hex::encode(number));
        if is_its {
            file::remove(&path).map_err(failed)?;
            gone.push(path);
        }
    }
    // The note goes last of all: until then the envelopes are known.
    let mut rest: Vec<_> = fs::read_dir(staging).map_err(failed)?.flatten().collect();
    rest.sort_by_key(|entry| entry.file_name() == NOTE);
    for entry in rest {
        if entry.file_name() != "lock" {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(gone)
}

/// The number and the folder in a note.
fn noted(note: &[u8]) -> Option<([u8; 16], &Path)> {
    let (number, out) = note.strip_suffix(b"\n")?.split_at_checked(32)?;
    let mut vault = [0; 16];
    hex::decode_to_slice(number, &mut vault).ok()?;
    let out = std::ffi::OsStr::from_bytes(out.strip_prefix(b"\n")?);
    Some((vault, Path::new(out)))
}

/// How the names of a vault's envelopes begin.
fn beginning(vault: &[u8; 16]) -> String {
    format!("{}-", hex::encode(&vault[..4]))
}

/// The share envelopes in a folder, by their names; none where there is no folder.
fn envelopes_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unusable("the output folder", folder, &error)),
        Ok(entries) => {
            let names = entries.flatten().map(|entry| entry.file_name());
            found.extend(
                names
                    .filter(|name| name.as_bytes().ends_with(ENVELOPE.as_bytes()))
                    .map(|name| folder.join(name)),
            );
        }
    }
    found.sort();
    Ok(found)
}

fn unusable(what: &'static str, path: &Path, error: &std::io::Error) -> Error {
    Error::file(what, path, error.kind())
}

fn check(plan: &Plan) -> Result<(), Error> {
    let names: Vec<&str> = plan
        .custodians
        .iter()
        .map(|custodian| custodian.name.as_str())
        .collect();
    check_rules(plan.threshold, &names)?;
    check_officers(&plan.officers, &names)?;
    for (i, custodian) in plan.custodians.iter().enumerate() {
        custodian.judge(plan.founded)?;
        custodian.is_told_from(&plan.custodians[..i])?;
    }
    Ok(())
}

/// Whether a vault can have this threshold and custodians of these names.
///
/// # Errors
/// [`Error::BadCeremony`].
pub fn check_rules(threshold: u8, names: &[&str]) -> Result<(), Error> {
    let bad = |what| Err(Error::BadCeremony { what });
    let Ok(count) = u8::try_from(names.len()) else {
        return bad("there are more than 255 custodians");
    };
    if threshold < 2 {
        return bad("the threshold is below 2, so one person could open the vault alone");
    }
    if count < threshold {
        return bad("there are fewer custodians than the threshold");
    }
    for (i, name) in names.iter().enumerate() {
        let length = name.chars().count();
        if !(1..=64).contains(&length)
            || !is_name(name, 256)
            || name.starts_with('.')
            || name.contains(['/', '='])
        {
            return bad("a custodian's name is empty, too long, or has characters that names do not have");
        }
        if names[..i].contains(name) {
            return bad("two custodians have the same name");
        }
    }
    Ok(())
}

/// The first barrier term.
const TERM: i64 = 1;

/// Whether a vault can have these officers, beside custodians of these names.
///
/// # Errors
/// [`Error::BadCeremony`].
pub fn check_officers(officers: &[Officer], custodians: &[&str]) -> Result<(), Error> {
    let bad = |what| Err(Error::BadCeremony { what });
    if officers.len() < callers::MIN_OFFICERS {
        return bad("there are fewer than three officers, and two sign what a third asks for");
    }
    for (i, officer) in officers.iter().enumerate() {
        if !callers::is_free_name(&officer.name, custodians.iter().copied()) {
            return bad(
                "an officer's name is empty, too long, a custodian's, or has characters that names do not have",
            );
        }
        if PublicKey::from_point65(&officer.key).is_err() {
            return bad("an officer's key is no point of P-256");
        }
        let mut others = officers[..i].iter();
        if others.any(|other| other.name == officer.name || other.key == officer.key) {
            return bad("two officers have the same name or the same key");
        }
    }
    Ok(())
}

/// Makes secret, keys and store in the staging folder.
async fn make_store(
    plan: &Plan,
    (vault, transport_key): ([u8; 16], PointBytes),
    staging: &Path,
    arena: &Arc<Arena>,
    now: Timestamp,
    mut rng: Random,
) -> Result<(SetId, Anchors, Vec<ShareEnvelope>, Random), Error> {
    const EPOCH: u32 = 1;
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

    let key_ring = first_ring(arena, &mut rng)?;
    let mut store = Store::create(staging).await?;
    store.create_header(&header, &commitments).await?;
    let mut core = Core {
        store,
        staged: Staged::default(),
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
        callers: Callers::new(),
        asked: ForWhom::default(),
        state: State {
            header: header_digest(&core.header, &core.shares),
            high_water: now.as_second(),
            journal_seq: 0,
            journal_head: journal::GENESIS,
            counts: vec![0; Table::COUNTED.len()],
            rows: None,
            leapt: 0,
            set_back: 0,
        },
        fresh: Freshness::default(),
        founded: plan.founded,
        time: Running::from(Clock::fixed(now), now),
        counts: Counts::default(),
        ring: key_ring,
        pending: None,
    };
    note_ring(&mut open, &ring_rows)?;
    first_keys(plan, &mut core, &mut open, now).await?;
    let anchors = certificates::public_keys(&core, &open)?;
    let Core { store, rng, .. } = core;
    store.close().await?;
    Ok((set, anchors, envelopes, rng))
}

fn first_ring(arena: &Arc<Arena>, rng: &mut Random) -> Result<Ring, Error> {
    Ok(Ring {
        barrier: [(TERM, OpenKey::random(arena, rng)?)].into(),
        nonce: OpenKey::random(arena, rng)?,
        state_root: OpenKey::random(arena, rng)?,
    })
}

/// Takes note of the ring's rows.
fn note_ring(open: &mut Open, ring_rows: &[(Vec<u8>, i64)]) -> Result<(), Error> {
    let places = Places::under(open.ring.state_root.expose())?;
    for (id, version) in ring_rows {
        open.state.count(Table::Ring, 1);
        open.fresh.note(&places, Table::Ring, id, *version)?;
    }
    Ok(())
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
        open.keys.insert(id, key)?;
    }
    let officers: Vec<Enrolment> = plan.officers.iter().map(Officer::enrolment).collect();
    callers::enrol(core, open, now, &officers, &mut transaction)?;
    open.apply(core, now, transaction).await?;
    open.commit(core).await
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
        with_callers: false,
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
        let text = fs::read(path).map_err(|error| unusable("a share envelope just written", path, &error))?;
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
                unseal(&mut core, &points, now, (0, "")).await?;
                proven = Some(secret);
            }
            Some(proven) if **proven == *secret => {}
            Some(_) => return Err(failed),
        }
    }
    core.store.close().await
}

/// Makes a folder, and those above it that are missing, for its owner alone.
fn private_folder(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| unusable("a folder", path, &error))
}

/// Refuses a folder into which somebody else can put something: what lies there is not what a founding of ours left, and a note in it
/// would say whose envelopes are to be taken back.
fn is_ours(folder: &Path) -> Result<(), Error> {
    const OTHERS_WRITE: u32 = 0o022;
    let found = fs::symlink_metadata(folder).map_err(|error| unusable("a folder", folder, &error))?;
    let own = rustix::process::geteuid().as_raw();
    if found.is_dir() && found.uid() == own && found.mode() & OTHERS_WRITE == 0 {
        return Ok(());
    }
    let another = std::io::ErrorKind::PermissionDenied.into();
    Err(unusable("what a founding that was cut left", folder, &another))
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    fs::File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| unusable("a folder", path, &error))
}
