//! Ends a run in order before the container's memory limit ends it in disorder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::ConnectorError;

/// At this share of the limit the run ends.
const CRITICAL_PERCENT: u64 = 95;
/// Unless most of it is file cache, which the kernel gives back by itself.
const ANONYMOUS_PERCENT: u64 = 85;
const INTERVAL: Duration = Duration::from_secs(1);

/// Reads memory limit and use of the process's cgroup (version 2, then 1).
#[derive(Debug, Clone)]
pub struct MemoryGuard {
    limit_bytes: u64,
    used: PathBuf,
    stat: PathBuf,
    anonymous_key: &'static str,
}

impl MemoryGuard {
    /// The guard of this process's cgroup; `None` without a limit.
    pub fn of_cgroup() -> Option<Self> {
        Self::at(Path::new("/sys/fs/cgroup"))
    }

    /// The same for a cgroup file system mounted elsewhere.
    pub fn at(root: &Path) -> Option<Self> {
        let v1 = root.join("memory");
        Self::from_files(root, "memory.max", "memory.current", "anon").or_else(|| {
            Self::from_files(&v1, "memory.limit_in_bytes", "memory.usage_in_bytes", "rss")
        })
    }

    fn from_files(dir: &Path, limit: &str, used: &str, key: &'static str) -> Option<Self> {
        // Version 2 writes "max", version 1 a number near 2^63 when there is no limit.
        let limit_bytes = number(&dir.join(limit)).filter(|limit| *limit < 1 << 60)?;
        let (used, stat) = (dir.join(used), dir.join("memory.stat"));
        Some(Self {
            limit_bytes,
            used,
            stat,
            anonymous_key: key,
        })
    }

    /// The limit in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Returns once memory is critical, with the error that says so.
    pub async fn watch(self) -> ConnectorError {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if let Some(error) = self.check() {
                return error;
            }
        }
    }

    /// The error of a critical state, if it is one now.
    pub fn check(&self) -> Option<ConnectorError> {
        let used = number(&self.used)?;
        let percent = used.saturating_mul(100) / self.limit_bytes.max(1);
        if percent < CRITICAL_PERCENT {
            return None;
        }
        let stat = std::fs::read_to_string(&self.stat).ok()?;
        let anonymous = stat.lines().find_map(|line| {
            let (key, value) = line.split_once(' ')?;
            if key == self.anonymous_key {
                value.trim().parse::<u64>().ok()
            } else {
                None
            }
        })?;
        if anonymous.saturating_mul(100) / used.max(1) < ANONYMOUS_PERCENT {
            return None;
        }
        Some(ConnectorError::system(format!(
            "Memory usage reached {percent}% of the container's limit of {} MiB. The run ended after \
             saving its state; run again to go on, and raise the memory limit.",
            self.limit_bytes >> 20
        )))
    }
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cgroup(used: &str, stat: &str) -> (tempfile::TempDir, MemoryGuard) {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("memory.max", "104857600\n");
        write("memory.current", used);
        write("memory.stat", stat);
        let guard = MemoryGuard::at(dir.path()).unwrap();
        (dir, guard)
    }

    #[test]
    fn critical_is_95_percent_of_the_limit_in_anonymous_memory() {
        let (_dir, guard) = cgroup("100000000", "anon 99000000\nfile 1000000\n");
        let error = guard.check().unwrap();
        assert!(
            error
                .message()
                .contains("95% of the container's limit of 100 MiB"),
            "{error}"
        );
    }

    #[test]
    fn file_cache_and_lower_use_are_not_critical() {
        let (_dir, guard) = cgroup("100000000", "anon 10000000\nfile 90000000\n");
        assert!(guard.check().is_none());
        let (_dir, guard) = cgroup("50000000", "anon 50000000\n");
        assert!(guard.check().is_none());
    }

    #[test]
    fn no_limit_means_no_guard() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("memory.max"), "max\n").unwrap();
        assert!(MemoryGuard::at(dir.path()).is_none());
    }

    #[test]
    fn version_1_files_are_read_too() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("memory")).unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join("memory").join(name), text).unwrap();
        };
        write("memory.limit_in_bytes", "1000");
        write("memory.usage_in_bytes", "990");
        write("memory.stat", "cache 5\nrss 980\n");
        assert!(MemoryGuard::at(dir.path()).unwrap().check().is_some());
    }
}
