//! A stolen terminal: what its key and its bundle still do, and what ends each of it. Terminals at work are the real
//! library, the cards are the real applet in process.

use crate::reader_fixture::{Certificates, Issuer, KV, REGION, TID, Wanted, Wire, day, today};
use card_applet_spec::codes::{KeyState, Rights, Role};
use card_applet_spec::date::Date;
use card_applet_spec::settlement::UnverifiedSettlement;
use card_reader::door_f::NoWatch;
use card_reader::purchase::{Moment, Outcome, Till};
use card_reader::transport::Transport;
use card_reader::{
    Admission, Bundle, Card, Check, Error, Journal, MaterialError, Reason, Terminal, TerminalKey,
};

const ROLES: [Role; 3] = [Role::Transit, Role::Clinic, Role::SmallPayment];

fn tap(
    terminal: &mut Terminal,
    wire: &mut dyn Transport,
    on: Date,
    issuer: &mut Issuer,
) -> Result<Admission, Error> {
    let card = Card::new(wire).select()?;
    terminal.tap(card, Role::Transit, on, &mut issuer.rng)
}

fn clinic(
    key: &TerminalKey,
    bundle: &Bundle,
    wire: &mut dyn Transport,
    on: Date,
    issuer: &mut Issuer,
) -> Result<Admission, Error> {
    let card = Card::new(wire).reset()?.select()?;
    let card = card
        .present(bundle, on)?
        .agree(Rights::role(Role::Clinic), key, on, &mut issuer.rng)?;
    let (_, admission) = card.read_entitlement(Role::Clinic, bundle, on)?;
    Ok(*admission.content())
}

fn reason<T: std::fmt::Debug>(result: Result<T, Error>) -> Reason {
    result.unwrap_err().refusal().expect("a refusal").reason
}

/// A card that a thief made from a recorded tap: without the card's M he can only repeat.
struct Parrot(Vec<(Vec<u8>, Vec<u8>)>);

impl Transport for Parrot {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, card_reader::transport::TransportError> {
        let same = |recorded: &&(Vec<u8>, Vec<u8>)| recorded.0[..5] == command[..5];
        Ok(self
            .0
            .iter()
            .find(same)
            .map_or(vec![0x6D, 0x00], |(_, answer)| answer.clone()))
    }

    fn reset(&mut self) -> Result<(), card_reader::transport::TransportError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "parrot"
    }
}

/// A card that a thief makes from the masters of a stolen bundle and a tap that he read: M follows from the pid.
struct Clone {
    master: card_applet_spec::crypto::Key32,
    group: card_applet_spec::crypto::Key32,
    plain: card_applet_spec::door_f::TapPlain,
}

impl Transport for Clone {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, card_reader::transport::TransportError> {
        use card_applet_spec::door_f::TapAnswer;
        use card_applet_spec::kdf;
        if command[1] == 0xA4 {
            let mut out = card_applet_spec::data_group::CardInfo::CURRENT
                .encode()
                .unwrap()
                .to_vec();
            out.extend_from_slice(&[0x90, 0x00]);
            return Ok(out);
        }
        let region = REGION.parse().unwrap();
        let g = kdf::group_key(&self.group, Role::Transit, region, KV, 0).unwrap();
        let m = kdf::tap_key(&self.master, Role::Transit, region, KV, &self.plain.pid).unwrap();
        let rt = command[5..21].try_into().unwrap();
        let rc = command[5..21]
            .iter()
            .map(|byte| !byte)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        let answer = TapAnswer::make(
            &g,
            &m,
            Role::Transit.code(),
            command[3],
            rt,
            rc,
            &self.plain.encode().unwrap(),
        )
        .unwrap();
        let mut out = answer.encode().unwrap().to_vec();
        out.extend_from_slice(&[0x90, 0x00]);
        Ok(out)
    }

    fn reset(&mut self) -> Result<(), card_reader::transport::TransportError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "clone"
    }
}

