//! Where the files of a stream go: paths and names with variables.

use airbyte_protocol::{ConfiguredAirbyteStream, StreamDescriptor};
use cdk_core::destination::meta_columns::push_utc;

use crate::names::component;

/// The layout where the user gives none.
pub const DEFAULT_FORMAT: &str = "${NAMESPACE}/${STREAM_NAME}/${YEAR}_${MONTH}_${DAY}_${EPOCH}_";
/// The same without folders, where the path above names the stream already.
const DEFAULT_IN_OWN_FOLDER: &str = "${YEAR}_${MONTH}_${DAY}_${EPOCH}_";
/// The names of files where the user gives none.
pub const DEFAULT_FILE_NAME: &str = "{part_number}{format_extension}";

/// The layout of a destination: templates as the user wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    path: String,
    has_own_format: bool,
    file_name: String,
}

/// What the variables of one stream stand for in one sync.
#[derive(Debug, Clone)]
pub struct Place {
    stream: StreamDescriptor,
    sync_id: i64,
    now_ms: i64,
    prefix: String,
    file_name: String,
}

impl Layout {
    /// `path` is the folder that the user gave, `format` the layout below it, `file_name` the name of a file.
    ///
    /// Where `path` holds the variable `${STREAM_NAME}` and no format is given, the default folders would
    /// come twice: they are left out.
    pub fn new(path: &str, format: Option<&str>, file_name: Option<&str>) -> Self {
        let given = |text: Option<&str>| {
            text.map(str::trim)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let format = given(format);
        let default = if path.contains("${STREAM_NAME}") {
            DEFAULT_IN_OWN_FOLDER
        } else {
            DEFAULT_FORMAT
        };
        Self {
            has_own_format: format.is_some(),
            path: format!("{path}/{}", format.as_deref().unwrap_or(default)),
            file_name: given(file_name).unwrap_or_else(|| DEFAULT_FILE_NAME.to_owned()),
        }
    }

    /// The part of the path that all streams share, for what the destination keeps for itself.
    pub fn shared_folder(&self) -> String {
        let parts = self.path.split('/').take_while(|part| !part.contains("${"));
        let mut parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
        // Without variables the last part is the start of file names.
        if self.has_own_format && !self.path.contains("${") && !self.path.ends_with('/') {
            parts.pop();
        }
        parts.join("/")
    }

    /// The place of a stream in a sync that starts at `now_ms`.
    pub fn place(&self, stream: &ConfiguredAirbyteStream, now_ms: i64) -> Place {
        let mut place = Place {
            stream: stream.descriptor(),
            sync_id: stream.sync_id.unwrap_or(0),
            now_ms,
            prefix: String::new(),
            file_name: self.file_name.clone(),
        };
        let resolved = place.resolve(&self.path);
        let is_folder = resolved.ends_with('/');
        let parts: Vec<_> = resolved
            .split('/')
            .filter(|part| !part.is_empty() && *part != "." && *part != "..")
            .collect();
        place.prefix = parts.join("/");
        if is_folder && !place.prefix.is_empty() {
            place.prefix.push('/');
        }
        place
    }
}

impl Place {
    /// What the keys of all files of the stream in this sync begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of a file. `extension` begins with a dot. `now_ms` is the time now.
    pub fn key(&self, part: u64, extension: &str, now_ms: i64) -> String {
        let name = substitute(&self.file_name, "{", |variable| {
            self.of_file(variable, part, extension, now_ms)
        });
        // A name is no folder.
        format!("{}{}", self.prefix, name.replace(['/', '\\'], "_"))
    }

    fn resolve(&self, template: &str) -> String {
        let time = Utc::of(self.now_ms);
        substitute(template, "${", |variable| {
            Some(match variable {
                "NAMESPACE" => self
                    .stream
                    .namespace
                    .as_deref()
                    .filter(|name| !name.is_empty())
                    .map(component)
                    .unwrap_or_default(),
                "STREAM_NAME" => component(&self.stream.name),
                "SYNC_ID" => self.sync_id.to_string(),
                "YEAR" => time.part(0..4).to_owned(),
                "MONTH" => time.part(5..7).to_owned(),
                "DAY" => time.part(8..10).to_owned(),
                "HOUR" => time.part(11..13).to_owned(),
                "MINUTE" => time.part(14..16).to_owned(),
                "SECOND" => time.part(17..19).to_owned(),
                "MILLISECOND" => format!("0{}", time.part(20..23)),
                "EPOCH" => self.now_ms.to_string(),
                "UUID" => uuid::Uuid::new_v4().to_string(),
                _ => return None,
            })
        })
    }

