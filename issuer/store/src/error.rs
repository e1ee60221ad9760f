//! The errors of the store: what happened, whose fault it is, what to do. No message holds a person's data: messages of
//! the engines, which may, are dropped and only their codes kept.

use permit_domain::words::chinese;
use sqlx::error::{DatabaseError, ErrorKind};

/// Everything that can go wrong between the issuer and its database. Nothing was changed when one is returned, except
/// for [`Error::Unavailable`] during a commit: read the row again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The id stands for something else already.
    #[error("this {what} exists already")]
    Exists {
        /// What it is.
        what: &'static str,
    },
    /// What was to be changed is not there.
    #[error("there is no such {what}")]
    Missing {
        /// What it is.
        what: &'static str,
    },
    /// Somebody changed it since it was read.
    #[error("the {what} was changed by somebody else in the meantime")]
    Stale {
        /// What it is.
        what: &'static str,
    },
    /// A rule of the domain was broken.
    #[error(transparent)]
    Domain(#[from] permit_domain::Error),
    /// The URL is none of an engine that we have.
    #[error("the database URL is not understood: it begins with sqlite: or postgres:")]
    Url,
    /// There is no ledger, and nobody asked for a new one.
    #[error("there is no ledger here")]
    NoLedger,
    /// There is a ledger already.
    #[error("there is a ledger here already")]
    Founded,
    /// The clock says a time before the ledger's last entry.
    #[error("the clock is behind the ledger, whose last entry is of {last}")]
    ClockBehind {
        /// When the last entry was made.
        last: jiff::Timestamp,
    },
    /// The database was not prepared, or by an older version of the program.
    #[error("the database is not migrated")]
    NotMigrated,
    /// The database was prepared by a newer version of the program, or its migrations were edited.
    #[error("the database was migrated by another version of this program")]
    OtherVersion,
    /// The file system or the server takes no writes.
    #[error("the database is read-only")]
    ReadOnly,
    /// The file is another user's, or the server refuses this one.
    #[error("this user may not use the database")]
    Denied,
    /// No room left.
    #[error("the disk of the database is full")]
    DiskFull,
    /// Another program, no server, has the database's file open for writing.
    #[error("another program holds the database file")]
    Held,
    /// The database does not answer, or too late.
    #[error("the database does not answer ({code})")]
    Unavailable {
        /// The engine's code, or the kind of failure.
        code: String,
    },
    /// A row or file that this program did not write like that.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// Where.
        what: String,
    },
    /// The ledger does not chain.
    #[error("the ledger is broken at entry {seq}")]
    BrokenLedger {
        /// The first entry that does not fit.
        seq: i64,
    },
    /// The engine refused a statement of ours: a fault of this program.
    #[error("the database refused a statement ({code})")]
    Refused {
        /// The engine's code.
        code: String,
    },
}

