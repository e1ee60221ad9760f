package yzt.permit;

import javacard.framework.Util;

/** Days in packed BCD (chapter 01). Differences stop at MANY days: more is not asked for, and a short holds no more. */
final class Dates {
    /** More days than any limit of the specification. */
    static final short MANY = 9999;
    /** Days by which a day may be ahead of the floor. */
    static final short MAX_LEAP = 400;

    private Dates() {
    }

    private static short number(byte bcd) {
        return (short) (((bcd >> 4) & 0x0F) * 10 + (bcd & 0x0F));
    }

    private static boolean isBcd(byte bcd) {
        return (short) ((bcd >> 4) & 0x0F) <= 9 && (short) (bcd & 0x0F) <= 9;
    }

    private static short year(byte[] date, short at) {
        return (short) (number(date[at]) * 100 + number(date[(short) (at + 1)]));
    }

    private static boolean isLeapYear(short year) {
        return (short) (year % 4) == 0 && ((short) (year % 100) != 0 || (short) (year % 400) == 0);
    }

    static boolean isNone(byte[] date, short at) {
        return Bytes.isZero(date, at, (short) 4);
    }

    /** A real day, or none. */
    static boolean isDate(byte[] date, short at) {
        if (isNone(date, at)) {
            return true;
        }
        for (short i = 0; i < 4; i++) {
            if (!isBcd(date[(short) (at + i)])) {
                return false;
            }
        }
        short year = year(date, at);
        short month = number(date[(short) (at + 2)]);
        short day = number(date[(short) (at + 3)]);
        if (year == 0 || month == 0 || month > 12 || day == 0) {
            return false;
        }
        short days = 31;
        if (month == 4 || month == 6 || month == 9 || month == 11) {
            days = 30;
        } else if (month == 2) {
            days = isLeapYear(year) ? (short) 29 : (short) 28;
        }
        return day <= days;
    }

    /** From YYMMDD, one digit a byte, to four bytes of 20YY; false when it is no day. `to` is transient. */
    static boolean fromSixDigits(byte[] digits, short at, byte[] to, short offset) {
        for (short i = 0; i < 6; i++) {
            if (digits[(short) (at + i)] < 0 || digits[(short) (at + i)] > 9) {
                return false;
            }
        }
        to[offset] = 0x20;
        for (short i = 0; i < 3; i++) {
            short pair = (short) (at + i + i);
            to[(short) (offset + 1 + i)] = (byte) (digits[pair] << 4 | digits[(short) (pair + 1)]);
        }
        return isDate(to, offset);
    }

    /** Days from `from` to `to`, 0 where it is no later, MANY at most. Years begin in March: a leap day is the last. */
    static short between(byte[] from, short at, byte[] to, short bt) {
        if (Bytes.compare4(to, bt, from, at) <= 0) {
            return 0;
        }
        short first = marchYear(from, at);
        short years = (short) (marchYear(to, bt) - first);
        if (years > 20) {
            return MANY;
        }
        short days = (short) (years * 365);
        for (short i = 1; i <= years; i++) {
            if (isLeapYear((short) (first + i))) {
                days++;
            }
        }
        days = (short) (days + monthDays(to, bt));
        days = (short) (days - monthDays(from, at));
        days = (short) (days + number(to[(short) (bt + 3)]));
        return (short) (days - number(from[(short) (at + 3)]));
    }

    private static short marchYear(byte[] date, short at) {
        short year = year(date, at);
        return number(date[(short) (at + 2)]) < 3 ? (short) (year - 1) : year;
    }

    /** Days from 1 March to the first of the month. */
    private static short monthDays(byte[] date, short at) {
        short month = number(date[(short) (at + 2)]);
        month = month < 3 ? (short) (month + 9) : (short) (month - 3);
        short days = (short) (month * 153 + 2);
        return (short) (days / 5);
    }

    /** True when `day` is further ahead of the floor than any visit to the office explains. */
    static boolean isLeap(byte[] floor, short at, byte[] day, short bt) {
        return !isNone(floor, at) && between(floor, at, day, bt) > MAX_LEAP;
    }

    static void raise(byte[] floor, short at, byte[] day, short bt) {
        if (Bytes.compare4(day, bt, floor, at) > 0) {
            Util.arrayCopyNonAtomic(day, bt, floor, at, (short) 4);
        }
    }
}
