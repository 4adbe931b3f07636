"""The code of the functions and layers for CDK: built on this machine, without Docker, for Lambda's system.

CDK builds a bundle only for the stacks that it bundles, and where `cdk.out` has none of the same hash.
"""

import jsii
from aws_cdk import BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from infra.bundling.cache import BundleCache, link_files
from infra.bundling.errors import BundleError
from infra.bundling.prisma_recipes import migrations_recipe
from infra.bundling.python_recipes import dependencies_recipe, function_recipe, streaming_recipe
from infra.bundling.recipe import Recipe
from infra.paths import ROOT
from infra.stages import Architecture


class Bundles:
    """The code of all functions and layers, for one processor and one version of Python."""

    def __init__(self, *, architecture: Architecture, python: str = "3.13") -> None:
        self._architecture, self._python = architecture, python
        self._cache = BundleCache()

    def streaming(self) -> lambda_.Code:
        """Return the layer with the runtime: /opt/lambda-stream, /opt/python/lambda_stream."""
        return self._code(streaming_recipe(python=self._python))

    def chat_dependencies(self) -> lambda_.Code:
        """Return the layer with what the chat function imports."""
        return self._dependencies("chat")

    def todos_dependencies(self) -> lambda_.Code:
        """Return the layer with what the todo function imports, and /opt/rds-ca/<region>.pem."""
        return self._dependencies("todos")

    def chat(self) -> lambda_.Code:
        """Return the chat function's own code, and what its page loads in /var/task/chat-page."""
        return self._code(function_recipe("chat", python=self._python))

    def todos(self) -> lambda_.Code:
        """Return the todo function's own code, and the files of its page in /var/task/graphiql."""
        return self._code(function_recipe("todos", python=self._python))

    def scaler(self) -> lambda_.Code:
        """Return the scaler function's own code."""
        return self._code(function_recipe("scaler", python=self._python))

    def migrations(self) -> lambda_.Code:
        """Return the migrating function: index.handler, for Node.js."""
        return self._code(migrations_recipe())

    def _dependencies(self, function: str) -> lambda_.Code:
        return self._code(dependencies_recipe(function, architecture=self._architecture, python=self._python))

    def _code(self, recipe: Recipe) -> lambda_.Code:
        return lambda_.Code.from_asset(
            str(ROOT / "infra" / "bundling"),  # any folder: the content comes from `local`
            asset_hash=recipe.digest,
            bundling=BundlingOptions(
                image=DockerImage.from_registry("none-is-used"), local=_Bundling(recipe, self._cache)
            ),
        )


@jsii.implements(ILocalBundling)
class _Bundling:
    """Fills the folder that CDK makes for one asset."""

    def __init__(self, recipe: Recipe, cache: BundleCache) -> None:
        self._recipe, self._cache = recipe, cache

    def try_bundle(self, output_dir: str, *, image: object = None, **_: object) -> bool:  # noqa: ARG002
        """Put the bundle there.

        Raises: SystemExit: CDK would print any other exception below two tracebacks.
        """
        try:
            link_files(self._cache.get(self._recipe), output_dir)
        except BundleError as error:
            raise SystemExit(f"\n{error}") from error
        return True