#[test]
fn door_f_of_a_stolen_terminal_reads_and_clones_until_its_version_is_gone_from_the_other_terminals() {
    let mut issuer = Issuer::new(31);
    let (mut reader, _, made) = issuer.active_card(1, &ROLES);
    let wanted = Wanted::of(&[Role::Transit]);
    let (_, stolen) = issuer.terminal(&wanted);
    let mut thief = Terminal::new(stolen);
    // Before anything is done: the thief reads cards, behind the bundle's last day too, if he does not ask it.
    assert!(tap(&mut thief, &mut reader, today(), &mut issuer).is_ok());

    // And he makes a clone that another terminal takes for the card: chapter 06 says so, and so does this.
    let (_, pid, record) = made
        .records
        .iter()
        .find(|record| record.0 == Role::Transit)
        .unwrap();
    let (group, master) = issuer.tap_masters(Role::Transit, KV);
    let mut clone = Clone {
        master,
        group,
        plain: card_applet_spec::door_f::TapPlain {
            pid: *pid,
            seq: 0,
            loaded: 0,
            spent: 0,
            last_txno: [0; 8],
            masked: [0; 16],
            tac: [0; 8],
            record: *record,
        },
    };
    let mut other = Terminal::new(issuer.terminal(&wanted).1);
    assert!(
        tap(&mut other, &mut clone, today(), &mut issuer).is_ok(),
        "an expected attack: if this is refused, the specification claims too little"
    );

    // He cannot make a record: the clone says what the card said, until its day, and no more.
    let mut better = issuer.entitled(Role::Transit);
    better.pid = *pid;
    better.to = day("2099-12-31");
    let forged = Issuer::new(32).record(&better, &made.keys[0]);
    clone.plain.record = forged;
    assert_eq!(
        reason(tap(&mut other, &mut clone, today(), &mut issuer)),
        Reason::NotGenuine
    );
    clone.plain.record = *record;

    // A tap alone, without the bundle, clones nothing.
    let mut wire = Wire::new(reader);
    tap(&mut other, &mut wire, today(), &mut issuer).unwrap();
    let mut parrot = Parrot(wire.tape.clone());
    assert_eq!(
        reason(tap(&mut other, &mut parrot, today(), &mut issuer)),
        Reason::Replay,
        "the terminal that heard it knows it"
    );
    let mut third = Terminal::new(issuer.terminal(&wanted).1);
    assert_eq!(
        reason(tap(&mut third, &mut parrot, today(), &mut issuer)),
        Reason::NotGenuine,
        "the others find the random number that is not theirs"
    );

    // Revoked: the other terminals get bundles without the version. Clone and card of that version end at once.
    let mut after = Wanted::of(&[Role::Transit]);
    after.roles[0].2 = KV + 1;
    after.sequence = 6;
    other.replace_bundle(issuer.terminal(&after).1);
    assert_eq!(
        reason(tap(&mut other, &mut clone, today(), &mut issuer)),
        Reason::NotActive
    );
    assert_eq!(
        reason(tap(&mut other, &mut wire.inner, today(), &mut issuer)),
        Reason::NotActive
    );
    // A card with the new version is served there, and the thief's bundle is blind to it.
    let (mut renewed, _) = issuer.active_card_with(2, &[Role::Transit], |content| {
        content.entitled[0].kv = KV + 1;
    });
    assert!(tap(&mut other, &mut renewed, today(), &mut issuer).is_ok());
    assert_eq!(
        reason(tap(&mut thief, &mut renewed, today(), &mut issuer)),
        Reason::NotActive
    );
}

#[test]
fn a_draining_version_ends_with_its_day_where_it_was_not_compromised() {
    let mut issuer = Issuer::new(33);
    let (mut reader, _, _) = issuer.active_card(1, &[Role::Transit]);
    let mut wanted = Wanted::of(&[Role::Transit]);
    wanted.roles = vec![
        (Role::Transit, REGION, KV + 1, KeyState::Active, Date::NONE),
        (Role::Transit, REGION, KV, KeyState::Draining, day("2026-11-22")),
    ];
    let mut terminal = Terminal::new(issuer.terminal(&wanted).1);
    assert!(tap(&mut terminal, &mut reader, day("2026-11-22"), &mut issuer).is_ok());
    assert_eq!(
        reason(tap(&mut terminal, &mut reader, day("2026-11-23"), &mut issuer)),
        Reason::NotActive
    );
}

