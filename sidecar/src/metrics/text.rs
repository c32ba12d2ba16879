use http::HeaderMap;
use prometheus_client::{encoding::text, registry::Registry};

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// What Prometheus had before, and reads where nobody asks for more.
    Prometheus,
}

impl TextFormat {
    /// The format that a reader asks for: OpenMetrics if it is named with a weight of at least that of `text/plain`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let accepts = headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let (mut open_metrics, mut plain) = (0.0, 0.0);
        for part in accepts.flat_map(|value| value.split(',')) {
            let mut parameters = part.split(';').map(str::trim);
            let media_type = parameters.next().unwrap_or_default();
            let weight = parameters.find_map(|parameter| parameter.strip_prefix("q="));
            let weight: f64 = weight.and_then(|weight| weight.parse().ok()).unwrap_or(1.0);
            match media_type {
                "application/openmetrics-text" => open_metrics = weight.max(open_metrics),
                "text/plain" => plain = weight.max(plain),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its content type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    pub(super) fn write(self, registry: &Registry) -> String {
        let mut out = String::new();
        text::encode(&mut out, registry).expect("writing to a string cannot fail");
        match self {
            Self::OpenMetrics => out,
            Self::Prometheus => older(&out),
        }
    }
}

/// The same in the older format: there a counter is named as its samples are, an info is a gauge, and units and the end
/// are not told.
fn older(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (name, kind) = match kind {
                "counter" => (format!("{name}_total"), kind),
                "info" => (format!("{name}_info"), "gauge"),
                _ => (name.to_owned(), kind),
            };
            if let Some((_, help)) = help.take() {
                out.extend(["# HELP ", &name, " ", help, "\n"]);
            }
            out.extend(["# TYPE ", &name, " ", kind, "\n"]);
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            out.extend([line, "\n"]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_what_the_reader_asks_for() {
        let asked = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("accept", accept.parse().expect("a header"));
            TextFormat::of(&headers)
        };
        assert_eq!(TextFormat::of(&HeaderMap::new()), TextFormat::Prometheus);
        assert_eq!(asked("*/*"), TextFormat::Prometheus);
        assert_eq!(asked("text/plain;version=0.0.4"), TextFormat::Prometheus);
        assert_eq!(asked("application/openmetrics-text"), TextFormat::OpenMetrics);
        // as Prometheus 2 and 3 ask
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(asked(prometheus), TextFormat::OpenMetrics);
        assert_eq!(asked("application/openmetrics-text;q=0.2, text/plain"), TextFormat::Prometheus);
        assert_eq!(asked("application/openmetrics-text;q=0"), TextFormat::Prometheus);
    }

    #[test]
    fn the_older_format_names_counters_as_their_samples() {
        let text = "# HELP a Help.\n# TYPE a counter\na_total{x=\"y\"} 1\n# HELP b_seconds Help.\n\
                    # TYPE b_seconds histogram\n# UNIT b_seconds seconds\nb_seconds_sum 1.0\n\
                    # HELP c Help.\n# TYPE c info\nc_info{v=\"1\"} 1\n# EOF\n";
        let wanted = "# HELP a_total Help.\n# TYPE a_total counter\na_total{x=\"y\"} 1\n\
                      # HELP b_seconds Help.\n# TYPE b_seconds histogram\nb_seconds_sum 1.0\n\
                      # HELP c_info Help.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n";
        assert_eq!(older(text), wanted);
    }
}
