//! The spool as the tasks of an agent share it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Timestamp;
use tokio::sync::Notify;

use super::Spool;
use crate::watch::Watch;

/// A spool that several tasks use, and the bell that rings when there is something to send.
#[derive(Debug, Clone)]
pub struct SharedSpool {
    spool: Arc<Mutex<Spool>>,
    bell: Arc<Notify>,
    watch: Option<Arc<dyn Watch>>,
}

impl SharedSpool {
    /// Shares a spool.
    pub fn new(spool: Spool) -> Self {
        Self { spool: Arc::new(Mutex::new(spool)), bell: Arc::default(), watch: None }
    }

    /// The same spool; `watch` is told what it takes and forgets.
    pub fn watched_by(mut self, watch: Option<Arc<dyn Watch>>) -> Self {
        self.watch = watch;
        self
    }

    /// The spool itself, for a moment; never held over an await.
    pub fn lock(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps items and rings the bell. A failure is logged and counted here, since no caller can do
    /// more about it: the gap is told as soon as the disk takes something again.
    pub fn put(&self, items: &[SpoolItem], now: Timestamp) -> bool {
        self.put_group(items, None, now)
    }

    /// As [`SharedSpool::put`], with a group's mark.
    pub fn put_group(&self, items: &[SpoolItem], mark: Option<u64>, now: Timestamp) -> bool {
        let mut spool = self.lock();
        let kept = spool.append_group(items, mark, now);
        if let Some(watch) = self.watch.as_ref().filter(|_| kept.is_ok() && !items.is_empty()) {
            watch.spooled(spool.next - 1);
        }
        drop(spool);
        self.bell.notify_one();
        match kept {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(items = items.len(), %error, "spool refused items");
                false
            }
        }
    }

    /// Forgets what the server acknowledged.
    pub fn commit(&self, through: u64) {
        self.lock().commit(through);
        if let Some(watch) = &self.watch {
            watch.acknowledged(through);
        }
    }

    /// Waits until something may have been put.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }
}
