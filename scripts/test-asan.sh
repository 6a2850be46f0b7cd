#!/usr/bin/env bash
# Builds the addon with AddressSanitizer and UndefinedBehaviorSanitizer beside the ordinary build, and runs the tests of
# test/native (or the ones given) on it. The runtime of the sanitizer has to come first in the process, which is Node's,
# so it is preloaded. Leaks are looked for at the end of every process; scripts/lsan.supp names what is not ours.
set -euo pipefail

BUILD_SECONDS_MAX=300
TEST_SECONDS_MAX=420

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
compiler=${CC:-gcc}
runtime=$("$compiler" -print-file-name=libasan.so)
if [ "$runtime" = libasan.so ]; then
  echo "test-asan: $compiler has no libasan" >&2
  exit 1
fi

# A directory of its own, inside build/ and so ignored and cleaned with it; node-gyp always builds into ./build.
directory=$root/build/asan
mkdir -p "$directory"
ln -sfn ../../binding.gyp "$directory/binding.gyp"
ln -sfn ../../native "$directory/native"

headers=()
prefix=$(dirname "$(dirname "$(command -v node)")")
if [ -f "$prefix/include/node/node_api.h" ]; then headers=("--nodedir=$prefix"); fi
timeout "$BUILD_SECONDS_MAX" npx --no-install node-gyp rebuild --directory="$directory" --sanitize=1 --jobs=max \
  --loglevel=error "${headers[@]}"

export SOCKMUX_ADDON=$directory/build/Release/sockmux.node
export ASAN_OPTIONS=detect_leaks=1:halt_on_error=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=1
export LSAN_OPTIONS=suppressions=$root/scripts/lsan.supp:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export LD_PRELOAD=$runtime
tests=("$@")
if [ ${#tests[@]} -eq 0 ]; then tests=(test/native); fi
timeout "$TEST_SECONDS_MAX" node node_modules/vitest/vitest.mjs run --testTimeout=60000 "${tests[@]}"
