//! Every vector of `spec/vectors/` against this crate. The vectors were made from the chapters by a second
//! implementation in another language, so a fault here is a misreading of the text by one of the two.
//!
//! Nothing is passed over in silence: a file, a construction, an input or an output that this test does not know fails.
//! Left out on purpose: the status words of a card (the order of its refusals is tested on the card); here a refusal with
//! a status word must be of the right kind, and one without must only be a refusal.
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::{rng, unhex};
use card_applet_spec::apdu::{Header, ParsedCommand, StatusWord};
use card_applet_spec::bundle::{self, Anchors, Bundle, BundleHead, RoleKey};
use card_applet_spec::bytes::Write;
use card_applet_spec::certificate::{CardCertificate, CertificateName, OID_RIGHTS, TerminalCertificate};
use card_applet_spec::codes::{AID, Domain, KeyState, Region, Rights, Role, Serial, Tier};
use card_applet_spec::counters::{self, Count, Counted, CountersHead, UnverifiedCounters};
use card_applet_spec::crypto::{Key16, Key32, PrivateKey, PublicKey, sha256};
use card_applet_spec::data_group::{CardInfo, Dg1, Dg2, Dg3, MAX_DG2, PortraitFormat, SignatureObject};
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::{self, DenyList};
use card_applet_spec::door_f::{CommitBody, TapAnswer, TapPlain, tap_command};
use card_applet_spec::door_s::{Agree, AgreeAnswer};
use card_applet_spec::kdf::{self, KeySet, kdf56c, kdf108};
use card_applet_spec::lot::{self, Lot};
use card_applet_spec::record::{Entitlement, RecordHeader, binding, rule_set_digest};
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys, pseudo_random_challenge};
use card_applet_spec::script::{SlotStep, Step, chain_next, chain_start};
use card_applet_spec::settlement::{self, Before, Line, SettlementHead, Unknown, UnverifiedSettlement};
use card_applet_spec::update::{Operation, SealedUpdate, tac_key};
use card_applet_spec::update_files::{self, BatchEntry, BatchHead, Receipt, Receipts, UpdateBatch};
use card_applet_spec::{Bytes, Error, sealed_box, tlv};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::Value;

/// One side of a vector: named values, and which of them were looked at.
struct Fields<'a> {
    name: &'a str,
    values: &'a serde_json::Map<String, Value>,
    seen: RefCell<BTreeSet<String>>,
}

impl<'a> Fields<'a> {
    fn new(name: &'a str, value: &'a Value) -> Self {
        Self {
            name,
            values: value.as_object().expect("inputs and outputs are objects"),
            seen: RefCell::default(),
        }
    }

    fn value(&self, key: &str) -> &'a Value {
        self.seen.borrow_mut().insert(key.to_owned());
        self.values
            .get(key)
            .unwrap_or_else(|| panic!("{}: no {key}", self.name))
    }

    fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    fn bytes(&self, key: &str) -> Vec<u8> {
        unhex(self.value(key).as_str().expect("hex"))
    }

    fn array<const N: usize>(&self, key: &str) -> [u8; N] {
        let bytes = self.bytes(key);
        bytes
            .as_slice()
            .try_into()
            .unwrap_or_else(|_| panic!("{}: {key} has {} bytes", self.name, bytes.len()))
    }

    fn u8(&self, key: &str) -> u8 {
        u8::from_be_bytes(self.array(key))
    }

    fn u16(&self, key: &str) -> u16 {
        u16::from_be_bytes(self.array(key))
    }

    fn u32(&self, key: &str) -> u32 {
        u32::from_be_bytes(self.array(key))
    }

    fn u64(&self, key: &str) -> u64 {
        u64::from_be_bytes(self.array(key))
    }

    fn date(&self, key: &str) -> Date {
        Date::from_bytes(self.array(key)).expect("a day")
    }

    fn text(&self, key: &str) -> String {
        String::from_utf8(self.bytes(key)).expect("text")
    }

    fn private(&self, key: &str) -> PrivateKey {
        PrivateKey::from_bytes(&self.array(key)).expect("a private key")
    }

    fn public(&self, key: &str) -> PublicKey {
        PublicKey::from_public64(&self.array(key)).expect("a point on the curve")
    }

    fn key16(&self, key: &str) -> Key16 {
        Key16::new(self.array(key))
    }

    fn key32(&self, key: &str) -> Key32 {
        Key32::new(self.array(key))
    }

    fn list(&self, key: &str) -> Vec<Vec<u8>> {
        let list = self.value(key).as_array().expect("a list");
        list.iter()
            .map(|item| unhex(item.as_str().expect("hex")))
            .collect()
    }

    fn objects(&self, key: &str) -> Vec<Fields<'a>> {
        let list = self.value(key).as_array().expect("a list");
        list.iter().map(|item| Fields::new(self.name, item)).collect()
    }

    /// Compares what this crate made with the vector.
    fn is(&self, key: &str, made: &[u8]) {
        assert_eq!(
            hex::encode(made),
            self.value(key).as_str().expect("hex"),
            "{}: {key}",
            self.name
        );
    }

    /// Nothing of the vector may be left unread.
    fn all_seen(&self) {
        let seen = self.seen.borrow();
        for key in self.values.keys() {
            assert!(seen.contains(key), "{}: {key} was not looked at", self.name);
        }
    }
}

/// A vector: inputs and outputs.
struct Vector<'a> {
    i: Fields<'a>,
    o: Fields<'a>,
}

impl Vector<'_> {
    /// True when the data must be refused; then `result` was, and was for the right kind of reason.
    fn refuses<T>(&self, result: Result<T, Error>) -> Option<T> {
        if !self.o.has("refused") {
            return Some(result.unwrap_or_else(|error| panic!("{}: {error}", self.i.name)));
        }
        let status = self.o.value("refused").as_str().expect("hex");
        let Err(error) = result else {
            panic!("{}: must be refused", self.i.name);
        };
        match status {
            "" => {}
            "6a80" => assert!(
                matches!(error, Error::Malformed { .. }),
                "{}: {error:?}",
                self.i.name
            ),
            "6982" => assert_eq!(error, Error::Crypto, "{}", self.i.name),
            other => panic!("{}: unknown status {other}", self.i.name),
        }
        None
    }
}

/// The signature with the nonce of RFC 6979 and nothing else, as the vectors have it. Our own signer hedges with fresh
/// randomness and cannot reproduce it.
fn deterministic(private: &[u8; 32], parts: &[&[u8]]) -> [u8; 64] {
    let key = SigningKey::from_slice(private).unwrap();
    let signature: Signature = key.sign_prehash(&sha256(parts)).unwrap();
    signature.to_bytes().into()
}

