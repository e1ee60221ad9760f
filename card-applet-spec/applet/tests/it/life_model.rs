//! The applet against a small model of its life: states, scripts, tries, updates, slots (chapters 01, 05, 07, 09). Any
//! sequence of commands, right and wrong ones, from the office, from terminals and from strangers, with power going in
//! between: the card is always where the model is.
//!
//! Left out on purpose: debits (`purse_model.rs`), and power that fails inside a command (`torn_writes.rs`).
use card_applet_spec::apdu::{Header, StatusWord};
use card_applet_spec::codes::{CardState, Rights, Role};
use card_applet_spec::date::Date;
use card_applet_spec::script::{ScriptKind, Step};
use card_applet_spec::update::Operation;
use card_host::{
    Card, Host, KV, Plan, Ram, TODAY, begin, check, date, deliver, finalise, payment_purse, payment_slot,
    plain, run_steps, seal, select, slot, slot_update, status_at_door_s, tap_seen, trust, unwrap, wrong_try,
};
use proptest::prelude::*;
use proptest::sample::select as one_of;

/// Roles with door F, the ones whose slots the model follows.
const ROLES: [Role; 3] = [Role::Transit, Role::SmallPayment, Role::Door];
const KINDS: [ScriptKind; 5] = [
    ScriptKind::Rewrite,
    ScriptKind::Activate,
    ScriptKind::Block,
    ScriptKind::Unblock,
    ScriptKind::Terminate,
];

/// What happens to the card.
#[derive(Debug, Clone)]
enum Action {
    /// A whole script without content, or an empty rewrite.
    Script(ScriptKind),
    /// BEGIN, and no more of it.
    Begin(ScriptKind),
    /// The script that is open comes to its end.
    Finish,
    /// The same, said to be of a day.
    FinishOn(&'static str),
    /// A slot by script: role, version, whether others go.
    Slot(Role, u8),
    /// An update of a kind, its counter that much behind the last one.
    Update(Change, i8),
    /// The last update again.
    Again,
    WrongTry,
    ResetCounter,
    /// Door S, with these rights.
    DoorS(Rights),
    PowerOff,
    Junk(Vec<u8>),
}

#[derive(Debug, Clone)]
enum Change {
    Slot(Role, u8, u8),
    Floor(&'static str),
    Block,
    Erase(Role, u8),
    Load(u32),
    Malformed,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (one_of(&ROLES[..]), 1_u8..=5, 0_u8..=1).prop_map(|(role, kv, flags)| Change::Slot(role, kv, flags)),
        2 => one_of(&["2026-11-01", "2026-12-24", "2027-11-21", "2029-01-01"][..]).prop_map(Change::Floor),
        1 => Just(Change::Block),
        2 => (one_of(&ROLES[..]), 1_u8..=5).prop_map(|(role, kv)| Change::Erase(role, kv)),
        2 => (0_u32..60_000).prop_map(Change::Load),
        1 => Just(Change::Malformed),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let rights = vec![
        Rights::VERIFY,
        Rights::IDENTITY,
        Rights::ISSUER,
        Rights::role(Role::Clinic),
    ];
    prop_oneof![
        5 => one_of(&KINDS[..4]).prop_map(Action::Script),
        1 => Just(Action::Script(ScriptKind::Terminate)),
        3 => one_of(&KINDS[..4]).prop_map(Action::Begin),
        4 => Just(Action::Finish),
        2 => one_of(&["2026-11-22", "2027-06-01", "2030-01-01"][..]).prop_map(Action::FinishOn),
        6 => (one_of(&ROLES[..]), 1_u8..=5).prop_map(|(role, kv)| Action::Slot(role, kv)),
        8 => (change(), -2_i8..=3).prop_map(|(change, ahead)| Action::Update(change, ahead)),
        2 => Just(Action::Again),
        2 => Just(Action::WrongTry),
        1 => Just(Action::ResetCounter),
        2 => one_of(rights).prop_map(Action::DoorS),
        2 => Just(Action::PowerOff),
        2 => proptest::collection::vec(any::<u8>(), 4..20).prop_map(Action::Junk),
    ]
}

/// The open script: its kind, its steps, and the slots that they staged.
type Script = (ScriptKind, Vec<Vec<u8>>, Vec<(Role, u8)>);

/// What the card ought to be.
#[derive(Debug, Clone)]
struct Model {
    state: CardState,
    before_block: CardState,
    floor: Date,
    failures: u8,
    open: Option<Script>,
    script: [u8; 16],
    /// Live versions of each role, oldest first by time of writing.
    slots: [Vec<u8>; 3],
    loaded: u32,
    counter: u32,
    last_update: Option<card_host::Plain>,
}

impl Model {
    fn place(role: Role) -> usize {
        ROLES.iter().position(|r| *r == role).unwrap()
    }

