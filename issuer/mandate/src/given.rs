//! What a signing page gives back: by which key, and what was signed. One text of it goes through a form, an address or JSON: its
//! CBOR in hexadecimal digits.

use minicbor::{Decode, Encode};

use crate::authority::Signature;
use crate::error::MandateError;

/// Longest text, digits: client data, authenticator data, signature, the id of a key and a proof of six levels fit.
const LONGEST: usize = 8 * 1024;

/// A signature, and the id of the key that made it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Given {
    /// Under which its authenticator knows the key.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub credential: Vec<u8>,
    /// What was signed.
    #[n(2)]
    pub signature: Signature,
}

impl Given {
    /// As a form has it.
    ///
    /// # Errors
    /// [`MandateError::Form`] for one that no reader would take.
    pub fn to_text(&self) -> Result<String, MandateError> {
        let bytes = minicbor::to_vec(self).map_err(|_| MandateError::Form)?;
        let text = hex::encode(bytes);
        if text.len() <= LONGEST {
            Ok(text)
        } else {
            Err(MandateError::Form)
        }
    }

    /// Reads a form's text: any other encoding of the same is none.
    ///
    /// # Errors
    /// [`MandateError::Form`].
    pub fn from_text(text: &str) -> Result<Self, MandateError> {
        if text.len() > LONGEST {
            return Err(MandateError::Form);
        }
        let bytes = hex::decode(text).map_err(|_| MandateError::Form)?;
        let read: Self = minicbor::decode(&bytes).map_err(|_| MandateError::Form)?;
        if read.to_text()? == text {
            Ok(read)
        } else {
            Err(MandateError::Form)
        }
    }
}
