"""What a deployment consists of, as data: one frozen Stage per environment.

Constructs read these values and nothing else; a stage of your own is one more entry in `STAGES`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Architecture = Literal["arm64", "x86_64"]


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What the callers of a model are charged for its tokens.

    Shape:  `input`: of prompts. `cached`: of what the engine had cached of them; None: as the rest.
            `output`: of completions. `currency`: its code in ISO 4217.
    Units:  `currency` for a million tokens.
    """

    input: float
    cached: float | None = None
    output: float
    currency: str = "USD"


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model that the engine serves, and vLLM's settings for it.

    Shape:  `id` is its name at Hugging Face, and the name in requests; `revision` a commit there: what was
            copied under the name of a branch is not copied again.
            `tool_parser` and `reasoning_parser` are vLLM's names; None: the model has no such replies.
            `media_hosts`: the hosts from which images, audio and video may be loaded, by https; with none,
            callers send them as data URLs. `extra_fields`: fields of requests that are sent to the engine,
            beside OpenAI's own. `hedge_after_s`: after so long without a beginning a stream is sent to the
            first hosted model, too; None: never. `prices`: None: its usage has no cost. `template_tokens`,
            `media_tokens`: the most that its chat template adds, and that an image, a recording or a file is,
            which keys reserve.
    Units:  `context` and `…tokens…` tokens; `weights_gib` GiB on disk, rounded up.
    """

    id: str = "Qwen/Qwen3-8B"
    revision: str = "b968826d9c46dd6066d109eabc6255188de91218"
    context: int = 16_384
    max_tokens_default: int = 1_024
    max_tokens_limit: int = 8_192
    tool_parser: str | None = "hermes"
    reasoning_parser: str | None = "qwen3"
    media_hosts: tuple[str, ...] = ()
    extra_fields: tuple[str, ...] = ()
    hedge_after_s: float | None = None
    prices: Prices | None = None
    template_tokens: int = 512
    media_tokens: int = 16_384
    weights_gib: int = 16


@dataclass(frozen=True, kw_only=True)
class Hosted:
    """A model that other servers answer: Amazon Bedrock's in the stage's region, or any with OpenAI's API.

    Shape:  `id` is its name in requests, `served_name` the server's own. `base_url`: None: Bedrock's endpoint
            in the stage's region; else where OpenAI's paths begin. `kind`: which fields it reads, as in
            functions/chat/engines/kinds.py. `key_secret`: the ARN of a secret of yours with the server's key;
            None: Bedrock needs none, and others may not. `prices`: what callers are charged for its tokens.
    """

    id: str = "gpt-oss-20b"
    served_name: str = "openai.gpt-oss-20b-1:0"
    base_url: str | None = None
    kind: str = "bedrock"
    key_secret: str | None = None
    max_tokens_default: int = 1_024
    max_tokens_limit: int = 8_192
    extra_fields: tuple[str, ...] = ()
    # Of Bedrock in us-east-1, by public tables of 2026: check AWS's page.
    prices: Prices | None = field(default_factory=lambda: Prices(input=0.07, output=0.30))
    template_tokens: int = 512
    media_tokens: int = 16_384

    @property
    def is_bedrock(self) -> bool:
        """Whether Bedrock answers, so that prompts stay in the account's region."""
        return self.base_url is None


@dataclass(frozen=True, kw_only=True)
class Engine:
    """vLLM on ECS, on GPU machines of an Auto Scaling group.

    Shape:  `image` is the public image that is copied into the account's own registry, once: the task runs
            that copy by its digest. With `@sha256:…` after its name it is the image of that digest.
            `registry_secret`: the ARN of a secret of yours with which the image is pulled, as in
            `{"username": "…", "accessToken": "…"}`; None: without credentials.
            `gpus` of one machine share one model (tensor parallel); so do `machines`, where there are several
            (pipeline parallel). `balancer`: a private load balancer is before the tasks; without one a
            private DNS name leads to them. `tasks`: minimum and maximum; (0, 1) scales from and to zero.
            `idle_minutes`: after so long without requests, an engine that scales to zero is stopped.
            `warm_pool`: 1 keeps a stopped machine, with the image on its disk, from which it starts sooner.
            `held_streams`: how many streams at most wait at once for an engine that starts.
    Units:  `gpu_memory_gib` GiB of one GPU, at least; `memory_gib` GiB of main memory for the task.
            `queued` requests of one task, running or waiting; `waiting_target` those that wait.
            `start_s` s from the request that starts the engine to its first response.
    """

    model: Model = field(default_factory=Model)
    image: str = "vllm/vllm-openai:v0.32.0"
    registry_secret: str | None = None
    instance_type: str = "g6.xlarge"
    gpus: int = 1
    machines: int = 1
    gpu_memory_gib: int = 22  # a GPU of "24 GB" reports 22 to 24 GiB
    cpus: int = 3
    memory_gib: int = 12
    spot: bool = False
    balancer: bool = False
    tasks: tuple[int, int] = (0, 1)
    idle_minutes: int = 20
    warm_pool: int = 0
    held_streams: int = 5
    queued: int = 64
    waiting_target: int = 4
    start_s: int = 420

    @property
    def scales_to_zero(self) -> bool:
        """Whether there is no task while there are no requests."""
        return self.tasks[0] == 0


