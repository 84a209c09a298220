//! What users hung on a table is still there after an overwrite.

use serde_json::json;

use crate::support::{Warehouse, row, small};

async fn overwrite(warehouse: &Warehouse<'_>, generation: i64, v: &str) {
    let stream = small("overwrite").generation(generation, generation);
    warehouse
        .complete(&stream, &[row(generation, generation, v)])
        .await;
}

fn oid(warehouse: &Warehouse<'_>) -> String {
    warehouse.value("SELECT 't'::regclass::oid")
}

#[tokio::test]
async fn a_plain_table_is_exchanged_and_keeps_owner_rights_and_comment() {
    let warehouse = Warehouse::new();
    overwrite(&warehouse, 1, "a").await;
    let (reader, owner) = (
        format!("reader_{}", warehouse.database),
        format!("owner_{}", warehouse.database),
    );
    warehouse.execute(&format!(
        "CREATE ROLE {reader}; CREATE ROLE {owner}; GRANT SELECT ON t TO {reader} WITH GRANT OPTION; \
         GRANT INSERT ON t TO PUBLIC; COMMENT ON TABLE t IS 'it''s mine'; ALTER TABLE t OWNER TO {owner}"
    ));
    let before = oid(&warehouse);
    overwrite(&warehouse, 2, "b").await;
    assert_ne!(oid(&warehouse), before);
    let state = format!(
        "SELECT has_table_privilege('{reader}', 't', 'SELECT WITH GRANT OPTION'), relowner = '{owner}'::regrole, \
         obj_description(oid), EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee = 0 AND privilege_type = 'INSERT') \
         FROM pg_class WHERE oid = 't'::regclass"
    );
    assert_eq!(warehouse.value(&state), "t|t|it's mine|t");
    assert_eq!(warehouse.query("SELECT v FROM t"), ["b"]);
}

#[tokio::test]
async fn views_indexes_triggers_and_the_like_survive_an_overwrite() {
    for (made, works) in [
        ("CREATE VIEW w AS SELECT v FROM t", "SELECT v = 'b' FROM w"),
        (
            "CREATE MATERIALIZED VIEW w AS SELECT v FROM t",
            "SELECT to_regclass('w') IS NOT NULL",
        ),
        (
            "CREATE INDEX mine ON t (v)",
            "SELECT to_regclass('mine') IS NOT NULL",
        ),
        (
            "ALTER TABLE t ADD CHECK (v <> 'x')",
            "SELECT count(*) = 1 FROM pg_constraint WHERE conrelid = 't'::regclass",
        ),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$; \
             CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
            "SELECT count(*) = 1 FROM pg_trigger WHERE tgrelid = 't'::regclass",
        ),
        (
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (true)",
            "SELECT count(*) = 1 FROM pg_policy WHERE polrelid = 't'::regclass",
        ),
        (
            "CREATE PUBLICATION p FOR TABLE t",
            "SELECT count(*) = 1 FROM pg_publication_tables WHERE tablename = 't'",
        ),
        (
            "GRANT SELECT (v) ON t TO PUBLIC",
            "SELECT count(*) = 1 FROM pg_attribute WHERE attrelid = 't'::regclass AND attacl IS NOT NULL",
        ),
    ] {
        let warehouse = Warehouse::new();
        overwrite(&warehouse, 1, "a").await;
        warehouse.execute(made);
        let before = oid(&warehouse);
        overwrite(&warehouse, 2, "b").await;
        assert_eq!(oid(&warehouse), before, "{made}");
        assert_eq!(warehouse.value(works), "t", "{made}");
        assert_eq!(warehouse.query("SELECT v FROM t"), ["b"], "{made}");
        assert_eq!(warehouse.leftovers(), [""; 0]);
    }
}

#[tokio::test]
async fn a_refilled_table_takes_new_columns_types_and_keys() {
    let warehouse = Warehouse::new();
    overwrite(&warehouse, 1, "a").await;
    warehouse.execute("CREATE VIEW w AS SELECT v FROM t");
    let mut stream = small("overwrite_dedup").generation(2, 2);
    stream.properties =
        json!({"id": {"type": "number"}, "v": {"type": "string"}, "w": {"type": "integer"}});
    warehouse
        .complete(
            &stream,
            &[
                (1, json!({"id": 1.5, "v": "x", "w": 7})),
                (2, json!({"id": 1.5, "v": "y"})),
            ],
        )
        .await;
    assert_eq!(warehouse.query("SELECT id, v, w FROM t"), ["1.5|y|"]);
    assert_eq!(warehouse.query("SELECT v FROM w"), ["y"]);
    // The next sync merges into it by the new key.
    let mut stream = small("append_dedup");
    stream.properties = json!({"id": {"type": "number"}, "v": {"type": "string"}});
    warehouse
        .complete(&stream, &[(3, json!({"id": 1.5, "v": "z"}))])
        .await;
    assert_eq!(warehouse.query("SELECT id, v FROM t"), ["1.5|z"]);
}

#[tokio::test]
async fn with_drop_cascade_the_table_is_exchanged_whatever_hangs_on_it() {
    let warehouse = Warehouse::new().with(json!({"drop_cascade": true}));
    overwrite(&warehouse, 1, "a").await;
    warehouse.execute("CREATE VIEW w AS SELECT v FROM t");
    overwrite(&warehouse, 2, "b").await;
    assert_eq!(warehouse.value("SELECT to_regclass('w') IS NULL"), "t");
    assert_eq!(warehouse.query("SELECT v FROM t"), ["b"]);
}

#[tokio::test]
async fn readers_see_the_old_rows_until_the_overwrite_is_complete() {
    let warehouse = Warehouse::new();
    overwrite(&warehouse, 1, "old").await;
    let stream = small("overwrite").generation(2, 2);
    warehouse.interrupted(&stream, &[row(2, 2, "new")]).await;
    assert_eq!(warehouse.query("SELECT v FROM t"), ["old"]);
    warehouse.complete(&stream, &[]).await;
    assert_eq!(warehouse.query("SELECT v FROM t"), ["new"]);
}

#[tokio::test]
async fn one_schema_for_everything_is_enough() {
    let warehouse = Warehouse::new().with(json!({"raw_data_schema": "public"}));
    for generation in 1..4 {
        let stream = small("overwrite_dedup").generation(generation, generation);
        warehouse
            .complete(&stream, &[row(1, 1, "a"), row(2, 1, "b")])
            .await;
        assert_eq!(warehouse.query("SELECT id, v FROM t"), ["1|b"]);
    }
    warehouse
        .complete(&small("append_dedup"), &[row(3, 1, "c")])
        .await;
    assert_eq!(warehouse.query("SELECT id, v FROM t"), ["1|c"]);
}
