#!/usr/bin/env bash
# Makes artifacts/discobot: one static native executable, stripped, and checks that it is what it claims to be.
# build/binary.sh amd64|arm64 makes artifacts/release/ARCH/discobot instead, for that machine.
. "$(dirname "$0")/common.sh"

limit=$((36 * 1000 * 1000))
own=$(own_machine)
machine=${1:-$own} tools=
case $machine in
    amd64) rid=linux-x64 ;;
    arm64) rid=linux-arm64 ;;
    *) die "no executable for $machine; there are amd64 and arm64" ;;
esac

need_sdk
need "${native_packages[@]}"
if [ "$machine" != $own ]; then
    [ "$machine" = arm64 ] || die "amd64 is made on amd64"
    need_foreign arm64 gcc-aarch64-linux-gnu libc6-dev:arm64 libssl-dev:arm64 zlib1g-dev:arm64
    export CMAKE_TOOLCHAIN_FILE=$PWD/build/arm64.cmake
    tools=aarch64-linux-gnu-
fi

say "compiling the static executable for $machine (about two minutes on two cores)"
log=artifacts/binary.log out=artifacts/native
[ $# = 0 ] || { log=artifacts/binary-$machine.log out=artifacts/release/$machine; }
mkdir -p artifacts
# Symbols of an earlier build (DISCOBOT_SYMBOLS=1) are none of this one.
rm -f "$out/discobot.dbg"
# What CMake compiles of OpenSSL's shim knows no path of this machine either; the linker hashes its symbols into the build ID.
export CFLAGS="-ffile-prefix-map=$PWD=/_ -ffile-prefix-map=${NUGET_PACKAGES:-$HOME/.nuget/packages}=/_packages"
# The analyzers are for `make check`. objcopy by name: the symbol step fails with llvm-objcopy. No PIE: a static executable has nobody to relocate it.
dotnet publish Discobot.csproj -c Release -r "$rid" -v quiet -nologo -p:RunAnalyzers=false \
    -p:PublishAot=true -p:StaticExecutable=true -p:StaticOpenSslLinking=true \
    -p:PositionIndependentExecutable=false -p:ObjCopyName=${tools}objcopy \
    -o "$out" >"$log" 2>&1 || { cat "$log" >&2; die "the build failed; its output stands above and in $log"; }

binary=$out/discobot
if readelf --dynamic "$binary" | grep -q NEEDED || readelf --program-headers "$binary" | grep -Eq '^ *(INTERP|DYNAMIC) '; then
    readelf --program-headers --dynamic "$binary" >&2
    die "$binary is not static"
fi
if readelf --sections --wide "$binary" | grep -q ' \.symtab '; then die "$binary is not stripped"; fi
size=$(stat -c %s "$binary")
[ "$size" -lt $limit ] || die "$binary has $size bytes; the limit is $limit"

[ $# = 0 ] || { say "$binary: static, stripped, $size bytes"; exit 0; }
# Moved, not copied over: a running executable cannot be written to.
cp "$binary" artifacts/discobot.new
mv artifacts/discobot.new artifacts/discobot
say "artifacts/discobot: static, stripped, $((size / 100000 / 10)).$((size / 100000 % 10)) MB"
