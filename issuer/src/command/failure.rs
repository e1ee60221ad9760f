//! What can go wrong in the program itself, each with its code and its texts in Chinese and English. The failures of the
//! libraries stand beside their errors.

program_contract::failures! {
    pub(super) fn change_usage(what) = Usage "USAGE" {
        "{what}", "{what}";
        "用法见 `issuer change propose --help`。", "See `issuer change propose --help`.";
    }
    pub(super) fn applicant_form(errors) = Refused "APPLICANT_FORM" {
        "{errors}", "{errors}";
        "请改正所列的每个字段，再试。", "Correct every field that is named, then try again.";
    }
    pub(super) fn not_eligible(unmet) = Refused "NOT_ELIGIBLE" {
        "不予核定任何类别；{unmet}", "no tier is granted; {unmet}";
        "请看逐条说明；申请人可改申请今日可获核定的类别，或在条件满足后再次申请。",
        "Read the explanation; the applicant may ask for the tier that would be granted, or apply again when the conditions are met.";
    }
    pub(super) fn no_installation(folder) = Damaged "NO_INSTALLATION" {
        "没有目录 {folder}", "there is no folder {folder}";
        "请改正 --dir；新设机构用 `issuer migrate --new` 建立。",
        "Correct --dir, or found a new office with `issuer migrate --new`.";
    }
    pub(super) fn exposed(path, mode) = Damaged "EXPOSED" {
        "{path} 可被属主以外的人使用", "others than its owner can use {path}";
        "请运行 `chmod {mode} {path}`；可能已被他人改动的，请先核对其内容。",
        "Run `chmod {mode} {path}`; if others may have changed it, look at what it says first.";
    }
    pub(super) fn no_signals(error) = Damaged "SIGNALS" {
        "无法接收信号：{error}", "signals cannot be received: {error}";
        "请上报。", "Report this.";
    }
    pub(super) fn no_serial(line) = Usage "SERIALS" {
        "第 {line} 行不是卡片序列号", "line {line} is no card serial";
        "请每行写一个序列号：20 个小写十六进制数字。", "Write one serial of 20 lower-case hex digits a line.";
    }
    pub(super) fn cannot_listen(address, error) = Damaged "LISTEN" {
        "无法监听 {address}：{error}", "cannot listen on {address}: {error}";
        "可能已有一个 `issuer serve` 在此运行：请先查明；确需另一个的，在 issuer.toml 的 `listen` 中另选空闲地址。",
        "An `issuer serve` may run there already: look first; for another one choose a free address with `listen` in issuer.toml.";
    }
    pub(super) fn no_origin(why) = Usage "SETTINGS" {
        "`--counter` 无法使用：{why}", "`--counter` cannot be used: {why}";
        "请写浏览器打开窗口页面的地址（协议、主机名、端口）。", "Write where browsers open the counter's pages (scheme, host name, port).";
    }
    pub(super) fn signs_on_its_page() = Refused "NOT_A_REHEARSAL" {
        "本系统不是演练系统，没有密钥文件", "this is no rehearsal, and has no key files";
        "请在签名页上用您的签名密钥签名。", "Sign with your signing key, on the signing page.";
    }
    pub(super) fn terminal_key() = Usage "TERMINAL_KEY" {
        "认证公钥不是 P-256 上的点", "the authentication key is no point of P-256";
        "请取终端登记请求中 `authentication_key` 的 130 个十六进制数字。",
        "Take the 130 hex digits of `authentication_key` from the terminal's enrolment request.";
    }
    pub(super) fn terminal_name() = Usage "TERMINAL_NAME" {
        "终端名称须为 1 至 64 字节", "a terminal's name has 1 to 64 bytes";
        "请取终端登记请求中的名称。", "Take the name from the terminal's enrolment request.";
    }
    pub(super) fn files_refused(refused, files) = Refused "FILES_REFUSED" {
        "{files} 个文件中 {refused} 个被拒绝，其余已导入", "{refused} of {files} files were refused; the others are taken";
        "请按每个文件的代码处理，再次导入：已导入的不会重复导入。",
        "Do what each file's code asks for, then import it again: what is taken is not taken twice.";
    }
    pub(super) fn not_ready(failed) = Damaged "NOT_READY" {
        "未就绪：{failed}", "not in order: {failed}";
        "请按各项检查的提示处理。", "Do what each check says.";
    }
    pub(super) fn load_refused(rules, unmet) = Refused "LOAD_REFUSED" {
        "钱包规则 {rules} 不允许：{unmet}", "the purse rules {rules} do not allow it: {unmet}";
        "请减少充值金额，或等持卡人先消费。", "Load less, or let the holder spend first.";
    }
    pub(super) fn qr_picture() = Usage "QR_PICTURE" {
        "给出的是图片，不是扫码得到的文字", "this is a picture, not the text that a scanner read from it";
        "请用手机、扫码器或 `zbarimg --raw` 读取卡背二维码，再把所得文字交给本命令。",
        "Read the code with a phone, a scanner or `zbarimg --raw`, and give its text to this command.";
    }
    pub(super) fn qr_foreign() = Refused "QR_FOREIGN" {
        "这不是居住证卡背二维码的内容", "this is not what the code on the back of a permit card says";
        "请核对扫的是哪个码：居住证的码以 YZT1 开头，不会打开网址，也不收款。",
        "Look which code was scanned: that of a permit card begins with YZT1, opens no address and asks for no money.";
    }
    pub(super) fn qr_damaged() = Refused "QR_DAMAGED" {
        "二维码内容不完整或写法不符", "the text of the code is cut or was changed";
        "请重新扫码，一个字符也不要改动；仍然如此，请勿凭此卡办理。",
        "Scan it again and change no sign of it; if it stays so, do not accept the card.";
    }
    pub(super) fn qr_version() = Refused "QR_VERSION" {
        "本程序不认得这一版本的二维码", "this program does not know this version of the code";
        "请更新本程序，再核验一次。", "Update this program, then verify again.";
    }
    pub(super) fn qr_ended(number) = Refused "QR_ENDED" {
        "卡号 {number} 已在失效名单上：挂失、换领、注销或未发放",
        "the card number {number} is on the list: lost, replaced, ended or never handed over";
        "请勿凭此卡办理；拾获的送交公安派出所。", "Do not accept the card; bring one that was found to a police station.";
    }
    pub(super) fn qr_list() = Refused "QR_LIST" {
        "失效名单不是该机关签名的，或不是这批卡的", "the list of ended numbers is not signed by this office, or is of other cards";
        "请从核验页面（/check/ended）重新下载名单，并核对该页面所示的公钥。",
        "Download the list again from the check page (/check/ended), and compare the key with the one that the page shows.";
    }
    pub(super) fn qr_not_signed() = Refused "QR_NOT_SIGNED" {
        "内容没有该签发机构的签名：被改动、系伪造，或由其他机构签发",
        "this office's signature is not under it: changed, forged, or of another office";
        "请核对锚点文件确属签发该卡的机构；属实而仍不符，请勿凭此卡办理，并上报。",
        "Check that the anchors are those of the office that issued the card; if they are, do not accept the card, and report it.";
    }
    pub(super) fn no_home() = Damaged "NO_HOME" {
        "此登录用户没有自己的目录：HOME 和 XDG_STATE_HOME 都未设置",
        "this login has no folder of its own: neither HOME nor XDG_STATE_HOME is set";
        "请设置 HOME，或用 --session 指明会话文件。", "Set HOME, or name the session's file with --session.";
    }
    pub(super) fn no_service_name() = Damaged "SETTINGS" {
        "服务没有自己的名称", "the service has no name of its own";
        "请在 issuer.toml 中设置 `service`：2 至 32 个 a-z、0-9、点或连字符，以字母开头，且不是 staff.toml 中的账号。",
        "Set `service` in issuer.toml: 2 to 32 of a-z, 0-9, point and hyphen, a letter first, and no account of staff.toml.";
    }
    pub(super) fn not_signed_in() = Refused "NOT_SIGNED_IN" {
        "此处无人登录", "nobody is signed in here";
        "请用 `issuer sign-in` 登录。", "Sign in with `issuer sign-in`.";
    }
    pub(super) fn no_session_file(path) = Usage "NO_SESSION_FILE" {
        "{path} 不是会话文件：未做任何改动", "{path} is no session: nothing was done";
        "请指明 `issuer sign-in` 写入的文件，或尚不存在的文件。",
        "Name a file that `issuer sign-in` wrote, or one that does not exist yet.";
    }
    pub(super) fn session_exposed(path) = Refused "SESSION_EXPOSED" {
        "会话文件 {path} 可被他人读取", "others may read the session {path}";
        "请用 `issuer sign-out` 退出，再重新登录。", "Sign out with `issuer sign-out`, and sign in again.";
    }
}
