# shellcheck shell=bash
# Hosts of their own on this machine, for tests: network namespaces on a bridge, each with its address.
# To be sourced; needs root and ip.
#
#     open_hosts c a b        c is 10.99.0.1, a 10.99.0.2, …; in the folder $folder is room for files
#     at a COMMAND…           runs it there; who does so in the background puts its number into pids[…]
#     shape 100mbit           what each link carries, in either direction
#     cable a down            pulls a cable, at the bridge's end; up puts it back
#
# The bridge has a namespace of its own, where no firewall of this machine filters.
#
# When the script ends, whatever runs there is killed, and namespaces and folder are removed.

name=tutti$$
folder=$(mktemp -d)
hosts=()
declare -A pids=()

close_hosts() {
  local pid host
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  for host in "${hosts[@]}"; do ip netns delete "$name-$host" 2>/dev/null || true; done
  ip netns delete "$name" 2>/dev/null || true
  rm -rf "$folder"
}
trap close_hosts EXIT

open_hosts() {
  local i host
  [ "$(id -u)" = 0 ] || { echo "${0##*/}: only root may make network namespaces" >&2; exit 69; }
  command -v ip >/dev/null || { echo "${0##*/}: there is no ip: install iproute2" >&2; exit 69; }
  ip netns add "$name"
  ip -n "$name" link add bridge type bridge
  ip -n "$name" link set bridge up
  hosts=("$@")
  for i in "${!hosts[@]}"; do
    host=${hosts[$i]}
    ip netns add "$name-$host"
    ip -n "$name" link add "to-$host" type veth peer name eth0 netns "$name-$host"
    ip -n "$name" link set "to-$host" master bridge up
    ip -n "$name-$host" address add "10.99.0.$((i + 1))/24" dev eth0
    ip -n "$name-$host" link set eth0 up
    ip -n "$name-$host" link set lo up
  done
}

at() { # HOST COMMAND...
  local host=$1
  shift
  ip netns exec "$name-$host" "$@"
}

cable() { # HOST up|down
  ip -n "$name" link set "to-$1" "$2"
}

shape() { # RATE
  local host
  for host in "${hosts[@]}"; do
    tc -n "$name" qdisc replace dev "to-$host" root tbf rate "$1" burst 128kb latency 100ms
    tc -n "$name-$host" qdisc replace dev eth0 root tbf rate "$1" burst 128kb latency 100ms
  done
}
