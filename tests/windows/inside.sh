#!/usr/bin/env bash
# Runs a command inside the Debian that builds and runs the Windows program:
#
#     inside.sh CACHE COMMAND...
#
# The command has mounts and processes of its own. Whatever it leaves running (Wine's server, say) ends
# with it, and nothing stays mounted.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
export DWENV_CACHE="$1" DWENV_SOURCE="${here%/tests/windows}"
export DWENV_REGISTRY="${CARGO_HOME:-$HOME/.cargo}/registry"
shift

# What the person's environment says about other programs is of no use there.
clean=(
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "TERM=${TERM:-dumb}"
  CARGO_HOME=/cargo CARGO_TARGET_DIR=/target CARGO_NET_OFFLINE=true RUSTC_BOOTSTRAP=1
  CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine
  WINEPREFIX=/wine WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml= XDG_RUNTIME_DIR=/tmp
)

# The shell stays as the first process: Wine expects one that does not react to its signals.
unshare --mount --pid --fork --kill-child --propagation private bash -c '
  set -euo pipefail
  root=$DWENV_CACHE/base/root
  over() { mkdir -p "$root$2"; mount --bind "$1" "$root$2"; }
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --rbind /sys "$root/sys"
  mount -t tmpfs tmpfs "$root/tmp"
  mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
  over "$DWENV_SOURCE" /src
  mount -o remount,bind,ro "$root/src"
  over "$DWENV_CACHE/target" /target
  over "$DWENV_CACHE/cargo" /cargo
  over "$DWENV_REGISTRY" /cargo/registry
  over "$DWENV_CACHE/base/wine" /wine
  over "${DWENV_WORK:-$DWENV_CACHE/cargo}" /work
  chroot "$root" "$@"
' inside "${clean[@]}" "$@"
