//! Random messages of every kind, with every field of the schema.

use airbyte_protocol::*;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::json_text::{blob, extra};

pub(crate) fn message() -> impl Strategy<Value = AirbyteMessage> {
    prop_oneof![
        record().prop_map(AirbyteMessage::from),
        state().prop_map(AirbyteMessage::from),
        (select(LogLevel::ALL), text(), of(text()), extra()).prop_map(
            |(level, message, stack_trace, extra)| {
                AirbyteLogMessage {
                    level,
                    message,
                    stack_trace,
                    extra,
                }
                .into()
            }
        ),
        spec().prop_map(AirbyteMessage::from),
        (select(Status::ALL), of(text()), extra()).prop_map(|(status, message, extra)| {
            AirbyteConnectionStatus {
                status,
                message,
                extra,
            }
            .into()
        }),
        (vec(stream(), 0..3), extra()).prop_map(|(streams, extra)| AirbyteCatalog {
            streams,
            extra
        }
        .into()),
        trace().prop_map(AirbyteMessage::from),
        control().prop_map(AirbyteMessage::from),
        destination_catalog().prop_map(AirbyteMessage::from),
    ]
}

fn text() -> impl Strategy<Value = String> {
    any::<String>()
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("JSON has no NaN and no infinity", |f| f.is_finite()),
        any::<i64>().prop_map(|n| n as f64),
    ]
}

fn path() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..3)
}

fn descriptor() -> impl Strategy<Value = StreamDescriptor> {
    (text(), of(text()), extra()).prop_map(|(name, namespace, extra)| StreamDescriptor {
        name,
        namespace,
        extra,
    })
}

/// A JSON schema or another tree; always an object.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        float().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    let object = |value: BoxedStrategy<Value>| {
        vec((text(), value), 0..4).prop_map(|members| Value::Object(members.into_iter().collect()))
    };
    let nested = leaf.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner.boxed())
        ]
    });
    object(nested.boxed())
}

fn record() -> impl Strategy<Value = AirbyteRecordMessage> {
    let change = (
        text(),
        select(Change::ALL),
        select(ChangeReason::ALL),
        extra(),
    )
        .prop_map(
            |(field, change, reason, extra)| AirbyteRecordMessageMetaChange {
                field,
                change,
                reason,
                extra,
            },
        );
    let meta = (vec(change, 0..3), extra())
        .prop_map(|(changes, extra)| AirbyteRecordMessageMeta { changes, extra });
    let file = (of(text()), of(text()), of(any::<i64>()), extra()).prop_map(
        |(staging_file_url, source_file_relative_path, file_size_bytes, extra)| {
            AirbyteRecordMessageFileReference {
                staging_file_url,
                source_file_relative_path,
                file_size_bytes,
                extra,
            }
        },
    );
    (
        of(text()),
        text(),
        blob(),
        any::<i64>(),
        of(meta),
        of(file),
        extra(),
    )
        .prop_map(
            |(namespace, stream, data, emitted_at, meta, file_reference, extra)| {
                AirbyteRecordMessage {
                    namespace,
                    stream,
                    data,
                    emitted_at,
                    meta,
                    file_reference,
                    extra,
                }
            },
        )
}

fn state() -> impl Strategy<Value = AirbyteStateMessage> {
    let stream_state = || {
        (descriptor(), of(blob()), extra()).prop_map(|(stream_descriptor, stream_state, extra)| {
            AirbyteStreamState {
                stream_descriptor,
                stream_state,
                extra,
            }
        })
    };
    let global = (of(blob()), vec(stream_state(), 0..3), extra()).prop_map(
        |(shared_state, stream_states, extra)| AirbyteGlobalState {
            shared_state,
            stream_states,
            extra,
        },
    );
    let stats = || {
        let more = of(btree_map(text(), float(), 0..3));
        (of(float()), of(float()), more, extra()).prop_map(
            |(record_count, rejected_record_count, additional_stats, extra)| AirbyteStateStats {
                record_count,
                rejected_record_count,
                additional_stats,
                extra,
            },
        )
    };
    let kind = of(select(AirbyteStateType::ALL));
    let parts = (of(stream_state()), of(global), of(blob()));
    (kind, parts, of(stats()), of(stats()), extra()).prop_map(
        |(state_type, (stream, global, data), source_stats, destination_stats, extra)| {
            AirbyteStateMessage {
                state_type,
                stream,
                global,
                data,
                source_stats,
                destination_stats,
                extra,
            }
        },
    )
}

