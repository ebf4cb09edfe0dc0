#!/bin/bash
# build.sh OUTDIR: builds the guest and copies vmlinuz, initrd, disk.raw and versions into OUTDIR.
# Needs docker and the base image; REGISTRY and TAG name it. Unchanged inputs come from docker's cache.
set -o errexit -o nounset -o pipefail
out=$(mkdir -p "${1:?usage: build.sh OUTDIR}" && cd "$1" && pwd)
cd "$(dirname "$0")"
registry=${REGISTRY:-localhost/stackroles}
tag=${TAG:-dev}

docker build --quiet --network host --build-arg "REGISTRY=$registry" --build-arg "TAG=$tag" --tag "$registry/guest:$tag" . > /dev/null
container=$(docker create "$registry/guest:$tag" none)
trap 'docker rm "$container" > /dev/null' EXIT
for file in vmlinuz initrd disk.raw versions; do
  docker cp "$container:/$file" "$out/$file" > /dev/null
done
ls -l "$out"
