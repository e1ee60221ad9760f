//! The faces of nobody: the README's pictures, and what `issuer faces --sample` draws.
//!
//! The number has a wrong check digit on purpose and the portrait is a drawing, so that no sample can pass for a card.

use resvg::{tiny_skia, usvg};

use crate::face::{BackFace, FrontFace};
use crate::png;
use crate::qr::Statement;

/// Division of the sample: Nanshan, Shenzhen.
pub const DIVISION: &str = "440305";

/// The sample front; `photo` replaces the drawn portrait.
#[must_use]
pub fn sample_front(photo: Option<Vec<u8>>) -> FrontFace {
    FrontFace {
        name: "林晓岚".into(),
        sex: "女".into(),
        nation: "汉".into(),
        birth_date: jiff::civil::date(1994, 5, 17),
        citizen_number: "430102199405170000".into(),
        photo: photo.unwrap_or_else(portrait),
        hukou_address: "湖南省长沙市芙蓉区定王台街道样本路12号3栋2单元501室".into(),
        residence_address: "广东省深圳市南山区粤海街道样本大道88号7栋1203室".into(),
        issuing_organ: "深圳市公安局南山分局".into(),
        issue_date: jiff::civil::date(2026, 11, 21),
    }
}

/// The sample back; its signature is zeros, which no key makes.
#[must_use]
pub fn sample_back() -> BackFace {
    BackFace {
        statement: Statement {
            card_number: "4400000000000".into(),
            division: DIVISION.into(),
            issued_on: jiff::civil::date(2026, 11, 21),
            signature: [0; 64],
        },
        card_serial: "00000001000000010000".into(),
    }
}

fn portrait() -> Vec<u8> {
    let drawn = usvg::Tree::from_str(include_str!("../sample-portrait.svg"), &usvg::Options::default()).ok();
    drawn
        .and_then(|tree| {
            let mut pixmap = tiny_skia::Pixmap::new(358, 441)?;
            resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixmap.as_mut());
            Some(png::encode(&pixmap))
        })
        .unwrap_or_default()
}
