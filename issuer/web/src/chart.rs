//! Plots as SVG that the server makes: bars lying down, one inside the other, and columns. No script and no style inside: colours and
//! letters are the style sheet's, numbers stand beside what shows them.
//!
//! Left out: axes with ticks. Every bar says its own number.

use std::fmt::Write as _;

/// Width of a plot, units.
const WIDTH: i64 = 420;
/// Room for the words before a bar, units.
const LABELS: i64 = 94;
/// Room for the numbers behind it, units.
const NUMBERS: i64 = 116;
/// Height of a row of bars, units.
const ROW: i64 = 34;
/// Height of the columns, units.
const TALL: i64 = 120;

/// A bar with another one inside it.
pub(crate) struct Bar {
    pub(crate) label: String,
    /// What the longer bar stands for.
    pub(crate) outer: i64,
    /// What the one inside stands for.
    pub(crate) inner: i64,
    /// Both, in words.
    pub(crate) says: String,
}

/// Bars that lie one below the other, all on one scale.
pub(crate) fn bars(title: &str, bars: &[Bar]) -> String {
    let most = bars
        .iter()
        .map(|bar| bar.outer.max(bar.inner))
        .max()
        .unwrap_or(0)
        .max(1);
    let height = ROW * i64::try_from(bars.len()).unwrap_or(0) + 4;
    let mut svg = begin(title, height);
    let room = WIDTH - LABELS - NUMBERS;
    for (row, bar) in bars.iter().enumerate() {
        let top = ROW * i64::try_from(row).unwrap_or(0);
        let long = |value: i64| (value.max(0) * room + most / 2) / most;
        let (outer, inner) = (long(bar.outer), long(bar.inner));
        let middle = top + ROW / 2 + 5;
        let _ = write!(
            svg,
            r#"<text class="label" x="{}" y="{middle}" text-anchor="end">{}</text><rect class="track" x="{LABELS}" y="{}" width="{room}" height="20" rx="2"/><rect class="outer" x="{LABELS}" y="{}" width="{outer}" height="20" rx="2"/><rect class="inner" x="{LABELS}" y="{}" width="{inner}" height="8" rx="1"/><text class="value" x="{}" y="{middle}">{}</text>"#,
            LABELS - 10,
            escaped(&bar.label),
            top + 7,
            top + 7,
            top + 13,
            WIDTH - NUMBERS + 10,
            escaped(&bar.says),
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Columns beside each other: what stands below each, and how many.
pub(crate) fn columns(title: &str, columns: &[(String, i64)]) -> String {
    let most = columns.iter().map(|(_, value)| *value).max().unwrap_or(0).max(1);
    let mut svg = begin(title, TALL + 56);
    let step = WIDTH / i64::try_from(columns.len().max(1)).unwrap_or(1);
    let wide = step * 3 / 5;
    for (place, (label, value)) in columns.iter().enumerate() {
        let left = step * i64::try_from(place).unwrap_or(0) + (step - wide) / 2;
        let high = (value.max(&0) * TALL + most / 2) / most;
        let (top, middle) = (24 + TALL - high, left + wide / 2);
        let _ = write!(
            svg,
            r#"<rect class="outer" x="{left}" y="{top}" width="{wide}" height="{high}"/><text class="value" x="{middle}" y="{}" text-anchor="middle">{value}</text><text class="label" x="{middle}" y="{}" text-anchor="middle">{}</text>"#,
            top - 7,
            TALL + 44,
            escaped(label),
        );
    }
    let ground = 24 + TALL;
    let _ = write!(
        svg,
        r#"<line class="ground" x1="0" y1="{ground}" x2="{WIDTH}" y2="{ground}"/></svg>"#
    );
    svg
}

fn begin(title: &str, height: i64) -> String {
    format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{}" xmlns="http://www.w3.org/2000/svg">"#,
        escaped(title)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_its_room_and_words_are_no_markup() {
        let bar = |label: &str, outer, inner| Bar {
            label: label.to_owned(),
            outer,
            inner,
            says: format!("{inner} / {outer}"),
        };
        let svg = bars("t", &[bar("a<b", 200, 50), bar("b", 0, 0)]);
        assert!(svg.contains(r#"class="outer" x="94" y="7" width="210""#), "{svg}");
        assert!(svg.contains(r#"class="inner" x="94" y="13" width="53""#), "{svg}");
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
        assert!(svg.contains(r#"class="outer" x="94" y="41" width="0""#), "{svg}");
        assert!(!svg.contains("style="));
        // Nothing at all is a plot too.
        assert!(columns("t", &[]).ends_with("</svg>"));
        let svg = columns("t", &[("12-01".to_owned(), 4), ("12-08".to_owned(), 2)]);
        assert!(
            svg.contains(r#"height="120""#) && svg.contains(r#"height="60""#),
            "{svg}"
        );
    }
}
