//! Door S from a terminal's side, against the real applet in process (chapter 07): what is genuine, and what is not.

use crate::reader_fixture::{Certificates, Issuer, KV, REGION, SERVICES, Wanted, Wire, day, today};
use card_applet_spec::certificate::CardCertificate;
use card_applet_spec::codes::{CardState, Domain, KeyState, Rights, Role, Tier};
use card_applet_spec::data_group::SignatureObject;
use card_applet_spec::script::ScriptKind;
use card_reader::counter::{self, Binding};
use card_reader::transport::{Transport, TransportError};
use card_reader::{Admission, Bundle, Card, Check, DataGroups, Error, Genuine, Reason, Secure, TerminalKey};
use rand::SeedableRng;
use rand::rngs::StdRng;
use virtual_card::fault::{Fault, Faulty};
use virtual_card::{CardMemory, InProcess};

const ALL_ROLES: [Role; 4] = [Role::Transit, Role::SocialInsurance, Role::Clinic, Role::Door];
const GROUPS: Rights = Rights::IDENTITY.union(Rights::PORTRAIT).union(Rights::PERMIT);

fn clinic_right() -> Rights {
    Rights::role(Role::Clinic)
}

/// A terminal: its key and its bundle.
struct StrongTerminal {
    key: TerminalKey,
    bundle: Bundle,
}

impl StrongTerminal {
    fn new(issuer: &mut Issuer, roles: &[Role], certificates: Certificates) -> Self {
        let (key, bundle) = issuer.terminal(&Wanted::of(roles).and(certificates));
        Self { key, bundle }
    }

    fn clinic(issuer: &mut Issuer) -> Self {
        Self::new(issuer, &[Role::Clinic], Certificates::with(clinic_right()))
    }

    fn police(issuer: &mut Issuer) -> Self {
        Self::new(issuer, &[], Certificates::with(GROUPS))
    }

    fn counter(issuer: &mut Issuer) -> Self {
        let roles = [
            Role::Transit,
            Role::SocialInsurance,
            Role::SmallPayment,
            Role::Clinic,
            Role::Door,
        ];
        Self::new(issuer, &roles, Certificates::with(counter::counter_rights()))
    }

    fn open<T: Transport>(
        &self,
        reader: T,
        rights: Rights,
        issuer: &mut Issuer,
    ) -> Result<Card<T, Secure>, Error> {
        Card::new(reader)
            .reset()?
            .select()?
            .present(&self.bundle, today())?
            .agree(rights, &self.key, today(), &mut issuer.rng)
    }

    fn entitlement(&self, reader: impl Transport, issuer: &mut Issuer) -> Result<Genuine<Admission>, Error> {
        let card = self.open(reader, clinic_right(), issuer)?;
        Ok(card.read_entitlement(Role::Clinic, &self.bundle, today())?.1)
    }

    fn groups(&self, reader: impl Transport, issuer: &mut Issuer) -> Result<Genuine<DataGroups>, Error> {
        Ok(self.open(reader, GROUPS, issuer)?.read_groups(GROUPS)?.1)
    }
}

fn refused<T: std::fmt::Debug>(result: &Result<T, Error>) -> (Reason, Check) {
    match result {
        Err(Error::Refused(refusal)) => (refusal.reason, refusal.check),
        other => panic!("not refused: {other:?}"),
    }
}

fn card(issuer: &mut Issuer) -> InProcess {
    issuer.active_card(1, &ALL_ROLES).0
}

