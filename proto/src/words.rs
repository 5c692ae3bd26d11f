//! The closed sets of words as numbers. A variant that is missing here does not compile.

use fleetmend_core as core;

use crate::ConvertError;
use crate::v1 as pb;

/// Both directions of one closed set; both enums use the same variant names.
macro_rules! word {
    ($wire:ident, $core:path, $to_core:ident { $($variant:ident),+ $(,)? }) => {
        impl From<$core> for pb::$wire {
            fn from(word: $core) -> Self {
                use $core as W;
                match word { $(W::$variant => Self::$variant),+ }
            }
        }
        pub(crate) fn $to_core(field: &'static str, number: i32) -> Result<$core, ConvertError> {
            use $core as W;
            match pb::$wire::try_from(number) {
                $(Ok(pb::$wire::$variant) => Ok(W::$variant),)+
                Ok(pb::$wire::Unspecified) => Err(ConvertError::new(field, "is missing")),
                Err(_) => Err(ConvertError::new(
                    field,
                    format!("{number} is no {} that this version knows", stringify!($wire)),
                )),
            }
        }
        #[cfg(test)]
        mod $to_core {
            use super::*;
            #[test]
            fn every_word_returns_as_itself() {
                for word in <$core>::ALL {
                    let number = i32::from(pb::$wire::from(*word));
                    assert_eq!(super::$to_core("field", number).as_ref(), Ok(word));
                }
                for number in [0, -1, 9_999] {
                    let err = super::$to_core("the_field", number).expect_err("not a word");
                    assert_eq!(err.field, "the_field");
                }
            }
        }
    };
}

word!(RebootPolicy, core::campaign::RebootPolicy, reboot_policy { Never, InWindow, Anytime });
word!(OsFamily, core::host::OsFamily, os_family { Windows, Linux });
word!(
    Product,
    core::report::Product,
    product {
        WindowsUpdate,
        Servicing,
        WindowsBackup,
        SystemImage,
        Vss,
        SystemRestore,
        Upgrade,
        StoreApps,
        Bits,
        Apt,
        Dnf,
        Zypper,
        Systemd,
        Restic,
        Borg,
        Rsync,
        Agent,
        Other,
    }
);
word!(
    UpdateClass,
    core::update_class::UpdateClass,
    update_class { Cumulative, Dotnet, Winre, Driver, Definition, ServicingStack, Feature }
);
word!(
    Operation,
    core::report::Operation,
    operation {
        Scan,
        Download,
        Install,
        Uninstall,
        Backup,
        Restore,
        Snapshot,
        Upgrade,
        Repair,
        Verify,
        Check,
        Other,
    }
);
word!(Kind, core::report::Kind, kind { Failure, Pending, Benign, Cancelled, Success });
word!(
    Source,
    core::report::Source,
    source {
        Evtx,
        Cbs,
        WindowsUpdate,
        ReportingEvents,
        Dism,
        Setup,
        Apt,
        Dpkg,
        Dnf,
        Zypper,
        Systemd,
        Probe,
        Job,
    }
);
word!(Answer, core::evidence::Answer, answer { Yes, No, Unknown });
word!(
    JobState,
    core::job::JobState,
    job_state {
        Queued,
        WaitingWindow,
        Blocked,
        Offered,
        Running,
        RebootPending,
        Rebooting,
        Verifying,
        Fixed,
        Unverified,
        Failed,
        RolledBack,
        TimedOut,
        NotReached,
        Unknown,
        NotApplicable,
        Skipped,
        Cancelled,
    }
);
word!(ProofLevel, core::job::ProofLevel, proof_level { Repeated, Observed, ProbeOnly });
word!(
    StepState,
    core::job::StepState,
    step_state { Running, AlreadyDone, Done, Failed, Undone, UndoFailed, Unknown }
);
word!(
    UpdateAuthority,
    core::host::UpdateAuthority,
    update_authority {
        Wsus,
        ConfigMgr,
        Wufb,
        WindowsUpdate,
        AptTimer,
        DnfAutomatic,
        None,
        Unknown
    }
);
