//! What the two faces show, and what a drawn face is. Decree 663, article 4; ISO/IEC 7810 ID-1 at 300 dpi.

use std::fmt;

use jiff::civil::Date;

use crate::area::Area;
use crate::qr::Statement;

/// Width of a face, px: 85.60 mm at 300 dpi.
pub const WIDTH: u32 = 1011;

/// Height of a face, px: 53.98 mm at 300 dpi.
pub const HEIGHT: u32 = 638;

/// Resolution written into the PNG: 300 dpi in px per metre.
pub const PIXELS_PER_METRE: u32 = 11_811;

/// The ten items of the front. Printed values are personal data: no `Clone`, and `Debug` shows none.
pub struct FrontFace {
    /// Name, in the spelling of the register.
    pub name: String,
    /// Sex in words.
    pub sex: String,
    /// Nation (GB/T 3304) in words.
    pub nation: String,
    /// Birth date.
    pub birth_date: Date,
    /// Citizen number, 18 characters.
    pub citizen_number: String,
    /// Portrait: JPEG or PNG, the photo store's rendition `print`.
    pub photo: Vec<u8>,
    /// Address of the permanent hukou.
    pub hukou_address: String,
    /// Address of residence.
    pub residence_address: String,
    /// Issuing organ.
    pub issuing_organ: String,
    /// Issue date.
    pub issue_date: Date,
}

impl fmt::Debug for FrontFace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FrontFace(redacted)")
    }
}

/// What the back shows: no personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackFace {
    /// Card number, division, date of issue, and the document signer's signature over them: printed as QR code.
    pub statement: Statement,
    /// Chip serial, 20 hexadecimal digits.
    pub card_serial: String,
}

/// A drawn face.
#[derive(Debug)]
pub struct Face {
    /// The PNG file.
    pub png: Vec<u8>,
    /// Where the ink of each text, the portrait and the QR code stand, by the ids of the template.
    pub boxes: Vec<(String, Area)>,
}
