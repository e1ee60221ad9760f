//! The terminals as the vault has them, beside what came of their counters: who can do what until when, and what is due.
//!
//! Left out: bundles themselves, which officers hand out, and numbers (`counters`).

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::error::OfficeError;
use crate::office::Office;

/// Days before its end from which a bundle is due, where a terminal has one for longer than a fortnight.
const DUE_LONG: i64 = 14;
/// As [`DUE_LONG`], of a terminal with door S, whose bundles last a week.
const DUE_SHORT: i64 = 2;

/// A terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalStanding {
    /// Its name.
    pub name: String,
    /// `bus`, `clinic`, `door`, `counter`, `social-insurance` or `shop`.
    pub kind: &'static str,
    /// Regions of its last bundle, 6 digits each.
    pub regions: Vec<String>,
    /// Sequence of its last bundle.
    pub sequence: u32,
    /// The last day on which it reads cards.
    pub until: Option<Date>,
    /// The last day of its enrolment: behind it officers enrol it anew.
    pub enrolled_until: Option<Date>,
    /// The day on which it was revoked.
    pub revoked: Option<Date>,
    /// What it needs.
    pub due: Due,
    /// The last day of which its counters came in; none where none did.
    pub counted_to: Option<Date>,
    /// Operator and line on which it stands for its counters.
    pub line: Option<String>,
}

/// What a terminal needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A bundle: it serves nobody.
    Over,
    /// A bundle soon, with the deny list in it.
    Bundle,
    /// An enrolment soon, which officers make.
    Enrolment,
    /// Nothing.
    Nothing,
    /// Nothing any more.
    Revoked,
}

impl Office {
    /// The terminals, those that need something first.
    ///
    /// # Errors
    /// The vault's; the ledger's.
    pub async fn terminals(&self) -> Result<Vec<TerminalStanding>, OfficeError> {
        let today = self.clock.today();
        let known = self.vault_client().await?.terminals().await?;
        let mut ledger = self.read().await?;
        let counting = ledger.counting_terminals().await?;
        let counted = ledger.last_counted_days().await?;
        let mut standing: Vec<TerminalStanding> = known
            .into_iter()
            .map(|terminal| {
                let until = match (terminal.bundle_until, terminal.leaf_until) {
                    (Some(bundle), Some(leaf)) => Some(bundle.min(leaf)),
                    (one, other) => one.or(other),
                };
                let has_door_s = terminal.leaf_until.is_some();
                let due = due(
                    today,
                    until,
                    terminal.enrolled_until,
                    terminal.revoked.is_some(),
                    has_door_s,
                );
                let line = counting.iter().rfind(|one| one.name == terminal.name).map(|one| {
                    let place = [Some(&one.operator), one.line.as_ref()];
                    place.into_iter().flatten().cloned().collect::<Vec<_>>().join(" ")
                });
                TerminalStanding {
                    kind: terminal.kind.as_str(),
                    regions: terminal.regions.iter().map(ToString::to_string).collect(),
                    sequence: terminal.sequence,
                    enrolled_until: terminal.enrolled_until,
                    revoked: terminal.revoked,
                    counted_to: counted
                        .iter()
                        .find(|(name, _)| *name == terminal.name)
                        .map(|(_, day)| *day),
                    name: terminal.name,
                    until,
                    due,
                    line,
                }
            })
            .collect();
        standing.sort_by(|a, b| (a.due, a.until, &a.name).cmp(&(b.due, b.until, &b.name)));
        Ok(standing)
    }
}

fn due(today: Date, until: Option<Date>, enrolled: Option<Date>, is_revoked: bool, has_door_s: bool) -> Due {
    let within = |last: Option<Date>, days: i64| {
        let limit = today.checked_add(days.days()).unwrap_or(Date::MAX);
        last.is_some_and(|last| last <= limit)
    };
    let ahead = if has_door_s { DUE_SHORT } else { DUE_LONG };
    if is_revoked {
        Due::Revoked
    } else if until.is_none_or(|until| until < today) {
        Due::Over
    } else if within(enrolled, DUE_LONG) {
        Due::Enrolment
    } else if within(until, ahead) {
        Due::Bundle
    } else {
        Due::Nothing
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn what_is_over_comes_before_what_is_due_and_a_week_is_not_due_from_its_first_day() {
        let today = date(2026, 12, 1);
        let of = |until, enrolled, door_s| due(today, until, enrolled, false, door_s);
        let far = Some(date(2027, 6, 1));
        assert_eq!(of(None, far, false), Due::Over);
        assert_eq!(of(Some(date(2026, 11, 30)), far, false), Due::Over);
        assert_eq!(of(Some(today), far, true), Due::Bundle);
        assert_eq!(of(Some(date(2026, 12, 8)), far, true), Due::Nothing);
        assert_eq!(of(Some(date(2026, 12, 8)), far, false), Due::Bundle);
        assert_eq!(of(far, Some(date(2026, 12, 10)), false), Due::Enrolment);
        assert_eq!(of(far, far, false), Due::Nothing);
        assert_eq!(due(today, None, None, true, false), Due::Revoked);
        assert!(Due::Over < Due::Bundle && Due::Nothing < Due::Revoked);
    }
}
