//! The drawings of `docs/taptime.md` (SVG 1.1): stacked bars, one a card, with the target as a line across its bar.
//!
//! Fills differ in lightness and pattern, so that a print in grey can be read. Left out on purpose: anything that moves,
//! and fonts: the viewer's own are used.

use std::fmt::Write as _;

use crate::taptime::cards::Card;
use crate::taptime::report::{Report, TARGETS};
use crate::taptime::time::{BIT_RATES, TARGET_BIT_RATE, Time};

const WIDTH: f64 = 980.0;
/// Where bars begin and the axis ends, pixels.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 850.0;
const BAR: f64 = 17.0;
const BAR_GAP: f64 = 6.0;

/// Part of a bar: fill, 中文, English; in the order of [`Time::parts`].
const PARTS: [(&str, &str, &str); 6] = [
    ("#21364f", "链路", "link"),
    ("#dfe4e8", "调度", "dispatch"),
    ("url(#keys)", "密钥装载", "key set-up"),
    ("#9cc3d9", "对称密码", "symmetric"),
    ("url(#public)", "公钥密码", "public key"),
    ("#6f7a45", "存储器", "memory"),
];

struct Bar {
    label: String,
    time: Time,
    limit: Option<f64>,
}

struct Group {
    zh: String,
    en: String,
    bars: Vec<Bar>,
}

/// Bars on a scale of their own.
struct Panel {
    groups: Vec<Group>,
}

/// Each use of a card through doors F and S, at the bit rate of the targets.
#[must_use]
pub fn uses(report: &Report) -> String {
    let panel = |ids: &[&str]| Panel {
        groups: report
            .scenarios
            .iter()
            .filter(|scenario| ids.contains(&scenario.id))
            .map(|scenario| Group {
                zh: scenario.zh.to_owned(),
                en: scenario.en.to_owned(),
                bars: report
                    .cards
                    .iter()
                    .map(|card| Bar {
                        label: card.name.to_owned(),
                        time: scenario.time(card, &report.assumptions, TARGET_BIT_RATE),
                        limit: limit(scenario.id, card, TARGET_BIT_RATE),
                    })
                    .collect(),
            })
            .collect(),
    };
    drawing(
        &format!("每次用卡需要多久（模型，{TARGET_BIT_RATE} kbit/s）"),
        &format!("How long each use of a card takes (modelled, {TARGET_BIT_RATE} kbit/s)"),
        report,
        &[
            panel(&["tap", "tap_commit"]),
            panel(&["tap_update"]),
            panel(&["door_s_clinic", "door_s_social_insurance", "door_s_office"]),
            panel(&["door_s_person"]),
        ],
    )
}

/// TAP on each card at each bit rate.
#[must_use]
pub fn rates(report: &Report) -> String {
    let groups = report.scenario("tap").map_or_else(Vec::new, |tap| {
        report
            .cards
            .iter()
            .map(|card| Group {
                zh: "刷卡".to_owned(),
                en: format!("TAP, {}", card.name),
                bars: BIT_RATES
                    .iter()
                    .map(|bit_rate| Bar {
                        label: format!("{bit_rate} kbit/s"),
                        time: tap.time(card, &report.assumptions, *bit_rate),
                        limit: limit(tap.id, card, *bit_rate),
                    })
                    .collect(),
            })
            .collect()
    });
    drawing(
        "不同速率下的刷卡时间（模型）",
        "TAP at each bit rate (modelled)",
        report,
        &[Panel { groups }],
    )
}

fn limit(scenario: &str, card: &Card, bit_rate: u32) -> Option<f64> {
    TARGETS
        .iter()
        .find(|target| (target.scenario, target.card, TARGET_BIT_RATE) == (scenario, card.id, bit_rate))
        .map(|target| target.limit_ms)
}

/// What is drawn so far, and how far down.
struct Page {
    svg: String,
    y: f64,
}

