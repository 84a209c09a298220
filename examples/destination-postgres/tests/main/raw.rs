//! Raw tables of both versions.

use serde_json::json;

use crate::support::{Warehouse, row, small};

#[tokio::test]
async fn version_1_keeps_the_record_beside_id_and_time() {
    let warehouse = Warehouse::new().with(json!({"raw_tables": "v1"}));
    let data = json!({"id": 1, "v": "x", "undeclared": {"n": 1.5}});
    warehouse
        .complete(
            &small("append_dedup"),
            &[(1000, data.clone()), (2000, data)],
        )
        .await;
    let columns = "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) \
                   FROM pg_attribute WHERE attrelid = '_airbyte_raw_t'::regclass AND attnum > 0";
    assert_eq!(
        warehouse.value(columns),
        "_airbyte_ab_id character varying, _airbyte_emitted_at timestamp with time zone, _airbyte_data jsonb"
    );
    let rows = "SELECT length(_airbyte_ab_id), extract(epoch FROM _airbyte_emitted_at)::int, _airbyte_data \
                FROM _airbyte_raw_t ORDER BY 2";
    let data = "{\"v\": \"x\", \"id\": 1, \"undeclared\": {\"n\": 1.5}}";
    assert_eq!(
        warehouse.query(rows),
        [format!("36|1|{data}"), format!("36|2|{data}")]
    );
    assert_eq!(warehouse.value("SELECT to_regclass('t') IS NULL"), "t");
}

#[tokio::test]
async fn version_2_lies_in_the_internal_schema_with_metadata() {
    for options in [
        json!({"raw_tables": "v2"}),
        json!({"disable_type_dedupe": true}),
    ] {
        let warehouse = Warehouse::new().with(options);
        let mut stream = small("append").generation(5, 0);
        stream.namespace = Some("shop".to_owned());
        warehouse.complete(&stream, &[row(1000, 1, "a")]).await;
        let rows = "SELECT length(_airbyte_raw_id), _airbyte_loaded_at IS NULL, _airbyte_data->>'v', _airbyte_meta, \
                    _airbyte_generation_id FROM airbyte_internal.shop_raw__stream_t";
        assert_eq!(
            warehouse.query(rows),
            ["36|t|a|{\"changes\": [], \"sync_id\": 7}|5"]
        );
    }
}

#[tokio::test]
async fn what_jsonb_does_not_take_is_null_in_the_record_and_the_rest_arrives() {
    let warehouse = Warehouse::new().with(json!({"raw_tables": "v2"}));
    let data = json!({"id": 1, "v": "a\u{0}b", "w": "kept"});
    warehouse.complete(&small("append"), &[(1, data)]).await;
    let rows = "SELECT _airbyte_data, _airbyte_meta->'changes'->0->>'field', _airbyte_meta->'changes'->0->>'reason' \
                FROM airbyte_internal.public_raw__stream_t";
    assert_eq!(
        warehouse.query(rows),
        ["{\"v\": null, \"w\": \"kept\", \"id\": 1}|v|DESTINATION_SERIALIZATION_ERROR"]
    );
}

#[tokio::test]
async fn a_raw_table_is_overwritten_and_resumed_like_a_typed_one() {
    let warehouse = Warehouse::new().with(json!({"raw_tables": "v1"}));
    let rows = "SELECT _airbyte_data->>'id', _airbyte_data->>'v' FROM _airbyte_raw_t ORDER BY 1";
    let stream = |id| small("overwrite").generation(id, id);
    warehouse.complete(&stream(1), &[row(1, 1, "old")]).await;
    warehouse
        .interrupted(&stream(2), &[row(2, 1, "a"), row(2, 2, "b")])
        .await;
    assert_eq!(warehouse.query(rows), ["1|old"]);
    warehouse
        .complete(&stream(2), &[row(3, 2, "b again"), row(3, 3, "c")])
        .await;
    assert_eq!(warehouse.query(rows), ["1|a", "2|b again", "3|c"]);
}

#[tokio::test]
async fn ids_grow_from_run_to_run() {
    let warehouse = Warehouse::new().with(json!({"raw_tables": "v1"}));
    for v in ["a", "b", "c"] {
        // All runs have the same time.
        warehouse
            .complete(&small("append"), &[row(1, 1, v), row(1, 2, v)])
            .await;
    }
    let order = "SELECT string_agg(_airbyte_data->>'v', '' ORDER BY _airbyte_ab_id COLLATE \"C\") FROM _airbyte_raw_t";
    assert_eq!(warehouse.value(order), "aabbcc");
}
