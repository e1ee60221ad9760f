//! `identity`: the face items and the portrait, for a terminal whose certificate has these rights (chapter 07). This is the
//! one command that shows who somebody is; nothing of it is kept, logged or taped.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use card_applet_spec::codes::Rights;
use card_applet_spec::data_group::PortraitFormat;
use card_reader::transport::Transport;
use card_reader::{Card, Check, DataGroups, Error, Genuine, Moment};
use program_contract::language::{Line, Said as _, Words};
use program_contract::{Failure, file, line};
use rand_core::CryptoRng;
use serde_json::json;

use crate::program::args::Picture;
use crate::program::failure;
use crate::program::portrait;
use crate::program::report::Saw;
use crate::program::terminal::Loaded;

/// Reads what the certificate allows.
pub(crate) fn read(
    wire: &mut dyn Transport,
    loaded: &Loaded,
    moment: Moment,
    rng: &mut impl CryptoRng,
) -> Result<Genuine<DataGroups>, Error> {
    let bundle = &loaded.bundle;
    let mine = bundle
        .chain()
        .map_or(Rights::NONE, card_reader::bundle::Chain::rights);
    // Without IDENTITY no card is asked at all.
    if !mine.contains(Rights::IDENTITY) {
        return Err(Check::TerminalRights.into());
    }
    let wanted = mine.intersection(Rights::IDENTITY.union(Rights::PORTRAIT));
    let card = Card::new(wire).select()?;
    let card = card
        .present(bundle, moment.today)?
        .agree(wanted, &loaded.key, moment.today, rng)?;
    let (_, groups) = card.read_groups(wanted)?;
    Ok(groups)
}

/// The ten face items, explicit, each under its name.
pub(crate) fn saw(groups: &DataGroups) -> Saw {
    let mut saw = Saw {
        title: Some(Words("证件真实", "genuine")),
        ..Saw::default()
    };
    let Some(dg1) = groups.dg1() else { return saw };
    let sex = match dg1.sex {
        1 => Words("男", "male"),
        2 => Words("女", "female"),
        9 => Words("未说明", "not stated"),
        _ => Words("未知", "unknown"),
    };
    saw.put("name", Words("姓名", "name"), json!(dg1.name));
    saw.put_as("sex", Words("性别", "sex"), &sex, json!(sex.both()));
    for (key, zh, en, value) in [
        (
            "nation",
            "民族",
            "nation (GB/T 3304)",
            format!("{:02}", dg1.nation),
        ),
        ("birth_date", "出生", "birth date", dg1.birth_date.to_string()),
        (
            "citizen_number",
            "公民身份号码",
            "citizen number",
            dg1.citizen_number.to_owned(),
        ),
        (
            "hukou_address",
            "户籍地址",
            "hukou address",
            dg1.hukou_address.to_owned(),
        ),
        (
            "residence_address",
            "居住地址",
            "residence address",
            dg1.residence_address.to_owned(),
        ),
        (
            "issuing_organ",
            "签发机关",
            "issuing organ",
            dg1.issuing_organ.to_owned(),
        ),
        ("issue_date", "签发日期", "issue date", dg1.issue_date.to_string()),
    ] {
        saw.put(key, Words(zh, en), json!(value));
    }
    saw
}

/// Writes and shows the portrait, where there is one. Gives a line that says where it is.
pub(crate) fn portrait(groups: &DataGroups, out: Option<&Path>, show: Picture) -> Result<Line, Failure> {
    let label = Words("照片", "portrait");
    let Some(dg2) = groups.dg2() else {
        let unread = Words("终端无权读取", "this terminal may not read it");
        return Ok(line!("  ", label, ": ", unread));
    };
    if let Some(path) = out {
        file::create(path, dg2.image, file::PRIVATE)
            .map_err(|error| failure::portrait_unwritable(path.display(), error.kind()))?;
    }
    // Drawn on standard error: standard output is the result.
    let mut window = std::io::stderr();
    let how = portrait::choose(show, |name| std::env::var(name).ok());
    let is_shown = (window.is_terminal() || show != Picture::Auto)
        && dg2.format == PortraitFormat::Jpeg
        && portrait::draw(dg2.image, how).is_some_and(|drawn| window.write_all(drawn.as_bytes()).is_ok());
    let shown = Words("已显示", "shown");
    Ok(match (out.map(Path::display), is_shown) {
        (Some(path), true) => line!("  ", label, ": ", path, ", ", shown),
        (Some(path), false) => line!("  ", label, ": ", path),
        (None, true) => line!("  ", label, ": ", shown),
        (None, false) => line!(
            "  ",
            label,
            ": ",
            Words(
                "此窗口不能显示，请用 --portrait",
                "this window cannot show it: use --portrait FILE"
            )
        ),
    })
}
