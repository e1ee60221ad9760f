//! `issuer rehearsal-sign`: in a rehearsal, signs the mandate of a case with the key file of the sample person who is signed in, for a
//! program that reviews or signs off over the HTTP API. An office that is no rehearsal has no key files: its people sign on the signing page.

use issuer_mandate::SignerRole;
use issuer_office::random::Random;
use issuer_office::staff::StaffRole;
use issuer_store::signer_role;
use permit_domain::ApplicationId;
use program_contract::language::Words;
use program_contract::{Clock, Failure, Outcome, line};
use serde::Serialize;

use crate::command::failure;
use crate::command::place::{Context, Place};
use crate::command::session::Person;
use crate::rehearsal;

/// Arguments of `rehearsal-sign`.
#[derive(Debug, clap::Args)]
pub(super) struct RehearsalSign {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    person: Person,
    /// The application whose mandate is signed.
    #[arg(long, value_name = "ID")]
    application: ApplicationId,
}

#[derive(Serialize)]
struct Signed {
    application_id: String,
    account: String,
    role: &'static str,
    /// As the API takes it.
    signature: String,
}

impl RehearsalSign {
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        if !context.office.founded().is_rehearsal() {
            return Err(failure::signs_on_its_page());
        }
        let role = context.office.signs_next(self.application).await?;
        let acts = match role {
            SignerRole::Approver => StaffRole::Approver,
            _ => StaffRole::Reviewer,
        };
        let account = self.person.acting_as(&context, acts).await?;
        let key = rehearsal::key_of(&context.installation, &context.office, &account, role).await?;
        let to_sign = context.office.to_sign(self.application, &account, role).await?;
        let given = key.sign(&to_sign.mandate).and_then(|given| given.to_text());
        let signed = Signed {
            application_id: self.application.to_string(),
            account: account.to_string(),
            role: signer_role(role),
            signature: given.map_err(|_| Failure::internal(Words("授权书无法读取", "a mandate is none")))?,
        };
        let lines = vec![
            line!(Words(
                "演练：以样本人员的密钥文件签名",
                "rehearsal: signed with a key file of sample staff"
            )),
            line!(&signed.signature),
        ];
        Outcome::done("yzt.rehearsal_sign/1", &signed, lines)
    }
}
