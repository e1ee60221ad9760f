//! Fitting a text into its area: one line, then smaller, then more lines, down to the legal minimum, else stop.
//!
//! Width grows linearly with the type size (outlines are not hinted), so a text is measured once at
//! [`REFERENCE`] px and scaled.

/// Type size at which a text is measured, px.
pub(crate) const REFERENCE: f32 = 100.0;

/// Distance of two base lines, in type sizes.
pub(crate) const LINE_HEIGHT: f32 = 1.16;

/// Characters that do not open a line: closing punctuation, half and full width.
const NOT_FIRST: &str = ",.;:)-\u{ff0c}\u{3002}\u{3001}\u{ff1b}\u{ff1a}\u{ff09}\u{300b}\u{300d}";

/// Characters that do not close a line: opening punctuation, half and full width.
const NOT_LAST: &str = "(\u{ff08}\u{300a}\u{300c}";

/// Step of the search for a type size, px.
const STEP: f32 = 0.5;

/// U+00B7, the middle dot of personal names (GB/T 28039 and the passport rules write it so).
const MIDDLE_DOT: char = '\u{b7}';

/// Where a text may be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breaks {
    /// Nowhere.
    Never,
    /// After a middle dot, and nowhere else.
    AfterMiddleDot,
    /// Anywhere; inside a number or a Latin word only when nothing else fits.
    Anywhere,
}

/// The demands of an area.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// Width and height, px.
    pub(crate) width: f32,
    pub(crate) height: f32,
    /// Full type size and legal minimum, px.
    pub(crate) full: f32,
    pub(crate) minimum: f32,
    /// The most lines.
    pub(crate) lines: usize,
    pub(crate) breaks: Breaks,
    /// One line is set smaller down to this size before a second one is opened, px.
    pub(crate) comfortable: f32,
    /// Extra space after each character, px, whatever the type size.
    pub(crate) spacing: f32,
}

/// A fitted text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fitted {
    /// Type size, px.
    pub(crate) size: f32,
    pub(crate) lines: Vec<String>,
}

