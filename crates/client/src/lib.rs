//! A client of Polylog's HTTP interface that retries by id