    fn of_file(&self, variable: &str, part: u64, extension: &str, now_ms: i64) -> Option<String> {
        let (name, option) = variable
            .split_once(':')
            .map_or((variable, None), |(name, option)| (name, Some(option)));
        Some(match (name, option) {
            ("part_number", None) => part.to_string(),
            ("format_extension", None) => extension.to_owned(),
            ("sync_id", None) => self.sync_id.to_string(),
            ("timestamp", None | Some("millis")) => now_ms.to_string(),
            ("timestamp", Some("micros")) => format!("{now_ms}000"),
            ("date", pattern) => Utc::of(now_ms).date(pattern.unwrap_or("yyyy_MM_dd")),
            _ => return None,
        })
    }
}

/// Replaces what stands between `open` and `}`; unknown variables stay as they are.
fn substitute(template: &str, open: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once(open) {
        out.push_str(before);
        let known = after
            .split_once('}')
            .and_then(|(variable, after)| Some((value(variable)?, after)));
        match known {
            Some((value, after)) => {
                out.push_str(&value);
                rest = after;
            }
            None => {
                out.push_str(open);
                rest = after;
            }
        }
    }
    out + rest
}

/// A time as `2024-01-31T23:59:59.123Z`.
struct Utc(String);

impl Utc {
    fn of(ms: i64) -> Self {
        let mut text = String::new();
        push_utc(&mut text, ms);
        Self(text)
    }

    fn part(&self, range: std::ops::Range<usize>) -> &str {
        self.0.get(range).unwrap_or_default()
    }

    /// By a pattern of Java: `yyyy`, `MM`, `dd`, `HH`, `mm`, `ss`; everything else as it is.
    fn date(&self, pattern: &str) -> String {
        let parts = [
            ("yyyy", 0..4),
            ("MM", 5..7),
            ("dd", 8..10),
            ("HH", 11..13),
            ("mm", 14..16),
            ("ss", 17..19),
        ];
        parts
            .into_iter()
            .fold(pattern.to_owned(), |text, (letters, range)| {
                text.replace(letters, self.part(range))
            })
    }
}

#[cfg(test)]
mod tests {
    use airbyte_protocol::{AirbyteStream, DestinationSyncMode, SyncMode};
    use serde_json::json;

    use super::*;

    /// 2025-03-04T05:06:07.089Z
    const NOW: i64 = 1_741_064_767_089;

    fn stream(namespace: Option<&str>, name: &str) -> ConfiguredAirbyteStream {
        let mut stream = AirbyteStream::new(name, json!({}), vec![SyncMode::FullRefresh]);
        stream.namespace = namespace.map(str::to_owned);
        let mut stream = ConfiguredAirbyteStream::new(
            stream,
            SyncMode::FullRefresh,
            DestinationSyncMode::Append,
        );
        stream.sync_id = Some(42);
        stream
    }

    fn key(path: &str, format: Option<&str>, name: Option<&str>) -> String {
        let layout = Layout::new(path, format, name);
        layout
            .place(&stream(Some("public"), "users"), NOW)
            .key(3, ".parquet", NOW)
    }

    #[test]
    fn the_default_layout_is_that_of_airbyte() {
        assert_eq!(
            key("data", None, None),
            "data/public/users/2025_03_04_1741064767089_3.parquet"
        );
        assert_eq!(
            key("", None, None),
            "public/users/2025_03_04_1741064767089_3.parquet"
        );
    }

    #[test]
    fn a_path_that_names_the_stream_gets_no_folders_twice() {
        let expected = "airbyte-data/public/users/2025_03_04_1741064767089_3.parquet";
        assert_eq!(
            key("airbyte-data/${NAMESPACE}/${STREAM_NAME}", None, None),
            expected
        );
        assert_eq!(
            key("/airbyte-data/${NAMESPACE}/${STREAM_NAME}/", None, None),
            expected
        );
        // Who writes the folders out gets them.
        assert_eq!(
            key(
                "a/${STREAM_NAME}",
                Some("${NAMESPACE}/${STREAM_NAME}/x_"),
                None
            ),
            "a/users/public/users/x_3.parquet"
        );
    }

    #[test]
    fn all_variables_are_known_and_others_stay() {
        let format = "${SYNC_ID}/${HOUR}${MINUTE}${SECOND}.${MILLISECOND}/${OTHER}/${UNENDED";
        assert_eq!(
            key("p", Some(format), Some("-{sync_id}{x}")),
            "p/42/050607.0089/${OTHER}/${UNENDED-42{x}"
        );
        let uuid = key("p", Some("${UUID}/"), None);
        assert_eq!(uuid.len(), "p//3.parquet".len() + 36);
        let name = "{date}_{date:yyyy-MM}_{timestamp}_{timestamp:micros}{format_extension}";
        assert_eq!(
            key("p", Some("/"), Some(name)),
            "p/2025_03_04_2025-03_1741064767089_1741064767089000.parquet"
        );
    }

    #[test]
    fn names_never_lead_out_of_the_folder() {
        let layout = Layout::new("data/../x", None, Some("../{part_number}"));
        let place = layout.place(&stream(Some(".."), "a/b"), NOW);
        let key = place.key(0, ".csv", NOW);
        assert!(
            key.starts_with("data/x/__") && !key.contains("/../"),
            "{key}"
        );
        let without = layout.place(&stream(None, "users"), NOW);
        assert!(
            without.prefix().starts_with("data/x/users/"),
            "{}",
            without.prefix()
        );
    }

    #[test]
    fn the_shared_folder_ends_before_the_first_variable() {
        let shared =
            |path: &str, format: Option<&str>| Layout::new(path, format, None).shared_folder();
        assert_eq!(shared("a/b/${NAMESPACE}/x", None), "a/b");
        assert_eq!(shared("a/b", None), "a/b");
        assert_eq!(shared("", None), "");
        assert_eq!(shared("a", Some("c/d_")), "a/c");
    }
}
