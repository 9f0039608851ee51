"""Runs the service, a stand-in for the liveness service, and a MongoDB together, on loopback.

`python -m tools.stack`. The MongoDB is temporary: everybody enrolled in it is lost at the end.
The service's settings come from the environment, except for the addresses of the other two.
"""

import argparse
import os
import signal
import subprocess
import sys
from contextlib import ExitStack

from testbed.missing import Missing
from testbed.mongod import Mongod
from testbed.serving import ROOT
from tools.liveness_service import LivenessService, rules


def main() -> None:
    """Run all three until Ctrl-C, SIGTERM or the end of the service."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--liveness-port", type=int, default=8099)
    parser.add_argument("--rule", default="blink", choices=list(rules()))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as started:
        try:
            liveness = started.enter_context(
                LivenessService(options.liveness_port, rule=options.rule)
            )
        except OSError as error:
            sys.exit(
                f"Cannot start: cannot listen on port {options.liveness_port}: {error.strerror}. "
                "Name another one: make stack ARGS='--liveness-port 8100'"
            )
        try:
            mongod = started.enter_context(Mongod())
        except Missing as error:
            sys.exit(f"Cannot start: {error}")
        print(f"MongoDB at {mongod.address}, volatile")
        print(f"a stand-in for the liveness service at {liveness.url}, rule {options.rule}")
        environment = os.environ | {
            "MONGO_DB_PROTOCOL": "mongodb",
            "MONGO_DB_URL": f"{mongod.address}/whosthatpokemon",
            "MONGO_DB_USERNAME": "",
            "MONGO_DB_PASSWORD": "",
            "LIVENESS_SERVICE_URL": liveness.url,
        }
        service = subprocess.Popen([sys.executable, "entry.py"], cwd=ROOT, env=environment)
        try:
            code = service.wait()
        except KeyboardInterrupt:
            code = service.wait(30)  # Ctrl-C reached it, too
        finally:
            if service.poll() is None:
                service.terminate()
                service.wait(30)
    sys.exit(code)


if __name__ == "__main__":
    main()
