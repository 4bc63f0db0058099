#!/usr/bin/env bash
# Builds dwenv.exe, and runs it under Wine and dwenv beside it against the same real Debian 13 machine: both
# have to find, say and do the same. For root on Debian, with what `.ci/run` installs.
#
#     tests/windows/run.sh           build, compare, print a table; 1 where something differs
#     tests/windows/run.sh check     only compile for Windows, tests too: quick once the cache is there
#
# The Debian that compiles, the compiled crates and Wine's folder are kept in $DWENV_WINDOWS_CACHE, by default
# ~/.cache/dwenv/windows: 4.5 GB. The first run takes a quarter of an hour on two cores, most of it OpenSSL and the
# standard library, later ones as long as dwenv itself compiles.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
source="${here%/tests/windows}"
cache="${DWENV_WINDOWS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dwenv/windows}"
mode="${1:-compare}"
target=x86_64-pc-windows-gnu

say() { printf '\n== %s\n' "$*"; }

case "$mode" in
compare | check) ;;
*)
  echo "usage: $0 [check]" >&2
  exit 2
  ;;
esac
if [ "$(id -u)" != 0 ]; then
  echo "$0: needs root" >&2
  exit 2
fi

mkdir -p "$cache/target" "$cache/cargo"
# The cache has one user at a time.
exec 9>"$cache/lock"
flock -n 9 || { echo "Another run has $cache: waiting for it" && flock 9; }

work="$(mktemp -d /var/tmp/dwenv-windows-XXXXXX)"
dwenv="${CARGO_TARGET_DIR:-$source/target}/debug/dwenv"
export DWENV_STATE_DIR="$work/store"
cleanup() {
  status=$?
  trap - EXIT INT TERM HUP
  if [ -d "$DWENV_STATE_DIR" ]; then
    "$dwenv" -C "$work/shop" destroy --target sandbox --yes -q || { echo "left behind: $work" >&2 && exit 1; }
  fi
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# An address in a network that nothing on this host touches.
free_address() {
  local taken third
  taken="$(ip -4 -o address) $(ip -4 route)"
  for third in $(shuf -i 1-250); do
    case "$taken" in
    *"10.198.$third."*) ;;
    *)
      echo "10.198.$third.10"
      return
      ;;
    esac
  done
  echo "no network in 10.198.0.0/16 is free" >&2
  return 1
}

make_box() {
  [ ! -d "$work/shop" ] || return 0
  say "A machine of Debian 13"
  (cd "$source" && cargo build --locked)
  "$dwenv" init "$work/shop" -q >"$work/init.log"
  address="$(free_address)"
  sed -i "s/^ip = .*/ip = \"$address\"/" "$work/shop/config.toml"
  DWENV_SANDBOX_SUITE=trixie "$dwenv" -C "$work/shop" up --target sandbox --yes 9>&-
  machine="$(echo "$DWENV_STATE_DIR"/machines/*)"
}

# What compiles and runs the Windows program. The host's own compiler has no such target.
packages="ca-certificates,cargo-web,gcc,gcc-mingw-w64-x86-64-win32,libc6-dev,libgnutls30t64,make,perl,rust-web-src,rustc-web,wine,wine64"

make_base() {
  local settings=() file
  if [ "$(cat "$cache/base/packages" 2>/dev/null)" = "$packages" ]; then
    return
  fi
  # A sandbox has the host's mirror in its own words, and the settings to reach it.
  make_box
  say "The Debian that compiles"
  rm -rf "$cache/base"
  mkdir -p "$cache/base/wine"
  for file in "$machine"/root/etc/apt/apt.conf.d/{99*,*proxy*}; do
    [ ! -e "$file" ] || settings+=("--aptopt=$file")
  done
  mmdebstrap --mode=root --variant=minbase --format=directory --include="$packages" "${settings[@]}" \
    trixie "$cache/base/root" "$machine/root/etc/apt/sources.list"
  # Without its registry written to the disk, Wine would have no services and so no random numbers.
  "$here/inside.sh" "$cache" sh -c 'wineboot --init; /usr/lib/wine/wineserver --wait' >"$cache/base/wine.log" 2>&1
  if [ ! -e "$cache/base/wine/system.reg" ]; then
    cat "$cache/base/wine.log" >&2
    exit 1
  fi
  echo "$packages" >"$cache/base/packages"
}

# Crates come by this host's own cargo, with its settings; inside there is no registry but what it fetched.
fetch() {
  local library
  library="$(echo "$cache"/base/root/usr/src/rustc-*/library/Cargo.toml)"
  (cd "$source" && cargo fetch --locked --quiet)
  RUSTC_BOOTSTRAP=1 cargo fetch --locked --quiet --manifest-path "$library"
}

compile() {
  "$here/inside.sh" "$cache" sh -c 'cd /src && exec "$@"' sh \
    cargo "$@" --locked --release --target "$target" -Zbuild-std -j "$(nproc)"
}

make_base
say "Compiling for Windows"
fetch
SECONDS=0
if [ "$mode" = check ]; then
  compile check --all-targets --keep-going
  echo "compiles for Windows (${SECONDS} s)"
  exit 0
fi
compile build
echo "built dwenv.exe ($SECONDS s)"

make_box
say "dwenv and dwenv.exe"
python3 "$here/compare.py" "$work" "$dwenv" "$machine" "$here/inside.sh" "$cache"
