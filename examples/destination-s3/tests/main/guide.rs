//! The connection "PostgreSQL → MinIO" of the integration guide, with its destination as printed there.

use cdk_core::sync::{MemoryStateStore, Mode, Namespace, StreamSelection, Sync};
use parquet::basic::Compression;
use serde_json::json;
use source_faker::SourceFaker;

use crate::support::{Lake, parquet_metadata};

#[tokio::test(flavor = "multi_thread")]
async fn three_streams_land_in_three_folders_of_their_namespace() {
    let mut lake = Lake::new();
    lake.config["s3_bucket_path"] = json!("airbyte-data/${NAMESPACE}/${STREAM_NAME}");
    lake.config["s3_bucket_region"] = json!("us-east-1");
    lake.config["format"] =
        json!({"format_type": "Parquet", "compression": "GZIP", "block_size": "128MB"});
    let run = || async {
        let sync = Sync::builder()
            .source(SourceFaker, json!({"count": 300}))
            .destination(destination_s3::S3Destination, lake.config.clone())
            .state_store(MemoryStateStore::default())
            .namespace(Namespace::Custom("production_public".to_owned()))
            .stream(StreamSelection::new("users").with_mode(Mode::FullRefreshOverwrite))
            .stream(StreamSelection::new("purchases").with_mode(Mode::IncrementalAppend))
            .stream(StreamSelection::new("products").with_mode(Mode::FullRefreshOverwrite))
            .build()
            .unwrap();
        sync.run().await.unwrap()
    };
    for _ in 0..2 {
        run().await;
    }
    let folder = |stream: &str| format!("airbyte-data/production_public/{stream}/");
    assert_eq!(lake.rows(&folder("users")).len(), 300);
    assert_eq!(lake.rows(&folder("products")).len(), 100);
    for key in lake.data_keys() {
        let name = key
            .strip_prefix("airbyte-data/production_public/")
            .unwrap_or_else(|| panic!("{key}"));
        assert_eq!(name.matches('/').count(), 1, "{key}");
        let metadata = parquet_metadata(lake.server.read(&key));
        assert!(
            matches!(
                metadata.row_group(0).column(0).compression(),
                Compression::GZIP(_)
            ),
            "{key}"
        );
    }
}
