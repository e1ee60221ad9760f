//! Four ways to tell a terminal which cards to refuse, over one fleet: the sorted list of chapter 08, Bloom filters, binary
//! fuse filters, and a two-level filter (clubcard: an approximate ribbon and an exact one over the known universe).
//!
//! Everything is counted: each structure is built for each share of denied cards on several days with independent hashes,
//! and asked for every card of the fleet. What it means is in `docs/deny-lists.md`.
//!
//!     cargo bench -p hardware-tests --bench deny_lists -- [--fleet N] [--days N] [--svg FILE]
//!
//! Left out: signatures (the same for all), and the time of a terminal's disk.

#![allow(clippy::print_stdout, reason = "the figures are the product")]

use std::collections::HashSet;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use card_applet_spec::codes::Role;
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::DenyList;
use clap::Parser;
use clubcard::builder::{ApproximateRibbon, ClubcardBuilder, ExactRibbon};
use clubcard::{AsQuery, Clubcard, Equation, Filterable, Queryable};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use xorf::{BinaryFuse8, BinaryFuse16, BinaryFuse32, Filter as _};

/// Shares of denied cards, per mille.
const SHARES: [usize; 3] = [1, 10, 50];
/// Places that fetch a list every day.
const SERVICE_POINTS: usize = 25_000;
/// Cards that no list knows: issued after it was made.
const UNKNOWN: usize = 1_000_000;
/// Denied cards leave the list when their record ends, a year after they came: as many come as go.
const DAYS_ON_LIST: usize = 365;
/// Limbs of an equation of the two-level filter, as in the filter that browsers use.
const LIMBS: usize = 4;

/// Arguments.
#[derive(Debug, Parser)]
struct Args {
    /// Cards of the fleet.
    #[arg(long, default_value_t = 4_000_000)]
    fleet: usize,
    /// Days on which each structure is built with fresh hashes.
    #[arg(long, default_value_t = 3)]
    days: u64,
    /// Writes the figure of the docs.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

type Pid = [u8; 16];

/// First 8 bytes of a pseudonym as a number: random already, so that one mixing with the day's salt is a hash.
fn prefix(pid: &Pid) -> u64 {
    u64::from_be_bytes(*pid.first_chunk().unwrap_or(&[0; 8]))
}

/// The finaliser of `SplitMix64`.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

const fn key(prefix: u64, salt: u64) -> u64 {
    mix(prefix ^ salt)
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    List,
    /// The same with fewer bytes of the pseudonym.
    Short {
        bytes: usize,
    },
    Bloom {
        bits: usize,
    },
    Fuse8,
    Fuse16,
    Fuse32,
    TwoLevel,
}

const KINDS: [Kind; 8] = [
    Kind::List,
    Kind::Short { bytes: 5 },
    Kind::Bloom { bits: 10 },
    Kind::Bloom { bits: 24 },
    Kind::Fuse8,
    Kind::Fuse16,
    Kind::Fuse32,
    Kind::TwoLevel,
];

impl Kind {
    fn name(self) -> String {
        match self {
            Self::List => "sorted list, 8 bytes".to_owned(),
            Self::Short { bytes } => format!("sorted list, {bytes} bytes"),
            Self::Bloom { bits } => format!("Bloom, {bits} bits"),
            Self::Fuse8 => "binary fuse, 8 bits".to_owned(),
            Self::Fuse16 => "binary fuse, 16 bits".to_owned(),
            Self::Fuse32 => "binary fuse, 32 bits".to_owned(),
            Self::TwoLevel => "two-level (clubcard)".to_owned(),
        }
    }
}

/// One structure, built for one day.
enum Built {
    List(Vec<u8>),
    Short { entries: Vec<u8>, bytes: usize },
    Bloom { words: Vec<u64>, hashes: u32 },
    Fuse8(BinaryFuse8),
    Fuse16(BinaryFuse16),
    Fuse32(BinaryFuse32),
    TwoLevel(Box<Clubcard<LIMBS, (), ()>>),
}

/// Seed, segment length, its mask, number of segments, as numbers of 8 and 4 bytes.
const FUSE_HEAD: usize = 8 + 3 * 4;

impl Built {
    fn build(kind: Kind, denied: &[Pid], fleet: &[Pid], salt: u64) -> Result<Self> {
        let keys = || -> Vec<u64> { denied.iter().map(|pid| key(prefix(pid), salt)).collect() };
        Ok(match kind {
            Kind::List => Self::List(sorted(denied, 8)),
            Kind::Short { bytes } => Self::Short {
                entries: sorted(denied, bytes),
                bytes,
            },
            Kind::Bloom { bits } => bloom(&keys(), bits),
            Kind::Fuse8 => Self::Fuse8(BinaryFuse8::try_from(&keys()).map_err(anyhow::Error::msg)?),
            Kind::Fuse16 => Self::Fuse16(BinaryFuse16::try_from(&keys()).map_err(anyhow::Error::msg)?),
            Kind::Fuse32 => Self::Fuse32(BinaryFuse32::try_from(&keys()).map_err(anyhow::Error::msg)?),
            Kind::TwoLevel => two_level(denied, fleet, salt),
        })
    }

