//! Properties of every parser of this crate: what is written is read again, nothing that comes in makes it panic, what
//! is closed is accepted in one writing only, and a single flipped bit of anything signed or sealed is refused.
//!
//! Left out on purpose: values of the standards and of the chapters (`published_vectors.rs`, `own_vectors.rs`).
use std::sync::LazyLock;

use crate::support::rng;
use card_applet_spec::apdu::{Header, ParsedCommand, StatusWord, split_answer};
use card_applet_spec::bundle::{self, Anchors, Bundle, BundleHead, RoleKey};
use card_applet_spec::certificate::{CardCertificate, CertificateName, TerminalCertificate};
use card_applet_spec::codes::{CardState, Domain, KeyState, Region, Rights, Role, Serial, Tier};
use card_applet_spec::crypto::{Key16, Key32, PrivateKey, PublicKey};
use card_applet_spec::data_group::{CardInfo, Dg1, Dg2, Dg3, MAX_DG2, PortraitFormat, SignatureObject};
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::DenyList;
use card_applet_spec::door_f::{CommitBody, TapAnswer, TapPlain};
use card_applet_spec::door_s::{Agree, AgreeAnswer, Object, SlotObject};
use card_applet_spec::kdf::KeySet;
use card_applet_spec::lot::{self, Lot};
use card_applet_spec::record::{Entitlement, RecordHeader};
use card_applet_spec::scp03::InitializeUpdate;
use card_applet_spec::script::{ScriptKind, SlotStep, Status, Step, WritableObject};
use card_applet_spec::update::SealedUpdate;
use card_applet_spec::{Bytes, Error, sealed_box, tlv};
use proptest::array::{uniform4, uniform8, uniform12, uniform16, uniform32};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// The one key that signs everything here. Not a secret of anybody.
fn signer() -> PrivateKey {
    PrivateKey::from_bytes(&[0x11; 32]).unwrap()
}

/// A second key pair, for what is certified and for who receives.
fn other() -> PrivateKey {
    PrivateKey::from_bytes(&[0x22; 32]).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn bytes64() -> impl Strategy<Value = [u8; 64]> {
    (uniform32(any::<u8>()), uniform32(any::<u8>())).prop_map(|(front, back)| {
        let mut out = [0; 64];
        out[..32].copy_from_slice(&front);
        out[32..].copy_from_slice(&back);
        out
    })
}

fn array<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    vec(any::<u8>(), N).prop_map(|bytes| bytes.try_into().unwrap())
}

fn date() -> impl Strategy<Value = Date> {
    (1_u16..=9999, 1_u8..=12, 1_u8..=31).prop_filter_map("no such day", |(year, month, day)| {
        Date::new(year, month, day).ok()
    })
}

/// A date that certificates of terminals can say: years 2000 to 2099.
fn short_date() -> impl Strategy<Value = Date> {
    (2000_u16..=2099, 1_u8..=12, 1_u8..=28)
        .prop_map(|(year, month, day)| Date::new(year, month, day).unwrap())
}

fn role() -> impl Strategy<Value = Role> {
    select(Role::ALL)
}

fn region() -> impl Strategy<Value = Region> {
    "[0-9]{6}".prop_map(|digits| digits.parse().unwrap())
}

fn rights() -> impl Strategy<Value = Rights> {
    any::<u32>().prop_map(|bits| {
        let allowed = u32::from_be_bytes(Rights::ALL.to_bytes());
        Rights::from_bytes((bits & allowed).to_be_bytes()).unwrap()
    })
}

prop_compose! {
    fn entitlement()(
        role in role(),
        kv in any::<u8>(),
        issue_counter in any::<u32>(),
        tier in select(Tier::ALL),
        class in any::<u8>(),
        services in any::<u64>(),
        zones in any::<u64>(),
        from in date(),
        to in date(),
        rule_set in uniform8(any::<u8>()),
        binding in uniform16(any::<u8>()),
    ) -> Entitlement {
        Entitlement { role, kv, issue_counter, tier, class, services, zones, from, to, rule_set, binding }
    }
}

// Samples: one of everything that is signed or sealed, the same in every run.

fn sample_entitlement() -> Entitlement {
    Entitlement {
        role: Role::Transit,
        kv: 7,
        issue_counter: 1,
        tier: Tier::Employment,
        class: 1,
        services: 3,
        zones: 5,
        from: day("2026-11-21"),
        to: day("2027-11-20"),
        rule_set: [8; 8],
        binding: [9; 16],
    }
}

fn sample_record() -> [u8; 160] {
    sample_entitlement()
        .seal(&signer(), &Key32::new([1; 32]), &[2; 16], &[3; 12], &mut rng(1))
        .unwrap()
}

fn sample_card_certificate() -> [u8; 160] {
    CardCertificate::sign(
        &signer(),
        Domain::Clinic,
        1,
        day("2026-11-21"),
        day("2036-11-20"),
        [4; 16],
        other().public().to_public64(),
        &mut rng(2),
    )
    .unwrap()
    .encode()
    .unwrap()
}

fn sample_terminal_certificate() -> Vec<u8> {
    TerminalCertificate {
        issuer: CertificateName::new("YZT-INTER", 1, 7),
        public: other().public(),
        holder: CertificateName::new("YZT-LEAF", 1, 4711),
        rights: Rights::IDENTITY.union(Rights::VERIFY),
        effective: day("2026-11-21"),
        expiry: day("2026-11-28"),
    }
    .sign(&signer(), &mut rng(3))
    .unwrap()
    .to_vec()
}

fn sample_dg1() -> Vec<u8> {
    let group = Dg1 {
        name: "阿卜杜拉·买买提",
        sex: 1,
        nation: 5,
        birth_date: day("1990-03-07"),
        citizen_number: "440106199003071012",
        photo: [7; 32],
        hukou_address: "新疆维吾尔自治区喀什市",
        residence_address: "广东省深圳市南山区",
        issuing_organ: "深圳市公安局南山分局",
        issue_date: day("2026-11-21"),
        salt: [9; 16],
    };
    group.encode().unwrap().to_vec()
}

fn sample_dg2() -> Vec<u8> {
    let mut out = Bytes::<MAX_DG2>::new();
    let group = Dg2 {
        format: PortraitFormat::Jpeg,
        image: &[0xFF; 200],
        salt: [1; 16],
    };
    group.encode(&mut out).unwrap();
    out.to_vec()
}

fn sample_dg3() -> Vec<u8> {
    let group = Dg3 {
        permit_id: [3; 16],
        tier: Tier::Talent,
        issued: day("2026-11-21"),
        endorsed_until: day("2027-11-20"),
        rule_set: "cn-440300/2026-1",
        state_counter: 1,
        salt: [4; 16],
    };
    group.encode().unwrap().to_vec()
}

fn sample_signature_object() -> Vec<u8> {
    let (dg1, dg2, dg3) = (sample_dg1(), sample_dg2(), sample_dg3());
    let public64 = other().public().to_public64();
    let groups = [dg1.as_slice(), &dg2, &dg3];
    SignatureObject::sign(1, &signer(), &public64, groups, &mut rng(4))
        .unwrap()
        .encode()
        .unwrap()
        .to_vec()
}

