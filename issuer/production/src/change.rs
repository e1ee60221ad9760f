//! Change a card in use at the counter: the vault rewrites, blocks, unblocks or ends it through this program, which carries
//! cipher text; then the card is read back. And the other way: sealed updates for terminals. Card specification, chapters
//! 05 and 09.
//!
//! What is written is what the card is to hold now, over every change that was signed off, so an older change that is
//! written late brings nothing old back.

use card_applet_spec::codes::{CardState, Role};
use card_reader::Error as CardError;
use issuer_artwork::FrontFace;
use issuer_office::card_content::{CardContent, Rewritten};
use issuer_office::changes::ToWrite;
use issuer_office::hashed_id::uuid8;
use issuer_office::photo::read_photo;
use issuer_office::updates::{QUEUE_DAYS, sealing_day};
use issuer_store::{Card, StoredCardChange};
use keyvault_protocol::{CardTask, RefusalCode, TaskKind};
use permit_domain::{Actor as _, ChangeClerk, ChangeId, ChangeKind, ChangeState, Chip, Content, Producer};
use program_contract::file;

use crate::error::ProductionError;
use crate::pipe::{begin, carry};
use crate::production::Production;
use crate::station::{Observed, Station};
use crate::verify::differs_in;

/// Days that the signed order of a change holds: the day itself, and a night's clock difference.
const CHANGE_DAYS: i64 = 2;

impl Production {
    /// Has the vault seal the updates of a change, for terminals to deliver. The ledger knows of it before the first one is
    /// sealed, and of each as it comes: said again it goes on where it stopped. One whose updates are all sealed answers itself.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for a change that terminals cannot deliver or that is not signed off;
    /// [`permit_domain::Error::SamePersonTwice`] for who signed it off; the vault's refusal, for example of a card that no
    /// terminal reaches.
    pub async fn queue_change(
        &self,
        id: ChangeId,
        by: &ChangeClerk,
    ) -> Result<StoredCardChange, ProductionError> {
        let stored = self.office.change_in_time(id).await?;
        let is_queued = matches!(stored.change.state(), ChangeState::Queued);
        if stored.change.state().is_over() || (is_queued && stored.sealing_since.is_none()) {
            return Ok(stored);
        }
        // The domain's word on the state comes first.
        let today = self.clock().today();
        stored.change.clone().queued(today)?;
        let tasks = self.office.update_tasks(&stored).await?;
        let card = self.office.card(&stored.change.card().number).await?;
        let content = self.office.content_of(&card).await?;
        // The same order as the first time, so that the vault knows again what it has sealed. A vault that is sealed or away is
        // known before anything is promised.
        let since = sealing_day(&stored, today);
        let number = uuid8(&[
            b"YZT-QUEUE-1",
            id.as_bytes(),
            since.to_string().as_bytes(),
            &fingerprint(&stored, &content)?,
        ]);
        let cards = u32::try_from(tasks.len()).map_err(|_| ProductionError::Internal)?;
        let (mut vault, session) = self
            .session_for(number, vec![TaskKind::Update], since, QUEUE_DAYS, cards)
            .await?;
        let stored = self.office.begin_queue(&stored, by, &content).await?;
        let serial = *stored.change.card().serial.as_bytes();
        let mut sealed = Vec::new();
        for (index, task) in (0..cards).zip(tasks) {
            let queued = vault.seal_update(&session, index, serial, task).await?;
            self.office.update_sealed(id, &queued.change).await?;
            sealed.push(queued.change);
        }
        Ok(self.office.end_queue(id, &sealed, by).await?)
    }

