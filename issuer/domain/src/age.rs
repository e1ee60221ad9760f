//! Full years of age, as the law counts them. Civil Code article 200; left out: hours.

use jiff::civil::Date;

/// Full years between a birth date and a day, as in "16 years of age".
pub(crate) fn full_years(birth: Date, at: Date) -> i16 {
    let had_birthday = (at.month(), at.day()) >= (birth.month(), birth.day());
    at.year() - birth.year() - i16::from(!had_birthday)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn somebody_born_on_29_february_is_a_year_older_on_1_march() {
        assert_eq!(full_years(date(2008, 2, 29), date(2024, 2, 28)), 15);
        assert_eq!(full_years(date(2008, 2, 29), date(2024, 2, 29)), 16);
        assert_eq!(full_years(date(2008, 2, 29), date(2025, 2, 28)), 16);
        assert_eq!(full_years(date(2008, 2, 29), date(2025, 3, 1)), 17);
    }
}
