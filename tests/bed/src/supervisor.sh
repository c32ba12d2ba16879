# Runs one server for a test process. Commands come as lines, each is answered by a line; when the pipe ends, so do the
# server and its folder: a test process that is killed leaves nothing behind.
#
# usage: supervisor.sh <folder> <log> <ready-file> <ready-pattern> <stop-signal> <end-signal> <server> <arguments>
# what ends the test process also reaches this one: the pipe alone decides
trap '' INT TERM HUP
folder=$1 log=$2 ready=$3 pattern=$4 stop=$5 end=$6
shift 6
server=

start() {
  "$@" </dev/null >>"$log" 2>&1 &
  server=$!
  tries=0
  # the file's first line is the server's number: one that a killed server left does not count
  until [ "$(head -n 1 "$ready" 2>/dev/null)" = "$server" ] && grep -q "$pattern" "$ready"; do
    kill -0 "$server" 2>/dev/null || return 1
    tries=$((tries + 1))
    [ $tries -lt 3000 ] || return 1
    sleep 0.01
  done
}

# everything at once, as when the machine fails: no child of the server may outlive it and tidy up
crash() {
  kill -STOP "$server"
  all="$server $(cat "/proc/$server/task/$server/children")"
  kill -KILL $all
  wait "$server"
  for process in $all; do
    while kill -0 "$process" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$process/status" 2>/dev/null; do
      sleep 0.002
    done
  done
}

stop() {
  kill -"$stop" "$server"
  wait "$server"
}

while read -r command; do
  case $command in
    end) break ;;
    start) start "$@" ;;
    crash) crash ;;
    stop) stop ;;
    pause) kill -STOP "$server" $(cat "/proc/$server/task/$server/children") ;;
    resume) kill -CONT "$server" $(cat "/proc/$server/task/$server/children") ;;
  esac 2>/dev/null && echo "done" || echo "failed"
done
if [ -n "$server" ]; then
  kill -CONT "$server" 2>/dev/null
  kill -"$end" "$server" 2>/dev/null
  wait "$server" 2>/dev/null
fi
umount "$folder/small" 2>/dev/null
rm -rf "$folder"
