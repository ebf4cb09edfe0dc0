"""`python -m stackroles.codegen [--check]`: write the generated files, or say which are stale."""

import argparse
import sys
from pathlib import Path

from stackroles.codegen.bundle import HelmError
from stackroles.codegen.outputs import chart_files, source_files, stale_files, write_files
from stackroles.codegen.scalars import SchemaError


def main(arguments: list[str] | None = None) -> int:
    """Return 0 when all is written or up to date, 1 when a file is stale or cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m stackroles.codegen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a stale file")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository's root")
    options = parser.parse_args(arguments)
    if not (options.root / "charts/stackroles/Chart.yaml").is_file():
        sys.stderr.write(f"{options.root} is not the repository's root\n")
        return 1
    try:
        return check(options.root) if options.check else write(options.root)
    except (SchemaError, HelmError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def write(root: Path) -> int:
    """Write everything; the chart is rendered after its own generated files are in place."""
    written = write_files(root, source_files())
    written += write_files(root, chart_files(root))
    for path in written:
        sys.stdout.write(f"{path}\n")
    return 0


def check(root: Path) -> int:
    """Say which files are stale."""
    stale = stale_files(root, source_files()) + stale_files(root, chart_files(root))
    for path in stale:
        sys.stderr.write(f"{path} is stale: run `python -m stackroles.codegen`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
