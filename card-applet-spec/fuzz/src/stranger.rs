//! Target `stranger`: a conversation of a card in any state with somebody who has no key (chapters 01, 05, 06, 07).
//!
//! Whatever is said: every answer has 2 to 258 bytes and a known status word, only the commands that everybody may give
//! are answered 9000, nothing is written but door I's failure counter and that only by EXTERNAL AUTHENTICATE, and after a
//! reset the card is what it was. So state and money cannot move, and no cell but that one can be worn.

use std::cell::Cell;
use std::rc::Rc;

use card_applet::Applet;
use card_applet_spec::apdu::{Answer, Header, MAX_COMMAND, StatusWord, split_answer};
use card_applet_spec::codes::{AID, CardState};
use card_applet_spec::data_group::CardInfo;
use card_applet_spec::door_f::tap_command;
use card_host::{Card, Dice, Ram, check};

use crate::fixture::{Fixture, STATES, memory, with_fixture};
use crate::tape::Tape;

/// Commands in one conversation; what a longer one could find, several short ones find too.
const MOST: usize = 48;
/// Every status word of chapter 01 but 6984, which needs a terminal's signature, and 6581, which needs a broken memory.
const KNOWN: [StatusWord; 10] = [
    StatusWord::OK,
    StatusWord::WRONG_LENGTH,
    StatusWord::SECURITY,
    StatusWord::CONDITIONS,
    StatusWord::WRONG_DATA,
    StatusWord::NO_APPLICATION,
    StatusWord::WRONG_P1P2,
    StatusWord::NOT_FOUND,
    StatusWord::NO_INSTRUCTION,
    StatusWord::NO_CLASS,
];
const CLASSES: [u8; 6] = [0x00, 0x80, 0x84, 0x04, 0x81, 0xFF];
const INSTRUCTIONS: [u8; 18] = [
    0xA4, 0xCA, 0x50, 0x82, 0xDA, 0xF2, 0x10, 0x12, 0x14, 0x20, 0x84, 0x22, 0xB0, 0x2C, 0xC0, 0x88, 0xE2,
    0x00,
];

/// The first byte chooses the card, the second one its random numbers; then commands.
pub fn stranger(input: &[u8]) {
    let mut tape = Tape::new(input);
    with_fixture(|fixture| {
        let which = usize::from(tape.byte()) % STATES.len();
        let image = fixture.images[which].clone();
        let cells = fixture.failure_cells[which].clone();
        let mut conversation = Conversation::begin(STATES[which], &image, tape.byte());
        for _ in 0..MOST {
            if tape.is_empty() {
                break;
            }
            conversation.next(fixture, &mut tape);
        }
        conversation.end(&image, &cells);
    });
}

struct Conversation {
    state: CardState,
    /// `None` only while the power is off.
    card: Option<Card>,
    seed: u64,
    /// What its memory was asked to do.
    written: Rc<Cell<usize>>,
}

impl Conversation {
    fn begin(state: CardState, image: &[u8], seed: u8) -> Self {
        let ram = memory(image);
        let mut conversation = Self {
            state,
            card: None,
            written: ram.written.clone(),
            // Not the seeds of the recorded sessions: a card never draws the same numbers twice.
            seed: 0x57_0000 + u64::from(seed),
        };
        conversation.power_on(ram);
        conversation
    }

    fn power_on(&mut self, ram: Ram) {
        self.seed += 0x100;
        let before = self.written.get();
        let card = Applet::power_on(ram, Dice::new(self.seed)).expect("a card stays a card");
        assert_eq!(self.written.get(), before, "there was nothing to finish");
        self.card = Some(card);
    }

    fn power_cycle(&mut self) {
        if let Some(card) = self.card.take() {
            let (ram, _) = card.power_off();
            self.power_on(ram);
        }
    }

