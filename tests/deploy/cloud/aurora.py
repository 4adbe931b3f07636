"""The Aurora cluster of a stack is a role and a database of a real Postgres on this machine.

ministack keeps a cluster's properties and makes up its address. Here it is that of the Postgres which the
test has started. The cluster's user and database are made in it, with the password that the template takes
from Secrets Manager, so functions can connect with what the secret has. As on Aurora, it may make others,
and is no superuser. One cluster at a time: a second one has the same names, and takes the place of the first.
"""

import subprocess
from collections.abc import Mapping
from typing import Any

from ministack.services import rds
from ministack.services.cloudformation import provisioners

TYPE = "AWS::RDS::DBCluster"


def install(server: Mapping[str, Any]) -> None:
    """Let clusters be made in a Postgres.

    Shape:  `psql`: command that takes SQL from its standard input, as the superuser; `environment` is its.
            `host`, `port`: what clients connect to.
    """
    known = provisioners._RESOURCE_HANDLERS[TYPE]
    provisioners._RESOURCE_HANDLERS[TYPE] = {**known, **_handler(known, server)}


def _handler(known: Mapping[str, Any], server: Mapping[str, Any]) -> dict[str, Any]:
    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        name, _ = known["create"](logical_id, properties, stack)
        cluster = rds._clusters[name]
        _run(server, _MAKING, _names(cluster) | {"password": cluster["_MasterUserPassword"]})
        cluster["Endpoint"], cluster["Port"] = server["host"], server["port"]
        return name, provisioners._rds_db_cluster_attrs(cluster)

    def delete(name: str, properties: Mapping[str, Any]) -> None:
        _run(server, _REMOVING, _names(rds._clusters[name]))
        known["delete"](name, properties)

    return {"create": create, "delete": delete}


def _names(cluster: Mapping[str, Any]) -> dict[str, str]:
    return {"user": cluster["MasterUsername"], "database": cluster["DatabaseName"]}


_MAKING = """
DROP DATABASE IF EXISTS :"database" WITH (FORCE);
DROP ROLE IF EXISTS :"user";
DROP ROLE IF EXISTS todos_function;
CREATE ROLE :"user" LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"user";
"""
_REMOVING = """
DROP DATABASE :"database" WITH (FORCE);
DROP ROLE IF EXISTS todos_function;
DROP ROLE :"user";
"""


def _run(server: Mapping[str, Any], sql: str, variables: Mapping[str, str]) -> None:
    options = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
    done = subprocess.run(
        [*server["psql"], *options],
        env=server["environment"],
        input=sql,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"{TYPE}: {done.stderr.strip()}")
