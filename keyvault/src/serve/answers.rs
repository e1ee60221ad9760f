//! What requests that change something were answered, by their callers and numbers: who lost an answer asks the same again and
//! gets it, and the work is done once.
//!
//! Kept in memory while the vault is open, the newest few thousand. A request whose answer is not kept any more is not done again: of
//! each connection, and of the newest that have ended, it is known up to which number that is so, and of all others nothing
//! is new. Left out: answers that were refusals: nothing was done then.

use std::collections::{BTreeMap, VecDeque};

use keyvault_protocol::{PointBytes, Request, Response, Series, number_parts};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// Most answers that are kept, and most connections that are known when they have ended.
const KEPT: usize = 4096;
/// Most bytes of the answers together.
const BYTES: usize = 64 << 20;

/// The key that the channel proved, and the number that its holder gave the request.
type Number = (PointBytes, [u8; 16]);

struct Answered {
    request: [u8; 32],
    /// As it goes over the wire; none while it is being done.
    response: Option<Vec<u8>>,
}

/// The answers that are kept.
#[derive(Default)]
pub(crate) struct Answers {
    by_number: BTreeMap<Number, Answered>,
    oldest_first: VecDeque<Number>,
    bytes: usize,
    /// How far the answers to each connection's requests may be forgotten: what is not behind that is not done.
    forgotten: BTreeMap<(PointBytes, Series), u64>,
    /// The connections of these that have ended.
    ended: VecDeque<(PointBytes, Series)>,
}

/// What stands under a number already, or the place to put it.
pub(crate) enum Known {
    /// It was done, and answered so.
    Answered(Box<Response>),
    /// It is to be done: its answer goes there.
    New(Place),
}

/// Where the answer to a request goes.
pub(crate) struct Place(Number);

impl Answers {
    /// A caller's connection is there.
    pub(crate) fn open(&mut self, caller: &PointBytes, series: Series) {
        self.forgotten.entry((*caller, series)).or_default();
    }

    /// It has ended; what was asked on it may be asked again on another one.
    pub(crate) fn close(&mut self, caller: &PointBytes, series: Series) {
        if self.forgotten.contains_key(&(*caller, series)) {
            self.ended.push_back((*caller, series));
        }
        while self.ended.len() > KEPT {
            if let Some(oldest) = self.ended.pop_front() {
                self.forgotten.remove(&oldest);
            }
        }
    }

    /// What is known of a request under this number, on the connection of `own`; where nothing is, it begins.
    ///
    /// # Errors
    /// [`Error::RequestIdUsed`] where the number stands for another request, [`Error::RequestRunning`] while this one is being
    /// done, [`Error::RequestForgotten`] where it may have been done.
    pub(crate) fn begin(
        &mut self,
        caller: &PointBytes,
        own: Series,
        id: [u8; 16],
        request: &Request,
    ) -> Result<Known, Error> {
        let bytes = minicbor::to_vec(request).map_err(|_| Error::MalformedRequest)?;
        let request: [u8; 32] = Sha256::digest(bytes).into();
        let number = (*caller, id);
        match self.by_number.get(&number) {
            Some(known) if known.request != request => Err(Error::RequestIdUsed),
            Some(known) => match &known.response {
                Some(response) => minicbor::decode(response)
                    .map(|response| Known::Answered(Box::new(response)))
                    .map_err(|_| Error::MalformedRequest),
                None => Err(Error::RequestRunning),
            },
            None => {
                let (series, count) = number_parts(&id);
                if series == own {
                    // It may have connected before anybody knew its key.
                    self.open(caller, series);
                }
                let forgotten = self.forgotten.get(&(*caller, series));
                if forgotten.is_none_or(|forgotten| count <= *forgotten) {
                    return Err(Error::RequestForgotten);
                }
                let begun = Answered {
                    request,
                    response: None,
                };
                self.by_number.insert(number, begun);
                Ok(Known::New(Place(number)))
            }
        }
    }

    /// Keeps the answer to a request that was done, and forgets one that was not. Where that is not known, it is not done again.
    pub(crate) fn end(&mut self, Place(number): &Place, outcome: Result<&Response, &Error>) {
        let begun = self.by_number.get_mut(number);
        let (Ok(response), Some(begun)) = (outcome, begun) else {
            self.by_number.remove(number);
            if let Err(Error::StoreSilent) = outcome {
                self.not_again(number);
            }
            return;
        };
        let response = minicbor::to_vec(response).unwrap_or_default();
        self.bytes += response.len();
        begun.response = Some(response);
        self.oldest_first.push_back(*number);
        while self.oldest_first.len() > KEPT || self.bytes > BYTES {
            let Some(oldest) = self.oldest_first.pop_front() else {
                return;
            };
            let gone = self.by_number.remove(&oldest);
            self.bytes -= gone.and_then(|gone| gone.response).map_or(0, |gone| gone.len());
            self.not_again(&oldest);
        }
    }

