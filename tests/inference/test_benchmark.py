from __future__ import annotations

import json

from cmaen.inference.benchmark import Cost, Latency


def test_a_latency_is_the_median_and_what_one_in_twenty_is_above() -> None:
    times = [float(number) for number in range(1, 102)]
    assert Latency.of(64, times) == Latency(64, 51.0, 96.0)


def test_a_cost_is_ready_for_json() -> None:
    cost = Cost("onnx", "int8", "a processor", 2, (Latency(1, 1.0, 2.0),), 4.0, None, None)
    values = json.loads(json.dumps(cost.to_dict()))
    assert values["latencies"] == [{"batch_size": 1, "median": 1.0, "percentile_95": 2.0}]
    assert values["parameters"] is None
