//! How services and files carry the vocabulary of the card: in CBOR (RFC 8949, feature `cbor`) codes and regions as
//! numbers, a serial as a byte string, a date as the text `YYYY-MM-DD`; in JSON (feature `serde`) all of them as text.
//!
//! Left out: what card and terminal say to each other, which is the rest of this crate.

#[cfg(feature = "cbor")]
mod cbor {
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{Decode, Decoder, Encode, Encoder};

    use crate::codes::{CardState, Domain, KeyState, Region, Role, Serial, Tier};
    use crate::date::Date;

    macro_rules! by_code {
        ($($name:ident: $wrong:literal;)+) => { $(
            impl<C> Encode<C> for $name {
                fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
                    e.u8(self.code())?.ok()
                }
            }

            impl<'b, C> Decode<'b, C> for $name {
                fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
                    Self::try_from(d.u8()?).map_err(|_| DecodeError::message($wrong))
                }
            }
        )+ };
    }

    by_code! {
        CardState: "not a state of a card";
        Role: "not a role";
        Domain: "not a key domain";
        Tier: "not a tier";
        KeyState: "not a state of a key";
    }

    impl<C> Encode<C> for Region {
        fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
            e.u32(self.number())?.ok()
        }
    }

    impl<'b, C> Decode<'b, C> for Region {
        fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
            Self::try_from(d.u32()?).map_err(|_| DecodeError::message("not a division of GB/T 2260"))
        }
    }

    impl<C> Encode<C> for Serial {
        fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
            e.bytes(self.as_bytes())?.ok()
        }
    }

    impl<'b, C> Decode<'b, C> for Serial {
        fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
            Self::try_from(d.bytes()?).map_err(|_| DecodeError::message("not a serial of ten bytes"))
        }
    }

    impl<C> Encode<C> for Date {
        fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
            let text = self.to_text();
            let text = core::str::from_utf8(&text).map_err(|_| EncodeError::message("not a date"))?;
            e.str(text)?.ok()
        }
    }

    impl<'b, C> Decode<'b, C> for Date {
        fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
            d.str()?
                .parse()
                .map_err(|_| DecodeError::message("not a date YYYY-MM-DD"))
        }
    }
}

#[cfg(feature = "serde")]
mod json {
    use core::fmt;
    use core::marker::PhantomData;
    use core::str::FromStr;

    use serde_core::de::{Error, Visitor};
    use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::codes::{CardState, Domain, KeyState, Region, Role, Serial, Tier};
    use crate::date::Date;

    /// Reads a value from its one spelling.
    struct Text<T>(PhantomData<T>);

    impl<T: FromStr<Err = crate::error::Error>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text as the specification writes it")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    macro_rules! by_text {
        ($($name:ident)+) => { $(
            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_str(Text(PhantomData))
                }
            }
        )+ };
    }

    by_text! { CardState Role Domain Tier KeyState Region Serial Date }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString as _;

    use minicbor::encode::write::Cursor;
    use minicbor::{Decode, Encode};

    use crate::codes::{CardState, Domain, KeyState, Region, Role, Serial, Tier};
    use crate::date::Date;

    /// Comes back from CBOR and from JSON as it was; the CBOR is `expected`.
    fn both<T>(value: T, expected: &[u8])
    where
        T: Copy + PartialEq + core::fmt::Debug + core::fmt::Display + core::str::FromStr,
        T: Encode<()> + for<'b> Decode<'b, ()> + serde_core::Serialize + serde_core::de::DeserializeOwned,
    {
        let mut room = [0; 16];
        let mut cursor = Cursor::new(room.as_mut_slice());
        minicbor::encode(value, &mut cursor).unwrap();
        let used = cursor.position();
        let filled = room.get(..used).unwrap();
        assert_eq!(filled, expected);
        assert_eq!(minicbor::decode::<T>(filled).unwrap(), value);
        let json = serde_json::to_value(value).unwrap();
        assert_eq!(json, value.to_string());
        assert_eq!(serde_json::from_value::<T>(json).unwrap(), value);
        assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
    }

    #[test]
    fn the_vocabulary_comes_back_from_messages_and_files_as_it_was() {
        for &state in CardState::ALL {
            both(state, &[state.code()]);
        }
        for &role in Role::ALL {
            both(role, &[role.code()]);
        }
        for &domain in Domain::ALL {
            both(domain, &[domain.code()]);
        }
        for &tier in Tier::ALL {
            both(tier, &[tier.code()]);
        }
        for &state in KeyState::ALL {
            both(state, &[state.code()]);
        }
        both(
            "440300".parse::<Region>().unwrap(),
            &[0x1A, 0x00, 0x06, 0xB7, 0xEC],
        );
        both(
            Serial([0xAB; 10]),
            &[0x4A, 0xAB, 0xAB, 0xAB, 0xAB, 0xAB, 0xAB, 0xAB, 0xAB, 0xAB, 0xAB],
        );
        both("2026-11-21".parse::<Date>().unwrap(), b"\x6a2026-11-21");
    }

    #[test]
    fn what_is_not_in_the_vocabulary_is_refused() {
        assert!(minicbor::decode::<Role>(&[6]).is_err());
        assert!(minicbor::decode::<Role>(&[0]).is_err());
        assert!(minicbor::decode::<Region>(&[0x19, 0x27, 0x0F]).is_err());
        assert!(minicbor::decode::<Serial>(&[0x41, 1]).is_err());
        assert!(minicbor::decode::<Date>(b"\x6a0000-00-00").is_err());
        assert!("transit".parse::<Role>().is_err());
        assert!("ABABABABABABABABABAB".parse::<Serial>().is_err());
        assert!("ab".parse::<Serial>().is_err());
        for number in [0, 99_999, 1_000_000, u32::MAX] {
            assert!(Region::try_from(number).is_err());
        }
        let region: Region = "440300".parse().unwrap();
        assert_eq!(Region::try_from(region.number()), Ok(region));
        assert!(region.is_division());
        for no_province in ["040300", "990300", "160000", "000000"] {
            assert!(
                !no_province.parse::<Region>().unwrap().is_division(),
                "{no_province}"
            );
        }
    }
}
