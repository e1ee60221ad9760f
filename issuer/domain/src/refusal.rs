//! What the state of the ledger does not allow, whatever the request's values: told with the thing that stands in the way.

use jiff::civil::Date;

use crate::identifiers::{ApplicationId, CardSerial, ChangeId, OrderId, PaperNumber, PermitId};
use crate::payment::TerminalNumber;

/// Why something is not done as the ledger stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The person has a permit that has not ended.
    #[error("the person already has the permit {permit}")]
    AlreadyHasPermit {
        /// Which one.
        permit: PermitId,
    },
    /// The person has an application that is still open.
    #[error("the person already has the open application {application}")]
    ApplicationOpen {
        /// Which one.
        application: ApplicationId,
    },
    /// A change of this kind is open for the card.
    #[error("the card has the open change {change} of this kind")]
    ChangeOpen {
        /// Which one.
        change: ChangeId,
    },
    /// A later load of the card is on its way, and brings this one with it.
    #[error("the load {change} of this card came later, is on its way to it, and brings this one with it")]
    LaterLoad {
        /// Which one.
        change: ChangeId,
    },
    /// The chip is not in stock: unknown, used before, or recalled.
    #[error("the blank {serial} is not in stock: {state}")]
    BlankNotInStock {
        /// Which chip.
        serial: CardSerial,
        /// `UNKNOWN`, `ALLOCATED`, `RECALLED` or `SCRAPPED` (also while it is only set aside).
        state: &'static str,
    },
    /// The terminal has no registration.
    #[error("no payment terminal has the registration number {} ({tid} in decimal)", TerminalNumber(*tid))]
    TerminalUnknown {
        /// The number.
        tid: u32,
    },
    /// No terminal of this name is registered for its counters.
    #[error("no terminal named {name} is registered for its counters")]
    NoCountingTerminal {
        /// The name.
        name: String,
    },
    /// A card is being made by this order.
    #[error("the order {order} makes the card of this application")]
    CardBeingMade {
        /// Which one.
        order: OrderId,
    },
    /// A card of the permit came into its holder's hand.
    #[error("the holder of the permit {permit} was given a card")]
    CardWasMade {
        /// Which permit.
        permit: PermitId,
    },
    /// The order's people are not those who decided the application.
    #[error("the production order names other people than those who reviewed and approved the application")]
    OtherPeople,
    /// The day was closed.
    #[error("the day {day} was closed")]
    DayClosed {
        /// Which day.
        day: Date,
    },
    /// What the day's report says now is not what was read.
    #[error("the day's report is not what was read any more")]
    ReportMoved,
    /// The paper cannot be of that day.
    #[error("the paper form {number} was given out on {from}, and today is {to}: its day lies between them")]
    PaperDay {
        /// Which form.
        number: PaperNumber,
        /// When it was given out.
        from: Date,
        /// Today.
        to: Date,
    },
    /// The form stands elsewhere than this step needs.
    #[error("the paper form {number} is {state}")]
    PaperForm {
        /// Which form.
        number: PaperNumber,
        /// Where it stands.
        state: &'static str,
    },
    /// The form is another division's.
    #[error("the paper form {number} is of another division than the residence")]
    PaperDivision {
        /// Which form.
        number: PaperNumber,
    },
    /// The service was evaluated.
    #[error("this service was evaluated")]
    Evaluated,
}

