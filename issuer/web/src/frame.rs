//! What is around every page: how somebody sees the pages, who is signed in, what waits for them.

use axum::http::HeaderMap;
use issuer_office::find_case::FINDS;
use issuer_office::staff::{Member, StaffRole};
use issuer_office::work::WorkList;
use program_contract::language::Language;

use crate::cookies::{VIEW, cookie};
use crate::roles::{ADMINISTERS, LOOKS, SEES};

/// How somebody sees the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) language: Language,
    /// Larger letters.
    pub(crate) large: bool,
    /// Black, white and thick lines.
    pub(crate) contrast: bool,
}

impl View {
    /// As the cookie says, else as the browser prefers; Chinese where it says neither.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let kept = cookie(headers, VIEW);
        let prefers = || {
            let accepts = headers.get("accept-language")?.to_str().ok()?;
            accepts.split([',', ';']).next().map(str::trim)
        };
        Self::read(kept.or_else(prefers).unwrap_or_default())
    }

    /// As [`Self::kept`] wrote it, or by a tag of a language alone.
    pub(crate) fn read(text: &str) -> Self {
        let mut parts = text.split('.');
        let language = match parts.next() {
            Some(tag) if tag.starts_with("en") => Language::English,
            _ => Language::Chinese,
        };
        let mut view = Self {
            language,
            large: false,
            contrast: false,
        };
        for part in parts {
            match part {
                "large" => view.large = true,
                "contrast" => view.contrast = true,
                _ => {}
            }
        }
        view
    }

    /// In a word, for the store and the cookie.
    pub(crate) fn kept(self) -> String {
        let tag = self.language.tag().unwrap_or("zh-CN");
        let large = if self.large { ".large" } else { "" };
        let contrast = if self.contrast { ".contrast" } else { "" };
        format!("{tag}{large}{contrast}")
    }

    /// Classes of the page.
    pub(crate) const fn classes(self) -> &'static str {
        match (self.large, self.contrast) {
            (false, false) => "",
            (true, false) => "large",
            (false, true) => "contrast",
            (true, true) => "large contrast",
        }
    }
}

/// A list of work in the navigation.
#[derive(Debug, Clone)]
pub(crate) struct ListLink {
    pub(crate) list: WorkList,
    pub(crate) count: u64,
}

/// What is around a page.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) view: View,
    pub(crate) rehearsal: bool,
    pub(crate) account: Option<String>,
    pub(crate) roles: Vec<StaffRole>,
    pub(crate) lists: Vec<ListLink>,
}

impl Frame {
    pub(crate) fn of_nobody(view: View, rehearsal: bool) -> Self {
        Self {
            view,
            rehearsal,
            account: None,
            roles: Vec::new(),
            lists: Vec::new(),
        }
    }

    pub(crate) fn of(self, member: &Member, waiting: &[(WorkList, u64)]) -> Self {
        let lists = waiting
            .iter()
            .filter(|(list, _)| list.roles().iter().any(|role| member.roles.contains(role)))
            .map(|&(list, count)| ListLink { list, count })
            .collect();
        Self {
            account: Some(member.account.to_string()),
            roles: member.roles.clone(),
            lists,
            ..self
        }
    }

    /// Around the pages of somebody who may enrol authenticators and nothing else.
    pub(crate) fn of_invited(self, account: &permit_domain::StaffId) -> Self {
        Self {
            account: Some(account.to_string()),
            ..self
        }
    }

    /// One of two texts, by the language in which somebody sees the pages.
    pub(crate) fn t<'a>(&self, chinese: &'a str, english: &'a str) -> &'a str {
        self.view.language.one(chinese, english)
    }

