//! Jobs: work on one card under an order, drawn once and replayed byte for byte on every attempt.
//!
//! Data groups are not stored: a job has a digest of its content, and whoever resumes it must bring the same. What a job is
//! and how far it has come is a type here and one row on disk ([`JobRow`]), whose fields are as they always were.

use card_applet_spec::codes::{Domain, Serial};
use keyvault_protocol::{CardKey, QueuedUpdate};
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::card::record::{Card, CardSlot, Stamp, job_id};
use crate::error::Error;
use crate::open::transaction::{Core, Open};
use crate::store::sql::Table;

/// Work on one card under an order; the row's id is `order || index`.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) serial: Serial,
    pub(crate) task: JobTask,
}

/// What the work is.
#[derive(Debug)]
pub(crate) enum JobTask {
    Personalise(PersonaliseJob),
    Rewrite(RewriteJob),
    /// An update was sealed.
    Update {
        /// SHA-256 of the task.
        content: [u8; 32],
        queued: QueuedUpdate,
    },
    /// A script without content; every attempt draws another.
    ChangeState {
        script: [u8; 16],
    },
}

/// A personalisation.
#[derive(Debug)]
pub(crate) struct PersonaliseJob {
    /// SHA-256 of the content.
    pub(crate) content: [u8; 32],
    pub(crate) script: [u8; 16],
    pub(crate) progress: Personalised,
}

/// How far a personalisation has come.
#[derive(Debug)]
pub(crate) enum Personalised {
    /// BEGIN, GENERATE and the data groups follow from script and content; nothing else is drawn.
    Drafted,
    /// The steps behind the data groups are drawn.
    Drawn(SecondPart),
    /// The card has done it; the steps, which hold card keys, are gone.
    Finished { steps: u16, keys: Vec<CardKey> },
}

/// A rewrite, which is drawn whole.
#[derive(Debug)]
pub(crate) struct RewriteJob {
    /// SHA-256 of the content; none where the update keys change and nothing else does.
    pub(crate) content: Option<[u8; 32]>,
    pub(crate) script: [u8; 16],
    pub(crate) progress: Rewritten,
}

/// How far a rewrite has come.
#[derive(Debug)]
pub(crate) enum Rewritten {
    Drawn(RewritePart),
    Finished { steps: u16 },
}

impl Job {
    /// Digest of the content that it is bound to.
    pub(crate) fn content(&self) -> Option<[u8; 32]> {
        match &self.task {
            JobTask::Personalise(PersonaliseJob { content, .. }) | JobTask::Update { content, .. } => {
                Some(*content)
            }
            JobTask::Rewrite(RewriteJob { content, .. }) => *content,
            JobTask::ChangeState { .. } => None,
        }
    }

    /// Steps of a finished script with content.
    pub(crate) fn finished_steps(&self) -> Option<u16> {
        match &self.task {
            JobTask::Personalise(PersonaliseJob {
                progress: Personalised::Finished { steps, .. },
                ..
            })
            | JobTask::Rewrite(RewriteJob {
                progress: Rewritten::Finished { steps },
                ..
            }) => Some(*steps),
            _ => None,
        }
    }
}

/// The drawn part of a personalisation.
#[derive(Debug, Encode, Decode)]
pub(crate) struct SecondPart {
    #[n(0)]
    pub(crate) steps: Vec<StoredStep>,
    #[n(1)]
    pub(crate) keys: Vec<CardKey>,
    #[n(2)]
    pub(crate) slots: Vec<CardSlot>,
}

/// The drawn part of a rewrite: everything behind the data groups.
#[derive(Debug, Encode, Decode)]
pub(crate) struct RewritePart {
    #[n(0)]
    pub(crate) steps: Vec<StoredStep>,
    #[n(1)]
    pub(crate) slots: Vec<CardSlot>,
    /// Digests of DG1, DG2, DG3 behind it, when one of them changes.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) groups: Option<[u8; 96]>,
    /// When the card does it: a new generation if the script changes the update keys.
    #[n(3)]
    pub(crate) stamp: Stamp,
}

