//! The roles `sidecar` and `gateway` on real database servers: changes of the configuration under load. The same for every
//! engine.

pub mod certificates;
pub mod changes;
pub mod lives;
pub mod passwords;

use polylog_log::LogId;

/// The tests of this folder on one kind of server: one of it is for the tests that neither stop nor reconfigure it.
macro_rules! tests {
    ($server:ty) => {
        static SERVER: std::sync::LazyLock<$server> = std::sync::LazyLock::new(<$server>::start);

        $crate::mounted_on_server::tests! {
            changes::configurations_change_under_load_without_one_failed_request
            passwords::a_password_and_a_user_are_rotated_under_load
            passwords::new_credentials_that_do_not_work_leave_the_old_ones_in_use_until_they_do
            certificates::authority_and_client_certificate_are_rotated_under_load
            changes::a_store_is_added_and_removed_while_another_works
            lives::a_database_that_is_down_at_the_start_is_waited_for
            lives::the_database_of_another_store_is_refused
            lives::a_stop_finishes_what_was_taken
        }
    };
    ($($group:ident::$name:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $crate::mounted_on_server::$group::$name(&SERVER).await;
        }
    )+};
}
pub(crate) use tests;

fn with_id(manifest: &str, log: LogId) -> String {
    manifest.replace("spec:", &format!("status: {{storeId: {log}}}\nspec:"))
}
