"""`make deploy` and `make destroy`, with fakes of CDK, AWS and the other programs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.deploy import plan, program
from infra.deploy.__main__ import deploy
from infra.deploy.destroy import destroy
from infra.deploy.events import Events, Finished
from infra.deploy.program import Program, Refused
from infra.deploy.progress import BUILD, Progress, duration
from infra.stages import DEV, PROD, SERVERLESS, Stage

# As CDK 2.1148 prints it, of a deployment into a local AWS.
PRINTED = """\
✨  Synthesis time: 0.02s

ChatbotDevNetwork: start: Building ChatbotDevNetwork Template
ChatbotDevNetwork: deploying... [1/2]
ChatbotDevNetwork |  0/3 | 2:26:57 PM | CREATE_IN_PROGRESS   | AWS::CloudFormation::Stack | ChatbotDevNetwork
ChatbotDevNetwork |  0/3 | 2:26:57 PM | CREATE_IN_PROGRESS   | AWS::EC2::VPC              | Vpc (Vpc8378EB38)
ChatbotDevNetwork |  1/3 | 2:26:57 PM | CREATE_COMPLETE      | AWS::EC2::VPC              | Vpc (Vpc8378EB38)
ChatbotDevNetwork |  3/3 | 2:26:57 PM | CREATE_COMPLETE      | AWS::CloudFormation::Stack | ChatbotDevNetwork

 ✅  ChatbotDevNetwork

ChatbotDevData: deploying... [2/2]
ChatbotDevData |  1/19 | 2:27:57 PM | CREATE_IN_PROGRESS   | AWS::RDS::DBCluster | Database (DatabaseB269D8BB)
"""
NOW = datetime(2026, 11, 27, 14, tzinfo=UTC)


@dataclass
class Cloud:
    """An account: its stacks' outputs and events, and a build's log. Every client of it is this one."""

    outputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    log_lines: list[str] = field(default_factory=list)
    protected: bool = False
    may_protect: bool = True
    changes: list[Mapping[str, Any]] = field(default_factory=list)

    def client(self, _service: str) -> Any:
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "111122223333"}

    def get_paginator(self, call: str) -> Any:
        pages = {
            "describe_stacks": {
                "Stacks": [
                    {
                        "StackName": name,
                        "StackStatus": "CREATE_COMPLETE",
                        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in each.items()],
                    }
                    for name, each in self.outputs.items()
                ]
            },
            "describe_stack_events": {"StackEvents": self.events},
            "list_stack_resources": {
                "StackResourceSummaries": [
                    {
                        "ResourceType": "AWS::Logs::LogGroup",
                        "LogicalResourceId": "SupplyLog1",
                        "PhysicalResourceId": "supply-log",
                    },
                    {
                        "ResourceType": "AWS::AutoScaling::AutoScalingGroup",
                        "LogicalResourceId": "ClusterMachines1",
                        "PhysicalResourceId": "machines",
                    },
                    {
                        "ResourceType": "AWS::ECS::CapacityProvider",
                        "LogicalResourceId": "ClusterGroup1",
                        "PhysicalResourceId": "provider",
                    },
                ]
            },
        }

        @dataclass
        class Pages:
            page: Any

            def paginate(self, **_: Any) -> list[Any]:
                return [self.page]

        return Pages(pages[call])

    def filter_log_events(self, **_: Any) -> dict[str, Any]:
        lines, self.log_lines = self.log_lines, []
        return {"events": [{"timestamp": 1, "message": line} for line in lines]}

    def describe_auto_scaling_groups(self, **_: Any) -> dict[str, Any]:
        machines = [
            {"InstanceId": "i-1", "ProtectedFromScaleIn": self.protected},
            {"InstanceId": "i-2", "ProtectedFromScaleIn": False},
        ]
        group = {"NewInstancesProtectedFromScaleIn": self.protected, "Instances": machines}
        return {"AutoScalingGroups": [group]}

    def update_capacity_provider(self, **change: Any) -> None:
        self.changes.append(change)

    def update_auto_scaling_group(self, **change: Any) -> None:
        self.changes.append(change)

    def set_instance_protection(self, **change: Any) -> None:
        if not self.may_protect:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SetInstanceProtection")
        self.changes.append(change)


@dataclass
class Cdk:
    """CDK's command line: what it prints, and its exit status."""

    printed: str = PRINTED
    status: int = 0
    interrupted: bool = False
    commands: list[Sequence[str]] = field(default_factory=list)

    def __call__(
        self, command: Sequence[str], on_line: Callable[[str], None], on_pause: Callable[[], None]
    ) -> int:
        self.commands.append(command)
        for line in self.printed.splitlines():
            on_line(line)
            on_pause()
        if self.interrupted:
            raise KeyboardInterrupt
        return self.status