fn sample_deny_list() -> Vec<u8> {
    let entries: Vec<u8> = (1..=3).flat_map(|n| [n; 8]).collect();
    let list = DenyList {
        role: Role::Transit,
        version: 12,
        issued: day("2026-11-21"),
        max_age: 7,
        entries: &entries,
        grace: None,
    };
    let signature = list.sign(&signer(), &mut [0; 128], &mut rng(5)).unwrap();
    let mut out = Bytes::<256>::new();
    list.encode(&signature, &mut out).unwrap();
    out.to_vec()
}

fn sample_anchors() -> Anchors {
    Anchors {
        card_ca: other().public(),
        entitlement_signer: other().public(),
        document_signer: other().public(),
        terminal_ca_name: CertificateName::new("YZT-ROOT", 1, 1),
        terminal_ca: signer().public(),
        deny_list_signer: other().public(),
    }
}

fn role_key(role: Role, region: Region, kv: u8, state: KeyState, until: Date) -> RoleKey {
    RoleKey {
        role,
        region,
        kv,
        state,
        until: if state == KeyState::Draining {
            until
        } else {
            Date::NONE
        },
        door_f: role
            .has_door_f()
            .then(|| (Key32::new([kv; 32]), Key32::new([kv ^ 0xFF; 32]))),
        record_master: Key32::new([kv.wrapping_add(1); 32]),
    }
}

fn sample_bundle() -> Vec<u8> {
    let (certificate, list) = (sample_terminal_certificate(), sample_deny_list());
    let head = BundleHead {
        id: [6; 16],
        name: "公交 42",
        issued: day("2026-11-21"),
        not_after: day("2026-12-28"),
        sequence: 3,
        anchors: sample_anchors(),
        chain: Some((&certificate, &certificate)),
        zones: 4,
        tid: None,
    };
    let region = "440300".parse().unwrap();
    let keys = [
        role_key(Role::Transit, region, 7, KeyState::Active, Date::NONE),
        role_key(Role::Transit, region, 6, KeyState::Draining, day("2026-12-31")),
        role_key(Role::Clinic, region, 1, KeyState::Active, Date::NONE),
    ];
    let mut out = vec![0; 4096];
    let length = bundle::encode(&head, &keys, &[&list], &signer(), &mut rng(6), &mut out).unwrap();
    out.truncate(length);
    out
}

fn key_set(first: u8) -> KeySet {
    KeySet {
        enc: Key16::new([first; 16]),
        mac: Key16::new([first ^ 1; 16]),
        dek: Key16::new([first ^ 2; 16]),
    }
}

fn sample_lot() -> Vec<u8> {
    let blanks = [(Serial([1; 10]), key_set(1)), (Serial([2; 10]), key_set(2))];
    let mut out = vec![0; lot::encoded_len(blanks.len())];
    let length = lot::encode([0, 0, 0, 42], &blanks, &signer(), &mut rng(7), &mut out).unwrap();
    out.truncate(length);
    out
}

fn sealed(message: &[u8], seed: u64) -> Vec<u8> {
    let mut message = message.to_vec();
    let (head, tag) = sealed_box::seal(
        sealed_box::BUNDLE,
        &other().public(),
        &mut message,
        &mut rng(seed),
    )
    .unwrap();
    [&head[..], &message, &tag].concat()
}

// A single flipped bit

/// Runs `accepts` on the whole, which must be true, and on every single bit flip of it, which must be false.
fn no_bit_may_flip(whole: &[u8], accepts: impl Fn(&[u8]) -> bool) {
    assert!(accepts(whole), "the sample itself is not accepted");
    let mut changed = whole.to_vec();
    for at in 0..whole.len() {
        for bit in 0..8 {
            changed[at] ^= 1 << bit;
            assert!(!accepts(&changed), "bit {bit} of byte {at} flipped is accepted");
            changed[at] ^= 1 << bit;
        }
    }
}

#[test]
fn no_bit_of_a_record_may_flip() {
    let (key, signer) = (Key32::new([1; 32]), signer().public());
    no_bit_may_flip(&sample_record(), |record| {
        Entitlement::open(record.try_into().unwrap(), &key, &[2; 16], &signer).is_ok()
    });
    // Nor of what goes in beside it.
    let record = sample_record();
    no_bit_may_flip(&[2; 16], |pid| {
        Entitlement::open(&record, &key, pid.try_into().unwrap(), &signer).is_ok()
    });
    no_bit_may_flip(&[1; 32], |key| {
        let key = Key32::new(key.try_into().unwrap());
        Entitlement::open(&record, &key, &[2; 16], &signer).is_ok()
    });
}

#[test]
fn no_bit_of_a_bundle_may_flip() {
    let root = signer().public();
    no_bit_may_flip(&sample_bundle(), |plain| {
        Bundle::parse_and_verify(plain, &root).is_ok()
    });
}

#[test]
fn no_bit_of_a_card_certificate_may_flip() {
    let ca = signer().public();
    no_bit_may_flip(&sample_card_certificate(), |bytes| {
        CardCertificate::parse(bytes.try_into().unwrap())
            .and_then(|certificate| certificate.verify(&ca))
            .is_ok()
    });
}

#[test]
fn no_bit_of_a_terminal_certificate_may_flip() {
    let issuer = signer().public();
    no_bit_may_flip(&sample_terminal_certificate(), |bytes| {
        TerminalCertificate::parse_and_verify(bytes, &issuer).is_ok()
    });
}

#[test]
fn no_bit_of_a_signature_object_may_flip() {
    let (signer, public64) = (signer().public(), other().public().to_public64());
    no_bit_may_flip(&sample_signature_object(), |bytes| {
        SignatureObject::parse(bytes)
            .and_then(|object| object.verify(&signer, &public64))
            .is_ok()
    });
}

#[test]
fn no_bit_of_a_data_group_may_flip_under_its_signature() {
    let object = SignatureObject::parse(&sample_signature_object()).unwrap();
    for (number, group) in (1..).zip([sample_dg1(), sample_dg2(), sample_dg3()]) {
        no_bit_may_flip(&group, |bytes| object.covers(number, bytes));
        assert!(!object.covers(number + 1, &group));
    }
    assert!(!object.covers(0, &sample_dg1()));
    assert!(!object.covers(4, &sample_dg3()));
}

#[test]
fn no_bit_of_a_deny_list_may_flip() {
    let signer = signer().public();
    no_bit_may_flip(&sample_deny_list(), |bytes| {
        DenyList::parse_and_verify(bytes, &signer).is_ok()
    });
}

#[test]
fn no_bit_of_a_lot_file_may_flip() {
    let ca = signer().public();
    no_bit_may_flip(&sample_lot(), |bytes| Lot::parse_and_verify(bytes, &ca).is_ok());
}

#[test]
fn no_bit_of_a_sealed_box_may_flip() {
    let receiver = other();
    no_bit_may_flip(&sealed(b"for one reader", 8), |bytes| {
        sealed_box::open(sealed_box::BUNDLE, &receiver, &mut bytes.to_vec()).is_ok()
    });
    let mut lot = sealed(b"for one reader", 8);
    assert!(sealed_box::open(sealed_box::LOT, &receiver, &mut lot).is_err());
}

