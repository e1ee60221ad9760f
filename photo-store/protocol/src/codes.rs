//! The closed lists of check codes and failure codes, each with its message and what to do, in Chinese and English.
//!
//! Texts stand beside the codes and not in a screen, so that a command line, a counter page and a log say the same.
//! Left out: measured values. They travel with a [`crate::Check`], because the text of a code is the same for everybody
//! and therefore never holds personal data.

/// What one code says to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts {
    /// What happened, simplified Chinese.
    pub message_zh: &'static str,
    /// What happened, English.
    pub message: &'static str,
    /// What to do, simplified Chinese.
    pub action_zh: &'static str,
    /// What to do, English.
    pub action: &'static str,
}

macro_rules! closed_list {
    (
        $(#[$outer:meta])*
        $name:ident {
            $( $index:literal $variant:ident $code:literal
               $message_zh:literal, $message:literal;
               $action_zh:literal, $action:literal; )+
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
        #[cbor(index_only)]
        #[non_exhaustive]
        pub enum $name {
            $( #[doc = $message] #[n($index)] $variant, )+
        }

        impl $name {
            /// Every code of the list, in its published order.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The code as scripts and JSON see it: upper case ASCII with underscores.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $code, )+ }
            }

            /// What the code says to a person.
            #[must_use]
            pub const fn texts(self) -> Texts {
                match self {
                    $( Self::$variant => Texts {
                        message_zh: $message_zh,
                        message: $message,
                        action_zh: $action_zh,
                        action: $action,
                    }, )+
                }
            }

            /// The code with this name, or `None` when the list has none of it.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == code)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

closed_list! {
    /// What a photo is checked for. The message says what is wrong when the check does not pass, the action what the
    /// person at the camera does about it.
    CheckCode {
        0 Format "FORMAT"
            "文件不是 JPEG 或 PNG 照片。", "The file is neither a JPEG nor a PNG picture.";
            "请另存为 JPEG 或 PNG 后重新提交。", "Save the photo as JPEG or PNG and submit it again.";
        1 FileSize "FILE_SIZE"
            "文件超过 10 MB。", "The file is larger than 10 MB.";
            "请以较低的分辨率或质量另存后重新提交。", "Save the photo with fewer pixels or a lower quality and submit it again.";
        2 Pixels "PIXELS"
            "照片声明的像素超过 2500 万。", "The picture claims more than 25 megapixels.";
            "请缩小照片后重新提交；若照片本来不大，文件已损坏，请重新拍摄。", "Make the picture smaller and submit it again; if it is small already, the file is damaged: take the photo again.";
        3 Damaged "DAMAGED"
            "照片无法解码。", "The picture cannot be decoded.";
            "请重新导出或重新拍摄。", "Export the photo again or take it again.";
        4 Truncated "TRUNCATED"
            "照片文件不完整，尾部缺失。", "The file is cut: its end is missing.";
            "请重新传输整个文件。", "Transfer the whole file again.";
        5 Animated "ANIMATED"
            "文件含有多幅画面（动画）。", "The file holds more than one picture (an animation).";
            "请提交一张静态照片。", "Submit one still photo.";
        6 NoFace "NO_FACE"
            "照片中没有找到人脸。", "No face was found in the picture.";
            "请正对镜头、光线均匀，重新拍摄。", "Face the camera in even light and take the photo again.";
        7 SecondFace "SECOND_FACE"
            "照片中有第二张人脸。", "A second face is in the picture.";
            "请让其他人离开画面，重新拍摄。", "Ask everybody else to leave the picture and take the photo again.";
        8 FaceNarrow "FACE_NARROW"
            "人脸宽度不足 90 像素。", "The face is narrower than 90 pixels.";
            "请靠近镜头或提高分辨率，重新拍摄。", "Move closer or use a higher resolution and take the photo again.";
        9 FaceEnlarged "FACE_ENLARGED"
            "人脸比标准窄，成品须放大。", "The face is narrower than the profile asks, so the picture is enlarged.";
            "最好靠近镜头重拍；否则请核对成品是否清楚并具名确认。", "Better take the photo again from closer by; else look at the result and confirm it by name.";
        10 Geometry "GEOMETRY"
            "头部位置未能自动量定，或不在标准范围内。", "The position of the head could not be measured, or lies outside the standard's limits.";
            "请按参考线核对：脸居中，头顶距上边 7 至 21 像素，双眼在下边以上至少 207 像素；符合则具名确认。", "Compare with the guide lines: face centred, hair 7 to 21 pixels below the upper edge, eyes at least 207 pixels above the lower edge; confirm by name if it fits.";
        11 HeadPose "HEAD_POSE"
            "头部倾斜，或未能量定姿态。", "The head is tilted, or its pose could not be measured.";
            "请正对镜头、头部端正，重拍；否则具名确认。", "Face the camera with the head straight and take the photo again; else confirm by name.";
        12 Sharpness "SHARPNESS"
            "人脸不够清晰。", "The face is not sharp.";
            "请对焦、持稳后重拍；否则具名确认。", "Focus, hold still and take the photo again; else confirm by name.";
        13 Exposure "EXPOSURE"
            "曝光可能过暗或过亮。", "The exposure may be too dark or too bright.";
            "请调整光线，不要依肤色判断；若面部细节清楚，具名确认即可。", "Adjust the light, never because of the skin's colour; if the face shows its details, confirm by name.";
        14 DynamicRange "DYNAMIC_RANGE"
            "人脸明暗层次不足。", "The face shows too few shades between dark and bright.";
            "请避免强光直射或逆光，重拍；否则具名确认。", "Avoid hard light and light from behind and take the photo again; else confirm by name.";
        15 Background "BACKGROUND"
            "背景不是白色。", "The background is not white.";
            "请使用白色背景重拍；否则具名确认。", "Use a white background and take the photo again; else confirm by name.";
        16 BackgroundEvenness "BACKGROUND_EVENNESS"
            "背景不均匀。", "The background is not even.";
            "请移开杂物、消除阴影后重拍；否则具名确认。", "Remove objects and shadows and take the photo again; else confirm by name.";
        17 RedEyes "RED_EYES"
            "可能有红眼。", "The eyes may be red from the flash.";
            "请关闭闪光灯重拍；否则具名确认。", "Take the photo again without flash; else confirm by name.";
        18 Turned "TURNED"
            "照片是横放或倒置的，已自动转正。", "The picture lay on its side or upside down and was turned.";
            "请核对方向是否正确并具名确认。", "See that it is upright now and confirm by name.";
        19 ExtraData "EXTRA_DATA"
            "文件在照片之后带有其他数据，已丢弃。", "The file carries other data behind the picture; it was dropped.";
            "请核对照片是否为本人提交的那一张并具名确认。", "See that it is the photo that was meant and confirm by name.";
        20 FrameTooTight "FRAME_TOO_TIGHT"
            "照片裁得太紧，成品边缘已用白色补足。", "The picture is cut too close to the head; the result was filled up with white.";
            "请在人脸四周多留空间重拍；否则具名确认。", "Leave more room around the head and take the photo again; else confirm by name.";
        21 Colourless "COLOURLESS"
            "照片没有颜色。", "The picture has no colour.";
            "请提交彩色照片；否则具名确认。", "Submit a colour photo; else confirm by name.";
        22 PageSmall "PAGE_SMALL"
            "材料图像太小，文字看不清。", "The page is too small to be read.";
            "请以 200 dpi 以上重新扫描，或靠近重拍。", "Scan it again at 200 dpi or more, or photograph it from closer by.";
        23 PageBlank "PAGE_BLANK"
            "材料图像是空白的，或太暗、太亮。", "The page is blank, or too dark or too bright.";
            "请翻面或调整光线，重新扫描或拍摄。", "Turn it over or change the light, and scan or photograph it again.";
    }
}

closed_list! {
    /// Why an operation was not done. Nothing was changed by an operation that failed.
    FailureCode {
        0 PhotoRefused "PHOTO_REFUSED"
            "照片未通过检查。", "The photo was refused by a check.";
            "见各项检查的说明，重新拍摄后提交。", "Read what the checks say, take the photo again and submit it.";
        2 FileUnreadable "FILE_UNREADABLE"
            "无法读取文件。", "The file cannot be read.";
            "请检查路径和权限。", "Check the path and its permissions.";
        3 OutputExists "OUTPUT_EXISTS"
            "输出文件已存在，未覆盖。", "The output file exists and was not overwritten.";
            "请换一个名称，或加 --force。", "Choose another name, or give --force.";
        4 OutputUnwritable "OUTPUT_UNWRITABLE"
            "无法写入输出文件。", "The output file cannot be written.";
            "请检查文件夹、权限和剩余空间。", "Check the folder, its permissions and the space left.";
        5 UnknownProfile "UNKNOWN_PROFILE"
            "没有这种照片规格。", "There is no such photo profile.";
            "规格为 ga461、print、chip、thumb。", "The profiles are ga461, print, chip and thumb.";
        6 DoesNotFit "DOES_NOT_FIT"
            "照片在规格的字节上限内无法保存。", "The photo does not fit the profile's byte limit at any allowed quality.";
            "请用简洁的背景重拍。", "Take the photo again in front of a plain background.";
        7 UnknownPhoto "UNKNOWN_PHOTO"
            "没有这张照片。", "There is no such photo.";
            "请用 `issuer photo show` 核对照片编号。", "Check the photo's id with `issuer photo show`.";
        8 NotConfirmed "NOT_CONFIRMED"
            "照片的提示尚未由具名人员确认。", "The photo's warnings were not yet confirmed by a named person.";
            "请先用 `issuer photo confirm` 确认。", "Confirm them with `issuer photo confirm`.";
        9 NothingToConfirm "NOTHING_TO_CONFIRM"
            "照片没有待确认的提示。", "The photo has no warning to be confirmed.";
            "无需操作。", "Nothing is to be done.";
        10 WrongWarnings "WRONG_WARNINGS"
            "确认的项目与照片的提示不一致。", "The confirmed warnings are not those of the photo.";
            "请用 `issuer photo show` 重新查看照片的提示，逐项确认。", "Read the photo's warnings again with `issuer photo show` and confirm each of them.";
        11 Shredded "SHREDDED"
            "照片已销毁。", "The photo was shredded.";
            "请重新拍摄。", "Take a new photo.";
        12 UnknownReceipt "UNKNOWN_RECEIPT"
            "没有这个回执号。", "There is no such photo receipt.";
            "请核对回执号。", "Check the receipt number.";
        13 ReceiptMistyped "RECEIPT_MISTYPED"
            "回执号的校验位不符。", "The receipt number's check character does not fit.";
            "请重新输入回执号。", "Type the receipt number again.";
        14 ReceiptExpired "RECEIPT_EXPIRED"
            "回执已过期。", "The photo receipt has expired.";
            "请重新拍照，用 `issuer photo submit` 取得新回执。", "Take a new photo and get a new receipt with `issuer photo submit`.";
        15 ReceiptUsed "RECEIPT_USED"
            "回执已被使用。", "The photo receipt was used already.";
            "请重新拍照，用 `issuer photo submit` 取得新回执。", "Take a new photo and get a new receipt with `issuer photo submit`.";
        16 WrongPerson "WRONG_PERSON"
            "照片属于另一个人。", "The photo belongs to another person.";
            "请核对申请人和回执号。", "Check the applicant and the receipt number.";
        17 CaseNotOpen "CASE_NOT_OPEN"
            "没有为照片所有人办理中的案件。", "No open case of this number exists for the photo's owner.";
            "请先用 `issuer photo open-case` 开案，再读取照片。", "Open the case with `issuer photo open-case`, then read the photo.";
        18 TokenInvalid "TOKEN_INVALID"
            "放行凭证无效。", "The release token is not valid.";
            "请重新申请放行。", "Ask for a new release.";
        19 TokenExpired "TOKEN_EXPIRED"
            "放行凭证已过期。", "The release token has expired.";
            "请重新申请放行。", "Ask for a new release.";
        20 BadField "BAD_FIELD"
            "请求中的一项缺失或格式不对。", "A field of the request is missing or malformed.";
            "请填写办理人姓名、案件号和期限。", "Give the actor's name, the case number and the period.";
        21 ObjectsReadOnly "OBJECTS_READ_ONLY"
            "照片文件夹不可写。", "The photo folder is not writable.";
            "请恢复为可写后重试；未保存任何内容。", "Make it writable and try again; nothing was saved.";
        22 StorageFull "STORAGE_FULL"
            "磁盘已满。", "The disk is full.";
            "请腾出空间后重试；未保存任何内容。", "Free some space and try again; nothing was saved.";
        23 ObjectsUnavailable "OBJECTS_UNAVAILABLE"
            "照片存储不可用。", "The photo objects cannot be reached.";
            "请检查存储后重试。", "Check the object store and try again.";
        24 ObjectMissing "OBJECT_MISSING"
            "照片文件缺失。", "The photo's sealed object is missing.";
            "请从备份恢复，或重新拍照。", "Restore it from the backup, or take a new photo.";
        25 ObjectDamaged "OBJECT_DAMAGED"
            "照片文件已损坏或被替换。", "The photo's sealed object is damaged or was exchanged.";
            "请从备份恢复，并通知安全员。", "Restore it from the backup and tell the security officer.";
        26 IndexUnavailable "INDEX_UNAVAILABLE"
            "照片索引不可用。", "The photo index cannot be reached.";
            "请检查数据库后重试。", "Check the database and try again.";
        27 IndexReadOnly "INDEX_READ_ONLY"
            "照片索引不可写。", "The photo index is not writable.";
            "请恢复为可写后重试；未记录即不读取。", "Make it writable and try again; what cannot be recorded is not read.";
        28 IndexDamaged "INDEX_DAMAGED"
            "照片索引已损坏，或不是照片索引。", "The photo index is damaged, or is not a photo index.";
            "请检查 --dir，或从备份恢复。", "Check --dir, or restore the index from the backup.";
        29 VaultSealed "VAULT_SEALED"
            "密钥库已封闭。", "The key vault is sealed.";
            "请由保管人开启密钥库后重试；未保存任何内容。", "Have the custodians open the vault and try again; nothing was saved.";
        30 VaultUnreachable "VAULT_UNREACHABLE"
            "无法连接密钥库。", "The key vault cannot be reached.";
            "请启动密钥库后重试；未保存任何内容。", "Start the vault and try again; nothing was saved.";
        31 VaultRefused "VAULT_REFUSED"
            "密钥库拒绝了请求，未保存任何内容。", "The key vault refused the request; nothing was saved.";
            "请在照片库的日志中查看密钥库给出的代码：照片库的密钥可能未登记或已停用，或当日限额已用完；否则请查看密钥库的日志。", "Look in the photo store's log for the vault's code: the store's key may not be enrolled or be suspended, or the day's ceiling be reached; else read the vault's log.";
        32 Protocol "PROTOCOL"
            "收到的报文不符合协议。", "A message did not follow the protocol.";
            "请检查双方程序的版本。", "Check the versions of both programs.";
        33 Version "VERSION"
            "双方协议版本不同。", "The two programs speak different protocol versions.";
            "请升级较旧的程序。", "Upgrade the older program.";
        34 TooLarge "TOO_LARGE"
            "报文过大。", "A message is too large.";
            "照片须不超过 10 MB。", "A photo may have at most 10 MB.";
        35 StoreUnreachable "STORE_UNREACHABLE"
            "无法连接照片库，或连接中断。", "The photo store cannot be reached, or the connection broke.";
            "请启动照片库后重试；同一照片重复提交不会产生第二份。", "Start the photo store and try again; submitting the same photo twice makes no second one.";
        36 DecoderFault "DECODER_FAULT"
            "处理照片时程序出错，照片未保存。", "The picture program failed on this photo; it was not saved.";
            "请换一种格式另存后重新提交，并把此情况告知管理员。", "Save the photo in another format and submit it again, and tell the operator.";
        37 NotAStore "NOT_A_STORE"
            "该文件夹属于其他用途。", "The folder belongs to something else.";
            "请换一个空文件夹。", "Choose an empty folder.";
        38 SocketInUse "SOCKET_IN_USE"
            "套接字已被占用。", "The socket is in use.";
            "另一个照片库正在运行；请先停止它或换一个路径。", "Another photo store is running; stop it or choose another path.";
        39 SocketUnusable "SOCKET_UNUSABLE"
            "无法建立套接字。", "The socket cannot be made.";
            "请检查文件夹和权限。", "Check the folder and its permissions.";
        40 PhotoInUse "PHOTO_IN_USE"
            "照片已用于案件，不能撤回。", "The photo was used for a case and cannot be taken back.";
            "如依命令须销毁，请审批人用 `issuer photo erase` 办理。", "If an order demands its end, have an approver erase it with `issuer photo erase`.";
        41 NoStore "NO_STORE"
            "该文件夹中没有照片库，未作任何更改。", "There is no photo store in this folder; nothing was made.";
            "请更正 --dir；只有新建照片库时才运行 `photo-store init`。", "Correct --dir; only for a new store run `photo-store init`.";
        42 StoreExists "STORE_EXISTS"
            "该处已有照片库，未作任何更改。", "There is a photo store already; nothing was changed.";
            "请用 `photo-store serve` 启动，或换一个空文件夹。", "Start it with `photo-store serve`, or name an empty folder.";
        43 StoreInUse "STORE_IN_USE"
            "另一个进程正在使用该照片库的文件夹。", "Another process has this store's folder.";
            "请先停止它，或更正 --dir。", "Stop it first, or correct --dir.";
        44 OtherVault "OTHER_VAULT"
            "不是建立照片库时所用的密钥库；没有向其发送任何内容。", "It is not the vault under which the store was founded; nothing was sent to it.";
            "请更正 --vault 或 --anchors，并查明谁在那里应答；照片的密钥只有原来的密钥库才能打开。", "Correct --vault or --anchors, and find out who answers there; only the vault of the founding opens the photos' keys.";
        45 StoreOtherUser "STORE_OTHER_USER"
            "照片库的套接字属于另一用户，未向其发送任何内容。", "The photo store's socket belongs to another user; nothing was said to it.";
            "请使用运行照片库的账户，并查明该套接字是谁建立的。", "Use the account that runs the photo store, and check who made that socket.";
        46 StoreDenied "STORE_DENIED"
            "此用户无权使用照片库的文件夹。", "This user may not use the photo store's folder.";
            "请以该文件夹所属的用户运行，或请人更正其权限。", "Run it as the user whose folder it is, or have its rights corrected.";
        47 VaultKeyUnusable "VAULT_KEY_UNUSABLE"
            "照片库文件夹中的密钥文件 vault.key 缺失、无法读取或已被改动。", "The key file vault.key in the store's folder is missing, cannot be read, or was changed.";
            "请从备份恢复；没有备份的，请移走该文件，再次运行 `photo-store init`，并请两名密钥官员以新密钥取代原密钥（`keyvault request new replace-key`）。", "Put it back from the backup; where there is none, take the file away, run `photo-store init` again, and have two officers put the new key in the place of the old one (`keyvault request new replace-key`).";
        48 AnchorsUnusable "ANCHORS_UNUSABLE"
            "密钥库的锚点文件缺失、无法读取，或没有写明密钥库及其公钥。", "The file of the vault's anchors is missing, cannot be read, or says nothing of a vault and its key.";
            "请再次运行 `photo-store init`，以 --anchors 给出 `keyvault init` 写下的文件，或 `keyvault anchors --json` 的输出。", "Run `photo-store init` again, with --anchors naming the file that `keyvault init` wrote, or what `keyvault anchors --json` prints.";
        49 IndexOtherVersion "INDEX_OTHER_VERSION"
            "照片索引是由本程序的另一版本写成的；未作任何更改。", "The photo index was written by another version of this program; nothing was changed.";
            "请运行与此索引相配的程序版本。", "Run the version of the program that belongs to this index.";
        50 UnknownPage "UNKNOWN_PAGE"
            "此案没有这一页材料，或已删除。", "The case has no such page, or it was removed.";
            "请在案件页面上重新查看材料。", "Look at the papers again on the page of the case.";
        51 TooManyPages "TOO_MANY_PAGES"
            "此案的材料已满 24 页。", "The case has 24 pages of papers already.";
            "请先删除不需要的页，再提交。", "Remove a page that is not needed, then submit it.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_speaks_both_languages() {
        let mut seen = std::collections::BTreeSet::new();
        let checks = CheckCode::ALL.iter().map(|c| (c.as_str(), c.texts()));
        let failures = FailureCode::ALL.iter().map(|c| (c.as_str(), c.texts()));
        for (code, texts) in checks.chain(failures) {
            assert!(seen.insert(code), "{code} stands twice");
            assert!(code.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
            assert!(
                texts.message.ends_with('.') && texts.action.ends_with('.'),
                "{code}"
            );
            assert!(
                texts.message_zh.ends_with('。') && texts.action_zh.ends_with('。'),
                "{code}"
            );
        }
    }

    #[test]
    fn a_code_is_found_by_its_name_and_nothing_else_is() {
        for code in CheckCode::ALL {
            assert_eq!(CheckCode::from_code(code.as_str()), Some(*code));
        }
        assert_eq!(FailureCode::from_code("no_face"), None);
    }
}
