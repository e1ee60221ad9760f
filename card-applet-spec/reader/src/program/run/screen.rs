//! The full screen of a running terminal: one colour, one big word, and below it what the staff need. Drawn from a
//! [`View`] alone, so that a test draws the same.
//!
//! No identity stands here, and no reason: whoever stands beside the holder reads the screen too. The reasons of the last
//! cards come up when the staff ask for them (key `d`).
//!
//! Every line is made for the window as it is: what does not fit goes on in the next one, and the big word gives way to what
//! the staff must read.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use card_reader::Told;

use crate::program::args::Service;
use crate::program::run::glyphs::{big, glyph};
use program_contract::language::Words;
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
    Office,
    /// No permit card.
    NotAPermitCard,
    /// The balance is too low.
    BalanceLow,
    /// The amount is above a limit.
    AboveLimit,
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
        Self::Office,
        Self::NotAPermitCard,
        Self::BalanceLow,
        Self::AboveLimit,
        Self::SameCardAgain,
        Self::TapAgain,
        Self::OutOfService,
    ];

    /// What a holder is told, on the screen.
    pub(crate) fn of(told: Told) -> Self {
        match told {
            Told::Office => Self::Office,
            Told::NotAPermitCard => Self::NotAPermitCard,
            Told::OutOfService => Self::OutOfService,
            Told::BalanceTooLow => Self::BalanceLow,
            Told::AboveLimit => Self::AboveLimit,
            Told::SameCardAgain => Self::SameCardAgain,
        }
    }

    /// Background and foreground. Colour never stands alone: the word and the sign say the same.
    fn colours(self) -> (Color, Color) {
        match self {
            Self::Ready => (Color::Rgb(12, 40, 84), Color::White),
            Self::Accepted | Self::Paid => (Color::Rgb(0, 112, 60), Color::White),
            Self::Office | Self::NotAPermitCard | Self::BalanceLow | Self::AboveLimit => {
                (Color::Rgb(168, 24, 32), Color::White)
            }
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
            Self::Office
            | Self::NotAPermitCard
            | Self::BalanceLow
            | Self::AboveLimit
            | Self::SameCardAgain => 3,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Ready => "",
            Self::Accepted | Self::Paid => "✓",
            Self::Office | Self::NotAPermitCard | Self::BalanceLow | Self::AboveLimit => "✗",
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
        Show::Office => (
            16,
            &["请持卡到", "受理点办理"],
            "PLEASE TAKE THIS CARD TO A PERMIT OFFICE",
        ),
        Show::NotAPermitCard => (16, &["这不是", "居住证卡"], "THIS IS NOT A PERMIT CARD"),
        Show::BalanceLow => (16, &["余额不足"], "THE BALANCE IS TOO LOW"),
        Show::AboveLimit => (16, &["超出限额"], "ABOVE THE LIMIT FOR ONE PAYMENT"),
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
        Show::Office => &["请到受理点"],
        Show::NotAPermitCard => &["不是居住证"],
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
    /// Why what was typed last is no amount.
    pub(crate) no_amount: Option<Words>,
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

/// Width of a text in cells: a Chinese character takes two.
fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text in as many lines as it needs, broken between words where there are any.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let room = room.max(2);
    let mut lines = vec![String::new()];
    for word in text.split_inclusive([' ', '、', '，', '。']) {
        let mut rest = word;
        loop {
            let line = lines.last_mut().map_or(0, |line| width(line));
            if line + width(rest.trim_end()) <= room {
                lines.last_mut().into_iter().for_each(|line| line.push_str(rest));
                break;
            }
            if line > 0 && width(rest.trim_end()) <= room {
                lines.push(String::new());
                continue;
            }
            // Longer than a line: cut where the room ends.
            let mut used = line;
            let fits = rest
                .char_indices()
                .find(|(_, character)| {
                    used += width(character.encode_utf8(&mut [0; 4]));
                    used > room
                })
                .map_or(rest.len(), |(at, _)| at);
            let (head, tail) = rest.split_at(fits);
            lines.last_mut().into_iter().for_each(|line| line.push_str(head));
            if tail.is_empty() {
                break;
            }
            lines.push(String::new());
            rest = tail;
        }
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

/// Parts of a line, joined by dots as far as they fit; what does not fit begins the next line.
fn joined(parts: &[String], room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        match lines.last_mut() {
            Some(line) if width(line) + 3 + width(part) <= room => {
                line.push_str(" · ");
                line.push_str(part);
            }
            _ => lines.extend(wrapped(part, room)),
        }
    }
    lines
}

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &View) {
    let (back, front) = view.show.colours();
    let style = Style::default().bg(back).fg(front);
    frame.render_widget(Block::new().style(style), frame.area());
    let room = usize::from(frame.area().width).saturating_sub(2);
    let foot_lines = foot(view, room);
    let warnings: Vec<Line<'_>> = view
        .warnings
        .iter()
        .flat_map(|text| wrapped(&format!("⚠ {text}"), room))
        .map(|text| Line::from(format!(" {text}")))
        .collect();
    let rows = |lines: usize| u16::try_from(lines).unwrap_or(u16::MAX);
    // In a very small window the word comes before everything else.
    let height = frame.area().height;
    let foot_rows = rows(foot_lines.len()).min(height.saturating_sub(3));
    let warning_rows = rows(warnings.len()).min(height.saturating_sub(foot_rows + 3));
    let [head, body, warn, below] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(warning_rows),
        Constraint::Length(foot_rows),
    ])
    .areas(frame.area());
    draw_head(frame, head, view);
    draw_body(frame, body, view, style);
    let amber = Style::default()
        .bg(Color::Rgb(255, 191, 0))
        .fg(Color::Black)
        .add_modifier(Modifier::BOLD);
    frame.render_widget(Paragraph::new(warnings).style(amber), warn);
    frame.render_widget(Paragraph::new(foot_lines).style(bar()), below);
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
    let (columns, room) = (usize::from(area.width), usize::from(area.height));
    let text_columns = columns.saturating_sub(2);
    let below: Vec<String> = view
        .lines
        .iter()
        .flat_map(|text| wrapped(text.trim(), text_columns))
        .collect();
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut put = |text: String, style: Style| lines.push(Line::from(Span::styled(text, style)));
    // A clerk waiting with an amount sees the amount, big, and what is asked for in one line below.
    let amount_is_big = matches!((view.amount, view.show), (Some(_), Show::Ready)) || view.typed.is_some();
    if amount_is_big {
        let shown = match (&view.typed, view.amount) {
            (Some(typed), _) => typed.clone(),
            (None, Some(amount)) => amount.to_string(),
            (None, None) => String::new(),
        };
        let why: Vec<String> = view
            .no_amount
            .iter()
            .flat_map(|Words(chinese, english)| [format!("✗ {chinese}"), english.to_string()])
            .flat_map(|text| wrapped(&text, text_columns))
            .collect();
        let rows = big(&shown, 24);
        // What the big letters have no form for is never left out of them.
        let whole = shown.chars().all(|character| glyph(character, 24).is_some());
        if whole && rows.iter().all(|row| width(row) <= columns) && room >= rows.len() + why.len() + 3 {
            for row in rows {
                put(row, style);
            }
        } else {
            for line in wrapped(&shown, text_columns) {
                put(line, bold);
            }
        }
        put(String::new(), style);
        let asked = if view.typed.is_some() {
            ["请输入金额（元），按回车", "TYPE THE AMOUNT IN YUAN, THEN ENTER"]
        } else {
            ["元 CNY · 请刷卡", "PLEASE PRESENT YOUR CARD"]
        };
        for line in why
            .into_iter()
            .chain(joined(&asked.map(str::to_owned), text_columns))
        {
            put(line, bold);
        }
    } else {
        let sign = view.show.sign();
        let english = wrapped(format!("{sign} {english} {sign}").trim(), text_columns);
        let needed = english.len() + below.len();
        // The largest form of the word that leaves room for what must be read.
        let form = [long, short(view.show)].into_iter().find_map(|words| {
            let rows: Vec<Vec<String>> = words.iter().map(|word| big(word, size)).collect();
            let wide = rows.iter().flatten().all(|row| width(row) <= columns);
            (wide && room > rows.iter().map(Vec::len).sum::<usize>() + needed).then_some(rows)
        });
        match form {
            Some(rows) => {
                let spare = room.saturating_sub(rows.iter().map(Vec::len).sum::<usize>() + needed + 2);
                for (place, rows) in rows.into_iter().enumerate() {
                    if place > 0 && spare > 0 {
                        put(String::new(), style);
                    }
                    for row in rows {
                        put(row, style);
                    }
                }
            }
            // A small window: plain letters are better than half a word.
            None => {
                for line in wrapped(&long.concat().replace('✓', ""), text_columns) {
                    put(line, bold);
                }
            }
        }
        put(String::new(), style);
        for line in english {
            put(line, bold);
        }
    }
    for line in below {
        put(line, style);
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

/// What the staff need, as lines.
fn foot(view: &View, room: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut put =
        |text: String, style: Style| lines.push(Line::from(Span::styled(format!(" {text}"), style)));
    if view.details {
        for line in wrapped("最近结果，无身份 last results, without identities", room) {
            put(line, bar());
        }
        for last in view.last.iter().take(4) {
            let mark = if last.accepted { "✓" } else { "✗" };
            let ms = last.ms.map_or_else(String::new, |ms| format!("{ms} ms"));
            put(format!("  {mark} {:<18} {ms}", last.code), bar());
        }
    }
    let marks: String = view
        .last
        .iter()
        .take(16)
        .map(|last| if last.accepted { '✓' } else { '✗' })
        .collect();
    let counted = |zh: &str, en: &str, number: u32| format!("{zh} {en} {number}");
    let mut counts = vec![
        counted("通过", "accepted", view.accepted),
        counted("未通过", "refused", view.refused),
    ];
    if view.grace > 0 {
        counts.push(counted("宽限", "grace", view.grace));
    }
    if view.updates > 0 {
        counts.push(counted("更新", "updates", view.updates));
    }
    counts.push(marks);
    for line in joined(&counts, room) {
        put(line, bar());
    }
    let list = match view.list {
        Some((age, most)) => format!("名单 list {age}/{most} 天 days"),
        None => "名单 list: 无 none".to_owned(),
    };
    let mut ages = vec![list, format!("凭证包 bundle {} 天 days", view.bundle_left)];
    if let Some((p50, p95, p99)) = view.times {
        ages.push(format!("p50 {p50} p95 {p95} p99 {p99} ms"));
    }
    let warn = view.list_old || view.bundle_left < 7;
    let style = if warn {
        bar().fg(Color::Rgb(255, 191, 0))
    } else {
        bar()
    };
    for line in joined(&ages, room) {
        put(line, style);
    }
    let mut keys = vec![
        "d 明细 details".to_owned(),
        "b 铃 bell".to_owned(),
        "q 退出 quit".to_owned(),
    ];
    if view.service == Service::Shop {
        keys.splice(
            0..0,
            [
                "数字 amount".to_owned(),
                "g 放弃 give up".to_owned(),
                "Esc 取消 cancel".to_owned(),
            ],
        );
    }
    for line in joined(&keys, room) {
        put(line, bar());
    }
    lines
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn view(show: Show) -> View {
        View {
            service: Service::Bus,
            terminal: "公交 42 路 3 号".to_owned(),
            show,
            lines: Vec::new(),
            amount: None,
            typed: None,
            no_amount: None,
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
            ("office", view(Show::Office)),
            ("not_a_permit_card", view(Show::NotAPermitCard)),
            (
                "clinic",
                View {
                    service: Service::Clinic,
                    terminal: "社康中心 7 号窗".to_owned(),
                    lines: clinic(),
                    ..view(Show::Accepted)
                },
            ),
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
            insta::assert_snapshot!(format!("{name}_40"), drawn(&view, 40, 20));
        }
    }

    /// What a clinic reads of a record.
    fn clinic() -> Vec<String> {
        [
            "  医疗服务 · 就业居住 · CLINIC · EMPLOYMENT",
            "  有效期 valid: 2026-11-21 – 2027-11-20",
            "  服务: 基本公共卫生服务、儿童预防接种、社区门诊",
            "  services: Basic public health service, Immunisation of children, Community outpatient care",
            "  档次 class: 2",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    #[test]
    fn what_must_be_read_is_whole_at_40_and_at_80_columns() {
        let full = View {
            service: Service::Shop,
            lines: clinic(),
            grace: 12,
            warnings: vec![
                "the terminal's clock is behind a day that it has seen. Set the clock of this machine."
                    .to_owned(),
            ],
            ..view(Show::Accepted)
        };
        for (columns, rows) in [(80, 24), (40, 30)] {
            let text = drawn(&full, columns, rows);
            let flat: String = text.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
            for part in [
                "ACCEPTED",
                "2026-11-21–2027-11-20",
                "社区门诊",
                "Communityoutpatientcare",
                "class:2",
                "Settheclockofthismachine.",
                "refused3",
                "grace12",
                "bundle40",
                "p9971ms",
                "giveup",
                "quit",
            ] {
                assert!(flat.contains(part), "{part} at {columns}:\n{text}");
            }
        }
    }

    #[test]
    fn what_a_clerk_types_stands_there_whole_and_why_it_is_no_amount() {
        let wrong = View {
            service: Service::Shop,
            typed: Some("12,5".to_owned()),
            no_amount: "12,5".parse::<Fen>().err(),
            ..view(Show::Ready)
        };
        for (columns, rows) in [(80, 24), (40, 20)] {
            let text = drawn(&wrong, columns, rows);
            let flat: String = text.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
            for part in ["12,5", "不写逗号", "hasnocomma", "请输入金额"] {
                assert!(flat.contains(part), "{part} at {columns}:\n{text}");
            }
        }
    }

    #[test]
    fn a_text_is_broken_between_words_and_loses_nothing() {
        for (text, room) in [
            ("a b c", 3),
            ("基本公共卫生服务、儿童预防接种", 10),
            ("averylongwordthatfitsnowhere at all", 7),
            ("", 5),
            ("宽 wide 宽宽宽", 2),
        ] {
            let lines = wrapped(text, room);
            assert!(lines.iter().all(|line| width(line) <= room), "{lines:?}");
            let bare = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            assert_eq!(bare(&lines.concat()), bare(text));
        }
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
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
            let mut view = view(Show::Office);
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
