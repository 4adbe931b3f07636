import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.local.processes import inherited_environment
from infra.local.settings import REGION
from infra.paths import ROOT

_LAYER = ROOT / "layers" / "streaming"
_PRISMA = ROOT / "layers" / "prisma"


def _wrapped_runtime() -> tuple[str, ...]:
    """Return what Lambda runs given AWS_LAMBDA_EXEC_WRAPPER: the wrapper, then the runtime's own command."""
    return (str(_LAYER / "lambda-stream"), sys.executable, "/var/runtime/bootstrap.py")


@dataclass(frozen=True)
class LambdaFunction:
    """A function, its settings, and the command that starts it as Lambda does.

    Shape:  `concurrency` limits all its requests at a time, `per_environment` those of one environment. With
            more than one it is a function on Lambda Managed Instances, whose logs are JSON.
    """

    name: str
    handler: str
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 900
    init_timeout_s: float = 10
    memory_mb: int = 1024
    concurrency: int = 10
    per_environment: int = 1
    idle_s: float = 300
    command: tuple[str, ...] = field(default_factory=_wrapped_runtime)

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:123456789012:function:{self.name}"

    def sandbox_environment(self, runtime_api: str) -> dict[str, str]:
        """Return all variables that its process starts with."""
        concurrent = {
            "AWS_LAMBDA_MAX_CONCURRENCY": str(self.per_environment),
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
        }
        return {
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, _LAYER / "python", _PRISMA / "python"))),
            **inherited_environment(),
            **self.environment,
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
            "AWS_LAMBDA_EXEC_WRAPPER": str(_LAYER / "lambda-stream"),
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local/[$LATEST]",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "LAMBDA_TASK_ROOT": str(ROOT),
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "_HANDLER": self.handler,
            **(concurrent if self.per_environment > 1 else {}),
        }
