//! GlobalPlatform SCP03 (Amendment D v1.2), S8, AES-128: session keys, cryptograms, and the record layer at security
//! level 33 (C-DEC, C-MAC, R-ENC, R-MAC) for both sides. The host speaks i = 60 and 70, the card i = 60 (chapter 05).
//! Door S uses the record layer with keys of its own (chapter 07). Left out: S16 mode, AES-192/256, other levels.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::apdu::{Answer, Command, Header, ParsedCommand, StatusWord};
use crate::bytes::Bytes;
use crate::bytes::{Reader, Write};
use crate::crypto::{Key16, equal};
use crate::error::Error;
use crate::kdf::KeySet;

/// Most plain bytes in one command or answer: 240 with padding, plus a MAC of 8, fit a short APDU.
pub const MAX_PLAIN: usize = 239;

/// Plain data of a command or answer; erased when dropped, shown by no Debug.
#[derive(Default, PartialEq, Eq)]
pub struct Plain(Bytes<256>);

impl Plain {
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Self(Bytes::new())
    }
}

impl core::ops::Deref for Plain {
    type Target = Bytes<256>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl core::ops::DerefMut for Plain {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl core::fmt::Debug for Plain {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Plain({} bytes)", self.len())
    }
}

impl ZeroizeOnDrop for Plain {}

impl Drop for Plain {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

const CARD_CRYPTOGRAM: u8 = 0x00;
const HOST_CRYPTOGRAM: u8 = 0x01;
const CARD_CHALLENGE: u8 = 0x02;
const S_ENC: u8 = 0x04;
const S_MAC: u8 = 0x06;
const S_RMAC: u8 = 0x07;

/// One block of SCP03's KDF (section 4.1.5); every output here is 64 or 128 bits.
fn derive(key: &Key16, constant: u8, bits: u16, context: &[&[u8]]) -> [u8; 16] {
    let label = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, constant];
    let [high, low] = bits.to_be_bytes();
    let mid = [0x00, high, low, 0x01];
    let mut parts: heapless::Vec<&[u8], 5> = heapless::Vec::new();
    // Capacity 5 holds label, separator and at most three context parts by construction.
    let _ = parts.push(&label);
    let _ = parts.push(&mid);
    for part in context.iter().take(3) {
        let _ = parts.push(part);
    }
    key.cmac(&parts)
}

fn derive8(key: &Key16, constant: u8, context: &[&[u8]]) -> [u8; 8] {
    first8(&derive(key, constant, 64, context))
}

/// Pseudo-random card challenge of i = 70 (section 6.2.2.1), for the host that checks such cards.
#[must_use]
pub fn pseudo_random_challenge(enc: &Key16, sequence: [u8; 3], aid: &[u8]) -> [u8; 8] {
    derive8(enc, CARD_CHALLENGE, &[&sequence, aid])
}

/// Keys of one session.
#[derive(Debug)]
pub struct SessionKeys {
    enc: Key16,
    mac: Key16,
    rmac: Key16,
}

impl SessionKeys {
    /// S-ENC, S-MAC, S-RMAC from static keys and both challenges.
    #[must_use]
    pub fn derive(keys: &KeySet, host_challenge: &[u8; 8], card_challenge: &[u8; 8]) -> Self {
        let session = |key: &Key16, constant| {
            let mut bytes = derive(key, constant, 128, &[host_challenge, card_challenge]);
            let key = Key16::new(bytes);
            bytes.zeroize();
            key
        };
        Self {
            enc: session(&keys.enc, S_ENC),
            mac: session(&keys.mac, S_MAC),
            rmac: session(&keys.mac, S_RMAC),
        }
    }

    /// Keys agreed in another way (door S).
    #[must_use]
    pub const fn from_parts(enc: Key16, mac: Key16, rmac: Key16) -> Self {
        Self { enc, mac, rmac }
    }

    /// Card cryptogram, 8 bytes.
    #[must_use]
    pub fn card_cryptogram(&self, host_challenge: &[u8; 8], card_challenge: &[u8; 8]) -> [u8; 8] {
        derive8(&self.mac, CARD_CRYPTOGRAM, &[host_challenge, card_challenge])
    }