    fn contains(&self, pid: &Pid, salt: u64) -> bool {
        let key = key(prefix(pid), salt);
        match self {
            Self::List(entries) => DenyList {
                role: Role::Transit,
                version: 1,
                issued: Date::NONE,
                max_age: 1,
                entries,
                grace: None,
            }
            .contains(pid),
            Self::Short { entries, bytes } => {
                let wanted = &pid[..*bytes];
                let (mut low, mut high) = (0, entries.len() / bytes);
                while low < high {
                    let middle = usize::midpoint(low, high);
                    match entries[middle * bytes..(middle + 1) * bytes].cmp(wanted) {
                        std::cmp::Ordering::Equal => return true,
                        std::cmp::Ordering::Less => low = middle + 1,
                        std::cmp::Ordering::Greater => high = middle,
                    }
                }
                false
            }
            Self::Bloom { words, hashes } => {
                places(key, *hashes, words.len()).all(|(word, bit)| words[word] & bit != 0)
            }
            Self::Fuse8(filter) => filter.contains(&key),
            Self::Fuse16(filter) => filter.contains(&key),
            Self::Fuse32(filter) => filter.contains(&key),
            Self::TwoLevel(card) => card.unchecked_contains(&Item::asked(key)),
        }
    }

    /// What a terminal would be sent, without head and signature.
    fn wire(&self) -> Vec<u8> {
        let of_words =
            |words: &[u64]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
        let fuse = |fingerprints: Vec<u8>| [vec![0; FUSE_HEAD], fingerprints].concat();
        match self {
            Self::List(entries) | Self::Short { entries, .. } => entries.clone(),
            Self::Bloom { words, .. } => of_words(words),
            Self::Fuse8(filter) => fuse(filter.fingerprints.to_vec()),
            Self::Fuse16(filter) => fuse(filter.fingerprints.iter().flat_map(|f| f.to_le_bytes()).collect()),
            Self::Fuse32(filter) => fuse(filter.fingerprints.iter().flat_map(|f| f.to_le_bytes()).collect()),
            Self::TwoLevel(card) => {
                let mut out: Vec<u8> = card
                    .approx_filter
                    .iter()
                    .flat_map(|column| of_words(column))
                    .collect();
                out.extend(of_words(&card.exact_filter));
                for entry in card.index.values() {
                    // Two lengths, two offsets, the rank, and what the equations could not say.
                    out.extend([0; 4 * 4 + 1]);
                    out.extend(entry.exceptions.concat());
                }
                out
            }
        }
    }
}

/// The first bytes of the pseudonyms, ascending, without repetition.
fn sorted(denied: &[Pid], bytes: usize) -> Vec<u8> {
    let mut entries: Vec<&[u8]> = denied.iter().map(|pid| &pid[..bytes]).collect();
    entries.sort_unstable();
    entries.dedup();
    entries.concat()
}

fn bloom(keys: &[u64], bits: usize) -> Built {
    let mut words = vec![0_u64; (keys.len() * bits).div_ceil(64).max(1)];
    // ln 2 bits of a key, rounded.
    let hashes = u32::try_from((bits * 693 + 500) / 1000).unwrap_or(1);
    for key in keys {
        for (word, bit) in places(*key, hashes, words.len()) {
            words[word] |= bit;
        }
    }
    Built::Bloom { words, hashes }
}

/// The bits of a key: word and mask (Kirsch and Mitzenmacher: two hashes make all).
fn places(key: u64, hashes: u32, words: usize) -> impl Iterator<Item = (usize, u64)> {
    let (first, second) = (mix(key), mix(key.wrapping_add(0x9E37_79B9_7F4A_7C15)) | 1);
    (0..hashes).map(move |i| {
        let hash = first.wrapping_add(second.wrapping_mul(u64::from(i)));
        // The high half of a product picks evenly; a word count fits 64 bits.
        let bit = (u128::from(hash) * (words as u128 * 64)) >> 64;
        let bit = usize::try_from(bit).unwrap_or(0);
        (bit / 64, 1 << (bit % 64))
    })
}

/// A card, for the two-level filter.
struct Item {
    key: u64,
    name: [u8; 8],
    denied: bool,
}

impl Item {
    fn asked(key: u64) -> Self {
        Self {
            key,
            name: key.to_be_bytes(),
            denied: false,
        }
    }

