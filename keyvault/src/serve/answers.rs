//! What requests that change something were answered, by their callers and numbers: who lost an answer asks the same again and
//! gets it, and the work is done once.
//!
//! Kept in memory while the vault is open, the newest few thousand. Behind that, and after a restart, what may be asked again
//! says its policy ([`service_contract::Policy::idempotent`]). Left out: answers that were refusals: nothing was done then.

use std::collections::{BTreeMap, VecDeque};

use keyvault_protocol::{PointBytes, Request, Response};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// Most answers that are kept.
const KEPT: usize = 4096;
/// Most bytes of them together.
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
    /// What is known of a request under this number; where nothing is, it begins.
    ///
    /// # Errors
    /// [`Error::RequestIdUsed`] where the number stands for another request, [`Error::RequestRunning`] while this one is being done.
    pub(crate) fn begin(
        &mut self,
        caller: &PointBytes,
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
                let begun = Answered {
                    request,
                    response: None,
                };
                self.by_number.insert(number, begun);
                Ok(Known::New(Place(number)))
            }
        }
    }

    /// Keeps the answer to a request that was done, and forgets one that was not.
    pub(crate) fn end(&mut self, Place(number): &Place, response: Option<&Response>) {
        let (Some(response), Some(begun)) = (response, self.by_number.get_mut(number)) else {
            self.by_number.remove(number);
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
        }
    }

    /// Forgets all: the vault was sealed.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use keyvault_protocol::{ReadStatus, RoleKeys};

    use super::*;

    #[test]
    fn the_newest_answers_are_kept_each_for_its_caller_number_and_request() {
        let mut answers = Answers::default();
        let id = |number: usize| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            id
        };
        let (us, them) = ([4; 65], [5; 65]);
        let request = Request::from(RoleKeys);
        let done = |answers: &mut Answers, caller: &PointBytes, number, bytes| {
            let Ok(Known::New(place)) = answers.begin(caller, id(number), &request) else {
                return false;
            };
            answers.end(&place, Some(&Response::Export(vec![1; bytes])));
            true
        };
        for number in 0..=KEPT {
            assert!(done(&mut answers, &us, number, number % 7));
        }
        let Ok(Known::Answered(response)) = answers.begin(&us, id(KEPT), &request) else {
            panic!("it was kept");
        };
        assert_eq!(*response, Response::Export(vec![1; KEPT % 7]));
        let other = answers.begin(&us, id(KEPT), &Request::from(ReadStatus));
        assert_eq!(other.err(), Some(Error::RequestIdUsed));
        // Another caller's numbers are their own, and our oldest is gone.
        let Ok(Known::New(running)) = answers.begin(&them, id(KEPT), &request) else {
            panic!("another caller's");
        };
        let again = answers.begin(&them, id(KEPT), &request);
        assert_eq!(again.err(), Some(Error::RequestRunning));
        // What was refused may be asked again.
        answers.end(&running, None);
        assert!(done(&mut answers, &them, KEPT, 1));
        assert!(done(&mut answers, &us, 0, 1));
        assert!(done(&mut answers, &them, 1, BYTES - 8));
        assert_eq!((answers.by_number.len(), answers.oldest_first.len()), (1, 1));
    }
}
