"""A parsed page: elements, text, links, forms, tables."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

_VOID = {
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "track",
    "wbr",
    "use",
}
_UNSEEN = {"script", "style", "template", "head", "svg"}


@dataclass
class Element:
    """An element with its children, in order."""

    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    inside: list[Any] = field(default_factory=list)

    @property
    def all(self) -> Iterator["Element"]:
        """This element and all its descendants."""
        yield self
        for one in self.inside:
            if isinstance(one, Element):
                yield from one.all

    def find(self, *tags: str, **attrs: str) -> list["Element"]:
        """Elements of these tags (any, without) with these attributes; ``class_`` is one of
        several, ``aria_label`` stands for ``aria-label``."""
        return [one for one in self.all if (not tags or one.tag in tags) and one.has(attrs)]

    def has(self, attrs: dict[str, str]) -> bool:
        """Whether it has these attributes."""
        return all(
            value in self.attrs.get("class", "").split()
            if name == "class_"
            else self.attrs.get(name.rstrip("_").replace("_", "-")) == value
            for name, value in attrs.items()
        )

    @property
    def text(self) -> str:
        """Its text, with white space collapsed."""
        return " ".join("".join(self._words()).split())

    def _words(self) -> Iterator[str]:
        for one in self.inside:
            if isinstance(one, str):
                yield one
            elif one.tag not in _UNSEEN:
                yield from one._words()
                if one.tag not in (
                    "a",
                    "abbr",
                    "b",
                    "bdi",
                    "code",
                    "em",
                    "i",
                    "span",
                    "strong",
                    "time",
                ):
                    yield " "


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.top = Element("")
        self._open = [self.top]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].inside.append(made)
        if tag not in _VOID:
            self._open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].inside.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        for at in range(len(self._open) - 1, 0, -1):
            if self._open[at].tag == tag:
                del self._open[at:]
                return

    def handle_data(self, data: str) -> None:
        self._open[-1].inside.append(data)


def parse(html: str) -> Element:
    """The tree of a document."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    return builder.top


@dataclass(frozen=True)
class Form:
    """A form with the values a browser would send."""

    element: Element
    method: str
    action: str

    @property
    def fields(self) -> dict[str, str]:
        """Name -> value; of several with the same name the last."""
        values: dict[str, str] = {}
        for one in self.element.find("input", "select", "textarea"):
            name = one.attrs.get("name", "")
            if name and "disabled" not in one.attrs and (value := _value(one)) is not None:
                values[name] = value
        return values

    @property
    def names(self) -> set[str]:
        """The names of all controls."""
        return {
            one.attrs.get("name", "")
            for one in self.element.find("input", "select", "textarea", "button")
        } - {""}

    @property
    def buttons(self) -> list[str]:
        """The labels of its buttons."""
        return [one.text for one in self.element.find("button")]

    def options(self, name: str) -> list[str]:
        """The values of a select or of radio buttons."""
        offered = [
            one
            for select in self.element.find("select", name=name)
            for one in select.find("option")
        ]
        return [one.attrs.get("value", one.text) for one in offered] or [
            one.attrs.get("value", "on")
            for one in self.element.find("input", type="radio", name=name)
        ]


def _value(one: Element) -> str | None:
    """The value a control would send; None if none."""
    if one.tag == "textarea":
        return "".join(part for part in one.inside if isinstance(part, str)).removeprefix("\n")
    if one.tag == "select":
        options = one.find("option")
        chosen = [o for o in options if "selected" in o.attrs] or options[:1]
        return chosen[-1].attrs.get("value", chosen[-1].text) if chosen else None
    kind = one.attrs.get("type", "text")
    if kind in ("checkbox", "radio"):
        return one.attrs.get("value", "on") if "checked" in one.attrs else None
    return (
        None
        if kind in ("submit", "button", "file", "image", "reset")
        else one.attrs.get("value", "")
    )


def forms(top: Element, resolve: Callable[[str], str]) -> list[Form]:
    """All forms, with resolved actions."""
    return [
        Form(one, one.attrs.get("method", "get").lower(), resolve(one.attrs.get("action", "")))
        for one in top.find("form")
    ]
