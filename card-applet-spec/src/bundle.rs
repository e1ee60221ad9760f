//! The terminal bundle (chapter 08): everything that a terminal loads, signed as one. The box around it is
//! [`crate::sealed_box`]; what the terminal decides with it is in `card-reader`.

use rand_core::CryptoRng;

use crate::bytes::{SliceWriter, Write};
use crate::certificate::CertificateName;
use crate::codes::{KeyState, Region, Role, VERSION};
use crate::crypto::{Key32, PrivateKey, PublicKey};
use crate::date::Date;
use crate::error::Error;
use crate::rehearsal;
use crate::tlv::{self, Fields};

const LABEL: &[u8] = b"YZT-BUNDLE-1";
const WHAT: &str = "terminal bundle";
const MALFORMED: Error = Error::Malformed { what: WHAT };
const TAGS: &[u16] = &[
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0xA6, 0xA7, 0xA8, 0xA9, 0x8A, 0x8B,
];

/// Keys of one role, region and version.
#[derive(Debug)]
pub struct RoleKey {
    /// Role.
    pub role: Role,
    /// Region.
    pub region: Region,
    /// Key version.
    pub kv: u8,
    /// Active or Draining.
    pub state: KeyState,
    /// Last day of a Draining version; none otherwise (then it does not stand in the bundle).
    pub until: Date,
    /// Group master and tap master; only for roles with door F, and only for a terminal that taps.
    pub door_f: Option<(Key32, Key32)>,
    /// Record master.
    pub record_master: Key32,
}

/// Public keys that a terminal trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchors {
    /// Card CA.
    pub card_ca: PublicKey,
    /// Entitlement signer.
    pub entitlement_signer: PublicKey,
    /// Document signer.
    pub document_signer: PublicKey,
    /// Name of the terminal CA's root.
    pub terminal_ca_name: CertificateName,
    /// Key of the terminal CA's root.
    pub terminal_ca: PublicKey,
    /// Deny-list signer.
    pub deny_list_signer: PublicKey,
}

impl Anchors {
    /// Whether these are the anchors of a rehearsal (chapter 08, "Rehearsal").
    #[must_use]
    pub fn is_rehearsal(&self) -> bool {
        rehearsal::is_authority(&self.terminal_ca_name)
    }
}

/// Everything but keys and lists, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleHead<'a> {
    /// Bundle id.
    pub id: [u8; 16],
    /// Terminal name.
    pub name: &'a str,
    /// Issued on.
    pub issued: Date,
    /// Last day of use.
    pub not_after: Date,
    /// Sequence number.
    pub sequence: u32,
    /// Anchors.
    pub anchors: Anchors,
    /// Intermediate and leaf certificate, for terminals with door S.
    pub chain: Option<(&'a [u8], &'a [u8])>,
    /// Zones that the terminal stands in; 0 for no check.
    pub zones: u64,
    /// Registration number, for terminals that take payments.
    pub tid: Option<u32>,
}

/// Writes and signs a bundle into `out`; gives its length. `deny_lists` are insides of A9 templates.
///
/// # Errors
/// [`Error::TooLong`] when `out` is too small or the name is empty or longer than 64 bytes; [`Error::Malformed`] for a
/// version 0, one that is neither Active nor Draining, or a Draining one without its last day; [`Error::Crypto`] for a fault of the machine.
pub fn encode(
    head: &BundleHead<'_>,
    keys: &[RoleKey],
    deny_lists: &[&[u8]],
    root: &PrivateKey,
    rng: &mut impl CryptoRng,
    out: &mut [u8],
) -> Result<usize, Error> {
    if head.name.is_empty() || head.name.len() > 64 {
        return Err(Error::TooLong {
            what: "terminal name",
        });
    }
    let mut writer = SliceWriter::new(out);
    tlv::put_template(&mut writer, 0x7F50, &|out| {
        tlv::put(out, 0x80, &[VERSION])?;
        tlv::put(out, 0x81, &head.id)?;
        tlv::put(out, 0x82, head.name.as_bytes())?;
        tlv::put(out, 0x83, &head.issued.to_bytes())?;
        tlv::put(out, 0x84, &head.not_after.to_bytes())?;
        tlv::put(out, 0x85, &head.sequence.to_be_bytes())?;
        for key in keys {
            tlv::put_template(out, 0xA6, &|out| put_role_key(out, key))?;
        }
        tlv::put_template(out, 0xA7, &|out| put_anchors(out, &head.anchors))?;
        if let Some((intermediate, leaf)) = head.chain {
            tlv::put_template(out, 0xA8, &|out| {
                tlv::put(out, 0x80, intermediate)?;
                tlv::put(out, 0x81, leaf)
            })?;
        }
        for list in deny_lists {
            tlv::put(out, 0xA9, list)?;
        }
        tlv::put(out, 0x8A, &head.zones.to_be_bytes())?;
        head.tid
            .map_or(Ok(()), |tid| tlv::put(out, 0x8B, &tid.to_be_bytes()))
    })?;
    let used = writer.len();
    let signature = root.sign(&[LABEL, out.get(..used).ok_or(MALFORMED)?], rng)?;
    let rest = out.get_mut(used..).ok_or(MALFORMED)?;
    let mut writer = SliceWriter::new(rest);
    tlv::put(&mut writer, 0x5F37, &signature)?;
    Ok(used.saturating_add(writer.len()))
}

