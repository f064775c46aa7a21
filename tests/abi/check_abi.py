#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks at the shared library as it was linked.

check_abi.py [--must-find] CHECK LIBRARY [HEADER...], where CHECK is one of

exports         It exports what the public headers declare with ROTA_API, no more and no less.
thread-locals   Only the accessor touches a thread-local: a compiler may keep the address of one
                across a switch of fibers, and so it must never see one in a function that switches.
notes           It claims no shadow stack, which fibers do not have yet, and no executable stack.

Prints a line for each finding; the exit status is 1 if there is one. --must-find turns that round,
for the negative control: a library that breaks all of it. 77: not on this machine.
"""

import os
import platform
import re
import subprocess
import sys

# The functions that may touch a thread-local (shell: objdump -d shows %fs: in no other).
ACCESSORS = ["rota__loop_self", "rota__loop_self_set"]

# How code reaches a thread-local: by its segment, or by asking the dynamic linker. The stack
# protector's canary at %fs:0x28 is the same for all threads of a process.
THREAD_LOCAL = re.compile(r"%fs:(?!0x28\b)|__tls_get_addr|@tlsdesc|@TLSDESC")


def output(*command):
    environment = dict(os.environ, LC_ALL="C")
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                          env=environment).stdout


def declared(headers):
    """The names that carry ROTA_API: the last word before the first parenthesis or semicolon."""
    names = set()
    for path in headers:
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/|//[^\n]*|^#[^\n]*(\\\n[^\n]*)*", "", file.read(),
                          flags=re.DOTALL | re.MULTILINE)
        names.update(re.findall(r"\bROTA_API\b[^;(]*?(\w+)\s*[;(\[]", text))
    return names


def check_exports(library, headers):
    exported = {line.split()[-1].split("@")[0]
                for line in output("nm", "-D", "--defined-only", library).splitlines()
                if line.split()[-2] != "A"}  # the name of the symbol version itself
    public = declared(headers)
    if not public:
        yield "no ROTA_API found in the headers"
    for name in sorted(exported - public):
        yield f"{name}: exported, but no public header declares it with ROTA_API"
    for name in sorted(public - exported):
        yield f"{name}: declared with ROTA_API, but the library does not export it"


def check_thread_locals(library, _):
    if platform.machine() != "x86_64":
        print("only x86-64 is known here")
        sys.exit(77)
    function, accesses, said = "?", 0, set()
    for line in output("objdump", "-d", "--no-show-raw-insn", library).splitlines():
        label = re.match(r"[0-9a-f]+ <(.*)>:$", line)
        if label:
            # gcc names parts of a function name.cold, name.part.0 and the like.
            function = label[1].split(".")[0]
        elif THREAD_LOCAL.search(line) and not function.endswith("@plt"):
            accesses += 1
            if function not in ACCESSORS and function not in said:
                said.add(function)
                yield f"{function}: touches a thread-local: {line.strip()}"
    if accesses == 0:
        yield "no access to a thread-local at all: this check looks for the wrong thing"


def check_notes(library, _):
    for line in output("readelf", "-n", library).splitlines():
        if "SHSTK" in line:
            yield f"claims a shadow stack: {line.strip()}"
    segments = output("readelf", "-lW", library)
    stack = re.findall(r"GNU_STACK(?:\s+0x\w+){5}\s+([RWE ]+?)\s+0x", segments)
    if not stack:
        yield "has no GNU_STACK header: the loader then makes stacks executable"
    elif "E" in stack[0]:
        yield "asks for an executable stack"


CHECKS = {
    "exports": check_exports, "thread-locals": check_thread_locals, "notes": check_notes,
}


def main():
    arguments = sys.argv[1:]
    must_find = arguments[0] == "--must-find"
    check, library, *headers = arguments[1 if must_find else 0:]
    findings = list(CHECKS[check](library, headers))
    print("\n".join(findings) or "nothing found")
    return 1 if bool(findings) != must_find else 0


sys.exit(main())
