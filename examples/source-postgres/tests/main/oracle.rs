//! Values of every type, with the server as judge: what it prints is what must arrive.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::{Db, no_state};

/// How a column's JSON is compared with what the server says.
#[derive(Clone, Copy)]
pub(crate) enum Judge {
    /// The JSON text, byte for byte.
    Text,
    /// The value.
    Value,
}
use Judge::{Text, Value as ByValue};

/// Name, type, an expression of `g` for random values, what the server says the JSON is, how to compare.
pub(crate) const COLUMNS: &[(&str, &str, &str, &str, Judge)] = &[
    (
        "flag",
        "boolean",
        "random() < 0.5",
        "to_json(#)::text",
        Text,
    ),
    (
        "small",
        "smallint",
        "(random() * 65535 - 32768)::int::smallint",
        "#::text",
        Text,
    ),
    (
        "whole",
        "integer",
        "(random() * 4294967295 - 2147483648)::bigint::integer",
        "#::text",
        Text,
    ),
    (
        "large",
        "bigint",
        "(random() * 2 - 1)::numeric * 9223372036854775807",
        "#::text",
        Text,
    ),
    (
        "real_",
        "real",
        "CASE g % 7 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE (random() * 10 ^ (random() * 60 - 30))::real END",
        NUMBER,
        ByValue,
    ),
    (
        "double_",
        "double precision",
        "CASE g % 7 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' ELSE random() * 10 ^ (random() * 500 - 250) END",
        NUMBER,
        ByValue,
    ),
    (
        "exact",
        "numeric",
        "CASE g % 9 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' WHEN 2 THEN 0 ELSE round((random() - 0.5)::numeric * 10::numeric ^ (g % 50 - 10), (g * 7) % 40 - 5) END",
        NUMBER,
        Text,
    ),
    (
        "scaled",
        "numeric(30,10)",
        "(random() - 0.5)::numeric * 10::numeric ^ (g % 19)",
        "#::text",
        Text,
    ),
    (
        "cash",
        "money",
        "((random() - 0.5) * 1000000)::numeric::money",
        "#::numeric::text",
        Text,
    ),
    ("words", "text", RANDOM_TEXT, "to_json(#)::text", ByValue),
    (
        "limited",
        "varchar(40)",
        RANDOM_TEXT,
        "to_json(#)::text",
        ByValue,
    ),
    (
        "padded",
        "char(60)",
        RANDOM_TEXT,
        "to_json(#)::text",
        ByValue,
    ),
    (
        "one",
        "\"char\"",
        "chr(65 + g % 26)::\"char\"",
        "to_json(#::text)::text",
        ByValue,
    ),
    (
        "label",
        "name",
        "('n' || g)::name",
        "to_json(#)::text",
        ByValue,
    ),
    (
        "bytes",
        "bytea",
        "decode(md5(g::text) || repeat('00ff', g % 40), 'hex')",
        "to_json(replace(encode(#, 'base64'), E'\\n', ''))::text",
        Text,
    ),
    (
        "ident",
        "uuid",
        "md5(g::text)::uuid",
        "to_json(#)::text",
        Text,
    ),
    (
        "day",
        "date",
        "CASE g % 7 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' ELSE date '0001-01-01' + (random() * 4000000 - 1721425)::int END",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "clock",
        "time",
        "CASE g % 9 WHEN 0 THEN '24:00:00' ELSE time '00:00' + random() * interval '24 hours' END",
        "to_json(iso(#))::text",
        Text,
    ),
    (
        "clock_tz",
        "timetz",
        "(time '00:00' + random() * interval '24 hours') AT TIME ZONE make_interval(mins => (random() * 1800 - 900)::int)",
        "to_json(iso(#))::text",
        Text,
    ),
    (
        "moment",
        "timestamp",
        "CASE g % 7 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' ELSE timestamp '0001-01-01' + random() * interval '4000000 days' - interval '1721000 days' END",
        "to_json(iso(#, ''))::text",
        Text,
    ),
    (
        "moment_tz",
        "timestamptz",
        "CASE g % 7 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' ELSE timestamptz '0001-01-01' + random() * interval '4000000 days' - interval '1721000 days' END",
        "to_json(iso(# AT TIME ZONE 'UTC', 'Z'))::text",
        Text,
    ),
    (
        "rough",
        "timestamp(0)",
        "now()::timestamp - random() * interval '100 days'",
        "to_json(iso(#, ''))::text",
        Text,
    ),
    (
        "span",
        "interval",
        "make_interval(years => g % 5 - 2, months => g % 11, days => g % 40 - 20, secs => (random() * 100000 - 50000))",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "doc",
        "json",
        "json_build_object('a', g, 'b', E'line\\nbreak', 'c', ARRAY[NULL, 1.50, 1e30])",
        "#::text",
        ByValue,
    ),
    (
        "spread",
        "json",
        "(E'{\\n\"a\":\\r\\n[1, ' || g || E'\\n]}')::json",
        "#::text",
        ByValue,
    ),
    (
        "docb",
        "jsonb",
        "CASE g % 4 WHEN 0 THEN to_jsonb(g) WHEN 1 THEN 'null' WHEN 2 THEN to_jsonb(words(g)) ELSE jsonb_build_object('n', 12345678901234567890.123456789, 'k', words(g)) END",
        "#::text",
        Text,
    ),
    (
        "address",
        "inet",
        "('10.1.' || g % 256 || '.7')::inet",
        "to_json(format('%s', #))::text",
        Text,
    ),
    (
        "addresses",
        "inet[]",
        "ARRAY['10.0.0.1', '10.1.2.3/8', '::1', NULL]::inet[]",
        "'[\"10.0.0.1\",\"10.1.2.3/8\",\"::1\",null]'",
        Text,
    ),
    (
        "network",
        "cidr",
        "('10.1.' || g % 256 || '.0/24')::cidr",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "card",
        "macaddr",
        "'08:00:2b:01:02:03'",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "bits",
        "bit(11)",
        "(g * 7)::bit(11)",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "more_bits",
        "varbit",
        "substr(g::bit(32)::text, 1, g % 32)::varbit",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "spot",
        "point",
        "point(random(), random() * 1e10)",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "shape",
        "polygon",
        "'((0,0),(1,1),(1,0))'",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "found",
        "tsvector",
        "to_tsvector('simple', words(g))",
        "to_json(#::text)::text",
        ByValue,
    ),
    (
        "asked",
        "tsquery",
        "'fat & (rat | cat)'",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "range_",
        "int4range",
        "int4range(g, g + g % 3)",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "times",
        "tstzrange",
        "tstzrange(now(), now() + g * interval '1 h', '[]')",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "markup",
        "xml",
        "('<a>' || g || '</a>')::xml",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "position",
        "pg_lsn",
        "('0/' || to_hex(g))::pg_lsn",
        "to_json(#::text)::text",
        Text,
    ),
    (
        "number_",
        "oid",
        "(random() * 4294967295)::bigint::oid",
        "#::text",
        Text,
    ),
    (
        "mood",
        "mood",
        "(ARRAY['glad', 'sad', 'it''s \"odd\"'])[g % 3 + 1]::mood",
        "to_json(#::text)::text",
        Text,
    ),
    ("even", "even", "(g * 2)::even", "#::text", Text),
    (
        "pair",
        "pair",
        "ROW(g, words(g))::pair",
        "to_json(#::text)::text",
        ByValue,
    ),
    (
        "tags",
        "text[]",
        "ARRAY[NULL, 'NULL', '', words(g), 'a,b', '{x}', E'q\"\\\\']",
        "to_json(#)::text",
        ByValue,
    ),
    (
        "grid",
        "int[]",
        "ARRAY[[g, NULL, -1], [1, 2, 3]]",
        "to_json(#)::text",
        ByValue,
    ),
    ("none", "int[]", "'{}'", "'[]'", Text),
    (
        "sums",
        "numeric[]",
        "ARRAY[1.10, g / 7.0, 0]::numeric[]",
        "to_json(#)::text",
        ByValue,
    ),
    (
        "moods",
        "mood[]",
        "ARRAY['glad', NULL]::mood[]",
        "to_json(#)::text",
        ByValue,
    ),
    (
        "evens",
        "even[]",
        "ARRAY[g * 2, NULL]::even[]",
        "to_json(#)::text",
        ByValue,
    ),
    (
        "ranges",
        "int4range[]",
        "ARRAY[int4range(1, g + 2), NULL]",
        "to_json(#::text[])::text",
        ByValue,
    ),
    (
        "moments",
        "timestamptz[]",
        "ARRAY['2024-01-02 03:04:05+00', NULL]::timestamptz[]",
        "'[\"2024-01-02T03:04:05.000000Z\",null]'",
        Text,
    ),
    (
        "wallet",
        "money[]",
        "ARRAY['$1,234.50', '-$7.00']::money[]",
        "'[1234.50,-7.00]'",
        Text,
    ),
    (
        "docs",
        "jsonb[]",
        "ARRAY['{\"a\": \"x,y\"}', '\"\"', NULL]::jsonb[]",
        "to_json(#)::text",
        ByValue,
    ),
    (
        "pairs_",
        "hstore",
        "hstore(ARRAY['k', words(g), 'n', NULL])",
        "hstore_to_json(#)::text",
        ByValue,
    ),
    (
        "fold",
        "citext",
        "words(g)::citext",
        "to_json(#::text)::text",
        ByValue,
    ),
];

