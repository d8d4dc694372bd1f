# shellcheck shell=bash disable=SC2154
# A headless Chromium, for the tests of pages: no server but a program, shared by all instances.

chromium_package() { echo chromium-headless-shell; }
chromium_explain() { echo "  CQRS_TEST_CHROMIUM=/path/to/chromium   (any that knows --headless)"; }

chromium_find() {
    chromium=$(command -v chromium-headless-shell || command -v chromium || command -v google-chrome)
}

chromium_exports() { ! chromium_find || echo "export CQRS_TEST_CHROMIUM='$chromium'"; }