#[expect(clippy::too_many_lines, reason = "a table: one line for each construction")]
fn run(construction: &str, v: &Vector<'_>) {
    match construction {
        "tlv-parse" => tlv_parse(v),
        "tlv-header" => tlv_header(v),
        "cmac" => cmac(v),
        "ecdsa" => ecdsa(v),
        "ecdsa-verify" => ecdsa_verify(v),
        "signature-der" => signature_der(v),
        "point" => {
            if let Some(point) = v.refuses(PublicKey::from_point65(&v.i.array("encoded"))) {
                v.o.is("public", &point.to_public64());
            }
        }
        "select" => select(v),
        "dg1" => dg1(v),
        "dg2" => dg2(v),
        "dg3" => dg3(v),
        "signature-object" => signature_object(v),
        "signature-object-open" => signature_object_open(v),
        "card-certificate" => card_certificate(v),
        "record" => record(v),
        "record-open" => record_open(v),
        "kdf108" => kdf108_row(v),
        "kdf56c" => kdf56c_row(v),
        "kcv" => v.o.is("kcv", &v.i.key16("key").kcv()),
        "slot-step" => slot_step(v),
        "script-chain" => script_chain(v),
        "finalise" => finalise(v),
        "keys-step" => keys_step(v),
        "scp03" => scp03(v),
        "scp03-challenge-i70" => {
            let sequence = v.i.array("sequence");
            let challenge = pseudo_random_challenge(&v.i.key16("enc"), sequence, &v.i.bytes("aid"));
            v.o.is("card_challenge", &challenge);
        }
        "tap" => tap(v),
        "cohort-filter" => cohort_filter(v),
        "cohort-search" => cohort_search(v),
        "commit" => commit(v),
        "rights-oid" => rights_oid(v),
        "terminal-certificate" => terminal_certificate(v),
        "terminal-chain" => terminal_chain(v),
        "domain-of-rights" => domain_of_rights(v),
        "door-s" => door_s(v),
        "deny-list" => deny_list(v),
        "deny-list-open" => deny_list_open(v),
        "list-file" => list_file(v),
        "counters" => counters_file(v),
        "counters-open" => {
            let content = v.i.bytes("content");
            let key = v.i.public("public");
            let result = UnverifiedCounters::parse(&content).and_then(|file| file.verify(&key));
            if let Some(found) = v.refuses(result) {
                v.o.is("name", found.head.terminal.as_bytes());
            }
        }
        "settlement" => settlement_file(v),
        "settlement-open" => {
            let content = v.i.bytes("content");
            let key = v.i.public("public");
            let result = UnverifiedSettlement::parse(&content).and_then(|file| file.verify(&key));
            if let Some(found) = v.refuses(result) {
                v.o.is("number", &found.head.number.to_be_bytes());
            }
        }
        "bundle" => terminal_bundle(v),
        "bundle-open" => bundle_open(v),
        "sealed-box" => seal_box(v),
        "sealed-box-open" => open_box(v),
        "lot-file" => lot_file(v),
        "update-slot" => update_slot(v),
        "update-dg3" => update_dg3(v),
        "update-floor" => is_operation(v, &Operation::Floor(v.i.date("floor"))),
        "update-block" => is_operation(v, &Operation::Block),
        "update-erase" => {
            let role = Role::try_from(v.i.u8("role")).unwrap();
            is_operation(
                v,
                &Operation::Erase {
                    role,
                    kv: v.i.u8("kv"),
                },
            );
        }
        "update-load" => {
            let loaded = v.i.u32("loaded");
            is_operation(v, &Operation::Load { loaded });
        }
        "update-parse" => update_parse(v),
        "update" => update(v),
        "update-batch" => update_batch(v),
        "update-batch-open" => {
            let plain = v.i.bytes("plain");
            if let Some(batch) = v.refuses(UpdateBatch::parse_and_verify(&plain, &v.i.public("root_public")))
            {
                v.o.is("id", &batch.head.id);
            }
        }
        "receipts" => receipts(v),
        "receipts-open" => {
            let plain = v.i.bytes("plain");
            if let Some(found) = v.refuses(Receipts::parse(&plain)) {
                let updates: Vec<_> = found.iter().map(|receipt| receipt.update.to_vec()).collect();
                assert_eq!(updates, v.o.list("updates"), "{}", v.i.name);
            }
        }
        unknown => panic!("{}: unknown construction {unknown}", v.i.name),
    }
}

/// Runs one file; gives the number of vectors of each construction.
fn run_file(file: &str) -> BTreeMap<String, usize> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("spec/vectors")
        .join(file);
    let text = std::fs::read_to_string(path).expect("the vectors are part of the repository");
    let file_value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(file_value["schema"], "yzt.vectors/1", "{file}");
    let mut counts = BTreeMap::new();
    for vector in file_value["vectors"].as_array().expect("a list of vectors") {
        let name = vector["name"].as_str().expect("a name");
        let construction = vector["construction"].as_str().expect("a construction");
        assert_eq!(vector["chapter"], file_value["chapter"], "{name}");
        let v = Vector {
            i: Fields::new(name, &vector["inputs"]),
            o: Fields::new(name, &vector["outputs"]),
        };
        run(construction, &v);
        v.i.all_seen();
        v.o.all_seen();
        *counts.entry(construction.to_owned()).or_insert(0) += 1;
    }
    let total: usize = counts.values().sum();
    println!("{file}: {total} vectors {counts:?}");
    assert!(total > 0, "{file} has no vectors");
    counts
}

macro_rules! chapters {
    ($($test:ident: $file:literal,)+) => {
        const FILES: &[&str] = &[$($file),+];
        $(
            #[test]
            fn $test() {
                run_file($file);
            }
        )+
    };
}

chapters! {
    the_foundations_are_as_the_vectors_have_them: "01-foundations.json",
    the_data_groups_are_as_the_vectors_have_them: "02-data-groups.json",
    the_records_are_as_the_vectors_have_them: "03-records.json",
    the_keys_are_as_the_vectors_have_them: "04-keys.json",
    door_i_is_as_the_vectors_have_it: "05-door-i.json",
    door_f_is_as_the_vectors_have_it: "06-door-f.json",
    door_s_is_as_the_vectors_have_it: "07-door-s.json",
    what_terminals_load_is_as_the_vectors_have_it: "08-terminals.json",
    the_updates_are_as_the_vectors_have_them: "09-updates.json",
    the_settlement_is_as_the_vectors_have_it: "11-settlement.json",
}

/// No bytes between card and reader: `codes_are_written_read_and_refused_as_the_vectors_have_them` in `issuer-office` runs it.
const ELSEWHERE: &str = "15-card-back.json";

#[test]
fn every_file_of_vectors_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors");
    let found: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "json"))
        .collect();
    let known: BTreeSet<String> = FILES
        .iter()
        .chain([&ELSEWHERE])
        .map(|file| (*file).to_owned())
        .collect();
    assert_eq!(found, known);
}

// 01 Foundations

fn tlv_parse(v: &Vector<'_>) {
    let encoded = v.i.bytes("encoded");
    let mut rest = encoded.as_slice();
    let mut found = Vec::new();
    let result = loop {
        if rest.is_empty() {
            break Ok(());
        }
        match tlv::parse(rest) {
            Ok((object, behind)) => {
                found.push(object);
                rest = behind;
            }
            Err(error) => break Err(error),
        }
    };
    if v.refuses(result).is_none() {
        return;
    }
    let expected = v.o.objects("objects");
    assert_eq!(expected.len(), found.len(), "{}", v.i.name);
    let mut again = Bytes::<600>::new();
    for (object, expected) in found.iter().zip(&expected) {
        let tag = object.tag.to_be_bytes();
        expected.is("tag", if tag[0] == 0 { &tag[1..] } else { &tag });
        expected.is("value", object.value);
        tlv::put(&mut again, object.tag, object.value).unwrap();
    }
    assert_eq!(&again[..], &encoded[..], "{}", v.i.name);
}

/// Keeps the first bytes and forgets the rest: heads of objects that no buffer of ours holds.
struct FirstBytes(Vec<u8>);

impl Write for FirstBytes {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.0.len() < 6 {
            self.0.extend_from_slice(&bytes[..bytes.len().min(6)]);
        }
        Ok(())
    }
}

fn tlv_header(v: &Vector<'_>) {
    let length = usize::try_from(v.i.u32("length")).unwrap();
    // Not zero, so that no byte of the value can be taken for one of the head.
    let value = vec![0xEE; length];
    let mut out = FirstBytes(Vec::new());
    tlv::put(&mut out, v.i.u16("tag"), &value).unwrap();
    let header = v.o.bytes("header");
    assert_eq!(out.0[..header.len()], header, "{}", v.i.name);
    assert!(out.0[header.len()..].iter().all(|byte| *byte == 0xEE));
}

fn cmac(v: &Vector<'_>) {
    let message = v.i.bytes("message");
    let (front, back) = message.split_at(message.len() / 2);
    let mac = match v.i.bytes("key").len() {
        16 => v.i.key16("key").cmac(&[front, back]),
        32 => v.i.key32("key").cmac(&[front, back]),
        length => panic!("{}: key of {length} bytes", v.i.name),
    };
    v.o.is("mac", &mac);
}

fn ecdsa(v: &Vector<'_>) {
    let message = v.i.bytes("message");
    let key = v.i.private("private");
    v.o.is("public", &key.public().to_public64());
    v.o.is("signature", &deterministic(&v.i.array("private"), &[&message]));
    let public = v.o.public("public");
    public.verify(&[&message], &v.o.array("signature")).unwrap();
    let hedged = key.sign(&[&message], &mut rng(1)).unwrap();
    public.verify(&[&message], &hedged).unwrap();
}

fn ecdsa_verify(v: &Vector<'_>) {
    let (message, signature) = (v.i.bytes("message"), v.i.array("signature"));
    let result =
        PublicKey::from_public64(&v.i.array("public")).and_then(|key| key.verify(&[&message], &signature));
    if v.refuses(result).is_some() {
        v.o.is("valid", &[1]);
    }
}

