//! The connection file.

use crate::support::Desk;

#[test]
fn the_shape_of_the_guide_runs_as_it_is_printed() {
    let desk = Desk::new();
    desk.write(
        "connection.yaml",
        "\
Nom Connexion: Faker → SQLite
Fréquence Réplication: Every 24 hours
Namespace Destination: Custom
  Format Namespace: production_${SOURCE_NAMESPACE}
Source: faker
Destination: {Name: sqlite, Configuration: {path: out.sqlite}}

Streams:
  - users
    Mode Sync: Full Refresh | Overwrite
    Champ Curseur: updated_at
    Clé Primaire: id
    
  - products
    Mode Sync: Incremental | Append
    Champ Curseur: updated_at
    Clé Primaire: id
",
    );
    let run = desk.sync(&["--json"]);
    run.assert_ok();
    let report = run.report();
    assert_eq!(report["connection"], "Faker → SQLite");
    assert_eq!(report["streams"][0]["mode"], "incremental_append");
    assert_eq!(report["streams"][1]["mode"], "full_refresh_overwrite");
    assert_eq!(
        run.stderr
            .matches("`Fréquence Réplication` has no effect")
            .count(),
        1,
        "{run:?}"
    );
}

#[test]
fn secrets_come_from_the_environment_and_from_files() {
    let desk = Desk::new();
    desk.write("where.txt", "out.sqlite\n");
    desk.write(
        "connection.yaml",
        "source: {name: faker, config: {count: 3, seed: }}\n\
         destination: {name: sqlite, config: {path: {file: where.txt}, table_prefix: '${PREFIX}'}}\n\
         streams: [users]\n",
    );
    let mut command = desk.command(&["sync", "connection.yaml"]);
    crate::support::finish(command.env("PREFIX", "from_env_")).assert_ok();
    assert_eq!(desk.query("SELECT count(*) FROM from_env_users"), 3);
}

#[test]
fn an_unset_variable_is_named_with_its_place() {
    let desk = Desk::new();
    desk.write(
        "connection.yaml",
        "source: faker\ndestination:\n  name: sqlite\n  config:\n    path: ${CDK_TEST_NOT_SET}\n",
    );
    let text = "connection.yaml:5:11: `destination.config.path` refers to the environment variable \
                CDK_TEST_NOT_SET, which is not set.";
    desk.sync(&[]).assert_error(1, text);
}

#[test]
fn what_does_not_exist_is_named() {
    let ends = "source: faker\ndestination: dev-null\n";
    for (text, expected) in [
        (
            format!("{ends}strems: [users]\n"),
            "connection.yaml:3:1: There is no key `strems`",
        ),
        (
            format!("{ends}streams: [user]\n"),
            "The source has no stream user. It has: ",
        ),
        (
            format!("{ends}streams: [{{name: users, mode: often}}]\n"),
            "`often` is not a sync mode",
        ),
        (
            "source: fakre\ndestination: dev-null\n".to_owned(),
            "Did you mean `faker`?",
        ),
        (
            "source: {path: ./nope}\ndestination: dev-null\n".to_owned(),
            "nope` can't be started",
        ),
        ("source: [\n".to_owned(), "This is not YAML"),
        (
            "source: {name: faker, config: {count: many}}\ndestination: dev-null\n".to_owned(),
            "`count`",
        ),
    ] {
        let desk = Desk::new();
        desk.write("connection.yaml", &text);
        desk.sync(&[]).assert_error(1, expected);
    }
}

#[test]
fn a_missing_file_and_wrong_arguments_have_their_codes() {
    let desk = Desk::new();
    desk.cdk(&["sync", "nope.yaml"])
        .assert_error(1, "The file nope.yaml can't be read.");
    desk.cdk(&["syncc"]).assert_error(2, "syncc");
    desk.cdk(&["sync"]).assert_error(2, "CONNECTION");
    desk.cdk(&["sync", "a.yaml", "--memory", "lots"])
        .assert_error(2, "not a size");
    desk.cdk(&[]).assert_error(2, "Usage");
}
