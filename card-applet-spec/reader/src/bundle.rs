//! A terminal's bundle, opened and ready for use (chapter 08): the keys of its roles, the anchors, its certificates, the
//! deny lists, and the rules of chapter 06 that are applied with them.
//!
//! On loading, the 256 cohort keys of each role, region and version are expanded once: a tap then costs one AES block
//! per cohort. Left out: fetching bundles, and keeping the highest sequence number over restarts; the caller hands it in
//! and stores what [`Bundle::sequence`] says afterwards.

use aes::Aes128Dec;
use aes::cipher::{Array, BlockCipherDecrypt as _, KeyInit as _};
use card_applet_spec::bundle as wire;
use card_applet_spec::certificate::TerminalCertificate;
use card_applet_spec::codes::{KeyState, Region, Rights, Role};
use card_applet_spec::crypto::{Key16, Key32};
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::{Age, DenyList, has_grace};
use card_applet_spec::door_f::{TapAnswer, TapPlain};
use card_applet_spec::kdf;
use card_applet_spec::record::{Entitlement, RECORD_LEN, RecordHeader};
use card_applet_spec::sealed_box;
use program_contract::Founded;
use zeroize::Zeroizing;

use crate::enrol::{TerminalKey, TerminalName};
use crate::error::{Check, Error, MaterialError};

pub use card_applet_spec::bundle::Anchors;

/// The terminal's two certificates, and what they say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub(crate) intermediate: Vec<u8>,
    pub(crate) leaf: Vec<u8>,
    rights: Rights,
    from: Date,
    to: Date,
}

impl Chain {
    /// The rights of both certificates together (AND).
    #[must_use]
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// First and last day on which both certificates are valid.
    #[must_use]
    pub fn days(&self) -> (Date, Date) {
        (self.from, self.to)
    }

    /// Whether both certificates are valid on a day.
    #[must_use]
    pub fn is_valid_on(&self, day: Date) -> bool {
        self.from <= day && day <= self.to
    }

    /// Parses both. Their signatures are the card's to judge: the bundle around them is signed by the same root.
    fn parse(intermediate: &[u8], leaf: &[u8], key: &TerminalKey) -> Result<Self, MaterialError> {
        let form = |_| MaterialError::BundleForm;
        let (above, ..) = TerminalCertificate::parse(intermediate).map_err(form)?;
        let (below, ..) = TerminalCertificate::parse(leaf).map_err(form)?;
        // A leaf for another key would only be found out at the card, as a signature that fails.
        if below.public != key.authentication().public() {
            return Err(MaterialError::BundleForm);
        }
        Ok(Self {
            intermediate: intermediate.to_vec(),
            leaf: leaf.to_vec(),
            rights: above.rights.intersection(below.rights),
            from: above.effective.max(below.effective),
            to: above.expiry.min(below.expiry),
        })
    }
}

/// The masters and cohort keys of door F for one role, region and version.
struct TapKeys {
    group_master: Key32,
    tap_master: Key32,
    /// One expanded key per cohort, in the order of the cohorts.
    cohorts: Vec<Aes128Dec>,
}

/// Keys of one role, region and version.
struct RoleKey {
    role: Role,
    region: Region,
    kv: u8,
    state: KeyState,
    until: Date,
    tap: Option<TapKeys>,
    record_master: Key32,
}

impl RoleKey {
    fn load(key: wire::RoleKey) -> Result<Self, MaterialError> {
        let form = |_| MaterialError::BundleForm;
        let tap = match key.door_f {
            None => None,
            Some((group_master, tap_master)) => {
                // Room for all at once: a vector that grows leaves copies of keys behind.
                let mut cohorts = Vec::with_capacity(256);
                for cohort in 0..=u8::MAX {
                    let g =
                        kdf::group_key(&group_master, key.role, key.region, key.kv, cohort).map_err(form)?;
                    cohorts.push(Aes128Dec::new(&Array(*g.expose())));
                }
                Some(TapKeys {
                    group_master,
                    tap_master,
                    cohorts,
                })
            }
        };
        Ok(Self {
            role: key.role,
            region: key.region,
            kv: key.kv,
            state: key.state,
            until: key.until,
            tap,
            record_master: key.record_master,
        })
    }

