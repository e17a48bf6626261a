# The words everyone types. Meson and Ninja do the building; see CONTRIBUTING.md.
#
#   make run      install what the build needs, build, start the broker
#   make test     install what the tests need besides, build, run every test
#   make build    the program at build/leveret; installs nothing

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --silent
BUILD ?= build
# Optimised over all files at once: a sixth less processor time per message.
SETUP ?= -Db_lto=true
# Tests are built beside the program and without that, which would take longer than running them.
TESTS = $(if $(findstring b_lto,$(SETUP)),$(BUILD)-test,$(BUILD))
TESTS_SETUP = $(filter-out -Db_lto=true,$(SETUP))
T ?= 10m
RUNTEST := /usr/bin/python3 tools/test.py
WERROR := -Dwerror=true

.PHONY: run build tests test test-peers test-long crash all asan tsan msan install uninstall fuzz tidy check \
	cover bench fmt hooks clean

run:
	tools/install.sh build
	$(MAKE) build
	exec $(BUILD)/leveret serve --data-dir ./var

build: $(BUILD)/build.ninja
	ninja -C $(BUILD) leveret

$(BUILD)/build.ninja:
	meson setup $(BUILD) $(SETUP)

# A tree that was set up before cmocka was installed has no tests in it yet.
$(TESTS)/with-tests:
	if [ -f $(TESTS)/build.ninja ]; then again=--reconfigure; fi; \
		meson setup $$again $(TESTS) -Dtests=enabled $(TESTS_SETUP)
	touch $@

tests: build $(TESTS)/with-tests
	ninja -C $(TESTS)

test:
	tools/install.sh build test
	$(MAKE) tests
	$(RUNTEST) --build $(TESTS) --program $(BUILD)/leveret

test-peers:
	tools/install.sh build test peers
	$(MAKE) tests
	$(RUNTEST) --build $(TESTS) --program $(BUILD)/leveret --peer rabbitmq

# The sizes that take hours: the same tests, which read LEVERET_TEST_SIZE.
test-long:
	tools/install.sh build test
	$(MAKE) tests
	$(RUNTEST) --build $(TESTS) --program $(BUILD)/leveret --long

# Crashes by seed: `make crash SEED=7` repeats one, `make crash COUNT=100000` looks for new ones.
crash:
	tools/install.sh build test
	$(MAKE) $(TESTS)/with-tests
	ninja -C $(TESTS) tests/crash/crash_test
	$(TESTS)/tests/crash/crash_test $(or $(SEED),$$(date +%s)) $(or $(COUNT),$(if $(SEED),1,1000))

all:
	tools/install.sh build test clang
	$(MAKE) BUILD=build-gcc SETUP="$(WERROR)" build-gcc/with-tests
	ninja -C build-gcc
	CC=clang $(MAKE) BUILD=build-clang SETUP="$(WERROR)" build-clang/with-tests
	ninja -C build-clang

SANITIZER := -Djemalloc=disabled -Doptimization=1
asan:
	$(MAKE) test BUILD=build-asan SETUP="$(SANITIZER) -Db_sanitize=address,undefined"
tsan:
	$(MAKE) test BUILD=build-tsan SETUP="$(SANITIZER) -Db_sanitize=thread"

# Only the fuzz targets' corpora: every library a program uses has to be built with MSan, and
# these targets use none but ours.
msan:
	tools/install.sh build clang
	[ -f build-msan/build.ninja ] || CC=clang meson setup build-msan $(SANITIZER) \
		-Db_sanitize=memory -Db_lundef=false -Dtests=disabled
	$(RUNTEST) --build build-msan --only corpus

fuzz:
	tools/install.sh build clang
	[ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz $(SANITIZER) \
		-Db_sanitize=address,undefined -Db_lundef=false -Dtests=disabled -Dfuzzers=true
	tools/fuzz.sh build-fuzz $(T)

cover:
	tools/install.sh build test cover
	$(MAKE) BUILD=build-cover SETUP=-Db_coverage=true build-cover/with-tests
	tools/cover.sh build-cover

bench:
	tools/install.sh build peers
	$(MAKE) build
	/usr/bin/python3 tools/bench.py --build $(BUILD) $(if $(QUICK),--quick) $(BENCH)

check:
	tools/install.sh build test check
	tools/check.sh

tidy:
	tools/install.sh build test check
	tools/check.sh tidy

fmt:
	git ls-files '*.c' '*.h' | xargs -r clang-format -i

hooks:
	tools/install.sh check hooks
	pre-commit install

# The program and what belongs to it; packaging/install.sh says what and where. For example
# `make install prefix=/usr DESTDIR=/tmp/package`; `make install RABBITMQ_NAMES=1` also takes the
# names of RabbitMQ's tools.
install uninstall: build
	DESTDIR="$(DESTDIR)" prefix="$(prefix)" sysconfdir="$(sysconfdir)" \
		RABBITMQ_NAMES="$(RABBITMQ_NAMES)" packaging/install.sh $@ $(BUILD)/leveret

clean:
	rm -rf build build-*