def failed_event(resource: str, reason: str, at: datetime = NOW) -> dict[str, Any]:
    return {
        "LogicalResourceId": resource,
        "ResourceType": "AWS::ECS::Service",
        "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": reason,
        "Timestamp": at,
    }


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "ROOT", tmp_path)


def of(
    stage: Stage = DEV,
    *,
    command: str = "deploy",
    cdk: Cdk | None = None,
    cloud: Cloud | None = None,
    **variables: str,
) -> tuple[Program, io.StringIO]:
    out, cloud = io.StringIO(), cloud or Cloud()
    environ = {"STAGE": stage.name, "YES": "1", **variables}
    return Program(command, stage, environ, out, "eu-central-1", cloud.client, cdk or Cdk(), lambda: NOW), out


def test_the_region_is_that_of_aws_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    environ = {"STAGE": "dev", "AWS_REGION": "eu-west-1"}
    assert Program.of("deploy", environ, io.StringIO()).region == "eu-west-1"


def calls(*, doctor: int = 0, smoke: int = 0) -> tuple[Callable[[str], int], list[str]]:
    made: list[str] = []

    def call(name: str) -> int:
        made.append(name)
        return {"doctor": doctor, "smoke": smoke}[name]

    return call, made


def test_a_deployment_from_the_doctor_to_the_smoke_test() -> None:
    urls = {"ApiUrl": "https://api/", "FirstKey": "make a key"}
    cdk, cloud = Cdk(), Cloud({"ChatbotDevApi": urls, "ChatbotOtherApi": {"ApiUrl": "theirs"}})
    deployment, out = of(cdk=cdk, cloud=cloud)
    call, made = calls()
    assert deploy(deployment, ["-c", "architecture=x86_64", "--concurrency", "2"], call) == 0
    assert made == ["doctor", "smoke"]
    synth, deployed = cdk.commands
    assert synth[1:5] == ("synth", "--quiet", "-c", "stage=dev")
    assert "architecture=x86_64" in synth
    assert "--concurrency" not in synth
    assert deployed[1:5] == ("deploy", "--all", "--require-approval", "never")
    assert deployed[deployed.index("--concurrency") + 1] == "2"
    printed = out.getvalue()
    assert "account 111122223333, region eu-central-1" in printed
    assert "[1/2]   ChatbotDevNetwork" in printed
    assert printed.index("ApiUrl") < printed.index("FirstKey")
    assert "theirs" not in printed


@pytest.mark.parametrize(("force", "expected"), [("", "FORCE=1"), ("1", "going on")])
def test_a_doctor_that_found_something_stops_it(force: str, expected: str) -> None:
    deployment, out = of(cdk=(cdk := Cdk()), FORCE=force)
    call, _ = calls(doctor=1)
    if force:
        assert deploy(deployment, [], call) == 0
        assert expected in out.getvalue()
    else:
        with pytest.raises(Refused, match=expected):
            deploy(deployment, [], call)
        assert not cdk.commands


def test_the_smoke_test_decides_and_can_be_left_out() -> None:
    call, _ = calls(smoke=1)
    assert deploy(of()[0], [], call) == 1
    call, made = calls()
    assert deploy(of(SMOKE="0")[0], [], call) == 0
    assert made == ["doctor"]


