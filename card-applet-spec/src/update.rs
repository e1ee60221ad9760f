//! Sealed updates (chapter 09): the bytes that vault and card compute. Cards of this version answer 6D00 to UPDATE; the
//! formats stand so that a vault can make updates for the next.

use zeroize::Zeroize;

use crate::Error;
use crate::bytes::{Reader, SliceWriter, Write};
use crate::crypto::{Key16, equal};
use crate::kdf::KeySet;

/// Length of the plain text of an update.
pub const UPDATE_LEN: usize = 224;

/// An update as terminals carry it, without the part that binds it to a tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedUpdate {
    /// Counter; grows.
    pub counter: u32,
    /// Cipher text.
    pub cipher: [u8; UPDATE_LEN],
    /// MAC under U-MAC.
    pub mac: [u8; 16],
}

fn iv(enc: &Key16, counter: u32) -> [u8; 16] {
    let [a, b, c, d] = counter.to_be_bytes();
    enc.encrypt_block([0x08, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

impl SealedUpdate {
    /// Seals `plain` (op first) under the card's update keys (ENC = U-ENC, MAC = U-MAC).
    ///
    /// # Errors
    /// Never for this size.
    pub fn seal(keys: &KeySet, counter: u32, plain: &[u8; UPDATE_LEN]) -> Result<Self, Error> {
        let mut cipher = *plain;
        keys.enc.cbc_encrypt(&iv(&keys.enc, counter), &mut cipher)?;
        let mac = keys.mac.cmac(&[&[0x08], &counter.to_be_bytes(), &cipher]);
        Ok(Self { counter, cipher, mac })
    }

    /// Checks the MAC and opens.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn open(&self, keys: &KeySet) -> Result<[u8; UPDATE_LEN], Error> {
        let expected = keys
            .mac
            .cmac(&[&[0x08], &self.counter.to_be_bytes(), &self.cipher]);
        if !equal(&expected, &self.mac) {
            return Err(Error::Crypto);
        }
        let mut plain = self.cipher;
        if keys
            .enc
            .cbc_decrypt(&iv(&keys.enc, self.counter), &mut plain)
            .is_err()
        {
            plain.zeroize();
            return Err(Error::Crypto);
        }
        Ok(plain)
    }

    /// The receipt, under U-RCPT (`dek` of the update keys).
    #[must_use]
    pub fn receipt(&self, keys: &KeySet) -> [u8; 16] {
        keys.dek.cmac(&[&[0x09], &self.counter.to_be_bytes(), &self.mac])
    }

    /// The part that binds it to a tap, under M.
    ///
    /// # Errors
    /// Never for this size.
    pub fn tap_mac(
        &self,
        m: &Key16,
        role: u8,
        version: u8,
        rt: &[u8; 16],
        rc: &[u8; 16],
    ) -> Result<[u8; 8], Error> {
        let head = [0x07, role, version];
        let mac = m.cmac(&[
            &head,
            rt,
            rc,
            &self.counter.to_be_bytes(),
            &self.cipher,
            &self.mac,
        ]);
        Reader::new(&mac, "update").array()
    }

    /// Command data of UPDATE: 252 bytes.
    ///
    /// # Errors
    /// Never for this size.
    pub fn command_data(&self, tap_mac: &[u8; 8]) -> Result<[u8; 252], Error> {
        let mut out = [0; 252];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&self.counter.to_be_bytes())?;
        writer.put(&self.cipher)?;
        writer.put(&self.mac)?;
        writer.put(tap_mac)?;
        Ok(out)
    }
}
