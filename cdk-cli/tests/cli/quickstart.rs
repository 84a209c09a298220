//! The quickstart of the README.

use crate::support::Desk;

const CONNECTION: &str = include_str!("../../../examples/quickstart/connection.yaml");

#[test]
fn the_quickstart_does_what_its_readme_says() {
    let desk = Desk::new();
    let with_count = |count: &str| CONNECTION.replace("count: 50000", &format!("count: {count}"));
    assert_ne!(with_count("50"), CONNECTION);
    desk.write("connection.yaml", &with_count("50"));
    desk.sync(&[]).assert_ok();
    desk.write("connection.yaml", &with_count("60"));
    let run = desk.sync(&["--json"]);
    run.assert_ok();
    let report = run.report();
    let users = report["streams"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["stream"]["name"] == "users");
    assert_eq!(users.unwrap()["records_read"], 10, "{report}");
    assert!(desk.path("quickstart.sqlite").exists());
}
