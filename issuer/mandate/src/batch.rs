//! A list that is signed at once: at most 50 mandates, a SHA-256 tree over their digests (RFC 6962, section 2.1), one assertion over its
//! root, a proof of inclusion for each. Two of them are drawn behind the signature and signed singly: who signs lists without reading
//! is found soon.

use minicbor::{Decode, Encode};

use crate::error::MandateError;
use crate::sha256::{Digest, sha256};

/// Mandates in a list, at most.
pub const LARGEST: usize = 50;
/// Mandates of a list that are signed singly behind it.
pub const DRAWN: usize = 2;
/// What stands before what is signed of a list: it is never that of one mandate.
const DOMAIN: &[u8] = b"YZT-MANDATES-1";
const DRAW: &[u8] = b"YZT-MANDATES-DRAW-1";
/// Longest way from a leaf to the root: a tree of 50 has six levels.
const DEEPEST: usize = 6;

/// A list of mandates, by their digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    leaves: Vec<Digest>,
}

/// Where a mandate stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Proof {
    /// Its place, from 0.
    #[n(1)]
    index: u8,
    /// How many there are.
    #[n(2)]
    count: u8,
    /// The other side at each level, from the leaf up.
    #[n(3)]
    path: Vec<Side>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
struct Side(#[cbor(n(0), with = "minicbor::bytes")] Digest);

impl Batch {
    /// A list of these digests, in this order.
    ///
    /// # Errors
    /// [`MandateError::BatchSize`] for none, more than 50, or one twice.
    pub fn of(digests: &[Digest]) -> Result<Self, MandateError> {
        let mut distinct = digests.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        if digests.is_empty() || digests.len() > LARGEST || distinct.len() != digests.len() {
            return Err(MandateError::BatchSize);
        }
        Ok(Self {
            leaves: digests.iter().map(leaf).collect(),
        })
    }

    /// What is signed: SHA-256 over `YZT-MANDATES-1`, the number of mandates, and the root of the tree.
    #[must_use]
    pub fn digest(&self) -> Digest {
        signed(count(self.leaves.len()), &root(&self.leaves))
    }

    /// Where the mandate at this place stands.
    ///
    /// # Errors
    /// [`MandateError::NotInBatch`].
    pub fn proof(&self, index: usize) -> Result<Proof, MandateError> {
        if index >= self.leaves.len() {
            return Err(MandateError::NotInBatch);
        }
        let mut path = Vec::new();
        ways(&self.leaves, index, &mut path);
        Ok(Proof {
            index: count(index),
            count: count(self.leaves.len()),
            path,
        })
    }

    /// The places of those that are signed singly: they follow from the signature, and nobody chooses them. All of them, where there
    /// are no more than that.
    #[must_use]
    pub fn drawn(&self, signature: &[u8]) -> Vec<usize> {
        let mut left: Vec<usize> = (0..self.leaves.len()).collect();
        let mut drawn = Vec::new();
        let seed = sha256(&[DRAW, &self.digest(), signature]);
        for bytes in seed.chunks_exact(8).take(DRAWN) {
            if left.is_empty() {
                break;
            }
            let number = bytes
                .iter()
                .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
            let among = u64::try_from(left.len()).unwrap_or(1);
            let at = usize::try_from(number % among).unwrap_or(0);
            drawn.push(left.remove(at));
        }
        drawn.sort_unstable();
        drawn
    }
}

impl Proof {
    /// What was signed of the list, if the mandate with this digest is in it where the proof says.
    ///
    /// # Errors
    /// [`MandateError::NotInBatch`] for a proof that no list has.
    pub fn signed(&self, digest: &Digest) -> Result<Digest, MandateError> {
        let (index, all) = (usize::from(self.index), usize::from(self.count));
        if index >= all || all > LARGEST || self.path.len() > DEEPEST {
            return Err(MandateError::NotInBatch);
        }
        let mut sides = self.path.iter();
        let root = climb(index, all, leaf(digest), &mut sides).ok_or(MandateError::NotInBatch)?;
        if sides.next().is_some() {
            return Err(MandateError::NotInBatch);
        }
        Ok(signed(self.count, &root))
    }
}

fn signed(count: u8, root: &Digest) -> Digest {
    sha256(&[DOMAIN, &[count], root])
}

/// Lists have at most 50.
fn count(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn leaf(digest: &Digest) -> Digest {
    sha256(&[&[0], digest])
}

fn node(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[1], left, right])
}

/// The largest power of two below the number of leaves, of which there are at least two.
const fn split(leaves: usize) -> usize {
    let mut at = 1;
    while at * 2 < leaves {
        at *= 2;
    }
    at
}

fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => sha256(&[]),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(split(more.len()));
            node(&root(left), &root(right))
        }
    }
}

fn ways(leaves: &[Digest], index: usize, path: &mut Vec<Side>) {
    if leaves.len() < 2 {
        return;
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if index < left.len() {
        ways(left, index, path);
        path.push(Side(root(right)));
    } else {
        ways(right, index - left.len(), path);
        path.push(Side(root(left)));
    }
}

fn climb<'a>(
    index: usize,
    all: usize,
    leaf: Digest,
    sides: &mut impl Iterator<Item = &'a Side>,
) -> Option<Digest> {
    if all < 2 {
        return Some(leaf);
    }
    let at = split(all);
    if index < at {
        let left = climb(index, at, leaf, sides)?;
        Some(node(&left, &sides.next()?.0))
    } else {
        let right = climb(index - at, all - at, leaf, sides)?;
        Some(node(&sides.next()?.0, &right))
    }
}
