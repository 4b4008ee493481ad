"""Counters and samples in bounded memory."""

from __future__ import annotations

from services.metrics import Metrics


def test_counters_add_up():
    metrics = Metrics()
    metrics.count("requests_total")
    metrics.count("requests_total", 4)
    assert metrics.counters["requests_total"] == 5
    assert metrics.counters["never_total"] == 0


def test_quantiles_are_of_the_kept_samples():
    metrics = Metrics()
    for value in range(100, 0, -1):
        metrics.observe("ttft_s", value)
    assert metrics.quantile("ttft_s", 0) == 1
    assert metrics.quantile("ttft_s", 0.5) == 51
    assert metrics.quantile("ttft_s", 0.95) == 96
    assert metrics.quantile("ttft_s", 1) == 100
    assert metrics.quantile("never_s", 0.5) is None


def test_only_the_newest_thousand_samples_are_kept():
    metrics = Metrics()
    for value in range(5000):
        metrics.observe("ttft_s", value)
    assert len(metrics.samples["ttft_s"]) == 1000
    assert metrics.quantile("ttft_s", 0) == 4000
