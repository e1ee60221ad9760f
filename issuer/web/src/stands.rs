//! How things stand, in words and figures that several pages show: states, days that are left, instants, numbers.

use jiff::Timestamp;
use jiff::civil::Date;
use permit_domain::{ApplicationState, OrderState};
use program_contract::day;

use crate::frame::Frame;

/// The organ's time to issue, Decree 663 article 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) until: Date,
    pub(crate) days_left: i32,
}

impl Deadline {
    pub(crate) fn of(until: Option<Date>, today: Date) -> Option<Self> {
        let until = until?;
        let days_left = until.since(today).ok()?.get_days();
        Some(Self { until, days_left })
    }

    /// `over`, `near` within three days, `good`: said in words too, never by colour alone.
    pub(crate) const fn light(self) -> &'static str {
        match self.days_left {
            ..0 => "over",
            0..=3 => "near",
            _ => "good",
        }
    }
}

/// A citizen number as a list shows it: enough to tell cases apart, not enough to take one away.
pub(crate) fn masked(number: &str) -> String {
    let (first, last) = (number.get(..6), number.get(number.len().saturating_sub(2)..));
    format!(
        "{}··········{}",
        first.unwrap_or_default(),
        last.unwrap_or_default()
    )
}

/// An instant at the office, to the minute.
pub(crate) fn minute(at: Timestamp) -> String {
    let mut text = day::minute(at);
    // Every clock on these pages is the office's.
    text.truncate(text.rfind(' ').unwrap_or(text.len()));
    text
}

/// An application's state in words.
pub(crate) fn application_words(frame: &Frame, state: &ApplicationState) -> &'static str {
    match state {
        ApplicationState::Applied => frame.t("已收到", "applied"),
        ApplicationState::NeedsMore => frame.t("待补正", "needs more papers"),
        ApplicationState::Accepted { .. } => frame.t("已受理，待审核", "accepted, to be reviewed"),
        ApplicationState::Refused { .. } => frame.t("不予核定", "refused"),
        ApplicationState::Reviewed { .. } => frame.t("已审核，待审批", "reviewed, to be signed off"),
        ApplicationState::Approved { .. } => frame.t("已批准", "approved"),
        ApplicationState::Withdrawn => frame.t("已撤回", "withdrawn"),
    }
}

/// An order's state in words.
pub(crate) fn order_words(frame: &Frame, state: &OrderState) -> &'static str {
    match state {
        OrderState::Ordered => frame.t("待分配空白卡", "waits for a blank"),
        OrderState::Allocated { .. } => frame.t("待写卡", "to be encoded"),
        OrderState::Encoding { .. } => frame.t(
            "写卡未完成：请重新放卡",
            "encoding not finished: present the card again",
        ),
        OrderState::Encoded { .. } => frame.t("待绘制卡面", "to be drawn"),
        OrderState::Drawn { .. } => frame.t("待核验", "to be verified"),
        OrderState::Verified { .. } => frame.t("待发放", "to be handed over"),
        OrderState::HandingOver { .. } => frame.t(
            "发放未完成：请重新放卡",
            "hand-over not finished: present the card again",
        ),
        OrderState::HandedOver { .. } => frame.t("已发放", "handed over"),
        OrderState::GivenUp { .. } => frame.t("已放弃", "given up"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_list_does_not_show_when_somebody_was_born() {
        assert_eq!(masked("440106199003071012"), "440106··········12");
    }

    #[test]
    fn the_light_goes_from_good_to_near_to_over() {
        let until = Some(date(2026, 12, 10));
        let light = |day: i8| Deadline::of(until, date(2026, 12, day)).unwrap().light();
        assert_eq!(
            [light(1), light(6), light(7), light(10), light(11)],
            ["good", "good", "near", "near", "over"]
        );
        assert_eq!(Deadline::of(None, date(2026, 12, 1)), None);
    }
}