    /// Active, or Draining and not past its day. Everything else is refused at once.
    fn is_usable_on(&self, day: Date) -> bool {
        match self.state {
            KeyState::Active => true,
            KeyState::Draining => day <= self.until,
            KeyState::Suspended | KeyState::Compromised => false,
        }
    }
}

/// A deny list of one role, its signature checked.
#[derive(Debug)]
struct OwnedDenyList {
    role: Role,
    version: u32,
    issued: Date,
    max_age: u16,
    entries: Vec<u8>,
    grace: Option<u16>,
}

impl OwnedDenyList {
    fn owned(list: &DenyList<'_>) -> Self {
        Self {
            role: list.role,
            version: list.version,
            issued: list.issued,
            max_age: list.max_age,
            entries: list.entries.to_vec(),
            grace: list.grace,
        }
    }

    fn borrowed(&self) -> DenyList<'_> {
        DenyList {
            role: self.role,
            version: self.version,
            issued: self.issued,
            max_age: self.max_age,
            entries: &self.entries,
            grace: self.grace,
        }
    }
}

/// A bundle that belongs to this terminal and is signed by its authority.
pub struct Bundle {
    id: [u8; 16],
    terminal: TerminalName,
    issued: Date,
    last_day: Date,
    sequence: u32,
    zones: u64,
    keys: Vec<RoleKey>,
    anchors: Anchors,
    chain: Option<Chain>,
    deny_lists: Vec<OwnedDenyList>,
    tid: Option<u32>,
    stale_list: StaleList,
}

/// What the operator wants when a deny list is behind its largest age and its signer allows days of grace (chapter 08).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StaleList {
    /// Nobody is accepted.
    #[default]
    Refuse,
    /// `TRANSIT` and `CLINIC` are still served in the days of grace. A door and a payment never are.
    Grace,
}

/// A key of door F or of records, without the key: what a bundle lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldKey {
    /// Role.
    pub role: Role,
    /// Region.
    pub region: Region,
    /// Key version.
    pub kv: u8,
    /// Active or Draining.
    pub state: KeyState,
    /// Last day of a Draining version; none otherwise.
    pub until: Date,
    /// Whether it opens and makes taps (door F), or records only.
    pub taps: bool,
}

/// A deny list, without its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldList {
    /// Role.
    pub role: Role,
    /// Version.
    pub version: u32,
    /// Day it was made.
    pub issued: Date,
    /// Largest age in days.
    pub max_age: u16,
    /// Days of grace that the signer allows.
    pub grace: Option<u16>,
    /// Cards on it.
    pub cards: usize,
}

/// What became of a list that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListOffered {
    /// Newer than what the terminal had: taken.
    Taken,
    /// The same or an older version: left.
    NotNewer,
    /// Of a role that this terminal does not serve: left.
    NotServed,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle")
            .field("terminal", &self.terminal)
            .field("sequence", &self.sequence)
            .field("last_day", &self.last_day)
            .finish_non_exhaustive()
    }
}

/// A record that opened: what it says, and whose keys opened it.
#[derive(Debug)]
pub(crate) struct OpenedRecord {
    pub(crate) entitlement: Entitlement,
    pub(crate) region: Region,
}

/// A TAP answer whose MAC holds.
pub(crate) struct OpenedTap {
    pub(crate) plain: TapPlain,
    /// The card's key M of this role and version.
    pub(crate) m: Key16,
}

/// A bundle's plain text out of its box, its signature checked.
fn unsealed<'a>(sealed: &'a mut [u8], key: &TerminalKey) -> Result<wire::Bundle<'a>, MaterialError> {
    let plain =
        sealed_box::open(sealed_box::BUNDLE, key.sealing(), sealed).map_err(|_| MaterialError::BundleSeal)?;
    wire::Bundle::parse_and_verify(plain, &key.pinned().root).map_err(|error| match error {
        card_applet_spec::Error::Crypto => MaterialError::BundleSignature,
        _ => MaterialError::BundleForm,
    })
}