#[test]
fn no_bit_of_a_tap_answer_or_of_agree_may_flip() {
    let (g, m) = (Key16::new([1; 16]), Key16::new([2; 16]));
    let answer = TapAnswer::make(&g, &m, 1, 7, &[3; 16], [4; 16], &[5; 224]).unwrap();
    no_bit_may_flip(&answer.encode().unwrap(), |bytes| {
        let answer = TapAnswer::parse(bytes).unwrap();
        answer.verify(&m, 1, 7, &[3; 16]).is_ok()
    });
    let (leaf_key, ephemeral) = (signer(), other().public());
    let agree = Agree::sign(
        Rights::IDENTITY,
        &ephemeral,
        &[6; 16],
        b"leaf",
        &leaf_key,
        &mut rng(9),
    )
    .unwrap();
    let digest = card_applet_spec::crypto::sha256(&[b"leaf"]);
    no_bit_may_flip(&agree.encode().unwrap(), |bytes| {
        Agree::parse(bytes)
            .and_then(|agree| agree.verify(&[6; 16], &digest, &leaf_key.public()))
            .is_ok()
    });
}

#[test]
fn no_bit_of_a_sealed_update_may_flip() {
    let keys = key_set(1);
    let update = SealedUpdate::seal(&keys, 9, &[5; 224]).unwrap();
    let whole = update.command_data(&[0; 8]).unwrap();
    no_bit_may_flip(&whole[..244], |bytes| {
        let update = SealedUpdate {
            counter: u32::from_be_bytes(bytes[..4].try_into().unwrap()),
            cipher: bytes[4..228].try_into().unwrap(),
            mac: bytes[228..].try_into().unwrap(),
        };
        update.open(&keys).is_ok()
    });
}

// Round trips

