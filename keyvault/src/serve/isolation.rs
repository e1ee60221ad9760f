//! Isolation of the serving process: no dumps, no new privileges, no files but its own folder, no system calls but the
//! ones it needs.
//!
//! Mechanisms: `prctl(PR_SET_DUMPABLE)`, `RLIMIT_CORE`, `no_new_privs`, `mlockall`, Landlock (kernel 5.13; file system, and TCP from
//! 6.7), seccomp. Landlock may be missing from a kernel: that is said in the log and the rest still holds. Everything
//! here is applied before the first thread starts, so every thread inherits it. Left out: namespaces and users, which
//! the service manager gives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::CapabilitySet;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};

use crate::error::Error;

/// What held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isolated {
    /// Whether Landlock confines the process to its folder.
    pub landlock: bool,
}

/// No core dump, no `ptrace` or `/proc/<pid>/mem` by the same user, no gain of privileges by `execve`.
///
/// # Errors
/// [`Error::NotIsolated`].
pub fn forbid_dumps() -> Result<(), Error> {
    let failed = |what| move |_| Error::NotIsolated { what };
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .map_err(failed("core dumps"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("PR_SET_DUMPABLE"))?;
    rustix::thread::set_no_new_privs(true).map_err(failed("no_new_privs"))
}

/// Keeps every page of the process out of swap, now and later, where it may lock as much as it likes (root,
/// `LimitMEMLOCK=infinity`); says whether. Under a limit nothing is done: a store that grows would meet it, and end the process.
#[must_use]
pub fn forbid_swap() -> bool {
    let unlimited = getrlimit(Resource::Memlock).current.is_none()
        || rustix::thread::capabilities(None)
            .is_ok_and(|may| may.effective.contains(CapabilitySet::IPC_LOCK));
    // Pages are locked when they are used: most of what is mapped never is.
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    unlimited && mlockall(all).is_ok()
}

/// Confines the process to the vault's folder (and to removing its socket), then to [`ALLOWED`] system calls. Call it
/// before the first thread starts, with the listening socket open.
///
/// # Errors
/// [`Error::NotIsolated`].
pub fn confine(folder: &Path, socket: &Path) -> Result<Isolated, Error> {
    let landlock = landlock(Some(folder), Some(socket), None)?;
    filter(&[])?;
    Ok(Isolated { landlock })
}

/// Confines a relay: no files but the removing of its socket, and new sockets of one kind alone: Unix, or TCP to one port where
/// there is one. Call it before the first thread starts, with what it listens at open.
///
/// # Errors
/// [`Error::NotIsolated`].
pub fn confine_relay(socket: Option<&Path>, port: Option<u16>) -> Result<Isolated, Error> {
    let landlock = landlock(None, socket, port)?;
    let families = if port.is_some() {
        &[libc::AF_INET, libc::AF_INET6][..]
    } else {
        &[libc::AF_UNIX]
    };
    filter(families)?;
    Ok(Isolated { landlock })
}

/// [`ALLOWED`], [`narrowed`], and new sockets of these families with their connecting.
fn filter(families: &[i32]) -> Result<(), Error> {
    let failed = || Error::NotIsolated { what: "seccomp" };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    rules.extend(narrowed().ok_or_else(failed)?);
    if !families.is_empty() {
        rules.insert(libc::SYS_socket, one_of(0, families).ok_or_else(failed)?);
        rules.insert(libc::SYS_connect, Vec::new());
    }
    let refuse = |code: i32| SeccompAction::Errno(code.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().map_err(|_| failed())?;
    let filter =
        SeccompFilter::new(rules, refuse(libc::EPERM), SeccompAction::Allow, arch).map_err(|_| failed())?;
    let mut program: BpfProgram = filter.try_into().map_err(|_| failed())?;
    // Its last word is for what is not on the list.
    let refused = program.pop().ok_or_else(failed)?;
    let word = |code, jt, k| sock_filter { code, jt, jf: 0, k };
    program.extend([
        word(LOAD, 0, NUMBER),
        word(JUMP_FROM, 1, UNIFIED),
        refused,
        word(RETURN, 0, refuse(libc::ENOSYS).into()),
    ]);
    seccompiler::apply_filter_all_threads(&program).map_err(|_| failed())
}

/// Words of a filter (`linux/bpf_common.h`): a load of what was asked for, a jump where it is this or more, an answer.
const LOAD: u16 = 0x20;
const JUMP_FROM: u16 = 0x35;
const RETURN: u16 = 0x06;
/// Where the number of the call lies (`struct seccomp_data`).
const NUMBER: u32 = 0;
/// The first of the calls that have the same number on every machine (Linux 5.1). C libraries run on kernels without them, and go
/// another way where they are told so; one that a later C library tries first is told so here too, and not that it is forbidden.
/// `clone3` is one of them, whose flags lie where no filter looks.
const UNIFIED: u32 = 424;

/// The bits of a socket's type beside its flags (socket(2)).
const SOCKET_TYPE: i32 = 0xF;

/// The calls that are allowed with some arguments alone: threads and no processes; memory that never becomes code, nor comes back into
/// dumps; limits that are read and not set; of `prctl` the names of threads, so that dumps stay forbidden; of `ioctl` three
/// questions of sockets and terminals; and pairs of streams, since from a datagram socket a message goes to any path.
fn narrowed() -> Option<BTreeMap<i64, Vec<SeccompRule>>> {
    let that = |condition| Some(vec![SeccompRule::new(vec![condition]).ok()?]);
    let number = |argument, operator, value: i32| {
        let value = u64::from(value.unsigned_abs());
        that(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).ok()?)
    };
    let none_set = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0).ok()?;
    let bits = |mask: i32| SeccompCmpOp::MaskedEq(u64::from(mask.unsigned_abs()));
    let (thread, code) = (libc::CLONE_THREAD, libc::PROT_EXEC);
    let mut asked = Vec::new();
    for request in [libc::FIONBIO, libc::FIOCLEX, libc::TCGETS] {
        asked.push(i32::try_from(request).ok()?);
    }
    Some(BTreeMap::from([
        (libc::SYS_clone, number(0, bits(thread), thread)?),
        (libc::SYS_mmap, number(2, bits(code), 0)?),
        (libc::SYS_mprotect, number(2, bits(code), 0)?),
        (libc::SYS_madvise, number(2, SeccompCmpOp::Ne, libc::MADV_DODUMP)?),
        (libc::SYS_prlimit64, that(none_set)?),
        (
            libc::SYS_socketpair,
            number(1, bits(SOCKET_TYPE), libc::SOCK_STREAM)?,
        ),
        (libc::SYS_prctl, one_of(0, &[libc::PR_SET_NAME])?),
        (libc::SYS_ioctl, one_of(1, &asked)?),
    ]))
}