/// A bundle carries only what a terminal may use.
const fn is_usable(kv: u8, state: KeyState) -> bool {
    kv != 0 && matches!(state, KeyState::Active | KeyState::Draining)
}

fn put_role_key(out: &mut dyn Write, key: &RoleKey) -> Result<(), Error> {
    if !is_usable(key.kv, key.state) {
        return Err(MALFORMED);
    }
    tlv::put(out, 0x80, &[key.role.code()])?;
    tlv::put(out, 0x81, &key.region.to_bytes())?;
    tlv::put(out, 0x82, &[key.kv])?;
    tlv::put(out, 0x83, &[key.state.code()])?;
    if key.state == KeyState::Draining {
        if key.until.is_none() {
            return Err(MALFORMED);
        }
        tlv::put(out, 0x84, &key.until.to_bytes())?;
    }
    if let Some((group, tap)) = &key.door_f {
        tlv::put(out, 0x85, group.expose())?;
        tlv::put(out, 0x86, tap.expose())?;
    }
    tlv::put(out, 0x87, key.record_master.expose())
}

fn put_anchors(out: &mut dyn Write, anchors: &Anchors) -> Result<(), Error> {
    tlv::put(out, 0x80, &anchors.card_ca.to_public64())?;
    tlv::put(out, 0x81, &anchors.entitlement_signer.to_public64())?;
    tlv::put(out, 0x82, &anchors.document_signer.to_public64())?;
    tlv::put_template(out, 0x83, &|out| {
        out.put(&anchors.terminal_ca_name.0)?;
        out.put(&anchors.terminal_ca.to_public64())
    })?;
    tlv::put(out, 0x84, &anchors.deny_list_signer.to_public64())
}

/// A bundle that was opened and whose signature holds.
pub struct Bundle<'a> {
    /// Head.
    pub head: BundleHead<'a>,
    body: &'a [u8],
}

