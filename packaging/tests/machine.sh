#!/bin/bash
# Runs in a machine that systemd has booted: each test becomes a line `ok` or `failed`, a tab and its sentence in /test/results.
# The file /test/kind says by what it is installed: deb or rpm.
set -u
kind="$(cat /test/kind)"
export DEBIAN_FRONTEND=noninteractive
expect() {
  local sentence="$1" result=failed
  shift
  echo "--- $sentence"
  if "$@"; then result=ok; fi
  printf '%s\t%s\n' "$result" "$sentence" >>/test/results
}
# soon COMMAND…: within a minute.
soon() {
  local _
  for _ in $(seq 240); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.25
  done
  journalctl -u flitch --no-pager | tail -n 30
  return 1
}
property() { systemctl show flitch --property "$1" --value; }
delivered() { [ "$(grep -c "$1" /var/lib/flitch/out.ndjson)" -ge "$2" ]; }
pid() { property MainPID; }

# What its distribution does by itself where it is a deb, the administrator does where it is an rpm. rpm's database knows
# nothing of what dpkg has installed here.
install_package() {
  case "$kind" in
    deb) dpkg -i --force-confold "/test/$1.deb" ;;
    rpm) rpm -U --nodeps --force-debian "/test/$1.rpm" && systemctl enable --now flitch ;;
  esac
}
install_first() { install_package first && systemctl is-active --quiet flitch && [ "$(property StatusText)" = "running 1 pipeline" ]; }
expect "a package that is installed is a service that is ready" install_first

as_itself() { [ "$(ps -o user= -p "$(pid)")" = flitch ] && id flitch | grep -q '(adm)'; }
expect "it runs as a user of its own, in the group adm" as_itself

exposure() {
  local level
  level="$(systemd-analyze security --no-pager flitch | grep -o 'flitch.service: [0-9.]*' | cut -d ' ' -f 2)"
  echo "exposure $level"
  [ "$(printf '%s\n1.8\n' "$level" | sort -V | head -n 1)" = "$level" ]
}
expect "its exposure is at most 1.8" exposure

cat >/etc/flitch/flitch.yaml <<'YAML'
data_dir: /var/lib/flitch
sources: { app: { type: file, include: [/var/log/app.log] } }
filters: { mark: { plugin: set, settings: { set: { by: machine } } } }
outputs: { out: { type: file, path: /var/lib/flitch/out.ndjson } }
pipelines: { app: { from: [app], filters: [mark], to: [out] } }
YAML
install -m 640 -g adm /dev/null /var/log/app.log
flows() { systemctl reload flitch && seq -f 'first %g' 1000 >>/var/log/app.log && soon delivered '"first ' 1000; }
expect "after a reload logs flow that the group adm may read" flows

refuses() {
  local before
  before="$(pid)"
  cp /etc/flitch/flitch.yaml /tmp/good
  sed -i 's/type: file, include/type: fiel, include/' /etc/flitch/flitch.yaml
  ! systemctl reload flitch && systemctl is-active --quiet flitch && [ "$(pid)" = "$before" ]
  local result=$?
  cp /tmp/good /etc/flitch/flitch.yaml
  return "$result"
}
expect "a reload with a wrong configuration fails, and what runs goes on" refuses

killed() {
  local before
  before="$(pid)"
  kill -9 "$before"
  seq -f 'second %g' 1000 >>/var/log/app.log
  soon delivered '"second ' 1000 && [ "$(pid)" != "$before" ]
}
expect "after kill -9 it is started again, and no line is lost" killed

hung() {
  local before
  before="$(pid)"
  kill -STOP "$before"
  for _ in $(seq 400); do
    [ "$(pid)" != "$before" ] && [ "$(property SubState)" = running ] && return
    sleep 0.25
  done
  return 1
}
mkdir -p /etc/systemd/system/flitch.service.d
printf '[Service]\nWatchdogSec=3s\n' >/etc/systemd/system/flitch.service.d/test.conf
systemctl daemon-reload && systemctl restart flitch
expect "one that hangs is ended by the watchdog and started again" hung
rm -r /etc/systemd/system/flitch.service.d && systemctl daemon-reload && systemctl restart flitch

upgrades() {
  local before lines
  before="$(pid)"
  lines="$(wc -l </var/lib/flitch/out.ndjson)"
  cp /etc/flitch/flitch.yaml /tmp/before
  install_package later || return 1
  cmp /tmp/before /etc/flitch/flitch.yaml || return 1
  soon test "$(property SubState)" = running
  [ "$(pid)" != "$before" ] || return 1
  seq -f 'third %g' 1000 >>/var/log/app.log
  soon delivered '"third ' 1000 && [ "$(wc -l </var/lib/flitch/out.ndjson)" -le "$((lines + 1000))" ]
}
expect "an upgrade keeps configuration and positions, and restarts it" upgrades

hidden() { ! runuser -u nobody -- cat /etc/default/flitch 2>/dev/null && ! runuser -u nobody -- ls /var/lib/flitch 2>/dev/null; }
expect "others read neither its environment nor its data" hidden

pages() { gzip -dc /usr/share/man/man1/flitch-run.1.gz | grep -q drain_timeout && bash -c '. /usr/share/bash-completion/completions/flitch && complete -p flitch'; }
expect "manual pages and completions are there" pages

removes() {
  case "$kind" in
    deb) dpkg -r flitch && [ -e /etc/flitch/flitch.yaml ] ;;
    # Changed configurations are kept under another name.
    rpm) rpm -e --force-debian flitch && [ -e /etc/flitch/flitch.yaml.rpmsave ] && [ ! -e /usr/bin/flitch ] ;;
  esac && [ -d /var/lib/flitch ] && ! systemctl is-active --quiet flitch
}
expect "a removal keeps configuration and data" removes

purges() { dpkg -P flitch && [ ! -e /etc/flitch ] && [ ! -e /etc/default/flitch ] && [ ! -e /var/lib/flitch ] && [ ! -e /usr/bin/flitch ]; }
[ "$kind" = rpm ] || expect "a purge takes all of it" purges

echo done >/test/end
