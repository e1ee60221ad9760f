//! How things stand, in words and figures that several pages show: states, days that are left, instants, numbers.

use jiff::Timestamp;
use jiff::civil::Date;
use permit_domain::{
    AgentDocument, ApplicationState, CardStage, ChangeKind, ChangeState, Chip, Denial, EndOfCard, OrderState,
    PermitState, ScrapReason,
};
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

/// A permit's state in words.
pub(crate) fn permit_words(frame: &Frame, state: &PermitState) -> &'static str {
    match state {
        PermitState::Approved => frame.t("已批准，待制证", "approved, no card on order"),
        PermitState::InProduction { .. } => frame.t("制证中", "in production"),
        PermitState::Produced { .. } => frame.t("已制成，待发放", "produced, to be handed over"),
        PermitState::Active { .. } => frame.t("有效", "active"),
        PermitState::Suspended { .. } => frame.t("中止", "suspended"),
        PermitState::Ended { .. } => frame.t("已终止", "ended"),
    }
}

/// A card's state in words.
pub(crate) fn card_words(frame: &Frame, state: CardStage) -> &'static str {
    match state {
        CardStage::Allocated | CardStage::Encoded | CardStage::Printed => frame.t("制作中", "being made"),
        CardStage::Verified => frame.t("待发放", "to be handed over"),
        CardStage::HandedOver => frame.t("在用", "in use"),
        CardStage::Ended(EndOfCard::Lost) => frame.t("已挂失", "lost"),
        CardStage::Ended(EndOfCard::Damaged) => frame.t("已损坏", "damaged"),
        CardStage::Ended(EndOfCard::Returned) => frame.t("已交回", "returned"),
        CardStage::Ended(EndOfCard::Confiscated) => frame.t("已收缴", "confiscated"),
        CardStage::Ended(EndOfCard::Replaced) => frame.t("已换领", "replaced"),
        CardStage::Destroyed => frame.t("已销毁", "destroyed"),
    }
}

/// Why something is destroyed, in words.
pub(crate) fn reason_words(frame: &Frame, reason: ScrapReason) -> &'static str {
    match reason {
        ScrapReason::Chip => frame.t("芯片不可用", "the chip does not work"),
        ScrapReason::Print => frame.t("卡面印坏", "the print is spoilt"),
        ScrapReason::Mismatch => frame.t(
            "芯片、卡面与记录不符（疑似调换）",
            "chip, print and record do not agree: it may be swapped",
        ),
        ScrapReason::Damaged => frame.t("使用中损坏", "damaged in use"),
        ScrapReason::Returned => frame.t("交回", "given back"),
        ScrapReason::Replaced => frame.t("已换领新卡", "replaced"),
        ScrapReason::NotCollected => frame.t("逾期未领", "not fetched"),
        ScrapReason::Recalled => frame.t("厂商召回", "called back by its maker"),
        ScrapReason::Missing => frame.t("盘点查无，核销", "missing at a count: written off"),
    }
}

/// What an agent showed, in words.
pub(crate) fn document_words(frame: &Frame, document: AgentDocument) -> &'static str {
    match document {
        AgentDocument::IdentityCard => frame.t("居民身份证", "identity card"),
        AgentDocument::RegionPermit => frame.t(
            "港澳台居民居住证",
            "residence permit of Hong Kong, Macao or Taiwan",
        ),
        AgentDocument::Passport => frame.t("护照", "passport"),
        AgentDocument::ForeignerCard => {
            frame.t("外国人永久居留身份证", "foreigner's permanent residence card")
        }
    }
}

/// A chip of a card in words.
pub(crate) fn chip_words(frame: &Frame, chip: Chip) -> &'static str {
    match chip {
        Chip::Open => frame.t("正常", "open"),
        Chip::Blocked => frame.t("已锁定", "blocked"),
        Chip::Terminated => frame.t("已终止", "terminated"),
    }
}

/// Whether a card is on the deny lists, in words; nothing where it is not.
pub(crate) fn denial_words(frame: &Frame, denial: Denial) -> &'static str {
    match denial {
        Denial::No => "",
        Denial::Yes => frame.t("已列入拒绝名单", "on the deny lists"),
        Denial::Wanted | Denial::Lifting => frame.t(
            "拒绝名单待密钥库确认",
            "the vault has not confirmed the deny lists",
        ),
    }
}

/// A kind of change in words.
pub(crate) fn kind_words(frame: &Frame, kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Endorse => frame.t("签注", "Endorsement"),
        ChangeKind::Tier => frame.t("变更类别", "Another tier"),
        ChangeKind::Entitlement => frame.t("变更权益", "Entitlements"),
        ChangeKind::Address => frame.t("变更住址", "Another address"),
        ChangeKind::Rotate => frame.t("换密钥", "New keys"),
        ChangeKind::Load => frame.t("充值", "Load"),
        ChangeKind::Block => frame.t("锁定", "Block"),
        ChangeKind::Unblock => frame.t("解锁", "Unblock"),
        ChangeKind::End => frame.t("注销芯片", "End of the chip"),
    }
}

/// A change's state in words.
pub(crate) fn change_words(frame: &Frame, state: &ChangeState) -> &'static str {
    match state {
        ChangeState::Proposed => frame.t("待签批", "to be signed off"),
        ChangeState::Ordered => frame.t("待写卡", "to be written"),
        ChangeState::Queued => frame.t("由终端送达", "terminals deliver it"),
        ChangeState::Writing => frame.t(
            "写卡未完成：请重新放卡",
            "writing not finished: present the card again",
        ),
        ChangeState::Done { .. } => frame.t("已完成", "done"),
        ChangeState::GivenUp => frame.t("已放弃", "given up"),
        ChangeState::Expired => frame.t("已过期", "expired"),
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