    /// Host cryptogram, 8 bytes.
    #[must_use]
    pub fn host_cryptogram(&self, host_challenge: &[u8; 8], card_challenge: &[u8; 8]) -> [u8; 8] {
        derive8(&self.mac, HOST_CRYPTOGRAM, &[host_challenge, card_challenge])
    }
}

/// A parsed answer to INITIALIZE UPDATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitializeUpdate {
    /// Key diversification data.
    pub diversification: [u8; 10],
    /// Key version number.
    pub key_version: u8,
    /// The `i` parameter: 60 or 70.
    pub i: u8,
    /// Card challenge.
    pub card_challenge: [u8; 8],
    /// Card cryptogram.
    pub card_cryptogram: [u8; 8],
    /// Sequence counter, with i = 70 only.
    pub sequence: Option<[u8; 3]>,
}

impl InitializeUpdate {
    /// Parses the body: 29 bytes with i = 60, 32 with i = 70.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another protocol, `i` or length.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body, "INITIALIZE UPDATE answer");
        let diversification = reader.array()?;
        let [key_version, protocol, i] = reader.array()?;
        let card_challenge = reader.array()?;
        let card_cryptogram = reader.array()?;
        if protocol != 0x03 {
            return Err(reader.malformed());
        }
        let sequence = match i {
            0x60 => None,
            0x70 => Some(reader.array()?),
            _ => return Err(reader.malformed()),
        };
        reader.end()?;
        Ok(Self {
            diversification,
            key_version,
            i,
            card_challenge,
            card_cryptogram,
            sequence,
        })
    }

    /// The card's answer with i = 60 and the constants of chapter 05, 29 bytes.
    #[must_use]
    pub fn encode_i60(card_challenge: &[u8; 8], card_cryptogram: &[u8; 8]) -> Bytes<29> {
        let mut out = Bytes::new();
        let constants = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x03, 0x60];
        // 13 + 8 + 8 = 29
        let _ = out.put(&constants);
        let _ = out.put(card_challenge);
        let _ = out.put(card_cryptogram);
        out
    }
}

/// The record layer after opening: chaining value, counter, keys. One end; both ends keep equal state.
#[derive(Debug)]
pub struct Channel {
    keys: SessionKeys,
    chaining: [u8; 16],
    counter: u128,
}

impl Channel {
    /// Starts with chaining value zero. The first wrapped command has counter 1 (EXTERNAL AUTHENTICATE has none).
    #[must_use]
    pub const fn new(keys: SessionKeys) -> Self {
        Self {
            keys,
            chaining: [0; 16],
            counter: 0,
        }
    }

    /// The session keys, for the cryptograms.
    #[must_use]
    pub const fn keys(&self) -> &SessionKeys {
        &self.keys
    }

    fn command_mac(&mut self, header: Header, lc: u8, data: &[u8]) -> [u8; 8] {
        self.chaining = self
            .keys
            .mac
            .cmac(&[&self.chaining, &header.to_bytes(), &[lc], data]);
        first8(&self.chaining)
    }

    /// Host: EXTERNAL AUTHENTICATE with its MAC (no encryption, no counter).
    ///
    /// # Errors
    /// Never for this length; the type is that of the encoder.
    pub fn external_authenticate(&mut self, host_cryptogram: &[u8; 8]) -> Result<Command, Error> {
        let header = Header::EXTERNAL_AUTHENTICATE;
        let mac = self.command_mac(header, 16, host_cryptogram);
        let mut data = Bytes::<16>::new();
        data.put(host_cryptogram)?;
        data.put(&mac)?;
        header.command(&data, None)
    }

    /// Card: checks the MAC of EXTERNAL AUTHENTICATE. The cryptogram is the caller's to compare.
    #[must_use]
    pub fn check_external_authenticate(
        &mut self,
        header: Header,
        cryptogram: &[u8; 8],
        mac: &[u8; 8],
    ) -> bool {
        let expected = self.command_mac(header, 16, cryptogram);
        equal(&expected, mac)
    }

    fn counter_block(&self, first: u8) -> [u8; 16] {
        // The counter never reaches 2^120: the top byte is free for the response mark.
        let mut block = self.counter.to_be_bytes();
        if let Some(top) = block.first_mut() {
            *top = first;
        }
        self.keys.enc.encrypt_block(block)
    }

