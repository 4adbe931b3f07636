"""The engine's own metrics, as `programs/report.py` writes them.

Shape:  in the stage's namespace, by model, under vLLM's own names.
"""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.stages import Stage

RUNNING = "vllm:num_requests_running"
WAITING = "vllm:num_requests_waiting"
CACHE = "vllm:kv_cache_usage_perc"  # 1 is all of it
PROMPT_TOKENS = "vllm:prompt_tokens_total"  # of a minute, not since the start
GENERATION_TOKENS = "vllm:generation_tokens_total"


def metric(stage: Stage, name: str, statistic: str) -> cloudwatch.Metric:
    """Return a metric of the engine, or of the chat function, by model and minute."""
    return cloudwatch.Metric(
        namespace=stage.namespace,
        metric_name=name,
        dimensions_map={"model": stage.listed_models[0].id},
        statistic=statistic,
        period=Duration.minutes(1),
    )