const RANDOM_TEXT: &str = "left(words(g), 40)";
const NUMBER: &str = "CASE WHEN #::text IN ('NaN', 'Infinity', '-Infinity') THEN to_json(#::text)::text ELSE #::text END";

/// Types and functions that the columns need.
const PRELUDE: &str = r#"
SELECT setseed(0.4);
CREATE EXTENSION hstore; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('glad', 'sad', 'it''s "odd"');
CREATE DOMAIN even AS int CHECK (VALUE % 2 = 0);
CREATE TYPE pair AS (n int, t text);
CREATE FUNCTION words(g int) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(string_agg(chr((ARRAY[34, 92, 10, 13, 9, 1, 31, 127, 39, 44, 123, 125, 32, 65, 122, 228, 8364, 65533, 128512])
        [1 + (random() * 18)::int]), ''), '') FROM generate_series(1, (random() * 30)::int + g % 2) $$;
CREATE FUNCTION iso(t timestamp, zone text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN NOT isfinite(t) THEN t::text ELSE
        lpad(abs(extract(year FROM t))::text, greatest(4, length(abs(extract(year FROM t))::text)), '0')
        || to_char(t, '-MM-DD"T"HH24:MI:SS.US') || zone || CASE WHEN extract(year FROM t) < 0 THEN ' BC' ELSE '' END END $$;
CREATE FUNCTION iso(t time) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN t = '24:00' THEN '24:00:00.000000' ELSE to_char(t, 'HH24:MI:SS.US') END $$;
CREATE FUNCTION iso(t timetz) RETURNS text LANGUAGE sql AS $$
    SELECT iso(t::time) || CASE WHEN extract(timezone FROM t) < 0 THEN '-' ELSE '+' END
        || lpad((abs(extract(timezone FROM t))::int / 3600)::text, 2, '0') || ':'
        || lpad((abs(extract(timezone FROM t))::int / 60 % 60)::text, 2, '0') $$;
"#;

/// A table with all columns, `rows` random rows, one row of nulls, and a few of the edges of each range.
pub(crate) fn statements(rows: u32) -> String {
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|(name, kind, ..)| format!("{name} {kind}"))
        .collect();
    let values: Vec<_> = COLUMNS
        .iter()
        .map(|(_, kind, value, ..)| format!("({value})::{kind}"))
        .collect();
    format!(
        "{PRELUDE} CREATE TABLE zoo (id int PRIMARY KEY, {}); \
         INSERT INTO zoo SELECT g, {} FROM generate_series(1, {rows}) g; \
         INSERT INTO zoo (id) VALUES (0); \
         INSERT INTO zoo (id, day, moment, moment_tz, large, small, whole, bytes, words, exact) VALUES \
            (-1, '4714-11-24 BC', '4714-11-24 00:00:00 BC', '4714-11-24 00:00:00+00 BC', -9223372036854775808, -32768, \
                -2147483648, '', '', 1e-1000), \
            (-2, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', 9223372036854775807, \
                32767, 2147483647, '\\x00', repeat('long \"', 100000), 1e1000)",
        columns.join(", "),
        values.join(", ")
    )
}