#[test]
fn a_clinic_reads_its_entitlement_of_a_genuine_card() {
    let mut issuer = Issuer::new(1);
    let mut reader = card(&mut issuer);
    let strong = StrongTerminal::clinic(&mut issuer);
    let admission = strong.entitlement(&mut reader, &mut issuer).unwrap();
    let content = admission.content();
    assert_eq!(
        (content.role, content.tier, content.class),
        (Role::Clinic, Tier::Employment, 2)
    );
    assert_eq!(content.services, SERVICES);

    // What is kept as evidence is what the issuer signed, and a third party can check it.
    let evidence = admission.evidence();
    let certificate = CardCertificate::parse(&evidence.card_certificate).unwrap();
    certificate.verify(&issuer.card_ca.public()).unwrap();
    assert_eq!(certificate.domain, Domain::Clinic);
    assert_eq!(evidence.signature_object, None);
}

#[test]
fn data_groups_are_read_with_the_object_that_signs_them() {
    let mut issuer = Issuer::new(2);
    let (mut reader, _, made) = issuer.active_card(1, &ALL_ROLES);
    let strong = StrongTerminal::police(&mut issuer);
    let read = strong.groups(&mut reader, &mut issuer).unwrap();
    let groups = read.content();
    assert_eq!(groups.encoded(1).unwrap(), made.groups.dg1);
    assert_eq!(groups.encoded(2).unwrap(), made.groups.dg2);
    assert_eq!(groups.encoded(3).unwrap(), made.groups.dg3);
    assert_eq!(groups.dg1().unwrap().name, "张三");
    assert_eq!(groups.dg3().unwrap().tier, Tier::Employment);
    let object = SignatureObject::parse(read.evidence().signature_object.as_ref().unwrap()).unwrap();
    object.verify(&issuer.document.public(), &made.keys[0]).unwrap();

    // One right, one group; the others stay digests.
    let card = strong.open(&mut reader, Rights::PERMIT, &mut issuer).unwrap();
    let (card, read) = card.read_groups(Rights::PERMIT).unwrap();
    assert!(read.content().dg1().is_none() && read.content().dg2().is_none());
    assert!(read.content().dg3().is_some());
    // A group without its right: the card refuses, and the session is over.
    assert_eq!(
        card.read_groups(Rights::IDENTITY).unwrap_err(),
        Check::TerminalRights.into()
    );
}

#[test]
fn debug_output_shows_no_content() {
    let mut issuer = Issuer::new(3);
    let mut reader = card(&mut issuer);
    let strong = StrongTerminal::police(&mut issuer);
    let read = strong.groups(&mut reader, &mut issuer).unwrap();
    let shown = format!(
        "{read:?} {:?} {:?} {:?}",
        read.content(),
        read.evidence(),
        strong.key
    );
    for secret in ["张三", "11010119900307803X", "signature: ["] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_bus_asking_for_clinic_is_refused_by_the_card() {
    let mut issuer = Issuer::new(4);
    let mut reader = card(&mut issuer);
    // A terminal of social insurance whose certificate does not give CLINIC, though it has the keys.
    let strong = StrongTerminal::new(
        &mut issuer,
        &[Role::Clinic],
        Certificates::with(Rights::role(Role::SocialInsurance)),
    );
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        (Reason::WrongRole, Check::TerminalRights)
    );
    // A bus: its certificate gives TRANSIT only.
    let bus = StrongTerminal::new(
        &mut issuer,
        &[Role::Transit],
        Certificates::with(Rights::role(Role::Transit)),
    );
    assert_eq!(
        refused(&bus.entitlement(&mut reader, &mut issuer)),
        (Reason::WrongRole, Check::TerminalRights)
    );
    // A bus without door S: refused before the card is asked.
    let (key, bundle) = issuer.terminal(&Wanted::of(&[Role::Transit]));
    let bus = StrongTerminal { key, bundle };
    assert_eq!(
        refused(&bus.entitlement(&mut reader, &mut issuer)),
        (Reason::WrongRole, Check::BundleRole)
    );
    // CLINIC together with SOCIAL_INSURANCE has no key that serves both.
    let both = clinic_right().union(Rights::role(Role::SocialInsurance));
    let strong = StrongTerminal::new(&mut issuer, &[Role::Clinic], Certificates::with(both));
    assert_eq!(
        refused(&strong.open(&mut reader, both, &mut issuer).map(|_| ())),
        (Reason::WrongRole, Check::TerminalRights)
    );
}

