# The front door. Meson does the building; each target first installs what it needs and this machine lacks (tools/install-deps).

BUILD_TYPE ?= debugoptimized
PREFIX ?= /usr/local
LIBDIR ?= lib
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(abspath $(PREFIX))/etc)
DESTDIR ?=
FUZZ_SECONDS ?= 60
MINUTES ?= 10
SEED ?= 1
SEEDS ?= 2000
SECONDS ?= 60
MEMCACHED_SOURCE ?= memcached
MEMCACHED_PROXY ?= memcached/memcached
JOBS ?= $(shell nproc)
BENCH_OPTIONS ?=
PEERS_OPTIONS ?=
DEFRAG_OPTIONS ?=
BACK_OPTIONS ?=
FULL_OPTIONS ?=
EVICTION_OPTIONS ?=
READERS_OPTIONS ?=
RUN_OPTIONS ?=

ninja = ninja -j $(JOBS)
sources = $(shell find include src tests tools bench examples -name '*.[ch]' -o -name '*.cc' -o -name '*.hpp')

# Configures the directory of the target, with more options; says more only when it fails.
define setup
	@echo "configuring $(@D)/"
	@mkdir -p $(@D)
	@$(2) meson setup --buildtype=$(BUILD_TYPE) $(1) $(@D) >$(@D)/setup.log 2>&1 || { cat $(@D)/setup.log; exit 1; }
endef

.NOTPARALLEL:
.PHONY: all run demo test test-long simulate simulate-faults mutate adversary bench results bench-full bench-readers bench-peers bench-defrag bench-back bench-eviction count-instructions check-instructions drill soak check-memcached check-proxy check-ktls fuzz check-asan check-tsan check-clang check-musl check-arm64 check-model format check-format tidy install uninstall check-install deb check-deb check-image clean help

all: build/build.ninja
	@$(ninja) -C build

help:
	@echo "make               build the library and the programs in build/"
	@echo "make run           start snugd, the server, until Ctrl-C; RUN_OPTIONS='-m 1024' for options, PORT=number, HTTP_PORT=number for ports"
	@echo "make demo          the demonstration: production sizes, fragmentation, defragmentation, beside other allocators"
	@echo "make test          all tests, in a release and in a debug build; ends with 'N passed, N failed'"
	@echo "make test-long     the long suite: soaks and sweeps of which make test does a part; an hour"
	@echo "make bench         the benchmarks, beside other allocators; BENCH_OPTIONS=--quick shows that they run"
	@echo "make bench-full    how much of its limit a heap can hold, beside what is aimed at; half an hour; FULL_OPTIONS='--live 64' for less"
	@echo "make bench-readers a get where many threads read and some write, beside a table with locks, liburcu's and TBB's; READERS_OPTIONS='--threads 2' for less"
	@echo "make results       all of docs/results anew, some hours: bench-peers, bench-defrag, bench-back, bench-eviction, and README's charts; options as there"
	@echo "make bench-peers   snugd beside memcached and Redis at 512 MB, in pieces of minutes: a run that ended goes on; writes docs/results/peers.md;"
	@echo "                   PEERS_OPTIONS='--redis PATH --memcached PATH' for others beside, '--limit 64 --only density' for less"
	@echo "make bench-defrag  the defragmentation suite on snugd, memcached, Redis and allocators; writes docs/results/defrag-suite.md; DEFRAG_OPTIONS='--redis PATH' for one that defragments"
	@echo "make bench-back    whether memory comes back by itself, on snugd, memcached, Redis and jemalloc; writes docs/results/comes-back.md; a quarter of an hour"
	@echo "make bench-eviction  what the cache misses beside seven published policies; writes docs/results/eviction.md; ten minutes; EVICTION_OPTIONS='--trace FILE --share 0.2'"
	@echo "make count-instructions   writes docs/instruction-counts.md"
	@echo "make check-instructions   counts the library's own again, and says which of its paths have become more than 2 % longer; two minutes"
	@echo "make drill         what clients see when things go wrong around snugd; writes docs/results/fault-drill.md"
	@echo "make soak          snugd under random operations for MINUTES (now $(MINUTES)), every byte checked against a model"
	@echo "make simulate      the whole server in one thread, driven by a seed, for SEEDS seeds (now $(SEEDS)) from SEED on; a failing one is printed"
	@echo "make simulate-faults  known faults put back, one at a time: which of SEEDS seeds find them; 200 take minutes for each"
	@echo "make mutate        small faults put into the core, one at a time: each must be seen by the test that it names; PART=src/mem for some; a quarter of an hour"
	@echo "make adversary     tries for SECONDS (now $(SECONDS)) to make heaps refuse what they have room for (docs/bounds.md); ends with 'N settings, N beaten'"
	@echo "make check-memcached  memcached's own tests against snugd; MEMCACHED_SOURCE=directory, NAMES='metaget cas' for some"
	@echo "make check-proxy   three snugd behind memcached's own proxy, in clear and over TLS; MEMCACHED_PROXY=a memcached that was built with it"
	@echo "make check-ktls    TLS whose large answers the kernel encrypts, under Debian's own kernel, played by qemu; a minute"
	@echo "make fuzz          fuzz each target for FUZZ_SECONDS (now $(FUZZ_SECONDS))"
	@echo "make check-asan    the tests with AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make check-tsan    the tests with ThreadSanitizer"
	@echo "make check-clang   the tests, built with clang"
	@echo "make check-musl    the tests, built with musl as the C library; no HTTP, no io_uring"
	@echo "make check-arm64   unit, laws, model and race, built for arm64 and run by qemu"
	@echo "make check-model   the models of channels, tickets, the stop and reads, with spin; ends with 'N passed, N failed'"
	@echo "make format        clang-format over the tree; make check-format only looks"
	@echo "make tidy          clang-tidy over the library"
	@echo "make install       to PREFIX (now $(PREFIX)) below DESTDIR: headers, libraries, snug.pc, CMake's package, man pages, snugd, snugctl, snug-replay,"
	@echo "                   the unit, a config (one that is there stays), completion; make uninstall removes what the last make install put there"
	@echo "make check-install installs below a directory and builds programs from that: pkg-config, static, CMake, a subproject of Meson; two minutes"
	@echo "make deb           Debian's packages of snugd and the library, in build-deb/; make check-deb tries them in a bare Debian 12 and under a systemd, as root"
	@echo "make check-image   builds the image of Dockerfile upon a bare Debian 12 and runs it with podman, as root; skipped, in words, where no container starts"
	@echo "make clean         removes the build directories"
	@echo "Each target installs from Debian's packages what it needs and is missing; tools/install-deps --list GROUP shows what."

