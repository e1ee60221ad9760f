//! What the pages themselves refuse. All else is said in the words of the office.

program_contract::failures! {
    pub(crate) fn no_such_page() = Refused "NOT_FOUND" {
        "没有这个页面", "there is no such page";
        "请从首页或左侧的工作列表进入。", "Go by the start page or the lists on the left.";
    }
    pub(crate) fn others_page(of, now) = Refused "OTHERS_PAGE" {
        "本页是 {of} 打开的，现在登录的是 {now}：没有办理", "{of} opened this page, and {now} is signed in now: nothing was done";
        "请由 {of} 重新登录后再办，或从首页打开本人的页面。", "{of} signs in again and does it once more, or you open the page yourself by the start page.";
    }
    pub(crate) fn no_purpose() = Refused "MISSING" {
        "未选择为何查找", "why you look was not chosen";
        "请选择一项；它会记录在案。", "Choose one; it is kept.";
    }
    pub(crate) fn nobody_checked() = Refused "MISSING" {
        "未选择核对了何人", "whom you checked was not chosen";
        "请对照照片和证件核对来人，再选择一项。", "Compare who is here with the photo and the papers, then choose one.";
    }
    pub(crate) fn no_report() = Refused "MISSING" {
        "未选择由谁、以何种方式报失", "who reports the loss, and how, was not chosen";
        "请各选一项；记录在案。", "Choose one of each; it is kept.";
    }
    pub(crate) fn no_reason() = Refused "MISSING" {
        "未选择原因", "no reason was chosen";
        "请选择一项；它会记录在案。", "Choose one; it is kept.";
    }
    pub(crate) fn not_asked() = Refused "MISSING" {
        "未确认由申请人提出撤回", "that the applicant takes it back was not confirmed";
        "请向申请人核实，再打勾确认；填错的请用“更正”。", "Ask the applicant, then tick the box; what was typed wrong is corrected instead.";
    }
    pub(crate) fn not_seen() = Refused "MISSING" {
        "未确认在场看到销毁", "that you saw it destroyed was not confirmed";
        "请先看着它剪毁，再打勾确认。", "See it cut up first, then tick the box.";
    }
    pub(crate) fn no_serials() = Refused "MISSING" {
        "没有填写芯片序列号", "no serial of a chip was given";
        "请逐行填写该批空白卡的芯片序列号。", "Give the serials of the lot, one a line.";
    }
    pub(crate) fn no_count() = Refused "OUT_OF_RANGE" {
        "实点张数须为整数", "the number of blanks is no whole number";
        "请填写清点到的张数。", "Give how many you counted.";
    }
    pub(crate) fn no_amount(why) = Refused "OUT_OF_RANGE" {
        "{why}", "{why}";
        "请按收款金额填写。", "Give what was paid in.";
    }
    pub(crate) fn no_key() = Refused "MISSING" {
        "没有收款凭据编号，或其中有空格、汉字", "the number of the till's receipt is missing, or has blanks or other letters than ASCII";
        "请先收款，再填写凭据上的编号：同一编号只充值一次。", "Take the money first, and give the receipt's number: the same number is loaded once.";
    }
    pub(crate) fn load_refused(limits) = Refused "LOAD_REFUSED" {
        "超出充值限额：{limits}", "a limit of the purse stands against it: {limits}";
        "请退款，或减少金额。", "Give the money back, or load less.";
    }
    pub(crate) fn nobodys_card() = Refused "NO_ORDER" {
        "读卡器上的卡不属于任何制证单：是空白卡，或不是本机关制的", "the card on the reader belongs to no order: it is a blank, or none of ours";
        "请换上要发放的卡。", "Lay the card that is to be handed over on it.";
    }
    pub(crate) fn no_agent() = Refused "MISSING" {
        "未填写代领人姓名或未选择证件种类", "the agent's name, or the kind of document, is missing";
        "请按代领人出示的证件填写；证件号码和复印件都不留存。", "Take them from the document that the agent shows; its number is not kept, and no copy.";
    }
    pub(crate) fn no_old_card() = Refused "MISSING" {
        "未选择旧卡是否交回", "whether the old card was given back was not chosen";
        "请收回旧卡；没有交回的，选“未交回”，记录在案。", "Take the old card; where there is none, say so: it is kept.";
    }
    pub(crate) fn no_receipt() = Refused "NO_PHOTO" {
        "没有选择照片回执", "no receipt of a photo was chosen";
        "请为新卡面采集照片；有提示的，由同事在案卷中确认后再选。", "Take a photo for the new face; where it has warnings, a colleague confirms them in the case first.";
    }
    pub(crate) fn no_photo() = Refused "NO_PHOTO" {
        "没有选择照片文件，或文件超过 16 MB", "no photo was chosen, or it has more than 16 MB";
        "请选择 JPEG 或 PNG 文件，再提交。", "Choose a JPEG or PNG file, and submit it.";
    }
    pub(crate) fn no_signing_page() = Damaged "NO_SIGNING_PAGE" {
        "本系统没有设置签名页", "no signing page is set for this installation";
        "请运行 `issuer signing-page`，并在 issuer.toml 的 `signing_page` 中写明其地址。", "Run `issuer signing-page`, and write its address as `signing_page` in issuer.toml.";
    }
    pub(crate) fn no_identity_reader() = Refused "NO_READER" {
        "这里没有接身份证阅读器", "there is no reader of identity documents here";
        "请手工录入，并与证件核对：此案记为手工录入。", "Type the items and compare them with the document: the case says that they were typed.";
    }
    pub(crate) fn nothing_read() = Refused "NOTHING_READ" {
        "没有读到身份证", "no identity document could be read";
        "请重新放好证件再读，或手工录入：记为手工录入。", "Lay the document on it again, or type the items: the case says so.";
    }
    pub(crate) fn no_scan() = Refused "MISSING" {
        "没有选择材料图像，或一次超过 32 MB", "no scan was chosen, or it is more than 32 MB at once";
        "请选择 JPEG 或 PNG 文件（每页不超过 10 MB；扫描仪请勿存为 PDF），再提交。", "Choose JPEG or PNG files (10 MB a page at most; have the scanner write no PDF), and submit them.";
    }
    pub(crate) fn known_photo() = Refused "SAME_PHOTO" {
        "这个文件已经交过，没有产生新的照片", "this file was given before; no new photo was made";
        "不必再交；要换一张，请另拍。", "There is nothing to do; for another picture, take one.";
    }
    pub(crate) fn used_photo() = Refused "PHOTO_IN_USE" {
        "这个文件就是此案已定稿的照片，没有产生新的照片", "this file is the photo that the case has used; no new photo was made";
        "新卡须用新的照片：请另拍一张，再提交。", "Another card needs another photo: take one, and submit it.";
    }
    pub(crate) fn no_reader() = Refused "NO_READER" {
        "这里没有读卡器可用", "there is no reader here";
        "请在有读卡器的机器上运行 `issuer worker`，或在那里打开本页。", "Run `issuer worker` on the machine that has one, or open this page there.";
    }
    pub(crate) fn broke_off() = Unknown "BROKE_OFF" {
        "读卡器上的工作中断", "the work at the reader broke off";
        "请重新放卡，再按一次：会从停下的地方继续。", "Present the card again and press once more: it goes on where it stopped.";
    }
    pub(crate) fn no_paper_day() = Refused "MISSING" {
        "未填写单上的受理日期，或写法不对", "the day of acceptance on the paper is missing, or is no day";
        "请按纸质单填写，如 2026-12-01。", "Type it as the paper has it, such as 2026-12-01.";
    }
    pub(crate) fn no_such_slip() = Refused "NO_SUCH_SLIP" {
        "没有与此受理编号和查询码相符的受理件", "no case has this receipt number and code";
        "请对照受理回执重新输入两项；回执遗失的，请到受理窗口补打。", "Type both again as the slip has them; if it is lost, ask at the counter for another print.";
    }
    pub(crate) fn too_often() = Refused "TOO_OFTEN" {
        "尝试次数过多", "it was tried too often";
        "请过一刻钟再试，或到受理窗口查询。", "Try again in a quarter of an hour, or ask at the counter.";
    }
    pub(crate) fn not_now() = Absent "NOT_NOW" {
        "现在无法查询", "it cannot be looked up now";
        "您的申请不受影响；请稍后再试。", "Your application is not affected; try again later.";
    }
    pub(crate) fn no_score() = Refused "MISSING" {
        "未选择分数", "no score was chosen";
        "请选择一项，再提交。", "Choose one, and send it.";
    }
}
