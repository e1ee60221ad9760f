//! Words of the office in Chinese: things, steps, roles and tables that messages name in English. A test of the house holds this
//! table against the sources.

/// The Chinese of a word of the office; the word itself where the table does not have it, such as a code.
#[must_use]
pub fn chinese(word: &str) -> &str {
    TABLE
        .iter()
        .find(|(english, _)| *english == word)
        .map_or(word, |(_, chinese)| *chinese)
}

/// English, then Chinese.
const TABLE: &[(&str, &str)] = &[
    // Things.
    ("a date", "日期"),
    ("a face item", "卡面项目"),
    ("account", "账号"),
    ("application", "申请"),
    ("application id", "申请编号"),
    ("authenticator", "身份验证器"),
    ("blank", "空白卡"),
    ("card", "卡"),
    ("card number", "证件卡号"),
    ("card serial", "卡片序列号"),
    ("card to be destroyed", "待销毁的卡"),
    ("change", "变更"),
    ("content", "定稿内容"),
    ("change id", "变更编号"),
    ("counted day", "计数日"),
    ("identity", "身份信息"),
    ("lot", "批次"),
    ("order", "制证单"),
    ("closed day", "已结束的日期"),
    ("evaluation", "评价"),
    ("paper form", "纸质受理单"),
    ("permit", "居住证"),
    ("permit id", "居住证编号"),
    ("person", "人员"),
    ("person id", "人员编号"),
    ("paper", "材料"),
    ("photo", "照片"),
    ("production order", "制证单"),
    ("production order id", "制证单编号"),
    ("registration number", "登记编号"),
    ("row", "记录"),
    ("row that this one rests on", "本记录所依据的记录"),
    ("rule set", "规则集"),
    ("settlement file", "结算文件"),
    ("signing key", "签名密钥"),
    ("mandate", "签发授权书"),
    ("mandates", "签发授权书"),
    ("signature", "签名"),
    ("staff account", "工作人员账号"),
    ("terminal", "终端"),
    ("terminal name", "终端名称"),
    ("the certificate's last day", "证书截止日"),
    ("the division", "行政区划"),
    ("the permit block", "居住证数据块"),
    ("the portrait", "照片"),
    ("update", "更新"),
    // Parts of a card that is compared with its order.
    ("state", "状态"),
    ("serial", "序列号"),
    // What is wrong in the store.
    ("a migration stopped half-way", "迁移中途停止"),
    (
        "the file is no sound SQLite database",
        "文件不是完好的 SQLite 数据库",
    ),
    ("the server found damaged data", "数据库服务器发现数据损坏"),
    // Steps.
    ("a chip that answers", "恢复芯片应答"),
    ("a confirmation of its denial", "确认停用"),
    ("a later last day", "延后截止日"),
    ("a load", "充值"),
    ("a new grant", "重新核定"),
    ("a newer version", "换用新版本"),
    ("a notice of missing papers", "通知补正材料"),
    ("a review", "审核"),
    ("a second one", "再发一张"),
    ("another request", "另提申请"),
    ("a withdrawal", "撤回"),
    ("acceptance", "受理"),
    ("allocation", "分配卡片"),
    ("allowing it again", "恢复使用"),
    ("an approval", "审批"),
    ("approval", "审批"),
    ("being brought by another change", "随另一变更写入"),
    ("blocking", "锁定"),
    ("completing its intake", "受理完毕"),
    ("closing its photo case", "关闭照片卷宗"),
    ("opening its photo case", "打开照片卷宗"),
    ("scanning a paper", "扫描材料"),
    ("removing a page", "删除材料"),
    ("withdrawing its application", "撤回其申请"),
    ("delivery by terminals", "由终端投递"),
    ("destruction", "销毁"),
    ("drawing", "绘制卡面"),
    ("encoding", "写卡"),
    ("ending the chip", "终止芯片"),
    ("erasing its photo", "删除照片"),
    ("expiring", "过期"),
    ("giving up", "放弃"),
    ("giving up production", "放弃制证"),
    ("giving up what is written with it", "放弃正在一并写入的变更"),
    ("going back", "退回"),
    ("hand-over", "发放"),
    ("its end", "终止"),
    ("production", "制证"),
    ("putting it back", "放回"),
    ("putting it onto a card", "印制到卡上"),
    ("replacing its card", "补换领卡"),
    ("restoration", "恢复"),
    ("setting it aside", "提出销毁"),
    ("storing it alone", "单独保存"),
    ("storing it as advanced", "保存后续状态"),
    ("storing it as new", "作为新单保存"),
    ("storing this decision with it", "保存此审核决定"),
    ("storing this permit with it", "保存此居住证"),
    ("suspension", "中止"),
    ("taking a photo", "采集照片"),
    ("taking it back as not fetched", "作为逾期未领收回"),
    ("taking it out of use", "停用"),
    ("taking it out of use without its order", "不经制证单停用"),
    ("the end", "终止"),
    ("the end of encoding", "完成写卡"),
    ("the end of hand-over", "完成发放"),
    ("the end of production", "完成制证"),
    ("unblocking", "解锁"),
    ("verification", "核验"),
    ("writing", "写入"),
    ("writing it", "写入此变更"),
    ("writing it after all", "补写此变更"),
    // Why a decision is no change of a kind.
    ("it grants an earlier day", "核定的截止日更早"),
    ("it grants another tier", "核定的类别不同"),
    ("it grants no later day", "核定的截止日没有延后"),
    ("it grants the tier that the card has", "核定的类别与卡上的相同"),
    (
        "no decision stands behind a change of this kind",
        "此类变更不以审核决定为据",
    ),
    // People.
    ("intake clerk", "受理人"),
    ("reviewer", "审核人"),
    ("typist", "录入人"),
    ("second reader", "复核录入人"),
    ("chief", "负责人"),
    ("approver", "审批人"),
    ("producer", "制证人"),
    ("hand-over clerk", "发证人"),
    ("change clerk", "变更经办人"),
    ("photo clerk", "照片采集人"),
    ("service", "服务程序"),
    ("who set it aside", "提出销毁的人"),
    ("who saw it destroyed", "监销人"),
    ("who took the photo", "采集照片的人"),
    ("who confirms its warnings", "确认照片提示的人"),
    ("who requested the erasure", "申请删除照片的人"),
    ("who approves it", "批准删除的人"),
    // Code tables.
    ("GB/T 2261.1 (sex)", "GB/T 2261.1（性别）"),
    ("GB/T 3304 (nation)", "GB/T 3304（民族）"),
    ("GB/T 4658 (education)", "GB/T 4658（学历）"),
    (
        "evidence codes (Decree 663, article 9)",
        "证明材料代码（国务院令第 663 号第九条）",
    ),
    ("answers of terminals", "终端应答"),
    ("documents of an agent", "代领人证件种类"),
    ("kinds of change", "变更种类"),
    ("reasons for destroying a card", "销毁原因"),
    ("reasons for the end of a permit", "居住证终止原因"),
    ("states of a card", "卡状态"),
    ("states of a chip", "芯片状态"),
    ("states of a denial", "停用状态"),
    ("tiers", "居住证类别"),
    ("titles and skill levels", "职称和技能等级"),
    ("ways of a change", "变更途径"),
];

