//! No product gets another's repair, in whatever context: what belongs to Windows Update is not done
//! for a restore point, and what makes snapshots is not restarted for an update.

use fleetmend_catalog::builtin;
use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::Risk;
use fleetmend_core::plan::plan;
use fleetmend_core::report::Product::{
    self, Bits, Other, Servicing, StoreApps, SystemImage, SystemRestore, Upgrade, Vss,
    WindowsBackup, WindowsUpdate,
};
use fleetmend_core::report::{IncidentKey, Operation};
use fleetmend_core::triage::triage;

const UPDATES: &[Product] = &[WindowsUpdate, Servicing, Upgrade];
const PACKAGES: &[Product] = &[WindowsUpdate, Servicing, Upgrade, StoreApps];
const SNAPSHOTS: &[Product] = &[Vss, WindowsBackup, SystemImage, SystemRestore, Other];

/// What acts on one product's own machinery, and the products that it is for.
const REPAIRS: &[(&str, &[Product])] = &[
    ("clear_update_cache", UPDATES),
    ("reset_wu_components", PACKAGES),
    ("reset_wu_identity", UPDATES),
    ("rescan_updates", PACKAGES),
    ("restart_wu_service", UPDATES),
    ("restore_service_start_types.wuauserv", PACKAGES),
    ("restore_service_start_types.cryptsvc", PACKAGES),
    ("restore_service_start_types.bits", &[WindowsUpdate, Upgrade, Servicing, StoreApps, Bits]),
    ("dism_restorehealth", PACKAGES),
    ("fix_wimmount_imagepath", UPDATES),
    ("ensure_firewall_service_running", PACKAGES),
    ("restart_vss_services", SNAPSHOTS),
    ("restart_writer_service", SNAPSHOTS),
    ("restore_service_start_types.swprv", SNAPSHOTS),
    (
        "restore_service_start_types.vss",
        &[
            Vss,
            WindowsBackup,
            SystemImage,
            SystemRestore,
            Other,
            WindowsUpdate,
            Servicing,
            Upgrade,
            StoreApps,
        ],
    ),
    ("restore_service_start_types.eventsystem", SNAPSHOTS),
    ("recreate_missing_directory", &[WindowsBackup]),
    ("detach_mounted_volume", &[WindowsBackup]),
    ("retry_backup.windows_backup", &[WindowsBackup, SystemImage]),
];

#[test]
fn no_product_gets_the_repair_of_another() {
    let cat = builtin();
    for (id, _) in REPAIRS {
        assert!(cat.remediations.keys().any(|known| known.as_str() == *id), "{id} is not there");
    }
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let windows = Product::ALL.iter().filter(|p| p.system() != Some(OsFamily::Linux));
    for product in windows {
        for (code, operation) in
            cat.codes.keys().flat_map(|code| Operation::ALL.iter().map(move |o| (code, o)))
        {
            let (product, operation) = (*product, *operation);
            let key = IncidentKey { product, operation, code: Some(code.clone()), subject: None };
            let verdict = triage(cat, &key, None, &[]);
            for step in plan(cat, &verdict, OsFamily::Windows, Risk::Dangerous, &[]).steps {
                let Some((_, of)) = REPAIRS.iter().find(|(id, _)| step.remediation.as_str() == *id)
                else {
                    continue;
                };
                seen += 1;
                if !of.contains(&product) {
                    wrong.push(format!("{product} {operation} {code}: {}", step.remediation));
                }
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{} contexts, {:#?}", wrong.len(), &wrong[..wrong.len().min(30)]);
    assert!(seen > 1_000, "only {seen} looked at");
}