/// Operation and payload of one step. Holds card keys.
#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
pub(crate) struct StoredStep {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) bytes: Vec<u8>,
}

impl std::fmt::Debug for StoredStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredStep(..)")
    }
}

/// The row of a job. What a job does not have is zeros in the fields `content` and `script`, and absent in the others;
/// which of them there are tells what it is.
#[derive(Encode, Decode)]
struct JobRow<Second, Finish, Part, Queued> {
    #[n(0)]
    serial: Serial,
    #[cbor(n(1), with = "minicbor::bytes")]
    content: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    script: [u8; 16],
    #[n(3)]
    second_part: Option<Second>,
    #[n(4)]
    finished: Option<Finish>,
    #[n(5)]
    rewrite: Option<Part>,
    #[n(6)]
    queued: Option<Queued>,
}

/// What stays of a finished script with content.
#[derive(Encode, Decode)]
struct FinishedRow<Keys> {
    #[n(0)]
    steps: u16,
    /// Of a personalisation.
    #[n(1)]
    keys: Keys,
}

/// Content of a row whose job has none.
const NO_CONTENT: [u8; 32] = [0; 32];
/// Script of a row whose job has none.
const NO_SCRIPT: [u8; 16] = [0; 16];

impl<C> Encode<C> for Job {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let mut row = JobRow {
            serial: self.serial,
            content: self.content().unwrap_or(NO_CONTENT),
            script: NO_SCRIPT,
            second_part: None,
            finished: None,
            rewrite: None,
            queued: None,
        };
        let none: &[CardKey] = &[];
        match &self.task {
            JobTask::Personalise(job) => {
                row.script = job.script;
                match &job.progress {
                    Personalised::Drafted => {}
                    Personalised::Drawn(part) => row.second_part = Some(part),
                    Personalised::Finished { steps, keys } => {
                        row.finished = Some(FinishedRow {
                            steps: *steps,
                            keys: keys.as_slice(),
                        });
                    }
                }
            }
            JobTask::Rewrite(job) => {
                row.script = job.script;
                match &job.progress {
                    Rewritten::Drawn(part) => row.rewrite = Some(part),
                    Rewritten::Finished { steps } => {
                        row.finished = Some(FinishedRow {
                            steps: *steps,
                            keys: none,
                        });
                    }
                }
            }
            JobTask::Update { queued, .. } => row.queued = Some(queued),
            JobTask::ChangeState { script } => row.script = *script,
        }
        row.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Job {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        type Row = JobRow<SecondPart, FinishedRow<Vec<CardKey>>, RewritePart, QueuedUpdate>;
        let JobRow {
            serial,
            content,
            script,
            second_part,
            finished,
            rewrite,
            queued,
        } = Row::decode(d, ctx)?;
        let bound = (content != NO_CONTENT).then_some(content);
        let rewritten = |progress| {
            JobTask::Rewrite(RewriteJob {
                content: bound,
                script,
                progress,
            })
        };
        let personalised = |progress| {
            JobTask::Personalise(PersonaliseJob {
                content,
                script,
                progress,
            })
        };
        let task = match (second_part, finished, rewrite, queued) {
            (None, None, None, Some(queued)) => JobTask::Update { content, queued },
            (None, None, Some(part), None) => rewritten(Rewritten::Drawn(part)),
            (Some(part), None, None, None) => personalised(Personalised::Drawn(part)),
            // Only a personalisation makes key pairs.
            (None, Some(FinishedRow { steps, keys }), None, None) if keys.is_empty() => {
                rewritten(Rewritten::Finished { steps })
            }
            (None, Some(FinishedRow { steps, keys }), None, None) => {
                personalised(Personalised::Finished { steps, keys })
            }
            (None, None, None, None) if bound.is_none() => JobTask::ChangeState { script },
            (None, None, None, None) => personalised(Personalised::Drafted),
            _ => {
                return Err(minicbor::decode::Error::message(
                    "a job that is two things at once",
                ));
            }
        };
        Ok(Self { serial, task })
    }
}

