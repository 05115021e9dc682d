# Shared by the scripts beside it; sourced, never run.
# shellcheck shell=bash

# The folder that holds go.mod, whatever the caller's working directory was.
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# Everything the scripts build for themselves; safe to delete.
CACHE="$ROOT/.cache"
BIN="$CACHE/bin"

# NVIDIA's header for NVML warns of each name that it keeps for old programs.
export CGO_CFLAGS="${CGO_CFLAGS:--O2 -g} -Wno-deprecated-declarations"

# Build tags of tests that need what not every machine has; whoever only reads
# the code sets them all.
# shellcheck disable=SC2034 # used by those who source this
ALL_TAGS=dockertest,runsctest,opencltest,lantest

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# explain_if_asked ARGS... prints what stands at the top of the script and ends
# it, if one of ARGS asks for help.
explain_if_asked() {
	local word
	for word; do
		[[ $word == -h || $word == --help ]] || continue
		sed -n '2,${/^#/!q; s/^# \{0,1\}//p;}' "$0"
		exit 0
	done
}

# require_toolchain ends the script with one sentence that names what is missing.
require_toolchain() {
	command -v go >/dev/null ||
		die "Go is missing: install Go 1.26 or newer from https://go.dev/dl and put it on PATH."
	local version major minor
	version="$(cd "$ROOT" && go env GOVERSION)" ||
		die "Go is too old for this module: install Go 1.26 or newer from https://go.dev/dl."
	IFS=. read -r major minor _ <<<"${version#go}"
	minor="${minor%%[!0-9]*}"
	((major > 1 || minor >= 26)) ||
		die "Go is too old: this is ${version}, install Go 1.26 or newer from https://go.dev/dl."
	local cc
	cc="$(cd "$ROOT" && go env CC)"
	command -v "${cc%% *}" >/dev/null ||
		die "a C compiler is missing (the race detector needs one): install gcc or clang, or set CC."
}

# build_once PATH MODULE_DIR PACKAGE builds PACKAGE into PATH unless it is there.
# The file appears in one rename, so a build cut short leaves nothing behind.
build_once() {
	local path="$1" dir="$2" package="$3" partial
	[[ -x "$path" ]] && return
	mkdir -p "$(dirname "$path")"
	partial="$path.$BASHPID.partial"
	printf 'building %s once ...\n' "$(basename "$path")" >&2
	(cd "$dir" && go build -ldflags='-s -w' -o "$partial" "$package") || {
		rm -f "$partial"
		die "could not build $package (see above)."
	}
	mv -f "$partial" "$path"
}

# tool NAME prints the path of a pinned tool, building it the first time. The
# name of the file carries the tool's version and Go's: a linter built by an
# older Go refuses newer code.
tool() {
	local name="$1" dir="$ROOT/tools" package module version path
	# A tool may ask for a newer Go than souk does; auto lets go fetch it.
	local -x GOTOOLCHAIN=auto
	case "$name" in
	golangci-lint) module=github.com/golangci/golangci-lint/v2 package=$module/cmd/golangci-lint ;;
	buf) module=github.com/bufbuild/buf package=$module/cmd/buf ;;
	gotestsum) module=gotest.tools/gotestsum package=$module ;;
	nfpm) module=github.com/goreleaser/nfpm/v2 package=$module/cmd/nfpm dir="$ROOT/tools/nfpm" ;;
	# Generator and runtime library are one module and must be one version, so
	# this one comes from souk's own go.mod.
	protoc-gen-go) module=google.golang.org/protobuf package=$module/cmd/protoc-gen-go dir="$ROOT" ;;
	runsc) build_runsc; return ;;
	*) die "no tool is called $name." ;;
	esac
	version="$(cd "$dir" && go list -m -f '{{.Version}}' "$module")" ||
		die "could not read the version of $name from $dir/go.mod."
	path="$BIN/$name-$version-$(cd "$dir" && go env GOVERSION)"
	build_once "$path" "$dir" "$package"
	printf '%s\n' "$path"
}

# gVisor's runtime for containers, of the branch that plain Go can build.
RUNSC_VERSION=v0.0.0-20260905035102-160fafc42237

# build_runsc prints runsc's path and builds it the first time, which takes minutes.
# It is no dependency of souk's: its modules are those of its own go.mod.
build_runsc() {
	local path="$BIN/runsc-$RUNSC_VERSION" partial
	if [[ ! -x $path ]]; then
		mkdir -p "$CACHE" && partial="$(mktemp -d "$CACHE/runsc.XXXXXX")" || return 1
		printf 'building runsc once, which takes some minutes ...\n' >&2
		CGO_ENABLED=0 GOBIN="$partial" GOFLAGS='' go install -ldflags='-s -w' "gvisor.dev/gvisor/runsc@$RUNSC_VERSION" || {
			rm -rf "$partial"
			return 1
		}
		mkdir -p "$BIN"
		mv -f "$partial/runsc" "$path"
		rm -rf "$partial"
	fi
	printf '%s\n' "$path"
}

# docker_answers says whether a Docker daemon can be spoken to, as DOCKER_HOST says.
docker_answers() {
	command -v docker >/dev/null && timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# docker_knows RUNTIME says whether the daemon has a runtime of that name.
docker_knows() {
	[[ "$(timeout 10 docker info --format "{{if index .Runtimes \"$1\"}}yes{{end}}" 2>/dev/null)" == yes ]]
}

# scripts_explain_themselves ends the script if one in scripts/ has no --help: it
# would begin to work instead.
scripts_explain_themselves() {
	local script
	for script in "$ROOT"/scripts/*; do
		[[ ! -x $script || -d $script ]] || grep -q '^explain_if_asked ' "$script" ||
			die "$script doesn't call explain_if_asked after it has read lib.sh."
	done
}

# no_sleeping_tests ends the script if a test waits by sleeping: it would be
# slow or flaky. In a file that uses testing/synctest the time is taken to be fake.
no_sleeping_tests() {
	local file sleeping=()
	while IFS= read -r file; do
		grep -q '"testing/synctest"' "$ROOT/$file" || sleeping+=("$file")
	done < <(cd "$ROOT" && grep -rl --include='*_test.go' --exclude-dir=.cache 'time\.Sleep(' .)
	((${#sleeping[@]} == 0)) ||
		die "these tests sleep; wait for a condition or a channel, or use testing/synctest: ${sleeping[*]}"
}
