//! Who has which part of a stretch of memory: the buddy system (Knowlton 1965; Knuth, TAOCP 1, 2.5).
//!
//! Numbers only: a part is a power of two of units, and begins at a multiple of its size. Left out: the memory itself,
//! which [`heap`](crate::keys::arena::heap) owns.

/// Free parts, by size.
pub(crate) struct Buddy {
    /// First free part of each order, plus one; 0 for none.
    heads: [usize; Self::ORDERS],
    /// For the first unit of a free part: its neighbours in the list of its order, plus one each, and its order, plus one.
    next: Vec<usize>,
    before: Vec<usize>,
    order: Vec<u8>,
    top: usize,
}

impl Buddy {
    const ORDERS: usize = 32;

    /// Over 2^`top` units, all free.
    pub(crate) fn new(top: usize) -> Self {
        let units = 1 << top;
        let mut buddy = Self {
            heads: [0; Self::ORDERS],
            next: vec![0; units],
            before: vec![0; units],
            order: vec![0; units],
            top,
        };
        buddy.push(0, top);
        buddy
    }

    /// The smallest order whose parts hold so many units.
    pub(crate) fn order_of(units: usize) -> usize {
        units.max(1).next_power_of_two().trailing_zeros() as usize
    }

    /// Takes a part of 2^`order` units: its first unit. None when there is none.
    pub(crate) fn take(&mut self, order: usize) -> Option<usize> {
        let mut from = (order..=self.top).find(|order| self.heads[*order] != 0)?;
        let unit = self.heads[from] - 1;
        self.remove(unit, from);
        while from > order {
            from -= 1;
            self.push(unit + (1 << from), from);
        }
        Some(unit)
    }

    /// Gives a part back, and joins it with its buddy as long as that one is free too.
    pub(crate) fn give_back(&mut self, unit: usize, order: usize) {
        let (mut unit, mut order) = (unit, order);
        while order < self.top {
            let buddy = unit ^ (1 << order);
            if usize::from(self.order[buddy]) != order + 1 {
                break;
            }
            self.remove(buddy, order);
            unit = unit.min(buddy);
            order += 1;
        }
        self.push(unit, order);
    }

    fn push(&mut self, unit: usize, order: usize) {
        let head = std::mem::replace(&mut self.heads[order], unit + 1);
        self.next[unit] = head;
        self.before[unit] = 0;
        if head != 0 {
            self.before[head - 1] = unit + 1;
        }
        self.order[unit] = u8::try_from(order + 1).unwrap_or(0);
    }

    fn remove(&mut self, unit: usize, order: usize) {
        let (before, next) = (self.before[unit], self.next[unit]);
        if before == 0 {
            self.heads[order] = next;
        } else {
            self.next[before - 1] = next;
        }
        if next != 0 {
            self.before[next - 1] = before;
        }
        self.order[unit] = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOP: usize = 8;

    proptest! {
        #[test]
        fn no_two_parts_overlap_and_when_all_are_back_the_whole_is_free(steps in prop::collection::vec((any::<bool>(), 0usize..6), 1..200)) {
            let mut buddy = Buddy::new(TOP);
            let mut taken: Vec<(usize, usize)> = Vec::new();
            let mut owner = [false; 1 << TOP];
            for (takes, n) in steps {
                if takes {
                    let Some(unit) = buddy.take(n) else {
                        // Only where no aligned stretch of that size is free.
                        let free = (0..1 << TOP).step_by(1 << n).any(|start| !owner[start..start + (1 << n)].contains(&true));
                        prop_assert!(!free);
                        continue;
                    };
                    prop_assert_eq!(unit % (1 << n), 0);
                    for place in &mut owner[unit..unit + (1 << n)] {
                        prop_assert!(!*place);
                        *place = true;
                    }
                    taken.push((unit, n));
                } else if !taken.is_empty() {
                    let (unit, order) = taken.swap_remove(n % taken.len());
                    owner[unit..unit + (1 << order)].fill(false);
                    buddy.give_back(unit, order);
                }
            }
            for (unit, order) in taken {
                buddy.give_back(unit, order);
            }
            prop_assert_eq!(buddy.take(TOP), Some(0));
            prop_assert_eq!(buddy.take(0), None);
        }
    }

    #[test]
    fn an_order_holds_what_is_asked_for() {
        for (units, order) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1 << 20, 20)] {
            assert_eq!(Buddy::order_of(units), order, "{units}");
        }
    }
}