/// What the server says the JSON of each column is, by row.
pub(crate) fn expected(db: &Db, table: &str) -> BTreeMap<i64, BTreeMap<String, Value>> {
    let halves = COLUMNS.chunks(40).map(|columns| {
        let members: Vec<_> = columns
            .iter()
            .map(|(name, _, _, json, _)| {
                let json = json.replace('#', name);
                format!("'{name}', CASE WHEN {name} IS NOT NULL THEN {json} END")
            })
            .collect();
        format!("jsonb_build_object({})", members.join(", "))
    });
    let object = halves.collect::<Vec<_>>().join(" || ");
    let printed = db.sql(&format!("SET timezone = 'UTC'; SET extra_float_digits = 3; SELECT id || ' ' || ({object})::text FROM {table}"));
    let row = |line: &str| {
        let (id, json) = line.split_once(' ').unwrap();
        (id.parse().unwrap(), serde_json::from_str(json).unwrap())
    };
    printed.lines().map(row).collect()
}

/// Panics unless the record is what the server says.
pub(crate) fn judge(record: &str, expected: &BTreeMap<i64, BTreeMap<String, Value>>) -> i64 {
    let record: BTreeMap<String, Box<RawValue>> = serde_json::from_str(record).unwrap();
    let id: i64 = record["id"].get().parse().unwrap();
    for (name, kind, _, _, how) in COLUMNS {
        let (got, wanted) = (
            record[*name].get(),
            expected[&id][*name].as_str().unwrap_or("null"),
        );
        let is_equal = match how {
            Text => got == wanted,
            ByValue => {
                serde_json::from_str::<Value>(got).unwrap()
                    == serde_json::from_str::<Value>(wanted).unwrap()
            }
        };
        assert!(
            is_equal,
            "row {id}, column {name} of type {kind}:\n     got {got}\nexpected {wanted}"
        );
    }
    id
}

