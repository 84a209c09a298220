//! Records that come out of jobs.

use cdk_core::SecretString;
use cdk_core::entrypoint::Exit;
use cdk_http::auth::Bearer;
use cdk_http::decode::Csv;
use cdk_http::stream::{AsyncJob, JobStatus};
use cdk_http::{HttpApi, HttpStream, RequestBody};
use cdk_testkit::http::{MockServer, Reply};
use serde_json::json;

use crate::source::TestSource;

fn export(api: &HttpApi) -> HttpStream {
    let job = AsyncJob::new("/jobs/{job}", "state")
        .created([("job", "job.id")])
        .status("done", JobStatus::Completed)
        .status("broken", JobStatus::Failed)
        .download_urls_at("files");
    let body = RequestBody::Json(json!({"table": "items"}));
    api.stream("items", "/jobs")
        .body(body)
        .decode(Csv::new())
        .job(job)
}

#[tokio::test]
async fn a_job_is_created_polled_and_downloaded() {
    let (mut polls, mut jobs) = (0, 0);
    let server =
        MockServer::serve(
            move |request| match (request.method.as_str(), request.path.as_str()) {
                ("POST", "/jobs") => {
                    jobs += 1;
                    Reply::json(&json!({"job": {"id": jobs}}))
                }
                ("GET", "/jobs/1") => Reply::json(&json!({"state": "broken"})),
                ("GET", "/jobs/2") => {
                    polls += 1;
                    let state = if polls < 4 { "running" } else { "done" };
                    Reply::json(&json!({"state": state, "files": ["/files/a", "/files/b"]}))
                }
                // Files lie elsewhere: they get no credentials.
                _ if request.header("authorization").is_some() => {
                    Reply::error(400, "no credentials here")
                }
                ("GET", "/files/a") => Reply::text("id,name\n1,a\n"),
                ("GET", "/files/b") => Reply::text("id,name\n2,b\n3,c\n"),
                _ => Reply::error(404, "what?"),
            },
        )
        .await;
    let source = TestSource::new(|api| {
        let api = api.auth(Bearer::new(SecretString::new("token-secret")));
        Ok(vec![export(&api)])
    });
    let ran = source.read(&server.url()).await.succeeded();
    let names: Vec<_> = ran
        .data("items")
        .iter()
        .map(|it| it["name"].clone())
        .collect();
    assert_eq!(names, [json!("a"), json!("b"), json!("c")]);
    assert_eq!(source.timer.waits().len(), 3, "one wait between two polls");
}

#[tokio::test]
async fn a_job_that_fails_again_and_again_is_an_error() {
    let server = MockServer::serve(|request| match request.method.as_str() {
        "POST" => Reply::json(&json!({"job": {"id": 1}})),
        _ => Reply::json(&json!({"state": "broken"})),
    })
    .await;
    let source = TestSource::new(|api| Ok(vec![export(&api)]));
    let ran = source.read(&server.url()).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert!(
        ran.error().message.contains("failed, 3 times"),
        "{:?}",
        ran.error()
    );
}
