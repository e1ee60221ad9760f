//! Whose the place is that keeps a process out, so that a message says who may go on.
//!
//! Names come from the machine's own list of users, `/etc/passwd`. Left out: users of a directory service, who are told by their number.

use std::borrow::Cow;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::language::Said;

/// What keeps this process from a path: the first folder on the way that it may not enter, or else the last thing that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barrier {
    place: PathBuf,
    owner: String,
    own: String,
}

impl Barrier {
    /// What keeps this process from `path`; `None` where nothing on the way is another user's.
    #[must_use]
    pub fn before(path: &Path) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        let seen = |place: &Path| Some((place.to_owned(), std::fs::metadata(place).ok()?.uid()));
        let (place, owner) = way.into_iter().map_while(seen).last()?;
        let own = rustix::process::geteuid().as_raw();
        (owner != own).then(|| Self {
            place,
            owner: name(owner),
            own: name(own),
        })
    }

    /// The user whose it is.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }
}

impl fmt::Display for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.en())
    }
}

impl Said for Barrier {
    fn zh(&self) -> Cow<'_, str> {
        let (place, owner, own) = (self.place.display(), &self.owner, &self.own);
        format!("{place} 属于用户 {owner}，而本命令以用户 {own} 运行").into()
    }

    fn en(&self) -> Cow<'_, str> {
        let (place, owner, own) = (self.place.display(), &self.owner, &self.own);
        format!("{place} belongs to user {owner}, and this command runs as user {own}").into()
    }
}

/// The user of this process.
#[must_use]
pub fn own() -> String {
    name(rustix::process::geteuid().as_raw())
}

/// The number of the user with this name, as the machine's list of users has it.
#[must_use]
pub fn number(name: &str) -> Option<u32> {
    listed().find_map(|(listed, number)| (listed == name).then_some(number))
}

/// The name of a user, or the number where no list has it.
fn name(user: u32) -> String {
    let found = listed().find_map(|(name, number)| (number == user).then_some(name));
    found.unwrap_or_else(|| user.to_string())
}

fn listed() -> impl Iterator<Item = (String, u32)> {
    let list = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((name, fields.nth(1)?.parse().ok()?))
    };
    let users: Vec<_> = list.lines().filter_map(of_line).collect();
    users.into_iter()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn users_are_told_by_their_names_and_those_of_no_list_by_their_numbers() {
        assert_eq!(name(0), "root");
        assert_eq!(number("root"), Some(0));
        assert_eq!(name(4_000_000_001), "4000000001");
        assert_eq!(number("no such user"), None);
    }

    #[test]
    fn nothing_of_our_own_is_a_barrier() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Barrier::before(folder.path()), None);
        assert_eq!(Barrier::before(&folder.path().join("none/deeper")), None);
    }

    /// The other half of the test below, in a process of another user.
    #[test]
    #[ignore = "the other half of the test below"]
    fn as_another() {
        if let Some(path) = std::env::var_os("YZT_BARRED") {
            let said = Barrier::before(Path::new(&path)).map(|found| found.to_string());
            println!("said {said:?}");
        }
    }

    #[test]
    fn the_first_folder_that_keeps_us_out_is_named_with_its_user() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can act as two users");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("test");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let shut = folder.path().join("shut");
        std::fs::create_dir_all(shut.join("inner")).unwrap();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(folder.path(), 0o755);
        mode(&shut, 0o700);
        let output = Command::new("setpriv")
            .args(["--reuid", "65534", "--clear-groups", "--"])
            .arg(&program)
            .args(["--exact", "user::tests::as_another", "--ignored", "--nocapture"])
            .env("YZT_BARRED", shut.join("inner/file"))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let shut = shut.display();
        let expected = format!("{shut} belongs to user root, and this command runs as user nobody");
        assert!(said.contains(&expected), "{said}");
    }
}
