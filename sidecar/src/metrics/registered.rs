use prometheus_client::{
    metrics::info::Info,
    registry::{Metric as AnyMetric, Registry, Unit as AnyUnit},
};

use crate::catalogue::{Kind, Metric, Unit};

/// Registers a metric under what the catalogue says of it, and gives it back.
///
/// The name is written without its unit, which the encoder puts behind it again.
pub(super) fn register<M: AnyMetric + Clone>(registry: &mut Registry, metric: Metric, family: M) -> M {
    debug_assert!(metric.kind != Kind::Info, "an info is registered by `info`");
    match metric.unit {
        None => registry.register(metric.name, metric.help, family.clone()),
        Some(unit) => {
            let name = metric.name.strip_suffix(unit.text()).and_then(|name| name.strip_suffix('_'));
            let name = name.expect("a name ends with its unit: a test of the catalogue says so");
            let unit = match unit {
                Unit::Seconds => AnyUnit::Seconds,
                Unit::Bytes => AnyUnit::Bytes,
            };
            registry.register_with_unit(name, metric.help, unit, family.clone());
        }
    }
    family
}

/// Registers what never changes.
pub(super) fn info(registry: &mut Registry, metric: Metric, label: (&'static str, &'static str)) {
    registry.register(metric.name, metric.help, Info::new([label]));
}
