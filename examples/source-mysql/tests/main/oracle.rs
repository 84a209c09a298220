//! Random tables of all types: the server's own text is the judge of every value, however it is read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cdk_testkit::Ran;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::{Database, Random, eager, read, run, saved};

/// How a value is compared with the server's text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum As {
    /// Digit by digit.
    Number,
    Double,
    Float,
    Boolean,
    /// The server gives the hex digits of its UTF-8.
    Text,
    /// The server gives hex digits, the record base64.
    Bytes,
    /// The same without zeros in front.
    Bits,
    Date,
    DateTime,
    Timestamp,
    Time,
    Json,
}

/// Type, how to compare, and values as SQL.
const TYPES: &[(&str, As, &[&str])] = &[
    ("tinyint", As::Number, &["-128", "127", "0"]),
    ("tinyint(1)", As::Boolean, &["0", "1"]),
    ("tinyint unsigned", As::Number, &["255", "0"]),
    ("smallint", As::Number, &["-32768", "32767"]),
    ("smallint unsigned", As::Number, &["65535"]),
    ("mediumint", As::Number, &["-8388608", "8388607", "-1"]),
    ("mediumint unsigned", As::Number, &["16777215"]),
    ("int", As::Number, &["-2147483648", "2147483647"]),
    (
        "int(10) unsigned zerofill",
        As::Number,
        &["42", "0", "4294967295"],
    ),
    (
        "bigint",
        As::Number,
        &["-9223372036854775808", "9223372036854775807"],
    ),
    (
        "bigint unsigned",
        As::Number,
        &["18446744073709551615", "0"],
    ),
    (
        "decimal(65,30)",
        As::Number,
        &[
            "99999999999999999999999999999999999.999999999999999999999999999999",
            "-0.000000000000000000000000000001",
            "0",
        ],
    ),
    ("decimal(10,2)", As::Number, &["-12345678.90", "0.05", "1"]),
    ("decimal(5,0)", As::Number, &["-99999", "7"]),
    (
        "decimal(30,30)",
        As::Number,
        &["0.123456789012345678901234567890", "-0.5"],
    ),
    ("decimal(12,2) zerofill", As::Number, &["1.5", "0"]),
    (
        "float",
        As::Float,
        &["0.1", "16777217", "1.17549e-38", "3.40282e38", "-2.5"],
    ),
    (
        "double",
        As::Double,
        &[
            "0.1",
            "1e308",
            "-2.2250738585072014e-308",
            "123456789.123456789",
            "1e15",
            "0",
        ],
    ),
    ("bit(1)", As::Boolean, &["b'0'", "b'1'"]),
    ("bit(7)", As::Bits, &["b'1010101'", "0"]),
    ("bit(64)", As::Bits, &["18446744073709551615", "1"]),
    ("year", As::Number, &["1901", "2155", "0", "2024"]),
    (
        "date",
        As::Date,
        &[
            "'1000-01-01'",
            "'9999-12-31'",
            "'0000-00-00'",
            "'2024-02-29'",
            "'2024-00-00'",
        ],
    ),
    (
        "datetime",
        As::DateTime,
        &[
            "'1000-01-01 00:00:00'",
            "'9999-12-31 23:59:59'",
            "'0000-00-00 00:00:00'",
        ],
    ),
    (
        "datetime(3)",
        As::DateTime,
        &["'2024-02-29 12:34:56.789'", "'2024-01-01 00:00:00'"],
    ),
    (
        "datetime(6)",
        As::DateTime,
        &[
            "'2024-02-29 12:34:56.000001'",
            "'1999-12-31 23:59:59.999999'",
        ],
    ),
    (
        "timestamp null",
        As::Timestamp,
        &[
            "'1970-01-01 00:00:01'",
            "'2038-01-19 03:14:07'",
            "'0000-00-00'",
        ],
    ),
    (
        "timestamp(6) null",
        As::Timestamp,
        &["'2024-02-29 12:34:56.000001'", "'2001-09-09 01:46:40'"],
    ),
    (
        "time",
        As::Time,
        &["'838:59:59'", "'-838:59:59'", "'00:00:00'", "'-00:00:01'"],
    ),
    ("time(4)", As::Time, &["'12:30:00.5'", "'-00:00:00.0001'"]),
    (
        "time(6)",
        As::Time,
        &[
            "'-00:00:00.000001'",
            "'23:59:59.999999'",
            "'-838:59:58.999999'",
        ],
    ),
    ("char(10)", As::Text, &["'abc'", "''", "'ab  '", "'é😀'"]),
    ("char(100) character set latin1", As::Text, &["'éÿ€'", "''"]),
    (
        "varchar(300)",
        As::Text,
        &[
            "'quote\" back\\\\ tab\t'",
            "_utf8mb4 x'000a0d1f7f'",
            "repeat('ä',255)",
            "'😀'",
        ],
    ),
    ("varchar(20) character set latin2", As::Text, &["'Łódź'"]),
    ("varchar(20) character set cp850", As::Text, &["'ÇüéâäÆ'"]),
    ("varchar(20) character set cp1251", As::Text, &["'Привет'"]),
    ("varchar(20) character set koi8r", As::Text, &["'Привет'"]),
    ("varchar(20) character set greek", As::Text, &["'Αθήνα'"]),
    ("varchar(20) character set ucs2", As::Text, &["'Zürich'"]),
    ("varchar(20) character set utf16", As::Text, &["'😀é'"]),
    ("varchar(20) character set utf16le", As::Text, &["'😀é'"]),
    ("varchar(20) character set utf32", As::Text, &["'😀é'"]),
    ("varchar(20) character set gbk", As::Text, &["'汉字'"]),
    ("varchar(20) character set big5", As::Text, &["'漢字'"]),
    ("varchar(20) character set sjis", As::Text, &["'漢字カナ'"]),
    ("varchar(20) character set ujis", As::Text, &["'漢字カナ'"]),
    ("varchar(20) character set euckr", As::Text, &["'한글'"]),
    ("tinytext", As::Text, &["'x'", "''"]),
    ("text", As::Text, &["repeat('line\n', 1000)"]),
    ("mediumtext", As::Text, &["repeat('0123456789', 10000)"]),
    ("longtext character set latin1", As::Text, &["'ß'"]),
    (
        "enum('a','it''s','x,y','ü')",
        As::Text,
        &["'a'", "'it''s'", "'x,y'", "'ü'", "'no such label'"],
    ),
    (
        "set('a','it''s','ü','d','e','f','g','h','i')",
        As::Text,
        &["''", "'a,ü,i'", "'it''s'"],
    ),
    ("binary(5)", As::Bytes, &["x'0102'", "x'0000000000'", "x''"]),
    (
        "varbinary(300)",
        As::Bytes,
        &["x'00ff'", "x''", "repeat(x'0a', 300)"],
    ),
    ("blob", As::Bytes, &["x'00010203'", "repeat(x'ff', 70000)"]),
    ("longblob", As::Bytes, &["x'5c22'"]),
    (
        "json",
        As::Json,
        &[
            "'{\"a\": [1, 2.50, null, \"x\\\\\"y\"]}'",
            "'[]'",
            "'12345678901234567890123'",
            "'\"é\"'",
        ],
    ),
    (
        "uuid",
        As::Text,
        &[
            "'123e4567-e89b-12d3-a456-426655440000'",
            "'ffffffff-ffff-4fff-bfff-ffffffff0000'",
        ],
    ),
    ("inet4", As::Text, &["'192.168.0.1'", "'10.0.0.0'"]),
    (
        "inet6",
        As::Text,
        &["'2001:db8::ff00:42:8329'", "'::'", "'::ffff:192.168.0.1'"],
    ),
    ("point", As::Bytes, &["point(1, 2.5)"]),
    (
        "geometry",
        As::Bytes,
        &["st_geomfromtext('LINESTRING(0 0, 1 1)', 4326)"],
    ),
    ("int generated always as (id * 2) stored", As::Number, &[]),
    ("int generated always as (id * 3) virtual", As::Number, &[]),
];

