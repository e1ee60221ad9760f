//! What can go wrong around a virtual card, and what to do about it.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use program_contract::language::Said as _;
use program_contract::{Exit, Failing};
use thiserror::Error;

/// Trouble with the virtual card or the private PC/SC service. Messages hold paths and program names, never card content.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be used.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried, a verb: "read", "create".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is no card's memory.
    #[error("{} is not the memory of a card", path.display())]
    NotACard {
        /// The file.
        path: PathBuf,
    },
    /// The card lies on another reader.
    #[error("the card {} is in use by another process", path.display())]
    CardInUse {
        /// The card's memory file.
        path: PathBuf,
    },
    /// The lot file does not open: another maker's, another vault's, or damaged. Deliberately one value.
    #[error("the lot file {} cannot be opened with this key and this vault's card authority", path.display())]
    LotRefused {
        /// The lot file.
        path: PathBuf,
    },
    /// A key file has a wrong form.
    #[error("{} does not hold a key in the form that is needed: {form}", path.display())]
    KeyForm {
        /// The file.
        path: PathBuf,
        /// The form.
        form: &'static str,
    },
    /// The lot has no such blank.
    #[error("the lot has {there} blanks; blank {wanted} is not among them")]
    NoSuchBlank {
        /// The number that was asked for, counted from 1.
        wanted: u32,
        /// How many there are.
        there: u32,
    },
    /// The applet did not take the blank's content.
    #[error("the card could not be made: its memory failed")]
    BlankFailed,
    /// The process of the Java Card did not start, or is gone.
    #[error("the Java Card does not run: its process did not start, or ended")]
    JavaCard,
    /// A program that the private service needs is not installed.
    #[error("the program {program} is not installed (Debian package {package})")]
    ProgramMissing {
        /// Name of the program.
        program: &'static str,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// The driver of the virtual reader is not installed.
    #[error("the driver of the virtual reader is not installed: {} is not there", path.display())]
    DriverMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The `virtual-card` program was not found.
    #[error("the program virtual-card was not found at {}", path.display())]
    CardProgramMissing {
        /// Where it was looked for last.
        path: PathBuf,
    },
    /// The system refuses private namespaces to this user.
    #[error("this system does not let this user make private namespaces")]
    NamespacesRefused,
    /// A step of the private service's start failed.
    #[error("the private PC/SC service did not start: {step} failed; see {}", log.display())]
    ServiceFailed {
        /// The step.
        step: &'static str,
        /// The service's log.
        log: PathBuf,
    },
    /// A test that ran as a client of a private service failed.
    #[error("the test {test} failed as a client of its private PC/SC service, whose log is:\n{log}")]
    ClientFailed {
        /// Name of the test.
        test: String,
        /// What the service logged; it logs no command.
        log: String,
    },
    /// The run folder's path is too long for a Unix socket.
    #[error("the path {} is too long for a socket", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// The virtual reader took no card.
    #[error("the virtual reader at port {port} took no card")]
    ReaderSilent {
        /// TCP port of the virtual reader on the loopback interface.
        port: u16,
    },
    /// The virtual card's process went away, or speaks another protocol.
    #[error("the virtual card at {} does not answer", socket.display())]
    CardGone {
        /// Its control socket.
        socket: PathBuf,
    },
    /// This program was built without the counting of operations.
    #[error("this virtual-card was built without the tap-time model")]
    CountsNothing,
    /// The card did not answer as the specification says while its work was counted.
    #[error("the tap-time model stopped at {step}: {reason}")]
    ModelStopped {
        /// The command.
        step: &'static str,
        /// The status word, or what is wrong with the answer.
        reason: String,
    },
    /// The virtual card refused an order.
    #[error("{message}")]
    Refused {
        /// Code from this list, or `ORDER`.
        code: String,
        /// What happened.
        message: String,
        /// What to do.
        action: String,
    },
}

