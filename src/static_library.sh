#!/bin/sh
# Makes the static library that is installed: all objects linked into one, in which only the public functions are global.
#
#     static_library.sh ARCHIVE_OF_OBJECTS OUTPUT OBJCOPY AR COMPILER...
#
# A plain archive would show every function that one file of the library calls in another to whoever links it, and short names such
# as object_free would clash with the program's own.
set -e
archive=$1
output=$2
objcopy=$3
ar=$4
shift 4
object=${output%.a}.o
"$@" -r -nostdlib -Wl,--whole-archive "$archive" -o "$object"
"$objcopy" --localize-hidden "$object"
rm -f "$output"
"$ar" rcs "$output" "$object"
rm -f "$object"
