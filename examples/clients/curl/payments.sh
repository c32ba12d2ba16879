#!/usr/bin/env bash
# Appends, reads and follows payments with `curl` and `jq`. Copy what you need.
#
#   payments.sh pay p1 100.00         appends PaymentProcessed, if there is no such payment yet
#   payments.sh refund p1 30.00       appends PaymentRefunded, if the payment still allows it
#   payments.sh show p1               prints the payment's events
#   payments.sh follow place.txt      prints every payment's events, and goes on where it ended last time
set -euo pipefail
url=${POLYLOG_URL:-http://127.0.0.1:7300}/v1
deadline=${POLYLOG_DEADLINE:-10} # seconds for an append with all its tries
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

die() { # <exit code> <message>
  echo "$2" >&2
  exit "$1"
}

problem() { jq -r '"\(.code): \(.detail); \(.nextStep)"' "$answer"; }

# Half of the wait is random, so that many clients that lost a server do not come back at once.
pause() { # <milliseconds>
  sleep "$(jq -n "$1 * (0.5 + $RANDOM / 65536) / 1000")"
}

# Appends one event to a stream that must be at the expected version; its receipt is then in the file $answer.
# Returns 9 on a version conflict. Tries again until the deadline; ends the script where that does not help.
append() { # <stream> <expected version> <type> <data>
  local body status failure code written retry left began=$SECONDS wait=50 in_doubt=no
  # The id is made once, before the first try: the store recognises it, so that no try writes a second time.
  body=$(jq -cn --argjson expected "$2" --arg id "$(cat /proc/sys/kernel/random/uuid)" --arg type "$3" --argjson data "$4" \
    '{expectedVersion: $expected, events: [{id: $id, type: $type, data: $data}]}')
  while true; do
    failure=0 left=$((began + deadline - SECONDS))
    status=$(curl --silent --max-time $((left < 1 ? 1 : left < 6 ? left : 6)) --connect-timeout 2 --output "$answer" --write-out '%{http_code}' \
      --header 'Content-Type: application/json' --data-binary "$body" "$url/streams/$(escaped "$1")") || failure=$?
    code='' retry=true
    if [ "$failure" = 0 ]; then
      case $status in 20?) return 0 ;; esac
      # what is not from Polylog says nothing of itself
      IFS=$'\t' read -r code written retry < <(jq -r '[.code, .written, .retry] | @tsv' "$answer" 2>/dev/null ||
        printf 'status_%s\tunknown\tfalse\n' "$status")
      # Of a conflict nothing was written, by earlier tries neither: ids are looked up before versions are compared.
      # It is never tried again as it is: what it was decided on has changed.
      [ "$code" != version_conflict ] || return 9
      [ "$code" != id_conflict ] || die 1 "refused: $(problem)"
      [ "$written" = nothing ] || in_doubt=yes
    elif [ "$failure" != 7 ]; then
      in_doubt=yes # it was connected: perhaps it was written
    fi
    if [ "$retry" != true ] || [ $((SECONDS - began)) -ge "$deadline" ]; then
      [ "$in_doubt" = no ] || die 4 "unknown: it is not known whether the event was written; send it again: $body"
      [ -n "$code" ] || die 3 "nobody answers at $url"
      die 1 "refused: $(problem)"
    fi
    pause "$wait"
    wait=$((wait * 2 < 2000 ? wait * 2 : 2000))
  done
}

escaped() { jq -rn --arg name "$1" '$name | @uri'; }

# The events of a stream, one a line, page by page; none if it does not exist.
read_stream() { # <stream>
  local from=1 at_end=false
  while [ "$at_end" = false ]; do
    # Reads change nothing: curl may repeat them by itself.
    curl --silent --retry 5 --retry-all-errors --max-time 6 --output "$answer" \
      "$url/streams/$(escaped "$1")?from=$from&limit=100" || die 3 "nobody answers at $url"
    case $(jq -r '.code // empty' "$answer") in
      '') ;;
      stream_not_found) return 0 ;;
      *) die 1 "refused: $(problem)" ;;
    esac
    jq -c '.events[]' "$answer"
    read -r from at_end < <(jq -r '"\(.nextFrom) \(.atEnd)"' "$answer")
  done
}

written() {
  jq -r '"version \(.lastVersion)" + if .repeated then " (an earlier try had written it)" else "" end' "$answer"
}

pay() { # <payment> <amount>
  append "Payment-$1" '"noStream"' PaymentProcessed "$(jq -cn --arg amount "$2" '{amount: $amount, currency: "EUR"}')" ||
    die 1 "refused: $(problem)"
  written
}

refund() { # <payment> <amount>
  local cents left version
  cents=$(jq -n --arg amount "$2" '$amount | tonumber * 100 | round')
  while true; do
    read -r version left < <(read_stream "Payment-$1" | jq -s -r '
      def cents: tonumber * 100 | round;
      map(if .type == "PaymentProcessed" then .data.amount | cents
          elif .type == "PaymentRefunded" then -(.data.refundAmount | cents) else 0 end)
      | "\(length) \(add // 0)"')
    [ "$cents" -le "$left" ] || die 1 "refused: $((left / 100)).$(printf %02d $((left % 100))) is left of the payment"
    if append "Payment-$1" "$version" PaymentRefunded "$(jq -cn --arg amount "$2" '{refundAmount: $amount}')"; then
      written
      return
    fi
    echo "somebody was faster: reading again" >&2
  done
}

# Prints what follows the place that the file holds, for ever. Connects again when it is cut.
follow() { # <file> [<count>]
  local file=$1 count=${2:--1} place name value id event wait=50
  place=$(cat "$file" 2>/dev/null || true)
  while true; do
    # A heartbeat comes each 15 s: 30 s without a byte mean that the connection is dead.
    exec 3< <(exec curl --silent --no-buffer --connect-timeout 2 --speed-limit 1 --speed-time 30 \
      ${place:+--header "Last-Event-ID: $place"} "$url/subscribe?from=beginning&categories=Payment")
    trap 'kill $! 2>/dev/null; rm -f "$answer"' EXIT
    while IFS=: read -r -u 3 name value; do
      case $name in
        id) id=${value# } ;;
        event) event=${value# } ;;
        data)
          if [ "$event" = error ]; then
            [ "$(jq .retry <<<"$value")" = true ] || die 1 "refused: $(jq -r '"\(.code): \(.detail)"' <<<"$value")"
            continue
          fi
          [ "$event" != event ] || jq -r '"\(.position) \(.stream) \(.version) \(.type)"' <<<"$value"
          # Kept after what it stands for is done: a crash in between repeats one event, none is lost.
          place=$id wait=50
          printf %s "$place" >"$file.new"
          mv "$file.new" "$file"
          [ "$event" != event ] || [ "$((count -= 1))" != 0 ] || return 0
          ;;
        '{"type"') # not a stream but a problem
          value="$name:$value"
          [ "$(jq .retry <<<"$value")" = true ] || die 1 "refused: $(jq -r '"\(.code): \(.detail)"' <<<"$value")"
          ;;
      esac
    done
    pause "$wait"
    wait=$((wait * 2 < 2000 ? wait * 2 : 2000))
  done
}

case ${1:-} in
  pay | refund) "$@" ;;
  show) read_stream "Payment-$2" | jq -r '"\(.version) \(.type) \(.data | tojson)"' ;;
  follow) follow "${@:2}" ;;
  *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
