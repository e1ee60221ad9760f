//! Writes the seed inputs of every target into `corpus/` from the vectors of the specification and from the fixture that the
//! targets share: `cargo run -p card-fuzz --example seeds`. What is there already stays; a name says where a seed is from.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a tool of the developers: it says what is wrong by stopping"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use card_fuzz::with_fixture;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

/// Longest seed, bytes: a fuzzer changes short inputs best. (A portrait has 6 kB; its parser is reached with less.)
const LONGEST: usize = 2048;

struct Seeds {
    folder: PathBuf,
    seen: BTreeSet<(String, Vec<u8>)>,
}

impl Seeds {
    fn add(&mut self, target: &str, name: &str, bytes: &[u8]) {
        if bytes.len() > LONGEST || !self.seen.insert((target.to_owned(), bytes.to_vec())) {
            return;
        }
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '-'
                }
            })
            .take(60)
            .collect();
        let folder = self.folder.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        let mut path = folder.join(format!("seed-{name}"));
        let mut number = 1;
        while path.exists() && std::fs::read(&path).unwrap() != bytes {
            number += 1;
            path = folder.join(format!("seed-{name}-{number}"));
        }
        std::fs::write(path, bytes).unwrap();
    }

    /// Behind a first byte that chooses.
    fn chosen(&mut self, target: &str, name: &str, choice: u8, bytes: &[u8]) {
        self.add(target, name, &[&[choice], bytes].concat());
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok().filter(|bytes| !bytes.is_empty())
}