/// Chapter 13: a platform below Java Card 3.1 takes and gives ASN.1, the wire is r || s.
fn signature_der(v: &Vector<'_>) {
    let signature: [u8; 64] = v.i.array("signature");
    let key = PublicKey::from_public64(&v.i.array("public")).unwrap();
    key.verify(&[&v.i.bytes("message")], &signature).unwrap();
    let integer = |value: &[u8]| {
        let first = value.iter().position(|byte| *byte != 0).unwrap();
        let mut value = value[first..].to_vec();
        if value[0] >= 0x80 {
            value.insert(0, 0);
        }
        [&[0x02, u8::try_from(value.len()).unwrap()], &value[..]].concat()
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let der = [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    v.o.is("der", &der);
    // And back: each INTEGER without its sign byte, filled up to 32 bytes.
    let mut raw = Vec::new();
    let mut rest = &der[2..];
    while let [0x02, length, value @ ..] = rest {
        let (value, next) = value.split_at(usize::from(*length));
        let value = value.strip_prefix(&[0]).unwrap_or(value);
        raw.resize(raw.len() + 32 - value.len(), 0);
        raw.extend_from_slice(value);
        rest = next;
    }
    assert_eq!(raw, signature);
}

// 02 Data groups

fn select(v: &Vector<'_>) {
    v.o.is("command", &Header::SELECT.command(&AID, Some(0)).unwrap());
    v.o.is("card_info", &CardInfo::CURRENT.encode().unwrap());
    let parsed = CardInfo::parse(&v.o.bytes("card_info")).unwrap();
    assert_eq!(parsed, CardInfo::CURRENT);
}

fn dg1(v: &Vector<'_>) {
    let (name, citizen_number) = (v.i.text("name"), v.i.text("citizen_number"));
    let (hukou_address, residence_address) = (v.i.text("hukou_address"), v.i.text("residence_address"));
    let issuing_organ = v.i.text("issuing_organ");
    let group = Dg1 {
        name: &name,
        sex: v.i.u8("sex"),
        nation: v.i.u8("nation"),
        birth_date: v.i.date("birth_date"),
        citizen_number: &citizen_number,
        photo: v.i.array("photo"),
        hukou_address: &hukou_address,
        residence_address: &residence_address,
        issuing_organ: &issuing_organ,
        issue_date: v.i.date("issue_date"),
        salt: v.i.array("salt"),
    };
    let encoded = group.encode().unwrap();
    v.o.is("dg1", &encoded);
    v.o.is("digest", &sha256(&[&encoded]));
    assert_eq!(Dg1::parse(&v.o.bytes("dg1")).unwrap(), group);
}

fn dg2(v: &Vector<'_>) {
    let image = v.i.bytes("image");
    let group = Dg2 {
        format: match v.i.u8("format") {
            1 => PortraitFormat::Jpeg,
            2 => PortraitFormat::Jpeg2000,
            other => panic!("{}: format {other}", v.i.name),
        },
        image: &image,
        salt: v.i.array("salt"),
    };
    let mut encoded = Bytes::<MAX_DG2>::new();
    group.encode(&mut encoded).unwrap();
    v.o.is("photo", &sha256(&[&image]));
    v.o.is("dg2", &encoded);
    v.o.is("digest", &sha256(&[&encoded]));
    assert_eq!(Dg2::parse(&v.o.bytes("dg2")).unwrap(), group);
}

fn dg3(v: &Vector<'_>) {
    let rule_set = v.i.text("rule_set");
    let group = Dg3 {
        permit_id: v.i.array("permit_id"),
        tier: Tier::try_from(v.i.u8("tier")).unwrap(),
        issued: v.i.date("issued"),
        endorsed_until: v.i.date("endorsed_until"),
        rule_set: &rule_set,
        state_counter: v.i.u32("state_counter"),
        salt: v.i.array("salt"),
    };
    let encoded = group.encode().unwrap();
    v.o.is("dg3", &encoded);
    v.o.is("digest", &sha256(&[&encoded]));
    assert_eq!(Dg3::parse(&v.o.bytes("dg3")).unwrap(), group);
}

fn signature_object(v: &Vector<'_>) {
    let groups = [v.i.bytes("dg1"), v.i.bytes("dg2"), v.i.bytes("dg3")];
    let public64 = v.i.array("person_public");
    let signer = v.i.private("signer");
    v.o.is("signer_public", &signer.public().to_public64());
    let encoded = v.o.bytes("encoded");
    let parsed = SignatureObject::parse(&encoded).unwrap();
    let [dg1, dg2, dg3] = &groups;
    let number = v.i.u8("signer_number");
    let made = SignatureObject::sign(number, &signer, &public64, [dg1, dg2, dg3], &mut rng(2)).unwrap();
    // Head 3 bytes; behind the signed objects 9E 40 and the signature.
    let signed = &encoded[3..encoded.len() - 66];
    let signature = deterministic(&v.i.array("signer"), &[b"YZT-SO-1", signed]);
    let made = SignatureObject { signature, ..made };
    assert_eq!(made, parsed, "{}", v.i.name);
    v.o.is("encoded", &made.encode().unwrap());
    made.verify(&v.o.public("signer_public"), &public64).unwrap();
    for (number, group) in (1..).zip(&groups) {
        assert!(made.covers(number, group), "{}: DG{number}", v.i.name);
    }
}

fn signature_object_open(v: &Vector<'_>) {
    let encoded = v.i.bytes("encoded");
    let groups = [v.i.bytes("dg1"), v.i.bytes("dg2"), v.i.bytes("dg3")];
    let (signer, public64) = (v.i.public("signer_public"), v.i.array("person_public"));
    let result = SignatureObject::parse(&encoded).and_then(|object| {
        object.verify(&signer, &public64)?;
        let read = (1..).zip(&groups).filter(|(_, group)| !group.is_empty());
        for (number, group) in read {
            if !object.covers(number, group) {
                return Err(Error::Crypto);
            }
        }
        Ok(())
    });
    if v.refuses(result).is_some() {
        v.o.is("valid", &[1]);
    }
}

fn card_certificate(v: &Vector<'_>) {
    let ca = v.i.private("ca");
    v.o.is("ca_public", &ca.public().to_public64());
    let made = CardCertificate::sign(
        &ca,
        Domain::try_from(v.i.u8("domain")).unwrap(),
        v.i.u8("ca_number"),
        v.i.date("valid_from"),
        v.i.date("valid_to"),
        v.i.array("id"),
        v.i.array("public"),
        &mut rng(3),
    )
    .unwrap();
    let vector: [u8; 160] = v.o.array("certificate");
    let signature = deterministic(&v.i.array("ca"), &[b"YZT-CC-1", &vector[..92]]);
    let made = CardCertificate { signature, ..made };
    v.o.is("certificate", &made.encode().unwrap());
    let parsed = CardCertificate::parse(&vector).unwrap();
    assert_eq!(parsed, made);
    let key = parsed.verify(&v.o.public("ca_public")).unwrap();
    assert_eq!(key.to_public64(), v.i.array("public"));
}

// 03 Records

fn record(v: &Vector<'_>) {
    let (pid, key, role) = (
        v.i.array("pid"),
        v.i.key32("key"),
        Role::try_from(v.i.u8("role")).unwrap(),
    );
    let bound = binding(&v.i.array("public"), &pid, role);
    v.o.is("binding", &bound);
    let entitlement = Entitlement {
        role,
        kv: v.i.u8("kv"),
        issue_counter: v.i.u32("issue_counter"),
        tier: Tier::try_from(v.i.u8("tier")).unwrap(),
        class: v.i.u8("service_class"),
        services: v.i.u64("services"),
        zones: v.i.u64("zones"),
        from: v.i.date("valid_from"),
        to: v.i.date("valid_to"),
        rule_set: rule_set_digest(&v.i.text("rule_set")),
        binding: bound,
    };
    let signer = v.i.private("signer").public();
    v.o.is("signer_public", &signer.to_public64());
    // The content is sealed and signed: were ours another, the record could not be equal.
    let (header, content) = (v.o.bytes("header"), v.o.bytes("content"));
    let signature = deterministic(&v.i.array("signer"), &[b"YZT-R-1", &header, &pid, &content]);
    let sealed = entitlement
        .seal_signed(&signature, &key, &pid, &v.i.array("nonce"))
        .unwrap();
    v.o.is("record", &sealed);
    v.o.is("header", &sealed[..12]);
    let opened = Entitlement::open(&v.o.array("record"), &key, &pid, &signer).unwrap();
    assert_eq!(opened, entitlement);
    assert!(opened.is_bound_to(&v.i.array("public"), &pid));
    let head = RecordHeader::parse(&sealed).unwrap();
    assert_eq!(
        (head.role, head.kv, head.issue_counter, head.expiry),
        (role, opened.kv, opened.issue_counter, opened.to)
    );
}

fn record_open(v: &Vector<'_>) {
    let signer = v.i.public("signer_public");
    let result = Entitlement::open(
        &v.i.array("record"),
        &v.i.key32("key"),
        &v.i.array("pid"),
        &signer,
    );
    if let Some(opened) = v.refuses(result) {
        v.o.is("services", &opened.services.to_be_bytes());
        v.o.is("zones", &opened.zones.to_be_bytes());
        v.o.is("from", &opened.from.to_bytes());
        v.o.is("to", &opened.to.to_bytes());
        v.o.is("rule_set", &opened.rule_set);
        v.o.is("binding", &opened.binding);
    }
}

// 04 Keys

fn key_bytes(keys: &KeySet) -> Vec<u8> {
    [&keys.enc, &keys.mac, &keys.dek]
        .map(|key| *key.expose())
        .concat()
}

fn kdf108_row(v: &Vector<'_>) {
    let master = v.i.key32("master");
    let (label, context) = (v.i.text("label"), v.i.list("context"));
    let fields: Vec<&[u8]> = context.iter().map(Vec::as_slice).collect();
    let mut out = vec![0; usize::from(v.i.u16("length"))];
    kdf108(&master, &label, &fields, &mut out).unwrap();
    v.o.is("key", &out);
    // And through the function that has the row's name.
    let one = |at: usize| context[at][0];
    let role = |at: usize| Role::try_from(one(at)).unwrap();
    let region = || Region::from_bytes(fields[1].try_into().unwrap()).unwrap();
    let serial = || Serial(fields[0].try_into().unwrap());
    let pid = |at: usize| fields[at].try_into().unwrap();
    let named = match (label.as_str(), fields.len()) {
        ("YZT transport", 1) => key_bytes(&kdf::transport_keys(&master, &serial()).unwrap()),
        ("YZT issuance", 1) => key_bytes(&kdf::issuance_keys(&master, &serial()).unwrap()),
        ("YZT update", 1) => key_bytes(&kdf::update_keys(&master, &serial()).unwrap()),
        ("YZT update", 2) => {
            let generation = u32::from_be_bytes(fields[1].try_into().unwrap());
            key_bytes(&kdf::update_keys_of(&master, &serial(), generation).unwrap())
        }
        ("YZT group", 4) => kdf::group_key(&master, role(0), region(), one(2), one(3))
            .unwrap()
            .expose()
            .to_vec(),
        ("YZT tap", 4) => kdf::tap_key(&master, role(0), region(), one(2), &pid(3))
            .unwrap()
            .expose()
            .to_vec(),
        ("YZT record", 4) => kdf::record_key(&master, role(0), region(), one(2), &pid(3))
            .unwrap()
            .expose()
            .to_vec(),
        ("YZT tac", 3) => kdf::tac_key(&master, role(0), one(1), &pid(2))
            .unwrap()
            .expose()
            .to_vec(),
        other => panic!("{}: unknown row {other:?}", v.i.name),
    };
    v.o.is("key", &named);
}

fn kdf56c_row(v: &Vector<'_>) {
    let secret = v.i.bytes("secret");
    let (front, back) = secret.split_at(secret.len() / 2);
    let mut out = vec![0; usize::from(v.i.u16("length"))];
    kdf56c(
        &[front, back],
        &v.i.text("label"),
        &v.i.array("transcript"),
        &mut out,
    );
    v.o.is("key", &out);
}

// 05 Door I

fn slot_step(v: &Vector<'_>) {
    let (g, m, pid, record) = (
        v.i.array("g"),
        v.i.array("m"),
        v.i.array("pid"),
        v.i.array("record"),
    );
    let step = Step::Slot(SlotStep {
        role: v.i.u8("role"),
        kv: v.i.u8("kv"),
        flags: v.i.u8("flags"),
        g: &g,
        m: &m,
        pid: &pid,
        record: &record,
        loaded: v.i.u32("loaded"),
    });
    v.o.is("step", &step.encode().unwrap());
    assert_eq!(Step::parse(&v.o.bytes("step")).unwrap(), step);
}

/// h(0) to h(n) of a script whose steps parse and encode back to themselves.
fn chain(script: &[u8; 16], steps: &[Vec<u8>]) -> Vec<[u8; 32]> {
    let mut hashes = vec![chain_start(script)];
    for (n, step) in (1_u16..).zip(steps) {
        let parsed = Step::parse(step).unwrap();
        assert_eq!(&parsed.encode().unwrap()[..], &step[..]);
        let next = chain_next(hashes.last().unwrap(), n, step);
        hashes.push(next);
    }
    hashes
}

fn script_chain(v: &Vector<'_>) {
    let hashes = chain(&v.i.array("script"), &v.i.list("steps"));
    let expected = v.o.list("h");
    assert_eq!(hashes.len(), expected.len(), "{}", v.i.name);
    for (n, (made, expected)) in hashes.iter().zip(&expected).enumerate() {
        assert_eq!(hex::encode(made), hex::encode(expected), "{}: h({n})", v.i.name);
    }
}

fn finalise(v: &Vector<'_>) {
    let steps = v.i.list("steps");
    let digest = *chain(&v.i.array("script"), &steps).last().unwrap();
    let count = u16::try_from(steps.len()).unwrap();
    let step = Step::Finalise {
        count,
        digest,
        today: v.i.date("today"),
    };
    let encoded = step.encode().unwrap();
    v.o.is("step", &encoded);
    v.o.is("h", &chain_next(&digest, count + 1, &encoded));
    assert_eq!(Step::parse(&v.o.bytes("step")).unwrap(), step);
}

fn keys_step(v: &Vector<'_>) {
    let keys: [u8; 96] = v.i.array("keys");
    let mut wrapped = keys;
    v.i.key16("dek").cbc_encrypt(&[0; 16], &mut wrapped).unwrap();
    let step = Step::Keys { wrapped: &wrapped };
    v.o.is("step", &step.encode().unwrap());
    assert_eq!(Step::parse(&v.o.bytes("step")).unwrap(), step);
    let check_values: Vec<u8> = keys
        .as_chunks::<16>()
        .0
        .iter()
        .flat_map(|key| Key16::new(*key).kcv())
        .collect();
    v.o.is("answer", &check_values);
}

/// Wraps and unwraps every exchange at both ends of a channel.
fn exchanges(v: &Vector<'_>, host: &mut Channel, card: &mut Channel) {
    let (plain, wrapped) = (v.i.objects("exchanges"), v.o.objects("exchanges"));
    assert_eq!(plain.len(), wrapped.len(), "{}", v.i.name);
    for (plain, wrapped) in plain.iter().zip(&wrapped) {
        let [cla, ins, p1, p2] = plain.array("header");
        let header = Header { cla, ins, p1, p2 };
        let (data, reply) = (plain.bytes("data"), plain.bytes("answer"));
        let status = StatusWord(plain.u16("status"));
        wrapped.is("command", &host.wrap_command(header, &data).unwrap());
        let command = wrapped.bytes("command");
        let parsed = ParsedCommand::parse(&command).unwrap();
        assert_eq!(parsed.header, header, "{}", v.i.name);
        assert_eq!(
            &card.unwrap_command(&parsed).unwrap()[..],
            &data[..],
            "{}",
            v.i.name
        );
        wrapped.is("answer", &card.wrap_answer(&reply, status).unwrap());
        let (body, found) = host.unwrap_answer(&wrapped.bytes("answer")).unwrap();
        assert_eq!((body.as_slice(), found), (reply.as_slice(), status));
        plain.all_seen();
        wrapped.all_seen();
    }
}

fn scp03(v: &Vector<'_>) {
    let keys = KeySet::from_bytes(&v.i.array("keys"));
    let (hc, cc) = (v.i.array("host_challenge"), v.i.array("card_challenge"));
    let derived = || SessionKeys::derive(&keys, &hc, &cc);
    // Session keys do not leave their type: a channel on those of the vector must do what ours does.
    let given = || SessionKeys::from_parts(v.o.key16("s_enc"), v.o.key16("s_mac"), v.o.key16("s_rmac"));
    for session in [derived(), given()] {
        v.o.is("card_cryptogram", &session.card_cryptogram(&hc, &cc));
        v.o.is("host_cryptogram", &session.host_cryptogram(&hc, &cc));
    }
    let command = Header::INITIALIZE_UPDATE.command(&hc, Some(0)).unwrap();
    v.o.is("initialize_update", &command);

    let answer = v.o.bytes("initialize_update_answer");
    let parsed = InitializeUpdate::parse(&answer).unwrap();
    let [key_version, _, i] = v.i.array("key_information");
    assert_eq!((parsed.key_version, parsed.i), (key_version, i));
    assert_eq!(parsed.card_challenge, cc);
    v.o.is("card_cryptogram", &parsed.card_cryptogram);
    let sequence = parsed.sequence.map(Vec::from).unwrap_or_default();
    assert_eq!(sequence, v.i.bytes("sequence"));
    match i {
        0x60 => {
            let made = InitializeUpdate::encode_i60(&cc, &derived().card_cryptogram(&hc, &cc));
            v.o.is("initialize_update_answer", &made);
        }
        0x70 => assert_eq!(parsed.sequence, Some(v.i.array("sequence"))),
        other => panic!("{}: i = {other:02x}", v.i.name),
    }

    for (host_keys, card_keys) in [(derived(), given()), (given(), derived())] {
        let (mut host, mut card) = (Channel::new(host_keys), Channel::new(card_keys));
        let cryptogram = v.o.array("host_cryptogram");
        v.o.is(
            "external_authenticate",
            &host.external_authenticate(&cryptogram).unwrap(),
        );
        let command = v.o.bytes("external_authenticate");
        let parsed = ParsedCommand::parse(&command).unwrap();
        let (front, mac) = parsed.data.split_last_chunk::<8>().unwrap();
        assert_eq!(front, cryptogram);
        assert!(card.check_external_authenticate(parsed.header, &cryptogram, mac));
        exchanges(v, &mut host, &mut card);
    }
}

// 06 Door F

fn tap(v: &Vector<'_>) {
    let (g, m) = (v.i.key16("g"), v.i.key16("m"));
    let (role, version, rt) = (v.i.u8("role"), v.i.u8("version"), v.i.array("rt"));
    let plain = TapPlain {
        pid: v.i.array("pid"),
        seq: v.i.u32("seq"),
        loaded: v.i.u32("loaded"),
        spent: v.i.u32("spent"),
        last_txno: v.i.array("txno"),
        masked: v.i.array("sb"),
        tac: v.i.array("tac"),
        record: v.i.array("record"),
    };
    v.o.is("command", &tap_command(role, version, &rt).unwrap());
    let encoded = plain.encode().unwrap();
    v.o.is("p", &encoded);
    let made = TapAnswer::make(&g, &m, role, version, &rt, v.i.array("rc"), &encoded).unwrap();
    v.o.is("answer", &made.encode().unwrap());
    let parsed = TapAnswer::parse(&v.o.bytes("answer")).unwrap();
    assert_eq!(parsed.open(&g).unwrap(), plain);
    parsed.verify(&m, role, version, &rt).unwrap();
    assert_eq!(parsed.verify(&m, role, version ^ 1, &rt), Err(Error::Crypto));
}

/// An answer that holds this C; the filter looks at nothing else.
fn answer_with(cipher: [u8; 224]) -> TapAnswer {
    TapAnswer {
        card_challenge: [0; 16],
        cipher,
        mac: [0; 16],
    }
}

fn passes(answer: &TapAnswer, g: &Key16) -> ([u8; 16], bool) {
    let (first, second) = answer.filter_blocks();
    let decrypted = g.decrypt_block(second);
    let mut block = decrypted;
    block.iter_mut().zip(first).for_each(|(to, from)| *to ^= from);
    (block, TapAnswer::is_candidate(&decrypted, &first))
}

fn cohort_filter(v: &Vector<'_>) {
    let (block, fits) = passes(&answer_with(v.i.array("c")), &v.i.key16("g"));
    v.o.is("block2", &block);
    v.o.is("fits", &[u8::from(fits)]);
}

fn cohort_search(v: &Vector<'_>) {
    let master = v.i.key32("group_master");
    let role = Role::try_from(v.i.u8("role")).unwrap();
    let region = Region::from_bytes(v.i.array("region")).unwrap();
    let answer = answer_with(v.i.array("c"));
    let kv = v.i.u8("kv");
    let cohorts: Vec<u8> = (0..=255)
        .filter(|cohort| {
            let g = kdf::group_key(&master, role, region, kv, *cohort).unwrap();
            passes(&answer, &g).1
        })
        .collect();
    v.o.is("cohorts", &cohorts);
}

fn commit(v: &Vector<'_>) {
    let (m, ktac) = (v.i.key16("m"), v.i.key16("ktac"));
    let (role, version) = (v.i.u8("role"), v.i.u8("version"));
    let (rt, rc, pid) = (v.i.array("rt"), v.i.array("rc"), v.i.array("pid"));
    let body = CommitBody {
        amount: v.i.u32("amount"),
        tid: v.i.u32("tid"),
        txno: v.i.array("txno"),
        time: v.i.u32("time"),
        kind: v.i.u8("type"),
    };
    let encoded = body.encode().unwrap();
    v.o.is("body", &encoded);
    assert_eq!(CommitBody::parse(&v.o.array("body")).unwrap(), body);
    let seq = v.i.u32("seq");
    let mac = body.mac(&m, role, version, &rt, &rc, seq).unwrap();
    v.o.is("mac", &mac);
    let data = [encoded.as_slice(), &mac].concat();
    v.o.is(
        "command",
        &Header::commit(role, version).command(&data, Some(0x19)).unwrap(),
    );
    let (seq, spent, loaded) = (seq + 1, v.i.u32("spent") + body.amount, v.i.u32("loaded"));
    v.o.is("seq_after", &seq.to_be_bytes());
    v.o.is("spent_after", &spent.to_be_bytes());
    let tac = body.tac(&ktac, role, version, &pid, seq, loaded, spent).unwrap();
    v.o.is("tac", &tac);
    v.o.is(
        "sb",
        &body.masked(&ktac, role, version, &pid, seq, spent).unwrap(),
    );
    let proof = |result| {
        body.proof(&m, role, version, &rt, &rc, result, seq, spent, &tac)
            .unwrap()
    };
    v.o.is("answer", &[&[0x00][..], &tac, &proof(0x00)].concat());
    v.o.is("proof_of_repetition", &proof(0x01));
}

// 07 Door S

fn rights_oid(v: &Vector<'_>) {
    // 2.25.N.1: arcs 2 and 25 in one byte, N in base 128, 1.
    let mut number = u128::from_be_bytes(v.i.array("uuid"));
    let mut digits = Vec::new();
    while number > 0 {
        let more = if digits.is_empty() { 0 } else { 0x80 };
        digits.push(u8::try_from(number % 128).unwrap() | more);
        number /= 128;
    }
    digits.reverse();
    let oid = [&[2 * 40 + 25][..], &digits, &[1]].concat();
    assert_eq!(oid, OID_RIGHTS);
    v.o.is("oid", &OID_RIGHTS);
}

fn terminal_certificate(v: &Vector<'_>) {
    let issuer = v.i.private("issuer");
    v.o.is("issuer_public", &issuer.public().to_public64());
    let made = TerminalCertificate {
        issuer: CertificateName(v.i.array("car")),
        public: v.i.public("public"),
        holder: CertificateName(v.i.array("chr")),
        rights: Rights::from_bytes(v.i.array("rights")).unwrap(),
        effective: v.i.date("effective"),
        expiry: v.i.date("expiry"),
    };
    let vector = v.o.bytes("certificate");
    let (parsed, body, signature) = TerminalCertificate::parse(&vector).unwrap();
    assert_eq!(parsed, made, "{}", v.i.name);
    assert_eq!(signature, deterministic(&v.i.array("issuer"), &[body]));
    let public = v.o.public("issuer_public");
    assert_eq!(
        TerminalCertificate::parse_and_verify(&vector, &public).unwrap(),
        made
    );
    // Ours differs in the signature alone, and that is the last 64 bytes.
    let hedged = made.sign(&issuer, &mut rng(4)).unwrap();
    let before = vector.len() - 64;
    assert_eq!(
        hex::encode(&hedged[..before]),
        hex::encode(&vector[..before]),
        "{}",
        v.i.name
    );
    assert_eq!(
        TerminalCertificate::parse_and_verify(&hedged, &public).unwrap(),
        made
    );
}

/// S1 of chapter 07 for both certificates and the dates of AGREE, with this crate's parts in the order of the chapter.
fn present(v: &Vector<'_>) -> Result<(PublicKey, Rights, Date, u16), &'static str> {
    let (floor, epoch) = (v.i.date("floor"), v.i.u16("epoch"));
    let (root, name) = (v.i.public("root_public"), v.i.array("root_name"));
    let (first, second) = (v.i.bytes("intermediate"), v.i.bytes("leaf"));
    let (intermediate, body, signature) = TerminalCertificate::parse(&first).map_err(|_| "6a80")?;
    if intermediate.issuer.0 != name {
        return Err("6a88");
    }
    root.verify(&[body], &signature).map_err(|_| "6982")?;
    if !intermediate.has_sound_dates() {
        return Err("6a80");
    }
    if intermediate.rights.is_empty() {
        return Err("6a80");
    }
    let (leaf, body, signature) = TerminalCertificate::parse(&second).map_err(|_| "6a80")?;
    if leaf.issuer != intermediate.holder {
        return Err("6a88");
    }
    intermediate
        .public
        .verify(&[body], &signature)
        .map_err(|_| "6982")?;
    if !leaf.is_short_lived() {
        return Err("6a80");
    }
    let rights = leaf.rights.intersection(intermediate.rights);
    if rights.is_empty() {
        return Err("6a80");
    }
    let ahead = intermediate
        .effective
        .day_number()
        .saturating_sub(floor.day_number());
    let moves = floor.is_none() || ahead <= 400;
    let floor = if moves {
        floor.max(intermediate.effective)
    } else {
        floor
    };
    if intermediate.expiry < floor || leaf.expiry < floor || intermediate.holder.epoch() < epoch {
        return Err("6984");
    }
    let epoch = if moves {
        epoch.max(intermediate.holder.epoch())
    } else {
        epoch
    };
    Ok((leaf.public, rights, floor, epoch))
}

fn terminal_chain(v: &Vector<'_>) {
    match present(v) {
        Ok((public, rights, floor, epoch)) => {
            v.o.is("public", &public.to_public64());
            v.o.is("rights", &rights.to_bytes());
            v.o.is("floor", &floor.to_bytes());
            v.o.is("epoch", &epoch.to_be_bytes());
        }
        Err(status) => assert_eq!(v.o.value("refused"), status, "{}", v.i.name),
    }
}

fn domain_of_rights(v: &Vector<'_>) {
    let rights = Rights::from_bytes(v.i.array("rights")).unwrap();
    match rights.domain() {
        Some(domain) => v.o.is("domain", &[domain.code()]),
        None => assert_eq!(v.o.value("refused"), "6a80", "{}", v.i.name),
    }
}

fn door_s(v: &Vector<'_>) {
    let (intermediate, leaf) = (v.i.bytes("intermediate"), v.i.bytes("leaf"));
    let present = [(0, &intermediate), (1, &leaf)].map(|(place, certificate)| {
        let command = Header::present_certificate(place)
            .command(certificate, None)
            .unwrap();
        command.to_vec()
    });
    assert_eq!(present.to_vec(), v.o.list("present"), "{}", v.i.name);
    let certificates = sha256(&[&intermediate, &leaf]);
    v.o.is("h", &certificates);

    let rights = Rights::from_bytes(v.i.array("rights")).unwrap();
    let rc = v.i.array("rc");
    let (terminal, card) = (v.i.private("terminal_ephemeral"), v.i.private("card_ephemeral"));
    let (qt, qc) = (terminal.public(), card.public());
    v.o.is("qt", &qt.to_point65());
    v.o.is("qc", &qc.to_point65());
    let leaf_digest = sha256(&[&leaf]);
    let signature = deterministic(
        &v.i.array("leaf_private"),
        &[
            b"YZT-S-TA-1",
            &[1],
            &rights.to_bytes(),
            &rc,
            &qt.to_point65(),
            &leaf_digest,
        ],
    );
    v.o.is("sig", &signature);
    let (leaf_key, leaf_certificate) = (v.i.private("leaf_private"), TerminalCertificate::parse(&leaf));
    assert_eq!(leaf_certificate.unwrap().0.public, leaf_key.public());
    let hedged = Agree::sign(rights, &qt, &rc, &leaf, &leaf_key, &mut rng(5)).unwrap();
    let agree = Agree { signature, ..hedged };
    for agree in [&hedged, &agree] {
        agree.verify(&rc, &leaf_digest, &leaf_key.public()).unwrap();
    }
    let data = agree.encode().unwrap();
    v.o.is("agree", &Header::AGREE.command(&data, Some(0)).unwrap());
    assert_eq!(Agree::parse(&data).unwrap(), agree);

    let transcript = agree.transcript(&certificates, &rc, &qc.to_point65());
    v.o.is("th1", &transcript.th1);
    let card_static = v.i.private("card_static");
    let (z1, z2) = (card.agree(&qt), card_static.agree(&qt));
    v.o.is("z1", &*z1);
    v.o.is("z2", &*z2);
    assert_eq!(z1, terminal.agree(&qc));
    assert_eq!(z2, terminal.agree(&card_static.public()));
    let certificate = v.i.array("card_certificate");
    let parsed = CardCertificate::parse(&certificate).unwrap();
    assert_eq!(parsed.public64, card_static.public().to_public64());
    let sealed = transcript.seal_certificate(&z1, &certificate).unwrap();
    v.o.is("ecert", &sealed);
    assert_eq!(transcript.open_certificate(&z1, &sealed).unwrap(), certificate);
    door_s_keys(v, &z1, &z2, &transcript.th1);

    let agreed = transcript.agree(&z1, &z2, &sealed, &certificate);
    v.o.is("confirmation", &agreed.mac);
    let answer = AgreeAnswer {
        point: qc.to_point65(),
        sealed_certificate: sealed,
        mac: agreed.mac,
    };
    v.o.is("answer", &answer.encode().unwrap());
    let parsed = AgreeAnswer::parse(&v.o.bytes("answer")).unwrap();
    assert_eq!(parsed, answer);
    parsed.verify(&agreed).unwrap();
    let given = SessionKeys::from_parts(v.o.key16("enc"), v.o.key16("mac"), v.o.key16("rmac"));
    exchanges(v, &mut Channel::new(agreed.keys), &mut Channel::new(given));
}

/// The keys between the hashes and the channel; they do not leave their types, so the formulas of the chapter are here.
fn door_s_keys(v: &Vector<'_>, z1: &[u8; 32], z2: &[u8; 32], th1: &[u8; 32]) {
    let mut k1 = [0; 16];
    kdf56c(&[z1], "cert", th1, &mut k1);
    v.o.is("k1", &k1);
    let th2 = sha256(&[
        th1,
        &v.o.bytes("ecert"),
        &sha256(&[&v.i.bytes("card_certificate")]),
    ]);
    v.o.is("th2", &th2);
    let mut keys = [0; 64];
    kdf56c(&[z1, z2], "keys", &th2, &mut keys);
    for (name, key) in ["enc", "mac", "rmac", "conf"].into_iter().zip(keys.chunks(16)) {
        v.o.is(name, key);
    }
}

// 08 Terminals

fn deny_list(v: &Vector<'_>) {
    let entries = v.i.list("entries").concat();
    let list = DenyList {
        role: Role::try_from(v.i.u8("role")).unwrap(),
        version: v.i.u32("version"),
        issued: v.i.date("issued"),
        max_age: v.i.u16("largest_age"),
        entries: &entries,
        grace: v.i.has("grace").then(|| v.i.u16("grace")),
    };
    let signer = v.i.private("signer");
    v.o.is("signer_public", &signer.public().to_public64());
    let value = v.o.bytes("value");
    let signed = &value[..value.len() - 66];
    let signature = deterministic(&v.i.array("signer"), &[b"YZT-DENY-1", signed]);
    let mut made = Bytes::<256>::new();
    list.encode(&signature, &mut made).unwrap();
    v.o.is("value", &made);
    let public = v.o.public("signer_public");
    assert_eq!(DenyList::parse_and_verify(&value, &public).unwrap(), list);
    for entry in entries.as_chunks::<8>().0 {
        let pid = [*entry, [0xAA; 8]].concat();
        assert!(list.contains(&pid.try_into().unwrap()), "{}", v.i.name);
    }
    assert!(!list.contains(&[0xFE; 16]));
    let hedged = list.sign(&signer, &mut [0; 256], &mut rng(6)).unwrap();
    public.verify(&[b"YZT-DENY-1", signed], &hedged).unwrap();
}

fn deny_list_open(v: &Vector<'_>) {
    let value = v.i.bytes("value");
    let result = DenyList::parse_and_verify(&value, &v.i.public("signer_public"));
    let _ = v.refuses(result);
}

fn role_key(key: &Fields<'_>) -> RoleKey {
    let made = RoleKey {
        role: Role::try_from(key.u8("role")).unwrap(),
        region: Region::from_bytes(key.array("region")).unwrap(),
        kv: key.u8("kv"),
        state: KeyState::try_from(key.u8("state")).unwrap(),
        until: if key.has("until") {
            key.date("until")
        } else {
            Date::NONE
        },
        door_f: key.has("group").then(|| (key.key32("group"), key.key32("tap"))),
        record_master: key.key32("record"),
    };
    key.all_seen();
    made
}

/// What a role key says, in a form that can be compared: codes and dates, then the masters.
fn plain_key(key: &RoleKey) -> (String, Vec<[u8; 32]>) {
    let mut masters = vec![*key.record_master.expose()];
    if let Some((group, tap)) = &key.door_f {
        masters.extend([*group.expose(), *tap.expose()]);
    }
    let codes = format!(
        "{} {} {} {} {}",
        key.role, key.region, key.kv, key.state, key.until
    );
    (codes, masters)
}

fn list_file(v: &Vector<'_>) {
    let lists = v.i.list("lists");
    let content = v.o.bytes("content");
    let found: Vec<_> = deny_list::lists_of_file(&content).map(Result::unwrap).collect();
    assert_eq!(found, lists.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

/// A file that the terminal's authentication key signed: ours differs in the signature alone.
fn is_signed_file(v: &Vector<'_>, label: &[u8], ours: &[u8]) {
    let content = v.o.bytes("content");
    let (body, signature) = content.split_at(content.len() - 64);
    assert_eq!(
        hex::encode(&ours[..ours.len() - 64]),
        hex::encode(body),
        "{}",
        v.i.name
    );
    let signed = &body[..body.len() - 3];
    assert_eq!(signature, deterministic(&v.i.array("key"), &[label, signed]));
    v.o.is("public", &v.i.private("key").public().to_public64());
}

fn counters_file(v: &Vector<'_>) {
    let (key, name) = (v.i.private("key"), v.i.text("name"));
    let head = CountersHead {
        terminal: &name,
        day: v.i.date("day"),
    };
    let counts: Vec<Count> =
        v.i.objects("counts")
            .iter()
            .map(|item| {
                let count = Count {
                    role: Role::try_from(item.u8("role")).unwrap(),
                    counted: Counted::try_from(item.u8("reason")).unwrap(),
                    number: item.u32("count"),
                };
                item.all_seen();
                count
            })
            .collect();
    let mut out = vec![0; counters::encoded_len(counts.len())];
    let length = counters::encode(&head, &counts, &key, &mut rng(10), &mut out).unwrap();
    is_signed_file(v, b"YZT-COUNTERS-1", &out[..length]);
    let content = v.o.bytes("content");
    let parsed = UnverifiedCounters::parse(&content)
        .unwrap()
        .verify(&v.o.public("public"))
        .unwrap();
    assert_eq!(parsed.head, head);
    assert_eq!(parsed.counts().collect::<Vec<_>>(), counts);
}

fn settlement_file(v: &Vector<'_>) {
    let (key, name) = (v.i.private("key"), v.i.text("name"));
    let head = SettlementHead {
        terminal: &name,
        tid: v.i.u32("tid"),
        number: v.i.u32("file_number"),
    };
    let lines: Vec<Line> =
        v.i.objects("lines")
            .iter()
            .map(|item| {
                let line = Line {
                    kv: item.u8("kv"),
                    pid: item.array("pid"),
                    body: CommitBody::parse(&item.array("body")).unwrap(),
                    seq: item.u32("seq"),
                    loaded: item.u32("loaded"),
                    spent: item.u32("spent"),
                    tac: item.array("tac"),
                    before: item
                        .has("before")
                        .then(|| Before::parse(&item.bytes("before")).unwrap()),
                };
                item.all_seen();
                line
            })
            .collect();
    let unknown: Vec<Unknown> =
        v.i.objects("unknown")
            .iter()
            .map(|item| {
                let line = Unknown {
                    kv: item.u8("kv"),
                    pid: item.array("pid"),
                    body: CommitBody::parse(&item.array("body")).unwrap(),
                    seq: item.u32("s0"),
                };
                item.all_seen();
                line
            })
            .collect();
    let mut out = vec![0; settlement::encoded_len(lines.len(), unknown.len())];
    let length = settlement::encode(&head, &lines, &unknown, &key, &mut rng(11), &mut out).unwrap();
    is_signed_file(v, b"YZT-SETTLEMENT-1", &out[..length]);
    let content = v.o.bytes("content");
    let parsed = UnverifiedSettlement::parse(&content)
        .unwrap()
        .verify(&v.o.public("public"))
        .unwrap();
    assert_eq!(
        (parsed.head.terminal, parsed.head.tid, parsed.head.number),
        (head.terminal, head.tid, head.number)
    );
    assert_eq!(parsed.lines().collect::<Vec<_>>(), lines);
    assert_eq!(parsed.unknown().collect::<Vec<_>>(), unknown);
}

fn terminal_bundle(v: &Vector<'_>) {
    let root = v.i.private("root");
    v.o.is("root_public", &root.public().to_public64());
    let (name, door_s, lists) = (v.i.text("name"), v.i.list("door_s"), v.i.list("deny_lists"));
    let chain = match door_s.as_slice() {
        [] => None,
        [intermediate, leaf] => Some((intermediate.as_slice(), leaf.as_slice())),
        other => panic!("{}: {} certificates", v.i.name, other.len()),
    };
    let head = BundleHead {
        id: v.i.array("id"),
        name: &name,
        issued: v.i.date("issued"),
        not_after: v.i.date("last_day"),
        sequence: v.i.u32("sequence"),
        anchors: Anchors {
            card_ca: v.i.public("card_ca"),
            entitlement_signer: v.i.public("entitlement_signer"),
            document_signer: v.i.public("document_signer"),
            terminal_ca_name: CertificateName(v.i.array("root_name")),
            terminal_ca: root.public(),
            deny_list_signer: v.i.public("deny_signer"),
        },
        chain,
        zones: v.i.u64("zones"),
        tid: v.i.has("tid").then(|| v.i.u32("tid")),
    };
    let keys: Vec<RoleKey> = v.i.objects("keys").iter().map(role_key).collect();
    let list_slices: Vec<&[u8]> = lists.iter().map(Vec::as_slice).collect();
    let mut out = vec![0; 4096];
    let length = bundle::encode(&head, &keys, &list_slices, &root, &mut rng(7), &mut out).unwrap();
    let plain = v.o.bytes("plain");
    // Ours differs in the signature alone: 5F37 40 and 64 bytes at the end.
    let body = &plain[..plain.len() - 67];
    assert_eq!(
        hex::encode(&out[..length - 64]),
        hex::encode(&plain[..plain.len() - 64])
    );
    assert_eq!(
        plain[plain.len() - 64..],
        deterministic(&v.i.array("root"), &[b"YZT-BUNDLE-1", body])
    );
    for plain in [&plain, &out[..length]] {
        let parsed = Bundle::parse_and_verify(plain, &v.o.public("root_public")).unwrap();
        assert_eq!(parsed.head, head, "{}", v.i.name);
        let found: Vec<_> = parsed.role_keys().map(|key| plain_key(&key.unwrap())).collect();
        let expected: Vec<_> = keys.iter().map(plain_key).collect();
        assert_eq!(found, expected, "{}", v.i.name);
        assert_eq!(parsed.deny_lists().collect::<Vec<_>>(), list_slices);
    }
}

fn bundle_open(v: &Vector<'_>) {
    let plain = v.i.bytes("plain");
    let name: [u8; 16] = v.i.array("root_name");
    let result = Bundle::parse_and_verify(&plain, &v.i.public("root_public")).and_then(|bundle| {
        // Which root the terminal expects is the terminal's to know.
        if bundle.head.anchors.terminal_ca_name.0 == name {
            Ok(())
        } else {
            Err(Error::Crypto)
        }
    });
    let _ = v.refuses(result);
}

fn seal_box(v: &Vector<'_>) {
    let (magic, receiver) = (v.i.array("magic"), v.i.private("receiver"));
    let (ephemeral, plain) = (v.i.private("ephemeral"), v.i.bytes("plain"));
    v.o.is("receiver_public", &receiver.public().to_public64());
    let mut message = plain.clone();
    let (head, tag) = sealed_box::seal_with(
        magic,
        &receiver.public(),
        &mut message,
        &ephemeral,
        v.i.array("nonce"),
    )
    .unwrap();
    let mut sealed = [head.as_slice(), &message, &tag].concat();
    v.o.is("box", &sealed);
    // The key does not leave the function: the formula of the chapter is here.
    let transcript = sha256(&[&head[..71], &receiver.public().to_point65()]);
    let mut key = [0; 32];
    let shared = ephemeral.agree(&receiver.public());
    kdf56c(&[&*shared], "YZT-BOX-1", &transcript, &mut key);
    v.o.is("key", &key);
    assert_eq!(sealed_box::open(magic, &receiver, &mut sealed).unwrap(), plain);
}

fn open_box(v: &Vector<'_>) {
    let mut sealed = v.i.bytes("box");
    let result = sealed_box::open(v.i.array("magic"), &v.i.private("receiver"), &mut sealed);
    if let Some(plain) = v.refuses(result) {
        v.o.is("plain", plain);
    }
}

fn lot_file(v: &Vector<'_>) {
    let ca = v.i.private("ca");
    v.o.is("ca_public", &ca.public().to_public64());
    let cards: Vec<(Serial, KeySet)> =
        v.i.objects("cards")
            .iter()
            .map(|card| {
                let blank = (
                    Serial(card.array("serial")),
                    KeySet::from_bytes(&card.array("keys")),
                );
                card.all_seen();
                blank
            })
            .collect();
    let mut out = vec![0; lot::encoded_len(cards.len())];
    let length = lot::encode(v.i.array("lot"), &cards, &ca, &mut rng(8), &mut out).unwrap();
    let plain = v.o.bytes("plain");
    assert_eq!(
        hex::encode(&out[..length - 64]),
        hex::encode(&plain[..plain.len() - 64])
    );
    assert_eq!(
        plain[plain.len() - 64..],
        deterministic(&v.i.array("ca"), &[b"YZT-LOT-1", &plain[..plain.len() - 67]])
    );
    let mut parsed = Lot::parse_and_verify(&plain, &v.o.public("ca_public")).unwrap();
    assert_eq!(parsed.lot, v.i.array::<4>("lot"));
    for (serial, keys) in &cards {
        let (found, found_keys) = parsed.next_blank().unwrap().unwrap();
        assert_eq!(found, *serial);
        assert_eq!(key_bytes(&found_keys), key_bytes(keys));
    }
    assert!(parsed.next_blank().unwrap().is_none());
}

// 09 Updates

/// P224 of the vector is that of this operation, both ways.
fn is_operation(v: &Vector<'_>, operation: &Operation<'_>) {
    v.o.is("plain", &*operation.encode().unwrap());
    assert_eq!(
        &Operation::parse(&v.o.array("plain")).unwrap(),
        operation,
        "{}",
        v.i.name
    );
}

fn update_slot(v: &Vector<'_>) {
    let (g, m, pid, record) = (
        v.i.array("g"),
        v.i.array("m"),
        v.i.array("pid"),
        v.i.array("record"),
    );
    let slot = SlotStep {
        role: v.i.u8("role"),
        kv: v.i.u8("kv"),
        flags: v.i.u8("flags"),
        g: &g,
        m: &m,
        pid: &pid,
        record: &record,
        loaded: v.i.u32("loaded"),
    };
    let cap = v.i.u32("cap");
    is_operation(v, &Operation::Slot { slot, cap });
    let keys = KeySet {
        enc: Key16::new([0; 16]),
        mac: Key16::new([0; 16]),
        dek: v.i.key16("u_rcpt"),
    };
    let ktac = tac_key(&keys, Role::try_from(slot.role).unwrap(), slot.kv, &pid);
    v.o.is("ktac", ktac.expose());
}

fn update_dg3(v: &Vector<'_>) {
    let (signer, dg3, signature) = (v.i.u8("number"), v.i.bytes("dg3"), v.i.array("signature"));
    let operation = Operation::Dg3 {
        signer,
        dg3: &dg3,
        signature: &signature,
    };
    is_operation(v, &operation);
    let before = SignatureObject::parse(&v.i.bytes("before")).unwrap();
    let after = before.with_dg3(signer, &dg3, &signature);
    v.o.is("after", &after.encode().unwrap());
    after
        .verify(&v.i.public("document_signer"), &v.i.array("person_public"))
        .unwrap();
    for (number, group) in [(1, v.i.bytes("dg1")), (2, v.i.bytes("dg2")), (3, dg3)] {
        assert!(after.covers(number, &group), "{}: DG{number}", v.i.name);
    }
}

fn update_parse(v: &Vector<'_>) {
    let plain = v.i.array("plain");
    if let Some(operation) = v.refuses(Operation::parse(&plain)) {
        let op = match operation {
            Operation::Slot { .. } => "SLOT",
            Operation::Dg3 { .. } => "DG3",
            Operation::Floor(_) => "FLOOR",
            Operation::Block => "BLOCK",
            Operation::Erase { .. } => "ERASE",
            Operation::Load { .. } => "LOAD",
        };
        v.o.is("op", op.as_bytes());
        assert_eq!(*operation.encode().unwrap(), plain, "{}", v.i.name);
    }
}

fn update(v: &Vector<'_>) {
    let keys = KeySet {
        enc: v.i.key16("u_enc"),
        mac: v.i.key16("u_mac"),
        dek: v.i.key16("u_rcpt"),
    };
    let (plain, role, version) = (v.i.array("plain"), v.i.u8("role"), v.i.u8("version"));
    assert!(Operation::parse(&plain).is_ok(), "{}", v.i.name);
    let sealed = SealedUpdate::seal(&keys, v.i.u32("ctr"), &plain).unwrap();
    v.o.is("e", &sealed.cipher);
    v.o.is("umac", &sealed.mac);
    let tmac = sealed
        .tap_mac(&v.i.key16("m"), role, version, &v.i.array("rt"), &v.i.array("rc"))
        .unwrap();
    v.o.is("tmac", &tmac);
    let data = sealed.command_data(&tmac).unwrap();
    assert_eq!(SealedUpdate::parse_command(&data).unwrap(), (sealed, tmac));
    v.o.is(
        "command",
        &Header::update(role, version).command(&data, Some(0x10)).unwrap(),
    );
    v.o.is("receipt", &sealed.receipt(&keys));
    assert_eq!(*sealed.open(&keys).unwrap(), plain);
}

fn update_batch(v: &Vector<'_>) {
    let (root, name) = (v.i.private("root"), v.i.text("name"));
    let head = BatchHead {
        id: v.i.array("id"),
        name: &name,
        issued: v.i.date("issued"),
        not_after: v.i.date("last_day"),
        sequence: v.i.u32("sequence"),
    };
    let updates: Vec<BatchEntry> =
        v.i.objects("updates")
            .iter()
            .map(|item| {
                let entry = BatchEntry {
                    id: item.array("id"),
                    role: Role::try_from(item.u8("role")).unwrap(),
                    pid: item.array("pid"),
                    update: SealedUpdate {
                        counter: item.u32("ctr"),
                        cipher: item.array("e"),
                        mac: item.array("umac"),
                    },
                };
                item.all_seen();
                entry
            })
            .collect();
    let mut out = vec![0; update_files::batch_len(updates.len())];
    let length = update_files::encode_batch(&head, &updates, &root, &mut rng(9), &mut out).unwrap();
    let plain = v.o.bytes("plain");
    assert_eq!(
        hex::encode(&out[..length - 64]),
        hex::encode(&plain[..plain.len() - 64])
    );
    assert_eq!(
        plain[plain.len() - 64..],
        deterministic(
            &v.i.array("root"),
            &[b"YZT-UPDATES-1", &plain[..plain.len() - 67]]
        )
    );
    let parsed = UpdateBatch::parse_and_verify(&plain, &v.o.public("root_public")).unwrap();
    assert_eq!(parsed.head, head);
    assert_eq!(parsed.updates().collect::<Vec<_>>(), updates);
}

fn receipts(v: &Vector<'_>) {
    let items: Vec<Receipt> =
        v.i.objects("items")
            .iter()
            .map(|item| {
                let receipt = Receipt {
                    update: item.array("update"),
                    receipt: item.array("receipt"),
                };
                item.all_seen();
                receipt
            })
            .collect();
    let mut out = vec![0; update_files::receipts_len(items.len())];
    let length = update_files::encode_receipts(&items, &mut out).unwrap();
    v.o.is("plain", &out[..length]);
    let parsed = Receipts::parse(&out[..length]).unwrap();
    assert_eq!(parsed.iter().collect::<Vec<_>>(), items);
}
