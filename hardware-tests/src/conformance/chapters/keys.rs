//! Chapter 04: the keys in force are those that the derivations give.

use card_applet_spec::apdu::Header;
use card_applet_spec::scp03::{InitializeUpdate, SessionKeys};
use card_applet_spec::script::ScriptKind;

use crate::conformance::case::{Case, Class, WRITES, case};
use crate::conformance::check::{Check, Stop, ensure};
use crate::conformance::issuer::{DoorI, Script, keys_step};
use crate::conformance::phase::Phase;
use crate::conformance::test_rig::TestRig;

pub(super) const CASES: &[Case] = &[
    case(
        "04.01",
        "04 Derivation",
        Class::Keys,
        Phase::Blank,
        "",
        "a BLANK proves the transport keys of its serial in the lot",
        |rig| proves(rig, 0),
    ),
    case(
        "04.02",
        "04 Derivation",
        Class::Keys,
        Phase::Personalised,
        "",
        "after its first script a card proves the issuance keys and not the transport keys any more",
        |rig| proves(rig, 1),
    ),
    case(
        "04.03",
        "04 Key check value",
        Class::Keys,
        Phase::Personalised,
        WRITES,
        "KEYS in a rewrite is taken under the DEK in force and answers six check values",
        key_check_values,
    ),
];

/// Which of transport and issuance keys the card proves: exactly the given one.
fn proves(rig: &mut TestRig<'_>, right: usize) -> Check {
    let keys = rig.static_keys()?;
    for _ in 0..4 {
        rig.select()?;
        let host: [u8; 8] = rig.random();
        let body = rig
            .command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
            .ok("INITIALIZE UPDATE")?;
        let card = InitializeUpdate::parse(&body)?;
        for (at, keys) in keys.iter().enumerate() {
            let session = SessionKeys::derive(keys, &host, &card.card_challenge);
            let proved = session.card_cryptogram(&host, &card.card_challenge) == card.card_cryptogram;
            let name = ["transport", "issuance"][at];
            ensure(
                proved == (at == right),
                format!(
                    "the card {} the {name} keys",
                    if proved { "proves" } else { "does not prove" }
                ),
            )?;
        }
    }
    Ok(())
}

fn key_check_values(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let (step, values) = keys_step(rig, door.transport)?;
    let body = script.next(rig, &mut door, &step)?;
    ensure(body == values, "KEYS does not answer the check values")?;
    let again = door.step(rig, script.n, &step)?;
    ensure(again == values, "the repetition of KEYS answers something else")?;
    script.finalise(rig, &mut door)?;
    DoorI::open(rig).map(drop).map_err(|stop| match stop {
        Stop::Failed(_) => Stop::Failed("the keys that KEYS brought do not open door I".to_owned()),
        other => other,
    })
}
