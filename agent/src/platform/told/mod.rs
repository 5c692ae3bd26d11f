//! What a system tells when it is asked, as plain data: one file a noun. Nothing here decides.

mod disk;
mod event;
mod machine;
mod registry;
mod service;
mod snapshot;
mod update;

pub use disk::{BackupTarget, LibraryLocation, Reparse, Signature, Volume, VolumeRole};
pub use event::{Event, EventQuery};
pub use machine::{
    Antivirus, FirewallProfile, FirewallState, InstalledUpdate, Memory, Power, Process, Proxy,
    Session, TimeSource,
};
pub use registry::{RegistryKey, RegistryValue};
pub use service::{RunState, ServiceCall, ServiceSeen};
pub use snapshot::{ShadowCopy, ShadowStorage, VssProvider, VssWriter};
pub use update::{Outcome, UpdateCall};
