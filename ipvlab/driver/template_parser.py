"""Reading Go templates (text/template, Go 1.24): the whole language but ``{{else}}`` chains of ``with``."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Collection

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

_BLANKS = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    | (?P<declare>:=) | (?P<assign>=) | (?P<pipe>\|) | (?P<comma>,) | (?P<open>\() | (?P<close>\))
    | (?P<field>\.[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
                       |(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))
    | (?P<dot>\.)
    | (?P<variable>\$[A-Za-z0-9_]*)
    | (?P<string>"(?:\\.|[^"\\\n])*") | (?P<raw>`[^`]*`) | (?P<char>'(?:\\.|[^'\\\n])+')
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    """,
    re.VERBOSE,
)  # fmt: skip
_KEYWORDS = frozenset(
    {"if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"}
)


class TemplateFault(Exception):
    """A template is not one, or cannot be carried out; the text is Go's, after ``template: NAME:``."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclasses.dataclass(frozen=True, slots=True)
class Parsed:
    """A template's own nodes, and those of the templates that it defines."""

    source: str
    nodes: tuple[Node, ...]
    defined: dict[str, tuple[Node, ...]]


def parse_template(source: str, functions: Collection[str]) -> Parsed:
    """Read a template that may call these functions; raises :class:`TemplateFault` in Go's words."""
    parser = _Parser(source, functions)
    nodes, end = parser.parse_list(["EOF"])
    if end != "EOF":
        raise parser.fault(f"unexpected {{{{{end}}}}}")
    return Parsed(source, tuple(nodes), parser.defined)


