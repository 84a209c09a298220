//! `write`: what a destination is given.

use cdk_core::{Clock, SystemClock};
use serde_json::{Value, json};

use super::Stage;
use super::streams::fill;
use crate::lines::StreamSpec;
use crate::suite::call::{At, Call, Interrupt, Signal};
use crate::suite::evidence::Act;
use crate::suite::rules::odd;

/// How many records come before the state at which a destination is killed.
pub(in crate::suite) const BEFORE_KILL: i64 = 500;
/// How many streams are written side by side.
const MANY: i64 = 12;

pub(super) async fn play(stage: &mut Stage) {
    let writer = Writer::new(stage);
    let modes: Vec<_> = stage
        .evidence
        .modes()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let has = |mode: &str| modes.iter().any(|it| it == mode);
    if has("append") {
        writer.append(stage).await;
        writer.refresh(stage).await;
        writer.killed(stage).await;
    }
    if has("overwrite") {
        writer.overwrite(stage).await;
    }
    if has("append_dedup") {
        writer.dedup(stage).await;
    }
    writer.namespaces(stage).await;
    writer.odd(stage).await;
    writer.schema_changes(stage).await;
    writer.states(stage).await;
    writer.refused(stage, &modes).await;
}

/// Writes in streams of names that no earlier run used.
struct Writer {
    prefix: String,
    namespace: Option<String>,
    config: Value,
    /// A mode that the destination has.
    mode: String,
    now: i64,
}

impl Writer {
    fn new(stage: &Stage) -> Self {
        let now = SystemClock.now_ms();
        let modes = stage.evidence.modes();
        let usual = ["append", "overwrite", "append_dedup"];
        let mode = usual.iter().find(|mode| modes.contains(mode));
        Self {
            prefix: format!("conformance_{now:x}"),
            namespace: stage.evidence.plan.namespace.clone(),
            config: stage.evidence.plan.config.clone(),
            mode: mode
                .copied()
                .or(modes.first().copied())
                .unwrap_or("append")
                .to_owned(),
            now,
        }
    }

    /// A stream of ids and names.
    fn stream(&self, name: &str, mode: &str) -> StreamSpec {
        let properties = json!({"id": {"type": "integer"}, "name": {"type": ["null", "string"]}});
        self.stream_of(&format!("{}_{name}", self.prefix), mode, properties)
    }

    fn stream_of(&self, name: &str, mode: &str, properties: Value) -> StreamSpec {
        let mut stream = StreamSpec::new(name, mode, properties).generation(1, 0);
        stream.namespace.clone_from(&self.namespace);
        if mode.ends_with("_dedup") {
            stream = stream.key(&["id"]);
        }
        stream
    }

    fn write(&self, label: &str, streams: &[&StreamSpec], messages: &[Value]) -> Call {
        let mut call = Call::new(format!("write ({label})"), "write");
        call.config = Some(self.config.clone());
        call.catalog = Some(StreamSpec::catalog(streams));
        call.stdin = messages
            .iter()
            .flat_map(|it| format!("{it}\n").into_bytes())
            .collect();
        call
    }

    fn record(&self, stream: &StreamSpec, id: i64) -> Value {
        stream.record(self.now, json!({"id": id, "name": format!("row {id}")}))
    }

    /// These records, the state of the last one, and the end of the stream.
    fn all(&self, stream: &StreamSpec, ids: &[i64]) -> Vec<Value> {
        let mut messages: Vec<_> = ids.iter().map(|id| self.record(stream, *id)).collect();
        messages.extend(ids.last().map(|id| stream.state(*id)));
        messages.push(stream.complete());
        messages
    }

    async fn run(&self, stage: &mut Stage, act: Act, stream: &StreamSpec, call: Call) {
        stage.call(act, call).await;
        stage
            .read_back(act, stream.namespace.as_deref(), &stream.name)
            .await;
    }

    async fn append(&self, stage: &mut Stage) {
        let stream = self.stream("append", "append");
        let mut messages = vec![as_platform(stream.state(0), 1, 0.0)];
        messages.push(self.record(&stream, 1));
        messages.push(as_python(self.record(&stream, 2)));
        messages
            .push(json!({"type": "LOG", "log": {"level": "INFO", "message": "from the source"}}));
        messages.push(self.record(&stream, 3));
        messages.push(as_python(as_platform(stream.state(3), 2, 3.0)));
        messages.push(stream.status("RUNNING"));
        messages.extend([4, 5].map(|id| self.record(&stream, id)));
        messages.push(as_platform(stream.state(5), 3, 2.0));
        messages.push(stream.complete());
        let call = self.write("append", &[&stream], &messages);
        self.run(stage, Act::Append, &stream, call).await;
        let more = self.write("append, again", &[&stream], &self.all(&stream, &[5, 6]));
        self.run(stage, Act::AppendAgain, &stream, more).await;
    }