#[test]
fn a_clinic_cannot_read_another_role() {
    let mut issuer = Issuer::new(5);
    let mut reader = card(&mut issuer);
    let strong = StrongTerminal::new(
        &mut issuer,
        &[Role::Clinic, Role::SocialInsurance, Role::Transit],
        Certificates::with(clinic_right()),
    );
    for role in [Role::SocialInsurance, Role::Transit] {
        let card = strong.open(&mut reader, clinic_right(), &mut issuer).unwrap();
        assert_eq!(
            refused(&card.read_entitlement(role, &strong.bundle, today()).map(|_| ())),
            (Reason::WrongRole, Check::TerminalRights)
        );
    }
    let card = strong.open(&mut reader, clinic_right(), &mut issuer).unwrap();
    assert_eq!(
        refused(&card.read_groups(GROUPS).map(|_| ())),
        (Reason::WrongRole, Check::TerminalRights),
    );
}

#[test]
fn rights_of_nothing_are_refused() {
    let mut issuer = Issuer::new(6);
    let mut reader = card(&mut issuer);
    let mut certificates = Certificates::with(clinic_right());
    certificates.intermediate_rights = Rights::IDENTITY;
    let strong = StrongTerminal::new(&mut issuer, &[Role::Clinic], certificates);
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        (Reason::WrongRole, Check::TerminalRights)
    );
    let strong = StrongTerminal::clinic(&mut issuer);
    assert_eq!(
        refused(&strong.open(&mut reader, Rights::NONE, &mut issuer).map(|_| ())),
        (Reason::WrongRole, Check::TerminalRights)
    );
}

#[test]
fn certificates_that_ended_are_refused_by_the_terminal_and_by_the_card() {
    let mut issuer = Issuer::new(7);
    let mut certificates = Certificates::with(clinic_right());
    (certificates.from, certificates.to) = (day("2026-11-13"), day("2026-11-20"));
    let strong = StrongTerminal::new(&mut issuer, &[Role::Clinic], certificates);
    let mut reader = card(&mut issuer);
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        (Reason::BundleExpired, Check::BundleDays)
    );
    // A terminal whose clock is behind: the card has a floor, and knows better.
    let (mut reader, _) = issuer.active_card_with(2, &[Role::Clinic], |content| {
        content.date_floor = today();
    });
    let yesterday = day("2026-11-20");
    let card = Card::new(&mut reader).select().unwrap();
    let card = card.present(&strong.bundle, yesterday).unwrap();
    let late = card.agree(clinic_right(), &strong.key, yesterday, &mut issuer.rng);
    assert_eq!(
        refused(&late.map(|_| ())),
        (Reason::BundleExpired, Check::CertificateEnded)
    );
    // An intermediate of an epoch before the card's.
    let mut old = Certificates::with(clinic_right());
    old.epoch = 0;
    let strong = StrongTerminal::new(&mut issuer, &[Role::Clinic], old);
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        (Reason::BundleExpired, Check::CertificateEnded)
    );
}

#[test]
fn a_card_that_does_not_know_the_authority_is_foreign() {
    let mut issuer = Issuer::new(8);
    let mut reader = card(&mut issuer);
    for unknown in [true, false] {
        let mut certificates = Certificates::with(clinic_right());
        certificates.unknown_authority = unknown;
        certificates.wrong_root = !unknown;
        let strong = StrongTerminal::new(&mut issuer, &[Role::Clinic], certificates);
        assert_eq!(
            refused(&strong.entitlement(&mut reader, &mut issuer)),
            (Reason::ForeignCard, Check::TerminalCertificate)
        );
    }
}

