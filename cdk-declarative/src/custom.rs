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