fn founded(anchors: &Anchors) -> Founded {
    if anchors.is_rehearsal() {
        Founded::Rehearsal
    } else {
        Founded::Real
    }
}

impl Bundle {
    /// Opens the box with the terminal's sealing key, checks the signature under the pinned root, the terminal's name,
    /// every deny list's signature, the sequence number and the last day. `loaded` is the highest sequence number that
    /// this terminal has loaded so far; an older bundle is refused.
    ///
    /// # Errors
    ///
    /// [`Error::Material`]; [`Check::BundleDays`] (`BUNDLE_EXPIRED`) behind the last day.
    pub fn open(sealed: &[u8], key: &TerminalKey, loaded: Option<u32>, today: Date) -> Result<Self, Error> {
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let bundle = Self::load(&unsealed(&mut buffer, key)?, key)?;
        if let Some(loaded) = loaded
            && bundle.sequence < loaded
        {
            return Err(MaterialError::BundleOlder {
                offered: bundle.sequence,
                loaded,
            }
            .into());
        }
        bundle.check_last_day(today)?;
        Ok(bundle)
    }

    /// What the installation of a sealed bundle was founded as, under the pinned root's signature; days and sequence number
    /// are not looked at.
    ///
    /// # Errors
    ///
    /// [`MaterialError`]: the box or the signature.
    pub fn founded(sealed: &[u8], key: &TerminalKey) -> Result<Founded, MaterialError> {
        let mut buffer = Zeroizing::new(sealed.to_vec());
        Ok(founded(&unsealed(&mut buffer, key)?.head.anchors))
    }

    fn load(parsed: &wire::Bundle<'_>, key: &TerminalKey) -> Result<Self, MaterialError> {
        let form = |_| MaterialError::BundleForm;
        let head = &parsed.head;
        if head.name != key.name().as_str() {
            return Err(MaterialError::BundleName);
        }
        let keys = parsed
            .role_keys()
            .map(|role_key| RoleKey::load(role_key.map_err(form)?))
            .collect::<Result<_, _>>()?;
        let chain = match head.chain {
            Some((intermediate, leaf)) => Some(Chain::parse(intermediate, leaf, key)?),
            None => None,
        };
        let mut deny_lists: Vec<OwnedDenyList> = Vec::new();
        for bytes in parsed.deny_lists() {
            let list = DenyList::parse_and_verify(bytes, &head.anchors.deny_list_signer).map_err(form)?;
            // Two lists of one role: which of them counts is nobody's guess.
            if deny_lists.iter().any(|known| known.role == list.role) {
                return Err(MaterialError::BundleForm);
            }
            deny_lists.push(OwnedDenyList::owned(&list));
        }
        Ok(Self {
            id: head.id,
            terminal: key.name().clone(),
            issued: head.issued,
            last_day: head.not_after,
            sequence: head.sequence,
            zones: head.zones,
            keys,
            anchors: head.anchors,
            chain,
            deny_lists,
            tid: head.tid,
            stale_list: StaleList::Refuse,
        })
    }

    /// The bundle's id.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The terminal that it is for.
    #[must_use]
    pub fn terminal(&self) -> &TerminalName {
        &self.terminal
    }

    /// Day of issue.
    #[must_use]
    pub fn issued(&self) -> Date {
        self.issued
    }

    /// Last day of use, included.
    #[must_use]
    pub fn last_day(&self) -> Date {
        self.last_day
    }

    /// The number to store: an older bundle is never loaded again.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The zones that the terminal stands in, one bit each; 0: not checked.
    #[must_use]
    pub fn zones(&self) -> u64 {
        self.zones
    }

    /// What the installation was founded as.
    #[must_use]
    pub fn founding(&self) -> Founded {
        founded(&self.anchors)
    }

    /// The issuers' public keys.
    #[must_use]
    pub fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// The certificates for door S, if this terminal has them.
    #[must_use]
    pub fn chain(&self) -> Option<&Chain> {
        self.chain.as_ref()
    }

    /// The registration number for payments, if this terminal takes any.
    #[must_use]
    pub fn tid(&self) -> Option<u32> {
        self.tid
    }