/// That the argument is one of these.
fn one_of(argument: u8, values: &[i32]) -> Option<Vec<SeccompRule>> {
    let is = |value: &i32| {
        let value = u64::from(value.unsigned_abs());
        let is = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).ok()?;
        SeccompRule::new(vec![is]).ok()
    };
    values.iter().map(is).collect()
}

/// The folder is whole for the process, from the socket's it may remove, and of TCP it may connect to the port.
fn landlock(folder: Option<&Path>, socket: Option<&Path>, port: Option<u16>) -> Result<bool, Error> {
    const FILES: ABI = ABI::V5;
    let failed = |_| Error::NotIsolated { what: "landlock" };
    let path = |path: &Path| PathFd::new(path).map_err(|_| Error::NotIsolated { what: "landlock" });
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(FILES))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(ABI::V4)))
        .and_then(Ruleset::create)
        .map_err(failed)?;
    if let Some(folder) = folder {
        rules = rules
            .add_rule(PathBeneath::new(path(folder)?, AccessFs::from_all(FILES)))
            .map_err(failed)?;
    }
    if let Some(socket) = socket {
        let folder = match socket.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        rules = rules
            .add_rule(PathBeneath::new(path(&folder)?, AccessFs::RemoveFile))
            .map_err(failed)?;
    }
    if let Some(port) = port {
        rules = rules
            .add_rule(NetPort::new(port, AccessNet::ConnectTcp))
            .map_err(failed)?;
    }
    let status = rules.restrict_self().map_err(failed)?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// The system calls of the serving process, beside those of [`narrowed`]; any other answers EPERM, one of Linux 5.1 or later ENOSYS. No `execve`, `ptrace`, `socket`, `connect`, `bind`,
