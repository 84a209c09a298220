//! Airbyte source: one CSV or JSONL file from a local path or a URL.