#[test]
fn a_card_answers_a_clinic_only_while_active() {
    let mut issuer = Issuer::new(9);
    let strong = StrongTerminal::clinic(&mut issuer);
    let (mut reader, _, serial) = issuer.blank(1);
    let closed = (Reason::NotActive, Check::CardState);
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        closed,
        "blank"
    );
    let content = issuer.content(serial, &ALL_ROLES);
    issuer.personalise(&mut reader, &content);
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        closed,
        "personalised"
    );
    issuer.bare_script(&mut reader, serial, ScriptKind::Activate, today());
    strong.entitlement(&mut reader, &mut issuer).unwrap();
    issuer.bare_script(&mut reader, serial, ScriptKind::Block, today());
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        closed,
        "blocked"
    );
    issuer.bare_script(&mut reader, serial, ScriptKind::Terminate, today());
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        closed,
        "terminated"
    );
}

#[test]
fn a_persons_groups_on_another_genuine_card_are_not_genuine() {
    let mut issuer = Issuer::new(10);
    let (_, _, victim) = issuer.active_card(1, &ALL_ROLES);
    let strong = StrongTerminal::police(&mut issuer);
    // Groups and signature object together: signed, and bound to another card's key.
    let groups = victim.groups.clone();
    let (mut reader, _) =
        issuer.active_card_with(2, &ALL_ROLES, |content| content.transplanted = Some(groups));
    assert_eq!(
        refused(&strong.groups(&mut reader, &mut issuer)),
        (Reason::NotGenuine, Check::SignatureObjectBinding)
    );
    // The office's look finds it too.
    let counter = StrongTerminal::counter(&mut issuer);
    let error = counter::look(
        &mut reader,
        &counter.bundle,
        &counter.key,
        &ALL_ROLES,
        &[],
        today(),
        &mut issuer.rng,
    )
    .unwrap_err();
    assert_eq!(
        (error.what, error.source),
        ("data groups", Check::SignatureObjectBinding.into())
    );
}

#[test]
fn a_group_that_the_signature_object_does_not_cover_is_not_genuine() {
    let mut issuer = Issuer::new(11);
    let (_, _, victim) = issuer.active_card(1, &[]);
    // The card's own memory is opened and one of its groups replaced by the victim's: only the digest is wrong.
    let (mut reader, memory, made) = issuer.active_card(2, &[]);
    let mut image = memory.image();
    let at = image
        .windows(made.groups.dg1.len())
        .position(|window| window == made.groups.dg1)
        .expect("the group stands in the memory as it was written");
    image[at..at + victim.groups.dg1.len()].copy_from_slice(&victim.groups.dg1);
    let mut forged = issuer.on_reader(&CardMemory::from_image(image));
    let strong = StrongTerminal::police(&mut issuer);
    strong.groups(&mut reader, &mut issuer).unwrap();
    assert_eq!(
        refused(&strong.groups(&mut forged, &mut issuer)),
        (Reason::NotGenuine, Check::GroupDigest)
    );
}

#[test]
fn a_record_moved_to_another_card_is_not_genuine() {
    let mut issuer = Issuer::new(12);
    let (_, _, made) = issuer.active_card(1, &[Role::Clinic]);
    let (_, pid, record) = made.records[0];
    let strong = StrongTerminal::clinic(&mut issuer);
    // The record with its pseudonym, as somebody who opened the first card would move them: it opens, it is signed, and
    // it is bound to the first card's key.
    let (mut reader, _) = issuer.active_card_with(2, &[Role::Clinic], |content| {
        content.entitled[0].record = Some(record);
        content.entitled[0].pid = pid;
    });
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        (Reason::NotGenuine, Check::RecordBinding)
    );
    // The record without its pseudonym does not open.
    let (mut reader, _) = issuer.active_card_with(3, &[Role::Clinic], |content| {
        content.entitled[0].record = Some(record);
    });
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        (Reason::NotGenuine, Check::RecordSeal)
    );
}

