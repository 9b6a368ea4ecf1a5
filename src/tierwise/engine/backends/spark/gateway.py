"""The Java process that stands between Python and a Spark cluster: started, given to PySpark, ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tierwise.errors import EngineRefused

if TYPE_CHECKING:
    from pyspark import SparkContext

__all__ = ["close_context", "java", "open_context"]

_START_SECONDS: Final = 120.0
_END_SECONDS: Final = 30.0
_WITHOUT_JAVA: Final = "install Java 17 (openjdk-17-jre-headless), or let JAVA_HOME name it"
#: How PySpark is told of a Java process that somebody else has started.
_PORT, _SECRET = "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"


def java() -> str | None:
    """Return the program that runs Java, or nothing where there is none."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")


def open_context(settings: Mapping[str, str]) -> SparkContext:
    """Return the process's context on a cluster, started when there is none.

    PySpark starts its Java process by forking, and what other libraries do in a forked child (they close what they
    believe to be theirs) can break it; started here it is never a fork that runs Python.

    Raises:
        EngineRefused: when Java is not there or does not start.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    if SparkContext._active_spark_context is not None and _lives():
        return SparkContext._active_spark_context
    close_context()
    port, secret = _started(settings)
    os.environ |= {_PORT: str(port), _SECRET: secret}
    try:
        gateway = launch_gateway()  # type: ignore[no-untyped-call]
    finally:
        del os.environ[_PORT], os.environ[_SECRET]
    return SparkContext(conf=SparkConf().setAll(list(settings.items())), gateway=gateway)


def close_context() -> None:
    """End the process's context and its Java process; PySpark forgets both, and the next context has its own."""
    from pyspark import SparkContext

    context, gateway = SparkContext._active_spark_context, SparkContext._gateway
    with suppress(Exception):  # a Java process that died has ended its context already
        if context is not None:
            context.stop()
    if gateway is not None:
        with suppress(Exception):
            gateway.shutdown()
    SparkContext._active_spark_context = SparkContext._gateway = SparkContext._jvm = None
    while _PROCESSES:
        process = _PROCESSES.pop()
        assert process.stdin is not None
        process.stdin.close()  # it ends when nobody can write there any more
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


_PROCESSES: Final[list[subprocess.Popen[bytes]]] = []


def _lives() -> bool:
    """Whether the Java process that was started here, if it was, is there."""
    return all(process.poll() is None for process in _PROCESSES)


def _started(settings: Mapping[str, str]) -> tuple[int, str]:
    """Start the Java process; return the port it listens at and what must be said there."""
    import pyspark

    if java() is None:
        raise EngineRefused("Java is not installed, and Spark runs on it", _WITHOUT_JAVA)
    home = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    command = [str(home / "bin" / "spark-submit")]
    for name, value in settings.items():
        command += ["--conf", f"{name}={value}"]
    with tempfile.TemporaryDirectory(prefix="tierwise-spark-") as folder:
        told, log = Path(folder, "gateway"), Path(folder, "log")
        environment = {**os.environ, "SPARK_CONNECT_MODE": "0", "_PYSPARK_DRIVER_CONN_INFO_PATH": str(told)}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "pyspark-shell"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,  # Ctrl-C is for Python, which then ends it
            )
        _PROCESSES.append(process)
        deadline = time.monotonic() + _START_SECONDS
        while not told.is_file():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise EngineRefused(f"Spark's Java process did not start: {_said(log)}", _WITHOUT_JAVA)
            time.sleep(0.05)
        return _read(told)


def _read(told: Path) -> tuple[int, str]:
    """Return the port and the secret, which Java writes as two numbers of four bytes and a text."""
    content = told.read_bytes()
    return int.from_bytes(content[:4], "big"), content[8:].decode()


def _said(log: Path) -> str:
    """Return the last line of a log that says something."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
