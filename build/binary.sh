#!/usr/bin/env bash
# Makes artifacts/discobot: one static native executable, stripped, and checks that it is what it claims to be.
. "$(dirname "$0")/common.sh"

limit=$((36 * 1000 * 1000))
case $(uname -m) in
    x86_64) rid=linux-x64 ;;
    aarch64) rid=linux-arm64 ;;
    *) die "no native compiler for $(uname -m)" ;;
esac

need_sdk
need "${native_packages[@]}"

say "compiling the static executable (about two minutes on two cores)"
log=artifacts/binary.log
mkdir -p artifacts
# objcopy by name: the symbol step fails with llvm-objcopy. No PIE: a static executable has nobody to relocate it.
dotnet publish Discobot.csproj -c Release -r "$rid" -v quiet -nologo \
    -p:PublishAot=true -p:StaticExecutable=true -p:StaticOpenSslLinking=true \
    -p:PositionIndependentExecutable=false -p:ObjCopyName=objcopy \
    -o artifacts/native >"$log" 2>&1 || { cat "$log" >&2; die "the build failed; its output stands above and in $log"; }

binary=artifacts/native/discobot
if readelf --dynamic "$binary" | grep -q NEEDED || readelf --program-headers "$binary" | grep -Eq '^ *(INTERP|DYNAMIC) '; then
    readelf --program-headers --dynamic "$binary" >&2
    die "$binary is not static"
fi
if readelf --sections --wide "$binary" | grep -q ' \.symtab '; then die "$binary is not stripped"; fi
size=$(stat -c %s "$binary")
[ "$size" -lt $limit ] || die "$binary has $size bytes; the limit is $limit"

# Moved, not copied over: a running executable cannot be written to.
cp "$binary" artifacts/discobot.new
mv artifacts/discobot.new artifacts/discobot
say "artifacts/discobot: static, stripped, $((size / 100000 / 10)).$((size / 100000 % 10)) MB"