    fn known(key: u64, denied: bool) -> Self {
        Self {
            denied,
            ..Self::asked(key)
        }
    }
}

impl AsQuery<LIMBS> for Item {
    fn as_query(&self, m: usize) -> Equation<LIMBS> {
        let mut columns =
            [1, 2, 3, 4].map(|n: u64| mix(self.key.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15))));
        columns[0] |= 1;
        let start = (u128::from(mix(!self.key)) * m.max(1) as u128) >> 64;
        Equation::homogeneous(usize::try_from(start).unwrap_or(0), columns)
    }

    fn block(&self) -> &[u8] {
        &[]
    }

    fn discriminant(&self) -> &[u8] {
        &self.name
    }
}

impl Filterable<LIMBS> for Item {
    fn included(&self) -> bool {
        self.denied
    }
}

impl Queryable<LIMBS> for Item {
    type UniverseMetadata = ();
    type PartitionMetadata = ();

    fn in_universe(&self, (): &()) -> bool {
        true
    }
}

/// `fleet` begins with the denied cards.
fn two_level(denied: &[Pid], fleet: &[Pid], salt: u64) -> Built {
    let mut builder = ClubcardBuilder::<LIMBS, Item>::new();
    let mut approximate = builder.new_approx_builder(&[]);
    for pid in denied {
        approximate.insert(Item::known(key(prefix(pid), salt), true));
    }
    approximate.set_universe_size(fleet.len());
    builder.collect_approx_ribbons(vec![ApproximateRibbon::from(approximate)]);
    let mut exact = builder.new_exact_builder(&[]);
    for (index, pid) in fleet.iter().enumerate() {
        exact.insert(Item::known(key(prefix(pid), salt), index < denied.len()));
    }
    builder.collect_exact_ribbons(vec![ExactRibbon::from(exact)]);
    Built::TwoLevel(Box::new(builder.build::<Item>((), ())))
}

/// The figures of one structure at one share.
struct Row {
    name: String,
    share: usize,
    denied: usize,
    bytes: usize,
    /// Innocent cards of the fleet refused, each day.
    innocent: Vec<usize>,
    /// How many different ones over all days.
    distinct: usize,
    /// Of a million cards that the list does not know, the first day.
    unknown: usize,
    build: Duration,
    look_up_innocent: Duration,
    look_up_denied: Duration,
    /// Bytes that bring yesterday's structure to today's.
    delta: usize,
}

