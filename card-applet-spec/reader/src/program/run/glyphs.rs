//! Big words on a text screen: a bitmap of each character, two dots in a cell by half blocks. A terminal window has no
//! larger letters of its own, and a driver reads them from two metres.
//!
//! Left out: every character that no big word needs.

/// `X S`, then S rows of `#` and `.`, for each character X of height S.
const GLYPHS: &str = include_str!("glyphs.txt");

/// The bitmap of one character.
pub(crate) fn glyph(character: char, size: usize) -> Option<Vec<&'static str>> {
    let mut lines = GLYPHS.lines();
    let head = format!("{character} {size}");
    lines.find(|line| *line == head)?;
    Some(lines.take(size).collect())
}

/// A word as rows of half blocks, `size` / 2 of them; characters without a bitmap are left out.
pub(crate) fn big(word: &str, size: usize) -> Vec<String> {
    let glyphs: Vec<_> = word
        .chars()
        .filter_map(|character| glyph(character, size))
        .collect();
    (0..size.div_euclid(2))
        .map(|row| {
            let mut line = String::new();
            for glyph in &glyphs {
                let dots = |row: usize| glyph.get(row).copied().unwrap_or_default().chars();
                for (upper, lower) in dots(row * 2).zip(dots(row * 2 + 1)) {
                    line.push(match (upper, lower) {
                        ('#', '#') => '█',
                        ('#', _) => '▀',
                        (_, '#') => '▄',
                        _ => ' ',
                    });
                }
            }
            line
        })
        .collect()
}