/// A table: its columns by number in `TYPES`.
struct Table {
    name: String,
    columns: Vec<usize>,
}

impl Table {
    fn create(&self) -> String {
        let columns = self
            .columns
            .iter()
            .map(|at| format!("c{at} {}", TYPES[*at].0));
        let columns: Vec<_> = columns.collect();
        format!(
            "CREATE TABLE {} (id INT PRIMARY KEY, {});",
            self.name,
            columns.join(", ")
        )
    }

    fn insert(&self, id: usize, random: &mut Random) -> String {
        let filled: Vec<_> = self
            .columns
            .iter()
            .filter(|at| !TYPES[**at].2.is_empty())
            .collect();
        let names: Vec<_> = filled.iter().map(|at| format!("c{at}")).collect();
        let values: Vec<_> = filled.iter().map(|at| value(**at, random)).collect();
        format!(
            "INSERT INTO {} (id, {}) VALUES ({id}, {});",
            self.name,
            names.join(", "),
            values.join(", ")
        )
    }

    fn update(&self, id: usize, random: &mut Random) -> String {
        let filled: Vec<_> = self
            .columns
            .iter()
            .filter(|at| !TYPES[**at].2.is_empty())
            .collect();
        let sets: Vec<_> = filled
            .iter()
            .map(|at| format!("c{at} = {}", value(**at, random)))
            .collect();
        format!(
            "UPDATE {} SET {} WHERE id = {id};",
            self.name,
            sets.join(", ")
        )
    }

