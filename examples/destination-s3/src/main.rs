//! Airbyte destination: files in a bucket of Amazon S3, MinIO or a store like them.

fn main() -> std::process::ExitCode {
    cdk_core::run_destination(destination_s3::S3Destination)
}
