//! What the installation ships to try: an applicant, one who is refused, and a photo.

/// An applicant who is granted a permit.
pub(crate) const APPLICANT: &[u8] = include_bytes!("../samples/applicant-li-na.json");
/// A photo that is taken.
pub(crate) const PHOTO: &[u8] = include_bytes!("../../../photo-store/samples/astronaut.png");

/// All of them, by the names of their files.
pub(crate) const SAMPLES: [(&str, &[u8]); 3] = [
    ("applicant-li-na.json", APPLICANT),
    (
        "applicant-refused.json",
        include_bytes!("../samples/applicant-refused.json"),
    ),
    ("photo.png", PHOTO),
];
