//! Door F: TAP and COMMIT (chapter 06), the bytes that both sides compute. What a terminal decides is in `card-reader`.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::apdu::{Command, Header};
use crate::bytes::{Reader, SliceWriter, Write};
use crate::codes::SUITE;
use crate::crypto::{Key16, equal};
use crate::error::Error;
use crate::record::RECORD_LEN;

/// Length of P, and of C.
pub const PLAIN_LEN: usize = 224;
/// Length of the body of a TAP answer.
pub const TAP_ANSWER_LEN: usize = 256;
/// Version byte inside P.
const VERSION: u8 = 0x01;
/// State byte inside P of a live slot.
const LIVE: u8 = 0x01;

/// What TAP says under G.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct TapPlain {
    /// Pseudonym.
    pub pid: [u8; 16],
    /// Purse: number of debits since its random start.
    pub seq: u32,
    /// Purse: all money ever loaded, in fen.
    pub loaded: u32,
    /// Purse: all money ever spent, in fen.
    pub spent: u32,
    /// Purse: number of the last transaction.
    pub last_txno: [u8; 8],
    /// Purse: last transaction, masked for the vault.
    pub masked: [u8; 16],
    /// Purse: transaction authentication code of the last transaction.
    pub tac: [u8; 8],
    /// The sealed record.
    pub record: [u8; RECORD_LEN],
}

impl core::fmt::Debug for TapPlain {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TapPlain(pseudonymous data)")
    }
}

impl TapPlain {
    /// P.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn encode(&self) -> Result<[u8; PLAIN_LEN], Error> {
        let mut out = [0; PLAIN_LEN];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&self.pid)?;
        writer.put(&[VERSION, LIVE, 0, 0])?;
        writer.put(&self.seq.to_be_bytes())?;
        writer.put(&self.loaded.to_be_bytes())?;
        writer.put(&self.spent.to_be_bytes())?;
        writer.put(&self.last_txno)?;
        writer.put(&self.masked)?;
        writer.put(&self.tac)?;
        writer.put(&self.record)?;
        Ok(out)
    }

    /// From P.
    ///
    /// # Errors
    /// [`Error::Malformed`] when version, state or rfu are not those of a live slot.
    pub fn parse(plain: &[u8; PLAIN_LEN]) -> Result<Self, Error> {
        let mut reader = Reader::new(plain, "TAP answer");
        let pid = reader.array()?;
        if reader.array()? != [VERSION, LIVE, 0, 0] {
            return Err(reader.malformed());
        }
        Ok(Self {
            pid,
            seq: reader.u32()?,
            loaded: reader.u32()?,
            spent: reader.u32()?,
            last_txno: reader.array()?,
            masked: reader.array()?,
            tac: reader.array()?,
            record: reader.array()?,
        })
    }
}

/// TAP.
///
/// # Errors
/// Never for these sizes.
pub fn tap_command(role: u8, version: u8, terminal_challenge: &[u8; 16]) -> Result<Command, Error> {
    Header::tap(role, version).command(terminal_challenge, Some(0x00))
}

/// The body of an answer to TAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapAnswer {
    /// The card's random number.
    pub card_challenge: [u8; 16],
    /// P under G.
    pub cipher: [u8; PLAIN_LEN],
    /// MAC under M.
    pub mac: [u8; 16],
}

fn tap_mac(
    m: &Key16,
    role: u8,
    version: u8,
    rt: &[u8; 16],
    rc: &[u8; 16],
    cipher: &[u8; PLAIN_LEN],
) -> [u8; 16] {
    m.cmac(&[&[0x01, SUITE, role, version], rt, rc, cipher])
}

impl TapAnswer {
    /// Card: makes the answer. The same work whether the slot is real or the decoy.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn make(
        g: &Key16,
        m: &Key16,
        role: u8,
        version: u8,
        terminal_challenge: &[u8; 16],
        card_challenge: [u8; 16],
        plain: &[u8; PLAIN_LEN],
    ) -> Result<Self, Error> {
        let mut buffer = Zeroizing::new([0; PLAIN_LEN + 16]);
        let mut writer = SliceWriter::new(&mut *buffer);
        writer.put(&card_challenge)?;
        writer.put(plain)?;
        g.cbc_encrypt(&[0; 16], &mut *buffer)?;
        let cipher = Reader::new(buffer.split_at(16).1, "TAP answer").array()?;
        let mac = tap_mac(m, role, version, terminal_challenge, &card_challenge, &cipher);
        Ok(Self {
            card_challenge,
            cipher,
            mac,
        })
    }

    /// Parses a body of 256 bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another length.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body, "TAP answer");
        let answer = Self {
            card_challenge: reader.array()?,
            cipher: reader.array()?,
            mac: reader.array()?,
        };
        reader.end()?;
        Ok(answer)
    }

    /// The 256 bytes.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn encode(&self) -> Result<[u8; TAP_ANSWER_LEN], Error> {
        let mut out = [0; TAP_ANSWER_LEN];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&self.card_challenge)?;
        writer.put(&self.cipher)?;
        writer.put(&self.mac)?;
        Ok(out)
    }

    /// Terminal: the two cipher blocks that the cohort filter needs: `P[16..32] = AES^-1(G, second) xor first`, and a
    /// candidate's first four bytes are `01 01 00 00`.
    #[must_use]
    pub fn filter_blocks(&self) -> ([u8; 16], [u8; 16]) {
        let mut reader = Reader::new(&self.cipher, "TAP answer");
        // 224 bytes hold both blocks.
        let first = reader.array().unwrap_or_default();
        let second = reader.array().unwrap_or_default();
        (first, second)
    }

    /// True when block 2 decrypted with a cohort's key (xor the first block) looks like a live slot.
    #[must_use]
    pub fn is_candidate(decrypted_second: &[u8; 16], first: &[u8; 16]) -> bool {
        decrypted_second
            .iter()
            .zip(first)
            .map(|(a, b)| a ^ b)
            .take(4)
            .eq([VERSION, LIVE, 0, 0])
    }

    /// Terminal: opens C with a cohort's G. Nothing is proved before [`TapAnswer::verify`].
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is not a live slot under this key.
    pub fn open(&self, g: &Key16) -> Result<TapPlain, Error> {
        let iv = g.encrypt_block(self.card_challenge);
        let mut plain = Zeroizing::new(self.cipher);
        g.cbc_decrypt(&iv, &mut *plain)?;
        TapPlain::parse(&plain)
    }

    /// Terminal: checks T with the card's M.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn verify(
        &self,
        m: &Key16,
        role: u8,
        version: u8,
        terminal_challenge: &[u8; 16],
    ) -> Result<(), Error> {
        let expected = tap_mac(
            m,
            role,
            version,
            terminal_challenge,
            &self.card_challenge,
            &self.cipher,
        );
        if equal(&expected, &self.mac) {
            Ok(())
        } else {
            Err(Error::Crypto)
        }
    }
}