@pytest.mark.parametrize(
    ("yes", "terminal", "refused"), [("", False, True), ("1", False, False), ("", True, False)]
)
def test_without_a_terminal_it_takes_yes(yes: str, terminal: bool, refused: bool) -> None:
    class Input(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    deployment, _ = of(YES=yes)
    with pytest.raises(Refused, match="make deploy STAGE=dev YES=1") if refused else does_nothing():
        deployment.check_terminal(Input())


@contextmanager
def does_nothing() -> Iterator[None]:
    yield


@pytest.mark.parametrize(("answer", "goes_on"), [("y", True), ("Yes", True), ("", False), ("n", False)])
def test_the_question_is_answered_by_yes_alone(answer: str, goes_on: bool) -> None:
    deployment, _ = of(YES="")
    with does_nothing() if goes_on else pytest.raises(Refused, match="Nothing was changed"):
        deployment.confirm("Deploy dev?", lambda _question: answer)


def test_a_failure_names_what_failed_first_and_the_next_step() -> None:
    events = [  # the newest first, as CloudFormation lists them
        failed_event("Other", "Resource creation cancelled"),
        failed_event("Service", "You have exceeded your quota L-DB2E81BA"),
        failed_event("Before", "of an earlier deployment", NOW - timedelta(hours=1)),
    ]
    deployment, out = of(cdk=Cdk(status=1), cloud=Cloud(events=events))
    call, made = calls()
    assert deploy(deployment, ["--app", "cdk.out"], call) == 1
    printed = out.getvalue()
    assert "make deploy STAGE=dev failed at ChatbotDevData." in printed
    assert "Service (AWS::ECS::Service): CREATE_FAILED" in printed
    assert "make doctor STAGE=dev" in printed
    assert "Other" not in printed
    assert "Before" not in printed
    assert ".local/deploy/dev.log" in printed
    assert deployment.log.read_text().count("deploying...") == 2
    assert made == ["doctor"]


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("has not been bootstrapped. Please run 'cdk bootstrap'", "npx cdk bootstrap"),
        (
            "Export ChatbotDevNetwork:Subnet cannot be deleted as it is in use by ChatbotDevEngine",
            "docs/deploy.md#changing-what-is-deployed",
        ),
        ("Unrecognized resource types: [AWS::Budgets::Budget]", "budget=None in infra/stages.py"),
    ],
)
def test_a_failure_without_events_shows_the_last_lines(text: str, step: str) -> None:
    deployment, out = of(cdk=Cdk(printed=f"❌ ChatbotDevNetwork: {text}", status=1))
    assert deployment.follow(["deploy"]) == 1
    assert text in out.getvalue()
    assert step in out.getvalue()


@pytest.mark.parametrize(
    ("printed", "expected"), [(PRINTED, "goes on with ChatbotDevData"), ("", "nothing was changed")]
)
def test_an_interruption_says_what_goes_on(printed: str, expected: str) -> None:
    deployment, out = of(cdk=Cdk(printed=printed, interrupted=True))
    assert deployment.follow(["deploy"]) == 130
    assert expected in out.getvalue()


def test_a_stage_that_is_not_there_is_not_destroyed() -> None:
    program_, out = of(command="destroy", cdk=(cdk := Cdk()))
    assert destroy(program_, []) == 0
    assert "There is nothing of dev" in out.getvalue()
    assert not cdk.commands


def test_destroying_says_what_is_lost() -> None:
    cdk = Cdk(printed="ChatbotDevData: destroying... [1/1]\n ✅  ChatbotDevData: destroyed\n")
    program_, out = of(command="destroy", cdk=cdk, cloud=Cloud({"ChatbotDevData": {}}))
    assert destroy(program_, ["--app", "somewhere"]) == 0
    assert "todos and logs are deleted" in out.getvalue()
    assert "[1/1]   ChatbotDevData" in out.getvalue()
    assert cdk.commands[0][1:4] == ("destroy", "--all", "--force")


UNMANAGED = {
    "name": "provider",
    "autoScalingGroupProvider": {"managedTerminationProtection": "DISABLED", "managedDraining": "DISABLED"},
}


def test_machines_that_ecs_protects_are_released_before_their_group_is_deleted() -> None:
    cloud = Cloud({"ChatbotProdEngine": {}}, protected=True)
    program_, _ = of(PROD, command="destroy", cloud=cloud)
    assert destroy(program_, []) == 0
    assert cloud.changes == [
        UNMANAGED,
        {"AutoScalingGroupName": "machines", "NewInstancesProtectedFromScaleIn": False},
        {"AutoScalingGroupName": "machines", "InstanceIds": ["i-1"], "ProtectedFromScaleIn": False},
    ]


