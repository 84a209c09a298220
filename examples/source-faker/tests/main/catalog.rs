//! `discover`, and that records are as it says.

use airbyte_protocol::SyncMode;
use serde_json::json;

use crate::harness::{discover, id, ids, read, sorted};

#[tokio::test]
async fn every_stream_has_a_key_a_cursor_and_both_modes() {
    let catalog = discover(&json!({})).await;
    let names: Vec<_> = catalog
        .streams
        .iter()
        .map(|stream| stream.name.as_str())
        .collect();
    assert_eq!(names, ["users", "products", "purchases"]);
    for stream in &catalog.streams {
        assert_eq!(
            stream.source_defined_primary_key,
            Some(vec![vec!["id".to_owned()]])
        );
        assert_eq!(
            stream.default_cursor_field,
            Some(vec!["updated_at".to_owned()])
        );
        assert_eq!(stream.source_defined_cursor, Some(true));
        assert_eq!(stream.is_resumable, Some(true));
        assert!(stream.supports(SyncMode::FullRefresh) && stream.supports(SyncMode::Incremental));
    }
}

#[tokio::test]
async fn schemas_have_the_shapes_of_airbytes_types() {
    let catalog = discover(&json!({})).await;
    let timestamp =
        json!({"type": "string", "format": "date-time", "airbyte_type": "timestamp_with_timezone"});
    let users = &catalog.streams[0].json_schema["properties"];
    assert_eq!(users["id"], json!({"type": "integer"}));
    assert_eq!(users["age"], json!({"type": "integer"}));
    assert_eq!(users["height"], json!({"type": "string"}));
    assert_eq!(users["updated_at"], timestamp);
    assert_eq!(
        users["address"]["properties"]["city"],
        json!({"type": "string"})
    );
    assert_eq!(
        catalog.streams[1].json_schema["properties"]["price"],
        json!({"type": "number"})
    );
    let returned_at = &catalog.streams[2].json_schema["properties"]["returned_at"];
    assert_eq!(returned_at["type"], json!(["null", "string"]));
    assert_eq!(
        returned_at["airbyte_type"],
        json!("timestamp_with_timezone")
    );
}

#[tokio::test]
async fn every_record_is_valid_and_complete_by_its_schema() {
    let config = json!({"count": 500, "seed": 3});
    let output = read(SyncMode::FullRefresh, &[], &config, &[]).await;
    for stream in discover(&config).await.streams {
        let schema = jsonschema::options()
            .should_validate_formats(true)
            .build(&stream.json_schema)
            .unwrap();
        let records = output.data(&stream.name);
        assert!(records.len() >= 100);
        for record in records {
            let errors: Vec<_> = schema.iter_errors(&record).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{record}: {errors:?}");
            let described = stream.json_schema["properties"].as_object().unwrap();
            assert!(
                record.as_object().unwrap().keys().eq(described.keys()),
                "{record}"
            );
        }
    }
}

#[tokio::test]
async fn a_full_refresh_reads_every_row_once() {
    let config = json!({"count": 1234, "records_per_slice": 100});
    let output = read(SyncMode::FullRefresh, &[], &config, &[]).await;
    assert!(ids(&output, "users").into_iter().eq(1..=1234));
    assert!(ids(&output, "products").into_iter().eq(1..=100));
    let purchases = source_faker::rows::purchase_count(-1, 1234);
    assert!(ids(&output, "purchases").into_iter().eq(1..=purchases));
}

#[tokio::test]
async fn purchases_refer_to_users_and_products_that_exist() {
    let output = read(
        SyncMode::FullRefresh,
        &["purchases"],
        &json!({"count": 300}),
        &[],
    )
    .await;
    for purchase in output.data("purchases") {
        assert!(
            (1..=300).contains(&purchase["user_id"].as_i64().unwrap()),
            "{purchase}"
        );
        assert!(
            (1..=100).contains(&purchase["product_id"].as_i64().unwrap()),
            "{purchase}"
        );
    }
}

#[tokio::test]
async fn the_seed_decides_users_and_purchases_and_nothing_else_does() {
    let small = json!({"count": 200, "seed": 5, "records_per_slice": 7, "parallelism": 8});
    let large = json!({"count": 400, "seed": 5, "parallelism": 1});
    let other = json!({"count": 200, "seed": 6});
    let small = read(SyncMode::FullRefresh, &[], &small, &[]).await;
    let large = read(SyncMode::FullRefresh, &[], &large, &[]).await;
    let other = read(SyncMode::Incremental, &[], &other, &[]).await;
    for stream in ["users", "purchases"] {
        let rows = sorted(&small, stream);
        assert_eq!(rows, sorted(&large, stream)[..rows.len()]);
        assert!(
            rows.iter()
                .zip(sorted(&other, stream))
                .all(|(a, b)| *a != b)
        );
        assert!(rows.iter().map(id).eq(1..=rows.len() as i64));
    }
    assert_eq!(sorted(&small, "products"), sorted(&other, "products"));
}

#[tokio::test]
async fn records_are_the_rows_of_the_library() {
    let output = read(
        SyncMode::FullRefresh,
        &[],
        &json!({"count": 50, "seed": 8}),
        &[],
    )
    .await;
    let users: Vec<_> = (1..=50)
        .map(|id| json!(source_faker::rows::user(8, id)))
        .collect();
    assert_eq!(sorted(&output, "users"), users);
    let products: Vec<_> = (1..=100)
        .map(|id| json!(source_faker::rows::product(id)))
        .collect();
    assert_eq!(sorted(&output, "products"), products);
}
