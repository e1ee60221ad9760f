//! The signature behind the QR code of a card's back (card specification, chapter 15): neither vault nor ledger is asked.
//!
//! Left out: what the code does not say, such as whether its card was lost.

use issuer_artwork::qr::Statement;
use keyvault_protocol::CardBack;

/// Whether `document_signer`, a point `04 || X || Y`, signed what the code says.
#[must_use]
pub fn has_signature_of(statement: &Statement, document_signer: &[u8; 65]) -> bool {
    back(statement).is_some_and(|back| back.is_signed(&statement.signature, document_signer))
}

fn back(statement: &Statement) -> Option<CardBack> {
    Some(CardBack {
        card_number: statement.card_number.clone(),
        region: statement.division.parse().ok()?,
        issued_on: statement.issued_on,
    })
}

#[cfg(test)]
mod tests {
    use issuer_artwork::qr::{parse, payload};
    use serde_json::Value;

    use super::*;

    /// Made from the chapter by the second implementation.
    const VECTORS: &str = include_str!("../../../card-applet-spec/spec/vectors/15-card-back.json");

    fn bytes(value: &Value) -> Vec<u8> {
        hex::decode(value.as_str().unwrap()).unwrap()
    }

    fn text(value: &Value) -> String {
        String::from_utf8(bytes(value)).unwrap()
    }

    fn point(value: &Value) -> [u8; 65] {
        [&[4], &bytes(value)[..]].concat().try_into().unwrap()
    }

    #[test]
    fn codes_are_written_read_and_refused_as_the_vectors_have_them() {
        let file: Value = serde_json::from_str(VECTORS).unwrap();
        let (mut read, mut refused) = (0, 0);
        for vector in file["vectors"].as_array().unwrap() {
            let (name, inputs, outputs) = (&vector["name"], &vector["inputs"], &vector["outputs"]);
            match vector["construction"].as_str().unwrap() {
                "card-back" => {
                    let statement = parse(&text(&outputs["text"])).unwrap();
                    assert_eq!(statement.card_number, text(&inputs["number"]), "{name}");
                    assert_eq!(statement.division, inputs["region"], "{name}");
                    let issued = statement.issued_on.strftime("%Y%m%d").to_string();
                    assert_eq!(issued, inputs["issued"], "{name}");
                    assert_eq!(hex::encode(statement.signature), outputs["signature"], "{name}");
                    assert_eq!(payload(&statement), text(&outputs["text"]), "{name}");
                    let signed = back(&statement).unwrap().signed_bytes().unwrap();
                    assert_eq!(hex::encode(signed), outputs["signed"], "{name}");
                    assert!(has_signature_of(&statement, &point(&outputs["public"])), "{name}");
                }
                "card-back-open" => {
                    let found = std::str::from_utf8(&bytes(&inputs["text"])).ok().and_then(parse);
                    let found = found.filter(|found| has_signature_of(found, &point(&inputs["public"])));
                    if outputs["refused"].is_string() {
                        assert_eq!(found, None, "{name}");
                        refused += 1;
                    } else {
                        let number = found.unwrap().card_number;
                        assert_eq!(number, text(&outputs["number"]), "{name}");
                        read += 1;
                    }
                }
                unknown => panic!("{name}: unknown construction {unknown}"),
            }
        }
        assert!(read > 0 && refused > 10, "{read} {refused}");
    }

    #[test]
    fn no_text_that_differs_in_one_bit_is_genuine() {
        let file: Value = serde_json::from_str(VECTORS).unwrap();
        let made = &file["vectors"][0]["outputs"];
        let (genuine, signer) = (bytes(&made["text"]), point(&made["public"]));
        let is_genuine = |text: &[u8]| {
            let found = std::str::from_utf8(text).ok().and_then(parse);
            found.is_some_and(|found| has_signature_of(&found, &signer))
        };
        assert!(is_genuine(&genuine));
        for bit in 0..genuine.len() * 8 {
            let mut text = genuine.clone();
            text[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_genuine(&text), "bit {bit}");
        }
    }
}
