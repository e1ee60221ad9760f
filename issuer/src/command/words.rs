//! The states of the office's work as a person reads them: the word, and in Chinese the code behind it, by which documents and
//! refusals name it.

use std::borrow::Cow;

use program_contract::language::Said;

/// A code with its word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coded<'a> {
    word: &'static str,
    code: &'a str,
}

impl Said for Coded<'_> {
    fn zh(&self) -> Cow<'_, str> {
        if self.word.is_empty() {
            return self.code.into();
        }
        format!("{}（{}）", self.word, self.code).into()
    }

    fn en(&self) -> Cow<'_, str> {
        self.code.into()
    }

    /// Chinese has the code already.
    fn both(&self) -> String {
        self.zh().into_owned()
    }
}

/// The state of an application.
pub(super) fn of_application(code: &str) -> Coded<'_> {
    let word = match code {
        "APPLIED" => "已申请",
        "NEEDS_MORE" => "待补正",
        "ACCEPTED" => "已受理",
        "REFUSED" => "不予核定",
        "REVIEWED" => "已审核",
        "APPROVED" => "已签批",
        "WITHDRAWN" => "已撤回",
        _ => "",
    };
    Coded { word, code }
}

/// The state of a production order.
pub(super) fn of_order(code: &str) -> Coded<'_> {
    let word = match code {
        "ORDERED" => "已下制证单",
        "ALLOCATED" => "已分配卡号",
        "ENCODING" => "写卡中",
        "ENCODED" => "已写卡",
        "DRAWN" => "已绘制卡面",
        "VERIFIED" => "已核验",
        "HANDING_OVER" => "发证中",
        "HANDED_OVER" => "已发证",
        "GIVEN_UP" => "已放弃",
        _ => "",
    };
    Coded { word, code }
}

/// The state of a card.
pub(super) fn of_card(code: &str) -> Coded<'_> {
    let word = match code {
        "PRINTED" => "已印制",
        "LOST" => "已挂失",
        "DAMAGED" => "已损坏",
        "RETURNED" => "已交回",
        "CONFISCATED" => "已收缴",
        "REPLACED" => "已换领",
        "DESTROYED" => "已销毁",
        _ => return of_order(code),
    };
    Coded { word, code }
}

/// Whether a card is on the deny lists.
pub(super) fn of_denial(code: &str) -> Coded<'_> {
    let word = match code {
        "NO" => "未列入",
        "WANTED" => "待列入",
        "YES" => "已列入",
        "LIFTING" => "待移出",
        _ => "",
    };
    Coded { word, code }
}

/// How a card's chip stands.
pub(super) fn of_chip(code: &str) -> Coded<'_> {
    let word = match code {
        "OPEN" => "可用",
        "BLOCKED" => "已锁定",
        "TERMINATED" => "已终止",
        _ => "",
    };
    Coded { word, code }
}

/// The kind of a change.
pub(super) fn of_kind(code: &str) -> Coded<'_> {
    let word = match code {
        "ENDORSE" => "签注",
        "TIER" => "变更类别",
        "ENTITLEMENT" => "变更权益",
        "ADDRESS" => "变更住址",
        "ROTATE" => "换密钥",
        "LOAD" => "充值",
        "BLOCK" => "锁定",
        "UNBLOCK" => "解锁",
        "END" => "注销",
        _ => "",
    };
    Coded { word, code }
}

/// The state of a change.
pub(super) fn of_change(code: &str) -> Coded<'_> {
    let word = match code {
        "PROPOSED" => "待签批",
        "ORDERED" => "待写卡",
        "QUEUED" => "待送达",
        "WRITING" => "写卡中",
        "DONE" => "已完成",
        "GIVEN_UP" => "已放弃",
        "EXPIRED" => "已过期",
        _ => "",
    };
    Coded { word, code }
}

/// The state of a photo.
pub(super) fn of_photo(code: &str) -> Coded<'_> {
    let word = match code {
        "WAITING" => "待确认",
        "SEALED" => "已封存",
        "SUPERSEDED" => "已被替换",
        "SHREDDED" => "已销毁",
        _ => "",
    };
    Coded { word, code }
}

#[cfg(test)]
mod tests {
    use permit_domain::{ChangeKind, OrderState};
    use program_contract::Language;

    use super::*;

    #[test]
    fn a_state_is_told_with_its_word_and_never_without_its_code() {
        let verified = of_order("VERIFIED");
        assert_eq!(Language::Chinese.text(&verified), "已核验（VERIFIED）");
        assert_eq!(Language::English.text(&verified), "VERIFIED");
        assert_eq!(Language::Both.text(&verified), "已核验（VERIFIED）");
        assert_eq!(Language::Chinese.text(&of_order("NEW")), "NEW");
        assert_eq!(
            Language::Chinese.text(&of_kind(ChangeKind::Endorse.name())),
            "签注（ENDORSE）"
        );
        assert_eq!(
            Language::Chinese.text(&of_card(OrderState::Ordered.name())),
            "已下制证单（ORDERED）"
        );
    }
}
