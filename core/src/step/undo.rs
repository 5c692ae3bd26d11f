//! How far a step can be taken back, and why some cannot.

use super::{Action, Tool};
use crate::knowledge::Lang;
use crate::words;

words! {
    /// How far a step can be taken back.
    pub enum Undo ("undo") {
        /// To the state before.
        Exact = "exact",
        /// To a state as good as before.
        Compensating = "compensating",
        /// Not at all: said before it is done.
        None = "none",
    }
}

impl Action {
    /// Why it cannot be taken back, for people; `None` where it can.
    pub fn why_final(&self, lang: Lang) -> Option<&'static str> {
        let (en, ru) = match self {
            Self::ToolRun { tool, .. } => return tool.why_final(lang),
            Self::BackupRun { .. } => (
                "a backup that was written stays, and old ones may have made room for it",
                "записанный архив остаётся, а старые могли освободить для него место",
            ),
            Self::UpdateInstall {} => (
                "not every installed update can be removed again; those that can are removed by hand",
                "не каждое установленное обновление можно удалить; что можно, удаляют вручную",
            ),
            Self::Reboot {} => (
                "what ran on the host was ended by the restart",
                "всё, что работало на хосте, завершено перезагрузкой",
            ),
            Self::ServiceStart { .. }
            | Self::ServiceStop { .. }
            | Self::ServiceRestart { .. }
            | Self::ServiceSetStart { .. }
            | Self::FileRename { .. }
            | Self::FileQuarantine { .. }
            | Self::FileCreateDir { .. }
            | Self::FileRestore { .. }
            | Self::RegistrySet { .. }
            | Self::RegistryDelete { .. }
            | Self::FirewallSuspend { .. }
            | Self::AntivirusExclude { .. }
            | Self::ReparseList { .. }
            | Self::ReparseDetach { .. }
            | Self::UpdateScan {}
            | Self::UpdateDownload {}
            | Self::RestorePointCreate {}
            | Self::WaitUntil { .. } => return None,
        };
        Some(lang.pick(en, ru))
    }
}

impl Tool {
    /// Why what it did cannot be taken back, for people; `None` where it can.
    pub const fn why_final(self, lang: Lang) -> Option<&'static str> {
        let (en, ru) = match self {
            Self::DpkgConfigureAll | Self::AptFixBroken | Self::AptReinstall => (
                "the packages' own scripts have run and cannot be run backwards",
                "сценарии самих пакетов выполнены, обратно их не выполнить",
            ),
            Self::RpmRebuildDb => (
                "the database is written anew; the copy made before is put back by hand",
                "база записывается заново; сделанную до этого копию возвращают вручную",
            ),
            Self::ResticUnlock => (
                "a lock that was removed is gone; only one that nobody holds is removed",
                "снятой блокировки больше нет; снимается только никем не удерживаемая",
            ),
            Self::BorgBreakLock => (
                "every lock is removed, also one that another host holds",
                "снимаются все блокировки, даже удерживаемые другим хостом",
            ),
            Self::SystemctlResetFailed => {
                ("systemd forgets that the unit failed", "systemd забывает, что юнит сбоил")
            }
            Self::SfcScannow => (
                "damaged system files are replaced and not kept",
                "повреждённые системные файлы заменяются и не сохраняются",
            ),
            Self::DismRestoreHealth => (
                "damaged parts of the component store are replaced and not kept",
                "повреждённые части хранилища заменяются и не сохраняются",
            ),
            Self::DismCleanupStore => (
                "superseded parts are deleted: updates that need them can no longer be removed",
                "заменённые части удаляются: обновления, которым они нужны, больше не удалить",
            ),
            Self::ChkdskScan => (
                "what it mends in the file system is not kept as it was",
                "исправленное в файловой системе в прежнем виде не сохраняется",
            ),
            Self::FsutilResetTransactions => {
                ("transactions that were half done are lost", "незавершённые транзакции теряются")
            }
            Self::VssadminDeleteOldest => (
                "a deleted shadow copy is gone, with the earlier versions of files in it",
                "удалённой теневой копии больше нет, как и прежних версий файлов в ней",
            ),
            Self::AptCheck
            | Self::AptClean
            | Self::AptUpdate
            | Self::RpmCopyDb
            | Self::DnfCleanMetadata
            | Self::DnfMakecache
            | Self::DnfCheck
            | Self::ZypperRefresh
            | Self::ResticCheck
            | Self::BorgCheck
            | Self::DismScanHealth
            | Self::UsoStartScan
            | Self::WuaucltDetectNow
            | Self::VssadminListWriters => return None,
        };
        Some(lang.pick(en, ru))
    }
}