/// Body of COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitBody {
    /// Amount in fen.
    pub amount: u32,
    /// Registration number of the terminal.
    pub tid: u32,
    /// Random number of the transaction.
    pub txno: [u8; 8],
    /// Seconds since 2000-01-01T00:00Z.
    pub time: u32,
    /// Kind of transaction.
    pub kind: u8,
}

impl CommitBody {
    /// The 28 bytes.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn encode(&self) -> Result<[u8; 28], Error> {
        let mut out = [0; 28];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&self.amount.to_be_bytes())?;
        writer.put(&self.tid.to_be_bytes())?;
        writer.put(&self.txno)?;
        writer.put(&self.time.to_be_bytes())?;
        writer.put(&[self.kind])?;
        Ok(out)
    }

    /// From the 28 bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when an rfu byte is set.
    pub fn parse(bytes: &[u8; 28]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, "COMMIT body");
        let body = Self {
            amount: reader.u32()?,
            tid: reader.u32()?,
            txno: reader.array()?,
            time: reader.u32()?,
            kind: reader.u8()?,
        };
        if reader.array()? == [0_u8; 7] {
            Ok(body)
        } else {
            Err(reader.malformed())
        }
    }

    /// MAC of COMMIT under M.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn mac(
        &self,
        m: &Key16,
        role: u8,
        version: u8,
        rt: &[u8; 16],
        rc: &[u8; 16],
        seq: u32,
    ) -> Result<[u8; 16], Error> {
        Ok(m.cmac(&[
            &[0x02, role, version],
            rt,
            rc,
            &seq.to_be_bytes(),
            &self.encode()?,
        ]))
    }

    /// TAC under Ktac, with the values after the debit.
    ///
    /// # Errors
    /// Never for these sizes.
    #[expect(
        clippy::too_many_arguments,
        reason = "the fields that chapter 06 puts under the code"
    )]
    pub fn tac(
        &self,
        ktac: &Key16,
        role: u8,
        version: u8,
        pid: &[u8; 16],
        seq: u32,
        loaded: u32,
        spent: u32,
    ) -> Result<[u8; 8], Error> {
        let head = [0x05, role, version];
        let mac = ktac.cmac(&[
            &head,
            pid,
            &seq.to_be_bytes(),
            &loaded.to_be_bytes(),
            &spent.to_be_bytes(),
            &self.encode()?,
        ]);
        Reader::new(&mac, "TAC").array()
    }

    /// SB: the transaction masked for the vault, with the values after the debit.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn masked(
        &self,
        ktac: &Key16,
        role: u8,
        version: u8,
        pid: &[u8; 16],
        seq: u32,
        spent: u32,
    ) -> Result<[u8; 16], Error> {
        let mut out = [0; 16];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&self.tid.to_be_bytes())?;
        writer.put(&self.amount.to_be_bytes())?;
        writer.put(&spent.to_be_bytes())?;
        writer.put(&self.time.to_be_bytes())?;
        let mask = ktac.cmac(&[&[0x06, role, version], pid, &seq.to_be_bytes()]);
        for (byte, mask) in out.iter_mut().zip(mask) {
            *byte ^= mask;
        }
        Ok(out)
    }

    /// Proof under M, with the values after the debit.
    ///
    /// # Errors
    /// Never for these sizes.
    #[expect(
        clippy::too_many_arguments,
        reason = "the fields that chapter 06 puts under the proof"
    )]
    pub fn proof(
        &self,
        m: &Key16,
        role: u8,
        version: u8,
        rt: &[u8; 16],
        rc: &[u8; 16],
        result: u8,
        seq: u32,
        spent: u32,
        tac: &[u8; 8],
    ) -> Result<[u8; 16], Error> {
        let head = [0x03, role, version];
        Ok(m.cmac(&[
            &head,
            rt,
            rc,
            &[result],
            &seq.to_be_bytes(),
            &spent.to_be_bytes(),
            &self.encode()?,
            tac,
        ]))
    }
}
