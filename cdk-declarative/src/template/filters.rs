//! Filters: Jinja's own, and those of the Python CDK.

use std::rc::Rc;

use super::eval::{Evaluator, Given};
use super::functions::{quote, quote_plus};
use super::value::{Eval, Fault, Val, other_fault, type_fault};
use super::{digests, list_filters, number_filters, ops, text_filters};
use crate::python::{json_dumps, json_dumps_indented};

/// A filter, by its name in templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filter(&'static str);

const NAMES: [&str; 56] = [
    "abs",
    "attr",
    "base64binascii_decode",
    "base64decode",
    "base64encode",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "format",
    "hash",
    "hmac",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "regex_replace",
    "regex_search",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "forceescape",
    "pprint",
    "groupby",
];

impl Filter {
    pub(crate) fn of(name: &str) -> Result<Self, String> {
        let known = NAMES.iter().find(|known| **known == name);
        known
            .map(|known| Self(known))
            .ok_or_else(|| format!("there is no filter `{name}`"))
    }
}

/// `value | filter(args)`.
pub(crate) fn apply<'a>(
    filter: Filter,
    value: Val<'a>,
    args: Given<'a>,
    evaluator: &mut Evaluator<'a>,
) -> Eval<Val<'a>> {
    let name = filter.0;
    match name {
        "default" | "d" => Ok(default(value, &args)),
        "int" => number_filters::int(value, &args),
        "float" => number_filters::float(value, &args),
        "length" | "count" => Ok(Val::Int(value.len()? as i128)),
        "list" => Ok(Val::list(value.items()?)),
        "join" => list_filters::join(&value, &args),
        "first" => Ok(value
            .items()?
            .into_iter()
            .next()
            .unwrap_or_else(list_filters::nothing)),
        "last" => Ok(value.items()?.pop().unwrap_or_else(list_filters::nothing)),
        "map" => map(&value, args, evaluator),
        "select" => list_filters::select(&value, &args, true, false),
        "reject" => list_filters::select(&value, &args, false, false),
        "selectattr" => list_filters::select(&value, &args, true, true),
        "rejectattr" => list_filters::select(&value, &args, false, true),
        "sort" => list_filters::sort(&value, &args),
        "max" | "min" => list_filters::extreme(&value, &args, name == "max"),
        "unique" => list_filters::unique(&value, &args),
        "sum" => list_filters::sum(&value, &args),
        "reverse" => list_filters::reverse(&value),
        "batch" => list_filters::batch(&value, &args),
        "slice" => list_filters::slice(&value, &args),
        "filesizeformat" => number_filters::filesizeformat(&value, &args),
        "groupby" => list_filters::groupby(&value, &args),
        "items" => match value.entries() {
            Some(entries) => Ok(Val::list(
                entries.into_iter().map(list_filters::pair).collect(),
            )),
            None if matches!(value, Val::Undefined(_)) => Ok(Val::list(Vec::new())),
            None => type_fault("Can only get item pairs from a mapping."),
        },
        "dictsort" => list_filters::dictsort(&value, &args),
        "attr" => {
            let key = args.need(0, "name", name)?;
            Ok(value.key(&key).unwrap_or_else(list_filters::nothing))
        }
        "abs" => number_filters::abs(value),
        "round" => number_filters::round(&value, &args),
        "tojson" => tojson(&value, &args),
        "string" => string(value),
        "urlencode" => urlencode(&value),
        "format" => super::printf::format(&value.to_text(), &Val::Tuple(Rc::new(args.positional)))
            .map(Val::text),
        "hash" | "hmac" | "base64encode" | "base64decode" | "base64binascii_decode" => {
            digests::apply(name, &value, &args).map(Val::text)
        }
        "regex_search" | "regex_replace" => {
            super::regexes::apply(name, &value, &args).map(Val::text)
        }
        _ => text_filters::apply(name, &value, &args),
    }
}

fn default<'a>(value: Val<'a>, args: &Given<'a>) -> Val<'a> {
    let also_false = args.get(1, "boolean").is_some_and(|flag| flag.is_true());
    if matches!(value, Val::Undefined(_)) || (also_false && !value.is_true()) {
        return args.get(0, "default_value").unwrap_or(Val::text(""));
    }
    value
}

fn map<'a>(value: &Val<'a>, mut args: Given<'a>, evaluator: &mut Evaluator<'a>) -> Eval<Val<'a>> {
    if !value.is_true() {
        return Ok(Val::list(Vec::new()));
    }
    let items = value.items()?;
    let attribute = args.get(usize::MAX, "attribute");
    let mut mapped = Vec::with_capacity(items.len());
    if attribute.is_some() {
        let default = args.get(usize::MAX, "default");
        for item in &items {
            mapped.push(
                match (
                    list_filters::by_attribute(item, attribute.as_ref())?,
                    &default,
                ) {
                    (Val::Undefined(_), Some(default)) => default.clone(),
                    (found, _) => found,
                },
            );
        }
        return Ok(Val::list(mapped));
    }
    if args.positional.is_empty() {
        return other_fault("map needs a filter or an attribute");
    }
    let name = args.positional.remove(0);
    let filter = Filter::of(name.as_str("map")?).map_err(Fault::Other)?;
    for item in items {
        let args = Given {
            positional: args.positional.clone(),
            named: args.named.clone(),
        };
        mapped.push(apply(filter, item, args, evaluator)?);
    }
    Ok(Val::list(mapped))
}

fn tojson<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let Some(json) = value.to_json() else {
        return type_fault(format!(
            "Object of type {} is not JSON serializable",
            value.type_name()
        ));
    };
    let indent = args.get(0, "indent").and_then(|indent| indent.as_int());
    let text = match indent.map(|indent| usize::try_from(indent.min(1000)).unwrap_or(0)) {
        Some(indent) => json_dumps_indented(&json, indent),
        None => json_dumps(&json, (", ", ": "), true),
    };
    let text = text
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    Ok(Val::text(text.replace('\'', "\\u0027")))
}

/// The CDK's `string`: other values become JSON in three quotes, so that they stay texts.
fn string<'a>(value: Val<'a>) -> Eval<Val<'a>> {
    match value {
        Val::Str(_) => Ok(value),
        other => match other.to_json() {
            Some(json) => Ok(Val::text(format!(
                "\"\"\"{}\"\"\"",
                json_dumps(&json, (", ", ": "), false)
            ))),
            None => type_fault(format!(
                "Object of type {} is not JSON serializable",
                other.type_name()
            )),
        },
    }
}

fn urlencode<'a>(value: &Val<'a>) -> Eval<Val<'a>> {
    if let Val::Str(text) = value {
        return Ok(Val::text(quote(text, "/")));
    }
    let pairs = match value.entries() {
        Some(entries) => entries,
        None if ops::is_list(value) => {
            let mut pairs = Vec::new();
            for item in value.items()? {
                match item.items()?.as_slice() {
                    [key, value] => pairs.push((key.clone(), value.clone())),
                    _ => return other_fault("urlencode needs pairs"),
                }
            }
            pairs
        }
        None => return Ok(Val::text(quote(&value.to_text(), "/"))),
    };
    let pairs = pairs.iter().map(|(key, value)| {
        format!(
            "{}={}",
            quote_plus(&key.to_text()),
            quote_plus(&value.to_text())
        )
    });
    Ok(Val::text(pairs.collect::<Vec<_>>().join("&")))
}