impl core::fmt::Debug for Bundle<'_> {
    /// The head; the body holds keys.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Bundle")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl<'a> Bundle<'a> {
    /// Parses the plain text and checks its signature under the pinned root. Dates are the caller's to check.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::Crypto`] when the signature fails or names another root.
    pub fn parse_and_verify(plain: &'a [u8], pinned_root: &PublicKey) -> Result<Self, Error> {
        let (body, signature) = tlv::parse_signed(plain, 0x7F50, WHAT)?;
        pinned_root.verify(&[LABEL, body.raw], &signature)?;
        let mut fields = Fields::new(body.value, TAGS, WHAT);
        if fields.array(0x80)? != [VERSION] {
            return Err(MALFORMED);
        }
        let id = fields.array(0x81)?;
        let name = fields.text(0x82, 1, 64)?;
        let issued = Date::from_bytes(fields.array(0x83)?)?;
        let not_after = Date::from_bytes(fields.array(0x84)?)?;
        let sequence = u32::from_be_bytes(fields.array(0x85)?);
        while let Some(key) = fields.optional(0xA6)? {
            parse_role_key(key.value)?;
        }
        let anchors = parse_anchors(fields.required(0xA7)?.value)?;
        if anchors.terminal_ca != *pinned_root {
            return Err(Error::Crypto);
        }
        let chain = fields
            .optional(0xA8)?
            .map(|chain| parse_chain(chain.value))
            .transpose()?;
        while fields.optional(0xA9)?.is_some() {}
        let zones = u64::from_be_bytes(fields.array(0x8A)?);
        let tid = fields
            .optional(0x8B)?
            .map(|tid| {
                tid.value
                    .try_into()
                    .map(u32::from_be_bytes)
                    .map_err(|_| MALFORMED)
            })
            .transpose()?;
        fields.end()?;
        let head = BundleHead {
            id,
            name,
            issued,
            not_after,
            sequence,
            anchors,
            chain,
            zones,
            tid,
        };
        Ok(Self {
            head,
            body: body.value,
        })
    }

    /// The role keys.
    pub fn role_keys(&self) -> impl Iterator<Item = Result<RoleKey, Error>> + '_ {
        self.inside(0xA6).map(parse_role_key)
    }

    /// The deny lists, unchecked: insides of A9 templates for [`crate::deny_list::DenyList::parse_and_verify`].
    pub fn deny_lists(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.inside(0xA9)
    }

    fn inside(&self, tag: u16) -> impl Iterator<Item = &'a [u8]> + '_ {
        let mut rest = self.body;
        core::iter::from_fn(move || {
            // The whole body was parsed once: an error cannot come here, and would end the walk.
            while let Ok((object, next)) = tlv::parse(rest) {
                rest = next;
                if object.tag == tag {
                    return Some(object.value);
                }
            }
            None
        })
    }
}

fn parse_role_key(bytes: &[u8]) -> Result<RoleKey, Error> {
    let mut fields = Fields::new(bytes, &[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87], WHAT);
    let role = Role::try_from(u8::from_be_bytes(fields.array(0x80)?))?;
    let region = Region::from_bytes(fields.array(0x81)?)?;
    let kv = u8::from_be_bytes(fields.array(0x82)?);
    let state = KeyState::try_from(u8::from_be_bytes(fields.array(0x83)?))?;
    if !is_usable(kv, state) {
        return Err(MALFORMED);
    }
    // In another state a date stands where none is expected, and is refused.
    let until = if state == KeyState::Draining {
        Date::from_bytes(fields.array(0x84)?)?
    } else {
        Date::NONE
    };
    if state == KeyState::Draining && until.is_none() {
        return Err(MALFORMED);
    }
    // A terminal that reads records behind door S, such as a counter, has neither master. In a role without door F
    // they stand where nothing is expected, and are refused.
    let door_f = match fields.optional_array(0x85)? {
        Some(group) if role.has_door_f() => Some((Key32::new(group), Key32::new(fields.array(0x86)?))),
        Some(_) => return Err(MALFORMED),
        None => None,
    };
    let record_master = Key32::new(fields.array(0x87)?);
    fields.end()?;
    Ok(RoleKey {
        role,
        region,
        kv,
        state,
        until,
        door_f,
        record_master,
    })
}

fn parse_anchors(bytes: &[u8]) -> Result<Anchors, Error> {
    let mut fields = Fields::new(bytes, &[0x80, 0x81, 0x82, 0x83, 0x84], WHAT);
    let card_ca = PublicKey::from_public64(&fields.array(0x80)?)?;
    let entitlement_signer = PublicKey::from_public64(&fields.array(0x81)?)?;
    let document_signer = PublicKey::from_public64(&fields.array(0x82)?)?;
    let root = fields.required(0x83)?.value;
    let deny_list_signer = PublicKey::from_public64(&fields.array(0x84)?)?;
    fields.end()?;
    let mut reader = crate::bytes::Reader::new(root, WHAT);
    let terminal_ca_name = CertificateName(reader.array()?);
    let terminal_ca = PublicKey::from_public64(&reader.array()?)?;
    reader.end()?;
    Ok(Anchors {
        card_ca,
        entitlement_signer,
        document_signer,
        terminal_ca_name,
        terminal_ca,
        deny_list_signer,
    })
}

fn parse_chain(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let mut fields = Fields::new(bytes, &[0x80, 0x81], WHAT);
    let chain = (fields.required(0x80)?.value, fields.required(0x81)?.value);
    fields.end()?;
    Ok(chain)
}