proptest! {
    #[test]
    fn dg1_is_read_as_it_was_written(
        name in "\\PC{1,30}", sex in select(&[0_u8, 1, 2, 9][..]), nation in prop_oneof![1_u8..=56, 97_u8..=98], birth_date in date(),
        citizen_number in "[0-9]{17}[0-9X]", photo in uniform32(any::<u8>()),
        hukou_address in "\\PC{1,52}", residence_address in "\\PC{1,52}", issuing_organ in "\\PC{1,30}",
        issue_date in date(), salt in uniform16(any::<u8>()),
    ) {
        let group = Dg1 {
            name: &name, sex, nation, birth_date, citizen_number: &citizen_number, photo,
            hukou_address: &hukou_address, residence_address: &residence_address,
            issuing_organ: &issuing_organ, issue_date, salt,
        };
        let encoded = group.encode().unwrap();
        prop_assert_eq!(Dg1::parse(&encoded).unwrap(), group);
        let shown = format!("{group:?}");
        prop_assert!(!shown.contains(&citizen_number));
    }

    #[test]
    fn dg1_takes_no_text_of_a_wrong_length(length in 0_usize..300) {
        let text = "x".repeat(length);
        let sample = sample_dg1();
        let good = Dg1::parse(&sample).unwrap();
        let (short, long) = ((1..=120).contains(&length), (1..=210).contains(&length));
        prop_assert_eq!(Dg1 { name: &text, ..good }.encode().is_ok(), short);
        prop_assert_eq!(Dg1 { issuing_organ: &text, ..good }.encode().is_ok(), short);
        prop_assert_eq!(Dg1 { hukou_address: &text, ..good }.encode().is_ok(), long);
        prop_assert_eq!(Dg1 { residence_address: &text, ..good }.encode().is_ok(), long);
        let digits = "1".repeat(length);
        prop_assert_eq!(Dg1 { citizen_number: &digits, ..good }.encode().is_ok(), length == 18);
    }

    #[test]
    fn dg2_is_read_as_it_was_written(
        format in select(&[PortraitFormat::Jpeg, PortraitFormat::Jpeg2000][..]),
        image in vec(any::<u8>(), 0..7000), salt in uniform16(any::<u8>()),
    ) {
        let group = Dg2 { format, image: &image, salt };
        let mut encoded = Bytes::<MAX_DG2>::new();
        let result = group.encode(&mut encoded);
        prop_assert_eq!(result.is_ok(), (1..=6144).contains(&image.len()));
        if result.is_ok() {
            prop_assert_eq!(Dg2::parse(&encoded).unwrap(), group);
        }
    }

    #[test]
    fn dg3_is_read_as_it_was_written(
        permit_id in uniform16(any::<u8>()), tier in select(Tier::ALL), issued in date(),
        endorsed_until in date(), rule_set in "[ -~]{1,48}", state_counter in any::<u32>(),
        salt in uniform16(any::<u8>()),
    ) {
        let group = Dg3 { permit_id, tier, issued, endorsed_until, rule_set: &rule_set, state_counter, salt };
        let encoded = group.encode().unwrap();
        prop_assert_eq!(Dg3::parse(&encoded).unwrap(), group);
    }

    #[test]
    fn card_info_is_read_as_it_was_written(specification in any::<[u8; 2]>(), profile in any::<u16>(), updates in any::<Option<u8>>()) {
        let info = CardInfo { specification, profile, updates };
        prop_assert_eq!(CardInfo::parse(&info.encode().unwrap()).unwrap(), info);
    }

    #[test]
    fn a_signature_object_is_read_as_it_was_written(
        signer in any::<u8>(), card_key in uniform32(any::<u8>()),
        groups in proptest::array::uniform3(uniform32(any::<u8>())), signature in bytes64(),
    ) {
        let object = SignatureObject { signer, card_key, groups, signature };
        prop_assert_eq!(SignatureObject::parse(&object.encode().unwrap()).unwrap(), object);
    }

    #[test]
    fn a_card_certificate_is_read_as_it_was_written(
        domain in select(Domain::ALL), ca in any::<u8>(), from in date(), to in date(),
        id in uniform16(any::<u8>()), public64 in bytes64(), signature in bytes64(),
    ) {
        let certificate = CardCertificate { domain, ca, from, to, id, public64, signature };
        prop_assert_eq!(CardCertificate::parse(&certificate.encode().unwrap()).unwrap(), certificate);
    }

    #[test]
    fn a_date_is_four_bytes_and_ten_characters(date in date(), other in date()) {
        prop_assert_eq!(Date::from_bytes(date.to_bytes()).unwrap(), date);
        prop_assert_eq!(date.to_string().parse::<Date>().unwrap(), date);
        let (year, month, day) = date.parts();
        prop_assert_eq!(Date::new(year, month, day).unwrap(), date);
        prop_assert_eq!(date.cmp(&other), date.day_number().cmp(&other.day_number()));
    }

    #[test]
    fn a_date_of_any_bytes_is_refused_or_kept(bytes in uniform4(any::<u8>()), digits in proptest::array::uniform6(0_u8..12)) {
        if let Ok(date) = Date::from_bytes(bytes) {
            prop_assert_eq!(date.to_bytes(), bytes);
        }
        if let Ok(date) = Date::from_six_digits(digits) {
            prop_assert_eq!(date.to_six_digits(), digits);
        }
    }

    #[test]
    fn rights_and_regions_of_any_bytes_are_refused_or_kept(bits in uniform4(any::<u8>()), bcd in any::<[u8; 3]>()) {
        if let Ok(rights) = Rights::from_bytes(bits) {
            prop_assert_eq!(rights.to_bytes(), bits);
            prop_assert!(Rights::ALL.contains(rights));
        }
        if let Ok(region) = Region::from_bytes(bcd) {
            prop_assert_eq!(region.to_string().parse::<Region>().unwrap(), region);
        }
    }

    #[test]
    fn a_status_is_read_as_it_was_written(
        state in select(CardState::ALL), script in uniform16(any::<u8>()), last in any::<u16>(),
        digest in uniform32(any::<u8>()), failures in any::<u8>(), floor in date(), epoch in any::<u16>(),
        open in any::<bool>(),
    ) {
        let status = Status { state, script, last, digest, failures, floor, epoch, open };
        prop_assert_eq!(Status::parse(&status.encode().unwrap()).unwrap(), status);
    }

    #[test]
    fn a_command_is_read_as_it_was_written(header in uniform4(any::<u8>()), data in vec(any::<u8>(), 0..300), le in any::<Option<u8>>()) {
        let [cla, ins, p1, p2] = header;
        let header = Header { cla, ins, p1, p2 };
        match header.command(&data, le) {
            Ok(command) => {
                let parsed = ParsedCommand::parse(&command).unwrap();
                prop_assert_eq!(parsed, ParsedCommand { header, data: &data, le });
            }
            Err(error) => {
                prop_assert!(data.len() > 255);
                prop_assert_eq!(error, Error::TooLong { what: "command data" });
            }
        }
    }

    #[test]
    fn the_answers_of_door_f_are_read_as_they_were_written(
        card_challenge in uniform16(any::<u8>()), cipher in array::<224>(), mac in uniform16(any::<u8>()),
        pid in uniform16(any::<u8>()), purse in any::<[u32; 3]>(), last_txno in uniform8(any::<u8>()),
        masked in uniform16(any::<u8>()), tac in uniform8(any::<u8>()), record in array::<160>(),
    ) {
        let answer = TapAnswer { card_challenge, cipher, mac };
        prop_assert_eq!(TapAnswer::parse(&answer.encode().unwrap()).unwrap(), answer);
        let [seq, loaded, spent] = purse;
        let plain = TapPlain { pid, seq, loaded, spent, last_txno, masked, tac, record };
        let encoded = plain.encode().unwrap();
        prop_assert_eq!(&TapPlain::parse(&encoded).unwrap(), &plain);
        let (g, m) = (Key16::new(mac), Key16::new(pid));
        let made = TapAnswer::make(&g, &m, 1, 7, &masked, card_challenge, &encoded).unwrap();
        prop_assert_eq!(&made.open(&g).unwrap(), &plain);
        prop_assert!(made.verify(&m, 1, 7, &masked).is_ok());
        let (first, second) = made.filter_blocks();
        prop_assert!(TapAnswer::is_candidate(&g.decrypt_block(second), &first));
    }

    #[test]
    fn a_commit_body_is_read_as_it_was_written(
        amount in any::<u32>(), tid in any::<u32>(), txno in uniform8(any::<u8>()), time in any::<u32>(), kind in any::<u8>(),
    ) {
        let body = CommitBody { amount, tid, txno, time, kind };
        prop_assert_eq!(CommitBody::parse(&body.encode().unwrap()).unwrap(), body);
    }

    #[test]
    fn the_messages_of_door_s_are_read_as_they_were_written(
        rights in rights(), point in array::<65>(), signature in bytes64(),
        sealed_certificate in array::<160>(), mac in uniform16(any::<u8>()), kv in any::<u8>(),
    ) {
        let agree = Agree { rights, point, signature };
        prop_assert_eq!(Agree::parse(&agree.encode().unwrap()).unwrap(), agree);
        let answer = AgreeAnswer { point, sealed_certificate, mac };
        prop_assert_eq!(AgreeAnswer::parse(&answer.encode().unwrap()).unwrap(), answer);
        let slot = SlotObject::parse(&[&[kv][..], &mac, &sealed_certificate].concat()).unwrap();
        prop_assert_eq!((slot.kv, slot.pid, slot.record), (kv, mac, sealed_certificate));
    }

    #[test]
    fn an_answer_to_initialize_update_is_read_as_it_was_written(challenge in uniform8(any::<u8>()), cryptogram in uniform8(any::<u8>())) {
        let answer = InitializeUpdate::parse(&InitializeUpdate::encode_i60(&challenge, &cryptogram)).unwrap();
        prop_assert_eq!((answer.i, answer.key_version, answer.sequence), (0x60, 1, None));
        prop_assert_eq!((answer.card_challenge, answer.card_cryptogram), (challenge, cryptogram));
    }

    #[test]
    fn the_steps_are_read_as_they_were_written(
        op in 0_usize..9, kind in 1_u8..=6, object in select(&WritableObject::ALL[..]), domain in select(Domain::ALL),
        words in any::<[u16; 2]>(), money in any::<[u32; 2]>(), kv in 1_u8.., flags in 0_u8..=1, code in any::<u8>(),
        day in date(), id in uniform16(any::<u8>()), other in uniform16(any::<u8>()), third in uniform16(any::<u8>()),
        digest in uniform32(any::<u8>()), record in array::<160>(), wrapped in array::<96>(), public64 in bytes64(),
        data in vec(any::<u8>(), 1..=233),
    ) {
        let step = match op {
            0 => Step::Begin { kind: ScriptKind::try_from(kind).unwrap(), script: id },
            1 => Step::Write { object, total: words[0], offset: words[1], data: &data },
            2 => Step::Generate { domain },
            3 => Step::Certificate { domain, certificate: &record },
            4 => Step::Slot(SlotStep {
                role: code, kv, flags, g: &id, m: &other, pid: &third, record: &record, loaded: money[0],
            }),
            5 => Step::Purse { kv, seq: money[0], cap: money[1], ktac: &id },
            6 => Step::Keys { wrapped: &wrapped },
            7 => Step::Trust { name: &id, public64: &public64, epoch: words[0], floor: day },
            _ => Step::Finalise { count: words[0], digest, today: day },
        };
        let encoded = step.encode().unwrap();
        prop_assert_eq!(Step::parse(&encoded).unwrap(), step);
        // A step says its own length: nothing may stand behind it or be missing, except the data of a WRITE.
        if !matches!(step, Step::Write { .. }) {
            prop_assert!(Step::parse(&[&encoded[..], &[0]].concat()).is_err());
            prop_assert!(Step::parse(&encoded[..encoded.len() - 1]).is_err());
        }
    }
}

