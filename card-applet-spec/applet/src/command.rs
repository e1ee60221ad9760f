//! The commands of the card, a closed list (chapter 01), and the life cycle in one place: which command does its work on
//! a card in which state.
//!
//! Left out: which command may follow which (the dispatch in `applet`), and what a door answers where the life cycle
//! shuts it. That is the door's: a stranger must not see from answer or work why nothing came of a command, so a tap
//! is answered by the decoy and door I fails only after its MAC was computed.

use card_applet_spec::apdu::{Header, StatusWord};
use card_applet_spec::codes::CardState;

/// A command, by class and instruction. P1 and P2 are fields where the specification gives them a meaning; where it
/// fixes them, the door checks them in its own order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// SELECT by AID.
    Select,
    /// GET DATA: the serial of a blank.
    GetData,
    /// TAP, door F.
    Tap {
        /// Role's code.
        role: u8,
        /// Key version.
        version: u8,
    },
    /// COMMIT, door F: a debit.
    Commit {
        /// Role's code.
        role: u8,
        /// Key version.
        version: u8,
    },
    /// UPDATE, door F: a sealed update.
    Update {
        /// Role's code.
        role: u8,
        /// Key version.
        version: u8,
    },
    /// INITIALIZE UPDATE, door I.
    InitializeUpdate,
    /// EXTERNAL AUTHENTICATE, door I.
    ExternalAuthenticate,
    /// STEP of a script, door I.
    Step {
        /// Its number, from 1.
        n: u16,
    },
    /// GET STATUS and GET PUBLIC KEY, door I.
    Report {
        /// P1: 0 status, 1 public key.
        what: u8,
        /// P2: the key domain's code.
        domain: u8,
    },
    /// PRESENT CERTIFICATE, door S.
    PresentCertificate,
    /// GET CHALLENGE, door S.
    GetChallenge,
    /// AGREE, door S.
    Agree,
    /// READ OBJECT, door S.
    ReadObject {
        /// The object's code.
        object: u8,
        /// P2, which is 0.
        p2: u8,
    },
    /// RESET COUNTER, door S.
    ResetCounter,
}

impl TryFrom<Header> for Command {
    type Error = StatusWord;

    fn try_from(header: Header) -> Result<Self, StatusWord> {
        let Header { cla, ins, p1, p2 } = header;
        Ok(match (cla, ins) {
            (0x00, 0xA4) => Self::Select,
            (0x80, 0xCA) => Self::GetData,
            (0x80, 0x10) => Self::Tap {
                role: p1,
                version: p2,
            },
            (0x80, 0x12) => Self::Commit {
                role: p1,
                version: p2,
            },
            (0x80, 0x14) => Self::Update {
                role: p1,
                version: p2,
            },
            (0x80, 0x50) => Self::InitializeUpdate,
            (0x84, 0x82) => Self::ExternalAuthenticate,
            (0x84, 0xDA) => Self::Step {
                n: u16::from_be_bytes([p1, p2]),
            },
            (0x84, 0xF2) => Self::Report { what: p1, domain: p2 },
            (0x80, 0x20) => Self::PresentCertificate,
            (0x00, 0x84) => Self::GetChallenge,
            (0x80, 0x22) => Self::Agree,
            (0x84, 0xB0) => Self::ReadObject { object: p1, p2 },
            (0x84, 0x2C) => Self::ResetCounter,
            (0x00 | 0x80 | 0x84, _) => return Err(StatusWord::NO_INSTRUCTION),
            _ => return Err(StatusWord::NO_CLASS),
        })
    }
}

/// What the life cycle says to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It does its work.
    Open,
    /// Only for a terminal with the right VERIFY.
    ToVerify,
    /// Nothing comes of it; how that is answered is the door's.
    Shut,
}

impl Command {
    /// Whether this command does its work on a card in this state. Which script may begin in which state is the
    /// specification's table (`ScriptKind::starts_in`).
    pub(crate) const fn gate(self, state: CardState) -> Gate {
        match self {
            // These say nothing about the card, or stand behind another command's gate.
            Self::Select
            | Self::InitializeUpdate
            | Self::Step { .. }
            | Self::Report { .. }
            | Self::GetChallenge
            | Self::ReadObject { .. }
            | Self::ResetCounter => Gate::Open,
            Self::GetData => match state {
                CardState::Blank => Gate::Open,
                CardState::Personalised | CardState::Active | CardState::Blocked | CardState::Terminated => {
                    Gate::Shut
                }
            },
            Self::Tap { .. } | Self::Commit { .. } | Self::Update { .. } => match state {
                CardState::Active => Gate::Open,
                CardState::Blank | CardState::Personalised | CardState::Blocked | CardState::Terminated => {
                    Gate::Shut
                }
            },
            Self::ExternalAuthenticate => match state {
                CardState::Blank | CardState::Personalised | CardState::Active | CardState::Blocked => {
                    Gate::Open
                }
                CardState::Terminated => Gate::Shut,
            },
            Self::PresentCertificate => match state {
                CardState::Personalised | CardState::Active | CardState::Blocked => Gate::Open,
                CardState::Blank | CardState::Terminated => Gate::Shut,
            },
            Self::Agree => match state {
                CardState::Active => Gate::Open,
                CardState::Personalised | CardState::Blocked => Gate::ToVerify,
                CardState::Blank | CardState::Terminated => Gate::Shut,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_specification_is_known_by_its_header() {
        let known = [
            (Header::SELECT, Command::Select),
            (Header::GET_SERIAL, Command::GetData),
            (Header::tap(1, 2), Command::Tap { role: 1, version: 2 }),
            (Header::commit(3, 2), Command::Commit { role: 3, version: 2 }),
            (Header::update(5, 9), Command::Update { role: 5, version: 9 }),
            (Header::INITIALIZE_UPDATE, Command::InitializeUpdate),
            (Header::EXTERNAL_AUTHENTICATE, Command::ExternalAuthenticate),
            (Header::step(0x0102), Command::Step { n: 0x0102 }),
            (Header::GET_STATUS, Command::Report { what: 0, domain: 0 }),
            (Header::get_public_key(3), Command::Report { what: 1, domain: 3 }),
            (Header::present_certificate(1), Command::PresentCertificate),
            (Header::GET_CHALLENGE, Command::GetChallenge),
            (Header::AGREE, Command::Agree),
            (Header::read_object(7), Command::ReadObject { object: 7, p2: 0 }),
            (Header::RESET_COUNTER, Command::ResetCounter),
        ];
        for (header, command) in known {
            assert_eq!(Command::try_from(header), Ok(command));
        }
        let header = |cla, ins| Header {
            cla,
            ins,
            p1: 0,
            p2: 0,
        };
        assert_eq!(
            Command::try_from(header(0x80, 0x82)),
            Err(StatusWord::NO_INSTRUCTION)
        );
        assert_eq!(Command::try_from(header(0x90, 0xA4)), Err(StatusWord::NO_CLASS));
    }

    #[test]
    fn an_ended_card_has_nothing_for_any_door() {
        let shut = [
            Command::GetData,
            Command::Tap { role: 1, version: 1 },
            Command::ExternalAuthenticate,
            Command::PresentCertificate,
            Command::Agree,
        ];
        for command in shut {
            assert_eq!(command.gate(CardState::Terminated), Gate::Shut);
        }
    }
}