/// Fits `text`; `advances` are the widths of its characters at [`REFERENCE`] px. `None`: it does not fit.
pub(crate) fn fit(text: &str, advances: &[f32], demand: Demand) -> Option<Fitted> {
    let characters: Vec<char> = text.chars().collect();
    debug_assert_eq!(characters.len(), advances.len());
    let one = largest(&characters, advances, demand, 1, Breaks::Never);
    let mut best = one;
    if best
        .as_ref()
        .is_none_or(|fitted| fitted.size < demand.comfortable)
    {
        for lines in 2..=demand.lines {
            let kind = demand.breaks;
            let mut candidate = largest(&characters, advances, demand, lines, kind);
            if candidate.is_none() && kind == Breaks::Anywhere {
                candidate = split_words(&characters, advances, demand, lines);
            }
            let grows = match (&candidate, &best) {
                (Some(new), Some(old)) => new.size > old.size + STEP,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if grows {
                best = candidate;
            }
            if best
                .as_ref()
                .is_some_and(|fitted| fitted.size >= demand.comfortable)
            {
                break;
            }
        }
    }
    best
}

/// As [`largest`], breaking inside numbers and words too.
fn split_words(characters: &[char], advances: &[f32], demand: Demand, lines: usize) -> Option<Fitted> {
    sizes(demand, lines).find_map(|size| {
        broken(characters, advances, demand, size, lines, |_, _| true).map(|lines| Fitted { size, lines })
    })
}

/// The largest size at which the text stands in at most `lines` lines.
fn largest(
    characters: &[char],
    advances: &[f32],
    demand: Demand,
    lines: usize,
    breaks: Breaks,
) -> Option<Fitted> {
    let may_break = |before: char, after: char| match breaks {
        Breaks::Never => false,
        Breaks::AfterMiddleDot => before == MIDDLE_DOT,
        Breaks::Anywhere => {
            // A number keeps its digits and its unit (12号), and punctuation stays where a reader looks for it.
            !before.is_ascii_alphanumeric() && !NOT_FIRST.contains(after) && !NOT_LAST.contains(before)
        }
    };
    sizes(demand, lines).find_map(|size| {
        broken(characters, advances, demand, size, lines, may_break).map(|lines| Fitted { size, lines })
    })
}

/// The sizes to try, largest first, that leave room for `lines` lines.
fn sizes(demand: Demand, lines: usize) -> impl Iterator<Item = f32> {
    #[expect(clippy::cast_precision_loss, reason = "a handful of lines")]
    let room = demand.height / (1.0 + (lines as f32 - 1.0) * LINE_HEIGHT);
    let mut next = Some((demand.full.min(room) / STEP).floor() * STEP).filter(|_| room >= demand.minimum);
    std::iter::from_fn(move || {
        let now = next?.max(demand.minimum);
        next = (now > demand.minimum).then_some(now - STEP);
        Some(now)
    })
}

/// Breaks greedily at `size`; `None` if a piece is too wide or too many lines come out.
fn broken(
    characters: &[char],
    advances: &[f32],
    demand: Demand,
    size: f32,
    most: usize,
    may_break: impl Fn(char, char) -> bool,
) -> Option<Vec<String>> {
    let width = |range: &[f32]| -> f32 {
        range
            .iter()
            .map(|advance| advance * size / REFERENCE + demand.spacing)
            .sum()
    };
    let mut lines = Vec::new();
    let mut start = 0;
    while start < characters.len() {
        let mut end = None;
        for stop in start + 1..=characters.len() {
            if width(&advances[start..stop]) > demand.width {
                break;
            }
            if stop == characters.len() || may_break(characters[stop - 1], characters[stop]) {
                end = Some(stop);
            }
        }
        let stop = end?;
        lines.push(characters[start..stop].iter().collect());
        if lines.len() > most {
            return None;
        }
        start = stop;
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(breaks: Breaks, lines: usize) -> Demand {
        Demand {
            width: 200.0,
            height: 60.0,
            full: 40.0,
            minimum: 20.0,
            lines,
            breaks,
            comfortable: 30.0,
            spacing: 0.0,
        }
    }

    fn fit_square(text: &str, demand: Demand) -> Option<Fitted> {
        fit(text, &vec![REFERENCE; text.chars().count()], demand)
    }

    #[test]
    fn a_short_text_stands_in_one_line_at_full_size() {
        let fitted = fit_square("王小明", demand(Breaks::Never, 1)).unwrap();
        assert_eq!(
            fitted,
            Fitted {
                size: 40.0,
                lines: vec!["王小明".into()]
            }
        );
    }

    #[test]
    fn a_longer_text_is_set_smaller_before_a_second_line_is_opened() {
        let fitted = fit_square("甲乙丙丁戊己", demand(Breaks::Anywhere, 2)).unwrap();
        assert_eq!(fitted.lines.len(), 1);
        assert!((30.0..34.0).contains(&fitted.size));
    }

    #[test]
    fn a_name_is_broken_only_after_a_middle_dot() {
        let fitted = fit_square("甲乙丙丁·戊己庚辛", demand(Breaks::AfterMiddleDot, 2)).unwrap();
        assert_eq!(fitted.lines, ["甲乙丙丁·", "戊己庚辛"]);
        assert_eq!(
            fit_square("甲乙丙丁戊己庚辛壬癸甲乙", demand(Breaks::AfterMiddleDot, 2)),
            None
        );
    }

    #[test]
    fn an_address_keeps_its_numbers_whole_while_it_can() {
        let fitted = fit_square("甲乙丙丁戊己12345号", demand(Breaks::Anywhere, 2)).unwrap();
        assert_eq!(
            fitted.lines,
            ["甲乙丙丁戊己", "12345号"],
            "digits and their unit go to the next line together"
        );
    }

    #[test]
    fn what_does_not_fit_at_the_legal_minimum_is_told_and_not_squeezed() {
        assert_eq!(fit_square(&"甲".repeat(21), demand(Breaks::Anywhere, 2)), None);
        assert!(fit_square(&"甲".repeat(20), demand(Breaks::Anywhere, 2)).is_some());
    }
}
