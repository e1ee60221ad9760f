//! A terminal of the tests: its key, its bundle, its updates, and cards laid on it.

use scratch_vault::{Approved as _, Outfit};
use std::collections::HashSet;

use card_applet_spec::codes::Role as CardRole;
use card_applet_spec::date::Date as CardDate;
use card_reader::updates::Delivered;
use card_reader::{Bundle, Card, Pinned, Terminal, TerminalKey, Updates};
use jiff::Span;
use jiff::civil::Date;
use keyvault_protocol::{BundleKind, Receipt, UpdatesRequest};
use rand::SeedableRng;
use rand::rngs::StdRng;
use virtual_card::{CardRandom, InProcess};

use super::support::*;

pub(crate) const REGION: &str = "440300";

pub(crate) fn card_day(day: Date) -> CardDate {
    day.to_string().parse().unwrap()
}

/// The card on a reader of its own, freshly powered. `seed` must differ from tap to tap.
pub(crate) fn on_reader(card: &TestCard, seed: u64) -> InProcess {
    let mut rng = StdRng::seed_from_u64(seed);
    InProcess::with(virtual_card::Card::new(
        card.memory.clone(),
        CardRandom::from_source(&mut rng),
    ))
}

pub(crate) struct Gate {
    pub(crate) name: String,
    pub(crate) role: CardRole,
    pub(crate) key: TerminalKey,
    pub(crate) request: Outfit,
    pub(crate) terminal: Terminal,
    pub(crate) updates: Option<Updates>,
    rng: StdRng,
    taps: u64,
}

impl Gate {
    pub(crate) fn request(
        anchors: &keyvault_protocol::Anchors,
        kind: BundleKind,
        name: &str,
        today: Date,
    ) -> (TerminalKey, Outfit) {
        let seed = name.bytes().fold(7u64, |seed, byte| {
            seed.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let mut rng = StdRng::seed_from_u64(seed);
        let pinned = Pinned {
            vault: anchors.vault,
            root: card_applet_spec::crypto::PublicKey::from_point65(&anchors.terminal_ca).unwrap(),
        };
        let key = TerminalKey::generate(name.parse().unwrap(), pinned, &mut rng);
        let made = key.request();
        let request = Outfit {
            kind,
            terminal: name.into(),
            sealing_key: made.sealing_key,
            authentication_key: made.authentication_key,
            regions: vec![REGION.parse().unwrap()],
            zones: 0,
            from: today,
            to: today.saturating_add(Span::new().days(7)),
        };
        (key, request)
    }

    /// A terminal with a bundle of today.
    pub(crate) async fn new(client: &mut TestClient, kind: BundleKind, name: &str, today: Date) -> Self {
        let anchors = client.anchors().await.unwrap();
        let (key, request) = Self::request(&anchors, kind, name, today);
        let sealed = client.outfit(&request).await.unwrap();
        let bundle = Bundle::open(&sealed, &key, None, card_day(today)).unwrap();
        Self {
            name: name.into(),
            role: match kind {
                BundleKind::Bus => CardRole::Transit,
                BundleKind::Door => CardRole::Door,
                BundleKind::Shop => CardRole::SmallPayment,
                _ => CardRole::Clinic,
            },
            key,
            request,
            terminal: Terminal::new(bundle),
            updates: None,
            rng: StdRng::seed_from_u64(99),
            taps: 0,
        }
    }

    /// Loads a new bundle.
    pub(crate) async fn renew(&mut self, client: &mut TestClient, today: Date) {
        self.request.from = today;
        self.request.to = today.saturating_add(Span::new().days(7));
        let sealed = client.outfit(&self.request).await.unwrap();
        let bundle = Bundle::open(&sealed, &self.key, None, card_day(today)).unwrap();
        self.terminal.replace_bundle(bundle);
    }

    /// Fetches a batch.
    pub(crate) async fn fetch(&mut self, client: &mut TestClient, today: Date) -> usize {
        let request = UpdatesRequest {
            terminal: self.name.clone(),
            to: today.saturating_add(Span::new().days(7)),
        };
        let sealed = client.export_updates(&request).await.unwrap();
        let updates = Updates::open(&sealed, &self.key, None, &HashSet::new(), card_day(today)).unwrap();
        let count = updates.len();
        self.updates = Some(updates);
        count
    }

    fn reader(&mut self, card: &TestCard) -> InProcess {
        self.taps += 1;
        on_reader(card, self.taps * 1_000_003)
    }

    /// A tap: accepted, or the code of the refusal.
    pub(crate) fn tap(&mut self, card: &TestCard, today: Date) -> Result<(), String> {
        let reader = self.reader(card);
        let selected = Card::new(reader)
            .select()
            .map_err(|error| error.code().to_owned())?;
        self.terminal
            .tap(selected, self.role, card_day(today), &mut self.rng)
            .map(drop)
            .map_err(|error| error.code().to_owned())
    }

    /// A tap and the delivery of everything that waits for the card; gives what became of each update.
    pub(crate) fn serve(&mut self, card: &mut TestCard, today: Date) -> Vec<Delivered> {
        let mut outcomes = Vec::new();
        for _ in 0..8 {
            let mut reader = self.reader(card);
            let watch = || 0u64;
            let waiting = {
                let selected = Card::new(&mut reader).select().unwrap();
                let Ok(opened) =
                    self.terminal
                        .open(selected, self.role, card_day(today), &watch, &mut self.rng)
                else {
                    break;
                };
                self.updates
                    .as_ref()
                    .and_then(|updates| updates.waits_for(&opened, card_day(today)))
            };
            let (Some(waiting), Some(updates)) = (waiting, self.updates.as_mut()) else {
                break;
            };
            let outcome = updates.deliver(
                &mut self.terminal,
                &mut reader,
                &waiting,
                card_day(today),
                &watch,
                &mut self.rng,
            );
            outcomes.push(outcome);
            if matches!(outcome, Delivered::NotToday | Delivered::Unknown) {
                break;
            }
        }
        card.reset();
        outcomes
    }

    /// As [`Gate::serve`], and only the receipts.
    pub(crate) fn receipts(&mut self, card: &mut TestCard, today: Date) -> Vec<Receipt> {
        self.serve(card, today)
            .into_iter()
            .filter_map(|outcome| match outcome {
                Delivered::Receipt(receipt) => Some(Receipt {
                    update: receipt.update,
                    receipt: receipt.receipt,
                }),
                _ => None,
            })
            .collect()
    }
}