    /// Writes a change onto its card on the station, or finishes what an earlier call began. A change that is done answers
    /// the same.
    ///
    /// # Errors
    /// Every [`ProductionError`]; the ledger says where the change stands, and calling again goes on with the same card.
    pub async fn write_change(
        &self,
        id: ChangeId,
        station: &mut Station,
        producer: &Producer,
    ) -> Result<StoredCardChange, ProductionError> {
        let stored = self.office.change_in_time(id).await?;
        if matches!(stored.change.state(), ChangeState::Done { .. }) {
            return Ok(stored);
        }
        let today = self.clock().today();
        // The domain's word on the state comes first.
        stored.change.clone().begin_writing(today)?;
        let was_writing = matches!(stored.change.state(), ChangeState::Writing);
        let card = self.office.card(&stored.change.card().number).await?;
        let to_write = self.office.to_write(&stored.change, producer).await?;

        if self.is_covered(&stored).await? {
            let change = self
                .office
                .begin_change(&stored.change, &to_write, producer)
                .await?;
            return self.finish(stored, change, producer, None).await;
        }
        if !was_writing {
            self.not_behind_a_later_load(&stored).await?;
        }
        // Everything that can fail without the card is fetched before it is touched.
        let kind = stored.change.kind();
        let (task, front) = match to_write.what {
            Some(what) => {
                self.rewrite_task(&stored, &to_write.content, what, producer)
                    .await?
            }
            None => (plain_task(kind), None),
        };
        self.look_first(&card, &to_write.content, kind, was_writing, station)
            .await?;

        let digest = fingerprint(&stored, &to_write.content)?;
        let number = uuid8(&[
            b"YZT-CHANGE-1",
            id.as_bytes(),
            today.to_string().as_bytes(),
            &digest,
        ]);
        let tasks = vec![task.kind(), TaskKind::Inspect];
        let begun = async {
            let session = self.session(number, tasks, today, CHANGE_DAYS).await?;
            begin(session, card.serial, task, station).await
        };
        let begun = match begun.await {
            Ok(begun) => begun,
            // The vault does not go on with what a counter began, so nobody ever will: the card says what became of it.
            Err(error) if was_writing && is_final(&error) => {
                return self
                    .look_after(stored, &card, &to_write, producer, station, error)
                    .await;
            }
            Err(error) => return Err(error),
        };
        let change = self
            .office
            .begin_change(&stored.change, &to_write, producer)
            .await?;
        let result = match carry(begun, station).await {
            Ok(result) => result,
            Err(error) if is_final(&error) => {
                let stored = StoredCardChange { change, ..stored };
                return self
                    .look_after(stored, &card, &to_write, producer, station, error)
                    .await;
            }
            Err(error) => return Err(error),
        };
        if result.serial.as_bytes() != card.serial.as_bytes() || result.state != state_after(kind) {
            return Err(ProductionError::OtherResult);
        }
        if let Some(what) = to_write.what {
            self.read_back(&card, &to_write.content, what, station).await?;
        }
        if let Some(front) = front {
            self.draw_front(id, &to_write.content, front).await?;
        }
        self.finish(stored, change, producer, Some(&to_write)).await
    }

    /// The vault refused a change that a counter began. The card is looked at: either it has all of the change, which is
    /// done then, or nothing of it, for FINALISE is one step; then the change stands where it stood before the counter,
    /// and the vault's refusal is told.
    async fn look_after(
        &self,
        stored: StoredCardChange,
        card: &Card,
        to_write: &ToWrite,
        producer: &Producer,
        station: &mut Station,
        refusal: ProductionError,
    ) -> Result<StoredCardChange, ProductionError> {
        let today = self.clock().today();
        let number = uuid8(&[
            b"YZT-LOOK-1",
            stored.change.id().as_bytes(),
            today.to_string().as_bytes(),
        ]);
        let session = self
            .session(number, vec![TaskKind::Inspect], today, CHANGE_DAYS)
            .await?;
        let result = carry(
            begin(session, card.serial, CardTask::Inspect, station).await?,
            station,
        )
        .await?;
        let kind = stored.change.kind();
        let is_written = match to_write.what {
            _ if result.state != state_after(kind) => false,
            // Records under another key version and a purse look the same behind the change: it is written again.
            Some(Rewritten::Records | Rewritten::Purse) => false,
            Some(what) => match self.read_back(card, &to_write.content, what, station).await {
                Ok(()) => kind != ChangeKind::Load,
                Err(ProductionError::WrongContent { .. }) => false,
                Err(error) => return Err(error),
            },
            None => true,
        };
        let change = stored.change.clone();
        if is_written {
            return self.finish(stored, change, producer, Some(to_write)).await;
        }
        self.office.put_change_back(change, producer).await?;
        Err(refusal)
    }

