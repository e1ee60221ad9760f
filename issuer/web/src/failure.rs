//! What the pages themselves refuse. All else is said in the words of the office.

program_contract::failures! {
    pub(crate) fn no_such_page() = Refused "NOT_FOUND" {
        "没有这个页面", "there is no such page";
        "请从首页或左侧的工作列表进入。", "Go by the start page or the lists on the left.";
    }
    pub(crate) fn no_purpose() = Refused "MISSING" {
        "未选择为何查找", "why you look was not chosen";
        "请选择一项；它会记录在案。", "Choose one; it is kept.";
    }
    pub(crate) fn nobody_checked() = Refused "MISSING" {
        "未选择核对了何人", "whom you checked was not chosen";
        "请对照照片和证件核对来人，再选择一项。", "Compare who is here with the photo and the papers, then choose one.";
    }
    pub(crate) fn no_photo() = Refused "NO_PHOTO" {
        "没有选择照片文件，或文件超过 16 MB", "no photo was chosen, or it has more than 16 MB";
        "请选择 JPEG 或 PNG 文件，再提交。", "Choose a JPEG or PNG file, and submit it.";
    }
    pub(crate) fn no_reader() = Refused "NO_READER" {
        "这里没有读卡器可用", "there is no reader here";
        "请在有读卡器的机器上运行 `issuer worker`，或在那里打开本页。", "Run `issuer worker` on the machine that has one, or open this page there.";
    }
    pub(crate) fn broke_off() = Unknown "BROKE_OFF" {
        "读卡器上的工作中断", "the work at the reader broke off";
        "请重新放卡，再按一次：会从停下的地方继续。", "Present the card again and press once more: it goes on where it stopped.";
    }
}
