//! Operations: what can be asked of a service, each with the type of its answer, its policy, and the door by which people
//! reach it.
//!
//! An operation is a struct in the file of its subject, with its [`Operation`] implementation beside it. A protocol has
//! one list of them ([`operations!`](crate::operations)), one line per operation, which makes the enum of the wire, and
//! one list of answers ([`answers!`](crate::answers)). So a service matches without a wildcard, and a client asks with
//! one function:
//!
//! ```
//! use minicbor::{Decode, Encode};
//! use service_contract::{Answer, Journal, Operation, Policy, answered, frame};
//!
//! // --- in the file of the subject
//!
//! /// Puts a card onto the deny lists.
//! #[derive(Debug, Encode, Decode)]
//! pub struct DenyCard {
//!     /// Its number.
//!     #[n(0)]
//!     pub number: u32,
//! }
//!
//! impl Operation for DenyCard {
//!     type Answer = ();
//!     const POLICY: Policy = Policy::of_today(Journal::Before).idempotent();
//!     const DOORS: &'static [&'static str] = &["vault deny"];
//! }
//!
//! /// Counts the cards on the deny lists.
//! #[derive(Debug, Encode, Decode)]
//! pub struct CountDenied;
//!
//! impl Operation for CountDenied {
//!     type Answer = u32;
//!     const POLICY: Policy = Policy::of_today(Journal::None).idempotent();
//!     const DOORS: &'static [&'static str] = &["vault denied"];
//! }
//!
//! // --- once for the protocol, in a file that imports the subjects and is imported by none of them; the numbers are the
//! // wire's
//!
//! service_contract::operations! {
//!     /// What is asked.
//!     #[derive(Debug)]
//!     pub enum Request {
//!         1 = DenyCard,
//!         2 = CountDenied,
//!     }
//! }
//!
//! /// What is answered.
//! #[derive(Debug, Encode, Decode)]
//! pub enum Response {
//!     #[n(0)]
//!     Refused(#[n(0)] String),
//!     #[n(1)]
//!     Done,
//!     #[n(2)]
//!     Count(#[n(0)] u32),
//! }
//!
//! service_contract::answers! { Response { () = Done, Count(u32) } }
//!
//! // --- the service
//!
//! fn answer(request: Request) -> Response {
//!     match request {
//!         Request::DenyCard(DenyCard { number: _ }) => answered::<DenyCard, _>(()),
//!         Request::CountDenied(CountDenied) => answered::<CountDenied, _>(7),
//!     }
//! }
//!
//! // --- the client: no arm for the answers of other operations
//!
//! async fn ask<O>(stream: &mut tokio::io::DuplexStream, operation: O) -> Result<O::Answer, String>
//! where
//!     O: Operation + Into<Request>,
//!     O::Answer: Answer<Response>,
//! {
//!     frame::write(stream, &operation.into(), 100).await.map_err(|error| error.to_string())?;
//!     match frame::read(stream, 100).await.map_err(|error| error.to_string())? {
//!         Some(Response::Refused(why)) => Err(why),
//!         Some(response) => O::Answer::from_response(response).ok_or("an answer to another question".into()),
//!         None => Err("the service hung up".into()),
//!     }
//! }
//!
//! assert_eq!(OPERATIONS.iter().map(|listed| listed.name).collect::<Vec<_>>(), ["DenyCard", "CountDenied"]);
//! assert_eq!(u32::from_response(answer(CountDenied.into())), Some(7));
//! assert_eq!(<()>::from_response(answer(CountDenied.into())), None);
//! # fn compiles(stream: &mut tokio::io::DuplexStream) { drop(ask(stream, CountDenied)) }
//! ```
//!
//! Left out: enforcement. A policy says what holds; the gate of a service makes it hold. The photo store serves its own Unix user
//! and root ([`Caller::SocketUser`]); the vault knows its callers by their keys.

