//! The `cdk` command.

fn main() {}