fn measure(kind: Kind, share: usize, fleet: &[Pid], unknown: &[Pid], days: u64) -> Result<Row> {
    let count = fleet.len() * share / 1000;
    let (denied, innocent) = fleet.split_at(count);
    let mut refused = Vec::new();
    let mut people = HashSet::new();
    let mut first = None;
    let mut fastest = Duration::MAX;
    for day in 0..days {
        // A list has no hash: its answer is the same every day.
        let salt = mix(0x59_5A54 + day);
        let start = Instant::now();
        let built = Built::build(kind, denied, fleet, salt)?;
        fastest = fastest.min(start.elapsed());
        ensure!(
            denied.iter().all(|pid| built.contains(pid, salt)),
            "{}: a denied card passes",
            kind.name()
        );
        let wrong = innocent
            .iter()
            .enumerate()
            .filter(|(_, pid)| built.contains(pid, salt))
            .map(|(index, _)| index);
        let mut today = 0;
        for index in wrong {
            people.insert(index);
            today += 1;
        }
        refused.push(today);
        first.get_or_insert((built, salt));
    }
    let (built, salt) = first.context("at least one day")?;
    Ok(Row {
        name: kind.name(),
        share,
        denied: count,
        bytes: built.wire().len(),
        innocent: refused,
        distinct: people.len(),
        unknown: unknown.iter().filter(|pid| built.contains(pid, salt)).count(),
        build: fastest,
        look_up_innocent: look_up(&built, salt, innocent),
        look_up_denied: look_up(&built, salt, denied),
        delta: delta(kind, &built, fleet, count, salt)?,
    })
}

/// Time of one look-up, over at least 100,000 cards in no order.
fn look_up(built: &Built, salt: u64, pids: &[Pid]) -> Duration {
    let asked: Vec<&Pid> = pids
        .iter()
        .cycle()
        .take(pids.len().clamp(100_000, 1_000_000))
        .collect();
    let start = Instant::now();
    for pid in &asked {
        black_box(built.contains(black_box(pid), salt));
    }
    start.elapsed() / u32::try_from(asked.len()).unwrap_or(u32::MAX)
}

/// A day later with the same hash: some cards came, as many went.
fn delta(kind: Kind, built: &Built, fleet: &[Pid], count: usize, salt: u64) -> Result<usize> {
    let moved = count.div_ceil(DAYS_ON_LIST);
    let whole = built.wire();
    // What came and what went, by name.
    match kind {
        Kind::List => return Ok((2 * moved * 8).min(whole.len())),
        Kind::Short { bytes } => return Ok((2 * moved * bytes).min(whole.len())),
        _ => {}
    }
    // The same order as before: denied first.
    let mut next = fleet.to_vec();
    for index in 0..moved {
        next.swap(index, count + index);
    }
    let after = Built::build(kind, &next[..count], &next, salt)?.wire();
    if after.len() != whole.len() {
        return Ok(after.len());
    }
    // A gap of 7 bits a byte and the new byte, for each byte that changed.
    let mut size = 0_usize;
    let mut last = 0_usize;
    for (at, _) in whole.iter().zip(&after).enumerate().filter(|(_, (a, b))| a != b) {
        let gap = (at - last).max(1);
        size += usize::try_from(gap.ilog2() / 7).unwrap_or(0) + 2;
        last = at;
    }
    Ok(size.min(after.len()))
}

/// 1234567 as `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Hundredths of `part / whole`.
fn hundredths(part: usize, whole: usize) -> String {
    let value = (part * 100 + whole / 2) / whole.max(1);
    format!("{}.{:02}", value / 100, value % 100)
}

fn mean(values: &[usize]) -> usize {
    let sum: usize = values.iter().sum();
    (sum + values.len() / 2) / values.len().max(1)
}