#[test]
fn a_card_of_another_issuer_is_not_genuine_even_when_it_trusts_our_terminals() {
    let mut issuer = Issuer::new(13);
    let strong = StrongTerminal::clinic(&mut issuer);
    let mut forger = Issuer::new(14);
    // It takes our terminal's certificates and our pseudonyms; what it lacks is a certificate of our card CA.
    forger.root = card_applet_spec::crypto::PrivateKey::from_bytes(&issuer.root.expose()).unwrap();
    let mut reader = card(&mut forger);
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        (Reason::NotGenuine, Check::CertificateSignature)
    );
}

#[test]
fn the_days_of_the_cards_certificate_are_checked() {
    let mut issuer = Issuer::new(15);
    let strong = StrongTerminal::clinic(&mut issuer);
    let mut with = |from: &str, to: &str| {
        let (mut reader, _) = issuer.active_card_with(1, &[Role::Clinic], |content| {
            (content.certificate_from, content.certificate_to) = (day(from), day(to));
        });
        strong.entitlement(&mut reader, &mut issuer)
    };
    with("2026-11-21", "2026-11-21").unwrap();
    assert_eq!(
        refused(&with("2026-11-01", "2026-11-20")),
        (Reason::Expired, Check::CertificateDays)
    );
    assert_eq!(
        refused(&with("2026-11-22", "2030-01-01")),
        (Reason::NotActive, Check::CertificateNotYet)
    );
}

#[test]
fn the_rules_of_records_hold_behind_door_s_too() {
    let mut issuer = Issuer::new(16);
    let (mut reader, _, made) = issuer.active_card(1, &[Role::Clinic]);
    let (_, pid, _) = made.records[0];
    let mut with = |change: &dyn Fn(&mut Wanted), reader: &mut InProcess| {
        let mut wanted = Wanted::of(&[Role::Clinic]).and(Certificates::with(clinic_right()));
        change(&mut wanted);
        let (key, bundle) = issuer.terminal(&wanted);
        StrongTerminal { key, bundle }.entitlement(reader, &mut issuer)
    };
    with(&|_| {}, &mut reader).unwrap();
    assert_eq!(
        refused(&with(&|wanted| wanted.denied = vec![pid], &mut reader)),
        (Reason::Denied, Check::DenyList)
    );
    assert_eq!(
        refused(&with(&|wanted| wanted.zones = 0b1001, &mut reader)),
        (Reason::Denied, Check::Zones)
    );
    assert_eq!(
        refused(&with(&|wanted| wanted.without_lists = true, &mut reader)),
        (Reason::ListTooOld, Check::DenyListAge)
    );
    let drained = |wanted: &mut Wanted| {
        wanted.roles = vec![(Role::Clinic, REGION, KV, KeyState::Draining, day("2026-11-20"))];
    };
    assert_eq!(
        refused(&with(&drained, &mut reader)),
        (Reason::NotActive, Check::Keys)
    );

    let strong = StrongTerminal::clinic(&mut issuer);
    let (mut reader, _) = issuer.active_card_with(2, &[Role::Clinic], |content| {
        content.entitled[0].to = day("2026-11-20");
    });
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        (Reason::Expired, Check::RecordDays)
    );
    let (mut reader, _, _) = issuer.active_card(3, &[Role::Transit]);
    assert_eq!(
        refused(&strong.entitlement(&mut reader, &mut issuer)),
        (Reason::NotActive, Check::Keys),
        "no such record"
    );
}

/// Plays the answers of a session again, one bit of one of them turned over.
struct Player<'a> {
    answers: &'a [Vec<u8>],
    next: usize,
    /// Which answer, and which bit of it.
    flip: (usize, usize),
}

impl Transport for Player<'_> {
    fn transmit(&mut self, _command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let number = self.next;
        self.next += 1;
        let mut answer = self
            .answers
            .get(number)
            .ok_or(TransportError::ReaderLost)?
            .clone();
        if self.flip.0 == number {
            answer[self.flip.1 / 8] ^= 0x80 >> (self.flip.1 % 8);
        }
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "player"
    }
}

