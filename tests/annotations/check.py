#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles FILE with clang's -Wthread-safety: check.py CLANG INCLUDE FILE

A line "expect: TEXT" in FILE is what a warning must say; without one there must be no warning.
Anything else that clang says is a failure too.
"""

import re
import subprocess
import sys

clang, include, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    expected = re.findall(r"expect: (.*?)\s*(?:\*/)?$", file.read(), re.MULTILINE)
done = subprocess.run([clang, "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic",
                       "-Wthread-safety", "-I", include, path],
                      stderr=subprocess.PIPE, text=True, check=False)
warnings = re.findall(r"(?:warning|error): (.*)", done.stderr)
left = list(warnings)
for text in expected:
    match = next((warning for warning in left if text in warning), None)
    if match is None:
        sys.exit(f"{path}: clang does not warn of: {text}\n{done.stderr}")
    left.remove(match)
if left:
    sys.exit(f"{path}: clang warns of more than it should:\n{done.stderr}")