    async fn refresh(&self, stage: &mut Stage) {
        let stream = self.stream("refresh", "append");
        let call = self.write(
            "append, before a refresh",
            &[&stream],
            &self.all(&stream, &[1, 2]),
        );
        self.run(stage, Act::Refresh, &stream, call).await;
        let next = stream.generation(2, 2);
        let label = "append, a refresh that removes older generations";
        let call = self.write(label, &[&next], &self.all(&next, &[3]));
        self.run(stage, Act::RefreshAgain, &next, call).await;
    }

    async fn killed(&self, stage: &mut Stage) {
        if stage.evidence.plan.read_back.is_none() {
            return stage.miss(Act::KilledAtState, "no way to read back was given");
        }
        let stream = self.stream("killed", "append");
        let ids: Vec<_> = (1..=BEFORE_KILL).collect();
        let mut call = self.write(
            "killed at its first state",
            &[&stream],
            &self.all(&stream, &ids),
        );
        call.interrupt = Some(Interrupt {
            signal: Signal::Kill,
            at: At::State(1),
        });
        self.run(stage, Act::KilledAtState, &stream, call).await;
    }

    async fn overwrite(&self, stage: &mut Stage) {
        let stream = self.stream("overwrite", "overwrite").generation(1, 1);
        let call = self.write("overwrite", &[&stream], &self.all(&stream, &[1, 2]));
        self.run(stage, Act::Overwrite, &stream, call).await;
        let next = stream.clone().generation(2, 2);
        let call = self.write("overwrite, again", &[&next], &self.all(&next, &[3]));
        self.run(stage, Act::OverwriteAgain, &next, call).await;
        let cut = stream.generation(3, 3);
        let mut messages = self.all(&cut, &[4]);
        messages.pop();
        let call = self.write(
            "overwrite by a source that does not complete",
            &[&cut],
            &messages,
        );
        self.run(stage, Act::OverwriteCut, &cut, call).await;
    }

    async fn dedup(&self, stage: &mut Stage) {
        let mut stream = self.stream("dedup", "append_dedup").cursor("at");
        stream.properties["at"] = json!({"type": "integer"});
        let row = |id: i64, name: &str, at: i64| {
            stream.record(self.now, json!({"id": id, "name": name, "at": at}))
        };
        let first = [row(1, "old", 1), row(2, "kept", 5), row(1, "new", 2)];
        let end = [stream.state(1), stream.complete()];
        let call = self.write("dedup", &[&stream], &[&first[..], &end[..]].concat());
        self.run(stage, Act::Dedup, &stream, call).await;
        let second = [row(2, "too old", 4), row(3, "added", 1)];
        let call = self.write(
            "dedup, again",
            &[&stream],
            &[&second[..], &end[..]].concat(),
        );
        self.run(stage, Act::DedupAgain, &stream, call).await;
    }

    async fn namespaces(&self, stage: &mut Stage) {
        let mut streams = [1, 2].map(|_| self.stream("twins", &self.mode));
        for (at, stream) in streams.iter_mut().enumerate() {
            stream.namespace = Some(format!("conformance_{}", at + 1));
        }
        let [one, two] = &streams;
        let messages = [self.all(one, &[1]), self.all(two, &[2, 3])].concat();
        let label = "two namespaces with a stream of one name";
        let call = self.write(label, &[one, two], &messages);
        stage.call(Act::Namespaces, call).await;
        for stream in &streams {
            stage
                .read_back(Act::Namespaces, stream.namespace.as_deref(), &stream.name)
                .await;
        }
    }

    async fn odd(&self, stage: &mut Stage) {
        let properties = odd::properties_with_odd_names();
        let streams = odd::NAMES.map(|name| {
            self.stream_of(
                &format!("{}_{name}", self.prefix),
                &self.mode,
                properties.clone(),
            )
        });
        let messages = streams.iter().flat_map(|stream| {
            let data = odd::data_with_odd_names();
            [
                stream.record(self.now, data),
                stream.state(1),
                stream.complete(),
            ]
        });
        let messages: Vec<_> = messages.collect();
        let call = self.write("odd names", &streams.each_ref(), &messages);
        stage.call(Act::OddNames, call).await;
        for stream in &streams {
            stage
                .read_back(Act::OddNames, stream.namespace.as_deref(), &stream.name)
                .await;
        }

        let name = format!("{}_values", self.prefix);
        let stream = self.stream_of(&name, &self.mode, odd::properties());
        let values = odd::values();
        let mut lines: Vec<_> = values
            .iter()
            .map(|data| odd::line(&stream, self.now, data))
            .collect();
        lines.push(stream.state(1).to_string());
        lines.push(stream.complete().to_string());
        let mut call = self.write("odd values", &[&stream], &[]);
        call.stdin = (lines.join("\n") + "\n").into_bytes();
        self.run(stage, Act::OddValues, &stream, call).await;
    }

