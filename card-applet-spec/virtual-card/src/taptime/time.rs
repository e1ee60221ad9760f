//! From work and bytes to milliseconds: the link (ISO/IEC 14443-2 type A, 14443-4), the platform, the primitives.

use serde::Serialize;

use crate::taptime::cards::Card;
use crate::taptime::work::{SetUp, Work};

/// Bit rates of ISO/IEC 14443, kbit/s.
pub const BIT_RATES: [u32; 4] = [106, 212, 424, 848];

/// Bit rate of the targets and of a gate, kbit/s.
pub const TARGET_BIT_RATE: u32 = 424;

/// What is assumed where nothing was measured. Printed with every result.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, clap::Args)]
pub struct Assumptions {
    /// Milliseconds that the platform takes to receive a command, choose the applet and call it
    #[arg(long, default_value_t = 3.0, value_name = "MS", value_parser = parse_time)]
    pub dispatch_ms: f64,
    /// Milliseconds from the field to the first command: wake-up, anticollision, protocol
    #[arg(long, default_value_t = 12.0, value_name = "MS", value_parser = parse_time)]
    pub activation_ms: f64,
    /// Longest frame of the link, bytes, overhead included
    #[arg(long, default_value_t = 256, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(16..=256))]
    pub frame: u32,
    /// Bytes that each frame carries besides its content: block byte and checksum
    #[arg(long, default_value_t = 3, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(3..=5))]
    pub frame_overhead: u32,
    /// Microseconds from the end of a frame to the beginning of the next one, each way
    #[arg(long, default_value_t = 86.0, value_name = "US", value_parser = parse_time)]
    pub turnaround_us: f64,
    /// When a key is set up: once for each key and tap, or at each change of key
    #[arg(long, value_enum, default_value_t)]
    pub key_set_up: SetUp,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            dispatch_ms: 3.0,
            activation_ms: 12.0,
            frame: 256,
            frame_overhead: 3,
            turnaround_us: 86.0,
            key_set_up: SetUp::Once,
        }
    }
}

impl Assumptions {
    /// Milliseconds on the link for a command and its answer of so many bytes. A byte is nine elementary time units of
    /// 128 / 13.56 MHz at 106 kbit/s. A message that is longer than a frame is chained: the receiver acknowledges each
    /// frame but the last with an empty one.
    #[must_use]
    pub(crate) fn link_ms(&self, sent: usize, answered: usize, bit_rate: u32) -> f64 {
        let content = (self.frame - self.frame_overhead) as usize;
        let frames: usize = [sent, answered]
            .iter()
            .map(|bytes| bytes.div_ceil(content).max(1) * 2 - 1)
            .sum();
        let bytes = sent + answered + frames * self.frame_overhead as usize;
        as_f64(bytes) * byte_ms(bit_rate) + as_f64(frames) * self.turnaround_us / 1000.0
    }
}

/// A time of the command line.
pub(crate) fn parse_time(text: &str) -> Result<f64, &'static str> {
    text.parse()
        .ok()
        .filter(|time: &f64| (0.0..=1000.0).contains(time))
        .ok_or("a time is a number from 0 to 1000")
}

/// Milliseconds for a byte with its parity bit.
fn byte_ms(bit_rate: u32) -> f64 {
    let etu_ms = 128.0 / 13_560.0;
    9.0 * etu_ms * 106.0 / f64::from(bit_rate)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a card moves thousands of bytes, not 2^52"
)]
const fn as_f64(count: usize) -> f64 {
    count as f64
}

/// Where the time goes, milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Time {
    /// Activation, and bytes and turnarounds on the link.
    pub link: f64,
    /// The platform, before the applet has the command.
    pub dispatch: f64,
    /// Set-up of symmetric keys.
    pub key_setup: f64,
    /// AES, CMAC, SHA-256, random bytes.
    pub symmetric: f64,
    /// P-256, with its keys.
    pub public_key: f64,
    /// Reading and writing of non-volatile memory.
    pub memory: f64,
}

impl Time {
    /// The parts in the order of the table and the chart.
    #[must_use]
    pub const fn parts(&self) -> [f64; 6] {
        [
            self.link,
            self.dispatch,
            self.key_setup,
            self.symmetric,
            self.public_key,
            self.memory,
        ]
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.parts().iter().sum()
    }

    /// Adds another command's time.
    pub fn add(&mut self, other: &Self) {
        self.link += other.link;
        self.dispatch += other.dispatch;
        self.key_setup += other.key_setup;
        self.symmetric += other.symmetric;
        self.public_key += other.public_key;
        self.memory += other.memory;
    }

    /// The time of one command on a card, without activation.
    #[must_use]
    pub fn of(
        work: &Work,
        (sent, answered): (usize, usize),
        card: &Card,
        assumptions: &Assumptions,
        bit_rate: u32,
    ) -> Self {
        let sum = |lengths: &[usize], cost: &dyn Fn(f64) -> f64| -> f64 {
            lengths.iter().map(|length| cost(as_f64(*length))).sum()
        };
        let writes: usize = work.written.iter().map(|bytes| bytes.div_ceil(256)).sum();
        Self {
            link: assumptions.link_ms(sent, answered, bit_rate),
            dispatch: assumptions.dispatch_ms,
            key_setup: f64::from(work.stored_key_set_ups + work.further_inits) * card.cipher_init
                + f64::from(work.session_key_set_ups) * (card.set_key + card.cipher_init)
                + f64::from(work.new_stored_keys) * card.set_key,
            symmetric: sum(&work.aes, &|bytes| card.aes(bytes))
                + sum(&work.cmac, &|bytes| card.cmac(bytes))
                + sum(&work.sha256, &|bytes| card.sha256(bytes))
                + sum(&work.random, &|_| card.random),
            public_key: f64::from(work.agreements) * (card.ecdh_init + card.ecdh)
                + f64::from(work.verifications) * (card.ecdsa_init + card.verify)
                + f64::from(work.key_generations) * card.key_generation
                + f64::from(work.points_set) * card.set_point,
            memory: as_f64(work.read) * card.read_256 / 256.0 + as_f64(writes) * card.write_256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_takes_what_the_standard_says() {
        let assumptions = Assumptions::default();
        // 85 microseconds a byte at 106 kbit/s (ISO/IEC 14443-2), two frames, two turnarounds.
        let ms = assumptions.link_ms(10, 2, 106);
        assert!((ms - (18.0 * 0.08496 + 0.172)).abs() < 0.001, "{ms}");
        // Four times the rate, a quarter of the bytes' time.
        let fast = assumptions.link_ms(10, 2, 424);
        assert!((fast - 0.172 - (ms - 0.172) / 4.0).abs() < 1e-9);
        // 258 bytes do not fit a frame of 256: three frames more than nothing, one of them an acknowledgement.
        let chained = assumptions.link_ms(10, 258, 424) - assumptions.link_ms(10, 253, 424);
        assert!((chained - (11.0 * 0.02124 + 0.172)).abs() < 0.001, "{chained}");
    }

    #[test]
    fn a_time_that_is_none_is_refused() {
        assert_eq!(parse_time("2.5"), Ok(2.5));
        for text in ["NaN", "inf", "-1", "1e9", "", "three"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
