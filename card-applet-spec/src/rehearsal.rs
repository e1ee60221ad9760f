//! What a rehearsal installation is known by (chapter 08, "Rehearsal"): two names that are drawn at its founding, the
//! number of its vault and the name of its terminal CA. Whatever was founded before there were such names is real.
//!
//! Left out: what a rehearsal may do, which the programs say (`--at`).

use crate::certificate::CertificateName;

/// Authority of the terminal CA of a rehearsal, as it stands in certificate names.
pub const AUTHORITY: &str = "YZT-REHEAR";

/// The end of a rehearsal's vault number.
const MARK: [u8; 8] = *b"REHEARSE";

/// Makes 16 random bytes the number of a vault: with the mark of a rehearsal, or without it.
#[must_use]
pub fn vault_number(random: [u8; 16], rehearsal: bool) -> [u8; 16] {
    let mut number = random;
    if let Some(end) = number.last_chunk_mut::<8>() {
        if rehearsal {
            *end = MARK;
        } else if *end == MARK {
            // One draw in 2^64; a real vault must not have it.
            *end = [0; 8];
        }
    }
    number
}

/// Whether the vault with this number was founded as a rehearsal.
#[must_use]
pub fn is_vault(number: &[u8; 16]) -> bool {
    number.ends_with(&MARK)
}

/// Whether a terminal CA of this name is a rehearsal's.
#[must_use]
pub(crate) fn is_authority(name: &CertificateName) -> bool {
    name.0.starts_with(AUTHORITY.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_rehearsals_only_where_it_was_drawn_as_one() {
        for random in [[0; 16], [0xA5; 16], *b"01234567REHEARSE"] {
            assert!(is_vault(&vault_number(random, true)));
            assert!(!is_vault(&vault_number(random, false)));
        }
        assert_eq!(
            vault_number([7; 16], false),
            [7; 16],
            "a real number is as it was drawn"
        );
    }

    #[test]
    fn any_changed_bit_of_the_mark_makes_a_number_real() {
        let number = vault_number([7; 16], true);
        for bit in 64..128 {
            let mut changed = number;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_vault(&changed), "bit {bit}");
        }
    }

    #[test]
    fn a_terminal_ca_is_a_rehearsals_by_its_whole_authority() {
        assert!(is_authority(&CertificateName::new(AUTHORITY, 1, 0)));
        assert!(is_authority(&CertificateName::new(AUTHORITY, 9, 7)));
        for real in ["YZT-TERM", "YZT-REHEA", "yzt-rehear", ""] {
            assert!(!is_authority(&CertificateName::new(real, 1, 0)), "{real}");
        }
    }
}