/// What is wrong with a field of the applicant's file and what to do, in Chinese, by the code of [`crate::FieldError`].
#[must_use]
pub fn of_field(code: &str) -> (&'static str, &'static str) {
    match code {
        "MISSING" => ("未填写", "请填写。"),
        "UNKNOWN_KEY" => ("申请文件没有此键", "请删除，或改正键名。"),
        "SHAPE" => ("值的类型不对，或键重复", "请按 docs/applicant.schema.json 填写。"),
        "NOT_JSON" => ("文件不是 JSON", "请改正所指的行。"),
        "BYTE_ORDER_MARK" | "ENCODING" => ("文件不是 UTF-8 编码", "请另存为 UTF-8（不带 BOM）。"),
        "DISAGREES" => ("与另一字段矛盾", "请改正有误的一项。"),
        "IN_FUTURE" => ("日期在今天之后", "请改正日期，或校准本机时钟。"),
        "OUT_OF_RANGE" => ("超出范围", "请改正该数值。"),
        "MISSING_GLYPH" => (
            "含有卡面字体没有的字",
            "请安装收有生僻字的卡面字体，或更正文字后重新提交。",
        ),
        "TEXT_OVERFLOW" => ("卡面排不下", "请按规定缩写。"),
        "FACE_ITEM_MISSING" => ("卡面项目没有内容", "请补填该项。"),
        "HIDDEN_CHARACTER" => (
            "含有印在卡上无人看得见的字符",
            "请重新录入；需要空格处请用普通空格。",
        ),
        "PRIVATE_CHARACTER" => ("含有专用区字符，没有标准含义", "请用该字的正式编码录入。"),
        "CITIZEN_NUMBER_SHAPE" => ("公民身份号码应为 18 位", "请按居民身份证核对，重新录入号码。"),
        "CITIZEN_NUMBER_DIVISION" => (
            "公民身份号码前六位不是行政区划",
            "请按居民身份证核对，重新录入号码。",
        ),
        "CITIZEN_NUMBER_BIRTHDAY" => (
            "公民身份号码中的出生日期不存在",
            "请按居民身份证核对，重新录入号码。",
        ),
        "CITIZEN_NUMBER_CHECK" => ("公民身份号码的校验码不符", "请按居民身份证核对，重新录入号码。"),
        "UNKNOWN_CODE" => ("不在代码表中", "请从代码表中选取。"),
        "DIVISION" => ("行政区划应为六位数字", "请从列表中选择区县。"),
        "DATE" => ("日期应写作 YYYY-MM-DD", "请按 年-月-日 填写。"),
        "NAME" => ("姓名含有不可用的字符，或过长", "请按居民身份证填写姓名。"),
        "ADDRESS" => (
            "住址过短、过长，或含有不可用的字符",
            "请按证明材料填写住址，并缩写到卡面写得下。",
        ),
        "REVERSED" => ("截止日早于起始日", "请改正这两个日期。"),
        _ => ("有误", "请改正。"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_office_has_chinese_and_a_code_stays_what_it_is() {
        assert_eq!(chinese("production order"), "制证单");
        assert_eq!(chinese("HANDED_OVER"), "HANDED_OVER");
    }
}