/// `process_vm_readv`, `mount`, `setuid`, `bpf`, `io_uring_setup`, `open_by_handle_at`, `kexec_load`.
pub const ALLOWED: &[i64] = &[
    // files: the store, its write-ahead log and directory (SQLite)
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_statfs,
    libc::SYS_lseek,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_unlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_getdents64,
    libc::SYS_utimensat,
    libc::SYS_dup,
    libc::SYS_dup3,
    // memory
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_membarrier,
    // threads and time
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // signals
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    // connections that were accepted
    libc::SYS_accept4,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    // waiting
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    // the older names that this architecture still has
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_getrlimit,
];

#[cfg(test)]
mod tests {
    use std::process::{Command, ExitStatus, Stdio};
    use std::{fs, io, thread};

    use rustix::io::Errno;

    use super::*;
    use crate::keys::arena;

    #[test]
    fn the_list_has_no_call_that_starts_programs_reads_other_processes_or_opens_the_network() {
        let narrowed = narrowed().unwrap();
        for forbidden in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_mount,
            libc::SYS_setuid,
            libc::SYS_setrlimit,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_open_by_handle_at,
            libc::SYS_kexec_load,
            libc::SYS_keyctl,
            libc::SYS_memfd_create,
            libc::SYS_perf_event_open,
            libc::SYS_personality,
            libc::SYS_pidfd_getfd,
            libc::SYS_pkey_mprotect,
            libc::SYS_shmat,
            libc::SYS_unshare,
            libc::SYS_userfaultfd,
        ] {
            assert!(!ALLOWED.contains(&forbidden), "{forbidden}");
            assert!(!narrowed.contains_key(&forbidden), "{forbidden}");
        }
        assert!(narrowed.keys().all(|call| !ALLOWED.contains(call)));
    }

    /// What a vault under a stranger's control would try, by the name in the environment of a process that is only for that.
    #[test]
    #[ignore = "the other half of the test below"]
    fn confined() {
        let Ok(attempt) = std::env::var("YZT_ATTEMPT") else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        forbid_dumps().unwrap();
        confine(folder.path(), &own).unwrap();
        let refused = |attempted: io::Result<()>| {
            attempted.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        let held = match attempt.as_str() {
            "what it needs" => {
                fs::write(&own, "x").unwrap();
                std::os::unix::net::UnixStream::pair().unwrap();
                let named = thread::Builder::new().name("named".to_owned());
                named.spawn(|| drop(vec![1u8; 1 << 20])).unwrap().join().is_ok()
            }
            "dumps" => set_dumpable_behavior(DumpableBehavior::Dumpable) == Err(Errno::PERM),
            "limits" => {
                let none = Rlimit {
                    current: Some(0),
                    maximum: Some(0),
                };
                setrlimit(Resource::Core, none) == Err(Errno::PERM)
            }
            "code" => refused(arena::make_code()),
            "process" => refused(Command::new("/bin/true").status().map(drop)),
            "network" => refused(std::net::TcpStream::connect("127.0.0.1:1").map(drop)),
            "socket" => refused(std::os::unix::net::UnixStream::connect("/nowhere").map(drop)),
            "datagrams" => refused(std::os::unix::net::UnixDatagram::pair().map(drop)),
            "terminal" => rustix::termios::tcgetwinsize(io::stdin()) == Err(Errno::PERM),
            // As a kernel that has not got it.
            "newer" => {
                let own = rustix::process::getpid();
                let opened = rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty());
                opened.err() == Some(Errno::NOSYS)
            }
            _ => panic!("{attempt}"),
        };
        // Not by way of the test program, which does much more than a vault at its end.
        std::process::exit(i32::from(!held));
    }

    fn attempt(what: &str) -> ExitStatus {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "serve::isolation::tests::confined", "--ignored"])
            .args(["--test-threads", "1"])
            .env("YZT_ATTEMPT", what)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
    }

    #[test]
    fn a_vault_under_a_strangers_control_starts_nothing_makes_no_code_and_stays_out_of_dumps() {
        for what in [
            "what it needs",
            "dumps",
            "limits",
            "code",
            "process",
            "network",
            "socket",
            "datagrams",
            "terminal",
            "newer",
        ] {
            assert!(attempt(what).success(), "{what}");
        }
    }
}