/// Records a session with the real card, then turns over every bit of every answer behind SELECT, one a run: nothing may
/// be accepted. The terminal draws the same random numbers in each run, so that the answers fit but for that bit.
fn flip_every_bit<A: std::fmt::Debug>(
    reader: &mut InProcess,
    run: impl Fn(&mut dyn Transport, &mut StdRng) -> Result<A, Error>,
) {
    let rng = || StdRng::from_seed([0x5A; 32]);
    let mut wire = Wire::new(reader);
    run(&mut wire, &mut rng()).unwrap();
    let answers: Vec<Vec<u8>> = wire.tape.into_iter().map(|(_, answer)| answer).collect();
    assert!(
        answers.len() >= 6,
        "certificates, challenge, agreement, and at least one read"
    );
    let play = |flip| {
        let mut player = Player {
            answers: &answers,
            next: 0,
            flip,
        };
        run(&mut player, &mut rng())
    };
    play((answers.len(), 0)).expect("without a flip the recording is accepted");
    for (number, answer) in answers.iter().enumerate().skip(1) {
        for bit in 0..answer.len() * 8 {
            assert!(
                play((number, bit)).is_err(),
                "bit {bit} of answer {} was accepted",
                number + 1
            );
        }
    }
}

#[test]
fn any_single_bit_flipped_while_a_clinic_reads_is_refused() {
    let mut issuer = Issuer::new(17);
    let mut reader = card(&mut issuer);
    let strong = StrongTerminal::clinic(&mut issuer);
    flip_every_bit(&mut reader, |transport, rng| {
        let card = Card::new(transport)
            .select()?
            .present(&strong.bundle, today())?
            .agree(clinic_right(), &strong.key, today(), rng)?;
        card.read_entitlement(Role::Clinic, &strong.bundle, today())
            .map(|(_, admission)| admission)
    });
}

#[test]
fn any_single_bit_flipped_while_groups_are_read_is_refused() {
    let mut issuer = Issuer::new(18);
    let mut reader = card(&mut issuer);
    let strong = StrongTerminal::police(&mut issuer);
    let rights = Rights::PERMIT;
    flip_every_bit(&mut reader, |transport, rng| {
        let card = Card::new(transport)
            .select()?
            .present(&strong.bundle, today())?
            .agree(rights, &strong.key, today(), rng)?;
        card.read_groups(rights).map(|(_, groups)| groups)
    });
}

#[test]
fn any_single_bit_flipped_in_the_cards_memory_is_never_accepted() {
    let mut issuer = Issuer::new(19);
    let (mut reader, memory, made) = issuer.active_card(1, &[Role::Clinic]);
    let strong = StrongTerminal::clinic(&mut issuer);
    strong.entitlement(&mut reader, &mut issuer).unwrap();
    let (_, _, record) = made.records[0];
    let image = memory.image();
    let at = image.windows(160).position(|window| window == record).unwrap();
    for bit in 0..160 * 8 {
        let mut damaged = image.clone();
        damaged[at + bit / 8] ^= 0x80 >> (bit % 8);
        let mut reader = issuer.on_reader(&CardMemory::from_image(damaged));
        let reason = refused(&strong.entitlement(&mut reader, &mut issuer)).0;
        assert!(
            matches!(reason, Reason::NotGenuine | Reason::WrongRole),
            "bit {bit} of the record: {reason:?}"
        );
    }
}