    /// A version becomes live; of the others the newest stays, with the flag only the one before.
    fn live(&mut self, role: Role, kv: u8, only_before: bool) {
        let versions = &mut self.slots[Self::place(role)];
        versions.retain(|other| *other != kv && (!only_before || *other + 1 == kv));
        let newest = versions.iter().max().copied();
        versions.retain(|other| Some(*other) == newest);
        versions.push(kv);
    }

    fn is_leap(&self, day: Date) -> bool {
        i64::from(day.day_number()) - i64::from(self.floor.day_number()) > 400
    }

    /// FINALISE on `today`: whether it is done.
    fn finish(&mut self, today: Date) -> bool {
        let Some((kind, _, staged)) = self.open.clone() else {
            return false;
        };
        let leap = self.is_leap(today);
        if leap && kind == ScriptKind::Rewrite {
            return false;
        }
        self.open = None;
        if !leap {
            self.floor = self.floor.max(today);
        }
        for role in ROLES {
            let here: Vec<u8> = staged
                .iter()
                .filter(|(r, _)| *r == role)
                .map(|(_, kv)| *kv)
                .collect();
            match here[..] {
                [] => {}
                [kv] => self.live(role, kv, false),
                _ => self.slots[Self::place(role)] = here,
            }
        }
        match kind {
            ScriptKind::Activate => self.state = CardState::Active,
            ScriptKind::Block => {
                self.before_block = self.state;
                self.state = CardState::Blocked;
            }
            ScriptKind::Unblock => self.state = self.before_block,
            ScriptKind::Terminate => {
                self.state = CardState::Terminated;
                self.slots = [vec![], vec![], vec![]];
            }
            _ => {}
        }
        true
    }
}

/// The pseudonym of a slot that a script or an update brought.
fn pid_of(role: Role, kv: u8) -> [u8; 16] {
    [0x80 | role.code() << 4 | kv; 16]
}

struct Fixture {
    host: Host,
    card: Card,
    model: Model,
    scripts: u8,
}

impl Fixture {
    fn new(mut host: Host, ram: &Ram) -> Self {
        let card = host.power_on(ram.clone());
        let model = Model {
            state: CardState::Personalised,
            before_block: CardState::Personalised,
            floor: date(TODAY),
            failures: 0,
            open: None,
            script: [0xAB; 16],
            slots: [vec![KV], vec![KV], vec![KV]],
            loaded: 20_000,
            counter: 0,
            last_update: None,
        };
        Self {
            host,
            card,
            model,
            scripts: 0,
        }
    }

    /// Door I opens unless it is locked; an attempt counts first.
    fn door_i_opens(&mut self) -> bool {
        let open = self.model.failures < 16 && self.model.state != CardState::Terminated;
        let opened = self.host.open_door_i(&mut self.card).is_some();
        assert_eq!(opened, open);
        if open {
            self.model.failures = 0;
        }
        open
    }

    fn steps(&mut self, steps: &[Vec<u8>], done: usize) -> Result<(), (u16, StatusWord)> {
        run_steps(&mut self.host, &mut self.card, steps, done)
    }