# ---- build directories ------------------------------------------------------------------------------------------------

# A warning fails these; build/ is everybody's, whose compiler may be newer than ours.
debug = -Dassertions=debug -Dwerror=true
asan = -Db_sanitize=address,undefined -Db_lundef=false
tsan = -Db_sanitize=thread -Db_lundef=false
with_clang = CC=clang CXX=clang++
# make test divides some tests between its two builds; these have no second one.
alone = -Dall_tests=true

build/build.ninja:
	@tools/install-deps build
	$(call setup)

# A directory that was configured before the tests' packages were there has no tests yet.
build/.with-tests: build/build.ninja
	@meson configure build -Dtests=enabled
	@touch $@

# Nor bench-hops and bench-readers.
build/.with-bench: build/build.ninja tools/install-deps
	@meson setup --reconfigure build >/dev/null
	@touch $@

build-debug/build.ninja:
	$(call setup,$(debug))

build-asan/build.ninja:
	$(call setup,$(debug) $(asan) $(alone))

build-tsan/build.ninja:
	$(call setup,$(debug) $(tsan) $(alone))

build-clang/build.ninja:
	$(call setup,$(debug) $(alone),$(with_clang))

build-musl/build.ninja: build-musl/prefix/machine.txt
	$(call setup,-Dwerror=true $(alone) -Dhttp=disabled -Dtls=disabled -Dtests=enabled --native-file $<)

build-arm64/build.ninja: build-arm64/prefix/machine.txt
	$(call setup,-Dwerror=true -Dhttp=disabled -Dtls=disabled -Dtests=enabled --cross-file $<)

build-%/prefix/machine.txt:
	@tests/elsewhere/prepare.sh $(@D) $*

build-install/build.ninja:
	$(call setup,-Dtests=disabled)

build-fuzz/build.ninja:
	$(call setup,$(debug) $(asan) -Dfuzz=true,$(with_clang))

# ---- what to run ------------------------------------------------------------------------------------------------------

need-%:
	@tools/install-deps $*

run: need-run build/build.ninja
	@$(ninja) --quiet -C build snugd snugctl
	@tools/run-server.sh build $(RUN_OPTIONS)

demo: need-demo build/build.ninja
	@$(ninja) --quiet -C build snug-replay
	@tools/demo.sh build

test: need-test build/.with-tests build-debug/build.ninja
	@tests/run_tests.sh build build-debug

test-long: need-test build/.with-tests
	@SUITE=long tests/run_tests.sh build

bench: need-bench build/.with-bench
	@$(ninja) --quiet -C build
	@bench/run.sh build $(BENCH_OPTIONS)

bench-full: need-bench build/.with-bench
	@$(ninja) --quiet -C build snug-replay bench/bench-metadata
	@/usr/bin/python3 bench/full_heaps.py build $(FULL_OPTIONS)

bench-readers: need-bench build/.with-bench
	@$(ninja) --quiet -C build bench/bench-readers
	@build/bench/bench-readers $(READERS_OPTIONS)

bench-peers: need-peers build/.with-bench
	@$(ninja) --quiet -C build
	@/usr/bin/python3 bench/peers/peers.py --build build $(PEERS_OPTIONS)

# The run that is quoted wants a machine of its own.
results:
	@$(MAKE) --no-print-directory bench-peers bench-defrag bench-back bench-eviction
	@docs/images/figures.py --draw
	@docs/images/figures.py

