#!/bin/sh
# benchmarks/views.c, for files whose pages in the page cache are huge, as they were read ahead from
# a disk, or small. In time the kernel cuts them into smaller ones: so each case makes its files.
#   benchmarks/views.sh
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
"${CC:-cc}" -std=c11 -D_GNU_SOURCE -O3 -Icsrc csrc/base/*.c benchmarks/views.c -o "$work/views"

make_files() { # BYTES that are written at once
    for number in $(seq 32); do
        dd if=/dev/zero of="$work/$number.file" bs="$1" count=$((67108864 / $1)) conv=fsync status=none
    done
}
echo "written at once, 64 MiB"
make_files 67108864
"$work/views" "$work"/*.file
echo "read ahead from the disk"
for file in "$work"/*.file; do
    dd if="$file" iflag=nocache count=0 status=none
    dd if="$file" of=/dev/null bs=256k status=none
done
"$work/views" "$work"/*.file
echo "written 64 KiB at a time"
make_files 65536
"$work/views" "$work"/*.file