impl Page {
    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        self.put(&format!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
        ));
    }

    fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        self.put(&format!(
            "<rect x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{height:.1}\" fill=\"{fill}\" \
             stroke=\"#333\" stroke-width=\"0.5\"/>"
        ));
    }

    fn line(&mut self, class: &str, x: f64, from: f64, to: f64) {
        self.put(&format!(
            "<line class=\"{class}\" x1=\"{x:.2}\" y1=\"{from:.1}\" x2=\"{x:.2}\" y2=\"{to:.1}\"/>"
        ));
    }

    fn put(&mut self, element: &str) {
        // Writing into a string does not fail.
        let _ = writeln!(self.svg, "{element}");
    }
}

const STYLE: &str = "text{font-family:'Noto Sans','Noto Sans CJK SC','Noto Sans SC','Source Han Sans SC','Microsoft YaHei','PingFang SC',sans-serif;font-size:12px;fill:#222}\
.title{font-size:18px;font-weight:bold}.sub{font-size:14px;fill:#444}.group{font-size:13px;font-weight:bold}\
.end{text-anchor:end}.mid{text-anchor:middle;font-size:11px;fill:#555}.note{font-size:11px;fill:#555}\
.grid{stroke:#ccc;stroke-width:1}.limit{stroke:#b00020;stroke-width:2.5}";

const PATTERNS: &str = "<defs>\
<pattern id=\"keys\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect width=\"6\" height=\"6\" fill=\"#f2b36b\"/><rect width=\"2.4\" height=\"6\" fill=\"#a4520d\"/></pattern>\
<pattern id=\"public\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">\
<rect width=\"5\" height=\"5\" fill=\"#5b7fb0\"/><circle cx=\"2.5\" cy=\"2.5\" r=\"1.1\" fill=\"#ffffff\"/></pattern>\
</defs>";

fn drawing(zh: &str, en: &str, report: &Report, panels: &[Panel]) -> String {
    let mut page = Page {
        svg: String::new(),
        y: 30.0,
    };
    page.text(20.0, 30.0, "title", zh);
    page.text(20.0, 52.0, "sub", en);
    let mut x = 20.0;
    for (fill, zh, en) in PARTS {
        page.rect(x, 68.0, 14.0, 14.0, fill);
        let label = format!("{zh} {en}");
        page.text(x + 20.0, 80.0, "legend", &label);
        x += 20.0 + text_width(&label) + 18.0;
    }
    page.line("limit", x + 2.0, 66.0, 84.0);
    page.text(x + 10.0, 80.0, "legend", "目标 target");
    page.y = 100.0;
    for panel in panels {
        draw_panel(&mut page, panel);
    }
    let assumptions = &report.assumptions;
    let note = format!(
        "假设 Assumed: activation {} ms, dispatch {} ms an APDU, frames of {} bytes, turnaround {} µs. \
         Card figures: JCAlgTest; see docs/taptime.md.",
        assumptions.activation_ms, assumptions.dispatch_ms, assumptions.frame, assumptions.turnaround_us
    );
    page.text(20.0, page.y + 14.0, "note", &note);
    let height = page.y + 28.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         role=\"img\" aria-label=\"{en}\">\n<style>{STYLE}</style>\n{PATTERNS}\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
        page.svg
    )
}