/// Every hex string of a vector, with its name.
fn values(name: &str, value: &Value, out: &mut Vec<(String, Vec<u8>)>) {
    match value {
        Value::String(text) => out.extend(unhex(text).map(|bytes| (name.to_owned(), bytes))),
        Value::Array(items) => items.iter().for_each(|item| values(name, item, out)),
        Value::Object(fields) => {
            for (field, value) in fields {
                values(&format!("{name} {field}"), value, out);
            }
        }
        _ => {}
    }
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Seeds {
        folder: root.join("corpus"),
        seen: BTreeSet::new(),
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("../spec/vectors"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    for path in files {
        let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for vector in json["vectors"].as_array().unwrap() {
            from_vector(&mut seeds, vector);
        }
    }
    from_world(&mut seeds);
    from_fields(&mut seeds);
    handed_in(&mut seeds);
    till(&mut seeds);
    conversations(&mut seeds);
    println!("{} seeds", seeds.seen.len());
}

fn from_vector(seeds: &mut Seeds, vector: &Value) {
    let construction = vector["construction"].as_str().unwrap();
    let name = vector["name"].as_str().unwrap();
    let mut found = Vec::new();
    values(name, &vector["inputs"], &mut found);
    values(name, &vector["outputs"], &mut found);
    for (name, bytes) in found {
        match construction {
            "tlv-parse" | "tlv-header" => seeds.add("tlv", &name, &bytes),
            "select" | "slot-step" | "script-chain" | "finalise" | "keys-step" | "scp03" | "tap"
            | "commit" | "door-s" => {
                if bytes.len() > 16 || name.contains("command") {
                    seeds.add("apdu", &name, &bytes);
                }
                if construction == "select" {
                    seeds.chosen("objects", &name, 0, &bytes);
                }
            }
            "dg1" if bytes.len() > 64 => seeds.chosen("objects", &name, 1, &bytes),
            "dg2" if bytes.len() > 64 => seeds.chosen("objects", &name, 2, &bytes),
            "dg3" if bytes.len() > 64 => seeds.chosen("objects", &name, 3, &bytes),
            "signature-object" | "signature-object-open" if bytes.len() > 100 => {
                seeds.chosen("objects", &name, 4, &bytes);
            }
            "record" | "record-open" if bytes.len() == 160 => seeds.chosen("objects", &name, 5, &bytes),
            "card-certificate" if bytes.len() == 160 => seeds.chosen("certificates", &name, 3, &bytes),
            "terminal-certificate" | "terminal-chain" if bytes.len() > 200 => {
                seeds.chosen("certificates", &name, 0, &bytes);
                // The body alone, for the target that signs it.
                if let Some(body) = inside(&bytes, 0x7F4E) {
                    seeds.chosen("certificates", &name, 1, body);
                }
            }
            "deny-list" | "deny-list-open" if bytes.len() > 66 => {
                let cut = bytes.len() - 66;
                seeds.chosen("files", &name, 4, &bytes[..cut]);
            }
            "bundle" | "bundle-open" if bytes.len() > 200 => {
                seeds.chosen("files", &name, 3, &bytes);
                if let Some(body) = inside(&bytes, 0x7F50) {
                    seeds.chosen("files", &name, 2, body);
                }
            }
            "sealed-box" | "sealed-box-open" if bytes.len() > 100 => seeds.chosen("files", &name, 0, &bytes),
            "lot-file" if bytes.len() > 100 => {
                if let Some(body) = inside(&bytes, 0x7F51) {
                    seeds.chosen("files", &name, 6, body);
                }
            }
            _ if bytes.len() == 224 && construction.starts_with("update") => {
                seeds.chosen("updates", &name, 2, &bytes);
                if construction == "update" {
                    seeds.chosen("updates", &name, 1, &[&[0, 0, 0, 9][..], &bytes].concat());
                    seeds.chosen(
                        "updates",
                        &name,
                        0,
                        &[&[0, 0, 0, 9][..], &bytes, &[1; 16]].concat(),
                    );
                }
            }
            "update-batch" | "update-batch-open" => {
                if let Some(body) = inside(&bytes, 0x7F52) {
                    seeds.chosen("updates", &name, 3, body);
                }
            }
            "receipts" | "receipts-open" => seeds.chosen("updates", &name, 5, &bytes),
            "settlement" | "settlement-open" => {
                if let Some(body) = inside(&bytes, 0x7F55) {
                    seeds.chosen("files", &name, 11, body);
                }
            }
            "counters" | "counters-open" => {
                if let Some(body) = inside(&bytes, 0x7F54) {
                    seeds.chosen("files", &name, 12, body);
                }
            }
            _ => {}
        }
        if bytes.first() == Some(&0x7F) || bytes.first() == Some(&0x6F) || bytes.first() == Some(&0x6D) {
            seeds.add("tlv", &name, &bytes);
        }
    }
}

/// The inside of the first object with this tag, one template deep.
fn inside(bytes: &[u8], tag: u16) -> Option<&[u8]> {
    let (object, _) = card_applet_spec::tlv::parse(bytes).ok()?;
    if object.tag == tag {
        return Some(object.value);
    }
    let (object, _) = card_applet_spec::tlv::parse(object.value).ok()?;
    (object.tag == tag).then_some(object.value)
}

fn from_world(seeds: &mut Seeds) {
    with_fixture(|fixture| {
        for certificate in &fixture.chain {
            seeds.chosen("certificates", "chain", 0, certificate);
            seeds.chosen(
                "certificates",
                "chain body",
                1,
                inside(certificate, 0x7F4E).unwrap(),
            );
            seeds.add("tlv", "certificate", certificate);
        }
        seeds.chosen("files", "bundle", 3, &fixture.plain_bundle);
        seeds.chosen(
            "files",
            "bundle body",
            2,
            inside(&fixture.plain_bundle, 0x7F50).unwrap(),
        );
        seeds.chosen("files", "box", 0, &fixture.sealed_bundle);
        seeds.chosen("files", "box changed", 1, &[0, 200, 1]);
        seeds.chosen("files", "box as it is", 1, &[]);
        let list = &fixture.deny_list;
        seeds.chosen("files", "list", 4, &list[..list.len() - 66]);
        seeds.add("tlv", "bundle", &fixture.plain_bundle);
        for command in &fixture.recorded.commands {
            seeds.add("apdu", "heard command", command);
        }
        for answer in &fixture.recorded.answers {
            seeds.add("apdu", "heard answer", answer);
        }
    });
}

/// What a harness builds from fields of the input.
fn from_fields(seeds: &mut Seeds) {
    let made = [1, 0x20, 0x26, 0x11, 0x20, 0, 0, 0, 7, 0, 3, 0];
    seeds.chosen(
        "files",
        "list made",
        5,
        &[&made[..], &[1; 8], &[2; 8], &[3; 8]].concat(),
    );
    seeds.chosen(
        "files",
        "list unsorted",
        5,
        &[&made[..], &[2; 8], &[1; 8]].concat(),
    );
    seeds.chosen("files", "lot made", 7, &[0, 1, 2, 3, 3, 9, 9, 9]);
    let root = [
        0x6B, 0x17, 0xD1, 0xF2, 0xE1, 0x2C, 0x42, 0x47, 0xF8, 0xBC, 0xE6, 0xE5, 0x63, 0xA4, 0x40, 0xF2, 0x77,
        0x03, 0x7D, 0x81, 0x2D, 0xEB, 0x33, 0xA0, 0xF4, 0xA1, 0x39, 0x45, 0xD8, 0x98, 0xC2, 0x96, 0x4F, 0xE3,
        0x42, 0xE2, 0xFE, 0x1A, 0x7F, 0x9B, 0x8E, 0xE7, 0xEB, 0x4A, 0x7C, 0x0F, 0x9E, 0x16, 0x2B, 0xCE, 0x33,
        0x57, 0x6B, 0x31, 0x5E, 0xCE, 0xCB, 0xB6, 0x40, 0x68, 0x37, 0xBF, 0x51, 0xF5,
    ];
    let key = [
        &b"YZTK\x01\x01"[..],
        &[7; 16],
        &root,
        &[1; 32],
        &[2; 32],
        b"\x06gate 1",
    ]
    .concat();
    seeds.chosen("files", "key file", 8, &key);
    let point = hex::encode([&[4][..], &root].concat());
    let anchors = format!(
        r#"{{"schema":"yzt.anchors/1","ok":true,"vault":"{}","card_ca":"{point}","terminal_ca":"{point}","document_signer":"{point}","entitlement_signer":"{point}","deny_list_signer":"{point}"}}"#,
        "07".repeat(16)
    );
    seeds.chosen("files", "anchors", 9, anchors.as_bytes());
    let dates = [2, 6, 1, 1, 2, 0, 2, 6, 1, 1, 2, 5];
    seeds.chosen(
        "certificates",
        "made",
        2,
        &[
            &dates[..],
            &[0, 0, 1, 1],
            b"YZTROOT   \0\x01\0\0\0\x01TERMINAL  \0\x01\0\0\0\x07",
            &[30, 0],
        ]
        .concat(),
    );
    seeds.chosen(
        "certificates",
        "card made",
        4,
        &[0x20, 0x26, 0x11, 0x21, 0x20, 0x36, 0x11, 0x20, 0, 0, 0],
    );
    for (number, name) in (5..9_u8).zip(["record", "purse", "date", "slot object"]) {
        seeds.chosen(
            "objects",
            name,
            number,
            &[0x20, 0x26, 0x11, 0x21, 1, 1, 1, 1, 0x32, 0x30, 0x32, 0x36],
        );
    }
    let mut plain = vec![0; 28];
    plain.extend_from_slice(&[5; 16]);
    plain.extend_from_slice(&[1, 1, 0, 0]);
    plain.resize(28 + 224, 3);
    seeds.chosen("objects", "purse plain", 6, &plain);
}

/// Records of a till's journal: a sale, and an open purchase.
fn journal() -> Vec<u8> {
    let mut prepared = vec![1];
    prepared.extend_from_slice(&[4; 16]);
    prepared.extend_from_slice(&[0, 0, 1, 94, 0, 0, 0, 42]);
    prepared.extend_from_slice(&[8; 8]);
    prepared.extend_from_slice(&[0x32, 0x8B, 0x4C, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]);
    prepared.extend_from_slice(&[0, 0, 3, 0xE9, 0, 0, 2, 0xBC, 0, 0, 0x4E, 0x20]);
    let mut out = vec![1, 0, 0, 0, 1, 4];
    for (kind, payload) in [
        (1_u8, &prepared[..]),
        (2, &[0, 0, 0x50, 0]),
        (3, &[3; 8]),
        (1, &prepared),
    ] {
        out.extend_from_slice(&[kind, u8::try_from(payload.len()).unwrap()]);
        out.extend_from_slice(payload);
    }
    out.extend_from_slice(&[0, 0, 2, 0]);
    out
}

/// A till: its steps, and between them what the wire does at each exchange (SELECT, TAP, COMMIT of each attempt).
fn till(seeds: &mut Seeds) {
    // Sold twice; another card buys.
    seeds.add("shop", "sold", &[1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    // The answer to COMMIT is lost; the other card, then the same card comes back.
    seeds.add(
        "shop",
        "answer lost",
        &[1, 0, 0, 0, 0, 5, 6, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0, 0, 0],
    );
    seeds.add("shop", "command lost", &[1, 0, 0, 0, 0, 6, 8, 4, 0, 0, 0]);
    seeds.add(
        "shop",
        "answer lost and given up",
        &[1, 0, 0, 0, 0, 5, 7, 0, 0, 0, 0, 0],
    );
    seeds.add(
        "shop",
        "another debit came after",
        &[1, 0, 0, 0, 0, 5, 8, 7, 0, 0, 0, 0, 6, 4, 0, 0, 0],
    );
    seeds.add("shop", "command twice", &[1, 0, 0, 0, 0, 7, 0, 0, 0]);
    seeds.add(
        "shop",
        "forged refusal",
        &[1, 0, 0, 0, 0, 12, 0x69, 0x85, 0, 0, 0, 0],
    );
    seeds.add(
        "shop",
        "proof changed",
        &[1, 0, 0, 0, 0, 8, 0, 0, 20, 1, 4, 0, 0, 0],
    );
    // COMMIT never arrives; 25 bytes of nothing and 9000 are the answer.
    seeds.add(
        "shop",
        "proof made up",
        &[&[1, 0, 0, 0, 0, 11, 1, 0, 25][..], &[0; 25], &[4, 0, 0, 0]].concat(),
    );
    seeds.add(
        "shop",
        "torn",
        &[1, 9, 0, 1, 0, 20, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 4, 0, 0, 0],
    );
    seeds.add(
        "shop",
        "torn whole",
        &[1, 9, 0, 1, 1, 255, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 4, 0, 0, 0],
    );
}

/// Settlement and counters, as a terminal hands them in.
fn handed_in(seeds: &mut Seeds) {
    use card_applet_spec::codes::Role;
    use card_applet_spec::counters::{self, Count, Counted, CountersHead};
    use card_applet_spec::door_f::CommitBody;
    use card_applet_spec::settlement::{self, Before, Line, SettlementHead, Unknown};

    let key = card_applet_spec::crypto::PrivateKey::from_bytes(&[1; 32]).unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let body = CommitBody {
        amount: 350,
        tid: 42,
        txno: [8; 8],
        time: 848_000_000,
        kind: 1,
    };
    let before = Before {
        seq: 1000,
        loaded: 20_000,
        spent: 700,
        last_txno: [7; 8],
        masked: [6; 16],
        tac: [5; 8],
    };
    let line = Line {
        kv: 1,
        pid: [4; 16],
        body,
        seq: 1001,
        loaded: 20_000,
        spent: 1050,
        tac: [3; 8],
        before: Some(before),
    };
    let first = Line { before: None, ..line };
    let unknown = Unknown {
        kv: 1,
        pid: [4; 16],
        body,
        seq: 1001,
    };
    let head = SettlementHead {
        terminal: "shop 1",
        tid: 42,
        number: 1,
    };
    for (name, lines, unknown) in [
        ("settlement", &[line, first][..], &[unknown][..]),
        ("settlement of nothing", &[], &[]),
    ] {
        let mut out = vec![0; settlement::encoded_len(lines.len(), unknown.len())];
        let length = settlement::encode(&head, lines, unknown, &key, &mut rng, &mut out).unwrap();
        seeds.chosen("files", name, 11, inside(&out[..length], 0x7F55).unwrap());
    }
    let day = "2026-11-21".parse().unwrap();
    let head = CountersHead {
        terminal: "gate 1",
        day,
    };
    let counts = [(Counted::Accepted, 900), (Counted::Denied, 2)].map(|(counted, number)| Count {
        role: Role::Transit,
        counted,
        number,
    });
    let mut out = vec![0; counters::encoded_len(counts.len())];
    let length = counters::encode(&head, &counts, &key, &mut rng, &mut out).unwrap();
    seeds.chosen("files", "counters", 12, inside(&out[..length], 0x7F54).unwrap());
    seeds.chosen("files", "list file", 10, &[0, 0, 2, 5, 1, 1, 4, 1, 2, 3, 4]);
    seeds.chosen("files", "list file cut", 10, &[0, 3, 2, 0xA9, 0x82]);
    let tape = "{\"command\":\"00a4040007f0595a5452500100\",\"answer\":\"6f009000\"}\n{\"reset\":true}\n{\"command\":\"801001011000000000000000000000000000000000\",\"error\":\"READER_LOST\"}\n";
    seeds.chosen("files", "tape", 13, tape.as_bytes());
    seeds.chosen("files", "journal", 14, &journal());
    seeds.chosen("updates", "batch made", 4, &[&[1; 20][..], &[2, 9]].concat());
    seeds.chosen(
        "updates",
        "receipts made",
        6,
        &[&[2][..], &[1; 32], &[2; 32]].concat(),
    );
}

/// Conversations, in the words of the targets `stranger`, `insider` and `reader`.
fn conversations(seeds: &mut Seeds) {
    for state in 0..5_u8 {
        let every: Vec<u8> = vec![
            3, 4, 1, 1, 0, 4, 3, 1, 0, 5, 3, 1, 3, 8, 9, 10, 11, 0, 0, 0, 1, 3, 6, 5, 7, 0, 0, 2, 3, 15, 0,
            7, 15, 8, 7,
        ];
        seeds.add("stranger", "every command", &[&[state, 1], &every[..]].concat());
        let heard: Vec<u8> = (0..4).flat_map(|part| [15, part * 8, 7]).collect();
        seeds.add("stranger", "what was heard", &[&[state, 2], &heard[..]].concat());
        seeds.add(
            "stranger",
            "headers",
            &[
                state, 3, 3, 12, 1, 1, 0, 0x45, 0, 0, 0, 3, 12, 2, 5, 1, 0, 0, 1, 13, 1, 6, 1, 1, 16, 9, 9,
                9, 9, 9,
            ],
        );
        // Door I, a block with FINALISE, status.
        seeds.add(
            "insider",
            "scripts",
            &[state, 0, 1, 4, 7, 4, 0, 6, 15, 1, 3, 15, 2, 4, 15, 0, 5],
        );
        seeds.add(
            "insider",
            "rewrite",
            &[
                state, 0, 1, 2, 8, 2, 0, 2, 2, 2, 0, 0, 0x60, 0, 0, 2, 0, 3, 1, 0, 0, 1, 0, 4, 0, 6, 8, 1, 0,
                50, 3, 9, 0,
            ],
        );
        seeds.add(
            "insider",
            "pays",
            &[
                state, 8, 0, 0, 77, 1, 9, 0, 9, 1, 8, 0, 3, 2, 13, 0, 1, 255, 0, 8, 0, 0, 5, 6, 8, 0, 0, 1, 1,
            ],
        );
        seeds.add(
            "insider",
            "reads",
            &[
                state, 10, 0, 3, 0x1F, 7, 11, 1, 0, 0, 237, 11, 0xF1, 0, 0, 59, 12, 11, 0x13, 0, 0, 200,
            ],
        );
        seeds.add(
            "insider",
            "updates",
            &[
                // FLOOR, SLOT of TRANSIT in version 2, LOAD, a purchase, SLOT of the purse in version 2, DG3, ERASE, BLOCK.
                state, 14, 1, 0, 2, 0x20, 0x26, 0x12, 0x01, 0, 0, 0, 14, 1, 0, 0, 1, 0, 0, 0, 0, 14, 0, 0, 5,
                0, 0, 0x70, 0, 0, 0, 0, 8, 0, 0, 40, 3, 14, 0, 0, 0, 1, 2, 0, 0, 0x71, 0, 0, 0, 0x10, 0, 0,
                0, 0, 8, 1, 0, 41, 4,
            ],
        );
        seeds.add(
            "insider",
            "updates that take away",
            &[state, 14, 1, 0, 4, 1, 1, 0, 0, 0, 14, 0, 0, 3, 0, 0, 0, 15, 2, 5],
        );
        seeds.add(
            "insider",
            "updates torn",
            &[
                state, 13, 0, 0, 50, 0, 14, 0, 0, 5, 0, 0, 0x70, 0, 0, 0, 0, 13, 1, 1, 255, 0, 14, 0, 0, 0,
                1, 2, 0, 0, 0x71, 0, 0, 0, 0x10, 0, 0, 0, 0,
            ],
        );
        seeds.add(
            "insider",
            "torn",
            &[
                state, 13, 0, 0, 50, 0, 15, 1, 3, 13, 1, 0, 0, 0, 15, 1, 3, 13, 2, 1, 0, 1, 13, 0, 0, 9, 1,
                8, 0, 0, 9, 9,
            ],
        );
    }
    for door in 0..5_u8 {
        let (forger, between) = (door << 1, door << 1 | 1);
        seeds.add(
            "reader",
            "forger heard",
            &[forger, 1, 3, 0, 3, 1, 3, 2, 3, 3, 3, 4, 3, 5, 3, 6],
        );
        seeds.add("reader", "forger silent", &[forger, 1, 0, 0, 0, 0, 0, 0, 2, 0]);
        seeds.add("reader", "honest", &[between, 1]);
        seeds.add(
            "reader",
            "flips",
            &[
                between, 1, 0, 0, 0, 0, 8, 0, 0, 3, 1, 0, 0, 8, 1, 0, 40, 2, 0, 41, 2,
            ],
        );
        seeds.add(
            "reader",
            "cuts",
            &[
                between, 2, 0, 0, 9, 3, 0, 0, 10, 2, 7, 7, 12, 0x69, 0x85, 15, 14, 13, 0, 0, 5, 1,
            ],
        );
    }
}
