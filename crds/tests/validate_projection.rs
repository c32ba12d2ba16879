//! Projections are accepted and checked, though this version does not run them.

mod support;

use support::{assert_found, manifests, sources};

const PROJECTION: &str = "\
apiVersion: polylog.dev/v1alpha1
kind: Projection
metadata: {name: payment-status}
spec:
  eventStoreRef: {name: payments}
  version: v1
  filter: {when: ''}
  targets: [{source: ledger, name: payment_status}]
  key: event.aggregateId
  fields:
    - {name: status, type: String, indexed: true}
    - {name: refunded, type: Decimal, default: '0.00'}
    - {name: processedAt, type: Timestamp}
  rules:
    - {types: [PaymentProcessed], const: {status: completed}, set: {processedAt: event.time}, when: ''}
    - {types: [PaymentRefunded], const: {status: refunded}, add: {refunded: event.data.refundAmount}, remove: [processedAt]}
";

#[test]
fn projections_are_accepted_and_checked() {
    const NOT_YET: &str =
        "Warning NotSupported Projection : polylog dev of this version does not run projections";
    let store = sources(&["ledger"]);
    assert_found(&manifests(&store, "", PROJECTION), &[NOT_YET]);
    for (from, to, expected) in [
        (
            "eventStoreRef: {name: payments}",
            "eventStoreRef: {name: other}",
            "Refused InvalidReference Projection spec.eventStoreRef.name: there is no EventStore default/other",
        ),
        (
            "source: ledger",
            "source: nowhere",
            "Refused InvalidReference Projection spec.targets[0].source: EventStore default/payments has no source nowhere",
        ),
        (
            "key: event.aggregateId",
            "key: aggregateId",
            "Refused InvalidExpression Projection spec.key: uses `aggregateId`",
        ),
        (
            "key: event.aggregateId",
            "key: ''",
            "Refused InvalidExpression Projection spec.key: the expression is empty",
        ),
        (
            "filter: {when: ''}",
            "filter: {when: '1 +'}",
            "Refused InvalidExpression Projection spec.filter.when: is no CEL",
        ),
        (
            "when: ''}\n    -",
            "when: 'x'}\n    -",
            "Refused InvalidExpression Projection spec.rules[0].when: uses `x`",
        ),
        (
            "event.time",
            "event.time +",
            "Refused InvalidExpression Projection spec.rules[0].set.processedAt: is no CEL",
        ),
        (
            "event.data.refundAmount",
            "now",
            "Refused InvalidExpression Projection spec.rules[1].add.refunded: uses `now`",
        ),
        (
            "const: {status: completed}",
            "const: {state: completed}",
            "Refused InvalidReference Projection spec.rules[0].const.state: the projection has no field state",
        ),
        (
            "remove: [processedAt]",
            "remove: [x]",
            "Refused InvalidReference Projection spec.rules[1].remove[0]: the projection has no field x",
        ),
        (
            "add: {refunded:",
            "add: {status:",
            "Refused InvalidValue Projection spec.rules[1].add.status: only Integer and Decimal",
        ),
        (
            "default: '0.00'",
            "default: '0,5'",
            "Refused InvalidValue Projection spec.fields[1].default: is no Decimal",
        ),
        (
            "type: Timestamp}",
            "type: Timestamp, default: today}",
            "Refused InvalidValue Projection spec.fields[2].default: is no Timestamp",
        ),
        (
            "  version: v1",
            "  onError: {backoff: {min: 2m, max: 1m}}\n  version: v1",
            "Refused InvalidValue Projection spec.onError.backoff.min: is 2m, longer than max, which is 1m",
        ),
        (
            "  version: v1",
            "  route: {by: x, as: Routing}\n  version: v1",
            "Refused InvalidExpression Projection spec.route.by: uses `x`",
        ),
    ] {
        assert!(PROJECTION.contains(from), "{from}");
        assert_found(&manifests(&store, "", &PROJECTION.replacen(from, to, 1)), &[NOT_YET, expected]);
    }
    let handler = "apiVersion: polylog.dev/v1alpha1\nkind: Projection\nmetadata: {name: mail}\nspec:\n  eventStoreRef: {name: payments}\n  version: v1\n  handler: {http: {url: 'http://mailer/events'}}\n  onError: {policy: ParkKey}\n";
    assert_found(
        &manifests(&store, "", handler),
        &[NOT_YET, "Refused InvalidValue Projection spec.onError.policy: ParkKey needs a key"],
    );
}
