//! Error codes and JSON forms of Polylog's outward interfaces
