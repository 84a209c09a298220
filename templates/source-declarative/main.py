"""Runs the connector the way Python connectors are run: `python main.py check --config secrets/config.json`.

Builds it first if a Rust toolchain is there; otherwise takes what was built.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAME = "{{ crate_name | kebab_case }}"
HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", "target"))


def main() -> None:
    if shutil.which("cargo"):
        # What cargo says goes to stderr: stdout carries messages only.
        build = ["cargo", "build", "--quiet", "--manifest-path", str(HERE / "Cargo.toml")]
        code = subprocess.run(build, stdout=sys.stderr).returncode
        if code != 0:
            sys.exit(code)
    program = HERE / TARGET / "debug" / NAME
    if not program.exists():
        program = HERE / TARGET / "release" / NAME
    os.execv(program, [str(program), *sys.argv[1:]])


if __name__ == "__main__":
    main()
