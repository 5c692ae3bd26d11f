//! Volumes, reparse points, library locations, signatures, and where backups are written.

use fleetmend_core::words;
use serde::{Deserialize, Serialize};

words! {
    /// What a partition is for, where it is not for data.
    pub enum VolumeRole ("volume role") {
        /// Windows stands on it.
        System = "system",
        /// The EFI system partition.
        Efi = "efi",
        /// The boot partition of a machine without EFI.
        Reserved = "reserved",
        /// The recovery environment.
        Recovery = "recovery",
    }
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// `\\?\Volume{GUID}\`.
    pub id: String,
    /// Where it is mounted: `C:\`, or a folder's path with `\` at its end.
    #[serde(default)]
    pub mounts: Vec<String>,
    /// The file system's name; empty where it cannot be read, as behind disk encryption.
    #[serde(default)]
    pub file_system: String,
    /// Its size in bytes.
    #[serde(default)]
    pub size_bytes: u64,
    /// Bytes free.
    #[serde(default)]
    pub free_bytes: u64,
    /// Whether nothing can be written to it.
    #[serde(default)]
    pub read_only: bool,
    /// Whether it holds files that the file system compresses.
    #[serde(default)]
    pub compressed: bool,
    /// Whether disk encryption keeps it locked.
    #[serde(default)]
    pub locked: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<VolumeRole>,
}

/// One of the folders that a person's library holds, and a backup by libraries so takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryLocation {
    /// The profile's folder.
    pub profile: String,
    /// The library's name, such as `Documents`.
    pub library: String,
    /// The folder.
    pub path: String,
}

/// A reparse point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reparse {
    /// Its tag: 0xA0000003 a junction or mounted volume, 0xA000000C a symbolic link.
    pub tag: u32,
    /// Where it leads, as it stands in it: `\??\Volume{GUID}\`, `\??\D:\Data`.
    pub target: String,
}

impl Reparse {
    /// A junction or a mounted volume.
    pub const MOUNT_POINT: u32 = 0xA000_0003;
    /// A symbolic link.
    pub const SYMLINK: u32 = 0xA000_000C;

    /// Whether it stands for another file or folder. Those of cloud providers, deduplication and
    /// compression do not: what they mark is the file itself.
    pub const fn is_link(&self) -> bool {
        // IsReparseTagNameSurrogate of the Windows SDK.
        self.tag & 0x2000_0000 != 0
    }
}

/// What a file's signature says, catalogues of the system included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Signature {
    /// It is valid, by this signer.
    Valid(String),
    /// There is none.
    Missing,
    /// It does not hold, for this reason.
    Invalid(String),
}

/// A place that a backup of this host is set to be written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupTarget {
    /// Whose backup: `Windows Backup`, `Windows Server Backup`…
    pub product: String,
    /// The place: a volume, a folder, a share.
    pub place: String,
    /// Whether it is there.
    pub there: bool,
    /// Whether disk encryption keeps it locked.
    #[serde(default)]
    pub locked: bool,
    /// Bytes free there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Bytes that the last full backup took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_cloud_are_told_from_links() {
        let is_link = |tag| Reparse { tag, target: String::new() }.is_link();
        for tag in [0x9000_001A, 0x9000_101A, 0x9000_F01A, 0x8000_0013, 0x8000_0021] {
            assert!(!is_link(tag), "{tag:#x}");
        }
        assert!(is_link(Reparse::MOUNT_POINT) && is_link(Reparse::SYMLINK));
    }
}
