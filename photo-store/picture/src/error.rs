//! What can go wrong with a picture that the checks let through.

/// Why a rendition could not be made. What is wrong with a submitted file is no error: it is in the judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Pixels that passed the checks could not be processed: our fault, not the photographer's.
    #[error("a decoded picture could not be processed. Report the file's format and size to the maintainers")]
    Pixels,
    /// The profiles or the face model that the program was built with are not usable.
    #[error("the photo profiles of this build are damaged ({0}). Install the program again")]
    Rules(&'static str),
    /// No allowed quality brings the picture below its profile's byte limit.
    #[error("the picture fits its byte limit at no allowed quality. Take it in front of a plain background")]
    DoesNotFit,
}