// Signing and sealing cost a millisecond each: fewer cases.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_record_opens_for_its_key_and_pid_only(
        content in entitlement(), key in uniform32(any::<u8>()), pid in uniform16(any::<u8>()), nonce in uniform12(any::<u8>()), seed in any::<u64>(),
    ) {
        let (signer, key) = (signer(), Key32::new(key));
        let record = content.seal(&signer, &key, &pid, &nonce, &mut rng(seed)).unwrap();
        prop_assert_eq!(Entitlement::open(&record, &key, &pid, &signer.public()).unwrap(), content);
        let header = RecordHeader::parse(&record).unwrap();
        prop_assert_eq!((header.role, header.expiry), (content.role, content.to));
        prop_assert_eq!(Entitlement::open(&record, &key, &pid, &other().public()), Err(Error::Crypto));
        prop_assert_eq!(&record[12..24], &nonce[..]);
    }

    #[test]
    fn a_terminal_certificate_is_read_as_it_was_signed(
        authorities in ["[A-Z0-9-]{1,10}", "[A-Z0-9-]{1,10}"], epoch in any::<u16>(), number in any::<u32>(),
        rights in rights(), effective in short_date(), expiry in short_date(), seed in any::<u64>(),
    ) {
        let certificate = TerminalCertificate {
            issuer: CertificateName::new(&authorities[0], epoch, 1),
            public: PrivateKey::generate(&mut rng(seed)).public(),
            holder: CertificateName::new(&authorities[1], epoch, number),
            rights, effective, expiry,
        };
        let encoded = certificate.sign(&signer(), &mut rng(seed)).unwrap();
        let parsed = TerminalCertificate::parse_and_verify(&encoded, &signer().public()).unwrap();
        prop_assert_eq!(parsed, certificate);
        prop_assert_eq!(parsed.holder.epoch(), epoch);
        prop_assert_eq!(parsed.has_sound_dates(), effective <= expiry);
        let days = i64::from(expiry.day_number()) - i64::from(effective.day_number());
        prop_assert_eq!(parsed.is_short_lived(), (0..=7).contains(&days));
        prop_assert_eq!(
            TerminalCertificate::parse_and_verify(&encoded, &other().public()),
            Err(Error::Crypto)
        );
    }

    #[test]
    fn a_sealed_box_opens_for_its_receiver_only(message in vec(any::<u8>(), 0..2000), seed in any::<u64>()) {
        let whole = sealed(&message, seed);
        let open = |magic, key: &PrivateKey| {
            let mut copy = whole.clone();
            sealed_box::open(magic, key, &mut copy).map(|message| message.to_vec())
        };
        prop_assert_eq!(open(sealed_box::BUNDLE, &other()).unwrap(), &message[..]);
        prop_assert_eq!(open(sealed_box::BUNDLE, &signer()), Err(Error::Crypto));
        prop_assert_eq!(open(sealed_box::LOT, &other()), Err(Error::Malformed { what: "sealed box" }));
        prop_assert!(message.len() < 8 || !whole.windows(8).any(|part| part == &message[..8]));
    }

    #[test]
    fn a_deny_list_holds_its_entries_and_no_others(
        role in role(), version in any::<u32>(), issued in date(), max_age in any::<u16>(),
        entries in proptest::collection::btree_set(uniform8(any::<u8>()), 0..40), stranger in uniform16(any::<u8>()), today in date(), grace in any::<Option<u16>>(),
    ) {
        let flat: Vec<u8> = entries.iter().flatten().copied().collect();
        let list = DenyList { role, version, issued, max_age, entries: &flat, grace };
        let signature = list.sign(&signer(), &mut [0; 400], &mut rng(1)).unwrap();
        let mut encoded = Bytes::<512>::new();
        list.encode(&signature, &mut encoded).unwrap();
        prop_assert_eq!(DenyList::parse_and_verify(&encoded, &signer().public()).unwrap(), list);
        prop_assert!(DenyList::parse_and_verify(&encoded, &other().public()).is_err());
        for entry in &entries {
            let mut pid = stranger;
            pid[..8].copy_from_slice(entry);
            prop_assert!(list.contains(&pid));
        }
        prop_assert_eq!(list.contains(&stranger), entries.contains(&stranger[..8]));
        let age = i64::from(today.day_number()) - i64::from(issued.day_number());
        prop_assert_eq!(list.is_fresh_on(today), (0..=i64::from(max_age)).contains(&age), "a list of tomorrow is not fresh");
        // Out of order, or one twice: neither signed nor read.
        if entries.len() > 1 {
            let backwards: Vec<u8> = entries.iter().rev().flatten().copied().collect();
            let twice: Vec<u8> = entries.iter().flat_map(|entry| [entry, entry]).flatten().copied().collect();
            for wrong in [backwards, twice] {
                let list = DenyList { entries: &wrong, ..list };
                prop_assert!(list.sign(&signer(), &mut [0; 1000], &mut rng(1)).is_err());
            }
        }
    }

    #[test]
    fn a_bundle_is_read_as_it_was_written(
        id in uniform16(any::<u8>()), name in "\\PC{1,16}", issued in date(), not_after in date(), sequence in any::<u32>(),
        zones in any::<u64>(), tid in any::<Option<u32>>(), with_chain in any::<bool>(), lists in 0_usize..3,
        keys in vec((role(), region(), 1_u8.., select(&[KeyState::Active, KeyState::Draining][..]), date()), 0..5),
    ) {
        let (certificate, list) = (sample_terminal_certificate(), sample_deny_list());
        let head = BundleHead {
            id, name: &name, issued, not_after, sequence, anchors: sample_anchors(),
            chain: with_chain.then_some((&certificate[..], &certificate[..])), zones,
            tid,
        };
        let made: Vec<RoleKey> = keys.iter().map(|(role, region, kv, state, until)| role_key(*role, *region, *kv, *state, *until)).collect();
        let lists = vec![list.as_slice(); lists];
        let mut out = vec![0; 4096];
        let length = bundle::encode(&head, &made, &lists, &signer(), &mut rng(1), &mut out).unwrap();
        let root = signer().public();
        let parsed = Bundle::parse_and_verify(&out[..length], &root).unwrap();
        prop_assert_eq!(&parsed.head, &head);
        prop_assert_eq!(parsed.deny_lists().collect::<Vec<_>>(), &lists[..]);
        let found: Vec<RoleKey> = parsed.role_keys().map(Result::unwrap).collect();
        prop_assert_eq!(found.len(), made.len());
        for (found, made) in found.iter().zip(&made) {
            prop_assert_eq!(
                (found.role, found.region, found.kv, found.state, found.until),
                (made.role, made.region, made.kv, made.state, made.until)
            );
            prop_assert_eq!(found.record_master.expose(), made.record_master.expose());
            prop_assert_eq!(
                found.door_f.as_ref().map(|(group, tap)| (group.expose(), tap.expose())),
                made.door_f.as_ref().map(|(group, tap)| (group.expose(), tap.expose()))
            );
        }
        prop_assert!(Bundle::parse_and_verify(&out[..length], &other().public()).is_err());
        prop_assert!(Bundle::parse_and_verify(&out[..=length], &root).is_err());
        // Too little room is an error and not half a bundle.
        prop_assert!(bundle::encode(&head, &made, &lists, &signer(), &mut rng(1), &mut out[..length - 1]).is_err());
    }

    #[test]
    fn a_lot_file_is_read_as_it_was_written(lot in uniform4(any::<u8>()), serials in vec(array::<10>(), 0..5)) {
        let blanks: Vec<(Serial, KeySet)> = serials.iter().map(|serial| (Serial(*serial), key_set(serial[0]))).collect();
        let mut out = vec![0; lot::encoded_len(blanks.len())];
        let length = lot::encode(lot, &blanks, &signer(), &mut rng(1), &mut out).unwrap();
        let mut parsed = Lot::parse_and_verify(&out[..length], &signer().public()).unwrap();
        prop_assert_eq!(parsed.lot, lot);
        for (serial, keys) in &blanks {
            let (found, found_keys) = parsed.next_blank().unwrap().unwrap();
            prop_assert_eq!(found, *serial);
            prop_assert_eq!(found_keys.enc.expose(), keys.enc.expose());
            prop_assert_eq!(found_keys.mac.expose(), keys.mac.expose());
            prop_assert_eq!(found_keys.dek.expose(), keys.dek.expose());
        }
        prop_assert!(parsed.next_blank().unwrap().is_none());
        prop_assert!(Lot::parse_and_verify(&out[..length], &other().public()).is_err());
    }
}