class _Parser:
    def __init__(self, source: str, functions: Collection[str]) -> None:
        self._source = source
        self._functions = functions
        self._at = 0
        self._trims = False
        self._tokens: list[_Token] = []
        self._loops = 0
        self._scope = ["$"]
        self.defined: dict[str, tuple[Node, ...]] = {}

    def fault(self, text: str) -> TemplateFault:
        """The fault at the place that has been read up to."""
        line = self._source.count("\n", 0, self._at) + 1
        return TemplateFault(f"{line}: {text}")

    def parse_list(self, ends: list[str]) -> tuple[list[Node], str]:
        """Nodes up to one of the words in ``ends`` (its action's rest still to be read)."""
        nodes: list[Node] = []
        while True:
            text = self._take_text()
            if text:
                nodes.append(Text(text))
            if self._at >= len(self._source) and not self._tokens:
                if "EOF" in ends:
                    return nodes, "EOF"
                raise self.fault("unexpected EOF")
            word = self._tokens[0].text if self._tokens and self._tokens[0].kind == "word" else ""
            if word in ("end", "else"):
                self._tokens.pop(0)
                if word not in ends:
                    raise self.fault(f"unexpected {{{{{word}}}}}")
                return nodes, word
            node = self._parse_action(word)
            if node is not None:
                nodes.append(node)

    def _take_text(self) -> str:
        """The text up to the next action, whose tokens are then ready; comments are skipped."""
        text = ""
        while self._at < len(self._source):
            found = self._source.find("{{", self._at)
            piece = self._source[self._at : found if found >= 0 else len(self._source)]
            if self._trims:
                piece = piece.lstrip(_BLANKS)
                self._trims = False
            if found < 0:
                self._at = len(self._source)
                return text + piece
            self._at = found + 2
            after = self._source[self._at : self._at + 2]
            if after[:1] == "-" and after[1:] in tuple(_BLANKS):
                piece = piece.rstrip(_BLANKS)
                self._at += 1
            text += piece
            if self._source[self._at :].lstrip(_BLANKS).startswith("/*"):
                self._skip_comment()
                continue
            self._tokens = self._lex()
            if not self._tokens:
                raise self.fault("missing value for command")
            return text
        return text

    def _skip_comment(self) -> None:
        end = self._source.find("*/", self._at)
        if end < 0:
            raise self.fault("unclosed comment")
        close = re.compile(r"([ \t\r\n]-)?\}\}").match(self._source, end + 2)
        if close is None:
            raise self.fault("comment ends before closing delimiter")
        self._trims = close.group(1) is not None
        self._at = close.end()

    def _lex(self) -> list[_Token]:
        tokens: list[_Token] = []
        depth = 0
        while True:
            if self._source.startswith("}}", self._at):
                self._at += 2
                break
            if re.compile(r"[ \t\r\n]-\}\}").match(self._source, self._at):
                self._at += 4
                self._trims = True
                break
            if self._at >= len(self._source):
                raise self.fault("unclosed action")
            match = _TOKEN.match(self._source, self._at)
            if match is None:
                raise self._fault_at_character()
            kind = match.lastgroup or ""
            depth += {"open": 1, "close": -1}.get(kind, 0)
            if depth < 0:
                raise self.fault("unexpected right paren")
            tokens.append(_Token(kind, match.group(), self._at))
            self._at = match.end()
            if kind in ("field", "variable", "word"):
                self._check_end_of_word()
        if depth:
            raise self.fault("unclosed left paren")
        # A blank matters between operands only: it parts arguments from chained fields.
        while tokens and tokens[0].kind == "space":
            tokens.pop(0)
        while tokens and tokens[-1].kind == "space":
            tokens.pop()
        return tokens

    def _check_end_of_word(self) -> None:
        """What may follow a name (lex.go: atTerminator)."""
        after = self._source[self._at : self._at + 1]
        if after and after not in " \t\r\n.,|:()" and not self._source.startswith("}}", self._at):
            raise self.fault(f"bad character U+{ord(after):04X} '{after}'")

    def _fault_at_character(self) -> TemplateFault:
        character = self._source[self._at]
        unterminated = {
            '"': "unterminated quoted string",
            "`": "unterminated raw quoted string",
            "'": "unterminated character constant",
        }
        if character in unterminated:
            return self.fault(unterminated[character])
        where = f"U+{ord(character):04X} '{character}'"
        if character.isascii() and character.isprintable():
            return self.fault(f'unexpected "{character}" in command')
        return self.fault(f"unrecognized character in action: {where}")

    def _parse_action(self, word: str) -> Node | None:
        if word not in _KEYWORDS:
            pipeline = self._parse_pipeline("command")
            return Action(pipeline)
        self._tokens.pop(0)
        self._skip()
        match word:
            case "break" | "continue":
                if self._tokens:
                    raise self.fault(f"unexpected {_show(self._tokens[0])} in {{{{{word}}}}}")
                if not self._loops:
                    raise self.fault(f"{{{{{word}}}}} outside {{{{range}}}}")
                return Jump(word)
            case "define":
                self._define(self._take_name("define clause"))
                return None
            case "template" | "block":
                at = self._tokens[0].at if self._tokens else self._at
                name = self._take_name(f"{word} clause")
                handed = self._parse_pipeline(f"{word} clause") if self._tokens else None
                if word == "block":
                    self._define(name)
                return Call(at, name, handed)
        return self._parse_branch(word)

    def _take_name(self, where: str) -> str:
        if not self._tokens or self._tokens[0].kind not in ("string", "raw"):
            raise self.fault(f"unexpected {_show(self._tokens[0]) if self._tokens else '}}'} in {where}")
        name = _unquote(self._tokens.pop(0))
        self._skip()
        return name

    def _define(self, name: str) -> None:
        scope, self._scope = self._scope, ["$"]
        body, _ = self.parse_list(["end"])
        self._scope = scope
        self.defined[name] = tuple(body)

    def _parse_branch(self, word: str) -> Branch:
        height = len(self._scope)
        pipeline = self._parse_pipeline(word)
        self._loops += word == "range"
        body, end = self.parse_list(["else", "end"])
        self._loops -= word == "range"
        other: tuple[Node, ...] | None = None
        if end == "else":
            self._skip()
            if self._tokens and self._tokens[0].text == word and word in ("if", "with"):
                # `{{else if}}` has no end of its own.
                self._tokens.pop(0)
                self._skip()
                other = (self._parse_branch(word),)
            else:
                rest, _ = self.parse_list(["end"])
                other = tuple(rest)
        del self._scope[height:]
        return Branch(word, pipeline, tuple(body), other)

    def _parse_pipeline(self, where: str) -> Pipeline:
        at = self._tokens[0].at if self._tokens else self._at
        variables, assigns = self._parse_variables(where)
        commands: list[Command] = []
        while True:
            self._skip()
            command = self._parse_command(where)
            if command is None:
                if commands or not self._tokens:
                    raise self.fault(f"missing value for {where}")
                raise self.fault(f"unexpected {_show(self._tokens[0])} in {where}")
            commands.append(command)
            if not self._tokens or self._tokens[0].kind == "close":
                break
            self._tokens.pop(0)
            self._skip()
            if not self._tokens or self._tokens[0].kind == "close":
                # Go lets a pipe end in nothing.
                break
        for number, later in enumerate(commands[1:], start=2):
            if isinstance(later.words[0], Literal | Dot):
                raise self.fault(f"non executable command in pipeline stage {number}")
        self._scope += [] if assigns else variables
        return Pipeline(at, tuple(commands), tuple(variables), assigns)

    def _parse_variables(self, where: str) -> tuple[list[str], bool]:
        """The ``$a, $b :=`` that a pipeline may begin with."""
        kept = [token for token in self._tokens if token.kind != "space"]
        names: list[str] = []
        while kept and kept[0].kind == "variable" and len(kept) > 1:
            names.append(kept[0].text)
            sign = kept[1]
            if sign.kind in ("declare", "assign"):
                if sign.kind == "assign":
                    self._check_variable(names[0])
                if len(names) > (2 if where == "range" else 1):
                    raise self.fault(f"too many declarations in {where}")
                self._tokens = self._tokens[self._tokens.index(sign) + 1 :]
                return names, sign.kind == "assign"
            if sign.kind != "comma":
                break
            kept = kept[2:]
        return [], False

    def _parse_command(self, where: str) -> Command | None:
        words: list[Operand] = []
        at = self._tokens[0].at if self._tokens else self._at
        while self._tokens and self._tokens[0].kind not in ("pipe", "close"):
            operand = self._parse_operand(where)
            words.append(operand)
            if self._tokens and self._tokens[0].kind not in ("space", "pipe", "close"):
                raise self.fault(f"unexpected {_show(self._tokens[0])} in operand")
            self._skip()
        return Command(at, tuple(words)) if words else None

    def _parse_operand(self, where: str) -> Operand:
        token = self._tokens.pop(0)
        operand: Operand
        match token.kind:
            case "field":
                operand = Access(token.at, None, (token.text[1:],))
            case "dot":
                operand = Dot(token.at)
            case "variable":
                self._check_variable(token.text)
                operand = Variable(token.at, token.text)
            case "number":
                operand = Literal(token.at, token.text, self._read_number(token.text))
            case "string" | "raw":
                operand = Literal(token.at, token.text, _unquote(token))
            case "char":
                operand = Literal(token.at, token.text, ord(_unquote(token)[:1]))
            case "open":
                operand = self._parse_pipeline("parenthesized pipeline")
                self._tokens.pop(0)
            case "word" if token.text in ("true", "false", "nil"):
                operand = Literal(token.at, token.text, {"true": True, "false": False}.get(token.text))
            case "word" if token.text not in _KEYWORDS:
                if token.text not in self._functions:
                    raise self.fault(f'function "{token.text}" not defined')
                operand = Name(token.at, token.text)
            case _:
                raise self.fault(f"unexpected {_show(token)} in {where}")
        return self._chain(operand)

    def _chain(self, operand: Operand) -> Operand:
        if not self._tokens or self._tokens[0].kind != "field":
            return operand
        at = self._tokens[0].at
        fields: list[str] = []
        while self._tokens and self._tokens[0].kind == "field":
            fields.append(self._tokens.pop(0).text[1:])
        match operand:
            case Access():
                return Access(at, operand.base, (*operand.fields, *fields))
            case Variable() | Pipeline():
                return Access(at, operand, tuple(fields))
            case Dot():
                return Access(at, None, tuple(fields))
            case _:
                raise self.fault(f"unexpected . after term {_quoted(operand.text)}")

    def _read_number(self, text: str) -> int | float:
        try:
            return int(text, 0)
        except ValueError:
            pass
        try:
            return int(text, 8) if re.fullmatch(r"[+-]?0[0-7]+", text) else float(text)
        except ValueError:
            raise self.fault(f"bad number syntax: {_quoted(text)}") from None

    def _check_variable(self, name: str) -> None:
        if name not in self._scope:
            raise self.fault(f"undefined variable {_quoted(name)}")

    def _skip(self) -> None:
        while self._tokens and self._tokens[0].kind == "space":
            self._tokens.pop(0)


def _unquote(token: _Token) -> str:
    if token.kind == "raw":
        return token.text[1:-1]
    return str(ast.literal_eval(token.text))


def _show(token: _Token) -> str:
    return f"<{token.text}>" if token.text in _KEYWORDS or token.kind == "dot" else _quoted(token.text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
