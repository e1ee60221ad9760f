//! What the primitives take on real cards, in milliseconds.
//!
//! Source: `JCAlgTest` (github.com/crocs-muni/JCAlgTest), raw measurements in `Profiles/performance`, before commit 88b7a6b
//! moved them to github.com/crocs-muni/jcalgtest-results. Each row names its files. `docs/taptime.md` says how each figure
//! was read, and which are estimates.

/// A card that was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Card {
    /// Name for the command line and for programs.
    pub id: &'static str,
    /// Name for people.
    pub name: &'static str,
    /// Files of the measurements, shortened to card, kind and date.
    pub source: &'static str,
    /// What is not measured, or not on the interface of a tap.
    pub remark: &'static str,
    /// AES-CBC of 16 bytes, key set.
    pub aes_16: f64,
    /// AES-CBC of 256 bytes, key set.
    pub aes_256: f64,
    /// CMAC of 256 bytes, key set; AES-MAC as proxy.
    pub cmac_256: f64,
    /// A cipher object takes a key object.
    pub cipher_init: f64,
    /// A key object takes a key.
    pub set_key: f64,
    /// SHA-256: what a message takes besides its blocks.
    pub sha_start: f64,
    /// SHA-256: each block of 64 bytes, padding included.
    pub sha_block: f64,
    /// Random bytes, 16 of them.
    pub random: f64,
    /// ECDH P-256: the agreement takes a private key.
    pub ecdh_init: f64,
    /// ECDH P-256: X coordinate.
    pub ecdh: f64,
    /// ECDSA P-256: the signature object takes a key.
    pub ecdsa_init: f64,
    /// ECDSA P-256: verification of a short message, hash included.
    pub verify: f64,
    /// EC key generation, P-256.
    pub key_generation: f64,
    /// A public key object takes a point.
    pub set_point: f64,
    /// Reading 256 bytes of non-volatile memory into RAM.
    pub read_256: f64,
    /// Writing up to 256 bytes of non-volatile memory at once, whole or not at all.
    pub write_256: f64,
}

/// The cards of the design's table.
pub const CARDS: [Card; 4] = [
    Card {
        id: "j3r180",
        name: "J3R180 (JCOP4)",
        source: "NXP JCOP4 J3R180 SECID P71: DATAFIXED 1634708420109 (2021-10-20), DATADEPEND 1634842873864 (2021-10-21)",
        remark: "fixed lengths over contacts, variable lengths contactless: AES set-up and operation agree within 1 %",
        aes_16: 1.6,
        aes_256: 1.9,
        cmac_256: 2.1,
        cipher_init: 6.1,
        set_key: 3.2,
        sha_start: 0.8,
        sha_block: 1.42,
        random: 0.9,
        ecdh_init: 8.0,
        ecdh: 20.1,
        ecdsa_init: 8.1,
        verify: 30.2,
        key_generation: 26.8,
        set_point: 3.4,
        read_256: 0.2,
        write_256: 2.9,
    },
    Card {
        id: "p71d321",
        name: "P71D321 (JCOP4)",
        source: "NXP JCOP4 P71D321: DATAFIXED 1578910230714 (2020-01-13)",
        remark: "contactless; 16-byte lengths scaled from J3R180, the same chip",
        aes_16: 1.6,
        aes_256: 1.9,
        cmac_256: 2.3,
        cipher_init: 6.6,
        set_key: 3.5,
        sha_start: 0.9,
        sha_block: 1.53,
        random: 0.9,
        ecdh_init: 8.7,
        ecdh: 21.7,
        ecdsa_init: 8.9,
        verify: 31.3,
        key_generation: 26.3,
        set_point: 3.7,
        read_256: 0.2,
        write_256: 3.1,
    },
    Card {
        id: "j3h145",
        name: "J3H145 (JCOP3)",
        source: "NXP JCOP3 J3H145g P60: DATAFIXED 1634626143124 (2021-10-19), DATADEPEND 1634842922783 (2021-10-21)",
        remark: "measured over contacts; another profile of the same type took 37 ms for cipher init and 44 ms for set key",
        aes_16: 8.4,
        aes_256: 9.0,
        cmac_256: 10.3,
        cipher_init: 13.7,
        set_key: 7.9,
        sha_start: 0.5,
        sha_block: 1.62,
        random: 0.6,
        ecdh_init: 8.6,
        ecdh: 55.1,
        ecdsa_init: 5.8,
        verify: 50.3,
        key_generation: 156.3,
        set_point: 11.7,
        read_256: 0.5,
        write_256: 1.5,
    },
    Card {
        id: "secora-id-x",
        name: "SECORA ID X",
        source: "Infineon SECORA ID X Batch 16072021: DATAFIXED 1627630268599 (2021-07-30)",
        remark: "contactless; base lines corrected for an outlier of 5 s; 16-byte lengths and random estimated",
        aes_16: 7.0,
        aes_256: 27.9,
        cmac_256: 9.0,
        cipher_init: 49.3,
        set_key: 53.2,
        sha_start: 8.6,
        sha_block: 15.1,
        random: 7.0,
        ecdh_init: 6.2,
        ecdh: 100.5,
        ecdsa_init: 21.3,
        verify: 78.7,
        key_generation: 179.0,
        set_point: 76.1,
        read_256: 0.5,
        write_256: 10.3,
    },
];

impl Card {
    /// The card of this name.
    #[must_use]
    pub fn named(id: &str) -> Option<&'static Self> {
        CARDS.iter().find(|card| card.id == id)
    }

    /// AES-CBC of so many bytes: a straight line through both measurements.
    #[must_use]
    pub fn aes(&self, bytes: f64) -> f64 {
        self.aes_16 + (self.aes_256 - self.aes_16) * (bytes - 16.0).max(0.0) / 240.0
    }

    /// CMAC of so many bytes: the proxy, with the slope of AES-CBC.
    #[must_use]
    pub fn cmac(&self, bytes: f64) -> f64 {
        let whole = (bytes / 16.0).ceil().max(1.0) * 16.0;
        self.cmac_256 * self.aes(whole) / self.aes_256
    }

    /// SHA-256 of so many bytes.
    #[must_use]
    pub fn sha256(&self, bytes: f64) -> f64 {
        // One byte of padding and eight of length.
        self.sha_start + self.sha_block * ((bytes + 9.0) / 64.0).ceil()
    }
}