fn draw_panel(page: &mut Page, panel: &Panel) {
    let longest = panel
        .groups
        .iter()
        .flat_map(|group| &group.bars)
        .map(|bar| bar.time.total().max(bar.limit.unwrap_or(0.0)))
        .fold(1.0, f64::max);
    let step = step(longest);
    let end = (longest / step).ceil() * step;
    let at = |ms: f64| LEFT + (RIGHT - LEFT) * ms / end;
    let top = page.y + 14.0;
    let height: f64 = panel
        .groups
        .iter()
        .map(|group| 26.0 + f64::from(u32::try_from(group.bars.len()).unwrap_or(0)) * (BAR + BAR_GAP) + 6.0)
        .sum();
    let mut tick = 0.0;
    while tick <= end + step / 2.0 {
        page.line("grid", at(tick), top, top + height);
        page.text(at(tick), top - 4.0, "mid", &format!("{tick:.0}"));
        tick += step;
    }
    page.text(RIGHT + 34.0, top - 4.0, "mid", "ms");
    page.y = top;
    for group in &panel.groups {
        // The name stands on the grid: white below it keeps it readable.
        let name = format!("{}  {}", group.zh, group.en);
        page.put(&format!(
            "<rect x=\"18\" y=\"{:.1}\" width=\"{:.1}\" height=\"18\" fill=\"#ffffff\"/>",
            page.y + 5.0,
            text_width(&name) * 1.12 + 8.0
        ));
        page.text(20.0, page.y + 19.0, "group", &name);
        page.y += 26.0;
        for bar in &group.bars {
            draw_bar(page, bar, &at);
        }
        page.y += 6.0;
    }
    page.y += 12.0;
}

fn draw_bar(page: &mut Page, bar: &Bar, at: &dyn Fn(f64) -> f64) {
    let y = page.y;
    page.text(LEFT - 8.0, y + 13.0, "end", &bar.label);
    let mut ms = 0.0;
    for (part, (fill, ..)) in bar.time.parts().into_iter().zip(PARTS) {
        if part > 0.0 {
            page.rect(at(ms), y, at(ms + part) - at(ms), BAR, fill);
        }
        ms += part;
    }
    let mut label = format!("{ms:.0}");
    let mut right = at(ms);
    if let Some(limit) = bar.limit {
        page.line("limit", at(limit), y - 3.0, y + BAR + 3.0);
        right = right.max(at(limit));
        let sign = if ms <= limit { "≤" } else { ">" };
        label = format!("{ms:.1} {sign} {limit:.0}");
    }
    // White below the figure, which may stand on a line of the grid.
    page.put(&format!(
        "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"#ffffff\"/>",
        right + 4.0,
        text_width(&label) + 6.0
    ));
    page.text(right + 7.0, y + 13.0, "figure", &label);
    page.y += BAR + BAR_GAP;
}

/// Distance of the grid: about seven lines at 1, 2 or 5 times a power of ten.
fn step(longest: f64) -> f64 {
    let raw = longest / 7.0;
    let power = 10_f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step >= raw)
        .unwrap_or(raw)
}

/// About the width of a text of 12 pixels: Chinese is as wide as high, Latin about half.
fn text_width(text: &str) -> f64 {
    text.chars()
        .map(|letter| if letter.is_ascii() { 6.4 } else { 12.2 })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_round_distances() {
        for (longest, expected) in [
            (70.0, 10.0),
            (71.0, 20.0),
            (330.0, 50.0),
            (1900.0, 500.0),
            (7.0, 1.0),
        ] {
            assert!((step(longest) - expected).abs() < 1e-9, "{longest}");
        }
    }

    /// The page and its drawings are what this program says. `make taptime` writes them again.
    #[test]
    fn the_page_and_its_drawings_are_up_to_date() {
        let report = Report::make(
            crate::taptime::time::Assumptions::default(),
            crate::taptime::gate::Gate::default(),
            None,
        )
        .unwrap();
        let docs = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
        let read = |name: &str| std::fs::read_to_string(docs.join(name)).unwrap();
        let page = read("taptime.md");
        assert!(
            page.contains(&report.to_text(TARGET_BIT_RATE)),
            "docs/taptime.md is out of date: run `make taptime`"
        );
        for (name, drawn) in [
            ("images/taptime.svg", uses(&report)),
            ("images/taptime-rates.svg", rates(&report)),
        ] {
            assert_eq!(
                read(name),
                drawn,
                "docs/{name} is out of date: run `make taptime`"
            );
        }
    }
}
