//! A mandate, two people with their keys, and what an authenticator makes of a challenge.

use issuer_mandate::{
    Assertion, CardItems, CaseRef, EnrolledKey, Entitlement, Kind, Mandate, PermitItems, PersonItems,
    Relying, Signature, SignerRole, Wanted, client_data,
};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature as Ecdsa, SigningKey};

pub(crate) const PAGE: &str = "http://sign.localhost:8441";
/// 2026-11-21, in seconds.
pub(crate) const NOW: u64 = 1_795_219_200;
pub(crate) const DAY: u64 = 86_400;

pub(crate) fn page() -> Relying {
    Relying::at(PAGE).unwrap()
}

pub(crate) fn items() -> CardItems {
    CardItems {
        person: PersonItems {
            name: "李娜".to_owned(),
            sex: "2".to_owned(),
            nation: "01".to_owned(),
            born: "1985-11-12".to_owned(),
            citizen_number: "440305198511120028".to_owned(),
            hukou_address: "湖南省长沙市岳麓区麓山南路36号".to_owned(),
            residence_address: "广东省深圳市南山区粤海街道科苑路8号".to_owned(),
            organ: "深圳市公安局南山分局".to_owned(),
            issued_on: "2026-11-21".to_owned(),
        },
        portrait: [0x44; 32],
        permit: PermitItems {
            id: [0x33; 16],
            tier: "EMPLOYMENT".to_owned(),
            rule_set: "440300-three-tiers-2026".to_owned(),
            valid_from: "2026-11-21".to_owned(),
            valid_to: "2027-11-21".to_owned(),
        },
        entitlements: vec![Entitlement {
            role: "SMALL_PAYMENT".to_owned(),
            class: 1,
            services: 3,
            zones: 0,
            purse_cap: 30_000,
        }],
        loaded: None,
    }
}

pub(crate) fn mandate() -> Mandate {
    Mandate {
        vault: [0x11; 16],
        kind: Kind::Personalise,
        id: [0x22; 16],
        case: CaseRef {
            id: [0x55; 16],
            frozen: [0x66; 32],
        },
        organ: "440305".to_owned(),
        content: items(),
        from: NOW,
        until: NOW + 30 * DAY,
        policy: [0x77; 32],
    }
}

pub(crate) fn wanted(items: &CardItems) -> Wanted<'_> {
    Wanted {
        vault: [0x11; 16],
        kind: Kind::Personalise,
        case: CaseRef {
            id: [0x55; 16],
            frozen: [0x66; 32],
        },
        organ: "440305",
        content: items,
        policy: [0x77; 32],
        at: NOW + DAY,
    }
}

/// An authenticator with one key.
pub(crate) struct Authenticator {
    key: SigningKey,
    pub(crate) flags: u8,
    pub(crate) counter: u32,
    pub(crate) page: Relying,
}

impl Authenticator {
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            key: SigningKey::from_slice(&[seed; 32]).unwrap(),
            flags: 0x05,
            counter: 7,
            page: page(),
        }
    }

    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.key.verifying_key().to_sec1_point(false).as_bytes().to_vec()
    }

    pub(crate) fn enrolled(&self, person: &str, role: SignerRole) -> EnrolledKey {
        EnrolledKey {
            person: person.to_owned(),
            role,
            organ: "440300".to_owned(),
            until: NOW + 365 * DAY,
            public_key: self.public_key(),
            page: page(),
            counter: 6,
        }
    }

    /// An assertion over this challenge.
    pub(crate) fn signs(&self, challenge: &[u8; 32]) -> Assertion {
        let client = format!("{}}}", client_data(challenge, &self.page)).into_bytes();
        self.over(client)
    }

    /// An assertion with these client data.
    pub(crate) fn over(&self, client_data: Vec<u8>) -> Assertion {
        use sha2::Digest as _;
        let mut data = self.page.party_hash().to_vec();
        data.push(self.flags);
        data.extend(self.counter.to_be_bytes());
        let hash = sha2::Sha256::digest(&client_data);
        let signature: Ecdsa = self.key.sign(&[&data[..], &hash[..]].concat());
        Assertion {
            client_data,
            authenticator_data: data,
            signature: signature.to_der().as_bytes().to_vec(),
        }
    }

    /// What its person signs of one mandate.
    pub(crate) fn gives(&self, bytes: &[u8]) -> Signature {
        Signature {
            assertion: self.signs(&Mandate::digest(bytes)),
            proof: None,
        }
    }
}
