"""ONNX Runtime and Qualcomm's provider for it: the only module that imports them."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput, MissingComponent
from bedside.runtime.litert import quiet_stderr

QNN = "QNNExecutionProvider"
_FATAL_ONLY = 4


def engine() -> ModuleType:
    """Return the package ``onnxruntime``, silenced.

    Raises:
        MissingComponent: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import onnxruntime
    except ImportError as error:
        raise MissingComponent("ONNX Runtime is not installed", remedy="Install the workbench: "
                               "pip install 'bedside[workbench]'.") from error
    onnxruntime.set_default_logger_severity(_FATAL_ONLY)
    return onnxruntime  # type: ignore[no-any-return]


def qnn_folder() -> Path:
    """Return the folder of Qualcomm's libraries, without loading any.

    Raises:
        MissingComponent: they are not installed.
    """
    from importlib.util import find_spec

    found = find_spec("onnxruntime_qnn")
    if found is None or found.origin is None:
        raise MissingComponent("Qualcomm's libraries (onnxruntime-qnn) are not installed",
                               remedy="Install the workbench: pip install 'bedside[workbench]'.")
    return Path(found.origin).parent


def _open(path: Path, options: Any, **arguments: Any) -> Any:
    try:
        with quiet_stderr():
            return engine().InferenceSession(str(path), options, **arguments)
    except Exception as error:
        # The engine's exceptions share no base class of their own.
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise BadInput(f"ONNX Runtime cannot load the model ({first})", where=path,
                       remedy="Build it again.") from None


def simulator_session(path: Path, soc: str) -> Any:
    """Return a session that runs a QNN context on Qualcomm's x86 simulator of the Hexagon NPU.

    Args:
        path: an ONNX file that holds one ``EPContext`` node.
        soc: Qualcomm's number of the chip, as text.

    Raises:
        MissingComponent: the provider or its libraries are not installed.
        BadInput: the context does not load, or part of it would run on the CPU.
    """
    onnxruntime = engine()
    folder = qnn_folder()
    with quiet_stderr():
        if QNN not in {d.ep_name for d in onnxruntime.get_ep_devices()}:
            onnxruntime.register_execution_provider_library(
                QNN, str(folder / "libonnxruntime_providers_qnn.so"))
        devices = [d for d in onnxruntime.get_ep_devices() if d.ep_name == QNN]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL_ONLY
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        options.add_provider_for_devices(
            devices, {"backend_path": str(folder / "libQnnHtp.so"), "soc_model": soc})
    return _open(path, options)


def outputs(session: Any, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Run a session once: arrays by input name in, arrays by output name out."""
    names = [o.name for o in session.get_outputs()]
    return {n: np.asarray(v) for n, v in zip(names, session.run(names, dict(feeds)), strict=True)}


def _cpu_options(threads: int) -> Any:
    options = engine().SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    return options


def cpu_session(path: Path, threads: int) -> Any:
    """Return a session on this machine's CPU.

    Raises:
        MissingComponent: ONNX Runtime is not installed.
        BadInput: the model does not load.
    """
    return _open(path, _cpu_options(threads), providers=["CPUExecutionProvider"])


def optimized_nodes(path: Path, threads: int) -> list[tuple[str, str]]:
    """Return kind and name of every node that the CPU session runs after optimization."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="bedside-") as name:
        written = Path(name) / "optimized.onnx"
        options = _cpu_options(threads)
        options.optimized_model_filepath = str(written)
        _open(path, options, providers=["CPUExecutionProvider"])
        nodes = onnx.load(str(written)).graph.node
    return [(n.op_type, n.name) for n in nodes]
