//! Something that was made for a store, as much of it as is watched.

use std::{borrow::Cow, marker::PhantomData};

use kube::{Resource, api::ObjectMeta, core::NamespaceResourceScope};
use serde::Deserialize;
use serde_json::Value;

use crate::objects::Sight;

/// An object of the kind `K`, without what it is to be, which its generation stands for.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound = "")]
pub(super) struct Made<K> {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    status: Value,
    #[serde(skip)]
    kind: PhantomData<K>,
}

impl<K> Made<K> {
    /// What was seen of it.
    pub(super) fn sight(&self) -> Sight {
        Sight::of(&self.metadata).and(&self.status)
    }
}

impl<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>> Resource for Made<K> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
