//! The command line of a connector: `read --config F --catalog F --state F`, and its JVM-style twin `--read …`.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Spec,
    Check,
    Discover,
    Read,
    Write,
    Help,
    Version,
}

impl Verb {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "spec" => Self::Spec,
            "check" => Self::Check,
            "discover" => Self::Discover,
            "read" => Self::Read,
            "write" => Self::Write,
            "help" => Self::Help,
            "version" => Self::Version,
            _ => return None,
        })
    }
}

/// A parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Args {
    pub(super) verb: Verb,
    pub(super) config: Option<PathBuf>,
    pub(super) catalog: Option<PathBuf>,
    pub(super) state: Option<PathBuf>,
    pub(super) is_debug: bool,
}

pub(super) const USAGE: &str = "\
Usage: <connector> <verb> [options]

Verbs
  spec                                            print the config's schema
  check    --config FILE                          try the config
  discover --config FILE                          list the streams (sources)
  read     --config FILE --catalog FILE [--state FILE]   read records to stdout (sources)
  write    --config FILE --catalog FILE           load records from stdin (destinations)

Options
  --debug      log more
  --help, --version

The verbs may be given as options too (--spec, --check, …). Messages are JSON lines on stdout.
Environment: LOG_LEVEL, CDK_MEMORY_BUDGET_BYTES (queued records, default 64 MiB).
";

/// Parses the arguments; the error is a sentence for the user.
pub(super) fn parse(args: Vec<OsString>) -> Result<Args, String> {
    let mut parser = Parser::from_args(args);
    let mut verb = None;
    let mut parsed = Args {
        verb: Verb::Help,
        config: None,
        catalog: None,
        state: None,
        is_debug: false,
    };
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Arg::Long("config") => parsed.config = Some(file(&mut parser)?),
            Arg::Long("catalog") => parsed.catalog = Some(file(&mut parser)?),
            Arg::Long("state") => parsed.state = Some(file(&mut parser)?),
            Arg::Long("debug") => parsed.is_debug = true,
            Arg::Short('h') => set_verb(&mut verb, Verb::Help)?,
            Arg::Long(name) => match Verb::of(name) {
                Some(named) => set_verb(&mut verb, named)?,
                None => return Err(format!("There is no option --{name}.")),
            },
            Arg::Value(name) => {
                let name = name.to_string_lossy().into_owned();
                match Verb::of(&name) {
                    Some(named) => set_verb(&mut verb, named)?,
                    None => return Err(format!("There is no verb `{name}`.")),
                }
            }
            Arg::Short(letter) => return Err(format!("There is no option -{letter}.")),
        }
    }
    parsed.verb = verb.ok_or("A verb is missing.")?;
    require(&parsed)?;
    Ok(parsed)
}

fn file(parser: &mut Parser) -> Result<PathBuf, String> {
    let value = parser.value().and_then(|value| {
        value.parse_with(|text| {
            if text.is_empty() {
                Err("a file name is missing")
            } else {
                Ok(PathBuf::from(text))
            }
        })
    });
    value.map_err(|error| error.to_string())
}

fn set_verb(verb: &mut Option<Verb>, named: Verb) -> Result<(), String> {
    match verb.replace(named) {
        Some(before) if before != named => Err(format!(
            "One verb at a time: both {before:?} and {named:?} were given."
        )),
        _ => Ok(()),
    }
}

fn require(args: &Args) -> Result<(), String> {
    let needs_config = matches!(
        args.verb,
        Verb::Check | Verb::Discover | Verb::Read | Verb::Write
    );
    if needs_config && args.config.is_none() {
        return Err("--config FILE is missing.".to_owned());
    }
    if matches!(args.verb, Verb::Read | Verb::Write) && args.catalog.is_none() {
        return Err("--catalog FILE is missing.".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Args, String> {
        parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn verbs_and_jvm_style_options_mean_the_same() {
        let verb = parsed("read --config c --catalog k --state s").unwrap();
        let option = parsed("--state=s --catalog k --read --config c").unwrap();
        assert_eq!(verb, option);
        assert_eq!(verb.state, Some(PathBuf::from("s")));
    }

    #[test]
    fn debug_may_stand_anywhere() {
        assert!(parsed("--debug spec").unwrap().is_debug);
        assert!(parsed("check --debug --config c").unwrap().is_debug);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            ("", "A verb is missing."),
            ("sync", "There is no verb `sync`."),
            ("spec --confg c", "There is no option --confg."),
            ("check", "--config FILE is missing."),
            ("read --config c", "--catalog FILE is missing."),
            (
                "spec check --config c",
                "One verb at a time: both Spec and Check were given.",
            ),
        ] {
            assert_eq!(parsed(line).unwrap_err(), expected, "{line}");
        }
    }
}