/// public64 of a card's keys, from its personalisation.
pub(crate) async fn personalised_keys(
    core: &mut Core,
    open: &Open,
    card: &Card,
) -> Result<Option<[u8; 192]>, Error> {
    let job: Option<Job> = open
        .get(core, Table::Job, &job_id(&card.order, card.index))
        .await?;
    Ok(match job.map(|job| job.task) {
        Some(JobTask::Personalise(PersonaliseJob {
            progress: Personalised::Finished { keys, .. },
            ..
        })) => publics_of(&keys),
        _ => None,
    })
}

/// public64 of the certified keys, by domain.
pub(crate) fn publics_of(keys: &[CardKey]) -> Option<[u8; 192]> {
    let mut publics = [0; 192];
    for (part, domain) in publics.chunks_exact_mut(64).zip(Domain::ALL) {
        let key = keys.iter().find(|key| key.domain == *domain)?;
        part.copy_from_slice(&key.public_key[1..]);
    }
    Some(publics)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(job: &Job) -> String {
        hex::encode(minicbor::to_vec(job).unwrap())
    }

    fn job(task: JobTask) -> Job {
        Job {
            serial: Serial([1; 10]),
            task,
        }
    }

    fn personalise(progress: Personalised) -> Job {
        job(JobTask::Personalise(PersonaliseJob {
            content: [2; 32],
            script: [3; 16],
            progress,
        }))
    }

    fn rewrite(content: Option<[u8; 32]>, progress: Rewritten) -> Job {
        job(JobTask::Rewrite(RewriteJob {
            content,
            script: [3; 16],
            progress,
        }))
    }

    #[test]
    fn a_job_is_the_row_that_it_always_was() {
        let head = |content: &str| {
            format!(
                "4a{}5820{}50{}",
                "01".repeat(10),
                content.repeat(32),
                "03".repeat(16)
            )
        };
        let drafted = personalise(Personalised::Drafted);
        assert_eq!(row(&drafted), format!("83{}", head("02")));
        let changed = job(JobTask::ChangeState { script: [3; 16] });
        assert_eq!(row(&changed), format!("83{}", head("00")));
        let rewritten = rewrite(Some([2; 32]), Rewritten::Finished { steps: 12 });
        assert_eq!(row(&rewritten), format!("85{}f6820c80", head("02")));
        let renewed = rewrite(None, Rewritten::Finished { steps: 12 });
        assert_eq!(row(&renewed), format!("85{}f6820c80", head("00")));
    }

    #[test]
    fn every_job_comes_back_from_its_row() {
        let step = || StoredStep { bytes: vec![0x0F, 1] };
        let key = |domain| CardKey {
            domain,
            public_key: [4; 65],
            certificate: vec![7; 3],
        };
        let part = || RewritePart {
            steps: vec![step()],
            slots: Vec::new(),
            groups: Some([6; 96]),
            stamp: Stamp {
                generation: 1,
                counter: 77,
            },
        };
        let second = SecondPart {
            steps: vec![step()],
            keys: Vec::new(),
            slots: Vec::new(),
        };
        let finished = Personalised::Finished {
            steps: 12,
            keys: Domain::ALL.iter().copied().map(key).collect(),
        };
        let queued = QueuedUpdate {
            change: [5; 16],
            envelopes: Vec::new(),
        };
        for before in [
            personalise(Personalised::Drafted),
            personalise(Personalised::Drawn(second)),
            personalise(finished),
            rewrite(Some([2; 32]), Rewritten::Drawn(part())),
            rewrite(Some([2; 32]), Rewritten::Finished { steps: 12 }),
            rewrite(None, Rewritten::Drawn(part())),
            rewrite(None, Rewritten::Finished { steps: 12 }),
            job(JobTask::Update {
                content: [2; 32],
                queued,
            }),
            job(JobTask::ChangeState { script: [3; 16] }),
        ] {
            let bytes = minicbor::to_vec(&before).unwrap();
            let after: Job = minicbor::decode(&bytes).unwrap();
            assert_eq!(format!("{before:?}"), format!("{after:?}"));
            assert_eq!(minicbor::to_vec(&after).unwrap(), bytes);
        }
    }
}