    /// Sets what the operator wants when a list is too old. Until it is set, nobody is accepted then.
    pub fn set_stale_list(&mut self, wanted: StaleList) {
        self.stale_list = wanted;
    }

    /// Everything that this bundle's keys open, in its order.
    #[must_use]
    pub fn held_keys(&self) -> Vec<HeldKey> {
        self.keys
            .iter()
            .map(|key| HeldKey {
                role: key.role,
                region: key.region,
                kv: key.kv,
                state: key.state,
                until: key.until,
                taps: key.tap.is_some(),
            })
            .collect()
    }

    /// The deny lists in use, one a role.
    #[must_use]
    pub fn lists(&self) -> Vec<HeldList> {
        self.deny_lists
            .iter()
            .map(|list| HeldList {
                role: list.role,
                version: list.version,
                issued: list.issued,
                max_age: list.max_age,
                grace: list.grace,
                cards: list.entries.len().div_euclid(8),
            })
            .collect()
    }

    /// How old the list of a role is on a day; too old where there is none.
    #[must_use]
    pub fn list_age(&self, role: Role, today: Date) -> Age {
        self.deny_list(role)
            .map_or(Age::TooOld, |list| list.age_on(today))
    }

    /// Offers a list from a list file: the inside of its A9 template.
    ///
    /// # Errors
    ///
    /// [`MaterialError::ListDamaged`]: its form, or its signature under the signer that this bundle names.
    pub(crate) fn offer_list(&mut self, inside: &[u8]) -> Result<(Role, ListOffered), MaterialError> {
        let list = DenyList::parse_and_verify(inside, &self.anchors.deny_list_signer)
            .map_err(|_| MaterialError::ListDamaged)?;
        let role = list.role;
        if !self.serves(role) {
            return Ok((role, ListOffered::NotServed));
        }
        match self.deny_lists.iter_mut().find(|known| known.role == role) {
            Some(known) if list.version <= known.version => return Ok((role, ListOffered::NotNewer)),
            Some(known) => *known = OwnedDenyList::owned(&list),
            None => self.deny_lists.push(OwnedDenyList::owned(&list)),
        }
        Ok((role, ListOffered::Taken))
    }

    /// Whether the bundle holds any key of a role.
    #[must_use]
    pub fn serves(&self, role: Role) -> bool {
        self.keys.iter().any(|key| key.role == role)
    }

    /// The newest day that the office has signed into what this terminal holds: of the bundle, or of a list. A clock
    /// behind it is wrong.
    #[must_use]
    pub fn newest_day(&self) -> Date {
        self.deny_lists
            .iter()
            .map(|list| list.issued)
            .fold(self.issued, Date::max)
    }

    /// Refuses behind the last day.
    pub(crate) fn check_last_day(&self, today: Date) -> Result<(), Check> {
        if today <= self.last_day {
            Ok(())
        } else {
            Err(Check::BundleDays)
        }
    }

    /// Refuses behind the last day, and on a day before one that the office has signed.
    pub(crate) fn check_days(&self, today: Date) -> Result<(), Check> {
        self.check_last_day(today)?;
        if today < self.newest_day() {
            return Err(Check::Clock);
        }
        Ok(())
    }

    /// Refuses where the deny list of a role is missing or too old: without it nobody can be accepted. In the days of
    /// grace, only where signer and operator both allow it, and only for the roles that chapter 08 names.
    pub(crate) fn check_deny_list_age(&self, role: Role, today: Date) -> Result<(), Check> {
        match self.list_age(role, today) {
            Age::Fresh => Ok(()),
            Age::InGrace if self.stale_list == StaleList::Grace && has_grace(role) => Ok(()),
            Age::InGrace | Age::TooOld => Err(Check::DenyListAge),
        }
    }

