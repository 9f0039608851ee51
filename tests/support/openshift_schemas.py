"""JSON schemas of OpenShift's own objects, which no package carries.

They allow only the members that this repository uses, as github.com/openshift/api defines them in
build/v1, image/v1, route/v1 and template/v1 (types.go).
"""

from typing import Any

Schema = dict[str, Any]

BOOLEAN: Schema = {"type": "boolean"}
TEXT: Schema = {"type": "string", "minLength": 1}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def several(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def members(*optional: str, **schemas: Schema) -> Schema:
    """An object with these members and no others; all are required but those in `optional`."""
    required = [name for name in schemas if name not in optional]
    return {
        "type": "object",
        "properties": schemas,
        "required": required,
        "additionalProperties": False,
    }


METADATA = members(
    "namespace", "labels", "annotations", name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS
)


def kind(version: str, name: str, *optional: str, **schemas: Schema) -> Schema:
    return members(
        *optional, apiVersion=one_of(version), kind=one_of(name), metadata=METADATA, **schemas
    )


NAMED = members(name=TEXT)
VARIABLE = members(name=TEXT, value={"type": "string"})

ROUTE = kind(
    "route.openshift.io/v1",
    "Route",
    spec=members(
        "host",
        host=TEXT,
        to=members(kind=one_of("Service"), name=TEXT),
        port=members(targetPort={"type": ["string", "integer"]}),
        tls=members(
            termination=one_of("edge", "passthrough", "reencrypt"),
            insecureEdgeTerminationPolicy=one_of("None", "Allow", "Redirect"),
        ),
    ),
)
IMAGE_STREAM = kind(
    "image.openshift.io/v1", "ImageStream", spec=members(lookupPolicy=members(local=BOOLEAN))
)
SECRET_REFERENCE = members(secretReference=NAMED)
TRIGGER: Schema = {
    "oneOf": [
        members(type=one_of("ConfigChange")),
        members(type=one_of("GitHub"), github=SECRET_REFERENCE),
        members(type=one_of("Generic"), generic=SECRET_REFERENCE),
    ]
}
BUILD_CONFIG = kind(
    "build.openshift.io/v1",
    "BuildConfig",
    spec=members(
        source=members(
            "sourceSecret",
            type=one_of("Git"),
            git=members(uri=TEXT, ref=TEXT),
            sourceSecret=NAMED,
        ),
        strategy=members(
            type=one_of("Docker"),
            dockerStrategy=members(buildArgs=several(VARIABLE)),
        ),
        output=members(to=members(kind=one_of("ImageStreamTag"), name={"pattern": "^.+:.+$"})),
        resources=members(requests=TEXTS, limits=TEXTS),
        triggers=several(TRIGGER),
    ),
)
TEMPLATE = kind(
    "template.openshift.io/v1",
    "Template",
    labels=TEXTS,
    parameters=several(
        members("required", "value", name=TEXT, required=BOOLEAN, value=TEXT, description=TEXT)
    ),
    objects=several({"type": "object"}),
)
SCHEMAS = {
    "Route": ROUTE,
    "ImageStream": IMAGE_STREAM,
    "BuildConfig": BUILD_CONFIG,
    "Template": TEMPLATE,
}
