//! What one person does at once and nobody takes back is asked for twice: at a terminal the command shows what it will do and wants the
//! name of the thing typed again; elsewhere `--confirm` has to give it again.
//!
//! Which commands these are the policies of the operations say; a test holds the arguments against them. Left out: what two
//! officers sign, who are shown it twice each.

use std::io::{self, IsTerminal as _, Write as _};

use program_contract::Failure;
use program_contract::language::{Language, Line};

/// How often somebody whose entry is not the name is asked.
const TRIES: usize = 3;

/// The second word for something that is done once and for all.
pub(crate) struct Confirmation {
    name: String,
    is_given: bool,
}

impl Confirmation {
    /// Of the thing called `name`, which `--confirm` may give again. Refuses before anything is asked of anybody what cannot be
    /// confirmed.
    pub(crate) fn of(name: String, given: Option<&str>) -> Result<Self, Failure> {
        match given {
            Some(given) if given == name => Ok(Self { name, is_given: true }),
            Some(given) => Err(confirmed_another(given, name)),
            None if io::stdin().is_terminal() => Ok(Self {
                name,
                is_given: false,
            }),
            None => Err(not_confirmed(name)),
        }
    }

    /// Whether a person is asked, to whom `shown` of [`Confirmation::ask`] is shown.
    pub(crate) fn is_asked(&self) -> bool {
        !self.is_given
    }

    /// Shows what will be done, and has the name typed.
    pub(crate) fn ask(self, shown: &[Line]) -> Result<(), Failure> {
        if self.is_given {
            return Ok(());
        }
        for line in shown {
            program_contract::tell!(line);
        }
        let mut typed = String::new();
        for _ in 0..TRIES {
            let question = Language::of_process().text(&type_the_name(&self.name));
            let mut prose = io::stderr().lock();
            // Nobody may be there to read it: then nobody types.
            let _ = write!(prose, "{question}: ").and_then(|()| prose.flush());
            typed.clear();
            if io::stdin().read_line(&mut typed).unwrap_or(0) == 0 {
                return Err(not_confirmed(&self.name));
            }
            if typed.trim() == self.name {
                return Ok(());
            }
        }
        Err(confirmed_another(typed.trim(), &self.name))
    }
}

program_contract::sentences! {
    fn type_the_name(name) =
        "确认执行请输入 {name}，放弃请按 Ctrl-C", "type {name} to do it, Ctrl-C to leave it";
}

program_contract::failures! {
    fn not_confirmed(name) = Usage "NOT_CONFIRMED" {
        "此操作不可撤销，须再次写明 {name}；未做任何改动", "this is never taken back, and {name} has to be named twice; nothing was done";
        "请在终端运行同一命令并输入，或加上 --confirm \"{name}\"。",
        "Run the same command at a terminal and type it, or with --confirm \"{name}\".";
    }
    fn confirmed_another(given, name) = Usage "CONFIRMED_ANOTHER" {
        "再次写明的是 {given}，不是 {name}；未做任何改动", "what was named again is {given} and not {name}; nothing was done";
        "请核对要处理的是哪一个，再运行同一命令，两处写同一名称。",
        "Look which one is meant, and run the same command with the same name twice.";
    }
}