    fn begin(&mut self, kind: ScriptKind) {
        if !self.door_i_opens() {
            return;
        }
        self.scripts += 1;
        let script = [self.scripts; 16];
        let steps = vec![begin(kind, script)];
        let starts = kind.starts_in(self.model.state);
        let expected = if starts {
            Ok(())
        } else {
            Err((1, StatusWord::CONDITIONS))
        };
        assert_eq!(self.steps(&steps, 0), expected);
        if starts {
            self.model.open = Some((kind, steps, Vec::new()));
            self.model.script = script;
        }
    }

    fn finish(&mut self, today: &str) {
        let Some((_, mut steps, _)) = self.model.open.clone() else {
            return;
        };
        if !self.door_i_opens() {
            return;
        }
        let last = finalise(self.model.script, &steps, today);
        let done = steps.len();
        steps.push(last);
        let n = u16::try_from(steps.len()).unwrap();
        let ended = self.model.finish(date(today));
        let expected = if ended {
            Ok(())
        } else {
            Err((n, StatusWord::CONDITIONS))
        };
        assert_eq!(self.steps(&steps, done), expected);
    }

    fn stage(&mut self, role: Role, kv: u8) {
        if !self.door_i_opens() {
            return;
        }
        let Some((kind, steps, staged)) = self.model.open.clone() else {
            let any = vec![Vec::new(), slot(&self.host, role, kv, pid_of(role, kv), 0)];
            assert!(self.steps(&any, 1).is_err(), "no script is open");
            return;
        };
        let mut all = steps.clone();
        if role == Role::SmallPayment {
            all.push(payment_slot(&self.host, kv, pid_of(role, kv), 0));
            all.push(payment_purse(&self.host, kv, pid_of(role, kv), 9));
        } else {
            all.push(slot(&self.host, role, kv, pid_of(role, kv), 0));
        }
        let result = self.steps(&all, steps.len());
        let n = u16::try_from(steps.len() + 1).unwrap();
        let live = self.model.slots[Model::place(role)].len();
        let here = staged.iter().filter(|(r, _)| *r == role).count();
        let expected = if kind != ScriptKind::Rewrite {
            Err((n, StatusWord::CONDITIONS))
        } else if staged.contains(&(role, kv)) {
            Err((n, StatusWord::WRONG_DATA))
        } else if live + here == 3 {
            Err((n, StatusWord::CONDITIONS))
        } else {
            Ok(())
        };
        assert_eq!(result, expected);
        if result.is_ok() {
            let mut staged = staged;
            staged.push((role, kv));
            self.model.open = Some((kind, all, staged));
        }
    }

    /// A role and version through which the card answers, if there is one.
    fn through(&self) -> Option<(Role, u8)> {
        if self.model.state != CardState::Active {
            return None;
        }
        ROLES.iter().find_map(|role| {
            self.model.slots[Model::place(*role)]
                .first()
                .map(|kv| (*role, *kv))
        })
    }

