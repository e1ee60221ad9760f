package yzt.permit;

/** BER-TLV with strict minimal lengths (chapter 01), tags of one or two bytes. Every fault is 6A80. */
final class Tlv {
    static final short TAG = 0;
    static final short VALUE = 1;
    static final short LENGTH = 2;
    /** Behind the object. */
    static final short NEXT = 3;
    static final short CURSOR_LEN = 4;

    /** Templates whose known tags stand in order. */
    static final byte CERTIFICATE = 1;
    static final byte BODY = 2;
    static final byte KEY = 3;
    static final byte RIGHTS = 4;

    private Tlv() {
    }

    /** Takes the object at `at`, which ends at or before `end`. */
    static void parse(byte[] bytes, short at, short end, short[] cursor) {
        Sw.need(at < end, Sw.WRONG_DATA);
        short first = (short) (bytes[at] & 0xFF);
        at++;
        short tag = first;
        if ((short) (first & 0x1F) == 0x1F) {
            Sw.need(at < end, Sw.WRONG_DATA);
            byte second = bytes[at];
            at++;
            // A further byte would follow, or the number would have fitted into one byte.
            Sw.need(second >= 0x1F, Sw.WRONG_DATA);
            tag = (short) (first << 8 | second);
        } else {
            Sw.need(first != 0, Sw.WRONG_DATA);
        }
        Sw.need(at < end, Sw.WRONG_DATA);
        short length = (short) (bytes[at] & 0xFF);
        at++;
        if (length == 0x81) {
            Sw.need(at < end, Sw.WRONG_DATA);
            length = (short) (bytes[at] & 0xFF);
            at++;
            Sw.need(length >= 0x80, Sw.WRONG_DATA);
        } else {
            // Longer forms say more than a command holds.
            Sw.need(length < 0x80, Sw.WRONG_DATA);
        }
        Sw.need(length <= (short) (end - at), Sw.WRONG_DATA);
        cursor[TAG] = tag;
        cursor[VALUE] = at;
        cursor[LENGTH] = length;
        cursor[NEXT] = (short) (at + length);
    }

    /** The object `tag` of a template, which must be the next known one; unknown ones before it are skipped. */
    static void required(byte[] bytes, short at, short end, byte template, short tag, short[] cursor) {
        while (true) {
            parse(bytes, at, end, cursor);
            if (cursor[TAG] == tag) {
                return;
            }
            Sw.need(!isKnown(template, cursor[TAG]), Sw.WRONG_DATA);
            at = cursor[NEXT];
        }
    }

    /** The same, of exactly so many bytes. */
    static void required(byte[] bytes, short at, short end, byte template, short tag, short length, short[] cursor) {
        required(bytes, at, end, template, tag, cursor);
        Sw.need(cursor[LENGTH] == length, Sw.WRONG_DATA);
    }

    /** Nothing known may be left. */
    static void end(byte[] bytes, short at, short end, byte template, short[] cursor) {
        while (at < end) {
            parse(bytes, at, end, cursor);
            Sw.need(!isKnown(template, cursor[TAG]), Sw.WRONG_DATA);
            at = cursor[NEXT];
        }
    }

    private static boolean isKnown(byte template, short tag) {
        switch (template) {
            case CERTIFICATE:
                return tag == 0x7F4E || tag == 0x5F37;
            case BODY:
                return tag == 0x5F29 || tag == 0x42 || tag == 0x7F49 || tag == 0x5F20 || tag == 0x7F4C
                    || tag == 0x5F25 || tag == 0x5F24;
            case KEY:
                return tag == 0x06 || tag == 0x86;
            default:
                return tag == 0x06 || tag == 0x53;
        }
    }
}