#[test]
fn door_s_of_a_stolen_terminal_ends_with_its_leaf_once_the_card_has_seen_a_later_day() {
    let mut issuer = Issuer::new(34);
    let (mut reader, _, _) = issuer.active_card(1, &ROLES);
    let certificates = Certificates::with(Rights::role(Role::Clinic));
    let (key, bundle) = issuer.terminal(&Wanted::of(&[Role::Clinic]).and(certificates));
    assert!(clinic(&key, &bundle, &mut reader, today(), &mut issuer).is_ok());

    // An honest terminal says no by its own clock; a thief sets his back.
    assert_eq!(
        reason(clinic(&key, &bundle, &mut reader, day("2026-11-29"), &mut issuer)),
        Reason::BundleExpired
    );
    assert!(
        clinic(&key, &bundle, &mut reader, today(), &mut issuer).is_ok(),
        "an expected attack: the card has no clock"
    );
    // The card has seen an intermediate of a later day: the old leaf is refused by the card itself.
    let mut later = Certificates::with(Rights::role(Role::Clinic));
    later.intermediate_from = day("2026-12-01");
    later.from = day("2026-12-01");
    later.to = day("2026-12-07");
    let mut wanted = Wanted::of(&[Role::Clinic]).and(later);
    wanted.list_issued = day("2026-11-30");
    let (new_key, new_bundle) = issuer.terminal(&wanted);
    clinic(&new_key, &new_bundle, &mut reader, day("2026-12-01"), &mut issuer).unwrap();
    assert_eq!(
        reason(clinic(&key, &bundle, &mut reader, today(), &mut issuer)),
        Reason::BundleExpired
    );

    // And at no time does it give more than its leaf names.
    let card = Card::new(&mut reader).reset().unwrap().select().unwrap();
    let asked = card.present(&new_bundle, day("2026-12-01")).unwrap().agree(
        Rights::IDENTITY,
        &new_key,
        day("2026-12-01"),
        &mut issuer.rng,
    );
    assert_eq!(reason(asked), Reason::WrongRole);
}

#[test]
fn payments_of_a_stolen_terminal_name_its_registration_and_carry_its_signature() {
    let mut issuer = Issuer::new(35);
    let (mut reader, _, _) = issuer.active_card(1, &ROLES);
    let folder = tempfile::tempdir().unwrap();
    let (key, bundle) = issuer.terminal(&Wanted::of(&[Role::SmallPayment]));
    let mut thief = Terminal::new(bundle);
    let mut journal = Journal::open_file(&folder.path().join("journal"), TID).unwrap();
    let moment = Moment {
        today: today(),
        seconds: 1,
    };
    let sold = Till::new(&mut thief, &mut journal)
        .sell(&mut reader, 100, moment, &NoWatch, &mut issuer.rng)
        .unwrap();
    assert!(
        matches!(sold, Outcome::Sold(_)),
        "a card that is held to it can be debited"
    );
    let file = journal.settlement(&key, &mut issuer.rng).unwrap().unwrap();
    let parsed = UnverifiedSettlement::parse(&file).unwrap();
    // What the office has to refuse by: the tid of the file and of every line, and the key that signed it.
    assert_eq!((parsed.head().tid, parsed.head().terminal), (TID, "terminal 1"));
    let other = issuer.enrol("terminal 1").request().authentication_key;
    let other = card_applet_spec::crypto::PublicKey::from_point65(&other).unwrap();
    assert!(
        parsed.verify(&other).is_err(),
        "enrolled again, the name has another key"
    );
}

#[test]
fn a_stolen_terminal_opens_no_bundle_and_no_batch_of_another_and_no_older_one() {
    let mut issuer = Issuer::new(36);
    let wanted = Wanted::of(&[Role::Transit]);
    let (key, _) = issuer.terminal(&wanted);
    let neighbour = issuer.enrol("terminal 1");
    let plain = issuer.plain_bundle(&wanted, &neighbour);
    let sealed = issuer.seal(plain, &neighbour);
    assert!(matches!(
        Bundle::open(&sealed, &key, None, today()),
        Err(Error::Material(MaterialError::BundleSeal))
    ));
    let batch = issuer.batch(&neighbour, 1, day("2026-12-31"), &[]);
    assert_eq!(
        card_reader::Updates::open(&batch, &key, None, &std::collections::HashSet::new(), today())
            .unwrap_err(),
        MaterialError::UpdatesSeal
    );
    let plain = issuer.plain_bundle(&wanted, &key);
    let sealed = issuer.seal(plain, &key);
    assert!(matches!(
        Bundle::open(&sealed, &key, Some(wanted.sequence + 1), today()),
        Err(Error::Material(MaterialError::BundleOlder { .. }))
    ));
    // A revoked terminal gets none any more: what it has ends with its last day, for whoever keeps to it.
    assert!(matches!(
        Bundle::open(&sealed, &key, None, day("2027-01-01")),
        Err(Error::Refused(refusal)) if refusal.check == Check::BundleDays
    ));
}