#[test]
fn a_replayed_session_is_refused() {
    let mut issuer = Issuer::new(20);
    let mut reader = card(&mut issuer);
    let strong = StrongTerminal::clinic(&mut issuer);
    let mut wire = Wire::new(&mut reader);
    strong.entitlement(&mut wire, &mut issuer).unwrap();
    let agreement = wire.tape[4].1.clone();
    let mut wire = Wire::new(&mut reader);
    wire.play = Some((5, agreement));
    let (reason, _) = refused(&strong.entitlement(&mut wire, &mut issuer));
    assert_eq!(reason, Reason::NotGenuine);
}

#[test]
fn the_office_sees_all_of_a_card_before_and_after_hand_over() {
    let mut issuer = Issuer::new(21);
    let (mut reader, _, serial) = issuer.blank(1);
    let content = issuer.content(serial, &ALL_ROLES);
    let made = issuer.personalise(&mut reader, &content);
    let strong = StrongTerminal::counter(&mut issuer);
    let certified = [
        (Domain::Clinic, made.keys[1]),
        (Domain::SocialInsurance, made.keys[2]),
    ];
    for state in [CardState::Personalised, CardState::Active] {
        let seen = counter::look(
            &mut reader,
            &strong.bundle,
            &strong.key,
            &ALL_ROLES,
            &certified,
            today(),
            &mut issuer.rng,
        )
        .unwrap();
        assert_eq!(seen.serial, serial);
        assert_eq!(
            (seen.status.state, seen.status.open, seen.status.failures),
            (state, false, 0)
        );
        assert_eq!(seen.chip.content().domain, Domain::Person);
        assert_eq!(seen.groups.content().encoded(1).unwrap(), made.groups.dg1);
        assert_eq!(seen.groups.content().encoded(2).unwrap(), made.groups.dg2);
        assert_eq!(seen.groups.content().encoded(3).unwrap(), made.groups.dg3);
        assert_eq!(seen.absent, [Role::SmallPayment]);
        let roles: Vec<Role> = seen.records.iter().map(|record| record.role).collect();
        assert_eq!(roles, ALL_ROLES);
        for record in &seen.records {
            assert_eq!((record.kv, record.header.kv), (KV, KV));
            let opened = record.opened.as_ref().unwrap();
            assert_eq!(opened.binding, Binding::ThisCard, "{:?}", record.role);
            assert_eq!((opened.issue_counter, opened.admission.services), (1, SERVICES));
        }
        if state == CardState::Personalised {
            issuer.bare_script(&mut reader, serial, ScriptKind::Activate, today());
        }
    }
    // Without the vault's word on the other keys, their records are not said to be bound to this card; with the keys of
    // another card, they are said not to be.
    for (certified, binding) in [
        (Vec::new(), Binding::NotChecked),
        (vec![(Domain::Clinic, [7; 64])], Binding::AnotherCard),
    ] {
        let seen = counter::look(
            &mut reader,
            &strong.bundle,
            &strong.key,
            &[],
            &certified,
            today(),
            &mut issuer.rng,
        )
        .unwrap();
        let clinic = seen
            .records
            .iter()
            .find(|record| record.role == Role::Clinic)
            .unwrap();
        assert_eq!(clinic.opened.as_ref().unwrap().binding, binding);
    }
}

#[test]
fn the_offices_look_wants_the_right_to_look() {
    let mut issuer = Issuer::new(22);
    let mut reader = card(&mut issuer);
    let strong = StrongTerminal::clinic(&mut issuer);
    let error = counter::look(
        &mut reader,
        &strong.bundle,
        &strong.key,
        &[],
        &[],
        today(),
        &mut issuer.rng,
    )
    .unwrap_err();
    assert_eq!(
        (error.what, error.source),
        ("key agreement", Check::TerminalRights.into())
    );
}