impl Error {
    /// A stable code for programs: upper case, from this closed list; a domain error has its own.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "EXISTS",
            Self::Missing { .. } => "MISSING",
            Self::Stale { .. } => "STALE",
            Self::Domain(e) => e.code(),
            Self::Url => "STORE_URL",
            Self::NoLedger => "NO_LEDGER",
            Self::Founded => "LEDGER_FOUNDED",
            Self::ClockBehind { .. } => "CLOCK_BEHIND",
            Self::NotMigrated => "STORE_NOT_MIGRATED",
            Self::OtherVersion => "STORE_OTHER_VERSION",
            Self::ReadOnly => "STORE_READ_ONLY",
            Self::Denied => "STORE_DENIED",
            Self::DiskFull => "STORE_DISK_FULL",
            Self::Held | Self::Unavailable { .. } => "STORE_UNAVAILABLE",
            Self::Damaged { .. } => "STORE_DAMAGED",
            Self::BrokenLedger { .. } => "LEDGER_BROKEN",
            Self::Refused { .. } => "STORE_REFUSED",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "Read it: it may be the outcome of an earlier try.",
            Self::Missing { .. } => "Check the id.",
            Self::Stale { .. } => "Read it again and decide on what it says now.",
            Self::Domain(e) => e.action(),
            Self::Url => "Give a URL such as sqlite:/var/lib/issuer/issuer.db or postgres://host/issuer.",
            Self::NoLedger => {
                "Correct --dir or `database` in issuer.toml; only for a new office run `issuer migrate --new`."
            }
            Self::Founded => "Run `issuer migrate` without --new.",
            Self::ClockBehind { .. } => {
                "Set the machine's clock, then try again; a rehearsal goes on with --at on the day of that entry or a later one."
            }
            Self::NotMigrated => "Run `issuer migrate`.",
            Self::OtherVersion => "Run the version of the program that belongs to this database.",
            Self::ReadOnly => {
                "Mount the file system for writing, or point to the primary server; then try again."
            }
            Self::Denied => {
                "Run the command as the user whose file it is, or have the rights of the file and its folder corrected; at a server correct user, password (`.pgpass`) and rights (`GRANT`)."
            }
            Self::DiskFull => "Make room on the disk of the database; then try again.",
            Self::Held => {
                "End the program that holds it (`fuser` names who has a file open), then read the state again before the next try."
            }
            Self::Unavailable { .. } => {
                "Start the database, or correct `database` in issuer.toml; then read the state again before the next try."
            }
            Self::Damaged { .. } => "Stop, keep the files, and restore the last backup.",
            Self::BrokenLedger { .. } => "Stop, keep the database as it is, and call the auditor.",
            Self::Refused { .. } => "Report this: it is a fault of the program.",
        }
    }

    /// The same of a thing with a name: an engine says only that a row exists or is missing.
    pub(crate) fn of(self, what: &'static str) -> Self {
        match self {
            Self::Exists { .. } => Self::Exists { what },
            Self::Missing { .. } => Self::Missing { what },
            other => other,
        }
    }

    /// Whether the same call may succeed later without anybody having to look first.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::ReadOnly | Self::Denied | Self::DiskFull | Self::Held | Self::Unavailable { .. }
        )
    }

    /// What happened and what to do, in Chinese.
    #[must_use]
    pub fn chinese(&self) -> (String, &'static str) {
        match self {
            Self::Exists { what } => (
                format!("该{}已存在", chinese(what)),
                "请先查看：可能是上次办理的结果。",
            ),
            Self::Missing { what } => (format!("没有这样的{}", chinese(what)), "请核对编号。"),
            Self::Stale { what } => (
                format!("该{}其间已被他人改动", chinese(what)),
                "请重新读取，按现状再作决定。",
            ),
            Self::Domain(error) => error.chinese(),
            Self::Url => (
                "数据库地址无法识别：应以 sqlite: 或 postgres: 开头".to_owned(),
                "请给出形如 sqlite:/var/lib/issuer/issuer.db 或 postgres://host/issuer 的地址。",
            ),
            Self::NoLedger => (
                "此处没有台账".to_owned(),
                "请改正 --dir 或 issuer.toml 中的 `database`；只有新设机构才运行 `issuer migrate --new`。",
            ),
            Self::Founded => ("此处已有台账".to_owned(), "请运行 `issuer migrate`，不带 --new。"),
            Self::ClockBehind { last } => (
                format!("时钟早于台账的最后一条记录（{last}）"),
                "请校准本机时钟，再试；演练系统可用 --at 指定该条记录当日或之后的日期。",
            ),
            Self::NotMigrated => ("数据库尚未迁移".to_owned(), "请运行 `issuer migrate`。"),
            Self::OtherVersion => (
                "数据库是由本程序的另一版本迁移的".to_owned(),
                "请运行与此数据库相配的程序版本。",
            ),
            Self::ReadOnly => (
                "数据库为只读".to_owned(),
                "请以可写方式挂载文件系统，或改连主服务器，再试。",
            ),
            Self::Denied => (
                "此用户无权使用数据库".to_owned(),
                "请以该文件所属的用户运行命令，或请人更正文件及其目录的权限；使用数据库服务器的，请改正用户、口令（`.pgpass`）或授权（`GRANT`）。",
            ),
            Self::DiskFull => ("数据库所在磁盘已满".to_owned(), "请腾出磁盘空间，再试。"),
            Self::Held => (
                "有别的程序占用数据库文件".to_owned(),
                "请结束该程序（`fuser` 可查出谁打开了文件），先重新查看现状再试。",
            ),
            Self::Unavailable { code } => (
                format!("数据库没有应答（{code}）"),
                "请启动数据库，或改正 issuer.toml 中的 `database`；先重新查看现状再试。",
            ),
            Self::Damaged { what } => (
                format!("数据库已损坏：{}", chinese(what)),
                "请停止使用，保留文件，并恢复最近的备份。",
            ),
            Self::BrokenLedger { seq } => (
                format!("台账在第 {seq} 条处断链"),
                "请停止使用，保持数据库原样，通知审计人员。",
            ),
            Self::Refused { code } => (
                format!("数据库拒绝了一条语句（{code}）"),
                "这是程序的缺陷，请上报。",
            ),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(error) => from_engine(error.as_ref()),
            E::Io(error) => from_io(&error),
            E::PoolTimedOut => Self::Unavailable {
                code: "pool timed out".to_owned(),
            },
            E::PoolClosed => Self::Unavailable {
                code: "pool closed".to_owned(),
            },
            E::WorkerCrashed => Self::Unavailable {
                code: "worker crashed".to_owned(),
            },
            E::Tls(_) => Self::Unavailable {
                code: "TLS".to_owned(),
            },
            E::Protocol(_) => Self::Unavailable {
                code: "protocol".to_owned(),
            },
            E::Configuration(_) => Self::Url,
            E::Migrate(error) => (*error).into(),
            E::ColumnDecode { index, .. } => Self::Damaged {
                what: format!("column {index}"),
            },
            _ => Self::Refused {
                code: "driver".to_owned(),
            },
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError as E;
        match error {
            E::Execute(error) | E::ExecuteMigration(error, _) => error.into(),
            E::VersionMissing(_) | E::VersionMismatch(_) | E::VersionTooNew(..) | E::VersionTooOld(..) => {
                Self::OtherVersion
            }
            E::Dirty(_) => Self::Damaged {
                what: "a migration stopped half-way".to_owned(),
            },
            _ => Self::Refused {
                code: "migration".to_owned(),
            },
        }
    }
}