fn print(rows: &[Row], fleet: usize, days: u64) {
    println!(
        "fleet {}, {days} days with fresh hashes, {} unknown cards, {} service points\n",
        grouped(fleet),
        grouped(UNKNOWN),
        grouped(SERVICE_POINTS)
    );
    println!(
        "| denied | structure | bytes per denied card | bytes in all | GB a day to all points | changed bytes a day | innocent people sent to the station: a day | different ones in {days} days | of a million new cards | build ms | look-up ns: innocent | denied |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for row in rows {
        let per_mille = row.share;
        println!(
            "| {} ({}.{} %) | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            grouped(row.denied),
            per_mille / 10,
            per_mille % 10,
            row.name,
            hundredths(row.bytes, row.denied),
            grouped(row.bytes),
            hundredths(row.bytes * SERVICE_POINTS / 1_000_000, 1000),
            grouped(row.delta),
            grouped(mean(&row.innocent)),
            grouped(row.distinct),
            grouped(row.unknown),
            row.build.as_millis(),
            row.look_up_innocent.as_nanos(),
            row.look_up_denied.as_nanos(),
        );
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        args.fleet >= 10_000 && args.days >= 1,
        "a fleet of at least 10,000 cards, at least one day"
    );
    let mut rng = StdRng::seed_from_u64(20_261_122);
    let mut draw = |count: usize| -> Vec<Pid> {
        (0..count)
            .map(|_| {
                let mut pid = [0; 16];
                rng.fill_bytes(&mut pid);
                pid
            })
            .collect()
    };
    let (mut fleet, unknown) = (draw(args.fleet), draw(UNKNOWN));
    fleet.shuffle(&mut rng);
    let mut rows = Vec::new();
    for share in SHARES {
        for kind in KINDS {
            rows.push(measure(kind, share, &fleet, &unknown, args.days)?);
        }
    }
    print(&rows, args.fleet, args.days);
    if let Some(path) = args.svg {
        std::fs::write(&path, figure::draw(&rows))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// The figure: what a structure costs in bytes and in people.
mod figure {
    use std::fmt::Write as _;

    use super::{Row, SHARES, grouped, hundredths, mean};

    const ROW: usize = 22;
    const LEFT: usize = 190;
    const BAR: usize = 300;
    /// Bytes per denied card at the right end of a bar.
    const MOST: usize = 8;

    pub(super) fn draw(rows: &[Row]) -> String {
        let height = 70 + SHARES.len() * 34 + rows.len() * ROW;
        let mut out = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}" viewBox="0 0 860 {height}" font-family="sans-serif" font-size="12"><title>Deny lists: bytes per denied card, and innocent people refused each day</title><rect width="860" height="{height}" fill="white"/><text x="12" y="24" font-size="15">Deny lists: bytes per denied card (bar), innocent people sent to the station each day (right)</text>"#
        );
        let mut y = 48;
        for share in SHARES {
            let of_share: Vec<&Row> = rows.iter().filter(|row| row.share == share).collect();
            let denied = of_share.first().map_or(0, |row| row.denied);
            let _ = write!(
                out,
                r#"<text x="12" y="{}" font-weight="bold">{} cards denied ({}.{} %)</text>"#,
                y + 14,
                grouped(denied),
                share / 10,
                share % 10
            );
            y += 26;
            for row in of_share {
                let width = (row.bytes * BAR / (MOST * row.denied.max(1))).min(BAR);
                let people = mean(&row.innocent);
                // Blue sends nobody innocent; orange does; grey only people whose card is newer than the list.
                let (colour, cost) = match (people, row.unknown) {
                    (0, 0) => ("#2b6cb0", "0 people a day".to_owned()),
                    (0, unknown) => (
                        "#718096",
                        format!("0 people; of a million new cards {}", grouped(unknown)),
                    ),
                    _ => ("#c05621", format!("{} people a day", grouped(people))),
                };
                let _ = write!(
                    out,
                    r#"<text x="{}" y="{}" text-anchor="end">{}</text><rect x="{LEFT}" y="{}" width="{width}" height="14" fill="{colour}"/><text x="{}" y="{}">{} bytes, {} in all</text><text x="848" y="{}" text-anchor="end">{cost}</text>"#,
                    LEFT - 8,
                    y + 12,
                    row.name,
                    y + 1,
                    LEFT + width + 6,
                    y + 12,
                    hundredths(row.bytes, row.denied),
                    grouped(row.bytes),
                    y + 12,
                );
                y += ROW;
            }
            y += 8;
        }
        out.push_str("</svg>\n");
        out
    }
}