/// Something that can be asked of a service.
pub trait Operation {
    /// What a service that did it answers.
    type Answer;
    /// Who may ask for it, and how it is treated.
    const POLICY: Policy;
    /// The commands by which it is reached, such as `keyvault deny`; a page by its path; or in words, without a program's
    /// name before them, what makes every program ask for it. At least one.
    const DOORS: &'static [&'static str];
}

/// The response to an operation that was done.
pub fn answered<O, R>(answer: O::Answer) -> R
where
    O: Operation,
    O::Answer: Answer<R>,
{
    answer.into_response()
}

/// A value that one kind of response of a protocol carries.
pub trait Answer<R>: Sized {
    /// The response that carries it.
    fn into_response(self) -> R;
    /// The value, if the response is of its kind.
    fn from_response(response: R) -> Option<Self>;
}

/// Who may ask for an operation, and how it is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Callers, any of whom may ask.
    pub who: &'static [Caller],
    /// How many people must want it.
    pub hands: Hands,
    /// Whether a person or a service asks.
    pub kind: Kind,
    /// What is counted against a limit per day; none where nothing is.
    pub ceiling: Option<Ceiling>,
    /// Whether it brings something that is there (a card, a key version, a terminal, a photo) into a state from which no
    /// operation brings it back. What is new, what is used up and what leaves the service is not meant: ceilings count it.
    pub irreversible: bool,
    /// Whether it is answered while the service is sealed.
    pub while_sealed: bool,
    /// Whether asking the same again changes no row but those of the journal and of what ceilings count, and answers the same: the same values, under seals and
    /// signatures that are drawn anew. That it is a repetition may be told.
    pub idempotent: bool,
    /// What it leaves in the journal.
    pub journal: Journal,
}

impl Policy {
    /// Any of these callers asks, alone, without a limit, on an open service only; not irreversible, and not said to be idempotent.
    #[must_use]
    pub const fn of(who: &'static [Caller], journal: Journal) -> Self {
        Self {
            who,
            hands: Hands::One,
            kind: Kind::Any,
            ceiling: None,
            irreversible: false,
            while_sealed: false,
            idempotent: false,
            journal,
        }
    }

    /// As [`Policy::of`], for whoever is the service's own Unix user, or root.
    #[must_use]
    pub const fn of_today(journal: Journal) -> Self {
        Self::of(&[Caller::SocketUser], journal)
    }

    /// Two people must want it.
    #[must_use]
    pub const fn by_two(mut self) -> Self {
        self.hands = Hands::Two;
        self
    }

    /// Only a person, or only a service, asks for it.
    #[must_use]
    pub const fn only(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// What is counted, and at most how many of it a day; no number: counted by nobody yet.
    #[must_use]
    pub const fn ceiling(mut self, counted: &'static str, per_day: Option<u32>) -> Self {
        self.ceiling = Some(Ceiling { counted, per_day });
        self
    }

    /// No operation brings back what it takes away.
    #[must_use]
    pub const fn irreversible(mut self) -> Self {
        self.irreversible = true;
        self
    }

    /// It is answered while the service is sealed.
    #[must_use]
    pub const fn while_sealed(mut self) -> Self {
        self.while_sealed = true;
        self
    }

    /// The same again changes nothing more and answers the same.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }
}

/// Who asks. A closed list for all services of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Whoever connects, without a key.
    Anyone,
    /// Whoever is the service's own Unix user, or root.
    SocketUser,
    /// A replica of the issuer's service.
    Issuer,
    /// The photo store.
    PhotoStore,
    /// The settlement.
    Settlement,
    /// An officer who has the keys in charge.
    KeyOfficer,
    /// An auditor, who changes nothing.
    Auditor,
    /// A custodian of a share.
    Custodian,
}

impl Caller {
    /// The name in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::SocketUser => "socket user",
            Self::Issuer => "issuer",
            Self::PhotoStore => "photo store",
            Self::Settlement => "settlement",
            Self::KeyOfficer => "key officer",
            Self::Auditor => "auditor",
            Self::Custodian => "custodian",
        }
    }
}

/// How many people must want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hands {
    /// One is enough.
    One,
    /// Two different ones.
    Two,
}

