#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The negative control of the checkers: checkers_test.py TOOLS

Makes a small tree that is in order, which the checkers must pass, then breaks one rule at a time
and requires that the checker finds it, in the file and line where it is.
"""

import os
import subprocess
import sys
import tempfile

SPDX = "/* SPDX-License-Identifier: MIT */\n"
WORD = "TO" + "DO"  # in two parts: this file is checked as well


def function(lines):
    return "void f(void)\n{\n" + "\tg();\n" * (lines - 3) + "}\n"


# What is in order. Lines that look like a breach but are none belong here.
CLEAN = {
    "include/rota.h": SPDX + "#include <rota/base.h>\n",
    "include/rota/base.h": SPDX + "#include <stddef.h>\n",
    "tests/headers/meson.build":
        "# SPDX-License-Identifier: MIT\nheaders = ['rota.h', 'rota/base.h']\n",
    "tests/unit/meson.build":
        "# SPDX-License-Identifier: MIT\nforeach name : ['list_test']\nendforeach\n",
    "tests/unit/list_test.c": SPDX + "int main(void) { return printf(\"\") + errno; }\n",
    "runtime/meson.build": "# SPDX-License-Identifier: MIT\nfiles('core/loop.c', 'os/seam.c', "
                           "'os/uring.c',\n  'core/self.c', 'observe/dump.c', 'sim/net.c')\n",
    "runtime/base/atomic.h": SPDX + "#include <stdatomic.h>\n",
    "runtime/base/list.h": SPDX + "/* no _Thread_local, no \"liburing.h\" here */\n",
    "runtime/os/seam.h": SPDX + "#include \"base/list.h\"\n",
    "runtime/os/seam.c": SPDX + "#include \"seam.h\"\nvoid *a(void) { return malloc(errno); }\n",
    "runtime/os/uring.c": SPDX + "#include <liburing.h>\n",
    "runtime/observe/trace.h": SPDX + "#include \"os/seam.h\"\n",
    "runtime/observe/dump.c": SPDX + "#include \"core/loop.h\"\n",
    "runtime/core/loop.h": SPDX + "#include <rota/base.h>\n#include \"observe/trace.h\"\n",
    "runtime/core/self.c": SPDX + "static _Thread_local int self;\n",
    "runtime/core/loop.c": SPDX + function(70) +
        "\n/* A push. Pairs with: drain(). */\nvoid push(void)\n{\n" + "\tg();\n" * 9 +
        "\ta64_cas_release(x);\n\tx->free(\"malloc(1) \" WORD);\n}\n" +
        "\nvoid drain(void)\n{\n\t/* Pairs with: push(). */\n\ta64_load_acquire(x);\n}\n",
    "runtime/flow/group.h": SPDX + "#include \"core/loop.h\"\n",
    "runtime/io/op.h": SPDX + "#include \"flow/group.h\"\n",
    "runtime/parallel/jobs.h": SPDX + "#include \"io/op.h\"\n",
    "runtime/sim/net.c": SPDX + "#include \"os/seam.h\"\n#include \"observe/trace.h\"\n",
}

# Breaches: checker, file, its new text, the line where it must be found, a part of the message.
BREACHES = [
    ("layers", "runtime/base/list.h", SPDX + "#include \"os/seam.h\"\n", 2, "base knows nothing"),
    ("layers", "runtime/os/seam.h", SPDX + "#include \"core/loop.h\"\n", 2, "knows no task"),
    ("layers", "runtime/os/seam.h", SPDX + "#include \"../core/loop.h\"\n", 2, "knows no task"),
    ("layers", "runtime/core/loop.h", SPDX + "\n#include \"flow/group.h\"\n", 3, "no group"),
    ("layers", "runtime/flow/group.h", SPDX + "#include \"io/op.h\"\n", 2, "does no I/O"),
    ("layers", "runtime/io/op.h", SPDX + "#include \"parallel/jobs.h\"\n", 2, "knows no job"),
    ("layers", "runtime/core/loop.c", SPDX + "#include \"sim/net.c\"\n", 2, "no group"),
    ("layers", "runtime/sim/net.c", SPDX + "#include \"flow/group.h\"\n", 2, "sim stands in"),
    ("layers", "runtime/observe/trace.h", SPDX + "#include \"core/loop.h\"\n", 2, "stands below"),
    ("layers", "runtime/core/loop.h", SPDX + "#include \"gone.h\"\n", 2, "not found"),
    ("layers", "runtime/core/loop.h", SPDX + "#include <os/seam.h>\n", 2, "in quotes"),
    ("layers", "runtime/core/loop.h", SPDX + "#include \"../../tests/unit/list_test.c\"\n", 2,
     "outside runtime/"),
    ("layers", "runtime/extra/x.h", SPDX + "#include \"base/list.h\"\n", 2, "no such room"),
    ("layers", "include/rota.h", SPDX + "#include <base/list.h>\n", 2, "public header"),
    ("layers", "include/rota.h", SPDX + "#include \"../runtime/base/list.h\"\n", 2, "public"),
    ("layers", "include/rota.h", SPDX + "#include <liburing.h>\n", 2, "one file knows the ring"),
    ("layers", "runtime/core/loop.h", SPDX + "#include <linux/io_uring.h>\n", 2, "the ring"),
    ("layers", "runtime/os/seam.c", SPDX + "# include <hwloc.h>\n", 2, "os/topology.c"),
    ("layers", "runtime/base/list.h", SPDX + "#include <stdatomic.h>\n", 2, "base/atomic.h"),
    ("layers", "runtime/core/loop.c", SPDX + "static _Thread_local int x;\n", 2, "core/self.c"),
    ("layers", "runtime/os/seam.c", SPDX + "/*\n*/ static __thread int x;\n", 3, "core/self.c"),
    ("style", "runtime/core/loop.c", "int x;\n" + SPDX, 1, "SPDX"),
    ("style", "tools/new", "#!/bin/sh\necho\n", 2, "SPDX"),
    ("style", "runtime/core/loop.h", SPDX + "\tint x;" + " " * 85 + "/**/\n", 2, "103 columns"),
    ("style", "runtime/core/loop.h", SPDX + "int x; \n", 2, "white space"),
    ("style", "README.md", "# Title\n\ntext\t\n", 3, "white space"),
    ("style", "runtime/core/loop.c", SPDX + function(71), 2, "71 lines in a function"),
    ("style", "runtime/core/loop.h", SPDX + "int x;\n" * 800, 801, "801 lines in a file"),
    ("style", "runtime/core/loop.h", SPDX + f"/* {WORD}: more */\n", 2, WORD),
    ("style", "runtime/core/loop.c", SPDX + "\n\tp = malloc(1);\n", 3, "malloc: use rota__alloc"),
    ("style", "runtime/core/loop.h", SPDX + "\tfree (p);\n", 2, "free: use"),
    ("style", "runtime/core/loop.c", SPDX + "\tp = strdup(s);\n", 2, "strdup: use"),
    ("style", "runtime/core/loop.c", SPDX + "\tclock_gettime(0, &t);\n", 2, "rota_now()"),
    ("style", "runtime/core/loop.c", SPDX + "\tusleep(1);\n", 2, "a timer"),
    ("style", "runtime/core/loop.c", SPDX + "\tx = rand();\n", 2, "rota_random()"),
    ("style", "runtime/os/seam.c", SPDX + "\tsprintf(b, \"x\");\n", 2, "snprintf()"),
    ("style", "runtime/os/seam.c", SPDX + "\tprintf(\"x\");\n", 2, "own stdout"),
    ("style", "runtime/core/loop.c", SPDX + "\tp = alloca(1);\n", 2, "alloca: use"),
    ("style", "runtime/core/loop.c", SPDX + "\tp = strerror(1);\n", 2, "strerror: use"),
    ("style", "runtime/core/loop.c", SPDX + "\t__atomic_load_n(p, 2);\n", 2, "base/atomic.h"),
    ("style", "runtime/core/loop.c", SPDX + "\treturn -errno;\n", 2, "errno: use"),
    ("style", "runtime/core/loop.c", SPDX + "/* Pairs with: far. */\n" + "\n" * 6 +
     "\ta64_load_acquire(x);\n", 9, "no \"Pairs with\""),
    ("style", "runtime/core/loop.c", SPDX + "void f(void)\n{\n\ta32_cas_acq_rel(x);\n}\n", 4,
     "a32_cas_acq_rel"),
    ("style", "runtime/core/dead.c", SPDX, 1, "in no meson.build"),
    ("style", "tests/unit/dead_test.c", SPDX, 1, "in no meson.build"),
    ("style", "include/rota/new.h", SPDX, 1, "tests/headers"),
]


def write(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def run(tools, checker, root):
    command = [sys.executable, os.path.join(tools, "check-" + checker), root]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return result.returncode, result.stdout


def main():
    tools = sys.argv[1]
    failed = 0
    for number, (checker, path, text, line, message) in enumerate([
            ("layers", None, None, 0, ""), ("style", None, None, 0, "")] + BREACHES):
        with tempfile.TemporaryDirectory() as root:
            for name, content in CLEAN.items():
                write(root, name, content)
            if path:
                write(root, path, text)
            status, output = run(tools, checker, root)
        found = [x for x in output.split("\n") if x.startswith(f"{path}:{line}: ") and message in x]
        if (status, bool(found)) != ((1, True) if path else (0, False)):
            failed += 1
            print(f"case {number}: check-{checker} gave {status} for {path or 'the clean tree'},"
                  f" expected line {line} \"{message}\":\n{output}")
    print(f"{len(BREACHES) + 2 - failed} cases right, {failed} wrong")
    return 1 if failed else 0


sys.exit(main())