bench-defrag: need-peers build/.with-bench
	@$(ninja) --quiet -C build
	@/usr/bin/python3 bench/defrag-suite/suite.py --build build --limit 512 --targets snugd,snugd-asked,memcached,redis,malloc,jemalloc,mimalloc,tcmalloc --state build/defrag-suite --out docs/results $(DEFRAG_OPTIONS)

bench-back: need-peers build/.with-bench
	@$(ninja) --quiet -C build snugd bench/malloc-cache
	@/usr/bin/python3 bench/defrag-suite/comes_back.py --build build --out docs/results $(BACK_OPTIONS)

bench-eviction: need-bench build/.with-bench
	@$(ninja) --quiet -C build snug-replay
	@/usr/bin/python3 bench/eviction.py build --state build/eviction --out docs/results/eviction.md $(EVICTION_OPTIONS)

count-instructions: need-bench build/.with-bench
	@$(ninja) --quiet -C build
	@bench/instructions.sh build

# Skipped, in words, where the compiler is not the one that the counts are of.
check-instructions: need-bench build/.with-bench
	@$(ninja) --quiet -C build bench/bench-instructions bench/bench-instructions-called bench/bench-cache-instructions
	@bench/instructions.sh --check build || [ $$? -eq 77 ]

check-asan: need-test build-asan/build.ninja
	@TIMEOUT_MULTIPLIER=6 tests/run_tests.sh build-asan

check-tsan: need-test build-tsan/build.ninja
	@TIMEOUT_MULTIPLIER=6 tests/run_tests.sh build-tsan

check-clang: need-clang build-clang/build.ninja
	@tests/run_tests.sh build-clang

check-musl: need-musl build-musl/build.ninja
	@tests/run_tests.sh build-musl

check-arm64: need-arm64 build-arm64/build.ninja
	@TIMEOUT_MULTIPLIER=6 SUITES="unit laws model race" tests/run_tests.sh build-arm64

check-model: need-model
	@models/check.sh

drill: need-test build/build.ninja
	@$(ninja) --quiet -C build snugd tests/drill/libshift_clock.so
	@/usr/bin/python3 tests/drill/drill.py build/snugd build/tests/drill/libshift_clock.so --out docs/results/fault-drill.md

soak: need-test build/build.ninja
	@$(ninja) --quiet -C build snugd
	@/usr/bin/python3 tests/soak/soak.py --server build/snugd --minutes $(MINUTES)

simulate: need-test build-debug/build.ninja
	@$(ninja) --quiet -C build-debug tests/simulate/simulate
	@build-debug/tests/simulate/simulate --pinned tests/simulate/pinned.txt $(SEED) $(SEEDS)

adversary: need-test build/.with-tests
	@$(ninja) --quiet -C build tests/adversary/adversary
	@build/tests/adversary/adversary --seconds $(SECONDS) --seed $(SEED)

simulate-faults: need-test
	@/usr/bin/python3 tests/simulate/faults.py --seeds $(SEEDS) $(PIN)

mutate: need-test
	@/usr/bin/python3 tests/mutate/mutate.py --tree build-mutate $(if $(PART),--file $(PART))

check-memcached: need-test build/build.ninja
	@$(ninja) --quiet -C build snugd
	@/usr/bin/python3 tests/memcached/check_memcached.py build/snugd "$(MEMCACHED_SOURCE)" $(NAMES)

check-proxy: need-test build/build.ninja
	@$(ninja) --quiet -C build snugd
	@MEMCACHED_PROXY=$(abspath $(MEMCACHED_PROXY)) /usr/bin/python3 tests/scaling/test_scaling.py build/snugd examples/scaling

check-ktls: need-check-ktls build/build.ninja
	@$(ninja) --quiet -C build snugd
	@/usr/bin/python3 tests/elsewhere/guest.py build-ktls /usr/bin/python3 tests/server/test_kernel_tls.py build/snugd

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
	@meson configure build -Dprefix=$(abspath $(PREFIX)) -Dlibdir=$(LIBDIR) -Dsysconfdir=$(SYSCONFDIR) >/dev/null
	@$(ninja) --quiet -C build
	@meson install --quiet --no-rebuild -C build $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))
	@$(if $(DESTDIR),,PATH=$$PATH:/sbin ldconfig || true)

uninstall:
	@packaging/uninstall.sh build

check-install: need-check-install build-install/build.ninja
	@$(ninja) --quiet -C build-install
	@tests/packaging/check_install.sh build-install

# In a directory of their own; they are built with the system's compiler and flags.
deb: need-deb
	@packaging/make-deb.sh build-deb

check-deb: need-check-deb deb
	@tests/packaging/smoke.sh build-deb
	@tests/packaging/wrappers.sh build-deb
	@tests/packaging/systemd.sh build-deb

check-image: need-check-image
	@tests/packaging/image.sh

clean:
	@rm -rf build build-deb build-debug build-install build-asan build-tsan build-clang build-fuzz build-musl build-arm64 build-ktls build-mutate
