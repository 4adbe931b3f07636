"""The image and the weights: what copies them, when, and what waits for it."""

import json
import tomllib
from dataclasses import replace

import pytest

from infra.inference.copying import PACKAGES, build_spec
from infra.inference.ordering import WAIT_S, order_name
from infra.inference.supply import tag
from infra.stages import Engine, Model

from .engines import EngineTemplate, EngineVariants
from .templates import ROOT


def test_the_engine_waits_for_its_image_and_weights(engine: EngineTemplate) -> None:
    tasks = engine.all("AWS::ECS::TaskDefinition")
    (condition,) = engine.all("AWS::CloudFormation::WaitCondition")
    (start,) = engine.all("Custom::StartBuild")
    (handle,) = engine.all("AWS::CloudFormation::WaitConditionHandle")
    assert all(condition in engine.resources[task]["DependsOn"] for task in tasks)
    assert engine.resources[condition]["DependsOn"] == [start]
    assert engine.resources[condition]["Properties"]["Handle"] == {"Ref": handle}
    assert handle in json.dumps(engine.resources[start])


def test_a_failed_copy_leaves_what_was_copied(engine: EngineTemplate) -> None:
    """What is waited for, and rolled back, is in another stack than what was made for the copies."""
    stacks = {name: json.loads(text)["Resources"] for name, text in engine.texts.items()}
    kinds = {name: {each["Type"] for each in resources.values()} for name, resources in stacks.items()}
    kept = {"AWS::ECR::Repository", "AWS::S3::Bucket", "AWS::CodeBuild::Project"}
    waiting = {"AWS::CloudFormation::WaitCondition", "Custom::StartBuild", "AWS::ECS::Service"}
    assert kept <= kinds["Supply"]
    assert not kept & kinds["Engine"]
    assert waiting <= kinds["Engine"]
    assert not waiting & kinds["Supply"]


def test_the_deployment_waits_longer_than_the_build_may_take(engine: EngineTemplate) -> None:
    build = engine.one("AWS::CodeBuild::Project")
    longest_s = (build["TimeoutInMinutes"] + build["QueuedTimeoutInMinutes"]) * 60
    waited = engine.one("AWS::CloudFormation::WaitCondition")["Timeout"]
    assert longest_s < int(waited) == WAIT_S


def test_another_order_is_waited_for_again(variants: EngineVariants) -> None:
    assert set(variants["dev"].all("AWS::CloudFormation::WaitCondition")).isdisjoint(
        variants["spot"].all("AWS::CloudFormation::WaitCondition")
    )


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Engine(image="vllm/vllm-openai:v0.33.0"), id="image"),
        pytest.param(Engine(model=Model(id="Qwen/Qwen3-4B")), id="model"),
        pytest.param(Engine(model=Model(revision="v2")), id="revision"),
    ],
)
def test_an_order_is_named_by_what_is_fetched(other: Engine) -> None:
    assert order_name(other) != order_name(Engine())
    assert order_name(replace(Engine(), queued=1)) == order_name(Engine())


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("vllm/vllm-openai:v0.32.0", "vllm-openai-v0.32.0"),
        ("registry.example.com:5000/a/vllm:x+y", "vllm-x-y"),
        ("vllm/vllm-openai@sha256:" + "0" * 64, "vllm-openai-" + "0" * 64),
    ],
)
def test_a_copy_has_a_tag_that_registries_take(image: str, expected: str) -> None:
    assert tag(image) == expected


def test_the_task_runs_the_copy_by_its_digest(engine: EngineTemplate) -> None:
    (registry,) = engine.all("AWS::ECR::Repository")
    (condition,) = engine.all("AWS::CloudFormation::WaitCondition")
    digest = "sha256:" + "0f" * 32
    data = json.dumps({"a0b1-c2d3": digest})  # what CloudFormation makes of one signal
    for name in ("engine", "reporter", "cache"):
        *address, at, selected = engine.container(name)["Image"]["Fn::Join"][1]
        assert registry in json.dumps(address)
        assert str(at).endswith("@")
        number, split = selected["Fn::Select"]
        quote, source = split["Fn::Split"]
        assert source == {"Fn::GetAtt": [condition, "Data"]}
        assert data.split(quote)[number] == digest


