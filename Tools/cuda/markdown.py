"""Tables, and the parts of MEASURED.md that programs write."""

import os


def table(header, rows, left=1):
    """A Markdown table, with its first `left` columns to the left and the others to the right."""
    rule = ["---"] * left + ["---:"] * (len(header) - left)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [header, rule, *rows])


def with_part(text, name, part):
    """`text` with what stands between `<!-- NAME -->` and `<!-- /NAME -->` replaced; an error where these are not in it, once and in this order."""
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = text.partition(opening)
    old, end, after = rest.partition(closing)
    if not found or not end or opening in rest:
        raise ValueError(f"expected {opening} and {closing} once, one after the other")
    return f"{before}{opening}\n\n{part.strip()}\n\n{closing}{after}"


def replace_part(path, name, part):
    """The same in a file."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(with_part(text, name, part))
    os.replace(f"{path}.part", path)
