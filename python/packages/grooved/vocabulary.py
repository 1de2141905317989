"""Declarations of controls and streams, as the daemon describes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Tuple

from .updates import Value


@dataclass(frozen=True)
class Argument:
    """An argument of a control.

    Attributes:
        name: Name.
        type: `integer`, `number`, `text`, `flag` (0 or 1), `choice` (one of `choices`) or `rest` (any values).
        unit: Unit, such as `s`, `BPM` or `linear`; may be empty.
        range: Least and greatest value of a number; None for other types.
        choices: The words of a choice; empty for other types.
        optional: Whether it may be left out, together with all that follow.
        default: The value if it is left out; None: the value stays as it is, or a time is the shortest possible.
        in_path: Whether it is a part of the path (`{deck}`) and not passed as an argument.
    """

    name: str
    type: str
    unit: str
    range: Optional[Tuple[float, float]]
    choices: Tuple[str, ...]
    optional: bool
    default: Value
    in_path: bool

    def __str__(self) -> str:
        if self.choices:
            kind = "/".join(self.choices)
        elif self.range:
            kind = f"{self.type} {self.range[0]:.12g}…{self.range[1]:.12g}"
        else:
            kind = self.type
        unit = f" {self.unit}" if self.unit else ""
        default = "" if not self.optional else " (optional)" if self.default is None else f" = {self.default!r}"
        return f"{self.name}: {kind}{unit}{default}"


@dataclass(frozen=True)
class Control:
    """A control: what can be set, read or called. `str(control)` is its documentation as text.

    Attributes:
        path: Path; parts in braces stand for values, such as `{deck}` for `a`.
        doc: Description.
        arguments: Arguments, those in the path first.
        has_value: Whether it can be read (`get`) and set (`set`); otherwise it is an action (`call`).
        same_as: The path of grooved that does the same, for addresses of the older servers; else empty.
    """

    path: str
    doc: str
    arguments: Tuple[Argument, ...]
    has_value: bool
    same_as: str

    def __str__(self) -> str:
        names = [f"[{a.name}]" if a.optional else a.name for a in self.arguments if not a.in_path]
        same = f" Same as {self.same_as}." if self.same_as else ""
        lines = [" ".join([self.path, *names]), f"  {self.doc}{same}", *(f"    {a}" for a in self.arguments)]
        return "\n".join(lines)


@dataclass(frozen=True)
class Stream:
    """States or events that can be subscribed to, besides the values of the controls.

    Attributes:
        path: Path; parts in braces stand for values, such as `{channel}` for `0`.
        doc: Description.
        fields: Names of the values, with units.
    """

    path: str
    doc: str
    fields: Tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([" ".join([self.path, *self.fields]), f"  {self.doc}"])


def argument_of(given: Mapping[str, Any], path: str) -> Argument:
    """Returns an argument of the control at `path` from its JSON form."""
    bounds = given.get("range")
    return Argument(
        name=given["name"],
        type=given["type"],
        unit=given.get("unit", ""),
        range=None if bounds is None else (bounds[0], bounds[1]),
        choices=tuple(given.get("choices", ())),
        optional="default" in given or given["type"] == "rest",
        default=given.get("default"),
        in_path=f"{{{given['name']}}}" in path,
    )


def control_of(given: Mapping[str, Any]) -> Control:
    """Returns a control from its JSON form."""
    path = given["path"]
    return Control(
        path=path,
        doc=given["doc"],
        arguments=tuple(argument_of(argument, path) for argument in given["args"]),
        has_value=given["has_value"],
        same_as=given.get("same_as", ""),
    )


def stream_of(given: Mapping[str, Any]) -> Stream:
    """Returns a stream from its JSON form."""
    return Stream(path=given["path"], doc=given["doc"], fields=tuple(given["fields"]))