    async fn schema_changes(&self, stage: &mut Stage) {
        let mode = if self.mode == "overwrite" {
            "append"
        } else {
            &self.mode
        };
        if !stage.evidence.modes().contains(&mode) {
            return;
        }
        let wide = self.stream("new_column", mode);
        let mut narrow = wide.clone();
        narrow.properties = json!({"id": {"type": "integer"}});
        let first = [narrow.record(self.now, json!({"id": 1})), narrow.complete()];
        let call = self.write("before a new column", &[&narrow], &first);
        stage.call(Act::NewColumn, call).await;
        let call = self.write("a new column", &[&wide], &self.all(&wide, &[2]));
        stage.then(Act::NewColumn, call).await;
        stage
            .read_back(Act::NewColumn, wide.namespace.as_deref(), &wide.name)
            .await;

        let number = self.stream("new_type", mode);
        let mut text = number.clone();
        text.properties["name"] = json!({"type": "integer"});
        let first = [
            text.record(self.now, json!({"id": 1, "name": 7})),
            text.complete(),
        ];
        let call = self.write("before a column changes its type", &[&text], &first);
        stage.call(Act::NewType, call).await;
        let call = self.write(
            "a column changes its type",
            &[&number],
            &self.all(&number, &[2]),
        );
        stage.then(Act::NewType, call).await;
        stage
            .read_back(Act::NewType, number.namespace.as_deref(), &number.name)
            .await;
    }

    async fn states(&self, stage: &mut Stage) {
        let stream = self.stream("empty", &self.mode);
        let call = self.write("no records", &[&stream], &[stream.complete()]);
        self.run(stage, Act::Empty, &stream, call).await;

        let streams: Vec<_> = (0..MANY)
            .map(|at| self.stream(&format!("many_{at}"), &self.mode))
            .collect();
        let mut messages = Vec::new();
        for round in 0..3 {
            messages.extend(streams.iter().map(|stream| self.record(stream, round)));
            messages.extend(streams.iter().map(|stream| stream.state(round)));
        }
        messages.extend(streams.iter().map(StreamSpec::complete));
        let streams: Vec<_> = streams.iter().collect();
        let call = self.write("many streams", &streams, &messages);
        stage.call(Act::ManyStreams, call).await;

        let [one, two] = [1, 2].map(|at| self.stream(&format!("global_{at}"), &self.mode));
        let global = |lsn: i64| {
            let states = [&one, &two].map(|it| it.state(lsn)["state"]["stream"].clone());
            json!({"type": "STATE", "state": {"type": "GLOBAL", "global": {
                "shared_state": {"lsn": lsn}, "stream_states": states}}})
        };
        let messages = [
            self.record(&one, 1),
            self.record(&two, 1),
            global(1),
            self.record(&one, 2),
            global(2),
            one.complete(),
            two.complete(),
        ];
        let call = self.write("states of all streams together", &[&one, &two], &messages);
        stage.call(Act::GlobalState, call).await;
    }

    /// What can't be loaded, and a stop.
    async fn refused(&self, stage: &mut Stage, modes: &[String]) {
        let stream = self.stream("garbage", &self.mode);
        let mut messages = self.all(&stream, &[1, 2]);
        messages.insert(1, json!("this is no message"));
        let call = self.write("a line that is no message", &[&stream], &messages);
        stage.call(Act::Garbage, call).await;

        let (known, foreign) = (
            self.stream("known", &self.mode),
            self.stream("foreign", &self.mode),
        );
        let messages = self.all(&foreign, &[1]);
        let call = self.write("a stream that is not in the catalog", &[&known], &messages);
        stage.call(Act::UnknownStream, call).await;

        let all = [
            "soft_delete",
            "update",
            "append_dedup",
            "overwrite",
            "append",
        ];
        match all.iter().find(|mode| !modes.iter().any(|it| it == *mode)) {
            Some(mode) => {
                let stream = self.stream("mode", mode).key(&["id"]).cursor("id");
                let label = format!("the mode {mode}, which it does not have");
                let call = self.write(&label, &[&stream], &self.all(&stream, &[1]));
                stage.call(Act::UnknownMode, call).await;
            }
            None => stage.miss(Act::UnknownMode, "it has every mode"),
        }

        let stream = self.stream("stopped", &self.mode);
        let messages = [self.record(&stream, 1), stream.state(1)];
        let mut call = self.write("stopped while it waits", &[&stream], &messages);
        call.holds_stdin = true;
        call.interrupt = Some(Interrupt {
            signal: Signal::Term,
            at: At::StdinTaken,
        });
        stage.call(Act::Stopped, call).await;
    }
}

/// A state as a platform passes it on: with an id that must come back.
fn as_platform(mut state: Value, id: i64, count: f64) -> Value {
    state["state"]["id"] = json!(id);
    state["state"]["sourceStats"] = json!({"recordCount": count});
    state
}

/// A message as a Python client writes it: every other field of the envelope is there, as null.
fn as_python(mut message: Value) -> Value {
    if let Some(fields) = message.as_object_mut() {
        let all = [
            "log",
            "spec",
            "connectionStatus",
            "catalog",
            "record",
            "state",
            "trace",
            "control",
            "destination_catalog",
        ];
        fill(fields, &all);
    }
    message
}
