//! A large file with everything CSV allows, read by us and by the `csv` crate.

use serde_json::{Map, Value, json};

use crate::support::{Folder, local};

const ROWS: u64 = 100_000;

/// A cell that depends on its place only.
fn cell(row: u64, column: u64) -> String {
    let mut seed = (row * 7 + column).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    seed ^= seed >> 29;
    match seed % 9 {
        0 => String::new(),
        1 => format!("quote \" and {seed}"),
        2 => format!("comma, {seed}"),
        3 => format!("break\r\n{seed}\n"),
        4 => "é😀\u{0}\t\\".to_owned(),
        5 => format!(" {seed} "),
        6 => "\"\"".to_owned(),
        _ => seed.to_string(),
    }
}

#[tokio::test]
async fn a_hundred_thousand_rows_equal_those_of_the_csv_crate() {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "a", "b", "c"]).unwrap();
    for row in 0..ROWS {
        let cells = [row.to_string(), cell(row, 1), cell(row, 2), cell(row, 3)];
        writer.write_record(&cells).unwrap();
    }
    let bytes = writer.into_inner().unwrap();
    let folder = Folder::new();
    let path = folder.write("file.csv", &bytes);
    let config = local(&path, "csv", &json!({"dtype": "str"}));
    let schema = folder.discover(&config).await.schema();
    let ours = folder
        .read_with(&config, &schema, None, 256 << 10)
        .await
        .expect_success()
        .records();

    let mut oracle = ::csv::Reader::from_reader(bytes.as_slice());
    let names = oracle.headers().unwrap().clone();
    let mut rows = 0;
    for (row, ours) in oracle.records().zip(&ours) {
        let null_or = |text: &str| {
            if text.is_empty() {
                Value::Null
            } else {
                json!(text)
            }
        };
        let theirs: Map<String, Value> = names
            .iter()
            .zip(&row.unwrap())
            .map(|(name, text)| (name.to_owned(), null_or(text)))
            .collect();
        assert_eq!(
            serde_json::from_str::<Value>(ours).unwrap(),
            Value::Object(theirs)
        );
        rows += 1;
    }
    assert_eq!((rows, ours.len() as u64), (ROWS, ROWS));
}
