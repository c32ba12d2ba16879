# Named steps with their duration, and a closing count. A failed step ends the run.
steps_passed=0
run_began=$SECONDS

step() {
  local name=$1 began=$SECONDS
  shift
  printf '\n=== %s\n' "$name"
  if ! "$@"; then
    printf '\n=== FAILED: %s (%d s)\n%d passed, 1 failed\n' "$name" $((SECONDS - began)) "$steps_passed"
    exit 1
  fi
  steps_passed=$((steps_passed + 1))
  printf '=== done: %s (%d s)\n' "$name" $((SECONDS - began))
}

summary() {
  printf '\nall steps passed in %d s\n%d passed, 0 failed\n' $((SECONDS - run_began)) "$steps_passed"
}