@dataclass(frozen=True, kw_only=True)
class ManagedInstances:
    """The chat function on Lambda Managed Instances: EC2 machines, whose environments serve many requests.

    Shape:  `environments`: minimum and maximum. Each has one vCPU, all that Python's event loop uses; fewer
            than 3 are not in three zones. `concurrency`: requests of one environment at once.
            `instance_types`: what Lambda may launch, of the stage's architecture; costs are computed with the
            first. `keeps_on_demand`: the function on demand stays beside it, with its Function URL, for the
            streams and the callers that it has, and for the way back.
    Units:  `memory_gib` GiB of one environment.
    """

    environments: tuple[int, int] = (3, 12)
    concurrency: int = 64
    memory_gib: int = 2
    instance_types: tuple[str, ...] = ("c7g.large",)
    keeps_on_demand: bool = True


@dataclass(frozen=True, kw_only=True)
class Database:
    """Aurora Serverless v2.

    Shape:  `capacity`: minimum and maximum; a minimum of 0 pauses it. `protected`: no deletion by mistake.
    Units:  `capacity` Aurora capacity units of 2 GiB, in halves.
    """

    capacity: tuple[float, float] = (0, 2)
    pause_minutes: int = 5
    backup_days: int = 1
    readers: int = 0
    protected: bool = False

    @property
    def pauses(self) -> bool:
        """Whether it pauses while there are no connections."""
        return self.capacity[0] == 0


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A name of your own for the API; the certificate is in the API's region."""

    name: str
    certificate_arn: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One environment.

    Shape:  `engine`: None: there is no GPU, and `hosted` has the models that callers can name; with an engine
            `hosted` answer for it, in this order, while it cannot: prompts go to them, too.
            `egress`: how private subnets reach AWS: by `ipv6` and an egress-only gateway, or through `nat`.
            `budget`: what a month may cost before a mail is sent; None: CloudFormation has no budgets in
            the region, as in eu-central-2. `canary`: a new version of a function gets a tenth of the requests
            first, and is rolled back on errors. `gateway_role`: API Gateway's role for logs, a setting of the
            whole account: `ours`, made here; `theirs`, there already; `none`: no logs of API Gateway.
            `keeps_data`: tables stay when stacks are destroyed, restorable to any second. `url_auth`: who may
            call the Function URLs at all, before any API key is looked at. `managed_instances`: None: the
            chat function runs on demand, and an environment serves one request at a time.
            `cors_origins`: the web pages that may call; `("*",)` means all.
            `reserved`: environments that only the chat function, and only the todo function, may use; the
            former on demand alone.
            `max_body_bytes`: the largest request of the chat function. `max_event_bytes`: the largest event
            of an engine's stream. `keep_records_days`: for how long each request's usage record is kept.
    Units:  `memory_mb` MB (chat, todos); `rate` requests/s, `burst` requests; `log_days` days; `budget` US
            dollars.
    """

    name: str
    architecture: Architecture = "arm64"
    zones: int = 2
    egress: Literal["ipv6", "nat"] = "ipv6"
    engine: Engine | None = None
    hosted: tuple[Hosted, ...] = ()
    database: Database = field(default_factory=Database)
    keeps_data: bool = False
    memory_mb: tuple[int, int] = (1024, 1024)
    snap_start: bool = False
    reserved: tuple[int | None, int | None] = (None, None)
    managed_instances: ManagedInstances | None = None
    url_auth: Literal["NONE", "AWS_IAM"] = "NONE"
    waf: bool = False
    rate: int = 20
    burst: int = 40
    cors_origins: tuple[str, ...] = ()
    domain: Domain | None = None
    graphiql: bool = True
    chat_page: bool = True
    max_body_bytes: int = 4 * 1024 * 1024
    max_event_bytes: int = 16 * 1024 * 1024
    log_days: int = 7
    keep_records_days: int = 90
    alarms: bool = False
    alarm_email: str | None = None
    budget: int | None = 20
    canary: bool = False
    gateway_role: Literal["ours", "theirs", "none"] = "ours"

    @property
    def namespace(self) -> str:
        """The CloudWatch namespace of its functions' and its engine's metrics, and of no other stage's."""
        return f"ChatbotApi/{self.name}"

    @property
    def has_chat_on_demand(self) -> bool:
        """Whether there is a chat function on demand."""
        return self.managed_instances is None or self.managed_instances.keeps_on_demand

    @property
    def chat_function(self) -> str:
        """The logical id of the chat function that answers the API's requests."""
        return "ManagedChatFunction" if self.managed_instances else "ChatFunction"

    @property
    def listed_models(self) -> tuple[Model | Hosted, ...]:
        """The models that callers can name; the first is `default`."""
        return (self.engine.model,) if self.engine else self.hosted


SERVERLESS = Stage(name="serverless", hosted=(Hosted(),))
DEV = Stage(name="dev", engine=Engine(), hosted=(Hosted(),), budget=100)
PROD = Stage(
    name="prod",
    zones=3,
    egress="nat",
    engine=Engine(balancer=True, tasks=(1, 4)),
    database=Database(capacity=(0.5, 16), backup_days=14, readers=1, protected=True),
    keeps_data=True,
    memory_mb=(1769, 1769),
    snap_start=True,
    reserved=(200, 50),
    url_auth="AWS_IAM",
    waf=True,
    rate=200,
    burst=400,
    graphiql=False,
    chat_page=False,
    log_days=90,
    keep_records_days=400,
    alarms=True,
    budget=2_000,
    canary=True,
)
STAGES = {stage.name: stage for stage in (SERVERLESS, DEV, PROD)}
