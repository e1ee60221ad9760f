//! What a failure of the vault is about ([`crate::error::Error`]'s `what`), in Chinese: one line for each that the sources name. A test of
//! the house holds this table against them.

/// The Chinese of what a failure is about.
pub(crate) fn chinese(what: &'static str) -> &'static str {
    TABLE
        .iter()
        .find(|(english, _)| *english == what)
        .map_or(what, |(_, chinese)| *chinese)
}

/// English, then Chinese; by the alphabet.
const TABLE: &[(&str, &str)] = &[
    ("AES-CMAC", "AES-CMAC"),
    (
        "DG1 is not in the form of the card specification",
        "DG1 不符合卡规范的格式",
    ),
    (
        "DG2 is not in the form of the card specification",
        "DG2 不符合卡规范的格式",
    ),
    (
        "DG3 is not in the form of the card specification",
        "DG3 不符合卡规范的格式",
    ),
    ("HKDF", "HKDF"),
    ("HMAC takes a key of 32 bytes", "HMAC 要用 32 字节的密钥"),
    ("PR_SET_DUMPABLE", "PR_SET_DUMPABLE"),
    ("TAC master", "TAC 主密钥"),
    ("XAES-256-GCM", "XAES-256-GCM"),
    (
        "a DG3 of more than 157 bytes goes onto a card at the counter only",
        "超过 157 字节的 DG3 只能在柜台写卡",
    ),
    (
        "a batch is used until a day from today on, at most 31 days ahead",
        "更新批次的截止日须从今天起、最多 31 天以内",
    ),
    ("a box of its own length", "定长密封盒"),
    ("a bundle begins at most 7 days ahead", "凭证包最多提前 7 天生效"),
    (
        "a bundle ends after it begins, not before today, and within 7 days (366 without door S)",
        "凭证包的截止日须晚于起始日、不早于今天，且在 7 天以内（不含强通道的 366 天）",
    ),
    (
        "a card cannot be activated on a day that has not come",
        "不能以未来的日期激活卡",
    ),
    (
        "a card has a key version that the vault does not know",
        "卡上有密钥库不认得的密钥版本",
    ),
    (
        "a card is issued, and its certificates begin, at most 366 days ago and 31 days ahead",
        "签发日和证书起始日最早为 366 天前，最晚为 31 天后",
    ),
    (
        "a card maker's key is a point of P-256",
        "制卡商的公钥须为 P-256 上的点",
    ),
    (
        "a card maker's name has 1 to 64 bytes of text",
        "制卡商名称须为 1 至 64 字节的文本",
    ),
    (
        "a card number has 1 to 32 ASCII letters, digits and `-`",
        "证件卡号须为 1 至 32 个 ASCII 字母、数字和 `-`",
    ),
    (
        "a card's certificates live at most ten years and are not over yet",
        "卡证书有效期最长十年，且尚未到期",
    ),
    (
        "a card's date floor does not go beyond today: it would refuse today's terminals",
        "卡的日期下限不得晚于今天：否则卡会拒绝今天的终端",
    ),
    ("a card's row", "卡的记录行"),
    ("a change cannot be made durable", "改动不能落盘"),
    (
        "a change is not in the form of the card specification",
        "变更不符合卡规范的格式",
    ),
    ("a change that cannot be encoded", "无法编码的变更"),
    ("a change without its envelopes", "缺少分片信封的变更"),
    ("a change's row", "变更的记录行"),
    (
        "a computation on values of the vault's own making",
        "对密钥库自有数值的运算",
    ),
    (
        "a custodian's name is empty, too long, or has characters that names do not have",
        "保管人姓名为空、过长，或含有姓名不用的字符",
    ),
    (
        "a date is not in the years 2000 to 2099",
        "日期不在 2000 至 2099 年之间",
    ),
    ("a date is out of range", "日期超出范围"),
    ("a day in a row", "记录行中的日期"),
    (
        "a deny list is not issued on a day that has not come",
        "停用名单的签发日不能是未来日期",
    ),
    (
        "a deny list is used for 1 to 90 days, and its grace has at most 30",
        "停用名单的使用期为 1 至 90 天，宽限期最多 30 天",
    ),
    ("a folder", "目录"),
    ("a job without its rewrite", "缺少重写内容的任务"),
    ("a job without its second part", "缺少后半部分的任务"),
    (
        "a key of a kind that this program does not know",
        "本程序不认得的密钥种类",
    ),
    (
        "a key of a suite that this program does not know",
        "本程序不认得的算法套件的密钥",
    ),
    ("a key of wrong length", "长度不对的密钥"),
    ("a key row", "密钥记录行"),
    ("a key version's row", "密钥版本的记录行"),
    (
        "a load comes with the SMALL_PAYMENT entitlement, in whose slot it travels",
        "充值须随小额消费（SMALL_PAYMENT）权益一同下发，借用其槽位",
    ),
    (
        "a load names all money ever loaded, above every value given before",
        "充值填累计充值总额，须大于以往各次",
    ),
    (
        "a load names all money ever loaded, not below a value given before",
        "充值填累计充值总额，不得小于以往各次",
    ),
    (
        "a profile is named by 1 to 32 lower-case letters, digits and `-`",
        "规格名须为 1 至 32 个小写字母、数字和 `-`",
    ),
    (
        "a purse has a largest amount above zero, and no other role has one",
        "钱包的最高余额须大于零，其他用途不设此项",
    ),
    (
        "a rewrite of this card was begun and is not finished: finish it at the counter first",
        "该卡有一次重写尚未完成：请先在柜台办完",
    ),
    ("a rewrite changes something", "重写须有改动"),
    (
        "a region is a division of GB/T 2260: its first two digits are a province",
        "地区须为 GB/T 2260 的行政区划，前两位为省份代码",
    ),
    ("a row", "记录行"),
    ("a row cannot be read", "记录行不能读取"),
    ("a row cannot be taken away", "记录行不能删除"),
    ("a row cannot be written", "记录行不能写入"),
    (
        "a row is not the one that was written last",
        "记录行不是最后写入的那一行",
    ),
    ("a row of an unknown term", "任期不明的记录行"),
    ("a row that cannot be encoded", "无法编码的记录行"),
    (
        "a rule set's id has 1 to 48 ASCII characters",
        "规则集编号须为 1 至 48 个 ASCII 字符",
    ),
    ("a sealed value does not open", "密封值打不开"),
    ("a share cannot be written", "密钥分片不能写入"),
    ("a share envelope", "分片信封"),
    ("a share envelope just written", "刚写出的分片信封"),
    ("a signature does not verify", "签名验证不通过"),
    ("a signer does not sign", "签名密钥不能签名"),
    ("a signer's key", "签名密钥"),
    (
        "a terminal's keys are points of P-256",
        "终端公钥须为 P-256 上的点",
    ),
    (
        "a terminal's name has 1 to 64 bytes of text",
        "终端名称须为 1 至 64 字节的文本",
    ),
    ("a terminal's row", "终端的记录行"),
    (
        "a version drains until a day from today on, at most three years ahead",
        "密钥版本的退役期须从今天起、最多三年",
    ),
    (
        "an entitlement begins at most 31 days ahead, and is not over yet",
        "权益最多提前 31 天生效，且尚未到期",
    ),
    ("an entitlement ends before it begins", "权益的截止日早于起始日"),
    (
        "an entitlement outlives the permit in DG3",
        "权益的截止日晚于 DG3 中的居住证期限",
    ),
    (
        "an entitlement's rule set is not the rule set in DG3",
        "权益的规则集与 DG3 中的不一致",
    ),
    (
        "an entitlement's tier is not the tier in DG3",
        "权益的类别与 DG3 中的不一致",
    ),
    (
        "an envelope or the shares do not open the new vault",
        "信封或分片打不开新建的密钥库",
    ),
    ("an event that cannot be written down", "无法记入日志的事件"),
    (
        "an issuer's key is a point of P-256, uncompressed",
        "发证系统的公钥须为 P-256 上的点（未压缩）",
    ),
    (
        "an issuer's name has 1 to 64 bytes of text",
        "发证系统名称须为 1 至 64 字节的文本",
    ),
    ("an order", "制证指令"),
    (
        "an order ends after it begins and lives at most 30 days",
        "制证指令的截止须晚于起始，有效期最长 30 天",
    ),
    (
        "an order names a profile, a station and at least one task",
        "制证指令须写明规格、工位和至少一项任务",
    ),
    ("card behind this chain", "此更新链对应的卡"),
    ("content that cannot be encoded", "无法编码的内容"),
    ("core dumps", "核心转储"),
    (
        "digests of this card's data groups; write all three at the counter once",
        "此卡各数据组的摘要；请在柜台一次写全三组",
    ),
    ("finished card of this number", "此卡号的成品卡"),
    ("finished card of this serial", "此序列号的成品卡"),
    (
        "grace is for TRANSIT and CLINIC: a door and a payment never accept with an old list",
        "宽限期只用于公交（TRANSIT）和诊所（CLINIC）：门禁和付款不得凭旧名单受理",
    ),
    ("group master for this role and region", "此用途和地区的组主密钥"),
    ("header and state do not agree", "文件头与状态不一致"),
    ("issuance master", "发卡主密钥"),
    ("it cannot be closed", "不能关闭"),
    ("it cannot be opened", "不能打开"),
    ("it cannot be written", "不能写入"),
    ("it cannot be written (read-only)", "不能写入（只读）"),
    ("its file cannot be made", "不能建立其文件"),
    ("its folder cannot be locked", "不能锁定其目录"),
    ("its folder cannot be written", "其目录不能写入"),
    ("its log cannot be folded in", "其日志不能并入"),
    ("its structure cannot be read", "其结构不能读取"),
    ("its tables cannot be made", "不能建立其数据表"),
    ("key of the index", "索引密钥"),
    (
        "key version of this role, region and number",
        "此用途、地区和版本号的密钥版本",
    ),
    ("key versions and keys do not agree", "密钥版本与密钥不一致"),
    ("keys for the lot of this card", "此卡所属批次的传输密钥"),
    ("landlock", "landlock"),
    ("no_new_privs", "no_new_privs"),
    ("order of this number", "此编号的制证指令"),
    ("photo key-encryption key", "照片密钥加密密钥"),
    (
        "present bundle of this terminal; export one first",
        "此终端现行的凭证包；请先导出一个",
    ),
    ("public keys of this card", "此卡的公钥"),
    ("purse on this card", "此卡上的钱包"),
    (
        "record master for this role and region",
        "此用途和地区的记录主密钥",
    ),
    ("rows are missing, or there are too many", "记录行缺失或多余"),
    (
        "rows are not those that were written last",
        "记录行不是最后写入的那些",
    ),
    ("rows cannot be read", "记录行不能读取"),
    ("seccomp", "seccomp"),
    ("seccomp on this machine", "本机的 seccomp"),
    ("settlement key", "结算密钥"),
    ("share of this number", "此编号的密钥分片"),
    ("signer", "签名密钥"),
    (
        "slot of this role and version on the card",
        "卡上此用途和版本的槽位",
    ),
    ("tap master for this role and region", "此用途和地区的刷卡主密钥"),
    ("terminal of this name", "此名称的终端"),
    ("the bundle with its deny lists", "凭证包连同其停用名单"),
    (
        "the card's certificates end before they begin",
        "卡证书的截止日早于起始日",
    ),
    ("the commitment of the key-encryption key", "密钥加密密钥的承诺值"),
    ("the commitments to the shares", "各密钥分片的承诺值"),
    ("the content needs too many steps", "内容需要的写卡步骤过多"),
    ("the count of blanks (at least 1)", "空白卡数量（至少 1 张）"),
    ("the count of cards in an order", "一份制证指令的卡数"),
    ("the deny list", "停用名单"),
    ("the disk is full", "磁盘已满"),
    ("the end of the journal", "审计日志的末尾"),
    (
        "the entitlements of a rewrite are of one tier and one rule set",
        "一次重写的各项权益须同属一个类别和一个规则集",
    ),
    ("the file", "文件"),
    ("the folder", "目录"),
    ("the header", "文件头"),
    ("the header cannot be read", "文件头不能读取"),
    ("the header cannot be written", "文件头不能写入"),
    ("the index of pseudonyms", "假名索引"),
    ("the journal", "审计日志"),
    ("the journal cannot be read", "审计日志不能读取"),
    ("the journal cannot be written", "审计日志不能写入"),
    ("the journal's chain", "审计日志的哈希链"),
    ("the key ring", "密钥环"),
    ("the lock of the founding", "创建仪式的锁文件"),
    ("the name of a key", "密钥名称"),
    ("the note of the founding", "创建仪式的记录"),
    ("the number of answers", "应答条数"),
    ("the number of batches", "批次数"),
    ("the number of bundles", "凭证包数"),
    ("the number of cards in work", "在制卡数"),
    ("the number of deny lists", "停用名单数"),
    ("the number of lines", "行数"),
    ("the number of receipts", "回执数"),
    ("the number of regions (at least 1)", "地区数（至少 1 个）"),
    ("the number of rewrites of a card", "一张卡的重写次数"),
    ("the number of terminals", "终端数"),
    ("the number of updates of a card", "一张卡的更新次数"),
    ("the number of versions of a role key", "一个用途密钥的版本数"),
    (
        "the numbers of a lot end at 4294967295",
        "批次内编号最大为 4294967295",
    ),
    ("the output folder", "输出目录"),
    (
        "the permit in DG3 ends before it was issued",
        "DG3 中居住证的截止日早于签发日",
    ),
    ("the queue of updates", "更新队列"),
    ("the shares cannot be read", "密钥分片不能读取"),
    ("the state row", "状态行"),
    (
        "the store has a format that this program does not know",
        "存储格式为本程序所不认得",
    ),
    ("the store was changed by somebody else", "存储被他人改动"),
    ("the structure of the file", "文件结构"),
    (
        "the threshold is below 2, so one person could open the vault alone",
        "门限小于 2，一个人就能打开密钥库",
    ),
    (
        "there are fewer custodians than the threshold",
        "保管人数少于门限",
    ),
    ("there are more than 255 custodians", "保管人超过 255 人"),
    ("these numbers of shares are impossible", "分片数与门限不成立"),
    (
        "this card was written before the vault kept digests: give DG1, DG2 and DG3 together once",
        "此卡写于密钥库留存摘要之前：请一次同时给出 DG1、DG2 和 DG3",
    ),
    (
        "this card was begun with other content",
        "此卡已以另一份内容开始写卡",
    ),
    (
        "this card was personalised under another order",
        "此卡已按另一份制证指令完成个人化",
    ),
    (
        "this card was taken over by another order",
        "此卡已由另一份制证指令接管",
    ),
    (
        "this index of the order belongs to another card",
        "制证指令的此序号属于另一张卡",
    ),
    (
        "this index of the order belongs to something else",
        "制证指令的此序号另有所属",
    ),
    (
        "this index of the order was begun with other content",
        "制证指令的此序号已以另一份内容开始写卡",
    ),
    (
        "this kind of terminal taps no cards over door F, and delivers no updates",
        "此类终端不经快速通道刷卡，也不投递更新",
    ),
    ("the transport key", "传输密钥"),
    ("the transport key cannot be written", "传输密钥不能写入"),
    ("the vault's folder", "密钥库目录"),
    ("too many custodians", "保管人过多"),
    ("two custodians have the same name", "两名保管人同名"),
    ("two entitlements are for the same role", "两项权益用途相同"),
    ("what a founding that was cut left", "中断的创建仪式留下的内容"),
];
