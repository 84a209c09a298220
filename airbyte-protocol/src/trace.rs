//! TRACE messages: errors, estimates, stream statuses and analytics.

use crate::number::Whole;
use crate::wire_enum::wire_enum;
use crate::wire_struct::wire_struct;
use crate::{Extra, StreamDescriptor};

wire_enum! {
    /// Which part of a TRACE message is filled.
    pub enum TraceType {
        /// `error`.
        Error = "ERROR",
        /// `estimate`.
        Estimate = "ESTIMATE",
        /// `stream_status`.
        StreamStatus = "STREAM_STATUS",
        /// `analytics`.
        Analytics = "ANALYTICS",
    }
}

wire_struct! {
    /// A message about the sync itself.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AirbyteTraceMessage {
        /// Which of the parts below is filled.
        required "type" trace_type: TraceType,
        /// When it was emitted, in milliseconds since the Unix epoch; a float in the protocol.
        required "emitted_at" emitted_at: f64,
        /// A failure (ERROR).
        optional "error" error: AirbyteErrorTraceMessage,
        /// How much data to expect (ESTIMATE).
        optional "estimate" estimate: AirbyteEstimateTraceMessage,
        /// How far a stream is (STREAM_STATUS).
        optional "stream_status" stream_status: AirbyteStreamStatusTraceMessage,
        /// A usage event (ANALYTICS).
        optional "analytics" analytics: AirbyteAnalyticsTraceMessage,
    }
}

impl AirbyteTraceMessage {
    fn empty(trace_type: TraceType, emitted_at: f64) -> Self {
        let extra = Extra::new();
        let (error, estimate, stream_status, analytics) = (None, None, None, None);
        Self {
            trace_type,
            emitted_at,
            error,
            estimate,
            stream_status,
            analytics,
            extra,
        }
    }

    /// A failure, at `emitted_at` milliseconds since the Unix epoch.
    #[must_use]
    pub fn error(emitted_at: f64, error: AirbyteErrorTraceMessage) -> Self {
        Self {
            error: Some(error),
            ..Self::empty(TraceType::Error, emitted_at)
        }
    }

    /// An estimate, at `emitted_at` milliseconds since the Unix epoch.
    #[must_use]
    pub fn estimate(emitted_at: f64, estimate: AirbyteEstimateTraceMessage) -> Self {
        Self {
            estimate: Some(estimate),
            ..Self::empty(TraceType::Estimate, emitted_at)
        }
    }

    /// A stream's status, at `emitted_at` milliseconds since the Unix epoch.
    #[must_use]
    pub fn stream_status(emitted_at: f64, status: AirbyteStreamStatusTraceMessage) -> Self {
        Self {
            stream_status: Some(status),
            ..Self::empty(TraceType::StreamStatus, emitted_at)
        }
    }

    /// A usage event, at `emitted_at` milliseconds since the Unix epoch.
    #[must_use]
    pub fn analytics(emitted_at: f64, analytics: AirbyteAnalyticsTraceMessage) -> Self {
        Self {
            analytics: Some(analytics),
            ..Self::empty(TraceType::Analytics, emitted_at)
        }
    }
}

wire_enum! {
    /// Who has to act on a failure.
    pub enum FailureType {
        /// A bug, or not classified yet.
        SystemError = "system_error",
        /// The user has to change something; retrying is pointless.
        ConfigError = "config_error",
        /// The same call may work later.
        TransientError = "transient_error",
    }
}

wire_struct! {
    /// A failure.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AirbyteErrorTraceMessage {
        /// For the user: what failed and what to do.
        required "message" message: String,
        /// For developers: the cause.
        optional "internal_message" internal_message: String,
        /// The stack trace.
        optional "stack_trace" stack_trace: String,
        /// Who has to act; absent means a system error.
        optional "failure_type" failure_type: FailureType,
        /// The stream, if the failure belongs to one.
        optional "stream_descriptor" stream_descriptor: StreamDescriptor,
    }
}

impl AirbyteErrorTraceMessage {
    /// A failure with a message for the user.
    pub fn new(message: impl Into<String>, failure_type: FailureType) -> Self {
        let failure_type = Some(failure_type);
        Self {
            message: message.into(),
            failure_type,
            ..Self::default()
        }
    }

    /// Sets the cause, for developers.
    #[must_use]
    pub fn with_internal_message(mut self, message: impl Into<String>) -> Self {
        self.internal_message = Some(message.into());
        self
    }

    /// Sets the stack trace.
    #[must_use]
    pub fn with_stack_trace(mut self, stack_trace: impl Into<String>) -> Self {
        self.stack_trace = Some(stack_trace.into());
        self
    }