#[test]
fn a_citizen_number_and_a_rule_set_are_ascii() {
    let (dg1, dg3) = (sample_dg1(), sample_dg3());
    let (good1, good3) = (Dg1::parse(&dg1).unwrap(), Dg3::parse(&dg3).unwrap());
    // 18 bytes, but 6 characters; and the same bytes put into a group that somebody else wrote.
    let wide = Dg1 {
        citizen_number: "一二三四五六",
        ..good1
    };
    assert!(wide.encode().is_err());
    let replace = |bytes: &[u8], from: &str, to: &str| {
        let at = bytes
            .windows(from.len())
            .position(|part| part == from.as_bytes())
            .unwrap();
        let mut out = bytes.to_vec();
        out[at..at + to.len()].copy_from_slice(to.as_bytes());
        out
    };
    assert!(Dg1::parse(&replace(&dg1, good1.citizen_number, "一二三四五六")).is_err());
    let wide = Dg3 {
        rule_set: "规则",
        ..good3
    };
    assert!(wide.encode().is_err());
    assert!(Dg3::parse(&replace(&dg3, good3.rule_set, "规则")).is_err());
}

/// `bytes` with the one byte behind `before` set to `value`.
fn with_byte(bytes: &[u8], before: &[u8], value: u8) -> Vec<u8> {
    let at = bytes
        .windows(before.len())
        .position(|part| part == before)
        .unwrap();
    let mut out = bytes.to_vec();
    out[at + before.len()] = value;
    out
}

#[test]
fn dg1_takes_only_the_values_of_chapter_02() {
    let sample = sample_dg1();
    let good = Dg1::parse(&sample).unwrap();
    for sex in 0..=u8::MAX {
        let allowed = [0, 1, 2, 9].contains(&sex);
        assert_eq!(Dg1 { sex, ..good }.encode().is_ok(), allowed, "sex {sex}");
        assert_eq!(
            Dg1::parse(&with_byte(&sample, &[0x82, 1], sex)).is_ok(),
            allowed,
            "sex {sex}"
        );
    }
    for nation in 0..=u8::MAX {
        let allowed = (1..=56).contains(&nation) || [97, 98].contains(&nation);
        assert_eq!(
            Dg1 { nation, ..good }.encode().is_ok(),
            allowed,
            "nation {nation}"
        );
        assert_eq!(
            Dg1::parse(&with_byte(&sample, &[0x83, 1], nation)).is_ok(),
            allowed,
            "nation {nation}"
        );
    }
    for (citizen_number, allowed) in [
        ("44010619900307101X", true),
        ("44010619900307101x", false),
        ("4401061990030710X1", false),
        ("44010619900307101Y", false),
        ("4401061990030710 1", false),
    ] {
        let group = Dg1 {
            citizen_number,
            ..good
        };
        assert_eq!(group.encode().is_ok(), allowed, "{citizen_number}");
        let mut bytes = sample.clone();
        let at = bytes.windows(2).position(|part| part == [0x85, 18]).unwrap() + 2;
        bytes[at..at + 18].copy_from_slice(citizen_number.as_bytes());
        assert_eq!(Dg1::parse(&bytes).is_ok(), allowed, "{citizen_number}");
    }
    for group in [
        Dg1 {
            birth_date: Date::NONE,
            ..good
        },
        Dg1 {
            issue_date: Date::NONE,
            ..good
        },
    ] {
        assert!(group.encode().is_err());
    }
    for tag in [0x84, 0x8A] {
        let mut bytes = sample.clone();
        let at = bytes.windows(2).position(|part| part == [tag, 4]).unwrap() + 2;
        bytes[at..at + 4].fill(0);
        assert!(Dg1::parse(&bytes).is_err(), "no date in {tag:02X}");
    }
}

#[test]
fn a_bundle_carries_only_versions_that_a_terminal_may_use() {
    let region = "440300".parse().unwrap();
    for (kv, state) in [
        (1, KeyState::Suspended),
        (1, KeyState::Compromised),
        (0, KeyState::Active),
    ] {
        let keys = [role_key(Role::Clinic, region, kv, state, Date::NONE)];
        let head = BundleHead {
            id: [1; 16],
            name: "t",
            issued: day("2026-11-21"),
            not_after: day("2026-11-28"),
            sequence: 1,
            anchors: sample_anchors(),
            chain: None,
            zones: 0,
            tid: None,
        };
        let mut out = vec![0; 4096];
        let made = bundle::encode(&head, &keys, &[], &signer(), &mut rng(1), &mut out);
        assert!(made.is_err(), "{kv} {state}");
        // The same bytes from somebody else who can sign.
        let good = [role_key(Role::Clinic, region, 7, KeyState::Active, Date::NONE)];
        let length = bundle::encode(&head, &good, &[], &signer(), &mut rng(1), &mut out).unwrap();
        let mut body = out[..length - 67].to_vec();
        let at = body
            .windows(6)
            .position(|part| part == [0x82, 1, 7, 0x83, 1, 1])
            .unwrap();
        (body[at + 2], body[at + 5]) = (kv, state.code());
        let signature = signer().sign(&[b"YZT-BUNDLE-1", &body], &mut rng(2)).unwrap();
        body.extend([0x5F, 0x37, 0x40]);
        body.extend(signature);
        assert!(
            Bundle::parse_and_verify(&body, &signer().public()).is_err(),
            "{kv} {state}"
        );
    }
}