/// What the caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A person with a key of their own.
    Person,
    /// A program that runs by itself.
    Service,
    /// Either.
    Any,
}

/// A limit per day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ceiling {
    /// What is counted, in the plural.
    pub counted: &'static str,
    /// At most so many a day; none: counted by nobody yet.
    pub per_day: Option<u32>,
}

/// What an operation leaves in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Journal {
    /// Each time it changes or gives out something a line of its own, durable before the answer leaves.
    Before,
    /// Counted; one line stands for many.
    Grouped,
    /// Nothing.
    None,
}

impl Journal {
    /// The name in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Grouped => "grouped",
            Self::None => "none",
        }
    }
}

/// A line in the list of a protocol's operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Number on the wire; none is used again for something else.
    pub number: u32,
    /// Name: the type's.
    pub name: &'static str,
    /// Its policy.
    pub policy: Policy,
    /// Its doors.
    pub doors: &'static [&'static str],
}

/// Makes the requests of a protocol from the list of its operations: one line per operation, its number on the wire
/// (ascending) and its type.
///
/// Makes the enum with a variant of the type's name for each operation, `From<the operation>` for it, its CBOR (an array
/// of the number and the operation), a method `listed` (name and policy of a request), and the table `OPERATIONS`.
#[macro_export]
macro_rules! operations {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $request:ident { $($number:literal = $operation:ident),+ $(,)? }
    ) => {
        $(#[$meta])*
        $visibility enum $request {
            $(
                #[doc = concat!("[`", stringify!($operation), "`].")]
                $operation($operation),
            )+
        }

        /// Every operation, in the order of the numbers.
        $visibility const OPERATIONS: &[$crate::operation::Listed] = &[$(
            $crate::operation::Listed {
                number: $number,
                name: stringify!($operation),
                policy: <$operation as $crate::operation::Operation>::POLICY,
                doors: <$operation as $crate::operation::Operation>::DOORS,
            },
        )+];

        impl $request {
            /// The operation's line in the list.
            #[must_use]
            $visibility const fn listed(&self) -> $crate::operation::Listed {
                match self {
                    $(Self::$operation(_) => $crate::operation::Listed {
                        number: $number,
                        name: stringify!($operation),
                        policy: <$operation as $crate::operation::Operation>::POLICY,
                        doors: <$operation as $crate::operation::Operation>::DOORS,
                    },)+
                }
            }
        }

        $(
            impl From<$operation> for $request {
                fn from(operation: $operation) -> Self {
                    Self::$operation(operation)
                }
            }
        )+

        impl<Context> $crate::minicbor::Encode<Context> for $request {
            fn encode<W: $crate::minicbor::encode::Write>(
                &self,
                encoder: &mut $crate::minicbor::Encoder<W>,
                context: &mut Context,
            ) -> Result<(), $crate::minicbor::encode::Error<W::Error>> {
                encoder.array(2)?;
                match self {
                    $(Self::$operation(operation) => {
                        encoder.u32($number)?;
                        $crate::minicbor::Encode::encode(operation, encoder, context)
                    })+
                }
            }
        }

        impl<'b, Context> $crate::minicbor::Decode<'b, Context> for $request {
            fn decode(
                decoder: &mut $crate::minicbor::Decoder<'b>,
                context: &mut Context,
            ) -> Result<Self, $crate::minicbor::decode::Error> {
                let position = decoder.position();
                if decoder.array()? != Some(2) {
                    return Err($crate::minicbor::decode::Error::message("not a request").at(position));
                }
                match decoder.u32()? {
                    $($number => decoder.decode_with(context).map(Self::$operation),)+
                    number => Err($crate::minicbor::decode::Error::unknown_variant(number.into())),
                }
            }
        }
    };
}