    fn next(&mut self, fixture: &Fixture, tape: &mut Tape<'_>) {
        let recorded = &fixture.recorded.commands;
        match tape.byte() % 16 {
            0 => {
                let length = usize::from(tape.byte()) + 8;
                self.say(tape.up_to(length.min(MAX_COMMAND + 2)));
            }
            1 => self.card.as_mut().expect("it is on").reset(),
            2 => self.power_cycle(),
            3 => self.say_header(Header::SELECT, &AID, Some(0)),
            4 => {
                let (role, version) = (tape.byte(), tape.byte());
                self.say(&tap_command(role, version, &[tape.byte(); 16]).expect("short"));
            }
            5 => {
                let header = Header::commit(tape.byte(), tape.byte());
                let data: [u8; 44] = tape.array();
                self.say_header(header, &data, Some(25));
            }
            6 => self.say_header(Header::INITIALIZE_UPDATE, &[tape.byte(); 8], Some(0)),
            7 => {
                let data: [u8; 16] = tape.array();
                self.say_header(Header::EXTERNAL_AUTHENTICATE, &data, None);
            }
            8 => self.say_header(Header::present_certificate(0), &fixture.chain[0], None),
            9 => self.say_header(Header::present_certificate(1), &fixture.chain[1], None),
            10 => self.say_header(Header::GET_CHALLENGE, &[], Some(16)),
            11 => self.agree(fixture, tape),
            12 | 13 => {
                let (class, instruction) = (tape.choose(&CLASSES), tape.choose(&INSTRUCTIONS));
                let (p1, p2) = (tape.byte(), tape.byte());
                let mut command = vec![class, instruction, p1, p2];
                let data = tape.short();
                if !data.is_empty() {
                    command.push(u8::try_from(data.len()).expect("at most 255"));
                    command.extend_from_slice(data);
                }
                if tape.byte() & 1 == 0 {
                    command.push(tape.byte());
                }
                self.say(&command);
            }
            14 => {
                let at = usize::from(tape.byte()) % recorded.len();
                self.say(&recorded[at].clone());
            }
            _ => {
                let first = usize::from(tape.byte()) % recorded.len();
                let count = usize::from(tape.byte() % 8) + 1;
                for command in recorded.clone().iter().skip(first).take(count) {
                    self.say(command);
                }
            }
        }
    }

    /// AGREE as the terminal would send it, but for the signature.
    fn agree(&mut self, fixture: &Fixture, tape: &mut Tape<'_>) {
        let mut data = vec![1];
        let rights: [u8; 4] = tape.array();
        data.extend_from_slice(&rights);
        data.extend_from_slice(&fixture.terminal.request().sealing_key);
        let signature: [u8; 64] = tape.array();
        data.extend_from_slice(&signature);
        self.say_header(Header::AGREE, &data, Some(0));
    }

    fn say_header(&mut self, header: Header, data: &[u8], le: Option<u8>) {
        self.say(&header.command(data, le).expect("short"));
    }

    fn say(&mut self, command: &[u8]) {
        let before = self.written.get();
        let answer = self.card.as_mut().expect("it is on").process(command);
        let written = self.written.get() - before;
        self.judge(command, &answer, written);
    }

    fn judge(&self, command: &[u8], answer: &Answer, written: usize) {
        assert!((2..=258).contains(&answer.len()));
        let (body, status) = split_answer(answer).expect("two bytes");
        assert!(
            KNOWN.contains(&status),
            "{status} is no status of the specification"
        );
        assert!(status.is_ok() || body.is_empty(), "a refusal says nothing more");
        let (class, instruction) = (command.first(), command.get(1));
        let is = |wanted: (u8, u8)| (class, instruction) == (Some(&wanted.0), Some(&wanted.1));
        if status.is_ok() {
            let open = [
                (0x00, 0xA4),
                (0x80, 0x50),
                (0x80, 0x10),
                (0x80, 0x20),
                (0x00, 0x84),
            ];
            let blank = self.state == CardState::Blank && is((0x80, 0xCA));
            assert!(
                blank || open.into_iter().any(is),
                "{class:02X?} {instruction:02X?} was done for a stranger in {}",
                self.state
            );
        }
        let tried = status == StatusWord::SECURITY && is((0x84, 0x82));
        assert!(
            written == 0 || (tried && written == 1),
            "{written} writes by a stranger"
        );
    }

    /// Reset, SELECT, and a look into the memory.
    fn end(mut self, image: &[u8], cells: &[bool]) {
        let mut card = self.card.take().expect("it is on");
        card.reset();
        let info = check(&card.process(&Header::SELECT.command(&AID, Some(0)).expect("short")));
        let info = info.expect("it can still be selected");
        assert_eq!(CardInfo::parse(&info), Ok(CardInfo::CURRENT));
        let (ram, _) = card.power_off();
        for (at, ((after, before), counter)) in ram.bytes.iter().zip(image).zip(cells).enumerate() {
            assert!(after == before || *counter, "byte {at} of the memory moved");
        }
    }
}
