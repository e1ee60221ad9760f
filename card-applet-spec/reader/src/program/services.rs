//! What services are called: the bits of a record in the words of the rule set that it names.
//!
//! The bits are published per jurisdiction (specification, chapter 03), in the rule sets themselves; a record names its set by
//! a digest. Left out: everything else of a rule set.

use std::path::{Path, PathBuf};

use card_applet_spec::record::rule_set_digest;
use program_contract::Failure;
use serde::Deserialize;

use crate::program::{failure, files};

/// Longest rule set that is read, bytes.
const MOST: u64 = 1 << 20;

/// The services of some rule sets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Services(Vec<RuleSet>);

/// Of a rule set, what a terminal wants to know.
#[derive(Debug, Clone, Deserialize)]
struct RuleSet {
    id: String,
    #[serde(default)]
    services: Vec<Service>,
}

#[derive(Debug, Clone, Deserialize)]
struct Service {
    bit: u8,
    zh: String,
    en: String,
}

impl Services {
    /// Reads rule sets.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, Failure> {
        files
            .iter()
            .map(|path| rule_set(path))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What a record allows, in Chinese and in English. A bit without a word is told by its number.
    pub(crate) fn words(&self, rule_set: [u8; 8], services: u64) -> (String, String) {
        let known = self.0.iter().find(|set| rule_set_digest(&set.id) == rule_set);
        let (mut zh, mut en, mut unnamed) = (Vec::new(), Vec::new(), Vec::new());
        for bit in (0..64_u8).filter(|bit| services >> bit & 1 == 1) {
            match known.and_then(|set| set.services.iter().find(|service| service.bit == bit)) {
                Some(service) => {
                    zh.push(service.zh.clone());
                    en.push(service.en.clone());
                }
                None => unnamed.push(bit.to_string()),
            }
        }
        if !unnamed.is_empty() {
            zh.push(format!("第 {} 项", unnamed.join("、")));
            en.push(format!("no. {}", unnamed.join(", ")));
        }
        if zh.is_empty() {
            return ("无".to_owned(), "none".to_owned());
        }
        (zh.join("、"), en.join(", "))
    }
}

fn rule_set(path: &Path) -> Result<RuleSet, Failure> {
    let bytes = files::read(path, MOST)?;
    let text = String::from_utf8_lossy(&bytes);
    toml::from_str(&text).map_err(|error| failure::rule_set_damaged(path.display(), error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_told_in_the_words_of_the_set_that_the_record_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.toml");
        let text = "id = \"one\"\neffective_from = \"2026-01-01\"\n[[services]]\nbit = 24\ncode = \"X\"\nzh = \"社区门诊\"\nen = \"Outpatient care\"\n";
        std::fs::write(&path, text).unwrap();
        let services = Services::read(std::slice::from_ref(&path)).unwrap();
        let (one, other) = (rule_set_digest("one"), rule_set_digest("other"));
        let words = |set, bits| {
            let (zh, en) = services.words(set, bits);
            format!("{zh} | {en}")
        };
        assert_eq!(words(one, 1 << 24), "社区门诊 | Outpatient care");
        assert_eq!(
            words(one, 1 << 24 | 1 << 63 | 1),
            "社区门诊、第 0、63 项 | Outpatient care, no. 0, 63"
        );
        assert_eq!(words(other, 1 << 24), "第 24 项 | no. 24");
        assert_eq!(words(one, 0), "无 | none");
        std::fs::write(&path, "services = 3").unwrap();
        assert_eq!(Services::read(&[path]).unwrap_err().code, "CONFIG_DAMAGED");
    }
}