impl Refusal {
    /// A stable code for programs: upper case, from this closed list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AlreadyHasPermit { .. } => "ALREADY_HAS_PERMIT",
            Self::ApplicationOpen { .. } => "APPLICATION_OPEN",
            Self::ChangeOpen { .. } => "CHANGE_OPEN",
            Self::LaterLoad { .. } => "LATER_LOAD",
            Self::BlankNotInStock { .. } => "BLANK_NOT_IN_STOCK",
            Self::TerminalUnknown { .. } | Self::NoCountingTerminal { .. } => "TERMINAL_UNKNOWN",
            Self::CardBeingMade { .. } => "CARD_BEING_MADE",
            Self::CardWasMade { .. } => "CARD_WAS_MADE",
            Self::OtherPeople => "OTHER_PEOPLE",
            Self::DayClosed { .. } => "DAY_CLOSED",
            Self::ReportMoved => "REPORT_MOVED",
            Self::PaperDay { .. } => "PAPER_DAY",
            Self::PaperForm { .. } => "PAPER_FORM",
            Self::PaperDivision { .. } => "PAPER_DIVISION",
            Self::Evaluated => "EVALUATED",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::AlreadyHasPermit { .. } => {
                "Endorse it, or replace its card; before it has a card its application may be withdrawn or corrected (`issuer application withdraw`, `issuer application correct`). A person has one permit in the province."
            }
            Self::ApplicationOpen { .. } => {
                "Go on with that application; correct it with `issuer application correct`, or let the applicant withdraw it with `issuer application withdraw`."
            }
            Self::ChangeOpen { .. } => {
                "Finish that change with `issuer change write` (it may be the outcome of an earlier try), or give it up with `issuer change give-up`."
            }
            Self::LaterLoad { .. } => {
                "Write that later one with `issuer change write`: the card has both then; nothing is to be given up."
            }
            Self::BlankNotInStock { .. } => "Take another blank from the stock.",
            Self::TerminalUnknown { .. } | Self::NoCountingTerminal { .. } => {
                "Register the terminal with `issuer terminal register` first."
            }
            Self::CardBeingMade { .. } => {
                "Give that order up with `issuer give-up` first: its card is destroyed and its number spent."
            }
            Self::CardWasMade { .. } => {
                "Leave the application: what changes now is changed on the card, with `issuer change propose`, or with the next card."
            }
            Self::OtherPeople => "Order production with the reviewer and approver of the case.",
            Self::DayClosed { .. } => {
                "Nothing to do: what is done from now on stands in the report of the next day."
            }
            Self::ReportMoved => "Read the report again, and close the day with what it says now.",
            Self::PaperDay { .. } => "Type the day of acceptance that stands on the paper.",
            Self::PaperForm { .. } => {
                "Look at the form on the page of paper forms: a colleague may have gone on with it."
            }
            Self::PaperDivision { .. } => "Compare the number and the district of residence with the paper.",
            Self::Evaluated => "Nothing to do: each service is evaluated once.",
        }
    }

    /// What happened and what to do, in Chinese.
    #[must_use]
    pub fn chinese(&self) -> (String, &'static str) {
        match self {
            Self::AlreadyHasPermit { permit } => (
                format!("此人已有居住证 {permit}"),
                "请为该证签注或补换领；制卡之前可撤回或更正其申请（`issuer application withdraw`、`issuer application correct`）。一人在本省只有一张居住证。",
            ),
            Self::ApplicationOpen { application } => (
                format!("此人已有在办申请 {application}"),
                "请继续办理该申请；可用 `issuer application correct` 更正，或由申请人撤回（`issuer application withdraw`）。",
            ),
            Self::ChangeOpen { change } => (
                format!("此卡已有同类的在办变更 {change}"),
                "请用 `issuer change write` 办完该变更（可能是上次办理的结果），或用 `issuer change give-up` 放弃。",
            ),
            Self::LaterLoad { change } => (
                format!("此卡另有在途的后一笔充值 {change}，其中已含本笔"),
                "请用 `issuer change write` 写入后一笔：两笔都随之到卡；不必放弃任何一笔。",
            ),
            Self::BlankNotInStock { serial, state } => (
                format!("空白卡 {serial} 不在库存中：{state}"),
                "请另取一张库存空白卡。",
            ),
            Self::TerminalUnknown { tid } => (
                format!(
                    "没有登记编号为 {}（十进制 {tid}）的收款终端",
                    TerminalNumber(*tid)
                ),
                "请先用 `issuer terminal register` 登记该终端。",
            ),
            Self::NoCountingTerminal { name } => (
                format!("没有为计数登记名为 {name} 的终端"),
                "请先用 `issuer terminal register` 登记该终端。",
            ),
            Self::CardBeingMade { order } => (
                format!("制证单 {order} 正在制作该申请的卡"),
                "请先用 `issuer give-up` 放弃该制证单：其卡销毁，卡号作废。",
            ),
            Self::CardWasMade { permit } => (
                format!("居住证 {permit} 的持证人已领过卡"),
                "申请保持原样：此后的变化用 `issuer change propose` 在卡上变更，或在下一张卡上体现。",
            ),
            Self::OtherPeople => (
                "制证单所列的人不是该申请的审核人和审批人".to_owned(),
                "请按该案件的审核人和审批人下制证单。",
            ),
            Self::DayClosed { day } => (format!("{day} 已日结"), "不必处理：此后办理的计入下一日的日报。"),
            Self::ReportMoved => (
                "日报内容与所阅读的已不相同".to_owned(),
                "请重新阅读日报，按现在的内容日结。",
            ),
            Self::PaperDay { number, from, to } => (
                format!("纸质受理单 {number} 于 {from} 发出，今天是 {to}：受理日期应在两者之间"),
                "请录入纸上所写的受理日期。",
            ),
            Self::PaperForm { number, state } => (
                format!("纸质受理单 {number} 的状态为 {state}"),
                "请在纸质受理单页面查看：可能已由同事继续办理。",
            ),
            Self::PaperDivision { number } => (
                format!("纸质受理单 {number} 不属于居住地所在的区县"),
                "请将编号和居住地区县与纸质单核对。",
            ),
            Self::Evaluated => ("此项服务已评价".to_owned(), "不必处理：每项服务评价一次。"),
        }
    }
}
