//! Ceilings: what the vault counts for each caller and day, and the most of it that a day gives.
//!
//! The numbers are for a province with a million permits in its busiest week; a caller's entry in the access list may lower
//! them. They stop a stolen service key before a province's worth has gone, and are no plan of work.

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
    /// Lot files.
    Lots "lots" "批次文件" 100,
    /// Blanks in lot files.
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
