//! The card as a platform would link it: no std, no allocator, one function for C (`host.c` calls it).
//!
//! Left out on purpose: a real memory and a real random source, which the platform has; the ones here forget everything
//! and repeat themselves.
#![no_std]

use core::convert::Infallible;
use core::panic::PanicInfo;

use card_applet::{Applet, Blank, MEMORY_LEN, Memory, MemoryFault, manufacture};
use card_applet_spec::codes::Serial;
use card_applet_spec::kdf::KeySet;
use rand_core::{TryCryptoRng, TryRng};

#[panic_handler]
fn stopped(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Without the comparison of lengths that `copy_from_slice` panics on: both are as long.
fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

struct Ram([u8; MEMORY_LEN]);

impl Memory for Ram {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), MemoryFault> {
        let end = offset.checked_add(out.len()).ok_or(MemoryFault)?;
        copy(out, self.0.get(offset..end).ok_or(MemoryFault)?);
        Ok(())
    }

    fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), MemoryFault> {
        let end = offset.checked_add(data.len()).ok_or(MemoryFault)?;
        copy(self.0.get_mut(offset..end).ok_or(MemoryFault)?, data);
        Ok(())
    }
}

/// SplitMix64. Good enough to show that the card asks for nothing else; never for a card that anybody holds.
struct Repeating(u64);

impl TryRng for Repeating {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| word as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Ok(word ^ (word >> 31))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            *byte = self.try_next_u64()? as u8;
        }
        Ok(())
    }
}

impl TryCryptoRng for Repeating {}

/// Makes a blank, powers it on, gives it the commands one after the other (each a length byte and so many bytes) and
/// writes the last answer; gives its length, or 0 when something did not fit.
///
/// # Safety
/// `commands` must be readable for `length` bytes and `answer` writable for `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn card_answers(
    commands: *const u8,
    length: usize,
    answer: *mut u8,
    room: usize,
) -> usize {
    // SAFETY: the caller's promise.
    let (mut commands, answer) = unsafe {
        (
            core::slice::from_raw_parts(commands, length),
            core::slice::from_raw_parts_mut(answer, room),
        )
    };
    let mut memory = Ram([0xFF; MEMORY_LEN]);
    let transport = KeySet::from_bytes(&[0x40; 48]);
    let blank = Blank {
        serial: Serial([0, 1, 0, 0, 0, 42, 0, 0, 0, 7]),
        transport: &transport,
    };
    if manufacture(&mut memory, &blank, &mut Repeating(1)).is_err() {
        return 0;
    }
    let Ok(mut card) = Applet::power_on(memory, Repeating(2)) else {
        return 0;
    };
    let mut written = 0;
    while let Some((length, rest)) = commands.split_first() {
        let Some((command, rest)) = rest.split_at_checked(usize::from(*length)) else {
            return 0;
        };
        let bytes = card.process(command);
        let Some(out) = answer.get_mut(..bytes.len()) else {
            return 0;
        };
        copy(out, &bytes);
        written = bytes.len();
        commands = rest;
    }
    written
}
