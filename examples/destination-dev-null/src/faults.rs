//! Which call meets which fault.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airbyte_protocol::StreamDescriptor;
use cdk_core::{ConnectorError, Result};

use crate::config::{Fault, FaultAction, FaultOperation};

/// Counts the calls of every operation and stream. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultScript(Arc<Mutex<HashMap<(StreamDescriptor, FaultOperation), u64>>>);

impl FaultScript {
    /// Counts this call and returns what it meets.
    pub(crate) fn next(
        &self,
        faults: &[Fault],
        stream: &StreamDescriptor,
        operation: FaultOperation,
    ) -> Option<Fault> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((stream.clone(), operation)).or_default();
        *count += 1;
        let is_met = |fault: &&Fault| {
            fault.operation == operation
                && fault.at == *count
                && fault
                    .stream
                    .as_ref()
                    .is_none_or(|name| *name == stream.name)
        };
        faults.iter().find(is_met).cloned()
    }
}

/// What a fault does before the work: waits, hangs or fails.
pub(crate) async fn before(fault: &Fault) -> Result<()> {
    match fault.action {
        FaultAction::RejectBefore {} => Err(error(fault)),
        FaultAction::FailAfter {} => Ok(()),
        FaultAction::Hang {} => std::future::pending().await,
        FaultAction::Slow { millis } => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok(())
        }
    }
}

/// What a fault does after the work.
pub(crate) fn after(fault: &Fault) -> Result<()> {
    match fault.action {
        FaultAction::FailAfter {} => Err(error(fault)),
        FaultAction::RejectBefore {} | FaultAction::Hang {} | FaultAction::Slow { .. } => Ok(()),
    }
}

fn error(fault: &Fault) -> ConnectorError {
    let operation = match fault.operation {
        FaultOperation::Load => "load",
        FaultOperation::Commit => "commit",
        FaultOperation::Finish => "finish",
    };
    let extent = match fault.action {
        FaultAction::FailAfter {} => "after its work",
        _ => "before any work",
    };
    ConnectorError::new(
        fault.failure_type.into(),
        format!(
            "The fault script of the destination lets {operation} call {} fail {extent}. Take the \
             fault out of `faults` to go on.",
            fault.at
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FaultType;

    fn fault(stream: Option<&str>, operation: FaultOperation, at: u64) -> Fault {
        Fault {
            stream: stream.map(str::to_owned),
            operation,
            at,
            action: FaultAction::RejectBefore {},
            failure_type: FaultType::default(),
        }
    }

    #[test]
    fn calls_are_counted_per_stream_and_operation() {
        use FaultOperation::{Commit, Load};
        let script = FaultScript::default();
        let faults = [fault(None, Load, 2), fault(Some("b"), Commit, 1)];
        let (a, b) = (StreamDescriptor::new("a"), StreamDescriptor::new("b"));
        let is_met = |stream, operation| script.next(&faults, stream, operation).is_some();
        assert!(!is_met(&a, Load));
        assert!(!is_met(&b, Load));
        assert!(is_met(&a, Load));
        assert!(is_met(&b, Load));
        assert!(!is_met(&a, Load));
        assert!(!is_met(&a, Commit));
        assert!(is_met(&b, Commit));
    }

    #[test]
    fn counts_go_on_through_clones() {
        let script = FaultScript::default();
        let faults = [fault(None, FaultOperation::Finish, 2)];
        let a = StreamDescriptor::new("a");
        assert!(
            script
                .clone()
                .next(&faults, &a, FaultOperation::Finish)
                .is_none()
        );
        assert!(
            script
                .clone()
                .next(&faults, &a, FaultOperation::Finish)
                .is_some()
        );
    }
}
