//! The full screen of a running terminal: one colour, one big word, and below it what the staff need. Drawn from a
//! [`View`] alone, so that a test draws the same.
//!
//! No identity stands here, and no reason: whoever stands beside the holder reads the screen too. The reasons of the last
//! cards come up when the staff ask for them (key `d`).

use std::collections::VecDeque;
use std::fmt::Write as _;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use crate::program::args::Service;
use crate::program::run::glyphs::big;
use program_contract::money::Fen;

/// What the big part says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Waiting for a card.
    Ready,
    /// Accepted.
    Accepted,
    /// Paid.
    Paid,
    /// Refused: the one sentence.
    Station,
    /// The balance is too low.
    BalanceLow,
    /// The outcome of a purchase is unknown.
    SameCardAgain,
    /// The card went away too early.
    TapAgain,
    /// The terminal itself cannot serve.
    OutOfService,
}

impl Show {
    #[cfg(test)]
    pub(crate) const ALL: &'static [Self] = &[
        Self::Ready,
        Self::Accepted,
        Self::Paid,
        Self::Station,
        Self::BalanceLow,
        Self::SameCardAgain,
        Self::TapAgain,
        Self::OutOfService,
    ];

    /// Background and foreground. Colour never stands alone: the word and the sign say the same.
    fn colours(self) -> (Color, Color) {
        match self {
            Self::Ready => (Color::Rgb(12, 40, 84), Color::White),
            Self::Accepted | Self::Paid => (Color::Rgb(0, 112, 60), Color::White),
            Self::Station | Self::BalanceLow => (Color::Rgb(168, 24, 32), Color::White),
            Self::SameCardAgain | Self::TapAgain => (Color::Rgb(255, 191, 0), Color::Black),
            Self::OutOfService => (Color::Rgb(64, 64, 64), Color::White),
        }
    }

    /// How often the bell rings.
    pub(crate) fn bells(self) -> usize {
        match self {
            Self::Ready | Self::OutOfService => 0,
            Self::Accepted | Self::Paid => 1,
            Self::TapAgain => 2,
            Self::Station | Self::BalanceLow | Self::SameCardAgain => 3,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Ready => "",
            Self::Accepted | Self::Paid => "✓",
            Self::Station | Self::BalanceLow => "✗",
            Self::SameCardAgain | Self::TapAgain => "!",
            Self::OutOfService => "—",
        }
    }
}

/// Size and lines of the big words, and the English beside them.
pub(crate) fn words(show: Show) -> (usize, &'static [&'static str], &'static str) {
    match show {
        Show::Ready => (24, &["请刷卡"], "PLEASE PRESENT YOUR CARD"),
        Show::Accepted => (24, &["✓通过"], "ACCEPTED"),
        Show::Paid => (24, &["已付款"], "PAID"),
        Show::Station => (
            16,
            &["请持卡到", "派出所办理"],
            "PLEASE TAKE THIS CARD TO A STATION",
        ),
        Show::BalanceLow => (16, &["余额不足"], "THE BALANCE IS TOO LOW"),
        Show::SameCardAgain => (
            16,
            &["请再次出示", "同一张卡"],
            "PLEASE PRESENT THE SAME CARD AGAIN",
        ),
        Show::TapAgain => (16, &["请再刷一次"], "PLEASE PRESENT THE CARD ONCE MORE"),
        Show::OutOfService => (16, &["暂停服务"], "OUT OF SERVICE"),
    }
}

/// The same in one line, for a window whose lower part is taken by the details.
pub(crate) fn short(show: Show) -> &'static [&'static str] {
    match show {
        Show::Station => &["请到派出所"],
        Show::SameCardAgain => &["同一张卡"],
        _ => words(show).1,
    }
}

/// One of the last cards: no identity, no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) accepted: bool,
    pub(crate) code: String,
    pub(crate) ms: Option<u64>,
}

/// Everything on the screen.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) service: Service,
    pub(crate) terminal: String,
    pub(crate) show: Show,
    /// Lines for this card: what the staff read of a record, or a receipt.
    pub(crate) lines: Vec<String>,
    /// An amount, big.
    pub(crate) amount: Option<Fen>,
    /// What the clerk is typing.
    pub(crate) typed: Option<String>,
    pub(crate) accepted: u32,
    pub(crate) refused: u32,
    pub(crate) grace: u32,
    pub(crate) updates: u32,
    pub(crate) last: VecDeque<Last>,
    pub(crate) details: bool,
    /// p50, p95, p99 of the time to the decision, in milliseconds.
    pub(crate) times: Option<(u64, u64, u64)>,
    /// Age of the list in days, and how old it may be.
    pub(crate) list: Option<(i64, u16)>,
    pub(crate) list_old: bool,
    /// Days until the bundle ends.
    pub(crate) bundle_left: i64,
    /// Lines in amber: a wrong clock, an old list, the reader.
    pub(crate) warnings: Vec<String>,
}

