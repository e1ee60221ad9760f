//! A refusal of the office in the words of a page. Where the office names a command of a shell or an id, a clerk at a browser gets the
//! page that does it, and the way to it.
//!
//! Left out: what only a shell does (terminals, the vault, the checks), where the office's own words stay; a way to a holder, who is looked
//! up for a purpose.

use issuer_office::error::OfficeError;
use permit_domain::{ApplicationId, ChangeId, OrderId, Refusal};
use program_contract::Failure;

use crate::frame::Frame;

/// What stands in the way, as a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InTheWay {
    Case(ApplicationId),
    Change(ChangeId),
    Order(OrderId),
}

impl InTheWay {
    /// Of an error that names it.
    pub(crate) fn of(error: &OfficeError) -> Option<Self> {
        let OfficeError::Refused(refusal) = error else {
            return None;
        };
        match refusal {
            Refusal::ApplicationOpen { application } => Some(Self::Case(*application)),
            Refusal::ChangeOpen { change } | Refusal::LaterLoad { change } => Some(Self::Change(*change)),
            Refusal::CardBeingMade { order } => Some(Self::Order(*order)),
            _ => None,
        }
    }

    /// Its address and what the link says.
    pub(crate) fn link(self, frame: &Frame) -> (String, &'static str) {
        match self {
            Self::Case(id) => (
                format!("/counter/cases/{id}"),
                frame.t("打开该案卷", "Open that case"),
            ),
            Self::Change(id) => (
                format!("/counter/changes/{id}"),
                frame.t("打开该变更", "Open that change"),
            ),
            Self::Order(id) => (
                format!("/counter/orders/{id}"),
                frame.t("打开该制证单", "Open that order"),
            ),
        }
    }
}

/// What happened and what to do, in Chinese and English.
type Words = ((&'static str, &'static str), (&'static str, &'static str));

/// What a page says of a failure: what happened, and what to do.
pub(crate) fn said(failure: &Failure, frame: &Frame) -> (String, String) {
    let (what_zh, action_zh) = &failure.chinese;
    let (mut what, mut action) = (
        frame.t(what_zh, &failure.message).to_owned(),
        frame.t(action_zh, &failure.action).to_owned(),
    );
    if let Some(((zh, en), to_do)) = refused(&failure.code) {
        frame.t(zh, en).clone_into(&mut what);
        frame.t(to_do.0, to_do.1).clone_into(&mut action);
    } else if let Some((zh, en)) = to_do(&failure.code) {
        frame.t(zh, en).clone_into(&mut action);
    }
    // A page is pressed, not run.
    let action = action
        .replace("再运行同一命令", "再按一次")
        .replace("再用同一张卡运行同一命令", "再用同一张卡按一次")
        .replace("用同一张卡再运行同一命令", "用同一张卡再按一次")
        .replace("run the same command again", "press it again")
        .replace("Run the same command again", "Press it again");
    (what, action)
}

/// Where the office names an id: the page has a link in its place.
fn refused(code: &str) -> Option<Words> {
    Some(match code {
        "ALREADY_HAS_PERMIT" => (
            ("此人已有居住证", "this person has a permit already"),
            (
                "请由变更经办人在“持证人”页面为该证办理签注、变更或补换领；还没有制卡的，可在其案卷页面更正或撤回。一人在本省只有一张居住证。",
                "A change clerk endorses it, changes it or replaces its card on the page of its holder; before it has a card, its application may be corrected or withdrawn on the page of the case. A person has one permit in the province.",
            ),
        ),
        "APPLICATION_OPEN" => (
            (
                "此人已有在办的申请",
                "this person has an open application already",
            ),
            (
                "请打开该案卷继续办理；填错的在案卷页面更正，申请人不办了的在那里撤回。",
                "Open that case and go on with it; what is wrong is corrected there, and what the applicant gives up is withdrawn there.",
            ),
        ),
        "CHANGE_OPEN" => (
            (
                "此卡已有一项同类变更在办",
                "a change of this kind is open for the card",
            ),
            (
                "请打开该变更：由制证人写卡（可能是上次办理的结果），或在那里放弃。",
                "Open that change: a producer writes it (it may be the outcome of an earlier try), or it is given up there.",
            ),
        ),
        "LATER_LOAD" => (
            (
                "此卡另有后一笔充值待写，写入时本笔一并到卡",
                "a later load of this card is on its way to it, and brings this one with it",
            ),
            (
                "请打开后一笔，由制证人写卡；不必放弃任何一笔。",
                "Open the later one, and have a producer write it; nothing is to be given up.",
            ),
        ),
        "CARD_BEING_MADE" => (
            ("此申请的卡正在制作", "the card of this application is being made"),
            (
                "请先由制证人在制证单页面作废该单：其卡销毁，卡号作废。",
                "Have a producer reject that order on its page first: its card is destroyed and its number spent.",
            ),
        ),
        "CARD_WAS_MADE" => (
            (
                "该居住证的卡已经发放",
                "the holder of this permit was given a card",
            ),
            (
                "申请保持原样：此后的变化由变更经办人在“持证人”页面变更，或在下一张卡上体现。",
                "Leave the application: what changes now is changed by a change clerk on the page of the holder, or with the next card.",
            ),
        ),
        _ => return None,
    })
}

