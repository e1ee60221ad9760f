//! Shamir's secret sharing over GF(256), x^8 + x^4 + x^3 + x + 1, byte by byte (Shamir 1979).
//!
//! No tables and no branches on secrets; every coefficient is uniform over the full range, the highest one too (a
//! non-zero highest coefficient would let fewer than M shares exclude values). Share `x` is the polynomial at `x`,
//! 1 to 255; the secret is at 0. Left out: verification of shares, which the commitments of [`crate::custody::share_envelope`] do.

use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// Length of the shared secret in bytes.
pub(crate) const SECRET_LEN: usize = 32;

/// One share: `x` and the ordinate of each byte.
pub(crate) struct Point {
    /// Abscissa, 1 to 255.
    pub(crate) x: u8,
    /// Ordinates. Secret.
    pub(crate) y: Zeroizing<[u8; SECRET_LEN]>,
}

impl std::fmt::Debug for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Point({}, ..)", self.x)
    }
}

/// Splits `secret` into `count` shares of which any `threshold` give it back; `None` unless
/// `1 <= threshold <= count <= 255`.
#[must_use]
pub(crate) fn split(
    secret: &[u8; SECRET_LEN],
    threshold: u8,
    count: u8,
    rng: &mut impl CryptoRng,
) -> Option<Vec<Point>> {
    if threshold == 0 || threshold > count {
        return None;
    }
    // Coefficients of x^1 to x^(M-1), one row per power.
    let mut coefficients = Zeroizing::new(vec![[0u8; SECRET_LEN]; usize::from(threshold) - 1]);
    for row in coefficients.iter_mut() {
        rng.fill_bytes(row);
    }
    let points = (1..=count)
        .map(|x| {
            let mut y = Zeroizing::new([0u8; SECRET_LEN]);
            for row in coefficients.iter().rev() {
                for (sum, coefficient) in y.iter_mut().zip(row) {
                    *sum = multiply(*sum ^ *coefficient, x);
                }
            }
            for (sum, byte) in y.iter_mut().zip(secret) {
                *sum ^= *byte;
            }
            Point { x, y }
        })
        .collect();
    Some(points)
}

/// The secret from at least `threshold` shares with distinct abscissas; `None` when there are none, one is zero or two
/// are equal. With fewer or wrong shares the result is some other value: check it against a commitment.
#[must_use]
pub(crate) fn combine(points: &[Point]) -> Option<Zeroizing<[u8; SECRET_LEN]>> {
    at(points, 0)
}

/// The polynomial through these points at `x`: the secret at 0, another custodian's share at its number. As [`combine`].
#[must_use]
pub(crate) fn at(points: &[Point], x: u8) -> Option<Zeroizing<[u8; SECRET_LEN]>> {
    let distinct = points
        .iter()
        .enumerate()
        .all(|(i, a)| points.iter().skip(i + 1).all(|b| a.x != b.x));
    if points.is_empty() || !distinct || points.iter().any(|point| point.x == 0) {
        return None;
    }
    let mut secret = Zeroizing::new([0u8; SECRET_LEN]);
    for (i, point) in points.iter().enumerate() {
        let mut basis = 1u8;
        for (j, other) in points.iter().enumerate() {
            if i != j {
                basis = multiply(basis, multiply(other.x ^ x, invert(other.x ^ point.x)));
            }
        }
        for (sum, y) in secret.iter_mut().zip(point.y.iter()) {
            *sum ^= multiply(*y, basis);
        }
        basis.zeroize();
    }
    Some(secret)
}

/// Product in the field: eight shift-and-add rounds under masks.
const fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0u8;
    let mut round = 0;
    while round < 8 {
        product ^= (b & 1).wrapping_neg() & a;
        let carry = (a >> 7).wrapping_neg();
        a = (a << 1) ^ (carry & 0x1B);
        b >>= 1;
        round += 1;
    }
    product
}

/// a^254, the inverse of a (and 0 for 0), by a fixed chain of squarings.
const fn invert(a: u8) -> u8 {
    let mut result = 1u8;
    let mut power = a;
    let mut round = 0;
    while round < 7 {
        power = multiply(power, power);
        result = multiply(result, power);
        round += 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use vsss_rs::Gf256;

    use super::*;

    #[test]
    fn fips_197_products_and_all_inverses() {
        assert_eq!(multiply(0x57, 0x83), 0xC1);
        assert_eq!(multiply(0x57, 0x13), 0xFE);
        for a in 1..=255u8 {
            assert_eq!(multiply(a, invert(a)), 1);
        }
        assert_eq!(invert(0), 0);
    }

    proptest! {
        #[test]
        fn any_threshold_of_the_shares_give_the_secret_back(
            secret: [u8; 32], seed: u64, threshold in 1u8..6, extra in 0u8..4, start in 0usize..9
        ) {
            let mut rng = StdRng::seed_from_u64(seed);
            let count = threshold + extra;
            let mut points = split(&secret, threshold, count, &mut rng).unwrap();
            let given = &points[usize::from(extra)..];
            for missing in &points {
                prop_assert_eq!(at(given, missing.x).unwrap(), missing.y.clone());
            }
            points.rotate_left(start % usize::from(count));
            points.truncate(usize::from(threshold));
            prop_assert_eq!(*combine(&points).unwrap(), secret);
            if threshold > 1 {
                points.truncate(usize::from(threshold) - 1);
                // One missing share leaves every value possible; hitting the secret by chance is 2^-256.
                prop_assert_ne!(*combine(&points).unwrap(), secret);
            }
        }

        #[test]
        fn vsss_rs_combines_our_shares_and_we_combine_theirs(secret: [u8; 32], seed: u64, threshold in 2u8..6, extra in 0u8..4) {
            let mut rng = StdRng::seed_from_u64(seed);
            let count = threshold + extra;
            let ours = split(&secret, threshold, count, &mut rng).unwrap();
            let theirs: Vec<Vec<u8>> = ours.iter().map(|p| [&[p.x][..], &p.y[..]].concat()).collect();
            prop_assert_eq!(Gf256::combine_array(&theirs[..usize::from(threshold)]).unwrap(), secret.to_vec());
            let split_by_them = Gf256::split_array(threshold.into(), count.into(), secret, &mut rng).unwrap();
            let points: Vec<Point> = split_by_them.iter().take(threshold.into())
                .map(|s| Point { x: s[0], y: Zeroizing::new(s[1..].try_into().unwrap()) }).collect();
            prop_assert_eq!(*combine(&points).unwrap(), secret);
        }
    }

    #[test]
    fn the_highest_coefficient_takes_every_value_zero_too() {
        // With a secret of zeros and M = 2 the share at 1 is the coefficient itself.
        let mut rng = StdRng::seed_from_u64(3);
        let mut seen = [false; 256];
        for _ in 0..200 {
            let points = split(&[0; 32], 2, 2, &mut rng).unwrap();
            for y in points[0].y.iter() {
                seen[usize::from(*y)] = true;
            }
        }
        assert!(seen.iter().all(|seen| *seen));
    }

    #[test]
    fn impossible_numbers_and_equal_abscissas_are_refused() {
        let mut rng = StdRng::seed_from_u64(4);
        assert!(split(&[1; 32], 0, 3, &mut rng).is_none());
        assert!(split(&[1; 32], 4, 3, &mut rng).is_none());
        let point = |x| Point {
            x,
            y: Zeroizing::new([1; 32]),
        };
        assert!(combine(&[]).is_none());
        assert!(combine(&[point(0), point(1)]).is_none());
        assert!(combine(&[point(2), point(2)]).is_none());
    }
}
