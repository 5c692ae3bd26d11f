//! The words that questions are made of.

use crate::words;

words! {
    /// Which of a volume's files a reparse-point probe looks at.
    pub enum ReparseTarget ("reparse target") {
        /// A target on FAT, FAT32 or exFAT.
        Fat = "fat",
        /// A mounted volume that holds compressed files, archives and media among them.
        CompressedVolume = "compressed_volume",
        /// The root of another volume.
        VolumeRoot = "volume_root",
        /// Any reparse point at all.
        Any = "any",
    }
}

words! {
    /// What a service probe asks.
    pub enum ServiceQuestion ("service question") {
        /// Whether it is disabled. A stopped manual service is normal.
        Disabled = "disabled",
        /// Whether it is missing.
        Missing = "missing",
        /// Whether it failed, or hangs between states.
        Failed = "failed",
        /// Whether it runs.
        Running = "running",
        /// Whether it does not run, although it should at all times.
        Stopped = "stopped",
    }
}

words! {
    /// What may be wrong with the update server that policy names (WSUS).
    pub enum ServerTrouble ("server trouble") {
        /// Its address is not an HTTP address with a host.
        Malformed = "malformed",
        /// It does not answer.
        Unreachable = "unreachable",
    }
}

words! {
    /// What a probe asks about the machine's own proxy, which services use.
    pub enum ProxyQuestion ("proxy question") {
        /// Whether one is set. Value: it.
        Set = "set",
        /// Whether one is set and does not answer. Value: it.
        Unreachable = "unreachable",
    }
}

words! {
    /// The small partitions that updates and snapshots need room on.
    pub enum SmallPartition ("small partition") {
        /// The EFI system partition, or the reserved one of a machine without EFI.
        Efi = "efi",
        /// The recovery partition.
        Recovery = "recovery",
    }
}

words! {
    /// What may be wrong with the place where the host's backup is written.
    pub enum TargetTrouble ("target trouble") {
        /// It is not there.
        Missing = "missing",
        /// It has no room for another backup.
        Full = "full",
        /// It is locked by disk encryption.
        Locked = "locked",
    }
}