fn title(service: Service) -> &'static str {
    match service {
        Service::Bus => "公交 BUS",
        Service::Door => "门禁 DOOR",
        Service::Clinic => "诊所 CLINIC",
        Service::Insurance => "社会保障 SOCIAL INSURANCE",
        Service::Shop => "商店 SHOP",
    }
}

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &View) {
    let (back, front) = view.show.colours();
    let style = Style::default().bg(back).fg(front);
    frame.render_widget(Block::new().style(style), frame.area());
    let warnings = u16::try_from(view.warnings.len()).unwrap_or(u16::MAX);
    let status = if view.details { 8 } else { 3 };
    let [head, body, warn, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(warnings),
        Constraint::Length(status),
    ])
    .areas(frame.area());
    draw_head(frame, head, view);
    draw_body(frame, body, view, style);
    let amber = Style::default()
        .bg(Color::Rgb(255, 191, 0))
        .fg(Color::Black)
        .add_modifier(Modifier::BOLD);
    let lines: Vec<Line<'_>> = view
        .warnings
        .iter()
        .map(|text| Line::from(format!(" ⚠ {text}")))
        .collect();
    frame.render_widget(Paragraph::new(lines).style(amber), warn);
    draw_foot(frame, foot, view);
}

fn bar() -> Style {
    Style::default()
        .bg(Color::Rgb(16, 16, 16))
        .fg(Color::Rgb(220, 220, 220))
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let left = format!(" {} · {}", title(view.service), view.terminal);
    frame.render_widget(
        Paragraph::new(left).style(bar().add_modifier(Modifier::BOLD)),
        area,
    );
}

