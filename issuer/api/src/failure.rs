//! What the API itself refuses, each with its code and its texts in Chinese and English. What the office refuses stands beside
//! its errors. HTTP has no exit codes: a row's own is the one of a program that would refuse it, and the status is said with it.

program_contract::failures! {
    pub(crate) fn no_such_route() = Usage "NO_SUCH_ROUTE" {
        "接口没有此路径", "the API has no such path";
        "请查看接口说明：`issuer openapi`。", "See the OpenAPI document: `issuer openapi`.";
    }
    pub(crate) fn no_such_method() = Usage "NO_SUCH_METHOD" {
        "此路径不接受该方法", "the path does not take this method";
        "请查看接口说明：`issuer openapi`。", "See the OpenAPI document: `issuer openapi`.";
    }
    pub(crate) fn timeout() = Unknown "TIMEOUT" {
        "请求用时过长；是否已办不得而知", "the request took too long; whether it was done is not known";
        "请以同一 Idempotency-Key 重发。", "Repeat it with the same Idempotency-Key.";
    }
    pub(crate) fn answer_late() = Absent "TIMEOUT" {
        "应答用时过长", "the answer took too long";
        "请稍后再问；`/readyz` 说明缺了什么。", "Ask again a little later; `/readyz` says what is missing.";
    }
    pub(crate) fn internal() = Damaged "INTERNAL" {
        "程序故障；请求是否已办不得而知", "the program failed; whether the request was done is not known";
        "请以同一 Idempotency-Key 重发，并上报。", "Repeat it with the same Idempotency-Key, and report this.";
    }
    pub(crate) fn query() = Usage "QUERY" {
        "查询参数没有写明用途，或所要的规格不是 print 而未写明",
        "the query does not name a purpose and, if another than print is wanted, a profile";
        "请给出 purpose：REVIEW、HAND_OVER、ENDORSEMENT、HOLDER_ACCESS 或 INSPECTION，以及 profile：ga461、print、chip 或 thumb。",
        "Send purpose REVIEW, HAND_OVER, ENDORSEMENT, HOLDER_ACCESS or INSPECTION and profile ga461, print, chip or thumb.";
    }
    pub(crate) fn no_picture() = Usage "MEDIA_TYPE" {
        "请求体既不是 image/jpeg 也不是 image/png", "the body is neither image/jpeg nor image/png";
        "请直接发送图片，类型为 image/jpeg 或 image/png。", "Send the picture itself as image/jpeg or image/png.";
    }
    pub(crate) fn picture_too_large() = Usage "BODY_TOO_LARGE" {
        "图片超过 10 MB", "the picture is larger than 10 MB";
        "请减小像素或降低质量后重新发送照片。",
        "Save the photo with fewer pixels or a lower quality and send it again.";
    }
    pub(crate) fn body_cut() = Usage "BODY" {
        "请求体没有收全", "the body ended before all of it came";
        "请重新发送。", "Send it again.";
    }
    pub(crate) fn no_json() = Usage "MEDIA_TYPE" {
        "请求体不是 application/json", "the body is not application/json";
        "请以 application/json 发送请求体。", "Send the body as application/json.";
    }
    pub(crate) fn body_too_large() = Usage "BODY_TOO_LARGE" {
        "请求体超过 64 kB", "the body is larger than 64 kB";
        "请只发送所要求的内容；扫描件和照片另行提交。",
        "Send what is asked for alone; scans and the photo go elsewhere.";
    }
    pub(crate) fn no_content() = Usage "BODY" {
        "请求体须有 content，且仅有此项", "the body does not have content, and nothing else";
        "请查阅变更提议，发送其中显示的 content。", "Read the proposal, and send the content that it shows.";
    }
    pub(crate) fn no_decision_step() = Usage "BODY" {
        "请求体须有 step（REVIEW 或 APPROVE）和 content（64 位小写十六进制），且仅有这两项",
        "the body does not have step, REVIEW or APPROVE, and content, 64 lower-case hex digits, and nothing else";
        "请查阅申请，发送其中显示的 content。", "Read the application, and send the content that it shows.";
    }
    pub(crate) fn no_warnings() = Usage "BODY" {
        "请求体须有 warnings，且仅有此项", "the body does not have warnings, and nothing else";
        "请发送照片全部警告的代码。", "Send the codes of all the photo's warnings.";
    }
    pub(crate) fn unknown_warning() = Refused "WRONG_WARNINGS" {
        "有一项警告不是已知代码", "a warning has none of the codes";
        "请重新查看照片的警告，逐项确认。", "Read the photo's warnings again and confirm each of them.";
    }
    pub(crate) fn no_erasure_order() = Usage "BODY" {
        "请求体须有 order，且仅有此项", "the body does not have order, and nothing else";
        "请发送销毁令的编号。", "Send the number of the order.";
    }
    pub(crate) fn no_completion() = Usage "BODY" {
        "请求体只可有 photo_receipt", "the body has something else than photo_receipt";
        "核定发卡的，请发送照片回执号；否则发送空对象。", "Send the photo's receipt where a card is granted, else an empty object.";
    }
    pub(crate) fn no_order_content() = Usage "BODY" {
        "请求体须有 permit_id，可附 photo_receipt，此外不得有其他项",
        "the body does not have permit_id, with photo_receipt or without, and nothing else";
        "请发送居住证编号。", "Send the permit's id.";
    }
    pub(crate) fn no_proposal() = Usage "BODY" {
        "请求体须有 permit_id 和 kind，并按种类附 applicant、tier 或 photo_receipt",
        "the body does not have permit_id and kind, with applicant, tier or photo_receipt where the kind takes them";
        "请发送 permit_id 和 kind：ENDORSE、TIER（附 tier）、ENTITLEMENT、ADDRESS（附 applicant 和 photo_receipt）、ROTATE、BLOCK、UNBLOCK 或 END。",
        "Send permit_id and kind: ENDORSE, TIER (with tier), ENTITLEMENT, ADDRESS (with applicant and photo_receipt), ROTATE, BLOCK, UNBLOCK or END.";
    }
    pub(crate) fn key_missing() = Usage "IDEMPOTENCY_KEY_MISSING" {
        "请求没有 Idempotency-Key：8 至 64 个可见 ASCII 字符",
        "the request has no Idempotency-Key of 8 to 64 visible ASCII characters";
        "每项新工作请用新的随机键，重发时用同一个键。",
        "Send a fresh random key with every new piece of work, and the same key when you repeat it.";
    }
    pub(crate) fn key_reused() = Refused "IDEMPOTENCY_KEY_REUSED" {
        "此 Idempotency-Key 已用于另一请求", "this Idempotency-Key was used for another request";
        "请换用新的键。", "Send a fresh key.";
    }
    pub(crate) fn role_missing() = Refused "ROLE_MISSING" {
        "您的账号没有可办此事的岗位", "your account has none of the roles that do this";
        "请由有此岗位的人办理。", "Ask somebody who has one of them.";
    }
    pub(crate) fn not_signed_in() = Refused "NOT_SIGNED_IN" {
        "请求未带工作人员的令牌", "the request carries no token of a member of staff";
        "请以 `Authorization: Bearer` 发送您的令牌。", "Send `Authorization: Bearer` with your token.";
    }
    pub(crate) fn not_found(what) = Refused "NOT_FOUND" {
        "没有此编号的{what}", "there is no {what} with this id";
        "请核对编号。", "Check the id.";
    }
    pub(crate) fn applicant_form() = Refused "APPLICANT_FORM" {
        "申请文件有误；`errors` 列出每一处", "the applicant file has faults; `errors` lists every one";
        "请全部改正后重新发送。", "Correct them all and send the file again.";
    }
}
