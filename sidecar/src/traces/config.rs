use opentelemetry_sdk::trace::Sampler;

/// What the environment says of traces.
#[derive(Debug, Clone)]
pub(super) struct TracesConfig {
    pub(super) sampler: Sampler,
    pub(super) route: Route,
}

/// How spans get to the collector.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) transport: Transport,
    /// The authority of the collector's certificate, in PEM; without one, those that browsers trust.
    pub(super) authority: Option<Vec<u8>>,
}

/// What the collector speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Grpc,
    Http,
}

/// The environment asks for traces in a way that this version does not know. Change the variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value}: {reason}")]
pub struct InvalidTraces {
    variable: &'static str,
    value: String,
    reason: &'static str,
}

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const CERTIFICATES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
const COMPRESSIONS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];

impl TracesConfig {
    /// `None` where no collector is named, or traces are switched off. The exporter reads endpoint, headers, timeout and
    /// compression itself.
    pub(super) fn read(
        variable: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Option<Self>, InvalidTraces> {
        let given = |name| variable(name).filter(|value| !value.trim().is_empty()).map(|value| (name, value));
        let is =
            |name, wanted: &str| given(name).is_some_and(|(_, value)| value.eq_ignore_ascii_case(wanted));
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let Some((name, endpoint)) = ENDPOINTS.into_iter().find_map(given) else { return Ok(None) };
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            let reason = "it must begin with http:// or https://";
            return Err(InvalidTraces { variable: name, value: endpoint, reason });
        }
        let transport = match PROTOCOLS.into_iter().find_map(given) {
            None => Transport::Grpc,
            Some((_, value)) if value == "grpc" => Transport::Grpc,
            Some((_, value)) if value == "http/protobuf" => Transport::Http,
            Some((variable, value)) => {
                let reason = "this version has grpc (port 4317 of most collectors) and http/protobuf (4318)";
                return Err(InvalidTraces { variable, value, reason });
            }
        };
        if let Some((variable, value)) = COMPRESSIONS
            .into_iter()
            .find_map(given)
            .filter(|(_, value)| !["none", "gzip"].contains(&value.as_str()))
        {
            return Err(InvalidTraces { variable, value, reason: "this version has gzip and none" });
        }
        let read = |(variable, value): (&'static str, String)| {
            std::fs::read(&value).map_err(|_| InvalidTraces { variable, value, reason: "it cannot be read" })
        };
        let authority = CERTIFICATES.into_iter().find_map(given).map(read).transpose()?;
        Ok(Some(Self { sampler: sampler(&given)?, route: Route { transport, authority } }))
    }
}

fn sampler(
    given: &impl Fn(&'static str) -> Option<(&'static str, String)>,
) -> Result<Sampler, InvalidTraces> {
    const RATIO: &str = "OTEL_TRACES_SAMPLER_ARG";
    let ratio = || {
        let Some((variable, value)) = given(RATIO) else { return Ok(1.0) };
        match value.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => Err(InvalidTraces { variable, value, reason: "it must be a number from 0 to 1" }),
        }
    };
    let Some((variable, value)) = given("OTEL_TRACES_SAMPLER") else {
        return Ok(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
    };
    Ok(match &*value {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio()?),
        "parentbased_always_on" => Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
        "parentbased_always_off" => Sampler::ParentBased(Box::new(Sampler::AlwaysOff)),
        "parentbased_traceidratio" => Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio()?))),
        _ => {
            return Err(InvalidTraces { variable, value, reason: "this version does not know that sampler" });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<TracesConfig>, InvalidTraces> {
        TracesConfig::read(|name| {
            variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const COLLECTOR: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");

    #[test]
    fn traces_are_off_unless_a_collector_is_named() {
        assert!(read(&[]).expect("good").is_none());
        assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).expect("good").is_none());
        assert!(read(&[COLLECTOR]).expect("good").is_some());
        assert!(read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c:4317")]).expect("good").is_some());
        assert!(read(&[COLLECTOR, ("OTEL_SDK_DISABLED", "true")]).expect("good").is_none());
        assert!(read(&[COLLECTOR, ("OTEL_TRACES_EXPORTER", "none")]).expect("good").is_none());
    }

    #[test]
    fn what_this_version_cannot_do_is_refused_by_name() {
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ] {
            let refused = read(&[COLLECTOR, (variable, value)]).expect_err(variable);
            assert_eq!((refused.variable, &*refused.value), (variable, value));
        }
        let refused = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4317")]).expect_err("no scheme");
        assert!(refused.to_string().contains("http://"), "{refused}");
        assert!(read(&[COLLECTOR, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")]).is_err());
        let ratio = |ratio| {
            read(&[COLLECTOR, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", ratio)])
        };
        assert!(ratio("0.1").is_ok() && ratio("1.1").is_err() && ratio("x").is_err());
        assert!(read(&[COLLECTOR, ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")]).is_ok());
    }

    #[test]
    fn the_protocol_of_traces_wins_over_that_of_everything() {
        let general = |protocol| ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let transport = |variables: &[(&str, &str)]| {
            let variables = [&[COLLECTOR], variables].concat();
            read(&variables).expect("good").expect("on").route.transport
        };
        assert_eq!(transport(&[]), Transport::Grpc);
        assert_eq!(transport(&[general("grpc")]), Transport::Grpc);
        assert_eq!(transport(&[general("http/protobuf")]), Transport::Http);
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
        assert_eq!(transport(&[general("grpc"), traces]), Transport::Http);
    }
}
