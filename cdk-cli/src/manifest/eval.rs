//! `cdk manifest eval`: what a template gives.

use cdk_core::{ConnectorError, Result};
use cdk_declarative::slice::StreamSlice;
use cdk_declarative::template::{Scope, Template};
use cdk_declarative::time;
use clap::Args;
use serde_json::{Map, Value};

use super::value;
use crate::output::{Exit, Output};

/// `cdk manifest eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// The template, such as "{{ config['start_date'] }}"
    pub(crate) template: String,
    /// The config, as JSON or @FILE
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    pub(crate) config: String,
    /// A record
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) record: Option<String>,
    /// A response's body
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) response: Option<String>,
    /// A response's headers
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) headers: Option<String>,
    /// The slice: partition and window in one object
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) slice: Option<String>,
    /// The component's parameters
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) parameters: Option<String>,
    /// Any other variable, such as next_page_token={"next_page_token": 2}
    #[arg(long, value_name = "NAME=JSON")]
    pub(crate) var: Vec<String>,
}

/// Prints the value as JSON, and its type.
pub(super) fn run(args: &EvalArgs, output: &Output) -> Result<Exit> {
    let config = value(&args.config, "--config")?;
    let variables = variables(args)?;
    let slice = match &args.slice {
        Some(text) => match value(text, "--slice")? {
            Value::Object(fields) => Some(StreamSlice::new(fields, Map::new())),
            _ => {
                return Err(ConnectorError::config(
                    "The value of --slice is no object. Give one, such as {\"start_time\": \"2024-01-01\"}.",
                ));
            }
        },
        None => None,
    };
    let clock = time::wall_clock()?;
    let scope = Scope::new(&config, clock.as_ref());
    let found = match &slice {
        Some(slice) => with_variables(&args.template, &scope.of_slice(slice), &variables),
        None => with_variables(&args.template, &scope, &variables),
    }
    // A template that was typed in is not a fault of the program.
    .map_err(|error| ConnectorError::config(error.message()))?;
    output.print(&format!("{found}  ({})", type_name(&found)));
    Ok(Exit::Success)
}

fn variables(args: &EvalArgs) -> Result<Vec<(String, Value)>> {
    let mut variables = Vec::new();
    for (name, text) in [
        ("record", &args.record),
        ("response", &args.response),
        ("headers", &args.headers),
        ("parameters", &args.parameters),
    ] {
        match text {
            Some(text) => variables.push((name.to_owned(), value(text, &format!("--{name}"))?)),
            // Every component has parameters, if only none.
            None if name == "parameters" => {
                variables.push((name.to_owned(), Value::Object(Map::new())));
            }
            None => {}
        }
    }
    for pair in &args.var {
        let Some((name, text)) = pair.split_once('=') else {
            return Err(ConnectorError::config(format!(
                "--var {pair} is no NAME=JSON, such as last_record={{\"id\": 1}}."
            )));
        };
        variables.push((name.to_owned(), value(text, &format!("--var {name}"))?));
    }
    Ok(variables)
}

fn with_variables(
    template: &str,
    scope: &Scope<'_>,
    variables: &[(String, Value)],
) -> Result<Value> {
    match variables.split_first() {
        Some(((name, value), rest)) => with_variables(template, &scope.with(name, value), rest),
        None => Template::compile(template).eval(scope),
    }
}

/// The type as Python calls it, which is what value types of a manifest refer to.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "None",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}