/// Where the office names a command for what a page does.
fn to_do(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "LAST_DAY_OVER" => (
            "请先在“持证人”页面办理签注：补办签注后恢复使用功能。",
            "Endorse the permit first, on the page of its holder: a late endorsement restores it.",
        ),
        "CHANGE_EXPIRED" => (
            "请在“持证人”页面重新提出。",
            "Propose it again, on the page of the holder.",
        ),
        "MOVED" => (
            "请先在“持证人”页面变更住址。",
            "Change the address first, on the page of the holder.",
        ),
        "OTHER_APPLICANT" => (
            "更正须为同一申请人；号码本身填错的，请在案卷页面撤回该申请，再受理正确的申请。",
            "A correction is of the same person; where the number itself was wrong, withdraw the application on the page of the case and file the right one.",
        ),
        "PHOTO_CASE_OPEN" => (
            "照片库恢复后，请再按一次。",
            "When the photo store answers, press it again.",
        ),
        "ALLOWING_NOT_PROPOSED" => (
            "请由变更经办人在“持证人”页面提出。",
            "Have a change clerk propose it on the page of the holder.",
        ),
        "OTHER_CONTENT" => (
            "请在页面上重新阅读，按所读内容签署。",
            "Read it again on its page, and sign off what you read.",
        ),
        "NOT_COMPLETED" => (
            "请由受理人在案卷页面受理完毕；换领新卡须用新的照片。",
            "Have an intake clerk complete it on the page of the case; for a new card with a new photo.",
        ),
        "SIGNED_OTHERWISE" => (
            "请由受理人在案卷页面重新受理完毕，再经审核和审批。",
            "Have the intake completed again on the page of the case; it is reviewed and signed off anew.",
        ),
        "NO_RECEIPT" => (
            "请在案卷页面采集申请人照片。",
            "Take the applicant's photo on the page of the case.",
        ),
        "SESSION_ENDED" => ("请重新登录。", "Sign in again."),
        "ROLE_TAKEN" => (
            "请在“持证人”页面补换领：新卡载有新的用途。",
            "Replace the card on the page of the holder: the new one has the new roles.",
        ),
        "CARD_TOO_OLD" => (
            "请在“持证人”页面补换领，再由制证人下达制证单。",
            "Replace the card on the page of the holder, and have a producer order another one.",
        ),
        "WRONG_CONTENT" => (
            "请将此卡单独存放，在制证单页面作废该单并重新下达。请查找是否有第二张卡被调换。",
            "Keep the card aside, reject the order on its page, and order again. Look for a second card that was swapped.",
        ),
        "VAULT_NOT_RUNNING" => (
            "请通知系统管理员启动密钥库，再按一次。",
            "Ask the administrator of the system to start the vault, then press it again.",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use permit_domain::Refusal;

    use super::*;
    use crate::frame::View;

    #[test]
    fn a_refusal_that_a_page_answers_names_no_command_and_no_id() {
        let id = "01900000-0000-7000-8000-000000000001";
        let refusals = [
            Refusal::AlreadyHasPermit {
                permit: id.parse().unwrap(),
            },
            Refusal::ApplicationOpen {
                application: id.parse().unwrap(),
            },
            Refusal::ChangeOpen {
                change: id.parse().unwrap(),
            },
            Refusal::LaterLoad {
                change: id.parse().unwrap(),
            },
            Refusal::CardBeingMade {
                order: id.parse().unwrap(),
            },
            Refusal::CardWasMade {
                permit: id.parse().unwrap(),
            },
        ];
        let day = jiff::civil::date(2026, 12, 1);
        let errors = refusals.into_iter().map(OfficeError::from).chain([
            permit_domain::Error::LastDayOver { valid_to: day }.into(),
            permit_domain::Error::ChangeExpired { until: day }.into(),
            OfficeError::Moved,
            OfficeError::OtherApplicant,
            OfficeError::AllowingNotProposed,
            OfficeError::OtherContent,
            OfficeError::NotCompleted,
            OfficeError::SignedOtherwise,
            OfficeError::NoReceipt,
            OfficeError::SessionEnded,
        ]);
        for error in errors {
            let code = error.code();
            let failure = Failure::from(error);
            assert!(
                failure.action.contains("`issuer ")
                    || failure.message.contains(id)
                    || code == "OTHER_CONTENT"
            );
            for language in ["zh-CN", "en"] {
                let (what, action) = said(&failure, &Frame::of_nobody(View::read(language), false));
                for text in [&what, &action] {
                    assert!(!text.contains("`issuer ") && !text.contains(id), "{code}: {text}");
                }
            }
        }
    }
}
