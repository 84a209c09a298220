//! Custom components: what a manifest names by `class_name`, made by Rust factories of the embedding program.
//!
//! A factory is registered under the name the manifest uses, as a whole (`source_x.components.SignedAuthenticator`)
//! or by its last part (`SignedAuthenticator`). It gets the component's fields, evaluates what it needs of them, and
//! returns the component.
//!
//! ```
//! use cdk_declarative::custom::{CustomTransformation, Registry};
//! use serde_json::Value;
//!
//! /// Adds up two fields of each record.
//! #[derive(Debug)]
//! struct Sum;
//!
//! impl CustomTransformation for Sum {
//!     fn transform(&self, record: &mut Value, _config: &Value, _slice: &Value) -> cdk_core::Result<()> {
//!         let sum = record["a"].as_i64().unwrap_or(0) + record["b"].as_i64().unwrap_or(0);
//!         record["sum"] = sum.into();
//!         Ok(())
//!     }
//! }
//!
//! let registry = Registry::default().with_transformation("SumTransformation", |_component| {
//!     Ok(std::sync::Arc::new(Sum))
//! });
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cdk_core::{ConnectorError, Result, async_trait};
use cdk_http::errors::Resolution;
use cdk_http::header::HeaderMap;
use futures::stream::BoxStream;
use serde_json::Value;

pub use crate::component::Component;
pub use crate::slice::{Additions, StreamSlice};

/// Puts credentials into requests.
#[async_trait]
pub trait CustomAuthenticator: Send + Sync {
    /// What goes into the next request. Called before every try.
    async fn additions(&self, config: &Value) -> Result<Additions>;
}

/// Takes records out of a response.
pub trait CustomExtractor: Send + Sync {
    /// The records in a body, which come as they were sent (unpacked).
    fn extract(&self, body: Bytes) -> Result<Vec<Value>>;
}

/// Reads a response's body.
pub trait CustomDecoder: Send + Sync {
    /// The documents in a body.
    fn decode(&self, body: Bytes) -> Result<Vec<Value>>;
}

/// Decides which records are kept.
pub trait CustomFilter: Send + Sync {
    /// True to keep the record.
    fn keeps(&self, record: &Value, config: &Value, slice: &Value) -> Result<bool>;
}

/// Changes records.
pub trait CustomTransformation: Send + Sync {
    /// Changes a record in place.
    fn transform(&self, record: &mut Value, config: &Value, slice: &Value) -> Result<()>;
}

/// Casts records to their schema.
pub trait CustomNormalization: Send + Sync {
    /// Changes a record in place.
    fn normalize(&self, record: &mut Value, schema: &Value) -> Result<()>;
}

/// Decides whether there is a next page.
pub trait CustomPagination: Send + Sync {
    /// The token of the first request.
    fn initial_token(&self) -> Option<Value> {
        None
    }

    /// The size of a page, when requests name it.
    fn page_size(&self) -> Option<i64> {
        None
    }

    /// The token of the next page; `None` after the last one.
    fn next_token(
        &self,
        response: &Value,
        page_size: usize,
        last_record: Option<&Value>,
        last_token: Option<&Value>,
    ) -> Result<Option<Value>>;
}

/// Says what answers mean.
pub trait CustomErrorHandler: Send + Sync {
    /// What an answer means; `None` for the default. Status and body are missing when there was no answer.
    fn interpret(&self, status: Option<u16>, body: Option<&[u8]>) -> Result<Option<Resolution>>;

    /// Retries after the first try.
    fn max_retries(&self) -> Option<u32> {
        None
    }

    /// The wait after try number `attempt`, from 1.
    fn backoff(&self, _attempt: u32) -> Option<Duration> {
        None
    }
}

/// Says how long to wait before another try.
pub trait CustomBackoff: Send + Sync {
    /// The wait after try number `attempt`, from 1.
    fn wait(&self, status: Option<u16>, attempt: u32) -> Option<Duration>;
}

/// Gives a stream's schema.
#[async_trait]
pub trait CustomSchemaLoader: Send + Sync {
    /// The JSON schema of the stream's records.
    async fn schema(&self, config: &Value) -> Result<Value>;
}

/// Changes the config: for this run only, or for good where it is a step of a migration.
pub trait CustomConfigTransformation: Send + Sync {
    /// Changes the config in place.
    fn transform(&self, config: &mut Value) -> Result<()>;
}

/// Judges a value of the config.
pub trait CustomValidation: Send + Sync {
    /// A config error when the value won't do.
    fn validate(&self, value: &Value) -> Result<()>;
}

/// Brings a stream's state of an earlier version of the connector into today's form.
pub trait CustomStateMigration: Send + Sync {
    /// False for states that have today's form.
    fn should_migrate(&self, state: &Value) -> bool;

    /// The state in today's form.
    fn migrate(&self, state: Value) -> Result<Value>;
}

/// Cuts a stream into partitions.
pub trait CustomPartitionRouter: Send + Sync {
    /// The partitions, found as they are pulled, always in the same order. State is kept by
    /// [`StreamSlice::partition`]; what only requests need goes into the extra fields.
    fn partitions(&self, config: Arc<Value>) -> BoxStream<'static, Result<StreamSlice>>;

