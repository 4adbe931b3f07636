"""The execution of one GraphQL request: parse, check the limits, validate, execute.

Each step has its own error code. Only a request that reached the last step has `data` in its response.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ariadne.validation.introspection_disabled import IntrospectionDisabledRule
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)

from functions.shared.logs import log_unexpected

from .errors import (
    ApiError,
    BadRequest,
    BadUserInput,
    InternalError,
    MethodNotAllowed,
    ParseFailed,
    ValidationFailed,
)
from .limits import Limits, check_limits
from .todos import Todos
from .wording import text_of

logger = logging.getLogger("todos")

_MAX_ERRORS = 10
_MAX_CACHED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A GraphQL request as received over HTTP. `only_query`: mutations are refused."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    only_query: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The response's members and its HTTP status. `read`: the HTTP request held a GraphQL request."""

    body: dict[str, Any]
    status: int = 200
    read: bool = True


class Executor:
    """Executes requests against the schema. Valid documents are cached."""

    def __init__(self, schema: GraphQLSchema, limits: Limits, *, introspection: bool) -> None:
        self._schema, self._limits = schema, limits
        self._rules = specified_rules if introspection else (*specified_rules, IntrospectionDisabledRule)
        self._introspection = introspection
        self._valid: OrderedDict[str, DocumentNode] = OrderedDict()

    async def execute(self, request: Request, todos: Todos) -> Outcome:
        """Execute a request on its owner's todos; errors in the document or the variables are in the outcome.

        Raises: MethodNotAllowed, if the operation is a mutation but must be a query.
        """
        try:
            document = self._parse(request.query)
            operation = _operation(document, request)
            check_limits(document, operation, request.variables or {}, self._limits)
            self._validate(request.query, document)
        except _Refused as refused:
            return _refusal(refused.errors, refused.kind)
        except (ParseFailed, ValidationFailed, BadRequest) as error:
            if isinstance(error, MethodNotAllowed):
                raise
            return _refusal([GraphQLError(error.message)], type(error))
        result = execute(
            self._schema,
            document,
            context_value=todos,
            variable_values=request.variables,
            operation_name=request.operation_name,
            hide_suggestions=not self._introspection,
        )
        if not isinstance(result, ExecutionResult):
            result = await result
        errors = result.errors or []
        if result.data is None and errors and not any(error.path for error in errors):
            return _refusal(errors, BadUserInput)
        body: dict[str, Any] = {"data": result.data}
        if errors:
            body["errors"] = [_formatted(error) for error in errors]
        return Outcome(body)

    def _parse(self, query: str) -> DocumentNode:
        if query in self._valid:
            self._valid.move_to_end(query)
            return self._valid[query]
        try:
            return parse(query, max_lexical_tokens=self._limits.max_tokens)
        except GraphQLError as error:
            raise _Refused([error], ParseFailed) from None

    def _validate(self, query: str, document: DocumentNode) -> None:
        if query in self._valid:
            return
        errors = validate(
            self._schema,
            document,
            self._rules,
            max_errors=_MAX_ERRORS,
            hide_suggestions=not self._introspection,
        )
        if errors:
            raise _Refused(errors, ValidationFailed)
        self._valid[query] = document
        if len(self._valid) > _MAX_CACHED:
            self._valid.popitem(last=False)


class _Refused(Exception):
    def __init__(self, errors: Sequence[GraphQLError], kind: type[ApiError]) -> None:
        super().__init__()
        self.errors, self.kind = errors, kind


def _operation(document: DocumentNode, request: Request) -> OperationDefinitionNode:
    name = request.operation_name
    operation = get_operation_ast(document, name)
    if operation is None:
        names = [
            node.name.value if node.name else "(anonymous)"
            for node in document.definitions
            if isinstance(node, OperationDefinitionNode)
        ]
        listed = ", ".join(names[:10]) or "none"
        raise BadRequest(
            f"`operationName`: expected the name of one operation. The document has: {listed}."
            if name is None
            else f"`operationName`: expected one that the document has ({listed}), "
            f"but got {json.dumps(name[:50])}."
        )
    # Validation refuses a subscription, whatever the method.
    if request.only_query and operation.operation is OperationType.MUTATION:
        raise MethodNotAllowed("Expected a query, but got a mutation. Send it with POST.", allow="POST")
    return operation


def _refusal(errors: Sequence[GraphQLError], kind: type[ApiError]) -> Outcome:
    """Return the outcome of a request that was not executed: it has no `data`."""
    body = {
        "errors": [
            {**error.formatted, "message": text_of(error), "extensions": {"code": kind.code}}
            for error in errors
        ]
    }
    return Outcome(body, kind.status)


def _formatted(error: GraphQLError) -> dict[str, Any]:
    """Format an error of the execution; an unexpected one is logged, and its text stays in the log."""
    original = error.original_error
    if isinstance(original, ApiError):
        failure = original
    elif original is None or (isinstance(original, GraphQLError) and original.nodes):
        failure = BadUserInput(text_of(error))  # a null variable where there is a default value, for one
    else:
        log_unexpected(logger, original)
        failure = InternalError("Something went wrong here. Try again; if it persists, tell the operator.")
    return {**error.formatted, "message": failure.message, "extensions": {"code": failure.code}}
