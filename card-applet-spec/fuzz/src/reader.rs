//! Target `reader`: a terminal in front of a card that the fuzzer plays (chapters 06, 07, 08).
//!
//! Two players. The *forger* has no key: it answers with bytes of its own and with answers that it heard before; no terminal
//! ever accepts it. The *man in the middle* holds a genuine card and changes what passes: a terminal accepts what that card
//! really said, or nothing.

use card_applet_spec::codes::{Rights, Role, State};
use card_reader::counter::{inspect, look};
use card_reader::transport::{Transport, TransportError};
use card_reader::{Bundle, Card as Reader, Secure, Terminal};

use crate::support::{Card, KV};
use crate::tape::Tape;
use crate::world::{World, today, with_world};

/// Exchanges that a player changes; behind them the wire is honest (forger: silent).
const MOST: usize = 600;

/// The first byte chooses player and terminal; the rest is what the player does, one choice for each exchange.
pub fn reader(input: &[u8]) {
    let _ = reader_took(input);
}

/// As [`reader`]; true when the terminal took the card for genuine.
#[must_use]
pub fn reader_took(input: &[u8]) -> bool {
    let mut tape = Tape::new(input);
    with_world(|world| {
        let choice = tape.byte();
        let seed = u64::from(tape.byte());
        let genuine = (choice & 1 == 1).then(|| world.active(0x7E_0000 + seed));
        let bundle = world.bundle();
        let mut wire = Wire {
            genuine,
            heard: world.recorded.answers.clone(),
            tape,
            exchanges: 0,
            before: vec![0x90, 0x00],
            changed: false,
        };
        let forged = wire.genuine.is_none();
        let took = match (choice >> 1) % 5 {
            0 => tap(world, bundle, &mut wire),
            1 => groups(world, &bundle, &mut wire),
            2 => record(world, &bundle, &mut wire),
            3 => office(world, &bundle, &mut wire),
            _ => inspect(&mut wire, &bundle, &world.terminal, today(), &mut world.host.rng).is_ok(),
        };
        assert!(!(forged && took), "a forgery was taken for a card");
        took
    })
}

/// The office: everything.
fn office(world: &mut World, bundle: &Bundle, wire: &mut Wire<'_>) -> bool {
    let rng = &mut world.host.rng;
    let Ok(seen) = look(wire, bundle, &world.terminal, Role::ALL, &[], today(), rng) else {
        return false;
    };
    assert_eq!(seen.serial, world.host.serial);
    assert_eq!(seen.groups.content().encoded(1), Some(&world.groups[0][..]));
    let _ = format!("{seen:?}");
    true
}

/// A bus: SELECT and TAP.
fn tap(world: &mut World, bundle: Bundle, wire: &mut Wire<'_>) -> bool {
    let mut terminal = Terminal::new(bundle);
    let Ok(card) = Reader::new(&mut *wire).select() else {
        return false;
    };
    let admission = terminal.tap(card, Role::Transit, today(), &mut world.host.rng);
    if let Ok(admission) = &admission {
        assert!(!wire.changed, "the bus took a changed answer");
        assert_eq!(
            (admission.role, admission.region),
            (Role::Transit, world.host.region)
        );
        assert_eq!(admission.valid_from, today());
    }
    // A blank's serial is what any card may say of itself: only the form counts.
    if let Ok(card) = Reader::new(&mut *wire).select() {
        let _ = card.info();
        let _ = card.blank_serial();
    }
    // A pipe carries whatever comes.
    if let Ok(card) = Reader::new(&mut *wire).select() {
        let _ = card
            .into_pipe()
            .relay(&[vec![0x80, 0x10, 0x01, KV], vec![0; 300], vec![]]);
    }
    admission.is_ok()
}

/// The police: the data groups.
fn groups(world: &mut World, bundle: &Bundle, wire: &mut Wire<'_>) -> bool {
    let rights = Rights::IDENTITY.union(Rights::PERMIT).union(Rights::VERIFY);
    let Some(card) = agreed(world, bundle, wire, rights) else {
        return false;
    };
    assert_eq!(
        card.chip().evidence().card_certificate,
        world.card_certificates[0]
    );
    let Ok((card, read)) = card.read_groups(rights) else {
        return true;
    };
    assert_eq!(read.content().encoded(1), Some(&world.groups[0][..]));
    assert_eq!(read.content().encoded(3), Some(&world.groups[1][..]));
    assert_eq!(read.content().encoded(2), None);
    if let Ok((_, status)) = card.status() {
        assert_eq!(status.state, State::Active);
    }
    true
}

