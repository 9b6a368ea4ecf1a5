"""A real Spark cluster for tests: a master and two workers, each a process of its own, on free loopback ports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["QUICK", "spark_cluster"]

_START_SECONDS: Final = 90.0
#: Java that is at work for a minute: it compiles quickly instead of well, and keeps to one processor.
_SHORT_LIVED: Final = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
#: Small data needs no compiled stages: to compile each of a thousand small plans takes longer than to run it.
QUICK: Final = {
    "spark.driver.extraJavaOptions": _SHORT_LIVED,
    "spark.executor.extraJavaOptions": _SHORT_LIVED,
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.executor.memory": "1g",
    "spark.cores.max": "2",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def spark_cluster(workers: int = 2) -> Iterator[str]:
    """Start a cluster and give its address; end its processes afterwards."""
    import pyspark

    home = Path(pyspark.__file__).parent
    with tempfile.TemporaryDirectory(prefix="tierwise-spark-") as folder, contextlib.ExitStack() as running:
        port = _free_port()
        master = f"spark://127.0.0.1:{port}"
        environment = {
            **os.environ,
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_NO_DAEMONIZE": "1",
            "SPARK_WORKER_DIR": folder,
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": _SHORT_LIVED,
        }

        def start(*command: str) -> None:
            log = running.enter_context(Path(folder, f"{command[0].rpartition('.')[2]}.log").open("ab"))
            process = subprocess.Popen(
                [str(home / "bin" / "spark-class"), *command],
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            running.callback(_end, process)

        start(
            "org.apache.spark.deploy.master.Master",
            "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(_free_port()),
        )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            assert time.monotonic() < deadline, "the master did not start"
            time.sleep(0.2)
        for _ in range(workers):
            start(
                "org.apache.spark.deploy.worker.Worker",
                "--host", "127.0.0.1", "--webui-port", str(_free_port()), "-c", "1", "-m", "1500m", master,
            )  # fmt: skip
        yield master


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and those it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
