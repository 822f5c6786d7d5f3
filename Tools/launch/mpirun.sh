#!/usr/bin/env bash
# chexnet over machines that ssh reaches, without a batch system; they share the files, and have the executable and MPI by the same paths.
#
# Tools/launch/mpirun.sh HOSTS COMMAND…
#   HOSTS: a file, a line a machine: its name, and how many ranks it takes (`node07 4`; without a number 1). # begins a remark.
#   COMMAND: what chexnet is to do:
#
#     Tools/launch/mpirun.sh hosts.txt finetune --data images --train train_list.txt --validation val_list.txt \
#       --weights densenet.safetensors --output run
#
# Ctrl-C, TERM and HUP save at the next step (exit 75); the same command goes on from there. A second one ends all at once (another status).
#
#   CHEXNET   the executable (default: chexnet on the PATH)
#   MPIRUN    Open MPI's mpirun or MPICH's mpiexec (default: mpirun on the PATH)
set -uo pipefail

fail() {
  echo "error: $1" >&2
  [ $# -lt 3 ] || echo "hint: $3" >&2
  exit "$2"
}

[ $# -gt 1 ] || fail "expected a file of hosts and a command, found ${*:-nothing}" 64 "Tools/launch/mpirun.sh hosts.txt finetune …"
[ -f "$1" ] || fail "no such file: $1" 66 "a line a machine: its name, and how many ranks it takes"
hosts=$1
shift
chexnet=$(command -v "${CHEXNET:-chexnet}") || fail "there is no ${CHEXNET:-chexnet} here" 69 "name it with CHEXNET=/path/chexnet"
mpirun=$(command -v "${MPIRUN:-mpirun}") || fail "there is no ${MPIRUN:-mpirun} here" 69 "install Open MPI or MPICH, or name it with MPIRUN=/path/mpirun"

# As `node07:4,node08:4`, which both take.
list=$(awk '{ sub(/#.*/, ""); sub(/\r$/, "") }
  NF == 0 { next }
  NF > 2 || $1 ~ /[:,]/ || (NF == 2 && $2 !~ /^[1-9][0-9]*$/) { print "line " NR ": " $0 > "/dev/stderr"; exit 1 }
  { printf "%s%s:%d", comma, $1, (NF == 2 ? $2 : 1); comma = "," }' "$hosts") ||
  fail "$hosts is no list of hosts" 65 "a line a machine: its name, and how many ranks it takes"
[ -n "$list" ] || fail "$hosts names no machine" 65
ranks=$(tr , '\n' <<<"$list" | awk -F: '{ sum += $NF } END { print sum }')

case $("$mpirun" --version 2>&1) in
  *"Open MPI"* | *prte* | *OpenRTE*)
    # Not tied to one processor each: chexnet's threads share those of the machine. Variables are passed on by name.
    options=(--host "$list" --map-by slot --bind-to none)
    for name in $(compgen -e CHEXNET_) LD_LIBRARY_PATH; do
      [ -z "${!name-}" ] || options+=(-x "$name")
    done
    ;;
  *) options=(-hosts "$list") ;;
esac

# In a process group of its own, which a Ctrl-C does not reach. Of signals, launchers pass USR1 on.
set -m
"$mpirun" "${options[@]}" -n "$ranks" "$chexnet" "$@" </dev/null &
pid=$!
heard=0
hear() {
  heard=$((heard + 1))
  if [ "$heard" -eq 1 ]; then
    kill -USR1 "$pid"
  else
    # MPICH's mpiexec lets ranks be that do not heed the first one.
    kill -TERM "$pid"
    sleep 1
    kill -TERM "$pid"
  fi 2>/dev/null
}
trap hear INT TERM HUP
# A signal ends the waiting, not the launcher.
while true; do
  status=0
  wait "$pid" || status=$?
  kill -0 "$pid" 2>/dev/null || break
done
if [ "$status" -gt 128 ]; then
  again=0
  wait "$pid" 2>/dev/null || again=$?
  [ "$again" -eq 127 ] || status=$again
fi
# MPICH's mpiexec (4.0.2) at times says 0 after a USR1, whatever the ranks left with.
[ "$heard" -eq 0 ] || [ "$status" -ne 0 ] || status=75
exit "$status"
