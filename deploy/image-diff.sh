#!/usr/bin/env bash
# Builds the image of HEAD twice, without cache, as two different people would, and compares every file of the two.
#
#   deploy/image-diff.sh [ENGINE...]
#
# ENGINE is a docker-compatible command, arguments included; default: docker where its daemon answers, else podman.
# BUILD_ARGS in the environment are further arguments of `build`, for instance BUILD_ARGS=--network=host.
# Compared are path, kind, mode and owner, the bytes and the time of a file, and the target of a link; a folder's time is
# the engine's doing. Exit status 0 only if all are the same; else the first differences are shown.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -gt 0 ]; then
  read -r -a engine <<<"$*"
elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then
  engine=(docker)
else
  engine=(podman)
fi
read -r -a build_args <<<"${BUILD_ARGS:-}"

work=$(mktemp -d)
tags=()
cleanup() {
  [ ${#tags[@]} -eq 0 ] || "${engine[@]}" rmi --force "${tags[@]}" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# One line per file of the image, asked from inside it. What the engine mounts into a container is not of the image.
list_files='
import hashlib, os, stat, sys
MOUNTED = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run", "/.dockerenv"}
root = os.lstat("/").st_dev
lines = []
def visit(path):
    at = os.lstat(path)
    if path in MOUNTED or at.st_dev != root:
        return
    if stat.S_ISREG(at.st_mode):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest() + f" {at.st_mtime:.0f}"
    else:
        content = os.readlink(path) if stat.S_ISLNK(at.st_mode) else "-"
    lines.append(f"{path} {stat.filemode(at.st_mode)} {at.st_uid}:{at.st_gid} {content}")
    if stat.S_ISDIR(at.st_mode):
        for name in os.listdir(path):
            visit(os.path.join(path, name))
visit("/")
sys.stdout.write("".join(line + "\n" for line in sorted(lines)))
'

# build NAME UMASK: from a checkout of its own, whose files are as new as the build and have the modes of UMASK.
build() {
  local name=$1 started=$SECONDS tag="anomaly-service-diff:$1-$$"
  mkdir "$work/$name"
  git archive HEAD | (umask "$2" && tar -x -m --no-same-permissions -C "$work/$name")
  tags+=("$tag")
  "${engine[@]}" build --no-cache ${build_args[@]+"${build_args[@]}"} -t "$tag" "$work/$name" >"$work/$name.log" 2>&1 || {
    tail -n 30 "$work/$name.log" >&2
    echo "FAIL  build $name" >&2
    exit 1
  }
  "${engine[@]}" run --rm --user 0:0 "$tag" python -B -c "$list_files" >"$work/$name.txt"
  echo "ok    build $name: $(wc -l <"$work/$name.txt") files and folders, $((SECONDS - started)) s"
}

build first 022
build second 077
if ! diff "$work/first.txt" "$work/second.txt" >"$work/differences"; then
  head -n 40 "$work/differences" >&2
  echo "FAIL  the builds differ in $(grep -c '^[<>]' "$work/differences") lines, of which the first are above" >&2
  exit 1
fi
echo "ok    both builds hold the same files: sha256 of the list $(sha256sum "$work/first.txt" | cut -d' ' -f1)"