    /// What goes into the requests of a partition.
    fn additions(&self, _slice: &StreamSlice) -> Result<Additions> {
        Ok(Additions::default())
    }
}

/// What a [`CustomRequester`] is asked for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CustomRequest<'a> {
    /// The config.
    pub config: &'a Value,
    /// The slice that is read.
    pub slice: &'a StreamSlice,
    /// The token of the page, none for the first.
    pub page_token: Option<&'a Value>,
    /// What paginator, partition router and cursor put into the request.
    pub additions: &'a Additions,
    /// The path or URL of the page, when the paginator says so.
    pub path: Option<&'a str>,
}

/// An answer that a [`CustomRequester`] got.
#[derive(Debug, Clone)]
pub struct CustomResponse {
    /// The HTTP status. The page of a status of 400 or more holds no records and is the last one.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// Where the answer came from.
    pub url: String,
    /// The body, unpacked.
    pub body: Bytes,
}

/// Sends the requests of a stream. Retries and limits are its own affair.
#[async_trait]
pub trait CustomRequester: Send + Sync {
    /// Gets one page.
    async fn send(&self, request: CustomRequest<'_>) -> Result<CustomResponse>;
}

/// Reads the records of a slice, in place of requester, paginator and record selector.
pub trait CustomRetriever: Send + Sync {
    /// The records, which are objects, found as they are pulled.
    fn read(
        &self,
        slice: Arc<StreamSlice>,
        config: Arc<Value>,
    ) -> BoxStream<'static, Result<Value>>;
}

type Factory<T> = Arc<dyn Fn(&Component<'_>) -> Result<Arc<T>> + Send + Sync>;

macro_rules! registry {
    ($($(#[$doc:meta])* $field:ident, $with:ident, $trait:ident;)*) => {
        /// Factories of custom components by name.
        #[derive(Clone, Default)]
        pub struct Registry {
            $($field: HashMap<String, Factory<dyn $trait>>,)*
        }

        impl Registry {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $with<F>(mut self, class_name: impl Into<String>, factory: F) -> Self
                where
                    F: Fn(&Component<'_>) -> Result<Arc<dyn $trait>> + Send + Sync + 'static,
                {
                    self.$field.insert(class_name.into(), Arc::new(factory));
                    self
                }

                pub(crate) fn $field(&self, component: &Component<'_>) -> Result<Arc<dyn $trait>> {
                    let factory = find(&self.$field, component);
                    factory.ok_or_else(|| self.missing(component))?(component)
                }
            )*
        }
    };
}

registry! {
    /// Registers a `CustomAuthenticator`.
    authenticator, with_authenticator, CustomAuthenticator;
    /// Registers a `CustomRecordExtractor`.
    extractor, with_extractor, CustomExtractor;
    /// Registers a `CustomDecoder`.
    decoder, with_decoder, CustomDecoder;
    /// Registers a `CustomRecordFilter`.
    filter, with_filter, CustomFilter;
    /// Registers a `CustomTransformation`.
    transformation, with_transformation, CustomTransformation;
    /// Registers a `CustomSchemaNormalization`.
    normalization, with_normalization, CustomNormalization;
    /// Registers a `CustomPaginationStrategy`.
    pagination, with_pagination, CustomPagination;
    /// Registers a `CustomErrorHandler`.
    error_handler, with_error_handler, CustomErrorHandler;
    /// Registers a `CustomBackoffStrategy`.
    backoff, with_backoff, CustomBackoff;
    /// Registers a `CustomSchemaLoader`.
    schema_loader, with_schema_loader, CustomSchemaLoader;
    /// Registers a `CustomConfigTransformation`.
    config_transformation, with_config_transformation, CustomConfigTransformation;
    /// Registers a `CustomValidationStrategy`.
    validation, with_validation, CustomValidation;
    /// Registers a `CustomStateMigration`.
    state_migration, with_state_migration, CustomStateMigration;
    /// Registers a `CustomPartitionRouter`.
    partition_router, with_partition_router, CustomPartitionRouter;
    /// Registers a `CustomRequester`.
    requester, with_requester, CustomRequester;
    /// Registers a `CustomRetriever`.
    retriever, with_retriever, CustomRetriever;
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

impl Registry {
    /// The error of a component without a factory.
    pub(crate) fn missing(&self, component: &Component<'_>) -> ConnectorError {
        let class_name = component.fields().get("class_name").and_then(Value::as_str);
        component.error(format!(
            "the class `{}` is custom code, which this program does not have. Register a factory for it, or use a \
             component of the manifest language.",
            class_name.unwrap_or("(without a name)")
        ))
    }
}

fn find<T: ?Sized>(
    factories: &HashMap<String, Factory<T>>,
    component: &Component<'_>,
) -> Option<Factory<T>> {
    let class_name = component.fields().get("class_name")?.as_str()?;
    let short = class_name.rsplit('.').next().unwrap_or(class_name);
    let found = factories.get(class_name).or_else(|| factories.get(short));
    found.cloned()
}