    fn update(&mut self, change: &Change, ahead: i8) {
        let plain = match change {
            Change::Slot(role, kv, flags) => {
                let cap = if *role == Role::SmallPayment { 10_000 } else { 0 };
                slot_update(&self.host, (*role, *kv, *flags), pid_of(*role, *kv), 0, cap)
            }
            Change::Floor(floor) => plain(&Operation::Floor(date(floor))),
            Change::Block => plain(&Operation::Block),
            Change::Erase(role, kv) => plain(&Operation::Erase { role: *role, kv: *kv }),
            Change::Load(loaded) => plain(&Operation::Load { loaded: *loaded }),
            Change::Malformed => [0xEE; 224],
        };
        let counter = self.model.counter.saturating_add_signed(i32::from(ahead));
        let update = seal(&self.host, counter, &plain);
        let Some((role, kv)) = self.through() else {
            let answer = deliver(&mut self.host, &mut self.card, Role::Transit, KV, &update);
            assert_eq!(answer, Err(StatusWord::SECURITY), "a decoy takes nothing");
            return;
        };
        let answer = deliver(&mut self.host, &mut self.card, role, kv, &update);
        let again = counter == self.model.counter && self.model.last_update == Some(plain);
        let expected = if again {
            Ok(())
        } else if counter <= self.model.counter || self.model.open.is_some() {
            Err(StatusWord::CONDITIONS)
        } else {
            match change {
                Change::Malformed => Err(StatusWord::WRONG_DATA),
                Change::Floor(floor) if self.model.is_leap(date(floor)) => Err(StatusWord::CONDITIONS),
                _ => Ok(()),
            }
        };
        assert_eq!(answer.map(|_| ()), expected);
        if expected.is_err() || again {
            return;
        }
        self.model.counter = counter;
        self.model.last_update = Some(plain);
        match change {
            Change::Slot(role, kv, flags) => self.model.live(*role, *kv, *flags == 1),
            Change::Floor(floor) => self.model.floor = self.model.floor.max(date(floor)),
            Change::Block => {
                self.model.before_block = self.model.state;
                self.model.state = CardState::Blocked;
            }
            Change::Erase(role, kv) => self.model.slots[Model::place(*role)].retain(|other| other != kv),
            Change::Load(loaded) => self.model.loaded = self.model.loaded.max(*loaded),
            Change::Malformed => {}
        }
    }

    fn again(&mut self) {
        if let (Some(plain), Some((role, kv))) = (self.model.last_update, self.through()) {
            let update = seal(&self.host, self.model.counter, &plain);
            assert!(deliver(&mut self.host, &mut self.card, role, kv, &update).is_ok());
        }
    }

    fn door_s(&mut self, rights: Rights) {
        let expected = match self.model.state {
            CardState::Active => Ok(()),
            CardState::Terminated => Err(StatusWord::CONDITIONS),
            // The chain of this fixture ends on 2027-11-01 and its leaf on 2026-11-25.
            _ if rights.contains(Rights::VERIFY) => Ok(()),
            _ => Err(StatusWord::CONDITIONS),
        };
        let ended = self.model.floor > date("2026-11-25") && self.model.state != CardState::Terminated;
        let expected = if ended { Err(StatusWord::ENDED) } else { expected };
        let opened = self.host.open_door_s(&mut self.card, rights).map(|_| ());
        assert_eq!(opened, expected, "{rights:?}");
    }

    fn reset_counter(&mut self) {
        if let Ok((mut channel, _)) = self.host.open_door_s(&mut self.card, Rights::ISSUER) {
            let command = channel.wrap_command(Header::RESET_COUNTER, &[]).unwrap();
            unwrap(&mut channel, &self.card.process(&command)).unwrap();
            self.model.failures = 0;
        }
    }

    fn power_off(&mut self) {
        let blank = self.host.blank();
        let spare = self.host.power_on(blank);
        let (ram, _) = std::mem::replace(&mut self.card, spare).power_off();
        self.card = self.host.power_on(ram);
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Script(kind) => {
                let starts = kind.starts_in(self.model.state);
                self.begin(*kind);
                if starts && self.model.open.is_some() {
                    self.finish(TODAY);
                }
            }
            Action::Begin(kind) => self.begin(*kind),
            Action::Finish => self.finish(TODAY),
            Action::FinishOn(day) => self.finish(day),
            Action::Slot(role, kv) => self.stage(*role, *kv),
            Action::Update(change, ahead) => self.update(change, *ahead),
            Action::Again => self.again(),
            Action::WrongTry => {
                assert_eq!(wrong_try(&mut self.card), Err(StatusWord::SECURITY));
                self.model.failures = (self.model.failures + 1).min(16);
            }
            Action::ResetCounter => self.reset_counter(),
            Action::DoorS(rights) => self.door_s(*rights),
            Action::PowerOff => self.power_off(),
            Action::Junk(bytes) => {
                select(&mut self.card).unwrap();
                // Of a try at door I the model would have to know.
                if bytes[1] != 0x82 {
                    assert!(self.card.process(bytes).len() >= 2);
                }
            }
        }
    }