    /// Host: wraps a command at level 33. `data` is at most 239 bytes. Le 00 ends it: every answer has at
    /// least a MAC.
    ///
    /// # Errors
    /// [`Error::TooLong`] when `data` is too long.
    pub fn wrap_command(&mut self, header: Header, data: &[u8]) -> Result<Command, Error> {
        if data.len() > MAX_PLAIN {
            return Err(Error::TooLong { what: "command data" });
        }
        self.counter = self.counter.wrapping_add(1);
        let mut body = Plain::new();
        if !data.is_empty() {
            pad(&mut body, data)?;
            let iv = self.counter_block(0x00);
            self.keys.enc.cbc_encrypt(&iv, &mut body)?;
        }
        let lc = u8::try_from(body.len().saturating_add(8))
            .map_err(|_| Error::TooLong { what: "command data" })?;
        let mac = self.command_mac(header, lc, &body);
        body.put(&mac)?;
        header.command(&body, Some(0x00))
    }

    /// Card: unwraps a command at level 33.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the MAC or the padding is wrong; the session is over then.
    pub fn unwrap_command(&mut self, command: &ParsedCommand<'_>) -> Result<Plain, Error> {
        let (body, mac) = command.data.split_last_chunk::<8>().ok_or(Error::Crypto)?;
        self.counter = self.counter.wrapping_add(1);
        let lc = u8::try_from(command.data.len()).map_err(|_| Error::Crypto)?;
        let expected = self.command_mac(command.header, lc, body);
        if !equal(&expected, mac) {
            return Err(Error::Crypto);
        }
        let mut plain = Plain::new();
        if !body.is_empty() {
            plain.put(body).map_err(|_| Error::Crypto)?;
            let iv = self.counter_block(0x00);
            self.keys
                .enc
                .cbc_decrypt(&iv, &mut plain)
                .map_err(|_| Error::Crypto)?;
            unpad_data(&mut plain)?;
        }
        Ok(plain)
    }

    /// Card: wraps an answer. A status without MAC is given bare; the caller ends the session.
    ///
    /// # Errors
    /// [`Error::TooLong`] when `data` is longer than 239 bytes.
    pub fn wrap_answer(&mut self, data: &[u8], status: StatusWord) -> Result<Answer, Error> {
        let mut out = Answer::new();
        let sw = status.0.to_be_bytes();
        if !status.carries_mac() {
            out.put(&sw)?;
            return Ok(out);
        }
        if data.len() > MAX_PLAIN {
            return Err(Error::TooLong { what: "answer data" });
        }
        let mut body = Plain::new();
        if !data.is_empty() {
            pad(&mut body, data)?;
            let iv = self.counter_block(0x80);
            self.keys.enc.cbc_encrypt(&iv, &mut body)?;
        }
        let mac = first8(&self.keys.rmac.cmac(&[&self.chaining, &body, &sw]));
        out.put(&body)?;
        out.put(&mac)?;
        out.put(&sw)?;
        Ok(out)
    }

    /// Host: unwraps the answer to the command wrapped last.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the MAC or the padding is wrong. A status without MAC comes back with an empty body and
    /// proves nothing.
    pub fn unwrap_answer(&mut self, answer: &[u8]) -> Result<(Plain, StatusWord), Error> {
        let (body, status) = crate::apdu::split_answer(answer)?;
        if !status.carries_mac() {
            return Ok((Plain::new(), status));
        }
        let (body, mac) = body.split_last_chunk::<8>().ok_or(Error::Crypto)?;
        let expected = first8(
            &self
                .keys
                .rmac
                .cmac(&[&self.chaining, body, &status.0.to_be_bytes()]),
        );
        if !equal(&expected, mac) {
            return Err(Error::Crypto);
        }
        let mut plain = Plain::new();
        if !body.is_empty() {
            plain.put(body).map_err(|_| Error::Crypto)?;
            let iv = self.counter_block(0x80);
            self.keys
                .enc
                .cbc_decrypt(&iv, &mut plain)
                .map_err(|_| Error::Crypto)?;
            unpad_data(&mut plain)?;
        }
        Ok((plain, status))
    }

    /// Host: unwraps an answer to a command that was wrapped earlier than the last one: for scripts wrapped in one go.
    /// `mark` is [`Channel::mark`] taken right after that command was wrapped.
    ///
    /// # Errors
    /// As [`Channel::unwrap_answer`].
    pub fn unwrap_answer_at(&mut self, mark: &Mark, answer: &[u8]) -> Result<(Plain, StatusWord), Error> {
        let now = self.mark();
        self.chaining = mark.chaining;
        self.counter = mark.counter;
        let result = self.unwrap_answer(answer);
        self.chaining = now.chaining;
        self.counter = now.counter;
        result
    }