/// The same for records of columns, whose JSON leaves out zeros at the end of a fraction of seconds.
#[cfg(feature = "arrow")]
pub(crate) fn judge_loosely(record: &str, expected: &BTreeMap<i64, BTreeMap<String, Value>>) {
    let record: BTreeMap<String, Box<RawValue>> = serde_json::from_str(record).unwrap();
    let id: i64 = record["id"].get().parse().unwrap();
    for (name, kind, ..) in COLUMNS {
        let (got, wanted) = (
            record[*name].get(),
            expected[&id][*name].as_str().unwrap_or("null"),
        );
        if got == wanted {
            continue;
        }
        let value = |json: &str| short(&serde_json::from_str(json).unwrap());
        assert_eq!(
            value(got),
            value(wanted),
            "row {id}, column {name} of type {kind}"
        );
    }
}

/// The JSON, without zeros at the end of the fraction of a time.
#[cfg(feature = "arrow")]
fn short(value: &Value) -> String {
    let text = value.to_string();
    let Some((whole, rest)) = text
        .split_once('.')
        .filter(|(whole, _)| whole.contains(':'))
    else {
        return text;
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at(end);
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}{zone}"),
        fraction => format!("{whole}.{fraction}{zone}"),
    }
}

#[tokio::test]
async fn every_value_of_every_type_arrives_as_the_server_prints_it() {
    let db = Db::new(&statements(200));
    let expected = expected(&db, "zoo");
    let catalog = db.catalog(&[("zoo", "full_refresh", None)]).await;
    let ran = db.read(&catalog, &no_state()).await.succeeded();
    let ids: Vec<_> = ran
        .records("zoo")
        .iter()
        .map(|record| judge(record.data.get(), &expected))
        .collect();
    assert_eq!(ids.len(), expected.len());
    assert!(
        ran.records("zoo")
            .iter()
            .all(|record| record.meta.is_none()),
        "nothing was lost"
    );
}
