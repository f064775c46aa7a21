#!/bin/sh
# SPDX-License-Identifier: MIT
# Tests the demo as a user meets it: test.sh PATH_OF_PARALLEL_DEMO. Needs sha256sum, find, sort -z.
# Prints a line for what fails and exits 1; python3 is used where there is one.
set -u
export LC_ALL=C

demo=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
work=$(mktemp -d "${TMPDIR:-/tmp}/parallel_demo-test.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 1
failures=0

fail()
{
	echo "FAIL: $*"
	failures=$((failures + 1))
}

# run WANTED_STATUS ARGS…: leaves its output in the files out and err.
run()
{
	wanted=$1
	shift
	"$demo" "$@" >out 2>err
	status=$?
	if [ "$status" -ne "$wanted" ]; then
		fail "exit status $status, not $wanted: $*"
		sed 's/^/  /' err
	fi
}

# field NAME: the value of a member of the JSON object in out, wherever it stands.
field()
{
	sed -n 's/^ *"'"$1"'": *"\{0,1\}\([^",]*\)"\{0,1\},\{0,1\}$/\1/p' out | head -n 1
}

expect()
{
	found=$(field "$1")
	[ "$found" = "$2" ] || fail "$1 is '$found', not '$2' ($3)"
}

# below DIR…: the digest of all that sha256sum says about the files there.
below()
{
	find "$@" -type f -print0 | sort -z | xargs -0 -r sha256sum -- | sha256sum | cut -d' ' -f1
}

# --- a tree with everything in it that is hard
mkdir -p 'tree/a b' tree/deep tree/wide tree/empty
printf 'plain' >tree/plain
: >tree/nothing
printf 'blank' >'tree/a b/c d '
printf 'quotes' >"tree/it's \"quoted\""
printf 'newline' >"tree/new
line"
printf 'return' >"$(printf 'tree/carriage\rreturn')"
printf 'backslash' >'tree/back\slash\n'
printf 'dash' >tree/-rf
printf 'latin' >"$(printf 'tree/caf\351')"
printf 'escape' >"$(printf 'tree/\033[31mred')"
dd if=/dev/zero of=tree/large bs=1024 seek=20000 count=1 2>/dev/null
dd if=/dev/zero of=tree/buffer bs=131072 count=1 2>/dev/null
i=0
while [ "$i" -lt 1500 ]; do
	echo "$i" >"tree/wide/$i"
	i=$((i + 1))
done
path=tree/deep
i=0
while [ "$i" -lt 150 ]; do
	path=$path/d
	i=$((i + 1))
done
mkdir -p "$path" && echo deep >"$path/leaf"
ln -s plain tree/link
ln -s nowhere tree/dangling
ln -s .. tree/wide/up
mkfifo tree/fifo
files=$(find tree -type f -print0 | tr -dc '\000' | wc -c | tr -d ' ')
digest=$(below tree)

for loops in 1 2 5; do
	run 0 --only tree --json --loops "$loops" tree
	expect files "$files" "loops $loops"
	expect links 3 "loops $loops"
	expect others 1 "loops $loops"
	expect unreadable 0 "loops $loops"
	expect loops "$loops" "loops $loops"
	expect max_running_per_loop 1 "loops $loops"
	expect agree true "loops $loops"
	for mode in sync concurrent parallel; do
		expect digest_$mode "$digest" "loops $loops"
	done
	[ -s err ] && fail "something on stderr with loops $loops"
done
if command -v python3 >/dev/null; then
	python3 -c 'import json, sys
d = json.load(sys.stdin)
t = d["tree"]
assert d["tasks"] is None and d["stolen"] >= 0 and d["backend"]
assert t["bytes"] > 20000 * 1024
assert all(t[m + "_s"] > 0 for m in ("sync", "concurrent", "parallel"))' <out ||
		fail "the JSON object is not as it should be"
fi

# --- lines for sha256sum -c, and the same lines as sha256sum writes
run 0 --only tree --modes parallel --check sums tree
sha256sum -c --quiet sums >checked 2>&1 || fail "sha256sum -c: $(head -n 3 checked)"
find tree -type f -print0 | sort -z | xargs -0 sha256sum -- >wanted
cmp -s sums wanted || fail "--check does not write what sha256sum does"
run 0 --only tree --modes parallel --check - tree
cmp -s out wanted || fail "--check - does not write the lines to standard output"
grep -q 'files/s' err || fail "--check - does not move the text to standard error"
(cd tree && "$demo" --only tree --modes parallel --check ../sums -- -rf >/dev/null &&
	sha256sum -c --quiet ../sums) || fail "a name with a leading dash"
run 0 --only tree --modes parallel --in-flight 1 --no-warm-up --json tree
expect digest_parallel "$digest" "one file in flight"
expect digest_sync null "only parallel"
run 0 --only tree --cold --json tree
expect digest_concurrent "$digest" "from a cold cache"
run 0 --only tree --json tree/wide/ 'tree/a b'
expect digest_parallel "$(below tree/wide/ 'tree/a b')" "two paths, one with a slash"

# --- nothing to do, and things that cannot be done
run 0 --only tree --json tree/empty
expect files 0 "empty tree"
run 0 --only tree tree/link
grep -q '1 links' out || fail "a link on the command line is followed"
run 1 --only tree --json gone tree
expect unreadable 1 "a path that is not there"
expect digest_parallel "$digest" "the rest of the work after an error"
[ "$(grep -c '^rota: cannot read gone: No such file' err)" -eq 1 ] ||
	fail "not one line about a path that is not there"
# Not even root can read the first bytes of its memory: nothing is mapped there.
run 1 --only tree --json /proc/self/mem tree
expect unreadable 1 "unreadable"
expect files "$files" "unreadable"
[ "$(grep -c 'cannot read /proc/self/mem' err)" -eq 1 ] || fail "not one line: unreadable"
if [ "$(id -u)" -ne 0 ]; then
	mkdir locked && echo secret >locked/file && chmod 0 locked/file
	mkdir locked/dir && chmod 0 locked/dir
	run 1 --only tree --json locked
	expect unreadable 2 "no permission"
	[ "$(grep -c 'Permission denied' err)" -eq 2 ] || fail "not two lines: no permission"
	chmod 700 locked/dir
fi
run 1 --only tree --check /dev/full tree
run 1 --only tree --timeline no/such/dir.svg tree
if [ -c /dev/full ]; then
	"$demo" --only tree --json tree >/dev/full 2>err && fail "a full disk is not noticed"
	grep -q 'cannot write' err || fail "no message about a full disk"
fi

# --- usage
for wrong in --nonsense -x --loops --loops=0 --loops=257 --loops=2x --only=all --modes=sync,fast \
	--modes= --task-seconds=0 --task-seconds=nan --task-seconds=1e9 --in-flight=0 --json=1 \
	--check=; do
	run 2 "$wrong"
	[ -s out ] && fail "$wrong: something on standard output"
	grep -q -- '--help' err || fail "$wrong: no hint at --help"
done
run 2 --json --check - tree
run 2 --only tasks tree
run 2 --cold --no-warm-up tree
run 2 --only tasks --only tree
run 2 ''
run 0 --help
grep -q '^Usage:' out || fail "--help"
run 0 --version
grep -q '^parallel_demo (rota [0-9]' out || fail "--version"

# --- part one, short; then both parts with the picture
# The times have room for a machine that does something else as well; that two loops computed at
# the same time does not depend on it.
run 0 --only tasks --task-seconds 0.2 --json --loops 2
expect max_running_per_loop 1 "tasks"
expect max_running_on_all_loops 2 "tasks"
if command -v python3 >/dev/null; then
	python3 -c 'import json, sys
t = json.load(sys.stdin)["tasks"]
assert t["sync_s"] >= 0.6, t
assert 0.2 <= t["concurrent_s"] < 0.5, t
assert 0 < t["parallel_s"] < 4 * t["parallel_ideal_s"], t' <out 2>err ||
		fail "the tasks took other times than they should: $(tail -n 1 err)"
fi
run 0 --task-seconds 0.05 --timeline picture.svg tree
[ -s err ] && fail "something on stderr: $(head -n 1 err)"
for word in 'Three tasks' sync concurrent parallel 'loop 0' 'A waits' 'MB/s' \
	'agree on every file'; do
	grep -q "$word" out || fail "the text lacks '$word'"
done
grep -q "$(printf '\033')" out && fail "colours in a pipe"
grep -q '</svg>' picture.svg || fail "the picture is not complete"
for word in sync concurrent parallel 'loop 0' '<rect' ' waits' 'a closer look'; do
	grep -q "$word" picture.svg || fail "the picture lacks '$word'"
done
if command -v python3 >/dev/null; then
	python3 -c 'import xml.dom.minidom as x; x.parse("picture.svg")' || fail "the SVG is no XML"
fi

[ "$failures" -eq 0 ] && echo "all is well"
[ "$failures" -eq 0 ]
