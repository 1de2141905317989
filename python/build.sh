#!/bin/sh
# Builds the Python package: a wheel in target/wheels, and python/lib/ddsp_python.so, the extension module by itself, where the
# older server's build.sh left it. Usage: build.sh [arm64]. With arm64, the wheel is that of the Raspberry Pi, and lib/ stays.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
maturin=$target/python-build/bin/maturin
if [ ! -x "$maturin" ]; then
    sh scripts/need python
    python3 -m venv "$target/python-build"
    "$target/python-build/bin/python" -m pip install --quiet --disable-pip-version-check 'maturin>=1.9,<2'
fi
maturin=$(realpath "$maturin")
options="--release --quiet --locked -m python/Cargo.toml --out target/wheels"
# shellcheck disable=SC2086 # a list of words
case "${1:-}" in
"")
    rm -f target/wheels/grooved-*"$(uname -m)".whl
    "$maturin" build $options
    mkdir -p python/lib
    python3 -c 'import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
[name] = [name for name in wheel.namelist() if name.startswith("ddsp_python/") and name.endswith(".so")]
sys.stdout.buffer.write(wheel.read(name))' target/wheels/grooved-*"$(uname -m)".whl >python/lib/ddsp_python.so
    echo target/wheels/grooved-*"$(uname -m)".whl
    ;;
arm64)
    if [ "$(uname -m)" = aarch64 ]; then
        echo "build.sh: this machine is an arm64 machine; its wheel is that of build.sh without arguments" >&2
        exit 0
    fi
    # The module links only what Python itself brings: an interpreter of the other machine is not needed.
    rm -f target/wheels/grooved-*aarch64.whl
    BUILDER=$maturin cross/cargo build $options
    echo target/wheels/grooved-*aarch64.whl
    ;;
*)
    echo "build.sh: unknown argument '$1'; expected nothing or arm64" >&2
    exit 64
    ;;
esac
