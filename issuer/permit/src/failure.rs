//! Failures of this program itself, each with its code and its texts in Chinese and English, and what another program of ours
//! said.

use program_contract::{Exit, Failure};

program_contract::failures! {
    /// Something of the machine.
    pub(crate) fn machine(what, error) = Damaged "MACHINE" {
        "{what}：{error}", "{what}: {error}";
        "请检查本机，再运行同一命令。", "Check the machine, and run the same command again.";
    }
    /// Something that our own programs promise is not so.
    pub(crate) fn unexpected(what) = Damaged "UNEXPECTED" {
        "{what}", "{what}";
        "请用同一版本构建全部程序，保留目录和日志，并上报。",
        "Build all programs of one version, keep the folder with its logs, and report this.";
    }
    /// The new card was judged as it must not be.
    pub(crate) fn unexpected_decision(who, decision, reason) = Damaged "UNEXPECTED_DECISION" {
        "{who}对新卡的判定是{decision}（{reason}）", "the new card was {decision} by {who} ({reason})";
        "请保留目录和日志，并上报。", "Keep the folder with its logs, and report this.";
    }
    /// A service of ours that is not there.
    pub(crate) fn absent(what, log) = Absent "SERVICE_ABSENT" {
        "{what}没有应答", "the {what} does not answer";
        "请查看其日志 {log}，再运行同一命令。", "Read its log, {log}, and run the same command again.";
    }
    /// A service of ours that did not stay.
    pub(crate) fn service_ended(what, last, log) = Damaged "SERVICE_ENDED" {
        "{what}启动后即退出：{last}", "the {what} ended when it was started: {last}";
        "请查看其日志 {log}，看磁盘是否已满，再运行同一命令。",
        "Read its log, {log}, look whether the disk is full, and run the same command again.";
    }
    pub(crate) fn program_missing(name) = Absent "PROGRAM_MISSING" {
        "permit 旁边没有程序 {name}", "the program {name} is not beside permit";
        "请构建全部程序：make demo，或 cargo build --workspace --bins。",
        "Build all programs: make demo, or cargo build --workspace --bins.";
    }
    pub(crate) fn program_failed(program, said) = Damaged "PROGRAM_FAILED" {
        "{program} 没有答复：{said}", "{program} gave no answer: {said}";
        "请用同一版本构建全部程序，再运行同一命令。",
        "Build all programs of one version, and run the same command again.";
    }
    /// Somebody ended the program.
    pub(crate) fn interrupted() = Unknown "INTERRUPTED" {
        "已中断；所启动的一切都已结束", "interrupted; everything that was started has been ended";
        "请以同一 --dir 再运行同一命令：从停下的地方继续。",
        "Run the same command again with the same --dir: it goes on where it stopped.";
    }
    pub(crate) fn folder_foreign(folder) = Damaged "FOLDER_FOREIGN" {
        "{folder} 中的内容不是本系统的安装", "{folder} holds something that is no installation";
        "请用 --dir 指定新目录或空目录。未做任何改动。",
        "Name a new or empty folder with --dir. Nothing was changed.";
    }
    pub(crate) fn mark_foreign(mark) = Damaged "FOLDER_FOREIGN" {
        "{mark} 不是此版本的安装标记", "{mark} is not the mark of an installation of this version";
        "请用 --dir 指定另一目录。未做任何改动。", "Name another folder with --dir. Nothing was changed.";
    }
    pub(crate) fn folder_in_use(folder) = Damaged "FOLDER_IN_USE" {
        "另一程序正在 {folder} 中工作", "another program works in {folder}";
        "请结束该程序，或用 --dir 指定另一目录。", "End it, or name another folder with --dir.";
    }
    pub(crate) fn sockets_foreign(folder) = Damaged "SOCKETS_FOREIGN" {
        "{folder} 不是仅属于您的目录", "{folder} is not a folder of yours alone";
        "请删除该目录，或用 --dir 指定另一目录。", "Remove it, or name another folder with --dir.";
    }
    pub(crate) fn envelope_missing(name, folder) = Damaged "PACKAGE_MISSING" {
        "{folder} 中没有保管人 {name} 的分片信封", "the share envelope of custodian {name} is not in {folder}";
        "请恢复该文件，或用 --dir 指定新目录。", "Restore it, or name a new folder with --dir.";
    }
    pub(crate) fn no_custodian() = Damaged "PACKAGE_MISSING" {
        "没有这位保管人", "no such custodian";
        "请用 --dir 指定新目录。", "Name a new folder with --dir.";
    }
    pub(crate) fn no_blank(cards) = Refused "NO_BLANK" {
        "此安装的 {cards} 张空白卡已全部用完", "all {cards} blanks of this installation are used";
        "请用 --dir 指定新目录。", "Name a new folder with --dir.";
    }
    pub(crate) fn terminal_key(what) = Damaged "TERMINAL_KEY" {
        "{what}", "{what}";
        "请恢复密钥文件，或用 --dir 指定新目录。", "Restore the key file, or name a new folder with --dir.";
    }
    pub(crate) fn no_card_day(day) = Usage "DATE" {
        "{day} 不能作为卡上的日期", "{day} is no day for a card";
        "请给出 2000 年至 2099 年之间的日期。", "Give a day of the years 2000 to 2099.";
    }
    pub(crate) fn address(address, error) = Damaged "ADDRESS" {
        "无法监听 {address}：{error}", "{address} cannot be listened on: {error}";
        "请用 --listen 另给地址或端口。", "Give another address or port with --listen.";
    }
    pub(crate) fn untold() = Unknown "OUTPUT" {
        "无法告知任何人安装在哪里", "nobody could be told where the installation is";
        "请把标准输出交给会读取它的程序，再运行同一命令。",
        "Give standard output to a program that reads it, and run the same command again.";
    }
    pub(crate) fn not_running(folder) = Absent "NOT_RUNNING" {
        "{folder} 中没有运行 `permit up`", "no `permit up` runs in {folder}";
        "请以同一 --dir 启动 `permit up`，再运行此命令。",
        "Start `permit up` with the same --dir, and run this command again.";
    }
    pub(crate) fn no_answer() = Unknown "NO_ANSWER" {
        "`permit up` 未答复即已结束", "`permit up` ended before it answered";
        "请以同一 --dir 启动 `permit up`，再运行同一命令：从停下的地方继续。",
        "Start `permit up` with the same --dir, and run the same command again: it goes on where it stopped.";
    }
    pub(crate) fn has_permit() = Refused "ALREADY_HAS_PERMIT" {
        "此申请人在此安装中已有居住证", "this applicant has a permit of this installation already";
        "请用 --applicant 给出另一申请人，或用 --dir 指定另一目录。",
        "Give another applicant with --applicant, or another folder with --dir.";
    }
    pub(crate) fn not_eligible(unmet) = Refused "NOT_ELIGIBLE" {
        "不予核定任何类别；{unmet}", "no tier is granted; {unmet}";
        "请看逐条说明；条件满足后再次申请。", "Read the explanation; apply again when the conditions are met.";
    }
    pub(crate) fn applicant(errors) = Refused "APPLICANT" {
        "申请文件有误：{errors}", "the applicant file has faults: {errors}";
        "请改正所列字段；格式见 docs/applicant.schema.json。",
        "Correct the fields; the form is docs/applicant.schema.json.";
    }
    pub(crate) fn applicant_format(errors) = Usage "APPLICANT_FORMAT" {
        "申请文件格式不对：{errors}", "the applicant file has faults: {errors}";
        "请改正所列字段；格式见 docs/applicant.schema.json。",
        "Correct the fields; the form is docs/applicant.schema.json.";
    }
    pub(crate) fn no_receipt() = Refused "PHOTO_PENDING" {
        "照片没有回执", "the photo has no receipt";
        "请确认其警告，或重新拍照。", "Confirm its warnings, or take another photo.";
    }
    pub(crate) fn photo_warned(warnings) = Refused "PHOTO_PENDING" {
        "照片有警告：{warnings}", "the photo has warnings: {warnings}";
        "请查看照片。另拍一张，或加 --confirm 再运行同一命令。",
        "Look at the photo. Take another, or run the same command with --confirm.";
    }
    pub(crate) fn not_verified(state) = Refused "NOT_VERIFIED" {
        "此制证单的卡尚未核验：{state}", "the card of this order is not verified: {state}";
        "请等制证单的状态成为 VERIFIED，再运行同一命令。",
        "Wait until the order's state is VERIFIED, and run the same command again.";
    }
    pub(crate) fn no_card(state) = Refused "NO_CARD_TO_HAND_OVER" {
        "此制证单没有卡：{state}", "this order has no card: {state}";
        "请重新下制证单。", "Order the card again.";
    }
}

/// What another program of ours said, message and action in English and in Chinese; one that was asked for an object said it in
/// one language, which is then both.
pub(crate) fn said_by_another(
    exit: Exit,
    code: String,
    english: (String, String),
    chinese: (String, String),
) -> Failure {
    Failure::of_row(exit, code, english, chinese)
}

/// The same failure with another exit code.
pub(crate) fn ending(exit: Exit, failure: impl Into<Failure>) -> Failure {
    let mut failure = failure.into();
    failure.exit = exit;
    failure
}
