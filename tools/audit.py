"""Check pinned packages for known vulnerabilities (pip-audit), and their licences: `make audit`.

If the vulnerability database cannot be reached, this says so and does not fail.
"""

import json
import subprocess
import sys
from typing import Any

from tools import licences

TIMEOUT_S = 300


def audit(lock: str) -> dict[str, Any] | str:
    """pip-audit's report on a lock file, or why there is none."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", lock, "--require-hashes"]
    command += ["--disable-pip", "--format", "json", "--progress-spinner", "off"]
    try:
        ran = subprocess.run(
            command,
            cwd=licences.ROOT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        report: dict[str, Any] = json.loads(ran.stdout)
    except subprocess.TimeoutExpired:
        return f"no answer within {TIMEOUT_S} s"
    except ValueError:
        return (ran.stderr.strip().splitlines() or ["no answer"])[-1]
    return report


def vulnerabilities(report: dict[str, Any] | str) -> tuple[list[str], str]:
    """Return the vulnerabilities found, and a summary sentence."""
    if isinstance(report, str):
        return [], f"NOT AUDITED, the database of vulnerabilities was not reached: {report}"
    packages = report["dependencies"]
    looked_up = [package for package in packages if "vulns" in package]
    if not looked_up:
        return [], f"NOT AUDITED, the database knows none of {len(packages)} packages: a mirror?"
    found = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'no version'}"
        for package in looked_up
        for vulnerability in package["vulns"]
    ]
    return found, f"{len(looked_up)} of {len(packages)} packages audited, {len(found)} findings"


def main() -> int:
    code = licences.main()
    for lock in ("requirements.lock", "requirements-dev.lock"):
        found, sentence = vulnerabilities(audit(lock))
        print(f"{lock}: {sentence}")
        for each in found:
            print(f"  {each}")
        code = code or int(bool(found))
    return code


if __name__ == "__main__":
    sys.exit(main())
