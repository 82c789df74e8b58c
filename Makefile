# The front door. Meson does the building; each target first installs what it needs and this machine lacks (tools/install-deps).

BUILD_TYPE ?= debugoptimized
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
JOBS ?= $(shell nproc)
BENCH_OPTIONS ?=

meson_setup = meson setup --buildtype=$(BUILD_TYPE)
ninja = ninja -j $(JOBS)
sources = $(shell find include src tests tools bench examples -name '*.[ch]')

.PHONY: all run test bench count-instructions fuzz check-asan check-tsan check-clang format check-format tidy install clean help

all: build/build.ninja
	@$(ninja) -C build

help:
	@echo "make               build the library and the programs in build/"
	@echo "make run           the demonstration: production sizes, fragmentation, defragmentation, beside other allocators"
	@echo "make test          all tests, in a release and in a debug build; ends with 'N passed, N failed'"
	@echo "make bench         the benchmarks, beside other allocators; BENCH_OPTIONS=--quick shows that they run"
	@echo "make count-instructions   writes docs/instruction-counts.md"
	@echo "make fuzz          fuzz each target for FUZZ_SECONDS (now $(FUZZ_SECONDS))"
	@echo "make check-asan    the tests with AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make check-tsan    the tests with ThreadSanitizer"
	@echo "make check-clang   the tests, built with clang"
	@echo "make format        clang-format over the tree; make check-format only looks"
	@echo "make tidy          clang-tidy over the library"
	@echo "make install       to PREFIX (now $(PREFIX)) below DESTDIR: headers, libraries, snug.pc, man pages, snug-replay"
	@echo "make clean         removes the build directories"
	@echo "Each target installs from Debian's packages what it needs and is missing; tools/install-deps --list GROUP shows what."

# ---- build directories ------------------------------------------------------------------------------------------------

build/build.ninja:
	@tools/install-deps build
	@$(meson_setup) build

build-debug/build.ninja:
	@tools/install-deps test
	@$(meson_setup) -Dassertions=debug build-debug

build-asan/build.ninja:
	@$(meson_setup) -Dassertions=debug -Db_sanitize=address,undefined -Db_lundef=false build-asan

build-tsan/build.ninja:
	@$(meson_setup) -Dassertions=debug -Db_sanitize=thread -Db_lundef=false build-tsan

build-clang/build.ninja:
	@CC=clang CXX=clang++ $(meson_setup) -Dassertions=debug build-clang

build-fuzz/build.ninja:
	@CC=clang CXX=clang++ $(meson_setup) -Dassertions=debug -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
		build-fuzz

# ---- what to run ------------------------------------------------------------------------------------------------------

.PHONY: need-build need-test need-run need-bench need-clang need-tidy need-format
need-%:
	@tools/install-deps $*

run: need-run all
	@tools/demo.sh

test: need-test build/build.ninja build-debug/build.ninja
	@tests/run.sh build build-debug

bench: need-bench all
	@for name in pairs moves pauses snapshot metadata; do build/bench/bench-$$name $(BENCH_OPTIONS) || exit 1; done
	@bench/instructions.sh build /dev/stdout

count-instructions: need-bench all
	@bench/instructions.sh build

check-asan: need-test build-asan/build.ninja
	@TIMEOUT_MULTIPLIER=6 tests/run.sh build-asan

check-tsan: need-test build-tsan/build.ninja
	@TIMEOUT_MULTIPLIER=6 tests/run.sh build-tsan

check-clang: need-clang build-clang/build.ninja
	@tests/run.sh build-clang

fuzz: need-clang build-fuzz/build.ninja
	@$(ninja) -C build-fuzz
	@tests/fuzz.sh build-fuzz $(FUZZ_SECONDS)

# ---- the source itself ------------------------------------------------------------------------------------------------

format: need-format
	@clang-format -i $(sources)

check-format: need-format
	@clang-format --dry-run --Werror $(sources)

tidy: need-tidy build-clang/build.ninja
	@clang-tidy --quiet -p build-clang $(filter src/%.c,$(sources))

install: all
	@meson configure build -Dprefix=$(abspath $(PREFIX))
	@$(ninja) -C build
	@meson install --no-rebuild -C build $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean:
	@rm -rf build build-debug build-asan build-tsan build-clang build-fuzz
