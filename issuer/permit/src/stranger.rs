//! A stranger's reader: somebody who has read the whole specification, owns a reader, and has made keys of their own.

use card_applet_spec::bundle::{Anchors, BundleHead, RoleKey, encode};
use card_applet_spec::certificate::CertificateName;
use card_applet_spec::codes::{KeyState, Region, Role};
use card_applet_spec::crypto::{Key32, PrivateKey};
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::DenyList;
use card_applet_spec::sealed_box;
use card_reader::transport::Transport;
use card_reader::{Bundle, Card, Pinned, Terminal as DoorF, TerminalKey};
use program_contract::language::Words;
use program_contract::{Exit, Failure};
use rand_core::CryptoRng;
use serde_json::json;

use crate::reads::Read;
use crate::{failure, reads};

/// Room for a bundle of one key.
const ROOM: usize = 2048;

/// What the stranger sees: the card info that every card of the profile gives, and a TAP that opens with no key of theirs.
pub(crate) fn read(
    mut connect: impl FnMut() -> Result<Box<dyn Transport + Send>, Failure>,
    region: Region,
    today: Date,
    random: &mut impl CryptoRng,
) -> Result<Read, Failure> {
    let mut gate = DoorF::new(own_bundle(region, today, random)?);
    let info = Card::new(connect()?).select().map(|card| *card.info());
    let info = info.map_err(|error| failure::ending(Exit::Absent, error))?;
    let mut seen = reads::tap(connect()?, &mut gate, Role::Transit, today, random)?;
    let [major, minor] = info.specification;
    seen.saw = json!({ "specification": format!("{major}.{minor}"), "profile": info.profile });
    Ok(seen)
}

/// A bundle in perfect form, of a vault that does not exist.
fn own_bundle(region: Region, today: Date, random: &mut impl CryptoRng) -> Result<Bundle, Failure> {
    let mut key = || PrivateKey::generate(random);
    let (root, other) = (key(), key());
    let pinned = Pinned {
        vault: [0; 16],
        root: root.public(),
    };
    let terminal = TerminalKey::generate("stranger".parse()?, pinned, random);
    let mut master = || {
        let mut bytes = [0; 32];
        random.fill_bytes(&mut bytes);
        Key32::new(bytes)
    };
    let keys = [RoleKey {
        role: Role::Transit,
        region,
        kv: 1,
        state: KeyState::Active,
        until: Date::NONE,
        door_f: Some((master(), master())),
        record_master: master(),
    }];
    let head = BundleHead {
        id: [0; 16],
        name: "stranger",
        issued: today,
        not_after: today,
        sequence: 1,
        anchors: Anchors {
            card_ca: other.public(),
            entitlement_signer: other.public(),
            document_signer: other.public(),
            terminal_ca_name: CertificateName::new("STRANGER", 1, 1),
            terminal_ca: root.public(),
            deny_list_signer: other.public(),
        },
        chain: None,
        zones: 0,
        tid: None,
    };
    let list = DenyList {
        role: Role::Transit,
        version: 1,
        issued: today,
        max_age: 1,
        entries: &[],
        grace: None,
    };
    let form = |error: card_applet_spec::Error| {
        failure::machine(
            Words("无法制作陌生人的凭证包", "the stranger's bundle cannot be made"),
            error.to_string(),
        )
    };
    let mut scratch = [0; 256];
    let signature = list.sign(&other, &mut scratch, random).map_err(form)?;
    let mut encoded = card_applet_spec::Bytes::<256>::new();
    list.encode(&signature, &mut encoded).map_err(form)?;
    let mut plain = vec![0; ROOM];
    let length = encode(&head, &keys, &[&encoded], &root, random, &mut plain).map_err(form)?;
    plain.truncate(length);
    let request = terminal.request();
    let receiver = card_applet_spec::crypto::PublicKey::from_point65(&request.sealing_key).map_err(form)?;
    let (before, tag) = sealed_box::seal(sealed_box::BUNDLE, &receiver, &mut plain, random).map_err(form)?;
    let sealed = [&before[..], &plain, &tag].concat();
    Ok(Bundle::open(&sealed, &terminal, None, today)?)
}