fn draw_body(frame: &mut Frame<'_>, area: Rect, view: &View, style: Style) {
    let (size, long, english) = words(view.show);
    let bold = style.add_modifier(Modifier::BOLD);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut put = |text: String, style: Style| lines.push(Line::from(Span::styled(text, style)));
    let room = usize::from(area.height);
    // A clerk waiting with an amount sees the amount, big, and what is asked for in one line below.
    let amount_is_big = matches!((view.amount, view.show), (Some(_), Show::Ready)) || view.typed.is_some();
    if amount_is_big {
        let shown = match (&view.typed, view.amount) {
            (Some(typed), _) => typed.clone(),
            (None, Some(amount)) => amount.to_string(),
            (None, None) => String::new(),
        };
        for row in big(&shown, 24) {
            put(row, style);
        }
        put(String::new(), style);
        if view.typed.is_some() {
            put(
                "请输入金额（元），按回车 · TYPE THE AMOUNT IN YUAN, THEN ENTER".to_owned(),
                bold,
            );
        } else {
            put("元 CNY · 请刷卡 · PLEASE PRESENT YOUR CARD".to_owned(), bold);
        }
    } else {
        let rows = |lines: &[&str]| lines.len() * size.div_euclid(2);
        let chinese = if room >= rows(long) + 2 {
            long
        } else {
            short(view.show)
        };
        let big_rows = rows(chinese);
        if usize::from(area.width) >= 80 && room >= big_rows + 2 {
            for (place, word) in chinese.iter().enumerate() {
                if place > 0 && room > big_rows + 3 + view.lines.len() {
                    put(String::new(), style);
                }
                for row in big(word, size) {
                    put(row, style);
                }
            }
        } else {
            // A small window: plain letters are better than half a word.
            put(long.concat().replace('✓', ""), bold);
        }
        put(String::new(), style);
        let sign = view.show.sign();
        put(format!("{sign} {english} {sign}").trim().to_owned(), bold);
    }
    for text in &view.lines {
        put(text.trim().to_owned(), style);
    }
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
    let [middle] = Layout::vertical([Constraint::Length(height)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    frame.render_widget(
        Paragraph::new(lines).alignment(Alignment::Center).style(style),
        middle,
    );
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let mut lines = Vec::new();
    if view.details {
        lines.push(Line::from(
            " 最近结果，无身份 last results, without identities".to_owned(),
        ));
        for last in view.last.iter().take(4) {
            let mark = if last.accepted { "✓" } else { "✗" };
            let ms = last.ms.map_or_else(String::new, |ms| format!("{ms} ms"));
            lines.push(Line::from(format!("   {mark} {:<18} {ms}", last.code)));
        }
        while lines.len() < 5 {
            lines.push(Line::from(""));
        }
    }
    let marks: String = view
        .last
        .iter()
        .take(16)
        .map(|last| if last.accepted { '✓' } else { '✗' })
        .collect();
    let mut counts = format!(
        " 通过 accepted {} · 未通过 refused {}",
        view.accepted, view.refused
    );
    if view.grace > 0 {
        let _ = write!(counts, " · 宽限 grace {}", view.grace);
    }
    if view.updates > 0 {
        let _ = write!(counts, " · 更新 updates {}", view.updates);
    }
    lines.push(Line::from(format!("{counts} · {marks}")));
    let list = match view.list {
        Some((age, most)) => format!("{age}/{most} 天"),
        None => "无 none".to_owned(),
    };
    let times = view.times.map_or_else(String::new, |(p50, p95, p99)| {
        format!(" · p50 {p50} p95 {p95} p99 {p99} ms")
    });
    let ages = format!(
        " 名单 list {list} · 凭证包 bundle {} 天 days{times}",
        view.bundle_left
    );
    let warn = view.list_old || view.bundle_left < 7;
    let style = if warn {
        bar().fg(Color::Rgb(255, 191, 0))
    } else {
        bar()
    };
    lines.push(Line::from(Span::styled(ages, style)));
    let keys = match view.service {
        Service::Shop => " 数字 amount · g 放弃 give up · d 明细 details · b 铃 bell · q 退出 quit",
        _ => " d 明细 details · b 铃 bell · q 退出 quit",
    };
    lines.push(Line::from(keys));
    frame.render_widget(Paragraph::new(lines).style(bar()), area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::program::run::glyphs::glyph;

    fn view(show: Show) -> View {
        View {
            service: Service::Bus,
            terminal: "公交 42 路 3 号".to_owned(),
            show,
            lines: Vec::new(),
            amount: None,
            typed: None,
            accepted: 128,
            refused: 3,
            grace: 0,
            updates: 2,
            last: [(true, "ACCEPTED"), (false, "NOT_ACTIVE"), (true, "ACCEPTED")]
                .map(|(accepted, code)| Last {
                    accepted,
                    code: code.to_owned(),
                    ms: Some(43),
                })
                .into(),
            details: false,
            times: Some((43, 58, 71)),
            list: Some((1, 7)),
            list_old: false,
            bundle_left: 40,
            warnings: Vec::new(),
        }
    }

    fn drawn(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        // Without the backend's remarks on cells behind wide characters.
        let text = terminal.backend().to_string();
        let lines: Vec<&str> = text
            .lines()
            .map(|line| line.split(" Hidden by").next().unwrap())
            .collect();
        lines.join("\n")
    }

    #[test]
    fn every_big_word_has_all_its_characters_and_fits_eighty_columns() {
        for show in Show::ALL {
            let (size, lines, _) = words(*show);
            for line in lines.iter().chain(short(*show)) {
                for character in line.chars() {
                    assert!(glyph(character, size).is_some(), "{character} {size}");
                }
                let rows = big(line, size);
                assert_eq!(rows.len(), size / 2);
                assert!(rows.iter().all(|row| row.chars().count() <= 80), "{line}");
            }
        }
        for character in "0123456789.".chars() {
            assert!(glyph(character, 24).is_some());
        }
    }

    #[test]
    fn the_screens_are_as_they_were_looked_at() {
        for (name, view) in [
            ("ready", view(Show::Ready)),
            ("accepted", view(Show::Accepted)),
            ("station", view(Show::Station)),
            ("same_card_again", view(Show::SameCardAgain)),
            ("tap_again", view(Show::TapAgain)),
            (
                "out_of_service",
                View {
                    warnings: vec!["名单过旧 the deny list is missing or too old".to_owned()],
                    list: Some((12, 7)),
                    list_old: true,
                    ..view(Show::OutOfService)
                },
            ),
            (
                "paid",
                View {
                    service: Service::Shop,
                    terminal: "小店 1".to_owned(),
                    lines: vec!["金额 amount 12.50 · 原余额 before 200.00 · 余额 balance 187.50".to_owned()],
                    ..view(Show::Paid)
                },
            ),
            (
                "amount",
                View {
                    service: Service::Shop,
                    amount: Some(Fen(1250)),
                    ..view(Show::Ready)
                },
            ),
            (
                "details",
                View {
                    details: true,
                    warnings: vec!["时钟可能有误 the clock may be wrong: before 2026-11-20".to_owned()],
                    ..view(Show::Accepted)
                },
            ),
        ] {
            insta::assert_snapshot!(name, drawn(&view, 80, 24));
        }
    }

    #[test]
    fn every_screen_says_its_word_and_its_english_at_80_by_24_and_fits_smaller_windows() {
        for show in Show::ALL {
            let (_, _, english) = words(*show);
            for (width, height) in [(80, 24), (120, 40), (40, 12), (20, 6), (1, 1)] {
                let text = drawn(&view(*show), width, height);
                if width >= 80 {
                    assert!(text.contains(english), "{show:?} at {width} x {height}:\n{text}");
                    assert!(text.contains('█'), "{show:?} at {width} x {height}");
                }
            }
        }
    }

    #[test]
    fn to_whoever_stands_by_every_refusal_is_the_same() {
        let refused = |code: &str| {
            let mut view = view(Show::Station);
            view.last.push_front(Last {
                accepted: false,
                code: code.to_owned(),
                ms: Some(43),
            });
            drawn(&view, 80, 24)
        };
        assert_eq!(refused("DENIED"), refused("EXPIRED"));
        assert!(!refused("DENIED").contains("DENIED"));
    }
}