    /// Sets the stream.
    #[must_use]
    pub fn with_stream(mut self, stream: StreamDescriptor) -> Self {
        self.stream_descriptor = Some(stream);
        self
    }
}

wire_enum! {
    /// What an estimate covers.
    pub enum EstimateType {
        /// One stream.
        Stream = "STREAM",
        /// The whole sync. Never mix both kinds in one sync.
        Sync = "SYNC",
    }
}

wire_struct! {
    /// How much data to expect. A later estimate replaces an earlier one.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AirbyteEstimateTraceMessage {
        /// Name of the stream.
        required "name" name: String,
        /// What the estimate covers.
        required "type" estimate_type: EstimateType,
        /// Namespace of the stream.
        optional "namespace" namespace: String,
        /// Rows to expect.
        optional "row_estimate" row_estimate: i64 as Whole,
        /// Bytes to expect.
        optional "byte_estimate" byte_estimate: i64 as Whole,
    }
}

impl AirbyteEstimateTraceMessage {
    /// An estimate for one stream.
    #[must_use]
    pub fn new(stream: &StreamDescriptor, rows: Option<i64>, bytes: Option<i64>) -> Self {
        Self {
            name: stream.name.clone(),
            estimate_type: EstimateType::Stream,
            namespace: stream.namespace.clone(),
            row_estimate: rows,
            byte_estimate: bytes,
            extra: Extra::new(),
        }
    }
}

wire_enum! {
    /// How far a stream is.
    pub enum AirbyteStreamStatus {
        /// Work began, no data yet.
        Started = "STARTED",
        /// The first record came.
        Running = "RUNNING",
        /// Finished without an error.
        Complete = "COMPLETE",
        /// Stopped by an error or an interruption.
        Incomplete = "INCOMPLETE",
    }
}

wire_struct! {
    /// How far a stream is, and why.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AirbyteStreamStatusTraceMessage {
        /// The stream.
        required "stream_descriptor" stream_descriptor: StreamDescriptor,
        /// How far it is.
        required "status" status: AirbyteStreamStatus,
        /// Why.
        optional "reasons" reasons: Vec<AirbyteStreamStatusReason>,
    }
}

impl AirbyteStreamStatusTraceMessage {
    /// The status of a stream, without reasons.
    #[must_use]
    pub fn new(stream_descriptor: StreamDescriptor, status: AirbyteStreamStatus) -> Self {
        Self {
            stream_descriptor,
            status,
            reasons: None,
            extra: Extra::new(),
        }
    }

    /// Says that the stream waits for a rate limit, until `quota_reset` (milliseconds since the
    /// Unix epoch) if that is known.
    #[must_use]
    pub fn with_rate_limit(mut self, quota_reset: Option<i64>) -> Self {
        let reason = AirbyteStreamStatusReason::rate_limited(quota_reset);
        self.reasons.get_or_insert_default().push(reason);
        self
    }
}

wire_enum! {
    /// Kind of reason for a stream's status.
    pub enum AirbyteStreamStatusReasonType {
        /// The source's rate limit is used up.
        RateLimited = "RATE_LIMITED",
    }
}

wire_struct! {
    /// A reason for a stream's status.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AirbyteStreamStatusReason {
        /// Kind of reason.
        required "type" reason_type: AirbyteStreamStatusReasonType,
        /// Details of a rate limit.
        optional "rate_limited" rate_limited: AirbyteStreamStatusRateLimitedReason,
    }
}

impl AirbyteStreamStatusReason {
    /// A rate limit that ends at `quota_reset` (milliseconds since the Unix epoch), if known.
    #[must_use]
    pub fn rate_limited(quota_reset: Option<i64>) -> Self {
        Self {
            reason_type: AirbyteStreamStatusReasonType::RateLimited,
            rate_limited: quota_reset.map(|_| AirbyteStreamStatusRateLimitedReason {
                quota_reset,
                extra: Extra::new(),
            }),
            extra: Extra::new(),
        }
    }
}

wire_struct! {
    /// Details of a rate limit.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AirbyteStreamStatusRateLimitedReason {
        /// When the quota is full again, in milliseconds since the Unix epoch.
        optional "quota_reset" quota_reset: i64 as Whole,
    }
}

wire_struct! {
    /// A usage event of a connector. Event types are fixed names, never built at run time.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AirbyteAnalyticsTraceMessage {
        /// Name of the event.
        required "type" event_type: String,
        /// Its value.
        optional "value" value: String,
    }
}

impl AirbyteAnalyticsTraceMessage {
    /// An event without a value.
    pub fn new(event_type: impl Into<String>) -> Self {
        Self {
            event_type: event_type.into(),
            ..Self::default()
        }
    }

    /// Sets the value.
    #[must_use]
    pub fn with_value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }
}