def test_the_weights_are_read_where_the_build_puts_them(engine: EngineTemplate) -> None:
    variables = {
        each["Name"]: each["Value"]
        for each in engine.one("AWS::CodeBuild::Project")["Environment"]["EnvironmentVariables"]
    }
    (bucket,) = engine.all("AWS::S3::Bucket")
    assert variables["BUCKET"] == {"Ref": bucket}
    scheme, imported, folder = engine.container("engine")["Command"][0]["Fn::Join"][1]
    assert (scheme, folder) == ("s3://", f"/{variables['FOLDER']}")
    assert f"Ref{bucket}" in imported["Fn::ImportValue"]
    assert not variables["MARKER"].startswith(variables["FOLDER"]), "vLLM would read the marker as well"


def test_the_build_may_fill_its_folder_and_its_registry_alone(engine: EngineTemplate) -> None:
    (bucket,) = engine.all("AWS::S3::Bucket")
    (registry,) = engine.all("AWS::ECR::Repository")
    statements = engine.statements("SupplyCopyingRole")
    wild = [each["Action"] for each in statements if each["Resource"] == "*"]
    assert wild == ["ecr:GetAuthorizationToken"]
    own = json.dumps([each["Resource"] for each in statements if each["Resource"] != "*"])
    assert "Fn::ImportValue" not in own
    (written,) = (each for each in statements if "s3:PutObject" in each["Action"])
    assert set(written["Action"]) == {"s3:PutObject", "s3:AbortMultipartUpload"}
    assert bucket in json.dumps(written["Resource"])
    (pushed,) = (each for each in statements if "ecr:PutImage" in each["Action"])
    assert pushed["Resource"] == {"Fn::GetAtt": [registry, "Arn"]}


def test_the_build_may_read_the_one_secret_of_the_image_s_registry(engine: EngineTemplate) -> None:
    statements = engine.statements("SupplyCopyingRole")
    secrets = [each["Resource"] for each in statements if "secretsmanager" in str(each["Action"])]
    variables = {
        each["Name"]: (each["Type"], each["Value"])
        for each in engine.one("AWS::CodeBuild::Project")["Environment"]["EnvironmentVariables"]
    }
    arn = engine.engine.registry_secret
    assert secrets == ([arn] if arn else [])
    assert variables.get("REGISTRY_SECRET") == (("PLAINTEXT", arn) if arn else None), "its ARN, not its value"


def test_the_function_that_starts_the_build_may_do_nothing_else(engine: EngineTemplate) -> None:
    (build,) = engine.all("AWS::CodeBuild::Project")
    _, started = engine.statements("OrderRole")
    assert started["Action"] == "codebuild:StartBuild"
    assert f"GetAtt{build}Arn" in started["Resource"]["Fn::ImportValue"]


def test_the_bucket_is_private_and_encrypted(engine: EngineTemplate) -> None:
    bucket = engine.one("AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "AES256" in json.dumps(bucket["BucketEncryption"])
    refusals = [
        statement
        for statement in engine.one("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
    ]
    assert [each["Condition"] for each in refusals] == [{"Bool": {"aws:SecureTransport": "false"}}]


def test_an_image_cannot_be_replaced_under_its_tag(engine: EngineTemplate) -> None:
    registry = engine.one("AWS::ECR::Repository")
    assert registry["ImageTagMutability"] == "IMMUTABLE"
    assert registry["ImageScanningConfiguration"] == {"ScanOnPush": True}


@pytest.mark.parametrize(("name", "policy"), [("dev", "Delete"), ("prod", "Retain")])
def test_what_was_copied_is_kept_where_the_stage_keeps_its_data(
    variants: EngineVariants, name: str, policy: str
) -> None:
    engine = variants[name]
    for kind in ("AWS::S3::Bucket", "AWS::ECR::Repository"):
        (resource,) = (each for each in engine.resources.values() if each["Type"] == kind)
        assert resource["DeletionPolicy"] == policy
    assert bool(engine.all("Custom::S3AutoDeleteObjects")) == (policy == "Delete")


def test_the_build_has_the_boto3_that_is_tested() -> None:
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["aws"]
    assert set(pinned) < set(PACKAGES)


def test_the_build_signals_its_result_also_after_a_failure() -> None:
    phases = build_spec()["phases"]
    assert isinstance(phases, dict)
    assert phases["build"]["finally"] == ["python3 supply.py signal"]
    program = phases["build"]["commands"][0]
    written = program.removeprefix("cat > supply.py <<'PROGRAM'\n").removesuffix("PROGRAM\n")
    compile(written, "supply", "exec")
    assert "\nPROGRAM\n" not in written, "it would end there"
