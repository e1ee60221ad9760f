//! Which roles see the pages that are no part of a case.

use issuer_office::staff::StaffRole;

/// Who sees how the office stands.
pub(crate) const SEES: [StaffRole; 2] = [StaffRole::Chief, StaffRole::Approver];
/// Who looks whether everything can be reached.
pub(crate) const LOOKS: [StaffRole; 3] = [StaffRole::Chief, StaffRole::Approver, StaffRole::Auditor];
/// Who administers terminals: as `issuer counters report`, and who answers for the office.
pub(crate) const ADMINISTERS: [StaffRole; 3] =
    [StaffRole::SettlementOfficer, StaffRole::Auditor, StaffRole::Chief];