fn trace() -> impl Strategy<Value = AirbyteTraceMessage> {
    let failure = of(select(FailureType::ALL));
    let error = (
        text(),
        of(text()),
        of(text()),
        failure,
        of(descriptor()),
        extra(),
    )
        .prop_map(
            |(message, internal_message, stack_trace, failure_type, stream_descriptor, extra)| {
                AirbyteErrorTraceMessage {
                    message,
                    internal_message,
                    stack_trace,
                    failure_type,
                    stream_descriptor,
                    extra,
                }
            },
        );
    let number = || of(any::<i64>());
    let estimate = (
        text(),
        select(EstimateType::ALL),
        of(text()),
        number(),
        number(),
        extra(),
    )
        .prop_map(
            |(name, estimate_type, namespace, row_estimate, byte_estimate, extra)| {
                AirbyteEstimateTraceMessage {
                    name,
                    estimate_type,
                    namespace,
                    row_estimate,
                    byte_estimate,
                    extra,
                }
            },
        );
    let analytics = (text(), of(text()), extra()).prop_map(|(event_type, value, extra)| {
        AirbyteAnalyticsTraceMessage {
            event_type,
            value,
            extra,
        }
    });
    let parts = (of(error), of(estimate), of(stream_status()), of(analytics));
    (select(TraceType::ALL), float(), parts, extra()).prop_map(
        |(trace_type, emitted_at, (error, estimate, stream_status, analytics), extra)| {
            AirbyteTraceMessage {
                trace_type,
                emitted_at,
                error,
                estimate,
                stream_status,
                analytics,
                extra,
            }
        },
    )
}

fn stream_status() -> impl Strategy<Value = AirbyteStreamStatusTraceMessage> {
    let limit = (of(any::<i64>()), extra()).prop_map(|(quota_reset, extra)| {
        AirbyteStreamStatusRateLimitedReason { quota_reset, extra }
    });
    let reason = (
        select(AirbyteStreamStatusReasonType::ALL),
        of(limit),
        extra(),
    )
        .prop_map(
            |(reason_type, rate_limited, extra)| AirbyteStreamStatusReason {
                reason_type,
                rate_limited,
                extra,
            },
        );
    (
        descriptor(),
        select(AirbyteStreamStatus::ALL),
        of(vec(reason, 0..3)),
        extra(),
    )
        .prop_map(|(stream_descriptor, status, reasons, extra)| {
            AirbyteStreamStatusTraceMessage {
                stream_descriptor,
                status,
                reasons,
                extra,
            }
        })
}

fn control() -> impl Strategy<Value = AirbyteControlMessage> {
    let config = (blob(), extra())
        .prop_map(|(config, extra)| AirbyteControlConnectorConfigMessage { config, extra });
    (
        select(AirbyteControlMessageType::ALL),
        float(),
        of(config),
        extra(),
    )
        .prop_map(|(control_type, emitted_at, connector_config, extra)| {
            AirbyteControlMessage {
                control_type,
                emitted_at,
                connector_config,
                extra,
            }
        })
}

fn stream() -> impl Strategy<Value = AirbyteStream> {
    let modes = vec(select(SyncMode::ALL), 1..3);
    let flags = (of(any::<bool>()), of(any::<bool>()), of(any::<bool>()));
    (
        text(),
        tree(),
        modes,
        flags,
        of(path()),
        of(vec(path(), 0..3)),
        of(text()),
        extra(),
    )
        .prop_map(
            |(name, json_schema, modes, flags, cursor, key, namespace, extra)| AirbyteStream {
                name,
                json_schema,
                supported_sync_modes: modes,
                source_defined_cursor: flags.0,
                default_cursor_field: cursor,
                source_defined_primary_key: key,
                namespace,
                is_resumable: flags.1,
                is_file_based: flags.2,
                extra,
            },
        )
}

/// The modes of the public schema; `overwrite_dedup` is the platform's own.
fn destination_mode() -> impl Strategy<Value = DestinationSyncMode> {
    select(DestinationSyncMode::ALL).prop_filter("not public", |mode| {
        *mode != DestinationSyncMode::OverwriteDedup
    })
}

pub(crate) fn configured_catalog() -> impl Strategy<Value = ConfiguredAirbyteCatalog> {
    let id = || of(any::<i64>());
    let ids = (id(), id(), id());
    let how = (
        select(SyncMode::ALL),
        destination_mode(),
        of(text()),
        of(any::<bool>()),
    );
    let configured = (
        stream(),
        how,
        of(path()),
        of(vec(path(), 0..3)),
        ids,
        extra(),
    )
        .prop_map(|(stream, how, cursor_field, primary_key, ids, extra)| {
            ConfiguredAirbyteStream {
                stream,
                sync_mode: how.0,
                destination_sync_mode: how.1,
                cursor_field,
                primary_key,
                destination_object_name: how.2,
                generation_id: ids.0,
                minimum_generation_id: ids.1,
                sync_id: ids.2,
                include_files: how.3,
                extra,
            }
        });
    (vec(configured, 0..3), extra())
        .prop_map(|(streams, extra)| ConfiguredAirbyteCatalog { streams, extra })
}

