"""A torch network becomes a graph by running it once and writing down the operators that it dispatches.

One eager run gives both the graph and the outputs that a written file is held against. What runs under the
recorder is torch's own set of primitive operators, with real shapes: control flow that depends on shapes just
works, and the few spellings of one operator (functional, module, method, in-place) are one here. An operator
none of whose inputs depends on the network's input is a constant, and needs no rule.

torch.fx was the alternative: it stops at `if x.shape[2] > 7`, sees every spelling apart, and does not compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from edgeeff.errors import ConversionError, EdgeeffError
from edgeeff.graph import Graph, Node
from edgeeff.ops import Binary, Constant, Op, Shape, Weight, op_kind

from ._aten import RULES, SUPPORTED, UnsupportedError, Value

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Trace:
    """What one run of a network gave: its graph, not yet simplified, and its outputs."""

    graph: Graph
    outputs: tuple[NDArray[np.float32], ...]


def trace(module: torch.nn.Module, inputs: Sequence[Tensor], *, name: str) -> Trace:
    """Runs a network once, in eval mode, and returns its graph and what it computed.

    Args:
        module: any torch CNN of the supported operators, with float32 weights on the CPU.
        inputs: float32 images, NCHW, batch 1.
        name: of the network.

    Raises:
        ConversionError: an operator is not supported, the network's path depends on the data, or it fails itself.
    """
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise ConversionError(f"{name} is TorchScript, whose operators cannot be watched", "give the Python network")
    recorder = _Recorder(module, inputs)
    handles = recorder.watch_places()
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad(), recorder:
            outputs = _tensors(module(*inputs))
    except (EdgeeffError, MemoryError):
        raise
    except (Exception, SystemExit) as error:  # whatever a network that we do not know may raise
        shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in inputs)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConversionError(f"the network fails on an input of {shapes}: {reason}") from error
    finally:
        for handle in handles:
            handle.remove()
        for part, was in training.items():
            part.training = was
    names = tuple(recorder.name_of(output) for output in outputs)
    if len(set(names)) < len(names):
        raise ConversionError(f"{name} returns a value twice", "return each result once")
    if any(recorder.is_input(output) for output in names):
        raise ConversionError(f"{name} passes its own input on: there is nothing to convert")
    inputs_by_name = {f"input{i or ''}": tuple(tensor.shape) for i, tensor in enumerate(inputs)}
    graph = Graph(name, inputs_by_name, tuple(recorder.nodes), names)
    if not all(output.isfinite().all() for output in outputs):
        raise ConversionError(f"{name} itself gives NaN or infinity", "look for such values in its weights")
    return Trace(graph, tuple(output.contiguous().numpy() for output in outputs))


def _tensors(result: object) -> list[Any]:
    """The tensors that a network returned, one or several."""
    if isinstance(result, Mapping):
        return list(result.values())
    return list(result) if isinstance(result, list | tuple) else [result]


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down each operator whose result depends on the inputs, under the name of its place."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True would import torch._dynamo (0.9 s of CPU, 90 MB) just to keep it from compiling this mode.
        return False

    def __init__(self, module: torch.nn.Module, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[Node] = []
        self._module = module
        self._places: list[str] = []
        self._taken: set[str] = set()
        # Weak, so that activations are freed as in a plain run: B7's would be some gigabytes.
        self._names: Any = WeakIdKeyDictionary()
        self._shapes: dict[str, Shape] = {}
        for index, tensor in enumerate(inputs):
            name = self._unique(f"input{index or ''}")
            self._names[tensor] = name
            self._shapes[name] = tuple(tensor.shape)

    def watch_places(self) -> list[Any]:
        """Hooks that keep track of which submodule is running. The caller removes them."""
        handles = []
        for name, part in self._module.named_modules():
            handles.append(part.register_forward_pre_hook(lambda _m, _i, name=name: self._places.append(name)))
            handles.append(part.register_forward_hook(lambda _m, _i, _o: self._leave()))
        return handles

    def _leave(self) -> None:
        self._places.pop()

    @property
    def place(self) -> str:
        return self._places[-1] if self._places else ""

    def name_of(self, output: object) -> str:
        """The value that an output of the network is."""
        if not isinstance(output, Tensor) or output not in self._names:
            raise ConversionError(
                f"an output of the network is a {type(output).__name__} that does not depend on its input",
                "return tensors, or a tuple, list or dictionary of tensors",
            )
        return str(self._names[output])

    def is_input(self, name: str) -> bool:
        """Whether a value is one that the network was given."""
        return all(node.name != name for node in self.nodes)

    def _unique(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name

    def emit(self, op: Op, *inputs: Value | Tensor | float) -> Value:
        """Adds a node; constants among its inputs become nodes of their own."""
        self._refuse_expanded(op, inputs)
        names = tuple(x.name if isinstance(x, Value) else self._constant(x) for x in inputs)
        module = self._module.get_submodule(self.place) if self.place else self._module
        is_leaf = self.place and not any(module.children())
        wanted = self.place if is_leaf else f"{self.place}.{op_kind(op)}".lstrip(".")
        node = Node(self._unique(wanted), op, names)
        self.nodes.append(node)
        self._shapes[node.name] = op.shape(*(self._shapes[name] for name in names))
        return Value(node.name, self._shapes[node.name])

    def _refuse_expanded(self, op: Op, inputs: Sequence[Value | Tensor | float]) -> None:
        """Arithmetic takes a value that torch expanded as it was; nothing else does."""
        for x in inputs:
            if isinstance(x, Value) and x.shape != self._shapes[x.name] and not isinstance(op, Binary):
                raise UnsupportedError(f"of a value expanded from {self._shapes[x.name]} to {x.shape}")

    def _constant(self, value: Tensor | float) -> str:
        constant = Constant(self.array(value))
        name = self._unique(f"{self.place}.constant".lstrip("."))
        self.nodes.append(Node(name, constant, ()))
        self._shapes[name] = constant.shape()
        return name

    def array(self, value: object) -> Weight:
        """A weight as numpy, sharing torch's memory where its layout permits."""
        if isinstance(value, Value):
            raise UnsupportedError("with a weight that is computed from the input")
        if isinstance(value, Tensor):
            if value.is_meta:
                return np.broadcast_to(np.float32(0), tuple(value.shape))
            if value.dtype != torch.float32:
                raise UnsupportedError(
                    f"with weights of type {str(value.dtype).removeprefix('torch.')}: call .float() first"
                )
            return np.ascontiguousarray(value.detach().numpy())
        return np.asarray(value, np.float32)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        bound = _bind(func, args, kwargs or {})
        tensors = [t for value in bound.values() for t in _flat(value) if isinstance(t, Tensor)]
        if not any(t in self._names for t in tensors):
            return func(*args, **(kwargs or {}))
        operator = func.overloadpacket._qualified_op_name.removeprefix("aten::")
        rule = RULES.get(operator.removesuffix("_"))
        if rule is None:
            raise self._unsupported(operator, "")
        if func._schema.is_mutable:
            self._check_sole_owner(bound["self"], operator)
        symbolic = {key: self._symbolic(value) for key, value in bound.items()}
        result = func(*args, **(kwargs or {}))
        self._apply(rule, operator, symbolic, result)
        return result

    def _apply(self, rule: Callable[..., Any], operator: str, symbolic: dict[str, Any], result: Any) -> None:
        tensors = [t for t in (result if isinstance(result, tuple | list) else [result]) if isinstance(t, Tensor)]
        try:
            values = rule(self, symbolic, [tuple(t.shape) for t in tensors])
        except UnsupportedError as reason:
            raise self._unsupported(operator, str(reason)) from None
        for tensor, value in zip(tensors, values if isinstance(values, list) else [values], strict=False):
            self._names[tensor] = value.name

    def _symbolic(self, argument: Any) -> Any:
        """An argument with the tensors that depend on the input replaced by their values."""
        if isinstance(argument, Tensor):
            return Value(self._names[argument], tuple(argument.shape)) if argument in self._names else argument
        if isinstance(argument, list | tuple):
            return [self._symbolic(item) for item in argument]
        return argument

    def _check_sole_owner(self, target: Tensor, operator: str) -> None:
        """An in-place operator on memory that another live value shares would change that value unseen."""
        memory = target.untyped_storage().data_ptr()
        if any(t is not target and t.untyped_storage().data_ptr() == memory for t in self._names):
            raise self._unsupported(operator, "in place on a view of another value: use its out-of-place form")

    def _unsupported(self, operator: str, reason: str) -> ConversionError:
        place = self.place or "the network itself"
        return ConversionError(
            f"the operator {operator} at {place} cannot be converted{' ' + reason if reason else ''}",
            f"supported: {', '.join(SUPPORTED)}",
        )


def _flat(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _bind(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an operator by the names of its schema, defaults included."""
    bound = {}
    for index, parameter in enumerate(func._schema.arguments):
        if index < len(args):
            bound[parameter.name] = args[index]
        else:
            bound[parameter.name] = kwargs.get(parameter.name, parameter.default_value)
    return bound
