use http::{HeaderMap, Uri, header};
use polylog_api::{Code, Problem};

/// Which hosts and origins a server answers to, so that a web page cannot reach it: a page's own script sends its
/// `Origin`, and a name that was pointed at this machine (DNS rebinding) shows in `Host`.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Host names without ports that are answered beside the loopback's.
    pub hosts: Vec<String>,
    /// Origins that are answered, like `https://shop.example`.
    pub origins: Vec<String>,
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Longest path and query, in bytes.
const LONGEST_URI: usize = 8 << 10;

impl Guard {
    /// Refuses requests that may come from a web page, and addresses that are too long.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        self.check_host(uri, headers)?;
        self.check_origin(headers)?;
        check_length(uri)
    }

    /// The same for requests that prove who sends them: a page does not have what they prove it with, so that the name
    /// by which they come does not matter.
    pub(crate) fn check_of_pods(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        self.check_origin(headers)?;
        check_length(uri)
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let from_header = || {
            let mut values = headers.get_all(header::HOST).iter();
            let only = values.next()?.to_str().ok();
            only.filter(|_| values.next().is_none())
        };
        let host = uri.authority().map(|authority| authority.as_str()).or_else(from_header);
        let name = host.map(without_port);
        let is_known = name.is_some_and(|name| {
            let is_name = |known: &str| known.eq_ignore_ascii_case(name);
            LOOPBACK.into_iter().any(is_name) || self.hosts.iter().any(|host| is_name(host))
        });
        if is_known {
            return Ok(());
        }
        let shown: String = host.unwrap_or("no host").chars().take(100).collect();
        Err(Problem::new(Code::ForbiddenOrigin, format_args!("requests to {shown:?} are not answered"))
            .next_step("address the sidecar as localhost, 127.0.0.1 or [::1]"))
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        for origin in headers.get_all(header::ORIGIN) {
            let text = origin.to_str().unwrap_or_default();
            if !self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(text)) {
                let shown: String = text.chars().take(100).collect();
                return Err(Problem::new(
                    Code::ForbiddenOrigin,
                    format_args!("requests of web pages from {shown:?} are not answered"),
                )
                .next_step("call from a program, or through your own backend"));
            }
        }
        Ok(())
    }
}

fn check_length(uri: &Uri) -> Result<(), Problem> {
    let length = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length <= LONGEST_URI {
        return Ok(());
    }
    let detail = format_args!("path and query may have {LONGEST_URI} bytes, these have {length}");
    Err(Problem::new(Code::LimitExceeded, detail).next_step("use a shorter query"))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(host: Option<&str>, origin: Option<&str>) -> Result<(), Code> {
        let guard =
            Guard { hosts: vec!["polylog.shop.svc".into()], origins: vec!["https://ok.example".into()] };
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(value).expect("a header"));
            }
        }
        guard.check(&Uri::from_static("/v1/stores"), &headers).map_err(|problem| problem.code)
    }

    #[test]
    fn only_known_hosts_and_origins_pass() {
        for good in
            ["localhost", "LOCALHOST:7300", "127.0.0.1:1", "[::1]", "[::1]:7300", "polylog.shop.svc:80"]
        {
            assert_eq!(check(Some(good), None), Ok(()), "{good}");
        }
        for bad in [
            "evil.example",
            "evil.example:7300",
            "127.0.0.1.evil.example",
            "::1",
            "",
            "localhost:x",
            "x@localhost",
        ] {
            assert_eq!(check(Some(bad), None), Err(Code::ForbiddenOrigin), "{bad}");
        }
        assert_eq!(check(None, None), Err(Code::ForbiddenOrigin));
        assert_eq!(check(Some("localhost"), Some("https://ok.example")), Ok(()));
        for bad in ["https://evil.example", "null", "http://localhost:7300", ""] {
            assert_eq!(check(Some("localhost"), Some(bad)), Err(Code::ForbiddenOrigin), "{bad}");
        }
    }

    #[test]
    fn the_address_of_http2_counts_and_length_is_bounded() {
        let uri = |text: &str| Uri::try_from(text).expect("a URI");
        let check = |text: &str| {
            Guard::default().check(&uri(text), &HeaderMap::new()).map_err(|problem| problem.code)
        };
        assert_eq!(check("http://localhost:7300/v1"), Ok(()));
        assert_eq!(check("http://evil.example/v1"), Err(Code::ForbiddenOrigin));
        assert_eq!(check(&format!("http://localhost/{}", "a".repeat(9000))), Err(Code::LimitExceeded));
    }
}