    fn deny_list(&self, role: Role) -> Option<DenyList<'_>> {
        self.deny_lists
            .iter()
            .find(|list| list.role == role)
            .map(OwnedDenyList::borrowed)
    }

    fn usable(&self, role: Role, today: Date) -> impl Iterator<Item = &RoleKey> {
        self.keys
            .iter()
            .filter(move |key| key.role == role && key.is_usable_on(today))
    }

    /// Whether a key version of a role can be used on a day.
    pub(crate) fn holds(&self, role: Role, kv: u8, today: Date) -> bool {
        self.usable(role, today).any(|key| key.kv == kv)
    }

    /// The versions to tap with, each once: the Active ones in the bundle's order, then the Draining ones.
    pub(crate) fn tap_versions(&self, role: Role, today: Date) -> Vec<u8> {
        let of = |state| {
            self.usable(role, today)
                .filter(move |key| key.state == state && key.tap.is_some())
                .map(|key| key.kv)
        };
        let mut versions = Vec::new();
        for version in of(KeyState::Active).chain(of(KeyState::Draining)) {
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        versions
    }

    /// Looks for the cohort that an answer to TAP was made with, in every region of the bundle, and checks T.
    pub(crate) fn open_tap(
        &self,
        role: Role,
        version: u8,
        challenge: &[u8; 16],
        answer: &TapAnswer,
        today: Date,
    ) -> Result<OpenedTap, Check> {
        let (first, second) = answer.filter_blocks();
        let mut found = Check::Keys;
        for key in self.usable(role, today).filter(|key| key.kv == version) {
            let Some(tap) = &key.tap else { continue };
            for (cohort, cipher) in (0..=u8::MAX).zip(&tap.cohorts) {
                let mut block = Array(second);
                cipher.decrypt_block(&mut block);
                if !TapAnswer::is_candidate(&block.into(), &first) {
                    continue;
                }
                let Ok(g) = kdf::group_key(&tap.group_master, role, key.region, version, cohort) else {
                    continue;
                };
                let Ok(plain) = answer.open(&g) else { continue };
                let Ok(m) = kdf::tap_key(&tap.tap_master, role, key.region, version, &plain.pid) else {
                    continue;
                };
                if answer.verify(&m, role.code(), version, challenge).is_ok() {
                    return Ok(OpenedTap { plain, m });
                }
                // One in 2^24 answers of a stranger looks like this for some cohort: go on, and remember it.
                found = Check::TapMac;
            }
        }
        Err(found)
    }

    /// Opens a record of a slot: its header must be that of the slot, and the entitlement signer must have signed it.
    pub(crate) fn open_record(
        &self,
        role: Role,
        kv: u8,
        pid: &[u8; 16],
        record: &[u8; RECORD_LEN],
        today: Date,
    ) -> Result<OpenedRecord, Check> {
        let header = RecordHeader::parse(record).map_err(|_| Check::RecordHeader)?;
        if header.role != role {
            return Err(Check::RecordRole);
        }
        if header.kv != kv {
            return Err(Check::RecordHeader);
        }
        let mut found = Check::Keys;
        for key in self.usable(role, today).filter(|key| key.kv == kv) {
            let record_key = kdf::record_key(&key.record_master, role, key.region, kv, pid)
                .map_err(|_| Check::RecordSeal)?;
            match Entitlement::open(record, &record_key, pid, &self.anchors.entitlement_signer) {
                Ok(entitlement) => {
                    return Ok(OpenedRecord {
                        entitlement,
                        region: key.region,
                    });
                }
                Err(_) => found = Check::RecordSeal,
            }
        }
        Err(found)
    }

    /// Days, zones, deny list (chapter 06, point 3).
    pub(crate) fn apply_rules(
        &self,
        entitlement: &Entitlement,
        pid: &[u8; 16],
        today: Date,
    ) -> Result<(), Check> {
        if today < entitlement.from {
            return Err(Check::RecordNotYet);
        }
        if entitlement.to < today {
            return Err(Check::RecordDays);
        }
        if self.zones != 0 && entitlement.zones & self.zones == 0 {
            return Err(Check::Zones);
        }
        self.check_deny_list_age(entitlement.role, today)?;
        if self
            .deny_list(entitlement.role)
            .is_some_and(|list| list.contains(pid))
        {
            return Err(Check::DenyList);
        }
        Ok(())
    }
}