impl Error {
    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::File { .. } => "FILE",
            Self::NotACard { .. } => "NOT_A_CARD",
            Self::CardInUse { .. } => "CARD_IN_USE",
            Self::LotRefused { .. } => "LOT_REFUSED",
            Self::KeyForm { .. } => "KEY_FORM",
            Self::NoSuchBlank { .. } => "NO_SUCH_BLANK",
            Self::BlankFailed => "BLANK_FAILED",
            Self::JavaCard => "JAVA_CARD",
            Self::ProgramMissing { .. } => "PROGRAM_MISSING",
            Self::DriverMissing { .. } => "DRIVER_MISSING",
            Self::CardProgramMissing { .. } => "CARD_PROGRAM_MISSING",
            Self::NamespacesRefused => "NAMESPACES_REFUSED",
            Self::ServiceFailed { .. } => "SERVICE_FAILED",
            Self::ClientFailed { .. } => "CLIENT_FAILED",
            Self::PathTooLong { .. } => "PATH_TOO_LONG",
            Self::ReaderSilent { .. } => "READER_SILENT",
            Self::CardGone { .. } => "CARD_GONE",
            Self::CountsNothing => "COUNTS_NOTHING",
            Self::ModelStopped { .. } => "MODEL_STOPPED",
            Self::Refused { code, .. } => code,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn action(&self) -> &str {
        match self {
            Self::File { .. } => {
                "Check that the folder exists and belongs to you, and that the disk is not full."
            }
            Self::NotACard { .. } => "Name a file that `virtual-card blank` made.",
            Self::CardInUse { .. } => {
                "Take the card off the other reader first: end that program, or give it the order eject."
            }
            Self::LotRefused { .. } => {
                "Ask the vault for a lot sealed to this maker's key, and use the anchors that came with it."
            }
            Self::KeyForm { form, .. } if form.starts_with("130") => {
                "Write the vault's card authority into a file: `keyvault anchors` prints its point as card_ca, 130 hex digits."
            }
            Self::KeyForm { .. } => "Make a key with `virtual-card maker-key`, or copy the file again.",
            Self::NoSuchBlank { .. } => "Choose a smaller number, or ask the vault for another lot.",
            Self::BlankFailed => "Delete the file and make the blank again; check that the disk is not full.",
            Self::JavaCard => {
                "Run `make javacard`, which installs a missing Java, compiles the card and tests it."
            }
            Self::ProgramMissing { .. } | Self::DriverMissing { .. } => {
                "Run `make setup`, which installs what is missing."
            }
            Self::CardProgramMissing { .. } => {
                "Build it with `cargo build -p virtual-card`, or set YZT_VIRTUAL_CARD to its path."
            }
            Self::NamespacesRefused => {
                "Allow them (Linux: `sysctl kernel.unprivileged_userns_clone=1`, `kernel.apparmor_restrict_unprivileged_userns=0`), \
                 run as root, or use a real reader with --reader."
            }
            Self::ServiceFailed { .. } => "Read the log; run `make setup` if a program is missing.",
            Self::ClientFailed { .. } => "Read the test's own output above.",
            Self::PathTooLong { .. } => "Choose a folder with a shorter path; /tmp is good.",
            Self::ReaderSilent { .. } => {
                "Check that pcscd runs with the vpcd driver and that no other card is connected to it."
            }
            Self::CardGone { .. } => "Start `virtual-card serve` or the private service again.",
            Self::CountsNothing => {
                "Build it with the feature: `cargo run --release -p virtual-card --features taptime -- taptime`."
            }
            Self::ModelStopped { .. } => {
                "This card and the specification disagree: run the tests of card-applet, and report what they say."
            }
            Self::Refused { action, .. } => action,
        }
    }
}

