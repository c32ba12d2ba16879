use serde_json::json;

use crate::bed::{Namespace, Operator, POSTGRES, condition};

#[test]
fn without_the_tenants_leave_no_secret_is_read_and_the_command_that_gives_it_is_told() {
    let namespace = Namespace::new("forbidden", false);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    namespace.store("payments", json!({}));
    let operator = Operator::start(&namespace, 600);
    let store = namespace.until_told("payments", "Valid", "False", "SecretForbidden");
    let message = condition(&store, "Valid")["message"].as_str().expect("words").to_owned();
    // the operator looks after a list of namespaces: nobody made the role for all of them
    let commands: Vec<&str> = message.split_once("let it: ").expect("commands").1.split(" && ").collect();
    assert_eq!(commands.len(), 2, "{message}");
    for command in commands {
        let arguments: Vec<&str> = command.strip_prefix("kubectl ").expect("a command").split(' ').collect();
        namespace.kubectl(&arguments, "");
    }
    namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    drop(operator);
}

#[test]
fn where_somebody_else_provisions_no_secret_need_be_read() {
    let namespace = Namespace::new("blind", false);
    namespace.secret("payments", "postgres://nobody@127.0.0.1:1/nothing");
    namespace.store("payments", json!({ "provisioning": { "mode": "External" } }));
    let _operator = Operator::start(&namespace, 600);
    let store = namespace.until_told("payments", "Provisioned", "Unknown", "External");
    assert_eq!(condition(&store, "Valid")["status"], "True");
    namespace.until("deployment", "polylog-payments", |deployment| !deployment.is_null());
}