    /// What the server says its rows are: by id, a text for each column.
    fn expected(&self, database: &Database<'_>) -> BTreeMap<u64, Vec<Option<String>>> {
        let expression = |at: &usize| {
            let column = format!("c{at}");
            let text = match TYPES[*at].1 {
                As::Text => format!("HEX(CONVERT({column} USING utf8mb4))"),
                As::Bytes | As::Bits => format!("HEX({column})"),
                As::Number | As::Boolean => format!("{column} + 0"),
                As::Float => format!("{column} + 0e0"),
                As::Json => format!("HEX({column})"),
                _ => column,
            };
            format!("IFNULL({text}, 'NULL')")
        };
        let columns: Vec<_> = self.columns.iter().map(expression).collect();
        let printed = database.sql(&format!(
            "SELECT id, {} FROM {}",
            columns.join(", "),
            self.name
        ));
        let row = |line: &str| {
            let mut values = line.split('\t');
            let id = values.next().unwrap().parse().unwrap();
            let values = values.map(|value| Some(value.to_owned()).filter(|value| value != "NULL"));
            (id, values.collect())
        };
        printed.lines().map(row).collect()
    }

    /// Compares records (the last of each id counts) with the server's rows.
    fn compare(&self, ran: &[&Ran], database: &Database<'_>, how: &str) {
        let mut seen: BTreeMap<u64, BTreeMap<String, Box<RawValue>>> = BTreeMap::new();
        for record in ran.iter().flat_map(|ran| ran.records(&self.name)) {
            let data: BTreeMap<String, Box<RawValue>> =
                serde_json::from_str(record.data.get()).unwrap();
            seen.insert(data["id"].get().parse().unwrap(), data);
        }
        let expected = self.expected(database);
        assert!(
            seen.keys().eq(expected.keys()),
            "{how}: rows of {}",
            self.name
        );
        for (id, values) in &expected {
            for (at, value) in self.columns.iter().zip(values) {
                let (type_name, compared, _) = TYPES[*at];
                let found = seen[id]
                    .get(&format!("c{at}"))
                    .map_or("absent", |found| found.get());
                assert!(
                    is_same(compared, value.as_deref(), found),
                    "{how}: {type_name} of row {id}: the server says {value:?}, the record {found:.300}"
                );
            }
        }
    }
}

fn value(at: usize, random: &mut Random) -> String {
    match random.below(4) {
        0 => "NULL".to_owned(),
        _ => (*random.pick(TYPES[at].2)).to_owned(),
    }
}