#[test]
fn inspect_shows_structure_and_states_with_the_rights_that_there_are() {
    let mut issuer = Issuer::new(23);
    let mut reader = card(&mut issuer);
    let strong = StrongTerminal::counter(&mut issuer);
    let seen = counter::inspect(&mut reader, &strong.bundle, &strong.key, today(), &mut issuer.rng).unwrap();
    assert_eq!(seen.status.unwrap().state, CardState::Active);
    let present: Vec<Role> = seen
        .slots
        .iter()
        .filter(|slot| slot.header.is_some())
        .map(|slot| slot.role)
        .collect();
    assert_eq!(present, ALL_ROLES);
    assert_eq!(seen.slots.len(), 5);

    let strong = StrongTerminal::clinic(&mut issuer);
    let seen = counter::inspect(&mut reader, &strong.bundle, &strong.key, today(), &mut issuer.rng).unwrap();
    assert!(seen.status.is_none());
    assert_eq!(seen.slots.len(), 1);
    assert_eq!(seen.slots[0].header.unwrap().kv, KV);

    let (key, bundle) = issuer.terminal(&Wanted::of(&[Role::Transit]));
    let refusal = counter::inspect(&mut reader, &bundle, &key, today(), &mut issuer.rng).map(|_| ());
    assert_eq!(refused(&refusal), (Reason::WrongRole, Check::BundleRole));
}

#[test]
fn the_counter_resets_the_failures_of_door_i() {
    let mut issuer = Issuer::new(24);
    let mut reader = card(&mut issuer);
    let strong = StrongTerminal::counter(&mut issuer);
    let failures = |reader: &mut InProcess, issuer: &mut Issuer| {
        let card = strong.open(reader, counter::counter_rights(), issuer).unwrap();
        card.status().unwrap().1.failures
    };
    for _ in 0..3 {
        Card::new(&mut reader).reset().unwrap().select().unwrap();
        let guess = [
            vec![0x80, 0x50, 0x00, 0x00, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 0x00],
            [&[0x84, 0x82, 0x33, 0x00, 0x10][..], &[0xEE; 16]].concat(),
            vec![0x84, 0xF2, 0x00, 0x00, 0x00],
        ];
        let answers = card_reader::relay::relay(&mut reader, &guess).answers;
        assert_eq!(answers.len(), 2, "what follows a refusal is not sent");
        assert_eq!(answers[1], [0x69, 0x82]);
    }
    assert_eq!(failures(&mut reader, &mut issuer), 3);
    let card = strong
        .open(&mut reader, counter::counter_rights(), &mut issuer)
        .unwrap();
    card.reset_counter().unwrap();
    assert_eq!(failures(&mut reader, &mut issuer), 0);
}

#[test]
fn the_serial_is_read_from_a_blank_and_from_no_other_card() {
    let mut issuer = Issuer::new(25);
    let (mut reader, _, serial) = issuer.blank(9);
    let (_, seen) = Card::new(&mut reader).select().unwrap().blank_serial().unwrap();
    assert_eq!(seen, Some(serial));
    let mut active = card(&mut issuer);
    let (card, seen) = Card::new(&mut active).select().unwrap().blank_serial().unwrap();
    assert_eq!(seen, None);
    // The card goes on from there: it is selected.
    assert_eq!(card.blank_serial().unwrap().1, None);
}

#[test]
fn a_card_gone_in_the_middle_is_lost_and_nothing_is_accepted() {
    let mut issuer = Issuer::new(26);
    let mut reader = card(&mut issuer);
    let strong = StrongTerminal::clinic(&mut issuer);
    let mut complete = Wire::new(&mut reader);
    strong.entitlement(&mut complete, &mut issuer).unwrap();
    let commands = u32::try_from(complete.tape.len()).unwrap();
    for cut in 1..=commands {
        for before in [true, false] {
            let fault = if before { Fault::CutBefore } else { Fault::CutAfter };
            let mut faulty = Faulty::new(&mut reader).with(cut, fault);
            let error = strong.entitlement(&mut faulty, &mut issuer).unwrap_err();
            assert!(error.outcome_unknown(), "cut {cut}: {error}");
        }
    }
    strong.entitlement(&mut reader, &mut issuer).unwrap();
}
