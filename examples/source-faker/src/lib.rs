//! Airbyte source: deterministic users, products and purchases for demos, tests and benches.
