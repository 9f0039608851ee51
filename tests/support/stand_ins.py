"""Stand-ins for programs that cannot run in a test: `oc`, `helm`, `pip` and `python3.11`.

kubectl, helm and pip check the arguments, as far as they can without a cluster or an index. What
follows `--` in `oc exec` runs here.
"""

import os
import shutil
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import yaml  # type: ignore[import-untyped]

sys.path.insert(0, os.environ["STAND_INS_ROOT"])

from testbed.kubernetes import kustomize, program

# What kubectl does not know, and nothing here checks.
_OPENSHIFT = {"process", "new-build", "start-build"}


def oc(words: list[str]) -> None:
    """Check the arguments as kubectl does, and do what can be done without a cluster."""
    given, command = words, list[str]()
    if "--" in words:
        at = words.index("--")
        given, command = words[:at], words[at + 1 :]
    given = given[1:] if given[0] == "adm" else given
    if given[0] in _OPENSHIFT or given[:2] == ["set", "image-lookup"]:
        return
    _check([program("kubectl"), *given])
    match given:
        case ["create", *_] if "--dry-run=client" in given:
            subprocess.run([program("kubectl"), *given], check=True)
        case ["apply", "-k", folder]:
            assert kustomize(Path(folder))
        case ["replace", "-f", "-"]:
            assert yaml.safe_load(sys.stdin)["kind"] == "Secret"
        case ["get", "pods", *_] if "-o" in given:
            print("pod-1")
        case ["logs", *_]:
            print(Path(os.environ.get("SERVICE_LOG", os.devnull)).read_text())
        case ["exec", *_]:
            subprocess.run([_in_pod(word) for word in command], check=True)
        case ["cp", source, target]:
            shutil.copy(_in_pod(source.partition(":")[2]), target)


def _in_pod(word: str) -> str:
    """Return the path here that stands for a path in a pod."""
    return f"{os.environ['POD_FOLDER']}{word}" if word.startswith("/tmp/") else word


def _check(words: list[str]) -> None:
    """Raise if the program does not take these arguments."""
    done = subprocess.run([*words, "--help"], capture_output=True, text=True, check=False)
    verbs = list(takewhile(lambda word: word.isalpha(), words[1:]))[:2]
    usage = done.stdout.partition("Usage:\n")[2].strip().splitlines()
    assert done.returncode == 0, done.stderr
    assert usage, done.stdout
    assert verbs[0] in usage[0].split(), usage
    assert not {"[command]", "SUBCOMMAND"} & {*usage[0].split()}, (
        f"{' '.join(verbs)} is no whole command"
    )


def main() -> None:
    name, *words = sys.argv[1:]
    match name:
        case "oc":
            oc(words)
        case "helm":
            _check([program("helm"), *words])
        case "pip":
            command = [sys.executable, "-m", "pip", *words, "--help"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            assert Path(words[words.index("-r") + 1]).is_file()
        case "python3.11":
            assert words == ["-m", "venv", ".venv"]
            Path(".venv/bin").mkdir(parents=True)
            Path(".venv/bin/activate").touch()


if __name__ == "__main__":
    main()