fn destination_catalog() -> impl Strategy<Value = DestinationCatalog> {
    let operation = (
        text(),
        destination_mode(),
        tree(),
        of(vec(path(), 0..3)),
        extra(),
    )
        .prop_map(
            |(object_name, sync_mode, json_schema, matching_keys, extra)| DestinationOperation {
                object_name,
                sync_mode,
                json_schema,
                matching_keys,
                extra,
            },
        );
    (vec(operation, 0..3), extra())
        .prop_map(|(operations, extra)| DestinationCatalog { operations, extra })
}

fn spec() -> impl Strategy<Value = ConnectorSpecification> {
    let flag = || of(any::<bool>());
    let url = || of("https://[a-z]{1,9}\\.example/[a-z]{0,9}");
    let modes = of(vec(destination_mode(), 0..3));
    let auth = (of(auth_specification()), of(advanced_auth()));
    (
        url(),
        url(),
        tree(),
        (flag(), flag(), flag()),
        modes,
        auth,
        of(text()),
        extra(),
    )
        .prop_map(
            |(documentation_url, changelog_url, schema, flags, modes, auth, version, extra)| {
                ConnectorSpecification {
                    documentation_url,
                    changelog_url,
                    connection_specification: schema,
                    supports_incremental: flags.0,
                    supports_normalization: flags.1,
                    supports_dbt: flags.2,
                    supported_destination_sync_modes: modes,
                    auth_specification: auth.0,
                    advanced_auth: auth.1,
                    protocol_version: version,
                    extra,
                }
            },
        )
}

fn auth_specification() -> impl Strategy<Value = AuthSpecification> {
    let step = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from)
    ];
    let paths = || of(vec(path(), 0..3));
    let oauth2 = (of(vec(step, 0..3)), paths(), paths(), extra()).prop_map(
        |(root_object, init, output, extra)| OAuth2Specification {
            root_object,
            oauth_flow_init_parameters: init,
            oauth_flow_output_parameters: output,
            extra,
        },
    );
    (of(select(AuthType::ALL)), of(oauth2), extra()).prop_map(
        |(auth_type, oauth2_specification, extra)| AuthSpecification {
            auth_type,
            oauth2_specification,
            extra,
        },
    )
}

fn advanced_auth() -> impl Strategy<Value = AdvancedAuth> {
    let schemas = (of(tree()), of(tree()), of(tree()), of(tree()));
    let oauth = (schemas, of(oauth_input()), extra()).prop_map(|(schemas, input, extra)| {
        OAuthConfigSpecification {
            oauth_user_input_from_connector_config_specification: schemas.0,
            oauth_connector_input_specification: input,
            complete_oauth_output_specification: schemas.1,
            complete_oauth_server_input_specification: schemas.2,
            complete_oauth_server_output_specification: schemas.3,
            extra,
        }
    });
    (
        of(select(AuthFlowType::ALL)),
        of(path()),
        of(text()),
        of(oauth),
        extra(),
    )
        .prop_map(
            |(auth_flow_type, predicate_key, predicate_value, oauth, extra)| AdvancedAuth {
                auth_flow_type,
                predicate_key,
                predicate_value,
                oauth_config_specification: oauth,
                extra,
            },
        )
}

fn oauth_input() -> impl Strategy<Value = OAuthConnectorInputSpecification> {
    let state = (of(any::<i64>()), of(any::<i64>()), extra())
        .prop_map(|(min, max, extra)| OAuthState { min, max, extra });
    let urls = (text(), of(text()), text());
    let maps = (of(tree()), of(tree()), of(path()), of(state));
    (urls, maps, vec(of(text()), 7), extra()).prop_map(|(urls, maps, keys, extra)| {
        let key = |at: usize| keys[at].clone();
        OAuthConnectorInputSpecification {
            consent_url: urls.0,
            scope: urls.1,
            access_token_url: urls.2,
            access_token_headers: maps.0,
            access_token_params: maps.1,
            extract_output: maps.2,
            state: maps.3,
            client_id_key: key(0),
            client_secret_key: key(1),
            scope_key: key(2),
            state_key: key(3),
            auth_code_key: key(4),
            redirect_uri_key: key(5),
            token_expiry_key: key(6),
            extra,
        }
    })
}
