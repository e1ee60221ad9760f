//! Ceilings: what the vault counts for each caller and day, and the most of it that a day gives.
//!
//! The numbers are for a province with a million permits in its busiest week; a caller's entry in the access list may lower
//! them. They stop a stolen service key before a province's worth has gone, and are no plan of work.

use minicbor::{Decode, Encode};
use service_contract::{Caller, Journal, Kind, Operation, Policy};

macro_rules! ceilings {
    ($($(#[$doc:meta])* $counted:ident $name:literal $zh:literal $per_day:literal,)+) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counted { $($(#[$doc])* $counted,)+ }

        impl Counted {
            /// All of it.
            pub const ALL: &'static [Self] = &[$(Self::$counted,)+];

            /// The name in policies, entries of the access list, rows and the journal; in the plural.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$counted => $name,)+ }
            }

            /// The name in Chinese.
            #[must_use]
            pub const fn zh(self) -> &'static str {
                match self { $(Self::$counted => $zh,)+ }
            }

            /// At most so many a day.
            #[must_use]
            pub const fn per_day(self) -> u32 {
                match self { $(Self::$counted => $per_day,)+ }
            }
        }
    };
}

ceilings! {
    /// Cards whose personalisation or rewrite is begun: twenty counters and a printing centre.
    Cards "cards" "写卡" 20_000,
    /// Backs of cards that are signed: a card, and one that was spoilt.
    Backs "backs" "卡背签名" 40_000,
    /// Orders that are accepted: two or three for a card.
    Orders "orders" "订单" 100_000,
    /// Changes that are sealed as updates: a rotation reaches a million cards in five days.
    Updates "updates" "更新" 200_000,
    /// Loads of purses.
    Loads "loads" "充值" 50_000,
    /// Money that is loaded, fen: five million yuan.
    Fen "fen" "充值金额（分）" 500_000_000,
    /// Cards that are denied or put out of use.
    Denials "denials" "拒绝" 20_000,
    /// Cards that are allowed again.
    Allows "allows" "解除拒绝" 1_000,
    /// Lot files, whoever submits their requests.
    Lots "lots" "批次文件" 100,
    /// Blanks in lot files, whoever submits their requests.
    Blanks "blanks" "空白卡" 200_000,
    /// Bundles of terminals: every clinic's, which lives for seven days.
    Bundles "bundles" "凭证包" 20_000,
    /// Batches of updates: every bus's and door's, each day.
    Batches "batches" "更新批次" 100_000,
    /// Keys of photos that are made.
    NewPhotoKeys "new photo keys" "新照片密钥" 100_000,
    /// Keys of photos that are opened.
    OpenedPhotoKeys "opened photo keys" "打开照片密钥" 500_000,
    /// Lines of terminals that are checked.
    Lines "lines" "结算记录" 20_000_000,
    /// New versions of one role's keys in one region, whoever asks for them.
    Rotations "rotations" "密钥轮换" 2,
}

impl Counted {
    /// Whether it is counted for who asks for an operation of this policy. Loads and their money are counted beside the updates and
    /// the rewrites that carry them.
    #[must_use]
    pub fn is_counted_by(self, policy: &Policy) -> bool {
        let carriers = [Self::Cards.name(), Self::Updates.name()];
        let is_carried = matches!(self, Self::Loads | Self::Fen);
        policy.ceiling.is_some_and(|ceiling| {
            ceiling.counted == self.name() || is_carried && carriers.contains(&ceiling.counted)
        })
    }
}

/// What was used of a ceiling today.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CeilingUse {
    /// The caller; or what it is counted for, whoever asks: `vault` for lots and blanks, role and region for rotations.
    #[n(0)]
    pub of: String,
    /// What is counted, as policies name it.
    #[n(1)]
    pub counted: String,
    /// So many are used; after a start the rest of a block too.
    #[n(2)]
    pub used: u64,
    /// So many a day gives.
    #[n(3)]
    pub most: u64,
}

impl CeilingUse {
    /// Whether four fifths are used, of which the journal has a line.
    #[must_use]
    pub fn is_near(&self) -> bool {
        self.used.saturating_mul(5) >= self.most.saturating_mul(4) && self.used > 0
    }
}

/// Lists what was used of every ceiling today: for each caller what its kind is counted for, and what is counted whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ceilings;

impl Operation for Ceilings {
    type Answer = Vec<CeilingUse>;
    const POLICY: Policy = Policy::of(&[Caller::KeyOfficer, Caller::Auditor], Journal::None)
        .only(Kind::Person)
        .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault ceilings"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_counted_has_a_name_of_its_own_in_the_plural_and_a_number() {
        for (n, counted) in Counted::ALL.iter().enumerate() {
            assert!(counted.name().ends_with('s') || *counted == Counted::Fen);
            assert!(counted.per_day() > 0);
            let again = |other: &&Counted| other.name() == counted.name() || other.zh() == counted.zh();
            assert_eq!(Counted::ALL[n..].iter().filter(again).count(), 1, "{counted:?}");
        }
    }
}