    fn not_again(&mut self, (caller, id): &Number) {
        let (series, count) = number_parts(id);
        if let Some(forgotten) = self.forgotten.get_mut(&(*caller, series)) {
            *forgotten = count.max(*forgotten);
        }
    }

    /// Forgets all: the vault was sealed.
    pub(crate) fn forget(&mut self) {
        for number in std::mem::take(&mut self.by_number).keys() {
            self.not_again(number);
        }
        self.oldest_first.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use keyvault_protocol::{ReadStatus, RoleKeys, request_number as number};

    use super::*;

    const OWN: Series = [1; 8];
    const OTHER: Series = [2; 8];

    /// Does a request, and answers it with so many bytes; none where it is not done.
    fn done(answers: &mut Answers, caller: &PointBytes, id: [u8; 16], bytes: usize) -> Result<(), Error> {
        let Known::New(place) = answers.begin(caller, OWN, id, &RoleKeys.into())? else {
            panic!("it was done before");
        };
        answers.end(&place, Ok(&Response::Export(vec![1; bytes])));
        Ok(())
    }

    #[test]
    fn the_newest_answers_are_kept_each_for_its_caller_number_and_request() {
        let mut answers = Answers::default();
        let (us, them) = ([4; 65], [5; 65]);
        let most = KEPT as u64 + 1;
        let request = Request::from(RoleKeys);
        for count in 1..=most {
            done(&mut answers, &us, number(OWN, count), 7).unwrap();
        }
        let newest = number(OWN, most);
        let Ok(Known::Answered(response)) = answers.begin(&us, OTHER, newest, &request) else {
            panic!("it was kept");
        };
        assert_eq!(*response, Response::Export(vec![1; 7]));
        let other = answers.begin(&us, OTHER, newest, &Request::from(ReadStatus));
        assert_eq!(other.err(), Some(Error::RequestIdUsed));
        // Another caller's numbers are their own.
        let Ok(Known::New(running)) = answers.begin(&them, OWN, newest, &request) else {
            panic!("another caller's");
        };
        let again = answers.begin(&them, OTHER, newest, &request);
        assert_eq!(again.err(), Some(Error::RequestRunning));
        // What was refused may be asked again, and what may have been done is not.
        answers.end(&running, Err(&Error::NameTaken));
        let Ok(Known::New(silent)) = answers.begin(&them, OTHER, newest, &request) else {
            panic!("it was refused");
        };
        answers.end(&silent, Err(&Error::StoreSilent));
        assert_eq!(done(&mut answers, &them, newest, 1), Err(Error::RequestForgotten));
        // One answer that is as large as all.
        done(&mut answers, &them, number(OWN, most + 1), BYTES - 8).unwrap();
        assert_eq!((answers.by_number.len(), answers.oldest_first.len()), (1, 1));
    }

    #[test]
    fn what_is_not_kept_any_more_is_not_done_again_and_what_never_came_is_done() {
        let mut answers = Answers::default();
        let us = [4; 65];
        let most = KEPT as u64 + 1;
        answers.open(&us, OTHER);
        for count in 1..=most {
            done(&mut answers, &us, number(OTHER, count), 1).unwrap();
        }
        // The connection has ended: its oldest answer is gone, and its last request never came.
        answers.close(&us, OTHER);
        let oldest = number(OTHER, 1);
        assert_eq!(done(&mut answers, &us, oldest, 1), Err(Error::RequestForgotten));
        done(&mut answers, &us, number(OTHER, most + 1), 1).unwrap();
        // The vault was sealed: all are gone, of open connections too, and the next ones are new.
        done(&mut answers, &us, number(OWN, 1), 1).unwrap();
        answers.forget();
        for gone in [number(OTHER, most + 1), number(OWN, 1)] {
            assert_eq!(done(&mut answers, &us, gone, 1), Err(Error::RequestForgotten));
        }
        done(&mut answers, &us, number(OWN, 2), 1).unwrap();
        done(&mut answers, &us, number(OTHER, most + 2), 1).unwrap();
        // A connection that nobody knows any more, or of a process before this one.
        for n in 0..KEPT as u64 {
            let series = (n + 1000).to_be_bytes();
            answers.open(&us, series);
            answers.close(&us, series);
        }
        for gone in [number(OTHER, most + 3), number([9; 8], 1)] {
            assert_eq!(done(&mut answers, &us, gone, 1), Err(Error::RequestForgotten));
        }
        assert!(answers.forgotten.len() <= KEPT + 1 && answers.ended.len() <= KEPT);
    }
}