/// Says which value each kind of response carries: `Kind(Type)` for a response of one value, `() = Kind` for the one that
/// says no more than that it is done. A type may stand once. Kinds that are no answer, such as a refusal, are left out;
/// one of several values implements [`Answer`](crate::Answer) by hand.
#[macro_export]
macro_rules! answers {
    ($response:ident { $(() = $done:ident,)? $($kind:ident($answer:ty)),* $(,)? }) => {
        $(
            impl $crate::operation::Answer<$response> for () {
                fn into_response(self) -> $response {
                    $response::$done
                }

                fn from_response(response: $response) -> Option<Self> {
                    matches!(response, $response::$done).then_some(())
                }
            }
        )?
        $(
            impl $crate::operation::Answer<$response> for $answer {
                fn into_response(self) -> $response {
                    $response::$kind(self)
                }

                fn from_response(response: $response) -> Option<Self> {
                    match response {
                        $response::$kind(answer) => Some(answer),
                        _ => None,
                    }
                }
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    use minicbor::{Decode, Encode};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Encode, Decode)]
    struct Count;

    #[derive(Debug, Clone, PartialEq, Encode, Decode)]
    struct Add {
        #[n(0)]
        what: String,
        #[n(1)]
        times: Option<u8>,
    }

    impl Operation for Count {
        type Answer = u32;
        const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
        const DOORS: &'static [&'static str] = &["counter count"];
    }

    impl Operation for Add {
        type Answer = ();
        const POLICY: Policy = Policy::of(&[Caller::Issuer, Caller::KeyOfficer], Journal::Before)
            .by_two()
            .only(Kind::Person)
            .ceiling("additions", Some(9))
            .irreversible();
        const DOORS: &'static [&'static str] = &["counter add", "/add"];
    }

    crate::operations! {
        /// Asked.
        #[derive(Debug, Clone, PartialEq)]
        enum Request {
            1 = Count,
            7 = Add,
        }
    }

    #[derive(Debug, PartialEq)]
    enum Response {
        Refused,
        Done,
        Count(u32),
    }

    crate::answers! { Response { () = Done, Count(u32) } }

    /// The same requests as an enum of the derive macro.
    #[derive(Encode, Decode)]
    enum Derived {
        #[n(1)]
        Count,
        #[n(7)]
        Add {
            #[n(0)]
            what: String,
            #[n(1)]
            times: Option<u8>,
        },
    }

    #[test]
    fn the_wire_is_the_one_of_a_derived_enum() {
        let add = |times| {
            let what = "a line".to_owned();
            (Add { what, times }, "a line".to_owned(), times)
        };
        let mut pairs = vec![(Request::from(Count), minicbor::to_vec(Derived::Count).unwrap())];
        for (operation, what, times) in [add(None), add(Some(3))] {
            let derived = minicbor::to_vec(Derived::Add { what, times }).unwrap();
            pairs.push((operation.into(), derived));
        }
        for (request, derived) in pairs {
            assert_eq!(minicbor::to_vec(&request).unwrap(), derived);
            assert_eq!(minicbor::decode::<Request>(&derived).unwrap(), request);
        }
        for wrong in [&[0x80][..], &[0x82, 0x02, 0x80], &[0x83, 0x01, 0x80, 0x80]] {
            assert!(minicbor::decode::<Request>(wrong).is_err(), "{wrong:02x?}");
        }
    }

    #[test]
    fn a_response_of_another_kind_is_no_answer() {
        assert_eq!(answered::<Count, Response>(3), Response::Count(3));
        assert_eq!(
            <u32 as Answer<Response>>::from_response(Response::Count(3)),
            Some(3)
        );
        for other in [Response::Refused, Response::Done] {
            assert_eq!(<u32 as Answer<Response>>::from_response(other), None);
        }
        assert_eq!(<()>::from_response(answered::<Add, Response>(())), Some(()));
    }

    #[test]
    fn a_request_knows_its_line_in_the_list() {
        assert_eq!(OPERATIONS, [Request::from(Count).listed(), OPERATIONS[1]]);
        let add = OPERATIONS[1];
        assert_eq!((add.number, add.name, add.policy), (7, "Add", Add::POLICY));
        assert!(add.policy.irreversible && !add.policy.idempotent);
    }
}
