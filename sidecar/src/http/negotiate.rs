use http::{HeaderMap, header};
use polylog_api::{BATCH, Code, Problem, STRUCTURED, headers};

/// A media type that an answer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON document.
    Json,
    /// One event per line.
    Ndjson,
    /// One CloudEvent.
    CloudEvent,
    /// An array of CloudEvents.
    CloudEvents,
    /// Server-sent events.
    EventStream,
}

impl Format {
    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ndjson => headers::NDJSON,
            Format::CloudEvent => STRUCTURED,
            Format::CloudEvents => BATCH,
            Format::EventStream => headers::EVENT_STREAM,
        }
    }
}

/// Chooses among `offers`, the first being the one for callers who do not care.
pub(crate) fn choose(given: &HeaderMap, offers: &[Format]) -> Result<Format, Problem> {
    let mut accepted = Vec::new();
    for value in given.get_all(header::ACCEPT) {
        let text = String::from_utf8_lossy(value.as_bytes());
        accepted.extend(text.split(',').filter_map(range));
    }
    if accepted.is_empty() {
        return Ok(offers[0]);
    }
    let quality = |offer: Format| {
        let best = accepted.iter().filter(|range| range.covers(offer.media_type()));
        best.max_by_key(|range| range.precision()).map_or(0, |range| range.quality)
    };
    let mut best: Option<(u16, Format)> = None;
    for offer in offers {
        let quality = quality(*offer);
        if quality > best.map_or(0, |(quality, _)| quality) {
            best = Some((quality, *offer));
        }
    }
    best.map(|(_, format)| format).ok_or_else(|| {
        let names: Vec<&str> = offers.iter().map(|offer| offer.media_type()).collect();
        Problem::new(Code::NotAcceptable, "none of the media types in Accept can be given here")
            .next_step(format!("accept one of: {}", names.join(", ")))
    })
}

struct Range {
    essence: String,
    quality: u16,
}

impl Range {
    fn covers(&self, media_type: &str) -> bool {
        match self.essence.strip_suffix("/*") {
            Some("*") => true,
            Some(main) => media_type.split_once('/').is_some_and(|(its, _)| its == main),
            None => self.essence == media_type,
        }
    }

    fn precision(&self) -> u8 {
        match self.essence.as_str() {
            "*/*" => 0,
            essence if essence.ends_with("/*") => 1,
            _ => 2,
        }
    }
}

/// One range of an `Accept`, with its quality in thousandths. What is not well formed is left out.
fn range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next()?.to_ascii_lowercase();
    essence.split_once('/')?;
    let mut quality = 1_000;
    for parameter in parts {
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("q")
        {
            let value: f32 = value.trim().parse().ok()?;
            quality = (value.clamp(0.0, 1.0) * 1_000.0) as u16;
        }
    }
    Some(Range { essence, quality })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn chosen(accept: &str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(header::ACCEPT, HeaderValue::from_str(accept).expect("a header"));
        }
        choose(&headers, &[Format::Json, Format::Ndjson, Format::CloudEvents]).ok()
    }

    #[test]
    fn the_best_offer_wins() {
        for (accept, format) in [
            ("", Some(Format::Json)),
            ("*/*", Some(Format::Json)),
            ("application/*", Some(Format::Json)),
            ("Application/X-NDJSON", Some(Format::Ndjson)),
            ("application/json;q=0.1, application/x-ndjson; q=0.9", Some(Format::Ndjson)),
            ("*/*;q=0.5, application/json;q=0", Some(Format::Ndjson)),
            ("application/cloudevents-batch+json; charset=utf-8", Some(Format::CloudEvents)),
            ("text/html, */*;q=0.1", Some(Format::Json)),
            ("text/html", None),
            ("application/json;q=0", None),
            ("nonsense", Some(Format::Json)),
        ] {
            assert_eq!(chosen(accept), format, "{accept}");
        }
    }
}