def test_machines_that_are_not_protected_are_not_drained_either() -> None:
    cloud = Cloud({"ChatbotDevEngine": {}})
    assert destroy(of(command="destroy", cloud=cloud)[0], []) == 0
    assert cloud.changes == [UNMANAGED]


def test_machines_that_cannot_be_released_do_not_stop_the_removal() -> None:
    cdk, cloud = Cdk(), Cloud({"ChatbotProdEngine": {}}, protected=True, may_protect=False)
    program_, out = of(PROD, command="destroy", cdk=cdk, cloud=cloud)
    assert destroy(program_, []) == 0
    assert cdk.commands
    assert "may still be protected: An error occurred (AccessDenied)" in out.getvalue()


# who answers → what the plan says
PROMPTS = [
    (SERVERLESS, "There is no GPU: prompts go to Amazon Bedrock in eu-central-1 (model openai.gpt-oss-20b"),
    (DEV, "While the GPU starts, or is full, prompts go to Amazon Bedrock in eu-central-1"),
    (replace(PROD, hosted=()), "Prompts go to the stage's own engine alone."),
    (
        replace(DEV, hosted=(replace(DEV.hosted[0], base_url="https://llm.example.com/v1"),)),
        "While the GPU starts, or is full, prompts go to https://llm.example.com/v1",
    ),
]


@pytest.mark.parametrize(("stage", "said"), PROMPTS)
def test_the_plan_says_where_prompts_go_and_what_it_costs(stage: Stage, said: str) -> None:
    text = plan.text(stage, account="1", region="eu-central-1", counts={"Network": 30, "Api": 60})
    assert said in text
    assert "90 resources in 2 stacks" in text
    assert ("A GPU machine costs $" in text) == bool(stage.engine)
    assert "A month without requests costs $" in text


def test_the_events_of_a_deployment() -> None:
    events = Events()
    finished = [events.read(line, now_s) for now_s, line in enumerate(PRINTED.splitlines())]
    assert [each for each in finished if each] == [Finished("ChatbotDevNetwork", "", 3, 6)]
    assert (events.stack, events.number, events.total) == ("ChatbotDevData", 2, 2)
    longest = events.longest()
    assert longest
    assert (longest.resource, longest.kind) == ("Database", "AWS::RDS::DBCluster")


@pytest.mark.parametrize(
    ("line", "how"),
    [("✅  ChatbotDevData (no changes)", "no changes"), (" ✅  ChatbotDevData: destroyed", "destroyed")],
)
def test_a_stack_that_is_done(line: str, how: str) -> None:
    finished = Events().read(f"\x1b[32m{line}\x1b[0m", 1)
    assert finished
    assert (finished.stack, finished.how) == ("ChatbotDevData", how)


def test_long_waits_show_what_is_waited_for_and_the_build() -> None:
    now = [0.0]
    out, lines = io.StringIO(), [["copied 3 of 16 GB"], []]
    progress = Progress(out, build_lines=lambda: lines.pop(0), clock_s=lambda: now[0])
    progress.pause()
    assert out.getvalue() == ""
    progress.line("ChatbotDevEngine: deploying... [4/6]")
    progress.line(f"ChatbotDevEngine | 4/20 | 2:26:57 PM | CREATE_IN_PROGRESS | {BUILD} | Wait/Built (Wait1)")
    for now_s in (15, 31, 40, 62):
        now[0] = now_s
        progress.pause()
    waiting = (
        "[4/6]   ChatbotDevEngine  4 of 20 resources, Wait/Built (AWS::CloudFormation::WaitCondition) for"
    )
    assert out.getvalue().splitlines() == [
        "        build: copied 3 of 16 GB",
        f"{waiting} 31 s …",
        f"{waiting} 1 min 2 s …",
    ]


def test_the_build_s_log_is_read_from_the_supply() -> None:
    deployment, _ = of(cloud=Cloud(log_lines=["a" * 300]))
    read = deployment._build_log(NOW)
    assert read() == ["a" * 160]
    assert read() == ["no new lines in supply-log"]


def test_durations() -> None:
    assert (duration(59.6), duration(61)) == ("1 min 0 s", "1 min 1 s")