/// A clinic: the record.
fn record(world: &mut World, bundle: &Bundle, wire: &mut Wire<'_>) -> bool {
    let role = Role::Clinic;
    let Some(card) = agreed(world, bundle, wire, Rights::role(role)) else {
        return false;
    };
    assert_eq!(
        card.chip().evidence().card_certificate,
        world.card_certificates[1]
    );
    if let Ok((_, admission)) = card.read_entitlement(role, bundle, today()) {
        assert_eq!(admission.content().role, role);
        assert_eq!(admission.content().valid_from, today());
    }
    true
}

/// SELECT to AGREE: a card that proved its key.
fn agreed<'w, 'a>(
    world: &mut World,
    bundle: &Bundle,
    wire: &'w mut Wire<'a>,
    rights: Rights,
) -> Option<Reader<&'w mut Wire<'a>, Secure>> {
    let card = Reader::new(wire).select().ok()?;
    let card = card.present(bundle, today()).ok()?;
    card.agree(rights, &world.terminal, today(), &mut world.host.rng)
        .ok()
}

/// What lies between terminal and card.
struct Wire<'a> {
    genuine: Option<Card>,
    heard: Vec<Vec<u8>>,
    tape: Tape<'a>,
    exchanges: usize,
    /// The answer before.
    before: Vec<u8>,
    /// The last answer is not what the card said.
    changed: bool,
}

impl Wire<'_> {
    fn forge(&mut self) -> Vec<u8> {
        match self.tape.byte() % 6 {
            0 | 1 => {
                let mut answer = self.tape.short().to_vec();
                answer.extend_from_slice(&[0x90, 0x00]);
                answer
            }
            2 => self.tape.short().to_vec(),
            3 => {
                let at = usize::from(self.tape.byte()) % self.heard.len();
                self.heard[at].clone()
            }
            4 => {
                let at = usize::from(self.tape.byte()) % self.heard.len();
                let mut answer = self.heard[at].clone();
                self.flip(&mut answer);
                answer
            }
            _ => {
                // As long as an answer can be, and longer.
                let length = usize::from(self.tape.u16() % 600);
                let mut answer = vec![self.tape.byte(); length];
                answer.extend_from_slice(&[0x90, 0x00]);
                answer
            }
        }
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        let count = self.tape.byte() % 4 + 1;
        for _ in 0..count {
            let at = usize::from(self.tape.u16());
            let flip = self.tape.byte();
            if let Some(length) = bytes.len().checked_sub(1)
                && let Some(byte) = bytes.get_mut(at % (length + 1))
            {
                *byte ^= flip;
            }
        }
    }

    fn between(&mut self, command: &[u8]) -> Vec<u8> {
        let choice = self.tape.byte() % 16;
        let mut command = command.to_vec();
        if choice == 13 {
            self.flip(&mut command);
        }
        let card = self.genuine.as_mut().expect("the man in the middle has one");
        if choice == 14 {
            card.reset();
        }
        let said = card.process(&command).to_vec();
        let mut answer = said.clone();
        match choice {
            8 => self.flip(&mut answer),
            9 => answer.truncate(usize::from(self.tape.byte())),
            10 => {
                let status = answer.split_off(answer.len() - 2);
                answer.extend_from_slice(self.tape.short());
                answer.extend_from_slice(&status);
            }
            11 => answer = self.forge(),
            12 => {
                let status: [u8; 2] = self.tape.array();
                let body = answer.len() - 2;
                answer.truncate(body);
                answer.extend_from_slice(&status);
            }
            15 => answer.clone_from(&self.before),
            _ => {}
        }
        self.changed = answer != said;
        self.before.clone_from(&answer);
        answer
    }
}

impl Transport for Wire<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        self.exchanges += 1;
        if self.exchanges > MOST {
            return Err(TransportError::ReaderLost);
        }
        if self.genuine.is_none() {
            if self.tape.is_empty() {
                return Err(TransportError::NoCard);
            }
            return Ok(self.forge());
        }
        Ok(self.between(command))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        if let Some(card) = &mut self.genuine {
            card.reset();
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "the fuzzer"
    }
}