/// What an error of the operating system means for a database file or socket.
pub(crate) fn from_io(error: &std::io::Error) -> Error {
    use std::io::ErrorKind as K;
    match error.kind() {
        K::ReadOnlyFilesystem => Error::ReadOnly,
        K::PermissionDenied => Error::Denied,
        K::StorageFull | K::QuotaExceeded => Error::DiskFull,
        kind => Error::Unavailable {
            code: kind.to_string(),
        },
    }
}

fn from_engine(error: &dyn DatabaseError) -> Error {
    let code = error.code().unwrap_or_default().into_owned();
    // SQLite counts its codes; PostgreSQL has five characters of SQLSTATE.
    if let (Ok(number), true) = (code.parse::<u32>(), code.len() < 5) {
        // The low byte is the primary code, see sqlite.org/rescode.html.
        match number & 0xFF {
            5 | 6 => return Error::Held,
            8 => return Error::ReadOnly,
            10 | 14 => return Error::Unavailable { code },
            11 | 26 => {
                return Error::Damaged {
                    what: "the file is no sound SQLite database".to_owned(),
                };
            }
            13 => return Error::DiskFull,
            _ => {}
        }
        if error.message().starts_with("no such table") {
            return Error::NotMigrated;
        }
    } else {
        match code.as_str() {
            "25006" => return Error::ReadOnly,
            "53100" => return Error::DiskFull,
            "42P01" => return Error::NotMigrated,
            "42501" => return Error::Denied,
            "3D000" => return Error::NoLedger,
            _ if code.starts_with("28") => return Error::Denied,
            "XX001" | "XX002" => {
                return Error::Damaged {
                    what: "the server found damaged data".to_owned(),
                };
            }
            _ if ["08", "53", "57", "40"]
                .iter()
                .any(|class| code.starts_with(class)) =>
            {
                return Error::Unavailable { code };
            }
            _ => {}
        }
    }
    match error.kind() {
        ErrorKind::UniqueViolation => Error::Exists { what: "row" },
        ErrorKind::ForeignKeyViolation => Error::Missing {
            what: "row that this one rests on",
        },
        _ => Error::Refused { code },
    }
}