    /// The language of the page, as HTML names it.
    pub(crate) fn lang(&self) -> &'static str {
        self.view.language.one("zh-CN", "en")
    }

    /// The address of the style sheet and the scripts, which changes with them.
    #[expect(clippy::unused_self, reason = "templates reach it by the frame")]
    pub(crate) fn asset(&self, name: &str) -> String {
        crate::assets::address(name)
    }

    /// Whether the person serves holders of cards.
    pub(crate) fn serves(&self) -> bool {
        self.roles.contains(&StaffRole::ChangeClerk)
    }

    /// Whether the person brings accounts back.
    pub(crate) fn keeps_accounts(&self) -> bool {
        self.roles.contains(&StaffRole::Administrator)
    }

    /// Whether the person makes cards.
    pub(crate) fn produces(&self) -> bool {
        self.roles.contains(&StaffRole::Producer)
    }

    /// Whether the person hands cards over.
    pub(crate) fn hands_over(&self) -> bool {
        self.roles.contains(&StaffRole::HandOverClerk)
    }

    /// Whether the person settles with terminals.
    pub(crate) fn settles(&self) -> bool {
        self.roles.contains(&StaffRole::SettlementOfficer)
    }

    /// Whether the person takes applications.
    pub(crate) fn takes(&self) -> bool {
        self.roles.contains(&StaffRole::IntakeClerk)
    }

    /// Whether the person finds cases.
    pub(crate) fn finds(&self) -> bool {
        self.is_any(FINDS)
    }

    /// Whether the person has one of these roles.
    fn is_any(&self, roles: &[StaffRole]) -> bool {
        roles.iter().any(|role| self.roles.contains(role))
    }

    /// Whether the person sees how the office stands.
    pub(crate) fn sees(&self) -> bool {
        self.is_any(&SEES)
    }

    /// Whether the person looks whether everything can be reached.
    pub(crate) fn looks(&self) -> bool {
        self.is_any(&LOOKS)
    }

    /// Whether the person administers terminals.
    pub(crate) fn administers(&self) -> bool {
        self.is_any(&ADMINISTERS)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates lend what they have")]
    pub(crate) fn list_name(&self, list: &WorkList) -> &'static str {
        match list {
            WorkList::Complete => self.t("待受理完毕", "To complete"),
            WorkList::ConfirmPhoto => self.t("待确认照片", "Photos to confirm"),
            WorkList::Review => self.t("待审核", "To review"),
            WorkList::SignOff => self.t("待审批", "To sign off"),
            WorkList::Order => self.t("待制证", "To order"),
            WorkList::Production => self.t("制证中", "In production"),
            WorkList::HandOver => self.t("待发放", "To hand over"),
            WorkList::SignChange => self.t("变更待签批", "Changes to sign off"),
            WorkList::WriteChange => self.t("变更待写卡", "Changes to write"),
            WorkList::InDoubt => self.t("存疑的卡", "Cards in doubt"),
            WorkList::AllowCard => self.t("待恢复的卡", "Cards to allow again"),
            WorkList::Destroy => self.t("待销毁", "To destroy"),
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates lend what they have")]
    pub(crate) fn role_name(&self, role: &StaffRole) -> &'static str {
        match role {
            StaffRole::IntakeClerk => self.t("受理人", "Intake clerk"),
            StaffRole::Reviewer => self.t("审核人", "Reviewer"),
            StaffRole::Approver => self.t("审批人", "Approver"),
            StaffRole::Producer => self.t("制证人", "Producer"),
            StaffRole::HandOverClerk => self.t("发证人", "Hand-over clerk"),
            StaffRole::ChangeClerk => self.t("变更经办人", "Change clerk"),
            StaffRole::SettlementOfficer => self.t("结算员", "Settlement officer"),
            StaffRole::Auditor => self.t("审计员", "Auditor"),
            StaffRole::Chief => self.t("负责人", "Chief"),
            StaffRole::Administrator => self.t("管理员", "Administrator"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_without_a_wish_gets_chinese_and_the_cookie_goes_before_what_it_prefers() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| {
                    let name: axum::http::HeaderName = name.parse().unwrap();
                    (name, value.parse().unwrap())
                })
                .collect();
            View::of(&headers)
        };
        assert_eq!(of(&[]).language, Language::Chinese);
        assert_eq!(
            of(&[("accept-language", "de,en;q=0.5")]).language,
            Language::Chinese
        );
        assert_eq!(
            of(&[("accept-language", "en-GB,en;q=0.9")]).language,
            Language::English
        );
        let kept = of(&[("accept-language", "en"), ("cookie", "yzt_view=zh-CN.large")]);
        assert_eq!((kept.language, kept.large), (Language::Chinese, true));
        assert_eq!(kept.kept(), "zh-CN.large");
        for text in ["zh-CN", "en", "en.contrast", "zh-CN.large.contrast"] {
            assert_eq!(View::read(text).kept(), text);
        }
    }
}
