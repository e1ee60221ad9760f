//! The grown corpora: what hours of fuzzing found worth keeping, minimised, one file for each target instead of a thousand.
//! A file is one input behind the other, each with its length before it (2 bytes, big endian).

/// Inputs as one file. What is longer than 65,535 bytes is left out.
#[must_use]
pub fn pack<'a>(inputs: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for input in inputs {
        if let Ok(length) = u16::try_from(input.len()) {
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(input);
        }
    }
    out
}

/// The inputs of a file; `None` when it is cut.
#[must_use]
pub fn unpack(mut file: &[u8]) -> Option<Vec<&[u8]>> {
    let mut inputs = Vec::new();
    while !file.is_empty() {
        let (length, rest) = file.split_first_chunk::<2>()?;
        let (input, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        inputs.push(input);
        file = rest;
    }
    Some(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_a_cut_file_is_known() {
        let inputs = [&b"one"[..], b"", b"three"];
        let file = pack(inputs);
        assert_eq!(unpack(&file).unwrap(), inputs);
        assert_eq!(unpack(&file[..file.len() - 1]), None);
        assert_eq!(unpack(&file[..1]), None);
    }
}
