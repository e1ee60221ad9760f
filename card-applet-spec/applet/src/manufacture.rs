//! Making a blank in a controlled room: serial, transport keys, a decoy slot, keys of nobody (chapters 02, 03, 05).

use card_applet_spec::bytes::{SliceWriter, Write};
use card_applet_spec::codes::Serial;
use card_applet_spec::kdf::KeySet;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::control::Control;
use crate::memory::{self, FACTORY, Half, MEMORY_LEN, Memory};
use crate::storage::fresh_counter;

/// What the controlled room puts onto a blank.
#[derive(Debug)]
pub struct Blank<'a> {
    /// Serial, from the lot.
    pub serial: Serial,
    /// Transport keys, from the lot file.
    pub transport: &'a KeySet,
}

/// Offsets inside the factory area.
pub(crate) mod layout {
    /// Serial.
    pub(crate) const SERIAL: usize = 4;
    /// G16 M16 of the decoy.
    pub(crate) const DECOY_KEYS: usize = 16;
    /// P224 of the decoy.
    pub(crate) const DECOY_PLAIN: usize = 48;
    /// ENC16 MAC16 DEK16 that nobody knows.
    pub(crate) const NOBODY: usize = 272;
    /// End of the random part.
    pub(crate) const END: usize = 320;
}

const MAGIC: [u8; 4] = *b"YZF1";

/// Turns `memory` into a blank card. Whatever it held is gone.
///
/// # Errors
/// [`crate::error::Error::Memory`] when it is too small or cannot be written; then it is no card.
pub fn manufacture(
    memory: &mut impl Memory,
    blank: &Blank<'_>,
    rng: &mut impl CryptoRng,
) -> Result<(), crate::error::Error> {
    if memory.len() < MEMORY_LEN {
        return Err(crate::error::Error::Memory);
    }
    // Zeroes first: a control block of an earlier life must not win by its generation.
    let zeros = [0; 64];
    let mut offset = 0_usize;
    while offset < MEMORY_LEN {
        let count = MEMORY_LEN.saturating_sub(offset).min(zeros.len());
        memory.write(offset, zeros.get(..count).unwrap_or_default())?;
        offset = offset.saturating_add(count);
    }
    let mut factory = Zeroizing::new([0; layout::END]);
    rng.fill_bytes(&mut *factory);
    let mut out = SliceWriter::new(&mut *factory);
    out.put(&MAGIC)
        .and_then(|()| out.put(&blank.serial.0))
        .map_err(|_| crate::error::Error::Memory)?;
    memory.write(FACTORY.offset, &*factory)?;
    let mut keys = Zeroizing::new([0; 48]);
    let mut out = SliceWriter::new(&mut *keys);
    [&blank.transport.enc, &blank.transport.mac, &blank.transport.dek]
        .into_iter()
        .try_for_each(|key| out.put(key.expose()))
        .map_err(|_| crate::error::Error::Memory)?;
    memory.write(memory::keys(Half::A).offset, &*keys)?;
    let counter = fresh_counter().map_err(|_| crate::error::Error::Memory)?;
    memory.write(memory::counter(Half::A).offset, &counter)?;
    let block = Control::BLANK.encode().map_err(|_| crate::error::Error::Memory)?;
    memory.write(memory::control(Half::A).offset, &block)?;
    Ok(())
}
