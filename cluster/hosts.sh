#!/usr/bin/env bash
# Workers on many hosts, over ssh: brings the programs there, starts them, says how they are, stops them.
#
#     cluster/hosts.sh install
#     cluster/hosts.sh start --connect tcp://HOST:5700 [--keys FOLDER] [--programs FOLDER] [-- FLAG...]
#     cluster/hosts.sh status
#     cluster/hosts.sh stop
#
#     --hosts FILE         a line for each worker (default: the file `hosts`): a name; where ssh finds it,
#                          if not under that name; flags for this worker alone
#                              oboe
#                              flute  me@10.0.0.7  --threads 8 --data /srv/store
#     --connect ADDRESS    the coordinator, as the hosts reach it
#     --keys FOLDER        the coordinator's folder of keys (default: keys), made if it is not there
#     --programs FOLDER    where the hosts have the programs, seen from the home folder there
#                          (default: what install has brought, their PATH, or tutti/.build/release)
#     --ssh-config FILE    instead of ~/.ssh/config, which knows ports, users and identities
#     FLAG...              flags for every worker, such as --cache-limit 20GB; or --data /srv/store, for hosts
#                          that have the store and need not get it from the coordinator
#
# A worker's private key is made on its host and stays there; its public half comes back into FOLDER/allowed,
# the coordinator's goes out. On a host all is in ~/.tutti/NAME: keys, programs, worker.pid, worker.log.
# `install` brings the programs of .build/release with Swift's runtime; the other libraries are Debian's, see
# cluster/Dockerfile.
#
# A host that fails does not stop the others. Exit codes: 0 all are as they should be (for status: running);
# 64 wrong usage; 65 a bad list of hosts, or bad keys; 69 some are not, and the report says why.
set -euo pipefail

say() { printf 'hosts: %s\n' "$*" >&2; }
usage() { sed -n '4,19s/^# \{0,1\}//p' "$0" >&2; exit 64; }

hosts=hosts keys=keys connect='' programs='' flags=()
ssh=(ssh -T -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o LogLevel=ERROR)
[ $# -gt 0 ] || usage
action=$1
shift
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; flags=("$@"); break ;;
    --hosts | --keys | --connect | --programs | --ssh-config)
      [ $# -ge 2 ] || { say "$1 needs a word after it"; exit 64; }
      case $1 in
        --hosts) hosts=$2 ;;
        --keys) keys=$2 ;;
        --connect) connect=$2 ;;
        --programs) programs=$2 ;;
        --ssh-config) ssh+=(-F "$2") ;;
      esac
      shift 2 ;;
    *) say "$1 is not known here"; usage ;;
  esac
done
case $action in
  start) [ -n "$connect" ] || { say 'start needs --connect tcp://HOST:5700, the coordinator'; exit 64; } ;;
  install | status | stop) ;;
  *) usage ;;
esac

# The list

