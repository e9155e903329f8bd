"""What ``make bench`` writes of a figure, which scripts read."""

from tests.bench.result import Figure, against, percentile

KEYS = ["name", "value", "unit", "peer", "peer_value", "ratio"]


def test_a_figure_with_a_peer_has_the_ratio_of_the_medians() -> None:
    told = against("start_s", "s", [0.9, 0.6, 0.7], "a bare server", [0.2, 0.4, 0.35]).as_json()
    assert list(told) == KEYS
    assert list(told.values()) == ["start_s", 0.7, "s", "a bare server", 0.35, 2.0]


def test_a_figure_without_a_peer_has_no_ratio() -> None:
    assert list(Figure("idle_mb", 56.12345, "MB").as_json().items()) == list(
        zip(KEYS, ["idle_mb", 56.12, "MB", None, None, None], strict=True)
    )


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], 0.99) == 100.0
    assert percentile([1.0, 2.0], 0.5) == 2.0