#[test]
fn nothing_that_is_shown_for_a_log_holds_a_key_or_a_person() {
    let secret = [0xC7_u8; 16];
    let slot = SlotStep {
        role: 3,
        kv: 1,
        flags: 0,
        g: &secret,
        m: &secret,
        pid: &secret,
        record: &[0xC7; 160],
        loaded: 199,
    };
    let wrapped = [0xC7; 96];
    let steps = [
        Step::Slot(slot),
        Step::Purse {
            kv: 1,
            seq: 0xC7C7_C7C7,
            cap: 5,
            ktac: &secret,
        },
        Step::Keys { wrapped: &wrapped },
        Step::Write {
            object: WritableObject::Dg1,
            total: 9,
            offset: 0,
            data: &secret,
        },
    ];
    let shown = steps.map(|step| format!("{step:?} {step:#?}")).concat();
    let shown = format!("{shown}{slot:?}");
    let bundle = sample_bundle();
    let (object, _) = card_applet_spec::tlv::parse(&bundle).unwrap();
    let parsed = Bundle::parse_and_verify(&bundle, &signer().public()).unwrap();
    let dg3 = sample_dg3();
    let group = Dg3::parse(&dg3).unwrap();
    let dg3_shown = format!("{group:?}");
    assert!(!dg3_shown.contains(group.rule_set) && !dg3_shown.contains("[3, 3"));
    // Key and record masters of the sample are runs of one byte.
    for text in [
        shown,
        format!("{object:?}"),
        format!("{parsed:?}"),
        format!("{:?}", card_applet_spec::bytes::Reader::new(&bundle, "bundle")),
    ] {
        for mark in ["199, 199", "C7C7", "c7c7", "7, 7, 7, 7", "248, 248", "1, 1, 1, 1"] {
            assert!(!text.contains(mark), "{mark} in {text}");
        }
    }
}

#[test]
fn a_draining_version_without_a_last_day_is_not_written() {
    let region = "440300".parse().unwrap();
    let keys = [role_key(Role::Clinic, region, 1, KeyState::Draining, Date::NONE)];
    let head = BundleHead {
        id: [6; 16],
        name: "clinic 7",
        issued: day("2026-11-21"),
        not_after: day("2026-12-28"),
        sequence: 3,
        anchors: sample_anchors(),
        chain: None,
        zones: 0,
        tid: None,
    };
    let result = bundle::encode(&head, &keys, &[], &signer(), &mut rng(1), &mut [0; 1024]);
    assert!(matches!(result, Err(Error::Malformed { .. })), "{result:?}");
}

// Anything may come in

