//! The codec and `serde_json` agree; random bytes never make it panic.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use crate::corpus::checks::{check_fields, check_lines};
use crate::json_text::{number, object, string, value};

/// Members of a record: the known ones and others, some twice, in any order.
fn record_members() -> impl Strategy<Value = Vec<String>> {
    let known = |key: &'static str, value: BoxedStrategy<String>| {
        let value = prop_oneof![4 => value, 1 => Just("null".to_owned())];
        value
            .prop_map(move |value| format!("\"{key}\":{value}"))
            .boxed()
    };
    let meta = Just("{\"changes\":[]}".to_owned()).boxed();
    let members = vec![
        known("stream", string().boxed()),
        known("data", object().boxed()),
        known("data", object().boxed()),
        known(
            "emitted_at",
            prop_oneof![any::<i64>().prop_map(|n| n.to_string()), number()].boxed(),
        ),
        known("namespace", string().boxed()),
        known("meta", meta.clone()),
        known("file_reference", Just("{}".to_owned()).boxed()),
        known("str\\u0065am", string().boxed()),
        (string(), value())
            .prop_map(|(key, value)| format!("{key} : {value}"))
            .boxed(),
    ];
    members.prop_shuffle()
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let record =
        || record_members().prop_map(|members| format!("\"record\":{{{}}}", members.join(",")));
    let envelope = vec![
        Just("\"type\":\"RECORD\"".to_owned()).boxed(),
        Just("\"t\\u0079pe\": \"RECORD\"".to_owned()).boxed(),
        record().boxed(),
        record().boxed(),
        Just("\"log\":null".to_owned()).boxed(),
        object()
            .prop_map(|state| format!("\"state\":{state}"))
            .boxed(),
    ];
    (envelope.prop_shuffle(), 1..=6_usize)
        .prop_map(|(parts, count)| format!("{{{}}}", parts[..count].join(",")).into_bytes())
}

proptest! {
    #[test]
    fn scan_agrees_with_serde_json_on_record_lines(line in line()) {
        check_lines(&line);
    }

    #[test]
    fn damaged_record_lines_do_no_harm(line in line(), at: Index, byte: u8, cut: Index) {
        let mut line = line;
        let at = at.index(line.len());
        line[at] = byte;
        check_lines(&line);
        check_lines(&line[..cut.index(line.len())]);
    }

    #[test]
    fn fields_agree_with_serde_json_on_objects(text in object()) {
        check_fields(text.as_bytes());
    }

    #[test]
    fn damaged_objects_do_no_harm(text in object(), at: Index, byte: u8) {
        let mut text = text.into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        check_fields(&text);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..300)) {
        check_lines(&bytes);
        check_fields(&bytes);
    }

    #[test]
    fn random_json_punctuation_does_no_harm(
        bytes in vec(proptest::sample::select(&b"{}[]\",:\\ 0n\n"[..]), 0..100),
    ) {
        check_lines(&bytes);
        check_fields(&bytes);
    }

    #[test]
    fn random_subsequences_of_a_record_line_do_no_harm(
        line in subsequence(br#"{"type":"RECORD","record":{"stream":"a","data":{"b":[1]},"emitted_at":1}}"#.to_vec(), 40..73),
    ) {
        check_lines(&line);
    }
}
