"""Go templates as Docker's client carries them out for ``--format``.

Source: Go ``text/template`` (exec.go), whose faults and their places are told
in the same words; measured with client 28.2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ipvlab.driver.template_functions import FUNCTIONS, HEADER_FUNCTIONS, LAZY, Function, fits
from ipvlab.driver.template_nodes import (
    Access,
    Action,
    Branch,
    Call,
    Command,
    Dot,
    Jump,
    Literal,
    Name,
    Node,
    Operand,
    Pipeline,
    Text,
    Variable,
)
from ipvlab.driver.template_parser import Parsed, TemplateFault, parse_template
from ipvlab.driver.template_values import (
    MISSING,
    NIL_POINTER,
    Missing,
    Struct,
    Value,
    is_true,
    show,
    type_name,
)

__all__ = ["Struct", "Template", "TemplateFault", "Value"]

_NOTHING = object()


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Template:
    """A template, read; raises :class:`TemplateFault` where it cannot be (``template: NAME:1: …``)."""

    def __init__(self, source: str, name: str = "") -> None:
        self.name = name
        try:
            self._parsed = parse_template(source, FUNCTIONS.keys() | LAZY)
        except TemplateFault as fault:
            raise TemplateFault(f"template: {name}:{fault}") from None

    def run(self, value: Value, *, wants_keys: bool = False, is_header: bool = False) -> str:
        """Carry the template out on a value; raises :class:`TemplateFault`.

        With ``wants_keys`` a key that a map does not have is a fault; with
        ``is_header`` the functions leave texts as they are.
        """
        functions = HEADER_FUNCTIONS if is_header else FUNCTIONS
        return "".join(_Run(self.name, self._parsed, functions, wants_keys, value).walk_all())


class _Run:
    def __init__(
        self,
        name: str,
        parsed: Parsed,
        functions: Mapping[str, Function],
        wants_keys: bool,
        value: Value,
    ) -> None:
        self._name = name
        self._parsed = parsed
        self._functions = functions
        self._wants_keys = wants_keys
        self._root = value
        self._variables: list[tuple[str, Value]] = [("$", value)]
        self._depth = 0
        #: What was evaluated last: where Go sees a fault of no value at all.
        self._last: Operand = Dot(0)

    def walk_all(self) -> Iterator[str]:
        return self._walk(self._parsed.nodes, self._root)

    def _walk(self, nodes: Iterable[Node], dot: Value) -> Iterator[str]:
        for node in nodes:
            match node:
                case Text(text):
                    yield text
                case Action(pipeline):
                    value = self._evaluate(pipeline, dot)
                    if not pipeline.variables:
                        yield show(value)
                case Branch():
                    yield from self._branch(node, dot)
                case Jump(word):
                    raise _Break if word == "break" else _Continue
                case Call():
                    yield from self._call_template(node, dot)

    def _branch(self, node: Branch, dot: Value) -> Iterator[str]:
        height = len(self._variables)
        if node.word == "range":
            yield from self._range(node, dot)
        else:
            value = self._evaluate(node.pipeline, dot)
            if is_true(value):
                yield from self._walk(node.body, value if node.word == "with" else dot)
            elif node.other is not None:
                yield from self._walk(node.other, dot)
        del self._variables[height:]

    def _range(self, node: Branch, dot: Value) -> Iterator[str]:
        names = node.pipeline.variables
        value = self._evaluate(node.pipeline, dot, declares=not names)
        pairs = self._pairs(node, value)
        height = len(self._variables)
        is_empty = True
        for key, item in pairs:
            is_empty = False
            values = [item] if len(names) == 1 else [key, item]
            for name, each in zip(names, values, strict=False):
                if node.pipeline.assigns:
                    self._assign(name, each)
                else:
                    self._variables.append((name, each))
            try:
                yield from self._walk(node.body, item)
            except _Break:
                break
            except _Continue:
                continue
            finally:
                del self._variables[height:]
        if is_empty and node.other is not None:
            yield from self._walk(node.other, dot)

    def _pairs(self, node: Branch, value: Value) -> Iterable[tuple[Value, Value]]:
        match value:
            case Mapping():
                return sorted(value.items(), key=lambda pair: str(pair[0]))
            case list() | tuple():
                return enumerate(value)
            case bool() | str():
                pass
            case int():
                return zip(range(value), range(value), strict=True)
            case None | Missing():
                return []
        raise self._fault(node.pipeline, f"range can't iterate over {show(value)}")

    def _call_template(self, node: Call, dot: Value) -> Iterator[str]:
        body = self._parsed.defined.get(node.name)
        if body is None:
            raise TemplateFault(
                f'template: {self._place(node.at)}: executing "{self._name}" at '
                f'<{{{{template "{node.name}"}}}}>: template "{node.name}" not defined'
            )
        value: Value = MISSING if node.pipeline is None else self._evaluate(node.pipeline, dot)
        self._depth += 1
        if self._depth > 1000:
            raise TemplateFault(f"template: {self._place(node.at)}: exceeded maximum template depth (100000)")
        kept, self._variables = self._variables, [("$", value)]
        yield from self._walk(body, value)
        self._variables = kept
        self._depth -= 1

    def _evaluate(self, pipeline: Pipeline, dot: Value, *, declares: bool = True) -> Value:
        value: Value = _NOTHING
        for command in pipeline.commands:
            value = self._command(command, dot, value)
        for name in pipeline.variables if declares else ():
            if pipeline.assigns:
                self._assign(name, value)
            else:
                self._variables.append((name, value))
        return value

    def _assign(self, name: str, value: Value) -> None:
        for at in reversed(range(len(self._variables))):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return

    def _command(self, command: Command, dot: Value, final: Value) -> Value:
        first, *arguments = command.words
        match first:
            case Name():
                return self._call(command, first, arguments, dot, final)
            case Access():
                return self._access(first, dot, arguments, final)
        if arguments or final is not _NOTHING:
            raise self._fault(first, f"can't give argument to non-function {first.text}")
        if isinstance(first, Literal) and first.value is None:
            raise self._fault(first, "nil is not a command")
        return self._operand(first, dot)

    def _operand(self, operand: Operand, dot: Value) -> Value:
        self._last = operand
        match operand:
            case Literal():
                return operand.value
            case Dot():
                return dot
            case Variable():
                return next(value for name, value in reversed(self._variables) if name == operand.text)
            case Pipeline():
                return self._evaluate(operand, dot)
            case Access():
                return self._access(operand, dot, [], _NOTHING)
            case Name():
                return self._call(Command(operand.at, (operand,)), operand, [], dot, _NOTHING)

    def _access(self, node: Access, dot: Value, arguments: list[Operand], final: Value) -> Value:
        self._last = node
        value = dot if node.base is None else self._operand(node.base, dot)
        for field in node.fields[:-1]:
            value = self._field(node, value, field, None)
        values: list[Value] | None = None
        if arguments or final is not _NOTHING:
            values = [self._operand(argument, dot) for argument in arguments]
            values += [] if final is _NOTHING else [final]
        return self._field(node, value, node.fields[-1], values)

    def _field(self, node: Access, value: Value, field: str, arguments: list[Value] | None) -> Value:
        if isinstance(value, Struct) and field in value.methods:
            wanted, method = value.methods[field]
            if len(arguments or ()) != wanted:
                raise self._fault(
                    node, f"wrong number of args for {field}: want {wanted} got {len(arguments or ())}"
                )
            return method(*arguments or ())
        if isinstance(value, Missing) or value is None:
            if self._wants_keys:
                raise self._fault(self._last, f'nil data; no entry for key "{field}"')
            if value is NIL_POINTER:
                raise self._fault(node, f"nil pointer evaluating {field}")
            return MISSING
        found: Value = _NOTHING
        if isinstance(value, Struct):
            try:
                found = value.field(field)
            except KeyError:
                raise self._fault(node, f"can't evaluate field {field} in type {value.name}") from None
        elif isinstance(value, Mapping):
            found = value.get(field, MISSING)
            if found is MISSING and self._wants_keys:
                raise self._fault(node, f'map has no entry for key "{field}"')
        else:
            raise self._fault(node, f"can't evaluate field {field} in type {type_name(value)}")
        if arguments:
            raise self._fault(node, f"{field} has arguments but cannot be invoked as function")
        return found

    def _call(
        self, command: Command, name: Name, arguments: list[Operand], dot: Value, final: Value
    ) -> Value:
        count = len(arguments) + (final is not _NOTHING)
        if name.text in LAZY:
            return self._decide(name, arguments, dot, final, count)
        function = self._functions[name.text]
        least = len(function.takes)
        if count < least or (function.rest is None and count > least):
            wanted = f"at least {least}" if function.rest is not None else str(least)
            raise self._fault(name, f"wrong number of args for {name.text}: want {wanted} got {count}")
        values: list[Value] = []
        for argument in arguments:
            wanted = self._wanted(function, len(values))
            value = self._operand(argument, dot)
            if not fits(value, wanted):
                raise self._misfit(argument, value, wanted)
            values.append(value)
        if final is not _NOTHING:
            wanted = self._wanted(function, len(values))
            if not fits(final, wanted):
                raise self._fault(name, f"wrong type for value; expected {wanted}; got {type_name(final)}")
            values.append(final)
        try:
            return function.call(*values)
        except TemplateFault as fault:
            raise self._fault(command, f"error calling {name.text}: {fault}") from None

    def _decide(self, name: Name, arguments: list[Operand], dot: Value, final: Value, count: int) -> Value:
        if not count:
            raise self._fault(name, f"wrong number of args for {name.text}: want at least 1 got 0")
        value: Value = None
        for argument in arguments:
            value = self._operand(argument, dot)
            if is_true(value) is (name.text == "or"):
                return value
        return value if final is _NOTHING else final

    def _wanted(self, function: Function, at: int) -> str:
        return function.takes[at] if at < len(function.takes) else function.rest or "any"

    def _misfit(self, argument: Operand, value: Value, wanted: str) -> TemplateFault:
        if isinstance(argument, Literal):
            expected = {"int": "integer"}.get(wanted, wanted)
            return self._fault(argument, f"expected {expected}; found {argument.text}")
        if isinstance(value, Missing):
            return self._fault(argument, f"invalid value; expected {wanted}")
        return self._fault(argument, f"wrong type for value; expected {wanted}; got {type_name(value)}")

    def _fault(self, node: Operand | Command, text: str) -> TemplateFault:
        return TemplateFault(
            f'template: {self._place(node.at)}: executing "{self._name}" at <{node.text}>: {text}'
        )

    def _place(self, at: int) -> str:
        before = self._parsed.source[:at]
        column = len(before.rpartition("\n")[2].encode())
        return f"{self._name}:{before.count(chr(10)) + 1}:{column}"