fn is_same(compared: As, expected: Option<&str>, found: &str) -> bool {
    let Some(expected) = expected else {
        return found == "null";
    };
    let string =
        || serde_json::from_str::<String>(found).unwrap_or_else(|_| panic!("no string: {found}"));
    let is_zero_date = expected.contains("-00");
    match compared {
        As::Number => found == expected,
        As::Double => {
            found.parse::<f64>().unwrap().to_bits() == expected.parse::<f64>().unwrap().to_bits()
        }
        As::Float => {
            found.parse::<f32>().unwrap().to_bits()
                == (expected.parse::<f64>().unwrap() as f32).to_bits()
        }
        As::Boolean => found == if expected == "0" { "false" } else { "true" },
        As::Text => string() == String::from_utf8(unhex(expected)).unwrap(),
        As::Bytes => STANDARD.decode(string()).unwrap() == unhex(expected),
        As::Bits => {
            let bytes = STANDARD.decode(string()).unwrap();
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            digits.trim_start_matches('0') == expected.trim_start_matches('0')
        }
        As::Date if is_zero_date => found == "null",
        As::DateTime | As::Timestamp if expected.split(' ').next().unwrap().contains("-00") => {
            found == "null"
        }
        As::Date | As::Time => string() == expected,
        As::DateTime => string() == expected.replace(' ', "T"),
        As::Timestamp => string() == format!("{}Z", expected.replace(' ', "T")),
        As::Json => found == String::from_utf8(unhex(expected)).unwrap(),
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// Random tables that together hold every type.
fn tables(random: &mut Random) -> Vec<Table> {
    let mut left: Vec<usize> = (0..TYPES.len()).collect();
    let mut tables = Vec::new();
    while !left.is_empty() {
        let many = (5 + random.below(15)).min(left.len());
        let columns = (0..many)
            .map(|_| left.swap_remove(random.below(left.len())))
            .collect();
        tables.push(Table {
            name: format!("t{}", tables.len()),
            columns,
        });
    }
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn full_refreshes_give_what_the_server_says() {
    let (mut random, database) = (Random::new(1), Database::shared("oracle"));
    let tables = tables(&mut random);
    for table in &tables {
        let inserts: String = (0..40).map(|id| table.insert(id, &mut random)).collect();
        database.sql(&format!("{}{inserts}", table.create()));
    }
    let config = database.config(serde_json::json!({}));
    let catalog = database.catalog(&config, "full_refresh", None).await;
    let ran = read(&config, &catalog, None).await;
    tables
        .iter()
        .for_each(|table| table.compare(&[&ran], &database, "full refresh"));
    let pieces = run("read", &config, Some(&catalog), None, eager(7))
        .await
        .succeeded();
    tables
        .iter()
        .for_each(|table| table.compare(&[&pieces], &database, "in pieces"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_gives_what_the_server_says() {
    let (mut random, database) = (Random::new(2), Database::shared("oracle_cdc"));
    let tables = tables(&mut random);
    for table in &tables {
        let inserts: String = (0..20).map(|id| table.insert(id, &mut random)).collect();
        database.sql(&format!("{}{inserts}", table.create()));
    }
    let config = database.cdc();
    let catalog = database.catalog(&config, "incremental", None).await;
    let first = run("read", &config, Some(&catalog), None, eager(7))
        .await
        .succeeded();
    tables
        .iter()
        .for_each(|table| table.compare(&[&first], &database, "first load"));
    for table in &tables {
        let inserts: String = (20..60).map(|id| table.insert(id, &mut random)).collect();
        let updates: String = (0..40).map(|id| table.update(id, &mut random)).collect();
        database.sql(&format!("{inserts}{updates}"));
    }
    let second = read(&config, &catalog, Some(&saved(&first))).await;
    tables
        .iter()
        .for_each(|table| table.compare(&[&first, &second], &database, "log"));
    let none = read(&config, &catalog, Some(&saved(&second))).await;
    tables
        .iter()
        .for_each(|table| assert_eq!(none.records(&table.name).len(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_part_of_a_value_is_noted() {
    let database = Database::shared("losses");
    database.sql("CREATE TABLE t (id INT PRIMARY KEY, d DATE, b TINYINT(1)); INSERT INTO t VALUES (1, '2024-00-01', 5)");
    for (config, mode) in [
        (database.config(serde_json::json!({})), "full_refresh"),
        (database.cdc(), "incremental"),
    ] {
        let catalog = database.catalog(&config, mode, None).await;
        let first = read(&config, &catalog, None).await;
        let record = first.records("t")[0];
        let data: Value = record.data.parse_as().unwrap();
        assert_eq!((&data["d"], &data["b"]), (&Value::Null, &Value::Bool(true)));
        let changes = &record.meta.as_ref().unwrap().changes;
        let noted: Vec<_> = changes
            .iter()
            .map(|change| (change.field.as_str(), change.change.as_str()))
            .collect();
        assert_eq!(noted, [("d", "NULLED"), ("b", "TRUNCATED")]);
    }
}
