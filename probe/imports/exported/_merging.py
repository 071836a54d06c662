"""Groups of operations that are one layer: local response normalization, which PyTorch writes as ten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from probe.imports.exported._program import Node, Reference, referred

__all__ = ["merged"]

_RESHAPING = ("view", "reshape", "squeeze", "unsqueeze", "_unsafe_view")


def merged(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the operations with each local response normalization as one, "probe.local_response_norm"."""
    by_name = {node.name: node for node in nodes}
    readers = Counter(name for node in nodes for name in referred(list(node.arguments.values())))
    instead = dict[str, Node]()
    dropped = set[str]()
    for node in nodes:
        chain = _chain(node, by_name) if _operation(node) == "div" else []
        if chain and all(readers[one.name] == 1 for one in chain):
            pooling = next(one for one in chain if _operation(one) in ("avg_pool2d", "avg_pool3d"))
            window = pooling.arguments["kernel_size"]
            arguments = {
                "x": node.arguments["self"],
                "size": window[0],  # type: ignore[index]
                "beta": chain[0].arguments["exponent"],
                "k": chain[1].arguments["other"],
                "alpha": chain[2].arguments["other"],
            }
            instead[node.name] = Node(
                node.name, "probe.local_response_norm", arguments, node.path, node.kind, node.line
            )
            dropped |= {one.name for one in chain}
    return tuple(instead.get(node.name, node) for node in nodes if node.name not in dropped)


def _chain(node: Node, by_name: Mapping[str, Node]) -> list[Node]:
    """Return what divides in `node`, from the power down to the square of what is divided; [] if that is another."""
    x, at = node.arguments.get("self"), node.arguments.get("other")
    wanted = [
        ("pow",),
        ("add",),
        ("mul",),
        ("avg_pool2d", "avg_pool3d"),
        ("pad", "constant_pad_nd"),
        ("mul",),
    ]
    chain: list[Node] = []
    while wanted and isinstance(at, Reference) and at.name in by_name:
        one = by_name[at.name]
        if _operation(one) in wanted[0]:
            wanted.pop(0)
        elif _operation(one) not in _RESHAPING:
            return []
        chain.append(one)
        at = one.arguments.get("self")
    is_square = not wanted and chain[-1].arguments.get("self") == x == chain[-1].arguments.get("other")
    numbers = [
        one.arguments.get(key) for one, key in zip(chain, ("exponent", "other", "other"), strict=False)
    ]
    is_known = is_square and all(isinstance(one, int | float) for one in numbers) and _is_of_channels(chain)
    return chain if is_known else []


def _is_of_channels(chain: Sequence[Node]) -> bool:
    """Return whether means are taken over neighboring channels, each in the middle of its window, as PyTorch does."""
    operations = [_operation(one) for one in chain]
    at = next(k for k, operation in enumerate(operations) if operation in ("pad", "constant_pad_nd"))
    pooling = next(one for one in chain if _operation(one) in ("avg_pool2d", "avg_pool3d"))
    n_axes = 3 if _operation(pooling) == "avg_pool3d" else 2
    own, around, moved = pooling.arguments, chain[at].arguments, chain[at + 1 : -1]
    window = own.get("kernel_size")
    size = window[0] if isinstance(window, list) and window else None
    if not isinstance(size, int) or window != [size, *[1] * (n_axes - 1)]:
        return False
    margins = [*[0, 0] * (n_axes - 1), size // 2, (size - 1) // 2]
    # The channels become the first axis behind one of length 1.
    lifted = len(moved) == 1 and (
        _operation(moved[0]) == "view"
        or (_operation(moved[0]), moved[0].arguments.get("dim")) == ("unsqueeze", 1)
    )
    return (
        lifted
        and around.get("pad") == margins
        and around.get("mode", "constant") == "constant"
        and not around.get("value")
        and own.get("stride") in (1, [1], [1] * n_axes)
        and own.get("padding") in (None, 0, [0], [0] * n_axes)
        and not own.get("ceil_mode")
        and own.get("divisor_override") is None
    )


def _operation(node: Node) -> str:
    return node.target.split(".")[1]