    /// The card is where the model is.
    fn compare(&mut self) {
        for role in ROLES {
            for kv in 1..=5 {
                let seen = tap_seen(&mut self.host, &mut self.card, role, kv).2;
                let live = self.model.state == CardState::Active
                    && self.model.slots[Model::place(role)].contains(&kv);
                assert_eq!(seen.is_some(), live, "{role} {kv} of {:?}", self.model);
                if let Some(seen) = seen.filter(|_| role == Role::SmallPayment) {
                    assert_eq!((seen.loaded, seen.spent, seen.seq), (self.model.loaded, 0, 1000));
                }
            }
        }
        // Door S counts nothing, where its certificates have not ended; door I otherwise.
        if self.model.state == CardState::Terminated {
            assert!(self.host.open_door_i(&mut self.card).is_none());
            return;
        }
        let status = if self.model.floor > date("2026-11-25") {
            if self.model.failures == 16 {
                return;
            }
            self.model.failures = 0;
            self.host.status(&mut self.card)
        } else {
            let status = status_at_door_s(&mut self.host, &mut self.card);
            assert_eq!(status.failures, self.model.failures);
            status
        };
        assert_eq!(
            (status.state, status.floor, status.open, status.script),
            (
                self.model.state,
                self.model.floor,
                self.model.open.is_some(),
                self.model.script
            )
        );
    }
}

#[test]
fn any_sequence_of_commands_leaves_the_card_where_the_model_is() {
    let mut host = Host::new(400);
    let (ram, _) = host.personalised_card().power_off();
    proptest!(crate::cases::cases(32), |(actions in proptest::collection::vec(action(), 1..40))| {
        // The same seed gives the same masters.
        let mut fixture = Fixture::new(Host::new(400), &ram);
        // Half of the time a card is used that was handed over.
        if actions.len().is_multiple_of(2) {
            fixture.act(&Action::Script(ScriptKind::Activate));
        }
        for action in &actions {
            fixture.act(action);
            fixture.compare();
        }
    });
}

#[test]
fn a_blank_becomes_a_card_by_a_personalisation_and_by_nothing_else() {
    let mut host = Host::new(401);
    let blank = host.blank();
    for kind in KINDS {
        let mut card = host.power_on(blank.clone());
        let steps = [begin(kind, [3; 16])];
        let refused = run_steps(&mut host, &mut card, &steps, 0);
        assert_eq!(refused, Err((1, StatusWord::CONDITIONS)), "{kind:?}");
    }
    let mut card = host.power_on(blank);
    let wrong = [begin(ScriptKind::Personalise, [3; 16]), trust(&host, 1, TODAY)];
    run_steps(&mut host, &mut card, &wrong, 0).unwrap();
    let last = finalise([3; 16], &wrong, TODAY);
    let steps = [&wrong[..], &[last]].concat();
    let refused = run_steps(&mut host, &mut card, &steps, 2);
    assert_eq!(refused, Err((3, StatusWord::CONDITIONS)));
    assert!(host.personalise(&mut card, &mut Plan::new(vec![1; 9])));
    assert_eq!(host.status(&mut card).state, CardState::Personalised);
    // And never again.
    let again = Step::Begin {
        kind: ScriptKind::Personalise,
        script: [4; 16],
    };
    let steps = [again.encode().unwrap().to_vec()];
    let refused = run_steps(&mut host, &mut card, &steps, 0);
    assert_eq!(refused, Err((1, StatusWord::CONDITIONS)));
    assert!(check(&card.process(&[0x80, 0xCA, 0x00, 0x45, 0x00])).is_err());
}
