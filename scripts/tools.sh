#!/bin/sh
# What a build needs and cannot fetch for itself: says what is missing and how to get it.
set -eu
missing=
for tool in cargo cc apt-get dpkg; do
	command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
if [ -n "$missing" ]; then
	echo "missing:$missing" >&2
	case "$missing" in *cargo*) echo "  Rust 1.95 or later: by rustup" >&2 ;; esac
	case "$missing" in *cc*) echo "  a C compiler: apt-get install build-essential" >&2 ;; esac
	case "$missing" in *apt-get* | *dpkg*) echo "  apt-get and dpkg: Prometheus and its tools come from Debian's packages" >&2 ;; esac
	exit 1
fi