/// A name, a valid sample, and what is done with bytes.
type Parser = (&'static str, Vec<u8>, fn(&[u8]));

/// Made once: the samples are signed.
static PARSERS: LazyLock<Vec<Parser>> = LazyLock::new(parsers);

/// Every parser that takes bytes as they come, and a sample for it. Where the form is closed, what is accepted must be
/// written again as it came.
fn parsers() -> Vec<Parser> {
    let mut all = parsers_of_data();
    all.extend(parsers_of_signed_and_sealed_things());
    all.extend(parsers_of_messages());
    all
}

fn parsers_of_data() -> Vec<Parser> {
    vec![
        ("tlv", sample_dg3(), |bytes| {
            let mut rest = bytes;
            while let Ok((object, behind)) = tlv::parse(rest) {
                assert!(behind.len() < rest.len());
                assert_eq!(object.raw.len() + behind.len(), rest.len());
                rest = behind;
            }
            let _ = tlv::parse_only(bytes);
        }),
        ("DG1", sample_dg1(), |bytes| {
            if let Ok(group) = Dg1::parse(bytes) {
                assert_eq!(Dg1::parse(&group.encode().unwrap()).unwrap(), group);
            }
        }),
        ("DG2", sample_dg2(), |bytes| {
            if let Ok(group) = Dg2::parse(bytes) {
                let mut again = Bytes::<MAX_DG2>::new();
                group.encode(&mut again).unwrap();
                assert_eq!(Dg2::parse(&again).unwrap(), group);
            }
        }),
        ("DG3", sample_dg3(), |bytes| {
            if let Ok(group) = Dg3::parse(bytes) {
                assert_eq!(Dg3::parse(&group.encode().unwrap()).unwrap(), group);
            }
        }),
        (
            "card info",
            CardInfo::CURRENT.encode().unwrap().to_vec(),
            |bytes| {
                let _ = CardInfo::parse(bytes);
            },
        ),
    ]
}

fn parsers_of_signed_and_sealed_things() -> Vec<Parser> {
    vec![
        ("signature object", sample_signature_object(), |bytes| {
            if let Ok(object) = SignatureObject::parse(bytes) {
                assert_eq!(&object.encode().unwrap()[..], bytes);
            }
        }),
        ("card certificate", sample_card_certificate().to_vec(), |bytes| {
            if let Ok(bytes) = <&[u8; 160]>::try_from(bytes)
                && let Ok(certificate) = CardCertificate::parse(bytes)
            {
                assert_eq!(certificate.encode().unwrap(), *bytes);
                let _ = certificate.verify(&signer().public());
            }
        }),
        ("terminal certificate", sample_terminal_certificate(), |bytes| {
            if let Ok((certificate, body, _)) = TerminalCertificate::parse(bytes) {
                let _ = (
                    certificate.is_short_lived(),
                    certificate.has_sound_dates(),
                    body.len(),
                );
            }
        }),
        ("record", sample_record().to_vec(), |bytes| {
            if let Ok(record) = <&[u8; 160]>::try_from(bytes) {
                let _ = RecordHeader::parse(record);
                let _ = Entitlement::open(record, &Key32::new([1; 32]), &[2; 16], &signer().public());
            }
        }),
        ("bundle", sample_bundle(), |bytes| {
            let _ = Bundle::parse_and_verify(bytes, &signer().public());
        }),
        ("deny list", sample_deny_list(), |bytes| {
            let _ = DenyList::parse_and_verify(bytes, &signer().public());
        }),
        ("lot", sample_lot(), |bytes| {
            let _ = Lot::parse_and_verify(bytes, &signer().public());
        }),
        ("sealed box", sealed(b"for one reader", 1), |bytes| {
            let _ = sealed_box::open(sealed_box::BUNDLE, &other(), &mut bytes.to_vec());
        }),
    ]
}

fn parsers_of_messages() -> Vec<Parser> {
    let command = Header::step(7).command(&[5; 40], Some(0)).unwrap();
    let slot = [5; 224];
    vec![
        (
            "step",
            [&[5, 1, 7, 0][..], &slot[..208], &[0; 12]].concat(),
            |bytes| {
                if let Ok(step) = Step::parse(bytes) {
                    assert_eq!(&step.encode().unwrap()[..], bytes);
                }
            },
        ),
        ("status", [&[3][..], &[0; 58]].concat(), |bytes| {
            if let Ok(status) = Status::parse(bytes) {
                assert_eq!(&status.encode().unwrap()[..], bytes);
            }
        }),
        ("command", command.to_vec(), |bytes| {
            match ParsedCommand::parse(bytes) {
                Ok(parsed) => assert_eq!(&parsed.header.command(parsed.data, parsed.le).unwrap()[..], bytes),
                Err(status) => assert_eq!(status, StatusWord::WRONG_LENGTH),
            }
        }),
        ("answer", vec![1, 2, 0x90, 0x00], |bytes| {
            if let Ok((body, _)) = split_answer(bytes) {
                assert_eq!(body.len() + 2, bytes.len());
            }
        }),
        (
            "INITIALIZE UPDATE answer",
            InitializeUpdate::encode_i60(&[1; 8], &[2; 8]).to_vec(),
            |bytes| {
                let _ = InitializeUpdate::parse(bytes);
            },
        ),
        ("TAP answer", vec![5; 256], |bytes| {
            if let Ok(answer) = TapAnswer::parse(bytes) {
                assert_eq!(&answer.encode().unwrap()[..], bytes);
                let _ = answer.open(&Key16::new([1; 16]));
                let _ = answer.filter_blocks();
            }
        }),
        (
            "P of TAP",
            [&[1; 16][..], &[1, 1, 0, 0], &[7; 204]].concat(),
            |bytes| {
                if let Ok(bytes) = <&[u8; 224]>::try_from(bytes)
                    && let Ok(plain) = TapPlain::parse(bytes)
                {
                    assert_eq!(plain.encode().unwrap(), *bytes);
                }
            },
        ),
        ("COMMIT body", [&[1; 21][..], &[0; 7]].concat(), |bytes| {
            if let Ok(bytes) = <&[u8; 28]>::try_from(bytes)
                && let Ok(body) = CommitBody::parse(bytes)
            {
                assert_eq!(body.encode().unwrap(), *bytes);
            }
        }),
        (
            "AGREE",
            [&[1, 0, 0, 0, 1][..], &[4; 65], &[6; 64]].concat(),
            |bytes| {
                if let Ok(agree) = Agree::parse(bytes) {
                    assert_eq!(&agree.encode().unwrap()[..], bytes);
                }
            },
        ),
        ("AGREE answer", vec![5; 241], |bytes| {
            if let Ok(answer) = AgreeAnswer::parse(bytes) {
                assert_eq!(&answer.encode().unwrap()[..], bytes);
            }
        }),
        ("slot object", vec![5; 177], |bytes| {
            assert_eq!(SlotObject::parse(bytes).is_ok(), bytes.len() == SlotObject::LEN);
        }),
        ("object code", vec![0x11], |bytes| {
            for code in bytes {
                if let Ok(object) = Object::from_code(*code) {
                    assert_eq!(object.code(), *code);
                }
            }
        }),
        ("point", other().public().to_point65().to_vec(), |bytes| {
            if let Ok(bytes) = <&[u8; 65]>::try_from(bytes)
                && let Ok(key) = PublicKey::from_point65(bytes)
            {
                assert_eq!(key.to_point65(), *bytes);
            }
        }),
    ]
}

/// A change of a message on its way.
#[derive(Debug, Clone)]
enum Edit {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    Repeat(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, to)| Edit::Set(at, to)),
        (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        any::<Index>().prop_map(Edit::Cut),
        (any::<Index>(), vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        any::<(Index, Index)>().prop_map(|(from, to)| Edit::Remove(from, to)),
        any::<(Index, Index)>().prop_map(|(from, to)| Edit::Repeat(from, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edits: &[Edit]) {
    for edit in edits {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        let span = |a: &Index, b: &Index| {
            let (a, b) = (a.index(length), b.index(length));
            a.min(b)..a.max(b)
        };
        match edit {
            Edit::Set(at, to) => bytes[at.index(length)] = *to,
            Edit::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Edit::Cut(at) => bytes.truncate(at.index(length)),
            Edit::Insert(at, new) => {
                let at = at.index(length);
                bytes.splice(at..at, new.iter().copied());
            }
            Edit::Remove(from, to) => drop(bytes.drain(span(from, to))),
            Edit::Repeat(from, to) => {
                let part = bytes[span(from, to)].to_vec();
                bytes.extend_from_slice(&part);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_parser_panics_on_random_bytes(bytes in vec(any::<u8>(), 0..600)) {
        for (name, _, parse) in PARSERS.iter() {
            // Shown with a failing case only.
            println!("{name}");
            parse(&bytes);
        }
    }

    #[test]
    fn no_parser_panics_on_a_changed_message(edits in vec(edit(), 1..5)) {
        for (name, sample, parse) in PARSERS.iter() {
            println!("{name}");
            parse(sample);
            let mut changed = sample.clone();
            apply(&mut changed, &edits);
            parse(&changed);
        }
    }
}

proptest! {
    // Ten signatures a case.
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// What the signer signs is trusted to be meant, not to be well formed.
    #[test]
    fn no_parser_panics_on_a_changed_message_behind_a_good_signature(edits in vec(edit(), 1..5)) {
        let key = signer();
        let public = key.public();
        for (label, tag, sample) in [
            (&b"YZT-BUNDLE-1"[..], 0x7F50_u16, sample_bundle()),
            (b"YZT-LOT-1", 0x7F51, sample_lot()),
        ] {
            let mut inside = tlv::parse(&sample).unwrap().0.value.to_vec();
            apply(&mut inside, &edits);
            let mut whole = Bytes::<8192>::new();
            tlv::put(&mut whole, tag, &inside).unwrap();
            let signature = key.sign(&[label, &whole], &mut rng(1)).unwrap();
            tlv::put(&mut whole, 0x5F37, &signature).unwrap();
            if tag == 0x7F50 {
                if let Ok(bundle) = Bundle::parse_and_verify(&whole, &public) {
                    // What was accepted as a whole can be walked: no key that was not looked at.
                    prop_assert!(bundle.role_keys().all(|key| key.is_ok()));
                    for list in bundle.deny_lists() {
                        let _ = DenyList::parse_and_verify(list, &public);
                    }
                }
            } else if let Ok(mut lot) = Lot::parse_and_verify(&whole, &public) {
                while let Ok(Some(_)) = lot.next_blank() {}
            }
        }
        let sample = sample_deny_list();
        let mut signed = sample[..sample.len() - 66].to_vec();
        apply(&mut signed, &edits);
        let signature = key.sign(&[b"YZT-DENY-1", &signed], &mut rng(1)).unwrap();
        signed.extend_from_slice(&[0x9E, 0x40]);
        signed.extend_from_slice(&signature);
        if let Ok(list) = DenyList::parse_and_verify(&signed, &public) {
            let mut again = Bytes::<8192>::new();
            list.encode(&signature, &mut again).unwrap();
            prop_assert_eq!(&again[..], &signed[..]);
            let _ = list.contains(&[1; 16]);
        }
        let sample = sample_terminal_certificate();
        let outer = tlv::parse_only(&sample).unwrap();
        let mut body = tlv::parse(outer.value).unwrap().0.raw.to_vec();
        apply(&mut body, &edits);
        let mut value = Bytes::<8192>::new();
        value.extend_from_slice(&body).unwrap();
        let signature = key.sign(&[&body], &mut rng(1)).unwrap();
        tlv::put(&mut value, 0x5F37, &signature).unwrap();
        let mut whole = Bytes::<8192>::new();
        tlv::put(&mut whole, 0x7F21, &value).unwrap();
        let _ = TerminalCertificate::parse_and_verify(&whole, &public);
    }
}
