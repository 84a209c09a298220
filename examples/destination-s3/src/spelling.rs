//! Configs as people write them, brought to the shape of the spec.

use serde_json::{Map, Value, json};

/// Understands compression and block size in the words of Airbyte's user interface: `"compression": "GZIP"` and
/// `"block_size": "128MB"` in a Parquet format, and plain words where the spec has objects.
pub(crate) fn normalize(mut config: Value) -> Value {
    if let Some(format) = config.get_mut("format").and_then(Value::as_object_mut) {
        let format_type = format
            .get("format_type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        match format_type.to_ascii_lowercase().as_str() {
            "parquet" => parquet(format),
            "avro" => wrap(format, "compression_codec", "codec", |word| word.to_owned()),
            "csv" | "jsonl" => wrap(format, "compression", "compression_type", text_compression),
            _ => {}
        }
        format_name(format);
    }
    config
}

fn format_name(format: &mut Map<String, Value>) {
    let names = ["Avro", "CSV", "JSONL", "Parquet"];
    let given = format
        .get("format_type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if let Some(name) = names
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(given))
    {
        format.insert("format_type".to_owned(), json!(name));
    }
}

fn parquet(format: &mut Map<String, Value>) {
    let compression = format
        .get("compression")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if let Some(compression) = compression
        && !format.contains_key("compression_codec")
    {
        format.remove("compression");
        format.insert("compression_codec".to_owned(), json!(compression));
    }
    if let Some(codec) = format.get_mut("compression_codec")
        && let Some(word) = codec.as_str()
    {
        let word = word.to_ascii_uppercase();
        *codec = json!(if word == "NONE" {
            "UNCOMPRESSED"
        } else {
            &word
        });
    }
    if let Some(size) = format.get("block_size").and_then(megabytes)
        && !format.contains_key("block_size_mb")
    {
        format.remove("block_size");
        format.insert("block_size_mb".to_owned(), json!(size));
    }
}

/// `128`, `128MB`, `128 mb`, `1GB`.
fn megabytes(size: &Value) -> Option<u64> {
    if let Some(size) = size.as_u64() {
        return Some(size);
    }
    let text = size.as_str()?.trim().to_ascii_uppercase();
    let (digits, factor) = match text.strip_suffix("GB") {
        Some(digits) => (digits, 1024),
        None => (text.strip_suffix("MB").unwrap_or(&text), 1),
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(factor)
}

fn text_compression(word: &str) -> String {
    match word.to_ascii_uppercase().as_str() {
        "GZIP" => "GZIP".to_owned(),
        "NONE" | "NO COMPRESSION" => "No Compression".to_owned(),
        _ => word.to_owned(),
    }
}

/// `"key": "word"` → `"key": {"tag": "word"}`.
fn wrap(format: &mut Map<String, Value>, key: &str, tag: &str, spell: impl Fn(&str) -> String) {
    if let Some(value) = format.get_mut(key)
        && let Some(word) = value.as_str()
    {
        *value = json!({tag: spell(word)});
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::needless_pass_by_value)]
    fn format(format: Value) -> Value {
        normalize(json!({"s3_bucket_name": "b", "format": format}))["format"].take()
    }

    #[test]
    fn the_words_of_the_user_interface_are_understood() {
        assert_eq!(
            format(json!({"format_type": "Parquet", "compression": "GZIP", "block_size": "128MB"})),
            json!({"format_type": "Parquet", "compression_codec": "GZIP", "block_size_mb": 128})
        );
        assert_eq!(
            format(
                json!({"format_type": "parquet", "compression_codec": "snappy", "block_size": "1 GB"})
            ),
            json!({"format_type": "Parquet", "compression_codec": "SNAPPY", "block_size_mb": 1024})
        );
        assert_eq!(
            format(json!({"format_type": "jsonl", "compression": "gzip"})),
            json!({"format_type": "JSONL", "compression": {"compression_type": "GZIP"}})
        );
        assert_eq!(
            format(json!({"format_type": "Avro", "compression_codec": "snappy"})),
            json!({"format_type": "Avro", "compression_codec": {"codec": "snappy"}})
        );
    }

    #[test]
    fn the_spec_s_own_words_stay() {
        let csv =
            json!({"format_type": "CSV", "compression": {"compression_type": "No Compression"}});
        assert_eq!(format(csv.clone()), csv);
        assert_eq!(normalize(json!([])), json!([]));
        assert_eq!(format(json!({"format_type": 7})), json!({"format_type": 7}));
    }
}
