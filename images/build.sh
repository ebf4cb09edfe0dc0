#!/bin/bash
# build.sh [DOCKER_BUILD_OPTION...]: builds every role image with plain docker, parents first.
# REGISTRY and TAG name the results. Where Docker Hub cannot be reached, give any Debian 13 as base:
#   ./build.sh --build-arg BASE=my/debian:13
set -o errexit -o nounset -o pipefail
cd "$(dirname "$0")"
registry=${REGISTRY:-localhost/stackroles}
tag=${TAG:-dev}

# "parent child" for each Dockerfile, from its FROM line; base has none of these parents.
pairs() {
  for file in */Dockerfile; do
    child=${file%/Dockerfile}
    parent=$(sed -n 's|^FROM ${REGISTRY}/\([a-z-]*\):${TAG}$|\1|p' "$file")
    echo "${parent:-$child} $child"
  done
}
for name in $(pairs | tsort); do
  started=$SECONDS
  arguments=(--build-arg "REGISTRY=$registry" --build-arg "TAG=$tag")
  [ "$name" != base ] || arguments=()
  docker build --quiet --network host "${arguments[@]}" "$@" --tag "$registry/$name:$tag" "$name" > /dev/null
  echo "$registry/$name:$tag $((SECONDS - started)) s"
done
