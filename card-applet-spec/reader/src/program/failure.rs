//! What can go wrong in the program itself, each with its code and its texts in Chinese and English. The failures of the
//! library stand beside its errors.

program_contract::failures! {
    // --- files
    pub(crate) fn too_long(path, most) = Damaged "FILE_TOO_LONG" {
        "{path} 超过 {most} 字节", "{path} is longer than {most} bytes";
        "请给出正确的文件。", "Give the right file.";
    }
    pub(crate) fn unreadable(path, error) = Damaged "FILE_UNREADABLE" {
        "无法读取 {path}：{error}", "cannot read {path}: {error}";
        "请检查路径及其权限。", "Check the path and its rights.";
    }
    pub(crate) fn folder_unusable(path, error) = Damaged "FILE_UNREADABLE" {
        "无法使用 {path}：{error}", "cannot use {path}: {error}";
        "请检查目录及其权限。", "Check the folder and its rights.";
    }
    pub(crate) fn unwritable(path, error) = Damaged "FILE_UNWRITABLE" {
        "无法写入 {path}：{error}", "cannot write {path}: {error}";
        "请检查目录、权限和磁盘空间。", "Check the folder, its rights and the room on the disk.";
    }
    pub(crate) fn portrait_unwritable(path, error) = Damaged "FILE_UNWRITABLE" {
        "无法建立 {path}：{error}", "cannot make {path}: {error}";
        "请为 --portrait 指定可写目录中的新文件。", "Give --portrait a new file in a folder that can be written.";
    }
    pub(crate) fn tape_unwritable(path, error) = Damaged "FILE_UNWRITABLE" {
        "无法建立 {path}：{error}", "cannot make {path}: {error}";
        "请为 --record 指定可写目录中的新文件。", "Give --record a new file in a folder that can be written.";
    }
    pub(crate) fn tape_damaged(path, line) = Usage "TAPE_DAMAGED" {
        "{path}：第 {line} 行不是磁带内容", "{path}: line {line} is no line of a tape";
        "请给出 --record 录制的文件。", "Give a file that --record made.";
    }
    pub(crate) fn key_exists(path, error) = Damaged "KEY_FILE_EXISTS" {
        "无法建立 {path}：{error}", "cannot make {path}: {error}";
        "密钥文件从不覆盖：请用 --out 另取文件名。", "A key file is never replaced: give another name with --out.";
    }
    pub(crate) fn key_unwritable(path, error) = Damaged "FILE_UNWRITABLE" {
        "无法建立 {path}：{error}", "cannot make {path}: {error}";
        "请检查目录及其权限。", "Check the folder and its rights.";
    }
    pub(crate) fn key_unreadable(error) = Damaged "FILE_UNREADABLE" {
        "终端密钥文件无法使用：{error}", "{error}";
        "请检查密钥文件。", "Check the key file.";
    }
    pub(crate) fn no_day(path) = Damaged "SEQUENCE_DAMAGED" {
        "{path} 中不是日期", "{path} does not hold a day";
        "请把今天的日期写入其中，如 2026-11-21；删掉该文件会放过更早的时钟。",
        "Write the day of today into it, such as 2026-11-21; taking the file away lets an older clock in.";
    }
    pub(crate) fn no_number(path) = Damaged "SEQUENCE_DAMAGED" {
        "{path} 中不是数字", "{path} does not hold a number";
        "请把最近一个凭证包的序号写入其中；删掉该文件会放过更旧的凭证包。",
        "Write the sequence number of the last bundle into it; taking the file away lets older bundles in.";
    }
    pub(crate) fn sequence_unwritable(path, error) = Damaged "SEQUENCE_UNWRITABLE" {
        "无法写入 {path}：{error}", "cannot write {path}: {error}";
        "请给终端目录写权限，或腾出磁盘空间。", "Give this terminal's folder write rights, or make room on its disk.";
    }
    pub(crate) fn config_damaged(path, why) = Usage "CONFIG_DAMAGED" {
        "配置文件 {path} 有误：{why}", "{path}: {why}";
        "请改正配置文件；各键见 card-applet-spec/reader/README.md。", "Correct the configuration file; its keys are in card-applet-spec/reader/README.md.";
    }
    pub(crate) fn rule_set_damaged(path, why) = Usage "CONFIG_DAMAGED" {
        "规则集 {path} 有误：{why}", "{path}: {why}";
        "请给出发布的规则集原件：含 `id` 和 `[[services]]` 的 TOML 文件。",
        "Give a rule set as it was published: a TOML file with `id` and `[[services]]`.";
    }

    // --- what was asked
    pub(crate) fn no_terminal() = Usage "USAGE" {
        "没有指明终端", "no terminal was named";
        "请给出 --config 或 --bundle。", "Give --config or --bundle.";
    }
    pub(crate) fn no_replay() = Usage "USAGE" {
        "强通道的会话不能回放：磁带上没有它的密钥", "a session of the strong door cannot be replayed: its keys are on no tape";
        "--replay 只用于 bus 或 door。", "Give --replay to bus or door.";
    }
    pub(crate) fn no_amount(why) = Usage "AMOUNT" {
        "{why}", "{why}";
        "请每行写一个以元为单位的金额，如 12.50，或 `give-up`，或 `cancel`。",
        "Write an amount in yuan such as 12.50, `give-up`, or `cancel`, one a line.";
    }
    pub(crate) fn too_many_amounts(amounts) = Refused "TOO_MANY_AMOUNTS" {
        "已有 {amounts} 笔金额等待刷卡", "{amounts} amounts wait for a card already";
        "请先为等待的金额刷卡，或写 `cancel`。", "Present the cards for the amounts that wait, or write `cancel`.";
    }
    pub(crate) fn purchase_given_up() = Unknown "OUTCOME_UNKNOWN" {
        "其间有他处对该卡扣款：这笔付款已放弃", "the card was debited by somebody else since: this purchase was given up";
        "不得交付商品：款项由结算决定。请开始新的付款。",
        "Hand out nothing: the settlement decides about the money. Begin a new purchase.";
    }

    // --- the machine
    pub(crate) fn thread_stopped() = Damaged "FAULT" {
        "读卡线程已停止", "the reader's thread stopped";
        "这是程序的缺陷，请连同日志上报。", "This is a fault of the program: report it with its log.";
    }
    pub(crate) fn no_signals(error) = Damaged "FAULT" {
        "无法接收信号：{error}", "signals cannot be listened to: {error}";
        "这是程序的缺陷，请连同日志上报。", "This is a fault of the program: report it with its log.";
    }
    pub(crate) fn no_screen(error) = Damaged "NO_SCREEN" {
        "无法使用全屏：{error}", "the full screen cannot be used: {error}";
        "请在终端窗口中运行，或使用 --json-lines。", "Run it in a terminal window, or with --json-lines.";
    }

    // --- self-test
    pub(crate) fn reader_absent() = Absent "NO_READER" {
        "读卡器不在", "the reader is not there";
        "请连接读卡器，或改正配置中的名称。", "Connect the reader, or correct its name in the configuration.";
    }
    pub(crate) fn wrong_cryptography(what) = Damaged "CRYPTOGRAPHY" {
        "{what} 算出错误的值", "{what} gives a wrong value";
        "请停用本机；重新安装程序。", "Do not use this machine; install the program again.";
    }
    pub(crate) fn unsafe_disk(error) = Damaged "DISK" {
        "无法可靠写入：{error}", "nothing can be written safely: {error}";
        "请腾出磁盘空间，或更换磁盘。", "Make room on the disk, or replace it.";
    }
    pub(crate) fn no_key(bundle) = Damaged "WRONG_ROLE" {
        "{bundle}：凭证包中没有密钥，终端不受理任何卡", "{bundle}: it holds no key, and the terminal accepts nobody";
        "请先由密钥官员用 `keyvault request new rotate-role` 生成密钥版本，再装入新的凭证包。",
        "Have a key version made with `keyvault request new rotate-role`, then load a new bundle.";
    }
    pub(crate) fn list_too_old(list) = Damaged "LIST_TOO_OLD" {
        "{list}：缺失或过期", "{list}: too old or missing";
        "请用发证机关的新文件运行 `card-reader sync`。", "Run `card-reader sync` with new files of the office.";
    }
    pub(crate) fn certificate_days(from, to) = Damaged "BUNDLE_EXPIRED" {
        "证书有效期为 {from} 至 {to}", "the certificate is valid from {from} to {to}";
        "请用新的凭证包运行 `card-reader sync`。", "Run `card-reader sync` with a new bundle.";
    }
    pub(crate) fn clock_behind(today, seen) = Damaged "CLOCK_WRONG" {
        "今天 {today} 早于已见过的 {seen}", "{today} is before {seen}";
        "请校准本机时钟。若时钟无误而所见日期有误，请装入今天制作的凭证包（先 `keyvault export-bundle`，再 `card-reader sync`）。",
        "Set the clock of this machine. If it is right and the day that was seen is not, load a bundle that was made today (`keyvault export-bundle`, then `card-reader sync`).";
    }
    pub(crate) fn not_ready(check, said) = Damaged "SELF_TEST" {
        "{check}：{said}", "{check}: {said}";
        "请处理标有 ✗ 的各项，再运行一次。", "Mend what is marked, then run it again.";
    }
}