impl Failing for Error {
    fn code(&self) -> Cow<'static, str> {
        self.code().to_owned().into()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::LotRefused { .. } | Self::NoSuchBlank { .. } | Self::Refused { .. } => Exit::Refused,
            Self::File { .. }
            | Self::NotACard { .. }
            | Self::KeyForm { .. }
            | Self::BlankFailed
            | Self::ModelStopped { .. } => Exit::Damaged,
            Self::CardInUse { .. }
            | Self::JavaCard
            | Self::ProgramMissing { .. }
            | Self::DriverMissing { .. }
            | Self::CardProgramMissing { .. }
            | Self::NamespacesRefused
            | Self::ServiceFailed { .. }
            | Self::ClientFailed { .. }
            | Self::PathTooLong { .. }
            | Self::ReaderSilent { .. }
            | Self::CardGone { .. }
            | Self::CountsNothing => Exit::Absent,
        }
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().to_owned().into()
    }

    fn chinese(&self) -> (String, String) {
        let (message, action) = match self {
            Self::File { path, source, .. } => (
                format!("文件 {} 无法使用：{}", path.display(), source.zh()),
                "请确认目录存在且属于您，磁盘没有满。",
            ),
            Self::NotACard { path } => (
                format!("{} 不是卡的存储文件", path.display()),
                "请给出 `virtual-card blank` 制作的文件。",
            ),
            Self::CardInUse { path } => (
                format!("卡 {} 正被另一进程使用", path.display()),
                "请先从另一读卡器取下此卡：结束该程序，或向它发 eject 指令。",
            ),
            Self::LotRefused { path } => (
                format!(
                    "批次文件 {} 不能用此密钥和此密钥库的卡证书机构打开",
                    path.display()
                ),
                "请向密钥库领取为本制卡商密钥密封的批次，并使用随附的信任锚。",
            ),
            Self::KeyForm { path, form } => (
                format!("{} 中没有所需格式的密钥", path.display()),
                if form.starts_with("130") {
                    "请把密钥库的卡证书机构公钥写入文件：`keyvault anchors` 以 card_ca 输出该点，130 个十六进制数字。"
                } else {
                    "请用 `virtual-card maker-key` 生成密钥，或重新复制该文件。"
                },
            ),
            Self::NoSuchBlank { wanted, there } => (
                format!("批次只有 {there} 张空白卡，没有第 {wanted} 张"),
                "请选较小的编号，或向密钥库另领批次。",
            ),
            Self::BlankFailed => (
                "卡没有做成：其存储失败".to_owned(),
                "请删除该文件，重做空白卡；并确认磁盘没有满。",
            ),
            Self::JavaCard => (
                "Java 卡没有运行：其进程未能启动或已结束".to_owned(),
                "请运行 `make javacard`：它会安装缺少的 Java，编译此卡并测试。",
            ),
            Self::ProgramMissing { program, package } => (
                format!("没有安装程序 {program}（Debian 软件包 {package}）"),
                "请运行 `make setup` 安装缺少的软件。",
            ),
            Self::DriverMissing { path } => (
                format!("没有安装虚拟读卡器的驱动：{} 不存在", path.display()),
                "请运行 `make setup` 安装缺少的软件。",
            ),
            Self::CardProgramMissing { path } => (
                format!("在 {} 没有找到程序 virtual-card", path.display()),
                "请用 `cargo build -p virtual-card` 构建，或把 YZT_VIRTUAL_CARD 设为其路径。",
            ),
            Self::NamespacesRefused => (
                "系统不允许此用户建立私有命名空间".to_owned(),
                "请放行（Linux：`sysctl kernel.unprivileged_userns_clone=1`、`kernel.apparmor_restrict_unprivileged_userns=0`），\
                 或以 root 运行，或用 --reader 使用真实读卡器。",
            ),
            Self::ServiceFailed { step, log } => (
                format!("私有 PC/SC 服务没有启动：{step} 失败；见 {}", log.display()),
                "请查看日志；缺少程序的，运行 `make setup`。",
            ),
            Self::ClientFailed { test, log } => (
                format!("测试 {test} 作为私有 PC/SC 服务的客户端失败，服务日志为：\n{log}"),
                "请看上文测试自己的输出。",
            ),
            Self::PathTooLong { path } => (
                format!("路径 {} 太长，不能用作套接字", path.display()),
                "请选路径较短的目录，如 /tmp。",
            ),
            Self::ReaderSilent { port } => (
                format!("端口 {port} 的虚拟读卡器没有接受卡"),
                "请确认 pcscd 已带 vpcd 驱动运行，且没有连接别的卡。",
            ),
            Self::CardGone { socket } => (
                format!("{} 处的虚拟卡没有应答", socket.display()),
                "请重新启动 `virtual-card serve` 或私有服务。",
            ),
            Self::CountsNothing => (
                "此 virtual-card 构建时没有带刷卡耗时模型".to_owned(),
                "请带该特性构建：`cargo run --release -p virtual-card --features taptime -- taptime`。",
            ),
            Self::ModelStopped { step, reason } => (
                format!("刷卡耗时模型停在 {step}：{reason}"),
                "此卡与规范不符：请运行 card-applet 的测试并上报其结果。",
            ),
            // As the other side said it.
            Self::Refused { message, action, .. } => (message.clone(), action.as_str()),
        };
        (message, action.to_owned())
    }
}
