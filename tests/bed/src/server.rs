use crate::{ElasticsearchServer, MariadbServer, MongodbServer, PostgresServer};

/// What a test does to a server of any engine.
pub trait Server: Send + Sync {
    /// Kills the server with SIGKILL, as a failing machine would.
    fn crash(&self);

    /// Ends the server; sessions are closed.
    fn stop(&self);

    /// Starts the server again; returns when it answers.
    fn start_again(&self);

    /// Stops its processes (SIGSTOP): connections stay, nothing is answered.
    fn pause(&self);

    /// Ends a pause.
    fn resume(&self);
}

macro_rules! server {
    ($($server:ty),+) => {$(
        impl Server for $server {
            fn crash(&self) {
                self.crash();
            }

            fn stop(&self) {
                self.stop();
            }

            fn start_again(&self) {
                self.start_again();
            }

            fn pause(&self) {
                self.pause();
            }

            fn resume(&self) {
                self.resume();
            }
        }
    )+};
}

server!(ElasticsearchServer, MariadbServer, MongodbServer, PostgresServer);