    async fn finish(
        &self,
        stored: StoredCardChange,
        change: permit_domain::CardChange,
        producer: &Producer,
        written: Option<&ToWrite>,
    ) -> Result<StoredCardChange, ProductionError> {
        let change = self.office.finish_change(change, producer, written).await?;
        if stored.change.kind() == ChangeKind::Address {
            let case = change.id().to_string();
            if let Err(error) = self.office.close_photo_case(&case, producer.staff()).await {
                tracing::warn!(change = %change.id(), code = error.code().as_str(), "the photo's case stays open");
            }
        }
        Ok(StoredCardChange { change, ..stored })
    }

    /// A load is cumulative: a later one that is on the card brought this one with it.
    async fn is_covered(&self, stored: &StoredCardChange) -> Result<bool, ProductionError> {
        let Some(load) = &stored.load else {
            return Ok(false);
        };
        let changes = self.office.changes_of(&stored.change.card().number).await?;
        Ok(changes.iter().any(|other| {
            matches!(other.change.state(), ChangeState::Done { .. })
                && other
                    .load
                    .as_ref()
                    .is_some_and(|later| later.loaded > load.loaded)
        }))
    }

    /// The vault writes no sum below one that it gave: a load behind which a later one was sealed or begun comes with that one.
    async fn not_behind_a_later_load(&self, stored: &StoredCardChange) -> Result<(), ProductionError> {
        let Some(load) = &stored.load else {
            return Ok(());
        };
        let changes = self.office.changes_of(&stored.change.card().number).await?;
        let given = |other: &StoredCardChange| {
            matches!(other.change.state(), ChangeState::Queued | ChangeState::Writing)
                || other.sealing_since.is_some()
        };
        let later = changes
            .iter()
            .filter(|other| given(other) && !other.change.state().is_over())
            .filter_map(|other| Some((other.load.as_ref()?.loaded, other.change.id())))
            .filter(|(loaded, _)| *loaded > load.loaded)
            .max_by_key(|(loaded, _)| *loaded);
        match later {
            Some((_, change)) => Err(issuer_office::error::OfficeError::from(
                permit_domain::Refusal::LaterLoad { change },
            )
            .into()),
            None => Ok(()),
        }
    }

    async fn rewrite_task(
        &self,
        stored: &StoredCardChange,
        content: &CardContent,
        what: Rewritten,
        producer: &Producer,
    ) -> Result<(CardTask, Option<FrontFace>), ProductionError> {
        let loaded = stored.load.as_ref().map(|load| load.loaded);
        if what != Rewritten::Person {
            let rewrite = content.rewrite(what, None, loaded)?;
            return Ok((CardTask::Rewrite(Box::new(rewrite)), None));
        }
        let mut photos = self.office.photo_store().await?;
        let photo = content.photo();
        let mut read = async |profile| {
            read_photo(&mut photos, photo.id()?, profile, photo.case(), producer.staff())
                .await
                .map_err(ProductionError::Photo)
        };
        let chip = read(photo_store_protocol::Profile::Chip).await?;
        let mut print = read(photo_store_protocol::Profile::Print).await?;
        let front = content.front(std::mem::take(&mut print.jpeg))?;
        let rewrite = content.rewrite(what, Some(&chip.jpeg), loaded)?;
        Ok((CardTask::Rewrite(Box::new(rewrite)), Some(front)))
    }