names=() places=() own_flags=()
read_hosts() {
  local number=0 line words name known
  while read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    read -ra words <<<"${line%%#*}"
    [ ${#words[@]} -gt 0 ] || continue
    name=${words[0]}
    [[ $name =~ ^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$ && $name != -* ]] ||
      { say "$hosts, line $number: $name is no name: at most 64 letters, digits and - _ ."; exit 65; }
    for known in ${names[@]+"${names[@]}"}; do
      [ "$known" != "$name" ] || { say "$hosts, line $number: $name is there twice"; exit 65; }
    done
    names+=("$name")
    if [ ${#words[@]} -gt 1 ] && [[ ${words[1]} != -* ]]; then
      places+=("${words[1]}") own_flags+=("${words[*]:2}")
    else
      places+=("$name") own_flags+=("${words[*]:1}")
    fi
  done <"$hosts"
  [ ${#names[@]} -gt 0 ] || { say "$hosts names no host"; exit 65; }
}

# What is done on a host. Each prints one line: what is the case, and a word on it; a status other than 0 says
# that it is not what was asked for.

# shellcheck disable=SC2016
on_host='
folder=$HOME/.tutti/$name
tell() { printf "%s\t%s\n" "$1" "$2"; }
last_line() { tail -n 1 "$folder/worker.log" 2>/dev/null; }
# Numbers of processes come again: it is the worker only if it has these keys.
is_running() {
  pid=$(cat "$folder/worker.pid" 2>/dev/null) && [ -n "$pid" ] &&
    tr "\0" " " <"/proc/$pid/cmdline" 2>/dev/null | grep -qF " --keys $folder/keys "
}
case $programs in
  "") PATH=$folder/programs:$PATH:$HOME/tutti/.build/release ;;
  /*) PATH=$programs:$PATH ;;
  *) PATH=$HOME/$programs:$PATH ;;
esac
'
# shellcheck disable=SC2016
on_host_keys='
for program in worker tutti; do
  command -v $program >/dev/null && continue
  tell failed "there is no program $program there: install Tutti, or say where with --programs"
  exit 1
done
umask 077
mkdir -p "$folder/keys" || { tell failed "cannot make $folder"; exit 1; }
cd "$folder/keys" || exit 1
if ! { [ -e worker.secret ] && [ -e "$name.public" ]; }; then
  rm -f worker.secret "$name.public"
  refusal=$(tutti keygen --keys . --worker "$name" --on-host 2>&1 </dev/null) || { tell failed "$refusal"; exit 1; }
fi
printf "%s\n" "$coordinator_public" >coordinator.public
cat "$name.public"
'
# shellcheck disable=SC2016
on_host_start='
if is_running; then tell running "already, as process $pid"; exit; fi
nohup worker --connect "$connect" --keys "$folder/keys" "$@" >"$folder/worker.log" 2>&1 </dev/null &
pid=$!
echo $pid >"$folder/worker.pid"
# Who has a wrong key, store or flag is told so soon.
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  sleep 0.2
  kill -0 $pid 2>/dev/null && continue
  status=0
  wait $pid || status=$?
  rm -f "$folder/worker.pid"
  [ $status != 0 ] || { tell ended "the run is over"; exit; }
  tell failed "ended with $status: $(last_line)"
  exit 1
done
tell running "as process $pid"
'
# shellcheck disable=SC2016
on_host_status='
word=$(last_line)
if is_running; then
  tell running "as process $pid, for $(ps -o etime= -p "$pid" | tr -d " ")${word:+; $word}"
  exit
fi
if [ -e "$folder/worker.pid" ]; then tell ended "${word:-without a word, as when the run is over}"; else tell stopped ""; fi
exit 1
'
# shellcheck disable=SC2016
on_host_stop='
if ! is_running; then rm -f "$folder/worker.pid"; tell stopped "it was not running"; exit; fi
# The first signal asks it to finish what it computes, the second ends it.
for signal in TERM TERM KILL; do
  kill -$signal "$pid"
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    is_running || { rm -f "$folder/worker.pid"; tell stopped "process $pid"; exit; }
    sleep 0.5
  done
done
tell failed "process $pid does not end"
exit 1
'

# shellcheck disable=SC2016
on_host_install='
folder=$HOME/.tutti/$1
rm -rf "$folder/programs.new" && mkdir -p "$folder/programs.new" && tar -xzf - -C "$folder/programs.new" || exit 1
if answer=$("$folder/programs.new/worker" --version 2>&1); then
  rm -rf "$folder/programs" && mv "$folder/programs.new" "$folder/programs" || exit 1
  printf "installed\t%s\n" "$answer"
else
  printf "failed\t%s\n" "$answer"
  exit 1
fi
'

# How it is sent there

assign() { # NAME VALUE: a line for any shell
  printf "%s='%s'\n" "$1" "${2//\'/\'\\\'\'}"
}

# Runs a script at a place; whatever the login shell is, it gets no more to read than `sh -s`.
at() { # NUMBER SCRIPT [WORD...]
  local number=$1 script=$2 word
  shift 2
  {
    assign name "${names[$number]}"
    assign programs "$programs"
    assign connect "$connect"
    assign coordinator_public "${coordinator_public-}"
    echo 'set --'
    for word in "$@"; do
      assign word "$word"
      # shellcheck disable=SC2016
      echo 'set -- "$@" "$word"'
    done
    printf '%s\n%s\n' "$on_host" "$script"
  } | "${ssh[@]}" -- "${places[$number]}" 'sh -s' 2>"$results/$number.errors"
}

key_in() { sed -n 's/^ *public-key = "\(.*\)"$/\1/p'; }

# Lets the worker in whose public key the host has shown.
admit() { # NUMBER PUBLIC-KEY-FILE'S-TEXT
  local name=${names[$1]} permit
  permit=$keys/allowed/$name.public
  if [ ! -e "$permit" ]; then
    printf '%s\n' "$2" >"$keys/allowed/.$name.new"
    mv "$keys/allowed/.$name.new" "$permit"
    sleep 2 # the coordinator looks every second
  elif [ "$(key_in <<<"$2")" != "$(key_in <"$permit")" ]; then
    printf 'failed\tit has another key than %s: remove that file, if this host may join\n' "$permit"
    return 1
  fi
}

act() { # NUMBER: its line in $results
  local number=$1 status=0 answer own
  read -ra own <<<"${own_flags[$number]}"
  case $action in
    start)
      answer=$(at "$number" "$on_host_keys") || status=$?
      if [ $status = 0 ]; then answer=$(admit "$number" "$answer") || status=$?; fi
      if [ $status = 0 ]; then
        answer=$(at "$number" "$on_host_start" ${own[@]+"${own[@]}"} ${flags[@]+"${flags[@]}"}) || status=$?
      fi ;;
    install)
      answer=$("${ssh[@]}" -- "${places[$number]}" "sh -c '$on_host_install' sh ${names[$number]}" <"$results/programs.tar.gz" \
        2>"$results/$number.errors") || status=$? ;;
    status) answer=$(at "$number" "$on_host_status") || status=$? ;;
    stop) answer=$(at "$number" "$on_host_stop") || status=$? ;;
  esac
  if [ $status = 255 ]; then
    answer=$(printf 'unreachable\t%s' "$(tail -n 1 "$results/$number.errors" | tr -d '\r')")
  elif [[ $answer != *$'\t'* ]]; then
    answer=$(printf 'failed\t%s' "$(tail -n 1 "$results/$number.errors")")
    status=1
  fi
  printf '%s\t%s\n' "$status" "$answer" >"$results/$number"
}

[ -r "$hosts" ] || { say "there is no list of hosts $hosts: --hosts FILE names one"; exit 65; }
read_hosts
here=$(cd "$(dirname "$0")/.." && pwd)
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
if [ "$action" = install ]; then
  [ -x "$here/.build/release/worker" ] || { say 'there are no programs here: swift build -c release'; exit 69; }
  "$here/cluster/gather-programs" "$here/.build/release" "$results/programs"
  tar -C "$results/programs" -czf "$results/programs.tar.gz" .
elif [ "$action" = start ]; then
  PATH=$PATH:$here/.build/release
  command -v tutti >/dev/null || { say 'there is no program tutti here: swift build -c release'; exit 69; }
  [ -e "$keys/coordinator.public" ] || tutti keygen --keys "$keys" >/dev/null || exit 65
  coordinator_public=$(cat "$keys/coordinator.public")
fi

for number in "${!names[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge 32 ]; do wait -n || true; done
  act "$number" &
done
wait

widest=$(printf '%s\n' "${names[@]}" | awk '{ if (length > w) w = length } END { print w }')
bad=0
for number in "${!names[@]}"; do
  IFS=$'\t' read -r status state detail <"$results/$number"
  printf '%-*s  %-11s  %s\n' "$widest" "${names[$number]}" "$state" "$detail"
  [ "$status" = 0 ] || bad=$((bad + 1))
done
[ "$bad" = 0 ] || { say "$bad of ${#names[@]} $([ "$action" = status ] && echo 'do not run' || echo 'failed')"; exit 69; }