    /// Where the channel stands after the command wrapped last.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark {
            chaining: self.chaining,
            counter: self.counter,
        }
    }
}

/// A place in a channel: chaining value and counter. Not secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    chaining: [u8; 16],
    counter: u128,
}

fn first8(block: &[u8; 16]) -> [u8; 8] {
    block.first_chunk().copied().unwrap_or_default()
}

/// ISO/IEC 9797-1 padding method 2.
fn pad(out: &mut Plain, data: &[u8]) -> Result<(), Error> {
    out.put(data)?;
    out.put(&[0x80])?;
    while !out.len().is_multiple_of(16) {
        out.put(&[0x00])?;
    }
    Ok(())
}

fn unpad(data: &mut Plain) -> Result<(), Error> {
    // The MAC has been checked: what follows is no oracle.
    while let Some(last) = data.pop() {
        match last {
            0x00 => {}
            0x80 => return Ok(()),
            _ => break,
        }
    }
    Err(Error::Crypto)
}

/// No data has no body: padding alone is what no sound sender wraps.
fn unpad_data(data: &mut Plain) -> Result<(), Error> {
    unpad(data)?;
    if data.is_empty() {
        Err(Error::Crypto)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_data_is_erased_when_it_is_dropped_and_not_shown() {
        fn erased<T: ZeroizeOnDrop>(_: &T) {}
        let (mut host, mut card) = (channel(), channel());
        let command = host.wrap_command(Header::step(1), b"Ktac").unwrap();
        let command = ParsedCommand::parse(&command).unwrap();
        let plain = card.unwrap_command(&command).unwrap();
        erased(&plain);
        assert_eq!(&plain[..], b"Ktac");
        assert_eq!(std::format!("{plain:?}"), "Plain(4 bytes)");
    }

    fn channel() -> Channel {
        Channel::new(SessionKeys::from_parts(
            Key16::new([1; 16]),
            Key16::new([2; 16]),
            Key16::new([3; 16]),
        ))
    }

    proptest! {
        #[test]
        fn both_ends_understand_each_other(data in proptest::collection::vec(any::<u8>(), 0..=239), reply in proptest::collection::vec(any::<u8>(), 0..=239)) {
            let (mut host, mut card) = (channel(), channel());
            for _ in 0..3 {
                let command = host.wrap_command(Header::step(7), &data).unwrap();
                let plain = card.unwrap_command(&ParsedCommand::parse(&command).unwrap()).unwrap();
                prop_assert_eq!(&plain[..], &data[..]);
                let answer = card.wrap_answer(&reply, StatusWord::OK).unwrap();
                let (body, sw) = host.unwrap_answer(&answer).unwrap();
                prop_assert_eq!(&body[..], &reply[..]);
                prop_assert!(sw.is_ok());
            }
        }

        #[test]
        fn a_flipped_bit_is_noticed(data in proptest::collection::vec(any::<u8>(), 1..40), at in any::<proptest::sample::Index>(), bit in 0_u8..8) {
            let (mut host, mut card) = (channel(), channel());
            let mut command = host.wrap_command(Header::step(7), &data).unwrap();
            // Le, the last byte, is outside the MAC.
            let at = at.index(command.len().saturating_sub(1));
            command[at] ^= 1 << bit;
            if let Ok(parsed) = ParsedCommand::parse(&command) {
                prop_assert_eq!(card.unwrap_command(&parsed), Err(Error::Crypto));
            }
        }
    }

    #[test]
    fn a_script_wrapped_in_one_go_is_answered_in_order() {
        let (mut host, mut card) = (channel(), channel());
        let first = host.wrap_command(Header::step(1), &[1]).unwrap();
        let mark = host.mark();
        let second = host.wrap_command(Header::step(2), &[2]).unwrap();
        card.unwrap_command(&ParsedCommand::parse(&first).unwrap())
            .unwrap();
        let one = card.wrap_answer(&[11], StatusWord::OK).unwrap();
        card.unwrap_command(&ParsedCommand::parse(&second).unwrap())
            .unwrap();
        let two = card.wrap_answer(&[22], StatusWord::OK).unwrap();
        assert_eq!(&host.unwrap_answer_at(&mark, &one).unwrap().0[..], [11]);
        assert_eq!(&host.unwrap_answer(&two).unwrap().0[..], [22]);
        assert_eq!(host.unwrap_answer_at(&mark, &two), Err(Error::Crypto));
    }
}