    /// The change's own card, before anything is written. A chip that may be blocked or ended already is looked at as far
    /// as it answers: where it refuses door S, door I's keys are the card's own, and there the vault finds a swapped card.
    async fn look_first(
        &self,
        card: &Card,
        content: &CardContent,
        kind: ChangeKind,
        was_writing: bool,
        station: &mut Station,
    ) -> Result<(), ProductionError> {
        let may_be_shut = kind == ChangeKind::Unblock
            || card.chip != Chip::Open
            || (was_writing && matches!(kind, ChangeKind::Block | ChangeKind::End));
        let expected = card.serial;
        if let Some(blank) = station.blank().await? {
            return Err(if blank == expected {
                ProductionError::OtherResult
            } else {
                ProductionError::CardSwapped { expected }
            });
        }
        let seen = station.look(&self.counter(content).await?).await;
        match seen {
            Err(ProductionError::Card(CardError::Refused(_) | CardError::CardRefused { .. }))
                if may_be_shut =>
            {
                return Ok(());
            }
            Ok(seen) if may_be_shut && seen.serial() == expected => return Ok(()),
            _ => {}
        }
        match seen? {
            seen if seen.serial() != expected => Err(ProductionError::CardSwapped { expected }),
            Observed::Written(_, status) if status.state == CardState::Active => Ok(()),
            _ => Err(ProductionError::WrongContent { what: "state" }),
        }
    }

    /// Reads what was written from a new connection with a fresh bundle: its keys may be newer than the last one's.
    async fn read_back(
        &self,
        card: &Card,
        content: &CardContent,
        what: Rewritten,
        station: &mut Station,
    ) -> Result<(), ProductionError> {
        let expected: Vec<Role> = content.roles().collect();
        let order = self.order(card.order).await?;
        let certified = self.certified_keys(&order).await?;
        *self.counter.lock().await = None;
        let session = self.counter(content).await?.session();
        let seen = station
            .visit(move |mut transport| session.look(&mut transport, &expected, &certified))
            .await??;
        if seen.serial != card.serial {
            return Err(ProductionError::CardSwapped {
                expected: card.serial,
            });
        }
        match differs_in(&seen, content, CardState::Active, what) {
            Some(what) => Err(ProductionError::WrongContent { what }),
            None => Ok(()),
        }
    }

    /// The new face, to be printed over the old one or onto its strip: `front.png` in a folder of the change.
    async fn draw_front(
        &self,
        id: ChangeId,
        content: &CardContent,
        front: FrontFace,
    ) -> Result<(), ProductionError> {
        let artist = self.office.artist();
        let division = content.division().as_str().to_owned();
        let folder = self.settings.faces.join(id.to_string());
        tokio::task::spawn_blocking(move || {
            let face = artist.front(&division, &front)?;
            let failed = |path: &std::path::Path| {
                let path = path.to_owned();
                move |source| ProductionError::Print { path, source }
            };
            std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
            let path = folder.join("front.png");
            // The front shows a person: the office's account alone may read it.
            file::replace(&path, &face.png, file::PRIVATE).map_err(failed(&path))
        })
        .await
        .map_err(|_| ProductionError::Internal)?
    }
}

/// Whether the vault will say the same whenever it is asked: it is there and open, and it was no fault of the card, of the
/// way to it, or of the machine.
fn is_final(error: &ProductionError) -> bool {
    const FINAL: [RefusalCode; 6] = [
        RefusalCode::BadContent,
        RefusalCode::CardConflict,
        RefusalCode::CardDenied,
        RefusalCode::CardState,
        RefusalCode::NoActiveVersion,
        RefusalCode::NotFound,
    ];
    matches!(error, ProductionError::Vault(error) if FINAL.iter().any(|code| error.is(*code)))
}

const fn plain_task(kind: ChangeKind) -> CardTask {
    match kind {
        ChangeKind::Unblock => CardTask::Unblock,
        ChangeKind::End => CardTask::Terminate,
        _ => CardTask::Block,
    }
}

const fn state_after(kind: ChangeKind) -> CardState {
    match kind {
        ChangeKind::Block => CardState::Blocked,
        ChangeKind::End => CardState::Terminated,
        _ => CardState::Active,
    }
}

/// SHA-256 of what is to stand on the card: another content is another order of the vault.
fn fingerprint(stored: &StoredCardChange, content: &CardContent) -> Result<[u8; 32], ProductionError> {
    let loaded = stored.load.as_ref().map_or(0, |load| load.loaded);
    let mut bytes = content.to_content()?.bytes().to_vec();
    bytes.extend_from_slice(&loaded.to_be_bytes());
    Ok(*Content::freeze(bytes).digest().as_bytes())
}
