//! Days of the office, and the one conversion between the calendar of the programs and the date on card and wire.
//!
//! A day of the office is a day in UTC+8, the one time zone of the country (GB/T 7408). Instants are UTC.

use card_applet_spec::date::Date as CardDate;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

/// The time zone of the office: UTC+8, without summer time.
pub const OFFICE: Offset = Offset::constant(8);

/// The office's day of an instant.
#[must_use]
pub fn of(at: Timestamp) -> Date {
    OFFICE.to_datetime(at).date()
}

/// The instant at which a day of the office begins.
#[must_use]
pub fn begins(day: Date) -> Timestamp {
    OFFICE
        .to_timestamp(day.to_datetime(jiff::civil::Time::midnight()))
        .unwrap_or(Timestamp::MAX)
}

/// An instant as people read it: the office's time to the minute, with its offset, such as `2026-12-01 16:44 +08:00`.
#[must_use]
pub fn minute(at: Timestamp) -> String {
    let local = OFFICE.to_datetime(at);
    let (hours, rest) = (OFFICE.seconds() / 3600, OFFICE.seconds() % 3600 / 60);
    format!(
        "{} {:02}:{:02} {hours:+03}:{rest:02}",
        local.date(),
        local.hour(),
        local.minute()
    )
}

/// A day as card and wire have it; `None` for a year outside 1 to 9999, which no card can hold.
#[must_use]
pub fn to_card(day: Date) -> Option<CardDate> {
    let year = u16::try_from(day.year()).ok()?;
    let month = u8::try_from(day.month()).ok()?;
    let of_month = u8::try_from(day.day()).ok()?;
    CardDate::new(year, month, of_month).ok()
}

/// A day of card or wire in the calendar; `None` for "no date".
#[must_use]
pub fn from_card(day: CardDate) -> Option<Date> {
    let (year, month, of_month) = day.parts();
    Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(of_month).ok()?,
    )
    .ok()
    .filter(|_| !day.is_none())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_office_day_begins_at_sixteen_hours_utc() {
        assert_eq!(of("2026-11-20T15:59:59Z".parse().unwrap()), date(2026, 11, 20));
        assert_eq!(of("2026-11-20T16:00:00Z".parse().unwrap()), date(2026, 11, 21));
        assert_eq!(
            begins(date(2026, 11, 21)),
            "2026-11-20T16:00:00Z".parse().unwrap()
        );
    }

    #[test]
    fn people_read_the_offices_time_to_the_minute() {
        for (at, read) in [
            ("2026-12-01T08:44:24.879563903Z", "2026-12-01 16:44 +08:00"),
            ("2026-12-31T16:00:00Z", "2027-01-01 00:00 +08:00"),
            ("2026-12-31T15:59:59.999Z", "2026-12-31 23:59 +08:00"),
        ] {
            assert_eq!(minute(at.parse().unwrap()), read);
        }
    }

    #[test]
    fn every_day_that_a_card_can_hold_comes_back_as_it_was() {
        let mut day = date(1, 1, 1);
        while day < date(9999, 12, 31) {
            let card = to_card(day).unwrap();
            assert_eq!(card.to_string(), day.to_string());
            assert_eq!(from_card(card), Some(day));
            day = day.saturating_add(jiff::Span::new().days(13));
        }
        assert_eq!(to_card(date(0, 12, 31)), None);
        assert_eq!(from_card(CardDate::NONE), None);
    }
}
