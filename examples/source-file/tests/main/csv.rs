//! CSV from local files.

use cdk_core::entrypoint::Exit;
use serde_json::{Value, json};

use crate::support::{Folder, Output, local};

async fn read(content: impl AsRef<[u8]>, options: Value) -> Output {
    let folder = Folder::new();
    let path = folder.write("file.csv", content);
    folder.read(&local(&path, "csv", &options)).await
}

async fn records(content: impl AsRef<[u8]>, options: Value) -> Vec<String> {
    read(content, options).await.expect_success().records()
}

#[tokio::test]
async fn cells_become_typed_values_with_all_their_digits() {
    let text = "id,price,ok,name,note\n\
        123456789012345678901234567890,1.10,TRUE,\"a \"\"b\"\"\",\n\
        -2,NA,false,NA,\"\"\n";
    let expected = [
        r#"{"id":123456789012345678901234567890,"price":1.10,"ok":true,"name":"a \"b\"","note":null}"#,
        r#"{"id":-2,"price":null,"ok":false,"name":"NA","note":""}"#,
    ];
    assert_eq!(records(text, json!({})).await, expected);
}

#[tokio::test]
async fn discover_describes_a_resumable_full_refresh_stream() {
    let folder = Folder::new();
    let path = folder.write("file.csv", "a,b,c,d\n1,1.5,x,true\n");
    let output = folder
        .discover(&local(&path, "csv", &json!({})))
        .await
        .expect_success();
    let types = [
        ("a", "integer"),
        ("b", "number"),
        ("c", "string"),
        ("d", "boolean"),
    ];
    let types = types.map(|(name, kind)| (name.to_owned(), json!(kind)));
    assert_eq!(output.types(), types);
    assert!(
        output
            .text
            .contains(r#""supported_sync_modes":["full_refresh"]"#),
        "{}",
        output.text
    );
    assert!(
        output.text.contains(r#""is_resumable":true"#),
        "{}",
        output.text
    );
}

#[tokio::test]
async fn every_kind_of_line_break_and_quoted_breaks_are_read() {
    let text = "a,b\r\n1,\"x\r\ny\"\r2,\"p\nq\"\n\n3,z";
    let expected = [
        r#"{"a":1,"b":"x\r\ny"}"#,
        r#"{"a":2,"b":"p\nq"}"#,
        r#"{"a":3,"b":"z"}"#,
    ];
    assert_eq!(records(text, json!({})).await, expected);
}

#[tokio::test]
async fn encodings_are_decoded() {
    assert_eq!(
        records(b"\xef\xbb\xbfa\n\xc3\xa9\n", json!({})).await,
        [r#"{"a":"é"}"#]
    );
    let latin = records(b"n\xe4me\n\xe9\x80\n", json!({"encoding": "latin1"})).await;
    assert_eq!(latin, [r#"{"näme":"é€"}"#]);
    let utf16: Vec<u8> = "\u{feff}a,b\n😀,2\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(records(utf16, json!({})).await, [r#"{"a":"😀","b":2}"#]);
}

#[tokio::test]
async fn wrong_encoding_is_a_config_error_with_place_and_remedy() {
    let output = read(b"a,b\n1,x\n2,\xff\n3,y\n", json!({})).await;
    let (kind, message) = output.error();
    assert_eq!(
        (output.exit, kind.as_str()),
        (Exit::Failure, "config_error")
    );
    assert!(
        message.contains("line 3 (byte 8") && message.contains("byte 2 of the row"),
        "{message}"
    );
    assert!(message.contains("`encoding`"), "{message}");
    assert_eq!(output.records(), [r#"{"a":1,"b":"x"}"#]);
}

#[tokio::test]
async fn a_row_of_wrong_width_ends_the_read_but_keeps_what_came_before() {
    let output = read("a,b\n1,x\n2,y\n3,z,zz\n4,w\n", json!({})).await;
    let (kind, message) = output.error();
    assert_eq!(
        (output.exit, kind.as_str()),
        (Exit::Failure, "config_error")
    );
    for part in [
        "file.csv, line 4 (byte 12",
        "3 cells, but the header 2",
        "on_bad_lines",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(
        output.records(),
        [r#"{"a":1,"b":"x"}"#, r#"{"a":2,"b":"y"}"#]
    );
    let states = output.states();
    let (before, state) = states.last().unwrap();
    assert_eq!(
        (
            *before,
            &state["stream"]["stream_state"]["position"]["rows"]
        ),
        (2, &json!(2))
    );
    assert_eq!(
        output.stream_statuses(),
        ["STARTED", "RUNNING", "INCOMPLETE"]
    );
}

#[tokio::test]
async fn a_repaired_row_is_read_on_from_where_the_read_ended() {
    let folder = Folder::new();
    let text = "a,b\n1,x\n2\n3,z\n";
    let path = folder.write("file.csv", text);
    let config = local(&path, "csv", &json!({}));
    let schema = folder.discover(&config).await.schema();
    let failed = folder.read_with(&config, &schema, None, 1000).await;
    assert_eq!((failed.exit, failed.records().len()), (Exit::Failure, 1));
    // The same file again fails at the same place, and gives no row twice.
    let state = json!([failed.states().last().unwrap().1]);
    let again = folder.read_with(&config, &schema, Some(&state), 1000).await;
    assert_eq!((again.exit, again.records().len()), (Exit::Failure, 0));
    assert!(again.error().1.contains("line 3"), "{}", again.error().1);
    // A repaired file is another file: it is read from the start.
    folder.write("file.csv", text.replace("2\n", "2,yy\n"));
    let repaired = folder
        .read_with(&config, &schema, Some(&state), 1000)
        .await
        .expect_success();
    assert_eq!(repaired.records().len(), 3);
    assert!(
        repaired.text.contains("is read from the start"),
        "{}",
        repaired.text
    );
}

#[tokio::test]
async fn bad_rows_are_skipped_and_counted_on_demand() {
    let text = "a,b\n1,x\n2,y,y\n3\n4,\"w\n5,v\n";
    let output = read(text, json!({"on_bad_lines": "skip"}))
        .await
        .expect_success();
    assert_eq!(
        output.records(),
        [r#"{"a":1,"b":"x"}"#, r#"{"a":5,"b":"v"}"#]
    );
    for part in [
        "line 3 ",
        "line 4 ",
        "line 5 ",
        "never closed",
        "3 bad rows were left out",
    ] {
        assert!(output.text.contains(part), "{part}: {}", output.text);
    }
}

#[tokio::test]
async fn an_unclosed_quote_names_the_line_it_starts_on() {
    let output = read("a,b\n1,x\n2,\"y\n3,z\n", json!({})).await;
    let (kind, message) = output.error();
    assert_eq!(kind, "config_error");
    assert!(
        message.contains("line 3 ") && message.contains("never closed"),
        "{message}"
    );
    assert_eq!(output.records().len(), 1);
}

#[tokio::test]
async fn a_huge_cell_is_read_up_to_the_row_limit() {
    let cell = "x".repeat(3_000_000);
    let text = format!("a,b\n1,\"{cell}\"\n2,y\n");
    let seen = records(&text, json!({})).await;
    assert_eq!(seen[0], format!(r#"{{"a":1,"b":"{cell}"}}"#));
    let limited = read(&text, json!({"max_row_bytes": 1_000_000})).await;
    let (kind, message) = limited.error();
    assert_eq!(kind, "config_error");
    assert!(
        message.contains("line 2 ") && message.contains("1000000 bytes"),
        "{message}"
    );
}

#[tokio::test]
async fn an_empty_file_is_a_config_error_and_a_header_alone_is_not() {
    let folder = Folder::new();
    let empty = folder.write("empty.csv", "");
    let output = folder.discover(&local(&empty, "csv", &json!({}))).await;
    assert_eq!(output.error().0, "config_error");
    assert!(
        output.error().1.contains("empty.csv is empty"),
        "{}",
        output.error().1
    );
    let read = read("a,b\n", json!({})).await.expect_success();
    assert_eq!(read.records().len(), 0);
    assert_eq!(read.states().len(), 1);
    assert_eq!(read.stream_statuses(), ["STARTED", "COMPLETE"]);
}

#[tokio::test]
async fn header_names_become_distinct() {
    let seen = records("a,a,,a\n1,2,3,4\n", json!({})).await;
    assert_eq!(seen, [r#"{"a":1,"a.1":2,"Unnamed: 2":3,"a.2":4}"#]);
}

#[tokio::test]
async fn reader_options_change_how_the_file_is_read() {
    let seen = records(
        "junk\nx;'a;b'\n",
        json!({"sep": ";", "quotechar": "'", "skiprows": 1, "names": ["p", "q"]}),
    );
    assert_eq!(seen.await, [r#"{"p":"x","q":"a;b"}"#]);
    let options = json!({"nrows": 2, "dtype": {"a": "str"}, "na_values": ["?"]});
    let seen = records("a,b\n007,?\n8,2\n9,3\n", options).await;
    assert_eq!(seen, [r#"{"a":"007","b":null}"#, r#"{"a":"8","b":2}"#]);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_null_and_the_record_says_so() {
    let mut text = String::from("id,b\n");
    // More than the inference looks at.
    (0..200_000).for_each(|row| text += &format!("{row},1\n"));
    text += "x,oops\n";
    let output = read(&text, json!({})).await.expect_success();
    assert_eq!(output.records().last().unwrap(), r#"{"id":null,"b":null}"#);
    let change =
        |field| json!({"field": field, "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"});
    let metas = output.metas();
    assert_eq!(
        metas.last().unwrap(),
        &json!({"changes": [change("id"), change("b")]})
    );
    assert_eq!(metas.iter().filter(|meta| !meta.is_null()).count(), 1);
    assert!(
        output
            .text
            .contains("1 values do not fit the column's type")
    );
}

#[tokio::test]
async fn columns_outside_the_catalog_are_left_out_and_its_types_count() {
    let folder = Folder::new();
    let path = folder.write("file.csv", "a,b,c\n1,2,3\n");
    let config = local(&path, "csv", &json!({}));
    let schema =
        json!({"properties": {"c": {"type": ["null", "string"]}, "a": {"type": "number"}}});
    let output = folder
        .read_with(&config, &schema, None, 1000)
        .await
        .expect_success();
    assert_eq!(output.records(), [r#"{"a":1,"c":"3"}"#]);
}

#[tokio::test]
async fn missing_files_and_folders_are_config_errors() {
    let folder = Folder::new();
    let missing = folder.0.path().join("none.csv");
    let (status, message) = folder
        .check(&local(&missing, "csv", &json!({})))
        .await
        .status();
    assert_eq!(status, "FAILED");
    assert!(message.contains("none.csv does not exist"), "{message}");
    let (_, message) = folder
        .check(&local(folder.0.path(), "csv", &json!({})))
        .await
        .status();
    assert!(message.contains("is a folder"), "{message}");
    let (_, message) = folder
        .check(&local(std::path::Path::new("/dev/zero"), "csv", &json!({})))
        .await
        .status();
    assert!(message.contains("is a device or pipe"), "{message}");
}

#[tokio::test]
async fn check_reads_the_first_row() {
    let folder = Folder::new();
    let good = folder.write("good.csv", "a,b\n1,2\n");
    let good = folder
        .check(&local(&good, "csv", &json!({})))
        .await
        .expect_success();
    assert_eq!(good.status().0, "SUCCEEDED");
    let bad = folder.write("bad.csv", "a,b\n1,2,3\n");
    let bad = folder
        .check(&local(&bad, "csv", &json!({})))
        .await
        .expect_success();
    assert_eq!(bad.status().0, "FAILED");
    assert!(
        bad.status().1.contains("bad.csv, line 2"),
        "{}",
        bad.status().1
    );
    let page = folder.write(
        "page.csv",
        "\n <!DOCTYPE html><html><body>Log in</body></html>",
    );
    let page = folder.check(&local(&page, "csv", &json!({}))).await;
    assert!(
        page.status().1.contains("is a web page"),
        "{}",
        page.status().1
    );
}
